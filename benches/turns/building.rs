//! Builds that run beside the calls of a bench. Purpose: a box that builds what callers ordered answers the others
//! meanwhile. One builder is one thread: it asks for an app over the API, follows it until it serves, takes it away, and asks
//! for the next. Deliberately absent: whether the apps are any good (`make browser`).

use super::rig::request;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What became of the builds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Built {
    /// From asking to serving, seconds, of each that served.
    pub(crate) took_s: Vec<f64>,
    /// Parked or failed.
    pub(crate) failed: usize,
}

/// Longer than any build: then it counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `work` while so many builds run without a pause on the daemon at `http`; what it returns, and what was built.
pub(crate) fn beside<R>(http: SocketAddr, builds: usize, work: impl FnOnce() -> R) -> (R, Built) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let lanes: Vec<_> = (0..builds).map(|lane| scope.spawn(move || keep_building(http, lane, over))).collect();
        let result = work();
        over.store(true, Ordering::Release);
        let mut all = Built::default();
        for lane in lanes {
            let built = lane.join().expect("no builder panicked");
            all.took_s.extend(built.took_s);
            all.failed += built.failed;
        }
        (result, all)
    })
}

fn keep_building(http: SocketAddr, lane: usize, over: &AtomicBool) -> Built {
    let mut built = Built::default();
    for n in 0.. {
        if over.load(Ordering::Acquire) {
            break;
        }
        let manifest = format!(
            r#"{{"build_type": "build_crm", "title": "Beside {lane} {n}", "features": ["contacts", "companies", "deals"]}}"#
        );
        let asked = Instant::now();
        let answer = request(http, "POST", "/v1/builds", "application/json", &manifest);
        let Ok((202, body)) = answer else {
            // The queue is full: callers build, too.
            std::thread::sleep(Duration::from_millis(300));
            continue;
        };
        let id = field(&body, "id");
        let stage = loop {
            std::thread::sleep(Duration::from_millis(100));
            let (_, body) = request(http, "GET", &format!("/v1/builds/{id}"), "text/plain", "").unwrap_or_default();
            let stage =
                serde_json::from_str::<Value>(&body).map_or_else(|_| String::new(), |b| field_of(&b["build"], "stage"));
            if matches!(stage.as_str(), "live" | "tracked" | "parked" | "failed") || asked.elapsed() > PATIENCE {
                break stage;
            }
        };
        if matches!(stage.as_str(), "live" | "tracked") {
            built.took_s.push(asked.elapsed().as_secs_f64());
        } else {
            built.failed += 1;
        }
        let _ = request(http, "DELETE", &format!("/v1/apps/{}", field(&body, "slug")), "text/plain", "");
    }
    built
}

fn field(body: &str, name: &str) -> String {
    serde_json::from_str::<Value>(body).map_or_else(|_| String::new(), |document| field_of(&document, name))
}

fn field_of(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_default().to_owned()
}
