//! The generated app's runtime: a bundle served by a process of its own that has given up every right it does not need.

mod api;
pub mod bundle;
pub mod child;
pub mod database;
pub mod exchange;
pub(crate) mod field;
mod page;
mod render;
mod route;
mod run;
pub mod scenario;
mod serve;
pub mod service;
mod token;

pub use render::currency_sign;
pub use run::{cage, run};

use std::io::Write;

/// One line to the app's log, which is its standard error.
fn log(line: &str) {
    _ = writeln!(std::io::stderr(), "apphost: {line}");
}
