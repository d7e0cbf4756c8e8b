//! SIP (RFC 3261), sans-IO, plus its sockets. Purpose: turn datagrams into calls and back. In data-flow order:
//! `transport` → `framing` → `message` → `transaction` → `dialog` → `agent`; `sdp` beside them.
//! Only `transport` knows sockets and clocks; everything else runs in virtual time.
//! Deliberately absent: media (the agent carries SDP as octets), DNS, and anything that is said in a call.

pub mod agent;
pub mod auth;
pub mod dialog;
pub mod framing;
#[doc(hidden)]
pub mod fuzz;
pub mod health;
pub mod hop;
pub mod ladder;
pub mod message;
pub mod peer;
pub mod registrar;
pub mod registration;
pub mod sdp;
pub mod transaction;
pub mod transport;
