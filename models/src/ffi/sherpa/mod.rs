//! sherpa-onnx 2.0 (`sherpa-onnx/c-api/c-api.h` of the wheel `sherpa-onnx-core`): streaming and whole-turn recognition,
//! synthesis.
//!
//! Invariants: a handle made by the library is released exactly once, and a recogniser outlives its streams; strings that
//! are passed in live until the call returns (the library copies them), strings that it returns are copied before they are
//! released. The library finds ONNX Runtime by its name, so the copy that is loaded before it is the one that it uses.
//!
//! What a caller of this module must know: the library ends the process (`_Exit`) where a model's metadata or table of
//! symbols is not what it expects, and an exception that leaves it while it decodes aborts; `pack::check` looks for all of
//! that beforehand and `pack::probe` tries the rest in a child process. What can be excluded by construction is: a stream
//! that is not ready is never decoded, a stream keeps one sample rate, and meets only the recogniser that made it.
//!
//! | file | holds |
//! |---|---|
//! | `layout` | the structures of the header |
//! | `library` | finding the library and its functions |
//! | `border` | what goes over: texts in, results out, always copied |
//! | `online`, `offline`, `tts` | one engine each |

mod border;
mod layout;
mod library;
mod offline;
mod online;
mod tts;

pub(crate) use border::Recognised;
pub(crate) use library::Library;
pub(crate) use offline::{OfflineModel, OfflineRecogniser, OfflineSettings};
pub(crate) use online::{Hotwords, OnlineModel, OnlineRecogniser, OnlineSettings, OnlineStream};
pub(crate) use tts::{Speech, Synthesiser, SynthesiserSettings, TtsModel};
