//! The deterministic dialogue (being written; the surface is fixed).

use super::{AppFacts, BuildUpdate, Expectation, Heard, Persona, Reply};

/// One caller's conversation.
#[derive(Debug)]
pub struct Dialogue {
    persona: Persona,
    conversation_id: String,
}

impl Dialogue {
    /// A conversation that has not begun. `conversation_id` goes into the manifest and derives its id.
    #[must_use]
    pub fn new(persona: Persona, conversation_id: impl Into<String>) -> Self {
        Self { persona, conversation_id: conversation_id.into() }
    }
    /// The first words.
    pub fn greet(&mut self) -> Reply {
        let _ = &self.conversation_id;
        let mut say = self.persona.greeting.clone();
        say.push("What shall I build for you?".to_owned());
        Reply { say, expect: Expectation::Open, ..Reply::default() }
    }
    /// The caller's turn.
    pub fn hear(&mut self, _heard: &Heard) -> Reply {
        Reply::default()
    }
    /// A key: `0`–`9`, `*`, `#`.
    pub fn key(&mut self, _key: char) -> Reply {
        Reply::default()
    }
    /// The caller has been silent for as long as the agent waits.
    pub fn no_input(&mut self) -> Reply {
        Reply::default()
    }
    /// The last reply was interrupted after this many whole words of [`Reply::text`] were heard (`heard_words`).
    /// A spoken yes to a question that was not heard is no approval.
    pub fn cut_off(&mut self, _words_heard: usize) {}
    /// A build came further.
    pub fn build_update(&mut self, _update: &BuildUpdate) -> Reply {
        Reply::default()
    }
    /// The answer to [`super::Intent::Report`].
    pub fn facts(&mut self, _facts: &AppFacts) -> Reply {
        Reply::default()
    }
}
