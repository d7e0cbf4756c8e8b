//! Deepgram's voices. Purpose: one request a clause, answered by nothing but samples. Owning thread: the cloud.
//! Deliberately absent: word times (the service has none; the mouth divides by proportion), deadlines (`voice`).
//!
//! Documents: <https://developers.deepgram.com/reference/text-to-speech/speak-request>, `/docs/tts-media-output-settings`
//! on the same host. No account has been at hand.

use super::ProviderConfig;
use super::failure::ProviderError;
use super::key::{header, redact};
use super::request::{ask, client, endpoint};
use super::voice::{Speaker, Speaking, Spoken, pour};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use std::sync::Arc;

/// Where it is, unless configured otherwise.
pub(super) const URL: &str = "https://api.deepgram.com";
const SAMPLE_RATE: u32 = 16_000;

/// One voice; the service calls voices models.
pub(super) struct DeepgramSpeak {
    client: Client,
    url: Url,
    config: ProviderConfig,
}

impl DeepgramSpeak {
    pub(super) fn new(config: ProviderConfig, voice: &str) -> Result<Self, ProviderError> {
        let mut url = endpoint(config.url.as_deref().unwrap_or(URL), "speak")?;
        url.query_pairs_mut()
            .append_pair("model", voice)
            .append_pair("encoding", "linear16")
            .append_pair("sample_rate", "16000")
            .append_pair("container", "none");
        Ok(Self { client: client(&url)?, url, config })
    }

    async fn speak(&self, text: String, mut spoken: Spoken) -> Result<(), ProviderError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, header(&self.config.key, "Token "))
            .json(&serde_json::json!({ "text": text }));
        let response = ask(request, |said| redact(&self.config.key, said)).await?;
        pour(response, &mut spoken).await
    }
}

impl Speaker for DeepgramSpeak {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn speak(self: Arc<Self>, text: String, spoken: Spoken) -> Speaking {
        Box::pin(async move { Self::speak(&self, text, spoken).await })
    }
}
