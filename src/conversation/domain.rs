//! What callers may say, as text for the recogniser (being written; the surface is fixed).

/// Training text and lexicon for a small language model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainText {
    /// Lower-case sentences, one a line, no punctuation but the apostrophe.
    pub sentences: String,
    /// Words that the CMU dictionary may lack, with ARPAbet phones separated by blanks, e.g. `("crms", "S IY AA R EH M Z")`.
    pub pronunciations: Vec<(String, String)>,
}

/// The text of the built-in agent's domain; the same on every call.
#[must_use]
pub fn domain() -> DomainText {
    DomainText { sentences: "build a crm\nyes\nno\n".to_owned(), pronunciations: Vec::new() }
}
