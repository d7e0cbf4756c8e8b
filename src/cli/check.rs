//! `callwright check F`: reads a configuration and the files that it names, and says what it means. Main thread; changes
//! nothing.

use crate::call::player::library::Library;
use crate::call::trunks::Book;
use crate::config::Config;
use crate::daemon::listeners::{check_https, check_tls, sip_addresses};
use crate::speech::check_engines;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The TOML file.
    file: PathBuf,
}

/// Names every password that the daemon would miss.
fn passwords(config: &Config) -> Result<(), String> {
    let faults = Book::faults(config, |name| std::env::var(name).ok());
    if faults.is_empty() { Ok(()) } else { Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")) }
}

/// Prints the complete configuration, defaults and environment included.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = Config::load(Some(&arguments.file), std::env::vars()).map_err(|e| e.to_string());
    let playable = |config: &Config| Library::default().check(config).map_err(|e| format!("routes.app: play:{e}"));
    let certified = |config: &Config| {
        check_tls(config).map_err(|e| format!("sip: {e}"))?;
        check_https(config).map_err(|e| format!("http: {e}"))
    };
    let usable = |config: &Config| {
        check_engines(config)?;
        playable(config)?;
        passwords(config)?;
        certified(config)
    };
    match config.and_then(|config| usable(&config).map(|()| config)) {
        Ok(config) => {
            println!("{} is valid. In full, defaults and environment included:\n", arguments.file.display());
            for (transport, address) in sip_addresses(&config) {
                println!("# SIP is heard on {} {address}", transport.name());
            }
            for address in &config.http.tls_listen {
                println!("# HTTPS is heard on {address}");
            }
            println!("{}", toml::to_string_pretty(&config).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("callwright: {error}");
            ExitCode::from(2)
        }
    }
}
