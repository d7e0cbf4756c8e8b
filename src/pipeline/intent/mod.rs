//! What a caller wants, read from one heard turn: a grammar of verb × artefact × cue with guards, and a small classifier.
//!
//! Pure; no network, well under a millisecond a turn. [`understand`] is the entry of the dialogue, [`extract`] that of programs. Invariant: nothing here starts anything; a build takes the
//! dialogue's read-back and an explicit yes. Deliberately absent: dialogue state beyond [`Context`].

mod answer;
mod artefact;
mod caution;
mod classifier;
mod command;
mod entity;
mod feature;
mod fuse;
mod hint;
mod label;
mod misheard;
mod mood;
mod offered;
mod report;
mod request;
mod sound;
mod transcript;
mod trigger;
mod vectorise;
mod way_out;
mod words;

pub use answer::Answer;
pub use artefact::Artefact;
pub use command::{Act, Context, Understanding, subject, understand, understand_of, understand_words};
pub use entity::{Budget, Constraints, Entities, Timeline, canonical_feature, canonical_name, entities};
pub use feature::{Feature, FeatureEdit};
pub use fuse::{Extraction, Said, Side, WINDOW, extract};
pub use label::Label;
pub use sound::sounds_like;
pub use transcript::Transcript;
pub use trigger::{DEBOUNCE_MS, Fired, SILENCE_MS, Trigger, utterance_id};

/// A request counts when its confidence is strictly above this.
pub const FIRES: f64 = 0.75;
