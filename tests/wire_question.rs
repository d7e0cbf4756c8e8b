//! A question in the middle of a build, over real sockets with a real caller: a shop whose order names no currency. Asked on the line,
//! the answer is its next version; a caller who has hung up is called, asked and answers by key; where nobody answers, its default
//! holds and the question stays, for whoever answers later.

mod rig;

use callwright::rtp::Codec;
use rig::ua::Ua;
use rig::{Daemon, eventually, get, request};
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

#[tokio::test(flavor = "multi_thread")]
async fn who_has_hung_up_is_called_and_answers_and_without_an_answer_the_default_holds() {
    let mut phone = Ua::new(&[Codec::Pcmu]);
    let agent = format!(
        "[[agents]]\nname = \"grace\"\n[agents.return_call]\nwhen = \"ask\"\nby = \"sip:{{number}}@{}\"\nringing_s = 120",
        phone.address()
    );
    let daemon = Daemon::start_with(&agent);
    let leaves = [
        "label = \"offer\"\nexpect = [\"shall i call you\"]\ntimeout = 60",
        "label = \"consent\"\nsay = \"Yes, please.\"",
        "label = \"promise\"\nexpect = [\"i will call you\"]\ntimeout = 60",
        "hang_up = true",
    ];
    let daemon = tokio::task::spawn_blocking(move || {
        call(&daemon, "493012345", &leaves);
        daemon
    });
    let daemon = daemon.await.expect("the caller hangs up");
    // Called when it is live: the news, then the question.
    phone.ringing().await;
    let first = builds(&daemon)[0].clone();
    let open = question(&daemon, &first);
    assert_eq!(
        (&open["state"], &open["default"]),
        (&"open".into(), &"USD".into()),
        "it has gone live by its default: {open}"
    );
    phone.accept().await;
    let return_call = || json_of(&daemon, "/v1/return_calls")["items"][0].clone();
    let said = || {
        let call = json_of(&daemon, &format!("/v1/calls/{}", return_call()["call_id"].as_str().unwrap_or_default()));
        json_of(&daemon, &format!("/v1/conversations/{}", call["conversation_id"].as_str().unwrap_or_default()))
            .to_string()
    };
    for _ in 0..PATIENCE.as_secs() {
        phone.talk(0.0, 1_000, None).await;
        if said().contains("Which currency are your prices in?") {
            break;
        }
    }
    assert!(said().contains("You asked me to call you back."), "{}\n{}", said(), daemon.log());
    let key = open["choices"].as_array().and_then(|all| all.iter().position(|choice| choice["value"] == "EUR"));
    // Keys go from 1 on.
    let key = u8::try_from(key.expect("euros are a choice") + 1).expect("a key");
    for _ in 0..PATIENCE.as_secs() {
        phone.talk(0.0, 1_000, Some(key)).await;
        if question(&daemon, &first)["state"] == "answered" {
            break;
        }
    }
    let answered = question(&daemon, &first);
    assert_eq!(
        (&answered["answer"], &answered["answered_by"]),
        (&"EUR".into(), &"voice".into()),
        "{answered}\n{}",
        daemon.log()
    );
    phone.hang_up().await;
    tracked(&daemon, 2);
    assert_eq!(currency(&daemon), "EUR");
    assert_eq!(return_call()["state"], "told", "one call, and it was enough");

    // A daemon of its own, whose caller never answers: not on the line, and nobody is to be called.
    let daemon = Daemon::start();
    let daemon = tokio::task::spawn_blocking(move || {
        call(&daemon, "candles", &["label = \"begun\"\nexpect = [\"i'm on it\"]\ntimeout = 60", "hang_up = true"]);
        daemon
    });
    let daemon = daemon.await.expect("the caller hangs up");
    let builds = tracked(&daemon, 1);
    assert_eq!(currency(&daemon), "USD");
    assert_eq!(question(&daemon, &builds[0])["state"], "open", "it can be answered later");
    let answers = format!("/v1/builds/{}/answers", builds[0]["id"].as_str().unwrap_or_default());
    let (status, said) =
        request(daemon.http, "POST", &answers, "application/json", "{\"question\": \"currency\", \"answer\": \"GBP\"}")
            .expect("it answers");
    assert!((200..300).contains(&status), "{status} {said}");
    tracked(&daemon, 2);
    assert_eq!(currency(&daemon), "GBP");
}
