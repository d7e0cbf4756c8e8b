//! One INVITE, many answers (RFC 3261 §12.1.2, §13.2.2): early dialogs, late 2xx, and calls without an offer of ours.

use std::time::Duration;

use callwright::sip::agent::{EndedBy, LegId, SipEvent};

use super::phone::{PHONE, Phone, SDP_TEXT, header, is, phone_called_by_us, response};
use super::{ANSWER, ms};

fn called() -> (Phone, LegId, String) {
    phone_called_by_us("sip:all@10.0.0.9", PHONE.parse().unwrap())
}

fn says(invite: &str, code: &str, tag: &str, extra: &str, sdp: &str) -> String {
    let head = response(invite, code, tag);
    let body = if sdp.is_empty() { "\r\n".to_owned() } else { format!("Content-Type: application/sdp\r\n\r\n{sdp}") };
    format!("{head}Contact: <sip:{tag}@10.0.0.9:5090>\r\n{extra}{body}")
}

#[test]
fn several_phones_ring_and_the_first_2xx_is_the_call() {
    let (mut phone, leg, invite) = called();
    let reliable = "Require: 100rel\r\nRSeq: 1\r\n";
    let routed = "Record-Route: <sip:10.0.0.9:5080;lr>\r\n";
    let first = phone.send(says(&invite, "183 Progress", "one", reliable, SDP_TEXT)).remove(0);
    assert!(first.starts_with("PRACK sip:one@10.0.0.9:5090 ") && first.contains(";tag=one\r\n"));
    phone.send(says(&invite, "180 Ringing", "two", routed, ""));
    phone.send(says(&invite, "180 Ringing", "three", "", ""));
    phone.send(says(&invite, "180 Ringing", "two", routed, ""));
    let dialogs: Vec<_> = std::iter::from_fn(|| phone.agent.poll_event())
        .map(|e| match e {
            SipEvent::Progress { dialog, answer, .. } => (dialog, answer.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(dialogs, [(0, true), (1, false), (2, false), (1, false)]);
    let ack =
        phone.send(says(&invite, "200 OK", "two", "Record-Route: <sip:10.0.0.9:5081;lr>\r\n", SDP_TEXT)).remove(0);
    assert!(ack.starts_with("ACK sip:two@10.0.0.9:5090 ") && ack.contains(";tag=two\r\n"));
    assert_eq!(header(&ack, "Route"), Some("<sip:10.0.0.9:5081;lr>"), "the route set of the 2xx");
    assert_eq!(phone.event(), SipEvent::Accepted { leg, answer: SDP_TEXT.into() });
    // The first is late: acknowledged, and hung up with the number after its PRACK.
    let late = says(&invite, "200 OK", "one", "", SDP_TEXT);
    let out = phone.send(&late);
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("BYE sip:one@"));
    assert_eq!(header(&out[1], "CSeq"), Some("3 BYE"));
    assert_eq!(phone.send(&late), out[..1]);
    // One that never rang, too.
    let out = phone.send(says(&invite, "200 OK", "four", "", SDP_TEXT));
    assert!(out[0].starts_with("ACK ") && header(&out[1], "CSeq") == Some("2 BYE"));
    assert_eq!(phone.agent.poll_event(), None);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    phone.pass(Duration::from_secs(80));
    phone.event();
    assert!(phone.agent.is_quiescent());
}

#[test]
fn forks_are_bounded() {
    let (mut phone, leg, invite) = called();
    for n in 0..100 {
        phone.send(says(&invite, "180 Ringing", &format!("t{n}"), "", ""));
    }
    assert_eq!(std::iter::from_fn(|| phone.agent.poll_event()).count(), 8);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    phone.pass(Duration::from_secs(80));
    phone.event();
    assert!(phone.agent.is_quiescent());
}

#[test]
fn a_fork_that_answers_after_cancel_is_hung_up() {
    let (mut phone, leg, invite) = called();
    phone.send(says(&invite, "183 Progress", "one", "Require: 100rel\r\nRSeq: 1\r\n", SDP_TEXT));
    phone.event();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    assert!(phone.received()[0].starts_with("CANCEL "));
    let out = phone.send(says(&invite, "200 OK", "one", "", SDP_TEXT));
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("BYE ") && header(&out[1], "CSeq") == Some("3 BYE"));
    phone.pass(Duration::from_secs(40));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Local, .. }));
    assert!(phone.agent.is_quiescent());
}

fn called_without_offer() -> (Phone, LegId, String) {
    let mut phone = Phone::new();
    let leg = phone.agent.invite(phone.now, "sip:1@10.0.0.9", PHONE.parse().unwrap(), "sip:me@10.0.0.2", b"").unwrap();
    let invite = phone.received().remove(0);
    assert!(header(&invite, "Content-Length") == Some("0") && header(&invite, "Content-Type").is_none());
    (phone, leg, invite)
}

#[test]
fn a_call_without_offer_answers_in_the_ack() {
    let (mut phone, leg, invite) = called_without_offer();
    phone.send(says(&invite, "183 Progress", "t", "", SDP_TEXT));
    assert_eq!(
        phone.event(),
        SipEvent::Progress { leg, code: 183, answer: None, dialog: 0 },
        "a foretaste is no offer"
    );
    let ok = says(&invite, "200 OK", "t", "", SDP_TEXT);
    assert!(phone.send(&ok).is_empty());
    assert_eq!(phone.event(), SipEvent::ReinviteOffered { leg, offer: SDP_TEXT.into() });
    assert!(phone.send(&ok).is_empty(), "the ACK waits for our answer");
    phone.agent.confirm_offer(phone.now, leg, ANSWER).unwrap();
    let ack = phone.received();
    assert!(ack[0].starts_with("ACK ") && ack[0].ends_with(std::str::from_utf8(ANSWER).unwrap()));
    assert_eq!(phone.send(&ok), ack);
    assert_eq!(phone.agent.remote_sdp(leg), Some(SDP_TEXT.as_bytes()));
    // Not wanted after all.
    let (mut phone, leg, invite) = called_without_offer();
    phone.send(says(&invite, "200 OK", "t", "", SDP_TEXT));
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let out = phone.received();
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("BYE "));
}

#[test]
fn a_call_without_offer_answers_in_the_prack() {
    let (mut phone, leg, invite) = called_without_offer();
    let early = says(&invite, "183 Progress", "t", "Require: 100rel\r\nRSeq: 5\r\n", SDP_TEXT);
    assert!(phone.send(&early).is_empty());
    assert!(matches!(phone.event(), SipEvent::Progress { .. }));
    assert_eq!(phone.event(), SipEvent::ReinviteOffered { leg, offer: SDP_TEXT.into() });
    phone.agent.confirm_offer(phone.now, leg, ANSWER).unwrap();
    let prack = phone.received().remove(0);
    assert!(prack.starts_with("PRACK ") && prack.ends_with(std::str::from_utf8(ANSWER).unwrap()));
    assert_eq!(header(&prack, "RAck"), Some("5 1 INVITE"));
    let ack = phone.send(says(&invite, "200 OK", "t", "", "")).remove(0);
    assert!(ack.starts_with("ACK ") && header(&ack, "Content-Length") == Some("0"));
    assert_eq!(phone.event(), SipEvent::Accepted { leg, answer: SDP_TEXT.into() });
    assert!(phone.pass(ms(600)).iter().all(|m| m.starts_with("PRACK ")), "only the PRACK has no answer yet");
    assert!(!is(&prack, 200));
}
