//! What is known that is of use here, with its sources: the one way into the memory (ledger S0-57).
//!
//! Purpose: `retrieve_with_citations`, for whoever composes or answers. Blocking, on the caller's thread. Invariants: what comes
//! back is never more than `max_tokens`; every piece names its source; the same question on the same memory has the same answer.
//! Deliberately absent: putting documents there (whoever makes them), vectors, which come behind the same function.

use crate::store::{Memo, Store, StoreError};

/// Documents that are looked at.
const LOOKED_AT_MAX: usize = 50;
/// Characters of a token, as language models count English.
const TOKEN_CHARACTERS: usize = 4;
/// Words of a question that are looked for; the rest is left out.
const WORDS_MAX: usize = 64;
/// Words that tell nothing of what is asked.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "could", "do", "for", "from", "i", "in", "is", "it",
    "like", "me", "my", "of", "on", "or", "our", "please", "so", "that", "the", "their", "them", "they", "this", "to",
    "us", "want", "we", "with", "you", "your",
];

/// What is asked of the memory.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// In anybody's words.
    pub text: &'a str,
    /// Of which documents: `code_pattern`, `execution_outcome`.
    pub source_types: &'a [&'a str],
    /// All of which a document must have: its type of app, `successful`.
    pub tags: &'a [&'a str],
    /// Of the bodies together (ledger N19: 3,000).
    pub max_tokens: usize,
}

/// A document and what it is cited by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// As citations have it: `execution_outcome build_…: Harbour CRM`.
    pub citation: String,
    /// The document.
    pub memo: Memo,
}

/// What the memory has to say to `query`, the best first, with its sources.
///
/// # Errors
/// The store cannot be read.
pub fn retrieve_with_citations(store: &Store, query: &Query<'_>) -> Result<Vec<Recalled>, StoreError> {
    let text = query.text.to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word))
        .take(WORDS_MAX)
        .collect();
    let found = store.memory().find(&words, query.source_types, query.tags, LOOKED_AT_MAX)?;
    let mut left = query.max_tokens;
    let mut fits = |memo: &Memo| {
        let takes = tokens(memo);
        let fits = takes <= left;
        if fits {
            left -= takes;
        }
        fits
    };
    Ok(found.into_iter().filter(|memo| fits(memo)).map(cited).collect())
}

/// Tokens that a document takes, rounded up.
fn tokens(memo: &Memo) -> usize {
    (memo.title.chars().count() + memo.body.chars().count()).div_ceil(TOKEN_CHARACTERS)
}

fn cited(memo: Memo) -> Recalled {
    Recalled { citation: format!("{} {}: {}", memo.source_type, memo.key, memo.title), memo }
}
