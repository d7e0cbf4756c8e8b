//! The subcommands as a person at a terminal meets them: what they print, and with which code they end.

mod rig;

use std::io::Read;
use std::process::{Command, Output, Stdio};

fn callwright(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callwright"));
    command.args(arguments).env("CALLWRIGHT_NATIVE", rig::native()).env("CALLWRIGHT_OFFLINE", "1");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = callwright(arguments).output().expect("callwright runs");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn doctor_names_every_engine_and_what_holds_the_apps() {
    let (code, shown) = run(&["doctor"]);
    for part in ["speech: vad", "speech: asr", "speech: tts", "real-time threads", "app sandbox", "git"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(shown.contains("Landlock and seccomp"), "{shown}");
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn doctor_says_what_is_missing_and_how_to_get_it() {
    let nowhere = tempfile::tempdir().expect("a temporary directory");
    let output = callwright(&["doctor"]).env("CALLWRIGHT_NATIVE", nowhere.path()).output().expect("callwright runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("missing") && shown.contains("make setup"), "{shown}");
    assert_eq!(output.status.code(), Some(1), "{shown}");
}

#[test]
fn check_prints_the_whole_configuration_or_the_fault_with_its_place() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/callwright.toml");
    let (code, shown) = run(&["check", example]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("is valid") && shown.contains("[sip]"), "{shown}");

    let directory = tempfile::tempdir().expect("a temporary directory");
    let wrong = directory.path().join("wrong.toml");
    std::fs::write(&wrong, "[sip]\nupd = 1\n").expect("the file is written");
    let (code, shown) = run(&["check", wrong.to_str().expect("a plain path")]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("line 2") && shown.contains("upd"), "{shown}");
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/callwright.toml");
    let mut child = callwright(&["check", example])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("callwright starts");
    drop(child.stdout.take());
    let mut complaint = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut complaint).expect("stderr is text");
    child.wait().expect("it ends");
    assert!(!complaint.contains("panicked"), "{complaint}");
}

#[test]
fn a_second_daemon_on_the_same_ports_says_so_and_ends() {
    let daemon = rig::Daemon::start();
    let other = tempfile::tempdir().expect("a temporary directory");
    let output = callwright(&["serve"])
        .env("CALLWRIGHT__SIP__UDP", format!("\"{}\"", daemon.sip))
        .env("CALLWRIGHT__HTTP__LISTEN", "\"127.0.0.1:0\"")
        .env("CALLWRIGHT__DATA__DIR", format!("{:?}", other.path()))
        .output()
        .expect("callwright runs");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains(&daemon.sip.to_string()), "the address is named:\n{shown}");
}
