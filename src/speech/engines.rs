//! The table of engines: what may stand in `asr` and `voice`, and how each is opened. Adding an engine is one file and one
//! row here.
//!
//! Owning thread: whichever starts the plane; everything here is slow (libraries, models, networks). Invariants: a name that
//! nobody answers to is refused with the list of those that there are; what was wanted and cannot be had is said, with the
//! command that mends it, and the embedded engine serves instead. Deliberately absent: threads (`plane`).

use super::plane::SpeechConfig;
use super::recogniser::Recogniser;
use super::recogniser::pocketsphinx::PocketSphinxRecogniser;
use super::search;
use super::synthesiser::Synthesiser;
use crate::config::{Config, EngineChoice, phones};
use crate::conversation::DomainText;
use crate::limits::RECOGNISERS_MAX;
use callwright_models::Assets;
use callwright_models::asr::{Decoder, PocketSphinx};
use callwright_models::assets::{AssetError, SETUP_COMMAND};
use callwright_models::tts::Flite;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The recogniser that needs no pack and no network.
const EMBEDDED_ASR: &str = "pocketsphinx";
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
pub(super) struct Ask<'a> {
    pub(super) assets: &'a Assets,
    pub(super) config: &'a SpeechConfig,
    pub(super) domain: &'a DomainText,
    /// The engine, never `auto`.
    pub(super) choice: &'a EngineChoice,
    pub(super) vocabulary: &'a [String],
    pub(super) lexicon: &'a BTreeMap<String, String>,
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
}

impl Names {
    fn take(&self, choice: &EngineChoice) -> bool {
        match self {
            Self::These(names) => names.contains(&choice.as_str()),
        }
    }
}

/// One kind of engine.
pub(super) struct Row<E> {
    names: Names,
    open: fn(&Ask<'_>) -> Result<Opened<E>, Unavailable>,
}

/// What hears.
pub(super) const RECOGNISERS: &[Row<Recognisers>] = &[Row { names: Names::These(&[EMBEDDED_ASR]), open: pocketsphinx }];

/// What speaks.
pub(super) const VOICES: &[Row<Box<dyn Synthesiser>>] =
    &[Row { names: Names::These(&[EMBEDDED_VOICE, "rms", "awb", "kal16"]), open: flite }];

/// The engines to try for a recogniser, in order: what is wanted, then the embedded one.
pub(super) fn recogniser_candidates(choice: &EngineChoice) -> Vec<EngineChoice> {
    candidates(choice, Vec::new(), EMBEDDED_ASR)
}

/// The same for a voice.
pub(super) fn voice_candidates(choice: &EngineChoice) -> Vec<EngineChoice> {
    candidates(choice, Vec::new(), EMBEDDED_VOICE)
}

fn candidates(choice: &EngineChoice, active: Vec<EngineChoice>, embedded: &str) -> Vec<EngineChoice> {
    let mut all = if choice.is_auto() { active } else { vec![choice.clone()] };
    if let Ok(embedded) = EngineChoice::parse(embedded)
        && !all.contains(&embedded)
    {
        all.push(embedded);
    }
    all
}

/// Opens the engine that a choice names.
pub(super) fn open<E>(table: &[Row<E>], ask: &Ask<'_>) -> Result<Opened<E>, Unavailable> {
    let Some(row) = table.iter().find(|row| row.names.take(ask.choice)) else {
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
    let agents = config.agents.iter().map(|agent| (format!("agents.{}", agent.name), &agent.asr, &agent.voice));
    let speech = (Some(config.speech.asr.clone()), Some(config.speech.voice.clone()));
    for (key, asr, voice) in std::iter::once(("speech".to_owned(), &speech.0, &speech.1)).chain(agents) {
        for (part, choice, known) in [
            ("asr", asr, asr.as_ref().is_none_or(|choice| knows(RECOGNISERS, choice))),
            ("voice", voice, voice.as_ref().is_none_or(|choice| knows(VOICES, choice))),
        ] {
            if let Some(choice) = choice
                && !known
            {
                let names = if part == "asr" { names(RECOGNISERS) } else { names(VOICES) };
                return Err(format!(
                    "{key}.{part}: there is no engine {:?}; there are: auto, {names}",
                    choice.as_str()
                ));
            }
        }
    }
    Ok(())
}

fn knows<E>(table: &[Row<E>], choice: &EngineChoice) -> bool {
    choice.is_auto() || table.iter().any(|row| row.names.take(choice))
}

fn names<E>(table: &[Row<E>]) -> String {
    let all: Vec<&str> = table
        .iter()
        .flat_map(|row| match row.names {
            Names::These(names) => names.iter().copied(),
        })
        .collect();
    all.join(", ")
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
        mend: None,
    })
}

/// The domain with an agent's own words in it.
fn taught(domain: &DomainText, vocabulary: &[String], lexicon: &BTreeMap<String, String>) -> DomainText {
    let mut domain = domain.clone();
    for words in vocabulary {
        let plain: String =
            words.to_lowercase().chars().map(|c| if c.is_ascii_lowercase() || c == '\'' { c } else { ' ' }).collect();
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        if !plain.is_empty() {
            domain.sentences.push_str(&plain);
            domain.sentences.push('\n');
        }
    }
    for (word, said) in lexicon {
        if let Some(phones) = phones(said) {
            // The model's phones carry no stress.
            let phones: Vec<&str> = phones.map(|phone| phone.trim_end_matches(['0', '1', '2'])).collect();
            domain.pronunciations.push((word.to_lowercase(), phones.join(" ")));
        }
    }
    domain
}

fn flite(ask: &Ask<'_>) -> Result<Opened<Box<dyn Synthesiser>>, Unavailable> {
    let voice = ask.choice.as_str();
    Ok(Opened {
        engine: Box::new(Flite::load(ask.assets, voice)?),
        name: format!("flite {voice}"),
        limited: true,
        note: "built-in voice".into(),
        mend: None,
    })
}

/// What mends a plane without any recogniser.
pub(super) fn setup() -> String {
    SETUP_COMMAND.to_owned()
}
