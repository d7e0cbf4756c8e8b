//! One agent against a phone that says exactly what the test writes.

use std::net::SocketAddr;
use std::time::Duration;

use callwright::sip::agent::{Agent, AgentConfig, AgentError, Cause, EndedBy, LegId, Placement, SipEvent};
use callwright::sip::hop::{FlowId, Hop};
use callwright::time::Tick;

use super::{ANSWER, OFFER, Seeded, agent, ms};

pub(crate) const PHONE: &str = "10.0.0.9:5080";

/// One agent at 10.0.0.2:5060 and a phone that says exactly what the test writes.
pub(crate) struct Phone {
    pub(crate) agent: Agent,
    pub(crate) now: Tick,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self { agent: agent("10.0.0.2:5060", 42), now: Tick(1_000_000_000) }
    }

    /// Sends and gives what comes back, octets read as Latin-1.
    pub(crate) fn send(&mut self, message: impl AsRef<[u8]>) -> Vec<String> {
        self.send_from(PHONE, message)
    }

    pub(crate) fn send_from(&mut self, source: &str, message: impl AsRef<[u8]>) -> Vec<String> {
        self.agent.handle_datagram(self.now, source.parse().unwrap(), message.as_ref());
        self.received()
    }

    pub(crate) fn received(&mut self) -> Vec<String> {
        let mut all = vec![];
        while let Some(t) = self.agent.poll_transmit() {
            all.push(t.bytes.iter().map(|&b| char::from(b)).collect());
        }
        all
    }

    pub(crate) fn pass(&mut self, span: Duration) -> Vec<String> {
        let end = self.now + span;
        while let Some(due) = self.agent.poll_timeout().filter(|d| *d <= end) {
            self.now = due;
            self.agent.handle_timeout(due);
        }
        self.now = end;
        self.received()
    }

    pub(crate) fn event(&mut self) -> SipEvent {
        self.agent.poll_event().expect("an event")
    }

    /// INVITE, 200, ACK; gives the leg and our tag.
    pub(crate) fn established(&mut self) -> (LegId, String) {
        assert!(self.send(request("INVITE", 1, "i", "", SDP))[0].starts_with("SIP/2.0 100 Trying\r\n"));
        let leg = self.event().leg();
        self.agent.accept(self.now, leg, ANSWER).unwrap();
        let tag = tag_of(&self.received()[0]);
        assert!(self.send(in_dialog("ACK", 1, "a", &tag, "", None)).is_empty());
        assert!(matches!(self.event(), SipEvent::Confirmed { .. }));
        (leg, tag)
    }
}

pub(crate) const SDP_TEXT: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub(crate) const SDP: Option<(&str, &str)> = Some(("application/sdp", SDP_TEXT));

fn write(method: &str, sequence: u32, branch: &str, to: &str, extra: &str, body: Option<(&str, &str)>) -> String {
    let (content_type, body) = body.map_or((String::new(), ""), |(t, b)| (format!("Content-Type: {t}\r\n"), b));
    format!(
        "{method} sip:*72%23@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5080;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Phone\" <sip:phone@10.0.0.9>;tag=pt\r\nTo: <sip:72@10.0.0.2>{to}\r\n\
         Call-ID: call-1@phone\r\nCSeq: {sequence} {method}\r\nContact: <sip:phone@10.0.0.9:5080>\r\n\
         {extra}{content_type}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn request(method: &str, sequence: u32, branch: &str, extra: &str, body: Option<(&str, &str)>) -> String {
    write(method, sequence, branch, "", extra, body)
}

pub(crate) fn in_dialog(
    method: &str,
    sequence: u32,
    branch: &str,
    tag: &str,
    extra: &str,
    body: Option<(&str, &str)>,
) -> String {
    write(method, sequence, branch, &format!(";tag={tag}"), extra, body)
}

pub(crate) fn tag_of(response: &str) -> String {
    header(response, "To").unwrap().split_once(";tag=").expect("a To tag").1.to_owned()
}

pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
}

pub(crate) fn is(message: &str, code: u16) -> bool {
    message.starts_with(&format!("SIP/2.0 {code} "))
}

#[test]
fn a_call_that_is_passed_on_has_a_hop_less_each_time() {
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP).replace("Max-Forwards: 70", "Max-Forwards: 2"));
    let SipEvent::Incoming { hops: 2, .. } = phone.event() else { panic!("two hops are left") };
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP).replace("Max-Forwards: 70\r\n", ""));
    let SipEvent::Incoming { hops: 70, .. } = phone.event() else { panic!("nothing was said") };
    // None is left, but it has arrived (RFC 4475 section 3.3.11).
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP).replace("Max-Forwards: 70", "Max-Forwards: 0"));
    let SipEvent::Incoming { hops: 0, .. } = phone.event() else { panic!("it may not be passed on") };

    let destination = PHONE.parse().unwrap();
    let mut placement =
        Placement::new("sip:b@10.0.0.9:5080", Hop::udp(destination), "<sip:a@10.0.0.2>", OFFER.to_vec());
    placement.max_forwards = 1;
    let leg = phone.agent.place(phone.now, &placement).unwrap();
    let invite = phone.received().remove(0);
    assert_eq!(header(&invite, "Max-Forwards"), Some("1"));
    // What belongs to the same call but begins here has all hops before it.
    let to = format!("{};tag=b", header(&invite, "To").unwrap());
    let ringing = format!(
        "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        header(&invite, "Via").unwrap(),
        header(&invite, "From").unwrap(),
        header(&invite, "Call-ID").unwrap(),
    );
    phone.send(ringing);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let cancel = phone.received().remove(0);
    assert!(cancel.starts_with("CANCEL ") && header(&cancel, "Max-Forwards") == Some("70"), "{cancel}");
}

#[test]
fn options_in_and_out_of_dialog() {
    let mut phone = Phone::new();
    let out = phone.send(request("OPTIONS", 1, "o", "", None));
    assert!(is(&out[0], 200));
    assert_eq!(header(&out[0], "Allow"), Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY"));
    assert!(header(&out[0], "Accept").is_some_and(|kinds| kinds.starts_with("application/sdp, multipart/mixed")));
    assert_eq!(header(&out[0], "Supported"), Some("100rel, timer, replaces, norefersub"));
    assert_eq!(out, phone.send(request("OPTIONS", 1, "o", "", None)), "the same answer to the same request");
    assert!(phone.agent.is_quiescent(), "it leaves no state");
    let (_, tag) = phone.established();
    assert!(is(&phone.send(in_dialog("OPTIONS", 2, "o2", &tag, "", None))[0], 200));
    phone.agent.set_draining(true);
    let draining = phone.send(request("OPTIONS", 1, "o3", "", None));
    assert!(is(&draining[0], 503) && header(&draining[0], "Retry-After").is_some());
}

#[test]
fn via_contact_and_routes() {
    let behind_nat = "10.0.0.77:40000";
    let mut phone = Phone::new();
    let invite = request("INVITE", 1, "v", "Record-Route: <sip:10.0.0.77:40000;lr>\r\n", SDP);
    phone.agent.handle_datagram(phone.now, behind_nat.parse().unwrap(), invite.as_bytes());
    let trying = phone.agent.poll_transmit().unwrap();
    assert_eq!(trying.hop.address.to_string(), behind_nat, "rport: back to where it came from");
    let text = String::from_utf8(trying.bytes).unwrap();
    assert!(text.contains("Via: SIP/2.0/UDP 10.0.0.9:5080;branch=z9hG4bKv;received=10.0.0.77;rport=40000\r\n"));
    assert!(!text.contains("Record-Route"));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let ok = phone.received().remove(0);
    assert_eq!(header(&ok, "Contact"), Some("<sip:callwright@10.0.0.2:5060>"));
    assert_eq!(header(&ok, "Record-Route"), Some("<sip:10.0.0.77:40000;lr>"));
    assert_eq!(header(&ok, "Content-Type"), Some("application/sdp"));
    assert!(ok.ends_with(std::str::from_utf8(ANSWER).unwrap()));
    // BYE goes by the recorded route, with the Contact as Request-URI.
    phone.send_from(behind_nat, in_dialog("ACK", 1, "va", &tag_of(&ok), "", None));
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let bye = phone.agent.poll_transmit().unwrap();
    assert_eq!(bye.hop.address.to_string(), behind_nat);
    let bye = String::from_utf8(bye.bytes).unwrap();
    assert!(bye.starts_with("BYE sip:phone@10.0.0.9:5080 SIP/2.0\r\n"));
    assert_eq!(header(&bye, "Route"), Some("<sip:10.0.0.77:40000;lr>"));
}

#[test]
fn advertised_address_except_for_loopback() {
    let mut config = AgentConfig::new("0.0.0.0:5060".parse().unwrap(), Seeded::source(1));
    config.advertised = Some("203.0.113.5:5062".parse().unwrap());
    config.accept_from = Box::new(|_| true);
    let mut agent = Agent::new(config);
    for (source, contact) in [
        ("198.51.100.1:5060", "<sip:callwright@203.0.113.5:5062>"),
        ("127.0.0.1:5080", "<sip:callwright@127.0.0.1:5060>"),
    ] {
        let invite = request("INVITE", 1, "adv", "", SDP).replace("call-1", source);
        agent.handle_datagram(Tick(1), source.parse().unwrap(), invite.as_bytes());
        let leg = agent.poll_event().unwrap().leg();
        agent.ring(Tick(1), leg).unwrap();
        agent.poll_transmit().unwrap();
        let ringing = String::from_utf8(agent.poll_transmit().unwrap().bytes).unwrap();
        assert_eq!(header(&ringing, "Contact"), Some(contact));
    }
}

#[test]
fn methods_that_we_do_not_have() {
    for (method, code) in [
        ("MESSAGE", 405),
        ("REGISTER", 405),
        ("SUBSCRIBE", 489),
        ("PUBLISH", 489),
        ("FROBNICATE", 501),
        ("BYE", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("CANCEL", 481),
    ] {
        let mut phone = Phone::new();
        let out = phone.send(request(method, 1, "m", "", None));
        assert!(out.len() == 1 && is(&out[0], code), "{method}: {}", out[0]);
        assert!(phone.agent.is_quiescent());
        let (leg, tag) = phone.established();
        if code != 481 {
            assert!(header(&out[0], "Allow").is_some());
            let out = phone.send(in_dialog(method, 2, "m2", &tag, "", None));
            assert!(is(&out[0], code), "{method} in dialog: {}", out[0]);
        }
        assert_eq!(phone.agent.hang_up(phone.now, leg, None), Ok(()), "the call lives on");
    }
}

#[test]
fn a_latin_1_name_survives_and_reaches_the_call_side() {
    let mut phone = Phone::new();
    let mut invite = request("INVITE", 1, "l", "", SDP).into_bytes();
    let at = invite.windows(7).position(|w| w == b"\"Phone\"").unwrap();
    invite.splice(at..at + 7, b"\"Jos\xe9\"".iter().copied());
    let out = phone.send(invite);
    assert!(out[0].contains("From: \"Jos\u{e9}\" <sip:phone@10.0.0.9>;tag=pt\r\n"));
    let SipEvent::Incoming { from, request_user, .. } = phone.event() else { panic!() };
    assert_eq!((from.as_str(), request_user.as_str()), ("\"Jos\u{e9}\" <sip:phone@10.0.0.9>", "*72%23"));
}

#[test]
fn delayed_offer() {
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "d", "", None));
    let SipEvent::Incoming { leg, offer: None, .. } = phone.event() else { panic!("no offer") };
    phone.agent.accept(phone.now, leg, OFFER).unwrap();
    let ok = phone.received().remove(0);
    assert!(ok.ends_with(std::str::from_utf8(OFFER).unwrap()));
    phone.send(in_dialog("ACK", 1, "da", &tag_of(&ok), "", SDP));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: Some(SDP_TEXT.as_bytes().to_vec()) });
    assert_eq!(phone.agent.remote_sdp(leg), Some(SDP_TEXT.as_bytes()));
}

#[test]
fn repeated_invites_make_one_call_and_merged_ones_are_refused() {
    let mut phone = Phone::new();
    let invite = request("INVITE", 1, "i", "", SDP);
    phone.send(&invite);
    let leg = phone.event().leg();
    assert!(is(&phone.send(&invite)[0], 100));
    phone.agent.ring(phone.now, leg).unwrap();
    phone.received();
    assert!(is(&phone.send(&invite)[0], 180));
    assert!(is(&phone.send(request("INVITE", 1, "other-way", "", SDP))[0], 482));
    assert_eq!(phone.agent.poll_event(), None);
}

/// A transaction begins and ends by one transport; and on a stream nobody repeats: what comes by another connection has lost
/// the first, or only looks the same.
#[test]
fn the_same_octets_by_other_ways() {
    let flow = |n| Hop::tcp(PHONE.parse().unwrap()).on(FlowId(n));
    let invite = request("INVITE", 1, "i", "", SDP);
    let mut phone = Phone::new();
    let by = |phone: &mut Phone, hop: &Hop| {
        phone.agent.handle_message(phone.now, hop, invite.as_bytes());
        let mut all = vec![];
        while let Some(t) = phone.agent.poll_transmit() {
            all.push((t.hop.flow, String::from_utf8(t.bytes).unwrap()));
        }
        all
    };
    // Forked, while the call lasts (RFC 3261 section 8.2.2.2); another call afterwards.
    let (_, tag) = phone.established();
    assert!(is(&by(&mut phone, &flow(1))[0].1, 482));
    assert!(is(&phone.send(in_dialog("BYE", 2, "b", &tag, "", None))[0], 200));
    phone.event();
    let out = by(&mut phone, &flow(1));
    assert!(is(&out[0].1, 100) && out[0].0 == Some(FlowId(1)), "{out:?}");
    let leg = phone.event().leg();

    // The connection was lost before the answer, which comes by the next.
    let out = by(&mut phone, &flow(2));
    assert!(is(&out[0].1, 100) && out[0].0 == Some(FlowId(2)), "{out:?}");
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    while phone.agent.poll_transmit().is_some() {}
    let out = by(&mut phone, &flow(3));
    assert!(is(&out[0].1, 200) && out[0].0 == Some(FlowId(3)), "{out:?}");
    let tag = tag_of(&out[0].1);
    assert!(phone.send(in_dialog("ACK", 1, "a2", &tag, "", None)).is_empty());
    assert!(matches!(phone.event(), SipEvent::Confirmed { .. }));
    assert!(is(&phone.send(in_dialog("BYE", 2, "b2", &tag, "", None))[0], 200));
    phone.event();
    assert!(is(&by(&mut phone, &flow(4))[0].1, 100), "that call is over");
    assert!(matches!(phone.event(), SipEvent::Incoming { .. }));
    assert_eq!(phone.agent.poll_event(), None);
}

#[test]
fn bye_in_the_early_dialog_and_before_the_ack() {
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP));
    let leg = phone.event().leg();
    phone.agent.ring(phone.now, leg).unwrap();
    let tag = tag_of(&phone.received()[0]);
    let out = phone.send(in_dialog("BYE", 2, "b", &tag, "Reason: Q.850;cause=16;text=\"bye\"\r\n", None));
    assert!(is(&out[0], 200) && is(&out[1], 487));
    assert_eq!(
        phone.event(),
        SipEvent::Ended { leg, by: EndedBy::Remote, reason: Some("bye".into()), cause: Some(Cause::q850(16)) }
    );

    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    assert!(is(&phone.send(in_dialog("BYE", 2, "b", &tag, "", None))[0], 200));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Remote, .. }));
    assert!(phone.pass(Duration::from_secs(40)).is_empty(), "the 200 is not repeated any more");
    assert!(phone.agent.is_quiescent());
}

#[test]
fn in_dialog_requests_need_both_tags_and_rising_numbers() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    assert!(is(&phone.send(in_dialog("BYE", 2, "x", "wrong", "", None))[0], 481));
    assert!(is(&phone.send(in_dialog("BYE", 2, "y", &tag, "", None).replace("tag=pt", "tag=guess"))[0], 481));
    assert!(is(&phone.send(in_dialog("INFO", 9, "z", &tag, "", None))[0], 200));
    assert!(is(&phone.send(in_dialog("BYE", 8, "w", &tag, "", None))[0], 500));
    assert_eq!(phone.agent.hang_up(phone.now, leg, None), Ok(()));
}

#[test]
fn cancel_works_from_the_same_hop_only() {
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", "", SDP));
    phone.event();
    assert!(is(&phone.send_from("10.0.0.66:5060", request("CANCEL", 1, "i", "", None))[0], 481));
    assert_eq!(phone.agent.poll_event(), None);
    let out = phone.send(request("CANCEL", 1, "i", "", None));
    assert!(is(&out[0], 200) && is(&out[1], 487));
    assert_eq!(tag_of(&out[0]), tag_of(&out[1]));
    assert!(matches!(phone.event(), SipEvent::Cancelled { .. }));
    assert!(is(&phone.pass(ms(600))[0], 487), "repeated until the ACK");
    phone.send(request("ACK", 1, "i", "", None));
    assert!(phone.pass(Duration::from_secs(60)).is_empty());
    assert!(phone.agent.is_quiescent());
}

#[test]
fn old_clients_without_magic_cookie_are_served() {
    let old = |m: &str| request(m, 1, "", "", SDP.filter(|_| m == "INVITE")).replace(";branch=z9hG4bK", "");
    let mut phone = Phone::new();
    phone.send(old("INVITE"));
    phone.event();
    assert!(is(&phone.send(old("INVITE"))[0], 100));
    let out = phone.send(old("CANCEL"));
    assert!(is(&out[0], 200) && is(&out[1], 487));
    phone.send(old("ACK"));
    assert!(matches!(phone.event(), SipEvent::Cancelled { .. }));
    assert!(phone.pass(Duration::from_secs(60)).is_empty());
    assert!(phone.agent.is_quiescent());
}

pub(crate) const HOLD: &str =
    "v=0\r\no=- 1 2 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

#[test]
fn reinvite_to_hold_then_refresh() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    let body = Some(("application/sdp", HOLD));
    assert!(is(&phone.send(in_dialog("INVITE", 2, "r2", &tag, "", body))[0], 100));
    assert_eq!(phone.event(), SipEvent::Reinvite { leg, offer: Some(HOLD.as_bytes().to_vec()), unchanged: false });
    assert!(is(&phone.send(in_dialog("INVITE", 3, "r3", &tag, "", body))[0], 500), "one at a time");
    phone.send(in_dialog("ACK", 3, "r3", &tag, "", None));
    phone.agent.answer_reinvite(phone.now, leg, b"v=0 held").unwrap();
    assert!(phone.received()[0].ends_with("v=0 held"));
    assert_eq!(phone.pass(ms(600)).len(), 1, "the 200 is repeated until the ACK");
    phone.send(in_dialog("ACK", 2, "ra", &tag, "", None));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    phone.send(in_dialog("INVITE", 4, "r4", &tag, "", body));
    assert!(matches!(phone.event(), SipEvent::Reinvite { unchanged: true, .. }));
    phone.agent.refresh(phone.now, leg).unwrap();
    assert!(phone.received()[0].ends_with("v=0 held"));
    phone.send(in_dialog("ACK", 4, "rb", &tag, "", None));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    // In a confirmed dialog BYE need not wait for the ACK to a later 2xx.
    phone.send(in_dialog("INVITE", 5, "r5", &tag, "", body));
    phone.event();
    phone.agent.refresh(phone.now, leg).unwrap();
    phone.received();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    assert!(phone.received()[0].starts_with("BYE "));
    assert!(phone.pass(ms(400)).is_empty());
}

#[test]
fn reinvite_refused_cancelled_or_forgotten_leaves_the_call() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    phone.send(in_dialog("INVITE", 2, "r2", &tag, "", Some(("application/sdp", HOLD))));
    phone.event();
    phone.agent.reject(phone.now, leg, 488, "", &[]).unwrap();
    assert!(phone.received()[0].starts_with("SIP/2.0 488 Not Acceptable Here\r\n"));
    phone.send(in_dialog("ACK", 2, "r2", &tag, "", None));
    assert_eq!(phone.agent.remote_sdp(leg), Some(SDP_TEXT.as_bytes()), "what was agreed before stays");
    phone.send(in_dialog("INVITE", 3, "r3", &tag, "", None));
    assert!(matches!(phone.event(), SipEvent::Reinvite { offer: None, .. }));
    let out = phone.send(in_dialog("CANCEL", 3, "r3", &tag, "", None));
    assert!(is(&out[0], 200) && is(&out[1], 487));
    phone.send(in_dialog("ACK", 3, "r3", &tag, "", None));
    assert!(matches!(phone.agent.answer_reinvite(phone.now, leg, b"x"), Err(AgentError::WrongState { .. })));
    phone.send(in_dialog("INVITE", 4, "r4", &tag, "", SDP));
    phone.event();
    assert!(is(&phone.pass(Duration::from_secs(21))[0], 500));
    phone.send(in_dialog("ACK", 4, "r4", &tag, "", None));
    // It also refreshes the target: the BYE goes to the new Contact, and ends a re-INVITE that waits.
    let moved =
        in_dialog("INVITE", 5, "r5", &tag, "", SDP).replace("<sip:phone@10.0.0.9:5080>", "<sip:p@10.0.0.9:5099>");
    phone.send(moved);
    phone.event();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let out = phone.received();
    assert!(is(&out[0], 487) && out[1].starts_with("BYE sip:p@10.0.0.9:5099 "));
}

#[test]
fn digits_by_info() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    let info = in_dialog("INFO", 2, "i2", &tag, "", Some(("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")));
    assert!(is(&phone.send(&info)[0], 200));
    assert!(is(&phone.send(&info)[0], 200));
    assert_eq!(phone.event(), SipEvent::InfoDigit { leg, digit: '5' });
    assert_eq!(phone.agent.poll_event(), None, "a repeat is no second digit");
    phone.send(in_dialog("INFO", 3, "i3", &tag, "", Some(("application/dtmf", "#"))));
    assert_eq!(phone.event(), SipEvent::InfoDigit { leg, digit: '#' });
    assert!(is(&phone.send(in_dialog("INFO", 4, "i4", &tag, "", Some(("text/plain", "hi"))))[0], 415));
}

pub(crate) fn phone_called_by_us(target: &str, peer: SocketAddr) -> (Phone, LegId, String) {
    let mut phone = Phone::new();
    let leg = phone.agent.invite(phone.now, target, peer, "sip:me@10.0.0.2", OFFER).unwrap();
    let invite = phone.received().remove(0);
    (phone, leg, invite)
}

/// A response to our INVITE, up to the headers that the test adds.
pub(crate) fn response(invite: &str, code: &str, tag: &str) -> String {
    let copied = ["Via", "From", "Call-ID", "CSeq"].map(|n| format!("{n}: {}\r\n", header(invite, n).unwrap()));
    let to = header(invite, "To").unwrap();
    format!("SIP/2.0 {code}\r\n{}To: {to};tag={tag}\r\n", copied.concat())
}

#[test]
fn a_public_peer_that_we_call_is_heard_within_that_call_only() {
    let source = "203.0.113.7:5060";
    let peer: SocketAddr = source.parse().unwrap();
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@203.0.113.7", peer);
    assert!(phone.send_from(source, request("INVITE", 1, "i", "", SDP)).is_empty());
    assert_eq!(phone.agent.status().dropped_source, 1);
    let answer = |code: &str, tag: &str| {
        let head = response(&invite, code, tag);
        format!("{head}Contact: <sip:1@192.168.0.1>\r\nContent-Type: application/sdp\r\n\r\n{SDP_TEXT}")
    };
    assert!(phone.send_from(source, answer("183 Session Progress", "t1")).is_empty());
    assert!(matches!(phone.event(), SipEvent::Progress { code: 183, answer: Some(_), .. }));
    phone.agent.handle_datagram(phone.now, peer, answer("200 OK", "t1").as_bytes());
    let ack = phone.agent.poll_transmit().unwrap();
    assert_eq!(ack.hop.address, peer, "a private Contact of a public peer is not believed");
    assert!(ack.bytes.starts_with(b"ACK sip:1@192.168.0.1 SIP/2.0\r\n"));
    assert!(matches!(phone.event(), SipEvent::Accepted { .. }));
    // A second 200 from another fork: acknowledged and ended; its repeat is acknowledged only.
    let fork = phone.send_from(source, answer("200 OK", "t2"));
    assert!(fork[0].starts_with("ACK ") && fork[1].starts_with("BYE ") && fork[1].contains(";tag=t2\r\n"));
    assert_eq!(phone.send_from(source, answer("200 OK", "t2")), fork[..1]);
    // The peer ends the call.
    let our_tag = header(&invite, "From").unwrap().split_once(";tag=").unwrap().1;
    let bye = format!(
        "BYE sip:x@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKpb\r\nFrom: <sip:1@203.0.113.7>;tag=t1\r\n\
         To: <sip:me@10.0.0.2>;tag={our_tag}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\n\r\n",
        header(&invite, "Call-ID").unwrap()
    );
    assert!(is(&phone.send_from(source, bye)[0], 200));
    assert_eq!(phone.event(), SipEvent::Ended { leg, by: EndedBy::Remote, reason: None, cause: None });
}

#[test]
fn a_200_without_sdp_is_ended_unless_the_183_had_it() {
    for early in [true, false] {
        let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
        if early {
            let head = response(&invite, "183 x", "t");
            phone.send(format!("{head}Content-Type: application/sdp\r\n\r\n{SDP_TEXT}"));
            phone.event();
        }
        let out = phone.send(format!("{}\r\n", response(&invite, "200 OK", "t")));
        assert!(out[0].starts_with("ACK sip:1@10.0.0.9 "), "without Contact the called URI serves");
        match phone.event() {
            SipEvent::Accepted { answer, .. } => assert!(early && answer == SDP_TEXT.as_bytes()),
            SipEvent::Refused { leg: l, code: 488, .. } => assert!(!early && l == leg && out[1].starts_with("BYE ")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_explained() {
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    let busy = format!("{}Retry-After: 30 (lunch);duration=60\r\n\r\n", response(&invite, "486 Besetzt", "t"));
    let ack = phone.send(&busy).remove(0);
    assert!(ack.starts_with("ACK sip:1@10.0.0.9 SIP/2.0\r\n"));
    assert_eq!(header(&ack, "Via"), header(&invite, "Via"), "the same branch");
    assert_eq!(header(&ack, "To"), Some("<sip:1@10.0.0.9>;tag=t"));
    let refused = SipEvent::Refused { leg, code: 486, reason: "Besetzt".into(), retry_after: Some(30), cause: None };
    assert_eq!(phone.event(), refused);
    assert_eq!(phone.send(&busy), [ack]);
    assert_eq!(phone.agent.poll_event(), None);
    assert!(phone.pass(Duration::from_secs(33)).is_empty());
    assert!(phone.agent.is_quiescent());
}

#[test]
fn targets_are_checked() {
    let mut agent = agent("10.0.0.2:5060", 1);
    let to: SocketAddr = PHONE.parse().unwrap();
    for (target, from) in [
        ("", "sip:a@b"),
        ("sip:x y@h", "sip:a@b"),
        ("sip:x@h\r\nEvil: 1", "sip:a@b"),
        ("sip:x@h", "a"),
        ("sip:x@h", "\"a\r\nb\" <sip:a@b>"),
    ] {
        assert_eq!(agent.invite(Tick(0), target, to, from, OFFER), Err(AgentError::BadTarget), "{target} {from}");
    }
    assert!(agent.is_quiescent());
}
