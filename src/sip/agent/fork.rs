//! The answers to an INVITE of ours, of which there may be many: a proxy may have let several phones ring (RFC 3261 §12.1.2,
//! §13.2.2). Purpose: an early dialog for each, PRACK for what they say reliably (RFC 3262, the client's half), and one of
//! them becomes the call. Invariants: the first 2xx makes the leg; every other 2xx is acknowledged and hung up, in its own
//! dialog with its own CSeq numbers; at most [`limits::SIP_FORKS_MAX`] are known. Deliberately absent: choosing between them.

use super::inbound::session_description;
use super::leg::{HangUp, Leg, Phase, TransactionId};
use super::reason::Reason;
use super::renewal::HeldAck;
use super::request::Outgoing;
use super::table::{Purpose, TimerId};
use super::{Agent, EndedBy, LegId, SipEvent};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::message::{CoreFields, Message, Method, Name, StartLine, to_text};
use crate::sip::sdp;
use crate::time::Tick;

/// An early dialog of a call that we place.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) dialog: Dialog,
    /// The INVITE that it answers.
    invite: TransactionId,
    /// RSeq of the last reliable response.
    rseq: Option<u32>,
    /// The peer's last description.
    pub(super) answer: Option<Vec<u8>>,
    /// Offer and answer have been exchanged reliably.
    pub(super) agreed: bool,
    /// The peer's reliable offer and its RSeq; the PRACK waits for our answer.
    held: Option<(u32, Vec<u8>)>,
}

impl Fork {
    const fn new(invite: TransactionId, dialog: Dialog) -> Self {
        Self { dialog, invite, rseq: None, answer: None, agreed: false, held: None }
    }

    /// Whether a reliable response is the next in order; repeats and those that overtook others are not (RFC 3262 §4).
    fn takes(&mut self, rseq: u32) -> bool {
        if self.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return false;
        }
        self.rseq = Some(rseq);
        true
    }
}

impl Agent {
    /// A provisional response to the INVITE of a leg.
    pub(super) fn handle_progress(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
        core: &CoreFields,
    ) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        calling.heard |= calling.transaction == id;
        if code > 100 {
            self.handle_early(now, id, leg_id, code, response, core);
        }
        if self.legs.get(&leg_id).is_some_and(|leg| leg.hang_up.is_some()) {
            self.send_cancel(now, leg_id);
        }
    }

    fn handle_early(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
        core: &CoreFields,
    ) {
        self.note_abilities(leg_id, response);
        let Some(client) = self.clients.get(&id) else { return };
        let (request, hop, sequence) = (client.request.clone(), client.hop.clone(), client.request.sequence);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let (offered, cancelling) = (!leg.local_sdp.is_empty(), leg.hang_up.is_some());
        let Phase::Calling(calling) = &mut leg.phase else { return };
        let description = sdp_of(response);
        let Some(tag) = core.to.tag() else {
            // An old peer: no dialog, but it rings.
            if offered && description.is_some() {
                calling.early_answer.clone_from(&description);
            }
            return self.tell_progress(leg_id, code, description.filter(|_| offered), 0);
        };
        let known = calling.forks.iter().position(|fork| fork.dialog.id.remote_tag == tag);
        if known.is_none() && calling.forks.len() >= limits::SIP_FORKS_MAX {
            return;
        }
        let number = known.unwrap_or_else(|| {
            calling.forks.push(Fork::new(id, Dialog::from_response(response, core, &request, hop)));
            calling.forks.len() - 1
        });
        let fork = &mut calling.forks[number];
        let dialog = fork.dialog.id.clone();
        let rseq = response.lists(&Name::Require, "100rel").then(|| number_of(response.header(&Name::RSeq)?)).flatten();
        if rseq.is_some_and(|rseq| !fork.takes(rseq)) {
            return;
        }
        if known.is_some() {
            fork.dialog.refresh_target(response);
        }
        let mut held = false;
        match (&description, rseq) {
            (Some(_), _) if fork.agreed => {}
            (Some(answer), rseq) if offered => {
                fork.answer = Some(answer.clone());
                fork.agreed = rseq.is_some();
                calling.early_answer = Some(answer.clone());
            }
            // An offer, and the PRACK must answer it. Unreliably it is but a foretaste of that in the 2xx.
            (Some(offer), Some(rseq)) if !cancelling => {
                fork.held = Some((rseq, offer.clone()));
                held = true;
            }
            _ => {}
        }
        self.dialogs.insert(dialog.clone(), leg_id);
        if let Some(rseq) = rseq.filter(|_| !held) {
            self.send_prack(now, leg_id, &dialog, rseq, sequence, None);
        }
        self.tell_progress(leg_id, code, description.clone().filter(|_| offered), u32::try_from(number).unwrap_or(0));
        if let Some(offer) = description.filter(|_| held) {
            self.emit(SipEvent::ReinviteOffered { leg: leg_id, offer });
        }
    }

    fn tell_progress(&mut self, leg_id: LegId, code: u16, answer: Option<Vec<u8>>, dialog: u32) {
        let hanging_up = self.legs.get(&leg_id).is_none_or(|leg| leg.hang_up.is_some());
        if !hanging_up && !self.is_backlogged() {
            self.emit(SipEvent::Progress { leg: leg_id, code, answer, dialog });
        }
    }

    fn send_prack(
        &mut self,
        now: Tick,
        leg_id: LegId,
        dialog: &DialogId,
        rseq: u32,
        sequence: u32,
        answer: Option<&[u8]>,
    ) {
        let headers = vec![("RAck", format!("{rseq} {sequence} INVITE"))];
        let body = answer.map(|answer| (sdp::CONTENT_TYPE, answer));
        let outgoing = Outgoing { method: Method::Prack, headers, body, purpose: Purpose::Prack };
        // Without room for it the peer says it again, and gives up at last.
        let _full = self.send_in_dialog(now, leg_id, Some(dialog), outgoing).is_err();
    }

    /// Our answer to an offer in a reliable provisional response. `false` = there is none.
    pub(super) fn answer_early_offer(&mut self, now: Tick, leg_id: LegId, answer: &[u8]) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        let Phase::Calling(calling) = &mut leg.phase else { return false };
        let Some(fork) = calling.forks.iter_mut().find(|fork| fork.held.is_some()) else { return false };
        let Some(sequence) = self.clients.get(&fork.invite).map(|c| c.request.sequence) else { return false };
        let Some((rseq, offer)) = fork.held.take() else { return false };
        (fork.agreed, fork.answer) = (true, Some(offer));
        let dialog = fork.dialog.id.clone();
        leg.describe(answer);
        self.send_prack(now, leg_id, &dialog, rseq, sequence, Some(answer));
        true
    }

    /// 2xx to our INVITE: the first one makes the call, repeats get their ACK again, other dialogs are ended (§13.2.2.4).
    pub(super) fn handle_2xx(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        response: &Message,
        core: &CoreFields,
    ) {
        let tag = core.to.tag().unwrap_or_default();
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Purpose::Invite { acknowledged, early, .. } = &mut client.purpose else { return };
        if let Some((_, ack)) = acknowledged.iter().find(|(known, _)| known == tag) {
            let ack = ack.clone();
            self.counters.retransmissions += 1;
            return self.transmit(ack);
        }
        if acknowledged.len() >= limits::SIP_FORKS_MAX {
            return;
        }
        let lost = early.iter().position(|dialog| dialog.id.remote_tag == tag).map(|at| early.swap_remove(at));
        let (sequence, peer) = (client.request.sequence, client.hop.clone());
        let request = client.request.clone();
        let wanted = self.legs.get_mut(&leg_id).filter(|leg| leg.calls_by(id));
        let Some(leg) = wanted else {
            if self.legs.get(&leg_id).is_some_and(|leg| leg.held.as_ref().is_some_and(|held| held.is_of(id)))
                && self.legs[&leg_id].dialog.as_ref().is_some_and(|dialog| dialog.id.remote_tag == tag)
            {
                return; // our answer to its offer is on its way from the call side
            }
            // A second dialog (fork), a hop that was left, or the call was given up: nobody wants this one.
            let mut dialog = lost.unwrap_or_else(|| Dialog::from_response(response, core, &request, peer));
            dialog.confirm(response);
            let ack = self.write_ack(&dialog, sequence, None);
            self.remember_ack(id, tag, ack.clone());
            self.transmit(ack);
            let bye = dialog.next_request(Method::Bye);
            let hop = self.next_hop(&dialog);
            return self.send_bye_request(now, bye, hop, None, &Reason::default());
        };
        let offered = !leg.local_sdp.is_empty();
        self.place_won(now, leg_id, id);
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        let early = calling.early_answer.take();
        let known = calling.forks.iter().position(|fork| fork.dialog.id.remote_tag == tag);
        let mut fork = match known {
            Some(at) => calling.forks.remove(at),
            None => Fork::new(id, Dialog::from_response(response, core, &request, peer)),
        };
        fork.dialog.confirm(response);
        let dialog = fork.dialog;
        let description = sdp_of(response);
        self.keep_other_forks(now, leg_id, &dialog.id);
        self.note_abilities(leg_id, response);
        self.dialogs.insert(dialog.id.clone(), leg_id);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        leg.phase = Phase::Established;
        leg.confirmed = true;
        leg.deadline = None;
        leg.dialog = Some(dialog.clone());
        leg.session.agree_by_response(now, response);
        let hang_up = leg.hang_up.take();
        if let (None, false, false, Some(offer)) = (&hang_up, offered, fork.agreed, &description) {
            leg.held = Some(HeldAck::new(now, id, sequence, offer.clone()));
            self.emit(SipEvent::ReinviteOffered { leg: leg_id, offer: offer.clone() });
            return self.rearm(TimerId::Leg(leg_id));
        }
        // What was agreed on reliably stays; the 2xx need not say it again (§13.2.1).
        let settled = fork.answer.filter(|_| fork.agreed);
        let answer = settled.or(description.filter(|_| offered)).or(early.filter(|_| offered));
        let ack = self.write_ack(&dialog, sequence, None);
        self.remember_ack(id, tag, ack.clone());
        self.transmit(ack);
        match (hang_up, answer) {
            (Some(hang_up), _) if hang_up.unanswered => {
                self.send_bye_apart(now, leg_id, &Reason::default());
                self.end_leg(now, leg_id, refused(leg_id, 408, "Request Timeout"));
            }
            (Some(hang_up), _) => self.send_bye(now, leg_id, hang_up.reason),
            (None, Some(answer)) => {
                if let Some(leg) = self.legs.get_mut(&leg_id) {
                    leg.remote_sdp.clone_from(&answer);
                }
                self.emit(SipEvent::Accepted { leg: leg_id, answer });
                self.advance_renewal(now, leg_id);
            }
            (None, None) => {
                self.send_bye_apart(now, leg_id, &Reason::text("2xx without session description"));
                self.end_leg(now, leg_id, refused(leg_id, 488, "The peer answered without a session description"));
            }
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// One of the early dialogs has become the call. The others may still answer, so their dialogs stay with the INVITE.
    fn keep_other_forks(&mut self, now: Tick, leg_id: LegId, kept: &DialogId) {
        self.forget_early_renewal(now, leg_id, Some(kept));
        let asked = self.legs.get_mut(&leg_id).and_then(|leg| leg.asked.take_if(|asked| asked.dialog != *kept));
        if let Some(asked) = asked {
            self.respond(now, asked.transaction, 487, "", &[]);
        }
        self.leave_forks(leg_id, None, true);
    }

    /// The leg has no early dialogs any more, or none by this INVITE. `stay`: they stay with their INVITE, should they answer
    /// it.
    pub(super) fn leave_forks(&mut self, leg_id: LegId, of: Option<TransactionId>, stay: bool) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        for fork in calling.forks.extract_if(.., |fork| of.is_none_or(|id| fork.invite == id)) {
            self.dialogs.remove(&fork.dialog.id);
            let purpose = self.clients.get_mut(&fork.invite).filter(|_| stay).map(|client| &mut client.purpose);
            if let Some(Purpose::Invite { early, .. }) = purpose {
                early.push(fork.dialog);
            }
        }
    }

    /// A final response other than 2xx to our INVITE.
    pub(super) fn handle_refusal(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
    ) {
        if code == 422 && self.retry_with_interval(now, id, leg_id, response) {
            return;
        }
        if self.follow_redirect(now, id, leg_id, code, response) {
            return;
        }
        let Some(leg) = self.legs.get(&leg_id) else { return };
        let event = match &leg.hang_up {
            Some(HangUp { unanswered: false, reason }) => {
                let Reason { text, cause } = reason.clone();
                SipEvent::Ended { leg: leg_id, by: EndedBy::Local, reason: text, cause }
            }
            Some(_) => refused(leg_id, 408, "Request Timeout"),
            None => {
                let phrase = match &response.start {
                    StartLine::Status { reason, .. } => to_text(reason),
                    StartLine::Request { .. } => String::new(),
                };
                let Reason { text, cause } = Reason::of(response);
                let (reason, retry_after) = (text.unwrap_or(phrase), retry_after(response));
                SipEvent::Refused { leg: leg_id, code, reason, retry_after, cause }
            }
        };
        if let Some(event) = self.place_refused(now, leg_id, id, event) {
            self.end_leg(now, leg_id, event);
        }
    }
}

pub(super) fn refused(leg: LegId, code: u16, reason: &str) -> SipEvent {
    SipEvent::Refused { leg, code, reason: reason.to_owned(), retry_after: None, cause: None }
}

/// Retry-After in seconds: `18000 (comment);duration=3600`.
pub(super) fn retry_after(response: &Message) -> Option<u32> {
    let digits: Vec<u8> = response.header(&Name::RetryAfter)?.iter().copied().take_while(u8::is_ascii_digit).collect();
    number_of(&digits)
}

/// The description in a response, if it has one that we can read.
pub(super) fn sdp_of(response: &Message) -> Option<Vec<u8>> {
    session_description(response).ok().flatten()
}

fn number_of(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}
