//! Who may use the API. Purpose: with a token configured every request bears it (RFC 6750), from this machine too, since a
//! proxy on it would make everybody local. Invariants: tokens are compared by digest in constant time; whoever guesses is
//! slowed to a few tries a minute, however many addresses of one network are used; the table of who guessed is bounded.
//! Deliberately absent: users and roles.

use super::events;
use super::problem::Problem;
use super::webrtc::{self, Resource};
use crate::limits::HTTP_GUESSERS_MAX;
use crate::os::clock;
use crate::sip::transport::network;
use crate::time::Tick;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Wrong tokens that one source may send at once.
const GUESSES: u32 = 10;
/// It may send one more after this.
const GUESS_EVERY: Duration = Duration::from_secs(6);

/// What load balancers and service managers look at, and the pages that ask for the token.
const OPEN: [&str; 10] = [
    "/",
    "/call",
    "/call.css",
    "/call.js",
    "/client.d.ts",
    "/client.js",
    "/health/live",
    "/health/ready",
    "/page.css",
    "/page.js",
];

/// A request that was let in without a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anonymous;

/// What Twilio asks for: it signs its requests, and has no token of ours.
const SIGNED: [&str; 3] = ["/incoming", "/incoming/status", "/media"];

/// Whether whoever asks for this proves itself by a signature, under whatever name it has for us.
pub(super) fn is_signed(path: &str) -> bool {
    SIGNED.contains(&path)
}

/// Who may use the API.
#[derive(Debug, Default)]
pub struct Access {
    /// SHA-256 of the token.
    token: Option<RwLock<[u8; 32]>>,
    /// Browsers may call without one.
    callers: bool,
    guesses: Mutex<Guesses>,
}

impl Access {
    /// Everybody who reaches it; for loopback.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Whoever bears `token`.
    #[must_use]
    pub fn by_token(token: &str) -> Self {
        Self { token: Some(RwLock::new(Sha256::digest(token).into())), callers: false, guesses: Mutex::default() }
    }

    /// The same, but browsers may call without a token.
    #[must_use]
    pub const fn with_callers(mut self, callers: bool) -> Self {
        self.callers = callers;
        self
    }

    /// Whether a token is needed.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        self.token.is_some()
    }

    /// Another token from now on. `false`: none was needed so far, which only a restart changes.
    pub fn replace(&self, token: &str) -> bool {
        let Some(held) = &self.token else { return false };
        *held.write().unwrap_or_else(PoisonError::into_inner) = Sha256::digest(token).into();
        true
    }

    fn check(&self, headers: &HeaderMap, from: IpAddr, now: Tick) -> Result<(), Denied> {
        let Some(token) = &self.token else { return Ok(()) };
        let Some(given) = bearer(headers) else { return Err(Denied::Absent) };
        // Guesses beyond the allowance are not looked at, or it would be none.
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = guesses.wait(from, now) {
            return Err(Denied::TooMany(wait));
        }
        let token = *token.read().unwrap_or_else(PoisonError::into_inner);
        if equal(&token, &Sha256::digest(given).into()) {
            return Ok(());
        }
        guesses.handle_wrong(from, now);
        Err(Denied::Wrong)
    }
}

/// What stands behind "Bearer", or among the subprotocols of a WebSocket, for which a page can set no field.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return events::token(headers).map(str::as_bytes) };
    let value = value.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// Whether a token is shown, of whatever kind.
fn bears(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || bearer(headers).is_some()
}

/// Takes as long for any two digests.
fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    black_box(one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b))) == 0
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Absent,
    Wrong,
    TooMany(Duration),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::Absent => (StatusCode::UNAUTHORIZED, "send the token of [http]: Authorization: Bearer …"),
            Self::Wrong => (StatusCode::UNAUTHORIZED, "this is not the token of [http]"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens came from this address"),
        };
        let mut response = Problem::new(status, detail).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Absent => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"callwright\""));
            }
            Self::Wrong => {
                let challenge = "Bearer realm=\"callwright\", error=\"invalid_token\"";
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Self::TooMany(wait) => {
                headers.insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
            }
        }
        response
    }
}

/// Lets through who may.
pub(super) async fn guard(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    if !access.is_guarded() || OPEN.contains(&request.uri().path()) || is_signed(request.uri().path()) {
        return next.run(request).await;
    }
    match webrtc::is_of(request.method(), request.uri().path()) {
        // Browsers ask for leave without the token, and learn nothing.
        Resource::Preflight => return next.run(request).await,
        Resource::Call if access.callers && !bears(request.headers()) => {
            request.extensions_mut().insert(Anonymous);
            return next.run(request).await;
        }
        Resource::Call | Resource::Other => {}
    }
    // A server without addresses does not exist; all its clients would share one allowance.
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let from = from.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    match access.check(request.headers(), from, clock::monotonic()) {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            tracing::warn!(%from, path = request.uri().path(), why = ?denied, "a request to the control API was refused");
            denied.into_response()
        }
    }
}

/// Wrong tokens, by source.
#[derive(Debug, Default)]
struct Guesses {
    /// When the source will have been forgiven everything.
    sources: HashMap<IpAddr, Tick>,
    /// The same for all sources that found no place.
    others: Tick,
}

impl Guesses {
    /// How long the source has to wait; `None`: it may try.
    fn wait(&self, from: IpAddr, now: Tick) -> Option<Duration> {
        let known = self.sources.get(&network(from)).copied();
        let until = match known {
            Some(until) => until,
            None if self.sources.len() >= HTTP_GUESSERS_MAX => self.others,
            None => return None,
        };
        let owed = until.since(now);
        let allowance = GUESS_EVERY * (GUESSES - 1);
        (owed > allowance).then(|| owed - allowance)
    }

    fn handle_wrong(&mut self, from: IpAddr, now: Tick) {
        if self.sources.len() >= HTTP_GUESSERS_MAX {
            self.sources.retain(|_, until| *until > now);
        }
        let full = self.sources.len() >= HTTP_GUESSERS_MAX;
        let until = match self.sources.get_mut(&network(from)) {
            Some(until) => until,
            None if full => &mut self.others,
            None => self.sources.entry(network(from)).or_default(),
        };
        *until = (*until).max(now) + GUESS_EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn headers(value: &str) -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    fn at(seconds: u64) -> Tick {
        Tick(1_000_000_000_000 + seconds * 1_000_000_000)
    }

    #[test]
    fn only_the_token_opens() {
        let access = Access::by_token(TOKEN);
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let check = |value: &str| access.check(&headers(value), from, at(0));
        assert_eq!(access.check(&HeaderMap::new(), from, at(0)), Err(Denied::Absent));
        assert_eq!(check("Basic 0123456789abcdef"), Err(Denied::Absent));
        assert_eq!(check("Bearer 0123456789abcdeg"), Err(Denied::Wrong));
        assert_eq!(check("Bearer "), Err(Denied::Wrong));
        assert_eq!(check("Bearer 0123456789abcdef0"), Err(Denied::Wrong));
        for good in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(Access::open().check(&HeaderMap::new(), from, at(0)), Ok(()));
        assert!(access.replace("another-token-of-ours") && !Access::open().replace("x"));
        assert_eq!(check("Bearer 0123456789abcdef"), Err(Denied::Wrong));
        assert_eq!(check("Bearer another-token-of-ours"), Ok(()));
    }

    #[test]
    fn who_guesses_waits_and_nobody_else_does() {
        let access = Access::by_token(TOKEN);
        let (guesser, friend) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let (wrong, right) = (headers("Bearer wrong"), headers(&format!("Bearer {TOKEN}")));
        for _ in 0..GUESSES {
            assert_eq!(access.check(&wrong, guesser, at(0)), Err(Denied::Wrong));
        }
        // Nor by another address of the same network, nor with a lucky guess.
        let neighbour = "2001:db8::2".parse().unwrap();
        assert!(matches!(access.check(&wrong, neighbour, at(0)), Err(Denied::TooMany(_))));
        assert_eq!(access.check(&right, guesser, at(0)), Err(Denied::TooMany(GUESS_EVERY)));
        assert_eq!(access.check(&right, friend, at(0)), Ok(()));
        // One more try at a time, and all of them in the end.
        assert_eq!(access.check(&wrong, guesser, at(6)), Err(Denied::Wrong));
        assert!(matches!(access.check(&wrong, guesser, at(6)), Err(Denied::TooMany(_))));
        assert_eq!(access.check(&right, guesser, at(200)), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_the_rest_share() {
        let access = Access::by_token(TOKEN);
        let wrong = headers("Bearer wrong");
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..HTTP_GUESSERS_MAX as u32 + 100 {
            let _ = access.check(&wrong, address(n), at(0));
        }
        assert_eq!(access.guesses.lock().unwrap().sources.len(), HTTP_GUESSERS_MAX);
        assert!(matches!(access.check(&wrong, address(9_000_000), at(0)), Err(Denied::TooMany(_))));
        // Who is forgiven makes room.
        assert_eq!(access.check(&wrong, address(9_000_001), at(3600)), Err(Denied::Wrong));
        assert_eq!(access.guesses.lock().unwrap().sources.len(), 1);
    }
}
