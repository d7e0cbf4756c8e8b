//! The publisher and its subscribers. Invariants: a subscriber sees every event after its starting position, in order, each at
//! least once; a durable one sees again after a restart what it did not acknowledge.

use super::Event;
use crate::limits::BUS_LIVE_EVENTS_MAX;
use crate::store::{Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::{self, JoinHandle};

/// Events read from the store at a time.
const REPLAY_BATCH: usize = 256;
/// Old events are dropped each time so many new ones came.
const PRUNE_EVERY: u64 = 10_000;

/// Why a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The store could not be read.
    #[error("events cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The daemon is stopping.
    #[error("the event bus is closed")]
    Closed,
}

/// The bus. Dropping it ends all subscriptions.
#[derive(Debug)]
pub struct Bus {
    store: Store,
    live: broadcast::WeakSender<Arc<Event>>,
    publisher: JoinHandle<()>,
}

impl Bus {
    /// Starts the publisher on the current tokio runtime. Live delivery begins with the events after this moment.
    #[must_use]
    pub fn start(store: Store) -> Self {
        let (sender, _) = broadcast::channel(BUS_LIVE_EVENTS_MAX);
        let live = sender.downgrade();
        let publisher = tokio::spawn(publish(store.clone(), sender));
        Self { store, live, publisher }
    }

    /// Everything after position `after`, then what comes. None: only what comes.
    #[must_use]
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        // Joined live first, so that nothing falls between replay and live.
        let live = self.live.upgrade().map(|sender| sender.subscribe());
        let position = after.unwrap_or_else(|| *self.store.newest_event().borrow());
        Subscription {
            store: self.store.clone(),
            live,
            position,
            replay: VecDeque::new(),
            replayed: false,
            consumer: None,
        }
    }

    /// Goes on where the consumer of this name last acknowledged; a new one starts at the beginning of the outbox.
    ///
    /// # Errors
    /// The consumer's position cannot be read.
    pub async fn subscribe_durable(&self, consumer: &str) -> Result<Subscription, BusError> {
        let (store, name) = (self.store.clone(), consumer.to_owned());
        let position = blocking(move || store.events().cursor(&name)).await?;
        let mut subscription = self.subscribe(Some(position));
        subscription.consumer = Some(consumer.to_owned());
        Ok(subscription)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.publisher.abort();
    }
}

/// One reader's place in the stream.
#[derive(Debug)]
pub struct Subscription {
    store: Store,
    live: Option<broadcast::Receiver<Arc<Event>>>,
    position: u64,
    replay: VecDeque<Event>,
    replayed: bool,
    consumer: Option<String>,
}

impl Subscription {
    /// The next event. Cancel safe.
    ///
    /// # Errors
    /// The bus was closed, or the store cannot be read.
    pub async fn next(&mut self) -> Result<Arc<Event>, BusError> {
        loop {
            if let Some(event) = self.replay.pop_front() {
                self.position = event.seq;
                return Ok(Arc::new(event));
            }
            if !self.replayed {
                let (store, position) = (self.store.clone(), self.position);
                let batch = blocking(move || store.events().after(position, REPLAY_BATCH)).await?;
                self.replayed = batch.is_empty();
                self.replay = batch.into();
                continue;
            }
            match self.live.as_mut().ok_or(BusError::Closed)?.recv().await {
                Ok(event) if event.seq > self.position => {
                    self.position = event.seq;
                    return Ok(event);
                }
                // Seen during replay.
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.replayed = false,
                Err(RecvError::Closed) => return Err(BusError::Closed),
            }
        }
    }

    /// Position of the last event that `next` returned.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Durable subscriptions: everything returned so far is dealt with and need not come again. Others: nothing.
    ///
    /// # Errors
    /// The position could not be written.
    pub async fn acknowledge(&self) -> Result<(), BusError> {
        match &self.consumer {
            Some(consumer) => Ok(self.store.events().set_cursor(consumer, self.position).await?),
            None => Ok(()),
        }
    }
}

async fn publish(store: Store, live: broadcast::Sender<Arc<Event>>) {
    let mut newest = store.newest_event();
    let mut position = *newest.borrow_and_update();
    let mut pruned = position;
    drop(store.events().prune());
    while newest.changed().await.is_ok() {
        loop {
            let reader = store.clone();
            let batch = match blocking(move || reader.events().after(position, REPLAY_BATCH)).await {
                Ok(batch) => batch,
                Err(error) => {
                    // The events are safe on disk; the next commit tries again.
                    tracing::error!(%error, "events cannot be published yet");
                    break;
                }
            };
            if batch.is_empty() {
                break;
            }
            for event in batch {
                position = event.seq;
                // No subscriber is no fault.
                let _ = live.send(Arc::new(event));
            }
            if position >= pruned + PRUNE_EVERY {
                pruned = position;
                // Not waited for: the next one makes up for a failed one.
                drop(store.events().prune());
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, BusError> {
    match task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(BusError::Closed),
    }
}
