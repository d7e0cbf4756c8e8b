//! Requests of ours outside of dialogs: REGISTER, OPTIONS, MESSAGE (RFC 3261 §8.1). Purpose: one verb that sends, tries the
//! next hop, answers challenges, and tells exactly one final answer. Invariant: every [`RequestId`] is followed by one
//! [`SipEvent::Response`], or by what a registered line makes of it. Deliberately absent: dialogs that a response might make.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::table::{ClientMachine, ClientTransaction, Purpose};
use super::{Agent, AgentError, SipEvent};
use crate::limits;
use crate::sip::dialog::{DialogRequest, HOPS};
use crate::sip::hop::Hop;
use crate::sip::message::{Address, Message, Method, StartLine, Uri, to_text};
use crate::sip::registration::seen_as;
use crate::sip::transaction::NonInviteClient;
use crate::time::Tick;

/// A request outside of dialogs, counted from 1, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RequestId(pub u64);

/// What to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfDialog {
    /// Any method but INVITE, ACK and CANCEL.
    pub method: Method,
    /// Request-URI.
    pub uri: String,
    /// Where it goes, in order of preference; at least one.
    pub hops: Vec<Hop>,
    /// A URI or `"Name" <URI>`.
    pub from: String,
    /// Likewise; empty: the Request-URI.
    pub to: String,
    /// Route values, first hop first.
    pub routes: Vec<String>,
    /// Further header fields, name and value.
    pub headers: Vec<(String, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
    /// Whose credentials answer a challenge.
    pub account: Option<Arc<str>>,
    /// Call-ID, From tag and CSeq number where requests belong together, as registrations do.
    pub series: Option<Series>,
}

/// What requests of one series share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// From tag.
    pub tag: Vec<u8>,
    /// CSeq number of this one.
    pub sequence: u32,
}

/// The final answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// 200–699; 408 = nobody answered, 503 = nobody could be reached (also when a peer says so itself).
    pub code: u16,
    /// Reason phrase.
    pub reason: String,
    /// Header fields in order, values as text; empty when nobody answered.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Our own address as the peer saw it (RFC 3581).
    pub seen_as: Option<SocketAddr>,
    /// Whether a peer has said it.
    pub from_peer: bool,
}

impl OutOfDialog {
    /// A bare request.
    #[must_use]
    pub fn new(method: Method, uri: &str, hops: Vec<Hop>, from: &str) -> Self {
        Self {
            method,
            uri: uri.to_owned(),
            hops,
            from: from.to_owned(),
            to: String::new(),
            routes: Vec::new(),
            headers: Vec::new(),
            body: None,
            account: None,
            series: None,
        }
    }
}

impl Response {
    fn of(code: u16, message: &Message) -> Self {
        let reason = match &message.start {
            StartLine::Status { reason, .. } => to_text(reason),
            StartLine::Request { .. } => String::new(),
        };
        let headers = message.headers.iter().map(|h| (to_text(h.name.as_bytes()), to_text(&h.value))).collect();
        let body = message.body.clone();
        Self { code, reason, headers, body, seen_as: seen_as(message), from_peer: true }
    }

    fn nobody(code: u16) -> Self {
        let reason = if code == 408 { "nobody answered" } else { "nobody could be reached" }.to_owned();
        Self { code, reason, headers: Vec::new(), body: Vec::new(), seen_as: None, from_peer: false }
    }
}

impl Agent {
    /// Sends a request outside of dialogs; [`SipEvent::Response`] brings the final answer.
    ///
    /// # Errors
    /// [`AgentError::BadTarget`] also without any hop or for a method that is no such request, [`AgentError::NoCapacity`].
    pub fn request(&mut self, now: Tick, request: &OutOfDialog) -> Result<RequestId, AgentError> {
        let bad = |_| AgentError::BadTarget;
        let uri = Uri::parse(request.uri.as_bytes()).map_err(bad)?;
        let from = Address::parse(request.from.as_bytes()).map_err(bad)?;
        let to = if request.to.is_empty() { format!("<{}>", request.uri) } else { request.to.clone() };
        let to = Address::parse(to.as_bytes()).map_err(bad)?;
        let mut alternatives: VecDeque<Hop> = request.hops.iter().take(limits::SIP_HOPS_MAX).cloned().collect();
        let hop = alternatives.pop_front().ok_or(AgentError::BadTarget)?;
        if matches!(request.method, Method::Invite | Method::Ack | Method::Cancel) {
            return Err(AgentError::BadTarget);
        }
        if !self.has_transaction_room() {
            return Err(AgentError::NoCapacity);
        }
        self.trust(request.account.as_ref(), request.hops.iter().map(|h| h.address.ip()));
        let (call_id, tag, sequence) = match &request.series {
            Some(series) => (series.call_id.clone(), series.tag.clone(), series.sequence),
            None => (self.token(), self.token(), 1),
        };
        let line = DialogRequest {
            method: request.method.clone(),
            uri: uri.without_headers().to_vec(),
            routes: request.routes.iter().map(|r| r.clone().into_bytes()).collect(),
            from: [&from.name_addr(), &b";tag="[..], &tag].concat(),
            to: to.name_addr(),
            call_id,
            sequence,
            hops: HOPS,
            account: request.account.clone(),
        };
        let (via, key) = self.new_via(&hop, request.method.clone());
        let mut writer = line.write(&via);
        for (name, value) in &request.headers {
            writer.header(name, value);
        }
        writer.header("User-Agent", &self.config.user_agent);
        let bytes = writer.finish(request.body.as_ref().map(|(kind, octets)| (kind.as_str(), octets.as_slice())));
        let id = RequestId(self.new_id());
        let machine = ClientMachine::NonInvite(NonInviteClient::new(now, hop.transport.is_reliable()));
        let client = ClientTransaction::new(machine, key, line, via, bytes, hop, Purpose::Request(id));
        self.add_client(client.or_by(now, alternatives));
        Ok(id)
    }

    /// A final answer to such a request, or `None` = there is none, and `code` says why.
    pub(super) fn request_done(&mut self, now: Tick, id: RequestId, code: u16, message: Option<&Message>) {
        if self.line_answered(now, id, code, message) {
            return;
        }
        let response = message.map_or_else(|| Response::nobody(code), |message| Response::of(code, message));
        self.emit(SipEvent::Response { request: id, response: Box::new(response) });
    }
}
