//! `callwright serve`: the daemon. Main thread: configuration, log, runtime, then waits for the end.

use crate::config::Config;
use crate::daemon::{Daemon, DaemonError};
use crate::os::process;
use crate::packs::offer;
use crate::speech::check_engines;
use crate::telemetry::log;
use callwright_models::pack::Shelf;
use callwright_models::pack::shelf::ShelfError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every key of the file can be set by CALLWRIGHT__SECTION__KEY, for instance CALLWRIGHT__HTTP__LISTEN=127.0.0.1:8090.\nSIGTERM and SIGINT end running calls politely and stop; exit code 0.\nThe first start fetches the recommended model packs in the background if their host answers; CALLWRIGHT_OFFLINE=1 prevents it."
)]
pub struct Arguments {
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A pack whose replacement was cut short comes back before anybody looks for it.
fn put_shelf_in_order(packs: &Path) {
    if packs.is_dir() {
        match Shelf::open(packs).lock() {
            // Whoever installs at this moment has done it.
            Ok(_) | Err(ShelfError::Busy { .. }) => {}
            Err(error) => tracing::warn!(%error, "the model packs cannot be put in order"),
        }
    }
}

/// Runs the daemon until a signal ends it. Exit code 2: configuration; 1: it could not start or keep running.
#[expect(clippy::print_stderr, reason = "faults before the log exists")]
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = Config::load(arguments.config.as_deref(), std::env::vars()).map_err(|error| error.to_string());
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("callwright: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = log::start() {
        eprintln!("callwright: {error}");
        return ExitCode::from(2);
    }
    // A phone that is answered by the embedded engine is better than one that is not: `callwright check` is strict.
    if let Err(error) = check_engines(&config) {
        tracing::warn!("{error}; the embedded engine serves instead");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Threads that waited for the disk once are not kept.
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("callwright: cannot start the control threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let packs = crate::packs::directory(&config.data.dir);
    put_shelf_in_order(&packs);
    let outcome = runtime.block_on(async {
        let daemon = Daemon::start(config, arguments.config.clone()).await?;
        // Calls are answered; better engines may come in meanwhile, and serve from the next start.
        if let Ok(program) = process::own_program() {
            offer::in_background(packs, program);
        }
        daemon.run_until_signal().await;
        Ok::<_, DaemonError>(())
    });
    // Whatever blocks now is a reader of a pipe or a socket that nobody waits for.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "callwright stops");
            eprintln!("callwright: {error}");
            ExitCode::FAILURE
        }
    }
}
