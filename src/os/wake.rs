//! Waking another thread through a file descriptor, eventfd(2). Purpose: the one wake that a media worker may do per
//! pass; the sleeper waits with epoll or tokio's `AsyncFd`. Any thread. Invariant: never blocks; wakes that pile up
//! merge into one. Deliberately absent: data (rings carry it).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A wake-up call.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// A new one, not signalled. Error: no file descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A second handle to the same wake.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Signals: the descriptor becomes readable. One system call.
    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: `one` is valid for reading 8 octets. A full counter (EAGAIN) is already signalled.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Clears the signal; true when there was one. Clear first, then read the rings, so that none is missed.
    pub fn clear(&self) -> bool {
        let mut count = [0u8; 8];
        // SAFETY: `count` is valid for writing 8 octets; the descriptor never blocks.
        let read = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        read == 8
    }

    /// Blocks until signalled or the timeout (milliseconds, −1 for ever) has passed; true when signalled. Does not clear.
    #[must_use]
    pub fn wait(&self, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd is passed with its count.
        unsafe { libc::poll(&raw mut poll, 1, timeout_ms) > 0 }
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_merge_and_clear() {
        let wake = Wake::new().unwrap();
        assert!(!wake.clear() && !wake.wait(0));
        let other = wake.try_clone().unwrap();
        other.signal();
        other.signal();
        assert!(wake.wait(1000));
        assert!(wake.clear());
        assert!(!wake.clear());
    }
}
