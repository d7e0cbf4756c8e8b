//! The embedded recogniser of whole turns. Purpose: two models a thread, a small one for words so far and a larger one for
//! results, and what each agent's domain knows for all of them: agents share the models.
//! Owning thread: whichever starts the plane. Invariants: a small model that is missing or damaged costs this engine, with
//! the command that mends it; without the larger one the small one makes results, too, and it is said. Deliberately absent:
//! when what is decoded, and by which (`recogniser`), what the guides know.

use super::packs;
use super::{Ask, Opened, Recognisers, Unavailable};
use crate::conversation::Expectation;
use crate::limits::{RECOGNISER_THREADS_MAX, WHOLE_TURN_PLACES_MAX};
use crate::os::clock;
use crate::speech::guide::DomainGuide;
use crate::speech::plain::{plain, plain_hypothesis};
use crate::speech::plane::AgentSpeech;
use crate::speech::recogniser::moonshine::{Asked, Decode, Effort, MoonshineRecogniser};
use crate::turn::interruption;
use callwright_models::MoonshineSize;
use callwright_models::asr::{AsrError, Draft, Guide, Hypothesis, Moonshine};
use callwright_models::pack::Kind;

/// Texts that are pursued at once for a result by the larger model: 6 made as many words wrong as 4.
const CAREFUL_WIDTH: usize = 4;
/// The same by the smaller one, which is less often sure.
const QUICK_WIDTH: usize = 6;
/// The same of answers, which are short: half of them have a word that sounds like another.
const ANSWER_WIDTH: usize = 6;
/// The same of digits: words and figures with all their dividers write the same number, and leave little room for another.
/// In a prototype of the search that halved the complete numbers that were wrong.
const DIGITS_WIDTH: usize = 8;
/// The first second and a half of a turn may be cut in the middle of its first word, of which the model then makes nothing;
/// with a pause after it, it makes the word.
const FRAGMENT_SAMPLES: usize = 12_000;
/// An answer so short is a word or two, of which the smaller model is surer: a doubtful yes is asked for again. 1.3 s with the
/// quiet around it.
const LONE_ANSWER_SAMPLES: usize = 10_400;
/// With less than this the larger model hears such an answer, too: of two that hear the same by themselves, one has to be wrong
/// less often.
const ANSWER_SURE: f32 = 0.6;
/// Texts that are pursued at once of the first words over the agent's voice, in which all agreements count together: most of
/// what they may be is in four.
const OVERHEARD_WIDTH: usize = 4;
/// 150 ms.
const PAUSE_SAMPLES: usize = 1200;
/// Callers who speak without a pause that a thread keeps up with: words so far of each, and a result at the end.
/// One of them costs up to 16 % of a core, and less where results are hurried.
const SPEAKERS_A_THREAD: usize = 6;

/// Moonshine, English.
pub(super) fn moonshine(ask: &Ask<'_>) -> Result<Opened<Recognisers>, Unavailable> {
    let threads = threads(ask.config.recogniser_threads);
    let made =
        |vocabulary: &[String]| DomainGuide::new(&super::taught(ask.domain, vocabulary, ask.lexicon), vocabulary);
    // Each takes some 0.3 s of a core, and callers wait for the slowest of them only.
    let load = |size| (0..threads).map(|_| Moonshine::load(ask.assets, size)).collect::<Result<Vec<_>, AsrError>>();
    let (guides, careful, quick) = std::thread::scope(|scope| {
        let guides = scope.spawn(|| guides(&ask.config.agents, ask.vocabulary, made));
        let careful = scope.spawn(|| load(MoonshineSize::Base));
        let quick = load(MoonshineSize::Tiny);
        (guides.join(), careful.join(), quick)
    });
    let guides = guides.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let careful = careful.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let quick = quick.map_err(|error| match error {
        AsrError::Asset(error) => error.into(),
        error => Unavailable { why: error.to_string(), mend: Some(super::setup()) },
    })?;
    let (careful, without) = match careful {
        Ok(models) => (models.into_iter().map(Some).collect(), None),
        Err(error) => ((0..threads).map(|_| None).collect::<Vec<_>>(), Some(error.to_string())),
    };
    let engines: Recognisers = quick
        .into_iter()
        .zip(careful)
        .map(|(quick, careful)| {
            let decode = decoder(quick, careful, guides.clone());
            Box::new(MoonshineRecogniser::new(decode, WHOLE_TURN_PLACES_MAX, Box::new(clock::monotonic))) as Box<_>
        })
        .collect();
    let speakers = threads * SPEAKERS_A_THREAD;
    let size = if without.is_none() { "base-en and tiny-en" } else { "tiny-en" };
    let mut note =
        format!("English; keeps up with some {speakers} callers who speak at the same moment, more are heard later");
    if let Some(why) = &without {
        note.push_str(&format!("; hears with the smaller of its models alone: {why}"));
    }
    Ok(Opened {
        engine: engines,
        name: format!("moonshine {size} ({threads} {})", if threads == 1 { "thread" } else { "threads" }),
        limited: false,
        note,
        mend: if without.is_some() { Some(super::setup()) } else { packs::better(Kind::StreamingAsr) },
    })
}

/// Half of the cores: media, ears and voices have the rest.
fn threads(wanted: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    wanted.max(cores / 2).clamp(1, RECOGNISER_THREADS_MAX)
}

/// What is known of each agent's callers, by the agent's number; `alone`: the words where no agent is configured.
fn guides(agents: &[AgentSpeech], alone: &[String], made: impl Fn(&[String]) -> DomainGuide) -> Vec<DomainGuide> {
    let mut guides: Vec<DomainGuide> = Vec::with_capacity(agents.len().max(1));
    for (n, agent) in agents.iter().enumerate() {
        let same = agents[..n].iter().position(|other| other.vocabulary == agent.vocabulary);
        guides.push(same.map_or_else(|| made(&agent.vocabulary), |same| guides[same].clone()));
    }
    if guides.is_empty() {
        guides.push(made(alone));
    }
    guides
}

/// `careful`: the larger model, for results; without it the other makes them. `guides`: one at least.
fn decoder(mut quick: Moonshine, mut careful: Option<Moonshine>, guides: Vec<DomainGuide>) -> Decode {
    let mut padded = Vec::new();
    Box::new(move |samples: &[i16], asked: Asked, effort: Effort, draft: &mut Draft| {
        let Asked { agent, expectation } = asked;
        let guide = guides.get(agent).unwrap_or(&guides[0]).under(expectation);
        if matches!(effort, Effort::Words | Effort::Overheard) {
            let mut samples = samples;
            if samples.len() <= FRAGMENT_SAMPLES {
                padded.clear();
                padded.extend_from_slice(samples);
                padded.resize(samples.len() + PAUSE_SAMPLES, 0);
                samples = &padded;
            }
            // An answer is heard by what was asked.
            if effort == Effort::Overheard && matches!(expectation, Expectation::Open | Expectation::Name) {
                let readings = quick.readings(samples, OVERHEARD_WIDTH, draft).map_err(|error| error.to_string())?;
                let readings: Vec<(String, f32)> =
                    readings.into_iter().map(|(text, probability)| (plain(&text, expectation), probability)).collect();
                return Ok(Hypothesis { text: interruption::likeliest(&readings).to_owned(), ..Hypothesis::default() });
            }
            let heard = quick.recognise_again(samples, &guide, 1, draft).map_err(|error| error.to_string())?;
            return Ok(plain_hypothesis(heard, expectation));
        }
        let lone = expectation == Expectation::YesNo && samples.len() <= LONE_ANSWER_SAMPLES;
        let (model, open) = match careful.as_mut().filter(|_| effort == Effort::Result && !lone) {
            Some(model) => (model, CAREFUL_WIDTH),
            None => (&mut quick, QUICK_WIDTH),
        };
        let width = match expectation {
            Expectation::Digits { .. } => DIGITS_WIDTH,
            Expectation::YesNo => ANSWER_WIDTH,
            Expectation::Open | Expectation::Name => open,
        };
        let mut heard = model.recognise_again(samples, &guide, width, draft).map_err(|error| error.to_string())?;
        let doubtful = lone && effort == Effort::Result && !heard.text.is_empty() && heard.confidence < ANSWER_SURE;
        if doubtful && let Some(careful) = careful.as_mut() {
            let again = careful.recognise(samples, &guide, width).map_err(|error| error.to_string())?;
            heard.confidence = together(&heard, &again, guide.alike());
        }
        Ok(plain_hypothesis(heard, expectation))
    })
}

/// The confidence in what two models hear, each by itself; that of the first where they differ. `alike`: words that mean the same.
fn together(one: &Hypothesis, other: &Hypothesis, alike: &[&[&str]]) -> f32 {
    let (text, also) = (one.text.as_str(), other.text.as_str());
    if text == also || alike.iter().any(|words| words.contains(&text) && words.contains(&also)) {
        1.0 - (1.0 - one.confidence) * (1.0 - other.confidence)
    } else {
        one.confidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::domain;
    use std::collections::BTreeMap;

    #[test]
    fn two_models_that_hear_the_same_are_surer_than_one() {
        let heard = |text: &str, confidence| Hypothesis { text: text.to_owned(), confidence, ..Hypothesis::default() };
        let alike: &[&[&str]] = &[&["yes", "yeah"], &["no", "nope"]];
        let sure = |text, other, confidence| together(&heard(text, 0.4), &heard(other, confidence), alike);
        for (text, other, expected) in [("yes", "yes", 0.7), ("yes", "yeah", 0.7), ("yes", "no", 0.4), ("yes", "", 0.4)]
        {
            assert!((sure(text, other, 0.5) - expected).abs() < 1e-6, "{text} {other}");
        }
        assert!((sure("guess", "guess", 0.0) - 0.4).abs() < 1e-6);
    }

    #[test]
    fn each_agent_has_the_words_of_its_own_callers_and_of_nobody_else() {
        let agent = |name: &str, word: &str| AgentSpeech {
            name: name.to_owned(),
            vocabulary: vec![word.to_owned()],
            ..AgentSpeech::default()
        };
        let agents = [agent("first", "Zendora"), agent("second", "Quixnar"), agent("third", "Zendora")];
        let domain = domain();
        let made = |words: &[String]| {
            DomainGuide::new(&crate::speech::engines::taught(&domain, words, &BTreeMap::new()), words)
        };
        let worth = |guide: &DomainGuide, text: &str| {
            let guide = guide.under(Expectation::Open);
            let (state, bonus) = guide.extend(&guide.start(), text);
            bonus + guide.end(&state)
        };
        let guides = guides(&agents, &[], made);
        assert_eq!(guides.len(), agents.len());
        // A word that no guide knows is worth as much as a word of another agent.
        let unknown = [0, 1].map(|n| worth(&guides[n], " how is Plimbury"));
        for (n, own, other) in [(0, " how is Zendora", " how is Quixnar"), (1, " how is Quixnar", " how is Zendora")] {
            assert!(worth(&guides[n], own) > unknown[n] + 1.0, "{n}");
            assert!((worth(&guides[n], other) - unknown[n]).abs() < 1e-3, "{n} knows the other's word");
        }
        assert!((worth(&guides[2], " how is Zendora") - worth(&guides[0], " how is Zendora")).abs() < 1e-6);
        assert_eq!(super::guides(&[], &["Zendora".to_owned()], made).len(), 1);
    }
}
