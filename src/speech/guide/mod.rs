//! What the agent's domain knows of language, for an engine that hears everything people say. Purpose: where the sound
//! leaves it open, the caller says what callers of this agent say: "contacts" rather than "context", "CRM" rather than "sea
//! arm".
//!
//! | file | holds |
//! |---|---|
//! | `words` | words of the domain in their order; everything else stays possible |
//! | `digits` | dictated digits; nothing else is possible |
//! | `name` | names, letters and words for letters; everything else stays possible |
//! | `partial` | the word that is being written |
//!
//! A whole text is worth more when the dialogue can do something with it. Pure; made once for a domain and shared, any thread. Invariants: the bonus of a text does not depend on how it is cut
//! into pieces, so what was given for the beginning of a word is taken back when it becomes another; outside digits no text
//! is forbidden; memory is that of the language models (`DOMAIN_SENTENCES_MAX`, `VOCABULARY_MAX`), and what is remembered of
//! one text is of fixed size. Deliberately absent: the search (`models::asr`), what words sound like, what they mean
//! (`conversation`).

mod digits;
mod name;
mod partial;
mod words;

use super::plain::plain;
use super::search;
use crate::conversation::{DomainText, Expectation, sense};
use callwright_models::asr::Guide;
use digits::{DigitState, Digits};
use name::{NameState, Names};
use std::sync::Arc;
use words::{WordState, Words};

/// What the domain knows, for every expectation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DomainGuide {
    open: Arc<Words>,
    yes_no: Arc<Words>,
    names: Arc<Names>,
}

impl DomainGuide {
    /// Learns the domain; a tenth of a second. `vocabulary`: the agent's own words, which `domain` may know already
    /// ([`DomainText::know`]).
    #[must_use]
    pub fn new(domain: &DomainText, vocabulary: &[String]) -> Self {
        let (open, yes_no) = search::language_models(domain, search::Text::Everything, |_| true);
        Self {
            open: Arc::new(Words::new(open, domain, vocabulary, words::CALLED_FOR)),
            yes_no: Arc::new(Words::new(yes_no, domain, vocabulary, 0.0)),
            names: Arc::new(Names::new(domain, vocabulary)),
        }
    }

    /// Words, pairs and triples that are kept.
    #[cfg(test)]
    fn size(&self) -> usize {
        self.open.size() + self.yes_no.size()
    }

    /// What is known of an answer to such a question.
    #[must_use]
    pub fn under(&self, expectation: Expectation) -> ExpectationGuide {
        let kind = match expectation {
            Expectation::Open => Kind::Words(Arc::clone(&self.open)),
            Expectation::YesNo => Kind::Words(Arc::clone(&self.yes_no)),
            Expectation::Name => Kind::Names(Arc::clone(&self.names)),
            Expectation::Digits { max } => Kind::Digits(Digits::new(max)),
        };
        ExpectationGuide { kind, expectation, alike: search::synonyms(expectation) }
    }
}

/// What is known of the answer to one question.
#[derive(Clone, Debug)]
pub struct ExpectationGuide {
    kind: Kind,
    expectation: Expectation,
    alike: &'static [&'static [&'static str]],
}

#[derive(Clone, Debug)]
enum Kind {
    Words(Arc<Words>),
    Names(Arc<Names>),
    Digits(Digits),
}

/// What is remembered of one text.
#[derive(Clone, Copy, Debug)]
pub struct State(Memory);

#[derive(Clone, Copy, Debug)]
enum Memory {
    Words(WordState),
    Names(NameState),
    Digits(DigitState),
}

impl Guide for ExpectationGuide {
    type State = State;

    fn start(&self) -> State {
        State(match &self.kind {
            Kind::Words(_) => Memory::Words(WordState::default()),
            Kind::Names(_) => Memory::Names(NameState::default()),
            Kind::Digits(_) => Memory::Digits(DigitState::default()),
        })
    }

    fn extend(&self, state: &State, piece: &str) -> (State, f32) {
        let (memory, bonus) = match (&self.kind, state.0) {
            (Kind::Words(words), Memory::Words(state)) => {
                let (state, bonus) = words.extend(state, piece);
                (Memory::Words(state), bonus)
            }
            (Kind::Names(names), Memory::Names(state)) => {
                let (state, bonus) = names.extend(state, piece);
                (Memory::Names(state), bonus)
            }
            (Kind::Digits(digits), Memory::Digits(state)) => {
                let (state, bonus) = digits.extend(state, piece);
                (Memory::Digits(state), bonus)
            }
            // A state of another guide: nothing is known.
            (_, memory) => (memory, 0.0),
        };
        (State(memory), bonus)
    }

    fn end(&self, state: &State) -> f32 {
        match (&self.kind, state.0) {
            (Kind::Words(words), Memory::Words(state)) => words.end(state),
            (Kind::Names(names), Memory::Names(state)) => names.end(state),
            (Kind::Digits(digits), Memory::Digits(state)) => digits.end(state),
            _ => 0.0,
        }
    }

    fn least(&self, state: &State) -> f32 {
        match (&self.kind, state.0) {
            (Kind::Digits(digits), Memory::Digits(state)) => digits.least(state),
            _ => f32::NEG_INFINITY,
        }
    }

    fn sense(&self, text: &str) -> f32 {
        let text = plain(text, self.expectation);
        match self.expectation {
            Expectation::YesNo if search::is_answer(&text) => ANSWER,
            Expectation::YesNo => SENSIBLE_ANSWER * sense(self.expectation, &text),
            Expectation::Open => SENSIBLE * sense(self.expectation, &text),
            Expectation::Digits { .. } | Expectation::Name => 0.0,
        }
    }

    fn ahead(&self, state: &State) -> f32 {
        match (&self.kind, state.0) {
            (Kind::Words(words), Memory::Words(state)) => words.ahead(state),
            _ => 0.0,
        }
    }

    fn forbids(&self) -> bool {
        matches!(self.kind, Kind::Digits(_))
    }

    fn may_repeat(&self) -> bool {
        matches!(self.kind, Kind::Digits(_))
    }

    fn alike(&self) -> &[&[&str]] {
        self.alike
    }
}

/// Bonus of a text that says nothing: somebody spoke, or there would be no turn; but it may have been a cough.
const NOTHING: f32 = -5.0;

/// Bonus of a text that the dialogue can do something with (natural log): readings that are a word apart are told by that.
/// Small beside the words': talk that asks for nothing must not become a request.
const SENSIBLE: f32 = 1.5;
/// Of one of the usual answers where one is asked for, and of other words that answer. They are short: little else tells
/// them from what sounds alike ("nope", "note"), and a doubtful yes is asked for again.
const ANSWER: f32 = 3.0;
const SENSIBLE_ANSWER: f32 = 1.0;

#[cfg(test)]
mod tests;
