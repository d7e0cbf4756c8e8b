//! A question in the middle of a build, over real sockets with a real caller: a shop whose order names no currency. Asked on the line,
//! the answer is its next version.

mod rig;

use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the agent may say besides what is expected, so that the caller's ear has a choice.
const PHRASES: &str = include_str!("phone_types/shop.toml");

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The order, its read-back and its yes, and what follows.
fn script(steps: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let (phrases, _) = PHRASES.split_once("[[step]]").expect("a head and steps");
    let mut text = phrases.replace(
        "phrases = [",
        "phrases = [\"should the line drop shall i call you when it is live\", \"all right euros\", \"i am changing it now\", \
         \"i will call you when it is live\", \"your build goes on shall i call you when it is live\", \"all right pounds\",",
    );
    let order = [
        "label = \"greeting\"\nexpect = [\"what shall i build for you\"]\ntimeout = 60",
        "label = \"order\"\nsay = \"Good afternoon, I'd like you to set up an online shop for our candles.\"",
        "label = \"read-back\"\nexpect = [\"shop\", \"shall i build it\"]\ntimeout = 60",
        "label = \"approval\"\nsay = \"Yes.\"",
    ];
    for step in order.iter().chain(steps) {
        write!(text, "\n[[step]]\n{step}\n").expect("a text grows");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("caller.toml");
    std::fs::write(&path, text).expect("a script");
    (dir, path)
}

/// One scripted call to its end.
#[track_caller]
fn call(daemon: &Daemon, from: &str, steps: &[&str]) {
    let (_dir, script) = script(steps);
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .arg("dial")
        .arg(format!("sip:300@{}", daemon.sip))
        .args(["--from", &format!("<sip:{from}@127.0.0.1>"), "--script"])
        .arg(script)
        .output()
        .expect("the binary starts");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{}", daemon.log());
}

/// The builds of the shop, the oldest first.
fn builds(daemon: &Daemon) -> Vec<Value> {
    let mut builds = json_of(daemon, "/v1/builds")["items"].as_array().cloned().unwrap_or_default();
    builds.sort_by_key(|build| build["number"].as_u64());
    builds
}

/// Waits until there are so many builds and all of them serve; returns them.
#[track_caller]
fn tracked(daemon: &Daemon, count: usize) -> Vec<Value> {
    let stands = eventually(PATIENCE, || {
        let builds = builds(daemon);
        builds.len() == count && builds.iter().all(|build| build["stage"] == "tracked")
    });
    assert!(stands, "not {count} builds that serve: {:?}\n{}", builds(daemon), daemon.log());
    builds(daemon)
}

fn question(daemon: &Daemon, build: &Value) -> Value {
    json_of(daemon, &format!("/v1/builds/{}", build["id"].as_str().unwrap_or_default()))["questions"][0].clone()
}

/// What the shop's prices are in, as its visitors see it.
fn currency(daemon: &Daemon) -> Value {
    let shop = json_of(daemon, "/v1/builds")["items"][0].clone();
    json_of(daemon, &format!("/v1/builds/{}", shop["id"].as_str().unwrap_or_default()))["spec"]["currency"].clone()
}

#[test]
fn a_question_on_the_line_is_answered_and_the_answer_is_the_next_version() {
    let daemon = Daemon::start();
    call(
        &daemon,
        "candles",
        &[
            "label = \"live\"\nexpect = [\"is live\", \"one question\", \"currency\"]\ntimeout = 120",
            "label = \"answer\"\nsay = \"Euros, please.\"",
            "label = \"taken\"\nexpect = [\"euros\", \"changing it now\"]\ntimeout = 60",
            "label = \"live again\"\nexpect = [\"is live\"]\ntimeout = 120",
            "label = \"thanks\"\nsay = \"Thank you, goodbye.\"",
            "hang_up = true",
        ],
    );
    let builds = tracked(&daemon, 2);
    let asked = question(&daemon, &builds[0]);
    assert_eq!(
        (&asked["state"], &asked["answer"], &asked["answered_by"]),
        (&"answered".into(), &"EUR".into(), &"voice".into()),
        "{asked}"
    );
    assert_eq!(asked["follow_up"], builds[1]["id"], "{asked}");
    assert!(question(&daemon, &builds[1]).is_null(), "it is asked once");
    assert_eq!(builds[0]["slug"], builds[1]["slug"], "the same shop");
    assert_eq!(currency(&daemon), "EUR");
}
