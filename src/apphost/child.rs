//! An app process as its parent sees it. Purpose: start `callwright apphost` on a fresh listening socket, wait until it
//! answers, ask it, end it.
//! Invariants: the child inherits three descriptors and nothing else: the listener as standard input, the read end of
//! the lifeline pipe as standard output, its log as standard error. When the parent is gone, however it went, the
//! lifeline ends and the app ends with it; no app is orphaned.
//! Call [`spawn`] from a thread of the ordinary scheduling class: an unprivileged child cannot leave SCHED_IDLE.

use super::exchange::{Answer, Request};
use super::service::Purpose;
use crate::limits::SCENARIO_ANSWER_MAX;
use std::collections::BTreeMap;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time that one question to a child may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Pause between two looks at a child that is starting or ending.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Octets of the log that an error quotes.
const LOG_TAIL: usize = 600;

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The `callwright` binary.
    pub exe: PathBuf,
    /// Directory of the bundle.
    pub bundle: PathBuf,
    /// Directory for the data; made if missing.
    pub data: PathBuf,
    /// Where the listening socket is made; an old one is replaced. At most 107 octets.
    pub socket: PathBuf,
    /// File to which the app's log is appended.
    pub log: PathBuf,
    /// To serve or to be tested.
    pub purpose: Purpose,
}

/// Why an app process is not there.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The operator's: a file or directory cannot be made, or the binary not be run.
    #[error("cannot start the app ({what}): {source}")]
    Start {
        /// Which step.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended; its own words say why.
    #[error("the app ended while starting: {said}")]
    Ended {
        /// The last lines of its log.
        said: String,
    },
    /// It did not answer in time; retry may help on a busy machine.
    #[error("the app did not answer within {0:?}")]
    Late(Duration),
}

/// A running app process. Dropping it ends the process.
#[derive(Debug)]
pub struct AppChild {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    lifeline: Option<PipeWriter>,
    /// The listener is this child's alone, so its name goes with it.
    owns_socket: bool,
}

/// What an app says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Meta {
    /// Name for people.
    pub title: String,
    /// Name for paths.
    pub slug: String,
    /// Short name of the build of views and static files.
    pub build: String,
    /// Migrations that the data has seen.
    pub schema_version: u32,
    /// APIs that are live: paths under `/api/` that `openapi.json` describes and the app answers.
    pub apis: u32,
    /// Operations (method and path) behind them.
    pub operations: u32,
    /// Rows of all tables.
    pub records: u64,
    /// Rows per table.
    pub tables: BTreeMap<String, u64>,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// What the app itself reports: visits, calls, and the figures of its action `report`.
    #[serde(default)]
    pub figures: BTreeMap<String, i64>,
    /// ISO 4217 code of its amounts.
    #[serde(default)]
    pub currency: String,
}

fn failed(what: String) -> impl FnOnce(io::Error) -> ChildError {
    move |source| ChildError::Start { what, source }
}

fn at(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> ChildError {
    failed(format!("{verb} {}", path.display()))
}

/// Makes the listening socket at `path`; an old one is replaced. Whoever keeps it can start one app after the other on it, and
/// connections that come in between wait instead of being refused.
///
/// # Errors
/// [`ChildError::Start`].
pub fn listen(path: &Path) -> Result<UnixListener, ChildError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(at("make", parent))?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at("replace", path)(e)),
        _ => {}
    }
    UnixListener::bind(path).map_err(at("listen on", path))
}

/// Starts an app on a listener of its own.
///
/// # Errors
/// [`ChildError::Start`].
pub fn spawn(plan: &Plan) -> Result<AppChild, ChildError> {
    let listener = listen(&plan.socket)?;
    let mut child = spawn_on(plan, listener)?;
    child.owns_socket = true;
    Ok(child)
}

/// Starts an app on a listener that was made by [`listen`] at `plan.socket`; the name of the socket stays when the app ends.
///
/// # Errors
/// [`ChildError::Start`].
pub fn spawn_on(plan: &Plan, listener: UnixListener) -> Result<AppChild, ChildError> {
    std::fs::create_dir_all(&plan.data).map_err(at("make", &plan.data))?;
    if let Some(parent) = plan.log.parent() {
        std::fs::create_dir_all(parent).map_err(at("make", parent))?;
    }
    let log = std::fs::File::options().create(true).append(true).open(&plan.log).map_err(at("write", &plan.log))?;
    let (end, lifeline) = io::pipe().map_err(failed("make a pipe".to_owned()))?;
    let mut command = Command::new(&plan.exe);
    command.arg0(env!("CARGO_PKG_NAME"));
    command.arg("apphost").arg("--bundle").arg(&plan.bundle).arg("--data").arg(&plan.data);
    command.args(["--socket-fd", "0", "--lifeline-fd", "1"]);
    if plan.purpose == Purpose::Scenario {
        command.arg("--scenario");
    }
    let child = command
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::from(OwnedFd::from(end)))
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(at("run", &plan.exe))?;
    Ok(AppChild {
        child,
        socket: plan.socket.clone(),
        log: plan.log.clone(),
        lifeline: Some(lifeline),
        owns_socket: false,
    })
}

/// Has a process in the app's own sandbox copy the app's data while the app uses them; returns the copy, which the caller moves
/// away. `plan` is the app's; its socket is not used.
///
/// # Errors
/// [`ChildError`], [`ChildError::Ended`] in the process's own words.
pub fn snapshot(plan: &Plan, within: Duration) -> Result<PathBuf, ChildError> {
    let log = std::fs::File::options().create(true).append(true).open(&plan.log).map_err(at("write", &plan.log))?;
    let mut command = Command::new(&plan.exe);
    command.arg0(env!("CARGO_PKG_NAME"));
    command.arg("apphost").arg("--snapshot").arg("--bundle").arg(&plan.bundle).arg("--data").arg(&plan.data);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
    let child = command.spawn().map_err(at("run", &plan.exe))?;
    let mut child =
        AppChild { child, socket: plan.socket.clone(), log: plan.log.clone(), lifeline: None, owns_socket: false };
    let deadline = Instant::now() + within;
    loop {
        match child.child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(plan.data.join(super::database::SNAPSHOT_FILE)),
            Ok(Some(_)) => return Err(ChildError::Ended { said: child.last_words() }),
            Ok(None) if Instant::now() > deadline => return Err(ChildError::Late(within)),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(e) => return Err(at("wait for", &plan.exe)(e)),
        }
    }
}

impl AppChild {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Path of the socket on which it answers HTTP/1.1.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it answers; connections made before that wait in the listener's queue, none is lost.
    ///
    /// # Errors
    /// [`ChildError::Ended`], [`ChildError::Late`].
    pub fn wait_ready(&mut self, within: Duration) -> Result<(), ChildError> {
        let deadline = Instant::now() + within;
        loop {
            // The answer comes as soon as the app serves; the short patience only serves to notice its end.
            match ask(&self.socket, &Request::new("GET", "/_/health"), Duration::from_millis(200)) {
                Ok(answer) if answer.status == 200 => return Ok(()),
                _ if !self.is_running() => return Err(ChildError::Ended { said: self.last_words() }),
                _ if Instant::now() > deadline => return Err(ChildError::Late(within)),
                _ => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Asks it.
    ///
    /// # Errors
    /// What the socket says; `InvalidData` for an answer that is not HTTP or too large.
    pub fn ask(&self, request: &Request) -> io::Result<Answer> {
        ask(&self.socket, request, ANSWER_WITHIN)
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn meta(&self) -> io::Result<Meta> {
        meta(&self.socket)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).trim().to_owned();
        if tail.is_empty() { "it said nothing".to_owned() } else { tail }
    }

    /// Lets it finish its requests for `grace`, then ends it.
    pub fn stop(&mut self, grace: Duration) {
        self.lifeline = None;
        let deadline = Instant::now() + grace;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        if self.is_running() {
            _ = self.child.kill();
        }
        _ = self.child.wait();
        if self.owns_socket {
            _ = std::fs::remove_file(&self.socket);
        }
    }
}

impl Drop for AppChild {
    fn drop(&mut self) {
        if self.is_running() {
            self.stop(Duration::ZERO);
        }
    }
}

/// What the app behind `socket` says of itself.
///
/// # Errors
/// As [`ask`].
pub fn meta(socket: &Path) -> io::Result<Meta> {
    let answer = ask(socket, &Request::new("GET", "/_/meta"), ANSWER_WITHIN)?;
    serde_json::from_slice(&answer.body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// One request over a connection of its own to the app behind `socket`.
///
/// # Errors
/// What the socket says; `InvalidData` for an answer that is not HTTP or too large.
pub fn ask(socket: &Path, request: &Request, within: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let mut head = format!("{} {} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !request.body.is_empty() || request.method != "GET" {
        head += &format!("content-length: {}\r\n", request.body.len());
    }
    head += "\r\n";
    stream.write_all(&[head.as_bytes(), &request.body].concat())?;
    let mut bytes = Vec::new();
    stream.take(SCENARIO_ANSWER_MAX + 1).read_to_end(&mut bytes)?;
    parse(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the app's answer is cut short or too large"))
}

/// An HTTP/1.1 answer whose connection was closed after it.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let length = headers.get("content-length").map_or(Some(body.len()), |l| l.parse().ok())?;
    (body.len() == length).then(|| Answer { status, headers, body: body.to_vec() })
}
