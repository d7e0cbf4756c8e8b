//! What the benches of builds and of apps share: a daemon of the release binary, HTTP on sockets that stay open, percentiles.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part")]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Error, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// When a server that is started must answer.
pub const START: Duration = Duration::from_secs(90);

/// `target/release/callwright`, or `$CALLWRIGHT_BIN`.
pub fn binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CALLWRIGHT_BIN").map_or_else(|| root.join("target/release/callwright"), PathBuf::from)
}

/// A process that ends with this value.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // As the service manager does, so that it ends its own children.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TCP address that was free a moment ago.
pub fn free_tcp() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A daemon on the defaults, with room for fifty apps.
pub struct Daemon {
    /// Control API.
    pub http: SocketAddr,
    /// Data directory.
    pub data: PathBuf,
    process: Option<Process>,
    _dir: tempfile::TempDir,
}

impl Daemon {
    pub fn start() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (dir, http) = (tempfile::tempdir()?, free_tcp()?);
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (config, data) = (dir.path().join("callwright.toml"), dir.path().join("var"));
        let text = format!(
            "[sip]\nudp = \"{sip}\"\n[rtp]\naddress = \"127.0.0.1\"\nports = \"20000-24999\"\n[http]\nlisten = \"{http}\"\n\
             [data]\ndir = {data:?}\n[apps]\nports = \"10900-10949\"\n"
        );
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(&config)
            .env("CALLWRIGHT_NATIVE", root.join("native"))
            .env("CALLWRIGHT_OFFLINE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|e| Error::other(format!("{} cannot be run ({e}): make compile", binary().display())))?;
        let daemon = Self { http, data, process: Some(Process(child)), _dir: dir };
        wait_for(http, "/health/ready")?;
        Ok(daemon)
    }

    /// Asks for a build; its id.
    pub fn build(&self, build_type: &str, title: &str, features: &[&str]) -> io::Result<String> {
        let features: Vec<String> = features.iter().map(|f| format!("\"{f}\"")).collect();
        let body = format!(
            "{{\"build_type\": \"{build_type}\", \"title\": \"{title}\", \"features\": [{}]}}",
            features.join(", ")
        );
        let answer = Client::new(self.http).ask("POST", "/v1/builds", &body)?;
        match (answer.status, text_of(&answer.body, "id")) {
            (202, Some(id)) => Ok(id),
            _ => Err(Error::other(format!("the build is refused: {} {}", answer.status, answer.body))),
        }
    }

    /// Stage of a build, and its URL.
    pub fn stage(&self, client: &mut Client, id: &str) -> io::Result<(String, Option<String>)> {
        let answer = client.ask("GET", &format!("/v1/builds/{id}"), "")?;
        let stage = text_of(&answer.body, "stage").ok_or_else(|| Error::other(answer.body.clone()))?;
        if matches!(stage.as_str(), "parked" | "failed") {
            return Err(Error::other(format!("build {id} is {stage}: {}", answer.body)));
        }
        Ok((stage, text_of(&answer.body, "url")))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Before its directory.
        self.process = None;
    }
}

/// The first text called `name` in a JSON document.
pub fn text_of(json: &str, name: &str) -> Option<String> {
    fn find(value: &serde_json::Value, name: &str) -> Option<String> {
        match value {
            serde_json::Value::Object(object) => object
                .get(name)
                .and_then(|v| v.as_str())
                .map(str::to_owned)
                .or_else(|| object.values().find_map(|v| find(v, name))),
            _ => None,
        }
    }
    find(&serde_json::from_str(json).ok()?, name)
}

/// Waits until `path` answers 200.
pub fn wait_for(address: SocketAddr, path: &str) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match Client::new(address).ask("GET", path, "") {
            Ok(answer) if answer.status == 200 => return Ok(()),
            other if begun.elapsed() > START => {
                let said = other.map_or_else(|e| e.to_string(), |answer| format!("{} {}", answer.status, answer.body));
                return Err(Error::other(format!("{address}{path} does not answer: {said}")));
            }
            _ => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// HTTP/1.1 over one connection that is kept.
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let answer = self.exchange(method, path, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let address = self.address;
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                none.insert(BufReader::new(stream))
            }
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes())?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| Error::other("no answer"))?;
        let (mut length, mut chunked, mut closes) = (0, false, false);
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(Error::other)?;
            }
            chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
            closes |= lower.starts_with("connection:") && lower.contains("close");
        }
        let mut octets = Vec::new();
        if chunked {
            loop {
                line.clear();
                stream.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(Error::other)?;
                let from = octets.len();
                octets.resize(from + size + 2, 0);
                stream.read_exact(&mut octets[from..])?;
                octets.truncate(from + size);
                if size == 0 {
                    break;
                }
            }
        } else {
            octets.resize(length, 0);
            stream.read_exact(&mut octets)?;
        }
        if closes {
            self.stream = None;
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&octets).into_owned() })
    }
}

/// The value below which `share` of `sorted` lie (nearest rank).
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(values, 0.5)
}

/// Writes `target/bench/NAME.json`.
pub fn write_json(name: &str, json: &BTreeMap<String, f64>) -> io::Result<()> {
    let lines: Vec<String> = json.iter().map(|(key, value)| format!("  \"{key}\": {value:.3}")).collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(format!("{name}.json")), format!("{{\n{}\n}}\n", lines.join(",\n")))
}
