//! Reception statistics of one source, RFC 3550 appendix A.1, A.3 and A.8, on any RTP clock. Purpose: extended sequence
//! numbers, loss, interarrival jitter, and the facts of a report block. Runs on the media worker; plain numbers, no heap.
//! Deliberately absent: deciding what is heard (`sequence`), RTCP octets (`rtcp`) and when they are sent (`control`).

use crate::rtp::quality;
use crate::time::Tick;
use std::time::Duration;

/// What we know of one SSRC.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    base: u64,
    highest: u64,
    received: u64,
    /// Times that numbers were skipped.
    gaps: u64,
    /// One bit per recent packet, bit 0 = `highest`: tells a duplicate from a late packet.
    window: u64,
    /// Hz of the timestamps.
    clock: u32,
    /// Arrival minus timestamp of the last packet in order; unknown after the clock has changed.
    transit: Option<i64>,
    timestamp: u32,
    /// Jitter in 1/16 timestamp units, as in A.8.
    jitter: u64,
    jitter_max: u64,
    /// Number that would prove the last implausible one to be a restart (A.1 `bad_seq`).
    bad: Option<u16>,
    /// `expected` and `received` at the last report (A.3).
    reported: (u64, u64),
}

/// What a report block says of a source (RFC 3550 section 6.4.1), less the SR times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Lost since the last report, in 1/256; 0 when more came than was expected.
    pub fraction_lost: u8,
    /// Lost since the first packet; negative with duplicates; clamped to 24 bits signed.
    pub cumulative_lost: i32,
    /// Extended highest sequence number, counted from cycle 0.
    pub highest: u32,
    /// Interarrival jitter, timestamp units.
    pub jitter: u32,
}

/// A forward step beyond this is implausible (A.1 MAX_DROPOUT).
const DROPOUT_MAX: u64 = 3000;

/// How a packet relates to those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Newer than anything so far.
    New,
    /// Older, first time seen.
    Reordered,
    /// Seen already, or too far off to tell.
    Duplicate,
    /// Second packet in a row of a sender that restarted its numbering: begin a new `Reception` with it.
    Restart,
}

/// Range of the 24 bits that carry the cumulative loss.
const CUMULATIVE: std::ops::RangeInclusive<i64> = -0x80_0000..=0x7f_ffff;
/// Highest clock, Hz: conversions stay within 64 bits.
const CLOCK_MAX: u32 = 1_000_000;
const NANOS: u64 = 1_000_000_000;

impl Reception {
    /// Starts with the first packet of a source, whose timestamps count at `clock` Hz
    /// ([`Codec::rtp_clock`](crate::rtp::Codec::rtp_clock)).
    #[must_use]
    pub fn new(sequence: u16, timestamp: u32, received: Tick, clock: u32) -> Self {
        let clock = clock.clamp(1, CLOCK_MAX);
        // One cycle ahead of zero: a reordered packet right after the first one must not wrap below zero.
        let first = (1 << 16) + u64::from(sequence);
        Self {
            base: first,
            highest: first,
            received: 1,
            gaps: 0,
            window: 1,
            clock,
            transit: Some(transit(clock, timestamp, received)),
            timestamp,
            jitter: 0,
            jitter_max: 0,
            bad: None,
            reported: (0, 0),
        }
    }

    /// Counts one further packet; returns its extended sequence number and what it is.
    pub fn handle_packet(&mut self, sequence: u16, timestamp: u32, received: Tick) -> (u64, Arrival) {
        let extended = self.extend(sequence);
        if extended + 64 <= self.highest || extended > self.highest + DROPOUT_MAX {
            if self.bad == Some(sequence) {
                return (extended, Arrival::Restart);
            }
            self.bad = Some(sequence.wrapping_add(1));
            return (extended, Arrival::Duplicate);
        }
        self.bad = None;
        let arrival = if extended > self.highest {
            let step = extended - self.highest;
            self.gaps += u64::from(step > 1);
            self.window = if step < 64 { (self.window << step) | 1 } else { 1 };
            self.highest = extended;
            Arrival::New
        } else {
            let back = self.highest - extended;
            if self.window & (1 << back) != 0 {
                Arrival::Duplicate
            } else {
                self.window |= 1 << back;
                Arrival::Reordered
            }
        };
        self.received += 1;
        // Packets of one telephone event share a timestamp: their spacing is no jitter.
        if arrival == Arrival::New && timestamp != self.timestamp {
            self.timestamp = timestamp;
            let now = transit(self.clock, timestamp, received);
            if let Some(before) = self.transit.replace(now) {
                // Difference modulo 2^32, as in A.8: exact across a timestamp wrap.
                let difference = u64::from((now.wrapping_sub(before) as i32).unsigned_abs());
                // A sender that restarts its timestamps would show as hours of jitter.
                if difference < u64::from(self.clock) {
                    self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
                    self.jitter_max = self.jitter_max.max(self.jitter);
                }
            }
        }
        (extended, arrival)
    }

    /// The source goes on with a codec of another clock (RFC 7160): what was measured is converted.
    pub fn set_clock(&mut self, clock: u32) {
        let clock = clock.clamp(1, CLOCK_MAX);
        if clock != self.clock {
            let convert = |sixteenths: u64| sixteenths * u64::from(clock) / u64::from(self.clock);
            self.jitter = convert(self.jitter);
            self.jitter_max = convert(self.jitter_max);
            self.clock = clock;
            self.transit = None;
        }
    }

    /// What the next report block says; begins the interval of the one after it (A.3).
    pub fn take_report(&mut self) -> Report {
        let (expected, received) = (self.expected(), self.received);
        let expected_since = expected - self.reported.0;
        let lost_since = expected_since.saturating_sub(received - self.reported.1);
        self.reported = (expected, received);
        // At most 256/256, and only when nothing at all came; 255 is the most that can be said.
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0).min(255) as u8;
        // Both counts stay far below 2^63.
        let cumulative = (expected as i64 - received as i64).clamp(*CUMULATIVE.start(), *CUMULATIVE.end());
        Report {
            fraction_lost: fraction,
            // Clamped to 24 bits.
            cumulative_lost: cumulative as i32,
            // Modulo 2^32 by the RFC; we count from cycle 1.
            highest: self.highest.wrapping_sub(1 << 16) as u32,
            jitter: u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX),
        }
    }

    /// Packets that came, duplicates among them.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Sequence number with its cycles: the value nearest to the highest so far.
    #[must_use]
    pub fn extend(&self, sequence: u16) -> u64 {
        // Low 16 bits are the wire's.
        let low = self.highest as u16;
        // Signed distance on the 16-bit circle.
        let distance = sequence.wrapping_sub(low) as i16;
        self.highest.saturating_add_signed(i64::from(distance))
    }

    /// Packets that should have come: last − first + 1.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }

    /// Packets that never came; 0 when duplicates outnumber losses.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// How much longer losses were than random ones would be, for [`quality::Line`]; 1 without loss.
    #[must_use]
    pub fn burst_ratio(&self) -> f64 {
        quality::burst_ratio(self.lost(), self.gaps, self.expected())
    }

    /// Highest extended sequence number.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.duration(self.jitter)
    }

    /// Largest jitter so far.
    #[must_use]
    pub fn jitter_max(&self) -> Duration {
        self.duration(self.jitter_max)
    }

    fn duration(&self, sixteenths: u64) -> Duration {
        Duration::from_nanos(sixteenths.saturating_mul(NANOS / 16) / u64::from(self.clock))
    }
}

/// Arrival time minus timestamp, in timestamp units; only differences mean anything.
fn transit(clock: u32, timestamp: u32, received: Tick) -> i64 {
    let units = u128::from(received.0) * u128::from(clock) / u128::from(NANOS);
    // 2^64 ns at the highest clock are below 2^67: the low half is kept, and only differences modulo 2^32 are used.
    (units as i64).wrapping_sub(i64::from(timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Tick {
        Tick(ms * 1_000_000)
    }

    #[test]
    fn a_perfect_stream_has_no_loss_and_no_jitter() {
        let mut r = Reception::new(65_530, u32::MAX - 1000, at(0), 8_000);
        for n in 1..100u16 {
            let (_, a) = r.handle_packet(
                65_530u16.wrapping_add(n),
                (u32::MAX - 1000).wrapping_add(u32::from(n) * 160),
                at(u64::from(n) * 20),
            );
            assert_eq!(a, Arrival::New);
        }
        assert_eq!((r.expected(), r.lost(), r.jitter()), (100, 0, Duration::ZERO));
    }

    #[test]
    fn constant_ten_millisecond_alternation_settles_at_ten_milliseconds() {
        let mut r = Reception::new(0, 0, at(0), 8_000);
        for n in 1..500u16 {
            r.handle_packet(n, u32::from(n) * 160, at(u64::from(n) * 20 + u64::from(n % 2) * 10));
        }
        let jitter = r.jitter().as_micros();
        assert!((9_000..=10_100).contains(&jitter), "{jitter}");
        assert!(r.jitter_max() >= r.jitter());
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart() {
        let mut r = Reception::new(10, 0, at(0), 8_000);
        assert_eq!(r.handle_packet(12, 320, at(40)).1, Arrival::New);
        assert_eq!(r.lost(), 1);
        assert_eq!(r.handle_packet(11, 160, at(41)).1, Arrival::Reordered);
        assert_eq!(r.lost(), 0);
        assert_eq!(r.handle_packet(11, 160, at(42)).1, Arrival::Duplicate);
        assert_eq!(r.handle_packet(9, 0, at(43)).1, Arrival::Reordered);
    }

    #[test]
    fn bursts_are_told_from_single_losses() {
        let ratio = |lost: fn(u16) -> bool| {
            let mut r = Reception::new(0, 0, at(0), 8_000);
            (1..1000u16).filter(|n| !lost(*n)).for_each(|n| {
                r.handle_packet(n, 0, at(0));
            });
            r.burst_ratio()
        };
        assert_eq!(ratio(|_| false), 1.0);
        assert_eq!(ratio(|n| n % 20 == 10), 1.0);
        // Five in a row of every hundred: five times as long, less what chance would join.
        assert!((ratio(|n| n % 100 >= 90 && n % 100 < 95) - 4.75).abs() < 0.01);
    }

    #[test]
    fn a_stray_number_changes_nothing_and_a_restart_is_told() {
        let mut r = Reception::new(10, 0, at(0), 8_000);
        assert_eq!(r.handle_packet(40_000, 0, at(20)).1, Arrival::Duplicate);
        assert_eq!(r.handle_packet(11, 160, at(20)).1, Arrival::New);
        assert_eq!(r.handle_packet(40_001, 0, at(20)).1, Arrival::Duplicate, "not in a row");
        assert_eq!(r.handle_packet(40_002, 0, at(40)).1, Arrival::Restart);
        assert_eq!(r.lost(), 0);
    }

    #[test]
    fn jitter_is_the_same_time_on_every_clock() {
        for clock in [8_000u32, 16_000, 48_000] {
            let mut r = Reception::new(0, 0, at(0), clock);
            for n in 1..500u16 {
                r.handle_packet(n, u32::from(n) * clock / 50, at(u64::from(n) * 20 + u64::from(n % 2) * 10));
            }
            let jitter = r.jitter().as_micros();
            assert!((9_000..=10_100).contains(&jitter), "{jitter} at {clock}");
            assert_eq!(u128::from(r.take_report().jitter), r.jitter().as_nanos() * u128::from(clock) / 1_000_000_000);
        }
    }

    #[test]
    fn a_change_of_clock_keeps_the_jitter_and_adds_none() {
        let mut r = Reception::new(0, 0, at(0), 8_000);
        for n in 1..100u16 {
            r.handle_packet(n, u32::from(n) * 160, at(u64::from(n) * 20 + u64::from(n % 2) * 10));
        }
        let before = r.jitter();
        r.set_clock(48_000);
        assert!(r.jitter().abs_diff(before) < Duration::from_micros(10));
        r.handle_packet(100, 5_000_000, at(2_000));
        assert!(r.jitter() <= before);
    }

    #[test]
    fn packets_of_one_telephone_event_are_no_jitter() {
        let mut r = Reception::new(0, 0, at(0), 8_000);
        for n in 1..8u16 {
            r.handle_packet(n, 160, at(u64::from(n) * 20));
        }
        r.handle_packet(8, 8 * 160, at(160));
        assert_eq!(r.jitter(), Duration::ZERO);
    }

    #[test]
    fn a_report_block_counts_as_the_rfcs_appendix_does() {
        let mut r = Reception::new(65_534, 0, at(0), 8_000);
        for n in [65_535u16, 1, 2] {
            r.handle_packet(n, 0, at(0));
        }
        // 65534 65535 (0 lost) 1 2: one of five, and the numbers have wrapped once.
        let first = r.take_report();
        assert_eq!((first.fraction_lost, first.cumulative_lost, first.highest), (51, 1, 65_538));
        // Ten more, none lost; the lost one comes after all.
        for n in 3..13 {
            r.handle_packet(n, 0, at(0));
        }
        r.handle_packet(0, 0, at(0));
        let second = r.take_report();
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 0));
        // Nothing in between: no division by zero.
        assert_eq!(r.take_report().fraction_lost, 0);
        // Duplicates make it negative, as the RFC says.
        r.handle_packet(12, 0, at(0));
        assert_eq!(r.take_report().cumulative_lost, -1);
        // All but the last of 1000 lost: 255/256 is the most that can be said.
        r.handle_packet(1012, 0, at(0));
        let last = r.take_report();
        assert_eq!((last.fraction_lost, last.cumulative_lost), (255, 998));
    }

    proptest! {
        #[test]
        fn nothing_panics(clock: u32, next_clock: u32, packets in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<u64>()), 1..200)) {
            let mut r = Reception::new(packets[0].0, packets[0].1, Tick(packets[0].2), clock);
            for (s, t, n) in packets {
                r.handle_packet(s, t, Tick(n));
                if s % 7 == 0 {
                    r.set_clock(next_clock);
                    let report = r.take_report();
                    prop_assert!(CUMULATIVE.contains(&i64::from(report.cumulative_lost)));
                }
            }
            let _ = (r.lost(), r.jitter(), r.jitter_max());
        }

        #[test]
        fn extension_is_exact_for_in_order_streams_across_wraps(start: u16, steps in proptest::collection::vec(1u16..100, 1..2000)) {
            let mut r = Reception::new(start, 0, at(0), 8_000);
            let mut truth = r.highest();
            for step in steps {
                truth += u64::from(step);
                let (extended, _) = r.handle_packet(truth as u16, 0, at(0));
                prop_assert_eq!(extended, truth);
            }
        }
    }
}
