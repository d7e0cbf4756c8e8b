//! What a caller wants, read from one heard turn: a grammar of verb × artefact × cue with guards, no model, no network.
//!
//! Pure; microseconds a turn. [`understand`] is the entry. Invariant: nothing here starts anything; a build takes the
//! dialogue's read-back and an explicit yes. Deliberately absent: dialogue state beyond [`Context`].

mod answer;
mod artefact;
mod command;
mod feature;
mod hint;
mod mood;
mod report;
mod request;
mod transcript;
mod way_out;
mod words;

pub use answer::Answer;
pub use artefact::Artefact;
pub use command::{Act, Context, Understanding, understand};
pub use feature::{Feature, FeatureEdit};
pub use transcript::Transcript;

/// A request counts when its confidence is strictly above this.
pub const FIRES: f64 = 0.75;
