//! What control says about a call before the worker sees it. Purpose: everything that a call needs is allocated here, on
//! the control thread, and travels to the worker in one box; the worker gives the box back for freeing.
//! Invariant: nothing in a `PreparedSession` grows. Deliberately absent: negotiation (`sip::sdp`), ports (`ports`).

use crate::id::CallId;
use crate::limits::{INBOUND_RING_FRAMES, OUTBOUND_RING_FRAMES};
use crate::media::aside::Aside;
use crate::media::bridge::Bridge;
use crate::media::coders::{BRIDGE_RATE_MAX, Coders, SPEECH_RATE};
use crate::media::control::CallControl;
use crate::media::ears::Ears;
use crate::media::echo::Echo;
use crate::media::frame::{self, InFrame, InboundConsumer, OutFrame, OutboundProducer};
use crate::media::inbound::Inbound;
use crate::media::numbering::Identity;
use crate::media::playout::Playout;
use crate::media::recorder::Tap;
use crate::media::secure::{Secure, SrtpKeys};
use crate::media::session::{Facts, Parts, RoleParts, Session, SpeechParts};
use crate::media::socket;
use crate::media::wire::Wire;
use crate::os::wake::Wake;
use crate::os::{clock, random};
use crate::rtp::control::ControlSettings;
use crate::rtp::rtcp::{Cname, NtpMap};
use crate::rtp::{Formats, TelephoneEvent};
use callwright_dsp::dtmf::Detector;
use std::net::{SocketAddr, UdpSocket};
use std::{fmt, io};

/// What the call's audio is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// What a packet brings leaves in the same pass of the loop: decode → ring → ring → encode.
    Echo,
    /// Audio goes to speech at once; frames from speech leave on a 20 ms clock, silence when there are none.
    Speech,
    /// What a packet brings leaves on another call's leg in the same pass of the loop. Both calls have this role, name each
    /// other, and are with the same worker (`MediaPlane` sees to that). What comes before the partner is there, or after it
    /// is gone, is dropped and counted.
    Bridge {
        /// The other leg.
        partner: CallId,
    },
}

/// Everything that control knows about a call's media.
#[derive(Debug)]
pub struct SessionPlan {
    /// The call.
    pub call: CallId,
    /// Bound to the port in our SDP, or rings in its place.
    pub socket: Wire,
    /// Bound to the next port, for RTCP. `None` with `rtcp_mux`, or for a call without RTCP.
    pub rtcp_socket: Option<UdpSocket>,
    /// Address from the peer's SDP; `None` until it is known (then nothing is sent and any source may be learnt).
    pub remote: Option<SocketAddr>,
    /// Where the peer wants RTCP (`a=rtcp`, or the next port); without meaning with `rtcp_mux`.
    pub rtcp_remote: Option<SocketAddr>,
    /// RTCP comes and goes on `socket` (RFC 5761).
    pub rtcp_mux: bool,
    /// What was agreed; what we would accept as long as nothing is.
    pub formats: Formats,
    /// What the audio is for.
    pub role: Role,
    /// Sampling rate of the codecs, Hz: `coders::SPEECH_RATE`, or for a bridge `coders::path_rate` of both legs.
    pub rate: u32,
    /// Start on hold (see `MediaCommand::Hold`).
    pub held: bool,
    /// Accept a source other than `remote` (symmetric RTP through NAT). True for phones, false where the peer's address
    /// is known for certain.
    pub learn_source: bool,
    /// Keys, where SRTP was agreed: then nothing else is taken or sent.
    pub srtp: Option<SrtpKeys>,
    /// `srtp` is what was agreed; `false`: nobody's keys stand there until an answer or a handshake has brought them.
    pub keyed: bool,
    /// Keys that the peer tells of in events that it does not take itself: to it they go as tones.
    pub told_keys: Option<TelephoneEvent>,
    /// Where STUN and DTLS go that come on the port; without it they are garbage.
    pub aside: Option<Aside>,
    /// Where both sides of the call are recorded. A recorded bridge runs at 8 kHz whatever `rate` says.
    pub recording: Option<Tap>,
}

impl SessionPlan {
    /// A plan with the rest as it is for a phone whose address is not known yet: not held, any source may be learnt.
    #[must_use]
    pub fn new(call: CallId, socket: impl Into<Wire>, formats: Formats, role: Role) -> Self {
        Self {
            call,
            socket: socket.into(),
            rtcp_socket: None,
            remote: None,
            rtcp_remote: None,
            rtcp_mux: false,
            formats,
            role,
            rate: SPEECH_RATE,
            held: false,
            learn_source: true,
            srtp: None,
            keyed: true,
            told_keys: None,
            aside: None,
            recording: None,
        }
    }
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
    pub(in crate::media) socket: Wire,
    /// For RTCP, unless it goes with the audio.
    pub(in crate::media) rtcp_socket: Option<UdpSocket>,
    /// The bell of whoever takes what is no media.
    pub(in crate::media) aside_wake: Option<Wake>,
}

impl PreparedSession {
    /// The call.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.session.call()
    }

    /// The call that this one is bridged to.
    pub(in crate::media) fn partner(&self) -> Option<CallId> {
        self.session.bridge().map(Bridge::partner)
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
/// only. Error: the socket cannot be set up, or a codec does not open (ours or the kernel's fault; refuse the call).
pub fn prepare(plan: SessionPlan) -> io::Result<(Box<PreparedSession>, Option<SpeechEnds>)> {
    plan.socket.set_up()?;
    plan.rtcp_socket.iter().try_for_each(socket::set_up)?;
    let identity = Identity { ssrc: random::u32(), sequence: first_sequence(), timestamp: random::u32() };
    let rate = match plan.role {
        // What is recorded is recorded at 8 kHz.
        Role::Bridge { .. } if plan.recording.is_none() => plan.rate.min(BRIDGE_RATE_MAX),
        _ => SPEECH_RATE,
    };
    let coders = Coders::new(&plan.formats, rate).map_err(io::Error::other)?;
    let (role, ends) = match plan.role {
        Role::Echo => (RoleParts::Echo(Echo::new(identity)), None),
        Role::Bridge { partner } => (RoleParts::Bridge(Bridge::new(partner, identity)), None),
        Role::Speech => {
            let (in_producer, in_consumer) = frame::ring(INBOUND_RING_FRAMES, || InFrame::EMPTY);
            let (out_producer, out_consumer) = frame::ring(OUTBOUND_RING_FRAMES, || OutFrame::EMPTY);
            let parts =
                SpeechParts { inbound: Inbound::new(in_producer), playout: Playout::new(out_consumer, identity) };
            (RoleParts::Speech(parts), Some(SpeechEnds { inbound: in_consumer, outbound: out_producer }))
        }
    };
    let SessionPlan { call, formats, held, remote, learn_source, told_keys, recording, .. } = plan;
    let control = (plan.rtcp_mux || plan.rtcp_socket.is_some())
        .then(|| CallControl::new(control_settings(identity.ssrc, &formats), plan.rtcp_mux, plan.rtcp_remote));
    let detector = Detector::new(SPEECH_RATE).ok().filter(|_| plan.role != Role::Echo).map(Box::new);
    let facts = Facts { call, formats, held, remote, learn_source, told_keys };
    let secure = plan.srtp.as_ref().map(if plan.keyed { Secure::new } else { Secure::shut });
    let (aside, aside_wake) = plan.aside.map(|aside| (aside.producer, aside.wake)).unzip();
    let parts = Parts { coders, role, control, secure, ears: Ears::new(recording, detector), aside };
    let session = Session::new(facts, parts);
    Ok((Box::new(PreparedSession { session, socket: plan.socket, rtcp_socket: plan.rtcp_socket, aside_wake }), ends))
}

fn control_settings(ssrc: u32, formats: &Formats) -> ControlSettings {
    let mut name = [0; 12];
    for part in name.chunks_mut(4) {
        part.copy_from_slice(&random::u32().to_ne_bytes());
    }
    ControlSettings {
        ssrc,
        cname: Cname::from_random(name),
        ntp: NtpMap::new(clock::monotonic(), clock::wall()),
        clock: formats.send.codec.rtp_clock(),
        session_bandwidth: SESSION_BANDWIDTH,
        seed: random::u64(),
    }
}

/// Both directions of a G.711 call with IP, UDP and RTP headers, bit/s: what RTCP may take its share of. Generous for the
/// narrower codecs, and reports are never nearer than 5 s on average in any case.
const SESSION_BANDWIDTH: u32 = 2 * 80_000;

/// RFC 3550 section 5.1: random; the lower half, so that a receiver does not meet a wrap right at the start.
fn first_sequence() -> u16 {
    u16::try_from(random::u32() & 0x7fff).unwrap_or(0)
}
