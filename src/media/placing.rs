//! Where audio that passes through belongs on a recording. Purpose: a bridge keeps no audio time; each side's samples are
//! placed by its sender's timestamps, so that losses, bursts and packets out of order cost nothing, and the whole follows
//! the wall clock. Media workers; a few words a side. Invariants: against the wall clock nothing accumulates: where the
//! packets with the least delay of two times five seconds agree that the sender's clock has gone half a millisecond off, the
//! audio moves back, a millisecond a packet at most, so that two sides do not drift apart; no packet is left out whole.
//! Deliberately absent: samples, files (`recorder`).

use crate::media::coders::SPEECH_RATE;

/// A distance of timestamps up to this (2 s) is a pause or a loss; beyond it the sender has started anew.
const GAP_MAX: i64 = 16_000;
/// Further from the wall clock than this (1 s), it is not the sender's clock that is off.
const OFF_MAX: i64 = 8_000;
/// Audio may be off by this (half a millisecond).
const OFF_TOLERATED: i64 = 4;
/// Moved at most in five seconds (20 ms).
const MOVED_MAX: i64 = 160;
/// Samples among whose packets the one with the least delay is looked for (5 s).
const WATCHED: u64 = 40_000;
/// Samples that one packet is made shorter or longer by, at most (1 ms).
pub(super) const STEP_MAX: usize = 8;

/// When its sender says that audio began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) timestamp: u32,
    /// Hz, of the timestamp.
    pub(super) clock: u32,
}

/// Where the samples go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    /// Samples from the start of audio time.
    pub(super) at: u64,
    /// Samples to put in before the packet.
    pub(super) fill: usize,
    /// Samples to leave out of its beginning.
    pub(super) trim: usize,
}

/// One side.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Placing {
    /// After the furthest samples so far.
    next: u64,
    /// Timestamp that continues them, and its clock.
    expected: Option<(u32, u32)>,
    /// Furthest ahead of the wall clock, of the packets watched.
    ahead: Option<i64>,
    /// The same of the five seconds before: the network's delay changes from one to the next, a clock goes on.
    ahead_before: i64,
    watched: u64,
    /// Samples to be filled (or, below 0, left out) in the next packets.
    owed: i64,
}

impl Placing {
    /// Places `samples` at 8 kHz that came at `wall`, samples of the wall clock. Without a stamp they follow what was before.
    pub(super) fn place(&mut self, wall: u64, stamp: Option<Stamp>, samples: usize) -> Placed {
        // Both are far below 2^63: hours of samples.
        let (next, wall) = (self.next as i64, wall as i64);
        let distance = match stamp.zip(self.expected) {
            Some((stamp, (expected, clock))) if stamp.clock == clock => {
                // Signed: an older packet may come late.
                let units = stamp.timestamp.wrapping_sub(expected) as i32;
                Some(i64::from(units) * i64::from(SPEECH_RATE) / i64::from(clock.max(1)))
            }
            Some(_) => None,
            None => stamp.is_none().then_some(0),
        };
        let known = |d: &i64| d.abs() <= GAP_MAX && (next + d - wall).abs() <= OFF_MAX && next + d >= 0;
        let Some(distance) = distance.filter(known) else {
            // Never backwards: what is written stays.
            let at = next.max(wall);
            (self.ahead, self.watched, self.owed) = (None, 0, 0);
            self.go_on(at, samples, stamp);
            return Placed { at: at as u64, fill: 0, trim: 0 };
        };
        let at = next + distance;
        if distance < 0 {
            return Placed { at: at as u64, fill: 0, trim: 0 };
        }
        self.watch(at - wall, samples as u64);
        let step = if samples > STEP_MAX { self.owed.clamp(-(STEP_MAX as i64), STEP_MAX as i64) } else { 0 };
        self.owed -= step;
        self.go_on(at + step, samples, stamp);
        // One of them is 0; at most `STEP_MAX`.
        Placed { at: at as u64, fill: step.max(0) as usize, trim: (-step).max(0) as usize }
    }

    fn go_on(&mut self, at: i64, samples: usize, stamp: Option<Stamp>) {
        self.next = at as u64 + samples as u64;
        self.expected = stamp.map(|Stamp { timestamp, clock }| {
            // Some 60 ms: far below 2^32.
            let length = (samples as u64 * u64::from(clock) / u64::from(SPEECH_RATE)) as u32;
            (timestamp.wrapping_add(length), clock)
        });
    }

    fn watch(&mut self, ahead: i64, samples: u64) {
        self.ahead = Some(self.ahead.map_or(ahead, |before| before.max(ahead)));
        self.watched += samples;
        if self.watched >= WATCHED {
            self.watched = 0;
            let now = self.ahead.take().unwrap_or_default();
            let before = std::mem::replace(&mut self.ahead_before, now);
            let both = if now.signum() == before.signum() { now.signum() * now.abs().min(before.abs()) } else { 0 };
            if both.abs() > OFF_TOLERATED {
                self.owed = -both.clamp(-MOVED_MAX, MOVED_MAX);
                // What is moved now is not still off.
                self.ahead_before = now + self.owed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 160;

    fn stamp(timestamp: u64) -> Option<Stamp> {
        Some(Stamp { timestamp: timestamp as u32, clock: 8_000 })
    }

    /// Packets of a clock that is fast by so many parts in a million, for an hour; the network delays each by up to 40 ms.
    /// Samples that audio was off at worst, that it was off after a minute and at the end (mean of a minute each), holes.
    fn hour(fast: i64) -> (i64, [i64; 2], usize) {
        const MINUTE: u64 = 3_000;
        let (mut placing, mut worst, mut end, mut holes) = (Placing::default(), 0, 0, 0);
        let mut off = [0; 2];
        let mut random = 1u32;
        for n in 0..180_000u64 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sent = 800 + (n * FRAME) as i64 * 1_000_000 / (1_000_000 + fast);
            let wall = sent as u64 + u64::from(random >> 16) % 320;
            let placed = placing.place(wall, stamp(4_294_900_000 + n * FRAME), FRAME as usize);
            assert!(placed.fill <= STEP_MAX && placed.trim <= STEP_MAX);
            if n > 0 && placed.at != end {
                holes += 1;
            }
            end = placed.at + placed.fill as u64 - placed.trim as u64 + FRAME;
            let error = placed.at as i64 - sent;
            worst = worst.max(error.abs());
            match n / MINUTE {
                1 => off[0] += error,
                59 => off[1] += error,
                _ => {}
            }
        }
        (worst, off.map(|sum| sum / MINUTE as i64), holes)
    }

    #[test]
    fn no_clock_drifts_away_from_the_wall_clock() {
        for fast in [-1000, -100, 0, 50, 100, 1000, 3000] {
            let (worst, [first, last], holes) = hour(fast);
            assert!(worst <= 60 * 8, "{fast} ppm: {worst} samples off");
            // A millisecond an hour: what two sides of a recording may drift apart.
            assert!((last - first).abs() < 8, "{fast} ppm: {first} samples off after a minute, {last} after an hour");
            assert_eq!(holes, 0, "{fast} ppm");
        }
    }

    /// One side's clock is fast and the other's slow, as two phones' are: an hour later they are as they were.
    #[test]
    fn two_sides_do_not_drift_apart() {
        let apart = |n: usize| hour(100).1[n] - hour(-100).1[n];
        assert!((apart(1) - apart(0)).abs() < 8, "{} samples, then {}", apart(0), apart(1));
    }

    #[test]
    fn losses_bursts_and_late_packets_change_nothing() {
        let mut placing = Placing::default();
        let base = placing.place(1000, stamp(0), 160).at;
        assert_eq!(base, 1000);
        for n in 1..2000u64 {
            if n % 50 == 7 {
                continue; // lost
            }
            // Every second the network stands still for half of one.
            let wall = 1000 + if n % 50 < 25 { n.next_multiple_of(25) * FRAME } else { n * FRAME };
            assert_eq!(placing.place(wall, stamp(n * FRAME), 160), Placed { at: 1000 + n * FRAME, fill: 0, trim: 0 });
        }
        let wall = 1000 + 2010 * FRAME;
        assert_eq!(placing.place(wall, stamp(2002 * FRAME), 160).at, 1000 + 2002 * FRAME);
        assert_eq!(placing.place(wall, stamp(2001 * FRAME), 160).at, 1000 + 2001 * FRAME);
        assert_eq!(placing.place(wall, stamp(2003 * FRAME), 160).at, 1000 + 2003 * FRAME);
    }

    #[test]
    fn another_sender_or_a_sender_that_stood_still_starts_at_the_wall_clock() {
        let mut placing = Placing::default();
        placing.place(0, stamp(0), 160);
        assert_eq!(placing.place(40_000, stamp(160), 160).at, 40_000);
        assert_eq!(placing.place(50_000, stamp(2_000_000_000), 160).at, 50_000);
        // Never backwards.
        assert_eq!(placing.place(49_000, stamp(7), 160).at, 50_160);
        // Audio of our own making follows, and what comes after it begins anew.
        assert_eq!(placing.place(50_300, None, 160).at, 50_320);
        assert_eq!(placing.place(50_500, stamp(167), 160).at, 50_500);
    }
}
