//! From a datagram to the leg or refusal it means (RFC 3261 §8.2, §12.2.2). Purpose: every request gets exactly one kind
//! of answer, in the order of checks below. Invariants: requests outside of dialogs other than INVITE leave no state; a
//! source that the policy does not know gets silence, unless it speaks within a call that we placed to it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::leg::{Leg, Phase, TransactionId};
use super::response::{ALLOW, ResponseSeed};
use super::table::{ServerMachine, ServerTransaction, TimerId};
use super::{Agent, EndedBy, LegId, SipEvent, Transmit};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogId, HOPS};
use crate::sip::hop::Hop;
use crate::sip::message::{
    Broken, CoreFields, Message, Method, Name, Scheme, StartLine, Uri, Writer, is_keep_alive, parse_datagram, to_text,
};
use crate::sip::sdp;
use crate::sip::transaction::{AckMeaning, InviteServer, NonInviteServer, ServerKey, State};
use crate::time::Tick;

/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: &str = "5";

/// Header fields of a refusal.
type Headers = Vec<(&'static str, String)>;

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
        if !(self.config.accept_from)(source.ip()) && !self.is_peer(source.ip()) {
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
    fn refuse_broken(&mut self, hop: &Hop, broken: Broken) {
        let request = broken.partial.filter(|m| match &m.start {
            StartLine::Request { method, .. } => *method != Method::Ack,
            StartLine::Status { .. } => false,
        });
        let seed = request.as_ref().and_then(|request| ResponseSeed::of(request, hop));
        match seed {
            // A peer outside the policy has no claim on an answer to what matched nothing.
            Some(seed) if (self.config.accept_from)(hop.address.ip()) => {
                self.counters.refused_malformed += 1;
                self.respond_stateless(seed, broken.malformed.status, broken.malformed.what, &[]);
            }
            _ => self.counters.dropped_malformed += 1,
        }
    }

    fn handle_request(&mut self, now: Tick, hop: &Hop, request: &Message, core: &CoreFields, uri: &[u8]) {
        let source = hop.address;
        let method = &core.cseq.method;
        let key = ServerKey::of(core, source.ip());
        if let Some(&id) = self.server_keys.get(&key) {
            return self.handle_repeat(now, id, request, core);
        }
        let dialog = core.to.tag().map(|local_tag| DialogId {
            call_id: core.call_id.clone(),
            local_tag: local_tag.to_vec(),
            remote_tag: core.from.tag().unwrap_or_default().to_vec(),
        });
        let leg = dialog.as_ref().and_then(|id| self.dialogs.get(id)).copied();
        if leg.is_none() && !(self.config.accept_from)(source.ip()) {
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
        match (leg, dialog.is_some()) {
            (Some(leg), _) => self.handle_in_dialog(now, leg, hop, key, seed, request, core),
            (None, true) => self.respond_stateless(seed, 481, "", &[]),
            (None, false) => self.handle_out_of_dialog(now, hop, key, seed, request, core, uri),
        }
    }

    /// The checks of §8.2 that hold for every request but ACK and CANCEL.
    fn check_request(&self, request: &Message, method: &Method, uri: &[u8]) -> Result<(), (u16, Headers)> {
        match method {
            Method::Invite | Method::Bye | Method::Options | Method::Info => {}
            // No subscription, publication or notification is known here (RFC 6665 §4.1.3).
            Method::Subscribe | Method::Notify | Method::Publish => return Err((489, vec![("Allow", ALLOW.into())])),
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
                Some(Ok(0)) => return Err((483, vec![])),
                Some(Ok(_)) => {}
                _ => return Err((400, vec![])),
            }
        }
        let required = request.list(&Name::Require);
        if !required.is_empty() {
            // We have no extensions, so whatever is required is too much (§8.2.2.3).
            let unsupported = required.iter().map(|r| to_text(r)).collect::<Vec<_>>().join(", ");
            return Err((420, vec![("Unsupported", unsupported)]));
        }
        Ok(())
    }

    fn handle_repeat(&mut self, now: Tick, id: TransactionId, request: &Message, core: &CoreFields) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if core.cseq.method != Method::Ack {
            if server.machine.handle_repeat() && !server.last.is_empty() {
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
        let Some(&invite) = self.server_keys.get(&key.of_cancelled()) else {
            return self.respond_stateless(seed, 481, "", &[]);
        };
        let Some(server) = self.servers.get(&invite) else { return };
        let (leg, proceeding) = (server.leg, server.machine.state() == State::Proceeding);
        if let Some(tag) = leg.and_then(|leg| self.legs.get(&leg)?.dialog.as_ref()).map(|d| d.id.local_tag.clone()) {
            seed.set_tag(&tag);
        }
        self.open_non_invite(now, key.clone(), seed, core, 200, &[]);
        let Some(leg_id) = leg.filter(|_| proceeding) else { return }; // a final response was faster: no harm done
        self.respond(now, invite, 487, "", &[]);
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if matches!(leg.phase, Phase::Offered { transaction } if transaction == invite) {
            self.end_leg(now, leg_id, SipEvent::Cancelled { leg: leg_id });
        } else if leg.reinvite == Some(invite) {
            (leg.reinvite, leg.offered_sdp) = (None, None);
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
        match core.cseq.method {
            Method::Invite => {}
            Method::Options if self.draining => return self.respond_stateless(seed, 503, "", &busy),
            Method::Options => return self.respond_stateless(seed, 200, "", &capabilities()),
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
        let local_tag = self.token();
        let dialog = match Dialog::from_invite(request, core, local_tag.clone(), hop.clone()) {
            Ok(dialog) => dialog,
            Err(malformed) => return self.respond_stateless(seed, malformed.status, malformed.what, &[]),
        };
        if !self.admission.admit(now, source.ip()) {
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
        let transaction = self.add_server(ServerTransaction {
            machine: ServerMachine::Invite(InviteServer::new(reliable)),
            key,
            seed,
            sequence: core.cseq.number,
            last: Vec::new(),
            leg: Some(leg_id),
            merge_key: Some(merge_key),
        });
        let mut leg = Leg::new(Phase::Offered { transaction }, self.contact_towards(hop));
        leg.deadline = Some(now + limits::SIP_RINGING_MAX);
        leg.remote_sdp = offer.clone().unwrap_or_default();
        self.dialogs.insert(dialog.id.clone(), leg_id);
        leg.dialog = Some(dialog);
        self.legs.insert(leg_id, leg);
        self.counters.calls_in += 1;
        self.respond_with(now, transaction, 100, trying);
        self.rearm(TimerId::Leg(leg_id));
        // Checked above: a number other than 0, or nothing.
        let hops = request.header(&Name::MaxForwards).and_then(|h| std::str::from_utf8(h).ok()?.parse().ok());
        let hops = hops.unwrap_or(HOPS);
        let request_user = Uri::parse(uri).ok().and_then(|u| u.user).unwrap_or_default();
        self.emit(SipEvent::Incoming {
            leg: leg_id,
            from: to_text(&core.from.name_addr()),
            to: to_text(&core.to.name_addr()),
            request_user: to_text(&request_user),
            call_id: to_text(&core.call_id),
            source,
            hops,
            offer,
        });
    }

    #[allow(clippy::too_many_arguments)] // one request, taken apart once
    fn handle_in_dialog(
        &mut self,
        now: Tick,
        leg_id: LegId,
        hop: &Hop,
        key: ServerKey,
        seed: ResponseSeed,
        request: &Message,
        core: &CoreFields,
    ) {
        if !self.has_transaction_room() {
            self.counters.refused_capacity += 1;
            return self.respond_stateless(seed, 503, "", &[("Retry-After", RETRY_AFTER_S.to_owned())]);
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let in_order = leg.dialog.as_mut().is_some_and(|d| d.accept_sequence(core.cseq.number));
        if !in_order {
            return self.respond_stateless(seed, 500, "Out of order", &[]);
        }
        if let Some(dialog) = &mut leg.dialog {
            dialog.move_to(hop);
        }
        let ending = matches!(leg.phase, Phase::Ending);
        match core.cseq.method {
            Method::Bye => {
                self.open_non_invite(now, key, seed, core, 200, &[]);
                let by = if ending { EndedBy::Local } else { EndedBy::Remote };
                let reason = request.header(&Name::Reason).map(reason_text);
                self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by, reason });
            }
            Method::Options => self.open_non_invite(now, key, seed, core, 200, &capabilities()),
            _ if ending => self.respond_stateless(seed, 481, "", &[]),
            Method::Info => self.handle_info(now, leg_id, key, seed, request, core),
            Method::Invite => self.handle_reinvite(now, leg_id, key, seed, request, core),
            _ => self.open_non_invite(now, key, seed, core, 405, &[("Allow", ALLOW.to_owned())]),
        }
    }

    /// A digit by INFO, or something else that we acknowledge or refuse (RFC 6086 §4.2.2 for legacy use).
    fn handle_info(
        &mut self,
        now: Tick,
        leg: LegId,
        key: ServerKey,
        seed: ResponseSeed,
        request: &Message,
        core: &CoreFields,
    ) {
        let digit = match request.content_type().as_deref() {
            Some("application/dtmf-relay") => relay_digit(&request.body),
            Some("application/dtmf") => digit_of(&request.body),
            _ if request.body.is_empty() => None,
            _ => {
                let accept = [("Accept", "application/dtmf-relay, application/dtmf".to_owned())];
                return self.open_non_invite(now, key, seed, core, 415, &accept);
            }
        };
        self.open_non_invite(now, key, seed, core, 200, &[]);
        if let Some(digit) = digit
            && !self.is_backlogged()
        {
            self.emit(SipEvent::InfoDigit { leg, digit });
        }
    }

    /// INVITE within a dialog (§14.2).
    fn handle_reinvite(
        &mut self,
        now: Tick,
        leg_id: LegId,
        key: ServerKey,
        seed: ResponseSeed,
        request: &Message,
        core: &CoreFields,
    ) {
        let offer = match session_description(request) {
            Ok(offer) => offer,
            Err(headers) => return self.respond_stateless(seed, 415, "", &headers),
        };
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let busy = leg.reinvite.is_some() || leg.unacknowledged.is_some() || leg.hang_up.is_some();
        if busy || !matches!(leg.phase, Phase::Established) {
            // One exchange at a time; the peer tries again after a random while of up to 10 s.
            let seconds = self.token().first().map_or(1, |b| b % 10 + 1);
            return self.respond_stateless(seed, 500, "", &[("Retry-After", seconds.to_string())]);
        }
        if let Some(dialog) = &mut leg.dialog {
            dialog.refresh_target(request);
        }
        let unchanged = offer.as_ref().is_some_and(|offer| *offer == leg.remote_sdp);
        leg.offered_sdp.clone_from(&offer);
        let reliable = seed.hop.transport.is_reliable();
        let trying = seed.write(100, "", false).finish(None);
        let transaction = self.add_server(ServerTransaction {
            machine: ServerMachine::Invite(InviteServer::new(reliable)),
            key,
            seed,
            sequence: core.cseq.number,
            last: Vec::new(),
            leg: Some(leg_id),
            merge_key: None,
        });
        if let Some(leg) = self.legs.get_mut(&leg_id) {
            leg.reinvite = Some(transaction);
            leg.deadline = Some(now + REINVITE_ANSWER_MAX);
        }
        self.rearm(TimerId::Leg(leg_id));
        self.respond_with(now, transaction, 100, trying);
        self.emit(SipEvent::Reinvite { leg: leg_id, offer, unchanged });
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
            self.send_bye(now, leg_id, hang_up.reason.as_deref());
        } else {
            self.emit(SipEvent::Confirmed { leg: leg_id, answer });
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// Answers a non-INVITE request at once, with a transaction that repeats the answer.
    fn open_non_invite(
        &mut self,
        now: Tick,
        key: ServerKey,
        seed: ResponseSeed,
        core: &CoreFields,
        code: u16,
        headers: &[(&str, String)],
    ) {
        let sequence = core.cseq.number;
        let id = self.add_server(ServerTransaction {
            machine: ServerMachine::NonInvite(NonInviteServer::new(seed.hop.transport.is_reliable())),
            key,
            seed,
            sequence,
            last: Vec::new(),
            leg: None,
            merge_key: None,
        });
        self.respond(now, id, code, "", headers);
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

/// A re-INVITE that the call side leaves unanswered for so long is refused.
const REINVITE_ANSWER_MAX: Duration = Duration::from_secs(20);

/// Headers of the answer to OPTIONS (§11.2).
fn capabilities() -> Headers {
    vec![
        ("Allow", ALLOW.to_owned()),
        ("Accept", sdp::CONTENT_TYPE.to_owned()),
        ("Accept-Encoding", "identity".to_owned()),
        ("Supported", String::new()),
    ]
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
        Some(_) => Err(vec![("Accept", sdp::CONTENT_TYPE.to_owned())]),
    }
}

/// The text parameter of a Reason header (RFC 3326), or the whole of it.
pub(super) fn reason_text(value: &[u8]) -> String {
    let text = to_text(value);
    let quoted = text.split_once("text=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(inside, _)| inside);
    quoted.map_or(text.clone(), str::to_owned)
}

/// `Signal=5` of a dtmf-relay body.
fn relay_digit(body: &[u8]) -> Option<char> {
    body.split(|&b| b == b'\n').find_map(|line| {
        let equals = line.iter().position(|&b| b == b'=')?;
        line[..equals].trim_ascii().eq_ignore_ascii_case(b"Signal").then(|| digit_of(&line[equals + 1..]))?
    })
}

fn digit_of(octets: &[u8]) -> Option<char> {
    match octets.trim_ascii() {
        b"10" => Some('*'),
        b"11" => Some('#'),
        [one] if b"0123456789*#ABCDabcd".contains(one) => Some(char::from(one.to_ascii_uppercase())),
        _ => None,
    }
}

/// Whether an answer to this address can be meant for one host.
fn is_answerable(source: SocketAddr) -> bool {
    let group = match source.ip() {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    !group && !source.ip().is_unspecified() && source.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(relay_digit(b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(relay_digit(b"Duration=100\nsignal = *\n"), Some('*'));
        assert_eq!(relay_digit(b"Signal=11\r\n"), Some('#'));
        assert_eq!(relay_digit(b"Signal=16"), None);
        assert_eq!(relay_digit(b"Signal="), None);
        assert_eq!(digit_of(b"d\r\n"), Some('D'));
    }

    #[test]
    fn reasons() {
        assert_eq!(reason_text(b"Q.850;cause=16;text=\"Terminated\""), "Terminated");
        assert_eq!(reason_text(b"SIP;cause=200"), "SIP;cause=200");
        assert_eq!(reason_text(b"x;text=\"open"), "x;text=\"open");
    }
}
