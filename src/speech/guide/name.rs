//! Names. Purpose: where a name is asked for, letters, words for letters and known names are likelier than anywhere else.
//! Pure. Invariant: nothing is forbidden, because names are what no list knows. Deliberately absent: which letters they are
//! (`conversation::spoken`).

use super::NOTHING;
use super::partial::{Partial, Sign, sign};
use crate::conversation::DomainText;
use crate::conversation::spoken::ALPHABET;
use std::collections::BTreeSet;

/// Natural logs: of a letter alone, of a word for one, of a name that is known.
const LETTER: f32 = 1.0;
const ALPHABETIC: f32 = 2.0;
const KNOWN: f32 = 1.5;

/// The names that are known.
#[derive(Debug)]
pub(super) struct Names(BTreeSet<String>);

/// What is remembered of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameState {
    partial: Partial,
    said: bool,
    /// Given for what is not yet a whole word.
    given: f32,
}

impl Names {
    pub(super) fn new(domain: &DomainText, vocabulary: &[String]) -> Self {
        let own = vocabulary.iter().flat_map(|phrase| phrase.split_whitespace());
        Self(domain.names.iter().map(String::as_str).chain(own).map(str::to_lowercase).collect())
    }

    pub(super) fn extend(&self, mut state: NameState, piece: &str) -> (NameState, f32) {
        let mut bonus = -state.given;
        for character in piece.chars() {
            match sign(character) {
                Sign::Letter(letter) => state.partial.push(letter),
                Sign::Divider => {
                    let partial = std::mem::take(&mut state.partial);
                    state.said |= !partial.is_empty();
                    bonus += self.worth(partial);
                }
            }
        }
        state.given = self.worth(state.partial);
        (state, bonus + state.given)
    }

    pub(super) fn end(&self, state: NameState) -> f32 {
        if state.said || !state.partial.is_empty() { 0.0 } else { NOTHING }
    }

    fn worth(&self, partial: Partial) -> f32 {
        match partial.word() {
            // Words of one letter that are none of a spelling.
            "" | "a" | "i" => 0.0,
            _ if partial.letter().is_some() => LETTER,
            word if ALPHABET.contains(&word) => ALPHABETIC,
            word if self.0.contains(word) => KNOWN,
            _ => 0.0,
        }
    }
}
