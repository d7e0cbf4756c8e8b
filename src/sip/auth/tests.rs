//! Digest against the RFCs' examples, against itself, and against what peers really send.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::challenge::{Asker, Challenge, Protection, challenges};
use super::{Algorithm, Attempt, Authorization, Login, Password, Session, Verdict, Verifier};
use crate::limits;
use crate::sip::message::{Message, parse_datagram};
use crate::time::Tick;

const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn login(username: &str, password: &str) -> Login {
    Login { username: username.to_owned(), password: Password::new(password), realm: None }
}

fn response(lines: &str) -> Message {
    let text = format!("SIP/2.0 401 Unauthorized\r\n{lines}\r\n");
    parse_datagram(text.as_bytes()).unwrap()
}

fn one(line: &str) -> Challenge {
    let found = challenges(&response(&format!("WWW-Authenticate: {line}\r\n")), Asker::Server);
    assert_eq!(found.len(), 1, "{line}");
    found.into_iter().next().unwrap()
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let items = answer.strip_prefix("Digest ").unwrap().split(", ");
    items.filter_map(|i| i.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v.trim_matches('"'))
}

fn answered(challenge: &str, cnonce: &str, who: &Login, method: &str, uri: &str, body: &str) -> String {
    let mut session = Session::new(one(challenge), cnonce.to_owned());
    let covered = Authorization { method: method.as_bytes(), uri: uri.as_bytes(), body: body.as_bytes() };
    String::from_utf8(session.answer(who, &covered)).unwrap()
}

#[test]
fn rfc_2617_section_3_5() {
    let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
        opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let answer =
        answered(challenge, "0a4f113b", &login("Mufasa", "Circle Of Life"), "GET", "/dir/index.html", "ignored");
    assert_eq!(field(&answer, "response"), Some("6629fae49393a05397450978507c4ef1"));
    assert_eq!((field(&answer, "qop"), field(&answer, "nc")), (Some("auth"), Some("00000001")));
    assert_eq!(field(&answer, "opaque"), Some("5ccc069c403ebaf9f0171e9517f40e41"));
    assert_eq!(field(&answer, "algorithm"), None, "it was not named");
}

#[test]
fn rfc_2069_section_2_4_without_qop() {
    let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let answer = answered(challenge, "c", &login("Mufasa", "CircleOfLife"), "GET", "/dir/index.html", "");
    assert_eq!(field(&answer, "response"), Some("1949323746fe6a43ef61f9606e7febea"), "as corrected by its errata");
    assert_eq!((field(&answer, "qop"), field(&answer, "nc"), field(&answer, "cnonce")), (None, None, None));
}

#[test]
fn rfc_7616_section_3_9_1() {
    let who = login("Mufasa", "Circle of Life");
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = answered(&challenge, cnonce, &who, "GET", "/dir/index.html", "");
        assert_eq!(field(&answer, "response"), Some(expected));
        assert_eq!(field(&answer, "algorithm"), Some(algorithm));
    }
}

/// The response printed in RFC 7616 §3.9.2 is wrong (errata); this one and those of the next test are by another program.
#[test]
fn rfc_7616_section_3_9_2_with_another_character_set() {
    let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
        nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
    let who = login("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    let answer = answered(challenge, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm", &who, "GET", "/doe.json", "");
    assert_eq!(field(&answer, "response"), Some("7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c"));
}

#[test]
fn sessions_and_bodies() {
    for (algorithm, qop, expected) in [
        ("MD5-sess", "auth", "42a9e73eed03177153718dc7b6a3d9ae"),
        ("SHA-256-sess", "auth", "48589cf6ab5afe9fcc96ae7404b1ddcdadc3c5dd9e28d923e59a51bd61a1b1fe"),
        ("SHA-512-256-sess", "auth", "4f68abf85f0234be7d14f132d644ec25be04d3ff025f42f5ae9dfb23dd3d2b42"),
        ("MD5", "auth-int", "134ee3d0c408e43291e7f55615c2d2ef"),
        ("SHA-256", "auth-int", "316bcdbb489e00a0d170a46ecfca43892bc2c6afa1d2dc47b7a8fb11380d79e5"),
        ("SHA-512-256", "auth-int", "ce70db3c428711a8d1c6a3e23570a120af5321cad456b15e77e1a4bcc8b104d0"),
    ] {
        let challenge = format!(
            "Digest realm=\"biloxi.example\", nonce=\"84a4cc6f3082121f32b42a2187831a9e\", algorithm={algorithm}, qop=\"{qop}\""
        );
        let who = login("bob", "zanzibar");
        let answer = answered(&challenge, "0a4f113b", &who, "INVITE", "sip:bob@biloxi.example", "v=0\r\n");
        assert_eq!(field(&answer, "response"), Some(expected), "{algorithm} {qop}");
        assert_eq!(field(&answer, "qop"), Some(qop));
    }
}

#[test]
fn several_challenges_in_one_line_and_in_many() {
    let found = challenges(
        &response(
            "WWW-Authenticate: Digest realm=\"a, b\", nonce=\"1\", algorithm=MD5, Digest realm=\"a, b\",nonce=2 , algorithm=SHA-256,qop=\"auth\"\r\n\
             www-authenticate: NTLM, Negotiate dGVzdA==, digest  Realm = \"other\" ,nonce=\"3\",,opaque=\"\"\r\n\
             WWW-Authenticate: Digest realm=\"a, b\", nonce=\"4\", algorithm=SHA-999, qop=\"auth\"\r\n\
             WWW-Authenticate: Digest realm=\"c\", nonce=\"5\", qop=\"auth-conf\"\r\n\
             WWW-Authenticate: Digest realm=\"d\"\r\n\
             Proxy-Authenticate: Digest realm=\"p\", nonce=\"6\"\r\n",
        ),
        Asker::Server,
    );
    let seen: Vec<_> = found.iter().map(|c| (c.realm.as_slice(), c.nonce.as_slice(), c.algorithm)).collect();
    assert_eq!(
        seen,
        [(&b"a, b"[..], &b"2"[..], Algorithm::Sha256), (b"other", b"3", Algorithm::Md5),],
        "the strongest of each realm that we can answer"
    );
    let endless = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{}\"\r\n", "n".repeat(2000));
    assert!(challenges(&response(&endless), Asker::Server).is_empty(), "nobody needs such a nonce");
    assert_eq!(found[1].opaque.as_deref(), Some(&b""[..]), "an empty opaque is echoed, too");
}

#[test]
fn qop_lists_in_every_shape() {
    for (line, expected) in [
        ("Digest realm=\"r\", nonce=\"n\"", Protection::Legacy),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"", Protection::Request),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int, auth\"", Protection::Request),
        ("Digest realm=\"r\", nonce=\"n\", qop=auth", Protection::Request),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"AUTH\"", Protection::Request),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", Protection::Body),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"\"", Protection::Legacy),
        ("Digest realm=\"r\", nonce=\"n\", stale=TRUE, qop=\"token,auth\"", Protection::Request),
    ] {
        assert_eq!(one(line).protection, expected, "{line}");
    }
    assert!(one("Digest realm=\"r\", nonce=\"n\", stale=TRUE").stale);
    assert!(!one("Digest realm=\"r\", nonce=\"n\", stale=\"false\"").stale);
}

#[test]
fn what_was_quoted_is_echoed_octet_for_octet() {
    let challenge = "Digest realm=\"a \\\"b\\\" \\\\c\", nonce=\"x\\\"y\", opaque=\"<,>=\"";
    let mut session = Session::new(one(challenge), "c".into());
    let who = login("o\"b\\r\nX: ", "p");
    let answer = session.answer(&who, &Authorization { method: b"REGISTER", uri: b"sip:h", body: b"" });
    let text = String::from_utf8(answer).unwrap();
    assert!(
        text.starts_with("Digest username=\"o\\\"b\\\\rX: \", realm=\"a \\\"b\\\" \\\\c\", nonce=\"x\\\"y\", "),
        "{text}"
    );
    assert!(text.contains("opaque=\"<,>=\"") && !text.contains('\n'));
}

#[test]
fn nothing_prints_a_password() {
    let who = login("bob", "zanzibar");
    let verifier = Verifier::new([7; 32], "r", &[Algorithm::Md5], Duration::from_secs(1));
    for text in [format!("{who:?}"), format!("{:?}", who.password), format!("{verifier:?}")] {
        assert!(!text.contains("zanzibar") && !text.contains("7, 7"), "{text}");
    }
}

/// A registrar and a telephone that has its password.
struct Ends {
    verifier: Verifier,
    now: Tick,
}

const LIFETIME: Duration = Duration::from_secs(300);

impl Ends {
    fn new() -> Self {
        let verifier = Verifier::new([1; 32], "callwright", &[Algorithm::Sha256, Algorithm::Md5], LIFETIME);
        Self { verifier, now: Tick(1 << 40) }
    }

    fn session(&self, stale: bool) -> Session {
        let lines: String =
            self.verifier.ask(self.now, SOURCE, stale).into_iter().fold(String::new(), |all, value| {
                all + "WWW-Authenticate: " + &String::from_utf8(value).unwrap() + "\r\n"
            });
        let found = challenges(&response(&lines), Asker::Server);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].algorithm, found[0].stale), (Algorithm::Sha256, stale));
        Session::new(found.into_iter().next().unwrap(), "c0ffee".into())
    }

    fn check(&mut self, authorization: &str, source: IpAddr) -> Verdict {
        let text = format!("REGISTER sip:callwright SIP/2.0\r\nAuthorization: {authorization}\r\n\r\n");
        let request = parse_datagram(text.as_bytes()).unwrap();
        let covered = Authorization { method: b"REGISTER", uri: b"sip:callwright", body: b"" };
        let attempt = Attempt { request: &request, covered, source };
        self.verifier.check(self.now, &attempt, Asker::Server, |user| (user == "200").then(|| Password::new("s3cret")))
    }

    fn answer(session: &mut Session, who: &Login) -> String {
        let covered = Authorization { method: b"REGISTER", uri: b"sip:callwright", body: b"" };
        String::from_utf8(session.answer(who, &covered)).unwrap()
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted { username: "200".to_owned() }
}

#[test]
fn the_right_password_and_nothing_else_is_accepted() {
    let mut ends = Ends::new();
    let mut session = ends.session(false);
    let good = Ends::answer(&mut session, &login("200", "s3cret"));
    assert_eq!(ends.check(&good, SOURCE), accepted());
    for bad in [
        Ends::answer(&mut session, &login("200", "secret")),
        Ends::answer(&mut session, &login("201", "s3cret")),
        Ends::answer(&mut session, &login("200", "s3cret")).replace("sip:callwright\"", "sip:elsewhere\""),
        Ends::answer(&mut session, &login("200", "s3cret")).replace("SHA-256", "MD5"),
        Ends::answer(&mut session, &login("200", "s3cret")).replace("nc=0", "nc=g"),
        Ends::answer(&mut session, &login("200", "s3cret")).replace("qop=auth", "qop=auth-int"),
        Ends::answer(&mut session, &login("200", "s3cret")) + ", username=\"200\"",
        "Digest realm=\"callwright\"".to_owned(),
    ] {
        assert_eq!(ends.check(&bad, SOURCE), Verdict::Wrong, "{bad}");
    }
    for absent in ["Basic MjAwOnMzY3JldA==", "Digest realm=\"elsewhere\", username=\"200\""] {
        assert_eq!(ends.check(absent, SOURCE), Verdict::Ask { stale: false });
    }
}

#[test]
fn an_expired_nonce_is_stale_only_for_who_knows_the_password() {
    let mut ends = Ends::new();
    let mut session = ends.session(false);
    ends.now = ends.now + LIFETIME + Duration::from_millis(1);
    assert_eq!(ends.check(&Ends::answer(&mut session, &login("200", "s3cret")), SOURCE), Verdict::Ask { stale: true });
    assert_eq!(ends.check(&Ends::answer(&mut session, &login("200", "wrong")), SOURCE), Verdict::Wrong);
    let mut session = ends.session(true);
    assert_eq!(ends.check(&Ends::answer(&mut session, &login("200", "s3cret")), SOURCE), accepted());
}

#[test]
fn a_nonce_belongs_to_one_address_and_to_us() {
    let mut ends = Ends::new();
    let mut session = ends.session(false);
    let answer = Ends::answer(&mut session, &login("200", "s3cret"));
    assert_eq!(ends.check(&answer, "192.0.2.8".parse().unwrap()), Verdict::Ask { stale: true });
    assert_eq!(ends.check(&answer, "::ffff:192.0.2.7".parse().unwrap()), accepted(), "the same address");
    let mut forged = session.clone();
    forged.renew(b"00000100000000000000000000000000000000000000000000".to_vec());
    let answer = Ends::answer(&mut forged, &login("200", "s3cret"));
    assert_eq!(ends.check(&answer, SOURCE), Verdict::Ask { stale: true });
}

#[test]
fn a_count_is_taken_once_and_in_any_order_within_the_window() {
    let mut ends = Ends::new();
    let mut session = ends.session(false);
    let who = login("200", "s3cret");
    let answers: Vec<_> = (0..100).map(|_| Ends::answer(&mut session, &who)).collect();
    for n in [0, 2, 1, 5, 4, 3] {
        assert_eq!(ends.check(&answers[n], SOURCE), accepted(), "{n}");
        assert_eq!(ends.check(&answers[n], SOURCE), Verdict::Ask { stale: true }, "{n} again");
    }
    assert_eq!(ends.check(&answers[99], SOURCE), accepted());
    assert_eq!(ends.check(&answers[50], SOURCE), accepted(), "late, but within the window");
    assert_eq!(ends.check(&answers[20], SOURCE), Verdict::Ask { stale: true }, "too late to know");
}

#[test]
fn without_qop_a_nonce_is_good_for_one_request() {
    let mut ends = Ends::new();
    let value = String::from_utf8(ends.verifier.ask(ends.now, SOURCE, false).remove(1)).unwrap();
    let challenge = one(&value.replace(", qop=\"auth\"", ""));
    assert_eq!((challenge.algorithm, challenge.protection), (Algorithm::Md5, Protection::Legacy));
    let mut session = Session::new(challenge, "c".into());
    let answer = Ends::answer(&mut session, &login("200", "s3cret"));
    assert_eq!(ends.check(&answer, SOURCE), accepted());
    assert_eq!(ends.check(&answer, SOURCE), Verdict::Ask { stale: true });
}

#[test]
fn the_table_of_nonces_is_bounded_and_what_it_forgot_is_stale() {
    let mut ends = Ends::new();
    let who = login("200", "s3cret");
    let mut first = ends.session(false);
    assert_eq!(ends.check(&Ends::answer(&mut first, &who), SOURCE), accepted());
    for _ in 0..limits::SIP_NONCES_MAX {
        ends.now = ends.now + Duration::from_millis(1);
        let mut session = ends.session(false);
        assert_eq!(ends.check(&Ends::answer(&mut session, &who), SOURCE), accepted());
    }
    assert_eq!(ends.check(&Ends::answer(&mut first, &who), SOURCE), Verdict::Ask { stale: true });
    assert!(format!("{:?}", ends.verifier).contains(&format!("used: {}", limits::SIP_NONCES_MAX)));
    ends.now = ends.now + LIFETIME * 2;
    let mut session = ends.session(false);
    assert_eq!(ends.check(&Ends::answer(&mut session, &who), SOURCE), accepted());
    assert!(format!("{:?}", ends.verifier).contains("used: 1,"), "{:?}", ends.verifier);
}

proptest! {
    /// Whoever has the password gets in with every algorithm and every name; with another one nobody does.
    #[test]
    fn our_client_satisfies_our_server(
        algorithm in 0..Algorithm::ALL.len(), password in "\\PC{0,20}", other in "\\PC{0,20}", realm in "\\PC{0,12}",
    ) {
        let algorithm = Algorithm::ALL[algorithm];
        let mut verifier = Verifier::new([3; 32], &realm, &[algorithm], LIFETIME);
        let now = Tick(5);
        let value = verifier.ask(now, SOURCE, false).remove(0);
        let challenge = one(&String::from_utf8(value).unwrap());
        let mut session = Session::new(challenge, "cn".into());
        let covered = Authorization { method: b"INVITE", uri: b"sip:a@h", body: b"" };
        let who = login("ann", &password);
        let answer = String::from_utf8(session.answer(&who, &covered)).unwrap();
        let text = format!("INVITE sip:a@h SIP/2.0\r\nProxy-Authorization: {answer}\r\n\r\n");
        let request = parse_datagram(text.as_bytes()).unwrap();
        let attempt = Attempt { request: &request, covered, source: SOURCE };
        let mut check = |held: &str| verifier.check(now, &attempt, Asker::Proxy, |_| Some(Password::new(held)));
        if other != password {
            prop_assert_eq!(check(&other), Verdict::Wrong);
        }
        prop_assert_eq!(check(&password), Verdict::Accepted { username: "ann".to_owned() });
    }

    /// No input makes either side panic, and nothing unauthenticated is accepted.
    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..200), edit in any::<(usize, u8)>()) {
        crate::sip::fuzz::digest(&noise);
        let mut text = b"Digest username=\"200\", realm=\"callwright\", nonce=\"0\", uri=\"sip:callwright\", response=\"0\", qop=auth, nc=00000001, cnonce=\"x\"".to_vec();
        let at = edit.0 % text.len();
        text[at] = edit.1;
        crate::sip::fuzz::digest(&text);
    }
}
