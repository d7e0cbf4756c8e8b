//! What the words so far say about whether more will come. Pure. Deliberately absent: sound, time, how sentences are built
//! (`completeness`), answers that leave out what was asked (`elliptic`).

use super::completeness;
use super::elliptic;
use super::word::Class;
use crate::conversation::Expectation;
use crate::conversation::spoken::SMALL;

/// Words of which a short answer is made.
const ANSWER: &[&str] = &[
    "absolutely",
    "agreed",
    "ahead",
    "all",
    "alright",
    "bye",
    "correct",
    "definitely",
    "do",
    "exactly",
    "fine",
    "go",
    "good",
    "goodbye",
    "great",
    "hello",
    "hi",
    "is",
    "it",
    "nah",
    "no",
    "nope",
    "not",
    "now",
    "ok",
    "okay",
    "perfect",
    "please",
    "right",
    "sure",
    "thank",
    "thanks",
    "that",
    "that's",
    "yeah",
    "yep",
    "yes",
    "yet",
    "you",
];
/// Of these, those that belong to the clause after the yes or no.
const CLAUSE: &[&str] = &["it", "that", "that's", "is", "do", "not", "all", "go", "you"];
/// An answer of more words than this is a sentence.
const ANSWER_WORDS_MAX: usize = 4;

/// The other names of zero, as dictated.
const ZERO: &[&str] = &["oh", "o"];

/// The words say no more than this: one in ten is not what was said.
const UNFINISHED_MOST: f32 = -2.4;
const FINISHED_MOST: f32 = 3.0;
/// Of a short answer that is all.
const ANSWERED: f32 = 1.3;
/// Of an answer that lacks something: "that is".
const HALF_ANSWERED: f32 = -1.3;
/// A reply of few words to a question that a yes would do for, if a sentence can end there at all: "fine", "of course".
const REPLIED: f32 = 1.4;
const REPLY_WORDS_MAX: usize = 5;
const REPLY_LEAST: f32 = -1.5;
/// Nothing was recognised: the recogniser lags, or has nothing to go by.
const UNHEARD: f32 = -0.6;
/// A name of one word: half of the callers add the other. A little more patience than that.
const ONE_NAME: f32 = -0.5;
const MORE_NAMES: f32 = 0.8;
/// A name was announced and not yet said: "my name is".
const NO_NAME: f32 = -2.4;

/// The words so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    /// Log odds that the words are a finished utterance; digits that were asked for and spelling are not in it.
    pub(super) complete: f32,
    pub(super) words: usize,
    /// They are a short answer that is all.
    pub(super) answered: bool,
    /// The last of them begins something, whatever stands before it: "um", "and", "the".
    pub(super) hangs: bool,
    /// Digits dictated: "five five one" is three, "double four" is two, "42" is two.
    pub(super) digits: usize,
    /// Single letters at the end.
    pub(super) letters: usize,
    /// The letters at the end make a word that was said before them.
    pub(super) spelled_out: bool,
}

impl Said {
    /// Any case, with or without punctuation.
    pub(super) fn of(expect: Expectation, text: &str) -> Self {
        let text = text.to_lowercase().replace('\u{2019}', "'");
        let words: Vec<&str> =
            text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).collect();
        let letters = words.iter().rev().take_while(|word| is_letter(word)).count();
        let (before, spelling) = words.split_at(words.len() - letters);
        let spelling = spelling.concat();
        Self {
            complete: completeness(&words, expect),
            words: words.len(),
            answered: answers_briefly(&words, expect).is_some() || is_answer(&words) && !lacks(&words),
            hangs: words.last().is_some_and(|last| hangs(last)),
            digits: digits(&words),
            letters,
            spelled_out: letters >= 2 && before.contains(&spelling.as_str()),
        }
    }
}

/// Log odds that these words, lower case, are a finished utterance where `expect` was asked for.
pub(super) fn completeness(words: &[&str], expect: Expectation) -> f32 {
    let Some(last) = words.last() else { return UNHEARD };
    if let Some(odds) = answers_briefly(words, expect) {
        return odds;
    }
    if is_answer(words) {
        return if lacks(words) { HALF_ANSWERED } else { ANSWERED };
    }
    if expect == Expectation::Name && !is_letter(last) {
        return name(words);
    }
    let odds = completeness::completeness(words).clamp(UNFINISHED_MOST, FINISHED_MOST);
    let replied = expect == Expectation::YesNo && words.len() <= REPLY_WORDS_MAX && odds > REPLY_LEAST;
    if replied { (odds + REPLIED).min(FINISHED_MOST) } else { odds }
}

fn is_answer(words: &[&str]) -> bool {
    let answers = words.iter().all(|word| ANSWER.contains(word)) && words.last() != Some(&"not");
    (1..=ANSWER_WORDS_MAX).contains(&words.len()) && answers
}

/// "yes it is": log odds of an answer that leaves out what was asked; without a yes or no before it only where one was asked for.
fn answers_briefly(words: &[&str], expect: Expectation) -> Option<f32> {
    let opening = words.iter().take_while(|word| ANSWER.contains(word) && !CLAUSE.contains(word)).count();
    let odds = elliptic::odds(&words[opening..])?;
    (opening > 0 || expect == Expectation::YesNo).then_some(odds)
}

/// "that is" and "is it" lack something where "that is right" does not.
fn lacks(words: &[&str]) -> bool {
    words.last().is_some_and(|last| matches!(*last, "is" | "that's" | "that"))
}

fn hangs(last: &str) -> bool {
    use Class::{Article, Coordinator, Filler, Possessive, Subordinator};
    matches!(Class::of(last), Article | Coordinator | Filler | Possessive | Subordinator)
}

fn name(words: &[&str]) -> f32 {
    let may_name = |word: &&&str| {
        matches!(Class::of(word), Class::Noun | Class::Adjective | Class::Gerund | Class::Past | Class::Possessive)
            && **word != "name"
    };
    let names = words.iter().filter(may_name).count();
    let announced = words.last().is_some_and(|last| {
        matches!(Class::of(last), Class::Be | Class::Article | Class::Contracted | Class::Coordinator | Class::Filler)
    });
    match names {
        _ if announced => NO_NAME,
        0 => NO_NAME,
        1 => ONE_NAME,
        _ => MORE_NAMES,
    }
}

fn digits(words: &[&str]) -> usize {
    let mut count = 0;
    let mut repeat = 1;
    for word in words {
        match *word {
            "double" => repeat = 2,
            "triple" => repeat = 3,
            word if SMALL[..10].contains(&word) || ZERO.contains(&word) => count += std::mem::replace(&mut repeat, 1),
            word if word.bytes().all(|octet| octet.is_ascii_digit()) => {
                count += word.len() * std::mem::replace(&mut repeat, 1);
            }
            _ => repeat = 1,
        }
    }
    count
}

fn is_letter(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_names() {
        let odds = |expect, text: &str| Said::of(expect, text).complete;
        for (text, odds_of_it) in [
            ("", UNHEARD),
            (" ... ", UNHEARD),
            ("Yes, please.", ANSWERED),
            ("that is right", ANSWERED),
            ("no", ANSWERED),
            ("that is", HALF_ANSWERED),
        ] {
            assert_eq!(odds(Expectation::YesNo, text), odds_of_it, "{text}");
        }
        for (text, odds_of_it) in
            [("my name is", NO_NAME), ("Grace", ONE_NAME), ("it is Grace", ONE_NAME), ("Grace Miller", MORE_NAMES)]
        {
            assert_eq!(odds(Expectation::Name, text), odds_of_it, "{text}");
        }
        assert!(odds(Expectation::YesNo, "yes but") <= -2.0);
    }

    #[test]
    fn digits_and_letters_are_counted() {
        for (text, digits, letters) in [
            ("five five one", 3, 0),
            ("double four, oh", 3, 0),
            ("it's 415 555", 6, 0),
            ("triple 7", 3, 0),
            ("m a r", 0, 3),
            ("clark c l", 0, 2),
            ("no", 0, 0),
        ] {
            let said = Said::of(Expectation::Open, text);
            assert_eq!((said.digits, said.letters), (digits, letters), "{text}");
        }
        assert!(Said::of(Expectation::Open, "Clark: C L A R K").spelled_out);
        assert!(
            !Said::of(Expectation::Open, "clark c l a").spelled_out && !Said::of(Expectation::Open, "a").spelled_out
        );
    }
}
