//! What the daemon asks of the kernel directly.

pub mod inherit;
pub mod sandbox;
