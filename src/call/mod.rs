//! Calls: [`machine`] decides (sans-IO), [`actor`] performs, one task per call, [`exchange`] is what the two tell each
//! other; [`bridge`] joins two legs in one call; [`media_leg`] is a call's audio on a port by [`lease`], [`registry`] knows all calls, [`record`] names their ends.

pub mod actor;
pub mod bridge;
pub mod exchange;
pub mod lease;
pub mod machine;
pub mod media_leg;
pub mod record;
pub mod registry;
