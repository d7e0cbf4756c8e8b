//! Words as they are spoken. Purpose: one form for what a script expects, what the ear heard and what its language model
//! lists, so that "10 records", "ten records" and "Ten records." are the same thing. Pure, any thread.
//! Invariant: a number matches only as a whole: "seven records" is not found in "twenty seven records".
//! Deliberately absent: pronunciation (that is the ear's).

use crate::conversation::spoken::{SMALL as UNITS, TENS};

/// The largest number that is turned into words; longer digit strings are spelled digit by digit.
const LARGEST_NUMBER: u64 = 999_999;

/// Every word that a spoken number is made of.
pub fn number_vocabulary() -> impl Iterator<Item = &'static str> {
    UNITS.into_iter().chain(TENS.into_iter().skip(2)).chain(["hundred", "thousand"])
}

/// Whether this word is part of a spoken number.
pub fn is_number_word(word: &str) -> bool {
    number_vocabulary().any(|w| w == word)
}

/// `112` → `one hundred twelve`; above 999,999 digit by digit.
pub fn number_words(n: u64) -> Vec<&'static str> {
    let mut out = Vec::with_capacity(8);
    if n > LARGEST_NUMBER {
        out.extend(n.to_string().bytes().map(|digit| UNITS[usize::from(digit - b'0')]));
        return out;
    }
    if n >= 1000 {
        below_thousand(n / 1000, &mut out);
        out.push("thousand");
        if !n.is_multiple_of(1000) {
            below_thousand(n % 1000, &mut out);
        }
    } else {
        below_thousand(n, &mut out);
    }
    out
}

fn below_thousand(n: u64, out: &mut Vec<&'static str>) {
    // Callers pass 0..=999, so each index below is in range.
    let n = usize::try_from(n).unwrap_or(0) % 1000;
    let (hundreds, rest) = (n / 100, n % 100);
    if hundreds > 0 {
        out.extend([UNITS[hundreds], "hundred"]);
        if rest == 0 {
            return;
        }
    }
    if rest < 20 {
        out.push(UNITS[rest]);
    } else {
        out.push(TENS[rest / 10]);
        if rest % 10 > 0 {
            out.push(UNITS[rest % 10]);
        }
    }
}

/// Text as lower-case spoken words: digits become number words, punctuation goes, the "and" inside a number goes.
pub fn spoken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let text = text.to_lowercase();
    for piece in text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | '–' | '—' | '_')) {
        push_piece(piece, &mut words);
    }
    drop_and_in_numbers(words)
}

fn push_piece(piece: &str, words: &mut Vec<String>) {
    let piece = piece.trim_matches(|c: char| !c.is_alphanumeric());
    if piece.is_empty() {
        return;
    }
    let digits: String = piece.chars().filter(|&c| c != ',').collect();
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // A leading zero means that somebody reads out digits ("007"), not a number.
        match digits.parse::<u64>() {
            Ok(n) if digits == "0" || !digits.starts_with('0') => {
                words.extend(number_words(n).into_iter().map(str::to_owned));
            }
            _ => words.extend(digits.bytes().map(|b| UNITS[usize::from(b - b'0')].to_owned())),
        }
        return;
    }
    let joined = |c: char| c.is_alphanumeric() || c == '\'';
    if piece.chars().all(joined) {
        words.push(piece.to_owned());
    } else {
        for part in piece.split(|c| !joined(c)) {
            push_piece(part, words);
        }
    }
}

fn drop_and_in_numbers(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let inside = word == "and"
            && out.last().is_some_and(|w| w == "hundred" || w == "thousand")
            && words.peek().is_some_and(|w| is_number_word(w));
        if !inside {
            out.push(word);
        }
    }
    out
}

/// What was heard, piece by piece, ready to be searched.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    words: Vec<String>,
    /// Indices into `words` at which a new piece of speech starts.
    starts: Vec<usize>,
}

impl Heard {
    /// Adds one piece of speech (between two pauses).
    pub fn push(&mut self, text: &str) {
        self.starts.push(self.words.len());
        self.words.extend(spoken(text));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.words.clear();
        self.starts.clear();
    }

    /// True while nothing was heard.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All words in order.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }

    /// Whether `phrase` was said: its words in a row, a pause between them allowed, plural or not. `a|b` means either.
    pub fn contains(&self, phrase: &str) -> bool {
        phrase.split('|').any(|alternative| self.contains_words(&spoken(alternative)))
    }

    fn contains_words(&self, wanted: &[String]) -> bool {
        if wanted.is_empty() {
            return !self.words.is_empty();
        }
        self.words.windows(wanted.len()).enumerate().any(|(at, window)| {
            window.iter().zip(wanted).all(|(heard, wanted)| singular(heard) == singular(wanted))
                && self.number_ends_at(at)
                && self.number_ends_at(at + wanted.len())
        })
    }

    /// No number runs across the border before word `at`.
    fn number_ends_at(&self, at: usize) -> bool {
        let number = |i: usize| self.words.get(i).is_some_and(|w| is_number_word(w));
        at == 0 || self.starts.contains(&at) || !(number(at - 1) && number(at))
    }
}

/// The word without a plural's s: whether "36 record" or "36 records" was said, nobody can hear in a telephone.
fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|rest| rest.len() > 2).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(text: &str) -> String {
        spoken(text).join(" ")
    }

    #[test]
    fn numbers_are_spoken() {
        assert_eq!(join("10 records."), "ten records");
        assert_eq!(join("112 and 40"), "one hundred twelve and forty");
        assert_eq!(join("1,205 requests"), "one thousand two hundred five requests");
        assert_eq!(join("one hundred and twelve"), "one hundred twelve");
        assert_eq!(join("007"), "zero zero seven");
        assert_eq!(join("0"), "zero");
        assert_eq!(number_words(999_999).join(" "), "nine hundred ninety nine thousand nine hundred ninety nine");
        assert_eq!(number_words(100_000).join(" "), "one hundred thousand");
        assert_eq!(number_words(1_000_000).len(), 7);
    }

    #[test]
    fn punctuation_and_case_go() {
        assert_eq!(join("Yes — that's it: a read-only CRM!"), "yes that's it a read only crm");
        assert_eq!(join("http://127.0.0.1:80"), "http one hundred twenty seven zero zero one eighty");
    }

    #[test]
    fn a_number_matches_only_whole() {
        let mut heard = Heard::default();
        heard.push("deployed five apis live twenty seven records");
        assert!(heard.contains("5 APIs live"));
        assert!(heard.contains("27 records"));
        assert!(heard.contains("27 record"));
        assert!(!heard.contains("7 records"));
        assert!(!heard.contains("live 20"));
        assert!(heard.contains("parked|deployed"));
        assert!(!heard.contains("parked|failed"));
    }

    #[test]
    fn a_pause_ends_a_number_but_not_a_phrase() {
        let mut heard = Heard::default();
        heard.push("version two");
        heard.push("seven records");
        assert!(heard.contains("seven records"));
        assert!(heard.contains("version two"));
        assert!(heard.contains("two seven records"));
    }

    #[test]
    fn nothing_expected_means_anything_heard() {
        let mut heard = Heard::default();
        assert!(!heard.contains(""));
        heard.push("hello");
        assert!(heard.contains(""));
    }
}
