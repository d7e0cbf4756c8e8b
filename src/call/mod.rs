//! Calls: [`machine`] decides (sans-IO), [`actor`] performs, one task per call, `talk` is what it needs for a talking agent, [`exchange`] is what the two tell each
//! other; [`bridge`] joins two legs in one call; [`player`] plays tones and files; [`media_leg`] is a call's audio on a port by [`lease`], [`registry`] knows all calls, [`record`] names their ends, [`recording`] has them recorded; `manners` is how an agent treats its callers; [`trunks`] keeps lines registered and knows where trunks and extensions are.

pub mod actor;
pub mod bridge;
pub mod exchange;
pub mod lease;
pub mod machine;
mod manners;
pub mod media_leg;
pub mod player;
pub mod record;
pub mod recording;
pub mod registry;
mod talk;
pub mod trunks;

pub use talk::prompts;
