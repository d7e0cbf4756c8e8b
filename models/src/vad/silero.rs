//! Silero at 8 kHz, through ONNX Runtime. Purpose: the probability that 32 ms of telephone audio hold speech.
//!
//! Owning thread: the one that made it (a session is used by `&mut`); the memory of each call is its own [`Memory`].
//! Invariant: one chunk costs about 0.1 ms of one core and no thread but the caller's.
//!
//! Graph (silero-vad 6): `input` f32 [1, 32 + 256], `state` f32 [2, 1, 128], `sr` i64 → `output` f32 [1, 1], `stateN`.

use super::{CHUNK_SAMPLES, VadError};
use crate::assets::Assets;
use crate::session;
use ort::session::Session;
use ort::value::TensorRef;
use std::fmt;

/// Samples of the previous chunk that the graph wants to see again.
const CONTEXT_SAMPLES: usize = 32;
const STATE_SIZE: usize = 2 * 128;
/// Who wants the graph, for messages.
const PART: &str = "voice activity detection";

/// What the detector remembers of one call.
#[derive(Clone)]
pub(super) struct Memory {
    state: Box<[f32; STATE_SIZE]>,
    context: [f32; CONTEXT_SAMPLES],
}

impl Default for Memory {
    fn default() -> Self {
        Self { state: Box::new([0.0; STATE_SIZE]), context: [0.0; CONTEXT_SAMPLES] }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The detector.
#[derive(Debug)]
pub(super) struct Silero {
    session: Session,
}

impl Silero {
    /// Loads ONNX Runtime (once per process) and the model.
    pub(super) fn load(assets: &Assets) -> Result<Self, VadError> {
        let session = session::open(assets, PART, &assets.silero()?)?;
        let mut silero = Self { session };
        // Warms the session: its first run allocates.
        silero.speech_probability(&mut Memory::default(), &[0; CHUNK_SAMPLES])?;
        Ok(silero)
    }

    /// Probability 0–1 that the next 32 ms of a call hold speech.
    pub(super) fn speech_probability(
        &mut self,
        memory: &mut Memory,
        samples: &[i16; CHUNK_SAMPLES],
    ) -> Result<f32, VadError> {
        let mut input = [0.0_f32; CONTEXT_SAMPLES + CHUNK_SAMPLES];
        input[..CONTEXT_SAMPLES].copy_from_slice(&memory.context);
        for (to, from) in input[CONTEXT_SAMPLES..].iter_mut().zip(samples) {
            *to = f32::from(*from) / 32_768.0;
        }
        memory.context.copy_from_slice(&input[CHUNK_SAMPLES..]);
        let rate = [8000_i64];
        let scalar: [usize; 0] = [];
        let outputs = self.session.run(ort::inputs! {
            "input" => TensorRef::from_array_view(([1_usize, CONTEXT_SAMPLES + CHUNK_SAMPLES], input.as_slice()))?,
            "state" => TensorRef::from_array_view(([2_usize, 1, 128], memory.state.as_slice()))?,
            "sr" => TensorRef::from_array_view((scalar, rate.as_slice()))?,
        })?;
        let (_, next) = outputs.get("stateN").ok_or(VadError::Shape)?.try_extract_tensor::<f32>()?;
        if next.len() != STATE_SIZE {
            return Err(VadError::Shape);
        }
        memory.state.copy_from_slice(next);
        let (_, output) = outputs.get("output").ok_or(VadError::Shape)?.try_extract_tensor::<f32>()?;
        output.first().copied().ok_or(VadError::Shape)
    }
}
