//! Turn-taking on the wire: a real daemon, a real call, and what the caller's phone hears.

mod rig;

use rig::Daemon;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Samples of the fade with which the agent falls silent and goes on: 5 ms.
const FADE: usize = 40;

/// Calls the agent with these arguments; returns what was shown and the report.
fn dial(daemon: &Daemon, directory: &Path, arguments: &[&str]) -> (String, Value) {
    let report = directory.join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["dial", &format!("sip:300@{}", daemon.sip), "--report"])
        .arg(&report)
        .args(arguments)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .output()
        .expect("dial runs");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read(&report).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let report = report.unwrap_or_else(|| panic!("no report:\n{shown}\n{}", daemon.log()));
    (shown, report)
}

/// The greeting as the phone heard it while its caller did this.
fn greeting(daemon: &Daemon, directory: &Path, step: &str) -> (Vec<i16>, Value) {
    let (script, wav) = (directory.join("script.toml"), directory.join("heard.wav"));
    let steps = format!("{step}\n[[step]]\nwait = 6.0\n[[step]]\nhang_up = true\n");
    std::fs::write(&script, steps).expect("the script is written");
    let paths = [&script, &wav].map(|path| path.to_str().expect("a path"));
    let (_, report) = dial(daemon, directory, &["--script", paths[0], "--record", paths[1]]);
    let samples = hound::WavReader::open(&wav).expect("the recording").into_samples::<i16>();
    let heard: Vec<i16> = samples.skip(1).step_by(2).map(|sample| sample.expect("a sample")).collect();
    // Silence is sent as zeros, so the utterance's own first and last samples are found to the sample.
    let first = heard.iter().position(|sample| *sample != 0).expect("the greeting");
    let last = heard.iter().rposition(|sample| *sample != 0).expect("the greeting");
    (heard[first..=last].to_vec(), report)
}

#[test]
fn after_an_aside_every_sample_of_the_sentence_is_heard_once() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (whole, _) = greeting(&daemon, directory.path(), "");
    for (what, pauses) in [("sound = \"cough\"", false)] {
        let step = format!("[[step]]\n{what}\ninterrupt_after = 0.7\nagent = \"goes_on\"");
        let (heard, report) = greeting(&daemon, directory.path(), &step);
        assert_eq!(report["turn_1_reacted_well"], true, "{what}: {report:#}");
        let same = whole.iter().zip(&heard).take_while(|(a, b)| a == b).count();
        if same == whole.len() && !pauses {
            continue; // it was not even taken for a voice
        }
        // It fades, is silent, and goes on where it began to fade.
        let rest = &whole[same + FADE..];
        assert!(heard.ends_with(rest), "{what}: of {} samples {} are not heard again", whole.len(), rest.len());
        let pause = heard.len() - whole.len();
        assert!((160..8000).contains(&pause), "{what}: silent for {} ms", pause / 8);
        let silence = &heard[same + FADE..heard.len() - rest.len() - FADE];
        assert!(silence.iter().all(|sample| sample.abs() <= 8), "{what}: it is not silent in between");
        // For no voice it is silent so shortly that the phone takes the sentence's own pauses for that.
        let ducked = report["turn_1_duck_ms"].as_f64().is_some_and(|ms| ms <= 150.0);
        assert!(ducked || pause < 2400, "{what}: {report:#}");
    }
    assert_eq!(daemon.metric("barge_in_stop_seconds_count"), 0.0, "nothing was an interruption");
}

#[test]
fn scenarios_are_scored_and_passed() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (shown, report) =
        dial(&daemon, directory.path(), &["--scenario", "cough,interruption,echo", "--duration", "30"]);
    assert_eq!(report["scenarios_passed"], 3, "{shown}\n{}", daemon.log());
    assert!(shown.contains("3 of 3 passed"), "{shown}");
    let stop = report["interruption_turn_1_stop_ms"].as_f64();
    assert!(stop.is_some_and(|ms| ms <= 600.0), "{shown}");
}
