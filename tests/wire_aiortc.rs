//! aiortc, a WebRTC client that other people wrote, calls the daemon: its offer is answered, its Opus is heard and answered in
//! kind, and both sides count the same call. `make aiortc` installs it (134 MB in target/aiortc) and runs this.

#![expect(clippy::print_stderr, reason = "a skipped test says so, and the figures are for people")]

mod rig;

use rig::{Daemon, eventually};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn aiortc_is_heard_and_hears() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let client = root.join("target/aiortc");
    if !client.join("aiortc").is_dir() {
        eprintln!("skipped: aiortc is not installed here: make aiortc");
        return;
    }
    let daemon = Daemon::start();
    let output = Command::new("python3")
        .arg(root.join("tests/aiortc/call.py"))
        .arg(format!("http://{}/v1/webrtc?to=echo", daemon.http))
        .args(["500", "1100"])
        .env("PYTHONPATH", &client)
        .output()
        .expect("python3 runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(told["codec"], "opus/48000/2", "{told}");
    for tone in ["500", "1100"] {
        assert!(told["shares"][tone].as_f64() > Some(0.9), "{told}");
    }
    let mut record = Value::Null;
    let path = format!("/v1/calls/{}", told["call"].as_str().expect("a call"));
    assert!(
        eventually(LONG, || {
            let (_, body) = rig::get(daemon.http, &path).expect("the API answers");
            record = serde_json::from_str(&body).expect("JSON");
            !record["ended"].is_null()
        }),
        "{record}"
    );
    assert_eq!((record["ended_by"].as_str(), record["app"].as_str()), (Some("caller_hung_up"), Some("echo")));
    assert!(record["media"]["packets_received"].as_u64() > Some(50), "{record}");
    eprintln!("aiortc: {:#}\nours: {:#}", told["stats"], record["media"]);
}
