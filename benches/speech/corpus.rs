//! What the callers of the bench say. Purpose: sentences with what is meant by each, written apart from the product's own
//! training text, and dictated numbers. Pure data. Invariants: no sentence and no template of more than three words stands in
//! `conversation::domain` (test below); the same on every run. Deliberately absent: audio.

use super::random::Random;
use callwright::conversation::Expectation;
use callwright::pipeline::intent::Context;

const DEV: &str = include_str!("corpus/dev.txt");
const HELD: &str = include_str!("corpus/held.txt");
const LOOKED_AT: &str = include_str!("corpus/asked.txt");
const LOOKED_AT_HEARD: &str = include_str!("corpus/asked_heard.txt");
/// Dictated numbers.
pub const NUMBERS: usize = 48;
/// Digits of each.
pub const NUMBER_DIGITS: usize = 10;

/// What the agent asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// "What shall I build for you?"
    What,
    /// "What shall it keep: contacts, deals, or both?"
    Features,
    /// "Shall I build it?"
    Approval,
    /// Nothing: a call about what is there.
    Free,
    /// For a telephone number.
    Digits,
}

impl Asked {
    /// By its word in the corpus.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "what" => Some(Self::What),
            "features" => Some(Self::Features),
            "approval" => Some(Self::Approval),
            "free" => Some(Self::Free),
            "digits" => Some(Self::Digits),
            _ => None,
        }
    }

    /// What the recogniser is told to expect, as the dialogue does.
    pub const fn expectation(self) -> Expectation {
        match self {
            Self::What | Self::Features | Self::Free => Expectation::Open,
            Self::Approval => Expectation::YesNo,
            Self::Digits => Expectation::Digits { max: NUMBER_DIGITS as u8 },
        }
    }

    /// What the intent grammar is told.
    pub const fn context(self) -> Context {
        match self {
            Self::What => Context::AskedWhat,
            Self::Features => Context::AskedFeatures,
            Self::Approval => Context::AskedApproval,
            Self::Free | Self::Digits => Context::Free,
        }
    }

    /// The pause that ends a turn under this question at the earliest, ms (`turn::endpoint`).
    pub const fn pause_ms(self) -> u64 {
        match self {
            Self::What | Self::Features | Self::Free => 650,
            Self::Approval => 450,
            Self::Digits => 400,
        }
    }
}

/// One sentence.
#[derive(Clone, Debug)]
pub struct Line {
    /// Of the half that nobody tunes to.
    pub held: bool,
    /// What was asked before.
    pub asked: Asked,
    /// What is meant, in the words of `meaning`.
    pub meant: String,
    /// The words.
    pub text: String,
}

impl Line {
    /// The words for a synthetic voice: acronyms as letters.
    pub fn spoken(&self) -> String {
        self.text.replace("CRMs", "C R M s").replace("CRM", "C R M").replace("API", "A P I")
    }
}

/// All sentences, the two halves taking turns.
pub fn lines() -> Vec<Line> {
    let (dev, held) = (parse(DEV, false), parse(HELD, true));
    let mut lines = Vec::with_capacity(dev.len() + held.len());
    let mut held = held.into_iter();
    for line in dev {
        lines.push(line);
        lines.extend(held.next());
    }
    lines.extend(held);
    lines
}

/// Sentences of a third author, heard without an error: they measure the grammar, and may be looked at.
pub fn looked_at() -> Vec<Line> {
    parse(LOOKED_AT, false)
}

/// The same as our recogniser heard them once, with how sure it was.
pub fn looked_at_and_heard() -> Vec<(Line, f32)> {
    let rows = LOOKED_AT_HEARD.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let (line, confidence) = row.rsplit_once('|').expect("a confidence");
        let line = parse(line, false).remove(0);
        (line, confidence.trim().parse().expect("a number"))
    })
    .collect()
}

fn parse(text: &str, held: bool) -> Vec<Line> {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    rows.map(|row| {
        let mut parts = row.split('|').map(str::trim);
        let Some(asked) = parts.next().and_then(Asked::of) else {
            panic!("corpus: {row:?}: begin with what, features, approval or free");
        };
        let (Some(meant), Some(text), None) = (parts.next(), parts.next(), parts.next()) else {
            panic!("corpus: {row:?}: three parts, divided by |");
        };
        Line { held, asked, meant: meant.to_owned(), text: text.to_owned() }
    })
    .collect()
}

/// Telephone numbers as they are dictated: three, three and four digits; every second one says "oh" for zero.
pub fn numbers() -> Vec<Line> {
    const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let mut random = Random::new(10);
    let mut one = |n: usize| {
        let mut text = String::new();
        for place in 0..NUMBER_DIGITS {
            if place > 0 {
                text.push_str(if matches!(place, 3 | 6) { ", " } else { " " });
            }
            let digit = random.below(10);
            text.push_str(if digit == 0 && n % 2 == 1 { "oh" } else { WORDS[digit] });
        }
        Line { held: false, asked: Asked::Digits, meant: "digits".into(), text }
    };
    (0..NUMBERS).map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::score::words;
    use callwright::conversation::domain;
    use std::collections::HashSet;

    /// Sentences this short are the language itself.
    const SHORT: usize = 3;
    /// What templates are filled with; one mark stands for all.
    const FILLERS: &[&str] = &[
        "contacts",
        "deals",
        "notes",
        "companies",
        "tasks",
        "reminders",
        "invoices",
        "search",
        "calendar",
        "payments",
        "reports",
        "documents",
        "email",
        "stages",
        "crm",
        "office",
        "garage",
        "bakery",
        "team",
        "business",
        "company",
        "shop",
        "please",
        "hello",
        "hi",
        "yes",
        "no",
        "okay",
        "well",
        "so",
        "and",
        "a",
        "an",
        "the",
        "my",
        "our",
        "your",
        "us",
        "me",
        "we",
        "i",
    ];

    fn skeleton(text: &str) -> String {
        let kept = words(text).into_iter().filter(|word| !FILLERS.contains(&word.as_str()));
        kept.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_corpus_is_large_and_even() {
        let lines = lines();
        assert!(lines.len() >= 200, "{} sentences", lines.len());
        for asked in [Asked::What, Asked::Features, Asked::Approval, Asked::Free] {
            let count = |held| lines.iter().filter(|line| line.asked == asked && line.held == held).count();
            assert_eq!(count(true), count(false), "{asked:?}");
        }
        let texts: HashSet<String> = lines.iter().map(|line| words(&line.text).join(" ")).collect();
        assert_eq!(texts.len(), lines.len(), "no sentence twice");
        let numbers = numbers();
        assert!(numbers.len() >= 40);
        assert!(numbers.iter().all(|n| words(&n.text).len() == NUMBER_DIGITS));
    }

    #[test]
    fn no_sentence_was_taught() {
        let domain = domain();
        let taught: HashSet<String> =
            domain.sentences.lines().chain(domain.usual.lines()).map(|line| words(line).join(" ")).collect();
        let known: Vec<String> = lines()
            .iter()
            .filter(|line| words(&line.text).len() > SHORT && taught.contains(&words(&line.text).join(" ")))
            .map(|line| line.text.clone())
            .collect();
        assert!(known.is_empty(), "the recogniser was taught these: say them differently in its text: {known:#?}");
    }

    #[test]
    fn no_template_was_taught() {
        let taught: HashSet<String> = domain().sentences.lines().map(skeleton).collect();
        let known: Vec<String> = lines()
            .iter()
            .filter(|line| skeleton(&line.text).split(' ').count() > SHORT && taught.contains(&skeleton(&line.text)))
            .map(|line| format!("{} [{}]", line.text, skeleton(&line.text)))
            .collect();
        assert!(known.is_empty(), "templates of these were taught: {known:#?}");
    }
}
