//! How much of a sound lies above its first formant. Purpose: tells a murmur ("mm-hm", lips closed: next to all of its energy
//! lies below 700 Hz; Fant, "Acoustic theory of speech production", 1960) from words, of which some sound is always open.
//! Owned by whoever hears one call; no allocation. Deliberately absent: what follows from it (`turn`).

/// Sections of a fourth-order Butterworth high-pass at 750 Hz for 8 kHz: b0 (b1 is −2 b0, b2 is b0), a1, a2.
const HIGH_PASS: [(f32, f32, f32); 2] = [(0.605_13, -1.098_9, 0.321_64), (0.755_18, -1.371_38, 0.649_35)];
/// What is quieter than the loudest chunks by this is left out of the judgement of a whole sound: breath, stops.
pub const BELOW_LOUDEST_DB: f32 = 8.0;

/// One line's. See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brightness {
    sections: [(f32, f32); 2],
    high: f32,
    all: f32,
}

impl Brightness {
    /// The next samples, 8 kHz.
    pub fn handle_audio(&mut self, pcm: &[i16]) {
        for sample in pcm {
            let mut x = f32::from(*sample);
            self.all += x * x;
            for ((b0, a1, a2), (s1, s2)) in HIGH_PASS.into_iter().zip(&mut self.sections) {
                let y = b0 * x + *s1;
                *s1 = -2.0 * b0 * x - a1 * y + *s2;
                *s2 = b0 * x - a2 * y;
                x = y;
            }
            self.high += x * x;
        }
    }

    /// Energy above 750 Hz against all of it since it was last taken, dB; 0 of silence.
    pub fn take_db(&mut self) -> f32 {
        let share = if self.all > 0.0 { (self.high / self.all).clamp(1e-6, 1.0) } else { 1.0 };
        (self.high, self.all) = (0.0, 0.0);
        10.0 * share.log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32) -> f32 {
        let mut brightness = Brightness::default();
        let pcm: Vec<i16> =
            (0..2400).map(|n| (8000.0 * (std::f32::consts::TAU * hz * n as f32 / 8000.0).sin()) as i16).collect();
        brightness.handle_audio(&pcm[..800]);
        brightness.take_db();
        brightness.handle_audio(&pcm[800..]);
        brightness.take_db()
    }

    #[test]
    fn a_hum_is_dark_and_a_vowels_second_formant_is_not() {
        assert!(tone(270.0) < -30.0, "{}", tone(270.0));
        assert!((tone(750.0) + 3.0).abs() < 0.3, "{}", tone(750.0));
        for hz in [1200.0, 2000.0, 3300.0] {
            assert!(tone(hz) > -1.0, "{hz}: {}", tone(hz));
        }
        assert_eq!(Brightness::default().take_db(), 0.0);
    }
}
