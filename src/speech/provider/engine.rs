//! Which providers there are, and how engines are made of them. Owning thread: whichever starts the plane. Invariant:
//! nothing here talks to a provider: a wrong key or name is found out, and said, when it is first asked.
//! Deliberately absent: which agent has which (`plane`).

use super::cloud::Cloud;
use super::deepgram_listen::DeepgramListen;
use super::deepgram_speak::DeepgramSpeak;
use super::elevenlabs::ElevenLabs;
use super::failure::ProviderError;
use super::gate::Gate;
use super::openai_speech::OpenAiSpeech;
use super::openai_transcribe::OpenAiTranscribe;
use super::secret::Secret;
use super::turns::{Listener, RemoteRecogniser};
use super::voice::{RemoteVoice, Speaker};
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

    /// The variable of the environment that may hold its key.
    #[must_use]
    pub const fn key_variable(self) -> &'static str {
        match self {
            Self::Deepgram => "DEEPGRAM_API_KEY",
            Self::OpenAi => "OPENAI_API_KEY",
            Self::ElevenLabs => "ELEVENLABS_API_KEY",
        }
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

/// A recogniser of `places` turns at once, and the gate through which it asks. `vocabulary` is what the agent's callers
/// are likely to say beside everyday words. The caller puts a local recogniser behind it ([`WithLocal`](super::WithLocal)).
///
/// # Errors
/// [`ProviderError::Refused`] for an url that is none, or a provider that does not hear.
pub(in crate::speech) fn recogniser(
    provider: Provider,
    cloud: &Arc<Cloud>,
    config: ProviderConfig,
    vocabulary: &[String],
    places: usize,
) -> Result<(RemoteRecogniser, Arc<Gate>), ProviderError> {
    let final_within = config.final_within;
    let listener: Arc<dyn Listener> = match provider {
        Provider::Deepgram => Arc::new(DeepgramListen::new(config, vocabulary)?),
        Provider::OpenAi => Arc::new(OpenAiTranscribe::new(config, vocabulary)?),
        Provider::ElevenLabs => return Err(ProviderError::Refused("elevenlabs is used for speech only".into())),
    };
    let gate = Gate::new(provider, Part::Asr);
    let engine = RemoteRecogniser::new(Arc::clone(cloud), listener, Arc::clone(&gate), final_within, places);
    Ok((engine, gate))
}

/// A voice of a provider by its own name for it, and the gate through which it asks.
///
/// # Errors
/// [`ProviderError::Refused`] for an url that is none.
pub(in crate::speech) fn voice(
    provider: Provider,
    cloud: &Arc<Cloud>,
    config: ProviderConfig,
    voice: &str,
) -> Result<(RemoteVoice, Arc<Gate>), ProviderError> {
    let first_audio_within = config.first_audio_within;
    let speaker: Arc<dyn Speaker> = match provider {
        Provider::Deepgram => Arc::new(DeepgramSpeak::new(config, voice)?),
        Provider::OpenAi => Arc::new(OpenAiSpeech::new(config, voice)?),
        Provider::ElevenLabs => Arc::new(ElevenLabs::new(config, voice)?),
    };
    let gate = Gate::new(provider, Part::Tts);
    Ok((RemoteVoice::new(Arc::clone(cloud), speaker, Arc::clone(&gate), first_audio_within), gate))
}
