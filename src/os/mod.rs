//! What only the operating system can do: the root crate's `unsafe` besides sockets lives here, behind safe functions.

pub mod process;
