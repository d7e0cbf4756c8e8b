//! A provider's recogniser with the local one behind it. Purpose: a caller is understood whatever the network does. The
//! turn's audio is kept, and where the provider refuses, breaks off or is late, the local engine hears it from the start.
//! Owning thread: "asr-N". Invariants: every turn that the local engine can hear has a result; what the local engine makes
//! up for is decoded in slices, so that other turns go on; the local engine's memory of a line outlives remote turns.
//! Deliberately absent: when a provider is left alone (`gate`).

use crate::conversation::Expectation;
use crate::limits::UTTERANCE_MAX;
use crate::speech::recogniser::{Caller, Finished, LineMemory, Recogniser};
use crate::telemetry::metric;
use std::collections::VecDeque;

/// Samples that the local engine makes up for at once: a quarter of a second, some 20 ms of decoding.
const SLICE: usize = 2000;
/// Samples kept of a turn; the ears end turns before.
const KEPT_MAX: usize = (UTTERANCE_MAX.as_secs() as usize + 5) * 8000;

enum Heard {
    Remotely,
    Locally,
    /// Both engines failed; the reason is told at the end of the turn.
    Nowhere(String),
}

struct Seat {
    caller: Caller,
    expectation: Expectation,
    memory: LineMemory,
    samples: Vec<i16>,
    /// Of them, those at the end in which nothing was said.
    quiet: usize,
    /// Samples that the local engine has.
    caught_up: usize,
    heard: Heard,
    /// The turn is over.
    ended: bool,
    /// The local engine has been told so.
    told: bool,
}

impl Seat {
    fn is_behind(&self) -> bool {
        matches!(self.heard, Heard::Locally) && (self.caught_up < self.samples.len() || self.ended && !self.told)
    }
}

/// Both engines as one.
pub(in crate::speech) struct WithLocal {
    provider: &'static str,
    remote: Box<dyn Recogniser>,
    local: Box<dyn Recogniser>,
    seats: Vec<Option<Seat>>,
    finished: VecDeque<(usize, Finished)>,
}

impl WithLocal {
    /// As many places as the engine with fewer. `provider` is for logs and metrics.
    pub(in crate::speech) fn new(
        provider: &'static str,
        remote: Box<dyn Recogniser>,
        local: Box<dyn Recogniser>,
    ) -> Self {
        let places = remote.places().min(local.places());
        let seats = (0..places).map(|_| None).collect();
        Self { provider, remote, local, seats, finished: VecDeque::new() }
    }

    /// The local engine takes a turn over from its first sample.
    fn take_over(&mut self, place: usize, why: &str) {
        let Some(seat) = self.seats[place].as_mut() else { return };
        tracing::info!(provider = self.provider, "the local engine hears a turn: {why}");
        metric::provider_fallback(self.provider, "asr");
        seat.heard = match self.local.begin(place, seat.expectation, &seat.memory) {
            Ok(()) => {
                // What it catches up with is judged already.
                self.local.serve(place, Caller { over: false, ..seat.caller });
                Heard::Locally
            }
            Err(what) => Heard::Nowhere(format!("{why}; and the local engine: {what}")),
        };
        seat.caught_up = 0;
        self.close_unheard(place);
    }

    /// A turn that nobody hears is answered at its end.
    fn close_unheard(&mut self, place: usize) {
        if let Some(Seat { heard: Heard::Nowhere(_), ended: true, .. }) = self.seats[place]
            && let Some(Seat { heard: Heard::Nowhere(why), memory, .. }) = self.seats[place].take()
        {
            self.finished.push_back((place, Finished { heard: Err(why), memory }));
        }
    }
}

impl Recogniser for WithLocal {
    fn places(&self) -> usize {
        self.seats.len()
    }

    fn begin(&mut self, place: usize, expectation: Expectation, memory: &LineMemory) -> Result<(), String> {
        let remote = self.remote.begin(place, expectation, memory);
        self.seats[place] = Some(Seat {
            caller: Caller::default(),
            expectation,
            memory: memory.clone(),
            samples: Vec::new(),
            quiet: 0,
            caught_up: 0,
            heard: Heard::Remotely,
            ended: false,
            told: false,
        });
        if let Err(why) = remote {
            self.take_over(place, &why);
            if let Some(Seat { heard: Heard::Nowhere(why), .. }) = &self.seats[place] {
                let why = why.clone();
                self.seats[place] = None;
                return Err(why);
            }
        }
        Ok(())
    }

    fn serve(&mut self, place: usize, caller: Caller) {
        let Some(seat) = self.seats[place].as_mut() else { return };
        seat.caller = caller;
        if matches!(seat.heard, Heard::Locally) {
            self.local.serve(place, caller);
        }
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        let Some(seat) = self.seats[place].as_mut() else { return Ok(()) };
        let room = KEPT_MAX - seat.samples.len();
        seat.samples.extend_from_slice(&samples[..samples.len().min(room)]);
        if matches!(seat.heard, Heard::Remotely)
            && let Err(why) = self.remote.accept(place, samples)
        {
            self.remote.abandon(place);
            self.take_over(place, &why);
        }
        Ok(())
    }

    fn quiet(&mut self, place: usize, samples: usize) {
        if let Some(seat) = self.seats[place].as_mut() {
            seat.quiet = samples;
        }
    }

    fn is_behind(&self, place: usize) -> bool {
        let locally = self.seats[place].as_ref().is_some_and(|seat| matches!(seat.heard, Heard::Locally));
        locally && self.local.is_behind(place)
    }

    fn orders_at_once(&self) -> usize {
        self.remote.orders_at_once().min(self.local.orders_at_once())
    }

    fn advance(&mut self) {
        self.remote.advance();
        for (place, seat) in self.seats.iter_mut().enumerate() {
            let Some(seat) = seat.as_mut().filter(|seat| seat.is_behind()) else { continue };
            let next = &seat.samples[seat.caught_up..];
            let next = &next[..next.len().min(SLICE)];
            seat.caught_up += next.len();
            if !next.is_empty()
                && let Err(what) = self.local.accept(place, next)
            {
                tracing::warn!("the local engine: {what}");
            }
            if seat.caught_up == seat.samples.len() {
                self.local.quiet(place, seat.quiet);
                if seat.ended {
                    seat.told = true;
                    self.local.finish(place);
                }
            }
        }
        self.local.advance();
    }

    fn has_news(&self, place: usize) -> bool {
        let locally = self.seats[place].as_ref().is_some_and(|seat| matches!(seat.heard, Heard::Locally));
        locally && self.local.has_news(place)
    }

    fn has_looked(&self, place: usize) -> bool {
        let locally = self.seats[place].as_ref().is_some_and(|seat| matches!(seat.heard, Heard::Locally));
        if locally { self.local.has_looked(place) } else { self.remote.has_looked(place) }
    }

    fn partial(&mut self, place: usize) -> String {
        match self.seats[place].as_ref().map(|seat| &seat.heard) {
            Some(Heard::Remotely) => self.remote.partial(place),
            Some(Heard::Locally) => self.local.partial(place),
            Some(Heard::Nowhere(_)) | None => String::new(),
        }
    }

    fn finish(&mut self, place: usize) {
        let Some(seat) = self.seats[place].as_mut() else { return };
        seat.ended = true;
        match seat.heard {
            Heard::Remotely => self.remote.finish(place),
            // Told when it has caught up.
            Heard::Locally => {}
            Heard::Nowhere(_) => self.close_unheard(place),
        }
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        while let Some((place, finished)) = self.remote.poll_finished() {
            match finished.heard {
                Ok(_) => {
                    let memory = self.seats[place].take().and_then(|seat| seat.memory);
                    return Some((place, Finished { memory, ..finished }));
                }
                Err(why) => self.take_over(place, &why),
            }
        }
        if let Some((place, finished)) = self.local.poll_finished() {
            self.seats[place] = None;
            return Some((place, finished));
        }
        self.finished.pop_front()
    }

    fn is_pending(&self) -> bool {
        let behind = self.seats.iter().flatten().any(Seat::is_behind);
        behind || self.remote.is_pending() || self.local.is_pending() || !self.finished.is_empty()
    }

    fn abandon(&mut self, place: usize) {
        match self.seats[place].take().map(|seat| seat.heard) {
            Some(Heard::Remotely) => self.remote.abandon(place),
            Some(Heard::Locally) => self.local.abandon(place),
            Some(Heard::Nowhere(_)) | None => {}
        }
        self.finished.retain(|(other, _)| *other != place);
    }
}
