//! A peer that does not take the call says where it is taken (300–302, RFC 3261 §8.1.3.4). Purpose: the INVITE goes there, where
//! the owner allows it. Invariants: at most [`limits::SIP_REDIRECTS_MAX`](crate::limits::SIP_REDIRECTS_MAX) times a call, no
//! target twice; only to where the peer itself is (its own domain, or an address of the trunk), so that nobody has us call
//! strangers at our cost; never from TLS to less. Deliberately absent: looking names up, 305 and 380.

use super::leg::{Leg, Phase, TransactionId};
use super::table::ClientTransaction;
use super::{Agent, LegId};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{Address, Message, Method, Name, Scheme, Uri, to_text};
use crate::time::Tick;

impl Agent {
    /// Calls where a refusal of the INVITE says; `false` = that is not followed: it is a refusal.
    pub(super) fn follow_redirect(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
    ) -> bool {
        if !(300..=302).contains(&code) {
            return false;
        }
        let Some(Leg { phase: Phase::Calling(calling), hang_up: None, .. }) = self.legs.get(&leg_id) else {
            return false;
        };
        if calling.redirects == 0 || calling.transaction != id {
            return false;
        }
        let (refused, tried) = (calling.transaction, calling.targets.clone());
        let Some(client) = self.clients.get(&refused) else { return false };
        let targets = targets(response);
        let found = targets.into_iter().filter(|uri| *uri.raw != *client.request.uri && !tried.contains(&uri.raw));
        let Some((uri, hop)) =
            found.filter_map(|uri| Some((self.redirect_hop(client, &uri)?, uri))).next().map(|(h, u)| (u, h))
        else {
            return false;
        };
        let (purpose, account, before) =
            (client.purpose.clone(), client.request.account.clone(), client.request.uri.clone());
        let (via, key) = self.new_via(&hop, Method::Invite);
        let contact = self.contact_for(account.as_ref(), &hop);
        let Some(client) = self.clients.get(&refused) else { return false };
        let target = uri.without_headers();
        let headers = [("Contact", to_text(&contact))];
        let Some((request, bytes)) = client.again(&via, Some(target), &[Name::Contact], &headers) else { return false };
        let machine = client.machine.again(now, &hop);
        let again = ClientTransaction::new(machine, key, request, via, bytes, hop.clone(), purpose);
        let next = self.add_client(ClientTransaction { contact: Some(contact.clone()), ..again });
        self.leave_forks(leg_id, Some(refused), false);
        self.leg_goes_on(leg_id, refused, next, &hop, Some(contact));
        if let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) {
            calling.redirects -= 1;
            calling.targets.push(before);
            calling.early_answer = None;
        }
        self.rearm(super::table::TimerId::Leg(leg_id));
        true
    }

    /// Where a target is; `None` = not where the peer is.
    fn redirect_hop(&self, client: &ClientTransaction, uri: &Uri) -> Option<Hop> {
        let own = Uri::parse(&client.request.uri).ok()?;
        let transport =
            uri.transport().unwrap_or(if uri.port.is_some() { Transport::Udp } else { client.hop.transport });
        let is_secure = client.hop.transport == Transport::Tls;
        if is_secure && transport != Transport::Tls {
            return None;
        }
        if uri.host.eq_ignore_ascii_case(&own.host) && uri.port == own.port {
            return (transport == client.hop.transport).then(|| client.hop.clone());
        }
        let address = uri.socket_address()?;
        let (ip, peer) = (address.ip().to_canonical(), client.hop.address.ip().to_canonical());
        let is_trunks = client.request.account.as_ref().is_some_and(|trunk| self.is_of_trunk(trunk, ip));
        let host = client.hop.host.clone().filter(|_| transport == Transport::Tls);
        (ip == peer || is_trunks).then_some(Hop { transport, address, flow: None, host })
    }
}

/// The targets that a response names, the preferred one first.
fn targets(response: &Message) -> Vec<Uri> {
    let read = |value: &[u8]| {
        let address = Address::parse(value).ok()?;
        let q: f32 = address.param("q").and_then(|q| std::str::from_utf8(q).ok()?.parse().ok()).unwrap_or(1.0);
        let uri = Uri::parse(&address.uri).ok().filter(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips))?;
        Some((uri, q))
    };
    let mut found: Vec<(Uri, f32)> = response.list(&Name::Contact).into_iter().filter_map(read).collect();
    found.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    found.into_iter().map(|(uri, _)| uri).collect()
}
