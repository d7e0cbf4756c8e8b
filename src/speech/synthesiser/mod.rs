//! What the mouth asks of a voice; one file an engine.
//!
//! | file | engine |
//! |---|---|
//! | `flite` | the embedded one |
//! | `kokoro` | voices of packs that need ONNX Runtime alone |
//! | `sherpa` | voices of other packs |
//!
//! Purpose: the mouth cuts clauses, keeps rings filled and flushes, and never knows which engine speaks. Owning thread: a
//! voice belongs to one mouth thread. Invariants: samples come in the voice's own rate, in order, as they are made; a sink
//! that breaks ends the synthesis within 20 ms of audio where the engine can be stopped, else at its next chunk.
//! Deliberately absent: level, trimming, resampling to the line, caching (`tts`).

pub(super) mod flite;
pub(super) mod kokoro;
pub(super) mod sherpa;

use super::normalise::Phones;
use callwright_models::tts::WordTime;
use std::ops::ControlFlow;

/// Takes samples as they are made; breaking ends the synthesis.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[i16]) -> ControlFlow<()>;

/// What a clause asks of a voice beyond its text.
#[derive(Clone, Copy)]
pub(super) struct SpeakOptions<'a> {
    /// Sounds of single words: which blank-separated word of the text, counted from 0, in order; and its phones.
    pub(super) phones: &'a [(usize, Phones)],
    /// Nobody wants the clause any more: for voices that compute for long before their sink could tell them.
    pub(super) unwanted: &'a (dyn Fn() -> bool + Sync),
}

impl Default for SpeakOptions<'_> {
    fn default() -> Self {
        Self { phones: &[], unwanted: &|| false }
    }
}

/// How soon a clause's first sound comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Haste {
    /// Long before its last: clauses may be as long as people's.
    #[default]
    Early,
    /// With its last, after a good part of the time that it takes to hear: the first clauses are short.
    Whole,
}

/// A voice.
pub(super) trait Synthesiser: Send {
    /// Samples per second that it makes.
    fn sample_rate(&self) -> u32;

    /// Speaks a clause of plain words. Returns the times of its words where the engine knows them, else nothing (the mouth
    /// then divides by proportion). An error is for the operator; what was spoken before it stands.
    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String>;

    /// The same with more said about how. A voice that takes no phones speaks the text, which spells such words.
    fn speak_with(&mut self, text: &str, _options: &SpeakOptions<'_>, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        self.speak(text, sink)
    }

    /// How soon its first sound comes.
    fn haste(&self) -> Haste {
        Haste::Early
    }

    /// Whether it speaks on this machine: costs nothing to try, and is always there.
    fn is_local(&self) -> bool {
        true
    }
}
