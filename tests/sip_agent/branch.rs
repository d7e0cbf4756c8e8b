//! One call, several telephones (RFC 3261 §16.6, §16.7): who rings when, who wins, and what is told when nobody does.

use std::time::Duration;

use callwright::sip::agent::{Branch, EndedBy, LegId, Placement, SipEvent};
use callwright::sip::hop::Hop;

use super::phone::{PHONE, Phone, SDP_TEXT, header, response};
use super::{OFFER, ms};

/// Telephones `p1`, `p2`, … ring, each in its turn; the first one's is 0.
fn called(turns: &[u16]) -> (Phone, LegId, Vec<String>) {
    let mut phone = Phone::new();
    let others = turns.iter().enumerate().map(|(n, turn)| Branch {
        target: format!("sip:p{}@10.0.0.9:{}", n + 2, 5082 + n),
        hops: vec![Hop::udp(format!("10.0.0.9:{}", 5082 + n).parse().unwrap())],
        routes: vec![format!("<sip:edge{n}@10.0.0.9;lr>")],
        turn: *turn,
    });
    let placement = Placement {
        others: others.collect(),
        headers: vec![("Route".into(), "<sip:edge@10.0.0.9;lr>".into()), ("X-Kind".into(), "desk".into())],
        ..Placement::new("sip:p1@10.0.0.9:5080", Hop::udp(PHONE.parse().unwrap()), "<sip:a@10.0.0.2>", OFFER.to_vec())
    };
    let leg = phone.agent.place(phone.now, &placement).unwrap();
    let invites = phone.received();
    (phone, leg, invites)
}

fn says(invite: &str, code: &str, tag: &str) -> String {
    let head = response(invite, code, tag);
    let body = if code.starts_with('2') { SDP_TEXT } else { "" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{head}Contact: <sip:{tag}@10.0.0.9:5090>\r\n{kind}\r\n{body}")
}

fn events(phone: &mut Phone) -> Vec<SipEvent> {
    std::iter::from_fn(|| phone.agent.poll_event()).collect()
}

fn ends_quietly(mut phone: Phone) {
    phone.pass(Duration::from_secs(120));
    events(&mut phone);
    assert!(phone.agent.is_quiescent(), "{:?}", phone.agent.status());
}

#[test]
fn all_ring_and_the_first_2xx_silences_the_others() {
    let (mut phone, leg, invites) = called(&[0, 0]);
    assert_eq!(invites.len(), 3);
    for (n, invite) in invites.iter().enumerate() {
        assert!(invite.starts_with(&format!("INVITE sip:p{}@10.0.0.9:", n + 1)), "{invite}");
        assert!(invite.ends_with(std::str::from_utf8(OFFER).unwrap()) && header(invite, "X-Kind") == Some("desk"));
        for same in ["From", "Call-ID", "CSeq"] {
            assert_eq!(header(invite, same), header(&invites[0], same), "{same}");
        }
        assert_eq!(invite.matches("\r\nRoute: ").count(), 1, "its own route: {invite}");
    }
    assert_ne!(header(&invites[0], "Via"), header(&invites[1], "Via"));
    assert_eq!(header(&invites[1], "Route"), Some("<sip:edge0@10.0.0.9;lr>"));
    phone.send(says(&invites[0], "180 Ringing", "one"));
    phone.send(says(&invites[1], "180 Ringing", "two"));
    let dialogs: Vec<_> = events(&mut phone)
        .iter()
        .map(|e| if let SipEvent::Progress { dialog, .. } = e { *dialog } else { panic!("{e:?}") })
        .collect();
    assert_eq!(dialogs, [0, 1]);
    let out = phone.send(says(&invites[1], "200 OK", "two"));
    let cancel = out.iter().find(|m| m.starts_with("CANCEL ")).expect("the first rings");
    assert!(cancel.starts_with("CANCEL sip:p1@") && header(cancel, "Via") == header(&invites[0], "Via"));
    assert_eq!(header(cancel, "Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert!(out.iter().any(|m| m.starts_with("ACK sip:two@10.0.0.9:5090 ")), "{out:?}");
    assert_eq!(out.len(), 2, "the third has said nothing that could be cancelled: {out:?}");
    assert_eq!(events(&mut phone), [SipEvent::Accepted { leg, answer: SDP_TEXT.into() }]);
    // The first obeys, the third is late to ring, and then answers all the same.
    assert!(phone.send(says(&invites[0], "487 Request Terminated", "one"))[0].starts_with("ACK "));
    assert!(phone.send(says(&invites[2], "180 Ringing", "three"))[0].starts_with("CANCEL sip:p3@"));
    let out = phone.send(says(&invites[2], "200 OK", "three"));
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("BYE sip:three@"), "{out:?}");
    assert!(events(&mut phone).is_empty(), "the call goes on");
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let bye = phone.received().remove(0);
    assert!(bye.starts_with("BYE sip:two@10.0.0.9:5090 "), "{bye}");
    phone.send(response(&bye, "200 OK", "two"));
    ends_quietly(phone);
}

#[test]
fn a_telephone_that_refuses_is_out_and_the_best_refusal_is_told_at_last() {
    let (mut phone, leg, invites) = called(&[0, 0]);
    phone.send(says(&invites[0], "404 Not Found", "one"));
    phone.send(says(&invites[1], "486 Busy Here", "two"));
    assert!(events(&mut phone).is_empty(), "the third may still answer");
    phone.send(says(&invites[2], "180 Ringing", "three"));
    events(&mut phone);
    phone.send(says(&invites[2], "480 Temporarily Unavailable", "three"));
    assert!(matches!(events(&mut phone)[..], [SipEvent::Refused { leg: of, code: 486, .. }] if of == leg));
    ends_quietly(phone);
    // Who will not be called by anybody decides for all.
    let (mut phone, leg, invites) = called(&[0, 1]);
    phone.send(says(&invites[0], "180 Ringing", "one"));
    let out = phone.send(says(&invites[1], "603 Decline", "two"));
    assert!(out.iter().any(|m| m.starts_with("ACK ")), "{out:?}");
    let told = events(&mut phone);
    assert!(matches!(told.last(), Some(SipEvent::Refused { leg: of, code: 603, .. }) if *of == leg), "{told:?}");
    ends_quietly(phone);
}

#[test]
fn later_turns_join_when_the_first_refuse_or_keep_ringing() {
    let (mut phone, leg, invites) = called(&[1, 2]);
    assert_eq!(invites.len(), 1);
    let out = phone.send(says(&invites[0], "486 Busy Here", "one"));
    let second = out.iter().find(|m| m.starts_with("INVITE sip:p2@")).expect("its turn").clone();
    phone.send(says(&second, "180 Ringing", "two"));
    let third = phone.pass(Duration::from_secs(21)).into_iter().find(|m| m.starts_with("INVITE sip:p3@"));
    phone.send(says(&third.expect("its turn, and the second rings on"), "180 Ringing", "three"));
    events(&mut phone);
    let out = phone.send(says(&second, "200 OK", "two"));
    assert!(out.iter().any(|m| m.starts_with("CANCEL sip:p3@")), "{out:?}");
    assert!(matches!(events(&mut phone)[..], [SipEvent::Accepted { .. }]));
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    ends_quietly(phone);
}

#[test]
fn the_caller_gives_up_on_all_of_them() {
    let (mut phone, leg, invites) = called(&[0, 1]);
    phone.send(says(&invites[0], "180 Ringing", "one"));
    phone.send(says(&invites[1], "180 Ringing", "two"));
    events(&mut phone);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let cancels = phone.received();
    assert_eq!(cancels.iter().filter(|m| m.starts_with("CANCEL ")).count(), 2, "{cancels:?}");
    phone.send(says(&invites[1], "487 Request Terminated", "two"));
    assert!(events(&mut phone).is_empty());
    phone.send(says(&invites[0], "487 Request Terminated", "one"));
    assert!(matches!(events(&mut phone)[..], [SipEvent::Ended { by: EndedBy::Local, .. }]));
    assert!(phone.pass(Duration::from_secs(30)).iter().all(|m| !m.starts_with("INVITE ")), "nobody else is called");
    ends_quietly(phone);
}

#[test]
fn a_dead_telephone_does_not_end_the_call() {
    let (mut phone, leg, invites) = called(&[0]);
    phone.send(says(&invites[1], "180 Ringing", "two"));
    events(&mut phone);
    phone.pass(Duration::from_secs(40));
    assert!(events(&mut phone).is_empty(), "the first has timed out");
    phone.send(says(&invites[1], "200 OK", "two"));
    assert!(matches!(events(&mut phone)[..], [SipEvent::Accepted { .. }]));
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    ends_quietly(phone);
    // Nor does a telephone whose every answer is lost keep it for ever.
    let (mut phone, _, _) = called(&[0, 0, 0]);
    phone.pass(ms(33_000));
    assert!(matches!(events(&mut phone)[..], [SipEvent::Refused { code: 408, .. }]));
    ends_quietly(phone);
}
