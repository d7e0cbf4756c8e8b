//! What the daemon tells about itself: [`marks`] on the audio path, [`metric`] on the control plane, [`log`] for people, of which [`seldom`] keeps
//! strangers from filling the disk.
//! Deliberately absent: serving it (`api`), alarms, storage.

pub mod histogram;
pub mod log;
pub mod marks;
pub mod metric;
pub mod seldom;

pub use histogram::Histogram;
pub use marks::{Counter, Marks};
