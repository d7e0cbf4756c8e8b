//! All calls of browsers through one UDP port: each hears itself and nobody else, while strangers do what they can, while browsers
//! come back from other ports without a word, and many at once. Twelve in the test run; `CALLWRIGHT_DOORS` sets another number.

mod browser;
mod rig;

use browser::{Browser, Ear, Mouth, Reply, ask};
use callwright::rtp::Codec;
use callwright_dsp::codec::{Decoder, Encoder, EncoderSettings};
use rig::ua::purity;
use rig::{Daemon, eventually, free_udp, get};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// A machine that stands still for a while is no failure.
const LONG: Duration = Duration::from_secs(60);
/// Handshakes that run at once: more take longer than a call waits, on a machine that does other things too.
const THREADS: usize = 4;

fn daemon() -> (Daemon, SocketAddr) {
    let port = free_udp();
    (Daemon::start_with(&format!("[webrtc]\nudp_port = {}\n", port.port())), port)
}

fn offer(daemon: &Daemon, sdp: &str) -> Reply {
    ask(daemon.http, "POST", "/v1/webrtc?to=echo", &[("Content-Type", "application/sdp")], sdp)
}

fn call(daemon: &Daemon, port: SocketAddr) -> (Browser, String) {
    let mut browser = Browser::new(Codec::Opus, true);
    let reply = offer(daemon, &browser.offer());
    assert_eq!(reply.status, 201, "{}\n{}", reply.head, reply.body);
    assert!(reply.body.contains(&format!("m=audio {} ", port.port())), "{}", reply.body);
    assert!(browser.connect(&reply.body, LONG), "no handshake:\n{}", daemon.log());
    assert_eq!(browser.remote, Some(port));
    (browser, reply.field("location").expect("a Location").to_owned())
}

/// Of whole periods a frame: a pause does not move it.
fn tone(n: usize) -> f64 {
    400.0 + 50.0 * (n % 30) as f64
}

fn hears_itself(line: &mut Browser, hz: f64) {
    let (mut best, mut came, begun) = (0.0_f64, Vec::new(), Instant::now());
    while best <= 0.8 && begun.elapsed() < LONG {
        line.came.clear();
        best = best.max(purity(&line.talk(hz, 700), hz));
        came.push(line.came.len());
    }
    assert!(best > 0.8, "{hz} Hz: {best}; packets that came back, talk by talk: {came:?}, latest {:?}", line.stall);
}

/// Everything that somebody else can send.
fn pester(stranger: &UdpSocket, port: SocketAddr) {
    let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48];
    hello.resize(73, 7);
    let rtp = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let check =
        [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 3, b'a', b':', b'b', 0];
    for datagram in [&hello[..], &rtp, &alert, &check, &[0; 30], &[63; 900], &[200; 100], &[]] {
        // Its buffer may be full, which is one packet less.
        let _ = stranger.send_to(datagram, port);
    }
}

#[test]
fn many_browsers_share_one_port_and_each_hears_itself() {
    let many = std::env::var("CALLWRIGHT_DOORS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let (daemon, port) = daemon();
    let (_, before) = daemon.resources();
    let (up, left, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let (gate, turn) = (Mutex::new(0), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
            while !over.load(Ordering::Relaxed) {
                pester(&stranger, port);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let (daemon, up, left, gate, turn) = (&daemon, &up, &left, &gate, &turn);
        let callers: Vec<_> = (0..many)
            .map(|n| {
                scope.spawn(move || {
                    let mut busy =
                        turn.wait_while(gate.lock().expect("no panic"), |busy| *busy >= THREADS).expect("no panic");
                    *busy += 1;
                    drop(busy);
                    let (mut browser, path) = call(daemon, port);
                    *gate.lock().expect("no panic") -= 1;
                    turn.notify_one();
                    up.fetch_add(1, Ordering::Relaxed);
                    assert!(browser.live_until(LONG * 3, || up.load(Ordering::Relaxed) == many), "all are up");
                    hears_itself(&mut browser, tone(n));
                    if n % 3 == 0 {
                        // Its NAT has forgotten it.
                        browser.rebind();
                        hears_itself(&mut browser, tone(n + 1));
                    }
                    left.fetch_add(1, Ordering::Relaxed);
                    assert!(browser.live_until(LONG * 3, || left.load(Ordering::Relaxed) == many), "all have heard");
                    assert_eq!(browser.foreign, 0, "nothing of others");
                    if n % 2 == 0 {
                        assert_eq!(ask(daemon.http, "DELETE", &path, &[], "").status, 200);
                        assert!(browser.until_closed(LONG), "nobody says goodbye");
                    } else {
                        browser.close();
                    }
                    path
                })
            })
            .collect();
        for caller in callers {
            let path = caller.join().expect("a call that goes well");
            let id = path.trim_start_matches("/v1/webrtc/");
            let mut record = Value::Null;
            let ended = eventually(LONG, || {
                let (_, body) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the API answers");
                record = serde_json::from_str(&body).expect("JSON");
                !record["ended"].is_null()
            });
            assert!(ended && record["ended_by"] == "caller_hung_up", "{record}");
        }
        over.store(true, Ordering::Relaxed);
    });
    let (_, metrics) = get(daemon.http, "/metrics").expect("/metrics answers");
    for reason in ["stranger", "media", "malformed"] {
        let name = format!("webrtc_port_dropped_total{{reason=\"{reason}\"}} ");
        let dropped = metrics.lines().find_map(|line| line.strip_prefix(&*name)?.parse::<u64>().ok());
        assert!(dropped > Some(0), "what strangers send is counted: {reason} {dropped:?}");
    }
    // Their sockets are gone, and there is room for the next.
    assert!(
        eventually(LONG, || daemon.resources().1 <= before + 2),
        "{before} descriptors, now {:?}",
        daemon.resources()
    );
    let (mut next, _) = call(&daemon, port);
    hears_itself(&mut next, 440.0);
}

/// What the calls above go by: if this fails, they say nothing of the daemon.
#[test]
fn what_a_browser_says_is_heard_again_after_a_loss_by_the_coders_alone() {
    for (n, complexity) in (0..30).zip([0, 1, 5, 10].into_iter().cycle()) {
        let (mut mouth, mut ear) = (Mouth::new(Codec::Opus), Ear::new(Codec::Opus));
        let mut there = Decoder::new(Codec::Opus, 8_000).expect("the codec opens");
        let settings = EncoderSettings { complexity, ..EncoderSettings::default() };
        let mut back = Encoder::new(Codec::Opus, 8_000, settings).expect("the codec opens");
        let (mut payload, mut pcm, mut heard) = ([0; 400], [0; 960], Vec::new());
        let mut pass = |hz: f64, slot: u64, lost: bool, heard: &mut Vec<i16>| {
            let len = mouth.say(hz, slot, &mut payload);
            if !lost {
                let samples = there.decode(&payload[..len], &mut pcm).expect("a payload");
                let len = back.encode(&pcm[..samples], &mut payload).expect("a frame");
                ear.hear(&payload[..len], heard);
            }
        };
        // As above: a tone, another one from another port that is not heard for a while, and then talk by talk.
        (0..70).for_each(|slot| pass(tone(n), slot % 35, false, &mut heard));
        (0..60 + 7 * n as u64).for_each(|slot| pass(tone(n + 1), slot % 35, true, &mut heard));
        heard.clear();
        (0..105).for_each(|slot| pass(tone(n + 1), slot % 35, false, &mut heard));
        // Within two seconds.
        let pure = purity(&heard[2 * 5600..], tone(n + 1));
        assert!(pure > 0.9, "{} Hz with complexity {complexity}: {pure}", tone(n + 1));
    }
}

#[test]
fn an_offer_that_nothing_tells_from_others_is_refused_and_the_port_is_ours_alone() {
    let (daemon, port) = daemon();
    assert!(UdpSocket::bind(port).is_err());
    let without: String = Browser::new(Codec::Opus, true)
        .offer()
        .lines()
        .filter(|line| !line.starts_with("a=ice-"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let reply = offer(&daemon, &without);
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert!(daemon.log().contains("udp_port"), "the operator is told why");
    // A restart under other names, from another port.
    let (mut browser, path) = call(&daemon, port);
    hears_itself(&mut browser, 500.0);
    let fragment = browser.restart();
    let fields = [("Content-Type", "application/trickle-ice-sdpfrag"), ("If-Match", "*")];
    let restarted = ask(daemon.http, "PATCH", &path, &fields, &fragment);
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    browser.restarted(&restarted.body);
    assert!(browser.find(LONG), "nobody answers the checks from there");
    assert_eq!(browser.remote, Some(port));
    hears_itself(&mut browser, 800.0);
    assert_eq!(browser.foreign, 0);
}
