//! Turn-taking in virtual time: audio comes as 32 ms judgements, nothing sleeps.

mod line;

use std::time::Duration;

use callwright::conversation::Expectation;
use callwright::id::UtteranceId;
use callwright::limits::{ENDPOINT_MAX, TURN_MAX};
use callwright::time::MediaTime;
use callwright::turn::{State, TurnConfig, TurnEvent, TurnMachine};
use line::{Line, sound};
use proptest::prelude::*;

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
    assert_eq!(line.events[1], TurnEvent::Floor { at: MediaTime(15 * 256) });
    let ended = MediaTime(15 * 256 - 32);
    for _ in 0..4 {
        chunk(&mut line, true, ended);
    }
    for _ in 0..8 {
        chunk(&mut line, false, ended);
    }
    assert_eq!(line.events.last(), Some(&TurnEvent::BargeIn { at: onset }));
    line.machine.handle_partial("");
    for _ in 0..88 {
        chunk(&mut line, false, ended);
    }
    let Some(TurnEvent::EndOfTurn { at, waited }) = line.events.last() else { panic!("{:?}", line.events) };
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
        let (mut open, mut ducked, mut floor) = (false, false, false);
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
            while let Some(event) = machine.poll_event() {
                match event {
                    TurnEvent::UserStarted { at, .. } | TurnEvent::BargeIn { at } => {
                        (ducked, floor) = (false, false);
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
                    TurnEvent::LikelyEnd { at } => prop_assert!((open || floor) && at >= last, "likely without a turn"),
                    TurnEvent::Floor { at } => {
                        prop_assert!(ducked && at >= last, "the agent speaks on");
                        prop_assert!(!std::mem::replace(&mut floor, true), "it has it already");
                    }
                    TurnEvent::NoInput { .. } => prop_assert_ne!(machine.state(), State::Listening),
                    TurnEvent::AsideOver { .. } => {}
                    TurnEvent::Duck { .. } => {
                        prop_assert_eq!(machine.state(), State::Speaking);
                        prop_assert!(!std::mem::replace(&mut ducked, true), "silent twice");
                    }
                    TurnEvent::Resume { onset, at } => {
                        floor = false;
                        prop_assert!(std::mem::replace(&mut ducked, false), "goes on without having fallen silent");
                        prop_assert!(at >= onset);
                    }
                }
            }
            if machine.state() != State::Speaking {
                prop_assert!(!floor, "whose verdict never comes");
                ducked = false;
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
