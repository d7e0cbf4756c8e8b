//! The comfort noise payload, RFC 3389. Purpose: read and write the level and the spectrum of a pause. Pure, any thread, no
//! heap. Invariants: what is written is read back the same but for the coefficients' 8-bit steps; every payload of one octet
//! or more is understood, and its filter is stable. Deliberately absent: the generator (it takes [`NoiseParameters`]), the analysis, when to send.

/// Largest order that is kept; a decoder may leave the higher coefficients away (section 3).
pub const ORDER_MAX: usize = 12;
/// Lowest level that the payload can state, −dBov.
pub const LEVEL_MIN_DBOV: u8 = 127;
/// The overload point, to which dBov refers (section 3.1): root mean square of a full-scale square wave. For μ-law it would be
/// 32,124, which is 0.17 dB less and below the payload's step.
const OVERLOAD: f32 = 32_768.0;
/// Section 3.2: a coefficient is 258 times its step, 15 bits behind the point; the largest stays below 1.
const STEP: f32 = 258.0 / 32_768.0;

/// One description of background noise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoiseParameters {
    /// Level as the negative of dBov: 0 is the loudest, 127 stands for silence.
    pub level_dbov: u8,
    /// Reflection coefficients k₁… in steps of 258/32,768, −127 to 127. 0 behind `order`.
    pub reflections: [i8; ORDER_MAX],
    /// How many of them are said; 0 is white noise.
    pub order: u8,
}

impl Default for NoiseParameters {
    /// Silence.
    fn default() -> Self {
        Self { level_dbov: LEVEL_MIN_DBOV, reflections: [0; ORDER_MAX], order: 0 }
    }
}

impl NoiseParameters {
    /// Reads a payload; `None` for an empty one. The unused top bit of the level is ignored, as is what follows the
    /// twelfth coefficient.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, coefficients) = payload.split_first()?;
        let mut reflections = [0; ORDER_MAX];
        for (reflection, octet) in reflections.iter_mut().zip(coefficients) {
            // 127 is 0; 255 is reserved and would leave the unit circle.
            *reflection = (i16::from(*octet) - 127).min(127) as i8;
        }
        let order = coefficients.len().min(ORDER_MAX) as u8;
        Some(Self { level_dbov: level & 0x7f, reflections, order })
    }

    /// White noise as loud as `rms` (linear, 0–32,768).
    #[must_use]
    pub fn white(rms: f32) -> Self {
        Self { level_dbov: level_of(rms), ..Self::default() }
    }

    /// The same with the spectrum of `coefficients` (−1 to 1; beyond is bounded, no number is 0), of which the first
    /// [`ORDER_MAX`] count.
    #[must_use]
    pub fn with_reflections(mut self, coefficients: &[f32]) -> Self {
        self.reflections = [0; ORDER_MAX];
        for (reflection, k) in self.reflections.iter_mut().zip(coefficients) {
            // In range by `clamp`; NaN becomes 0.
            *reflection = (k / STEP).round().clamp(-127.0, 127.0) as i8;
        }
        self.order = coefficients.len().min(ORDER_MAX) as u8;
        self
    }

    /// Coefficient `n` (from 0) as a number between −1 and 1; 0 behind the order.
    #[must_use]
    pub fn reflection(&self, n: usize) -> f32 {
        self.reflections.get(n).map_or(0.0, |step| f32::from((*step).max(-127)) * STEP)
    }

    /// Root mean square of the noise, linear, 0–32,768.
    #[must_use]
    pub fn rms(&self) -> f32 {
        if self.level_dbov >= LEVEL_MIN_DBOV {
            return 0.0;
        }
        OVERLOAD * 10f32.powf(-f32::from(self.level_dbov) / 20.0)
    }

    /// Writes the payload; returns its octets (1 + order), or `None` when it does not fit.
    #[must_use]
    pub fn write(&self, payload: &mut [u8]) -> Option<usize> {
        let order = usize::from(self.order).min(ORDER_MAX);
        let out = payload.get_mut(..=order)?;
        let (level, coefficients) = out.split_first_mut()?;
        *level = self.level_dbov.min(LEVEL_MIN_DBOV);
        for (octet, reflection) in coefficients.iter_mut().zip(&self.reflections) {
            // −127…127 → 0…254; −128 is not a step.
            *octet = (i16::from(*reflection).max(-127) + 127) as u8;
        }
        Some(order + 1)
    }
}

/// Level of `rms` (linear, 0–32,768) as −dBov, 0–127.
#[must_use]
pub fn level_of(rms: f32) -> u8 {
    if rms.is_nan() || rms <= 0.0 {
        return LEVEL_MIN_DBOV;
    }
    // `as` saturates: in range by `clamp` anyhow.
    (-20.0 * (rms / OVERLOAD).log10()).round().clamp(0.0, f32::from(LEVEL_MIN_DBOV)) as u8
}

/// Body of the fuzz target and of a property test: what is read can be written, and reads the same again.
pub fn fuzz(payload: &[u8]) {
    let Some(noise) = NoiseParameters::parse(payload) else { return };
    assert!(noise.rms() >= 0.0 && noise.rms() <= OVERLOAD);
    assert!((0..=ORDER_MAX).all(|n| noise.reflection(n).abs() < 1.0));
    let mut written = [0; 1 + ORDER_MAX];
    let length = noise.write(&mut written);
    assert_eq!(length, Some(usize::from(noise.order) + 1));
    assert_eq!(length.and_then(|n| NoiseParameters::parse(&written[..n])), Some(noise));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn level_and_coefficients_are_read_as_the_rfc_writes_them() {
        let noise = NoiseParameters::parse(&[0x20, 0, 127, 254]).unwrap();
        assert_eq!((noise.level_dbov, noise.order), (32, 3));
        assert_eq!(noise.reflections[..4], [-127, 0, 127, 0]);
        let largest = 32_766.0 / 32_768.0;
        assert_eq!((noise.reflection(0), noise.reflection(1), noise.reflection(2)), (-largest, 0.0, largest));
        assert_eq!(noise.reflection(3), 0.0);
        assert_eq!(noise.reflection(99), 0.0);
    }

    #[test]
    fn level_alone_is_white_noise_and_nothing_is_nothing() {
        let noise = NoiseParameters::parse(&[0xc0]).unwrap();
        assert_eq!((noise.level_dbov, noise.order), (0x40, 0), "the top bit is not the level's");
        assert_eq!(NoiseParameters::parse(&[]), None);
    }

    #[test]
    fn more_coefficients_than_the_most_are_cut_off() {
        let noise = NoiseParameters::parse(&[200; 100]).unwrap();
        assert_eq!(usize::from(noise.order), ORDER_MAX);
        // 255 is outside of the definition; it is read as 254.
        assert_eq!(NoiseParameters::parse(&[1, 255]).unwrap().reflections[0], 127);
    }

    #[test]
    fn level_is_relative_to_overload() {
        assert_eq!(level_of(32_768.0), 0);
        assert_eq!(level_of(3_276.8), 20);
        assert_eq!(level_of(1.0), 90);
        assert_eq!((level_of(0.0), level_of(-1.0), level_of(f32::NAN)), (127, 127, 127));
        assert_eq!(level_of(1e9), 0);
        let noise = NoiseParameters { level_dbov: 40, ..NoiseParameters::default() };
        assert!((noise.rms() - 327.68).abs() < 0.01);
        assert_eq!(NoiseParameters::default().rms(), 0.0);
        for level in 0..127 {
            assert_eq!(level_of(NoiseParameters { level_dbov: level, ..NoiseParameters::default() }.rms()), level);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let noise = NoiseParameters::white(100.0).with_reflections(&[0.5, -0.25, f32::NAN, 7.0]);
        let mut payload = [0; 5];
        assert_eq!(noise.write(&mut payload[..4]), None);
        assert_eq!(noise.write(&mut payload), Some(5));
        assert_eq!(payload, [50, 127 + 64, 127 - 32, 127, 254]);
    }

    proptest! {
        #[test]
        fn any_payload_is_read_and_written_again(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            fuzz(&payload);
        }
    }
}
