//! The telephone line between the synthetic caller and the product. Purpose: band, level, noise, G.711 and lost packets, as
//! the network and the product's inbound chain make them. Pure; the same on every run. Invariants (tests below): the noise
//! lies as far below the speech as asked, to 0.5 dB (1 dB at 30, where G.711's own noise counts); the share of lost packets is as asked; a lost packet is filled by the
//! product's own concealment. Deliberately absent: jitter (the inbound chain gives speech continuous audio), voices.

use super::random::Random;
use callwright_dsp::codec::g711;
use callwright_dsp::plc::Concealment;
use std::f64::consts::PI;

/// Samples of one packet: 20 ms at 8 kHz.
pub const PACKET: usize = 160;
/// Of what the callers hear as silence before they speak: 400 ms.
pub const LEAD: usize = 3200;
/// Level of speech, dB to full scale; each caller speaks up to this much louder or softer.
const LEVEL_DBFS: f64 = -20.0;
const LEVEL_SPREAD_DB: f64 = 4.0;
/// Packets lost in a row, on average.
const BURST: f64 = 1.5;
/// Longest loss that is made up; the product feeds silence beyond.
const CONCEALED_MAX: usize = 480;
/// Frames this far below the loudest count as pauses when speech is measured.
const PAUSE_DB: f64 = 30.0;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// Speech over noise, dB; none: no noise.
    pub snr_db: Option<u32>,
    /// Packets that are lost, percent.
    pub loss_percent: f64,
}

/// One packet as speech gets it.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// It was lost, and this stands in for it.
    pub lost: bool,
    pub pcm: [i16; PACKET],
}

/// A turn on the line.
#[derive(Clone, Debug)]
pub struct Turn {
    pub packets: Vec<Packet>,
    /// First sample after the speech.
    pub speech_end: usize,
    /// Seconds of speech.
    pub speech_s: f64,
}

/// Noise for lines: as loud as full scale divided by ten, whatever its kind.
#[derive(Debug)]
pub struct Noises {
    pink: Vec<f64>,
    babble: Vec<f64>,
}

impl Noises {
    /// `voices`: telephone-band speech of several people, 8 kHz; together they babble. None: pink noise only.
    pub fn new(voices: &[Vec<i16>]) -> Self {
        Self::lasting(30, voices)
    }

    /// Of so many seconds before it repeats.
    fn lasting(seconds: usize, voices: &[Vec<i16>]) -> Self {
        let mut random = Random::new(7);
        let pink = band_8k(&pink(&mut random, seconds * 8000));
        let mut babble = vec![0.0; seconds * 8000];
        for voice in voices.iter().filter(|voice| !voice.is_empty()) {
            let level = rms(&voice.iter().map(|s| f64::from(*s)).collect::<Vec<_>>()).max(1.0);
            let start = random.below(voice.len());
            for (n, sum) in babble.iter_mut().enumerate() {
                *sum += f64::from(voice[(start + n) % voice.len()]) / level;
            }
        }
        let babble = if voices.is_empty() { pink.clone() } else { babble };
        Self { pink: levelled(pink), babble: levelled(babble) }
    }

    /// `count` samples of RMS 1: somewhere in one of the two kinds.
    fn take(&self, babble: bool, random: &mut Random, count: usize) -> Vec<f64> {
        let of = if babble { &self.babble } else { &self.pink };
        let start = random.below(of.len());
        let cut: Vec<f64> = (0..count).map(|n| of[(start + n) % of.len()]).collect();
        // Babble comes and goes; each line gets what it was promised.
        levelled(cut)
    }
}

impl Channel {
    /// Sends speech (8 kHz, telephone band) down the line, followed by `tail` samples of what the line hears when nobody
    /// speaks. `name` makes this line different from others, and the same on every run.
    pub fn send(&self, name: &str, speech: &[i16], tail: usize, noises: &Noises) -> Turn {
        let mut random = Random::of(name);
        let level = LEVEL_DBFS + LEVEL_SPREAD_DB * (2.0 * random.unit() - 1.0);
        let gain = 32_768.0 * decibels(level) / speech_rms(speech).max(1.0);
        let total = (LEAD + speech.len() + tail).next_multiple_of(PACKET);
        let mut line = vec![0.0; total];
        for (to, from) in line[LEAD..].iter_mut().zip(speech) {
            *to = f64::from(*from) * gain;
        }
        if let Some(snr) = self.snr_db {
            let noise_level = 32_768.0 * decibels(level - f64::from(snr));
            for (to, noise) in line.iter_mut().zip(noises.take(Self::babbles(name), &mut random, total)) {
                *to += noise * noise_level;
            }
        }
        let pcm: Vec<i16> = line.iter().map(|s| s.round().clamp(-32_768.0, 32_767.0) as i16).collect();
        let packets = self.carry(&pcm, &mut random);
        Turn { packets, speech_end: LEAD + speech.len(), speech_s: speech.len() as f64 / 8000.0 }
    }

    /// Whether people talk in the background of that line; else it hisses.
    pub fn babbles(name: &str) -> bool {
        Random::of(name).bits() & 1 == 1
    }

    /// μ-law, loss, and the product's concealment: what `media::inbound` does with the packets that come.
    fn carry(&self, pcm: &[i16], random: &mut Random) -> Vec<Packet> {
        let share = self.loss_percent / 100.0;
        // Gilbert: a burst ends with 1/BURST, and begins as often as the share asks for.
        let (ends, begins) = (1.0 / BURST, share / (1.0 - share) / BURST);
        let mut concealment = Concealment::default();
        let (mut losing, mut lost_samples) = (false, 0);
        pcm.chunks_exact(PACKET)
            .map(|part| {
                losing = if losing { random.unit() >= ends } else { random.unit() < begins };
                let mut pcm = [0; PACKET];
                if losing {
                    if lost_samples < CONCEALED_MAX {
                        concealment.conceal(&mut pcm);
                    }
                    lost_samples += PACKET;
                } else {
                    let mut octets = [0; PACKET];
                    g711::encode_ulaw(part, &mut octets);
                    g711::decode_ulaw(&octets, &mut pcm);
                    concealment.handle_received(&mut pcm);
                    lost_samples = 0;
                }
                Packet { lost: losing, pcm }
            })
            .collect()
    }
}

/// 16 kHz studio audio to the telephone's band at 8 kHz: 300–3400 Hz.
pub fn to_telephone(wide: &[i16]) -> Vec<i16> {
    const TAPS: usize = 161;
    let taps: Vec<f64> = (0..TAPS).map(|n| band_pass(n, TAPS, 16_000.0, 300.0, 3400.0)).collect();
    let at = |n: isize| usize::try_from(n).ok().and_then(|n| wide.get(n)).map_or(0.0, |s| f64::from(*s));
    (0..wide.len() / 2)
        .map(|n| {
            let middle = 2 * n as isize + (TAPS / 2) as isize;
            let sum: f64 = taps.iter().enumerate().map(|(k, tap)| tap * at(middle - k as isize)).sum();
            sum.round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// The same band for what is at 8 kHz already.
fn band_8k(narrow: &[f64]) -> Vec<f64> {
    const TAPS: usize = 81;
    let taps: Vec<f64> = (0..TAPS).map(|n| band_pass(n, TAPS, 8000.0, 300.0, 3400.0)).collect();
    narrow.windows(TAPS).map(|window| window.iter().zip(&taps).map(|(s, tap)| s * tap).sum()).collect()
}

/// Windowed sinc (Hamming).
fn band_pass(n: usize, taps: usize, rate: f64, low: f64, high: f64) -> f64 {
    let t = n as f64 - (taps / 2) as f64;
    let low_pass = |hertz: f64| {
        let f = hertz / rate;
        if t == 0.0 { 2.0 * f } else { (2.0 * PI * f * t).sin() / (PI * t) }
    };
    let window = 0.54 - 0.46 * (2.0 * PI * n as f64 / (taps - 1) as f64).cos();
    (low_pass(high) - low_pass(low)) * window
}

/// −3 dB an octave: one row of random steps an octave, each half as often as the one before.
fn pink(random: &mut Random, count: usize) -> Vec<f64> {
    let mut rows = [0.0; 12];
    (0..count)
        .map(|n| {
            let row = (n.trailing_zeros() as usize).min(rows.len() - 1);
            rows[row] = random.normal();
            rows.iter().sum::<f64>() + random.normal()
        })
        .collect()
}

fn levelled(mut samples: Vec<f64>) -> Vec<f64> {
    let level = rms(&samples).max(1e-9);
    samples.iter_mut().for_each(|s| *s /= level);
    samples
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// RMS of the speech without its pauses.
fn speech_rms(speech: &[i16]) -> f64 {
    let square = |part: &[i16]| part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / part.len().max(1) as f64;
    let powers: Vec<f64> = speech.chunks(PACKET).map(square).collect();
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let spoken: Vec<f64> = powers.into_iter().filter(|p| *p > loudest * decibels(-PAUSE_DB).powi(2)).collect();
    (spoken.iter().sum::<f64>() / spoken.len().max(1) as f64).sqrt()
}

fn decibels(db: f64) -> f64 {
    10.0_f64.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something with the level of speech: a buzz with pauses.
    fn buzz() -> Vec<i16> {
        (0..40_000_u32)
            .map(|n| {
                let on = n % 8000 < 6000;
                let t = f64::from(n) / 8000.0;
                let tone: f64 = (2..20).map(|k| (2.0 * PI * 170.0 * f64::from(k) * t).sin()).sum();
                if on { (tone * 900.0) as i16 } else { 0 }
            })
            .collect()
    }

    fn samples(turn: &Turn) -> Vec<f64> {
        turn.packets.iter().flat_map(|p| p.pcm.iter().map(|s| f64::from(*s))).collect()
    }

    #[test]
    fn noise_lies_where_it_was_asked_for() {
        let noises = Noises::lasting(3, &[buzz()]);
        for snr in [10_u32, 20, 30] {
            let channel = Channel { snr_db: Some(snr), loss_percent: 0.0 };
            let turn = channel.send(&format!("caller at {snr}"), &buzz(), 16_000, &noises);
            let quiet =
                Channel { snr_db: None, loss_percent: 0.0 }.send(&format!("caller at {snr}"), &buzz(), 16_000, &noises);
            let (with, without) = (samples(&turn), samples(&quiet));
            let noise: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
            let speech: Vec<i16> = without[LEAD..turn.speech_end].iter().map(|s| *s as i16).collect();
            let measured = 20.0 * (speech_rms(&speech) / rms(&noise)).log10();
            // The rounding of μ-law adds its own, some 38 dB below the speech.
            let tolerated = if snr == 30 { 1.0 } else { 0.5 };
            assert!((measured - f64::from(snr)).abs() < tolerated, "{snr} dB measured as {measured:.2}");
        }
    }

    #[test]
    fn as_many_packets_are_lost_as_asked_for_and_they_are_made_up() {
        let noises = Noises::lasting(1, &[]);
        let channel = Channel { snr_db: None, loss_percent: 3.0 };
        let speech = buzz();
        let (mut lost, mut all, mut energy) = (0, 0, 0.0);
        for n in 0..100 {
            let turn = channel.send(&format!("caller {n}"), &speech, 0, &noises);
            all += turn.packets.len();
            for packet in turn.packets.iter().filter(|p| p.lost) {
                lost += 1;
                energy += packet.pcm.iter().map(|s| f64::from(*s).abs()).sum::<f64>();
            }
        }
        let share = 100.0 * f64::from(lost) / all as f64;
        assert!((2.7..3.3).contains(&share), "{share:.2} % lost");
        assert!(energy > 0.0, "losses are filled");
    }

    #[test]
    fn the_same_line_twice_is_the_same_and_another_is_not() {
        let noises = Noises::lasting(1, &[]);
        let channel = Channel { snr_db: Some(20), loss_percent: 3.0 };
        let [a, b, c] = ["x", "x", "y"].map(|name| samples(&channel.send(name, &buzz(), 800, &noises)));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }

    #[test]
    fn the_band_is_the_telephones() {
        let tone = |hertz: f64| -> Vec<i16> {
            (0..16_000).map(|n| ((2.0 * PI * hertz * f64::from(n) / 16_000.0).sin() * 8000.0) as i16).collect()
        };
        let passed = |hertz: f64| {
            let narrow = to_telephone(&tone(hertz));
            20.0 * (rms(&narrow.iter().map(|s| f64::from(*s)).collect::<Vec<_>>()) / (8000.0 / 2.0_f64.sqrt())).log10()
        };
        for hertz in [500.0, 1000.0, 2000.0, 3000.0] {
            assert!(passed(hertz).abs() < 0.5, "{hertz} Hz: {:.1} dB", passed(hertz));
        }
        for hertz in [60.0, 4500.0, 6000.0] {
            assert!(passed(hertz) < -25.0, "{hertz} Hz: {:.1} dB", passed(hertz));
        }
    }
}
