//! A turn as the classifier sees it: normalised words, word classes, hashed features.
//!
//! Pure; the two tables (`lexicon.txt`, `classes.txt`) are read once. Invariant: the same, word for word, as `models/intents.py`
//! does it, which trains on it (test `as_trained`). Deliberately absent: weights (`classifier`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use crate::limits::HEARD_TEXT_MAX;

/// Of so many words of a sentence, the first, pairs at any distance count.
const MARKS_MAX: usize = 16;
/// Say too little at a distance.
#[rustfmt::skip]
const FILLING: &[&str] = &[
    "the", "this", "that", "it", "is", "am", "are", "was", "be", "been", "do", "does", "did", "to", "with", "of", "in", "on", "at",
    "by", "from", "up", "about", "and", "or", "so", "then", "please", "there", "here", "now", "just", "really", "okay", "well",
    "hello", "hi", "good", "thanks", "out", "off", "over", "has", "have",
];

/// Phrases by their first word, the longest first, and what stands for each.
type Phrases<T> = HashMap<String, Vec<(Vec<String>, T)>>;

static LEXICON: LazyLock<Phrases<Vec<String>>> = LazyLock::new(|| {
    let mut rows: HashMap<Vec<String>, Vec<String>> = HashMap::new();
    for row in table(include_str!("lexicon.txt")) {
        let Some((heard, meant)) = row.split_once(" = ") else { continue };
        for phrase in heard.split_whitespace() {
            rows.insert(
                phrase.split('_').map(str::to_owned).collect(),
                meant.split_whitespace().map(str::to_owned).collect(),
            );
        }
    }
    by_first(rows)
});

struct Classes {
    phrases: Phrases<String>,
    keep: HashSet<String>,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let (mut rows, mut keep) = (HashMap::new(), HashSet::new());
    for row in table(include_str!("classes.txt")) {
        let Some((name, members)) = row.split_once(": ") else { continue };
        for member in members.split_whitespace() {
            let mut words = normalise(&member.replace('_', " "));
            if words.is_empty() {
                words.push(member.to_owned());
            }
            if name == "keep" {
                keep.extend(words);
            } else {
                rows.entry(words).or_insert_with(|| format!("<{name}>"));
            }
        }
    }
    Classes { phrases: by_first(rows), keep }
});

fn table(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#")
}

fn by_first<T>(rows: HashMap<Vec<String>, T>) -> Phrases<T> {
    let mut found: Phrases<T> = HashMap::new();
    for (words, value) in rows {
        if let Some(first) = words.first() {
            found.entry(first.clone()).or_default().push((words, value));
        }
    }
    for list in found.values_mut() {
        list.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    }
    found
}

/// The longest phrase that `words` begin with: how many words it has, and what stands for it.
fn longest<'a, T>(phrases: &'a Phrases<T>, words: &[String]) -> Option<(usize, &'a T)> {
    let list = phrases.get(words.first()?)?;
    list.iter().find(|(phrase, _)| words.starts_with(phrase)).map(|(phrase, value)| (phrase.len(), value))
}

/// Lower-case words; "#" for one with a digit.
fn tokens(text: &str) -> Vec<String> {
    let (mut out, mut word) = (Vec::new(), String::new());
    for c in text.chars().take(HEARD_TEXT_MAX).flat_map(char::to_lowercase).chain([' ']) {
        let c = if c == '\u{2019}' { '\'' } else { c };
        if c.is_alphanumeric() || c == '\'' {
            word.push(c);
            continue;
        }
        let plain = word.trim_matches('\'');
        if plain.bytes().any(|b| b.is_ascii_digit()) {
            out.push("#".to_owned());
        } else if !plain.is_empty() {
            out.push(plain.to_owned());
        }
        word.clear();
    }
    out
}

/// The words of a turn, contractions written out, names that were misheard or spelled put right.
pub(super) fn normalise(text: &str) -> Vec<String> {
    let words = tokens(text);
    let (mut out, mut at) = (Vec::with_capacity(words.len()), 0);
    while at < words.len() {
        match longest(&LEXICON, &words[at..]) {
            Some((count, meant)) => {
                out.extend(meant.iter().cloned());
                at += count;
            }
            None => {
                out.push(words[at].clone());
                at += 1;
            }
        }
    }
    out
}

/// Normalised words as classes between `<s>` and `</s>`: `<make>`, `<crm>`; `<x>` for what is in none.
pub(super) fn classes(words: &[String]) -> Vec<&str> {
    let (mut out, mut at) = (vec!["<s>"], 0);
    while at < words.len() {
        if let Some((count, name)) = longest(&CLASSES.phrases, &words[at..]) {
            out.push(name);
            at += count;
            continue;
        }
        let word = if CLASSES.keep.contains(&words[at]) { words[at].as_str() } else { "<x>" };
        if word != "<x>" || out.last() != Some(&"<x>") {
            out.push(word);
        }
        at += 1;
    }
    out.push("</s>");
    out
}

/// Whether a word is one of the small ones that sentences are made of.
pub(super) fn is_plain(word: &str) -> bool {
    CLASSES.keep.contains(word)
}

/// FNV-1a, 32 bits, of the words with a blank between.
pub(super) fn hash(kind: &str, parts: &[&str]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut add = |text: &str| {
        for byte in text.bytes() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    add(kind);
    for part in parts {
        add(" ");
        add(part);
    }
    hash
}

/// 24 bits.
fn key(kind: &str, parts: &[&str]) -> u32 {
    hash(kind, parts) & 0x00ff_ffff
}

/// Keys of 24 bits and values; the values' squares sum to one.
pub(super) fn features(words: &[String]) -> Vec<(u32, f32)> {
    let mut found: BTreeMap<u32, f32> = BTreeMap::new();
    let mut add = |key: u32, value: f32| {
        let known = found.entry(key).or_default();
        *known = known.max(value);
    };
    let mut edged = vec!["<s>"];
    edged.extend(words.iter().map(String::as_str));
    edged.push("</s>");
    for (kind, count) in [("w1", 1), ("w2", 2)] {
        edged.windows(count).for_each(|gram| add(key(kind, gram), 1.0));
    }
    let stream = classes(words);
    for (kind, count) in [("c1", 1), ("c2", 2), ("c3", 3)] {
        stream.windows(count).for_each(|gram| add(key(kind, gram), 1.0));
    }
    let inner = &stream[1..stream.len() - 1];
    let marks: Vec<&str> =
        inner.iter().copied().filter(|t| *t != "<x>" && !FILLING.contains(t)).take(MARKS_MAX).collect();
    for (at, first) in marks.iter().enumerate() {
        marks[at + 1..].iter().for_each(|second| add(key("p", &[first, second]), 0.5));
    }
    for word in words.iter().filter(|word| word.chars().count() >= 3 && !CLASSES.keep.contains(*word)) {
        let letters: Vec<char> = format!("_{word}_").chars().collect();
        for count in 3..=5 {
            for gram in letters.windows(count) {
                add(key("h", &[&gram.iter().collect::<String>()]), 0.7);
            }
        }
    }
    let length = found.values().map(|value| value * value).sum::<f32>().sqrt();
    found.into_iter().map(|(key, value)| (key, value / length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        normalise(text).join(" ")
    }

    #[test]
    fn what_was_misheard_is_put_right() {
        for (heard, meant) in [
            ("a see our em", "a crm"),
            ("Sea are em, please", "crm please"),
            ("A.P.I. keys", "api keys"),
            ("an e commerce site", "an onlineshop"),
            ("a block chain", "a blockchain"),
            ("dash board", "dashboard"),
            ("I don’t want 3 of them", "i do not want # of them"),
            ("what's up", "what is up"),
        ] {
            assert_eq!(plain(heard), meant, "{heard}");
        }
        assert_eq!(classes(&normalise("build me a dash board with Zanzibar flowers")).join(" "), {
            "<s> <make> me a <dash> with <x> </s>"
        });
    }
}
