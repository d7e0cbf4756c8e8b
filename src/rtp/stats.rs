//! Reception statistics of one source, RFC 3550 appendix A.1, A.3 and A.8. Purpose: extended sequence numbers, loss,
//! interarrival jitter. Runs on the media worker; plain numbers, no heap. Deliberately absent: deciding what is heard
//! (`sequence`), RTCP reports.

use crate::time::Tick;
use std::time::Duration;

/// What we know of one SSRC.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    base: u64,
    highest: u64,
    received: u64,
    /// One bit per recent packet, bit 0 = `highest`: tells a duplicate from a late packet.
    window: u64,
    transit: i64,
    /// Jitter in 1/16 timestamp units, as in A.8.
    jitter: u64,
    jitter_max: u64,
    /// Number that would prove the last implausible one to be a restart (A.1 `bad_seq`).
    bad: Option<u16>,
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

const TIMESTAMP_HZ: u64 = 8000;
const NANOS: u64 = 1_000_000_000;

impl Reception {
    /// Starts with the first packet of a source.
    #[must_use]
    pub fn new(sequence: u16, timestamp: u32, received: Tick) -> Self {
        // One cycle ahead of zero: a reordered packet right after the first one must not wrap below zero.
        let first = (1 << 16) + u64::from(sequence);
        Self {
            base: first,
            highest: first,
            received: 1,
            window: 1,
            transit: transit(timestamp, received),
            jitter: 0,
            jitter_max: 0,
            bad: None,
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
        if arrival == Arrival::New {
            // Both are modulo 2^32, so the difference is exact across a timestamp wrap.
            let now = transit(timestamp, received);
            // Difference modulo 2^32, as in A.8.
            let difference = u64::from((now.wrapping_sub(self.transit) as i32).unsigned_abs());
            self.transit = now;
            // A sender that restarts its timestamps would show as hours of jitter.
            if difference < TIMESTAMP_HZ {
                self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
                self.jitter_max = self.jitter_max.max(self.jitter);
            }
        }
        (extended, arrival)
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

    /// Highest extended sequence number.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        units(self.jitter)
    }

    /// Largest jitter so far.
    #[must_use]
    pub fn jitter_max(&self) -> Duration {
        units(self.jitter_max)
    }
}

fn units(sixteenths: u64) -> Duration {
    Duration::from_nanos(sixteenths.saturating_mul(NANOS / TIMESTAMP_HZ) / 16)
}

/// Arrival time minus timestamp, in timestamp units; only differences mean anything.
fn transit(timestamp: u32, received: Tick) -> i64 {
    let units = u128::from(received.0) * u128::from(TIMESTAMP_HZ) / u128::from(NANOS);
    // U64 nanoseconds fit after the division.
    // Below 2^50.
    let units = units as i64;
    units - i64::from(timestamp)
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
        let mut r = Reception::new(65_530, u32::MAX - 1000, at(0));
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
        let mut r = Reception::new(0, 0, at(0));
        for n in 1..500u16 {
            r.handle_packet(n, u32::from(n) * 160, at(u64::from(n) * 20 + u64::from(n % 2) * 10));
        }
        let jitter = r.jitter().as_micros();
        assert!((9_000..=10_100).contains(&jitter), "{jitter}");
        assert!(r.jitter_max() >= r.jitter());
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart() {
        let mut r = Reception::new(10, 0, at(0));
        assert_eq!(r.handle_packet(12, 320, at(40)).1, Arrival::New);
        assert_eq!(r.lost(), 1);
        assert_eq!(r.handle_packet(11, 160, at(41)).1, Arrival::Reordered);
        assert_eq!(r.lost(), 0);
        assert_eq!(r.handle_packet(11, 160, at(42)).1, Arrival::Duplicate);
        assert_eq!(r.handle_packet(9, 0, at(43)).1, Arrival::Reordered);
    }

    #[test]
    fn a_stray_number_changes_nothing_and_a_restart_is_told() {
        let mut r = Reception::new(10, 0, at(0));
        assert_eq!(r.handle_packet(40_000, 0, at(20)).1, Arrival::Duplicate);
        assert_eq!(r.handle_packet(11, 160, at(20)).1, Arrival::New);
        assert_eq!(r.handle_packet(40_001, 0, at(20)).1, Arrival::Duplicate, "not in a row");
        assert_eq!(r.handle_packet(40_002, 0, at(40)).1, Arrival::Restart);
        assert_eq!(r.lost(), 0);
    }

    proptest! {
        #[test]
        fn nothing_panics(packets in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<u64>()), 1..200)) {
            let mut r = Reception::new(packets[0].0, packets[0].1, Tick(packets[0].2));
            for (s, t, n) in packets {
                r.handle_packet(s, t, Tick(n));
            }
            let _ = (r.lost(), r.jitter(), r.jitter_max());
        }

        #[test]
        fn extension_is_exact_for_in_order_streams_across_wraps(start: u16, steps in proptest::collection::vec(1u16..100, 1..2000)) {
            let mut r = Reception::new(start, 0, at(0));
            let mut truth = r.highest();
            for step in steps {
                truth += u64::from(step);
                let (extended, _) = r.handle_packet(truth as u16, 0, at(0));
                prop_assert_eq!(extended, truth);
            }
        }
    }
}
