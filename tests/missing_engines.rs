//! Whatever engines a machine lacks, the daemon starts, says what is missing, what stands in for it, and what mends it.

mod rig;

use callwright_models::tts::Flite;
use callwright_models::{Assets, sherpa};
use rig::{Daemon, get, native};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

const ONNX_RUNTIME: &str = "lib/libonnxruntime.so";
const POCKETSPHINX: &str = "lib/libpocketsphinx.so";
const SILERO: &str = "silero_vad.onnx";
const MODEL: &str = "model";
const SMART_TURN: &str = "smart-turn-v3.2-cpu.onnx";
const MOONSHINE: &str = "moonshine-tiny-en";
/// The larger of its models.
const BASE: &str = "moonshine-base-en";
const BASE_ENCODER: &str = "moonshine-base-en/encoder.onnx";
const BASE_DECODER: &str = "moonshine-base-en/decoder.onnx";
const BASE_TOKENS: &str = "moonshine-base-en/tokenizer.json";
const ENCODER: &str = "moonshine-tiny-en/encoder.onnx";
const DECODER: &str = "moonshine-tiny-en/decoder.onnx";
const TOKENS: &str = "moonshine-tiny-en/tokenizer.json";
const FLITE: &str = "lib/libflite.so.1";

/// With, broken → verdicts of vad, asr, tts and what is said of the part that lacks something.
type Row =
    (&'static [&'static str], &'static [&'static str], [&'static str; 3], &'static [(&'static str, &'static str)]);

/// A directory with some of the engines; what is `broken` is there and no good.
fn machine(with: &[&str], broken: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("lib")).expect("a directory");
    for file in with {
        symlink(native().join(file), directory.path().join(file)).expect("a link");
    }
    for file in broken {
        let parent = Path::new(file).parent().expect("a directory");
        std::fs::create_dir_all(directory.path().join(parent)).expect("a directory");
        std::fs::write(directory.path().join(file), "no library and no model").expect("a file");
    }
    directory
}

/// What `doctor` says of a part: the verdict and the rest.
fn finding<'a>(shown: &'a str, part: &str) -> (&'a str, &'a str) {
    let line = shown.lines().find(|line| line.contains(&format!("speech: {part}")));
    let line = line.unwrap_or_else(|| panic!("{part} in\n{shown}")).trim();
    line.split_once(' ').expect("a verdict")
}

fn doctor(native: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .arg("doctor")
        .env("CALLWRIGHT_NATIVE", native)
        .env("CALLWRIGHT__SPEECH__DECODERS", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("callwright runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tests of engines skip themselves where an engine is missing, and a test that passes says nothing. This one fails in their
/// stead where everything is meant to be there: `.ci/coverage`, which `make test` calls, says so.
#[test]
fn a_machine_that_is_set_up_for_tests_has_every_engine() {
    if std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none() {
        return;
    }
    for file in [ONNX_RUNTIME, POCKETSPHINX, SILERO, MODEL, MOONSHINE, BASE] {
        assert!(native().join(file).exists(), "{file} is missing: run make setup-test");
    }
    let assets = Assets::at(native());
    sherpa::version(&assets).expect("sherpa-onnx");
    for voice in ["slt", "rms", "awb", "kal16"] {
        Flite::load(&assets, voice).expect("Flite");
    }
    let (_, shown) = doctor(&native(), &[]);
    assert_eq!(finding(&shown, "vad").0, "ok", "{shown}");
    for part in ["asr", "tts"] {
        assert_ne!(finding(&shown, part).0, "missing", "{shown}");
    }
}

#[test]
fn every_combination_says_what_it_lacks() {
    if !native().join(SILERO).exists() {
        return;
    }
    const ALL: &[&str] = &[ONNX_RUNTIME, POCKETSPHINX, SILERO, MODEL, MOONSHINE, BASE];
    const SMALL: &[&str] = &[ONNX_RUNTIME, POCKETSPHINX, SILERO, MODEL, MOONSHINE];
    const OLD: &[&str] = &[ONNX_RUNTIME, POCKETSPHINX, SILERO, MODEL];
    let (limited, missing, ok) = ("limited", "missing", "ok");
    let table: &[Row] = &[
        (ALL, &[], [ok, ok, limited], &[("asr", "moonshine base-en"), ("asr", "speak at the same moment")]),
        // Without its larger model, whole or in part, the smaller one serves and it is said.
        (
            SMALL,
            &[],
            [ok, ok, limited],
            &[("asr", "moonshine tiny-en"), ("asr", "moonshine-base-en/encoder.onnx"), ("asr", "make setup")],
        ),
        (
            SMALL,
            &[BASE_ENCODER, BASE_DECODER, BASE_TOKENS],
            [ok, ok, limited],
            &[("asr", "moonshine tiny-en"), ("asr", "moonshine-base-en"), ("asr", "make setup")],
        ),
        // Without Moonshine, whole or in part, the one behind it serves and it is said.
        (
            OLD,
            &[],
            [ok, limited, limited],
            &[("asr", "limited vocabulary"), ("asr", "encoder.onnx"), ("asr", "make setup")],
        ),
        (
            OLD,
            &[ENCODER],
            [ok, limited, limited],
            &[("asr", "decoder.onnx"), ("asr", "pocketsphinx"), ("asr", "make setup")],
        ),
        (
            OLD,
            &[ENCODER, DECODER, TOKENS],
            [ok, limited, limited],
            &[("asr", "tokenizer.json"), ("asr", "pocketsphinx"), ("asr", "make setup")],
        ),
        (&[ONNX_RUNTIME, SILERO, MOONSHINE], &[], [ok, ok, limited], &[("asr", "moonshine")]),
        // It needs no ONNX Runtime.
        (&[MOONSHINE], &[], [limited, ok, limited], &[("asr", "moonshine tiny-en"), ("vad", "earshot")]),
        (&[], &[], [limited, missing, limited], &[("vad", "earshot"), ("vad", "make setup"), ("asr", "make setup")]),
        (&[ONNX_RUNTIME, SILERO], &[], [ok, missing, limited], &[("asr", "libpocketsphinx.so")]),
        (&[POCKETSPHINX, MODEL], &[], [limited, limited, limited], &[("vad", "silero_vad.onnx")]),
        (&[POCKETSPHINX, MODEL, SILERO], &[], [limited, limited, limited], &[("vad", "libonnxruntime.so")]),
        (&[ONNX_RUNTIME, SILERO, POCKETSPHINX], &[], [ok, missing, limited], &[("asr", "mdef")]),
        (&[POCKETSPHINX, MODEL, SILERO], &[ONNX_RUNTIME], [limited, limited, limited], &[("vad", "cannot be loaded")]),
        (&[POCKETSPHINX, MODEL, ONNX_RUNTIME], &[SILERO], [limited, limited, limited], &[("vad", "make setup")]),
        (&[ONNX_RUNTIME, SILERO, MODEL], &[POCKETSPHINX], [ok, missing, limited], &[("asr", "cannot be loaded")]),
        (ALL, &[FLITE], [ok, ok, missing], &[("tts", "apt-get install")]),
        (&[], &[FLITE], [limited, missing, missing], &[("tts", "libflite.so.1")]),
    ];
    std::thread::scope(|scope| {
        for row in table {
            scope.spawn(move || {
                let (with, broken, verdicts, said) = row;
                let machine = machine(with, broken);
                let (code, shown) = doctor(machine.path(), &[]);
                for (part, verdict) in ["vad", "asr", "tts"].into_iter().zip(verdicts) {
                    assert_eq!(finding(&shown, part).0, *verdict, "{part} with {with:?} and {broken:?}:\n{shown}");
                }
                for (part, words) in *said {
                    let (_, rest) = finding(&shown, part);
                    assert!(rest.contains(words), "{words} with {with:?} and {broken:?}: {rest}");
                }
                assert_eq!(code, Some(i32::from(verdicts.contains(&missing))), "{shown}");
            });
        }
    });
}

/// A model that was cut off on its way here: its files have their names, and half of what should be in one of them.
#[test]
fn a_model_that_is_cut_off_costs_itself_alone_and_is_said() {
    if !native().join(MOONSHINE).exists() {
        return;
    }
    let whole = [ONNX_RUNTIME, POCKETSPHINX, MODEL, SILERO];
    for cut in [ENCODER, DECODER, TOKENS] {
        let machine = machine(&whole, &[]);
        std::fs::create_dir(machine.path().join(MOONSHINE)).expect("a directory");
        for file in [ENCODER, DECODER, TOKENS] {
            let octets = std::fs::read(native().join(file)).expect("a model");
            let length = if file == cut { octets.len() / 2 } else { octets.len() };
            std::fs::write(machine.path().join(file), &octets[..length]).expect("a file");
        }
        let (code, shown) = doctor(machine.path(), &[]);
        let (verdict, rest) = finding(&shown, "asr");
        assert_eq!((verdict, code), ("limited", Some(0)), "{shown}");
        let name = Path::new(cut).file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(rest.contains(name) && rest.contains("pocketsphinx") && rest.contains("make setup"), "{rest}");
    }
}

#[test]
fn without_its_model_ends_of_turns_are_judged_by_words_and_silence() {
    if !native().join(SMART_TURN).exists() {
        return;
    }
    let rest: &[&str] = &[ONNX_RUNTIME, SILERO, POCKETSPHINX, MODEL];
    let whole: Vec<&str> = rest.iter().copied().chain([SMART_TURN]).collect();
    std::thread::scope(|scope| {
        for (with, broken, verdict, said) in [
            (&whole[..], &[][..], "ok", "smart-turn-v3.2-cpu"),
            (rest, &[][..], "limited", "smart-turn-v3.2-cpu.onnx not found"),
            (rest, &[SMART_TURN][..], "limited", "the file is damaged"),
        ] {
            scope.spawn(move || {
                let (_, shown) = doctor(machine(with, broken).path(), &[]);
                let (found, words) = finding(&shown, "end-of-turn");
                assert_eq!(found, verdict, "{shown}");
                assert!(words.contains(said) && (verdict == "ok" || words.contains("make setup")), "{words}");
            });
        }
    });
}

#[test]
fn an_engine_that_is_not_there_is_named_with_what_stands_in_for_it() {
    if !native().join(SILERO).exists() {
        return;
    }
    let (code, shown) =
        doctor(&native(), &[("CALLWRIGHT__SPEECH__VOICE", "kal16"), ("CALLWRIGHT__SPEECH__ASR", "whispr")]);
    let (verdict, rest) = finding(&shown, "asr");
    assert_eq!(verdict, "limited", "{shown}");
    let best = if native().join(MOONSHINE).exists() { "moonshine" } else { "pocketsphinx" };
    assert!(rest.contains(best) && rest.contains("instead of whispr"), "{rest}");
    assert!(shown.contains("there are: auto, moonshine, pocketsphinx"), "{shown}");
    assert!(finding(&shown, "tts").1.contains("flite kal16"), "{shown}");
    assert_eq!(code, Some(1), "{shown}");
}

#[test]
fn a_daemon_without_any_engine_starts_and_says_so() {
    let machine = machine(&[], &[FLITE]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start_at(directory, 10, "", machine.path());
    let (status, body) = get(daemon.http, "/health").expect("/health answers");
    assert_eq!(status, 200);
    let health: Value = serde_json::from_str(&body).expect("JSON");
    let engine = |part: &str| {
        let engines = health["engines"].as_array().expect("a list");
        engines.iter().find(|engine| engine["part"] == part).cloned().unwrap_or_else(|| panic!("{part} in {body}"))
    };
    assert_eq!((engine("vad")["name"].as_str(), engine("vad")["mend"].as_str()), (Some("earshot"), Some("make setup")));
    assert_eq!((engine("asr")["name"].as_str(), engine("asr")["wanted"].as_str()), (Some("none"), Some("auto")));
    assert_eq!(engine("asr")["mend"], "make setup");
    assert!(engine("tts")["mend"].as_str().is_some_and(|command| command.contains("apt-get")), "{body}");
    let log = daemon.log();
    assert!(log.contains("make setup") && log.contains("engine limited or missing"), "{log}");
}
