//! Clauses, well and otherwise.

use super::doubles::{Double, Exchange, deepgram, elevenlabs, tone};
use super::*;
use crate::speech::provider::voice::RemoteVoice;
use crate::speech::synthesiser::Synthesiser;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::mpsc;

fn speaker(provider: Provider, config: ProviderConfig) -> (RemoteVoice, Arc<Gate>) {
    let cloud = Cloud::start().unwrap();
    (voice(provider, &cloud, config, "rachel/1").unwrap(), cloud.gate(provider, Part::Tts))
}

/// Words with their start and end in milliseconds.
type Words = Vec<(String, u32, u32)>;

/// Speaks a clause: its samples, and what came of it.
fn speak(voice: &mut RemoteVoice, text: &str) -> (Vec<i16>, Result<Words, String>) {
    let mut samples = Vec::new();
    let outcome = voice.speak(text, &mut |piece| {
        samples.extend_from_slice(piece);
        ControlFlow::Continue(())
    });
    (samples, outcome.map(|words| words.into_iter().map(|w| (w.word, w.start_ms, w.end_ms)).collect()))
}

fn expected(octets: &[u8]) -> Vec<i16> {
    octets.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn elevenlabs_speaks_with_word_times() {
    let double = Double::start(|mut exchange| {
        exchange.begin("application/json");
        let audio = tone(16_000);
        // "Hi," in the first line, " Bob." in the second, whose times go on.
        let first = [("H", 0.0, 0.1), ("i", 0.1, 0.25), (",", 0.25, 0.3)];
        let second = [(" ", 0.3, 0.4), ("B", 0.4, 0.5), ("o", 0.5, 0.6), ("b", 0.6, 0.7), (".", 0.7, 0.8)];
        let answer = elevenlabs::line(&audio[..9601], &first)
            + "\n"
            + &elevenlabs::line(&audio[9601..20_000], &second)
            + &elevenlabs::line_without_alignment(&audio[20_000..]);
        for piece in answer.as_bytes().chunks(1000) {
            exchange.piece(piece);
        }
        exchange.end();
    });
    let (mut voice, gate) = speaker(Provider::ElevenLabs, config(double.url()));
    assert_eq!(voice.sample_rate(), 16_000);
    let (samples, words) = speak(&mut voice, "Hi, Bob.");
    assert_eq!(samples, expected(&tone(16_000)));
    assert_eq!(words.unwrap(), [("Hi".to_owned(), 0, 300), ("Bob".to_owned(), 400, 800)]);
    assert_eq!(gate.note(), None);
    let request = &double.seen()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/v1/text-to-speech/rachel%2F1/stream/with-timestamps?output_format=pcm_16000");
    assert_eq!(request.header("xi-api-key"), Some("k-123"));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, serde_json::json!({ "text": "Hi, Bob.", "model_id": "eleven_flash_v2_5" }));
}

#[test]
fn times_that_begin_anew_in_a_line_count_from_its_own_audio() {
    let double = Double::start(|mut exchange| {
        exchange.begin("application/json");
        let audio = tone(16_000);
        exchange.piece(elevenlabs::line(&audio[..16_000], &[("a", 0.0, 0.4), (" ", 0.4, 0.45)]).as_bytes());
        exchange.piece(elevenlabs::line(&audio[16_000..], &[("b", 0.0, 0.3)]).as_bytes());
        exchange.end();
    });
    let (mut voice, _) = speaker(Provider::ElevenLabs, config(double.url()));
    let words = speak(&mut voice, "a b").1.unwrap();
    assert_eq!(words, [("a".to_owned(), 0, 400), ("b".to_owned(), 500, 800)]);
}

#[test]
fn openai_and_deepgram_speak_without_word_times() {
    for (provider, rate, target, key, wanted) in [
        (
            Provider::OpenAi,
            24_000,
            "/v1/audio/speech",
            "Bearer k-123",
            serde_json::json!({ "model": "gpt-4o-mini-tts", "input": "Hello.", "voice": "rachel/1", "response_format": "pcm" }),
        ),
        (
            Provider::Deepgram,
            16_000,
            "/v1/speak?model=rachel%2F1&encoding=linear16&sample_rate=16000&container=none",
            "Token k-123",
            serde_json::json!({ "text": "Hello." }),
        ),
    ] {
        let double = Double::start(|mut exchange| {
            exchange.begin("application/octet-stream");
            for piece in tone(4000).chunks(333) {
                exchange.piece(piece);
            }
            exchange.end();
        });
        let (mut voice, _) = speaker(provider, config(double.url()));
        assert_eq!(voice.sample_rate(), rate);
        let (samples, words) = speak(&mut voice, "Hello.");
        assert_eq!((samples, words), (expected(&tone(4000)), Ok(Vec::new())));
        let request = &double.seen()[0];
        assert_eq!((request.target.as_str(), request.header("authorization")), (target, Some(key)));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&request.body).unwrap(), wanted);
    }
}

#[test]
fn a_connection_is_used_again() {
    let double = Double::start(|mut exchange| exchange.answer("200 OK", &[("content-type", "audio/pcm")], &tone(100)));
    let (mut voice, _) = speaker(Provider::OpenAi, config(double.url()));
    for _ in 0..3 {
        assert_eq!(speak(&mut voice, "Hello.").0.len(), 100);
    }
    assert_eq!(double.seen().len(), 3);
}

#[test]
fn nothing_to_say_asks_nobody() {
    let double = Double::start(|mut exchange| exchange.answer("200 OK", &[], &tone(10)));
    let (mut voice, _) = speaker(Provider::ElevenLabs, config(double.url()));
    assert_eq!(speak(&mut voice, " … "), (Vec::new(), Ok(Vec::new())));
    assert!(double.seen().is_empty());
}

/// A voice like this fails before any sample, so that the mouth can speak otherwise, and is left alone after three clauses.
fn says_nothing(name: &str, config: ProviderConfig, provider: Provider, why: &str) {
    let (mut voice, gate) = speaker(provider, config);
    for _ in 0..3 {
        let (samples, outcome) = speak(&mut voice, "Hello there.");
        assert!(samples.is_empty(), "{name}");
        let what = outcome.unwrap_err();
        assert!(what.contains(why) && what.starts_with(provider.name()), "{name}: {what}");
        assert!(!what.contains("k-123"), "{name}: a key in {what}");
    }
    assert!(gate.note().is_some_and(|note| note.contains(why)), "{name}: {:?}", gate.note());
    let (_, outcome) = speak(&mut voice, "Hello there.");
    assert!(outcome.unwrap_err().contains("left alone"), "{name}");
}

#[test]
fn answers_that_are_no_audio() {
    type Answer = fn(Exchange);
    let answers: [(&str, Provider, Answer, &str); 8] = [
        ("5xx", Provider::OpenAi, |mut e| e.answer("502 Bad Gateway", &[], b"k-123"), "a fault at the provider (502"),
        (
            "4xx",
            Provider::ElevenLabs,
            |mut e| {
                e.answer(
                    "404 Not Found",
                    &[],
                    br#"{"detail":{"status":"voice_not_found","message":"A voice was not found."}}"#,
                );
            },
            "voice_not_found",
        ),
        (
            "429",
            Provider::Deepgram,
            |mut e| e.answer("429 Too Many Requests", &[], deepgram::TOO_MANY.as_bytes()),
            "too many",
        ),
        (
            "redirect",
            Provider::OpenAi,
            |mut e| e.answer("302 Found", &[("location", "http://127.0.0.1:1/")], b""),
            "refused the request (302",
        ),
        ("empty", Provider::OpenAi, |mut e| e.answer("200 OK", &[], b""), "without audio"),
        (
            "JSON",
            Provider::Deepgram,
            |mut e| e.answer("200 OK", &[("content-type", "application/json")], b"{}"),
            "instead of audio",
        ),
        ("no JSON", Provider::ElevenLabs, |mut e| e.answer("200 OK", &[], b"hello\n"), "not as documented"),
        (
            "no base64",
            Provider::ElevenLabs,
            |mut e| e.answer("200 OK", &[], b"{\"audio_base64\":\"?\"}\n"),
            "not as documented",
        ),
    ];
    for (name, provider, answer, why) in answers {
        let double = Double::start(answer);
        says_nothing(name, config(double.url()), provider, why);
        assert_eq!(double.seen().len(), 3, "{name}: asked three times, then left alone");
    }
}

#[test]
fn nobody_speaks_there() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    says_nothing("refused", config(format!("http://{free}")), Provider::OpenAi, "cannot be reached");
}

#[test]
fn silence_is_waited_for_as_long_as_configured() {
    let begun = Instant::now();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    says_nothing("accepts only", impatient(url), Provider::OpenAi, "no answer within 200 ms");
    let silent = Double::start(|mut exchange| exchange.wait_for_the_end());
    says_nothing("reads only", impatient(silent.url()), Provider::ElevenLabs, "no answer within 200 ms");
    let blanks = Double::start(|mut exchange| {
        exchange.begin("application/json");
        while exchange.piece(b" ") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    says_nothing("blanks for ever", impatient(blanks.url()), Provider::ElevenLabs, "no answer within 200 ms");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn a_refused_key_is_asked_once() {
    let double =
        Double::start(|mut exchange| exchange.answer("401 Unauthorized", &[], elevenlabs::INVALID_KEY.as_bytes()));
    let (mut voice, gate) = speaker(Provider::ElevenLabs, config(double.url()));
    for _ in 0..3 {
        assert!(speak(&mut voice, "Hello.").1.is_err());
    }
    assert_eq!(double.seen().len(), 1);
    assert!(gate.note().unwrap().contains("401 invalid_api_key"), "{:?}", gate.note());
}

#[test]
fn a_stop_closes_the_request_at_once() {
    let (gone, when_gone) = mpsc::sync_channel(1);
    let double = Double::start(move |mut exchange| {
        exchange.begin("application/octet-stream");
        // Faster than real time, and without end.
        while exchange.piece(&tone(2400)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        gone.send(Instant::now()).unwrap();
    });
    let (mut voice, gate) = speaker(Provider::OpenAi, config(double.url()));
    let mut pieces = 0;
    let outcome = voice.speak("A long story.", &mut |piece| {
        assert!(piece.len() <= 480, "a sink can break every 20 ms");
        pieces += 1;
        if pieces == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = Instant::now();
    assert_eq!((outcome, pieces), (Ok(Vec::new()), 7));
    let gone = when_gone.recv_timeout(PATIENCE).unwrap();
    assert!(gone.saturating_duration_since(stopped) < Duration::from_secs(1), "the provider went on");
    assert_eq!(gate.note(), None);
}

#[test]
fn what_was_spoken_before_a_failure_stands() {
    type Answer = fn(&mut Exchange);
    let answers: [(&str, Answer, &str); 3] = [
        (
            "cut off",
            |e| {
                e.piece(&tone(2400));
            },
            "midway",
        ),
        (
            "silent",
            |e| {
                e.piece(&tone(2400));
                e.wait_for_the_end();
            },
            "slower than real time",
        ),
        (
            "a trickle",
            |e| {
                while e.piece(&tone(240)) {
                    std::thread::sleep(Duration::from_millis(60));
                }
            },
            "slower than real time",
        ),
    ];
    for (name, answer, why) in answers {
        let double = Double::start(move |mut exchange| {
            exchange.begin("application/octet-stream");
            answer(&mut exchange);
            let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
        });
        let (mut voice, _) = speaker(Provider::OpenAi, config(double.url()));
        let (samples, outcome) = speak(&mut voice, "Hello there.");
        assert!(samples.len() >= 2400, "{name}: {}", samples.len());
        assert!(outcome.as_ref().is_err_and(|what| what.contains(why)), "{name}: {outcome:?}");
    }
}

#[test]
fn a_voice_that_never_ends_is_ended() {
    let double = Double::start(|mut exchange| {
        exchange.begin("application/octet-stream");
        while exchange.piece(&tone(24_000)) {}
    });
    let (mut voice, _) = speaker(Provider::OpenAi, config(double.url()));
    let (samples, outcome) = speak(&mut voice, "Hello there.");
    assert!(outcome.unwrap_err().contains("too large"));
    assert!(samples.len() <= 60 * 24_000, "{}", samples.len());
}
