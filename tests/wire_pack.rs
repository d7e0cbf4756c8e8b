//! The path of a pack, whole: an archive on disk → `models install` → `models verify` → a daemon whose agent hears with it →
//! a call over SIP and RTP → the caller's words in the stored conversation. With the double, so nothing is fetched.

mod rig;

use callwright_models::Assets;
use callwright_models::double;
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const REQUEST: &str = "please build me a crm with contacts and deals";
const ANSWER: &str = "no thank you";

/// The engines of the environment, else of this tree.
fn native() -> PathBuf {
    std::env::var_os("CALLWRIGHT_NATIVE").map_or_else(rig::native, PathBuf::from)
}

fn callwright(place: &Path, arguments: &[&str]) -> String {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(arguments)
        .current_dir(place)
        .env("CALLWRIGHT_NATIVE", native())
        .output()
        .expect("callwright runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "callwright {arguments:?}:\n{said}");
    said
}

fn write_wav(file: &Path, samples: &[i16]) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(file, spec).expect("a file");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("a sample"));
    writer.finalize().expect("a whole file");
}

fn json(daemon: &Daemon, path: &str) -> Value {
    let (status, body) = get(daemon.http, path).expect("the daemon answers");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// What the caller of the only call was understood to have said.
fn heard(daemon: &Daemon) -> Vec<String> {
    let calls = json(daemon, "/v1/calls");
    let Some(conversation) = calls["items"][0]["conversation_id"].as_str() else { return Vec::new() };
    let conversation = json(daemon, &format!("/v1/conversations/{conversation}"));
    let turns = conversation["turns"].as_array().expect("turns");
    let caller = turns.iter().filter(|turn| turn["who"] == "caller");
    caller.map(|turn| turn["heard"].as_str().or(turn["text"].as_str()).unwrap_or_default().to_owned()).collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_caller_is_understood_through_a_pack_that_came_as_a_file() {
    if !native().join("lib/libsherpa-onnx-c-api.so").is_file() {
        eprintln!("skipped: sherpa-onnx is not installed: make setup");
        return;
    }
    let assets = Assets::at(native());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().to_path_buf();
    double::write_archive(&assets, &place.join("double.tar.bz2")).expect("the double");

    callwright(&place, &["models", "install", "--from-file", "double.tar.bz2"]);
    let said = callwright(&place, &["models", "verify", double::NAME]);
    assert!(said.contains(double::NAME), "{said}");

    for (file, sentence) in [("request.wav", REQUEST), ("answer.wav", ANSWER)] {
        write_wav(&place.join(file), &double::say(&assets, sentence).expect("a voice"));
    }
    let script = "[[step]]\nexpect = []\n[[step]]\nplay = \"request.wav\"\n[[step]]\nexpect = []\n\
                  [[step]]\nplay = \"answer.wav\"\n[[step]]\nexpect = []\n[[step]]\nhang_up = true\n";
    std::fs::write(place.join("call.toml"), script).expect("a file");

    let asr = format!("[speech]\nasr = \"{}\"\n", double::NAME);
    let daemon = Daemon::start_at(directory, 8, &asr, &native());
    let (_, health) = get(daemon.http, "/health").expect("the daemon answers");
    assert!(health.contains(double::NAME), "{health}");
    callwright(&place, &["dial", &format!("sip:grace@{}", daemon.sip), "--script", "call.toml", "--duration", "60"]);
    let wanted = [REQUEST, ANSWER];
    eventually(Duration::from_secs(5), || heard(&daemon).len() >= wanted.len());
    assert_eq!(heard(&daemon), wanted, "{}", daemon.log());
}
