//! Engines elsewhere as an operator configures them: keys, addresses, and what a caller hears when they fail. The providers
//! are doubles on the loopback. Skipped, loudly, on a machine without the local engines (`make setup`).
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod ears;
#[allow(dead_code, reason = "each test file uses its part")]
mod provider_doubles;

use callwright::config::{EngineChoice, Providers};
use callwright::conversation::Expectation;
use callwright::id::{Generation, UtteranceId};
use callwright::speech::{AgentSpeech, Part, SpeechConfig, SpeechEvent};
use ears::{Rig, config, start, turn};
use provider_doubles::deepgram::{self, Script};
use provider_doubles::{Double, elevenlabs, tone};
use std::path::Path;
use tempfile::TempDir;

/// A directory with a key, and access to all providers at `url`.
fn providers(url: &str) -> (TempDir, Providers) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "k-123\n").unwrap();
    let mut providers = Providers::default();
    for provider in [&mut providers.deepgram, &mut providers.openai, &mut providers.elevenlabs] {
        provider.api_key_file = Some(file.clone());
        provider.url = Some(url.to_owned());
        // Only a fault of ours misses this, however busy the machine is.
        provider.asr_deadline_ms = Some(5000);
        provider.voice_deadline_ms = Some(5000);
    }
    (directory, providers)
}

fn speech(asr: &str, voice: &str, providers: Providers) -> SpeechConfig {
    let choice = |text| EngineChoice::parse(text).unwrap();
    let vocabulary = vec!["Callwright".to_owned()];
    let agents = vec![AgentSpeech { name: "grace".into(), vocabulary, ..AgentSpeech::default() }];
    SpeechConfig { asr: choice(asr), voice: choice(voice), providers, agents, ..config() }
}

fn engine(rig: &Rig, part: Part) -> String {
    let engines = rig.plane.engines();
    let engine = engines.iter().find(|engine| engine.part == part).unwrap();
    assert!(engine.ready);
    format!("{}{}", if engine.limited { "limited: " } else { "" }, engine.in_words())
}

#[test]
fn deepgram_hears_a_call_and_the_embedded_recogniser_stands_behind_it() {
    let double = Double::start(|mut exchange| {
        if exchange.before == 0 {
            let words = [("elephants", 0.1, 0.6, 0.98), ("please", 0.6, 0.9, 0.96)];
            let finalized = vec![deepgram::results(&words, true, true)];
            let _ = deepgram::listen(exchange, &Script { finalized, close: Some((1000, "")), ..Script::default() });
        } else {
            exchange.answer("500 Internal Server Error", &[], b"");
        }
    });
    let (_directory, providers) = providers(&double.url());
    let Some(rig) = start(&speech("deepgram", "slt", providers)) else { return };
    assert!(engine(&rig, Part::Asr).starts_with("deepgram, behind it moonshine"), "{}", engine(&rig, Part::Asr));
    let mut call = rig.call();
    let said = turn("rms", "please build me a crm with contacts and deals");
    // No engine of this machine knows such a word.
    let (text, confidence) = call.hear(Expectation::Open, &said);
    assert_eq!(text, "elephants please");
    assert!(confidence > 0.9, "{confidence}");
    assert_eq!(double.seen()[0].query("keyterm"), ["Callwright"]);
    for _ in 0..3 {
        let (text, _) = call.hear(Expectation::Open, &said);
        assert_eq!(text, "please build me a crm with contacts and deals", "heard on this machine");
    }
    let status = engine(&rig, Part::Asr);
    assert!(status.starts_with("limited: deepgram") && status.contains("left alone for now"), "{status}");
    let asked = double.seen().len();
    call.hear(Expectation::Open, &said);
    assert_eq!(double.seen().len(), asked, "nobody waits for it now");
}

#[test]
fn elevenlabs_speaks_in_a_call() {
    let double = Double::start(|mut exchange| {
        exchange.begin("application/json");
        exchange
            .piece(elevenlabs::line(&tone(16_000), &[("H", 0.0, 0.4), ("i", 0.4, 0.9), (".", 0.9, 1.0)]).as_bytes());
        exchange.end();
    });
    let (_directory, providers) = providers(&double.url());
    let Some(rig) = start(&speech("pocketsphinx", "elevenlabs:rachel", providers)) else { return };
    assert_eq!(engine(&rig, Part::Tts), "elevenlabs:rachel");
    let mut call = rig.call();
    call.lane.speak(UtteranceId(1), Generation(0), "Hi.");
    let (words, samples) = call.wait("spoken", |event| match event {
        SpeechEvent::Spoken { words, samples, .. } => Some((words.clone(), *samples)),
        _ => None,
    });
    assert_eq!(words.len(), 1);
    assert_eq!(words[0].word, "Hi.");
    assert!((7000..12_000).contains(&samples), "{samples}");
    let body: serde_json::Value = serde_json::from_slice(&double.seen().last().unwrap().body).unwrap();
    assert_eq!(body["text"], "Hi.");
}

#[test]
fn a_voice_that_fails_is_stood_in_for_in_the_same_breath() {
    let double = Double::start(|mut exchange| exchange.answer("500 Internal Server Error", &[], b""));
    let (_directory, providers) = providers(&double.url());
    let Some(rig) = start(&speech("pocketsphinx", "openai:alloy", providers)) else { return };
    let mut call = rig.call();
    for n in 1..=4 {
        call.lane.speak(UtteranceId(n), Generation(0), "Your app is live.");
        let (words, samples) = call.wait("spoken", |event| match event {
            SpeechEvent::Spoken { words, samples, .. } => Some((words.len(), *samples)),
            _ => None,
        });
        assert_eq!(words, 4);
        assert!(samples > 4000, "{samples} samples of the built-in voice");
    }
    assert!(double.seen().len() <= 3, "three failures, then it is left alone");
    let status = engine(&rig, Part::Tts);
    assert!(status.starts_with("limited: openai:alloy"), "{status}");
}

#[test]
fn without_a_key_this_machines_engines_serve_and_say_so() {
    let mut none = Providers::default();
    none.deepgram.api_key_file = Some(Path::new("/nonexistent/key").to_owned());
    none.elevenlabs.api_key_file = Some(Path::new("/nonexistent/key").to_owned());
    let Some(rig) = start(&speech("deepgram", "elevenlabs:rachel", none)) else { return };
    for (part, stands_in) in [(Part::Asr, "moonshine"), (Part::Tts, "flite slt")] {
        let status = engine(&rig, part);
        assert!(status.starts_with(&format!("limited: {stands_in}")), "{status}");
        assert!(status.contains("/nonexistent/key cannot be read"), "{status}");
    }
}
