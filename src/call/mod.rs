//! Calls: [`machine`] decides (sans-IO), [`actor`] performs, one task per call; [`media_leg`] is its audio, [`registry`]
//! knows them all, [`record`] names their ends.

pub mod actor;
pub mod machine;
pub mod media_leg;
pub mod record;
pub mod registry;
