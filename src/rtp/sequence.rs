//! Order of packets, for listeners that must not wait. Purpose: a packet in order passes at once; only a gap waits, for
//! at most `WINDOW` packets or `WAIT`, and is then declared lost. Runs on the media worker; storage is inline.
//! Invariants: packets leave in sequence order; each leaves once; a gap is declared once. Deliberately absent: adaptive
//! playout delay (that is for mixers), concealment (the owner does it when told `Lost`).

use crate::time::Tick;
use std::time::Duration;

/// Packets held behind a gap.
pub const WINDOW: usize = 2;
/// Longest wait for a missing packet.
pub const WAIT: Duration = Duration::from_millis(40);
/// A forward jump beyond this is a new start of the sender, not a loss (RFC 3550 A.1 uses 3000; audio this far apart has
/// no use for concealment).
const JUMP: i16 = 500;
/// A packet this far behind is a restart of the sender, not lateness.
const BEHIND: i16 = -500;

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// In order: use it now; then take what `poll_released` gives.
    Now,
    /// Second packet in a row of a sender that restarted its numbering: use it now; what was held is gone.
    Restart,
    /// Behind a gap: call `hold`, then take what `poll_released` gives.
    Hold,
    /// Its place has passed.
    Late,
    /// Held already.
    Duplicate,
}

/// What comes out of a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Released<T> {
    /// So many packets in a row never came.
    Lost(u16),
    /// The next packet in order.
    Packet(T),
}

#[derive(Clone, Copy, Debug)]
struct Held<T> {
    sequence: u16,
    since: Tick,
    packet: T,
}

/// Reorder window of one source.
#[derive(Clone, Debug)]
pub struct Sequencer<T> {
    next: Option<u16>,
    held: [Option<Held<T>>; WINDOW + 1],
    /// Set when waiting is over: everything held leaves.
    give_up: bool,
    /// Last implausible number; the one after it proves a restart (RFC 3550 A.1 `bad_seq`).
    bad: Option<u16>,
}

impl<T: Copy> Default for Sequencer<T> {
    fn default() -> Self {
        Self { next: None, held: [None; WINDOW + 1], give_up: false, bad: None }
    }
}

impl<T: Copy> Sequencer<T> {
    /// Judges a packet by its number alone. For `Hold` the caller must call `hold` with the packet at once.
    pub fn admit(&mut self, sequence: u16) -> Admission {
        let Some(next) = self.next else {
            self.next = Some(sequence.wrapping_add(1));
            return Admission::Now;
        };
        // Signed distance on the 16-bit circle.
        let distance = sequence.wrapping_sub(next) as i16;
        if !(BEHIND..=JUMP).contains(&distance) {
            if self.bad == Some(sequence) {
                *self = Self { next: Some(sequence.wrapping_add(1)), ..Self::default() };
                return Admission::Restart;
            }
            self.bad = Some(sequence.wrapping_add(1));
            return Admission::Late;
        }
        self.bad = None;
        match distance {
            0 => {
                self.next = Some(next.wrapping_add(1));
                Admission::Now
            }
            ..0 => Admission::Late,
            1.. if self.held.iter().flatten().any(|h| h.sequence == sequence) => Admission::Duplicate,
            1.. => Admission::Hold,
        }
    }

    /// Stores a packet that `admit` said to hold. One packet more than `WINDOW` ends the wait.
    pub fn hold(&mut self, now: Tick, sequence: u16, packet: T) {
        // There is always a place as long as the owner polls after each packet; if not, the newest is the one to lose.
        if let Some(place) = self.held.iter_mut().find(|h| h.is_none()) {
            *place = Some(Held { sequence, since: now, packet });
        }
        self.give_up = self.held.iter().all(Option::is_some);
    }

    /// Gives the packets that are due, in order, `Lost` before the packet that ends a gap. Call until `None`.
    pub fn poll_released(&mut self, now: Tick) -> Option<Released<T>> {
        let next = self.next?;
        let Some((index, held)) = self.earliest(next) else {
            self.give_up = false;
            return None;
        };
        if held.sequence == next {
            self.held[index] = None;
            self.next = Some(next.wrapping_add(1));
            return Some(Released::Packet(held.packet));
        }
        if self.give_up || now >= self.oldest(held.since) + WAIT {
            self.give_up = true;
            self.next = Some(held.sequence);
            return Some(Released::Lost(held.sequence.wrapping_sub(next)));
        }
        None
    }

    /// When `poll_released` must be called again for want of packets.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.held.iter().flatten().map(|h| h.since).min().map(|since| since + WAIT)
    }

    /// Forgets everything: the next packet starts anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn earliest(&self, next: u16) -> Option<(usize, Held<T>)> {
        let held = self.held.iter().enumerate().filter_map(|(i, h)| h.map(|h| (i, h)));
        held.min_by_key(|(_, h)| distance(next, h.sequence))
    }

    fn oldest(&self, of: Tick) -> Tick {
        self.held.iter().flatten().map(|h| h.since).min().unwrap_or(of)
    }
}

fn distance(from: u16, to: u16) -> u16 {
    to.wrapping_sub(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Tick {
        Tick(ms * 1_000_000)
    }

    /// Feeds one packet that carries its own number; returns what is heard, losses as `None`.
    fn feed(s: &mut Sequencer<u16>, now: Tick, sequence: u16) -> Vec<Option<u16>> {
        let mut heard = Vec::new();
        match s.admit(sequence) {
            Admission::Now | Admission::Restart => heard.push(Some(sequence)),
            Admission::Hold => s.hold(now, sequence, sequence),
            Admission::Late | Admission::Duplicate => {}
        }
        heard.extend(drain(s, now));
        heard
    }

    fn drain(s: &mut Sequencer<u16>, now: Tick) -> Vec<Option<u16>> {
        let mut heard = Vec::new();
        while let Some(r) = s.poll_released(now) {
            match r {
                Released::Lost(n) => heard.extend((0..n).map(|_| None)),
                Released::Packet(p) => heard.push(Some(p)),
            }
        }
        heard
    }

    #[test]
    fn in_order_packets_never_wait() {
        let mut s = Sequencer::default();
        for n in 0..1000u16 {
            let sequence = 65_000u16.wrapping_add(n);
            assert_eq!(feed(&mut s, at(u64::from(n) * 20), sequence), [Some(sequence)]);
            assert_eq!(s.poll_timeout(), None);
        }
    }

    #[test]
    fn a_swap_is_put_right_without_a_loss() {
        let mut s = Sequencer::default();
        feed(&mut s, at(0), 1);
        assert_eq!(feed(&mut s, at(20), 3), []);
        assert_eq!(s.poll_timeout(), Some(at(60)));
        assert_eq!(feed(&mut s, at(21), 2), [Some(2), Some(3)]);
        assert_eq!(s.poll_timeout(), None);
    }

    #[test]
    fn a_gap_waits_two_packets() {
        let mut s = Sequencer::default();
        feed(&mut s, at(0), 1);
        assert_eq!(feed(&mut s, at(1), 3), []);
        assert_eq!(feed(&mut s, at(2), 4), []);
        assert_eq!(feed(&mut s, at(3), 5), [None, Some(3), Some(4), Some(5)]);
        assert_eq!(feed(&mut s, at(4), 2), []);
        assert_eq!(feed(&mut s, at(5), 6), [Some(6)]);
    }

    #[test]
    fn a_gap_waits_forty_milliseconds() {
        let mut s = Sequencer::default();
        feed(&mut s, at(0), 1);
        feed(&mut s, at(20), 4);
        assert_eq!(drain(&mut s, at(59)), []);
        assert_eq!(drain(&mut s, at(60)), [None, None, Some(4)]);
    }

    #[test]
    fn a_stray_number_is_dropped_and_a_restart_is_followed() {
        let mut s = Sequencer::default();
        feed(&mut s, at(0), 1);
        assert_eq!(feed(&mut s, at(20), 40_000), []);
        assert_eq!(feed(&mut s, at(20), 2), [Some(2)]);
        assert_eq!(feed(&mut s, at(40), 50_000), []);
        assert_eq!(feed(&mut s, at(60), 50_001), [Some(50_001)]);
        assert_eq!(feed(&mut s, at(80), 50_002), [Some(50_002)]);
    }

    proptest! {
        #[test]
        fn order_holds_and_the_wait_is_bounded(numbers in proptest::collection::vec(any::<u16>(), 1..300)) {
            let mut s = Sequencer::default();
            for (n, number) in numbers.iter().enumerate() {
                let now = at(n as u64 * 5);
                feed(&mut s, now, *number);
                prop_assert!(s.poll_timeout().is_none_or(|t| t > now && t <= now + WAIT));
            }
        }

        /// Any shuffle within the window with any losses: what is heard is sorted, complete, without repeats.
        #[test]
        fn small_disorder_is_put_right(start: u16, fate in proptest::collection::vec(0u8..10, 3..300)) {
            // 0 = lost, 1 = swapped with the next, 2 = sent twice.
            let mut order: Vec<u16> = (0..fate.len() as u16).map(|n| start.wrapping_add(n)).collect();
            for (n, fate) in fate.iter().enumerate().take(order.len() - 1).skip(1) {
                if *fate == 1 {
                    order.swap(n, n + 1);
                }
            }
            let mut s = Sequencer::default();
            let mut heard = Vec::new();
            let mut sent = Vec::new();
            for (n, sequence) in order.iter().enumerate() {
                // The first packet sets the start and must come.
                if n > 0 && fate[n] == 0 {
                    continue;
                }
                sent.push(*sequence);
                heard.extend(feed(&mut s, at(n as u64 * 20), *sequence));
                if fate[n] == 2 {
                    heard.extend(feed(&mut s, at(n as u64 * 20), *sequence));
                }
            }
            heard.extend(drain(&mut s, at(1 << 30)));
            for (n, h) in heard.iter().enumerate() {
                prop_assert!(h.is_none_or(|h| h == start.wrapping_add(n as u16)), "{heard:?}");
            }
        }
    }
}
