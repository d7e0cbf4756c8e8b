//! NTP time as RTCP needs it (RFC 3550 section 4), and how our clock maps to it. The map is fixed for a call's life: a
//! step of the wall clock must not look like a round trip.

use crate::time::{Tick, Wallclock};
use std::time::Duration;

/// Seconds from 1900 (NTP) to 1970 (Unix).
const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;
const NANOS: u128 = 1_000_000_000;

/// 64-bit NTP time: seconds since 1900 in the high half, their fraction in the low half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits, as report blocks carry them: 1/65536 s, wraps after 18 hours.
    #[must_use]
    pub const fn middle(self) -> u32 {
        // The cut is the point.
        (self.0 >> 16) as u32
    }
}

/// One instant on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NtpMap {
    at: Tick,
    ntp: u64,
}

impl NtpMap {
    /// `at` and `wallclock` read together.
    #[must_use]
    pub fn new(at: Tick, wallclock: Wallclock) -> Self {
        // Millisecond times of our era fit 64 bits in units of 2^-32 s by far; the era (high bits) is cut by design.
        let ntp = (u128::from(wallclock.0) << 32) / 1000 + (u128::from(UNIX_EPOCH_SECONDS) << 32);
        Self { at, ntp: ntp as u64 }
    }

    /// NTP time of `tick`, which may lie before the map's instant.
    #[must_use]
    pub fn ntp(self, tick: Tick) -> NtpTime {
        let passed = if tick >= self.at { tick.0 - self.at.0 } else { self.at.0 - tick.0 };
        // Nanoseconds of 64 bits in units of 2^-32 s fit 68 bits; the era is cut by design.
        let passed = ((u128::from(passed) << 32) / NANOS) as u64;
        NtpTime(if tick >= self.at { self.ntp.wrapping_add(passed) } else { self.ntp.wrapping_sub(passed) })
    }
}

/// A length of time in 1/65536 s; at most 18 hours.
pub(crate) fn to_units(time: Duration) -> u32 {
    u32::try_from((time.as_nanos() << 16) / NANOS).unwrap_or(u32::MAX)
}

/// The time that `units` of 1/65536 s are.
pub(crate) fn from_units(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_counts_from_1900_in_both_directions() {
        let map = NtpMap::new(Tick(5_000_000_000), Wallclock(1_000));
        assert_eq!(map.ntp(Tick(5_000_000_000)).0 >> 32, UNIX_EPOCH_SECONDS + 1);
        assert_eq!(map.ntp(Tick(5_500_000_000)).0, ((UNIX_EPOCH_SECONDS + 1) << 32) | 0x8000_0000);
        assert_eq!(map.ntp(Tick(4_000_000_000)).0 >> 32, UNIX_EPOCH_SECONDS);
        assert_eq!(NtpTime(0x1234_5678_9abc_def0).middle(), 0x5678_9abc);
        let _ = NtpMap::new(Tick(u64::MAX), Wallclock(u64::MAX)).ntp(Tick(0));
    }

    #[test]
    fn units_are_65536ths_of_a_second() {
        assert_eq!(to_units(Duration::from_millis(500)), 0x8000);
        assert_eq!(from_units(0x1_0000), Duration::from_secs(1));
        assert_eq!(to_units(Duration::MAX), u32::MAX);
    }
}
