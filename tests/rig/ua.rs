//! A phone with the product's own signalling and the codecs of `dsp`, at either end of a call; its audio is a tone, and it
//! tells which tone it hears.

use callwright::os::clock;
use callwright::rtp::dtmf::{Event, Receiver};
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Codec, Formats, Header, Packet};
use callwright::sip::agent::{LegId, Placement, SipEvent};
use callwright::sip::hop::Hop;
use callwright::sip::sdp::{Direction, LocalMedia, Negotiated, Preference, SdpSession};
use callwright::sip::transport::{SipHandle, UdpConfig, UdpTransport};
use callwright_dsp::codec::{Decoder, Encoder, EncoderSettings};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One phone with one line.
pub struct Ua {
    transport: UdpTransport,
    pub sip: SipHandle,
    pub session: SdpSession,
    pub rtp: UdpSocket,
    pub leg: LegId,
    pub agreed: Option<Negotiated>,
}

/// What came over the line.
#[derive(Default)]
pub struct Heard {
    /// At 8 kHz.
    pub pcm: Vec<i16>,
    /// Audio payloads as they came and as they were sent.
    pub payloads: Vec<Vec<u8>>,
    pub sent: Vec<Vec<u8>>,
    pub headers: Vec<Header>,
    pub digits: String,
}

impl Ua {
    pub fn new(codecs: &[Codec]) -> Self {
        Self::at("127.0.0.1", codecs)
    }

    /// The same at an address of its own.
    pub fn at(ip: &str, codecs: &[Codec]) -> Self {
        let any = SocketAddr::new(ip.parse().expect("an address"), 0);
        let config = UdpConfig::new(any, clock::monotonic);
        let transport = UdpTransport::start(config, UdpTransport::agent_config).expect("a SIP socket");
        let rtp = UdpSocket::bind(any).expect("an RTP socket");
        let local = LocalMedia {
            address: any.ip(),
            port: rtp.local_addr().expect("bound").port(),
            session_id: 7,
            session_version: 1,
        };
        let session = SdpSession::preferring(local, Preference::of_peer(codecs));
        Self { sip: transport.handle(), transport, session, rtp, leg: LegId(0), agreed: None }
    }

    /// Where it is called.
    pub fn address(&self) -> SocketAddr {
        self.sip.local()
    }

    /// Calls `number` at the daemon.
    pub async fn invite(&mut self, daemon: SocketAddr, number: &str) {
        self.invite_saying(daemon, number, &[]).await;
    }

    /// The same with further header fields.
    pub async fn invite_saying(&mut self, daemon: SocketAddr, number: &str, headers: &[(&str, &str)]) {
        let offer = self.session.offer(Direction::SendRecv);
        let from = format!("\"Ann\" <sip:ann@{}>", self.address());
        let mut placement = Placement::new(&format!("sip:{number}@{daemon}"), Hop::udp(daemon), &from, offer);
        placement.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.leg = self.sip.place(placement, |_| ()).await.expect("it calls");
    }

    /// The next event that `wanted` takes.
    pub async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&SipEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.transport.next_event()).await;
            let event = next.unwrap_or_else(|_| panic!("no {what} in 30 s, but {passed:?}")).expect("SIP runs");
            if let Some(found) = wanted(&event) {
                return found;
            }
            passed.push(event);
        }
    }

    /// Waits for a call and reads its offer; gives From and the hops that are left.
    pub async fn ringing(&mut self) -> (String, u8) {
        let (leg, from, hops, offer) = self
            .until("call", |e| match e {
                SipEvent::Incoming { leg, from, hops, offer, .. } => Some((*leg, from.clone(), *hops, offer.clone())),
                _ => None,
            })
            .await;
        self.leg = leg;
        self.agreed = Some(self.session.answer(&offer.expect("an offer")).expect("a codec in common"));
        (from, hops)
    }

    /// Takes the call that rings.
    pub async fn accept(&mut self) {
        let answer = self.agreed.as_ref().expect("a call rings").answer.clone();
        self.sip.accept(self.leg, answer).await.expect("it rings");
        self.until("ACK", |e| matches!(e, SipEvent::Confirmed { .. }).then_some(())).await;
    }

    /// Talks at `own` Hz, and hears `other` and hardly anything else: within some seconds, for a machine that stands still
    /// leaves gaps.
    pub async fn hears(&self, own: f64, other: f64) -> bool {
        for _ in 0..6 {
            if purity(&self.talk(own, 1000, None).await.pcm, other) > 0.9 {
                return true;
            }
        }
        false
    }

    /// Waits for the answer to its call.
    pub async fn accepted(&mut self) {
        let answer = self
            .until("answer", |e| match e {
                SipEvent::Accepted { answer, .. } => Some(answer.clone()),
                _ => None,
            })
            .await;
        self.agreed = Some(self.session.accept_answer(&answer).expect("an answer to the offer"));
    }

    /// Waits for audio before the answer to its call, and goes by it; gives the description.
    pub async fn early(&mut self) -> Vec<u8> {
        let early = self
            .until("early audio", |e| match e {
                SipEvent::Progress { code: 183, answer, .. } => Some(answer.clone().expect("with a description")),
                _ => None,
            })
            .await;
        self.agreed = Some(self.session.accept_answer(&early).expect("an answer"));
        early
    }

    pub async fn hang_up(&mut self) {
        self.sip.hang_up(self.leg, None).await.expect("there is a call");
    }

    pub async fn ended(&mut self) {
        self.until("end", |e| matches!(e, SipEvent::Ended { .. }).then_some(())).await;
    }

    pub fn formats(&self) -> Formats {
        self.agreed.as_ref().expect("something was agreed").formats
    }

    /// Says this (8 kHz) and listens meanwhile.
    pub async fn say(&self, pcm: Vec<i16>) -> Heard {
        let (socket, agreed) = (self.rtp.try_clone().expect("a socket"), self.agreed.clone().expect("agreed"));
        let said = move || {
            let frame = |slot: u64| (0..160).map(|n| pcm.get(slot as usize * 160 + n).copied().unwrap_or(0)).collect();
            send_slots(&socket, agreed.remote, &agreed.formats, pcm.len().div_ceil(160) as u64, None, &frame)
        };
        tokio::task::spawn_blocking(said).await.expect("it talks")
    }

    /// Sends a tone of `hz` for `ms` and listens meanwhile; presses `key` (with a code) in the middle.
    pub async fn talk(&self, hz: f64, ms: u64, key: Option<u8>) -> Heard {
        let (socket, agreed) = (self.rtp.try_clone().expect("a socket"), self.agreed.clone().expect("agreed"));
        tokio::task::spawn_blocking(move || talk(&socket, agreed.remote, &agreed.formats, hz, ms, key))
            .await
            .expect("it talks")
    }
}

/// Where each phone's stream stands, by its port: a phone that goes on talking goes on counting.
static STREAMS: Mutex<BTreeMap<u16, Header>> = Mutex::new(BTreeMap::new());

/// Sends a tone of `hz` for `ms` to `to` and listens meanwhile; presses `key` (with a code) in the middle.
pub fn talk(socket: &UdpSocket, to: SocketAddr, formats: &Formats, hz: f64, ms: u64, key: Option<u8>) -> Heard {
    let tone =
        |slot: u64| (0..160).map(|n| (8000.0 * (TAU * hz * (slot * 160 + n) as f64 / 8000.0).sin()) as i16).collect();
    send_slots(socket, to, formats, ms / 20, key, &tone)
}

/// Sends `slots` frames of 20 ms, and listens meanwhile.
fn send_slots(
    socket: &UdpSocket,
    to: SocketAddr,
    formats: &Formats,
    slots: u64,
    key: Option<u8>,
    sound: &dyn Fn(u64) -> Vec<i16>,
) -> Heard {
    let mut heard = Heard::default();
    let codec = formats.send.codec;
    let mut encoder = Encoder::new(codec, 8_000, EncoderSettings::default()).expect("the codec opens");
    let mut decoders: Vec<(u8, Decoder)> = formats
        .receive
        .iter()
        .flatten()
        .map(|f| (f.payload_type, Decoder::new(f.codec, 8_000).expect("the codec opens")))
        .collect();
    let event_clock = formats.telephone_event.map_or(8_000, |e| e.clock);
    let mut keys = Receiver::new(event_clock);
    let port = socket.local_addr().expect("bound").port();
    let fresh = Header { ssrc: 0x1234, sequence: 65_500, timestamp: 4_294_960_000, payload_type: 0, marker: false };
    let mut header = *STREAMS.lock().expect("no test has failed").entry(port).or_insert(fresh);
    let step = codec.rtp_clock() / 50;
    let begin = Instant::now();
    let mut pressed = None;
    for slot in 0..slots + 5 {
        let due = begin + Duration::from_millis(slot * 20);
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            socket.set_read_timeout(Some(left)).expect("a timeout");
            receive(socket, formats, &mut decoders, &mut keys, &mut heard);
        }
        if slot >= slots {
            continue;
        }
        let in_press = key.filter(|_| (slots / 2..slots / 2 + 5).contains(&slot)).zip(formats.telephone_event);
        if let Some((code, event)) = in_press {
            let since = slot - slots / 2;
            let start = *pressed.get_or_insert(header.timestamp);
            let duration = (since + 1) as u16 * (event.clock / 50) as u16;
            let payload = Event { code, end: since == 4, volume: 10, duration }.octets();
            let of_event = Header { payload_type: event.payload_type, marker: since == 0, timestamp: start, ..header };
            send(socket, to, of_event, &payload);
        } else {
            let pcm = sound(slot);
            let mut payload = [0; 1400];
            let length = encoder.encode(&pcm, &mut payload).expect("20 ms are encoded");
            send(socket, to, Header { payload_type: formats.send.payload_type, ..header }, &payload[..length]);
            heard.sent.push(payload[..length].to_vec());
        }
        header.sequence = header.sequence.wrapping_add(1);
        header.timestamp = header.timestamp.wrapping_add(step);
    }
    STREAMS.lock().expect("no test has failed").insert(port, header);
    heard
}

fn send(socket: &UdpSocket, to: SocketAddr, header: Header, payload: &[u8]) {
    let mut datagram = vec![0; HEADER_LEN + payload.len()];
    header.write((&mut datagram[..HEADER_LEN]).try_into().expect("its length"));
    datagram[HEADER_LEN..].copy_from_slice(payload);
    socket.send_to(&datagram, to).expect("loopback takes it");
}

fn receive(
    socket: &UdpSocket,
    formats: &Formats,
    decoders: &mut [(u8, Decoder)],
    keys: &mut Receiver,
    heard: &mut Heard,
) {
    let mut datagram = [0; 2000];
    let Ok(length) = socket.recv(&mut datagram) else { return };
    let packet = Packet::parse(&datagram[..length]).expect("the daemon sends RTP");
    let payload_type = packet.header.payload_type;
    if formats.telephone_event.is_some_and(|e| e.payload_type == payload_type) {
        let event = Event::parse(packet.payload).expect("an event");
        if let Some(digit) = keys.handle_event(packet.header.timestamp, event) {
            heard.digits.push(digit);
        }
        return;
    }
    // What was sent before the codec changed may still be on its way; what is agreed on comes after it.
    if heard.headers.is_empty() && !decoders.iter().any(|(pt, _)| *pt == payload_type) {
        return;
    }
    let (_, decoder) = decoders
        .iter_mut()
        .find(|(pt, _)| *pt == payload_type)
        .unwrap_or_else(|| panic!("payload type {payload_type} was not agreed on"));
    let mut pcm = [0; 960];
    let samples = decoder.decode(packet.payload, &mut pcm).expect("the payload is of its codec");
    heard.pcm.extend(&pcm[..samples]);
    heard.payloads.push(packet.payload.to_vec());
    heard.headers.push(packet.header);
}

/// Share of the energy that is at `hz`, 0–1, after the first 200 ms.
pub fn purity(pcm: &[i16], hz: f64) -> f64 {
    let pcm = &pcm[1600.min(pcm.len())..];
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let (x, phase) = (f64::from(*sample), TAU * hz * n as f64 / 8000.0);
        re += x * phase.cos();
        im += x * phase.sin();
        energy += x * x;
    }
    2.0 * (re * re + im * im) / (energy * pcm.len() as f64).max(1.0)
}
