//! The log as operators see it, in a process of its own.

use std::io::Write;
use std::process::Command;

/// The other half of the tests below.
#[test]
fn process_that_logs() {
    if std::env::var_os("LOG_TEST").is_none() {
        return;
    }
    let started = callwright::telemetry::log::start();
    if let Err(words) = started {
        writeln!(std::io::stderr(), "refused: {words}").unwrap();
        return;
    }
    tracing::info!(call = "call_1", "a call was answered");
    tracing::debug!("a detail");
}

fn logged(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process_that_logs", "--nocapture"]).env("LOG_TEST", "1");
    command.env_remove("CALLWRIGHT_LOG").env_remove("CALLWRIGHT_LOG_LEVEL").envs(variables.iter().copied());
    String::from_utf8(command.output().unwrap().stderr).unwrap()
}

#[test]
fn lines_for_people_without_colour_when_piped() {
    let log = logged(&[]);
    assert!(log.contains("INFO a call was answered") && log.contains("call=\"call_1\""), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains("a detail"), "{log}");
    assert!(logged(&[("CALLWRIGHT_LOG_LEVEL", "debug")]).contains("a detail"));
}

#[test]
fn json_for_machines() {
    let log = logged(&[("CALLWRIGHT_LOG", "json")]);
    let line = log.lines().find(|line| line.starts_with('{')).unwrap();
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((entry["level"].as_str(), entry["call"].as_str()), (Some("INFO"), Some("call_1")));
}

#[test]
fn a_wrong_filter_is_refused_with_advice() {
    let log = logged(&[("CALLWRIGHT_LOG_LEVEL", "loud=much")]);
    assert!(log.contains("refused: CALLWRIGHT_LOG_LEVEL=loud=much") && log.contains("try info"), "{log}");
}
