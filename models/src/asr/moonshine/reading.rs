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

/// The readings of a turn, the best first, as one result. `alike`: groups of words that mean the same.
pub(super) fn hypothesis(
    readings: &[Reading],
    alike: &[&[&str]],
    pieces: &Pieces,
    voiced: &Voiced,
    total_ms: u32,
) -> Hypothesis {
    let frames = total_ms / 10;
    let nothing = Hypothesis { frames, ..Hypothesis::default() };
    let Some(best) = readings.first() else { return nothing };
    let wrote = pieces.decode(&best.tokens);
    let text = written::plain(&wrote);
    if text.is_empty() {
        return nothing;
    }
    let words = words(&raw_words(best, pieces), voiced, total_ms);
    let confidence = confidence(&words).max(together(readings, alike, pieces));
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

/// The readings as words, the best first, with what the model gives each as a whole. What is written in several ways (with a
/// full stop, with a comma) is one text, as likely as all of them together.
pub(super) fn texts(readings: &[Reading], pieces: &Pieces) -> Vec<(String, f32)> {
    let mut texts: Vec<(String, f32)> = Vec::with_capacity(readings.len());
    for reading in readings {
        let text = written::plain(&pieces.decode(&reading.tokens));
        if text.is_empty() {
            continue;
        }
        let probability = (reading.log_probabilities.iter().sum::<f32>() + reading.end).exp().clamp(0.0, 1.0);
        match texts.iter_mut().find(|(other, _)| *other == text) {
            Some((_, sum)) => *sum = (*sum + probability).min(1.0),
            None => texts.push((text, probability)),
        }
    }
    texts
}

/// Geometric mean of the words' probabilities.
fn confidence(words: &[Word]) -> f32 {
    let log_sum: f32 = words.iter().map(|word| word.posterior.max(1e-6).ln()).sum();
    (log_sum / words.len().max(1) as f32).exp()
}

/// The confidence in what the best reading means: the probabilities of all readings that mean it added up, as a geometric
/// mean of its words. They are the model's own: a guide that prefers an answer makes nobody surer of it. Zero where nothing
/// is alike.
fn together(readings: &[Reading], alike: &[&[&str]], pieces: &Pieces) -> f32 {
    if alike.is_empty() {
        return 0.0;
    }
    // What is written in several ways (with a full stop, with a comma) counts once.
    let mut texts: Vec<(Vec<String>, f32)> = Vec::new();
    for reading in readings {
        let (mut text, mut log_sum) = (Vec::new(), 0.0);
        for raw in raw_words(reading, pieces) {
            let plain = written::plain(&raw.text);
            text.extend(plain.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
            log_sum += raw.log_probability;
        }
        match texts.iter_mut().find(|(other, _)| *other == text) {
            Some((_, most)) => *most = most.max(log_sum.exp()),
            None => texts.push((text, log_sum.exp())),
        }
    }
    let same = |one: &String, other: &String| {
        one == other || alike.iter().any(|group| group.contains(&one.as_str()) && group.contains(&other.as_str()))
    };
    let Some((best, _)) = texts.first() else { return 0.0 };
    let sum: f32 = texts
        .iter()
        .filter(|(text, _)| text.len() == best.len() && text.iter().zip(best).all(|(one, other)| same(one, other)))
        .map(|(_, probability)| probability)
        .sum();
    sum.clamp(0.0, 1.0).powf(1.0 / best.len().max(1) as f32)
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

#[cfg(test)]
mod tests {
    use super::super::tokens::pieces_of;
    use super::*;

    fn voice() -> Voiced {
        let samples: Vec<i16> = (0..8000).map(|n| if n < 4000 { 0 } else { [9000, -9000][n % 2] }).collect();
        Voiced::of(&samples)
    }

    fn reading(tokens: &[u32], probabilities: &[f32]) -> Reading {
        Reading {
            tokens: tokens.to_vec(),
            log_probabilities: probabilities.iter().map(|p| p.ln()).collect(),
            end: 0.0,
            score: 5.0,
            doubtful: false,
            circular: false,
        }
    }

    #[test]
    fn words_have_the_models_probabilities_and_their_share_of_the_voice() {
        let pieces = pieces_of(&["▁Call", "▁m", "e", ",", "▁$", "5", "0", "."]);
        let best = reading(&[3, 4, 5, 6, 7, 8, 9, 10], &[0.9, 0.8, 0.5, 0.01, 0.7, 0.5, 0.6, 0.02]);
        let heard = hypothesis(&[best], &[], &pieces, &voice(), 1000);
        assert_eq!((heard.text.as_str(), heard.complete, heard.frames), ("call me 50 dollars", Some(true), 100));
        let posteriors: Vec<f32> = heard.words.iter().map(|word| (word.posterior * 100.0).round() / 100.0).collect();
        assert_eq!(posteriors, [0.9, 0.4, 0.3, 0.3]);
        assert!((heard.confidence - (0.9_f32 * 0.4 * 0.3 * 0.3).powf(0.25)).abs() < 1e-3, "{}", heard.confidence);
        assert!(heard.words[0].start_ms.abs_diff(500) <= 20 && heard.words[3].end_ms == 1000, "{heard:?}");
        assert!(heard.words.windows(2).all(|pair| pair[0].end_ms == pair[1].start_ms));
    }

    #[test]
    fn readings_that_mean_the_same_are_no_doubt() {
        let pieces = pieces_of(&["▁Yeah", "▁Yep", "▁Yes", ".", ",", "▁please", "▁What"]);
        let alike: &[&[&str]] = &[&["yes", "yeah", "yep"], &["no", "nope"]];
        let sure = |readings: &[Reading], alike| hypothesis(readings, alike, &pieces, &voice(), 1000).confidence;
        let near = |one: f32, other: f32| (one - other).abs() < 1e-3;
        let readings = [
            reading(&[3, 6], &[0.2, 0.5]),
            reading(&[4, 6], &[0.4, 0.6]),
            // Written in another way, it is no other reading.
            reading(&[3, 7], &[0.2, 0.4]),
            reading(&[5, 6], &[0.05, 0.9]),
            reading(&[9], &[0.3]),
            reading(&[5, 8], &[0.05, 0.9]),
        ];
        assert!(near(sure(&readings, alike), 0.65), "{}", sure(&readings, alike));
        assert!(near(sure(&readings, &[]), 0.2));
        // What means something else adds nothing, nor does a guide's score.
        assert!(near(sure(&[&readings[..1], &readings[4..]].concat(), alike), 0.2));
        let two = [reading(&[5, 8, 6], &[0.3, 0.9, 0.9]), reading(&[3, 8, 6], &[0.4, 0.9, 0.9])];
        assert!(near(sure(&two, alike), 0.63_f32.sqrt()), "{}", sure(&two, alike));
        assert!(near(sure(&[reading(&[3], &[0.9]), reading(&[4], &[0.9])], alike), 1.0));
    }

    #[test]
    fn a_text_is_as_likely_as_all_ways_to_write_it() {
        let pieces = pieces_of(&["▁Yeah", "▁yeah", ".", ",", "▁You", "..."]);
        let mut cut = reading(&[7], &[0.2]);
        cut.end = 0.5_f32.ln();
        let readings = [
            reading(&[3, 5], &[0.5, 0.4]),
            cut,
            reading(&[4, 6], &[0.5, 0.2]),
            reading(&[8], &[0.9]),
            reading(&[3], &[2.0]),
        ];
        let rounded = |readings: &[Reading]| -> Vec<(String, u32)> {
            texts(readings, &pieces).into_iter().map(|(text, p)| (text, (p * 100.0).round() as u32)).collect()
        };
        assert_eq!(rounded(&readings[..4]), [("yeah".to_owned(), 30), ("you".to_owned(), 10)]);
        assert_eq!(rounded(&readings), [("yeah".to_owned(), 100), ("you".to_owned(), 10)], "no more than certain");
        assert_eq!(rounded(&[]), []);
    }

    #[test]
    fn other_readings_are_other_words_and_half_a_sentence_is_told() {
        let pieces = pieces_of(&["▁yes", "▁Yes", ".", "▁and", "..."]);
        let readings = [
            reading(&[3, 6], &[0.9, 0.9]),
            reading(&[3, 6, 7], &[0.9, 0.9, 0.1]),
            reading(&[4, 5], &[0.9, 0.9]),
            reading(&[3, 5], &[0.9, 0.9]),
            reading(&[5], &[0.9]),
        ];
        let heard = hypothesis(&readings, &[], &pieces, &voice(), 1000);
        assert_eq!((heard.text.as_str(), heard.complete), ("yes and", Some(false)));
        assert_eq!(heard.alternatives, ["yes"]);
        assert_eq!(hypothesis(&readings[1..2], &[], &pieces, &voice(), 1000).complete, Some(false));
        let none = hypothesis(&readings[4..], &[], &pieces, &voice(), 1000);
        assert_eq!((none.text.as_str(), none.complete, none.words.len()), ("", None, 0));
    }
}
