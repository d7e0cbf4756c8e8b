//! How many calls a trunk carries, and how fast we place them there. Purpose: what the operator has bought of a carrier is
//! not exceeded. Control threads; one short lock. Invariants: a channel comes back by itself, whatever ends the call; calls to
//! emergency numbers, and those that take another's place, are counted and never refused. Deliberately absent: room on this machine (`registry`).

use crate::config::Trunk;
use crate::time::Tick;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a trunk takes no further call now. Retry later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverCap {
    /// All that may be used at once.
    #[error("all {channels} channels of trunk {trunk} are in use")]
    Channels {
        /// Its name.
        trunk: String,
        /// `max_calls`.
        channels: usize,
    },
    /// Too many calls in a short time.
    #[error("calls are placed through trunk {trunk} as fast as they may be (calls_per_second)")]
    Rate {
        /// Its name.
        trunk: String,
    },
}

/// The trunks' use.
#[derive(Clone, Debug, Default)]
pub struct Caps(Arc<Mutex<HashMap<String, Use>>>);

#[derive(Debug, Default)]
struct Use {
    calls: usize,
    /// Calls that may be placed at once, at this time.
    credit: f64,
    at: Tick,
}

/// One channel of a trunk; dropping it gives it back.
#[derive(Debug)]
pub struct Channel {
    caps: Caps,
    trunk: String,
}

impl Caps {
    /// Takes a channel for a call that came.
    ///
    /// # Errors
    /// [`OverCap::Channels`].
    pub fn incoming(&self, trunk: &Trunk) -> Result<Channel, OverCap> {
        self.take(trunk, None, false)
    }

    /// Takes a channel for a leg that came to take another's place, which ends upon it.
    #[must_use]
    pub fn replacing(&self, trunk: &Trunk) -> Option<Channel> {
        self.take(trunk, None, true).ok()
    }

    /// Takes a channel for a call that is to be placed at `now`.
    ///
    /// # Errors
    /// [`OverCap`]; never for an emergency.
    pub fn outgoing(&self, trunk: &Trunk, now: Tick, emergency: bool) -> Result<Channel, OverCap> {
        self.take(trunk, Some(now), emergency)
    }

    /// Channels of a trunk that are in use.
    #[must_use]
    pub fn in_use(&self, trunk: &str) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(trunk).map_or(0, |used| used.calls)
    }

    fn take(&self, trunk: &Trunk, placed: Option<Tick>, emergency: bool) -> Result<Channel, OverCap> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = table.entry(trunk.name.clone()).or_default();
        if let Some(channels) = trunk.max_calls.filter(|channels| used.calls >= *channels && !emergency) {
            return Err(OverCap::Channels { trunk: trunk.name.clone(), channels });
        }
        if let (Some(now), Some(rate)) = (placed, trunk.calls_per_second) {
            // A second's worth may be placed at once, and one in any case.
            let most = rate.max(1.0);
            let fresh = used.at == Tick(0);
            let earned = now.since(used.at).as_secs_f64() * rate;
            used.credit = if fresh { most } else { (used.credit + earned).min(most) };
            used.at = now;
            if used.credit < 1.0 && !emergency {
                return Err(OverCap::Rate { trunk: trunk.name.clone() });
            }
            used.credit = (used.credit - 1.0).max(0.0);
        }
        used.calls += 1;
        drop(table);
        Ok(Channel { caps: self.clone(), trunk: trunk.name.clone() })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let mut table = self.caps.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = table.get_mut(&self.trunk) {
            used.calls = used.calls.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(more: &str) -> Trunk {
        toml::from_str(&format!("name = \"carrier\"\nhost = \"sbc.example\"\n{more}")).unwrap()
    }

    fn at(ms: u64) -> Tick {
        Tick(5_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn channels_are_counted_both_ways_and_come_back() {
        let (caps, trunk) = (Caps::default(), trunk("max_calls = 2"));
        let one = caps.incoming(&trunk).unwrap();
        let _two = caps.outgoing(&trunk, at(0), false).unwrap();
        let full = OverCap::Channels { trunk: "carrier".into(), channels: 2 };
        assert_eq!(caps.incoming(&trunk).unwrap_err(), full);
        assert_eq!(caps.outgoing(&trunk, at(1), false).unwrap_err(), full);
        let emergency = caps.outgoing(&trunk, at(2), true).unwrap();
        assert_eq!(caps.in_use("carrier"), 3);
        drop((one, emergency));
        assert_eq!(caps.in_use("carrier"), 1);
        let _three = caps.incoming(&trunk).unwrap();
        let beyond = caps.replacing(&trunk).unwrap();
        assert_eq!((caps.in_use("carrier"), caps.in_use("elsewhere")), (3, 0));
        drop(beyond);
        assert_eq!(caps.in_use("carrier"), 2);
    }

    #[test]
    fn calls_are_placed_no_faster_than_they_may_be() {
        let (caps, trunk) = (Caps::default(), trunk("calls_per_second = 2.0"));
        let place = |ms: u64| caps.outgoing(&trunk, at(ms), false).is_ok();
        assert!(place(0) && place(0) && !place(0) && !place(400));
        assert!(place(500) && !place(600));
        assert!(caps.outgoing(&trunk, at(600), true).is_ok(), "an emergency does not wait");
        assert!(place(10_000) && place(10_000) && !place(10_000));
        assert!(caps.incoming(&trunk).is_ok(), "others call as fast as they like");
        let slow = self::trunk("calls_per_second = 0.1");
        let caps = Caps::default();
        let placed: Vec<_> = (0..30).map(|s| caps.outgoing(&slow, at(s * 1000), false).is_ok()).collect();
        assert_eq!(placed.iter().filter(|placed| **placed).count(), 3);
    }
}
