//! The melody at the end of a stretch of speech. Purpose: voices fall at the end of what they have to say and stay up where
//! they go on; what that looks like is told here, not what it means. Any thread; 1.5 KB, no heap. Invariants: 8 kHz;
//! pitches are relative to the speaker's own, so that no voice is high or low by itself; silence and noise have none.
//! Deliberately absent: where speech ends (voice activity detection), decisions (`turn`).
//!
//! Pitch: the highest normalised autocorrelation between 60 and 400 Hz over 30 ms, every 10 ms, as the first and simplest
//! stage of Talkin, "A robust algorithm for pitch tracking" (1995); octave errors are cut by favouring short periods.

use crate::{correlation, level};

/// Samples between two looks: 10 ms.
const HOP: usize = 80;
/// Samples that are compared: 30 ms.
const WINDOW: usize = 240;
/// Longest period: 60 Hz.
const LAG_MAX: usize = 133;
/// Shortest period: 400 Hz.
const LAG_MIN: usize = 20;
/// Kept: the window and what it is compared with.
const KEPT: usize = WINDOW + LAG_MAX;
/// Looks kept: 800 ms.
const LOOKS: usize = 80;
/// Likeness that makes a look voiced.
const VOICED: f32 = 0.6;
/// A longer period must be this much more alike than a shorter one.
const FAVOUR: f32 = 0.92;
/// Quieter is silence, dBFS.
const SILENT_DBFS: f32 = -55.0;
/// Looks over which the end of the melody is measured: 250 ms of voice.
const TAIL: usize = 25;
/// How fast the speaker's own pitch is learnt: half in some 1.5 s of voice.
const LEARN: f32 = 0.005;

/// One look: 10 ms.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Semitones above 60 Hz; `None` where there is no voice.
    pitch: Option<f32>,
    level_dbfs: f32,
}

/// The end of a stretch of speech.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Contour {
    /// Last pitch, semitones above (or below) the speaker's own.
    pub end: f32,
    /// Slope over the last 250 ms of voice, semitones a second; falling is negative.
    pub slope: f32,
    /// Level of the last 100 ms of voice, dB above (or below) the speaker's own.
    pub end_level: f32,
    /// Length of the last run of voice, ms.
    pub last_voice_ms: u32,
}

/// One speaker's melody.
#[derive(Clone, Debug)]
pub struct Melody {
    samples: [i16; KEPT],
    filled: usize,
    looks: [Look; LOOKS],
    /// Looks so far, those forgotten included.
    count: u64,
    own_pitch: Option<f32>,
    own_level: Option<f32>,
    /// Looks since they were asked for, and those that had a pitch.
    fresh: u32,
    pitched: u32,
}

impl Default for Melody {
    fn default() -> Self {
        let look = Look { pitch: None, level_dbfs: -96.0 };
        Self {
            samples: [0; KEPT],
            filled: 0,
            looks: [look; LOOKS],
            count: 0,
            own_pitch: None,
            own_level: None,
            fresh: 0,
            pitched: 0,
        }
    }
}

impl Melody {
    /// The next samples, in any portions.
    pub fn handle_audio(&mut self, mut pcm: &[i16]) {
        while !pcm.is_empty() {
            let room = (HOP - self.filled).min(pcm.len());
            self.samples.copy_within(room.., 0);
            self.samples[KEPT - room..].copy_from_slice(&pcm[..room]);
            self.filled += room;
            pcm = &pcm[room..];
            if self.filled == HOP {
                self.filled = 0;
                self.look();
            }
        }
    }

    /// The speaker's level while speaking, dBFS; `None` before the first voice.
    #[must_use]
    pub fn own_level(&self) -> Option<f32> {
        self.own_level
    }

    /// Share of the sound since the last question that has a pitch, 0 to 1: voices do, coughs, knocks and wind do not.
    pub fn take_pitched(&mut self) -> f32 {
        let share = if self.fresh == 0 { 0.0 } else { self.pitched as f32 / self.fresh as f32 };
        (self.fresh, self.pitched) = (0, 0);
        share
    }

    /// How the last voice ended; `None` when there was none in the last 800 ms.
    #[must_use]
    pub fn contour(&self) -> Option<Contour> {
        let kept = self.count.min(LOOKS as u64) as usize;
        // From the newest to the oldest.
        let looks = || (1..=kept).map(|back| self.looks[(self.count - back as u64) as usize % LOOKS]);
        let last = looks().position(|look| look.pitch.is_some())?;
        let mut run = 0;
        let mut gap = 0;
        let (mut n, mut sum_t, mut sum_p, mut sum_tt, mut sum_tp) = (0.0_f32, 0.0, 0.0, 0.0, 0.0);
        let (mut end, mut level, mut louds) = (0.0, 0.0, 0.0);
        for (back, look) in looks().enumerate().skip(last) {
            let Some(pitch) = look.pitch else {
                gap += 1;
                // A stop in a word does not end the run.
                if gap > 6 {
                    break;
                }
                continue;
            };
            gap = 0;
            run = back - last + 1;
            if n < TAIL as f32 {
                let t = -(back as f32) * 0.01;
                n += 1.0;
                sum_t += t;
                sum_p += pitch;
                sum_tt += t * t;
                sum_tp += t * pitch;
                if n <= 3.0 {
                    end += pitch;
                }
                if n <= 10.0 {
                    level += look.level_dbfs;
                    louds += 1.0;
                }
            }
        }
        let spread = n * sum_tt - sum_t * sum_t;
        let slope = if spread > 1e-6 { (n * sum_tp - sum_t * sum_p) / spread } else { 0.0 };
        Some(Contour {
            end: end / n.min(3.0) - self.own_pitch.unwrap_or_default(),
            slope: slope.clamp(-120.0, 120.0),
            end_level: level / louds - self.own_level.unwrap_or_default(),
            last_voice_ms: run as u32 * 10,
        })
    }

    fn look(&mut self) {
        let window = &self.samples[KEPT - WINDOW..];
        let level_dbfs = level::dbfs(window);
        let pitch = if level_dbfs < SILENT_DBFS { None } else { self.pitch() };
        self.fresh += 1;
        self.pitched += u32::from(pitch.is_some());
        if let Some(pitch) = pitch {
            learn(&mut self.own_pitch, pitch);
            learn(&mut self.own_level, level_dbfs);
        }
        self.looks[(self.count % LOOKS as u64) as usize] = Look { pitch, level_dbfs };
        self.count += 1;
    }

    /// Semitones above 60 Hz.
    fn pitch(&self) -> Option<f32> {
        let mut likeness = [0.0; LAG_MAX - LAG_MIN + 1];
        // Index 0 is the longest period.
        correlation::normalised(&self.samples[KEPT - WINDOW..], &self.samples, &mut likeness);
        let top = likeness.iter().copied().fold(0.0, f32::max);
        if top < VOICED {
            return None;
        }
        // The shortest period that is nearly as alike as the best, and a peak.
        let alike = |n: usize| likeness.get(n).copied().unwrap_or(-1.0);
        let best = (0..likeness.len()).rev().find(|n| {
            alike(*n) >= FAVOUR * top && alike(*n) >= alike(n + 1) && (*n == 0 || alike(*n) >= alike(n - 1))
        })?;
        let lag = (LAG_MAX - best) as f32;
        Some(12.0 * (8000.0 / lag / 60.0).log2())
    }
}

/// The first value is taken, later ones move it a little; the beginning counts more.
fn learn(own: &mut Option<f32>, value: f32) {
    *own = Some(own.map_or(value, |own| own + LEARN.max(0.02) * (value - own)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like sound whose pitch goes from one frequency to another.
    fn glide(from: f32, to: f32, ms: usize, phase: &mut f32) -> Vec<i16> {
        let count = ms * 8;
        (0..count)
            .map(|n| {
                let hz = from * (to / from).powf(n as f32 / count as f32);
                *phase = (*phase + hz / 8000.0).fract();
                let angle = *phase * core::f32::consts::TAU;
                ((1..10).map(|k| (k as f32 * angle).sin() / k as f32).sum::<f32>() * 4000.0) as i16
            })
            .collect()
    }

    fn after(parts: &[&[i16]]) -> Option<Contour> {
        let mut melody = Melody::default();
        for part in parts {
            for some in part.chunks(123) {
                melody.handle_audio(some);
            }
        }
        melody.contour()
    }

    #[test]
    fn a_fall_a_rise_and_a_level_end_are_told_apart_at_every_pitch() {
        for own in [90.0, 130.0, 210.0] {
            let mut phase = 0.0;
            let flat = glide(own, own, 1500, &mut phase);
            let fall = glide(own, own * 0.75, 300, &mut phase);
            let rise = glide(own, own * 1.3, 300, &mut phase);
            let silence = vec![0; 2400];
            let down = after(&[&flat, &fall, &silence]).unwrap();
            assert!((-20.0..-10.0).contains(&down.slope) && down.end < -3.0, "{own} Hz: {down:?}");
            let up = after(&[&flat, &rise, &silence]).unwrap();
            assert!((9.0..20.0).contains(&up.slope) && up.end > 2.5, "{own} Hz: {up:?}");
            let level = after(&[&flat, &silence]).unwrap();
            assert!(level.slope.abs() < 1.0 && level.end.abs() < 0.5, "{own} Hz: {level:?}");
            assert!(level.last_voice_ms >= 450, "{level:?}");
        }
    }

    #[test]
    fn noise_and_silence_have_no_melody() {
        let mut seed = 1_u32;
        let noise: Vec<i16> = (0..8000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as i16 - 8192
            })
            .collect();
        assert_eq!(after(&[&noise]), None);
        assert_eq!(after(&[&[0; 8000]]), None);
        let mut phase = 0.0;
        let voice = glide(120.0, 120.0, 300, &mut phase);
        assert_eq!(after(&[&voice, &[0; 8000]]), None, "forgotten after 800 ms");
    }

    #[test]
    fn the_last_run_and_its_level_are_those_of_the_last_syllable() {
        let mut phase = 0.0;
        let long = glide(120.0, 120.0, 600, &mut phase);
        let short: Vec<i16> = glide(120.0, 120.0, 120, &mut phase).iter().map(|s| s / 4).collect();
        let contour = after(&[&long, &[0; 1600], &short, &[0; 800]]).unwrap();
        assert!((90..=160).contains(&contour.last_voice_ms), "{contour:?}");
        assert!((-14.0..-7.0).contains(&contour.end_level), "{contour:?}");
    }
}
