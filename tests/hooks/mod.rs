//! The other ends of webhooks, and a person who sets an app up over HTTP.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// Answers with this status.
    Answers(u16),
    /// Answers 302 to this port of the same machine.
    Leads(u16),
    /// Says nothing and keeps the line.
    Holds,
    /// Begins an answer and cuts the line.
    Cuts,
}

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Came {
    pub head: BTreeMap<String, String>,
    pub body: String,
}

/// A webhook's other end; its thread ends with the test's process.
pub struct Receiver {
    pub address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
    does: Arc<Mutex<Vec<Does>>>,
}

impl Receiver {
    /// Does these things in turn, the last one again and again.
    pub fn start(does: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let does = Arc::new(Mutex::new(does.to_vec()));
        let (seen, todo) = (Arc::clone(&came), Arc::clone(&does));
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let Some(request) = read(&mut stream) else { continue };
                let does = {
                    let mut todo = todo.lock().unwrap();
                    if todo.len() > 1 { todo.remove(0) } else { todo[0] }
                };
                match does {
                    Does::Answers(status) => {
                        _ = write!(stream, "HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    }
                    Does::Leads(port) => {
                        _ = write!(
                            stream,
                            "HTTP/1.1 302 -\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n"
                        );
                    }
                    Does::Holds => held.push(stream),
                    Does::Cuts => _ = stream.write_all(b"HTTP/1.1 200"),
                }
                seen.lock().unwrap().push(request);
            }
        });
        Self { address, came, does }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?key=k", self.address)
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// From now on.
    pub fn turn_to(&self, does: Does) {
        *self.does.lock().unwrap() = vec![does];
    }
}

fn read(stream: &mut TcpStream) -> Option<Came> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut octets = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(end) = octets.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&octets[..end]).into_owned();
            let head: BTreeMap<String, String> = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = head.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
            if octets.len() >= end + 4 + length {
                return Some(Came { head, body: String::from_utf8_lossy(&octets[end + 4..]).into_owned() });
            }
        }
        match stream.read(&mut part).ok()? {
            0 => return None,
            n => octets.extend_from_slice(&part[..n]),
        }
    }
}

/// Somebody with a browser's cookies.
pub struct Person {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// What an app answered.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Person {
    /// Before the app at `url`.
    pub fn before(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        Self { address, cookies: BTreeMap::new() }
    }

    pub fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            cookies.join("; "),
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = value.split(';').next().and_then(|cookie| cookie.split_once('='))
            {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer { status: text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), text }
    }

    /// Fills the form of `page` in and sends it to `path`.
    pub fn fill(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let shown = self.ask("GET", page, "text/plain", "").text;
        let token = shown.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
        let escape = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let pairs: Vec<String> =
            fields.iter().chain([&("csrf", token)]).map(|(n, v)| format!("{n}={}", escape(v))).collect();
        self.ask("POST", path, "application/x-www-form-urlencoded", &pairs.join("&"))
    }

    pub fn set_up(&mut self, code: &str) -> Answer {
        let fields = [("code", code), ("name", "Ada"), ("password", "a long enough pass phrase")];
        self.fill("/setup", "/setup", &fields)
    }

    /// Adds a webhook; its secret.
    pub fn hook(&mut self, url: &str) -> String {
        let answer = self.fill("/settings", "/settings/hooks", &[("url", url)]);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let secret = answer.text.split("shown only now: ").nth(1).unwrap();
        secret.chars().take_while(char::is_ascii_hexdigit).collect()
    }
}
