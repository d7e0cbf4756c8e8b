//! Reliable provisional responses (RFC 3262), both sides, and UPDATE in early dialogs (RFC 3311).

use std::time::Duration;

use callwright::sip::agent::{EndedBy, LegId, SipEvent};

use super::pair::{CLEAN, Conditions, Pair};
use super::phone::{
    HOLD, PHONE, Phone, SDP, SDP_TEXT, header, in_dialog, is, phone_called_by_us, request, response, tag_of,
};
use super::{ANSWER, OFFER, ms};

/// A call whose INVITE has these header fields.
fn offered(extra: &str, sdp: Option<(&str, &str)>) -> (Phone, LegId) {
    let mut phone = Phone::new();
    phone.send(request("INVITE", 1, "i", extra, sdp));
    let leg = phone.event().leg();
    (phone, leg)
}

fn rack(response: &str) -> String {
    format!("RAck: {} 1 INVITE\r\n", header(response, "RSeq").expect("an RSeq"))
}

#[test]
fn early_media_is_said_until_it_is_acknowledged_and_not_again_in_the_200() {
    let (mut phone, leg) = offered("Supported: 100rel\r\n", SDP);
    phone.agent.ring(phone.now, leg).unwrap();
    assert_eq!(header(&phone.received()[0], "RSeq"), None, "ringing need not be reliable");
    phone.agent.progress(phone.now, leg, 183, Some(ANSWER)).unwrap();
    let early = phone.received().remove(0);
    assert!(is(&early, 183) && header(&early, "Require") == Some("100rel") && header(&early, "Contact").is_some());
    assert_eq!(phone.pass(ms(4000)), vec![early.clone(); 3], "after 0.5, 1.5 and 3.5 s");
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    assert!(phone.received().is_empty(), "the 200 waits for the PRACK");
    let tag = tag_of(&early);
    assert!(is(&phone.send(in_dialog("PRACK", 2, "p0", &tag, "RAck: 1 1 INVITE\r\n", None))[0], 481));
    assert!(is(&phone.send(in_dialog("PRACK", 3, "p1", &tag, &rack(&early).replace("INVITE", "BYE"), None))[0], 481));
    let prack = in_dialog("PRACK", 4, "p2", &tag, &rack(&early), None);
    let out = phone.send(&prack);
    assert!(is(&out[0], 200) && is(&out[1], 200), "{out:?}");
    assert_eq!(header(&out[0], "CSeq"), Some("4 PRACK"));
    assert!(header(&out[1], "CSeq") == Some("1 INVITE") && header(&out[1], "Content-Length") == Some("0"));
    assert_eq!(phone.send(&prack), out[..1], "a repeat");
    assert!(is(&phone.send(in_dialog("PRACK", 5, "p3", &tag, &rack(&early), None))[0], 481), "acknowledged already");
    phone.send(in_dialog("ACK", 1, "a", &tag, "", None));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    assert_eq!(phone.agent.local_sdp(leg), Some(ANSWER));
}

#[test]
fn without_prack_the_call_is_refused_with_504() {
    let (mut phone, leg) = offered("Supported: 100rel\r\n", SDP);
    phone.agent.progress(phone.now, leg, 183, Some(ANSWER)).unwrap();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let out = phone.pass(Duration::from_secs(33));
    assert_eq!(out.iter().filter(|m| is(m, 183)).count(), 7, "doubled from 0.5 s: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s");
    assert!(is(out.last().unwrap(), 504));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Timeout, .. }));
    phone.send(request("ACK", 1, "i", "", None));
    phone.pass(Duration::from_secs(10));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn where_it_is_required_each_waits_for_the_one_before() {
    let (mut phone, leg) = offered("Require: 100rel\r\n", SDP);
    phone.agent.ring(phone.now, leg).unwrap();
    phone.agent.progress(phone.now, leg, 183, Some(ANSWER)).unwrap();
    phone.agent.progress(phone.now, leg, 182, None).unwrap();
    let out = phone.received();
    assert!(out.len() == 1 && is(&out[0], 180) && header(&out[0], "Require") == Some("100rel"));
    let tag = tag_of(&out[0]);
    let next = phone.send(in_dialog("PRACK", 2, "p2", &tag, &rack(&out[0]), None));
    assert!(is(&next[0], 200) && is(&next[1], 183));
    let number = |m: &str| header(m, "RSeq").unwrap().parse::<u32>().unwrap();
    assert_eq!(number(&next[1]), number(&out[0]) + 1);
    let last = phone.send(in_dialog("PRACK", 3, "p3", &tag, &rack(&next[1]), None));
    assert!(is(&last[1], 182) && header(&last[1], "Content-Length") == Some("0"));
    // Ringing needs no description, so the 200 does not wait; the PRACK that comes after it is still known.
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let ok = phone.received().remove(0);
    assert!(is(&ok, 200));
    assert!(is(&phone.send(in_dialog("PRACK", 4, "p4", &tag, &rack(&last[1]), None))[0], 200));
    // Refusing does not wait either.
    let (mut phone, leg) = offered("Require: 100rel\r\n", SDP);
    phone.agent.progress(phone.now, leg, 183, Some(ANSWER)).unwrap();
    phone.agent.reject(phone.now, leg, 486, "", &[]).unwrap();
    assert!(is(&phone.received()[1], 486));
    phone.send(request("ACK", 1, "i", "", None));
    assert!(phone.pass(Duration::from_secs(40)).is_empty());
}

#[test]
fn a_second_offer_in_the_prack_is_answered_before_the_200() {
    let (mut phone, leg) = offered("Supported: 100rel\r\n", SDP);
    phone.agent.progress(phone.now, leg, 183, Some(ANSWER)).unwrap();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let early = phone.received().remove(0);
    let tag = tag_of(&early);
    let body = Some(("application/sdp", HOLD));
    assert!(phone.send(in_dialog("PRACK", 2, "p", &tag, &rack(&early), body)).is_empty());
    assert_eq!(phone.event(), SipEvent::Reinvite { leg, offer: Some(HOLD.into()), unchanged: false });
    phone.agent.answer_reinvite(phone.now, leg, b"v=0 held").unwrap();
    let out = phone.received();
    assert!(is(&out[0], 200) && out[0].ends_with("v=0 held") && header(&out[0], "CSeq") == Some("2 PRACK"));
    assert!(is(&out[1], 200) && header(&out[1], "CSeq") == Some("1 INVITE"));
    // Offered before there is an answer, it has no place.
    let (mut phone, leg) = offered("Require: 100rel\r\n", SDP);
    phone.agent.ring(phone.now, leg).unwrap();
    let ringing = phone.received().remove(0);
    let out = phone.send(in_dialog("PRACK", 2, "p", &tag_of(&ringing), &rack(&ringing), body));
    assert!(is(&out[0], 488));
}

#[test]
fn a_delayed_offer_in_the_183_is_answered_in_the_prack() {
    let (mut phone, leg) = offered("Supported: 100rel\r\n", None);
    phone.agent.progress(phone.now, leg, 183, Some(OFFER)).unwrap();
    let early = phone.received().remove(0);
    assert!(early.ends_with(std::str::from_utf8(OFFER).unwrap()) && header(&early, "RSeq").is_some());
    let tag = tag_of(&early);
    assert!(is(&phone.send(in_dialog("PRACK", 2, "p", &tag, &rack(&early), SDP))[0], 200));
    assert_eq!(phone.event(), SipEvent::EarlyAnswer { leg, answer: SDP_TEXT.into() });
    phone.agent.accept(phone.now, leg, OFFER).unwrap();
    assert_eq!(header(&phone.received()[0], "Content-Length"), Some("0"));
    phone.send(in_dialog("ACK", 1, "a", &tag, "", None));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    // A caller that cannot acknowledge it is not made an offer before the 200.
    let (mut phone, leg) = offered("", None);
    phone.agent.progress(phone.now, leg, 183, Some(OFFER)).unwrap();
    assert_eq!(header(&phone.received()[0], "Content-Length"), Some("0"));
    // One that insists on reliability hears nothing without an offer: the first reliable response must have it.
    let (mut phone, leg) = offered("Require: 100rel\r\n", None);
    phone.agent.ring(phone.now, leg).unwrap();
    assert!(phone.received().is_empty());
}

#[test]
fn ringing_is_said_again_each_minute() {
    let (mut phone, leg) = offered("", SDP);
    phone.agent.ring(phone.now, leg).unwrap();
    phone.received();
    let out = phone.pass(Duration::from_secs(190));
    assert_eq!(
        out.len(),
        3,
        "proxies give up a call that says nothing for three minutes (RFC 3261 §13.3.1.1): {out:?}"
    );
    assert!(out.iter().all(|m| is(m, 180)));
}

#[test]
fn we_acknowledge_what_comes_in_order() {
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    let early = |code: &str, rseq: u32, sdp: &str| {
        let head = response(&invite, code, "t");
        let body =
            if sdp.is_empty() { "\r\n".to_owned() } else { format!("Content-Type: application/sdp\r\n\r\n{sdp}") };
        format!("{head}Contact: <sip:1@10.0.0.9:5090>\r\nRequire: 100rel\r\nRSeq: {rseq}\r\n{body}")
    };
    let prack = phone.send(early("180 Ringing", 7, "")).remove(0);
    assert!(prack.starts_with("PRACK sip:1@10.0.0.9:5090 SIP/2.0\r\n"));
    assert_eq!((header(&prack, "RAck"), header(&prack, "CSeq")), (Some("7 1 INVITE"), Some("2 PRACK")));
    assert!(header(&prack, "To").unwrap().ends_with(";tag=t"));
    assert_eq!(phone.event(), SipEvent::Progress { leg, code: 180, answer: None, dialog: 0 });
    assert!(phone.send(early("180 Ringing", 7, "")).is_empty(), "a repeat: our PRACK repeats itself");
    assert!(phone.send(early("183 Session Progress", 9, SDP_TEXT)).is_empty(), "number 8 is missing");
    assert_eq!(phone.agent.poll_event(), None);
    let prack = phone.send(early("183 Session Progress", 8, SDP_TEXT)).remove(0);
    assert_eq!((header(&prack, "RAck"), header(&prack, "CSeq")), (Some("8 1 INVITE"), Some("3 PRACK")));
    assert!(matches!(phone.event(), SipEvent::Progress { code: 183, answer: Some(_), .. }));
    // The 200 need not say it again, and cannot say otherwise.
    let other = SDP_TEXT.replace("4000", "4444");
    let ok = format!(
        "{}Contact: <sip:1@10.0.0.9:5090>\r\nContent-Type: application/sdp\r\n\r\n{other}",
        response(&invite, "200 OK", "t")
    );
    assert!(phone.send(ok)[0].starts_with("ACK "));
    assert_eq!(phone.event(), SipEvent::Accepted { leg, answer: SDP_TEXT.into() });
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    assert_eq!(header(&phone.received()[0], "CSeq"), Some("4 BYE"));
}

#[test]
fn a_cancelled_call_still_acknowledges_so_that_the_phone_may_end_it() {
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let out = phone.send(format!("{}Require: 100rel\r\nRSeq: 1\r\n\r\n", response(&invite, "180 Ringing", "t")));
    assert!(out[0].starts_with("PRACK ") && out[1].starts_with("CANCEL "));
}

#[test]
fn early_media_between_two_of_us_over_a_bad_link() {
    for seed in 0..30 {
        let mut pair = Pair::new(seed, Conditions { loss_percent: 20, repeat_percent: 20, delay_max_ms: 200 });
        let caller = pair.call();
        pair.run(Duration::from_secs(20));
        let Some(callee) = pair.events[1].first().map(SipEvent::leg) else { continue };
        pair.agents[1].progress(pair.now, callee, 183, Some(ANSWER)).unwrap();
        pair.run(ms(1));
        pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
        pair.conditions = CLEAN;
        pair.run(Duration::from_secs(20));
        assert!(pair.events[0].contains(&SipEvent::Accepted { leg: caller, answer: ANSWER.to_vec() }), "seed {seed}");
        assert!(pair.events[1].contains(&SipEvent::Confirmed { leg: callee, answer: None }), "seed {seed}");
        pair.agents[1].hang_up(pair.now, callee, None).unwrap();
        pair.assert_quiet();
    }
}

#[test]
fn update_changes_a_call_that_rings_from_either_side() {
    let (mut pair, caller, callee) = Pair::offered(41);
    assert!(pair.agents[0].update(pair.now, caller, Some(HOLD.as_bytes())).is_err(), "nothing is agreed on yet");
    assert!(pair.agents[1].update(pair.now, callee, Some(HOLD.as_bytes())).is_err());
    pair.agents[1].progress(pair.now, callee, 183, Some(ANSWER)).unwrap();
    pair.run(ms(10));
    pair.agents[0].update(pair.now, caller, Some(HOLD.as_bytes())).unwrap();
    pair.run(ms(10));
    let asked = SipEvent::Reinvite { leg: callee, offer: Some(HOLD.into()), unchanged: false };
    assert_eq!(pair.events[1].last(), Some(&asked));
    pair.agents[1].answer_reinvite(pair.now, callee, b"v=0 held").unwrap();
    pair.run(ms(10));
    assert_eq!(pair.events[0].last(), Some(&SipEvent::Reinvited { leg: caller, answer: b"v=0 held".to_vec() }));
    pair.agents[1].update(pair.now, callee, Some(b"v=0 back")).unwrap();
    pair.run(ms(10));
    assert!(matches!(pair.events[0].last(), Some(SipEvent::Reinvite { .. })));
    pair.agents[0].answer_reinvite(pair.now, caller, OFFER).unwrap();
    pair.run(ms(10));
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.run(ms(10));
    let accepted = SipEvent::Accepted { leg: caller, answer: b"v=0 back".to_vec() };
    assert_eq!(pair.events[0].last(), Some(&accepted), "what was agreed on last");
    assert_eq!(pair.agents[1].remote_sdp(callee), Some(OFFER));
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.assert_quiet();
}

#[test]
fn an_update_before_anything_is_agreed_on_is_told_to_wait() {
    let (mut phone, leg) = offered("Supported: 100rel\r\n", SDP);
    phone.agent.ring(phone.now, leg).unwrap();
    let tag = tag_of(&phone.received()[0]);
    let wait = phone.send(in_dialog("UPDATE", 2, "u", &tag, "", Some(("application/sdp", HOLD)))).remove(0);
    assert!(is(&wait, 500) && header(&wait, "Retry-After").is_some());
    assert!(is(&phone.send(in_dialog("UPDATE", 3, "u3", &tag, "", None))[0], 200), "without offer it is welcome");
    assert!(is(&phone.send(in_dialog("INVITE", 4, "u4", &tag, "", SDP))[0], 500));
    // Towards us, while our own offer is out.
    let (mut phone, _, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    phone.send(format!("{}Contact: <sip:1@10.0.0.9>\r\n\r\n", response(&invite, "180 Ringing", "pt")));
    let ours = header(&invite, "From").unwrap();
    let update = |method: &str, n: u32| {
        format!(
            "{method} sip:x@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5080;branch=z9hG4bK{n};rport\r\nFrom: <sip:1@10.0.0.9>;tag=pt\r\n\
             To: {ours}\r\nCall-ID: {}\r\nCSeq: {n} {method}\r\nContact: <sip:1@10.0.0.9>\r\nContent-Type: application/sdp\r\n\r\n{HOLD}",
            header(&invite, "Call-ID").unwrap()
        )
    };
    assert!(is(&phone.send(update("UPDATE", 1))[0], 491));
    assert!(is(&phone.send(update("INVITE", 2))[0], 491));
    assert!(is(&phone.send(update("REFER", 3))[0], 403));
    assert!(is(&phone.send(update("BYE", 4))[0], 200), "a phone that rings may not say it, but we do not mind");
}
