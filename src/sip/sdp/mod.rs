//! Offer and answer for one audio stream (RFC 3264, RFC 8866, RFC 3551, RFC 4733, RFC 7587). Purpose: from the peer's
//! SDP to an answer and to where and how media flows. Grammar by the `sdp-types` crate. Pure; any thread. Invariants: an
//! answer has the offer's m-lines in the offer's order, at most one of them alive, with one codec in it; a line keeps its
//! profile, so a protected one (RTP/SAVP, RFC 4568) is never answered with a plain one, nor a protected stream changed to
//! a plain one later; nothing here panics on input. A line of DTLS (RFC 5763) is taken where the session has a certificate, with ICE (RFC 8839) where the peer brings
//! it. Deliberately absent: video, fax: such lines are answered with port 0; `a=crypto` on a plain RTP/AVP line ("best effort"), which RFC 4568 does not know: it is ignored,
//! and the stream is plain.

pub mod dtls;
mod encoding;
mod family;
mod keys;
mod negotiate;
mod preference;
#[cfg(test)]
mod protected;
mod read;
mod session;
#[cfg(test)]
mod tests;

pub use dtls::{Dtls, DtlsLocal, IceCredentials};
pub use family::other_family;
pub use keys::{Keys, Random};
pub use negotiate::{build_offer, negotiate, offered_codecs, offers_comfort_noise, parse_answer};
pub use preference::{Preference, Srtp};
pub use session::{SdpSession, Standing};

use crate::rtp::format::Formats;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// MIME type of the bodies.
pub const CONTENT_TYPE: &str = "application/sdp";
/// What a request may carry, for the Accept header field.
pub const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative";

/// Where RTCP of the stream goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rtcp {
    /// With the audio, on its port (RFC 5761).
    Mux,
    /// There: the next port, or what `a=rtcp` says (RFC 3605).
    Address(SocketAddr),
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
#[derive(Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The answer to send; for [`parse_answer`] the answer that came.
    pub answer: Vec<u8>,
    /// Where the peer wants RTP. With an old-style hold (`c=0.0.0.0`) the address is unspecified; see `direction`.
    pub remote: SocketAddr,
    /// Where the peer wants RTCP.
    pub rtcp: Rtcp,
    /// Codecs and payload types.
    pub formats: Formats,
    /// What the peer would like in one packet (`a=ptime`), ms. We send 20 ms whatever it says.
    pub ptime: Option<u8>,
    /// What we do.
    pub direction: Direction,
    /// The keys, where SRTP was agreed; else the stream is plain.
    pub keys: Option<Keys>,
    /// What the handshake goes by, where keys come by DTLS.
    pub dtls: Option<Dtls>,
}

impl fmt::Debug for Negotiated {
    /// Without the answer's text, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("remote", &self.remote)
            .field("rtcp", &self.rtcp)
            .field("formats", &self.formats)
            .field("ptime", &self.ptime)
            .field("direction", &self.direction)
            .field("keys", &self.keys)
            .field("dtls", &self.dtls)
            .finish_non_exhaustive()
    }
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
