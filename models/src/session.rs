//! ONNX Runtime, loaded once, and sessions on it. Purpose: one environment a process and one way to open a graph.
//!
//! Owning thread: any; a session belongs to whoever opened it. Invariants: the library is the copy in `native/lib`, which
//! sherpa-onnx shares when it is loaded too; a session computes on the caller's thread alone
//! unless it was opened for more, and none of them ever spins. Deliberately absent: what
//! goes into a graph (one file an engine).

use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Why a graph cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The library is missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// ONNX Runtime refuses the graph: the file is damaged, or no model.
    #[error("{0}")]
    Runtime(#[from] ort::Error),
}

/// Opens a graph for use by one thread. `part` names who wants it, for messages.
///
/// # Errors
/// [`SessionError`].
pub fn open(assets: &Assets, part: &'static str, file: &Path) -> Result<Session, SessionError> {
    Ok(builder(assets, part, 1)?.commit_from_file(file)?)
}

/// As [`open`], for a graph whose inputs are of another size each time. `threads`: how many share the work of one run, the
/// caller's among them.
///
/// # Errors
/// [`SessionError`].
pub fn open_varying(assets: &Assets, part: &'static str, file: &Path, threads: u16) -> Result<Session, SessionError> {
    Ok(varying(assets, part, threads)?.commit_from_file(file)?)
}

/// As [`open`], for a graph that was made in memory.
///
/// # Errors
/// [`SessionError`].
#[cfg(any(test, feature = "double"))]
pub fn open_encoded(assets: &Assets, part: &'static str, model: &[u8]) -> Result<Session, SessionError> {
    Ok(builder(assets, part, 1)?.commit_from_memory(model)?)
}

/// `threads`: how many share the work of one run, the caller's among them.
fn builder(assets: &Assets, part: &'static str, threads: u16) -> Result<SessionBuilder, SessionError> {
    let environment = environment(assets, part)?;
    Ok(Session::builder(&environment)?
        .with_intra_threads(usize::from(threads.max(1)))
        .map_err(ort::Error::from)?
        .with_inter_threads(1)
        .map_err(ort::Error::from)?
        // A thread that spins while it has nothing to do takes a core from the calls.
        .with_intra_op_spinning(false)
        .map_err(ort::Error::from)?
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(ort::Error::from)?)
}

fn varying(assets: &Assets, part: &'static str, threads: u16) -> Result<SessionBuilder, SessionError> {
    Ok(builder(assets, part, threads)?
        // Plans memory for sizes that have been before: with audio of any length, never the same again.
        .with_memory_pattern(false)
        .map_err(ort::Error::from)?)
}

/// The environment lives as long as the process.
fn environment(assets: &Assets, part: &'static str) -> Result<Environment, SessionError> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = environment.as_ref() {
        return Ok(environment.clone());
    }
    let library = assets.onnx_runtime()?;
    let made = ort::init_from(&library)
        .map_err(|error| AssetError::Unusable {
            part,
            file: library.display().to_string(),
            why: error.to_string(),
            command: SETUP_COMMAND,
        })?
        .with_name("callwright")
        .build()?;
    *environment = Some(made.clone());
    Ok(made)
}
