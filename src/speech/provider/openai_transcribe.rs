//! OpenAI's recognition. Purpose: a turn is sent when it is over, as a WAV file in one request; its words come as events.
//! Owning thread: the cloud; [`parse`] is sans-IO. Invariant: what is shorter than the service accepts is not sent.
//! Deliberately absent: words while the caller speaks, word times (the models have none), deadlines (`turns`).
//!
//! Documents: <https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions/methods/create>,
//! `…/transcriptions/streaming-events` on the same host. The turn is known here, so one request does what a Realtime
//! transcription session does with a session, base64 in JSON and audio brought up to 24 kHz; what a session would give
//! beyond it is words before the end of the turn, which nothing but the endpointer uses. No account has been at hand.
//! Servers that speak the same protocol work through `url`, also those that answer with one JSON object.

use super::ProviderConfig;
use super::failure::ProviderError;
use super::key::{header, redact};
use super::lines::{Lines, event_data};
use super::request::{ask, client, endpoint};
use super::turns::{Hearing, Listener, Turn};
use crate::speech::plain::confidence;
use callwright_models::asr::Hypothesis;
use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Url};
use serde::Deserialize;
use std::sync::Arc;

/// Where it is, unless configured otherwise.
pub(super) const URL: &str = "https://api.openai.com";
/// The model, unless configured otherwise.
pub(super) const MODEL: &str = "gpt-4o-mini-transcribe";
/// Confidence where a service gives none: just below the half from which a yes alone approves.
const UNKNOWN_CONFIDENCE: f32 = 0.45;
/// Audio below a tenth of a second is refused by the service.
const SAMPLES_MIN: usize = 800;

/// The connection parameters, shared by all turns.
pub(super) struct OpenAiTranscribe {
    client: Client,
    url: Url,
    config: ProviderConfig,
    /// "An optional text to guide the model's style": the agent's words.
    prompt: Option<String>,
}

impl OpenAiTranscribe {
    pub(super) fn new(config: ProviderConfig, vocabulary: &[&str]) -> Result<Self, ProviderError> {
        let url = endpoint(config.url.as_deref().unwrap_or(URL), "audio/transcriptions")?;
        let prompt = (!vocabulary.is_empty()).then(|| format!("Expect words like: {}.", vocabulary.join(", ")));
        Ok(Self { client: client(&url)?, url, config, prompt })
    }

    async fn hear(&self, mut turn: Turn) -> Result<Hypothesis, ProviderError> {
        let mut samples: Vec<i16> = Vec::new();
        while let Some(chunk) = turn.audio.recv().await {
            samples.extend_from_slice(&chunk);
        }
        if samples.len() < SAMPLES_MIN {
            return Ok(Hypothesis::default());
        }
        let frames = (samples.len() / 80) as u32;
        turn.gate.heard(samples.len());
        let file = Part::bytes(wave(&samples)).file_name("turn.wav").mime_str("audio/wav");
        let model = self.config.model.as_deref().unwrap_or(MODEL);
        let mut form = Form::new()
            .part("file", file.map_err(ProviderError::of_request)?)
            .text("model", model.to_owned())
            .text("language", "en")
            .text("response_format", "json")
            .text("stream", "true");
        // "only with the models gpt-4o-transcribe, gpt-4o-mini-transcribe"; others refuse.
        if model.starts_with("gpt-4o") && !model.contains("diarize") {
            form = form.text("include[]", "logprobs");
        }
        if let Some(prompt) = &self.prompt {
            form = form.text("prompt", prompt.clone());
        }
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, header(&self.config.key, "Bearer "))
            .multipart(form);
        let hide = |said: &str| redact(&self.config.key, said);
        let response = ask(request, hide).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let streamed = kind.starts_with("text/event-stream");
        let mut body = response.bytes_stream();
        let (mut lines, mut so_far) = (Lines::default(), String::new());
        while let Some(piece) = body.next().await {
            lines.push(&piece.map_err(ProviderError::of_request)?)?;
            while streamed && let Some(line) = lines.poll_line() {
                let Some(data) = event_data(&line) else { continue };
                match parse(data).map_err(|error| redacted(error, hide))? {
                    Event::Delta(more) => {
                        so_far.push_str(&more);
                        turn.tell(so_far.clone());
                    }
                    Event::Done { text, confidence } => return Ok(hypothesis(text, confidence, frames)),
                    Event::Other => {}
                }
            }
        }
        if streamed {
            return Err(ProviderError::Closed("before the end of the transcript".into()));
        }
        match parse_whole(&lines.rest())? {
            Event::Done { text, confidence } => Ok(hypothesis(text, confidence, frames)),
            Event::Delta(_) | Event::Other => Err(ProviderError::Garbage("no transcript".into())),
        }
    }
}

impl Listener for OpenAiTranscribe {
    fn hear(self: Arc<Self>, turn: Turn) -> Hearing {
        Box::pin(async move { Self::hear(&self, turn).await })
    }
}

fn hypothesis(text: String, confidence: f32, frames: u32) -> Hypothesis {
    Hypothesis { text, confidence, frames, ..Hypothesis::default() }
}

fn redacted(error: ProviderError, hide: impl Fn(&str) -> String) -> ProviderError {
    match error {
        ProviderError::Server(said) => ProviderError::Server(hide(&said)),
        other => other,
    }
}

/// One event of the answer.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    Delta(String),
    Done {
        text: String,
        /// Geometric mean of the tokens' probabilities, or [`UNKNOWN_CONFIDENCE`].
        confidence: f32,
    },
    /// `transcript.text.segment`, `[DONE]` and what may be added.
    Other,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    delta: String,
    text: Option<String>,
    logprobs: Option<Vec<Token>>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Token {
    logprob: Option<f32>,
}

impl Wire {
    fn done(self) -> Result<Event, ProviderError> {
        let text = self.text.ok_or_else(|| ProviderError::Garbage("a transcript without text".into()))?;
        let tokens: Vec<f32> = self.logprobs.into_iter().flatten().filter_map(|token| token.logprob).collect();
        let confidence =
            if tokens.is_empty() { UNKNOWN_CONFIDENCE } else { confidence(tokens.iter().map(|log| log.exp())) };
        Ok(Event::Done { text, confidence })
    }
}

/// Reads the data of one event.
///
/// # Errors
/// [`ProviderError::Garbage`]; [`ProviderError::Server`] for an error within the stream.
pub(super) fn parse(data: &[u8]) -> Result<Event, ProviderError> {
    if data.trim_ascii() == b"[DONE]" {
        return Ok(Event::Other);
    }
    let wire = read(data)?;
    match wire.kind.as_str() {
        "transcript.text.delta" => Ok(Event::Delta(wire.delta)),
        "transcript.text.done" => wire.done(),
        _ => Ok(Event::Other),
    }
}

/// Reads an answer that is one object.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_whole(body: &[u8]) -> Result<Event, ProviderError> {
    read(body)?.done()
}

fn read(data: &[u8]) -> Result<Wire, ProviderError> {
    let wire: Wire = serde_json::from_slice(data).map_err(|error| ProviderError::Garbage(error.to_string()))?;
    match &wire.error {
        Some(error) => {
            let said = error.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
            Err(ProviderError::Server(said.chars().filter(|c| !c.is_control()).take(200).collect()))
        }
        None => Ok(wire),
    }
}

/// A WAV file: 8 kHz, one channel, 16 bit (RIFF, `fmt ` and `data` chunks).
fn wave(samples: &[i16]) -> Vec<u8> {
    // A turn is at most 35 s.
    let octets = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + octets).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(8000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(octets.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
