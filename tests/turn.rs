//! Turn-taking in virtual time: audio comes as 32 ms judgements, nothing sleeps.

use std::time::Duration;

use callwright::conversation::Expectation;
use callwright::id::UtteranceId;
use callwright::limits::{ENDPOINT_MAX, TURN_MAX};
use callwright::time::MediaTime;
use callwright::turn::{Sound, State, TurnConfig, TurnEvent, TurnMachine};
use proptest::prelude::*;

/// A voice as loud as any, or silence.
fn sound(voiced: bool) -> Sound {
    let voice = Sound { level_dbfs: -20.0, pitched: 0.8, ..Sound::default() };
    if voiced { voice } else { Sound::default() }
}

/// A call whose audio is a script.
struct Line {
    machine: TurnMachine,
    now: MediaTime,
    last_voiced: MediaTime,
    events: Vec<TurnEvent>,
}

impl Line {
    fn new() -> Self {
        Self {
            machine: TurnMachine::new(TurnConfig::default()),
            now: MediaTime(0),
            last_voiced: MediaTime(0),
            events: Vec::new(),
        }
    }

    fn audio(&mut self, ms: u64, voiced: bool) -> &mut Self {
        for _ in 0..ms.div_ceil(32) {
            self.now = self.now.plus_ms(32);
            if voiced {
                self.last_voiced = self.now;
            }
            self.machine.handle_sound(self.now, sound(voiced));
            self.machine.handle_voice(self.now, voiced, self.last_voiced);
            self.drain();
        }
        self
    }

    fn voice(&mut self, ms: u64) -> &mut Self {
        self.audio(ms, true)
    }

    /// A voice to which the recogniser listens and finds no words in.
    fn wordless(&mut self, ms: u64) -> &mut Self {
        self.voice(224).machine.handle_partial("");
        self.voice(ms - 224)
    }

    /// Packets come up to `ms` after the last judgement.
    fn heard(&mut self, ms: u64) {
        self.machine.handle_heard(self.now.plus_ms(ms));
    }

    fn silence(&mut self, ms: u64) -> &mut Self {
        self.audio(ms, false)
    }

    fn agent_speaks(&mut self, utterance: u32) -> &mut Self {
        self.machine.agent_speaking(UtteranceId(utterance));
        self
    }

    fn drain(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.events.push(event);
        }
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.drain();
        let names = self.events.iter().filter_map(|e| match e {
            TurnEvent::UserStarted { continues: false, .. } => Some("started"),
            TurnEvent::UserStarted { continues: true, .. } => Some("continued"),
            TurnEvent::Duck { .. } => Some("duck"),
            TurnEvent::Resume { .. } => Some("resume"),
            TurnEvent::BargeIn { .. } => Some("barge-in"),
            TurnEvent::EndOfTurn { .. } => Some("end"),
            TurnEvent::LikelyEnd { .. } | TurnEvent::AsideOver { .. } => None,
            TurnEvent::NoInput { .. } => Some("no input"),
        });
        names.collect()
    }

    /// Silence that the last end of turn waited for.
    fn waited(&self) -> u128 {
        self.events
            .iter()
            .rev()
            .find_map(|e| match e {
                TurnEvent::EndOfTurn { waited, .. } => Some(waited.as_millis()),
                _ => None,
            })
            .expect("an end of turn")
    }
}

#[test]
fn a_sentence_is_one_turn() {
    let mut line = Line::new();
    line.silence(500).voice(900);
    line.machine.handle_partial("build me a crm");
    // A pause between words is no end.
    line.silence(320).voice(600).silence(2000);
    assert_eq!(line.names(), ["started", "end"]);
    assert_eq!(line.machine.state(), State::Processing);
    assert!((400..=1100).contains(&line.waited()), "{}", line.waited());
    let TurnEvent::UserStarted { at, .. } = line.events[0] else { panic!() };
    assert_eq!(at, MediaTime(512 * 8), "the turn began with its first voiced sample");
}

#[test]
fn a_yes_ends_soon_but_yes_but_waits() {
    for (partial, at_least, at_most) in [("yes", 400, 520), ("yes but", 1400, 3040), ("no", 400, 520)] {
        let mut line = Line::new();
        line.machine.expect(Expectation::YesNo);
        line.voice(400);
        line.machine.handle_partial(partial);
        line.silence(3000);
        assert_eq!(line.names(), ["started", "end"]);
        assert!((at_least..=at_most).contains(&line.waited()), "{partial}: {}", line.waited());
    }
}

#[test]
fn a_voice_that_came_to_an_end_is_waited_for_less_unless_it_goes_on() {
    let waited = |probability: f32, goes_on: bool| {
        let mut line = Line::new();
        line.voice(900);
        line.machine.handle_partial("build me a crm");
        line.silence(160);
        line.machine.handle_end_of_turn(line.now, probability);
        if goes_on {
            line.voice(320);
        }
        line.silence(3100);
        assert_eq!(line.names(), ["started", "end"]);
        line.waited()
    };
    let unknown = waited(0.5, true);
    assert!(waited(0.97, false) <= 540, "{}", waited(0.97, false));
    assert!(waited(0.97, false) < unknown && unknown < waited(0.03, false));
    // What was said of a pause says nothing of the next.
    assert_eq!(waited(0.97, true), unknown);
    assert_eq!(waited(f32::NAN, false).abs_diff(waited(0.5, false)) / 100, 0);
}

#[test]
fn a_likely_end_is_announced_once_a_pause_and_before_the_end() {
    let mut line = Line::new();
    line.voice(900);
    line.machine.handle_partial("build me a crm");
    line.silence(128);
    line.machine.handle_end_of_turn(line.now, 0.9);
    line.silence(100);
    line.voice(320).silence(128);
    line.machine.handle_end_of_turn(line.now, 0.9);
    line.silence(1500);
    line.drain();
    let likely: Vec<usize> =
        (0..line.events.len()).filter(|n| matches!(line.events[*n], TurnEvent::LikelyEnd { .. })).collect();
    let end = line.events.iter().position(|event| matches!(event, TurnEvent::EndOfTurn { .. })).unwrap();
    assert_eq!(likely.len(), 2, "{:?}", line.events);
    assert!(likely.iter().all(|n| *n < end), "{:?}", line.events);
    // The result that is made in the pause has other words than those so far: what was prepared answers those.
    let mut line = Line::new();
    line.voice(900);
    line.machine.handle_partial("thank you");
    line.silence(160);
    line.machine.handle_end_of_turn(line.now, 0.95);
    line.silence(64);
    line.machine.handle_partial("thank you goodbye");
    line.silence(64);
    line.machine.handle_partial("thank you goodbye");
    line.silence(1500);
    line.drain();
    let likely = line.events.iter().filter(|event| matches!(event, TurnEvent::LikelyEnd { .. })).count();
    assert_eq!(likely, 2, "{:?}", line.events);
    // Nothing to answer, nothing to prepare.
    let mut line = Line::new();
    line.voice(900).silence(3100);
    line.drain();
    assert!(!line.events.iter().any(|event| matches!(event, TurnEvent::LikelyEnd { .. })));
}

#[test]
fn a_caller_who_pauses_long_is_waited_for_longer_in_the_same_call() {
    let waited = |pause: u64| {
        let mut line = Line::new();
        line.machine.expect(Expectation::Digits { max: 10 });
        for digits in ["four", "four seven", "four seven one", "four seven one one", "four seven one one two"] {
            line.voice(96);
            line.machine.handle_partial(digits);
            line.silence(pause);
        }
        line.machine.expect(Expectation::Open);
        line.voice(900);
        line.machine.handle_partial("we run a garage");
        line.silence(3100);
        assert_eq!(line.names(), ["started", "end"]);
        line.waited()
    };
    assert!(waited(1600) >= waited(224) + 150, "{} {}", waited(1600), waited(224));
}

#[test]
fn dictated_digits_may_come_slowly() {
    let mut line = Line::new();
    line.machine.expect(Expectation::Digits { max: 4 });
    line.voice(600);
    line.machine.handle_partial("four seven");
    line.silence(1500).voice(300);
    line.machine.handle_partial("four seven one");
    line.silence(1500).voice(300);
    line.machine.handle_partial("four seven one one");
    line.silence(1000);
    assert_eq!(line.names(), ["started", "end"]);
    assert!(line.waited() < 450);
}

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
    // Two sounds that come one after the other: only the first has ended.
    let mut line = Line::new();
    line.agent_speaks(1).silence(1000).voice(352);
    line.machine.handle_partial("exactly");
    line.silence(96).voice(64);
    line.machine.handle_partial("exactly but when");
    assert_eq!(line.names(), ["duck", "barge-in"], "a stop in a word takes nothing from what was said");
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
    // What is no voice, or somebody else's, is not waited for.
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

#[test]
fn the_turn_runs_from_the_exact_onset_to_the_exact_end() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(320);
    // The speech plane reports an onset with the second voiced chunk, and a model hangs on after the last sound.
    line.machine.handle_onset(MediaTime(10 * 256 + 40));
    let mut n = 11;
    let mut chunk = |line: &mut Line, voiced, last_voiced| {
        n += 1;
        line.now = MediaTime(n * 256);
        line.machine.handle_sound(line.now, sound(voiced));
        line.machine.handle_voice(line.now, voiced, last_voiced);
        line.drain();
    };
    for k in 12..16 {
        chunk(&mut line, true, MediaTime(k * 256));
    }
    let onset = MediaTime(10 * 256 + 40);
    assert_eq!(line.events, [TurnEvent::Duck { at: onset }]);
    line.machine.handle_partial("no");
    line.drain();
    assert_eq!(line.events[1], TurnEvent::BargeIn { at: onset });
    line.machine.handle_partial("");
    let ended = MediaTime(15 * 256 - 32);
    for _ in 0..4 {
        chunk(&mut line, true, ended);
    }
    for _ in 0..96 {
        chunk(&mut line, false, ended);
    }
    let Some(TurnEvent::EndOfTurn { at, waited }) = line.events.get(2) else { panic!("{:?}", line.events) };
    // Nothing was recognised, so with some patience, counted from the last sound that was reported.
    assert!(waited.as_millis() >= 700 && waited.as_millis() < 2400, "{waited:?}");
    assert_eq!(at.since(MediaTime(15 * 256)), *waited);
}

#[test]
fn blips_do_not_interrupt_the_agent() {
    let mut line = Line::new();
    line.agent_speaks(1);
    for _ in 0..20 {
        line.voice(64).silence(256);
    }
    assert_eq!(line.names(), ["duck", "resume"].repeat(20));
    assert_eq!(line.machine.state(), State::Speaking);
}

#[test]
fn what_is_said_while_the_agent_thinks_belongs_to_the_turn() {
    let mut line = Line::new();
    line.voice(500);
    line.machine.handle_partial("build a crm");
    line.silence(1700).voice(300);
    line.machine.handle_partial("build a crm with deals");
    line.silence(3100);
    assert_eq!(line.names(), ["started", "end", "continued", "end"]);
}

#[test]
fn silence_is_noticed_and_keys_count_as_activity() {
    let mut line = Line::new();
    line.silence(14_000);
    line.machine.digit(line.now);
    line.silence(14_900);
    assert_eq!(line.names(), Vec::<&str>::new());
    line.silence(200);
    assert_eq!(line.names(), ["no input"]);
    line.machine.wait_idle(Duration::from_secs(60));
    line.silence(59_000);
    assert_eq!(line.names().len(), 1);
    line.silence(2000);
    assert_eq!(line.names(), ["no input", "no input"]);
}

#[test]
fn silence_counts_from_the_end_of_the_agents_words() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(20_000);
    line.machine.agent_speaking(UtteranceId(2));
    line.machine.agent_silent(UtteranceId(1));
    assert_eq!(line.machine.state(), State::Speaking, "news of an older utterance");
    line.machine.agent_silent(UtteranceId(2));
    line.silence(14_000);
    assert_eq!(line.names(), Vec::<&str>::new());
    line.silence(1200);
    assert_eq!(line.names(), ["no input"]);
}

#[test]
fn a_key_stops_the_agent() {
    let mut line = Line::new();
    line.agent_speaks(1).silence(500);
    line.machine.digit(line.now);
    assert_eq!(line.names(), ["barge-in"]);
    assert_eq!(line.machine.state(), State::Idle);
}

#[test]
fn music_on_hold_is_one_cut_turn() {
    let mut line = Line::new();
    line.voice(u64::try_from(TURN_MAX.as_millis()).expect("small") + 5000);
    assert_eq!(line.names(), ["started", "end"]);
    line.silence(500).voice(500);
    assert_eq!(line.names(), ["started", "end", "continued"], "after a pause the caller is heard again");
}

#[test]
fn an_answer_of_silence_opens_the_floor() {
    let mut line = Line::new();
    line.voice(300).silence(3100);
    assert_eq!(line.machine.state(), State::Processing);
    line.machine.nothing_to_say();
    assert_eq!(line.machine.state(), State::Idle);
}

#[derive(Clone, Debug)]
enum Step {
    Voice(u64, bool, u64),
    Onset(u64),
    Time(u64),
    Heard(u64),
    Partial(String),
    Final,
    Expect(u8),
    Speaking(u32),
    Silent(u32),
    Nothing,
    Key(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..1200, any::<bool>(), 0u64..2000).prop_map(|(ms, v, l)| Step::Voice(ms, v, l)),
        2 => (0u64..2000).prop_map(Step::Onset),
        1 => any::<u64>().prop_map(|t| Step::Time(t % 1_000_000)),
        1 => any::<u64>().prop_map(|t| Step::Heard(t % 1_000_000)),
        2 => "[a-z ]{0,12}".prop_map(Step::Partial),
        1 => Just(Step::Final),
        1 => any::<u8>().prop_map(Step::Expect),
        2 => (0u32..4).prop_map(Step::Speaking),
        2 => (0u32..4).prop_map(Step::Silent),
        1 => Just(Step::Nothing),
        1 => (0u64..100_000).prop_map(Step::Key),
    ]
}

proptest! {
    /// Also with times that go back and a `last_voiced` that lies: one end a turn, audio time monotone, waits bounded.
    #[test]
    fn any_order_of_events(steps in proptest::collection::vec(step(), 0..200)) {
        let mut machine = TurnMachine::new(TurnConfig::default());
        let mut clock = 0u64;
        let (mut open, mut ducked) = (false, false);
        let mut last = MediaTime(0);
        for step in steps {
            match step {
                Step::Voice(ms, voiced, back) => {
                    clock += ms * 8;
                    machine.handle_voice(MediaTime(clock), voiced, MediaTime((clock + 4000).saturating_sub(back * 8)));
                }
                Step::Onset(back) => machine.handle_onset(MediaTime((clock + 800).saturating_sub(back * 8))),
                Step::Time(at) => machine.handle_time(MediaTime(at)),
                Step::Heard(at) => machine.handle_heard(MediaTime(at)),
                Step::Partial(text) => machine.handle_partial(&text),
                Step::Final => machine.handle_final(),
                Step::Expect(n) => machine.expect(match n % 4 {
                    0 => Expectation::Open,
                    1 => Expectation::YesNo,
                    2 => Expectation::Name,
                    _ => Expectation::Digits { max: n },
                }),
                Step::Speaking(u) => machine.agent_speaking(UtteranceId(u)),
                Step::Silent(u) => machine.agent_silent(UtteranceId(u)),
                Step::Nothing => machine.nothing_to_say(),
                Step::Key(at) => machine.digit(MediaTime(at)),
            }
            if machine.state() != State::Speaking {
                ducked = false;
            }
            while let Some(event) = machine.poll_event() {
                match event {
                    TurnEvent::UserStarted { at, .. } | TurnEvent::BargeIn { at } => {
                        ducked = false;
                        prop_assert!(at >= last, "{at:?} before {last:?}");
                        last = at;
                        open = true;
                    }
                    TurnEvent::EndOfTurn { at, .. } => {
                        prop_assert!(open, "an end without a beginning");
                        prop_assert!(at >= last);
                        last = at;
                        open = false;
                    }
                    TurnEvent::LikelyEnd { at } => prop_assert!(open && at >= last, "likely without a turn"),
                    TurnEvent::NoInput { .. } => prop_assert_ne!(machine.state(), State::Listening),
                    TurnEvent::AsideOver { .. } => {}
                    TurnEvent::Duck { .. } => {
                        prop_assert_eq!(machine.state(), State::Speaking);
                        prop_assert!(!std::mem::replace(&mut ducked, true), "silent twice");
                    }
                    TurnEvent::Resume { onset, at } => {
                        prop_assert!(std::mem::replace(&mut ducked, false), "goes on without having fallen silent");
                        prop_assert!(at >= onset);
                    }
                }
            }
        }
    }

    /// With regular audio the wait is what was asked for, to the chunk.
    #[test]
    fn the_wait_is_bounded(words in 1u64..2000, partial in "[a-z ]{0,30}") {
        let mut line = Line::new();
        line.voice(words.max(64));
        line.machine.handle_partial(&partial);
        line.silence(4000);
        prop_assert_eq!(line.names().iter().filter(|n| **n == "end").count(), 1);
        let waited = line.waited();
        prop_assert!(waited >= 320 && waited <= ENDPOINT_MAX.as_millis() + 32);
    }
}
