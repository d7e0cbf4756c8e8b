//! The control API over a real socket: resources, problems, idempotency, backpressure, the event stream.

mod steered;

use callwright::api::{Access, ApiError, AppState, Engine, HealthSnapshot, LiveCall, LiveCalls, Server, Subsystem};
use callwright::bus::{Bus, EventKind};
use callwright::call::registry::NotPaused;
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::store::{CallRecord, Conversation, Direction, NewQuestion, QuestionChoice, Speaker, Store, Turn};
use callwright::telemetry::metric;
use callwright::time::Wallclock;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

struct Box_ {
    address: SocketAddr,
    store: Store,
    healthy: Arc<AtomicBool>,
    noted: Arc<steered::Noted>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    _dir: TempDir,
}

async fn start() -> Box_ {
    start_guarded(Access::open()).await
}

async fn start_guarded(access: Access) -> Box_ {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bus = Arc::new(Bus::start(store.clone()));
    let mut config = PipelineConfig::new(dir.path().to_owned(), "/nonexistent".into());
    // Requests stay in the queue, where the test can look at them.
    config.threads = 0;
    let pipeline = Pipeline::start(config, store.clone()).await.unwrap();
    let healthy = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&healthy);
    let health = Arc::new(move || HealthSnapshot {
        engines: vec![Engine { part: "tts".into(), name: "flite slt".into(), ..Engine::default() }],
        scheduling: "SCHED_FIFO 60".into(),
        subsystems: vec![Subsystem {
            name: "sip".into(),
            healthy: well.load(Ordering::Relaxed),
            note: "port 5060".into(),
        }],
    });
    let noted = Arc::new(steered::Noted::default());
    let live = || vec![LiveCall { id: "call_live".into(), ..steered::live(steered::LIVE) }];
    let pause_recording = |id: &str, _: bool| -> BoxFuture<'static, Result<(), NotPaused>> {
        Box::pin(std::future::ready(match id {
            "call_live" => Ok(()),
            "call_plain" => Err(NotPaused::NotRecorded),
            _ => Err(NotPaused::NoCall),
        }))
    };
    let live_calls =
        LiveCalls { list: Arc::new(live), pause_recording: Arc::new(pause_recording), control: noted.clone() };

    // One recorder a process; tests of one binary may share it.
    static RECORDER: OnceLock<metric::Handle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| metric::install().unwrap());
    let metrics = || format!("media_workers 1\n{}", recorder.render());
    let state =
        AppState::new(store.clone(), bus, pipeline, health, Arc::new(metrics), live_calls, dir.path().to_owned());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &access).await.unwrap();
    let state = state.guarded(Arc::new(access));
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.serve(state, async move { drop(stopped.await) }));
    Box_ { address, store, healthy, noted, stop, served, _dir: dir }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

async fn send(address: SocketAddr, request: String) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

async fn post(address: SocketAddr, fields: &str, body: &str) -> Answer {
    post_to(address, "/v1/builds", fields, body).await
}

async fn post_to(address: SocketAddr, path: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    send(address, request).await
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_page_and_description_are_served() {
    let b = start().await;
    let health = get(b.address, "/health").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["engines"][0]["name"], "flite slt");
    assert_eq!(get(b.address, "/health/live").await.status, 200);
    assert_eq!(get(b.address, "/health/ready").await.status, 200);
    b.healthy.store(false, Ordering::Relaxed);
    let ready = get(b.address, "/health/ready").await;
    assert_eq!((ready.status, ready.json()["subsystems"][0]["name"].clone()), (503, json!("sip")));
    assert_eq!(get(b.address, "/health").await.json()["status"], "degraded");
    let metrics = get(b.address, "/metrics").await;
    assert!(metrics.body.starts_with("media_workers 1\n"));
    assert!(metrics.body.contains("api_requests_total{route=\"/health\",class=\"2xx\"}"), "{}", metrics.body);
    assert!(metrics.body.contains("# HELP api_requests_total"), "{}", metrics.body);
    assert!(metrics.head.contains("text/plain; version=0.0.4"));
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/call", "text/html"),
        ("/call.css", "text/css"),
        ("/call.js", "text/javascript"),
        ("/client.js", "text/javascript"),
        ("/client.d.ts", "application/typescript"),
    ] {
        let file = get(b.address, path).await;
        assert!(
            file.status == 200 && file.head.contains(kind) && file.head.contains("content-security-policy"),
            "{path}"
        );
    }
    assert_eq!(get(b.address, "/openapi.json").await.json()["openapi"], "3.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_conversations_are_listed() {
    let b = start().await;
    for n in 0..3 {
        let call = CallRecord {
            id: format!("call_{n}"),
            direction: Direction::Inbound,
            caller: "sip:ann@192.0.2.1".into(),
            callee: "100".into(),
            source: "192.0.2.1:5060".into(),
            app: "agent:grace".into(),
            conversation_id: Some(format!("conv_{n}")),
            started: Wallclock(1_000_000),
            answered: Some(Wallclock(1_001_000)),
            ..CallRecord::begun("", Direction::Inbound, Wallclock(0))
        };
        b.store.calls().record(call).await.unwrap();
    }
    let first = get(b.address, "/v1/calls?limit=2").await.json();
    assert_eq!(first["live"][0]["id"], "call_live");
    assert_eq!(first["items"][0]["id"], "call_2");
    assert_eq!(first["items"][0]["answered"], "1970-01-01T00:16:41.000Z");
    let second = get(b.address, &format!("/v1/calls?limit=2&before={}", first["next"])).await.json();
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
    assert_eq!(get(b.address, "/v1/calls/call_1").await.json()["caller"], "sip:ann@192.0.2.1");

    let conversation =
        Conversation { id: "conv_1".into(), call_id: None, agent: "grace".into(), started: Wallclock(1), ended: None };
    b.store.conversations().record(conversation).await.unwrap();
    let turn = Turn {
        conversation_id: "conv_1".into(),
        seq: 1,
        who: Speaker::Caller,
        text: "I need a CRM".into(),
        heard: Some("i need a c r m".into()),
        started: Wallclock(2),
        ended: None,
        confidence: Some(0.9),
    };
    b.store.conversations().turn(turn).await.unwrap();
    let found = get(b.address, "/v1/conversations/conv_1").await.json();
    assert_eq!(found["turns"][0]["text"], "I need a CRM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_paused_and_resumed_where_there_is_one() {
    let b = start().await;
    for verb in ["pause", "resume"] {
        for (call, status) in [("call_live", 204), ("call_plain", 409), ("call_gone", 404), ("x", 404)] {
            let request = format!(
                "POST /v1/calls/{call}/recording/{verb} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                b.address
            );
            let answer = send(b.address, request).await;
            assert_eq!(answer.status, status, "{call} {verb}: {}", answer.body);
            assert_eq!(status == 204, answer.body.is_empty(), "{}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_problems() {
    let b = start().await;
    for (path, status) in [
        ("/v1/calls/none", 404),
        ("/v1/conversations/none", 404),
        ("/v1/builds/none", 404),
        ("/v1/apps/crm/facts", 404),
        ("/v1/events?after=evt_none", 404),
        ("/nowhere", 404),
    ] {
        let answer = get(b.address, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.head.contains("application/problem+json"), "{path}: {}", answer.head);
        assert!(answer.json()["detail"].is_string(), "{path}");
    }
    assert_eq!(get(b.address, "/v1/apps/crm/facts").await.json()["known"], json!([]));
    assert_eq!(get(b.address, "/v1/calls?limit=many").await.status, 400);
    let foreign = "GET /v1/calls HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned();
    assert_eq!(send(b.address, foreign).await.status, 421);
    assert_eq!(post(b.address, "Content-Type: text/plain\r\n", "{}").await.status, 415);
    assert_eq!(post(b.address, JSON, "{").await.status, 422);
    assert_eq!(post(b.address, JSON, r#"{"build_type":"build_crm","title":" "}"#).await.status, 422);
    let large = post(b.address, JSON, &"x".repeat((1 << 20) + 1)).await;
    assert_eq!(large.status, 413);
    let method =
        send(b.address, format!("DELETE /v1/builds HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", b.address));
    assert_eq!(method.await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_one_build_and_the_fifth_waiting_one_is_slow() {
    let b = start().await;
    let body = r#"{"build_type":"build_crm","title":"CRM","features":["contacts","deals"]}"#;
    let key = |n: u32| format!("{JSON}Idempotency-Key: key-{n}\r\n");
    let first = post(b.address, &key(1), body).await;
    assert_eq!(first.status, 202);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert!(first.head.contains(&format!("location: /v1/builds/{id}")));
    let again = post(b.address, &key(1), body).await;
    assert_eq!((again.status, again.json()["id"].as_str().unwrap()), (200, id.as_str()));
    let other = post(b.address, &key(1), r#"{"build_type":"build_crm","title":"Other"}"#).await;
    assert_eq!(other.status, 422);
    let detail = get(b.address, &format!("/v1/builds/{id}")).await.json();
    assert_eq!(detail["manifest"]["created_from"], "api");
    assert_eq!(detail["build"]["stage"], "requested");
    for n in 2..=4 {
        assert_eq!(post(b.address, &key(n), body).await.status, 202);
    }
    let fifth = post(b.address, &key(5), body).await;
    assert_eq!(fifth.status, 503);
    assert_eq!((fifth.json()["type"].clone(), fifth.json()["waiting"].clone()), (json!("slow"), json!(4)));
    assert!(fifth.head.contains("retry-after"));
    assert_eq!(get(b.address, "/v1/builds").await.json()["items"].as_array().unwrap().len(), 4);
    let kinds: Vec<_> = b.store.events().after(0, 100).unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds.iter().filter(|k| *k == "build.request.created").count(), 4);
    assert_eq!(kinds.iter().filter(|k| *k == "build.slow").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_asks_is_shown_and_answered_once() {
    let b = start().await;
    let first = post(b.address, JSON, r#"{"build_type":"build_ecommerce","title":"Shop"}"#).await.json();
    let id = first["id"].as_str().unwrap().to_owned();
    let build = b.store.builds().get(&id).unwrap().unwrap();
    let choices = [("USD", "US dollars"), ("EUR", "euros")];
    let choices = choices.map(|(value, say)| QuestionChoice { value: value.into(), say: say.into() }).to_vec();
    let ask = NewQuestion {
        name: "currency".into(),
        question: "Which currency?".into(),
        choices,
        default: "USD".into(),
        due: None,
    };
    assert!(b.store.questions().ask(&build, vec![ask.clone()], Wallclock(1)).await.unwrap());
    assert!(b.store.questions().ask(&build, vec![ask], Wallclock(2)).await.unwrap(), "the same again");
    let shown = get(b.address, &format!("/v1/builds/{id}")).await.json()["questions"].clone();
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!((&shown[0]["name"], &shown[0]["state"]), (&json!("currency"), &json!("open")), "{shown}");
    let answer = async |id: &str, body: Value| {
        post_to(b.address, &format!("/v1/builds/{id}/answers"), JSON, &body.to_string()).await
    };
    let said = |question: &str, answer: &str| json!({"question": question, "answer": answer});
    let none = answer(&id, said("currency", "XYZ")).await;
    assert_eq!((none.status, none.json()["choices"][1]["value"].clone()), (422, json!("EUR")), "{}", none.body);
    assert_eq!(answer(&id, json!({"question": "currency"})).await.status, 422);
    assert_eq!(answer(&id, said("colour", "EUR")).await.status, 404);
    assert_eq!(answer("build_none", said("currency", "EUR")).await.status, 404);
    let taken = answer(&id, said("currency", "EUR")).await;
    assert_eq!((taken.status, taken.json()["id"].as_str()), (200, Some(id.as_str())), "{}", taken.body);
    assert_eq!(answer(&id, said("currency", "EUR")).await.status, 200, "the same again");
    assert_eq!(answer(&id, said("currency", "USD")).await.status, 409);
    let shown = get(b.address, &format!("/v1/builds/{id}")).await.json()["questions"][0].clone();
    let stands = (&shown["state"], &shown["answer"], &shown["answered_by"]);
    assert_eq!(stands, (&json!("answered"), &json!("EUR"), &json!("api")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_text_wants_is_told_and_only_what_is_sure_is_an_event() {
    let b = start().await;
    async fn asked(address: SocketAddr, body: Value) -> Answer {
        post_to(address, "/v1/intents", JSON, &body.to_string()).await
    }
    let ask = |body: Value| asked(b.address, body);
    let sure = ask(json!({"text": "Build me a CRM called Bluebird with contacts and deals in two weeks"})).await;
    assert_eq!(sure.status, 200, "{}", sure.body);
    let sure = sure.json();
    let keys: Vec<_> = sure.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["intent", "confidence", "fires", "entities"]);
    assert_eq!((&sure["intent"], &sure["fires"]), (&json!("build_crm"), &json!(true)), "{sure}");
    let entities = json!({
        "title": "Bluebird", "features": ["contacts", "deals"], "tech_stack": [],
        "constraints": {"timeline": "P2W"}, "integrations": [],
    });
    assert_eq!(sure["entities"], entities);
    let history = json!([{"role": "agent", "text": "A CRM with contacts. Shall I build it?"}]);
    assert_eq!(ask(json!({"text": "yes", "history": history})).await.json()["intent"], "approve");
    let idle = ask(json!({"text": "our website is down"})).await.json();
    assert_eq!((&idle["intent"], &idle["fires"]), (&json!("other"), &json!(false)), "{idle}");
    // The same again is no new event.
    ask(json!({"text": "Build me a CRM called Bluebird with contacts and deals in two weeks"})).await;
    let events = b.store.events().after(0, 100).unwrap();
    assert_eq!(events.iter().filter(|e| e.kind == "intent.recognised").count(), 2);
    for (fields, body, status) in [
        (JSON, json!({"text": ""}).to_string(), 422),
        (JSON, json!({"text": "a".repeat(2001)}).to_string(), 422),
        (JSON, json!({"text": "a", "history": vec!["b"; 51]}).to_string(), 422),
        (JSON, "{".to_owned(), 422),
        ("", json!({"text": "hello"}).to_string(), 415),
    ] {
        let answer = post_to(b.address, "/v1/intents", fields, &body).await;
        assert_eq!(answer.status, status, "{:.40}", body);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
    }
}

/// Reads one server-sent event: its id and data.
async fn next_event(lines: &mut tokio::io::Lines<BufReader<TcpStream>>) -> (String, Value) {
    let (mut id, mut data) = (String::new(), Value::Null);
    loop {
        let line = timeout(Duration::from_secs(5), lines.next_line()).await.unwrap().unwrap().unwrap();
        if let Some(value) = line.strip_prefix("id: ") {
            id = value.to_owned();
        } else if let Some(value) = line.strip_prefix("data: ") {
            data = serde_json::from_str(value).unwrap();
        } else if line.is_empty() && !data.is_null() {
            return (id, data);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_replays_and_goes_on_live() {
    let b = start().await;
    let append = async |n: u64| {
        b.store
            .events()
            .append(EventKind::AppDown, "crm", &n.to_string(), Wallclock(n), json!({"n": n}))
            .await
            .unwrap();
    };
    for n in 1..=5 {
        append(n).await;
    }
    let third = b.store.events().after(2, 1).unwrap()[0].id.clone();
    for from in ["3".to_owned(), third] {
        let mut stream = TcpStream::connect(b.address).await.unwrap();
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\nLast-Event-ID: {from}\r\n\r\n", b.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let (id, event) = next_event(&mut lines).await;
        assert_eq!((id.as_str(), &event["type"], &event["data"]["n"]), ("4", &json!("app.down"), &json!(4)));
        assert_eq!(next_event(&mut lines).await.0, "5");
        if from == "3" {
            append(6).await;
            assert_eq!(next_event(&mut lines).await.1["data"]["n"], 6);
        }
    }
    // An open stream does not hold the shutdown up for long.
    let mut open = TcpStream::connect(b.address).await.unwrap();
    open.write_all(format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", b.address).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    b.stop.send(()).unwrap();
    timeout(Duration::from_secs(3), b.served).await.unwrap().unwrap();
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open_socket(b: &Box_, path: &str, fields: &[(&'static str, &str)]) -> Result<(Socket, Option<String>), u16> {
    let mut request = format!("ws://{}{path}", b.address).into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, answer)) => {
            let chosen = answer.headers().get("sec-websocket-protocol").map(|v| v.to_str().unwrap().to_owned());
            Ok((socket, chosen))
        }
        Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The next event, or the code and the reason of the end.
async fn next_message(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        match timeout(Duration::from_secs(60), socket.next()).await.expect("something comes") {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => return Err((frame.code.into(), frame.reason.to_string())),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_by_websocket_from_the_same_positions_for_the_same_token() {
    let b = start_guarded(Access::by_token("0123456789abcdef")).await;
    let append = async |kind: EventKind, subject: &str, n: u64| {
        b.store.events().append(kind, subject, &n.to_string(), Wallclock(n), json!({"n": n})).await.unwrap();
    };
    for n in 1..=3 {
        append(EventKind::AppDown, "crm", n).await;
    }
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    let offered = ("sec-websocket-protocol", "callwright.events, bearer.0123456789abcdef");
    for (fields, status) in [
        (&[][..], 401),
        (&[("sec-websocket-protocol", "callwright.events, bearer.no")], 401),
        (&[("sec-websocket-protocol", "callwright.events")], 401),
        (&[bearer, ("origin", "https://evil.example")], 403),
        (&[offered, ("origin", "null")], 403),
    ] {
        assert_eq!(open_socket(&b, "/v1/events", fields).await.err(), Some(status), "{fields:?}");
    }
    // A token stands there for a WebSocket only.
    let plain = format!(
        "GET /v1/calls HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}: {}\r\n\r\n",
        b.address, offered.0, offered.1
    );
    assert_eq!(send(b.address, plain).await.status, 401);
    assert_eq!(open_socket(&b, "/v1/events?after=evt_none", &[bearer]).await.err(), Some(404));
    assert_eq!(open_socket(&b, "/v1/calls/call_none/events", &[bearer]).await.err(), Some(404));

    let own = format!("http://{}", b.address);
    for fields in [&[bearer][..], &[offered, ("origin", &own)], &[bearer, ("last-event-id", "1")]] {
        let after = if fields.len() == 2 && fields[1].0 == "last-event-id" { "" } else { "?after=1" };
        let (mut socket, chosen) = open_socket(&b, &format!("/v1/events{after}"), fields).await.unwrap();
        assert_eq!(chosen.as_deref(), (fields[0] == offered).then_some("callwright.events"));
        for n in 2..=3 {
            let event = next_message(&mut socket).await.unwrap();
            assert_eq!(
                (&event["seq"], &event["type"], &event["data"]["n"]),
                (&json!(n), &json!("app.down"), &json!(n))
            );
        }
        // A ping is answered; what else clients say is not taken.
        socket.send(Message::Ping(b"7".to_vec().into())).await.unwrap();
        let pong = timeout(Duration::from_secs(60), socket.next()).await.unwrap();
        assert!(matches!(&pong, Some(Ok(Message::Pong(octets))) if &octets[..] == b"7"), "{pong:?}");
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(next_message(&mut socket).await.unwrap_err().0, 1003);
    }
    // Of one call and its conversation, to its end.
    let (mut all, _) = open_socket(&b, "/v1/events?after=3", &[bearer]).await.unwrap();
    let (mut call, _) = open_socket(&b, "/v1/calls/call_live/events", &[bearer]).await.unwrap();
    append(EventKind::AppDown, "crm", 4).await;
    append(EventKind::CallStarted, "call_live", 5).await;
    append(EventKind::ConversationTurn, "conv_live", 6).await;
    append(EventKind::CallEnded, "call_live", 7).await;
    append(EventKind::CallEnded, "call_other", 8).await;
    for n in 5..=7 {
        assert_eq!(next_message(&mut call).await.unwrap()["data"]["n"], n);
    }
    assert_eq!(next_message(&mut call).await, Err((1000, "the call is over".to_owned())));
    for n in 4..=8 {
        assert_eq!(next_message(&mut all).await.unwrap()["data"]["n"], n);
    }
    // They do not hold up the end of the service.
    b.stop.send(()).unwrap();
    timeout(Duration::from_secs(10), b.served).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_events_is_closed_and_told_where_to_go_on() {
    let b = start().await;
    let slow = async || {
        let text = get(b.address, "/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix("event_streams_slow_total ").map(str::to_owned));
        line.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    let before = slow().await;
    let (mut socket, _) = open_socket(&b, "/v1/events?after=0", &[]).await.unwrap();
    let long = "x".repeat(200_000);
    // More than any socket holds.
    for n in 1..=100 {
        let data = json!({"n": n, "long": long});
        b.store.events().append(EventKind::AppDown, "crm", &n.to_string(), Wallclock(n), data).await.unwrap();
    }
    let begun = std::time::Instant::now();
    while slow().await <= before {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is waited for");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut last = 0;
    let end = loop {
        match next_message(&mut socket).await {
            Ok(event) => last = event["seq"].as_u64().unwrap(),
            Err(end) => break end,
        }
    };
    assert_eq!(end.0, 1013, "{end:?}");
    let after: u64 = end.1.split_once("?after=").unwrap().1.parse().unwrap();
    assert!(after <= last && after + 1 >= last && last < 100, "{after} after {last}");
    let (mut socket, _) = open_socket(&b, &format!("/v1/events?after={after}"), &[]).await.unwrap();
    assert_eq!(next_message(&mut socket).await.unwrap()["seq"], after + 1);
}

#[tokio::test]
async fn an_address_for_others_is_refused_with_advice() {
    for address in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:0"] {
        let error = Server::bind(address.parse().unwrap(), &Access::open()).await.unwrap_err();
        assert!(matches!(error, ApiError::NotLoopback(_)));
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_nothing_but_health_and_the_page_is_open() {
    let b = start_guarded(Access::by_token("0123456789abcdef")).await;
    for route in callwright::api::ROUTES {
        let path = route.path.replace("{id}", "x").replace("{name}", "x");
        let request = |fields: &str| {
            format!(
                "{} {path} HTTP/1.1\r\nHost: box.example\r\nConnection: close\r\n{fields}Content-Length: 0\r\n\r\n",
                route.method
            )
        };
        // Twilio signs what it asks for: our token is neither asked for nor does it help.
        if ["/incoming", "/incoming/status", "/media"].contains(&route.path) {
            for fields in ["", "Authorization: Bearer 0123456789abcdef\r\n"] {
                let answer = send(b.address, request(fields)).await;
                assert_eq!(answer.status, 403, "{path}: {}", answer.head);
            }
            continue;
        }
        let pages = ["/", "/page.css", "/page.js", "/call", "/call.css", "/call.js", "/client.js", "/client.d.ts"];
        // A browser asks for leave (CORS preflight) before it may show a token.
        let open = pages.contains(&route.path)
            || ["/health/live", "/health/ready"].contains(&route.path)
            || route.method == "OPTIONS";
        let answer = send(b.address, request("")).await;
        assert_eq!(answer.status == 401, !open, "{path}: {}", answer.status);
        assert_eq!(answer.head.contains("www-authenticate: bearer"), !open, "{path}: {}", answer.head);
        if route.path != "/v1/events" && !route.path.ends_with("/events") {
            let answer = send(b.address, request("Authorization: Bearer 0123456789abcdef\r\n")).await;
            assert!(![401, 403, 421, 429].contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    for n in 0..12 {
        let wrong = format!(
            "GET /v1/calls HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer guess-{n}\r\n\r\n",
            b.address
        );
        let answer = send(b.address, wrong).await;
        assert_eq!(answer.status, if n < 10 { 401 } else { 429 }, "{n}");
        assert_eq!(answer.head.contains("retry-after"), n >= 10);
        assert!(answer.head.contains("application/problem+json"));
    }
}

/// A POST of JSON.
async fn steer(b: &Box_, path: &str, fields: &str, body: &str) -> Answer {
    let (address, length) = (b.address, body.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{JSON}{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    send(address, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_is_an_order_to_its_call() {
    let b = start().await;
    let live = steered::LIVE.to_string();
    for (verb, body, status, noted) in [
        ("answer", "{}", 409, "Answer { app: None }"),
        ("answer", r#"{"app":"agent:grace"}"#, 409, "Answer { app: Some(Agent(\"grace\")) }"),
        ("say", r#"{"text":"Hello"}"#, 202, "Say { text: \"Hello\" }"),
        ("play", r#"{"file":"there.wav"}"#, 202, "play 800 samples"),
        ("play", r#"{"tone":"440","seconds":3}"#, 202, "play 24000 samples"),
        ("play", r#"{"stop":true}"#, 204, "Hush"),
        ("digits", r#"{"digits":"12#"}"#, 204, "SendDigits(Digits(3 keys))"),
        ("digits", r#"{"digits":"1a","info":true}"#, 204, "SendInfo(\"1A\")"),
        ("hold", "", 204, "Hold"),
        ("resume", "{}", 204, "Resume"),
        (
            "transfer",
            r#"{"to":"sip:bob@192.0.2.9","announce":"A call"}"#,
            202,
            "transfer sip:bob@192.0.2.9 Some(\"A call\")",
        ),
        ("bridge", r#"{"end":true}"#, 204, "Leave { line: None }"),
        ("hangup", r#"{"reason":"enough"}"#, 204, "HangUp { code: None, reason: Some(\"enough\") }"),
    ] {
        let answer = steer(&b, &format!("/v1/calls/{live}/{verb}"), "", body).await;
        assert_eq!(answer.status, status, "{verb}: {}", answer.body);
        let told = b.noted.0.lock().unwrap().pop();
        assert_eq!(told.as_deref(), Some(format!("{live} {noted}").as_str()), "{verb}");
        assert_eq!(status == 409, answer.head.contains("problem+json"));
        if !matches!(verb, "bridge" | "play" | "digits") {
            for gone in ["call_0000000000000009", "nonsense"] {
                let answer = steer(&b, &format!("/v1/calls/{gone}/{verb}"), "", body).await;
                assert_eq!(answer.status, 404, "{verb}: {}", answer.body);
            }
        }
        b.noted.0.lock().unwrap().clear();
    }
    for (verb, body) in [
        ("answer", r#"{"app":"fax"}"#),
        ("answer", r#"{"ap":"echo"}"#),
        ("say", r#"{"text":" "}"#),
        ("say", "{"),
        ("play", r#"{"file":"../there.wav"}"#),
        ("play", r#"{"file":"/etc/passwd"}"#),
        ("play", r#"{"file":"gone.wav"}"#),
        ("play", r#"{"tone":"440","seconds":900}"#),
        ("play", r#"{"tone":"loud"}"#),
        ("play", "{}"),
        ("digits", r#"{"digits":"12x"}"#),
        ("digits", r#"{"digits":""}"#),
        ("hold", r#"{"music":true}"#),
        ("transfer", r#"{"to":"sip:a@b","timeout_s":0}"#),
        ("transfer", r#"{"to":"sip:a@b","by":"refer","announce":"A call"}"#),
        ("bridge", "{}"),
        ("hangup", r#"{"code":200}"#),
    ] {
        let answer = steer(&b, &format!("/v1/calls/{live}/{verb}"), "", body).await;
        assert_eq!(answer.status, 422, "{verb} {body}: {}", answer.body);
        assert!(answer.json()["detail"].is_string());
    }
    assert_eq!(b.noted.0.lock().unwrap().len(), 0, "nothing of that reached the call");
    let plain = format!(
        "POST /v1/calls/{live}/hold HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b.address
    );
    assert_eq!(send(b.address, plain).await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_changes_nothing() {
    let b = start().await;
    for path in ["/v1/apps/crm/rollback", "/v1/builds/build_1/cancel", "/v1/calls/call_live/recording/pause"] {
        for fields in
            ["Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: http://evil.example\r\n"]
        {
            let answer = post_to(b.address, path, fields, "").await;
            assert_eq!(answer.status, 403, "{path} {fields}");
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        let own = format!("Sec-Fetch-Site: same-origin\r\nOrigin: http://{}\r\n", b.address);
        for fields in ["", own.as_str()] {
            assert_ne!(post_to(b.address, path, fields, "").await.status, 403, "{path} {fields}");
        }
    }
    // Reading is not changing; calls from pages have their own list of origins.
    let read = format!(
        "GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        b.address
    );
    assert_eq!(send(b.address, read).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_cannot_be_made_whole_is_taken_back() {
    let b = start().await;
    let live = steered::LIVE.to_string();
    let answer =
        steer(&b, &format!("/v1/calls/{live}/bridge"), "", r#"{"with":["call_0000000000000009"],"then":"return"}"#)
            .await;
    assert_eq!(
        (answer.status, answer.json()["call"].as_str()),
        (404, Some("call_0000000000000009")),
        "{}",
        answer.body
    );
    let told = b.noted.0.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            format!("{live} join Return"),
            "call_0000000000000009 join Return".to_owned(),
            format!("{live} Leave {{ line: None }}")
        ]
    );
    let twice = steer(&b, &format!("/v1/calls/{live}/bridge"), "", &format!(r#"{{"with":"{live}"}}"#)).await;
    assert_eq!(twice.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_places_one_call() {
    let b = start().await;
    let body = r#"{"to":"sip:bob@192.0.2.9","agent":"grace","headers":{"X-Order":"42"}}"#;
    let key = "Idempotency-Key: order-42\r\n";
    let first = steer(&b, "/v1/calls", key, body).await;
    assert_eq!((first.status, first.json()["state"].as_str()), (202, Some("calling")), "{}", first.body);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert!(first.head.contains(&format!("location: /v1/calls/{id}")));
    assert_eq!(
        b.noted.0.lock().unwrap().pop().as_deref(),
        Some("place sip:bob@192.0.2.9 agent:grace [(\"X-Order\", \"42\")]")
    );
    let record = CallRecord::begun(id.clone(), Direction::Outbound, Wallclock(1));
    b.store.calls().record(record).await.unwrap();
    let again = steer(&b, "/v1/calls", key, body).await;
    assert_eq!((again.status, again.json()["id"].as_str()), (200, Some(id.as_str())));
    assert_eq!(steer(&b, "/v1/calls", key, r#"{"to":"sip:ann@192.0.2.9"}"#).await.status, 422);
    assert!(b.noted.0.lock().unwrap().is_empty(), "nobody was called twice");
    assert_ne!(steer(&b, "/v1/calls", "", body).await.json()["id"], id);
    for wrong in [
        "{}",
        r#"{"to":"nonsense"}"#,
        r#"{"to":"sip:a@b","app":"echo","agent":"grace"}"#,
        r#"{"to":"sip:a@b","headers":{"Via":"x"}}"#,
        r#"{"to":"sip:a@b","headers":{"X-A":"a\r\nVia: x"}}"#,
        r#"{"to":"sip:a@b","timeout_s":1000}"#,
    ] {
        assert_eq!(steer(&b, "/v1/calls", "", wrong).await.status, 422, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_one_call_are_replayed_and_end_with_it() {
    let b = start().await;
    for id in ["call_a1", "call_b2"] {
        let ended = CallRecord {
            answered: Some(Wallclock(2)),
            ended: Some(Wallclock(3)),
            ended_by: Some("agent_hung_up".into()),
            cause: Some(16),
            ..CallRecord::begun(id, Direction::Inbound, Wallclock(1))
        };
        b.store.calls().record(ended).await.unwrap();
    }
    let events = get(b.address, "/v1/calls/call_b2/events?after=0").await;
    assert!(events.head.contains("text/event-stream"));
    let kinds: Vec<_> = events.body.lines().filter_map(|l| l.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["call.started", "call.answered", "call.ended"]);
    assert!(!events.body.contains("call_a1") && events.body.contains("\"cause\":16"), "{}", events.body);
    let last = events.body.lines().rev().find_map(|l| l.strip_prefix("id: ")).unwrap().to_owned();
    let before_last: u64 = last.parse::<u64>().unwrap() - 1;
    let request = format!(
        "GET /v1/calls/call_b2/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nLast-Event-ID: {before_last}\r\n\r\n",
        b.address
    );
    let rest = send(b.address, request).await;
    assert_eq!(rest.body.matches("event: ").count(), 1, "{}", rest.body);
    assert_eq!(get(b.address, "/v1/calls/call_none/events").await.status, 404);
}
