//! The model's vocabulary. Purpose: what each token appends to a text, from the model's `tokenizer.json`. Read once, then
//! immutable, any thread. Invariants: a token that is not text (start, end, reserved) has no piece, so it can never be
//! heard. Deliberately absent: text to tokens.
//!
//! Format: Hugging Face tokenizers, byte-pair model with byte fallback: `▁` is a blank, `<0xNN>` one octet of UTF-8 for
//! what has no piece of its own.

use serde::Deserialize;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;

/// The text begins here.
pub(super) const START: u32 = 1;
/// The text ends here.
pub(super) const END: u32 = 2;
/// More tokens than any model of this kind has: a file with one above it is damaged.
const TOKENS_MAX: u32 = 1 << 17;

/// What a token appends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// Part of a character; ASCII ones are text.
    Octet(u8),
    /// Not to be written.
    Special,
}

/// The vocabulary.
#[derive(Debug)]
pub(super) struct Pieces {
    table: Vec<Piece>,
}

#[derive(Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32, RandomState>,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

impl Pieces {
    /// Reads the vocabulary.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| format!("it is no vocabulary: {error}"))?;
        let ids = file.model.vocab.values().chain(file.added_tokens.iter().map(|added| &added.id));
        let last = ids.max().copied().filter(|last| *last > END).ok_or("it holds no words")?;
        if last > TOKENS_MAX {
            return Err(format!("it numbers a token {last}"));
        }
        let mut table = vec![Piece::Special; last as usize + 1];
        for (content, id) in &file.model.vocab {
            table[*id as usize] = piece(content);
        }
        for added in &file.added_tokens {
            table[added.id as usize] = if added.special { Piece::Special } else { piece(&added.content) };
        }
        table[..=END as usize].fill(Piece::Special);
        Ok(Self { table })
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What a token appends, with a leading blank where it begins a word. Empty for part of a character; `None` for what is
    /// never written.
    pub(super) fn text(&self, token: u32) -> Option<&str> {
        match self.table.get(token as usize)? {
            Piece::Text(text) => Some(text),
            Piece::Octet(_) => Some(""),
            Piece::Special => None,
        }
    }

    /// The text of a sequence, as it is: with the leading blank. Octets that make no character become U+FFFD.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        let mut octets = Vec::with_capacity(tokens.len() * 4);
        for token in tokens {
            match self.table.get(*token as usize) {
                Some(Piece::Text(text)) => octets.extend_from_slice(text.as_bytes()),
                Some(Piece::Octet(octet)) => octets.push(*octet),
                Some(Piece::Special) | None => {}
            }
        }
        String::from_utf8_lossy(&octets).into_owned()
    }
}

fn piece(content: &str) -> Piece {
    let octet = content
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .filter(|hex| hex.len() == 2)
        .and_then(|hex| u8::from_str_radix(hex, 16).ok());
    match octet {
        Some(octet) if octet.is_ascii() => Piece::Text(char::from(octet).to_string().into()),
        Some(octet) => Piece::Octet(octet),
        None => Piece::Text(content.replace('▁', " ").into()),
    }
}

#[cfg(test)]
pub(super) fn pieces_of(words: &[&str]) -> Pieces {
    let special = ["<unk>", "<s>", "</s>"].into_iter();
    let vocab: HashMap<_, _> = special.chain(words.iter().copied()).zip(0_u32..).collect();
    let json = serde_json::json!({ "model": { "vocab": vocab } });
    Pieces::parse(json.to_string().as_bytes()).expect("a vocabulary")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blanks_octets_and_specials_are_what_they_stand_for() {
        let pieces = pieces_of(&["▁Hello", ",", "▁w", "orld", "<0xC3>", "<0xBC>", "<0x41>", "▁▁"]);
        assert_eq!(pieces.decode(&[START, 3, 4, 5, 6, END]), " Hello, world");
        assert_eq!(pieces.decode(&[5, 7, 8, 9]), " wüA");
        assert_eq!(pieces.decode(&[5, 7, 5]), " w\u{fffd} w");
        assert_eq!((pieces.text(3), pieces.text(7), pieces.text(9)), (Some(" Hello"), Some(""), Some("A")));
        assert_eq!(
            (pieces.text(START), pieces.text(END), pieces.text(10), pieces.text(99)),
            (None, None, Some("  "), None)
        );
        assert_eq!(pieces.len(), 11);
    }

    #[test]
    fn reserved_tokens_are_never_text_and_other_additions_are() {
        let json = r#"{"model": {"vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}}, "added_tokens":
            [{"id": 5, "content": "<<ST_0>>", "special": true}, {"id": 6, "content": "▁b", "special": false}]}"#;
        let pieces = Pieces::parse(json.as_bytes()).expect("a vocabulary");
        assert_eq!((pieces.text(4), pieces.text(5), pieces.text(6)), (None, None, Some(" b")));
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_reason() {
        for (json, why) in [
            ("", "no vocabulary"),
            ("{\"model\": {\"vocab\": {\"a\": 3", "no vocabulary"),
            (r#"{"model": {"vocab": []}}"#, "no vocabulary"),
            (r#"{"model": {"vocab": {"a": -1}}}"#, "no vocabulary"),
            (r#"{"model": {"vocab": {}}}"#, "no words"),
            (r#"{"model": {"vocab": {"a": 4000000000}}}"#, "4000000000"),
        ] {
            let said = Pieces::parse(json.as_bytes()).expect_err(json);
            assert!(said.contains(why), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_file_and_any_tokens_are_survived(json in ".{0,200}", tokens in prop::collection::vec(any::<u32>(), 0..40)) {
            let _ = Pieces::parse(json.as_bytes());
            let pieces = pieces_of(&["▁a", "<0xFF>", "<0x80>"]);
            prop_assert!(pieces.decode(&tokens).chars().count() <= 2 * tokens.len());
        }

        #[test]
        fn any_text_survives_as_octets(text in "\\PC{0,20}") {
            let all: Vec<String> = (0..=255_u8).map(|octet| format!("<0x{octet:02X}>")).collect();
            let pieces = pieces_of(&all.iter().map(String::as_str).collect::<Vec<_>>());
            let tokens: Vec<u32> = text.bytes().map(|octet| u32::from(octet) + 3).collect();
            prop_assert_eq!(pieces.decode(&tokens), text);
        }
    }
}
