//! Pages that wait for calls: telephones, browsers and whoever steers ring them, one of several takes the call, and all are told
//! when it rings no more; beside telephones of the same extension, too.

mod browser;
mod rig;

use browser::{Browser, Reply, ask};
use callwright::rtp::Codec;
use callwright::sip::agent::{Agent, LineConfig, SipEvent};
use callwright::sip::auth::{Login, Password};
use callwright::sip::hop::Hop;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A machine that stands still for a while is no failure.
const LONG: Duration = Duration::from_secs(30);
const LOW: f64 = 500.0;
const HIGH: f64 = 1100.0;
const TOKEN: &str = "0123456789abcdef";
const BEARER: (&str, &str) = ("Authorization", "Bearer 0123456789abcdef");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// The stream of a page that waits.
struct Page {
    stream: TcpStream,
    text: String,
}

impl Page {
    /// Waits at `number` once this returns.
    fn wait(http: SocketAddr, number: &str) -> Self {
        let mut stream = TcpStream::connect(http).expect("the API listens");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let (name, value) = BEARER;
        write!(stream, "GET /v1/webrtc/phones/{number} HTTP/1.1\r\nHost: {http}\r\n{name}: {value}\r\n\r\n")
            .expect("it is asked");
        let mut page = Self { stream, text: String::new() };
        assert_eq!(page.told("waiting"), json!({"number": number}));
        page
    }

    /// The next event of this name; what comes before it is passed over.
    fn told(&mut self, name: &str) -> Value {
        let (head, deadline) = (format!("event: {name}\ndata: "), Instant::now() + LONG);
        loop {
            if let Some(at) = self.text.find(&head) {
                let rest = &self.text[at + head.len()..];
                if let Some(end) = rest.find('\n') {
                    let data = serde_json::from_str(&rest[..end]).expect("JSON");
                    self.text = rest[end..].to_owned();
                    return data;
                }
            }
            assert!(Instant::now() < deadline, "no {name} in {:?}", self.text);
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => panic!("the stream has ended: {:?}", self.text),
                Ok(len) => self.text.push_str(&String::from_utf8_lossy(&piece[..len])),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What rings: its id.
    fn rings(&mut self) -> (String, Value) {
        let call = self.told("ring");
        (call["id"].as_str().expect("an id").to_owned(), call)
    }

    fn stops(&mut self, id: &str, why: &str) {
        assert_eq!(self.told("stop"), json!({"id": id, "why": why}));
    }
}

fn take(http: SocketAddr, id: &str, offer: &str) -> Reply {
    ask(http, "POST", &format!("/v1/webrtc?answer={id}"), &[SDP, BEARER], offer)
}

/// Nobody takes the call any more: it is known to be taken for a moment, then it is not known.
fn is_gone(http: SocketAddr, id: &str) {
    let reply = take(http, id, &Browser::new(Codec::Opus, true).offer());
    assert!(matches!(reply.status, 404 | 409), "{} {}", reply.status, reply.body);
}

/// A browser takes the call: then it is in it.
fn taken(http: SocketAddr, id: &str, codec: Codec) -> Browser {
    let mut browser = Browser::new(codec, true);
    let reply = take(http, id, &browser.offer());
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.field("location"), Some(&*format!("/v1/webrtc/{id}")));
    assert!(reply.field("etag").is_some_and(|tag| tag.len() > 4), "{}", reply.head);
    assert!(browser.connect(&reply.body, LONG), "no handshake");
    browser
}

fn leave(http: SocketAddr, id: &str) -> u16 {
    ask(http, "DELETE", &format!("/v1/webrtc/{id}"), &[BEARER], "").status
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it goes well")
}

fn json_of(http: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&ask(http, "GET", path, &[BEARER], "").body).unwrap_or(Value::Null)
}

/// The one call of this moment.
fn only_call(http: SocketAddr) -> String {
    let mut calls = Vec::new();
    assert!(eventually(LONG, || {
        calls = json_of(http, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
        calls.len() == 1
    }));
    calls[0]["id"].as_str().expect("an id").to_owned()
}

fn ended(http: SocketAddr, call: &str) -> Value {
    let path = format!("/v1/calls/{call}");
    assert!(eventually(LONG, || json_of(http, &path)["ended_by"].is_string()), "{}", json_of(http, &path));
    json_of(http, &path)
}

/// Whether each hears the other and not itself.
fn apart(at_one: &[i16], at_other: &[i16]) -> bool {
    [(at_one, HIGH, LOW), (at_other, LOW, HIGH)].iter().all(|(pcm, theirs, own)| {
        // What fills the buffers of the way comes first.
        let pcm = &pcm[pcm.len().min(4000)..];
        purity(pcm, *theirs) > 0.8 && purity(pcm, *own) < 0.05
    })
}

/// Both talk at once until they hear each other: what a standing machine tears may be lost.
async fn hear_each_other(mut browser: Browser, phone: &Ua) -> Browser {
    for _ in 0..6 {
        let talking = blocking(move || {
            let heard = browser.talk(LOW, 1200);
            (browser, heard)
        });
        let ((again, at_browser), at_phone) = tokio::join!(talking, phone.talk(HIGH, 1200, None));
        browser = again;
        if apart(&at_browser, &at_phone.pcm) {
            return browser;
        }
    }
    panic!("browser and telephone do not hear each other");
}

/// The same for two browsers.
fn browsers_hear_each_other(mut one: Browser, mut other: Browser) -> (Browser, Browser) {
    for _ in 0..6 {
        let (at_one, at_other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| one.talk(LOW, 1200));
            let other = other.talk(HIGH, 1200);
            (one.join().expect("it talks"), other)
        });
        if apart(&at_one, &at_other) {
            return (one, other);
        }
    }
    panic!("two browsers do not hear each other");
}

async fn refused(phone: &mut Ua) -> u16 {
    phone
        .until("refusal", |e| match e {
            SipEvent::Refused { code, .. } => Some(*code),
            _ => None,
        })
        .await
}

async fn rings_there(phone: &mut Ua) {
    phone.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
}

/// A telephone of an extension.
async fn registered(registrar: SocketAddr, number: &str) -> Ua {
    let mut phone = Ua::new(&[Codec::Pcmu]);
    let line = LineConfig {
        account: "registrar".into(),
        registrar: format!("sip:{registrar}"),
        aor: format!("sip:{number}@{registrar}"),
        contact_user: number.to_owned(),
        expires: Duration::from_secs(60),
        public: None,
    };
    let login = Login { username: number.to_owned(), password: Password::new("s3cret"), realm: None };
    let begin = move |agent: &mut Agent, now| {
        agent.set_account("registrar", Some(login), vec![]);
        agent.set_lines(now, vec![line]);
        agent.set_trunk_hops(now, "registrar", vec![Hop::udp(registrar)]);
    };
    phone.sip.with(begin).await.expect("SIP runs");
    let bound = |e: &SipEvent| match e {
        SipEvent::Line(line) if line.bound_until.is_some() => Some(()),
        _ => None,
    };
    phone.until("registration", bound).await;
    phone
}

fn start() -> Daemon {
    Daemon::start_set(
        "[webrtc]\nphones = [\"200\"]\nnumber = \"200\"\nallow_anonymous = true\n\
         [[extensions]]\nnumber = \"300\"\npassword = \"s3cret\"\n\
         [[routes]]\nmatch = \"echo\"\napp = \"echo\"\n",
        &[("CALLWRIGHT__HTTP__TOKEN", TOKEN)],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_rung_takes_declines_and_misses_calls() {
    let daemon = start();
    let (http, sip) = (daemon.http, daemon.sip);
    // Nobody waits without the token, though such a one may call; nor where nobody is called.
    for (fields, number, status) in [(&[][..], "200", 401), (&[BEARER][..], "999", 404)] {
        let reply = ask(http, "GET", &format!("/v1/webrtc/phones/{number}"), fields, "");
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(sip, "200").await;
    assert_eq!(refused(&mut caller).await, 480, "no page waits");

    // Two tabs ring, and one of them takes the call.
    let (mut one, mut two) = (Page::wait(http, "200"), Page::wait(http, "200"));
    caller.invite(sip, "200").await;
    let (id, call) = one.rings();
    assert_eq!(call, json!({"id": id, "number": "200", "from": "ann", "name": "Ann"}));
    assert_eq!(two.rings().0, id);
    rings_there(&mut caller).await;
    let offer = Browser::new(Codec::Opus, true).offer();
    let anonymous = ask(http, "POST", &format!("/v1/webrtc?answer={id}"), &[SDP], &offer);
    assert_eq!(anonymous.status, 401, "{}", anonymous.body);
    assert_eq!(ask(http, "DELETE", &format!("/v1/webrtc/{id}"), &[], "").status, 401);
    let both = ask(http, "POST", &format!("/v1/webrtc?to=echo&answer={id}"), &[SDP, BEARER], &offer);
    assert_eq!(both.status, 400, "{}", both.body);
    // What cannot be answered lets it ring on.
    for (offer, status) in [("rubbish".to_owned(), 400), (offer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), 422)] {
        let reply = take(http, &id, &offer);
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    let (whole, taker) = (only_call(http), id.clone());
    let browser = blocking(move || taken(http, &taker, Codec::Opus)).await;
    caller.accepted().await;
    for page in [&mut one, &mut two] {
        page.stops(&id, "answered");
    }
    is_gone(http, &id);
    let mut browser = hear_each_other(browser, &caller).await;
    assert!(json_of(http, &format!("/v1/calls/{whole}"))["app"].as_str().is_some_and(|app| app.contains("200")));
    // The page hangs up by the name that it knows the call by.
    assert_eq!(leave(http, &id), 200);
    caller.ended().await;
    assert!(blocking(move || browser.until_closed(LONG)).await, "nobody says goodbye to the browser");
    let record = ended(http, &whole);
    assert_eq!(record["ended_by"], "callee_hung_up", "{record:#}");
    assert_eq!(record["media"]["callee"]["codec"], "opus", "{record:#}");
    assert_eq!(record["media"]["callee"]["srtp_failed"], 0, "{record:#}");
    assert!(eventually(LONG, || leave(http, &id) == 404));

    // Declined in one tab, for both.
    caller.invite(sip, "200").await;
    let (id, _) = one.rings();
    two.rings();
    assert_eq!(leave(http, &id), 200);
    assert_eq!(refused(&mut caller).await, 603);
    for page in [&mut one, &mut two] {
        page.stops(&id, "declined");
    }
    // The caller gives up; a page that comes late has heard of the call all the same.
    caller.invite(sip, "200").await;
    let (id, _) = one.rings();
    two.rings();
    let mut late = Page::wait(http, "200");
    assert_eq!(late.rings().0, id);
    rings_there(&mut caller).await;
    caller.hang_up().await;
    for page in [&mut one, &mut two, &mut late] {
        page.stops(&id, "missed");
    }
    is_gone(http, &id);

    // Whoever steers rings a page, and what is said is heard from the first word on.
    let wish = json!({"to": "extension:200", "app": "echo", "timeout_s": 30});
    let placed = ask(http, "POST", "/v1/calls", &[("Content-Type", "application/json"), BEARER], &wish.to_string());
    assert_eq!(placed.status, 202, "{}", placed.body);
    let (id, _) = one.rings();
    assert_eq!(placed.field("location"), Some(&*format!("/v1/calls/{id}")));
    let taker = id.clone();
    let mut browser = blocking(move || taken(http, &taker, Codec::Pcma)).await;
    let mut browser = blocking(move || {
        let begun = Instant::now();
        while purity(&browser.talk(LOW, 700), LOW) <= 0.8 {
            assert!(begun.elapsed() < LONG, "no echo");
        }
        browser
    })
    .await;
    browser.close();
    assert_eq!(ended(http, &id)["ended_by"], "callee_hung_up");

    // The last tab is closed while it rings: the caller is told after a while.
    caller.invite(sip, "200").await;
    one.told("ring");
    let whole = only_call(http);
    drop((one, two, late));
    let record = blocking(move || ended(http, &whole)).await;
    assert_eq!(record["ended_by"], "refused", "{record:#}");
    assert!(record["reason"].as_str().is_some_and(|why| why.starts_with("480 ")), "{record:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_call_each_other_and_ring_beside_telephones() {
    let daemon = start();
    let (http, sip) = (daemon.http, daemon.sip);
    let mut page = Page::wait(http, "200");
    // A browser calls, and a browser answers: audio goes both ways.
    let calling = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::new(Codec::Opus, true);
        let reply = ask(http, "POST", "/v1/webrtc", &[SDP], &browser.offer());
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert!(browser.connect(&reply.body, LONG), "no handshake");
        (browser, reply.field("location").expect("a Location").to_owned())
    });
    let (id, seen) = page.rings();
    assert_eq!((&seen["name"], &seen["from"]), (&json!("Browser"), &json!("browser")));
    let taker = id.clone();
    let called = blocking(move || taken(http, &taker, Codec::Opus)).await;
    let (calling, path) = calling.await.expect("the caller");
    let (calling, mut called) = blocking(move || browsers_hear_each_other(calling, called)).await;
    let whole = path.trim_start_matches("/v1/webrtc/").to_owned();
    assert_ne!(whole, id, "each has a name of its own for its part");
    // Either part is restarted by its own name.
    let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
    let fragment = called.restart();
    let restarted = ask(http, "PATCH", &format!("/v1/webrtc/{id}"), &[kind, BEARER, ("If-Match", "*")], &fragment);
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    called.restarted(&restarted.body);
    // The daemon hears of the nomination a moment later than the browser thinks of it: once they talk it has.
    let (calling, called) = blocking(move || {
        assert!(called.find(LONG), "nobody answers the checks from there");
        browsers_hear_each_other(calling, called)
    })
    .await;
    assert_eq!(ask(http, "DELETE", &path, &[], "").status, 200);
    let mut both = [calling, called];
    assert!(blocking(move || both.iter_mut().all(|browser| browser.until_closed(LONG))).await);
    let record = ended(http, &whole);
    assert_eq!(record["ended_by"], "caller_hung_up", "{record:#}");
    for media in [&record["media"], &record["media"]["callee"]] {
        assert_eq!((&media["codec"], &media["srtp_failed"]), (&json!("opus"), &json!(0)), "{record:#}");
    }

    // A telephone and a page of one extension ring together. The telephone is faster.
    let mut desk = registered(sip, "300").await;
    let mut page = Page::wait(http, "300");
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(sip, "300").await;
    desk.ringing().await;
    let (id, _) = page.rings();
    desk.accept().await;
    caller.accepted().await;
    page.stops(&id, "answered");
    is_gone(http, &id);
    caller.hang_up().await;
    desk.ended().await;
    // The page is faster.
    caller.invite(sip, "300").await;
    desk.ringing().await;
    desk.sip.ring(desk.leg).await.expect("it rings");
    rings_there(&mut caller).await;
    let (id, _) = page.rings();
    let taker = id.clone();
    let browser = blocking(move || taken(http, &taker, Codec::Pcmu)).await;
    caller.accepted().await;
    desk.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    page.stops(&id, "answered");
    let mut browser = hear_each_other(browser, &caller).await;
    caller.hang_up().await;
    assert!(blocking(move || browser.until_closed(LONG)).await);
    caller.ended().await;
    // The telephone is busy: the page rings on, and declines for both.
    caller.invite(sip, "300").await;
    desk.ringing().await;
    let (id, _) = page.rings();
    let whole = only_call(http);
    desk.sip.reject(desk.leg, 486, "", &[]).await.expect("it rings");
    assert!(eventually(LONG, || daemon.log().contains("pages ring on")), "{}", daemon.log());
    assert_eq!(only_call(http), whole, "it rings on");
    assert_eq!(leave(http, &id), 200);
    assert_eq!(refused(&mut caller).await, 603);
    page.stops(&id, "declined");
}
