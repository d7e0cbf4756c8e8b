//! Getting model packs onto this machine: fetch → digest → unpack → verification in a child process → one rename → active.
//!
//! Owning thread: one of its own (the command line's main thread, or `packs` of the daemon), which may block on disk and
//! network; never a control or media thread. Invariants: what is on the shelf was whole, had the digest that is known for
//! it and was loaded once; until that rename nothing that serves has changed; a process that is killed at any point leaves
//! a download to go on with and nothing else. Deliberately absent: the shelf and the archive (`models::pack`), the engines.

pub mod error;
pub mod fetch;
pub mod install;
pub mod offer;
pub mod verify;

pub use error::PackError;
pub use install::{Installer, Outcome, Step};

use std::path::{Path, PathBuf};

/// Where packs lie below `data.dir`.
#[must_use]
pub fn directory(data: &Path) -> PathBuf {
    data.join("models")
}
