//! The only SIP sockets. Purpose: move datagrams between the network and an [`Agent`](crate::sip::agent::Agent), and
//! find out what only the machine knows: our address towards a peer, the attached subnets, random octets.

mod subnets;
pub mod udp;

pub use subnets::AttachedSubnets;
pub use udp::{
    Placement, SipError, SipHandle, UdpConfig, UdpError, UdpTransport, local_address_towards, system_random,
};
