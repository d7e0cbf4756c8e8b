//! Synthesised speech with the times of its words. Purpose: what the double is trained and tested on.
//!
//! Flite at 8 kHz over a G.711 line, louder and softer, with and without noise, beginning anywhere. Deterministic. Any
//! thread. Deliberately absent: features, labels (`train`).

use super::front::RATE_HZ;
use super::random::Random;
use crate::assets::{AssetError, Assets};
use crate::tts::Flite;
use callwright_dsp::codec::g711;
use callwright_dsp::resample::{Rate, Resampler};
use std::ops::ControlFlow;

/// Who speaks.
const VOICE: &str = "slt";

/// A sentence as it was said.
pub(super) struct Spoken {
    /// 8 kHz.
    pub(super) samples: Vec<i16>,
    /// Words and where they end, in samples.
    pub(super) words: Vec<(String, usize)>,
}

/// Says sentences.
pub(super) struct Speaker(Flite);

impl Speaker {
    pub(super) fn load(assets: &Assets) -> Result<Self, AssetError> {
        Flite::load(assets, VOICE).map(Self)
    }

    pub(super) fn say(&mut self, sentence: &str) -> Spoken {
        let mut wide = Vec::new();
        let words = self.0.speak(sentence, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let mut samples = vec![0; wide.len() / 2 + 1];
        let made = Resampler::new(Rate::Hz16000, Rate::Hz8000).process(&wide, &mut samples).written;
        samples.truncate(made);
        let samples_in = |ms: u32| ms as usize * RATE_HZ / 1000;
        let words = words.into_iter().map(|word| (word.word, samples_in(word.end_ms))).collect();
        Spoken { samples, words }
    }
}

/// A sentence as the double knows it: `slt` at 8 kHz, before any line.
///
/// # Errors
/// [`AssetError`] when Flite is not installed.
pub fn say(assets: &Assets, sentence: &str) -> Result<Vec<i16>, AssetError> {
    Ok(Speaker::load(assets)?.say(sentence).samples)
}

/// A telephone line.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Silence before the speech, in samples.
    pub before: usize,
    /// Silence after it, in samples.
    pub after: usize,
    /// Factor on the voice.
    pub gain: f32,
    /// Peak of the noise, on the scale of 16-bit samples.
    pub noise: f32,
}

impl Line {
    /// What comes out of the line: 8 kHz, coded and decoded as G.711 µ-law.
    #[must_use]
    pub fn carry(&self, speech: &[i16], random: &mut Random) -> Vec<i16> {
        let mut samples = vec![0; self.before + speech.len() + self.after];
        samples[self.before..self.before + speech.len()].copy_from_slice(speech);
        // A plain loop over whole numbers: this crate is not optimised when it is tested.
        let (gain, noise) = ((self.gain * 65_536.0) as i64, (self.noise * 65_536.0) as i64);
        for sample in &mut samples {
            let noise = ((i64::from(random.bits()) - (1 << 31)) * noise) >> 47;
            *sample = (((i64::from(*sample) * gain) >> 16) + noise).clamp(-32_768, 32_767) as i16;
        }
        let mut octets = vec![0; samples.len()];
        g711::encode_ulaw(&samples, &mut octets);
        g711::decode_ulaw(&octets, &mut samples);
        samples
    }
}
