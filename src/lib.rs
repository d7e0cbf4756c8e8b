//! Callwright.

pub mod api;
pub mod apphost;
pub mod bus;
pub mod conversation;
pub mod id;
pub mod limits;
pub mod media;
pub mod os;
pub mod pipeline;
pub mod rtp;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod turn;
