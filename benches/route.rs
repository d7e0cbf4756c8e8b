//! Latency of the media path on loopback: `cargo bench --bench route [-- calls seconds]`.
//!
//! N phones call the echo (full path: receive → RTP → decode → ring → ring → encode → send) and the time from a packet
//! leaving the phone to the kernel's receive stamp of its answer is taken, which includes the network twice. In the same
//! run, interleaved packet by packet, the same phones do the same with a trivial UDP reflector (a thread that sends back
//! what it receives, scheduled like a media worker): that is the floor, and what we add is the difference. A third row
//! gives the daemon's own marks. Prints a table and writes `target/bench/route.json` (flat: metric → number).

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright::id::CallId;
use callwright::media::socket::{Poller, ReceiveBatch, set_up};
use callwright::media::{MediaCommand, MediaConfig, MediaEvent, MediaPlane, Role, SessionPlan, prepare};
use callwright::os::clock::{monotonic, realtime_nanos, sleep_until};
use callwright::os::realtime::fifo_or_nice;
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Header, Payload};
use callwright::telemetry::{Histogram, Marks};
use callwright::time::Tick;
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
    let calls = numbers.first().copied().unwrap_or(100).clamp(1, 2000);
    let seconds = numbers.get(1).copied().unwrap_or(10).clamp(1, 600);

    let marks = Arc::new(Marks::new());
    let config = MediaConfig { lock_memory: false, ..MediaConfig::default() };
    let mut plane = MediaPlane::start(&config, Arc::clone(&marks)).map_err(io::Error::other)?;
    let mut events = plane.take_events().ok_or_else(|| io::Error::other("events were taken"))?;
    let reflector = Reflector::start()?;

    let mut phones = Vec::new();
    for n in 0..calls {
        let (echo, floor) = (stamped_socket()?, stamped_socket()?);
        floor.connect(reflector.address)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        echo.connect(socket.local_addr()?)?;
        let plan = SessionPlan {
            call: CallId(n),
            socket,
            remote: Some(echo.local_addr()?),
            payload: Payload::Pcmu,
            telephone_event: None,
            role: Role::Echo,
            held: false,
            learn_source: false,
        };
        let (session, _) = prepare(plan)?;
        plane.send(MediaCommand::Open(session)).map_err(|_| io::Error::other("the order ring is full"))?;
        phones.push(Phone { echo, floor });
    }
    let mut opened = 0;
    while opened < calls {
        if !events.wait(5000) {
            return Err(io::Error::other("calls were not opened within 5 s"));
        }
        events.drain(&mut |e| opened += u64::from(matches!(e, MediaEvent::Opened { .. })));
    }

    let listener = Listener::start(&phones)?;
    let scheduling = fifo_or_nice(40);
    let packets = seconds * 50;
    let start = monotonic().0 + 100_000_000;
    for frame in 0..packets {
        for (n, phone) in phones.iter().enumerate() {
            // Calls spread over the frame; echo and floor half a step apart, so that they do not queue on each other.
            let step = FRAME_NANOS / calls;
            let due = start + frame * FRAME_NANOS + n as u64 * step;
            sleep_until(Tick(due));
            send(&phone.echo, frame)?;
            sleep_until(Tick(due + step / 2));
            send(&phone.floor, frame)?;
        }
    }
    thread::sleep(Duration::from_millis(200));
    let scheduled = plane.realtime();
    let [mut echo, mut floor] = listener.finish();
    plane.shutdown();
    reflector.stop();

    let sent = packets * calls;
    let mut table = String::new();
    let mut json = Vec::new();
    let _ = writeln!(table, "{calls} calls, {seconds} s, sender {scheduling}, worker {scheduled}");
    let _ = writeln!(table, "{:<34}{:>10}{:>10}{:>10}{:>10}{:>9}", "µs", "p50", "p99", "p99.9", "max", "lost");
    for (name, key, samples) in
        [("echo, phone to phone", "echo", &mut echo), ("UDP reflector (floor)", "floor", &mut floor)]
    {
        samples.sort_unstable();
        let at = |q: f64| match samples.len() {
            0 => f64::NAN,
            len => samples[((len as f64 * q) as usize).min(len - 1)] as f64 / 1000.0,
        };
        let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
        let lost = sent - samples.len() as u64;
        let _ = writeln!(table, "{name:<34}{p50:>10.1}{p99:>10.1}{p999:>10.1}{max:>10.1}{lost:>9}");
        for (part, value) in
            [("p50_us", p50), ("p99_us", p99), ("p999_us", p999), ("max_us", max), ("lost", lost as f64)]
        {
            json.push((format!("{key}_{part}"), value));
        }
    }
    let mark = |name: &str, key: &str, histogram: &Histogram, json: &mut Vec<(String, f64)>, table: &mut String| {
        let at = |q: f64| histogram.quantile(q).map_or(f64::NAN, |d| d.as_nanos() as f64 / 1000.0);
        let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
        let _ = writeln!(table, "{name:<34}{p50:>10.1}{p99:>10.1}{p999:>10.1}{max:>10.1}");
        for (part, value) in [("p50_us", p50), ("p99_us", p99), ("p999_us", p999), ("max_us", max)] {
            json.push((format!("{key}_{part}"), value));
        }
    };
    mark("media_route_seconds{path=bridge}", "bridge", &marks.route_bridge, &mut json, &mut table);
    json.push(("calls".to_owned(), calls as f64));
    json.push(("packets".to_owned(), sent as f64));
    println!("{table}");

    let lines: Vec<String> = json.iter().map(|(key, value)| format!("  \"{key}\": {value:.1}")).collect();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("route.json"), format!("{{\n{}\n}}\n", lines.join(",\n")))?;
    if echo.len() as u64 != sent || floor.len() as u64 != sent {
        return Err(io::Error::other("packets were lost on loopback: the figures do not count"));
    }
    Ok(())
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
