//! Clocks that are not ours, for an hour: both sides of a recording stay where they were beside each other.

use super::bridge::Pair;
use super::*;
use crate::media::recorder::{self, Side, TapFrame};

/// Packets of 60 ms, which are the fewest, in a minute and in an hour.
const MINUTE: u64 = 1_000;
const HOUR: u64 = 60 * MINUTE;
/// A millisecond, in samples.
const MILLISECOND: i64 = 8;

/// When a phone whose clock is fast by so many parts in a million has said its packet `n`, and when it comes: up to 19 ms
/// later. Nanoseconds from the start of the call.
fn times(n: u64, fast_ppm: i64, salt: u64) -> (u64, u64) {
    let said = 500_000_000 + (n * 60_000_000) as i64 * 1_000_000 / (1_000_000 + fast_ppm);
    let mixed = (n ^ salt << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let late = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
    (said as u64, said as u64 + late % 19_000_000)
}

/// Packet numbers of a side, as its audio says them, and how far from the moment of saying them they lie on the recording.
#[derive(Default)]
struct Track {
    /// Sums of a minute each: the second and the last.
    off: [(i64, i64); 2],
    worst: i64,
    seen: u64,
}

impl Track {
    fn mean(&self, n: usize) -> i64 {
        self.off[n].0 / self.off[n].1.max(1)
    }

    fn take(&mut self, n: u64, at: u64, said_ns: u64) {
        let off = at as i64 - (said_ns / 125_000) as i64;
        self.seen += 1;
        match n / MINUTE {
            1 => self.off[0] = (self.off[0].0 + off, self.off[0].1 + 1),
            59 => self.off[1] = (self.off[1].0 + off, self.off[1].1 + 1),
            _ => {}
        }
        if n > MINUTE {
            self.worst = self.worst.max((off - self.mean(0)).abs());
        }
    }

    fn assert_steady(&self, what: &str) {
        let (first, last) = (self.mean(0), self.mean(1));
        assert!((last - first).abs() < MILLISECOND, "{what}: {first} samples off after a minute, {last} after an hour");
        // Between corrections.
        assert!(self.worst <= 4 * MILLISECOND, "{what}: {} samples from where it was, at worst", self.worst);
        assert!(self.seen > HOUR * 98 / 100, "{what}: {} packets recorded", self.seen);
    }
}

/// Samples of a packet.
const LEN: u64 = 480;

/// Loud, with its number in its last eight samples (up to a millisecond of the beginning may be left out): what is positive
/// is 1. The rest is negative.
fn marked(n: u64) -> Vec<u8> {
    let mut payload = vec![0x10; LEN as usize];
    for (bit, octet) in payload[LEN as usize - 8..].iter_mut().enumerate() {
        *octet = if n >> bit & 1 == 1 { 0x80 } else { 0x00 };
    }
    payload
}

/// Where the first sample of packet `n` would lie, if this is its last frame.
fn read(frame: &TapFrame, n: u64) -> Option<u64> {
    let samples = frame.samples();
    let tail = samples.last_chunk::<8>().filter(|_| samples.len() > 8)?;
    let low = tail.iter().enumerate().fold(0u64, |n, (bit, s)| n | u64::from(*s > 0) << bit);
    // 0 is any other frame's.
    (low > 0 && low == n & 0xff).then(|| (frame.at.0 + samples.len() as u64).saturating_sub(LEN))
}

/// One leg: the caller's phone runs fast or slow, the agent speaks by our own clock. The caller pauses a second in five.
fn an_hour_with_an_agent(fast: i64) {
    let (tap, mut frames, _) = recorder::tap();
    let mut rig = Rig::with(Role::Speech, |plan| plan.recording = Some(tap));
    let (mut caller, mut agent) = (Track::default(), 0);
    for n in 0..HOUR {
        let comes = times(n, fast, 1).1;
        let payload = if n % 80 < 64 { marked(n) } else { vec![0xff; LEN as usize] };
        rig.say(0, 1, 3);
        rig.packet(START + Duration::from_nanos(comes), n as u16, (n as u32).wrapping_mul(LEN as u32), &payload);
        while let Some(frame) = frames.try_pop() {
            match frame.side {
                Side::Caller => {
                    if let Some(at) = read(&frame, n).filter(|_| n % 80 < 64) {
                        caller.take(n, at, times(n, fast, 1).0);
                    }
                }
                Side::Agent => {
                    assert_eq!(frame.at.0 % 160, 0, "the agent's frames lie on our own clock");
                    agent += 1;
                }
            }
        }
        rig.heard.clear();
        rig.sent.clear();
        rig.raw.clear();
    }
    assert!(agent > HOUR * 3 * 99 / 100);
    caller.seen += HOUR / 5;
    caller.assert_steady(&format!("{fast} ppm"));
}

#[test]
fn a_slow_phone_and_an_agent_stay_together_for_an_hour() {
    an_hour_with_an_agent(-200);
}

#[test]
fn a_fast_phone_and_an_agent_stay_together_for_an_hour() {
    an_hour_with_an_agent(200);
}

/// Two legs: one phone runs fast, the other slow; either side of either recording.
fn an_hour_of_a_bridge(from: Format, to: Format) {
    let (one, two) = (recorder::tap(), recorder::tap());
    let mut pair = Pair::recorded(Formats::of(from), Formats::of(to), [Some(one.0), Some(two.0)]);
    let mut rings = [one.1, two.1];
    // Of each recording its two sides: whose audio it is, and where it lies.
    let mut tracks: [[Track; 2]; 2] = Default::default();
    let speeds = [200, -200];
    let comes = |phone: usize, n: u64| times(n, speeds[phone], phone as u64).1;
    let mut said = [0u64; 2];
    while said.iter().any(|n| *n < HOUR) {
        let phone = usize::from(comes(1, said[1]) < comes(0, said[0]));
        let n = said[phone];
        said[phone] += 1;
        // `pair` takes packets from the phone of its first leg.
        if phone == 1 {
            std::mem::swap(&mut pair.a, &mut pair.b);
        }
        let payload_type = if phone == 0 { from } else { to }.payload_type;
        let timestamp = (n as u32).wrapping_mul(LEN as u32);
        let header = Header { sequence: n as u16, timestamp, ssrc: 7, payload_type, ..Header::default() };
        let at = START + Duration::from_nanos(comes(phone, n));
        assert!(pair.packet(at, header, &marked(n)) > 0);
        pair.b.sent.clear();
        pair.b.raw.clear();
        if phone == 1 {
            std::mem::swap(&mut pair.a, &mut pair.b);
        }
        for (leg, ring) in rings.iter_mut().enumerate() {
            while let Some(frame) = ring.try_pop() {
                // The caller of A's recording is phone A, its agent is phone B; of B's the other way round.
                let side = usize::from(frame.side == Side::Agent);
                assert_eq!(leg ^ side, phone);
                if let Some(at) = read(&frame, n) {
                    tracks[leg][side].take(n, at, times(n, speeds[phone], phone as u64).0);
                }
            }
        }
    }
    for (leg, sides) in tracks.iter().enumerate() {
        for (side, track) in sides.iter().enumerate() {
            track.assert_steady(&format!("{from:?} with {to:?}, leg {leg}, side {side}"));
        }
        let apart = |n: usize| sides[0].mean(n) - sides[1].mean(n);
        assert!((apart(1) - apart(0)).abs() < MILLISECOND, "{} samples apart, then {}", apart(0), apart(1));
    }
}

#[test]
fn two_phones_stay_together_for_an_hour_of_relay() {
    an_hour_of_a_bridge(Format::PCMU, Format::PCMU);
}

#[test]
fn two_phones_stay_together_for_an_hour_of_transcoding() {
    an_hour_of_a_bridge(Format::PCMU, Format::PCMA);
}
