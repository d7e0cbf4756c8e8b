//! Who makes a sound while the agent speaks, in virtual time: it falls silent, and then goes on or loses its turn.

mod line;

use std::time::Duration;

use callwright::id::UtteranceId;
use callwright::time::MediaTime;
use callwright::turn::interruption::FLOOR_MAX;
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
    assert_eq!(line.names(), ["duck", "floor"]);
    let TurnEvent::Floor { at } = line.events[1] else { panic!() };
    assert_eq!(at.since(onset), Duration::from_millis(160));
    assert!(line.machine.is_judging() && line.machine.state() == State::Speaking, "it may be half of another word");
    line.silence(352);
    assert_eq!(line.names(), ["duck", "floor"], "the recogniser may still make another word of it");
    line.silence(32);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    let TurnEvent::BargeIn { at } = line.events[2] else { panic!() };
    assert_eq!(at, onset);
    assert_eq!(line.machine.state(), State::Listening);
    // The flush is confirmed later; it changes nothing.
    line.machine.agent_silent(UtteranceId(1));
    line.voice(500).silence(3100);
    assert_eq!(line.names(), ["duck", "floor", "barge-in", "end"]);
}

#[test]
fn whoever_was_heard_to_the_end_is_not_waited_for() {
    // What the recogniser says after 192 ms of quiet it has heard with care.
    for (quiet, known) in [(160, false), (192, true)] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(320);
        line.machine.handle_partial("stop");
        line.silence(quiet).machine.handle_partial("stop it");
        assert_eq!(line.names().contains(&"barge-in"), known, "{quiet}");
        // The turn ends no later for it than one that nobody spoke over.
        line.silence(3100);
        assert_eq!(line.names(), ["duck", "floor", "barge-in", "end"]);
    }
    // Voice that goes on makes it void.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(320).silence(192).machine.handle_partial("okay");
    line.voice(96).machine.handle_partial("okay hold");
    line.silence(192);
    assert!(!line.names().contains(&"barge-in"), "{:?}", line.names());
}

#[test]
fn what_interrupts_until_it_has_ended_may_be_agreement() {
    for (first, then) in
        [("no", "no problem"), ("now", "nice"), ("stop", "of course"), ("you have a cake", "yeah okay")]
    {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(416);
        line.machine.handle_partial(first);
        line.voice(96).silence(192);
        assert_eq!(line.names(), ["duck", "floor"], "{first}");
        line.machine.handle_partial(then);
        assert_eq!(line.names(), ["duck", "floor", "resume"], "{then}");
        assert_eq!(line.machine.state(), State::Speaking);
    }
}

#[test]
fn who_has_ended_is_likely_to_be_answered_before_it_is_known_to_be_meant() {
    let likely = |line: &Line| line.events.iter().any(|event| matches!(event, TurnEvent::LikelyEnd { .. }));
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(800).machine.handle_partial("stop it right now please");
    line.silence(224);
    assert!(likely(&line) && line.machine.state() == State::Speaking, "{:?}", line.events);
    line.silence(160);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    // Who only agrees is not.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(480).machine.handle_partial("okay");
    line.silence(1000);
    assert!(!likely(&line));
}

#[test]
fn the_floor_ends_with_the_agents_sentence_and_a_final_of_before_takes_no_words_from_it() {
    let with_floor = || {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(320);
        line.machine.handle_partial("stop");
        assert_eq!(line.names(), ["duck", "floor"]);
        line
    };
    // Who speaks on begins a turn.
    let mut line = with_floor();
    line.machine.agent_silent(UtteranceId(1));
    line.voice(64).silence(3200);
    assert_eq!(line.names(), ["duck", "floor", "resume", "started", "end"]);
    // What was said is forgotten where nobody does.
    let mut line = with_floor();
    line.silence(128).machine.agent_silent(UtteranceId(1));
    line.silence(1000);
    assert_eq!(line.names(), ["duck", "floor", "resume"]);
    assert!(
        matches!(line.events[..], [.., TurnEvent::Resume { .. }, TurnEvent::AsideOver { .. }]),
        "{:?}",
        line.events
    );
    // A key takes the turn from it.
    let mut line = with_floor();
    line.machine.digit(line.now);
    line.silence(1000);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    // Over a filler.
    let mut line = with_floor();
    line.silence(192).machine.handle_final();
    line.silence(192);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
}

#[test]
fn a_sound_that_was_there_before_does_not_count_for_the_voice_over_it() {
    // Words insist; the noise in them has lasted for seconds.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let noise = Sound { level_dbfs: -30.0, pitched: 0.1, ..Sound::default() };
    line.sounds(noise, 3200);
    line.machine.handle_partial("yeah okay right");
    line.sounds(Sound { level_dbfs: -27.0, pitched: 0.8, ..noise }, 320);
    line.silence(400);
    assert_eq!(line.names(), ["duck", "resume", "duck", "floor", "resume"]);
    // Somebody far away spoke for seconds.
    let mut line = Line::new();
    line.voice(1000).silence(1500).agent_speaks(1).silence(1000);
    let before = line.names().len();
    line.machine.handle_stirring(line.now, line.now);
    line.sounds(Sound { level_dbfs: -37.0, ..sound(true) }, 4000);
    let far = line.names().len();
    line.sounds(sound(true), 256);
    line.machine.handle_partial("okay");
    line.silence(400);
    assert!(!line.names()[before..].contains(&"barge-in"), "{:?}", line.names());
    assert_eq!(line.names().last(), Some(&"resume"), "{:?} of {far}", line.names());
}

#[test]
fn whoever_speaks_on_has_the_floor_and_without_a_word_takes_the_turn_in_the_end() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let onset = line.now;
    line.wordless(384);
    assert_eq!(line.names(), ["duck"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "floor"]);
    assert_eq!(line.now.since(onset), Duration::from_millis(416));
    line.voice(480);
    assert_eq!(line.names(), ["duck", "floor"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    assert_eq!(line.now.since(onset), Duration::from_millis(928));
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
            assert_eq!(names.contains(&"barge-in"), meant, "{words} of {ms} ms, known after {late} ms: {names:?}");
            assert_eq!(names.contains(&"resume"), !meant, "{words}, {late}: {names:?}");
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
    assert_eq!(line.names(), ["duck", "resume", "duck", "floor"]);
    // A soft beginning that becomes a voice counts from where it began.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    line.machine.handle_stirring(line.now, line.now);
    line.silence(96).wordless(288);
    assert_eq!(line.names(), ["duck"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "floor"]);
}

#[test]
fn a_verdict_that_is_due_between_two_judgements_waits_for_none() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024).voice(384);
    line.heard(12);
    assert_eq!(line.names(), ["duck"], "396 ms after the onset");
    line.heard(20);
    assert_eq!(line.names(), ["duck", "floor"], "404 ms after it");
    // One that has ended.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024).voice(288).silence(160);
    line.heard(4);
    assert_eq!(line.names(), ["duck"], "452 ms after the onset");
    line.heard(12);
    assert_eq!(line.names(), ["duck", "floor"], "460 ms after it");
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
    line.sounds(noise, 4000);
    assert_eq!(line.names(), ["duck", "resume"], "the agent does not stammer");
    line.sounds(Sound { level_dbfs: -20.0, pitched: 0.8, ..noise }, 480);
    assert_eq!(line.names(), ["duck", "resume", "duck", "floor"]);
}

#[test]
fn who_has_agreed_and_goes_on_is_heard() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(256);
    line.machine.handle_partial("right okay");
    line.voice(224);
    assert_eq!(line.names(), ["duck", "floor"], "nothing but agreement so far, which the agent lets end");
    line.voice(288);
    line.machine.handle_partial("but leave");
    line.voice(128);
    assert_eq!(line.names(), ["duck", "floor"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"], "nobody agrees in so many other words");
}

#[test]
fn who_agrees_is_listened_to_until_the_end_and_then_forgotten() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000);
    let onset = line.now;
    line.voice(256).machine.handle_partial("right okay");
    line.voice(224);
    let over = |line: &Line| line.events.iter().any(|event| matches!(event, TurnEvent::AsideOver { .. }));
    line.machine.handle_partial("right okay hold on");
    line.silence(352);
    assert_eq!(line.names(), ["duck", "floor"]);
    assert!(!over(&line), "what was recognised is kept");
    line.silence(32);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    assert_eq!(line.events.last(), Some(&TurnEvent::BargeIn { at: onset }));
    // Who said no more is forgotten when it is quiet, and its words are news no longer.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(256).machine.handle_partial("right okay");
    line.voice(224).silence(128);
    assert!(!over(&line));
    line.silence(32);
    assert!(over(&line));
    line.machine.handle_partial("right okay hold");
    assert_eq!(line.names(), ["duck", "floor", "resume"]);
}

#[test]
fn one_word_of_agreement_is_let_end_however_long_it_is_drawn_out() {
    for ms in [448, 512, 896] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(256).machine.handle_partial("okay");
        line.voice(ms - 256).silence(300);
        assert_eq!(line.names(), ["duck", "floor", "resume"], "{ms} ms");
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(256).machine.handle_partial("okay");
        line.voice(ms - 256).machine.handle_partial("okay hold on");
        line.silence(384);
        assert_eq!(line.names(), ["duck", "floor", "barge-in"], "{ms} ms, which opened a sentence");
    }
}

#[test]
fn a_voice_with_closed_lips_agrees() {
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
    assert_eq!(line.names(), ["duck", "floor", "resume"]);
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
    assert_eq!(line.names(), ["duck", "floor"]);
    // For longer: the agent has gone on, and falls silent again, but the verdict is not put off by it.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1024);
    line.machine.handle_stirring(line.now, line.now);
    soft(&mut line, 256);
    assert_eq!(line.names(), ["duck", "resume"]);
    line.wordless(256);
    assert_eq!(line.names(), ["duck", "resume", "duck", "floor"]);
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
    assert_eq!(far(-22.0)[..2], ["duck", "floor"]);
}

proptest! {
    /// Whatever was heard, and however late its words: the agent is silent for as long as a verdict takes or somebody speaks on.
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
            let (quiet, verdict) = (line.now.since(voice), Duration::from_millis(500));
            prop_assert!(silent <= verdict || quiet <= verdict, "{silent:?} after {quiet:?} of quiet");
            prop_assert!(silent <= FLOOR_MAX + verdict, "{silent:?}");
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
        // Agreement that has just ended when that is decided has the floor for a moment.
        line.events.retain(|event| !matches!(event, TurnEvent::Floor { .. }));
        assert_eq!(line.names(), ["duck", "resume"], "{ms} ms of {words:?}");
        assert_eq!(line.machine.state(), State::Speaking);
        let resumed = line.events.iter().find(|event| matches!(event, TurnEvent::Resume { .. }));
        let Some(TurnEvent::Resume { onset, at }) = resumed else { panic!() };
        assert!(at.since(*onset) <= Duration::from_millis(530), "{:?}", at.since(*onset));
        // What was recognised of the aside does not count for the next sound.
        line.voice(160);
        assert_eq!(line.names(), ["duck", "resume", "duck"]);
        line.machine.handle_partial("no");
        line.silence(384);
        assert_eq!(line.names(), ["duck", "resume", "duck", "floor", "barge-in"]);
    }
}

#[test]
fn who_agrees_is_not_spoken_over_and_nobody_hears_the_agent_begin_before_an_interruption() {
    let agreeing = |voice: u64| {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(256);
        line.machine.handle_partial("exactly");
        line.voice(voice - 256);
        line
    };
    let mut line = agreeing(544);
    assert_eq!(line.names(), ["duck", "floor"], "it waits");
    line.silence(128);
    assert_eq!(line.names(), ["duck", "floor"], "a stop in a word");
    line.silence(400);
    assert_eq!(line.names(), ["duck", "floor", "resume"], "it has ended");
    let TurnEvent::Resume { onset, at } = line.events[2] else { panic!() };
    let silent = at.since(onset).as_millis();
    assert!((672..=704).contains(&silent), "{silent} ms: as soon as that is known");
    assert_eq!(line.machine.state(), State::Speaking);
    // It was the beginning of a sentence.
    let mut line = agreeing(544);
    line.machine.handle_partial("exactly so when");
    line.silence(384);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    // Nobody agrees without end.
    let mut line = agreeing(544);
    line.voice(928);
    assert_eq!(line.names(), ["duck", "floor"]);
    line.voice(32);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    // A stop in a word: what was said before that is kept.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(352);
    line.machine.handle_partial("exactly");
    line.silence(96).heard(12);
    line.drain();
    assert_eq!(line.names(), ["duck", "floor"]);
    assert!(!line.events.iter().any(|event| matches!(event, TurnEvent::AsideOver { .. })), "{:?}", line.events);
    line.voice(64);
    line.machine.handle_partial("exactly but when");
    line.silence(384);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
    // Of what may be the beginning of more it waits for the rest.
    for (words, quiet, becomes) in [("exactly", 160, "resume"), ("naked", 384, "barge-in")] {
        let mut line = Line::new();
        line.agent_speaks(1).silence(1000).voice(416);
        line.machine.handle_partial(words);
        line.silence(quiet - 32);
        assert_eq!(line.names(), ["duck", "floor"], "{words}");
        line.silence(32);
        assert_eq!(line.names(), ["duck", "floor", becomes], "{words}");
    }
    // A level that has fallen ends it, however long the detector hangs on.
    let mut line = agreeing(416);
    for _ in 0..5 {
        line.now = line.now.plus_ms(32);
        line.last_voiced = line.now;
        line.machine.handle_sound(line.now, Sound { level_dbfs: -70.0, ..sound(true) });
        line.machine.handle_voice(line.now, true, line.last_voiced);
    }
    line.drain();
    assert_eq!(line.names(), ["duck", "floor", "resume"], "it has fallen silent");
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
    line.silence(384);
    assert_eq!(line.names(), ["duck", "floor", "barge-in"]);
}
