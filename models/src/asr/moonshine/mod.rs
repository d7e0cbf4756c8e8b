//! Moonshine, English: the embedded recogniser of whole turns, in our own code from the published files' tables.
//! Purpose: 8 kHz telephone audio in; words out, chosen by the model and by what the caller is known to talk about ([`Guide`]).
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the recogniser: one turn in, its words out |
//! | `audio` | the line's samples as the model wants them, and where in them somebody speaks |
//! | `graph` | the encoder and the decoder, with what was read ahead |
//! | `encoder` | the encoder, with its tables (pure) |
//! | `decoder` | the decoder, with its memory of what was heard and written |
//! | `weights` | the decoder's tables, from its file (pure) |
//! | `parts` | what the tables of a file are called (pure) |
//! | `matrix` | products with them (pure) |
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
mod encoder;
mod engine;
mod graph;
mod likeliest;
mod matrix;
mod parts;
mod reading;
mod tokens;
mod weights;
mod wire;

pub use beam::{Guide, Unguided};
pub use engine::{Draft, Moonshine};
