//! How far the audio of a listener has come through the plane. Purpose: whoever feeds audio faster than it is recognised
//! (a stream, never a call: a call's audio comes at its own pace) learns when to hold back. Shared by the feeder, the ears
//! and a recogniser thread. Invariant: what is owed is paid when the order that carries it is dropped, whatever became of
//! it. Deliberately absent: the audio.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// The way of one listener's audio.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Media time up to which the ears have read.
    read: AtomicU64,
    /// Samples on their way to the recogniser.
    owed: AtomicUsize,
    /// Turns that have begun.
    turns: AtomicU32,
    moved: Notify,
}

impl Progress {
    pub(super) fn read_to(&self, at: u64) {
        if self.read.swap(at, Ordering::Release) != at {
            self.moved.notify_one();
        }
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Acquire)
    }

    pub(super) fn turn_began(&self) {
        self.turns.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Acquire)
    }

    /// Samples that the ears have passed on and the recogniser has not taken in.
    pub(super) fn owed(&self) -> usize {
        self.owed.load(Ordering::Acquire)
    }

    /// Something has changed since this was last awaited.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }
}

/// Samples on their way to a recogniser; nothing for a call.
#[derive(Debug, Default)]
pub(super) struct Owed(Option<(Arc<Progress>, usize)>);

impl Owed {
    pub(super) fn new(progress: Option<&Arc<Progress>>, samples: usize) -> Self {
        Self(progress.map(|progress| {
            progress.owed.fetch_add(samples, Ordering::AcqRel);
            (Arc::clone(progress), samples)
        }))
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some((progress, samples)) = &self.0 {
            progress.owed.fetch_sub(*samples, Ordering::AcqRel);
            progress.moved.notify_one();
        }
    }
}
