//! When a provider is asked and when it is left alone (sans-IO). Purpose: a provider that is down costs a caller at most a
//! few turns' waiting, then nothing until it is well again. Time and chance are arguments.
//!
//! ```text
//!            enough failures in the window          its time is over: one probe
//!   Closed ─────────────────────────────► Open ─────────────────────────────► HalfOpen
//!     ▲                                     ▲   the probe failed: twice as long     │
//!     │                                     └───────────────────────────────────────┤
//!     └───────────────────────────────────────────────── the probe succeeded ───────┘
//!   a refused key: Barred, from any state, until the process starts anew
//! ```
//!
//! Invariants: at most one probe at a time; a change is reported once; at most [`OUTCOMES_KEPT`] outcomes are remembered.
//! Deliberately absent: clocks, logs, metrics (`gate`).

use crate::time::Tick;
use std::collections::VecDeque;
use std::time::Duration;

/// Outcomes remembered, however many the window holds.
const OUTCOMES_KEPT: usize = 32;

/// When to open, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Failures in the window that open it, when at least every second outcome in the window was one.
    pub(super) failures: usize,
    /// How long an outcome counts.
    pub(super) window: Duration,
    /// The first pause.
    pub(super) pause: Duration,
    /// The longest pause.
    pub(super) pause_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures: 3,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(10),
            pause_max: Duration::from_secs(300),
        }
    }
}

/// What went wrong, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// May pass by itself.
    Passing,
    /// The provider asks to be left alone, for this long where it says so.
    AskedToWait(Option<Duration>),
    /// The account is used up: nothing changes within minutes.
    Exhausted,
    /// The key is refused: nothing changes until the operator has mended it.
    BadKey,
}

/// What is worth telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not asked for this long.
    Opened(Duration),
    /// Not asked again.
    Barred,
    /// Asked again as before.
    Closed,
}

/// Whether to ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes.
    Ask,
    /// Yes; the outcome decides about all others.
    Probe,
    /// No; again after this long, `None`: never.
    Wait(Option<Duration>),
}

/// As shown in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Closed,
    HalfOpen,
    Open,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Tick, pause: Duration },
    HalfOpen { pause: Duration },
    Barred,
}

/// The breaker of one provider in one direction.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: Policy,
    state: State,
    /// When, and whether it succeeded; the newest last.
    outcomes: VecDeque<(Tick, bool)>,
}

impl Breaker {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, state: State::Closed, outcomes: VecDeque::new() }
    }

    /// Asks for leave. After [`Admission::Probe`] one of the `handle_*` verbs must follow.
    pub(super) fn admit(&mut self, now: Tick) -> Admission {
        match self.state {
            State::Closed => Admission::Ask,
            State::Open { until, pause } if now >= until => {
                self.state = State::HalfOpen { pause };
                Admission::Probe
            }
            State::Open { until, .. } => Admission::Wait(Some(until.since(now))),
            // The probe will be answered within its own deadline.
            State::HalfOpen { .. } => Admission::Wait(Some(Duration::ZERO)),
            State::Barred => Admission::Wait(None),
        }
    }

    pub(super) fn handle_success(&mut self, now: Tick) -> Option<Change> {
        match self.state {
            State::Closed => {
                self.remember(now, true);
                None
            }
            State::HalfOpen { .. } => {
                self.state = State::Closed;
                self.outcomes.clear();
                Some(Change::Closed)
            }
            // A request that was under way when it opened.
            State::Open { .. } | State::Barred => None,
        }
    }

    /// `chance` is any random number: it spreads the pauses of several boxes.
    pub(super) fn handle_failure(&mut self, now: Tick, fault: Fault, chance: u32) -> Option<Change> {
        if matches!(self.state, State::Barred) {
            return None;
        }
        let Policy { pause, pause_max, .. } = self.policy;
        match (fault, &self.state) {
            (Fault::BadKey, _) => {
                self.state = State::Barred;
                Some(Change::Barred)
            }
            (Fault::Exhausted, _) => self.open(now, pause_max, chance),
            (Fault::AskedToWait(Some(asked)), _) => self.open(now, asked.max(pause), 0),
            (_, State::HalfOpen { pause }) => {
                let pause = (*pause * 2).min(pause_max);
                self.open(now, pause, chance)
            }
            (Fault::Passing | Fault::AskedToWait(None), State::Closed) => {
                self.remember(now, false);
                let failures = self.outcomes.iter().filter(|(_, succeeded)| !succeeded).count();
                let opens = failures >= self.policy.failures && failures * 2 >= self.outcomes.len();
                opens.then(|| self.open(now, pause, chance)).flatten()
            }
            (Fault::Passing | Fault::AskedToWait(None), State::Open { .. } | State::Barred) => None,
        }
    }

    /// What was asked for was given up without an outcome: the call is gone.
    pub(super) fn handle_abandoned(&mut self, now: Tick) {
        if let State::HalfOpen { pause } = self.state {
            self.state = State::Open { until: now, pause };
        }
    }

    pub(super) const fn shown(&self) -> Shown {
        match self.state {
            State::Closed => Shown::Closed,
            State::HalfOpen { .. } => Shown::HalfOpen,
            State::Open { .. } | State::Barred => Shown::Open,
        }
    }

    /// Opens for `pause` and up to a quarter more. Told once, however often it opens again before it closes.
    fn open(&mut self, now: Tick, pause: Duration, chance: u32) -> Option<Change> {
        let news = matches!(self.state, State::Closed);
        let spread = pause.as_millis() as u64 / 4;
        let pause_now = pause + Duration::from_millis(u64::from(chance) % (spread + 1));
        let until = now + pause_now;
        // Several failures of the same moment do not shorten what one of them was told.
        let until = if let State::Open { until: before, .. } = self.state { before.max(until) } else { until };
        self.state = State::Open { until, pause };
        self.outcomes.clear();
        news.then_some(Change::Opened(pause_now))
    }

    fn remember(&mut self, now: Tick, succeeded: bool) {
        let window = self.policy.window;
        while self.outcomes.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.outcomes.pop_front();
        }
        if self.outcomes.len() == OUTCOMES_KEPT {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((now, succeeded));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Tick {
        Tick(0) + Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(Policy::default());
        assert_eq!(breaker.handle_failure(at(0), Fault::Passing, 0), None);
        assert_eq!(breaker.handle_failure(at(1), Fault::Passing, 0), None);
        assert_eq!(
            breaker.handle_failure(at(2), Fault::Passing, 0),
            Some(Change::Opened(Duration::from_secs(10))),
            "the third failure within a minute"
        );
        breaker
    }

    #[test]
    fn opens_after_failures_probes_once_and_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(3)), Admission::Wait(Some(Duration::from_secs(9))));
        assert_eq!(breaker.admit(at(12)), Admission::Probe);
        assert_eq!(breaker.admit(at(12)), Admission::Wait(Some(Duration::ZERO)), "one probe at a time");
        assert_eq!(breaker.shown(), Shown::HalfOpen);
        assert_eq!(breaker.handle_success(at(13)), Some(Change::Closed));
        assert_eq!(breaker.admit(at(13)), Admission::Ask);
        assert_eq!(breaker.handle_failure(at(14), Fault::Passing, 0), None, "old failures are forgotten");
    }

    #[test]
    fn a_failed_probe_waits_twice_as_long_up_to_the_longest_and_is_told_once() {
        let mut breaker = opened();
        let mut now = at(2);
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            now = now + Duration::from_secs(pause);
            assert_eq!(breaker.admit(now), Admission::Probe, "after {pause} s");
            assert_eq!(breaker.handle_failure(now, Fault::Passing, 0), None);
            assert!(matches!(breaker.admit(now), Admission::Wait(Some(_))));
        }
    }

    #[test]
    fn failures_apart_or_among_successes_do_not_open() {
        let mut breaker = Breaker::new(Policy::default());
        for minute in 0..20 {
            assert_eq!(breaker.handle_failure(at(minute * 61), Fault::Passing, 0), None);
        }
        let mut breaker = Breaker::new(Policy::default());
        for second in 0..300 {
            assert_eq!(breaker.handle_success(at(second)), None);
            if second % 3 == 0 {
                assert_eq!(breaker.handle_failure(at(second), Fault::Passing, 0), None, "one of four");
            }
        }
    }

    #[test]
    fn a_refused_key_is_not_tried_again() {
        let mut breaker = Breaker::new(Policy::default());
        assert_eq!(breaker.handle_failure(at(0), Fault::BadKey, 7), Some(Change::Barred));
        assert_eq!(breaker.handle_failure(at(0), Fault::BadKey, 7), None, "said once");
        assert_eq!(breaker.admit(at(1_000_000)), Admission::Wait(None));
        assert_eq!(breaker.handle_success(at(3)), None, "a request that was under way changes nothing");
        assert_eq!(breaker.admit(at(1_000_000)), Admission::Wait(None));
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks() {
        let mut breaker = Breaker::new(Policy::default());
        let asked = Fault::AskedToWait(Some(Duration::from_secs(700)));
        assert_eq!(breaker.handle_failure(at(0), asked, 9), Some(Change::Opened(Duration::from_secs(700))));
        assert_eq!(breaker.handle_failure(at(1), Fault::Passing, 9), None);
        assert_eq!(breaker.admit(at(699)), Admission::Wait(Some(Duration::from_secs(1))));
        assert_eq!(breaker.admit(at(700)), Admission::Probe);
        let mut breaker = Breaker::new(Policy::default());
        let short = Fault::AskedToWait(Some(Duration::from_secs(1)));
        breaker.handle_failure(at(0), short, 0);
        assert!(matches!(breaker.admit(at(9)), Admission::Wait(_)), "not less than our own pause");
        let mut breaker = Breaker::new(Policy::default());
        for _ in 0..2 {
            assert_eq!(breaker.handle_failure(at(0), Fault::AskedToWait(None), 0), None);
        }
        assert!(breaker.handle_failure(at(0), Fault::AskedToWait(None), 0).is_some());
        let mut breaker = Breaker::new(Policy::default());
        assert_eq!(
            breaker.handle_failure(at(0), Fault::Exhausted, 0),
            Some(Change::Opened(Duration::from_secs(300))),
            "an empty account does not fill within seconds"
        );
    }

    #[test]
    fn an_abandoned_probe_lets_the_next_one_go() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(12)), Admission::Probe);
        breaker.handle_abandoned(at(12));
        assert_eq!(breaker.admit(at(12)), Admission::Probe);
    }

    proptest! {
        /// Whatever happens: it never panics, never holds more than it may, changes alternate, and it always asks again
        /// in the end unless the key was refused.
        #[test]
        fn changes_alternate_and_it_recovers(steps in proptest::collection::vec((0..6_u8, 0..400_u64, any::<u32>()), 1..200)) {
            let mut breaker = Breaker::new(Policy::default());
            let (mut now, mut open, mut barred) = (Tick(0), false, false);
            for (what, wait, chance) in steps {
                now = now + Duration::from_secs(wait);
                let change = match what {
                    0 => { let _ = breaker.admit(now); None }
                    1 => breaker.handle_success(now),
                    2 => breaker.handle_failure(now, Fault::Passing, chance),
                    3 => breaker.handle_failure(now, Fault::AskedToWait(Some(Duration::from_secs(wait))), chance),
                    4 => breaker.handle_failure(now, Fault::AskedToWait(None), chance),
                    _ => { breaker.handle_abandoned(now); None }
                };
                match change {
                    Some(Change::Opened(_)) => { prop_assert!(!open); open = true; }
                    Some(Change::Closed) => { prop_assert!(open); open = false; }
                    Some(Change::Barred) => { barred = true; }
                    None => {}
                }
                prop_assert!(breaker.outcomes.len() <= OUTCOMES_KEPT);
            }
            prop_assert!(!barred);
            breaker.handle_abandoned(now);
            let later = now + Duration::from_secs(3600);
            prop_assert!(matches!(breaker.admit(later), Admission::Ask | Admission::Probe));
        }
    }
}
