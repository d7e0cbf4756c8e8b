//! Which engine serves whom: packs by name and as the active one, agents with engines of their own, and what stands in for
//! what cannot be loaded. The pack is the double, in the real engine. Skipped, loudly, where sherpa-onnx is not installed.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod ears;

use callwright::config::EngineChoice;
use callwright::conversation::{Expectation, domain};
use callwright::os::wake::Wake;
use callwright::speech::{AgentSpeech, EngineStatus, Part, SpeechConfig, SpeechError, SpeechEvent, SpeechPlane};
use callwright::telemetry::Marks;
use callwright_models::Assets;
use callwright_models::double;
use callwright_models::pack::{Record, Shelf};
use ears::{Rig, config, line, turn};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A shelf with the double on it and active; `None` where it cannot be heard.
fn shelf(directory: &Path) -> Option<Shelf> {
    let assets = Assets::locate();
    if let Err(error) = assets.sherpa() {
        eprintln!("skipped: {error}");
        return None;
    }
    let shelf = Shelf::open(directory);
    let lock = shelf.lock().unwrap();
    let staging = shelf.staging(&lock).unwrap();
    double::write_pack(&assets, &staging).unwrap();
    let record = Record {
        sha256: String::new(),
        pinned: false,
        source: "a test".into(),
        verified: "by a test".into(),
        digests: BTreeMap::new(),
        pack: double::pack(),
    };
    shelf.place(&lock, &staging, &record).unwrap();
    shelf.activate(&lock, double::NAME).unwrap();
    Some(shelf)
}

fn choice(text: &str) -> EngineChoice {
    EngineChoice::parse(text).unwrap()
}

fn with(models: &Path) -> SpeechConfig {
    let program = Some(env!("CARGO_BIN_EXE_callwright").into());
    SpeechConfig { models: models.to_owned(), program, recognisers: 2, ..config() }
}

fn start(config: &SpeechConfig) -> Rig {
    let wake = Wake::new().unwrap();
    let wakes = vec![wake.try_clone().unwrap()];
    let marks = Arc::new(Marks::new());
    Rig { plane: SpeechPlane::start(config, &Assets::locate(), &domain(), wakes, marks).unwrap(), wake }
}

fn asr(rig: &Rig) -> Vec<EngineStatus> {
    rig.plane.engines().iter().filter(|engine| engine.part == Part::Asr).cloned().collect()
}

/// What the double knows, as it knows it.
fn known(sentence: &str) -> Vec<i16> {
    let mut samples = vec![0; 4000];
    samples.extend(double::say(&Assets::locate(), sentence).unwrap());
    samples.extend([0; 8000]);
    line(&samples)
}

#[test]
fn the_active_pack_hears_with_partials_and_the_embedded_engine_where_it_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_shelf) = shelf(directory.path()) else { return };
    let agent = |name: &str, asr: Option<&str>, words: &[&str]| AgentSpeech {
        name: name.into(),
        asr: asr.map(choice),
        vocabulary: words.iter().map(|word| (*word).to_owned()).collect(),
        ..AgentSpeech::default()
    };
    let agents = vec![
        agent("grace", None, &[]),
        agent("max", Some("pocketsphinx"), &["marmalade sandwich"]),
        agent("eve", Some(double::NAME), &[]),
    ];
    let rig = start(&SpeechConfig { agents, ..with(directory.path()) });
    let engines = asr(&rig);
    assert_eq!(engines.len(), 3, "{engines:?}");
    let of = |agent: &str| engines.iter().find(|engine| engine.agents.contains(&agent.to_owned())).unwrap();
    for agent in ["grace", "eve"] {
        let engine = of(agent);
        assert!(engine.ready && !engine.limited && engine.name.contains(double::NAME), "{engine:?}");
    }
    assert!(of("max").limited && of("max").name.contains("pocketsphinx"), "{:?}", of("max"));
    // Both of those who want the pack have its two places: one engine, loaded once.
    let sentence = "please build me a crm with contacts and deals";
    for agent in ["grace", "eve"] {
        let mut call = rig.try_call_to(agent).unwrap();
        assert_eq!(call.hear(Expectation::Open, &known(sentence)).0, sentence, "{agent}");
        assert!(call.seen.iter().any(|event| matches!(event, SpeechEvent::Partial { .. })), "{:?}", call.seen);
    }
    let mut call = rig.try_call_to("max").unwrap();
    let (text, _) = call.hear(Expectation::Open, &turn("rms", "marmalade sandwich"));
    assert_eq!(text, "marmalade sandwich", "a word of his own");
    drop(rig);
}

#[test]
fn many_callers_share_the_places_of_a_pack() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_shelf) = shelf(directory.path()) else { return };
    let rig = start(&with(directory.path()));
    let speech = known("i need a crm with contacts and deals");
    let mut calls: Vec<_> = (0..5).map(|_| rig.call()).collect();
    for call in &mut calls {
        call.feed(&speech);
        call.lane.finalize();
    }
    for call in &mut calls {
        let text = call.wait("final", |event| match event {
            SpeechEvent::Final { text, .. } => Some(text.clone()),
            _ => None,
        });
        assert_eq!(text, "i need a crm with contacts and deals");
    }
}

#[test]
fn what_cannot_be_loaded_is_named_with_what_mends_it_and_the_embedded_engine_serves() {
    let directory = tempfile::tempdir().unwrap();
    let Some(shelf) = shelf(directory.path()) else { return };
    let pack = shelf.find(double::NAME).unwrap();
    let model = pack.file("model").unwrap();
    let whole = std::fs::read(&model).unwrap();
    std::fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    let install = format!("callwright models install {}", double::NAME);
    for (wanted, said, mend) in [
        ("auto", "model.onnx", install.as_str()),
        (double::NAME, "model.onnx", install.as_str()),
        ("no-such-pack", "no-such-pack", "callwright models install no-such-pack"),
    ] {
        let rig = start(&SpeechConfig { asr: choice(wanted), recognisers: 1, ..with(directory.path()) });
        let [engine] = asr(&rig).try_into().unwrap();
        assert!(engine.ready && engine.limited && engine.name.contains("moonshine"), "{wanted}: {engine:?}");
        assert!(engine.wanted == wanted && engine.note.contains(said), "{wanted}: {engine:?}");
        if wanted != "no-such-pack" {
            assert_eq!(engine.mend.as_deref(), Some(mend), "{engine:?}");
            let mut call = rig.call();
            let said = "please build me a crm with contacts and deals";
            assert_eq!(call.hear(Expectation::Open, &turn("rms", said)).0, said);
        }
    }
    // Mended, it serves at the next start.
    std::fs::write(&model, whole).unwrap();
    let rig = start(&with(directory.path()));
    assert!(asr(&rig)[0].name.contains(double::NAME), "{:?}", asr(&rig));
}

#[test]
fn without_its_own_file_a_program_loads_no_pack() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_shelf) = shelf(directory.path()) else { return };
    let rig = start(&SpeechConfig { program: None, recognisers: 1, ..with(directory.path()) });
    assert!(asr(&rig)[0].note.contains("cannot be tried"), "{:?}", asr(&rig));
}

#[test]
fn agents_speak_with_voices_of_their_own() {
    if Assets::locate().silero().is_err() {
        eprintln!("skipped: run make setup");
        return;
    }
    let agent = |name: &str, voice: Option<&str>| AgentSpeech {
        name: name.into(),
        voice: voice.map(choice),
        ..AgentSpeech::default()
    };
    let agents = vec![agent("grace", None), agent("max", Some("rms")), agent("eve", Some("nobody"))];
    let rig = start(&SpeechConfig { agents, recognisers: 1, ..config() });
    let voices: Vec<_> = rig.plane.engines().iter().filter(|engine| engine.part == Part::Tts).cloned().collect();
    let of = |agent: &str| voices.iter().find(|engine| engine.agents.contains(&agent.to_owned())).unwrap().clone();
    assert_eq!((of("grace").name.as_str(), of("max").name.as_str()), ("flite slt", "flite rms"));
    assert!(of("eve").name == "flite slt" && of("eve").note.contains("nobody"), "{:?}", of("eve"));
    let mut pitch = Vec::new();
    for name in ["grace", "max", "eve"] {
        let mut call = rig.try_call_to(name).unwrap();
        call.lane.speak(callwright::id::UtteranceId(1), callwright::id::Generation(0), "Hello there, how are you?");
        let frames = call.play(callwright::id::UtteranceId(1));
        let pcm: Vec<i16> = frames.iter().flat_map(|frame| frame.samples().to_vec()).collect();
        pitch.push(pcm);
    }
    assert!(pitch[0] != pitch[1] && pitch[0] == pitch[2], "one voice each, and the embedded one for whoever has none");
    assert!(matches!(rig.plane.stream(callwright::id::CallId(1), Some("zoe")), Err(SpeechError::NoAgent { .. })));
}
