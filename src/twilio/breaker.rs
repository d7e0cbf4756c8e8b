//! When Twilio's REST API is left alone. Pure; time is an argument. Purpose: an API that is down costs a call that is to be
//! placed no more than a moment. Invariants: [`FAILURES`] failures in a row open it for [`PAUSE`], each further one for twice
//! as long, at most [`PAUSE_MAX`]; one success closes it. Deliberately absent: what counts as a failure (`rest`).

use crate::time::Tick;
use std::time::Duration;

const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// One API's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    until: Tick,
}

impl Breaker {
    /// How long to leave it alone; `None`: it may be asked.
    pub(super) fn wait(&self, now: Tick) -> Option<Duration> {
        Some(self.until.since(now)).filter(|left| !left.is_zero())
    }

    pub(super) fn handle_outcome(&mut self, now: Tick, well: bool) {
        if well {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(more) = self.failures.checked_sub(FAILURES) {
            self.until = now + (PAUSE * 2u32.saturating_pow(more.min(8))).min(PAUSE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_in_a_row_and_longer_each_time() {
        let (mut breaker, at) = (Breaker::default(), |s: u64| Tick(s * 1_000_000_000));
        for n in 0..2 {
            breaker.handle_outcome(at(n), false);
            assert_eq!(breaker.wait(at(n)), None);
        }
        breaker.handle_outcome(at(2), false);
        assert_eq!(breaker.wait(at(3)), Some(Duration::from_secs(4)));
        assert_eq!(breaker.wait(at(7)), None, "it is tried again");
        breaker.handle_outcome(at(7), false);
        assert_eq!(breaker.wait(at(7)), Some(Duration::from_secs(10)));
        for n in 8..40 {
            breaker.handle_outcome(at(n), false);
        }
        assert_eq!(breaker.wait(at(39)), Some(PAUSE_MAX));
        breaker.handle_outcome(at(300), true);
        breaker.handle_outcome(at(301), false);
        assert_eq!(breaker.wait(at(301)), None);
    }
}
