//! Whether a sound has just begun on a line, before anybody can say what it is. Sans-IO: levels of 5 ms in, beginnings out;
//! owned by the ears.
//!
//! Purpose: an agent that speaks falls silent within a tenth of a second for somebody who speaks up, and a model needs 64 ms
//! of clear voice for that, which a soft beginning ("how", "sorry") does not give it. A sound counts when it stands out of
//! the line's own noise for 20 ms, so that clicks do not; it is over after 120 ms of quiet, and only then may another
//! begin. Deliberately absent: whether it is a voice (`vad`), whether it is the agent's own (`dsp::echo_guard`), what
//! follows from it (`turn`).

use crate::time::MediaTime;
use callwright_dsp::level;

/// Samples of one level: 5 ms.
const STEP: usize = 40;
/// Steps in a row that are a sound.
const SOUND_STEPS: u32 = 4;
/// Quiet steps after which it is over.
const OVER_STEPS: u32 = 24;
/// By this much a sound stands out of the noise, dB.
const ABOVE_FLOOR_DB: f32 = 9.0;
/// Quieter than this is no sound on any line, and louder than that one on every line, dBFS.
const QUIETEST_DBFS: f32 = -48.0;
const LOUDEST_DBFS: f32 = -30.0;
/// The noise is followed down at once and up by so much a step: 20 dB in a second.
const FLOOR_RISE_DB: f32 = 0.1;
/// The share of a step's level that counts while it is near the noise.
const FLOOR_FOLLOW: f32 = 0.05;

/// One line. See the module.
#[derive(Clone, Debug)]
pub(super) struct Stirring {
    samples: [i16; STEP],
    filled: usize,
    /// The line's own noise, dBFS; `None` before the first step.
    floor: Option<f32>,
    /// Loud steps in a row, and where they began.
    loud: u32,
    began: MediaTime,
    /// A sound goes on; quiet steps in it.
    sounding: bool,
    quiet: u32,
}

impl Default for Stirring {
    fn default() -> Self {
        Self { samples: [0; STEP], filled: 0, floor: None, loud: 0, began: MediaTime(0), sounding: false, quiet: 0 }
    }
}

impl Stirring {
    /// The next samples, the first at `at`. `foreign`: they are not the agent's own voice. Returns where a sound began that
    /// was not there before.
    pub(super) fn handle_audio(&mut self, mut at: MediaTime, mut pcm: &[i16], foreign: bool) -> Option<MediaTime> {
        let mut began = None;
        while !pcm.is_empty() {
            let take = pcm.len().min(STEP - self.filled);
            self.samples[self.filled..self.filled + take].copy_from_slice(&pcm[..take]);
            self.filled += take;
            at = MediaTime(at.0 + take as u64);
            pcm = &pcm[take..];
            if self.filled == STEP {
                self.filled = 0;
                began = self.step(MediaTime(at.0.saturating_sub(STEP as u64)), foreign).or(began);
            }
        }
        began
    }

    /// Audio was lost: what comes next follows on nothing.
    pub(super) fn interrupt(&mut self) {
        (self.filled, self.loud) = (0, 0);
    }

    fn step(&mut self, at: MediaTime, foreign: bool) -> Option<MediaTime> {
        let now = level::dbfs(&self.samples);
        let floor = self.floor.unwrap_or(now.max(-70.0));
        let threshold = (floor + ABOVE_FLOOR_DB).clamp(QUIETEST_DBFS, LOUDEST_DBFS);
        let loud = now >= threshold;
        let near = now < floor + ABOVE_FLOOR_DB;
        let follow = if near { FLOOR_FOLLOW * (now - floor) } else { FLOOR_RISE_DB };
        self.floor = Some((floor + follow).clamp(-80.0, -20.0));
        if !loud {
            self.loud = 0;
            self.quiet += 1;
            self.sounding &= self.quiet < OVER_STEPS;
            return None;
        }
        self.quiet = 0;
        if self.loud == 0 {
            self.began = at;
        }
        self.loud += 1;
        // A sound that was the agent's own voice may turn into somebody's.
        let begins = foreign && !self.sounding && self.loud >= SOUND_STEPS;
        self.sounding |= begins;
        begins.then_some(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: usize = 8;

    fn noise(ms: usize, dbfs: f32, seed: &mut u32) -> Vec<i16> {
        let amplitude = 32_768.0 * 10_f32.powf(dbfs / 20.0) * 3_f32.sqrt();
        (0..ms * MS)
            .map(|_| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((*seed >> 16) as f32 / 32_768.0 - 1.0) * amplitude) as i16
            })
            .collect()
    }

    /// Feeds frames of 20 ms; returns when (ms) it was told that a sound began, and when that was.
    fn run(parts: &[(usize, f32)], foreign: bool) -> Vec<(u64, u64)> {
        let (mut stirring, mut seed, mut pcm) = (Stirring::default(), 1, Vec::new());
        for (ms, dbfs) in parts {
            pcm.extend(noise(*ms, *dbfs, &mut seed));
        }
        let mut told = Vec::new();
        for (n, frame) in pcm.chunks(20 * MS).enumerate() {
            let at = MediaTime((n * 20 * MS) as u64);
            if let Some(began) = stirring.handle_audio(at, frame, foreign) {
                told.push(((n as u64 + 1) * 20, began.0 / MS as u64));
            }
        }
        told
    }

    #[test]
    fn a_soft_beginning_is_told_within_forty_milliseconds_and_only_once() {
        let told = run(&[(1000, -56.0), (60, -43.0), (400, -22.0), (300, -56.0), (300, -25.0)], true);
        let [(first, began), (second, _)] = told[..] else { panic!("{told:?}") };
        assert!((1000..=1005).contains(&began) && first <= 1040, "{told:?}");
        assert!((1780..=1800).contains(&second), "{told:?}");
    }

    #[test]
    fn clicks_noise_that_is_always_there_and_the_agents_own_voice_are_none() {
        assert_eq!(run(&[(1000, -56.0), (12, -20.0), (200, -56.0), (12, -20.0), (200, -56.0)], true), []);
        assert_eq!(run(&[(5000, -56.0)], true), []);
        assert_eq!(run(&[(5000, -38.0)], true), []);
        assert_eq!(run(&[(1000, -56.0), (400, -30.0)], false), []);
    }

    #[test]
    fn noise_that_stays_is_no_sound_after_a_while() {
        // A fan goes on at -40, and somebody speaks up over it.
        let told = run(&[(1000, -60.0), (3000, -40.0), (300, -20.0)], true);
        assert!(told.len() == 2 && told[1].0 <= 4040, "{told:?}");
    }
}
