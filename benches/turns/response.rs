//! How soon a caller is answered, on the wire. Purpose: one daemon on the embedded engines, two builds running on it all the
//! time (`TURNS_BUILDS` sets another number), one `callwright dial` after the other; response is dial's own: last voiced sample sent → first audible sample received, endpointing included. By stage:
//! the daemon's marks, means. Deliberately absent: loads of many calls (`bench media`).

#[path = "../../tests/rig/mod.rs"]
mod rig;

#[path = "building.rs"]
mod building;

use rig::Daemon;
use serde_json::{Map, Value, json};
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/turns/caller.toml");
/// Builds beside the calls.
const BUILDS: usize = 2;
/// Turns of a caller whom nothing befalls: what the script says.
const SAID: usize = 5;
const STAGES: [&str; 5] = ["endpoint", "asr_final", "think", "tts_first_audio", "playout"];

/// Calls so often, prints, and adds to `out`.
pub(crate) fn run(calls: usize, out: &mut Map<String, Value>) {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("report.json");
    let builds = std::env::var("TURNS_BUILDS").ok().and_then(|n| n.parse().ok()).unwrap_or(BUILDS);
    let (mut responses, mut built) = building::beside(daemon.http, builds, || callers(calls, &daemon, &file));
    let count = responses.len();
    println!("\nresponse on the wire, {count} turns of {calls} calls, {builds} builds beside them");
    for (share, name) in [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")] {
        let ms = super::interruptions::at(&mut responses, share);
        println!("{name:<38} {ms:>9.0} ms");
        out.insert(format!("response_ms_{name}"), json!(ms.round()));
    }
    for stage in STAGES {
        let of = |what: &str| labelled(&daemon, &format!("turn_response_part_seconds_{what}{{part=\"{stage}\"}}"));
        let mean = of("sum") / of("count").max(1.0) * 1000.0;
        println!("  of it {stage:<32} {mean:>9.0} ms on average");
        out.insert(format!("response_{stage}_ms_mean"), json!(mean.round()));
    }
    let took = super::interruptions::at(&mut built.took_s, 0.5);
    println!(
        "{} builds served meanwhile, {took:.1} s each at the median; {} did not",
        built.took_s.len(),
        built.failed
    );
    let missing = (SAID * calls).saturating_sub(count);
    println!("{missing} turns without a response");
    out.insert("responses".into(), json!(count));
    out.insert("responses_missing".into(), json!(missing));
    out.insert("response_builds_at_once".into(), json!(builds));
    out.insert("response_builds_served".into(), json!(built.took_s.len()));
    out.insert("response_builds_failed".into(), json!(built.failed));
}

/// The responses of so many calls, one after the other, ms.
fn callers(calls: usize, daemon: &Daemon, file: &std::path::Path) -> Vec<f64> {
    let mut responses = Vec::new();
    for call in 1..=calls {
        let _ = std::fs::remove_file(file);
        let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
            .args(["dial", &format!("sip:300@{}", daemon.sip), "--script", SCRIPT, "--report"])
            .arg(file)
            .env("CALLWRIGHT_NATIVE", rig::native())
            .output()
            .expect("dial runs");
        // A caller who was misheard and gave up was answered all the same; the report has what there is.
        let Ok(report) = std::fs::read(file) else {
            eprintln!("call {call}: {}", String::from_utf8_lossy(&output.stdout));
            continue;
        };
        let report: Value = serde_json::from_slice(&report).expect("the report is JSON");
        let turns = report["turns"].as_u64().unwrap_or(0);
        let these: Vec<f64> = (1..=turns).filter_map(|n| report[format!("turn_{n}_response_ms")].as_f64()).collect();
        eprintln!("call {call} of {calls}: {these:.0?}");
        if these.len() < SAID {
            // Not answered, or not in time: no response to count, and the figures are told to lack it.
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        }
        responses.extend(these);
    }
    responses
}

/// One line of `/metrics`.
fn labelled(daemon: &Daemon, line: &str) -> f64 {
    let (_, body) = rig::get(daemon.http, "/metrics").expect("/metrics answers");
    let found = body.lines().find_map(|other| other.strip_prefix(line));
    found.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}
