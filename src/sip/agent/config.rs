//! What an agent must be told before it starts. Purpose: keep policy, randomness and addresses out of the protocol, so
//! that a test can fix each. Deliberately absent: defaults that need a socket or the system's random source (that is
//! `transport`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::limits;
use crate::sip::hop::Hop;
use crate::sip::hop::Transport;

/// Decides whether requests from this address are heard at all; `false` = silence.
pub type SourcePolicy = Box<dyn Fn(IpAddr) -> bool + Send>;
/// Finds our own address as the given peer sees it (a route look-up), when we are bound to the wildcard address.
pub type RouteLookup = Box<dyn Fn(IpAddr) -> Option<IpAddr> + Send>;
/// Fills the slice with random octets. Tags and branches are drawn from it (128 bit each), so in production it must be
/// the system's generator; tests give a seeded one.
pub type RandomSource = Box<dyn FnMut(&mut [u8]) + Send>;

/// Sees every message: whether we sent it, our address, the hop, the message. Must not block.
pub type Watcher = Box<dyn Fn(bool, SocketAddr, &Hop, &[u8]) + Send>;

/// Configuration of an [`Agent`](super::Agent).
pub struct AgentConfig {
    /// Address that the UDP socket is bound to; may be a wildcard address.
    pub local: SocketAddr,
    /// What else we listen on: a UDP socket of the other family, TCP, TLS. A transport that is not here is only dialled.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// Address to write into Via and Contact (NAT, public address), with the port for UDP; loopback peers see `local` anyway.
    pub advertised: Option<SocketAddr>,
    /// INVITEs too large for one datagram try TCP first (RFC 3261 §18.1.1).
    pub large_by_tcp: bool,
    /// Used when `local` is a wildcard and nothing is advertised.
    pub route_lookup: Option<RouteLookup>,
    /// User part of our Contact.
    pub contact_user: String,
    /// Server and User-Agent header.
    pub user_agent: String,
    /// Which sources are neighbours (loopback, attached networks). Whether these are heard without proof is the directory's
    /// ([`Directory`](crate::sip::peer::Directory)); peers of calls that we placed are heard within these calls in any case.
    pub accept_from: SourcePolicy,
    /// Random source.
    pub random: RandomSource,
    /// Key of nonces, line tokens and stateless tags, kept over restarts so that they keep their meaning; `None` = drawn.
    pub secret: Option<[u8; 32]>,
    /// Sees what comes from sources that are heard, and what leaves.
    pub watcher: Option<Watcher>,
    /// New dialogs per second that one source address may open, on average; loopback may open as many as it will.
    pub dialogs_per_second: f64,
    /// New dialogs that one source address may open at once.
    pub dialogs_burst: f64,
    /// Legs alive at once; above it INVITEs get 503. At most [`limits::SIP_LEGS_MAX`].
    pub legs_max: usize,
    /// Session interval that we ask for (RFC 4028), at least [`limits::SIP_SESSION_MIN`]; `None` = we ask for none, and
    /// agree to the peer's.
    pub session_interval: Option<Duration>,
}

impl AgentConfig {
    /// A configuration that hears loopback and private addresses only (RFC 1918, 4193, 3927, 4291 link-local).
    #[must_use]
    pub fn new(local: SocketAddr, random: RandomSource) -> Self {
        Self {
            local,
            listeners: Vec::new(),
            large_by_tcp: false,
            advertised: None,
            route_lookup: None,
            contact_user: "callwright".to_owned(),
            user_agent: concat!("Callwright/", env!("CARGO_PKG_VERSION")).to_owned(),
            accept_from: Box::new(is_loopback_or_private),
            random,
            secret: None,
            watcher: None,
            dialogs_per_second: 200.0,
            dialogs_burst: 400.0,
            legs_max: limits::SIP_LEGS_MAX,
            session_interval: Some(limits::SIP_SESSION),
        }
    }
}

impl AgentConfig {
    /// The address that we listen on for this transport and family of peers; else the best there is.
    pub(super) fn local_for(&self, transport: Transport, peer: IpAddr) -> SocketAddr {
        let all = || std::iter::once((Transport::Udp, self.local)).chain(self.listeners.iter().copied());
        let family = |address: SocketAddr| address.is_ipv4() == peer.is_ipv4();
        let exact = all().find(|(t, a)| *t == transport && family(*a));
        let any = || all().find(|(t, _)| *t == transport).or_else(|| all().find(|(_, a)| family(*a)));
        exact.or_else(any).map_or(self.local, |(_, address)| address)
    }

    /// The port that goes with the advertised address.
    pub(super) fn advertised_port(&self, transport: Transport, advertised: SocketAddr, local: SocketAddr) -> u16 {
        let listens = self.listeners.iter().any(|(t, _)| *t == transport);
        if transport == Transport::Udp || !listens { advertised.port() } else { local.port() }
    }
}

impl std::fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentConfig")
            .field("local", &self.local)
            .field("listeners", &self.listeners)
            .field("advertised", &self.advertised)
            .field("contact_user", &self.contact_user)
            .field("user_agent", &self.user_agent)
            .field("dialogs_per_second", &self.dialogs_per_second)
            .field("dialogs_burst", &self.dialogs_burst)
            .field("legs_max", &self.legs_max)
            .field("session_interval", &self.session_interval)
            .finish_non_exhaustive()
    }
}

/// Whether an address belongs to this machine or to a private network (RFC 1918, RFC 3927, RFC 4193, RFC 4291 §2.5.6).
/// It does not know which subnets are attached; the owner can narrow it with a list of interfaces.
#[must_use]
pub fn is_loopback_or_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_heard_public_is_not() {
        for a in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.7.7",
            "172.31.0.1",
            "169.254.3.4",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_loopback_or_private(a.parse().unwrap()), "{a}");
        }
        for a in ["8.8.8.8", "172.32.0.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_loopback_or_private(a.parse().unwrap()), "{a}");
        }
    }
}
