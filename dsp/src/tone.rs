//! Sine tones. Purpose: test tones, ring-back, beeps; continuous across calls to `fill`. Any thread, no heap.
//! Deliberately absent: cadences, dual tones (sum two).

/// One sine oscillator.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl Tone {
    /// `hz` below half of `rate_hz`; `peak_dbfs` is the level of the peaks, 0 = full scale.
    #[must_use]
    pub fn new(hz: f64, rate_hz: u32, peak_dbfs: f64) -> Self {
        Self {
            phase: 0.0,
            step: std::f64::consts::TAU * hz / f64::from(rate_hz),
            amplitude: 32_767.0 * 10f64.powf(peak_dbfs.min(0.0) / 20.0),
        }
    }

    /// Writes the next samples over what is there.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            // Amplitude is at most 32767.
            let value = (self.phase.sin() * self.amplitude).round() as i16;
            *sample = value;
            self.phase += self.step;
            if self.phase >= std::f64::consts::TAU {
                self.phase -= std::f64::consts::TAU;
            }
        }
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
}
