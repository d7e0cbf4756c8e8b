//! A process confines itself before it touches what it does not trust.
//! Purpose: no_new_privs, resource limits, Landlock, seccomp and an unprivileged user, in the one order that works for
//! root, for plain users and inside a hardened service; missing layers are refused, never skipped.
//! Owner: the process's only thread, at its start. Two steps, because a root process must read files as root and then
//! stop being root: [`enter`] (everything but the user), then [`Cage::settle`] (user, root directory, final filter).
//! Invariants: after `settle` the process can open nothing outside of the planned directories, make no socket, start no
//! process or thread, signal nobody, and gain no right back.
//! Deliberately absent: namespaces and bubblewrap, which fail inside hardened services.

mod filter;
mod landlock;
mod process;

pub use process::NOBODY;

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// What a confined process may still use.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Directory that may be read.
    pub readable: PathBuf,
    /// Directory whose files may be read, made, changed and removed.
    pub writable: PathBuf,
    /// Descriptors that stay open, beside 0, 1 and 2.
    pub keep: Vec<RawFd>,
    /// Address space, octets.
    pub memory_max: u64,
    /// Largest file, octets.
    pub file_max: u64,
    /// Open descriptors.
    pub files_max: u64,
    /// Nobody waits for it in this second: it keeps the scheduling class and the processors of the thread that started it, and
    /// is given up before the daemon when memory is short.
    pub is_batch: bool,
    /// Newest Landlock version to use, for tests of older kernels.
    pub landlock_abi_max: Option<u8>,
}

/// Why a process could not confine itself. It must not go on; all of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel has no Landlock, or it is switched off.
    #[error(
        "this kernel does not enforce Landlock ({0}); generated apps are refused without it: boot Linux 5.13 or newer with \
         `lsm=landlock,…`"
    )]
    NoLandlock(String),
    /// The kernel has no seccomp filters.
    #[error("this kernel does not take seccomp filters ({0}); generated apps are refused without them")]
    NoSeccomp(String),
    /// A directory of the plan cannot be opened.
    #[error("cannot confine to {path}: {what}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// A system call that must work did not.
    #[error("cannot give up rights ({call}: {source})")]
    Call {
        /// Which one.
        call: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Whether this kernel can hold generated apps; changes nothing.
///
/// # Errors
/// What it lacks.
pub fn supported() -> Result<(), SandboxError> {
    landlock::supported()?;
    match std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) if actions.split_whitespace().any(|action| action == "errno") => Ok(()),
        Ok(actions) => Err(SandboxError::NoSeccomp(format!("it knows only {}", actions.trim()))),
        Err(error) => Err(SandboxError::NoSeccomp(error.to_string())),
    }
}

/// A process within Landlock, limits and a first filter, that may still be root.
#[derive(Debug)]
pub struct Cage {
    plan: Plan,
    root: bool,
    landlock: String,
}

/// Where a settled process finds things, and what holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Path of the writable directory as this process sees it.
    pub writable: PathBuf,
    /// One line for the log.
    pub says: String,
}

/// First step: closes what is not planned, empties the environment, sets limits, and applies Landlock and a filter that
/// still lets root change its user.
///
/// Must run while the process has one thread.
///
/// # Errors
/// See [`SandboxError`].
pub fn enter(plan: Plan) -> Result<Cage, SandboxError> {
    process::close_others(&plan.keep);
    process::forget_environment();
    super::process::take_name();
    if plan.is_batch {
        process::give_up_early();
    } else {
        process::plain_scheduling();
    }
    let root = process::is_root();
    process::take_private(&plan.writable, root)
        .map_err(|e| SandboxError::Directory { path: plan.writable.clone(), what: e.to_string() })?;
    process::limit(&plan)?;
    let landlock = landlock::apply(&plan)?;
    filter::apply(filter::Stage::MayChangeUser)?;
    Ok(Cage { plan, root, landlock })
}

impl Cage {
    /// Second step: root becomes nobody within the writable directory; the final filter closes behind it.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn settle(self) -> Result<Settled, SandboxError> {
        let mut writable = self.plan.writable;
        let mut user = "own user";
        if self.root {
            // As root directory, so that it is reachable even below a directory that only root may enter.
            if process::change_root(&writable) {
                writable = PathBuf::from("/");
            }
            user = process::become_nobody()?;
            check_reachable(&writable)?;
        }
        filter::apply(filter::Stage::Final)?;
        let says = format!("confined: {}, seccomp, {user}, root directory {}", self.landlock, writable.display());
        Ok(Settled { writable, says })
    }
}

fn check_reachable(path: &Path) -> Result<(), SandboxError> {
    match std::fs::read_dir(path) {
        Ok(_) => Ok(()),
        Err(e) => Err(SandboxError::Directory {
            path: path.to_owned(),
            what: format!("{e} as user {NOBODY}; let others search its parent directories (chmod o+x)"),
        }),
    }
}
