//! What one agent adds to the recogniser's domain: words of its configuration, names of apps that exist, and how they are
//! said. Pure. Invariant: what cannot be spoken as English words is left out, so that one bad entry never costs an agent its
//! ears. Deliberately absent: dictionaries and letter-to-sound rules (`models`).

use super::domain::{Class, DomainText, Pattern};
use crate::limits::VOCABULARY_MAX;

/// What callers say around a name that the agent knows.
#[rustfmt::skip]
const BEFORE: &[&str] = &[
    "", "", "how is", "how's", "what about", "tell me about", "i need", "i want", "do you have", "we use", "with", "for",
    "i'm calling about", "about", "call it", "the", "a", "is the", "can you check on", "i'd like", "we have", "send me",
    "i'm calling from", "this is",
];
const AFTER: &[&str] = &["", "", "", "please", "today", "doing", "is broken", "up", "ready", "and"];
/// Sentences that all of the agent's own words together are worth.
const WEIGHT: f64 = 150.0;

impl DomainText {
    /// Teaches words or short phrases: products, companies, names of apps.
    pub fn know(&mut self, phrases: &[String]) {
        let own: Class = phrases
            .iter()
            .take(VOCABULARY_MAX)
            .map(|phrase| plain(phrase))
            .filter(|phrase| !phrase.is_empty())
            .map(|phrase| (phrase, 1.0))
            .collect();
        if own.is_empty() {
            return;
        }
        let class = |members: &[&str]| members.iter().map(|member| ((*member).to_owned(), 1.0)).collect();
        self.names.extend(own.iter().filter(|(phrase, _)| !phrase.contains(' ')).map(|(phrase, _)| phrase.clone()));
        self.patterns.push(Pattern { parts: vec![class(BEFORE), own, class(AFTER)], weight: WEIGHT });
    }

    /// Teaches how a word is said: in plain words ("see are em"), or in phones between slashes ("/S IY AA R EH M/").
    /// A word may be given more than once.
    pub fn pronounce(&mut self, word: &str, said: &str) {
        let word = plain(word);
        if word.is_empty() || word.contains(' ') {
            return;
        }
        match said.trim().strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(phones) => {
                let phones: Vec<String> = phones
                    .split_whitespace()
                    .map(|phone| phone.trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase())
                    .collect();
                if !phones.is_empty() {
                    self.pronunciations.push((word, phones.join(" ")));
                }
            }
            None => {
                let said = plain(said);
                if !said.is_empty() {
                    self.respellings.push((word, said));
                }
            }
        }
    }
}

/// Lower-case words of letters and apostrophes.
fn plain(phrase: &str) -> String {
    let letters: String = phrase
        .chars()
        .map(|c| if c.is_ascii_alphabetic() || c == '\'' { c.to_ascii_lowercase() } else { ' ' })
        .collect();
    letters.split_whitespace().filter(|word| word.contains(|c: char| c != '\'')).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::domain;
    use super::*;

    #[test]
    fn an_agents_own_words_become_sentences() {
        let mut text = domain();
        let before = text.patterns.len();
        text.know(&["Zendora".into(), "Blue-Sky CRM".into(), "4711".into(), String::new()]);
        assert_eq!(text.patterns.len(), before + 1);
        let words: Vec<&str> = text.patterns[before].parts[1].iter().map(|(phrase, _)| phrase.as_str()).collect();
        assert_eq!(words, ["zendora", "blue sky crm"]);
        assert!(text.names.contains(&"zendora".to_owned()));
        text.know(&["!?".into()]);
        assert_eq!(text.patterns.len(), before + 1);
    }

    #[test]
    fn how_a_word_is_said() {
        let mut text = DomainText::default();
        text.pronounce("SQLite", "see quell light");
        text.pronounce("Zendora", "/Z EH1 N D AO1 R AH0/");
        text.pronounce("nothing", "//");
        text.pronounce("two words", "one");
        assert_eq!(text.respellings, [("sqlite".to_owned(), "see quell light".to_owned())]);
        assert_eq!(text.pronunciations, [("zendora".to_owned(), "Z EH N D AO R AH".to_owned())]);
    }
}
