//! How late packets are. Purpose: a packet's delay relative to the fastest one of the last two seconds: the only delay that a
//! receiver can know. Invariants: the fastest is never forgotten all at once, so a pause does not lose it; a clock that
//! drifts (±200 ppm is 0.4 ms in the window) is followed. Deliberately absent: what to do about it (`target`).

/// Parts of the window.
const PARTS: usize = 20;
/// Length of one part, ms.
const PART_MS: i64 = 100;

/// The window over the smallest transit times.
#[derive(Clone, Debug)]
pub struct Arrivals {
    part: i64,
    /// Smallest arrival minus position of each part; a ring.
    fastest: [Option<i64>; PARTS],
    /// Part of the newest packet, counted from the start of time.
    newest: i64,
}

impl Arrivals {
    /// For samples at `rate` Hz.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { part: (i64::from(rate) * PART_MS / 1000).max(1), fastest: [None; PARTS], newest: 0 }
    }

    /// Another timeline begins.
    pub fn reset(&mut self) {
        self.fastest = [None; PARTS];
    }

    /// Takes a packet that belongs at `position` and came at `now`; returns how much later it came than the fastest.
    pub fn handle_packet(&mut self, now: i64, position: i64) -> i64 {
        let part = now.div_euclid(self.part).max(self.newest);
        if part - self.newest >= PARTS as i64 {
            // A pause as long as the window: what was known before it counts as if it had been seen just now.
            let known = self.fastest();
            self.fastest = [None; PARTS];
            self.fastest[Self::index(part)] = known;
        } else {
            for begun in self.newest + 1..=part {
                self.fastest[Self::index(begun)] = None;
            }
        }
        self.newest = part;
        let transit = now.saturating_sub(position);
        let slot = &mut self.fastest[Self::index(part)];
        *slot = Some(slot.map_or(transit, |fastest| fastest.min(transit)));
        transit - self.fastest().unwrap_or(transit)
    }

    /// Smallest arrival minus position.
    #[must_use]
    pub fn fastest(&self) -> Option<i64> {
        self.fastest.iter().flatten().min().copied()
    }

    fn index(part: i64) -> usize {
        usize::try_from(part.rem_euclid(PARTS as i64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_relative_to_the_fastest() {
        let mut arrivals = Arrivals::new(8000);
        assert_eq!(arrivals.handle_packet(1000, 0), 0);
        assert_eq!(arrivals.handle_packet(1360, 160), 200);
        assert_eq!(arrivals.handle_packet(1280, 320), 0, "a faster one");
        assert_eq!(arrivals.handle_packet(1480, 480), 40);
        assert_eq!(arrivals.fastest(), Some(960));
    }

    #[test]
    fn the_fastest_is_forgotten_after_two_seconds_but_not_in_a_pause() {
        let mut arrivals = Arrivals::new(8000);
        arrivals.handle_packet(0, 0);
        for n in 1..99 {
            assert_eq!(arrivals.handle_packet(n * 160 + 80, n * 160), 80);
        }
        for n in 99..120 {
            arrivals.handle_packet(n * 160 + 80, n * 160);
        }
        assert_eq!(arrivals.handle_packet(120 * 160 + 80, 120 * 160), 0);
        for pause in [20_000, 16_000, 800_000] {
            let mut arrivals = Arrivals::new(8000);
            arrivals.handle_packet(500, 0);
            assert_eq!(arrivals.handle_packet(pause + 600, pause), 100, "{pause}");
        }
    }
}
