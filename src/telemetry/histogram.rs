//! A latency histogram that media workers can write. Purpose: fixed buckets, atomics only: no heap, no lock, no float on
//! the writing side. Any thread may write and read at once; a reader sees each bucket's own latest value.
//! Deliberately absent: labels and names (`marks`), decay.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets of a histogram at most, without the overflow bucket.
const BUCKETS_MAX: usize = 128;
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Upper bounds for delays inside the box: 10 µs to 10 s, six a decade, nanoseconds.
pub static ROUTE_BOUNDS: [u64; 37] = {
    let steps = [10, 15, 20, 30, 50, 70];
    let mut bounds = [0; 37];
    let (mut n, mut decade) = (0, MICRO);
    while n < 36 {
        bounds[n] = steps[n % 6] * decade;
        n += 1;
        if n.is_multiple_of(6) {
            decade *= 10;
        }
    }
    bounds[36] = 10_000 * MILLI;
    bounds
};

/// Upper bounds for delays that people notice: every 20 ms to 2 s, then every 500 ms to 10 s, nanoseconds. A quantile is
/// thereby good to 20 ms where it matters.
pub static TURN_BOUNDS: [u64; 116] = {
    let mut bounds = [0; 116];
    let mut n = 0;
    while n < 116 {
        let step = n as u64 + 1;
        bounds[n] = if n < 100 { step * 20 * MILLI } else { (2000 + (step - 100) * 500) * MILLI };
        n += 1;
    }
    bounds
};

/// Counts durations by bucket.
pub struct Histogram {
    bounds: &'static [u64],
    /// One per bound, then one for all that is larger.
    buckets: [AtomicU64; BUCKETS_MAX + 1],
    sum: AtomicU64,
    max: AtomicU64,
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).field("max", &self.max()).finish()
    }
}

impl Histogram {
    /// `bounds`: ascending upper bounds in nanoseconds, at most 128.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= BUCKETS_MAX);
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; BUCKETS_MAX + 1],
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// Counts one duration. About 10 ns; safe on a media worker.
    pub fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Bounds are inclusive, as Prometheus' `le` is.
        let bucket = self.bounds.partition_point(|bound| *bound < nanos);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(nanos, Relaxed);
        self.max.fetch_max(nanos, Relaxed);
    }

    /// Durations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|b| b.load(Relaxed)).sum()
    }

    /// Sum of all durations.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.load(Relaxed))
    }

    /// Largest duration, exact.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max.load(Relaxed))
    }

    /// The duration that the share `q` (0 to 1) of all does not exceed, interpolated within its bucket and never above
    /// `max`; `None` while nothing is counted.
    #[must_use]
    // Counts far below 2^52; a quantile is an estimate.
    // Between two u64 bounds.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let max = self.max.load(Relaxed);
        let rank = (q.clamp(0.0, 1.0) * count as f64).max(1.0);
        let mut below = 0.0;
        let mut lower = 0;
        for (n, bucket) in self.buckets.iter().enumerate().take(self.bounds.len() + 1) {
            let here = bucket.load(Relaxed) as f64;
            let upper = self.bounds.get(n).copied().unwrap_or(max).min(max);
            if here > 0.0 && below + here >= rank {
                let share = (rank - below) / here;
                let nanos = lower as f64 + share * upper.saturating_sub(lower) as f64;
                return Some(Duration::from_nanos((nanos as u64).min(max)));
            }
            below += here;
            lower = self.bounds.get(n).copied().unwrap_or(max);
        }
        Some(Duration::from_nanos(max))
    }

    /// Appends the `_bucket`, `_sum` and `_count` lines; `label` is like `path="ingress"` or empty.
    pub fn render(&self, out: &mut String, name: &str, label: &str) {
        let comma = if label.is_empty() { "" } else { "," };
        let mut below = 0;
        for (n, bucket) in self.buckets.iter().enumerate().take(self.bounds.len() + 1) {
            below += bucket.load(Relaxed);
            // Writing to a String cannot fail.
            let _ = match self.bounds.get(n) {
                Some(bound) => writeln!(out, "{name}_bucket{{{label}{comma}le=\"{}\"}} {below}", Seconds(*bound)),
                None => writeln!(out, "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {below}"),
            };
        }
        let braces = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
        let _ = writeln!(out, "{name}_sum{braces} {}", Seconds(self.sum.load(Relaxed)));
        let _ = writeln!(out, "{name}_count{braces} {below}");
    }
}

/// Nanoseconds printed as seconds, exact, without trailing zeros.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut part, mut width) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000, 9);
        if part == 0 {
            return write!(f, "{whole}");
        }
        while part.is_multiple_of(10) {
            part /= 10;
            width -= 1;
        }
        write!(f, "{whole}.{part:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend() {
        assert!(ROUTE_BOUNDS.is_sorted() && TURN_BOUNDS.is_sorted());
        assert_eq!((ROUTE_BOUNDS[0], ROUTE_BOUNDS[6], ROUTE_BOUNDS[36]), (10_000, 100_000, 10_000_000_000));
        assert_eq!((TURN_BOUNDS[0], TURN_BOUNDS[99], TURN_BOUNDS[115]), (20 * MILLI, 2000 * MILLI, 10_000 * MILLI));
    }

    #[test]
    fn quantiles_are_within_a_bucket() {
        let h = Histogram::new(&TURN_BOUNDS);
        assert_eq!(h.quantile(0.5), None);
        for ms in 1..=1000 {
            h.record(Duration::from_millis(ms));
        }
        for (q, ms) in [(0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1000)] {
            let got = h.quantile(q).unwrap().as_millis();
            assert!(got.abs_diff(ms) <= 20, "{q}: {got}");
        }
        assert_eq!((h.count(), h.max()), (1000, Duration::from_secs(1)));
        // One value: every quantile is that value, not its bucket's bound.
        let one = Histogram::new(&TURN_BOUNDS);
        one.record(Duration::from_millis(401));
        assert_eq!(one.quantile(0.99), Some(Duration::from_millis(401)));
    }

    #[test]
    fn what_is_beyond_the_last_bound_still_counts() {
        let h = Histogram::new(&ROUTE_BOUNDS);
        h.record(Duration::from_secs(100));
        assert_eq!((h.count(), h.quantile(0.5)), (1, Some(Duration::from_secs(100))));
    }

    #[test]
    fn rendering_is_cumulative_prometheus_text() {
        let h = Histogram::new(&[1_000_000, 20_000_000]);
        for ms in [1, 5, 50] {
            h.record(Duration::from_millis(ms));
        }
        let mut text = String::new();
        h.render(&mut text, "x_seconds", "path=\"a\"");
        assert_eq!(
            text,
            "x_seconds_bucket{path=\"a\",le=\"0.001\"} 1\nx_seconds_bucket{path=\"a\",le=\"0.02\"} 2\n\
             x_seconds_bucket{path=\"a\",le=\"+Inf\"} 3\nx_seconds_sum{path=\"a\"} 0.056\nx_seconds_count{path=\"a\"} 3\n"
        );
        let mut text = String::new();
        h.render(&mut text, "x", "");
        assert!(text.contains("x_bucket{le=\"0.001\"} 1\n") && text.contains("x_count 3\n"));
    }
}
