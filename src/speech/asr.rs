//! The recogniser threads and their pool of warm decoders.
//!
//! Purpose: a decoder costs about 10 MB and 30–150 ms to make, so all are made at start; one is leased when a caller
//! begins to speak and comes back with the turn's result. Owning thread: each "asr-N" owns its decoders whole; the ears talk
//! to it through one bounded channel, calls are dealt out to the threads when they attach. Invariants: audio of one call is
//! decoded in order; a turn that finds no free decoder is answered (`Failed`, then an empty `Final`); nothing waits for a
//! call's actor. Deliberately absent: where a turn starts and ends (`ears`, `turn`).

use super::event::{Part, SpeechEvent};
use super::search;
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::time::MediaTime;
use callwright_dsp::resample::Upsampler2;
use callwright_models::asr::{Decoder, Hypothesis};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashMap;
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
    /// Where to answer while no decoder is leased.
    unserved: Option<mpsc::Sender<SpeechEvent>>,
}

/// Runs a recogniser thread until its channel closes.
pub(super) fn run(decoders: Vec<Decoder>, jobs: &Receiver<Job>) {
    let pool_size = decoders.len();
    let mut pool = decoders;
    let mut lines: HashMap<CallId, Line> = HashMap::new();
    let mut wide = Vec::new();
    while let Ok(job) = jobs.recv() {
        let call = job.call();
        let events = lines.get(&call).and_then(|line| line.turn.as_ref()).map(|turn| turn.events.clone());
        let end = match &job {
            Job::End { started, ended, asked, .. } => Some((*started, *ended, *asked)),
            Job::Begin { .. } | Job::Audio { .. } | Job::Forget { .. } => None,
        };
        // A panic costs one call its turn (and the pool that decoder), not every call its recogniser.
        if catch_unwind(AssertUnwindSafe(|| handle(job, &mut pool, &mut lines, &mut wide, pool_size))).is_ok() {
            continue;
        }
        lines.remove(&call);
        let Some(events) = events else { continue };
        tell(&events, SpeechEvent::Failed { part: Part::Asr, what: "recognition failed for this turn".into() });
        match end {
            Some((started, ended, asked)) => answer(&events, Hypothesis::default(), started, ended, asked),
            None => {
                lines.insert(call, Line { unserved: Some(events), ..Line::default() });
            }
        }
    }
}

fn answer(events: &mpsc::Sender<SpeechEvent>, heard: Hypothesis, started: MediaTime, ended: MediaTime, asked: Instant) {
    let took = asked.elapsed();
    tell(events, SpeechEvent::Final { text: heard.text, confidence: heard.confidence, started, ended, took });
}

fn handle(job: Job, pool: &mut Vec<Decoder>, lines: &mut HashMap<CallId, Line>, wide: &mut Vec<i16>, pool_size: usize) {
    match job {
        Job::Begin { call, expectation, events } => {
            let line = lines.entry(call).or_default();
            if line.turn.is_some() {
                return;
            }
            match lease(pool, line, expectation, &events, pool_size) {
                Some(turn) => line.turn = Some(turn),
                None => line.unserved = Some(events),
            }
        }
        Job::Audio { call, samples } => {
            if let Some(turn) = lines.get_mut(&call).and_then(|line| line.turn.as_mut()) {
                turn.decode(&samples, wide);
            }
        }
        Job::End { call, started, ended, asked } => {
            let Some(line) = lines.get_mut(&call) else { return };
            let (events, hypothesis) = match line.turn.take() {
                Some(mut turn) => {
                    let hypothesis = turn.finish();
                    line.cepstral_mean = turn.decoder.cepstral_mean();
                    pool.push(turn.decoder);
                    (turn.events, hypothesis)
                }
                None => match line.unserved.take() {
                    Some(events) => (events, Hypothesis::default()),
                    None => return,
                },
            };
            answer(&events, hypothesis, started, ended, asked);
        }
        Job::Forget { call } => {
            if let Some(turn) = lines.remove(&call).and_then(|line| line.turn) {
                let mut decoder = turn.decoder;
                decoder.finish();
                pool.push(decoder);
            }
        }
    }
}

fn lease(
    pool: &mut Vec<Decoder>,
    line: &Line,
    expectation: Expectation,
    events: &mpsc::Sender<SpeechEvent>,
    pool_size: usize,
) -> Option<Turn> {
    let Some(mut decoder) = pool.pop() else {
        tell(
            events,
            SpeechEvent::Failed {
                part: Part::Asr,
                what: format!("all {pool_size} recognisers are in use; raise speech.decoders"),
            },
        );
        return None;
    };
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
