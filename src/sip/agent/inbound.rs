//! From a datagram to the leg or refusal it means (RFC 3261 §8.2, §12.2.2). Purpose: every request gets exactly one kind
//! of answer, in the order of checks below. Invariants: requests outside of dialogs other than INVITE leave no state; a
//! source that the policy does not know gets silence, unless it speaks within a call that we placed to it.

use std::net::{IpAddr, SocketAddr};

use super::doorman::Entry;
use super::leg::{Leg, Phase, TransactionId};
use super::reason::Reason;
use super::reliable::Provisional;
use super::response::{ALLOW, ResponseSeed, SUPPORTED};
use super::table::{ServerMachine, ServerTransaction, TimerId};
use super::timer::SessionWish;
use super::{Agent, EndedBy, LegId, SipEvent, Transmit};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogId, HOPS};
use crate::sip::hop::Hop;
use crate::sip::message::{
    Broken, CoreFields, Message, Method, Name, Scheme, StartLine, Uri, Writer, is_keep_alive, is_multipart,
    parse_datagram, session_part, to_text,
};
use crate::sip::peer::Peer;
use crate::sip::sdp;
use crate::sip::transaction::{AckMeaning, InviteServer, NonInviteServer, ServerKey, State};
use crate::time::Tick;

/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: &str = "5";

/// Events that a peer may notify us of.
const EVENTS: &str = "refer";

/// A request within a dialog, but for its message.
#[derive(Debug)]
pub(super) struct InDialog<'a> {
    pub(super) key: ServerKey,
    pub(super) seed: ResponseSeed,
    /// CSeq number.
    pub(super) sequence: u32,
    pub(super) method: &'a Method,
    pub(super) dialog: &'a DialogId,
}

/// Header fields of a refusal.
pub(super) type Headers = Vec<(&'static str, String)>;

impl Agent {
    /// A datagram came from `source`.
    pub fn handle_datagram(&mut self, now: Tick, source: SocketAddr, bytes: &[u8]) {
        self.handle_message(now, &Hop::udp(source), bytes);
    }

    /// A whole message came by `hop`; streams have been cut into messages before.
    pub fn handle_message(&mut self, now: Tick, hop: &Hop, bytes: &[u8]) {
        let source = hop.address;
        self.counters.datagrams_in += 1;
        if is_keep_alive(bytes) {
            return;
        }
        if !is_answerable(source) || source == self.config.local {
            self.counters.dropped_malformed += 1;
            return;
        }
        if !self.is_heard(source.ip()) {
            self.counters.dropped_source += 1;
            return;
        }
        if let Some(watcher) = &self.config.watcher {
            watcher(false, self.config.advertised.unwrap_or(self.config.local), hop, bytes);
        }
        let message = match parse_datagram(bytes) {
            Ok(message) => message,
            Err(broken) => return self.refuse_broken(hop, broken),
        };
        let core = match CoreFields::of(&message) {
            Ok(core) => core,
            Err(malformed) => {
                return self.refuse_broken(hop, Broken { malformed, partial: Some(message) });
            }
        };
        match &message.start {
            StartLine::Status { code, .. } => self.handle_response(now, hop, *code, &message, &core),
            StartLine::Request { uri, .. } => self.handle_request(now, hop, &message, &core, uri),
        }
    }

    /// Says what is wrong with a request, if enough of it can be read; never answers an ACK or a response.
    pub(super) fn refuse_broken(&mut self, hop: &Hop, broken: Broken) {
        let request = broken.partial.filter(|m| match &m.start {
            StartLine::Request { method, .. } => *method != Method::Ack,
            StartLine::Status { .. } => false,
        });
        let seed = request.as_ref().and_then(|request| ResponseSeed::of(request, hop));
        match seed {
            // A peer outside the policy has no claim on an answer to what matched nothing.
            Some(seed) if self.is_known(hop.address.ip()) => {
                self.counters.refused_malformed += 1;
                self.respond_stateless(seed, broken.malformed.status, broken.malformed.what, &[]);
            }
            _ => self.counters.dropped_malformed += 1,
        }
    }

    fn handle_request(&mut self, now: Tick, hop: &Hop, request: &Message, core: &CoreFields, uri: &[u8]) {
        let source = hop.address;
        let method = &core.cseq.method;
        let key = ServerKey::of(core, source.ip(), hop.transport);
        if let Some(&id) = self.server_keys.get(&key) {
            if self.is_over(id) && self.came_by_another(id, hop) {
                self.forget_server(id);
            } else {
                return self.handle_repeat(now, id, hop, request, core);
            }
        }
        let dialog = core.to.tag().map(|local_tag| DialogId {
            call_id: core.call_id.clone(),
            local_tag: local_tag.to_vec(),
            remote_tag: core.from.tag().unwrap_or_default().to_vec(),
        });
        let leg = dialog.as_ref().and_then(|id| self.dialogs.get(id)).copied();
        if leg.is_none() && !self.is_known(source.ip()) && !self.is_for_a_line(uri) {
            self.counters.dropped_source += 1;
            return;
        }
        match (method, leg) {
            (Method::Ack, Some(leg)) => return self.handle_ack(now, leg, request, core),
            (Method::Ack, None) => {
                self.counters.strays += 1;
                return;
            }
            _ => {}
        }
        let Some(seed) = ResponseSeed::of(request, hop) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        if *method == Method::Cancel {
            return self.handle_cancel(now, &key, seed, core);
        }
        if let Err((code, headers)) = self.check_request(request, method, uri) {
            return self.respond_stateless(seed, code, "", &headers);
        }
        match (leg, &dialog) {
            (Some(leg), Some(dialog)) => {
                let with = InDialog { key, seed, sequence: core.cseq.number, method, dialog };
                self.handle_in_dialog(now, leg, hop, request, with);
            }
            (_, Some(_)) => self.respond_stateless(seed, 481, "", &[]),
            (_, None) => self.handle_out_of_dialog(now, hop, key, seed, request, core, uri),
        }
    }

    /// The checks of §8.2 that hold for every request but ACK and CANCEL.
    fn check_request(&self, request: &Message, method: &Method, uri: &[u8]) -> Result<(), (u16, Headers)> {
        match method {
            Method::Invite
            | Method::Bye
            | Method::Options
            | Method::Info
            | Method::Prack
            | Method::Update
            | Method::Refer
            | Method::Notify => {}
            Method::Register if self.directory.has_extensions() => {}
            // No event is published or subscribed to here (RFC 6665 §4.1.3).
            Method::Subscribe | Method::Publish => {
                return Err((489, vec![("Allow-Events", EVENTS.into()), ("Allow", ALLOW.into())]));
            }
            Method::Other(_) => return Err((501, vec![("Allow", ALLOW.into())])),
            _ => return Err((405, vec![("Allow", ALLOW.into())])),
        }
        match Uri::parse(uri).map(|u| u.scheme) {
            Ok(Scheme::Other) => return Err((416, vec![])),
            Ok(_) => {}
            Err(malformed) => return Err((malformed.status, vec![])),
        }
        if let Some(hops) = request.header(&Name::MaxForwards) {
            match std::str::from_utf8(hops).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit())).map(str::parse::<u8>)
            {
                // Also none left: it has arrived (RFC 4475 §3.3.11). Who passes it on must look.
                Some(Ok(_)) => {}
                _ => return Err((400, vec![])),
            }
        }
        let is_ours = |option: &str| SUPPORTED.split(", ").any(|ours| ours.eq_ignore_ascii_case(option));
        let unsupported: Vec<String> =
            request.list(&Name::Require).into_iter().map(to_text).filter(|option| !is_ours(option)).collect();
        if !unsupported.is_empty() {
            return Err((420, vec![("Unsupported", unsupported.join(", "))]));
        }
        Ok(())
    }

    /// Whether this transaction has answered a call that has ended since.
    fn is_over(&self, id: TransactionId) -> bool {
        let Some(server) = self.servers.get(&id) else { return false };
        server.machine.state() == State::Accepted && server.leg.is_none_or(|leg| !self.legs.contains_key(&leg))
    }

    /// Whether a connection brought this that is not the transaction's. On a stream nothing is repeated, so this is a client
    /// that lost its connection, or another request that looks the same.
    fn came_by_another(&self, id: TransactionId, hop: &Hop) -> bool {
        let Some(server) = self.servers.get(&id) else { return false };
        hop.transport.is_reliable() && server.seed.hop.flow != hop.flow
    }

    fn handle_repeat(&mut self, now: Tick, id: TransactionId, hop: &Hop, request: &Message, core: &CoreFields) {
        let anew = self.came_by_another(id, hop);
        let Some(server) = self.servers.get_mut(&id) else { return };
        if core.cseq.method != Method::Ack {
            if anew {
                server.seed.hop.flow = hop.flow;
            }
            if (anew || server.machine.handle_repeat()) && !server.last.is_empty() {
                let transmit = Transmit { hop: server.seed.hop.clone(), bytes: server.last.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
            }
            return;
        }
        let meaning = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.handle_ack(now),
            ServerMachine::NonInvite(_) => AckMeaning::Absorbed,
        };
        let leg = server.leg;
        match meaning {
            // A client that uses the INVITE's branch for the ACK to a 2xx is wrong, but it means well.
            AckMeaning::ForDialog => {
                if let Some(leg) = leg {
                    self.handle_ack(now, leg, request, core);
                }
            }
            AckMeaning::Absorbed if server.machine.state() == State::Terminated => self.forget_server(id),
            AckMeaning::Absorbed => self.rearm(TimerId::Server(id)),
        }
    }

    /// CANCEL (§9.2).
    fn handle_cancel(&mut self, now: Tick, key: &ServerKey, mut seed: ResponseSeed, core: &CoreFields) {
        let Some(&invite) = key.of_cancelled().find_map(|key| self.server_keys.get(&key)) else {
            return self.respond_stateless(seed, 481, "", &[]);
        };
        let Some(server) = self.servers.get(&invite) else { return };
        let (leg, proceeding) = (server.leg, server.machine.state() == State::Proceeding);
        if let Some(tag) = leg.and_then(|leg| self.legs.get(&leg)?.dialog.as_ref()).map(|d| d.id.local_tag.clone()) {
            seed.set_tag(&tag);
        }
        self.open_answered(now, key.clone(), seed, (&Method::Cancel, core.cseq.number), 200, &[]);
        let Some(leg_id) = leg.filter(|_| proceeding) else { return }; // a final response was faster: no harm done
        self.respond(now, invite, 487, "", &[]);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if matches!(leg.phase, Phase::Offered { transaction } if transaction == invite) {
            self.end_leg(now, leg_id, SipEvent::Cancelled { leg: leg_id });
        } else if leg.asked.take_if(|asked| asked.transaction == invite).is_some() {
            self.advance_renewal(now, leg_id);
            self.rearm(TimerId::Leg(leg_id));
        }
    }

    #[allow(clippy::too_many_arguments)] // one request, taken apart once
    fn handle_out_of_dialog(
        &mut self,
        now: Tick,
        hop: &Hop,
        key: ServerKey,
        seed: ResponseSeed,
        request: &Message,
        core: &CoreFields,
        uri: &[u8],
    ) {
        let source = hop.address;
        let busy = [("Retry-After", RETRY_AFTER_S.to_owned())];
        let peer = match core.cseq.method {
            // Whether we are there is no secret from those whom we listen to, and asked too often for a proof each time.
            Method::Options => Peer::Attached,
            _ => match self.identify(now, hop, request, core, uri) {
                Entry::Of(peer) => peer,
                Entry::Refused(code, headers) => return self.respond_stateless(seed, code, "", &headers),
                Entry::Silence => {
                    self.counters.dropped_source += 1;
                    return;
                }
            },
        };
        match core.cseq.method {
            Method::Invite => {}
            Method::Register if !self.has_transaction_room() => return self.respond_stateless(seed, 503, "", &busy),
            Method::Register => {
                let (code, headers) = self.handle_register(now, hop, &peer, request, core);
                return self.open_answered(now, key, seed, (&Method::Register, core.cseq.number), code, &headers);
            }
            Method::Options if self.draining => return self.respond_stateless(seed, 503, "", &busy),
            Method::Options => return self.respond_stateless(seed, 200, "", &capabilities()),
            // Told unasked how many messages wait: nothing to do with it, and nothing to complain of.
            Method::Notify if event_of(request) == "message-summary" => {
                return self.respond_stateless(seed, 200, "", &[]);
            }
            Method::Notify => return self.respond_stateless(seed, 489, "", &[("Allow-Events", EVENTS.to_owned())]),
            // Whom would it transfer?
            Method::Refer => return self.respond_stateless(seed, 403, "", &[]),
            _ => return self.respond_stateless(seed, 481, "", &[]),
        }
        let merge_key = (core.call_id.clone(), core.from.tag().unwrap_or_default().to_vec(), core.cseq.number);
        if self.merge_keys.contains_key(&merge_key) {
            return self.respond_stateless(seed, 482, "", &[]);
        }
        let offer = match session_description(request) {
            Ok(offer) => offer,
            Err(headers) => return self.respond_stateless(seed, 415, "", &headers),
        };
        if !takes_descriptions(request) {
            return self.respond_stateless(seed, 406, "", &[("Accept", sdp::CONTENT_TYPE.to_owned())]);
        }
        let local_tag = self.token();
        let mut dialog = match Dialog::from_invite(request, core, local_tag.clone(), hop.clone()) {
            Ok(dialog) => dialog,
            Err(malformed) => return self.respond_stateless(seed, malformed.status, malformed.what, &[]),
        };
        dialog.set_account(peer.trunk().cloned());
        let session_wish = match SessionWish::of(request, &self.config) {
            Ok(wish) => wish,
            Err(min_s) => return self.respond_stateless(seed, 422, "", &[("Min-SE", min_s.to_string())]),
        };
        let replaces = match self.replaced_leg(request) {
            Ok(replaces) => replaces,
            // Another time another answer would be right, so a repeat must find this one.
            Err(code) if self.has_transaction_room() => {
                return self.open_answered(now, key, seed, (&Method::Invite, core.cseq.number), code, &[]);
            }
            Err(code) => return self.respond_stateless(seed, code, "", &[]),
        };
        // The rate keeps one host of a network from taking all; what runs on this machine has its own ways to do that.
        if !source.ip().to_canonical().is_loopback() && !self.admission.admit(now, source.ip()) {
            self.counters.refused_rate += 1;
            return self.respond_stateless(seed, 503, "", &busy);
        }
        let full = self.legs.len() >= self.config.legs_max || !self.has_transaction_room() || self.is_backlogged();
        if full || self.draining {
            self.counters.refused_capacity += u64::from(full);
            return self.respond_stateless(seed, 503, "", &busy);
        }
        let leg_id = LegId(self.new_id());
        let mut seed = seed;
        let reliable = seed.hop.transport.is_reliable();
        let trying = seed.write(100, "", false).finish(None); // before the tag: 100 needs none (§8.2.6.1)
        seed.set_tag(&local_tag);
        let machine = ServerMachine::Invite(InviteServer::new(reliable));
        let server = ServerTransaction::new(machine, key, seed, core.cseq.number, Some(leg_id));
        let transaction = self.add_server(ServerTransaction { merge_key: Some(merge_key.clone()), ..server });
        let mut leg = Leg::new(Phase::Offered { transaction }, self.contact_for(peer.trunk(), hop));
        leg.deadline = Some(now + limits::SIP_RINGING_MAX);
        leg.merge_key = Some(merge_key);
        leg.remote_sdp = offer.clone().unwrap_or_default();
        leg.session_wish = session_wish;
        leg.provisional = Provisional::of(request, core.cseq.number, offer.is_some());
        self.dialogs.insert(dialog.id.clone(), leg_id);
        leg.dialog = Some(dialog);
        self.legs.insert(leg_id, leg);
        self.note_abilities(leg_id, request);
        self.counters.calls_in += 1;
        self.respond_with(now, transaction, 100, trying);
        self.rearm(TimerId::Leg(leg_id));
        // Checked above: a number, or nothing.
        let hops = request.header(&Name::MaxForwards).and_then(|h| std::str::from_utf8(h).ok()?.parse().ok());
        let hops = hops.unwrap_or(HOPS);
        let request_user = self.called(&peer, uri, &core.to.uri);
        self.emit(SipEvent::Incoming {
            leg: leg_id,
            from: to_text(&core.from.name_addr()),
            to: to_text(&core.to.name_addr()),
            request_user: to_text(&request_user),
            call_id: to_text(&core.call_id),
            source,
            identity: peer,
            hops,
            offer,
            headers: handed_on(request),
            replaces,
        });
    }

    fn handle_in_dialog(&mut self, now: Tick, leg_id: LegId, hop: &Hop, request: &Message, with: InDialog<'_>) {
        if !self.has_transaction_room() {
            self.counters.refused_capacity += 1;
            return self.respond_stateless(with.seed, 503, "", &[("Retry-After", RETRY_AFTER_S.to_owned())]);
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(dialog) = leg.dialog_mut(with.dialog) else { return };
        if !dialog.accept_sequence(with.sequence) {
            return self.answer_at_once(now, with, 500, &[]); // out of order
        }
        dialog.move_to(hop);
        match (with.method, &leg.phase) {
            (Method::Bye, Phase::Calling(_)) => {
                // A phone that rings may not hang up (§15), but it is gone: the INVITE's final response decides.
                self.answer_at_once(now, with, 200, &[]);
            }
            (Method::Bye, phase) => {
                let by = if matches!(phase, Phase::Ending) { EndedBy::Local } else { EndedBy::Remote };
                self.answer_at_once(now, with, 200, &[]);
                let Reason { text, cause } = Reason::of(request);
                self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by, reason: text, cause });
            }
            (Method::Options, _) => self.answer_at_once(now, with, 200, &capabilities()),
            (Method::Notify, _) => self.handle_notify(now, leg_id, request, with),
            (_, Phase::Ending) => self.answer_at_once(now, with, 481, &[]),
            (Method::Info, _) => self.handle_info(now, leg_id, request, with),
            (Method::Invite, _) => self.handle_reinvite(now, leg_id, request, with),
            (Method::Update, _) => self.handle_update(now, leg_id, request, with),
            (Method::Prack, _) => self.handle_prack(now, leg_id, request, with),
            (Method::Refer, _) => self.handle_refer(now, leg_id, request, with),
            _ => self.answer_at_once(now, with, 405, &[("Allow", ALLOW.to_owned())]),
        }
    }

    /// ACK to a 2xx of ours (§13.3.1.4).
    fn handle_ack(&mut self, now: Tick, leg_id: LegId, request: &Message, core: &CoreFields) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        match &leg.unacknowledged {
            Some(waiting) if waiting.sequence == core.cseq.number => leg.unacknowledged = None,
            _ => return, // a repeat
        }
        leg.confirmed = true;
        let answer = session_description(request).ok().flatten();
        if let Some(answer) = &answer {
            leg.remote_sdp.clone_from(answer);
        }
        if let Some(hang_up) = leg.hang_up.take() {
            self.send_bye(now, leg_id, hang_up.reason);
        } else {
            self.emit(SipEvent::Confirmed { leg: leg_id, answer });
            self.advance_renewal(now, leg_id);
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// Answers a request within a dialog at once, with a transaction that repeats the answer: a copy of the request that
    /// comes later, when another answer would be right, must not get that one.
    pub(super) fn answer_at_once(&mut self, now: Tick, with: InDialog<'_>, code: u16, headers: &[(&str, String)]) {
        self.open_answered(now, with.key, with.seed, (with.method, with.sequence), code, headers);
    }

    fn open_answered(
        &mut self,
        now: Tick,
        key: ServerKey,
        seed: ResponseSeed,
        (method, sequence): (&Method, u32),
        code: u16,
        headers: &[(&str, String)],
    ) {
        let reliable = seed.hop.transport.is_reliable();
        let machine = match method {
            Method::Invite => ServerMachine::Invite(InviteServer::new(reliable)),
            _ => ServerMachine::NonInvite(NonInviteServer::new(reliable)),
        };
        let id = self.add_server(ServerTransaction::new(machine, key, seed, sequence, None));
        self.respond(now, id, code, "", headers);
        self.rearm(TimerId::Server(id));
    }

    /// A response without Contact and body, by a transaction.
    pub(super) fn respond(
        &mut self,
        now: Tick,
        id: TransactionId,
        code: u16,
        reason: &str,
        headers: &[(&str, String)],
    ) -> bool {
        let Some(server) = self.servers.get(&id) else { return false };
        let mut writer = server.seed.write(code, reason, false);
        self.add_headers(&mut writer, headers);
        self.respond_with(now, id, code, writer.finish(None))
    }

    /// A response that leaves no trace.
    pub(super) fn respond_stateless(
        &mut self,
        mut seed: ResponseSeed,
        code: u16,
        reason: &str,
        headers: &[(&str, String)],
    ) {
        let tag = self.stateless_tag(&seed);
        seed.set_tag(&tag);
        let mut writer = seed.write(code, reason, false);
        self.add_headers(&mut writer, headers);
        self.transmit(Transmit { hop: seed.hop, bytes: writer.finish(None) });
    }

    fn add_headers(&self, writer: &mut Writer, headers: &[(&str, String)]) {
        for (name, value) in headers {
            writer.header(name, value);
        }
        writer.header("Server", &self.config.user_agent);
    }
}

/// Headers of the answer to OPTIONS (§11.2).
fn capabilities() -> Headers {
    vec![
        ("Allow", ALLOW.to_owned()),
        ("Accept", sdp::ACCEPT.to_owned()),
        ("Accept-Encoding", "identity".to_owned()),
        ("Allow-Events", EVENTS.to_owned()),
        ("Supported", SUPPORTED.to_owned()),
    ]
}

/// The package of an Event header field, lower-cased.
fn event_of(request: &Message) -> String {
    let event = request.header(&Name::Event).map(to_text).unwrap_or_default();
    event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What the call side may want to know of an INVITE (RFC 3325, 5806, 7044, 3323, 7433, 3892, and whatever a network adds).
fn handed_on(request: &Message) -> Vec<(String, String)> {
    const NAMES: [&str; 7] =
        ["Diversion", "History-Info", "Remote-Party-ID", "Privacy", "Alert-Info", "User-to-User", "Referred-By"];
    let is_wanted = |name: &str| {
        let starts = |prefix: &str| name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        starts("P-") || starts("X-") || NAMES.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let fields = request.headers.iter().map(|header| (to_text(header.name.as_bytes()), &header.value));
    let wanted = fields.filter(|(name, value)| is_wanted(name) && value.len() <= limits::SIP_HANDED_HEADER_OCTETS_MAX);
    wanted.take(limits::SIP_HANDED_HEADERS_MAX).map(|(name, value)| (name, to_text(value))).collect()
}

/// The SDP in a message; an error carries the headers of the 415.
pub(super) fn session_description(message: &Message) -> Result<Option<Vec<u8>>, Headers> {
    if message.body.is_empty() {
        return Ok(None);
    }
    let encoded = message.list(&Name::ContentEncoding).iter().any(|e| !e.eq_ignore_ascii_case(b"identity"));
    match message.content_type().as_deref() {
        _ if encoded => Err(vec![("Accept-Encoding", "identity".to_owned())]),
        // Without Content-Type there is only one thing it can be.
        Some(sdp::CONTENT_TYPE) | None => Ok(Some(message.body.clone())),
        Some(kind) if is_multipart(kind) => {
            let content_type = message.header(&Name::ContentType).unwrap_or_default();
            let part = session_part(content_type, &message.body, sdp::CONTENT_TYPE);
            part.map(|part| part.map(<[u8]>::to_vec)).map_err(|_| vec![("Accept", sdp::ACCEPT.to_owned())])
        }
        Some(_) => Err(vec![("Accept", sdp::ACCEPT.to_owned())]),
    }
}

/// Whether our answer can be read: it is SDP, and an Accept header field may leave that out (RFC 3261 §20.1, RFC 4475 §3.3.15).
fn takes_descriptions(request: &Message) -> bool {
    let kinds = request.list(&Name::Accept);
    let is_sdp = |kind: &&[u8]| {
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        [&b"application/sdp"[..], b"application/*", b"*/*"].contains(&&kind[..])
    };
    kinds.is_empty() || kinds.iter().any(is_sdp)
}

/// Whether an answer to this address can be meant for one host.
fn is_answerable(source: SocketAddr) -> bool {
    let group = match source.ip() {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    !group && !source.ip().is_unspecified() && source.port() != 0
}
