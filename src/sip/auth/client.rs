//! Our answers (RFC 7616 §3.4). Purpose: the `Authorization` value for one request, and the nonce that later requests of
//! the same login may use without being asked again. Invariant: a nonce count is never used twice.

use super::algorithm::Algorithm;
use super::challenge::{Challenge, Protection};
use super::grammar::{escaped, write_quoted, write_token};
use super::login::Login;

/// What of a request the digest is made over.
#[derive(Clone, Copy, Debug)]
pub struct Authorization<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Request-URI as written.
    pub uri: &'a [u8],
    /// Body; counts with `auth-int` only.
    pub body: &'a [u8],
}

/// A challenge that was accepted, and how often its nonce has been used.
#[derive(Clone, Debug)]
pub struct Session {
    challenge: Challenge,
    cnonce: String,
    count: u32,
}

impl Session {
    /// Begins with a challenge; `cnonce` is a fresh random token.
    #[must_use]
    pub const fn new(challenge: Challenge, cnonce: String) -> Self {
        Self { challenge, cnonce, count: 0 }
    }

    /// Realm of the challenge.
    #[must_use]
    pub fn realm(&self) -> &[u8] {
        &self.challenge.realm
    }

    /// Nonce of the challenge.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.challenge.nonce
    }

    /// The peer names the nonce for what comes next (`Authentication-Info`, RFC 7616 §3.5).
    pub fn renew(&mut self, nonce: Vec<u8>) {
        if nonce != self.challenge.nonce {
            self.challenge.nonce = nonce;
            self.count = 0;
        }
    }

    /// The header field value for the next request.
    #[must_use]
    pub fn answer(&mut self, login: &Login, request: &Authorization<'_>) -> Vec<u8> {
        self.count = self.count.saturating_add(1);
        let Challenge { realm, nonce, opaque, algorithm, names_algorithm, protection, .. } = &self.challenge;
        let (username, count) = (escaped(&login.username), format!("{:08x}", self.count));
        let secret = algorithm.secret(&username, realm, login.password.octets(), nonce, self.cnonce.as_bytes());
        let proof = Proof { algorithm: *algorithm, nonce, count: count.as_bytes(), cnonce: self.cnonce.as_bytes() };
        let response = proof.response(&secret, *protection, request);
        let mut out = Vec::new();
        write_quoted(&mut out, "username", &username);
        write_quoted(&mut out, "realm", realm);
        write_quoted(&mut out, "nonce", nonce);
        write_quoted(&mut out, "uri", request.uri);
        write_quoted(&mut out, "response", response.as_bytes());
        if *names_algorithm {
            write_token(&mut out, "algorithm", algorithm.token().as_bytes());
        }
        if *protection != Protection::Legacy || algorithm.is_session() {
            write_quoted(&mut out, "cnonce", self.cnonce.as_bytes());
        }
        if let Some(opaque) = opaque {
            write_quoted(&mut out, "opaque", opaque);
        }
        if let Some(token) = protection.token() {
            write_token(&mut out, "qop", token.as_bytes());
            write_token(&mut out, "nc", count.as_bytes());
        }
        out
    }
}

/// What both sides know of one use of a nonce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) nonce: &'a [u8],
    pub(super) count: &'a [u8],
    pub(super) cnonce: &'a [u8],
}

impl Proof<'_> {
    /// `KD(H(A1), …:H(A2))`.
    pub(super) fn response(&self, secret: &str, protection: Protection, request: &Authorization<'_>) -> String {
        let h = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let covered = match protection {
            Protection::Body => h(&[request.method, request.uri, h(&[request.body]).as_bytes()]),
            Protection::Legacy | Protection::Request => h(&[request.method, request.uri]),
        };
        match protection.token() {
            None => h(&[secret.as_bytes(), self.nonce, covered.as_bytes()]),
            Some(qop) => {
                h(&[secret.as_bytes(), self.nonce, self.count, self.cnonce, qop.as_bytes(), covered.as_bytes()])
            }
        }
    }
}
