//! Dialogs (RFC 3261 §12). Purpose: who we talk to, by which route, and in which order requests count. Pure data with
//! rules; the agent moves the messages. Invariant: URIs and header values are kept as the peer wrote them, and only so
//! written again.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{Address, CoreFields, MAGIC_COOKIE, Malformed, Message, Method, Name, Scheme, Uri, Writer};

/// Call-ID and both tags, seen from us.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// Our tag.
    pub local_tag: Vec<u8>,
    /// The peer's tag; empty for RFC 2543 peers.
    pub remote_tag: Vec<u8>,
}

/// One dialog, either side.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Identity.
    pub id: DialogId,
    /// Our From value, tag included.
    local: Vec<u8>,
    /// Our To value, tag included.
    remote: Vec<u8>,
    /// Route values, first hop first.
    route_set: Vec<Vec<u8>>,
    /// The peer's Contact URI.
    remote_target: Vec<u8>,
    /// CSeq number of our last request.
    local_sequence: u32,
    /// CSeq number of the peer's last request.
    remote_sequence: Option<u32>,
    /// Where the peer's messages really come from, on streams with the connection.
    peer: Hop,
    /// Whose credentials answer the peer's challenges.
    account: Option<Arc<str>>,
}

/// Everything of a request that comes from the dialog; the transaction adds Via.
#[derive(Clone, Debug)]
pub struct DialogRequest {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Vec<u8>,
    /// Route values.
    pub routes: Vec<Vec<u8>>,
    /// From value.
    pub from: Vec<u8>,
    /// To value.
    pub to: Vec<u8>,
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// CSeq number.
    pub sequence: u32,
    /// Max-Forwards: how many hops it may take.
    pub hops: u8,
    /// Whose credentials answer a challenge; `None` = nobody's.
    pub account: Option<Arc<str>>,
}

/// Max-Forwards of a request that begins here (RFC 3261 §8.1.1.6).
pub const HOPS: u8 = 70;

impl Dialog {
    /// The dialog that an INVITE from outside opens (RFC 3261 §12.1.1).
    ///
    /// # Errors
    /// 400 without exactly one usable Contact. A client of RFC 2543 may leave it out: it is reached where From says (RFC 4475
    /// §3.4.1).
    pub fn from_invite(request: &Message, core: &CoreFields, local_tag: Vec<u8>, peer: Hop) -> Result<Self, Malformed> {
        let bad = |what| Malformed { status: 400, what };
        if request.list(&Name::Contact).len() > 1 {
            return Err(bad("More than one Contact"));
        }
        let remote_target = match contact(request)? {
            Some(uri) if Uri::parse(&uri)?.scheme == Scheme::Other => return Err(bad("Contact is no SIP URI")),
            Some(uri) => uri,
            None if !core.via.branch().starts_with(MAGIC_COOKIE) && Uri::parse(&core.from.uri).is_ok() => {
                core.from.uri.clone()
            }
            None => return Err(bad("No Contact")),
        };
        let mut local = request.header(&Name::To).unwrap_or_default().to_vec();
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(&local_tag);
        let remote_tag = core.from.tag().unwrap_or_default().to_vec();
        Ok(Self {
            id: DialogId { call_id: core.call_id.clone(), local_tag, remote_tag },
            local,
            remote: request.header(&Name::From).unwrap_or_default().to_vec(),
            route_set: request.list(&Name::RecordRoute).into_iter().map(<[u8]>::to_vec).collect(),
            remote_target,
            local_sequence: 0,
            remote_sequence: Some(core.cseq.number),
            peer,
            account: None,
        })
    }

    /// The dialog that a 2xx to our INVITE opens (RFC 3261 §12.1.2). A 2xx without Contact keeps the URI that we called:
    /// the call works more often than not, and hanging up needs it.
    #[must_use]
    pub fn from_response(response: &Message, core: &CoreFields, invite: &DialogRequest, peer: Hop) -> Self {
        let mut route_set: Vec<_> = response.list(&Name::RecordRoute).into_iter().map(<[u8]>::to_vec).collect();
        route_set.reverse();
        Self {
            id: DialogId {
                call_id: core.call_id.clone(),
                local_tag: core.from.tag().unwrap_or_default().to_vec(),
                remote_tag: core.to.tag().unwrap_or_default().to_vec(),
            },
            local: response.header(&Name::From).unwrap_or_default().to_vec(),
            remote: response.header(&Name::To).unwrap_or_default().to_vec(),
            route_set,
            remote_target: contact(response).ok().flatten().unwrap_or_else(|| invite.uri.clone()),
            local_sequence: core.cseq.number,
            remote_sequence: None,
            peer,
            account: invite.account.clone(),
        }
    }

    /// Takes the peer's next request into account; `false` = older than one that we had: answer 500 (§12.2.2).
    pub fn accept_sequence(&mut self, number: u32) -> bool {
        if self.remote_sequence.is_some_and(|last| number < last) {
            return false;
        }
        self.remote_sequence = Some(number);
        true
    }

    /// Target refresh by a re-INVITE, an UPDATE or the 2xx to ours (§12.2); an unusable Contact changes nothing.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Ok(Some(target)) = contact(message) {
            self.remote_target = target;
        }
    }

    /// The 2xx to our INVITE makes an early dialog a confirmed one, with the route set of the 2xx (§13.2.2.4).
    pub fn confirm(&mut self, response: &Message) {
        self.route_set = response.list(&Name::RecordRoute).into_iter().map(<[u8]>::to_vec).collect();
        self.route_set.reverse();
        self.refresh_target(response);
    }

    /// The peer's Contact URI, as written.
    #[must_use]
    pub fn remote_target(&self) -> &[u8] {
        &self.remote_target
    }

    /// Our own URI in this dialog (From of our requests), as written; empty when it cannot be read.
    #[must_use]
    pub fn local_uri(&self) -> Vec<u8> {
        Address::parse(&self.local).map(|address| address.uri).unwrap_or_default()
    }

    /// Our next request in the dialog.
    pub fn next_request(&mut self, method: Method) -> DialogRequest {
        let sequence = self.advance();
        self.request(method, sequence)
    }

    /// The CSeq number of our next request, which is thereby used.
    pub const fn advance(&mut self) -> u32 {
        // At the end of the number space wrapping is the least harm: the dialog has seen 2³¹ requests.
        self.local_sequence = (self.local_sequence + 1) & 0x7fff_ffff;
        self.local_sequence
    }

    /// Whose credentials answer challenges to our requests in the dialog.
    #[must_use]
    pub const fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    /// Whose credentials answer challenges to our requests in the dialog from now on.
    pub fn set_account(&mut self, account: Option<Arc<str>>) {
        self.account = account;
    }

    /// The ACK for a 2xx to our INVITE with this CSeq number (§13.2.2.4).
    #[must_use]
    pub fn acknowledge(&self, sequence: u32) -> DialogRequest {
        self.request(Method::Ack, sequence)
    }

    /// Request-URI and Route by §12.2.1.1: a strict router first in the route set gets its own URI as Request-URI.
    fn request(&self, method: Method, sequence: u32) -> DialogRequest {
        let (uri, routes) = match self.first_route() {
            Some(first) if !first.has_param("lr") => {
                let mut routes: Vec<_> = self.route_set[1..].to_vec();
                routes.push([b"<", self.remote_target.as_slice(), b">"].concat());
                (first.without_headers().to_vec(), routes)
            }
            _ => (self.remote_target.clone(), self.route_set.clone()),
        };
        DialogRequest {
            method,
            uri,
            routes,
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.id.call_id.clone(),
            sequence,
            hops: HOPS,
            account: self.account.clone(),
        }
    }

    fn first_route(&self) -> Option<Uri> {
        let first = self.route_set.first()?;
        Uri::parse(&Address::parse(first).ok()?.uri).ok()
    }

    /// Where our requests go: the first route or the remote target when it is an address literal that `usable` allows,
    /// else where the peer's messages come from (NAT, host names: nothing is looked up on a stranger's word). With a peer
    /// on a stream its connection is used while it stands (RFC 5923), whatever port it would listen on.
    pub fn next_hop(&self, usable: impl Fn(SocketAddr) -> bool) -> Hop {
        let uri = if self.route_set.is_empty() { Uri::parse(&self.remote_target).ok() } else { self.first_route() };
        let Some(uri) = uri else { return self.peer.clone() };
        let Some(address) = uri.socket_address().filter(|a| usable(*a)) else { return self.peer.clone() };
        let is_peer = address.ip().to_canonical() == self.peer.address.ip().to_canonical();
        let transport = uri.transport();
        if is_peer && self.peer.transport.is_reliable() && transport.is_none_or(|t| t == self.peer.transport) {
            // Once the flow is gone, a peer that called us is reached where it listens, not where it called from.
            let port =
                if transport.is_some() || uri.port.is_some() { address.port() } else { self.peer.address.port() };
            return Hop { address: SocketAddr::new(address.ip(), port), ..self.peer.clone() };
        }
        let transport = transport.unwrap_or(Transport::Udp);
        let host = match transport {
            Transport::Tls if is_peer => self.peer.host.clone().or_else(|| Some(uri.host.as_str().into())),
            Transport::Tls => Some(uri.host.as_str().into()),
            Transport::Udp | Transport::Tcp => None,
        };
        Hop { transport, address, flow: None, host }
    }

    /// Where the peer's messages come from.
    #[must_use]
    pub const fn peer(&self) -> &Hop {
        &self.peer
    }

    /// The peer of a stream dialog has said something by another connection, which is the one to use from now on.
    pub fn move_to(&mut self, hop: &Hop) {
        if self.peer.transport == hop.transport && self.peer.address.ip() == hop.address.ip() && hop.flow.is_some() {
            self.peer.flow = hop.flow;
        }
    }
}

impl DialogRequest {
    /// Starts writing the request; the caller adds its own headers and the body.
    #[must_use]
    pub fn write(&self, via: &[u8]) -> Writer {
        let mut writer = Writer::request(&self.method, &self.uri);
        writer.header("Via", via).header("Max-Forwards", self.hops.to_string());
        for route in &self.routes {
            writer.header("Route", route);
        }
        writer.header("From", &self.from).header("To", &self.to).header("Call-ID", &self.call_id);
        let mut sequence = format!("{} ", self.sequence).into_bytes();
        sequence.extend_from_slice(self.method.as_bytes());
        writer.header("CSeq", sequence);
        writer
    }
}

/// The one Contact URI of a message.
fn contact(message: &Message) -> Result<Option<Vec<u8>>, Malformed> {
    let contacts = message.list(&Name::Contact);
    let Some(first) = contacts.first() else { return Ok(None) };
    let uri = Address::parse(first)?.uri;
    Uri::parse(&uri)?;
    Ok(Some(uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse_datagram;

    fn dialog(record_routes: &str, contact: &str) -> Dialog {
        let raw = format!(
            "INVITE sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n{record_routes}From: Jos\u{e9} <sip:a@h>;tag=ft\r\n\
             To: sip:bob@10.0.0.2\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\nContact: {contact}\r\n\r\n"
        );
        let message = parse_datagram(raw.as_bytes()).unwrap();
        let core = CoreFields::of(&message).unwrap();
        Dialog::from_invite(&message, &core, b"lt".to_vec(), Hop::udp("10.0.0.1:5060".parse().unwrap())).unwrap()
    }

    #[test]
    fn without_route_set_straight_to_contact_escapes_untouched() {
        let mut d = dialog("", "\"x\" <sip:*72%23@10.0.0.7:5090;transport=udp>");
        let bye = d.next_request(Method::Bye);
        assert_eq!(bye.uri, b"sip:*72%23@10.0.0.7:5090;transport=udp");
        assert!(bye.routes.is_empty());
        assert_eq!((bye.sequence, bye.from.as_slice()), (1, &b"sip:bob@10.0.0.2;tag=lt"[..]));
        assert_eq!(d.next_hop(|_| true).address.to_string(), "10.0.0.7:5090");
        assert_eq!(
            d.next_hop(|_| false).address.to_string(),
            "10.0.0.1:5060",
            "a target that may not be used: the peer itself"
        );
        assert_eq!(dialog("", "<sip:x@pbx.example>").next_hop(|_| true).address.to_string(), "10.0.0.1:5060");
    }

    #[test]
    fn loose_route_keeps_the_target_as_request_uri() {
        let mut d = dialog("Record-Route: <sip:10.0.0.8:5070;lr>, <sip:p2.example;lr>\r\n", "<sip:a@10.9.9.9>");
        let bye = d.next_request(Method::Bye);
        assert_eq!(bye.uri, b"sip:a@10.9.9.9");
        assert_eq!(bye.routes, [b"<sip:10.0.0.8:5070;lr>".to_vec(), b"<sip:p2.example;lr>".to_vec()]);
        assert_eq!(d.next_hop(|_| true).address.to_string(), "10.0.0.8:5070");
    }

    #[test]
    fn strict_route_swaps() {
        let mut d =
            dialog("Record-Route: <sip:10.0.0.8?h=1>\r\nRecord-Route: <sip:p2.example;lr>\r\n", "<sip:a@10.9.9.9>");
        let bye = d.next_request(Method::Bye);
        assert_eq!(bye.uri, b"sip:10.0.0.8");
        assert_eq!(bye.routes, [b"<sip:p2.example;lr>".to_vec(), b"<sip:a@10.9.9.9>".to_vec()]);
        assert_eq!(d.next_hop(|_| true).address.to_string(), "10.0.0.8:5060");
    }

    #[test]
    fn callers_route_set_is_reversed() {
        let raw = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n\
                   From: <sip:a@h>;tag=a\r\nTo: <sip:b@h>;tag=b\r\nCall-ID: c\r\nCSeq: 3 INVITE\r\n\r\n";
        let message = parse_datagram(raw.as_bytes()).unwrap();
        let core = CoreFields::of(&message).unwrap();
        let invite = DialogRequest {
            method: Method::Invite,
            uri: b"sip:b@h".to_vec(),
            routes: vec![],
            from: vec![],
            to: vec![],
            call_id: vec![],
            sequence: 3,
            hops: HOPS,
            account: None,
        };
        let mut d = Dialog::from_response(&message, &core, &invite, Hop::udp("10.0.0.1:5060".parse().unwrap()));
        let ack = d.acknowledge(3);
        assert_eq!(ack.routes, [b"<sip:p2;lr>".to_vec(), b"<sip:p1;lr>".to_vec()]);
        assert_eq!((ack.uri.as_slice(), ack.sequence), (&b"sip:b@h"[..], 3));
        assert_eq!(d.next_request(Method::Bye).sequence, 4);
        assert_eq!((d.id.local_tag.as_slice(), d.id.remote_tag.as_slice()), (&b"a"[..], &b"b"[..]));
    }

    #[test]
    fn sequence_numbers_only_rise() {
        let mut d = dialog("", "<sip:a@10.9.9.9>");
        assert!(!d.accept_sequence(6) && d.accept_sequence(7) && d.accept_sequence(20) && !d.accept_sequence(19));
    }
}
