//! The one thread that writes. Purpose: serialise all writes, share one disk sync among those that wait together.
//! Owning thread: `store-writer`. Invariants: a job is acknowledged only after COMMIT returned; a failed job undoes itself and
//! nothing else; the queue is bounded. Deliberately absent: retries of what somebody waits for (the caller knows whether it still matters).

use super::StoreError;
use super::backlog::{Backlog, Worth};
use crate::limits::{STORE_BATCH_MAX, STORE_CLOSING_MAX, STORE_WRITES_MAX};
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use rusqlite::Connection;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Between two tries at the end of the store.
const CLOSING_PAUSE: Duration = Duration::from_millis(100);

type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Gets the connection, or the reason why there is none; then it has answered already and nothing is done.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Option<Done> + Send>;

struct Done {
    /// Why the job undoes itself.
    failed: Option<StoreError>,
    acknowledge: Acknowledge,
}

/// A write under way. Await it, or [`Commit::wait`] for it on a thread that may block; either returns after the disk has it.
/// Dropping it does not take the write back.
pub struct Commit<T> {
    receiver: oneshot::Receiver<Result<T, StoreError>>,
}

impl<T> Commit<T> {
    /// Blocks until the write is durable. Not for tokio threads.
    ///
    /// # Errors
    /// Why it was not written.
    pub fn wait(mut self) -> Result<T, StoreError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut self).poll(&mut context) {
                return outcome;
            }
            thread::park();
        }
    }
}

impl<T> Future for Commit<T> {
    type Output = Result<T, StoreError>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|answer| answer.unwrap_or(Err(StoreError::Stopped)))
    }
}

impl<T> fmt::Debug for Commit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commit")
    }
}

/// The writer's queue and thread; dropping it writes what is queued and what waits in the backlog, then ends the thread.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<()>>,
    newest_event: watch::Receiver<u64>,
    trouble: watch::Receiver<Option<StoreError>>,
}

impl Writer {
    /// Starts the thread with the connection that alone may write.
    pub(super) fn start(db: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = bounded(STORE_WRITES_MAX);
        let (announce, newest_event) = watch::channel(newest_event(&db)?);
        let (admit, trouble) = watch::channel(None);
        let (backlog, bell) = Backlog::new();
        let backlog = Arc::new(backlog);
        let work = Work { db, queue, backlog: Arc::clone(&backlog), bell, announce, admit };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || work.run())
            .map_err(|e| StoreError::Other(e.to_string()))?;
        Ok(Self { jobs: Some(jobs), backlog, thread: Some(thread), newest_event, trouble })
    }

    /// Takes over a write that nobody waits for and that must not get lost; `what` names it to the operator.
    pub(super) fn insist(
        &self,
        what: &'static str,
        worth: Worth,
        work: impl Fn(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.backlog.insist(what, worth, work);
    }

    /// How many of these are not on the disk yet.
    pub(super) fn left(&self) -> watch::Receiver<usize> {
        self.backlog.left()
    }

    /// Sequence number of the newest committed event; changes after each commit that brought one.
    pub(super) fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest_event.clone()
    }

    /// Why the newest transaction was not written, or that nothing can be any more; None: all is well.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        // An error: the thread is gone, and the other end with it.
        if self.trouble.has_changed().is_err() { Some(StoreError::Stopped) } else { self.trouble.borrow().clone() }
    }

    /// Queues `work`; it runs inside a transaction on the writer thread.
    pub(super) fn write<T, F>(&self, work: F) -> Commit<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        // Wherever an answer is not taken, the asker has gone; the write stands all the same.
        let job: Job = Box::new(move |db| match db {
            Err(refused) => {
                let _ = sender.send(Err(refused));
                None
            }
            Ok(db) => Some(match work(db) {
                Ok(value) => Done {
                    failed: None,
                    acknowledge: Box::new(move |committed| {
                        let _ = sender.send(committed.map(|()| value));
                    }),
                },
                Err(error) => Done {
                    failed: Some(error.clone()),
                    acknowledge: Box::new(move |_| {
                        let _ = sender.send(Err(error));
                    }),
                },
            }),
        });
        let refused = match &self.jobs {
            None => Some((job, StoreError::Stopped)),
            Some(jobs) => match jobs.try_send(job) {
                Ok(()) => None,
                Err(TrySendError::Full(job)) => Some((job, StoreError::Overloaded)),
                Err(TrySendError::Disconnected(job)) => Some((job, StoreError::Stopped)),
            },
        };
        if let Some((job, why)) = refused {
            job(Err(why));
        }
        Commit { receiver }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the writer was already printed; there is nothing left to undo here.
            let _ = thread.join();
        }
    }
}

fn newest_event(db: &Connection) -> Result<u64, StoreError> {
    let newest: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
    Ok(newest.cast_unsigned())
}

/// What the thread has.
struct Work {
    db: Connection,
    queue: Receiver<Job>,
    backlog: Arc<Backlog>,
    bell: Receiver<()>,
    announce: watch::Sender<u64>,
    admit: watch::Sender<Option<StoreError>>,
}

impl Work {
    fn run(&self) {
        while let Ok(first) = self.next() {
            if let Some(first) = first {
                // Taken before the transaction begins: a job that is queued after its failure must not share it.
                let others = self.queue.try_iter().take(STORE_BATCH_MAX - 1);
                let batch: Vec<Job> = std::iter::once(first).chain(others).collect();
                let (outcome, waiting) = transact(&self.db, batch);
                if outcome.is_ok() {
                    self.backlog.hurry(Instant::now());
                }
                self.tell(&outcome);
                for acknowledge in waiting {
                    acknowledge(outcome.clone());
                }
            }
            if self.backlog.due_in(Instant::now()).is_some_and(|wait| wait.is_zero()) {
                // Kept and told by the backlog.
                let _ = self.insist();
            }
        }
        self.close();
    }

    /// The next job; `None`: there may be something in the backlog. Error: the store is being closed.
    fn next(&self) -> Result<Option<Job>, ()> {
        let job = match self.backlog.due_in(Instant::now()) {
            Some(Duration::ZERO) => match self.queue.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return Err(()),
            },
            Some(wait) => crossbeam_channel::select! {
                recv(self.queue) -> job => Some(job.map_err(drop)?),
                recv(self.bell) -> _ => None,
                default(wait) => None,
            },
            None => crossbeam_channel::select! {
                recv(self.queue) -> job => Some(job.map_err(drop)?),
                recv(self.bell) -> _ => None,
            },
        };
        Ok(job)
    }

    /// Writes the oldest of the backlog in one transaction, each in a savepoint of its own.
    fn insist(&self) -> Result<(), StoreError> {
        let (db, batch) = (&self.db, self.backlog.take());
        let mut refused = Vec::new();
        let mut outcome = db.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from);
        for one in &batch {
            outcome = outcome.and_then(|()| db.execute_batch("SAVEPOINT job").map_err(StoreError::from));
            if outcome.is_err() {
                break;
            }
            outcome = match one.write(db) {
                Ok(()) => db.execute_batch("RELEASE job").map_err(StoreError::from),
                Err(error) if error.retry() || db.is_autocommit() => Err(error),
                Err(error) => {
                    refused.push((one, error));
                    db.execute_batch("ROLLBACK TO job; RELEASE job").map_err(StoreError::from)
                }
            };
        }
        outcome = outcome.and_then(|()| db.execute_batch("COMMIT").map_err(StoreError::from));
        if outcome.is_err() && !db.is_autocommit() {
            // Should even this fail, the next BEGIN reports it.
            let _ = db.execute_batch("ROLLBACK");
        }
        if outcome.is_ok() {
            refused.iter().for_each(|(one, error)| one.refused(error));
        }
        drop(refused);
        self.tell(&outcome);
        self.backlog.settle(batch, &outcome, Instant::now());
        outcome
    }

    /// Tells of new events, and whether the disk takes what it is given.
    fn tell(&self, outcome: &Result<(), StoreError>) {
        if outcome.is_ok()
            && let Ok(newest) = newest_event(&self.db)
        {
            self.announce.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        }
        let trouble = outcome.clone().err();
        self.admit.send_if_modified(|known| {
            let news = *known != trouble;
            *known = trouble;
            news
        });
    }

    /// The last chance of what waits.
    fn close(&self) {
        let until = Instant::now() + STORE_CLOSING_MAX;
        while self.backlog.due_in(Instant::now()).is_some() {
            if self.insist().is_err() {
                if Instant::now() + CLOSING_PAUSE >= until {
                    return self.backlog.give_up();
                }
                thread::sleep(CLOSING_PAUSE);
            }
        }
    }
}

/// Runs the batch in one transaction, each job in a savepoint of its own. When SQLite gives the whole transaction up (disk
/// full, I/O error), every job of the batch gets that error.
fn transact(db: &Connection, batch: Vec<Job>) -> (Result<(), StoreError>, Vec<Acknowledge>) {
    let mut waiting = Vec::new();
    let mut outcome = db.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from);
    for job in batch {
        if outcome.is_ok() {
            outcome = db.execute_batch("SAVEPOINT job").map_err(StoreError::from);
        }
        let Some(done) = job(outcome.clone().map(|()| db)) else { continue };
        outcome = match &done.failed {
            Some(error) if db.is_autocommit() => Err(error.clone()),
            Some(_) => db.execute_batch("ROLLBACK TO job; RELEASE job").map_err(StoreError::from),
            None => db.execute_batch("RELEASE job").map_err(StoreError::from),
        };
        waiting.push(done.acknowledge);
    }
    if outcome.is_ok() {
        outcome = db.execute_batch("COMMIT").map_err(StoreError::from);
    }
    if outcome.is_err() && !db.is_autocommit() {
        // Nothing was acknowledged yet; should even this fail, the next BEGIN reports it.
        let _ = db.execute_batch("ROLLBACK");
    }
    (outcome, waiting)
}
