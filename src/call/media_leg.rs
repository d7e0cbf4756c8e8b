//! One leg's audio, from the session description to the media worker and back.
//!
//! Purpose: take ports, negotiate, prepare the session, and give everything back. Owned by one call actor; a bridge has
//! two. Invariants: the ports go back with the leg, whatever ends it; nothing is sent before an answer is known; codec
//! state is made here, never on a worker. Deliberately absent: SIP messages and audio.

use super::actor::{Planes, told};
use super::lease::PortLease;
use super::reach::{audio_peer, candidates, local_address};
use super::recording::Hand;
use super::steer::FarEnd;
use crate::config::{App, Config, Trunk};
use crate::id::CallId;
use crate::media::aside::{AsideConsumer, aside};
use crate::media::coders::SPEECH_RATE;
use crate::media::recorder::{Control, Tap};
use crate::media::{
    Coders, MediaCommand, PortPair, PreparedSession, Quality, RING_PEER, RingShared, RingWire, Role, Secure,
    SessionPlan, SessionStats, SpeechEnds, SrtpKeys, Wire, prepare,
};
use crate::os::{clock, random};
use crate::rtp::srtp::{MasterKey, Profile};
use crate::rtp::{Codec, Format, Formats, TelephoneEvent};
use crate::sip::agent::LegId;
use crate::sip::sdp::{
    Direction, DtlsLocal, IceCredentials, LocalMedia, Negotiated, Preference, Rtcp, SdpError, SdpSession, Srtp,
    Standing,
};
use crate::time::{MediaTime, Tick};
use crate::twilio::media_stream::KEYS;
use crate::webrtc::{self, Identity, Link, LinkEvent, LinkFacts, LinkHandle, LinkPlan, LinkSeat, Outlet, PortSeat};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the caller offered, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The leg.
    pub leg: LegId,
    /// SDP; `None` asks for our offer.
    pub offer: Option<&'a [u8]>,
    /// Where the INVITE came from.
    pub source: SocketAddr,
    /// By which trunk.
    pub trunk: Option<&'a Trunk>,
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

impl NoMedia {
    /// Status code, reason phrase and the reason for people.
    pub fn refusal(self) -> (u16, &'static str, String) {
        match self {
            Self::NotAcceptable(why) => (488, "Not Acceptable Here", why),
            Self::BadOffer(why) => (400, "Bad Request", why),
            Self::NoCapacity(why) => (503, "Service Unavailable", why),
        }
    }
}

impl From<SdpError> for NoMedia {
    fn from(error: SdpError) -> Self {
        match error {
            SdpError::NotAcceptable(_) => Self::NotAcceptable(error.to_string()),
            SdpError::BadOffer(_) => Self::BadOffer(error.to_string()),
        }
    }
}

/// What a session said before it was to go on with somebody else.
#[derive(Debug)]
pub struct Before(Standing);

type Path = Arc<Mutex<Option<SocketAddr>>>;

/// One leg's audio.
#[derive(Debug)]
pub struct MediaLeg {
    call: CallId,
    sdp: SdpSession,
    opened: Tick,
    /// Until the session is prepared.
    way: Option<Way>,
    /// Of a leg that has rings.
    ring: Option<Arc<RingShared>>,
    prepared: Option<Box<PreparedSession>>,
    running: bool,
    /// What the last exchange brought.
    agreed: Option<Negotiated>,
    /// What the worker goes by.
    formats: Option<Formats>,
    /// What it protects the audio with.
    keys: Option<SrtpKeys>,
    /// Sampling rate of its codecs, Hz.
    rate: u32,
    /// Our 2xx carried the offer; the ACK brings the answer.
    answer_due: bool,
    confirmed: bool,
    /// The peer does not want to hear us now.
    held: bool,
    /// We hold the peer.
    holding: bool,
    /// For the session, as long as there is none.
    tap: Option<Tap>,
    recording: Option<Hand>,
    /// When the session began in which audio time 0 of the recording lies.
    record_from: Option<Tick>,
    /// As RTCP has measured it last.
    round_trip: Option<Duration>,
    stats: Option<SessionStats>,
    /// What a link is to be made of, until there is one.
    unlinked: Option<(Outlet, AsideConsumer)>,
    /// Finds out where the peer is and what protects its audio; dropping it says goodbye.
    link: Option<(LinkHandle, LinkSeat)>,
    /// Where the link has found the peer.
    path: Path,
    /// Last, so that a session that was never opened closes its sockets first.
    _port: Option<PortLease>,
}

/// What the packets will come and go by.
enum Way {
    Ports(PortPair),
    /// On the port that calls of browsers share.
    Shared(UdpSocket, PortSeat),
    Ring(RingWire),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ports(_) => "Ports",
            Self::Shared(..) => "Shared",
            Self::Ring(_) => "Ring",
        })
    }
}

impl MediaLeg {
    /// Negotiates, takes ports and allocates the session. Returns speech's ends (none for an echo) and the SDP for the 2xx.
    pub async fn open(
        planes: &Planes,
        call: CallId,
        app: &App,
        offered: Offered<'_>,
        recording: Option<(Tap, Control)>,
    ) -> Result<(Self, Option<SpeechEnds>, Vec<u8>), NoMedia> {
        let preference = preference_of(&planes.config(), offered.leg, offered.trunk);
        let peer = audio_peer(offered.source, offered.offer);
        let mut leg = Self::reserve_for(planes, call, offered.leg, peer, preference).await?;
        leg.record(recording);
        let description = leg.answer(offered.offer)?;
        let role = match app {
            App::Echo => Role::Echo,
            _ => Role::Speech,
        };
        let ends = leg.prepare(role, SPEECH_RATE)?;
        Ok((leg, ends, description))
    }

    /// Has the session recorded that will be prepared, from the answer on.
    pub fn record(&mut self, recording: Option<(Tap, Control)>) {
        (self.tap, self.recording) = recording.map(|(tap, control)| (tap, Hand::new(control))).unzip();
    }

    /// Takes the recording over from `before`, whose session has ended (`tap` is what that gave back): it goes on where this
    /// leg's session begins, as paused or not as it was. Before [`MediaLeg::prepare`].
    pub fn go_on_recording(&mut self, before: &mut Self, tap: Option<Tap>) {
        let from = before.record_from.unwrap_or(before.opened);
        self.record_from = Some(from);
        self.tap = tap.map(|mut tap| {
            tap.go_on_at(audio_time(from));
            tap
        });
        self.recording = before.recording.take();
    }

    /// The caller has heard 200: what is said from now on is recorded, if the call is.
    pub fn handle_answer(&mut self) {
        if let Some(hand) = &mut self.recording {
            hand.handle_answer();
        }
    }

    /// Keeps both sides out of the recording (while a card number is said), or lets them in again. `false`: the call is not
    /// recorded.
    pub fn pause_recording(&mut self, pausing: bool) -> bool {
        let Some(hand) = &mut self.recording else { return false };
        hand.pause(pausing);
        tracing::info!(call = %self.call, "{}", if pausing { "the recording is paused" } else { "the recording goes on" });
        true
    }

    /// Something secret is keyed or said, or no more.
    pub fn withhold_recording(&mut self, withheld: bool) {
        if let Some(hand) = &mut self.recording {
            hand.withhold(withheld);
        }
    }

    /// The caller agrees to the recording, or does not (yet).
    pub fn consent_to_recording(&mut self, allowed: bool) {
        if let Some(hand) = &mut self.recording {
            hand.consent(allowed);
            tracing::info!(call = %self.call, "{}", if allowed { "the caller may be recorded" } else { "nothing is recorded unless the caller agrees" });
        }
    }

    /// Whether the call is recorded.
    pub const fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// The same for a leg that is there already, which may have its audio by rings.
    pub async fn reserve_for(
        planes: &Planes,
        call: CallId,
        leg: LegId,
        peer: SocketAddr,
        preference: Preference,
    ) -> Result<Self, NoMedia> {
        if crate::twilio::Door::has(leg) {
            return Self::reserve_ring(planes, call, leg);
        }
        match planes.ports.shared().filter(|_| leg.is_elsewhere()) {
            Some(port) => {
                let (address, ice) = (local_address(planes, peer).await?, Identity::credentials());
                let (socket, seat) = port.take(address, &ice.ufrag).map_err(|e| NoMedia::NoCapacity(e.to_string()))?;
                let way = Way::Shared(socket, seat);
                let place = (address, port.number());
                Ok(Self::begun(call, place, preference, Some(way), None).identified(planes, ice))
            }
            None => Self::reserve(planes, call, peer, preference).await,
        }
    }

    /// The same for a leg that has its audio by rings.
    pub fn reserve_ring(planes: &Planes, call: CallId, leg: LegId) -> Result<Self, NoMedia> {
        let gone = || NoMedia::NoCapacity("the media stream is gone".to_owned());
        let ring = planes.sip.wire(leg).ok_or_else(gone)?;
        let (address, port) = (RING_PEER.ip(), RING_PEER.port());
        // Its socket is encrypted as a whole, or not at all.
        let preference = Preference::of_ours(&[Codec::Pcmu]);
        let shared = ring.shared();
        Ok(Self { ring: Some(shared), ..Self::begun(call, (address, port), preference, Some(Way::Ring(ring)), None) })
    }

    /// Of somebody who rings and has nothing to hear with yet: whoever answers in that place brings a leg.
    pub fn unplaced(call: CallId) -> Self {
        let nowhere = (Ipv4Addr::UNSPECIFIED.into(), 0);
        Self::begun(call, nowhere, Preference::of_ours(&[Codec::Pcmu]), None, None)
    }

    fn begun(
        call: CallId,
        (address, port): (IpAddr, u16),
        preference: Preference,
        way: Option<Way>,
        lease: Option<PortLease>,
    ) -> Self {
        let local = LocalMedia { address, port, session_id: random::u64() >> 2, session_version: 1 };
        Self {
            call,
            sdp: SdpSession::preferring(local, preference).drawing(random::fill),
            opened: clock::monotonic(),
            way,
            ring: None,
            prepared: None,
            running: false,
            agreed: None,
            formats: None,
            keys: None,
            rate: SPEECH_RATE,
            answer_due: false,
            confirmed: false,
            held: false,
            holding: false,
            tap: None,
            recording: None,
            record_from: None,
            round_trip: None,
            stats: None,
            unlinked: None,
            link: None,
            path: Path::default(),
            _port: lease,
        }
    }

    /// How long it takes until the other side has heard what leaves now, and that is known here; `None`: nobody measures it.
    pub fn behind(&self) -> Option<Duration> {
        match &self.ring {
            Some(ring) => ring.delay(),
            None => self.round_trip,
        }
    }

    /// The worker has told how the audio arrives.
    pub fn handle_quality(&mut self, quality: &Quality) {
        self.round_trip = quality.round_trip.or(self.round_trip);
    }

    /// Takes ports that `peer` can reach. Nothing is said yet.
    pub async fn reserve(
        planes: &Planes,
        call: CallId,
        peer: SocketAddr,
        preference: Preference,
    ) -> Result<Self, NoMedia> {
        let address = local_address(planes, peer).await?;
        let (sockets, port) = planes.ports.take(peer.ip()).map_err(|e| NoMedia::NoCapacity(e.to_string()))?;
        let number = port.number();
        let leg = Self::begun(call, (address, number), preference, Some(Way::Ports(sockets)), Some(port));
        Ok(leg.identified(planes, Identity::credentials()))
    }

    fn identified(mut self, planes: &Planes, ice: IceCredentials) -> Self {
        let LocalMedia { address, port, .. } = *self.sdp.local();
        let candidates = candidates(&planes.config(), address, port);
        self.sdp.identify(DtlsLocal { fingerprint: *planes.identity.fingerprint(), ice, candidates });
        self
    }

    /// Answers the peer's offer, or makes ours when it has none: the ACK must bring the answer then.
    pub fn answer(&mut self, offer: Option<&[u8]>) -> Result<Vec<u8>, NoMedia> {
        let Some(offer) = offer else {
            self.answer_due = true;
            return Ok(self.offer_hold(self.holding));
        };
        let agreed = self.sdp.answer(offer)?;
        if let Some(Way::Shared(..)) = self.way
            && agreed.dtls.as_ref().is_none_or(|dtls| dtls.ice.is_none())
        {
            let why = "on [webrtc] udp_port nothing but checks tells calls apart: the offer needs ICE".to_owned();
            return Err(NoMedia::NotAcceptable(why));
        }
        // An offer of ours that was cancelled waits for no answer any more.
        self.answer_due = false;
        let answer = agreed.answer.clone();
        self.take(agreed);
        Ok(answer)
    }

    /// Our offer for a call that we place.
    pub fn offer(&mut self, codecs: &[Codec]) -> Vec<u8> {
        self.sdp.offer_of(codecs, Direction::SendRecv)
    }

    /// Reads the answer to our last offer.
    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<(), NoMedia> {
        let agreed = self.sdp.accept_answer(answer)?;
        self.take(agreed);
        Ok(())
    }

    fn take(&mut self, agreed: Negotiated) {
        self.held = !agreed.direction.sends();
        let suite = |of: &Negotiated| of.keys.as_ref().map(|k| k.ours.profile().suite());
        let by_dtls = |of: &Negotiated| of.dtls.is_some();
        if by_dtls(&agreed) && !self.agreed.as_ref().is_some_and(by_dtls) {
            tracing::info!(call = %self.call, "audio is protected by SRTP, with keys by DTLS");
        }
        if let Some(suite) = suite(&agreed).filter(|s| self.agreed.as_ref().and_then(suite) != Some(*s)) {
            tracing::info!(call = %self.call, suite, "audio is protected by SRTP");
        }
        self.agreed = Some(agreed);
    }

    /// From now on we would like this codec, where the peer has it.
    pub fn favour(&mut self, codec: Codec) {
        self.sdp.prefer(self.sdp.preference().clone().favouring(codec));
    }

    /// What was agreed, or what we would accept as long as nothing is.
    pub fn formats(&mut self) -> Formats {
        let agreed = self.agreed.as_ref().map(|a| a.formats);
        agreed.or_else(|| self.sdp.offered_formats()).unwrap_or(Formats::of(Format::PCMU))
    }

    /// Our address in session descriptions.
    pub fn local(&self) -> &LocalMedia {
        self.sdp.local()
    }

    /// Allocates the session, its codecs at `rate` Hz. Speech's ends are there for that role only.
    pub fn prepare(&mut self, role: Role, rate: u32) -> Result<Option<SpeechEnds>, NoMedia> {
        let formats = self.formats();
        let way = self.way.take().ok_or_else(|| NoMedia::NoCapacity("the leg is open already".to_owned()))?;
        let mux = self.agreed.as_ref().is_some_and(|a| a.rtcp == Rtcp::Mux);
        let handshake = self.agreed.as_ref().map(|a| a.dtls.as_ref().map(|dtls| dtls.ice.is_some()));
        let shakes = handshake.map_or(self.sdp.offers_dtls(), |dtls| dtls.is_some());
        let unset = |e: std::io::Error| NoMedia::NoCapacity(e.to_string());
        // A ring carries audio alone.
        let (wire, rtcp_socket, outlet) = match way {
            // One descriptor less. A peer that wants it apart later on hears our reports from the port of the audio.
            Way::Ports(PortPair { rtp, rtcp, .. }) => {
                let outlet = shakes.then(|| rtp.try_clone()).transpose().map_err(unset)?;
                (Wire::Udp(rtp), (!mux).then_some(rtcp), outlet.map(Outlet::Own))
            }
            Way::Shared(socket, seat) => (Wire::Udp(socket), None, Some(Outlet::Shared(seat))),
            Way::Ring(ring) => (Wire::Ring(ring), None, None),
        };
        let aside = match outlet {
            Some(outlet) => {
                let (worker, control) = aside().map_err(unset)?;
                self.unlinked = Some((outlet, control));
                Some(worker)
            }
            None => None,
        };
        let srtp = match &self.agreed {
            // Nothing is heard or said before the handshake.
            Some(agreed) if agreed.dtls.is_some() => closed(),
            Some(agreed) => keys(agreed),
            // The answer to our offer of SRTP is still to come, and nothing is heard or said in the clear until then.
            None => self.sdp.offers_srtp().then(closed).flatten(),
        };
        let plan = match wire {
            Wire::Udp(socket) => SessionPlan {
                remote: self.agreed.as_ref().filter(|agreed| agreed.dtls.is_none()).and_then(remote),
                // Its checks say where the peer is, and nobody else.
                learn_source: handshake.flatten() != Some(true),
                aside,
                rtcp_remote: self.agreed.as_ref().and_then(rtcp),
                rtcp_mux: mux,
                rtcp_socket,
                srtp: srtp.clone(),
                keyed: self.agreed.as_ref().is_some_and(|agreed| agreed.dtls.is_none()),
                ..SessionPlan::new(self.call, socket, formats, role)
            },
            Wire::Ring(ring) => SessionPlan {
                remote: Some(RING_PEER),
                learn_source: false,
                told_keys: Some(TelephoneEvent { payload_type: KEYS, clock: 8_000 }),
                ..SessionPlan::new(self.call, ring, formats, role)
            },
        };
        let plan = SessionPlan { held: self.held, rate, recording: self.tap.take(), ..plan };
        let (prepared, ends) = prepare(plan).map_err(|e| NoMedia::NoCapacity(e.to_string()))?;
        (self.formats, self.keys, self.rate) = (Some(formats), srtp, rate);
        self.prepared = Some(prepared);
        Ok(ends)
    }

    /// Codecs that are agreed on from now on are opened for a path of `rate` Hz.
    pub const fn run_at(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// The rate that its codecs are open for, Hz.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Gives the session to its worker.
    pub fn start(&mut self, planes: &Arc<Planes>) -> Result<(), String> {
        let Some(prepared) = self.prepared.take() else { return Ok(()) };
        self.opened = clock::monotonic();
        match planes.media.send(MediaCommand::Open(prepared)) {
            Ok(()) => {
                self.running = true;
                self.link_up(planes);
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
    pub fn confirm(&mut self, planes: &Arc<Planes>, answer: Option<&[u8]>) -> Result<bool, String> {
        if std::mem::take(&mut self.answer_due) {
            match self.read_answer(answer) {
                Ok(()) => self.apply(planes),
                // The session goes on as it was.
                Err(why) if self.confirmed => tracing::warn!(call = %self.call, why, "a re-INVITE brought nothing new"),
                Err(why) => return Err(why),
            }
        }
        let first = !self.confirmed;
        self.confirmed = true;
        Ok(first)
    }

    /// The answer to a re-INVITE of ours; one that cannot be used leaves the session as it was.
    pub fn take_answer(&mut self, planes: &Arc<Planes>, answer: &[u8]) {
        match self.read_answer(Some(answer)) {
            Ok(()) => self.apply(planes),
            Err(why) => tracing::warn!(call = %self.call, why, "a re-INVITE brought nothing new"),
        }
    }

    /// What another call has to know to go on with the peer at the end of `leg`. `None`: its audio is found by checks, protected by
    /// a handshake, or comes by rings.
    pub fn far_end(&self, leg: LegId) -> Option<FarEnd> {
        let agreed = self.agreed.as_ref().filter(|agreed| agreed.dtls.is_none() && self.running)?;
        let LocalMedia { session_id, session_version, .. } = *self.sdp.local();
        let protected = agreed.keys.is_some();
        self.ring.is_none().then_some(FarEnd { leg, session_id, session_version, protected })
    }

    /// Our offer to the far end of another call, and what to go back to. `None`: this audio cannot go on with it.
    pub fn offer_to(&mut self, by: &FarEnd) -> Option<(Vec<u8>, Before)> {
        let own = self.far_end(by.leg)?;
        // What is protected is never sent in the clear, and a session that we hold stays held.
        if self.holding || (own.protected && !by.protected) {
            return None;
        }
        let before = self.sdp.stand_in(by.session_id, by.session_version, by.protected);
        Some((self.offer_hold(false), Before(before)))
    }

    /// The far end of another call has answered: the session is with it from now on. Error: its answer is of no use.
    pub fn go_on_by(&mut self, planes: &Arc<Planes>, answer: &[u8]) -> Result<(), String> {
        self.read_answer(Some(answer))?;
        self.apply(planes);
        Ok(())
    }

    /// Nobody takes the peer's place.
    pub fn back_to(&mut self, before: Before) {
        self.sdp.stand_back(before.0);
    }

    /// Our offer to a peer that another call has asked for audio in vain.
    pub fn offer_back(&mut self) -> Vec<u8> {
        self.sdp.skip_versions();
        self.offer_hold(self.holding)
    }

    fn read_answer(&mut self, answer: Option<&[u8]>) -> Result<(), String> {
        let answer = answer.ok_or("the ACK holds no answer to our offer (RFC 3261 section 13.2.1)")?;
        self.accept_answer(answer).map_err(|e| e.refusal().2)
    }

    /// Our offer to hold the peer, or to take it back.
    pub fn offer_hold(&mut self, hold: bool) -> Vec<u8> {
        self.sdp.offer(if hold { Direction::SendOnly } else { Direction::SendRecv })
    }

    /// We hold the peer from now on, or have it back: nothing is sent, and nothing that comes is heard.
    pub fn hold(&mut self, planes: &Planes, hold: bool) {
        self.holding = hold;
        self.sdp.hold(hold);
        self.order(planes, MediaCommand::Hold { call: self.call, held: self.held() });
    }

    /// Whether either side holds the other.
    pub const fn held(&self) -> bool {
        self.held || self.holding
    }

    /// A re-INVITE: returns the SDP to answer with.
    pub fn renegotiate(&mut self, planes: &Arc<Planes>, offer: Option<&[u8]>) -> Result<Vec<u8>, NoMedia> {
        let description = self.answer(offer)?;
        if offer.is_some() {
            self.apply(planes);
        }
        Ok(description)
    }

    /// Answers the INVITE of a telephone that takes the place of ours (RFC 3891). `false`: it does not; the session is with
    /// whom it was.
    pub async fn hand_over(&mut self, planes: &Arc<Planes>, newcomer: LegId, offer: Option<&[u8]>) -> bool {
        let before = (self.sdp.clone(), self.agreed.clone(), self.held, self.answer_due);
        let outcome = match self.answer(offer) {
            Ok(description) => planes.sip.accept(newcomer, description).await,
            Err(_) => {
                (self.sdp, self.agreed, self.held, self.answer_due) = before;
                told(planes.sip.reject(newcomer, 488, "Not Acceptable Here", &[]).await);
                return false;
            }
        };
        if outcome.is_err() {
            // Who wanted it has given up: the worker has heard nothing of it.
            (self.sdp, self.agreed, self.held, self.answer_due) = before;
            told(outcome);
            return false;
        }
        if offer.is_some() {
            self.apply(planes);
        }
        true
    }

    /// Tells the worker what was agreed while the session runs; a new codec brings its state along.
    pub fn apply(&mut self, planes: &Arc<Planes>) {
        let call = self.call;
        let path = *self.path.lock().unwrap_or_else(PoisonError::into_inner);
        // A recording is made at 8 kHz, and so is what it listens to.
        let rate = if self.is_recorded() { SPEECH_RATE } else { self.rate };
        let Some(agreed) = &self.agreed else { return };
        let formats = agreed.formats;
        let remote = match &agreed.dtls {
            // The link says it; until it does there is nowhere to send.
            Some(_) => Some(path.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))),
            None => remote(agreed),
        };
        if let Some(remote) = remote {
            let changed = self.formats.is_none_or(|before| !same_codecs(&before, &formats));
            match changed.then(|| Coders::new(&formats, rate)).transpose() {
                Ok(coders) => {
                    self.formats = Some(formats);
                    let keys = keys(agreed);
                    let secure = keys.as_ref().and_then(|keys| Secure::after(self.keys.as_ref(), keys));
                    let rtcp_remote = rtcp(agreed);
                    self.keys = keys;
                    self.order(planes, MediaCommand::SetRemote { call, remote, rtcp_remote, formats, coders, secure });
                }
                Err(error) => tracing::error!(%call, %error, "the agreed codec does not open; audio stays as it was"),
            }
        }
        self.order(planes, MediaCommand::Hold { call, held: self.held() });
        self.link_up(planes);
    }

    /// Begins checks and handshake, where that was agreed and is not done yet.
    fn link_up(&mut self, planes: &Arc<Planes>) {
        let Some(agreed) = self.agreed.as_ref().filter(|agreed| self.running && agreed.dtls.is_some()) else { return };
        let (Some(dtls), Some(ours)) = (agreed.dtls.clone(), self.sdp.certified().cloned()) else { return };
        let Some((outlet, aside)) = self.unlinked.take() else { return };
        let local = SocketAddr::new(self.sdp.local().address, self.sdp.local().port);
        let facts = LinkFacts { ours: ours.ice.clone(), theirs: dtls.ice.clone(), candidates: ours.candidates };
        let plan = LinkPlan { agreed: dtls, ice: ours.ice, local, remote: remote(agreed) };
        let call = self.call;
        let report = told_by_link(planes, call, Arc::clone(&self.path));
        let link = Link::new(&planes.identity, plan, clock::monotonic());
        match link.map(|link| webrtc::start(link, outlet, aside, report)) {
            Some(Ok(link)) => {
                let seat = planes.links.seat(call, &link, facts);
                self.link = Some((link, seat));
            }
            Some(Err(error)) => tracing::error!(%call, %error, "no handshake can be done; the call stays silent"),
            None => tracing::error!(%call, %local, "this address takes part in no checks; the call stays silent"),
        }
    }

    fn order(&self, planes: &Planes, command: MediaCommand) {
        if planes.media.send(command).is_err() {
            tracing::warn!(call = %self.call, "the media worker takes no commands; audio stays as it was");
        }
    }

    /// The caller's audio time, for signals that come without one.
    pub fn audio_time(&self) -> MediaTime {
        audio_time(self.opened)
    }

    /// Asks the worker to stop; [`MediaLeg::closed`] follows.
    pub fn close(&mut self, planes: &Planes) {
        self.link = None;
        if self.running {
            self.order(planes, MediaCommand::Close { call: self.call });
        }
    }

    /// The id of the session in the media plane.
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// Whether the worker has the session.
    pub const fn is_running(&self) -> bool {
        self.running
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

/// Audio time of now, where that began then.
fn audio_time(begun: Tick) -> MediaTime {
    let passed = clock::monotonic().since(begun);
    MediaTime(u64::try_from(passed.as_micros() / 125).unwrap_or(u64::MAX))
}

/// What a link tells: the worker hears of keys and addresses at once, the call of what it has to act upon.
fn told_by_link(planes: &Arc<Planes>, call: CallId, path: Path) -> impl FnMut(LinkEvent) + Send + 'static {
    let planes = Arc::downgrade(planes);
    move |event| {
        let Some(planes) = planes.upgrade() else { return };
        let (remote, secure) = match event {
            LinkEvent::Secured { remote, keys } => (remote, Some(Secure::new(&keys))),
            LinkEvent::Moved(remote) => (remote, None),
            LinkEvent::Over(end) => return planes.registry.unlinked(call, end),
        };
        let fresh = secure.is_some();
        *path.lock().unwrap_or_else(PoisonError::into_inner) = Some(remote);
        tracing::info!(%call, %remote, fresh, "the other side is reached, and its audio protected");
        if planes.media.send(MediaCommand::Secure { call, remote, secure }).is_err() {
            tracing::warn!(%call, "the media worker takes no commands; the call stays silent");
        }
        if fresh {
            planes.registry.linked(call);
        }
    }
}

/// As [`preference_by`] for this leg: browsers know nothing but DTLS, whatever is said of telephones.
pub fn preference_of(config: &Config, leg: LegId, trunk: Option<&Trunk>) -> Preference {
    let preference = preference_by(config, trunk);
    if leg.is_elsewhere() { preference.protecting(Srtp::Dtls) } else { preference }
}

/// The operator's codecs in the operator's order; without any, all in the peer's. And whether audio is protected.
pub fn preference(config: &Config) -> Preference {
    preference_by(config, None)
}

/// The same in calls with a trunk, which may have its own.
pub fn preference_by(config: &Config, trunk: Option<&Trunk>) -> Preference {
    let own = trunk.map(|trunk| trunk.codecs.as_slice()).filter(|codecs| !codecs.is_empty());
    match own.unwrap_or(config.media.codecs.as_slice()) {
        [] => Preference::of_peer(&Codec::ALL),
        codecs => Preference::of_ours(codecs),
    }
    .protecting(trunk.and_then(|trunk| trunk.srtp).unwrap_or(config.media.srtp))
}

/// Whether codec state for the one does for the other: payload types may differ, codecs and their places may not.
fn same_codecs(one: &Formats, other: &Formats) -> bool {
    let codecs = |f: &Formats| (f.send.codec, f.receive.map(|r| r.map(|f| f.codec)), f.opus);
    codecs(one) == codecs(other)
}

/// What was agreed, as the worker takes it.
fn keys(agreed: &Negotiated) -> Option<SrtpKeys> {
    agreed.keys.as_ref().map(|keys| SrtpKeys { ours: keys.ours.clone(), theirs: keys.theirs.clone() })
}

/// Keys that nobody knows: what comes is not authentic.
fn closed() -> Option<SrtpKeys> {
    let profile = Profile::AesCm128HmacSha1With80;
    let drawn = || {
        let (mut key, mut salt) = ([0; 16], [0; 14]);
        random::fill(&mut key);
        random::fill(&mut salt);
        MasterKey::new(profile, &key, &salt).ok()
    };
    Some(SrtpKeys { ours: drawn()?, theirs: drawn()? })
}

/// `None` when it goes with the audio.
fn rtcp(agreed: &Negotiated) -> Option<SocketAddr> {
    match agreed.rtcp {
        Rtcp::Address(address) => Some(address),
        Rtcp::Mux => None,
    }
}

/// `c=0.0.0.0` means hold (RFC 3264 section 8.4): there is nowhere to send.
fn remote(agreed: &Negotiated) -> Option<SocketAddr> {
    (!agreed.remote.ip().is_unspecified() && agreed.remote.port() != 0).then_some(agreed.remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg() -> MediaLeg {
        let port = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let way = Way::Ports(PortPair { rtp: port(), rtcp: port(), port: 4000 });
        MediaLeg::begun(
            CallId(1),
            (Ipv4Addr::LOCALHOST.into(), 4000),
            Preference::of_ours(&[Codec::Pcmu]),
            Some(way),
            None,
        )
    }

    #[test]
    fn how_far_behind_the_other_side_hears_us_is_what_rtcp_has_measured() {
        let mut leg = leg();
        assert_eq!(leg.behind(), None);
        let measured = |ms: u64| Quality { round_trip: Some(Duration::from_millis(ms)), ..Quality::default() };
        for ms in [600, 40] {
            leg.handle_quality(&measured(ms));
            assert_eq!(leg.behind(), Some(Duration::from_millis(ms)));
        }
        leg.handle_quality(&Quality::default());
        assert_eq!(leg.behind(), Some(Duration::from_millis(40)), "a report that measures nothing takes nothing back");
    }

    #[test]
    fn other_numbers_need_no_new_codec_state() {
        let pcmu = Formats::of(Format::PCMU);
        assert!(same_codecs(&pcmu, &pcmu.with_events(101)));
        let renumbered = Formats::of(Format { payload_type: 97, codec: Codec::Pcmu });
        assert!(same_codecs(&pcmu, &renumbered));
        assert!(!same_codecs(&pcmu, &Formats::of(Format::G722)));
        let two = Formats { receive: [Some(Format::PCMU), Some(Format::PCMA), None, None, None, None], ..pcmu };
        assert!(!same_codecs(&pcmu, &two));
    }
}
