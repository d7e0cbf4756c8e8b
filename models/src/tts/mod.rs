//! Speech synthesis engines. Purpose: what every engine answers with; one file an engine.
//!
//! | file | engine |
//! |---|---|
//! | `flite` | the embedded one: 16 kHz, chunk by chunk, with word times |
//!
//! Owning thread: whichever made the engine. Deliberately absent: clause splitting, level, resampling, text normalisation
//! (`speech::tts`).

pub mod flite;

pub use flite::{Flite, SAMPLE_RATE};

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
