//! Signalling of legs, whichever door they came by. Purpose: what an actor asks of a leg goes to the SIP agent, or to Twilio's
//! door when the leg is of that; everything else about signalling is [`SipHandle`]'s, which has browsers' legs as well. Control
//! tasks. Invariants: legs of all doors are told apart by their number; what one of them cannot do changes nothing.
//! Deliberately absent: events (all doors send the same ones to the same calls).

use crate::media::RingWire;
use crate::sip::agent::{AgentError, LegId, Reason};
use crate::sip::transport::{SipError, SipHandle};
use crate::twilio::Door;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// How long somebody may ring whom Twilio is asked to call in our place.
const REFER_RINGING: Duration = Duration::from_secs(30);

/// The SIP agent and the doors beside it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lines {
    sip: SipHandle,
    twilio: Arc<Door>,
}

impl Deref for Lines {
    type Target = SipHandle;

    fn deref(&self) -> &SipHandle {
        &self.sip
    }
}

impl Lines {
    /// Both.
    #[must_use]
    pub const fn new(sip: SipHandle, twilio: Arc<Door>) -> Self {
        Self { sip, twilio }
    }

    /// Twilio's door.
    #[must_use]
    pub const fn twilio(&self) -> &Arc<Door> {
        &self.twilio
    }

    /// Rings for the audio of a leg that has no ports; `None`: it has, or is gone.
    #[must_use]
    pub fn wire(&self, leg: LegId) -> Option<RingWire> {
        if Door::has(leg) { self.twilio.wire(leg) } else { None }
    }

    /// As [`SipHandle::ring`]; a caller by Twilio hears that we ring until its stream is there, and nothing after.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn ring(&self, leg: LegId) -> Result<(), SipError> {
        if Door::has(leg) { Ok(()) } else { self.sip.ring(leg).await }
    }

    /// As [`SipHandle::progress`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn progress(&self, leg: LegId, code: u16, sdp: Option<Vec<u8>>) -> Result<(), SipError> {
        if Door::has(leg) { Ok(()) } else { self.sip.progress(leg, code, sdp).await }
    }

    /// As [`SipHandle::accept`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn accept(&self, leg: LegId, sdp: Vec<u8>) -> Result<(), SipError> {
        if Door::has(leg) { known(leg, self.twilio.accept(leg)) } else { self.sip.accept(leg, sdp).await }
    }

    /// As [`SipHandle::reject`]: a stream has no words for why.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn reject(&self, leg: LegId, code: u16, reason: &str, extra: &[(&str, &str)]) -> Result<(), SipError> {
        if Door::has(leg) {
            known(leg, self.twilio.hang_up(leg))
        } else {
            self.sip.reject(leg, code, reason, extra).await
        }
    }

    /// As [`SipHandle::hang_up`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn hang_up(&self, leg: LegId, reason: Option<&str>) -> Result<(), SipError> {
        if Door::has(leg) { known(leg, self.twilio.hang_up(leg)) } else { self.sip.hang_up(leg, reason).await }
    }

    /// As [`Agent::hang_up_for`](crate::sip::agent::Agent::hang_up_for); a leg that is elsewhere hears the words.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn hang_up_for(&self, leg: LegId, reason: Reason) -> Result<(), SipError> {
        if leg.is_elsewhere() {
            return self.sip.hang_up(leg, reason.text.as_deref()).await;
        }
        Ok(self.sip.with(move |agent, now| agent.hang_up_for(now, leg, reason)).await??)
    }

    /// Offers a change of the session; an event brings the answer.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn reinvite(&self, leg: LegId, offer: Vec<u8>) -> Result<Result<(), AgentError>, SipError> {
        if Door::has(leg) {
            return Ok(if self.twilio.reinvite(leg).await { Ok(()) } else { Err(AgentError::UnknownLeg(leg)) });
        }
        self.sip.with(move |agent, now| agent.reinvite(now, leg, Some(&offer))).await
    }

    /// Has the other side call somebody else in our place; an event tells what became of it.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn refer(
        &self,
        leg: LegId,
        to: String,
        replaces: Option<LegId>,
    ) -> Result<Result<(), AgentError>, SipError> {
        if Door::has(leg) {
            if replaces.is_some() {
                let (state, verb) = ("a media stream", "taking another call's place");
                return Ok(Err(AgentError::WrongState { leg, state, verb }));
            }
            let asked = self.twilio.refer(leg, &to, REFER_RINGING);
            return Ok(if asked { Ok(()) } else { Err(AgentError::UnknownLeg(leg)) });
        }
        self.sip.with(move |agent, now| agent.refer(now, leg, &to, replaces)).await
    }
}

fn known(leg: LegId, known: bool) -> Result<(), SipError> {
    if known { Ok(()) } else { Err(SipError::Agent(AgentError::UnknownLeg(leg))) }
}
