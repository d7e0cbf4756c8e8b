//! Callwright.

pub mod id;
pub mod limits;
pub mod time;
