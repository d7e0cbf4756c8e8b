//! A phone for tests: one UDP socket that speaks RTP, and the plane's side of a call to it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this file")]

use callwright::id::{CallId, Generation, UtteranceId};
use callwright::media::recorder::Recorder;
use callwright::media::{
    MediaCommand, MediaConfig, MediaEvent, MediaEvents, MediaPlane, OutFrame, Role, SessionPlan, SpeechEnds, prepare,
};
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Codec, Format, Formats, Header, Packet};
use callwright::telemetry::Marks;
use callwright::time::Wallclock;
use callwright_dsp::codec::{Encoder, EncoderSettings};
use callwright_dsp::tone::Tone;
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

    /// A plane that was started otherwise.
    pub fn over(plane: MediaPlane, events: MediaEvents) -> Self {
        Self { plane, events, marks: Arc::new(Marks::new()), recorder: None, waiting: Vec::new() }
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
        let formats = Formats::of(Format::PCMU).with_events(EVENTS);
        self.open_plan(SessionPlan { remote, ..SessionPlan::new(CallId(call), socket, formats, role) })
    }

    pub fn open_plan(&mut self, plan: SessionPlan) -> (SocketAddr, Option<SpeechEnds>) {
        let local = plan.socket.local_addr().unwrap();
        let recording = self.recorder.as_ref().map(|r| r.open(plan.call, Wallclock(0)).unwrap().0);
        let plan = SessionPlan { recording: recording.or(plan.recording), ..plan };
        let (session, ends) = prepare(plan).unwrap();
        self.order(MediaCommand::Open(session));
        self.expect("Opened", |e| matches!(e, MediaEvent::Opened { .. }));
        (local, ends)
    }

    /// A leg of a bridge: `phone` talks to it, in `formats`.
    pub fn open_leg(&mut self, call: u64, partner: u64, phone: &Phone, formats: Formats, rate: u32) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let role = Role::Bridge { partner: CallId(partner) };
        let plan = SessionPlan::new(CallId(call), socket, formats, role);
        self.open_plan(SessionPlan { remote: Some(phone.address()), rate, ..plan }).0
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

/// One tone in one codec, packet by packet.
pub struct Talker {
    encoder: Encoder,
    tone: Tone,
    payload_type: u8,
}

impl Talker {
    pub fn new(format: Format, hz: f64) -> Self {
        let rate = format.codec.audio_rate();
        let encoder = Encoder::new(format.codec, rate, EncoderSettings { fec: true, ..EncoderSettings::default() });
        Self { encoder: encoder.unwrap(), tone: Tone::new(hz, rate, -10.0), payload_type: format.payload_type }
    }

    /// Says the next 20 ms of it.
    pub fn send(&mut self, phone: &mut Phone, to: SocketAddr) {
        let payload = self.payload();
        phone.header.payload_type = self.payload_type;
        phone.send_as(to, phone.header, &payload);
        self.skip(phone);
    }

    /// The next 20 ms are lost on the way.
    pub fn skip(&mut self, phone: &mut Phone) {
        phone.header.sequence = phone.header.sequence.wrapping_add(1);
        let units = self.encoder.codec().rtp_clock() / 50;
        phone.header.timestamp = phone.header.timestamp.wrapping_add(units);
    }

    pub fn payload(&mut self) -> Vec<u8> {
        let mut pcm = vec![0; self.encoder.rate() as usize / 50];
        self.tone.fill(&mut pcm);
        let mut payload = vec![0; 900];
        let len = self.encoder.encode(&pcm, &mut payload).unwrap();
        payload.truncate(len);
        payload
    }
}

/// Level of one frequency (Goertzel), dB relative to a full-scale sine.
pub fn level_at(pcm: &[i16], hz: f64, rate: u32) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    20.0 * (f64::hypot(re, im) * 2.0 / pcm.len() as f64 / 32_767.0).log10()
}

pub const OPUS: Format = Format { payload_type: 111, codec: Codec::Opus };
pub const L16: Format = Format { payload_type: 96, codec: Codec::L16At8k };
pub const L16_WIDE: Format = Format { payload_type: 97, codec: Codec::L16At16k };
pub const ALL: [Format; 6] = [Format::PCMU, Format::PCMA, Format::G722, OPUS, L16, L16_WIDE];
