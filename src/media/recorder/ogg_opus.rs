//! Stereo samples → Ogg Opus (RFC 7845). Purpose: the octets of a file that plays up to its last page, whenever writing
//! stops. Recorder thread; no files here. Invariants: a page spans a second at most; the granule position says the audio
//! time exactly, so the last sample of the call is the last one that plays; pages are whole when handed out.
//! Deliberately absent: seeking, tags worth reading.

use super::align::Pair;
use super::ogg::{FIRST, LAST, Packets, PageWriter};
use opus::{Application, Bandwidth, Bitrate, Channels, Encoder, Signal};

const RATE: u32 = 8000;
/// Opus counts at 48 kHz whatever it is given.
const GRANULES_PER_SAMPLE: u64 = 48_000 / RATE as u64;
/// Samples a side of one packet: 20 ms.
const PACKET_SAMPLES: usize = 160;
const PACKET_GRANULES: u64 = PACKET_SAMPLES as u64 * GRANULES_PER_SAMPLE;
/// Packets of one page at most: a second.
const PACKETS_MAX: u64 = 50;
/// Both channels together, as asked of the encoder, which takes what it needs: about 60,000 while somebody speaks, next
/// to nothing in pauses.
const BITS_PER_SECOND: i32 = 40_000;
/// Of 10. At 8 made no difference that could be heard for a third more time.
const COMPLEXITY: i32 = 4;
/// RFC 6716 section 3.2.1, and what libopus never exceeds for 20 ms.
const PACKET_LEN_MAX: usize = 1275;
const VENDOR: &[u8] = concat!("callwright ", env!("CARGO_PKG_VERSION")).as_bytes();

/// One recording's encoder and page writer.
pub(super) struct OggOpus {
    encoder: Encoder,
    pages: PageWriter,
    packets: Packets,
    /// Packets encoded, and how many of them are in pages handed out.
    encoded: u64,
    paged: u64,
    /// Samples taken in.
    samples: u64,
    /// Granules that a player drops: the encoder's look-ahead.
    pre_skip: u16,
    gathered: [i16; PACKET_SAMPLES * 2],
    filled: usize,
    packet: [u8; PACKET_LEN_MAX],
}

impl OggOpus {
    /// The encoder, and the two pages that begin the file, appended to `out`. Error: libopus has no memory.
    pub(super) fn new(serial: u32, out: &mut Vec<u8>) -> opus::Result<Self> {
        // Transform coding alone (which this asks for) keeps the quieter voice of two whole: PESQ 3.8 where the speech coder's
        // joint stereo left 2.2 of it at the same size.
        let mut encoder = Encoder::new(RATE, Channels::Stereo, Application::LowDelay)?;
        encoder.set_bitrate(Bitrate::Bits(BITS_PER_SECOND))?;
        encoder.set_vbr_constraint(false)?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_bandwidth(Bandwidth::Narrowband)?;
        encoder.set_signal(Signal::Voice)?;
        // Never mixed down, not even when one side is silent for long.
        encoder.set_force_channels(Some(Channels::Stereo))?;
        let lookahead = u64::try_from(encoder.get_lookahead()?).unwrap_or(0) * GRANULES_PER_SAMPLE;
        let pre_skip = u16::try_from(lookahead).unwrap_or(u16::MAX);
        let mut stream = Self {
            encoder,
            pages: PageWriter::new(serial),
            packets: Packets::new(),
            encoded: 0,
            paged: 0,
            samples: 0,
            pre_skip,
            gathered: [0; PACKET_SAMPLES * 2],
            filled: 0,
            packet: [0; PACKET_LEN_MAX],
        };
        stream.begin(out);
        Ok(stream)
    }

    /// RFC 7845 section 5: identification and comments, a page each.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let mut head = [0; 19];
        head[..8].copy_from_slice(b"OpusHead");
        head[8] = 1; // version
        head[9] = 2; // channels
        head[10..12].copy_from_slice(&self.pre_skip.to_le_bytes());
        head[12..16].copy_from_slice(&RATE.to_le_bytes());
        // Gain 0, mapping family 0: one stereo stream, left and right.
        self.packets.push(&head);
        self.pages.page(FIRST, 0, &mut self.packets, out);
        let mut tags = b"OpusTags".to_vec();
        // A few octets.
        tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
        tags.extend_from_slice(VENDOR);
        tags.extend_from_slice(&0_u32.to_le_bytes());
        self.packets.push(&tags);
        self.pages.page(0, 0, &mut self.packets, out);
    }

    /// Takes samples; pages that became full are appended to `out`. Error: libopus failed; the file stands as it is.
    pub(super) fn write(&mut self, pairs: &[Pair], out: &mut Vec<u8>) -> opus::Result<()> {
        for pair in pairs {
            self.gathered[self.filled..self.filled + 2].copy_from_slice(pair);
            self.filled += 2;
            self.samples += 1;
            if self.filled == self.gathered.len() {
                self.encode(out)?;
            }
        }
        Ok(())
    }

    /// Appends what is encoded as a page of its own.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.packets.is_empty() {
            self.page(0, self.encoded * PACKET_GRANULES, out);
        }
    }

    /// Appends the rest and the last page, whose position ends the file at the last sample taken in (section 4.4).
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> opus::Result<()> {
        let end = self.samples * GRANULES_PER_SAMPLE + u64::from(self.pre_skip);
        // At least one packet is missing: full ones alone never reach past the look-ahead.
        while self.encoded * PACKET_GRANULES < end {
            self.gathered[self.filled..].fill(0);
            self.encode(out)?;
        }
        self.page(LAST, end, out);
        Ok(())
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> opus::Result<()> {
        self.filled = 0;
        let len = self.encoder.encode(&self.gathered, &mut self.packet)?;
        if !self.packets.has_room(len) || self.encoded - self.paged >= PACKETS_MAX {
            self.page(0, self.encoded * PACKET_GRANULES, out);
        }
        self.packets.push(&self.packet[..len]);
        self.encoded += 1;
        Ok(())
    }

    fn page(&mut self, flags: u8, granule: u64, out: &mut Vec<u8>) {
        self.pages.page(flags, granule, &mut self.packets, out);
        self.paged = self.encoded;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::ogg::Page;
    use super::*;
    use std::f64::consts::TAU;

    /// A file as a player sees it: its samples at 8 kHz, and whether its end is marked.
    pub(in super::super) struct Played {
        pub(in super::super) pairs: Vec<Pair>,
        pub(in super::super) ended: bool,
        pub(in super::super) pages: usize,
    }

    /// Plays a file as RFC 7845 asks: pre-skip dropped, cut at the last page's position. Checks its form on the way.
    pub(in super::super) fn play(file: &[u8]) -> Played {
        let mut decoder = opus::Decoder::new(RATE, Channels::Stereo).unwrap();
        let (mut rest, mut number, mut granules, mut ended) = (file, 0_u32, 0, false);
        let (mut pairs, mut skip, mut serial) = (Vec::new(), 0, None);
        while let Some((page, len)) = Page::parse(rest) {
            rest = &rest[len..];
            assert!(!ended, "a page after the last one");
            assert_eq!((page.sequence, page.serial), (number, *serial.get_or_insert(page.serial)));
            assert_eq!(page.flags & FIRST != 0, number == 0);
            ended = page.flags & LAST != 0;
            match number {
                0 => {
                    let head = page.packets().next().unwrap();
                    assert_eq!((&head[..8], head[8], head[9], head[18], head.len()), (&b"OpusHead"[..], 1, 2, 0, 19));
                    skip = usize::from(u16::from_le_bytes([head[10], head[11]]));
                    assert_eq!(page.granule, 0);
                }
                1 => {
                    assert!(page.packets().next().unwrap().starts_with(b"OpusTags"));
                    assert_eq!(page.granule, 0);
                }
                _ => {
                    for packet in page.packets() {
                        let mut pcm = [0; 320];
                        assert_eq!(decoder.decode(packet, &mut pcm, false).unwrap(), 160);
                        pairs.extend(pcm.chunks(2).map(|pair| [pair[0], pair[1]]));
                    }
                    assert!(page.granule > granules && page.granule - granules <= 48_000, "{}", page.granule);
                    granules = page.granule;
                    let decoded = pairs.len() as u64 * GRANULES_PER_SAMPLE;
                    assert!(if ended { (granules..granules + 960).contains(&decoded) } else { granules == decoded });
                }
            }
            number += 1;
        }
        pairs.truncate(granules as usize / 6);
        pairs.drain(..(skip / 6).min(pairs.len()));
        Played { pairs, ended, pages: number as usize }
    }

    fn encode(pairs: &[Pair], flush_every: usize) -> Vec<u8> {
        let mut file = Vec::new();
        let mut stream = OggOpus::new(5, &mut file).unwrap();
        for part in pairs.chunks(flush_every) {
            stream.write(part, &mut file).unwrap();
            stream.flush(&mut file);
        }
        stream.finish(&mut file).unwrap();
        file
    }

    /// A caller on 440 Hz and an agent on 700 Hz, one second each in turn.
    fn turns(samples: usize) -> Vec<Pair> {
        let tone = |n: usize, hertz: f64| ((n as f64 * hertz * TAU / 8000.0).sin() * 8000.0) as i16;
        (0..samples).map(|n| if n / 8000 % 2 == 0 { [tone(n, 440.0), 0] } else { [0, tone(n, 700.0)] }).collect()
    }

    fn power(track: impl Iterator<Item = i16>) -> f64 {
        track.map(|s| f64::from(s).powi(2)).sum()
    }

    #[test]
    fn a_file_is_as_long_as_the_call_to_the_sample() {
        for samples in [1, 159, 160, 161, 7999, 8000, 8123, 24_000] {
            let played = play(&encode(&turns(samples), 1600));
            assert_eq!((played.pairs.len(), played.ended), (samples, true));
        }
        let nothing = play(&encode(&[], 1));
        assert_eq!((nothing.pairs.len(), nothing.pages, nothing.ended), (0, 3, true));
    }

    #[test]
    fn without_a_flush_a_page_spans_a_second() {
        let played = play(&encode(&turns(80_000), 80_000));
        assert_eq!(played.pages, 2 + 10 + 1);
    }

    #[test]
    fn each_voice_stays_in_its_channel_and_in_its_place() {
        let played = play(&encode(&turns(48_000), 1600)).pairs;
        for second in 0..6 {
            let part = &played[second * 8000 + 400..second * 8000 + 7600];
            let (speaks, silent) = if second % 2 == 0 { (0, 1) } else { (1, 0) };
            let ratio = power(part.iter().map(|p| p[speaks])) / power(part.iter().map(|p| p[silent])).max(1.0);
            assert!(10.0 * ratio.log10() > 20.0, "second {second}: {:.1} dB apart", 10.0 * ratio.log10());
            // The waveform, not just its power, is where it was: look-ahead is taken off to the sample.
            let hertz = if second % 2 == 0 { 440.0 } else { 700.0 };
            let (mut sine, mut cosine) = (0.0, 0.0);
            for (n, pair) in (second * 8000 + 400..).zip(part) {
                let angle = n as f64 * hertz * TAU / 8000.0;
                sine += f64::from(pair[speaks]) * angle.sin();
                cosine += f64::from(pair[speaks]) * angle.cos();
            }
            let early_samples = cosine.atan2(sine) / TAU * 8000.0 / hertz;
            assert!(early_samples.abs() < 1.0, "second {second}: {early_samples:.2} samples early");
        }
    }
}
