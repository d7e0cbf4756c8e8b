//! What the recogniser listens for under each expectation. Purpose: one decoder plan with a search for requests, one for
//! answers and one for digits, all made from the domain's text at start. Pure but for the dictionary that it reads.
//!
//! Deliberately absent: decoding (`asr`), what an answer means (`conversation`).

use super::language_model::LanguageModel;
use super::network;
use crate::conversation::spoken::ALPHABET;
use crate::conversation::{DomainText, Expectation, Pattern};
use callwright_models::asr::{AsrError, DecoderPlan, PocketSphinx, Search, Tuning};
use std::collections::BTreeSet;

const OPEN: &str = "open";
const YES_NO: &str = "yes-no";
const NAME: &str = "name";
/// By the number of digits; longer answers share the last.
const DIGITS: [&str; 20] = [
    "digits-1",
    "digits-2",
    "digits-3",
    "digits-4",
    "digits-5",
    "digits-6",
    "digits-7",
    "digits-8",
    "digits-9",
    "digits-10",
    "digits-11",
    "digits-12",
    "digits-13",
    "digits-14",
    "digits-15",
    "digits-16",
    "digits-17",
    "digits-18",
    "digits-19",
    "digits-20",
];

/// Answers to a question that wants approval; one a line.
const ANSWERS: &str = "\
yes\nyeah\nyep\nyes please\nyes yes\nsure\nsure go ahead\ngo ahead\nyes go ahead\nplease do\nyes please do\ndo it\nyes do it\n\
build it\nyes build it\nokay\nokay yes\nokay go ahead\nthat's right\nyes that's right\ncorrect\nyes correct\nthat's correct\n\
right\nsounds good\nthat sounds good\nperfect\nabsolutely\nof course\nof course yes\nno\nnope\nno thanks\nno thank you\n\
no no\nstop\nno stop\nwait\nno wait\nwait a minute\nhold on\ncancel\ncancel that\nno cancel\ncancel it\nchange it\nchange that\n\
no change it\nnot yet\nno not yet\ndon't\nno don't\nplease don't\nthat's wrong\nno that's wrong\nthat's not right\n\
no that's not right\nthat's not correct\nyes but\nyes but wait\nyes but change it\nno but\nrepeat that\nplease repeat\n\
can you repeat that\nsay that again\nwhat\npardon\n";

/// Of the network of names, beside letters, names and the alphabet.
const NAME_WORDS: [&str; 9] = ["my", "name", "is", "it's", "this", "the", "as", "like", "for"];

/// The answers that people give most.
const USUAL_ANSWERS: &str = "\
yes\nyes\nyeah\nyes please\nno\nno\nsure\ngo ahead\nyes go ahead\nthat's right\ncorrect\nstop\nwait\ncancel\nnope\n";

/// How people of other accents say the answer that matters most; the dictionary knows one way only.
const ACCENTS: [(&str, &str); 3] = [("yes(2)", "Y IH S"), ("yes(3)", "Y AH S"), ("yes(4)", "Y AE S")];

/// How much an answer counts against a sentence of the domain while an answer is expected: enough to be preferred, and the
/// domain stays in as what other sounds turn into instead of an answer.
const ANSWER_WEIGHT: f64 = 80.0;
/// A usual sentence counts like this many others.
const USUAL_WEIGHT: f64 = 160.0;
const USUAL_ANSWER_WEIGHT: f64 = 400.0;
/// A sentence of a word-class pattern counts like this many that were written down.
const PATTERN_WEIGHT: f64 = 1.0;
/// Pairs and triples of words that all patterns together expect less often than this are left to shorter histories.
const EXPECTED_MIN: f64 = 0.05;

/// Cepstral mean of speech at −20 dBFS through a telephone line with noise 20–30 dB below it: what the first words of a
/// call are judged against, before the decoder has learnt the line. The model's own start value knows studio sound only.
/// Found with [`TELEPHONE_BAND`], which it belongs to.
const TELEPHONE_MEAN: &str =
    "51.702,23.044,-44.131,34.481,-31.542,-1.941,-1.898,-21.841,0.104,-9.350,-2.999,-4.018,-1.724";

/// What the telephone does to the acoustic model, which was made from wideband speech: a linear transform of its means,
/// found by an earlier run of `models/telephone.py`, whose utterances were aligned to within a frame, with voices that no
/// test speaks with. What the script gives as it stands mishears as many words, but others: it is not in use. Words misheard
/// at 20 and 30 dB, own 61 sentences: 35 % instead of 52 %.
const TELEPHONE_BAND: &str = include_str!("telephone.mllr");
/// Other readings of a turn that are looked at.
const ALTERNATIVES: usize = 3;

/// Words that mean the same answer; the recogniser need not tell them apart to be sure.
const SYNONYMS: &[&[&str]] = &[&["yes", "yeah", "yep"], &["no", "nope"]];

/// Whether a text in plain words is one of the answers.
pub(super) fn is_answer(text: &str) -> bool {
    !text.is_empty() && ANSWERS.lines().any(|answer| answer == text)
}

/// Words whose confusion is no doubt under an expectation.
pub(super) fn synonyms(expectation: Expectation) -> &'static [&'static [&'static str]] {
    match expectation {
        Expectation::YesNo => SYNONYMS,
        Expectation::Open | Expectation::Name | Expectation::Digits { .. } => &[],
    }
}

/// The search for an expectation.
pub(super) fn name(expectation: Expectation) -> &'static str {
    match expectation {
        Expectation::Open => OPEN,
        Expectation::YesNo => YES_NO,
        Expectation::Name => NAME,
        Expectation::Digits { max } => DIGITS[usize::from(max).clamp(1, DIGITS.len()) - 1],
    }
}

/// The network of a search that a decoder gets when it is first needed: a millisecond, and there are too many lengths to
/// make all of them for every decoder.
pub(super) fn network(expectation: Expectation) -> Option<String> {
    match expectation {
        Expectation::Digits { max } => Some(network::digits(max.clamp(1, DIGITS.len() as u8))),
        Expectation::Open | Expectation::YesNo | Expectation::Name => None,
    }
}

/// What a decoder is made from, and what the domain asks for in vain.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) decoder: DecoderPlan,
    /// Words of the domain that neither the dictionary nor the domain can pronounce; their sentences are left out.
    pub(super) unpronounceable: Vec<String>,
    /// Words that can be recognised.
    pub(super) words: usize,
}

/// Makes the plan. Reads the dictionary once; tens of milliseconds.
pub(super) fn plan(engine: &PocketSphinx, domain: &DomainText) -> Result<Plan, AsrError> {
    let wanted: BTreeSet<String> = domain
        .sentences
        .split_whitespace()
        .chain(domain.patterns.iter().flat_map(|p| p.parts.iter().flatten()).flat_map(|(p, _)| p.split_whitespace()))
        .chain(ANSWERS.split_whitespace())
        .chain(network::DIGITS)
        .chain(network::DIGIT_WORDS)
        .chain(domain.names.iter().map(String::as_str))
        .chain(NAME_WORDS.iter().copied())
        .chain(ALPHABET)
        .map(str::to_lowercase)
        .collect();
    let mut pronunciations: Vec<(String, String)> = Vec::new();
    let given: BTreeSet<&str> =
        domain.pronunciations.iter().chain(&domain.respellings).map(|(word, _)| word.as_str()).collect();
    for (nth, (word, phones)) in domain.pronunciations.iter().enumerate() {
        // The engine's dictionary marks a second way to say a word by a number.
        let earlier = domain.pronunciations[..nth].iter().filter(|(other, _)| other == word).count();
        let form = if earlier == 0 { word.to_lowercase() } else { format!("{}({})", word.to_lowercase(), earlier + 1) };
        pronunciations.push((form, phones.clone()));
    }
    pronunciations.extend(engine.look_up(wanted.iter().map(String::as_str).filter(|word| !given.contains(word)))?);
    if !given.contains("yes") {
        pronunciations.extend(ACCENTS.map(|(word, phones)| (word.to_owned(), phones.to_owned())));
    }
    let respelled = respelled(engine, domain)?;
    pronunciations.extend(respelled);
    let listed: BTreeSet<&str> = pronunciations.iter().map(|(word, _)| word.as_str()).collect();
    let guessed: Vec<(String, String)> = wanted
        .iter()
        .filter(|word| !listed.contains(word.as_str()))
        .filter_map(|word| Some((word.clone(), engine.guess(word)?)))
        .collect();
    pronunciations.extend(guessed);
    let known: BTreeSet<String> = pronunciations.iter().map(|(word, _)| word.clone()).collect();
    let unpronounceable: Vec<String> = wanted.iter().filter(|word| !known.contains(*word)).cloned().collect();
    let sayable = |phrase: &str| phrase.split_whitespace().all(|word| known.contains(word));
    let (open, answers) = language_models(domain, Text::Own, sayable);
    let names: Vec<&str> = domain.names.iter().map(String::as_str).collect();
    let words = open.vocabulary().count();
    let decoder = DecoderPlan {
        pronunciations,
        searches: vec![
            (OPEN, Search::LanguageModel(open.to_arpa())),
            (YES_NO, Search::LanguageModel(answers.to_arpa())),
            (NAME, Search::Network(network::name(&ALPHABET, &names, |word| known.contains(word)))),
        ],
        tuning: Tuning {
            cepstral_mean: Some(TELEPHONE_MEAN.to_owned()),
            mean_transform: Some(TELEPHONE_BAND),
            alternatives: ALTERNATIVES,
            ..Tuning::default()
        },
    };
    Ok(Plan { decoder, unpronounceable, words })
}

/// What a language model is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The agent's own domain: for engines that hear nothing else, and hear it the better the smaller it is.
    Own,
    /// What callers want of any kind, too: for engines that hear everything people say.
    Everything,
}

/// What callers say at any time, and what they say when they are asked for approval; without the sentences that are not
/// `sayable`.
pub(super) fn language_models(
    domain: &DomainText,
    text: Text,
    sayable: impl Fn(&str) -> bool,
) -> (LanguageModel, LanguageModel) {
    let mut sentences = String::with_capacity(domain.sentences.len());
    for line in domain.sentences.to_lowercase().lines().filter(|line| sayable(line)) {
        sentences.push_str(line);
        sentences.push('\n');
    }
    let mut answers = LanguageModel::from_text(&sentences);
    let mut open = answers.clone();
    let (wants, replies): (&[Pattern], &[Pattern]) = match text {
        Text::Own => (&[], &[]),
        Text::Everything => (&domain.wants, &domain.replies),
    };
    let said_openly = domain.patterns.iter().chain(wants).map(|pattern| (pattern, false));
    for (pattern, replies) in said_openly.chain(replies.iter().map(|pattern| (pattern, true))) {
        let parts: Vec<Vec<(&str, f64)>> = pattern
            .parts
            .iter()
            .map(|part| part.iter().filter(|(phrase, _)| sayable(phrase)).map(|(p, w)| (p.as_str(), *w)).collect())
            .collect();
        if parts.iter().all(|part| !part.is_empty()) {
            let model = if replies { &mut answers } else { &mut open };
            model.add_product(parts.iter().map(Vec::as_slice), pattern.weight * PATTERN_WEIGHT);
        }
    }
    open.prune(EXPECTED_MIN);
    answers.prune(EXPECTED_MIN);
    open.add(ANSWERS, 1.0);
    open.add(&domain.usual, USUAL_WEIGHT);
    answers.add(ANSWERS, ANSWER_WEIGHT);
    answers.add(USUAL_ANSWERS, USUAL_ANSWER_WEIGHT);
    (open, answers)
}

/// Words that are said as others, with the phones of those.
fn respelled(engine: &PocketSphinx, domain: &DomainText) -> Result<Vec<(String, String)>, AsrError> {
    let said: BTreeSet<&str> = domain.respellings.iter().flat_map(|(_, said)| said.split_whitespace()).collect();
    if said.is_empty() {
        return Ok(Vec::new());
    }
    let listed = engine.look_up(said)?;
    let phones = |word: &str| -> Option<String> {
        let listed = listed.iter().find(|(other, _)| other == word).map(|(_, phones)| phones.clone());
        listed.or_else(|| engine.guess(word))
    };
    let given: BTreeSet<&str> = domain.pronunciations.iter().map(|(word, _)| word.as_str()).collect();
    let mut found: Vec<(String, String)> = Vec::new();
    for (word, said) in domain.respellings.iter().filter(|(word, _)| !given.contains(word.as_str())) {
        let Some(phones) = said.split_whitespace().map(phones).collect::<Option<Vec<_>>>() else { continue };
        let earlier = found.iter().filter(|(other, _)| other.split('(').next() == Some(word)).count();
        let form = if earlier == 0 { word.clone() } else { format!("{word}({})", earlier + 1) };
        found.push((form, phones.join(" ")));
    }
    Ok(found)
}
