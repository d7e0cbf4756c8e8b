//! A phone for tests: one UDP socket that speaks RTP, and the plane's side of a call to it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this file")]

use callwright::id::{CallId, Generation, UtteranceId};
use callwright::media::recorder::Recorder;
use callwright::media::{
    MediaCommand, MediaConfig, MediaEvent, MediaEvents, MediaPlane, OutFrame, Role, SessionPlan, SpeechEnds, prepare,
};
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Header, Packet, Payload};
use callwright::telemetry::Marks;
use callwright::time::Wallclock;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const EVENTS: u8 = 101;

pub struct Phone {
    pub socket: UdpSocket,
    pub header: Header,
}

impl Phone {
    pub fn new(ssrc: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Self { socket, header: Header { ssrc, sequence: 60_000, timestamp: 4_294_900_000, ..Header::default() } }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// One packet of audio, next in sequence.
    pub fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        self.send_as(to, self.header, payload);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(payload.len() as u32);
    }

    pub fn send_as(&self, to: SocketAddr, header: Header, payload: &[u8]) {
        let mut datagram = [0; HEADER_LEN + 1000];
        header.write((&mut datagram[..HEADER_LEN]).try_into().unwrap());
        datagram[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
        self.socket.send_to(&datagram[..HEADER_LEN + payload.len()], to).unwrap();
    }

    /// The next packet, or `None` after half a second.
    pub fn receive(&self) -> Option<(Header, Vec<u8>)> {
        let mut datagram = [0; 1500];
        let len = self.socket.recv(&mut datagram).ok()?;
        let packet = Packet::parse(&datagram[..len]).expect("the daemon sends RTP");
        Some((packet.header, packet.payload.to_vec()))
    }

    /// All packets that come until then.
    pub fn receive_until(&self, until: Instant) -> Vec<(Header, Vec<u8>)> {
        let mut packets = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            self.socket.set_read_timeout(Some(left)).unwrap();
            packets.extend(self.receive());
        }
        self.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        packets
    }
}

pub struct Plane {
    pub plane: MediaPlane,
    pub events: MediaEvents,
    pub marks: Arc<Marks>,
    /// Set, every call is recorded.
    pub recorder: Option<Recorder>,
    waiting: Vec<MediaEvent>,
}

impl Plane {
    pub fn start() -> Self {
        let marks = Arc::new(Marks::new());
        let config = MediaConfig { lock_memory: false, calls_per_worker: 8, ..MediaConfig::default() };
        let mut plane = MediaPlane::start(&config, Arc::clone(&marks)).unwrap();
        let events = plane.take_events().unwrap();
        Self { plane, events, marks, recorder: None, waiting: Vec::new() }
    }

    pub fn open(&mut self, call: u64, remote: Option<SocketAddr>, role: Role) -> (SocketAddr, Option<SpeechEnds>) {
        self.open_on(UdpSocket::bind("127.0.0.1:0").unwrap(), call, remote, role)
    }

    pub fn open_on(
        &mut self,
        socket: UdpSocket,
        call: u64,
        remote: Option<SocketAddr>,
        role: Role,
    ) -> (SocketAddr, Option<SpeechEnds>) {
        let local = socket.local_addr().unwrap();
        let plan = SessionPlan {
            call: CallId(call),
            socket,
            remote,
            payload: Payload::Pcmu,
            telephone_event: Some(EVENTS),
            role,
            held: false,
            learn_source: true,
            recording: self.recorder.as_ref().map(|r| r.open(CallId(call), Wallclock(0)).unwrap().0),
        };
        let (session, ends) = prepare(plan).unwrap();
        self.order(MediaCommand::Open(session));
        self.expect("Opened", |e| matches!(e, MediaEvent::Opened { .. }));
        (local, ends)
    }

    pub fn order(&self, order: MediaCommand) {
        self.plane.send(order).expect("room for an order");
    }

    pub fn close(&mut self, call: u64) -> MediaEvent {
        self.order(MediaCommand::Close { call: CallId(call) });
        self.expect("Closed", |e| matches!(e, MediaEvent::Closed { call: c, .. } if c.0 == call))
    }

    /// Waits up to 5 s for a report; those before it are kept.
    pub fn expect(&mut self, what: &str, wanted: impl Fn(&MediaEvent) -> bool) -> MediaEvent {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(place) = self.waiting.iter().position(&wanted) {
                return self.waiting.remove(place);
            }
            assert!(Instant::now() < until, "no {what} within 5 s; there are {:?}", self.waiting);
            let _ = self.events.wait(100);
            self.events.drain(&mut |e| self.waiting.push(e));
        }
    }

    pub fn take_all(&mut self) -> Vec<MediaEvent> {
        self.events.drain(&mut |e| self.waiting.push(e));
        std::mem::take(&mut self.waiting)
    }
}

/// One loud frame.
pub fn frame(generation: u32, utterance: u32, end: bool) -> OutFrame {
    OutFrame { generation: Generation(generation), utterance: UtteranceId(utterance), end, len: 160, pcm: [8000; 160] }
}

/// A payload that tells which packet it was.
pub fn voice(n: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| if i % 2 == 0 { 0x10 } else { 0x90 } | (n % 16) as u8).collect()
}

pub fn is_audible(payload: &[u8]) -> bool {
    payload.iter().any(|o| *o != 0xff)
}
