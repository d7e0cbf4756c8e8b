//! Silero voice activity detection at 8 kHz. Purpose: the probability that 32 ms of telephone audio hold speech.
//!
//! Owning thread: the one that made it (a session is used by `&mut`); the memory of each call is its own [`VadState`].
//! Invariant: one chunk costs about 0.1 ms of one core and no thread but the caller's. Deliberately absent: onset and
//! offset decisions (`speech::vad`).
//!
//! Graph (silero-vad 6): `input` f32 [1, 32 + 256], `state` f32 [2, 1, 128], `sr` i64 → `output` f32 [1, 1], `stateN`.

use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::session::{self, SessionError};
use ort::session::Session;
use ort::value::TensorRef;
use std::fmt;

/// Samples judged at once: 32 ms at 8 kHz.
pub const CHUNK_SAMPLES: usize = 256;
/// Samples of the previous chunk that the graph wants to see again.
const CONTEXT_SAMPLES: usize = 32;
const STATE_SIZE: usize = 2 * 128;
/// Who wants the graph, for messages.
const PART: &str = "voice activity detection";

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

/// What the detector remembers of one call.
#[derive(Clone)]
pub struct VadState {
    memory: Box<[f32; STATE_SIZE]>,
    context: [f32; CONTEXT_SAMPLES],
}

impl Default for VadState {
    fn default() -> Self {
        Self { memory: Box::new([0.0; STATE_SIZE]), context: [0.0; CONTEXT_SAMPLES] }
    }
}

impl fmt::Debug for VadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VadState").finish_non_exhaustive()
    }
}

/// The detector.
#[derive(Debug)]
pub struct Silero {
    session: Session,
}

impl Silero {
    /// Loads ONNX Runtime (once per process) and the model.
    ///
    /// # Errors
    /// [`VadError`]: what to install.
    pub fn load(assets: &Assets) -> Result<Self, VadError> {
        let session = session::open(assets, PART, &assets.silero()?)?;
        let mut silero = Self { session };
        // Warms the session: its first run allocates.
        silero.speech_probability(&mut VadState::default(), &[0; CHUNK_SAMPLES])?;
        Ok(silero)
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
        let mut input = [0.0_f32; CONTEXT_SAMPLES + CHUNK_SAMPLES];
        input[..CONTEXT_SAMPLES].copy_from_slice(&state.context);
        for (to, from) in input[CONTEXT_SAMPLES..].iter_mut().zip(samples) {
            *to = f32::from(*from) / 32_768.0;
        }
        state.context.copy_from_slice(&input[CHUNK_SAMPLES..]);
        let rate = [8000_i64];
        let scalar: [usize; 0] = [];
        let outputs = self.session.run(ort::inputs! {
            "input" => TensorRef::from_array_view(([1_usize, CONTEXT_SAMPLES + CHUNK_SAMPLES], input.as_slice()))?,
            "state" => TensorRef::from_array_view(([2_usize, 1, 128], state.memory.as_slice()))?,
            "sr" => TensorRef::from_array_view((scalar, rate.as_slice()))?,
        })?;
        let (_, memory) = outputs.get("stateN").ok_or(VadError::Shape)?.try_extract_tensor::<f32>()?;
        if memory.len() != STATE_SIZE {
            return Err(VadError::Shape);
        }
        state.memory.copy_from_slice(memory);
        let (_, output) = outputs.get("output").ok_or(VadError::Shape)?.try_extract_tensor::<f32>()?;
        output.first().copied().ok_or(VadError::Shape)
    }
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;
    use crate::tts::Flite;
    use std::ops::ControlFlow;

    fn silero() -> Option<Silero> {
        match Silero::load(&Assets::locate()) {
            Ok(silero) => Some(silero),
            Err(VadError::Asset(error)) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn voiced_share(silero: &mut Silero, samples: &[i16]) -> f32 {
        let mut state = VadState::default();
        let (chunks, _) = samples.as_chunks::<CHUNK_SAMPLES>();
        let voiced = chunks.iter().filter(|chunk| silero.speech_probability(&mut state, chunk).unwrap() > 0.5).count();
        voiced as f32 / chunks.len() as f32
    }

    #[test]
    fn tells_speech_from_silence_and_noise() {
        let Some(mut silero) = silero() else { return };
        let mut seed = 1_u32;
        let noise: Vec<i16> = (0..16_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 20) as i16 - 2048
            })
            .collect();
        assert!(voiced_share(&mut silero, &[0; 16_000]) < 0.02);
        assert!(voiced_share(&mut silero, &noise) < 0.1);
        let Ok(mut rms) = Flite::load(&Assets::locate(), "rms") else { return };
        let mut speech = Vec::new();
        rms.speak("I would like an application for my customers.", &mut |chunk| {
            speech.extend(chunk.iter().step_by(2));
            ControlFlow::Continue(())
        });
        assert!(voiced_share(&mut silero, &speech) > 0.6);
    }
}
