//! Telephones that register here (RFC 3261 §10.3, §22.4): an agent of ours is the telephone, another one the registrar.

use std::net::SocketAddr;
use std::time::Duration;

use callwright::sip::agent::{Agent, LegId, LineConfig, Placement, SipEvent};
use callwright::sip::hop::Hop;
use callwright::sip::peer::{Directory, ExtensionIdentity, Peer, TrunkIdentity};
use callwright::sip::registrar::Intervals;
use callwright::sip::registration::LineState;
use callwright::time::Tick;

use super::{SDP, agent, hop, login, s};

const BOX: &str = "10.0.0.2:5060";
const PHONE: &str = "10.0.0.1:5060";
/// Where the box sees the telephone.
const NAT: &str = "10.0.0.254:40000";

fn extension(number: &str, username: &str) -> ExtensionIdentity {
    ExtensionIdentity { number: number.into(), login: login(username, "s3cret"), networks: vec![] }
}

/// The box (side 0) and a telephone behind a NAT (side 1).
struct House {
    agents: [Agent; 2],
    now: Tick,
    events: [Vec<SipEvent>; 2],
    /// First lines, and the side that sent them.
    log: Vec<(usize, String)>,
    nat: SocketAddr,
}

impl House {
    fn new(password: &str) -> Self {
        let mut central = agent(BOX, 1);
        let extensions = vec![extension("200", "200"), extension("201", "ann")];
        central.set_directory(Directory::new(vec![], extensions, false));
        central.set_registrar("callwright", &DIGESTS, Intervals { least: s(60), most: s(120) });
        let mut phone = agent(PHONE, 2);
        let identity = TrunkIdentity { name: "box".into(), ..TrunkIdentity::default() };
        phone.set_directory(Directory::new(vec![identity], vec![], false));
        phone.set_account("box", Some(login("200", password)), vec![]);
        Self {
            agents: [central, phone],
            now: Tick(1_000_000_000),
            events: [vec![], vec![]],
            log: vec![],
            nat: NAT.parse().unwrap(),
        }
    }

    fn register(&mut self) {
        let line = LineConfig {
            account: "box".into(),
            registrar: "sip:10.0.0.2".to_owned(),
            aor: "sip:200@10.0.0.2".to_owned(),
            contact_user: "200".to_owned(),
            expires: s(600),
            public: None,
        };
        self.agents[1].set_lines(self.now, vec![line]);
        self.agents[1].set_trunk_hops(self.now, "box", vec![hop(BOX)]);
        self.run(s(1));
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let mut moved = false;
            for side in 0..2 {
                while let Some(t) = self.agents[side].poll_transmit() {
                    moved = true;
                    let text = String::from_utf8_lossy(&t.bytes).into_owned();
                    self.log.push((side, text.lines().next().unwrap_or_default().to_owned()));
                    let (to, source) = if side == 0 {
                        assert_eq!(t.hop.address, self.nat, "the telephone is reached where it was seen: {text}");
                        (1, BOX.parse().unwrap())
                    } else {
                        assert_eq!(t.hop.address.to_string(), BOX);
                        (0, self.nat)
                    };
                    self.agents[to].handle_message(self.now, &Hop::udp(source), &t.bytes);
                }
                let events: Vec<_> = std::iter::from_fn(|| self.agents[side].poll_event()).collect();
                self.events[side].extend(events);
            }
            if moved {
                continue;
            }
            let Some(due) = self.agents.iter().filter_map(Agent::poll_timeout).min().filter(|d| *d <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.agents.iter_mut().for_each(|a| a.handle_timeout(self.now));
        }
        self.now = end;
    }

    fn said(&self, side: usize, start: &str) -> usize {
        self.log.iter().filter(|(from, line)| *from == side && line.starts_with(start)).count()
    }

    fn place(&mut self, side: usize, placement: Placement) -> LegId {
        let leg = self.agents[side].place(self.now, &placement).unwrap();
        self.run(s(1));
        leg
    }

    fn incoming(&mut self, side: usize) -> (LegId, Peer, String, String) {
        let events = std::mem::take(&mut self.events[side]);
        let found = events.into_iter().find_map(|e| match e {
            SipEvent::Incoming { leg, identity, request_user, from, .. } => Some((leg, identity, request_user, from)),
            _ => None,
        });
        found.expect("a call came")
    }
}

const DIGESTS: [callwright::sip::auth::Algorithm; 2] =
    [callwright::sip::auth::Algorithm::Sha256, callwright::sip::auth::Algorithm::Md5];

#[test]
fn a_telephone_behind_nat_registers_with_digest_and_is_called_where_it_was_seen() {
    let mut house = House::new("s3cret");
    house.register();
    assert_eq!(house.agents[1].lines()[0].state, LineState::Registered);
    let bindings = house.agents[0].bindings(house.now, "200");
    assert_eq!(bindings.len(), 1, "the Contact before the NAT has gone: {bindings:?}");
    assert_eq!(bindings[0].hop.address.to_string(), NAT);
    assert!(bindings[0].contact.starts_with("sip:200@10.0.0.254:40000;line="), "{bindings:?}");
    let told =
        house.events[0].iter().filter(|e| matches!(e, SipEvent::Bindings { extension, .. } if &**extension == "200"));
    assert_eq!(told.count(), 2, "to be kept");
    // Call it.
    let placement =
        Placement::new(&bindings[0].contact, bindings[0].hop.clone(), "\"Ann\" <sip:555@10.0.0.2>", SDP.to_vec());
    house.place(0, placement);
    let (leg, identity, number, _) = house.incoming(1);
    assert_eq!((identity, number.as_str()), (Peer::Trunk("box".into()), "200"));
    house.agents[1].accept(house.now, leg, SDP).unwrap();
    house.run(s(1));
    assert!(house.events[0].iter().any(|e| matches!(e, SipEvent::Accepted { .. })));
    house.agents[1].hang_up(house.now, leg, None).unwrap();
    house.run(s(40));
    assert!(house.events[0].iter().any(|e| matches!(e, SipEvent::Ended { .. })));
}

#[test]
fn its_registration_is_refreshed_for_days_without_a_gap() {
    let mut house = House::new("s3cret");
    house.register();
    for hour in 0..48 {
        house.run(s(3600));
        assert_eq!(house.agents[0].bindings(house.now, "200").len(), 1, "after {hour} hours");
    }
    // Two minutes are granted: 75–90 % of them pass between two refreshes, and a nonce lives five minutes.
    let registers = house.said(1, "REGISTER");
    assert!((1600..2700).contains(&registers), "{registers}");
    house.agents[1].unregister(house.now);
    house.run(s(1));
    assert!(house.agents[0].bindings(house.now, "200").is_empty());
}

#[test]
fn an_extension_calls_with_its_password_and_is_known_by_it() {
    let mut house = House::new("s3cret");
    let from = "\"Boss\" <sip:999@10.0.0.2>";
    let mut placement = Placement::new("sip:300@10.0.0.2", hop(BOX), from, SDP.to_vec());
    placement.account = Some("box".into());
    // Whatever it calls itself, without an extension's number in From and without proof it is a stranger.
    let leg = house.agents[1].place(house.now, &placement).unwrap();
    house.run(s(40));
    assert_eq!(house.said(0, "SIP/2.0"), 0);
    assert!(house.events[1].iter().any(|e| matches!(e, SipEvent::Refused { leg: l, code: 408, .. } if *l == leg)));
    placement.from = "\"Boss\" <sip:200@10.0.0.2>".to_owned();
    house.place(1, placement.clone());
    let (_, identity, number, _) = house.incoming(0);
    assert_eq!((identity, number.as_str()), (Peer::Extension("200".into()), "300"));
    assert_eq!(house.said(0, "SIP/2.0 401"), 1);
    house.place(1, placement);
    assert_eq!(house.said(0, "SIP/2.0 401"), 1, "the next call brings its proof");
}

#[test]
fn a_wrong_password_registers_nothing_and_guessing_falls_silent() {
    let mut house = House::new("guess");
    house.register();
    assert_eq!(house.agents[1].lines()[0].state, LineState::Failed);
    assert!(house.agents[0].bindings(house.now, "200").is_empty());
    assert_eq!(house.agents[0].status().refused_password, 1);
    for n in 0..30 {
        house.agents[1].set_account("box", Some(login("200", &format!("guess{n}"))), vec![]);
        house.agents[1].set_trunk_hops(house.now, "box", vec![]);
        house.agents[1].set_trunk_hops(house.now, "box", vec![hop(BOX)]);
        house.run(Duration::from_millis(10));
    }
    let tried = house.agents[0].status().refused_password;
    assert!(tried <= 11, "{tried} guesses were answered");
    assert!(house.agents[0].status().dropped_source > 0);
}

#[test]
fn nobody_registers_for_another() {
    let mut house = House::new("s3cret");
    house.agents[1].set_account("box", Some(login("ann", "s3cret")), vec![]);
    house.register();
    assert_eq!(house.said(0, "SIP/2.0 403"), 1, "{:?}", house.log);
    assert!(house.agents[0].bindings(house.now, "200").is_empty());
    assert!(house.agents[0].bindings(house.now, "201").is_empty());
}

#[test]
fn bindings_outlive_a_restart() {
    let mut house = House::new("s3cret");
    house.register();
    let kept = house.events[0].iter().rev().find_map(|e| match e {
        SipEvent::Bindings { extension, bindings } => Some((extension.clone(), bindings.clone())),
        _ => None,
    });
    let (number, bindings) = kept.unwrap();
    let mut next = agent(BOX, 9);
    next.restore_bindings(house.now, &number, bindings.clone());
    assert!(next.bindings(house.now, "200").is_empty(), "there is no such extension any more");
    next.set_directory(Directory::new(vec![], vec![extension("200", "200")], false));
    next.restore_bindings(house.now, &number, bindings.clone());
    assert_eq!(next.bindings(house.now, "200"), bindings);
    assert!(next.bindings(house.now + s(121), "200").is_empty());
    // The telephone refreshes at the new one as if nothing had happened: its nonce is stale there.
    house.agents[0] = next;
    house.run(s(110));
    assert_eq!(house.agents[1].lines()[0].state, LineState::Registered);
    assert_eq!(house.agents[0].bindings(house.now, "200").len(), 1);
    house.agents[0].set_directory(Directory::new(vec![], vec![extension("300", "300")], false));
    assert!(house.agents[0].bindings(house.now, "200").is_empty(), "a reload forgets who is gone");
}
