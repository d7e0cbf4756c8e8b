//! The only SIP sockets. Purpose: move messages between the network and an [`Agent`](crate::sip::agent::Agent) over UDP, TCP
//! and TLS, and find out what only the machine knows: our address towards a peer, the attached subnets, random octets, what
//! DNS says of a name.

mod census;
mod connection;
mod dead_hops;
mod door;
mod driver;
mod endpoint;
mod figures;
mod flow_table;
mod handle;
mod listen;
mod resolve;
mod subnets;
pub mod tls;

pub use census::{Census, Seat, network};
pub use dead_hops::DeadHops;
pub use door::{DoorVerb, OpenDoor};
pub use endpoint::{SipTransport, local_address_towards, system_random};
pub use handle::{SipError, SipHandle};
pub use listen::{ListenConfig, ListenError, remedy};
pub use resolve::{Families, ResolveError, SipResolver};
pub use subnets::AttachedSubnets;

/// The name before there were streams.
pub type UdpTransport = SipTransport;
/// The name before there were streams.
pub type UdpConfig = ListenConfig;
/// The name before there were streams.
pub type UdpError = ListenError;
