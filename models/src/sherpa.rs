//! The library behind the packs, loaded once. Purpose: one way in for the engines, one place that says what it is.
//! Any thread. Invariants: ONNX Runtime is loaded before it, so that both use one copy. Deliberately absent: engines
//! (`asr`, `tts`).

use crate::assets::{AssetError, Assets};
use crate::ffi::sherpa::Library;

/// Loads the library, or gives what is loaded.
pub(crate) fn library(assets: &Assets) -> Result<Library, AssetError> {
    Library::load(&assets.onnx_runtime()?, &assets.sherpa()?)
}

/// Loads the library and says which it is: `sherpa-onnx 2.0.1 (ONNX Runtime 1.28.2)`.
///
/// # Errors
/// [`AssetError`]: it is missing, damaged, or of another version; with the command that installs it.
pub fn version(assets: &Assets) -> Result<String, AssetError> {
    let library = library(assets)?;
    Ok(format!("sherpa-onnx {} (ONNX Runtime {})", library.version(), library.onnx_runtime()))
}
