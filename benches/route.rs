//! Latency of the media path on loopback: `cargo bench --bench route [-- calls seconds]`.
//!
//! First half: N phones call the echo (full path: receive → RTP → decode → ring → ring → encode → send) and the time from
//! a packet leaving the phone to the kernel's receive stamp of its answer is taken, which includes the network twice. In
//! the same run, interleaved packet by packet, the same phones do the same with a trivial UDP reflector (a thread that
//! sends back what it receives, scheduled like a media worker): that is the floor, and what we add is the difference.
//! Second half: the same number of calls with speech on the other end of the rings, talking both ways; the daemon's own
//! marks say how long a packet takes to become readable and a due frame to be sent. The floor here is a thread that does
//! nothing but wake up every millisecond: when the machine stands still, every frame due meanwhile counts in both (and in
//! neither of the rows of the first half, since the sender stands still too). Prints a table and writes
//! `target/bench/route.json` (flat: metric → number). Fails when loopback lost a packet.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright::id::{CallId, Generation, UtteranceId};
use callwright::media::socket::{Poller, ReceiveBatch, set_up};
use callwright::media::{
    MediaCommand, MediaConfig, MediaEvent, MediaEvents, MediaPlane, OutFrame, Role, SessionPlan, SpeechEnds, prepare,
};
use callwright::os::clock::{monotonic, realtime_nanos, sleep_until};
use callwright::os::realtime::fifo_or_nice;
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Format, Formats, Header};
use callwright::telemetry::histogram::ROUTE_BOUNDS;
use callwright::telemetry::{Histogram, Marks};
use callwright::time::Tick;
use ringbuf::traits::{Consumer, Producer};
use std::fmt::Write;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const FRAME_NANOS: u64 = 20_000_000;

fn main() -> io::Result<()> {
    // `cargo bench` passes --bench.
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let calls = numbers.first().copied().unwrap_or(100).clamp(1, 1000);
    let seconds = numbers.get(1).copied().unwrap_or(10).clamp(1, 600);
    let packets = seconds * 50;

    let marks = Arc::new(Marks::new());
    let config = MediaConfig { lock_memory: false, ..MediaConfig::default() };
    let mut plane = MediaPlane::start(&config, Arc::clone(&marks)).map_err(io::Error::other)?;
    let mut events = plane.take_events().ok_or_else(|| io::Error::other("events were taken"))?;
    let scheduling = fifo_or_nice(40);
    println!("{calls} calls, {seconds} s each way; sender {scheduling}, worker {}", plane.realtime());
    let mut report = Report::default();

    let reflector = Reflector::start()?;
    let mut phones = Vec::new();
    for n in 0..calls {
        let (echo, _) = call(&plane, n, Role::Echo)?;
        let floor = stamped_socket()?;
        floor.connect(reflector.address)?;
        phones.push(Phone { echo, floor });
    }
    wait_opened(&mut events, calls)?;
    let listener = Listener::start(&phones)?;
    let cpu = worker_cpu(&plane)?;
    pace(calls, packets, |call, frame, half| {
        let phone = &phones[call];
        send(if half { &phone.floor } else { &phone.echo }, frame)
    })?;
    thread::sleep(Duration::from_millis(200));
    let echo_cpu = worker_cpu(&plane)?.saturating_sub(cpu);
    let [mut echo, mut floor] = listener.finish();
    reflector.stop();
    let complete = report.samples("echo, phone to phone", "echo", &mut echo, packets * calls)
        && report.samples("UDP reflector (floor)", "floor", &mut floor, packets * calls);
    report.mark("media_route_seconds{path=bridge}", "bridge", &marks.route_bridge);
    for n in 0..calls {
        plane.send(MediaCommand::Close { call: CallId(n) }).map_err(|_| full())?;
    }

    let (mut phones, mut ends) = (Vec::new(), Vec::new());
    for n in calls..2 * calls {
        let (phone, speech) = call(&plane, n, Role::Speech)?;
        phones.push(phone);
        ends.extend(speech);
    }
    wait_opened(&mut events, calls)?;
    let speech = Speech::start(&plane, ends)?;
    let clock = BareClock::start();
    let cpu = worker_cpu(&plane)?;
    pace(calls, packets, |call, frame, half| if half { Ok(()) } else { send(&phones[call], frame) })?;
    thread::sleep(Duration::from_millis(200));
    let speech_cpu = worker_cpu(&plane)?.saturating_sub(cpu);
    let heard = speech.finish();
    let wake_floor = clock.finish();
    report.mark("media_route_seconds{path=ingress}", "ingress", &marks.route_ingress);
    report.mark("media_route_seconds{path=egress}", "egress", &marks.route_egress);
    report.mark("due time to wake-up", "lateness", &marks.media_lateness);
    report.mark("bare 1 ms clock (floor)", "lateness_floor", &wake_floor);
    plane.shutdown();

    println!("{:<36}{:>10}{:>10}{:>10}{:>10}{:>8}", "µs", "p50", "p99", "p99.9", "max", "lost");
    println!("{}", report.table);
    let per_call = |nanos: u64| nanos as f64 / 1e7 / seconds as f64 / calls as f64;
    let (echo_cpu, speech_cpu) = (per_call(echo_cpu), per_call(speech_cpu));
    println!("worker CPU per call: echo {echo_cpu:.3} %, speech both ways {speech_cpu:.3} % of a core");
    report.json.extend([
        ("calls".to_owned(), calls as f64),
        ("packets".to_owned(), (packets * calls) as f64),
        ("speech_frames_read".to_owned(), heard as f64),
        ("frames_skipped".to_owned(), marks.frames_skipped.get() as f64),
        ("echo_cpu_percent_per_call".to_owned(), echo_cpu),
        ("speech_cpu_percent_per_call".to_owned(), speech_cpu),
    ]);
    report.write()?;
    if complete && marks.route_ingress.count() == packets * calls {
        Ok(())
    } else {
        Err(io::Error::other("packets were lost on loopback: the figures do not count"))
    }
}

/// What is printed and written.
#[derive(Default)]
struct Report {
    table: String,
    json: Vec<(String, f64)>,
}

impl Report {
    /// Exact quantiles of delays in nanoseconds; false when some are missing.
    fn samples(&mut self, name: &str, key: &str, samples: &mut [u64], sent: u64) -> bool {
        samples.sort_unstable();
        let at = |q: f64| match samples.len() {
            0 => f64::NAN,
            len => samples[((len as f64 * q) as usize).min(len - 1)] as f64 / 1000.0,
        };
        let lost = sent.saturating_sub(samples.len() as u64);
        self.row(name, key, at, &lost.to_string());
        self.json.push((format!("{key}_lost"), lost as f64));
        lost == 0
    }

    fn mark(&mut self, name: &str, key: &str, histogram: &Histogram) {
        let at = |q: f64| histogram.quantile(q).map_or(f64::NAN, |d| d.as_nanos() as f64 / 1000.0);
        self.row(name, key, at, "");
    }

    fn row(&mut self, name: &str, key: &str, at: impl Fn(f64) -> f64, last: &str) {
        let values = [at(0.5), at(0.99), at(0.999), at(1.0)];
        let [p50, p99, p999, max] = values;
        let _ = writeln!(self.table, "{name:<36}{p50:>10.1}{p99:>10.1}{p999:>10.1}{max:>10.1}{last:>8}");
        let parts = ["p50_us", "p99_us", "p999_us", "max_us"];
        self.json.extend(parts.iter().zip(values).map(|(part, value)| (format!("{key}_{part}"), value)));
    }

    fn write(&self) -> io::Result<()> {
        let lines: Vec<String> = self.json.iter().map(|(key, value)| format!("  \"{key}\": {value:.3}")).collect();
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("route.json"), format!("{{\n{}\n}}\n", lines.join(",\n")))
    }
}

fn full() -> io::Error {
    io::Error::other("the order ring is full")
}

/// A call to the plane from a phone that is connected to it.
fn call(plane: &MediaPlane, id: u64, role: Role) -> io::Result<(UdpSocket, Option<SpeechEnds>)> {
    let (phone, socket) = (stamped_socket()?, UdpSocket::bind("127.0.0.1:0")?);
    phone.connect(socket.local_addr()?)?;
    let plan = SessionPlan {
        remote: Some(phone.local_addr()?),
        learn_source: false,
        ..SessionPlan::new(CallId(id), socket, Formats::of(Format::PCMU), role)
    };
    let (session, ends) = prepare(plan)?;
    plane.send(MediaCommand::Open(session)).map_err(|_| full())?;
    Ok((phone, ends))
}

fn wait_opened(events: &mut MediaEvents, calls: u64) -> io::Result<()> {
    let mut opened = 0;
    while opened < calls {
        if !events.wait(5000) {
            return Err(io::Error::other("calls were not opened within 5 s"));
        }
        events.drain(&mut |e| opened += u64::from(matches!(e, MediaEvent::Opened { .. })));
    }
    Ok(())
}

/// Calls `act(call, frame, half)` for every call and frame at its time: calls are spread over the 20 ms, and the second
/// half follows half a step later, so that they do not queue on each other.
fn pace(calls: u64, packets: u64, mut act: impl FnMut(usize, u64, bool) -> io::Result<()>) -> io::Result<()> {
    let step = FRAME_NANOS / calls;
    let start = monotonic().0 + 100_000_000;
    for frame in 0..packets {
        for call in 0..calls {
            let due = start + frame * FRAME_NANOS + call * step;
            sleep_until(Tick(due));
            act(call as usize, frame, false)?;
            sleep_until(Tick(due + step / 2));
            act(call as usize, frame, true)?;
        }
    }
    Ok(())
}

/// CPU time of the media worker so far, nanoseconds.
fn worker_cpu(plane: &MediaPlane) -> io::Result<u64> {
    let mut total = 0;
    for id in plane.thread_ids() {
        let text = std::fs::read_to_string(format!("/proc/self/task/{id}/schedstat"))?;
        total += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(total)
}

/// Wakes up every millisecond, scheduled like a media worker, and takes down how late.
struct BareClock {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Histogram>,
}

impl BareClock {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            fifo_or_nice(49);
            let late = Histogram::new(&ROUTE_BOUNDS);
            let mut due = monotonic();
            while !stopped.load(Relaxed) {
                due = due + Duration::from_millis(1);
                sleep_until(due);
                late.record(monotonic().since(due));
            }
            late
        });
        Self { stop, thread }
    }

    fn finish(self) -> Histogram {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_else(|_| Histogram::new(&ROUTE_BOUNDS))
    }
}

/// The other end of the rings: reads all frames at each wake and says one for each heard.
struct Speech {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl Speech {
    fn start(plane: &MediaPlane, mut ends: Vec<SpeechEnds>) -> io::Result<Self> {
        let wake = plane.speech_wake(0)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut heard = 0;
            while !stopped.load(Relaxed) {
                let _ = wake.wait(50);
                wake.clear();
                for end in &mut ends {
                    while let Some(frame) = end.inbound.try_pop() {
                        heard += 1;
                        let _ = end.outbound.try_push(OutFrame {
                            generation: Generation(0),
                            utterance: UtteranceId(1),
                            end: false,
                            len: frame.len,
                            pcm: frame.pcm,
                        });
                    }
                }
            }
            heard
        });
        Ok(Self { stop, thread })
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or(0)
    }
}

struct Phone {
    echo: UdpSocket,
    floor: UdpSocket,
}

/// Octets that carry the send time, four bits each: 0x80 to 0x8f survive G.711 unchanged.
const STAMP_LEN: usize = 16;

/// Sends one 20 ms packet that carries its own send time.
fn send(socket: &UdpSocket, frame: u64) -> io::Result<()> {
    let header = Header { sequence: frame as u16, timestamp: frame as u32 * 160, ssrc: 7, ..Header::default() };
    let mut datagram = [0x55u8; HEADER_LEN + 160];
    if let Some(head) = datagram.first_chunk_mut() {
        header.write(head);
    }
    let now = realtime_nanos();
    for (n, octet) in datagram[HEADER_LEN..HEADER_LEN + STAMP_LEN].iter_mut().enumerate() {
        *octet = 0x80 | ((now >> (4 * n)) & 0x0f) as u8;
    }
    socket.send(&datagram).map(|_| ())
}

fn sent_at(datagram: &[u8]) -> Option<u64> {
    let stamp = datagram.get(HEADER_LEN..HEADER_LEN + STAMP_LEN)?;
    Some(stamp.iter().enumerate().map(|(n, octet)| u64::from(octet & 0x0f) << (4 * n)).sum())
}

fn stamped_socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    set_up(&socket)?;
    Ok(socket)
}

/// Takes the answers of all phones; works by kernel stamps, so its own lateness does not count.
struct Listener {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<[Vec<u64>; 2]>,
}

impl Listener {
    fn start(phones: &[Phone]) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut poller = Poller::new()?;
        let mut sockets = Vec::new();
        for phone in phones {
            for socket in [&phone.echo, &phone.floor] {
                poller.add(socket.as_raw_fd(), sockets.len() as u64)?;
                sockets.push(socket.try_clone()?);
            }
        }
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut delays = [Vec::new(), Vec::new()];
            let mut batch = ReceiveBatch::new();
            while !stopped.load(Relaxed) {
                for ready in 0..poller.wait(Some(Duration::from_millis(50))) {
                    let index = poller.token(ready) as usize;
                    for n in 0..batch.receive(&sockets[index]) {
                        let Some(datagram) = batch.datagram(n) else { continue };
                        let Some(sent) = sent_at(datagram.octets) else { continue };
                        delays[index % 2].push(datagram.stamp.saturating_sub(sent));
                    }
                }
            }
            delays
        });
        Ok(Self { stop, thread })
    }

    fn finish(self) -> [Vec<u64>; 2] {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Sends back what it receives, and nothing else.
struct Reflector {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Reflector {
    fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (address, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            fifo_or_nice(49);
            let mut datagram = [0; 1500];
            while !stopped.load(Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut datagram) {
                    let _ = socket.send_to(&datagram[..len], from);
                }
            }
        });
        Ok(Self { address, stop, thread })
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        let _ = self.thread.join();
    }
}
