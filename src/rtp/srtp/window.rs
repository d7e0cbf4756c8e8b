//! Packet indices: which one a sequence number stands for (RFC 3711 section 3.3.1), and which were seen (section 3.3.2).

/// Packets behind the newest that can still be told from replays: 2.56 s of 20 ms packets. The RFC asks for 64 or more.
pub(super) const WINDOW: u64 = 128;
/// Roll-over counters end here, and the master key with them.
const ROLLOVERS: u64 = 1 << 32;
const HALF: u16 = 1 << 15;

/// The newest index of a source, and those before it that were seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest` − n was seen.
    seen: u128,
}

impl Window {
    /// Begins with the first index of a source.
    pub(super) fn new(index: u64) -> Self {
        Self { highest: index, seen: 1 }
    }

    /// The index that a sequence number most likely has; `None` before the first or after the last that there is.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let rollover = self.highest >> 16;
        // The low half of the index.
        let newest = self.highest as u16;
        let rollover = if newest < HALF {
            if sequence > newest && sequence - newest > HALF { rollover.checked_sub(1)? } else { rollover }
        } else if newest - HALF > sequence {
            rollover + 1
        } else {
            rollover
        };
        (rollover < ROLLOVERS).then_some((rollover << 16) | u64::from(sequence))
    }

    /// Not seen yet, and not too old to tell.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.seen & (1 << behind) == 0,
        }
    }

    /// Notes an index that is fresh and whose packet is authentic.
    pub(super) fn note(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            Some(behind) if behind < WINDOW => self.seen |= 1 << behind,
            Some(_) => {}
            None => {
                let step = index - self.highest;
                self.seen = if step < WINDOW { (self.seen << step) | 1 } else { 1 };
                self.highest = index;
            }
        }
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }
}

const _: () = assert!(WINDOW == u128::BITS as u64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn estimation_follows_the_rfc_at_its_edges() {
        let at = |highest, sequence| Window::new(highest).estimate(sequence);
        assert_eq!(at(0xffff, 0), Some(0x1_0000));
        assert_eq!(at(0x1_0000, 0xffff), Some(0xffff));
        assert_eq!(at(0, 0xffff), None, "before the first");
        assert_eq!(at(0x1_0000, 0x8000), Some(0x1_8000), "half ahead");
        assert_eq!(at(0x1_0000, 0x8001), Some(0x0_8001));
        assert_eq!(at(0x1_8000, 0), Some(0x1_0000), "half behind");
        assert_eq!(at(0x1_8001, 0), Some(0x2_0000));
        assert_eq!(at((1 << 48) - 1, 0), None, "the last rollover");
    }

    #[test]
    fn the_window_is_128_wide() {
        let mut w = Window::new(1000);
        w.note(1127);
        assert!(w.is_fresh(1001) && !w.is_fresh(1000), "seen");
        w.note(1128);
        assert!(w.is_fresh(1001) && !w.is_fresh(1000), "too old");
        w.note(1_000_000);
        assert!(!w.is_fresh(1_000_000) && w.is_fresh(999_999) && w.is_fresh(1_000_001));
    }

    proptest! {
        /// Whatever order and gaps: an index is noted once, like in a set of all that were seen.
        #[test]
        fn agrees_with_a_set(start in 0u64..1 << 40, steps in proptest::collection::vec(-200i64..200, 1..300)) {
            let mut window = Window::new(start);
            let mut seen = std::collections::BTreeSet::from([start]);
            let mut position = start;
            for step in steps {
                position = position.saturating_add_signed(step);
                let newest = *seen.last().unwrap();
                let fresh = !seen.contains(&position) && position + WINDOW > newest;
                prop_assert_eq!(window.is_fresh(position), fresh);
                prop_assert_eq!(window.estimate(position as u16), Some(position));
                if fresh {
                    window.note(position);
                    seen.insert(position);
                }
            }
        }
    }
}
