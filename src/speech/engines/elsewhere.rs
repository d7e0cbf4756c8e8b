//! Rows of engines that are elsewhere: a provider in front, an engine of this machine behind it. Purpose: from the
//! configuration to an engine that hears or speaks whatever the network does. Owning thread: whichever starts the plane.
//! Invariants: nothing here waits for a provider; a key that is missing costs that engine, not the plane.
//! Deliberately absent: what providers are told (`provider`), the voice behind a voice (the mouth).

use super::{Ask, Opened, RECOGNISERS, Recognisers, Unavailable, open, recogniser_candidates};
use crate::config::EngineChoice;
use crate::speech::provider::{self, Provider, ProviderConfig, WithLocal};
use crate::speech::tts::VoiceSource;
use std::time::Duration;

/// Hears through the provider that the choice names.
pub(super) fn hears(ask: &Ask<'_>) -> Result<Opened<Recognisers>, Unavailable> {
    let (provider, config) = access(ask)?;
    let model = ask.config.providers.get(provider.name()).and_then(|(access, _)| access.asr_model.clone());
    let cloud = ask.clouds.get().map_err(Unavailable::because)?;
    let hearing = provider::hearing(provider, &cloud, ProviderConfig { model, ..config }, ask.vocabulary)
        .map_err(Unavailable::because)?;
    let mut failed: Vec<Unavailable> = Vec::new();
    let local = recogniser_candidates(&EngineChoice::default(), ask.config).into_iter().find_map(|choice| {
        let ask = Ask { choice: &choice, ..*ask };
        open(RECOGNISERS, &ask).map_err(|why| failed.push(why)).ok()
    });
    let name = provider.name();
    let places = ask.config.recognisers.max(1);
    match local {
        Some(local) => Ok(Opened {
            engine: local
                .engine
                .into_iter()
                .map(|local| {
                    let remote = Box::new(hearing.recogniser(places.min(local.places())));
                    Box::new(WithLocal::new(name, remote, local)) as Box<_>
                })
                .collect(),
            name: format!("{name}, behind it {}", local.name),
            // What should stand there and cannot is said, too.
            limited: !failed.is_empty(),
            note: failed.iter().map(|failed| failed.why.as_str()).collect::<Vec<_>>().join("; "),
            mend: failed.into_iter().find_map(|failed| failed.mend),
        }),
        None => Ok(Opened {
            engine: vec![Box::new(hearing.recogniser(places))],
            name: name.to_owned(),
            limited: true,
            note: "nothing on this machine hears when it does not".into(),
            mend: Some(super::setup()),
        }),
    }
}

/// Speaks through the provider that the choice names.
pub(super) fn speaks(ask: &Ask<'_>) -> Result<Opened<VoiceSource>, Unavailable> {
    let (provider, config) = access(ask)?;
    let Some(voice) = ask.choice.detail() else {
        return Err(Unavailable::because(format!(
            "write {}:VOICE, the voice by the provider's own name",
            provider.name()
        )));
    };
    let model = ask.config.providers.get(provider.name()).and_then(|(access, _)| access.voice_model.clone());
    let cloud = ask.clouds.get().map_err(Unavailable::because)?;
    let voice =
        provider::voice(provider, &cloud, ProviderConfig { model, ..config }, voice).map_err(Unavailable::because)?;
    Ok(Opened {
        // Copies share their connections.
        engine: VoiceSource::elsewhere(ask.choice.as_str(), move || Ok(Box::new(voice.clone()))),
        name: ask.choice.as_str().to_owned(),
        limited: false,
        note: String::new(),
        mend: None,
    })
}

fn access(ask: &Ask<'_>) -> Result<(Provider, ProviderConfig), Unavailable> {
    let named = || Unavailable::because(format!("there is no provider {:?}", ask.choice.engine()));
    let provider = Provider::named(ask.choice.engine()).ok_or_else(named)?;
    let key = ask.config.providers.key(provider.name(), |name| std::env::var(name).ok());
    let mut config = ProviderConfig::new(key.map_err(Unavailable::because)?);
    if let Some((access, _)) = ask.config.providers.get(provider.name()) {
        config.url.clone_from(&access.url);
        config.final_within = access.asr_deadline_ms.map_or(config.final_within, Duration::from_millis);
        config.first_audio_within = access.voice_deadline_ms.map_or(config.first_audio_within, Duration::from_millis);
    }
    Ok((provider, config))
}
