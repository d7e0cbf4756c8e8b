//! A daemon for tests: the real binary on free loopback ports with its own data directory, ended on drop.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of the rig")]

pub mod order;
pub mod phone;
pub mod ua;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running `callwright serve`.
pub struct Daemon {
    child: Child,
    /// SIP over UDP.
    pub sip: SocketAddr,
    /// Control API.
    pub http: SocketAddr,
    /// RTP ports, inclusive.
    pub rtp: (u16, u16),
    /// Data directory; kept while the rig lives.
    pub data: PathBuf,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts with the defaults on free ports.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with `more` appended to the configuration (its sections must not repeat `sip`, `rtp`, `http`, `data`).
    pub fn start_with(more: &str) -> Self {
        Self::start_limited(200, more)
    }

    /// Starts with room for `calls` calls.
    pub fn start_limited(calls: usize, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(dir, calls, more)
    }

    /// Starts with `more` appended, and with these settings of the environment (`CALLWRIGHT__SIP__TCP`).
    pub fn start_set(more: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let all: Vec<_> = environment.iter().copied().chain([("CALLWRIGHT_OFFLINE", "1")]).collect();
        Self::start_among(dir, 200, more, &native(), &all)
    }

    /// Starts for the first time, so that model packs are offered; from this mirror.
    pub fn start_offering(mirror: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let environment = [("CALLWRIGHT_MODELS_MIRROR", mirror), ("CALLWRIGHT_OFFLINE", "0")];
        Self::start_among(dir, 20, "", &native(), &environment)
    }

    /// Starts on an existing data directory (a restart).
    pub fn start_in(dir: tempfile::TempDir, calls: usize, more: &str) -> Self {
        Self::start_at(dir, calls, more, &native())
    }

    /// Starts with the engines that are in `native`.
    pub fn start_at(dir: tempfile::TempDir, calls: usize, more: &str, native: &Path) -> Self {
        Self::start_among(dir, calls, more, native, &[("CALLWRIGHT_OFFLINE", "1")])
    }

    /// Starts from a copy of the program that nobody else runs; gives its path.
    pub fn start_from_copy() -> (Self, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let program = dir.path().join("callwright");
        std::fs::copy(env!("CARGO_BIN_EXE_callwright"), &program).expect("a copy");
        let daemon = Self::start_program(&program, dir, 20, "", &native(), &[("CALLWRIGHT_OFFLINE", "1")]);
        (daemon, program)
    }

    fn start_among(
        dir: tempfile::TempDir,
        calls: usize,
        more: &str,
        native: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_callwright")), dir, calls, more, native, environment)
    }

    fn start_program(
        program: &Path,
        dir: tempfile::TempDir,
        calls: usize,
        more: &str,
        native: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        let sip = free_udp();
        let http = free_tcp();
        let rtp = free_rtp_range();
        let apps = free_app_range();
        let data = dir.path().join("var");
        let config = dir.path().join("callwright.toml");
        std::fs::write(
            &config,
            format!(
                "[sip]\nudp = \"{sip}\"\nmax_calls = {calls}\n[rtp]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\n[http]\nlisten = \"{http}\"\n[data]\ndir = {:?}\n[apps]\nports = \"{}-{}\"\n{more}\n",
                rtp.0, rtp.1, data, apps.0, apps.1
            ),
        )
        .expect("the configuration is written");
        let log = std::fs::File::create(dir.path().join("daemon.log")).expect("the log file");
        let child = Command::new(program)
            .args(["serve", "--config"])
            .arg(&config)
            .env("CALLWRIGHT_NATIVE", native)
            .env_remove("CI")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file twice"))
            .stderr(log)
            .spawn()
            .expect("callwright starts");
        let mut daemon = Self { child, sip, http, rtp, data, dir };
        daemon.wait_ready();
        daemon
    }

    fn wait_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok((200, _)) = get(self.http, "/health/ready") {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("callwright ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "callwright was not ready in 30 s:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }

    /// A metric's value on `/metrics`; sums all label sets whose line starts with `name`.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, body) = get(self.http, "/metrics").expect("/metrics answers");
        body.lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'))
            .filter(|line| matches!(line.as_bytes().get(name.len()), Some(b' ' | b'{') | None))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// Threads, and open descriptors that are sockets or pipes or events.
    pub fn resources(&self) -> (usize, usize) {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", self.pid())).map_or(0, Iterator::count);
        (count("task"), count("fd"))
    }

    /// Ends it as the service manager would; returns whether it ended well in 10 s.
    pub fn terminate(&mut self) -> bool {
        signal(self.pid(), "TERM");
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Kills it without warning and gives its directory back for a restart.
    pub fn kill(mut self) -> tempfile::TempDir {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a temporary directory"))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "the daemon's log belongs to a failure")]
    fn drop(&mut self) {
        if self.alive() && !self.terminate() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
    }
}

/// Where `make setup` puts the engines.
pub fn native() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("native")
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
}

/// A UDP address that was free a moment ago.
pub fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free UDP port")
}

/// A TCP address that was free a moment ago.
pub fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free TCP port")
}

/// A number that no parallel test has: test runners give each test a process or a thread.
fn slot(slots: u32) -> u16 {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let n = std::process::id().wrapping_mul(13).wrapping_add(STARTED.fetch_add(1, Ordering::Relaxed));
    u16::try_from(n % slots).unwrap_or(0)
}

/// Two hundred RTP ports below the kernel's ephemeral range.
pub fn free_rtp_range() -> (u16, u16) {
    let first = 18_000 + slot(70) * 200;
    (first, first + 199)
}

/// Twenty ports for apps.
pub fn free_app_range() -> (u16, u16) {
    let first = 10_000 + slot(200) * 20;
    (first, first + 19)
}

/// One HTTP/1.1 request; returns status and body.
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_owned());
    Ok((status, body))
}

/// One GET.
pub fn get(to: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    request(to, "GET", path, "text/plain", "")
}

/// Waits until `true`, at most `limit`.
pub fn eventually(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if check() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    check()
}
