//! Where a message goes next, or where it came from: transport, address and, on streams, the connection. Plain data, any
//! thread. Invariant: a [`FlowId`] is never used twice, so that nothing meant for a connection that is gone can reach
//! another. Deliberately absent: finding hops for a name (RFC 3263 is the transport's), and whether a flow still stands.

use std::net::SocketAddr;
use std::sync::Arc;

/// What carries a message (RFC 3261 §18).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream, encrypted.
    Tls,
}

/// A stream connection that stands, or stood once; counted from 1, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FlowId(pub u64);

/// The next (or last) hop of a message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hop {
    /// What carries the message.
    pub transport: Transport,
    /// The other end; for a flow that is gone, where a new connection is opened.
    pub address: SocketAddr,
    /// The connection to use while it stands (RFC 5923); `None` = any to this address, or a new one.
    pub flow: Option<FlowId>,
    /// The name that a certificate must carry, and that is asked for (SNI), when a TLS connection must be opened.
    pub host: Option<Arc<str>>,
}

impl Transport {
    /// Whether nothing is lost, repeated or reordered, so that nothing need be sent again (RFC 3261 §17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// As Via writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As the `transport` parameter of a URI writes it.
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Reads either form, in any case.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|t| name.eq_ignore_ascii_case(t.name().as_bytes()))
    }

    /// The port where none is written (RFC 3261 §19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl Hop {
    /// Datagrams to this address.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address, flow: None, host: None }
    }

    /// TCP to this address, by whatever connection.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address, flow: None, host: None }
    }

    /// TLS to this address, whose certificate must be for `host`.
    #[must_use]
    pub fn tls(address: SocketAddr, host: &str) -> Self {
        Self { transport: Transport::Tls, address, flow: None, host: Some(host.into()) }
    }

    /// The same by this connection, while it stands.
    #[must_use]
    pub fn on(self, flow: FlowId) -> Self {
        Self { flow: Some(flow), ..self }
    }

    /// Whether both lead to the same end, by whatever connection.
    #[must_use]
    pub fn is_same_end(&self, other: &Self) -> bool {
        self.transport == other.transport && self.address == other.address
    }
}

/// `TLS 192.0.2.1:5061`.
impl std::fmt::Display for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.transport.name(), self.address)
    }
}
