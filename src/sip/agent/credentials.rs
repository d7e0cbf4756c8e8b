//! Challenges to our own requests (RFC 3261 §22.2, §22.3, §8.1.3.5). Purpose: whatever we send to a configured peer, INVITE
//! and BYE and REGISTER alike, is repeated once with credentials when that peer asks for them, and later requests bring
//! them unasked. Invariants: a challenge is answered only where the request went to an address that the owner has named for
//! the account; a realm is answered once, and once more when it says that the nonce was stale; the repeat has a new branch
//! and the next CSeq number, and the same Call-ID and From tag; ACK carries what its INVITE carried, CANCEL is never
//! repeated (§22.1). Deliberately absent: passwords that people type, credentials in URIs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Agent;
use super::leg::{Phase, TransactionId};
use super::table::{ClientTransaction, Purpose, TimerId};
use crate::limits;
use crate::sip::auth::{Asker, Authorization, Login, Session, challenges};
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::message::{Address, Message, Method, parse_datagram};
use crate::sip::peer::Network;
use crate::time::Tick;

/// Realms whose nonces are kept per account.
const SESSIONS_MAX: usize = 8;
/// Answers to challenges in the life of one request: two proxies and a server, each stale once.
const ANSWERS_MAX: usize = 6;

/// What answers the challenges of one configured peer.
#[derive(Debug)]
pub(super) struct Account {
    login: Login,
    networks: Vec<Network>,
    /// Where the owner has sent requests of this account.
    peers: Vec<IpAddr>,
    sessions: Vec<(Asker, Session)>,
}

/// A challenge that was answered for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answered {
    asker: Asker,
    realm: Vec<u8>,
    nonce: Vec<u8>,
}

/// All accounts, by name.
pub(super) type Accounts = HashMap<Arc<str>, Account>;

impl Account {
    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.peers.contains(&address) || self.networks.iter().any(|n| n.contains(address))
    }

    fn session(&mut self, asker: Asker, realm: &[u8]) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|(a, s)| *a == asker && s.realm() == realm).map(|(_, s)| s)
    }
}

impl Agent {
    /// Gives an account its login, or takes it away. Requests that name the account are answered for at the addresses that
    /// they were placed to and at those of `networks`, nowhere else.
    pub fn set_account(&mut self, name: &str, login: Option<Login>, networks: Vec<Network>) {
        let Some(login) = login else {
            self.accounts.remove(name);
            return;
        };
        match self.accounts.get_mut(name) {
            Some(account) => {
                if account.login != login {
                    account.sessions.clear();
                }
                (account.login, account.networks) = (login, networks);
            }
            None => {
                let account = Account { login, networks, peers: Vec::new(), sessions: Vec::new() };
                self.accounts.insert(name.into(), account);
            }
        }
    }

    /// The owner sends requests of the account there: challenges from there are its peer's.
    pub(super) fn trust(&mut self, account: Option<&Arc<str>>, addresses: impl IntoIterator<Item = IpAddr>) {
        let Some(account) = account.and_then(|name| self.accounts.get_mut(name)) else { return };
        for address in addresses {
            let address = address.to_canonical();
            if !account.peers.contains(&address) {
                if account.peers.len() >= limits::SIP_ACCOUNT_PEERS_MAX {
                    account.peers.remove(0);
                }
                account.peers.push(address);
            }
        }
    }

    /// Whether an address belongs to a trunk: it was found there, or the owner has named it.
    pub(super) fn is_of_trunk(&self, trunk: &Arc<str>, address: IpAddr) -> bool {
        let found =
            || self.trunk_hops.get(trunk).is_some_and(|hops| hops.iter().any(|hop| hop.address.ip() == address));
        self.accounts.get(trunk).is_some_and(|account| account.trusts(address)) || found()
    }

    /// Adds the answers that the request's account has nonces for, before anybody asks.
    pub(super) fn authorize(&mut self, client: &mut ClientTransaction) {
        let Some(name) = &client.request.account else { return };
        if matches!(client.request.method, Method::Ack | Method::Cancel) {
            return;
        }
        let Some(account) = self.accounts.get_mut(name) else { return };
        if account.sessions.is_empty() || !account.trusts(client.hop.address.ip()) {
            return;
        }
        let (head, body) = halves(&client.bytes);
        let covered = Authorization { method: client.request.method.as_bytes(), uri: &client.request.uri, body };
        let lines: Vec<_> =
            account.sessions.iter_mut().map(|(asker, s)| (*asker, s.answer(&account.login, &covered))).collect();
        client.bytes = rewritten(head, body, &[], &lines);
    }

    /// Repeats a challenged request with credentials; `false` = nothing answers this challenge: it is a refusal.
    pub(super) fn answer_challenge(&mut self, now: Tick, id: TransactionId, code: u16, response: &Message) -> bool {
        let Some(asker) = Asker::of(code) else { return false };
        if !self.may_be_repeated(id) {
            return false;
        }
        let cnonce = String::from_utf8(self.token()).unwrap_or_default();
        let Some(client) = self.clients.get_mut(&id) else { return false };
        let Some(account) = client.request.account.as_ref().and_then(|name| self.accounts.get_mut(name)) else {
            return false;
        };
        if !account.trusts(client.hop.address.ip()) || client.answered.len() >= ANSWERS_MAX {
            return false;
        }
        let mut answers = false;
        for challenge in challenges(response, asker) {
            let before: Vec<_> =
                client.answered.iter().filter(|a| a.asker == asker && a.realm == challenge.realm).collect();
            let again = challenge.stale && before.len() == 1 && before.iter().all(|a| a.nonce != challenge.nonce);
            if !account.login.holds_in(&challenge.realm) || !(before.is_empty() || again) {
                // Our password is wrong there: it must not be offered unasked again.
                account.sessions.retain(|(a, s)| *a != asker || s.realm() != challenge.realm);
                continue;
            }
            answers = true;
            client.answered.push(Answered { asker, realm: challenge.realm.clone(), nonce: challenge.nonce.clone() });
            account.sessions.retain(|(a, s)| *a != asker || s.realm() != challenge.realm);
            if account.sessions.len() >= SESSIONS_MAX {
                account.sessions.remove(0);
            }
            account.sessions.push((asker, Session::new(challenge, cnonce.clone())));
        }
        if answers {
            self.repeat(now, id);
        }
        answers
    }

    /// Whether the user still wants it, and it is no request that cannot be repeated.
    fn may_be_repeated(&self, id: TransactionId) -> bool {
        let Some(client) = self.clients.get(&id) else { return false };
        let wanted = match &client.purpose {
            Purpose::Invite { leg, .. } => {
                self.legs.get(leg).is_some_and(|leg| leg.calls_by(id) && leg.hang_up.is_none())
            }
            Purpose::Cancel => false,
            _ => true,
        };
        wanted && !client.left && !matches!(client.request.method, Method::Ack | Method::Cancel)
    }

    /// Sends the request of a transaction again as a new one, which takes its number over: whoever waits for that number
    /// hears of the new one. The old one stays under another number for repeats of its response.
    fn repeat(&mut self, now: Tick, id: TransactionId) {
        let sequence = self.next_sequence(id);
        let Some(client) = self.clients.get(&id) else { return };
        let (hop, method) = (client.hop.clone(), client.request.method.clone());
        let (via, key) = self.new_via(&hop, method);
        let Some(mut old) = self.clients.remove(&id) else { return };
        let mut request = old.request.clone();
        request.sequence = sequence;
        let (head, body) = halves(&old.bytes);
        let number = format!("{sequence} {}", String::from_utf8_lossy(request.method.as_bytes()));
        let bytes = rewritten(head, body, &[("Via", &via), ("CSeq", number.as_bytes())], &[]);
        let next = ClientTransaction::new(
            old.machine.again(now, &hop),
            key,
            request,
            via,
            bytes,
            hop,
            std::mem::replace(&mut old.purpose, Purpose::Bye(None)),
        );
        let mut next = ClientTransaction {
            contact: old.contact.clone(),
            answered: old.answered.clone(),
            ..next.or_by(now, std::mem::take(&mut old.alternatives))
        };
        old.left = true;
        self.authorize(&mut next);
        let spare = self.new_id();
        self.client_keys.insert(old.key.clone(), spare);
        self.clients.insert(spare, old);
        if let Purpose::Invite { leg, .. } = &next.purpose {
            let leg = *leg;
            if let Some(Phase::Calling(calling)) = self.legs.get_mut(&leg).map(|leg| &mut leg.phase) {
                calling.heard &= calling.transaction != id;
                calling.early_answer = None;
            }
            self.leave_forks(leg, Some(id), false);
        }
        self.insert_client(id, next);
        self.rearm(TimerId::Client(spare));
    }

    /// The next CSeq number of whatever the request belongs to.
    fn next_sequence(&mut self, id: TransactionId) -> u32 {
        let Some(request) = self.clients.get(&id).map(|c| &c.request) else { return 1 };
        let tag = |value: &[u8]| Address::parse(value).ok().and_then(|a| a.tag().map(<[u8]>::to_vec));
        let next = (request.sequence + 1) & 0x7fff_ffff;
        let (Some(local_tag), Some(remote_tag)) = (tag(&request.from), tag(&request.to)) else { return next };
        let dialog = DialogId { call_id: request.call_id.clone(), local_tag, remote_tag };
        let leg = self.dialogs.get(&dialog).and_then(|leg| self.legs.get_mut(leg));
        leg.and_then(|leg| leg.dialog_mut(&dialog)).map_or(next, Dialog::advance)
    }

    /// The answers that an INVITE carried, for the ACK to its 2xx (§22.1).
    pub(super) fn answers_of(&self, dialog: &Dialog, sequence: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
        if dialog.account().is_none() {
            return Vec::new();
        }
        let is_its_invite = |c: &&ClientTransaction| {
            let request = &c.request;
            let same = request.call_id == dialog.id.call_id && request.sequence == sequence;
            same && request.method == Method::Invite && !c.left
        };
        self.clients.values().find(is_its_invite).map(|c| answers_in(&c.bytes)).unwrap_or_default()
    }

    /// A final answer other than a challenge: the peer may name the nonce for what comes next (RFC 7616 §3.5).
    pub(super) fn note_next_nonce(&mut self, id: TransactionId, response: &Message) {
        let Some(client) = self.clients.get(&id) else { return };
        let Some(account) = client.request.account.as_ref().and_then(|name| self.accounts.get_mut(name)) else {
            return;
        };
        if !account.trusts(client.hop.address.ip()) {
            return;
        }
        for (asker, name) in [(Asker::Server, "Authentication-Info"), (Asker::Proxy, "Proxy-Authentication-Info")] {
            let info = response.headers.iter().find(|h| h.name.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
            let Some(nonce) = info.and_then(|h| next_nonce(&h.value)) else { continue };
            let Some(answered) = client.answered.iter().rev().find(|a| a.asker == asker) else { continue };
            if let Some(session) = account.session(asker, &answered.realm) {
                session.renew(nonce);
            }
        }
    }
}

/// The value of `nextnonce`, as between its quotes.
fn next_nonce(value: &[u8]) -> Option<Vec<u8>> {
    let at = value.windows(11).position(|w| w.eq_ignore_ascii_case(b"nextnonce=\""))? + 11;
    let end = value[at..].iter().position(|&b| b == b'"')?;
    (end > 0).then(|| value[at..at + end].to_vec())
}

/// Answers to challenges in a request of ours.
fn answers_in(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let Ok(message) = parse_datagram(bytes) else { return Vec::new() };
    let is_answer = |name: &[u8]| [Asker::Server, Asker::Proxy].iter().any(|a| name == a.answer_header().as_bytes());
    let found = message.headers.into_iter().filter(|h| is_answer(h.name.as_bytes()));
    found.map(|h| (h.name.as_bytes().to_vec(), h.value)).collect()
}

/// Head without the empty line, and body, of a message that we have written.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 4..).unwrap_or_default())
}

/// A message of ours with other values of some header fields (the first line of each) and these answers and no others.
fn rewritten(head: &[u8], body: &[u8], values: &[(&str, &[u8])], answers: &[(Asker, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + body.len() + 512);
    let mut written = vec![false; values.len()];
    for line in head.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)) {
        let name = line.iter().position(|&b| b == b':').map_or(&b""[..], |colon| &line[..colon]);
        if [Asker::Server, Asker::Proxy].iter().any(|a| name == a.answer_header().as_bytes()) {
            continue;
        }
        match values.iter().position(|(n, _)| n.as_bytes() == name).filter(|n| !written[*n]) {
            Some(n) => {
                written[n] = true;
                out.extend_from_slice(name);
                out.extend_from_slice(b": ");
                out.extend_from_slice(values[n].1);
            }
            None => out.extend_from_slice(line),
        }
        out.extend_from_slice(b"\r\n");
    }
    // A Request-URI that fills a line leaves no room for a line that repeats it: then the request goes without.
    for (asker, value) in answers.iter().filter(|(_, value)| value.len() < limits::SIP_LINE_MAX - 64) {
        out.extend_from_slice(asker.answer_header().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_rewritten_line_by_line() {
        let message = b"BYE sip:a@h SIP/2.0\r\nVia: one\r\nRoute: <sip:p;lr>\r\nCSeq: 4 BYE\r\nAuthorization: old\r\nX: Via: y\r\nContent-Length: 5\r\n\r\n\r\nVia";
        let (head, body) = halves(message);
        assert_eq!(body, b"\r\nVia");
        let after =
            rewritten(head, body, &[("Via", b"two"), ("CSeq", b"5 BYE")], &[(Asker::Proxy, b"Digest x".to_vec())]);
        assert_eq!(
            String::from_utf8(after).unwrap(),
            "BYE sip:a@h SIP/2.0\r\nVia: two\r\nRoute: <sip:p;lr>\r\nCSeq: 5 BYE\r\nX: Via: y\r\nContent-Length: 5\r\nProxy-Authorization: Digest x\r\n\r\n\r\nVia"
        );
    }

    #[test]
    fn the_next_nonce_is_read() {
        assert_eq!(next_nonce(b"qop=auth, NextNonce=\"ab+/=\", rspauth=\"1\"").as_deref(), Some(&b"ab+/="[..]));
        for nothing in [&b"qop=auth"[..], b"nextnonce=\"\"", b"nextnonce=\"open", b"nextnonce=x"] {
            assert_eq!(next_nonce(nothing), None);
        }
    }
}
