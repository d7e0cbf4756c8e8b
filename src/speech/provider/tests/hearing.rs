//! Turns that go well.

use super::doubles::deepgram::{self, Listened, Script};
use super::doubles::{Double, openai};
use super::*;
use crate::speech::provider::deepgram_listen::DeepgramListen;
use std::sync::Mutex;

/// A Deepgram that answers every turn by the script, and what it was sent.
fn deepgram(script: Script) -> (Double, Arc<Mutex<Vec<Listened>>>) {
    let listened = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&listened);
    let double = Double::start(move |exchange| {
        let heard = deepgram::listen(exchange, &script);
        all.lock().unwrap().push(heard);
    });
    (double, listened)
}

fn wait_for(listened: &Mutex<Vec<Listened>>, turns: usize) {
    let until = Instant::now() + PATIENCE;
    while listened.lock().unwrap().len() < turns {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn deepgram_hears_a_turn_as_it_is_spoken() {
    let (double, listened) = deepgram(deepgram::turn());
    let (mut engine, gate) = listener(Provider::Deepgram, config(double.url()));
    let memory = Some("the line".to_owned());
    engine.begin(0, Expectation::Open, &memory).unwrap();
    assert!(!engine.is_pending(), "a thread need not look before the end of the turn");
    let samples = audio(7);
    for frame in samples.chunks(160) {
        engine.accept(0, frame).unwrap();
    }
    drive(&mut engine, |engine| (engine.partial(0) == "yes").then_some(()));
    engine.finish(0);
    assert!(engine.is_pending());
    let (place, result) = finished(&mut engine);
    let heard = result.heard.unwrap();
    assert_eq!((place, heard.text.as_str()), (0, "yes build"));
    let words: Vec<_> = heard.words.iter().map(|w| (w.word.as_str(), w.start_ms, w.end_ms)).collect();
    assert_eq!(words, [("yes", 100, 400), ("build", 500, 800)]);
    assert!((heard.confidence - (0.99_f32 * 0.81).sqrt()).abs() < 1e-3, "{}", heard.confidence);
    assert_eq!(result.memory, memory, "what the local engine knew of the line is kept");
    assert!(!engine.is_pending());
    assert_eq!(gate.note(), None);

    wait_for(&listened, 1);
    let turn = &listened.lock().unwrap()[0];
    assert_eq!(turn.samples, samples);
    assert_eq!(turn.controls, ["Finalize", "CloseStream"]);
    let request = &double.seen()[0];
    assert!(request.target.starts_with("/v1/listen?"), "{}", request.target);
    assert_eq!(request.header("authorization"), Some("Token k-123"));
    for (name, value) in [
        ("model", "nova-3"),
        ("encoding", "linear16"),
        ("sample_rate", "8000"),
        ("interim_results", "true"),
        ("endpointing", "false"),
    ] {
        assert_eq!(request.query(name), [value], "{name}");
    }
    assert_eq!(request.query("keyterm"), ["Callwright", "deal flow"]);
}

#[test]
fn deepgram_may_end_without_saying_that_it_has_finalized() {
    // "not guaranteed if there is no significant amount of audio data to process" (/docs/finalize)
    let word = [("no", 0.1, 0.3, 0.9)];
    let results = || vec![deepgram::results(&word, true, false)];
    let interim = || vec![deepgram::results(&word, false, false)];
    let endings = [
        Script { closing: results(), close: Some((1000, "")), ..Script::default() },
        Script { early: results(), closing: vec![deepgram::METADATA.into()], ..Script::default() },
        Script { early: interim(), close: Some((1000, "")), ..Script::default() },
    ];
    for script in endings {
        let (double, _) = deepgram(script);
        let (mut engine, _) = listener(Provider::Deepgram, config(double.url()));
        engine.begin(1, Expectation::YesNo, &None).unwrap();
        say(&mut engine, 1, &audio(1));
        let (place, result) = finished(&mut engine);
        assert_eq!((place, result.heard.unwrap().text), (1, "no".to_owned()));
    }
}

#[test]
fn a_connection_without_audio_is_kept_alive() {
    // "no audio data or KeepAlive messages within a 10-second window" closes it (/docs/audio-keep-alive)
    let (double, listened) = deepgram(deepgram::turn());
    let listener = DeepgramListen::new(config(double.url()), &[]).unwrap().keeping_alive(Duration::from_millis(20));
    let cloud = Cloud::start().unwrap();
    let gate = cloud.gate(Provider::Deepgram, Part::Asr);
    let mut engine = RemoteRecogniser::new(cloud, Arc::new(listener), gate, PATIENCE, 1);
    engine.begin(0, Expectation::Open, &None).unwrap();
    drive(&mut engine, |_| (!double.seen().is_empty()).then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    say(&mut engine, 0, &audio(1));
    assert_eq!(finished(&mut engine).1.heard.unwrap().text, "yes build");
    wait_for(&listened, 1);
    let listened = listened.lock().unwrap();
    assert_eq!(listened[0].samples, audio(1), "signs of life are no audio");
    let (last, alive) = (&listened[0].controls[listened[0].controls.len() - 2..], &listened[0].controls[0]);
    assert_eq!((alive.as_str(), last), ("KeepAlive", &["Finalize".to_owned(), "CloseStream".to_owned()][..]));
}

#[test]
fn older_models_are_asked_as_they_understand() {
    let (double, _) = deepgram(deepgram::turn());
    let older = ProviderConfig { model: Some("nova-2-phonecall".into()), ..config(double.url()) };
    let (mut engine, _) = listener(Provider::Deepgram, older);
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &audio(1));
    finished(&mut engine).1.heard.unwrap();
    let request = &double.seen()[0];
    assert_eq!((request.query("model"), request.query("keyterm")), (vec!["nova-2-phonecall".to_owned()], vec![]));
    assert_eq!(request.query("keywords"), ["Callwright", "deal flow"]);
    let double = Double::start(|mut exchange| {
        exchange.answer("200 OK", &[("content-type", "application/json")], openai::WHOLE.as_bytes());
    });
    let whisper = ProviderConfig { model: Some("whisper-1".into()), ..config(double.url()) };
    let (mut engine, _) = listener(Provider::OpenAi, whisper);
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &audio(1));
    finished(&mut engine).1.heard.unwrap();
    assert!(!String::from_utf8_lossy(&double.seen()[0].body).contains("logprobs"), "it has none, and refuses");
}

#[test]
fn silence_is_an_empty_result() {
    let (double, _) = deepgram(Script {
        finalized: vec![deepgram::results(&[], true, true)],
        close: Some((1000, "")),
        ..Script::default()
    });
    let (mut engine, gate) = listener(Provider::Deepgram, config(double.url()));
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &[0; 800]);
    let heard = finished(&mut engine).1.heard.unwrap();
    assert_eq!((heard.text.as_str(), heard.confidence), ("", 0.0));
    assert_eq!(gate.note(), None);
}

#[test]
fn turns_at_once_do_not_mix() {
    let double = Double::start(|exchange| {
        let word = if exchange.before.is_multiple_of(2) { "one" } else { "two" };
        let finalized = vec![deepgram::results(&[(word, 0.0, 0.5, 0.9)], true, true)];
        deepgram::listen(exchange, &Script { finalized, close: Some((1000, "")), ..Script::default() });
    });
    let (mut engine, _) = listener(Provider::Deepgram, config(double.url()));
    for _ in 0..3 {
        // One after the other, so that the double knows which comes first.
        for place in [0, 1] {
            let before = double.seen().len();
            engine.begin(place, Expectation::Open, &None).unwrap();
            drive(&mut engine, |_| (double.seen().len() > before).then_some(()));
        }
        say(&mut engine, 1, &audio(1));
        say(&mut engine, 0, &audio(2));
        let mut heard: Vec<_> =
            (0..2).map(|_| finished(&mut engine)).map(|(place, r)| (place, r.heard.unwrap().text)).collect();
        heard.sort();
        assert_eq!(heard, [(0, "one".to_owned()), (1, "two".to_owned())]);
    }
}

#[test]
fn a_call_that_is_gone_ends_its_connection_and_frees_its_place() {
    let (double, listened) = deepgram(deepgram::turn());
    let (mut engine, gate) = listener(Provider::Deepgram, config(double.url()));
    engine.begin(0, Expectation::Open, &None).unwrap();
    engine.accept(0, &audio(1)).unwrap();
    drive(&mut engine, |engine| (engine.partial(0) == "yes").then_some(()));
    engine.abandon(0);
    wait_for(&listened, 1);
    assert!(listened.lock().unwrap()[0].controls.is_empty());
    assert!(!engine.is_pending());
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &audio(2));
    assert_eq!(finished(&mut engine).1.heard.unwrap().text, "yes build");
    assert_eq!(gate.note(), None);
}

#[test]
fn openai_hears_a_turn_when_it_is_over() {
    let double = Double::start(|mut exchange| {
        exchange.begin("text/event-stream; charset=utf-8");
        let answer = openai::delta("My PIN") + &openai::delta(" is") + &openai::done("My PIN is 1234.", &[-0.1, -0.3]);
        // Cut where no event ends.
        for piece in answer.as_bytes().chunks(37) {
            exchange.piece(piece);
        }
        exchange.end();
    });
    let (mut engine, _) = listener(Provider::OpenAi, config(double.url() + "/v1"));
    engine.begin(0, DIGITS, &None).unwrap();
    let samples = audio(3);
    say(&mut engine, 0, &samples);
    let heard = finished(&mut engine).1.heard.unwrap();
    assert_eq!(heard.text, "my pin is one two three four");
    assert!((heard.confidence - (-0.2_f32).exp()).abs() < 1e-4, "{}", heard.confidence);
    assert_eq!(heard.frames, 100);

    let request = &double.seen()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/audio/transcriptions"));
    assert_eq!(request.header("authorization"), Some("Bearer k-123"));
    let body = String::from_utf8_lossy(&request.body);
    for (name, value) in [
        ("model", "gpt-4o-mini-transcribe"),
        ("language", "en"),
        ("response_format", "json"),
        ("include[]", "logprobs"),
        ("stream", "true"),
        ("prompt", "Expect words like: Callwright, deal flow."),
    ] {
        assert!(body.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n")), "{name} in {body:.2000}");
    }
    let at = request.body.windows(4).position(|octets| octets == b"RIFF").expect("a WAV file");
    let file = &request.body[at..at + 44 + samples.len() * 2];
    let mut reader = hound::WavReader::new(file).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (8000, 1, 16));
    assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);
}

#[test]
fn a_server_like_openais_may_answer_with_one_object() {
    let double = Double::start(|mut exchange| {
        exchange.answer("200 OK", &[("content-type", "application/json")], openai::WHOLE.as_bytes());
    });
    let (mut engine, _) = listener(Provider::OpenAi, config(double.url()));
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &audio(3));
    let heard = finished(&mut engine).1.heard.unwrap();
    assert_eq!(heard.text, "imagine the wildest idea that you've ever had");
    assert!((heard.confidence - 0.45).abs() < f32::EPSILON, "neither certain nor dismissed");
}

#[test]
fn what_is_too_short_for_openai_is_not_sent() {
    let double = Double::start(|mut exchange| exchange.answer("400 Bad Request", &[], b"{}"));
    let (mut engine, gate) = listener(Provider::OpenAi, config(double.url()));
    engine.begin(0, Expectation::Open, &None).unwrap();
    say(&mut engine, 0, &[1; 799]);
    assert_eq!(finished(&mut engine).1.heard.unwrap().text, "");
    assert!(double.seen().is_empty());
    assert_eq!(gate.note(), None);
}
