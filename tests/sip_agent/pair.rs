//! Two agents on a link that loses, repeats and reorders datagrams; every run is fixed by its seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use callwright::sip::agent::{Agent, AgentError, EndedBy, LegId, SipEvent};
use callwright::time::Tick;

use super::{ANSWER, OFFER, Seeded, agent, ms};

#[derive(Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) loss_percent: u64,
    pub(crate) repeat_percent: u64,
    pub(crate) delay_max_ms: u64,
}

pub(crate) const CLEAN: Conditions = Conditions { loss_percent: 0, repeat_percent: 0, delay_max_ms: 0 };

/// Caller (side 0), callee (side 1) and the link between them.
pub(crate) struct Pair {
    pub(crate) now: Tick,
    pub(crate) agents: [Agent; 2],
    addresses: [SocketAddr; 2],
    pub(crate) events: [Vec<SipEvent>; 2],
    flying: BTreeMap<(Tick, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// First line of every datagram offered to the link, and the side that sent it.
    pub(crate) log: Vec<(usize, String)>,
    pub(crate) conditions: Conditions,
    pub(crate) random: Seeded,
    /// Lose everything that this side sends and whose first line starts so.
    pub(crate) swallow: Option<(usize, &'static str)>,
}

impl Pair {
    pub(crate) fn new(seed: u64, conditions: Conditions) -> Self {
        let addresses = ["10.0.0.1:5060", "10.0.0.2:5060"];
        Self {
            now: Tick(1_000_000_000),
            agents: [agent(addresses[0], seed), agent(addresses[1], seed ^ 0xffff)],
            addresses: addresses.map(|a| a.parse().unwrap()),
            events: [vec![], vec![]],
            flying: BTreeMap::new(),
            sent: 0,
            log: vec![],
            conditions,
            random: Seeded(seed),
            swallow: None,
        }
    }

    fn pump(&mut self) {
        for side in 0..2 {
            while let Some(t) = self.agents[side].poll_transmit() {
                assert_eq!(t.hop.address, self.addresses[1 - side], "nothing goes elsewhere");
                let line = String::from_utf8_lossy(t.bytes.split(|&b| b == b'\r').next().unwrap()).into_owned();
                let swallowed = self.swallow.is_some_and(|(from, prefix)| from == side && line.starts_with(prefix));
                self.log.push((side, line));
                let copies = 1 + u64::from(self.random.below(100) < self.conditions.repeat_percent);
                for _ in 0..copies {
                    let lost = self.random.below(100) < self.conditions.loss_percent;
                    let delay = ms(self.random.below(self.conditions.delay_max_ms + 1));
                    if !lost && !swallowed {
                        self.sent += 1;
                        self.flying.insert((self.now + delay, self.sent), (1 - side, t.bytes.clone()));
                    }
                }
            }
            while let Some(event) = self.agents[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.pump();
            let flying = self.flying.keys().next().map(|(t, _)| *t);
            let timers = self.agents.iter().filter_map(Agent::poll_timeout).min();
            let Some(next) = [flying, timers].into_iter().flatten().min().filter(|t| *t <= end) else { break };
            self.now = self.now.max(next);
            if flying == Some(next) {
                let (_, (to, bytes)) = self.flying.pop_first().unwrap();
                self.agents[to].handle_datagram(self.now, self.addresses[1 - to], &bytes);
            } else {
                self.agents.iter_mut().for_each(|a| a.handle_timeout(self.now));
            }
        }
        self.now = end;
    }

    pub(crate) fn call(&mut self) -> LegId {
        let to = self.addresses[1];
        self.agents[0].invite(self.now, "sip:grace@10.0.0.2", to, "\"Ann\" <sip:ann@10.0.0.1>", OFFER).unwrap()
    }

    pub(crate) fn incoming(&self) -> LegId {
        self.events[1].iter().find(|e| matches!(e, SipEvent::Incoming { .. })).expect("an INVITE came").leg()
    }

    /// A call that has been offered.
    pub(crate) fn offered(seed: u64) -> (Self, LegId, LegId) {
        let mut pair = Self::new(seed, CLEAN);
        let caller = pair.call();
        pair.run(ms(10));
        let callee = pair.incoming();
        (pair, caller, callee)
    }

    /// A call that is up.
    pub(crate) fn connected(seed: u64) -> (Self, LegId, LegId) {
        let (mut pair, caller, callee) = Self::offered(seed);
        pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
        pair.run(ms(10));
        assert!(pair.events[0].contains(&SipEvent::Accepted { leg: caller, answer: ANSWER.to_vec() }));
        assert!(pair.events[1].contains(&SipEvent::Confirmed { leg: callee, answer: None }));
        (pair, caller, callee)
    }

    pub(crate) fn assert_quiet(&mut self) {
        self.run(Duration::from_secs(40));
        for agent in &self.agents {
            assert!(agent.is_quiescent(), "{:?}", agent.status());
        }
    }

    pub(crate) fn count(&self, side: usize, prefix: &str) -> usize {
        self.log.iter().filter(|(s, line)| *s == side && line.starts_with(prefix)).count()
    }
}

pub(crate) fn ended(leg: LegId, by: EndedBy) -> impl Fn(&SipEvent) -> bool {
    move |event| matches!(event, SipEvent::Ended { leg: l, by: b, .. } if *l == leg && *b == by)
}

#[test]
fn a_call_rings_is_answered_and_ended_by_the_caller() {
    let (mut pair, caller, callee) = Pair::offered(1);
    let SipEvent::Incoming { from, to, request_user, offer, source, .. } = pair.events[1][0].clone() else {
        panic!("{:?}", pair.events[1]);
    };
    assert_eq!(
        (from.as_str(), to.as_str(), request_user.as_str()),
        ("\"Ann\" <sip:ann@10.0.0.1>", "<sip:grace@10.0.0.2>", "grace")
    );
    assert_eq!((offer.as_deref(), source), (Some(OFFER), pair.addresses[0]));
    pair.agents[1].ring(pair.now, callee).unwrap();
    pair.run(ms(2000));
    assert_eq!(pair.events[0], [SipEvent::Progress { leg: caller, code: 180, answer: None, dialog: 0 }]);
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    assert!(matches!(pair.agents[1].accept(pair.now, callee, ANSWER), Err(AgentError::WrongState { .. })));
    pair.run(ms(5000));
    assert_eq!(pair.events[1].last(), Some(&SipEvent::Confirmed { leg: callee, answer: None }));
    pair.agents[0].hang_up(pair.now, caller, Some("done")).unwrap();
    pair.run(ms(10));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    assert_eq!(
        pair.events[1].last(),
        Some(&SipEvent::Ended { leg: callee, by: EndedBy::Remote, reason: Some("done".into()), cause: None })
    );
    assert_eq!(pair.agents[0].hang_up(pair.now, caller, None), Err(AgentError::UnknownLeg(caller)));
    assert_eq!(
        pair.log.iter().map(|(s, l)| format!("{s} {l}")).collect::<Vec<_>>(),
        [
            "0 INVITE sip:grace@10.0.0.2 SIP/2.0",
            "1 SIP/2.0 100 Trying",
            "1 SIP/2.0 180 Ringing",
            "1 SIP/2.0 200 OK",
            "0 ACK sip:callwright@10.0.0.2:5060 SIP/2.0",
            "0 BYE sip:callwright@10.0.0.2:5060 SIP/2.0",
            "1 SIP/2.0 200 OK"
        ],
        "nothing is sent twice on a clean link"
    );
    pair.assert_quiet();
}

#[test]
fn early_media_is_announced_and_repeated_in_the_answer() {
    let (mut pair, caller, callee) = Pair::offered(1);
    pair.agents[1].progress(pair.now, callee, 183, Some(ANSWER)).unwrap();
    pair.agents[1].progress(pair.now, callee, 100, None).unwrap();
    pair.run(ms(100));
    let early = SipEvent::Progress { leg: caller, code: 183, answer: Some(ANSWER.to_vec()), dialog: 0 };
    assert_eq!(pair.events[0], [early, SipEvent::Progress { leg: caller, code: 183, answer: None, dialog: 0 }]);
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.run(ms(100));
    assert_eq!(pair.events[0].last(), Some(&SipEvent::Accepted { leg: caller, answer: ANSWER.to_vec() }));
    let late = pair.agents[1].progress(pair.now, callee, 180, None);
    assert!(matches!(late, Err(AgentError::WrongState { verb: "progress", .. })), "{late:?}");
}

#[test]
fn the_callee_hangs_up() {
    let (mut pair, caller, callee) = Pair::connected(2);
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.run(ms(10));
    assert!(pair.events[0].iter().any(ended(caller, EndedBy::Remote)));
    assert!(pair.events[1].iter().any(ended(callee, EndedBy::Local)));
    pair.assert_quiet();
}

#[test]
fn both_hang_up_at_once() {
    let (mut pair, caller, callee) = Pair::connected(3);
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.run(ms(10));
    for side in 0..2 {
        assert_eq!(pair.events[side].iter().filter(|e| e.is_terminal()).count(), 1);
    }
    pair.assert_quiet();
}

#[test]
fn a_refusal_carries_code_reason_and_retry_after() {
    let (mut pair, caller, callee) = Pair::offered(4);
    pair.agents[1].reject(pair.now, callee, 503, "All agents busy", &[("Retry-After", "7")]).unwrap();
    pair.run(ms(10));
    assert_eq!(
        pair.events[0],
        [SipEvent::Refused {
            leg: caller,
            code: 503,
            reason: "All agents busy".into(),
            retry_after: Some(7),
            cause: None
        }]
    );
    assert!(ended(callee, EndedBy::Local)(pair.events[1].last().unwrap()));
    pair.assert_quiet();
    assert_eq!(pair.count(1, "SIP/2.0 503"), 1, "the ACK stopped the repeats");
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    let (mut pair, caller, callee) = Pair::offered(5);
    pair.agents[1].ring(pair.now, callee).unwrap();
    pair.run(ms(500));
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.run(ms(10));
    assert_eq!(pair.events[1].last(), Some(&SipEvent::Cancelled { leg: callee }));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    assert_eq!((pair.count(1, "SIP/2.0 200"), pair.count(1, "SIP/2.0 487"), pair.count(0, "ACK")), (1, 1, 1));
    pair.assert_quiet();
}

#[test]
fn a_cancel_before_any_response_waits_for_the_first() {
    let mut pair = Pair::new(6, CLEAN);
    let caller = pair.call();
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.run(ms(10));
    assert_eq!(pair.log[1].1, "SIP/2.0 100 Trying");
    assert!(pair.log[2].1.starts_with("CANCEL "));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    pair.assert_quiet();
}

#[test]
fn cancel_crosses_200_and_bye_ends_the_call() {
    let (mut pair, caller, callee) = Pair::offered(7);
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.run(ms(100));
    assert_eq!((pair.count(0, "CANCEL"), pair.count(0, "ACK"), pair.count(0, "BYE")), (1, 1, 1));
    assert_eq!(pair.count(1, "SIP/2.0 487"), 0, "CANCEL after 200 is harmless");
    assert!(!pair.events[0].iter().any(|e| matches!(e, SipEvent::Accepted { .. })));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    assert!(ended(callee, EndedBy::Remote)(pair.events[1].last().unwrap()));
    pair.assert_quiet();
}

#[test]
fn a_cancel_that_nobody_answers_ends_after_32_s() {
    let (mut pair, caller, _) = Pair::offered(8);
    pair.swallow = Some((1, ""));
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.run(Duration::from_secs(31));
    assert!(!pair.events[0].iter().any(SipEvent::is_terminal));
    pair.run(Duration::from_secs(2));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    pair.assert_quiet();
}

#[test]
fn nobody_there_is_408_after_32_s() {
    let mut pair = Pair::new(9, CLEAN);
    pair.swallow = Some((0, ""));
    let caller = pair.call();
    pair.run(Duration::from_secs(31));
    assert!(pair.events[0].is_empty());
    pair.run(Duration::from_secs(2));
    assert!(matches!(pair.events[0][..], [SipEvent::Refused { leg, code: 408, .. }] if leg == caller));
    assert_eq!(pair.count(0, "INVITE"), 7);
    pair.assert_quiet();
}

#[test]
fn without_ack_the_200_is_repeated_then_the_call_ends() {
    let (mut pair, _, callee) = Pair::offered(10);
    pair.swallow = Some((0, "ACK"));
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.run(Duration::from_secs(40));
    let repeated = pair.count(0, "ACK");
    assert_eq!(repeated, 11, "every repeat of the 200 is acknowledged again");
    assert_eq!(pair.count(1, "SIP/2.0 200"), 11);
    assert!(ended(callee, EndedBy::Timeout)(pair.events[1].last().unwrap()));
    assert_eq!(pair.count(1, "BYE"), 1);
    pair.assert_quiet();
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let (mut pair, _, callee) = Pair::offered(11);
    pair.swallow = Some((0, "ACK"));
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.run(ms(900));
    assert_eq!(pair.count(1, "BYE"), 0);
    pair.swallow = None;
    pair.run(ms(1000));
    assert_eq!(pair.count(1, "BYE"), 1);
    assert!(ended(callee, EndedBy::Local)(pair.events[1].last().unwrap()));
    assert!(!pair.events[1].iter().any(|e| matches!(e, SipEvent::Confirmed { .. })));
    pair.assert_quiet();
}

#[test]
fn a_dead_peer_does_not_keep_a_leg() {
    let (mut pair, caller, callee) = Pair::connected(12);
    pair.swallow = Some((1, ""));
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.run(Duration::from_secs(33));
    assert!(ended(caller, EndedBy::Local)(pair.events[0].last().unwrap()));
    assert!(pair.events[1].iter().any(ended(callee, EndedBy::Remote)));
    assert_eq!(pair.count(0, "BYE"), 11);
    pair.assert_quiet();
}

#[test]
fn ringing_has_a_limit_on_both_sides() {
    let (mut pair, caller, callee) = Pair::offered(13);
    pair.agents[1].ring(pair.now, callee).unwrap();
    pair.run(Duration::from_secs(201));
    for side in 0..2 {
        assert_eq!(pair.events[side].iter().filter(|e| e.is_terminal()).count(), 1);
    }
    assert!(matches!(pair.events[0].last(), Some(SipEvent::Refused { leg, .. }) if *leg == caller));
    pair.assert_quiet();
}

/// Whatever is lost, repeated or overtaken: both sides end, exactly once, and forget everything.
#[test]
fn bad_links_end_too() {
    let (mut accepted, mut confirmed) = (0, 0);
    for seed in 0..150 {
        let conditions =
            Conditions { loss_percent: seed % 50, repeat_percent: seed % 30, delay_max_ms: (seed * 13) % 700 };
        let mut pair = Pair::new(seed, conditions);
        let caller = pair.call();
        let give_up_ms = pair.random.below(6000);
        let callee_gives_up = seed % 3 == 0;
        let (mut callee, mut answered) = (None, false);
        // The verbs race with the network, so they may come too late: that is the point.
        for step in 0..80 {
            pair.run(ms(100));
            if callee.is_none()
                && let Some(event) = pair.events[1].first()
            {
                callee = Some(event.leg());
                let _ = pair.agents[1].ring(pair.now, event.leg());
            }
            if let Some(leg) = callee.filter(|_| step > 5 && !answered) {
                answered = true;
                let _ = pair.agents[1].accept(pair.now, leg, ANSWER);
            }
            if step * 100 >= give_up_ms {
                let leg = if callee_gives_up { callee.unwrap_or(LegId(0)) } else { caller };
                let _ = pair.agents[usize::from(callee_gives_up)].hang_up(pair.now, leg, None);
            }
        }
        let _ = pair.agents[0].hang_up(pair.now, caller, None);
        for event in pair.events[1].clone() {
            let _ = pair.agents[1].hang_up(pair.now, event.leg(), None);
        }
        pair.run(Duration::from_secs(300));
        for side in 0..2 {
            let mut terminal: Vec<_> =
                pair.events[side].iter().filter(|e| e.is_terminal()).map(SipEvent::leg).collect();
            terminal.sort_unstable();
            let incoming = pair.events[1].iter().filter(|e| matches!(e, SipEvent::Incoming { .. })).map(SipEvent::leg);
            let legs: Vec<_> = if side == 0 { vec![caller] } else { incoming.collect() };
            assert_eq!(terminal, legs, "seed {seed} side {side}: {:?}", pair.events[side]);
            assert!(pair.agents[side].is_quiescent(), "seed {seed} side {side}: {:?}", pair.agents[side].status());
        }
        accepted += usize::from(pair.events[0].iter().any(|e| matches!(e, SipEvent::Accepted { .. })));
        confirmed += usize::from(pair.events[1].iter().any(|e| matches!(e, SipEvent::Confirmed { .. })));
    }
    assert!(accepted > 60 && confirmed > 50, "the test must have seen calls that worked: {accepted} {confirmed}");
}

#[test]
fn the_agent_is_deterministic() {
    let run = || {
        let mut pair = Pair::new(77, Conditions { loss_percent: 20, repeat_percent: 10, delay_max_ms: 300 });
        pair.call();
        pair.run(Duration::from_secs(50));
        (pair.log, pair.events)
    };
    assert_eq!(run(), run());
}
