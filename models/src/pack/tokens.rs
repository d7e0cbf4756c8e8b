//! `tokens.txt` of a recognition or speech pack: a symbol and its number a line.
//!
//! Purpose: everything about it at which sherpa-onnx would end the process is found here first. Plain data, any thread.
//! Deliberately absent: turning numbers into text (the engine's).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Longest table: a multilingual Whisper has 51,866 entries, Qwen's vocabulary 151,936.
const OCTETS_MAX: u64 = 16 << 20;

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a table of symbols and numbers.
    #[error("line {line} is no symbol with a number")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Nothing in it, or far too much.
    #[error("it is {0}")]
    Size(&'static str),
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    symbols: BTreeMap<u32, String>,
}

impl Tokens {
    /// Reads a table.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn read(file: &Path) -> Result<Self, TokensError> {
        if fs::metadata(file)?.len() > OCTETS_MAX {
            return Err(TokensError::Size("too large for a table of symbols"));
        }
        Self::parse(&String::from_utf8_lossy(&fs::read(file)?))
    }

    /// Parses a table. A line of a number alone stands for the blank between words.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let mut symbols = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            // Only these six: U+3000 and its like are symbols.
            let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
            let mut fields = line.split(blank).filter(|field| !field.is_empty());
            let (symbol, number) = match (fields.next(), fields.next(), fields.next()) {
                (None, ..) => continue,
                (Some(number), None, _) => (" ", number),
                (Some(symbol), Some(number), None) => (symbol, number),
                _ => return Err(TokensError::Line { line: n + 1 }),
            };
            let number = number.parse().map_err(|_| TokensError::Line { line: n + 1 })?;
            symbols.entry(number).or_insert_with(|| symbol.to_owned());
        }
        if symbols.is_empty() {
            return Err(TokensError::Size("empty"));
        }
        Ok(Self { symbols })
    }

    /// How many symbols it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// It has none; never so of a table that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The number of a symbol.
    #[must_use]
    pub fn number(&self, symbol: &str) -> Option<u32> {
        self.symbols.iter().find(|(_, other)| *other == symbol).map(|(number, _)| *number)
    }

    /// The first number below `count` that has no symbol.
    #[must_use]
    pub fn gap_below(&self, count: u64) -> Option<u64> {
        let mut next = 0_u64;
        for number in self.symbols.keys() {
            if u64::from(*number) != next {
                break;
            }
            next += 1;
        }
        (next < count).then_some(next)
    }

    /// Some symbol holds this character.
    #[must_use]
    pub fn can_write(&self, character: char) -> bool {
        self.symbols.values().any(|symbol| symbol.contains(character))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_packs_hold() {
        let tokens = Tokens::parse("<blk> 0\n▁THE 1\r\nS\t2\n 3\n\n").unwrap();
        assert_eq!(tokens.len(), 4);
        assert_eq!(tokens.number("▁THE"), Some(1));
        assert_eq!(tokens.number(" "), Some(3));
        assert_eq!(tokens.number("<eps>"), None);
        assert!(tokens.can_write('H') && !tokens.can_write('h'));
        assert_eq!(tokens.gap_below(4), None);
        assert_eq!(tokens.gap_below(6), Some(4));
        assert_eq!(Tokens::parse("a 0\nb 2\n").unwrap().gap_below(3), Some(1));
    }

    #[test]
    fn what_would_end_the_process_is_refused() {
        for (text, line) in [("<blk> 0\na b c 1\n", 2), ("<blk> zero\n", 1), ("<html>\n", 1), ("a -1\n", 1)] {
            match Tokens::parse(text) {
                Err(TokensError::Line { line: found }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(Tokens::parse("\n \n"), Err(TokensError::Size(_))));
    }
}
