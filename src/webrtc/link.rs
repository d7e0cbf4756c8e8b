//! Checks and handshake of one call. Purpose: datagrams that are no media and due times in; datagrams to send, and where the
//! peer is and which keys it has, out. Sans-IO; one tokio task. Invariants:
//! - with ICE, DTLS is taken from addresses only that have answered for the call's password, and media goes where the peer's
//!   checks nominate, and to another address later on as soon as the peer has answered from there (`roaming`);
//! - without ICE anybody may send a ClientHello: every source has an association of its own, and the first one that shows the
//!   announced certificate wins, so that a race with a stranger is lost by the stranger;
//! - after `LinkEvent::Over` nothing happens any more.
//!
//! Deliberately absent: checks of our own before the peer has found us (ICE-lite), sockets and tasks (`driver`).

use super::association::{Association, Progress};
use super::identity::Identity;
use super::roaming::Roaming;
use crate::limits::{
    CONSENT_MAX, LINK_ASSOCIATIONS_MAX, LINK_SETUP_MAX, LINK_SOURCES_EVER_MAX, LINK_SOURCES_MAX, LINK_TRANSMITS_MAX,
};
use crate::media::SrtpKeys;
use crate::media::aside::Protocol;
use crate::sip::sdp::dtls::Fingerprint;
use crate::sip::sdp::{Dtls, IceCredentials};
use crate::time::Tick;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Handshakes that may break before the call is given up: a stranger who forges the peer's address can break one.
const BROKEN_MAX: u32 = 3;
/// Content type handshake, message ClientHello (RFC 6347 sections 4.1 and 4.2.2).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MESSAGE_AT: usize = 13;

/// What a link goes by.
#[derive(Clone, Debug)]
pub struct LinkPlan {
    /// What was agreed.
    pub agreed: Dtls,
    /// Our name and password, where the peer does ICE.
    pub ice: IceCredentials,
    /// Our address, as the peer's checks are to be taken for.
    pub local: SocketAddr,
    /// From the peer's description; without meaning with ICE.
    pub remote: Option<SocketAddr>,
}

/// Why a link is over.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkEnd {
    /// The peer has said goodbye.
    #[error("the other side closed the connection")]
    Closed,
    /// Its checks stay away (RFC 7675).
    #[error("the other side fell silent: no check of its came for {} s", CONSENT_MAX.as_secs())]
    Silent,
    /// It never got so far.
    #[error("no handshake within {} s: UDP does not get through, or the address that we announce is not reached", LINK_SETUP_MAX.as_secs())]
    NoHandshake,
    /// Somebody in the middle, or a peer that announced another certificate than it has.
    #[error("the other side's certificate is not the one that was announced; nothing was heard or said")]
    WrongCertificate,
    /// The handshake cannot be done.
    #[error("the DTLS handshake failed: {0}")]
    Broken(String),
}

/// What a link tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// Media may flow there, under these keys.
    Secured {
        /// Where the peer is.
        remote: SocketAddr,
        /// Both directions.
        keys: Box<SrtpKeys>,
    },
    /// The peer is reached there from now on, under the same keys.
    Moved(SocketAddr),
    /// The last event.
    Over(LinkEnd),
}

/// `Instant`s for the engines, which know no `Tick`.
struct Clock {
    at: Tick,
    instant: Instant,
}

impl Clock {
    fn instant(&self, now: Tick) -> Instant {
        self.instant + now.since(self.at)
    }

    fn tick(&self, instant: Instant) -> Tick {
        self.at + instant.saturating_duration_since(self.instant)
    }
}

struct Ice {
    agent: IceAgent,
    ours: IceCredentials,
    theirs: IceCredentials,
    local: SocketAddr,
    roaming: Roaming,
    /// Whence authentic checks came, the latest last.
    sources: Vec<SocketAddr>,
    /// Whence the latest one.
    latest: Option<SocketAddr>,
    nominated: Option<SocketAddr>,
    /// Whence authentic checks came since the session began: the agent forgets none of them.
    met: Vec<SocketAddr>,
}

/// An association and whose it is; with ICE it is the call's, wherever its records come from.
struct Place {
    source: Option<SocketAddr>,
    association: Association,
}

/// Checks and handshake of one call.
pub struct Link {
    identity: Identity,
    clock: Clock,
    expected: Vec<Fingerprint>,
    active: bool,
    ice: Option<Ice>,
    remote: Option<SocketAddr>,
    places: Vec<Place>,
    broken: u32,
    mismatched: bool,
    keys: Option<Box<SrtpKeys>>,
    /// Told: where media goes.
    path: Option<SocketAddr>,
    keyed: bool,
    began: Tick,
    heard: Tick,
    over: bool,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<LinkEvent>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("path", &self.path).field("keyed", &self.keyed).finish_non_exhaustive()
    }
}

impl Link {
    /// Begins now. `None`: the local address is none that a candidate can have (link-local, unspecified).
    #[must_use]
    pub fn new(identity: &Identity, plan: LinkPlan, now: Tick) -> Option<Self> {
        let clock = Clock { at: now, instant: Instant::now() };
        let LinkPlan { agreed, ice, local, remote } = plan;
        let ice = match agreed.ice {
            None => None,
            Some(theirs) => {
                let mut agent = IceAgent::new(credentials(&ice));
                agent.set_ice_lite(true);
                agent.set_controlling(false);
                agent.set_max_candidate_pairs(LINK_SOURCES_MAX);
                agent.add_local_candidate(Candidate::host(local, "udp").ok()?)?;
                agent.set_remote_credentials(credentials(&theirs));
                agent.handle_timeout(clock.instant(now));
                Some(Ice {
                    agent,
                    ours: ice,
                    theirs,
                    local,
                    roaming: Roaming::default(),
                    sources: Vec::new(),
                    latest: None,
                    nominated: None,
                    met: Vec::new(),
                })
            }
        };
        let mut link = Self {
            identity: identity.clone(),
            clock,
            expected: agreed.fingerprints,
            active: agreed.active,
            ice,
            remote,
            places: Vec::new(),
            broken: 0,
            mismatched: false,
            keys: None,
            path: None,
            keyed: false,
            began: now,
            heard: now,
            over: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
        };
        link.begin_active(now);
        Some(link)
    }

    /// Whence authentic checks have come.
    pub(super) fn sources(&self) -> &[SocketAddr] {
        self.ice.as_ref().map_or(&[], |ice| &ice.sources)
    }

    /// One datagram that is no media.
    pub fn handle_datagram(&mut self, now: Tick, from: SocketAddr, datagram: &[u8]) {
        if self.over {
            return;
        }
        match Protocol::of(datagram) {
            Protocol::Stun => self.handle_stun(now, from, datagram),
            Protocol::Dtls => self.handle_dtls(now, from, datagram),
            Protocol::Media | Protocol::Other => {}
        }
    }

    /// What is due by now.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.over {
            return;
        }
        let instant = self.clock.instant(now);
        if let Some(ice) = &mut self.ice
            && ice.agent.poll_timeout().is_some_and(|due| due <= instant)
        {
            ice.agent.handle_timeout(instant);
            self.drain_ice(now);
        }
        for n in 0..self.places.len() {
            if self.places[n].association.poll_timeout().is_some_and(|due| due <= instant) {
                self.with_association(n, |association, out| association.handle_timeout(instant, out));
            }
        }
        self.judge(now);
        if !self.keyed && now.since(self.began) >= LINK_SETUP_MAX {
            self.finish(if self.mismatched { LinkEnd::WrongCertificate } else { LinkEnd::NoHandshake });
        } else if self.keyed && self.ice.is_some() && now.since(self.heard) >= CONSENT_MAX {
            self.finish(LinkEnd::Silent);
        }
    }

    /// When `handle_timeout` is needed next.
    pub fn poll_timeout(&mut self) -> Tick {
        let last = match (self.keyed, self.ice.is_some()) {
            (false, _) => self.began + LINK_SETUP_MAX,
            (true, true) => self.heard + CONSENT_MAX,
            (true, false) => self.heard + Duration::from_secs(3600),
        };
        let ice = self.ice.as_mut().and_then(|ice| ice.agent.poll_timeout());
        let dtls = self.places.iter().filter_map(|place| place.association.poll_timeout()).min();
        [ice, dtls].into_iter().flatten().map(|due| self.clock.tick(due)).fold(last, Tick::min)
    }

    /// What is to be sent, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Both sides have new names and passwords (RFC 8445 section 9); media goes on where it goes until the peer has checked
    /// anew. Without ICE nothing happens.
    pub fn handle_restart(&mut self, now: Tick, ours: &IceCredentials, theirs: &IceCredentials) {
        let instant = self.clock.instant(now);
        let Some(ice) = &mut self.ice else { return };
        ice.agent.ice_restart(credentials(ours), true);
        ice.met.clear();
        ice.agent.set_remote_credentials(credentials(theirs));
        (ice.ours, ice.theirs, ice.roaming) = (ours.clone(), theirs.clone(), Roaming::default());
        ice.agent.handle_timeout(instant);
        // The peer gets time to find us.
        self.heard = now;
        self.drain_ice(now);
    }

    /// Says goodbye; what `poll_transmit` gives after it is the last.
    pub fn close(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if self.keyed && !self.places.is_empty() {
            self.with_association(0, Association::close);
        }
    }

    // --- ICE --------------------------------------------------------------------------------------------------------

    fn handle_stun(&mut self, now: Tick, from: SocketAddr, datagram: &[u8]) {
        let instant = self.clock.instant(now);
        let Some(ice) = &mut self.ice else { return };
        let Ok(message) = StunMessage::parse(datagram) else { return };
        if !message.is_binding_request() {
            // As ICE-lite we ask nothing, but whether a peer that comes from elsewhere is there.
            if message.is_successful_binding_response() && ice.roaming.handle_answer(from, &message, &ice.theirs) {
                ice.nominated = Some(from);
                self.judge(now);
            }
            return;
        }
        let new = !ice.met.contains(&from);
        if new && ice.met.len() >= LINK_SOURCES_EVER_MAX {
            return;
        }
        // One that has found no place waits until another one is forgotten.
        if !ice.sources.contains(&from) && ice.sources.len() >= LINK_SOURCES_MAX {
            let kept = [ice.nominated, ice.latest];
            match ice.sources.iter().position(|source| !kept.contains(&Some(*source))) {
                Some(oldest) if ice.agent.accepts_message(&message) => drop(ice.sources.remove(oldest)),
                _ => return,
            }
        }
        let packet = StunPacket { proto: is::Protocol::Udp, source: from, destination: ice.local, message };
        if !ice.agent.handle_packet(instant, packet) {
            return;
        }
        ice.agent.handle_timeout(instant);
        if new {
            ice.met.push(from);
        }
        if !ice.sources.contains(&from) {
            ice.sources.push(from);
        }
        ice.latest = Some(from);
        self.heard = now;
        self.drain_ice(now);
        self.begin_active(now);
        if let Some(ice) = &mut self.ice
            && let Some(path) = ice.nominated
            && let Some(ask) = ice.roaming.handle_check(from, path, &message, (&ice.ours, &ice.theirs))
            && self.out.len() < LINK_TRANSMITS_MAX
        {
            self.out.push_back((from, ask));
        }
    }

    fn drain_ice(&mut self, now: Tick) {
        let Some(ice) = &mut self.ice else { return };
        while let Some(transmit) = ice.agent.poll_transmit() {
            if self.out.len() < LINK_TRANSMITS_MAX {
                self.out.push_back((transmit.destination, transmit.contents.into()));
            }
        }
        while let Some(event) = ice.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                ice.nominated = Some(destination);
            }
        }
        self.judge(now);
    }

    // --- DTLS -------------------------------------------------------------------------------------------------------

    /// Where the peer is as far as we know: what it nominated, else whence it checked.
    fn peer(&self) -> Option<SocketAddr> {
        match &self.ice {
            Some(ice) => ice.nominated.or(ice.latest),
            None => self.remote,
        }
    }

    /// As the client we speak first, as soon as there is somebody to speak to.
    fn begin_active(&mut self, now: Tick) {
        if !self.active || self.keyed || !self.places.is_empty() {
            return;
        }
        let Some(peer) = self.peer() else { return };
        let instant = self.clock.instant(now);
        self.places.push(self.place(self.ice.is_none().then_some(peer), now));
        self.with_association(0, |association, out| association.handle_timeout(instant, out));
    }

    fn place(&self, source: Option<SocketAddr>, now: Tick) -> Place {
        let instant = self.clock.instant(now);
        Place { source, association: Association::new(&self.identity, &self.expected, self.active, instant) }
    }

    fn handle_dtls(&mut self, now: Tick, from: SocketAddr, datagram: &[u8]) {
        let instant = self.clock.instant(now);
        let n = match &self.ice {
            Some(ice) if !ice.sources.contains(&from) => return,
            Some(_) if self.places.is_empty() && !self.active && is_client_hello(datagram) => {
                self.places.push(self.place(None, now));
                0
            }
            Some(_) if self.places.is_empty() => return,
            Some(_) => 0,
            None => match self.places.iter().position(|place| place.source == Some(from)) {
                Some(n) => n,
                None if self.keyed || self.active || !is_client_hello(datagram) => return,
                None => {
                    let Some(n) = self.seat(from, now) else { return };
                    n
                }
            },
        };
        self.with_association(n, |association, out| association.handle_datagram(instant, datagram, out));
        self.judge(now);
    }

    /// A place for a new source. Where there is none left, the oldest goes that is not the announced one and has not shown that
    /// it is where it says: whoever forges addresses drives nobody out. `None`: there is no such one; only the announced
    /// source is given the place of another one then.
    fn seat(&mut self, from: SocketAddr, now: Tick) -> Option<usize> {
        if self.places.len() >= LINK_ASSOCIATIONS_MAX {
            let announced = self.remote;
            let blind = |place: &Place| place.source != announced && !place.association.reached;
            let oldest = self.places.iter().position(blind).or((announced == Some(from)).then_some(0))?;
            self.places.remove(oldest);
        }
        self.places.push(self.place(Some(from), now));
        Some(self.places.len() - 1)
    }

    /// Runs a piece of an association and sends what it brings.
    fn with_association(&mut self, n: usize, work: impl FnOnce(&mut Association, &mut dyn FnMut(&[u8]))) {
        let peer = self.peer();
        let Some(place) = self.places.get_mut(n) else { return };
        let to = place.source.or(peer);
        let out = &mut self.out;
        work(&mut place.association, &mut |packet| {
            if let Some(to) = to.filter(|_| out.len() < LINK_TRANSMITS_MAX) {
                out.push_back((to, packet.to_vec()));
            }
        });
    }

    /// Draws the conclusions from how far everything is.
    fn judge(&mut self, now: Tick) {
        if self.over {
            return;
        }
        let lone = self.ice.is_some() || self.active;
        let mut n = 0;
        while n < self.places.len() {
            let place = &mut self.places[n];
            match place.association.progress.clone() {
                Progress::Shaking => n += 1,
                Progress::Keyed(keys) => {
                    if self.keys.is_none() {
                        self.keys = Some(keys);
                        self.heard = now;
                        if let Some(source) = place.source {
                            self.remote = Some(source);
                        }
                        // The others were strangers.
                        self.places.swap(0, n);
                        self.places.truncate(1);
                    }
                    n += 1;
                }
                Progress::WrongCertificate if lone => return self.finish(LinkEnd::WrongCertificate),
                Progress::WrongCertificate => {
                    self.mismatched = true;
                    self.places.remove(n);
                }
                Progress::Closed if self.keys.is_some() => return self.finish(LinkEnd::Closed),
                Progress::Broken(why) if lone && (self.keys.is_some() || self.broken >= BROKEN_MAX) => {
                    return self.finish(LinkEnd::Broken(why));
                }
                Progress::Broken(_) | Progress::Closed => {
                    self.broken += u32::from(lone);
                    self.places.remove(n);
                }
            }
        }
        self.tell();
        if self.places.is_empty() && self.active && !self.over {
            self.begin_active(now);
        }
    }

    /// Tells where media goes, when that is known and has changed.
    fn tell(&mut self) {
        let Some(keys) = &self.keys else { return };
        let to = match &self.ice {
            Some(ice) => ice.nominated,
            None => self.remote,
        };
        let Some(remote) = to.filter(|remote| self.path != Some(*remote)) else { return };
        self.path = Some(remote);
        let event = match std::mem::replace(&mut self.keyed, true) {
            false => LinkEvent::Secured { remote, keys: keys.clone() },
            true => LinkEvent::Moved(remote),
        };
        self.events.push_back(event);
    }

    fn finish(&mut self, end: LinkEnd) {
        self.over = true;
        self.events.push_back(LinkEvent::Over(end));
    }
}

fn credentials(of: &IceCredentials) -> IceCreds {
    IceCreds { ufrag: of.ufrag.clone(), pass: of.password.clone() }
}

fn is_client_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE) && datagram.get(MESSAGE_AT) == Some(&CLIENT_HELLO)
}

#[cfg(test)]
mod tests;
