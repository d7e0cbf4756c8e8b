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
use crate::media::{InFrame, InboundProducer, SaidLevels};
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
    /// The ears; it has no mouth.
    pub(super) lane: SpeechLane,
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
    /// [`next`](Self::next).
    pub fn feed(&mut self, samples: &[i16]) -> usize {
        let received = clock::monotonic();
        let mut taken = 0;
        while taken < samples.len() && self.inbound.vacant_len() > 0 && self.backlog() < BACKLOG_SAMPLES {
            let part = &samples[taken..samples.len().min(taken + FRAME_SAMPLES)];
            let mut pcm = [0; FRAME_SAMPLES];
            pcm[..part.len()].copy_from_slice(part);
            let frame = InFrame {
                at: MediaTime(self.fed),
                received,
                fed: false,
                len: part.len() as u16,
                said: SaidLevels::SILENCE,
                pcm,
            };
            // There was room, and nobody else writes.
            let _ = self.inbound.try_push(frame);
            self.fed += part.len() as u64;
            taken += part.len();
        }
        if taken > 0 {
            self.lane.wake();
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

    /// Number of the oldest turn that is not answered.
    #[must_use]
    pub fn turn(&self) -> Option<u32> {
        self.in_turn().then_some(self.answered)
    }

    /// Ends the utterance that is under way; its [`Final`](SpeechEvent::Final) comes as any other.
    pub fn cut(&self) {
        self.lane.finalize();
    }

    /// Waits for the next event, or for a change of what may be fed or is settled. `None` when the plane is gone. Count on
    /// no `Voice`.
    pub async fn next(&mut self) -> Option<Heard> {
        tokio::select! {
            event = self.events.recv() => {
                let event = event?;
                self.answered += u32::from(matches!(event, SpeechEvent::Final { .. }));
                Some(Heard::Event(event))
            }
            () = self.progress.moved() => Some(Heard::Moved),
        }
    }
}

/// How far a call's audio was heard.
#[derive(Debug)]
pub struct Followed(pub(super) Arc<Progress>);

impl Followed {
    /// Everything up to `fed` was judged, and the recogniser has told what it makes of it.
    #[must_use]
    pub fn is_settled(&self, fed: MediaTime) -> bool {
        self.0.read() == fed.0 && self.0.owed() == 0
    }
}

/// What a stream waits for.
#[derive(Debug)]
pub enum Heard {
    /// The plane says something.
    Event(SpeechEvent),
    /// Audio has moved on.
    Moved,
}
