//! A browser and a telephone hear each other in a room; a browser's call is held and taken back; what happened on it is told
//! from its beginning.

mod browser;
mod rig;

use browser::{Browser, ask};
use callwright::rtp::Codec;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const LOW: f64 = 500.0;
const HIGH: f64 = 1100.0;

/// Offers, and gives the answer once somebody takes the call; then the browser is in it, and the path is the call's.
fn browse(http: SocketAddr, number: &str) -> (Browser, String) {
    let mut browser = Browser::new(Codec::Opus, true);
    let sdp = [("Content-Type", "application/sdp")];
    let reply = ask(http, "POST", &format!("/v1/webrtc?to={number}"), &sdp, &browser.offer());
    assert_eq!(reply.status, 201, "{}", reply.body);
    let path = reply.field("location").expect("a Location").to_owned();
    assert!(browser.connect(&reply.body, LONG), "no handshake");
    (browser, path)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it goes well")
}

fn json_of(http: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&get(http, path).expect("the API answers").1).unwrap_or(Value::Null)
}

fn post(http: SocketAddr, path: &str, body: &Value) -> (u16, String) {
    request(http, "POST", path, "application/json", &body.to_string()).expect("the API answers")
}

/// The call that rings, once one does.
fn rings(http: SocketAddr) -> String {
    let mut found = None;
    assert!(eventually(LONG, || {
        let calls = json_of(http, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
        found = calls.iter().find(|call| call["state"] == "ringing").map(|call| call["id"].clone());
        found.is_some()
    }));
    found.and_then(|id| id.as_str().map(str::to_owned)).expect("it rings")
}

fn ended(http: SocketAddr, call: &str) -> Value {
    let path = format!("/v1/calls/{call}");
    assert!(eventually(LONG, || json_of(http, &path)["ended_by"].is_string()), "{}", json_of(http, &path));
    json_of(http, &path)
}

/// What the stream of events tells up to this word.
fn told(http: SocketAddr, path: &str, word: &str) -> String {
    let mut stream = TcpStream::connect(http).expect("the API listens");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\n\r\n").expect("it is asked");
    let (mut all, mut piece, deadline) = (String::new(), [0; 4096], Instant::now() + LONG);
    while !all.contains(word) {
        assert!(Instant::now() < deadline, "no {word:?} in {all}");
        if let Ok(len) = stream.read(&mut piece) {
            all.push_str(&String::from_utf8_lossy(&piece[..len]));
        }
    }
    all
}

/// Both talk at once; each must hear the other and not itself.
async fn hear_each_other(mut browser: Browser, phone: &Ua) -> Browser {
    // What waits on the telephone's socket is past.
    phone.rtp.set_nonblocking(true).expect("a socket");
    while phone.rtp.recv(&mut [0; 2000]).is_ok() {}
    phone.rtp.set_nonblocking(false).expect("a socket");
    let (at_browser, at_phone) = tokio::join!(
        blocking(move || {
            let heard = browser.talk(LOW, 1600);
            (browser, heard)
        }),
        phone.talk(HIGH, 1600, None)
    );
    let (browser, at_browser) = at_browser;
    for (who, pcm, theirs, own) in [("browser", &at_browser, HIGH, LOW), ("phone", &at_phone.pcm, LOW, HIGH)] {
        // A room's buffer fills first.
        let pcm = &pcm[pcm.len().min(4000)..];
        let (hears, itself) = (purity(pcm, theirs), purity(pcm, own));
        assert!(hears > 0.8 && itself < 0.05, "{who} hears {hears:.3} of the other and {itself:.3} of itself");
    }
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_telephones_hear_each_other() {
    let daemon = Daemon::start_with("[[routes]]\nmatch = \"desk\"\napp = \"manual\"\n");
    let http = daemon.http;

    // Taken by hand, held and taken back.
    let page = tokio::spawn(blocking(move || browse(http, "desk")));
    let a = blocking(move || rings(http)).await;
    assert_eq!(post(http, &format!("/v1/calls/{a}/answer"), &json!({})).0, 204);
    let (mut browser, path) = page.await.expect("the page");
    // Whoever asks late hears it all.
    let all = blocking(move || told(http, &format!("{path}/events"), "event: call.answered")).await;
    assert!(all.contains("event: call.started"), "{all}");
    let verb = |name: &str, body: Value| post(http, &format!("/v1/calls/{a}/{name}"), &body);
    assert_eq!(verb("resume", json!({})).0, 409, "it is not held");
    assert_eq!(verb("hold", json!({})).0, 204);
    assert_eq!(verb("hold", json!({})).0, 409, "it is held already");
    assert_eq!(json_of(http, &format!("/v1/calls/{a}"))["state"], "held");
    let browser = blocking(move || {
        // What was under way when it was held still comes.
        browser.talk(LOW, 300);
        let silent = browser.talk(LOW, 600);
        assert!(silent.is_empty(), "{} samples came while the call was held", silent.len());
        browser
    })
    .await;
    assert_eq!(verb("resume", json!({})).0, 204);
    assert_eq!(json_of(http, &format!("/v1/calls/{a}"))["state"], "answered");
    assert_eq!(verb("play", json!({"tone": "440", "seconds": 5})).0, 202);
    let mut browser = browser;
    let browser = blocking(move || {
        let heard = browser.talk(LOW, 1500);
        assert!(purity(&heard, 440.0) > 0.8, "audio is back: {}", purity(&heard, 440.0));
        browser
    })
    .await;
    verb("play", json!({"stop": true}));

    // In a room with a telephone.
    let mut phone = Ua::new(&[Codec::Pcmu]);
    phone.invite(daemon.sip, "desk").await;
    let b = blocking(move || rings(http)).await;
    assert_eq!(post(http, &format!("/v1/calls/{b}/answer"), &json!({})).0, 204);
    phone.accepted().await;
    let (status, room) = verb("bridge", json!({"with": b}));
    assert_eq!(status, 200, "{room}");
    let mut browser = hear_each_other(browser, &phone).await;
    // The browser goes, and the room is over.
    browser.close();
    phone.ended().await;
    assert_eq!(blocking(move || ended(http, &a)).await["ended_by"], "caller_hung_up");
}
