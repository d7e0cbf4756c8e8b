//! The transaction machines in virtual time, against the tables of RFC 3261 section 17.

use proptest::prelude::*;

use super::*;

const fn ms(n: u64) -> Tick {
    Tick(n * 1_000_000)
}

/// Runs a machine's timers to the end; gives (time in ms, what) in order.
fn run<M>(
    machine: &mut M,
    poll: impl Fn(&M) -> Option<Tick>,
    fire: impl Fn(&mut M, Tick) -> Expiry,
) -> Vec<(u64, Expiry)> {
    let mut log = Vec::new();
    while let Some(due) = poll(machine) {
        log.push((due.0 / 1_000_000, fire(machine, due)));
        assert!(log.len() < 100, "timers run away");
    }
    log
}

macro_rules! run {
    ($machine:expr) => {
        run(&mut $machine, |m| m.poll_timeout(), |m, now| m.handle_timeout(now))
    };
}

fn resends(log: &[(u64, Expiry)]) -> Vec<u64> {
    log.iter().filter(|(_, e)| *e == Expiry::Resend).map(|(t, _)| *t).collect()
}

#[test]
fn timer_a_doubles_and_b_gives_up() {
    let mut m = InviteClient::new(ms(0), false);
    let log = run!(m);
    assert_eq!(resends(&log), [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(log.last(), Some(&(32000, Expiry::TimedOut)));
    assert_eq!(m.state(), State::Terminated);
    assert_eq!(run!(InviteClient::new(ms(0), true)), [(32000, Expiry::TimedOut)]);
}

#[test]
fn timer_d_absorbs_repeats_of_a_refusal() {
    let mut m = InviteClient::new(ms(0), false);
    assert_eq!(m.handle_response(ms(100), 180), Receipt { deliver: true, acknowledge: false });
    assert_eq!(m.poll_timeout(), None, "ringing has no timer of the transaction");
    assert_eq!(m.handle_response(ms(200), 486), Receipt { deliver: true, acknowledge: true });
    assert_eq!(m.handle_response(ms(300), 486), Receipt { deliver: false, acknowledge: true });
    assert_eq!(m.handle_response(ms(300), 200), Receipt::default());
    assert_eq!(run!(m), [(32200, Expiry::Terminated)]);
}

#[test]
fn timer_m_lets_repeated_2xx_through() {
    let mut m = InviteClient::new(ms(0), false);
    assert!(m.handle_response(ms(10), 200).deliver);
    assert_eq!(m.state(), State::Accepted);
    assert!(m.handle_response(ms(500), 200).deliver);
    assert!(!m.handle_response(ms(500), 486).deliver);
    assert!(!m.handle_response(ms(500), 180).deliver);
    assert_eq!(run!(m), [(32010, Expiry::Terminated)]);
}

#[test]
fn timers_e_f_k() {
    let mut m = NonInviteClient::new(ms(0), false);
    let log = run!(m);
    assert_eq!(resends(&log), [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(log.last(), Some(&(32000, Expiry::TimedOut)));
    let mut m = NonInviteClient::new(ms(0), false);
    m.handle_response(ms(100), 100);
    assert_eq!(m.poll_timeout(), Some(ms(4100)), "E is T2 in Proceeding");
    assert!(m.handle_response(ms(200), 200).deliver);
    assert!(!m.handle_response(ms(300), 200).deliver);
    assert_eq!(run!(m), [(5200, Expiry::Terminated)]);
    let mut m = NonInviteClient::new(ms(0), true);
    m.handle_response(ms(1), 200);
    assert_eq!(m.state(), State::Terminated);
}

#[test]
fn timers_g_h_repeat_a_refusal_until_ack_or_end() {
    let mut m = InviteServer::new(false);
    assert!(m.respond(ms(0), 100) && m.respond(ms(0), 180) && m.handle_repeat());
    assert!(m.respond(ms(0), 486) && !m.respond(ms(0), 200) && m.handle_repeat());
    let log = run!(m);
    assert_eq!(resends(&log), [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(log.last(), Some(&(32000, Expiry::TimedOut)));
}

#[test]
fn timer_i_absorbs_repeated_acks() {
    let mut m = InviteServer::new(false);
    m.respond(ms(0), 404);
    assert_eq!(m.handle_ack(ms(40)), AckMeaning::Absorbed);
    assert_eq!(m.state(), State::Confirmed);
    assert_eq!(m.handle_ack(ms(41)), AckMeaning::Absorbed);
    assert!(!m.handle_repeat());
    assert_eq!(run!(m), [(5040, Expiry::Terminated)]);
    let mut m = InviteServer::new(true);
    m.respond(ms(0), 404);
    m.handle_ack(ms(1));
    assert_eq!(m.state(), State::Terminated);
}

#[test]
fn timer_l_accepts_2xx_repeats_and_absorbs_invites() {
    let mut m = InviteServer::new(false);
    assert!(m.respond(ms(0), 200) && m.respond(ms(500), 200) && !m.respond(ms(500), 486));
    assert!(!m.handle_repeat());
    assert_eq!(m.handle_ack(ms(600)), AckMeaning::ForDialog);
    assert_eq!(run!(m), [(32000, Expiry::Terminated)]);
}

#[test]
fn timer_j_repeats_the_answer() {
    let mut m = NonInviteServer::new(false);
    assert!(!m.handle_repeat());
    assert!(m.respond(ms(0), 200) && m.handle_repeat() && !m.respond(ms(0), 500));
    assert_eq!(run!(m), [(32000, Expiry::Terminated)]);
    let mut m = NonInviteServer::new(true);
    assert!(m.respond(ms(0), 200));
    assert_eq!(m.state(), State::Terminated);
}

#[test]
fn a_late_timer_makes_one_repeat_not_a_burst() {
    let mut m = InviteClient::new(ms(0), false);
    assert_eq!(m.handle_timeout(ms(20_000)), Expiry::Resend);
    assert_eq!(m.handle_timeout(ms(20_000)), Expiry::Nothing);
    assert_eq!(m.poll_timeout(), Some(ms(21_000)));
}

#[derive(Clone, Debug)]
enum Input {
    Code(u16),
    Ack,
    Repeat,
    Wait(u64),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let one = prop_oneof![
        (0u16..800).prop_map(Input::Code),
        prop_oneof![Just(100u16), Just(180), Just(200), Just(486)].prop_map(Input::Code),
        Just(Input::Ack),
        Just(Input::Repeat),
        (0u64..40_000).prop_map(Input::Wait),
    ];
    proptest::collection::vec(one, 0..24)
}

proptest! {
    /// Whatever comes in whatever order: no panic, and once the last word is said the machine ends in 64·T1 + T4.
    #[test]
    fn every_machine_ends(events in inputs(), reliable: bool) {
        let mut now = ms(0);
        let mut ic = InviteClient::new(now, reliable);
        let mut nc = NonInviteClient::new(now, reliable);
        let mut is = InviteServer::new(reliable);
        let mut ns = NonInviteServer::new(reliable);
        for event in events {
            match event {
                Input::Code(code) => {
                    let receipt = ic.handle_response(now, code);
                    prop_assert!(!receipt.acknowledge || code >= 300);
                    nc.handle_response(now, code);
                    is.respond(now, code);
                    ns.respond(now, code);
                }
                Input::Ack => { is.handle_ack(now); }
                Input::Repeat => { let _ = is.handle_repeat(); let _ = ns.handle_repeat(); }
                Input::Wait(n) => {
                    now = now + Duration::from_millis(n);
                    ic.handle_timeout(now); nc.handle_timeout(now); is.handle_timeout(now); ns.handle_timeout(now);
                }
            }
        }
        // The last word of each user and peer.
        ic.handle_response(now, 603);
        nc.handle_response(now, 603);
        is.respond(now, 603);
        ns.respond(now, 603);
        let end = now + GIVE_UP + T4;
        for log in [run!(ic), run!(nc), run!(is), run!(ns)] {
            prop_assert!(log.last().is_none_or(|(t, _)| ms(*t) <= end));
        }
        for state in [ic.state(), nc.state(), is.state(), ns.state()] {
            prop_assert_eq!(state, State::Terminated);
        }
    }
}
