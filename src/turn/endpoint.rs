//! How long a pause may be before the caller's turn counts as over.
//!
//! Pure function of what the agent asked and of what has been recognised so far; audio time only.
//! Invariants: never more than [`ENDPOINT_MAX`]; never under 400 ms where a yes may start something ("yes… but").
//! Deliberately absent: a model of the caller's habits (it will be a further argument).

use std::time::Duration;

use crate::conversation::Expectation;
use crate::limits::ENDPOINT_MAX;

/// After an answer to a yes/no question.
const YES_NO: Duration = Duration::from_millis(450);
/// After a sentence that could be complete.
const OPEN: Duration = Duration::from_millis(650);
/// After one that also sounded complete.
const SOUNDED_COMPLETE: Duration = Duration::from_millis(400);
/// When nothing has been recognised yet: the recogniser may lag, or it was noise.
const UNHEARD: Duration = Duration::from_millis(800);
/// After a word that wants another one: "and", "with", "um".
const UNFINISHED: Duration = Duration::from_millis(1400);
/// After a number that may go on: "twenty", "four one".
const OPEN_NUMBER: Duration = Duration::from_millis(1100);
/// After the last digit of a complete number.
const DIGITS_COMPLETE: Duration = Duration::from_millis(400);
/// Between dictated digits: people read them in groups.
const DIGITS_PARTIAL: Duration = Duration::from_millis(2000);
/// Between the words or letters of a name.
const NAME: Duration = Duration::from_millis(1000);
/// From this many words on, an answer to a yes/no question is no longer a plain yes or no.
const LONG_ANSWER_WORDS: usize = 4;

/// Words after which people go on: conjunctions, prepositions, articles, hesitation, openers of an object.
const UNFINISHED_WORDS: &[&str] = &[
    "a",
    "about",
    "also",
    "an",
    "and",
    "as",
    "at",
    "because",
    "between",
    "but",
    "by",
    "can",
    "could",
    "er",
    "erm",
    "except",
    "for",
    "from",
    "give",
    "hmm",
    "i",
    "i'd",
    "i'm",
    "if",
    "in",
    "including",
    "into",
    "is",
    "it's",
    "its",
    "just",
    "keep",
    "like",
    "make",
    "maybe",
    "mm",
    "my",
    "need",
    "no",
    "of",
    "on",
    "or",
    "our",
    "plus",
    "so",
    "some",
    "than",
    "that",
    "the",
    "their",
    "then",
    "to",
    "uh",
    "um",
    "until",
    "want",
    "we",
    "well",
    "when",
    "where",
    "whether",
    "which",
    "with",
    "without",
    "would",
    "your",
];

/// Spoken digits, as dictated.
const DIGIT_WORDS: &[&str] =
    &["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple"];

/// Number words that are often followed by a smaller one.
const OPEN_NUMBER_WORDS: &[&str] = &[
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "point",
    "number",
];

/// The pause after which the turn is over.
///
/// `partial` is the text recognised so far in this turn, any case; empty when there is none.
#[must_use]
pub fn wait(expect: Expectation, partial: &str) -> Duration {
    let text = partial.to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|w| !w.is_empty()).collect();
    let last = words.last().copied().unwrap_or("");
    let wait = match expect {
        Expectation::Digits { max } => {
            if digits(&words) >= usize::from(max.max(1)) {
                DIGITS_COMPLETE
            } else {
                DIGITS_PARTIAL
            }
        }
        Expectation::Name => {
            if UNFINISHED_WORDS.contains(&last) && last != "i" && last != "a" && last != "no" {
                UNFINISHED
            } else {
                NAME
            }
        }
        // A lone "no" is an answer here; "no" at the end of a sentence of another kind is not finished.
        Expectation::YesNo if words.is_empty() || (words.len() == 1 && last == "no") => YES_NO,
        Expectation::YesNo | Expectation::Open => {
            if words.is_empty() {
                UNHEARD
            } else if UNFINISHED_WORDS.contains(&last) {
                UNFINISHED
            } else if OPEN_NUMBER_WORDS.contains(&last) || (words.len() > 1 && is_digit(last)) {
                OPEN_NUMBER
            } else if expect == Expectation::YesNo && words.len() < LONG_ANSWER_WORDS {
                YES_NO
            } else {
                OPEN
            }
        }
    };
    wait.min(ENDPOINT_MAX)
}

/// The same when a model has heard that the voice came to an end. Only a sentence that could be complete gains by it: the
/// tone does not know that a word is missing, that digits come in groups, or what a yes may start.
#[must_use]
pub(super) fn wait_when_it_sounded_complete(expect: Expectation, partial: &str) -> Duration {
    let wait = wait(expect, partial);
    if wait == OPEN && expect == Expectation::Open { SOUNDED_COMPLETE } else { wait }
}

/// How many digits have been dictated: "five five one" is three, "double four" is two, "42" is two.
fn digits(words: &[&str]) -> usize {
    let mut count = 0;
    let mut repeat = 1;
    for word in words {
        match *word {
            "double" => repeat = 2,
            "triple" => repeat = 3,
            w if is_digit(w) => {
                count += repeat;
                repeat = 1;
            }
            w if w.bytes().all(|b| b.is_ascii_digit()) => {
                count += w.len();
                repeat = 1;
            }
            _ => repeat = 1,
        }
    }
    count
}

fn is_digit(word: &str) -> bool {
    DIGIT_WORDS.contains(&word) && word != "double" && word != "triple"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(expect: Expectation, partial: &str) -> u128 {
        wait(expect, partial).as_millis()
    }

    #[test]
    fn a_yes_is_quick_but_never_under_400_ms() {
        assert_eq!(ms(Expectation::YesNo, "yes"), 450);
        assert_eq!(ms(Expectation::YesNo, "no"), 450);
        assert_eq!(ms(Expectation::YesNo, ""), 450);
        assert!(ms(Expectation::YesNo, "yes but") > 1000);
        assert_eq!(ms(Expectation::YesNo, "no leave the deals out"), 650);
    }

    #[test]
    fn an_open_sentence_waits_for_its_object() {
        assert_eq!(ms(Expectation::Open, "build me a crm"), 650);
        assert_eq!(ms(Expectation::Open, "build me a CRM with"), 1400);
        assert_eq!(ms(Expectation::Open, "contacts and, um"), 1400);
        assert_eq!(ms(Expectation::Open, "we have twenty"), 1100);
        assert_eq!(ms(Expectation::Open, "call four one"), 1100);
    }

    #[test]
    fn a_voice_that_came_to_an_end_shortens_what_could_be_complete_and_nothing_else() {
        let sounded = |expect, partial| wait_when_it_sounded_complete(expect, partial).as_millis();
        assert_eq!(sounded(Expectation::Open, "build me a crm"), 400);
        for (expect, partial) in [
            (Expectation::Open, "build me a crm with"),
            (Expectation::Open, "we have twenty"),
            (Expectation::Open, ""),
            (Expectation::YesNo, "yes"),
            (Expectation::YesNo, "no leave the deals out"),
            (Expectation::Digits { max: 4 }, "five five"),
            (Expectation::Name, "grace"),
        ] {
            assert_eq!(sounded(expect, partial), ms(expect, partial), "{expect:?} {partial}");
        }
    }

    #[test]
    fn digits_are_patient_until_complete() {
        let four = Expectation::Digits { max: 4 };
        assert_eq!(ms(four, "five five"), 2000);
        assert_eq!(ms(four, "five five one two"), 400);
        assert_eq!(ms(four, "double five double one"), 400);
        assert_eq!(ms(four, "4711"), 400);
    }

    proptest! {
        #[test]
        fn always_between_400_ms_and_the_bound(
            text in "\\PC{0,60}",
            expect in prop_oneof![
                Just(Expectation::Open), Just(Expectation::YesNo), Just(Expectation::Name),
                any::<u8>().prop_map(|max| Expectation::Digits { max }),
            ],
        ) {
            let wait = wait(expect, &text);
            prop_assert!(wait >= Duration::from_millis(400) && wait <= ENDPOINT_MAX);
        }
    }
}
