//! RTP ports on loan. Purpose: a call's port comes back by itself, whatever ends the call. Control threads; one short lock
//! that no media thread ever sees. Invariant: a lease gives its port back once. Deliberately absent: which ports there are
//! (`media::ports`).

use crate::media::{PortPair, PortPool, PortsExhausted};
use crate::os::clock;
use crate::sip::sdp::other_family;
use crate::sip::transport::local_address_towards;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pool as calls use it: what is taken comes back by itself. Cheap to clone; control threads only.
#[derive(Clone, Debug)]
pub struct Ports(Arc<Mutex<PortPool>>);

/// A pair of ports of one call; dropping it, in a panic too, gives it back.
#[derive(Debug)]
pub struct PortLease {
    pool: Ports,
    port: u16,
}

impl Ports {
    /// Shares `pool`.
    #[must_use]
    pub fn new(pool: PortPool) -> Self {
        Self(Arc::new(Mutex::new(pool)))
    }

    /// Sockets that `peer` can reach, bound to a free pair of ports, and the claim to it. The sockets should be closed by the time the claim is
    /// dropped, or soon after.
    ///
    /// # Errors
    /// As [`PortPool::take_for`].
    pub fn take(&self, peer: IpAddr) -> Result<(PortPair, PortLease), PortsExhausted> {
        let pair = self.lock().take_for(clock::monotonic(), peer)?;
        let lease = PortLease { pool: self.clone(), port: pair.port };
        Ok((pair, lease))
    }

    /// Pairs that could be taken now or after quarantine.
    #[must_use]
    pub fn available(&self) -> usize {
        self.lock().available()
    }

    fn lock(&self) -> MutexGuard<'_, PortPool> {
        // The pool is whole after every statement of its methods, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortLease {
    /// The even port: RTP.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.pool.lock().release(self.port, clock::monotonic());
    }
}

/// Whom the audio of an offer goes to, as far as our end of it depends on that: whoever sent it, unless all its audio is in the
/// other family of addresses, and this machine has one there.
pub fn audio_peer(source: SocketAddr, offer: Option<&[u8]>) -> SocketAddr {
    let other = offer.and_then(|offer| other_family(offer, source.ip().to_canonical()));
    // What leads to ourselves is no way for those who come from elsewhere.
    let other = other.filter(|ip| ip.is_loopback() == source.ip().to_canonical().is_loopback());
    other.filter(|ip| local_address_towards(*ip).is_ok()).map_or(source, |ip| SocketAddr::new(ip, source.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_call_that_panics_gives_its_port_back() {
        let ports = Ports::new(PortPool::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 47_130..=47_133, 3));
        let (_sockets, lease) = ports.take(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(ports.available(), 1);
        let call = std::thread::spawn(move || {
            let _lease = lease;
            panic!("asked for by a test");
        });
        assert!(call.join().is_err());
        assert_eq!(ports.available(), 2);
    }
}

#[cfg(test)]
mod family_tests {
    use super::*;

    #[test]
    fn audio_of_the_other_family_is_served_where_there_is_a_way() {
        let offer = |address: &str| {
            let family = if address.contains(':') { "IP6" } else { "IP4" };
            format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
        };
        let of = |source: &str, address: &str| {
            audio_peer(source.parse().unwrap(), Some(offer(address).as_bytes())).to_string()
        };
        assert_eq!(of("[::1]:5060", "127.0.0.1"), "127.0.0.1:5060");
        assert_eq!(of("127.0.0.1:5060", "127.0.0.2"), "127.0.0.1:5060", "the same family: as ever");
        assert_eq!(of("[2001:db8::1]:5060", "127.0.0.1"), "[2001:db8::1]:5060", "loopback is nothing for others");
        assert_eq!(audio_peer("[::1]:5060".parse().unwrap(), None).to_string(), "[::1]:5060");
    }
}
