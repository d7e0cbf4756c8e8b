//! From a request to running software: manifest, spec, kernels.

pub mod manifest;
pub mod spec;
