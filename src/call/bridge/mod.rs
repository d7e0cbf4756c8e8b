//! `bridge:URI`: a caller is joined with somebody else. [`machine`] decides (sans-IO), `actor` performs, `place` finds out
//! whom to call and as whom.

mod actor;
pub mod machine;
pub(super) mod place;

pub(super) use actor::serve;
