//! Reads the machine's clocks. Purpose: the only place that does; everything else is told the time.

use crate::time::{Tick, Wallclock};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, on a clock that never steps; comparable within this process only.
#[must_use]
pub fn monotonic() -> Tick {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Tick(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Now, for people and records; zero when the machine's clock stands before 1970.
#[must_use]
pub fn wall() -> Wallclock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wallclock(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
