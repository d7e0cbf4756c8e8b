//! Which UDP ports calls may use. Purpose: hand out bound sockets in pairs, RTP on an even port and RTCP on the next one
//! (RFC 3550 section 11), and keep a released pair quiet for a while, so that a new call never hears the old one's late
//! packets. Control threads only (behind whatever lock the owner likes). Invariants: a pair is with at most one call, even
//! when the call carries RTCP on its RTP port and has closed the other socket; pairs come in an order that an outsider
//! cannot guess from the last one.

use crate::limits::PORT_QUARANTINE;
use crate::media::socket;
use crate::time::Tick;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use thiserror::Error;

/// The operator's fault or plain overload: refuse the call with 503; retry after a few seconds may succeed.
#[derive(Debug, Error)]
pub enum PortsExhausted {
    /// All ports are with calls or in quarantine.
    #[error("all {0} RTP ports are in use: widen [rtp] ports in the configuration, or wait for calls to end")]
    InUse(usize),
    /// Other programs hold the free ones, or the address is not ours.
    #[error("cannot bind an RTP port on {address}: {source}; check [rtp] address and ports")]
    Bind {
        /// Address of the pool.
        address: IpAddr,
        /// From the last attempt.
        source: io::Error,
    },
}

/// Ports tried for one call before giving up.
const ATTEMPTS: usize = 64;

/// Two sockets set up for media.
#[derive(Debug)]
pub struct PortPair {
    /// Bound to `port`.
    pub rtp: UdpSocket,
    /// Bound to `port + 1`; to be dropped when RTCP comes with the audio (RFC 5761).
    pub rtcp: UdpSocket,
    /// Even; it goes into the session description and back to the pool.
    pub port: u16,
}

/// The pool of one address.
#[derive(Debug)]
pub struct PortPool {
    address: IpAddr,
    /// Even ports of the pairs that are free now, shuffled.
    free: VecDeque<u16>,
    /// Released, oldest first, with the time from which they are free.
    quarantine: VecDeque<(Tick, u16)>,
    range: RangeInclusive<u16>,
    total: usize,
    random: u64,
}

impl PortPool {
    /// All pairs that lie in `range`, on `address`. `seed` comes from `os::random` (a constant in tests).
    #[must_use]
    pub fn new(address: IpAddr, range: RangeInclusive<u16>, seed: u64) -> Self {
        let mut free: VecDeque<u16> = range.clone().filter(|port| is_pair(*port, &range)).collect();
        let total = free.len();
        let mut pool =
            Self { address, free: VecDeque::new(), quarantine: VecDeque::new(), range, total, random: seed | 1 };
        for n in (1..free.len()).rev() {
            free.swap(n, pool.below(n + 1));
        }
        pool.free = free;
        pool
    }

    /// Sockets bound to a free pair. A pair of which another program holds one port is passed over.
    ///
    /// # Errors
    /// [`PortsExhausted`].
    pub fn take(&mut self, now: Tick) -> Result<PortPair, PortsExhausted> {
        self.take_for(now, self.address)
    }

    /// As [`PortPool::take`], for a peer of this family of addresses: where the pool's own address is of the other family,
    /// the sockets are bound to all addresses of the peer's.
    ///
    /// # Errors
    /// [`PortsExhausted`].
    pub fn take_for(&mut self, now: Tick, peer: IpAddr) -> Result<PortPair, PortsExhausted> {
        let address = match (self.address, peer.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            // A wildcard of IPv6 hears both.
            (IpAddr::V6(v6), IpAddr::V4(_)) if !v6.is_unspecified() => Ipv4Addr::UNSPECIFIED.into(),
            _ => self.address,
        };
        while let Some((from, port)) = self.quarantine.front().copied() {
            if from > now {
                break;
            }
            self.quarantine.pop_front();
            // Somewhere among the free ones: first in, first out would be guessable.
            let place = self.below(self.free.len() + 1);
            self.free.push_back(port);
            let last = self.free.len() - 1;
            self.free.swap(place, last);
        }
        let mut failed = None;
        for _ in 0..ATTEMPTS.min(self.free.len()) {
            let Some(port) = self.free.pop_front() else { break };
            match Self::bind(address, port) {
                Ok(pair) => return Ok(pair),
                Err(error) => {
                    self.free.push_back(port);
                    failed = Some(error);
                }
            }
        }
        Err(match failed {
            Some(source) => PortsExhausted::Bind { address, source },
            None => PortsExhausted::InUse(self.total),
        })
    }

    fn bind(address: IpAddr, port: u16) -> io::Result<PortPair> {
        let bind = |port| {
            let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
            socket::set_up(&socket).map(|()| socket)
        };
        Ok(PortPair { rtp: bind(port)?, rtcp: bind(port + 1)?, port })
    }

    /// Gives a pair back by its even port; its sockets must be closed by then or soon after. Foreign ports, and ports that
    /// nobody has, are ignored.
    pub fn release(&mut self, port: u16, now: Tick) {
        if is_pair(port, &self.range) && !self.free.contains(&port) && !self.quarantine.iter().any(|(_, p)| *p == port)
        {
            self.quarantine.push_back((now + PORT_QUARANTINE, port));
        }
    }

    /// Pairs that could be taken now or after quarantine.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free.len() + self.quarantine.len()
    }

    /// Pseudo-random number below `n` (xorshift64*): unguessable enough for port order, which the latch backs up.
    fn below(&mut self, n: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let high = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % n.max(1)
    }
}

/// Whether the range holds this port and the next one, and this one is even. The next one cannot overflow then.
fn is_pair(port: u16, range: &RangeInclusive<u16>) -> bool {
    port != 0 && port.is_multiple_of(2) && range.contains(&port) && port < *range.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn ports_are_even_distinct_and_quarantined() {
        let mut pool = PortPool::new(LOOPBACK, 47_101..=47_112, 7);
        let now = Tick(1_000_000_000);
        let taken: Vec<_> = (0..5).map(|_| pool.take(now).unwrap()).collect();
        let ports: HashSet<u16> = taken.iter().map(|pair| pair.port).collect();
        assert_eq!(ports.len(), 5);
        assert!(ports.iter().all(|p| p % 2 == 0));
        assert!(matches!(pool.take(now), Err(PortsExhausted::InUse(5))));

        for pair in &taken {
            assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.port);
            assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.port + 1);
        }
        let first = taken[0].port;
        drop(taken);
        pool.release(first, now);
        pool.release(first, now);
        pool.release(first + 1, now);
        pool.release(5060, now);
        assert_eq!(pool.available(), 1);
        assert!(pool.take(now + (PORT_QUARANTINE - Duration::from_millis(1))).is_err());
        assert_eq!(pool.take(now + PORT_QUARANTINE).unwrap().port, first);
    }

    #[test]
    fn a_port_held_by_another_program_is_passed_over() {
        for held_port in [47_120, 47_121] {
            let mut pool = PortPool::new(LOOPBACK, 47_120..=47_123, 3);
            let held = UdpSocket::bind((LOOPBACK, held_port)).unwrap();
            let pair = pool.take(Tick(0)).unwrap();
            assert_eq!(pair.port, 47_122);
            assert!(matches!(pool.take(Tick(0)), Err(PortsExhausted::Bind { .. })));
            drop(held);
            assert!(pool.take(Tick(0)).is_ok());
        }
    }

    #[test]
    fn a_pair_lies_in_the_range_whole() {
        for (range, pairs) in
            [(2..=3, 1), (2..=2, 0), (1..=2, 0), (1..=5, 2), (65_530..=65_535, 3), (65_534..=65_534, 0)]
        {
            assert_eq!(PortPool::new(LOOPBACK, range.clone(), 1).available(), pairs, "{range:?}");
        }
    }

    #[test]
    fn a_pair_stays_in_quarantine_although_rtcp_closed_long_ago() {
        let mut pool = PortPool::new(LOOPBACK, 47_124..=47_125, 3);
        let PortPair { rtp, rtcp, port } = pool.take(Tick(0)).unwrap();
        drop(rtcp);
        assert!(pool.take(Tick(0)).is_err());
        drop(rtp);
        pool.release(port, Tick(0));
        assert!(matches!(pool.take(Tick(1)), Err(PortsExhausted::InUse(1))));
        assert!(pool.take(Tick(0) + PORT_QUARANTINE).is_ok());
    }
}
