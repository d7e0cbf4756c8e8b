//! Counts of one measurement. Purpose: delays to the microsecond without a heap, and what was lost. Owner: the receiving
//! thread, handed over at the end.

use std::time::Duration;

/// Buckets of 1 µs, up to 500 ms.
const BUCKETS: usize = 500_000;

/// Delays.
#[derive(Clone, Debug)]
pub(super) struct Delays {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS + 1], count: 0 }
    }
}

impl Delays {
    pub(super) fn add(&mut self, delay: Duration) {
        let micros = usize::try_from(delay.as_micros()).unwrap_or(BUCKETS).min(BUCKETS);
        self.buckets[micros] += 1;
        self.count += 1;
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The delay that a share of all does not exceed, milliseconds; NaN when there is none.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        // Counts are far below 2^52.
        let wanted = ((self.count as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (micros, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return micros as f64 / 1000.0;
            }
        }
        f64::NAN
    }

    /// How many were longer.
    pub(super) fn longer_than(&self, limit: Duration) -> u64 {
        let micros = usize::try_from(limit.as_micros()).unwrap_or(BUCKETS).min(BUCKETS);
        self.buckets[micros..].iter().map(|n| u64::from(*n)).sum()
    }
}

/// What the load saw within the measured window.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Packets sent.
    pub(super) sent: u64,
    /// Stamped packets that came back.
    pub(super) returned: u64,
    /// All packets that came.
    pub(super) received: u64,
    /// Sending to kernel receive time, of stamped packets.
    pub(super) delay: Delays,
    /// Between two packets of one call.
    pub(super) gap: Delays,
    /// Sending of a burst to its return, transcoded.
    pub(super) burst: Delays,
}

/// One measurement.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// Calls that were up.
    pub(super) calls: usize,
    /// Length of the window.
    pub(super) window: Duration,
    /// CPU time of the measured process within the window.
    pub(super) cpu: Duration,
    /// Resident memory of the measured process at its end, MiB.
    pub(super) memory: f64,
}

impl Measured {
    /// Packets lost or later than 20 ms, of all that were sent; per cent.
    pub(super) fn lost_or_late(&self) -> f64 {
        let late = self.tally.delay.longer_than(Duration::from_millis(20));
        let lost = self.tally.sent.saturating_sub(self.tally.returned);
        100.0 * (lost + late) as f64 / self.tally.sent.max(1) as f64
    }

    /// Per cent of a core.
    pub(super) fn cpu_share(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.window.as_secs_f64()
    }

    /// Per cent of a core for 100 calls.
    pub(super) fn cpu_per_100(&self) -> f64 {
        self.cpu_share() * 100.0 / self.calls.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_microsecond() {
        let mut delays = Delays::default();
        for micros in 1..=1000 {
            delays.add(Duration::from_micros(micros));
        }
        assert!((delays.quantile(0.5) - 0.5).abs() < 1e-9);
        assert!((delays.quantile(0.999) - 0.999).abs() < 1e-9);
        assert_eq!(delays.longer_than(Duration::from_micros(991)), 10);
        delays.add(Duration::from_secs(9));
        assert!((delays.quantile(1.0) - 500.0).abs() < 1e-9);
    }
}
