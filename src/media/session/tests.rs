//! One call's chain in virtual time: packets in, frames, packets and reports out.

mod bridge;
mod codecs;
mod control;
mod drift;
mod ducking;
mod echo;
mod inbound;
mod keys;
mod playout;
mod secure;
mod source;

use super::*;
use crate::id::UtteranceId;
use crate::limits::FRAME_SAMPLES;
use crate::media::frame::{InFrame, InboundConsumer, OutFrame, OutboundProducer};
use crate::media::pass::{Outbox, Reports};
use crate::media::plan::{Role, SessionPlan};
use crate::rtp::Header;
use crate::rtp::format::OpusWishes;
use crate::rtp::header::HEADER_LEN;
use crate::telemetry::Marks;
use crate::time::MediaTime;
use callwright_dsp::codec::{Decoder, Encoder, EncoderSettings, g711};
use callwright_dsp::tone::Tone;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapRb};
use std::net::UdpSocket;

const EVENTS: u8 = 101;
const START: Tick = Tick(1_000_000_000_000);

fn ms(n: u64) -> Tick {
    START + Duration::from_millis(n)
}

fn phone() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

/// A chain with everything around it that the worker would be.
struct Rig {
    session: Session,
    marks: Marks,
    reports: Reports,
    events: HeapCons<MediaEvent>,
    outbox: Outbox,
    woken: bool,
    inbound: Option<InboundConsumer>,
    outbound: Option<OutboundProducer>,
    now: Tick,
    /// What left: time, header, payload.
    sent: Vec<(Tick, Header, Vec<u8>)>,
    /// The same datagrams whole, as they are on the wire; headers cannot be told where they are protected.
    raw: Vec<Vec<u8>>,
    /// RTCP that left: time, address, datagram.
    control: Vec<(Tick, SocketAddr, Vec<u8>)>,
    /// Our SSRC, once something was sent.
    session_ssrc: Option<u32>,
    heard: Vec<InFrame>,
}

impl Rig {
    fn new(role: Role) -> Self {
        Self::with(role, |_| {})
    }

    fn with(role: Role, change: impl FnOnce(&mut SessionPlan)) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let formats = Formats::of(Format::PCMU).with_events(EVENTS);
        let mut plan = SessionPlan { remote: Some(phone()), ..SessionPlan::new(CallId(1), socket, formats, role) };
        change(&mut plan);
        let (mut prepared, ends) = crate::media::prepare(plan).unwrap();
        prepared.session.handle_opened(START, ms(20));
        let (inbound, outbound) = ends.map(|e| (e.inbound, e.outbound)).unzip();
        let (events_in, events) = HeapRb::new(1024).split();
        Self {
            session: prepared.session,
            marks: Marks::new(),
            reports: Reports::new(events_in),
            events,
            outbox: Outbox::new(),
            woken: false,
            inbound,
            outbound,
            now: START,
            sent: Vec::new(),
            raw: Vec::new(),
            control: Vec::new(),
            session_ssrc: None,
            heard: Vec::new(),
        }
    }

    fn pass<R>(&mut self, now: Tick, work: impl FnOnce(&mut Session, &mut Pass<'_>) -> R) -> R {
        self.now = now;
        let mut pass = Pass {
            now,
            marks: &self.marks,
            reports: &mut self.reports,
            outbox: &mut self.outbox,
            wake_speech: &mut self.woken,
            complexity: 5,
        };
        let result = work(&mut self.session, &mut pass);
        if let Some((to, packet)) = pass.outbox.take_control() {
            self.control.push((now, to, packet.octets().to_vec()));
        }
        self.session.handle_sending(pass.outbox, &self.marks);
        for packet in pass.outbox.packets() {
            self.raw.push(packet.octets().to_vec());
            let parsed = Packet::parse(packet.octets()).unwrap();
            self.session_ssrc = Some(parsed.header.ssrc);
            self.sent.push((now, parsed.header, parsed.payload.to_vec()));
        }
        if !pass.outbox.is_empty() {
            let count = pass.outbox.packets().len();
            self.session.handle_sent(&mut pass, now, count);
        }
        self.outbox.clear();
        if let Some(ring) = &mut self.inbound {
            self.heard.extend(std::iter::from_fn(|| ring.try_pop()));
        }
        result
    }

    /// Lets time pass to `until`, serving whatever is due on the way.
    fn run(&mut self, until: Tick) {
        while self.session.poll_timeout() <= until {
            let due = self.session.poll_timeout().max(self.now);
            self.pass(due, |session, pass| session.handle_timeout(pass));
        }
        self.now = until;
    }

    fn packet(&mut self, at: Tick, sequence: u16, timestamp: u32, payload: &[u8]) -> bool {
        self.packet_from(phone(), at, Header { sequence, timestamp, ssrc: 7, ..Header::default() }, payload)
    }

    fn packet_from(&mut self, from: SocketAddr, at: Tick, header: Header, payload: &[u8]) -> bool {
        self.run(at);
        let mut datagram = vec![0; HEADER_LEN];
        header.write((&mut datagram[..]).try_into().unwrap());
        datagram.extend_from_slice(payload);
        self.pass(at, |session, pass| matches!(session.handle_datagram(pass, from, at, &mut datagram), Heard::Readable))
    }

    fn events(&mut self) -> Vec<MediaEvent> {
        std::iter::from_fn(|| self.events.try_pop()).collect()
    }

    fn say(&mut self, generation: u32, utterance: u32, frames: usize) {
        for n in 1..=frames {
            let frame = OutFrame {
                generation: Generation(generation),
                utterance: UtteranceId(utterance),
                end: n == frames,
                len: FRAME_SAMPLES as u16,
                pcm: [8000; FRAME_SAMPLES],
            };
            self.outbound.as_mut().unwrap().try_push(frame).expect("room in the ring");
        }
    }

    fn audible(&self) -> usize {
        self.sent.iter().filter(|(_, _, payload)| payload.iter().any(|o| *o != 0xff)).count()
    }

    /// Audio time has no hole and no step back.
    fn check_continuous(&self) {
        let mut at = MediaTime(0);
        for frame in &self.heard {
            assert_eq!(frame.at, at);
            assert!((1..=160).contains(&frame.len));
            at = MediaTime(at.0 + u64::from(frame.len));
        }
    }

    fn heard_samples(&self) -> u64 {
        self.heard.iter().map(|f| u64::from(f.len)).sum()
    }

    fn received_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for frame in self.heard.iter().filter(|f| !f.fed) {
            let mut part = vec![0; usize::from(frame.len)];
            g711::encode_ulaw(frame.samples(), &mut part);
            octets.extend(part);
        }
        octets
    }
}

/// A payload that tells which packet it was; loud, so that it is no pause.
fn voice(n: u16, len: usize) -> Vec<u8> {
    (0..len).map(|i| if i % 2 == 0 { 0x10 } else { 0x90 } | (n % 16) as u8).collect()
}

/// A phone that says one tone in one codec.
struct Talker {
    encoder: Encoder,
    tone: Tone,
    header: Header,
}

impl Talker {
    fn new(format: Format, hz: f64) -> Self {
        let rate = format.codec.audio_rate();
        let settings = EncoderSettings { fec: true, expected_loss: 20, ..EncoderSettings::default() };
        let header = Header { payload_type: format.payload_type, sequence: 65_500, ssrc: 7, ..Header::default() };
        Self {
            encoder: Encoder::new(format.codec, rate, settings).unwrap(),
            tone: Tone::new(hz, rate, -10.0),
            header: Header { timestamp: u32::MAX - 5000, ..header },
        }
    }

    /// The next packet with so many milliseconds of it.
    fn packet(&mut self, ms: usize) -> (Header, Vec<u8>) {
        let mut pcm = vec![0; self.encoder.rate() as usize / 1000 * ms];
        self.tone.fill(&mut pcm);
        let mut payload = vec![0; 1400];
        let len = self.encoder.encode(&pcm, &mut payload).unwrap();
        payload.truncate(len);
        let header = self.header;
        self.header.sequence = header.sequence.wrapping_add(1);
        let units = self.encoder.codec().rtp_clock() / 1000 * ms as u32;
        self.header.timestamp = header.timestamp.wrapping_add(units);
        (header, payload)
    }
}

/// Discontinuous transmission as browsers do it: of the frames that Opus need not send, the first of a run leaves as an
/// octet.
#[derive(Default)]
struct Quiet {
    toc: u8,
    told: bool,
}

impl Quiet {
    /// What becomes of `len` octets that were encoded, 0 for a frame that need not be sent.
    fn packet(&mut self, len: usize, payload: &mut [u8]) -> Option<usize> {
        if len > 0 {
            (self.toc, self.told) = (payload[0] & 0xfc, false);
            return Some(len);
        }
        payload[0] = self.toc;
        (!std::mem::replace(&mut self.told, true)).then_some(1)
    }
}

/// Decodes what left, in the order of sequence numbers; checks that timestamps are contiguous.
fn decoded(sent: &[(Tick, Header, Vec<u8>)], codec: Codec) -> Vec<i16> {
    let mut decoder = Decoder::new(codec, codec.audio_rate()).unwrap();
    let (mut pcm, mut whole, mut next) = (vec![0; 5760], Vec::new(), None);
    for (_, header, payload) in sent {
        if let Some((sequence, timestamp)) = next {
            assert_eq!((header.sequence, header.timestamp), (sequence, timestamp));
        }
        let samples = decoder.decode(payload, &mut pcm).unwrap();
        whole.extend_from_slice(&pcm[..samples]);
        let units = samples as u32 * (codec.rtp_clock() / 1000) / (codec.audio_rate() / 1000);
        next = Some((header.sequence.wrapping_add(1), header.timestamp.wrapping_add(units)));
    }
    whole
}

/// Level of one frequency (Goertzel), dB relative to a full-scale sine.
fn level_at(pcm: &[i16], hz: f64, rate: u32) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    20.0 * ((re * re + im * im).sqrt() * 2.0 / pcm.len() as f64 / 32_767.0).log10()
}

/// The tone is there at about its level, and nearly nothing else is.
fn assert_tone(pcm: &[i16], hz: f64, rate: u32, what: &str) {
    assert!(pcm.len() > rate as usize / 4, "{what}: {} samples", pcm.len());
    // Codecs take a moment to settle.
    let pcm = &pcm[rate as usize / 10..];
    let level = level_at(pcm, hz, rate);
    assert!((level + 10.0).abs() < 2.0, "{what}: {level:.1} dB at {hz} Hz");
    let whole = f64::from(callwright_dsp::level::dbfs(pcm)) + 3.0;
    assert!(whole - level < 1.5, "{what}: {whole:.1} dB in all, {level:.1} dB of it at {hz} Hz");
}

const OPUS: Format = Format { payload_type: 111, codec: Codec::Opus };
const L16: Format = Format { payload_type: 96, codec: Codec::L16At8k };
const L16_WIDE: Format = Format { payload_type: 97, codec: Codec::L16At16k };
const ALL: [Format; 6] = [Format::PCMU, Format::PCMA, Format::G722, OPUS, L16, L16_WIDE];
