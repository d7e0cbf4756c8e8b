//! Offer and answer for one G.711 audio stream (RFC 3264, RFC 8866, RFC 4733). Purpose: from the peer's SDP to an
//! answer and to where and how media flows. Grammar by the `sdp-types` crate. Pure; any thread. Invariants: an answer
//! has the offer's m-lines in the offer's order, at most one of them alive; nothing here panics on input.
//! Deliberately absent: SRTP, ICE, video, fax: such lines are answered with port 0.

mod negotiate;
mod read;
mod session;

pub use negotiate::{build_offer, build_offer_of, negotiate, parse_answer};
pub use session::SdpSession;

use std::net::{IpAddr, SocketAddr};

/// MIME type of the bodies.
pub const CONTENT_TYPE: &str = "application/sdp";

/// Audio codec, 8 kHz mono (RFC 3551 §4.5.14).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// µ-law, static payload type 0.
    Pcmu,
    /// A-law, static payload type 8.
    Pcma,
}

impl Codec {
    pub(crate) const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}

/// Codec and the payload type under which it goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Payload {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Codec.
    pub codec: Codec,
}

/// What we do (not what the peer does).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Send and receive.
    SendRecv,
    /// Send only.
    SendOnly,
    /// Receive only: the peer holds us (or must not be sent to).
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether we may send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether we shall receive.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(crate) const fn from_flags(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }
}

/// Our end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalMedia {
    /// Address that the peer sends RTP to.
    pub address: IpAddr,
    /// RTP port.
    pub port: u16,
    /// `o=` session id: one per call; use a random number below 2⁶³.
    pub session_id: u64,
    /// `o=` version: goes up by one when, and only when, the description changes (RFC 3264 §8). [`SdpSession`] does it.
    pub session_version: u64,
}

/// Result of an offer/answer exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The answer to send; for [`parse_answer`] the answer that came.
    pub answer: Vec<u8>,
    /// Where the peer wants RTP. With an old-style hold (`c=0.0.0.0`) the address is unspecified; see `direction`.
    pub remote: SocketAddr,
    /// Codec.
    pub payload: Payload,
    /// Payload type of RFC 4733 events at 8 kHz, if both sides have them.
    pub telephone_event: Option<u8>,
    /// What we do.
    pub direction: Direction,
}

/// Why there is no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SdpError {
    /// The peer's description is fine, but we share nothing with it. Answer 488; retrying does not help.
    #[error("no common audio format: {0}")]
    NotAcceptable(&'static str),
    /// The peer's description cannot be read or exceeds a limit. Answer 400; the peer's software is at fault.
    #[error("unreadable session description: {0}")]
    BadOffer(&'static str),
}

impl SdpError {
    /// Status code for the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NotAcceptable(_) => 488,
            Self::BadOffer(_) => 400,
        }
    }
}
