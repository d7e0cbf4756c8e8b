//! Word networks for answers of a known shape. Purpose: dictated digits of a known length, spelled names; written in the text
//! form that the embedded recogniser reads (`FSG_BEGIN … FSG_END`). Pure.
//!
//! A network of states says more than a grammar of words: how many digits have been said so far. Invariants: every state
//! leads to the end; what leaves a state sums to one or less. Deliberately absent: what the words mean
//! (`conversation::spoken`).

use crate::conversation::spoken::SMALL;
use std::fmt::Write;

/// Zero to nine.
pub(super) const DIGITS: [&str; 10] = *SMALL.first_chunk().expect("there are twenty");
/// The other name of zero, and "double", "triple".
pub(super) const DIGIT_WORDS: [&str; 3] = ["oh", "double", "triple"];

/// Of a digit said in another way than by its own word.
const OH: f64 = 0.5;
const DOUBLE: f64 = 0.04;
const TRIPLE: f64 = 0.01;
/// An answer that ends before it is complete, by how many digits complete it has. Short codes may be said in parts; a
/// telephone number is said whole, and what sounds like nine digits of it is ten.
fn short(max: usize) -> f64 {
    if max <= 4 { 0.85 } else { 0.0005 }
}

/// A network under construction.
struct Network {
    states: usize,
    transitions: String,
}

impl Network {
    fn new(states: usize) -> Self {
        Self { states, transitions: String::new() }
    }

    fn state(&mut self) -> usize {
        self.states += 1;
        self.states - 1
    }

    /// A transition by a word; none by the empty word.
    fn to(&mut self, from: usize, to: usize, probability: f64, word: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.transitions, "TRANSITION {from} {to} {probability:.8} {word}");
    }

    fn finish(self, name: &str, last: usize) -> String {
        let Self { states, transitions } = self;
        format!("FSG_BEGIN {name}\nNUM_STATES {states}\nSTART_STATE 0\nFINAL_STATE {last}\n{transitions}FSG_END\n")
    }
}

/// At most `max` digits, most likely all of them; "double" and "triple" count as two and three.
pub(super) fn digits(max: u8) -> String {
    let max = usize::from(max.max(1));
    // State n: n digits have been said. The last but one state is the end.
    let mut network = Network::new(max + 1);
    let end = network.state();
    for said in 0..max {
        let left = max - said;
        let mut rest = 1.0;
        if said > 0 {
            network.to(said, end, short(max), "");
            rest -= short(max);
        }
        for (repeat, word, share) in [(2, "double", DOUBLE), (3, "triple", TRIPLE)] {
            if left >= repeat {
                let doubled = network.state();
                network.to(said, doubled, share, word);
                digit(&mut network, doubled, said + repeat, 1.0);
                rest -= share;
            }
        }
        digit(&mut network, said, said + 1, rest);
    }
    network.to(max, end, 1.0, "");
    network.finish("digits", end)
}

/// Of a letter that is followed by a word for it ("b as in bravo"), of "double", and of a word of the alphabet alone.
const EXAMPLE: f64 = 0.06;
const DOUBLE_LETTER: f64 = 0.03;
const ALPHABET_ALONE: f64 = 0.15;
/// Of an answer that ends after a letter.
const SPELLED: f64 = 0.12;
/// Words before a name.
const LEADS: [&str; 4] = ["my name is", "it's", "this is", "the name is"];
/// Of an answer that begins with them, of one that says a name, and of one that does not spell it after that.
const LEAD: f64 = 0.2;
const NAMED: f64 = 0.4;
const UNSPELLED: f64 = 0.5;

/// A name said, spelled, or both: "my name is smith s m i double t h", "b as in bravo, o, b". `alphabet` holds a word for
/// each letter from a on, `names` the names that are known; what the recogniser cannot say is left out (`sayable`).
pub(super) fn name(alphabet: &[&str], names: &[&str], sayable: impl Fn(&str) -> bool) -> String {
    let letters: Vec<String> = ('a'..='z').map(String::from).filter(|letter| sayable(letter)).collect();
    let names: Vec<&str> = names.iter().copied().filter(|name| sayable(name)).collect();
    let (start, led, unspelled, spelled) = (0, 1, 2, 3);
    let mut network = Network::new(4);
    let end = network.state();
    let leads: Vec<&str> = LEADS.into_iter().filter(|lead| lead.split(' ').all(&sayable)).collect();
    for lead in &leads {
        let words: Vec<&str> = lead.split(' ').collect();
        let mut at = start;
        for (nth, word) in words.iter().enumerate() {
            let next = if nth + 1 == words.len() { led } else { network.state() };
            network.to(at, next, if nth == 0 { LEAD / leads.len() as f64 } else { 1.0 }, word);
            at = next;
        }
    }
    network.to(start, led, if leads.is_empty() { 1.0 } else { 1.0 - LEAD }, "");
    for name in &names {
        network.to(led, unspelled, NAMED / names.len() as f64, name);
    }
    let (spelled_at_once, then) = if names.is_empty() { (1.0, 0.0) } else { (1.0 - NAMED, 1.0 - UNSPELLED) };
    network.to(unspelled, end, 1.0 - then, "");
    network.to(spelled, end, SPELLED, "");
    let doubled = network.state();
    // After each letter: what it may be explained by.
    let after: Vec<usize> = letters
        .iter()
        .map(|letter| {
            let said = network.state();
            let example = alphabet.iter().find(|word| word.starts_with(letter.as_str()) && sayable(word));
            let mut rest = 1.0;
            if let (Some(example), true) = (example, ["as", "in", "for", "like"].iter().all(|word| sayable(word))) {
                let (as_, explained) = (network.state(), network.state());
                network.to(said, as_, EXAMPLE, "as");
                network.to(as_, explained, 1.0, "in");
                network.to(said, explained, EXAMPLE / 2.0, "for");
                network.to(said, explained, EXAMPLE / 2.0, "like");
                network.to(explained, spelled, 1.0, example);
                rest -= 2.0 * EXAMPLE;
            }
            network.to(said, spelled, rest, "");
            network.to(doubled, spelled, 1.0 / letters.len() as f64, letter);
            said
        })
        .collect();
    let alone: Vec<&str> = alphabet.iter().copied().filter(|word| sayable(word)).collect();
    for (from, share) in [(led, spelled_at_once), (unspelled, then), (spelled, 1.0 - SPELLED)] {
        if share == 0.0 {
            continue;
        }
        let mut rest = share;
        if from != unspelled && !alone.is_empty() {
            for word in &alone {
                network.to(from, spelled, share * ALPHABET_ALONE / alone.len() as f64, word);
            }
            rest -= share * ALPHABET_ALONE;
        }
        network.to(from, doubled, share * DOUBLE_LETTER, DIGIT_WORDS[1]);
        rest -= share * DOUBLE_LETTER;
        for (letter, said) in letters.iter().zip(&after) {
            network.to(from, *said, rest / letters.len() as f64, letter);
        }
    }
    network.finish("name", end)
}

fn digit(network: &mut Network, from: usize, to: usize, share: f64) {
    let each = share / DIGITS.len() as f64;
    for word in DIGITS {
        network.to(from, to, if word == "zero" { each * (1.0 - OH) } else { each }, word);
    }
    network.to(from, to, each * OH, DIGIT_WORDS[0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Transitions = BTreeMap<usize, Vec<(usize, f64, String)>>;

    fn read(text: &str) -> (Transitions, usize) {
        let mut transitions = Transitions::new();
        let mut last = 0;
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields.as_slice() {
                ["FINAL_STATE", state] => last = state.parse().unwrap(),
                ["TRANSITION", from, to, share, word @ ..] => transitions
                    .entry(from.parse().unwrap())
                    .or_default()
                    .push((to.parse().unwrap(), share.parse().unwrap(), word.concat())),
                _ => {}
            }
        }
        (transitions, last)
    }

    /// Probability of a sentence.
    fn probability(text: &str, sentence: &str) -> f64 {
        let (transitions, last) = read(text);
        fn walk(t: &Transitions, last: usize, state: usize, words: &[&str]) -> f64 {
            let here = if words.is_empty() && state == last { 1.0 } else { 0.0 };
            here + t.get(&state).into_iter().flatten().fold(0.0, |sum, (to, share, word)| {
                sum + match words.split_first() {
                    _ if word.is_empty() => share * walk(t, last, *to, words),
                    Some((first, rest)) if first == word => share * walk(t, last, *to, rest),
                    _ => 0.0,
                }
            })
        }
        walk(&transitions, last, 0, &sentence.split_whitespace().collect::<Vec<_>>())
    }

    const ALPHABET: [&str; 3] = ["alpha", "bravo", "charlie"];

    fn spelled_name() -> String {
        name(&ALPHABET, &["smith", "bob"], |word| word != "q")
    }

    #[test]
    fn names_are_said_or_spelled_or_both() {
        let network = spelled_name();
        let p = |sentence| probability(&network, sentence);
        for said in [
            "smith",
            "my name is smith",
            "my name is smith s m i t h",
            "s m i t h",
            "it's b as in bravo o b",
            "m i double l e r",
            "bravo alpha charlie",
        ] {
            assert!(p(said) > 0.0, "{said}");
        }
        for not_said in ["", "b as in alpha", "q", "smith smith", "double", "my name is", "as in bravo"] {
            assert_eq!(p(not_said), 0.0, "{not_said}");
        }
    }

    #[test]
    fn what_leaves_a_state_sums_to_one() {
        for network in [digits(1), digits(4), digits(10), digits(255), spelled_name(), name(&[], &[], |_| true)] {
            let (transitions, _) = read(&network);
            for (state, leaving) in transitions {
                let sum: f64 = leaving.iter().map(|(_, share, _)| share).sum();
                assert!((sum - 1.0).abs() < 1e-6, "state {state}: {sum}");
            }
        }
    }

    #[test]
    fn never_more_digits_than_asked_for() {
        let four = digits(4);
        let p = |sentence| probability(&four, sentence);
        // A digit more is one of ten; a short code may end early, a telephone number hardly.
        assert!(p("one two three four") * 250.0 > p("one two three"));
        let ten = digits(10);
        assert!(
            probability(&ten, "one two three four five six seven eight nine zero") * 12.0
                > probability(&ten, "one two three four five six seven eight nine") * 100.0
        );
        assert!(p("one two three") > 0.0 && p("double five oh nine") > 0.0 && p("triple five nine") > 0.0);
        assert_eq!(p("one two three four five"), 0.0);
        assert_eq!(p("one two three double four"), 0.0);
        assert_eq!(p(""), 0.0);
    }
}
