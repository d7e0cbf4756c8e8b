//! Lives of calls that do not go by the book: given up, held, moved, cut short by either side or by the service manager.
//! After each the daemon has let go of everything and says truly what became of the call.

mod rig;

use rig::phone::Phone;
use rig::{Daemon, eventually, get, request, signal};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The calls of this moment and the records, newest first.
fn calls(daemon: &Daemon) -> (Vec<Value>, Vec<Value>) {
    let (status, body) = get(daemon.http, "/v1/calls").expect("/v1/calls answers");
    assert_eq!(status, 200);
    let json: Value = serde_json::from_str(&body).expect("JSON");
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    (list("live"), list("items"))
}

/// Waits until no call is up and returns how the newest ended.
fn end_of_newest(daemon: &Daemon) -> String {
    assert!(
        eventually(Duration::from_secs(5), || {
            let (live, records) = calls(daemon);
            live.is_empty() && records.first().is_some_and(|r| r["ended_by"].is_string())
        }),
        "{:?}\n{}",
        calls(daemon),
        daemon.log()
    );
    calls(daemon).1[0]["ended_by"].as_str().unwrap_or_default().to_owned()
}

fn tag_of(answer: &str) -> String {
    let to = answer.lines().find(|l| l.to_ascii_lowercase().starts_with("to:")).unwrap_or_default();
    to.split_once("tag=").map_or(String::new(), |(_, tag)| tag.trim().to_owned())
}

fn media_port(answer: &str) -> u16 {
    let line = answer.lines().find_map(|l| l.strip_prefix("m=audio ")).unwrap_or_default();
    line.split(' ').next().and_then(|p| p.parse().ok()).unwrap_or(0)
}

/// Whether the daemon sends a request of this method within three seconds.
fn is_sent(phone: &Phone, method: &str) -> bool {
    let mut buffer = [0; 4096];
    while let Ok(n) = phone.socket.recv(&mut buffer) {
        if buffer[..n].starts_with(method.as_bytes()) {
            return true;
        }
    }
    false
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0x31; 160]);
    packet
}

/// Whether what is sent from `socket` comes back to it.
fn echoes(socket: &UdpSocket, port: u16, first: u16) -> bool {
    let mut buffer = [0; 2048];
    (first..first + 8).any(|n| {
        socket.send_to(&packet(n), ("127.0.0.1", port)).expect("loopback takes it");
        socket.recv(&mut buffer).is_ok_and(|n| n == 172)
    })
}

/// Packets that came within `time`.
fn arriving(socket: &UdpSocket, time: Duration) -> usize {
    let (until, mut count, mut buffer) = (Instant::now() + time, 0, [0; 2048]);
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).expect("a timeout");
        count += usize::from(socket.recv(&mut buffer).is_ok());
    }
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    count
}

fn reinvite(phone: &Phone, user: &str, call: &str, cseq: u32, tag: &str, sdp: &str) -> (u16, String) {
    phone.send(phone.message("INVITE", user, call, cseq, tag, sdp).as_bytes());
    let answer = phone.answer(200).expect("a final response");
    phone.send(phone.message("ACK", user, call, cseq, tag, "").as_bytes());
    answer
}

#[test]
fn who_gives_up_at_once_leaves_nothing() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (_, tag, _) = phone.call("300", "warm");
    phone.bye("300", "warm", &tag);
    std::thread::sleep(Duration::from_millis(500));
    let before = daemon.resources();
    for n in 0..20 {
        let (user, call) = (if n % 2 == 0 { "echo" } else { "300" }, format!("gone{n}"));
        let invite = phone.message("INVITE", user, &call, 1, "", &phone.sdp());
        let branch = |text: &str| text.split_once("branch=").and_then(|(_, b)| b.split(';').next()).map(str::to_owned);
        let cancel = phone.message("CANCEL", user, &call, 1, "", "");
        let cancel = cancel.replace(&branch(&cancel).expect("a branch"), &branch(&invite).expect("a branch"));
        phone.send(invite.as_bytes());
        phone.send(cancel.as_bytes());
        // 200 for the CANCEL, and for the INVITE 487, or 200 when the answer was faster; then the caller hangs up.
        let mut finals = [phone.answer(200), phone.answer(200)].into_iter().flatten();
        let invited = finals.find(|(_, text)| text.contains(" INVITE\r\n")).expect("the INVITE is answered");
        let tag = tag_of(&invited.1);
        phone.send(phone.message("ACK", user, &call, 1, &tag, "").as_bytes());
        if invited.0 == 200 {
            phone.bye(user, &call, &tag);
        } else {
            assert_eq!(invited.0, 487);
        }
    }
    // All of them: a call whose task has not run yet is neither up nor in the records.
    let ended = || {
        let (live, records) = calls(&daemon);
        live.is_empty() && records.len() == 21 && records.iter().all(|r| r["ended_by"].is_string())
    };
    assert!(eventually(Duration::from_secs(5), ended), "{}", daemon.log());
    // A thread that read the store for the control API, as asked above, lives ten seconds more.
    assert!(
        eventually(Duration::from_secs(20), || {
            let now = daemon.resources();
            now.0 <= before.0 + 1 && now.1 <= before.1 + 2
        }),
        "{before:?} before, {:?} after",
        daemon.resources()
    );
    let (_, records) = calls(&daemon);
    for record in &records {
        let by = record["ended_by"].as_str();
        assert!(by == Some("cancelled") || by == Some("caller_hung_up"), "{record}");
        assert_eq!(by == Some("cancelled"), record["answered"].is_null(), "answered or cancelled, not both: {record}");
    }
}

#[test]
fn a_bye_before_the_ack_ends_the_call() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    phone.send(phone.message("INVITE", "300", "early", 1, "", &phone.sdp()).as_bytes());
    let (status, text) = phone.answer(200).expect("a final response");
    assert_eq!(status, 200);
    assert!(daemon.metric("calls_active") > 0.5);
    phone.bye("300", "early", &tag_of(&text));
    assert_eq!(end_of_newest(&daemon), "caller_hung_up");
    assert!(daemon.metric("calls_active") < 0.5);
    assert!((daemon.metric("calls_ended_total") - 1.0).abs() < 0.5);
}

#[test]
fn what_sip_drops_and_refuses_is_counted() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    phone.send(b"this is no SIP\r\n\r\n");
    let broken =
        phone.message("INVITE", "300", "broken", 1, "", &phone.sdp()).replacen("CSeq: 1 INVITE", "CSeq: one INVITE", 1);
    phone.send(broken.as_bytes());
    assert_eq!(phone.answer(200).expect("it is answered").0, 400);
    let counted = |name: &str, of: &str| daemon.metric(&format!("{name}{{{of}}}")).to_string();
    assert!(
        eventually(Duration::from_secs(5), || {
            counted("sip_dropped_total", r#"reason="malformed""#) == "1"
                && counted("sip_refused_total", r#"reason="malformed""#) == "1"
                && counted("sip_messages_total", r#"direction="in""#) == "2"
                && counted("sip_messages_total", r#"direction="out""#) == "1"
        }),
        "{}",
        get(daemon.http, "/metrics").expect("/metrics answers").1
    );
}

#[test]
fn a_held_call_is_silent_and_comes_back_on_another_port() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("300", "hold");
    assert_eq!(status, 200);
    phone.rtp.send_to(&packet(1), ("127.0.0.1", port)).expect("loopback takes it");
    assert!(arriving(&phone.rtp, Duration::from_millis(400)) >= 10, "the agent is heard");
    let (status, text) =
        reinvite(&phone, "300", "hold", 2, &tag, &phone.sdp().replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n"));
    assert!(status == 200 && text.contains("a=recvonly"), "{text}");
    arriving(&phone.rtp, Duration::from_millis(100));
    assert_eq!(arriving(&phone.rtp, Duration::from_millis(300)), 0, "nothing is sent to a caller on hold");
    let other = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    let (old, new) = (phone.rtp.local_addr().expect("bound").port(), other.local_addr().expect("bound").port());
    let moved = phone.sdp().replace(&format!("m=audio {old} "), &format!("m=audio {new} "));
    let (status, text) = reinvite(&phone, "300", "hold", 3, &tag, &moved);
    assert!(status == 200 && text.contains("a=sendrecv") && media_port(&text) == port, "{text}");
    assert!(arriving(&other, Duration::from_millis(400)) >= 10, "the agent is heard on the new port");
    assert_eq!(arriving(&phone.rtp, Duration::from_millis(200)), 0, "and not on the old one");
    phone.send(phone.message("BYE", "300", "hold", 4, &tag, "").as_bytes());
    assert_eq!(phone.answer(200).map(|a| a.0), Some(200));
    assert_eq!(end_of_newest(&daemon), "caller_hung_up");
}

#[test]
fn our_offer_needs_an_answer_at_first_but_not_for_a_refresh() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    phone.send(phone.message("INVITE", "echo", "mute", 1, "", "").as_bytes());
    let (_, text) = phone.answer(200).expect("a final response");
    assert!(media_port(&text) > 0, "our offer: {text}");
    phone.send(phone.message("ACK", "echo", "mute", 1, &tag_of(&text), "").as_bytes());
    assert!(is_sent(&phone, "BYE"), "there is nobody to send audio to");
    assert_eq!(end_of_newest(&daemon), "failed");

    let phone = Phone::new(&daemon);
    let (_, tag, port) = phone.call("echo", "keep");
    assert!(echoes(&phone.rtp, port, 1));
    let (status, text) = reinvite(&phone, "echo", "keep", 2, &tag, "");
    assert!(status == 200 && media_port(&text) == port, "{text}");
    assert!(echoes(&phone.rtp, port, 100), "an ACK without an answer changes nothing");
    let (status, _) = reinvite(&phone, "echo", "keep", 3, &tag, &phone.sdp().replace("o=t 1 1", "o=t 1 2"));
    assert_eq!(status, 200);
    assert!(echoes(&phone.rtp, port, 200));
    phone.send(phone.message("BYE", "echo", "keep", 4, &tag, "").as_bytes());
    assert_eq!(phone.answer(200).map(|a| a.0), Some(200));
}

#[test]
fn while_it_stops_the_daemon_is_not_ready_and_no_record_stays_open() {
    // The phone does not answer the BYE, so signalling stays for a second; a machine that stands still may miss it.
    let stopping = (0..4).find_map(|_| {
        let daemon = Daemon::start();
        let phone = Phone::new(&daemon);
        assert_eq!(phone.call("300", "stay").0, 200);
        signal(daemon.pid(), "TERM");
        let mut last = 200;
        let over = || {
            last = get(daemon.http, "/health/ready").map_or(0, |(status, _)| status);
            last != 200
        };
        assert!(eventually(Duration::from_secs(10), over), "not ready while stopping");
        phone.send(phone.message("INVITE", "echo", "late", 1, "", &phone.sdp()).as_bytes());
        let refused = phone.answer(200).map(|(status, _)| status);
        // Nobody is taken in, whenever it is.
        assert!(refused.is_none_or(|status| status == 503), "{refused:?}");
        (last == 503 && refused == Some(503)).then_some(daemon)
    });
    let daemon = stopping.expect("it says 503 while it stops");
    assert!(eventually(Duration::from_secs(8), || get(daemon.http, "/health/live").is_err()), "it ends");
    let daemon = Daemon::start_in(daemon.kill(), 10, "");
    let (_, records) = calls(&daemon);
    assert_eq!(records[0]["ended_by"], "drained", "{records:?}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    assert_eq!(phone.call("echo", "stay").0, 200);
    signal(daemon.pid(), "TERM");
    std::thread::sleep(Duration::from_millis(150));
    signal(daemon.pid(), "TERM");
    assert!(eventually(Duration::from_secs(10), || !daemon.alive()), "{}", daemon.log());
    assert!(daemon.log().contains("stopping at once"), "{}", daemon.log());
}

#[test]
fn calls_of_a_killed_daemon_are_recorded_as_ended() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    assert_eq!(phone.call("echo", "lost").0, 200);
    assert!(eventually(Duration::from_secs(10), || !calls(&daemon).1.is_empty()));
    let daemon = Daemon::start_in(daemon.kill(), 10, "");
    let (live, records) = calls(&daemon);
    assert!(live.is_empty());
    assert_eq!(records[0]["ended_by"], "restart", "{records:?}");
}

#[test]
fn what_a_caller_calls_itself_cannot_write_into_the_log() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let invite = phone.message("INVITE", "echo", "loud", 1, "", &phone.sdp());
    let invite = invite.replace("From: <", "From: \"\u{1b}[2J\u{7}\u{8}\u{202e}evil\" <");
    phone.send(invite.as_bytes());
    let (status, text) = phone.answer(200).expect("a final response");
    assert_eq!(status, 200);
    phone.send(phone.message("BYE", "echo", "loud", 2, &tag_of(&text), "").as_bytes());
    let log = daemon.log();
    assert!(log.contains("evil"), "{log}");
    assert!(!log.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{log:?}");
}

#[test]
fn a_pool_that_is_dry_refuses_and_recovers() {
    // Two RTP ports, and room for more calls than that.
    let daemon = Daemon::start_limited(10, "");
    let to = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let held: Vec<_> = (daemon.rtp.0..=daemon.rtp.1)
        .filter(|port| port % 2 == 0)
        .skip(2)
        .filter_map(|port| UdpSocket::bind(to(port)).ok())
        .collect();
    let phone = Phone::new(&daemon);
    let mut up = Vec::new();
    let refused =
        (0..4).map(|n| (n, phone.call("echo", &format!("port{n}")))).fold(0, |refused, (n, (status, tag, _))| {
            if status == 200 {
                up.push((format!("port{n}"), tag));
            }
            refused + usize::from(status == 503)
        });
    assert!(refused >= 2, "{refused} of 4 refused, {} up", up.len());
    for (call, tag) in up {
        phone.bye("echo", &call, &tag);
    }
    drop(held);
    assert_eq!(phone.call("echo", "after").0, 200);
}

/// The stage of the only build.
fn stage(daemon: &Daemon) -> String {
    let (_, body) = get(daemon.http, "/v1/builds").expect("/v1/builds answers");
    let json: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(json["items"].as_array().map(Vec::len), Some(1), "one build, however often the daemon stopped: {json}");
    json["items"][0]["stage"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_build_goes_on_after_a_stop_and_after_a_kill() {
    let mut daemon = Daemon::start();
    let manifest = r#"{"build_type": "build_crm", "title": "CRM", "features": ["contacts", "deals"]}"#;
    let (status, body) =
        request(daemon.http, "POST", "/v1/builds", "application/json", manifest).expect("the API answers");
    assert_eq!(status, 202, "{body}");
    assert!(daemon.terminate(), "{}", daemon.log());
    let daemon = Daemon::start_in(daemon.kill(), 10, "");
    std::thread::sleep(Duration::from_millis(150));
    let daemon = Daemon::start_in(daemon.kill(), 10, "");
    let live = || matches!(stage(&daemon).as_str(), "live" | "tracked");
    assert!(eventually(Duration::from_secs(60), live), "{}\n{}", stage(&daemon), daemon.log());
    let (_, apps) = get(daemon.http, "/v1/apps").expect("/v1/apps answers");
    let json: Value = serde_json::from_str(&apps).expect("JSON");
    let url = json.to_string();
    let at = url.find("http://127.0.0.1:").expect("a URL");
    let port: String = url[at + 17..].chars().take_while(char::is_ascii_digit).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    assert!(eventually(Duration::from_secs(5), || get(address, "/").is_ok_and(|(status, _)| status == 200)), "{url}");
}

/// The processes of the supervisor of this data directory.
fn supervisors(daemon: &Daemon) -> Vec<u32> {
    let data = daemon.data.canonicalize().expect("a directory");
    let of_data = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|octet| *octet == 0).map(String::from_utf8_lossy).collect();
        words.get(1).is_some_and(|word| word == "supervise")
            && words.iter().any(|word| **word == *data.to_string_lossy())
    };
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).filter(of_data).collect()
}

#[test]
fn whatever_becomes_of_its_file_a_daemon_builds_and_keeps_its_apps() {
    let (daemon, program) = Daemon::start_from_copy();
    // The next version is there, and does not even start.
    let other = program.with_extension("new");
    std::fs::write(&other, "#!/bin/sh\nexit 9\n").expect("a file");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    std::fs::rename(&other, &program).expect("it is replaced");
    let manifest = r#"{"build_type": "build_crm", "title": "CRM", "features": ["contacts", "deals"]}"#;
    let ordered = request(daemon.http, "POST", "/v1/builds", "application/json", manifest).expect("the API answers");
    assert_eq!(ordered.0, 202, "{}", ordered.1);
    assert!(
        eventually(Duration::from_secs(60), || stage(&daemon) == "tracked"),
        "{}\n{}",
        stage(&daemon),
        daemon.log()
    );
    std::fs::remove_file(&program).expect("it is taken away");
    let before = supervisors(&daemon);
    assert_eq!(before.len(), 1, "{before:?}");
    signal(before[0], "KILL");
    let (_, apps) = get(daemon.http, "/v1/apps").expect("/v1/apps answers");
    let apps: Value = serde_json::from_str(&apps).expect("JSON");
    let url = apps["items"][0]["app"]["url"].as_str().expect("a URL").to_owned();
    let app: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let again = || {
        let now = supervisors(&daemon);
        now.len() == 1 && now != before && get(app, "/").is_ok_and(|(status, _)| status == 200)
    };
    assert!(eventually(Duration::from_secs(60), again), "{:?}\n{}", supervisors(&daemon), daemon.log());
}
