//! What a client sends, up to 8 kHz samples in a queue. Purpose: formats, and the `slow` and `ok` of a queue that grows and
//! shrinks. Sans-IO; owned by the client's task. Invariants: [`STREAM_QUEUE_FULL`] chunks at most are asked for; each chunk is judged
//! whole before any of it is taken. Deliberately absent: the socket, the recogniser.

use crate::limits::{STREAM_QUEUE_FULL, STREAM_QUEUE_MAX};
use callwright_dsp::codec::{Codec, Decoder};
use callwright_dsp::resample::{Rate, Resampler};
use serde::Deserialize;
use std::collections::VecDeque;

/// Longest Opus packet, 120 ms (RFC 6716 section 3.4), at 8 kHz.
const OPUS_SAMPLES_MAX: usize = 960;

/// What the client says of its audio, in the query or in its first text message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    /// `pcm` (16 bit, little-endian, one channel) or `opus` (one bare packet a message).
    pub(super) format: Format,
    /// Of PCM: 8000, 16000 or 48000; 16000 when nothing is said. Opus packets carry theirs.
    pub(super) sample_rate: Option<u32>,
    /// Whose recogniser hears it; the first agent's when nothing is said.
    pub(super) agent: Option<String>,
}

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Pcm,
    Opus,
}

/// What the client is told of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// More than [`STREAM_QUEUE_MAX`] chunks wait.
    Slow,
    /// Half of them at most wait again.
    Ok,
}

/// One client's audio on its way in.
pub(super) struct Intake {
    source: Source,
    /// Chunks of 8 kHz samples.
    queue: VecDeque<Vec<i16>>,
    /// Samples of the first chunk that are taken already.
    taken: usize,
    slow: bool,
}

enum Source {
    Pcm(Option<Box<Resampler>>),
    Opus(Box<Decoder>),
}

impl Intake {
    /// For audio as wished; the error is for the client.
    pub(super) fn new(wish: &Wish) -> Result<Self, String> {
        let down = |rate| Some(Box::new(Resampler::new(rate, Rate::Hz8000)));
        let source = match (wish.format, wish.sample_rate) {
            (Format::Pcm, None | Some(16_000)) => Source::Pcm(down(Rate::Hz16000)),
            (Format::Pcm, Some(48_000)) => Source::Pcm(down(Rate::Hz48000)),
            (Format::Pcm, Some(8000)) => Source::Pcm(None),
            (Format::Opus, None | Some(8000 | 12_000 | 16_000 | 24_000 | 48_000)) => {
                Source::Opus(Box::new(Decoder::new(Codec::Opus, 8000).map_err(|error| error.to_string())?))
            }
            (_, Some(rate)) => return Err(format!("sample_rate {rate} is not 8000, 16000 or 48000")),
        };
        Ok(Self { source, queue: VecDeque::new(), taken: 0, slow: false })
    }

    /// Takes one message. The error is for the client, whose stream it ends.
    pub(super) fn handle_chunk(&mut self, octets: &[u8]) -> Result<Option<Pace>, String> {
        if octets.is_empty() {
            return Ok(None);
        }
        let samples = match &mut self.source {
            Source::Pcm(down) => {
                let (pairs, []) = octets.as_chunks::<2>() else {
                    return Err("PCM is 16 bit: a message must have an even number of octets".to_owned());
                };
                let wide: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
                match down {
                    None => wide,
                    Some(down) => {
                        let mut narrow = vec![0; down.output_len(wide.len())];
                        let made = down.process(&wide, &mut narrow).written;
                        narrow.truncate(made);
                        narrow
                    }
                }
            }
            Source::Opus(decoder) => {
                // A page of Ogg, and the head of WebM: neither is a packet that an encoder would begin with.
                if octets.starts_with(b"OggS") || octets.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
                    return Err("this is a container; send bare Opus packets, one a message".to_owned());
                }
                let mut pcm = vec![0; OPUS_SAMPLES_MAX];
                let made = decoder.decode(octets, &mut pcm).map_err(|_| "this is no Opus packet".to_owned())?;
                pcm.truncate(made);
                pcm
            }
        };
        self.queue.push_back(samples);
        if !self.slow && self.queue.len() > STREAM_QUEUE_MAX {
            self.slow = true;
            return Ok(Some(Pace::Slow));
        }
        Ok(None)
    }

    /// Appends silence, which is no chunk of the client's.
    pub(super) fn pad(&mut self, samples: usize) {
        self.queue.push_back(vec![0; samples]);
    }

    /// What is to be heard next.
    pub(super) fn front(&mut self) -> Option<&[i16]> {
        // A resampler may make nothing of a few samples.
        while self.queue.front().is_some_and(Vec::is_empty) {
            self.queue.pop_front();
        }
        self.queue.front().map(|chunk| &chunk[self.taken..])
    }

    /// So many samples of [`front`](Self::front) have been taken.
    pub(super) fn take(&mut self, samples: usize) -> Option<Pace> {
        self.taken += samples;
        if self.queue.front().is_some_and(|chunk| chunk.len() <= self.taken) {
            self.queue.pop_front();
            self.taken = 0;
        }
        if self.slow && self.queue.len() <= STREAM_QUEUE_MAX / 2 {
            self.slow = false;
            return Some(Pace::Ok);
        }
        None
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= STREAM_QUEUE_FULL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_dsp::codec::{Encoder, EncoderSettings};
    use proptest::prelude::*;

    fn wish(text: &str) -> Result<Wish, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_fifth_chunk_that_waits_is_slow_and_release_is_ok() {
        let mut intake = Intake::new(&Wish::default()).unwrap();
        let chunk = [0; 640];
        for n in 1..=4 {
            assert_eq!(intake.handle_chunk(&chunk).unwrap(), None, "chunk {n}");
        }
        assert_eq!(intake.handle_chunk(&chunk).unwrap(), Some(Pace::Slow));
        assert_eq!(intake.handle_chunk(&chunk).unwrap(), None, "it is said once");
        let mut paces = Vec::new();
        while let Some(samples) = intake.front().map(<[i16]>::len) {
            paces.extend(intake.take(samples.min(100)).map(|pace| (pace, intake.queue.len())));
        }
        assert_eq!(paces, [(Pace::Ok, STREAM_QUEUE_MAX / 2)]);
        assert!(intake.is_empty());
    }

    #[test]
    fn wishes_are_read_and_nonsense_is_refused() {
        assert_eq!(wish("{}").unwrap(), Wish::default());
        let full = wish("{\"format\":\"opus\",\"sample_rate\":48000,\"agent\":\"grace\"}").unwrap();
        assert_eq!((full.format, full.sample_rate, full.agent.as_deref()), (Format::Opus, Some(48_000), Some("grace")));
        for bad in ["{\"format\":\"mp3\"}", "{\"rate\":1}", "nonsense"] {
            assert!(wish(bad).is_err(), "{bad}");
        }
        for (format, rate) in [(Format::Pcm, 44_100), (Format::Pcm, 24_000), (Format::Opus, 44_100)] {
            let wish = Wish { format, sample_rate: Some(rate), agent: None };
            assert!(Intake::new(&wish).is_err_and(|why| why.contains(&rate.to_string())));
        }
    }

    #[test]
    fn every_rate_of_pcm_becomes_8_khz() {
        for rate in [8000_u32, 16_000, 48_000] {
            let mut intake = Intake::new(&Wish { sample_rate: Some(rate), ..Wish::default() }).unwrap();
            // A second of 440 Hz, in pieces that do not divide.
            let wave: Vec<u8> = (0..rate)
                .flat_map(|n| {
                    let angle = n as f32 / rate as f32 * 440.0 * std::f32::consts::TAU;
                    ((angle.sin() * 8000.0) as i16).to_le_bytes()
                })
                .collect();
            let mut heard = Vec::new();
            for piece in wave.chunks(1234) {
                intake.handle_chunk(piece).unwrap();
                while let Some(samples) = intake.front() {
                    heard.extend_from_slice(samples);
                    let taken = intake.front().map_or(0, <[i16]>::len);
                    intake.take(taken);
                }
            }
            assert!((7990..=8000).contains(&heard.len()), "{rate}: {}", heard.len());
            let crossings = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((438..=441).contains(&crossings), "{rate}: {crossings} Hz");
        }
    }

    #[test]
    fn opus_packets_are_heard_and_containers_are_named() {
        let mut encoder = Encoder::new(Codec::Opus, 16_000, EncoderSettings::default()).unwrap();
        let wave: Vec<i16> = (0..320).map(|n| ((n as f32 * 0.2).sin() * 8000.0) as i16).collect();
        let mut packet = [0; 1500];
        let octets = encoder.encode(&wave, &mut packet).unwrap();
        let mut intake = Intake::new(&Wish { format: Format::Opus, ..Wish::default() }).unwrap();
        intake.handle_chunk(&packet[..octets]).unwrap();
        assert_eq!(intake.front().map(<[i16]>::len), Some(160));
        for (garbage, said) in [(&b"OggS\0"[..], "bare Opus packets"), (&[0xff, 0xff, 0xff], "no Opus packet")] {
            assert!(intake.handle_chunk(garbage).unwrap_err().contains(said));
        }
        let mut pcm = Intake::new(&Wish::default()).unwrap();
        assert!(pcm.handle_chunk(&[1, 2, 3]).unwrap_err().contains("even"));
        assert_eq!(pcm.handle_chunk(&[]).unwrap(), None);
        assert!(pcm.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_breaks_and_slow_and_ok_take_turns(
            opus in any::<bool>(),
            steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), 0..3_usize), 0..80),
        ) {
            let format = if opus { Format::Opus } else { Format::Pcm };
            let mut intake = Intake::new(&Wish { format, ..Wish::default() }).unwrap();
            let mut slow = false;
            for (octets, taken) in steps {
                if !intake.is_full() && let Ok(Some(pace)) = intake.handle_chunk(&octets) {
                    prop_assert!(pace == Pace::Slow && !slow);
                    slow = true;
                }
                for _ in 0..taken {
                    let Some(samples) = intake.front().map(<[i16]>::len) else { break };
                    if let Some(pace) = intake.take(samples) {
                        prop_assert!(pace == Pace::Ok && slow);
                        slow = false;
                    }
                }
                prop_assert!(slow || intake.queue.len() <= STREAM_QUEUE_MAX);
            }
        }
    }
}
