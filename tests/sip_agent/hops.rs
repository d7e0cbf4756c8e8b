//! Where messages go: by which transport and connection, and what happens when a hop is dead or busy.

use callwright::sip::agent::{Agent, AgentConfig, EndedBy, LegId, Placement, SipEvent, Transmit};
use callwright::sip::hop::{FlowId, Hop, Transport};
use callwright::time::Tick;

use super::{ANSWER, OFFER, Seeded, agent, ms};

const FIRST: &str = "10.0.0.7:5060";
const SECOND: &str = "10.0.0.8:5060";

struct Wire {
    agent: Agent,
    now: Tick,
}

impl Wire {
    fn new() -> Self {
        Self { agent: agent("10.0.0.2:5060", 5), now: Tick(1_000_000_000) }
    }

    /// A call by UDP to somebody who may take TCP as well; its leg.
    fn with_tcp_beside() -> (Self, LegId) {
        let mut config = AgentConfig::new("10.0.0.2:5060".parse().unwrap(), Seeded::source(5));
        config.large_by_tcp = true;
        let mut wire = Self { agent: Agent::new(config), now: Tick(1_000_000_000) };
        let leg = wire.place(vec![udp(FIRST)]);
        let invite = wire.sent().remove(0);
        assert_eq!(invite.0, udp(FIRST));
        wire.answer(&udp(FIRST), &invite.1, 200, ANSWER);
        wire.sent();
        wire.events();
        (wire, leg)
    }

    fn place(&mut self, hops: Vec<Hop>) -> LegId {
        let first = hops[0].clone();
        let placement = Placement { hops, ..Placement::new("sip:b@trunk.example", first, "<sip:a@h>", OFFER.to_vec()) };
        self.agent.place(self.now, &placement).unwrap()
    }

    fn sent(&mut self) -> Vec<(Hop, String)> {
        let all = std::iter::from_fn(|| self.agent.poll_transmit());
        all.map(|Transmit { hop, bytes }| (hop, String::from_utf8(bytes).unwrap())).collect()
    }

    fn events(&mut self) -> Vec<SipEvent> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    fn wait(&mut self, n: u64) {
        let end = self.now + ms(n);
        while let Some(due) = self.agent.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.agent.handle_timeout(due);
        }
        self.now = end;
    }

    fn answer(&mut self, hop: &Hop, request: &str, code: u16, sdp: &[u8]) {
        let response = answer(request, code, hop, sdp);
        self.agent.handle_message(self.now, hop, &response);
    }

    fn assert_quiet(&mut self) {
        self.wait(240_000);
        self.sent();
        self.events();
        assert!(self.agent.is_quiescent(), "{:?}", self.agent.status());
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn answer(request: &str, code: u16, hop: &Hop, sdp: &[u8]) -> Vec<u8> {
    let tag = if header(request, "To").contains(";tag=") { "" } else { ";tag=theirs" };
    let head = format!(
        "SIP/2.0 {code} X\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:b@{}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        header(request, "Via"),
        header(request, "From"),
        header(request, "To"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        hop.address,
        sdp.len()
    );
    [head.as_bytes(), sdp].concat()
}

fn udp(address: &str) -> Hop {
    Hop::udp(address.parse().unwrap())
}

fn tcp(address: &str) -> Hop {
    Hop::tcp(address.parse().unwrap())
}

#[test]
fn a_silent_hop_is_left_for_the_next() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![udp(FIRST), udp(SECOND)]);
    wire.wait(3_900);
    let first = wire.sent();
    assert!(first.iter().all(|(hop, _)| *hop == udp(FIRST)) && first.len() == 4, "{first:?}");
    wire.wait(200);
    let second = wire.sent();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].0, udp(SECOND));
    // Identical but for the branch (RFC 3263 §4.3).
    let without_via = |m: &str| m.lines().filter(|l| !l.starts_with("Via")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_via(&second[0].1), without_via(&first[0].1));
    assert_ne!(header(&second[0].1, "Via"), header(&first[0].1, "Via"));
    wire.answer(&udp(SECOND), &second[0].1, 200, ANSWER);
    assert_eq!(wire.events(), [SipEvent::Accepted { leg, answer: ANSWER.to_vec() }]);
    let ack = wire.sent().remove(0);
    assert!(ack.1.starts_with("ACK") && ack.0 == udp(SECOND), "{ack:?}");
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.assert_quiet();
}

#[test]
fn a_hop_that_was_left_and_rings_late_is_cancelled() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![udp(FIRST), udp(SECOND)]);
    let first = wire.sent().remove(0).1;
    wire.wait(4_100);
    let second = wire.sent().pop().unwrap().1;
    wire.answer(&udp(SECOND), &second, 180, b"");
    wire.events();
    wire.answer(&udp(FIRST), &first, 180, b"");
    wire.answer(&udp(FIRST), &first, 180, b"");
    let cancel = wire.sent();
    assert_eq!(cancel.len(), 1, "{cancel:?}");
    assert!(cancel[0].1.starts_with("CANCEL") && cancel[0].0 == udp(FIRST));
    assert_eq!(header(&cancel[0].1, "Via"), header(&first, "Via"));
    assert!(wire.events().is_empty(), "the call side hears nothing of it");
    // It answers before the CANCEL has reached it: acknowledged and hung up, and the call goes on elsewhere.
    wire.answer(&udp(FIRST), &first, 200, ANSWER);
    let ends: Vec<_> = wire.sent().iter().map(|(_, m)| m.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ends, ["ACK", "BYE"]);
    wire.answer(&udp(SECOND), &second, 200, ANSWER);
    assert_eq!(wire.events(), [SipEvent::Accepted { leg, answer: ANSWER.to_vec() }]);
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.assert_quiet();
}

#[test]
fn a_busy_server_503_is_acknowledged_and_left() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![tcp(FIRST), udp(SECOND)]);
    let first = wire.sent().remove(0).1;
    assert!(header(&first, "Via").starts_with("SIP/2.0/TCP 10.0.0.2:5060;"), "{first}");
    assert_eq!(header(&first, "Contact"), "<sip:callwright@10.0.0.2:5060;transport=tcp>");
    wire.answer(&tcp(FIRST), &first, 503, b"");
    let sent = wire.sent();
    assert!(sent[0].1.starts_with("ACK") && sent[0].0.is_same_end(&tcp(FIRST)), "{sent:?}");
    assert!(sent[1].1.starts_with("INVITE") && sent[1].0 == udp(SECOND), "{sent:?}");
    assert!(header(&sent[1].1, "Via").starts_with("SIP/2.0/UDP "));
    assert_eq!(header(&sent[1].1, "Contact"), "<sip:callwright@10.0.0.2:5060>");
    wire.answer(&udp(SECOND), &sent[1].1, 503, b"");
    let events = wire.events();
    assert!(matches!(events[..], [SipEvent::Refused { leg: l, code: 503, .. }] if l == leg), "{events:?}");
    assert_eq!(wire.agent.status().failovers, 1);
    wire.assert_quiet();
}

#[test]
fn a_503_after_ringing_is_the_answer() {
    let mut wire = Wire::new();
    wire.place(vec![udp(FIRST), udp(SECOND)]);
    let first = wire.sent().remove(0).1;
    wire.answer(&udp(FIRST), &first, 180, b"");
    wire.answer(&udp(FIRST), &first, 503, b"");
    assert!(wire.events().iter().any(|e| matches!(e, SipEvent::Refused { code: 503, .. })));
    wire.assert_quiet();
}

#[test]
fn an_unreachable_hop_is_left_at_once_and_the_last_one_refuses() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![tcp(FIRST), tcp(SECOND)]);
    wire.sent();
    wire.agent.handle_transport_failed(wire.now, &tcp(FIRST));
    assert_eq!(wire.sent()[0].0, tcp(SECOND));
    wire.agent.handle_transport_failed(wire.now, &tcp(FIRST));
    assert!(wire.sent().is_empty() && wire.events().is_empty(), "an old failure concerns nobody");
    wire.agent.handle_transport_failed(wire.now, &tcp(SECOND));
    let events = wire.events();
    assert!(matches!(events[..], [SipEvent::Refused { leg: l, code: 503, .. }] if l == leg), "{events:?}");
    wire.assert_quiet();
}

#[test]
fn hanging_up_while_a_hop_is_silent_ends_it_there() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![udp(FIRST), udp(SECOND)]);
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.wait(40_000);
    assert!(wire.sent().iter().all(|(hop, _)| *hop == udp(FIRST)), "nobody else is called");
    assert!(wire.events().iter().any(|e| matches!(e, SipEvent::Ended { by: EndedBy::Local, .. })));
    wire.assert_quiet();
}

#[test]
fn nothing_is_repeated_on_a_stream_and_the_flow_of_the_answer_is_kept() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![tcp(FIRST)]);
    let invite = wire.sent().remove(0).1;
    wire.wait(20_000);
    assert!(wire.sent().is_empty(), "TCP repeats");
    let flow = tcp(FIRST).on(FlowId(3));
    wire.answer(&flow, &invite, 200, ANSWER);
    let ack = wire.sent().remove(0);
    assert!(ack.1.starts_with("ACK"));
    // Its Contact names no transport and its own address: the connection that stands is used.
    assert_eq!(ack.0, flow);
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    let (hop, bye) = wire.sent().remove(0);
    assert_eq!(hop, flow);
    assert!(header(&bye, "Via").starts_with("SIP/2.0/TCP "));
    wire.answer(&flow, &bye, 200, b"");
    assert_eq!(wire.agent.status().client_transactions, 1, "only the INVITE waits for repeated 2xx");
    wire.assert_quiet();
}

#[test]
fn a_bye_whose_connection_is_gone_ends_the_leg() {
    let mut wire = Wire::new();
    let leg = wire.place(vec![tcp(FIRST)]);
    let invite = wire.sent().remove(0).1;
    let flow = tcp(FIRST).on(FlowId(3));
    wire.answer(&flow, &invite, 200, ANSWER);
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.sent();
    wire.agent.handle_transport_failed(wire.now, &flow);
    // The peer may not have read it: once more, by a new connection.
    let again = wire.sent();
    assert!(again.len() == 1 && again[0].0 == tcp(FIRST) && again[0].1.starts_with("BYE "), "{again:?}");
    wire.agent.handle_transport_failed(wire.now, &tcp(FIRST));
    assert!(wire.events().iter().any(|e| matches!(e, SipEvent::Ended { by: EndedBy::Local, .. })));
    wire.assert_quiet();
}

fn request(method: &str, number: u32, tag: &str, sent_by: &str) -> String {
    let to_tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:us@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP {sent_by};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:them@h>;tag=f\r\nTo: <sip:us@10.0.0.2>{to_tag}\r\nCall-ID: c\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:them@{sent_by};transport=tcp>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn answers_go_back_by_the_connection_and_a_new_one_is_taken_over() {
    let mut wire = Wire::new();
    let caller = tcp("10.0.0.9:40123").on(FlowId(1));
    wire.agent.handle_message(wire.now, &caller, request("INVITE", 1, "", "10.0.0.9:5070").as_bytes());
    let SipEvent::Incoming { leg, .. } = wire.events().remove(0) else { panic!("a call") };
    wire.agent.accept(wire.now, leg, OFFER).unwrap();
    // Should the connection be gone, the answer goes to the port of sent-by (RFC 3261 §18.2.2).
    let back = tcp("10.0.0.9:5070").on(FlowId(1));
    let answers = wire.sent();
    assert!(answers.iter().all(|(hop, _)| *hop == back), "{answers:?}");
    let ok = &answers.last().unwrap().1;
    assert_eq!(header(ok, "Contact"), "<sip:callwright@10.0.0.2:5060;transport=tcp>");
    let tag = header(ok, "To").split("tag=").nth(1).unwrap().to_owned();
    // The caller comes back by another connection: what follows goes there.
    let again = tcp("10.0.0.9:40999").on(FlowId(2));
    wire.agent.handle_message(wire.now, &again, request("ACK", 1, &tag, "10.0.0.9:5070").as_bytes());
    wire.agent.handle_message(wire.now, &again, request("OPTIONS", 2, &tag, "10.0.0.9:5070").as_bytes());
    wire.sent();
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    let (hop, bye) = wire.sent().remove(0);
    assert!(bye.starts_with("BYE"));
    assert_eq!(hop, tcp("10.0.0.9:5070").on(FlowId(2)));
    wire.answer(&again, &bye, 200, b"");
    wire.assert_quiet();
}

#[test]
fn each_transport_and_family_shows_its_own_address() {
    let mut config = AgentConfig::new("10.0.0.2:5060".parse().unwrap(), Seeded::source(1));
    config.listeners = vec![
        (Transport::Udp, "[fd00::2]:5060".parse().unwrap()),
        (Transport::Tcp, "10.0.0.2:5070".parse().unwrap()),
        (Transport::Tls, "10.0.0.2:5061".parse().unwrap()),
    ];
    let mut wire = Wire { agent: Agent::new(config), now: Tick(0) };
    for (hop, via, contact) in [
        (tcp(FIRST), "SIP/2.0/TCP 10.0.0.2:5070;", "<sip:callwright@10.0.0.2:5070;transport=tcp>"),
        (
            Hop::tls("10.0.0.7:5061".parse().unwrap(), "t.example"),
            "SIP/2.0/TLS 10.0.0.2:5061;",
            "<sip:callwright@10.0.0.2:5061;transport=tls>",
        ),
        (udp("[fd00::9]:5060"), "SIP/2.0/UDP [fd00::2]:5060;", "<sip:callwright@[fd00::2]:5060>"),
    ] {
        wire.place(vec![hop]);
        let (_, invite) = wire.sent().remove(0);
        assert!(header(&invite, "Via").starts_with(via), "{invite}");
        assert_eq!(header(&invite, "Contact"), contact);
    }
}

/// A description that no datagram should carry.
fn large() -> Vec<u8> {
    [OFFER, "a=candidate:1 1 UDP 2130706431 10.0.0.2 40000 typ host\r\n".repeat(30).as_bytes()].concat()
}

/// RFC 3261 §18.1.1.
#[test]
fn what_is_too_large_for_a_datagram_goes_by_tcp_within_a_call_too() {
    let (mut wire, leg) = Wire::with_tcp_beside();
    wire.agent.reinvite(wire.now, leg, Some(&large())).unwrap();
    let (hop, invite) = wire.sent().remove(0);
    assert_eq!(hop, tcp(FIRST));
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP ") && invite.matches("Via:").count() == 1, "{invite}");
    wire.wait(3_000);
    assert!(wire.sent().is_empty(), "nothing is repeated on a stream");
    let hop = tcp(FIRST).on(FlowId(3));
    wire.answer(&hop, &invite, 200, ANSWER);
    assert_eq!(wire.events(), [SipEvent::Reinvited { leg, answer: ANSWER.to_vec() }]);
    let ack = wire.sent().remove(0);
    assert!(ack.1.starts_with("ACK") && ack.0 == udp(FIRST), "a small one: {ack:?}");
    // An offer of theirs with a long answer of ours: the ACK is a large one, to somebody who has shown that TCP works.
    wire.agent.reinvite(wire.now, leg, None).unwrap();
    let (hop, invite) = wire.sent().remove(0);
    assert_eq!(hop, udp(FIRST));
    wire.answer(&hop, &invite, 200, ANSWER);
    assert!(matches!(wire.events()[..], [SipEvent::ReinviteOffered { .. }]));
    wire.agent.confirm_offer(wire.now, leg, &large()).unwrap();
    let (hop, ack) = wire.sent().remove(0);
    assert_eq!(hop, tcp(FIRST));
    assert!(ack.starts_with("ACK") && header(&ack, "Via").starts_with("SIP/2.0/TCP "), "{ack}");
    assert_eq!(wire.agent.status().large_datagrams, 0);
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    assert_eq!(wire.sent()[0].0, udp(FIRST), "a BYE is small");
    wire.assert_quiet();
}

#[test]
fn where_nobody_takes_tcp_a_large_request_is_a_datagram_and_is_counted() {
    for silent in [false, true] {
        let (mut wire, leg) = Wire::with_tcp_beside();
        wire.agent.update(wire.now, leg, Some(&large())).unwrap();
        let first = wire.sent().remove(0);
        assert_eq!(first.0, tcp(FIRST));
        if silent {
            wire.wait(4_100);
        } else {
            wire.agent.handle_transport_failed(wire.now, &first.0);
        }
        let (hop, again) = wire.sent().remove(0);
        assert_eq!(hop, udp(FIRST));
        assert!(header(&again, "Via").starts_with("SIP/2.0/UDP "));
        assert_ne!(header(&again, "Via"), header(&first.1, "Via"));
        assert_eq!(header(&again, "CSeq"), header(&first.1, "CSeq"), "it is the same request");
        wire.wait(600);
        assert_eq!(wire.sent().len(), 1, "and repeated, as datagrams are");
        wire.answer(&hop, &again, 200, ANSWER);
        assert_eq!(wire.events(), [SipEvent::Reinvited { leg, answer: ANSWER.to_vec() }]);
        wire.sent();
        // It is not asked again.
        wire.agent.reinvite(wire.now, leg, Some(&[&large()[..], b"a=x\r\n"].concat())).unwrap();
        let (hop, invite) = wire.sent().remove(0);
        assert_eq!(hop, udp(FIRST));
        assert_eq!(wire.agent.status().large_datagrams, 2);
        wire.answer(&hop, &invite, 488, b"");
        assert_eq!(wire.events(), [SipEvent::ReinviteRefused { leg, code: 488 }]);
        wire.agent.hang_up(wire.now, leg, None).unwrap();
        wire.assert_quiet();
    }
}

/// A peer that has answered 503 by TCP has answered.
#[test]
fn a_refusal_by_tcp_is_a_refusal() {
    let (mut wire, leg) = Wire::with_tcp_beside();
    wire.agent.reinvite(wire.now, leg, Some(&large())).unwrap();
    let (hop, invite) = wire.sent().remove(0);
    wire.answer(&hop, &invite, 503, b"");
    assert_eq!(wire.events(), [SipEvent::ReinviteRefused { leg, code: 503 }]);
    let sent = wire.sent();
    assert!(sent.len() == 1 && sent[0].1.starts_with("ACK") && sent[0].0.transport == Transport::Tcp, "{sent:?}");
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.assert_quiet();
}

/// What a peer outside has told us that it sees is what we call ourselves there from then on (RFC 3581 §4), unless the operator
/// has said it for that trunk; neighbours see us as we are.
#[test]
fn the_address_that_a_peer_has_told_us_is_ours_there() {
    let (peer, told) = ("198.51.100.9:5060", "198.51.100.10:5060");
    let mut wire = Wire::new();
    let trunk = |wire: &mut Wire, name: &str, at: &str| {
        wire.agent.set_account(name, None, vec![]);
        wire.agent.set_trunk_hops(wire.now, name, vec![udp(at)]);
    };
    trunk(&mut wire, "said", told);
    wire.agent.set_public_address("said", Some("203.0.113.99".parse().unwrap()));
    let call = |wire: &mut Wire, at: &str| {
        let leg = wire.place(vec![udp(at)]);
        let invite = wire.sent().into_iter().find(|(_, message)| message.starts_with("INVITE "));
        (leg, invite.expect("it calls").1)
    };
    let (leg, invite) = call(&mut wire, peer);
    assert!(
        header(&invite, "Via").contains(" 10.0.0.2:5060;") && header(&invite, "Contact").contains("@10.0.0.2:5060>")
    );
    let seen = invite.replacen(";rport;", ";received=203.0.113.20;rport=41000;", 1);
    wire.answer(&udp(peer), &seen, 200, ANSWER);
    let ack = wire.sent().remove(0).1;
    assert!(ack.starts_with("ACK ") && header(&ack, "Via").contains(" 203.0.113.20:41000;"), "{ack}");
    assert_eq!(
        wire.agent.seen_as(udp(peer).address.ip()),
        Some("203.0.113.20".parse().unwrap()),
        "what SDP says there"
    );
    wire.events();
    let (_, next) = call(&mut wire, peer);
    assert!(header(&next, "Contact").contains("@203.0.113.20:41000>"), "{next}");
    wire.answer(&udp(peer), &next, 486, b"");
    // The operator knows better, whatever the trunk says.
    let (_, invite) = call(&mut wire, told);
    assert!(header(&invite, "Via").contains(" 203.0.113.99:5060;"), "{invite}");
    assert!(header(&invite, "Contact").contains("@203.0.113.99:5060>"), "{invite}");
    wire.answer(&udp(told), &invite.replacen(";rport;", ";received=203.0.113.20;rport=41000;", 1), 486, b"");
    let (_, invite) = call(&mut wire, told);
    assert!(header(&invite, "Contact").contains("@203.0.113.99:5060>"), "{invite}");
    wire.answer(&udp(told), &invite, 486, b"");
    // A neighbour's word is none about the world outside.
    let (_, invite) = call(&mut wire, FIRST);
    wire.answer(&udp(FIRST), &invite.replacen(";rport;", ";received=10.0.0.77;rport=41000;", 1), 486, b"");
    let (_, invite) = call(&mut wire, FIRST);
    assert!(header(&invite, "Contact").contains("@10.0.0.2:5060>"), "{invite}");
    wire.answer(&udp(FIRST), &invite, 486, b"");
    wire.agent.hang_up(wire.now, leg, None).unwrap();
    wire.assert_quiet();
}
