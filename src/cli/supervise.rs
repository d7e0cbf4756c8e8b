//! `callwright supervise`: keeps generated apps running while the daemon comes and goes. Main thread, one runtime of one thread.

use crate::os::{notify, process};
use crate::pipeline::deploy::supervisor::{self, ALONE_MAX, SupervisorError};
use crate::telemetry::log;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `supervise`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The service callwright-apps runs this; without it the daemon starts one of its own. SIGTERM ends all apps."
)]
pub struct Arguments {
    /// The daemon's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A daemon started this: end when none has come back for ten minutes.
    #[arg(long, hide = true)]
    of_daemon: bool,
}

/// Runs until a signal or the daemon ends it. Exit code 3: another one does it already.
#[expect(clippy::print_stderr, reason = "faults before the log exists")]
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = log::start() {
        eprintln!("callwright: {error}");
        return ExitCode::from(2);
    }
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ SupervisorError::InUse(_)) => {
            tracing::info!("{error}");
            ExitCode::from(3)
        }
        Err(error) => {
            tracing::error!(%error, "apps are not looked after");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), SupervisorError> {
    process::take_name();
    let cannot = |what: &str| {
        let what = what.to_owned();
        move |source| SupervisorError::System { what, source }
    };
    // The newest at its path, as an upgrade leaves this process alone; the daemon's own where that has gone.
    let program = std::env::current_exe().ok().filter(|path| path.exists()).map_or_else(process::own_program, Ok);
    let program = program.map_err(cannot("find its own program"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(cannot("start its runtime"))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot("listen for SIGTERM"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot("listen for SIGINT"))?;
        let stop = async {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        let ready = || {
            if let Err(error) = notify::ready() {
                tracing::warn!(%error, "the service manager was not told");
            }
        };
        let alone_max = arguments.of_daemon.then_some(ALONE_MAX);
        supervisor::serve(&arguments.data, program, alone_max, ready, stop).await
    })
}
