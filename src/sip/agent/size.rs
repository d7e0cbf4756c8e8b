//! Requests within a dialog that are too large for a datagram (RFC 3261 §18.1.1). Purpose: one that would be cut in pieces goes
//! by TCP to where it would have gone, and as the datagram that it would have been where nobody takes it there. Invariants: a
//! request keeps its number in the agent, so that whoever waits for it notices nothing; who has refused a stream once is not
//! asked again in that call; what is sent large all the same is counted. Deliberately absent: calls that are placed, which
//! have hops to go on to (`failover`), and responses, which go where their request came from (§18.2.2).

use super::failover::replaced;
use super::leg::TransactionId;
use super::table::{ClientTransaction, Purpose};
use super::{Agent, LegId, Transmit};
use crate::limits;
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::Method;
use crate::time::Tick;

/// What an answer to a challenge adds to a request, octets.
const AUTHORIZATION: usize = 300;

impl Purpose {
    /// The leg in whose dialog the request is, if it is in one.
    const fn within(&self) -> Option<LegId> {
        match self {
            Self::Reinvite { leg, .. }
            | Self::Update(leg)
            | Self::Refer(leg)
            | Self::Notify(leg)
            | Self::Info(leg)
            | Self::Options(leg) => Some(*leg),
            Self::Bye(leg) => *leg,
            Self::Invite { .. } | Self::Prack | Self::Cancel | Self::Request(_) => None,
        }
    }
}

impl Agent {
    fn is_too_large(&self, hop: &Hop, octets: usize) -> bool {
        hop.transport == Transport::Udp && self.config.large_by_tcp && octets > limits::SIP_UDP_REQUEST_MAX
    }

    /// The same request by TCP, where it is too large for a datagram and nobody has said that TCP is not there.
    pub(super) fn fitted(&mut self, now: Tick, leg: LegId, client: ClientTransaction) -> ClientTransaction {
        let authorized = client.request.account.as_ref().map_or(0, |_| AUTHORIZATION);
        if !self.is_too_large(&client.hop, client.bytes.len() + authorized) {
            return client;
        }
        if self.legs.get(&leg).and_then(|leg| leg.stream) == Some(false) {
            self.counters.large_datagrams += 1;
            return client;
        }
        let hop = Hop { transport: Transport::Tcp, ..client.hop.clone() };
        let (via, key) = self.new_via(&hop, client.request.method.clone());
        let bytes = replaced(&client.bytes, b"Via", &client.via, &via);
        let machine = client.machine.again(now, &hop);
        let by_tcp = ClientTransaction::new(machine, key, client.request, via, bytes, hop, client.purpose);
        by_tcp.or_as_datagram(now, client.hop)
    }

    /// Nobody takes the request by TCP: it goes as a datagram, under the same number. `false` = it was none of those.
    pub(super) fn back_to_datagram(&mut self, now: Tick, id: TransactionId) -> bool {
        let Some(client) = self.clients.get_mut(&id).filter(|client| client.machine.is_unheard()) else { return false };
        let Some(hop) = client.datagram.take() else { return false };
        let method = client.request.method.clone();
        let (via, key) = self.new_via(&hop, method);
        let Some(old) = self.forget_client(id) else { return false };
        if let Some(leg) = old.purpose.within().and_then(|leg| self.legs.get_mut(&leg)) {
            leg.stream = Some(false);
        }
        let bytes = replaced(&old.bytes, b"Via", &old.via, &via);
        let machine = old.machine.again(now, &hop);
        let next = ClientTransaction::new(machine, key, old.request, via, bytes, hop, old.purpose);
        self.counters.large_datagrams += 1;
        self.insert_client(id, ClientTransaction { answered: old.answered, ..next });
        true
    }

    /// An answer has come by TCP: there is somebody.
    pub(super) fn note_stream(&mut self, id: TransactionId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.datagram.take().is_some()
            && let Some(leg) = client.purpose.within().and_then(|leg| self.legs.get_mut(&leg))
        {
            leg.stream = Some(true);
        }
    }

    /// An ACK has no answer that could be missed: it goes by TCP only where that is known to be there.
    pub(super) fn fitted_ack(&mut self, leg: LegId, ack: Transmit) -> Transmit {
        if !self.is_too_large(&ack.hop, ack.bytes.len()) {
            return ack;
        }
        if self.legs.get(&leg).and_then(|leg| leg.stream) != Some(true) {
            self.counters.large_datagrams += 1;
            return ack;
        }
        let hop = Hop { transport: Transport::Tcp, ..ack.hop };
        let (via, _) = self.new_via(&hop, Method::Ack);
        let bytes = match via_of(&ack.bytes) {
            Some(old) => replaced(&ack.bytes, b"Via", old, &via),
            None => ack.bytes,
        };
        Transmit { hop, bytes }
    }
}

/// The Via value of a request of ours, which has one.
fn via_of(request: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\r\nVia: ";
    let from = request.windows(NAME.len()).position(|w| w == NAME)? + NAME.len();
    let length = request[from..].windows(2).position(|w| w == b"\r\n")?;
    Some(&request[from..from + length])
}
