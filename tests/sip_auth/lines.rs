//! Registrations of ours (RFC 3261 §10.2), and calls that come by them.

use std::sync::Arc;

use callwright::sip::agent::{LineConfig, OutOfDialog, SipEvent};
use callwright::sip::message::Method;
use callwright::sip::peer::{Directory, Peer, TrunkIdentity};
use callwright::sip::registration::LineState;

use super::{PEER, Scene, branch, header, headers, hop, login, param, response, s};

fn line(account: &str, user: &str) -> LineConfig {
    LineConfig {
        account: account.into(),
        registrar: "sip:pbx.example".to_owned(),
        aor: format!("sip:{user}@pbx.example"),
        contact_user: user.to_owned(),
        expires: s(600),
        public: None,
    }
}

fn trunk(name: &str) -> TrunkIdentity {
    TrunkIdentity { name: name.into(), ..TrunkIdentity::default() }
}

/// Lines that know where their registrar is, and what they say first.
fn scene(lines: &[LineConfig]) -> (Scene, Vec<String>) {
    let mut scene = Scene::new();
    let mut names: Vec<Arc<str>> = lines.iter().map(|l| Arc::clone(&l.account)).collect();
    names.dedup();
    scene.agent.set_directory(Directory::new(names.iter().map(|n| trunk(n)).collect(), vec![], false));
    for name in &names {
        scene.agent.set_account(name, Some(login(&format!("{name}-auth"), "s3cret")), vec![]);
    }
    scene.agent.set_lines(scene.now, lines.to_vec());
    assert!(scene.sent().is_empty(), "nobody knows where the registrar is");
    for name in &names {
        scene.agent.set_trunk_hops(scene.now, name, vec![hop(PEER)]);
    }
    let sent = scene.sent();
    (scene, sent)
}

const ASKS: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\r\n";

/// The Contact that was asked for comes back with this interval.
fn granted(register: &str, seconds: u32) -> String {
    let contact = header(register, "Contact").unwrap().split_once('>').unwrap().0;
    response(register, 200, &format!("Contact: {contact}>;expires={seconds}\r\n"))
}

fn states(scene: &mut Scene) -> Vec<LineState> {
    let events = scene.events();
    events.iter().map(|e| if let SipEvent::Line(status) = e { status.state } else { panic!("{e:?}") }).collect()
}

#[test]
fn c5_a_line_registers_with_digest_and_refreshes_at_75_to_90_percent() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let first = sent.remove(0);
    assert!(first.starts_with("REGISTER sip:pbx.example SIP/2.0\r\n"), "{first}");
    assert!(header(&first, "From").unwrap().starts_with("<sip:100@pbx.example>;tag="));
    assert_eq!(header(&first, "To"), Some("<sip:100@pbx.example>"));
    assert!(header(&first, "Contact").unwrap().starts_with("<sip:100@10.0.0.1:5060;line="));
    assert_eq!(header(&first, "Expires"), Some("600"));
    let second = scene.hear(&response(&first, 401, ASKS)).remove(0);
    assert_eq!(param(header(&second, "Authorization").unwrap(), "username"), Some("pbx-auth"));
    assert_eq!((header(&second, "CSeq"), header(&second, "Call-ID")), (Some("2 REGISTER"), header(&first, "Call-ID")));
    assert!(scene.hear(&granted(&second, 100)).is_empty());
    assert_eq!(states(&mut scene), [LineState::Registering, LineState::Registered]);
    assert!(scene.pass(s(74)).is_empty());
    let refresh = scene.pass(s(17)).remove(0);
    assert_eq!(
        (header(&refresh, "CSeq"), header(&refresh, "Call-ID")),
        (Some("3 REGISTER"), header(&first, "Call-ID"))
    );
    assert_eq!(param(header(&refresh, "Authorization").unwrap(), "nc"), Some("00000002"), "unasked");
    assert_ne!(branch(&refresh), branch(&second));
    scene.hear(&granted(&refresh, 100));
    let status = scene.agent.lines().remove(0);
    assert_eq!((status.state, status.last_answer), (LineState::Registered, Some((200, "Text".to_owned()))));
    assert!(status.bound_until > Some(scene.now));
    assert!(states(&mut scene).is_empty(), "a refresh is no news");
}

#[test]
fn c5_an_interval_too_brief_is_lengthened() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let longer = scene.hear(&response(&sent.remove(0), 423, "Min-Expires: 3600\r\n")).remove(0);
    assert_eq!(header(&longer, "Expires"), Some("3600"));
    assert!(header(&longer, "Contact").unwrap().ends_with(";expires=3600"));
}

#[test]
fn a_registrar_that_is_silent_is_asked_again_and_again_and_recovers() {
    let (mut scene, _) = scene(&[line("pbx", "100")]);
    let sent = scene.pass(s(3600));
    let branches: std::collections::BTreeSet<_> = sent.iter().map(|m| branch(m)).collect();
    // 32 s each and waits of 1 s to 5 minutes between them.
    assert!((10..40).contains(&branches.len()), "{}", branches.len());
    assert_eq!(scene.agent.lines()[0].state, LineState::Failed);
    scene.pass(s(40));
    let last = (0..400).find_map(|_| scene.pass(s(1)).pop()).unwrap();
    scene.hear(&granted(&last, 600));
    assert_eq!(scene.agent.lines()[0].state, LineState::Registered);
    let sequence = |m: &String| header(m, "CSeq").unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(sent.windows(2).all(|w| sequence(&w[0]) <= sequence(&w[1])), "never backwards");
}

#[test]
fn a_wrong_password_is_not_tried_often() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let second = scene.hear(&response(&sent.remove(0), 401, ASKS)).remove(0);
    assert!(scene.hear(&response(&second, 401, &ASKS.replace("n1", "n2"))).is_empty());
    assert_eq!(scene.agent.lines()[0].last_answer.as_ref().unwrap().0, 401);
    assert!(scene.pass(s(220)).is_empty());
    assert!(!scene.pass(s(90)).is_empty(), "but it is tried: passwords get mended");
}

#[test]
fn c5_contact_changes_when_the_nat_does() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let behind = |message: String, seen: &str| {
        let (ip, port) = seen.split_once(':').unwrap();
        message.replacen(";rport;", &format!(";received={ip};rport={port};"), 1)
    };
    let first = sent.remove(0);
    let moved = scene.hear(&behind(granted(&first, 600), "203.0.113.7:41000"));
    assert_eq!(moved.len(), 1, "at once: {moved:#?}");
    let contacts = headers(&moved[0], "Contact");
    assert!(contacts[0].starts_with("<sip:100@203.0.113.7:41000;line=") && contacts[0].ends_with(";expires=600"));
    assert!(contacts[1].starts_with("<sip:100@10.0.0.1:5060;line=") && contacts[1].ends_with(";expires=0"));
    assert!(scene.hear(&behind(granted(&moved[0], 600), "203.0.113.7:41000")).is_empty(), "settled");
    assert_eq!(scene.agent.learnt_address("pbx").unwrap().to_string(), "203.0.113.7:41000");
    // The binding of the NAT changes: the next refresh tells.
    let refresh = (0..545).find_map(|_| scene.pass(s(1)).pop()).unwrap();
    let moved = scene.hear(&behind(granted(&refresh, 600), "203.0.113.7:52000"));
    assert!(header(&moved[0], "Contact").unwrap().starts_with("<sip:100@203.0.113.7:52000;line="));
    // Calls by the line say the same.
    let (_, invite) = scene.call();
    assert!(header(&invite, "Contact").unwrap().starts_with("<sip:100@203.0.113.7:52000;line="), "{invite}");
}

#[test]
fn c5_a_nat_that_changes_between_refreshes_is_found_by_any_answer() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let behind =
        |message: String, port: u16| message.replacen(";rport;", &format!(";received=203.0.113.7;rport={port};"), 1);
    let moved = scene.hear(&behind(granted(&sent.remove(0), 600), 41000)).remove(0);
    scene.hear(&behind(granted(&moved, 600), 41000));
    let ask = |scene: &mut Scene, port| {
        let options = OutOfDialog::new(Method::Options, "sip:pbx.example", vec![hop(PEER)], "<sip:100@pbx.example>");
        scene.agent.request(scene.now, &options).unwrap();
        let asked = scene.one();
        scene.hear(&behind(response(&asked, 200, ""), port));
        scene.pass(s(1))
    };
    assert!(ask(&mut scene, 41000).is_empty(), "nothing has changed");
    let moved = ask(&mut scene, 52000);
    let contacts = headers(&moved[0], "Contact");
    assert!(contacts[0].starts_with("<sip:100@203.0.113.7:52000;line="), "{moved:#?}");
    assert!(contacts[1].starts_with("<sip:100@203.0.113.7:41000;line=") && contacts[1].ends_with(";expires=0"));
    // While that is being asked, another answer changes nothing; a NAT that gives another port each time is followed a few
    // times and then with the refreshes only.
    assert!(ask(&mut scene, 53000).iter().all(|again| *again == moved[0]));
    scene.hear(&behind(granted(&moved[0], 600), 52000));
    let followed = (54000..54010).filter(|port| {
        ask(&mut scene, *port).pop().is_some_and(|m| {
            scene.hear(&behind(granted(&m, 600), *port));
            true
        })
    });
    assert!(followed.count() <= 2);
}

#[test]
fn a_configured_public_address_is_registered_from_the_start() {
    let config = LineConfig { public: Some("198.51.100.1".parse().unwrap()), ..line("pbx", "100") };
    let (mut scene, mut sent) = scene(&[config]);
    let first = sent.remove(0);
    assert!(header(&first, "Contact").unwrap().starts_with("<sip:100@198.51.100.1:5060;line="));
    let ok = granted(&first, 600).replacen(";rport;", ";received=203.0.113.7;rport=41000;", 1);
    assert!(scene.hear(&ok).is_empty(), "what the operator wrote is not corrected");
}

#[test]
fn the_service_route_is_taken_by_calls() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    let first = sent.remove(0);
    let contact = header(&first, "Contact").unwrap();
    let ok = response(&first, 200, &format!("Contact: {contact}\r\nService-Route: <sip:edge.example;lr>\r\n"));
    scene.hear(&ok);
    let (_, invite) = scene.call();
    assert_eq!(headers(&invite, "Route"), ["<sip:edge.example;lr>"]);
}

fn invite(uri: &str, to: &str, id: &str) -> String {
    let sdp = String::from_utf8_lossy(super::SDP).into_owned();
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
         From: \"Caller\" <sip:+4930555@pbx.example>;tag={id}\r\nTo: <{to}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{PEER}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

fn contact_uri(register: &str) -> String {
    header(register, "Contact").unwrap().split(['<', '>']).nth(1).unwrap().to_owned()
}

#[test]
fn c5_several_lines_on_one_socket_are_told_apart_and_the_number_is_in_to() {
    let (mut scene, sent) = scene(&[line("sales", "100"), line("support", "100")]);
    let uris: Vec<_> = sent.iter().map(|m| contact_uri(m)).collect();
    assert_eq!(uris.len(), 2);
    assert_ne!(uris[0], uris[1], "the same user at two trunks");
    for (uri, name) in uris.iter().zip(["sales", "support"]) {
        for (source, id) in [(PEER, "a"), ("203.0.113.44:5060", "b")] {
            let sent = scene.hear_from(source, &invite(uri, "sip:+4930123@pbx.example", &format!("{name}{id}")));
            assert!(sent[0].starts_with("SIP/2.0 100 "), "{sent:?}");
            let incoming = scene.events().into_iter().find(|e| matches!(e, SipEvent::Incoming { .. }));
            let Some(SipEvent::Incoming { identity, request_user, .. }) = incoming else { panic!("{name}") };
            assert_eq!(identity, Peer::Trunk(name.into()), "from {source}");
            assert_eq!(request_user, "+4930123", "our Contact says nothing; To does");
        }
    }
    // A token that is not ours, from nowhere: silence.
    let wrong = uris[0].replace("line=", "line=0");
    assert!(scene.hear_from("203.0.113.44:5060", &invite(&wrong, "sip:x@h", "w")).is_empty());
    assert!(scene.events().iter().all(|e| !matches!(e, SipEvent::Incoming { .. })));
}

#[test]
fn a_did_in_the_request_uri_stays() {
    let (mut scene, sent) = scene(&[line("pbx", "100")]);
    let uri = contact_uri(&sent[0]).replace("sip:100@", "sip:+4930777@");
    scene.hear(&invite(&uri, "sip:100@pbx.example", "d"));
    let incoming = scene.events().into_iter().find(|e| matches!(e, SipEvent::Incoming { .. }));
    let Some(SipEvent::Incoming { request_user, .. }) = incoming else { panic!() };
    assert_eq!(request_user, "+4930777");
}

#[test]
fn the_token_is_the_same_after_a_restart_with_the_same_key() {
    let token = |secret: Option<[u8; 32]>, seed| {
        let mut config = super::AgentConfig::new(super::US.parse().unwrap(), super::random(seed));
        config.secret = secret;
        let mut scene = Scene { agent: super::Agent::new(config), now: super::Tick(1) };
        scene.agent.set_lines(scene.now, vec![line("pbx", "100")]);
        scene.agent.set_trunk_hops(scene.now, "pbx", vec![hop(PEER)]);
        contact_uri(&scene.one())
    };
    assert_eq!(token(Some([7; 32]), 1), token(Some([7; 32]), 2));
    assert_ne!(token(None, 1), token(None, 2));
}

#[test]
fn c5_lines_are_unregistered_when_we_stop() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100"), line("never", "200")]);
    scene.hear(&granted(&sent.remove(0), 600));
    scene.agent.unregister(scene.now);
    let bye = scene.sent();
    assert_eq!(bye.len(), 1, "one waits for its first answer: {bye:#?}");
    assert_eq!(header(&bye[0], "Expires"), Some("0"));
    assert!(header(&bye[0], "Contact").unwrap().ends_with(";expires=0"));
    scene.hear(&response(&bye[0], 200, ""));
    scene.pass(s(33));
    assert!(scene.agent.lines().is_empty());
    assert_eq!(states(&mut scene).last(), Some(&LineState::Unregistered));
    scene.pass(s(40));
    assert!(scene.agent.is_quiescent());
}

#[test]
fn a_reload_keeps_lines_that_stay_and_drops_the_others() {
    let (mut scene, sent) = scene(&[line("a", "1"), line("b", "2")]);
    for register in &sent {
        scene.hear(&granted(register, 600));
    }
    scene.agent.set_lines(scene.now, vec![line("b", "2"), line("b", "3")]);
    let sent = scene.sent();
    let said: Vec<_> = sent.iter().map(|m| (header(m, "To").unwrap(), header(m, "Expires").unwrap())).collect();
    assert_eq!(said, [("<sip:1@pbx.example>", "0"), ("<sip:3@pbx.example>", "600")]);
    for register in &sent {
        scene.hear(&response(register, 200, "Expires: 600\r\n"));
    }
    let mut lines: Vec<_> = scene.agent.lines().into_iter().map(|l| (l.aor, l.state)).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let registered = |aor: &str| (aor.to_owned(), LineState::Registered);
    assert_eq!(lines, [registered("sip:2@pbx.example"), registered("sip:3@pbx.example")]);
}

#[test]
fn a_registrar_that_moves_is_registered_at_anew() {
    let (mut scene, mut sent) = scene(&[line("pbx", "100")]);
    scene.hear(&granted(&sent.remove(0), 600));
    scene.agent.set_trunk_hops(scene.now, "pbx", vec![hop(PEER)]);
    assert!(scene.sent().is_empty(), "nothing has changed");
    scene.agent.set_trunk_hops(scene.now, "pbx", vec![hop("10.0.0.10:5060"), hop(PEER)]);
    assert_eq!(scene.agent.poll_transmit().unwrap().hop, hop("10.0.0.10:5060"));
}
