//! Whisper's log-mel features of 8 seconds. Purpose: what the smart-turn model was trained on, number for number.
//!
//! As `WhisperFeatureExtractor(chunk_length=8)` with `do_normalize` makes them: the waveform to zero mean and unit
//! variance; 400-sample periodic Hann windows every 160 samples, centred, edges reflected; power spectrum; 80 Slaney mel
//! bands over 0–8 kHz; log10, at most 8 below the maximum; (x + 4) / 4. Pure, any thread. Invariant: no heap after `new`.
//! Deliberately absent: other window lengths, other rates.

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

/// Samples per second.
pub const RATE_HZ: usize = 16_000;
/// Samples looked at: 8 s.
pub const WINDOW_SAMPLES: usize = 8 * RATE_HZ;
/// Mel bands.
pub(super) const BANDS: usize = 80;
/// Frames, one every 10 ms.
pub(super) const FRAMES: usize = WINDOW_SAMPLES / HOP_SAMPLES;

const HOP_SAMPLES: usize = 160;
const FFT_SAMPLES: usize = 400;
const LINES: usize = FFT_SAMPLES / 2 + 1;
/// What a frame reaches to each side of its centre.
const EDGE_SAMPLES: usize = FFT_SAMPLES / 2;
/// Added to the variance, as the reference does.
const VARIANCE_FLOOR: f64 = 1e-7;
/// Least energy of a band.
const ENERGY_FLOOR: f32 = 1e-10;
/// Nothing is further below the maximum than this many powers of ten.
const RANGE: f32 = 8.0;

/// A band's weights on the lines of the spectrum that it covers.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// The extractor with its tables.
pub struct Features {
    fft: Arc<dyn RealToComplex<f32>>,
    scratch: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    frame: Vec<f32>,
    hann: Vec<f32>,
    bands: Vec<Band>,
    /// The waveform with its edges.
    audio: Vec<f32>,
    /// [bands, frames].
    made: Vec<f32>,
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Features").finish_non_exhaustive()
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::new()
    }
}

impl Features {
    /// Makes the tables.
    #[must_use]
    pub fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FFT_SAMPLES);
        Self {
            scratch: fft.make_scratch_vec(),
            spectrum: fft.make_output_vec(),
            frame: fft.make_input_vec(),
            fft,
            hann: (0..FFT_SAMPLES).map(|n| (0.5 - 0.5 * (TAU * n as f64 / FFT_SAMPLES as f64).cos()) as f32).collect(),
            bands: slaney_bands(),
            audio: vec![0.0; WINDOW_SAMPLES + 2 * EDGE_SAMPLES],
            made: vec![0.0; BANDS * FRAMES],
        }
    }

    /// Features [80, 800] of the last 8 s of 16 kHz `samples`; what is missing is silence at the front.
    pub fn compute(&mut self, samples: &[i16]) -> &[f32] {
        self.take(samples);
        let mut loudest = f32::NEG_INFINITY;
        for frame in 0..FRAMES {
            let at = frame * HOP_SAMPLES;
            let windowed = self.audio[at..at + FFT_SAMPLES].iter().zip(&self.hann).map(|(sample, hann)| sample * hann);
            self.frame.iter_mut().zip(windowed).for_each(|(to, sample)| *to = sample);
            // Fails only for buffers of other lengths than the plan's own.
            let done = self.fft.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
            debug_assert!(done.is_ok());
            for (n, band) in self.bands.iter().enumerate() {
                let lines = &self.spectrum[band.first..band.first + band.weights.len()];
                let energy: f32 = lines.iter().zip(&band.weights).map(|(line, weight)| line.norm_sqr() * weight).sum();
                let level = energy.max(ENERGY_FLOOR).log10();
                loudest = loudest.max(level);
                self.made[n * FRAMES + frame] = level;
            }
        }
        for level in &mut self.made {
            *level = (level.max(loudest - RANGE) + 4.0) / 4.0;
        }
        &self.made
    }

    /// The waveform with zero mean and unit variance, reflected at its edges.
    fn take(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(WINDOW_SAMPLES)..];
        let (mut sum, mut squares) = (0_i64, 0_i64);
        for sample in samples {
            sum += i64::from(*sample);
            squares += i64::from(*sample) * i64::from(*sample);
        }
        let mean = sum as f64 / WINDOW_SAMPLES as f64;
        let variance = squares as f64 / WINDOW_SAMPLES as f64 - mean * mean;
        // The reference works on samples within ±1; its floor counts on that scale.
        let full_scale = 32_768.0;
        let scale = 1.0 / ((variance / (full_scale * full_scale) + VARIANCE_FLOOR).sqrt() * full_scale);
        let normal = |sample: f64| ((sample - mean) * scale) as f32;
        let (begin, end) = (EDGE_SAMPLES, EDGE_SAMPLES + WINDOW_SAMPLES);
        let speech = end - samples.len();
        self.audio[begin..speech].fill(normal(0.0));
        for (to, sample) in self.audio[speech..end].iter_mut().zip(samples) {
            *to = normal(f64::from(*sample));
        }
        for n in 1..=EDGE_SAMPLES {
            self.audio[begin - n] = self.audio[begin + n];
            self.audio[end - 1 + n] = self.audio[end - 1 - n];
        }
    }
}

/// Hertz of a point on Slaney's mel scale: linear to 1 kHz (15 mel), then logarithmic, 27 mel from 1 to 6.4 kHz.
fn slaney_hz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * (6.4_f64.ln() / 27.0 * (mel - 15.0)).exp() }
}

/// Triangles between points evenly spaced in mel from 0 to half the rate, each of unit area.
fn slaney_bands() -> Vec<Band> {
    let nyquist = RATE_HZ as f64 / 2.0;
    let highest = 15.0 + (nyquist / 1000.0).ln() * 27.0 / 6.4_f64.ln();
    let point = |n: usize| slaney_hz(highest * n as f64 / (BANDS + 1) as f64);
    (0..BANDS)
        .map(|n| {
            let (low, centre, high) = (point(n), point(n + 1), point(n + 2));
            let weight = |line: usize| {
                let hz = nyquist * line as f64 / (LINES - 1) as f64;
                let slope = ((hz - low) / (centre - low)).min((high - hz) / (high - centre));
                (slope.max(0.0) * 2.0 / (high - low)) as f32
            };
            let first = (0..LINES).find(|line| weight(*line) > 0.0).unwrap_or(0);
            let weights = (first..LINES).map(weight).take_while(|weight| *weight > 0.0).collect();
            Band { first, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `signal` in `whisper_features.py`.
    fn signal(length: usize) -> Vec<i16> {
        let mut seed = 1_u32;
        let sample = |n: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (seed >> 22) as i64 - 512;
            let saw = (n * (200 + 37 * (n / 8000)) % RATE_HZ) as i64 - 8000;
            [saw + noise, noise.div_euclid(64), saw.div_euclid(8) + noise][n / 4000 % 3] as i16
        };
        (0..length).map(sample).collect()
    }

    #[test]
    fn the_reference_makes_the_same_numbers() {
        let mut features = Features::new();
        let mut signals = 0;
        let fixture = include_str!("../../tests/reference/whisper_features.txt");
        for line in fixture.lines().filter(|line| !line.starts_with('#')) {
            let mut numbers = line.split(' ');
            let length = numbers.next().unwrap().parse().unwrap();
            let wanted: Vec<f32> = numbers.map(|number| number.parse().unwrap()).collect();
            let made = features.compute(&signal(length));
            let made: Vec<f32> = made.iter().copied().step_by(131).collect();
            assert_eq!(made.len(), wanted.len());
            let off = made.iter().zip(&wanted).map(|(made, wanted)| (made - wanted).abs()).fold(0.0, f32::max);
            assert!(off < 2e-5, "{length} samples: {off}");
            signals += 1;
        }
        assert_eq!(signals, 4);
    }

    #[test]
    fn what_came_before_does_not_matter() {
        let mut features = Features::new();
        let fresh = features.compute(&signal(9000)).to_vec();
        features.compute(&signal(WINDOW_SAMPLES + 7));
        assert_eq!(features.compute(&signal(9000)), fresh);
    }

    #[test]
    fn silence_and_nothing_are_numbers() {
        let mut features = Features::new();
        for samples in [&[][..], &[0; 5], &[i16::MIN; 700], &[i16::MAX; WINDOW_SAMPLES]] {
            assert!(features.compute(samples).iter().all(|feature| feature.is_finite()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn any_audio_lies_within_two_of_its_loudest(samples in proptest::collection::vec(any::<i16>(), 0..3000)) {
            let mut features = Features::new();
            let made = features.compute(&samples);
            let loudest = made.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            prop_assert!(made.iter().all(|feature| *feature >= loudest - RANGE / 4.0 - 1e-3));
        }
    }
}
