//! Packs through the real library, with models that were made for it: what they say, and that no pack, however broken, and
//! no library, however wrong, ends the process.

mod fixture;

use callwright_models::asr::{Hypothesis, OnlineEngine, OnlinePlan, OnlineTurn};
use callwright_models::pack::Installed;
use callwright_models::tts::{SherpaVoice, VoicePlan};
use callwright_models::{Assets, sherpa};
use std::ops::ControlFlow;

/// Nothing to test where the library is not installed; said once by each test.
fn assets() -> Option<Assets> {
    let assets = Assets::locate();
    match sherpa::version(&assets) {
        Ok(_) => Some(assets),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn engine(assets: &Assets, pack: &Installed) -> OnlineEngine {
    OnlineEngine::load(assets, pack, &OnlinePlan::default()).unwrap()
}

fn heard(engine: &mut OnlineEngine, mut turn: OnlineTurn) -> Hypothesis {
    engine.finish(&mut turn);
    engine.decode([&mut turn], usize::MAX);
    engine.result(&turn)
}

#[test]
fn a_turn_is_heard_to_its_last_letter_whatever_its_length() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::tone(directory.path()));
    for text in ["a", "no", "bones", "no sense", "sane bees on a bone so no one sees"] {
        let mut turn = engine.begin().unwrap();
        for piece in fixture::spoken(text).chunks(160) {
            turn.accept(piece);
            engine.decode([&mut turn], usize::MAX);
        }
        let heard = heard(&mut engine, turn);
        assert_eq!(heard.text, text);
        assert_eq!(heard.words.iter().map(|w| w.word.as_str()).collect::<Vec<_>>().join(" "), text);
        assert!(heard.confidence > 0.5, "{heard:?}");
    }
}

#[test]
fn words_have_the_times_at_which_they_were_said() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::tone(directory.path()));
    let mut turn = engine.begin().unwrap();
    turn.accept(&fixture::spoken("no"));
    turn.accept(&[0; 2400]);
    turn.accept(&fixture::spoken(" sob"));
    let heard = heard(&mut engine, turn);
    // A frame of 30 ms, then each letter and its silence take 60 ms; " sob" begins 150 + 300 ms into the turn.
    let times: Vec<_> = heard.words.iter().map(|w| (w.word.as_str(), w.start_ms)).collect();
    assert_eq!(times, [("no", 30), ("sob", 540)]);
    assert!(heard.words[0].end_ms > 90 && heard.words[0].end_ms <= 480, "{heard:?}");
}

#[test]
fn words_come_while_the_caller_speaks() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::tone(directory.path()));
    let mut turn = engine.begin().unwrap();
    let mut last = String::new();
    let mut grew = 0;
    for piece in fixture::spoken("no one sees a bone on a base").chunks(160) {
        turn.accept(piece);
        engine.decode([&mut turn], usize::MAX);
        let partial = engine.partial(&turn);
        assert!(partial.starts_with(last.trim_end()), "'{partial}' after '{last}'");
        grew += usize::from(partial != last);
        last = partial;
    }
    assert!(grew >= 4, "grew {grew} times");
}

#[test]
fn turns_that_are_decoded_together_do_not_mix() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::tone(directory.path()));
    let texts = ["no one", "bees", "a", "sane bones on a base", "so"];
    let mut turns: Vec<_> = texts.iter().map(|_| engine.begin().unwrap()).collect();
    let spoken: Vec<_> = texts.iter().map(|text| fixture::spoken(text)).collect();
    for at in (0..24_000).step_by(400) {
        for (turn, spoken) in turns.iter_mut().zip(&spoken) {
            turn.accept(spoken.get(at..(at + 400).min(spoken.len())).unwrap_or_default());
        }
        engine.decode(turns.iter_mut(), usize::MAX);
    }
    for (turn, text) in turns.into_iter().zip(texts) {
        assert_eq!(heard(&mut engine, turn).text, text);
    }
}

#[test]
fn a_model_for_one_turn_at_a_time_serves_many() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    let model = fixture::tone_model(fixture::TONE_METADATA, fixture::Axis::Is(1), fixture::LETTERS.len());
    std::fs::write(pack.file("model").unwrap(), model).unwrap();
    let mut engine = engine(&assets, &pack);
    let mut turns = [engine.begin().unwrap(), engine.begin().unwrap()];
    turns[0].accept(&fixture::spoken("bees"));
    turns[1].accept(&fixture::spoken("on a base"));
    for turn in &mut turns {
        engine.finish(turn);
    }
    engine.decode(turns.iter_mut(), usize::MAX);
    assert_eq!(turns.map(|turn| engine.result(&turn).text), ["bees", "on a base"]);
}

#[test]
fn silence_is_no_words() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::tone(directory.path()));
    for length in [0, 1, 799, 2400, 24_000] {
        let mut turn = engine.begin().unwrap();
        turn.accept(&vec![0; length]);
        let heard = heard(&mut engine, turn);
        assert_eq!((heard.text.as_str(), heard.words.len(), heard.confidence), ("", 0, 0.0));
    }
}

#[test]
fn turns_outlive_their_engine() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::tone(directory.path());
    let mut engine = engine(&assets, &pack);
    let mut turn = engine.begin().unwrap();
    drop(engine);
    turn.accept(&fixture::spoken("no"));
    let mut other = OnlineEngine::load(&assets, &pack, &OnlinePlan::default()).unwrap();
    assert_eq!(other.decode([&mut turn], 9), 0, "another engine's turn is left alone");
    assert_eq!(other.result(&turn).text, "");
}

#[test]
fn the_voice_says_every_word_and_stops_between_sentences() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut voice = SherpaVoice::load(&assets, &fixture::piper(directory.path()), VoicePlan::default()).unwrap();
    assert_eq!((voice.sample_rate(), voice.speakers()), (22_050, 1));
    let mut said = |text: &str, sentences: usize| {
        let mut chunks = Vec::new();
        voice
            .speak(text, &mut |chunk| {
                chunks.push(chunk.len());
                if chunks.len() == sentences { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        chunks
    };
    let one = said("Hello.", 9);
    assert_eq!(one.len(), 1);
    // h ə l ˈ o ʊ . with padding between and marks around.
    assert!(one[0] >= 7 * fixture::PHONEME_SAMPLES, "{one:?}");
    let unknown = said("Zxqv.", 9);
    assert!(unknown[0] > one[0], "a word that no dictionary has is spelled: {unknown:?}");
    assert_eq!(said("One. Two. Three.", 9).len(), 3);
    assert_eq!(said("One. Two. Three.", 2).len(), 2);
    assert_eq!(said(" ... ", 9).len(), 0);
}

#[test]
fn one_copy_of_the_runtime_serves_both() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    drop(engine(&assets, &fixture::tone(directory.path())));
    drop(callwright_models::vad::Silero::load(&assets).unwrap());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut copies: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("libonnxruntime"))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    copies.sort_unstable();
    copies.dedup();
    assert_eq!(copies.len(), 1, "{copies:?}");
}
