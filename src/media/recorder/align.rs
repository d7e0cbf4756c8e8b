//! Two sides → one stereo stream. Purpose: lay both sides out on the call's audio time, whatever order and moment their
//! frames arrive in. Recorder thread; pure. Invariants:
//!
//! - sample n of a side lands at sample n of the file, so the channels cannot drift against each other;
//! - holes are silence; of an overlap, what came first stays;
//! - a side that brings nothing holds the other up by [`WAIT`] of audio at most.
//!
//! Deliberately absent: time of arrival, files.

use super::tap::{Side, TapFrame};
use crate::limits::{AHEAD_MAX, CALL_MAX, RECORDING_POLL};
use std::time::Duration;

/// One stereo sample: caller, agent.
pub(super) type Pair = [i16; 2];

/// How much audio of one side waits for the other. More than `limits::AHEAD_MAX`, by which the caller's audio may run
/// ahead of the agent's clock, and so little that what is a second old is always in the file.
pub(super) const WAIT: Duration = Duration::from_millis(650);
const WAIT_SAMPLES: u64 = samples_in(WAIT);
/// Samples kept at once; a power of two.
const WINDOW: usize = 8192;
/// Positions beyond the longest call (and a minute) are a fault, not audio.
const POSITION_MAX: u64 = samples_in(CALL_MAX) + 60 * 8000;
/// Audio further ahead of the wall clock than this is no audio: a phone's jump in time must not fill the disk with silence.
const AHEAD: Duration = Duration::from_secs(2);
/// And clocks of phones may be fast by one in so many (0.4 %).
const FAST: u32 = 256;

const _: () = assert!(WAIT.as_nanos() > AHEAD_MAX.as_nanos() && WINDOW.is_power_of_two());
const _: () = assert!(WAIT.as_nanos() + RECORDING_POLL.as_nanos() < Duration::from_secs(1).as_nanos());
const _: () = assert!(WAIT_SAMPLES + 160 < WINDOW as u64);

const fn samples_in(time: Duration) -> u64 {
    time.as_millis() as u64 * 8
}

/// Both sides of one call.
pub(super) struct Aligner {
    window: Box<[Pair; WINDOW]>,
    /// Position of the next sample that is handed out.
    released: u64,
    /// Position after the last sample of each side.
    ends: [u64; 2],
    /// Samples that were not taken since their place was taken or had passed.
    trimmed: u64,
    /// Frames whose position cannot be.
    misplaced: u64,
    /// Position that no frame may pass now.
    limit: u64,
}

impl Aligner {
    pub(super) fn new() -> Self {
        Self {
            window: Box::new([[0; 2]; WINDOW]),
            released: 0,
            ends: [0; 2],
            trimmed: 0,
            misplaced: 0,
            limit: POSITION_MAX,
        }
    }

    /// Samples handed out so far: the length of the file.
    pub(super) fn released(&self) -> u64 {
        self.released
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed
    }

    pub(super) fn misplaced(&self) -> u64 {
        self.misplaced
    }

    /// So much time has passed since the call's audio time was 0, or more.
    pub(super) fn handle_time(&mut self, passed: Duration) {
        self.limit = samples_in(passed + passed / FAST + AHEAD).min(POSITION_MAX);
    }

    /// Lays one frame in its place. `out` gets what had to make room for it.
    pub(super) fn handle_frame(&mut self, frame: &TapFrame, out: &mut impl FnMut(&[Pair])) {
        let side = match frame.side {
            Side::Caller => 0,
            Side::Agent => 1,
        };
        let samples = frame.samples();
        let end = frame.at.0.saturating_add(samples.len() as u64);
        if end > self.limit {
            self.misplaced += 1;
            return;
        }
        let start = frame.at.0.max(self.ends[side]).max(self.released);
        self.trimmed += (start - frame.at.0).min(samples.len() as u64);
        if start >= end {
            return;
        }
        // What the other side has not brought WAIT ago is not waited for; never past what is laid down now.
        self.release(end.saturating_sub(WAIT_SAMPLES).min(start), out);
        // Both differ by 160 at most.
        let skip = (start - frame.at.0) as usize;
        for (position, sample) in (start..end).zip(&samples[skip..]) {
            self.window[slot(position)][side] = *sample;
        }
        self.ends[side] = end;
    }

    /// Hands out what both sides have passed.
    pub(super) fn poll_ready(&mut self, out: &mut impl FnMut(&[Pair])) {
        self.release(self.ends[0].min(self.ends[1]), out);
    }

    /// Hands out everything: the call has ended, or nothing came for long.
    pub(super) fn poll_all(&mut self, out: &mut impl FnMut(&[Pair])) {
        self.release(self.ends[0].max(self.ends[1]), out);
    }

    /// Hands out up to `to`. What is beyond both ends is silence, since slots are cleared as they are handed out.
    fn release(&mut self, to: u64, out: &mut impl FnMut(&[Pair])) {
        while self.released < to {
            let first = slot(self.released);
            let count = usize::try_from(to - self.released).unwrap_or(WINDOW).min(WINDOW - first);
            let part = &mut self.window[first..first + count];
            out(part);
            part.fill([0; 2]);
            self.released += count as u64;
        }
    }
}

fn slot(position: u64) -> usize {
    // The remainder is below WINDOW.
    (position % WINDOW as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaTime;
    use proptest::prelude::*;

    fn frame(side: Side, at: u64, samples: &[i16]) -> TapFrame {
        let mut frame = TapFrame { at: MediaTime(at), side, len: samples.len() as u16, ..TapFrame::EMPTY };
        frame.pcm[..samples.len()].copy_from_slice(samples);
        frame
    }

    #[test]
    fn a_click_at_sample_n_lands_at_sample_n_on_both_sides() {
        for n in [0, 1, 159, 160, 7999, 100_003] {
            for caller_first in [true, false] {
                let (mut aligner, mut file) = (Aligner::new(), Vec::new());
                let mut out = |part: &[Pair]| file.extend_from_slice(part);
                for at in (0..n + 160).step_by(160) {
                    let mut pcm = [0; 160];
                    if (at..at + 160).contains(&n) {
                        pcm[(n - at) as usize] = 9;
                    }
                    let sides = if caller_first { [Side::Caller, Side::Agent] } else { [Side::Agent, Side::Caller] };
                    for side in sides {
                        aligner.handle_frame(&frame(side, at, &pcm), &mut out);
                        aligner.poll_ready(&mut out);
                    }
                }
                aligner.poll_all(&mut out);
                let clicks: Vec<_> = (0..).zip(&file).filter(|(_, pair)| **pair != [0; 2]).collect();
                assert_eq!(clicks, [(n, &[9, 9])]);
            }
        }
    }

    #[test]
    fn after_an_hour_with_a_caller_in_bursts_the_channels_are_apart_by_nothing() {
        // The caller's frames come up to half a second early, five at a time, as after a stall; one in 997 never comes.
        let (mut aligner, mut handed, mut apart) = (Aligner::new(), 0_u64, 0_u64);
        let mark = |at: u64| (at / 160 % 30_000) as i16 + 1;
        {
            // One sample of each frame says where it lies.
            let mut out = |part: &[Pair]| {
                let first = (160 - handed % 160) % 160;
                for place in (first as usize..part.len()).step_by(160) {
                    let (pair, at) = (part[place], handed + place as u64);
                    let expected = mark(at);
                    let missing = at / 160 % 997 == 0;
                    apart += u64::from(pair != [if missing { 0 } else { expected }, expected]);
                }
                handed += part.len() as u64;
            };
            for n in 0..3600 * 50_u64 {
                if n % 25 == 0 {
                    for ahead in (n..n + 25).filter(|n| n % 997 != 0) {
                        let at = ahead * 160;
                        aligner.handle_frame(&frame(Side::Caller, at, &[mark(at); 160]), &mut out);
                    }
                }
                aligner.handle_frame(&frame(Side::Agent, n * 160, &[mark(n * 160); 160]), &mut out);
                if n % 10 == 0 {
                    aligner.poll_ready(&mut out);
                }
            }
            aligner.poll_all(&mut out);
        }
        assert_eq!((handed, apart, aligner.trimmed()), (3600 * 8000, 0, 0));
    }

    #[test]
    fn a_silent_side_holds_the_other_up_by_less_than_a_second() {
        let (mut aligner, mut handed) = (Aligner::new(), 0);
        let mut out = |part: &[Pair]| handed += part.len() as u64;
        for n in 0..500 {
            aligner.handle_frame(&frame(Side::Caller, n * 160, &[1; 160]), &mut out);
            aligner.poll_ready(&mut out);
        }
        assert_eq!(handed, 500 * 160 - WAIT_SAMPLES);
    }

    #[test]
    fn what_comes_too_late_or_from_nowhere_is_counted_and_left_out() {
        let (mut aligner, mut file) = (Aligner::new(), Vec::new());
        let mut out = |part: &[Pair]| file.extend_from_slice(part);
        aligner.handle_frame(&frame(Side::Caller, 20_000, &[1; 160]), &mut out);
        aligner.poll_all(&mut out);
        aligner.handle_frame(&frame(Side::Agent, 0, &[2; 160]), &mut out);
        aligner.handle_frame(&frame(Side::Agent, 20_100, &[3; 160]), &mut out);
        aligner.handle_frame(&frame(Side::Agent, u64::MAX - 5, &[3; 160]), &mut out);
        aligner.handle_frame(&frame(Side::Agent, POSITION_MAX - 159, &[3; 160]), &mut out);
        aligner.poll_all(&mut out);
        assert_eq!((aligner.trimmed(), aligner.misplaced()), (160 + 60, 2));
        assert_eq!(file.len(), 20_260);
        assert_eq!((file[19_999], file[20_000], file[20_160], file[20_259]), ([0, 0], [1, 0], [0, 3], [0, 3]));
    }

    #[test]
    fn nobody_gets_ahead_of_the_wall_clock() {
        let mut aligner = Aligner::new();
        let mut out = |_: &[Pair]| {};
        aligner.handle_time(Duration::from_secs(256));
        aligner.handle_frame(&frame(Side::Caller, 259 * 8000 - 160, &[1; 160]), &mut out);
        assert_eq!(aligner.misplaced(), 0);
        aligner.handle_frame(&frame(Side::Agent, 259 * 8000 - 159, &[1; 160]), &mut out);
        assert_eq!(aligner.misplaced(), 1);
    }

    #[test]
    fn a_hole_of_an_hour_is_an_hour_of_silence() {
        let (mut aligner, mut handed, mut loud) = (Aligner::new(), 0, 0);
        let mut out = |part: &[Pair]| {
            handed += part.len() as u64;
            loud += part.iter().filter(|pair| **pair != [0; 2]).count();
        };
        aligner.handle_frame(&frame(Side::Caller, 0, &[1; 160]), &mut out);
        aligner.handle_frame(&frame(Side::Agent, 3600 * 8000, &[1; 160]), &mut out);
        aligner.poll_all(&mut out);
        assert_eq!((handed, loud), (3600 * 8000 + 160, 320));
    }

    /// What the file should be: each side's samples where they belong, the first that came for a place wins.
    #[derive(Default)]
    struct Oracle([Vec<i16>; 2]);

    impl Oracle {
        fn lay(&mut self, side: usize, at: usize, samples: &[i16]) {
            let track = &mut self.0[side];
            for (place, sample) in (at..).zip(samples).skip(track.len().saturating_sub(at).min(samples.len())) {
                track.resize(place, 0);
                track.push(*sample);
            }
        }
    }

    proptest! {
        #[test]
        fn any_frames_give_a_file_as_long_as_their_span(
            frames in proptest::collection::vec(
                (any::<bool>(), -200_i64..400, 1_usize..=160, 1_i16..1000, any::<bool>()), 1..200)
        ) {
            let (mut aligner, mut file, mut oracle) = (Aligner::new(), Vec::new(), Oracle::default());
            let mut out = |part: &[Pair]| file.extend_from_slice(part);
            let mut at = 0_i64;
            for (caller, step, len, value, poll) in frames {
                // Both sides walk together, within what is waited for.
                at = (at + step).max(0);
                let (side, place) = if caller { (Side::Caller, 0) } else { (Side::Agent, 1) };
                let samples = vec![value; len];
                let late = (at as u64) < aligner.released();
                aligner.handle_frame(&frame(side, at as u64, &samples), &mut out);
                if late {
                    // Places that were handed out already stay as they are.
                    let skip = ((aligner.released() as usize).saturating_sub(at as usize)).min(len);
                    oracle.lay(place, at as usize + skip, &samples[skip..]);
                } else {
                    oracle.lay(place, at as usize, &samples);
                }
                if poll {
                    aligner.poll_ready(&mut out);
                }
            }
            aligner.poll_all(&mut out);
            prop_assert_eq!(aligner.released(), oracle.0[0].len().max(oracle.0[1].len()) as u64);
            for side in 0..2 {
                let heard: Vec<i16> = file.iter().map(|pair| pair[side]).collect();
                oracle.0[side].resize(heard.len(), 0);
                prop_assert_eq!(&heard, &oracle.0[side]);
            }
        }
    }
}
