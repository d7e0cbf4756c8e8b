//! ElevenLabs' voices. Purpose: one request a clause, answered by lines of JSON with audio and the times of its
//! characters. Owning thread: the cloud; [`parse`] and [`Alignment`] are sans-IO. Invariant: word times never go back.
//! Deliberately absent: deadlines (`voice`), cutting text (`clause`), voice settings (the voice's own stand).
//!
//! Document: <https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps>. It has been chosen over the
//! WebSocket: clauses are whole when they are asked for, and a connection that is kept warm costs no handshake either way.
//! No account has been at hand: what is known of the service is what these pages say, and the tests hold to that.

use super::ProviderConfig;
use super::failure::ProviderError;
use super::key::{header, redact};
use super::lines::Lines;
use super::request::{ask, client, endpoint};
use super::voice::{Speaker, Speaking, Spoken};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use callwright_models::tts::WordTime;
use futures_util::StreamExt;
use reqwest::{Client, Url};
use serde::Deserialize;
use std::sync::Arc;

/// Where it is, unless configured otherwise.
pub(super) const URL: &str = "https://api.elevenlabs.io";
/// The model, unless configured otherwise: the one made for conversation.
pub(super) const MODEL: &str = "eleven_flash_v2_5";
/// Of the formats that every plan may use, the best that needs no decoding.
const SAMPLE_RATE: u32 = 16_000;

/// One voice.
pub(super) struct ElevenLabs {
    client: Client,
    url: Url,
    config: ProviderConfig,
}

impl ElevenLabs {
    pub(super) fn new(config: ProviderConfig, voice: &str) -> Result<Self, ProviderError> {
        let mut url = endpoint(config.url.as_deref().unwrap_or(URL), "text-to-speech")?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend([voice, "stream", "with-timestamps"]);
        }
        url.query_pairs_mut().append_pair("output_format", "pcm_16000");
        Ok(Self { client: client(&url)?, url, config })
    }

    async fn speak(&self, text: String, mut spoken: Spoken) -> Result<(), ProviderError> {
        let model = self.config.model.as_deref().unwrap_or(MODEL);
        let request = self
            .client
            .post(self.url.clone())
            .header("xi-api-key", header(&self.config.key, ""))
            .json(&serde_json::json!({ "text": text, "model_id": model }));
        let mut body = ask(request, |said| redact(&self.config.key, said)).await?.bytes_stream();
        let (mut lines, mut answer) = (Lines::default(), Answer::default());
        while let Some(octets) = body.next().await {
            lines.push(&octets.map_err(ProviderError::of_request)?)?;
            while let Some(line) = lines.poll_line() {
                answer.take(&line, &mut spoken).await?;
            }
        }
        answer.take(&lines.rest(), &mut spoken).await?;
        if answer.octets == 0 { Err(ProviderError::Garbage("an answer without audio".into())) } else { Ok(()) }
    }
}

/// An answer as far as it has come.
#[derive(Default)]
struct Answer {
    alignment: Alignment,
    octets: usize,
}

impl Answer {
    async fn take(&mut self, line: &[u8], spoken: &mut Spoken) -> Result<(), ProviderError> {
        let Some(piece) = parse(line)? else { return Ok(()) };
        let before_ms = (self.octets * 1000 / 2 / SAMPLE_RATE as usize) as u32;
        self.octets += piece.audio.len();
        if let Some(characters) = piece.characters {
            self.alignment.push(&characters, before_ms);
            spoken.tell(self.alignment.words());
        }
        spoken.push(&piece.audio).await
    }
}

impl Speaker for ElevenLabs {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn speak(self: Arc<Self>, text: String, spoken: Spoken) -> Speaking {
        Box::pin(async move { Self::speak(&self, text, spoken).await })
    }
}

/// One line of the answer.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    /// 16 bit, little endian; not always a whole number of samples.
    pub(super) audio: Vec<u8>,
    /// Characters of the text that was asked for, with seconds of start and end.
    pub(super) characters: Option<Vec<(String, f64, f64)>>,
}

#[derive(Deserialize)]
struct Line {
    audio_base64: Option<String>,
    alignment: Option<Characters>,
}

#[derive(Deserialize)]
struct Characters {
    characters: Vec<String>,
    character_start_times_seconds: Vec<f64>,
    character_end_times_seconds: Vec<f64>,
}

/// Reads one line of the answer; `None` for an empty one.
///
/// # Errors
/// [`ProviderError::Garbage`].
pub(super) fn parse(line: &[u8]) -> Result<Option<Piece>, ProviderError> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| ProviderError::Garbage(error.to_string()))?;
    let Some(audio) = line.audio_base64 else {
        return Err(ProviderError::Garbage("a line without audio".into()));
    };
    let audio = BASE64_STANDARD.decode(audio).map_err(|error| ProviderError::Garbage(error.to_string()))?;
    let characters = line.alignment.map(|given| {
        let times = given.character_start_times_seconds.into_iter().zip(given.character_end_times_seconds);
        given.characters.into_iter().zip(times).map(|(character, (start, end))| (character, start, end)).collect()
    });
    Ok(Some(Piece { audio, characters }))
}

/// Words out of the times of characters.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    words: Vec<WordTime>,
    /// The last word may go on.
    open: bool,
    last_ms: u32,
}

impl Alignment {
    /// Takes the characters of one line. `audio_before_ms` came before it.
    pub(super) fn push(&mut self, characters: &[(String, f64, f64)], audio_before_ms: u32) {
        // Times count from the beginning of the whole answer, as the document's example adds them up. Should a line's
        // begin anew at zero, they count from its own audio.
        let begins_ms = characters.first().map_or(0, |(_, start, _)| ms(*start));
        let offset_ms = if begins_ms + 100 < self.last_ms { audio_before_ms } else { 0 };
        for (character, start, end) in characters {
            let start_ms = ms(*start).saturating_add(offset_ms).max(self.last_ms);
            let end_ms = ms(*end).saturating_add(offset_ms).max(start_ms);
            self.last_ms = end_ms;
            if character.chars().all(char::is_whitespace) {
                self.open = false;
                continue;
            }
            match self.words.last_mut().filter(|_| self.open) {
                Some(word) => {
                    word.word.push_str(character);
                    word.end_ms = end_ms;
                }
                None => self.words.push(WordTime { word: character.clone(), start_ms, end_ms }),
            }
            self.open = true;
        }
    }

    /// Words so far, without the punctuation around them; what is nothing else is none.
    pub(super) fn words(&self) -> Vec<WordTime> {
        let trimmed = self.words.iter().map(|word| WordTime {
            word: word.word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned(),
            ..word.clone()
        });
        trimmed.filter(|word| !word.word.is_empty()).collect()
    }
}

/// Seconds to milliseconds; what is no time becomes zero, and an hour is longer than any clause.
fn ms(seconds: f64) -> u32 {
    (seconds.min(3600.0) * 1000.0).round() as u32
}
