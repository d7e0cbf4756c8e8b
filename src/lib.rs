//! Callwright.

pub mod id;
pub mod limits;
pub mod pipeline;
pub mod time;
