//! What the call side does with a leg. Purpose: one verb, one meaning, whatever the state underneath.

use super::leg::{HangUp, Leg, Phase, TransactionId, Unacknowledged};
use super::response::ALLOW;
use super::table::TimerId;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent};
use crate::sip::sdp;
use crate::sip::transaction::{GIVE_UP, Repeat, T2};
use crate::time::Tick;

impl Agent {
    /// Lets the caller hear ringing (180).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn ring(&mut self, now: Tick, leg: LegId) -> Result<(), AgentError> {
        self.progress(now, leg, 180, None)
    }

    /// Tells the caller how far the call is (101–199, others become 183), with the answer to its offer when media flows
    /// already. It is sent unreliably: [`Agent::accept`] must repeat the same description (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn progress(&mut self, now: Tick, leg: LegId, code: u16, sdp: Option<&[u8]>) -> Result<(), AgentError> {
        let transaction = self.offered(leg, "progress")?;
        let code = if (101..200).contains(&code) { code } else { 183 };
        let bytes = self.dialog_response(leg, transaction, code, sdp);
        self.respond_with(now, transaction, code, bytes);
        Ok(())
    }

    /// Answers the call (200) with our answer, or with our offer when the INVITE had none. Repeated until the ACK comes
    /// ([`SipEvent::Confirmed`]); after 64·T1 without one the leg ends with `Timeout`.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn accept(&mut self, now: Tick, leg: LegId, sdp: &[u8]) -> Result<(), AgentError> {
        let transaction = self.offered(leg, "accept")?;
        self.answer_invite(now, leg, transaction, sdp);
        Ok(())
    }

    /// Refuses the call; the leg ends with `Local`. On an established leg it refuses the re-INVITE that waits, and the
    /// call goes on as before. Codes other than 300–699 become 500; an empty reason becomes the usual phrase. 503 wants
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
        match (&state.phase, state.reinvite) {
            (Phase::Offered { transaction }, _) => {
                let transaction = *transaction;
                self.respond(now, transaction, code, reason, &headers);
                self.end_leg(now, leg, SipEvent::Ended { leg, by: EndedBy::Local, reason: non_empty(reason) });
                Ok(())
            }
            (Phase::Established, Some(transaction)) => {
                (state.reinvite, state.offered_sdp, state.deadline) = (None, None, None);
                self.respond(now, transaction, code, reason, &headers);
                self.rearm(TimerId::Leg(leg));
                Ok(())
            }
            _ => Err(wrong_state(leg, state, "reject")),
        }
    }

    /// Ends the leg in whatever way its state needs: 480 before our answer, CANCEL before theirs, BYE after. The leg ends
    /// with `Local` once the peer has confirmed it or 64·T1 have passed.
    ///
    /// # Errors
    /// [`AgentError::UnknownLeg`] only; hanging up twice is harmless.
    pub fn hang_up(&mut self, now: Tick, leg: LegId, reason: Option<&str>) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let wish = HangUp { reason: reason.map(str::to_owned), unanswered: false };
        match &state.phase {
            Phase::Offered { transaction } => {
                let transaction = *transaction;
                let headers: Vec<_> = reason.map(|r| ("Reason", reason_value(r))).into_iter().collect();
                self.respond(now, transaction, 480, "", &headers);
                self.end_leg(now, leg, SipEvent::Ended { leg, by: EndedBy::Local, reason: wish.reason });
            }
            Phase::Calling(_) => self.cancel_call(now, leg, wish),
            // The caller may not be told BYE before it has said ACK (§15).
            Phase::Established if !state.confirmed => state.hang_up = Some(wish),
            Phase::Established => self.send_bye(now, leg, reason),
            Phase::Ending => {}
        }
        Ok(())
    }

    /// Accepts the re-INVITE that waits, with our answer (or our offer, when it had none).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn answer_reinvite(&mut self, now: Tick, leg: LegId, sdp: &[u8]) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let Some(transaction) = state.reinvite.take() else {
            return Err(wrong_state(leg, state, "answer_reinvite"));
        };
        if let Some(offer) = state.offered_sdp.take() {
            state.remote_sdp = offer;
        }
        self.answer_invite(now, leg, transaction, sdp);
        Ok(())
    }

    /// Accepts the re-INVITE that waits with our last description, octet for octet: the answer to a session refresh.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn refresh(&mut self, now: Tick, leg: LegId) -> Result<(), AgentError> {
        let sdp = self.local_sdp(leg).ok_or(AgentError::UnknownLeg(leg))?.to_vec();
        self.answer_reinvite(now, leg, &sdp)
    }

    /// Our last description on the leg; empty before the first.
    #[must_use]
    pub fn local_sdp(&self, leg: LegId) -> Option<&[u8]> {
        self.legs.get(&leg).map(|l| l.local_sdp.as_slice())
    }

    /// The peer's last description on the leg; empty before the first.
    #[must_use]
    pub fn remote_sdp(&self, leg: LegId) -> Option<&[u8]> {
        self.legs.get(&leg).map(|l| l.remote_sdp.as_slice())
    }

    fn offered(&self, leg: LegId, verb: &'static str) -> Result<TransactionId, AgentError> {
        let state = self.legs.get(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        match state.phase {
            Phase::Offered { transaction } => Ok(transaction),
            _ => Err(wrong_state(leg, state, verb)),
        }
    }

    /// A response that opens or belongs to the dialog: Contact, Allow, Record-Routes, perhaps SDP.
    fn dialog_response(&self, leg: LegId, transaction: TransactionId, code: u16, sdp: Option<&[u8]>) -> Vec<u8> {
        let (Some(leg), Some(server)) = (self.legs.get(&leg), self.servers.get(&transaction)) else {
            return Vec::new();
        };
        let mut writer = server.seed.write(code, "", true);
        writer.header("Contact", &leg.contact).header("Allow", ALLOW).header("Server", &self.config.user_agent);
        writer.finish(sdp.map(|sdp| (sdp::CONTENT_TYPE, sdp)))
    }

    /// 200 to an INVITE of the peer, first or later.
    fn answer_invite(&mut self, now: Tick, leg_id: LegId, transaction: TransactionId, sdp: &[u8]) {
        let bytes = self.dialog_response(leg_id, transaction, 200, Some(sdp));
        let Some(server) = self.servers.get(&transaction) else { return };
        let (hop, sequence) = (server.seed.hop.clone(), server.sequence);
        if !self.respond_with(now, transaction, 200, bytes.clone()) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        leg.phase = Phase::Established;
        leg.deadline = None;
        leg.local_sdp = sdp.to_vec();
        leg.unacknowledged =
            Some(Unacknowledged { bytes, hop, sequence, repeat: Repeat::start(now, T2), give_up: now + GIVE_UP });
        self.rearm(TimerId::Leg(leg_id));
    }

    pub(super) fn leg_timeout(&mut self, now: Tick, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(waiting) = &mut leg.unacknowledged {
            if waiting.give_up <= now {
                leg.unacknowledged = None;
                let by = if leg.hang_up.is_some() { EndedBy::Local } else { EndedBy::Timeout };
                let reason = Some("no ACK came for our 2xx".to_owned());
                self.send_bye_apart(now, id, None);
                return self.end_leg(now, id, SipEvent::Ended { leg: id, by, reason });
            }
            if waiting.repeat.fire(now) {
                let transmit = super::Transmit { hop: waiting.hop.clone(), bytes: waiting.bytes.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
                return;
            }
        }
        if leg.deadline.is_none_or(|d| d > now) {
            return;
        }
        leg.deadline = None;
        match &leg.phase {
            Phase::Offered { transaction } => {
                let transaction = *transaction;
                self.respond(now, transaction, 480, "", &[]);
                let reason = Some("nobody answered".to_owned());
                self.end_leg(now, id, SipEvent::Ended { leg: id, by: EndedBy::Timeout, reason });
            }
            Phase::Calling(_) => self.calling_timeout(now, id),
            Phase::Established | Phase::Ending => {
                if let Some(transaction) = leg.reinvite.take() {
                    leg.offered_sdp = None;
                    self.respond(now, transaction, 500, "", &[]);
                }
            }
        }
    }
}

pub(super) const fn wrong_state(leg: LegId, state: &Leg, verb: &'static str) -> AgentError {
    AgentError::WrongState { leg, state: state.state_name(), verb }
}

/// A Reason value for people (RFC 3326).
pub(super) fn reason_value(text: &str) -> String {
    let quoted: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(120).collect();
    format!("SIP;text=\"{quoted}\"")
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
