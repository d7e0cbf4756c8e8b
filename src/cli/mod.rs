//! The command line: one file per subcommand. Purpose: arguments → a typed request → an exit code.
//! Main thread. Deliberately absent: any work that a test could not call without a process.

pub mod bench;
pub mod check;
pub mod demo;
pub mod dial;
pub mod doctor;
pub mod guard;
pub mod kernel;
pub mod models;
pub mod say;
pub mod serve;
pub mod supervise;

use crate::apphost;
use crate::os::process::end_on_broken_pipe;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Answers the phone, listens, speaks, and turns what callers ask for into running software.
#[derive(Debug, Parser)]
#[command(
    name = "callwright",
    version,
    about,
    after_help = "First steps:\n  callwright serve                       answer calls on UDP 5060 with the defaults\n  callwright dial sip:echo@127.0.0.1     hear yourself\n  callwright dial sip:300@127.0.0.1      talk to the agent\n  callwright doctor                      what works on this machine, and what to install\n  callwright models install --recommended  understand people better, speak more naturally"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(serve::Arguments),
    /// Read a configuration and say what it means.
    Check(check::Arguments),
    /// Call somebody as a phone would: play, record, follow a script, measure.
    Dial(Box<dial::Args>),
    /// Run a generated app, locked in (the daemon starts this).
    #[command(hide = true)]
    Apphost {
        /// See `callwright apphost -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Generate the files of one app, locked in (the daemon starts this).
    #[command(hide = true)]
    Kernel(kernel::Arguments),
    /// Run a kernel of somebody else's, and end whatever it has started (the daemon starts this).
    #[command(hide = true)]
    Guard(guard::Arguments),
    /// Keep generated apps running while the daemon comes and goes.
    #[command(hide = true)]
    Supervise(supervise::Arguments),
    /// Let a simulated caller order a CRM by phone, and show it.
    Demo(demo::Arguments),
    /// Measure what this machine carries.
    Bench(bench::Arguments),
    /// Speak a text into a WAV file as a caller would hear it.
    Say(say::Arguments),
    /// List, fetch, try and choose model packs: better ears, better voices.
    Models(models::Arguments),
    /// Look at this machine: engines, real-time scheduling, ports, sandbox.
    Doctor(doctor::Arguments),
}

/// Runs the chosen subcommand.
#[must_use]
pub fn run() -> ExitCode {
    let command = Arguments::parse().command;
    if matches!(
        command,
        Command::Check(_) | Command::Dial(_) | Command::Doctor(_) | Command::Models(_) | Command::Say(_)
    ) {
        end_on_broken_pipe();
    }
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Dial(arguments) => dial::run(&arguments),
        Command::Apphost { arguments } => ExitCode::from(apphost::run(arguments)),
        Command::Kernel(arguments) => kernel::run(&arguments),
        Command::Guard(arguments) => guard::run(&arguments),
        Command::Supervise(arguments) => supervise::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Say(arguments) => say::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    }
}
