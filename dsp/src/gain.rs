//! Level changes that do not click. Purpose: ducking, fades, a mixer's input levels. Any thread; no state, no heap.
//! Invariants: saturates; silence stays silence. Deliberately absent: choosing a gain (that is a limiter's or turn-taking's
//! work).

use crate::kernel::Kernels;

/// The most by which [`ramp`] amplifies: 36 dB.
pub const GAIN_MAX: f32 = 64.0;

/// Amplitude ratio of a level change, dB.
#[must_use]
pub fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// Multiplies by a gain that begins as `from` and goes straight towards `to`, which the sample after the last would have:
/// a ramp cut into blocks is the same ramp. Gains are amplitude ratios from 0 to [`GAIN_MAX`], others count as the
/// nearest of them, and one that is no number as 0.
pub fn ramp(pcm: &mut [i16], from: f32, to: f32) {
    let bounded = |gain: f32| if gain.is_nan() { 0.0 } else { gain.clamp(0.0, GAIN_MAX) };
    let (from, to) = (bounded(from), bounded(to));
    // Both ends common in a call that nobody ducks.
    if from == to && from == 1.0 {
        return;
    }
    if from == to && from == 0.0 {
        pcm.fill(0);
        return;
    }
    let step = (to - from) / pcm.len().max(1) as f32;
    Kernels::best().gain(pcm, from, step);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_goes_from_one_gain_to_just_before_the_other() {
        let mut pcm = [1000i16; 10];
        ramp(&mut pcm, 0.0, 1.0);
        assert_eq!(pcm, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        let mut pcm = [1000i16; 160];
        ramp(&mut pcm[..80], 1.0, 0.5);
        ramp(&mut pcm[80..], 0.5, 0.0);
        assert_eq!((pcm[0], pcm[40], pcm[80], pcm[120]), (1000, 750, 500, 250));
        assert!(pcm.windows(2).all(|w| w[0] >= w[1] && w[0] - w[1] <= 7));
    }

    #[test]
    fn loud_saturates_and_nonsense_is_silence() {
        let mut pcm = [20_000i16, -20_000, i16::MIN, i16::MAX];
        ramp(&mut pcm, 2.0, 2.0);
        assert_eq!(pcm, [i16::MAX, i16::MIN, i16::MIN, i16::MAX]);
        ramp(&mut pcm, f32::INFINITY, f32::INFINITY);
        assert_eq!(pcm, [i16::MAX, i16::MIN, i16::MIN, i16::MAX]);
        ramp(&mut pcm, f32::NAN, -1.0);
        assert_eq!(pcm, [0; 4]);
        ramp(&mut [], 0.0, 1.0);
    }

    #[test]
    fn one_changes_nothing_and_decibels_are_ratios() {
        let mut pcm = [i16::MIN, -1, 0, 1, i16::MAX];
        let copy = pcm;
        ramp(&mut pcm, 1.0, 1.0);
        assert_eq!(pcm, copy);
        assert!((from_db(-20.0) - 0.1).abs() < 1e-6 && (from_db(6.0206) - 2.0).abs() < 1e-4);
    }
}
