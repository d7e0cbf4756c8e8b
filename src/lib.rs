//! Callwright.

pub mod cli;
pub mod conversation;
pub mod id;
pub mod limits;
pub mod media;
pub mod os;
pub mod pipeline;
pub mod rtp;
pub mod sip;
pub mod speech;
pub mod telemetry;
pub mod time;
pub mod turn;
