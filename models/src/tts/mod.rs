//! Speech synthesis engines. Purpose: what every engine answers with; one file an engine.
//!
//! | file | engine |
//! |---|---|
//! | `flite` | the embedded one: 16 kHz, chunk by chunk, with word times |
//! | `sherpa` | packs: sentence by sentence, at their model's rate |
//! | `kokoro` | packs that need ONNX Runtime alone: clause by clause |
//! | `pronunciation` | English words in IPA, for those |
//!
//! Owning thread: whichever made the engine. Deliberately absent: clause splitting, level, resampling, text normalisation
//! (`speech::tts`).

pub mod flite;
pub mod kokoro;
mod pronunciation;
pub mod sherpa;

pub use flite::{Flite, SAMPLE_RATE};
pub use kokoro::{KokoroPlan, KokoroVoice};
pub use sherpa::{SherpaVoice, VoicePlan};

use crate::assets::AssetError;
use crate::pack::check::CheckError;

/// Why a voice cannot be made or cannot speak.
#[derive(Debug, thiserror::Error)]
pub enum TtsError {
    /// Library or dictionary missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// The pack's files are not what they should be: the operator installs it again, or another.
    #[error(transparent)]
    Pack(#[from] CheckError),
    /// The engine refused the pack or the words.
    #[error("speech synthesis: the engine refused {what}")]
    Refused {
        /// What it refused.
        what: String,
    },
}

/// One word as it was given, with its place in the audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordTime {
    /// The token as written in the text, without the punctuation around it.
    pub word: String,
    /// Milliseconds from the first sample to the start of the word.
    pub start_ms: u32,
    /// Milliseconds from the first sample to the end of the word.
    pub end_ms: u32,
}
