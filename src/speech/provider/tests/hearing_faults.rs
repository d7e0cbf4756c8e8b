//! Turns that the local engine has to hear: whatever the provider does, the caller is understood.

use super::doubles::deepgram::{self, Script};
use super::doubles::{Double, Exchange, openai};
use super::*;
use crate::speech::recogniser::LineMemory;
use callwright_models::asr::Hypothesis;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

/// A local engine that tells how much it has heard.
struct Local {
    heard: [Vec<i16>; 2],
    begins: Result<(), String>,
    finished: Vec<(usize, Finished)>,
}

impl Local {
    fn boxed(begins: Result<(), String>) -> Box<dyn Recogniser> {
        Box::new(Self { heard: [Vec::new(), Vec::new()], begins, finished: Vec::new() })
    }
}

impl Recogniser for Local {
    fn places(&self) -> usize {
        2
    }

    fn begin(&mut self, place: usize, _: Expectation, memory: &LineMemory) -> Result<(), String> {
        assert_eq!(memory.as_deref(), Some("line"), "it begins with what it knows of the line");
        self.heard[place].clear();
        self.begins.clone()
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        assert!(samples.len() <= 2000, "{} samples at once keep other turns waiting", samples.len());
        self.heard[place].extend_from_slice(samples);
        Ok(())
    }

    fn partial(&mut self, place: usize) -> String {
        format!("local {}", self.heard[place].len())
    }

    fn finish(&mut self, place: usize) {
        let text = format!("local {:?}", checksum(&self.heard[place]));
        let heard = Ok(Hypothesis { text, ..Hypothesis::default() });
        self.finished.push((place, Finished { heard, memory: Some("learnt".into()) }));
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.finished.pop()
    }

    fn abandon(&mut self, place: usize) {
        self.heard[place].clear();
    }
}

/// How much, and what.
fn checksum(samples: &[i16]) -> (usize, i64) {
    (samples.len(), samples.iter().enumerate().map(|(n, sample)| n as i64 * i64::from(*sample)).sum())
}

/// Both engines as one, and the gate.
fn both(provider: Provider, config: ProviderConfig) -> (WithLocal, Arc<Gate>) {
    let (remote, gate) = listener(provider, config);
    (WithLocal::new(provider.name(), Box::new(remote), Local::boxed(Ok(()))), gate)
}

fn memory() -> LineMemory {
    Some("line".into())
}

/// One turn; its words.
fn turn(engine: &mut WithLocal, samples: &[i16]) -> String {
    engine.begin(0, Expectation::Open, &memory()).unwrap();
    say(engine, 0, samples);
    finished(engine).1.heard.unwrap().text
}

fn locally(samples: &[i16]) -> String {
    format!("local {:?}", checksum(samples))
}

/// A provider that behaves like this makes the local engine hear the whole turn, and is noted for `outcome` after three.
fn is_made_up_for(name: &str, url: String, provider: Provider, why: &str) {
    makes_up(name, provider, config(url), why);
}

fn makes_up(name: &str, provider: Provider, config: ProviderConfig, why: &str) {
    let (mut engine, gate) = both(provider, config);
    for n in 0..3 {
        let samples = audio(n);
        assert_eq!(turn(&mut engine, &samples), locally(&samples), "{name}");
    }
    let note = gate.note().unwrap_or_default();
    assert!(note.contains(why), "{name}: {note}");
    assert!(!note.contains("k-123"), "{name}: a key in a note");
    // From now on nobody waits for it.
    let samples = audio(9);
    engine.begin(0, Expectation::Open, &memory()).unwrap();
    say(&mut engine, 0, &samples);
    assert_eq!(finished(&mut engine).1.memory.as_deref(), Some("learnt"));
    assert!(!engine.is_pending());
}

#[test]
fn answers_that_refuse() {
    type Answer = fn(&mut Exchange);
    let answers: [(&str, Answer, &str); 4] = [
        ("5xx", |e| e.answer("500 Internal Server Error", &[], b"oops k-123"), "a fault at the provider (500"),
        (
            "4xx",
            |e| e.answer("400 Bad Request", &[], b"{\"err_code\":\"Bad Request\",\"err_msg\":\"no such model\"}"),
            "no such model",
        ),
        ("no upgrade", |e| e.answer("200 OK", &[], b"hello"), "refused the request (200"),
        ("429", |e| e.answer("429 Too Many Requests", &[], deepgram::TOO_MANY.as_bytes()), "too many requests"),
    ];
    for (name, answer, why) in answers {
        let double = Double::start(move |mut exchange| answer(&mut exchange));
        is_made_up_for(name, double.url(), Provider::Deepgram, why);
        assert_eq!(double.seen().len(), 3, "{name}: asked three times, then left alone");
    }
}

#[test]
fn a_refused_key_is_asked_once() {
    let double =
        Double::start(|mut exchange| exchange.answer("401 Unauthorized", &[], deepgram::INVALID_AUTH.as_bytes()));
    let (mut engine, gate) = both(Provider::Deepgram, config(double.url()));
    for n in 0..4 {
        let samples = audio(n);
        assert_eq!(turn(&mut engine, &samples), locally(&samples));
    }
    assert_eq!(double.seen().len(), 1);
    let note = gate.note().unwrap();
    assert!(note.contains("not asked any more") && note.contains("401 INVALID_AUTH"), "{note}");
}

#[test]
fn a_provider_that_asks_to_wait_is_left_alone_at_once() {
    let double = Double::start(|mut exchange| {
        exchange.answer("429 Too Many Requests", &[("retry-after", "30")], openai::RATE_LIMIT.as_bytes());
    });
    let (mut engine, gate) = both(Provider::OpenAi, config(double.url()));
    for n in 0..3 {
        let samples = audio(n);
        assert_eq!(turn(&mut engine, &samples), locally(&samples));
    }
    assert_eq!(double.seen().len(), 1);
    assert!(gate.note().unwrap().contains("it asks to wait 30 s"), "{:?}", gate.note());
}

#[test]
fn nobody_listens_there() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    is_made_up_for("refused", format!("http://{free}"), Provider::Deepgram, "cannot be reached");
    is_made_up_for("refused", format!("http://{free}"), Provider::OpenAi, "cannot be reached");
}

#[test]
fn silence_is_waited_for_as_long_as_configured() {
    // Accepts and never says a word; and one that says it a letter at a time.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    makes_up("silent", Provider::Deepgram, impatient(url), "no answer within 200 ms");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let after_handshake = Double::start(|exchange| {
        deepgram::listen(exchange, &Script::default());
    });
    makes_up("after the handshake", Provider::Deepgram, impatient(after_handshake.url()), "no answer within 200 ms");
    let slow = Double::start(|mut exchange| {
        exchange.begin("text/event-stream");
        for octet in openai::done("too late", &[-0.1]).bytes() {
            if !exchange.piece(&[octet]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    makes_up("a letter at a time", Provider::OpenAi, impatient(slow.url()), "no answer within 200 ms");
}

#[test]
fn what_is_said_is_not_as_documented() {
    let said = [
        ("no JSON", "{\"type\":", "not as documented"),
        ("no results", "{\"type\":\"Results\"}", "not as documented"),
        ("wrong types", "{\"type\":\"Results\",\"channel\":{\"alternatives\":\"none\"}}", "not as documented"),
        ("an error", deepgram::ERROR, "could not parse a client message"),
    ];
    for (name, message, why) in said {
        let script = Script { finalized: vec![message.to_owned()], close: Some((1000, "")), ..Script::default() };
        let double = Double::start(move |exchange| {
            deepgram::listen(exchange, &script);
        });
        is_made_up_for(name, double.url(), Provider::Deepgram, why);
    }
    let huge = Double::start(|exchange| {
        let script = Script { early: vec!["x".repeat((1 << 20) + 1)], ..Script::default() };
        deepgram::listen(exchange, &script);
    });
    is_made_up_for("oversized", huge.url(), Provider::Deepgram, "too large");
    let endless = Double::start(|mut exchange| {
        exchange.begin("text/event-stream");
        while exchange.piece(&[b'x'; 1 << 16]) {}
    });
    is_made_up_for("a line without end", endless.url(), Provider::OpenAi, "too large");
    let broken = Double::start(|mut exchange| {
        exchange.begin("text/event-stream");
        exchange.piece(openai::delta("half a").as_bytes());
        exchange.end();
    });
    is_made_up_for("no end", broken.url(), Provider::OpenAi, "before the end of the transcript");
    let error = Double::start(|mut exchange| {
        exchange.begin("text/event-stream");
        exchange.piece(b"data: {\"type\":\"error\",\"error\":{\"message\":\"The server had an error\"}}\n\n");
        exchange.end();
    });
    is_made_up_for("an error within", error.url(), Provider::OpenAi, "The server had an error");
}

#[test]
fn no_websocket_server_or_a_false_one() {
    let double = Double::start(|mut exchange| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: no\r\n\r\n";
        let _ = exchange.stream.write_all(head.as_bytes());
        exchange.wait_for_the_end();
    });
    is_made_up_for("false accept", double.url(), Provider::Deepgram, "no WebSocket server");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream: TcpStream = stream.unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    is_made_up_for("no HTTP", url, Provider::Deepgram, "midway");
}

#[test]
fn a_connection_that_breaks_while_the_caller_speaks_is_made_up_for_before_the_turn_ends() {
    let double = Double::start(|exchange| {
        let mut socket = exchange.upgrade();
        while let Ok(message) = socket.read() {
            if message.is_binary() {
                // NET-0000 of /docs/stt-troubleshooting-websocket-data-and-net-errors
                let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                    code: 1011.into(),
                    reason: "NET-0000".into(),
                };
                let _ = socket.close(Some(frame));
            }
        }
    });
    let (mut engine, gate) = both(Provider::Deepgram, config(double.url()));
    engine.begin(0, Expectation::Open, &memory()).unwrap();
    let mut samples = Vec::new();
    let partial = drive(&mut engine, |engine| {
        samples.extend_from_slice(&[5; 160]);
        engine.accept(0, &[5; 160]).unwrap();
        Some(engine.partial(0)).filter(|partial| partial.starts_with("local"))
    });
    assert!(partial.starts_with("local"), "{partial}");
    engine.accept(0, &audio(1)).unwrap();
    samples.extend(audio(1));
    engine.finish(0);
    assert_eq!(finished(&mut engine).1.heard.unwrap().text, locally(&samples), "from the first sample on");
    assert_eq!(gate.note(), None, "once is no pattern");
}

#[test]
fn good_turns_between_bad_ones_stay_remote() {
    let double = Double::start(|mut exchange| {
        if exchange.before.is_multiple_of(4) {
            exchange.answer("503 Service Unavailable", &[], b"");
        } else {
            deepgram::listen(exchange, &deepgram::turn());
        }
    });
    let (mut engine, gate) = both(Provider::Deepgram, config(double.url()));
    for n in 0..12 {
        let expected = if n % 4 == 0 { locally(&audio(n)) } else { "yes build".to_owned() };
        assert_eq!(turn(&mut engine, &audio(n)), expected, "turn {n}");
    }
    assert_eq!(gate.note(), None);
}

#[test]
fn a_turn_that_neither_engine_hears_is_answered() {
    let double = Double::start(|mut exchange| exchange.answer("500 Internal Server Error", &[], b""));
    let (remote, _) = listener(Provider::Deepgram, config(double.url()));
    let mut engine = WithLocal::new("deepgram", Box::new(remote), Local::boxed(Err("no model".into())));
    for n in 0..3 {
        engine.begin(0, Expectation::Open, &memory()).unwrap();
        say(&mut engine, 0, &audio(n));
        let why = finished(&mut engine).1.heard.unwrap_err();
        assert!(why.contains("500") && why.contains("no model"), "{why}");
    }
    let why = engine.begin(0, Expectation::Open, &memory()).unwrap_err();
    assert!(why.contains("left alone") && why.contains("no model"), "{why}");
}

#[test]
fn a_call_that_goes_while_the_local_engine_catches_up_is_forgotten() {
    let double = Double::start(|mut exchange| exchange.answer("500 Internal Server Error", &[], b""));
    let (mut engine, _) = both(Provider::Deepgram, config(double.url()));
    engine.begin(1, Expectation::Open, &memory()).unwrap();
    say(&mut engine, 1, &audio(1));
    drive(&mut engine, |engine| {
        assert!(engine.poll_finished().is_none(), "it has a second to catch up with, in slices");
        engine.partial(1).starts_with("local").then_some(())
    });
    engine.abandon(1);
    assert!(!engine.is_pending());
    assert!(engine.poll_finished().is_none());
    assert_eq!(turn(&mut engine, &audio(2)), locally(&audio(2)));
}

/// Dead providers are no longer than deadlines: many turns at once on both places, with everything that can go wrong.
#[test]
fn every_turn_is_answered_whatever_happens() {
    let faults = Mutex::new(0_usize);
    let double = Double::start(move |mut exchange| {
        let n = {
            let mut n = faults.lock().unwrap();
            *n += 1;
            *n
        };
        match n % 5 {
            0 => exchange.answer("500 Internal Server Error", &[], b""),
            1 => drop(exchange),
            2 => {
                deepgram::listen(exchange, &Script { finalized: vec!["?".into()], ..Script::default() });
            }
            _ => {
                deepgram::listen(exchange, &deepgram::turn());
            }
        }
    });
    let (mut engine, _) = both(Provider::Deepgram, impatient(double.url()));
    for n in 0..12 {
        for place in [0, 1] {
            engine.begin(place, Expectation::Open, &memory()).unwrap();
            say(&mut engine, place, &audio(n));
        }
        let mut places = [finished(&mut engine), finished(&mut engine)].map(|(place, result)| {
            let text = result.heard.unwrap().text;
            assert!(text == "yes build" || text == locally(&audio(n)), "{text}");
            place
        });
        places.sort_unstable();
        assert_eq!(places, [0, 1]);
    }
}
