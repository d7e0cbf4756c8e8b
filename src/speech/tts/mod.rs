//! The threads that speak for every call.
//!
//! | file | holds |
//! |---|---|
//! | `mouth` | the thread that owns every call's lane: commands, rings, turns of synthesis, prompt cache |
//! | `lane` | one call's utterances on their way to its ring |
//! | `seat` | the threads that synthesise, and the voice that stands in when one fails |
//! | `voice` | one voice on one thread: clause in, telephone audio and word times out |
//! | `source` | how a voice is made for each thread |
//! | `narrow` | any engine's rate to 8 kHz |
//! | `level` | loudness of a voice, silence around speech, peaks |
//! | `timing` | when each written word is heard |
//! | `cache` | what has been said before |
//! | `rehearsal` | one text through the very path, without a call |
//!
//! Owning threads: "mouth" (one) never synthesises and never waits for a voice; "voice-N" (config) do nothing else.
//! Invariants: a full ring or a slow voice delays only its own call; what is flushed never reaches the ring afterwards;
//! a lane whose ring is nearly empty is served before one that has seconds; every `Speak` is answered by one `Spoken`, and
//! its frames end with one that says so. Deliberately absent: dropping what is in the ring already (media).

mod cache;
#[cfg(test)]
mod embedded_tests;
mod lane;
mod level;
mod mouth;
mod narrow;
mod rehearsal;
mod seat;
mod source;
#[cfg(test)]
mod tests;
mod timing;
mod voice;

pub(super) use mouth::{Manner, MouthCommand, MouthError, start};
pub use rehearsal::Rehearsal;
pub(super) use rehearsal::rehearse_with;
pub(super) use source::VoiceSource;
