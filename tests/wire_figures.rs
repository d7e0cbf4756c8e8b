//! The daemon's own latency marks against what the caller's phone saw on the wire: they may differ by 20 ms.

mod rig;

use rig::{Daemon, eventually};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const TOLERANCE_MS: f64 = 20.0;

fn seconds(daemon: &Daemon, name: &str) -> (f64, f64) {
    (daemon.metric(&format!("{name}_sum")) * 1e3, daemon.metric(&format!("{name}_count")))
}

#[test]
fn the_marks_agree_with_the_wire_and_speech_reads_every_packet() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = directory.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args([
            "dial",
            &format!("sip:300@{}", daemon.sip),
            "--script",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/talk.toml"),
            "--report",
        ])
        .arg(&report)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .output()
        .expect("dial runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    let report: Value = std::fs::read(&report)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_else(|| panic!("no report:\n{shown}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success(), "{shown}\n{report:#}");
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report:#}"));

    // The caller's own turns, without those that overlapped the agent: both sides skip these.
    let wire: Vec<f64> =
        (1..=number("turns") as usize).filter_map(|n| report[format!("turn_{n}_response_ms")].as_f64()).collect();
    assert!(wire.len() >= 3, "{report:#}");
    let (sum, count) = seconds(&daemon, "turn_response_seconds");
    assert_eq!(count as usize, wire.len(), "turns answered: wire {wire:?}\n{}", daemon.log());
    let mean = wire.iter().sum::<f64>() / wire.len() as f64;
    assert!((sum / count - mean).abs() <= TOLERANCE_MS, "response: marks {:.1} ms, wire {mean:.1} ms", sum / count);

    let (greeting, greetings) = seconds(&daemon, "greeting_seconds");
    assert!(greetings == 1.0 && (greeting - number("greeting_ms")).abs() <= TOLERANCE_MS, "greeting {greeting:.1} ms");

    // Not `stop`, the beginning of the first long silence: on a slow machine the agent may duck, go on and then stop.
    assert!(report["turn_2_stop_ms"].is_number(), "the interruption stopped it: {report:#}");
    let stop = report["turn_2_heard_over_ms"].as_f64().unwrap_or(0.0);
    let (ducked, ducks) = seconds(&daemon, "barge_in_duck_seconds");
    let (stopped, stops) = seconds(&daemon, "barge_in_stop_seconds");
    assert!(
        stops >= 1.0 && ducks >= 1.0 && (stopped / stops - stop).abs() <= TOLERANCE_MS,
        "fell silent {ducked:.1} ms ({ducks}), last heard {stopped:.1} ms ({stops}), wire {stop:.1} ms"
    );

    let frames = || {
        let read = daemon.metric("speech_frames_total{kind=\"read\"}");
        let fed = daemon.metric("speech_frames_total{kind=\"silence\"}");
        (read - fed, daemon.metric("rtp_packets_total{kind=\"received\"}"))
    };
    assert!(
        eventually(Duration::from_secs(10), || {
            let (read, received) = frames();
            received > 500.0 && (read - received).abs() < 0.5
        }),
        "frames read by speech and packets received: {:?}",
        frames()
    );
}
