//! What the daemon asks of the kernel directly: clocks and scheduling classes.

pub mod batch;
pub mod clock;
pub mod subnets;
