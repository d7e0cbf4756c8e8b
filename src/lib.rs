//! Callwright.

pub mod bus;
pub mod call;
pub mod config;
pub mod conversation;
pub mod id;
pub mod limits;
pub mod os;
pub mod pipeline;
pub mod sip;
pub mod store;
pub mod media;
pub mod os;
pub mod pipeline;
pub mod speech;
pub mod telemetry;
pub mod time;
pub mod turn;
