//! Statistical language models from sentences. Purpose: the recogniser knows only what the agent's domain can hear, so the
//! model is made from the domain's own text when the daemon starts. Pure, any thread.
//!
//! A 3-gram with interpolated Witten–Bell smoothing: `p(w|h) = (c(hw) + T(h)·p(w|h')) / (c(h) + T(h))`, where `T(h)` is the
//! number of distinct words seen after `h` (of a product, expected counts below one in part) and `h'` is `h` without its
//! oldest word; below the unigram lies the uniform distribution. The back-off weight `T(h) / (c(h) + T(h))` makes the ARPA file say exactly the same, so probabilities sum
//! to one for every history (tested). Deliberately absent: unknown words (the recogniser cannot hear them).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Expected counts of triples below this are not kept at all.
const EXPECTED_MIN: f64 = 0.002;

const START: &str = "<s>";
const END: &str = "</s>";

/// Words by number; 0 and 1 are the sentence's start and end.
pub(super) type Word = u32;
/// The history of a sentence's first word.
pub(super) const START_WORD: Word = 0;
const END_WORD: Word = 1;

/// How often a word follows, and for how much of a kind it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    weight: f64,
    kind: f64,
}

#[derive(Clone, Debug, Default)]
struct Continuations {
    total: f64,
    /// `T(h)`: words seen, and of those that were only expected, less than once, that part.
    kinds: f64,
    counts: BTreeMap<Word, Count>,
}

impl Continuations {
    /// A word of a text is a kind, whatever the text's weight; one that a product expects is as far as it is expected.
    fn add(&mut self, word: Word, weight: f64, seen: bool) {
        let count = self.counts.entry(word).or_default();
        count.weight += weight;
        let kind = if seen { 1.0 } else { count.weight.min(1.0).max(count.kind) };
        self.kinds += kind - count.kind;
        count.kind = kind;
        self.total += weight;
    }

    /// `T(h)` as a share of everything: the weight left to the shorter history.
    fn back_off(&self) -> f64 {
        if self.total > 0.0 { self.kinds / (self.total + self.kinds) } else { 1.0 }
    }

    fn share(&self, word: Word) -> f64 {
        self.counts.get(&word).map_or(0.0, |count| count.weight / (self.total + self.kinds))
    }

    /// Forgets what was expected less than `least` times.
    fn prune(&mut self, least: f64) {
        self.counts.retain(|_, count| count.weight >= least);
        self.total = self.counts.values().map(|count| count.weight).sum();
        self.kinds = self.counts.values().map(|count| count.kind).sum();
    }
}

/// A 3-gram model under construction and in use.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    words: Vec<String>,
    numbers: BTreeMap<String, Word>,
    unigrams: Continuations,
    bigrams: BTreeMap<Word, Continuations>,
    trigrams: BTreeMap<(Word, Word), Continuations>,
}

impl Default for LanguageModel {
    fn default() -> Self {
        let mut model = Self {
            words: Vec::new(),
            numbers: BTreeMap::new(),
            unigrams: Continuations::default(),
            bigrams: BTreeMap::new(),
            trigrams: BTreeMap::new(),
        };
        model.number(START);
        model.number(END);
        model
    }
}

impl LanguageModel {
    /// A model of one text: one sentence a line, words separated by blanks.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut model = Self::default();
        model.add(text, 1.0);
        model
    }

    /// Counts every line of `text` `weight` times. Weight is what a text counts against the others of one model, and
    /// against what was never seen.
    pub fn add(&mut self, text: &str, weight: f64) {
        self.count(text, weight, true);
    }

    fn count(&mut self, text: &str, weight: f64, seen: bool) {
        for line in text.lines() {
            let mut sentence = vec![START_WORD];
            sentence.extend(
                line.split_whitespace()
                    .map(str::to_lowercase)
                    .filter(|w| w != START && w != END)
                    .map(|w| self.number(&w)),
            );
            if sentence.len() == 1 {
                continue;
            }
            sentence.push(END_WORD);
            for at in 1..sentence.len() {
                let word = sentence[at];
                self.unigrams.add(word, weight, seen);
                self.bigrams.entry(sentence[at - 1]).or_default().add(word, weight, seen);
                if at >= 2 {
                    self.trigrams.entry((sentence[at - 2], sentence[at - 1])).or_default().add(word, weight, seen);
                }
            }
        }
    }

    /// Counts a product of word classes: every sentence that takes one member of each part counts in proportion to its
    /// members' weights, `weight` sentences in all. The counts are exact and cost the sum of the parts, not their product:
    /// what follows a part depends on its last two words alone.
    pub fn add_product<'a>(&mut self, parts: impl IntoIterator<Item = &'a [(&'a str, f64)]>, weight: f64) {
        // Where a sentence may stand between two parts: its last two words, and how many sentences do.
        let mut states: BTreeMap<(Option<Word>, Word), f64> = BTreeMap::from([((None, START_WORD), weight)]);
        for part in parts {
            let sum: f64 = part.iter().map(|(_, weight)| weight).sum();
            let phrases: Vec<(Vec<Word>, f64)> = part
                .iter()
                .map(|(phrase, share)| {
                    (phrase.split_whitespace().map(|word| self.number(&word.to_lowercase())).collect(), share / sum)
                })
                .collect();
            states = self.count_part(&states, &phrases);
        }
        // Nothing was said.
        states.remove(&(None, START_WORD));
        self.count_part(&states, &[(vec![END_WORD], 1.0)]);
    }

    /// Counts what a part adds after `states`; gives the states after it.
    fn count_part(
        &mut self,
        states: &BTreeMap<(Option<Word>, Word), f64>,
        phrases: &[(Vec<Word>, f64)],
    ) -> BTreeMap<(Option<Word>, Word), f64> {
        let total: f64 = states.values().sum();
        let (mut firsts, mut pairs) = (BTreeMap::<Word, f64>::new(), BTreeMap::<(Word, Word), f64>::new());
        let mut lasts = BTreeMap::<Word, f64>::new();
        for ((_, last), count) in states {
            *lasts.entry(*last).or_default() += count;
        }
        let mut after = BTreeMap::new();
        for (phrase, share) in phrases {
            for word in phrase {
                self.unigrams.add(*word, total * share, false);
            }
            // Within the phrase nothing depends on what stood before it.
            for pair in phrase.windows(2) {
                self.bigrams.entry(pair[0]).or_default().add(pair[1], total * share, false);
            }
            for three in phrase.windows(3) {
                self.trigrams.entry((three[0], three[1])).or_default().add(three[2], total * share, false);
            }
            match phrase.as_slice() {
                [] => {
                    for (state, count) in states {
                        *after.entry(*state).or_default() += count * share;
                    }
                }
                [only] => {
                    *firsts.entry(*only).or_default() += share;
                    for (last, count) in &lasts {
                        *after.entry((Some(*last), *only)).or_default() += count * share;
                    }
                }
                [first, second, ..] => {
                    *firsts.entry(*first).or_default() += share;
                    *pairs.entry((*first, *second)).or_default() += share;
                    let [.., before, last] = phrase.as_slice() else { continue };
                    *after.entry((Some(*before), *last)).or_default() += total * share;
                }
            }
        }
        for (last, count) in &lasts {
            let continuations = self.bigrams.entry(*last).or_default();
            for (first, share) in &firsts {
                continuations.add(*first, count * share, false);
            }
            for ((first, second), share) in &pairs {
                if count * share >= EXPECTED_MIN {
                    self.trigrams.entry((*last, *first)).or_default().add(*second, count * share, false);
                }
            }
        }
        for ((before, last), count) in states {
            let Some(before) = before else { continue };
            for (first, share) in &firsts {
                if count * share >= EXPECTED_MIN {
                    self.trigrams.entry((*before, *last)).or_default().add(*first, count * share, false);
                }
            }
        }
        after
    }

    /// Forgets pairs and triples that were expected less than `least` times: they say little that the shorter history does
    /// not, and they are most of the model.
    pub fn prune(&mut self, least: f64) {
        for continuations in self.bigrams.values_mut().chain(self.trigrams.values_mut()) {
            continuations.prune(least);
        }
        self.bigrams.retain(|_, after| !after.counts.is_empty());
        self.trigrams.retain(|_, after| !after.counts.is_empty());
        // A file gives the weight of a history with its own n-gram, so a longer one needs it.
        let bigrams = &self.bigrams;
        self.trigrams
            .retain(|(first, second), _| bigrams.get(first).is_some_and(|after| after.counts.contains_key(second)));
    }

    /// Words that the model can produce, in order of appearance.
    pub fn vocabulary(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(2).map(String::as_str)
    }

    /// Words of `text` that the model cannot produce.
    pub fn unknown<'a>(&self, text: &'a str) -> BTreeSet<&'a str> {
        text.split_whitespace().filter(|word| !self.numbers.contains_key(*word)).collect()
    }

    /// Probability of `word` after `history` (the last two words count; `<s>` is the start). `</s>` asks for the end.
    /// Zero for words that the model does not know.
    #[must_use]
    pub fn probability(&self, history: &[&str], word: &str) -> f64 {
        let Some(&word) = self.numbers.get(word).filter(|word| **word != START_WORD) else { return 0.0 };
        let known: Option<Vec<Word>> =
            history.iter().rev().take(2).rev().map(|word| self.numbers.get(*word).copied()).collect();
        match known.as_deref() {
            Some([a, b]) => self.trigram(*a, *b, word),
            Some([b]) => self.bigram(*b, word),
            _ => self.unigram(word),
        }
    }

    /// The number of a word that the model can produce, lower case.
    pub(super) fn word(&self, word: &str) -> Option<Word> {
        self.numbers.get(word).copied().filter(|word| *word > END_WORD)
    }

    /// Natural log of the probability of `word` after the last two words, the older first; `None` is a word that the model
    /// does not know.
    pub(super) fn log_probability(&self, history: [Option<Word>; 2], word: Word) -> f32 {
        let probability = match history {
            [Some(before), Some(last)] => self.trigram(before, last, word),
            [None, Some(last)] => self.bigram(last, word),
            [_, None] => self.unigram(word),
        };
        probability.ln() as f32
    }

    /// Words, pairs and triples that are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let counts = |after: &Continuations| after.counts.len();
        self.words.len()
            + self.bigrams.values().map(counts).sum::<usize>()
            + self.trigrams.values().map(counts).sum::<usize>()
    }

    /// Perplexity of sentences, `None` when a word is unknown or there is nothing to judge.
    #[must_use]
    pub fn perplexity(&self, text: &str) -> Option<f64> {
        let (mut log_sum, mut words) = (0.0, 0_u32);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut history = vec![START];
            for word in line.split_whitespace().chain([END]) {
                let probability = self.probability(&history, word);
                if probability <= 0.0 {
                    return None;
                }
                log_sum += probability.ln();
                words += 1;
                history.push(word);
            }
        }
        (words > 0).then(|| (-log_sum / f64::from(words)).exp())
    }

    /// The model in ARPA form, as the recogniser reads it.
    #[must_use]
    pub fn to_arpa(&self) -> String {
        let bigrams: usize = self.bigrams.values().map(|after| after.counts.len()).sum();
        let trigrams: usize = self.trigrams.values().map(|after| after.counts.len()).sum();
        let mut arpa = String::with_capacity(64 + 24 * self.words.len() + 40 * (bigrams + trigrams));
        // Writing to a String cannot fail.
        let _ = write!(
            arpa,
            "\\data\\\nngram 1={}\nngram 2={bigrams}\nngram 3={trigrams}\n\n\\1-grams:\n",
            self.words.len()
        );
        for (number, name) in (0..).zip(&self.words) {
            // The start of a sentence is only ever a history.
            let log = if number == START_WORD { -99.0 } else { self.unigram(number).log10() };
            let _ = match self.bigrams.get(&number) {
                Some(after) => writeln!(arpa, "{log:.5} {name} {:.5}", after.back_off().log10()),
                None => writeln!(arpa, "{log:.5} {name} 0.0"),
            };
        }
        arpa.push_str("\n\\2-grams:\n");
        for (first, after) in &self.bigrams {
            for second in after.counts.keys() {
                let log = self.bigram(*first, *second).log10();
                let (a, b) = (self.name(*first), self.name(*second));
                let _ = match self.trigrams.get(&(*first, *second)) {
                    Some(after) => writeln!(arpa, "{log:.5} {a} {b} {:.5}", after.back_off().log10()),
                    None => writeln!(arpa, "{log:.5} {a} {b} 0.0"),
                };
            }
        }
        arpa.push_str("\n\\3-grams:\n");
        for ((first, second), after) in &self.trigrams {
            for third in after.counts.keys() {
                let log = self.trigram(*first, *second, *third).log10();
                let _ = writeln!(arpa, "{log:.5} {} {} {}", self.name(*first), self.name(*second), self.name(*third));
            }
        }
        arpa.push_str("\n\\end\\\n");
        arpa
    }

    fn number(&mut self, word: &str) -> Word {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.words.len() as Word;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }

    pub(super) fn name(&self, word: Word) -> &str {
        self.words.get(word as usize).map_or("", String::as_str)
    }

    fn unigram(&self, word: Word) -> f64 {
        // Every word but the start can follow something.
        let uniform = 1.0 / (self.words.len().saturating_sub(1).max(1)) as f64;
        self.unigrams.share(word) + self.unigrams.back_off() * uniform
    }

    fn bigram(&self, history: Word, word: Word) -> f64 {
        let lower = self.unigram(word);
        self.bigrams.get(&history).map_or(lower, |after| after.share(word) + after.back_off() * lower)
    }

    fn trigram(&self, first: Word, second: Word, word: Word) -> f64 {
        let lower = self.bigram(second, word);
        self.trigrams.get(&(first, second)).map_or(lower, |after| after.share(word) + after.back_off() * lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str =
        "i need a crm\ni need a crm with contacts and deals\nbuild me a crm for my sales team\nyes\nno\nyes please\n";

    fn sum(model: &LanguageModel, history: &[&str]) -> f64 {
        model.vocabulary().chain([END]).map(|word| model.probability(history, word)).sum()
    }

    #[test]
    fn probabilities_sum_to_one_after_every_history() {
        let model = LanguageModel::from_text(TEXT);
        let words: Vec<&str> = model.vocabulary().chain([START]).collect();
        for a in &words {
            for b in &words {
                let total = sum(&model, &[a, b]);
                assert!((total - 1.0).abs() < 1e-9, "{a} {b}: {total}");
            }
        }
    }

    #[test]
    fn likely_sentences_are_less_perplexing_than_shuffled_ones() {
        let model = LanguageModel::from_text(TEXT);
        let seen = model.perplexity("i need a crm with contacts and deals").unwrap();
        let new = model.perplexity("i need a crm for my sales team").unwrap();
        let shuffled = model.perplexity("team a for deals need my i crm").unwrap();
        assert!(seen < 2.5 && new < 6.0 && shuffled > 15.0, "{seen} {new} {shuffled}");
        assert_eq!(model.perplexity("i need a helicopter"), None);
        assert_eq!(model.unknown("i need a helicopter"), BTreeSet::from(["helicopter"]));
    }

    #[test]
    fn weight_moves_probability() {
        let mut model = LanguageModel::from_text(TEXT);
        let before = model.probability(&[START], "yes");
        model.add("yes\nno\n", 20.0);
        assert!(model.probability(&[START], "yes") > before + 0.1);
        assert!((sum(&model, &[START]) - 1.0).abs() < 1e-9);
    }

    /// Reads an ARPA file the way a recogniser does.
    fn arpa_probability(arpa: &str, words: &[&str]) -> f64 {
        let grams: BTreeMap<Vec<&str>, (f64, f64)> = arpa
            .lines()
            .filter(|line| line.starts_with(['-', '0']))
            .map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let log = fields[0].parse().unwrap();
                // A trigram has four fields and no back-off weight; shorter grams end with theirs.
                let (words, back_off) = match fields.len() {
                    4 if fields[3].parse::<f64>().is_err() => (&fields[1..], 0.0),
                    n => (&fields[1..n - 1], fields[n - 1].parse().unwrap()),
                };
                (words.to_vec(), (log, back_off))
            })
            .collect();
        fn log(grams: &BTreeMap<Vec<&str>, (f64, f64)>, words: &[&str]) -> f64 {
            if let Some((log, _)) = grams.get(words) {
                return *log;
            }
            let back_off = grams.get(&words[..words.len() - 1]).map_or(0.0, |(_, back_off)| *back_off);
            back_off + log(grams, &words[1..])
        }
        10_f64.powf(log(&grams, words))
    }

    #[test]
    fn the_arpa_file_says_what_the_model_says() {
        let model = LanguageModel::from_text(TEXT);
        let arpa = model.to_arpa();
        let count = |order: &str| {
            let section = arpa.split(&format!("\\{order}-grams:\n")).nth(1).unwrap();
            section.lines().take_while(|line| !line.is_empty()).count()
        };
        for order in ["1", "2", "3"] {
            assert!(arpa.contains(&format!("ngram {order}={}\n", count(order))), "{order}");
        }
        assert!(arpa.starts_with("\\data\\\n") && arpa.ends_with("\\end\\\n"));
        for words in [["i", "need", "a"], ["need", "a", "team"], ["yes", "no", "crm"], [START, "yes", END]] {
            let (ours, file) = (model.probability(&words[..2], words[2]), arpa_probability(&arpa, &words));
            assert!((ours / file - 1.0).abs() < 1e-3, "{words:?}: {ours} {file}");
        }
    }

    #[test]
    fn a_product_counts_as_all_its_sentences_would() {
        let parts: [&[(&str, f64)]; 4] = [
            &[("", 1.0), ("hello", 1.0)],
            &[("build", 1.0), ("put together", 1.0), ("make", 2.0)],
            &[("a crm", 3.0), ("one", 1.0)],
            &[("", 1.0), ("please", 1.0), ("thank you very much", 2.0)],
        ];
        let mut product = LanguageModel::default();
        product.add_product(parts, 1000.0);
        let mut sentences = LanguageModel::default();
        for (a, x) in parts[0] {
            for (b, y) in parts[1] {
                for (c, z) in parts[2] {
                    for (d, u) in parts[3] {
                        sentences.count(
                            &format!("{a} {b} {c} {d}"),
                            1000.0 * x * y * z * u / (2.0 * 4.0 * 4.0 * 4.0),
                            false,
                        );
                    }
                }
            }
        }
        let words: Vec<&str> = sentences.vocabulary().collect();
        for a in words.iter().chain([&START]) {
            for b in words.iter().chain([&START]) {
                for c in words.iter().chain([&END]) {
                    let (one, other) = (product.probability(&[a, b], c), sentences.probability(&[a, b], c));
                    assert!((one - other).abs() < 1e-9, "{a} {b} {c}: {one} {other}");
                }
            }
        }
    }

    #[test]
    fn a_pruned_model_is_smaller_and_still_proper() {
        let mut model = LanguageModel::from_text(TEXT);
        let before = model.to_arpa().len();
        model.prune(2.0);
        let arpa = model.to_arpa();
        assert!(arpa.len() < before);
        for history in [[START, "i"], ["i", "need"], ["crm", "with"]] {
            assert!((sum(&model, &history) - 1.0).abs() < 1e-9);
        }
        let words = ["i", "need", "a"];
        let (ours, file) = (model.probability(&words[..2], words[2]), arpa_probability(&arpa, &words));
        assert!((ours / file - 1.0).abs() < 1e-3, "{ours} {file}");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_proper_distribution(text in "([a-d]( [a-d]){0,5}\n){1,8}", weight in 0.5_f64..50.0) {
            let mut model = LanguageModel::default();
            model.add(&text, weight);
            model.add("a b", 1.0);
            for history in [vec![START], vec![START, "a"], vec!["a", "b"], vec!["d", "d"], vec![]] {
                prop_assert!((sum(&model, &history) - 1.0).abs() < 1e-9);
            }
        }
    }
}
