//! RFC 3261 §22: a peer asks for a password.

use callwright::sip::agent::{EndedBy, LegId, OutOfDialog, SipEvent};
use callwright::sip::auth::Login;
use callwright::sip::message::Method;

use super::{PEER, Scene, answer, branch, header, headers, hop, login, param, response, s};

const PROXY: &str = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth,auth-int\", opaque=\"o;p\"\r\n";
const SERVER: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n";

/// A call that is up: INVITE challenged and accepted.
fn connected(scene: &mut Scene, contact: &str) -> LegId {
    let (leg, invite) = scene.call();
    let again = scene.hear(&response(&invite, 407, PROXY)).pop().unwrap();
    assert!(scene.hear(&answer(&again, contact))[0].starts_with("ACK "));
    assert!(matches!(scene.events()[..], [SipEvent::Accepted { .. }]));
    leg
}

#[test]
fn c1_8_a_challenged_invite_is_repeated_once_with_credentials() {
    let mut scene = Scene::with_account();
    let (leg, invite) = scene.call();
    assert_eq!(header(&invite, "Proxy-Authorization"), None, "nobody has asked");
    let sent = scene.hear(&response(&invite, 407, PROXY));
    assert_eq!(sent.len(), 2, "{sent:#?}");
    let (ack, again) = (&sent[0], &sent[1]);
    assert!(
        ack.starts_with("ACK ") && branch(ack) == branch(&invite),
        "the refusal is acknowledged by its transaction"
    );
    assert_ne!(branch(again), branch(&invite));
    assert_eq!((header(&invite, "CSeq"), header(again, "CSeq")), (Some("1 INVITE"), Some("2 INVITE")));
    for same in ["Call-ID", "From", "To", "Contact", "Content-Type", "Max-Forwards"] {
        assert_eq!(header(again, same), header(&invite, same), "{same}");
    }
    assert_eq!(again.split_once("\r\n\r\n").unwrap().1, invite.split_once("\r\n\r\n").unwrap().1);
    let proof = header(again, "Proxy-Authorization").unwrap();
    assert_eq!(param(proof, "username"), Some("auth-me"), "not the user of From");
    assert_eq!((param(proof, "uri"), param(proof, "opaque")), (Some("sip:bob@pbx.example"), Some("o;p")));
    assert_eq!((param(proof, "qop"), param(proof, "nc")), (Some("auth"), Some("00000001")));
    assert!(!again.contains("s3cret"));
    // The challenge comes again because its ACK was lost: acknowledged, not answered.
    let repeats = scene.hear(&response(&invite, 407, PROXY));
    assert!(repeats.len() == 1 && repeats[0].starts_with("ACK "), "{repeats:#?}");
    // 2xx: the ACK has what its INVITE had (§22.1).
    let acks = scene.hear(&answer(again, "sip:bob@10.0.0.9:5060"));
    assert!(acks[0].starts_with("ACK ") && header(&acks[0], "CSeq") == Some("2 ACK"));
    assert_eq!(header(&acks[0], "Proxy-Authorization"), Some(proof));
    assert!(matches!(scene.events()[..], [SipEvent::Accepted { leg: l, .. }] if l == leg));
}

#[test]
fn a_wrong_password_is_a_refusal_and_is_not_tried_again() {
    let mut scene = Scene::with_account();
    let (leg, invite) = scene.call();
    let again = scene.hear(&response(&invite, 401, SERVER)).pop().unwrap();
    let sent = scene.hear(&response(&again, 401, &SERVER.replace("n1", "n2")));
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:#?}");
    assert!(matches!(scene.events()[..], [SipEvent::Refused { leg: l, code: 401, .. }] if l == leg));
    let (_, next) = scene.call();
    assert_eq!(header(&next, "Authorization"), None, "what failed is not offered unasked");
}

#[test]
fn c1_8_stale_is_retried_once() {
    let mut scene = Scene::with_account();
    let (_, invite) = scene.call();
    let stale = |nonce: &str| SERVER.replace("n1", nonce).replace("qop", "stale=TRUE, qop");
    let second = scene.hear(&response(&invite, 401, SERVER)).pop().unwrap();
    let third = scene.hear(&response(&second, 401, &stale("n2"))).pop().unwrap();
    assert_eq!(header(&third, "CSeq"), Some("3 INVITE"));
    let proofs = headers(&third, "Authorization");
    assert!(proofs.len() == 1 && param(proofs[0], "nonce") == Some("n2"), "{proofs:?}");
    let sent = scene.hear(&response(&third, 401, &stale("n3")));
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "));
    assert!(matches!(scene.events()[..], [SipEvent::Refused { code: 401, .. }]));
}

#[test]
fn c1_8_of_several_challenges_the_strongest_of_our_realm_is_answered() {
    let mut scene = Scene::new();
    let only = Login { realm: Some("3CXPhoneSystem".to_owned()), ..login("auth-id", "s3cret") };
    scene.agent.set_account("pbx", Some(only), vec![]);
    let (_, invite) = scene.call();
    let challenges = "WWW-Authenticate: Digest realm=\"3CXPhoneSystem\", nonce=\"m\", algorithm=MD5\r\n\
        WWW-Authenticate: Digest realm=\"3CXPhoneSystem\", nonce=\"s\", algorithm=SHA-256, qop=\"auth\", Digest realm=\"elsewhere\", nonce=\"e\"\r\n";
    let again = scene.hear(&response(&invite, 401, challenges)).pop().unwrap();
    let proofs = headers(&again, "Authorization");
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    assert_eq!((param(proofs[0], "nonce"), param(proofs[0], "algorithm")), (Some("s"), Some("SHA-256")));
    let mut scene = Scene::new();
    scene.agent.set_account("pbx", Some(Login { realm: Some("another".to_owned()), ..login("x", "y") }), vec![]);
    let (_, invite) = scene.call();
    scene.hear(&response(&invite, 401, challenges));
    assert!(matches!(scene.events()[..], [SipEvent::Refused { code: 401, .. }]), "no password for these realms");
}

#[test]
fn c5_3cx_asks_without_qop_in_its_own_realm_for_an_id_that_is_no_extension() {
    let mut scene = Scene::with_account();
    let (_, invite) = scene.call();
    let challenge = "Proxy-Authenticate: Digest nonce=\"414d535c0b\",algorithm=MD5,realm=\"3CXPhoneSystem\"\r\n";
    let again = scene.hear(&response(&invite, 407, challenge)).pop().unwrap();
    let proof = header(&again, "Proxy-Authorization").unwrap();
    assert_eq!((param(proof, "username"), param(proof, "realm")), (Some("auth-me"), Some("3CXPhoneSystem")));
    assert_eq!((param(proof, "qop"), param(proof, "nc"), param(proof, "cnonce")), (None, None, None));
    assert_eq!(param(proof, "response").map(str::len), Some(32));
    assert!(header(&again, "From").unwrap().contains("sip:100@"));
}

#[test]
fn a_proxy_and_a_server_are_both_answered() {
    let mut scene = Scene::with_account();
    let (_, invite) = scene.call();
    let second = scene.hear(&response(&invite, 407, PROXY)).pop().unwrap();
    let third = scene.hear(&response(&second, 401, &SERVER.replace("\"pbx\"", "\"inner\""))).pop().unwrap();
    let (outer, inner) = (header(&third, "Proxy-Authorization").unwrap(), header(&third, "Authorization").unwrap());
    assert_eq!((param(outer, "realm"), param(inner, "realm")), (Some("pbx"), Some("inner")));
    assert_eq!((param(outer, "nc"), param(inner, "nc")), (Some("00000002"), Some("00000001")));
}

#[test]
fn c1_8_bye_is_challenged_and_repeated_within_the_dialog() {
    let mut scene = Scene::with_account();
    let leg = connected(&mut scene, "sip:bob@10.0.0.9:5060");
    scene.agent.hang_up(scene.now, leg, None).unwrap();
    let bye = scene.one();
    assert_eq!(header(&bye, "CSeq"), Some("3 BYE"));
    let proof = header(&bye, "Proxy-Authorization").unwrap();
    assert_eq!(param(proof, "nc"), Some("00000002"), "unasked, with the nonce that is known");
    let again = scene.hear(&response(&bye, 407, &PROXY.replace("qop", "stale=true, qop").replace("n1", "n2"))).pop();
    let again = again.expect("repeated");
    assert_eq!(header(&again, "CSeq"), Some("4 BYE"));
    assert_eq!(param(header(&again, "Proxy-Authorization").unwrap(), "nonce"), Some("n2"));
    scene.hear(&response(&again, 200, ""));
    assert!(matches!(scene.events()[..], [SipEvent::Ended { by: EndedBy::Local, .. }]));
}

#[test]
fn a_challenge_is_answered_only_where_the_request_was_placed_to() {
    let mut scene = Scene::with_account();
    // The peer's Contact leads elsewhere, within the private network.
    let leg = connected(&mut scene, "sip:bob@10.0.0.66:5060");
    scene.agent.hang_up(scene.now, leg, None).unwrap();
    let bye = scene.agent.poll_transmit().unwrap();
    assert_eq!(bye.hop.address.to_string(), "10.0.0.66:5060");
    let bye = String::from_utf8(bye.bytes).unwrap();
    assert_eq!(header(&bye, "Proxy-Authorization"), None, "it gets no proof unasked");
    assert!(scene.hear_from("10.0.0.66:5060", &response(&bye, 401, SERVER)).is_empty(), "nor asked");
    assert!(matches!(scene.events()[..], [SipEvent::Ended { .. }]));
}

#[test]
fn without_an_account_a_challenge_is_a_refusal() {
    let mut scene = Scene::with_account();
    let leg = scene.agent.invite(scene.now, "sip:bob@pbx", PEER.parse().unwrap(), "<sip:a@h>", super::SDP).unwrap();
    let invite = scene.one();
    let sent = scene.hear(&response(&invite, 407, PROXY));
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "));
    assert!(matches!(scene.events()[..], [SipEvent::Refused { leg: l, code: 407, .. }] if l == leg));
    // Nor does an account that was taken away answer.
    scene.agent.set_account("pbx", None, vec![]);
    let (_, invite) = scene.call();
    scene.hear(&response(&invite, 407, PROXY));
    assert!(matches!(scene.events()[..], [SipEvent::Refused { code: 407, .. }]));
}

#[test]
fn a_call_that_was_given_up_is_not_repeated() {
    let mut scene = Scene::with_account();
    let (leg, invite) = scene.call();
    scene.agent.hang_up(scene.now, leg, None).unwrap();
    assert!(scene.sent().is_empty(), "CANCEL waits for a response");
    let sent = scene.hear(&response(&invite, 407, PROXY));
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:#?}");
    assert!(matches!(scene.events()[..], [SipEvent::Ended { by: EndedBy::Local, .. }]));
}

#[test]
fn cancel_waits_for_the_repeated_invite_and_is_never_repeated_itself() {
    let mut scene = Scene::with_account();
    let (leg, invite) = scene.call();
    scene.hear(&response(&invite, 100, ""));
    let again = scene.hear(&response(&invite, 407, PROXY)).pop().unwrap();
    scene.agent.hang_up(scene.now, leg, None).unwrap();
    assert!(scene.sent().is_empty(), "the repeated INVITE has not been answered at all");
    let cancel = scene.hear(&response(&again, 180, "")).pop().unwrap();
    assert!(cancel.starts_with("CANCEL ") && branch(&cancel) == branch(&again));
    assert_eq!(header(&cancel, "CSeq"), Some("2 CANCEL"));
    assert!(scene.hear(&response(&cancel, 401, SERVER)).is_empty(), "CANCEL cannot be repeated");
    scene.hear(&response(&again, 487, ""));
    assert!(matches!(scene.events()[..], [SipEvent::Ended { by: EndedBy::Local, .. }]));
    scene.pass(s(40));
    assert!(scene.agent.is_quiescent());
}

#[test]
fn requests_outside_of_dialogs_are_answered_for_and_later_ones_bring_the_proof() {
    let mut scene = Scene::with_account();
    let mut options = OutOfDialog::new(Method::Options, "sip:pbx.example", vec![hop(PEER)], "<sip:us@10.0.0.1>");
    options.account = Some("pbx".into());
    let request = scene.agent.request(scene.now, &options).unwrap();
    let first = scene.one();
    let second = scene.hear(&response(&first, 401, SERVER)).pop().unwrap();
    assert!(scene.events().is_empty(), "the challenge is not the answer");
    scene.hear(&response(&second, 200, "Allow: INVITE\r\nAuthentication-Info: nextnonce=\"n9\"\r\n"));
    let events = scene.events();
    let [SipEvent::Response { request: r, response: got }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*r, got.code, got.from_peer), (request, 200, true));
    assert!(got.headers.contains(&("Allow".to_owned(), "INVITE".to_owned())));
    scene.agent.request(scene.now, &options).unwrap();
    let third = scene.one();
    let proof = header(&third, "Authorization").expect("unasked");
    assert_eq!((param(proof, "nonce"), param(proof, "nc")), (Some("n9"), Some("00000001")), "as the peer named it");
}

/// Whether a peer is there is asked of many: only the one whose account the question names is shown a proof, and once.
#[test]
fn a_question_is_answered_for_once_and_only_with_the_account_that_it_names() {
    let mut scene = Scene::with_account();
    let mut options = OutOfDialog::new(Method::Options, "sip:pbx.example", vec![hop(PEER)], "<sip:us@10.0.0.1>");
    let outcome = |scene: &mut Scene| match &scene.events()[..] {
        [SipEvent::Response { response, .. }] => (response.code, response.from_peer),
        others => panic!("{others:?}"),
    };
    for challenge in [(401, SERVER), (407, PROXY)] {
        options.account = None;
        scene.agent.request(scene.now, &options).unwrap();
        let first = scene.one();
        assert_eq!((header(&first, "Authorization"), header(&first, "Proxy-Authorization")), (None, None));
        assert!(scene.hear(&response(&first, challenge.0, challenge.1)).is_empty(), "it names no account");
        assert_eq!(outcome(&mut scene), (challenge.0, true));

        options.account = Some("pbx".into());
        scene.agent.request(scene.now, &options).unwrap();
        let first = scene.one();
        let proved = scene.hear(&response(&first, challenge.0, challenge.1)).pop().unwrap();
        assert!(proved.starts_with("OPTIONS ") && proved.contains("response=\""), "{proved}");
        let again = challenge.1.replace("n1", "n2");
        assert!(scene.hear(&response(&proved, challenge.0, &again)).is_empty(), "the password is wrong there");
        assert_eq!(outcome(&mut scene), (challenge.0, true));

        options.account = Some("elsewhere".into());
        scene.agent.request(scene.now, &options).unwrap();
        let first = scene.one();
        assert!(scene.hear(&response(&first, challenge.0, challenge.1)).is_empty(), "there is no such account");
        assert_eq!(outcome(&mut scene), (challenge.0, true));
    }
}

#[test]
fn a_request_goes_to_the_next_hop_and_is_told_when_nobody_answers() {
    let mut scene = Scene::new();
    let hops = vec![hop("10.0.0.7:5060"), hop("10.0.0.8:5060")];
    let options = OutOfDialog::new(Method::Options, "sip:pbx.example", hops, "<sip:us@10.0.0.1>");
    let request = scene.agent.request(scene.now, &options).unwrap();
    assert_eq!(scene.agent.poll_transmit().unwrap().hop, hop("10.0.0.7:5060"));
    scene.agent.handle_transport_failed(scene.now, &hop("10.0.0.7:5060"));
    assert_eq!(scene.agent.poll_transmit().unwrap().hop, hop("10.0.0.8:5060"));
    scene.pass(s(40));
    let events = scene.events();
    let [SipEvent::Response { request: r, response: got }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*r, got.code, got.from_peer), (request, 408, false));
    assert!(scene.agent.is_quiescent());
    let nowhere = OutOfDialog::new(Method::Options, "sip:pbx.example", vec![], "<sip:us@10.0.0.1>");
    assert!(scene.agent.request(scene.now, &nowhere).is_err());
    let invite = OutOfDialog::new(Method::Invite, "sip:pbx.example", vec![hop(PEER)], "<sip:us@10.0.0.1>");
    assert!(scene.agent.request(scene.now, &invite).is_err(), "that makes a dialog");
}

/// RFC 4028 §7.4 between two challenges: whoever asks for the password may find the interval too small as well.
#[test]
fn too_small_an_interval_and_a_password_are_mended_in_one_call() {
    let mut scene = Scene::with_account();
    let (leg, invite) = scene.call();
    let proved = scene.hear(&response(&invite, 407, PROXY)).pop().unwrap();
    let longer = scene.hear(&response(&proved, 422, "Min-SE: 3600\r\n")).pop().unwrap();
    assert!(header(&longer, "Proxy-Authorization").is_some(), "unasked: {longer}");
    assert_eq!((header(&longer, "CSeq"), header(&longer, "Session-Expires")), (Some("3 INVITE"), Some("3600")));
    // A stale nonce meanwhile, and the interval stays.
    let again =
        scene.hear(&response(&longer, 407, &PROXY.replace("nonce=\"", "stale=true, nonce=\"new-"))).pop().unwrap();
    assert!(again.starts_with("INVITE ") && header(&again, "Session-Expires") == Some("3600"), "{again}");
    assert_eq!(header(&again, "CSeq"), Some("4 INVITE"));
    let ack = scene.hear(&answer(&again, "sip:bob@10.0.0.9")).pop().unwrap();
    assert!(ack.starts_with("ACK ") && header(&ack, "Proxy-Authorization").is_some(), "{ack}");
    assert!(matches!(&scene.events()[..], [SipEvent::Accepted { leg: l, .. }] if *l == leg));
}
