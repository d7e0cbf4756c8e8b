//! How alike two pieces of signal are, lag by lag. Purpose: pitch search for concealment and time stretching. Any thread;
//! no state, no heap. Invariants: sums are exact; a signal that is silent is like nothing (0). Deliberately absent:
//! choosing a lag.

use crate::kernel::Kernels;

/// Lags whose sums are held at a time by [`normalised`].
const BLOCK: usize = 64;

/// `out[k]` = sum over n of `x[n] · y[n + k]`, exact. `y` holds `x.len() + out.len() - 1` samples; what is missing counts
/// as zero.
pub fn correlate(x: &[i16], y: &[i16], out: &mut [i64]) {
    Kernels::best().correlate(x, y, out);
}

/// The same divided by the root of the energies of `x` and of the samples that it meets: −1 to 1, and 0 where one of
/// them is silent.
pub fn normalised(x: &[i16], y: &[i16], out: &mut [f32]) {
    let kernels = Kernels::best();
    let own = kernels.energy(x) as f64;
    // Energy of the part of `y` under `x`, moved on by one sample per lag; exact, so nothing builds up.
    let mut other = kernels.energy(&y[..x.len().min(y.len())]);
    let square = |at: usize| y.get(at).map_or(0, |s| u64::from(s.unsigned_abs()).pow(2));
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        let mut sums = [0; BLOCK];
        let sums = &mut sums[..out.len()];
        kernels.correlate(x, y.get(first..).unwrap_or_default(), sums);
        for (k, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let scale = (own * other as f64).sqrt();
            // A ratio needs no 53 bits; the root's rounding may put it a hair beyond 1.
            *out = if scale > 0.0 { (*sum as f64 / scale).clamp(-1.0, 1.0) as f32 } else { 0.0 };
            let lag = first + k;
            other = other + square(lag + x.len()) - square(lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    #[test]
    fn a_period_is_found_where_it_is() {
        let mut pcm = [0i16; 400];
        // 100 Hz at 8 kHz: 80 samples.
        Tone::new(100.0, 8000, -10.0).fill(&mut pcm);
        let mut out = [0.0; 100];
        normalised(&pcm[240..400], &pcm[140..], &mut out);
        let best = (0..60).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap();
        // Lag 0 is 100 samples back.
        assert_eq!(100 - best, 80);
        assert!(out[best] > 0.999, "{}", out[best]);
        assert!(out.iter().all(|c| (-1.0..=1.0).contains(c)));
    }

    #[test]
    fn level_does_not_matter_and_silence_is_like_nothing() {
        let x: Vec<i16> = (0..90).map(|n| ((n * 7919) % 2001 - 1000) as i16).collect();
        let y: Vec<i16> = x.iter().map(|s| s * -9).collect();
        let mut out = [0.0; 1];
        normalised(&x, &y, &mut out);
        assert!((out[0] + 1.0).abs() < 1e-6);
        normalised(&x, &[0; 90], &mut out);
        assert_eq!(out, [0.0]);
        normalised(&[], &y, &mut out);
        assert_eq!(out, [0.0]);
    }

    #[test]
    fn what_is_missing_counts_as_zero() {
        let (x, y) = ([1i16, 2, 3], [10i16, 20, 30, 40]);
        let mut out = [7; 6];
        correlate(&x, &y, &mut out);
        assert_eq!(out, [140, 200, 110, 40, 0, 0]);
        let mut out = [7.0; 6];
        normalised(&x, &y, &mut out);
        assert!(out[3] > 0.0 && out[4] == 0.0 && out[5] == 0.0);
    }

    #[test]
    fn more_lags_than_are_held_at_a_time() {
        let y: Vec<i16> = (0..400).map(|n| ((n * 7919) % 20_011 - 10_000) as i16).collect();
        let mut out = [0.0; 200];
        normalised(&y[150..250], &y, &mut out);
        assert!((out[150] - 1.0).abs() < 1e-6);
        let energy = |x: &[i16]| x.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        for (k, c) in out.iter().enumerate() {
            let sum: f64 = y[150..250].iter().zip(&y[k..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let expected = sum / (energy(&y[150..250]) * energy(&y[k..k + 100])).sqrt();
            assert!((f64::from(*c) - expected).abs() < 1e-6);
        }
    }
}
