//! The next hop, when one is dead or busy (RFC 3263 §4.3, RFC 3261 §8.1.3.1). Purpose: a request that has alternatives goes
//! on to the next as soon as its hop fails, says 503, or says nothing for a while; without any it fails at once where the
//! transport knows better than a timer. Invariants: what has said more than 100 is never left; a hop that was left and
//! speaks up late is cancelled, or acknowledged and hung up, so that nobody's phone rings for nothing. Deliberately absent:
//! finding the hops, and remembering which were dead (both are the transport's).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::branch::Branch;
use super::leg::{Leg, Phase, TransactionId};
use super::reason::Reason;
use super::table::{ClientMachine, ClientTransaction, Purpose, TimerId};
use super::{Agent, LegId, Transmit};
use crate::limits;
use crate::sip::dialog::{DialogRequest, HOPS};
use crate::sip::hop::Hop;
use crate::sip::message::Method;
use crate::sip::transaction::{ClientKey, InviteClient, NonInviteClient, State};
use crate::time::Tick;

/// A call to place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// `sip:user@host[:port]`: the Request-URI.
    pub target: String,
    /// Where the INVITE goes, in order of preference; at least one, at most [`limits::SIP_HOPS_MAX`] count.
    pub hops: Vec<Hop>,
    /// A URI or `"Name" <URI>`.
    pub from: String,
    /// Our offer.
    pub sdp: Vec<u8>,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// Further header fields, name and value.
    pub headers: Vec<(String, String)>,
    /// Whose credentials answer a challenge of the peer; `None` = nobody's: a challenge is a refusal.
    pub account: Option<Arc<str>>,
    /// How often a peer may say that the call is taken elsewhere (300–302); at most
    /// [`limits::SIP_REDIRECTS_MAX`] count, 0 = such an answer is a refusal.
    pub redirects: u8,
    /// Where else the call rings.
    pub others: Vec<Branch>,
}

/// Why a client transaction failed without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// Nothing came (408).
    Silence,
    /// The hop could not be reached (503).
    Unreachable,
}

impl Placement {
    /// A call to one hop that begins here.
    #[must_use]
    pub fn new(target: &str, hop: Hop, from: &str, sdp: Vec<u8>) -> Self {
        Self {
            target: target.to_owned(),
            hops: vec![hop],
            from: from.to_owned(),
            sdp,
            max_forwards: HOPS,
            headers: Vec::new(),
            account: None,
            redirects: 0,
            others: Vec::new(),
        }
    }
}

impl Placement {
    /// Whether the INVITE will be larger than what UDP should carry; what the agent adds is about 600 octets.
    pub(super) fn is_large(&self) -> bool {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        600 + 2 * self.target.len() + self.from.len() + headers + self.sdp.len() > limits::SIP_UDP_REQUEST_MAX
    }
}

impl ClientTransaction {
    /// A request to one hop. `via` is its Via value as it stands in `bytes`.
    pub(super) const fn new(
        machine: ClientMachine,
        key: ClientKey,
        request: DialogRequest,
        via: Vec<u8>,
        bytes: Vec<u8>,
        hop: Hop,
        purpose: Purpose,
    ) -> Self {
        let alternatives = VecDeque::new();
        let (give_way, contact) = (None, None);
        let (heard, left, cancelled, sent_anew) = (false, false, false, false);
        let answered = Vec::new();
        Self {
            machine,
            key,
            request,
            via,
            bytes,
            hop,
            purpose,
            alternatives,
            give_way,
            contact,
            heard,
            left,
            cancelled,
            datagram: None,
            sent_anew,
            answered,
        }
    }

    /// With further hops, should the first be dead or busy.
    pub(super) fn or_by(self, now: Tick, alternatives: VecDeque<Hop>) -> Self {
        Self { alternatives, give_way: Some(now + limits::SIP_FAILOVER_AFTER), ..self }
    }

    /// As a datagram to this hop, should nobody take it here.
    pub(super) fn or_as_datagram(self, now: Tick, hop: Hop) -> Self {
        Self { datagram: Some(hop), give_way: Some(now + limits::SIP_FAILOVER_AFTER), ..self }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        [self.machine.poll_timeout(), self.patience()].into_iter().flatten().min()
    }

    /// When to try the next hop, if there is one and this has not said anything.
    pub(super) fn patience(&self) -> Option<Tick> {
        let is_another = !self.alternatives.is_empty() || self.datagram.is_some();
        self.give_way.filter(|_| is_another && self.machine.is_unheard())
    }
}

impl ClientMachine {
    /// A machine for a request that is being sent now.
    pub(super) fn again(&self, now: Tick, hop: &Hop) -> Self {
        let reliable = hop.transport.is_reliable();
        match self {
            Self::Invite(_) => Self::Invite(InviteClient::new(now, reliable)),
            Self::NonInvite(_) => Self::NonInvite(NonInviteClient::new(now, reliable)),
        }
    }

    /// Whether nothing at all has been heard.
    pub(super) fn is_unheard(&self) -> bool {
        matches!(self.state(), State::Calling | State::Trying)
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.state() == State::Terminated
    }

    const fn state(&self) -> State {
        match self {
            Self::Invite(machine) => machine.state(),
            Self::NonInvite(machine) => machine.state(),
        }
    }

    pub(super) const fn stop_repeating(&mut self) {
        match self {
            Self::Invite(machine) => machine.stop_repeating(),
            Self::NonInvite(machine) => machine.stop_repeating(),
        }
    }
}

impl Agent {
    /// The connection that the hop names is gone, or nothing can be sent to the hop when it names none. Requests to it that
    /// have not been answered at all are sent once more by a new connection, then go on to their next hop, or fail as if
    /// refused with 503 (§8.1.3.1); what has been answered provisionally waits for the rest, which may come by another
    /// connection.
    pub fn handle_transport_failed(&mut self, now: Tick, hop: &Hop) {
        let concerned = |client: &ClientTransaction| {
            let same = match (client.hop.flow, hop.flow) {
                (Some(ours), Some(gone)) => ours == gone,
                (None, _) | (_, None) => client.hop.is_same_end(hop),
            };
            same && client.machine.is_unheard()
        };
        let mut failed: Vec<_> = self.clients.iter().filter(|(_, c)| concerned(c)).map(|(id, _)| *id).collect();
        failed.sort_unstable();
        for id in failed {
            if hop.flow.is_none() || !self.send_anew(id) {
                self.client_failed(now, id, Failure::Unreachable);
            }
        }
        self.lines_lost(now, hop);
    }

    /// Sends a request once more, by a new connection: the old one may have been closed before the peer read it. `false` =
    /// that has been done.
    fn send_anew(&mut self, id: TransactionId) -> bool {
        let Some(client) = self.clients.get_mut(&id).filter(|client| !client.sent_anew) else { return false };
        client.sent_anew = true;
        client.hop.flow = None;
        let transmit = Transmit { hop: client.hop.clone(), bytes: client.bytes.clone() };
        self.counters.retransmissions += 1;
        self.transmit(transmit);
        true
    }

    /// A hop that turned out dead since the last time, if any.
    pub fn poll_dead_hop(&mut self) -> Option<Hop> {
        self.dead_hops.pop_front()
    }

    fn found_dead(&mut self, hop: Hop) {
        if self.dead_hops.len() < limits::SIP_HOPS_MAX * 8 {
            self.dead_hops.push_back(hop);
        }
    }

    /// Whether a source at this address may be heard; while we are registered anywhere, all may: calls for our lines are known
    /// by what they say.
    #[must_use]
    pub fn hears(&self, address: IpAddr) -> bool {
        self.is_known(address) || self.is_peer(address) || !self.lines.is_empty()
    }

    /// A request got no answer at all.
    pub(super) fn client_failed(&mut self, now: Tick, id: TransactionId, failure: Failure) {
        if self.back_to_datagram(now, id) {
            return;
        }
        let went_on = self.fail_over(now, id);
        let Some(client) = self.forget_client(id) else { return };
        if !client.left {
            self.found_dead(client.hop.clone());
        }
        if went_on || client.left {
            return;
        }
        if let Purpose::Invite { leg, .. } = client.purpose {
            let failed = self.invite_failed(leg, failure);
            if let Some(event) = self.place_refused(now, leg, id, failed) {
                self.end_leg(now, leg, event);
            }
        } else {
            self.request_failed(now, client.purpose, failure);
        }
    }

    /// The hop has been silent for long enough. What was sent may still be answered, so its transaction stays.
    pub(super) fn lose_patience(&mut self, now: Tick, id: TransactionId) {
        if !self.back_to_datagram(now, id)
            && !self.fail_over(now, id)
            && let Some(client) = self.clients.get_mut(&id)
        {
            client.give_way = None; // the call was given up meanwhile: nobody else is to be asked
        }
    }

    /// Sends the request to its next hop, identical but for the branch and what names the transport; `false` = there is
    /// none, or the answer of this hop counts.
    pub(super) fn fail_over(&mut self, now: Tick, id: TransactionId) -> bool {
        let Some(client) = self.clients.get(&id) else { return false };
        if client.left || client.heard || client.alternatives.is_empty() {
            return false;
        }
        if let Purpose::Invite { leg, .. } = &client.purpose
            && !self.legs.get(leg).is_some_and(|leg| leg.calls_by(id) && leg.hang_up.is_none())
        {
            return false;
        }
        let method = client.request.method.clone();
        let mut alternatives = client.alternatives.clone();
        let Some(hop) = alternatives.pop_front() else { return false };
        let (via, key) = self.new_via(&hop, method);
        let Some(client) = self.clients.get_mut(&id) else { return false };
        client.left = true;
        let left = client.hop.clone();
        client.alternatives = VecDeque::new();
        client.machine.stop_repeating();
        let (purpose, request, machine) =
            (client.purpose.clone(), client.request.clone(), client.machine.again(now, &hop));
        let (old_via, old_contact, old_bytes) = (client.via.clone(), client.contact.clone(), client.bytes.clone());
        let contact = old_contact.as_ref().map(|_| self.contact_for(request.account.as_ref(), &hop));
        let mut bytes = replaced(&old_bytes, b"Via", &old_via, &via);
        if let (Some(old), Some(new)) = (&old_contact, &contact) {
            bytes = replaced(&bytes, b"Contact", old, new);
        }
        self.rearm(TimerId::Client(id));
        self.found_dead(left);
        self.counters.failovers += 1;
        let leg = match &purpose {
            Purpose::Invite { leg, .. } => Some(*leg),
            _ => None,
        };
        let next = ClientTransaction::new(machine, key, request, via, bytes, hop.clone(), purpose);
        let next = self.add_client(ClientTransaction { contact: contact.clone(), ..next.or_by(now, alternatives) });
        if let Some(leg) = leg {
            self.leg_goes_on(leg, id, next, &hop, contact);
        }
        true
    }

    /// What was the INVITE `before` is another from now on, and the call hangs on that, if it hung on this.
    pub(super) fn leg_goes_on(
        &mut self,
        leg_id: LegId,
        before: TransactionId,
        next: TransactionId,
        hop: &Hop,
        contact: Option<Vec<u8>>,
    ) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if let Phase::Calling(calling) = &mut leg.phase {
            if calling.transaction != before {
                if let Some(places) = &mut calling.places {
                    places.replace(before, next);
                }
                return;
            }
            (calling.transaction, calling.heard) = (next, false);
        }
        if let Some(contact) = contact {
            leg.contact = contact;
        }
        let before = leg.placed_to.replace(hop.clone());
        self.add_peer(hop.address.ip());
        if let Some(before) = before {
            self.drop_peer(before.address.ip());
        }
    }

    /// Whether a response comes from a hop that was left and needs no more attention: one that rings is cancelled.
    pub(super) fn is_left_behind(&mut self, now: Tick, id: TransactionId, code: u16) -> bool {
        let Some(client) = self.clients.get_mut(&id) else { return true };
        client.heard |= (101..200).contains(&code);
        if !client.left {
            return false;
        }
        let is_invite = matches!(client.machine, ClientMachine::Invite(_));
        // A late 2xx makes a dialog, which is acknowledged and ended as that of a fork.
        if is_invite && (200..300).contains(&code) {
            return false;
        }
        if is_invite && code < 200 && !client.cancelled {
            client.cancelled = true;
            if let ClientMachine::Invite(machine) = &mut client.machine {
                machine.abandon(now); // its final response need not come
            }
            self.rearm(TimerId::Client(id));
            self.send_cancel_of(now, id, None);
        }
        true
    }

    /// CANCEL for an INVITE of ours (§9.1).
    pub(super) fn send_cancel_of(&mut self, now: Tick, id: TransactionId, reason: Option<&Reason>) {
        let Some(invite) = self.clients.get(&id) else { return };
        let request = DialogRequest { method: Method::Cancel, hops: HOPS, ..invite.request.clone() };
        let (via, hop) = (invite.via.clone(), invite.hop.clone());
        let key = ClientKey { branch: invite.key.branch.clone(), method: Method::Cancel };
        let mut writer = request.write(&via);
        if let Some(reason) = reason.and_then(Reason::value) {
            writer.header("Reason", reason);
        }
        let bytes = writer.finish(None);
        let machine = ClientMachine::NonInvite(NonInviteClient::new(now, hop.transport.is_reliable()));
        self.add_client(ClientTransaction::new(machine, key, request, via, bytes, hop, Purpose::Cancel));
    }
}

impl Leg {
    /// Whether this transaction is the one that the call hangs on.
    pub(super) const fn hangs_on(&self, id: TransactionId) -> bool {
        matches!(&self.phase, Phase::Calling(calling) if calling.transaction == id)
    }

    /// Whether the call may be taken by who answers this transaction.
    pub(super) fn calls_by(&self, id: TransactionId) -> bool {
        let Phase::Calling(calling) = &self.phase else { return false };
        calling.transaction == id || calling.places.as_ref().is_some_and(|places| places.rings(id))
    }
}

/// The message with one value of a header field put in place of another; ours is written `Name: value` on a line.
pub(super) fn replaced(message: &[u8], name: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let line = [b"\r\n", name, b": ", old, b"\r\n"].concat();
    let Some(at) = message.windows(line.len()).position(|w| w == line) else { return message.to_vec() };
    [&message[..at], b"\r\n", name, b": ", new, &message[at + line.len() - 2..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_replaced_and_the_rest_is_left() {
        let message = b"INVITE sip:a@h SIP/2.0\r\nVia: old\r\nX: Via: old\r\n\r\nVia: old\r\n";
        let after = replaced(message, b"Via", b"old", b"newer");
        assert_eq!(after, b"INVITE sip:a@h SIP/2.0\r\nVia: newer\r\nX: Via: old\r\n\r\nVia: old\r\n");
        assert_eq!(replaced(message, b"Via", b"none", b"x"), message);
    }
}
