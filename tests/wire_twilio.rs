//! Calls by Twilio's media streams to a real daemon: what each side hears, who is refused, what ends a call, and calls that we
//! place or hand over.

mod rig;
mod twilio_double;

use callwright_dsp::codec::g711;
use rig::Daemon;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use twilio_double::{ACCOUNT, PUBLIC, Rest, Stream, TOKEN, Twilio, field, pause, signed, token};

const FRAME: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

fn configured(api: &str, more: &str) -> String {
    format!(
        "[twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\npublic_url = \"{PUBLIC}\"\n{api}\
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

/// A sentence as µ-law, in frames.
fn sentence(directory: &Path, text: &str) -> Vec<Vec<u8>> {
    let wav = directory.join("said.wav");
    let said = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["say", "--output"])
        .arg(&wav)
        .arg(text)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .output()
        .expect("say runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let samples: Vec<i16> =
        hound::WavReader::open(&wav).expect("a WAV").into_samples().map(|s| s.expect("a sample")).collect();
    samples
        .chunks(160)
        .map(|pcm| {
            let mut frame = vec![0xff; 160];
            g711::encode_ulaw(pcm, &mut frame[..pcm.len()]);
            frame
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_by_twilio() {
    let mut rest = Rest::start().await;
    let trunk = "[[trunks]]\nname = \"tw\"\nkind = \"twilio\"\nfrom_user = \"+15550000009\"\n";
    let api = format!("api_url = \"{}\"\n", rest.base);
    let daemon = Daemon::start_with(&configured(&api, trunk));
    let twilio = Twilio { http: daemon.http };
    who_is_no_twilio_is_refused(&daemon, twilio).await;
    an_echo_is_heard_to_the_octet(&daemon, twilio).await;
    nonsense_ends_nothing_and_a_cut_socket_ends_its_call(&daemon, twilio).await;
    the_agent_talks_listens_and_is_interrupted(&daemon, twilio).await;
    we_call_by_twilio(&daemon, twilio, &mut rest).await;
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

async fn the_agent_talks_listens_and_is_interrupted(daemon: &Daemon, twilio: Twilio) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (hello, wait) = (
        sentence(directory.path(), "I need a simple app to track my customers."),
        sentence(directory.path(), "No wait, stop please, I have a question about something else."),
    );
    let mut stream = twilio.call("CA30", "+15550000002").await;
    let voiced =
        |s: &Stream| s.audio.chunks(160).filter(|frame| frame.iter().any(|o| !matches!(o, 0xff | 0x7f))).count();
    assert!(stream.talk([], FRAME, PATIENCE, |s| voiced(s) > 50).await, "a greeting of more than a second");
    // Until it is over.
    assert!(stream.talk([], FRAME, PATIENCE, |s| s.quiet() > Duration::from_millis(1500) && s.returned > 0).await);
    // Into the answer. On a machine that stands still for long it may be over before; then once more.
    for _ in 0..6 {
        let (before, answered) = (stream.cleared(), voiced(&stream));
        assert!(
            stream.talk(hello.clone(), FRAME, PATIENCE, |s| voiced(s) > answered + 25).await,
            "it answers what was said"
        );
        if stream.talk(wait.clone(), FRAME, Duration::from_secs(8), |s| s.cleared() > before).await {
            break;
        }
    }
    assert!(stream.cleared() > 0, "what was not heard is cleared");
    stream.press('1').await;
    stream.talk([], FRAME, Duration::from_secs(1), |_| false).await;
    stream.stop().await;
    let record = ended(daemon, "CA30").await;
    assert_eq!(record["media"]["digits"], 1, "{record}");
    let conversation = record["conversation_id"].as_str().expect("a conversation");
    let (_, body) = rig::get(daemon.http, &format!("/v1/conversations/{conversation}")).expect("the API answers");
    let turns: Value = serde_json::from_str(&body).expect("JSON");
    let turns = turns["turns"].as_array().expect("turns").clone();
    assert!(turns.iter().any(|turn| turn["who"] == "caller"), "{turns:?}");
    let cut = turns.iter().find(|turn| turn["who"] == "agent" && !turn["heard"].is_null());
    let cut = cut.unwrap_or_else(|| panic!("no turn was cut: {turns:?}"));
    assert!(cut["heard"].as_str().expect("text").len() < cut["text"].as_str().expect("text").len(), "{cut}");
}

/// Places a call by the trunk; what Twilio was asked for it.
async fn placed(daemon: &Daemon, rest: &mut Rest) -> (String, Vec<(String, String)>) {
    let wish = r#"{"to":"+15557654321","trunk":"tw","app":"echo"}"#;
    let (status, body) =
        rig::request(daemon.http, "POST", "/v1/calls", "application/json", wish).expect("the API answers");
    assert!(matches!(status, 201 | 202), "{status} {body}");
    let call: Value = serde_json::from_str(&body).expect("JSON");
    let (path, fields) = rest.asked().await;
    assert!(path.ends_with("/calls.json"), "{path}");
    assert_eq!((field(&fields, "To"), field(&fields, "From")), ("+15557654321", "+15550000009"));
    (call["id"].as_str().expect("an id").to_owned(), fields)
}

/// The record of a call that we placed, once it has ended.
async fn ended_as(daemon: &Daemon, id: &str) -> Value {
    for _ in 0..600 {
        let (_, body) = rig::get(daemon.http, &format!("/v1/calls/{id}")).expect("the API answers");
        let call: Value = serde_json::from_str(&body).unwrap_or_default();
        if call["state"] == "ended" && !call["ended"].is_null() {
            return call;
        }
        pause(Duration::from_millis(100)).await;
    }
    panic!("{id} has not ended");
}

async fn we_call_by_twilio(daemon: &Daemon, twilio: Twilio, rest: &mut Rest) {
    // It rings, is answered, and is ended by order.
    let (id, fields) = placed(daemon, rest).await;
    let callback = field(&fields, "StatusCallback").strip_prefix(PUBLIC).expect("our address").to_owned();
    let tell = async |sid: &str, callback: &str, status: &str| {
        let fields = [("CallSid", sid), ("AccountSid", ACCOUNT), ("CallStatus", status)];
        let signature = signed(&format!("{PUBLIC}{callback}"), &fields);
        assert_eq!(twilio.post(callback, &fields, &signature).await.0, 204, "{status}");
    };
    tell("CA901", &callback, "ringing").await;
    let mut stream = twilio.connect("CA901", field(&fields, "Twiml")).await;
    assert!(stream.talk((0..400).map(voice), FRAME, PATIENCE, |s| s.audio.len() > 1600).await, "it is an echo");
    let (status, body) = rig::request(daemon.http, "POST", &format!("/v1/calls/{id}/hangup"), "application/json", "{}")
        .expect("an answer");
    assert_eq!(status, 204, "{body}");
    assert!(stream.talk([], FRAME, PATIENCE, |s| s.closed).await || stream.closed);
    let record = ended_as(daemon, &id).await;
    assert_eq!(
        (record["ended_by"].as_str(), record["trunk"].as_str()),
        (Some("operator_hung_up"), Some("tw")),
        "{record}"
    );
    // It is busy.
    let (id, fields) = placed(daemon, rest).await;
    let callback = field(&fields, "StatusCallback").strip_prefix(PUBLIC).expect("our address").to_owned();
    tell("CA902", &callback, "busy").await;
    let record = ended_as(daemon, &id).await;
    assert_eq!((record["ended_by"].as_str(), record["sip_code"].as_u64()), (Some("busy"), Some(486)), "{record}");
    // A caller is handed to a number by Twilio itself.
    let mut caller = twilio.call("CA50", "+15550000001").await;
    assert!(caller.talk((0..400).map(voice), FRAME, PATIENCE, |s| !s.audio.is_empty()).await);
    let live: Value =
        serde_json::from_str(&rig::get(daemon.http, "/v1/calls").expect("the API answers").1).expect("JSON");
    let id = live["live"][0]["id"].as_str().expect("one call is up").to_owned();
    let to = r#"{"to":"tel:+15557654321","by":"refer"}"#;
    let (status, body) = rig::request(daemon.http, "POST", &format!("/v1/calls/{id}/transfer"), "application/json", to)
        .expect("an answer");
    assert_eq!(status, 202, "{body}");
    let fields = loop {
        // The busy one may have ended before its SID was known; then it is ended there as well.
        let (path, fields) = rest.asked().await;
        if path.ends_with("/calls/ca50.json") {
            break fields;
        }
        assert!(path.ends_with("/calls/ca902.json"), "{path}");
    };
    assert!(field(&fields, "Twiml").contains("<Number>+15557654321</Number>"), "{fields:?}");
    assert!(caller.talk([], FRAME, PATIENCE, |s| s.closed).await || caller.closed);
    assert_eq!(ended(daemon, "CA50").await["ended_by"], "operator_hung_up");
}
