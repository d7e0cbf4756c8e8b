//! Earshot: pure Rust, no file, nothing to install. Purpose: a detector that is always there.
//!
//! Owning thread: any; everything lives in the memory of the call. Limits: it is made for 16 kHz, so telephone audio is
//! sent up first and its upper half is empty; noise is taken for speech more often than by Silero (figures in the tests of
//! the parent module). Invariant: one chunk costs about 15 µs of one core.

use super::CHUNK_SAMPLES;
use callwright_dsp::resample::{Rate, Resampler};
use earshot::Detector;
use std::fmt;

/// Samples that the detector judges at once: 16 ms at 16 kHz.
const FRAME_SAMPLES: usize = 256;

/// What the detector remembers of one call, about 8 KiB.
pub(super) struct Memory {
    detector: Box<Detector>,
    up: Resampler,
}

impl Default for Memory {
    fn default() -> Self {
        Self { detector: Detector::default_boxed(), up: Resampler::new(Rate::Hz8000, Rate::Hz16000) }
    }
}

impl Clone for Memory {
    /// A copy remembers nothing: the detector cannot be copied, and nobody goes on from a copy.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Probability 0–1 that the next 32 ms of a call hold speech: the higher of both halves.
pub(super) fn speech_probability(memory: &mut Memory, samples: &[i16; CHUNK_SAMPLES]) -> f32 {
    let mut wide = [0_i16; 2 * CHUNK_SAMPLES];
    memory.up.process(samples, &mut wide);
    let (frames, _) = wide.as_chunks::<FRAME_SAMPLES>();
    frames.iter().map(|frame| memory.detector.predict_i16(frame).clamp(0.0, 1.0)).fold(0.0, f32::max)
}
