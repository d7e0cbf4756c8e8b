//! From an approved request to running software.
//!
//! Pure: [`manifest`] (what was asked), [`spec`] (what will be generated), [`scheduler`] (which job is next), [`tracker`]
//! (traffic counted). Shells: [`Pipeline`] with its queue in the store and its pool of threads, the stages, the kernels, the
//! deployment of apps behind the gateway, and the report on them.

pub mod intent;
pub mod manifest;
pub mod scheduler;
pub mod spec;
pub mod tracker;
