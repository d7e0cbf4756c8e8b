//! Whose turn it is: voice, partial transcripts, keys and the agent's playout in, turn events out.
//!
//! Pure (sans-IO), owned by the call's actor, one [`TurnMachine`] a call; all timing on audio time ([`crate::time::MediaTime`]),
//! so a whole call runs in virtual time. Absent: who says what (`conversation`), how voice is detected (`speech`).
//!
//! # Transitions
//!
#![doc = include_str!("transitions.md")]

mod endpoint;
pub mod interruption;
mod machine;
mod murmur;
mod pauses;
mod sound;
mod suspicion;
mod transitions;

pub use endpoint::{CUT_COST, Evidence};
pub use machine::{TurnConfig, TurnEvent, TurnMachine};
pub use pauses::Pauses;
pub use sound::Sound;
pub use transitions::{INPUTS, Input, STATES, State, diagram};
