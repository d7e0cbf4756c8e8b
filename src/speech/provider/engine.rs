//! Which providers there are, and how engines are made of them. Owning thread: whichever starts the plane. Invariant:
//! nothing here talks to a provider: a wrong key or name is found out, and said, when it is first asked.
//! Deliberately absent: which agent has which (`engines`).

use super::cloud::Cloud;
use super::deepgram_listen::DeepgramListen;
use super::deepgram_speak::DeepgramSpeak;
use super::elevenlabs::ElevenLabs;
use super::failure::ProviderError;
use super::gate::Gate;
use super::openai_speech::OpenAiSpeech;
use super::openai_transcribe::OpenAiTranscribe;
use super::turns::{Listener, RemoteRecogniser};
use super::voice::{RemoteVoice, Speaker};
use crate::config::Secret;
use crate::limits::{PROVIDER_VOCABULARY_CHARACTERS_MAX, PROVIDER_VOCABULARY_MAX};
use crate::speech::event::Part;
use std::sync::Arc;
use std::time::Duration;

/// A company that hears or speaks for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Hears and speaks.
    Deepgram,
    /// Hears and speaks.
    OpenAi,
    /// Speaks.
    ElevenLabs,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deepgram, Self::OpenAi, Self::ElevenLabs];

    /// As configured and measured: `deepgram`, `openai`, `elevenlabs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deepgram => "deepgram",
            Self::OpenAi => "openai",
            Self::ElevenLabs => "elevenlabs",
        }
    }

    /// The provider of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// How to reach a provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Scheme and host, perhaps a path, with or without `/v1` at its end; `None`: the provider's own.
    pub url: Option<String>,
    /// The key.
    pub key: Secret,
    /// The model; `None`: the one that each engine names. Not for voices of Deepgram, which are models.
    pub model: Option<String>,
    /// A turn's words come within this after its end, or the local engine hears it.
    pub final_within: Duration,
    /// A clause's first audio comes within this, or the local voice speaks it.
    pub first_audio_within: Duration,
}

impl ProviderConfig {
    /// With the usual deadlines: 1.5 s and 0.8 s.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        let (final_within, first_audio_within) = (Duration::from_millis(1500), Duration::from_millis(800));
        Self { url: None, key, model: None, final_within, first_audio_within }
    }
}

/// A provider's hearing for one agent.
pub(in crate::speech) struct RemoteHearing {
    cloud: Arc<Cloud>,
    listener: Arc<dyn Listener>,
    gate: Arc<Gate>,
    final_within: Duration,
}

impl RemoteHearing {
    /// A recogniser of `places` turns at once; each thread has its own. A local one belongs behind it
    /// ([`WithLocal`](super::WithLocal)).
    pub(in crate::speech) fn recogniser(&self, places: usize) -> RemoteRecogniser {
        let (cloud, listener, gate) = (Arc::clone(&self.cloud), Arc::clone(&self.listener), Arc::clone(&self.gate));
        RemoteRecogniser::new(cloud, listener, gate, self.final_within, places)
    }
}

/// Hearing through a provider. `vocabulary` is what the agent's callers are likely to say beside everyday words.
///
/// # Errors
/// [`ProviderError::Refused`] for an url that is none, or a provider that does not hear.
pub(in crate::speech) fn hearing(
    provider: Provider,
    cloud: &Arc<Cloud>,
    config: ProviderConfig,
    vocabulary: &[String],
) -> Result<RemoteHearing, ProviderError> {
    let (final_within, key) = (config.final_within, config.key.clone());
    let expected = within_limits(vocabulary);
    if expected.len() < vocabulary.len() {
        let (name, told, all) = (provider.name(), expected.len(), vocabulary.len());
        tracing::warn!("{name} is told the first {told} of {all} words of a vocabulary; it takes no more");
    }
    let listener: Arc<dyn Listener> = match provider {
        Provider::Deepgram => Arc::new(DeepgramListen::new(config, &expected)?),
        Provider::OpenAi => Arc::new(OpenAiTranscribe::new(config, &expected)?),
        Provider::ElevenLabs => return Err(ProviderError::Refused("elevenlabs is used for speech only".into())),
    };
    let gate = cloud.gate(provider, Part::Asr);
    gate.hide(&key);
    Ok(RemoteHearing { cloud: Arc::clone(cloud), listener, gate, final_within })
}

/// The first words of a vocabulary, as many as every provider takes. Deepgram takes 500 tokens (`/docs/keyterm`, "Key term
/// limits") and refuses the turn beyond; the rarest names have about two and a half characters a token.
fn within_limits(vocabulary: &[String]) -> Vec<&str> {
    let mut characters = 0;
    let fits = |words: &&String| {
        characters += words.chars().count() + 1;
        characters <= PROVIDER_VOCABULARY_CHARACTERS_MAX
    };
    vocabulary.iter().take(PROVIDER_VOCABULARY_MAX).take_while(fits).map(String::as_str).collect()
}

/// A voice of a provider by its own name for it.
///
/// # Errors
/// [`ProviderError::Refused`] for an url that is none.
pub(in crate::speech) fn voice(
    provider: Provider,
    cloud: &Arc<Cloud>,
    config: ProviderConfig,
    voice: &str,
) -> Result<RemoteVoice, ProviderError> {
    let (first_audio_within, gate) = (config.first_audio_within, cloud.gate(provider, Part::Tts));
    gate.hide(&config.key);
    let speaker: Arc<dyn Speaker> = match provider {
        Provider::Deepgram => Arc::new(DeepgramSpeak::new(config, voice)?),
        Provider::OpenAi => Arc::new(OpenAiSpeech::new(config, voice)?),
        Provider::ElevenLabs => Arc::new(ElevenLabs::new(config, voice)?),
    };
    Ok(RemoteVoice::new(Arc::clone(cloud), speaker, gate, first_audio_within))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_is_cut_to_what_providers_take() {
        let words = |count: usize, length: usize| vec!["x".repeat(length); count];
        assert_eq!(within_limits(&words(500, 4)).len(), PROVIDER_VOCABULARY_MAX);
        assert_eq!(within_limits(&words(100, 99)).len(), PROVIDER_VOCABULARY_CHARACTERS_MAX / 100);
        assert!(within_limits(&words(1, 5000)).is_empty());
        assert!(within_limits(&[]).is_empty());
    }
}
