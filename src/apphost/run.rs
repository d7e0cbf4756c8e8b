//! `callwright apphost`: the process around one app. Purpose: arguments → confinement → bundle → service, in this order.
//! Owner: the process's only thread. Invariant: no octet of the bundle is read before the process is confined.

use super::bundle::{self, Bundle};
use super::database;
use super::serve;
use super::service::{Purpose, Service};
use crate::limits::{APP_DATABASE_MB_MAX, APP_FILES_MAX, APP_MEMORY_MAX};
use crate::os::inherit;
use crate::os::sandbox::{self, Plan};
use socket2::{Domain, SockRef};
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// Exit code for wrong arguments.
const EXIT_USAGE: u8 = 2;
/// Exit code for everything that keeps an app from starting or ends it.
const EXIT_FAILED: u8 = 1;

/// Serve one generated app, confined, on a listening socket that the parent left open.
#[derive(clap::Parser, Debug)]
#[command(name = "callwright apphost")]
struct Arguments {
    /// Directory of the app's bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// Directory of its data.
    #[arg(long)]
    data: PathBuf,
    /// Listening Unix or TCP socket that this process inherited.
    #[arg(long, conflicts_with = "listen", required_unless_present_any = ["listen", "snapshot"])]
    socket_fd: Option<RawFd>,
    /// Address to listen on where no parent does, as in a container.
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// Pipe whose end tells that the parent is gone.
    #[arg(long)]
    lifeline_fd: Option<RawFd>,
    /// Serve throw-away data to scenarios.
    #[arg(long)]
    scenario: bool,
    /// Serve nothing: write a copy of the data beside them and end.
    #[arg(long)]
    snapshot: bool,
}

/// Runs `apphost` with `arguments` (without the program's name and the subcommand) to its end; returns the exit code.
///
/// Must be called while the process has one thread.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let name = std::iter::once(OsString::from("callwright apphost"));
    let arguments = match <Arguments as clap::Parser>::try_parse_from(name.chain(arguments)) {
        Ok(arguments) => arguments,
        Err(e) => {
            _ = e.print();
            return if e.use_stderr() { EXIT_USAGE } else { 0 };
        }
    };
    match start(arguments) {
        Ok(()) => 0,
        Err(sentence) => {
            super::log(&sentence);
            EXIT_FAILED
        }
    }
}

/// What an app process may use, given its two directories.
#[must_use]
pub fn cage(bundle: &Path, data: &Path, keep: Vec<RawFd>) -> Plan {
    Plan {
        readable: bundle.to_owned(),
        writable: data.to_owned(),
        keep,
        memory_max: APP_MEMORY_MAX,
        // The write-ahead log may outgrow the database for a while.
        file_max: u64::from(APP_DATABASE_MB_MAX) << 21,
        files_max: APP_FILES_MAX,
        is_batch: false,
        landlock_abi_max: None,
    }
}

fn start(arguments: Arguments) -> Result<(), String> {
    if arguments.snapshot {
        let caged = sandbox::enter(cage(&arguments.bundle, &arguments.data, Vec::new())).map_err(|e| e.to_string())?;
        let settled = caged.settle().map_err(|e| e.to_string())?;
        return database::snapshot(&settled.writable).map_err(|e| e.to_string());
    }
    let listener: OwnedFd = match (arguments.socket_fd, arguments.listen) {
        (Some(fd), _) => inherit::take(fd).map_err(|e| format!("--socket-fd {fd} is not an open descriptor: {e}"))?,
        (None, Some(address)) => {
            TcpListener::bind(address).map_err(|e| format!("cannot listen on {address}: {e}"))?.into()
        }
        (None, None) => return Err("give --socket-fd or --listen".to_owned()),
    };
    let lifeline = match arguments.lifeline_fd {
        Some(fd) => Some(inherit::take(fd).map_err(|e| format!("--lifeline-fd {fd} is not an open descriptor: {e}"))?),
        None => None,
    };
    std::fs::create_dir_all(&arguments.data).map_err(|e| format!("cannot make {}: {e}", arguments.data.display()))?;
    // Only a gateway connects to a Unix socket; whoever reaches a TCP port is a stranger.
    let alone = SockRef::from(&listener).domain().map_err(|e| format!("the socket is unusable: {e}"))? != Domain::UNIX;
    let keep = std::iter::once(listener.as_raw_fd()).chain(lifeline.as_ref().map(AsRawFd::as_raw_fd)).collect();
    // `enter` closes what the parent forgot, so nothing of our own may be open yet but these.
    let mut plan = cage(&arguments.bundle, &arguments.data, keep);
    // Nobody waits for it but a build, which takes what calls leave over.
    plan.is_batch = arguments.scenario;
    let caged = sandbox::enter(plan).map_err(|e| e.to_string())?;
    let files = bundle::read_dir(&arguments.bundle).map_err(|e| e.to_string())?;
    let settled = caged.settle().map_err(|e| e.to_string())?;
    super::log(&settled.says);
    let bundle = Bundle::from_files(&files).map_err(|e| e.to_string())?;
    drop(files);
    let purpose = if arguments.scenario { Purpose::Scenario } else { Purpose::Serve };
    let mut service = Service::open(bundle, &settled.writable, purpose).map_err(|e| e.to_string())?;
    if alone && let Some(code) = service.stand_alone()? {
        super::log(&format!("the first account is made at /setup with the set-up code {code}"));
    }
    serve::serve(service, listener, lifeline).map_err(|e| format!("cannot serve: {e}"))
}
