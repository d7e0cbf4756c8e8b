//! Who has answered a call that we placed: a person or a machine. Purpose: people say a word and wait, machines talk on and
//! beep. Pure: driven by 20 ms frames at 8 kHz. Invariants: one verdict, within [`DECIDE_MAX`] of the answer; after a machine's
//! beep nothing is waited for. Deliberately absent: words (a recogniser would be slower than the greeting is short).
//!
//! What tells them apart is the cadence (as in every product that does this): the length of the first stretch of speech and
//! the silence after it. A beep (`dsp::beep`) settles it.

use crate::limits::FRAME;
use callwright_dsp::beep::Detector;
use callwright_dsp::level;
use std::time::Duration;

/// A verdict comes this long after the answer at the latest.
pub const DECIDE_MAX: Duration = Duration::from_secs(5);
/// Somebody who says nothing for so long is taken for a person who waits for us.
const SILENT: Duration = Duration::from_millis(3500);
/// After speech, this much silence is an end: people wait then.
const PAUSE: Duration = Duration::from_millis(700);
/// Nobody says "hello" for longer; machines say at least this much before they pause.
const HELLO_MAX: Duration = Duration::from_millis(2200);
/// Sound shorter than this is a click.
const WORD_MIN: Duration = Duration::from_millis(100);
/// Sound this far above the quietest of late is speech, dB.
const ABOVE_FLOOR: f32 = 12.0;
/// And no quieter than this, dBFS.
const QUIETEST: f32 = -45.0;

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A person.
    Person,
    /// A machine that is still talking.
    Machine,
    /// A machine that has beeped: it records.
    Beep,
    /// Nobody has said anything.
    Silence,
}

impl Verdict {
    /// As events have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machine => "machine",
            Self::Beep => "beep",
            Self::Silence => "silence",
        }
    }
}

/// Listens to one call from its answer on.
pub struct MachineDetection {
    beeps: Option<Detector>,
    passed: Duration,
    /// Speech in the present stretch, short gaps included, and in all.
    stretch: Duration,
    speech: Duration,
    quiet: Duration,
    floor: f32,
    verdict: Option<Verdict>,
}

impl Default for MachineDetection {
    fn default() -> Self {
        Self {
            // This rate is one that it takes; without, the cadence decides alone.
            beeps: Detector::new(8_000).ok(),
            passed: Duration::ZERO,
            stretch: Duration::ZERO,
            speech: Duration::ZERO,
            quiet: Duration::ZERO,
            floor: -70.0,
            verdict: None,
        }
    }
}

impl MachineDetection {
    /// The next 20 ms. Gives the verdict, and [`Verdict::Beep`] also after [`Verdict::Machine`].
    pub fn handle_frame(&mut self, pcm: &[i16]) -> Option<Verdict> {
        self.passed += FRAME;
        let mut beeped = false;
        if let Some(beeps) = &mut self.beeps {
            beeps.handle_audio(pcm, &mut |_| beeped = true);
        }
        if beeped && self.verdict != Some(Verdict::Beep) {
            return self.decide(Verdict::Beep);
        }
        if self.verdict.is_some() {
            return None;
        }
        let loudness = level::dbfs(pcm);
        // The floor falls at once and rises by 3 dB a second.
        self.floor = loudness.max(-90.0).min(self.floor + 0.06);
        if loudness > QUIETEST.max(self.floor + ABOVE_FLOOR) {
            // A gap within a stretch is of it; the silence before it is not.
            let gap = if self.stretch.is_zero() { Duration::ZERO } else { self.quiet };
            self.stretch += gap + FRAME;
            self.speech += FRAME;
            self.quiet = Duration::ZERO;
        } else {
            self.quiet += FRAME;
        }
        if self.speech < WORD_MIN {
            if self.quiet >= PAUSE {
                (self.stretch, self.speech) = (Duration::ZERO, Duration::ZERO);
            }
            let silent = self.passed >= SILENT;
            return if silent { self.decide(Verdict::Silence) } else { None };
        }
        if self.stretch > HELLO_MAX {
            return self.decide(Verdict::Machine);
        }
        if self.quiet >= PAUSE {
            return self.decide(Verdict::Person);
        }
        if self.passed >= DECIDE_MAX { self.decide(Verdict::Person) } else { None }
    }

    fn decide(&mut self, verdict: Verdict) -> Option<Verdict> {
        self.verdict = Some(verdict);
        self.verdict
    }
}

impl std::fmt::Debug for MachineDetection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineDetection").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Something like a voice: harmonics of 140 Hz that come and go four times a second.
    fn voice(ms: usize) -> Vec<i16> {
        (0..ms * 8)
            .map(|n| {
                let t = n as f64 / 8000.0;
                let syllable = 0.55 + 0.45 * (TAU * 4.0 * t).sin();
                let wave: f64 =
                    (1..12).map(|k| (TAU * 140.0 * f64::from(k) * t + f64::from(k * k)).sin() / f64::from(k)).sum();
                (2500.0 * syllable * wave) as i16
            })
            .collect()
    }

    fn noise(ms: usize) -> Vec<i16> {
        let mut state = 1u32;
        (0..ms * 8)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 26) as i16 - 32
            })
            .collect()
    }

    fn tone(hz: f64, ms: usize) -> Vec<i16> {
        (0..ms * 8).map(|n| (8000.0 * (TAU * hz * n as f64 / 8000.0).sin()) as i16).collect()
    }

    /// Verdicts with the time of each, ms.
    fn verdicts(parts: &[Vec<i16>]) -> Vec<(Verdict, usize)> {
        let mut detection = MachineDetection::default();
        let pcm = parts.concat();
        let frames = pcm.chunks(160).enumerate();
        frames.filter_map(|(n, frame)| Some((detection.handle_frame(frame)?, n * 20))).collect()
    }

    #[test]
    fn a_person_says_hello_and_waits() {
        for hello in [300, 700, 1500, 2000] {
            let found = verdicts(&[noise(400), voice(hello), noise(4000)]);
            assert!(matches!(found[..], [(Verdict::Person, at)] if at < 400 + hello + 900), "{hello}: {found:?}");
        }
    }

    #[test]
    fn a_machine_talks_on_and_beeps() {
        let found = verdicts(&[noise(600), voice(6000), noise(500), tone(1000.0, 500), noise(2000)]);
        assert!(
            matches!(found[..], [(Verdict::Machine, early), (Verdict::Beep, late)] if early < 3200 && late > 7000),
            "{found:?}"
        );
        let at_once = verdicts(&[noise(300), tone(1400.0, 300), noise(3000)]);
        assert_eq!(at_once[0].0, Verdict::Beep, "{at_once:?}");
    }

    #[test]
    fn nobody_and_a_click_are_silence() {
        assert!(matches!(verdicts(&[noise(6000)])[..], [(Verdict::Silence, at)] if at < 3600));
        assert!(matches!(verdicts(&[noise(500), voice(40), noise(6000)])[..], [(Verdict::Silence, _)]));
    }
}
