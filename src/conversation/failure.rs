//! What the agent says when something fails: one table, failure → line → what follows. Purpose: whatever breaks, the caller
//! hears an honest sentence and not silence; all lines are synthesised before the first call (`conversation::prompts`), so
//! that they sound when the voice is what broke. Pure data. Invariants: every failure has a line; no line needs the
//! recogniser, a model or the network to be said; none promises what is not done. Deliberately absent: noticing failures
//! (`call::machine`, `speech`).

/// Said while an answer is being made and nothing has been heard of it yet. No answer: it counts as no first sample.
pub const FILLER: &str = "One moment.";

/// What can fail in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The recogniser brought nothing, or said that it failed.
    Hearing,
    /// It did so again: keys are the way on.
    HearingAgain,
    /// The voice brought no audio at all.
    Voice,
    /// The voice broke off within an utterance.
    VoiceBroke,
    /// What thinks is late.
    BrainSlow,
    /// What thinks failed.
    Brain,
    /// What thinks will not answer that.
    BrainRefused,
    /// Something that was looked up or ordered takes long.
    ToolSlow,
    /// It did not come at all.
    Tool,
    /// All places for builds are taken.
    PipelineFull,
    /// Nothing can be written down: the disk is full or broken.
    Disk,
    /// More calls or turns than the machine can serve.
    Overload,
    /// A panic of ours.
    Fault,
    /// The daemon is stopping.
    Stopping,
    /// The call has lasted as long as a call may.
    TooLong,
}

/// What follows the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The conversation goes on; the caller may say it again.
    GoOn,
    /// What was asked for is still awaited.
    Wait,
    /// The call ends after the line.
    HangUp,
}

/// One row.
struct Row {
    failure: Failure,
    line: &'static str,
    then: Then,
}

const fn row(failure: Failure, line: &'static str, then: Then) -> Row {
    Row { failure, line, then }
}

#[rustfmt::skip]
const TABLE: [Row; 15] = [
    row(Failure::Hearing,      "Sorry, I could not hear that. Please say it again.", Then::GoOn),
    row(Failure::HearingAgain, "Sorry, my hearing fails. You can use the keys: one is yes, two is no, three repeats.", Then::GoOn),
    row(Failure::Voice,        "I am sorry, my voice has failed. Please call again.", Then::HangUp),
    row(Failure::VoiceBroke,   "Sorry, my voice broke off. Press three to hear it again.", Then::GoOn),
    row(Failure::BrainSlow,    "I am still thinking about it.", Then::Wait),
    row(Failure::Brain,        "Sorry, I lost my thread. Please say that once more.", Then::GoOn),
    row(Failure::BrainRefused, "I am sorry, I can't help with that.", Then::GoOn),
    row(Failure::ToolSlow,     "This takes longer than usual. I will tell you as soon as I know.", Then::Wait),
    row(Failure::Tool,         "I am sorry, I could not find that out. Please ask me again later.", Then::GoOn),
    row(Failure::PipelineFull, "Too many builds are waiting. Please ask me again in a minute.", Then::GoOn),
    row(Failure::Disk,         "I could not write that down, so nothing was started. Please call again.", Then::GoOn),
    row(Failure::Overload,     "There is too much going on at the moment. Please say it again.", Then::GoOn),
    row(Failure::Fault,        "I am sorry, something went wrong here. Please call again.", Then::HangUp),
    row(Failure::Stopping,     "I have to stop now. Please call again in a minute.", Then::HangUp),
    row(Failure::TooLong,      "Our time is up. Please call again to go on. Goodbye.", Then::HangUp),
];

impl Failure {
    /// All of them, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.failure)
    }

    fn row(self) -> &'static Row {
        // The table is in the order of the enum; a test holds it to that.
        &TABLE[self as usize]
    }

    /// What the caller is told.
    #[must_use]
    pub fn line(self) -> &'static str {
        self.row().line
    }

    /// What follows.
    #[must_use]
    pub fn then(self) -> Then {
        self.row().then
    }
}

/// Everything that must be sayable with every engine gone: the filler and all lines.
pub fn lines() -> impl Iterator<Item = &'static str> {
    std::iter::once(FILLER).chain(TABLE.iter().map(|row| row.line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_row_and_a_line_of_a_breath_or_two() {
        for (n, failure) in Failure::all().enumerate() {
            assert_eq!(failure as usize, n, "{failure:?}");
            let words = failure.line().split_whitespace().count();
            assert!((3..=18).contains(&words), "{failure:?}: {}", failure.line());
        }
        let distinct: std::collections::BTreeSet<_> = lines().collect();
        assert_eq!(distinct.len(), TABLE.len() + 1);
    }
}
