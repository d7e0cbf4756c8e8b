//! What the daemon asks of the kernel directly: clocks and scheduling classes.

pub mod batch;
pub mod clock;
pub mod subnets;
//! What only the operating system can do: the root crate's `unsafe` besides sockets lives here, behind safe functions.

pub mod process;
