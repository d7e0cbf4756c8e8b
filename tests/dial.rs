//! `callwright dial` against an agent whose behaviour is known: real SIP, real RTP, real time.

mod double;

use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use callwright_dsp::level;
use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use callwright_models::tts::Flite;
use double::Lines;
use serde_json::Value;

fn dial(to: SocketAddr, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callwright"))
        .arg("dial")
        .arg(format!("sip:agent@{to}"))
        .args(args)
        .output()
        .expect("the binary starts")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn report(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn tone(hz: f64, ms: usize) -> Vec<i16> {
    (0..ms * 8).map(|n| (6000.0 * (TAU * hz * n as f64 / 8000.0).sin()) as i16).collect()
}

fn write_wav(path: &Path, pcm: &[i16]) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    pcm.iter().for_each(|&s| writer.write_sample(s).unwrap());
    writer.finalize().unwrap();
}

/// The agent's voice at 8 kHz.
fn agent_says(text: &str) -> Vec<i16> {
    let mut slt = Flite::load(&Assets::locate(), "slt").unwrap_or_else(|e| panic!("{e}; run `make setup`"));
    let (mut down, mut pcm) = (Resampler::new(Rate::Hz16000, Rate::Hz8000), Vec::new());
    slt.speak(text, &mut |chunk| {
        let mut half = vec![0; chunk.len() / 2 + 1];
        let n = down.process(chunk, &mut half).written;
        pcm.extend_from_slice(&half[..n]);
        ControlFlow::Continue(())
    });
    // The voice begins with silence; responses are counted to the first sound.
    let silence = level::first_voiced(&pcm, 8000, level::AUDIBLE_DBFS).unwrap();
    pcm.split_off(silence)
}

/// Figures are taken on a machine that is busy with other tests: this much may be added to any of them.
const SLACK_MS: f64 = 60.0;

fn near(value: &Value, ms: f64) -> bool {
    value.as_f64().is_some_and(|v| (ms - 1.0..=ms + SLACK_MS).contains(&v))
}

#[test]
fn a_file_is_played_recorded_and_scored() {
    let dir = tempfile::tempdir().unwrap();
    let (wav, both, json) = (dir.path().join("a.wav"), dir.path().join("b.wav"), dir.path().join("r.json"));
    write_wav(&wav, &tone(440.0, 600));
    let lines = vec![tone(300.0, 300), tone(1000.0, 400)];
    let after = Duration::from_millis(200);
    let (to, agent) = double::start(Lines { lines, after, hang_up_after: None, refuse: None });
    let path = |p: &Path| p.to_str().unwrap().to_owned();
    let out = dial(to, &["--play", &path(&wav), "--record", &path(&both), "--report", &path(&json), "--duration", "2"]);
    assert!(out.status.success(), "{}", text(&out));
    agent.join().unwrap();
    let r = report(&json);
    assert_eq!(r["passed"], true, "{r}");
    assert_eq!(r["codec"], "PCMU");
    assert_eq!(r["turns"], 1);
    assert!(near(&r["greeting_ms"], 0.0 + 1.0), "{r}");
    assert!(near(&r["turn_1_response_ms"], 200.0), "{r}");
    assert_eq!(r["packets_lost"], 0, "{r}");
    assert!(r["packets_received"].as_u64().unwrap() > 90, "{r}");
    assert!(r["ringing_ms"].is_number(), "{r}");
    let mut reader = hound::WavReader::open(&both).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8000));
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let side = |c: usize| samples.iter().skip(c).step_by(2).copied().collect::<Vec<i16>>();
    let energy = |pcm: &[i16]| pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / 6000f64.powi(2) * 2.0 / 8.0;
    let (left, right) = (energy(&side(0)), energy(&side(1)));
    assert!((left - 600.0).abs() < 20.0, "{left} ms of our tone on the left");
    assert!((right - 700.0).abs() < 20.0, "{right} ms of the agent's tones on the right");
}

#[test]
fn other_codecs_carry_a_call_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let (wav, both, json) = (dir.path().join("a.wav"), dir.path().join("b.wav"), dir.path().join("r.json"));
    write_wav(&wav, &tone(440.0, 400));
    for (offer, agreed) in [("opus,pcmu", "opus"), ("g722", "G722"), ("l16", "L16")] {
        let lines = vec![tone(300.0, 200), tone(1000.0, 400)];
        let after = Duration::from_millis(200);
        let (to, agent) = double::start(Lines { lines, after, hang_up_after: None, refuse: None });
        let path = |p: &Path| p.to_str().unwrap().to_owned();
        let (play, record, report_to) = (path(&wav), path(&both), path(&json));
        let args = ["--codec", offer, "--play", &play, "--record", &record, "--report", &report_to, "--duration", "2"];
        let out = dial(to, &args);
        assert!(out.status.success(), "{offer}: {}", text(&out));
        agent.join().unwrap();
        let r = report(&json);
        assert_eq!(r["codec"], agreed, "{r}");
        assert_eq!((&r["turns"], &r["packets_lost"]), (&1.into(), &0.into()), "{r}");
        // The codec's own delay shortens or lengthens it by some milliseconds.
        assert!(near(&r["turn_1_response_ms"], 190.0), "{r}");
        let mut reader = hound::WavReader::open(&both).unwrap();
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        let heard: f64 = samples.iter().skip(1).step_by(2).map(|&s| f64::from(s).powi(2)).sum();
        let ms = heard / 6000f64.powi(2) * 2.0 / 8.0;
        assert!((ms - 600.0).abs() < 90.0, "{offer}: {ms} ms of the agent's tones");
    }
}

#[test]
fn an_interruption_is_scored() {
    let dir = tempfile::tempdir().unwrap();
    let (wav, script, json) = (dir.path().join("stop.wav"), dir.path().join("s.toml"), dir.path().join("r.json"));
    write_wav(&wav, &tone(440.0, 500));
    std::fs::write(
        &script,
        "[[step]]\nlabel = \"barge in\"\nplay = \"stop.wav\"\ninterrupt_after = 0.3\n[[step]]\nwait = 1.2\n",
    )
    .unwrap();
    // This agent talks for 600 ms whatever happens: 300 ms after our onset (and what the loop takes) it is quiet.
    let lines = vec![tone(300.0, 600)];
    let (to, agent) =
        double::start(Lines { lines, after: Duration::from_millis(100), hang_up_after: None, refuse: None });
    let out = dial(to, &["--script", script.to_str().unwrap(), "--report", json.to_str().unwrap(), "--codec", "pcma"]);
    assert!(out.status.success(), "{}", text(&out));
    agent.join().unwrap();
    let r = report(&json);
    assert_eq!(r["codec"], "PCMA");
    assert_eq!(r["turn_1_label"], "barge in");
    assert_eq!(r["turn_1_interrupts"], true);
    let stop = r["turn_1_stop_ms"].as_f64().unwrap();
    assert!((200.0..=310.0).contains(&stop), "{r}");
    assert_eq!(r["barge_in_stop_ms_max"], r["turn_1_stop_ms"]);
}

#[test]
fn a_conversation_is_heard_and_judged() {
    let dir = tempfile::tempdir().unwrap();
    let (script, json) = (dir.path().join("s.toml"), dir.path().join("r.json"));
    std::fs::write(
        &script,
        "[[step]]\nexpect = [\"how can i help\"]\n[[step]]\nsay = \"yes\"\n\
         [[step]]\nlabel = \"records\"\nexpect = [\"${RECORDS} records\"]\ntimeout = 5\n[[step]]\npress = \"1\"\n",
    )
    .unwrap();
    let call = |records: &str| {
        let lines = vec![agent_says("How can I help you?"), agent_says("Deployed, 12 records.")];
        let (to, agent) =
            double::start(Lines { lines, after: Duration::from_millis(250), hang_up_after: None, refuse: None });
        let records = format!("RECORDS={records}");
        let args = ["--script", script.to_str().unwrap(), "--set", &records, "--report", json.to_str().unwrap()];
        let out = dial(to, &args);
        agent.join().unwrap();
        (out, report(&json))
    };
    let (out, r) = call("12");
    assert!(out.status.success(), "{}", text(&out));
    assert_eq!(r["steps_met"], 4, "{r}");
    assert!(near(&r["turn_1_response_ms"], 250.0), "{r}");
    assert!(text(&out).contains("agent: how can i help you"), "{}", text(&out));
    assert!(text(&out).contains("caller: yes"), "{}", text(&out));
    let (out, r) = call("7");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert_eq!(r["passed"], false);
    assert!(r["failure"].as_str().unwrap().contains("step 3 (records): the agent did not say \"7 records\""), "{r}");
    // Its plural's s is a hiss above what a telephone carries (`words::singular`); the number is what counts.
    assert!(r["step_3_heard"].as_str().unwrap().contains("twelve record"), "{r}");
}

#[test]
fn an_agent_that_hangs_up_early_fails_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("s.toml");
    std::fs::write(&script, "[[step]]\nwait = 5\n").unwrap();
    let lines = vec![tone(300.0, 200)];
    let hang_up_after = Some(Duration::from_millis(100));
    let (to, agent) = double::start(Lines { lines, after: Duration::from_secs(1), hang_up_after, refuse: None });
    let out = dial(to, &["--script", script.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("the agent hung up before this step was done"), "{}", text(&out));
    agent.join().unwrap();
}

#[test]
fn a_refusal_is_exit_code_3_and_a_wrong_script_2() {
    let lines = Lines { lines: Vec::new(), after: Duration::ZERO, hang_up_after: None, refuse: Some(486) };
    let (to, agent) = double::start(lines);
    let out = dial(to, &["--duration", "1"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out));
    assert!(text(&out).contains("refused: 486"), "{}", text(&out));
    agent.join().unwrap();
    for (args, want) in [
        (vec!["--script", "/nonexistent.toml"], "/nonexistent.toml"),
        (vec!["--digits", "x"], "0-9 * # A-D"),
        (vec!["--play", "/nonexistent.wav"], "cannot be read as WAV"),
        (vec!["--digits", "1", "--report", "/nonexistent/r.json"], "cannot be written"),
    ] {
        let out = dial(to, &args);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out));
        assert!(text(&out).contains(want), "{}", text(&out));
    }
}
