//! The media plane as the daemon sees it. Purpose: start the workers, route orders to the worker that owns the call, hand
//! reports out, stop. Control threads. Invariants: a call's orders stay in order (its worker is a function of its id, or for
//! the two legs of a bridge of the smaller id of both); the locks here are taken by control threads only, the worker's end
//! of each ring is lock-free. Deliberately absent: calls.

use crate::id::CallId;
use crate::limits::{CALLS_PER_WORKER_MAX, MEDIA_COMMANDS_MAX, MEDIA_EVENTS_MAX};
use crate::media::command::MediaCommand;
use crate::media::event::MediaEvent;
use crate::media::frame;
use crate::media::pass::Reports;
use crate::media::worker::{Parts, Shared, Worker};
use crate::os::realtime::{self, Scheduling};
use crate::os::wake::Wake;
use crate::telemetry::Marks;
use crate::time::Tick;
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use thiserror::Error;

/// Above ordinary real-time work, below the kernel's own threads (the interrupt threads run at 50).
const FIFO_PRIORITY: i32 = 49;

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Core of each worker; workers without one float.
    pub cpus: Vec<usize>,
    /// Ask for SCHED_FIFO (else nice −20).
    pub realtime: bool,
    /// Keep the process in RAM.
    pub lock_memory: bool,
    /// Calls that one worker holds, at most `limits::CALLS_PER_WORKER_MAX`.
    pub calls_per_worker: usize,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self { workers: 1, cpus: Vec::new(), realtime: true, lock_memory: true, calls_per_worker: CALLS_PER_WORKER_MAX }
    }
}

/// The plane did not start; the operator's or the machine's fault, retry after correcting.
#[derive(Debug, Error)]
pub enum MediaError {
    /// No worker asked for, or no calls.
    #[error("[media] workers and calls per worker must be at least 1")]
    NoWorkers,
    /// No thread, descriptor or memory left.
    #[error("media worker {worker} did not start: {source}; raise the limits on open files and threads")]
    Start {
        /// Counted from 0.
        worker: usize,
        /// What the system said.
        source: io::Error,
    },
    /// No such core.
    #[error("media worker {worker} cannot run on CPU {cpu}: {source}; correct [media] cpus")]
    Pin {
        /// Counted from 0.
        worker: usize,
        /// As configured.
        cpu: usize,
        /// What the system said.
        source: io::Error,
    },
}

/// Calls that are not with the worker of their own id: a leg of a bridge is with its partner.
type Elsewhere = Arc<Mutex<HashMap<CallId, usize>>>;

struct Handle {
    orders: Mutex<HeapProd<MediaCommand>>,
    wake: Wake,
    speech_wake: Wake,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    thread_id: i32,
    scheduling: Scheduling,
}

/// The running workers. Dropping it stops them.
pub struct MediaPlane {
    workers: Vec<Handle>,
    elsewhere: Elsewhere,
    /// A lock only so that the plane can be shared; it is taken once, at start.
    events: Mutex<Option<MediaEvents>>,
    memory_locked: Result<bool, io::Error>,
}

impl std::fmt::Debug for MediaPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaPlane").field("workers", &self.workers.len()).field("calls", &self.calls()).finish()
    }
}

impl MediaPlane {
    /// Starts the workers; returns when each of them runs on its core with its scheduling settled.
    pub fn start(config: &MediaConfig, marks: Arc<Marks>) -> Result<Self, MediaError> {
        if config.workers == 0 || config.calls_per_worker == 0 {
            return Err(MediaError::NoWorkers);
        }
        let memory_locked = if config.lock_memory { realtime::lock_memory().map(|()| true) } else { Ok(false) };
        let failed = |worker| move |source| MediaError::Start { worker, source };
        let event_wake = Wake::new().map_err(failed(0))?;
        // From here on `plane` is dropped on an error, which stops the workers started so far.
        let elsewhere = Elsewhere::default();
        let mut plane =
            Self { workers: Vec::new(), elsewhere: Arc::clone(&elsewhere), events: Mutex::new(None), memory_locked };
        let mut rings = Vec::new();
        for worker in 0..config.workers {
            let (handle, ring) = start_worker(worker, config, &marks, &event_wake)?;
            plane.workers.push(handle);
            rings.push(ring);
        }
        plane.events = Mutex::new(Some(MediaEvents { rings, wake: event_wake, elsewhere }));
        Ok(plane)
    }

    /// Gives an order to the call's worker. Error: its ring is full (thousands of orders wait); the order is given back:
    /// refuse the call or try again later. `Close` finds room always: a place is kept for that of each call.
    #[expect(clippy::result_large_err, reason = "what was not taken goes back as it came; control threads only")]
    pub fn send(&self, order: MediaCommand) -> Result<(), MediaCommand> {
        if let MediaCommand::Open(session) = &order
            && let Some(partner) = session.partner()
        {
            let (call, worker) = (session.call(), self.home(session.call().min(partner)));
            if worker != self.home(call) {
                lock(&self.elsewhere).insert(call, worker);
            }
        }
        let worker = &self.workers[self.worker_of(order.call())];
        // A panic of another control thread cannot leave a ring half-written.
        let mut orders = lock(&worker.orders);
        let room = orders.vacant_len();
        let pushed = match order {
            MediaCommand::Close { .. } => orders.try_push(order),
            other if room > CALLS_PER_WORKER_MAX => orders.try_push(other),
            other => Err(other),
        };
        drop(orders);
        if let Err(order) = pushed {
            if let MediaCommand::Open(session) = &order {
                lock(&self.elsewhere).remove(&session.call());
            }
            return Err(order);
        }
        worker.wake.signal();
        Ok(())
    }

    /// The reports of all workers. `None` when they were taken before.
    pub fn take_events(&mut self) -> Option<MediaEvents> {
        self.events.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Number of workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The worker that owns the call, counted from 0: the same for all its life.
    #[must_use]
    pub fn worker_of(&self, call: CallId) -> usize {
        lock(&self.elsewhere).get(&call).copied().unwrap_or_else(|| self.home(call))
    }

    fn home(&self, call: CallId) -> usize {
        usize::try_from(call.0 % self.workers.len() as u64).unwrap_or(0)
    }

    /// Becomes readable when the worker put frames in inbound rings, at most once a pass: for speech to sleep on. Lives
    /// as long as the plane; reading it clears it (8 octets, see eventfd(2)). `None`: no such worker.
    #[must_use]
    pub fn speech_wake_fd(&self, worker: usize) -> Option<RawFd> {
        self.workers.get(worker).map(|w| w.speech_wake.as_raw_fd())
    }

    /// A handle of the same wake, for a thread that may outlive the plane.
    pub fn speech_wake(&self, worker: usize) -> io::Result<Wake> {
        let worker = self.workers.get(worker).ok_or_else(|| io::Error::other("there is no such media worker"))?;
        worker.speech_wake.try_clone()
    }

    /// The least favourable scheduling among the workers, to be said once at start.
    #[must_use]
    pub fn realtime(&self) -> Scheduling {
        let rank = |s: Scheduling| match s {
            Scheduling::Fifo { .. } => 0,
            Scheduling::Nice { .. } => 1,
            Scheduling::Unasked => 2,
            Scheduling::Normal { .. } => 3,
        };
        self.workers.iter().map(|w| w.scheduling).max_by_key(|s| rank(*s)).unwrap_or(Scheduling::Unasked)
    }

    /// Whether memory is locked; the error says why not although it was asked for (to be said once at start).
    pub fn memory_locked(&self) -> Result<bool, &io::Error> {
        self.memory_locked.as_ref().copied()
    }

    /// Calls being carried now.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.workers.iter().map(|w| w.shared.calls.load(Relaxed)).sum()
    }

    /// When the slowest worker last began a pass: half a second ago at most, or it is stuck (for the watchdog).
    #[must_use]
    pub fn oldest_pass(&self) -> Tick {
        Tick(self.workers.iter().map(|w| w.shared.heartbeat.load(Relaxed)).min().unwrap_or(0))
    }

    /// What each worker has left: the share of the last second in which it was busy, 0 to 1, and the complexity at which
    /// its Opus encoders run, 0 to 10.
    #[must_use]
    pub fn headroom(&self) -> Vec<(f64, u8)> {
        let worker = |w: &Handle| {
            // Per mille and at most 10.
            (w.shared.busy.load(Relaxed) as f64 / 1000.0, w.shared.complexity.load(Relaxed) as u8)
        };
        self.workers.iter().map(worker).collect()
    }

    /// Busy share of the worker that has most time left, 0 to 1.
    #[must_use]
    pub fn least_busy(&self) -> f64 {
        self.headroom().into_iter().map(|(busy, _)| busy).fold(1.0, f64::min)
    }

    /// Kernel ids of the worker threads (for `doctor` and tests).
    #[must_use]
    pub fn thread_ids(&self) -> Vec<i32> {
        self.workers.iter().map(|w| w.thread_id).collect()
    }

    /// Stops the workers. Each live call is reported as `Closed` (cause `Shutdown`); drain the events afterwards.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for MediaPlane {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.shared.stop.store(true, Relaxed);
            worker.wake.signal();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked has said so on its own; there is nothing left to stop.
                let _ = thread.join();
            }
        }
    }
}

fn start_worker(
    worker: usize,
    config: &MediaConfig,
    marks: &Arc<Marks>,
    event_wake: &Wake,
) -> Result<(Handle, HeapCons<MediaEvent>), MediaError> {
    let failed = |source| MediaError::Start { worker, source };
    let (orders_in, orders_out) = frame::ring(MEDIA_COMMANDS_MAX, || MediaCommand::Close { call: CallId(0) });
    let (events_in, events_out) = frame::ring(MEDIA_EVENTS_MAX, || MediaEvent::Opened { call: CallId(0) });
    let (wake, speech_wake) = (Wake::new().map_err(failed)?, Wake::new().map_err(failed)?);
    let shared = Arc::new(Shared::default());
    let parts = Parts {
        orders: orders_out,
        order_wake: wake.try_clone().map_err(failed)?,
        speech_wake: speech_wake.try_clone().map_err(failed)?,
        event_wake: event_wake.try_clone().map_err(failed)?,
        reports: Reports::new(events_in),
        marks: Arc::clone(marks),
        shared: Arc::clone(&shared),
        calls_max: config.calls_per_worker.min(CALLS_PER_WORKER_MAX),
    };
    let (cpu, ask) = (config.cpus.get(worker).copied(), config.realtime);
    let (settled, wait) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("media-{worker}"))
        .spawn(move || {
            let start = || {
                if let Some(cpu) = cpu {
                    realtime::pin(cpu).map_err(|source| MediaError::Pin { worker, cpu, source })?;
                }
                let loop_ = Worker::new(parts).map_err(|source| MediaError::Start { worker, source })?;
                let scheduling = if ask { realtime::fifo_or_nice(FIFO_PRIORITY) } else { Scheduling::Unasked };
                Ok((loop_, (scheduling, realtime::thread_id())))
            };
            match start() {
                Ok((loop_, settled_as)) => {
                    let _ = settled.send(Ok(settled_as));
                    loop_.run();
                }
                Err(error) => {
                    let _ = settled.send(Err(error));
                }
            }
        })
        .map_err(failed)?;
    let (scheduling, thread_id) =
        wait.recv().map_err(|_| failed(io::Error::other("the thread ended while starting")))??;
    let handle = Handle {
        orders: Mutex::new(orders_in),
        wake,
        speech_wake,
        shared,
        thread: Some(thread),
        thread_id,
        scheduling,
    };
    Ok((handle, events_out))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another control thread cannot leave a ring half-written, nor the map.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reports of all workers, for one consumer.
pub struct MediaEvents {
    rings: Vec<HeapCons<MediaEvent>>,
    wake: Wake,
    elsewhere: Elsewhere,
}

impl std::fmt::Debug for MediaEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaEvents").field("workers", &self.rings.len()).finish_non_exhaustive()
    }
}

impl MediaEvents {
    /// Takes all reports that wait, each worker's in order. Clears the wake first, so that none is missed.
    pub fn drain(&mut self, take: &mut dyn FnMut(MediaEvent)) {
        self.wake.clear();
        for ring in &mut self.rings {
            while let Some(event) = ring.try_pop() {
                if let MediaEvent::Closed { call, .. } | MediaEvent::Refused { call, .. } = &event {
                    lock(&self.elsewhere).remove(call);
                }
                take(event);
            }
        }
    }

    /// Blocks until reports wait or the timeout (milliseconds, −1 for ever) has passed. For threads without an executor.
    #[must_use]
    pub fn wait(&self, timeout_ms: i32) -> bool {
        self.wake.wait(timeout_ms)
    }
}

impl AsRawFd for MediaEvents {
    /// Readable when reports wait: for tokio's `AsyncFd` or epoll.
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::coders::{Coders, SPEECH_RATE};
    use crate::media::event::CloseCause;
    use crate::media::plan::{Role, SessionPlan, prepare};
    use crate::rtp::header::HEADER_LEN;
    use crate::rtp::{Format, Formats, Header};
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    fn open(plane: &MediaPlane, call: u64, phone: &UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.connect(socket.local_addr().unwrap()).unwrap();
        phone.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let plan = SessionPlan {
            remote: Some(phone.local_addr().unwrap()),
            ..SessionPlan::new(CallId(call), socket, Formats::of(Format::PCMA), Role::Echo)
        };
        plane.send(MediaCommand::Open(prepare(plan).unwrap().0)).unwrap();
    }

    fn is_echoed(phone: &UdpSocket, sequence: u16) -> bool {
        let mut datagram = [0x55; HEADER_LEN + 160];
        let header = Header { payload_type: 8, sequence, timestamp: u32::from(sequence) * 160, ..Header::default() };
        header.write(datagram.first_chunk_mut().unwrap());
        phone.send(&datagram).unwrap();
        phone.recv(&mut [0; 1500]).is_ok_and(|len| len == datagram.len())
    }

    fn closed(events: &mut MediaEvents, wanted: CloseCause) -> u64 {
        let (until, mut found) = (Instant::now() + Duration::from_secs(5), None);
        while found.is_none() && Instant::now() < until {
            let _ = events.wait(100);
            events.drain(&mut |e| {
                if let MediaEvent::Closed { call, cause, .. } = e
                    && cause == wanted
                {
                    found = Some(call.0);
                }
            });
        }
        found.expect("a Closed report")
    }

    #[test]
    fn coders_for_a_call_that_has_gone_come_back_for_freeing() {
        let config = MediaConfig { lock_memory: false, realtime: false, ..MediaConfig::default() };
        let mut plane = MediaPlane::start(&config, Arc::new(Marks::new())).unwrap();
        let mut events = plane.take_events().unwrap();
        let formats = Formats::of(Format::PCMA);
        let coders = Some(Coders::new(&formats, SPEECH_RATE).unwrap());
        let remote = "127.0.0.1:9".parse().unwrap();
        plane
            .send(MediaCommand::SetRemote { call: CallId(9), remote, rtcp_remote: None, formats, coders, secure: None })
            .unwrap();
        let (until, mut came) = (Instant::now() + Duration::from_secs(5), false);
        while !came && Instant::now() < until {
            let _ = events.wait(100);
            events.drain(&mut |e| came |= matches!(e, MediaEvent::Retired { call: CallId(9), .. }));
        }
        assert!(came);
    }

    #[test]
    fn a_panic_ends_one_call_and_nothing_else() {
        let marks = Arc::new(Marks::new());
        let config = MediaConfig { lock_memory: false, calls_per_worker: 2, ..MediaConfig::default() };
        let mut plane = MediaPlane::start(&config, Arc::clone(&marks)).unwrap();
        let mut events = plane.take_events().unwrap();
        assert!(plane.take_events().is_none());
        let phones = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        open(&plane, 1, &phones[0]);
        open(&plane, 2, &phones[1]);
        assert!(is_echoed(&phones[0], 1) && is_echoed(&phones[1], 1));
        phones[0].send(b"panic").unwrap();
        assert_eq!(closed(&mut events, CloseCause::Panicked), 1);
        assert!(is_echoed(&phones[1], 2));
        assert_eq!((plane.calls(), marks.media_panics.get()), (1, 1));
        // The slot is free again.
        open(&plane, 3, &phones[2]);
        assert!(is_echoed(&phones[2], 1) && is_echoed(&phones[1], 3));
        let before = plane.oldest_pass();
        assert!(is_echoed(&phones[1], 4));
        thread::sleep(Duration::from_millis(5));
        assert!(plane.oldest_pass() >= before);
    }

    #[test]
    fn faults_of_the_configuration_are_named() {
        let start = |config: MediaConfig| MediaPlane::start(&config, Arc::new(Marks::new())).map(|_| ());
        let base = MediaConfig { lock_memory: false, ..MediaConfig::default() };
        assert!(matches!(start(MediaConfig { workers: 0, ..base.clone() }), Err(MediaError::NoWorkers)));
        let error = start(MediaConfig { cpus: vec![9999], ..base }).unwrap_err();
        assert!(error.to_string().contains("CPU 9999"), "{error}");
    }

    #[test]
    fn calls_are_spread_over_workers_and_stay() {
        let config = MediaConfig { workers: 2, lock_memory: false, realtime: false, ..MediaConfig::default() };
        let mut plane = MediaPlane::start(&config, Arc::new(Marks::new())).unwrap();
        let mut events = plane.take_events().unwrap();
        assert_eq!(plane.realtime(), Scheduling::Unasked);
        assert_ne!(plane.worker_of(CallId(6)), plane.worker_of(CallId(7)));
        assert_eq!(plane.thread_ids().len(), 2);
        let phones = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        open(&plane, 6, &phones[0]);
        open(&plane, 7, &phones[1]);
        assert!(is_echoed(&phones[0], 1) && is_echoed(&phones[1], 1));
        plane.send(MediaCommand::Close { call: CallId(7) }).unwrap();
        assert_eq!(closed(&mut events, CloseCause::Asked), 7);
        assert!(is_echoed(&phones[0], 2));
    }
}
