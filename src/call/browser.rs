//! Calls that come from browsers. Purpose: from an offer by HTTP to a call like any other, and back to its answer; hanging up,
//! and going on from another network. tokio. Invariants: a browser's call is admitted, routed, recorded and ended by the very
//! code that SIP's are; one that nobody waits for any more is ended. Deliberately absent: HTTP (`api::webrtc`), handshakes
//! (`webrtc`).

use super::actor::{self, Admitted, Invitation, Planes};
pub use super::guests::Follower;
use super::guests::Guests;
use super::record::EndClass;
use super::registry::{CallState, LiveCall, NotAdmitted};
use crate::config::WebRtc;
use crate::id::CallId;
use crate::limits::{BROWSER_ANSWER_MAX, MEDIA_BUSY_MAX};
use crate::os::{clock, random};
use crate::rtp::Codec;
use crate::sip::agent::{EndedBy, LegId, SipEvent};
use crate::sip::dialog::HOPS;
use crate::sip::peer::Peer;
use crate::sip::transport::DoorVerb;
use crate::store::Direction;
use crate::telemetry::metric;
use crate::time::Wallclock;
use crate::webrtc::{Fragment, FragmentError, Identity, LinkFacts};
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
        self.0.registry.elsewhere(call).is_some()
    }

    /// When this call began; `None`: it is over.
    #[must_use]
    pub fn started(&self, call: CallId) -> Option<Wallclock> {
        self.0.registry.find(call).map(|live| live.started)
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
        let Some(guest) = self.1.seat(call, anonymous, newest, |call| planes.registry.is_unconfirmed(call)) else {
            warn!(source = %offer.source, "a browser's call is refused: too many of its network have not been reached yet");
            metric::call_ended(EndClass::Refused.name());
            return Err(NotJoined::TooMany);
        };
        let (door, mut verbs) = planes.sip.open_door(random::u64() >> 1);
        let leg = door.leg();
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
            let (_admitted, _door) = (Admitted { planes: Arc::clone(&running), call, channel: None }, door);
            let _guest = guest;
            actor::run(running, call, invitation, mailbox).await;
        });
        // A page that is closed while it rings drops this future, and with it the guard.
        let waiting = Waiting { planes: Arc::clone(planes), leg, answered: false };
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

    /// The browser hangs up. `false`: there is no such call.
    #[must_use]
    pub fn leave(&self, call: CallId) -> bool {
        let Some(leg) = self.0.registry.elsewhere(call) else { return false };
        hung_up(&self.0, leg, "the browser hung up");
        true
    }

    /// The browser has found candidates, or another network. `tag`: of the session that it means; `None`: of any.
    ///
    /// # Errors
    /// [`NotPatched`]: nothing has changed.
    pub async fn patch(&self, call: CallId, tag_meant: Option<&str>, fragment: &[u8]) -> Result<Patched, NotPatched> {
        if !self.is_in(call) {
            return Err(NotPatched::NoCall);
        }
        let (_, facts) = self.0.links.find(call).ok_or(NotPatched::NoCall)?;
        if tag_meant.is_some_and(|meant| meant != tag(&facts)) {
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
    if let Some(stale) = planes.registry.make_room(clock::wall()) {
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
}

impl Waiting {
    fn done(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            let event = SipEvent::Cancelled { leg: self.leg };
            // Given back: the call is over.
            let _over = self.planes.registry.signal(event);
        }
    }
}
