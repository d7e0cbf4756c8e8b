//! Deepgram's streaming recognition. Purpose: one WebSocket a turn, opened when the caller begins to speak: audio up as it
//! comes, words so far down, the final words when the turn is over. Owning thread: the cloud; [`Assembly`] and [`parse`]
//! are sans-IO. Invariant: we end turns, not the provider (`endpointing=false`); words are lower case, numbers in words.
//! Deliberately absent: deadlines and fallback (`turns`, `with_local`).
//!
//! Documents: <https://developers.deepgram.com/reference/speech-to-text/listen-streaming> (parameters, messages),
//! `/docs/finalize`, `/docs/close-stream`, `/docs/audio-keep-alive`, `/docs/keyterm` on the same host. No account has
//! been at hand: what is known of the service is what these say, and the tests hold to that.

use super::ProviderConfig;
use super::failure::ProviderError;
use super::key::{header, redact};
use super::request::{client, endpoint};
use super::socket::{Incoming, Socket};
use super::turns::{Hearing, Listener, Turn};
use crate::speech::plain::confidence;
use callwright_models::asr::{Hypothesis, Word};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Url};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Where it is, unless configured otherwise.
pub(super) const URL: &str = "https://api.deepgram.com";
/// The model, unless configured otherwise.
pub(super) const MODEL: &str = "nova-3";
/// Sent every 3–5 s without audio, or the server closes after 10 (`/docs/audio-keep-alive`).
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A summary is followed by the end of the connection. Results that come later than this after it are not waited for.
const AFTER_SUMMARY: Duration = Duration::from_millis(100);
/// Samples in one message at most: what waited for the connection goes out in pieces of a second.
const MESSAGE_SAMPLES: usize = 8000;

/// The connection parameters, shared by all turns.
pub(super) struct DeepgramListen {
    client: Client,
    url: Url,
    config: ProviderConfig,
    keep_alive: Duration,
}

impl DeepgramListen {
    pub(super) fn new(config: ProviderConfig, vocabulary: &[&str]) -> Result<Self, ProviderError> {
        let model = config.model.as_deref().unwrap_or(MODEL);
        let mut url = endpoint(config.url.as_deref().unwrap_or(URL), "listen")?;
        url.query_pairs_mut()
            .append_pair("model", model)
            .append_pair("language", "en")
            .append_pair("encoding", "linear16")
            .append_pair("sample_rate", "8000")
            .append_pair("channels", "1")
            .append_pair("interim_results", "true")
            .append_pair("endpointing", "false");
        // Older models know single words only, by another name (`/docs/keywords`).
        let name = if model.starts_with("nova-3") { "keyterm" } else { "keywords" };
        for words in vocabulary {
            url.query_pairs_mut().append_pair(name, words);
        }
        Ok(Self { client: client(&url)?, url, config, keep_alive: KEEP_ALIVE })
    }

    /// The same with another wait between signs of life.
    #[cfg(test)]
    pub(super) fn keeping_alive(self, keep_alive: Duration) -> Self {
        Self { keep_alive, ..self }
    }

    async fn hear(&self, mut turn: Turn) -> Result<Hypothesis, ProviderError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header(&self.config.key, "Token "));
        let hide = |text: &str| redact(&self.config.key, text);
        let mut socket = Socket::open(&self.client, self.url.clone(), headers, hide).await?;
        let mut assembly = Assembly::default();
        let (mut ended, mut quiet_since) = (false, Instant::now());
        let mut summary_at: Option<Instant> = None;
        loop {
            tokio::select! {
                chunk = turn.audio.recv(), if !ended => {
                    if let Some(first) = chunk {
                        let samples = with_more(first, &mut turn);
                        turn.gate.heard(samples.len());
                        socket.send_octets(samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()).await?;
                        quiet_since = Instant::now();
                    } else {
                        // The first makes what is buffered final; the second tells that nothing follows, and is always
                        // answered, where an answer to the first "is not guaranteed".
                        ended = true;
                        socket.send_text(r#"{"type":"Finalize"}"#).await?;
                        socket.send_text(r#"{"type":"CloseStream"}"#).await?;
                    }
                }
                incoming = socket.next() => match incoming? {
                    Incoming::Text(text) => {
                        let event = parse(&text).map_err(|error| redacted(error, &hide))?;
                        // Streams have been seen described where such a message also comes midway.
                        if ended && event == Event::Metadata {
                            summary_at.get_or_insert_with(Instant::now);
                        }
                        let flushed = assembly.handle(event);
                        turn.tell(assembly.words_so_far());
                        if flushed && ended {
                            return Ok(assembly.finish());
                        }
                    }
                    Incoming::Closed { code: 1000 | 1005, .. } if ended => return Ok(assembly.finish()),
                    Incoming::Closed { code, reason } => {
                        return Err(ProviderError::Closed(hide(format!("{code} {reason}").trim_end())));
                    }
                    Incoming::Other => {}
                },
                () = sleep_until(summary_at.unwrap_or(quiet_since) + AFTER_SUMMARY), if summary_at.is_some() => {
                    return Ok(assembly.finish());
                }
                () = sleep_until(quiet_since + self.keep_alive), if !ended => {
                    socket.send_text(r#"{"type":"KeepAlive"}"#).await?;
                    quiet_since = Instant::now();
                }
            }
        }
    }
}

impl Listener for DeepgramListen {
    fn hear(self: Arc<Self>, turn: Turn) -> Hearing {
        Box::pin(async move { Self::hear(&self, turn).await })
    }
}

/// What else waits already, up to one message.
fn with_more(first: Box<[i16]>, turn: &mut Turn) -> Vec<i16> {
    let mut samples = first.into_vec();
    while samples.len() < MESSAGE_SAMPLES
        && let Ok(more) = turn.audio.try_recv()
    {
        samples.extend_from_slice(&more);
    }
    samples
}

fn redacted(error: ProviderError, hide: &impl Fn(&str) -> String) -> ProviderError {
    match error {
        ProviderError::Server(said) => ProviderError::Server(hide(&said)),
        other => other,
    }
}

/// One message of the server, as far as it concerns us.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// Words of one stretch of audio.
    Results {
        /// They will not change.
        is_final: bool,
        /// Everything sent before Finalize has been answered.
        from_finalize: bool,
        words: Vec<Word>,
        transcript: String,
        alternatives: Vec<String>,
    },
    /// The summary of the stream, after CloseStream.
    Metadata,
    /// `SpeechStarted`, `UtteranceEnd` and what may be added.
    Other,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    is_final: bool,
    #[serde(default)]
    from_finalize: bool,
    channel: Option<serde_json::Value>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Channel {
    alternatives: Vec<Alternative>,
}

#[derive(Deserialize)]
struct Alternative {
    transcript: String,
    #[serde(default)]
    words: Vec<HeardWord>,
}

#[derive(Deserialize)]
struct HeardWord {
    word: String,
    start: f64,
    end: f64,
    confidence: f32,
}

/// Reads one message of the server.
///
/// # Errors
/// [`ProviderError::Garbage`]; [`ProviderError::Server`] for a message of type `Error`.
pub(super) fn parse(text: &str) -> Result<Event, ProviderError> {
    let garbage = |error: serde_json::Error| ProviderError::Garbage(error.to_string());
    let envelope: Envelope = serde_json::from_str(text).map_err(garbage)?;
    match envelope.kind.as_str() {
        "Results" => {
            let channel = envelope.channel.ok_or_else(|| ProviderError::Garbage("results without a channel".into()))?;
            let channel: Channel = serde_json::from_value(channel).map_err(garbage)?;
            let mut alternatives = channel.alternatives.into_iter();
            let best = alternatives.next().unwrap_or(Alternative { transcript: String::new(), words: Vec::new() });
            let words = best.words.into_iter().map(|heard| Word {
                word: heard.word,
                start_ms: ms(heard.start),
                end_ms: ms(heard.end),
                posterior: heard.confidence.clamp(0.0, 1.0),
            });
            Ok(Event::Results {
                is_final: envelope.is_final,
                from_finalize: envelope.from_finalize,
                words: words.collect(),
                transcript: best.transcript,
                alternatives: alternatives.map(|other| other.transcript).collect(),
            })
        }
        "Metadata" => Ok(Event::Metadata),
        "Error" => Err(ProviderError::Server(envelope.description.unwrap_or_default())),
        _ => Ok(Event::Other),
    }
}

/// Seconds to milliseconds; what is no time becomes zero.
fn ms(seconds: f64) -> u32 {
    (seconds * 1000.0).round() as u32
}

/// The turn so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    words: Vec<Word>,
    text: String,
    alternatives: Vec<String>,
    /// Results that are final.
    stretches: usize,
    interim: String,
}

impl Assembly {
    /// Takes a message; true when it says that everything sent before Finalize has been answered.
    pub(super) fn handle(&mut self, event: Event) -> bool {
        match event {
            Event::Results { is_final: false, transcript, .. } => {
                self.interim = transcript;
                false
            }
            Event::Results { words, transcript, alternatives, from_finalize, .. } => {
                self.interim.clear();
                if !transcript.trim().is_empty() {
                    self.stretches += 1;
                    append(&mut self.text, &transcript);
                    // Readings of the whole turn are known only when it came in one stretch.
                    self.alternatives = if self.stretches == 1 { alternatives } else { Vec::new() };
                }
                self.words.extend(words);
                from_finalize
            }
            Event::Metadata | Event::Other => false,
        }
    }

    pub(super) fn words_so_far(&self) -> String {
        let mut text = self.text.clone();
        append(&mut text, &self.interim);
        text
    }

    pub(super) fn finish(self) -> Hypothesis {
        Hypothesis {
            // Words that were never made final are better than none.
            text: self.words_so_far(),
            confidence: confidence(self.words.iter().map(|word| word.posterior)),
            frames: self.words.last().map_or(0, |word| word.end_ms / 10),
            words: self.words,
            alternatives: self.alternatives,
            complete: None,
        }
    }
}

fn append(text: &mut String, more: &str) {
    let more = more.trim();
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result as `/reference/speech-to-text/listen-streaming` has it, "Receive": ListenV1Results.
    fn result(transcripts: &[&str], is_final: bool) -> Event {
        let alternatives: Vec<_> = transcripts
            .iter()
            .map(|transcript| serde_json::json!({ "transcript": transcript, "confidence": 0.9, "words": [] }))
            .collect();
        let value = serde_json::json!({
            "type": "Results", "channel_index": [0, 1], "start": 0.0, "duration": 1.0, "is_final": is_final,
            "speech_final": false, "channel": { "alternatives": alternatives }
        });
        parse(&value.to_string()).unwrap()
    }

    #[test]
    fn interim_words_give_way_to_final_ones() {
        let mut assembly = Assembly::default();
        assembly.handle(result(&["i need"], false));
        assert_eq!(assembly.words_so_far(), "i need");
        assembly.handle(result(&["i need a"], true));
        assembly.handle(result(&["see"], false));
        assert_eq!(assembly.words_so_far(), "i need a see");
        assembly.handle(result(&["crm"], true));
        assembly.handle(result(&[""], true));
        assert_eq!(assembly.finish().text, "i need a crm");
    }

    #[test]
    fn other_readings_are_those_of_the_whole_turn() {
        let mut assembly = Assembly::default();
        assembly.handle(result(&["yes", "yet"], true));
        assert_eq!(assembly.finish().alternatives, ["yet"]);
        let mut assembly = Assembly::default();
        assembly.handle(result(&["yes", "yet"], true));
        assembly.handle(result(&["please", "peas"], true));
        assert!(assembly.finish().alternatives.is_empty(), "of half a turn they would mislead");
        let mut assembly = Assembly::default();
        assembly.handle(result(&[], true));
        assert_eq!(assembly.finish(), Hypothesis::default());
    }
}
