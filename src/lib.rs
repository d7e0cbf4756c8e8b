//! Callwright.

pub mod cli;
pub mod id;
pub mod limits;
pub mod time;
