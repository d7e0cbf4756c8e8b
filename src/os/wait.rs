//! Waiting for several wakes at once. Purpose: one thread that serves several media workers and its own commands. Any
//! thread. Deliberately absent: the wakes themselves (`os::wake`).

use std::os::fd::RawFd;
use std::time::Duration;

/// Wakes that one thread waits for at most.
pub const WAKES_MAX: usize = 64;

/// Sleeps until one of `wakes` (eventfds, the first [`WAKES_MAX`]) is signalled or `timeout` has passed, and clears those
/// that were: read the rings after it, so that nothing is missed. True when one was signalled. A closed descriptor counts
/// as never signalled.
pub fn wait_any(wakes: &[RawFd], timeout: Duration) -> bool {
    let mut polls = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; WAKES_MAX];
    let count = wakes.len().min(WAKES_MAX);
    for (poll, wake) in polls.iter_mut().zip(wakes) {
        poll.fd = *wake;
    }
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `polls` holds at least `count` valid entries for the length of the call.
    if unsafe { libc::poll(polls.as_mut_ptr(), count as libc::nfds_t, timeout_ms) } <= 0 {
        return false;
    }
    let mut signalled = false;
    for poll in polls[..count].iter().filter(|poll| poll.revents & libc::POLLIN != 0) {
        let mut value = [0_u8; 8];
        // SAFETY: `value` is valid for writing 8 octets; poll said that the descriptor is readable, so this does not wait.
        unsafe { libc::read(poll.fd, value.as_mut_ptr().cast(), value.len()) };
        signalled = true;
    }
    signalled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::wake::Wake;
    use std::os::fd::AsRawFd;

    #[test]
    fn any_wake_ends_the_wait_and_is_cleared() {
        let (a, b) = (Wake::new().unwrap(), Wake::new().unwrap());
        let wakes = [a.as_raw_fd(), b.as_raw_fd()];
        assert!(!wait_any(&wakes, Duration::ZERO));
        b.signal();
        b.signal();
        assert!(wait_any(&wakes, Duration::from_secs(5)));
        assert!(!wait_any(&wakes, Duration::ZERO));
        let waiter = std::thread::spawn(move || wait_any(&wakes, Duration::from_secs(5)));
        a.signal();
        assert!(waiter.join().unwrap());
        drop(b);
    }
}
