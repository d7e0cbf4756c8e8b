//! Comfort noise. Purpose: know what the background of a stream sounds like, and make more of it: for silence suppression
//! (RFC 3389) and under a long concealment, where a hole would be heard as a dropped call. Media workers; inline state, no
//! heap. Invariants: deterministic for a seed; never louder than a quarter of full scale. Deliberately absent: the octets
//! of RFC 3389 (`codec`), voice detection.

use crate::codec::comfort_noise::{self, NoiseParameters};
use crate::lpc::{ORDER_MAX, Prediction};

/// Coefficients of our own estimate: enough for a fan or a street.
const ORDER: usize = 8;
/// A background above this RMS is none (−38 dB): speech all the time.
const RMS_MAX: f32 = 400.0;
/// Noise is not made louder than this RMS, whatever a sender asks for.
const FILL_RMS_MAX: f32 = 8_192.0;
/// Without a quieter moment the estimate may rise by this factor (of the mean square) every 10 ms: 3 dB in 3.5 s.
const RISE: f32 = 1.002;

/// The background of one stream: the colour and level of its quietest moments.
#[derive(Clone, Debug)]
pub struct Background {
    model: Prediction,
    /// Mean square up to which a stretch counts as background.
    floor: f32,
    mean_square: f32,
}

impl Default for Background {
    fn default() -> Self {
        Self { model: Prediction::WHITE, floor: RMS_MAX * RMS_MAX, mean_square: 0.0 }
    }
}

impl Background {
    /// Takes 10 to 20 ms of received audio.
    pub fn handle_received(&mut self, pcm: &[i16]) {
        if pcm.len() < 2 * ORDER {
            return;
        }
        let mean_square = crate::level::rms(pcm).powi(2);
        self.floor = (self.floor * RISE).min(RMS_MAX * RMS_MAX);
        if mean_square <= self.floor {
            // One unit squared is the quantisation of silence.
            self.floor = mean_square.max(1.0);
            self.model = Prediction::analyse(pcm, ORDER);
            self.mean_square = mean_square;
        }
    }

    /// RMS of the background; 0 while none was heard.
    #[must_use]
    pub fn rms(&self) -> f32 {
        self.mean_square.sqrt()
    }

    /// Its shape, for [`ComfortNoise`].
    #[must_use]
    pub const fn model(&self) -> &Prediction {
        &self.model
    }
}

/// A source of shaped noise.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    model: Prediction,
    /// Highest value of the evenly distributed excitation.
    excitation: f32,
    past: [f32; ORDER_MAX],
    seed: u32,
}

impl ComfortNoise {
    /// Silent until told what to sound like. The same `seed` makes the same noise.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        Self { model: Prediction::WHITE, excitation: 0.0, past: [0.0; ORDER_MAX], seed }
    }

    /// Sounds like `background` from now on.
    pub fn handle_background(&mut self, background: &Background) {
        self.shape(*background.model(), background.rms());
    }

    /// Sounds as RFC 3389 says. A sender's oddities (too loud, coefficients at ±1) are brought to the nearest sane value.
    pub fn handle_parameters(&mut self, parameters: &NoiseParameters) {
        let mut reflection = [0.0; comfort_noise::ORDER_MAX];
        for (n, reflection) in reflection.iter_mut().enumerate() {
            *reflection = parameters.reflection(n);
        }
        let order = usize::from(parameters.order).min(reflection.len());
        self.shape(Prediction::from_reflection(&reflection[..order], 0.0), parameters.rms());
    }

    fn shape(&mut self, model: Prediction, rms: f32) {
        // What the filter amplifies: 1 / Π(1 − k²).
        let narrowing: f32 = model.reflection().iter().map(|k| 1.0 - k * k).product();
        self.model = model;
        // Evenly distributed over ±x has a mean square of x²/3.
        self.excitation = rms.min(FILL_RMS_MAX) * (3.0 * narrowing).sqrt();
    }

    /// Adds noise at `level` (1.0: as it was described) to `pcm`.
    pub fn add(&mut self, pcm: &mut [i16], level: impl Fn(usize) -> f32) {
        if self.excitation <= 0.0 {
            return;
        }
        for (n, sample) in pcm.iter_mut().enumerate() {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let even = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
            let noise = self.model.synthesise(even * self.excitation, &self.past);
            self.past.copy_within(..ORDER_MAX - 1, 1);
            self.past[0] = noise;
            *sample = (f32::from(*sample) + noise * level(n)).clamp(-32_768.0, 32_767.0) as i16;
        }
    }

    /// Fills `pcm` with noise.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        pcm.fill(0);
        self.add(pcm, |_| 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::rms;

    fn described(level_dbov: u8, reflection: &[f32]) -> NoiseParameters {
        NoiseParameters { level_dbov, ..NoiseParameters::default() }.with_reflections(reflection)
    }

    #[test]
    fn the_level_is_what_was_asked_for() {
        for (level, reflection) in [(30, vec![]), (40, vec![0.5, -0.3]), (50, vec![-0.9, 0.6, 0.1])] {
            let mut noise = ComfortNoise::new(1);
            noise.handle_parameters(&described(level, &reflection));
            let mut pcm = [0; 16_000];
            noise.fill(&mut pcm);
            let db = 20.0 * (rms(&pcm) / 32_768.0).log10();
            assert!((db + f32::from(level)).abs() < 0.7, "{level}: {db}");
        }
    }

    #[test]
    fn the_background_is_found_under_speech() {
        let mut source = ComfortNoise::new(9);
        source.handle_parameters(&described(60, &[-0.8, 0.4]));
        let mut background = Background::default();
        for n in 0..300 {
            let mut pcm = [0; 160];
            source.fill(&mut pcm);
            if n % 10 < 7 {
                for (k, sample) in pcm.iter_mut().enumerate() {
                    *sample += (6000.0 * (k as f32 * 0.3).sin()) as i16;
                }
            }
            background.handle_received(&pcm);
        }
        let db = 20.0 * (background.rms() / 32_768.0).log10();
        assert!((-63.0..-58.0).contains(&db), "{db}");
        assert!((background.model().reflection()[0] + 0.8).abs() < 0.2);
    }

    #[test]
    fn deterministic_and_bounded_whatever_is_asked() {
        let (mut a, mut b) = (ComfortNoise::new(3), ComfortNoise::new(3));
        for (level, reflection) in [(0, [5.0, f32::NAN, -7.0]), (255, [1.0, 1.0, 1.0]), (1, [-1.0, -1.0, 0.0])] {
            a.handle_parameters(&described(level, &reflection));
            b.handle_parameters(&described(level, &reflection));
            let (mut x, mut y) = ([0; 4000], [0; 4000]);
            a.fill(&mut x);
            b.fill(&mut y);
            assert_eq!(x, y);
            assert!(rms(&x) < 1.5 * FILL_RMS_MAX);
        }
        let mut silent = ComfortNoise::new(1);
        let mut pcm = [5; 10];
        silent.fill(&mut pcm);
        assert_eq!(pcm, [0; 10]);
    }
}
