//! Decoded audio: what was played last and what is to be played next, in one stretch, so that it can be shortened,
//! lengthened and joined without a click (WSOLA: cut or doubled where the audio resembles itself). Invariants: room is taken
//! in [`Audio::new`]; more than fits is not taken. Deliberately absent: when to do it.

use crate::level;
use crate::pitch;

/// Played audio that is kept: what the concealment looks back on (48.75 ms).
const PLAYED_MS: usize = 50;
/// Audio to be played that fits: a packet of 120 ms, one of 60 ms behind it, what is left over, and lengthening.
const PENDING_MS: usize = 250;
/// Periods that may be cut out or doubled, ms.
const SHORTEST_MS: usize = 5;
const LONGEST_MS: usize = 15;
/// Cross-fade and comparison at least, ms, and at most.
const OVERLAP_MS: usize = 5;
const OVERLAP_MAX_MS: usize = 10;
/// Audio must resemble itself this much to be cut or doubled.
const LIKENESS: f32 = 0.9;
/// The same when much is to be cut.
const LIKENESS_FAST: f32 = 0.5;
/// Quieter than this nobody hears the seam.
const QUIET_DBFS: f32 = -55.0;

/// The audio of one stream around the present.
#[derive(Clone, Debug)]
pub struct Audio {
    per_ms: usize,
    samples: Vec<i16>,
    /// Index of the first sample to be played.
    next: usize,
}

impl Audio {
    /// For samples at `rate` Hz.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let per_ms = (rate as usize / 1000).max(1);
        let mut samples = Vec::with_capacity((PLAYED_MS * 2 + PENDING_MS) * per_ms);
        samples.resize(PLAYED_MS * per_ms, 0);
        Self { per_ms, next: samples.len(), samples }
    }

    /// Samples to be played.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.samples.len() - self.next
    }

    /// All that is there, the newest last: at least 50 ms.
    #[must_use]
    pub fn all(&self) -> &[i16] {
        &self.samples
    }

    /// Appends; what does not fit is cut off.
    pub fn push(&mut self, pcm: &[i16]) {
        let room = self.samples.capacity() - self.samples.len();
        self.samples.extend_from_slice(&pcm[..pcm.len().min(room)]);
    }

    /// Takes the next samples out into `pcm`; returns how many there were.
    pub fn pop(&mut self, pcm: &mut [i16]) -> usize {
        let count = pcm.len().min(self.pending());
        pcm[..count].copy_from_slice(&self.samples[self.next..self.next + count]);
        self.next += count;
        let keep = PLAYED_MS * self.per_ms;
        if self.next > 2 * keep {
            self.samples.drain(..self.next - keep);
            self.next = keep;
        }
        count
    }

    /// Cuts a piece of at most `most` samples out of what is to be played, if that is inaudible; returns its length.
    pub fn shorten(&mut self, most: usize, fast: bool) -> Option<usize> {
        let (shortest, overlap) = (SHORTEST_MS * self.per_ms, OVERLAP_MS * self.per_ms);
        let longest = most.min(LONGEST_MS * self.per_ms).min(self.pending().checked_sub(overlap)?);
        if longest < shortest {
            return None;
        }
        let pending = &self.samples[self.next..];
        let overlap = (pending.len() - longest).min(OVERLAP_MAX_MS * self.per_ms);
        let period = if is_quiet(&pending[..longest + overlap]) {
            longest
        } else {
            let searched = &pending[shortest..longest + overlap];
            let found = pitch::best_match(&pending[..overlap], searched)?;
            let enough = if fast { LIKENESS_FAST } else { LIKENESS };
            (found.likeness >= enough).then_some(found.offset + shortest)?
        };
        for n in 0..overlap {
            let (early, late) = (self.samples[self.next + n], self.samples[self.next + period + n]);
            self.samples[self.next + n] = mix(early, late, n, overlap);
        }
        self.samples.drain(self.next + overlap..self.next + overlap + period);
        Some(period)
    }

    /// Plays a piece of at most `most` samples twice, if that is inaudible; returns its length.
    pub fn lengthen(&mut self, most: usize) -> Option<usize> {
        let shortest = SHORTEST_MS * self.per_ms;
        let longest = most.min(LONGEST_MS * self.per_ms).min(self.samples.capacity() - self.samples.len());
        let overlap = self.pending().min(OVERLAP_MAX_MS * self.per_ms);
        if longest < shortest || overlap < OVERLAP_MS * self.per_ms {
            return None;
        }
        let pattern = &self.samples[self.next..self.next + overlap];
        let searched = &self.samples[self.next - longest..self.next - shortest + overlap];
        let period = if is_quiet(searched) {
            longest
        } else {
            let found = pitch::best_match(pattern, searched)?;
            (found.likeness >= LIKENESS).then_some(longest - found.offset)?
        };
        // … played | pending  →  played | pending fading into (one period earlier) … pending
        let mut faded = [0; OVERLAP_MAX_MS * 16];
        let overlap = overlap.min(faded.len());
        for (n, sample) in faded[..overlap].iter_mut().enumerate() {
            *sample = mix(self.samples[self.next + n], self.samples[self.next - period + n], n, overlap);
        }
        let (from, end) = (self.next + overlap - period, self.samples.len());
        self.samples.resize(end + period, 0);
        self.samples.copy_within(from..end, self.next + overlap);
        self.samples[self.next..self.next + overlap].copy_from_slice(&faded[..overlap]);
        Some(period)
    }
}

fn is_quiet(pcm: &[i16]) -> bool {
    !level::is_louder(pcm, QUIET_DBFS)
}

/// `from` into `into`, at step `n` of `steps`.
pub(super) fn mix(from: i16, into: i16, n: usize, steps: usize) -> i16 {
    let weight = (n + 1) as f32 / (steps + 1) as f32;
    // Between two samples lies a sample.
    (f32::from(from) * (1.0 - weight) + f32::from(into) * weight) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f32, from: usize, samples: usize) -> Vec<i16> {
        let turn = hz / rate as f32 * core::f32::consts::TAU;
        (from..from + samples).map(|n| (9000.0 * (n as f32 * turn).sin()) as i16).collect()
    }

    /// Steps of a tone are bounded by its amplitude and frequency; a click is not.
    fn steepest(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
    }

    #[test]
    fn a_tone_stays_a_tone_shorter_and_longer() {
        for (rate, hz) in [(8000, 200.0), (8000, 437.0), (16_000, 300.0), (16_000, 1000.0)] {
            let mut audio = Audio::new(rate);
            let ms = rate as usize / 1000;
            let (mut out, mut at, mut changed) = (vec![], 0, [0usize; 2]);
            for n in 0..200 {
                audio.push(&tone(rate, hz, at, 20 * ms));
                at += 20 * ms;
                if n % 3 == 1 {
                    audio.push(&tone(rate, hz, at, 20 * ms));
                    at += 20 * ms;
                    changed[0] += audio.shorten(12 * ms, false).unwrap_or(0);
                } else if n % 3 == 2 {
                    changed[1] += audio.lengthen(12 * ms).unwrap_or(0);
                }
                while audio.pending() > 0 {
                    let mut pcm = vec![0; (10 * ms).min(audio.pending())];
                    assert_eq!(audio.pop(&mut pcm), pcm.len());
                    out.extend(pcm);
                }
            }
            assert!(changed.iter().all(|c| *c > 60 * 5 * ms), "{rate} {hz}: {changed:?}");
            assert_eq!(out.len() + changed[0], at + changed[1]);
            let plain = tone(rate, hz, 0, rate as usize);
            assert!(steepest(&out) <= steepest(&plain) * 11 / 10, "{rate} {hz}: {}", steepest(&out));
            let crossings = |pcm: &[i16]| pcm.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count() as f32;
            let heard = crossings(&out) / 2.0 / out.len() as f32 * rate as f32;
            assert!((heard / hz - 1.0).abs() < 0.01, "{rate} {hz}: {heard}");
            // Its level does not sag in the seams either.
            for part in out.chunks(10 * ms).skip(1) {
                assert!(level::rms(part) > 0.8 * level::rms(&plain), "{rate} {hz}");
            }
        }
    }

    #[test]
    fn noise_is_left_alone_and_silence_is_not() {
        let mut seed = 1u32;
        let noise: Vec<i16> = core::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 18) as i16 - 8192
        })
        .take(400)
        .collect();
        let mut audio = Audio::new(8000);
        audio.push(&noise);
        assert_eq!(audio.shorten(120, false), None);
        let mut audio = Audio::new(8000);
        audio.push(&[0; 200]);
        assert_eq!(audio.shorten(100, false), Some(100));
        assert_eq!(audio.lengthen(100), Some(100));
        assert_eq!(audio.pending(), 200);
        assert_eq!(audio.shorten(39, false), None, "less than 5 ms is not worth a seam");
    }

    #[test]
    fn more_than_fits_is_cut_off() {
        let mut audio = Audio::new(8000);
        for _ in 0..100 {
            audio.push(&[1; 160]);
            audio.lengthen(120);
        }
        assert!(audio.pending() <= 300 * 8);
        let mut pcm = [0; 10_000];
        let count = audio.pop(&mut pcm);
        assert!((1600..=2400).contains(&count), "{count}");
        assert_eq!(audio.pop(&mut pcm), 0);
    }
}
