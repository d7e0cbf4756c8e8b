//! A recogniser of a pack that hears whole turns. Purpose: audio kept until the turn ends, then decoded on a thread of its
//! own, because that takes up to seconds and other calls must not wait for it. Owning threads: the recogniser thread, and
//! "asr-turns" which owns the engine. Invariants: at most one turn a place is kept or under way, so the queue to the thread
//! has as many places as the engine; a turn keeps [`UTTERANCE_MAX`] of audio, what comes after is left out; the result of
//! an abandoned turn is dropped. Deliberately absent: words before the end (these models give none).

use super::{Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use crate::limits::UTTERANCE_MAX;
use callwright_models::asr::{Hypothesis, OfflineEngine};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

/// Samples that a turn keeps.
const SAMPLES_MAX: usize = UTTERANCE_MAX.as_secs() as usize * 8000;

/// A turn on its way to the engine.
struct Order {
    place: usize,
    turn: u64,
    samples: Vec<i16>,
}

/// Its outcome.
struct Outcome {
    place: usize,
    turn: u64,
    heard: Result<Hypothesis, String>,
}

#[derive(Default)]
struct Place {
    samples: Vec<i16>,
    /// Number of the turn that is under way.
    pending: Option<u64>,
}

/// A pack's engine with a number of places.
pub(in crate::speech) struct OfflineRecogniser {
    places: Vec<Place>,
    turns: u64,
    orders: Option<Sender<Order>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    /// Turns that could not be handed over.
    failed: Vec<usize>,
}

impl OfflineRecogniser {
    /// Starts the thread. `places`: callers who may speak at the same moment.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(in crate::speech) fn new(mut engine: OfflineEngine, places: usize) -> io::Result<Self> {
        Self::with(places, move |samples| engine.recognise(samples).map_err(|error| error.to_string()))
    }

    fn with(
        places: usize,
        mut recognise: impl FnMut(&[i16]) -> Result<Hypothesis, String> + Send + 'static,
    ) -> io::Result<Self> {
        let places = places.max(1);
        // An abandoned turn may still be in the queue when its place ends another.
        let (orders, inbox) = bounded::<Order>(2 * places);
        let (outbox, outcomes) = bounded::<Outcome>(2 * places);
        let thread = std::thread::Builder::new().name("asr-turns".into()).spawn(move || {
            for Order { place, turn, samples } in inbox {
                let heard = catch_unwind(AssertUnwindSafe(|| recognise(&samples)))
                    .unwrap_or_else(|_| Err("recognition failed for this turn".into()));
                if outbox.send(Outcome { place, turn, heard }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            places: (0..places).map(|_| Place::default()).collect(),
            turns: 0,
            orders: Some(orders),
            outcomes,
            thread: Some(thread),
            failed: Vec::new(),
        })
    }
}

impl Recogniser for OfflineRecogniser {
    fn places(&self) -> usize {
        self.places.len()
    }

    fn begin(&mut self, place: usize, _expectation: Expectation, _memory: &LineMemory) -> Result<(), String> {
        self.places[place] = Place::default();
        Ok(())
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        let kept = &mut self.places[place].samples;
        let room = SAMPLES_MAX - kept.len();
        kept.extend_from_slice(&samples[..samples.len().min(room)]);
        Ok(())
    }

    fn partial(&mut self, _place: usize) -> String {
        String::new()
    }

    fn finish(&mut self, at: usize) {
        self.turns += 1;
        let place = &mut self.places[at];
        let order = Order { place: at, turn: self.turns, samples: std::mem::take(&mut place.samples) };
        place.pending = Some(self.turns);
        // Never waits: a queue that is full although places are not is one of abandoned turns.
        if self.orders.as_ref().is_none_or(|orders| orders.try_send(order).is_err()) {
            self.failed.push(at);
        }
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        if let Some(at) = self.failed.pop() {
            self.places[at].pending = None;
            let heard = Err("the recogniser of whole turns is behind; the turn is lost".to_owned());
            return Some((at, Finished { heard, memory: None }));
        }
        while let Ok(Outcome { place, turn, heard }) = self.outcomes.try_recv() {
            if self.places[place].pending == Some(turn) {
                self.places[place].pending = None;
                return Some((place, Finished { heard, memory: None }));
            }
        }
        None
    }

    fn is_pending(&self) -> bool {
        self.places.iter().any(|place| place.pending.is_some())
    }

    fn abandon(&mut self, place: usize) {
        self.places[place] = Place::default();
        self.failed.retain(|other| *other != place);
    }
}

impl Drop for OfflineRecogniser {
    fn drop(&mut self) {
        // Without orders the thread ends after the turn that it is at; the engine must be gone before the process is.
        self.orders = None;
        self.outcomes = crossbeam_channel::never();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Says how long a turn was; panics on one sample, fails on two, and waits for the gate on three.
    fn recogniser(places: usize, gate: Receiver<()>) -> (OfflineRecogniser, Arc<AtomicUsize>) {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let recognise = move |samples: &[i16]| {
            count.fetch_add(1, Ordering::Relaxed);
            match samples.len() {
                1 => panic!("a test's panic"),
                2 => Err("refused".to_owned()),
                length => {
                    if length == 3 {
                        gate.recv().unwrap();
                    }
                    Ok(Hypothesis { text: length.to_string(), ..Hypothesis::default() })
                }
            }
        };
        (OfflineRecogniser::with(places, recognise).unwrap(), runs)
    }

    /// Waits for a result as the thread does: by looking again while one is pending.
    fn next(recogniser: &mut OfflineRecogniser) -> (usize, Result<String, String>) {
        loop {
            assert!(recogniser.is_pending());
            if let Some((place, finished)) = recogniser.poll_finished() {
                return (place, finished.heard.map(|heard| heard.text));
            }
            std::thread::yield_now();
        }
    }

    fn turn(recogniser: &mut OfflineRecogniser, place: usize, length: usize) {
        recogniser.begin(place, Expectation::Open, &None).unwrap();
        for piece in vec![0; length].chunks(160) {
            recogniser.accept(place, piece).unwrap();
        }
        recogniser.finish(place);
    }

    #[test]
    fn turns_are_answered_each_once_also_after_a_panic() {
        let (mut recogniser, _) = recogniser(2, bounded(0).1);
        assert!(!recogniser.is_pending());
        turn(&mut recogniser, 0, 1000);
        turn(&mut recogniser, 1, 1);
        assert_eq!(next(&mut recogniser), (0, Ok("1000".into())));
        assert!(next(&mut recogniser).1.is_err());
        turn(&mut recogniser, 1, 2);
        assert_eq!(next(&mut recogniser), (1, Err("refused".into())));
        turn(&mut recogniser, 1, 40);
        assert_eq!(next(&mut recogniser), (1, Ok("40".into())));
        assert!(!recogniser.is_pending() && recogniser.poll_finished().is_none());
    }

    #[test]
    fn a_slow_turn_holds_up_nobody_who_asks() {
        let (open, gate) = bounded(1);
        let (mut recogniser, _) = recogniser(2, gate);
        turn(&mut recogniser, 0, 3);
        // Its thread is busy; orders and questions go on.
        turn(&mut recogniser, 1, 100);
        assert!(recogniser.poll_finished().is_none() && recogniser.is_pending());
        open.send(()).unwrap();
        assert_eq!(next(&mut recogniser), (0, Ok("3".into())));
        assert_eq!(next(&mut recogniser), (1, Ok("100".into())));
    }

    #[test]
    fn what_is_abandoned_is_never_answered_and_its_place_serves_the_next() {
        let (open, gate) = bounded(1);
        let (mut recogniser, runs) = recogniser(1, gate);
        turn(&mut recogniser, 0, 3);
        recogniser.abandon(0);
        assert!(!recogniser.is_pending());
        turn(&mut recogniser, 0, 50);
        open.send(()).unwrap();
        assert_eq!(next(&mut recogniser), (0, Ok("50".into())));
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn more_abandoned_turns_than_the_queue_holds_cost_a_turn_and_no_wait() {
        let (open, gate) = bounded(1);
        let (mut recogniser, _) = recogniser(1, gate);
        for _ in 0..9 {
            turn(&mut recogniser, 0, 3);
            recogniser.abandon(0);
        }
        turn(&mut recogniser, 0, 50);
        assert!(next(&mut recogniser).1.is_err());
        drop(open);
    }

    #[test]
    fn a_turn_without_end_is_kept_up_to_the_limit() {
        let (mut recogniser, _) = recogniser(1, bounded(0).1);
        turn(&mut recogniser, 0, SAMPLES_MAX + 4000);
        assert_eq!(next(&mut recogniser), (0, Ok(SAMPLES_MAX.to_string())));
    }
}
