//! Whether a peer is there: OPTIONS at intervals (RFC 3261 §11.1; sip.md C). Purpose: one small machine per trunk that says
//! when to ask, and up or down with hysteresis, so that one lost answer takes nobody's trunk away. Sans-IO; its owner sends
//! what it asks for and tells what came. Invariants: one question at a time; down after
//! [`limits::SIP_PINGS_LOST_MAX`] questions in a row without an answer, up again after [`limits::SIP_PINGS_FOUND_MIN`]
//! answers in a row; the first outcome counts at once. Any answer but 503 means that somebody is there, a refusal too; one that
//! is about us (401, 403, 407) is said as such, at once.
//! Deliberately absent: what follows for calls (a trunk that is down is tried last).

use std::time::Duration;

use crate::limits;
use crate::time::Tick;

/// What is known of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Health {
    /// Nothing yet.
    Unknown,
    /// It answers.
    Up,
    /// It answers that it does not want us (401, 403, 407): it is there, but calls may not be taken.
    Refuses,
    /// It does not.
    Down,
}

impl Health {
    /// In a word, for people and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Refuses => "refuses",
            Self::Down => "down",
        }
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub struct PeerHealth {
    interval: Duration,
    health: Health,
    /// Outcomes in a row that speak against `health`.
    against: u32,
    due: Option<Tick>,
    asked: Option<Tick>,
    round_trip: Option<Duration>,
    since: Tick,
}

impl PeerHealth {
    /// Asks at once, then every `interval`; while the peer does not answer, every [`limits::SIP_PING_DOWN`] at the latest.
    #[must_use]
    pub const fn new(now: Tick, interval: Duration) -> Self {
        Self {
            interval,
            health: Health::Unknown,
            against: 0,
            due: Some(now),
            asked: None,
            round_trip: None,
            since: now,
        }
    }

    /// When [`PeerHealth::handle_timeout`] wants to be called; `None` = an answer is waited for.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Tick> {
        self.due
    }

    /// Time has come; `true` = send a question now.
    pub fn handle_timeout(&mut self, now: Tick) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        (self.due, self.asked) = (None, Some(now));
        true
    }

    /// The final answer to the question: its status code, 408 when nobody answered. Gives the new state when it changes.
    pub fn handle_answer(&mut self, now: Tick, code: u16, from_peer: bool) -> Option<Health> {
        let asked = self.asked.take()?;
        let answered = from_peer && code != 503;
        if answered {
            self.round_trip = Some(now.since(asked));
        }
        let outcome = match code {
            _ if !answered => Health::Down,
            401 | 403 | 407 => Health::Refuses,
            _ => Health::Up,
        };
        self.against = if outcome == self.health { 0 } else { self.against + 1 };
        let enough = match (self.health, outcome) {
            (Health::Unknown, _) => 1,
            (_, Health::Down) => limits::SIP_PINGS_LOST_MAX,
            // There it is in either case.
            (Health::Up | Health::Refuses, _) => 1,
            _ => limits::SIP_PINGS_FOUND_MIN,
        };
        let changed = self.against >= enough;
        if changed {
            (self.health, self.against, self.since) = (outcome, 0, now);
        }
        // Whatever is in doubt, or gone, is looked at more often.
        let calm = self.health != Health::Down && self.against == 0;
        let pause = if calm { self.interval } else { self.interval.min(limits::SIP_PING_DOWN) };
        self.due = Some(now + pause);
        changed.then_some(outcome)
    }

    /// What is known, and since when.
    #[must_use]
    pub const fn health(&self) -> (Health, Tick) {
        (self.health, self.since)
    }

    /// Between the last question that was answered and its answer.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Asks when due and gets this answer 20 ms later.
    fn ask(peer: &mut PeerHealth, code: u16, from_peer: bool) -> Option<Health> {
        let due = peer.poll_timeout().expect("a question is due");
        assert!(!peer.handle_timeout(Tick(due.0 - 1)) && peer.handle_timeout(due), "once, and not before");
        assert!(!peer.handle_timeout(due + MINUTE) && peer.poll_timeout().is_none(), "one question at a time");
        peer.handle_answer(due + Duration::from_millis(20), code, from_peer)
    }

    fn pause(peer: &PeerHealth, before: Tick) -> Duration {
        peer.poll_timeout().expect("the next is due").since(before)
    }

    #[test]
    fn one_lost_answer_takes_nothing_away_and_one_found_gives_nothing_back() {
        let start = Tick(1_000_000_000);
        let mut peer = PeerHealth::new(start, MINUTE);
        assert_eq!(peer.health().0, Health::Unknown);
        assert_eq!(ask(&mut peer, 200, true), Some(Health::Up), "the first outcome counts at once");
        assert_eq!(peer.round_trip(), Some(Duration::from_millis(20)));
        assert_eq!(pause(&peer, start), MINUTE + Duration::from_millis(20));
        assert_eq!(ask(&mut peer, 408, false), None);
        assert_eq!(ask(&mut peer, 405, true), None, "a refusal is an answer");
        for _ in 1..limits::SIP_PINGS_LOST_MAX {
            assert_eq!(ask(&mut peer, 408, false), None);
        }
        let before = peer.poll_timeout().unwrap();
        assert_eq!(ask(&mut peer, 503, true), Some(Health::Down), "whoever is overloaded is not there for calls");
        assert_eq!(pause(&peer, before), limits::SIP_PING_DOWN + Duration::from_millis(20), "looked at more often");
        assert_eq!(ask(&mut peer, 200, true), None);
        assert_eq!(ask(&mut peer, 408, false), None, "not twice in a row");
        assert_eq!(ask(&mut peer, 200, true), None);
        assert_eq!(ask(&mut peer, 200, true), Some(Health::Up));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_changes_nothing() {
        let mut peer = PeerHealth::new(Tick(0), MINUTE);
        assert_eq!(peer.handle_answer(Tick(5), 200, true), None);
        assert_eq!((peer.health().0, peer.poll_timeout()), (Health::Unknown, Some(Tick(0))));
    }
}
