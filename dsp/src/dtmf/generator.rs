//! Makes keys in the audio. Purpose: what a telephone's keypad sends, for legs that agreed on no telephone events. Media
//! workers; inline state, no heap. Invariants: keys go out in the order queued, each as long as asked, with a pause after
//! it; pieces of any length give the same samples as the whole. Deliberately absent: mixing with speech (a key replaces
//! it), telephone events.

use super::frequencies;
use crate::level::DBM0_OF_FULL_SCALE_SINE;
use crate::resample::{Rate, RateError};
use crate::tone::{Edge, Tone};

/// Keys that wait at most.
pub const QUEUE_MAX: usize = 32;
/// Length of a key, ms: twice what Q.24 asks receivers to take, for the sake of lossy paths.
const ON_MS: u32 = 100;
/// Pause after it, ms.
const OFF_MS: u32 = 80;
/// Level of the row's tone, dBm0.
const ROW_DBM0: f64 = -8.0;
/// Level of the column's tone, dBm0: 2 dB above, since lines take more from high tones.
const COLUMN_DBM0: f64 = -6.0;

/// Why keys were not queued; none of the call's keys was then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueError {
    /// The asker's: this is no key. Correct it.
    NoKey(char),
    /// Too many keys wait. Try again when some have gone out.
    Full,
}

impl core::fmt::Display for QueueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoKey(key) => write!(f, "{key:?} is no key; write 0-9, *, #, A-D"),
            Self::Full => write!(f, "{QUEUE_MAX} keys wait already; send the rest later"),
        }
    }
}

impl core::error::Error for QueueError {}

/// A key on its way.
#[derive(Clone, Copy, Debug)]
struct Current {
    row: Tone,
    column: Tone,
    /// Samples of tone and pause made.
    made: u32,
}

/// In-band keys of one direction of one call.
#[derive(Clone, Debug)]
pub struct Generator {
    rate: u32,
    queue: [char; QUEUE_MAX],
    waiting: usize,
    current: Option<Current>,
    on: u32,
    off: u32,
    edge: Edge,
}

impl Generator {
    /// For audio at `rate` Hz: 8000, 16000, 24000 or 48000. Keys last 100 ms with 80 ms between them.
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn new(rate: u32) -> Result<Self, RateError> {
        let rate = Rate::try_from(rate)?.hz();
        Ok(Self {
            rate,
            queue: ['0'; QUEUE_MAX],
            waiting: 0,
            current: None,
            on: rate / 1000 * ON_MS,
            off: rate / 1000 * OFF_MS,
            edge: Edge::new(rate),
        })
    }

    /// The same with keys of `on_ms` and pauses of `off_ms`; both from 40 (Q.24's minimum) to 10,000, others are brought
    /// there. Applies from the next key.
    #[must_use]
    pub fn with_timing(mut self, on_ms: u32, off_ms: u32) -> Self {
        self.on = self.rate / 1000 * on_ms.clamp(40, 10_000);
        self.off = self.rate / 1000 * off_ms.clamp(40, 10_000);
        self
    }

    /// Queues keys behind those that wait: all of them or none.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn queue(&mut self, keys: &str) -> Result<(), QueueError> {
        if let Some(wrong) = keys.chars().find(|key| frequencies(*key).is_none()) {
            return Err(QueueError::NoKey(wrong));
        }
        if keys.len() > QUEUE_MAX - self.waiting {
            return Err(QueueError::Full);
        }
        for key in keys.chars() {
            self.queue[self.waiting] = key;
            self.waiting += 1;
        }
        Ok(())
    }

    /// Drops what waits and what is sounding (its edge is cut).
    pub fn clear(&mut self) {
        self.waiting = 0;
        self.current = None;
    }

    /// True when nothing sounds or waits: `fill` would write nothing.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting == 0
    }

    /// Writes keys and their pauses over the front of `pcm`; returns how many samples that was. Less than the length only
    /// when all keys have gone out.
    pub fn fill(&mut self, pcm: &mut [i16]) -> usize {
        let mut written = 0;
        while written < pcm.len() {
            let Some(current) = self.current.as_mut() else {
                if !self.advance() {
                    break;
                }
                continue;
            };
            let slot = &mut pcm[written];
            *slot = if current.made < self.on {
                let gain = self.edge.gain(current.made, self.on);
                // The two peaks together stay below full scale.
                ((current.row.next() + current.column.next()) * gain).round() as i16
            } else {
                0
            };
            written += 1;
            current.made += 1;
            if current.made >= self.on + self.off {
                self.current = None;
            }
        }
        written
    }

    /// Begins the next key.
    fn advance(&mut self) -> bool {
        if self.waiting == 0 {
            return false;
        }
        let key = self.queue[0];
        self.queue.copy_within(1..self.waiting, 0);
        self.waiting -= 1;
        self.current = frequencies(key).map(|(row, column)| {
            let tone = |hz, dbm0: f64| Tone::new(hz, self.rate, dbm0 - f64::from(DBM0_OF_FULL_SCALE_SINE));
            Current { row: tone(row, ROW_DBM0), column: tone(column, COLUMN_DBM0), made: 0 }
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_queued_whole_or_not_at_all() {
        let mut generator = Generator::new(8000).unwrap();
        assert_eq!(generator.queue("12x"), Err(QueueError::NoKey('x')));
        assert!(generator.is_idle());
        assert_eq!(generator.queue("0123456789*#abcd"), Ok(()));
        assert_eq!(generator.queue("0123456789*#ABCD1"), Err(QueueError::Full));
        assert_eq!(generator.queue("0123456789*#ABCD"), Ok(()));
        let mut pcm = vec![0; 8000 * 10];
        assert_eq!(generator.fill(&mut pcm), 32 * 8 * 180);
        assert!(generator.is_idle());
        assert_eq!(generator.fill(&mut pcm), 0);
        assert_eq!(Generator::new(44_100).unwrap_err(), RateError { hz: 44_100 });
    }

    #[test]
    fn pieces_make_the_same_keys_as_the_whole() {
        let mut generator = Generator::new(16_000).unwrap().with_timing(50, 70);
        generator.queue("5#").unwrap();
        let mut again = generator.clone();
        let (mut whole, mut pieces) = (vec![0i16; 16 * 240], vec![0i16; 16 * 240]);
        assert_eq!(generator.fill(&mut whole), whole.len());
        for part in pieces.chunks_mut(77) {
            assert_eq!(again.fill(part), part.len());
        }
        assert_eq!(whole, pieces);
        assert!(whole[16 * 50..16 * 120].iter().all(|s| *s == 0), "a pause follows the key");
    }

    #[test]
    fn the_edges_are_soft_and_the_level_is_standard() {
        let mut generator = Generator::new(8000).unwrap();
        generator.queue("1").unwrap();
        let mut pcm = [0i16; 800];
        generator.fill(&mut pcm);
        assert!(pcm[..4].iter().chain(&pcm[796..]).all(|s| s.unsigned_abs() < 1500), "{:?}", &pcm[..4]);
        // −8 and −6 dBm0 add to −3.9 dBm0 of power: −7.0 dB below a full-scale sine, −10.0 below a square.
        assert!((crate::level::dbfs(&pcm[80..720]) + 10.0).abs() < 0.2);
    }
}
