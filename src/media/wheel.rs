//! Who is due next: a timing wheel of 1024 slots of one millisecond. Purpose: thousands of calls with a timer each at a
//! constant cost per timer, without heap use. Media workers only. Invariants: an entry is in the wheel at most once; none
//! fires before its time; a due time further away than the wheel fires early at its end and is set again by its owner.
//! Deliberately absent: reading the clock.

use crate::time::Tick;

const SLOTS: u64 = 1024;
/// Slots that one word of the occupancy map stands for.
const WORD: u64 = 64;
const NONE: u32 = u32::MAX;
const NANOS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// Slot of the wheel, or `NONE` when not waiting.
    slot: u32,
}

/// The wheel, for entries numbered from 0.
#[derive(Debug)]
pub(super) struct Wheel {
    /// First millisecond that has not been emptied yet.
    position: u64,
    heads: [u32; SLOTS as usize],
    /// One bit per slot that holds an entry.
    occupied: [u64; (SLOTS / WORD) as usize],
    links: Box<[Link]>,
}

impl Wheel {
    pub(super) fn new(entries: usize, now: Tick) -> Self {
        Self {
            position: now.0 / NANOS,
            heads: [NONE; SLOTS as usize],
            occupied: [0; (SLOTS / WORD) as usize],
            links: vec![Link { previous: NONE, next: NONE, slot: NONE }; entries].into_boxed_slice(),
        }
    }

    /// Sets the entry's due time, replacing the one before. Times that have passed fire at once, those beyond the wheel
    /// at its end.
    pub(super) fn set(&mut self, entry: u32, due: Tick) {
        self.remove(entry);
        let slot = due.0.div_ceil(NANOS).clamp(self.position, self.position + SLOTS - 1) % SLOTS;
        let head = self.heads[index(slot)];
        self.links[entry as usize] = Link { previous: NONE, next: head, slot: slot as u32 };
        if head != NONE {
            self.links[head as usize].previous = entry;
        }
        self.heads[index(slot)] = entry;
        self.occupied[index(slot / WORD)] |= 1 << (slot % WORD);
    }

    /// Takes the entry out; no effect when it is not waiting.
    pub(super) fn remove(&mut self, entry: u32) {
        let link = self.links[entry as usize];
        if link.slot == NONE {
            return;
        }
        if link.previous == NONE {
            self.heads[link.slot as usize] = link.next;
            if link.next == NONE {
                let slot = u64::from(link.slot);
                self.occupied[index(slot / WORD)] &= !(1 << (slot % WORD));
            }
        } else {
            self.links[link.previous as usize].next = link.next;
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[entry as usize] = Link { previous: NONE, next: NONE, slot: NONE };
    }

    /// Takes out one entry whose time has come. Call until `None`, but not without end: an entry that is set to the past
    /// again comes out again.
    pub(super) fn poll_due(&mut self, now: Tick) -> Option<u32> {
        let now = now.0 / NANOS;
        if self.position > now {
            return None;
        }
        let Some(ahead) = self.ahead().filter(|ahead| self.position + ahead <= now) else {
            self.position = now + 1;
            return None;
        };
        self.position += ahead;
        let head = self.heads[index(self.position % SLOTS)];
        self.remove(head);
        Some(head)
    }

    /// When the first entry is due; `None` when nobody waits.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        self.ahead().map(|ahead| Tick((self.position + ahead) * NANOS))
    }

    /// Milliseconds from `position` to the first occupied slot.
    fn ahead(&self) -> Option<u64> {
        let start = self.position % SLOTS;
        let words = SLOTS / WORD;
        // The first word is looked at twice: from the position on, and at the end up to the position.
        for step in 0..=words {
            let word = (start / WORD + step) % words;
            let mut bits = self.occupied[index(word)];
            if step == 0 {
                bits &= u64::MAX << (start % WORD);
            } else if step == words {
                bits &= !(u64::MAX << (start % WORD));
            }
            if bits != 0 {
                let slot = word * WORD + u64::from(bits.trailing_zeros());
                return Some((slot + SLOTS - start) % SLOTS);
            }
        }
        None
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Tick {
        Tick(n * NANOS)
    }

    fn due(w: &mut Wheel, now: Tick) -> Vec<u32> {
        let mut entries: Vec<u32> = std::iter::from_fn(|| w.poll_due(now)).collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn entries_fire_at_their_millisecond() {
        let mut w = Wheel::new(4, ms(1000));
        w.set(0, ms(1020));
        w.set(1, ms(1020));
        w.set(2, Tick(ms(1005).0 + 1));
        assert_eq!(w.poll_timeout(), Some(ms(1006)));
        assert!(due(&mut w, ms(1005)).is_empty());
        assert_eq!(due(&mut w, ms(1006)), [2]);
        assert_eq!(w.poll_timeout(), Some(ms(1020)));
        w.set(0, ms(1030));
        assert_eq!(due(&mut w, ms(1025)), [1]);
        w.remove(0);
        assert_eq!(w.poll_timeout(), None);
        assert!(due(&mut w, ms(2000)).is_empty());
    }

    #[test]
    fn a_standstill_fires_everything_once() {
        let mut w = Wheel::new(3, ms(0));
        for n in 0..3 {
            w.set(n, ms(u64::from(n) * 30));
        }
        assert_eq!(due(&mut w, ms(100_000)), [0, 1, 2]);
        w.set(1, ms(100_020));
        assert_eq!(w.poll_timeout(), Some(ms(100_020)));
    }

    #[test]
    fn a_time_that_has_passed_fires_at_once() {
        let mut w = Wheel::new(1, ms(10));
        assert_eq!(w.poll_due(ms(20)), None);
        w.set(0, ms(3));
        assert_eq!(w.poll_timeout(), Some(ms(21)), "the next millisecond that is not emptied yet");
        assert_eq!(due(&mut w, ms(21)), [0]);
        // A due time reached while others were served still fires in its own millisecond.
        assert_eq!(w.poll_due(Tick(ms(30).0 - 1)), None);
        w.set(0, ms(30));
        assert_eq!(due(&mut w, ms(30)), [0]);
    }

    proptest! {
        /// Against a plain list: the same entries, neither early nor late, but for due times that have passed (next
        /// millisecond) and those beyond the wheel (its end).
        #[test]
        fn it_agrees_with_a_list(steps in proptest::collection::vec((0u32..8, 0u64..1500, 0u64..400, any::<bool>()), 1..300)) {
            let mut w = Wheel::new(8, ms(5));
            let mut list = [None::<u64>; 8];
            let (mut now, mut position) = (5u64, 5u64);
            for (entry, delay, advance, remove) in steps {
                if remove {
                    w.remove(entry);
                    list[entry as usize] = None;
                } else {
                    w.set(entry, ms(now + delay));
                    list[entry as usize] = Some((now + delay).clamp(position, position + SLOTS - 1));
                }
                prop_assert_eq!(w.poll_timeout(), list.iter().flatten().min().map(|at| ms(*at)));
                now += advance;
                position = position.max(now + 1);
                let expected: Vec<u32> = (0..8).filter(|n| list[*n as usize].is_some_and(|at| at <= now)).collect();
                for n in &expected {
                    list[*n as usize] = None;
                }
                prop_assert_eq!(due(&mut w, ms(now)), expected);
            }
        }
    }
}
