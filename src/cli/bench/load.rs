//! The packets. Purpose: a sender that puts 50 packets a second on each call, evenly over time, and a receiver that
//! knows when the kernel got each answer. Two threads on the load's core, SCHED_FIFO where granted, plain memory between
//! them. Invariant: the schedule is absolute, so a late wake-up is caught up and not forgotten. Deliberately absent: SIP.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use super::stamp::Stamp;
use super::tally::Tally;
use crate::media::socket::Poller;
use crate::media::timed::TimedSocket;
use crate::os::{clock, realtime};
use crate::rtp::header::{HEADER_LEN, Header, Packet};
use crate::time::Tick;
use callwright_dsp::codec::g711;

/// Sockets that the calls share: a load of thousands of sockets would measure itself.
const SOCKETS: usize = 64;
/// The sender wakes this often.
const STEP: Duration = Duration::from_micros(250);
const FRAME: Duration = Duration::from_millis(20);
const PRIORITY: i32 = 20;
const SAMPLES: usize = 160;
/// Transcoded calls carry a burst of 1 kHz this often, in packets.
const BURST_EVERY: u32 = 50;
/// A sample beyond this is the burst; silence through any codec stays far below.
const BURST_LEVEL: u16 = 3000;

/// What the packets hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// A stamp that G.711 gives back unchanged.
    Stamps,
    /// Silence and a burst each second, which survives any codec.
    Bursts,
}

#[derive(Debug)]
struct Leg {
    to: SocketAddr,
    ssrc: u32,
    /// When the first packet of the latest burst was sent.
    burst: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    from: AtomicU64,
    until: AtomicU64,
    /// Grows while calls are set up; the threads copy what is new.
    legs: Mutex<Vec<Arc<Leg>>>,
    grown: AtomicU64,
}

/// A running load.
#[derive(Debug)]
pub(super) struct Load {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Tally>,
}

impl Load {
    /// Opens the sockets and starts both threads; no call yet.
    pub(super) fn start(cpu: usize, content: Content) -> io::Result<Self> {
        let sockets: Vec<UdpSocket> =
            (0..SOCKETS).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let twins = sockets.iter().map(UdpSocket::try_clone).collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared::default());
        shared.from.store(u64::MAX, Relaxed);
        let sender = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("bench-send".to_owned()).spawn(move || {
                place(cpu);
                send(&shared, &twins, content)
            })?
        };
        let receiver = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("bench-receive".to_owned()).spawn(move || {
                place(cpu);
                receive(&shared, sockets, content).unwrap_or_default()
            })?
        };
        Ok(Self { shared, addresses, sender, receiver })
    }

    /// The address that the `n`th call gives as its own.
    pub(super) fn address(&self, n: usize) -> SocketAddr {
        self.addresses[n % SOCKETS]
    }

    /// The next call is up: packets go to `to` from now on. Calls must be added in the order of their numbers.
    pub(super) fn add(&self, to: SocketAddr) {
        let mut legs = self.shared.legs.lock().unwrap_or_else(PoisonError::into_inner);
        let ssrc = 0x1000_0000 + u32::try_from(legs.len()).unwrap_or(0) * 7919;
        legs.push(Arc::new(Leg { to, ssrc, burst: AtomicU64::new(0) }));
        self.shared.grown.store(legs.len() as u64, Relaxed);
    }

    /// Counts what is sent from now on, for so long. Blocks.
    pub(super) fn measure(&self, window: Duration) {
        let from = clock::monotonic();
        self.shared.until.store((from + window).0, Relaxed);
        self.shared.from.store(from.0, Relaxed);
        clock::sleep_until(from + window);
    }

    /// Ends it; what is on its way still counts for a quarter of a second.
    pub(super) fn finish(self) -> Tally {
        thread::sleep(Duration::from_millis(250));
        self.shared.stop.store(true, Relaxed);
        let sent = self.sender.join().unwrap_or(0);
        let mut tally = self.receiver.join().unwrap_or_default();
        tally.sent = sent;
        tally
    }
}

fn place(cpu: usize) {
    // A machine that grants neither still measures, only with more noise.
    let _ = realtime::pin(cpu);
    realtime::fifo_or_nice(PRIORITY);
}

impl Shared {
    /// Copies the legs that are new.
    fn refresh(&self, legs: &mut Vec<Arc<Leg>>) {
        if self.grown.load(Relaxed) as usize > legs.len() {
            let all = self.legs.lock().unwrap_or_else(PoisonError::into_inner);
            legs.extend(all[legs.len()..].iter().cloned());
        }
    }

    fn measures(&self, at: u64) -> bool {
        (self.from.load(Relaxed)..self.until.load(Relaxed)).contains(&at)
    }
}

/// 20 ms of 1 kHz at −6 dBFS, μ-law.
fn burst() -> [u8; SAMPLES] {
    let mut pcm = [0; SAMPLES];
    for (n, sample) in pcm.iter_mut().enumerate() {
        *sample = ((n as f32 * std::f32::consts::TAU / 8.0).sin() * 16_000.0) as i16;
    }
    let mut octets = [0; SAMPLES];
    g711::encode_ulaw(&pcm, &mut octets);
    octets
}

fn send(shared: &Shared, sockets: &[UdpSocket], content: Content) -> u64 {
    let tone = burst();
    let steps = FRAME.as_micros() / STEP.as_micros();
    let steps = usize::try_from(steps).unwrap_or(1);
    let (mut legs, mut sent) = (Vec::new(), 0);
    let mut numbers: Vec<u32> = Vec::new();
    let mut due = clock::monotonic();
    let mut step = 0;
    while !shared.stop.load(Relaxed) {
        due = due + STEP;
        clock::sleep_until(due);
        shared.refresh(&mut legs);
        numbers.resize(legs.len(), 0);
        for n in (step..legs.len()).step_by(steps) {
            let leg = &legs[n];
            let number = numbers[n];
            numbers[n] += 1;
            let mut payload = [g711::ULAW_SILENCE; SAMPLES];
            let now = clock::monotonic();
            match content {
                Content::Stamps => Stamp { call: n as u32, number, sent: now.0 }.write(&mut payload),
                Content::Bursts if number % BURST_EVERY == BURST_EVERY - 1 => {
                    payload = tone;
                    leg.burst.store(now.0, Relaxed);
                }
                Content::Bursts => {}
            }
            let header = Header {
                marker: number == 0,
                payload_type: 0,
                // Modulo 2^16 by definition.
                sequence: number as u16,
                timestamp: number.wrapping_mul(SAMPLES as u32),
                ssrc: leg.ssrc,
            };
            let mut octets = [0; HEADER_LEN + SAMPLES];
            if let Some(head) = octets.first_chunk_mut() {
                header.write(head);
            }
            octets[HEADER_LEN..].copy_from_slice(&payload);
            // A full socket buffer shows as a lost packet.
            let _ = sockets[n % SOCKETS].send_to(&octets, leg.to);
            sent += u64::from(shared.measures(now.0));
        }
        step = (step + 1) % steps;
    }
    sent
}

/// What the receiver knows of a call.
#[derive(Clone, Copy, Default)]
struct Heard {
    last: u64,
    burst: u64,
}

fn receive(shared: &Shared, sockets: Vec<UdpSocket>, content: Content) -> io::Result<Tally> {
    let mut sockets = sockets.into_iter().map(TimedSocket::new).collect::<io::Result<Vec<_>>>()?;
    let mut poller = Poller::new()?;
    for (n, socket) in sockets.iter().enumerate() {
        poller.add(socket.as_raw_fd(), n as u64)?;
    }
    let (mut legs, mut heard) = (Vec::<Arc<Leg>>::new(), Vec::<Heard>::new());
    let mut numbers: HashMap<SocketAddr, usize> = HashMap::new();
    let mut tally = Tally::default();
    while !shared.stop.load(Relaxed) {
        let ready = poller.wait(Some(Duration::from_millis(50)));
        shared.refresh(&mut legs);
        while heard.len() < legs.len() {
            numbers.insert(legs[heard.len()].to, heard.len());
            heard.push(Heard::default());
        }
        for n in 0..ready {
            let Some(socket) = sockets.get_mut(usize::try_from(poller.token(n)).unwrap_or(usize::MAX)) else {
                continue;
            };
            socket.receive(&mut |at, from, octets| {
                let (Some(call), Ok(packet)) = (numbers.get(&from).copied(), Packet::parse(octets)) else { return };
                let heard = &mut heard[call];
                if shared.measures(at.0) {
                    tally.received += 1;
                    if heard.last != 0 {
                        tally.gap.add(at.since(Tick(heard.last)));
                    }
                }
                heard.last = at.0;
                match content {
                    Content::Stamps => {
                        if let Some(stamp) = Stamp::read(packet.payload)
                            && shared.measures(stamp.sent)
                        {
                            tally.returned += 1;
                            tally.delay.add(at.since(Tick(stamp.sent)));
                        }
                    }
                    Content::Bursts => {
                        let sent = legs[call].burst.load(Relaxed);
                        if sent == heard.burst {
                            return;
                        }
                        let Some(onset) = onset(packet.payload) else { return };
                        heard.burst = sent;
                        if shared.measures(sent) {
                            tally.burst.add((at + onset).since(Tick(sent)));
                        }
                    }
                }
            });
        }
    }
    Ok(tally)
}

/// Where the burst begins in this packet.
fn onset(payload: &[u8]) -> Option<Duration> {
    let mut pcm = [0; SAMPLES];
    let decoded = g711::decode_ulaw(payload, &mut pcm);
    let sample = pcm[..decoded].iter().position(|s| s.unsigned_abs() > BURST_LEVEL)?;
    Some(Duration::from_micros(125) * u32::try_from(sample).ok()?)
}
