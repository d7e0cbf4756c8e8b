//! What went over the wire in both directions, on one clock. Purpose: the one record that every figure and the recording
//! are computed from. Owner: the line thread while the call lasts, then whoever scores it; pure data.
//!
//! The clock is `CLOCK_MONOTONIC`. A sent frame carries the time at which `send` returned, a received packet the time
//! at which the kernel had it. Sample `k` of a packet is taken to pass the wire `k`/8000 s after its packet.
//!
//! In the recording the left channel (sent) is placed by the 20 ms schedule, the right one (heard) by RTP timestamp:
//! the packet that came soonest among the next [`ANCHOR_PACKETS`] sets the origin, and it is set anew when packets
//! keep coming more than 60 ms late. So the recording sounds as the agent spoke; how late packets were is in the
//! figures, which use arrival times. Deliberately absent: a jitter buffer (it would hide what is measured).

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use crate::limits::{FRAME, FRAME_SAMPLES};
use crate::time::Tick;

/// Packets looked at to find the grid that a stream keeps: one second.
pub const ANCHOR_PACKETS: usize = 50;
/// A stream that stays this late is placed anew.
const REANCHOR: i64 = 60_000_000;
/// A jump of the RTP timestamp beyond this (5 s) starts a new stretch.
const STRETCH_JUMP: i64 = 40_000;
const NS_PER_SAMPLE: i64 = 125_000;

/// One frame that we sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When the schedule wanted it sent.
    pub due: Tick,
    /// When `send` returned.
    pub at: Tick,
    /// Which utterance or digit string of the caller it belongs to, counted from 1; 0 for the silence between.
    pub part: u32,
    /// What the far end decodes; empty for a telephone-event packet.
    pub pcm: Vec<i16>,
}

/// One RTP audio packet that we received.
#[derive(Debug, Clone)]
pub struct Received {
    /// When the kernel had it.
    pub at: Tick,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp, 8 kHz.
    pub timestamp: u32,
    /// Decoded audio.
    pub pcm: Vec<i16>,
}

/// Both directions of one call.
#[derive(Debug, Default, Clone)]
pub struct Capture {
    /// In the order sent.
    pub sent: Vec<Sent>,
    /// In the order received.
    pub heard: Vec<Received>,
}

/// A received packet with its place in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Index into [`Capture::heard`].
    pub packet: usize,
    /// Stretch of unbroken timestamps, counted from 0.
    pub stretch: usize,
    /// Sequence number without wrap-around.
    pub sequence: i64,
    /// RTP timestamp without wrap-around, samples.
    pub timestamp: i64,
    /// Place of its first sample in the recording, nanoseconds on the clock of the capture.
    pub place: i64,
}

/// How a stream arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Each packet once, in the order of arrival.
    pub packets: Vec<Placed>,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that never came, by sequence number.
    pub lost: u64,
    /// Packets that should have come, by sequence number.
    pub expected: u64,
}

fn ns(tick: Tick) -> i64 {
    i64::try_from(tick.0).unwrap_or(i64::MAX)
}

impl Capture {
    /// Room for a call of this length, so that the line thread does not allocate for the lists.
    pub fn with_room_for(length: Duration) -> Self {
        let frames = usize::try_from(length.as_millis() / FRAME.as_millis()).unwrap_or(0).min(180_000);
        Self { sent: Vec::with_capacity(frames), heard: Vec::with_capacity(frames) }
    }

    /// Sorts what was heard: duplicates out, wrap-arounds undone, places given.
    pub fn order(&self) -> Order {
        let mut order = Order::default();
        let mut seen: HashSet<(u32, i64)> = HashSet::new();
        let mut last: Option<Placed> = None;
        let mut highest: Option<(u32, i64)> = None;
        let mut lowest = 0i64;
        let mut unique = 0u64;
        for (packet, p) in self.heard.iter().enumerate() {
            let mut placed = Placed {
                packet,
                stretch: 0,
                sequence: i64::from(p.sequence),
                timestamp: i64::from(p.timestamp),
                place: 0,
            };
            if let (Some(l), Some((ssrc, high))) = (last, highest) {
                if ssrc == p.ssrc {
                    placed.sequence = unwrap16(l.sequence, p.sequence);
                    placed.timestamp = unwrap32(l.timestamp, p.timestamp);
                    let jump = (placed.timestamp - l.timestamp).abs() > STRETCH_JUMP;
                    placed.stretch = l.stretch + usize::from(jump);
                    if placed.sequence < high {
                        order.reordered += 1;
                    }
                    highest = Some((ssrc, high.max(placed.sequence)));
                    lowest = lowest.min(placed.sequence);
                } else {
                    order.close(highest, lowest, &mut unique);
                    placed.stretch = l.stretch + 1;
                    highest = None;
                }
            }
            if highest.is_none() {
                highest = Some((p.ssrc, placed.sequence));
                lowest = placed.sequence;
            }
            if !seen.insert((p.ssrc, placed.sequence)) {
                order.duplicates += 1;
                // A copy is not a packet that came late.
                order.reordered -= u64::from(highest.is_some_and(|(_, high)| placed.sequence < high));
                continue;
            }
            unique += 1;
            last = Some(placed);
            order.packets.push(placed);
        }
        order.close(highest, lowest, &mut unique);
        self.place(&mut order.packets);
        order
    }

    fn place(&self, packets: &mut [Placed]) {
        let offset = |p: &Placed| ns(self.heard[p.packet].at) - p.timestamp * NS_PER_SAMPLE;
        let mut anchor: Option<(usize, i64)> = None;
        for i in 0..packets.len() {
            let p = packets[i];
            let keeps = anchor.is_some_and(|(stretch, anchor)| {
                stretch == p.stretch && (-REANCHOR..=REANCHOR).contains(&(offset(&p) - anchor))
            });
            if !keeps {
                let soonest =
                    packets[i..].iter().take(ANCHOR_PACKETS).filter(|q| q.stretch == p.stretch).map(offset).min();
                anchor = soonest.map(|s| (p.stretch, s));
            }
            let origin = anchor.map_or_else(|| offset(&p), |(_, a)| a);
            packets[i].place = origin + p.timestamp * NS_PER_SAMPLE;
        }
    }

    /// The recording: interleaved stereo at 8 kHz, left = sent, right = heard, and the tick of its first sample.
    pub fn stereo(&self) -> (Vec<i16>, Tick) {
        let order = self.order();
        let first = self.sent.iter().map(|s| ns(s.due)).chain(order.packets.iter().map(|p| p.place)).min().unwrap_or(0);
        let sample = |at: i64| usize::try_from((at - first + NS_PER_SAMPLE / 2) / NS_PER_SAMPLE).unwrap_or(0);
        let left = self.sent.iter().map(|s| (sample(ns(s.due)), &s.pcm));
        let right = order.packets.iter().map(|p| (sample(p.place), &self.heard[p.packet].pcm));
        let end = left.clone().chain(right.clone()).map(|(at, pcm)| at + pcm.len()).max().unwrap_or(0);
        let mut out = vec![0i16; end * 2];
        for (channel, (at, pcm)) in left.map(|f| (0, f)).chain(right.map(|f| (1, f))) {
            for (i, &s) in pcm.iter().enumerate() {
                out[(at + i) * 2 + channel] = s;
            }
        }
        (out, Tick(u64::try_from(first).unwrap_or(0)))
    }

    /// Writes the recording.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write_wav(&self, path: &Path) -> Result<(), String> {
        let (samples, _) = self.stereo();
        super::wave::write(path, 2, &samples)
    }
}

impl Order {
    /// Ends the count of one synchronisation source.
    fn close(&mut self, highest: Option<(u32, i64)>, lowest: i64, unique: &mut u64) {
        if let Some((_, high)) = highest {
            let expected = u64::try_from(high - lowest + 1).unwrap_or(0);
            self.expected += expected;
            self.lost += expected.saturating_sub(*unique);
            *unique = 0;
        }
    }
}

/// The 64-bit number nearest to `near` whose low 16 bits are `low`.
fn unwrap16(near: i64, low: u16) -> i64 {
    let ahead = low.wrapping_sub(near as u16) as i16;
    near + i64::from(ahead)
}

/// The 64-bit number nearest to `near` whose low 32 bits are `low`.
fn unwrap32(near: i64, low: u32) -> i64 {
    let ahead = low.wrapping_sub(near as u32) as i32;
    near + i64::from(ahead)
}

/// Samples of one frame as nanoseconds into it.
pub fn sample_offset(index: usize) -> Duration {
    Duration::from_micros(125 * u64::try_from(index).unwrap_or(0))
}

/// Frames of 20 ms that this many samples fill, rounded up.
pub fn slots(samples: usize) -> u64 {
    u64::try_from(samples.div_ceil(FRAME_SAMPLES)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn packet(sequence: u16, timestamp: u32, at_ms: f64, value: i16) -> Received {
        let at = Tick((at_ms * 1e6) as u64);
        Received { at, ssrc: 7, sequence, timestamp, pcm: vec![value; FRAME_SAMPLES] }
    }

    fn stream(arrivals_ms: &[(u16, f64)]) -> Capture {
        let heard = arrivals_ms
            .iter()
            .map(|&(n, at)| {
                packet(65_530u16.wrapping_add(n), u32::MAX.wrapping_add(u32::from(n) * 160), at, n as i16 + 1)
            })
            .collect();
        Capture { sent: Vec::new(), heard }
    }

    fn places_ms(c: &Capture) -> Vec<(u16, f64)> {
        c.order().packets.iter().map(|p| (c.heard[p.packet].pcm[0] as u16 - 1, p.place as f64 / 1e6)).collect()
    }

    #[test]
    fn jitter_does_not_move_samples() {
        // Grid 100, 120, …; jitter up to 15 ms; the soonest packet (2) is on the grid.
        let c = stream(&[(0, 107.0), (1, 135.0), (2, 140.0), (3, 161.0), (4, 195.0), (8, 262.0)]);
        assert_eq!(places_ms(&c), [(0, 100.0), (1, 120.0), (2, 140.0), (3, 160.0), (4, 180.0), (8, 260.0)]);
        let order = c.order();
        assert_eq!((order.lost, order.expected, order.reordered, order.duplicates), (3, 9, 0, 0));
    }

    #[test]
    fn reordered_and_double_packets_find_their_place() {
        let c = stream(&[(0, 100.0), (2, 141.0), (1, 142.0), (1, 143.0), (3, 160.0), (3, 161.0)]);
        assert_eq!(places_ms(&c), [(0, 100.0), (2, 140.0), (1, 120.0), (3, 160.0)]);
        let order = c.order();
        assert_eq!((order.lost, order.expected, order.reordered, order.duplicates), (0, 4, 1, 2));
        let (pcm, first) = c.stereo();
        assert_eq!(first, Tick(100 * MS));
        let right: Vec<i16> = pcm.chunks_exact(2).step_by(160).map(|s| s[1]).collect();
        assert_eq!(right, [1, 2, 3, 4]);
    }

    #[test]
    fn a_single_late_packet_keeps_the_grid_a_stalled_stream_moves_it() {
        let mut arrivals: Vec<(u16, f64)> = (0..60).map(|n| (n, 100.0 + 20.0 * f64::from(n))).collect();
        arrivals[10].1 += 90.0;
        for a in &mut arrivals[30..] {
            a.1 += 500.0;
        }
        arrivals.sort_by(|a, b| a.1.total_cmp(&b.1));
        let places = places_ms(&stream(&arrivals));
        for (n, place) in places {
            let moved = if n < 30 { 0.0 } else { 500.0 };
            assert!((place - (100.0 + 20.0 * f64::from(n) + moved)).abs() < 0.001, "{n} at {place}");
        }
    }

    #[test]
    fn a_new_source_is_a_new_stretch() {
        let mut c = stream(&[(0, 100.0), (1, 120.0)]);
        let mut other = packet(5, 1_000_000, 200.0, 9);
        other.ssrc = 8;
        c.heard.push(other);
        let order = c.order();
        assert_eq!((order.lost, order.expected), (0, 3));
        assert_eq!(order.packets[2].stretch, 1);
        assert_eq!(order.packets[2].place, 200 * MS as i64);
    }

    #[test]
    fn both_directions_share_a_clock() {
        let mut c = stream(&[(0, 110.0), (1, 130.0)]);
        for n in 0..3u64 {
            let due = Tick((100 + 20 * n) * MS);
            c.sent.push(Sent { due, at: due + Duration::from_micros(300), part: 1, pcm: vec![50 + n as i16; 160] });
        }
        let (pcm, first) = c.stereo();
        assert_eq!(first, Tick(100 * MS));
        assert_eq!(pcm.len(), 480 * 2);
        let at = |ms: usize| (pcm[ms * 8 * 2], pcm[ms * 8 * 2 + 1]);
        assert_eq!(
            [at(0), at(9), at(10), at(25), at(31), at(49), at(51)],
            [(50, 0), (50, 0), (50, 1), (51, 1), (51, 2), (52, 2), (52, 0)]
        );
    }

    #[test]
    fn an_empty_call_is_an_empty_recording() {
        let c = Capture::default();
        assert_eq!(c.order(), Order::default());
        assert_eq!(c.stereo(), (Vec::new(), Tick(0)));
    }
}
