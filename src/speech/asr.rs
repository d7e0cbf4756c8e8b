//! The recogniser threads and how turns share their engines.
//!
//! Purpose: an engine is made and warmed at start; a place in it is leased when a caller begins to speak and comes back with
//! the turn's result. Owning thread: each "asr-N" owns its engine whole; the ears talk to it through one bounded channel,
//! calls are dealt out to the threads when they attach. Invariants: audio of one call is decoded in order, and its turns are
//! answered in order; a turn that finds no free place is kept and recognised as soon as one is, the oldest first; every turn
//! is answered; nothing waits for a call's actor. Deliberately absent: engines (`recogniser`), where a turn starts and ends
//! (`ears`, `turn`).

use super::event::{Part, SpeechEvent};
use super::recogniser::{Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::limits::RECOGNISER_QUEUE_MAX;
use crate::time::MediaTime;
use callwright_models::asr::Hypothesis;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Decoded audio between two looks at the words so far: 160 ms.
const PARTIAL_SAMPLES: usize = 1280;
/// Orders taken at once, so that partials and results are never far behind.
const BATCH_MAX: usize = 64;
/// How often an engine with outstanding results is looked at.
const PENDING_POLL: Duration = Duration::from_millis(5);

/// One order to a recogniser thread.
pub(super) enum Job {
    /// A caller began to speak.
    Begin { call: CallId, expectation: Expectation, events: mpsc::Sender<SpeechEvent> },
    /// The next samples of the turn, 8 kHz.
    Audio { call: CallId, samples: Box<[i16]> },
    /// The turn is over.
    End { call: CallId, started: MediaTime, ended: MediaTime, asked: Instant },
    /// The call is over.
    Forget { call: CallId },
}

impl Job {
    fn call(&self) -> CallId {
        match self {
            Self::Begin { call, .. } | Self::Audio { call, .. } | Self::End { call, .. } | Self::Forget { call } => {
                *call
            }
        }
    }
}

struct Turn {
    /// Where the engine hears it.
    place: usize,
    events: mpsc::Sender<SpeechEvent>,
    since_partial: usize,
    partial: String,
    failed: bool,
}

/// What stays of a call between its turns.
#[derive(Default)]
struct Line {
    memory: LineMemory,
    turn: Option<Turn>,
    /// Where to answer a turn that cannot be recognised.
    unserved: Option<mpsc::Sender<SpeechEvent>>,
}

/// A turn for which there was no place, as far as it has come.
struct Waiting {
    call: CallId,
    expectation: Expectation,
    events: mpsc::Sender<SpeechEvent>,
    samples: Vec<i16>,
    end: Option<End>,
}

/// The end of a turn.
#[derive(Clone, Copy)]
struct End {
    started: MediaTime,
    ended: MediaTime,
    asked: Instant,
}

/// Everything that a recogniser thread owns.
struct Room {
    engine: Box<dyn Recogniser>,
    /// Places that no turn has.
    free: Vec<usize>,
    lines: HashMap<CallId, Line>,
    waiting: VecDeque<Waiting>,
    /// Turns whose audio is complete, by place.
    ending: HashMap<usize, (CallId, mpsc::Sender<SpeechEvent>, End)>,
}

/// Runs a recogniser thread until its channel closes.
pub(super) fn run(engine: Box<dyn Recogniser>, jobs: &Receiver<Job>) {
    let free = (0..engine.places()).rev().collect();
    let (lines, waiting, ending) = (HashMap::new(), VecDeque::new(), HashMap::new());
    let mut room = Room { engine, free, lines, waiting, ending };
    loop {
        let first = if room.engine.is_pending() {
            jobs.recv_timeout(PENDING_POLL)
        } else {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match first {
            Ok(job) => {
                // What has come meanwhile is decoded together.
                for job in std::iter::once(job).chain(jobs.try_iter().take(BATCH_MAX)) {
                    room.guarded(job);
                    if room.is_partial_due() {
                        break;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        room.settle();
    }
}

fn answer(events: &mpsc::Sender<SpeechEvent>, heard: Hypothesis, end: End) {
    let End { started, ended, asked } = end;
    let took = asked.elapsed();
    let Hypothesis { text, confidence, alternatives, .. } = heard;
    tell(events, SpeechEvent::Final { text, confidence, alternatives, started, ended, took });
}

impl Room {
    /// A panic costs one call its turn, not every call its recogniser.
    fn guarded(&mut self, job: Job) {
        let call = job.call();
        let end = match &job {
            Job::End { started, ended, asked, .. } => Some(End { started: *started, ended: *ended, asked: *asked }),
            Job::Begin { .. } | Job::Audio { .. } | Job::Forget { .. } => None,
        };
        if catch_unwind(AssertUnwindSafe(|| self.handle(job))).is_err() {
            self.give_up(call, end);
        }
    }

    fn handle(&mut self, job: Job) {
        match job {
            Job::Begin { call, expectation, events } => self.begin(call, expectation, events),
            Job::Audio { call, samples } => {
                if let Some(waiting) = self.unfinished(call) {
                    waiting.samples.extend_from_slice(&samples);
                } else {
                    self.accept(call, &samples);
                }
            }
            Job::End { call, started, ended, asked } => {
                let end = End { started, ended, asked };
                match self.unfinished(call) {
                    Some(waiting) => waiting.end = Some(end),
                    None => self.end(call, end),
                }
            }
            Job::Forget { call } => {
                self.waiting.retain(|waiting| waiting.call != call);
                if let Some(turn) = self.lines.remove(&call).and_then(|line| line.turn) {
                    self.engine.abandon(turn.place);
                    self.free.push(turn.place);
                }
            }
        }
    }

    fn begin(&mut self, call: CallId, expectation: Expectation, events: mpsc::Sender<SpeechEvent>) {
        let in_turn = self.lines.get(&call).is_some_and(|line| line.turn.is_some());
        if in_turn || self.unfinished(call).is_some() {
            return;
        }
        // Behind an earlier turn of the same call, too: answers come in order.
        let behind = self.waiting.iter().any(|waiting| waiting.call == call) || self.is_ending(call);
        if !self.free.is_empty() && !behind {
            return self.lease(call, expectation, &events);
        }
        if self.waiting.len() >= RECOGNISER_QUEUE_MAX {
            let what = format!("{} turns wait for a recogniser; raise speech.decoders", self.waiting.len());
            tell(&events, SpeechEvent::Failed { part: Part::Asr, what });
            self.lines.entry(call).or_default().unserved = Some(events);
            return;
        }
        if self.free.is_empty() {
            let places = self.engine.places();
            tracing::info!(%call, "all {places} recognisers are in use; a caller waits. More: speech.decoders");
        }
        self.waiting.push_back(Waiting { call, expectation, events, samples: Vec::new(), end: None });
    }

    /// The call's turn that waits and goes on.
    fn unfinished(&mut self, call: CallId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.call == call && waiting.end.is_none())
    }

    fn is_ending(&self, call: CallId) -> bool {
        self.ending.values().any(|(other, ..)| *other == call)
    }

    /// The turn that has waited longest and may begin, if there is a place for it now.
    fn next_waiting(&mut self) -> Option<Waiting> {
        if self.free.is_empty() {
            return None;
        }
        let at = self.waiting.iter().position(|waiting| !self.is_ending(waiting.call))?;
        self.waiting.remove(at)
    }

    /// Decodes what came, answers what is finished, and begins what has waited for that; until nothing moves.
    fn settle(&mut self) {
        loop {
            if catch_unwind(AssertUnwindSafe(|| self.engine.advance())).is_err() {
                // Which turn it was is unknown; all of them begin anew.
                let calls: Vec<CallId> =
                    self.lines.iter().filter(|(_, line)| line.turn.is_some()).map(|(call, _)| *call).collect();
                for call in calls {
                    self.give_up(call, None);
                }
            }
            self.tell_partials();
            let mut moved = false;
            while let Some((place, finished)) = self.engine.poll_finished() {
                moved = true;
                self.answer(place, finished);
            }
            while let Some(next) = self.next_waiting() {
                moved = true;
                let (call, end) = (next.call, next.end);
                let events = next.events.clone();
                if catch_unwind(AssertUnwindSafe(|| self.take_up(next))).is_err() {
                    self.lines.entry(call).or_default().unserved.get_or_insert(events);
                    self.give_up(call, end);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Makes up for the time that a turn has waited.
    fn take_up(&mut self, waiting: Waiting) {
        self.lease(waiting.call, waiting.expectation, &waiting.events);
        self.accept(waiting.call, &waiting.samples);
        if let Some(end) = waiting.end {
            self.end(waiting.call, end);
        }
    }

    fn lease(&mut self, call: CallId, expectation: Expectation, events: &mpsc::Sender<SpeechEvent>) {
        let Some(place) = self.free.pop() else { return };
        let line = self.lines.entry(call).or_default();
        match self.engine.begin(place, expectation, &line.memory) {
            Ok(()) => {
                let events = events.clone();
                line.turn = Some(Turn { place, events, since_partial: 0, partial: String::new(), failed: false });
            }
            Err(what) => {
                self.free.push(place);
                tell(events, SpeechEvent::Failed { part: Part::Asr, what });
                line.unserved = Some(events.clone());
            }
        }
    }

    fn accept(&mut self, call: CallId, samples: &[i16]) {
        let Some(turn) = self.lines.get_mut(&call).and_then(|line| line.turn.as_mut()) else { return };
        match self.engine.accept(turn.place, samples) {
            Ok(()) => turn.since_partial += samples.len(),
            Err(what) => {
                if !turn.failed {
                    tell(&turn.events, SpeechEvent::Failed { part: Part::Asr, what });
                }
                turn.failed = true;
            }
        }
    }

    fn is_partial_due(&self) -> bool {
        self.lines.values().filter_map(|line| line.turn.as_ref()).any(|turn| turn.since_partial >= PARTIAL_SAMPLES)
    }

    fn tell_partials(&mut self) {
        for turn in self.lines.values_mut().filter_map(|line| line.turn.as_mut()) {
            if turn.since_partial >= PARTIAL_SAMPLES {
                turn.since_partial = 0;
                let text = self.engine.partial(turn.place);
                if text != turn.partial {
                    turn.partial.clone_from(&text);
                    tell(&turn.events, SpeechEvent::Partial { text });
                }
            }
        }
    }

    fn end(&mut self, call: CallId, end: End) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        if let Some(turn) = line.turn.take() {
            self.ending.insert(turn.place, (call, turn.events, end));
            self.engine.finish(turn.place);
        } else if let Some(events) = line.unserved.take() {
            answer(&events, Hypothesis::default(), end);
        }
    }

    fn answer(&mut self, place: usize, finished: Finished) {
        let Some((call, events, end)) = self.ending.remove(&place) else { return };
        self.free.push(place);
        if let Some(line) = self.lines.get_mut(&call) {
            line.memory = finished.memory;
        }
        let heard = finished.heard.unwrap_or_else(|what| {
            tell(&events, SpeechEvent::Failed { part: Part::Asr, what });
            Hypothesis::default()
        });
        answer(&events, heard, end);
    }

    /// After a panic: the turn is answered all the same, now or at its end, and its place is free.
    fn give_up(&mut self, call: CallId, end: Option<End>) {
        let line = self.lines.remove(&call).unwrap_or_default();
        let ended = self.ending.iter().find(|(_, (other, ..))| *other == call).map(|(place, _)| *place);
        let place = line.turn.as_ref().map(|turn| turn.place).or(ended);
        let ended = ended.and_then(|place| self.ending.remove(&place));
        if let Some(place) = place {
            // A place that panics again when it is cleared is not used again.
            if catch_unwind(AssertUnwindSafe(|| self.engine.abandon(place))).is_ok() {
                self.free.push(place);
            }
        }
        let end = end.or(ended.as_ref().map(|(_, _, end)| *end));
        let events = line.turn.map(|turn| turn.events).or(line.unserved).or(ended.map(|(_, events, _)| events));
        let Some(events) = events else { return };
        tell(&events, SpeechEvent::Failed { part: Part::Asr, what: "recognition failed for this turn".into() });
        match end {
            Some(end) => answer(&events, Hypothesis::default(), end),
            None => {
                self.lines.insert(call, Line { unserved: Some(events), ..Line::default() });
            }
        }
    }
}

/// Hands an event over without ever waiting; room for these is kept by whoever sends `Voice`.
pub(super) fn tell(events: &mpsc::Sender<SpeechEvent>, event: SpeechEvent) {
    if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
        tracing::error!(?event, "speech: a call does not read its events");
    }
}

/// What the ears know of a recogniser thread.
pub(super) type Jobs = Sender<Job>;
