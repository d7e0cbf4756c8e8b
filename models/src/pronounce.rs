//! How words are said that the recogniser's dictionary lacks. Purpose: names of products, companies and people in an agent's
//! vocabulary, as phones of the CMU dictionary (ARPAbet, no stress).
//!
//! Flite's lexicon and letter-to-sound rules do the work: they are there wherever the built-in voice is. Owning thread: any.
//! Deliberately absent: languages other than English; numbers and abbreviations (`speech::normalise`).

use crate::assets::{AssetError, Assets};
use crate::ffi::lexicon::{Lexicon, c_word};
use std::fmt;

/// Letters of a word that is said by rule, at most.
const LETTERS_MAX: usize = 40;
/// Phones of the recogniser's dictionary.
const PHONES: [&str; 39] = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
];

/// Letter-to-sound rules of American English.
#[derive(Clone)]
pub struct LetterToSound(Lexicon);

impl fmt::Debug for LetterToSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LetterToSound")
    }
}

impl LetterToSound {
    /// Loads Flite's lexicon.
    ///
    /// # Errors
    /// [`AssetError`] when Flite is not installed.
    pub fn load(assets: &Assets) -> Result<Self, AssetError> {
        let directories: Vec<_> = assets.library_directories().collect();
        Lexicon::load(&directories).map(Self)
    }

    /// Phones of `word`, separated by blanks; `None` when it has other characters than letters and apostrophes, or none.
    #[must_use]
    pub fn phones(&self, word: &str) -> Option<String> {
        cmu(&self.0.look_up(&c_word(&plain(word)?)))
    }

    /// Phones of `word` with their stress as Flite's lexicon has it: blank-separated, `1` or `0` behind each vowel. Empty when
    /// it has other characters than letters and apostrophes, or none.
    pub(crate) fn stressed(&self, word: &str) -> String {
        plain(word).map(|word| self.0.look_up(&c_word(&word)).join(" ")).unwrap_or_default()
    }

    /// As [`phones`](Self::phones), by the rules alone, as for a word that no lexicon lists.
    #[must_use]
    pub fn phones_by_rule(&self, word: &str) -> Option<String> {
        cmu(&self.0.by_rule(&c_word(&plain(word)?)))
    }
}

/// What the rules take: lower-case letters. Flite indexes a table with them, so nothing else may reach it.
fn plain(word: &str) -> Option<String> {
    let plain: String = word.chars().filter(|c| *c != '\'').map(|c| c.to_ascii_lowercase()).collect();
    let letters = !plain.is_empty() && plain.len() <= LETTERS_MAX && plain.bytes().all(|b| b.is_ascii_lowercase());
    letters.then_some(plain)
}

/// Flite's phones in the dictionary's names.
fn cmu(phones: &[String]) -> Option<String> {
    let named: Option<Vec<&str>> = phones
        .iter()
        .map(|phone| phone.trim_end_matches(|c: char| c.is_ascii_digit()))
        .filter(|phone| *phone != "pau")
        .map(|phone| match phone {
            "ax" => Some("AH"),
            _ => PHONES.iter().find(|name| name.eq_ignore_ascii_case(phone)).copied(),
        })
        .collect();
    named.filter(|named| !named.is_empty()).map(|named| named.join(" "))
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;
    use crate::asr::PocketSphinx;

    fn rules() -> Option<LetterToSound> {
        match LetterToSound::load(&Assets::locate()) {
            Ok(rules) => Some(rules),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn new_words_have_phones() {
        let Some(rules) = rules() else { return };
        assert_eq!(rules.phones("customer").as_deref(), Some("K AH S T AH M ER"));
        assert_eq!(rules.phones("o'brien"), rules.phones("obrien"));
        for made_up in ["callwright", "zendora", "brixley", "kubeflow"] {
            let phones = rules.phones(made_up).unwrap();
            assert!(phones.split(' ').count() >= 5, "{made_up}: {phones}");
        }
        for no_word in ["", "4711", "naïve", "a b", "x\0y", &"a".repeat(1000)] {
            assert_eq!(rules.phones(no_word), None, "{no_word:?}");
        }
    }

    /// Edits that turn one sequence into the other.
    fn edits(a: &[&str], b: &[&str]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let next = (row[j + 1] + 1).min(row[j] + 1).min(diagonal + usize::from(x != y));
                diagonal = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()]
    }

    /// The rules were made from this very dictionary by their authors, so words of it are an upper bound.
    #[test]
    fn by_rule_most_phones_are_the_dictionarys() {
        let Some(rules) = rules() else { return };
        let Ok(dictionary) = Assets::locate().pronunciations() else { return };
        if PocketSphinx::load(&Assets::locate()).is_err() {
            return;
        }
        let text = std::fs::read_to_string(dictionary).unwrap();
        let words = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(word, _)| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase()));
        let (mut wrong, mut all, mut exact, mut count) = (0, 0, 0, 0);
        for (word, phones) in words.step_by(97) {
            let truth: Vec<&str> = phones.split_whitespace().collect();
            let Some(guess) = rules.phones_by_rule(word) else { panic!("{word} has no phones") };
            let edits = edits(&guess.split(' ').collect::<Vec<_>>(), &truth);
            wrong += edits;
            all += truth.len();
            exact += usize::from(edits == 0);
            count += 1;
        }
        let accuracy = 1.0 - wrong as f64 / all as f64;
        eprintln!("phones right {:.1} %, words {exact} of {count}", 100.0 * accuracy);
        assert!(accuracy > 0.85, "{accuracy}");
    }
}
