//! Our own re-INVITE and UPDATE (RFC 3261 §14.1, RFC 3311): hold, another codec or address, offerless, refresh. Purpose: one
//! change at a time, whatever the peer does meanwhile. Invariants: nothing is sent while an exchange is under way in either
//! direction (RFC 3264 §4); glare (491) is waited out here and tried again (§14.1); an offer that the peer's own change has
//! made out of date is given back to the call side with 491 rather than sent; every 2xx to a re-INVITE gets an ACK even if
//! the leg is gone. Deliberately absent: making descriptions.

use std::time::Duration;

use super::fork::sdp_of;
use super::leg::{Leg, Phase, TransactionId};
use super::reason::Reason;
use super::request::Outgoing;
use super::table::{ClientMachine, ClientTransaction, Purpose, TimerId};
use super::verbs::wrong_state;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent, Transmit};
use crate::sip::dialog::{DialogId, DialogRequest};
use crate::sip::message::{Message, Method, Name};
use crate::sip::sdp;
use crate::sip::transaction::GIVE_UP;
use crate::time::Tick;

/// How often one change is tried again after 491 and the like.
const TRIES_MAX: u8 = 6;
/// A re-INVITE that is answered provisionally only is cancelled after so long.
const PROCEEDING_MAX: Duration = Duration::from_secs(60);
/// The call side has so long to answer an offer that came in a 2xx; the peer waits 32 s for the ACK.
const HELD_MAX: Duration = Duration::from_secs(20);

/// A change or refresh of ours.
#[derive(Debug)]
pub(super) struct Renewal {
    /// INVITE or UPDATE.
    pub(super) method: Method,
    /// The call side asked for it and hears what becomes of it.
    asked: bool,
    /// What we offer; a refresh by INVITE takes our last description when it is sent.
    offer: Option<Vec<u8>>,
    /// [`Leg::changes`] when it was offered.
    changes: u32,
    /// The early dialog that it is sent in.
    pub(super) dialog: Option<DialogId>,
    state: RenewalState,
    tries: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RenewalState {
    Waiting,
    BackOff(Tick),
    Sent {
        transaction: TransactionId,
        give_up: Option<Tick>,
        cancelled: bool,
    },
    /// The peer's offer waits for our answer.
    Offered,
}

/// The ACK that must bring our answer.
#[derive(Debug)]
pub(super) struct HeldAck {
    /// The INVITE's.
    transaction: TransactionId,
    sequence: u32,
    offer: Vec<u8>,
    pub(super) give_up: Tick,
}

impl HeldAck {
    pub(super) fn new(now: Tick, transaction: TransactionId, sequence: u32, offer: Vec<u8>) -> Self {
        Self { transaction, sequence, offer, give_up: now + HELD_MAX }
    }

    /// Whether it is the ACK of this INVITE.
    pub(super) fn is_of(&self, transaction: TransactionId) -> bool {
        self.transaction == transaction
    }
}

impl Renewal {
    pub(super) fn refresh(method: Method, changes: u32) -> Self {
        Self { asked: false, ..Self::of(method, None, changes) }
    }

    fn of(method: Method, offer: Option<&[u8]>, changes: u32) -> Self {
        let offer = offer.map(<[u8]>::to_vec);
        Self { method, asked: true, offer, changes, dialog: None, state: RenewalState::Waiting, tries: 0 }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        match self.state {
            RenewalState::Waiting | RenewalState::Offered => None,
            RenewalState::BackOff(at) => Some(at),
            RenewalState::Sent { give_up, .. } => give_up,
        }
    }

    /// The transaction of a request that is on its way.
    const fn transaction(&self) -> Option<TransactionId> {
        match self.state {
            RenewalState::Sent { transaction, .. } => Some(transaction),
            _ => None,
        }
    }

    const fn is_sent(&self) -> bool {
        matches!(self.state, RenewalState::Sent { .. })
    }

    /// Whether the peer may not send an offer of its own now (RFC 3311 §5.2).
    pub(super) fn offers(&self) -> bool {
        let offer = self.offer.is_some() || self.method == Method::Invite;
        matches!(self.state, RenewalState::Offered) || (offer && self.is_sent())
    }
}

impl Leg {
    /// Whether our own offer is on its way, or the peer's waits for our ACK.
    pub(super) fn is_offering(&self) -> bool {
        self.renewals.front().is_some_and(Renewal::offers)
            || self.held.is_some()
            || self.unacknowledged.as_ref().is_some_and(|u| u.offers)
    }

    /// Whether a re-INVITE or UPDATE of ours may be sent now, and in which early dialog.
    fn may_renew(&self, method: &Method) -> Option<Option<DialogId>> {
        if self.asked.is_some() || self.held.is_some() || self.hang_up.is_some() {
            return None;
        }
        match &self.phase {
            Phase::Established if self.confirmed && self.unacknowledged.is_none() => Some(None),
            Phase::Offered { .. } if *method == Method::Update && self.provisional.is_settled() => Some(None),
            Phase::Calling(calling) if *method == Method::Update && !calling.cancelled => {
                let fork = calling.forks.iter().rev().find(|fork| fork.agreed)?;
                Some(Some(fork.dialog.id.clone()))
            }
            _ => None,
        }
    }
}

impl Agent {
    /// Changes the session by a re-INVITE with `offer`; `None` asks the peer for an offer, which comes as
    /// [`SipEvent::ReinviteOffered`]. It waits for exchanges that are under way; glare is tried again inside. Ends in
    /// [`SipEvent::Reinvited`] or [`SipEvent::ReinviteRefused`]; without any answer, or with 481, the leg ends.
    ///
    /// # Errors
    /// [`AgentError::WrongState`] before the call is answered, and while an earlier change is under way.
    pub fn reinvite(&mut self, now: Tick, leg: LegId, offer: Option<&[u8]>) -> Result<(), AgentError> {
        let state = self.established(leg, "reinvite")?;
        if state.hang_up.is_some() || state.renewals.iter().any(|r| r.asked) {
            return Err(wrong_state(leg, state, "reinvite"));
        }
        state.renewals.push_back(Renewal::of(Method::Invite, offer, state.changes));
        self.advance_renewal(now, leg);
        Ok(())
    }

    /// As [`Agent::reinvite`] by UPDATE (RFC 3311), which also works before the call is answered, once descriptions have
    /// been exchanged reliably; `None` refreshes the session without a word about media. Where the peer does not allow
    /// UPDATE, an answered call gets a re-INVITE instead.
    ///
    /// # Errors
    /// As [`Agent::reinvite`].
    pub fn update(&mut self, now: Tick, leg: LegId, offer: Option<&[u8]>) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let answered = matches!(state.phase, Phase::Established);
        let possible = answered || (state.takes_update && state.may_renew(&Method::Update).is_some());
        if !possible || state.hang_up.is_some() || state.renewals.iter().any(|r| r.asked) {
            return Err(wrong_state(leg, state, "update"));
        }
        let renewal = if state.takes_update {
            Renewal::of(Method::Update, offer, state.changes)
        } else {
            // A re-INVITE without offer would ask for one: the last description refreshes instead.
            let sdp = offer.map_or_else(|| state.local_sdp.clone(), <[u8]>::to_vec);
            Renewal::of(Method::Invite, Some(&sdp), state.changes)
        };
        state.renewals.push_back(renewal);
        self.advance_renewal(now, leg);
        Ok(())
    }

    /// Answers the offer of [`SipEvent::ReinviteOffered`]: the answer leaves in the ACK, or in the PRACK.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn confirm_offer(&mut self, now: Tick, leg: LegId, answer: &[u8]) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let Some(held) = state.held.take() else {
            return match self.answer_early_offer(now, leg, answer) {
                true => Ok(()),
                false => {
                    let state = self.legs.get(&leg).ok_or(AgentError::UnknownLeg(leg))?;
                    Err(wrong_state(leg, state, "confirm_offer"))
                }
            };
        };
        state.describe(answer);
        state.remote_sdp.clone_from(&held.offer);
        self.send_held_ack(leg, &held, Some(answer));
        let offered =
            self.legs.get(&leg).is_some_and(|l| l.renewals.front().is_some_and(|r| r.state == RenewalState::Offered));
        if offered {
            self.finish_renewal(now, leg, true);
        }
        self.advance_renewal(now, leg);
        self.rearm(TimerId::Leg(leg));
        Ok(())
    }

    fn send_held_ack(&mut self, leg: LegId, held: &HeldAck, answer: Option<&[u8]>) {
        let Some(dialog) = self.legs.get(&leg).and_then(|l| l.dialog.clone()) else { return };
        let ack = self.write_ack(&dialog, held.sequence, answer);
        let ack = self.fitted_ack(leg, ack);
        self.remember_ack(held.transaction, &dialog.id.remote_tag, ack.clone());
        self.transmit(ack);
    }

    /// Repeats of the 2xx get the same ACK.
    pub(super) fn remember_ack(&mut self, transaction: TransactionId, tag: &[u8], ack: Transmit) {
        match self.clients.get_mut(&transaction).map(|client| &mut client.purpose) {
            Some(Purpose::Invite { acknowledged, .. }) => acknowledged.push((tag.to_vec(), ack)),
            Some(Purpose::Reinvite { acknowledged, .. }) => *acknowledged = Some(ack),
            _ => {}
        }
    }

    /// Hanging up does not wait for an answer to the peer's offer: its 2xx gets a bare ACK, so that it may be told BYE.
    pub(super) fn release_held(&mut self, leg: LegId) {
        if let Some(held) = self.legs.get_mut(&leg).and_then(|l| l.held.take()) {
            self.send_held_ack(leg, &held, None);
        }
    }

    /// Sends what waits to be sent, if it may go now.
    pub(super) fn advance_renewal(&mut self, now: Tick, leg_id: LegId) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(renewal) = leg.renewals.front().filter(|r| r.state == RenewalState::Waiting) else {
            return self.rearm(TimerId::Leg(leg_id));
        };
        let Some(early) = leg.may_renew(&renewal.method) else { return };
        if renewal.asked && renewal.offer.is_some() && renewal.changes != leg.changes {
            return self.refuse_renewal(now, leg_id, 491);
        }
        let (method, asked) = (renewal.method.clone(), renewal.asked);
        let refresh = (!asked && method == Method::Invite).then(|| leg.local_sdp.clone());
        let offer = renewal.offer.clone().or(refresh);
        let mut headers = leg.session.headers();
        if method == Method::Invite {
            headers.push(("Accept", sdp::CONTENT_TYPE.to_owned()));
        }
        let purpose = match method {
            Method::Invite => Purpose::Reinvite { leg: leg_id, acknowledged: None },
            _ => Purpose::Update(leg_id),
        };
        let body = offer.as_deref().map(|offer| (sdp::CONTENT_TYPE, offer));
        let sent = self.send_in_dialog(now, leg_id, early.as_ref(), Outgoing { method, headers, body, purpose });
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(renewal) = leg.renewals.front_mut() else { return };
        match sent {
            Ok(transaction) => {
                renewal.state = RenewalState::Sent { transaction, give_up: None, cancelled: false };
                renewal.dialog = early;
                if !asked {
                    renewal.offer = offer;
                }
            }
            Err(_) => return self.refuse_renewal(now, leg_id, 503),
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// A response to our re-INVITE.
    pub(super) fn handle_reinvite_response(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
    ) {
        match code {
            100..200 => {
                let Some(leg) = self.legs.get_mut(&leg_id) else { return };
                if let Some(Renewal { state: RenewalState::Sent { transaction, give_up, .. }, .. }) =
                    leg.renewals.front_mut()
                    && *transaction == id
                {
                    give_up.get_or_insert(now + PROCEEDING_MAX);
                }
                self.rearm(TimerId::Leg(leg_id));
            }
            200..300 => self.handle_reinvite_2xx(now, id, leg_id, response),
            _ => self.handle_renewal_refusal(now, id, leg_id, code, response),
        }
    }

    fn handle_reinvite_2xx(&mut self, now: Tick, id: TransactionId, leg_id: LegId, response: &Message) {
        let Some(client) = self.clients.get(&id) else { return };
        if let Purpose::Reinvite { acknowledged: Some(ack), .. } = &client.purpose {
            let ack = ack.clone();
            self.counters.retransmissions += 1;
            return self.transmit(ack);
        }
        let sequence = client.request.sequence;
        let (request, hop) = (client.request.clone(), client.hop.clone());
        let Some(leg) = self.legs.get_mut(&leg_id) else {
            // The leg is over; its 2xx is acknowledged all the same.
            let (via, _) = self.new_via(&hop, Method::Ack);
            let bytes = DialogRequest { method: Method::Ack, ..request }.write(&via).finish(None);
            let ack = Transmit { hop, bytes };
            self.remember_ack(id, b"", ack.clone());
            return self.transmit(ack);
        };
        if leg.held.as_ref().is_some_and(|held| held.is_of(id)) {
            return; // its answer is on its way from the call side
        }
        let Some(dialog) = leg.dialog.as_mut() else { return };
        dialog.refresh_target(response);
        let dialog = dialog.clone();
        let ours = |r: &&Renewal| matches!(r.state, RenewalState::Sent { transaction, .. } if transaction == id);
        let Some((offer, cancelled)) = leg.renewals.front().filter(ours).map(|renewal| {
            let cancelled = matches!(renewal.state, RenewalState::Sent { cancelled: true, .. });
            (renewal.offer.clone(), cancelled)
        }) else {
            // We are hanging up.
            let ack = self.write_ack(&dialog, sequence, None);
            self.remember_ack(id, &dialog.id.remote_tag, ack.clone());
            return self.transmit(ack);
        };
        let description = sdp_of(response);
        leg.session.agree_by_response(now, response);
        if let (None, Some(offer), false) = (&offer, &description, cancelled) {
            leg.held = Some(HeldAck::new(now, id, sequence, offer.clone()));
            if let Some(renewal) = leg.renewals.front_mut() {
                renewal.state = RenewalState::Offered;
            }
            self.emit(SipEvent::ReinviteOffered { leg: leg_id, offer: offer.clone() });
            return self.rearm(TimerId::Leg(leg_id));
        }
        let ack = self.write_ack(&dialog, sequence, None);
        self.remember_ack(id, &dialog.id.remote_tag, ack.clone());
        self.transmit(ack);
        if offer.is_none() && description.is_some() {
            // CANCEL crossed the offer that we had asked for: it cannot be left without an answer.
            return self.dialog_gone(now, leg_id, EndedBy::Timeout, "the peer took too long to make an offer");
        }
        self.complete_renewal(now, leg_id, offer, description);
    }

    /// What became of an UPDATE.
    pub(super) fn handle_update_response(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
    ) {
        if code < 200 {
            return;
        }
        if code >= 300 {
            return self.handle_renewal_refusal(now, id, leg_id, code, response);
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let ours = |r: &&Renewal| matches!(r.state, RenewalState::Sent { transaction, .. } if transaction == id);
        let Some(renewal) = leg.renewals.front().filter(ours) else { return };
        let (offer, early) = (renewal.offer.clone(), renewal.dialog.clone());
        let dialog = match &early {
            Some(early) => leg.dialog_mut(early),
            None => leg.dialog.as_mut(),
        };
        if let Some(dialog) = dialog {
            dialog.refresh_target(response);
        }
        if matches!(leg.phase, Phase::Established) {
            leg.session.agree_by_response(now, response);
        }
        let answer = sdp_of(response);
        if let (Phase::Calling(calling), Some(early), Some(answer)) = (&mut leg.phase, &early, &answer)
            && let Some(fork) = calling.forks.iter_mut().find(|fork| fork.dialog.id == *early)
        {
            fork.answer = Some(answer.clone());
        }
        self.complete_renewal(now, leg_id, offer, answer);
    }

    /// The peer has agreed.
    fn complete_renewal(&mut self, now: Tick, leg_id: LegId, offer: Option<Vec<u8>>, answer: Option<Vec<u8>>) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let asked = leg.renewals.front().is_some_and(|r| r.asked);
        match (offer, answer) {
            (Some(offer), Some(answer)) => {
                let changed = answer != leg.remote_sdp;
                leg.describe(&offer);
                leg.remote_sdp.clone_from(&answer);
                if asked {
                    self.emit(SipEvent::Reinvited { leg: leg_id, answer });
                } else if changed {
                    self.emit(SipEvent::Refreshed { leg: leg_id, answer });
                }
            }
            // Without an answer nothing was changed; a refresh is happy with that.
            (Some(_), None) if asked => return self.refuse_renewal(now, leg_id, 488),
            (None, _) if asked => {
                let is_update = leg.renewals.front().is_some_and(|r| r.method == Method::Update);
                if !is_update {
                    return self.refuse_renewal(now, leg_id, 488);
                }
                self.emit(SipEvent::Reinvited { leg: leg_id, answer: Vec::new() });
            }
            _ => {}
        }
        self.finish_renewal(now, leg_id, true);
    }

    fn handle_renewal_refusal(&mut self, now: Tick, id: TransactionId, leg_id: LegId, code: u16, response: &Message) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let placed = leg.placed_to.is_some();
        let established = matches!(leg.phase, Phase::Established);
        let Some(renewal) = leg.renewals.front_mut() else { return };
        let RenewalState::Sent { transaction, cancelled, .. } = renewal.state else { return };
        if transaction != id {
            return;
        }
        let wait_s = super::fork::retry_after(response);
        let again = renewal.tries < TRIES_MAX && !cancelled;
        match code {
            481 | 408 if established => {
                let why = format!("the peer does not know the call any more ({code})");
                self.dialog_gone(now, leg_id, EndedBy::Remote, &why);
            }
            422 if again && leg.session.raise(response) => {
                let renewal = &mut leg.renewals[0];
                (renewal.tries, renewal.state) = (renewal.tries + 1, RenewalState::Waiting);
                self.advance_renewal(now, leg_id);
            }
            405 | 501 if renewal.method == Method::Update && established => {
                leg.takes_update = false;
                let (local, renewal) = (leg.local_sdp.clone(), &mut leg.renewals[0]);
                (renewal.method, renewal.state) = (Method::Invite, RenewalState::Waiting);
                renewal.offer.get_or_insert(local);
                self.advance_renewal(now, leg_id);
            }
            491 if again => {
                renewal.tries += 1;
                // Who drew the Call-ID waits longer, so that the two do not meet again (§14.1).
                let wait_ms = match placed {
                    true => 2_100 + 10 * self.random_below(191),
                    false => 10 * self.random_below(201),
                };
                self.back_off(leg_id, now + Duration::from_millis(wait_ms.into()));
            }
            // Another exchange is not over there (§14.2).
            500 | 504 if again && wait_s.is_some_and(|s| s <= 10) => {
                renewal.tries += 1;
                let wait = Duration::from_secs(wait_s.unwrap_or(1).max(1).into());
                self.back_off(leg_id, now + wait);
            }
            _ => self.refuse_renewal(now, leg_id, code),
        }
    }

    fn back_off(&mut self, leg_id: LegId, until: Tick) {
        if let Some(renewal) = self.legs.get_mut(&leg_id).and_then(|leg| leg.renewals.front_mut()) {
            renewal.state = RenewalState::BackOff(until);
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// It did not work; the session is as it was.
    pub(super) fn refuse_renewal(&mut self, now: Tick, leg_id: LegId, code: u16) {
        let asked = self.legs.get(&leg_id).and_then(|leg| leg.renewals.front()).is_some_and(|r| r.asked);
        if asked {
            self.emit(SipEvent::ReinviteRefused { leg: leg_id, code });
        }
        self.finish_renewal(now, leg_id, false);
    }

    fn finish_renewal(&mut self, now: Tick, leg_id: LegId, done: bool) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        leg.renewals.pop_front();
        if !done {
            leg.session.try_again(now);
        }
        self.advance_renewal(now, leg_id);
        self.rearm(TimerId::Leg(leg_id));
    }

    /// The early dialog that it was sent in has lost to another: nobody will answer.
    pub(super) fn forget_early_renewal(&mut self, now: Tick, leg_id: LegId, kept: Option<&DialogId>) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(renewal) = leg.renewals.front_mut() else { return };
        match &renewal.dialog {
            Some(dialog) if Some(dialog) != kept => self.refuse_renewal(now, leg_id, 487),
            // The leg's own dialog now.
            _ => renewal.dialog = None,
        }
    }

    /// No answer at all to our re-INVITE or UPDATE.
    pub(super) fn renewal_failed(&mut self, now: Tick, leg_id: LegId, unreachable: bool) {
        let Some(leg) = self.legs.get(&leg_id) else { return };
        if matches!(leg.phase, Phase::Ending) {
            return;
        }
        if unreachable || !matches!(leg.phase, Phase::Established) {
            return self.refuse_renewal(now, leg_id, if unreachable { 503 } else { 408 });
        }
        self.dialog_gone(now, leg_id, EndedBy::Timeout, "the peer does not answer any more");
    }

    /// Back-off is over, or the peer has taken too long. `false` = nothing was due.
    pub(super) fn renewal_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        if leg.held.as_ref().is_some_and(|held| held.give_up <= now) {
            self.release_held(leg_id);
            self.send_bye_apart(now, leg_id, &Reason::text("no answer to the offer"));
            let reason = Some("the offer of the peer was not answered in time".to_owned());
            self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by: EndedBy::Timeout, reason, cause: None });
            return true;
        }
        let Some(renewal) = leg.renewals.front_mut().filter(|r| r.poll_timeout().is_some_and(|at| at <= now)) else {
            return false;
        };
        match &mut renewal.state {
            RenewalState::BackOff(_) => {
                renewal.state = RenewalState::Waiting;
                self.advance_renewal(now, leg_id);
            }
            RenewalState::Sent { transaction, give_up, cancelled } if *cancelled => {
                *give_up = None;
                let transaction = *transaction;
                self.forget_client(transaction);
                self.renewal_failed(now, leg_id, false);
            }
            RenewalState::Sent { transaction, give_up, cancelled } => {
                (*cancelled, *give_up) = (true, Some(now + GIVE_UP));
                let transaction = *transaction;
                self.send_cancel_of(now, transaction, None);
            }
            RenewalState::Waiting | RenewalState::Offered => return false,
        }
        true
    }

    /// The call is over: nobody waits for the answer to our re-INVITE, which may never come.
    pub(super) fn abandon_renewal(&mut self, now: Tick, leg_id: LegId) {
        let renewal = self.legs.get(&leg_id).and_then(|leg| leg.renewals.front());
        let Some(transaction) = renewal.and_then(Renewal::transaction) else { return };
        if let Some(ClientTransaction { machine: ClientMachine::Invite(machine), .. }) =
            self.clients.get_mut(&transaction)
        {
            machine.abandon(now);
            self.rearm(TimerId::Client(transaction));
        }
    }

    /// Whether the message says that its sender takes UPDATE.
    pub(super) fn note_abilities(&mut self, leg_id: LegId, message: &Message) {
        if let Some(leg) = self.legs.get_mut(&leg_id)
            && message.header(&Name::Allow).is_some()
        {
            leg.takes_update = message.lists(&Name::Allow, "UPDATE");
        }
    }
}
