//! Descriptors that a parent left open for us. Purpose: take ownership of a descriptor by its number, once.
//! Deliberately absent: finding out which numbers there are; the caller was told on its command line.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over descriptor `number`.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads one flag and touches no memory.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open. Nothing else of this process owns it: it was made by the parent, its number was
    // passed to this process for this purpose, and command lines are read once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
