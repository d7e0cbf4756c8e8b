//! Linear prediction. Purpose: the short-term spectrum of a stretch of audio as an all-pole filter: what rings on when
//! speech stops, and the colour of background noise. Any thread; no heap. Invariant: the filter is stable, because every
//! reflection coefficient is below 1 in magnitude. Deliberately absent: quantisation (RFC 3389 payloads are `codec`'s).

/// Highest order.
pub const ORDER_MAX: usize = 16;

/// White noise that is added to the signal before the analysis, relative to its energy (−40 dB): keeps silence and pure
/// tones solvable.
const WHITE_NOISE: f32 = 1e-4;

/// An all-pole model `x[n] = e[n] − Σ a[k]·x[n−k]`, k = 1..=order.
#[derive(Clone, Copy, Debug)]
pub struct Prediction {
    /// `a[1..=order]` at index 0..order.
    coefficients: [f32; ORDER_MAX],
    /// Reflection coefficients k1.. at index 0..order, each in −1..1.
    reflection: [f32; ORDER_MAX],
    order: usize,
    /// Mean square of the residual, in squared sample units.
    residual: f32,
}

impl Prediction {
    /// White: predicts nothing.
    pub const WHITE: Self =
        Self { coefficients: [0.0; ORDER_MAX], reflection: [0.0; ORDER_MAX], order: 0, residual: 0.0 };

    /// Analyses `pcm`, the newest samples weighing most (half of a Hann window that ends high), with `order` (at most 16)
    /// coefficients.
    #[must_use]
    pub fn analyse(pcm: &[i16], order: usize) -> Self {
        let order = order.min(ORDER_MAX).min(pcm.len() / 2);
        let mut correlation = [0.0f32; ORDER_MAX + 1];
        // Sections with an overlap of `order` would do on the stack too; the window is cheap enough to compute twice.
        let length = pcm.len() as f32;
        let windowed = |n: usize| {
            let phase = (n as f32 + 0.5) / length;
            f32::from(pcm[n]) * (0.5 - 0.5 * (core::f32::consts::PI * phase).cos())
        };
        let mut recent = [0.0f32; ORDER_MAX + 1];
        for n in 0..pcm.len() {
            recent.copy_within(..ORDER_MAX, 1);
            recent[0] = windowed(n);
            for (sum, past) in correlation[..=order].iter_mut().zip(recent) {
                *sum += recent[0] * past;
            }
        }
        // Mean of the squared window is 3/8.
        let mean = correlation[0] / (length * 0.375).max(1.0);
        correlation[0] = correlation[0] * (1.0 + WHITE_NOISE) + 1.0;
        let mut prediction = Self::levinson(&correlation[..=order]);
        prediction.residual *= mean;
        prediction
    }

    /// Builds the filter from reflection coefficients, which are clamped to ±0.99, and the mean square of its input.
    #[must_use]
    pub fn from_reflection(reflection: &[f32], residual: f32) -> Self {
        let mut built = Self::WHITE;
        for k in reflection.iter().take(ORDER_MAX) {
            built.push(if k.is_finite() { k.clamp(-0.99, 0.99) } else { 0.0 });
        }
        built.residual = residual.max(0.0);
        built
    }

    /// Levinson and Durbin's recursion; `residual` is relative to `correlation[0]`.
    fn levinson(correlation: &[f32]) -> Self {
        let mut built = Self::WHITE;
        let mut error = correlation[0];
        for next in 1..correlation.len() {
            let predicted: f32 = (0..next - 1).map(|k| built.coefficients[k] * correlation[next - 1 - k]).sum();
            let reflection = -(correlation[next] + predicted) / error;
            if !reflection.is_finite() || reflection.abs() >= 0.999 {
                break;
            }
            built.push(reflection);
            error *= 1.0 - reflection * reflection;
        }
        built.residual = error / correlation[0];
        built
    }

    fn push(&mut self, reflection: f32) {
        let before = self.coefficients;
        for k in 0..self.order {
            self.coefficients[k] = before[k] + reflection * before[self.order - 1 - k];
        }
        self.coefficients[self.order] = reflection;
        self.reflection[self.order] = reflection;
        self.order += 1;
    }

    /// The reflection coefficients.
    #[must_use]
    pub fn reflection(&self) -> &[f32] {
        &self.reflection[..self.order]
    }

    /// Mean square of the residual.
    #[must_use]
    pub const fn residual(&self) -> f32 {
        self.residual
    }

    /// One sample of the synthesis filter: `input` and the outputs before it, newest first (at least `order` of them).
    #[must_use]
    pub fn synthesise(&self, input: f32, past: &[f32; ORDER_MAX]) -> f32 {
        let predicted: f32 = self.coefficients[..self.order].iter().zip(past).map(|(a, x)| a * x).sum();
        input - predicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resonance_is_found() {
        // x[n] = 1.6 x[n-1] − 0.8 x[n-2] + noise
        let (mut past, mut seed) = ([0.0f32; 2], 1u32);
        let pcm: Vec<i16> = (0..2000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 16) as f32 / 32_768.0 - 1.0;
                let x = 1.6f32.mul_add(past[0], -0.8 * past[1]) + 300.0 * noise;
                past = [x, past[0]];
                x as i16
            })
            .collect();
        let found = Prediction::analyse(&pcm, 2);
        assert!((found.coefficients[0] + 1.6).abs() < 0.05, "{found:?}");
        assert!((found.coefficients[1] - 0.8).abs() < 0.05, "{found:?}");
        // Uniform noise of ±300 has a variance of 300²/3.
        assert!((found.residual() / 30_000.0 - 1.0).abs() < 0.25, "{found:?}");
        let again = Prediction::from_reflection(found.reflection(), found.residual());
        assert!((again.coefficients[0] - found.coefficients[0]).abs() < 1e-5);
    }

    #[test]
    fn silence_and_extremes_are_stable() {
        for pcm in [vec![0i16; 160], vec![i16::MIN; 160], vec![7; 3], vec![]] {
            let found = Prediction::analyse(&pcm, 10);
            let mut past = [1000.0f32; ORDER_MAX];
            for _ in 0..2000 {
                let next = found.synthesise(0.0, &past);
                assert!(next.is_finite());
                past.copy_within(..ORDER_MAX - 1, 1);
                past[0] = next;
            }
            assert!(past[0].abs() < 40_000.0, "{found:?}");
        }
    }
}
