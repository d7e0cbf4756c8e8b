//! What the agent's last question makes the caller likely to say. Purpose: recogniser, endpointing and dialogue wait for
//! the same thing. Plain data. Deliberately absent: how long to wait (`turn::endpoint`), which grammar to load (`speech`).

/// The kind of answer that the agent's last words ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Expectation {
    /// Anything: a request, a question, a list of features.
    #[default]
    Open,
    /// Yes, no, a key, or a change to what was read back ("no, without deals").
    YesNo,
    /// Spoken or keyed digits; complete after `max` of them.
    Digits {
        /// Digits of a complete answer, 1 or more.
        max: u8,
    },
    /// A proper name, perhaps spelled.
    Name,
}
