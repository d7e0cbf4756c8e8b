//! What a caller hears when something stands still, by real calls: the voice of a provider that takes a clause and brings no sound
//! of it, or only its beginning; an app that takes a question and does not answer it, or not to its end. And what becomes of the
//! question when the caller interrupts.

#[allow(dead_code, reason = "each test file uses its part")]
mod provider_doubles;
mod rig;

use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use callwright_models::tts::Flite;
use provider_doubles::{Double, Exchange};
use rig::order::{self, ORDER};
use rig::{Daemon, eventually, get, request};
use serde_json::Value;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(60);
/// An app is given up after 3 s, counted from a little before it reads the question.
const APP_WAIT: Duration = Duration::from_millis(2500);

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// What the agent and its caller said in the newest call, in order.
fn said(daemon: &Daemon) -> Vec<String> {
    let call = json_of(daemon, "/v1/calls")["items"][0].clone();
    let conversation =
        json_of(daemon, &format!("/v1/conversations/{}", call["conversation_id"].as_str().unwrap_or("")));
    let turns = conversation["turns"].as_array().cloned().unwrap_or_default();
    turns.iter().map(|turn| turn["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn call(daemon: &Daemon, steps: &[&str]) {
    let all: Vec<&str> = ORDER[..1].iter().chain(steps).copied().collect();
    if let Err(shown) = order::call(daemon.sip, "300", "ann", &all) {
        panic!("{shown}\n{}", daemon.log());
    }
}

/// How the provider's voice sounds: 24 kHz, 16 bit, little endian.
fn voice(text: &str) -> Vec<u8> {
    let mut flite = Flite::load(&Assets::locate(), "rms").unwrap_or_else(|e| panic!("{e}; run `make setup`"));
    let (mut resampler, mut octets) = (Resampler::new(Rate::Hz16000, Rate::Hz24000), Vec::new());
    flite.speak(text, &mut |chunk| {
        let mut out = vec![0; chunk.len() * 2];
        let written = resampler.process(chunk, &mut out).written;
        octets.extend(out[..written].iter().flat_map(|sample| sample.to_le_bytes()));
        ControlFlow::Continue(())
    });
    octets
}

/// A call with a provider's voice that brings nothing of what is read back, or two fifths of it and no end. What was said.
fn with_a_voice(stall: Stall) -> String {
    // Clauses that the provider never finished, and that we have let go of.
    let let_go = Arc::new(Mutex::new(0));
    let count = Arc::clone(&let_go);
    let double = Double::start(move |mut exchange: Exchange| {
        let body: Value = serde_json::from_slice(&exchange.request.body).unwrap_or_default();
        let text = body["input"].as_str().unwrap_or_default().to_owned();
        let stalls = text.contains("what I have");
        if !stalls || stall == Stall::Half {
            let speech = voice(&text);
            exchange.begin("audio/pcm");
            exchange.piece(if stalls { &speech[..speech.len() * 2 / 5] } else { &speech });
        }
        if !stalls {
            return exchange.end();
        }
        exchange.wait_for_the_end();
        *count.lock().unwrap() += 1;
    });
    let keys = tempfile::tempdir().expect("a directory");
    let key = keys.path().join("key");
    std::fs::write(&key, "k-123\n").expect("a key");
    let daemon = Daemon::start_with(&format!(
        "[speech]\nvoice = \"openai:alloy\"\n[providers.openai]\napi_key_file = {key:?}\nurl = {:?}\nvoice_deadline_ms = 3000\n",
        double.url()
    ));
    // The greeting is asked for ahead.
    assert!(eventually(PATIENCE, || !double.seen().is_empty()), "{}", daemon.log());
    call(
        &daemon,
        &[
            "label = \"order\"\nsay = \"Build me a C R M with contacts and deals.\"",
            "label = \"read-back\"\nexpect = [\"deals\", \"shall i build it\"]\ntimeout = 60",
            "hang_up = true",
        ],
    );
    let told = || said(&daemon).join(" ");
    assert!(eventually(PATIENCE, || told().contains("Shall I build it?")), "{}", told());
    assert!(eventually(PATIENCE, || *let_go.lock().unwrap() == 1), "it was asked once, and let go of");
    assert!(daemon.metric("tts_voice_fallbacks_total") >= 1.0, "{}", daemon.log());
    told()
}

#[test]
fn a_voice_that_brings_nothing_is_stood_in_for_and_the_wait_is_filled() {
    let told = with_a_voice(Stall::Mute);
    let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
    assert!(at("One moment.") < at("Here is what I have."), "{told}");
}

#[test]
fn a_voice_that_stops_in_a_sentence_is_stood_in_for() {
    let told = with_a_voice(Stall::Half);
    assert_eq!(told.matches("Here is what I have.").count(), 1, "{told}");
}

/// What something that stands still does with what it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stall {
    /// Nothing.
    Mute,
    /// It begins to answer.
    Half,
}

/// A question that was not answered: how long until we let go of it, once we have.
type Asked = Arc<Mutex<Vec<Option<Duration>>>>;

/// Stands where an app did: what is asked about it is not answered, everything else is passed on.
fn stand_still(app: &Path, how: Stall) -> Asked {
    let behind = app.with_extension("behind");
    std::fs::rename(app, &behind).expect("the app's socket");
    let listener = UnixListener::bind(app).expect("a socket in its place");
    let asked = Asked::default();
    let all = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (behind, all) = (behind.clone(), Arc::clone(&all));
            std::thread::spawn(move || exchange(stream, &behind, how, &all));
        }
    });
    asked
}

fn exchange(mut stream: UnixStream, behind: &Path, how: Stall, all: &Asked) {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut octet) {
            Ok(1) => head.push(octet[0]),
            _ => return,
        }
    }
    if !head.starts_with(b"GET /_/meta") {
        let Ok(mut app) = UnixStream::connect(behind) else { return };
        let _ = app.write_all(&head);
        let _ = std::io::copy(&mut app, &mut stream);
        return;
    }
    let begun = Instant::now();
    let number = {
        let mut all = all.lock().unwrap();
        all.push(None);
        all.len() - 1
    };
    if how == Stall::Half {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"apis\":");
    }
    // Until the other side goes.
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    all.lock().unwrap()[number] = Some(begun.elapsed());
}

/// A daemon whose agent fills a wait soon, with a CRM that stands still.
fn with_a_crm(how: Stall) -> (Daemon, Asked) {
    let daemon = Daemon::start_with("[[agents]]\nname = \"grace\"\nfiller_after_ms = 500\n");
    let manifest = r#"{"build_type": "build_crm", "title": "CRM", "features": ["contacts"]}"#;
    let (status, body) = request(daemon.http, "POST", "/v1/builds", "application/json", manifest).expect("an answer");
    assert_eq!(status, 202, "{body}");
    let tracked = || json_of(&daemon, "/v1/builds")["items"][0]["stage"] == "tracked";
    assert!(eventually(PATIENCE, tracked), "{}", json_of(&daemon, "/v1/builds"));
    let files = std::fs::read_dir(daemon.data.join("live")).expect("the apps' sockets").flatten();
    let sockets: Vec<PathBuf> =
        files.map(|file| file.path()).filter(|file| file.extension().is_some_and(|e| e == "sock")).collect();
    let [socket] = sockets.as_slice() else { panic!("one app: {sockets:?}") };
    let asked = stand_still(socket, how);
    (daemon, asked)
}

#[test]
fn an_app_that_breaks_off_is_waited_for_with_a_filler_and_then_said_to_be_silent() {
    let (daemon, asked) = with_a_crm(Stall::Half);
    call(
        &daemon,
        &[
            "label = \"question\"\nsay = \"How is it doing?\"",
            "label = \"report\"\nexpect = [\"one moment\", \"does not answer\"]\ntimeout = 60",
            "hang_up = true",
        ],
    );
    let told = || said(&daemon).join(" ");
    assert!(eventually(PATIENCE, || told().contains("does not answer at the moment.")), "{}", told());
    let told = told();
    assert!(told.find("One moment.") < told.find("The CRM is deployed, but does not answer at the moment."), "{told}");
    assert_eq!(told.matches("does not answer").count(), 1, "{told}");
    let asked = asked.lock().unwrap().clone();
    assert!(matches!(asked[..], [Some(waited)] if waited >= APP_WAIT), "asked once, and waited for: {asked:?}");
}

#[test]
fn who_interrupts_a_look_up_ends_it_and_is_not_told_of_it() {
    let (daemon, asked) = with_a_crm(Stall::Mute);
    // A machine that stands still for two seconds may give the app up before the interruption is judged.
    for attempt in 1.. {
        call(
            &daemon,
            &[
                "label = \"question\"\nsay = \"How is it doing?\"",
                "label = \"interruption\"\nsay = \"No, build me a website with a blog.\"\ninterrupt_after = 0.1",
                "label = \"read-back\"\nexpect = [\"website\", \"shall i build it\"]\ntimeout = 60",
                "hang_up = true",
            ],
        );
        let all = asked.lock().unwrap().clone();
        assert_eq!(all.len(), attempt, "each call asked once: {all:?}");
        let waited = all[attempt - 1].expect("nobody waits for it any more");
        if waited < APP_WAIT {
            break;
        }
        assert!(attempt < 3, "it was waited for to the end: {all:?}");
    }
    let told = || said(&daemon).join(" ");
    assert!(eventually(PATIENCE, || told().contains("Shall I build it?")), "{}", told());
    let told = told();
    assert!(told.contains("One moment.") && told.contains("A website with pages and a blog."), "{told}");
    assert!(!told.contains("CRM") && !told.contains("does not answer"), "{told}");
}
