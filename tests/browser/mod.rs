//! A browser for tests: checks and nominates (ICE, controlling), does the DTLS handshake, talks SRTP; its offer has the shape
//! of Chromium's. Also a telephone that does the handshake without ICE.
//!
//! What it says is a tone with some noise, by one encoder and one decoder a call, as a browser has them. A pure tone goes wrong
//! with Opus, and that is nobody's fault: its predictors stand at the edge of stability then, and a decoder that once had another
//! past than its encoder (packets were lost, or one of the two is new in mid-call) may never find back. Of 30 tones through two
//! pairs of coders after a loss, 3 in 100 were never heard again, some at full scale, and with new coders for each talk 25 in 100
//! in any talk; with these all are, within two seconds.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::srtp::{MasterKey, OVERHEAD_MAX, Profile, SrtpContext};
use callwright::rtp::{Codec, Header, Packet};
use callwright_dsp::codec::{Decoder, Encoder, EncoderSettings};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds};
use sha2::{Digest, Sha256};
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A machine that stands still for a while is no failure.
const LONG: Duration = Duration::from_secs(30);

/// A frame.
const LATE: Duration = Duration::from_millis(20);

/// What it speaks with.
pub struct Mouth {
    encoder: Encoder,
    /// Of the noise (a linear congruential generator).
    noise: u64,
}

impl Mouth {
    pub fn new(codec: Codec) -> Self {
        let encoder = Encoder::new(codec, 8_000, EncoderSettings::default()).expect("the codec opens");
        Self { encoder, noise: 1 }
    }

    /// Frame `slot` of a tone, 23 dB above its noise, as a payload.
    pub fn say(&mut self, hz: f64, slot: u64, payload: &mut [u8]) -> usize {
        let pcm: Vec<i16> = (0..160)
            .map(|n| {
                self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (self.noise >> 40) as f64 / f64::from(1 << 23) - 1.0;
                (8000.0 * (TAU * hz * (slot * 160 + n) as f64 / 8000.0).sin() + 700.0 * noise) as i16
            })
            .collect();
        self.encoder.encode(&pcm, payload).expect("20 ms are encoded")
    }
}

/// What it hears with.
pub struct Ear(Decoder);

impl Ear {
    pub fn new(codec: Codec) -> Self {
        Self(Decoder::new(codec, 8_000).expect("the codec opens"))
    }

    pub fn hear(&mut self, payload: &[u8], heard: &mut Vec<i16>) {
        let mut pcm = [0; 960];
        let samples = self.0.decode(payload, &mut pcm).expect("the payload is of its codec");
        heard.extend(&pcm[..samples]);
    }
}

/// Both directions.
struct Keys {
    out: SrtpContext,
    back: SrtpContext,
}

/// One side of a call.
pub struct Browser {
    pub socket: UdpSocket,
    /// Where it believes to be.
    home: SocketAddr,
    agent: Option<IceAgent>,
    pub creds: IceCreds,
    dtls: Dtls,
    pub fingerprint: String,
    active: bool,
    codec: (Codec, u8),
    mouth: Mouth,
    ear: Ear,
    header: Header,
    keys: Option<Keys>,
    pub remote: Option<SocketAddr>,
    /// The other side has said goodbye.
    pub closed: bool,
    /// Datagrams that looked like media and were not authentic.
    pub foreign: usize,
    /// SHA-256 of the certificate that was shown.
    pub shown: Option<String>,
    due: Option<Instant>,
    /// When audio came, since it was last emptied.
    pub came: Vec<Instant>,
    /// The latest that a packet of ours went out after its time.
    pub stall: Duration,
    /// When packets of ours went out more than [`LATE`] after their time: what is heard then is not the other side's fault.
    pub stalls: Vec<Instant>,
}

fn hex(digest: &[u8]) -> String {
    let mut text = String::new();
    for (n, octet) in digest.iter().enumerate() {
        write!(text, "{}{octet:02X}", if n == 0 { "" } else { ":" }).expect("text grows");
    }
    text
}

impl Browser {
    /// Speaks this codec; `ice`: as browsers do.
    pub fn new(codec: Codec, ice: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let made = rcgen::generate_simple_self_signed(vec!["browser".to_owned()]).expect("a certificate");
        let certificate =
            DtlsCertificate { certificate: made.cert.der().to_vec(), private_key: made.signing_key.serialize_der() };
        let fingerprint = hex(&Sha256::digest(&certificate.certificate));
        let config = Config::builder().flight_start_rto(Duration::from_millis(300)).build().expect("DTLS is set up");
        let dtls = Dtls::new_12(Arc::new(config), certificate, Instant::now());
        let number = match codec {
            Codec::Opus => 111,
            other => other.static_payload_type().expect("a static number"),
        };
        let (creds, home) = (IceCreds::new(), socket.local_addr().expect("bound"));
        let agent = ice.then(|| {
            let mut agent = IceAgent::new(creds.clone());
            agent.set_controlling(true);
            agent.add_local_candidate(Candidate::host(home, "udp").expect("a candidate"));
            agent
        });
        Self {
            socket,
            home,
            agent,
            creds,
            dtls,
            fingerprint,
            active: false,
            codec: (codec, number),
            mouth: Mouth::new(codec),
            ear: Ear::new(codec),
            header: Header {
                ssrc: 0x0bad_cafe,
                sequence: 65_500,
                timestamp: 7,
                payload_type: number,
                ..Header::default()
            },
            keys: None,
            remote: None,
            closed: false,
            foreign: 0,
            shown: None,
            due: None,
            came: Vec::new(),
            stall: Duration::ZERO,
            stalls: Vec::new(),
        }
    }

    /// As Chromium writes it, with a line of video that is to be refused. The codec of this browser comes first.
    pub fn offer(&self) -> String {
        let mut numbers = vec!["111", "63", "9", "0", "8", "13", "110", "126"];
        let ours = self.codec.1.to_string();
        numbers.retain(|n| *n != ours);
        numbers.insert(0, &ours);
        let secure = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n",
            self.creds.ufrag, self.creds.pass, self.fingerprint
        );
        format!(
            "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
             a=msid-semantic: WMS\r\nm=audio 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n{secure}a=mid:0\r\n\
             a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:- 1f0a\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
             a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\na=ssrc:195948286 cname:x\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n{secure}a=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n",
            numbers.join(" ")
        )
    }

    /// As a telephone without ICE writes it (RFC 5763), actively or not.
    pub fn phone_offer(&self, setup: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} UDP/TLS/RTP/SAVP 0 8\r\n\
             a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=rtcp-mux\r\n",
            self.socket.local_addr().expect("bound").port(),
            self.fingerprint
        )
    }

    /// Value of an attribute of the answer.
    pub fn said<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
        answer.lines().find_map(|l| l.strip_prefix(name)).map(str::trim)
    }

    /// Goes by an answer until media is protected. `false`: it never was within `limit`.
    pub fn connect(&mut self, answer: &str, limit: Duration) -> bool {
        self.active = Self::said(answer, "a=setup:") == Some("passive");
        self.dtls.set_active(self.active);
        match &mut self.agent {
            Some(agent) => {
                let ufrag = Self::said(answer, "a=ice-ufrag:").expect("a name").to_owned();
                let pass = Self::said(answer, "a=ice-pwd:").expect("a password").to_owned();
                agent.set_remote_credentials(IceCreds { ufrag, pass });
                for candidate in
                    answer.lines().filter_map(|l| l.strip_prefix("a=")).filter(|l| l.starts_with("candidate:"))
                {
                    agent.add_remote_candidate(Candidate::from_sdp_string(candidate).expect("a candidate"));
                }
            }
            None => {
                let port =
                    Self::said(answer, "m=audio ").and_then(|m| m.split(' ').next()?.parse().ok()).expect("a port");
                self.remote = Some(SocketAddr::from(([127, 0, 0, 1], port)));
            }
        }
        let until = Instant::now() + limit;
        while self.keys.is_none() && !self.closed && Instant::now() < until {
            self.turn(Instant::now() + Duration::from_millis(10), &mut Vec::new());
        }
        self.keys.is_some()
    }

    /// What is between it and the daemon gives it another port, of which it knows nothing.
    pub fn rebind(&mut self) {
        self.socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    }

    /// New names for both, and a new port of ours, as from another network; gives the fragment to send.
    pub fn restart(&mut self) -> String {
        self.creds = IceCreds::new();
        self.rebind();
        self.home = self.socket.local_addr().expect("bound");
        let candidate = Candidate::host(self.home, "udp").expect("a candidate");
        let agent = self.agent.as_mut().expect("a browser");
        agent.ice_restart(self.creds.clone(), false);
        agent.add_local_candidate(candidate);
        format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n",
            self.creds.ufrag, self.creds.pass
        )
    }

    /// Goes by the answer to a restart.
    pub fn restarted(&mut self, fragment: &str) {
        let agent = self.agent.as_mut().expect("a browser");
        let ufrag = Self::said(fragment, "a=ice-ufrag:").expect("a name").to_owned();
        let pass = Self::said(fragment, "a=ice-pwd:").expect("a password").to_owned();
        agent.set_remote_credentials(IceCreds { ufrag, pass });
        for candidate in fragment.lines().filter_map(|l| l.strip_prefix("a=")).filter(|l| l.starts_with("candidate:")) {
            agent.add_remote_candidate(Candidate::from_sdp_string(candidate).expect("a candidate"));
        }
        self.remote = None;
    }

    /// Waits until a pair is nominated.
    pub fn find(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.remote.is_none() && Instant::now() < until {
            self.turn(Instant::now() + Duration::from_millis(10), &mut Vec::new());
        }
        self.remote.is_some()
    }

    /// Keeps everything going until `over` says so. `false`: it never did within `limit`.
    pub fn live_until(&mut self, limit: Duration, mut over: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if over() {
                return true;
            }
            self.turn(Instant::now() + Duration::from_millis(50), &mut Vec::new());
        }
        over()
    }

    /// Keeps everything going until the other side says goodbye.
    pub fn until_closed(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !self.closed && Instant::now() < until {
            self.turn(Instant::now() + Duration::from_millis(20), &mut Vec::new());
        }
        self.closed
    }

    /// Keeps everything going for this long.
    pub fn idle(&mut self, time: Duration) {
        self.turn(Instant::now() + time, &mut Vec::new());
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        self.dtls.close().expect("a handshake was done");
        self.shake();
    }

    /// Sends a tone for this long and gives what is heard meanwhile, at 8 kHz.
    pub fn talk(&mut self, hz: f64, ms: u64) -> Vec<i16> {
        let (begin, mut heard) = (Instant::now(), Vec::new());
        for slot in 0..ms / 20 + 10 {
            let due = begin + Duration::from_millis(slot * 20);
            self.turn(due, &mut heard);
            if slot >= ms / 20 {
                continue;
            }
            let mut datagram = [0; HEADER_LEN + 400 + OVERHEAD_MAX];
            self.header.write(datagram.first_chunk_mut().expect("its length"));
            let len = HEADER_LEN + self.mouth.say(hz, slot, &mut datagram[HEADER_LEN..HEADER_LEN + 400]);
            let keys = self.keys.as_mut().expect("connected");
            let len = keys.out.protect_rtp(&mut datagram, len).expect("there is room");
            let to = self.remote.expect("connected");
            self.socket.send_to(&datagram[..len], to).expect("loopback takes it");
            let late = due.elapsed();
            self.stall = self.stall.max(late);
            if late > LATE {
                self.stalls.push(Instant::now());
            }
            self.header.sequence = self.header.sequence.wrapping_add(1);
            self.header.timestamp = self.header.timestamp.wrapping_add(self.codec.0.rtp_clock() / 50);
        }
        heard
    }

    /// Does what is due, and listens until `until`.
    fn turn(&mut self, until: Instant, heard: &mut Vec<i16>) {
        loop {
            self.check();
            if self.remote.is_some() && self.due.is_none_or(|due| due <= Instant::now()) {
                // An error is told by what does not come.
                let _ = self.dtls.handle_timeout(Instant::now());
                self.shake();
            }
            let left = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(20));
            if left.is_zero() {
                return;
            }
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let mut datagram = [0; 2000];
            let Ok((len, from)) = self.socket.recv_from(&mut datagram) else { continue };
            match datagram[0] {
                0..=3 => self.handle_stun(from, &datagram[..len]),
                20..=63 => {
                    let _ = self.dtls.handle_timeout(Instant::now());
                    let _ = self.dtls.handle_packet(&datagram[..len]);
                    self.shake();
                }
                // RTCP shares the port (RFC 5761).
                _ if (192..=223).contains(&datagram[1]) => {}
                _ => match self.keys.as_mut().map(|keys| keys.back.unprotect_rtp(&mut datagram[..len])) {
                    Some(Ok(len)) => {
                        let packet = Packet::parse(&datagram[..len]).expect("the daemon sends RTP");
                        if packet.header.payload_type == self.codec.1 {
                            self.came.push(Instant::now());
                            self.ear.hear(packet.payload, heard);
                        }
                    }
                    _ => self.foreign += 1,
                },
            }
        }
    }

    fn check(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        agent.handle_timeout(Instant::now());
        while let Some(transmit) = agent.poll_transmit() {
            // A port of the daemon that is closed by now refuses.
            let _ = self.socket.send_to(&transmit.contents, transmit.destination);
        }
        while let Some(event) = agent.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                self.remote = Some(destination);
            }
        }
    }

    fn handle_stun(&mut self, from: SocketAddr, datagram: &[u8]) {
        let Some(agent) = &mut self.agent else { return };
        let message = StunMessage::parse(datagram).expect("the daemon sends STUN");
        let destination = self.home;
        agent
            .handle_packet(Instant::now(), StunPacket { proto: is::Protocol::Udp, source: from, destination, message });
    }

    fn shake(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    if let Some(to) = self.remote {
                        let _ = self.socket.send_to(packet, to);
                    }
                }
                Output::Timeout(at) => {
                    self.due = Some(at);
                    break;
                }
                Output::PeerCert(certificate) => self.shown = Some(hex(&Sha256::digest(certificate))),
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::AesCm128HmacSha1With80,
                    };
                    let (key, salt) = (profile.key_len(), profile.salt_len());
                    let of = |n: usize| {
                        let (key_at, salt_at) = (n * key, 2 * key + n * salt);
                        let (key, salt) = (&material[key_at..key_at + key], &material[salt_at..salt_at + salt]);
                        SrtpContext::with(&MasterKey::new(profile, key, salt).expect("the lengths of the profile"))
                    };
                    let (client, server) = (of(0), of(1));
                    self.keys = Some(match self.active {
                        true => Keys { out: client, back: server },
                        false => Keys { out: server, back: client },
                    });
                }
                Output::CloseNotify => self.closed = true,
                _ => {}
            }
        }
    }
}

/// What HTTP answered.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// A field of its head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request with these header fields.
pub fn ask(to: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = TcpStream::connect_timeout(&to, LONG).expect("the API listens");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let more: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
