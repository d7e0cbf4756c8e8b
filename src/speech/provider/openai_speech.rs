//! OpenAI's voices. Purpose: one request a clause, answered by nothing but samples. Owning thread: the cloud.
//! Deliberately absent: word times (the service has none; the mouth divides by proportion), deadlines (`voice`).
//!
//! Documents: <https://developers.openai.com/api/reference/resources/audio/subresources/speech/methods/create>, and the
//! guide `/api/docs/guides/text-to-speech` on the same host, "Supported output formats": pcm is 24 kHz, 16 bit, little
//! endian, without a header. No account has been at hand. Servers that speak the same protocol work through `url`.

use super::ProviderConfig;
use super::failure::ProviderError;
use super::key::{header, redact};
use super::request::{ask, client, endpoint};
use super::voice::{Speaker, Speaking, Spoken, pour};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use std::sync::Arc;

/// Where it is, unless configured otherwise.
pub(super) const URL: &str = "https://api.openai.com";
/// The model, unless configured otherwise.
pub(super) const MODEL: &str = "gpt-4o-mini-tts";

/// One voice.
pub(super) struct OpenAiSpeech {
    client: Client,
    url: Url,
    config: ProviderConfig,
    voice: String,
}

impl OpenAiSpeech {
    pub(super) fn new(config: ProviderConfig, voice: &str) -> Result<Self, ProviderError> {
        let url = endpoint(config.url.as_deref().unwrap_or(URL), "audio/speech")?;
        Ok(Self { client: client(&url)?, url, config, voice: voice.to_owned() })
    }

    async fn speak(&self, text: String, mut spoken: Spoken) -> Result<(), ProviderError> {
        let request =
            self.client.post(self.url.clone()).header(AUTHORIZATION, header(&self.config.key, "Bearer ")).json(
                &serde_json::json!({
                    "model": self.config.model.as_deref().unwrap_or(MODEL),
                    "input": text,
                    "voice": self.voice,
                    "response_format": "pcm",
                }),
            );
        let response = ask(request, |said| redact(&self.config.key, said)).await?;
        pour(response, &mut spoken).await
    }
}

impl Speaker for OpenAiSpeech {
    fn sample_rate(&self) -> u32 {
        24_000
    }

    fn speak(self: Arc<Self>, text: String, spoken: Spoken) -> Speaking {
        Box::pin(async move { Self::speak(&self, text, spoken).await })
    }
}
