//! The recogniser threads and their pool of warm decoders.
//!
//! Purpose: a decoder costs about 10 MB and 30–150 ms to make, so all are made at start; one is leased when a caller
//! begins to speak and comes back with the turn's result. Owning thread: each "asr-N" owns its decoders whole; the ears talk
//! to it through one bounded channel, calls are dealt out to the threads when they attach. Invariants: audio of one call is
//! decoded in order; a turn that finds no free decoder is kept and recognised as soon as one comes back, the oldest first;
//! every turn is answered; nothing waits for a call's actor. Deliberately absent: where a turn starts and ends (`ears`, `turn`).

use super::event::{Part, SpeechEvent};
use super::search;
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::limits::RECOGNISER_QUEUE_MAX;
use crate::time::MediaTime;
use callwright_dsp::resample::half_band::Upsampler2;
use callwright_models::asr::{Decoder, Hypothesis};
use crossbeam_channel::{Receiver, Sender};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use tokio::sync::mpsc;

/// Decoded audio between two looks at the words so far: 160 ms.
const PARTIAL_SAMPLES: usize = 1280;

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
    decoder: Decoder,
    expectation: Expectation,
    events: mpsc::Sender<SpeechEvent>,
    upsampler: Upsampler2,
    since_partial: usize,
    partial: String,
    failed: bool,
}

/// What stays of a call between its turns.
#[derive(Default)]
struct Line {
    /// What the decoder learnt of this line's sound.
    cepstral_mean: Option<String>,
    turn: Option<Turn>,
    /// Where to answer a turn that cannot be recognised.
    unserved: Option<mpsc::Sender<SpeechEvent>>,
}

/// A turn for which there was no decoder, as far as it has come.
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
    pool: Vec<Decoder>,
    pool_size: usize,
    lines: HashMap<CallId, Line>,
    waiting: VecDeque<Waiting>,
    wide: Vec<i16>,
}

/// Runs a recogniser thread until its channel closes.
pub(super) fn run(decoders: Vec<Decoder>, jobs: &Receiver<Job>) {
    let pool_size = decoders.len();
    let (lines, waiting) = (HashMap::new(), VecDeque::new());
    let mut room = Room { pool: decoders, pool_size, lines, waiting, wide: Vec::new() };
    while let Ok(job) = jobs.recv() {
        let call = job.call();
        let events = room.lines.get(&call).and_then(|line| line.turn.as_ref()).map(|turn| turn.events.clone());
        let end = match &job {
            Job::End { started, ended, asked, .. } => Some(End { started: *started, ended: *ended, asked: *asked }),
            Job::Begin { .. } | Job::Audio { .. } | Job::Forget { .. } => None,
        };
        // A panic costs one call its turn (and the pool that decoder), not every call its recogniser.
        if catch_unwind(AssertUnwindSafe(|| room.handle(job))).is_err() {
            room.give_up(call, events, end);
        }
        while let Some(next) = room.next_waiting() {
            let (call, events, end) = (next.call, next.events.clone(), next.end);
            if catch_unwind(AssertUnwindSafe(|| room.take_up(next))).is_err() {
                room.give_up(call, Some(events), end);
            }
        }
    }
}

fn answer(events: &mpsc::Sender<SpeechEvent>, heard: Hypothesis, end: End) {
    let End { started, ended, asked } = end;
    let took = asked.elapsed();
    tell(events, SpeechEvent::Final { text: heard.text, confidence: heard.confidence, started, ended, took });
}

impl Room {
    fn handle(&mut self, job: Job) {
        match job {
            Job::Begin { call, expectation, events } => self.begin(call, expectation, events),
            Job::Audio { call, samples } => {
                if let Some(waiting) = self.unfinished(call) {
                    waiting.samples.extend_from_slice(&samples);
                } else if let Some(turn) = self.lines.get_mut(&call).and_then(|line| line.turn.as_mut()) {
                    turn.decode(&samples, &mut self.wide);
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
                    let mut decoder = turn.decoder;
                    decoder.finish();
                    self.pool.push(decoder);
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
        let behind = self.waiting.iter().any(|waiting| waiting.call == call);
        if !self.pool.is_empty() && !behind {
            return self.lease(call, expectation, &events);
        }
        if self.waiting.len() >= RECOGNISER_QUEUE_MAX {
            let what = format!("{} turns wait for a recogniser; raise speech.decoders", self.waiting.len());
            tell(&events, SpeechEvent::Failed { part: Part::Asr, what });
            self.lines.entry(call).or_default().unserved = Some(events);
            return;
        }
        tracing::info!(%call, "all {} recognisers are in use; a caller waits. More: speech.decoders", self.pool_size);
        self.waiting.push_back(Waiting { call, expectation, events, samples: Vec::new(), end: None });
    }

    /// The call's turn that waits and goes on.
    fn unfinished(&mut self, call: CallId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.call == call && waiting.end.is_none())
    }

    /// The turn that has waited longest, if there is a decoder for it now.
    fn next_waiting(&mut self) -> Option<Waiting> {
        (!self.pool.is_empty()).then(|| self.waiting.pop_front()).flatten()
    }

    /// Makes up for the time that a turn has waited.
    fn take_up(&mut self, waiting: Waiting) {
        let call = waiting.call;
        self.lease(call, waiting.expectation, &waiting.events);
        if let Some(turn) = self.lines.get_mut(&call).and_then(|line| line.turn.as_mut()) {
            turn.decode(&waiting.samples, &mut self.wide);
        }
        if let Some(end) = waiting.end {
            self.end(call, end);
        }
    }

    fn end(&mut self, call: CallId, end: End) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        let (events, hypothesis) = match line.turn.take() {
            Some(mut turn) => {
                let hypothesis = turn.finish();
                line.cepstral_mean = turn.decoder.cepstral_mean();
                self.pool.push(turn.decoder);
                (turn.events, hypothesis)
            }
            None => match line.unserved.take() {
                Some(events) => (events, Hypothesis::default()),
                None => return,
            },
        };
        answer(&events, hypothesis, end);
    }

    fn lease(&mut self, call: CallId, expectation: Expectation, events: &mpsc::Sender<SpeechEvent>) {
        let line = self.lines.entry(call).or_default();
        match lease(&mut self.pool, line, expectation, events) {
            Some(turn) => line.turn = Some(turn),
            None => line.unserved = Some(events.clone()),
        }
    }

    /// After a panic: the turn is answered all the same, now or at its end.
    fn give_up(&mut self, call: CallId, events: Option<mpsc::Sender<SpeechEvent>>, end: Option<End>) {
        self.lines.remove(&call);
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

/// `None`: there is no decoder, or it does not work; then that has been told.
fn lease(
    pool: &mut Vec<Decoder>,
    line: &Line,
    expectation: Expectation,
    events: &mpsc::Sender<SpeechEvent>,
) -> Option<Turn> {
    let mut decoder = pool.pop()?;
    let ready = decoder.activate(search::name(expectation)).and_then(|()| decoder.start(line.cepstral_mean.as_deref()));
    if let Err(error) = ready {
        tell(events, SpeechEvent::Failed { part: Part::Asr, what: error.to_string() });
        pool.push(decoder);
        return None;
    }
    Some(Turn {
        decoder,
        expectation,
        events: events.clone(),
        upsampler: Upsampler2::default(),
        since_partial: 0,
        partial: String::new(),
        failed: false,
    })
}

impl Turn {
    fn decode(&mut self, samples: &[i16], wide: &mut Vec<i16>) {
        wide.resize(samples.len() * 2, 0);
        self.upsampler.process(samples, wide);
        if let Err(error) = self.decoder.process(wide) {
            if !self.failed {
                tell(&self.events, SpeechEvent::Failed { part: Part::Asr, what: error.to_string() });
            }
            self.failed = true;
            return;
        }
        self.since_partial += samples.len();
        if self.since_partial >= PARTIAL_SAMPLES {
            self.since_partial = 0;
            let text = self.decoder.partial();
            if text != self.partial {
                self.partial.clone_from(&text);
                tell(&self.events, SpeechEvent::Partial { text });
            }
        }
    }

    fn finish(&mut self) -> Hypothesis {
        self.decoder.finish_with_synonyms(search::synonyms(self.expectation))
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
