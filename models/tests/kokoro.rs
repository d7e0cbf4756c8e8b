//! Kokoro on ONNX Runtime alone: with a graph of our own that hums, and with the published weights where they are.

mod fixture;

use callwright_models::Assets;
use callwright_models::pack::{Installed, Kind, Pack, Shelf, check, known, probe};
use callwright_models::tts::{KokoroPlan, KokoroVoice, TtsError};
use fixture::voices::{PHONEME_SAMPLES, kokoro_graph, kokoro_model, kokoro_tokenizer};
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

fn speaker(name: &str) -> KokoroPlan {
    KokoroPlan { speaker: Some(name.to_owned()), ..KokoroPlan::default() }
}

/// The voice, or nothing where ONNX Runtime, the dictionary or Flite is missing.
fn load(pack: &Installed, plan: &KokoroPlan) -> Option<KokoroVoice> {
    match KokoroVoice::load(&Assets::locate(), pack, plan) {
        Ok(voice) => Some(voice),
        Err(TtsError::Asset(error)) => {
            fixture::skipped(&error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn say(voice: &mut KokoroVoice, text: &str) -> Vec<i16> {
    let mut samples = Vec::new();
    voice
        .speak(text, &mut |chunk| {
            samples.extend_from_slice(chunk);
            ControlFlow::Continue(())
        })
        .unwrap();
    samples
}

fn peak(samples: &[i16]) -> i32 {
    samples.iter().map(|sample| i32::from(*sample).abs()).max().unwrap_or(0)
}

#[test]
fn every_symbol_is_said_by_the_speaker_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let pack = kokoro_graph(directory.path());
    let Some(mut first) = load(&pack, &KokoroPlan::default()) else { return };
    assert_eq!((first.name(), first.speaker(), first.sample_rate()), ("named", "af_one", 24_000));
    let samples = say(&mut first, "Yes.");
    // j ˈ ɛ s . and nothing at both ends.
    assert_eq!(samples.len(), 7 * PHONEME_SAMPLES);
    let Some(mut second) = load(&pack, &speaker("bm_two")) else { return };
    let quiet = say(&mut second, "Yes.");
    assert!((3..=5).contains(&(peak(&samples) / peak(&quiet))), "{} {}", peak(&samples), peak(&quiet));
    // The British have another word for it.
    assert_ne!(say(&mut first, "number").len(), say(&mut second, "number").len());
    assert!(say(&mut first, " … ").is_empty());
}

#[test]
fn a_stop_ends_it_and_the_voice_speaks_again() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut voice) = load(&kokoro_graph(directory.path()), &KokoroPlan::default()) else { return };
    let mut chunks = 0;
    let text = "so many words that they are said in several pieces, one after the other ".repeat(20);
    voice
        .speak(&text, &mut |_| {
            chunks += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(chunks, 1);
    // What nobody wants is not even begun.
    voice.speak_words(&text, &[], &|| true, &mut |_| panic!("it was spoken")).unwrap();
    assert!(say(&mut voice, &text).len() > 1000 * PHONEME_SAMPLES, "longer than the model takes at once");
}

#[test]
fn sounds_of_an_agents_lexicon_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut voice) = load(&kokoro_graph(directory.path()), &KokoroPlan::default()) else { return };
    let mut samples = 0;
    let mut sink = |chunk: &[i16]| {
        samples += chunk.len();
        ControlFlow::Continue(())
    };
    voice.speak_words("zzzzzz.", &[(0, "y eh1 s")], &|| false, &mut sink).unwrap();
    assert_eq!(samples, 7 * PHONEME_SAMPLES);
}

#[test]
fn whatever_is_wrong_with_the_files_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let pack = kokoro_graph(directory.path());
    let refused = |plan: &KokoroPlan| KokoroVoice::load(&Assets::locate(), &pack, plan).unwrap_err().to_string();
    let unknown = refused(&speaker("af_three"));
    assert!(unknown.contains("no speaker \"af_three\"; there are: af_one, bm_two"), "{unknown}");

    let broken = |file: &str, content: Option<&[u8]>, words: &str| {
        let path = pack.directory().join(file);
        let sound = fs::read(&path).unwrap();
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let said = check::check(&pack).unwrap_err().to_string();
        assert!(said.contains(words) && said.contains("callwright models"), "{file}: {said}");
        fs::write(&path, sound).unwrap();
    };
    broken("build/model.onnx", None, "No such file");
    broken("build/model.onnx", Some(b"scribble"), "model.onnx is damaged");
    broken("build/model.onnx", Some(&kokoro_model(128)), "'style' is no [1, 256]");
    broken("build/voices/bm_two.bin", None, "No such file");
    broken("build/voices/bm_two.bin", Some(&[0; 4096]), "it has 4096 octets");
    broken("build/tokenizer.json", Some(b"{}"), "no tokenizer");
    broken("build/tokenizer.json", Some(kokoro_tokenizer("abc").as_bytes()), "it has no symbol");
    check::check(&pack).unwrap();

    // What only a use of it shows: the child that tries a pack says it.
    let numbers = f32::NAN.to_le_bytes().repeat(510 * 256);
    fs::write(pack.directory().join("build/voices/bm_two.bin"), numbers).unwrap();
    check::check(&pack).unwrap();
    if load(&pack, &KokoroPlan::default()).is_some() {
        let said = probe::load(&Assets::locate(), &pack).unwrap_err().to_string();
        assert!(said.contains("bm_two.bin is damaged: it holds what is no number"), "{said}");
    }
    let model = pack.directory().join("build/model.onnx");
    let mut damaged = fs::read(&model).unwrap();
    let at = damaged.windows(6).position(|window| window == b"MatMul").unwrap();
    damaged[at] ^= 1;
    fs::write(&model, damaged).unwrap();
    match KokoroVoice::load(&Assets::locate(), &pack, &KokoroPlan::default()) {
        Err(TtsError::Asset(error)) => fixture::skipped(&error),
        other => {
            let said = other.unwrap_err().to_string();
            assert!(said.contains("model.onnx is damaged") && said.contains("install it again"), "{said}");
        }
    }
}

#[test]
fn a_sound_pack_says_what_it_is_and_is_not_tried_twice() {
    let directory = tempfile::tempdir().unwrap();
    let pack = kokoro_graph(directory.path());
    if load(&pack, &KokoroPlan::default()).is_none() {
        return;
    }
    let said = probe::load(&Assets::locate(), &pack).unwrap();
    assert!(said.starts_with("named: Kokoro on ONNX Runtime, 24000 Hz, 2 voices"), "{said}");
    let assets = Assets::locate();
    probe::note(&assets, &pack, &said).unwrap();
    assert!(probe::tried(&assets, &pack).is_some());
    fs::write(pack.directory().join("build/voices/bm_two.bin"), [0; 522_240]).unwrap();
    assert_eq!(probe::tried(&assets, &pack), None, "another speaker");
}

#[test]
fn the_catalogue_knows_the_published_one_by_its_speakers() {
    let pack = known("kokoro-82m-int8").unwrap();
    let speakers = pack.speakers();
    assert_eq!((pack.kind, speakers.len(), speakers[0]), (Kind::Tts, 28, "af_heart"));
    assert!(speakers.iter().all(|name| ["af_", "am_", "bf_", "bm_"].iter().any(|kind| name.starts_with(kind))));
}

/// The published pack, where it is: the directory that `CALLWRIGHT_TEST_KOKORO` names (its archive's `package`), or
/// installed below `var/models`.
fn published() -> Option<Installed> {
    let pack: &Pack = known("kokoro-82m-int8")?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let named = std::env::var_os("CALLWRIGHT_TEST_KOKORO").map(PathBuf::from);
    let installed = Shelf::open(root.join("var/models")).find(&pack.name);
    let found = named.map(|directory| Installed { pack: pack.clone(), directory }).or(installed);
    if found.is_none() {
        fixture::skipped(&"the published voice is not here; CALLWRIGHT_TEST_KOKORO=DIRECTORY names it");
    }
    found
}

/// Seconds on a core of all threads of this process so far.
fn cpu_s() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = |path: PathBuf| fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse::<f64>().ok();
    tasks.filter_map(|task| nanos(task.path())).sum::<f64>() / 1e9
}

/// Prints what it costs, the median of `CALLWRIGHT_TEST_ROUNDS`; times are not judged, other work on the machine makes them
/// worse.
#[test]
#[expect(clippy::print_stderr, reason = "what it took is printed")]
fn the_published_voice_speaks_as_long_as_a_person_would() {
    let Some(pack) = published() else { return };
    check::check(&pack).unwrap();
    let rounds = std::env::var("CALLWRIGHT_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    for (name, threads) in [("af_heart", 1), ("bm_george", 2)] {
        let before = cpu_s();
        let Some(mut voice) = load(&pack, &KokoroPlan { threads, ..speaker(name) }) else { return };
        eprintln!("{name}, {threads} threads: loaded with {:.2} s of CPU", cpu_s() - before);
        for text in [
            "Hello, I'm Grace.",
            "Your number is five five five.",
            "The build is finished, and all of its twelve tests have passed.",
        ] {
            let words = text.split(' ').count();
            let (mut cpu, mut wall) = (Vec::new(), Vec::new());
            let mut samples = Vec::new();
            for _ in 0..rounds {
                let (began, before) = (Instant::now(), cpu_s());
                samples = say(&mut voice, text);
                cpu.push(cpu_s() - before);
                wall.push(began.elapsed().as_secs_f64());
            }
            cpu.sort_by(f64::total_cmp);
            wall.sort_by(f64::total_cmp);
            let seconds = samples.len() as f64 / 24_000.0;
            let factor = cpu[rounds / 2] / seconds;
            eprintln!(
                "{words:>2} words: {seconds:.2} s of audio, CPU {:.2} s ({factor:.2}), wall {:.2} s",
                cpu[rounds / 2],
                wall[rounds / 2]
            );
            assert!((0.15..0.9).contains(&(seconds / words as f64)), "{seconds} s for {words} words");
            let loud = peak(&samples);
            assert!((4000..=32_768).contains(&loud), "{loud}");
        }
    }
}
