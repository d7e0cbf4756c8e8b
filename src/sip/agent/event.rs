//! What the agent tells its owner: leg numbers, events, datagrams to send. Purpose: the whole vocabulary between
//! signalling and the call side. Plain data, any thread. Invariant: every leg ends with exactly one terminal event
//! ([`SipEvent::is_terminal`]); after it the [`LegId`] is dead and every verb on it returns `UnknownLeg`.
//! Deliberately absent: anything about media beyond opaque SDP octets.

use std::net::SocketAddr;
use std::sync::Arc;

use super::lines::LineStatus;
use super::out_of_dialog::{RequestId, Response};
use super::reason::Cause;
use crate::sip::dialog::DialogId;
use crate::sip::hop::Hop;
use crate::sip::peer::Peer;
use crate::sip::registrar::Binding;

/// One signalling leg (one INVITE dialog) of an [`Agent`](super::Agent), counted from 1, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LegId(pub u64);

impl LegId {
    /// No leg.
    pub const NONE: Self = Self(0);
    const ELSEWHERE: u64 = 1 << 63;

    /// A leg that is no agent's: its signalling is another protocol's. No agent counts so far.
    #[must_use]
    pub const fn elsewhere(number: u64) -> Self {
        Self(number | Self::ELSEWHERE)
    }

    /// Whether it is such a leg.
    #[must_use]
    pub const fn is_elsewhere(self) -> bool {
        self.0 & Self::ELSEWHERE != 0
    }
}

/// A message that wants to leave. Order matters; loss is allowed on UDP. What cannot be sent on a stream is told by
/// [`Agent::handle_transport_failed`](super::Agent::handle_transport_failed) with the same hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to, and by what.
    pub hop: Hop,
    /// A whole SIP message, octets.
    pub bytes: Vec<u8>,
}

/// Who or what ended a leg.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndedBy {
    /// We hung up or rejected.
    Local,
    /// The peer sent BYE.
    Remote,
    /// The peer fell silent: no ACK for our 2xx, or the call was never answered (RFC 3261 §13.3.1.4, timer C).
    Timeout,
    /// The peer could not be reached or spoke nonsense where an answer was needed.
    TransportError,
}

/// What happened, in order per leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SipEvent {
    /// A new call is offered; 100 Trying has been sent. Answer with `ring`, `accept` or `reject`.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// From as written by the peer, without header parameters: display name and URI (UTF-8, or read as Latin-1).
        from: String,
        /// To, likewise.
        to: String,
        /// The number called, escapes as sent (`%23` stays `%23`): user part of the Request-URI, or of To where a trunk calls
        /// our Contact; empty when there is none.
        request_user: String,
        /// Call-ID.
        call_id: String,
        /// Where the INVITE came from.
        source: SocketAddr,
        /// Whose call it is.
        identity: Peer,
        /// Max-Forwards as it came, at least 1 (70 when it said nothing).
        hops: u8,
        /// SDP offer; `None` = delayed offer: `accept` carries our offer, [`SipEvent::Confirmed`] the answer.
        offer: Option<Vec<u8>>,
        /// What else the INVITE says about the caller and the call: P-*, X-*, Diversion, History-Info, Remote-Party-ID,
        /// Privacy, Alert-Info, User-to-User, Referred-By; names as written, at most
        /// [`limits::SIP_HANDED_HEADERS_MAX`](crate::limits::SIP_HANDED_HEADERS_MAX).
        headers: Vec<(String, String)>,
        /// The call takes the place of this one (RFC 3891): accept it, join it to whatever that leg was joined to, then hang
        /// that leg up.
        replaces: Option<LegId>,
    },
    /// The PRACK for a provisional response that carried our offer has brought the answer (RFC 3262 §5). Media may flow.
    EarlyAnswer {
        /// The leg.
        leg: LegId,
        /// SDP answer.
        answer: Vec<u8>,
    },
    /// The ACK for our 2xx has come (also after a re-INVITE). Media may start.
    Confirmed {
        /// The leg.
        leg: LegId,
        /// SDP in the ACK: the peer's answer when our 2xx carried the offer.
        answer: Option<Vec<u8>>,
    },
    /// The caller gave up before we answered (CANCEL). Terminal.
    Cancelled {
        /// The leg.
        leg: LegId,
    },
    /// A provisional response (101–199) to our INVITE.
    Progress {
        /// The leg.
        leg: LegId,
        /// 101–199.
        code: u16,
        /// Early-media SDP, if the response brought one.
        answer: Option<Vec<u8>>,
        /// Which of the phones that our INVITE reached says it: the early dialog, counted from 0 within the leg.
        dialog: u32,
    },
    /// Our INVITE was answered with 2xx; the ACK has been sent.
    Accepted {
        /// The leg.
        leg: LegId,
        /// SDP answer.
        answer: Vec<u8>,
    },
    /// Our INVITE was refused or timed out (408). Terminal.
    Refused {
        /// The leg.
        leg: LegId,
        /// 300–699.
        code: u16,
        /// Reason phrase, or the Reason header's text where present.
        reason: String,
        /// Retry-After in seconds.
        retry_after: Option<u32>,
        /// Cause of the Reason header.
        cause: Option<Cause>,
    },
    /// The peer changes or refreshes the session by INVITE, UPDATE or PRACK: answer with `answer_reinvite`, `refresh` or
    /// `reject`.
    Reinvite {
        /// The leg.
        leg: LegId,
        /// New offer; `None` = the peer wants ours.
        offer: Option<Vec<u8>>,
        /// The offer equals the peer's last SDP octet for octet: `refresh` is the right answer.
        unchanged: bool,
    },
    /// Our [`reinvite`](super::Agent::reinvite) or [`update`](super::Agent::update) was accepted. What we
    /// offered is now ours.
    Reinvited {
        /// The leg.
        leg: LegId,
        /// SDP answer; empty for an UPDATE without offer.
        answer: Vec<u8>,
    },
    /// A refresh of the session, which nobody had asked for here, has brought another description of the peer (RFC 4028 §7.4):
    /// the answer to our last one, whether that was an offer or an answer itself.
    Refreshed {
        /// The leg.
        leg: LegId,
        /// SDP answer.
        answer: Vec<u8>,
    },
    /// The peer's offer to our INVITE or re-INVITE without one: answer with
    /// [`confirm_offer`](super::Agent::confirm_offer) or hang up.
    ReinviteOffered {
        /// The leg.
        leg: LegId,
        /// SDP offer.
        offer: Vec<u8>,
    },
    /// Our `reinvite` or `update` was refused; the session is as it was.
    ReinviteRefused {
        /// The leg.
        leg: LegId,
        /// 300–699. 491: the peer changed the session meanwhile, so what we offered is out of date: offer anew.
        code: u16,
    },
    /// The peer asks us to call somebody else in its place (RFC 3515): answer with
    /// [`accept_refer`](super::Agent::accept_refer) or [`refuse_refer`](super::Agent::refuse_refer).
    Refer {
        /// The leg.
        leg: LegId,
        /// Whom to call: a URI without headers.
        target: String,
        /// The call that ours shall replace, as its other end sees it: what
        /// [`replaces_value`](super::replaces_value) writes into our INVITE.
        replaces: Option<DialogId>,
        /// Who asks, by the Referred-By header (RFC 3892).
        referred_by: Option<String>,
    },
    /// How far the peer is with what [`refer`](super::Agent::refer) asked of it.
    ReferProgress {
        /// The leg.
        leg: LegId,
        /// Status code of the peer's call, or of its refusal; 202 and over = it will not tell.
        code: u16,
        /// Nothing more will be told.
        over: bool,
    },
    /// A DTMF digit by SIP INFO (`application/dtmf-relay` or `application/dtmf`): `0`–`9`, `*`, `#`, `A`–`D`.
    InfoDigit {
        /// The leg.
        leg: LegId,
        /// The digit.
        digit: char,
    },
    /// The final answer to a request outside of dialogs.
    Response {
        /// The request.
        request: RequestId,
        /// Its answer.
        response: Box<Response>,
    },
    /// A registered line stands otherwise than before.
    Line(Box<LineStatus>),
    /// An extension is reached elsewhere than before, or has said that it still is; to be kept over a restart
    /// ([`Agent::restore_bindings`](super::Agent::restore_bindings)).
    Bindings {
        /// Its number.
        extension: Arc<str>,
        /// All places where it is reached now.
        bindings: Vec<Binding>,
    },
    /// The leg is over. Terminal.
    Ended {
        /// The leg.
        leg: LegId,
        /// By whom.
        by: EndedBy,
        /// Text of the peer's Reason header, or what went wrong.
        reason: Option<String>,
        /// Cause of the peer's Reason header.
        cause: Option<Cause>,
    },
}

impl SipEvent {
    /// The leg that it is about; [`LegId::NONE`] when it is about none.
    #[must_use]
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Incoming { leg, .. }
            | Self::Confirmed { leg, .. }
            | Self::Cancelled { leg }
            | Self::Progress { leg, .. }
            | Self::Accepted { leg, .. }
            | Self::Refused { leg, .. }
            | Self::Reinvite { leg, .. }
            | Self::EarlyAnswer { leg, .. }
            | Self::Reinvited { leg, .. }
            | Self::Refreshed { leg, .. }
            | Self::ReinviteOffered { leg, .. }
            | Self::ReinviteRefused { leg, .. }
            | Self::Refer { leg, .. }
            | Self::ReferProgress { leg, .. }
            | Self::InfoDigit { leg, .. }
            | Self::Ended { leg, .. } => *leg,
            Self::Response { .. } | Self::Line(_) | Self::Bindings { .. } => LegId::NONE,
        }
    }

    /// What happened in a word, for the log: the event's own `Debug` has descriptions in it, and those have keys.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Incoming { .. } => "INVITE",
            Self::Confirmed { .. } => "ACK",
            Self::Cancelled { .. } => "CANCEL",
            Self::Progress { .. } => "provisional response",
            Self::Accepted { .. } => "answer",
            Self::Refused { .. } => "refusal",
            Self::Reinvite { .. } => "re-INVITE",
            Self::EarlyAnswer { .. } => "answer in PRACK",
            Self::Reinvited { .. } => "answer to our re-INVITE",
            Self::Refreshed { .. } => "change by a refresh",
            Self::ReinviteOffered { .. } => "offer to our INVITE",
            Self::ReinviteRefused { .. } => "refusal of our re-INVITE",
            Self::Refer { .. } => "REFER",
            Self::ReferProgress { .. } => "progress of our REFER",
            Self::InfoDigit { .. } => "INFO",
            Self::Response { .. } => "response",
            Self::Line(_) => "line",
            Self::Bindings { .. } => "bindings",
            Self::Ended { .. } => "end of the leg",
        }
    }

    /// Whether this is the last event of its leg.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Cancelled { .. } | Self::Refused { .. } | Self::Ended { .. })
    }
}

/// Why a verb on the agent could not be done. None of these is the network's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AgentError {
    /// The leg is over or never was. Normal when the peer hung up at the same moment: drop the request.
    #[error("leg {} is over", .0.0)]
    UnknownLeg(LegId),
    /// The leg is not in a state where this makes sense (for example `accept` twice): a bug of the caller.
    #[error("leg {} is {state}: {verb} is not possible now", .leg.0)]
    WrongState {
        /// The leg.
        leg: LegId,
        /// What it is doing.
        state: &'static str,
        /// What was asked.
        verb: &'static str,
    },
    /// All legs are in use. Retry after a call has ended, or raise `limits::SIP_LEGS_MAX`.
    #[error("all {} signalling legs are in use", crate::limits::SIP_LEGS_MAX)]
    NoCapacity,
    /// The target or From is not a SIP URI that can be written on one line. Fix the number or URI.
    #[error("not a SIP URI: it must read sip:user@host[:port] without spaces or control characters")]
    BadTarget,
}

/// Counters since start, and what is alive now; for metrics and tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AgentStatus {
    /// Legs alive.
    pub legs: usize,
    /// Server transactions alive.
    pub server_transactions: usize,
    /// Client transactions alive.
    pub client_transactions: usize,
    /// Messages given to `handle_message`.
    pub datagrams_in: u64,
    /// Messages queued for sending.
    pub datagrams_out: u64,
    /// Requests dropped without an answer because the policy does not know the source.
    pub dropped_source: u64,
    /// Datagrams that were no SIP message at all, or responses and ACKs too broken to use.
    pub dropped_malformed: u64,
    /// Requests answered 400, 413 or 416 because they were malformed.
    pub refused_malformed: u64,
    /// Requests with a wrong password or of an unknown user.
    pub refused_password: u64,
    /// INVITEs answered 503 by the per-source rate limit.
    pub refused_rate: u64,
    /// INVITEs answered 503 because a table was full.
    pub refused_capacity: u64,
    /// Responses that matched no transaction, and ACKs that matched nothing.
    pub strays: u64,
    /// Messages sent again by a timer or on a repeated request.
    pub retransmissions: u64,
    /// Legs created by INVITEs from outside.
    pub calls_in: u64,
    /// Legs created by `place`.
    pub calls_out: u64,
    /// Client transactions that went on to their next hop because one was dead or busy (RFC 3263 §4.3).
    pub failovers: u64,
    /// Requests of dialogs that left as datagrams too large for one packet, since the peer takes no stream (RFC 3261 §18.1.1).
    pub large_datagrams: u64,
    /// Messages dropped because nobody fetched them with `poll_transmit`.
    pub dropped_transmit: u64,
}
