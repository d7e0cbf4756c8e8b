//! The only SIP sockets. Purpose: move datagrams between the network and an [`Agent`](crate::sip::agent::Agent), and
//! find out what only the machine knows: our address towards a peer, the attached subnets, random octets.

mod handle;
mod subnets;
pub mod udp;

pub use handle::{SipError, SipHandle};
pub use subnets::AttachedSubnets;
pub use udp::{UdpConfig, UdpError, UdpTransport, local_address_towards, system_random};
