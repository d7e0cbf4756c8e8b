//! What the call side does with a leg. Purpose: one verb, one meaning, whatever the state underneath.

use super::leg::{AskedBy, HangUp, Leg, Phase, TransactionId, Unacknowledged};
use super::reason::Reason;
use super::response::ALLOW;
use super::table::TimerId;
use super::timer::SessionWish;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent};
use crate::sip::transaction::{GIVE_UP, Repeat, T2};
use crate::time::Tick;

impl Agent {
    /// Refuses the re-INVITE or UPDATE that waits, and the call goes on as before; else refuses the call, and the leg ends
    /// with `Local`. Codes other than 300–699 become 500; an empty reason becomes the usual phrase. 503 wants
    /// `("Retry-After", seconds)` in `extra`.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn reject(
        &mut self,
        now: Tick,
        leg: LegId,
        code: u16,
        reason: &str,
        extra: &[(&str, &str)],
    ) -> Result<(), AgentError> {
        let code = if (300..700).contains(&code) { code } else { 500 };
        let mut headers: Vec<(&str, String)> = extra.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if code == 405 {
            headers.push(("Allow", ALLOW.to_owned()));
        }
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        if let Some(asked) = state.asked.take() {
            self.respond(now, asked.transaction, code, reason, &headers);
            if asked.method == AskedBy::Prack {
                self.provisional_acknowledged(now, leg);
            }
            self.advance_renewal(now, leg);
            self.rearm(TimerId::Leg(leg));
            return Ok(());
        }
        let Phase::Offered { transaction } = state.phase else { return Err(wrong_state(leg, state, "reject")) };
        self.respond(now, transaction, code, reason, &headers);
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        self.end_leg(now, leg, SipEvent::Ended { leg, by: EndedBy::Local, reason, cause: None });
        Ok(())
    }

    /// Ends the leg in whatever way its state needs: 480 before our answer, CANCEL before theirs, BYE after. The leg ends
    /// with `Local` once the peer has confirmed it or 64·T1 have passed.
    ///
    /// # Errors
    /// [`AgentError::UnknownLeg`] only; hanging up twice is harmless.
    pub fn hang_up(&mut self, now: Tick, leg: LegId, reason: Option<&str>) -> Result<(), AgentError> {
        self.hang_up_for(now, leg, reason.map(Reason::text).unwrap_or_default())
    }

    /// As [`Agent::hang_up`] with a cause that the peer's network understands (RFC 3326), such as Q.850 16.
    ///
    /// # Errors
    /// As [`Agent::hang_up`].
    pub fn hang_up_for(&mut self, now: Tick, leg: LegId, reason: Reason) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        match &state.phase {
            Phase::Offered { transaction } => {
                let transaction = *transaction;
                let headers: Vec<_> = reason.value().map(|value| ("Reason", value)).into_iter().collect();
                self.respond(now, transaction, 480, "", &headers);
                let Reason { text, cause } = reason;
                self.end_leg(now, leg, SipEvent::Ended { leg, by: EndedBy::Local, reason: text, cause });
            }
            Phase::Calling(_) => self.cancel_call(now, leg, HangUp { reason, unanswered: false }),
            // The caller may not be told BYE before it has said ACK (§15).
            Phase::Established if !state.confirmed => state.hang_up = Some(HangUp { reason, unanswered: false }),
            Phase::Established => {
                self.release_held(leg);
                self.send_bye(now, leg, reason);
            }
            Phase::Ending => {}
        }
        Ok(())
    }

    pub(super) fn offered(&self, leg: LegId, verb: &'static str) -> Result<TransactionId, AgentError> {
        let state = self.legs.get(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        match state.phase {
            Phase::Offered { transaction } => Ok(transaction),
            _ => Err(wrong_state(leg, state, verb)),
        }
    }

    /// 200 to an INVITE of the peer, first or later; `offers` = with our offer in it.
    pub(super) fn answer_invite(
        &mut self,
        now: Tick,
        leg_id: LegId,
        transaction: TransactionId,
        sdp: Option<&[u8]>,
        session: Option<SessionWish>,
        offers: bool,
    ) {
        let headers = session.map(SessionWish::headers).unwrap_or_default();
        let bytes = self.dialog_response(leg_id, transaction, 200, &headers, sdp);
        let Some(server) = self.servers.get(&transaction) else { return };
        let (hop, sequence) = (server.seed.hop.clone(), server.sequence);
        if !self.respond_with(now, transaction, 200, bytes.clone()) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        leg.phase = Phase::Established;
        leg.deadline = None;
        leg.session.agree(now, session);
        leg.unacknowledged = Some(Unacknowledged {
            bytes,
            hop,
            sequence,
            offers,
            repeat: Repeat::start(now, T2),
            give_up: now + GIVE_UP,
        });
        self.rearm(TimerId::Leg(leg_id));
    }

    pub(super) fn leg_timeout(&mut self, now: Tick, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(waiting) = &mut leg.unacknowledged {
            if waiting.give_up <= now {
                leg.unacknowledged = None;
                let by = if leg.hang_up.is_some() { EndedBy::Local } else { EndedBy::Timeout };
                let reason = Some("no ACK came for our 2xx".to_owned());
                self.send_bye_apart(now, id, &Reason::default());
                return self.end_leg(now, id, SipEvent::Ended { leg: id, by, reason, cause: None });
            }
            if waiting.repeat.fire(now) {
                let transmit = super::Transmit { hop: waiting.hop.clone(), bytes: waiting.bytes.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
                return;
            }
        }
        if leg.deadline.is_none_or(|d| d > now) {
            // One of them is due, or none is any more.
            let _done = self.asked_timeout(now, id)
                || self.renewal_timeout(now, id)
                || self.provisional_timeout(now, id)
                || self.session_timeout(now, id)
                || self.refer_timeout(now, id)
                || self.turn_timeout(now, id);
            return;
        }
        leg.deadline = None;
        match &leg.phase {
            Phase::Offered { transaction } => {
                let transaction = *transaction;
                self.respond(now, transaction, 480, "", &[]);
                let reason = Some("nobody answered".to_owned());
                self.end_leg(now, id, SipEvent::Ended { leg: id, by: EndedBy::Timeout, reason, cause: None });
            }
            Phase::Calling(_) => self.calling_timeout(now, id),
            Phase::Established | Phase::Ending => {}
        }
    }
}

pub(super) const fn wrong_state(leg: LegId, state: &Leg, verb: &'static str) -> AgentError {
    AgentError::WrongState { leg, state: state.state_name(), verb }
}
