//! Voice activity detection. Purpose: the probability that 32 ms of telephone audio hold speech, whichever engine there is.
//!
//! | file | engine |
//! |---|---|
//! | `silero` | the good one: a neural model of 8 kHz speech, through ONNX Runtime |
//! | `earshot` | the one that is always there: pure Rust |
//!
//! Owning thread: the one that made the detector; the memory of each call is its own [`VadState`]. Invariant: 8 kHz, chunks
//! of [`CHUNK_SAMPLES`]. Deliberately absent: onset and offset decisions, the energy gate (`speech::vad`).

mod earshot;
mod silero;

use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::session::SessionError;

/// Samples judged at once: 32 ms at 8 kHz.
pub const CHUNK_SAMPLES: usize = 256;

/// Why speech cannot be detected.
#[derive(Debug, thiserror::Error)]
pub enum VadError {
    /// Library or model missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// ONNX Runtime failed on the model: the installation is damaged.
    #[error("voice activity detection: {0}; install it again with: {SETUP_COMMAND}")]
    Runtime(#[from] ort::Error),
    /// The model answered with something else than a probability.
    #[error(
        "voice activity detection: the model's output has an unknown shape; install it again with: {SETUP_COMMAND}"
    )]
    Shape,
}

impl From<SessionError> for VadError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Asset(error) => Self::Asset(error),
            SessionError::Runtime(error) => Self::Runtime(error),
        }
    }
}

/// What a detector remembers of one call; fresh by default.
#[derive(Clone, Debug, Default)]
pub struct VadState(Memory);

#[derive(Clone, Debug, Default)]
enum Memory {
    /// Nothing yet: the first chunk makes it that of the engine which hears it.
    #[default]
    Fresh,
    Silero(silero::Memory),
    Earshot(Box<earshot::Memory>),
}

/// A detector.
#[derive(Debug)]
pub struct Detector(Engine);

#[derive(Debug)]
enum Engine {
    Silero(silero::Silero),
    Earshot,
}

impl Detector {
    /// Silero: loads ONNX Runtime (once per process) and the model.
    ///
    /// # Errors
    /// [`VadError`]: what to install. [`Detector::earshot`] serves without it.
    pub fn silero(assets: &Assets) -> Result<Self, VadError> {
        Ok(Self(Engine::Silero(silero::Silero::load(assets)?)))
    }

    /// Earshot, which needs nothing.
    #[must_use]
    pub const fn earshot() -> Self {
        Self(Engine::Earshot)
    }

    /// For people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Engine::Silero(_) => "silero 8 kHz",
            Engine::Earshot => "earshot",
        }
    }

    /// Probability 0–1 that the next 32 ms of a call hold speech.
    ///
    /// # Errors
    /// [`VadError::Runtime`] when the model cannot be run.
    pub fn speech_probability(
        &mut self,
        state: &mut VadState,
        samples: &[i16; CHUNK_SAMPLES],
    ) -> Result<f32, VadError> {
        match &mut self.0 {
            Engine::Silero(silero) => {
                if !matches!(state.0, Memory::Silero(_)) {
                    state.0 = Memory::Silero(silero::Memory::default());
                }
                let Memory::Silero(memory) = &mut state.0 else { return Err(VadError::Shape) };
                silero.speech_probability(memory, samples)
            }
            Engine::Earshot => {
                if !matches!(state.0, Memory::Earshot(_)) {
                    state.0 = Memory::Earshot(Box::default());
                }
                let Memory::Earshot(memory) = &mut state.0 else { return Err(VadError::Shape) };
                Ok(earshot::speech_probability(memory, samples))
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so, a comparison prints its figures")]
mod tests {
    use super::*;
    use crate::tts::Flite;
    use std::ops::ControlFlow;

    /// Where speech begins by default (`vad.threshold`).
    const THRESHOLD: f32 = 0.6;

    fn silero() -> Option<Detector> {
        match Detector::silero(&Assets::locate()) {
            Ok(silero) => Some(silero),
            Err(VadError::Asset(error)) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn noise(samples: usize, amplitude: f32) -> Vec<i16> {
        let mut seed = 1_u32;
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((seed >> 16) as f32 / 32_768.0 - 1.0) * amplitude) as i16
            })
            .collect()
    }

    /// A voice at 8 kHz.
    fn said(voice: &str, text: &str) -> Option<Vec<i16>> {
        let mut flite = Flite::load(&Assets::locate(), voice).ok()?;
        let mut speech = Vec::new();
        let mut down = callwright_dsp::resample::half_band::Downsampler2::default();
        flite.speak(text, &mut |chunk| {
            let mut narrow = vec![0; chunk.len() / 2 + 1];
            let made = down.process(chunk, &mut narrow);
            speech.extend_from_slice(&narrow[..made]);
            ControlFlow::Continue(())
        });
        Some(speech)
    }

    fn probabilities(detector: &mut Detector, samples: &[i16]) -> Vec<f32> {
        let mut state = VadState::default();
        let (chunks, _) = samples.as_chunks::<CHUNK_SAMPLES>();
        chunks.iter().map(|chunk| detector.speech_probability(&mut state, chunk).unwrap()).collect()
    }

    fn voiced_share(detector: &mut Detector, samples: &[i16]) -> f32 {
        let probabilities = probabilities(detector, samples);
        let voiced = probabilities.iter().filter(|probability| **probability > THRESHOLD).count();
        voiced as f32 / probabilities.len() as f32
    }

    #[test]
    fn every_engine_tells_speech_from_silence_and_noise() {
        for mut detector in silero().into_iter().chain([Detector::earshot()]) {
            let name = detector.name();
            assert!(voiced_share(&mut detector, &[0; 16_000]) < 0.02, "{name}");
            assert!(voiced_share(&mut detector, &noise(16_000, 2048.0)) < 0.1, "{name}");
            let Some(speech) = said("rms", "I would like an application for my customers.") else { continue };
            let share = voiced_share(&mut detector, &speech);
            assert!(share > 0.6, "{name}: {share}");
        }
    }

    /// Share of chunks in which both engines say the same, over voices and levels of noise.
    #[test]
    fn earshot_mostly_agrees_with_silero() {
        let Some(mut silero) = silero() else { return };
        for (snr_db, at_least) in [(40.0_f32, 0.9), (20.0, 0.9), (10.0, 0.85), (5.0, 0.8)] {
            let (mut same, mut missed, mut invented, mut all) = (0, 0, 0, 0);
            for voice in ["rms", "slt", "awb"] {
                let Some(speech) = said(voice, "I would like an application for my customers, with notes and deals.")
                else {
                    return;
                };
                let mut samples = vec![0; 8000];
                samples.extend(&speech);
                samples.extend([0; 8000]);
                let power = speech.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / speech.len() as f32;
                // Even noise of amplitude a has a power of a²/3.
                let amplitude = (3.0 * power / 10_f32.powf(snr_db / 10.0)).sqrt();
                for (sample, noise) in samples.iter_mut().zip(noise(200_000, amplitude)) {
                    *sample = sample.saturating_add(noise);
                }
                let judged = probabilities(&mut silero, &samples);
                let other = probabilities(&mut Detector::earshot(), &samples);
                for (a, b) in judged.iter().zip(&other) {
                    let (a, b) = (*a > THRESHOLD, *b > THRESHOLD);
                    all += 1;
                    same += usize::from(a == b);
                    missed += usize::from(a && !b);
                    invented += usize::from(!a && b);
                }
            }
            let share = same as f32 / all as f32;
            eprintln!("{snr_db} dB: {share:.3} of {all} chunks alike; earshot missed {missed}, invented {invented}");
            assert!(share >= at_least, "{snr_db} dB: {share}");
        }
    }
}
