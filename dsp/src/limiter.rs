//! Keeping a sum within full scale. Purpose: what a listener of a mix hears when several speak loudly: the sum turned down,
//! not clipped. Any thread; one number of state per listener. Invariants: no delay; no gain above 1, and exactly 1 while
//! the sum fits; the gain has no jumps. Deliberately absent: automatic gain, loudness of single parties.
//!
//! The gain is a line between the edges of blocks of 2.5 ms, at each edge what the louder of both blocks needs, so that a
//! block is never louder than full scale. Only the first block of a frame can be, since the gain at its beginning was
//! chosen before it was known: that one is saturated while the gain comes down.

use crate::kernel::Kernels;
use crate::resample::Rate;

/// Blocks per second.
const BLOCKS_PER_SECOND: u32 = 400;
/// By how much the gain may rise in a block: 6 dB in 100 ms.
const RELEASE: f32 = 1.017_419_5;
/// Full scale.
const CEILING: u32 = i16::MAX.unsigned_abs() as u32;
/// The lowest sample has no positive counterpart, and may pass.
const FLOOR: u32 = CEILING + 1;

/// Gain of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    gain: f32,
    block: usize,
}

impl Limiter {
    /// At gain 1.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { gain: 1.0, block: (rate.hz() / BLOCKS_PER_SECOND) as usize }
    }

    /// Gain at the end of the last frame, 0 to 1.
    #[must_use]
    pub const fn gain(&self) -> f32 {
        self.gain
    }

    /// Fills `out` with `total` less `own`; all three are of one length.
    pub(crate) fn process(&mut self, kernels: &Kernels, total: &[i32], own: &[i16], out: &mut [i16]) {
        let needed = |total: &[i32], own: &[i16]| match kernels.peak_without(total, own) {
            0..=FLOOR => 1.0,
            // A ratio needs no more bits.
            peak => CEILING as f32 / peak as f32,
        };
        let size = self.block;
        let first = size.min(total.len());
        let mut here = needed(&total[..first], &own[..first]);
        for (n, out) in out.chunks_mut(size).enumerate() {
            let start = n * size;
            let end = start + out.len();
            let beyond = (end + size).min(total.len());
            let next = needed(&total[end..beyond], &own[end..beyond]);
            let to = here.min(next).min(self.gain * RELEASE);
            let step = (to - self.gain) / out.len() as f32;
            kernels.scale_without(&total[start..end], &own[start..end], out, self.gain, step);
            (self.gain, here) = (to, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mixer;
    use crate::tone::Tone;

    /// Two tones, the second only in frames 10 to 19 of 50.
    fn heard(rate: Rate) -> (Vec<i16>, Vec<f32>) {
        let length = rate.hz() as usize / 50;
        let (mut low, mut high) = (Tone::new(300.0, rate.hz(), -1.0), Tone::new(410.0, rate.hz(), -1.0));
        let (mut mixer, mut limiter) = (Mixer::new(), Limiter::new(rate));
        let (mut pcm, mut gains) = (Vec::new(), Vec::new());
        for frame in 0..50 {
            let (mut a, mut b, mut out) = (vec![0; length], vec![0; length], vec![0; length]);
            low.fill(&mut a);
            high.fill(&mut b);
            mixer.begin(length);
            mixer.add(&a);
            if (10..20).contains(&frame) {
                mixer.add(&b);
            }
            mixer.hear(&[], &mut limiter, &mut out);
            pcm.extend_from_slice(&out);
            gains.push(limiter.gain());
        }
        (pcm, gains)
    }

    #[test]
    fn the_gain_comes_down_at_once_and_returns_slowly() {
        for rate in Rate::ALL {
            let (_, gains) = heard(rate);
            assert!(gains[..10].iter().all(|g| *g == 1.0));
            assert!(gains[10..20].iter().all(|g| *g < 0.75), "{gains:?}");
            // 5 dB at 60 dB a second.
            assert!(gains[20] < 0.9 && gains[26] == 1.0, "{gains:?}");
        }
    }

    #[test]
    fn only_the_first_block_of_a_frame_is_ever_saturated() {
        let (pcm, _) = heard(Rate::Hz8000);
        let full = |s: &i16| *s == i16::MAX || *s == i16::MIN;
        for frame in pcm.chunks(160) {
            // What reaches full scale without being cut is a single peak.
            assert!(!frame[20..].windows(2).any(|w| full(&w[0]) && full(&w[1])));
        }
        assert!(pcm[1600..3200].iter().any(|s| s.unsigned_abs() > 32_000), "not turned down too far");
    }

    #[test]
    fn the_gain_does_not_jump() {
        for rate in Rate::ALL {
            let (pcm, _) = heard(rate);
            // A tone of 410 Hz at full scale moves by this much a sample; both together are kept below full scale.
            let steepest = 2.0 * 32_767.0 * std::f64::consts::TAU * 410.0 / f64::from(rate.hz());
            let most = pcm.windows(2).map(|w| (f64::from(w[1]) - f64::from(w[0])).abs()).fold(0.0, f64::max);
            assert!(most < steepest, "{most} of {steepest} at {rate:?}");
        }
    }
}
