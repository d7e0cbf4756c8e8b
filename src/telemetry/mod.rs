//! What the daemon tells about itself. Purpose: `marks` are the counters and latency histograms that even a media worker
//! may touch; logs and the wider metric set live beside them. Deliberately absent: alarms, storage.

pub mod histogram;
pub mod marks;

pub use histogram::Histogram;
pub use marks::{Counter, Marks};
