//! Who is let in (RFC 3261 §22.1, §26.1): from a request outside of dialogs to the [`Peer`] that it is from, a challenge, or
//! silence; and the registrar behind it. Purpose: scanners hear nothing, telephones prove themselves, trunks are known.
//! Invariants: who is not known costs no state, however much he sends; a source that guesses passwords is not heard for a
//! while; requests within dialogs are not asked again (their tags are secrets of 128 bits).
//! Deliberately absent: which numbers a peer may call (the call side's).

use std::net::IpAddr;

use super::admission::Admission;
use super::inbound::Headers;
use super::{Agent, SipEvent};
use crate::sip::auth::{Algorithm, Asker, Attempt, Authorization, Verdict, Verifier};
use crate::sip::hop::Hop;
use crate::sip::message::{CoreFields, Message, Method, Uri};
use crate::sip::peer::{Directory, Peer, Signs, Standing};
use crate::sip::registrar::{Binding, Intervals, Registrar, Reply};
use crate::time::Tick;

/// Requests per second that one source may be challenged for, and how many at once.
const CHALLENGES: (f64, f64) = (20.0, 100.0);
/// Wrong passwords per second that one source may try, and how many at once.
const WRONG: (f64, f64) = (0.1, 10.0);
/// How long a nonce is good for: long enough for a call set-up, short enough to be of no use in a capture.
const NONCE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(300);

/// What the agent needs to know who speaks.
#[derive(Debug)]
pub(super) struct Doorman {
    verifier: Verifier,
    pub(super) registrar: Registrar,
    asked: Admission,
    wrong: Admission,
}

/// What becomes of a request before anybody looks at what it wants.
#[derive(Debug)]
pub(super) enum Entry {
    /// It is from that peer.
    Of(Peer),
    /// Answer this.
    Refused(u16, Headers),
    /// Answer nothing.
    Silence,
}

impl Doorman {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self {
            verifier: Verifier::new(secret, "callwright", &[Algorithm::Sha256, Algorithm::Md5], NONCE_LIFETIME),
            registrar: Registrar::new(Intervals::default()),
            asked: Admission::new(CHALLENGES.0, CHALLENGES.1),
            wrong: Admission::new(WRONG.0, WRONG.1),
        }
    }
}

impl Agent {
    /// Who may speak to us from now on. What was found out about trunks that stay (addresses, tokens) is kept; bindings of
    /// extensions that are no more are forgotten.
    pub fn set_directory(&mut self, mut directory: Directory) {
        directory.inherit(&self.directory);
        self.doorman.registrar.retain(|extension| directory.extension(extension).is_some());
        self.directory = directory;
    }

    /// How extensions are asked, and how long they may register.
    pub fn set_registrar(&mut self, realm: &str, algorithms: &[Algorithm], intervals: Intervals) {
        self.doorman.verifier = Verifier::new(self.secret, realm, algorithms, NONCE_LIFETIME);
        self.doorman.registrar.set_intervals(intervals);
    }

    /// Where an extension is reached now, the preferred place first.
    #[must_use]
    pub fn bindings(&self, now: Tick, extension: &str) -> Vec<Binding> {
        self.doorman.registrar.lookup(now, extension)
    }

    /// Takes up bindings that were kept over a restart ([`SipEvent::Bindings`] brought them).
    pub fn restore_bindings(&mut self, now: Tick, extension: &str, bindings: Vec<Binding>) {
        if self.directory.extension(extension).is_some() {
            self.doorman.registrar.restore(now, extension, bindings);
        }
    }

    fn is_attached(&self, source: IpAddr) -> bool {
        (self.config.accept_from)(source)
    }

    /// Whether anything from this address is read at all.
    pub(super) fn is_heard(&self, source: IpAddr) -> bool {
        self.is_peer(source) || self.directory.may_speak(source, self.is_attached(source))
    }

    /// Whether the address belongs to somebody who is configured, or to a neighbour where those are heard.
    pub(super) fn is_known(&self, source: IpAddr) -> bool {
        self.directory.is_known(source, self.is_attached(source))
    }

    /// Whether a request to this URI is for one of our lines.
    pub(super) fn is_for_a_line(&self, uri: &[u8]) -> bool {
        Uri::parse(uri).is_ok_and(|uri| uri.param("line").is_some_and(|token| self.directory.has_token(token)))
    }

    /// Who sends this request outside of dialogs.
    pub(super) fn identify(&mut self, now: Tick, hop: &Hop, request: &Message, core: &CoreFields, uri: &[u8]) -> Entry {
        let source = hop.address.ip();
        let parsed = Uri::parse(uri).ok();
        let from_user = Uri::parse(&core.from.uri).ok().and_then(|u| u.user).unwrap_or_default();
        let is_register = core.cseq.method == Method::Register;
        let has_answer = request.headers.iter().any(|h| h.name.as_bytes().eq_ignore_ascii_case(b"Authorization"));
        let signs = Signs {
            source: hop.address,
            token: parsed.as_ref().and_then(|u| u.param("line")),
            from_user: &from_user,
            offers_proof: is_register || has_answer,
            attached: self.is_attached(source),
        };
        let trunk = match self.directory.standing(&signs) {
            Standing::Unknown => return Entry::Silence,
            Standing::Known(peer) => return Entry::Of(peer),
            Standing::TrunkToProve(name) => Some(name),
            Standing::ExtensionToProve => None,
        };
        if !self.doorman.asked.admit(now, source) {
            return Entry::Silence;
        }
        let covered = Authorization { method: core.cseq.method.as_bytes(), uri, body: &request.body };
        let attempt = Attempt { request, covered, source };
        let directory = &self.directory;
        let verdict = self.doorman.verifier.check(now, &attempt, Asker::Server, |user| match &trunk {
            Some(name) => {
                let login = directory.trunk(name)?.proves.as_ref()?;
                (login.username == user).then(|| login.password.clone())
            }
            None => directory.extension_of_user(user).map(|e| e.login.password.clone()),
        });
        match (verdict, trunk) {
            (Verdict::Accepted { .. }, Some(name)) => Entry::Of(Peer::Trunk(name)),
            (Verdict::Accepted { username }, None) => match directory.extension_of_user(&username) {
                Some(e) if e.may_come_from(source, signs.attached) => Entry::Of(Peer::Extension(e.number.clone())),
                _ => Entry::Refused(403, Vec::new()),
            },
            (Verdict::Ask { stale }, _) => self.ask(now, source, stale),
            (Verdict::Wrong, _) if self.doorman.wrong.admit(now, source) => {
                self.counters.refused_password += 1;
                self.ask(now, source, false)
            }
            (Verdict::Wrong, _) => Entry::Silence,
        }
    }

    fn ask(&self, now: Tick, source: IpAddr, stale: bool) -> Entry {
        let values = self.doorman.verifier.ask(now, source, stale).into_iter();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        Entry::Refused(401, values.map(|v| (Asker::Server.challenge_header(), text(v))).collect())
    }

    /// The number that is called: by trunks it may stand in To, where the Request-URI is our Contact.
    pub(super) fn called(&self, peer: &Peer, uri: &[u8], to: &[u8]) -> Vec<u8> {
        let user = |uri: &[u8]| Uri::parse(uri).ok().and_then(|u| u.user).unwrap_or_default();
        let (request_user, to_user) = (user(uri), user(to));
        match peer.trunk().and_then(|name| self.directory.trunk(name)) {
            Some(trunk) => trunk.called(&request_user, &to_user, self.contact_user(&trunk.name)).to_vec(),
            None => request_user,
        }
    }

    /// REGISTER of an extension that has proved to be it (§10.3).
    pub(super) fn handle_register(
        &mut self,
        now: Tick,
        hop: &Hop,
        peer: &Peer,
        request: &Message,
        core: &CoreFields,
    ) -> (u16, Headers) {
        let Peer::Extension(number) = peer else { return (403, Vec::new()) };
        let aor = Uri::parse(&core.to.uri).ok().and_then(|u| u.user).unwrap_or_default();
        let is_own = aor == number.as_bytes()
            || self.directory.extension(number).is_some_and(|e| e.login.username.as_bytes() == aor);
        if !is_own {
            return (403, Vec::new());
        }
        let Reply { code, headers, changed } = self.doorman.registrar.register(now, number, request, core, hop);
        if changed && !self.is_backlogged() {
            let bindings = self.doorman.registrar.lookup(now, number);
            self.emit(SipEvent::Bindings { extension: number.clone(), bindings });
        }
        (code, headers)
    }
}
