//! When a turn has lasted too long by the clock on the wall. Purpose: ears end turns in audio time alone, and a turn holds a
//! recogniser's place that calls need; a client whose audio hardly comes would hold it for ever. Sans-IO; owned by the
//! client's task. Invariant: a turn at half of real time or better is never ended before [`UTTERANCE_MAX`]. Deliberately
//! absent: turns that wait for the recogniser (the caller leaves them out).

use crate::limits::UTTERANCE_MAX;
use crate::time::MediaTime;
use std::time::{Duration, Instant};

/// Audio is measured over this; half of it must come.
const WINDOW: Duration = Duration::from_secs(2);

/// Watches one turn after another.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    turn: u32,
    began: Instant,
    /// The window under way, and what had been fed when it began.
    window: Instant,
    fed: MediaTime,
    /// It has been said: what is ended already only waits for its words.
    told: bool,
}

impl Overdue {
    /// The turn that goes on, if any, must be ended. Asked about once a second; `fed` is the audio so far.
    pub(super) fn is_over(&mut self, now: Instant, turn: Option<u32>, fed: MediaTime) -> bool {
        let Some(turn) = turn else {
            self.watched = None;
            return false;
        };
        let watched = match &mut self.watched {
            Some(watched) if watched.turn == turn => watched,
            other => {
                *other = Some(Watched { turn, began: now, window: now, fed, told: false });
                return false;
            }
        };
        let starved = if now.duration_since(watched.window) >= WINDOW {
            let came = fed.since(watched.fed);
            (watched.window, watched.fed) = (now, fed);
            came < WINDOW / 2
        } else {
            false
        };
        let over = starved || now.duration_since(watched.began) > UTTERANCE_MAX;
        over && !std::mem::replace(&mut watched.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second in which a turn is ended that gets so many samples every second.
    fn ended(samples_per_second: u64) -> Option<u64> {
        let (mut overdue, start) = (Overdue::default(), Instant::now());
        (0..60).find(|second| {
            let fed = MediaTime(second * samples_per_second);
            overdue.is_over(start + Duration::from_secs(*second), Some(7), fed)
        })
    }

    #[test]
    fn a_turn_whose_audio_hardly_comes_is_ended_at_once_and_any_other_in_time() {
        assert_eq!(ended(0), Some(2));
        assert_eq!(ended(3000), Some(2));
        for rate in [4000, 8000, 100_000] {
            assert_eq!(ended(rate), Some(UTTERANCE_MAX.as_secs() + 1), "{rate}");
        }
    }

    #[test]
    fn a_turn_is_ended_once() {
        let (mut overdue, start) = (Overdue::default(), Instant::now());
        let times =
            (0..90).filter(|second| overdue.is_over(start + Duration::from_secs(*second), Some(1), MediaTime(0)));
        assert_eq!(times.count(), 1);
    }

    #[test]
    fn each_turn_has_its_own_time() {
        let (mut overdue, start) = (Overdue::default(), Instant::now());
        for second in 0..100 {
            let turn = (second % 10 != 9).then_some(second as u32 / 10);
            let over = overdue.is_over(start + Duration::from_secs(second), turn, MediaTime(second * 8000));
            assert!(!over, "second {second}");
        }
    }
}
