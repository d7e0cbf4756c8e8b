//! How an agent treats its callers, on the wire: consent before a recording, silence, and what the record says of a sentence
//! that was not heard to its end. A real daemon, and `callwright dial` as the caller.

mod rig;

use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls `number` and does what the steps say; returns what the phone showed.
fn dial(daemon: &Daemon, directory: &Path, number: &str, steps: &str) -> String {
    let script = directory.join("script.toml");
    std::fs::write(&script, steps).expect("the script is written");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["dial", &format!("sip:{number}@{}", daemon.sip), "--script"])
        .arg(&script)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .output()
        .expect("dial runs");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The newest call, once it is over, and its conversation.
fn newest(daemon: &Daemon) -> (Value, Value) {
    let mut call = Value::Null;
    let over = eventually(PATIENCE, || {
        let calls = json_of(daemon, "/v1/calls");
        call = calls["items"].get(0).cloned().unwrap_or_default();
        calls["live"].as_array().is_some_and(Vec::is_empty) && call["ended_by"].is_string()
    });
    assert!(over, "{call:#}\n{}", daemon.log());
    let conversation = call["conversation_id"].as_str().unwrap_or_default();
    let said = json_of(daemon, &format!("/v1/conversations/{conversation}"));
    (call, said)
}

#[test]
fn only_who_agrees_is_recorded_and_only_the_agent_that_asks_asks() {
    let daemon = Daemon::start_with(
        "[recording]\nenabled = true\n\
         [[routes]]\nmatch = \"400\"\napp = \"agent:asks\"\nrecord = true\n\
         [[routes]]\nmatch = \"500\"\napp = \"agent:tells\"\nrecord = true\n\
         [[agents]]\nname = \"asks\"\nconsent = \"ask\"\nconsent_text = \"May I record this?\"\n\
         [[agents]]\nname = \"tells\"\nconsent = \"announce\"\n",
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, key, asked, recorded) in [
        ("400", "1", "May I record this?", true),
        ("400", "2", "May I record this?", false),
        ("500", "9", "This call is recorded.", true),
    ] {
        let steps = format!(
            "[[step]]\nexpect = []\ntimeout = 15\n[[step]]\npress = \"{key}\"\n[[step]]\nexpect = []\ntimeout = 15\n\
             [[step]]\nhang_up = true\n"
        );
        let shown = dial(&daemon, directory.path(), number, &steps);
        let (call, said) = newest(&daemon);
        assert!(said.to_string().contains(asked), "{number} {key}: {said:#}\n{shown}");
        let line = format!("recorded call={}", call["id"].as_str().expect("an id"));
        let found =
            eventually(if recorded { PATIENCE } else { Duration::from_secs(1) }, || daemon.log().contains(&line));
        assert_eq!(found, recorded, "{number} {key}: {call:#}\n{shown}\n{}", daemon.log());
    }
}

#[test]
fn who_says_nothing_is_asked_as_often_as_configured_and_the_line_is_given_up() {
    let daemon = Daemon::start_with("[[agents]]\nname = \"grace\"\nidle_s = 3\nidle_prompts = 1\n");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shown = dial(&daemon, directory.path(), "300", "[[step]]\nwait = 60.0\n[[step]]\nhang_up = true\n");
    let (call, said) = newest(&daemon);
    assert_eq!(call["ended_by"], "agent_hung_up", "{call:#}\n{shown}");
    let said = said.to_string();
    assert_eq!(said.matches("Are you still there?").count(), 1, "{said}");
    assert!(said.contains("Goodbye."), "{said}");
}

#[test]
fn the_record_of_an_interrupted_sentence_ends_where_the_caller_began() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let steps = "voice = \"rms\"\n[[step]]\nexpect = []\ntimeout = 15\n\
         [[step]]\nsay = \"Build me a C R M with contacts and deals.\"\n\
         [[step]]\nsay = \"Wait, wait, put the notes in as well.\"\ninterrupt_after = 2.0\n\
         [[step]]\nexpect = []\ntimeout = 15\n[[step]]\nhang_up = true\n";
    let shown = dial(&daemon, directory.path(), "300", steps);
    let (_, said) = newest(&daemon);
    let turns = said["turns"].as_array().cloned().unwrap_or_default();
    let cut = turns.iter().find(|turn| {
        turn["text"].as_str().is_some_and(|text| text.starts_with("Here is what I have.")) && turn["heard"].is_string()
    });
    let cut = cut.unwrap_or_else(|| panic!("{said:#}\n{shown}\n{}", daemon.log()));
    let (text, heard) = (cut["text"].as_str().expect("text"), cut["heard"].as_str().expect("heard"));
    let words = |of: &str| of.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (text, heard) = (words(text), words(heard));
    assert!(text.starts_with(&heard) && (2..text.len()).contains(&heard.len()), "{heard:?} of {text:?}");
    assert!(!heard.iter().any(|word| word.starts_with("build")), "the question came later: {heard:?}");
}
