//! Whether a peer is there: OPTIONS at intervals (RFC 3261 §11.1; sip.md C). Purpose: one small machine per trunk that says
//! when to ask, and up or down with hysteresis, so that one lost answer takes nobody's trunk away. Sans-IO; its owner sends
//! what it asks for and tells what came. Invariants: one question at a time; down after
//! [`limits::SIP_PINGS_LOST_MAX`] questions in a row without an answer, up again after [`limits::SIP_PINGS_FOUND_MIN`]
//! answers in a row; the first outcome counts at once. Any answer but 503 means that somebody is there, a refusal too; one that
//! is about us (401, 403, 407) is said as such, at once. A password that was refused is not shown again for
//! [`limits::SIP_PROOF_PAUSE`]: asking oftener gets accounts locked.
//! Deliberately absent: what follows for calls (a trunk that is down is tried last), credentials (the agent has them).

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
    /// It answers that it does not want us: it is there, but calls may not be taken.
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

/// What we have to show to a peer that asks who we are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Account {
    /// No password.
    Missing,
    /// A password.
    Configured,
    /// One that its registrar has taken: whatever it says to OPTIONS, it knows us.
    Registered,
}

/// What a peer that is there holds against us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Doubt {
    /// It asks for a password, and we have none (401, 407).
    NoPassword,
    /// It does not take ours (401, 407).
    AccountRefused,
    /// It forbids us (403).
    Forbidden,
}

impl Doubt {
    /// In words, with what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoPassword => {
                "it asks our OPTIONS for a password and the trunk has none; if calls are asked for one, too, set username and password_file"
            }
            Self::AccountRefused => {
                "it refuses the account at OPTIONS; check username, auth_username, password, realm and from_domain"
            }
            Self::Forbidden => "it forbids us (403); check username, from_domain and whether it knows our address",
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
    /// The question that is out may be repeated with the password.
    proves: bool,
    /// When the password was refused last.
    refused: Option<Tick>,
    doubt: Option<Doubt>,
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
            proves: true,
            refused: None,
            doubt: None,
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
        self.proves = self.refused.is_none_or(|at| now.since(at) >= limits::SIP_PROOF_PAUSE);
        true
    }

    /// Whether a challenge to the question that is out is to be answered.
    #[must_use]
    pub const fn proves(&self) -> bool {
        self.proves
    }

    /// The final answer to the question: its status code, 408 when nobody answered; a challenge is one that was answered as far as
    /// [`PeerHealth::proves`] and `account` went. Gives the state when it, or what the peer holds against us, changes.
    pub fn handle_answer(&mut self, now: Tick, code: u16, from_peer: bool, account: Account) -> Option<Health> {
        let asked = self.asked.take()?;
        let answered = from_peer && code != 503;
        let doubt = match (code, account) {
            _ if !answered => None,
            (401 | 407, Account::Missing) => Some(Doubt::NoPassword),
            (401 | 407, _) => Some(Doubt::AccountRefused),
            (403, _) => Some(Doubt::Forbidden),
            _ => None,
        };
        if answered {
            self.round_trip = Some(now.since(asked));
        }
        if answered && self.proves {
            self.refused = (doubt == Some(Doubt::AccountRefused)).then_some(now);
        }
        let outcome = match (doubt, account) {
            _ if !answered => Health::Down,
            (Some(Doubt::Forbidden), _) | (Some(Doubt::AccountRefused), Account::Configured) => Health::Refuses,
            // Who asks for a password is there; calls may still be taken without, or with the one that registers.
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
        // One that is lost says nothing about us.
        let told = self.health == outcome && doubt != self.doubt;
        if self.health == outcome {
            self.doubt = doubt;
        }
        // Whatever is in doubt, or gone, is looked at more often.
        let calm = self.health != Health::Down && self.against == 0;
        let pause = if calm { self.interval } else { self.interval.min(limits::SIP_PING_DOWN) };
        self.due = Some(now + pause);
        (changed || told).then_some(outcome)
    }

    /// What is known, and since when.
    #[must_use]
    pub const fn health(&self) -> (Health, Tick) {
        (self.health, self.since)
    }

    /// What it holds against us.
    #[must_use]
    pub const fn doubt(&self) -> Option<Doubt> {
        self.doubt
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
        ask_as(peer, code, from_peer, Account::Missing)
    }

    fn ask_as(peer: &mut PeerHealth, code: u16, from_peer: bool, account: Account) -> Option<Health> {
        let due = peer.poll_timeout().expect("a question is due");
        assert!(!peer.handle_timeout(Tick(due.0 - 1)) && peer.handle_timeout(due), "once, and not before");
        assert!(!peer.handle_timeout(due + MINUTE) && peer.poll_timeout().is_none(), "one question at a time");
        peer.handle_answer(due + Duration::from_millis(20), code, from_peer, account)
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
        assert_eq!(peer.handle_answer(Tick(5), 200, true, Account::Missing), None);
        assert_eq!((peer.health().0, peer.poll_timeout()), (Health::Unknown, Some(Tick(0))));
    }

    #[test]
    fn who_asks_for_a_password_is_there_and_an_account_that_is_refused_is_named() {
        for (account, health, doubt) in [
            (Account::Missing, Health::Up, Doubt::NoPassword),
            (Account::Configured, Health::Refuses, Doubt::AccountRefused),
            (Account::Registered, Health::Up, Doubt::AccountRefused),
        ] {
            for code in [401, 407] {
                let mut peer = PeerHealth::new(Tick(1_000_000_000), MINUTE);
                assert_eq!(ask_as(&mut peer, code, true, account), Some(health), "{account:?}");
                assert_eq!((peer.health().0, peer.doubt()), (health, Some(doubt)), "{account:?}");
                assert_eq!(ask_as(&mut peer, code, true, account), None, "it is said once");
                // One that is lost says nothing new about us.
                assert_eq!((ask_as(&mut peer, 408, false, account), peer.doubt()), (None, Some(doubt)));
                assert_eq!(
                    ask_as(&mut peer, 200, true, account),
                    Some(Health::Up),
                    "what was held against us has gone"
                );
                assert_eq!(peer.doubt(), None);
                assert!(!doubt.advice().is_empty());
            }
        }
        let mut peer = PeerHealth::new(Tick(1_000_000_000), MINUTE);
        assert_eq!(ask_as(&mut peer, 403, true, Account::Registered), Some(Health::Refuses));
        assert_eq!(peer.doubt(), Some(Doubt::Forbidden));
        // It is registered meanwhile, or no more.
        let mut peer = PeerHealth::new(Tick(1_000_000_000), MINUTE);
        assert_eq!(ask_as(&mut peer, 401, true, Account::Configured), Some(Health::Refuses));
        assert_eq!(ask_as(&mut peer, 401, true, Account::Registered), Some(Health::Up));
        for _ in 0..limits::SIP_PINGS_LOST_MAX {
            ask_as(&mut peer, 408, false, Account::Registered);
        }
        assert_eq!((peer.health().0, peer.doubt()), (Health::Down, None));
    }

    #[test]
    fn a_password_that_was_refused_is_not_shown_at_every_question() {
        let start = Tick(1_000_000_000);
        let mut peer = PeerHealth::new(start, MINUTE);
        let mut shown = Vec::new();
        while peer.poll_timeout().is_some_and(|due| due < start + 2 * limits::SIP_PROOF_PAUSE) {
            let due = peer.poll_timeout().expect("a question is due");
            ask_as(&mut peer, 401, true, Account::Configured);
            shown.extend(peer.proves().then_some(due));
        }
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[1].since(shown[0]) >= limits::SIP_PROOF_PAUSE);
        // Once it is taken it is shown whenever it is asked for.
        while !peer.proves() {
            ask_as(&mut peer, 401, true, Account::Configured);
        }
        let mut peer = PeerHealth::new(start, MINUTE);
        for _ in 0..3 {
            ask_as(&mut peer, 200, true, Account::Configured);
            assert!(peer.proves());
        }
    }
}
