//! One call that rings at several places (RFC 3261 §16.6, §16.7, as a forking proxy does it): the telephones of an extension.
//! Purpose: an INVITE to each, all of one Call-ID, From tag and CSeq number, so that what they answer are forks of one leg.
//! Invariants: the first 2xx is the call, and every other INVITE is cancelled with `SIP;cause=200`, so that no telephone
//! counts a missed call; a place that refuses is out, the best refusal is told when all are (a 6xx at once); places of a
//! later turn join when those before have all refused, or after [`limits::SIP_TURN`]. Deliberately absent: finding the places.

use std::collections::VecDeque;

use super::leg::{Leg, Phase, TransactionId};
use super::reason::{Cause, Reason};
use super::request::written_again;
use super::table::{ClientMachine, ClientTransaction, Purpose, TimerId};
use super::{Agent, LegId, SipEvent};
use crate::limits;
use crate::sip::dialog::DialogRequest;
use crate::sip::hop::Hop;
use crate::sip::message::{Method, Name, Uri, to_text};
use crate::sip::transaction::InviteClient;
use crate::time::Tick;

/// One more place where a call may be taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Branch {
    /// Its Request-URI.
    pub target: String,
    /// Where the INVITE goes, in order of preference.
    pub hops: Vec<Hop>,
    /// Route values towards it, first hop first.
    pub routes: Vec<String>,
    /// When it rings: 0 = with the placement's own target, 1 = when all of those have refused or some time has passed, and so
    /// on.
    pub turn: u16,
}

/// What a call that rings at several places remembers.
#[derive(Debug)]
pub(super) struct Places {
    /// INVITEs that have no final answer, but for the one that the call hangs on.
    ringing: Vec<TransactionId>,
    /// Those that have not been called yet, by turns.
    later: VecDeque<Vec<Branch>>,
    /// When the next turn begins, whoever still rings.
    next: Option<Tick>,
    /// The best refusal so far.
    refused: Option<SipEvent>,
    /// The INVITE as the first place got it.
    template: Vec<u8>,
    request: DialogRequest,
}

impl Places {
    pub(super) const fn poll_timeout(&self) -> Option<Tick> {
        self.next
    }

    pub(super) fn rings(&self, id: TransactionId) -> bool {
        self.ringing.contains(&id)
    }

    /// The same request goes on as another transaction.
    pub(super) fn replace(&mut self, before: TransactionId, next: TransactionId) {
        self.ringing.iter_mut().filter(|id| **id == before).for_each(|id| *id = next);
    }
}

/// How much a refusal tells, the most first (§16.7 step 6): what a person did before what a machine said of itself.
const fn rank(code: u16) -> u8 {
    match code {
        600..=699 => 0,
        486 => 1,
        300..=399 => 2,
        401 | 407 | 415 | 420 | 484 | 488 => 3,
        408 | 480 | 481 | 482 | 487 | 500..=599 => 5,
        _ => 4,
    }
}

fn code_of(event: &SipEvent) -> u16 {
    if let SipEvent::Refused { code, .. } = event { *code } else { 0 }
}

impl Agent {
    /// The call that has just been placed rings at other places, too.
    pub(super) fn branch_out(&mut self, now: Tick, leg_id: LegId, others: &[Branch]) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get(&leg_id) else { return };
        let Some(first) = self.clients.get(&calling.transaction) else { return };
        let (template, request) = (first.bytes.clone(), first.request.clone());
        // Each is an early dialog, and those are bounded.
        let mut others: Vec<_> = others.iter().take(limits::SIP_FORKS_MAX - 1).cloned().collect();
        others.sort_by_key(|branch| branch.turn);
        let mut later: VecDeque<Vec<Branch>> = VecDeque::new();
        let mut at_once = Vec::new();
        for branch in others {
            match later.back_mut().filter(|turn| turn.first().is_some_and(|b| b.turn == branch.turn)) {
                _ if branch.turn == 0 => at_once.push(branch),
                Some(turn) => turn.push(branch),
                None => later.push_back(vec![branch]),
            }
        }
        later.push_front(at_once);
        let places = Places { ringing: Vec::new(), later, next: None, refused: None, template, request };
        if let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) {
            calling.places = Some(Box::new(places));
        }
        self.next_turn(now, leg_id);
    }

    /// Calls the places whose turn it is.
    fn next_turn(&mut self, now: Tick, leg_id: LegId) {
        let Some(places) = self.places(leg_id) else { return };
        let turn = places.later.pop_front().unwrap_or_default();
        places.next = (!places.later.is_empty()).then(|| now + limits::SIP_TURN);
        for branch in turn {
            let Some(id) = self.call_branch(now, leg_id, &branch) else { continue };
            if let Some(places) = self.places(leg_id) {
                places.ringing.push(id);
            }
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// `None`: it cannot be called.
    fn call_branch(&mut self, now: Tick, leg_id: LegId, branch: &Branch) -> Option<TransactionId> {
        if !self.has_transaction_room() {
            return None;
        }
        let target = Uri::parse(branch.target.as_bytes()).ok()?;
        let uri = target.without_headers().to_vec();
        let mut alternatives: VecDeque<Hop> = branch.hops.iter().take(limits::SIP_HOPS_MAX).cloned().collect();
        let hop = alternatives.pop_front()?;
        let places = self.places(leg_id)?;
        let routes = branch.routes.iter().map(|route| route.clone().into_bytes()).collect();
        let to = [b"<", uri.as_slice(), b">"].concat();
        let (template, request) =
            (places.template.clone(), DialogRequest { uri, routes, to, ..places.request.clone() });
        let contact = self.contact_for(request.account.as_ref(), &hop);
        let (via, key) = self.new_via(&hop, Method::Invite);
        let bytes = written_again(&template, &request, &via, &[Name::Contact], &[("Contact", to_text(&contact))])?;
        let machine = ClientMachine::Invite(InviteClient::new(now, hop.transport.is_reliable()));
        let purpose = Purpose::Invite { leg: leg_id, acknowledged: Vec::new(), early: Vec::new() };
        let client = ClientTransaction::new(machine, key, request, via, bytes, hop, purpose).or_by(now, alternatives);
        Some(self.add_client(ClientTransaction { contact: Some(contact), ..client }))
    }

    fn places(&mut self, leg_id: LegId) -> Option<&mut Places> {
        match &mut self.legs.get_mut(&leg_id)?.phase {
            Phase::Calling(calling) => calling.places.as_deref_mut(),
            _ => None,
        }
    }

    /// Those who were first have had their time. `false` = nothing was due.
    pub(super) fn turn_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let due = self.places(leg_id).is_some_and(|places| places.next.is_some_and(|at| at <= now));
        if due {
            self.next_turn(now, leg_id);
        }
        due
    }

    /// One place has refused the call with this event. Gives what the leg ends by, if nobody else can take it.
    pub(super) fn place_refused(
        &mut self,
        now: Tick,
        leg_id: LegId,
        id: TransactionId,
        event: SipEvent,
    ) -> Option<SipEvent> {
        let Some(places) = self.places(leg_id).filter(|_| matches!(event, SipEvent::Refused { .. })) else {
            return Some(event);
        };
        let decided = code_of(&event) >= 600;
        let best = match places.refused.take() {
            Some(before) if rank(code_of(&before)) <= rank(code_of(&event)) => before,
            _ => event,
        };
        places.ringing.retain(|ringing| *ringing != id);
        places.refused = Some(best.clone());
        if decided {
            if let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id)
                && let Some(places) = calling.places.as_mut().filter(|_| calling.transaction != id)
            {
                places.ringing.push(calling.transaction);
            }
            self.leave_places(now, leg_id, None, &Reason::default());
            return Some(best);
        }
        self.leave_forks(leg_id, Some(id), false);
        let hangs_on_it = self.legs.get(&leg_id).is_some_and(|leg| leg.hangs_on(id));
        if !hangs_on_it {
            return None;
        }
        while let Some(places) = self.places(leg_id) {
            if let Some(next) = places.ringing.first().copied() {
                self.hang_on(leg_id, next);
                return None;
            }
            if places.later.is_empty() {
                break;
            }
            self.next_turn(now, leg_id);
        }
        Some(best)
    }

    /// The call hangs on the INVITE to another place.
    fn hang_on(&mut self, leg_id: LegId, id: TransactionId) {
        let Some(client) = self.clients.get(&id) else { return };
        let (hop, contact, heard) = (client.hop.clone(), client.contact.clone(), !client.machine.is_unheard());
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        if let Some(places) = &mut calling.places {
            places.ringing.retain(|ringing| *ringing != id);
        }
        let before = calling.transaction;
        self.leg_goes_on(leg_id, before, id, &hop, contact);
        if let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) {
            calling.heard = heard;
        }
    }

    /// This place has taken the call: the others need not ring any more.
    pub(super) fn place_won(&mut self, now: Tick, leg_id: LegId, id: TransactionId) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        let Some(places) = &mut calling.places else { return };
        let before = calling.transaction;
        if before != id {
            places.ringing.push(before);
            self.hang_on(leg_id, id);
        }
        let elsewhere = Reason { cause: Some(Cause::sip(200)), text: Some("Call completed elsewhere".to_owned()) };
        self.leave_places(now, leg_id, Some(id), &elsewhere);
    }

    /// Cancels the INVITEs to all places but the one that the call hangs on; no other is called any more.
    pub(super) fn leave_places(&mut self, now: Tick, leg_id: LegId, but: Option<TransactionId>, reason: &Reason) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) else { return };
        let Some(places) = calling.places.take() else { return };
        for id in places.ringing.into_iter().filter(|id| Some(*id) != but) {
            self.leave_place(now, id, reason);
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// What still comes of it is cancelled, or acknowledged and hung up (`is_left_behind`).
    fn leave_place(&mut self, now: Tick, id: TransactionId, reason: &Reason) {
        let Some(client) = self.clients.get_mut(&id).filter(|client| !client.left) else { return };
        client.left = true;
        if client.machine.is_unheard() {
            client.machine.stop_repeating();
        } else if let ClientMachine::Invite(machine) = &mut client.machine
            && !std::mem::replace(&mut client.cancelled, true)
        {
            machine.abandon(now);
            self.send_cancel_of(now, id, Some(reason));
        }
        self.rearm(TimerId::Client(id));
    }
}
