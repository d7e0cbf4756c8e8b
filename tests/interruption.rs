//! Who makes a sound while the agent speaks, in virtual time: it falls silent, and then goes on or loses its turn.

mod line;

use std::time::Duration;

use callwright::id::UtteranceId;
use callwright::time::MediaTime;
use callwright::turn::{Sound, State, TurnEvent};
use line::{Line, sound};
use proptest::prelude::*;

#[test]
fn at_a_sound_the_agent_falls_silent_and_a_word_takes_the_turn() {
    let mut line = Line::new();
    line.silence(200).agent_speaks(1).silence(1000);
    let onset = line.now;
    line.voice(32);
    assert_eq!(line.names(), ["duck"]);
    assert_eq!(line.machine.state(), State::Speaking);
    line.voice(128);
    line.machine.handle_partial("wait");
    assert_eq!(line.names(), ["duck", "barge-in"]);
    let TurnEvent::BargeIn { at } = line.events[1] else { panic!() };
    assert_eq!(at, onset);
    assert_eq!(line.now.since(onset), Duration::from_millis(160));
    assert_eq!(line.machine.state(), State::Listening);
    // The flush is confirmed later; it changes nothing.
    line.machine.agent_silent(UtteranceId(1));
    line.voice(500).silence(3100);
    assert_eq!(line.names(), ["duck", "barge-in", "end"]);
}

#[test]
fn without_a_word_whoever_speaks_on_for_half_a_second_takes_the_turn() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let onset = line.now;
    line.wordless(416);
    assert_eq!(line.names(), ["duck"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "barge-in"]);
    assert_eq!(line.now.since(onset), Duration::from_millis(448));
}

#[test]
fn a_recogniser_that_is_late_changes_no_verdict() {
    // What the caller says, for how long, and what becomes of it, however late its words come: at once, late, never.
    for (words, ms, meant) in
        [("okay", 448, false), ("right okay", 576, false), ("wait", 320, true), ("i need help", 640, true)]
    {
        for late in [160, 224, 416, 480, 608, 672] {
            let mut line = Line::new();
            line.agent_speaks(1).silence(1000);
            for at in (32..=1600).step_by(32) {
                line.audio(32, at <= ms);
                // Words are known when they are over, at the earliest.
                if at == (ms + 32).min(288).max(late) {
                    line.machine.handle_partial(words);
                    line.drain();
                }
            }
            let names = line.names();
            assert_eq!(names[1] == "barge-in", meant, "{words} of {ms} ms, known after {late} ms: {names:?}");
            assert!(meant || !names.contains(&"barge-in"), "{words}, {late}: {names:?}");
        }
    }
    // Nothing is ever heard of it: a short voice is let pass, a long one is not.
    for (ms, meant) in [(480, false), (1200, true)] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(ms).silence(1000);
        assert_eq!(line.names().contains(&"barge-in"), meant, "{ms}");
    }
}

#[test]
fn the_agent_falls_silent_for_a_sound_before_it_is_known_for_a_voice_and_goes_on_if_it_is_none() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    let onset = MediaTime(line.now.0 - 80);
    line.machine.handle_stirring(onset, line.now.plus_ms(12));
    assert_eq!(line.names(), ["duck"]);
    assert_eq!(line.events[0], TurnEvent::Duck { at: onset });
    line.silence(160);
    assert_eq!(line.names(), ["duck", "resume"]);
    // A line that knocks and rustles does not make it stutter, a voice is believed all the same.
    line.machine.handle_stirring(line.now, line.now);
    assert_eq!(line.names(), ["duck", "resume"]);
    line.wordless(448);
    assert_eq!(line.names(), ["duck", "resume", "duck", "barge-in"]);
    // A soft beginning that becomes a voice counts from where it began.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    line.machine.handle_stirring(line.now, line.now);
    line.silence(96).wordless(320);
    assert_eq!(line.names(), ["duck"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "barge-in"]);
}

#[test]
fn a_verdict_that_is_due_between_two_judgements_waits_for_none() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024).voice(224).machine.handle_partial("our");
    line.voice(224);
    line.heard(4);
    assert_eq!(line.names(), ["duck"], "452 ms after the onset");
    line.heard(24);
    assert_eq!(line.names(), ["duck", "barge-in"], "472 ms after it");
    // One of which every chunk is voice is no less unbroken for a packet that completes none.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024).voice(224).machine.handle_partial("right");
    line.voice(224);
    line.heard(28);
    assert_eq!(line.names(), ["duck"], "476 ms after the onset");
    line.heard(32);
    assert_eq!(line.names(), ["duck", "barge-in"], "480 ms after it: alone it would have ended");
    // Nothing moves without a sound to judge.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024).heard(60);
    line.voice(32);
    assert_eq!(line.names(), ["duck"]);
}

#[test]
fn a_noise_that_goes_on_is_shrugged_off_once_and_a_voice_over_it_is_not() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let noise = Sound { level_dbfs: -30.0, pitched: 0.1, ..Sound::default() };
    let hum = |line: &mut Line, sound: Sound, ms: u64| {
        for _ in 0..ms / 32 {
            line.now = line.now.plus_ms(32);
            line.last_voiced = line.now;
            line.machine.handle_sound(line.now, sound);
            line.machine.handle_voice(line.now, true, line.last_voiced);
        }
        line.drain();
    };
    hum(&mut line, noise, 4000);
    assert_eq!(line.names(), ["duck", "resume"], "the agent does not stammer");
    hum(&mut line, Sound { level_dbfs: -20.0, pitched: 0.8, ..noise }, 480);
    assert_eq!(line.names(), ["duck", "resume", "duck", "barge-in"]);
}

#[test]
fn who_has_agreed_and_goes_on_is_heard() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(256);
    line.machine.handle_partial("right okay");
    line.voice(224);
    assert_eq!(line.names(), ["duck"], "nothing but agreement so far, which the agent lets end");
    line.voice(288);
    line.machine.handle_partial("but leave");
    assert_eq!(line.names(), ["duck", "barge-in"]);
}

#[test]
fn who_agreed_is_listened_to_while_the_voice_goes_on_and_a_word_stops_the_agent_at_once() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let onset = line.now;
    line.voice(256).machine.handle_partial("right okay");
    line.voice(224);
    assert_eq!(line.names(), ["duck"]);
    let over = |line: &Line| line.events.iter().any(|event| matches!(event, TurnEvent::AsideOver { .. }));
    assert!(!over(&line), "what was recognised is kept");
    line.machine.handle_partial("right okay hold on");
    assert_eq!(line.names(), ["duck", "barge-in"]);
    assert_eq!(line.events.last(), Some(&TurnEvent::BargeIn { at: onset }));
    // Who said no more is forgotten when it is quiet, and its words are news no longer.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(256).machine.handle_partial("right okay");
    line.voice(224).silence(160);
    assert!(!over(&line));
    line.silence(64);
    assert!(over(&line));
    line.machine.handle_partial("right okay hold");
    assert_eq!(line.names(), ["duck", "resume"]);
}

#[test]
fn one_word_of_agreement_that_does_not_end_opens_a_sentence() {
    for (ms, names) in [(448, &["duck", "resume"][..]), (512, &["duck", "barge-in"])] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(256).machine.handle_partial("okay");
        line.voice(ms - 256).silence(300);
        assert_eq!(line.names(), names, "{ms} ms");
    }
}

#[test]
fn a_voice_with_closed_lips_agrees_however_long_it_hums() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    for chunk in 1..=18 {
        line.now = line.now.plus_ms(32);
        line.last_voiced = line.now;
        line.machine.handle_sound(line.now, Sound { bright_db: -27.0, ..sound(true) });
        line.machine.handle_voice(line.now, true, line.last_voiced);
        if chunk == 9 {
            line.machine.handle_partial("");
        }
    }
    line.silence(400);
    assert_eq!(line.names(), ["duck", "resume"]);
}

#[test]
fn a_beginning_that_a_detector_does_not_know_yet_is_waited_for_and_counts() {
    let soft = |line: &mut Line, ms: u64| {
        for _ in 0..ms / 32 {
            line.now = line.now.plus_ms(32);
            line.machine.handle_sound(line.now, Sound { level_dbfs: -30.0, ..Sound::default() });
            line.machine.handle_voice(line.now, false, line.last_voiced);
        }
    };
    // It sounds on for a fifth of a second before it is known for a voice.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    line.machine.handle_stirring(line.now, line.now);
    soft(&mut line, 192);
    line.wordless(256);
    assert_eq!(line.names(), ["duck", "barge-in"]);
    // For longer: the agent has gone on, and falls silent again, but the verdict is not put off by it.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    line.machine.handle_stirring(line.now, line.now);
    soft(&mut line, 256);
    assert_eq!(line.names(), ["duck", "resume"]);
    line.wordless(256);
    assert_eq!(line.names(), ["duck", "resume", "duck", "barge-in"]);
}

#[test]
fn what_is_much_quieter_than_the_caller_is_somebody_else() {
    let mut line = Line::new();
    line.voice(1000).silence(1500).agent_speaks(1).silence(1000);
    let mut far = |level_dbfs: f32| {
        let before = line.names().len();
        for n in 0..20 {
            line.now = line.now.plus_ms(32);
            line.last_voiced = line.now;
            if n == 7 {
                line.machine.handle_partial("");
            }
            line.machine.handle_sound(line.now, Sound { level_dbfs, ..sound(true) });
            line.machine.handle_voice(line.now, true, line.last_voiced);
        }
        line.silence(1000);
        line.names().split_off(before)
    };
    assert_eq!(far(-37.0), Vec::<&str>::new(), "the other end of the room");
    assert_eq!(far(-32.0), ["duck", "resume"], "a television");
    assert_eq!(far(-22.0)[..2], ["duck", "barge-in"]);
}

proptest! {
    /// Whatever was heard, and however late its words: the agent is silent for as long as a verdict takes or an aside goes on.
    #[test]
    fn silence_ends(
        steps in proptest::collection::vec(
            (any::<bool>(), -60.0f32..0.0, 0.0f32..1.0, proptest::option::of("[a-z ]{0,9}")), 0..150
        ),
        prompt in any::<bool>(),
    ) {
        let mut line = Line::new();
        line.agent_speaks(1).silence(100);
        let (mut ducked, mut voice) = (None, line.now);
        for (voiced, level_dbfs, pitched, words) in steps {
            line.now = line.now.plus_ms(32);
            line.last_voiced = if voiced { line.now } else { line.last_voiced };
            voice = voice.max(line.last_voiced);
            line.machine.handle_sound(line.now, Sound { level_dbfs, pitched, stirring: voiced, ..Sound::default() });
            line.machine.handle_voice(line.now, voiced, line.last_voiced);
            match words {
                Some(words) => line.machine.handle_partial(&words),
                None if prompt => line.machine.handle_partial(""),
                None => {}
            }
            line.drain();
            let mut spoke = false;
            for event in std::mem::take(&mut line.events) {
                match event {
                    TurnEvent::Duck { .. } => {
                        prop_assert!(!spoke, "it was not heard between");
                        prop_assert!(ducked.replace(line.now).is_none(), "it was silent already");
                    }
                    TurnEvent::Resume { .. } => {
                        prop_assert!(ducked.take().is_some(), "it was not silent");
                        spoke = true;
                    }
                    TurnEvent::BargeIn { .. } => {
                        ducked = None;
                        line.machine.agent_speaking(UtteranceId(2));
                    }
                    _ => {}
                }
            }
            let silent = ducked.map_or(Duration::ZERO, |at| line.now.since(at));
            let verdict = Duration::from_millis(if prompt { 500 } else { 720 });
            prop_assert!(silent <= verdict || line.now.since(voice) <= verdict, "{silent:?} after {:?} of quiet", line.now.since(voice));
            prop_assert!(silent <= Duration::from_millis(720) + verdict, "{silent:?}");
        }
    }
}

#[test]
fn an_aside_lets_the_agent_go_on_and_the_next_one_is_judged_anew() {
    for (ms, words) in [(96, ""), (288, "yeah"), (352, "okay"), (64, "")] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(ms);
        line.machine.handle_partial(words);
        line.silence(600);
        assert_eq!(line.names(), ["duck", "resume"], "{ms} ms of {words:?}");
        assert_eq!(line.machine.state(), State::Speaking);
        let TurnEvent::Resume { onset, at } = line.events[1] else { panic!() };
        assert!(at.since(onset) <= Duration::from_millis(530), "{:?}", at.since(onset));
        // What was recognised of the aside does not count for the next sound.
        line.voice(160);
        assert_eq!(line.names(), ["duck", "resume", "duck"]);
        line.machine.handle_partial("no");
        assert_eq!(line.names(), ["duck", "resume", "duck", "barge-in"]);
    }
}

#[test]
fn who_agrees_is_not_spoken_over_and_nobody_hears_the_agent_begin_before_an_interruption() {
    // The verdict is due 456 ms into it; the voice goes on.
    let agreeing = |voice: u64| {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(256);
        line.machine.handle_partial("exactly");
        line.voice(voice - 256);
        line
    };
    let mut line = agreeing(544);
    assert_eq!(line.names(), ["duck"], "it waits");
    line.silence(96);
    assert_eq!(line.names(), ["duck"], "a stop in a word");
    line.silence(400);
    assert_eq!(line.names(), ["duck", "resume"], "it has ended");
    let TurnEvent::Resume { onset, at } = line.events[1] else { panic!() };
    let silent = at.since(onset).as_millis();
    assert!((672..=704).contains(&silent), "{silent} ms: as soon as that is known");
    assert_eq!(line.machine.state(), State::Speaking);
    // It was the beginning of a sentence.
    let mut line = agreeing(544);
    line.machine.handle_partial("exactly so when");
    assert_eq!(line.names(), ["duck", "barge-in"]);
    // Nobody is waited for without end.
    let mut line = agreeing(544);
    line.voice(4000);
    let TurnEvent::Duck { at: ducked } = line.events[0] else { panic!("{:?}", line.names()) };
    let at = line.events[1..].iter().find_map(|event| match event {
        TurnEvent::Resume { at, .. } => Some(*at),
        _ => None,
    });
    let at = at.expect("it goes on");
    let silent = at.since(ducked).as_millis();
    assert!(silent <= 1220, "{silent} ms");
    let again = line.events.iter().find_map(|event| match event {
        TurnEvent::Duck { at: again } if *again > ducked => Some(*again),
        _ => None,
    });
    assert!(again.is_none_or(|again| again >= at), "it is heard before it falls silent again");
    // The verdict falls into a stop in a word: what was said before that is kept.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(352);
    line.machine.handle_partial("exactly");
    line.silence(96).heard(12);
    line.drain();
    assert_eq!(line.names(), ["duck"]);
    assert!(!line.events.iter().any(|event| matches!(event, TurnEvent::AsideOver { .. })), "{:?}", line.events);
    line.voice(64);
    line.machine.handle_partial("exactly but when");
    assert_eq!(line.names(), ["duck", "barge-in"]);
    // Of what may be the beginning of more it waits for the rest.
    for (words, quiet) in [("exactly", 160), ("naked", 224)] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(320);
        line.machine.handle_partial(words);
        line.silence(quiet - 32);
        assert_eq!(line.names(), ["duck"], "{words}");
        line.silence(32);
        assert_eq!(line.names(), ["duck", "resume"], "{words}");
    }
    // A level that has fallen ends it, however long the detector hangs on.
    let mut line = agreeing(416);
    for _ in 0..4 {
        line.now = line.now.plus_ms(32);
        line.last_voiced = line.now;
        line.machine.handle_sound(line.now, Sound { level_dbfs: -70.0, ..sound(true) });
        line.machine.handle_voice(line.now, true, line.last_voiced);
    }
    line.drain();
    assert_eq!(line.names(), ["duck", "resume"], "it has fallen silent");
    // Somebody else's voice is not waited for.
    let mut line = Line::new();
    line.voice(1000).silence(1500).agent_speaks(1).silence(1000);
    let before = line.names().len();
    for n in 0..18 {
        line.now = line.now.plus_ms(32);
        line.last_voiced = line.now;
        line.machine.handle_sound(line.now, Sound { level_dbfs: -33.0, ..sound(true) });
        line.machine.handle_voice(line.now, true, line.last_voiced);
        if n == 7 {
            line.machine.handle_partial("exactly");
        }
    }
    line.drain();
    let names = line.names()[before..].to_vec();
    assert!(names.starts_with(&["duck", "resume"]), "{names:?}");
}

#[test]
fn a_pause_within_the_first_words_is_no_end() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(256).silence(96).voice(128);
    line.machine.handle_partial("could you");
    assert_eq!(line.names(), ["duck", "barge-in"]);
}
