//! Moonshine, English: the embedded recogniser of whole turns; its encoder runs on ONNX Runtime, its decoder in our own code.
//! Purpose: 8 kHz telephone audio in; words out, chosen by the model and by what the caller is known to talk about ([`Guide`]).
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the recogniser: one turn in, its words out |
//! | `audio` | the line's samples as the model wants them, and where in them somebody speaks |
//! | `graph` | the encoder on ONNX Runtime and the decoder, with what was read ahead |
//! | `decoder` | the decoder, with its memory of what was heard and written |
//! | `weights` | the decoder's tables, from its file (pure) |
//! | `matrix` | products with them (pure) |
//! | `signed` | the encoder's weights in the form that processors multiply fastest (pure) |
//! | `wire` | the files as messages (pure) |
//! | `likeliest` | the likeliest of all tokens (pure) |
//! | `beam` | the search for the best text (pure) |
//! | `tokens` | the model's vocabulary |
//! | `reading` | tokens as words with probabilities and times, and what is no speech (pure) |
//!
//! Owning thread: one at a time; a turn takes tens to hundreds of milliseconds of it. Invariants: nothing of a turn stays for
//! the next. Deliberately absent: partial words, where turns end, the guides themselves (`speech`). Model: Jeffries et al.,
//! "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024.

mod audio;
mod beam;
mod decoder;
mod engine;
mod graph;
mod likeliest;
mod matrix;
mod reading;
mod signed;
mod tokens;
mod weights;
mod wire;

pub use beam::{Guide, Unguided};
pub use engine::{Draft, Moonshine};
