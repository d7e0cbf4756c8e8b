//! `/stream` over a real WebSocket: a synthetic voice in, words with their times out. Skipped, loudly, on a machine without
//! the engines (`make setup`).

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod ears;

mod steered;

use callwright::api::{Access, AppState, HealthSnapshot, LiveCalls, Server};
use callwright::bus::Bus;
use callwright::call::registry::NotPaused;
use callwright::id::CallId;
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::speech::{SpeechConfig, SpeechPlane};
use callwright::store::Store;
use callwright::telemetry::{Marks, metric};
use callwright_dsp::codec::{Codec, Encoder, EncoderSettings};
use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use ears::{line, said};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &str = "how much money do you want for the car";
const SECOND: &str = "nobody answered the phone yesterday";

struct Service {
    address: SocketAddr,
    metrics: metric::Handle,
    _stop: oneshot::Sender<()>,
    _dir: TempDir,
}

/// The API with ears; `None` without engines, unless `assets` is meant to have none.
async fn start(assets: Assets) -> Option<Service> {
    let config = SpeechConfig { recognisers: 1, ..SpeechConfig::default() };
    let domain = callwright::conversation::domain();
    let plane = SpeechPlane::start(&config, &assets, &domain, Vec::new(), Arc::new(Marks::new())).unwrap();
    if assets.silero().is_ok()
        && let Some(missing) = plane.engines().iter().find(|engine| !engine.ready)
    {
        eprintln!("skipped: run make setup ({})", missing.note);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bus = Arc::new(Bus::start(store.clone()));
    let mut config = PipelineConfig::new(dir.path().to_owned(), "/nonexistent".into());
    config.threads = 0;
    let pipeline = Pipeline::start(config, store.clone()).await.unwrap();
    let pause = |_: &str, _: bool| -> BoxFuture<'static, Result<(), NotPaused>> {
        Box::pin(std::future::ready(Err(NotPaused::NoCall)))
    };
    let live_calls = LiveCalls {
        list: Arc::new(Vec::new),
        pause_recording: Arc::new(pause),
        control: Arc::<steered::Noted>::default(),
    };
    let metrics = metric::install().unwrap();
    let rendered = metrics.clone();
    let next = AtomicU64::new(1);
    let hear = move |agent: Option<&str>| plane.stream(CallId(next.fetch_add(1, Ordering::Relaxed)), agent);
    let state = AppState::new(
        store,
        bus,
        pipeline,
        Arc::new(HealthSnapshot::default),
        Arc::new(move || rendered.render()),
        live_calls,
        dir.path().to_owned(),
    );
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &Access::open()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve(state.hearing(Arc::new(hear)), async move { drop(stopped.await) }));
    Some(Service { address, metrics, _stop: stop, _dir: dir })
}

async fn engines() -> Option<Service> {
    let assets = Assets::locate();
    if assets.silero().is_err() {
        eprintln!("skipped: run make setup");
        return None;
    }
    start(assets).await
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Everything that was received, in order.
    seen: Vec<Value>,
    closed: Option<(u16, String)>,
}

impl Service {
    async fn connect(&self, query: &str) -> Result<Client, Error> {
        let request = format!("ws://{}/stream{query}", self.address).into_client_request()?;
        let (socket, _) = connect_async(request).await?;
        Ok(Client { socket, seen: Vec::new(), closed: None })
    }

    fn counter(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let lines = text.lines().filter(|line| line.split(' ').next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Client {
    async fn audio(&mut self, samples: &[i16], chunk: usize) {
        for part in samples.chunks(chunk) {
            let octets: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            self.socket.feed(Message::Binary(octets.into())).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next thing that the server says; `None` when it has closed.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the server says something")? {
                Ok(Message::Text(text)) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    self.seen.push(value.clone());
                    return Some(value);
                }
                Ok(Message::Close(frame)) => {
                    self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    return None;
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    async fn next_final(&mut self) -> Value {
        loop {
            let value = self.next().await.expect("a final before the end");
            if value["final"] == json!(true) {
                return value;
            }
        }
    }

    /// Says that nothing more comes and reads to the end.
    async fn end(mut self) -> Self {
        self.text("{\"type\":\"end\"}").await;
        while self.next().await.is_some() {}
        self
    }

    fn finals(&self) -> Vec<&Value> {
        self.seen.iter().filter(|value| value["final"] == json!(true)).collect()
    }

    fn kinds(&self) -> Vec<&str> {
        self.seen.iter().filter_map(|value| value["type"].as_str()).collect()
    }
}

/// Audio at another rate, as a microphone has it.
fn at(rate: Rate, samples: &[i16]) -> Vec<i16> {
    if rate == Rate::Hz8000 {
        return samples.to_vec();
    }
    let mut up = Resampler::new(Rate::Hz8000, rate);
    let mut wide = vec![0; up.output_len(samples.len())];
    let made = up.process(samples, &mut wide).written;
    wide.truncate(made);
    wide
}

/// A second of silence, the sentence, a second and a half of silence, a short sentence, silence. Returns where they lie,
/// seconds.
fn two_sentences() -> (Vec<i16>, [(f64, f64); 2]) {
    let mut samples = vec![0; 8000];
    let mut place = |text: &str| {
        let began = samples.len();
        samples.extend(said("rms", text));
        let lies = (began as f64 / 8e3, samples.len() as f64 / 8e3);
        samples.extend([0; 12_000]);
        lies
    };
    let lie = [place(REQUEST), place(SECOND)];
    (line(&samples), lie)
}

/// The request was heard, whole and once.
#[track_caller]
fn assert_is_request(word: &Value) {
    let heard = word["text"].as_str().unwrap();
    assert_eq!(heard, REQUEST, "{word}");
}

#[track_caller]
fn assert_lies(word: &Value, (began, ended): (f64, f64)) {
    let (start, end) = (word["ts_start"].as_f64().unwrap(), word["ts_end"].as_f64().unwrap());
    assert!((start - began).abs() < 0.1 && (end - ended).abs() < 0.1, "{word} should lie at {began}–{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_come_with_their_times_while_the_client_speaks() {
    let Some(service) = engines().await else { return };
    let (samples, lie) = two_sentences();
    let mut client = service.connect("").await.unwrap();
    client.audio(&at(Rate::Hz16000, &samples), 1600).await;
    // Both come without being asked for.
    let first = client.next_final().await;
    let second = client.next_final().await;
    assert_is_request(&first);
    let text = second["text"].as_str().unwrap();
    assert_eq!(text, SECOND, "{second}");
    assert_lies(&first, lie[0]);
    assert_lies(&second, lie[1]);
    let interim: Vec<&Value> =
        client.seen.iter().filter(|value| value.get("text").is_some() && value.get("final").is_none()).collect();
    assert!(!interim.is_empty(), "{:?}", client.seen);
    for words in &interim {
        let keys: Vec<&String> = words.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["text", "ts_start", "ts_end"]);
        assert!(words["ts_start"].as_f64() < words["ts_end"].as_f64(), "{words}");
    }
    let client = client.end().await;
    assert_eq!(client.closed, Some((1000, "end of stream".into())));
    assert_eq!((client.finals().len(), client.kinds().last()), (2, Some(&"end")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_faster_than_speech_is_recognised_is_told_and_loses_nothing() {
    let Some(service) = engines().await else { return };
    let (samples, lie) = two_sentences();
    let mut client = service.connect("?sample_rate=8000").await.unwrap();
    client.audio(&samples, 4000).await;
    let client = client.end().await;
    let kinds = client.kinds();
    assert_eq!((kinds[0], kinds[1], *kinds.last().unwrap()), ("slow", "ok", "end"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "slow").count(), kinds.len() / 2, "{kinds:?}");
    let finals = client.finals();
    assert_eq!(finals.len(), 2, "{:?}", client.seen);
    assert_is_request(finals[0]);
    assert_lies(finals[0], lie[0]);
    assert_lies(finals[1], lie[1]);
    assert!(service.counter("speech_streams_slow_total") >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_is_heard_and_its_last_words_are_flushed() {
    let Some(service) = engines().await else { return };
    let mut samples = vec![0; 4000];
    samples.extend(said("rms", REQUEST));
    // It breaks off with the last word.
    let wide = at(Rate::Hz16000, &line(&samples));
    let mut client = service.connect("").await.unwrap();
    client.text("{\"format\":\"opus\",\"sample_rate\":16000}").await;
    let mut encoder = Encoder::new(Codec::Opus, 16_000, EncoderSettings::default()).unwrap();
    let mut packet = [0; 1500];
    for frame in wide.as_chunks::<320>().0 {
        let octets = encoder.encode(frame, &mut packet).unwrap();
        client.socket.feed(Message::Binary(packet[..octets].to_vec().into())).await.unwrap();
    }
    let client = client.end().await;
    let finals = client.finals();
    assert_eq!(finals.len(), 1, "{:?}", client.seen);
    assert_is_request(finals[0]);
    assert_lies(finals[0], (0.5, samples.len() as f64 / 8e3));
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_that_stays_away_ends_the_utterance() {
    let Some(service) = engines().await else { return };
    let mut samples = vec![0; 4000];
    samples.extend(said("rms", REQUEST));
    let samples = line(&samples);
    let mut client = service.connect("?sample_rate=8000").await.unwrap();
    client.audio(&samples, 800).await;
    assert_is_request(&client.next_final().await);
    // And it goes on as if nothing had been.
    client.audio(&samples, 800).await;
    let client = client.end().await;
    let began = (samples.len() + 4000) as f64 / 8e3;
    assert_eq!(client.finals().len(), 2, "{:?}", client.seen);
    assert_lies(client.finals()[1], (began, samples.len() as f64 * 2.0 / 8e3));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_audio_keep_no_utterance_open() {
    let Some(service) = engines().await else { return };
    let mut samples = vec![0; 4000];
    samples.extend(said("rms", REQUEST));
    // Whole messages of nothing, and messages of one sample.
    for drip in [vec![], vec![0, 0]] {
        let mut client = service.connect("?sample_rate=8000").await.unwrap();
        client.audio(&line(&samples), 800).await;
        let began = Instant::now();
        let final_ = loop {
            client.socket.send(Message::Binary(drip.clone().into())).await.unwrap();
            if let Ok(value) = timeout(Duration::from_millis(500), client.next()).await {
                let value = value.expect("a final before the end");
                if value["final"] == json!(true) {
                    break value;
                }
            }
            assert!(began.elapsed() < PATIENCE, "the utterance stays open");
        };
        assert_is_request(&final_);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_gives_its_place_to_another() {
    let Some(service) = engines().await else { return };
    let speech = line(&said("rms", "please build me a crm"));
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = service.connect("?sample_rate=8000").await.unwrap();
        client.audio(&speech, 800).await;
        clients.push(client);
    }
    let Err(Error::Http(refused)) = service.connect("").await else { panic!("a seventeenth was let in") };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(service.counter("speech_streams"), 16.0);
    // In the middle of their sentences, without a word.
    drop(clients);
    let deadline = Instant::now() + PATIENCE;
    while service.counter("speech_streams") > 0.0 {
        assert!(Instant::now() < deadline, "streams stay open");
        sleep(Duration::from_millis(20)).await;
    }
    let mut samples = vec![0; 4000];
    samples.extend(said("rms", REQUEST));
    let mut client = service.connect("?sample_rate=8000").await.unwrap();
    client.audio(&line(&samples), 800).await;
    let client = client.end().await;
    assert_eq!(client.finals().len(), 1, "the recogniser's place came back: {:?}", client.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_with_a_reason() {
    let Some(service) = engines().await else { return };
    for (query, text, octets, code, said) in [
        ("", None, Some(vec![1, 2, 3]), 1007, "even number"),
        ("?format=opus", None, Some(b"OggS and more".to_vec()), 1007, "bare Opus packets"),
        ("?format=opus", None, Some(vec![0xff; 9]), 1007, "no Opus packet"),
        ("", Some("hello"), None, 1007, "JSON"),
        ("", Some("[]"), None, 1007, "JSON object"),
        ("", Some("{\"type\":\"begin\"}"), None, 1007, "unknown"),
        ("", Some("{\"format\":\"mp3\"}"), None, 1007, "mp3"),
        ("", Some("{\"sample_rate\":44100}"), None, 1007, "44100"),
        ("", Some("{\"agent\":\"nobody\"}"), None, 1007, "there is no agent"),
        ("", None, Some(vec![0; 200_000]), 1009, "shorter chunks"),
        ("", Some("{\"type\":\"end\"}"), None, 1000, "end of stream"),
    ] {
        let mut client = service.connect(query).await.unwrap();
        if let Some(text) = text {
            client.text(text).await;
        }
        if let Some(octets) = octets {
            client.socket.send(Message::Binary(octets.into())).await.unwrap();
        }
        while client.next().await.is_some() {}
        let (closed, reason) = client.closed.unwrap_or_else(|| panic!("{said}: not closed in good order"));
        assert!(closed == code && reason.contains(said), "{said}: {closed} {reason}");
    }
    // What was said cannot be unsaid.
    let mut client = service.connect("?sample_rate=8000").await.unwrap();
    client.text("{\"format\":\"opus\"}").await;
    while client.next().await.is_some() {}
    assert!(client.closed.is_some_and(|(code, why)| code == 1007 && why.contains("already")));
    for (query, status) in [("?format=mp3", 400), ("?sample_rate=44100", 400)] {
        let Err(Error::Http(refused)) = service.connect(query).await else { panic!("{query} was let in") };
        assert_eq!(refused.status(), status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_and_a_plain_request_are_refused() {
    let Some(service) = start(Assets::at("/nonexistent/native")).await else { return };
    let mut request = format!("ws://{}/stream", service.address).into_client_request().unwrap();
    request.headers_mut().insert("Origin", "https://example.com".parse().unwrap());
    let Err(Error::Http(refused)) = connect_async(request).await else { panic!("a foreign page was let in") };
    assert_eq!(refused.status(), 403);
    let body = String::from_utf8_lossy(refused.body().as_deref().unwrap_or_default()).into_owned();
    assert!(body.contains("other origins"), "{body}");
    // Without a recogniser the reason names what mends it.
    let mut client = service.connect("").await.unwrap();
    client.audio(&[0; 160], 160).await;
    while client.next().await.is_some() {}
    let (code, reason) = client.closed.expect("closed in good order");
    assert!(code == 1011 && reason.contains("asr"), "{code} {reason}");
}
