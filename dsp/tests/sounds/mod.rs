//! Sounds for the detectors' tests: tones, noise, speech, music, telephone lines. All are made here; none is a file.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use callwright_dsp::codec::g711;
use std::f64::consts::TAU;
use std::process::{Command, Stdio};

/// Peak of a sine of 0 dBm0 (G.711 A-law: 3.14 dB below full scale).
pub const PEAK_OF_0_DBM0: f64 = 22_826.0;

/// Numbers that look random and are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 0 to 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.roll()
    }

    /// Mean 0, variance 1.
    pub fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.roll()).sum::<f64>() - 6.0
    }
}

pub fn peak(dbm0: f64) -> f64 {
    PEAK_OF_0_DBM0 * 10f64.powf(dbm0 / 20.0)
}

pub fn clip(value: f64) -> i16 {
    // `as` saturates, as a line does.
    value.round() as i16
}

/// Appends a sum of sines, each (Hz, dBm0), 8 kHz, with hard edges and phases by `dice`.
pub fn add_tones(pcm: &mut Vec<i16>, tones: &[(f64, f64)], samples: usize, dice: &mut Dice) {
    let phases: Vec<f64> = tones.iter().map(|_| dice.between(0.0, TAU)).collect();
    pcm.extend((0..samples).map(|n| {
        clip(
            tones
                .iter()
                .zip(&phases)
                .map(|((hz, dbm0), phase)| peak(*dbm0) * (TAU * hz / 8000.0 * n as f64 + phase).sin())
                .sum(),
        )
    }));
}

pub fn add_silence(pcm: &mut Vec<i16>, samples: usize) {
    pcm.extend(std::iter::repeat_n(0, samples));
}

/// Adds white noise whose level is `dbm0` (as of a sine of that level).
pub fn add_noise(pcm: &mut [i16], dbm0: f64, dice: &mut Dice) {
    let deviation = peak(dbm0) / 2f64.sqrt();
    for sample in pcm {
        *sample = clip(f64::from(*sample) + deviation * dice.gauss());
    }
}

pub fn through_ulaw(pcm: &[i16]) -> Vec<i16> {
    let (mut octets, mut out) = (vec![0; pcm.len()], vec![0; pcm.len()]);
    g711::encode_ulaw(pcm, &mut octets);
    g711::decode_ulaw(&octets, &mut out);
    out
}

pub fn through_alaw(pcm: &[i16]) -> Vec<i16> {
    let (mut octets, mut out) = (vec![0; pcm.len()], vec![0; pcm.len()]);
    g711::encode_alaw(pcm, &mut octets);
    g711::decode_alaw(&octets, &mut out);
    out
}

/// Root mean square of what is not silence.
fn active_rms(pcm: &[i16]) -> f64 {
    let squares: Vec<f64> = pcm.iter().filter(|s| s.unsigned_abs() > 100).map(|s| f64::from(*s).powi(2)).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
}

/// Brings what is not silence to `dbm0`.
pub fn bring_to(pcm: &mut [i16], dbm0: f64) {
    let rms = active_rms(pcm);
    if rms > 0.0 {
        let gain = peak(dbm0) / 2f64.sqrt() / rms;
        for sample in pcm {
            *sample = clip(f64::from(*sample) * gain);
        }
    }
}

/// Any rate to 8 kHz by a windowed sinc, for tests only.
pub fn to_8k(pcm: &[i16], rate: usize) -> Vec<i16> {
    const HALF: usize = 24;
    let common = (1..=8000).rev().find(|n| 8000usize.is_multiple_of(*n) && rate.is_multiple_of(*n)).unwrap_or(1);
    let (up, down) = (8000 / common, rate / common);
    let cutoff = 0.92 * (8000.0 / rate as f64).min(1.0);
    // One row for each place between two samples that an output sample can have.
    let rows: Vec<[f32; 2 * HALF]> = (0..up)
        .map(|row| {
            std::array::from_fn(|tap| {
                let distance = row as f64 / up as f64 + HALF as f64 - 1.0 - tap as f64;
                let angle = TAU / 2.0 * cutoff * distance;
                let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
                (cutoff * sinc * (0.5 + 0.5 * (TAU / 2.0 * distance / HALF as f64).cos())) as f32
            })
        })
        .collect();
    let padded: Vec<f32> = std::iter::repeat_n(0.0, HALF - 1)
        .chain(pcm.iter().map(|s| f32::from(*s)))
        .chain(std::iter::repeat_n(0.0, HALF))
        .collect();
    (0..pcm.len() * up / down)
        .map(|n| {
            let at = n * down;
            let taps = &rows[at % up];
            clip(f64::from(padded[at / up..].iter().zip(taps).map(|(s, t)| s * t).sum::<f32>()))
        })
        .collect()
}

pub const TEXTS: [&str; 4] = [
    "Good morning, you have reached the office of Baker and Sons. We build and repair wooden boats, and we are open from \
     eight to five on weekdays. If you know the extension of the person, please dial it now. Otherwise stay on the line, \
     and somebody will be with you in a moment. We use whistles, flutes and loose shoes to move the food to the roof.",
    "I would like a small program that books tables for a restaurant. It needs a name, a phone number, the number of \
     guests and the time. My number is five five five, oh one two three, and you can call me back in the evening. No, \
     not on Sunday; on Monday or Tuesday. Oh, and please do remember the blue room for the group of two.",
    "She sells sea shells by the sea shore, and you knew who grew the new fruit. Who are you? We will see the queen of \
     Peru in June, said Sue. He, she, we, and three green trees. Eee, ooo, aaa. The moon is full, the pool is cool, and \
     the fool on the hill sees the sun going down.",
    "Eins, zwei, drei, vier. Guten Tag, wir suchen jemanden, der uns hilft. Grüße aus München, und viel Glück für die \
     Prüfung. Une voiture bleue roule vers la rue. Où est la lune? Tu as vu le loup?",
];

/// Voices of espeak-ng: name, pitch, words a minute.
pub type Voice = (&'static str, &'static str, &'static str);

pub const VOICES: [Voice; 9] = [
    ("en-us", "50", "160"),
    ("en-us+f3", "80", "150"),
    ("en-gb+f4", "99", "130"),
    ("en-us+m3", "20", "180"),
    ("de+f2", "70", "150"),
    ("fr+f5", "90", "140"),
    ("it+m7", "60", "170"),
    ("en-us+croak", "40", "150"),
    ("en-us+klatt3", "75", "150"),
];

/// Each text in each voice at 8 kHz and −16 dBm0 by espeak-ng, or `None` where it is not installed.
pub fn speech_of(voices: &[Voice], texts: &[&str]) -> Option<Vec<i16>> {
    let mut pcm = Vec::new();
    for (voice, pitch, speed) in voices {
        for text in texts {
            let said = Command::new("espeak-ng")
                .args(["-v", voice, "-p", pitch, "-s", speed, "--stdout", text])
                .stderr(Stdio::null())
                .output()
                .ok()?;
            let wav = said.stdout;
            let rate = u32::from_le_bytes(wav.get(24..28)?.try_into().ok()?);
            let samples: Vec<i16> =
                wav.get(44..)?.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            let mut samples = to_8k(&samples, rate as usize);
            bring_to(&mut samples, -16.0);
            pcm.extend(samples);
        }
    }
    Some(pcm)
}

/// Six minutes of speech, or `None` where there is no espeak-ng.
pub fn speech() -> Option<Vec<i16>> {
    let (some, others) = VOICES.split_at(5);
    let mut pcm = speech_of(some, &TEXTS[..2])?;
    pcm.extend(speech_of(others, &TEXTS[2..])?);
    assert!(pcm.len() > 8000 * 240, "{} s", pcm.len() / 8000);
    Some(pcm)
}

/// Sounds like vowels: a pulse train of moving pitch through three moving resonances.
pub fn vowels(seconds: usize, seed: u64) -> Vec<i16> {
    let mut dice = Dice::new(seed);
    let mut pcm = Vec::new();
    while pcm.len() < seconds * 8000 {
        let samples = dice.between(0.08, 0.5) * 8000.0;
        let (from, to) = (dice.between(80.0, 400.0), dice.between(80.0, 400.0));
        let formants = [(250.0, 900.0), (800.0, 2400.0), (2000.0, 3400.0)];
        let ends: Vec<(f64, f64)> =
            formants.iter().map(|(l, h)| (dice.between(*l, *h), dice.between(*l, *h))).collect();
        let widths: Vec<f64> = formants.iter().map(|_| dice.between(40.0, 160.0)).collect();
        let (mut states, mut phase) = ([[0.0f64; 2]; 3], 0.0);
        let mut sound: Vec<i16> = (0..samples as usize)
            .map(|n| {
                let part = n as f64 / samples;
                phase += (from + (to - from) * part) / 8000.0;
                let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
                phase -= phase.floor();
                let mut value = 3000.0 * pulse;
                for ((state, (begin, end)), width) in states.iter_mut().zip(&ends).zip(&widths) {
                    let hz = begin + (end - begin) * part;
                    let r = (-TAU / 2.0 * width / 8000.0).exp();
                    let out = value + 2.0 * r * (TAU * hz / 8000.0).cos() * state[0] - r * r * state[1];
                    *state = [out, state[0]];
                    value = out * (1.0 - r);
                }
                clip(value.clamp(-30_000.0, 30_000.0) * 0.5)
            })
            .collect();
        bring_to(&mut sound, -16.0);
        pcm.extend(sound);
        add_silence(&mut pcm, (dice.between(0.0, 0.2) * 8000.0) as usize);
    }
    pcm
}

/// Chords and melodies of plucked and blown notes on the tempered scale, with harmonics and vibrato.
pub fn music(seconds: usize, seed: u64) -> Vec<i16> {
    let mut dice = Dice::new(seed);
    let mut pcm: Vec<f64> = vec![0.0; seconds * 8000];
    for voice in 0..3u32 {
        let mut at = 0usize;
        while at < pcm.len() {
            let samples = [1000, 2000, 2000, 4000, 8000][(dice.roll() * 5.0) as usize];
            let pitch = 55.0 * 2f64.powf((dice.between(0.0, 30.0).floor() + 12.0 * f64::from(voice)) / 12.0);
            let plucked = dice.roll() < 0.5;
            let harmonics = if plucked { 6 } else { 3 };
            let vibrato = dice.between(0.0, 0.004);
            for n in 0..samples.min(pcm.len() - at) {
                let t = n as f64 / 8000.0;
                let shape = if plucked { (-4.0 * t).exp() } else { (t / 0.03).min(1.0) };
                let phase = TAU * pitch * (t + vibrato / (TAU * 5.0) * (TAU * 5.0 * t).sin());
                for k in 1..=harmonics {
                    let k = f64::from(k);
                    if pitch * k < 3600.0 {
                        pcm[at + n] += 3000.0 * shape / k.powf(1.2) * (k * phase).sin();
                    }
                }
            }
            at += samples;
        }
    }
    pcm.into_iter().map(clip).collect()
}
