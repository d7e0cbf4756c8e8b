//! The recogniser threads.
//!
//! Purpose: orders in, answers out; between them stands the [`Room`], which deals the engine's places out to turns. Owning
//! thread: each "asr-…" owns its engine whole; the ears talk to it through one bounded channel, calls are dealt out to the
//! threads when they attach. Invariants: those of the room; nothing waits for a call's actor. Deliberately absent: engines
//! (`recogniser`), where a turn starts and ends (`ears`, `turn`).

mod room;

use super::event::SpeechEvent;
use super::progress::Owed;
use super::recogniser::{Caller, Recogniser};
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::time::MediaTime;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use room::Room;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often an engine with outstanding results is looked at.
const PENDING_POLL: Duration = Duration::from_millis(5);

/// One order to a recogniser thread.
pub(super) enum Job {
    /// A caller began to speak.
    Begin {
        call: CallId,
        caller: Caller,
        expectation: Expectation,
        started: MediaTime,
        events: mpsc::Sender<SpeechEvent>,
        /// It is no call: somebody dictates, and may take only some of the places.
        stream: bool,
    },
    /// The next samples of the turn, 8 kHz, which end at `until`.
    /// In the last `quiet` samples nothing was said.
    Audio { call: CallId, samples: Box<[i16]>, until: MediaTime, quiet: usize, owed: Owed },
    /// The agent became audible just after the turn had begun: it is judged as one that began while the agent spoke.
    Over { call: CallId, caller: Caller },
    /// The turn is over.
    End { call: CallId, started: MediaTime, ended: MediaTime, asked: Instant },
    /// The turn that is open was answered by whoever could not order its end.
    Cancel { call: CallId },
    /// The call is over.
    Forget { call: CallId },
}

/// What the ears know of a recogniser thread.
pub(super) type Jobs = Sender<Job>;

/// Runs a recogniser thread until its channel closes.
pub(super) fn run(engine: Box<dyn Recogniser>, jobs: &Receiver<Job>) {
    let orders_at_once = engine.orders_at_once();
    let mut room = Room::new(engine);
    loop {
        let first = if room.is_behind() {
            jobs.recv_timeout(Duration::ZERO)
        } else if room.is_pending() {
            jobs.recv_timeout(PENDING_POLL)
        } else {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match first {
            Ok(job) => {
                // What has come meanwhile is decoded together.
                for job in std::iter::once(job).chain(jobs.try_iter().take(orders_at_once)) {
                    room.handle(job);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        room.settle();
    }
}

/// Hands an event over without ever waiting; room for these is kept by whoever sends `Voice`.
pub(super) fn tell(events: &mpsc::Sender<SpeechEvent>, event: SpeechEvent) {
    if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
        let (event, characters) = event.outline();
        tracing::error!(event, characters, "speech: a call does not read its events");
    }
}
