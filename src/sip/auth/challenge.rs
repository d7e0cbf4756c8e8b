//! Challenges (RFC 7616 §3.3, RFC 3261 §22.2, §22.3). Purpose: from all `WWW-Authenticate` or `Proxy-Authenticate` lines of
//! a response to those challenges that we can answer, one per realm and the strongest of it (RFC 8760 §2.4).

use super::algorithm::Algorithm;
use super::grammar::{Scheme, schemes, write_quoted, write_token};
use crate::sip::message::{Message, Name};

/// Realms that are answered in one response.
const REALMS_MAX: usize = 4;

/// Octets of one field that an answer repeats.
const FIELD_MAX: usize = 1024;

/// Who asks, which decides the header fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    /// The user agent or registrar: 401.
    Server,
    /// A proxy on the way: 407.
    Proxy,
}

impl Asker {
    /// Who asks with this status code, if it asks at all.
    #[must_use]
    pub const fn of(code: u16) -> Option<Self> {
        match code {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// Header field of the challenge.
    #[must_use]
    pub const fn challenge_header(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    /// Header field of the answer.
    #[must_use]
    pub const fn answer_header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// What a digest covers (`qop`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protection {
    /// No `qop` at all, as in RFC 2069.
    Legacy,
    /// `auth`: method and URI.
    Request,
    /// `auth-int`: the body, too.
    Body,
}

impl Protection {
    /// The token; `None` where none is written.
    #[must_use]
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::Legacy => None,
            Self::Request => Some("auth"),
            Self::Body => Some("auth-int"),
        }
    }
}

/// One Digest challenge that we can answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// Realm, as between its quotes.
    pub realm: Vec<u8>,
    /// Nonce, likewise.
    pub nonce: Vec<u8>,
    /// Opaque, likewise.
    pub opaque: Option<Vec<u8>>,
    /// Only the nonce was too old; the digest was right.
    pub stale: bool,
    /// Hash function.
    pub algorithm: Algorithm,
    /// Whether it was named: older peers choke on an echo of what they have not said.
    pub names_algorithm: bool,
    /// What the answer covers.
    pub protection: Protection,
}

impl Challenge {
    /// `None` when a field is missing, or the algorithm or every `qop` is unknown.
    fn of(scheme: &Scheme) -> Option<Self> {
        if !scheme.is_digest() || scheme.is_ambiguous() {
            return None;
        }
        let algorithm = match scheme.get("algorithm") {
            Some(token) => Algorithm::parse(token)?,
            None => Algorithm::Md5,
        };
        let protection = match scheme.get("qop") {
            None => Protection::Legacy,
            Some(list) => {
                let offers =
                    |token: &[u8]| list.split(|&b| b == b',').any(|q| q.trim_ascii().eq_ignore_ascii_case(token));
                match (offers(b"auth"), offers(b"auth-int")) {
                    (true, _) => Protection::Request,
                    (false, true) => Protection::Body,
                    // `qop=""` is what some write for none.
                    _ if list.trim_ascii().is_empty() => Protection::Legacy,
                    _ => return None,
                }
            }
        };
        // All of it comes back in our answer, which is one line.
        if ["realm", "nonce", "opaque"].iter().any(|name| scheme.get(name).is_some_and(|v| v.len() > FIELD_MAX)) {
            return None;
        }
        Some(Self {
            realm: scheme.get("realm")?.to_vec(),
            nonce: scheme.get("nonce").filter(|n| !n.is_empty())?.to_vec(),
            opaque: scheme.get("opaque").map(<[u8]>::to_vec),
            stale: scheme.get("stale").is_some_and(|s| s.eq_ignore_ascii_case(b"true")),
            algorithm,
            names_algorithm: scheme.get("algorithm").is_some(),
            protection,
        })
    }

    /// As a header field value. What we write ourselves has nothing in it that needs an escape.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_quoted(&mut out, "realm", &self.realm);
        write_quoted(&mut out, "nonce", &self.nonce);
        if let Some(opaque) = &self.opaque {
            write_quoted(&mut out, "opaque", opaque);
        }
        if self.stale {
            write_token(&mut out, "stale", b"true");
        }
        if self.names_algorithm {
            write_token(&mut out, "algorithm", self.algorithm.token().as_bytes());
        }
        if let Some(token) = self.protection.token() {
            write_quoted(&mut out, "qop", token.as_bytes());
        }
        out
    }
}

/// The challenges of a response that we can answer: one per realm, in the order in which the realms come.
#[must_use]
pub fn challenges(response: &Message, asker: Asker) -> Vec<Challenge> {
    let mut best: Vec<Challenge> = Vec::new();
    let name = Name::parse(asker.challenge_header().as_bytes());
    let found = response.headers.iter().filter(|h| is_named(&h.name, &name)).flat_map(|h| schemes(&h.value));
    for challenge in found.filter_map(|s| Challenge::of(&s)) {
        match best.iter().position(|b| b.realm == challenge.realm) {
            Some(known) if best[known].algorithm < challenge.algorithm => best[known] = challenge,
            None if best.len() < REALMS_MAX => best.push(challenge),
            _ => {}
        }
    }
    best
}

/// Names that the parser has no variant for are kept as written, so case is still open.
fn is_named(found: &Name, wanted: &Name) -> bool {
    found.as_bytes().eq_ignore_ascii_case(wanted.as_bytes())
}

/// All Digest answers of a request in the fields of that kind.
pub(super) fn answers(request: &Message, asker: Asker) -> Vec<Scheme> {
    let name = Name::parse(asker.answer_header().as_bytes());
    let values = request.headers.iter().filter(|h| is_named(&h.name, &name));
    values.flat_map(|h| schemes(&h.value)).filter(Scheme::is_digest).collect()
}
