//! How long to wait. Purpose: the delay that would have been enough for nearly all packets so far, older ones counting less.
//! Two histograms of lateness, and the shorter of what they ask for: the latest packet of every half second (its 95 %
//! quantile), as the public description of NetEQ has it for packets in order, so that a network that stands still once is
//! not waited for, however many packets it delivers at once; and every packet (99.2 %), so that among many delays that
//! spread the rare longest are not. Here reordered packets count alike: NetEQ weighs their delay against loss (20 ms for one
//! per cent), but a burst that is delivered slightly out of order is lateness, too, and what is rare does not reach the
//! quantile anyway. Invariant: within the bounds given. Deliberately absent: the present delay.

/// Bins of 4 ms: 512 ms, more than the buffer holds.
const BINS: usize = 128;
const BIN_MS: i64 = 4;
/// The latest packet of this long enters the first histogram, ms.
const INTERVAL_MS: i64 = 500;
/// Share of the half seconds whose latest packet is waited for.
const INTERVALS: f32 = 0.95;
/// What one half second leaves of the weight of those before (halves in 20 s); the first few count alike.
const FORGET_INTERVAL: f32 = 0.983;
/// Share of the packets that are waited for. With a spread of 30 ms it saves 8 to 14 ms for 0.04 points of concealment; 99 %
/// would save 4 ms more, and be heard where spikes come every two seconds.
const PACKETS: f32 = 0.992;
/// The same for packets: halves in a thousand, which last 20 s.
const FORGET_PACKET: f32 = 0.9993;

/// A distribution that forgets.
#[derive(Clone, Debug)]
struct Histogram {
    shares: [f32; BINS],
    entries: u32,
    /// What an entry leaves of the weight of those before.
    forget: f32,
}

impl Histogram {
    const fn new(forget: f32) -> Self {
        Self { shares: [0.0; BINS], entries: 0, forget }
    }

    fn add(&mut self, bin: usize) {
        self.entries = self.entries.saturating_add(1);
        let forget = self.forget.min(1.0 - 1.0 / self.entries as f32);
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
}

/// The delay aimed at.
#[derive(Clone, Debug)]
pub struct Target {
    per_ms: i64,
    minimum: i64,
    maximum: i64,
    intervals: Histogram,
    packets: Histogram,
    /// Latest packet of the running half second, and when that began.
    latest: i64,
    since: Option<i64>,
    wait: i64,
}

impl Target {
    /// All in samples at `rate` Hz; the aim is `minimum` until something is known.
    #[must_use]
    pub fn new(rate: u32, minimum: i64, maximum: i64) -> Self {
        Self {
            per_ms: i64::from(rate / 1000).max(1),
            minimum,
            maximum,
            intervals: Histogram::new(FORGET_INTERVAL),
            packets: Histogram::new(FORGET_PACKET),
            latest: 0,
            since: None,
            wait: 0,
        }
    }

    /// Another timeline begins; what is known of the network stays.
    pub fn handle_restart(&mut self) {
        (self.since, self.latest) = (None, 0);
    }

    /// Takes a packet that came at `now`, `late` samples later than the fastest.
    pub fn handle_packet(&mut self, now: i64, late: i64) {
        let bin = |late: i64| usize::try_from(late / (BIN_MS * self.per_ms)).unwrap_or(0);
        self.packets.add(bin(late));
        self.latest = self.latest.max(late);
        let since = *self.since.get_or_insert(now);
        if now - since >= INTERVAL_MS * self.per_ms {
            self.intervals.add(bin(self.latest));
            (self.since, self.latest) = (Some(now), 0);
        }
        // Before the first half second is over, what it has shown so far.
        let interval = if self.intervals.entries == 0 { bin(self.latest) } else { self.intervals.quantile(INTERVALS) };
        self.wait = interval.min(self.packets.quantile(PACKETS)) as i64 * BIN_MS * self.per_ms;
    }

    /// The aim, samples: what has to be waited, plus `slack` because audio is fetched in steps.
    #[must_use]
    pub fn target(&self, slack: i64) -> i64 {
        (self.wait + slack).clamp(self.minimum, self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(late: impl Fn(i64) -> i64) -> Target {
        let mut target = Target::new(8000, 160, 3200);
        for n in 0..3000 {
            target.handle_packet(n * 160 + late(n), late(n));
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
                    target.handle_packet(n * 160, 0);
                }
                if n % every == 2 && n > 2 {
                    target.handle_packet(n * 160, 320);
                }
            }
            target.target(80)
        };
        assert!(swapped(10) >= 400, "{}", swapped(10));
        assert!(swapped(1000) < 400);
    }

    /// Of delays that spread the rare longest are left to concealment; a standstill, all of whose packets are late, is not
    /// waited for afterwards.
    #[test]
    fn neither_the_rarest_delay_nor_one_standstill_is_waited_for() {
        // One packet in 200 is 60 ms late, so that one half second in eight has such a one.
        let rare = fed(|n| if n % 200 == 50 { 480 } else { (n * 7919) % 160 });
        assert!(rare.target(80) < 280, "{}", rare.target(80));
        let standstill = fed(|n| if (2800..2845).contains(&n) { (2845 - n) * 160 } else { 0 });
        assert!(standstill.target(80) < 320, "{}", standstill.target(80));
    }

    #[test]
    fn never_out_of_bounds() {
        assert_eq!(fed(|_| 1_000_000).target(80), 3200);
        assert_eq!(fed(|_| -5).target(80), 160);
    }
}
