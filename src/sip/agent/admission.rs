//! How many new dialogs one source may open: a token bucket per address (per /64 for IPv6). Invariant: bounded memory;
//! when the table is full of active sources, an unknown one is refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::limits;
use crate::time::Tick;

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Tick,
}

#[derive(Debug)]
pub(super) struct Admission {
    per_second: f64,
    burst: f64,
    buckets: HashMap<IpAddr, Bucket>,
    next_sweep: Tick,
}

impl Admission {
    pub(super) fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, buckets: HashMap::new(), next_sweep: Tick::default() }
    }

    /// Takes a token for a new dialog; `false` = refuse.
    pub(super) fn admit(&mut self, now: Tick, source: IpAddr) -> bool {
        let key = match source.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !(u128::MAX >> 64)).into()),
            v4 => v4,
        };
        if self.buckets.len() >= limits::SIP_SOURCES_MAX && !self.buckets.contains_key(&key) {
            // Looking for idle sources costs a walk through the table: a flood may cause it once a second only.
            if now < self.next_sweep {
                return false;
            }
            self.next_sweep = now + Duration::from_secs(1);
            let (per_second, burst) = (self.per_second, self.burst);
            self.buckets.retain(|_, b| b.tokens + now.since(b.at).as_secs_f64() * per_second < burst);
            if self.buckets.len() >= limits::SIP_SOURCES_MAX {
                return false;
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = (bucket.tokens + now.since(bucket.at).as_secs_f64() * self.per_second).min(self.burst);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate_per_source() {
        let mut a = Admission::new(10.0, 3.0);
        let (one, other): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let now = Tick(5_000_000_000);
        assert_eq!((0..5).filter(|_| a.admit(now, one)).count(), 3);
        assert!(a.admit(now, other));
        assert!(a.admit(now + Duration::from_millis(101), one));
        assert!(!a.admit(now + Duration::from_millis(102), one));
    }

    #[test]
    fn the_table_is_bounded_and_recovers() {
        let mut a = Admission::new(10.0, 3.0);
        let address = |n: usize| IpAddr::from((u32::try_from(n).unwrap() + 0x0a00_0000).to_be_bytes());
        let now = Tick(5_000_000_000);
        for n in 0..limits::SIP_SOURCES_MAX {
            assert!(a.admit(now, address(n)));
        }
        assert!(!a.admit(now, address(limits::SIP_SOURCES_MAX)));
        assert_eq!(a.buckets.len(), limits::SIP_SOURCES_MAX);
        assert!(a.admit(now + Duration::from_secs(2), address(limits::SIP_SOURCES_MAX)));
        assert_eq!(a.buckets.len(), 1);
    }
}
