//! `callwright kernel`: one generator for one task, locked in. Main thread, no other. Its frames are on standard output.

use crate::pipeline::kernel::host;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `kernel`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which generator.
    name: String,
    /// An empty directory; nothing outside of it can be opened.
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
}

/// Runs until the task is done.
#[expect(clippy::print_stderr, reason = "what it prints is the daemon's to log")]
pub fn run(arguments: &Arguments) -> ExitCode {
    match host::run(&arguments.name, &arguments.scratch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("callwright kernel: {error}");
            ExitCode::FAILURE
        }
    }
}
