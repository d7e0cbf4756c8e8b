//! What control may ask of a media worker. Purpose: the whole inward language, one enum. Sent from any control thread
//! through `MediaPlane::send`; executed on the worker in the order sent for one call. Invariant: executing a command
//! neither allocates nor frees. Deliberately absent: replies (they come as `MediaEvent`).

use crate::id::{CallId, Generation};
use crate::media::coders::Coders;
use crate::media::plan::PreparedSession;
use crate::media::secure::Secure;
use crate::rtp::Formats;
use crate::rtp::dtmf::Digits;
use std::net::SocketAddr;

/// One order to the worker that owns the call. Unknown calls are ignored (the call may just have closed).
#[derive(Debug)]
pub enum MediaCommand {
    /// Start carrying the call's media. Answered by `Opened`, or `Refused` when the worker has no free slot.
    Open(Box<PreparedSession>),
    /// (Re)negotiated media: where to send and in which formats. Source learning starts anew when the address differs from
    /// the one negotiated before.
    SetRemote {
        /// The call.
        call: CallId,
        /// Address from the peer's SDP.
        remote: SocketAddr,
        /// Where it wants RTCP; `None` when that goes with the audio.
        rtcp_remote: Option<SocketAddr>,
        /// What was agreed.
        formats: Formats,
        /// Codec state for `formats`, when `Coders::serves` says that the present one does not do; the other one comes back
        /// in `Retired`. Without it, formats that the present coders do not serve are ignored (the address is not).
        coders: Option<Box<Coders>>,
        /// Keys that came new (`Secure::after`); the replaced ones come back in `Rekeyed`. Without it they stay, or there
        /// are none: a call that was protected is never carried in the clear.
        secure: Option<Box<Secure>>,
    },
    /// The handshake that the call's keys come from is done, or the peer is reached elsewhere now: as `SetRemote`, but for
    /// what was negotiated.
    Secure {
        /// The call.
        call: CallId,
        /// Where the peer is, as its checks or its handshake have shown.
        remote: SocketAddr,
        /// Keys that came new; the replaced ones come back in `Rekeyed`.
        secure: Option<Box<Secure>>,
    },
    /// While held nothing is sent, caller audio is replaced by silence and missing media is no fault. What a held leg of a
    /// bridge still sends goes on to the other leg: it may only send (announcements, music on hold).
    Hold {
        /// The call.
        call: CallId,
        /// True to hold, false to resume.
        held: bool,
    },
    /// Frames of generations older than this one are dropped from now on. Answered by `Flushed`.
    FlushPlayout {
        /// The call.
        call: CallId,
        /// Oldest generation that may still be sent.
        generation: Generation,
    },
    /// Falls silent with the next frame (5 ms of fading; answered by `Ducked` where something was being said), or goes on
    /// from the very sample at which it began to fade. `FlushPlayout` ends it as well.
    Duck {
        /// The call.
        call: CallId,
        /// True to fall silent, false to go on.
        ducked: bool,
    },
    /// Send RFC 4733 digits (100 ms each, 60 ms apart) after those already waiting; tones in the audio where no telephone
    /// event was agreed. On a bridge they go to this leg's phone in place of what the other leg says meanwhile.
    SendDigits {
        /// The call.
        call: CallId,
        /// What to send.
        digits: Digits,
    },
    /// Stop. Answered by `Closed`, which gives the session back for freeing.
    Close {
        /// The call.
        call: CallId,
    },
}

impl MediaCommand {
    /// The call that the command is about; decides which worker gets it.
    #[must_use]
    pub fn call(&self) -> CallId {
        match self {
            Self::Open(session) => session.call(),
            Self::SetRemote { call, .. }
            | Self::Secure { call, .. }
            | Self::Hold { call, .. }
            | Self::FlushPlayout { call, .. }
            | Self::Duck { call, .. }
            | Self::SendDigits { call, .. }
            | Self::Close { call } => *call,
        }
    }
}
