//! Speech engines behind safe Rust: Flite (TTS), PocketSphinx (ASR), Silero through ONNX Runtime and Earshot (VAD), and
//! the packs' neural ones through sherpa-onnx (ASR, TTS).
//!
//! Purpose: everything that needs a native library or a model file. All of it is loaded at run time, so this crate builds
//! and the daemon starts on a machine without any of it; a missing piece is an [`AssetError`] that names the command which
//! installs it. Owning thread: whichever thread made the engine; engines are `Send`, never shared.
//! Invariants: `unsafe` only in [`ffi`]. Deliberately absent: rings, calls, turn-taking, text normalisation (`speech` of
//! the daemon), downloads (`setup.sh`).

pub mod asr;
pub mod assets;
#[cfg(any(test, feature = "double"))]
pub mod double;
pub mod eot;
mod ffi;
pub mod pack;
pub mod pronounce;
pub mod session;
pub mod sherpa;
pub mod tts;
pub mod vad;

pub use assets::{AssetError, Assets, MoonshineSize};
