//! A listener without a mouth: audio that somebody feeds, words that come out. Purpose: what a dictation client needs of the
//! plane, over the same ears and recognisers as calls.
//!
//! Owned by one task of the control plane. Invariants: audio time is what was fed, so turns are cut alike however fast it
//! comes; [`SpeechStream::feed`] takes no more than the recogniser keeps up with; dropping it gives everything back.
//! Deliberately absent: sockets and formats (`api`).

use super::event::SpeechEvent;
use super::lane::SpeechLane;
use super::progress::Progress;
use crate::limits::{FRAME_SAMPLES, STREAM_BACKLOG_MAX};
use crate::media::{InFrame, InboundProducer};
use crate::os::clock;
use crate::time::MediaTime;
use ringbuf::traits::{Observer, Producer};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Samples that may wait for the recogniser.
const BACKLOG_SAMPLES: usize = STREAM_BACKLOG_MAX.as_millis() as usize * 8;

/// One client's ears.
pub struct SpeechStream {
    /// Keeps the ears; says nothing.
    pub(super) _lane: SpeechLane,
    pub(super) inbound: InboundProducer,
    pub(super) events: mpsc::Receiver<SpeechEvent>,
    pub(super) progress: Arc<Progress>,
    pub(super) fed: u64,
    pub(super) answered: u32,
}

impl fmt::Debug for SpeechStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpeechStream").field("fed", &self.fed).finish_non_exhaustive()
    }
}

impl SpeechStream {
    /// Takes 8 kHz samples, as many as there is room for; returns how many. When it takes none, wait for
    /// [`changed`](Self::changed).
    pub fn feed(&mut self, samples: &[i16]) -> usize {
        let received = clock::monotonic();
        let mut taken = 0;
        while taken < samples.len() && self.inbound.vacant_len() > 0 && self.backlog() < BACKLOG_SAMPLES {
            let part = &samples[taken..samples.len().min(taken + FRAME_SAMPLES)];
            let mut pcm = [0; FRAME_SAMPLES];
            pcm[..part.len()].copy_from_slice(part);
            let frame = InFrame { at: MediaTime(self.fed), received, fed: false, len: part.len() as u16, pcm };
            // There was room, and nobody else writes.
            let _ = self.inbound.try_push(frame);
            self.fed += part.len() as u64;
            taken += part.len();
        }
        if taken > 0 {
            self._lane.wake();
        }
        taken
    }

    /// Samples that were fed and not heard, or heard and not recognised yet.
    fn backlog(&self) -> usize {
        (self.fed - self.progress.read().min(self.fed)) as usize + self.progress.owed()
    }

    /// Audio fed so far.
    #[must_use]
    pub fn fed(&self) -> MediaTime {
        MediaTime(self.fed)
    }

    /// Everything that was fed has been heard, and every turn that began is answered. A turn that goes on is not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.progress.read() == self.fed && !self.in_turn()
    }

    /// Some turn has begun and is not answered.
    #[must_use]
    pub fn in_turn(&self) -> bool {
        self.progress.turns() != self.answered
    }

    /// Waits until there may be room again, or everything has been heard.
    pub async fn changed(&self) {
        self.progress.moved().await;
    }

    /// The next event; `None` when the plane is gone. Count on no `Voice`.
    pub async fn next(&mut self) -> Option<SpeechEvent> {
        let event = self.events.recv().await?;
        self.answered += u32::from(matches!(event, SpeechEvent::Final { .. }));
        Some(event)
    }
}
