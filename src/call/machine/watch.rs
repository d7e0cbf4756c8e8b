//! The watch over dead air: from the end of the caller's turn to the first audible sample of the answer. Purpose: whatever
//! is late (recogniser, tool, voice), something is heard of it. Pure. Invariants: it is stopped by an audible sample of an
//! answer and never by a filler, a packet or a stage that says that it is at work; each step is taken once. Deliberately
//! absent: what a step does (`duties`).

use crate::time::Tick;
use std::time::Duration;

/// How long a caller is made to wait, and how long a call may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Nothing heard for so long after the end of a turn: a filler.
    pub filler: Duration,
    /// For so long: what stands in for the part that is late.
    pub fallback: Duration,
    /// For so long: the honest sentence.
    pub honest: Duration,
    /// What was looked up or ordered is given up after this.
    pub tool: Duration,
    /// The call.
    pub longest: Duration,
    /// The caller is warned so long before its end; calls of less than twice this are not.
    pub warning: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self::with_filler_after(Duration::from_millis(1500))
    }
}

impl Patience {
    /// The usual, with a filler after so long.
    #[must_use]
    pub fn with_filler_after(filler: Duration) -> Self {
        let fallback = (filler * 2).max(Duration::from_secs(3));
        Self {
            filler,
            fallback,
            honest: fallback + Duration::from_secs(2),
            tool: Duration::from_secs(15),
            longest: Duration::from_secs(3600),
            warning: Duration::from_secs(60),
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Filler,
    Fallback,
    Honest,
}

/// An answer that is owed.
#[derive(Clone, Copy, Debug)]
struct Owed {
    filler: Tick,
    fallback: Tick,
    honest: Tick,
    /// The next step; `None` after the last.
    next: Option<Step>,
}

/// The watch.
#[derive(Debug, Default)]
pub(super) struct Watch {
    owed: Option<Owed>,
}

impl Watch {
    /// An answer is owed from now on.
    pub(super) fn begin(&mut self, now: Tick, patience: &Patience) {
        self.owed = Some(Owed {
            filler: now + patience.filler,
            fallback: now + patience.fallback,
            honest: now + patience.honest,
            next: Some(Step::Filler),
        });
    }

    /// What will be said is known: from now on it is the voice that is waited for. The filler keeps its time.
    pub(super) fn begin_voice(&mut self, now: Tick, patience: &Patience) {
        match &mut self.owed {
            Some(owed) => {
                owed.honest = now + patience.honest;
                if owed.next.is_none() {
                    owed.next = Some(Step::Honest);
                }
            }
            None => self.begin(now, patience),
        }
    }

    /// The same anew, after a time in which nobody could hear anything.
    pub(super) fn resume(&mut self, now: Tick, patience: &Patience) {
        if self.owed.is_some() {
            self.begin(now, patience);
        }
    }

    /// It was heard, or is owed no more.
    pub(super) fn stop(&mut self) {
        self.owed = None;
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Tick> {
        let owed = self.owed.as_ref()?;
        owed.next.map(|step| match step {
            Step::Filler => owed.filler,
            Step::Fallback => owed.fallback,
            Step::Honest => owed.honest,
        })
    }

    /// The step that is due, once.
    pub(super) fn poll(&mut self, now: Tick) -> Option<Step> {
        let due = self.due()?;
        let owed = self.owed.as_mut().filter(|_| now >= due)?;
        let step = owed.next?;
        owed.next = match step {
            Step::Filler => Some(Step::Fallback),
            Step::Fallback => Some(Step::Honest),
            Step::Honest => None,
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Tick {
        Tick(ms * 1_000_000)
    }

    #[test]
    fn each_step_comes_once_in_order_and_a_heard_answer_stops_them() {
        let patience = Patience::default();
        let mut watch = Watch::default();
        assert_eq!((watch.due(), watch.poll(at(9_000))), (None, None));
        watch.begin(at(0), &patience);
        assert_eq!(watch.poll(at(1_499)), None);
        assert_eq!(watch.poll(at(1_500)), Some(Step::Filler));
        assert_eq!(watch.poll(at(1_600)), None);
        assert_eq!((watch.poll(at(3_000)), watch.poll(at(5_000))), (Some(Step::Fallback), Some(Step::Honest)));
        assert_eq!((watch.due(), watch.poll(at(60_000))), (None, None));
        watch.begin(at(0), &patience);
        watch.stop();
        assert_eq!(watch.due(), None);
    }

    #[test]
    fn a_late_recogniser_takes_nothing_from_the_voice() {
        let patience = Patience::default();
        let mut watch = Watch::default();
        watch.begin(at(0), &patience);
        while watch.poll(at(4_900)).is_some() {}
        watch.begin_voice(at(4_900), &patience);
        assert_eq!(watch.due(), Some(at(9_900)));
    }
}
