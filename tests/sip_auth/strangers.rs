//! Whom we hear (research list C.1.13): strangers get silence, trunks are known by address, nobody learns who exists.

use callwright::sip::agent::{Agent, SipEvent};
use callwright::sip::auth::{Asker, Authorization, Session, challenges};
use callwright::sip::message::parse_datagram;
use callwright::sip::peer::{Directory, ExtensionIdentity, Peer, TrunkIdentity};

use super::{Scene, header, login, s};

fn request(method: &str, from: &str, id: &str, more: &str) -> String {
    format!(
        "{method} sip:300@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@10.0.0.1>;tag={id}\r\nTo: <sip:{from}@10.0.0.1>\r\nCall-ID: {id}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{from}@192.0.2.9:5060>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn extension(number: &str, networks: &[&str]) -> ExtensionIdentity {
    let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
    ExtensionIdentity { number: number.into(), login: login(number, "s3cret"), networks }
}

fn scene(trunks: Vec<TrunkIdentity>, extensions: Vec<ExtensionIdentity>) -> Scene {
    let mut scene = Scene::new();
    scene.agent.set_directory(Directory::new(trunks, extensions, false));
    scene
}

fn trunk(name: &str, network: &str) -> TrunkIdentity {
    TrunkIdentity { name: name.into(), networks: vec![network.parse().unwrap()], ..TrunkIdentity::default() }
}

fn identity(agent: &mut Agent) -> Option<Peer> {
    std::iter::from_fn(|| agent.poll_event()).find_map(|e| match e {
        SipEvent::Incoming { identity, .. } => Some(identity),
        _ => None,
    })
}

#[test]
fn c1_13_scanners_hear_nothing_whatever_they_send() {
    let mut scene = scene(vec![trunk("carrier", "198.51.100.0/24")], vec![extension("200", &[])]);
    for (n, method) in
        ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL", "X"].iter().enumerate()
    {
        for from in ["200", "sipvicious"] {
            let id = format!("{n}{from}");
            assert!(scene.hear_from("192.0.2.9:5060", &request(method, from, &id, "")).is_empty(), "{method}");
            assert!(
                scene.hear_from("192.0.2.9:5060", &request(method, from, &id, "Garbage\r\n")).is_empty(),
                "{method}"
            );
        }
    }
    assert!(scene.agent.is_quiescent(), "nor is anything kept");
    assert_eq!(scene.agent.status().dropped_source, 32);
}

#[test]
fn trunks_are_known_by_their_networks() {
    let mut scene = scene(vec![trunk("one", "198.51.100.0/30"), trunk("two", "2001:db8::/32")], vec![]);
    for (source, name) in [("198.51.100.3:9999", "one"), ("[2001:db8::7]:5060", "two")] {
        scene.hear_from(source, &request("INVITE", "+4930123", name, ""));
        assert_eq!(identity(&mut scene.agent), Some(Peer::Trunk(name.into())));
    }
    assert!(scene.hear_from("198.51.100.4:5060", &request("INVITE", "x", "n", "")).is_empty());
}

#[test]
fn a_trunk_that_has_to_prove_itself_is_asked() {
    let mut friend = trunk("friend", "192.0.2.0/24");
    friend.proves = Some(login("friend", "s3cret"));
    let mut scene = scene(vec![friend], vec![extension("200", &[])]);
    let asked = scene.hear_from("192.0.2.9:5060", &request("INVITE", "x", "a", "")).remove(0);
    assert!(asked.starts_with("SIP/2.0 401 "), "{asked}");
    // An extension's password is not the trunk's.
    for (user, expected) in [("200", None), ("friend", Some(Peer::Trunk("friend".into())))] {
        let mut session =
            Session::new(challenges(&parse_datagram(asked.as_bytes()).unwrap(), Asker::Server).remove(0), "c".into());
        let covered = Authorization { method: b"INVITE", uri: b"sip:300@10.0.0.1", body: b"" };
        let proof = String::from_utf8(session.answer(&login(user, "s3cret"), &covered)).unwrap();
        scene.hear_from("192.0.2.9:5060", &request("INVITE", "x", user, &format!("Authorization: {proof}\r\n")));
        assert_eq!(identity(&mut scene.agent), expected, "{user}");
    }
}

#[test]
fn an_unknown_user_is_answered_as_a_wrong_password_is() {
    let mut scene = scene(vec![], vec![extension("200", &["192.0.2.0/24"])]);
    let mut answers = Vec::new();
    for (n, from) in ["200", "999"].iter().enumerate() {
        let asked = scene.hear_from("192.0.2.9:5060", &request("REGISTER", from, &format!("a{n}"), "")).remove(0);
        let mut session =
            Session::new(challenges(&parse_datagram(asked.as_bytes()).unwrap(), Asker::Server).remove(0), "c".into());
        let covered = Authorization { method: b"REGISTER", uri: b"sip:300@10.0.0.1", body: b"" };
        let proof = String::from_utf8(session.answer(&login(from, "wrong"), &covered)).unwrap();
        let more = format!("Authorization: {proof}\r\n");
        let refused = scene.hear_from("192.0.2.9:5060", &request("REGISTER", from, &format!("b{n}"), &more)).remove(0);
        let shape = |m: &str| m.lines().map(|l| l.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
        answers.push((refused.lines().next().unwrap().to_owned(), shape(&refused)));
    }
    assert_eq!(answers[0], answers[1], "nobody learns which numbers there are");
}

#[test]
fn whether_we_are_there_is_told_to_known_sources_only() {
    let mut scene = scene(vec![trunk("carrier", "198.51.100.0/24")], vec![extension("200", &[])]);
    for (source, answered) in [("198.51.100.1:5060", true), ("10.0.0.77:5060", true), ("192.0.2.9:5060", false)] {
        let sent = scene.hear_from(source, &request("OPTIONS", "x", source, ""));
        assert_eq!(sent.first().is_some_and(|m| m.starts_with("SIP/2.0 200 ")), answered, "{source}");
    }
}

#[test]
fn where_nobody_may_register_register_is_refused() {
    let mut scene = Scene::new();
    let refused = scene.hear_from("10.0.0.9:5060", &request("REGISTER", "200", "r", "")).remove(0);
    assert!(refused.starts_with("SIP/2.0 405 ") && header(&refused, "Allow").is_some(), "{refused}");
}

#[test]
fn challenges_are_rationed_per_source() {
    let mut scene = scene(vec![], vec![extension("200", &["192.0.2.0/24"])]);
    let asked = (0..300).filter(|n| {
        let sent = scene.hear_from("192.0.2.9:5060", &request("REGISTER", "200", &format!("f{n}"), ""));
        !sent.is_empty()
    });
    assert_eq!(asked.count(), 100, "a flood is not amplified");
    scene.pass(s(2));
    assert!(!scene.hear_from("192.0.2.9:5060", &request("REGISTER", "200", "later", "")).is_empty());
    assert!(!scene.hear_from("192.0.2.10:5060", &request("REGISTER", "200", "other", "")).is_empty());
}
