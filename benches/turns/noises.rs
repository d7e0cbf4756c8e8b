//! More sounds of rooms with a telephone in them, for development: what is measured has none of these. Seeded. Purpose: a verdict
//! that holds for coughs only would be worth little. Deliberately absent: whose sound it is (`corpus`).

use super::audio::{PER_MS, Studio, scale};
use super::corpus::Random;
use callwright_dsp::level;

/// "Ha ha ha": three to five bursts of an open vowel, some five a second, pitch and loudness falling (Bachorowski, Smoski and
/// Owren, "The acoustic features of human laughter", 2001). The one noise here that has a pitch.
pub(crate) fn laugh(random: &mut Random) -> Vec<i16> {
    let f0 = random.pick(&[160.0, 210.0, 290.0]);
    let calls = 3 + random.next() % 3;
    let mut pcm = Vec::new();
    for call in 0..calls {
        let length = (80 + random.next() % 40) as usize * PER_MS;
        let weaker = 0.85_f64.powi(call as i32);
        pcm.extend(noise((50 + random.next() % 40) as usize * PER_MS, 900.0 * weaker, random));
        let pitch = f0 * 0.95_f64.powi(call as i32);
        pcm.extend((0..length).map(|n| {
            let share = n as f64 / length as f64;
            let swell = (share * 8.0).min((1.0 - share) * 4.0).min(1.0);
            let voice: f64 = (1..)
                .map(f64::from)
                .take_while(|k| k * pitch < 3400.0)
                .map(|k| {
                    let pole = |at: f64, width: f64| 1.0 / (1.0 + ((k * pitch - at) / width).powi(2));
                    let vowel = pole(750.0, 90.0) + 0.6 * pole(1250.0, 110.0) + 0.2 * pole(2500.0, 160.0);
                    vowel / k.sqrt() * (std::f64::consts::TAU * k * pitch * n as f64 / 8000.0).sin()
                })
                .sum();
            (5000.0 * weaker * swell * voice) as i16
        }));
    }
    pcm
}

/// A breath in, and a burst.
pub(crate) fn sneeze(random: &mut Random) -> Vec<i16> {
    let mut pcm = noise((350 + random.next() % 200) as usize * PER_MS, 700.0, random);
    pcm.extend(vec![0; (60 + random.next() % 60) as usize * PER_MS]);
    let burst = noise((180 + random.next() % 80) as usize * PER_MS, 14_000.0, random);
    let length = burst.len() as f64;
    pcm.extend(
        burst.iter().enumerate().map(|(n, sample)| (f64::from(*sample) * (-4.0 * n as f64 / length).exp()) as i16),
    );
    pcm
}

/// The latch, and the door against its frame.
pub(crate) fn door(random: &mut Random) -> Vec<i16> {
    let mut pcm = noise(15 * PER_MS, 4000.0, random);
    pcm.extend(vec![0; (80 + random.next() % 80) as usize * PER_MS]);
    let pitch = 55.0 + 30.0 * random.share();
    pcm.extend((0..350 * PER_MS).map(|n| {
        let t = n as f64 / 8000.0;
        (13_000.0 * (-14.0 * t).exp() * (std::f64::consts::TAU * pitch * t).sin()) as i16
    }));
    pcm
}

/// Another telephone in the room, twice.
pub(crate) fn ring(random: &mut Random) -> Vec<i16> {
    let pitch = random.pick(&[425.0, 650.0, 950.0]);
    let tone = |n: usize| (1800.0 * (std::f64::consts::TAU * pitch * n as f64 / 8000.0).sin()) as i16;
    let once: Vec<i16> = (0..400 * PER_MS).map(tone).chain(std::iter::repeat_n(0, 250 * PER_MS)).collect();
    [once.clone(), once].concat()
}

/// A television: three people at once, 20 to 26 dB below the caller.
pub(crate) fn babble(studio: &mut Studio, random: &mut Random) -> Vec<i16> {
    let mut pcm: Vec<i16> = Vec::new();
    for (voice, text) in [
        ("slt@94", "and now the weather for the rest of the week in the north"),
        ("rms@108", "the second half begins and they are still one goal behind"),
        ("slt@112", "buy two of them today and you get the third one for free"),
    ] {
        let said = studio.say(voice, text).0;
        pcm.resize(pcm.len().max(said.len()), 0);
        pcm.iter_mut().zip(&said).for_each(|(sum, sample)| *sum = sum.saturating_add(*sample / 3));
    }
    let gain = 3277.0 / level::rms(&pcm).max(1.0) * 10_f32.powf(-(20.0 + 6.0 * random.share() as f32) / 20.0);
    scale(&mut pcm, gain);
    pcm
}

fn noise(length: usize, peak: f64, random: &mut Random) -> Vec<i16> {
    (0..length)
        .map(|n| {
            let swell = (std::f64::consts::PI * n as f64 / length as f64).sin();
            ((random.share() * 2.0 - 1.0) * peak * swell) as i16
        })
        .collect()
}
