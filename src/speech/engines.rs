//! The table of engines: what may stand in `asr` and `voice`, and how each is opened. Adding an engine is one file and one
//! row here.
//!
//! Owning thread: whichever starts the plane; everything here is slow (libraries, models, networks). Invariants: a name that
//! nobody answers to is refused with the list of those that there are; what was wanted and cannot be had is said, with the
//! command that mends it, and the embedded engine serves instead. Deliberately absent: threads (`plane`).

mod elsewhere;
mod packs;
mod whole_turns;

use super::normalise::{Lexicon, Reading};
use super::plane::SpeechConfig;
use super::provider::Clouds;
use super::recogniser::Recogniser;
use super::recogniser::pocketsphinx::PocketSphinxRecogniser;
use super::search;
use super::tts::{Rehearsal, VoiceSource, rehearse_with};
use crate::config::{Config, EngineChoice};
use crate::conversation::DomainText;
use crate::limits::RECOGNISERS_MAX;
use callwright_models::Assets;
use callwright_models::asr::{Decoder, PocketSphinx};
use callwright_models::assets::{AssetError, SETUP_COMMAND};
use callwright_models::pack::Kind;
use callwright_models::tts::Flite;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The recognisers that need no pack and no network, the better first.
const EMBEDDED_ASR: [&str; 2] = ["moonshine", "pocketsphinx"];
/// The voice that needs none.
const EMBEDDED_VOICE: &str = "slt";

/// An engine as an agent wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    /// As configured.
    pub(super) choice: EngineChoice,
    /// Words that it should know.
    pub(super) vocabulary: Vec<String>,
    /// How words are said.
    pub(super) lexicon: BTreeMap<String, String>,
}

/// What an engine is opened with.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) assets: &'a Assets,
    pub(super) config: &'a SpeechConfig,
    pub(super) domain: &'a DomainText,
    /// The engine, never `auto`.
    pub(super) choice: &'a EngineChoice,
    pub(super) vocabulary: &'a [String],
    pub(super) lexicon: &'a BTreeMap<String, String>,
    /// Where engines elsewhere are reached from.
    pub(super) clouds: &'a Clouds,
}

/// Recognisers, one a thread.
pub(super) type Recognisers = Vec<Box<dyn Recogniser>>;

/// An engine that works.
pub(super) struct Opened<E> {
    pub(super) engine: E,
    /// For people: engine and model.
    pub(super) name: String,
    /// It is much worse than what can be installed.
    pub(super) limited: bool,
    /// What to know of it.
    pub(super) note: String,
    /// What makes it better.
    pub(super) mend: Option<String>,
}

/// Why an engine does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    /// In words.
    pub(super) why: String,
    /// The command that mends it.
    pub(super) mend: Option<String>,
}

impl From<AssetError> for Unavailable {
    fn from(error: AssetError) -> Self {
        let (AssetError::Missing { command, .. } | AssetError::Unusable { command, .. }) = &error;
        Self { why: error.to_string(), mend: Some((*command).to_owned()) }
    }
}

impl Unavailable {
    fn because(why: impl ToString) -> Self {
        Self { why: why.to_string(), mend: None }
    }
}

/// Which names a row answers to.
enum Names {
    /// These, alone.
    These(&'static [&'static str]),
    /// Packs of this kind.
    Packs(Kind),
    /// These, each with a voice: `NAME:VOICE`.
    Voices(&'static [&'static str]),
}

impl Names {
    fn take(&self, choice: &EngineChoice, models: &Path) -> bool {
        match self {
            Self::These(names) => names.contains(&choice.as_str()),
            Self::Packs(kind) => packs::is_pack(choice, *kind, models),
            Self::Voices(names) => names.contains(&choice.engine()) && choice.detail().is_some(),
        }
    }
}

/// What of an agent's wishes an engine is opened with; agents who differ in the rest share it.
#[derive(Clone, Copy)]
enum Takes {
    /// Nothing but its name.
    Nothing,
    Vocabulary,
    VocabularyAndLexicon,
}

/// One kind of engine.
pub(super) struct Row<E> {
    names: Names,
    takes: Takes,
    open: fn(&Ask<'_>) -> Result<Opened<E>, Unavailable>,
}

/// What hears.
pub(super) const RECOGNISERS: &[Row<Recognisers>] = &[
    // Knows the words of all agents.
    Row { names: Names::These(&["moonshine"]), takes: Takes::Nothing, open: whole_turns::moonshine },
    Row { names: Names::These(&["pocketsphinx"]), takes: Takes::VocabularyAndLexicon, open: pocketsphinx },
    Row { names: Names::Packs(Kind::StreamingAsr), takes: Takes::Vocabulary, open: packs::streaming },
    Row { names: Names::Packs(Kind::OfflineAsr), takes: Takes::Nothing, open: packs::turns },
    // The embedded engine may stand behind these.
    Row { names: Names::These(&["deepgram", "openai"]), takes: Takes::VocabularyAndLexicon, open: elsewhere::hears },
];

/// What speaks.
pub(super) const VOICES: &[Row<VoiceSource>] = &[
    Row { names: Names::These(&[EMBEDDED_VOICE, "rms", "awb", "kal16"]), takes: Takes::Nothing, open: flite },
    Row { names: Names::Packs(Kind::Tts), takes: Takes::Nothing, open: packs::voice },
    Row { names: Names::Voices(&["deepgram", "elevenlabs", "openai"]), takes: Takes::Nothing, open: elsewhere::speaks },
];

/// The engines to try for a recogniser, in order: what is wanted, then the embedded ones.
pub(super) fn recogniser_candidates(choice: &EngineChoice, config: &SpeechConfig) -> Vec<EngineChoice> {
    let active = || packs::active(&[Kind::StreamingAsr, Kind::OfflineAsr], &config.models);
    candidates(choice, active, &EMBEDDED_ASR)
}

/// The same for a voice.
pub(super) fn voice_candidates(choice: &EngineChoice, config: &SpeechConfig) -> Vec<EngineChoice> {
    candidates(choice, || packs::active(&[Kind::Tts], &config.models), &[EMBEDDED_VOICE])
}

fn candidates(choice: &EngineChoice, active: impl Fn() -> Vec<EngineChoice>, embedded: &[&str]) -> Vec<EngineChoice> {
    let mut all = if choice.is_auto() { active() } else { vec![choice.clone()] };
    for embedded in embedded.iter().filter_map(|name| EngineChoice::parse(name).ok()) {
        if !all.contains(&embedded) {
            all.push(embedded);
        }
    }
    all
}

/// A wish without what its engine does not take: wishes that are then alike are served by one engine, loaded once.
pub(super) fn essential<E>(table: &[Row<E>], mut wanted: Wanted, models: &Path) -> Wanted {
    let row = table.iter().find(|row| row.names.take(&wanted.choice, models));
    match row.map_or(Takes::Nothing, |row| row.takes) {
        Takes::Nothing => {
            wanted.vocabulary.clear();
            wanted.lexicon.clear();
        }
        Takes::Vocabulary => wanted.lexicon.clear(),
        Takes::VocabularyAndLexicon => {}
    }
    wanted
}

/// Opens the engine that a choice names.
pub(super) fn open<E>(table: &[Row<E>], ask: &Ask<'_>) -> Result<Opened<E>, Unavailable> {
    let Some(row) = table.iter().find(|row| row.names.take(ask.choice, &ask.config.models)) else {
        return Err(Unavailable::because(format!("there is no engine {:?}", ask.choice.as_str())));
    };
    // An engine's fault while it is made costs that engine.
    catch_unwind(AssertUnwindSafe(|| (row.open)(ask))).unwrap_or_else(|_| {
        Err(Unavailable::because(format!("{} failed while it was loaded; see the log", ask.choice.as_str())))
    })
}

/// Checks every engine's name in a configuration.
///
/// # Errors
/// The key, what is wrong with it, and which names there are.
pub fn check_engines(config: &Config) -> Result<(), String> {
    let models = &SpeechConfig::of(config).models;
    let check = |key: &str, asr: Option<&EngineChoice>, voice: Option<&EngineChoice>| {
        check_choice(&format!("{key}.asr"), asr, RECOGNISERS, models)?;
        check_choice(&format!("{key}.voice"), voice, VOICES, models)
    };
    check("speech", Some(&config.speech.asr), Some(&config.speech.voice))?;
    config.agents.iter().try_for_each(|agent| {
        let key = format!("agents.{}", agent.name);
        check(&key, agent.asr.as_ref(), agent.voice.as_ref())?;
        // The configuration knows what a word is; what can be said is the mouth's.
        Lexicon::new(&agent.lexicon).map(drop).map_err(|error| format!("{key}.lexicon: {error}"))
    })
}

fn check_choice<E>(key: &str, choice: Option<&EngineChoice>, table: &[Row<E>], models: &Path) -> Result<(), String> {
    let Some(choice) = choice.filter(|choice| !choice.is_auto()) else { return Ok(()) };
    if table.iter().any(|row| row.names.take(choice, models)) {
        return packs::unknown_speaker(choice, models).map_or(Ok(()), |why| Err(format!("{key}: {why}")));
    }
    let there: Vec<String> = table
        .iter()
        .flat_map(|row| match row.names {
            Names::These(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            Names::Voices(names) => names.iter().map(|name| format!("{name}:VOICE")).collect(),
            Names::Packs(kind) => packs::names(kind, models),
        })
        .collect();
    Err(format!("{key}: there is no engine {:?}; there are: auto, {}", choice.as_str(), there.join(", ")))
}

fn pocketsphinx(ask: &Ask<'_>) -> Result<Opened<Recognisers>, Unavailable> {
    let engine = PocketSphinx::load(ask.assets)?;
    let refused = |error: callwright_models::asr::AsrError| match error {
        callwright_models::asr::AsrError::Asset(error) => error.into(),
        error => Unavailable::because(error),
    };
    let domain = taught(ask.domain, ask.vocabulary, ask.lexicon);
    let plan = search::plan(&engine, &domain).map_err(refused)?;
    let count = ask.config.recognisers.clamp(1, RECOGNISERS_MAX);
    let threads = ask.config.recogniser_threads.clamp(1, count);
    let mut shares: Vec<Vec<Decoder>> = (0..threads).map(|_| Vec::new()).collect();
    for n in 0..count {
        shares[n % threads].push(engine.decoder(&plan.decoder).map_err(refused)?);
    }
    let mut note = format!(
        "limited vocabulary: knows {} words of this agent's domain, people are often misheard; keys work too",
        plan.words
    );
    if !plan.unpronounceable.is_empty() {
        note.push_str(&format!("; no pronunciation for: {}", plan.unpronounceable.join(", ")));
    }
    Ok(Opened {
        engine: shares.into_iter().map(|share| Box::new(PocketSphinxRecogniser::new(share)) as Box<_>).collect(),
        name: format!("pocketsphinx en-us ({count} recognisers)"),
        limited: true,
        note,
        mend: packs::better(Kind::StreamingAsr),
    })
}

/// The domain with an agent's own words in it.
fn taught(domain: &DomainText, vocabulary: &[String], lexicon: &BTreeMap<String, String>) -> DomainText {
    let mut domain = domain.clone();
    domain.know(vocabulary);
    for (word, said) in lexicon {
        domain.pronounce(word, said);
    }
    domain
}

fn flite(ask: &Ask<'_>) -> Result<Opened<VoiceSource>, Unavailable> {
    let voice = ask.choice.as_str().to_owned();
    // What is missing shows here, not in the threads that speak.
    Flite::load(ask.assets, &voice)?;
    let (assets, name) = (ask.assets.clone(), format!("flite {voice}"));
    let make = move || match Flite::load(&assets, &voice) {
        Ok(flite) => Ok(Box::new(flite) as Box<_>),
        Err(error) => Err(error.to_string()),
    };
    Ok(Opened {
        engine: VoiceSource::each(name.clone(), make),
        name,
        limited: true,
        note: "built-in voice".into(),
        mend: packs::better(Kind::Tts),
    })
}

/// The voice that stands in for others: a built-in one, that of the first agent who has one.
pub(super) fn stand_in<'a>(voices: impl Iterator<Item = &'a EngineChoice>) -> EngineChoice {
    let built_in = |choice: &&EngineChoice| VOICES.first().is_some_and(|row| row.names.take(choice, Path::new("")));
    let mut voices = voices.filter(built_in).cloned();
    voices.next().or_else(|| EngineChoice::parse(EMBEDDED_VOICE).ok()).unwrap_or_default()
}

/// Speaks a text as an agent of this manner would on the line, for an operator who wants to hear it before callers do.
///
/// # Errors
/// In words: what is missing, with the command that installs it, or what failed.
pub fn rehearse(
    config: &SpeechConfig,
    assets: &Assets,
    choice: &EngineChoice,
    reading: Reading,
    text: &str,
) -> Result<Rehearsal, String> {
    let (clouds, domain, lexicon) = (Clouds::default(), crate::conversation::domain(), BTreeMap::new());
    // Nothing stands in for a voice that is asked for by name: it is this one that is to be heard.
    let wanted = if choice.is_auto() { voice_candidates(choice, config) } else { vec![choice.clone()] };
    let mut refused = String::new();
    for choice in &wanted {
        let ask = Ask { assets, config, domain: &domain, choice, vocabulary: &[], lexicon: &lexicon, clouds: &clouds };
        match open(VOICES, &ask) {
            Ok(voice) => return rehearse_with(voice.engine, reading, text),
            Err(unavailable) => {
                let mend = unavailable.mend.map(|command| format!("; mend it with: {command}")).unwrap_or_default();
                refused = format!("{}{mend}", unavailable.why);
            }
        }
    }
    Err(refused)
}

/// What mends a plane without any recogniser.
pub(super) fn setup() -> String {
    SETUP_COMMAND.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_share_an_engine_that_takes_none_of_what_they_differ_in() {
        let wanted = |choice: &str| Wanted {
            choice: EngineChoice::parse(choice).unwrap(),
            vocabulary: vec!["kanban".to_owned()],
            lexicon: BTreeMap::from([("Nguyen".to_owned(), "win".to_owned())]),
        };
        let of =
            |kind| callwright_models::pack::catalogue().iter().find(|pack| pack.kind == kind).unwrap().name.clone();
        let models = Path::new("/nonexistent");
        for (choice, vocabulary, lexicon) in [
            ("moonshine".to_owned(), false, false),
            ("pocketsphinx".to_owned(), true, true),
            ("deepgram".to_owned(), true, true),
            (of(Kind::StreamingAsr), true, false),
            (of(Kind::OfflineAsr), false, false),
        ] {
            let kept = essential(RECOGNISERS, wanted(&choice), models);
            assert_eq!((!kept.vocabulary.is_empty(), !kept.lexicon.is_empty()), (vocabulary, lexicon), "{choice}");
        }
    }
}
