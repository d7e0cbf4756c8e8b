//! The operating system, one file per subject. Purpose: the few system calls that the standard library lacks, each
//! behind a safe function with a plain name. Linux only. Deliberately absent: media sockets (`media::socket`).

pub mod batch;
pub mod bell;
pub mod clock;
pub mod descriptors;
pub mod disk;
pub mod guard;
pub mod inherit;
pub mod notify;
pub mod process;
pub mod random;
pub mod realtime;
pub mod sandbox;
pub mod wait;
pub mod wake;
