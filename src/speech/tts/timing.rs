//! When each written word is heard. Pure. Purpose: what a caller has heard of an interrupted sentence is told by these.
//!
//! An engine that gives a time for each spoken word is believed. For the others the length of what was spoken is divided
//! by what the words take to say: sounds, of which vowels are the longer, and breaths at marks. Of speech that was cut
//! short the length is not known; there the voice's own pace counts, and only words that surely ended.

use super::super::clause::Clause;
use crate::conversation::WordTime;
use callwright_models::tts::WordTime as EngineWord;

// Least squares over 90 clauses of three voices that tell their times, in units of one consonant.
/// The change from word to word.
const WORD: f32 = 1.37;
/// A group of vowels, and what a second vowel or a silent "e" adds to one.
const VOWEL: f32 = 1.12;
const LONG: f32 = 0.58;
const CONSONANT: f32 = 1.0;
/// The vowel of a letter's name.
const LETTER: f32 = 1.49;
/// Behind a mark within a clause.
const BREATH: f32 = 2.12;
/// Speakers slow down before a mark and at the end.
const FINAL: f32 = 2.08;
/// Words that nobody stresses.
const LIGHT: f32 = 1.08;
const LIGHT_WORDS: [&str; 25] = [
    "a", "an", "the", "of", "to", "and", "or", "is", "it", "in", "on", "at", "for", "by", "that", "you", "your", "i",
    "my", "not", "be", "with", "from", "do", "did",
];
/// Milliseconds for one unit where a voice's own pace is not known.
pub(super) const PACE_MS: f32 = 56.0;
/// Of speech that was cut short, words count as this much longer than the pace says.
const CAUTION: f32 = 1.2;

fn breathes(word: &str) -> bool {
    word.ends_with([',', ';', ':'])
}

/// What one spoken word takes to say, with the breath behind it.
pub(super) fn weight(word: &str) -> f32 {
    let letters: Vec<char> = word.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    let breath = if breathes(word) { BREATH + FINAL } else { 0.0 };
    let spelled = letters.len() == 1 && letters[0] != 'i' && word.starts_with(|c: char| c.is_ascii_uppercase());
    if spelled {
        let (vowels, consonants) = match letters[0] {
            'a' | 'e' | 'o' => (1.0, 0.0),
            'w' => (3.0, 3.0),
            'x' | 'h' | 'q' => (1.0, 2.0),
            _ => (1.0, 1.0),
        };
        return WORD + LETTER * vowels + CONSONANT * consonants + breath;
    }
    let vowel = |c: char| "aeiouy".contains(c);
    let (mut vowels, mut long, mut consonants) = (0.0, 0.0, 0.0);
    for (n, c) in letters.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| letters[n]);
        let beside = before.is_some_and(vowel);
        if vowel(*c) {
            if beside || (*c == 'e' && n + 1 == letters.len() && vowels > 0.0) {
                long += 1.0;
            } else {
                vowels += 1.0;
            }
        } else {
            // "th", "sh", "ch", "ph", "ck", doubled letters and a silent "gh" are one sound or none.
            let joined = before.is_some_and(|before| {
                before == *c || (*c == 'h' && "tscpwg".contains(before)) || (*c == 'k' && before == 'c')
            });
            consonants += if joined { 0.0 } else { 1.0 };
        }
    }
    let plain: String = letters.into_iter().collect();
    let light = if LIGHT_WORDS.contains(&plain.as_str()) { LIGHT } else { 0.0 };
    WORD + VOWEL * f32::max(vowels, 1.0) + LONG * long + CONSONANT * consonants - light + breath
}

/// Milliseconds that a voice takes for one unit, by how long it takes for a text.
pub(super) fn pace(text: &str, length_ms: f32) -> f32 {
    let units: f32 = text.split_whitespace().map(weight).sum();
    length_ms / (units + FINAL)
}

/// What was spoken of a clause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Extent {
    /// All of it: speech of this length, ms.
    Whole(u32),
    /// It was cut short after this length; the voice takes so many ms for one unit of [`weight`].
    Cut(u32, f32),
}

/// Times of the written words of a clause, relative to its first sample. `tokens` are the engine's own times, `skipped_ms`
/// of silence were taken away before the first sound. Words that were not spoken to their end are left out.
pub(super) fn word_times(clause: &Clause, tokens: &[EngineWord], skipped_ms: u32, extent: Extent) -> Vec<WordTime> {
    let spoken: Vec<&str> = clause.words.iter().flat_map(|word| word.spoken.split_whitespace()).collect();
    let own = !tokens.is_empty() && tokens.len() == spoken.len();
    let mut weights: Vec<f32> = spoken.iter().map(|word| weight(word)).collect();
    if let (Some(last), Some(weight)) = (spoken.last(), weights.last_mut()) {
        // The breath behind the last word is not speech.
        *weight += if breathes(last) { -BREATH } else { FINAL };
    }
    let total: f32 = weights.iter().sum();
    let (length_ms, unit_ms) = match extent {
        Extent::Cut(length, pace) => (length, pace * CAUTION),
        Extent::Whole(length) => {
            // Where the engine names an end, what follows it is silence.
            let end = tokens.last().map_or(length, |last| last.end_ms.saturating_sub(skipped_ms)).min(length);
            (length, end as f32 / total.max(0.1))
        }
    };
    let cut = matches!(extent, Extent::Cut(..));
    let (mut next, mut passed, mut last_end) = (0, 0.0_f32, 0_u32);
    let mut times = Vec::with_capacity(clause.words.len());
    for word in &clause.words {
        let (from, to) = (next, next + word.spoken.split_whitespace().count());
        next = to;
        let (start, end) = if from == to {
            (last_end, last_end)
        } else if own {
            (tokens[from].start_ms.saturating_sub(skipped_ms), tokens[to - 1].end_ms.saturating_sub(skipped_ms))
        } else {
            let start = passed;
            let breath = if to < spoken.len() && breathes(spoken[to - 1]) { BREATH } else { 0.0 };
            passed += weights[from..to].iter().sum::<f32>();
            // Milliseconds of a clause fit 24 bits.
            ((start * unit_ms) as u32, ((passed - breath) * unit_ms) as u32)
        };
        let start_ms = start.max(last_end);
        let end_ms = end.max(start_ms);
        if cut && end_ms > length_ms {
            break;
        }
        last_end = end_ms.min(length_ms);
        times.push(WordTime { word: word.written.clone(), start_ms: start_ms.min(last_end), end_ms: last_end });
    }
    times
}

#[cfg(test)]
mod tests {
    use super::super::super::clause::clauses;
    use super::super::super::normalise::normalise;
    use super::*;

    fn clause(text: &str) -> Clause {
        clauses(normalise(text)).remove(0)
    }

    fn token(start_ms: u32, end_ms: u32) -> EngineWord {
        EngineWord { word: String::new(), start_ms, end_ms }
    }

    #[test]
    fn an_engines_own_times_are_believed_and_words_of_several_joined() {
        let clause = clause("has 42 contacts");
        let tokens = [token(100, 200), token(200, 300), token(300, 400), token(400, 700)];
        let times = word_times(&clause, &tokens, 100, Extent::Whole(650));
        let times: Vec<_> = times.iter().map(|word| (word.word.as_str(), word.start_ms, word.end_ms)).collect();
        assert_eq!(times, [("has", 0, 100), ("42", 100, 300), ("contacts", 300, 600)]);
    }

    #[test]
    fn without_them_long_words_take_longer() {
        let clause = clause("a considerable improvement - now");
        let times = word_times(&clause, &[], 0, Extent::Whole(2000));
        assert_eq!(times.len(), 5);
        let length = |n: usize| times[n].end_ms - times[n].start_ms;
        assert!(length(1) > 3 * length(0) && length(2) > length(4) + 200, "{times:?}");
        assert_eq!((length(3), times[0].start_ms), (0, 0));
        assert!((1995..=2000).contains(&times[4].end_ms), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
    }

    #[test]
    fn of_speech_that_was_cut_only_words_that_surely_ended_count() {
        let clause = clause("one two three four five six");
        let words = |ms| word_times(&clause, &[], 0, Extent::Cut(ms, PACE_MS)).len();
        assert_eq!((words(0), words(100)), (0, 0));
        assert!(words(600) >= 1 && words(600) < words(1200));
        let tokens: Vec<_> = (0..6).map(|n| token(n * 200, (n + 1) * 200)).collect();
        let known = word_times(&clause, &tokens, 0, Extent::Cut(500, PACE_MS));
        assert_eq!(known.len(), 2, "{known:?}");
    }
}
