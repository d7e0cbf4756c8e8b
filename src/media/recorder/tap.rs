//! The worker's end of a recording. Purpose: hand 20 ms of either side to the recorder without ever waiting for it.
//! Media workers push; a control thread holds [`Control`]. Invariants: a push copies one frame into memory that was
//! touched before, and neither allocates, locks nor calls the system; a full ring loses the frame, counts it, and the
//! hole stays silent since positions go on; while masked nothing leaves the worker at all.
//! Deliberately absent: waking the recorder (it looks by itself every [`crate::limits::RECORDING_POLL`]).

use crate::limits::{FRAME_SAMPLES, RECORDING_RING_FRAMES};
use crate::media::frame;
use crate::time::MediaTime;
use ringbuf::traits::Producer;
use ringbuf::{HeapCons, HeapProd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Whose audio it is, and which channel it becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The person on our leg: left.
    Caller,
    /// What was sent to that person (agent, echo, the other leg of a bridge): right.
    Agent,
}

/// One side's audio: 1 to 160 samples, 8 kHz, 16 bit.
#[derive(Clone, Copy, Debug)]
pub struct TapFrame {
    /// Position of the first sample on the call's audio time, the same axis for both sides.
    pub at: MediaTime,
    /// Whose.
    pub side: Side,
    /// Valid samples in `pcm`, 1 to 160.
    pub len: u16,
    /// Linear samples.
    pub pcm: [i16; FRAME_SAMPLES],
}

impl TapFrame {
    pub(super) const EMPTY: Self = Self { at: MediaTime(0), side: Side::Caller, len: 0, pcm: [0; FRAME_SAMPLES] };

    /// The valid samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.pcm[..usize::from(self.len).min(FRAME_SAMPLES)]
    }
}

/// What the worker, the recorder and the call share about one recording.
#[derive(Debug, Default)]
pub(in crate::media) struct Shared {
    /// The operator's or the agent's wish: nothing is to be recorded now.
    pub(super) masked: AtomicBool,
    /// The recorder has given up on this recording: pushing is useless.
    pub(super) stopped: AtomicBool,
    /// Frames that found the ring full.
    pub(super) overflowed: AtomicU64,
    /// Frames held back while masked.
    pub(super) withheld: AtomicU64,
}

/// The worker's end. Dropping it (with the session, on a control thread) ends the recording.
pub struct Tap {
    ring: HeapProd<TapFrame>,
    /// Where the session's audio time 0 lies in the recording, samples.
    offset: u64,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Tap {
    /// The session to come begins at `at` of the recording, which goes on: somebody else is on that side of the call.
    pub fn go_on_at(&mut self, at: MediaTime) {
        self.offset = at.0;
    }

    /// Hands over one frame.
    pub fn push(&mut self, mut frame: TapFrame) {
        frame.at = MediaTime(frame.at.0.saturating_add(self.offset));
        if self.shared.stopped.load(Relaxed) {
            return;
        }
        if self.shared.masked.load(Relaxed) {
            self.shared.withheld.fetch_add(1, Relaxed);
        } else if self.ring.try_push(frame).is_err() {
            self.shared.overflowed.fetch_add(1, Relaxed);
        }
    }

    /// Hands over samples of any number that begin at `at`, cut into frames.
    pub fn push_samples(&mut self, side: Side, at: MediaTime, samples: &[i16]) {
        let mut position = at.0;
        for part in samples.chunks(FRAME_SAMPLES) {
            // A part is 160 samples at most.
            let mut frame = TapFrame { at: MediaTime(position), side, len: part.len() as u16, pcm: [0; FRAME_SAMPLES] };
            frame.pcm[..part.len()].copy_from_slice(part);
            self.push(frame);
            position += part.len() as u64;
        }
    }
}

/// The call's hand on its recording. Cheap to clone; any thread but the workers.
#[derive(Clone, Debug)]
pub struct Control(pub(super) Arc<Shared>);

impl Control {
    /// From the next frame on nothing is recorded, both sides (card numbers, PINs): the file has silence there.
    pub fn pause(&self) {
        self.0.masked.store(true, Relaxed);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.0.masked.store(false, Relaxed);
    }

    /// Whether it is paused now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.masked.load(Relaxed)
    }
}

/// A tap with the recorder's end of its ring. Control threads: this allocates 88 kB and touches it.
pub(in crate::media) fn tap() -> (Tap, HeapCons<TapFrame>, Arc<Shared>) {
    let (producer, consumer) = frame::ring(RECORDING_RING_FRAMES, || TapFrame::EMPTY);
    let shared = Arc::new(Shared::default());
    (Tap { ring: producer, offset: 0, shared: Arc::clone(&shared) }, consumer, shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbuf::traits::Consumer;

    #[test]
    fn a_full_ring_loses_and_counts_and_goes_on() {
        let (mut tap, mut frames, shared) = tap();
        for n in 0..RECORDING_RING_FRAMES as u64 + 7 {
            tap.push_samples(Side::Caller, MediaTime(n * 160), &[1; 160]);
        }
        assert_eq!(shared.overflowed.load(Relaxed), 7);
        assert_eq!(frames.try_pop().unwrap().at, MediaTime(0));
        tap.push_samples(Side::Agent, MediaTime(1), &[1; 1]);
        assert_eq!(frames.iter().last().unwrap().side, Side::Agent);
    }

    #[test]
    fn another_session_goes_on_where_it_begins() {
        let (mut tap, frames, _) = tap();
        tap.push_samples(Side::Caller, MediaTime(80), &[1; 160]);
        tap.go_on_at(MediaTime(8000));
        tap.push_samples(Side::Agent, MediaTime(0), &[2; 200]);
        assert_eq!(frames.iter().map(|f| f.at.0).collect::<Vec<_>>(), [80, 8000, 8160]);
    }

    #[test]
    fn the_ring_holds_two_seconds_of_both_sides() {
        const { assert!(RECORDING_RING_FRAMES >= 2 * 2 * 50) };
        let (mut tap, frames, _) = tap();
        tap.push_samples(Side::Caller, MediaTime(5), &[3; 400]);
        let cut: Vec<_> = frames.iter().map(|f| (f.at.0, f.samples().len())).collect();
        assert_eq!(cut, [(5, 160), (165, 160), (325, 80)]);
    }

    #[test]
    fn nothing_leaves_the_worker_while_masked_or_after_the_recorder_gave_up() {
        let (mut tap, frames, shared) = tap();
        let control = Control(Arc::clone(&shared));
        control.pause();
        assert!(control.is_paused());
        tap.push_samples(Side::Caller, MediaTime(0), &[1; 320]);
        control.resume();
        tap.push_samples(Side::Caller, MediaTime(320), &[1; 160]);
        shared.stopped.store(true, Relaxed);
        tap.push_samples(Side::Caller, MediaTime(480), &[1; 160]);
        assert_eq!(frames.iter().map(|f| f.at.0).collect::<Vec<_>>(), [320]);
        assert_eq!((shared.withheld.load(Relaxed), shared.overflowed.load(Relaxed)), (2, 0));
    }
}
