//! Calls that we place, and the requests that we send in any call (RFC 3261 §13.2, §15.1, §9.1). Purpose: every response
//! to an INVITE ends in an ACK, every dialog that nobody wants in a BYE.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::failover::{Failure, Placement};
use super::fork::refused;
use super::leg::{Calling, HangUp, Leg, Phase, TransactionId};
use super::reason::Reason;
use super::refer::TheirRefer;
use super::response::{ALLOW, SUPPORTED};
use super::table::{ClientMachine, ClientTransaction, Purpose, TimerId};
use super::{Agent, AgentError, EndedBy, LegId, SipEvent, Transmit, is_loopback_or_private};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogRequest, HOPS};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{Address, CoreFields, Message, Method, Name, Uri};
use crate::sip::sdp;
use crate::sip::transaction::{ClientKey, GIVE_UP, InviteClient, NonInviteClient};
use crate::time::Tick;

impl Agent {
    /// Calls `target` (`sip:user@host[:port]`) by sending the INVITE to `destination` over UDP; `from` is a URI or
    /// `"Name" <URI>`. The short form of [`Agent::place`].
    ///
    /// # Errors
    /// As [`Agent::place`].
    pub fn invite(
        &mut self,
        now: Tick,
        target: &str,
        destination: SocketAddr,
        from: &str,
        sdp: &[u8],
    ) -> Result<LegId, AgentError> {
        self.place(now, &Placement::new(target, Hop::udp(destination), from, sdp.to_vec()))
    }

    /// Places a call. The INVITE goes to the first of its hops; to the next, when one says nothing for
    /// [`limits::SIP_FAILOVER_AFTER`], cannot be reached or answers 503 before it has said anything else (RFC 3263 §4.3).
    ///
    /// # Errors
    /// [`AgentError::BadTarget`] also without any hop, [`AgentError::NoCapacity`].
    pub fn place(&mut self, now: Tick, placement: &Placement) -> Result<LegId, AgentError> {
        let uri = Uri::parse(placement.target.as_bytes()).map_err(|_| AgentError::BadTarget)?;
        let from = Address::parse(placement.from.as_bytes()).map_err(|_| AgentError::BadTarget)?;
        let mut alternatives: VecDeque<Hop> = placement.hops.iter().take(limits::SIP_HOPS_MAX).cloned().collect();
        let hop = alternatives.pop_front().ok_or(AgentError::BadTarget)?;
        // A datagram that must be cut in pieces is lost with any of them (§18.1.1); who has no TCP says so at once.
        let hop = if hop.transport == Transport::Udp && self.config.large_by_tcp && placement.is_large() {
            let by_tcp = Hop { transport: Transport::Tcp, ..hop.clone() };
            alternatives.push_front(hop);
            by_tcp
        } else {
            hop
        };
        let sdp = placement.sdp.as_slice();
        Uri::parse(&from.uri).map_err(|_| AgentError::BadTarget)?;
        if from.display.iter().any(|b| *b < b' ') {
            return Err(AgentError::BadTarget);
        }
        if self.legs.len() >= self.config.legs_max || !self.has_transaction_room() {
            return Err(AgentError::NoCapacity);
        }
        let mut from_value = from.name_addr();
        from_value.extend_from_slice(b";tag=");
        from_value.extend_from_slice(&self.token());
        let request = DialogRequest {
            method: Method::Invite,
            uri: uri.without_headers().to_vec(),
            routes: self.service_route(placement.account.as_ref()),
            from: from_value,
            to: [b"<", uri.without_headers(), b">"].concat(),
            call_id: self.token(),
            sequence: 1,
            hops: placement.max_forwards,
            account: placement.account.clone(),
        };
        self.trust(placement.account.as_ref(), placement.hops.iter().map(|h| h.address.ip()));
        let contact = self.contact_for(placement.account.as_ref(), &hop);
        let (via, key) = self.new_via(&hop, Method::Invite);
        let mut writer = request.write(&via);
        writer.header("Contact", &contact).header("Allow", ALLOW).header("Accept", sdp::CONTENT_TYPE);
        writer.header("Supported", SUPPORTED);
        for (name, value) in super::timer::invite_headers(&self.config, 0) {
            writer.header(name, value);
        }
        writer.header("User-Agent", &self.config.user_agent);
        for (name, value) in &placement.headers {
            writer.header(name, value);
        }
        let bytes = writer.finish((!sdp.is_empty()).then_some((sdp::CONTENT_TYPE, sdp)));
        let leg_id = LegId(self.new_id());
        let machine = ClientMachine::Invite(InviteClient::new(now, hop.transport.is_reliable()));
        let purpose = Purpose::Invite { leg: leg_id, acknowledged: Vec::new(), early: Vec::new() };
        let client = ClientTransaction::new(machine, key, request, via, bytes, hop.clone(), purpose);
        let transaction =
            self.add_client(ClientTransaction { contact: Some(contact.clone()), ..client.or_by(now, alternatives) });
        let redirects = placement.redirects.min(limits::SIP_REDIRECTS_MAX);
        let mut leg = Leg::new(Phase::Calling(Calling { redirects, ..Calling::new(transaction) }), contact);
        leg.local_sdp = sdp.to_vec();
        leg.deadline = Some(now + limits::SIP_RINGING_MAX);
        self.add_peer(hop.address.ip());
        leg.placed_to = Some(hop);
        self.legs.insert(leg_id, leg);
        self.counters.calls_out += 1;
        if !placement.others.is_empty() {
            self.branch_out(now, leg_id, &placement.others);
        }
        self.rearm(TimerId::Leg(leg_id));
        Ok(leg_id)
    }

    pub(super) fn handle_response(&mut self, now: Tick, hop: &Hop, code: u16, response: &Message, core: &CoreFields) {
        // A response with more than our Via went astray (§8.1.3.3).
        let id = self.client_keys.get(&ClientKey::of(core)).copied();
        let Some(id) = id.filter(|_| response.list(&Name::Via).len() == 1) else {
            self.counters.strays += 1;
            return;
        };
        let Some(client) = self.clients.get_mut(&id) else { return };
        let same_end = hop.is_same_end(&client.hop);
        // Whatever belongs to this request goes by the connection that the answer came by.
        if hop.flow.is_some() && same_end {
            client.hop.flow = hop.flow;
        }
        let receipt = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.handle_response(now, code),
            ClientMachine::NonInvite(machine) => machine.handle_response(now, code),
        };
        let acknowledge = receipt.acknowledge.then(|| {
            // The ACK to a refusal is part of the transaction: same branch, To with the peer's tag (§17.1.1.3).
            let to = response.header(&Name::To).unwrap_or_default().to_vec();
            let ack = DialogRequest { method: Method::Ack, to, hops: HOPS, ..client.request.clone() };
            Transmit { hop: client.hop.clone(), bytes: ack.write(&client.via).finish(None) }
        });
        if let Some(ack) = acknowledge {
            self.transmit(ack);
        }
        if same_end {
            self.learn_place(hop, &core.via);
            self.lines_seen(now, id, hop, &core.via);
            self.note_stream(id);
        }
        self.rearm(TimerId::Client(id));
        if !receipt.deliver || self.is_left_behind(now, id, code) || (code == 503 && self.fail_over(now, id)) {
            return self.forget_finished(id);
        }
        if self.answer_challenge(now, id, code, response) {
            return;
        }
        if code >= 200 {
            self.note_next_nonce(id, response);
        }
        self.handle_answer(now, id, code, response, core);
        self.forget_finished(id);
    }

    /// A response that its transaction lets through.
    fn handle_answer(&mut self, now: Tick, id: TransactionId, code: u16, response: &Message, core: &CoreFields) {
        let Some(client) = self.clients.get(&id) else { return };
        match client.purpose {
            Purpose::Invite { leg, .. } => match code {
                100..200 => self.handle_progress(now, id, leg, code, response, core),
                200..300 => self.handle_2xx(now, id, leg, response, core),
                _ => self.handle_refusal(now, id, leg, code, response),
            },
            Purpose::Reinvite { leg, .. } => self.handle_reinvite_response(now, id, leg, code, response),
            Purpose::Update(leg) => self.handle_update_response(now, id, leg, code, response),
            Purpose::Refer(leg) => self.handle_refer_response(now, id, leg, code, response),
            Purpose::Notify(leg) => self.notified(now, leg, code),
            Purpose::Info(leg) => self.digit_done(now, leg, code),
            Purpose::Options(leg) if code == 481 => {
                self.dialog_gone(now, leg, EndedBy::Remote, "the peer does not know the call any more (481)");
            }
            Purpose::Bye(Some(leg)) if code >= 200 => self.handle_bye_done(now, leg),
            Purpose::Request(request) if code >= 200 => self.request_done(now, request, code, Some(response)),
            Purpose::Request(_) | Purpose::Options(_) | Purpose::Prack | Purpose::Bye(_) | Purpose::Cancel => {}
        }
    }

    /// On streams a final answer ends the transaction at once: nothing is repeated there.
    fn forget_finished(&mut self, id: u64) {
        if self.clients.get(&id).is_some_and(|client| client.machine.is_over()) {
            self.forget_client(id);
        }
    }

    fn handle_bye_done(&mut self, now: Tick, leg_id: LegId) {
        let reason =
            self.legs.get_mut(&leg_id).and_then(|leg| leg.hang_up.take()).map(|h| h.reason).unwrap_or_default();
        let Reason { text, cause } = reason;
        self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by: EndedBy::Local, reason: text, cause });
    }

    /// What an INVITE of the leg without any answer means.
    pub(super) fn invite_failed(&mut self, leg: LegId, failure: Failure) -> SipEvent {
        // One that was left in favour of another (a greater interval, credentials) does not matter any more.
        match self.legs.get_mut(&leg).and_then(|l| l.hang_up.take()) {
            Some(HangUp { unanswered: false, reason: Reason { text, cause } }) => {
                SipEvent::Ended { leg, by: EndedBy::Local, reason: text, cause }
            }
            _ if failure == Failure::Unreachable => refused(leg, 503, "The next hop cannot be reached"),
            _ => refused(leg, 408, "Request Timeout"),
        }
    }

    /// A request of ours got no answer at all, and has nowhere else to go.
    pub(super) fn request_failed(&mut self, now: Tick, purpose: Purpose, failure: Failure) {
        let unreachable = failure == Failure::Unreachable;
        match purpose {
            Purpose::Invite { leg, .. } => {
                let event = self.invite_failed(leg, failure);
                self.end_leg(now, leg, event);
            }
            Purpose::Reinvite { leg, .. } | Purpose::Update(leg) => self.renewal_failed(now, leg, unreachable),
            Purpose::Refer(leg) => self.refer_failed(leg, if unreachable { 503 } else { 408 }),
            Purpose::Notify(leg) => self.notified(now, leg, 408),
            Purpose::Info(leg) => self.digit_done(now, leg, 408),
            Purpose::Options(leg) if unreachable => {
                self.dialog_gone(now, leg, EndedBy::TransportError, "the peer cannot be reached any more");
            }
            Purpose::Options(leg) => self.dialog_gone(now, leg, EndedBy::Timeout, "the peer does not answer any more"),
            Purpose::Bye(Some(leg)) => self.handle_bye_done(now, leg),
            Purpose::Request(request) => self.request_done(now, request, if unreachable { 503 } else { 408 }, None),
            Purpose::Prack | Purpose::Bye(None) | Purpose::Cancel => {}
        }
    }

    /// Gives a call up that has no final response yet.
    pub(super) fn cancel_call(&mut self, now: Tick, leg_id: LegId, wish: HangUp) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if leg.hang_up.is_some() {
            return;
        }
        let reason = wish.reason.clone();
        leg.hang_up = Some(wish);
        self.leave_places(now, leg_id, None, &reason);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        // Without any response CANCEL must wait (§9.1); the transaction's timer B ends that.
        if matches!(&leg.phase, Phase::Calling(calling) if calling.heard) {
            self.send_cancel(now, leg_id);
        }
    }

    pub(super) fn send_cancel(&mut self, now: Tick, leg_id: LegId) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Phase::Calling(calling) = &mut leg.phase else { return };
        if calling.cancelled {
            return;
        }
        calling.cancelled = true;
        leg.deadline = Some(now + GIVE_UP);
        let (transaction, reason) = (calling.transaction, leg.hang_up.as_ref().map(|h| h.reason.clone()));
        self.send_cancel_of(now, transaction, reason.as_ref());
        self.rearm(TimerId::Leg(leg_id));
    }

    /// The ringing limit, or 64·T1 after CANCEL without a final response (§9.1).
    pub(super) fn calling_timeout(&mut self, now: Tick, leg_id: LegId) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get(&leg_id) else { return };
        if !calling.cancelled {
            return self.cancel_call(now, leg_id, HangUp { reason: Reason::default(), unanswered: true });
        }
        if let Some(client) = self.forget_client(calling.transaction) {
            self.request_failed(now, client.purpose, Failure::Silence);
        }
    }

    /// Sends BYE; the leg ends when it is answered.
    pub(super) fn send_bye(&mut self, now: Tick, leg_id: LegId, reason: Reason) {
        self.abandon_renewal(now, leg_id);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(dialog) = &mut leg.dialog else { return };
        leg.phase = Phase::Ending;
        let request = dialog.next_request(Method::Bye);
        let dialog = dialog.clone();
        let undecided = leg.referred.as_ref().and_then(TheirRefer::undecided);
        let waiting = leg.asked.take().map(|asked| asked.transaction).into_iter().chain(undecided);
        leg.settle();
        leg.hang_up = Some(HangUp { reason: reason.clone(), unanswered: false });
        for transaction in waiting {
            self.respond(now, transaction, 487, "", &[]);
        }
        let hop = self.next_hop(&dialog);
        self.send_bye_request(now, request, hop, Some(leg_id), &reason);
        self.rearm(TimerId::Leg(leg_id));
    }

    /// Sends BYE for a leg that ends now; nobody waits for the answer.
    pub(super) fn send_bye_apart(&mut self, now: Tick, leg_id: LegId, reason: &Reason) {
        let Some(dialog) = self.legs.get_mut(&leg_id).and_then(|leg| leg.dialog.as_mut()) else { return };
        let request = dialog.next_request(Method::Bye);
        let dialog = dialog.clone();
        let hop = self.next_hop(&dialog);
        self.send_bye_request(now, request, hop, None, reason);
    }

    pub(super) fn send_bye_request(
        &mut self,
        now: Tick,
        request: DialogRequest,
        hop: Hop,
        leg: Option<LegId>,
        reason: &Reason,
    ) {
        let (via, key) = self.new_via(&hop, Method::Bye);
        let mut writer = request.write(&via);
        if let Some(reason) = reason.value() {
            writer.header("Reason", reason);
        }
        writer.header("User-Agent", &self.config.user_agent);
        let bytes = writer.finish(None);
        let machine = ClientMachine::NonInvite(NonInviteClient::new(now, hop.transport.is_reliable()));
        self.add_client(ClientTransaction::new(machine, key, request, via, bytes, hop, Purpose::Bye(leg)));
    }

    pub(super) fn new_via(&mut self, hop: &Hop, method: Method) -> (Vec<u8>, ClientKey) {
        let mut branch = crate::sip::message::MAGIC_COOKIE.to_vec();
        branch.extend_from_slice(&self.token());
        let mut via =
            format!("SIP/2.0/{} {};rport;branch=", hop.transport.name(), self.address_towards(hop)).into_bytes();
        via.extend_from_slice(&branch);
        (via, ClientKey { branch, method })
    }

    /// Where requests of a dialog go. A peer may send us elsewhere only within the source policy, and not from outside
    /// into the private network or to ourselves.
    pub(super) fn next_hop(&self, dialog: &Dialog) -> Hop {
        let peer = dialog.peer().address;
        dialog.next_hop(|target| {
            let ip = target.ip();
            let inward = is_loopback_or_private(ip) && !is_loopback_or_private(peer.ip());
            let to_loopback = ip.is_loopback() && !peer.ip().is_loopback();
            let allowed = ip == peer.ip() || self.is_known(ip);
            allowed && !inward && !to_loopback && !ip.is_unspecified() && target.port() != 0
        })
    }
}
