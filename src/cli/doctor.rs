//! `callwright doctor`: looks at this machine and says what works, what is limited and what to install.
//! Main thread; starts nothing that outlives it. Exit code 1 when something needed is missing.

use crate::config::Config;
use crate::os::{realtime, sandbox};
use crate::speech;
use std::io::IsTerminal;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

enum Verdict {
    Good,
    Limited,
    Missing,
}

/// Prints one line per finding.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = match Config::load(arguments.config.as_deref(), std::env::vars()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("callwright: {error}");
            return ExitCode::from(2);
        }
    };
    let colour = std::io::stdout().is_terminal();
    let mut missing = false;
    for (what, verdict, note) in findings(&config) {
        let (word, paint) = match verdict {
            Verdict::Good => ("ok", "32"),
            Verdict::Limited => ("limited", "33"),
            Verdict::Missing => ("missing", "31"),
        };
        missing |= matches!(verdict, Verdict::Missing);
        if colour {
            println!("\x1b[{paint}m{word:>8}\x1b[0m  {what:<22} {note}");
        } else {
            println!("{word:>8}  {what:<22} {note}");
        }
    }
    if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn findings(config: &Config) -> Vec<(String, Verdict, String)> {
    let mut found = Vec::new();
    for engine in speech::survey(&config.speech.voice) {
        let verdict = match (engine.ready, engine.limited) {
            (false, _) => Verdict::Missing,
            (true, true) => Verdict::Limited,
            (true, false) => Verdict::Good,
        };
        found.push((format!("speech: {}", engine.part.name()), verdict, format!("{} {}", engine.name, engine.note)));
    }
    found.push(match realtime::probe() {
        Ok(()) => ("real-time threads".to_owned(), Verdict::Good, "SCHED_FIFO is granted".to_owned()),
        Err(why) => (
            "real-time threads".to_owned(),
            Verdict::Limited,
            format!("SCHED_FIFO is refused ({why}); grant LimitRTPRIO=20 or CAP_SYS_NICE"),
        ),
    });
    found.push(match sandbox::survey() {
        Ok(note) => ("app sandbox".to_owned(), Verdict::Good, note),
        Err(why) => ("app sandbox".to_owned(), Verdict::Missing, why.to_string()),
    });
    found.push(port("SIP port", config.sip.udp.to_string(), UdpSocket::bind(config.sip.udp).err()));
    found.push(port("HTTP port", config.http.listen.to_string(), TcpListener::bind(config.http.listen).err()));
    found.push(match std::process::Command::new("git").arg("--version").output() {
        Ok(out) if out.status.success() => {
            ("git".to_owned(), Verdict::Good, String::from_utf8_lossy(&out.stdout).trim().to_owned())
        }
        _ => ("git".to_owned(), Verdict::Missing, "apps are kept in git repositories: apt-get install git".to_owned()),
    });
    found
}

fn port(what: &str, address: String, error: Option<std::io::Error>) -> (String, Verdict, String) {
    match error {
        None => (what.to_owned(), Verdict::Good, format!("{address} is free")),
        Some(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            (what.to_owned(), Verdict::Limited, format!("{address} is in use; is the daemon running already?"))
        }
        Some(error) => (what.to_owned(), Verdict::Missing, format!("{address}: {error}")),
    }
}
