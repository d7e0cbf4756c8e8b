//! Speech recognition engines. Purpose: what every engine answers with; one file an engine.
//!
//! | file | engine |
//! |---|---|
//! | `moonshine` | the embedded one: any English, whole turns |
//! | `pocketsphinx` | the embedded one where that is missing: words of the agent's domain only |
//! | `sherpa_online` | packs that recognise as they hear |
//! | `sherpa_offline` | packs that recognise whole turns |
//! | `written` | what those write, as words |
//!
//! Owning thread: whichever made the engine. Deliberately absent: endpointing, pooling, choice of engine (`speech`).

pub mod moonshine;
pub mod pocketsphinx;
pub mod sherpa_offline;
pub mod sherpa_online;
mod written;

pub use moonshine::{Draft, Guide, Moonshine, Unguided};
pub use pocketsphinx::{Decoder, DecoderPlan, PocketSphinx, SAMPLE_RATE, Search, Tuning};
pub use sherpa_offline::{OfflineEngine, OfflinePlan};
pub use sherpa_online::{OnlineEngine, OnlinePlan, OnlineTurn};

use crate::assets::AssetError;
use crate::pack::check::CheckError;
use std::io;
use std::path::PathBuf;

/// Why a decoder cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AsrError {
    /// Library or model missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// The pack's files are not what they should be: the operator installs it again, or another.
    #[error(transparent)]
    Pack(#[from] CheckError),
    /// The dictionary or a temporary file cannot be read or written: the operator's disk.
    #[error("speech recognition: {path}: {source}")]
    File {
        /// File or directory concerned.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The engine refused the plan: our fault (a word without pronunciation, a malformed grammar).
    #[error("speech recognition: the engine refused {what}")]
    Refused {
        /// What it refused.
        what: String,
    },
}

/// One recognised word.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As in the plan, without a variant mark.
    pub word: String,
    /// Milliseconds from the start of the utterance.
    pub start_ms: u32,
    /// Milliseconds from the start of the utterance.
    pub end_ms: u32,
    /// Posterior probability in the lattice, 0–1.
    pub posterior: f32,
}

/// Result of one utterance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hypothesis {
    /// Words, separated by blanks; empty when nothing was recognised.
    pub text: String,
    /// 0–1: geometric mean of the words' posteriors.
    pub confidence: f32,
    /// The words with times.
    pub words: Vec<Word>,
    /// Feature frames (10 ms) decoded.
    pub frames: u32,
    /// Other readings of the same audio, the likelier first; empty where the engine gives none.
    pub alternatives: Vec<String>,
    /// Whether it was written as a whole sentence, with a full stop, question mark or exclamation mark; `None` where the
    /// engine does not tell, or nothing was recognised.
    pub complete: Option<bool>,
}
