//! Transfer, blind and attended, both roles (RFC 3515, 3891, 3892, 4488), and what else comes within a dialog.

use std::time::Duration;

use callwright::sip::agent::{AgentError, Cause, EndedBy, LegId, Reason, SipEvent, replaces_value};
use callwright::sip::dialog::DialogId;

use super::ms;
use super::pair::{Conditions, Pair};
use super::phone::{PHONE, Phone, SDP, header, in_dialog, is, phone_called_by_us, request, response, tag_of};

fn told(pair: &Pair, side: usize) -> Vec<(u16, bool)> {
    let of = |e: &SipEvent| match e {
        SipEvent::ReferProgress { code, over, .. } => Some((*code, *over)),
        _ => None,
    };
    pair.events[side].iter().filter_map(of).collect()
}

#[test]
fn a_blind_transfer_is_told_to_its_end() {
    let (mut pair, caller, callee) = Pair::connected(51);
    pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3?Subject=x", None).unwrap();
    let twice = pair.agents[0].refer(pair.now, caller, "sip:dave@10.0.0.4", None);
    assert!(matches!(twice, Err(AgentError::WrongState { .. })));
    pair.run(ms(10));
    let asked = SipEvent::Refer {
        leg: callee,
        target: "sip:carol@10.0.0.3".into(),
        replaces: None,
        referred_by: Some("<sip:ann@10.0.0.1>".into()),
    };
    assert_eq!(pair.events[1].last(), Some(&asked));
    assert!(matches!(pair.agents[1].notify_refer(pair.now, callee, 180), Err(AgentError::WrongState { .. })));
    pair.agents[1].accept_refer(pair.now, callee).unwrap();
    pair.agents[1].notify_refer(pair.now, callee, 180).unwrap();
    pair.run(ms(100));
    pair.agents[1].notify_refer(pair.now, callee, 200).unwrap();
    pair.run(ms(100));
    assert_eq!(told(&pair, 0), [(100, false), (180, false), (200, true)]);
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.assert_quiet();
}

#[test]
fn notifications_arrive_in_order_whatever_the_link_does() {
    for seed in 0..30 {
        let (mut pair, caller, callee) = Pair::connected(60 + seed);
        pair.conditions = Conditions { loss_percent: 25, repeat_percent: 25, delay_max_ms: 400 };
        pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3", None).unwrap();
        pair.run(Duration::from_secs(10));
        pair.agents[1].accept_refer(pair.now, callee).unwrap();
        for code in [180, 183, 486] {
            pair.run(ms(300));
            pair.agents[1].notify_refer(pair.now, callee, code).unwrap();
        }
        pair.run(Duration::from_secs(60));
        let told = told(&pair, 0);
        assert!(told.is_sorted() && told.last() == Some(&(486, true)), "seed {seed}: {told:?}");
        assert_eq!(told.iter().filter(|(_, over)| *over).count(), 1);
        pair.agents[1].hang_up(pair.now, callee, None).unwrap();
        pair.assert_quiet();
    }
}

#[test]
fn a_transfer_may_be_refused_forgotten_or_never_end() {
    let (mut pair, caller, callee) = Pair::connected(52);
    pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3", None).unwrap();
    pair.run(ms(10));
    pair.agents[1].refuse_refer(pair.now, callee, 603).unwrap();
    pair.run(ms(10));
    assert_eq!(told(&pair, 0), [(603, true)]);
    // Nobody decides.
    pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3", None).unwrap();
    pair.run(Duration::from_secs(21));
    assert_eq!(told(&pair, 0)[1..], [(480, true)]);
    // Nobody tells.
    pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3", None).unwrap();
    pair.run(ms(10));
    pair.agents[1].accept_refer(pair.now, callee).unwrap();
    pair.run(Duration::from_secs(250));
    assert_eq!(told(&pair, 0)[2..], [(100, false), (408, true)]);
    // Agreed to, and silent.
    pair.agents[0].refer(pair.now, caller, "sip:carol@10.0.0.3", None).unwrap();
    pair.run(ms(10));
    pair.swallow = Some((1, "NOTIFY"));
    pair.agents[1].accept_refer(pair.now, callee).unwrap();
    pair.run(Duration::from_secs(33));
    assert_eq!(told(&pair, 0)[4..], [(408, true)]);
    pair.swallow = None;
    assert_eq!(pair.agents[0].refer(pair.now, caller, "carol", None), Err(AgentError::BadTarget));
    pair.agents[0].hang_up(pair.now, caller, None).unwrap();
    pair.assert_quiet();
}

/// Two calls of ours, from the phone and to it: each other end is asked to take the place of the other.
#[test]
fn an_attended_transfer_names_the_call_to_replace() {
    let mut phone = Phone::new();
    let (one, _) = phone.established();
    let peer = PHONE.parse().unwrap();
    let two = phone.agent.invite(phone.now, "sip:1@10.0.0.9", peer, "sip:me@10.0.0.2", super::OFFER).unwrap();
    let invite = phone.received().remove(0);
    let ok = response(&invite, "200 OK", "far");
    phone.send(format!("{ok}Contact: <sip:far@10.0.0.9>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"));
    phone.event();
    phone.agent.refer(phone.now, one, "", Some(two)).unwrap();
    let refer = phone.received().remove(0);
    let ours = header(&invite, "From").unwrap().split_once(";tag=").unwrap().1;
    let call_id = header(&invite, "Call-ID").unwrap();
    let wanted = format!("<sip:far@10.0.0.9?Replaces={call_id}%3Bto-tag%3Dfar%3Bfrom-tag%3D{ours}>");
    assert_eq!(header(&refer, "Refer-To"), Some(wanted.as_str()));
    assert_eq!(header(&refer, "Referred-By"), Some("<sip:72@10.0.0.2>"));
    assert_eq!(phone.agent.refer(phone.now, two, "sip:x@h", Some(LegId(99))), Err(AgentError::UnknownLeg(LegId(99))));
}

/// RFC 3891 §3.
#[test]
fn an_invite_may_replace_a_call() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    let dialog = phone.agent.dialog_of(leg).unwrap().clone();
    assert_eq!(phone.agent.leg_of(&dialog), Some(leg));
    let value = replaces_value(&dialog);
    assert_eq!(value, format!("call-1@phone;to-tag={tag};from-tag=pt"));
    let mut n = 0;
    let mut invite = |phone: &mut Phone, replaces: &str| {
        n += 1;
        let text = request("INVITE", 1, &format!("x{n}"), &format!("Require: replaces\r\n{replaces}"), SDP);
        phone.send(text.replace("Call-ID: call-1@phone", &format!("Call-ID: call-x{n}")))
    };
    for (replaces, code) in [
        ("Replaces: nobody;to-tag=1;from-tag=2\r\n".to_owned(), 481),
        (format!("Replaces: {value};early-only\r\n"), 486),
        (format!("Replaces: {value}\r\nReplaces: {value}\r\n"), 400),
        ("Replaces: x\r\n".to_owned(), 400),
    ] {
        assert!(is(&invite(&mut phone, &replaces)[0], code), "{replaces}");
    }
    assert!(is(
        &invite(&mut phone, &format!("Replaces: {value}\r\nReferred-By: <sip:ann@h>\r\nX-Account: 7\r\n"))[0],
        100
    ));
    let SipEvent::Incoming { leg: new, replaces, headers, .. } = phone.event() else { panic!("an INVITE") };
    assert_eq!(replaces, Some(leg));
    let wanted = [("Referred-By", "<sip:ann@h>"), ("X-Account", "7")];
    assert_eq!(headers, wanted.map(|(n, v)| (n.to_owned(), v.to_owned())));
    // A call that is only offered to us, and one that is being hung up, cannot be replaced.
    let early = replaces_value(phone.agent.dialog_of(new).unwrap());
    assert!(is(&invite(&mut phone, &format!("Replaces: {early}\r\n"))[0], 481));
    phone.agent.accept(phone.now, new, super::ANSWER).unwrap();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    phone.received();
    assert!(is(&invite(&mut phone, &format!("Replaces: {value}\r\n"))[0], 603));
}

#[test]
fn a_phone_asks_to_be_put_through() {
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    let refer = |n: u32, extra: &str| in_dialog("REFER", n, &format!("f{n}"), &tag, extra, None);
    let two = "Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>\r\n";
    for (n, bad) in (10..).zip(["", "Refer-To: <mailto:x@y>\r\n", two, "Refer-To: <sip:a@h?Replaces=x>\r\n"]) {
        assert!(is(&phone.send(refer(n, bad))[0], 400), "{bad}");
    }
    let to = "Refer-To: <sip:b@h?Replaces=c%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n";
    assert!(phone.send(refer(20, to)).is_empty());
    let SipEvent::Refer { target, replaces: Some(dialog), referred_by: None, .. } = phone.event() else { panic!() };
    assert_eq!((target.as_str(), replaces_value(&dialog)), ("sip:b@h", "c@x;to-tag=1;from-tag=2".to_owned()));
    assert!(is(&phone.send(refer(21, to))[0], 491), "one at a time");
    phone.agent.accept_refer(phone.now, leg).unwrap();
    let out = phone.received();
    assert!(is(&out[0], 202) && out[1].starts_with("NOTIFY "));
    assert_eq!(header(&out[1], "Event"), Some("refer;id=20"));
    assert!(header(&out[1], "Subscription-State").unwrap().starts_with("active;expires="));
    assert_eq!(header(&out[1], "Content-Type"), Some("message/sipfrag;version=2.0"));
    assert!(out[1].ends_with("\r\n\r\nSIP/2.0 100 Trying\r\n"));
    // Who does not want to be told is not (RFC 4488).
    let mut phone = Phone::new();
    let (leg, tag) = phone.established();
    phone.send(in_dialog("REFER", 2, "f2", &tag, "Refer-To: <sip:b@h>\r\nRefer-Sub: false\r\n", None));
    phone.event();
    phone.agent.accept_refer(phone.now, leg).unwrap();
    phone.agent.notify_refer(phone.now, leg, 200).unwrap();
    let out = phone.received();
    assert!(out.len() == 1 && is(&out[0], 202) && header(&out[0], "Refer-Sub") == Some("false"));
}

/// Who has both calls in hand may join their other ends, and nobody else.
#[test]
fn two_calls_of_one_telephone_are_known_by_where_they_come_from() {
    let mut phone = Phone::new();
    let (one, _) = phone.established();
    let second = |phone: &mut Phone, call: &str, source: &str| {
        let renamed = |text: String| text.replace("call-1@phone", call).replace("10.0.0.9:5080", source);
        phone.send_from(source, renamed(request("INVITE", 1, call, "", SDP)));
        let leg = phone.event().leg();
        phone.agent.accept(phone.now, leg, super::ANSWER).unwrap();
        let tag = tag_of(&phone.received()[0]);
        phone.send_from(source, renamed(in_dialog("ACK", 1, &format!("a{call}"), &tag, "", None)));
        phone.event();
        leg
    };
    let (two, other) = (second(&mut phone, "call-2", PHONE), second(&mut phone, "call-3", "10.0.0.8:5080"));
    let dialog = |phone: &Phone, leg| phone.agent.dialog_of(leg).unwrap().clone();
    assert_eq!(phone.agent.leg_of_same_phone(one, &dialog(&phone, two)), Some(two));
    assert_eq!(phone.agent.leg_of_same_phone(one, &dialog(&phone, other)), None, "another telephone's");
    let nobodys = DialogId { call_id: b"x".to_vec(), local_tag: b"y".to_vec(), remote_tag: b"z".to_vec() };
    assert_eq!(phone.agent.leg_of_same_phone(one, &nobodys), None);
    let gone = dialog(&phone, two);
    phone.agent.hang_up(phone.now, two, None).unwrap();
    assert_eq!(phone.agent.leg_of_same_phone(one, &gone), None, "it is being hung up");
}

#[test]
fn what_nobody_asked_for_is_answered_quietly() {
    let mwi = "Event: message-summary\r\nSubscription-State: active\r\n";
    let body = Some(("application/simple-message-summary", "Messages-Waiting: yes\r\n"));
    let mut phone = Phone::new();
    assert!(is(&phone.send(request("NOTIFY", 1, "n", mwi, body))[0], 200));
    let out = phone.send(request("NOTIFY", 2, "n2", "Event: dialog\r\n", None));
    assert!(is(&out[0], 489) && header(&out[0], "Allow-Events") == Some("refer"));
    assert!(is(&phone.send(request("NOTIFY", 3, "n3", "", None))[0], 489));
    assert!(is(&phone.send(request("REFER", 4, "n4", "Refer-To: <sip:x@h>\r\n", None))[0], 403));
    assert!(phone.agent.is_quiescent(), "none of them leaves anything");
    let (leg, tag) = phone.established();
    assert!(is(&phone.send(in_dialog("NOTIFY", 2, "m2", &tag, mwi, body))[0], 200));
    assert!(is(&phone.send(in_dialog("NOTIFY", 3, "m3", &tag, "Event: talk\r\n", None))[0], 489));
    assert!(is(&phone.send(in_dialog("NOTIFY", 4, "m4", &tag, "Event: refer\r\n", None))[0], 481));
    assert_eq!(phone.agent.poll_event(), None);
    phone.agent.hang_up(phone.now, leg, None).unwrap();
}

#[test]
fn digits_leave_by_info_in_order() {
    let (mut pair, caller, callee) = Pair::connected(53);
    pair.conditions = Conditions { loss_percent: 20, repeat_percent: 20, delay_max_ms: 300 };
    for digit in "42#*A".chars() {
        pair.agents[0].send_digit(pair.now, caller, digit, 100).unwrap();
    }
    assert_eq!(pair.agents[0].send_digit(pair.now, caller, 'x', 100), Err(AgentError::BadTarget));
    pair.run(Duration::from_secs(60));
    let heard: String = pair.events[1]
        .iter()
        .filter_map(|e| match e {
            SipEvent::InfoDigit { digit, .. } => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(heard, "42#*A");
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.assert_quiet();
}

#[test]
fn a_probe_finds_out_that_the_call_is_gone() {
    let (mut pair, caller, callee) = Pair::connected(54);
    pair.agents[0].probe(pair.now, caller).unwrap();
    pair.run(ms(100));
    assert_eq!((pair.count(0, "OPTIONS"), pair.count(1, "SIP/2.0 200")), (1, 2));
    pair.swallow = Some((1, ""));
    pair.agents[1].hang_up(pair.now, callee, None).unwrap();
    pair.run(Duration::from_secs(33));
    pair.swallow = None;
    pair.events[0].retain(|e| !e.is_terminal());
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    let ok = response(&invite, "200 OK", "t");
    phone.send(format!("{ok}Contact: <sip:far@10.0.0.9>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"));
    phone.event();
    phone.agent.probe(phone.now, leg).unwrap();
    let options = phone.received().remove(0);
    assert!(options.starts_with("OPTIONS sip:far@10.0.0.9 "));
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|n| format!("{n}: {}\r\n", header(&options, n).unwrap()));
    assert!(phone.send(format!("SIP/2.0 481 Gone\r\n{}\r\n", copied.concat()))[0].starts_with("BYE "));
    assert!(matches!(phone.event(), SipEvent::Ended { by: EndedBy::Remote, .. }));
}

#[test]
fn causes_go_both_ways() {
    let (mut pair, caller, callee) = Pair::connected(55);
    let reason = Reason { cause: Some(Cause::q850(31)), text: Some("Normal, unspecified".into()) };
    pair.agents[1].hang_up_for(pair.now, callee, reason).unwrap();
    pair.run(ms(10));
    let ended =
        |leg, by| SipEvent::Ended { leg, by, reason: Some("Normal, unspecified".into()), cause: Some(Cause::q850(31)) };
    assert_eq!(pair.events[0].last(), Some(&ended(caller, EndedBy::Remote)));
    assert_eq!(pair.events[1].last(), Some(&ended(callee, EndedBy::Local)));
    let (mut phone, leg, invite) = phone_called_by_us("sip:1@10.0.0.9", PHONE.parse().unwrap());
    phone.send(format!("{}Reason: Q.850;cause=17;text=\"User busy\"\r\n\r\n", response(&invite, "486 Busy", "t")));
    let SipEvent::Refused { code: 486, reason, cause, leg: refused, .. } = phone.event() else { panic!() };
    assert_eq!((refused, reason.as_str(), cause), (leg, "User busy", Some(Cause::q850(17))));
    assert!(tag_of(&response(&invite, "486 Busy", "t")) == "t");
}
