//! What a neural recogniser writes, as the rest of the daemon reads words. Purpose: lower-case words without punctuation,
//! each with its time and probability, from text and symbols of models that differ in all of that. Pure. Deliberately
//! absent: numbers in words (`conversation` reads both).

use super::{Hypothesis, Word};
use crate::ffi::sherpa::Recognised;

/// How long a word's last symbol is taken to last where the model does not say.
const SYMBOL_SECONDS: f32 = 0.12;

/// Confidence of a turn from a model that gives no probabilities: just below the half from which a yes alone approves,
/// because nobody knows, and such models may hear words in noise.
pub(super) const UNKNOWN_CONFIDENCE: f32 = 0.45;

/// Lower-case words, separated by single blanks. Signs that are said become words (`$50` → `50 dollars`, `&` → `and`), what
/// is not said is left out, apostrophes within words and points and colons within numbers stay.
pub(super) fn plain(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for raw in text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—' | '/' | '…')) {
        let mut word = String::new();
        let mut after: Option<&str> = None;
        let characters: Vec<char> = raw.chars().collect();
        for (n, c) in characters.iter().enumerate() {
            let digit = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
            let between_digits = digit(n.checked_sub(1)) && digit(Some(n + 1));
            match c {
                '\'' | '’' if !word.is_empty() && characters.get(n + 1).is_some_and(|c| c.is_alphanumeric()) => {
                    word.push('\'');
                }
                '.' | ':' if between_digits => word.push(*c),
                '$' => after = Some("dollars"),
                '€' => after = Some("euros"),
                '£' => after = Some("pounds"),
                '%' => after = Some("percent"),
                '&' => flush(&mut words, &mut word, Some("and")),
                '@' => flush(&mut words, &mut word, Some("at")),
                '+' => flush(&mut words, &mut word, Some("plus")),
                c if c.is_alphanumeric() => word.extend(c.to_lowercase()),
                _ => {}
            }
        }
        let after = after.filter(|_| !word.is_empty());
        flush(&mut words, &mut word, after);
    }
    words.join(" ")
}

fn flush(words: &mut Vec<String>, word: &mut String, then: Option<&str>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
    words.extend(then.map(str::to_owned));
}

/// A word as its symbols make it.
struct Spelled {
    text: String,
    start: f32,
    end: f32,
    log_probability: f32,
}

/// A result in words. `total_ms` is the length of the audio; no word ends after it.
pub(super) fn hypothesis(recognised: &Recognised, total_ms: u32) -> Hypothesis {
    let text = plain(&recognised.text);
    let frames = total_ms / 10;
    if text.is_empty() {
        return Hypothesis { frames, ..Hypothesis::default() };
    }
    let scored = recognised.log_probabilities.len() == recognised.tokens.len() && !recognised.tokens.is_empty();
    let words = words(recognised, scored, total_ms);
    let confidence = if scored && !words.is_empty() {
        let log_sum: f32 = words.iter().map(|word| word.posterior.max(1e-6).ln()).sum();
        (log_sum / words.len() as f32).exp()
    } else if scored {
        // No times, so no words; the symbols' mean stands for them.
        (recognised.log_probabilities.iter().sum::<f32>() / recognised.tokens.len() as f32).min(0.0).exp()
    } else {
        UNKNOWN_CONFIDENCE
    };
    Hypothesis { text, confidence, words, frames, ..Hypothesis::default() }
}

/// The words with times; none where the model gives no times.
fn words(recognised: &Recognised, scored: bool, total_ms: u32) -> Vec<Word> {
    let Recognised { tokens, starts, durations, log_probabilities, .. } = recognised;
    if starts.len() != tokens.len() {
        return Vec::new();
    }
    let mut spelled: Vec<Spelled> = Vec::new();
    let mut open = false;
    for (n, token) in tokens.iter().enumerate() {
        let begins = token.starts_with([' ', '▁']);
        let letters = token.trim_start_matches([' ', '▁']);
        open &= !begins;
        if letters.is_empty() {
            continue;
        }
        let start = starts[n];
        let length = durations.get(n).copied().filter(|length| *length > 0.0).unwrap_or(SYMBOL_SECONDS);
        let log_probability = if scored { log_probabilities[n].min(0.0) } else { UNKNOWN_CONFIDENCE.ln() };
        match spelled.last_mut().filter(|_| open) {
            Some(word) => {
                word.text.push_str(letters);
                word.end = start + length;
                if scored {
                    word.log_probability += log_probability;
                }
            }
            None => {
                if let Some(last) = spelled.last_mut() {
                    last.end = last.end.min(start.max(last.start));
                }
                spelled.push(Spelled { text: letters.to_owned(), start, end: start + length, log_probability });
            }
        }
        open = true;
    }
    let ms = |seconds: f32| ((seconds.max(0.0) * 1000.0).round() as u32).min(total_ms);
    spelled
        .into_iter()
        .flat_map(|word| {
            let (start_ms, end_ms) = (ms(word.start), ms(word.end));
            let posterior = word.log_probability.exp().clamp(0.0, 1.0);
            // Punctuation alone is no word; `twenty-one` is two, at the same time.
            let words: Vec<Word> = plain(&word.text)
                .split_whitespace()
                .map(|text| Word { word: text.to_owned(), start_ms, end_ms, posterior })
                .collect();
            words
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str, tokens: &[&str], starts: &[f32], log_probabilities: &[f32]) -> Recognised {
        Recognised {
            text: text.into(),
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            starts: starts.to_vec(),
            durations: Vec::new(),
            log_probabilities: log_probabilities.to_vec(),
        }
    }

    #[test]
    fn all_models_write_the_same_words() {
        for (written, words) in [
            ("HELLO WORLD", "hello world"),
            (" Hello, world. ", "hello world"),
            ("It’s twenty-one, isn't it?", "it's twenty one isn't it"),
            ("Pay $1,250.50 by 10:30.", "pay 1250.50 dollars by 10:30"),
            ("50% of R&D", "50 percent of r and d"),
            ("'quoted'", "quoted"),
            ("Grüße", "grüße"),
            ("... — !", ""),
            ("$", ""),
        ] {
            assert_eq!(plain(written), words, "{written}");
        }
    }

    #[test]
    fn words_come_from_symbols_with_times_and_probabilities() {
        let heard =
            hypothesis(&recognised("CALL ME", &[" CA", "LL", " ME"], &[0.2, 0.4, 0.6], &[-0.1, -0.1, -0.5]), 1000);
        assert_eq!(heard.text, "call me");
        let spans: Vec<_> = heard.words.iter().map(|w| (w.word.as_str(), w.start_ms, w.end_ms)).collect();
        assert_eq!(spans, [("call", 200, 520), ("me", 600, 720)]);
        assert!((heard.words[0].posterior - (-0.2_f32).exp()).abs() < 1e-6);
        assert!((heard.confidence - (-0.35_f32).exp()).abs() < 1e-6, "{}", heard.confidence);
        assert_eq!(heard.frames, 100);
    }

    #[test]
    fn letters_with_a_blank_of_their_own_make_words_too() {
        let heard = hypothesis(
            &recognised("no yes", &["n", "o", " ", "y", "e", "s"], &[0.0, 0.03, 0.06, 0.3, 0.33, 0.9], &[]),
            960,
        );
        let spans: Vec<_> = heard.words.iter().map(|w| (w.word.as_str(), w.start_ms, w.end_ms)).collect();
        assert_eq!(spans, [("no", 0, 150), ("yes", 300, 960)]);
        assert_eq!(heard.confidence, UNKNOWN_CONFIDENCE);
    }

    #[test]
    fn what_does_not_fit_together_gives_text_without_words() {
        let heard = hypothesis(&recognised("Yes.", &[" Yes", "."], &[], &[-0.1, -0.1]), 500);
        assert_eq!((heard.text.as_str(), heard.words.len()), ("yes", 0));
        assert!((heard.confidence - (-0.1_f32).exp()).abs() < 1e-6);
        let heard = hypothesis(&recognised("Yes.", &[" Yes", "."], &[0.1], &[-0.1]), 500);
        assert_eq!((heard.words.len(), heard.confidence), (0, UNKNOWN_CONFIDENCE));
        let silence = hypothesis(&recognised(" . ", &[" ."], &[0.1], &[-3.0]), 500);
        assert_eq!((silence.text.as_str(), silence.confidence), ("", 0.0));
    }
}
