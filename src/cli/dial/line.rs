//! The line: one thread with the RTP socket and a real clock. Purpose: send on an absolute 20 ms schedule and take what
//! has arrived with the kernel's receive stamps, so that figures depend on neither the script nor the recogniser.
//! SCHED_FIFO where it is granted; the figure `own_lateness` tells how well the schedule was kept.
//!
//! Invariants: every channel is bounded; a slow ear loses frames (counted), never the line its schedule. The thread ends
//! with [`Line::close`] or when the owner is gone. Deliberately absent: deciding what to say (`act`), figures (`score`).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::act::LineView;
use super::capture::Capture;
use super::coding::Coding;
use super::ear::Frame;
use super::stream::{Job, Origin, Strays, Stream};
use crate::limits::{DIAL_EAR_FRAMES_MAX, DIAL_JOBS_MAX, FRAME, RTP_DATAGRAM_MAX};
use crate::media::timed::TimedSocket;
use crate::os::realtime::{Scheduling, fifo_or_nice};
use crate::os::{clock, random};
use crate::rtp::Formats;
use crate::time::Tick;

/// Below the daemon's media workers, should both run on one machine.
const PRIORITY: i32 = 40;
/// Slots that are sent in a burst after a late wake-up; beyond them the schedule starts anew.
const BURST_MAX: u32 = 5;

/// What came over the line, when it is closed.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Both directions.
    pub capture: Capture,
    /// Packets that were not the agent's audio.
    pub strays: Strays,
    /// Packets from an address other than the agreed one.
    pub forged: u64,
    /// Frames that the ear was too slow for.
    pub unheard: u64,
    /// When the line was closed.
    pub ended: Tick,
}

enum Order {
    Connect(SocketAddr, Box<Coding>),
    Send(u32, Job),
    Close,
}

#[derive(Default)]
struct Shared {
    view: Mutex<LineView>,
    unheard: AtomicU64,
}

/// A running line.
#[derive(Debug)]
pub struct Line {
    orders: Sender<Order>,
    shared: Arc<Shared>,
    thread: JoinHandle<Recorded>,
    scheduling: Scheduling,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect(..) => "Connect",
            Self::Send(..) => "Send",
            Self::Close => "Close",
        })
    }
}

impl Line {
    /// Starts the thread with the socket whose port goes into our SDP, and room for a call of `length`. Packets that come
    /// before [`connect`](Self::connect) are kept with their times. The receiver gets what the agent says, for the ear.
    ///
    /// # Errors
    /// What the kernel says about the socket.
    pub fn open(socket: UdpSocket, length: Duration) -> io::Result<(Self, Receiver<Frame>)> {
        let (orders, order_receiver) = bounded(DIAL_JOBS_MAX);
        let (frames, frame_receiver) = bounded(DIAL_EAR_FRAMES_MAX);
        let (ready, started) = bounded(1);
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("dial-line".into()).spawn(move || {
            // Its buffers hold pointers, so the timed socket is made where it is used. The owner waits for the answer.
            let socket = match TimedSocket::new(socket) {
                Ok(socket) => socket,
                Err(error) => {
                    drop(ready.send(Err(error)));
                    return Recorded::default();
                }
            };
            drop(ready.send(Ok(fifo_or_nice(PRIORITY))));
            match order_receiver.recv() {
                Ok(Order::Connect(remote, coding)) => {
                    let origin = Origin {
                        ssrc: random::u32(),
                        // Both start in the lower half (RFC 3711 wants no early wrap-around).
                        sequence: (random::u32() >> 17) as u16,
                        timestamp: random::u32() >> 1,
                    };
                    let stream = Stream::new(coding, origin, length);
                    let orders = order_receiver;
                    Runner { socket, remote, stream, orders, frames, shared: &for_thread, forged: 0 }.run()
                }
                _ => Recorded::default(),
            }
        })?;
        let scheduling = started.recv().map_err(|_| io::Error::other("the line thread failed"))??;
        Ok((Self { orders, shared, thread, scheduling }, frame_receiver))
    }

    /// Starts to send to `remote` and to take what has come, or sends elsewhere or otherwise from now on.
    ///
    /// # Errors
    /// A sentence when the line is down or a codec does not open.
    pub fn connect(&self, remote: SocketAddr, formats: Formats) -> Result<(), String> {
        let coding = Coding::new(formats).map_err(|error| error.to_string())?;
        self.orders.try_send(Order::Connect(remote, Box::new(coding))).map_err(|_| "the line is down".to_owned())
    }

    /// How the thread is scheduled.
    pub fn scheduling(&self) -> Scheduling {
        self.scheduling
    }

    /// Sends `job` as part `part` after those that wait.
    ///
    /// # Errors
    /// A sentence when too much waits already, or the line is down.
    pub fn send(&self, part: u32, job: Job) -> Result<(), String> {
        self.orders
            .try_send(Order::Send(part, job))
            .map_err(|_| format!("the line is down or {DIAL_JOBS_MAX} things wait to be said"))
    }

    /// What the line knows about the agent at this moment.
    pub fn view(&self) -> LineView {
        *self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops sending and gives the recording.
    ///
    /// # Errors
    /// A sentence when the thread failed: a fault of ours.
    pub fn close(self) -> Result<Recorded, String> {
        // A line that is down already has ended its thread: the join tells.
        drop(self.orders.send(Order::Close));
        self.thread.join().map_err(|_| "the line thread failed; please report this".to_owned())
    }
}

struct Runner<'a> {
    socket: TimedSocket,
    remote: SocketAddr,
    stream: Stream,
    orders: Receiver<Order>,
    frames: Sender<Frame>,
    shared: &'a Shared,
    forged: u64,
}

impl Runner<'_> {
    fn run(mut self) -> Recorded {
        let mut packet = [0; RTP_DATAGRAM_MAX];
        let mut due = clock::monotonic();
        while self.obey() {
            let len = self.stream.poll_packet(due, &mut packet);
            self.socket.send(self.remote, &packet[..len]);
            self.stream.handle_sent(clock::monotonic());
            self.receive();
            *self.shared.view.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.view();
            due = due + FRAME;
            let now = clock::monotonic();
            if now.since(due) > FRAME * BURST_MAX {
                due = now;
            }
            clock::sleep_until(due);
        }
        self.receive();
        let (capture, strays) = self.stream.into_capture();
        let unheard = self.shared.unheard.load(Ordering::Relaxed);
        Recorded { capture, strays, forged: self.forged, unheard, ended: clock::monotonic() }
    }

    /// Takes what the owner wants; false when the line is to be closed.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                // Digits that the far end does not take were refused before they came here.
                Ok(Order::Send(part, job)) => drop(self.stream.handle_job(part, job)),
                Ok(Order::Connect(remote, coding)) => {
                    self.remote = remote;
                    self.stream.handle_agreed(coding);
                }
                Ok(Order::Close) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn receive(&mut self) {
        let Self { socket, remote, stream, frames, shared, forged, .. } = self;
        socket.receive(&mut |at, source, octets| {
            if source.ip() != remote.ip() {
                *forged += 1;
                return;
            }
            stream.handle_datagram(at, octets, &mut |frame| {
                if frames.try_send(frame).is_err() {
                    shared.unheard.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
    }
}
