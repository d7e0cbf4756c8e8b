//! How much of the core is left. Purpose: a worker knows how busy it is, and spends what is left on better encoding: the
//! complexity of every Opus encoder on it follows. Media workers. Invariant: one decision a second, by a policy with
//! hysteresis (`dsp::codec::ComplexityPolicy`). Deliberately absent: clocks; the loop hands in its times.

use crate::time::Tick;
use callwright_dsp::codec::ComplexityPolicy;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1);

/// The last second, judged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Judged {
    /// Share of the time in which the loop did not wait, 0 to 1.
    pub(super) busy: f32,
    /// For Opus encoders, 0 to 10.
    pub(super) complexity: u8,
}

/// A worker's account of its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Headroom {
    policy: ComplexityPolicy,
    began: Tick,
    waited: Duration,
    late: Duration,
    timed: u32,
}

impl Headroom {
    /// Until it is known better.
    pub(super) fn complexity(&self) -> u8 {
        self.policy.complexity()
    }

    /// One wait of the loop: from `before` to `after`; `due` is when it had to be back, if it had to.
    pub(super) fn handle_wait(&mut self, before: Tick, after: Tick, due: Option<Tick>) {
        self.waited += after.since(before);
        if let Some(late) = due.filter(|due| after >= *due).map(|due| after.since(due)) {
            self.late += late;
            self.timed += 1;
        }
    }

    /// The judgement on the second that is over, once a second.
    pub(super) fn poll_judged(&mut self, now: Tick) -> Option<Judged> {
        let elapsed = now.since(self.began);
        if elapsed < PERIOD {
            return None;
        }
        let first = self.began == Tick(0);
        let busy = 1.0 - (self.waited.as_secs_f32() / elapsed.as_secs_f32()).min(1.0);
        // The mean: what the machine around us does to a single wake-up is no sign of our own load.
        let late = u32::try_from(self.late.as_micros()).unwrap_or(u32::MAX) / self.timed.max(1);
        (self.began, self.waited, self.late, self.timed) = (now, Duration::ZERO, Duration::ZERO, 0);
        (!first).then(|| Judged { busy, complexity: self.policy.complexity_for(busy, late) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(headroom: &mut Headroom, start: u64, waited_ms: u64, late_ms: u64) -> Option<Judged> {
        let ms = |n: u64| Tick(start + n * 1_000_000);
        headroom.handle_wait(ms(0), ms(waited_ms), Some(ms(waited_ms - late_ms)));
        headroom.poll_judged(ms(1000))
    }

    #[test]
    fn an_idle_worker_spends_more_on_encoding_and_a_busy_one_less() {
        let mut headroom = Headroom::default();
        let mut start = 1_000_000_000;
        assert_eq!(second(&mut headroom, start, 950, 0), None, "the first period has no beginning");
        let begin = headroom.complexity();
        let mut idle = begin;
        for _ in 0..60 {
            start += 1_000_000_000;
            let judged = second(&mut headroom, start, 950, 0).unwrap();
            assert!((judged.busy - 0.05).abs() < 0.01, "{judged:?}");
            idle = judged.complexity;
        }
        assert!(idle > begin);
        start += 1_000_000_000;
        assert_eq!(second(&mut headroom, start, 30, 0).map(|j| j.complexity), Some(0));
        start += 1_000_000_000;
        assert_eq!(second(&mut headroom, start, 950, 20).map(|j| j.complexity), Some(0), "late is busy");
    }
}
