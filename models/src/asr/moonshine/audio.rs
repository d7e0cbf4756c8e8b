//! The line's samples as the model wants them (pure). Purpose: 8 kHz integers to 16 kHz reals between silences, and where in
//! them somebody speaks. Any thread. Invariants: the same samples give the same audio, whatever came before. Deliberately
//! absent: the model.

use callwright_dsp::resample::half_band::Upsampler2;

/// Samples per second of the line.
pub(super) const LINE_RATE: usize = 8000;
/// Silence before the turn: the model swallows a first sound that begins at once.
const BEFORE_MS: usize = 100;
/// Silence after it: a last sound is only believed once it is over.
const AFTER_MS: usize = 200;
/// Samples of the line per step of the voice measure, 20 ms.
const STEP: usize = 160;
/// A step counts as voiced within this of the loudest ones (amplitude, −26 dB).
const VOICED: f32 = 0.05;

/// Makes `wide` the turn at 16 kHz, −1 to 1, with silence around it.
pub(super) fn widen(samples: &[i16], wide: &mut Vec<f32>) {
    let mut upsampler = Upsampler2::default();
    let mut pair = [0_i16; 2048];
    wide.clear();
    wide.resize(BEFORE_MS * 16, 0.0);
    for piece in samples.chunks(pair.len() / 2) {
        let made = upsampler.process(piece, &mut pair);
        wide.extend(pair[..made].iter().map(|sample| f32::from(*sample) / 32_768.0));
    }
    wide.resize(wide.len() + AFTER_MS * 16, 0.0);
}

/// Where somebody speaks, in steps of 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voiced {
    steps: Vec<bool>,
}

impl Voiced {
    /// Finds the steps that are about as loud as the loudest of the turn.
    pub(super) fn of(samples: &[i16]) -> Self {
        let levels: Vec<f32> = samples.chunks(STEP).map(level).collect();
        let mut sorted = levels.clone();
        sorted.sort_by(f32::total_cmp);
        // The loudest twentieth is left out: a click is louder than any voice.
        let loud = sorted.get(sorted.len() * 19 / 20).copied().unwrap_or(0.0);
        let steps = levels.iter().map(|level| loud > 0.0 && *level >= loud * VOICED).collect();
        Self { steps }
    }

    /// Time of the voice after which this part (0–1) of it has been heard, milliseconds from the start of the turn.
    pub(super) fn time_ms(&self, part: f32) -> u32 {
        let voiced = self.steps.iter().filter(|voiced| **voiced).count();
        let mut left = (part.clamp(0.0, 1.0) * voiced as f32).max(0.0);
        let step_ms = (STEP * 1000 / LINE_RATE) as f32;
        let mut last = 0.0;
        for (n, _) in self.steps.iter().enumerate().filter(|(_, voiced)| **voiced) {
            last = (n as f32 + left.min(1.0)) * step_ms;
            left -= 1.0;
            if left <= 0.0 {
                break;
            }
        }
        last.round() as u32
    }
}

/// Root mean square, 0–32768.
fn level(samples: &[i16]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f32).sqrt()
}
