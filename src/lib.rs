//! Callwright.

pub mod id;
pub mod limits;
pub mod media;
pub mod os;
pub mod rtp;
pub mod telemetry;
pub mod time;
