//! What the daemon tells about itself: metrics of the control plane ([`metric`]), counters that the media plane may touch
//! ([`marks`]), the log ([`log`]).

pub mod log;
pub mod marks;
pub mod metric;
