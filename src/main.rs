//! The `callwright` command.

use std::process::ExitCode;

use callwright::cli::dial;
use clap::Parser;

#[derive(Parser)]
#[command(name = "callwright", version, about)]
enum Command {
    Dial(Box<dial::Args>),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Dial(args) => dial::run(*args),
    }
}
