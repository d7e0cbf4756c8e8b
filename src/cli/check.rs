//! `callwright check F`: reads a configuration and says what it means. Main thread; touches nothing.

use crate::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The TOML file.
    file: PathBuf,
}

/// Prints the complete configuration, defaults and environment included.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]
pub fn run(arguments: &Arguments) -> ExitCode {
    match Config::load(Some(&arguments.file), std::env::vars()) {
        Ok(config) => {
            println!("{} is valid. In full, defaults and environment included:\n", arguments.file.display());
            println!("{}", toml::to_string_pretty(&config).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("callwright: {error}");
            ExitCode::from(2)
        }
    }
}
