//! What no phone should send: malformed, oversized, forged, mutated.

use callwright::sip::agent::{Agent, AgentConfig};
use callwright::sip::message::parse_datagram;
use proptest::prelude::*;

use super::phone::{Phone, SDP, header, in_dialog, is, request, tag_of};
use super::{ANSWER, Seeded, ms};

#[test]
fn refusals_of_senseless_invites() {
    for (extra, (from, to), code, wanted) in [
        ("Require: 100rel, foo\r\n", ("", ""), 420, Some(("Unsupported", "foo"))),
        ("", ("Max-Forwards: 70", "Max-Forwards: 300"), 400, None),
        ("", ("sip:*72%23@10.0.0.2 SIP", "mailto:x@y SIP"), 416, None),
        ("", ("sip:*72%23@10.0.0.2 SIP", "<sip:72@10.0.0.2> SIP"), 400, None),
        (
            "",
            ("application/sdp", "application/json"),
            415,
            Some(("Accept", "application/sdp, multipart/mixed, multipart/alternative")),
        ),
        ("Content-Encoding: gzip\r\n", ("", ""), 415, Some(("Accept-Encoding", "identity"))),
        ("", ("Contact: <sip:phone@10.0.0.9:5080>\r\n", ""), 400, None),
        ("", ("Contact: <sip:phone@10.0.0.9:5080>\r\n", "Contact: \"open <sip:x@y>\r\n"), 400, None),
        // Exactly one Contact, which can be called (RFC 3261 section 8.1.1.8).
        ("Contact: <sip:second@10.0.0.9>\r\n", ("", ""), 400, None),
        ("", ("Contact: <sip:phone@10.0.0.9:5080>", "Contact: <mailto:a@h>"), 400, None),
        ("", ("Contact: <sip:phone@10.0.0.9:5080>", "Contact: sip:phone@10.0.0.9?Route=%3Csip:h%3E"), 400, None),
        // What is no URI, or would not come back as it went.
        ("", ("<sip:phone@10.0.0.9>", "<sip:>"), 400, None),
        ("", ("<sip:phone@10.0.0.9>", "<:>"), 400, None),
        ("", ("<sip:phone@10.0.0.9>", "<sip:a@[::1>"), 400, None),
        ("", ("<sip:phone@10.0.0.9>", "<sip:a@h\u{1}>"), 400, None),
        ("", ("<sip:72@10.0.0.2>", "<sip:a@h b>"), 400, None),
        ("", ("sip:*72%23@10.0.0.2 SIP", "sip:%zz@10.0.0.2 SIP"), 400, None),
        ("", ("Call-ID: call-1@phone", "Call-ID: a b"), 400, None),
        ("", ("Call-ID: call-1@phone", "Call-ID: a\0b"), 400, None),
        ("", ("tag=pt", "tag=p\0t"), 400, None),
        ("", ("tag=pt", "tag=a,b"), 400, None),
        ("", ("branch=z9hG4bKr", "branch=z9hG4bK\0r"), 400, None),
        ("", ("INVITE sip:", "INV\u{e9}TE sip:"), 400, None),
        ("", ("CSeq: 1 INVITE", "CSeq: 1 BYE"), 400, None),
        ("", ("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE"), 400, None),
        ("", ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505, None),
        ("CSeq: 1 INVITE\r\n", ("", ""), 400, None),
        ("f: <sip:other@h>;tag=2\r\n", ("", ""), 400, None),
        ("Content-Length: 4294967295\r\n", ("", ""), 400, None),
        ("X\u{1}: y\r\n", ("", ""), 400, None),
    ] {
        let mut phone = Phone::new();
        let out = phone.send(request("INVITE", 1, "r", extra, SDP).replacen(from, to, 1));
        assert!(is(&out[0], code), "{extra}{to}: {}", out[0]);
        if let Some((name, value)) = wanted {
            assert_eq!(header(&out[0], name), Some(value));
        }
        tag_of(&out[0]);
        assert!(phone.agent.is_quiescent(), "{extra}{to}");
    }
}

#[test]
fn a_request_line_without_end_is_told_so() {
    let mut phone = Phone::new();
    let long = format!("sip:{}@10.0.0.2 SIP", "9".repeat(9000));
    let out = phone.send(request("INVITE", 1, "r", "", SDP).replacen("sip:*72%23@10.0.0.2 SIP", &long, 1));
    assert!(is(&out[0], 414), "{}", out[0]);
    assert!(phone.agent.is_quiescent());
}

/// Old clients leave Contact out: they are reached where From says (RFC 4475 section 3.4.1).
#[test]
fn a_client_of_rfc_2543_has_no_contact() {
    let mut phone = Phone::new();
    let old = request("INVITE", 1, "i", "", SDP)
        .replace(";branch=z9hG4bKi", "")
        .replace("Contact: <sip:phone@10.0.0.9:5080>\r\n", "");
    assert!(is(&phone.send(&old)[0], 100));
    let leg = phone.event().leg();
    phone.agent.accept(phone.now, leg, ANSWER).unwrap();
    let tag = tag_of(&phone.received()[0]);
    let ack = in_dialog("ACK", 1, "a", &tag, "", None).replace(";branch=z9hG4bKa", "");
    assert!(phone.send(ack).is_empty());
    phone.event();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    assert!(phone.received()[0].starts_with("BYE sip:phone@10.0.0.9 SIP/2.0\r\n"));
}

#[test]
fn a_description_among_other_parts_is_found() {
    let part = |kind: &str, more: &str, body: &str| format!("--b1\r\nContent-Type: {kind}\r\n{more}\r\n{body}\r\n");
    let sdp = part("application/sdp", "", SDP.unwrap().1.trim_end());
    let isup = |handling: &str| {
        part(
            "application/ISUP;version=x",
            &format!("Content-Disposition: signal;handling={handling}\r\n"),
            "\u{1}\u{2}",
        )
    };
    for (body, code) in [
        (format!("{sdp}{}--b1--\r\n", isup("optional")), 100),
        (format!("{}{sdp}--b1--", isup("optional")), 100),
        (format!("{sdp}{}--b1--\r\n", isup("required")), 415),
        (format!("{sdp}{sdp}--b1--\r\n"), 415),
        (sdp.clone(), 415),
    ] {
        let mut phone = Phone::new();
        let invite = request("INVITE", 1, "m", "", Some(("multipart/mixed;boundary=b1", &body)));
        let out = phone.send(invite);
        assert!(is(&out[0], code), "{body}{}", out[0]);
    }
}

#[test]
fn content_length_in_every_shape() {
    for (length, code) in [
        ("0", Some(100)), // a delayed offer
        ("-1", Some(400)),
        ("+5", Some(400)),
        ("99999", Some(400)),
        ("18446744073709551615", Some(400)),
        ("99999999999999999999999", Some(400)),
        ("5, 5", Some(400)),
        ("", Some(400)),
        ("0x10", Some(400)),
    ] {
        let mut phone = Phone::new();
        let invite = request("INVITE", 1, "c", "", SDP);
        let written = header(&invite, "Content-Length").unwrap().to_owned();
        let out =
            phone.send(invite.replace(&format!("Content-Length: {written}"), &format!("Content-Length: {length}")));
        assert!(is(&out[0], code.unwrap()), "{length}: {}", out[0]);
    }
    let mut phone = Phone::new();
    let invite = request("INVITE", 1, "c", "", SDP);
    let written = header(&invite, "Content-Length").unwrap().to_owned();
    assert!(is(&phone.send(invite.replace(&format!("Content-Length: {written}\r\n"), ""))[0], 100), "body to the end");
}

/// CVE-2016-9938, CVE-2020-28361: a header name is a token, with blanks only between it and the colon.
#[test]
fn control_characters_around_the_colon() {
    for byte in (0u8..=32).chain([127]) {
        let blank = matches!(byte, b' ' | b'\t');
        for (place, line) in [
            ("before", [b"X-Name", &[byte][..], b": v\r\n"].concat()),
            ("after", [b"X-Name:", &[byte][..], b"v\r\n"].concat()),
            ("at the start of", [&[byte][..], b"X-Name: v\r\n"].concat()),
        ] {
            // LF ends a line; a line that starts with a blank continues the one before.
            if byte == b'\n' || (blank && place == "at the start of") {
                continue;
            }
            let mut message = request("OPTIONS", 1, "x", "", None).into_bytes();
            let at = message.windows(8).position(|w| w == b"Contact:").unwrap();
            message.splice(at..at, line);
            let out = Phone::new().send(message);
            assert!(is(&out[0], if blank { 200 } else { 400 }), "{byte:#04x} {place} the colon: {}", out[0]);
        }
    }
}

#[test]
fn what_cannot_be_answered_is_dropped() {
    let ack = request("ACK", 1, "a", "", None);
    for message in [
        "\r\n\r\n".to_owned(),
        String::new(),
        "\0\0\0\0".to_owned(),
        "hello".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "INVITE\r\n\r\n".to_owned(),
        "INVITE sip:a@b SIP/2.0\r\n\r\n".to_owned(),
        "SIP/2.0 4294967301 better not break\r\n\r\n".to_owned(),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n".to_owned(),
        ack.replace("CSeq: 1 ACK", "CSeq: x ACK"),
        ack,
        request("INVITE", 1, "n", "", SDP).replace("Via: SIP/2.0/UDP 10.0.0.9:5080", "Via: SIP/2.0/UDP"),
    ] {
        let mut phone = Phone::new();
        assert!(phone.send(&message).is_empty(), "{message}");
        assert!(phone.agent.is_quiescent());
    }
    for source in ["255.255.255.255:5060", "224.0.0.1:5060", "0.0.0.0:5060", "10.0.0.9:0", "10.0.0.2:5060"] {
        assert!(Phone::new().send_from(source, request("OPTIONS", 1, "b", "", None)).is_empty(), "{source}");
    }
}

#[test]
fn strangers_get_silence_and_floods_get_503() {
    let mut phone = Phone::new();
    assert!(phone.send_from("203.0.113.1:5060", request("INVITE", 1, "i", "", SDP)).is_empty());
    assert!(phone.send_from("203.0.113.1:5060", "garbage\r\n\r\n").is_empty());
    assert_eq!(phone.agent.status().dropped_source, 2);
    let mut config = AgentConfig::new("10.0.0.2:5060".parse().unwrap(), Seeded::source(3));
    (config.dialogs_per_second, config.dialogs_burst) = (1.0, 2.0);
    phone.agent = Agent::new(config);
    let invite = |n: u32| request("INVITE", 1, &format!("f{n}"), "", SDP).replace("call-1", &format!("call-{n}"));
    let codes: Vec<_> = (0..4).map(|n| phone.send(invite(n))[0][8..11].to_owned()).collect();
    assert_eq!(codes, ["100", "100", "503", "503"]);
    assert_eq!(phone.agent.status().refused_rate, 2);
    phone.pass(ms(1100));
    assert!(is(&phone.send(invite(9))[0], 100));
    let mut config = AgentConfig::new("10.0.0.2:5060".parse().unwrap(), Seeded::source(3));
    config.legs_max = 1;
    phone.agent = Agent::new(config);
    phone.send(invite(1));
    let out = phone.send(invite(2));
    assert!(is(&out[0], 503) && header(&out[0], "Retry-After").is_some());
    assert_eq!(phone.agent.status().refused_capacity, 1);
}

#[test]
fn answers_are_not_amplified() {
    for message in [
        request("OPTIONS", 1, "o", "", None),
        request("REGISTER", 1, "o", "", None),
        request("INVITE", 1, "o", "", SDP),
        request("INVITE", 1, "o", "Require: x\r\n", SDP),
        request("INVITE", 1, "o", "Bad\r\n", SDP),
    ] {
        let answered: usize = Phone::new().send(&message).iter().map(String::len).sum();
        // No real request is as short as these, and who is not known gets nothing at all.
        assert!(answered > 0 && answered <= message.len() * 2, "{answered} for {}", message.len());
    }
}

#[test]
fn limits_hold() {
    for (extra, code) in [
        ("X: y\r\n".repeat(300), 400),
        ("X: y\r\n".repeat(200), 200),
        (format!("X: {}\r\n", "y".repeat(9000)), 400),
        (format!("X: y\r\n{}", " z\r\n".repeat(10_000)), 400),
        (format!("Via: {}SIP/2.0/UDP h\r\n", "SIP/2.0/UDP h;branch=z9hG4bKq, ".repeat(80)), 400),
        (format!("Record-Route: {}<sip:h;lr>\r\n", "<sip:h;lr>,".repeat(70)), 400),
    ] {
        let out = Phone::new().send(request("OPTIONS", 1, "l", &extra, None));
        assert!(is(&out[0], code), "{} octets: {}", extra.len(), &out[0][..60]);
    }
    let long = "x".repeat(40_000);
    assert!(is(&Phone::new().send(request("INVITE", 1, "l", "", Some(("application/sdp", &long))))[0], 413));
}

/// The good ones of RFC 4475's kind, written anew: odd, but legal.
#[test]
fn odd_but_legal_messages_are_understood() {
    let folded: &[u8] = b"\r\nOPTIONS sip:vivekg@10.0.0.2;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@10.0.0.2 ;   tag    = 1918181833n\r\n\
        f   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n\
        i: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 0\r\ncseq: 0009\r\n  OPTIONS\r\nv  : SIP  / 2.0 / UDP    10.0.0.9;branch=390skdjuw\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
        Via:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n";
    let out = Phone::new().send(folded);
    assert!(is(&out[0], 481), "a To tag that we never gave: {}", out[0]);
    assert!(out[0].contains("To: sip:vivekg@10.0.0.2 ;   tag    = 1918181833n\r\n"), "verbatim");
    assert_eq!(out[0].matches("\r\nVia: ").count(), 3);

    let message = parse_datagram(
        b"OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nt: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:a@h>\r\n\
          f: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23\r\ni: x\r\nCSeq: 1 OPTIONS\r\n\r\nbody to the end",
    )
    .unwrap();
    assert_eq!(message.body, b"body to the end");
    let short = "OPTIONS sip:a@10.0.0.2 SIP/2.0\nv: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\nt: sip:a@b\nf: sip:c@d;tag=1\ni: x\nCSeq: 1 OPTIONS\n\n";
    assert!(is(&Phone::new().send(short)[0], 200), "bare LF, no Content-Length, no Max-Forwards");
}

/// Valid messages of a call, to be mutated.
fn seeds() -> Vec<Vec<u8>> {
    ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"]
        .into_iter()
        .flat_map(|method| [request(method, 1, "i", "", SDP), in_dialog(method, 2, "j", "TAG", "Reason: x\r\n", SDP)])
        .chain(["SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n".to_owned()])
        .map(String::into_bytes)
        .collect()
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, &'static [u8]),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let tokens = proptest::sample::select(vec![
        &b"\r\n"[..],
        b"\r\n\r\n",
        b":",
        b";tag=",
        b"\"",
        b"<",
        b">",
        b",",
        b"%",
        b"\0",
        b"\xff",
        b"[",
        b"4294967296",
        b"Content-Length: 9999\r\n",
        b" ",
    ]);
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, b)| Mutation::Set(at, b)),
        (any::<usize>(), 1usize..40).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (any::<usize>(), 1usize..80).prop_map(|(at, n)| Mutation::Repeat(at, n)),
        (any::<usize>(), tokens).prop_map(|(at, t)| Mutation::Insert(at, t)),
    ]
}

fn mutate(message: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations {
        if message.is_empty() {
            return;
        }
        let length = message.len();
        match mutation {
            Mutation::Set(at, byte) => message[at % length] = *byte,
            Mutation::Remove(at, n) => drop(message.drain(at % length..(at % length + n).min(length))),
            Mutation::Repeat(at, n) => {
                let part = message[at % length..(at % length + n).min(length)].to_vec();
                message.splice(at % length..at % length, part);
            }
            Mutation::Insert(at, token) => drop(message.splice(at % length..at % length, token.iter().copied())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, in whatever order, with the call side answering: no panic, and 250 s later nothing is left.
    #[test]
    fn the_agent_survives_mutations(
        script in proptest::collection::vec((0usize..15, proptest::collection::vec(mutation(), 0..4), 0u64..3000), 1..12)
    ) {
        let seeds = seeds();
        let mut phone = Phone::new();
        let mut tag = "TAG".to_owned();
        for (which, mutations, wait) in script {
            let text = String::from_utf8_lossy(&seeds[which]).replace("TAG", &tag);
            let mut message = text.into_bytes();
            mutate(&mut message, &mutations);
            for response in phone.send(&message) {
                prop_assert!(parse_datagram(&response.chars().map(|c| c as u8).collect::<Vec<_>>()).is_ok(), "{response}");
            }
            while let Some(event) = phone.agent.poll_event() {
                let _ = phone.agent.accept(phone.now, event.leg(), ANSWER);
                let _ = phone.agent.refresh(phone.now, event.leg());
            }
            if let Some(ours) = phone.received().iter().find_map(|m| header(m, "To")?.split_once(";tag=").map(|t| t.1.to_owned())) {
                tag = ours;
            }
            phone.pass(ms(wait));
        }
        for _ in 0..2 {
            phone.pass(ms(50_000));
            let legs: Vec<_> = (0..100).map(callwright::sip::agent::LegId).collect();
            for leg in legs {
                let _ = phone.agent.hang_up(phone.now, leg, None);
            }
        }
        phone.pass(ms(100_000));
        while phone.agent.poll_event().is_some() {}
        prop_assert!(phone.agent.is_quiescent(), "{:?}", phone.agent.status());
    }

    #[test]
    fn the_parser_survives_anything(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse_datagram(&octets);
    }
}
