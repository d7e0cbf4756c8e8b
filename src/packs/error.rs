//! Why a pack is not installed. Each sentence says what the operator does next.

use callwright_models::pack::archive::ArchiveError;
use callwright_models::pack::shelf::ShelfError;
use std::io;
use std::path::{Path, PathBuf};

/// Whose fault, and whether to try again: see [`PackError::is_passing`].
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// No pack of this name is known.
    #[error("no pack is called {name:?}{}; all of them: callwright models list", nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean {n}?")))]
    Unknown {
        /// What was asked for.
        name: String,
        /// A name like it.
        nearest: Option<String>,
    },
    /// The environment forbids the network.
    #[error(
        "CALLWRIGHT_OFFLINE is set, so nothing is fetched; unset it, or fetch {url} elsewhere and install it with: callwright models install --from-file FILE"
    )]
    Offline {
        /// What would have been fetched.
        url: String,
    },
    /// The host did not answer, or stopped answering.
    #[error(
        "{host}: {why}; is it reachable from here? Otherwise fetch {url} elsewhere and install it with: callwright models install --from-file FILE"
    )]
    Unreachable {
        /// Host and port.
        host: String,
        /// The whole URL.
        url: String,
        /// What happened.
        why: String,
    },
    /// The connection was cut and could not be taken up again. What came is kept.
    #[error("{url}: the connection was cut after {got} of {total} ({why}); the same command goes on from there")]
    Cut {
        /// What was fetched.
        url: String,
        /// Octets in words.
        got: String,
        /// Octets in words.
        total: String,
        /// What happened.
        why: String,
    },
    /// The host answers, but not with the file.
    #[error("{url}: the server answered {status}{}", hint(*status))]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP status code.
        status: u16,
    },
    /// A redirect that is not followed.
    #[error(
        "{url}: {why}; the release may have moved: fetch the file by hand and install it with: callwright models install --from-file FILE"
    )]
    Redirect {
        /// Where it began.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Neither https nor this machine.
    #[error("{url} is not fetched: only https, or plain http from this machine itself")]
    Insecure {
        /// The address.
        url: String,
    },
    /// More than the manifest announces.
    #[error("{url} sends more than {most}, but {expected} are announced; nothing was installed")]
    TooLong {
        /// What was fetched.
        url: String,
        /// Octets announced, in words.
        expected: String,
        /// Octets allowed, in words.
        most: String,
    },
    /// Another file than the one that is known.
    #[error(
        "{origin} is not the file that is known by this name: its SHA-256 is {found}, expected was {expected}; nothing of it was kept. Try again; if it stays so, the release was changed: install a newer callwright"
    )]
    Digest {
        /// URL or file.
        origin: String,
        /// Hexadecimal.
        expected: String,
        /// Hexadecimal.
        found: String,
    },
    /// The archive cannot be unpacked.
    #[error("{0}")]
    Archive(#[from] ArchiveError),
    /// The pack does not hold what its family needs.
    #[error("{name} lacks {file}, the {part} that packs of its family need{}", from.as_ref().map_or_else(String::new, |url| format!("; fetch it from {url} and put it beside the archive")))]
    Lacks {
        /// The pack.
        name: String,
        /// Which part.
        part: String,
        /// Its file.
        file: String,
        /// Where it can be had.
        from: Option<String>,
    },
    /// A file or directory that says nothing of itself.
    #[error("{}: {why}; name the pack with --name, or put a pack.toml into it (the keys are those of models/manifest.toml)", path.display())]
    Unlabelled {
        /// What was given.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Not enough room.
    #[error("{}: {needed} are needed and {free} are free; make room, or set data.dir to a larger disk", path.display())]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Octets in words.
        needed: String,
        /// Octets in words.
        free: String,
    },
    /// The child process that loaded the pack said no, or died of it.
    #[error("{name} does not work here: {why}; it was not installed")]
    Verification {
        /// The pack.
        name: String,
        /// In a sentence.
        why: String,
    },
    /// The shelf refuses.
    #[error("{0}")]
    Shelf(#[from] ShelfError),
    /// The disk refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        404 | 410 => {
            "; the file is not there any more: a newer callwright may know its new name; a copy from elsewhere is installed with: callwright models install --from-file FILE"
        }
        401 | 403 | 407 => "; it wants to know who asks: is a proxy in between?",
        429 => "; it has been asked too often: try again in some minutes",
        500.. => "; it is unwell: try again later",
        _ => "",
    }
}

impl PackError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    /// The host's or the network's fault, so that the same command may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Shelf(ShelfError::Busy { .. }) => true,
            _ => false,
        }
    }

    /// The disk is full, whoever noticed.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let source = match self {
            Self::Io { source, .. } | Self::Archive(ArchiveError::Write { source, .. }) => source,
            Self::NoRoom { .. } => return true,
            _ => return false,
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}
