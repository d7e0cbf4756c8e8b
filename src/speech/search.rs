//! What the recogniser listens for under each expectation. Purpose: one decoder plan with a search for requests, one for
//! answers and one for digits, all made from the domain's text at start. Pure but for the dictionary that it reads.
//!
//! Deliberately absent: decoding (`asr`), what an answer means (`conversation`).

use super::language_model::LanguageModel;
use crate::conversation::{DomainText, Expectation};
use callwright_models::asr::{AsrError, DecoderPlan, PocketSphinx, Search, Tuning};
use std::collections::BTreeSet;

const OPEN: &str = "open";
const YES_NO: &str = "yes-no";
const DIGITS: &str = "digits";

/// Answers to a question that wants approval; one a line.
const ANSWERS: &str = "\
yes\nyeah\nyep\nyes please\nyes yes\nsure\nsure go ahead\ngo ahead\nyes go ahead\nplease do\nyes please do\ndo it\nyes do it\n\
build it\nyes build it\nokay\nokay yes\nokay go ahead\nthat's right\nyes that's right\ncorrect\nyes correct\nthat's correct\n\
right\nsounds good\nthat sounds good\nperfect\nabsolutely\nof course\nof course yes\nno\nnope\nno thanks\nno thank you\n\
no no\nstop\nno stop\nwait\nno wait\nwait a minute\nhold on\ncancel\ncancel that\nno cancel\ncancel it\nchange it\nchange that\n\
no change it\nnot yet\nno not yet\ndon't\nno don't\nplease don't\nthat's wrong\nno that's wrong\nthat's not right\n\
no that's not right\nthat's not correct\nyes but\nyes but wait\nyes but change it\nno but\nrepeat that\nplease repeat\n\
can you repeat that\nsay that again\nwhat\npardon\n";

const DIGIT_GRAMMAR: &str = "#JSGF V1.0;\ngrammar digits;\n\
public <digits> = <digit>+;\n\
<digit> = zero | oh | one | two | three | four | five | six | seven | eight | nine;\n";
const DIGIT_WORDS: [&str; 11] = ["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// The answers that people give most.
const USUAL_ANSWERS: &str = "\
yes\nyes\nyeah\nyes please\nno\nno\nsure\ngo ahead\nyes go ahead\nthat's right\ncorrect\nstop\nwait\ncancel\nnope\n";

/// How people of other accents say the answer that matters most; the dictionary knows one way only.
const ACCENTS: [(&str, &str); 3] = [("yes(2)", "Y IH S"), ("yes(3)", "Y AH S"), ("yes(4)", "Y AE S")];

/// How much an answer counts against a sentence of the domain while an answer is expected: enough to be preferred, and the
/// domain stays in as what other sounds turn into instead of an answer.
const ANSWER_WEIGHT: f64 = 80.0;
/// A usual sentence counts like this many others.
const USUAL_WEIGHT: f64 = 40.0;
const USUAL_ANSWER_WEIGHT: f64 = 400.0;

/// Cepstral mean of speech at −20 dBFS through G.711 at 8 kHz, sent up to 16 kHz: what the first words of a call are judged
/// against, before the decoder has learnt the line. The model's own start value knows studio sound only (word errors of the
/// first sentence of a call: 2 % instead of 11 %, measured with three synthetic voices).
const TELEPHONE_MEAN: &str =
    "43.977,11.1894,-17.3974,18.7382,-17.5068,8.77244,-5.75155,-3.33218,2.87154,-7.18058,5.65114,-5.09198,3.09143";

/// Words that mean the same answer; the recogniser need not tell them apart to be sure.
const SYNONYMS: &[&[&str]] = &[&["yes", "yeah", "yep"], &["no", "nope"]];

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
        Expectation::Open | Expectation::Name => OPEN,
        Expectation::YesNo => YES_NO,
        Expectation::Digits { .. } => DIGITS,
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
        .chain(ANSWERS.split_whitespace())
        .chain(DIGIT_WORDS)
        .map(str::to_lowercase)
        .collect();
    let mut pronunciations: Vec<(String, String)> = Vec::new();
    let given: BTreeSet<&str> = domain.pronunciations.iter().map(|(word, _)| word.as_str()).collect();
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
    let known: BTreeSet<&str> = pronunciations.iter().map(|(word, _)| word.as_str()).collect();
    let unpronounceable: Vec<String> = wanted.iter().filter(|word| !known.contains(word.as_str())).cloned().collect();
    let mut sentences = String::with_capacity(domain.sentences.len());
    for line in domain.sentences.to_lowercase().lines() {
        if line.split_whitespace().all(|word| known.contains(word)) {
            sentences.push_str(line);
            sentences.push('\n');
        }
    }
    let mut open = LanguageModel::from_text(&sentences);
    open.add(ANSWERS, 1.0);
    open.add(&domain.usual, USUAL_WEIGHT);
    let mut answers = LanguageModel::from_text(&sentences);
    answers.add(ANSWERS, ANSWER_WEIGHT);
    answers.add(USUAL_ANSWERS, USUAL_ANSWER_WEIGHT);
    let words = open.vocabulary().count();
    let decoder = DecoderPlan {
        pronunciations,
        searches: vec![
            (OPEN, Search::LanguageModel(open.to_arpa())),
            (YES_NO, Search::LanguageModel(answers.to_arpa())),
            (DIGITS, Search::Grammar(DIGIT_GRAMMAR.to_owned())),
        ],
        tuning: Tuning { cepstral_mean: Some(TELEPHONE_MEAN.to_owned()), ..Tuning::default() },
    };
    Ok(Plan { decoder, unpronounceable, words })
}
