//! The log. Purpose: one line per happening; for people on a terminal, JSON for machines. Owning thread: any but the media
//! workers, which never log. Invariant: secrets have no `Display` and are not passed to it; request bodies, digits keyed and
//! audio are never logged. Deliberately absent: files and rotation (journald has them).

use std::io::{IsTerminal, stderr};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged unless `CALLWRIGHT_LOG_LEVEL` says otherwise.
const DEFAULT_FILTER: &str = "info,hyper=warn";

/// Starts the log on stderr: JSON when `CALLWRIGHT_LOG=json`, else lines for people (in colour on a terminal).
/// `CALLWRIGHT_LOG_LEVEL` takes a filter such as `debug` or `info,callwright::sip=trace`.
///
/// # Errors
/// The filter does not parse, or a log was started before; in words.
pub fn start() -> Result<(), String> {
    let json = std::env::var("CALLWRIGHT_LOG").is_ok_and(|form| form == "json");
    let filter = std::env::var("CALLWRIGHT_LOG_LEVEL").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|e| {
        format!("CALLWRIGHT_LOG_LEVEL={filter} is no filter ({e}); try info or info,callwright::sip=debug")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(stderr);
        registry.with(layer).try_init()
    } else {
        let layer =
            tracing_subscriber::fmt::layer().with_target(false).with_ansi(stderr().is_terminal()).with_writer(stderr);
        registry.with(layer).try_init()
    };
    started.map_err(|e| e.to_string())
}
