//! `callwright doctor`: looks at this machine and says what works, what is limited and what to install.
//! Main thread; starts nothing that outlives it. Exit code 1 when something needed is missing.

use crate::config::Config;
use crate::conversation;
use crate::daemon::listeners::{check_https, check_tls, http_certificate_notes, present_certificate, sip_addresses};
use crate::os::realtime::{self, Scheduling};
use crate::os::sandbox;
use crate::sip::hop::Transport;
use crate::sip::transport::remedy;
use crate::speech::{SpeechConfig, SpeechPlane, check_engines};
use crate::telemetry::marks::Marks;
use crate::tls::spelled;
use callwright_models::assets::Assets;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What was looked at, how it is, and what to know.
type Finding = (String, Verdict, String);

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

fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Err(error) = check_engines(config) {
        found.push(("configuration".to_owned(), Verdict::Missing, error));
    }
    found.extend(engines(config));
    found.push(scheduling());
    found.push(sandbox());
    for (transport, address) in sip_addresses(config) {
        let error = match transport {
            Transport::Udp => UdpSocket::bind(address).err(),
            Transport::Tcp | Transport::Tls => TcpListener::bind(address).err(),
        };
        found.push(sip_port(transport, address, error));
    }
    if let Err(error) = check_tls(config) {
        found.push(("SIP over TLS".to_owned(), Verdict::Missing, error.to_string()));
    } else if !config.sip.tls.is_empty() && config.sip.certificate.is_none() {
        let note = "no certificate is configured: one that only we have signed is made at the first start".to_owned();
        found.push(("SIP over TLS".to_owned(), Verdict::Limited, note));
    }
    found.push(port("HTTP port", config.http.listen.to_string(), TcpListener::bind(config.http.listen).err()));
    found.extend(https(config));
    found.push(match std::process::Command::new("git").arg("--version").output() {
        Ok(out) if out.status.success() => {
            ("git".to_owned(), Verdict::Good, String::from_utf8_lossy(&out.stdout).trim().to_owned())
        }
        _ => ("git".to_owned(), Verdict::Missing, "apps are kept in git repositories: apt-get install git".to_owned()),
    });
    found
}

/// The ports of HTTPS, and the certificate that it shows.
fn https(config: &Config) -> Vec<Finding> {
    let what = || "HTTPS certificate".to_owned();
    let mut found: Vec<Finding> = Vec::new();
    for address in &config.http.tls_listen {
        found.push(port("HTTPS port", address.to_string(), TcpListener::bind(address).err()));
    }
    match present_certificate(config) {
        _ if config.http.tls_listen.is_empty() => {
            let note =
                "not configured: pages of other machines cannot use a microphone; set [http] tls_listen".to_owned();
            found.push(("HTTPS".to_owned(), Verdict::Limited, note));
        }
        Err(error) => found.push((what(), Verdict::Missing, error.to_string())),
        Ok(None) => {
            let note = "none is configured: one that only we have signed is made at the first start".to_owned();
            found.push((what(), Verdict::Limited, note));
        }
        Ok(Some(identity)) => {
            let facts = identity.facts();
            let until = facts.last_day().map(|day| format!(", valid until {day}")).unwrap_or_default();
            let signed = if facts.self_signed { "; signed by nobody else, so browsers ask once" } else { "" };
            let verdict = if facts.self_signed { Verdict::Limited } else { Verdict::Good };
            found.push((what(), verdict, format!("SHA-256 {}{until}{signed}", spelled(&facts.fingerprint))));
            let worthless = check_https(config).is_err();
            for note in http_certificate_notes(config, &identity) {
                found.push((what(), if worthless { Verdict::Missing } else { Verdict::Limited }, note));
            }
        }
    }
    found
}

/// Loads the engines as the daemon would.
fn engines(config: &Config) -> Vec<Finding> {
    let speech = SpeechConfig { lanes: 1, ..SpeechConfig::of(config) };
    match SpeechPlane::start(&speech, &Assets::locate(), &conversation::domain(), Vec::new(), Arc::new(Marks::new())) {
        Ok(plane) => plane
            .engines()
            .iter()
            .map(|engine| {
                let verdict = match (engine.ready, engine.limited) {
                    (false, _) => Verdict::Missing,
                    (true, true) => Verdict::Limited,
                    (true, false) => Verdict::Good,
                };
                let whose = match engine.agents.as_slice() {
                    [] => String::new(),
                    agents => format!(" of {}", agents.join(", ")),
                };
                (format!("speech: {}{whose}", engine.part.name()), verdict, engine.in_words())
            })
            .collect(),
        Err(error) => vec![("speech".to_owned(), Verdict::Missing, error.to_string())],
    }
}

/// Asks on a thread of its own, which then ends.
fn scheduling() -> Finding {
    let granted = std::thread::spawn(|| realtime::fifo_or_nice(1)).join().unwrap_or(Scheduling::Unasked);
    let verdict = if matches!(granted, Scheduling::Fifo { .. }) { Verdict::Good } else { Verdict::Limited };
    ("real-time threads".to_owned(), verdict, granted.to_string())
}

fn sandbox() -> Finding {
    let (verdict, note) = match sandbox::supported() {
        Ok(()) => (Verdict::Good, "Landlock and seccomp".to_owned()),
        Err(error) => (Verdict::Missing, error.to_string()),
    };
    ("app sandbox".to_owned(), verdict, note)
}

fn sip_port(transport: Transport, address: SocketAddr, error: Option<std::io::Error>) -> Finding {
    let what = format!("SIP port ({})", transport.name());
    match error {
        Some(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            (what, Verdict::Missing, format!("{address}: {error}. {}", remedy(&error, address)))
        }
        error => port(&what, address.to_string(), error),
    }
}

fn port(what: &str, address: String, error: Option<std::io::Error>) -> Finding {
    match error {
        None => (what.to_owned(), Verdict::Good, format!("{address} is free")),
        Some(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            (what.to_owned(), Verdict::Limited, format!("{address} is in use; is the daemon running already?"))
        }
        Some(error) => (what.to_owned(), Verdict::Missing, format!("{address}: {error}")),
    }
}
