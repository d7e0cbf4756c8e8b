//! What the network may do to the daemon: garbage, refusals, overload, callers who vanish. After each the daemon answers
//! clearly, still answers others, and gives everything back.

mod rig;

use rig::phone::Phone;
use rig::{Daemon, eventually};
use std::net::SocketAddr;
use std::time::Duration;

fn base(daemon: &Daemon) -> (usize, usize) {
    std::thread::sleep(Duration::from_millis(300));
    daemon.resources()
}

fn back_to(daemon: &Daemon, base: (usize, usize)) {
    // A descriptor or thread of a pool that is made on first use may stay, a thread that read the store lives ten
    // seconds more; nothing may grow with calls.
    assert!(
        eventually(Duration::from_secs(20), || {
            let now = daemon.resources();
            now.0 <= base.0 + 1 && now.1 <= base.1 + 2
        }),
        "threads and files: {base:?} before, {:?} after\n{}",
        daemon.resources(),
        daemon.log()
    );
}

#[test]
fn hostile_datagrams_are_survived_and_a_call_still_works() {
    let mut daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    phone.options_work();
    let base = base(&daemon);
    let whole = phone.message("INVITE", "echo", "cut", 1, "", &phone.sdp());
    for n in 0..whole.len() {
        phone.send(&whole.as_bytes()[..n]);
    }
    let latin = phone.message("OPTIONS", "echo", "latin", 1, "", "").replace("<sip:t@", "\"Jos\u{fffd}\" <sip:t@");
    let latin: Vec<u8> = latin.into_bytes().iter().map(|b| if *b > 127 { 0xe9 } else { *b }).collect();
    phone.send(&latin);
    phone.send(&[0xff; 1400]);
    phone.send(&vec![b'a'; 60_000]);
    phone.send(
        phone
            .message("INVITE", "echo", "huge", 1, "", "")
            .replace("Content-Length: 0", "Content-Length: 18446744073709551616")
            .as_bytes(),
    );
    while phone.answer(100).is_some() {}
    phone.options_work();
    let (status, tag, _) = phone.call("echo", "after");
    assert_eq!(status, 200);
    phone.bye("echo", "after", &tag);
    assert!(daemon.alive());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    back_to(&daemon, base);
}

#[test]
fn an_offer_without_a_common_codec_is_refused_with_488() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let offer = phone.sdp().replace("RTP/AVP 0 101", "RTP/AVP 18");
    phone.send(phone.message("INVITE", "echo", "g729", 1, "", &offer).as_bytes());
    assert_eq!(phone.answer(200).map(|a| a.0), Some(488));
    let secure = phone.sdp().replace("RTP/AVP", "RTP/SAVP");
    phone.send(phone.message("INVITE", "echo", "savp", 1, "", &secure).as_bytes());
    assert_eq!(phone.answer(200).map(|a| a.0), Some(488));
}

#[test]
fn a_full_house_says_so_and_when_to_come_back() {
    let daemon = Daemon::start_limited(1, "");
    let (first, second) = (Phone::new(&daemon), Phone::new(&daemon));
    let (status, tag, _) = first.call("echo", "one");
    assert_eq!(status, 200);
    second.send(second.message("INVITE", "echo", "two", 1, "", &second.sdp()).as_bytes());
    let (status, text) = second.answer(200).expect("a final response");
    assert_eq!(status, 503, "{text}");
    assert!(text.to_ascii_lowercase().contains("retry-after: "), "{text}");
    first.bye("echo", "one", &tag);
    // A new call each time: the same INVITE again would be a repeat and get the same 503 again.
    let mut attempt = 0;
    let admitted = eventually(Duration::from_secs(3), || {
        attempt += 1;
        second.call("echo", &format!("again-{attempt}")).0 == 200
    });
    assert!(admitted, "a seat is free again");
}

#[test]
fn callers_who_never_acknowledge_keep_nobody_out_for_long() {
    let daemon = Daemon::start_limited(1, "");
    let (silent, caller) = (Phone::new(&daemon), Phone::new(&daemon));
    silent.send(silent.message("INVITE", "echo", "silent", 1, "", &silent.sdp()).as_bytes());
    assert_eq!(silent.answer(200).map(|answer| answer.0), Some(200));
    assert_eq!(caller.call("echo", "too-early").0, 503, "the ACK may be on its way");
    let mut attempt = 0;
    // An unacknowledged answer is repeated for 32 s (RFC 3261 §13.3.1.4).
    let admitted = eventually(Duration::from_secs(12), || {
        attempt += 1;
        std::thread::sleep(Duration::from_millis(250));
        caller.call("echo", &format!("later-{attempt}")).0 == 200
    });
    assert!(admitted, "{}", daemon.log());
}

#[test]
fn rtp_garbage_ends_no_call_and_is_counted() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("echo", "rtp");
    assert_eq!(status, 200);
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let packet = |seq: u16, payload: u8| {
        let mut p = vec![0x80, 0];
        p.extend(seq.to_be_bytes());
        p.extend((u32::from(seq) * 160).to_be_bytes());
        p.extend(7_u32.to_be_bytes());
        p.extend([payload; 160]);
        p
    };
    for n in 0..20 {
        phone.rtp.send_to(&packet(n, 0x31), to).expect("loopback takes it");
        for rubbish in [&b""[..], b"x", &[0x80; 11], &[0xff; 1400], b"OPTIONS sip:x SIP/2.0\r\n\r\n"] {
            phone.rtp.send_to(rubbish, to).expect("loopback takes it");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut heard = 0;
    let mut buffer = [0; 2048];
    while let Ok(n) = phone.rtp.recv(&mut buffer) {
        heard += usize::from(n == 172 && buffer[12..172].iter().all(|b| *b == 0x31));
    }
    assert!(heard >= 15, "the good packets come back whole: {heard} of 20");
    phone.bye("echo", "rtp", &tag);
}

#[test]
fn calls_leave_nothing_behind() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (status, tag, _) = phone.call("300", "warm");
    assert_eq!(status, 200, "{}", daemon.log());
    phone.bye("300", "warm", &tag);
    std::thread::sleep(Duration::from_millis(500));
    let base = base(&daemon);
    for n in 0..30 {
        let call = format!("many{n}");
        let user = if n % 2 == 0 { "echo" } else { "300" };
        let (status, tag, _) = phone.call(user, &call);
        assert_eq!(status, 200, "{}", daemon.log());
        if n % 3 == 0 {
            std::thread::sleep(Duration::from_millis(150));
        }
        phone.bye(user, &call, &tag);
    }
    back_to(&daemon, base);
}

#[test]
fn a_stop_says_goodbye_to_running_calls() {
    let mut daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (status, _, _) = phone.call("echo", "stay");
    assert_eq!(status, 200);
    let bye = std::thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let mut buffer = [0; 4096];
            while let Ok((n, from)) = phone.socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                if text.starts_with("BYE ") {
                    let keep = |name: &str| {
                        text.lines().find(|l| l.starts_with(name)).map_or(String::new(), |l| format!("{l}\r\n"))
                    };
                    let ok = format!(
                        "SIP/2.0 200 OK\r\n{}{}{}{}{}Content-Length: 0\r\n\r\n",
                        keep("Via:"),
                        keep("From:"),
                        keep("To:"),
                        keep("Call-ID:"),
                        keep("CSeq:")
                    );
                    phone.socket.send_to(ok.as_bytes(), from).expect("loopback takes it");
                    return true;
                }
            }
            false
        });
        assert!(daemon.terminate(), "{}", daemon.log());
        heard.join().expect("the phone's thread")
    });
    assert!(bye, "the phone was told");
}
