//! The unit of the audio rings. Purpose: one fixed-size, `Copy` frame type per direction and the names of the ring ends.
//! Any thread. Invariant: a frame owns no heap memory. Deliberately absent: codecs (rings carry linear 8 kHz PCM).

use crate::id::{Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, INBOUND_RING_FRAMES};
use crate::time::{MediaTime, Tick};
use callwright_dsp::level;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// How loud what was sent to the caller of late was: whoever hears the caller tells by it the agent's own voice, back out of
/// a loudspeaker, from a person's. Carried by every [`InFrame`], as a ring of its own would have to be kept in step with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaidLevels {
    /// Stretches of 10 ms sent so far, silent ones included; wraps.
    pub count: u32,
    /// Levels of the last eight, dBFS, the newest last. A reader that missed more than eight knows by `count`.
    pub dbfs: [i8; 8],
}

impl SaidLevels {
    /// Nothing sent yet.
    pub const SILENCE: Self = Self { count: 0, dbfs: [-100; 8] };
    /// Samples that one level stands for: 10 ms.
    pub const STEP: usize = 80;

    /// 20 ms were sent; `pcm` may be shorter, or empty for silence.
    pub fn push_frame(&mut self, pcm: &[i16]) {
        self.dbfs.copy_within(2.., 0);
        let (first, second) = pcm.split_at(pcm.len().min(Self::STEP));
        // −100 to 0.
        self.dbfs[6] = level::dbfs(first) as i8;
        self.dbfs[7] = level::dbfs(second) as i8;
        self.count = self.count.wrapping_add(2);
    }

    /// Replaces what was sent last by what really was.
    pub fn amend_frame(&mut self, pcm: &[i16]) {
        let (first, second) = pcm.split_at(pcm.len().min(Self::STEP));
        (self.dbfs[6], self.dbfs[7]) = (level::dbfs(first) as i8, level::dbfs(second) as i8);
    }
}

/// Caller audio on its way to speech: 1 to 160 samples, 8 kHz, 16 bit.
#[derive(Clone, Copy, Debug)]
pub struct InFrame {
    /// Position of the first sample. Never decreases; a step larger than the previous frame's `len` means that the ring
    /// was full and frames in between were lost.
    pub at: MediaTime,
    /// When the kernel received the packet; for fed silence and concealment, when the worker made the frame.
    pub received: Tick,
    /// True when no packet brought these samples (silence, or concealment of a loss).
    pub fed: bool,
    /// Valid samples in `pcm`, 1 to 160.
    pub len: u16,
    /// What had been sent to the caller when this came.
    pub said: SaidLevels,
    /// Linear samples; those after `len` are zero.
    pub pcm: [i16; FRAME_SAMPLES],
}

impl InFrame {
    /// The valid samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.pcm[..usize::from(self.len).min(FRAME_SAMPLES)]
    }
}

/// Agent audio on its way to the wire: one 20 ms frame, 8 kHz, 16 bit.
#[derive(Clone, Copy, Debug)]
pub struct OutFrame {
    /// Frames older than the last flushed generation are never sent.
    pub generation: Generation,
    /// What is being said; counted in `Played`.
    pub utterance: UtteranceId,
    /// Last frame of the utterance.
    pub end: bool,
    /// Valid samples in `pcm`, 0 to 160. A short frame is padded with silence on the wire and credited with `len`.
    pub len: u16,
    /// Linear samples.
    pub pcm: [i16; FRAME_SAMPLES],
}

impl OutFrame {
    /// The valid samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.pcm[..usize::from(self.len).min(FRAME_SAMPLES)]
    }
}

/// Makes a ring whose memory is in RAM already: a page's first touch costs a fault (a millisecond on some virtual
/// machines), which must not fall on a media worker. Control threads; `fill` makes a value to touch it with.
pub(super) fn ring<T>(capacity: usize, mut fill: impl FnMut() -> T) -> (HeapProd<T>, HeapCons<T>) {
    let (mut producer, mut consumer) = HeapRb::new(capacity).split();
    while producer.try_push(fill()).is_ok() {}
    while consumer.try_pop().is_some() {}
    (producer, consumer)
}

/// A ring for caller audio that comes from elsewhere than a media worker.
#[must_use]
pub fn inbound_ring() -> (InboundProducer, InboundConsumer) {
    ring(INBOUND_RING_FRAMES, || InFrame::EMPTY)
}

impl InFrame {
    /// Nothing heard.
    pub(super) const EMPTY: Self = Self {
        at: MediaTime(0),
        received: Tick(0),
        fed: true,
        len: 0,
        said: SaidLevels::SILENCE,
        pcm: [0; FRAME_SAMPLES],
    };
}

impl OutFrame {
    /// Nothing said.
    pub(super) const EMPTY: Self =
        Self { generation: Generation(0), utterance: UtteranceId(0), end: false, len: 0, pcm: [0; FRAME_SAMPLES] };
}

/// Speech's end of the ring of caller audio.
pub type InboundConsumer = HeapCons<InFrame>;
/// The worker's end of the ring of caller audio.
pub type InboundProducer = HeapProd<InFrame>;
/// Speech's end of the ring of agent audio.
pub type OutboundProducer = HeapProd<OutFrame>;
/// The worker's end of the ring of agent audio.
pub type OutboundConsumer = HeapCons<OutFrame>;
