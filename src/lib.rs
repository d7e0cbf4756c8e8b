//! Callwright.

pub mod cli;
pub mod conversation;
pub mod id;
pub mod limits;
pub mod pipeline;
pub mod sip;
pub mod time;
pub mod turn;
