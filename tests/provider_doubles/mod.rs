//! Doubles of speech providers: HTTP/1.1 and WebSocket servers on the loopback that say what the providers' public
//! documents say. Every fixture cites its document. Nothing here knows how our side is written.
//!
//! | file | double of |
//! |---|---|
//! | `deepgram` | streaming recognition and speech |
//! | `openai` | transcriptions and speech |
//! | `elevenlabs` | speech with timestamps |

pub(crate) mod deepgram;
pub(crate) mod elevenlabs;
pub(crate) mod openai;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Vec<String> {
        let url = reqwest::Url::parse(&format!("http://localhost{}", self.target)).unwrap();
        url.query_pairs().filter(|(other, _)| other == name).map(|(_, value)| value.into_owned()).collect()
    }
}

/// One request and the connection to answer it on.
pub(crate) struct Exchange {
    pub(crate) request: Seen,
    /// Requests before this one, on any connection.
    pub(crate) before: usize,
    pub(crate) stream: TcpStream,
}

impl Exchange {
    /// A whole answer. Errors mean that the client is gone, which is its right.
    pub(crate) fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let _ = self.stream.write_all(head.as_bytes()).and_then(|()| self.stream.write_all(body));
    }

    /// The head of an answer that comes in pieces (RFC 9112 section 7.1).
    pub(crate) fn begin(&mut self, kind: &str) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        let _ = self.stream.write_all(head.as_bytes());
    }

    /// A piece; false when the client is gone.
    pub(crate) fn piece(&mut self, octets: &[u8]) -> bool {
        let head = format!("{:x}\r\n", octets.len());
        let mut all = head.into_bytes();
        all.extend_from_slice(octets);
        all.extend_from_slice(b"\r\n");
        self.stream.write_all(&all).is_ok()
    }

    pub(crate) fn end(&mut self) {
        let _ = self.stream.write_all(b"0\r\n\r\n");
    }

    /// Says nothing until the client goes.
    pub(crate) fn wait_for_the_end(&mut self) {
        let mut octets = [0; 4096];
        while matches!(self.stream.read(&mut octets), Ok(read) if read > 0) {}
    }

    /// Becomes a WebSocket (RFC 6455 section 4.2.2).
    pub(crate) fn upgrade(self) -> WebSocket<TcpStream> {
        let key = self.request.header("sec-websocket-key").expect("a WebSocket handshake").to_owned();
        let accept = derive_accept_key(key.as_bytes());
        let mut stream = self.stream;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        WebSocket::from_raw_socket(stream, Role::Server, None)
    }
}

/// A running server.
pub(crate) struct Double {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Double {
    /// Serves every request by `serve`, each connection on a thread.
    pub(crate) fn start(serve: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (all, over, serve) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new(serve));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let (all, serve) = (Arc::clone(&all), Arc::clone(&serve));
                std::thread::spawn(move || converse(stream.unwrap(), &all, &*serve));
            }
        });
        Self { address, seen, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Serves one connection as long as the client keeps it.
fn converse(stream: TcpStream, all: &Mutex<Vec<Seen>>, serve: &dyn Fn(Exchange)) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    while let Some(request) = read_request(&stream) {
        let before = {
            let mut all = all.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let upgrades = request.header("upgrade").is_some();
        serve(Exchange { request, before, stream: stream.try_clone().unwrap() });
        if upgrades {
            return;
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    // Nothing follows a request before it is answered, so nothing is lost with the reader.
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, target, headers, body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |value| value.parse().unwrap());
    seen.body.resize(length, 0);
    reader.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

/// A tone, 16 bit little endian: what a voice of a provider sounds like here.
pub(crate) fn tone(samples: usize) -> Vec<u8> {
    (0..samples).flat_map(|n| (((n as f64 * 0.3).sin() * 8000.0) as i16).to_le_bytes()).collect()
}
