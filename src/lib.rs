//! Callwright.

pub mod id;
pub mod limits;
pub mod sip;
pub mod time;
