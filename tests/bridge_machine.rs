//! What a bridged call does, in every order in which two phones can do things.

use callwright::call::bridge::machine::{Action, BridgeMachine, Input, Refusal, Side, seen_by_caller};
use callwright::call::record::EndClass;
use callwright::limits::{BRIDGE_RINGING_MAX, MEDIA_TIMEOUT};
use callwright::time::Tick;
use proptest::prelude::*;
use std::time::Duration;

use Side::{Callee, Caller};

const START: Tick = Tick(1_000_000_000);

fn ringing() -> Input {
    Input::Progress { code: 180, early: false }
}

fn early() -> Input {
    Input::Progress { code: 183, early: true }
}

fn bye(side: Side) -> Input {
    Input::Over { side, lost: false, reason: None }
}

fn refused(code: u16) -> Input {
    Input::Refused { code, reason: "no".into(), retry_after: Some(7) }
}

/// One word an action, so that a row of the table is a sentence.
fn word(action: &Action) -> String {
    match action {
        Action::Ring => "ring".into(),
        Action::Early => "early".into(),
        Action::Answer => "answer".into(),
        Action::Refuse(r) => format!("refuse {}", r.code),
        Action::HangUp(Caller, _) => "hang up caller".into(),
        Action::HangUp(Callee, _) => "hang up callee".into(),
        Action::SendDigit(Caller, d) => format!("{d} to caller"),
        Action::SendDigit(Callee, d) => format!("{d} to callee"),
        Action::End(end) => format!("end {}", end.class),
    }
}

#[test]
fn a_refusal_is_recorded_by_what_the_caller_was_told() {
    for (code, told, cause) in [(486, 486, 17), (404, 404, 1), (503, 503, 41), (408, 480, 18), (401, 502, 38)] {
        let mut machine = BridgeMachine::new(START);
        machine.handle(START, Input::Placed);
        machine.handle(START, refused(code));
        let end = std::iter::from_fn(|| machine.poll_action()).find_map(|action| match action {
            Action::End(end) => Some((end.sip_code, end.q850())),
            _ => None,
        });
        assert_eq!(end, Some((Some(told), cause)), "{code}");
    }
}

fn run(inputs: &[Input]) -> (BridgeMachine, String) {
    let mut machine = BridgeMachine::new(START);
    let mut done = Vec::new();
    for input in inputs {
        machine.handle(START, input.clone());
        done.extend(std::iter::from_fn(|| machine.poll_action()).map(|a| word(&a)));
    }
    (machine, done.join(", "))
}

#[test]
fn what_follows_what() {
    use Input::{Accepted, Cancelled, Digit, Drain, Failed, NoEarlyMedia, NoMedia, Placed, Timeout, TooLong};
    let failed = || Failed(Refusal::new(502, "Bad Gateway", "no such host"));
    for (inputs, done) in [
        // The way it should be.
        (vec![Placed, ringing(), Accepted], "ring, answer"),
        (vec![Placed, Accepted], "answer"),
        (vec![Placed, ringing(), ringing(), Accepted], "ring, answer"),
        (vec![Placed, Input::Progress { code: 181, early: false }, ringing()], "ring"),
        (vec![Placed, Input::Progress { code: 100, early: false }], ""),
        // Early media.
        (vec![Placed, early(), Accepted], "early, answer"),
        (vec![Placed, ringing(), early(), Accepted], "ring, early, answer"),
        (vec![Placed, early(), ringing(), Accepted], "early, answer"),
        (vec![Placed, early(), early(), Accepted], "early, early, answer"),
        (vec![Placed, early(), NoEarlyMedia, ringing(), Accepted], "early, ring, answer"),
        (vec![Placed, early(), bye(Callee)], "early, refuse 480, end refused"),
        // The caller gives up.
        (vec![Cancelled], "end cancelled"),
        (vec![Placed, Cancelled], "hang up callee, end cancelled"),
        (vec![Placed, ringing(), Cancelled], "ring, hang up callee, end cancelled"),
        (vec![Placed, early(), Cancelled], "early, hang up callee, end cancelled"),
        (vec![Placed, Accepted, Cancelled], "answer, hang up callee, end cancelled"),
        (vec![Placed, Cancelled, Accepted], "hang up callee, end cancelled"),
        (vec![Placed, Cancelled, refused(487)], "hang up callee, end cancelled"),
        (vec![Cancelled, Placed], "end cancelled"),
        // The callee does not want, or cannot.
        (vec![Placed, refused(486)], "refuse 486, end refused"),
        (vec![Placed, ringing(), refused(603)], "ring, refuse 603, end refused"),
        (vec![Placed, early(), refused(503)], "early, refuse 503, end refused"),
        (vec![Placed, refused(408)], "refuse 480, end refused"),
        (vec![Placed, refused(401)], "refuse 502, end refused"),
        (vec![Placed, refused(302)], "refuse 502, end refused"),
        (vec![failed()], "refuse 502, end refused"),
        (vec![Placed, Accepted, failed()], "answer, hang up callee, refuse 502, end refused"),
        (vec![Placed, NoMedia("gone".into())], "hang up callee, refuse 500, end refused"),
        // Hanging up.
        (vec![Placed, Accepted, bye(Caller)], "answer, hang up callee, end caller_hung_up"),
        (vec![Placed, Accepted, bye(Callee)], "answer, hang up caller, end callee_hung_up"),
        (vec![Placed, Accepted, bye(Caller), bye(Callee)], "answer, hang up callee, end caller_hung_up"),
        (vec![Placed, Accepted, bye(Callee), bye(Caller)], "answer, hang up caller, end callee_hung_up"),
        (
            vec![Placed, Accepted, Input::Over { side: Caller, lost: true, reason: None }],
            "answer, hang up callee, end signalling_timeout",
        ),
        (
            vec![Placed, Input::Over { side: Caller, lost: true, reason: None }],
            "hang up callee, end signalling_timeout",
        ),
        // Keys.
        (
            vec![Placed, Digit(Caller, '5'), Accepted, Digit(Caller, '5'), Digit(Callee, '#')],
            "answer, 5 to callee, # to caller",
        ),
        // Ours.
        (vec![Placed, Timeout], ""),
        (vec![Placed, Drain], "hang up callee, refuse 503, end refused"),
        (vec![Placed, Accepted, Drain], "answer, hang up caller, hang up callee, end drained"),
        (vec![Placed, Accepted, TooLong], "answer, hang up caller, hang up callee, end too_long"),
        (vec![Placed, Accepted, NoMedia("gone".into())], "answer, hang up caller, hang up callee, end failed"),
    ] {
        let (_, did) = run(&inputs);
        assert_eq!(did, done, "{inputs:?}");
    }
}

#[test]
fn nobody_answers() {
    let (mut machine, _) = run(&[Input::Placed, ringing()]);
    let due = machine.poll_timeout().unwrap();
    assert_eq!(due, START + BRIDGE_RINGING_MAX);
    machine.handle(due, Input::Timeout);
    let did: Vec<_> = std::iter::from_fn(|| machine.poll_action()).map(|a| word(&a)).collect();
    assert_eq!(did, ["hang up callee", "refuse 480", "end refused"]);
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(run(&[Input::Placed, Input::Accepted]).0.poll_timeout(), None, "an answered call has no such limit");
}

#[test]
fn one_silent_side_is_a_muted_phone_and_two_are_a_dead_call() {
    let (caller, callee) = (Input::Silent(Caller), Input::Silent(Callee));
    let held = |on| Input::Held(Caller, on);
    // Seconds after the answer, and the second at which the call is over.
    for (reports, over) in [
        (vec![(60, &caller), (61, &callee)], Some(61)),
        (vec![(60, &caller), (120, &caller), (180, &caller), (600, &caller)], None),
        // They died 30 s, 100 s and an hour apart; each report is repeated.
        (vec![(60, &caller), (90, &callee), (120, &caller), (150, &callee)], Some(120)),
        (vec![(60, &caller), (120, &caller), (160, &callee), (180, &caller), (220, &callee)], Some(180)),
        (vec![(60, &caller), (120, &caller), (180, &caller), (3700, &caller), (3700, &callee)], Some(3700)),
        // A report was lost.
        (vec![(60, &caller), (90, &callee), (180, &caller)], Some(180)),
        // The caller talked again, and was silent again later.
        (vec![(60, &caller), (240, &callee), (300, &callee)], None),
        (vec![(60, &caller), (119, &callee)], None),
        // One side has us on hold, so nothing is reported of it.
        (vec![(100, &held(true)), (120, &callee), (180, &callee)], Some(180)),
        (vec![(100, &held(true)), (130, &held(false)), (180, &callee), (240, &callee)], None),
    ] {
        let (mut machine, _) = run(&[Input::Placed, Input::Accepted]);
        let ended = reports.iter().find_map(|(second, report)| {
            machine.handle(START + Duration::from_secs(*second), (*report).clone());
            std::iter::from_fn(|| machine.poll_action())
                .any(|a| matches!(a, Action::End(end) if end.class == EndClass::MediaTimeout))
                .then_some(*second)
        });
        assert_eq!(ended, over, "{reports:?}");
    }
    assert_eq!(MEDIA_TIMEOUT, Duration::from_secs(60));
}

#[test]
fn silence_before_the_answer_ends_no_call_and_is_not_forgotten() {
    // Early audio often flows one way only.
    let (mut machine, did) = run(&[Input::Placed, early(), Input::Silent(Caller), Input::Silent(Callee)]);
    assert_eq!(did, "early");
    let mut at = |second, input| {
        machine.handle(START + Duration::from_secs(second), input);
        std::iter::from_fn(|| machine.poll_action()).map(|a| word(&a)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(at(30, Input::Accepted), "answer");
    assert_eq!(at(60, Input::Silent(Caller)), "");
    assert_eq!(at(60, Input::Silent(Callee)), "", "half a minute since the answer");
    assert_eq!(at(120, Input::Silent(Caller)), "");
    assert_eq!(at(120, Input::Silent(Callee)), "hang up caller, hang up callee, end media_timeout");
}

#[test]
fn busy_is_passed_on_and_our_own_troubles_are_not() {
    for as_is in [403, 404, 480, 484, 486, 488, 503, 600, 603] {
        assert_eq!(seen_by_caller(as_is).0, as_is);
    }
    for (code, seen) in [(408, 480), (487, 480), (606, 488), (300, 502), (401, 502), (407, 502), (420, 502), (500, 502)]
    {
        assert_eq!(seen_by_caller(code).0, seen, "{code}");
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let side = prop_oneof![Just(Caller), Just(Callee)];
    prop_oneof![
        Just(Input::Placed),
        Just(Input::Failed(Refusal::new(502, "Bad Gateway", "x"))),
        (100u16..200, any::<bool>()).prop_map(|(code, early)| Input::Progress { code, early }),
        Just(Input::NoEarlyMedia),
        Just(Input::Accepted),
        (300u16..700).prop_map(refused),
        Just(Input::NoMedia("x".into())),
        Just(Input::Cancelled),
        (side.clone(), any::<bool>()).prop_map(|(side, lost)| Input::Over { side, lost, reason: None }),
        side.clone().prop_map(|side| Input::Digit(side, '1')),
        side.clone().prop_map(Input::Silent),
        (side, any::<bool>()).prop_map(|(side, held)| Input::Held(side, held)),
        Just(Input::Timeout),
        Just(Input::TooLong),
        Just(Input::Drain),
    ]
}

proptest! {
    /// Whatever comes in whatever order: one end and nothing after it; at most one refusal; and a leg that was placed and
    /// is not known to be over is hung up by then.
    #[test]
    fn a_bridge_ends_once_and_leaves_no_leg(inputs in proptest::collection::vec((any_input(), 0u64..40), 0..20)) {
        let mut machine = BridgeMachine::new(START);
        let (mut now, mut placed, mut ended, mut refusals) = (START, false, false, 0);
        let drain = [(Input::Drain, 0)];
        for (input, seconds) in inputs.iter().chain(&drain) {
            now = now + Duration::from_secs(*seconds);
            if !ended {
                match input {
                    Input::Placed if !machine.is_answered() => placed = true,
                    Input::Over { side: Callee, .. } => placed = false,
                    Input::Refused { .. } if !machine.is_answered() => placed = false,
                    _ => {}
                }
            }
            machine.handle(now, input.clone());
            while let Some(action) = machine.poll_action() {
                prop_assert!(!ended, "{action:?} after the end");
                match action {
                    Action::HangUp(Callee, _) => {
                        prop_assert!(placed, "there is a leg to hang up");
                        placed = false;
                    }
                    Action::Refuse(refusal) => {
                        prop_assert!((300..700).contains(&refusal.code));
                        refusals += 1;
                    }
                    Action::End(_) => {
                        prop_assert!(!placed, "the callee's leg is left alone");
                        ended = true;
                    }
                    _ => {}
                }
            }
        }
        prop_assert!(ended && refusals <= 1);
        prop_assert_eq!(machine.poll_timeout(), None);
    }
}
