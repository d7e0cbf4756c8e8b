//! Calls that come from browsers, and calls that browsers take. Purpose: from an offer by HTTP to a call like any other, or to
//! the place of who rings, and back to its answer; hanging up, declining, and going on from another network. tokio. Invariants: a browser's call is admitted, routed, recorded and ended by the very
//! code that SIP's are; one that nobody waits for any more is ended. Deliberately absent: HTTP (`api::webrtc`), handshakes
//! (`webrtc`).

use super::actor::{self, Admitted, Invitation, Planes};
pub use super::guests::Follower;
use super::guests::Guests;
pub use super::phones::{News, NoSeat, NotTaken, Seat};
use super::record::EndClass;
use super::registry::{CallState, LiveCall, NotAdmitted};
use crate::config::WebRtc;
use crate::id::CallId;
use crate::limits::{BROWSER_ANSWER_MAX, MEDIA_BUSY_MAX, PHONE_TAKE_MAX};
use crate::os::{clock, random};
use crate::rtp::Codec;
use crate::sip::agent::{EndedBy, LegId, SipEvent};
use crate::sip::dialog::HOPS;
use crate::sip::peer::Peer;
use crate::sip::transport::DoorVerb;
use crate::store::Direction;
use crate::telemetry::metric;
use crate::time::Wallclock;
use crate::webrtc::{Fragment, FragmentError, Identity, LinkFacts, RelayServer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// What a browser wants.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The number; `None`: the configured one.
    pub to: Option<String>,
    /// SDP.
    pub sdp: Vec<u8>,
    /// Where the request came from.
    pub source: SocketAddr,
    /// It came without a token.
    pub anonymous: bool,
}

/// A call that a browser is in.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The call.
    pub call: CallId,
    /// SDP.
    pub answer: Vec<u8>,
    /// Tells one ICE session from the next (RFC 9725 section 4.3.1).
    pub tag: String,
}

/// Why a page does not wait for calls.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotWaiting {
    /// The operator wants none.
    #[error(transparent)]
    Disabled(#[from] NotJoined),
    /// Nobody waits at a number that is nobody's.
    #[error("{0:?} is nobody's number; write it into [webrtc] phones, or add it to [[extensions]]")]
    Unknown(String),
    /// No room.
    #[error(transparent)]
    NoSeat(#[from] NoSeat),
}

/// Why there is no call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotJoined {
    /// The operator wants none.
    #[error("calls from browsers are switched off; write [webrtc] enabled = true")]
    Disabled,
    /// No number.
    #[error("{0:?} is no number: letters, digits and +*#-_., at most {max}", max = WebRtc::NUMBER_MAX)]
    BadNumber(String),
    /// Without a token one number alone is called.
    #[error("without a token only the number of [webrtc] number is called")]
    NotAllowed,
    /// One visitor shall not keep others out.
    #[error("too many calls from your network have not reached their browsers yet; try again in half a minute")]
    TooMany,
    /// No room now; another try may succeed.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Refused as a SIP call would have been.
    #[error("{code} {why}")]
    Refused {
        /// Status code of SIP.
        code: u16,
        /// For people.
        why: String,
    },
    /// It rings no more, or for somebody else.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// It rang for as long as it might.
    #[error("nobody answered within {} s", BROWSER_ANSWER_MAX.as_secs())]
    NoAnswer,
}

/// Why a fragment changed nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPatched {
    /// It is over, or never was a browser's.
    #[error("there is no such call from a browser")]
    NoCall,
    /// It is about an ICE session of before.
    #[error("the ETag is not that of the session of now")]
    Stale,
    /// Unreadable.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
}

/// What became of a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Patched {
    /// Candidates were taken note of.
    Taken,
    /// Both sides have new names and passwords.
    Restarted {
        /// The fragment to answer with.
        answer: String,
        /// Of the session from now on.
        tag: String,
    },
}

/// The browsers' door; cheap to clone.
#[derive(Clone, Debug)]
pub struct Browsers(Arc<Planes>, Guests);

impl Browsers {
    /// In front of these.
    #[must_use]
    pub fn new(planes: Arc<Planes>) -> Self {
        Self(planes, Guests::default())
    }

    /// What is configured.
    #[must_use]
    pub fn config(&self) -> WebRtc {
        self.0.config().webrtc.clone()
    }

    /// The TURN server that a page tells its browser now, and whether that tries nothing else.
    #[must_use]
    pub fn relay(&self) -> Option<(RelayServer, bool)> {
        self.0.relay.as_ref().map(|relay| (relay.server(clock::wall()), relay.is_only()))
    }

    /// What browsers are spoken to in, the preferred one first.
    #[must_use]
    pub fn codecs(&self) -> Vec<&'static str> {
        let config = self.0.config();
        let ours = config.media.codecs.as_slice();
        let all = [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma];
        let spoken: Vec<Codec> = match ours {
            [] => all.to_vec(),
            ours => ours.iter().copied().filter(|codec| all.contains(codec)).collect(),
        };
        spoken.into_iter().map(Codec::encoding_name).collect()
    }

    /// Whether a browser is in this call.
    #[must_use]
    pub fn is_in(&self, call: CallId) -> bool {
        self.live(call).is_some()
    }

    /// The call that a browser is in which knows its part of it by `call`, and since when it is; `None`: it is over.
    #[must_use]
    pub fn live(&self, call: CallId) -> Option<(CallId, Wallclock)> {
        let (whole, _) = self.1.find(call)?;
        self.0.registry.find(whole).map(|live| (whole, live.started))
    }

    /// Waits for calls to `number`.
    ///
    /// # Errors
    /// [`NotWaiting`].
    pub fn wait(&self, number: &str) -> Result<(Seat, mpsc::Receiver<News>), NotWaiting> {
        let config = self.0.config();
        if !config.webrtc.enabled {
            return Err(NotJoined::Disabled.into());
        }
        if !config.has_extension(number) {
            return Err(NotWaiting::Unknown(number.to_owned()));
        }
        Ok(self.0.trunks.phones().wait(number)?)
    }

    /// Takes a call that rings, and waits for the answer to this offer.
    ///
    /// # Errors
    /// [`NotJoined`]: it rings on, if it rings.
    pub async fn take(&self, call: CallId, sdp: Vec<u8>, source: SocketAddr) -> Result<Joined, NotJoined> {
        let planes = &self.0;
        if !planes.config().webrtc.enabled {
            return Err(NotJoined::Disabled);
        }
        let taking = planes.trunks.phones().take(call)?;
        let whole = planes.registry.call_of(taking.leg).ok_or(NotTaken::Silent)?;
        let (door, mut verbs) = planes.sip.open_door(random::u64() >> 1);
        let leg = door.leg();
        let newest = *planes.store.newest_event().borrow();
        let guest = self.1.seat(call, (whole, leg), None, newest, |_| false).ok_or(NotJoined::TooMany)?;
        // It comes in place of the leg that rings, as a telephone does that picks up (RFC 3891 section 3).
        let event = SipEvent::Incoming {
            leg,
            from: format!("\"Browser\" <sip:{}@{}>", taking.call.number, host(source)),
            to: taking.call.number.clone(),
            request_user: taking.call.number.clone(),
            call_id: format!("webrtc-{call}"),
            source,
            identity: Peer::Attached,
            hops: HOPS,
            offer: Some(sdp),
            headers: Vec::new(),
            replaces: Some(taking.leg),
        };
        let waiting = Waiting { planes: Arc::clone(planes), leg, answered: false, takes: true };
        if planes.registry.signal(event).is_some() {
            return Err(NotTaken::Silent.into());
        }
        let answer = tokio::time::timeout(PHONE_TAKE_MAX, answer(&mut verbs)).await;
        let sdp = match answer.map_err(|_| NotTaken::Silent)? {
            // Somebody else was faster, or the caller has given up.
            Err(NotJoined::Refused { code: 481, .. }) => return Err(NotTaken::Silent.into()),
            answer => answer?,
        };
        waiting.done();
        taking.done();
        planes.registry.keep(whole, (door, guest));
        // Its acknowledgement: nothing else will come.
        let _over = planes.registry.signal(SipEvent::Confirmed { leg, answer: None });
        info!(call = %whole, %source, "a page has taken the call");
        tokio::spawn(async move {
            // Until the call is over and drops the other end.
            while verbs.recv().await.is_some() {}
        });
        Ok(Joined { call, tag: ufrag(&sdp), answer: sdp })
    }

    /// Makes a call of an offer, and waits for its answer.
    ///
    /// # Errors
    /// [`NotJoined`]: there is no call.
    pub async fn join(&self, offer: Offer) -> Result<Joined, NotJoined> {
        let planes = &self.0;
        let config = &planes.config().webrtc;
        if !config.enabled {
            return Err(NotJoined::Disabled);
        }
        let number = offer.to.unwrap_or_else(|| config.number.clone());
        if !WebRtc::is_number(&number) {
            return Err(NotJoined::BadNumber(number));
        }
        if offer.anonymous && number != config.number {
            return Err(NotJoined::NotAllowed);
        }
        let call = CallId(random::u64());
        let anonymous = offer.anonymous.then(|| offer.source.ip());
        let newest = *planes.store.newest_event().borrow();
        let (door, mut verbs) = planes.sip.open_door(random::u64() >> 1);
        let leg = door.leg();
        let waits = |call| planes.registry.is_unconfirmed(call);
        let Some(guest) = self.1.seat(call, (call, leg), anonymous, newest, waits) else {
            warn!(source = %offer.source, "a browser's call is refused: too many of its network have not been reached yet");
            metric::call_ended(EndClass::Refused.name());
            return Err(NotJoined::TooMany);
        };
        let invitation = Invitation {
            leg,
            from: format!("\"Browser\" <sip:browser@{}>", host(offer.source)),
            number,
            sip_call_id: format!("webrtc-{call}"),
            source: offer.source,
            hops: HOPS,
            identity: Peer::Attached,
            headers: Vec::new(),
            fields: Vec::new(),
            offer: Some(offer.sdp),
        };
        let mailbox = match admit(planes, call, leg, &invitation) {
            Ok(mailbox) => mailbox,
            Err(refusal) => {
                warn!(source = %offer.source, %refusal, "a browser's call is refused");
                metric::call_ended(EndClass::Refused.name());
                return Err(refusal.into());
            }
        };
        let running = Arc::clone(planes);
        tokio::spawn(async move {
            let (_admitted, _door) = (Admitted { planes: Arc::clone(&running), call }, door);
            let _guest = guest;
            actor::run(running, call, invitation, mailbox).await;
        });
        // A page that is closed while it rings drops this future, and with it the guard.
        let waiting = Waiting { planes: Arc::clone(planes), leg, answered: false, takes: false };
        let answer = tokio::time::timeout(BROWSER_ANSWER_MAX, answer(&mut verbs)).await;
        let sdp = answer.map_err(|_| NotJoined::NoAnswer)??;
        waiting.done();
        tokio::spawn(async move {
            // Until the call is over and drops the other end.
            while verbs.recv().await.is_some() {}
        });
        let tag = planes.links.find(call).map(|(_, facts)| tag(&facts)).unwrap_or_default();
        Ok(Joined { call, answer: sdp, tag })
    }

    /// A follower of the call's events, for as long as it is kept. `None`: enough follow it already, or it is over.
    #[must_use]
    pub fn follow(&self, call: CallId) -> Option<Follower> {
        self.1.follow(call)
    }

    /// The browser hangs up, or declines a call that rings. `false`: there is no such call.
    #[must_use]
    pub fn leave(&self, call: CallId) -> bool {
        if let Some((_, leg)) = self.1.find(call).filter(|(whole, _)| self.0.registry.find(*whole).is_some()) {
            hung_up(&self.0, leg, "the browser hung up");
            return true;
        }
        let Ok(alone) = self.0.trunks.phones().decline(call) else { return false };
        info!(%call, "a page declines the call");
        if let Some(leg) = alone {
            let reason = "Decline".to_owned();
            let event = SipEvent::Refused { leg, code: 603, reason, retry_after: None, cause: None };
            // Given back: the call is over.
            let _over = self.0.registry.signal(event);
        }
        true
    }

    /// Whether a call of this name rings at pages, or a browser is in it.
    #[must_use]
    pub fn is_known(&self, call: CallId) -> bool {
        self.is_in(call) || self.0.trunks.phones().rings(call)
    }

    /// The browser has found candidates, or another network. `meant`: tags of the sessions that it may be about; `None`: any.
    ///
    /// # Errors
    /// [`NotPatched`]: nothing has changed.
    pub async fn patch(&self, call: CallId, meant: Option<&[String]>, fragment: &[u8]) -> Result<Patched, NotPatched> {
        if !self.is_in(call) {
            return Err(NotPatched::NoCall);
        }
        let (_, facts) = self.0.links.find(call).ok_or(NotPatched::NoCall)?;
        if meant.is_some_and(|meant| !meant.contains(&tag(&facts))) {
            return Err(NotPatched::Stale);
        }
        let fragment = Fragment::parse(fragment)?;
        let Some(theirs) = fragment.credentials.filter(|theirs| facts.theirs.as_ref() != Some(theirs)) else {
            return Ok(Patched::Taken);
        };
        let ours = Identity::credentials();
        // Of two at once, one was meant for the session that the other has just ended.
        let begun = self.0.links.restart(call, &facts.ours, &ours, &theirs).ok_or(NotPatched::Stale)?;
        begun.await.map_err(|_| NotPatched::NoCall)?;
        info!(%call, "the browser checks anew, perhaps from another network");
        let answer = Fragment::answer(&ours, &facts.candidates, fragment.mid.as_deref());
        Ok(Patched::Restarted { answer, tag: ours.ufrag })
    }
}

/// The name of the ICE session that an answer begins.
fn ufrag(sdp: &[u8]) -> String {
    let text = String::from_utf8_lossy(sdp);
    text.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap_or_default().trim().to_owned()
}

fn tag(facts: &LinkFacts) -> String {
    facts.ours.ufrag.clone()
}

fn host(source: SocketAddr) -> String {
    match source.ip().to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn admit(
    planes: &Planes,
    call: CallId,
    leg: LegId,
    invitation: &Invitation,
) -> Result<mpsc::Receiver<super::registry::CallEvent>, NotAdmitted> {
    if planes.media.least_busy() > MEDIA_BUSY_MAX {
        return Err(NotAdmitted::Busy);
    }
    if let Some(stale) = planes.registry.make_room(clock::wall(), None) {
        warn!("all calls are in use; one that was never acknowledged is ended");
        let sip = planes.sip.clone();
        tokio::spawn(async move {
            // It may be over.
            let _ = sip.hang_up(stale, Some("no ACK came")).await;
        });
    }
    let live = LiveCall {
        call,
        from: invitation.from.clone(),
        withheld: false,
        number: invitation.number.clone(),
        started: clock::wall(),
        direction: Direction::Inbound,
        state: CallState::Ringing,
        app: String::new(),
        conversation_id: None,
    };
    planes.registry.admit(leg, live)
}

/// The answer, early or final.
async fn answer(verbs: &mut mpsc::Receiver<DoorVerb>) -> Result<Vec<u8>, NotJoined> {
    loop {
        match verbs.recv().await {
            // What can be heard before the answer comes by the same description.
            Some(DoorVerb::Accept { sdp } | DoorVerb::Progress { sdp: Some(sdp), .. }) => return Ok(sdp),
            Some(DoorVerb::Progress { .. }) => {}
            Some(DoorVerb::Reject { code, reason }) => return Err(NotJoined::Refused { code, why: reason }),
            Some(DoorVerb::HangUp { reason }) => {
                return Err(NotJoined::Refused { code: 480, why: reason.unwrap_or_else(|| "it is over".to_owned()) });
            }
            None => return Err(NotJoined::Refused { code: 500, why: "the call ended without an answer".to_owned() }),
        }
    }
}

fn hung_up(planes: &Planes, leg: LegId, why: &str) {
    let event = SipEvent::Ended { leg, by: EndedBy::Remote, reason: Some(why.to_owned()), cause: None };
    // Given back: the call is over.
    let _over = planes.registry.signal(event);
}

/// Ends a call whose browser does not wait for the answer.
struct Waiting {
    planes: Arc<Planes>,
    leg: LegId,
    answered: bool,
    /// It takes a call, which may have it already.
    takes: bool,
}

impl Waiting {
    fn done(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if self.takes {
            hung_up(&self.planes, self.leg, "the page that took the call has gone");
        } else {
            let event = SipEvent::Cancelled { leg: self.leg };
            // Given back: the call is over.
            let _over = self.planes.registry.signal(event);
        }
    }
}
