//! `callwright dial`.

pub mod script;
pub mod words;
