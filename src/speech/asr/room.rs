//! How turns share the places of one engine.
//!
//! Purpose: a place is leased when a caller begins to speak and comes back with the turn's result. Owned by one recogniser
//! thread; no clock, no waiting. Invariants:
//! - a place is in exactly one state of [`Place`], so none is leaked or leased twice;
//! - audio of a call is decoded in order, and its turns are answered in order, each exactly once (those of a call that is
//!   forgotten: not at all);
//! - a turn that finds no place is kept and taken up as soon as there is one, the oldest first;
//! - streams have half of the places at once, so that they cannot make calls deaf; where there is one place, they may have it;
//! - whatever the engine does, panics included, costs turns and at worst places, never the thread: a place that panics
//!   while it is cleared is not used again, and turns are answered with nothing when no place is left.
//!
//! Deliberately absent: threads and channels (`asr`), engines (`recogniser`).

use super::{Job, tell};
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::limits::{RECOGNISER_QUEUE_MAX, SPEECH_LANES_MAX};
use crate::speech::event::{Part, SpeechEvent};
use crate::speech::progress::Owed;
use crate::speech::recogniser::{Caller, Finished, LineMemory, Recogniser};
use crate::time::MediaTime;
use callwright_models::asr::Hypothesis;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use tokio::sync::mpsc;

/// Decoded audio between two looks at the words so far: 160 ms.
const PARTIAL_SAMPLES: usize = 1280;
/// Turns in the queue at most: those that are kept, one in progress a call, and as many again that are only to be answered.
const WAITING_MAX: usize = 2 * (RECOGNISER_QUEUE_MAX + SPEECH_LANES_MAX);

/// What a turn hears when the engine panicked.
const PANICKED: &str = "recognition failed for this turn; the engine's fault, see the log";

/// What a place is used for.
enum Place {
    Free,
    /// A turn is being heard.
    Hearing(Turn),
    /// A turn's audio is complete, its result is to come.
    Ending(CallId, mpsc::Sender<SpeechEvent>, End),
    /// It panicked when it was cleared; not used again.
    Broken,
}

/// A turn that has a place.
struct Turn {
    call: CallId,
    events: mpsc::Sender<SpeechEvent>,
    started: MediaTime,
    until: MediaTime,
    since_partial: usize,
    partial: String,
    /// That the engine has looked for words has been told, if only by those it found.
    looked: bool,
    /// A refusal of the engine has been told; once is enough.
    told: bool,
    /// Paid when the engine has kept up.
    owed: Vec<Owed>,
}

/// A turn that has none.
struct Waiting {
    call: CallId,
    events: mpsc::Sender<SpeechEvent>,
    end: Option<End>,
    /// What is to be recognised; `None`: the turn will be answered with nothing.
    kept: Option<Kept>,
}

/// A turn as far as it has come.
struct Kept {
    caller: Caller,
    expectation: Expectation,
    started: MediaTime,
    until: MediaTime,
    samples: Vec<i16>,
    /// Samples of quiet at its end.
    quiet: usize,
    owed: Vec<Owed>,
}

/// The end of a turn.
#[derive(Clone, Copy)]
struct End {
    started: MediaTime,
    ended: MediaTime,
    asked: Instant,
}

/// The engine panicked.
struct Panicked;

/// Everything that a recogniser thread owns.
pub(super) struct Room {
    engine: Box<dyn Recogniser>,
    places: Vec<Place>,
    /// What the engine has learnt of each call.
    lines: HashMap<CallId, LineMemory>,
    /// Callers that are streams.
    streams: HashSet<CallId>,
    /// Where the search for a free place begins: behind the last that refused.
    first: usize,
    /// In the order in which they began.
    waiting: VecDeque<Waiting>,
}

impl Room {
    pub(super) fn new(engine: Box<dyn Recogniser>) -> Self {
        let places = (0..engine.places()).map(|_| Place::Free).collect();
        Self { engine, places, lines: HashMap::new(), streams: HashSet::new(), first: 0, waiting: VecDeque::new() }
    }

    /// Some result is still to come without another order.
    pub(super) fn is_pending(&mut self) -> bool {
        self.ask(|engine| engine.is_pending()).unwrap_or(false)
    }

    /// The engine has more to decode than it does at a time: `settle` again, soon.
    pub(super) fn is_behind(&mut self) -> bool {
        (0..self.places.len()).any(|place| self.ask(|engine| engine.is_behind(place)).unwrap_or(false))
    }

    /// Takes one order.
    pub(super) fn handle(&mut self, job: Job) {
        match job {
            Job::Begin { call, caller, expectation, started, events, stream } => {
                if stream {
                    self.streams.insert(call);
                }
                let (samples, quiet, owed) = (Vec::new(), 0, Vec::new());
                let kept = Kept { caller, expectation, started, until: started, samples, quiet, owed };
                self.begin(call, kept, events);
            }
            Job::Audio { call, samples, until, quiet, owed } => match self.unfinished(call) {
                Some(waiting) => {
                    if let Some(kept) = &mut waiting.kept {
                        kept.samples.extend_from_slice(&samples);
                        (kept.until, kept.quiet) = (until, quiet);
                        kept.owed.push(owed);
                    }
                }
                None => self.accept(call, &samples, until, quiet, vec![owed]),
            },
            Job::Over { call, caller } => match self.unfinished(call) {
                Some(waiting) => {
                    if let Some(kept) = &mut waiting.kept {
                        kept.caller = caller;
                    }
                }
                None => {
                    if let Some(place) = self.hearing(call)
                        && self.ask(|engine| engine.serve(place, caller)).is_err()
                    {
                        self.give_up(place);
                    }
                }
            },
            Job::End { call, started, ended, asked } => {
                let end = End { started, ended, asked };
                match self.unfinished(call) {
                    Some(waiting) => waiting.end = Some(end),
                    None => self.end(call, end),
                }
            }
            Job::Cancel { call } => self.cancel(call),
            Job::Forget { call } => {
                self.waiting.retain(|waiting| waiting.call != call);
                self.lines.remove(&call);
                self.streams.remove(&call);
                if let Some(place) = self.hearing(call).or_else(|| self.ending(call)) {
                    self.clear(place);
                }
            }
        }
    }

    /// Decodes what came, answers what is finished, and begins what has waited for that; until nothing moves.
    pub(super) fn settle(&mut self) {
        loop {
            if self.ask(|engine| engine.advance()).is_err() {
                self.give_up_all();
            }
            self.tell_partials();
            self.pay();
            let mut moved = false;
            loop {
                match self.ask(|engine| engine.poll_finished()) {
                    Ok(Some((place, finished))) => self.answer(place, finished),
                    Ok(None) => break,
                    Err(Panicked) => {
                        self.give_up_all();
                        break;
                    }
                }
                moved = true;
            }
            if self.places.iter().all(|place| matches!(place, Place::Broken)) {
                self.refuse_all();
            }
            moved |= self.answer_refused();
            while let Some(next) = self.next_waiting() {
                self.take_up(next);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn ask<R>(&mut self, question: impl FnOnce(&mut dyn Recogniser) -> R) -> Result<R, Panicked> {
        catch_unwind(AssertUnwindSafe(|| question(&mut *self.engine))).map_err(|_| Panicked)
    }

    fn hearing(&self, call: CallId) -> Option<usize> {
        self.places.iter().position(|place| matches!(place, Place::Hearing(turn) if turn.call == call))
    }

    fn ending(&self, call: CallId) -> Option<usize> {
        self.places.iter().position(|place| matches!(place, Place::Ending(other, ..) if *other == call))
    }

    fn free(&self) -> Option<usize> {
        let places = self.places.len();
        (0..places).map(|n| (self.first + n) % places).find(|place| matches!(self.places[*place], Place::Free))
    }

    /// The call's turn that waits and goes on.
    fn unfinished(&mut self, call: CallId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.call == call && waiting.end.is_none())
    }

    /// It is a stream, and streams have all the places that they may have.
    fn has_to_give_way(&self, call: CallId) -> bool {
        let streams = &self.streams;
        let taken = self.places.iter().filter(|place| match place {
            Place::Hearing(turn) => streams.contains(&turn.call),
            Place::Ending(call, ..) => streams.contains(call),
            Place::Free | Place::Broken => false,
        });
        streams.contains(&call) && taken.count() >= (self.places.len() / 2).max(1)
    }

    /// An earlier turn of the same call has not been answered.
    fn follows(&self, at: usize, call: CallId) -> bool {
        self.ending(call).is_some() || self.waiting.iter().take(at).any(|waiting| waiting.call == call)
    }

    /// The turn that has waited longest and could begin if there were a place.
    fn servable(&self) -> Option<usize> {
        let may = |at: &usize| {
            let Waiting { call, kept, .. } = &self.waiting[*at];
            kept.is_some() && !self.follows(*at, *call) && !self.has_to_give_way(*call)
        };
        (0..self.waiting.len()).find(may)
    }

    fn next_waiting(&mut self) -> Option<Waiting> {
        self.free()?;
        let at = self.servable()?;
        self.waiting.remove(at)
    }

    fn begin(&mut self, call: CallId, kept: Kept, events: mpsc::Sender<SpeechEvent>) {
        // A turn that is still open has lost its end to a full channel.
        self.cancel(call);
        let waiting = Waiting { call, events, end: None, kept: Some(kept) };
        // Behind those who came before, and behind an earlier turn of the same call: answers come in order.
        let at_once =
            self.servable().is_none() && !self.follows(self.waiting.len(), call) && !self.has_to_give_way(call);
        if at_once && self.free().is_some() {
            return self.take_up(waiting);
        }
        let kept = self.waiting.iter().filter(|waiting| waiting.kept.is_some()).count();
        if kept >= RECOGNISER_QUEUE_MAX {
            return self.refuse(waiting, format!("{kept} turns wait for a recogniser; raise speech.decoders"));
        }
        if self.free().is_none() {
            let places = self.places.len();
            tracing::info!(%call, "all {places} recognisers are in use; a caller waits. More: speech.decoders");
        }
        self.waiting.push_back(waiting);
    }

    /// Forgets the call's open turn, without an answer.
    fn cancel(&mut self, call: CallId) {
        self.waiting.retain(|waiting| waiting.call != call || waiting.end.is_some());
        if let Some(place) = self.hearing(call) {
            self.clear(place);
        }
    }

    /// Gives a turn a place and makes up for the time that it has waited. There is a free place.
    fn take_up(&mut self, waiting: Waiting) {
        let Waiting { call, events, end, kept } = waiting;
        let (Some(place), Some(kept)) = (self.free(), kept) else { return };
        let memory = self.lines.entry(call).or_default().clone();
        let (caller, expectation) = (kept.caller, kept.expectation);
        let began = self.ask(|engine| {
            let began = engine.begin(place, expectation, &memory);
            if began.is_ok() {
                engine.serve(place, caller);
            }
            began
        });
        let refused = Waiting { call, events: events.clone(), end, kept: None };
        match began {
            Ok(Ok(())) => {}
            Ok(Err(what)) => {
                self.first = (place + 1) % self.places.len();
                return self.refuse_first(refused, what);
            }
            Err(Panicked) => {
                self.clear(place);
                return self.refuse_first(refused, PANICKED.to_owned());
            }
        }
        self.places[place] = Place::Hearing(Turn {
            call,
            events,
            started: kept.started,
            until: kept.until,
            since_partial: 0,
            partial: String::new(),
            looked: false,
            told: false,
            owed: Vec::new(),
        });
        if !kept.samples.is_empty() {
            self.accept(call, &kept.samples, kept.until, kept.quiet, kept.owed);
        }
        let Some(end) = end else { return };
        if self.hearing(call).is_some() {
            self.end(call, end);
        } else if let Some(waiting) = self.unfinished(call) {
            // It failed on the way, and stands first of its call.
            waiting.end = Some(end);
        }
    }

    fn accept(&mut self, call: CallId, samples: &[i16], until: MediaTime, quiet: usize, owed: Vec<Owed>) {
        let Some(place) = self.hearing(call) else { return };
        let accepted = self.ask(|engine| {
            let outcome = engine.accept(place, samples);
            engine.quiet(place, quiet);
            outcome
        });
        match accepted {
            Ok(outcome) => {
                let Place::Hearing(turn) = &mut self.places[place] else { return };
                turn.since_partial += samples.len();
                turn.until = until;
                turn.owed.extend(owed);
                if let Err(what) = outcome
                    && !std::mem::replace(&mut turn.told, true)
                {
                    tell(&turn.events, SpeechEvent::Failed { part: Part::Asr, what });
                }
            }
            Err(Panicked) => self.give_up(place),
        }
    }

    /// What the engine has decoded is paid.
    fn pay(&mut self) {
        for place in 0..self.places.len() {
            if !self.ask(|engine| engine.is_behind(place)).unwrap_or(false)
                && let Place::Hearing(turn) = &mut self.places[place]
            {
                turn.owed.clear();
            }
        }
    }

    fn tell_partials(&mut self) {
        for place in 0..self.places.len() {
            let Place::Hearing(turn) = &self.places[place] else { continue };
            let long_ago = turn.since_partial >= PARTIAL_SAMPLES;
            if !long_ago && !self.ask(|engine| engine.has_news(place)).unwrap_or(false) {
                continue;
            }
            if let Place::Hearing(turn) = &mut self.places[place] {
                turn.since_partial = 0;
            }
            let looked = self.ask(|engine| engine.has_looked(place)).unwrap_or(false);
            match self.ask(|engine| engine.partial(place)) {
                Ok(text) => {
                    let Place::Hearing(turn) = &mut self.places[place] else { continue };
                    // That there are no words is news, too, once.
                    let first = looked && !turn.looked;
                    turn.looked |= looked;
                    if first || text != turn.partial {
                        turn.partial.clone_from(&text);
                        let (started, until) = (turn.started, turn.until);
                        tell(&turn.events, SpeechEvent::Partial { text, started, until });
                    }
                }
                Err(Panicked) => self.give_up(place),
            }
        }
    }

    fn end(&mut self, call: CallId, end: End) {
        let Some(place) = self.hearing(call) else { return };
        if let Place::Hearing(turn) = std::mem::replace(&mut self.places[place], Place::Free) {
            self.places[place] = Place::Ending(call, turn.events, end);
        }
        if self.ask(|engine| engine.finish(place)).is_err() {
            self.give_up(place);
        }
    }

    fn answer(&mut self, place: usize, finished: Finished) {
        let ended = self.places.get(place).is_some_and(|place| matches!(place, Place::Ending(..)));
        if !ended {
            tracing::warn!(place, "speech: a recogniser answered for a place that asked nothing");
            return;
        }
        let Place::Ending(call, events, end) = std::mem::replace(&mut self.places[place], Place::Free) else { return };
        if let Some(memory) = self.lines.get_mut(&call) {
            *memory = finished.memory;
        }
        let heard = finished.heard.unwrap_or_else(|what| {
            tell(&events, SpeechEvent::Failed { part: Part::Asr, what });
            Hypothesis::default()
        });
        tell_final(&events, heard, end);
    }

    /// The engine panicked at this place: its turn is answered all the same, now or at its end.
    fn give_up(&mut self, place: usize) {
        let was = self.clear(place);
        let failed = |events: &mpsc::Sender<SpeechEvent>| {
            tell(events, SpeechEvent::Failed { part: Part::Asr, what: PANICKED.to_owned() });
        };
        match was {
            Place::Hearing(Turn { call, events, .. }) => {
                // What it had learnt of the line may be what it cannot bear.
                self.lines.insert(call, None);
                self.refuse_first(Waiting { call, events, end: None, kept: None }, PANICKED.to_owned());
            }
            Place::Ending(call, events, end) => {
                self.lines.insert(call, None);
                failed(&events);
                tell_final(&events, Hypothesis::default(), end);
            }
            Place::Free | Place::Broken => {}
        }
    }

    /// The engine panicked and nobody knows where: every turn in it begins anew or is answered with nothing.
    fn give_up_all(&mut self) {
        for place in 0..self.places.len() {
            if matches!(self.places[place], Place::Hearing(_) | Place::Ending(..)) {
                self.give_up(place);
            }
        }
    }

    /// Makes the engine forget what it has of a place. Gives back what the place was used for.
    fn clear(&mut self, place: usize) -> Place {
        let cleared = self.ask(|engine| engine.abandon(place)).is_ok();
        let now = if cleared { Place::Free } else { Place::Broken };
        let was = std::mem::replace(&mut self.places[place], now);
        if !cleared {
            let left = self.places.iter().filter(|place| !matches!(place, Place::Broken)).count();
            tracing::error!(
                "speech: a recogniser could not be cleared and is not used again; {left} of {} are left until a restart",
                self.places.len()
            );
        }
        was
    }

    /// The turn will be answered with nothing at its end.
    fn refuse(&mut self, mut waiting: Waiting, what: String) {
        tell(&waiting.events, SpeechEvent::Failed { part: Part::Asr, what });
        waiting.kept = None;
        if self.waiting.len() >= WAITING_MAX
            && let Some(at) = self.waiting.iter().position(|waiting| waiting.kept.is_none() && waiting.end.is_some())
            && let Some(Waiting { events, end: Some(end), .. }) = self.waiting.remove(at)
        {
            tell_final(&events, Hypothesis::default(), end);
        }
        self.waiting.push_back(waiting);
    }

    /// The same for a turn that was taken out of the queue: it stays before later ones of its call.
    fn refuse_first(&mut self, waiting: Waiting, what: String) {
        tell(&waiting.events, SpeechEvent::Failed { part: Part::Asr, what });
        self.waiting.push_front(waiting);
    }

    /// No place is left.
    fn refuse_all(&mut self) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.kept.is_some()) {
            waiting.kept = None;
            let what = "every recogniser has failed; restart the daemon".to_owned();
            tell(&waiting.events, SpeechEvent::Failed { part: Part::Asr, what });
        }
    }

    /// Answers turns that are over and will not be recognised, in order.
    fn answer_refused(&mut self) -> bool {
        let mut moved = false;
        let mut at = 0;
        while at < self.waiting.len() {
            let waiting = &self.waiting[at];
            match waiting.end {
                Some(end) if waiting.kept.is_none() && !self.follows(at, waiting.call) => {
                    tell_final(&waiting.events, Hypothesis::default(), end);
                    self.waiting.remove(at);
                    moved = true;
                }
                _ => at += 1,
            }
        }
        moved
    }
}

fn tell_final(events: &mpsc::Sender<SpeechEvent>, heard: Hypothesis, end: End) {
    let End { started, ended, asked } = end;
    let took = asked.elapsed();
    let Hypothesis { text, confidence, alternatives, .. } = heard;
    tell(events, SpeechEvent::Final { text, confidence, alternatives, started, ended, took });
}

#[cfg(test)]
mod tests;
