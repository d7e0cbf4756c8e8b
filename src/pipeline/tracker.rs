//! Counts what the gateway sees of one app. Purpose: requests, errors, octets and latency by route, the rate over the last
//! minute, and what came since it was last written down.
//! Pure: time is an argument. Invariants: memory is bounded by `APP_ROUTES_MAX` routes; paths are counted under templates,
//! so that record ids and scanners do not become routes. Deliberately absent: sockets, names of apps.

use crate::limits::APP_ROUTES_MAX;
use crate::time::Tick;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Seconds of the sliding window.
const WINDOW_SECONDS: u64 = 60;
/// Upper bounds of the latency buckets, microseconds; one more bucket takes the rest.
const LATENCY_BOUNDS_US: [u64; 14] =
    [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000, 1_000_000, 4_000_000];
/// Where requests go that match no route of the app.
pub const UNMATCHED: &str = "unmatched";
/// Where routes go beyond the bound.
pub const OTHER: &str = "other";

/// Requests, errors and latency of one app.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    window: Window,
    routes: BTreeMap<String, RouteCounts>,
    /// What was handed out by `poll_rollup`: requests, server errors, octets.
    written: (u64, u64, u64),
}

/// Counts of one route template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounts {
    /// Answers by status class 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Of answers' bodies.
    pub octets: u64,
    latency: [u64; LATENCY_BOUNDS_US.len() + 1],
}

/// What a tracker knows, for the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traffic {
    /// Requests since the app was put on line by this daemon.
    pub requests: u64,
    /// Of these, answered with 5xx.
    pub server_errors: u64,
    /// Octets of answers' bodies.
    pub octets: u64,
    /// Requests in the last 60 s.
    pub requests_per_minute: f64,
    /// 95 of 100 answers took at most this long, milliseconds (bucket bound); none: nothing was asked.
    #[serde(skip)]
    pub p95_ms: Option<f64>,
    /// By route template.
    pub routes: Vec<RouteTraffic>,
}

/// Traffic of one route template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteTraffic {
    /// E.g. `/contacts/{id}`.
    pub route: String,
    /// Requests.
    pub requests: u64,
    /// Answers by status class 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Half of the answers took at most this long, milliseconds (bucket bound).
    pub p50_ms: f64,
    /// Octets of answers' bodies.
    pub octets: u64,
    /// 99 of 100 took at most this long, milliseconds (bucket bound).
    pub p99_ms: f64,
}

/// What became of an app's requests since the last one was polled, to be kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollup {
    /// Requests since then.
    pub requests: u64,
    /// Of these, answered with 5xx.
    pub server_errors: u64,
    /// Octets of answers' bodies since then.
    pub octets: u64,
    /// By route template, since the app was put on line by this daemon.
    pub routes: Vec<RouteTraffic>,
}

impl Tracker {
    /// Counts one answered request; `route` is a template (see [`template`]). Returns the name it was counted under.
    pub fn handle_answer<'r>(&mut self, now: Tick, route: &'r str, status: u16, took: Duration) -> &'r str {
        self.window.add(now);
        let known = self.routes.contains_key(route);
        let name = if known {
            route
        } else if status == 404 {
            UNMATCHED
        } else if self.routes.len() >= APP_ROUTES_MAX {
            OTHER
        } else {
            route
        };
        let counts = self.routes.entry(name.to_owned()).or_default();
        counts.by_class[usize::from(status / 100).clamp(1, 5) - 1] += 1;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        counts.latency[LATENCY_BOUNDS_US.partition_point(|bound| *bound < took_us)] += 1;
        name
    }

    /// Counts octets of an answer's body under the name that [`Tracker::handle_answer`] returned.
    pub fn handle_octets(&mut self, name: &str, octets: u64) {
        if let Some(counts) = self.routes.get_mut(name) {
            counts.octets = counts.octets.saturating_add(octets);
        }
    }

    /// What came since the last call of this; None: nothing did.
    pub fn poll_rollup(&mut self, now: Tick) -> Option<Rollup> {
        let traffic = self.traffic(now);
        let all = (traffic.requests, traffic.server_errors, traffic.octets);
        let before = std::mem::replace(&mut self.written, all);
        (all != before).then(|| Rollup {
            requests: all.0 - before.0,
            server_errors: all.1 - before.1,
            octets: all.2 - before.2,
            routes: traffic.routes,
        })
    }

    /// Requests that the next [`Tracker::poll_rollup`] will hand out, and those of them that were answered by 5xx.
    #[must_use]
    pub fn pending(&self) -> (u64, u64) {
        let errors: u64 = self.routes.values().map(|counts| counts.by_class[4]).sum();
        (self.answered() - self.written.0, errors - self.written.1)
    }

    /// All requests counted so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.routes.values().map(RouteCounts::requests).sum()
    }

    /// Requests in the last minute.
    #[must_use]
    pub fn requests_per_minute(&self, now: Tick) -> f64 {
        f64::from(self.window.sum(now))
    }

    /// Of all routes together.
    fn quantile_ms(&self, percent: u64) -> Option<f64> {
        let mut all = RouteCounts::default();
        for counts in self.routes.values() {
            for (sum, count) in all.by_class.iter_mut().zip(counts.by_class) {
                *sum += count;
            }
            for (sum, count) in all.latency.iter_mut().zip(counts.latency) {
                *sum += count;
            }
        }
        (all.requests() > 0).then(|| all.quantile_ms(percent))
    }

    /// Everything counted so far.
    #[must_use]
    pub fn traffic(&self, now: Tick) -> Traffic {
        let routes: Vec<_> = self
            .routes
            .iter()
            .map(|(route, counts)| RouteTraffic {
                route: route.clone(),
                requests: counts.requests(),
                by_class: counts.by_class,
                octets: counts.octets,
                p50_ms: counts.quantile_ms(50),
                p99_ms: counts.quantile_ms(99),
            })
            .collect();
        Traffic {
            requests: routes.iter().map(|r| r.requests).sum(),
            server_errors: routes.iter().map(|r| r.by_class[4]).sum(),
            octets: routes.iter().map(|r| r.octets).sum(),
            requests_per_minute: self.requests_per_minute(now),
            p95_ms: self.quantile_ms(95),
            routes,
        }
    }
}

impl RouteCounts {
    fn requests(&self) -> u64 {
        self.by_class.iter().sum()
    }

    fn quantile_ms(&self, percent: u64) -> f64 {
        let rank = (self.requests() * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let bound =
                    LATENCY_BOUNDS_US.get(bucket).copied().unwrap_or(LATENCY_BOUNDS_US[LATENCY_BOUNDS_US.len() - 1]);
                #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
                return bound as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// Sixty one-second buckets in a ring, each with the second that it belongs to.
#[derive(Clone, Debug)]
struct Window {
    buckets: [(u64, u32); WINDOW_SECONDS as usize],
}

impl Default for Window {
    fn default() -> Self {
        Self { buckets: [(u64::MAX, 0); WINDOW_SECONDS as usize] }
    }
}

impl Window {
    fn add(&mut self, now: Tick) {
        let second = now.0 / 1_000_000_000;
        let bucket = &mut self.buckets[usize::try_from(second % WINDOW_SECONDS).unwrap_or(0)];
        if bucket.0 != second {
            *bucket = (second, 0);
        }
        bucket.1 = bucket.1.saturating_add(1);
    }

    fn sum(&self, now: Tick) -> u32 {
        let second = now.0 / 1_000_000_000;
        let inside = |of: u64| of <= second && second - of < WINDOW_SECONDS;
        self.buckets.iter().filter(|(of, _)| inside(*of)).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The template that a path is counted under: segments that look like identifiers become `{id}`.
#[must_use]
pub fn template(path: &str) -> String {
    let identifier = |segment: &str| {
        let digits = segment.bytes().all(|b| b.is_ascii_digit());
        let hex = segment.len() >= 16 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        !segment.is_empty() && (digits || hex)
    };
    path.split('/').map(|segment| if identifier(segment) { "{id}" } else { segment }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    #[test]
    fn the_rate_is_of_the_last_sixty_seconds() {
        let mut tracker = Tracker::default();
        for second in 100..220 {
            tracker.handle_answer(at(second), "/", 200, Duration::ZERO);
            tracker.handle_answer(at(second), "/", 200, Duration::ZERO);
        }
        let rate = |second| tracker.requests_per_minute(at(second));
        assert_eq!([rate(219), rate(220), rate(249), rate(278), rate(279)], [120.0, 118.0, 60.0, 2.0, 0.0]);
        assert_eq!(rate(1000), 0.0);
    }

    #[test]
    fn routes_are_bounded_and_scanners_do_not_become_routes() {
        let mut tracker = Tracker::default();
        for n in 0..10_000 {
            tracker.handle_answer(at(1), &format!("/wp-admin/{n}.php"), 404, Duration::ZERO);
            tracker.handle_answer(at(1), &format!("/page-{n}"), 200, Duration::ZERO);
        }
        let traffic = tracker.traffic(at(1));
        assert!(traffic.routes.len() <= APP_ROUTES_MAX + 2);
        assert_eq!(traffic.requests, 20_000);
        let of = |name: &str| traffic.routes.iter().find(|r| r.route == name).unwrap().requests;
        assert_eq!(of(UNMATCHED), 10_000);
        assert!(of(OTHER) > 9_000);
    }

    #[test]
    fn latency_and_classes_are_by_route() {
        let mut tracker = Tracker::default();
        for n in 0..100_u64 {
            tracker.handle_answer(
                at(1),
                "/contacts/{id}",
                200,
                Duration::from_micros(if n < 98 { 900 } else { 100_000 }),
            );
        }
        tracker.handle_answer(at(1), "/contacts", 503, Duration::from_secs(100));
        let traffic = tracker.traffic(at(2));
        assert_eq!(traffic.server_errors, 1);
        assert_eq!((traffic.routes[1].p50_ms, traffic.routes[1].p99_ms), (1.0, 125.0));
        assert_eq!(traffic.routes[0].by_class, [0, 0, 0, 0, 1]);
        assert_eq!(traffic.routes[0].p50_ms, 4000.0);
        assert_eq!((traffic.p95_ms, Tracker::default().traffic(at(2)).p95_ms), (Some(1.0), None));
    }

    #[test]
    fn what_was_written_down_is_not_written_again() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.poll_rollup(at(1)), None);
        for status in [200, 200, 500] {
            let name = tracker.handle_answer(at(1), "/", status, Duration::ZERO).to_owned();
            tracker.handle_octets(&name, 100);
        }
        assert_eq!(tracker.pending(), (3, 1));
        let first = tracker.poll_rollup(at(2)).unwrap();
        assert_eq!(tracker.pending(), (0, 0));
        assert_eq!((first.requests, first.server_errors, first.octets), (3, 1, 300));
        assert_eq!(tracker.poll_rollup(at(3)), None);
        tracker.handle_octets("/", 50);
        tracker.handle_octets("never seen", 50);
        let late = tracker.poll_rollup(at(4)).unwrap();
        assert_eq!((late.requests, late.octets, late.routes[0].octets), (0, 50, 350), "a stream that went on");
    }

    #[test]
    fn ids_become_templates() {
        for (path, expected) in [
            ("/", "/"),
            ("/contacts/17", "/contacts/{id}"),
            ("/api/deals/0f8fad5b-d9cb-469f-a165-70867728950e/notes", "/api/deals/{id}/notes"),
            ("/contacts/new", "/contacts/new"),
        ] {
            assert_eq!(template(path), expected);
        }
    }
}
