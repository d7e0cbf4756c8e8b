//! `callwright models` as a person at a terminal meets it, with the real engines where they are installed.

use super::server::{Answer, Server};
use super::*;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// The engines of the environment, else of this tree.
fn native() -> PathBuf {
    std::env::var_os("CALLWRIGHT_NATIVE").map_or_else(rig::native, PathBuf::from)
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callwright"));
        command
            .arg("models")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("CALLWRIGHT_NATIVE", native())
            .env_remove("CI")
            .env_remove("CALLWRIGHT_OFFLINE");
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        said(self.command(arguments).output().unwrap())
    }

    fn models(&self) -> PathBuf {
        self.directory.path().join("var/models")
    }
}

fn said(output: Output) -> (Option<i32>, String) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// The streaming pack of a few multiplications, as an archive that names itself.
fn loudness(directory: &Path) -> PathBuf {
    let installed = fixture::tone(directory);
    let read = |part: &str| std::fs::read(installed.file(part).unwrap()).unwrap();
    let label = toml::to_string(&installed.pack).unwrap();
    let path = directory.join("loudness.tar.bz2");
    let files = [
        ("loudness/pack.toml", label.as_bytes()),
        ("loudness/model.onnx", &read("model")),
        ("loudness/tokens.txt", &read("tokens")),
    ];
    std::fs::write(&path, archive(&files)).unwrap();
    path
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_engine() -> bool {
    let there = native().join("lib/libsherpa-onnx-c-api.so").is_file();
    if !there {
        eprintln!("skipped: sherpa-onnx is not installed: make setup");
    }
    there
}

#[test]
fn the_list_begins_with_what_to_do() {
    let place = Place::new();
    let (code, text) = place.run(&["list"]);
    assert_eq!(code, Some(0), "{text}");
    for word in ["Voices (tts)", "recommended", "zipformer-en-20M", "Apache-2.0", "models install --recommended"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let (code, text) = place.run(&["list", "--json"]);
    let packs: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!((code, packs.len() > 30), (Some(0), true));
    assert!(packs.iter().all(|pack| pack["url"].as_str().is_some_and(|url| url.starts_with("https://"))));
    assert!(!place.models().exists(), "looking changes nothing");
}

#[test]
fn an_unknown_name_is_answered_with_a_known_one() {
    let place = Place::new();
    let (code, text) = place.run(&["install", "piper-lessac"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("did you mean vits-piper-en_US-lessac"), "{text}");
    let (code, text) = place.run(&["remove", "whisper"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("installed here: none"), "{text}");
}

#[test]
fn a_pack_from_a_file_is_tried_by_a_child_and_serves_until_it_is_removed() {
    if !has_engine() {
        return;
    }
    let place = Place::new();
    let path = loudness(place.directory.path());
    let (code, text) = place.run(&["install", "--from-file", path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("loudness is installed and serves") && text.contains("sherpa-onnx"), "{text}");
    let (_, text) = place.run(&["list", "--installed"]);
    assert!(text.contains("● loudness"), "{text}");
    let (code, text) = place.run(&["verify", "loudness"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = place.run(&["bench", "loudness"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("real-time factor") && text.contains("words after the end"), "{text}");
    let (_, text) = place.run(&["use", "embedded:streaming-asr"]);
    assert!(text.contains("the embedded engine does"), "{text}");
    let (_, text) = place.run(&["use", "loudness"]);
    assert!(text.contains("loudness serves for streaming-asr"), "{text}");

    std::fs::write(place.models().join("loudness/tokens.txt"), "a 0\n").unwrap();
    let (code, text) = place.run(&["verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("tokens.txt has changed") && text.contains("models install loudness"), "{text}");
    let (code, text) = place.run(&["remove", "loudness"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("it served for streaming-asr") && text.contains("embedded engine"), "{text}");
    let (_, text) = place.run(&["list", "--installed"]);
    assert!(text.contains("nothing is installed"), "{text}");
}

#[test]
fn a_model_that_kills_its_engine_kills_a_child_and_nothing_else() {
    if !has_engine() {
        return;
    }
    let place = Place::new();
    let installed = fixture::tone(place.directory.path());
    std::fs::write(installed.file("model").unwrap(), "no model at all").unwrap();
    std::fs::write(installed.directory().join("pack.toml"), toml::to_string(&installed.pack).unwrap()).unwrap();
    let (code, text) = place.run(&["install", "--from-file", installed.directory().to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("loudness does not work here") && text.contains("model.onnx"), "{text}");
    assert!(!text.contains("panicked") && !place.models().join("loudness").exists(), "{text}");
}

#[test]
fn killed_at_any_moment_it_goes_on_and_leaves_nothing_half_done() {
    let place = Place::new();
    let directory = place.directory.path();
    let content = whole();
    let server = Server::start(content.clone(), vec![Answer::Stall(200_000)]);
    // A known name whose file comes from the mirror; its digest is not that of our content, which is found out at the end.
    let mirror = server.url("");
    let mut child = place
        .command(&["install", "kitten-nano-en-v0_8-int8", "--mirror", &mirror])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let partial = place.models().join(".fetch/kitten-nano-en-v0_8-int8.tar.bz2.partial");
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(&partial).map_or(0, |metadata| metadata.len()) < 200_000 {
        assert!(Instant::now() < deadline, "the download begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    // While it runs, another one is told so.
    let (code, text) = place.run(&["install", "kitten-nano-en-v0_8-int8", "--mirror", &mirror]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("another callwright"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(partial.exists());

    server.script(vec![Answer::Whole]);
    let (code, text) = place.run(&["install", "kitten-nano-en-v0_8-int8", "--mirror", &mirror]);
    let (_, range, tag) = server.asked().last().cloned().unwrap();
    assert_eq!((range.as_deref(), tag.as_deref()), (Some("bytes=200000-"), Some("\"one\"")), "it went on");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("SHA-256") && !partial.exists(), "{text}");
    assert!(std::fs::read_dir(directory.join("var/models")).unwrap().flatten().all(|e| {
        let name = e.file_name().into_string().unwrap();
        [".lock", ".fetch"].contains(&name.as_str())
    }));
}

#[test]
fn killed_while_it_unpacks_tries_or_places_the_shelf_is_whole() {
    if !has_engine() {
        return;
    }
    let place = Place::new();
    let path = loudness(place.directory.path());
    let install = ["install", "--from-file", path.to_str().unwrap()];
    let shelf = Shelf::open(place.models());
    let mut served = false;
    for turn in 0..12_u64 {
        let mut child = place.command(&install).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(15 * turn));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(shelf.broken().is_empty(), "after {turn}");
        // As the daemon does at its start. Whoever served once serves from then on.
        drop(shelf.lock().unwrap());
        let serves = shelf.serving(callwright_models::pack::Kind::StreamingAsr).unwrap().is_some();
        assert!(serves || !served, "after {turn}");
        served = serves;
        for installed in shelf.installed() {
            assert_eq!(shelf.record("loudness").unwrap().damage(installed.directory()), None, "after {turn}");
        }
    }
    let (code, text) = place.run(&install);
    assert_eq!(code, Some(0), "{text}");
    assert!(shelf.active(callwright_models::pack::Kind::StreamingAsr).is_some());
}

#[test]
fn unasked_it_never_fails_and_never_waits() {
    let place = Place::new();
    let quick = ["install", "--recommended", "--quick"];
    let with = |key: &str, value: &str| said(place.command(&quick).env(key, value).output().unwrap());
    let (code, text) = with("CI", "true");
    assert_eq!((code, text.contains("CI is set")), (Some(0), true), "{text}");
    let (code, text) = with("CALLWRIGHT_OFFLINE", "1");
    assert_eq!((code, text.contains("CALLWRIGHT_OFFLINE is set")), (Some(0), true), "{text}");
    assert!(!place.models().exists());

    let server = Server::start(Vec::new(), vec![Answer::Status(403)]);
    let (code, text) = with("CALLWRIGHT_MODELS_MIRROR", &server.url(""));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the embedded engines serve") && text.contains("403"), "{text}");
    assert_eq!(server.asked().len(), 1);
    // Said once, and not asked again for hours.
    let (code, text) = with("CALLWRIGHT_MODELS_MIRROR", &server.url(""));
    assert_eq!((code, text.as_str()), (Some(0), ""));
    assert_eq!(server.asked().len(), 1);

    let (code, text) =
        said(place.command(&["install", "--recommended"]).env("CALLWRIGHT_OFFLINE", "1").output().unwrap());
    assert_eq!(code, Some(1), "asked for by hand it is a failure: {text}");
    assert!(text.contains("--from-file"), "{text}");
}

#[test]
fn the_daemons_first_start_asks_once_and_waits_for_nobody() {
    let server = Server::start(Vec::new(), vec![Answer::Silence]);
    let daemon = rig::Daemon::start_offering(&server.url(""));
    assert!(rig::eventually(Duration::from_secs(20), || server.asked().len() == 1), "{}", daemon.log());
    server.script(vec![Answer::Status(503)]);
    let said = || daemon.log().contains("the embedded engines serve (127.0.0.1: no answer within 5 s)");
    assert!(rig::eventually(Duration::from_secs(20), said), "{}", daemon.log());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn progress_in_a_log_is_a_line_a_tenth() {
    let place = Place::new();
    let server = Server::start(vec![7; 31_220_690 / 8], vec![Answer::Whole]);
    let (code, text) = place.run(&["install", "kitten-nano-en-v0_8-int8", "--mirror", &server.url("")]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fetching http://127.0.0.1"), "{text}");
    let tenths = text.lines().filter(|line| line.contains("0 % of")).count();
    assert!((8..=10).contains(&tenths) && !text.contains('\x1b') && !text.contains('\r'), "{text}");
}
