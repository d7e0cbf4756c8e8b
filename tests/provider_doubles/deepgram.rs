//! Deepgram. Documents, all under developers.deepgram.com: `/reference/speech-to-text/listen-streaming` (connection,
//! messages), `/docs/finalize`, `/docs/close-stream`, `/docs/audio-keep-alive`, `/docs/errors`,
//! `/docs/stt-troubleshooting-websocket-data-and-net-errors`, `/reference/text-to-speech/speak-request`.

use super::Exchange;
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// `/reference/speech-to-text/listen-streaming`, "Receive": ListenV1Results. `words` are `(word, start, end, confidence)`.
pub(crate) fn results(words: &[(&str, f64, f64, f64)], is_final: bool, from_finalize: bool) -> String {
    let transcript = words.iter().map(|(word, ..)| *word).collect::<Vec<_>>().join(" ");
    let list: Vec<_> = words
        .iter()
        .map(|(word, start, end, confidence)| {
            serde_json::json!({ "word": word, "start": start, "end": end, "confidence": confidence })
        })
        .collect();
    let (start, end) = (words.first().map_or(0.0, |w| w.1), words.last().map_or(0.0, |w| w.2));
    serde_json::json!({
        "type": "Results",
        "channel_index": [0, 1],
        "duration": end - start,
        "start": start,
        "is_final": is_final,
        "speech_final": false,
        "channel": { "alternatives": [{ "transcript": transcript, "confidence": 0.97, "words": list }] },
        "metadata": {
            "request_id": "52cc0efe-fa77-4aa7-b79c-0dda09de2f14",
            "model_info": { "name": "general-nova-3", "version": "2025-04-17.21547", "arch": "nova-3" },
            "model_uuid": "40bd3654-e622-47c4-a111-63a61b23bfe8"
        },
        "from_finalize": from_finalize
    })
    .to_string()
}

/// `/docs/close-stream`, "CloseStream Confirmation".
pub(crate) const METADATA: &str = r#"{"type":"Metadata","transaction_key":"deprecated",
"request_id":"8c8ebea9-dbec-45fa-a035-e4632cb05b5f",
"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
"created":"2024-08-29T22:37:55.202Z","duration":1.5,"channels":1}"#;

/// `/reference/speech-to-text/listen-streaming`, "Receive": ListenV1SpeechStarted; sent with `vad_events`.
pub(crate) const SPEECH_STARTED: &str = r#"{"type":"SpeechStarted","channel":[0,1],"timestamp":0.4}"#;

/// The same, ListenV1Error.
pub(crate) const ERROR: &str =
    r#"{"type":"Error","variant":"SchemaError","description":"could not parse a client message","message":"x"}"#;

/// `/docs/errors`, "401 Invalid credentials", "429 Rate limit exceeded".
pub(crate) const INVALID_AUTH: &str =
    r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"uuid"}"#;
pub(crate) const TOO_MANY: &str =
    r#"{"err_code":"TOO_MANY_REQUESTS","err_msg":"Too many requests. Please try again later","request_id":"uuid"}"#;

/// What a turn of the double was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listened {
    pub(crate) samples: Vec<i16>,
    /// Types of the control messages, in order.
    pub(crate) controls: Vec<String>,
}

/// How a turn is answered.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// Sent when the first audio has come.
    pub(crate) early: Vec<String>,
    /// Sent on Finalize.
    pub(crate) finalized: Vec<String>,
    /// Sent on CloseStream, before the connection is closed.
    pub(crate) closing: Vec<String>,
    /// Code and reason of the close frame after CloseStream; `None`: the connection stays open, silent.
    pub(crate) close: Option<(u16, &'static str)>,
}

/// Listens to one turn and answers it by the script; gives back what was sent when the client is done.
pub(crate) fn listen(exchange: Exchange, script: &Script) -> Listened {
    let mut socket = exchange.upgrade();
    let mut listened = Listened::default();
    while let Ok(message) = socket.read() {
        match message {
            Message::Binary(octets) => {
                if listened.samples.is_empty() {
                    say(&mut socket, &script.early);
                }
                let (pairs, rest) = octets.as_chunks::<2>();
                assert!(rest.is_empty(), "linear16 is two octets a sample");
                listened.samples.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
            }
            Message::Text(text) => {
                let control: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                let kind = control["type"].as_str().unwrap().to_owned();
                match kind.as_str() {
                    "Finalize" => say(&mut socket, &script.finalized),
                    "CloseStream" => {
                        say(&mut socket, &script.closing);
                        if let Some((code, reason)) = script.close {
                            let _ = socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() }));
                        }
                    }
                    "KeepAlive" => {}
                    other => panic!("{other} is no control message"),
                }
                listened.controls.push(kind);
            }
            _ => {}
        }
    }
    listened
}

fn say(socket: &mut WebSocket<TcpStream>, messages: &[String]) {
    for message in messages {
        let _ = socket.send(Message::text(message.clone()));
    }
}

/// A whole turn as the documents describe it: interim results, final ones on Finalize, the summary and the end on
/// CloseStream.
pub(crate) fn turn() -> Script {
    let (yes, build) = (("yes", 0.1, 0.4, 0.99), ("build", 0.5, 0.8, 0.81));
    Script {
        early: vec![SPEECH_STARTED.into(), results(&[yes], false, false), results(&[yes], true, false)],
        finalized: vec![results(&[build], true, true)],
        closing: vec![METADATA.into()],
        close: Some((1000, "")),
    }
}
