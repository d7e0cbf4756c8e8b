//! An HTTP/1.1 server of a few lines that misbehaves to order: it serves one file, with ranges or without, cut, slow,
//! replaced, redirected, refused or silent; and remembers what it was asked.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one request; the last one happens to all further ones.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The file, or the range of it that is asked for.
    Whole,
    /// As many octets of what is asked for, then the connection is closed.
    Cut(usize),
    /// As many octets, then nothing more for as long as the test runs.
    Stall(usize),
    /// The file, whatever range is asked for.
    NoRanges,
    /// As many octets of the file, whatever range is asked for, then the connection is closed.
    NoRangesCut(usize),
    /// A range that begins elsewhere than asked.
    WrongRange,
    /// This status.
    Status(u16),
    /// 302 to this place; `{here}` is this server.
    Redirect(String),
    /// The connection is taken and nothing is said.
    Silence,
    /// An announcement of so many octets.
    Announce(u64),
    /// Without a length: so many zeros.
    Endless(usize),
}

#[derive(Debug, Default)]
struct Inside {
    content: Vec<u8>,
    tag: Option<String>,
    script: Vec<Answer>,
    asked: Vec<(String, Option<String>, Option<String>)>,
}

/// The server; it ends with the test's process.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

impl Server {
    pub(crate) fn start(content: Vec<u8>, script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let inside = Inside { content, tag: Some("\"one\"".to_owned()), script, asked: Vec::new() };
        let server = Self { address, inside: Arc::new(Mutex::new(inside)) };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        server
    }

    pub(crate) fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }

    /// From now on.
    pub(crate) fn script(&self, script: Vec<Answer>) {
        self.inside.lock().expect("no test panicked").script = script;
    }

    /// Another version of the file, with its validator.
    pub(crate) fn replace(&self, content: Vec<u8>, tag: Option<&str>) {
        let mut inside = self.inside.lock().expect("no test panicked");
        (inside.content, inside.tag) = (content, tag.map(str::to_owned));
    }

    /// Path, `Range` and `If-Range` of each request.
    pub(crate) fn asked(&self) -> Vec<(String, Option<String>, Option<String>)> {
        self.inside.lock().expect("no test panicked").asked.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        // One request a connection keeps the script in step.
        let mut head = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
            head.push(std::mem::take(&mut line));
        }
        let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return };
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let (range, if_range) = (header("range"), header("if-range"));
        let (answer, content, tag) = {
            let mut inside = self.inside.lock().expect("no test panicked");
            inside.asked.push((path, range.clone(), if_range.clone()));
            let answer = if inside.script.len() > 1 { inside.script.remove(0) } else { inside.script[0].clone() };
            (answer, inside.content.clone(), inside.tag.clone())
        };
        let mut from = range
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok())
            .filter(|_| if_range.is_none() || if_range == tag);
        if matches!(answer, Answer::NoRanges | Answer::NoRangesCut(_)) {
            from = None;
        }
        let mut reply = String::new();
        let tag = tag.map_or_else(String::new, |tag| format!("ETag: {tag}\r\n"));
        let body = &content[from.unwrap_or(0).min(content.len())..];
        match (&answer, from) {
            (Answer::Silence, _) => return self.hold(reader),
            (Answer::Status(status), _) => {
                let _ = write!(reply, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            (Answer::Redirect(to), _) => {
                let to = to.replace("{here}", &format!("http://{}", self.address));
                let _ = write!(
                    reply,
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
            (Answer::Announce(octets), _) => {
                let _ = write!(reply, "HTTP/1.1 200 OK\r\nContent-Length: {octets}\r\nConnection: close\r\n\r\n");
            }
            (Answer::Endless(_), _) => {
                let _ = write!(reply, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            }
            (_, Some(first)) if first >= content.len() => {
                let _ = write!(
                    reply,
                    "HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    content.len()
                );
            }
            (_, Some(first)) => {
                let claimed = if matches!(answer, Answer::WrongRange) { first + 1 } else { first };
                let _ = write!(
                    reply,
                    "HTTP/1.1 206 Partial\r\n{tag}Content-Range: bytes {claimed}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    content.len() - 1,
                    content.len(),
                    body.len()
                );
            }
            (_, None) => {
                let _ = write!(
                    reply,
                    "HTTP/1.1 200 OK\r\n{tag}Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
            }
        }
        let zeros;
        let sent: &[u8] = match answer {
            Answer::Cut(n) | Answer::Stall(n) | Answer::NoRangesCut(n) => &body[..n.min(body.len())],
            Answer::Whole | Answer::NoRanges | Answer::WrongRange if !reply.contains(" 416 ") => body,
            Answer::Endless(n) => {
                zeros = vec![0; n];
                &zeros
            }
            _ => &[],
        };
        // The client may have gone, which is its right.
        let _ = stream.write_all(reply.as_bytes()).and_then(|()| stream.write_all(sent));
        if matches!(answer, Answer::Stall(_)) {
            self.hold(reader);
        }
    }

    /// Until the client goes.
    fn hold(&self, mut reader: BufReader<TcpStream>) {
        let _ = reader.get_ref().set_read_timeout(Some(Duration::from_secs(60)));
        let _ = reader.read(&mut [0]);
    }
}
