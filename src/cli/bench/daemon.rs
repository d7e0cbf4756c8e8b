//! The process under test. Purpose: this very binary on a core of its own, watched from outside as a stranger would.
//! Invariant: it ends with the value, or with this process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Media;
use crate::os::{process, realtime};

/// Engines are loaded before the daemon is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A child process on the daemon's core.
#[derive(Debug)]
pub(super) struct Pinned(Child);

impl Pinned {
    /// Starts `callwright ARGUMENTS...`; `log` takes its output, else it is thrown away.
    pub(super) fn start(
        media: &Media,
        arguments: &[&str],
        environment: &[(&str, String)],
        log: Option<&Path>,
    ) -> Result<Self, String> {
        let binary = std::env::current_exe().map_err(|e| format!("this binary cannot be found: {e}"))?;
        let mut command = Command::new(binary);
        command.args(arguments).envs(environment.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        match log {
            Some(path) => {
                let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
                let twin = file.try_clone().map_err(|e| e.to_string())?;
                command.stdout(file).stderr(twin);
            }
            None => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        // A child inherits the affinity of the thread that starts it.
        realtime::pin(media.daemon_cpu).map_err(|e| format!("--daemon-cpu {}: {e}", media.daemon_cpu))?;
        let child = process::end_with_parent(&mut command).spawn().map_err(|e| format!("cannot start: {e}"));
        realtime::pin(media.load_cpu).map_err(|e| format!("--load-cpu {}: {e}", media.load_cpu))?;
        Ok(Self(child?))
    }

    /// CPU time of all its threads so far, to the nanosecond.
    pub(super) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).into_iter().flatten().flatten();
        let spent = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_ascii_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Resident memory, MiB.
    pub(super) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }

    /// Waits until the control API says that the daemon is ready.
    pub(super) fn ready(&mut self, http: SocketAddr, log: &Path) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Ok(Some(status)) = self.0.try_wait() {
                let said = fs::read_to_string(log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                return Err(format!("the daemon ended before it was ready ({status}):\n{}", last.join("\n")));
            }
            if is_ready(http) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(format!("the daemon is not ready after {} s; its log is {}", READY_WITHIN.as_secs(), log.display()))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = process::terminate(self.0.id());
        let began = Instant::now();
        while began.elapsed() < STOP_WITHIN {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_ready(http: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&http, Duration::from_millis(500))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(200).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
