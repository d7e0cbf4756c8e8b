//! We ask (RFC 7616 §3.3, §5.4–5.5; RFC 3261 §22.4). Purpose: challenges that need no memory until somebody answers one
//! rightly, and a verdict on answers. Invariants: a nonce is bound to source address, realm and algorithm by an HMAC and
//! expires; a nonce count is accepted once; nonces that fell out of the bounded table are stale, never fresh; an unknown
//! user costs what a known one costs. Deliberately absent: `auth-int` (proxies may change bodies), `nextnonce`.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::algorithm::{Algorithm, hexadecimal};
use super::challenge::{Asker, Challenge, Protection, answers};
use super::client::{Authorization, Proof};
use super::grammar::Scheme;
use super::login::Password;
use crate::limits;
use crate::sip::message::{Message, Uri};
use crate::time::Tick;

/// Counts behind the highest one that may still come: requests overtake each other on UDP.
const WINDOW: u32 = 64;

/// A request that may carry an answer.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The request.
    pub request: &'a Message,
    /// What its digest is made over.
    pub covered: Authorization<'a>,
    /// Where it came from.
    pub source: IpAddr,
}

/// What an attempt amounts to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is that user.
    Accepted {
        /// User name.
        username: String,
    },
    /// No answer for our realm, or one with a nonce that is too old: ask (again); nothing speaks against the sender.
    Ask {
        /// The digest was right, its nonce was not.
        stale: bool,
    },
    /// A wrong password or a user that there is not: ask again, and count it against the sender.
    Wrong,
}

/// Asks and checks, for one realm.
pub struct Verifier {
    secret: [u8; 32],
    realm: String,
    algorithms: Vec<Algorithm>,
    lifetime: Duration,
    used: HashMap<Vec<u8>, Used>,
    /// Nonces of `used` in the order in which they were issued.
    issued: BTreeMap<(Tick, Vec<u8>), ()>,
    /// Nonces issued up to here that are not in `used` have been forgotten: they are stale.
    forgotten: Option<Tick>,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    highest: u32,
    /// Bit n: `highest - n` has come.
    seen: u64,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("realm", &self.realm).field("used", &self.used.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Asks for `realm` with these algorithms, the preferred one first. `secret` makes nonces unforgeable; kept over a
    /// restart it keeps them valid.
    #[must_use]
    pub fn new(secret: [u8; 32], realm: &str, algorithms: &[Algorithm], lifetime: Duration) -> Self {
        let realm = realm.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        Self {
            secret,
            realm,
            algorithms: algorithms.to_vec(),
            lifetime,
            used: HashMap::new(),
            issued: BTreeMap::new(),
            forgotten: None,
        }
    }

    /// Realm that is asked for.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The challenge header field values for a request from `source`, the preferred one first.
    #[must_use]
    pub fn ask(&self, now: Tick, source: IpAddr, stale: bool) -> Vec<Vec<u8>> {
        let challenge = |algorithm: &Algorithm| Challenge {
            realm: self.realm.clone().into_bytes(),
            nonce: self.nonce(now, source, *algorithm),
            opaque: None,
            stale,
            algorithm: *algorithm,
            names_algorithm: true,
            protection: Protection::Request,
        };
        self.algorithms.iter().map(|a| challenge(a).write()).collect()
    }

    /// Checks a request; `password` finds the secret of a user.
    pub fn check(
        &mut self,
        now: Tick,
        attempt: &Attempt<'_>,
        asker: Asker,
        password: impl Fn(&str) -> Option<Password>,
    ) -> Verdict {
        let answers = answers(attempt.request, asker);
        let ours = answers.iter().find(|s| s.get("realm") == Some(self.realm.as_bytes()));
        match ours {
            None => Verdict::Ask { stale: false },
            Some(answer) => self.judge(now, attempt, answer, password).unwrap_or(Verdict::Wrong),
        }
    }

    /// `None`: what is there is no sound answer.
    fn judge(
        &mut self,
        now: Tick,
        attempt: &Attempt<'_>,
        answer: &Scheme,
        password: impl Fn(&str) -> Option<Password>,
    ) -> Option<Verdict> {
        if answer.is_ambiguous() {
            return None;
        }
        let username = std::str::from_utf8(answer.get("username")?).ok()?;
        let (nonce, response, uri) = (answer.get("nonce")?, answer.get("response")?, answer.get("uri")?);
        let algorithm = match answer.get("algorithm") {
            Some(token) => Algorithm::parse(token)?,
            None => Algorithm::Md5,
        };
        if !self.algorithms.contains(&algorithm) || !is_same_target(uri, attempt.covered.uri) {
            return None;
        }
        let (protection, count) = match answer.get("qop") {
            None => (Protection::Legacy, None),
            Some(qop) if qop.eq_ignore_ascii_case(b"auth") => (Protection::Request, Some(answer.get("nc")?)),
            Some(_) => return None,
        };
        let cnonce = answer.get("cnonce").unwrap_or_default();
        // The same work is done for a user that there is not, with a password that nobody can have.
        let known = password(username);
        let tried = known.clone().unwrap_or_else(|| Password::new(hexadecimal(&self.secret)));
        let realm = self.realm.as_bytes();
        let secret = algorithm.secret(username.as_bytes(), realm, tried.octets(), nonce, cnonce);
        let proof = Proof { algorithm, nonce, count: count.unwrap_or_default(), cnonce };
        let expected = proof.response(&secret, protection, &Authorization { uri, ..attempt.covered });
        let right = is_equal(expected.as_bytes(), &response.to_ascii_lowercase());
        if !black_box(right & known.is_some()) {
            return None;
        }
        let count = match count {
            None => None,
            Some(digits) if digits.len() <= 8 => Some(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?),
            Some(_) => return None,
        };
        if !self.take(now, attempt.source, algorithm, nonce, count) {
            return Some(Verdict::Ask { stale: true });
        }
        Some(Verdict::Accepted { username: username.to_owned() })
    }

    /// Uses a nonce up to `count`; without a count the whole of it. `false`: it is not ours, too old, or was used.
    fn take(&mut self, now: Tick, source: IpAddr, algorithm: Algorithm, nonce: &[u8], count: Option<u32>) -> bool {
        let Some(issued) = self.issued_at(source, algorithm, nonce) else { return false };
        if issued > now || now.since(issued) > self.lifetime {
            return false;
        }
        let count = count.unwrap_or(u32::MAX);
        if let Some(used) = self.used.get_mut(nonce) {
            return used.take(count);
        }
        if self.forgotten.is_some_and(|until| issued <= until) || count == 0 {
            return false;
        }
        self.make_room(now);
        self.used.insert(nonce.to_vec(), Used { highest: count, seen: 1 });
        self.issued.insert((issued, nonce.to_vec()), ());
        true
    }

    /// Forgets nonces that have expired, and the oldest one when the table is full all the same.
    fn make_room(&mut self, now: Tick) {
        while let Some(((issued, nonce), ())) = self.issued.first_key_value() {
            let expired = now.since(*issued) > self.lifetime;
            if !expired && self.used.len() < limits::SIP_NONCES_MAX {
                break;
            }
            if !expired {
                self.forgotten = Some(*issued);
            }
            self.used.remove(nonce);
            self.issued.pop_first();
        }
    }

    /// `TTTTTTTTTTTTTTTT` + HMAC, in hexadecimal: when it was issued, and that it was by us, to that address.
    fn nonce(&self, at: Tick, source: IpAddr, algorithm: Algorithm) -> Vec<u8> {
        let mut nonce = hexadecimal(&at.0.to_be_bytes()).into_bytes();
        nonce.extend_from_slice(hexadecimal(&self.seal(at, source, algorithm)[..16]).as_bytes());
        nonce
    }

    fn issued_at(&self, source: IpAddr, algorithm: Algorithm, nonce: &[u8]) -> Option<Tick> {
        let digits = nonce.get(..16)?;
        let at = Tick(u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        is_equal(&self.nonce(at, source, algorithm), nonce).then_some(at)
    }

    fn seal(&self, at: Tick, source: IpAddr, algorithm: Algorithm) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(b"nonce\n");
        mac.update(&at.0.to_be_bytes());
        mac.update(source.to_canonical().to_string().as_bytes());
        mac.update(b"\n");
        mac.update(algorithm.token().as_bytes());
        mac.update(b"\n");
        mac.update(self.realm.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Used {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let by = count - self.highest;
            self.seen = if by >= WINDOW { 1 } else { self.seen << by | 1 };
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        let bit = 1u64.checked_shl(back).unwrap_or(0);
        if count == 0 || bit == 0 || self.seen & bit != 0 {
            return false;
        }
        self.seen |= bit;
        true
    }
}

/// Whether the `uri` of the answer means the Request-URI: some telephones leave parameters out, or a port.
fn is_same_target(answered: &[u8], requested: &[u8]) -> bool {
    if answered == requested {
        return true;
    }
    match (Uri::parse(answered), Uri::parse(requested)) {
        (Ok(a), Ok(b)) => a.user == b.user && a.host.eq_ignore_ascii_case(&b.host),
        _ => false,
    }
}

/// Compares in a time that depends on the lengths only.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && black_box(a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y))) == 0
}
