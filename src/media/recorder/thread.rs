//! The recorder. Purpose: empty the rings of all recorded calls in time and write what they held. Owning thread:
//! `recorder`, one for all calls, of ordinary priority and off the media workers' cores where there are others.
//! Invariants: a pass does bounded work for each call, a ring's worth at most, and begins with another call each time;
//! whatever fails ends that recording, is reported, and leaves the call alone; below the floor of free space all
//! recordings end and none begins. Deliberately absent: waiting for the disk to have it (`keeper`).

use super::align::{Aligner, Pair, WAIT};
use super::disk::{Format, Part, Place};
use super::keeper::Finished;
use super::sink::Sink;
use super::tap::{Shared, TapFrame};
use super::{Ended, Outcome, Report, Reports};
use crate::id::CallId;
use crate::limits::{RECORDING_POLL, RECORDING_RING_FRAMES};
use crate::os::{batch, clock, disk, random};
use crate::telemetry::Marks;
use crate::time::{Tick, Wallclock};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Free space is looked at this often.
const SPACE_EVERY: Duration = Duration::from_secs(1);

/// What control tells the recorder.
pub(super) enum Order {
    Open(Box<Recording>),
    Stop,
}

/// What control may look at.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Recordings under way.
    pub(super) open: AtomicUsize,
    /// Too little space: begin none.
    pub(super) full: AtomicBool,
}

/// One call's recording.
pub(super) struct Recording {
    call: CallId,
    name: String,
    format: Format,
    ring: HeapCons<TapFrame>,
    shared: Arc<Shared>,
    aligner: Aligner,
    /// Made with the first audio, so that a call without leaves no file.
    sink: Option<Sink>,
    /// There was audio to write.
    began: bool,
    /// When the tap was made, before audio time 0.
    opened: Tick,
    /// When a frame last came.
    heard: Tick,
    overflowed: u64,
    misplaced: u64,
}

/// Where a recording stands after it was served.
enum Served {
    Going,
    Over(Outcome),
}

impl Recording {
    pub(super) fn new(
        call: CallId,
        name: String,
        format: Format,
        ring: HeapCons<TapFrame>,
        shared: Arc<Shared>,
    ) -> Self {
        let (aligner, opened) = (Aligner::new(), clock::monotonic());
        Self {
            call,
            name,
            format,
            ring,
            shared,
            aligner,
            sink: None,
            began: false,
            opened,
            heard: opened,
            overflowed: 0,
            misplaced: 0,
        }
    }

    /// Takes what the ring holds and writes what is ready. `last`: it ends here, whatever the call does.
    fn serve(&mut self, now: Tick, last: bool, place: &Place, marks: &Marks, reports: &Reports) -> io::Result<Served> {
        // Asked first: what was pushed before the tap went is in the ring then.
        let ended = last || !self.ring.write_is_held();
        let mut writer = Writer {
            sink: &mut self.sink,
            name: &self.name,
            format: self.format,
            place,
            began: &mut self.began,
            outcome: Ok(()),
        };
        let known = *writer.began;
        let mut out = |pairs: &[Pair]| writer.write(pairs);
        self.aligner.handle_time(now.since(self.opened));
        let mut taken = 0;
        for _ in 0..RECORDING_RING_FRAMES {
            let Some(frame) = self.ring.try_pop() else { break };
            self.aligner.handle_frame(&frame, &mut out);
            taken += 1;
        }
        if taken > 0 {
            self.heard = now;
        }
        if ended || now.since(self.heard) > WAIT {
            self.aligner.poll_all(&mut out);
        } else {
            self.aligner.poll_ready(&mut out);
        }
        let outcome = writer.outcome;
        marks.recording_taken.add(taken);
        let overflowed = self.shared.overflowed.load(Relaxed);
        marks.recording_overflowed.add(overflowed - std::mem::replace(&mut self.overflowed, overflowed));
        let misplaced = self.aligner.misplaced();
        marks.recording_misplaced.add(misplaced - std::mem::replace(&mut self.misplaced, misplaced));
        if self.began && !known {
            reports(Report::Started { call: self.call, name: self.name.clone(), format: self.format });
        }
        outcome?;
        if let Some(sink) = &mut self.sink {
            sink.flush()?;
        }
        Ok(if ended { Served::Over(Outcome::Complete) } else { Served::Going })
    }

    /// Ends the file.
    fn close(mut self, outcome: Outcome) -> Finished {
        self.shared.stopped.store(true, Relaxed);
        let (part, outcome) = self.end(outcome);
        Finished {
            part,
            ended: Ended {
                call: self.call,
                name: std::mem::take(&mut self.name),
                format: self.format,
                outcome,
                samples: self.aligner.released(),
                octets: 0,
                lost_frames: self.overflowed,
                withheld_frames: self.shared.withheld.load(Relaxed),
                trimmed_samples: self.aligner.trimmed(),
            },
        }
    }

    fn end(&mut self, outcome: Outcome) -> (Option<Part>, Outcome) {
        let Some(sink) = self.sink.take() else {
            return (None, if self.began { outcome } else { Outcome::Empty });
        };
        if outcome != Outcome::Complete {
            // The keeper makes it end where it was last whole.
            return (Some(sink.into_part()), outcome);
        }
        let (part, ended) = sink.finish();
        (Some(part), ended.map_or_else(|error| Outcome::Stopped(cause(&error)), |()| outcome))
    }
}

/// Takes samples on their way from the aligner to the file, and remembers what went wrong.
struct Writer<'a> {
    sink: &'a mut Option<Sink>,
    name: &'a str,
    format: Format,
    place: &'a Place,
    began: &'a mut bool,
    outcome: io::Result<()>,
}

impl Writer<'_> {
    fn write(&mut self, pairs: &[Pair]) {
        if self.outcome.is_ok() {
            self.outcome = self.try_write(pairs);
        }
    }

    fn try_write(&mut self, pairs: &[Pair]) -> io::Result<()> {
        let sink = match &mut self.sink {
            Some(sink) => sink,
            none => {
                *self.began = true;
                none.insert(Sink::create(self.place, self.name, self.format, random::u32())?)
            }
        };
        sink.write(pairs)
    }
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

/// All recordings.
pub(super) struct Recorder {
    pub(super) place: Place,
    pub(super) floor_octets: u64,
    pub(super) avoid_cpus: Vec<usize>,
    pub(super) orders: Receiver<Order>,
    pub(super) finished: Sender<Finished>,
    pub(super) standing: Arc<Standing>,
    pub(super) marks: Arc<Marks>,
    pub(super) reports: Reports,
    pub(super) open: Vec<Recording>,
}

impl Recorder {
    /// Runs until told to stop; ends all files then.
    pub(super) fn run(mut self) {
        // Ordinary priority: below it, other work on the box starved the recorder for longer than its rings last. Media workers
        // are above it anyway; being on another core is a courtesy, and a refusal no reason to record nothing.
        let _ = batch::keep_off(&self.avoid_cpus);
        let mut space_due = clock::monotonic();
        let mut going = true;
        while going {
            let due = clock::monotonic() + RECORDING_POLL;
            while going {
                match self.orders.recv_timeout(due.since(clock::monotonic())) {
                    Ok(Order::Open(recording)) => self.open.push(*recording),
                    Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => going = false,
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            let now = clock::monotonic();
            if now >= space_due {
                space_due = now + SPACE_EVERY;
                self.look_at_space();
            }
            self.pass(now, !going);
        }
    }

    /// Serves every recording once; `last`: and ends them.
    pub(super) fn pass(&mut self, now: Tick, last: bool) {
        // Who was first is last next time.
        if !self.open.is_empty() {
            self.open.rotate_left(1);
        }
        let mut at = 0;
        while let Some(recording) = self.open.get_mut(at) {
            let (place, marks, reports) = (&self.place, &self.marks, &self.reports);
            let served = catch_unwind(AssertUnwindSafe(|| recording.serve(now, last, place, marks, reports)));
            let outcome = match served {
                Ok(Ok(Served::Going)) => {
                    at += 1;
                    continue;
                }
                Ok(Ok(Served::Over(outcome))) => outcome,
                Ok(Err(error)) => Outcome::Stopped(cause(&error)),
                Err(_) => Outcome::Stopped("a fault of ours, see the log".to_owned()),
            };
            let recording = self.open.swap_remove(at);
            self.finish(recording, outcome);
        }
    }

    fn finish(&self, recording: Recording, outcome: Outcome) {
        self.standing.open.fetch_sub(1, Relaxed);
        match self.finished.try_send(recording.close(outcome)) {
            Ok(()) => {}
            Err(TrySendError::Full(finished) | TrySendError::Disconnected(finished)) => {
                // The disk is that slow: the file keeps its `.part` name, and the next start mends it.
                (self.reports)(Report::Failed {
                    what: format!("{} waits for a restart to be completed: the disk is too slow", finished.ended.name),
                });
                (self.reports)(Report::Ended(finished.ended));
            }
        }
    }

    /// Ends everything when space runs out, and allows it again when there is some.
    pub(super) fn look_at_space(&mut self) {
        let Ok(free) = disk::free_octets(&self.place.root()) else { return };
        let full = free < self.floor_octets;
        if self.standing.full.swap(full, Relaxed) != full {
            (self.reports)(Report::Space { full, free_octets: free, floor_octets: self.floor_octets });
        }
        if full {
            for recording in std::mem::take(&mut self.open) {
                self.finish(recording, Outcome::Stopped("too little free space".to_owned()));
            }
        }
    }
}

/// Date and call in one name.
pub(super) fn name(call: CallId, started: Wallclock, format: Format) -> String {
    super::disk::name(&call.to_string(), started, format)
}
