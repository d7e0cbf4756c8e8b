//! What the daemon tells about itself: metrics of the control plane ([`metric`]), counters and latency histograms that even a
//! media worker may touch ([`marks`]), the log ([`log`]). Deliberately absent: alarms, storage.

pub mod histogram;
pub mod log;
pub mod marks;
pub mod metric;

pub use histogram::Histogram;
pub use marks::{Counter, Marks};
