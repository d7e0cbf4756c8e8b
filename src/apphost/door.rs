//! Who may pass. Purpose: accounts with roles, their sessions, API keys, and how often somebody may try.
//! Owner: the app process's only thread. Invariants: of passwords, sessions and keys only digests are kept; a wrong name
//! takes as long as a wrong password; every counter and table here is bounded.
//! Deliberately absent: the pages about it (`settings`).

use super::database::{Database, DatabaseError};
use super::exchange::Request;
use super::token::{hex, same};
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::OptionalExtension;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Rounds of PBKDF2-HMAC-SHA-256 (RFC 8018; OWASP password storage, 2023).
const ROUNDS: u32 = 600_000;
/// The same for data that nobody will miss.
const ROUNDS_THROW_AWAY: u32 = 1_000;
/// A session ends after this.
const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Accounts of one app.
pub(super) const ACCOUNTS_MAX: i64 = 200;
/// Keys of one app.
pub(super) const KEYS_MAX: i64 = 100;
/// Buckets that are remembered of each kind.
const BUCKETS_MAX: usize = 4096;
/// Shortest password, characters.
pub(super) const PASSWORD_MIN: usize = 10;
/// Longest password, octets.
const PASSWORD_MAX: usize = 200;

/// What somebody may do; each may do what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Reads.
    Viewer,
    /// Changes records.
    Staff,
    /// Manages accounts, keys and webhooks.
    Admin,
}

impl Role {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "viewer" => Self::Viewer,
            "staff" => Self::Staff,
            "admin" => Self::Admin,
            _ => return None,
        })
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }
}

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) role: Role,
}

/// A program that is known.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) role: Role,
    pub(super) per_minute: u32,
}

/// Accounts, sessions and keys of one app.
#[derive(Debug)]
pub(super) struct Door {
    cookie_name: String,
    rounds: u32,
}

impl Door {
    pub(super) fn new(slug: &str, durable: bool) -> Self {
        Self { cookie_name: format!("session_{slug}"), rounds: if durable { ROUNDS } else { ROUNDS_THROW_AWAY } }
    }

    /// `Set-Cookie` of a session; an empty token ends it.
    pub(super) fn cookie(&self, token: &str) -> String {
        let age = if token.is_empty() { 0 } else { SESSION.as_secs() };
        format!("{}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax", self.cookie_name)
    }

    pub(super) fn any(&self, database: &Database) -> Result<bool, DatabaseError> {
        database.own(|c| c.prepare_cached("SELECT EXISTS (SELECT 1 FROM _accounts)")?.query_row([], |r| r.get(0)))
    }

    /// Whose session the request belongs to.
    pub(super) fn account(&self, database: &Database, request: &Request) -> Result<Option<Account>, DatabaseError> {
        let Some(token) = request.cookie(&self.cookie_name).filter(|t| t.len() == 64) else { return Ok(None) };
        let hash = digest(token);
        let row = database.own(|c| {
            let sql = "SELECT a.id, a.name, a.role FROM _sessions s JOIN _accounts a ON a.id = s.account
                       WHERE s.hash = ?1 AND s.expires > ?2";
            let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?));
            c.prepare_cached(sql)?.query_row((hash, now()), row).optional()
        })?;
        Ok(row.and_then(|(id, name, role)| Some(Account { id, name, role: Role::of(&role)? })))
    }

    /// The key that the request shows (RFC 6750 section 2.1).
    pub(super) fn key(&self, database: &Database, request: &Request) -> Result<Option<Key>, DatabaseError> {
        let Some(token) = request.header("authorization").strip_prefix("Bearer ") else { return Ok(None) };
        let hash = digest(token.trim());
        let row = database.own(|c| {
            let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, u32>(2)?));
            let mut found = c.prepare_cached("SELECT id, role, per_minute FROM _keys WHERE hash = ?1")?;
            found.query_row([hash], row).optional()
        })?;
        Ok(row.and_then(|(id, role, per_minute)| Some(Key { id, role: Role::of(&role)?, per_minute })))
    }

    /// Makes an account; `None`: the name is taken or there are too many.
    pub(super) fn add(
        &self,
        database: &Database,
        name: &str,
        password: &str,
        role: Role,
    ) -> Result<Option<i64>, DatabaseError> {
        let hidden = self.hide(password)?;
        database.own(|c| {
            let sql = "INSERT INTO _accounts (name, role, password) SELECT ?1, ?2, ?3
                       WHERE (SELECT count(*) FROM _accounts) < ?4 ON CONFLICT DO NOTHING RETURNING id";
            c.prepare_cached(sql)?.query_row((name, role.word(), hidden, ACCOUNTS_MAX), |r| r.get(0)).optional()
        })
    }

    /// Opens a session for whoever knows the password; returns its token.
    pub(super) fn sign_in(
        &self,
        database: &Database,
        name: &str,
        password: &str,
    ) -> Result<Option<String>, DatabaseError> {
        let row: Option<(i64, String)> = database.own(|c| {
            let mut found = c.prepare_cached("SELECT id, password FROM _accounts WHERE name = ?1")?;
            found.query_row([name], |r| Ok((r.get(0)?, r.get(1)?))).optional()
        })?;
        let (id, kept) = row.unwrap_or_else(|| (0, format!("{}$00$00", self.rounds)));
        if password.len() > PASSWORD_MAX || !fits(password, &kept) || id == 0 {
            return Ok(None);
        }
        self.open(database, id).map(Some)
    }

    /// Opens a session for the account called `id`; returns its token.
    pub(super) fn open(&self, database: &Database, id: i64) -> Result<String, DatabaseError> {
        let token = hex(&random()?);
        let expires = now() + i64::try_from(SESSION.as_secs()).unwrap_or(0);
        database.own(|c| {
            c.execute("DELETE FROM _sessions WHERE expires <= ?1", [now()])?;
            c.execute(
                "INSERT INTO _sessions (hash, account, expires) VALUES (?1, ?2, ?3)",
                (digest(&token), id, expires),
            )
        })?;
        Ok(token)
    }

    /// Ends the request's session.
    pub(super) fn close(&self, database: &Database, request: &Request) -> Result<(), DatabaseError> {
        let hash = digest(request.cookie(&self.cookie_name).unwrap_or_default());
        database.own(|c| c.execute("DELETE FROM _sessions WHERE hash = ?1", [hash])).map(|_| ())
    }

    /// Makes a key; its text is returned once and never kept.
    pub(super) fn add_key(
        &self,
        database: &Database,
        name: &str,
        role: Role,
        per_minute: u32,
    ) -> Result<Option<String>, DatabaseError> {
        let text = format!("key_{}", hex(&random()?));
        let made = database.own(|c| {
            let sql = "INSERT INTO _keys (name, hash, role, per_minute) SELECT ?1, ?2, ?3, ?4
                       WHERE (SELECT count(*) FROM _keys) < ?5";
            c.execute(sql, (name, digest(&text), role.word(), per_minute, KEYS_MAX))
        })?;
        Ok((made == 1).then_some(text))
    }

    fn hide(&self, password: &str) -> Result<String, DatabaseError> {
        let salt = hex(&random()?[..16]);
        let hash = hex(&stretch(password, &salt, self.rounds));
        Ok(format!("{}${salt}${hash}", self.rounds))
    }
}

/// Whether `password` may be one.
pub(super) fn password_fault(password: &str) -> Option<String> {
    if password.chars().count() < PASSWORD_MIN {
        return Some(format!("Choose a password of {PASSWORD_MIN} characters or more."));
    }
    (password.len() > PASSWORD_MAX).then(|| "That password is too long.".to_owned())
}

fn fits(password: &str, kept: &str) -> bool {
    let mut parts = kept.split('$');
    let (Some(rounds), Some(salt), Some(hash)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(rounds) = rounds.parse::<u32>() else { return false };
    same(&hex(&stretch(password, salt, rounds)), hash)
}

/// PBKDF2 with one block of output (RFC 8018 section 5.2).
fn stretch(password: &str, salt: &str, rounds: u32) -> [u8; 32] {
    // A key of any length is a key (RFC 2104).
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password.as_bytes()) else { return [0; 32] };
    let mut last = keyed.clone().chain_update(salt).chain_update(1u32.to_be_bytes()).finalize().into_bytes();
    let mut sum = last;
    for _ in 1..rounds {
        last = keyed.clone().chain_update(last).finalize().into_bytes();
        sum.iter_mut().zip(&last).for_each(|(s, l)| *s ^= l);
    }
    sum.into()
}

/// Signature of `body` at `at` (seconds of Unix time), as webhooks carry it in `x-signature`: `t=…,v1=…`, HMAC-SHA-256 of time,
/// dot and body in hexadecimal.
#[must_use]
pub fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    let mac = keyed.chain_update(format!("{at}.")).chain_update(body).finalize().into_bytes();
    format!("t={at},v1={}", hex(&mac))
}

/// Whether `signature` is one of `secret` for `body`, not older than five minutes.
pub(super) fn is_signed(secret: &str, signature: &str, body: &[u8]) -> bool {
    let at = signature.strip_prefix("t=").and_then(|s| s.split(',').next()).and_then(|t| t.parse::<i64>().ok());
    let Some(at) = at.filter(|t| now().abs_diff(*t) <= 300) else { return false };
    same(&sign(secret, at, body), signature)
}

/// Seconds of Unix time.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn random() -> Result<[u8; 32], DatabaseError> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(|e| DatabaseError::Other(format!("no random numbers: {e}")))?;
    Ok(octets)
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    /// It is full again after this without a try.
    per: Duration,
}

/// How often somebody may do something: a bucket of tokens each.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// A table for each kind: one that is full refuses nobody elsewhere.
    kinds: BTreeMap<&'static str, BTreeMap<String, Bucket>>,
}

impl Throttle {
    /// Takes one of `most` tokens that come back within `per`; returns those left, or the seconds to wait.
    pub(super) fn take(&mut self, what: &'static str, who: &str, most: u32, per: Duration) -> Result<u32, u64> {
        let buckets = self.kinds.entry(what).or_default();
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.at.elapsed() < bucket.per);
        }
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(who) {
            return Err(per.as_secs());
        }
        let (most_f, time) = (f64::from(most), Instant::now());
        let bucket = buckets.entry(who.to_owned()).or_insert(Bucket { tokens: most_f, at: time, per });
        let back = time.duration_since(bucket.at).as_secs_f64() * most_f / per.as_secs_f64();
        *bucket = Bucket { tokens: (bucket.tokens + back).min(most_f), at: time, per };
        if bucket.tokens < 1.0 {
            return Err(((1.0 - bucket.tokens) * per.as_secs_f64() / most_f).ceil().max(1.0) as u64);
        }
        bucket.tokens -= 1.0;
        Ok(bucket.tokens as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answer_of_pbkdf2_hmac_sha_256() {
        // RFC 7914 section 11.
        let wanted = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(hex(&stretch("passwd", "salt", 1)), wanted);
    }

    #[test]
    fn a_signature_fits_one_secret_one_body_and_one_time() {
        let at = now();
        let signed = sign("s", at, b"{}");
        assert!(is_signed("s", &signed, b"{}"));
        assert!(!is_signed("t", &signed, b"{}"));
        assert!(!is_signed("s", &signed, b"{ }"));
        assert!(!is_signed("s", &sign("s", at - 301, b"{}"), b"{}"));
        assert!(!is_signed("s", "t=,v1=", b"{}"));
        assert!(!is_signed("s", &sign("s", i64::MIN, b"{}"), b"{}"));
    }

    #[test]
    fn a_bucket_empties_and_says_how_long_to_wait() {
        let mut throttle = Throttle::default();
        let hour = Duration::from_secs(3600);
        assert_eq!(throttle.take("x", "a", 2, hour), Ok(1));
        assert_eq!(throttle.take("x", "a", 2, hour), Ok(0));
        assert!(throttle.take("x", "a", 2, hour).is_err_and(|wait| (1..=1800).contains(&wait)));
        assert_eq!(throttle.take("x", "b", 2, hour), Ok(1));
    }

    #[test]
    fn a_full_table_refuses_nobody_of_another_kind_and_nobody_whom_it_knows() {
        let mut throttle = Throttle::default();
        let hour = Duration::from_secs(3600);
        for n in 0..BUCKETS_MAX {
            assert_eq!(throttle.take("name", &n.to_string(), 2, hour), Ok(1));
        }
        assert!(throttle.take("name", "another", 2, hour).is_err());
        assert_eq!(throttle.take("name", "7", 2, hour), Ok(0));
        assert_eq!(throttle.take("address", "another", 2, Duration::from_nanos(1)), Ok(1));
        // Another's shorter time forgives nobody.
        assert!(throttle.take("name", "another", 2, Duration::from_nanos(1)).is_err());
    }
}
