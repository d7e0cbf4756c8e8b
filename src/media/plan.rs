//! What control says about a call before the worker sees it. Purpose: everything that a call needs is allocated here, on
//! the control thread, and travels to the worker in one box; the worker gives the box back for freeing.
//! Invariant: nothing in a `PreparedSession` grows. Deliberately absent: negotiation (`sip::sdp`), ports (`ports`).

use crate::id::CallId;
use crate::limits::{INBOUND_RING_FRAMES, OUTBOUND_RING_FRAMES};
use crate::media::echo::Echo;
use crate::media::frame::{self, InFrame, InboundConsumer, OutFrame, OutboundProducer};
use crate::media::inbound::Inbound;
use crate::media::playout::{Identity, Playout};
use crate::media::recorder::Tap;
use crate::media::session::{RoleParts, Session, SpeechParts};
use crate::media::socket;
use crate::os::random;
use crate::rtp::Payload;
use std::net::{SocketAddr, UdpSocket};
use std::{fmt, io};

/// What the call's audio is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// What a packet brings leaves in the same pass of the loop: decode → ring → ring → encode.
    Echo,
    /// Audio goes to speech at once; frames from speech leave on a 20 ms clock, silence when there are none.
    Speech,
}

/// Everything that control knows about a call's media.
#[derive(Debug)]
pub struct SessionPlan {
    /// The call.
    pub call: CallId,
    /// Bound to the port in our SDP.
    pub socket: UdpSocket,
    /// Address from the peer's SDP; `None` until it is known (then nothing is sent and any source may be learnt).
    pub remote: Option<SocketAddr>,
    /// Agreed audio codec.
    pub payload: Payload,
    /// Agreed payload type of RFC 4733 events.
    pub telephone_event: Option<u8>,
    /// What the audio is for.
    pub role: Role,
    /// Start on hold (see `MediaCommand::Hold`).
    pub held: bool,
    /// Accept a source other than `remote` (symmetric RTP through NAT). True for phones, false where the peer's address
    /// is known for certain.
    pub learn_source: bool,
    /// Where both sides' audio goes as well, when the call is recorded.
    pub recording: Option<Tap>,
}

/// The rings' other ends, for speech.
#[expect(missing_debug_implementations, reason = "ring ends have no Debug")]
pub struct SpeechEnds {
    /// Caller audio.
    pub inbound: InboundConsumer,
    /// Agent audio.
    pub outbound: OutboundProducer,
}

/// A call's media, allocated and ready for a worker.
pub struct PreparedSession {
    pub(in crate::media) session: Session,
    pub(in crate::media) socket: UdpSocket,
}

impl PreparedSession {
    /// The call.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.session.call()
    }

    /// Our own address, as bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl fmt::Debug for PreparedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedSession").field("call", &self.call()).finish_non_exhaustive()
    }
}

/// Allocates all that the call's media needs. Control threads; about 0.1 ms. `SpeechEnds` is there for role `Speech`
/// only. Error: the socket cannot be set up (ours or the kernel's fault; refuse the call).
pub fn prepare(plan: SessionPlan) -> io::Result<(Box<PreparedSession>, Option<SpeechEnds>)> {
    socket::set_up(&plan.socket)?;
    let identity = Identity { ssrc: random::u32(), sequence: first_sequence(), timestamp: random::u32() };
    let (role, ends) = match plan.role {
        Role::Echo => (RoleParts::Echo(Echo::new()), None),
        Role::Speech => {
            let (in_producer, in_consumer) = frame::ring(INBOUND_RING_FRAMES, || InFrame::EMPTY);
            let (out_producer, out_consumer) = frame::ring(OUTBOUND_RING_FRAMES, || OutFrame::EMPTY);
            let parts =
                SpeechParts { inbound: Inbound::new(in_producer), playout: Playout::new(out_consumer, identity) };
            (RoleParts::Speech(parts), Some(SpeechEnds { inbound: in_consumer, outbound: out_producer }))
        }
    };
    let mut session = Session::new(&plan, identity, role);
    session.record(plan.recording);
    Ok((Box::new(PreparedSession { session, socket: plan.socket }), ends))
}

/// RFC 3550 section 5.1: random; the lower half, so that a receiver does not meet a wrap right at the start.
fn first_sequence() -> u16 {
    u16::try_from(random::u32() & 0x7fff).unwrap_or(0)
}
