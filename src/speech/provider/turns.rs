//! A recogniser whose turns are heard elsewhere. Purpose: the recogniser thread hands audio over and looks for results; a
//! task on the cloud's thread talks to the provider. Owning thread: "asr-N"; it never waits. Invariants: a turn's audio is
//! bounded by `limits::PROVIDER_CHUNKS_MAX` pieces; a turn has one task, which ends with it; a result that is late by the
//! configured deadline is a failure, and what comes after it is ignored.
//! Deliberately absent: what providers are told (one file each), the local engine (`with_local`).

use super::cloud::Cloud;
use super::failure::ProviderError;
use super::gate::{Gate, Permit};
use crate::conversation::Expectation;
use crate::limits::{PROVIDER_CHUNKS_MAX, UTTERANCE_MAX};
use crate::speech::plain::{plain, plain_hypothesis};
use crate::speech::recogniser::{Finished, LineMemory, Recogniser};
use callwright_models::asr::Hypothesis;
use crossbeam_channel::{Receiver, Sender};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Samples of a turn that are sent at most; the ears end turns before.
const TURN_SAMPLES_MAX: usize = (UTTERANCE_MAX.as_secs() as usize + 5) * 8000;

/// A turn as a provider's task sees it.
pub(super) struct Turn {
    /// 8 kHz; closed when the turn is over.
    pub(super) audio: mpsc::Receiver<Box<[i16]>>,
    /// Where audio is counted.
    pub(super) gate: Arc<Gate>,
    words: Arc<Mutex<String>>,
}

impl Turn {
    /// Reports the words so far.
    pub(super) fn tell(&self, words: String) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

/// One turn being heard.
pub(super) type Hearing = Pin<Box<dyn Future<Output = Result<Hypothesis, ProviderError>> + Send>>;

/// A provider's way of hearing a turn.
pub(super) trait Listener: Send + Sync {
    /// Hears a turn to its end.
    fn hear(self: Arc<Self>, turn: Turn) -> Hearing;
}

type Outcome = Result<Hypothesis, ProviderError>;

struct Seat {
    turn: u64,
    /// None when the turn is over.
    audio: Option<mpsc::Sender<Box<[i16]>>>,
    samples: usize,
    words: Arc<Mutex<String>>,
    task: AbortHandle,
    permit: Option<Permit>,
    /// When the result is late.
    due: Option<Instant>,
    outcome: Option<Outcome>,
    expectation: Expectation,
    memory: LineMemory,
}

/// An engine of `places` turns at once.
pub(in crate::speech) struct RemoteRecogniser {
    cloud: Arc<Cloud>,
    listener: Arc<dyn Listener>,
    gate: Arc<Gate>,
    final_within: Duration,
    seats: Vec<Option<Seat>>,
    turns: u64,
    told: Sender<(usize, u64, Outcome)>,
    outcomes: Receiver<(usize, u64, Outcome)>,
}

impl RemoteRecogniser {
    pub(super) fn new(
        cloud: Arc<Cloud>,
        listener: Arc<dyn Listener>,
        gate: Arc<Gate>,
        final_within: Duration,
        places: usize,
    ) -> Self {
        let seats: Vec<Option<Seat>> = (0..places.max(1)).map(|_| None).collect();
        // A turn reports once. One that was given up may have reported before, so there is room for two a place; a report
        // that finds none is of a turn that nobody waits for.
        let (told, outcomes) = crossbeam_channel::bounded(2 * seats.len());
        Self { cloud, listener, gate, final_within, seats, turns: 0, told, outcomes }
    }

    /// Takes in what the tasks have reported.
    fn gather(&mut self) {
        while let Ok((place, turn, outcome)) = self.outcomes.try_recv() {
            let Some(seat) = self.seats.get_mut(place).and_then(Option::as_mut) else { continue };
            if seat.turn == turn && seat.outcome.is_none() {
                seat.settle(outcome);
            }
        }
    }
}

impl Seat {
    fn settle(&mut self, outcome: Outcome) {
        match (self.permit.take(), &outcome) {
            (Some(permit), Ok(_)) => permit.succeed(),
            (Some(permit), Err(error)) => permit.fail(error),
            (None, _) => {}
        }
        self.task.abort();
        self.outcome = Some(outcome);
    }
}

impl Recogniser for RemoteRecogniser {
    fn places(&self) -> usize {
        self.seats.len()
    }

    fn begin(&mut self, place: usize, expectation: Expectation, memory: &LineMemory) -> Result<(), String> {
        let permit = self.gate.admit().map_err(|error| error.to_string())?;
        self.gather();
        self.turns += 1;
        let turn = self.turns;
        let (audio, listened) = mpsc::channel(PROVIDER_CHUNKS_MAX);
        let words = Arc::new(Mutex::new(String::new()));
        let heard = Turn { audio: listened, gate: Arc::clone(&self.gate), words: Arc::clone(&words) };
        let hearing = Arc::clone(&self.listener).hear(heard);
        let told = self.told.clone();
        let task = self.cloud.handle().spawn(async move {
            let outcome = hearing.await;
            let _ = told.try_send((place, turn, outcome));
        });
        self.seats[place] = Some(Seat {
            turn,
            audio: Some(audio),
            samples: 0,
            words,
            task: task.abort_handle(),
            permit: Some(permit),
            due: None,
            outcome: None,
            expectation,
            memory: memory.clone(),
        });
        Ok(())
    }

    /// An error means that this turn has failed already.
    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        self.gather();
        let Some(seat) = self.seats[place].as_mut() else { return Ok(()) };
        if let Some(outcome) = &seat.outcome {
            return outcome.as_ref().map(|_| ()).map_err(ToString::to_string);
        }
        let Some(audio) = &seat.audio else { return Ok(()) };
        let samples = &samples[..samples.len().min(TURN_SAMPLES_MAX - seat.samples)];
        seat.samples += samples.len();
        match audio.try_send(samples.into()) {
            Ok(()) => Ok(()),
            // A task that has ended has reported, or is about to.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                seat.settle(Err(ProviderError::Slow));
                Err(ProviderError::Slow.to_string())
            }
        }
    }

    fn partial(&mut self, place: usize) -> String {
        let Some(seat) = self.seats[place].as_ref() else { return String::new() };
        let words = seat.words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plain(&words, seat.expectation)
    }

    fn finish(&mut self, place: usize) {
        if let Some(seat) = self.seats[place].as_mut() {
            // The task sees the channel close.
            seat.audio = None;
            seat.due = Some(Instant::now() + self.final_within);
        }
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.gather();
        let now = Instant::now();
        for (place, seat) in self.seats.iter_mut().enumerate() {
            let Some(Seat { due: Some(due), outcome, .. }) = seat.as_ref() else { continue };
            if outcome.is_none() && now < *due {
                continue;
            }
            let Some(mut seat) = seat.take() else { continue };
            if seat.outcome.is_none() {
                seat.settle(Err(ProviderError::Late(self.final_within)));
            }
            let heard = match seat.outcome {
                Some(Ok(heard)) => Ok(plain_hypothesis(heard, seat.expectation)),
                Some(Err(error)) => Err(format!("{}: {error}", self.gate.provider().name())),
                None => Err(String::new()),
            };
            return Some((place, Finished { heard, memory: seat.memory }));
        }
        None
    }

    fn is_pending(&self) -> bool {
        self.seats.iter().flatten().any(|seat| seat.due.is_some())
    }

    fn abandon(&mut self, place: usize) {
        if let Some(seat) = self.seats[place].take() {
            seat.task.abort();
        }
    }
}

impl Drop for RemoteRecogniser {
    fn drop(&mut self) {
        for seat in self.seats.iter().flatten() {
            seat.task.abort();
        }
    }
}
