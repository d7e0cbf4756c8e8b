//! One-time leave to open a media stream. Pure; time and the tokens themselves are arguments. Purpose: the socket that comes
//! for a call is the one that the call's TwiML named. Invariants: a token opens one stream once, for one call, in its time;
//! tokens are looked up by digest, so that the time of a look-up tells nothing; the table is bounded, what is overdue makes
//! room first. Deliberately absent: randomness.

use crate::limits::TWILIO_TOKENS_MAX;
use crate::time::Tick;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::Duration;

/// Why a token opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// Never issued, or used before.
    #[error("this token was not issued, or has been used")]
    Unknown,
    /// Too late.
    #[error("this token has expired")]
    Expired,
    /// It belongs to another call.
    #[error("this token was issued for another call")]
    OtherCall,
}

#[derive(Debug)]
struct Issued<T> {
    until: Tick,
    /// The call that it was issued for; `None`: it was issued before that had a name.
    call: Option<String>,
    what: T,
}

/// Tokens that may still be used, and what each stands for.
#[derive(Debug)]
pub struct Tokens<T> {
    issued: HashMap<[u8; 32], Issued<T>>,
}

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Self { issued: HashMap::new() }
    }
}

impl<T> Tokens<T> {
    /// `token` stands for `what` from now on, for so long. False when too many are out.
    pub fn issue(&mut self, now: Tick, life: Duration, token: &str, call: Option<&str>, what: T) -> bool {
        if self.issued.len() >= TWILIO_TOKENS_MAX {
            self.issued.retain(|_, issued| issued.until > now);
        }
        let room = self.issued.len() < TWILIO_TOKENS_MAX;
        if room {
            let issued = Issued { until: now + life, call: call.map(str::to_owned), what };
            self.issued.insert(Sha256::digest(token).into(), issued);
        }
        room
    }

    /// Whether a token could be used now.
    #[must_use]
    pub fn is_good(&self, now: Tick, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.issued.get(&digest).is_some_and(|issued| issued.until > now)
    }

    /// Uses a token up.
    ///
    /// # Errors
    /// [`TokenError`]; whoever came with one that is wrong may not come again with it.
    pub fn redeem(&mut self, now: Tick, token: &str, call: &str) -> Result<T, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let issued = self.issued.remove(&digest).ok_or(TokenError::Unknown)?;
        if issued.until <= now {
            return Err(TokenError::Expired);
        }
        if issued.call.is_some_and(|named| named != call) {
            return Err(TokenError::OtherCall);
        }
        Ok(issued.what)
    }

    /// Takes back what can be used no more.
    pub fn take_expired(&mut self, now: Tick) -> usize {
        let before = self.issued.len();
        self.issued.retain(|_, issued| issued.until > now);
        before - self.issued.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    const LIFE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_opens_one_stream_once() {
        let mut tokens = Tokens::default();
        assert!(tokens.issue(at(0), LIFE, "one", Some("CA1"), 1) && tokens.issue(at(0), LIFE, "two", None, 2));
        assert_eq!(tokens.redeem(at(1), "three", "CA1"), Err(TokenError::Unknown));
        assert_eq!(tokens.redeem(at(1), "one", "CA1"), Ok(1));
        assert_eq!(tokens.redeem(at(1), "one", "CA1"), Err(TokenError::Unknown), "a replay");
        assert_eq!(tokens.redeem(at(1), "two", "CA7"), Ok(2));
    }

    #[test]
    fn it_ends_with_its_time_and_with_the_wrong_call() {
        let mut tokens = Tokens::default();
        tokens.issue(at(0), LIFE, "late", Some("CA1"), ());
        tokens.issue(at(0), LIFE, "stolen", Some("CA1"), ());
        assert_eq!(tokens.redeem(at(60), "late", "CA1"), Err(TokenError::Expired));
        assert_eq!(tokens.redeem(at(1), "stolen", "CA2"), Err(TokenError::OtherCall));
        assert_eq!(tokens.redeem(at(1), "stolen", "CA1"), Err(TokenError::Unknown), "a thief has spoilt it");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut tokens = Tokens::default();
        for n in 0..TWILIO_TOKENS_MAX {
            assert!(tokens.issue(at(0), LIFE, &n.to_string(), None, n));
        }
        assert!(!tokens.issue(at(1), LIFE, "more", None, 0));
        assert!(tokens.issue(at(61), LIFE, "more", None, 0));
        assert_eq!(tokens.take_expired(at(200)), 1);
    }
}
