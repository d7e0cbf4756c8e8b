//! A pack that judges ends of turns, from the shelf to the call: asked once a pause with the turn so far, off the ears'
//! thread; broken, it costs nothing but itself, and the embedded model judges. Skipped, loudly, on a machine without the engines (`make setup`).

mod ears;

use callwright::speech::{Part, SpeechConfig, SpeechEvent};
use callwright_models::double::write_turn_end_pack;
use callwright_models::pack::{Record, Shelf};
use ears::{config, line, said, start};
use std::collections::BTreeMap;
use std::path::Path;

/// Puts the pack's double on a shelf and makes it the one that serves.
fn shelve(models: &Path) -> SpeechConfig {
    let shelf = Shelf::open(models);
    std::fs::create_dir_all(models).unwrap();
    let lock = shelf.lock().unwrap();
    let staging = shelf.staging(&lock).unwrap();
    let pack = write_turn_end_pack(&staging).unwrap().pack;
    let name = pack.name.clone();
    let record = Record {
        sha256: String::new(),
        pinned: false,
        source: "a test".to_owned(),
        verified: String::new(),
        digests: BTreeMap::new(),
        pack,
    };
    shelf.place(&lock, &staging, &record).unwrap();
    shelf.activate(&lock, &name).unwrap();
    SpeechConfig { models: models.to_path_buf(), ..config() }
}

#[test]
fn a_pause_is_judged_once_with_what_was_said_before_it() {
    let place = tempfile::tempdir().unwrap();
    let Some(rig) = start(&shelve(place.path())) else { return };
    let status = rig.plane.engines().into_iter().find(|engine| engine.part == Part::EndOfTurn).unwrap();
    assert!(status.ready && !status.limited, "{status:?}");
    let mut call = rig.call();
    let speech = said("rms", "build me an app for my customers please");
    let mut audio = vec![0; 4000];
    audio.extend(&speech);
    let spoken_to = audio.len() as u64;
    audio.extend([0; 8000]);
    call.feed(&line(&audio));
    let (at, probability) = call.wait("judgement", |event| match event {
        SpeechEvent::EndOfTurn { at, probability } => Some((at.0, *probability)),
        _ => None,
    });
    let quiet_ms = (at as i64 - spoken_to as i64) / 8;
    assert!((70..=260).contains(&quiet_ms), "judged {quiet_ms} ms after the speech");
    assert!(probability > 0.9, "{probability}");
    call.lane.finalize();
    call.wait("final", |event| matches!(event, SpeechEvent::Final { .. }).then_some(()));
    let more = call.seen.iter().filter(|event| matches!(event, SpeechEvent::EndOfTurn { .. })).count();
    // A stop inside a word may be a pause to the ear, never two.
    assert!(more <= 1, "{more} further judgements");
}

#[test]
fn a_broken_pack_is_said_and_the_embedded_model_judges() {
    let place = tempfile::tempdir().unwrap();
    let config = shelve(place.path());
    let model = Shelf::open(place.path()).installed()[0].file("model").unwrap();
    std::fs::write(model, "no model").unwrap();
    let Some(rig) = start(&config) else { return };
    let status = rig.plane.engines().into_iter().find(|engine| engine.part == Part::EndOfTurn).unwrap();
    assert!(status.ready && status.limited, "{status:?}");
    assert!(status.in_words().contains("models install callwright-double-turn-end"), "{}", status.in_words());
    let embedded = callwright_models::Assets::locate().end_of_turn().is_ok();
    assert_eq!(status.name, if embedded { "smart-turn-v3.2-cpu" } else { "silence" });
    let mut call = rig.call();
    call.feed(&ears::turn("rms", "hello"));
    call.lane.finalize();
    call.wait("final", |event| matches!(event, SpeechEvent::Final { .. }).then_some(()));
}
