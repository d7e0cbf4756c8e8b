//! A minimal phone that says exactly what a test wants.

use super::Daemon;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A minimal phone that says exactly what a test wants.
pub struct Phone {
    /// Signalling.
    pub socket: UdpSocket,
    /// Where the daemon hears SIP.
    pub daemon: SocketAddr,
    /// Media.
    pub rtp: UdpSocket,
}

impl Phone {
    pub fn new(daemon: &Daemon) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        let socket = bind();
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let rtp = bind();
        rtp.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        Self { socket, daemon: daemon.sip, rtp }
    }

    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.daemon).expect("loopback takes it");
    }

    /// The next response whose status is at least `from`.
    pub fn answer(&self, from: u16) -> Option<(u16, String)> {
        let mut buffer = [0; 4096];
        loop {
            let n = self.socket.recv(&mut buffer).ok()?;
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            let status = text.strip_prefix("SIP/2.0 ").and_then(|t| t.get(..3)).and_then(|s| s.parse().ok());
            if let Some(status) = status.filter(|s| *s >= from) {
                return Some((status, text));
            }
        }
    }

    pub fn message(&self, method: &str, user: &str, call: &str, cseq: u32, to_tag: &str, body: &str) -> String {
        let me = self.socket.local_addr().expect("bound");
        let of = if method == "ACK" { "INVITE" } else { method };
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        format!(
            "{method} sip:{user}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{of}{call}{cseq}{method};rport\r\nMax-Forwards: 70\r\nFrom: <sip:t@{me}>;tag=f{call}\r\nTo: <sip:{user}@{}>{tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nContact: <sip:t@{me}>\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.daemon,
            self.daemon,
            if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            body.len()
        )
    }

    pub fn sdp(&self) -> String {
        let port = self.rtp.local_addr().expect("bound").port();
        format!(
            "v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
    }

    /// INVITE and ACK; returns the status, the To tag and the daemon's RTP port.
    pub fn call(&self, user: &str, call: &str) -> (u16, String, u16) {
        self.send(self.message("INVITE", user, call, 1, "", &self.sdp()).as_bytes());
        let (status, text) = self.answer(200).expect("a final response");
        let tag = text
            .lines()
            .find(|l| l.to_ascii_lowercase().starts_with("to:"))
            .and_then(|l| l.split_once("tag="))
            .map_or(String::new(), |(_, t)| t.trim().to_owned());
        let port = text
            .lines()
            .find_map(|l| l.strip_prefix("m=audio "))
            .and_then(|l| l.split(' ').next()?.parse().ok())
            .unwrap_or(0);
        if status == 200 {
            self.send(self.message("ACK", user, call, 1, &tag, "").as_bytes());
        }
        (status, tag, port)
    }

    pub fn bye(&self, user: &str, call: &str, tag: &str) {
        self.send(self.message("BYE", user, call, 2, tag, "").as_bytes());
        assert_eq!(self.answer(200).map(|a| a.0), Some(200), "BYE is answered");
    }

    pub fn options_work(&self) {
        self.send(self.message("OPTIONS", "echo", "opt", 1, "", "").as_bytes());
        assert_eq!(self.answer(200).map(|a| a.0), Some(200), "OPTIONS is answered");
    }
}
