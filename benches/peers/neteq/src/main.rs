//! `callwright-bench-neteq SPEECH.wav DIRECTORY`: plays SPEECH (8 kHz mono PCM) through every trace and every buffer that can
//! be driven in virtual time; leaves `TRACE--PEER.raw` and one line of figures each in `figures.tsv`. `score.py` does the rest.

mod trace;

use callwright_dsp::codec::g711;
use callwright_dsp::jitter::{Content, Decode, Packet, PlayoutBuffer, Settings};
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use trace::Trace;

const RATE: u32 = 8_000;
const FRAME: usize = 160;
const STEP: usize = 80;
const STEP_NS: u64 = 10_000_000;
const SEED: u64 = 20_261_120;

/// What a buffer made of a trace.
struct Outcome {
    pcm: Vec<i16>,
    concealed: f64,
    /// Mean of (decoded at) − (arrived at), ms.
    wait_ms: f64,
    cpu_ns_per_step: f64,
}

/// Waits of the packets, seen by the decoder: payloads begin with their number.
#[derive(Default)]
struct Waits {
    arrived: RefCell<Vec<u64>>,
    now: Cell<u64>,
    sum: Cell<u64>,
    count: Cell<u64>,
}

impl Waits {
    fn take<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let number = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]) as usize;
        self.sum.set(self.sum.get() + self.now.get().saturating_sub(self.arrived.borrow()[number]));
        self.count.set(self.count.get() + 1);
        &payload[4..]
    }

    fn mean_ms(&self) -> f64 {
        self.sum.get() as f64 / self.count.get().max(1) as f64 / 1e6
    }
}

fn payload(speech: &[i16], number: u32) -> Vec<u8> {
    let start = number as usize * FRAME;
    let frame: Vec<i16> = (start..start + FRAME).map(|n| speech[n % speech.len()]).collect();
    let mut octets = vec![0; 4 + FRAME];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    g711::encode_ulaw(&frame, &mut octets[4..]);
    octets
}

/// Calls `insert` and `fetch` as the trace wants it, 10 ms at a time, until all was sent and 1 s more.
fn drive(
    trace: &Trace,
    speech: &[i16],
    waits: &Waits,
    mut insert: impl FnMut(u64, u32, Vec<u8>),
    mut fetch: impl FnMut(u64),
) -> f64 {
    waits.arrived.borrow_mut().resize(trace.sent as usize, 0);
    let mut coming = trace.packets.iter().peekable();
    let steps = u64::from(trace.sent) * 2 + 100;
    let mut spent = 0;
    for step in 0..steps {
        let now = step * STEP_NS;
        while let Some((at, number)) = coming.next_if(|(at, _)| *at <= now) {
            waits.arrived.borrow_mut()[*number as usize] = *at;
            let octets = payload(speech, *number);
            waits.now.set(*at);
            let begun = Instant::now();
            insert(*at, *number, octets);
            spent += begun.elapsed().as_nanos();
        }
        waits.now.set(now);
        let begun = Instant::now();
        fetch(now);
        spent += begun.elapsed().as_nanos();
    }
    spent as f64 / steps as f64
}

struct Ours(Rc<Waits>);

impl Decode for Ours {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        payload.len().checked_sub(4)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Option<usize> {
        Some(g711::decode_ulaw(self.0.take(payload), pcm))
    }

    fn conceal(&mut self, _: &mut [i16]) -> bool {
        false
    }

    fn recover(&mut self, _: &[u8], _: &mut [i16]) -> bool {
        false
    }

    fn reset(&mut self) {}
}

fn ours(trace: &Trace, speech: &[i16]) -> Outcome {
    let waits = Rc::new(Waits::default());
    let buffer = RefCell::new(PlayoutBuffer::new(Settings::default()).expect("the default settings are sound"));
    let mut decoder = Ours(waits.clone());
    let asked = Ours(waits.clone());
    let mut pcm = Vec::new();
    let mut s = *buffer.borrow().statistics();
    let during = u64::from(trace.sent) * 20_000_000;
    let cpu_ns_per_step = drive(
        trace,
        speech,
        &waits,
        |at, number, octets| {
            let timestamp = number.wrapping_mul(FRAME as u32);
            let packet = Packet { ssrc: 1, sequence: number as u16, timestamp, content: Content::Audio(&octets) };
            buffer.borrow_mut().insert_packet(at, &packet, &asked);
        },
        |now| {
            let mut part = [0; STEP];
            buffer.borrow_mut().get_audio(now, &mut part, &mut decoder);
            pcm.extend(part);
            if now < during {
                // What comes after the last packet is no loss of the network.
                s = *buffer.borrow().statistics();
            }
        },
    );
    // Our own figure, which also counts what a packet waits after it was decoded.
    let wait_ms = s.mean_delay() as f64 / 8.0;
    if std::env::var_os("VERBOSE").is_some() {
        eprintln!("{}: {s:#?}", trace.name);
    }
    let total = u64::from(trace.sent) * FRAME as u64;
    let concealed = s.concealed_samples;
    Outcome { pcm, concealed: concealed as f64 / total as f64, wait_ms, cpu_ns_per_step }
}

/// Notes the numbers of what it decodes; shared, because the crate wants a decoder that may change threads.
struct Decoding {
    seen: Arc<Mutex<Vec<u32>>>,
}

impl neteq::codec::AudioDecoder for Decoding {
    fn sample_rate(&self) -> u32 {
        RATE
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let number = u32::from_be_bytes([encoded[0], encoded[1], encoded[2], encoded[3]]);
        self.seen.lock().expect("one thread").push(number);
        let mut pcm = vec![0; encoded.len() - 4];
        g711::decode_ulaw(&encoded[4..], &mut pcm);
        Ok(pcm.iter().map(|s| f32::from(*s) / 32_768.0).collect())
    }
}

fn neteq_crate(trace: &Trace, speech: &[i16]) -> Outcome {
    let waits = Rc::new(Waits::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    web_time::set(0);
    let config = neteq::NetEqConfig { sample_rate: RATE, channels: 1, ..Default::default() };
    let mut buffer = neteq::NetEq::new(config).expect("the settings are the crate's own");
    buffer.register_decoder(0, Box::new(Decoding { seen: seen.clone() }));
    let buffer = RefCell::new(buffer);
    let (mut pcm, mut concealed) = (Vec::new(), 0usize);
    let during = u64::from(trace.sent) * 20_000_000;
    let cpu_ns_per_step = drive(
        trace,
        speech,
        &waits,
        |at, number, octets| {
            web_time::set(at);
            let timestamp = number.wrapping_mul(FRAME as u32);
            let header = neteq::RtpHeader::new(number as u16, timestamp, 1, 0, false);
            let packet = neteq::AudioPacket::new(header, octets, RATE, 1, 20);
            let _ = buffer.borrow_mut().insert_packet(packet);
        },
        |now| {
            web_time::set(now);
            let frame = buffer.borrow_mut().get_audio();
            for number in seen.lock().expect("one thread").drain(..) {
                waits.take(&u32::to_be_bytes(number));
            }
            match frame {
                Ok(frame) => {
                    if frame.speech_type == neteq::neteq::SpeechType::Expand && now < during {
                        concealed += STEP;
                    }
                    pcm.extend(frame.samples.iter().map(|s| (s * 32_768.0).clamp(-32_768.0, 32_767.0) as i16));
                }
                Err(_) => pcm.extend([0; STEP]),
            }
        },
    );
    let total = trace.sent as usize * FRAME;
    Outcome { pcm, concealed: concealed as f64 / total as f64, wait_ms: waits.mean_ms(), cpu_ns_per_step }
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, speech, directory] = &arguments[..] else {
        eprintln!("usage: callwright-bench-neteq SPEECH.wav DIRECTORY");
        std::process::exit(2);
    };
    // 16-bit samples behind a header of 44 octets.
    let speech: Vec<i16> =
        std::fs::read(speech)?[44..].chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
    let sent: u32 = std::env::var("PACKETS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let seed = std::env::var("SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(SEED);
    std::fs::create_dir_all(directory)?;
    let mut figures = std::fs::File::create(format!("{directory}/figures.tsv"))?;
    type Peer = (&'static str, fn(&Trace, &[i16]) -> Outcome);
    let peers: [Peer; 2] = [("callwright", ours), ("neteq", neteq_crate)];
    for trace in trace::all(sent, seed) {
        let mut schedule = std::fs::File::create(format!("{directory}/{}.trace", trace.name))?;
        for (at, number) in &trace.packets {
            writeln!(schedule, "{at}\t{number}")?;
        }
        for (peer, play) in peers {
            let outcome = play(&trace, &speech);
            let raw: Vec<u8> = outcome.pcm.iter().flat_map(|s| s.to_le_bytes()).collect();
            std::fs::write(format!("{directory}/{}--{peer}.raw", trace.name), raw)?;
            writeln!(
                figures,
                "{}\t{peer}\t{:.4}\t{:.2}\t{:.0}",
                trace.name, outcome.concealed, outcome.wait_ms, outcome.cpu_ns_per_step
            )?;
        }
    }
    Ok(())
}
