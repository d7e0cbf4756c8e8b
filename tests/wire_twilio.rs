//! Calls by Twilio's media streams to a real daemon: an echo to the octet at any pace, who is refused, and what ends a call.

mod rig;
mod twilio_double;

use rig::Daemon;
use serde_json::Value;
use std::time::Duration;
use twilio_double::{ACCOUNT, PUBLIC, Stream, TOKEN, Twilio, pause, signed, token};

const FRAME: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

fn configured(more: &str) -> String {
    format!(
        "[twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\npublic_url = \"{PUBLIC}\"\n\
         [[routes]]\nmatch = \"+15550000001\"\napp = \"echo\"\n[[routes]]\nmatch = \"echo\"\napp = \"echo\"\n\
         [[routes]]\nmatch = \"*\"\napp = \"agent:grace\"\n{more}"
    )
}

/// Frame `n`: no two in a row alike, none silent, each with its number in it.
fn voice(n: usize) -> Vec<u8> {
    (0..160).map(|i| 0x10 | (n % 13) as u8 | if i % 2 == 0 { 0 } else { 0x80 }).collect()
}

/// With it calls begin, until somebody listens; how often it comes back is not told.
const FIRST: usize = 12;

/// The numbers of what came back.
fn numbers(audio: &[u8]) -> Vec<usize> {
    audio
        .chunks(160)
        .filter(|frame| frame.first() != Some(&0xff))
        .map(|frame| usize::from(frame[0] & 0x0f))
        .filter(|n| *n != FIRST)
        .collect()
}

/// Calls that are over, newest first.
fn calls(daemon: &Daemon) -> Vec<Value> {
    let (_, body) = rig::get(daemon.http, "/v1/calls?limit=200").expect("the API answers");
    let list: Value = serde_json::from_str(&body).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

/// The record of the call with this SID, once it has ended.
async fn ended(daemon: &Daemon, sid: &str) -> Value {
    for _ in 0..600 {
        let found = calls(daemon).into_iter().find(|call| call["details"]["sip_call_ids"][0] == sid);
        if let Some(call) = found.filter(|call| !call["ended"].is_null()) {
            return call;
        }
        pause(Duration::from_millis(100)).await;
    }
    panic!("{sid} has not ended: {:?}", calls(daemon));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_by_twilio() {
    let trunk = "[[trunks]]\nname = \"tw\"\nkind = \"twilio\"\nfrom_user = \"+15550000009\"\n";
    let daemon = Daemon::start_with(&configured(trunk));
    let twilio = Twilio { http: daemon.http };
    who_is_no_twilio_is_refused(&daemon, twilio).await;
    an_echo_is_heard_to_the_octet(&daemon, twilio).await;
    nonsense_ends_nothing_and_a_cut_socket_ends_its_call(&daemon, twilio).await;
    assert!(!daemon.log().contains(TOKEN), "the token stands in the log");
}

async fn who_is_no_twilio_is_refused(daemon: &Daemon, twilio: Twilio) {
    let fields = [("CallSid", "CA1"), ("AccountSid", ACCOUNT), ("To", "+15550000001"), ("From", "+1555")];
    let good = signed(&format!("{PUBLIC}/incoming"), &fields);
    assert_eq!(twilio.post("/incoming", &fields, "Zm9yZ2Vk").await.0, 403);
    assert_eq!(twilio.post("/incoming?x=1", &fields, &good).await.0, 403);
    assert_eq!(twilio.post("/incoming/status", &fields, &good).await.0, 403);
    assert_eq!(twilio.socket("Zm9yZ2Vk").await.err(), Some(403));
    // A token is good once, for its call.
    let document = twilio.offer("CA2", "+15550000001").await;
    let mut first = twilio.connect("CA2", &document).await;
    assert!(first.talk((0..5).map(voice), FRAME, PATIENCE, |s| !s.audio.is_empty()).await, "the first one is taken");
    for call in ["CA2", "CA3"] {
        let mut thief = Stream::new(twilio.socket(&signed("wss://phone.example.com/media", &[])).await.unwrap(), call);
        thief.start(token(&document)).await;
        assert!(thief.talk([], FRAME, PATIENCE, |s| s.closed).await || thief.closed);
        assert!(thief.audio.is_empty());
    }
    // Audio before the start.
    let mut early = Stream::new(twilio.socket(&signed("wss://phone.example.com/media", &[])).await.unwrap(), "CA4");
    assert!(early.talk([voice(1)], FRAME, PATIENCE, |s| s.closed).await || early.closed);
    let before = first.audio.len();
    assert!(first.talk((0..5).map(voice), FRAME, PATIENCE, |s| s.audio.len() > before).await, "the first one goes on");
    first.stop().await;
    assert_eq!(ended(daemon, "CA2").await["ended_by"], "caller_hung_up");
    assert!(daemon.metric("twilio_refused_total") >= 6.0);
}

async fn an_echo_is_heard_to_the_octet(daemon: &Daemon, twilio: Twilio) {
    // In real time, ten times as fast, and all at once: each is less than what may come ahead.
    for (n, every) in [FRAME, FRAME / 10, Duration::ZERO].into_iter().enumerate() {
        let call = format!("CA1{n}");
        let mut stream = twilio.call(&call, "+15550000001").await;
        // Until the first word is answered nobody listens.
        assert!(stream.talk((0..200).map(|_| voice(FIRST)), FRAME, PATIENCE, |s| !s.audio.is_empty()).await);
        pause(Duration::from_millis(300)).await;
        stream.talk([], FRAME, Duration::from_millis(500), |_| false).await;
        stream.audio.clear();
        let expected: Vec<usize> = (0..40).map(|n| n % 12).collect();
        let frames = expected.iter().map(|n| voice(*n));
        let all = stream.talk(frames, every, PATIENCE, |s| numbers(&s.audio).len() >= 40).await;
        assert_eq!(numbers(&stream.audio), expected, "{every:?} {all}");
        assert!(stream.audio.chunks(160).all(|frame| frame == voice(usize::from(frame[0] & 0x0f))), "{every:?}");
        // Marks say what was heard.
        assert!(stream.talk([], FRAME, PATIENCE, |s| s.events.len() >= 4 && s.returned == s.events.len()).await);
        assert_eq!(stream.cleared(), 0);
        // Out of order and twice: what can be put in order is, and nothing is heard twice.
        stream.audio.clear();
        for chunk in [10_001, 10_003, 10_002, 10_003, 10_004, 10_004] {
            stream.piece(chunk, &voice(chunk as usize - 10_000)).await;
        }
        stream.talk([], FRAME, PATIENCE, |s| numbers(&s.audio).contains(&4)).await;
        assert_eq!(numbers(&stream.audio), [1, 3, 4], "a socket cannot put back what is late");
        stream.stop().await;
        let record = ended(daemon, &call).await;
        assert_eq!((record["ended_by"].as_str(), record["app"].as_str()), (Some("caller_hung_up"), Some("echo")));
        assert_eq!(record["trunk"], "tw");
        assert_eq!(record["caller"], "\"Ann O'Neill\" <sip:+15551230001@twilio.invalid>");
    }
}

async fn nonsense_ends_nothing_and_a_cut_socket_ends_its_call(daemon: &Daemon, twilio: Twilio) {
    let mut good = twilio.call("CA20", "+15550000001").await;
    let mut bad = twilio.call("CA21", "+15550000001").await;
    assert!(good.talk((0..400).map(voice), FRAME, PATIENCE, |s| !s.audio.is_empty()).await);
    assert!(bad.talk((0..400).map(voice), FRAME, PATIENCE, |s| !s.audio.is_empty()).await);
    for text in
        ["", "not json", "{}", "[[[[[[", "{\"event\":\"media\"}", "{\"event\":\"mark\",\"mark\":{\"name\":\"p999\"}}"]
    {
        bad.text(text.to_owned()).await;
    }
    bad.text(format!(
        "{{\"event\":\"media\",\"streamSid\":\"{}\",\"media\":{{\"payload\":\"no base64!\"}}}}",
        bad.stream
    ))
    .await;
    bad.text(format!(
        "{{\"event\":\"media\",\"streamSid\":\"MZother\",\"media\":{{\"payload\":\"{}\"}}}}",
        "A".repeat(160)
    ))
    .await;
    let before = bad.audio.len();
    assert!(bad.talk((0..50).map(voice), FRAME, PATIENCE, |s| s.audio.len() > before).await, "it goes on");
    assert!(daemon.metric("twilio_messages_refused_total") >= 8.0);
    // Larger than a message may be: that socket is over, and no other.
    bad.text("x".repeat(100_000)).await;
    assert!(bad.talk([], FRAME, PATIENCE, |s| s.closed).await || bad.closed);
    assert_eq!(ended(daemon, "CA21").await["ended_by"], "signalling_timeout");
    let before = good.audio.len();
    assert!(good.talk((0..50).map(voice), FRAME, PATIENCE, |s| s.audio.len() > before).await);
    drop(good);
    let record = ended(daemon, "CA20").await;
    assert_eq!(record["ended_by"], "signalling_timeout");
    assert!(record["reason"].as_str().is_some_and(|why| why.starts_with("the media socket was")), "{record}");
}
