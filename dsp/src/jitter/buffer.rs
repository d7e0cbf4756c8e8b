//! The buffer: its state, what goes in, what comes out. What is decided in between is in `play`, what is made up in `fill`.

use super::arrival::Arrivals;
use super::audio::Audio;
use super::input::{Content, DELAY_MAX_MS, Decode, Packet, Settings, SettingsError};
use super::queue::{Queue, Refused};
use super::statistics::Statistics;
use super::target::Target;
use super::timeline::{Place, Timeline};
use crate::cng::{Background, ComfortNoise};
use crate::plc::Concealment;

/// Longest packet that is decoded, samples: 120 ms (the longest of Opus) at 16 kHz.
const PACKET_SAMPLES_MAX: usize = 120 * 16;
/// Longest step that is decided on at once, ms.
const STEP_MAX_MS: usize = 20;

/// What most of one step's audio is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Silence: nothing was to be played yet.
    Wait,
    /// Decoded audio.
    Normal,
    /// The same, shortened by this many samples.
    Accelerate(usize),
    /// The same, lengthened by this many samples.
    PreemptiveExpand(usize),
    /// Decoded audio, joined to what was made up before it.
    Merge,
    /// Made up for want of a packet.
    Expand,
    /// Noise as the sender asked for it, or as its background was.
    ComfortNoise,
}

/// The playout buffer of one stream.
#[derive(Clone, Debug)]
pub struct PlayoutBuffer {
    pub(super) per_ms: i64,
    pub(super) timeline: Timeline,
    pub(super) arrivals: Arrivals,
    pub(super) target: Target,
    pub(super) queue: Queue,
    pub(super) audio: Audio,
    pub(super) decoded: Vec<i16>,
    pub(super) statistics: Statistics,
    /// Position of the next sample to be decoded; `None` before the first packet of a timeline.
    pub(super) next: Option<i64>,
    /// Samples made up since the last decoded one.
    pub(super) made_up: i64,
    /// The sender has said that it pauses.
    pub(super) quiet: bool,
    /// The decoder belongs to an earlier timeline.
    stale_decoder: bool,
    /// Packets in a row that were too old by far.
    pub(super) stale_packets: u32,
    /// How long after the time of the fastest packet audio is played, samples, smoothed.
    pub(super) played_after: i64,
    /// Samples given out since the last change of length.
    pub(super) since_stretch: i64,
    pub(super) concealment: Concealment,
    /// `concealment` goes on from the end of `audio`.
    pub(super) concealing: bool,
    /// The last sample was made up by the decoder.
    pub(super) made_by_decoder: bool,
    pub(super) background: Background,
    pub(super) noise: ComfortNoise,
}

impl PlayoutBuffer {
    /// Takes all the memory there will be (about 140 KB).
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let Settings { rate, rtp_clock, minimum_delay_ms, maximum_delay_ms } = settings;
        let per_ms = i64::from(rate / 1000);
        Ok(Self {
            per_ms,
            timeline: Timeline::new(rate, rtp_clock),
            arrivals: Arrivals::new(rate),
            target: Target::new(rate, i64::from(minimum_delay_ms) * per_ms, i64::from(maximum_delay_ms) * per_ms),
            queue: Queue::new(),
            audio: Audio::new(rate),
            decoded: vec![0; PACKET_SAMPLES_MAX],
            statistics: Statistics::default(),
            next: None,
            made_up: 0,
            quiet: false,
            stale_decoder: true,
            stale_packets: 0,
            played_after: 0,
            since_stretch: 0,
            concealment: Concealment::for_ears(rate),
            concealing: false,
            made_by_decoder: false,
            background: Background::default(),
            noise: ComfortNoise::new(1),
        })
    }

    /// What was done so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Packets that wait.
    #[must_use]
    pub fn packets_waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes a packet that arrived at `now` (nanoseconds of any steady clock). `decoder` is only asked how long it is.
    pub fn insert_packet(&mut self, now: u64, packet: &Packet<'_>, decoder: &impl Decode) {
        self.statistics.packets_received += 1;
        let samples = match packet.content {
            Content::Audio(payload) => decoder.samples(payload).filter(|s| (1..=self.decoded.len()).contains(s)),
            Content::ComfortNoise(_) => Some(0),
        };
        let Some(samples) = samples.map(|samples| samples as i64) else { return self.discard_invalid() };
        let now = self.samples_at(now);
        let position = match self.timeline.handle_packet(now, packet.ssrc, packet.timestamp) {
            Place::At(position) => position,
            Place::Restart(position) => {
                self.restart();
                position
            }
            Place::Stray => return self.discard_invalid(),
        };
        let late = self.arrivals.handle_packet(now, position);
        self.target.handle_packet(now, late);
        if self.next.is_some_and(|next| position < next && position + samples <= next) {
            return self.discard_late();
        }
        match self.queue.insert(position, samples, now, packet.content) {
            Ok(()) => self.trim(),
            Err(Refused::Duplicate) => {
                self.statistics.packets_duplicated += 1;
                self.statistics.packets_discarded += 1;
            }
            Err(Refused::TooLong) => self.discard_invalid(),
            Err(Refused::Full) => self.discard_flushed(1),
        }
    }

    /// Fills `pcm` (10 or 20 ms as a rule) with what is to be played from `now` on.
    pub fn get_audio(&mut self, now: u64, pcm: &mut [i16], decoder: &mut impl Decode) -> Operation {
        let mut now = self.samples_at(now);
        if self.stale_decoder && self.queue.len() > 0 {
            decoder.reset();
            self.stale_decoder = false;
        }
        let mut operation = Operation::Normal;
        for part in pcm.chunks_mut(STEP_MAX_MS * self.per_ms as usize) {
            // Every round makes a sample or takes a packet away.
            while self.audio.pending() < part.len() {
                operation = self.produce(now, part.len(), decoder);
            }
            self.audio.pop(part);
            now += part.len() as i64;
            self.since_stretch = self.since_stretch.saturating_add(part.len() as i64);
            self.statistics.total_samples_received += part.len() as u64;
        }
        self.statistics.target_delay = self.aim(pcm.len()).unsigned_abs();
        self.statistics.delay = self.played_after.unsigned_abs();
        operation
    }

    /// Another stream begins, as the session knows: what waits is dropped, audio goes on.
    pub fn handle_restart(&mut self) {
        self.timeline.reset();
        self.restart();
    }

    fn restart(&mut self) {
        if self.next.is_some() {
            self.statistics.resyncs += 1;
        }
        let dropped = self.queue.clear();
        self.discard_flushed(dropped as u64);
        self.arrivals.reset();
        self.target.handle_restart();
        (self.next, self.quiet, self.stale_decoder) = (None, false, true);
    }

    /// Drops the oldest packets while more than 500 ms wait.
    fn trim(&mut self) {
        let maximum = i64::from(DELAY_MAX_MS) * self.per_ms;
        while let (Some(front), Some(end)) = (self.queue.front(), self.queue.end()) {
            let from = self.next.map_or(front.position, |next| next.max(front.position));
            if end - from <= maximum || self.queue.len() == 1 {
                break;
            }
            self.skip();
        }
    }

    /// Drops the front packet; audio goes on behind it.
    pub(super) fn skip(&mut self) {
        if let Some(front) = self.queue.front() {
            self.queue.remove_front();
            if self.next.is_some() {
                self.next = self.next.max(Some(front.end()));
                // What follows does not continue what was played.
                self.made_up = self.made_up.max(1);
            }
            self.discard_flushed(1);
        }
    }

    fn samples_at(&self, now: u64) -> i64 {
        // Microseconds times 16 overflow after 36,000 years.
        i64::try_from((now / 1000).saturating_mul(self.per_ms.unsigned_abs()) / 1000).unwrap_or(i64::MAX / 4)
    }

    pub(super) fn discard_late(&mut self) {
        self.statistics.packets_late += 1;
        self.statistics.packets_discarded += 1;
    }

    pub(super) fn discard_invalid(&mut self) {
        self.statistics.packets_invalid += 1;
        self.statistics.packets_discarded += 1;
    }

    fn discard_flushed(&mut self, packets: u64) {
        self.statistics.packets_flushed += packets;
        self.statistics.packets_discarded += packets;
    }
}
