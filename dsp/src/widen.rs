//! 8 kHz → 16 kHz with the upper half estimated from examples. Purpose: recognisers made from wideband speech hear "six" as
//! "eight" and "five" as "nine" when everything above 4 kHz is missing.
//!
//! Wideband speech teaches: every 10 ms of it is kept as a pair (shape of the telephone band, levels of four bands above
//! it). Each 10 ms of a call looks up its nearest example; noise with the levels that it had is added above 4 kHz.
//! For recognisers, off the packet path: this module allocates. Invariants: below 4 kHz nothing changes; without examples
//! the upper half stays empty. Deliberately absent: quality for human ears; nobody listens to the result.

use crate::resample::half_band::Upsampler2;
use std::f32::consts::TAU;

/// 10 ms at 8 kHz.
pub const HOP: usize = 80;
/// 20 ms at 8 kHz: the window, and with it bins of 50 Hz.
const WINDOW: usize = 2 * HOP;
const BIN_HZ: usize = 50;
/// Edges of the bands that are looked at, Hz.
const LOW_EDGES: [usize; 10] = [100, 400, 750, 1100, 1500, 1950, 2400, 2850, 3300, 3750];
const LOW: usize = LOW_EDGES.len() - 1;
/// Edges of the bands that are estimated; the acoustic model hears up to 6,800 Hz.
const HIGH_EDGES: [usize; 5] = [4000, 4700, 5400, 6100, 7000];
const HIGH: usize = HIGH_EDGES.len() - 1;
/// Amplitude by which estimates are raised: recognisers would rather have a fricative too loud than too soft.
const GAIN: f32 = 2.0;
/// Frames quieter than this mean square (−60 dBFS) teach nothing.
const QUIET: f32 = 1e-6;
/// One 10 ms of a teacher.
#[derive(Debug, Clone, Copy)]
struct Example {
    low: [f32; LOW],
    /// Log energy of each upper band, relative to the telephone band.
    high: [f32; HIGH],
}

/// The examples, made once.
#[derive(Debug, Clone, Default)]
pub struct Examples(Vec<Example>);

impl Examples {
    /// Takes speech at 16 kHz and the same speech as it comes off the telephone at 8 kHz, sample `n` of the one being sample
    /// `2n` of the other.
    pub fn add(&mut self, wide: &[i16], narrow: &[i16]) {
        let (low_spectrum, high_spectrum) = (Spectrum::new(WINDOW, LOW_EDGES), Spectrum::new(2 * WINDOW, HIGH_EDGES));
        for start in (0..narrow.len().saturating_sub(WINDOW)).step_by(HOP) {
            let low: [f32; LOW] = low_spectrum.energies(&narrow[start..start + WINDOW]);
            let Some(above) = wide.get(2 * start..2 * (start + WINDOW)) else { return };
            let high: [f32; HIGH] = high_spectrum.energies(above);
            let total: f32 = low.iter().sum();
            if total >= QUIET {
                self.0.push(Example { low: shape(&low, total), high: high.map(|e| log(e / total)) });
            }
        }
    }

    /// Takes over another teacher's examples.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True before the first [`add`](Self::add).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Levels above the telephone band for this shape of it; none without examples.
    fn look_up(&self, low: &[f32; LOW]) -> Option<[f32; HIGH]> {
        // The nearest one alone: the mean of several is a mumble (spoken numbers misheard, of 75: nearest 0, mean of 6
        // 1 to 4, of 16 19).
        let distance = |e: &Example| low.iter().zip(&e.low).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        self.0.iter().map(|e| (distance(e), e)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, e)| e.high)
    }
}

fn log(energy: f32) -> f32 {
    energy.max(1e-9).ln()
}

fn shape(low: &[f32; LOW], total: f32) -> [f32; LOW] {
    low.map(|e| log(e / total).max(-12.0))
}

/// Energies in a few bands of one window, by the definition of the Fourier transform: slow, and fast enough.
#[derive(Debug, Clone)]
struct Spectrum<const EDGES: usize> {
    edges: [usize; EDGES],
    window: Vec<f32>,
    cosines: Vec<f32>,
}

impl<const EDGES: usize> Spectrum<EDGES> {
    fn new(length: usize, edges: [usize; EDGES]) -> Self {
        let n = length as f32;
        Self {
            edges,
            window: (0..length).map(|i| 0.5 - 0.5 * (TAU * (i as f32 + 0.5) / n).cos()).collect(),
            cosines: (0..length).map(|i| (TAU * i as f32 / n).cos()).collect(),
        }
    }

    /// Mean square of each band, full scale = 1; `pcm` has the window's length.
    fn energies<const BANDS: usize>(&self, pcm: &[i16]) -> [f32; BANDS] {
        let length = self.window.len();
        let samples: Vec<f32> = pcm.iter().zip(&self.window).map(|(&s, w)| f32::from(s) / 32_768.0 * w).collect();
        std::array::from_fn(|band| {
            let bins = self.edges[band] / BIN_HZ..self.edges[band + 1] / BIN_HZ;
            bins.map(|bin| {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, s) in samples.iter().enumerate() {
                    // The sine is the cosine a quarter turn earlier.
                    re += s * self.cosines[i * bin % length];
                    im += s * self.cosines[(i * bin + 3 * length / 4) % length];
                }
                (re * re + im * im) * 2.0 / (length as f32 * length as f32)
            })
            .sum()
        })
    }
}

/// Streaming 8 → 16 kHz.
#[derive(Debug)]
pub struct Widener {
    examples: Examples,
    upsampler: Upsampler2,
    spectrum: Spectrum<{ LOW + 1 }>,
    noise: [BandNoise; HIGH],
    seed: u64,
    /// The last window of input and the hop of output that waits for the levels at its end.
    window: Vec<i16>,
    waiting: Vec<i16>,
    /// Amplitudes at the start of the waiting hop.
    levels: [f32; HIGH],
}

impl Widener {
    /// Ready for the first sample.
    pub fn new(examples: Examples) -> Self {
        let mut seed = 1;
        let noise = std::array::from_fn(|band| BandNoise::new(HIGH_EDGES[band], HIGH_EDGES[band + 1], &mut seed));
        Self {
            examples,
            upsampler: Upsampler2::default(),
            spectrum: Spectrum::new(WINDOW, LOW_EDGES),
            noise,
            seed,
            window: Vec::with_capacity(WINDOW + HOP),
            waiting: Vec::with_capacity(2 * HOP),
            levels: [0.0; HIGH],
        }
    }

    /// Takes 8 kHz samples, gives 16 kHz samples; 10 to 20 ms behind.
    pub fn process(&mut self, pcm: &[i16]) -> Vec<i16> {
        let mut out = Vec::with_capacity(2 * pcm.len() + 2 * HOP);
        self.window.extend_from_slice(pcm);
        while self.window.len() >= WINDOW + HOP {
            self.window.drain(..HOP);
            self.hop(&mut out);
        }
        out
    }

    /// The window has moved on by one hop: the waiting hop can leave, the next one waits.
    fn hop(&mut self, out: &mut Vec<i16>) {
        let low: [f32; LOW] = self.spectrum.energies(&self.window[..WINDOW]);
        let total: f32 = low.iter().sum();
        let levels = match self.examples.look_up(&shape(&low, total.max(1e-9))) {
            Some(high) => high.map(|h| GAIN * (h.exp() * total).sqrt()),
            None => [0.0; HIGH],
        };
        let step = 1.0 / self.waiting.len().max(1) as f32;
        for (i, &sample) in self.waiting.iter().enumerate() {
            let share = i as f32 * step;
            let mut value = f32::from(sample);
            for ((noise, from), to) in self.noise.iter_mut().zip(&self.levels).zip(&levels) {
                value += 32_768.0 * (from + (to - from) * share) * noise.next(&mut self.seed);
            }
            out.push(value as i16);
        }
        self.levels = levels;
        self.waiting.resize(2 * HOP, 0);
        self.upsampler.process(&self.window[..HOP], &mut self.waiting);
    }
}

/// White noise in one band, of mean square 1.
#[derive(Debug, Clone)]
struct BandNoise {
    filters: [Resonance; 2],
    gain: f32,
}

impl BandNoise {
    fn new(from_hz: usize, to_hz: usize, seed: &mut u64) -> Self {
        let mut noise = Self { filters: [Resonance::new(from_hz, to_hz); 2], gain: 1.0 };
        let n = 16_000;
        let power: f32 = (0..n).map(|_| noise.next(seed).powi(2)).sum::<f32>() / n as f32;
        noise.gain = power.max(1e-12).sqrt().recip();
        noise
    }

    fn next(&mut self, seed: &mut u64) -> f32 {
        // Knuth's linear congruential generator: any noise will do.
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let white = (*seed >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
        let [first, second] = &mut self.filters;
        self.gain * second.next(first.next(white))
    }
}

/// A band-pass of second order at 16 kHz.
#[derive(Debug, Clone, Copy)]
struct Resonance {
    gain: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
}

impl Resonance {
    fn new(from_hz: usize, to_hz: usize) -> Self {
        let (from, to) = (from_hz as f32, to_hz as f32);
        let centre = TAU * (from + to) / 2.0 / 16_000.0;
        let alpha = centre.sin() * (to - from) / (from + to);
        let a0 = 1.0 + alpha;
        Self { gain: alpha / a0, a1: -2.0 * centre.cos() / a0, a2: (1.0 - alpha) / a0, x: [0.0; 2], y: [0.0; 2] }
    }

    fn next(&mut self, x: f32) -> f32 {
        let y = self.gain * (x - self.x[1]) - self.a1 * self.y[0] - self.a2 * self.y[1];
        self.x = [x, self.x[0]];
        self.y = [y, self.y[0]];
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    /// Half a second of a "vowel" (tones below 1 kHz) and half a second of a "hiss" (noise from 3 to 7 kHz), at 16 kHz.
    fn vowel_and_hiss() -> Vec<i16> {
        let mut pcm = vec![0i16; 16_000];
        Tone::new(500.0, 16_000, -15.0).fill(&mut pcm[..8000]);
        let mut seed = 7;
        let mut bands = [BandNoise::new(3000, 4000, &mut seed), BandNoise::new(4000, 7000, &mut seed)];
        for sample in &mut pcm[8000..] {
            *sample = (1500.0 * bands.iter_mut().map(|b| b.next(&mut seed)).sum::<f32>()) as i16;
        }
        pcm
    }

    fn narrow(wide: &[i16]) -> Vec<i16> {
        let delay = crate::resample::half_band::DELAY_16K / 2;
        let mut out = vec![0; wide.len() / 2 + delay];
        let padded: Vec<i16> = wide.iter().copied().chain(std::iter::repeat_n(0, 2 * delay)).collect();
        crate::resample::half_band::Downsampler2::default().process(&padded, &mut out);
        out.split_off(delay)
    }

    fn above_4_khz(pcm: &[i16]) -> f32 {
        let spectrum = Spectrum::new(2 * WINDOW, HIGH_EDGES);
        let windows = pcm.chunks_exact(2 * WINDOW);
        let n = windows.len() as f32;
        windows.map(|w| spectrum.energies::<HIGH>(w).iter().sum::<f32>()).sum::<f32>() / n
    }

    fn widened(examples: Examples, pcm: &[i16]) -> Vec<i16> {
        let mut widener = Widener::new(examples);
        pcm.chunks(160).flat_map(|frame| widener.process(frame)).collect()
    }

    #[test]
    fn a_hiss_gets_its_upper_half_back_and_a_vowel_stays_without() {
        let wide = vowel_and_hiss();
        let narrow = narrow(&wide);
        let mut examples = Examples::default();
        examples.add(&wide, &narrow);
        assert!(examples.len() > 80);
        let out = widened(examples, &narrow);
        assert!(out.len() + 4 * WINDOW >= wide.len(), "{} of {}", out.len(), wide.len());
        let (vowel, hiss) = (above_4_khz(&out[640..7000]), above_4_khz(&out[9000..15_000]));
        let wanted = above_4_khz(&wide[9000..15_000]);
        assert!((hiss / wanted).log10().abs() < 0.6, "within 6 dB: {hiss:e} for {wanted:e}");
        assert!(vowel < wanted / 300.0, "{vowel:e} in a vowel");
    }

    #[test]
    fn without_examples_the_upper_half_stays_empty() {
        let out = widened(Examples::default(), &narrow(&vowel_and_hiss()));
        assert!(above_4_khz(&out[640..7000]) < 1e-7);
        assert!(Examples::default().is_empty());
    }

    #[test]
    fn nothing_that_comes_in_panics() {
        let mut examples = Examples::default();
        examples.add(&[i16::MIN; 1000], &[i16::MAX; 700]);
        examples.add(&[], &[1; 500]);
        let mut widener = Widener::new(examples);
        for n in [0, 1, 79, 80, 81, 1000] {
            widener.process(&vec![i16::MIN; n]);
        }
    }
}
