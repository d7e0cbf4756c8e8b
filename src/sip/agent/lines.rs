//! The lines that we keep registered (RFC 3261 §10.2): one [`Registration`] each, and the requests that it wants. Purpose:
//! several lines on one socket, told apart by a token in their Contact; our address as the registrar sees it. Invariants:
//! at most one REGISTER of a line is under way; a line that is no more configured is unregistered first.
//! Deliberately absent: finding the registrar's address (the owner gives hops, and gives them again when they change).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::leg::TransactionId;
use super::out_of_dialog::{OutOfDialog, RequestId, Series};
use super::table::{Purpose, TimerId};
use super::{Agent, SipEvent};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{CoreFields, Message, Method, Uri, Via, to_text};
use crate::sip::registration::{LineState, Registration, seen_as};
use crate::time::Tick;

/// CSeq numbers that a REGISTER without a final answer may have used up.
const CHALLENGES: u32 = 8;

/// Number of a line inside the agent.
pub(super) type LineId = u64;

/// A line to register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineConfig {
    /// Name of the trunk, whose account answers challenges.
    pub account: Arc<str>,
    /// Request-URI: `sip:HOST`.
    pub registrar: String,
    /// Address of record: `sip:USER@HOST`.
    pub aor: String,
    /// User part of the Contact.
    pub contact_user: String,
    /// Interval that is asked for.
    pub expires: Duration,
    /// Our address as configured for that trunk; else it is learnt.
    pub public: Option<IpAddr>,
}

/// How a line stands, for people and programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineStatus {
    /// Name of the trunk.
    pub account: Arc<str>,
    /// State.
    pub state: LineState,
    /// Address of record.
    pub aor: String,
    /// Contact URI that is registered.
    pub contact: Option<String>,
    /// Until then.
    pub bound_until: Option<Tick>,
    /// Next REGISTER.
    pub next: Option<Tick>,
    /// Code and reason of the last answer.
    pub last_answer: Option<(u16, String)>,
}

#[derive(Debug)]
pub(super) struct Line {
    config: LineConfig,
    token: String,
    hops: Vec<Hop>,
    machine: Registration,
    series: Series,
    under_way: Option<RequestId>,
    /// Our address as the registrar saw it last.
    learnt: Option<SocketAddr>,
    /// The line goes once it is unregistered.
    dropped: bool,
}

impl Agent {
    /// The lines to keep registered from now on. A line that was there with the same configuration goes on, one that is
    /// not there any more is unregistered.
    pub fn set_lines(&mut self, now: Tick, lines: Vec<LineConfig>) {
        let mut wanted = lines;
        let ids: Vec<_> = self.lines.keys().copied().collect();
        for id in ids {
            let Some(line) = self.lines.get_mut(&id) else { continue };
            if line.dropped {
                continue;
            }
            let same = wanted.iter().position(|w| *w == line.config);
            match same {
                Some(place) => {
                    wanted.remove(place);
                }
                None => {
                    line.dropped = true;
                    line.machine.leave(now);
                    self.line_moves(now, id);
                }
            }
        }
        for config in wanted {
            let token = self.line_token(&config);
            let series = Series { call_id: self.token(), tag: self.token(), sequence: 0 };
            let id = self.new_id();
            let machine = Registration::new(now, config.expires);
            let hops = self.trunk_hops.get(&config.account).cloned().unwrap_or_default();
            self.directory.set_token(&config.account, Some(token.clone()));
            let line = Line { config, token, hops, machine, series, under_way: None, learnt: None, dropped: false };
            self.lines.insert(id, line);
            self.line_moves(now, id);
        }
    }

    /// Where a trunk's host was found, in order of preference: requests from there are its own, challenges from there are
    /// answered, and its line registers there.
    pub fn set_trunk_hops(&mut self, now: Tick, trunk: &str, hops: Vec<Hop>) {
        self.directory.set_addresses(trunk, hops.iter().map(|h| h.address).collect());
        let name: Arc<str> = trunk.into();
        self.trust(Some(&name), hops.iter().map(|h| h.address.ip()));
        self.trunk_hops.insert(Arc::clone(&name), hops.clone());
        let ids: Vec<_> = self.lines.iter().filter(|(_, l)| l.config.account == name).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(line) = self.lines.get_mut(&id) else { continue };
            if line.hops != hops {
                let first = line.hops.first() != hops.first();
                line.hops.clone_from(&hops);
                if first {
                    line.machine.handle_path_changed(now);
                }
            }
            self.line_moves(now, id);
        }
    }

    /// Where a trunk's host was found last.
    #[must_use]
    pub fn trunk_hops(&self, trunk: &str) -> &[Hop] {
        self.trunk_hops.get(trunk).map_or(&[], Vec::as_slice)
    }

    /// Takes all registrations back, for good: the daemon is stopping.
    pub fn unregister(&mut self, now: Tick) {
        let ids: Vec<_> = self.lines.keys().copied().collect();
        for id in ids {
            if let Some(line) = self.lines.get_mut(&id) {
                line.dropped = true;
                line.machine.leave(now);
            }
            self.line_moves(now, id);
        }
    }

    /// How the lines stand.
    #[must_use]
    pub fn lines(&self) -> Vec<LineStatus> {
        self.lines.values().map(Line::status).collect()
    }

    /// Our address as the trunk's registrar saw it, when that is not the one that we think we have.
    #[must_use]
    pub fn learnt_address(&self, trunk: &str) -> Option<SocketAddr> {
        self.lines.values().find(|l| &*l.config.account == trunk)?.learnt
    }

    /// Routes that calls by a trunk take first (RFC 3608).
    pub(super) fn service_route(&self, account: Option<&Arc<str>>) -> Vec<Vec<u8>> {
        let line = account.and_then(|name| self.lines.values().find(|l| l.config.account == *name));
        line.map(|l| l.machine.service_route().to_vec()).unwrap_or_default()
    }

    /// Our Contact value in calls with a trunk: that of its line, where there is one.
    pub(super) fn contact_for(&self, account: Option<&Arc<str>>, hop: &Hop) -> Vec<u8> {
        let line = account.and_then(|name| self.lines.values().find(|l| l.config.account == *name));
        match line {
            Some(line) => [b"<", self.line_contact(line, hop).as_bytes(), b">"].concat(),
            None => self.contact_towards(hop),
        }
    }

    /// User of our Contact at a trunk.
    pub(super) fn contact_user(&self, trunk: &str) -> &[u8] {
        let line = self.lines.values().find(|l| &*l.config.account == trunk);
        line.map_or(&self.config.contact_user, |l| &l.config.contact_user).as_bytes()
    }

    fn line_contact(&self, line: &Line, hop: &Hop) -> String {
        let own = self.address_towards(hop);
        // On streams the registrar speaks to us by the connection; the port it saw is of no use to anybody else.
        let address = match (line.config.public, line.learnt) {
            (Some(ip), _) => SocketAddr::new(ip, own.port()),
            (None, Some(seen)) if hop.transport.is_reliable() => SocketAddr::new(seen.ip(), own.port()),
            (None, Some(seen)) => seen,
            (None, None) => own,
        };
        let transport = match hop.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.parameter()),
        };
        format!("sip:{}@{address}{transport};line={}", line.config.contact_user, line.token)
    }

    /// A connection is gone: lines that were registered by it are not reached any more.
    pub(super) fn lines_lost(&mut self, now: Tick, hop: &Hop) {
        if !hop.transport.is_reliable() {
            return;
        }
        let lost: Vec<_> =
            self.lines.iter().filter(|(_, l)| l.hops.iter().any(|h| h.is_same_end(hop))).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some(line) = self.lines.get_mut(&id)
                && line.machine.state() == LineState::Registered
            {
                line.machine.handle_path_changed(now);
            }
            self.line_moves(now, id);
        }
    }

    pub(super) fn line_timeout(&mut self, now: Tick, id: LineId) {
        self.line_moves(now, id);
    }

    /// Sends what a line wants said, tells how it stands when that has changed, and forgets it when it is over.
    fn line_moves(&mut self, now: Tick, id: LineId) {
        let Some(line) = self.lines.get(&id) else { return };
        let before = line.machine.state();
        let due = line.machine.poll_timeout().is_some_and(|due| due <= now);
        if due && line.under_way.is_none() {
            self.register(now, id);
        }
        self.line_settles(id, before);
    }

    fn register(&mut self, now: Tick, id: LineId) {
        let Some(line) = self.lines.get(&id) else { return };
        // Without an address there is nobody to ask; `set_trunk_hops` comes back here.
        let Some(hop) = line.hops.first().cloned() else { return };
        let contact = self.line_contact(line, &hop);
        let random = self.random_octet();
        let Some(line) = self.lines.get_mut(&id) else { return };
        let Some(wish) = line.machine.wish(now, contact.as_bytes()) else { return };
        line.series.sequence += 1;
        let mut headers: Vec<_> = wish.contacts.iter().map(|c| ("Contact".to_owned(), to_text(c))).collect();
        headers.push(("Expires".to_owned(), wish.expires_s.to_string()));
        headers.push(("Supported".to_owned(), "path".to_owned()));
        let aor = format!("<{}>", line.config.aor);
        let request = OutOfDialog {
            to: aor.clone(),
            headers,
            account: Some(Arc::clone(&line.config.account)),
            series: Some(line.series.clone()),
            ..OutOfDialog::new(Method::Register, &line.config.registrar, line.hops.clone(), &aor)
        };
        let sent = self.request(now, &request);
        let Some(line) = self.lines.get_mut(&id) else { return };
        match sent {
            Ok(request) => line.under_way = Some(request),
            Err(_) => line.machine.handle_unsent(now, random),
        }
    }

    /// Takes the answer to a REGISTER; `false` = the request is not of a line.
    pub(super) fn line_answered(
        &mut self,
        now: Tick,
        request: RequestId,
        code: u16,
        message: Option<&Message>,
    ) -> bool {
        let Some(id) = self.lines.iter().find(|(_, l)| l.under_way == Some(request)).map(|(id, _)| *id) else {
            return false;
        };
        let random = self.random_octet();
        let Some(line) = self.lines.get_mut(&id) else { return false };
        line.under_way = None;
        let before = line.machine.state();
        line.machine.handle_answer(now, message.map(|m| (code, m)), random);
        // What challenges have cost in numbers is known to the request only: the next one must be above it.
        let used = message.and_then(|m| CoreFields::of(m).ok()).map(|c| c.cseq.number);
        line.series.sequence = line.series.sequence.max(used.unwrap_or(line.series.sequence + CHALLENGES));
        if let Some(seen) = message.and_then(seen_as).filter(|_| line.config.public.is_none()) {
            self.learn_address(now, id, seen);
        }
        self.line_settles(id, before);
        self.line_moves(now, id);
        true
    }

    /// A registrar has answered something else than REGISTER, and has said where it sees us: a NAT that has given us another
    /// port since is found out by the next OPTIONS, and calls do not go to the old one until the registration is refreshed.
    pub(super) fn lines_seen(&mut self, now: Tick, client: TransactionId, hop: &Hop, via: &Via) {
        // On streams the connection tells it (`lines_lost`).
        if hop.transport.is_reliable() || self.lines.is_empty() {
            return;
        }
        let Some(seen) = via.received() else { return };
        let of_line = |request| self.lines.values().any(|line| line.under_way == Some(request));
        if self.clients.get(&client).is_some_and(|c| matches!(c.purpose, Purpose::Request(request) if of_line(request)))
        {
            return;
        }
        let sees_us =
            |line: &Line| line.config.public.is_none() && line.hops.first().is_some_and(|h| h.is_same_end(hop));
        let lines: Vec<_> = self.lines.iter().filter(|(_, line)| sees_us(line)).map(|(id, _)| *id).collect();
        for id in lines {
            self.learn_address(now, id, seen);
            self.rearm(TimerId::Line(id));
        }
    }

    /// The registrar sees us at that address.
    fn learn_address(&mut self, now: Tick, id: LineId, seen: SocketAddr) {
        let Some(line) = self.lines.get(&id) else { return };
        let Some(hop) = line.hops.first() else { return };
        let advertised = self.config.advertised.is_some() && !hop.address.ip().is_loopback();
        let own = self.address_towards(hop);
        // On streams only a foreign address says anything: the port is the connection's.
        let differs = if hop.transport.is_reliable() { seen.ip() != own.ip() } else { seen != own };
        let learnt = (differs && !advertised).then_some(seen);
        let Some(line) = self.lines.get_mut(&id) else { return };
        line.learnt = learnt;
        let registered = line.machine.contact().and_then(|c| Uri::parse(c).ok());
        let Some(line) = self.lines.get(&id) else { return };
        let Some(hop) = line.hops.first() else { return };
        let current = Uri::parse(self.line_contact(line, hop).as_bytes()).ok();
        let moved = match (registered, current) {
            (Some(a), Some(b)) => (a.host, a.port) != (b.host, b.port),
            _ => false,
        };
        if let Some(line) = self.lines.get_mut(&id).filter(|_| moved) {
            line.machine.handle_address_changed(now);
        }
    }

    fn line_settles(&mut self, id: LineId, before: LineState) {
        let Some(line) = self.lines.get(&id) else { return };
        let (status, gone) = (line.status(), line.dropped && line.machine.state() == LineState::Unregistered);
        if gone && line.under_way.is_none() {
            let account = Arc::clone(&status.account);
            self.lines.remove(&id);
            let token = self.lines.values().find(|l| l.config.account == account).map(|l| l.token.clone());
            self.directory.set_token(&account, token);
        }
        if status.state != before && !self.is_backlogged() {
            self.emit(SipEvent::Line(Box::new(status)));
        }
        self.rearm(TimerId::Line(id));
    }

    /// 64 bits that only the registrar is told, the same after a restart with the same secret.
    fn line_token(&self, config: &LineConfig) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(b"line\n");
        mac.update(config.account.as_bytes());
        mac.update(b"\n");
        mac.update(config.aor.as_bytes());
        mac.finalize().into_bytes()[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn random_octet(&mut self) -> u8 {
        let mut octet = [0];
        (self.config.random)(&mut octet);
        octet[0]
    }
}

impl Line {
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        // Without a hop it waits for one, not for time.
        if self.under_way.is_some() || self.hops.is_empty() { None } else { self.machine.poll_timeout() }
    }

    fn status(&self) -> LineStatus {
        LineStatus {
            account: Arc::clone(&self.config.account),
            state: self.machine.state(),
            aor: self.config.aor.clone(),
            contact: self.machine.contact().map(to_text),
            bound_until: self.machine.bound_until(),
            next: self.machine.poll_timeout(),
            last_answer: self.machine.last_answer().map(|(code, reason)| (code, reason.to_owned())),
        }
    }
}
