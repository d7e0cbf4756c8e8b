//! Hand-written bindings to the C libraries, loaded with `dlopen`. The only module of this crate that holds `unsafe`.
//!
//! Each file wraps one library (`pages`: a call of the system) so that what it exposes is safe to call. Libraries are never unloaded: they keep static
//! state, and the wrappers hold plain function pointers.

pub(crate) mod flite;
pub(crate) mod lexicon;
pub(crate) mod pages;
pub(crate) mod pocketsphinx;
pub(crate) mod sherpa;

use crate::assets::AssetError;
use libloading::Library;
use std::path::Path;

/// What to say when a library or one of its symbols cannot be had.
#[derive(Clone, Copy)]
pub(crate) struct Blame {
    pub(crate) part: &'static str,
    pub(crate) command: &'static str,
}

/// Opens `file` and keeps it open for the life of the process.
pub(crate) fn open(file: &Path, blame: Blame) -> Result<&'static Library, AssetError> {
    // SAFETY: the libraries opened here (Flite, PocketSphinx, ONNX Runtime, sherpa-onnx) run no initialisers that touch our state, and they stay
    // loaded for ever, so no code or data of theirs can vanish under a pointer.
    match unsafe { Library::new(file) } {
        Ok(library) => Ok(Box::leak(Box::new(library))),
        Err(error) => Err(AssetError::Unusable {
            part: blame.part,
            file: file.display().to_string(),
            why: error.to_string(),
            command: blame.command,
        }),
    }
}

/// Looks a symbol up as `T`.
///
/// # Safety
/// `T` must be the exact type of the C symbol `name`: a function pointer with its C signature.
pub(crate) unsafe fn symbol<T: Copy>(library: &'static Library, name: &str, blame: Blame) -> Result<T, AssetError> {
    // SAFETY: the caller vouches for `T`; the library is never unloaded.
    match unsafe { library.get::<T>(name.as_bytes()) } {
        Ok(found) => Ok(*found),
        Err(error) => Err(AssetError::Unusable {
            part: blame.part,
            file: name.to_owned(),
            why: error.to_string(),
            command: blame.command,
        }),
    }
}
