//! How the agent talks, measured by a caller on the wire: `cargo bench --bench talk [-- calls [builds]]`.
//!
//! So many builds (none, unless asked for) run on the daemon meanwhile.
//! One daemon on the embedded engines; one `callwright dial` after the other follows `tests/fixtures/talk.toml`: it waits
//! for the greeting, orders, interrupts the read-back, hesitates and asks. Every figure comes from dial's capture: greeting
//! (ACK → first audible sample), response (last voiced sample sent → first audible sample received), stop (onset of an
//! interruption → last audible sample received), lateness of the agent's packets against the 20 ms grid. How long the daemon takes
//! to route audio is its own word (`media_route_seconds`, the upper bound of the bucket): a packet from the kernel's receive stamp to
//! the ears, a due frame to its send.
//! Prints a table and writes `target/bench/talk.json` (flat: metric → number).

#![allow(clippy::print_stdout, reason = "a bench prints")]

#[path = "turns/building.rs"]
mod building;
#[path = "../tests/rig/mod.rs"]
mod rig;

use rig::Daemon;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/talk.toml");

#[derive(Default)]
struct Figures {
    greeting: Vec<f64>,
    response: Vec<f64>,
    stop: Vec<f64>,
    late_p99: Vec<f64>,
    lost: f64,
    packets: f64,
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let calls = numbers.next().unwrap_or(12).clamp(1, 500);
    let builds = numbers.next().unwrap_or(0).min(4);
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut figures = Figures::default();
    let file = directory.path().join("report.json");
    let ((), built) = building::beside(daemon.http, builds, || {
        for n in 1..=calls {
            let report = call(&daemon, &file);
            take(&mut figures, &report);
            println!(
                "call {n:>3} of {calls}: greeting {:>5.0} ms, responses {}",
                report["greeting_ms"].as_f64().unwrap_or(f64::NAN),
                turns(&report, "response_ms").iter().map(|ms| format!("{ms:.0}")).collect::<Vec<_>>().join(" ")
            );
        }
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut out = Map::new();
    let busy = load.split(' ').next().unwrap_or("unknown");
    let (served, failed) = (built.took_s.len(), built.failed);
    println!(
        "\n{calls} calls, {builds} builds beside them ({served} served, {failed} did not), load average at the end {busy}"
    );
    println!("{:<34} {:>6} {:>8} {:>8} {:>8} {:>8}", "ms", "n", "p50", "p95", "p99", "max");
    row(&mut out, "greeting", "ACK to first greeting sound", &mut figures.greeting);
    row(&mut out, "response", "last caller sound to first answer", &mut figures.response);
    row(&mut out, "stop", "interruption to agent silent", &mut figures.stop);
    row(&mut out, "late_p99", "p99 packet lateness of each call", &mut figures.late_p99);
    let (_, metrics) = rig::get(daemon.http, "/metrics").expect("/metrics answers");
    for (path, name) in [("ingress", "audio routed in, at most"), ("egress", "audio routed out, at most")] {
        let buckets = buckets(&metrics, path);
        let [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1.0].map(|share| within(&buckets, share));
        let count = buckets.last().map_or(0.0, |(_, count)| *count);
        println!("{name:<34} {count:>6} {p50:>8.2} {p95:>8.2} {p99:>8.2} {max:>8.2}");
        for (quantile, ms) in [("p50", p50), ("p95", p95), ("p99", p99), ("max", max)] {
            out.insert(format!("route_{path}_ms_{quantile}"), json!(ms));
        }
        out.insert(format!("route_{path}_count"), json!(count));
    }
    println!("packets lost {} of {}", figures.lost, figures.packets);
    out.insert("calls".to_owned(), json!(calls));
    out.insert("builds_at_once".to_owned(), json!(builds));
    out.insert("builds_served".to_owned(), json!(served));
    out.insert("packets".to_owned(), json!(figures.packets));
    out.insert("packets_lost".to_owned(), json!(figures.lost));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&target).expect("target/bench");
    let file = target.join("talk.json");
    std::fs::write(&file, format!("{:#}\n", Value::Object(out))).expect("talk.json is written");
    println!("written to target/bench/talk.json");
}

fn call(daemon: &Daemon, report: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["dial", &format!("sip:300@{}", daemon.sip), "--script", SCRIPT, "--report"])
        .arg(report)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .output()
        .expect("dial runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("the report is JSON")
}

/// `turn_N_<what>` of every turn that has it.
fn turns(report: &Value, what: &str) -> Vec<f64> {
    let count = report["turns"].as_u64().unwrap_or(0);
    (1..=count).filter_map(|n| report[format!("turn_{n}_{what}")].as_f64()).collect()
}

fn take(figures: &mut Figures, report: &Value) {
    let number = |key: &str| report[key].as_f64();
    figures.greeting.extend(number("greeting_ms"));
    figures.response.extend(turns(report, "response_ms"));
    figures.stop.extend(turns(report, "stop_ms"));
    figures.late_p99.extend(number("lateness_ms_p99"));
    figures.lost += number("packets_lost").unwrap_or(0.0);
    figures.packets += number("packets_received").unwrap_or(0.0);
}

/// Buckets of `media_route_seconds`: upper bound in ms, how many are within it.
fn buckets(metrics: &str, path: &str) -> Vec<(f64, f64)> {
    let begins = format!("media_route_seconds_bucket{{path=\"{path}\",le=\"");
    let of = |line: &str| -> Option<(f64, f64)> {
        let (bound, count) = line.strip_prefix(&begins)?.split_once("\"} ")?;
        Some((bound.replace("+Inf", "inf").parse::<f64>().ok()? * 1000.0, count.trim().parse().ok()?))
    };
    metrics.lines().filter_map(of).collect()
}

/// The bound within which this share is.
fn within(buckets: &[(f64, f64)], share: f64) -> f64 {
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.iter().find(|(_, count)| *count >= share * all).map_or(f64::NAN, |(bound, _)| *bound)
}

fn row(out: &mut Map<String, Value>, key: &str, name: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = values.len().saturating_sub(1);
        values.get((last as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
    };
    let (p50, p95, p99, max) = (at(0.5), at(0.95), at(0.99), at(1.0));
    println!("{name:<34} {:>6} {p50:>8.1} {p95:>8.1} {p99:>8.1} {max:>8.1}", values.len());
    for (quantile, value) in [("p50", p50), ("p95", p95), ("p99", p99), ("max", max)] {
        out.insert(format!("{key}_ms_{quantile}"), json!((value * 10.0).round() / 10.0));
    }
    out.insert(format!("{key}_count"), json!(values.len()));
}
