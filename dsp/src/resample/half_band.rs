//! 8 kHz ↔ 16 kHz for the speech engines. Purpose: the response that the recogniser's language and endpointing were tried
//! with (flat to 3.3 kHz, half-band); another filter moves what it mishears. Calls use `Resampler`. Delay: 15 samples at
//! 16 kHz (0.94 ms). Any thread; inline state, no heap. Invariants: streaming, so pieces give the same samples as the
//! whole; images and aliases from above 4.7 kHz lie at least 40 dB down, and up to 3.3 kHz the response is within 0.2 dB.
//! Deliberately absent: other ratios, SIMD kernels.
//!
//! One half-band filter serves both ways: a Kaiser-windowed sinc of 31 taps of which every second is zero but the middle.

/// Taps of the half-band filter.
const TAPS: usize = 31;
/// Taps that are not zero, without the middle one.
const BRANCH: usize = TAPS.div_ceil(2);
/// Input samples by which the middle tap lies back in the up-sampler (7 at 8 kHz).
const MIDDLE: usize = BRANCH / 2 - 1;
/// Kaiser window shape: 40 dB and a transition from 3.3 to 4.7 kHz.
const KAISER_BETA: f64 = 3.6;

/// Group delay of either direction, samples at 16 kHz.
pub const DELAY_16K: usize = TAPS / 2;

/// 8 kHz → 16 kHz.
#[derive(Clone, Debug)]
pub struct Upsampler2 {
    branch: [f32; BRANCH],
    past: [f32; BRANCH],
}

impl Default for Upsampler2 {
    fn default() -> Self {
        // Inserting zeros halves the level; the gain of 2 puts it back.
        Self { branch: branch().map(|t| 2.0 * t), past: [0.0; BRANCH] }
    }
}

impl Upsampler2 {
    /// Writes two samples for each of `input`; `output` must hold them, what does not fit is not read. Returns the number
    /// of samples written.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let mut written = 0;
        for (sample, pair) in input.iter().zip(output.chunks_exact_mut(2)) {
            self.past.copy_within(1.., 0);
            self.past[BRANCH - 1] = f32::from(*sample);
            pair[0] = round(dot(&self.branch, &self.past));
            pair[1] = round(self.past[BRANCH - 1 - MIDDLE]);
            written += 2;
        }
        written
    }
}

/// 16 kHz → 8 kHz.
#[derive(Clone, Debug)]
pub struct Downsampler2 {
    branch: [f32; BRANCH],
    /// Samples that meet the branch, and those that meet the middle tap.
    even: [f32; BRANCH],
    odd: [f32; BRANCH],
    /// First half of a pair that the last call ended in.
    first: Option<i16>,
}

impl Default for Downsampler2 {
    fn default() -> Self {
        Self { branch: branch(), even: [0.0; BRANCH], odd: [0.0; BRANCH], first: None }
    }
}

impl Downsampler2 {
    /// Writes one sample for every two of `input`; an odd one waits for the next call. `output` must hold them. Returns
    /// the number of samples written.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let mut written = 0;
        for sample in input {
            let Some(first) = self.first.take() else {
                self.first = Some(*sample);
                continue;
            };
            let Some(place) = output.get_mut(written) else {
                self.first = Some(first);
                break;
            };
            self.odd.copy_within(1.., 0);
            self.odd[BRANCH - 1] = f32::from(first);
            self.even.copy_within(1.., 0);
            self.even[BRANCH - 1] = f32::from(*sample);
            *place = round(dot(&self.branch, &self.even) + 0.5 * self.odd[BRANCH - 1 - MIDDLE]);
            written += 1;
        }
        written
    }
}

fn round(value: f32) -> i16 {
    // `as` saturates: a full-scale square overshoots by the filter's ripple.
    // Saturation is meant.
    value.round() as i16
}

fn dot(taps: &[f32; BRANCH], past: &[f32; BRANCH]) -> f32 {
    taps.iter().zip(past).map(|(t, p)| t * p).sum()
}

/// The taps at odd distances from the middle, scaled so that they sum to exactly a half (unity gain at 0 Hz).
fn branch() -> [f32; BRANCH] {
    let mut taps = [0.0f64; BRANCH];
    let half = (TAPS / 2) as f64;
    for (n, tap) in taps.iter_mut().enumerate() {
        let distance = (2 * n) as f64 - half;
        let angle = std::f64::consts::FRAC_PI_2 * distance;
        let window =
            bessel_i0(KAISER_BETA * (1.0 - (distance / half).powi(2)).max(0.0).sqrt()) / bessel_i0(KAISER_BETA);
        *tap = 0.5 * angle.sin() / angle * window;
    }
    let sum: f64 = taps.iter().sum();
    // Taps are rounded to f32 on purpose.
    taps.map(|t| (t * 0.5 / sum) as f32)
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..30 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbfs;
    use crate::tone::Tone;

    fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        Tone::new(hz, rate, -6.0).fill(&mut pcm);
        pcm
    }

    fn down(pcm: &[i16]) -> Vec<i16> {
        let mut out = vec![0; pcm.len() / 2];
        assert_eq!(Downsampler2::default().process(pcm, &mut out), out.len());
        out
    }

    fn up(pcm: &[i16]) -> Vec<i16> {
        let mut out = vec![0; pcm.len() * 2];
        assert_eq!(Upsampler2::default().process(pcm, &mut out), out.len());
        out
    }

    /// Level of one frequency (Goertzel), dB relative to a full-scale sine.
    fn level_at(pcm: &[i16], hz: f64, rate: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, s) in pcm.iter().enumerate() {
            let angle = std::f64::consts::TAU * hz * n as f64 / rate;
            re += f64::from(*s) * angle.cos();
            im += f64::from(*s) * angle.sin();
        }
        20.0 * (2.0 * re.hypot(im) / pcm.len() as f64 / 32_768.0).log10()
    }

    #[test]
    fn speech_band_passes_unchanged() {
        for hz in [200.0, 1000.0, 2000.0, 3000.0, 3300.0] {
            let level = level_at(&down(&tone(hz, 16_000, 16_000))[400..], hz, 8000.0);
            assert!((level + 6.0).abs() < 0.25, "down {hz}: {level}");
            let level = level_at(&up(&tone(hz, 8000, 8000))[800..], hz, 16_000.0);
            assert!((level + 6.0).abs() < 0.25, "up {hz}: {level}");
        }
    }

    #[test]
    fn aliases_and_images_are_rejected() {
        for hz in [4700.0, 5000.0, 5600.0, 6500.0, 7400.0] {
            let level = dbfs(&down(&tone(hz, 16_000, 16_000))[400..]);
            assert!(level < -9.0 - 40.0, "alias of {hz}: {level}");
        }
        for hz in [300.0, 1000.0, 2000.0, 3300.0] {
            let level = level_at(&up(&tone(hz, 8000, 8000))[800..], 8000.0 - hz, 16_000.0);
            assert!(level < -6.0 - 40.0, "image of {hz}: {level}");
        }
    }

    #[test]
    fn pieces_give_the_same_as_the_whole() {
        let pcm = tone(700.0, 16_000, 3001);
        let whole = down(&pcm);
        let (mut d, mut pieces) = (Downsampler2::default(), Vec::new());
        for part in pcm.chunks(37) {
            let mut out = [0; 37];
            let n = d.process(part, &mut out);
            pieces.extend_from_slice(&out[..n]);
        }
        assert_eq!(whole, pieces);

        let whole = up(&pcm);
        let (mut u, mut pieces) = (Upsampler2::default(), Vec::new());
        for part in pcm.chunks(41) {
            let mut out = [0; 82];
            let n = u.process(part, &mut out);
            pieces.extend_from_slice(&out[..n]);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn delay_is_under_a_millisecond() {
        let mut click = vec![0i16; 200];
        click[50] = 20_000;
        let out = up(&click);
        let peak = (0..out.len()).max_by_key(|n| out[*n].unsigned_abs()).unwrap();
        assert_eq!(peak, 100 + DELAY_16K);
        assert!(DELAY_16K as f64 / 16.0 < 1.0);
        // 16 kHz → 8 kHz: the same 15 samples, counted at 16 kHz from the second of a pair.
        let out = down(&click);
        let peak = (0..out.len()).max_by_key(|n| out[*n].unsigned_abs()).unwrap();
        assert_eq!(peak * 2 + 1, 50 + DELAY_16K);
    }

    #[test]
    fn full_scale_saturates_and_silence_stays_silent() {
        let square: Vec<i16> = (0..800).map(|n| if (n / 10) % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert!(up(&square).iter().all(|s| s.unsigned_abs() <= 32_768));
        assert!(down(&[0; 100]).iter().all(|s| *s == 0));
        // Short output: what does not fit is not consumed.
        let mut out = [0; 3];
        assert_eq!(Upsampler2::default().process(&[1, 2, 3], &mut out), 2);
        let mut d = Downsampler2::default();
        assert_eq!(d.process(&[1; 10], &mut out[..2]), 2);
    }
}
