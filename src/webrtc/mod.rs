//! Browsers, and SIP phones whose keys come by DTLS: finding out where the peer is and what protects its audio.
//!
//! Purpose: ICE-lite (RFC 8445 section 2.5) and DTLS 1.2 with `use_srtp` (RFC 5764) beside the audio of a call, on its one
//! port, or on one that all browsers share. Owning thread: tokio tasks, one a call; the media worker hands over what is no media by `media::aside` and gets keys
//! and address by `MediaCommand::Secure`. Table of contents:
//!
//! | file | holds |
//! |---|---|
//! | `identity` | our certificate, made once at start, and what handshakes are done with |
//! | `association` | one DTLS association: its peer's certificate, its keys |
//! | `link` | checks and handshake of one call, sans-IO |
//! | `roaming` | a browser that comes from elsewhere under the same names |
//! | `driver` | the task that runs a link on a socket |
//! | `links` | the links of this moment, by call |
//! | `port` | one UDP port for all browsers |
//! | `relay` | what browsers show a TURN server |
//! | `seats` | whose datagram it is there |
//! | `fragment` | `application/trickle-ice-sdpfrag` (RFC 8840) |
//! | `fuzz` | bodies of fuzz targets |
//!
//! Invariants: nothing is sent to an address that has not proved to know the call's password (ICE) or to hold the certificate
//! that was announced (DTLS without ICE); what comes from third addresses changes nothing; every queue is bounded. Deliberately
//! absent: data channels, video, checks of our own to find a peer (a daemon with an address of its own needs none), HTTP (`api::webrtc`), and
//! descriptions (`sip::sdp`).

mod association;
mod driver;
mod fragment;
pub mod fuzz;
mod identity;
mod link;
mod links;
mod port;
mod relay;
mod roaming;
mod seats;

pub use driver::{LinkHandle, Outlet, start};
pub use fragment::{Fragment, FragmentError};
pub use identity::{Identity, IdentityError};
pub use link::{Link, LinkEnd, LinkEvent, LinkPlan};
pub use links::{LinkFacts, LinkSeat, Links};
pub use port::{NoPlace, PortSeat, PortTaken, SharedPort};
pub use relay::{Relay, RelayServer};
