//! `callwright guard`: a program of somebody else's, ended with whatever it has started. Main thread, no other; standard input and output
//! are the program's.

use crate::os::{guard, process};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

/// Arguments of `guard`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// Runs until the program ends, or until SIGTERM; ends with its code, as shells do.
#[expect(clippy::print_stderr, reason = "what it prints is the daemon's to log")]
pub fn run(arguments: &Arguments) -> ExitCode {
    process::take_name();
    if let Err(error) = process::end_with_starter() {
        eprintln!("callwright guard: whoever started it is gone: {error}");
        return ExitCode::FAILURE;
    }
    let Some((program, rest)) = arguments.command.split_first() else { return ExitCode::from(2) };
    let mut command = Command::new(program);
    command.args(rest);
    match guard::run(command) {
        Ok(status) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("callwright guard: {} cannot be run: {error}", program.to_string_lossy());
            ExitCode::from(127)
        }
    }
}
