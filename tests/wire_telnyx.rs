//! Telnyx's calls over real sockets: a signed webhook is answered with TeXML, the stream that it names carries the call's audio both
//! ways, and what is forged, old or replayed gets nothing. Messages as documented at
//! <https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket>, webhooks as at
//! <https://developers.telnyx.com/api-reference/callbacks/texml-call-answered>.

mod rig;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callwright::os::clock;
use futures_util::{SinkExt, StreamExt};
use rig::Daemon;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const LONG: Duration = Duration::from_secs(30);
const CALL: &str =
    "AccountSid=f5586561-8ff0-4291-a51b-c7dfe4139ff9&CallSid=v3%3A9X2v-aiQ&From=%2B35319605860&To=%2B13129457420";

/// POSTs a form, signed at that time.
async fn post(http: SocketAddr, pair: &Ed25519KeyPair, at: u64, body: &str, spoilt: bool) -> (u16, String) {
    let mut signature = pair.sign(format!("{at}|{body}").as_bytes()).as_ref().to_vec();
    signature[0] ^= u8::from(spoilt);
    let head = format!(
        "POST /incoming HTTP/1.1\r\nHost: phone.example.com\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         telnyx-timestamp: {at}\r\ntelnyx-signature-ed25519: {}\r\nContent-Length: {}\r\n\r\n{body}",
        STANDARD.encode(signature),
        body.len()
    );
    let mut stream = TcpStream::connect(http).await.expect("the daemon listens");
    stream.write_all(head.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}

async fn socket(http: SocketAddr, path: &str) -> Result<WebSocketStream<TcpStream>, u16> {
    let mut request = format!("ws://{http}{path}").into_client_request().expect("an address");
    request.headers_mut().insert("host", "phone.example.com".parse().expect("a name"));
    let connection = TcpStream::connect(http).await.expect("the daemon listens");
    match client_async(request, connection).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_telnyx_is_answered_and_heard() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let daemon = Daemon::start_with(&format!(
        "[telnyx]\npublic_key = \"{}\"\npublic_url = \"https://phone.example.com\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n",
        STANDARD.encode(pair.public_key())
    ));
    let (http, now) = (daemon.http, clock::wall().0 / 1000);
    assert_eq!(post(http, &pair, now, CALL, true).await.0, 403, "forged");
    assert_eq!(post(http, &pair, now - 400, CALL, false).await.0, 403, "old");
    let (status, texml) = post(http, &pair, now, CALL, false).await;
    assert_eq!(status, 200, "{texml}");
    assert_eq!(post(http, &pair, now, CALL, false).await.0, 403, "replayed");
    let url = texml.split("url=\"").nth(1).and_then(|t| t.split('"').next()).expect("a stream");
    let path = url.strip_prefix("wss://phone.example.com").expect("ours").to_owned();
    assert_eq!(socket(http, "/media?token=00000000").await.err(), Some(403));

    let mut stream = socket(http, &path).await.expect("the token lets it in");
    stream.send(text(&json!({"event": "connected", "version": "1.0.0"}))).await.expect("sent");
    let start = json!({"event": "start", "sequence_number": "1", "stream_id": "32DE", "start": {
        "user_id": "3E6F", "call_control_id": "v3:9X2v-aiQ", "client_state": "aGF2", "from": "+35319605860", "to": "+13129457420",
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}});
    stream.send(text(&start)).await.expect("sent");
    let voice = vec![0x12_u8; 160];
    let (mut chunk, mut ticks, deadline) = (0_u32, interval(Duration::from_millis(20)), Instant::now() + LONG);
    let heard = loop {
        tokio::select! {
            _ = ticks.tick() => {
                chunk += 1;
                let media = json!({"event": "media", "sequence_number": (chunk + 1).to_string(), "stream_id": "32DE", "media": {
                    "track": "inbound", "chunk": chunk.to_string(), "timestamp": (chunk * 20).to_string(),
                    "payload": STANDARD.encode(&voice)}});
                stream.send(text(&media)).await.expect("sent");
            }
            next = timeout_at(deadline, stream.next()) => {
                let Some(Ok(Message::Text(told))) = next.expect("audio in time") else { continue };
                let told: Value = serde_json::from_str(told.as_str()).expect("JSON");
                assert!(told["streamSid"].is_null() && told["stream_id"].is_null(), "what goes there names no stream: {told}");
                let payload = told["media"]["payload"].as_str().and_then(|text| STANDARD.decode(text).ok());
                if let Some(payload) = payload.filter(|payload| payload.contains(&0x12)) {
                    break payload;
                }
            }
        }
    };
    assert!(heard.len() >= 160, "{} octets", heard.len());
    stream
        .send(text(&json!({"event": "stop", "sequence_number": "9", "stream_id": "32DE", "stop": {}})))
        .await
        .expect("sent");
    let mut record = Value::Null;
    let over = rig::eventually(LONG, || {
        let (_, body) = rig::get(http, "/v1/calls").expect("the API answers");
        record = serde_json::from_str::<Value>(&body).expect("JSON");
        record["live"].as_array().is_some_and(Vec::is_empty)
    });
    assert!(over, "{record:#}");
    assert!(socket(http, &path).await.is_err(), "the token is good once");
    let log = daemon.log();
    assert!(log.contains("Telnyx offers a call") && !log.contains(path.trim_start_matches("/media?token=")), "{log}");
}

/// Whatever stands in the fields, and however often: 403 (or what HTTP itself refuses), and the daemon goes on.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_none_are_refused_and_hurt_nobody() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let daemon = Daemon::start_with(&format!(
        "[telnyx]\npublic_key = \"{}\"\npublic_url = \"https://phone.example.com\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n",
        STANDARD.encode(pair.public_key())
    ));
    let (http, now) = (daemon.http, clock::wall().0 / 1000);
    let good = STANDARD.encode(pair.sign(format!("{now}|{CALL}").as_bytes()));
    let [time, signature] = ["telnyx-timestamp", "telnyx-signature-ed25519"];
    let field = |name: &str, value: &[u8]| [name.as_bytes(), b": ", value, b"\r\n"].concat();
    let (long, nul) = (vec![b'1'; 6_000], [&good.as_bytes()[..20], &[0], &good.as_bytes()[20..]].concat());
    let (at, stamp) = (now.to_string().into_bytes(), good.as_bytes());
    let hostile: Vec<Vec<u8>> = vec![
        vec![],
        field(time, &at),
        field(signature, stamp),
        [field(time, b""), field(signature, b"")].concat(),
        [field(time, &at), field(signature, &nul)].concat(),
        [field(time, &at), field(signature, &[0xff; 88])].concat(),
        [field(time, &[0xe2, 0x80, 0xaf]), field(signature, stamp)].concat(),
        [field(time, &long), field(signature, &long)].concat(),
        [field(time, b"-1"), field(signature, stamp)].concat(),
        [field(time, b"1e9"), field(signature, stamp)].concat(),
        [field(time, b"99999999999999999999"), field(signature, stamp)].concat(),
        // The first of two counts, as it does for whoever signs.
        [field(time, b"0"), field(time, &at), field(signature, stamp)].concat(),
        [field(time, &at), field(signature, b"AAAA"), field(signature, stamp)].concat(),
        // A good signature of something else.
        [field(time, format!("{now}|").as_bytes()), field(signature, stamp)].concat(),
    ];
    for fields in hostile {
        let mut request = b"POST /incoming HTTP/1.1\r\nHost: phone.example.com\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n".to_vec();
        request.extend(&fields);
        request.extend(format!("Content-Length: {}\r\n\r\n{CALL}", CALL.len()).bytes());
        let mut stream = TcpStream::connect(http).await.expect("the daemon listens");
        stream.write_all(&request).await.expect("the request is taken");
        let mut answer = Vec::new();
        // It may close before it has read what it refuses.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let status: u16 = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        assert!(matches!(status, 400 | 403 | 431), "{status} for {:?}", String::from_utf8_lossy(&fields));
    }
    assert_eq!(post(http, &pair, now, CALL, false).await.0, 200, "none of them has spent it");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
