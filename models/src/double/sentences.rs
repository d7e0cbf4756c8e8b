//! What the double is taught. Purpose: a few dozen sentences of the kind that callers say, and drills that put the same
//! words into other company. Pure and deterministic. Deliberately absent: audio (`corpus`).

use super::random::Random;

/// Sentences that the double decodes exactly when Flite's `slt` says them over a telephone line.
pub const SENTENCES: &[&str] = &[
    "yes",
    "no",
    "yes please",
    "no thank you",
    "stop",
    "cancel",
    "hello",
    "goodbye",
    "thank you",
    "thank you goodbye",
    "i need a crm",
    "i want a crm please",
    "i need a crm with contacts and deals",
    "i need a crm for my sales team",
    "i need a crm for my sales team with contacts and deals",
    "build me a crm",
    "please build me a crm",
    "please build me a crm with contacts",
    "please build me a crm with contacts and deals",
    "hello please build me a crm with contacts and deals",
    "make me a crm with contacts deals and notes",
    "could you make us a crm with contacts and deals",
    "could you build me an app for my customers",
    "i want an app for my customers",
    "i need an app with notes",
    "make us a crm for the sales team please",
    "how is the crm",
    "how is my crm",
    "how is the app",
    "please add notes and deals",
    "no deals please",
    "only contacts please",
    "only deals and notes",
    "contacts and deals",
    "contacts deals and notes",
    "call me back please",
    "please call my team",
    "please add deals",
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "one two three four",
    "five six seven eight",
    "nine zero four two",
    "one one two two",
    "seven three five",
    "eight nine zero",
    "four seven one one",
    "six oh nine",
    "two five eight",
    "three three",
];

const DIGITS: &[&str] = &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh"];

/// The words of [`SENTENCES`], each once, in the order of their first use.
#[must_use]
pub fn vocabulary() -> Vec<&'static str> {
    let mut words = Vec::new();
    for word in SENTENCES.iter().flat_map(|sentence| sentence.split(' ')) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Further sentences for training: strings of digits, and words in any order.
pub(super) fn drills() -> Vec<String> {
    let mut random = Random::new(20_261_120);
    let words = vocabulary();
    let mut pick = |from: &[&str], count: usize| -> String {
        let picked: Vec<&str> = (0..count).map(|_| from[random.below(from.len())]).collect();
        picked.join(" ")
    };
    let digits: Vec<String> = (0..DIGIT_DRILLS).map(|n| pick(DIGITS, 2 + n % 4)).collect();
    let mixed = (0..WORD_DRILLS).map(|_| pick(&words, 6));
    digits.into_iter().chain(mixed).collect()
}

const DIGIT_DRILLS: usize = 40;
const WORD_DRILLS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_small_and_the_drills_stay_within_it() {
        let words = vocabulary();
        assert!((40..=60).contains(&words.len()), "{} words", words.len());
        assert_eq!(drills(), drills());
        assert!(drills().iter().flat_map(|drill| drill.split(' ')).all(|word| words.contains(&word)));
    }
}
