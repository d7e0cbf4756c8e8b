//! An agent's own pronunciations. Pure. Purpose: the words that a voice gets wrong (names, products), said as the operator
//! writes them: in plain words, or as ARPAbet phones between slashes. Invariant: what is in it can be said. Deliberately
//! absent: reading the configuration file.

use super::arpabet::{self, Phones, PhonesFault};
use super::token;
use crate::limits::{LEXICON_ENTRIES_MAX, LEXICON_ENTRY_MAX};
use std::collections::HashMap;
use std::sync::Arc;

/// Why an entry is refused: the operator's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    /// The word is nothing, or several words.
    #[error("lexicon: '{word}' is not one word; write one word a line")]
    Word {
        /// As written.
        word: String,
    },
    /// The pronunciation holds nothing that can be said.
    #[error(
        "lexicon: the pronunciation '{said}' of '{word}' holds nothing to say; write it in plain words, or as phones: /S IY AA R EH1 M/"
    )]
    Silent {
        /// The word.
        word: String,
        /// As written.
        said: String,
    },
    /// Phones that ARPAbet does not know.
    #[error(
        "lexicon: '{phone}' in the pronunciation of '{word}' is no ARPAbet phone; there are {} (vowels may end in 0, 1 or 2)",
        arpabet::names()
    )]
    Phone {
        /// The word.
        word: String,
        /// As written.
        phone: String,
    },
    /// Phones without a vowel.
    #[error("lexicon: the phones of '{word}' hold no vowel, so nobody can say them")]
    NoVowel {
        /// The word.
        word: String,
    },
    /// More than are kept.
    #[error("lexicon: more than {LEXICON_ENTRIES_MAX} entries, or one of more than {LEXICON_ENTRY_MAX} characters")]
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    respelling: String,
    phones: Option<Phones>,
}

/// Words and how an agent says them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexicon {
    entries: Arc<HashMap<String, Entry>>,
}

/// What the lexicon says about a written word.
pub(super) struct Found {
    pub(super) respelling: String,
    pub(super) phones: Option<Phones>,
    /// The entry was written with the full stop.
    pub(super) whole: bool,
}

impl Lexicon {
    /// From pairs of a word and its pronunciation: plain words ("see are em") or phones ("/S IY1 AA R EH1 M/"). Case of
    /// the word does not matter.
    ///
    /// # Errors
    /// [`LexiconError`] names the entry and what to write instead.
    pub fn new<W: AsRef<str>, S: AsRef<str>>(entries: impl IntoIterator<Item = (W, S)>) -> Result<Self, LexiconError> {
        let mut read = HashMap::new();
        for (word, said) in entries {
            let (word, said) = (word.as_ref(), said.as_ref().trim());
            if read.len() >= LEXICON_ENTRIES_MAX || word.len().max(said.len()) > LEXICON_ENTRY_MAX {
                return Err(LexiconError::TooLarge);
            }
            let key = token::plain(word).to_lowercase();
            if key.is_empty() || word.split_whitespace().count() != 1 {
                return Err(LexiconError::Word { word: word.to_owned() });
            }
            let between = said.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            let entry = match between.map(arpabet::read) {
                Some(Ok((phones, respelling))) => Entry { respelling, phones: Some(phones) },
                Some(Err(PhonesFault::Unknown(phone))) => {
                    return Err(LexiconError::Phone { word: word.to_owned(), phone });
                }
                Some(Err(PhonesFault::NoVowel)) => return Err(LexiconError::NoVowel { word: word.to_owned() }),
                None => {
                    let respelling = token::plain(said);
                    if !respelling.contains(|c: char| c.is_ascii_alphabetic()) {
                        return Err(LexiconError::Silent { word: word.to_owned(), said: said.to_owned() });
                    }
                    Entry { respelling, phones: None }
                }
            };
            read.insert(key, entry);
        }
        Ok(Self { entries: Arc::new(read) })
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn find(&self, plain: &str, body: &str) -> Option<Found> {
        if self.entries.is_empty() {
            return None;
        }
        let found =
            |entry: &Entry, whole| Found { respelling: entry.respelling.clone(), phones: entry.phones.clone(), whole };
        let lower = plain.to_lowercase();
        let bare = lower.trim_start_matches(['(', '[']).trim_end_matches([',', ';', ':', '!', '?', ')', ']']);
        if let Some(entry) = self.entries.get(bare) {
            return Some(found(entry, bare.ends_with('.')));
        }
        let body = body.to_lowercase();
        if let Some(entry) = self.entries.get(&body) {
            return Some(found(entry, false));
        }
        let entry = self.entries.get(body.strip_suffix("'s")?)?;
        Some(Found {
            respelling: format!("{}'s", entry.respelling),
            phones: entry.phones.as_deref().map(arpabet::with_s),
            whole: false,
        })
    }
}
