//! What a recogniser thread asks of an engine; one file an engine.
//!
//! | file | engine |
//! |---|---|
//! | `moonshine` | the embedded one of people's speech: whole turns, decoded again while they last |
//! | `pocketsphinx` | the one behind it, words of the agent's domain only |
//! | `streaming` | packs that hear as the caller speaks |
//! | `offline` | packs that hear whole turns |
//!
//! Purpose: `asr` deals turns out to places and never knows which engine hears them. Owning thread: an engine belongs whole
//! to one "asr-N"; it may have threads of its own, and must never block. Invariants: audio is 8 kHz and comes in order;
//! every [`Recogniser::finish`] is answered by one result of [`Recogniser::poll_finished`], if need be a failure; a place is
//! free again after that result, or after [`Recogniser::abandon`]. Deliberately absent: which call sits where (`asr`).

pub(super) mod moonshine;
pub(super) mod offline;
#[cfg(test)]
#[path = "../../../models/tests/fixture/mod.rs"]
mod pack_fixture;
pub(super) mod pocketsphinx;
pub(super) mod streaming;

use crate::conversation::Expectation;
use callwright_models::asr::Hypothesis;

/// Half a second of one caller, so that partials and results are never far behind.
const ORDERS_AT_ONCE: usize = 16;

/// What an engine has learnt of a call's line and speaker, in a form of its own; kept with the call between its turns.
pub(super) type LineMemory = Option<String>;

/// The outcome of one turn.
pub(super) struct Finished {
    /// The words, or why there are none: for the operator.
    pub(super) heard: Result<Hypothesis, String>,
    /// What the next turn of this call should begin with.
    pub(super) memory: LineMemory,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// Whose caller it is: the agent's number.
    pub(super) agent: usize,
    /// The agent was speaking when the caller began, or began just then: by the first words it is judged whether it goes on.
    pub(super) over: bool,
}

/// An engine that hears up to [`places`](Self::places) turns at once. A place is a number below that.
pub(super) trait Recogniser: Send {
    /// Turns that it hears at once; constant.
    fn places(&self) -> usize;

    /// A turn begins at a free place. An error is for the operator; the place stays free.
    fn begin(&mut self, place: usize, expectation: Expectation, memory: &LineMemory) -> Result<(), String>;

    /// Who speaks; told when the turn begins, and once more where that changes. Engines that know every agent's words hear by
    /// those of this caller's, and may look for words more often where the agent speaks.
    fn serve(&mut self, _place: usize, _caller: Caller) {}

    /// The next samples, 8 kHz. Engines that work turn by turn may decode here. An error is said once and ends nothing.
    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String>;

    /// Nothing was said in the last so many samples that were accepted; told after each piece of which it is known. Engines
    /// of whole turns decode in pauses.
    fn quiet(&mut self, _place: usize, _samples: usize) {}

    /// Orders that its thread takes before it looks at the engine again.
    fn orders_at_once(&self) -> usize {
        ORDERS_AT_ONCE
    }

    /// Decodes what was accepted, all places together where that is cheaper. Called after each batch of orders.
    fn advance(&mut self) {}

    /// [`advance`](Self::advance) has left something of this place for its next call, so that other places are served between.
    fn is_behind(&self, _place: usize) -> bool {
        false
    }

    /// [`partial`](Self::partial) has something new to say and costs nothing, so that it is asked at once.
    fn has_news(&self, _place: usize) -> bool {
        false
    }

    /// It has looked for words in what it was given of this turn, whether or not it found any.
    fn has_looked(&self, place: usize) -> bool {
        !self.is_behind(place)
    }

    /// Words so far. Called at most every 160 ms of audio a place, after `advance`; sooner when there is news.
    fn partial(&mut self, place: usize) -> String;

    /// The turn is over. The result comes through [`poll_finished`](Self::poll_finished), at once or later.
    fn finish(&mut self, place: usize);

    /// The next result: its place, which is free from now on.
    fn poll_finished(&mut self) -> Option<(usize, Finished)>;

    /// Some finished turn's result is still to come, so that the thread must look again soon. Local engines: never.
    fn is_pending(&self) -> bool {
        false
    }

    /// Forgets a turn without a result: the call is gone, or the turn made somebody panic. The place is free from now on.
    fn abandon(&mut self, place: usize);
}
