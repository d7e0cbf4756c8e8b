//! Packs through the real library, with models that were made for it: what they say, and that no pack, however broken, and
//! no library, however wrong, ends the process.

mod fixture;

use callwright_models::asr::{Hypothesis, OfflineEngine, OfflinePlan, OnlineEngine, OnlinePlan, OnlineTurn};
use callwright_models::double::onnx::Dim;
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
            fixture::skipped(&error);
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
        // It gives no probabilities: below what approves by itself (0.5), above what is not believed at all (0.4).
        assert!(heard.confidence > 0.4 && heard.confidence < 0.5, "{heard:?}");
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
    let model = fixture::tone_model(fixture::TONE_METADATA, Dim::Fixed(1), 10);
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

fn scripted(assets: &Assets, pack: &Installed, vocabulary: &[&str]) -> (OnlineEngine, Hypothesis) {
    let vocabulary = vocabulary.iter().map(|word| (*word).to_owned()).collect();
    let mut engine = OnlineEngine::load(assets, pack, &OnlinePlan { vocabulary, ..OnlinePlan::default() }).unwrap();
    let mut turn = engine.begin().unwrap();
    for piece in fixture::noises(3).chunks(160) {
        turn.accept(piece);
        engine.decode([&mut turn], usize::MAX);
    }
    let heard = heard(&mut engine, turn);
    (engine, heard)
}

#[test]
fn a_transducer_says_how_sure_it_is_and_when() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (_, heard) = scripted(&assets, &fixture::script(directory.path()), &[]);
    assert_eq!(heard.text, "call me now");
    let [call, me, now] = heard.words.as_slice() else { panic!("{heard:?}") };
    // ME could have been MI, nearly as well.
    assert!(call.posterior > 0.95 && now.posterior > 0.95 && (0.5..0.65).contains(&me.posterior), "{heard:?}");
    let product = call.posterior * me.posterior * now.posterior;
    assert!((heard.confidence - product.cbrt()).abs() < 0.001, "{heard:?}");
    for (word, said_ms) in heard.words.iter().zip([200, 460, 720]) {
        assert!(word.start_ms.abs_diff(said_ms) <= 120, "{heard:?}");
    }
}

#[test]
fn expected_words_win_where_the_model_wavers() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::script(directory.path());
    let (engine, heard) = scripted(&assets, &pack, &["Call Mia!", "call mia", "Grüße", "42", ""]);
    assert_eq!((engine.hotwords(), engine.note()), (1, ""));
    assert_eq!(heard.text, "call mia", "{heard:?}");
    let words: Vec<_> = heard.words.iter().map(|w| w.word.as_str()).collect();
    assert_eq!(words, ["call", "mia"]);
    assert!(heard.confidence > 0.3 && heard.confidence < 1.0, "{heard:?}");
    // A vocabulary that the model cannot write changes nothing, and is said.
    let (engine, heard) = scripted(&assets, &pack, &["Zürich"]);
    assert_eq!((engine.hotwords(), heard.text.as_str()), (0, "call me now"));
    assert!(engine.note().contains("cannot write it"), "{}", engine.note());
    // Without pieces it cannot be spelled.
    std::fs::remove_file(pack.directory().join("bpe.model")).unwrap();
    let (engine, _) = scripted(&assets, &pack, &["call mia"]);
    assert!(engine.note().contains("no bpe.model"), "{}", engine.note());
    let leftovers = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours = format!("callwright-pieces-{}-", std::process::id());
    assert!(!leftovers.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&ours)));
}

#[test]
fn transducer_turns_are_decoded_together() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&assets, &fixture::script(directory.path()));
    let mut turns: Vec<_> = (0..4).map(|_| engine.begin().unwrap()).collect();
    for (count, turn) in turns.iter_mut().enumerate() {
        turn.accept(&fixture::noises(count));
        engine.finish(turn);
    }
    engine.decode(turns.iter_mut(), usize::MAX);
    let texts: Vec<String> = turns.iter().map(|turn| engine.result(turn).text).collect();
    assert_eq!(texts, ["", "call", "call me", "call me now"]);
}

#[test]
fn nemos_models_are_heard_alone_and_together() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let expected = [
        (fixture::nemo_ctc(directory.path()), ["", "yes", "yes yes", "yes yes yes"], [200, 460, 720]),
        // It may write several symbols at once.
        (fixture::nemo_transducer(directory.path()), ["", "call me now", "call me now", "call me now"], [200; 3]),
    ];
    for (pack, texts, said) in expected {
        let mut engine = engine(&assets, &pack);
        let mut turns: Vec<_> = (0..4).map(|_| engine.begin().unwrap()).collect();
        for (count, turn) in turns.iter_mut().enumerate() {
            turn.accept(&fixture::noises(count));
            engine.finish(turn);
        }
        engine.decode(turns.iter_mut(), usize::MAX);
        let heard: Vec<Hypothesis> = turns.iter().map(|turn| engine.result(turn)).collect();
        assert_eq!(heard.iter().map(|heard| heard.text.as_str()).collect::<Vec<_>>(), texts, "{}", pack.pack.name);
        for (word, said_ms) in heard[3].words.iter().zip(said) {
            assert!(word.start_ms.abs_diff(said_ms) <= 120, "{}: {heard:?}", pack.pack.name);
        }
        let mut alone = engine.begin().unwrap();
        for piece in fixture::noises(3).chunks(160) {
            alone.accept(piece);
            engine.decode([&mut alone], usize::MAX);
        }
        engine.finish(&mut alone);
        engine.decode([&mut alone], usize::MAX);
        assert_eq!(engine.result(&alone).text, texts[3], "{}", pack.pack.name);
    }
}

#[test]
fn a_whole_turn_is_recognised_with_its_times() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::bursts(directory.path());
    let mut engine = OfflineEngine::load(&assets, &pack, &OfflinePlan::default()).unwrap();
    for count in [0, 1, 2, 5] {
        let heard = engine.recognise(&fixture::noises(count)).unwrap();
        assert_eq!(heard.text, vec!["yes"; count].join(" "), "{heard:?}");
        for (n, word) in heard.words.iter().enumerate() {
            let said_ms = 200 + 260 * n as u32;
            assert!(word.start_ms.abs_diff(said_ms) <= 120, "{said_ms}: {heard:?}");
        }
        assert_eq!(heard.words.len(), count);
    }
    for length in [0, 1, 160, 30 * 8000] {
        assert_eq!(engine.recognise(&vec![0; length]).unwrap().text, "");
    }
}

#[test]
fn a_transducer_of_whole_turns_says_how_sure_it_is() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pack = fixture::parakeet(directory.path());
    let mut engine = OfflineEngine::load(&assets, &pack, &OfflinePlan::default()).unwrap();
    assert_eq!(engine.recognise(&fixture::noises(0)).unwrap().text, "");
    let heard = engine.recognise(&fixture::noises(1)).unwrap();
    assert_eq!(heard.text, "call me now");
    assert!(heard.words.len() == 3 && heard.words[0].start_ms.abs_diff(200) <= 60, "{heard:?}");
    // From the probabilities, not for want of them.
    assert!(heard.confidence > 0.5 && heard.confidence != 0.7, "{heard:?}");
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
    let mut voice =
        SherpaVoice::load(&assets, &fixture::voices::piper(directory.path()), VoicePlan::default()).unwrap();
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
    assert!(one[0] >= 7 * fixture::voices::PHONEME_SAMPLES, "{one:?}");
    let unknown = said("Zxqv.", 9);
    assert!(unknown[0] > one[0], "a word that no dictionary has is spelled: {unknown:?}");
    assert_eq!(said("One. Two. Three.", 9).len(), 3);
    assert_eq!(said("One. Two. Three.", 2).len(), 2);
    assert_eq!(said(" ... ", 9).len(), 0);
}

#[test]
fn words_of_the_packs_lexicon_are_said_by_it_and_others_all_the_same() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut pack = fixture::voices::piper(directory.path());
    // Said otherwise than in the general dictionary, so that one can tell.
    std::fs::write(pack.directory().join("lexicon.txt"), "hello h ə l ˈ o ʊ h ə l ˈ o ʊ\n").unwrap();
    pack.pack.files.insert("lexicon".into(), "lexicon.txt".into());
    let mut voice = SherpaVoice::load(&assets, &pack, VoicePlan::default()).unwrap();
    let (own, _) = said(&mut voice, "hello.");
    let (mixed, _) = said(&mut voice, "hello world.");
    assert!(own >= 12, "{own}");
    assert!(mixed >= own + 5, "the word that the lexicon lacks is said too: {mixed} after {own}");
    let mut hinted = 0;
    voice
        .speak_words("hello.", &[(0, "b iy1")], &mut |chunk| {
            hinted += chunk.len() / fixture::voices::PHONEME_SAMPLES;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(hinted < own, "{hinted}");
    let refused = SherpaVoice::load(&assets, &pack, VoicePlan { speaker: 1, ..VoicePlan::default() });
    assert!(refused.unwrap_err().to_string().contains("no speaker 1"));
}

/// Length in phonemes, and the largest sample.
fn said(voice: &mut SherpaVoice, text: &str) -> (usize, i16) {
    let (mut samples, mut peak) = (0, 0);
    voice
        .speak(text, &mut |chunk| {
            samples += chunk.len();
            peak = peak.max(chunk.iter().copied().max().unwrap_or(0));
            ControlFlow::Continue(())
        })
        .unwrap();
    (samples / fixture::voices::PHONEME_SAMPLES, peak)
}

#[test]
fn every_kind_of_voice_speaks() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    for pack in [
        fixture::voices::piper(&directory.path().join("piper")),
        fixture::voices::matcha(&directory.path().join("matcha")),
        fixture::voices::kitten(&directory.path().join("kitten")),
        fixture::voices::kokoro(&directory.path().join("kokoro")),
    ] {
        let family = pack.pack.family;
        let mut voice = SherpaVoice::load(&assets, &pack, VoicePlan::default()).unwrap();
        let (short, peak) = said(&mut voice, "hello.");
        let (long, _) = said(&mut voice, "hello world.");
        assert!(short >= 6 && long >= short + 5, "{family:?}: {short} {long}");
        assert!((7500..8500).contains(&peak), "{family:?}: {peak}");
        // Far more than any of the models takes at once.
        let (longest, _) = said(&mut voice, &"hello world ".repeat(100));
        assert!(longest > 1000, "{family:?}: {longest}");
    }
}

#[test]
fn speakers_are_told_apart() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    for pack in [fixture::voices::kitten(directory.path()), fixture::voices::kokoro(&directory.path().join("other"))] {
        let second = VoicePlan { speaker: 1, ..VoicePlan::default() };
        let (_, peak) = said(&mut SherpaVoice::load(&assets, &pack, second).unwrap(), "hello.");
        assert!((1900..2200).contains(&peak), "{:?}: {peak}", pack.pack.family);
        let third = VoicePlan { speaker: 2, ..VoicePlan::default() };
        let refused = SherpaVoice::load(&assets, &pack, third).unwrap_err().to_string();
        assert!(refused.contains("no speaker 2, its last is 1"), "{refused}");
        std::fs::write(pack.file("voices").unwrap(), [0; 12]).unwrap();
        let refused = SherpaVoice::load(&assets, &pack, VoicePlan::default()).unwrap_err().to_string();
        assert!(refused.contains("voices.bin is damaged"), "{refused}");
    }
}

#[test]
fn one_copy_of_the_runtime_serves_both() {
    let Some(assets) = assets() else { return };
    let directory = tempfile::tempdir().unwrap();
    drop(engine(&assets, &fixture::tone(directory.path())));
    drop(callwright_models::session::open(&assets, "a test", &assets.silero().unwrap()).unwrap());
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
