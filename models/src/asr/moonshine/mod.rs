//! Moonshine tiny, English: the embedded recogniser of whole turns, run by our own code on ONNX Runtime. Purpose: 8 kHz
//! telephone audio in; words out, chosen by the model and by what the caller is known to talk about ([`Guide`]).
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the recogniser: one turn in, its words out |
//! | `audio` | the line's samples as the model wants them, and where in them somebody speaks |
//! | `graph` | encoder and decoder on ONNX Runtime, with the decoder's memory of what was written |
//! | `split` | the decoder's file without its last product (pure) |
//! | `signed` | the graphs' weights in the form that processors multiply fastest (pure) |
//! | `wire` | the files as messages (pure) |
//! | `projection` | that product: from what the decoder thinks to how likely each token is (pure) |
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
mod engine;
mod graph;
mod likeliest;
mod projection;
mod reading;
mod signed;
mod split;
mod tokens;
mod wire;

pub use beam::{Guide, Unguided};
pub use engine::{Draft, Moonshine};
