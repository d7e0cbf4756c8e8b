//! Engines of model packs. Purpose: a pack's name → a recogniser or a voice. Invariants: a pack is loaded only after a child
//! process has loaded these very files once (an engine may end its process over a bad one); every refusal names the command
//! that mends it. Deliberately absent: installing (`packs`), the engines.

use super::{Ask, Opened, Recognisers, Unavailable};
use crate::config::EngineChoice;
use crate::limits::RECOGNISERS_MAX;
use crate::packs::trial;
use crate::speech::recogniser::offline::OfflineRecogniser;
use crate::speech::recogniser::streaming::StreamingRecogniser;
use crate::speech::tts::VoiceSource;
use callwright_models::asr::{OfflineEngine, OfflinePlan, OnlineEngine, OnlinePlan};
use callwright_models::pack::{Family, Installed, Kind, Pack, Shelf, catalogue, known};
use callwright_models::tts::{KokoroPlan, KokoroVoice, SherpaVoice, VoicePlan};
use std::path::Path;

/// Threads of a clause at most: beyond two they wait for each other more than they help.
const KOKORO_THREADS_MAX: usize = 2;

/// Whether a choice names a pack of this kind, known or installed.
pub(super) fn is_pack(choice: &EngineChoice, kind: Kind, models: &Path) -> bool {
    let name = choice.engine();
    (choice.detail().is_none() || kind == Kind::Tts)
        && match known(name) {
            Some(pack) => pack.kind == kind,
            // One that was chosen and is broken is a pack all the same: what is wrong with it is said when it is opened.
            None => match Shelf::open(models).record(name) {
                Ok(record) => record.pack.kind == kind,
                Err(_) => Shelf::open(models).chosen(kind).is_ok_and(|chosen| chosen.as_deref() == Some(name)),
            },
        }
}

/// What is wrong with the speaker that a choice names, if its pack has speakers by name.
pub(super) fn unknown_speaker(choice: &EngineChoice, models: &Path) -> Option<String> {
    let speaker = choice.detail()?;
    let name = choice.engine();
    let pack: Pack = known(name).cloned().or_else(|| Some(Shelf::open(models).find(name)?.pack))?;
    let there = pack.speakers();
    (!there.is_empty() && !there.contains(&speaker))
        .then(|| format!("{name} has no speaker {speaker:?}; there are: {}", there.join(", ")))
}

/// Packs of a kind, known or installed.
pub(super) fn names(kind: Kind, models: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        catalogue().iter().filter(|pack| pack.kind == kind).map(|pack| pack.name.clone()).collect();
    for installed in Shelf::open(models).installed() {
        if installed.pack.kind == kind && !names.contains(&installed.pack.name) {
            names.push(installed.pack.name);
        }
    }
    names
}

/// The packs that are to serve for kinds, in order.
pub(super) fn active(kinds: &[Kind], models: &Path) -> Vec<EngineChoice> {
    let shelf = Shelf::open(models);
    let chosen = |kind: &Kind| {
        shelf.chosen(*kind).unwrap_or_else(|error| {
            tracing::warn!(kind = kind.name(), "{error}");
            None
        })
    };
    // Those that are broken or gone, too: trying to open them says why they do not serve.
    kinds.iter().filter_map(chosen).filter_map(|name| EngineChoice::parse(&name).ok()).collect()
}

/// The command that installs what is recommended instead of an embedded engine.
pub(super) fn better(kind: Kind) -> Option<String> {
    let pack = catalogue().iter().find(|pack| pack.kind == kind && pack.recommended)?;
    Some(install(&pack.name))
}

fn install(name: &str) -> String {
    format!("callwright models install {name}")
}

/// The pack that a choice names, tried.
fn tried(ask: &Ask<'_>) -> Result<Installed, Unavailable> {
    let name = ask.choice.engine();
    let refused = |why: String| Unavailable { why, mend: Some(install(name)) };
    let shelf = Shelf::open(&ask.config.models);
    // The record's own words tell a broken pack from one that is not there.
    shelf.record(name).map_err(|error| refused(error.to_string()))?;
    let installed = shelf.find(name).ok_or_else(|| refused(format!("the pack {name} is not installed")))?;
    let Some(program) = &ask.config.program else {
        return Err(Unavailable::because(format!("{name} cannot be tried: this program's file is unknown")));
    };
    trial::once(program, ask.assets, &installed).map_err(|error| refused(error.to_string()))?;
    Ok(installed)
}

/// How many callers an engine hears at once.
fn places(ask: &Ask<'_>) -> usize {
    ask.config.recognisers.clamp(1, RECOGNISERS_MAX)
}

fn opened<E>(engine: E, name: String, note: String) -> Opened<E> {
    Opened { engine, name, limited: false, note, mend: None }
}

fn unusable(ask: &Ask<'_>, error: impl ToString) -> Unavailable {
    Unavailable { why: error.to_string(), mend: Some(install(ask.choice.engine())) }
}

/// Words while the caller speaks: one engine decodes all places together.
pub(super) fn streaming(ask: &Ask<'_>) -> Result<Opened<Recognisers>, Unavailable> {
    let installed = tried(ask)?;
    let threads = u16::try_from(ask.config.recogniser_threads.max(1)).unwrap_or(1);
    let plan = OnlinePlan { threads, vocabulary: ask.vocabulary.to_vec() };
    let engine = OnlineEngine::load(ask.assets, &installed, &plan).map_err(|error| unusable(ask, error))?;
    let (places, note) = (places(ask), engine.note().to_owned());
    let name = format!("{} ({places} places)", engine.name());
    Ok(opened(vec![Box::new(StreamingRecogniser::new(engine, places))], name, note))
}

/// Words of whole turns.
pub(super) fn turns(ask: &Ask<'_>) -> Result<Opened<Recognisers>, Unavailable> {
    let installed = tried(ask)?;
    let threads = u16::try_from(ask.config.recogniser_threads.max(1)).unwrap_or(1);
    let plan = OfflinePlan { threads, ..OfflinePlan::default() };
    let engine = OfflineEngine::load(ask.assets, &installed, &plan).map_err(|error| unusable(ask, error))?;
    let (places, name) = (places(ask), engine.name().to_owned());
    let engine = OfflineRecogniser::new(engine, places).map_err(Unavailable::because)?;
    let note = "no words before the end of a turn; it takes no vocabulary";
    Ok(opened(vec![Box::new(engine)], format!("{name} ({places} places)"), note.to_owned()))
}

/// A voice; the detail is a speaker: its number, or its name where the pack has names.
pub(super) fn voice(ask: &Ask<'_>) -> Result<Opened<VoiceSource>, Unavailable> {
    if let Some(why) = unknown_speaker(ask.choice, &ask.config.models) {
        return Err(Unavailable::because(why));
    }
    let installed = tried(ask)?;
    if installed.pack.family == Family::KokoroGraph { named(ask, &installed) } else { numbered(ask, &installed) }
}

fn named(ask: &Ask<'_>, installed: &Installed) -> Result<Opened<VoiceSource>, Unavailable> {
    // The seats that speak have one engine between them: what they would use at once, it uses for a clause.
    let threads = u16::try_from(ask.config.mouths.clamp(1, KOKORO_THREADS_MAX)).unwrap_or(1);
    let speaker = ask.choice.detail().map(str::to_owned);
    let plan = KokoroPlan { threads, speaker, ..KokoroPlan::default() };
    let voice = KokoroVoice::load(ask.assets, installed, &plan).map_err(|error| unusable(ask, error))?;
    let name = format!("{}:{}", voice.name(), voice.speaker());
    Ok(opened(VoiceSource::shared(name.clone(), Box::new(voice)), name, String::new()))
}

fn numbered(ask: &Ask<'_>, installed: &Installed) -> Result<Opened<VoiceSource>, Unavailable> {
    let speaker = match ask.choice.detail() {
        None => 0,
        Some(detail) => detail.parse().map_err(|_| {
            Unavailable::because(format!(
                "{}: speakers of this pack are numbered, write {}:0",
                ask.choice,
                ask.choice.engine()
            ))
        })?,
    };
    let plan = VoicePlan { speaker, ..VoicePlan::default() };
    let voice = SherpaVoice::load(ask.assets, installed, plan).map_err(|error| unusable(ask, error))?;
    let name = match voice.speakers() {
        1 => voice.name().to_owned(),
        _ => format!("{}:{speaker}", voice.name()),
    };
    // One model in memory, whoever speaks with it: clauses take turns.
    Ok(opened(VoiceSource::shared(name.clone(), Box::new(voice)), name, String::new()))
}
