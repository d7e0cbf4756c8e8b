//! Writes that must not get lost. Purpose: how a call ended, what callers have said and left, and wrong PINs reach the disk
//! although it is full, read-only or behind when they come. Any thread hands them over and goes on; `store-writer` writes them.
//! Invariants: they are written in the order in which they came; what the disk does not take is tried again, each time after a
//! longer pause, and at once when another write went through; of each [`Worth`] a bounded number waits, and what goes over the bound (the
//! oldest) is said and counted. Deliberately absent: writes that somebody waits for (`writer`); who waits is told, and decides.

use super::StoreError;
use crate::limits::{RECORDS_WAITING_MAX, STORE_BATCH_MAX};
use crate::telemetry::metric;
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Before the second try.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Between tries, at most: an operator who frees space wants to see it.
const PAUSE_MAX: Duration = Duration::from_secs(15);

type Work = Box<dyn Fn(&Connection) -> Result<(), StoreError> + Send>;

/// What it would be to lose it. Each kind has its own bound, so that talk never displaces a call's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// A call's record, a message, a wrong PIN.
    Record,
    /// One of many: a turn of a conversation.
    Detail,
}

/// One write.
pub(super) struct Insisted {
    what: &'static str,
    worth: Worth,
    work: Work,
}

impl Insisted {
    /// Does it, in the running transaction.
    pub(super) fn write(&self, db: &Connection) -> Result<(), StoreError> {
        (self.work)(db)
    }

    /// The database will never take it.
    pub(super) fn refused(&self, why: &StoreError) {
        metric::record_lost();
        error!(%why, "{} cannot be written and is lost", self.what);
    }
}

/// Everything that waits.
pub(super) struct Backlog {
    state: Mutex<State>,
    bell: Sender<()>,
    left: watch::Sender<usize>,
}

struct State {
    waiting: VecDeque<Insisted>,
    /// Taken by the writer, not on the disk yet.
    under_way: usize,
    pause: Duration,
    /// Not to be tried before.
    due: Option<Instant>,
}

impl Backlog {
    /// Nothing waits. The bell rings when something does.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (bell, rings) = bounded(1);
        let state = State { waiting: VecDeque::new(), under_way: 0, pause: PAUSE_MIN, due: None };
        (Self { state: Mutex::new(state), bell, left: watch::Sender::new(0) }, rings)
    }

    /// Takes a write over.
    pub(super) fn insist(
        &self,
        what: &'static str,
        worth: Worth,
        work: impl Fn(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        let mut state = self.lock();
        if state.waiting.iter().filter(|one| one.worth == worth).count() >= RECORDS_WAITING_MAX
            && let Some(oldest) = state.waiting.iter().position(|one| one.worth == worth)
            && let Some(lost) = state.waiting.remove(oldest)
        {
            metric::record_lost();
            error!(waiting = RECORDS_WAITING_MAX, "{} is lost: too many records wait for the disk", lost.what);
        }
        state.waiting.push_back(Insisted { what, worth, work: Box::new(work) });
        self.tell(&state);
        drop(state);
        // Full: it rings already.
        let _ = self.bell.try_send(());
    }

    /// How many writes are not on the disk yet.
    pub(super) fn left(&self) -> watch::Receiver<usize> {
        self.left.subscribe()
    }

    /// How long until the next try; `None`: nothing waits.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let state = self.lock();
        let due = || state.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        (!state.waiting.is_empty()).then(due)
    }

    /// The oldest ones, as many as share a transaction. [`Backlog::settle`] must follow.
    pub(super) fn take(&self) -> Vec<Insisted> {
        let mut state = self.lock();
        let number = state.waiting.len().min(STORE_BATCH_MAX);
        state.under_way = number;
        state.waiting.drain(..number).collect()
    }

    /// What was taken is on the disk, or is to be tried again.
    pub(super) fn settle(&self, taken: Vec<Insisted>, outcome: &Result<(), StoreError>, now: Instant) {
        let mut state = self.lock();
        state.under_way = 0;
        match outcome {
            Ok(()) => {
                if state.due.take().is_some() && state.waiting.is_empty() {
                    info!("the records that waited for the disk are written");
                }
                state.pause = PAUSE_MIN;
            }
            Err(error) => {
                taken.into_iter().rev().for_each(|one| state.waiting.push_front(one));
                if state.due.is_none() {
                    warn!(%error, waiting = state.waiting.len(), "records are not written yet and wait");
                }
                state.due = Some(now + state.pause);
                state.pause = (state.pause * 2).min(PAUSE_MAX);
            }
        }
        self.tell(&state);
    }

    /// Another write went through: what waits need not wait longer.
    pub(super) fn hurry(&self, now: Instant) {
        let mut state = self.lock();
        if let Some(due) = &mut state.due {
            *due = (*due).min(now);
        }
    }

    /// The store is closed, whatever still waits.
    pub(super) fn give_up(&self) {
        let state = self.lock();
        for one in &state.waiting {
            metric::record_lost();
            error!("{} is lost: the store is closed and the disk did not take it", one.what);
        }
    }

    fn tell(&self, state: &State) {
        let left = state.waiting.len() + state.under_way;
        metric::records_waiting(left);
        self.left.send_if_modified(|known| std::mem::replace(known, left) != left);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(backlog: &Backlog, worth: Worth) {
        backlog.insist("a write", worth, |_| Ok(()));
    }

    #[test]
    fn what_fails_is_tried_again_in_order_and_later_and_later() {
        let (backlog, rings) = Backlog::new();
        let start = Instant::now();
        assert_eq!(backlog.due_in(start), None);
        for _ in 0..STORE_BATCH_MAX + 1 {
            push(&backlog, Worth::Record);
        }
        assert!(rings.try_recv().is_ok() && backlog.due_in(start) == Some(Duration::ZERO));
        let (mut now, mut pauses) = (start, Vec::new());
        for _ in 0..9 {
            let taken = backlog.take();
            assert_eq!((taken.len(), *backlog.left().borrow()), (STORE_BATCH_MAX, STORE_BATCH_MAX + 1));
            backlog.settle(taken, &Err(StoreError::DiskFull), now);
            let pause = backlog.due_in(now).unwrap();
            pauses.push(pause);
            now += pause;
            assert_eq!(backlog.due_in(now), Some(Duration::ZERO));
        }
        assert!(pauses.is_sorted() && pauses[0] == PAUSE_MIN && pauses[8] == PAUSE_MAX, "{pauses:?}");
        backlog.settle(backlog.take(), &Err(StoreError::DiskFull), now);
        assert!(backlog.due_in(now) > Some(Duration::ZERO));
        backlog.hurry(now);
        assert_eq!(backlog.due_in(now), Some(Duration::ZERO), "another write went through");
        backlog.settle(backlog.take(), &Ok(()), now);
        assert_eq!((backlog.due_in(now), *backlog.left().borrow()), (Some(Duration::ZERO), 1));
        backlog.settle(backlog.take(), &Ok(()), now);
        assert_eq!((backlog.due_in(now), *backlog.left().borrow()), (None, 0));
    }

    #[test]
    fn talk_never_displaces_records() {
        let (backlog, _rings) = Backlog::new();
        push(&backlog, Worth::Record);
        for _ in 0..RECORDS_WAITING_MAX + 5 {
            push(&backlog, Worth::Detail);
        }
        assert_eq!(*backlog.left().borrow(), RECORDS_WAITING_MAX + 1);
        assert_eq!(backlog.take()[0].worth, Worth::Record);
    }
}
