//! Callwright.

pub mod apphost;
pub mod id;
pub mod limits;
pub mod os;
pub mod pipeline;
pub mod time;
