//! The three clocks, named apart. Purpose: sans-IO cores take time as an argument and cannot mix clocks up.
//! Plain data, any thread. Deliberately absent: reading a clock (`os::clock` does that).

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds on `CLOCK_MONOTONIC` (or on the virtual clock of a test).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Time passed since `earlier`; zero when `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Samples at 8 kHz since a call's media was opened: the clock of everything that is heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// Audio time passed since `earlier`; zero when `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0) * 125)
    }
    /// This time moved on by `ms` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0 + ms * 8)
    }
}

/// Milliseconds since the Unix epoch, UTC: for people and records, never for durations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wallclock(pub u64);
