//! How many connections have come from whom. Purpose: those who open too many are refused before anything is read of theirs, and
//! take no place from others; SIP and HTTP count by it. Shared by the tasks that accept. Invariant: nothing is remembered of those
//! who left. Deliberately absent: sockets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections have come from whom.
#[derive(Debug)]
pub struct Census {
    most: usize,
    most_per_source: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for one connection, given back on drop.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    source: IpAddr,
}

impl Census {
    /// Room for `most` connections, of which one source has `most_per_source`.
    #[must_use]
    pub fn new(most: usize, most_per_source: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_source, counts: Mutex::default() })
    }

    /// A place for a connection. `None` = this source, or all together, have as many as they may.
    #[must_use]
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Seat> {
        let source = source.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let its = counts.get(&source).copied().unwrap_or_default();
        if all >= self.most || its >= self.most_per_source {
            return None;
        }
        counts.insert(source, its + 1);
        drop(counts);
        Some(Seat { census: Arc::clone(self), source })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.census.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// Who has one address of an IPv6 network has 2⁶⁴ of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_have_so_many_and_gets_its_places_back() {
        let census = Census::new(12, 10);
        let of = |text: &str| census.admit(text.parse().unwrap());
        let seats: Vec<_> = std::iter::from_fn(|| of("192.0.2.1")).collect();
        assert_eq!(seats.len(), 10);
        let (other, third) = (of("192.0.2.2"), of("2001:db8::1"));
        assert!(other.is_some() && third.is_some(), "others are not concerned");
        assert!(of("192.0.2.3").is_none(), "all together have as many as they may");
        assert_eq!(census.counts.lock().unwrap().len(), 3, "who is refused is not remembered");
        drop((seats, other, third));
        assert!(of("192.0.2.1").is_some());
        assert!(census.counts.lock().unwrap().is_empty(), "nothing is remembered of those who left");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!((of("::1"), of("::ffff:192.0.2.1")), ("::1".to_owned(), "192.0.2.1".to_owned()));
    }
}
