//! The word that is being written. Purpose: tokens cut words anywhere; guides know whole ones. Pure. Invariants: of fixed
//! size; lower case. Deliberately absent: what a word is worth.

/// Longer words are known to nobody.
const LETTERS_MAX: usize = 23;

/// A word's beginning: lower-case letters, figures and apostrophes. What is too long or has other letters is no known word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    letters: [u8; LETTERS_MAX],
    /// Beyond the array: too long.
    length: u8,
}

/// What a character is in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Part of a word, lower case; a letter beyond ASCII is a sign that no known word has.
    Letter(u8),
    /// Between words.
    Divider,
}

/// Reads a character.
pub(super) fn sign(character: char) -> Sign {
    match character {
        '’' | '\'' => Sign::Letter(b'\''),
        c if c.is_ascii_alphanumeric() => Sign::Letter(c.to_ascii_lowercase() as u8),
        c if c.is_alphanumeric() => Sign::Letter(b'_'),
        _ => Sign::Divider,
    }
}

impl Partial {
    /// One more letter. An apostrophe before a word is a quotation mark.
    pub(super) fn push(&mut self, letter: u8) {
        if letter == b'\'' && self.length == 0 {
            return;
        }
        if let Some(place) = self.letters.get_mut(usize::from(self.length)) {
            *place = letter;
        }
        self.length = self.length.saturating_add(1).min(LETTERS_MAX as u8 + 1);
    }

    pub(super) const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The word, without a quotation mark behind it; empty when it is too long to be one.
    pub(super) fn word(&self) -> &str {
        let letters = self.letters.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII gets in.
        std::str::from_utf8(letters).unwrap_or_default().trim_end_matches('\'')
    }

    /// Written in figures.
    pub(super) fn is_number(self) -> bool {
        self.letters[0].is_ascii_digit()
    }

    /// The only letter of a word of one.
    pub(super) const fn letter(self) -> Option<u8> {
        if self.length == 1 && self.letters[0].is_ascii_lowercase() { Some(self.letters[0]) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Partial {
        let mut partial = Partial::default();
        for c in text.chars() {
            if let Sign::Letter(letter) = sign(c) {
                partial.push(letter);
            }
        }
        partial
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(word("Contacts").word(), "contacts");
        assert_eq!(word("Don’t").word(), "don't");
        assert_eq!(word("'quoted'").word(), "quoted");
        assert_eq!(word("naïve").word(), "na_ve");
        assert_eq!(word(&"a".repeat(300)).word(), "");
        assert!(!word(&"a".repeat(300)).is_empty() && word("'").is_empty());
        assert!(word("10th").is_number() && !word("tenth").is_number());
        assert_eq!((word("C").letter(), word("1").letter(), word("ab").letter()), (Some(b'c'), None, None));
        assert_eq!((sign('-'), sign(' '), sign('.')), (Sign::Divider, Sign::Divider, Sign::Divider));
    }
}
