//! Every word of a text, by the readers in their order. Pure. Invariants: one entry a written word, whatever readers answer;
//! readings within readings end after [`DEPTH_MAX`]; nothing leaves that cannot be said.

use super::arpabet::Phones;
use super::lexicon::Lexicon;
use super::token::{self, Token};
use super::{address, calendar, letters, quantity, sayings, telephone};

/// Readings of what stands within one word, one within another, at most.
const DEPTH_MAX: u8 = 6;
/// Letters said of one written word at most: a word of noise must not hold a call for minutes.
pub(super) const SPOKEN_MAX: usize = 2000;

/// One blank-separated word of a text and how it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenWord {
    /// As written.
    pub written: String,
    /// As said; may be several words, or empty for a mark that is silent.
    pub spoken: String,
    /// What the agent's lexicon says about its sounds; `spoken` is then one word, for voices that take no phones.
    pub phones: Option<Phones>,
}

/// Which number of 03/04/2026 is the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// March fourth.
    #[default]
    MonthFirst,
    /// The third of April.
    DayFirst,
}

/// How an agent reads.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Its own pronunciations.
    pub lexicon: Lexicon,
    /// How it takes dates with slashes.
    pub dates: DateOrder,
}

/// How one written word is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) spoken: String,
    pub(super) phones: Option<Phones>,
    /// Its full stop belongs to the abbreviation.
    pub(super) quiet: bool,
}

impl Said {
    pub(super) fn quiet(spoken: &str) -> Self {
        Self { spoken: spoken.to_owned(), quiet: true, ..Self::default() }
    }
}

impl From<String> for Said {
    fn from(spoken: String) -> Self {
        Self { spoken, ..Self::default() }
    }
}

impl From<&str> for Said {
    fn from(spoken: &str) -> Self {
        Self::from(spoken.to_owned())
    }
}

/// Looks at the word before and the words to come; answers for as many of those as it takes, at least one.
type Reader = fn(Option<&Token>, &[Token], &Reading) -> Option<Vec<Said>>;

/// Asked in this order.
const READERS: [Reader; 8] = [
    in_lexicon,
    telephone::code,
    telephone::words,
    calendar::words,
    quantity::words,
    letters::roman,
    letters::shouted,
    sayings::word,
];

/// Every blank-separated word of `text` with how it is said.
#[must_use]
pub fn normalise(text: &str) -> Vec<SpokenWord> {
    normalise_as(text, &Reading::default())
}

/// The same as an agent reads.
#[must_use]
pub fn normalise_as(text: &str, reading: &Reading) -> Vec<SpokenWord> {
    let tokens = token::tokens(text);
    let mut words: Vec<SpokenWord> = Vec::with_capacity(tokens.len());
    while words.len() < tokens.len() {
        let (past, rest) = tokens.split_at(words.len());
        let said = READERS
            .iter()
            .find_map(|reader| reader(past.last(), rest, reading))
            .filter(|said| !said.is_empty())
            .unwrap_or_else(|| vec![single(&rest[0], reading)]);
        words.extend(said.into_iter().zip(rest).map(|(said, token)| finished(said, token)));
    }
    words
}

/// The agent's own word, also with a genitive or plural behind it.
fn in_lexicon(_before: Option<&Token>, rest: &[Token], reading: &Reading) -> Option<Vec<Said>> {
    let token = rest.first()?;
    let said = reading.lexicon.find(&token.plain, &token.body)?;
    Some(vec![Said { spoken: said.respelling, phones: said.phones, quiet: said.whole }])
}

fn single(token: &Token, reading: &Reading) -> Said {
    if token.body.is_empty() {
        return Said::default();
    }
    if let Some(letters) = letters::dotted(&token.plain) {
        return Said::quiet(&letters::acronym(&letters).unwrap_or_else(|| letters::spell(&letters)));
    }
    Said::from(expand(&token.body, reading, DEPTH_MAX))
}

/// One word that no table knows.
fn expand(body: &str, reading: &Reading, depth: u8) -> String {
    if body.is_empty() || depth == 0 {
        return String::new();
    }
    let read = calendar::date(body, reading.dates)
        .or_else(|| calendar::time(body))
        .or_else(|| telephone::word(body))
        .or_else(|| quantity::amount_of_money(body))
        .or_else(|| quantity::percentage(body))
        .or_else(|| quantity::compared(body))
        .or_else(|| quantity::measure(body))
        .or_else(|| quantity::range(body))
        .or_else(|| quantity::mixed(body))
        .or_else(|| quantity::version(body))
        .or_else(|| address::word(body))
        .or_else(|| letters::acronym(body));
    if let Some(said) = read {
        return said;
    }
    if let Some(tag) = body.strip_prefix('#').filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic())) {
        return format!("hashtag {}", expand(tag, reading, depth - 1));
    }
    if let Some(name) = body.strip_prefix('@').filter(|name| !name.is_empty()) {
        return format!("at {}", expand(name, reading, depth - 1));
    }
    // Compounds: "read-back", "24/7", "order_id", "R&D".
    let parts: Vec<&str> =
        body.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [] => body.chars().filter_map(sign).collect::<Vec<_>>().join(" "),
        [part] if part != body => expand(part, reading, depth - 1),
        [part] => letters::word(part),
        [first, second] if body.contains('&') => {
            format!("{} and {}", expand(first, reading, depth - 1), expand(second, reading, depth - 1))
        }
        _ => {
            let said: Vec<String> = parts.iter().map(|part| expand(part, reading, depth - 1)).collect();
            said.join(" ")
        }
    }
}

/// A sign among nothing but signs.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '$' => "dollars",
        '€' => "euros",
        '£' => "pounds",
        '¥' => "yen",
        '%' => "percent",
        '½' => "one half",
        '¼' => "a quarter",
        '¾' => "three quarters",
        '°' => "degrees",
        _ => return None,
    })
}

/// Only what can be said, with the pause of the written word behind it.
fn finished(said: Said, token: &Token) -> SpokenWord {
    let mut spoken = String::with_capacity(said.spoken.len() + 1);
    for word in said.spoken.split_whitespace() {
        let start = spoken.len();
        let blank = if start == 0 { 0 } else { 1 };
        if spoken.len() + word.len() > SPOKEN_MAX {
            break;
        }
        if blank == 1 {
            spoken.push(' ');
        }
        spoken.extend(word.chars().filter(|c| c.is_ascii_alphabetic() || *c == '\''));
        if !spoken[start + blank..].contains(|c: char| c.is_ascii_alphabetic()) {
            // A mark that stood alone.
            spoken.truncate(start);
        } else if let Some(mark) = word.chars().last().filter(|c| ",;:".contains(*c)) {
            spoken.push(mark);
        }
    }
    let quiet = said.quiet && token.mark == Some('.') && !token.last;
    if let Some(mark) = token.mark.filter(|_| !spoken.is_empty() && !quiet) {
        spoken.truncate(spoken.trim_end_matches([',', ';', ':']).len());
        spoken.push(mark);
    }
    SpokenWord { written: token.written.to_owned(), spoken, phones: said.phones }
}
