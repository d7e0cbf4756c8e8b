//! Packs and libraries that are not what they should be: each is said in words, with what to do, and the process goes on.

mod fixture;

use callwright_models::asr::{OnlineEngine, OnlinePlan};
use callwright_models::double::onnx::Dim;
use callwright_models::pack::check::{CheckError, check};
use callwright_models::pack::onnx::Header;
use callwright_models::pack::probe;
use callwright_models::pack::{Family, Installed};
use callwright_models::{Assets, session, sherpa};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn assets() -> Option<Assets> {
    let assets = Assets::locate();
    match sherpa::version(&assets) {
        Ok(_) => Some(assets),
        Err(error) => {
            fixture::skipped(&error);
            None
        }
    }
}

/// A `native/` with the runtime and, as sherpa-onnx, `file`.
fn native(directory: &Path, file: Option<&Path>) -> Option<Assets> {
    let runtime = Assets::locate().onnx_runtime().ok()?;
    fs::create_dir_all(directory.join("lib")).unwrap();
    std::os::unix::fs::symlink(runtime, directory.join("lib/libonnxruntime.so")).unwrap();
    if let Some(file) = file {
        fs::copy(file, directory.join("lib/libsherpa-onnx-c-api.so")).unwrap();
    }
    Some(Assets::at(directory))
}

/// Compiles a library; `None` where there is no compiler.
fn library(directory: &Path, source: &str) -> Option<PathBuf> {
    let (from, to) = (directory.join("fake.c"), directory.join("fake.so"));
    fs::write(&from, source).unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&to).arg(&from).status();
    done.ok().filter(std::process::ExitStatus::success).map(|_| to)
}

fn complaint(assets: &Assets, words: &[&str]) {
    let said = sherpa::version(assets).unwrap_err().to_string();
    for word in words.iter().chain(&["make setup"]) {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
}

#[test]
fn a_library_that_is_missing_or_wrong_is_named_with_the_command_that_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Some(none) = native(&at("none"), None) else { return };
    complaint(&none, &["libsherpa-onnx-c-api.so not found"]);

    fs::write(at("text"), "this is no library").unwrap();
    complaint(&native(&at("garbage"), Some(&at("text"))).unwrap(), &["cannot be loaded"]);

    let version = |version: &str| format!("const char *SherpaOnnxGetVersionStr(void) {{ return \"{version}\"; }}\n");
    let Some(old) = library(directory.path(), &version("1.13.8")) else { return };
    complaint(&native(&at("old"), Some(&old)).unwrap(), &["version 1.13.8", "another version", "2.0.1 is needed"]);
    let new = library(directory.path(), &version("2.1.0")).unwrap();
    complaint(&native(&at("new"), Some(&new)).unwrap(), &["version 2.1.0", "another version"]);
    let poor = library(directory.path(), &version("2.0.1")).unwrap();
    complaint(&native(&at("poor"), Some(&poor)).unwrap(), &["lacks SherpaOnnx", "another version"]);
    let other = library(directory.path(), "int other;\n").unwrap();
    complaint(&native(&at("other"), Some(&other)).unwrap(), &["lacks SherpaOnnxGetVersionStr"]);

    // And the right one can still be loaded after all that.
    if let Some(assets) = assets() {
        assert!(sherpa::version(&assets).unwrap().starts_with("sherpa-onnx 2.0."));
    }
}

fn refused(pack: &Installed, words: &[&str]) {
    let error = check(pack).unwrap_err();
    let said = error.to_string();
    for word in words.iter().chain(&["callwright models", &pack.pack.name]) {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
    // The engine asks the same question before it touches the library.
    if let Some(assets) = assets() {
        let error = OnlineEngine::load(&assets, pack, &OnlinePlan::default()).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn wrong_metadata_is_said_and_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    let model = pack.file("model").unwrap();
    check(&pack).unwrap();
    for (key, value, words) in [
        ("frame_length_ms", None, "lacks the metadata 'frame_length_ms'"),
        ("frame_length_ms", Some("200"), "'frame_length_ms' is '200'"),
        ("state_dim", Some("many"), "'state_dim' is 'many'"),
        ("state_dim", Some("-4"), "'state_dim' is '-4'"),
        ("state_dim", Some("8"), "second input"),
        ("sample_rate", Some("16000"), "'sample_rate' is '16000'"),
    ] {
        let metadata: Vec<(&str, &str)> = fixture::TONE_METADATA
            .iter()
            .filter_map(|(k, v)| if *k == key { value.map(|value| (*k, value)) } else { Some((*k, *v)) })
            .collect();
        fs::write(&model, fixture::tone_model(&metadata, Dim::Free("N"), 10)).unwrap();
        refused(&pack, &["streaming T-one CTC", words]);
    }
    // A sound model of quite another kind.
    if let Ok(silero) = Assets::locate().silero() {
        fs::copy(silero, &model).unwrap();
        refused(&pack, &["lacks the metadata"]);
    }
}

#[test]
fn symbols_that_do_not_fit_the_model_are_said_and_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    let tokens = pack.file("tokens").unwrap();
    for (text, words) in [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("<blk> 0\na b c\n", "line 2 is no symbol with a number"),
        ("x 0\n▁ 1\na 2\nb 3\ne 4\nn 5\no 6\ns 7\n", "no <blk>"),
        ("<blk> 0\n▁ 1\na 2\n", "it has no symbol number 3, the model has 8"),
    ] {
        fs::write(&tokens, text).unwrap();
        refused(&pack, &["tokens.txt", words]);
    }
    fs::remove_file(&tokens).unwrap();
    refused(&pack, &["tokens.txt", "No such file"]);
}

#[test]
fn a_model_that_is_cut_short_is_said_wherever_the_cut_is() {
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    let file = pack.file("model").unwrap();
    let whole = fs::read(&file).unwrap();
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let error = check(&pack).unwrap_err();
        match error {
            CheckError::Damaged { .. } => assert!(error.to_string().contains("install it again")),
            // Cut just between two entries.
            CheckError::Kind { .. } => assert!(error.to_string().contains("lacks the metadata")),
            other => panic!("{length}: {other}"),
        }
    }
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refused(&pack, &["it is cut short"]);
    fs::remove_file(&file).unwrap();
    refused(&pack, &["model.onnx", "No such file"]);
}

#[test]
fn a_pack_that_says_less_than_its_family_needs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    for (family, words) in [
        (Family::OnlineTransducer, "no file for its part 'encoder'"),
        (Family::Moonshine, "no file for its part 'preprocessor'"),
        (Family::Whisper, "no file for its part 'encoder'"),
        (Family::Matcha, "no file for its part 'vocoder'"),
        (Family::OnlineNemoCtc, "lacks the metadata 'vocab_size'"),
        (Family::OnlineZipformerCtc, "lacks the metadata 'encoder_dims'"),
        (Family::SenseVoice, "lacks the metadata 'vocab_size'"),
        (Family::Vits, "lacks the metadata 'n_speakers'"),
        (Family::Kokoro, "lacks the metadata 'n_speakers'"),
        (Family::KokoroGraph, "no input 'input_ids'"),
        (Family::Kitten, "lacks the metadata 'model_type'"),
        (Family::SmartTurn, "no input 'input_features'"),
    ] {
        let mut pack = pack.clone();
        pack.pack.family = family;
        let said = check(&pack).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

/// Run by [`a_pack_that_kills_its_process_kills_only_a_child`] as a process of its own; otherwise nothing.
#[test]
fn in_a_child() {
    let Some(directory) = std::env::var_os("CALLWRIGHT_TEST_PACK") else { return };
    let directory = PathBuf::from(directory);
    let mut pack = fixture::tone(&directory.with_extension("other"));
    pack.directory = directory;
    probe::load(&Assets::locate(), &pack).unwrap();
}

fn child(pack: &Installed) -> std::process::ExitStatus {
    let itself = std::env::current_exe().unwrap();
    let mut command = Command::new(itself);
    command.args(["--exact", "in_a_child"]).env("CALLWRIGHT_TEST_PACK", pack.directory());
    command.output().unwrap().status
}

#[test]
fn a_pack_that_kills_its_process_kills_only_a_child() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    assert!(child(&pack).success());
    // Everything about it is as it should be, only that seven frames do not make a chunk: found out when it runs.
    let file = pack.file("model").unwrap();
    let model = fs::read(&file).unwrap();
    fs::write(&file, fixture::tone_model(fixture::TONE_METADATA, Dim::Free("N"), 7)).unwrap();
    check(&pack).unwrap();
    assert_eq!(child(&pack).signal(), Some(6), "an exception that nobody catches aborts");
    // A node that no runtime knows: ONNX Runtime says so.
    let mut unknown = model.clone();
    let at = model.windows(6).position(|window| window == b"MatMul").unwrap();
    unknown[at..at + 6].copy_from_slice(b"MatMum");
    fs::write(&file, &unknown).unwrap();
    let said = probe::load(&assets, &pack).unwrap_err().to_string();
    assert!(said.contains("MatMum") && said.contains("callwright models install"), "{said}");
    // The library survives that by itself.
    let refused = OnlineEngine::load(&assets, &pack, &OnlinePlan::default()).unwrap_err().to_string();
    assert!(refused.contains("refused the pack"), "{refused}");
}

#[test]
fn a_sound_pack_says_what_it_is() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let said = probe::load(&assets, &fixture::tone(directory.path())).unwrap();
    assert!(said.starts_with("loudness: streaming T-one CTC on sherpa-onnx 2.0."), "{said}");
    let said = probe::load(&assets, &fixture::script(directory.path())).unwrap();
    assert!(said.starts_with("script: streaming transducer on"), "{said}");
    let said = probe::load(&assets, &fixture::bursts(directory.path())).unwrap();
    assert!(said.starts_with("bursts: SenseVoice on"), "{said}");
    let said = probe::load(&assets, &fixture::voices::piper(directory.path())).unwrap();
    assert!(said.starts_with("beeps: VITS on sherpa-onnx 2.0.") && said.contains("22050 Hz"), "{said}");
}

#[test]
fn what_was_tried_holds_for_the_same_files_and_library_only() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    assert_eq!(probe::tried(&assets, &pack), None);
    probe::note(&assets, &pack, "loudness: works").unwrap();
    assert_eq!(probe::tried(&assets, &pack).as_deref(), Some("loudness: works"));
    let other = native(&directory.path().join("native"), assets.sherpa().ok().as_deref()).unwrap();
    assert_eq!(probe::tried(&other, &pack), None, "another library");
    let file = pack.file("model").unwrap();
    let model = fs::read(&file).unwrap();
    fs::write(&file, [model.as_slice(), &[0x28, 1]].concat()).unwrap();
    assert_eq!(probe::tried(&assets, &pack), None, "another model");
    probe::note(&assets, &pack, "again").unwrap();
    fs::write(pack.directory().join(".probed"), "anything").unwrap();
    assert_eq!(probe::tried(&assets, &pack), None);
}

#[test]
fn heads_are_read_as_the_runtime_reads_them() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    for file in [assets.silero().unwrap(), fixture::tone(directory.path()).file("model").unwrap()] {
        let header = Header::read(&file).unwrap();
        let session = session::open(&assets, "a test", &file).unwrap();
        let ours: Vec<&str> = header.inputs.iter().map(|tensor| tensor.name.as_str()).collect();
        let theirs: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
        assert_eq!(ours, theirs);
        let ours: Vec<&str> = header.outputs.iter().map(|tensor| tensor.name.as_str()).collect();
        let theirs: Vec<&str> = session.outputs().iter().map(|output| output.name()).collect();
        assert_eq!(ours, theirs);
        let metadata = session.metadata().unwrap();
        for (key, value) in &header.metadata {
            assert_eq!(metadata.custom(key).as_ref(), Some(value));
        }
    }
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_file_makes_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Header::of(&octets));
            drop(callwright_models::pack::sentencepiece::vocabulary(&octets));
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut model = fixture::tone_model(fixture::TONE_METADATA, Dim::Free("N"), 10);
            let at = at.index(model.len());
            model[at] = value;
            drop(Header::of(&model));
        }
    }
}
