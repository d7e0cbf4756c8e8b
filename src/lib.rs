//! Callwright.

pub mod bus;
pub mod conversation;
pub mod id;
pub mod limits;
pub mod os;
pub mod pipeline;
pub mod store;
pub mod sip;
pub mod time;
pub mod turn;
