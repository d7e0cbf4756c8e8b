//! Reading clocks. Purpose: the only place that does. Any thread; no system call on x86_64 and aarch64 (vDSO), but for
//! `sleep_until`. Deliberately absent: timers of control (tokio has them).

use crate::time::{Tick, Wallclock};

/// `CLOCK_MONOTONIC` now.
#[must_use]
pub fn monotonic() -> Tick {
    Tick(read(libc::CLOCK_MONOTONIC))
}

/// UTC now.
#[must_use]
pub fn wall() -> Wallclock {
    Wallclock(read(libc::CLOCK_REALTIME) / 1_000_000)
}

/// `CLOCK_REALTIME` now, nanoseconds since the epoch: kernel receive stamps are on this clock.
#[must_use]
pub fn realtime_nanos() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Sleeps until `due` on `CLOCK_MONOTONIC`, absolute, so that delays do not add up. Returns at once when it has passed.
pub fn sleep_until(due: Tick) {
    let at = timespec(due.0);
    // SAFETY: `at` outlives the call; a null remainder is allowed with TIMER_ABSTIME.
    while unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const at, std::ptr::null_mut())
    } == libc::EINTR
    {}
}

fn timespec(nanos: u64) -> libc::timespec {
    // Seconds since boot.
    libc::timespec { tv_sec: (nanos / 1_000_000_000) as libc::time_t, tv_nsec: (nanos % 1_000_000_000) as libc::c_long }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writing; both clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    // Both clocks are past their epoch.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    #[test]
    fn clocks_agree_with_the_standard_library() {
        let std = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ours = Duration::from_millis(wall().0);
        assert!(std.abs_diff(ours) < Duration::from_secs(2));
    }

    #[test]
    fn sleeping_reaches_the_due_time() {
        let due = monotonic() + Duration::from_millis(5);
        sleep_until(due);
        assert!(monotonic() >= due);
        sleep_until(Tick(0));
    }
}
