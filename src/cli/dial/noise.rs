//! Sounds that are no words. Purpose: what a caller's line carries beside the caller, made from numbers so that it is the
//! same on every machine. Pure, before the call. Invariant: about as loud as a person there would be (`level` of a step makes
//! it louder or quieter). Deliberately absent: recordings (`play` takes any WAV).

use super::wave::RATE_HZ;

/// A sound by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Two coughs.
    Cough,
    /// Three knocks on wood.
    Knock,
    /// Typing.
    Keys,
    /// A breath into the microphone.
    Breath,
    /// A fan: two seconds of steady noise.
    Fan,
    /// A room full of people: two seconds of voices of which no word is to be made out, as far away as they are.
    Babble,
}

/// All of them with their names.
pub const NOISES: [(&str, Noise); 6] = [
    ("cough", Noise::Cough),
    ("knock", Noise::Knock),
    ("keys", Noise::Keys),
    ("breath", Noise::Breath),
    ("fan", Noise::Fan),
    ("babble", Noise::Babble),
];

impl Noise {
    /// As written in a script.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = NOISES.iter().find(|(name, _)| *name == text).map(|(_, noise)| *noise);
        found.ok_or_else(|| format!("sound = {text:?}: give one of {}", NOISES.map(|(name, _)| name).join(", ")))
    }

    /// As written in a script.
    #[must_use]
    pub fn name(self) -> &'static str {
        NOISES.iter().find(|(_, noise)| *noise == self).map_or("noise", |(name, _)| name)
    }

    /// Its samples, 8 kHz.
    #[must_use]
    pub fn samples(self) -> Vec<i16> {
        let mut hiss = Hiss(self as u32 + 1);
        match self {
            Self::Cough => [hiss.burst(170, 9000.0, 3.0), silence(120), hiss.burst(150, 7000.0, 4.0)].concat(),
            Self::Knock => (0..3)
                .flat_map(|_| {
                    let knock = (0..samples_in(60))
                        .map(|n| (11_000.0 * (-(n as f32) / 90.0).exp() * (n as f32 * 0.17).sin()) as i16);
                    knock.chain(silence(150)).collect::<Vec<_>>()
                })
                .collect(),
            Self::Keys => {
                (0..10).flat_map(|n| [hiss.burst(12, 5000.0, 5.0), silence(70 + 23 * (n % 4))].concat()).collect()
            }
            Self::Breath => hiss.swell(600, 0.3, 2500.0),
            Self::Fan => hiss.swell(2000, 0.1, 6000.0),
            Self::Babble => {
                // Shorter than what is left of a greeting: whether the agent went on is seen only after it.
                let mut sum = vec![0.0; samples_in(2000)];
                for talker in 0..TALKERS {
                    hiss.talk(85.0 + 18.0 * talker as f32, &mut sum);
                }
                let size = (sum.iter().map(|s| s * s).sum::<f32>() / sum.len() as f32).sqrt().max(1e-6);
                sum.iter().map(|sample| (sample / size * BABBLE_RMS) as i16).collect()
            }
        }
    }
}

/// People in the room.
const TALKERS: usize = 8;
/// Their loudness together: -36 dBFS, some 15 dB below who holds the telephone.
const BABBLE_RMS: f32 = 520.0;

struct Hiss(u32);

impl Hiss {
    /// −1 to 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as f32 / 32_768.0 - 1.0
    }

    fn burst(&mut self, ms: usize, peak: f32, decay: f32) -> Vec<i16> {
        let length = samples_in(ms);
        (0..length)
            .map(|n| {
                let t = n as f32 / length as f32;
                (self.next() * peak * (t * 40.0).min(1.0) * (-decay * t).exp()) as i16
            })
            .collect()
    }

    /// Adds a voice of this pitch, Hz: pulses through two formants, which are others in each syllable.
    fn talk(&mut self, pitch: f32, sum: &mut [f32]) {
        let rate = RATE_HZ as f32;
        let (mut at, mut phase) = (0, 0.0);
        while at < sum.len() {
            let syllable = samples_in(120 + (90.0 * (self.next() + 1.0)) as usize);
            let (low, high) = (520.0 + 240.0 * self.next(), 1500.0 + 650.0 * self.next());
            let (rise, loud) = (1.0 + 0.12 * self.next(), 1.0 + 0.6 * self.next());
            let mut formants = [Formant::new(low, 90.0), Formant::new(high, 140.0)];
            for (n, sample) in sum[at..].iter_mut().take(syllable).enumerate() {
                let t = n as f32 / syllable as f32;
                phase += pitch * (1.0 + (rise - 1.0) * t) / rate;
                let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
                phase %= 1.0;
                let [low, high] = &mut formants;
                let voice = low.next(pulse) + 0.5 * high.next(pulse);
                *sample += voice * loud * (std::f32::consts::PI * t).sin();
            }
            at += syllable + samples_in(if self.next() > 0.5 { 260 } else { 25 });
        }
    }

    /// Noise that comes and goes; the smaller `bright`, the darker.
    fn swell(&mut self, ms: usize, bright: f32, peak: f32) -> Vec<i16> {
        let length = samples_in(ms);
        let mut before = 0.0;
        (0..length)
            .map(|n| {
                before += bright * (self.next() - before);
                (before * (std::f32::consts::PI * n as f32 / length as f32).sin() * peak) as i16
            })
            .collect()
    }
}

/// A resonance.
struct Formant {
    one: f32,
    two: f32,
    before: [f32; 2],
}

impl Formant {
    /// Of these frequencies, Hz.
    fn new(at: f32, width: f32) -> Self {
        let radius = (-std::f32::consts::PI * width / RATE_HZ as f32).exp();
        let angle = 2.0 * std::f32::consts::PI * at / RATE_HZ as f32;
        Self { one: 2.0 * radius * angle.cos(), two: -radius * radius, before: [0.0; 2] }
    }

    fn next(&mut self, input: f32) -> f32 {
        let out = input + self.one * self.before[0] + self.two * self.before[1];
        self.before = [out, self.before[0]];
        out
    }
}

fn samples_in(ms: usize) -> usize {
    ms * RATE_HZ as usize / 1000
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; samples_in(ms)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_dsp::level;

    #[test]
    fn each_is_heard_by_its_name_and_the_same_every_time() {
        for (name, noise) in NOISES {
            assert_eq!((Noise::parse(name), noise.name()), (Ok(noise), name));
            let samples = noise.samples();
            assert_eq!(samples, noise.samples());
            let loudest = samples.chunks(80).map(level::dbfs).fold(-100.0, f32::max);
            assert!((-36.0..-8.0).contains(&loudest), "{name}: {loudest} dBFS");
        }
        assert!(Noise::parse("sneeze").is_err_and(|why| why.contains("cough")));
    }
}
