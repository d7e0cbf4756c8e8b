//! One call's audio, from the session description to the media worker and back.
//!
//! Purpose: negotiate, take a port, prepare the session, and give everything back. Owned by one call actor.
//! Invariants: the port goes back with the leg, whatever ends it; nothing is sent before an answer is known. Deliberately absent: SIP messages and audio.

use super::actor::Planes;
use super::lease::PortLease;
use crate::config::App;
use crate::id::CallId;
use crate::media::recorder::{Control, Tap};
use crate::media::{MediaCommand, PreparedSession, Role, SessionPlan, SessionStats, SpeechEnds, prepare};
use crate::os::{clock, random};
use crate::rtp::Payload;
use crate::sip::sdp::{Codec, Direction, LocalMedia, Negotiated, SdpError, SdpSession};
use crate::sip::transport::local_address_towards;
use crate::time::{MediaTime, Tick};
use std::net::{IpAddr, SocketAddr};

/// What the caller offered, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// SDP; `None` asks for our offer.
    pub offer: Option<&'a [u8]>,
    /// Where the INVITE came from.
    pub source: SocketAddr,
}

/// Why there is no audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMedia {
    /// Nothing in common: 488.
    NotAcceptable(String),
    /// Unreadable: 400.
    BadOffer(String),
    /// No port or no place: 503.
    NoCapacity(String),
}

impl From<SdpError> for NoMedia {
    fn from(error: SdpError) -> Self {
        match error {
            SdpError::NotAcceptable(_) => Self::NotAcceptable(error.to_string()),
            SdpError::BadOffer(_) => Self::BadOffer(error.to_string()),
        }
    }
}

/// One call's audio.
#[derive(Debug)]
pub struct MediaLeg {
    call: CallId,
    sdp: SdpSession,
    opened: Tick,
    prepared: Option<Box<PreparedSession>>,
    running: bool,
    /// Our 2xx carried the offer; the ACK brings the answer.
    answer_due: bool,
    confirmed: bool,
    /// The caller does not want to hear us now.
    held: bool,
    recording: Option<Control>,
    stats: Option<SessionStats>,
    /// Last, so that a session that was never opened closes its socket first.
    _port: PortLease,
}

impl MediaLeg {
    /// Negotiates, takes a port and allocates the session. Returns speech's ends (none for an echo) and the SDP for the 2xx.
    pub fn open(
        planes: &Planes,
        call: CallId,
        app: &App,
        offered: Offered<'_>,
        recording: Option<(Tap, Control)>,
    ) -> Result<(Self, Option<SpeechEnds>, Vec<u8>), NoMedia> {
        let address = local_address(planes, offered.source)?;
        let (socket, port) = planes.ports.take().map_err(|e| NoMedia::NoCapacity(e.to_string()))?;
        let local = LocalMedia { address, port: port.number(), session_id: random::u64() >> 2, session_version: 1 };
        let mut sdp = SdpSession::new(local);
        let agreed = offered.offer.map(|offer| sdp.answer(offer)).transpose()?;
        let held = agreed.as_ref().is_some_and(|a| !a.direction.sends());
        let description = match &agreed {
            Some(agreed) => agreed.answer.clone(),
            None => sdp.offer(Direction::SendRecv),
        };
        let (tap, recording) = recording.unzip();
        let plan = SessionPlan {
            call,
            socket,
            remote: agreed.as_ref().and_then(remote),
            payload: agreed.as_ref().map_or(Payload::Pcmu, payload),
            telephone_event: agreed.as_ref().and_then(|a| a.telephone_event),
            role: match app {
                App::Echo => Role::Echo,
                App::Agent(_) => Role::Speech,
            },
            held,
            learn_source: true,
            recording: tap,
        };
        let (prepared, ends) = prepare(plan).map_err(|e| NoMedia::NoCapacity(e.to_string()))?;
        let leg = Self {
            call,
            sdp,
            opened: clock::monotonic(),
            prepared: Some(prepared),
            running: false,
            answer_due: agreed.is_none(),
            confirmed: false,
            held,
            recording,
            stats: None,
            _port: port,
        };
        Ok((leg, ends, description))
    }

    /// Gives the session to its worker.
    pub fn start(&mut self, planes: &Planes) -> Result<(), String> {
        let Some(prepared) = self.prepared.take() else { return Ok(()) };
        self.opened = clock::monotonic();
        match planes.media.send(MediaCommand::Open(prepared)) {
            Ok(()) => {
                self.running = true;
                Ok(())
            }
            Err(MediaCommand::Open(prepared)) => {
                self.prepared = Some(prepared);
                Err("the media worker takes no commands".to_owned())
            }
            Err(_) => Err("the media worker takes no commands".to_owned()),
        }
    }

    /// The ACK came. `true` when audio may start now, `false` for the ACK of a re-INVITE.
    pub fn confirm(&mut self, planes: &Planes, answer: Option<&[u8]>) -> Result<bool, String> {
        if std::mem::take(&mut self.answer_due) {
            match self.read_answer(answer) {
                Ok(agreed) => self.apply(planes, &agreed),
                // The session goes on as it was.
                Err(why) if self.confirmed => tracing::warn!(call = %self.call, why, "a re-INVITE brought nothing new"),
                Err(why) => return Err(why),
            }
        }
        let first = !self.confirmed;
        self.confirmed = true;
        Ok(first)
    }

    fn read_answer(&self, answer: Option<&[u8]>) -> Result<Negotiated, String> {
        let answer = answer.ok_or("the ACK holds no answer to our offer (RFC 3261 section 13.2.1)")?;
        self.sdp.accept_answer(answer).map_err(|e| e.to_string())
    }

    /// Whether the caller has put us on hold.
    pub const fn held(&self) -> bool {
        self.held
    }

    /// The hand on the call's recording (to pause it while a card number is said); `None` when it is not recorded.
    pub const fn recording(&self) -> Option<&Control> {
        self.recording.as_ref()
    }

    /// A re-INVITE: returns the SDP to answer with.
    pub fn renegotiate(&mut self, planes: &Planes, offer: Option<&[u8]>) -> Result<Vec<u8>, NoMedia> {
        let Some(offer) = offer else {
            self.answer_due = true;
            return Ok(self.sdp.offer(Direction::SendRecv));
        };
        let agreed = self.sdp.answer(offer)?;
        // An offer of ours that was cancelled waits for no answer any more.
        self.answer_due = false;
        self.apply(planes, &agreed);
        Ok(agreed.answer)
    }

    fn apply(&mut self, planes: &Planes, agreed: &Negotiated) {
        let call = self.call;
        if let Some(remote) = remote(agreed) {
            let (payload, telephone_event) = (payload(agreed), agreed.telephone_event);
            self.order(planes, MediaCommand::SetRemote { call, remote, payload, telephone_event });
        }
        self.held = !agreed.direction.sends();
        self.order(planes, MediaCommand::Hold { call, held: self.held });
    }

    fn order(&self, planes: &Planes, command: MediaCommand) {
        if planes.media.send(command).is_err() {
            tracing::warn!(call = %self.call, "the media worker takes no commands; audio stays as it was");
        }
    }

    /// The caller's audio time, for signals that come without one.
    pub fn audio_time(&self) -> MediaTime {
        let passed = clock::monotonic().since(self.opened);
        MediaTime(u64::try_from(passed.as_micros() / 125).unwrap_or(u64::MAX))
    }

    /// Asks the worker to stop; [`MediaLeg::closed`] follows.
    pub fn close(&self, planes: &Planes) {
        if self.running {
            self.order(planes, MediaCommand::Close { call: self.call });
        }
    }

    /// The worker gave the session back.
    pub fn closed(&mut self, stats: SessionStats) {
        self.running = false;
        self.stats = Some(stats);
    }

    /// The worker had no place; it gave the session back at once.
    pub fn forget(&mut self) {
        self.closed(SessionStats::default());
    }

    /// Totals, once the worker gave the session back.
    pub fn stats(&self) -> Option<SessionStats> {
        self.stats
    }
}

const fn payload(agreed: &Negotiated) -> Payload {
    match agreed.payload.codec {
        Codec::Pcmu => Payload::Pcmu,
        Codec::Pcma => Payload::Pcma,
    }
}

/// `c=0.0.0.0` means hold (RFC 3264 section 8.4): there is nowhere to send.
fn remote(agreed: &Negotiated) -> Option<SocketAddr> {
    (!agreed.remote.ip().is_unspecified() && agreed.remote.port() != 0).then_some(agreed.remote)
}

/// The address that the caller can send media to.
fn local_address(planes: &Planes, source: SocketAddr) -> Result<IpAddr, NoMedia> {
    if let Some(public) = planes.config.sip.public_address
        && !source.ip().is_loopback()
    {
        return Ok(public);
    }
    if let Some(address) = planes.config.rtp.address.filter(|a| !a.is_unspecified()) {
        return Ok(address);
    }
    local_address_towards(source.ip()).map_err(|e| NoMedia::NoCapacity(format!("no route to {source}: {e}")))
}
