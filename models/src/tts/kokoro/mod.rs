//! Kokoro on ONNX Runtime alone.
//!
//! | file | holds |
//! |---|---|
//! | `voice` | the engine: a clause in, samples out |
//! | `reading` | a clause of English in the model's symbols: dictionary, rules, weak words |
//! | `phonemes` | one word's ARPAbet in those symbols, American or British |
//!
//! Owning thread: whichever made the voice. Deliberately absent: word times (the model gives none), level, resampling,
//! text normalisation (`speech::tts`), other languages.

mod phonemes;
mod reading;
mod voice;

pub use voice::{KokoroPlan, KokoroVoice};
