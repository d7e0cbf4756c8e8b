//! From a request to running software: manifest, spec, kernels.

pub mod kernel;
pub mod manifest;
pub mod spec;
