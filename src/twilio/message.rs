//! The messages of a media stream (<https://www.twilio.com/docs/voice/media-streams/websocket-messages>), and Telnyx's, which
//! have other names for the same (<https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket>).
//! Pure. Purpose: JSON → [`Message`], orders → JSON. Invariants: what is longer than `limits::TWILIO_MESSAGE_MAX`, no JSON, or
//! not as documented is refused and says why; events that we do not know are passed over. Deliberately absent: what the
//! messages mean for the stream (`media_stream`).

use crate::limits::{TWILIO_MESSAGE_MAX, TWILIO_PAYLOAD_MAX};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;

/// Characters of a name of a stream, call or account.
const NAME_MAX: usize = 200;
/// Parameters that a start may carry, and characters of each.
const PARAMETERS_MAX: usize = 64;
const PARAMETER_MAX: usize = 1024;

/// Why a message is refused. The sender's fault; the stream goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Longer than `limits::TWILIO_MESSAGE_MAX`, or its audio than `limits::TWILIO_PAYLOAD_MAX`.
    #[error("the message is too long")]
    Oversized,
    /// No JSON, or a field that cannot be read.
    #[error("the message is no JSON as documented")]
    Malformed,
    /// Not base64, or nothing.
    #[error("the audio is no base64")]
    Payload,
    /// Not µ-law at 8 kHz with one channel.
    #[error("the audio is not in audio/x-mulaw, 8000 Hz, one channel")]
    Format,
    /// A message of another stream.
    #[error("the message names another stream")]
    OtherStream,
    /// Audio or keys before the start.
    #[error("the message came before the start")]
    BeforeStart,
    /// A second start.
    #[error("the stream has begun already")]
    SecondStart,
    /// Nothing is awaited after the stop.
    #[error("the message came after the stop")]
    AfterStop,
    /// A mark that we did not send.
    #[error("this mark was never sent")]
    UnknownMark,
    /// Something that is no key.
    #[error("this is no key")]
    NoKey,
}

impl Fault {
    /// For metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Payload => "payload",
            Self::Format => "format",
            Self::OtherStream => "other_stream",
            Self::BeforeStart => "before_start",
            Self::SecondStart => "second_start",
            Self::AfterStop => "after_stop",
            Self::UnknownMark => "unknown_mark",
            Self::NoKey => "no_key",
        }
    }
}

/// Whose names the messages have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dialect {
    /// `streamSid`, `sequenceNumber`.
    #[default]
    Twilio,
    /// `stream_id`, `sequence_number`; what goes there names no stream.
    Telnyx,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The first one.
    Connected,
    /// The stream begins.
    Start(Start),
    /// Audio of the caller.
    Media(Media),
    /// Everything before this mark of ours was played, or cleared.
    Mark {
        /// The stream.
        stream: Option<String>,
        /// As we sent it.
        name: String,
    },
    /// A key was pressed.
    Key {
        /// The stream.
        stream: Option<String>,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// The stream, or the call, is over.
    Stop,
    /// Something else, which is no matter of ours.
    Other,
}

/// What the start says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Whose names it has.
    pub dialect: Dialect,
    /// The stream: `MZ…`.
    pub stream: String,
    /// The call: `CA…`.
    pub call: String,
    /// The account: `AC…`.
    pub account: Option<String>,
    /// Those of the TwiML.
    pub parameters: BTreeMap<String, String>,
}

/// One piece of audio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// The stream.
    pub stream: Option<String>,
    /// Its number among the pieces, from 1; clones may leave it out.
    pub chunk: Option<u64>,
    /// The caller's side (the other one is our own voice, which some clones send along).
    pub is_inbound: bool,
    /// µ-law, 8 kHz: at least one octet.
    pub payload: Vec<u8>,
}

/// Reads one message.
///
/// # Errors
/// [`Fault`].
pub fn read(text: &str) -> Result<Message, Fault> {
    if text.len() > TWILIO_MESSAGE_MAX {
        return Err(Fault::Oversized);
    }
    let raw: Raw = serde_json::from_str(text).map_err(|_| Fault::Malformed)?;
    let dialect = if raw.stream_id.is_some() { Dialect::Telnyx } else { Dialect::Twilio };
    let stream = raw.stream_sid.or(raw.stream_id);
    if stream.as_ref().is_some_and(|name| !is_name(name)) {
        return Err(Fault::Malformed);
    }
    Ok(match &*raw.event {
        "connected" => Message::Connected,
        "start" => Message::Start(start(dialect, stream, raw.start.ok_or(Fault::Malformed)?)?),
        "media" => Message::Media(media(stream, raw.media.ok_or(Fault::Malformed)?)?),
        "mark" => Message::Mark { stream, name: raw.mark.ok_or(Fault::Malformed)?.name },
        "dtmf" => Message::Key { stream, key: key(&raw.dtmf.ok_or(Fault::Malformed)?.digit)? },
        "stop" => Message::Stop,
        _ => Message::Other,
    })
}

fn start(dialect: Dialect, stream: Option<String>, raw: RawStart) -> Result<Start, Fault> {
    if let Some(format) = raw.media_format {
        let encoding = ["audio/x-mulaw", "PCMU"].iter().any(|name| format.encoding.eq_ignore_ascii_case(name));
        if !encoding || format.rate.0 != 8_000 || format.channels.is_some_and(|channels| channels.0 != 1) {
            return Err(Fault::Format);
        }
    }
    let parameters = raw.parameters.unwrap_or_default();
    let fits = |(name, value): (&String, &String)| name.len() <= PARAMETER_MAX && value.len() <= PARAMETER_MAX;
    if parameters.len() > PARAMETERS_MAX || !parameters.iter().all(fits) {
        return Err(Fault::Oversized);
    }
    let stream = stream.or(raw.stream).ok_or(Fault::Malformed)?;
    if ![&stream, &raw.call].into_iter().chain(&raw.account).all(|name| is_name(name)) {
        return Err(Fault::Malformed);
    }
    Ok(Start { dialect, stream, call: raw.call, account: raw.account, parameters })
}

fn media(stream: Option<String>, raw: RawMedia) -> Result<Media, Fault> {
    if raw.payload.len() > TWILIO_PAYLOAD_MAX.div_ceil(3) * 4 {
        return Err(Fault::Oversized);
    }
    let payload = STANDARD.decode(raw.payload.as_bytes()).map_err(|_| Fault::Payload)?;
    if payload.is_empty() {
        return Err(Fault::Payload);
    }
    let is_inbound = raw.track.is_none_or(|track| track.starts_with("inbound"));
    Ok(Media { stream, chunk: raw.chunk.map(|n| n.0), is_inbound, payload })
}

fn key(digit: &str) -> Result<char, Fault> {
    let mut keys = digit.chars();
    match (keys.next().map(|key| key.to_ascii_uppercase()), keys.next()) {
        (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Ok(key),
        _ => Err(Fault::NoKey),
    }
}

/// Names go into logs and addresses.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// What is sent to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Plays this after what is there: µ-law, 8 kHz.
    Media(&'a [u8]),
    /// Says when everything before has been played.
    Mark(&'a str),
    /// Drops what has not been played.
    Clear,
}

/// Writes one message.
#[must_use]
pub fn write(dialect: Dialect, stream: &str, command: Command<'_>) -> String {
    let mut message = match command {
        Command::Media(octets) => json!({"event": "media", "media": {"payload": STANDARD.encode(octets)}}),
        Command::Mark(name) => json!({"event": "mark", "mark": {"name": name}}),
        Command::Clear => json!({"event": "clear"}),
    };
    if dialect == Dialect::Twilio {
        message["streamSid"] = stream.into();
    }
    message.to_string()
}

#[derive(Deserialize)]
struct Raw {
    event: String,
    #[serde(rename = "streamSid")]
    stream_sid: Option<String>,
    stream_id: Option<String>,
    start: Option<RawStart>,
    media: Option<RawMedia>,
    mark: Option<RawMark>,
    dtmf: Option<RawKey>,
}

#[derive(Deserialize)]
struct RawStart {
    #[serde(rename = "streamSid", alias = "stream_id")]
    stream: Option<String>,
    #[serde(rename = "callSid", alias = "call_control_id")]
    call: String,
    #[serde(rename = "accountSid", alias = "user_id")]
    account: Option<String>,
    #[serde(rename = "customParameters", alias = "custom_parameters")]
    parameters: Option<BTreeMap<String, String>>,
    #[serde(rename = "mediaFormat", alias = "media_format")]
    media_format: Option<RawFormat>,
}

#[derive(Deserialize)]
struct RawFormat {
    encoding: String,
    #[serde(rename = "sampleRate", alias = "sample_rate")]
    rate: Number,
    channels: Option<Number>,
}

#[derive(Deserialize)]
struct RawMedia {
    track: Option<String>,
    chunk: Option<Number>,
    payload: String,
}

#[derive(Deserialize)]
struct RawMark {
    name: String,
}

#[derive(Deserialize)]
struct RawKey {
    digit: String,
}

/// Twilio writes numbers as text.
#[derive(Clone, Copy)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or one in quotes")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(E::custom)
            }
        }
        d.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of Twilio's page "Media Streams: WebSocket Messages", and of Telnyx's, names and audio shortened.
    const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACxx","streamSid":"MZxx","callSid":"CAxx","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"FirstName":"Jane","LastName":"Doe"}},"streamSid":"MZxx"}"#;
    const TELNYX: &str = r#"{"event":"start","sequence_number":"1","stream_id":"32DE","start":{"user_id":"3E6F","call_control_id":"v2:T02","from":"+13122010094","to":"+13122123456","client_state":"aGF2","custom_parameters":{"token":"x"},"media_format":{"encoding":"PCMU","sample_rate":8000,"channels":1}}}"#;

    #[test]
    fn the_documented_messages_are_read() {
        assert_eq!(read(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#), Ok(Message::Connected));
        let Ok(Message::Start(start)) = read(START) else { panic!() };
        assert_eq!((start.stream.as_str(), start.call.as_str(), start.dialect), ("MZxx", "CAxx", Dialect::Twilio));
        assert_eq!((start.account.as_deref(), start.parameters["FirstName"].as_str()), (Some("ACxx"), "Jane"));
        let media = r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"no+JhoaJ"},"streamSid":"MZxx"}"#;
        let Ok(Message::Media(media)) = read(media) else { panic!() };
        assert_eq!((media.chunk, media.is_inbound, media.payload.len()), (Some(1), true, 6));
        let stream = Some("MZxx".to_owned());
        assert_eq!(
            read(r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZxx","mark":{"name":"my label"}}"#),
            Ok(Message::Mark { stream: stream.clone(), name: "my label".to_owned() })
        );
        assert_eq!(
            read(
                r#"{"event":"dtmf","streamSid":"MZxx","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}"#
            ),
            Ok(Message::Key { stream, key: '1' })
        );
        assert_eq!(
            read(
                r#"{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"ACxx","callSid":"CAxx"},"streamSid":"MZxx"}"#
            ),
            Ok(Message::Stop)
        );
        assert_eq!(read(r#"{"event":"news","streamSid":"MZxx","x":[{}]}"#), Ok(Message::Other));
    }

    #[test]
    fn telnyx_says_the_same_by_other_names() {
        let Ok(Message::Start(start)) = read(TELNYX) else { panic!() };
        assert_eq!((start.stream.as_str(), start.call.as_str(), start.dialect), ("32DE", "v2:T02", Dialect::Telnyx));
        assert_eq!(start.parameters["token"], "x");
        let media = r#"{"event":"media","sequence_number":"4","media":{"track":"inbound","chunk":"2","timestamp":"5","payload":"no+J"},"stream_id":"32DE"}"#;
        assert!(matches!(read(media), Ok(Message::Media(Media { chunk: Some(2), .. }))));
        assert_eq!(write(Dialect::Telnyx, "32DE", Command::Clear), r#"{"event":"clear"}"#);
    }

    #[test]
    fn what_we_say_is_as_documented() {
        let say = |command| write(Dialect::Twilio, "MZxx", command);
        assert_eq!(
            say(Command::Media(&[0x9e, 0x8f, 0x89])),
            r#"{"event":"media","media":{"payload":"no+J"},"streamSid":"MZxx"}"#
        );
        assert_eq!(say(Command::Mark("p7")), r#"{"event":"mark","mark":{"name":"p7"},"streamSid":"MZxx"}"#);
        assert_eq!(say(Command::Clear), r#"{"event":"clear","streamSid":"MZxx"}"#);
    }

    #[test]
    fn what_is_wrong_is_refused_and_named() {
        let media =
            |payload: &str| format!(r#"{{"event":"media","streamSid":"MZ","media":{{"payload":"{payload}"}}}}"#);
        let deep = format!("{{\"event\":\"x\",\"y\":{}", "[".repeat(60_000));
        let sample = START.replace("8000", "16000");
        let alaw = START.replace("x-mulaw", "x-alaw");
        for (text, fault) in [
            ("", Fault::Malformed),
            ("null", Fault::Malformed),
            ("{}", Fault::Malformed),
            ("not json", Fault::Malformed),
            (&deep, Fault::Malformed),
            (r#"{"event":"media","event":"media"}"#, Fault::Malformed),
            (r#"{"event":"media","streamSid":"MZ"}"#, Fault::Malformed),
            (r#"{"event":"mark","streamSid":"M Z","mark":{"name":"x"}}"#, Fault::Malformed),
            (r#"{"event":"media","media":{"chunk":"-1","payload":"no+J"}}"#, Fault::Malformed),
            (&media(""), Fault::Payload),
            (&media("no+"), Fault::Payload),
            (&media("no J"), Fault::Payload),
            (&media(&"A".repeat(30_000)), Fault::Oversized),
            (&"x".repeat(TWILIO_MESSAGE_MAX + 1), Fault::Oversized),
            (&sample, Fault::Format),
            (&alaw, Fault::Format),
            (r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#, Fault::NoKey),
            (r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#, Fault::NoKey),
        ] {
            assert_eq!(read(text), Err(fault), "{}", &text[..text.len().min(80)]);
        }
    }
}
