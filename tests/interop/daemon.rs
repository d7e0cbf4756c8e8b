//! The daemon under test, with a line at Asterisk for every way that lines are used.

use crate::asterisk::{Asterisk, LINES, free_port};
use std::fmt::Write as _;
use std::io::{Error, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Daemon {
    child: Child,
    pub(crate) sip: SocketAddr,
    http: SocketAddr,
    dir: PathBuf,
}

/// The text after `"name":"`.
pub(crate) fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    json.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next()
}

impl Daemon {
    /// `$CALLWRIGHT_BIN`, or the one that was built with this program.
    pub(crate) fn start(asterisk: &Asterisk) -> Result<Self, String> {
        let built = option_env!("CARGO_BIN_EXE_callwright").map(PathBuf::from);
        let binary = std::env::var_os("CALLWRIGHT_BIN").map(PathBuf::from).or(built);
        let binary = binary.ok_or("no callwright: name it in CALLWRIGHT_BIN")?;
        let root = option_env!("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        Self::run(&binary, &root, asterisk).map_err(|error| error.to_string())
    }

    fn run(binary: &Path, root: &Path, asterisk: &Asterisk) -> std::io::Result<Self> {
        let sip = free_port()?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let dir = std::env::temp_dir().join(format!("callwright-interop-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let mut text = format!(
            "[sip]\nudp = \"{sip}\"\ntcp = \"{sip}\"\n{}[rtp]\naddress = \"127.0.0.1\"\nports = \"24000-24399\"\n\
             [http]\nlisten = \"{http}\"\n[data]\ndir = {:?}\n[apps]\nports = \"10920-10939\"\n",
            asterisk.fingerprint.as_ref().map_or_else(String::new, |print| {
                format!("[[sip.tls_peers]]\nhost = \"127.0.0.1\"\nfingerprint = \"{print}\"\n")
            }),
            dir.join("var")
        );
        for line in LINES {
            let port = if line.transport == "tls" { asterisk.tls.port() } else { asterisk.sip.port() };
            let srtp = if line.is_protected() { "srtp = \"require\"\n" } else { "" };
            // Writing into a String cannot fail.
            let _ = write!(
                text,
                "[[trunks]]\nname = \"line{user}\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"{}\"\nregister = true\n\
                 register_s = 120\nusername = \"{user}\"\nfrom_user = \"{user}\"\npassword = \"secret-{user}\"\noptions_s = 5\n{srtp}\
                 [[routes]]\nmatch = \"{user}\"\napp = \"{}\"\n",
                line.transport,
                line.app,
                user = line.user
            );
        }
        let config = dir.join("callwright.toml");
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(&config)
            .env("CALLWRIGHT_NATIVE", root.join("native"))
            .env("CALLWRIGHT_OFFLINE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut daemon = Self { child, sip, http, dir };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !matches!(daemon.request("GET", "/health/ready", ""), Ok((200, _))) {
            let ended = daemon.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(Error::other(format!("the daemon is not ready ({ended:?}):\n{}", daemon.log())));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The body; empty when it does not answer.
    pub(crate) fn get(&self, path: &str) -> String {
        self.request("GET", path, "").map(|(_, body)| body).unwrap_or_default()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.request("POST", path, body).unwrap_or_else(|error| (0, error.to_string()))
    }

    fn request(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.http, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Ok((status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
