//! What the agent understands and says: from a heard sentence to a reply, and from a build's progress to one spoken line.
//!
//! Pure: no clock, no socket, no file; owned by the call's actor, one [`Dialogue`] a call. Everything that goes in or
//! comes out is plain data: [`Heard`], a key or a [`BuildUpdate`] in, a [`Reply`] out.
//! Invariant: an [`Intent::Build`] leaves only after a read-back and an explicit yes, go-ahead or key 1.
//! Deliberately absent: turn-taking (`turn`), audio (`speech`), language models (`llm`).

mod aloud;
mod classes;
pub mod collect;
mod dialogue;
mod domain;
mod draft;
mod exchange;
mod expectation;
mod failure;
mod figures;
mod history;
mod kinds;
mod ledger;
mod numbers;
mod persona;
mod prompts;
pub mod spoken;
mod values;
mod vocabulary;
mod wants;
mod whole;

pub use dialogue::{Dialogue, Kept, News, Question, Slot, Slots};
pub use domain::{Class, DomainText, Pattern, domain};
pub use exchange::{
    AppFacts, BuildQuestion, BuildStage, BuildUpdate, Change, Changed, Heard, Intent, Outcome, Reply, SetUpCode,
};
pub use expectation::Expectation;
pub use failure::{FILLER, Failure, Then, lines as failure_lines};
pub use history::{History, Speaker, Turn, WordTime, heard_words};
pub use ledger::{Ledger, Run, Tool};
pub use persona::{Consent, IDLE_PROMPTS, PUTTING_THROUGH, Persona, Pin, ReturnCalls};
pub use prompts::prompts;
pub use whole::{is_whole_request, sense};
