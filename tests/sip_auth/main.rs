//! Who is who, in virtual time: `challenge` holds our requests against a peer that asks for a password; `lines` our
//! registrations against a registrar that says exactly what the test writes; `telephones` our registrar against an agent
//! that registers there; `strangers` tells whom we hear.

mod challenge;
mod lines;
mod strangers;
mod telephones;

use std::net::SocketAddr;
use std::time::Duration;

use callwright::sip::agent::{Agent, AgentConfig, LegId, Placement, RandomSource, SipEvent};
use callwright::sip::auth::{Login, Password};
use callwright::sip::hop::Hop;
use callwright::time::Tick;

const US: &str = "10.0.0.1:5060";
const PEER: &str = "10.0.0.9:5060";
const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn random(mut seed: u64) -> RandomSource {
    Box::new(move |octets| {
        for octet in octets {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *octet = (seed >> 56) as u8;
        }
    })
}

fn agent(address: &str, seed: u64) -> Agent {
    Agent::new(AgentConfig::new(address.parse().unwrap(), random(seed)))
}

fn login(username: &str, password: &str) -> Login {
    Login { username: username.to_owned(), password: Password::new(password), realm: None }
}

fn hop(address: &str) -> Hop {
    Hop::udp(address.parse().unwrap())
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().take_while(|l| !l.is_empty()).find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
}

fn headers<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let lines = message.lines().take_while(|l| !l.is_empty());
    lines.filter_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// A parameter of a Digest value.
fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let items = value.strip_prefix("Digest ")?.split(", ");
    items.filter_map(|i| i.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v.trim_matches('"'))
}

fn branch(message: &str) -> &str {
    let via = header(message, "Via").unwrap();
    via.split_once("branch=").unwrap().1.split(';').next().unwrap()
}

/// The response of a peer to a request of ours.
fn response(request: &str, code: u16, more: &str) -> String {
    let to = header(request, "To").unwrap();
    let tag = if to.contains(";tag=") { "" } else { ";tag=peer" };
    format!(
        "SIP/2.0 {code} Text\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        header(request, "Via").unwrap(),
        header(request, "From").unwrap(),
        header(request, "Call-ID").unwrap(),
        header(request, "CSeq").unwrap(),
    )
}

/// As [`response`] with a description.
fn answer(request: &str, contact: &str) -> String {
    let sdp = String::from_utf8_lossy(SDP).into_owned();
    let more = format!("Contact: <{contact}>\r\nContent-Type: application/sdp\r\n");
    response(request, 200, &more).replace("Content-Length: 0", &format!("Content-Length: {}", sdp.len())) + &sdp
}

/// One agent of ours, and a peer that says exactly what the test writes.
struct Scene {
    agent: Agent,
    now: Tick,
}

impl Scene {
    fn new() -> Self {
        Self { agent: agent(US, 7), now: Tick(1_000_000_000) }
    }

    /// With an account that knows its password.
    fn with_account() -> Self {
        let mut scene = Self::new();
        scene.agent.set_account("pbx", Some(login("auth-me", "s3cret")), vec![]);
        scene
    }

    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.agent.poll_transmit()).map(|t| String::from_utf8(t.bytes).unwrap()).collect()
    }

    fn one(&mut self) -> String {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.remove(0)
    }

    /// The peer says something; gives what we say to it.
    fn hear(&mut self, message: &str) -> Vec<String> {
        self.hear_from(PEER, message)
    }

    fn hear_from(&mut self, source: &str, message: &str) -> Vec<String> {
        self.agent.handle_datagram(self.now, source.parse::<SocketAddr>().unwrap(), message.as_bytes());
        self.sent()
    }

    fn pass(&mut self, span: Duration) -> Vec<String> {
        let end = self.now + span;
        while let Some(due) = self.agent.poll_timeout().filter(|d| *d <= end) {
            self.now = self.now.max(due);
            self.agent.handle_timeout(self.now);
        }
        self.now = end;
        self.sent()
    }

    fn events(&mut self) -> Vec<SipEvent> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    /// Calls the peer with the account.
    fn call(&mut self) -> (LegId, String) {
        let placement = Placement {
            account: Some("pbx".into()),
            ..Placement::new("sip:bob@pbx.example", hop(PEER), "<sip:100@pbx.example>", SDP.to_vec())
        };
        let leg = self.agent.place(self.now, &placement).unwrap();
        (leg, self.one())
    }
}
