//! Real time as a limit. Purpose: what leaves because of what came in (echo, bridge) has no clock of its own; a flood must
//! not leave as a flood, nor a trickle of tiny packets as one of large ones. Media workers; one word a stream. Invariants:
//! over any stretch of time no more audio leaves than the stretch is long, plus 2 %, plus [`BURST`] once; a phone whose
//! clock runs fast is never cut. Deliberately absent: smoothing (a burst leaves as a burst).

use crate::limits::UNANSWERED_MEDIA_MAX;
use crate::time::Tick;
use std::time::Duration;

/// Audio that may leave ahead of real time: what a stalled network delivers at once.
const BURST: Duration = UNANSWERED_MEDIA_MAX;

/// The limit of one outgoing stream (a leaky bucket as a virtual schedule, like GCRA of ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When all that has left will have been spoken.
    until: Tick,
}

impl Pace {
    /// Whether a packet with so much audio may leave now.
    pub(super) fn admits(&mut self, now: Tick, audio: Duration) -> bool {
        let from = self.until.max(now);
        // 2 % less than its length: no clock of a phone is that fast.
        let until = from + (audio - audio / 50);
        if until > now + BURST {
            return false;
        }
        self.until = until;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn two_seconds_may_burst_and_then_real_time_rules() {
        let mut pace = Pace::default();
        let start = Tick(1_000_000_000);
        let burst = (0..1000).filter(|_| pace.admits(start, FRAME)).count();
        assert_eq!(burst, 102);
        let later = start + Duration::from_secs(10);
        let flood = (0..100_000u64).filter(|n| pace.admits(start + Duration::from_micros(n * 100), FRAME)).count();
        assert!((500..=512).contains(&flood), "{flood} frames in ten seconds");
        assert!(!pace.admits(later, Duration::from_secs(3)));
    }

    #[test]
    fn a_fast_clock_is_never_cut() {
        let mut pace = Pace::default();
        // 1 % fast for four hours.
        assert!((0..720_000u64).all(|n| pace.admits(Tick(1) + Duration::from_micros(n * 19_800), FRAME)));
    }
}
