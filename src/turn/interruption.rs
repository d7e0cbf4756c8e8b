//! Whether somebody who makes a sound while the agent speaks means to take the turn.
//!
//! Pure function of what has been heard since the onset; audio time only. The agent has fallen silent already
//! (`TurnEvent::Duck`) and goes on from the very sample when the verdict is [`Verdict::Aside`], so a wrong suspicion costs a
//! short gap and a wrong verdict a repetition or a lost sentence.
//! Invariants: there is a verdict [`DECIDE_MAX`] after the onset at the latest; an interrupting word is never an aside.
//! Deliberately absent: what a caller's words mean (`conversation`), sound other than its being voice or not.

use std::time::Duration;

use crate::conversation::Expectation;

/// A verdict is due this long after the onset.
pub const DECIDE_MAX: Duration = Duration::from_millis(500);
/// Voice so long is no cough, whatever the recogniser makes of it.
const CERTAIN_VOICE: Duration = Duration::from_millis(420);
/// Voice so long is speech if several words were recognised in it. (One word is what a recogniser makes of any grunt.)
const SPOKEN_VOICE: Duration = Duration::from_millis(350);
const SPOKEN_WORDS: usize = 2;
/// A sound that ended so long ago is over; until then a word may still come.
const OVER: Duration = Duration::from_millis(200);

/// What has been heard since the onset.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Audio time since the first voiced sample.
    pub elapsed: Duration,
    /// Of that, voice.
    pub voiced: Duration,
    /// Silence since the last voice.
    pub quiet: Duration,
    /// Words recognised so far, lower case.
    pub words: &'a str,
    /// What the agent is asking for, or asked for last.
    pub expect: Expectation,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet.
    Undecided,
    /// The caller takes the turn.
    Interruption,
    /// A backchannel, a cough, a noise: the agent goes on.
    Aside,
}

/// Words that take the turn however short they are.
const INTERRUPTING: &[&str] = &[
    "stop", "wait", "no", "nope", "cancel", "hold", "but", "actually", "sorry", "excuse", "pardon", "what", "repeat",
    "again", "change", "instead", "without", "wrong", "hey", "listen", "operator", "help", "don't", "not", "never",
    "goodbye", "bye", "quiet", "enough", "slow", "slower", "question",
];

/// Words that only say "I am listening"; a sentence of nothing else is an aside.
const BACKCHANNEL: &[&str] = &[
    "ah", "aha", "alright", "cool", "correct", "exactly", "fine", "go", "good", "got", "great", "hm", "hmm", "i", "it",
    "mhm", "mm", "mmm", "nice", "oh", "ok", "okay", "perfect", "really", "right", "see", "sure", "that's", "true",
    "uh", "uhhuh", "um", "wow", "yeah", "yep", "yes", "yup", "ahead", "huh", "on", "please", "thanks", "thank", "you",
];

/// Words of dictated digits: an answer that comes before the question is over.
const DIGITS: &[&str] =
    &["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple"];

/// Judges what has been heard so far.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let words: Vec<&str> =
        evidence.words.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| INTERRUPTING.contains(word)) {
        return Verdict::Interruption;
    }
    let answers = |word: &&str| matches!(evidence.expect, Expectation::Digits { .. }) && DIGITS.contains(word);
    let meant = words.iter().filter(|word| answers(word) || !BACKCHANNEL.contains(word)).count();
    let several = words.len() >= SPOKEN_WORDS && meant > 0;
    let answered = words.iter().any(|word| answers(&word));
    if (several || answered) && evidence.voiced >= SPOKEN_VOICE {
        return Verdict::Interruption;
    }
    let over = evidence.quiet >= OVER;
    let due = evidence.elapsed >= DECIDE_MAX;
    if !over && !due {
        return Verdict::Undecided;
    }
    // Nothing but "yeah", or nothing that could be made out: its length decides. Who is still at it when the verdict is due
    // goes on speaking; who has stopped said no more than that.
    let only_backchannel = meant == 0 && !words.is_empty();
    if !over && !only_backchannel && evidence.voiced >= CERTAIN_VOICE {
        return Verdict::Interruption;
    }
    Verdict::Aside
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(elapsed: u64, voiced: u64, quiet: u64, words: &str) -> Verdict {
        judge(&Evidence {
            elapsed: Duration::from_millis(elapsed),
            voiced: Duration::from_millis(voiced),
            quiet: Duration::from_millis(quiet),
            words,
            expect: Expectation::Open,
        })
    }

    #[test]
    fn words_decide_before_time_does() {
        assert_eq!(heard(160, 160, 0, "no"), Verdict::Interruption);
        assert_eq!(heard(200, 200, 0, "wait"), Verdict::Interruption);
        assert_eq!(heard(380, 360, 0, "i need a"), Verdict::Interruption);
        assert_eq!(heard(380, 360, 0, "shoe"), Verdict::Undecided, "one word is what any grunt is taken for");
        assert_eq!(heard(320, 300, 0, "yeah but"), Verdict::Interruption);
        assert_eq!(heard(320, 300, 0, "yeah"), Verdict::Undecided);
    }

    #[test]
    fn asides_let_the_agent_go_on() {
        for words in ["", "yeah", "okay", "i see", "uh", "right okay", "sure"] {
            assert_eq!(heard(450, 250, 200, words), Verdict::Aside, "{words:?}");
        }
        assert_eq!(heard(288, 64, 224, ""), Verdict::Aside, "a cough");
        assert_eq!(heard(500, 480, 0, "yeah okay"), Verdict::Aside, "still nothing but agreement");
    }

    #[test]
    fn whoever_goes_on_speaking_is_let_speak() {
        assert_eq!(heard(490, 480, 0, ""), Verdict::Undecided);
        assert_eq!(heard(500, 480, 0, ""), Verdict::Interruption);
        assert_eq!(heard(500, 200, 100, ""), Verdict::Aside);
    }

    #[test]
    fn digits_that_were_asked_for_are_an_answer() {
        let evidence = Evidence {
            elapsed: Duration::from_millis(400),
            voiced: Duration::from_millis(380),
            quiet: Duration::ZERO,
            words: "oh",
            expect: Expectation::Digits { max: 4 },
        };
        assert_eq!(judge(&evidence), Verdict::Interruption);
        assert_eq!(judge(&Evidence { expect: Expectation::Open, ..evidence }), Verdict::Undecided);
    }

    proptest! {
        #[test]
        fn there_is_a_verdict_in_time(voiced in 0u64..800, quiet in 0u64..800, words in "[a-z ']{0,30}") {
            prop_assert_ne!(heard(500, voiced, quiet, &words), Verdict::Undecided);
        }
    }
}
