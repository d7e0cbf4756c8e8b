//! Kernel receive stamps on the monotonic clock. Purpose: `SO_TIMESTAMPNS` stamps are on `CLOCK_REALTIME`; latency is
//! counted on `CLOCK_MONOTONIC`. The offset is taken once a pass, so no packet costs a clock read for it. Media workers.
//! Invariant: a preemption between the two reads, or a step of the wall clock, cannot make a packet look older than it
//! is by more than the guard. Deliberately absent: reading stamps (`socket`).

use crate::os::clock;
use crate::time::Tick;

/// Readings further apart than this were interrupted: keep the offset of the pass before.
const GUARD: u64 = 20_000;
/// A stamp outside of this around now is not believed (the wall clock was set between stamp and reading).
const BELIEVABLE: u64 = 1_000_000_000;

/// Realtime minus monotonic, refreshed once a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct StampClock {
    offset: u64,
    now: Tick,
}

impl StampClock {
    pub(super) fn new() -> Self {
        let now = clock::monotonic();
        Self { offset: clock::realtime_nanos().saturating_sub(now.0), now }
    }

    /// Takes the offset anew; returns the time.
    pub(super) fn refresh(&mut self) -> Tick {
        let before = clock::monotonic();
        let real = clock::realtime_nanos();
        let after = clock::monotonic();
        self.now = after;
        let (middle, apart) = (before.0 + (after.0 - before.0) / 2, after.0 - before.0);
        let offset = real.saturating_sub(middle);
        if apart <= GUARD || offset.abs_diff(self.offset) > BELIEVABLE {
            self.offset = offset;
        }
        after
    }

    /// The time as last taken.
    pub(super) fn now(&self) -> Tick {
        self.now
    }

    /// A stamp (nanoseconds since the epoch; 0 when the kernel gave none) on the monotonic clock.
    pub(super) fn received(&self, stamp: u64) -> Tick {
        let at = stamp.saturating_sub(self.offset);
        if at.abs_diff(self.now.0) > BELIEVABLE { self.now } else { Tick(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_now_is_now() {
        let mut c = StampClock::new();
        let now = c.refresh();
        let at = c.received(clock::realtime_nanos());
        assert!(at.0.abs_diff(now.0) < 50_000_000, "{} ns apart", at.0.abs_diff(now.0));
        assert_eq!(c.received(0), now);
    }
}
