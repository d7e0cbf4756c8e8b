//! Yes or no. Purpose: decide whether a caller has approved, and never by accident.
//!
//! Pure. Affirmative and negative words are scored apart; an approval needs a strong affirmative, no negative, no
//! hedge, and nothing else in the turn that could be a condition. So "yes but", "yeah no", "hmm", "okay" and silence
//! are none. Deliberately absent: keys (the dialogue reads them).

use super::Transcript;

/// Words that say yes by themselves.
const STRONG: &[&str] = &["yes", "yeah", "yep", "yup", "yea", "absolutely", "definitely", "ofcourse", "affirmative"];

/// Phrases that say "do it".
const GO: &[&str] = &[
    "go ahead",
    "go for it",
    "do it",
    "do that",
    "build it",
    "build that",
    "build the crm",
    "please do",
    "let's do it",
    "let's go",
    "make it so",
    "make it",
    "start it",
    "start building",
    "build away",
    "get going",
    "carry on and build",
];

/// Words that agree with something, but perhaps only with having heard it.
const WEAK: &[&str] = &[
    "okay",
    "sure",
    "right",
    "alright",
    "fine",
    "good",
    "correct",
    "great",
    "perfect",
    "cool",
    "exactly",
    "uhhuh",
    "mhm",
    "lovely",
    "nice",
    "super",
    "wonderful",
    "excellent",
];

/// Words that refuse, doubt, delay or attach a condition.
const NEGATIVE: &[&str] = &[
    "no",
    "nope",
    "nah",
    "not",
    "don't",
    "never",
    "stop",
    "wait",
    "hold",
    "cancel",
    "wrong",
    "isn't",
    "won't",
    "can't",
    "doesn't",
    "didn't",
    "wouldn't",
    "shouldn't",
    "nothing",
    "nobody",
    "none",
    "negative",
    "neither",
    "without",
];

/// Words that leave a yes open.
const HEDGES: &[&str] = &[
    "but", "however", "except", "although", "though", "unless", "if", "maybe", "perhaps", "hmm", "hm", "later",
    "instead", "actually", "think", "guess", "suppose", "probably", "almost", "nearly", "first", "before", "until",
    "only", "change", "when", "what", "why", "how", "who", "which",
];

/// Words that may stand beside a yes without changing it.
const HARMLESS: &[&str] = &[
    "please", "thanks", "thank", "that's", "that", "is", "it", "it's", "now", "then", "the", "a", "an", "and", "oh",
    "well", "so", "just", "grace", "crm", "all", "sounds", "looks", "want", "i", "i'm", "very", "much", "right",
    "away", "me", "us", "for", "this", "do", "build", "make", "start", "go", "going", "get", "ahead", "let's", "ready",
    "with", "on", "carry", "happy",
];

/// How far a turn says yes and how far it says no.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Answer {
    /// 0..=1.
    pub yes: f64,
    /// 0..=1; hedges count half.
    pub no: f64,
    /// Words beside a yes that could be a condition or a wish.
    pub other_words: usize,
}

impl Answer {
    /// Scores a turn.
    pub(super) fn of(heard: &Transcript) -> Self {
        let mut yes: f64 = 0.0;
        let mut no: f64 = 0.0;
        let mut other_words = 0;
        let plain = heard.plain().replace("thank you", "thanks").replace("what i want", "it");
        for word in plain.split(' ').filter(|w| !w.is_empty()) {
            if STRONG.contains(&word) {
                yes = yes.max(0.95);
            } else if NEGATIVE.contains(&word) {
                no = no.max(0.95);
            } else if HEDGES.contains(&word) {
                no = no.max(0.5);
            } else if WEAK.contains(&word) {
                yes = yes.max(0.5);
            } else if !HARMLESS.contains(&word) {
                other_words += 1;
            }
        }
        if heard.says(GO) {
            yes = yes.max(0.95);
        }
        Self { yes, no, other_words }
    }

    /// An explicit yes or go-ahead with nothing against it and nothing besides it.
    #[must_use]
    pub fn approves(&self) -> bool {
        self.yes >= 0.9 && self.no == 0.0 && self.other_words == 0
    }

    /// A no with no yes beside it.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.no >= 0.9 && self.yes < 0.9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer::of(&Transcript::new(text))
    }

    #[test]
    fn explicit_approvals() {
        for text in [
            "yes",
            "Yes.",
            "yeah",
            "yes please",
            "yep, go ahead",
            "go ahead",
            "do it",
            "build it now please",
            "yes yes yes",
            "yes, that's right",
            "okay go for it",
            "please do",
            "of course",
            "yes build the c r m",
            "yes, thank you Grace",
            "absolutely",
            "yes that is what I want",
        ] {
            assert!(answer(text).approves(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_approval() {
        for text in [
            "",
            "hmm",
            "um",
            "okay",
            "right",
            "sure",
            "mm-hm",
            "uh-huh",
            "no",
            "nope",
            "yes but",
            "yes, but without deals",
            "yeah no",
            "no yes",
            "yes and add notes",
            "yes if it is free",
            "not yet",
            "yes wait",
            "don't do it",
            "maybe yes",
            "do I have to say yes",
            "should I say yes",
            "yes to the contacts",
            "I guess yes",
            "yesterday",
            "stop",
            "what happens if I say yes",
            "go ahead and call me tomorrow",
            "sounds good",
            "the yes men",
            "yes, hold on",
            "build it later",
            "so you build it",
            "can you build it in blue",
            "yes when you have added search",
        ] {
            assert!(!answer(text).approves(), "{text}");
        }
    }

    #[test]
    fn a_plain_no() {
        assert!(answer("no").rejects() && answer("no thanks").rejects() && answer("don't").rejects());
        assert!(!answer("yeah no").rejects() && !answer("").rejects() && !answer("hmm").rejects());
    }
}
