//! RTP timestamps → positions. Purpose: 32 bits that wrap, in the codec's clock, become 64 bits in samples; and a sender that
//! begins anew is told from one that skips. Invariants: positions of one timeline are comparable; after a restart they are
//! not, and the caller is told. Deliberately absent: sequence numbers (a restart of those alone does no harm here).

/// A timestamp that is further from where time says it should be is a jump, ms.
const JUMP_MS: i64 = 2_000;

/// Where a packet belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// At this sample of the present timeline.
    At(i64),
    /// At this sample of a new one: nothing from before can be compared.
    Restart(i64),
    /// It jumped; unless the next packet agrees with it, it was a stray.
    Stray,
}

/// One sender's clock.
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: i64,
    clock: i64,
    last: Option<Seen>,
    /// A packet that jumped.
    candidate: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ssrc: u32,
    timestamp: u32,
    /// In ticks of the RTP clock, from the first packet on.
    ticks: i64,
    /// Arrival, samples.
    arrived: i64,
}

impl Timeline {
    /// Positions in samples at `rate` Hz from timestamps at `clock` Hz (both above 0).
    #[must_use]
    pub fn new(rate: u32, clock: u32) -> Self {
        Self { rate: i64::from(rate.max(1)), clock: i64::from(clock.max(1)), last: None, candidate: None }
    }

    /// Forgets the sender: the next packet begins anew.
    pub fn reset(&mut self) {
        (self.last, self.candidate) = (None, None);
    }

    /// Takes a packet that arrived at sample `now` of our clock.
    pub fn handle_packet(&mut self, now: i64, ssrc: u32, timestamp: u32) -> Place {
        let first = Seen { ssrc, timestamp, ticks: 0, arrived: now };
        let Some(last) = self.last.filter(|last| last.ssrc == ssrc) else {
            return self.restart(first);
        };
        if let Some(seen) = self.follow(last, first) {
            // An old packet does not move the reference back.
            if seen.ticks > last.ticks {
                self.last = Some(seen);
            }
            self.candidate = None;
            return Place::At(self.samples(seen.ticks));
        }
        match self.candidate.filter(|c| c.ssrc == ssrc).and_then(|c| self.follow(c, first)) {
            Some(seen) if seen.ticks >= 0 => self.restart(first),
            _ => {
                self.candidate = Some(first);
                Place::Stray
            }
        }
    }

    fn restart(&mut self, first: Seen) -> Place {
        (self.last, self.candidate) = (Some(first), None);
        Place::Restart(0)
    }

    /// The packet on the timeline of `last`, unless it jumps.
    fn follow(&self, last: Seen, packet: Seen) -> Option<Seen> {
        let step = i64::from(packet.timestamp.wrapping_sub(last.timestamp).cast_signed());
        let expected = packet.arrived - last.arrived;
        let jump = self.samples(step).saturating_sub(expected).abs();
        (jump <= JUMP_MS * self.rate / 1000).then(|| Seen { ticks: last.ticks + step, ..packet })
    }

    fn samples(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.rate).div_euclid(self.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_wrap_and_clocks_differ() {
        for (rate, clock, step, samples) in
            [(8000, 8000, 160, 160), (16_000, 8000, 160, 320), (16_000, 48_000, 960, 320), (8000, 48_000, 960, 160)]
        {
            let mut timeline = Timeline::new(rate, clock);
            let start = u32::MAX - 500;
            assert_eq!(timeline.handle_packet(0, 1, start), Place::Restart(0));
            for n in 1..20u32 {
                let at = i64::from(n) * samples;
                assert_eq!(timeline.handle_packet(at, 1, start.wrapping_add(n * step)), Place::At(at));
            }
            assert_eq!(timeline.handle_packet(20 * samples, 1, start), Place::At(0), "late, but known");
        }
    }

    #[test]
    fn one_stray_is_ignored_and_two_are_a_restart() {
        let mut timeline = Timeline::new(8000, 8000);
        timeline.handle_packet(0, 1, 1000);
        assert_eq!(timeline.handle_packet(160, 1, 900_000), Place::Stray);
        assert_eq!(timeline.handle_packet(320, 1, 1320), Place::At(320));
        assert_eq!(timeline.handle_packet(480, 1, 900_000), Place::Stray);
        assert_eq!(timeline.handle_packet(640, 1, 900_160), Place::Restart(0));
        assert_eq!(timeline.handle_packet(800, 1, 900_320), Place::At(160));
        assert_eq!(timeline.handle_packet(960, 2, 5), Place::Restart(0), "another source");
    }

    #[test]
    fn a_long_pause_is_no_jump_but_a_stopped_clock_is() {
        let mut timeline = Timeline::new(8000, 8000);
        timeline.handle_packet(0, 1, 0);
        assert_eq!(timeline.handle_packet(80_000, 1, 80_000), Place::At(80_000));
        assert_eq!(timeline.handle_packet(240_000, 1, 80_160), Place::Stray);
        assert_eq!(timeline.handle_packet(240_160, 1, 80_320), Place::Restart(0));
    }
}
