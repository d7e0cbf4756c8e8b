//! Calls: one sans-IO [`machine`] per call and how calls end ([`record`]).

pub mod machine;
pub mod record;
