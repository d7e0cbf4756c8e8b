//! The double of a speech recogniser: a tiny streaming model of our own, for tests of the path that packs take.
//!
//! | file | holds |
//! |---|---|
//! | `sentences` | what it is taught |
//! | `corpus` | those sentences as telephone audio, with word times |
//! | `front` | audio → features, as nodes of a graph |
//! | `train` | features → weights, in seconds |
//! | `recogniser` | the model file, in T-one's contract |
//! | `pack` | the model as a pack: directory, archive, cache |
//! | `turn_end` | the double of an end-of-turn model |
//! | `onnx` | how model files are written; for other tests too |
//! | `random` | reproducible numbers |
//!
//! Purpose: `make test` installs a real pack, loads it in the real engine and reads real transcripts, without a download and
//! without weights in the repository. It understands [`SENTENCES`], said by Flite's `slt` over a telephone line, and nothing
//! else; it is no product and in no catalogue. Compiled for tests and with the feature `double` only. Any thread.
//! Deliberately absent: decoding (sherpa-onnx does that), everything that a person could use.

mod corpus;
mod front;
pub mod onnx;
mod pack;
mod random;
mod recogniser;
mod sentences;
mod train;
pub(crate) mod turn_end;

pub use corpus::{Line, say};
pub use pack::{NAME, directory, installed, pack, write_archive, write_pack};
pub use random::Random;
pub use sentences::{SENTENCES, vocabulary};
pub use turn_end::write_turn_end_pack;

use crate::assets::AssetError;
use crate::session::SessionError;
use std::io;

/// Who wants ONNX Runtime, for messages.
const PART: &str = "test double";

/// Why the double cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DoubleError {
    /// Flite or ONNX Runtime is missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// ONNX Runtime refuses a graph of ours: our fault.
    #[error("test double: {0}")]
    Runtime(#[from] ort::Error),
    /// A graph of ours answered with something else than it should: our fault.
    #[error("test double: a graph's output has an unknown shape")]
    Shape,
    /// A file cannot be written: the operator's disk.
    #[error("test double: {0}")]
    File(#[from] io::Error),
}

impl From<SessionError> for DoubleError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Asset(error) => Self::Asset(error),
            SessionError::Runtime(error) => Self::Runtime(error),
        }
    }
}

#[cfg(test)]
mod tests;
