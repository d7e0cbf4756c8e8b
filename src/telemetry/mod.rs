//! What the daemon tells about itself: metrics and the log.

pub mod log;
pub mod metric;
