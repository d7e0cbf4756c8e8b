//! Who answers the phone. Purpose: name and greeting of an agent, set by the operator. Plain data.
//! Deliberately absent: voice and route (config of speech and of calls).

/// An agent as callers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// Spoken name.
    pub name: String,
    /// First words, clause by clause, without the first question. Empty: nothing but the question.
    pub greeting: Vec<String>,
}

impl Persona {
    /// An agent of this name with the usual greeting.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), greeting: vec![format!("Hello, this is {name}.")] }
    }
}

impl Default for Persona {
    fn default() -> Self {
        Self::named("Grace")
    }
}
