//! Tokens as words (pure). Purpose: a text of the search as the daemon reads it: words with probabilities and times. Any
//! thread. Invariants: probabilities are the model's own, whatever a guide added; no word ends after the turn. Deliberately
//! absent: which text is the best.
//!
//! The model gives no times. Words are spread over the voiced part of the turn in proportion to their letters: good to a
//! quarter of a second or so, and pauses are kept free of words.

use super::audio::Voiced;
use super::beam::Reading;
use super::tokens::Pieces;
use crate::asr::{Hypothesis, Word, written};

/// A word as it was written, with the log of its probability.
struct Raw {
    text: String,
    log_probability: f32,
}

/// The readings of a turn, the best first, as one result.
pub(super) fn hypothesis(readings: &[Reading], pieces: &Pieces, voiced: &Voiced, total_ms: u32) -> Hypothesis {
    let frames = total_ms / 10;
    let nothing = Hypothesis { frames, ..Hypothesis::default() };
    let Some(best) = readings.first() else { return nothing };
    let wrote = pieces.decode(&best.tokens);
    let text = written::plain(&wrote);
    if text.is_empty() {
        return nothing;
    }
    let words = words(&raw_words(best, pieces), voiced, total_ms);
    let log_sum: f32 = words.iter().map(|word| word.posterior.max(1e-6).ln()).sum();
    let confidence = (log_sum / words.len().max(1) as f32).exp();
    let mut alternatives: Vec<String> = Vec::new();
    for other in &readings[1..] {
        let other = written::plain(&pieces.decode(&other.tokens));
        if !other.is_empty() && other != text && !alternatives.contains(&other) {
            alternatives.push(other);
        }
    }
    let complete = Some(wrote.trim_end().ends_with(['.', '?', '!']) && !wrote.trim_end().ends_with("..."));
    Hypothesis { text, confidence, words, frames, alternatives, complete }
}

/// The tokens, put together where no blank is between them. Punctuation has no part in a word's probability.
fn raw_words(reading: &Reading, pieces: &Pieces) -> Vec<Raw> {
    let mut raw: Vec<Raw> = Vec::new();
    for n in 0..reading.tokens.len() {
        let token = &reading.tokens[n..=n];
        let piece = pieces.text(token[0]).unwrap_or_default();
        let said = piece.is_empty() || !piece.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation());
        let log_probability = if said { reading.log_probabilities[n].min(0.0) } else { 0.0 };
        match raw.last_mut().filter(|_| !piece.starts_with(' ')) {
            Some(word) => {
                word.text.push_str(piece);
                word.log_probability += log_probability;
            }
            None => raw.push(Raw { text: piece.to_owned(), log_probability }),
        }
    }
    raw
}

fn words(raw: &[Raw], voiced: &Voiced, total_ms: u32) -> Vec<Word> {
    let plain: Vec<(String, f32)> = raw
        .iter()
        .flat_map(|raw| {
            let text = written::plain(&raw.text);
            let posterior = raw.log_probability.exp().clamp(0.0, 1.0);
            text.split(' ').filter(|word| !word.is_empty()).map(|word| (word.to_owned(), posterior)).collect::<Vec<_>>()
        })
        .collect();
    let letters: usize = plain.iter().map(|(word, _)| word.chars().count()).sum();
    let mut before = 0;
    plain
        .into_iter()
        .map(|(word, posterior)| {
            let part = |letters_before: usize| letters_before as f32 / letters.max(1) as f32;
            let start_ms = voiced.time_ms(part(before)).min(total_ms);
            before += word.chars().count();
            let end_ms = voiced.time_ms(part(before)).clamp(start_ms, total_ms.max(start_ms));
            Word { word, start_ms, end_ms, posterior }
        })
        .collect()
}
