//! Tones. Purpose: the oscillator behind keys, call-progress tones and tests, continuous across calls to `fill`; and the
//! call-progress tones themselves: a table of countries ([`Plan`]) and what plays them ([`Cadence`]). Any thread, no heap.
//! Deliberately absent: detection (`dtmf`, `beep`).

mod cadence;
mod plan;

pub use cadence::{Cadence, Signal, UnknownTone};
pub use plan::{Kind, PLANS, Plan, Segment};

/// One sine oscillator: a vector turned by a fixed angle each sample (no sine is computed after `new`; the rounding of
/// 64-bit floats changes its length by less than 0.01 dB a year).
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    cosine: f64,
    sine: f64,
    re: f64,
    im: f64,
}

impl Tone {
    /// `hz` below half of `rate_hz`; `peak_dbfs` is the level of the peaks, 0 = full scale. Starts at a zero crossing.
    #[must_use]
    pub fn new(hz: f64, rate_hz: u32, peak_dbfs: f64) -> Self {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        let amplitude = 32_767.0 * 10f64.powf(peak_dbfs.min(0.0) / 20.0);
        Self { cosine: step.cos(), sine: step.sin(), re: amplitude, im: 0.0 }
    }

    /// The next sample, full scale 32767.
    #[expect(clippy::should_implement_trait, reason = "endless; an Option around every sample would say otherwise")]
    pub fn next(&mut self) -> f64 {
        let value = self.im;
        (self.re, self.im) = (self.re * self.cosine - self.im * self.sine, self.re * self.sine + self.im * self.cosine);
        value
    }

    /// Writes the next samples over what is there.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            // Amplitude is at most 32767.
            *sample = self.next().round() as i16;
        }
    }
}

/// The rise and fall of a switched tone: half a period of a cosine over 2.5 ms, so that switching does not click.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    samples: u32,
}

impl Edge {
    /// For audio at `rate` Hz.
    #[must_use]
    pub const fn new(rate: u32) -> Self {
        Self { samples: rate / 400 }
    }

    /// Gain of the sample at `position` of a tone that lasts `length` samples, 0 to 1.
    #[must_use]
    pub fn gain(self, position: u32, length: u32) -> f64 {
        let distance = position.min(length.saturating_sub(position + 1));
        if distance >= self.samples {
            return 1.0;
        }
        let part = (f64::from(distance) + 0.5) / f64::from(self.samples);
        0.5 - 0.5 * (std::f64::consts::PI * part).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_same_tone_as_the_whole() {
        let (mut whole, mut pieces) = ([0i16; 400], [0i16; 400]);
        Tone::new(440.0, 8000, -6.0).fill(&mut whole);
        let mut tone = Tone::new(440.0, 8000, -6.0);
        for part in pieces.chunks_mut(33) {
            tone.fill(part);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn frequency_and_peak_are_as_asked() {
        let mut pcm = [0i16; 8000];
        Tone::new(1000.0, 8000, -6.0).fill(&mut pcm);
        let crossings = pcm.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
        assert!((999..=1000).contains(&crossings), "{crossings}");
        let peak = pcm.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((16_400..=16_440).contains(&peak), "{peak}");
    }

    #[test]
    fn ten_minutes_later_the_tone_is_the_same() {
        let mut tone = Tone::new(440.0, 8000, 0.0);
        let late = (0..8000 * 600).map(|_| tone.next()).last().unwrap();
        let exact = 32_767.0 * (std::f64::consts::TAU * 440.0 * (8000.0 * 600.0 - 1.0) / 8000.0).sin();
        assert!((late - exact).abs() < 0.01, "{late} {exact}");
    }
}
