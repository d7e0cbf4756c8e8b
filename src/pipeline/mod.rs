//! From an approved request to running software.
//!
//! Pure: [`manifest`] (what was asked), [`intent`] (how a sentence becomes a request), [`spec`] (what will be generated),
//! [`scheduler`] (which job is next), [`tracker`] (traffic counted). Shells: [`Pipeline`] with its queue in the store and its
//! pool of threads, the stages, the kernels, the deployment of apps behind the gateway, the
//! courier of their messages, and the report on them.

mod courier;
pub mod deploy;
pub mod fuzz;
pub mod intent;
pub mod kernel;
pub mod manifest;
mod pool;
mod queue;
mod report;
pub mod repository;
pub mod scheduler;
mod service;
pub mod spec;
mod stage;
pub mod tracker;

pub use courier::Patience;
pub use queue::SubmitError;
pub use report::code_in_words;
pub use service::{Pipeline, PipelineConfig, PipelineError};
