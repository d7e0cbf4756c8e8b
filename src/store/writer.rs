//! The one thread that writes. Purpose: serialise all writes, share one disk sync among those that wait together.
//! Owning thread: `store-writer`. Invariants: a job is acknowledged only after COMMIT returned; a failed job undoes itself and
//! nothing else; the queue is bounded. Deliberately absent: retries (the caller knows whether it still matters).

use super::StoreError;
use crate::limits::{STORE_BATCH_MAX, STORE_WRITES_MAX};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rusqlite::Connection;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use tokio::sync::{oneshot, watch};

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

/// The writer's queue and thread; dropping it writes what is queued, then ends the thread.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
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
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&db, &queue, &announce, &admit))
            .map_err(|e| StoreError::Other(e.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), newest_event, trouble })
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

fn run(
    db: &Connection,
    queue: &Receiver<Job>,
    announce: &watch::Sender<u64>,
    admit: &watch::Sender<Option<StoreError>>,
) {
    while let Ok(first) = queue.recv() {
        // Taken before the transaction begins: a job that is queued after its failure must not share it.
        let batch: Vec<Job> = std::iter::once(first).chain(queue.try_iter().take(STORE_BATCH_MAX - 1)).collect();
        let (outcome, waiting) = transact(db, batch);
        if outcome.is_ok()
            && let Ok(newest) = newest_event(db)
        {
            announce.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        }
        let trouble = outcome.clone().err();
        admit.send_if_modified(|known| {
            let news = *known != trouble;
            *known = trouble;
            news
        });
        for acknowledge in waiting {
            acknowledge(outcome.clone());
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
