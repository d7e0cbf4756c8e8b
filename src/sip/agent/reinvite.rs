//! The peer changes or refreshes the session: re-INVITE (RFC 3261 §14.2) and UPDATE (RFC 3311), and our answers to them and
//! to an offer in PRACK. Purpose: one exchange at a time (RFC 3264 §4); whoever comes second is told to wait: 491 while our
//! own offer is on its way, 500 with Retry-After while an earlier one of the peer's waits for us. Invariant: every request
//! that was taken in gets its final response within [`ANSWER_MAX`].

use std::time::Duration;

use super::inbound::{InDialog, session_description};
use super::leg::{Asked, AskedBy, Phase, TransactionId};
use super::table::{ServerMachine, ServerTransaction, TimerId};
use super::timer::SessionWish;
use super::verbs::wrong_state;
use super::{Agent, AgentError, LegId, SipEvent};
use crate::sip::message::Message;
use crate::sip::sdp;
use crate::sip::transaction::{InviteServer, NonInviteServer};
use crate::time::Tick;

/// A re-INVITE or UPDATE that the call side leaves unanswered for so long is refused.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What to say to a request with an offer.
enum Turn {
    Take,
    /// Ours is on its way (491).
    Glare,
    /// An earlier one waits (500).
    Wait,
}

impl Agent {
    /// INVITE within a dialog.
    pub(super) fn handle_reinvite(&mut self, now: Tick, leg_id: LegId, request: &Message, with: InDialog<'_>) {
        let offer = match session_description(request) {
            Ok(offer) => offer,
            Err(headers) => return self.answer_at_once(now, with, 415, &headers),
        };
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let turn = match &leg.phase {
            Phase::Calling(_) => Turn::Glare,
            Phase::Established if leg.hang_up.is_some() || leg.asked.is_some() => Turn::Wait,
            Phase::Established if leg.is_offering() => Turn::Glare,
            Phase::Established => Turn::Take,
            Phase::Offered { .. } | Phase::Ending => Turn::Wait,
        };
        match turn {
            Turn::Take => {}
            Turn::Glare => return self.answer_at_once(now, with, 491, &[]),
            Turn::Wait => return self.ask_to_wait(now, with),
        }
        let session = match SessionWish::of(request, &self.config) {
            Ok(session) => session,
            Err(min_s) => return self.refuse_interval(now, with, min_s),
        };
        // Whoever sends a new INVITE has had our 2xx to the last: its ACK was lost or comes late.
        let overtaken = leg.unacknowledged.take().is_some();
        leg.confirmed = true;
        if let Some(dialog) = &mut leg.dialog {
            dialog.refresh_target(request);
        }
        let unchanged = offer.as_ref().is_some_and(|offer| *offer == leg.remote_sdp);
        if overtaken {
            self.emit(SipEvent::Confirmed { leg: leg_id, answer: None });
        }
        self.note_abilities(leg_id, request);
        let trying = with.seed.write(100, "", false).finish(None);
        let machine = ServerMachine::Invite(InviteServer::new(with.seed.hop.transport.is_reliable()));
        let transaction = self.take_in(leg_id, machine, with, AskedBy::Invite, offer.clone(), session, now);
        self.respond_with(now, transaction, 100, trying);
        self.emit(SipEvent::Reinvite { leg: leg_id, offer, unchanged });
    }

    /// UPDATE, in an early dialog or later.
    pub(super) fn handle_update(&mut self, now: Tick, leg_id: LegId, request: &Message, with: InDialog<'_>) {
        let offer = match session_description(request) {
            Ok(offer) => offer,
            Err(headers) => return self.answer_at_once(now, with, 415, &headers),
        };
        let session = match SessionWish::of(request, &self.config) {
            Ok(session) => session,
            Err(min_s) => return self.refuse_interval(now, with, min_s),
        };
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let turn = match (&leg.phase, &offer) {
            (_, None) => Turn::Take,
            _ if leg.asked.is_some() => Turn::Wait,
            _ if leg.is_offering() => Turn::Glare,
            (Phase::Offered { .. }, _) if leg.provisional.is_offering() => Turn::Glare,
            (Phase::Offered { .. }, _) if !leg.provisional.is_settled() => Turn::Wait,
            (Phase::Calling(calling), _) => {
                let agreed = calling.forks.iter().any(|fork| fork.agreed && fork.dialog.id == *with.dialog);
                if agreed { Turn::Take } else { Turn::Glare }
            }
            _ => Turn::Take,
        };
        match turn {
            Turn::Take => {}
            Turn::Glare => return self.answer_at_once(now, with, 491, &[]),
            Turn::Wait => return self.ask_to_wait(now, with),
        }
        if let Some(dialog) = leg.dialog_mut(with.dialog) {
            dialog.refresh_target(request);
        }
        let known = if matches!(leg.phase, Phase::Calling(_)) { None } else { Some(leg.remote_sdp.clone()) };
        let unchanged = offer.is_some() && offer == known;
        let machine = ServerMachine::NonInvite(NonInviteServer::new(with.seed.hop.transport.is_reliable()));
        if offer.is_none() {
            let transaction =
                self.add_server(ServerTransaction::new(machine, with.key, with.seed, with.sequence, Some(leg_id)));
            return self.answer_update(now, leg_id, transaction, session, None);
        }
        self.take_in(leg_id, machine, with, AskedBy::Update, offer.clone(), session, now);
        self.emit(SipEvent::Reinvite { leg: leg_id, offer, unchanged });
    }

    /// Remembers a request that the call side shall answer.
    #[allow(clippy::too_many_arguments)] // what is remembered
    pub(super) fn take_in(
        &mut self,
        leg_id: LegId,
        machine: ServerMachine,
        with: InDialog<'_>,
        method: AskedBy,
        offer: Option<Vec<u8>>,
        session: Option<SessionWish>,
        now: Tick,
    ) -> TransactionId {
        let dialog = with.dialog.clone();
        let transaction =
            self.add_server(ServerTransaction::new(machine, with.key, with.seed, with.sequence, Some(leg_id)));
        if let Some(leg) = self.legs.get_mut(&leg_id) {
            leg.asked = Some(Asked { transaction, method, dialog, offer, session, give_up: now + ANSWER_MAX });
        }
        self.rearm(TimerId::Leg(leg_id));
        transaction
    }

    fn ask_to_wait(&mut self, now: Tick, with: InDialog<'_>) {
        // A random while of up to 10 s (§14.2).
        let seconds = self.random_below(10) + 1;
        self.answer_at_once(now, with, 500, &[("Retry-After", seconds.to_string())]);
    }

    fn refuse_interval(&mut self, now: Tick, with: InDialog<'_>, min_s: u32) {
        self.answer_at_once(now, with, 422, &[("Min-SE", min_s.to_string())]);
    }

    /// Accepts the re-INVITE or UPDATE that waits, with our answer (or our offer, when it had none).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn answer_reinvite(&mut self, now: Tick, leg: LegId, sdp: &[u8]) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let Some(asked) = state.asked.take() else {
            return Err(wrong_state(leg, state, "answer_reinvite"));
        };
        let offers = asked.offer.is_none();
        if let Some(offer) = asked.offer {
            if let Phase::Calling(calling) = &mut state.phase
                && let Some(fork) = calling.forks.iter_mut().find(|fork| fork.dialog.id == asked.dialog)
            {
                fork.answer = Some(offer.clone());
            }
            state.remote_sdp = offer;
        }
        state.describe(sdp);
        match asked.method {
            AskedBy::Invite => self.answer_invite(now, leg, asked.transaction, Some(sdp), asked.session, offers),
            AskedBy::Update => self.answer_update(now, leg, asked.transaction, asked.session, Some(sdp)),
            AskedBy::Prack => {
                let bytes = self.dialog_response(leg, asked.transaction, 200, &[], Some(sdp));
                self.respond_with(now, asked.transaction, 200, bytes);
                self.provisional_acknowledged(now, leg);
            }
        }
        self.advance_renewal(now, leg);
        self.rearm(TimerId::Leg(leg));
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

    fn answer_update(
        &mut self,
        now: Tick,
        leg_id: LegId,
        transaction: TransactionId,
        session: Option<SessionWish>,
        sdp: Option<&[u8]>,
    ) {
        let headers = session.map(SessionWish::headers).unwrap_or_default();
        let bytes = self.dialog_response(leg_id, transaction, 200, &headers, sdp);
        self.respond_with(now, transaction, 200, bytes);
        if let Some(leg) = self.legs.get_mut(&leg_id)
            && matches!(leg.phase, Phase::Established)
        {
            leg.session.agree(now, session);
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// The call side has not answered a request of the peer. `false` = nothing was due.
    pub(super) fn asked_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        let Some(asked) = leg.asked.take_if(|asked| asked.give_up <= now) else { return false };
        self.respond(now, asked.transaction, 500, "", &[]);
        if asked.method == AskedBy::Prack {
            self.provisional_acknowledged(now, leg_id);
        }
        self.advance_renewal(now, leg_id);
        true
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

    /// A response that opens or belongs to the dialog: Contact, Allow, Supported, Record-Routes, perhaps SDP.
    pub(super) fn dialog_response(
        &self,
        leg: LegId,
        transaction: TransactionId,
        code: u16,
        headers: &[(&str, String)],
        sdp: Option<&[u8]>,
    ) -> Vec<u8> {
        let (Some(leg), Some(server)) = (self.legs.get(&leg), self.servers.get(&transaction)) else {
            return Vec::new();
        };
        let mut writer = server.seed.write(code, "", true);
        writer.header("Contact", &leg.contact).header("Allow", super::response::ALLOW);
        writer.header("Supported", super::response::SUPPORTED);
        for (name, value) in headers {
            writer.header(name, value);
        }
        writer.header("Server", &self.config.user_agent);
        writer.finish(sdp.map(|sdp| (sdp::CONTENT_TYPE, sdp)))
    }
}
