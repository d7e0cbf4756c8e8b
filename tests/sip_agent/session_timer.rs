//! Session timers (RFC 4028), both roles.

use std::time::Duration;

use callwright::sip::agent::{EndedBy, SipEvent};

use super::pair::{Pair, ended};
use super::phone::{PHONE, Phone, SDP, SDP_TEXT, header, in_dialog, is, phone_called_by_us, request, response, tag_of};
use super::{ANSWER, OFFER};

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn a_long_call_is_refreshed_by_update_and_ends_when_the_peer_is_gone() {
    let (mut pair, caller, callee) = Pair::connected(31);
    let (before, after) = (pair.events[0].len(), pair.events[1].len());
    pair.run(S(2 * 3600));
    assert_eq!((pair.count(0, "UPDATE"), pair.count(1, "UPDATE")), (8, 0), "every 900 s, by the caller");
    assert_eq!((pair.events[0].len(), pair.events[1].len()), (before, after), "nobody is bothered");
    pair.swallow = Some((0, ""));
    pair.run(S(1800));
    assert!(ended(caller, EndedBy::Timeout)(pair.events[0].last().unwrap()));
    assert!(ended(callee, EndedBy::Timeout)(pair.events[1].last().unwrap()));
    pair.assert_quiet();
}

/// Answers our INVITE with this Session-Expires and gives the phone; `extra` is further header fields.
fn called(extra: &str) -> (Phone, callwright::sip::agent::LegId) {
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    assert_eq!(header(&invite, "Session-Expires"), Some("1800"));
    assert_eq!(header(&invite, "Min-SE"), Some("90"));
    let head = response(&invite, "200 OK", "pt");
    phone.send(format!(
        "{head}Contact: <sip:1@10.0.0.9:5080>\r\n{extra}Content-Type: application/sdp\r\n\r\n{SDP_TEXT}"
    ));
    phone.event();
    (phone, leg)
}

fn reply(request: &str, code: &str, extra: &str, sdp: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|n| format!("{n}: {}\r\n", header(request, n).unwrap()));
    format!("SIP/2.0 {code}\r\n{}{extra}\r\n{sdp}", copied.concat())
}

/// The last description octet for octet: its `o=` version stays (RFC 4028 §7.4, RFC 3264 §8).
#[test]
fn a_phone_without_update_is_refreshed_by_reinvite_with_the_last_description() {
    let (mut phone, leg) = called("Session-Expires: 120;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n");
    let out = phone.pass(S(61));
    assert!(out[0].starts_with("INVITE ") && out[0].ends_with(std::str::from_utf8(OFFER).unwrap()));
    assert_eq!(header(&out[0], "Session-Expires"), Some("120;refresher=uac"));
    let ok =
        reply(&out[0], "200 OK", "Session-Expires: 120;refresher=uac\r\nContent-Type: application/sdp\r\n", SDP_TEXT);
    assert!(phone.send(&ok)[0].starts_with("ACK "));
    assert_eq!(phone.agent.poll_event(), None, "the same answer is no news");
    // The next one finds a phone that has moved.
    let out = phone.pass(S(61));
    let moved = SDP_TEXT.replace("4000", "4002");
    phone.send(reply(&out[0], "200 OK", "Session-Expires: 120;refresher=uac\r\n", &moved));
    assert_eq!(phone.event(), SipEvent::Refreshed { leg, answer: moved.into_bytes() });
    // A refresh that is refused is tried again until the session is over.
    let out = phone.pass(S(61));
    phone.send(reply(&out[0], "503 Later", "", ""));
    let out = phone.pass(S(6));
    assert!(out[0].starts_with("INVITE "));
    phone.send(reply(&out[0], "503 Later", "", ""));
    phone.pass(S(30));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Timeout, .. }), "88 s after the last refresh");
}

/// Session timers of both sides hold on: a description that came with the peer's refresh is answered as any other change, and
/// one that came with the answer to ours is told.
#[test]
fn a_refresh_may_change_the_session_whoever_sends_it() {
    let mut phone = Phone::new();
    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    phone.send(request("INVITE", 1, "i", timer, SDP));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    phone.send(in_dialog("ACK", 1, "a", &tag, "", None));
    phone.event();
    for (n, method, port) in [(2, "UPDATE", "4002"), (3, "INVITE", "4004")] {
        assert!(phone.pass(S(45)).is_empty());
        let moved = SDP_TEXT.replace("4000", port);
        let body = Some(("application/sdp", moved.as_str()));
        phone.send(in_dialog(method, n, &format!("m{n}"), &tag, timer, body));
        assert_eq!(phone.event(), SipEvent::Reinvite { leg, offer: Some(moved.clone().into()), unchanged: false });
        let ours = format!("v=0\r\ns={n}\r\n");
        phone.agent.answer_reinvite(phone.now, leg, ours.as_bytes()).unwrap();
        let ok = phone.received().remove(0);
        assert!(is(&ok, 200) && ok.ends_with(&ours), "{ok}");
        assert_eq!(header(&ok, "Session-Expires"), Some("90;refresher=uac"));
        if method == "INVITE" {
            phone.send(in_dialog("ACK", n, &format!("k{n}"), &tag, "", None));
            phone.event();
        }
        assert_eq!(phone.agent.remote_sdp(leg), Some(moved.as_bytes()));
    }
    assert!(phone.pass(S(59)).is_empty(), "both have refreshed it");
    assert!(phone.pass(S(2))[0].starts_with("BYE "), "60 s after the last");
    // A hold of ours that waits for the refresh is answered by its own answer and not by that of the refresh.
    let (mut phone, leg) = called("Session-Expires: 120;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n");
    let refresh = phone.pass(S(61)).remove(0);
    phone.agent.reinvite(phone.now, leg, Some(b"v=0 held")).unwrap();
    let extra = "Session-Expires: 120;refresher=uac\r\nContent-Type: application/sdp\r\n";
    let moved = SDP_TEXT.replace("4000", "4006");
    let out = phone.send(reply(&refresh, "200 OK", extra, &moved));
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("INVITE ") && out[1].ends_with("v=0 held"), "{out:?}");
    assert_eq!(phone.event(), SipEvent::Refreshed { leg, answer: moved.into_bytes() });
    phone.send(reply(&out[1], "200 OK", extra, SDP_TEXT));
    assert_eq!(phone.event(), SipEvent::Reinvited { leg, answer: SDP_TEXT.into() });
}

#[test]
fn the_call_is_hung_up_when_the_refresher_is_silent() {
    for (interval, by) in [(90, 60), (1800, 1768)] {
        let (mut phone, _) = called(&format!("Session-Expires: {interval};refresher=uas\r\nRequire: timer\r\n"));
        assert!(phone.pass(S(by - 1)).is_empty(), "we do not refresh");
        let out = phone.pass(S(2));
        assert!(out[0].starts_with("BYE ") && header(&out[0], "Reason").is_some(), "{out:?}");
        assert!(
            matches!(phone.event(), SipEvent::Ended { by: EndedBy::Timeout, reason: Some(why), .. } if why.contains("timer"))
        );
    }
    let (mut phone, leg) = called("");
    assert!(phone.pass(S(20_000)).is_empty(), "a phone without session timers is left alone");
    phone.agent.hang_up(phone.now, leg, None).unwrap();
}

#[test]
fn a_greater_interval_is_taken_up() {
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    let small = format!("{}Min-SE: 3600\r\n\r\n", response(&invite, "422 Session Interval Too Small", "x"));
    let out = phone.send(&small);
    assert!(out[0].starts_with("ACK ") && out[1].starts_with("INVITE "));
    let again = &out[1];
    assert_eq!((header(again, "Session-Expires"), header(again, "Min-SE")), (Some("3600"), Some("3600")));
    assert_eq!(header(again, "CSeq"), Some("2 INVITE"));
    for same in ["From", "To", "Call-ID", "Contact", "Content-Type", "Supported"] {
        assert_eq!(header(again, same), header(&invite, same));
    }
    assert!(again.ends_with(std::str::from_utf8(OFFER).unwrap()));
    assert_ne!(header(again, "Via"), header(&invite, "Via"));
    assert!(phone.send(&small)[0].starts_with("ACK "), "a repeat of the refusal is acknowledged, and no more");
    assert_eq!(phone.agent.poll_event(), None);
    // It does not go on for ever.
    phone.send(format!("{}Min-SE: 3600\r\n\r\n", response(again, "422 Session Interval Too Small", "y")));
    assert!(matches!(phone.event(), SipEvent::Refused { leg: l, code: 422, .. } if l == leg));
    phone.pass(S(40));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn what_we_answer_to_callers_with_timers() {
    for (asks, says, requires) in [
        ("Supported: timer\r\nSession-Expires: 600\r\n", Some("600;refresher=uac"), true),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", Some("600;refresher=uas"), false),
        ("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", Some("3600;refresher=uac"), true),
        ("Session-Expires: 7200\r\n", Some("1800;refresher=uas"), false),
        ("Supported: timer\r\n", Some("1800;refresher=uas"), false),
        ("", None, false),
    ] {
        let mut phone = Phone::new();
        phone.send(request("INVITE", 1, "i", asks, SDP));
        let leg = phone.event().leg();
        phone.agent.accept(phone.now, leg, ANSWER).unwrap();
        let ok = phone.received().remove(0);
        assert_eq!(header(&ok, "Session-Expires"), says, "{asks}");
        assert_eq!(header(&ok, "Require"), requires.then_some("timer"), "{asks}");
    }
    let mut phone = Phone::new();
    let out = phone.send(request("INVITE", 1, "i", "Supported: timer\r\nSession-Expires: 60\r\n", SDP));
    assert!(is(&out[0], 422) && header(&out[0], "Min-SE") == Some("90"));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn a_caller_that_refreshes_keeps_the_call_and_one_that_stops_loses_it() {
    let mut phone = Phone::new();
    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    phone.send(request("INVITE", 1, "i", timer, SDP));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    phone.send(in_dialog("ACK", 1, "a", &tag, "", None));
    phone.event();
    for n in 2..6 {
        assert!(phone.pass(S(45)).is_empty());
        let ok = phone.send(in_dialog("UPDATE", n, &format!("u{n}"), &tag, timer, None)).remove(0);
        assert_eq!(header(&ok, "Session-Expires"), Some("90;refresher=uac"));
    }
    assert!(phone.pass(S(45)).is_empty());
    phone.send(in_dialog("INVITE", 6, "r6", &tag, timer, SDP));
    assert_eq!(phone.event(), SipEvent::Reinvite { leg, offer: Some(SDP_TEXT.into()), unchanged: true });
    phone.agent.refresh(phone.now, leg).unwrap();
    let ok = phone.received().remove(0);
    assert!(ok.ends_with(std::str::from_utf8(ANSWER).unwrap()) && header(&ok, "Session-Expires").is_some());
    phone.send(in_dialog("ACK", 6, "a6", &tag, "", None));
    phone.event();
    let small = "Supported: timer\r\nSession-Expires: 10\r\n";
    assert!(is(&phone.send(in_dialog("UPDATE", 7, "u7", &tag, small, None))[0], 422));
    assert!(phone.pass(S(59)).is_empty());
    assert!(phone.pass(S(2))[0].starts_with("BYE "), "60 s after the last that worked");
}
