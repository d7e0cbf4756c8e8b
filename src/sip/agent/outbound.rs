//! Calls that we place, and the requests that we send in any call (RFC 3261 §13.2, §15.1, §9.1). Purpose: every response
//! to an INVITE ends in an ACK, every dialog that nobody wants in a BYE.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::failover::{Failure, Placement};
use super::inbound::{reason_text, session_description};
use super::leg::{Calling, HangUp, Leg, Phase};
use super::response::ALLOW;
use super::table::{ClientMachine, ClientTransaction, Purpose, TimerId};
use super::verbs::reason_value;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent, Transmit, is_loopback_or_private};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogRequest, HOPS};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{Address, CoreFields, Message, Method, Name, StartLine, Uri, to_text};
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
            routes: Vec::new(),
            from: from_value,
            to: [b"<", uri.without_headers(), b">"].concat(),
            call_id: self.token(),
            sequence: 1,
            hops: placement.max_forwards,
        };
        let contact = self.contact_towards(&hop);
        let (via, key) = self.new_via(&hop, Method::Invite);
        let mut writer = request.write(&via);
        writer.header("Contact", &contact).header("Allow", ALLOW).header("Accept", sdp::CONTENT_TYPE);
        writer.header("User-Agent", &self.config.user_agent);
        for (name, value) in &placement.headers {
            writer.header(name, value);
        }
        let bytes = writer.finish(Some((sdp::CONTENT_TYPE, sdp)));
        let leg_id = LegId(self.new_id());
        let machine = ClientMachine::Invite(InviteClient::new(now, hop.transport.is_reliable()));
        let purpose = Purpose::Invite { leg: leg_id, acknowledged: Vec::new() };
        let client = ClientTransaction::new(machine, key, request, via, bytes, hop.clone(), purpose);
        let transaction =
            self.add_client(ClientTransaction { contact: Some(contact.clone()), ..client.or_by(now, alternatives) });
        let calling = Calling { transaction, heard: false, cancelled: false, early_answer: None };
        let mut leg = Leg::new(Phase::Calling(calling), contact);
        leg.local_sdp = sdp.to_vec();
        leg.deadline = Some(now + limits::SIP_RINGING_MAX);
        self.add_peer(hop.address.ip());
        leg.placed_to = Some(hop);
        self.legs.insert(leg_id, leg);
        self.counters.calls_out += 1;
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
        let leg = match client.purpose {
            Purpose::Invite { leg, .. } => Some((true, leg)),
            Purpose::Bye(leg) => leg.map(|leg| (false, leg)),
            Purpose::Cancel => None,
        };
        if let Some(ack) = acknowledge {
            self.transmit(ack);
        }
        if same_end {
            self.learn_address(hop, &core.via);
        }
        self.rearm(TimerId::Client(id));
        if !receipt.deliver || self.is_left_behind(now, id, code) || (code == 503 && self.fail_over(now, id)) {
            return self.forget_finished(id);
        }
        match leg {
            Some((true, leg)) => match code {
                100..200 => self.handle_progress(now, leg, code, response),
                200..300 => self.handle_2xx(now, id, leg, response, core),
                _ => self.handle_refusal(now, leg, code, response),
            },
            Some((false, leg)) if code >= 200 => self.handle_bye_done(now, leg),
            _ => {}
        }
        self.forget_finished(id);
    }

    /// On streams a final answer ends the transaction at once: nothing is repeated there.
    fn forget_finished(&mut self, id: u64) {
        if self.clients.get(&id).is_some_and(|client| client.machine.is_over()) {
            self.forget_client(id);
        }
    }

    fn handle_progress(&mut self, now: Tick, leg_id: LegId, code: u16, response: &Message) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Phase::Calling(calling) = &mut leg.phase else { return };
        calling.heard = true;
        let answer = session_description(response).ok().flatten();
        if answer.is_some() {
            calling.early_answer.clone_from(&answer);
        }
        if leg.hang_up.is_some() {
            self.send_cancel(now, leg_id);
        } else if code > 100 && !self.is_backlogged() {
            self.emit(SipEvent::Progress { leg: leg_id, code, answer });
        }
    }

    /// 2xx to our INVITE: the first one makes the call, repeats get their ACK again, other dialogs are ended (§13.2.2.4).
    fn handle_2xx(&mut self, now: Tick, id: u64, leg_id: LegId, response: &Message, core: &CoreFields) {
        let tag = core.to.tag().unwrap_or_default();
        let Some(client) = self.clients.get(&id) else { return };
        let Purpose::Invite { acknowledged, .. } = &client.purpose else { return };
        if let Some((_, ack)) = acknowledged.iter().find(|(known, _)| known == tag) {
            let ack = ack.clone();
            self.counters.retransmissions += 1;
            return self.transmit(ack);
        }
        if acknowledged.len() >= limits::SIP_FORKS_MAX {
            return;
        }
        let (sequence, peer) = (client.request.sequence, client.hop.clone());
        let mut dialog = Dialog::from_response(response, core, &client.request.uri, peer);
        let hop = self.next_hop(&dialog);
        let (via, _) = self.new_via(&hop, Method::Ack);
        let ack = Transmit { hop: hop.clone(), bytes: dialog.acknowledge(sequence).write(&via).finish(None) };
        if let Some(Purpose::Invite { acknowledged, .. }) = self.clients.get_mut(&id).map(|c| &mut c.purpose) {
            acknowledged.push((tag.to_vec(), ack.clone()));
        }
        self.transmit(ack);
        let wanted = self.legs.get_mut(&leg_id).filter(|leg| leg.calls_by(id));
        let Some(Leg { phase: Phase::Calling(calling), .. }) = wanted else {
            // A second dialog (fork), a hop that was left, or the call was given up: nobody wants this one.
            let bye = dialog.next_request(Method::Bye);
            return self.send_bye_request(now, bye, hop, None, None);
        };
        let early = calling.early_answer.take();
        let answer = session_description(response).ok().flatten().or(early);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        leg.phase = Phase::Established;
        leg.confirmed = true;
        leg.deadline = None;
        self.dialogs.insert(dialog.id.clone(), leg_id);
        leg.dialog = Some(dialog);
        let hang_up = leg.hang_up.take();
        match (hang_up, answer) {
            (Some(hang_up), _) if hang_up.unanswered => {
                self.send_bye_apart(now, leg_id, None);
                self.end_leg(now, leg_id, refused(leg_id, 408, "Request Timeout"));
            }
            (Some(hang_up), _) => self.send_bye(now, leg_id, hang_up.reason.as_deref()),
            (None, Some(answer)) => {
                leg.remote_sdp.clone_from(&answer);
                self.emit(SipEvent::Accepted { leg: leg_id, answer });
            }
            (None, None) => {
                self.send_bye_apart(now, leg_id, Some("2xx without session description"));
                self.end_leg(now, leg_id, refused(leg_id, 488, "The peer answered without a session description"));
            }
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    fn handle_refusal(&mut self, now: Tick, leg_id: LegId, code: u16, response: &Message) {
        let Some(leg) = self.legs.get(&leg_id) else { return };
        let event = match &leg.hang_up {
            Some(HangUp { unanswered: false, reason }) => {
                SipEvent::Ended { leg: leg_id, by: EndedBy::Local, reason: reason.clone() }
            }
            Some(_) => refused(leg_id, 408, "Request Timeout"),
            None => {
                let phrase = match &response.start {
                    StartLine::Status { reason, .. } => to_text(reason),
                    StartLine::Request { .. } => String::new(),
                };
                let reason = response.header(&Name::Reason).map_or(phrase, reason_text);
                // `Retry-After: 18000 (comment);duration=3600`
                let retry_after = response.header(&Name::RetryAfter).and_then(|value| {
                    let digits: Vec<u8> = value.iter().copied().take_while(u8::is_ascii_digit).collect();
                    std::str::from_utf8(&digits).ok()?.parse().ok()
                });
                SipEvent::Refused { leg: leg_id, code, reason, retry_after }
            }
        };
        self.end_leg(now, leg_id, event);
    }

    fn handle_bye_done(&mut self, now: Tick, leg_id: LegId) {
        let reason = self.legs.get_mut(&leg_id).and_then(|leg| leg.hang_up.take()).and_then(|h| h.reason);
        self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by: EndedBy::Local, reason });
    }

    /// A request of ours got no answer at all, and has nowhere else to go.
    pub(super) fn request_failed(&mut self, now: Tick, purpose: Purpose, failure: Failure) {
        match purpose {
            Purpose::Invite { leg, .. } => {
                let event = match self.legs.get_mut(&leg).and_then(|l| l.hang_up.take()) {
                    Some(HangUp { unanswered: false, reason }) => SipEvent::Ended { leg, by: EndedBy::Local, reason },
                    _ => match failure {
                        Failure::Silence => refused(leg, 408, "Request Timeout"),
                        Failure::Unreachable => refused(leg, 503, "The next hop cannot be reached"),
                    },
                };
                self.end_leg(now, leg, event);
            }
            Purpose::Bye(Some(leg)) => self.handle_bye_done(now, leg),
            Purpose::Bye(None) | Purpose::Cancel => {}
        }
    }

    /// Gives a call up that has no final response yet.
    pub(super) fn cancel_call(&mut self, now: Tick, leg_id: LegId, wish: HangUp) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if leg.hang_up.is_some() {
            return;
        }
        leg.hang_up = Some(wish);
        // Without any response CANCEL must wait (§9.1); the transaction's timer B ends that.
        if matches!(&leg.phase, Phase::Calling(calling) if calling.heard) {
            self.send_cancel(now, leg_id);
        }
    }

    fn send_cancel(&mut self, now: Tick, leg_id: LegId) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Phase::Calling(calling) = &mut leg.phase else { return };
        if calling.cancelled {
            return;
        }
        calling.cancelled = true;
        leg.deadline = Some(now + GIVE_UP);
        let (transaction, reason) = (calling.transaction, leg.hang_up.as_ref().and_then(|h| h.reason.clone()));
        self.send_cancel_of(now, transaction, reason);
        self.rearm(TimerId::Leg(leg_id));
    }

    /// The ringing limit, or 64·T1 after CANCEL without a final response (§9.1).
    pub(super) fn calling_timeout(&mut self, now: Tick, leg_id: LegId) {
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get(&leg_id) else { return };
        if !calling.cancelled {
            return self.cancel_call(now, leg_id, HangUp { reason: None, unanswered: true });
        }
        if let Some(client) = self.forget_client(calling.transaction) {
            self.request_failed(now, client.purpose, Failure::Silence);
        }
    }

    /// Sends BYE; the leg ends when it is answered.
    pub(super) fn send_bye(&mut self, now: Tick, leg_id: LegId, reason: Option<&str>) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(dialog) = &mut leg.dialog else { return };
        leg.phase = Phase::Ending;
        leg.deadline = None;
        leg.unacknowledged = None;
        leg.hang_up = Some(HangUp { reason: reason.map(str::to_owned), unanswered: false });
        let reinvite = leg.reinvite.take();
        let request = dialog.next_request(Method::Bye);
        let dialog = dialog.clone();
        if let Some(transaction) = reinvite {
            self.respond(now, transaction, 487, "", &[]);
        }
        let hop = self.next_hop(&dialog);
        self.send_bye_request(now, request, hop, Some(leg_id), reason);
        self.rearm(TimerId::Leg(leg_id));
    }

    /// Sends BYE for a leg that ends now; nobody waits for the answer.
    pub(super) fn send_bye_apart(&mut self, now: Tick, leg_id: LegId, reason: Option<&str>) {
        let Some(dialog) = self.legs.get_mut(&leg_id).and_then(|leg| leg.dialog.as_mut()) else { return };
        let request = dialog.next_request(Method::Bye);
        let dialog = dialog.clone();
        let hop = self.next_hop(&dialog);
        self.send_bye_request(now, request, hop, None, reason);
    }

    fn send_bye_request(
        &mut self,
        now: Tick,
        request: DialogRequest,
        hop: Hop,
        leg: Option<LegId>,
        reason: Option<&str>,
    ) {
        let (via, key) = self.new_via(&hop, Method::Bye);
        let mut writer = request.write(&via);
        if let Some(reason) = reason {
            writer.header("Reason", reason_value(reason));
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
            let allowed = ip == peer.ip() || (self.config.accept_from)(ip);
            allowed && !inward && !to_loopback && !ip.is_unspecified() && target.port() != 0
        })
    }
}

fn refused(leg: LegId, code: u16, reason: &str) -> SipEvent {
    SipEvent::Refused { leg, code, reason: reason.to_owned(), retry_after: None }
}
