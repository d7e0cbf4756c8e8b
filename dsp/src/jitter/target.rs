//! How long to wait. Purpose: the delay that would have been enough for nearly all packets so far, older ones counting less.
//! Two estimates, the larger wins, as the public description of NetEQ has it: packets in order, of which the latest of
//! every half second goes into a histogram whose 95 % quantile is taken; and reordered ones, for which delay is weighed
//! against loss, 20 ms for one per cent. Invariant: within the bounds given. Deliberately absent: the present delay.

/// Bins of 4 ms: 512 ms, more than the buffer holds.
const BINS: usize = 128;
const BIN_MS: i64 = 4;
/// The latest packet of this long enters the histogram, ms.
const INTERVAL_MS: i64 = 500;
/// Share of the half seconds whose latest packet is waited for.
const QUANTILE: f32 = 0.95;
/// What one half second leaves of the weight of those before (halves in 20 s), and one packet of reordering (in 20 s, too).
const FORGET_INTERVAL: f32 = 0.983;
const FORGET_PACKET: f32 = 0.9993;
/// The n-th entry weighs at least this much over n, so that the first few count at once.
const START_WEIGHT: f32 = 2.0;
/// Delay that one per cent of loss is worth, ms.
const MS_PER_LOSS_PERCENT: f32 = 20.0;

/// A distribution that forgets.
#[derive(Clone, Debug)]
struct Histogram {
    shares: [f32; BINS],
    forget: f32,
    entries: u32,
}

impl Histogram {
    const fn new(forget: f32) -> Self {
        Self { shares: [0.0; BINS], forget, entries: 0 }
    }

    fn add(&mut self, bin: usize) {
        self.entries = self.entries.saturating_add(1);
        let start = 1.0 - START_WEIGHT / (self.entries as f32 + 1.0);
        let forget = self.forget.min(start.max(0.0));
        for share in &mut self.shares {
            *share *= forget;
        }
        self.shares[bin.min(BINS - 1)] += 1.0 - forget;
    }

    /// Smallest bin up to which `share` of the entries lie.
    fn quantile(&self, share: f32) -> usize {
        let mut sum = 0.0;
        self.shares
            .iter()
            .position(|s| {
                sum += s;
                sum >= share
            })
            .unwrap_or(BINS - 1)
    }

    /// The bin for which its delay plus the price of the entries above is least.
    fn cheapest(&self) -> usize {
        let mut above: f32 = self.shares.iter().sum();
        let mut best = (0, f32::INFINITY);
        for (bin, share) in self.shares.iter().enumerate() {
            above -= share;
            let cost = bin as f32 * BIN_MS as f32 + above.max(0.0) * 100.0 * MS_PER_LOSS_PERCENT;
            if cost < best.1 {
                best = (bin, cost);
            }
        }
        best.0
    }
}

/// The delay aimed at.
#[derive(Clone, Debug)]
pub struct Target {
    per_ms: i64,
    minimum: i64,
    maximum: i64,
    in_order: Histogram,
    reordered: Histogram,
    /// Latest packet of the running half second, and when that began.
    latest: i64,
    since: Option<i64>,
    newest: i64,
    target: i64,
}

impl Target {
    /// All in samples at `rate` Hz; the aim is `minimum` until something is known.
    #[must_use]
    pub fn new(rate: u32, minimum: i64, maximum: i64) -> Self {
        Self {
            per_ms: i64::from(rate / 1000).max(1),
            minimum,
            maximum,
            in_order: Histogram::new(FORGET_INTERVAL),
            reordered: Histogram::new(FORGET_PACKET),
            latest: 0,
            since: None,
            newest: i64::MIN,
            target: minimum,
        }
    }

    /// Another timeline begins; what is known of the network stays.
    pub fn handle_restart(&mut self) {
        (self.newest, self.since, self.latest) = (i64::MIN, None, 0);
    }

    /// Takes a packet that belongs at `position`, came at `now` and was `late` samples later than the fastest.
    pub fn handle_packet(&mut self, now: i64, position: i64, late: i64) {
        let bin = |late: i64| usize::try_from(late / (BIN_MS * self.per_ms)).unwrap_or(0);
        if position < self.newest {
            self.reordered.add(bin(late) + 1);
        } else {
            self.newest = position;
            // Bin 0: nothing to wait for.
            self.reordered.add(0);
            self.latest = self.latest.max(late);
            let since = *self.since.get_or_insert(now);
            if now - since >= INTERVAL_MS * self.per_ms {
                self.in_order.add(bin(self.latest));
                (self.since, self.latest) = (Some(now), 0);
            }
        }
        // Before the first half second is over, what it has shown so far.
        let known = if self.in_order.entries == 0 { bin(self.latest) } else { self.in_order.quantile(QUANTILE) };
        let wait = (known as i64).max(self.reordered.cheapest() as i64) * BIN_MS * self.per_ms;
        self.target = wait;
    }

    /// The aim, samples: what has to be waited, plus `slack` because audio is fetched in steps.
    #[must_use]
    pub fn target(&self, slack: i64) -> i64 {
        (self.target + slack).clamp(self.minimum, self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(late: impl Fn(i64) -> i64) -> Target {
        let mut target = Target::new(8000, 160, 3200);
        for n in 0..3000 {
            target.handle_packet(n * 160 + late(n), n * 160, late(n));
        }
        target
    }

    #[test]
    fn punctual_packets_need_the_minimum() {
        assert_eq!(fed(|_| 0).target(80), 160);
    }

    #[test]
    fn spread_packets_are_waited_for() {
        let target = fed(|n| (n * 7919) % 240).target(80);
        assert!((300..=330).contains(&target), "{target}");
    }

    #[test]
    fn a_spike_every_minute_is_not_waited_for_but_one_every_second_is() {
        assert!(fed(|n| if n % 3000 == 100 { 800 } else { 0 }).target(80) < 400);
        assert!(fed(|n| if n % 50 == 10 { 800 } else { 0 }).target(80) >= 800);
    }

    #[test]
    fn reordering_is_waited_for_when_frequent() {
        let swapped = |every: i64| {
            let mut target = Target::new(8000, 160, 3200);
            for n in 0..3000 {
                // Packet n comes 40 ms late, after its successors.
                if n % every != 0 {
                    target.handle_packet(n * 160, n * 160, 0);
                }
                if n % every == 2 && n > 2 {
                    target.handle_packet(n * 160, (n - 2) * 160, 320);
                }
            }
            target.target(80)
        };
        assert!(swapped(10) >= 400, "{}", swapped(10));
        assert!(swapped(300) < 400);
    }

    #[test]
    fn never_out_of_bounds() {
        assert_eq!(fed(|_| 1_000_000).target(80), 3200);
        assert_eq!(fed(|_| -5).target(80), 160);
    }
}
