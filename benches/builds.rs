//! From approval to live: `cargo bench --bench builds [-- builds]` (`make bench-builds`: 20).
//!
//! A daemon of the release binary, on the defaults, is asked over HTTP for apps of all five types in turn, two at a time: as soon
//! as one is live the next is asked for. Taken: from the request (an approval by API) to the first look that finds the build live,
//! a look every 10 ms. Prints a table by type and writes `target/bench/builds.json` (flat: metric → number). Fails when a build
//! does, or when p95 is over ten seconds.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod apps;

use apps::{Client, Daemon, percentile, write_json};
use std::collections::BTreeMap;
use std::io::{self, Error};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Builds at once.
const AT_ONCE: usize = 2;
/// From approval to live.
const P95_MAX_S: f64 = 10.0;
const TYPES: [(&str, &[&str]); 5] = [
    ("build_crm", &["contacts", "deals", "tasks", "notes"]),
    ("build_website", &["blog", "contact form", "bookings"]),
    ("build_ecommerce", &["catalogue", "checkout", "stock"]),
    ("build_api", &["items", "api keys"]),
    ("build_dashboard", &["charts"]),
];

fn main() -> io::Result<()> {
    // `cargo bench` passes --bench.
    let builds: usize = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(20).clamp(5, 50);
    let daemon = Daemon::start()?;
    let (next, took) = (AtomicUsize::new(0), Mutex::new(Vec::<(usize, f64)>::new()));
    let begun = Instant::now();
    let one_after_another = || -> io::Result<()> {
        let mut client = Client::new(daemon.http);
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= builds {
                return Ok(());
            }
            let (build_type, features) = TYPES[n % TYPES.len()];
            let asked = Instant::now();
            let id = daemon.build(build_type, &format!("App {n}"), features)?;
            let live = loop {
                match daemon.stage(&mut client, &id)?.0.as_str() {
                    "live" | "tracked" => break asked.elapsed().as_secs_f64(),
                    _ if asked.elapsed() > Duration::from_secs(120) => {
                        return Err(Error::other(format!("build {id} is not live after two minutes")));
                    }
                    _ => std::thread::sleep(Duration::from_millis(10)),
                }
            };
            // Nothing that holds it panics.
            took.lock().map_err(|e| Error::other(e.to_string()))?.push((n % TYPES.len(), live));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one_after_another)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| Err(Error::other("a worker panicked"))))
    })?;
    let whole = begun.elapsed().as_secs_f64();
    let took = took.into_inner().map_err(|e| Error::other(e.to_string()))?;
    println!("{builds} builds, {AT_ONCE} at once, {whole:.1} s; approval to live, seconds");
    println!("{:<18} {:>6} {:>8} {:>8} {:>8}", "", "builds", "p50", "p95", "max");
    let mut json = BTreeMap::from([
        ("builds".to_owned(), builds as f64),
        ("at_once".to_owned(), AT_ONCE as f64),
        ("whole_s".to_owned(), whole),
    ]);
    let mut row = |name: &str, mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        let (p50, p95, max) = (percentile(&of, 0.5), percentile(&of, 0.95), percentile(&of, 1.0));
        println!("{name:<18} {:>6} {p50:>8.2} {p95:>8.2} {max:>8.2}", of.len());
        for (what, value) in [("p50", p50), ("p95", p95), ("max", max)] {
            json.insert(format!("{name}_{what}_s"), value);
        }
        p95
    };
    for (index, (name, _)) in TYPES.iter().enumerate() {
        row(name, took.iter().filter(|(of, _)| *of == index).map(|(_, s)| *s).collect());
    }
    let p95 = row("all", took.iter().map(|(_, s)| *s).collect());
    write_json("builds", &json)?;
    if p95 < P95_MAX_S { Ok(()) } else { Err(Error::other(format!("p95 is {p95:.2} s, over {P95_MAX_S} s"))) }
}
