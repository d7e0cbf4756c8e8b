//! The session is changed: our own re-INVITE and UPDATE, and the peer's (RFC 3261 §14, RFC 3311, RFC 3264 §4).

use std::time::Duration;

use callwright::sip::agent::{AgentError, EndedBy, LegId, SipEvent};

use super::pair::{CLEAN, Conditions, Pair, ended};
use super::phone::{HOLD, Phone, SDP, SDP_TEXT, header, in_dialog, is, response, tag_of};
use super::{ANSWER, OFFER, ms};

const HELD: &[u8] =
    b"v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
const AGREED: &[u8] =
    b"v=0\r\no=- 2 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\na=recvonly\r\n";

fn last(pair: &Pair, side: usize) -> &SipEvent {
    pair.events[side].last().expect("an event")
}

#[test]
fn our_reinvite_puts_on_hold_from_either_side() {
    for side in [0, 1] {
        let (mut pair, caller, callee) = Pair::connected(21);
        let legs = [caller, callee];
        pair.agents[side].reinvite(pair.now, legs[side], Some(HELD)).unwrap();
        let again = pair.agents[side].reinvite(pair.now, legs[side], Some(HELD));
        assert!(matches!(again, Err(AgentError::WrongState { .. })), "one change at a time: {again:?}");
        pair.run(ms(10));
        let other = 1 - side;
        assert_eq!(
            last(&pair, other),
            &SipEvent::Reinvite { leg: legs[other], offer: Some(HELD.to_vec()), unchanged: false }
        );
        pair.agents[other].answer_reinvite(pair.now, legs[other], AGREED).unwrap();
        pair.run(ms(10));
        assert_eq!(last(&pair, side), &SipEvent::Reinvited { leg: legs[side], answer: AGREED.to_vec() });
        assert_eq!(last(&pair, other), &SipEvent::Confirmed { leg: legs[other], answer: None });
        assert_eq!(pair.agents[side].local_sdp(legs[side]), Some(HELD));
        assert_eq!(pair.agents[side].remote_sdp(legs[side]), Some(AGREED));
        assert_eq!(pair.agents[other].remote_sdp(legs[other]), Some(HELD));
        pair.agents[side].hang_up(pair.now, legs[side], None).unwrap();
        pair.assert_quiet();
    }
}

#[test]
fn our_reinvite_without_offer_asks_for_one() {
    let (mut pair, caller, callee) = Pair::connected(22);
    pair.agents[1].reinvite(pair.now, callee, None).unwrap();
    pair.run(ms(10));
    assert_eq!(last(&pair, 0), &SipEvent::Reinvite { leg: caller, offer: None, unchanged: false });
    pair.agents[0].answer_reinvite(pair.now, caller, HELD).unwrap();
    pair.run(ms(2000));
    assert_eq!(pair.events[1].iter().filter(|e| matches!(e, SipEvent::ReinviteOffered { .. })).count(), 1);
    assert_eq!(last(&pair, 1), &SipEvent::ReinviteOffered { leg: callee, offer: HELD.to_vec() });
    assert_eq!(pair.count(1, "ACK"), 0, "the ACK waits for the answer");
    pair.agents[1].confirm_offer(pair.now, callee, AGREED).unwrap();
    assert!(matches!(pair.agents[1].confirm_offer(pair.now, callee, AGREED), Err(AgentError::WrongState { .. })));
    pair.run(ms(100));
    assert_eq!(last(&pair, 0), &SipEvent::Confirmed { leg: caller, answer: Some(AGREED.to_vec()) });
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.assert_quiet();
}

#[test]
fn an_offer_that_nobody_answers_ends_the_call_in_time() {
    let (mut pair, caller, callee) = Pair::connected(23);
    pair.agents[1].reinvite(pair.now, callee, None).unwrap();
    pair.run(ms(10));
    pair.agents[0].answer_reinvite(pair.now, caller, HELD).unwrap();
    pair.run(Duration::from_secs(21));
    assert!(ended(callee, EndedBy::Timeout)(last(&pair, 1)), "{:?}", last(&pair, 1));
    assert_eq!((pair.count(1, "ACK"), pair.count(1, "BYE")), (1, 1));
    pair.assert_quiet();
}

/// RFC 3261 §14.1, RFC 5407 §3.3.1.
#[test]
fn glare_is_waited_out() {
    for seed in 0..20 {
        let (mut pair, caller, callee) = Pair::connected(100 + seed);
        pair.conditions = Conditions { delay_max_ms: 40, ..CLEAN };
        let legs = [caller, callee];
        for (agent, leg) in pair.agents.iter_mut().zip(legs) {
            agent.reinvite(pair.now, leg, Some(HELD)).unwrap();
        }
        for _ in 0..100 {
            pair.run(ms(100));
            for (agent, leg) in pair.agents.iter_mut().zip(legs) {
                let _ = agent.answer_reinvite(pair.now, leg, AGREED);
            }
        }
        assert!(pair.count(0, "SIP/2.0 491") + pair.count(1, "SIP/2.0 491") > 0, "both came at once");
        let told = pair.events.iter().flatten().filter_map(|e| match e {
            SipEvent::Reinvited { .. } => Some(0),
            SipEvent::ReinviteRefused { code, .. } => Some(*code),
            _ => None,
        });
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        // One is first; what the other offered is out of date after that.
        assert_eq!(told, [0, 491], "seed {seed}");
        assert_eq!(pair.agents[0].remote_sdp(caller), pair.agents[1].local_sdp(callee));
        assert_eq!(pair.agents[1].remote_sdp(callee), pair.agents[0].local_sdp(caller));
        pair.agents[0].hang_up(pair.now, caller, None).unwrap();
        pair.assert_quiet();
    }
}

#[test]
fn a_change_waits_for_the_ack_and_for_the_peers_own() {
    let (mut pair, caller, callee) = Pair::offered(24);
    pair.swallow = Some((0, "ACK"));
    pair.agents[1].accept(pair.now, callee, ANSWER).unwrap();
    pair.agents[1].reinvite(pair.now, callee, Some(HELD)).unwrap();
    pair.run(ms(700));
    assert_eq!(pair.count(1, "INVITE"), 0);
    pair.swallow = None;
    pair.run(ms(2000));
    assert_eq!(pair.count(1, "INVITE"), 1);
    pair.agents[0].reinvite(pair.now, caller, Some(HELD)).unwrap();
    pair.run(ms(100));
    assert_eq!(pair.count(0, "INVITE"), 1, "ours waits until the peer's has been answered");
    pair.agents[0].refresh(pair.now, caller).unwrap();
    pair.run(ms(100));
    assert_eq!(pair.count(0, "INVITE"), 2, "an answer that changed nothing leaves the offer good");
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.assert_quiet();
}

#[test]
fn update_changes_and_refreshes_without_ack() {
    let (mut pair, caller, callee) = Pair::connected(25);
    pair.agents[0].update(pair.now, caller, Some(HELD)).unwrap();
    pair.run(ms(10));
    assert!(matches!(last(&pair, 1), SipEvent::Reinvite { offer: Some(_), unchanged: false, .. }));
    pair.agents[1].answer_reinvite(pair.now, callee, AGREED).unwrap();
    pair.run(ms(10));
    assert_eq!(last(&pair, 0), &SipEvent::Reinvited { leg: caller, answer: AGREED.to_vec() });
    let before = pair.events[0].len();
    pair.agents[1].update(pair.now, callee, None).unwrap();
    pair.run(ms(10));
    assert_eq!(pair.events[0].len(), before, "a refresh concerns nobody");
    assert_eq!(last(&pair, 1), &SipEvent::Reinvited { leg: callee, answer: vec![] });
    assert_eq!(
        (pair.count(0, "ACK"), pair.count(0, "INVITE"), pair.count(0, "UPDATE"), pair.count(1, "UPDATE")),
        (1, 1, 1, 1)
    );
    // Both at once: both are refused with 491, and the waits differ.
    pair.conditions = Conditions { delay_max_ms: 20, ..CLEAN };
    pair.agents[0].update(pair.now, caller, Some(OFFER)).unwrap();
    pair.agents[1].update(pair.now, callee, Some(ANSWER)).unwrap();
    for _ in 0..80 {
        pair.run(ms(100));
        let _ = pair.agents[0].answer_reinvite(pair.now, caller, OFFER);
        let _ = pair.agents[1].answer_reinvite(pair.now, callee, ANSWER);
    }
    assert_eq!(pair.agents[0].remote_sdp(caller), pair.agents[1].local_sdp(callee));
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.assert_quiet();
}

/// A phone that we have called and that has answered; gives the leg and our INVITE.
fn answering_phone(extra: &str) -> (Phone, LegId, String) {
    let (mut phone, leg, invite) =
        super::phone::phone_called_by_us("sip:1@10.0.0.9", super::phone::PHONE.parse().unwrap());
    let ok = format!(
        "{}Contact: <sip:1@10.0.0.9:5080>\r\n{extra}Content-Type: application/sdp\r\n\r\n{SDP_TEXT}",
        response(&invite, "200 OK", "pt")
    );
    assert!(phone.send(ok)[0].starts_with("ACK "));
    assert!(matches!(phone.event(), SipEvent::Accepted { .. }));
    (phone, leg, invite)
}

/// A response to a request of ours within the dialog.
fn reply(request: &str, code: &str, extra: &str, sdp: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|n| format!("{n}: {}\r\n", header(request, n).unwrap()));
    format!("SIP/2.0 {code}\r\n{}{extra}\r\n{sdp}", copied.concat())
}

#[test]
fn what_the_peer_may_say_to_our_reinvite() {
    let (mut phone, leg, _) = answering_phone("");
    // Refused: as it was.
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    let invite = phone.received().remove(0);
    assert_eq!(header(&invite, "CSeq"), Some("2 INVITE"));
    assert!(header(&invite, "Contact").is_some() && header(&invite, "Allow").is_some());
    assert!(phone.send(reply(&invite, "488 No", "", ""))[0].starts_with("ACK "));
    assert_eq!(phone.event(), SipEvent::ReinviteRefused { leg, code: 488 });
    assert_eq!(phone.agent.local_sdp(leg), Some(OFFER));
    // Told to wait: tried again.
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    let invite = phone.received().remove(0);
    phone.send(reply(&invite, "500 Busy", "Retry-After: 3\r\n", ""));
    assert!(phone.pass(ms(2900)).is_empty());
    let invite = phone.pass(ms(200)).remove(0);
    assert_eq!(header(&invite, "CSeq"), Some("4 INVITE"));
    // Accepted without an answer: nothing was agreed on.
    assert!(phone.send(reply(&invite, "200 OK", "", ""))[0].starts_with("ACK "));
    assert_eq!(phone.event(), SipEvent::ReinviteRefused { leg, code: 488 });
    // Forgotten there: over.
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    let invite = phone.received().remove(0);
    let out = phone.send(reply(&invite, "481 Gone", "", ""));
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("BYE "));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Remote, .. }));
    phone.pass(Duration::from_secs(40));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn silence_to_our_reinvite_ends_the_call() {
    let (mut pair, caller, _) = Pair::connected(26);
    pair.swallow = Some((1, ""));
    pair.agents[0].reinvite(pair.now, caller, Some(HELD)).unwrap();
    pair.run(Duration::from_secs(33));
    assert!(ended(caller, EndedBy::Timeout)(last(&pair, 0)));
    pair.swallow = None;
    pair.assert_quiet();
}

#[test]
fn a_reinvite_that_is_only_rung_at_is_cancelled() {
    let (mut phone, leg, _) = answering_phone("");
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    let invite = phone.received().remove(0);
    phone.send(reply(&invite, "180 Ringing", "", ""));
    let out = phone.pass(Duration::from_secs(61));
    assert!(out[0].starts_with("CANCEL ") && header(&out[0], "Via") == header(&invite, "Via"));
    phone.send(reply(&out[0], "200 OK", "", ""));
    assert!(phone.send(reply(&invite, "487 Terminated", "", ""))[0].starts_with("ACK "));
    assert_eq!(phone.event(), SipEvent::ReinviteRefused { leg, code: 487 });
    phone.agent.hang_up(phone.now, leg, None).unwrap();
}

#[test]
fn hanging_up_does_not_wait_for_a_reinvite_and_its_late_2xx_is_acknowledged() {
    let (mut phone, leg, _) = answering_phone("");
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    let invite = phone.received().remove(0);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    let bye = phone.received().remove(0);
    assert!(bye.starts_with("BYE ") && header(&bye, "CSeq") == Some("3 BYE"));
    phone.send(reply(&bye, "200 OK", "", ""));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Local, .. }));
    let late = reply(&invite, "200 OK", "", SDP_TEXT);
    let ack = phone.send(&late);
    assert!(ack.len() == 1 && ack[0].starts_with("ACK ") && header(&ack[0], "CSeq") == Some("2 ACK"));
    assert_eq!(phone.send(&late), ack);
    phone.pass(Duration::from_secs(40));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn where_update_is_not_allowed_a_reinvite_goes() {
    let (mut phone, leg, _) = answering_phone("Allow: INVITE, ACK, BYE\r\n");
    phone.agent.update(phone.now, leg, None).unwrap();
    let invite = phone.received().remove(0);
    assert!(invite.starts_with("INVITE ") && invite.ends_with(std::str::from_utf8(OFFER).unwrap()));
    let (mut phone, leg, _) = answering_phone("Allow: INVITE, ACK, BYE, UPDATE\r\n");
    phone.agent.update(phone.now, leg, None).unwrap();
    let update = phone.received().remove(0);
    assert!(update.starts_with("UPDATE ") && header(&update, "Content-Length") == Some("0"));
    let out = phone.send(reply(&update, "501 What?", "", ""));
    assert!(out[0].starts_with("INVITE ") && out[0].ends_with(std::str::from_utf8(OFFER).unwrap()), "{out:?}");
}

/// Asterisk moves media to the phones with a re-INVITE right after its ACK, which may be overtaken (RFC 5407 §3.1.5).
#[test]
fn a_reinvite_that_overtakes_the_ack_is_as_good_as_the_ack() {
    let mut phone = Phone::new();
    phone.send(super::phone::request("INVITE", 1, "i", "", SDP));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    phone.send(in_dialog("INVITE", 2, "r2", &tag, "", Some(("application/sdp", HOLD))));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    assert!(matches!(phone.event(), SipEvent::Reinvite { unchanged: false, .. }));
    phone.agent.answer_reinvite(phone.now, leg, AGREED).unwrap();
    phone.received();
    assert!(phone.send(in_dialog("ACK", 1, "a", &tag, "", None)).is_empty());
    assert_eq!(phone.agent.poll_event(), None, "the late ACK says nothing new");
    assert_eq!(phone.pass(ms(600)).len(), 1, "only the 200 to the re-INVITE is repeated");
    phone.send(in_dialog("ACK", 2, "a2", &tag, "", None));
    assert_eq!(phone.event(), SipEvent::Confirmed { leg, answer: None });
    // After a delayed offer it is not: what would the answer be?
    let mut phone = Phone::new();
    phone.send(super::phone::request("INVITE", 1, "i", "", None));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, OFFER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    assert!(is(&phone.send(in_dialog("INVITE", 2, "r2", &tag, "", SDP))[0], 491));
}

#[test]
fn updates_of_the_peer_find_their_turn() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    let body = Some(("application/sdp", HOLD));
    let ok = phone.send(in_dialog("UPDATE", 2, "u2", &tag, "", None)).remove(0);
    assert!(is(&ok, 200) && header(&ok, "Contact").is_some());
    assert_eq!(phone.agent.poll_event(), None);
    assert!(phone.send(in_dialog("UPDATE", 3, "u3", &tag, "", body)).is_empty(), "the call side answers");
    assert_eq!(phone.event(), SipEvent::Reinvite { leg, offer: Some(HOLD.as_bytes().to_vec()), unchanged: false });
    let wait = phone.send(in_dialog("UPDATE", 4, "u4", &tag, "", body)).remove(0);
    assert!(is(&wait, 500) && header(&wait, "Retry-After").is_some());
    phone.agent.answer_reinvite(phone.now, leg, AGREED).unwrap();
    let ok = phone.received().remove(0);
    assert!(is(&ok, 200) && ok.ends_with(std::str::from_utf8(AGREED).unwrap()));
    phone.agent.reinvite(phone.now, leg, Some(HELD)).unwrap();
    phone.received();
    assert!(is(&phone.send(in_dialog("UPDATE", 5, "u5", &tag, "", body))[0], 491));
    assert!(is(&phone.send(in_dialog("INVITE", 6, "u6", &tag, "", body))[0], 491));
    assert!(is(&phone.send(in_dialog("UPDATE", 7, "u7", &tag, "", None))[0], 200), "without offer it may");
    // The call side forgets.
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    phone.send(in_dialog("UPDATE", 2, "u2", &tag, "", body));
    phone.event();
    assert!(is(&phone.pass(Duration::from_secs(21))[0], 500));
    // Or refuses.
    phone.send(in_dialog("UPDATE", 3, "u3", &tag, "", body));
    phone.event();
    phone.agent.reject(phone.now, leg, 488, "", &[]).unwrap();
    assert!(is(&phone.received()[0], 488));
    assert_eq!(phone.agent.remote_sdp(leg), Some(SDP_TEXT.as_bytes()));
}

/// The peer's 2xx are lost, and its BYE is not: the INVITE has been answered provisionally only, and will be no more.
#[test]
fn a_reinvite_whose_call_has_ended_is_forgotten() {
    let (mut pair, caller, callee) = Pair::connected(27);
    pair.agents[0].reinvite(pair.now, caller, Some(HELD)).unwrap();
    pair.run(ms(10));
    pair.swallow = Some((1, "SIP/2.0 200"));
    pair.agents[1].answer_reinvite(pair.now, callee, AGREED).unwrap();
    pair.run(ms(100));
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.run(ms(100));
    pair.swallow = None;
    assert!(ended(caller, EndedBy::Remote)(last(&pair, 0)));
    pair.assert_quiet();
}
