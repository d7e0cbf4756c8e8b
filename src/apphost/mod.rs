//! The generated app's runtime: a bundle served by a process of its own that has given up every right it does not need.

mod api;
pub mod bundle;
mod chart;
pub mod child;
mod csv;
pub mod database;
mod door;
pub mod exchange;
pub(crate) mod field;
pub mod figures;
mod outbox;
pub(crate) mod pace;
mod page;
mod prose;
mod render;
mod route;
mod run;
pub mod scenario;
mod serve;
pub mod service;
mod settings;
mod submit;
mod token;

pub use door::sign;
pub use render::currency_sign;
pub use run::{cage, run};

use std::io::Write;

/// One line to the app's log, which is its standard error.
fn log(line: &str) {
    _ = writeln!(std::io::stderr(), "apphost: {line}");
}
