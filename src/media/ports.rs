//! Which UDP ports calls may use. Purpose: hand out bound RTP sockets on even ports (RFC 3550 section 11) and keep a
//! released port quiet for a while, so that a new call never hears the old one's late packets. Control threads only
//! (behind whatever lock the owner likes). Invariants: a port is with at most one call; ports come in an order that an
//! outsider cannot guess from the last one. Deliberately absent: RTCP sockets.

use crate::limits::PORT_QUARANTINE;
use crate::media::socket;
use crate::time::Tick;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
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

/// The pool of one address.
#[derive(Debug)]
pub struct PortPool {
    address: IpAddr,
    /// Free now, shuffled.
    free: VecDeque<u16>,
    /// Released, oldest first, with the time from which they are free.
    quarantine: VecDeque<(Tick, u16)>,
    range: RangeInclusive<u16>,
    total: usize,
    random: u64,
}

impl PortPool {
    /// All even ports of `range` on `address`. `seed` comes from `os::random` (a constant in tests).
    #[must_use]
    pub fn new(address: IpAddr, range: RangeInclusive<u16>, seed: u64) -> Self {
        let mut free: VecDeque<u16> = range.clone().filter(|port| *port != 0 && port % 2 == 0).collect();
        let total = free.len();
        let mut pool =
            Self { address, free: VecDeque::new(), quarantine: VecDeque::new(), range, total, random: seed | 1 };
        for n in (1..free.len()).rev() {
            free.swap(n, pool.below(n + 1));
        }
        pool.free = free;
        pool
    }

    /// A socket bound to a free port, set up for media, with its port.
    pub fn take(&mut self, now: Tick) -> Result<(UdpSocket, u16), PortsExhausted> {
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
            match UdpSocket::bind(SocketAddr::new(self.address, port)).and_then(|s| socket::set_up(&s).map(|()| s)) {
                Ok(socket) => return Ok((socket, port)),
                Err(error) => {
                    self.free.push_back(port);
                    failed = Some(error);
                }
            }
        }
        Err(match failed {
            Some(source) => PortsExhausted::Bind { address: self.address, source },
            None => PortsExhausted::InUse(self.total),
        })
    }

    /// Gives a port back; its socket must be closed by then or soon after. Foreign ports, and ports that nobody has, are
    /// ignored.
    pub fn release(&mut self, port: u16, now: Tick) {
        let ours = port.is_multiple_of(2) && self.range.contains(&port);
        if ours && !self.free.contains(&port) && !self.quarantine.iter().any(|(_, p)| *p == port) {
            self.quarantine.push_back((now + PORT_QUARANTINE, port));
        }
    }

    /// Ports that could be taken now or after quarantine.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn ports_are_even_distinct_and_quarantined() {
        let mut pool = PortPool::new(LOOPBACK, 47_101..=47_110, 7);
        let now = Tick(1_000_000_000);
        let taken: Vec<_> = (0..5).map(|_| pool.take(now).unwrap()).collect();
        let ports: HashSet<u16> = taken.iter().map(|(_, p)| *p).collect();
        assert_eq!(ports.len(), 5);
        assert!(ports.iter().all(|p| p % 2 == 0));
        assert!(matches!(pool.take(now), Err(PortsExhausted::InUse(5))));

        let first = taken[0].1;
        drop(taken);
        pool.release(first, now);
        pool.release(first, now);
        pool.release(first + 1, now);
        pool.release(5060, now);
        assert_eq!(pool.available(), 1);
        assert!(pool.take(now + (PORT_QUARANTINE - Duration::from_millis(1))).is_err());
        assert_eq!(pool.take(now + PORT_QUARANTINE).unwrap().1, first);
    }

    #[test]
    fn a_port_held_by_another_program_is_passed_over() {
        let mut pool = PortPool::new(LOOPBACK, 47_120..=47_123, 3);
        let held = UdpSocket::bind((LOOPBACK, 47_120)).unwrap();
        assert_eq!(pool.take(Tick(0)).unwrap().1, 47_122);
        assert!(matches!(pool.take(Tick(0)), Err(PortsExhausted::Bind { .. })));
        drop(held);
        assert!(pool.take(Tick(0)).is_ok());
    }
}
