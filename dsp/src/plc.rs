//! Concealment of lost packets: what was last heard goes on at its own pitch and dies away, as ITU-T G.711 Appendix I
//! describes it, for 8 and 16 kHz and any packet length. Media workers; inline state, no heap.
//!
//! Unlike Appendix I nothing is delayed (it holds all audio back for 3.75 ms): the seam into a loss is smoothed by what
//! the vocal tract rings on with (linear prediction), the seam out of it inside the first good packet.
//!
//! Invariants, which a recogniser may rely on:
//! - audio of a stream without loss passes unchanged;
//! - what is made up is never louder than the loudest sample of the last 48.75 ms;
//! - the first 10 ms are at full level, then the level falls in a straight line; from 60 ms on every sample is 0
//!   ([`Concealment::for_ears`]: from 110 ms on);
//! - one period is never repeated for longer than 10 ms, two no longer than 10 ms more: no buzzing;
//! - of a good packet at most the first 10 ms are touched, and only after a loss.
//!
//! Deliberately absent: deciding what is lost; comfort noise (`cng`); waiting.

use crate::lpc::{ORDER_MAX, Prediction};
use crate::pitch;

const PER_MS_MAX: usize = 16;
/// Pitch periods that are looked for, ms (200 to 67 Hz, as in Appendix I).
const PERIOD_MS: core::ops::RangeInclusive<usize> = 5..=15;
/// Three of the longest periods and a quarter of one: 48.75 ms.
const SOURCE_MAX: usize = 195 * PER_MS_MAX / 4;
/// A quarter of the longest period.
const OVERLAP_MAX: usize = 15 * PER_MS_MAX / 4;
/// Full level up to here, ms.
const FULL_MS: usize = 10;
/// Silence from here on, ms, as in Appendix I.
const MUTE_MS: usize = 60;
/// The same for ears alone, which a slower fade disturbs less than an early hole.
pub(crate) const MUTE_FOR_EARS_MS: usize = 110;
/// Longest smoothing at the end of a loss, ms.
const MERGE_MS: usize = 10;

/// One stream's concealment.
#[derive(Clone, Debug)]
pub struct Concealment {
    per_ms: usize,
    mute_ms: usize,
    /// What was played, newest last; at 8 kHz only the second half is used.
    heard: [i16; SOURCE_MAX],
    /// `heard` at the start of the loss.
    source: [i16; SOURCE_MAX],
    /// What the filter rings on with.
    ringing: [f32; OVERLAP_MAX],
    /// Magnitude of the loudest sample of `source`.
    loudest: f32,
    /// Samples made up since the loss began; 0 when there is none.
    lost: usize,
    period: usize,
    /// Voiced measure of the period, −1 to 1.
    likeness: f32,
    repeated: Repeated,
    /// What was repeated before the number of periods grew, and how many samples of the cross-fade are left.
    before: Repeated,
    fade_left: usize,
    merge_total: usize,
    merge_left: usize,
}

/// A place in the last `cycles` periods.
#[derive(Clone, Copy, Default, Debug)]
struct Repeated {
    cycles: usize,
    position: usize,
}

impl Default for Concealment {
    /// For 8 kHz.
    fn default() -> Self {
        Self::new(8_000)
    }
}

impl Concealment {
    /// For audio at `rate` Hz: 8000 or 16000 (any other is taken for the nearer of the two).
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self::muted_after(rate, MUTE_MS)
    }

    /// The same, silent from 110 ms on: for a leg that nobody but a person hears.
    #[must_use]
    pub fn for_ears(rate: u32) -> Self {
        Self::muted_after(rate, MUTE_FOR_EARS_MS)
    }

    fn muted_after(rate: u32, mute_ms: usize) -> Self {
        Self {
            per_ms: if rate > 12_000 { 16 } else { 8 },
            mute_ms,
            heard: [0; SOURCE_MAX],
            source: [0; SOURCE_MAX],
            ringing: [0.0; OVERLAP_MAX],
            loudest: 0.0,
            lost: 0,
            period: 0,
            likeness: 0.0,
            repeated: Repeated::default(),
            before: Repeated::default(),
            fade_left: 0,
            merge_total: 0,
            merge_left: 0,
        }
    }

    /// Forgets what was heard: another sender begins.
    pub fn reset(&mut self) {
        self.heard.fill(0);
        (self.lost, self.merge_left) = (0, 0);
    }

    /// Takes samples that were received, in the order of playing. After a loss the first of them (at most 10 ms) are
    /// cross-faded with what was made up; else they stay as they are.
    pub fn handle_received(&mut self, pcm: &mut [i16]) {
        if self.lost > 0 {
            if self.merge_left == 0 {
                self.merge_total = self.merge_length();
                self.merge_left = self.merge_total;
            }
            for sample in pcm.iter_mut().take(self.merge_left) {
                let good = self.merge_total + 1 - self.merge_left;
                let weight = good as f32 / (self.merge_total + 1) as f32;
                let made = self.next_sample();
                *sample = mix(made, f32::from(*sample), weight);
                self.merge_left -= 1;
            }
            if self.merge_left == 0 {
                self.lost = 0;
            }
        }
        self.remember(pcm);
    }

    /// Fills `pcm` with what stands in for lost samples; continues where the previous call stopped.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        if self.lost == 0 || self.merge_left > 0 {
            self.begin();
        }
        for sample in pcm.iter_mut() {
            *sample = self.next_sample() as i16;
        }
        self.remember(pcm);
    }

    /// Samples made up in the present loss, those under the merge included.
    #[must_use]
    pub const fn lost(&self) -> usize {
        self.lost
    }

    /// Pitch period of the present loss, samples; known from the first `conceal` on.
    pub(crate) const fn period(&self) -> usize {
        self.period
    }

    /// A loss begins after `source` (at least 48.75 ms, newest last), whatever was received or made up before.
    pub(crate) fn continue_from(&mut self, source: &[i16]) {
        (self.lost, self.merge_left) = (0, 0);
        self.remember(source);
    }

    /// Level of the next sample made up, 0 to 1.
    pub(crate) fn level(&self) -> f32 {
        let (full, mute) = (FULL_MS * self.per_ms, self.mute_ms * self.per_ms);
        let over = self.lost.saturating_sub(full) as f32;
        (1.0 - over / (mute - full) as f32).max(0.0)
    }

    fn source(&self) -> &[i16] {
        &self.source[SOURCE_MAX - 195 * self.per_ms / 4..]
    }

    fn begin(&mut self) {
        self.source = self.heard;
        (self.lost, self.merge_left, self.fade_left) = (0, 0, 0);
        let (shortest, longest) = (PERIOD_MS.start() * self.per_ms, PERIOD_MS.end() * self.per_ms);
        let window = 20 * self.per_ms;
        let source = self.source();
        let end = source.len();
        let found = pitch::best_match(&source[end - window..], &source[end - window - longest..end - shortest]);
        // The search ranges over what the source always holds.
        let (period, likeness) = found.map_or((longest, 0.0), |found| (longest - found.offset, found.likeness));
        // A hiss has no period: a short one would be heard as a tone.
        self.period = if likeness < 0.4 { longest } else { period };
        self.likeness = likeness;
        self.repeated = Repeated { cycles: 1, position: 0 };
        self.ring();
    }

    /// Computes what the filter rings on with: not the whole sound, only what the last samples had that those one period
    /// before had not. A perfect period leaves nothing to ring.
    fn ring(&mut self) {
        let source = &self.source[SOURCE_MAX - 195 * self.per_ms / 4..];
        let model = Prediction::analyse(&source[source.len() - 20 * self.per_ms..], self.per_ms + 2);
        let mut past = [0.0; ORDER_MAX];
        let earlier = source.iter().rev().skip(self.period);
        for ((past, sample), earlier) in past.iter_mut().zip(source.iter().rev()).zip(earlier) {
            *past = f32::from(*sample) - f32::from(*earlier);
        }
        for sample in &mut self.ringing[..self.period / 4] {
            *sample = model.synthesise(0.0, &past);
            past.copy_within(..ORDER_MAX - 1, 1);
            past[0] = *sample;
        }
        self.loudest = source.iter().map(|s| s.unsigned_abs()).max().map_or(0.0, f32::from);
    }

    /// One more sample.
    fn next_sample(&mut self) -> f32 {
        let level = self.level();
        if level <= 0.0 {
            return 0.0;
        }
        if self.lost == FULL_MS * self.per_ms || self.lost == 2 * FULL_MS * self.per_ms {
            self.before = self.repeated;
            self.fade_left = self.period / 4;
            // The same phase in the oldest of the periods.
            self.repeated.position %= self.period;
            self.repeated.cycles += 1;
        }
        let overlap = self.period / 4;
        let (now, next) = self.at(self.repeated);
        self.repeated = next;
        let mut sample = now;
        if self.lost < overlap {
            let weight = (self.lost + 1) as f32 / (overlap + 1) as f32;
            sample = (sample + self.ringing[self.lost] * (1.0 - weight)).clamp(-self.loudest, self.loudest);
        } else if self.fade_left > 0 {
            let (old, next) = self.at(self.before);
            self.before = next;
            let weight = self.fade_left as f32 / (overlap + 1) as f32;
            sample = old * weight + sample * (1.0 - weight);
            self.fade_left -= 1;
        }
        self.lost += 1;
        sample * level
    }

    /// The sample at a place of the last `cycles` periods, whose end is cross-faded into what came before their start;
    /// and the place after it.
    fn at(&self, place: Repeated) -> (f32, Repeated) {
        let source = self.source();
        let length = place.cycles * self.period;
        let overlap = self.period / 4;
        let index = source.len() - length + place.position;
        let sample = f32::from(source[index]);
        let next = Repeated { position: (place.position + 1) % length, ..place };
        let Some(into) = (place.position + overlap).checked_sub(length) else { return (sample, next) };
        let weight = (into + 1) as f32 / (overlap + 1) as f32;
        (sample * (1.0 - weight) + f32::from(source[index - length]) * weight, next)
    }

    /// A quarter of a period, and 4 ms more for every 10 ms lost after the first.
    pub(crate) fn merge_length(&self) -> usize {
        let per_ms = self.per_ms;
        if self.level() <= 0.0 {
            return 4 * per_ms;
        }
        let more = (self.lost / (10 * per_ms)).saturating_sub(1) * 4 * per_ms;
        (self.period / 4 + more).min(MERGE_MS * per_ms)
    }

    fn remember(&mut self, pcm: &[i16]) {
        let keep = pcm.len().min(SOURCE_MAX);
        self.heard.copy_within(keep.., 0);
        self.heard[SOURCE_MAX - keep..].copy_from_slice(&pcm[pcm.len() - keep..]);
    }
}

fn mix(from: f32, into: f32, weight: f32) -> i16 {
    // Both are within the range of a sample, and so is what lies between.
    (from * (1.0 - weight) + into * weight) as i16
}

#[cfg(test)]
mod tests;
