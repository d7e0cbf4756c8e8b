//! The line's samples as the model wants them (pure). Purpose: 8 kHz integers to 16 kHz reals, and where in
//! them somebody speaks. Any thread. Invariants: the same samples give the same audio, whatever came before. Deliberately
//! absent: the model.

use callwright_dsp::resample::half_band::Upsampler2;

/// Samples per second of the line.
pub(super) const LINE_RATE: usize = 8000;
/// Shortest turn that the encoder takes, and then some. No silence is put around longer ones: a turn has the line's own
/// noise around it, and a step from digital silence into that made more words wrong (25.0 % instead of 21.8 %).
const SHORTEST_MS: usize = 200;
/// Samples of the line per step of the voice measure, 20 ms.
const STEP: usize = 160;
/// Below this root mean square nobody speaks: twice the smallest step of μ-law. The model is sure of noise, and not of this.
const SILENT: f32 = 16.0;
/// Steps of the shortest word, 80 ms.
const WORD_STEPS: usize = 4;
/// A step counts as voiced within this of the loudest ones (amplitude, −26 dB).
const VOICED: f32 = 0.05;

/// Makes `wide` the turn at 16 kHz, −1 to 1, with silence behind one that is too short.
pub(super) fn widen(samples: &[i16], wide: &mut Vec<f32>) {
    let mut upsampler = Upsampler2::default();
    let mut pair = [0_i16; 2048];
    wide.clear();
    for piece in samples.chunks(pair.len() / 2) {
        let made = upsampler.process(piece, &mut pair);
        wide.extend(pair[..made].iter().map(|sample| f32::from(*sample) / 32_768.0));
    }
    wide.resize(wide.len().max(SHORTEST_MS * 16), 0.0);
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
        let steps = levels.iter().map(|level| loud > SILENT && *level >= loud * VOICED).collect();
        Self { steps }
    }

    /// Whether there is less than the shortest word takes.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.iter().filter(|voiced| **voiced).count() < WORD_STEPS
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(ms: usize, amplitude: f32) -> impl Iterator<Item = i16> {
        (0..ms * 8).map(move |n| (amplitude * (n as f32 * 0.4).sin()) as i16)
    }

    #[test]
    fn a_turn_is_twice_as_many_samples_and_never_too_few() {
        let mut wide = Vec::new();
        for (samples, expected) in [(0, 3200), (800, 3200), (8000, 16_000), (8001, 16_002)] {
            widen(&vec![i16::MIN; samples], &mut wide);
            assert_eq!(wide.len(), expected);
            assert!(wide.iter().all(|sample| (-1.0..=1.0).contains(sample)));
        }
    }

    #[test]
    fn time_passes_where_somebody_speaks() {
        let samples: Vec<i16> =
            tone(400, 20.0).chain(tone(600, 8000.0)).chain(tone(400, 20.0)).chain(tone(600, 8000.0)).collect();
        let voiced = Voiced::of(&samples);
        let at = |part: f32| voiced.time_ms(part);
        assert!((at(0.0).abs_diff(400)) <= 20 && at(0.25).abs_diff(700) <= 20, "{} {}", at(0.0), at(0.25));
        assert!(at(0.75).abs_diff(1700) <= 20 && at(1.0).abs_diff(2000) <= 20, "{} {}", at(0.75), at(1.0));
        assert_eq!((at(-1.0), at(9.0), at(f32::NAN)), (at(0.0), at(1.0), at(0.0)));
    }

    #[test]
    fn digital_silence_its_last_bit_and_a_click_hold_no_voice() {
        assert!(Voiced::of(&[]).is_empty());
        assert!(Voiced::of(&[0; 8000]).is_empty());
        assert!(Voiced::of(&[8, -8].repeat(4000)).is_empty());
        assert!(Voiced::of(&tone(40, 9000.0).collect::<Vec<_>>()).is_empty());
        assert!(!Voiced::of(&tone(1000, 100.0).collect::<Vec<_>>()).is_empty());
    }
}
