//! What the recogniser listens for under each expectation. Purpose: one decoder plan with a search for requests, one for
//! answers and one for digits, all made from the domain's text at start. Pure but for the dictionary that it reads.
//!
//! Deliberately absent: decoding (`asr`), what an answer means (`conversation`).

use super::language_model::LanguageModel;
use crate::conversation::{DomainText, Expectation};
use callwright_models::asr::{AsrError, DecoderPlan, Hypothesis, PocketSphinx, Search, Tuning};
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

/// How much an answer counts against a sentence of the domain while an answer is expected.
const ANSWER_WEIGHT: f64 = 40.0;

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
    let mut answers = LanguageModel::from_text(&sentences);
    answers.add(ANSWERS, ANSWER_WEIGHT);
    let words = open.vocabulary().count();
    let decoder = DecoderPlan {
        pronunciations,
        searches: vec![
            (OPEN, Search::LanguageModel(open.to_arpa())),
            (YES_NO, Search::LanguageModel(answers.to_arpa())),
            (DIGITS, Search::Grammar(DIGIT_GRAMMAR.to_owned())),
        ],
        tuning: Tuning::default(),
    };
    Ok(Plan { decoder, unpronounceable, words })
}

/// Text without marks of the model that are no words.
pub(super) fn words(text: &str) -> String {
    text.to_owned()
}

/// What a result is worth under an expectation.
pub(super) fn judge(_expectation: Expectation, hypothesis: Hypothesis) -> Hypothesis {
    hypothesis
}
