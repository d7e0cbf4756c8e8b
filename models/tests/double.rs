//! The double through the real engine: what it promises, and that turns which are decoded together do not mix.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use callwright_models::asr::{OnlineEngine, OnlinePlan};
use callwright_models::double::{self, Line, Random, SENTENCES};
use callwright_models::pack::{Installed, check};
use callwright_models::{Assets, sherpa};

/// Nothing to test where an engine is not installed; said once by each test.
fn pack() -> Option<(Assets, Installed)> {
    let assets = Assets::locate();
    let missing = match (sherpa::version(&assets), double::say(&assets, "yes")) {
        (Ok(_), Ok(_)) => {
            let installed = double::installed(&assets).unwrap();
            return Some((assets, installed));
        }
        (Err(error), _) => error.to_string(),
        (_, Err(error)) => error.to_string(),
    };
    eprintln!("skipped: {missing}");
    None
}

#[test]
fn it_passes_for_a_pack() {
    let Some((_, installed)) = pack() else { return };
    let checked = check::check(&installed).unwrap();
    assert_eq!(checked.number("model", "frame_length_ms"), Some(300));
}

#[test]
fn many_turns_at_once_say_what_was_said() {
    let Some((assets, installed)) = pack() else { return };
    let mut engine = OnlineEngine::load(&assets, &installed, &OnlinePlan::default()).unwrap();
    let mut random = Random::new(5);
    let mut wrong = Vec::new();
    for group in SENTENCES.chunks(8) {
        let calls: Vec<Vec<i16>> = group
            .iter()
            .map(|sentence| {
                let line = Line { before: 800 + random.below(2400), after: 2400, gain: 1.0, noise: 30.0 };
                line.carry(&double::say(&assets, sentence).unwrap(), &mut random)
            })
            .collect();
        let mut turns: Vec<_> = group.iter().map(|_| engine.begin().unwrap()).collect();
        let longest = calls.iter().map(Vec::len).max().unwrap();
        for at in (0..longest).step_by(160) {
            for (turn, call) in turns.iter_mut().zip(&calls) {
                turn.accept(&call[at.min(call.len())..(at + 160).min(call.len())]);
            }
            engine.decode(&mut turns, usize::MAX);
        }
        for (turn, sentence) in turns.iter_mut().zip(group) {
            engine.finish(turn);
            engine.decode([&mut *turn], usize::MAX);
            let heard = engine.result(turn);
            if heard.text != *sentence {
                wrong.push(format!("{sentence}: {}", heard.text));
            }
            let words: Vec<&str> = heard.words.iter().map(|word| word.word.as_str()).collect();
            assert_eq!(words.join(" "), heard.text);
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), SENTENCES.len());
}
