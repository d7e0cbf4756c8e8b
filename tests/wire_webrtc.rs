//! Calls from browsers over real sockets: an offer by HTTP, checks, handshake, and a tone that comes back as it was said, while
//! strangers do what they can; and telephones whose keys come by DTLS.

mod browser;
mod rig;

use browser::{Browser, Reply, ask};
use callwright::rtp::Codec;
use rig::phone::Phone;
use rig::ua::purity;
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A machine that stands still for a while is no failure.
const LONG: Duration = Duration::from_secs(30);

fn offer(daemon: &Daemon, number: &str, sdp: &str) -> Reply {
    ask(daemon.http, "POST", &format!("/v1/webrtc?to={number}"), &[("Content-Type", "application/sdp")], sdp)
}

fn is_over(daemon: &Daemon, id: &str) -> bool {
    let (_, body) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the API answers");
    serde_json::from_str::<Value>(&body).is_ok_and(|record| !record["ended"].is_null())
}

/// The record of a call that is over.
fn record(daemon: &Daemon, id: &str) -> Value {
    let mut record = Value::Null;
    assert!(
        eventually(LONG, || {
            let (_, body) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the API answers");
            record = serde_json::from_str(&body).expect("JSON");
            !record["ended"].is_null()
        }),
        "{record}"
    );
    record
}

/// Talks until a tone has come back as it was said: what is still on the way from before, and what a machine that stood still
/// has lost, is not waited out by a clock.
fn hears_itself(line: &mut Browser, hz: f64) {
    let mut best = 0.0_f64;
    let begun = std::time::Instant::now();
    while best <= 0.8 && begun.elapsed() < LONG {
        best = best.max(purity(&line.talk(hz, 700), hz));
    }
    assert!(best > 0.8, "{hz} Hz: {best}");
}

/// Everything that somebody else can send to a port.
fn pester(port: SocketAddr) {
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48];
    hello.resize(73, 7);
    let rtp = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let check = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for _ in 0..20 {
        for datagram in [&hello[..], &rtp, &alert, &check, &[0; 30], &[63; 900], &[200; 100]] {
            // Its buffer may be full, which is one packet less.
            let _ = stranger.send_to(datagram, port);
        }
    }
}

#[test]
fn a_browser_calls_is_heard_moves_and_hangs_up() {
    let daemon = Daemon::start();
    // What pages need to know.
    let facts: Value = serde_json::from_str(&ask(daemon.http, "GET", "/v1/webrtc", &[], "").body).expect("JSON");
    assert_eq!(facts["ice_servers"], serde_json::json!([]));
    assert_eq!(facts["codecs"][0], "opus");

    for codec in [Codec::Opus, Codec::Pcma] {
        let mut browser = Browser::new(codec, true);
        let reply = offer(&daemon, "echo", &browser.offer());
        assert_eq!(reply.status, 201, "{}\n{}", reply.head, reply.body);
        assert_eq!(reply.field("content-type"), Some("application/sdp"));
        let path = reply.field("location").expect("a Location").to_owned();
        let id = path.strip_prefix("/v1/webrtc/").expect("of ours").to_owned();
        let tag = reply.field("etag").expect("an ETag").to_owned();
        let lines: Vec<&str> = reply.body.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!(lines.len(), 2, "{}", reply.body);
        assert!(lines[0].contains(" UDP/TLS/RTP/SAVPF ") && lines[1].starts_with("m=video 0 "), "{lines:?}");
        for said in ["a=ice-lite", "a=group:BUNDLE 0", "a=mid:0", "a=mid:1", "a=rtcp-mux", "a=setup:passive"] {
            assert!(reply.body.lines().any(|l| l == said), "{said} is missing: {}", reply.body);
        }
        assert!(!reply.body.contains("extmap") && !reply.body.contains("red/48000"), "{}", reply.body);

        // Strangers are there first, and stay.
        let line = reply.body.lines().find_map(|l| l.strip_prefix("m=audio ")).expect("a line");
        let early = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        pester(SocketAddr::from(([127, 0, 0, 1], early)));
        assert!(browser.connect(&reply.body, LONG), "no handshake:\n{}", daemon.log());
        assert_eq!(browser.shown.as_deref(), Browser::said(&reply.body, "a=fingerprint:sha-256 "));
        let port = browser.remote.expect("connected");
        hears_itself(&mut browser, 500.0);
        pester(port);
        hears_itself(&mut browser, 1100.0);
        assert_eq!(browser.foreign, 0);

        // A candidate is taken note of; of a session that is none it is not.
        let fragment = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 5 typ host\r\n",
            browser.creds.ufrag, browser.creds.pass
        );
        let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", &tag)], &fragment).status, 204);
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", "\"other\"")], &fragment).status, 412);
        // For which it is has to be said, and a weak tag says nothing (RFC 6585 section 3, RFC 9110 section 13.1.1).
        let missing = ask(daemon.http, "PATCH", &path, &[kind], &fragment);
        assert_eq!(missing.status, 428, "{}", missing.body);
        assert_eq!(missing.field("content-type"), Some("application/problem+json"));
        let weak = format!("W/{tag}");
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", &weak)], &fragment).status, 412);
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", "*")], "rubbish").status, 400);
        assert_eq!(ask(daemon.http, "PATCH", &path, &[("Content-Type", "text/plain")], &fragment).status, 415);
        // Another network.
        let before = fragment;
        let fragment = browser.restart();
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind], &fragment).status, 428, "a restart says * (RFC 9725)");
        let restarted = ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", "*")], &fragment);
        assert_eq!(restarted.status, 200, "{}", restarted.body);
        let fresh = restarted.field("etag").expect("an ETag").to_owned();
        assert_ne!(fresh, tag);
        // What comes late is of a session that is over; what comes by the new tag is not.
        let stale = ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", &tag)], &before);
        assert_eq!(stale.status, 412, "{}", stale.body);
        let late = format!("{fragment}a=candidate:1 1 udp 1 192.0.2.7 6 typ host\r\n");
        let either = format!("{tag}, {fresh}");
        assert_eq!(ask(daemon.http, "PATCH", &path, &[kind, ("If-Match", &either)], &late).status, 204);
        browser.restarted(&restarted.body);
        assert!(browser.find(LONG), "nobody answers the checks from there");
        // The daemon hears of the nomination a moment later than the browser thinks of it.
        hears_itself(&mut browser, 800.0);

        if codec == Codec::Opus {
            assert_eq!(ask(daemon.http, "DELETE", &path, &[], "").status, 200);
            assert!(browser.until_closed(LONG), "nobody says goodbye");
        } else {
            browser.close();
        }
        let record = record(&daemon, &id);
        assert_eq!(record["ended_by"], "caller_hung_up", "{record}");
        assert_eq!(record["app"], "echo");
        assert!(record["media"]["packets_received"].as_u64() > Some(80), "{record}");
        assert_eq!(ask(daemon.http, "DELETE", &path, &[], "").status, 404);
    }
}

#[test]
fn what_cannot_be_a_call_is_refused_in_words() {
    let daemon = Daemon::start_with(
        "[webrtc]\norigins = [\"https://shop.example\"]\n[[routes]]\nmatch = \"echo\"\napp = \"echo\"\n",
    );
    let good = Browser::new(Codec::Opus, true).offer();
    let sdp = ("Content-Type", "application/sdp");
    let post = |path: &str, fields: &[(&str, &str)], body: &str| ask(daemon.http, "POST", path, fields, body);
    for (status, reply) in [
        (415, post("/v1/webrtc", &[("Content-Type", "application/json")], &good)),
        (406, post("/v1/webrtc?to=echo", &[sdp, ("Accept", "text/html")], &good)),
        (400, post("/v1/webrtc?to=echo", &[sdp], "rubbish")),
        (400, post("/v1/webrtc?to=a%20b", &[sdp], &good)),
        (404, post("/v1/webrtc?to=nobody", &[sdp], &good)),
        (422, post("/v1/webrtc?to=echo", &[sdp], &good.replace("m=audio 9", "m=audio 0"))),
        // Without a certificate anybody could be the browser; in the clear it would be heard by all.
        (422, post("/v1/webrtc?to=echo", &[sdp], &good.replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"))),
        (422, post("/v1/webrtc?to=echo", &[sdp], &good.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"))),
        (403, post("/v1/webrtc?to=echo", &[sdp, ("Origin", "https://evil.example")], &good)),
        (404, ask(daemon.http, "DELETE", "/v1/webrtc/call_0000000000000001", &[], "")),
        (404, ask(daemon.http, "GET", "/v1/webrtc/call_0000000000000001/events", &[], "")),
    ] {
        assert_eq!(reply.status, status, "{}\n{}", reply.head, reply.body);
        assert_eq!(reply.field("content-type"), Some("application/problem+json"), "{}", reply.head);
        assert!(reply.body.contains("detail"), "{}", reply.body);
    }
    // Pages of an origin that is named may.
    let origin = ("Origin", "https://shop.example");
    let leave = ask(daemon.http, "OPTIONS", "/v1/webrtc", &[origin], "");
    assert_eq!((leave.status, leave.field("access-control-allow-origin")), (204, Some("https://shop.example")));
    let reply = post("/v1/webrtc?to=echo", &[sdp, origin], &good);
    assert_eq!((reply.status, reply.field("access-control-allow-origin")), (201, Some("https://shop.example")));

    // Another certificate than announced.
    let mut liar = Browser::new(Codec::Opus, true);
    let lie = liar.offer().replace(&liar.fingerprint, &Browser::new(Codec::Opus, true).fingerprint);
    let reply = offer(&daemon, "echo", &lie);
    assert_eq!(reply.status, 201);
    let id = reply.field("location").expect("a Location").trim_start_matches("/v1/webrtc/").to_owned();
    liar.connect(&reply.body, Duration::ZERO);
    liar.live_until(LONG, || is_over(&daemon, &id));
    let record = record(&daemon, &id);
    assert_eq!(record["ended_by"], "refused", "{record}");
    assert!(record["reason"].as_str().unwrap_or_default().contains("certificate"), "{record}");
}

#[test]
fn without_a_token_one_number_is_called_and_no_more_than_there_is_room_for() {
    let token = "0123456789abcdef";
    let bearer = ("Authorization", "Bearer 0123456789abcdef");
    let wrong = ("Authorization", "Bearer 0123456789abcdeg");
    let sdp = ("Content-Type", "application/sdp");
    let good = Browser::new(Codec::Opus, true).offer();
    let routes = "[[routes]]\nmatch = \"echo\"\napp = \"echo\"\n[[routes]]\nmatch = \"desk\"\napp = \"echo\"\n";
    for allowed in [true, false] {
        let more = format!("[webrtc]\nnumber = \"echo\"\nallow_anonymous = {allowed}\n{routes}");
        let set = [("CALLWRIGHT__HTTP__TOKEN", token), ("CALLWRIGHT__SIP__MAX_CALLS", "2")];
        let daemon = Daemon::start_set(&more, &set);
        let post = |path: &str, fields: &[(&str, &str)]| ask(daemon.http, "POST", path, fields, &good);
        assert_eq!(ask(daemon.http, "GET", "/v1/calls", &[], "").status, 401, "nothing else is open");
        assert_eq!(post("/v1/webrtc", &[sdp, wrong]).status, 401, "a wrong token is not none");
        let (own, other) = (post("/v1/webrtc", &[sdp]).status, post("/v1/webrtc?to=desk", &[sdp]).status);
        assert_eq!((own, other), if allowed { (201, 403) } else { (401, 401) });
        if !allowed {
            continue;
        }
        // A caller without a token follows and ends a call of a browser, and takes as much room as any.
        let second = post("/v1/webrtc?to=desk", &[sdp, bearer]);
        assert_eq!(second.status, 201, "{}", second.body);
        let full = post("/v1/webrtc", &[sdp]);
        assert_eq!(full.status, 503, "{}", full.body);
        assert!(full.body.contains("detail"), "{}", full.body);
        assert_eq!(ask(daemon.http, "DELETE", second.field("location").expect("a Location"), &[], "").status, 200);
        let again = eventually(LONG, || post("/v1/webrtc", &[sdp]).status == 201);
        assert!(again, "room again\n{}", daemon.log());
    }
}

#[test]
fn a_telephone_with_keys_by_dtls_is_heard() {
    let daemon = Daemon::start();
    for (setup, ours) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let phone = Phone::new(&daemon);
        let mut line = Browser::new(Codec::Pcmu, false);
        let (call, sdp) = (format!("dtls-{setup}"), line.phone_offer(setup));
        phone.send(phone.message("INVITE", "echo", &call, 1, "", &sdp).as_bytes());
        let (status, text) = phone.answer(200).expect("a final response");
        assert_eq!(status, 200, "{text}");
        let (head, answer) = text.split_once("\r\n\r\n").expect("a body");
        assert!(
            answer.contains(" UDP/TLS/RTP/SAVP 0") && !answer.contains("a=crypto") && !answer.contains("ice"),
            "{answer}"
        );
        assert_eq!(Browser::said(answer, "a=setup:"), Some(ours));
        let to = head.lines().find_map(|l| l.strip_prefix("To: ")).expect("a To");
        let tag = to.split_once("tag=").expect("a tag").1.trim().to_owned();
        phone.send(phone.message("ACK", "echo", &call, 1, &tag, "").as_bytes());
        // Where the daemon waits for a ClientHello, a stranger is first, with a certificate of its own.
        let mut stranger = Browser::new(Codec::Pcmu, false);
        let raced = ours == "passive" && stranger.connect(answer, Duration::from_secs(1));
        assert!(line.connect(answer, LONG), "{setup}: no handshake:\n{}", daemon.log());
        hears_itself(&mut line, 700.0);
        if raced {
            // For all that it knows it is in; nothing that it says is heard, and it hears nothing.
            let (at_line, at_stranger) = std::thread::scope(|scope| {
                let stranger = scope.spawn(|| stranger.talk(1900.0, 700));
                (line.talk(700.0, 700), stranger.join().expect("it talks"))
            });
            assert!(at_stranger.is_empty(), "{setup}: the stranger hears {} samples", at_stranger.len());
            assert!(purity(&at_line, 700.0) > 0.8, "{setup}: {}", purity(&at_line, 700.0));
        }
        assert_eq!(line.foreign, 0);
        // It never goes on in the clear, nor under other keys of the description's.
        let plain = sdp.replace("UDP/TLS/RTP/SAVP", "RTP/AVP");
        phone.send(phone.message("INVITE", "echo", &call, 2, &tag, &plain).as_bytes());
        let (status, text) = phone.answer(200).expect("a final response");
        assert_eq!(status, 488, "{text}");
        let ack = phone.message("ACK", "echo", &call, 2, &tag, "").replace("2ACK;rport", "2INVITE;rport");
        phone.send(ack.as_bytes());
        phone.bye("echo", &call, &tag);
    }
}
