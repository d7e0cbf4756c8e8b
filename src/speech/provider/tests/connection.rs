//! Certificates, proxies, urls, parsers.

use super::doubles::{Double, deepgram, elevenlabs, openai, tone};
use super::*;
use crate::speech::synthesiser::Synthesiser;
use proptest::prelude::*;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::process::Command;

fn speak_once(url: String) -> Result<usize, String> {
    let mut voice = voice(Provider::OpenAi, &Cloud::start().unwrap(), config(url), "alloy").unwrap();
    let mut samples = 0;
    let outcome = voice.speak("Hello.", &mut |piece| {
        samples += piece.len();
        ControlFlow::Continue(())
    });
    outcome.map(|_| samples)
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let certificate = include_bytes!("../../../../tests/provider_doubles/untrusted.certificate.der");
    let key = include_bytes!("../../../../tests/provider_doubles/untrusted.key.der");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.to_vec().into()],
            rustls::pki_types::PrivateKeyDer::try_from(&key[..]).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let session = rustls::ServerConnection::new(Arc::new(server)).unwrap();
        let mut tls = rustls::StreamOwned::new(session, stream);
        // The client breaks off.
        let _ = std::io::Read::read(&mut tls, &mut [0; 1000]);
    });
    let what = speak_once(url).unwrap_err();
    assert!(what.contains("no trusted TLS connection"), "{what}");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 1000]);
            let _ = std::io::Write::write_all(&mut stream, answer);
        });
        let what = speak_once(url).unwrap_err();
        assert!(what.contains("no trusted TLS connection"), "{what}");
    }
}

#[test]
fn urls_with_and_without_version_and_websocket_schemes() {
    for (base, found) in [
        ("https://api.example.com", "https://api.example.com/v1/speak"),
        ("https://api.example.com/v1/", "https://api.example.com/v1/speak"),
        ("wss://api.example.com", "https://api.example.com/v1/speak"),
        ("ws://[::1]:9/gateway", "http://[::1]:9/gateway/v1/speak"),
    ] {
        assert_eq!(endpoint(base, "speak").unwrap().as_str(), found);
    }
    for base in ["", "api.example.com", "ftp://example.com", "https://", "https://:k-123@example.com", "https:// "] {
        let refused = endpoint(base, "speak").unwrap_err().to_string();
        assert!(refused.contains("no address") && !refused.contains("k-123"), "{base}: {refused}");
    }
    let elevenlabs = hearing(Provider::ElevenLabs, &Cloud::start().unwrap(), config("http://localhost".into()), &[]);
    assert!(elevenlabs.is_err(), "it does not hear");
    for provider in Provider::ALL {
        assert_eq!(Provider::named(provider.name()), Some(provider));
    }
}

/// Runs in a process of its own, since the environment belongs to all tests of one.
#[test]
fn proxies_of_the_environment_are_used_but_not_for_this_machine() {
    const INSIDE: &str = "CALLWRIGHT_TEST_BEHIND_PROXY";
    const NAME: &str =
        "speech::provider::tests::connection::proxies_of_the_environment_are_used_but_not_for_this_machine";
    if let Ok(here) = std::env::var(INSIDE) {
        assert_eq!(speak_once("http://provider.invalid".into()), Ok(10), "through the proxy");
        assert_eq!(speak_once(here), Ok(20), "not through the proxy");
        return;
    }
    let proxy = Double::start(|mut exchange| {
        assert_eq!(exchange.request.target, "http://provider.invalid/v1/audio/speech");
        exchange.answer("200 OK", &[], &tone(10));
    });
    let here = Double::start(|mut exchange| exchange.answer("200 OK", &[], &tone(20)));
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, here.url())
        .env("HTTP_PROXY", proxy.url())
        .env("http_proxy", proxy.url())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("REQUEST_METHOD")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!((proxy.seen().len(), here.seen().len()), (1, 1));
}

/// Everything that the doubles say, as seeds.
fn seeds() -> Vec<String> {
    let results = deepgram::results(&[("yes", 0.1, 0.4, 0.99)], true, true);
    vec![
        results,
        deepgram::METADATA.replace('\n', ""),
        deepgram::SPEECH_STARTED.into(),
        deepgram::ERROR.into(),
        openai::delta("a").replace("event: transcript.text.delta\ndata: ", ""),
        openai::done("a b", &[-0.1]).replace("event: transcript.text.done\ndata: ", ""),
        openai::WHOLE.replace('\n', ""),
        elevenlabs::line(&tone(3), &[("a", 0.0, 0.1), (" ", 0.1, 0.2)]),
        elevenlabs::line(&tone(3), &[("b", 0.0, f64::MAX), ("c", -5.0, 1e300)]),
        elevenlabs::line_without_alignment(b"x"),
        r#"{"audio_base64":"AA==","alignment":{"characters":["a"],"character_start_times_seconds":[],"character_end_times_seconds":[1]}}"#.into(),
        r#"{"type":"Results","is_final":true,"channel":{"alternatives":[{"transcript":"x","words":[{"word":"x","start":-1,"end":1e99,"confidence":-7}]}]}}"#.into(),
    ]
}

#[test]
fn seeds_of_the_fuzz_target() {
    let all = seeds().join("\n") + "\n";
    for cut in [0_u8, 1, 2, 7, 255] {
        let mut octets = vec![cut];
        octets.extend(all.as_bytes());
        fuzz::events(&octets);
    }
}

proptest! {
    #[test]
    fn no_answer_makes_a_parser_panic(which in 0..12_usize, at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..6), cut in any::<u8>()) {
        let seed = seeds().swap_remove(which).into_bytes();
        let at = at.index(seed.len());
        let mut octets = vec![cut];
        octets.extend(&seed[..at]);
        octets.extend(&with);
        octets.extend(&seed[(at + with.len()).min(seed.len())..]);
        octets.push(b'\n');
        fuzz::events(&octets);
    }

    #[test]
    fn any_error_answer_has_a_short_meaning(status in 100..600_u16, body in ".{0,300}") {
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        let error = ProviderError::of_answer(status, &reqwest::header::HeaderMap::new(), &body);
        prop_assert!(error.to_string().chars().count() < 500);
    }
}
