//! Twilio as its documentation has it: webhooks that are signed, and media streams that play what they are sent in real time,
//! send marks back when everything before them has been played, and all of them at once upon `clear`.
//!
//! Messages: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>; the signature:
//! <https://www.twilio.com/docs/usage/security>; the fields of a webhook: <https://www.twilio.com/docs/voice/twiml>.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this file")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callwright::config::Secret;
use callwright::twilio::signature::sign;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Where the double knows the daemon: a proxy's name, as in life.
pub const PUBLIC: &str = "https://phone.example.com";

/// An account that calls the daemon at `http`.
#[derive(Clone, Copy)]
pub struct Twilio {
    pub http: SocketAddr,
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut out, octet| {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(octet)),
                other => out.push_str(&format!("%{other:02X}")),
            }
            out
        })
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

pub fn signed(url: &str, fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    sign(&Secret::from(TOKEN.to_owned()), url, &fields)
}

impl Twilio {
    /// POSTs a form with this signature; status and body.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)], signature: &str) -> (u16, String) {
        let body = form(fields);
        let mut stream = TcpStream::connect(self.http).await.expect("the daemon listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: phone.example.com\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
    }

    /// The webhook of a call that comes in; the TwiML.
    pub async fn offer(&self, call: &str, to: &str) -> String {
        let fields = [
            ("CallSid", call),
            ("AccountSid", ACCOUNT),
            ("From", "+15551230001"),
            ("To", to),
            ("CallStatus", "ringing"),
            ("ApiVersion", "2010-04-01"),
            ("Direction", "inbound"),
            ("CallerName", "Ann <O'Neill>"),
        ];
        let (status, body) = self.post("/incoming", &fields, &signed(&format!("{PUBLIC}/incoming"), &fields)).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Opens the socket, or says with which status it was refused.
    pub async fn socket(&self, signature: &str) -> Result<WebSocketStream<TcpStream>, u16> {
        let mut request = format!("ws://{}/media", self.http).into_client_request().expect("an address");
        request.headers_mut().insert("host", "phone.example.com".parse().expect("a name"));
        request.headers_mut().insert("x-twilio-signature", signature.parse().expect("a signature"));
        let connection = TcpStream::connect(self.http).await.expect("the daemon listens");
        // Or a message waits until the one before it has been acknowledged, which takes 40 ms where nothing goes back.
        connection.set_nodelay(true).expect("it is open");
        match client_async(request, connection).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A whole call that is connected: webhook, socket, connected, start.
    pub async fn call(&self, call: &str, to: &str) -> Stream {
        let document = self.offer(call, to).await;
        self.connect(call, &document).await
    }

    /// Does what the TwiML says.
    pub async fn connect(&self, call: &str, document: &str) -> Stream {
        let value = |name: &str| document.split(&format!("{name}=\"")).nth(1).and_then(|t| t.split('"').next());
        let url = value("url").expect("a stream");
        assert_eq!(url, "wss://phone.example.com/media", "{document}");
        let token = value("value").expect("a token").to_owned();
        let socket = self.socket(&signed(url, &[])).await.expect("the socket is taken");
        let mut stream = Stream::new(socket, call);
        stream.start(&token).await;
        stream
    }
}

/// The token that TwiML bears.
pub fn token(document: &str) -> &str {
    document.split("value=\"").nth(1).and_then(|t| t.split('"').next()).expect("a token")
}

/// One stream, and what has been heard of it.
pub struct Stream {
    pub socket: WebSocketStream<TcpStream>,
    pub call: String,
    pub stream: String,
    sequence: u64,
    chunk: u64,
    /// When what has come will have been played.
    until: Instant,
    /// Marks, and when they are due back.
    marks: VecDeque<(Instant, String)>,
    /// Audio as it came.
    pub audio: Vec<u8>,
    /// Events as they came, `media` apart.
    pub events: Vec<String>,
    /// Marks sent back.
    pub returned: usize,
    /// The most audio that ever lay here unplayed.
    pub deepest: Duration,
    /// When audio last came.
    spoken: Instant,
    /// When each piece of it did.
    pub came: Vec<Instant>,
    /// The latest that a piece of ours went out after its time.
    pub stall: Duration,
    /// When frames went out more than their own length after their time: what is heard then is not the daemon's fault.
    pub stalls: Vec<Instant>,
    pub closed: bool,
}

impl Stream {
    pub fn new(socket: WebSocketStream<TcpStream>, call: &str) -> Self {
        Self {
            socket,
            call: call.to_owned(),
            stream: call.replace("CA", "MZ"),
            sequence: 0,
            chunk: 0,
            until: Instant::now(),
            marks: VecDeque::new(),
            audio: Vec::new(),
            events: Vec::new(),
            returned: 0,
            deepest: Duration::ZERO,
            spoken: Instant::now(),
            came: Vec::new(),
            stall: Duration::ZERO,
            stalls: Vec::new(),
            closed: false,
        }
    }

    pub async fn start(&mut self, token: &str) {
        self.send(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
        let start = json!({
            "accountSid": ACCOUNT, "streamSid": self.stream, "callSid": self.call, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token}
        });
        self.numbered(json!({"event": "start", "start": start})).await;
    }

    pub async fn send(&mut self, message: Value) {
        self.text(message.to_string()).await;
    }

    pub async fn text(&mut self, text: String) {
        // A socket that was closed meanwhile shows when it is read.
        let _ = self.socket.send(Message::text(text)).await;
    }

    async fn numbered(&mut self, mut message: Value) {
        self.sequence += 1;
        message["sequenceNumber"] = self.sequence.to_string().into();
        message["streamSid"] = self.stream.clone().into();
        self.send(message).await;
    }

    /// One piece of audio under this number.
    pub async fn piece(&mut self, chunk: u64, payload: &[u8]) {
        let media = json!({
            "track": "inbound", "chunk": chunk.to_string(), "timestamp": (chunk * 20).to_string(),
            "payload": STANDARD.encode(payload)
        });
        self.numbered(json!({"event": "media", "media": media})).await;
    }

    pub async fn press(&mut self, key: char) {
        let dtmf = json!({"track": "inbound_track", "digit": key.to_string()});
        self.numbered(json!({"event": "dtmf", "dtmf": dtmf})).await;
    }

    pub async fn stop(&mut self) {
        let stop = json!({"accountSid": ACCOUNT, "callSid": self.call});
        self.numbered(json!({"event": "stop", "stop": stop})).await;
    }

    /// Speaks these frames, one each `every`, then silence in real time, and hears until `enough` or the patience is over.
    /// True when it was enough.
    pub async fn talk(
        &mut self,
        frames: impl IntoIterator<Item = Vec<u8>>,
        every: Duration,
        patience: Duration,
        mut enough: impl FnMut(&Self) -> bool,
    ) -> bool {
        let mut frames = frames.into_iter();
        let latest = Instant::now() + patience;
        let mut due = Instant::now();
        loop {
            if enough(self) {
                return true;
            }
            if Instant::now() >= latest || self.closed {
                return false;
            }
            let next = self.marks.front().map_or(due, |(at, _)| due.min(*at)).min(latest);
            match timeout_at(next, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => self.hear(&text).await,
                Ok(Some(Ok(Message::Close(_))) | Some(Err(_)) | None) => self.closed = true,
                Ok(Some(Ok(_))) => {}
                Err(_) => {}
            }
            let now = Instant::now();
            self.give_back(now).await;
            if now >= due {
                self.stall = self.stall.max(now - due);
                if now - due > Duration::from_millis(20) {
                    self.stalls.push(now);
                }
                let (frame, step) = match frames.next() {
                    Some(frame) => (frame, every),
                    None => (vec![0xff; 160], Duration::from_millis(20)),
                };
                self.chunk += 1;
                self.piece(self.chunk, &frame).await;
                due += step;
            }
        }
    }

    async fn give_back(&mut self, now: Instant) {
        while self.marks.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, name)) = self.marks.pop_front() else { return };
            self.returned += 1;
            self.numbered(json!({"event": "mark", "mark": {"name": name}})).await;
        }
    }

    async fn hear(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(message["streamSid"], self.stream.as_str(), "{text}");
        let now = Instant::now();
        match message["event"].as_str().expect("an event") {
            "media" => {
                let payload = STANDARD.decode(message["media"]["payload"].as_str().expect("audio")).expect("base64");
                self.until =
                    self.until.max(now) + Duration::from_micros(125) * u32::try_from(payload.len()).expect("short");
                self.deepest = self.deepest.max(self.until - now);
                self.audio.extend(payload);
                self.spoken = now;
                self.came.push(now);
            }
            "mark" => {
                let name = message["mark"]["name"].as_str().expect("a name").to_owned();
                self.marks.push_back((self.until.max(now), name));
                self.events.push("mark".to_owned());
            }
            "clear" => {
                self.events.push("clear".to_owned());
                self.until = now;
                self.marks.iter_mut().for_each(|(at, _)| *at = now);
            }
            other => panic!("{other} is no message that Twilio takes"),
        }
    }

    /// How long nothing has been said.
    pub fn quiet(&self) -> Duration {
        self.spoken.elapsed()
    }

    pub fn cleared(&self) -> usize {
        self.events.iter().filter(|event| *event == "clear").count()
    }
}

/// The REST API of the account (<https://www.twilio.com/docs/voice/api/call-resource>): hands over what it is asked, each with
/// path and fields, and answers as documented.
pub struct Rest {
    pub base: String,
    asked: tokio::sync::mpsc::Receiver<(String, Vec<(String, String)>)>,
}

impl Rest {
    /// Each call that is placed gets the next of these SIDs.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let (tell, asked) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let mut placed = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut octets, mut piece) = (Vec::new(), [0; 8192]);
                let (head, body) = loop {
                    let n = stream.read(&mut piece).await.expect("a request");
                    octets.extend_from_slice(&piece[..n]);
                    let text = String::from_utf8_lossy(&octets).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let head = head.to_ascii_lowercase();
                        let length = head.split("content-length: ").nth(1).and_then(|t| t.lines().next()?.parse().ok());
                        if n == 0 || body.len() >= length.unwrap_or(0) {
                            break (head, body.to_owned());
                        }
                    }
                };
                let credentials = STANDARD.encode(format!("{ACCOUNT}:{TOKEN}")).to_ascii_lowercase();
                assert!(head.contains(&format!("authorization: basic {credentials}")), "{head}");
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = if path.ends_with("/calls.json") {
                    placed += 1;
                    format!(
                        "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 30\r\n\r\n{{\"sid\":\"CA90{placed}\",\"x\":12345}}"
                    )
                } else {
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}".to_owned()
                };
                let answer = answer.replace(
                    "Content-Length: 30",
                    &format!("Content-Length: {}", answer.split_once("\r\n\r\n").map_or(0, |(_, b)| b.len())),
                );
                let fields = callwright::twilio::signature::fields(body.as_bytes(), 64).expect("a form");
                // Before the answer: webhooks may well come first.
                let _ = tell.send((path, fields)).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { base, asked }
    }

    /// The next request: its path in small letters, and its fields.
    pub async fn asked(&mut self) -> (String, Vec<(String, String)>) {
        let next = tokio::time::timeout(Duration::from_secs(60), self.asked.recv());
        next.await.expect("a request within a minute").expect("the double runs")
    }
}

/// The field of a form.
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str())
}

/// Waits, and nothing else.
pub async fn pause(time: Duration) {
    sleep_until(Instant::now() + time).await;
}
