//! Which words of an order name what the thing shall have, by what such words stand among: tags from trained weights.
//!
//! Pure; some microseconds a word. `models/intent_features.py` trains it on turns of people who name features no table knows
//! ("attorney bios", "seat selection"). Each word is outside, the first or a further word of a feature, and what speaks for it
//! depends on whether a list goes on; what may be a feature is weighed again as a whole (`span`), and those spans are found that
//! are probable enough. Invariants: the same, word for word, as the trainer reads a turn (test `as_trained`); no span begins or ends
//! at a hyphen.
//! Deliberately absent: what is refused (`listed`).

use super::super::vectorise::hash;
use super::listed::{is_feature_word, kind};
use super::span::probable;
use super::token::{Token, is_tied};

/// What one step of a weight is worth (`f32`), then tag by tag within a bucket, 8 bits each; behind [`CHAIN_END`] what `span` reads.
pub(super) static WEIGHTS: &[u8] = include_bytes!("finder.bin");
const SCALE: f64 = f32::from_le_bytes([WEIGHTS[0], WEIGHTS[1], WEIGHTS[2], WEIGHTS[3]]) as f64;
const HEAD: usize = 4;
const BUCKETS: usize = 131_072;
const TAGS: usize = 3;
pub(super) const CHAIN_END: usize = HEAD + BUCKETS * TAGS;
/// The thing that is spoken of, by the first of its words.
#[rustfmt::skip]
const THINGS: &[(&str, &[&str])] = &[
    ("c", &["crm", "crms", "client", "clients", "customer", "customers", "tracker"]),
    ("w", &["website", "site", "homepage", "page", "landing", "webpage"]),
    ("s", &["shop", "store", "webshop", "ecommerce", "marketplace", "storefront"]),
    ("a", &["api", "apis", "endpoint", "endpoints", "service", "microservice", "backend", "interface", "graphql", "rest"]),
    ("d", &["dashboard", "dashboards", "board", "chart", "charts", "graphs", "cockpit", "panel", "figures", "numbers"]),
    ("b", &["blockchain", "contract", "token", "nft", "nfts", "coin", "chain", "dapp", "ledger", "crypto"]),
    ("m", &["mockup", "mock", "sketch", "wireframe", "draft", "prototype", "layout", "draw", "component", "button", "screen", "form", "modal"]),
    ("e", &["add", "put", "drop", "remove", "rename", "swap", "throw", "stick", "instead"]),
];
/// Stand between the features of a list, beside pauses, "and" and words that say nothing.
#[rustfmt::skip]
const JOINTS: &[&str] = &[
    "a", "an", "the", "my", "our", "their", "his", "her", "your", "some", "any", "each", "every", "its", "wee", "little", "nice",
    "proper", "big", "simple", "also", "just", "maybe", "um", "uh", "er", "please", "then", "oh", "like", "you", "know", "plus",
];
/// A span is found that is more probable than this; one that the product knows by name, than this.
const ENOUGH: f64 = 0.45;
const ENOUGH_KNOWN: f64 = 0.2;
/// What is longer than so many words is no feature.
pub(super) const LONGEST: usize = 9;
/// Less than any sum of weights.
const NEVER: f64 = -1e4;

const OUTSIDE: usize = 0;
// What has been before a word: no feature yet, the first word of one, a further one, a feature and only joints behind it, a feature
// and something else. A tag that is not outside is the state behind it.
const NONE: usize = 0;
const FIRST: usize = 1;
const FURTHER: usize = 2;
const JOINED: usize = 3;
const PAST: usize = 4;
const STATES: usize = 5;

type Scores = [i32; TAGS];

fn add(scores: &mut Scores, feature: &str, parts: &[&str]) {
    let at = HEAD + hash(feature, parts) as usize % BUCKETS * TAGS;
    for (score, weight) in scores.iter_mut().zip(&WEIGHTS[at..at + TAGS]) {
        *score += i32::from(weight.cast_signed());
    }
}

/// Ends a piece of a list.
fn parts(word: &str) -> bool {
    matches!(word, "," | "." | "and" | "or")
}

/// The thing that a word names.
fn thing(word: &str) -> Option<&'static str> {
    THINGS.iter().find(|(_, words)| words.contains(&word)).map(|(key, _)| *key)
}

/// The last `count` letters.
pub(super) fn ending(word: &str, count: usize) -> &str {
    word.char_indices().rev().nth(count - 1).map_or(word, |(at, _)| &word[at..])
}

/// The first `count` letters.
fn beginning(word: &str, count: usize) -> &str {
    word.char_indices().nth(count).map_or(word, |(at, _)| &word[..at])
}

/// The state behind a word that is outside.
fn outside(before: usize, joint: bool) -> usize {
    match before {
        NONE => NONE,
        FIRST | FURTHER | JOINED if joint => JOINED,
        _ => PAST,
    }
}

/// Where each word's piece begins, and one past its end.
fn pieces(splits: impl Fn(usize) -> bool, count: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut first, mut end) = (vec![0; count], vec![0; count]);
    for k in 0..count {
        first[k] = if k > 0 && !splits(k) && !splits(k - 1) { first[k - 1] } else { k };
    }
    for k in (0..count).rev() {
        end[k] = if k + 1 < count && !splits(k) && !splits(k + 1) { end[k + 1] } else { k + 1 };
    }
    (first, end)
}

/// Spans of words that name features, in their order; words that are `used` are in none.
pub(super) fn spans(tokens: &[Token], used: &[bool]) -> Vec<(usize, usize)> {
    let count = tokens.len();
    let tied = |k: usize| is_tied(tokens, k);
    // The words of "check-in" and "do-not-mail flag" are as one: they neither open nor close nor part anything.
    let inside: Vec<bool> = (0..count).map(|k| tied(k) || tied(k + 1)).collect();
    let splits = |k: usize| parts(&tokens[k].low) && !inside[k];
    let plain = |(k, token): (usize, &Token)| match kind(&token.low) {
        sign @ ("K" | "s") => sign,
        sign => {
            if inside[k] {
                "x"
            } else {
                sign
            }
        }
    };
    let kinds: Vec<&str> = tokens.iter().enumerate().map(plain).collect();
    let at = |from: usize, by: isize| from.checked_add_signed(by);
    let edge = |k: Option<usize>| if k.is_none() { "<" } else { ">" };
    let w = |k: Option<usize>| k.and_then(|k| tokens.get(k)).map_or(edge(k), |token| token.low.as_str());
    let c = |k: Option<usize>| k.and_then(|k| kinds.get(k)).copied().unwrap_or(edge(k));
    let (first, end) = pieces(splits, count);
    let thing = tokens.iter().find_map(|token| thing(&token.low)).unwrap_or("-");
    let (mut opened, mut opener, mut since) = ("", "", 0);
    let mut chain = Vec::with_capacity(count);
    for i in 0..count {
        let word = tokens[i].low.as_str();
        let (c0, c1, c2) = (kinds[i], c(at(i, -1)), c(at(i, -2)));
        let (d1, d2) = (c(at(i, 1)), c(at(i, 2)));
        let behind = end[i] + 1;
        let left = match first[i].checked_sub(2) {
            None => 9,
            Some(k) if splits(k) => 0,
            Some(k) => (k + 1 - first[k]).min(4),
        };
        let right = match behind {
            _ if behind >= count => 9,
            _ if splits(behind) => 0,
            _ => (end[behind] - behind).min(4),
        };
        let (left, right) = (digit(left), digit(right));
        let length = digit((end[i] - first[i]).min(7));
        let (into, to_go) = (digit((i - first[i]).min(6)), digit((end[i] - 1 - i).min(6)));
        let (w1, v1) = (w(at(i, -1)), w(at(i, 1)));
        let opens = tokens[first[i]].low.as_str();
        let mut alone: Scores = [0; TAGS];
        let mut see = |feature: &str, words: &[&str]| add(&mut alone, feature, words);
        see("a", &[word]);
        see("b", &[w1]);
        see("c", &[v1]);
        see("d", &[c0]);
        see("e", &[c1, c0]);
        see("f", &[c0, d1]);
        see("g", &[c2, c1, c0]);
        see("h", &[c0, d1, d2]);
        see("i", &[c1, c0, d1]);
        see("j", &[w(at(i, -2)), w1]);
        see("k", &[w1, c0]);
        see("l", &[v1, w(at(i, 2))]);
        see("m", &[ending(word, 3)]);
        see("n", &[ending(word, 2)]);
        see("o", &[c2, c1, c0, d1, d2]);
        see("p", &[into, to_go]);
        see("q", &[length, c0]);
        see("r", &[w(at(first[i], -1)), w(Some(end[i])), length]);
        see("s", &[left, length, right]);
        see("t", &[opener]);
        see("u", &[opened, c0]);
        see("v", &[thing, c0]);
        see("w", &[thing, word]);
        see("x", &[thing, opener]);
        see("y", &[word, v1]);
        see("z", &[w1, word]);
        see("1", &[w(at(i, -2))]);
        see("2", &[w(at(i, 2))]);
        see("3", &[opens, into]);
        see("4", &[w(Some(end[i] - 1)), to_go]);
        see("5", &[ending(word, 4)]);
        see("6", &[beginning(word, 4)]);
        see("7", &[opener, digit(since.min(8))]);
        see("8", &[w(at(first[i], -1)), opens, into]);
        see("9", &[opens, w(at(first[i], 1))]);
        let joint = !inside[i] && (tokens[i].is_pause() || matches!(c0, "&" | "E") || JOINTS.contains(&word));
        let is_used = |k: usize| used.get(k).is_some_and(|used| *used);
        let closed = tokens[i].is_pause() || is_used(i);
        let bound = tied(i) && !closed && !is_used(i - 1);
        let mut link = Link { says: [[NEVER; TAGS]; STATES], joint };
        for (before, name) in ["0", "1", "2", "3", "4"].into_iter().enumerate() {
            let mut chained = alone;
            add(&mut chained, "A", &[c0, name]);
            add(&mut chained, "B", &[word, name]);
            add(&mut chained, "C", &[c1, c0, name]);
            add(&mut chained, "D", &[name]);
            add(&mut chained, "E", &[length, name]);
            add(&mut chained, "F", &[w1, name]);
            add(&mut chained, "G", &[c0, d1, name]);
            add(&mut chained, "H", &[thing, name]);
            add(&mut chained, "I", &[length, right, name]);
            for tag in [OUTSIDE, FIRST, FURTHER] {
                let goes_on = matches!(before, FIRST | FURTHER);
                let torn = bound && (tag == FIRST || tag == OUTSIDE && goes_on);
                let barred = tag == FURTHER && !goes_on || tag != OUTSIDE && closed || torn;
                if !barred {
                    link.says[before][tag] = f64::from(chained[tag]) * SCALE;
                }
            }
        }
        chain.push(link);
        since += 1;
        if matches!(c0, "O" | "C" | "R") {
            (opened, opener, since) = (c0, word, 0);
        } else if word == "." {
            (opened, opener, since) = ("", "", 0);
        }
    }
    let enough = |from: usize, to: usize| {
        let words: Vec<&str> = tokens[from..to].iter().map(|token| token.low.as_str()).collect();
        if is_feature_word(&words.join(" ")) { ENOUGH_KNOWN } else { ENOUGH }
    };
    most_probable(&probable(tokens, &kinds, &likely(&chain)), enough)
}

/// What speaks for each tag of a word, by the state before it.
struct Link {
    says: [[f64; TAGS]; STATES],
    joint: bool,
}

impl Link {
    /// What speaks for a tag behind a state, and the state that follows.
    fn step(&self, before: usize, tag: usize) -> (f64, usize) {
        (self.says[before][tag], if tag == OUTSIDE { outside(before, self.joint) } else { tag })
    }
}

/// The logarithm of the sum of what these are logarithms of.
fn summed(parts: &[f64]) -> f64 {
    let top = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + parts.iter().map(|part| (part - top).exp()).sum::<f64>().ln()
}

/// By first word and length less one: how probable it is that just these words are a feature, over all tags of all words.
fn likely(chain: &[Link]) -> Vec<[f64; LONGEST]> {
    let count = chain.len();
    let (mut before, mut behind) = (vec![[NEVER; STATES]; count + 1], vec![[0.0; STATES]; count + 1]);
    before[0][NONE] = 0.0;
    for (t, link) in chain.iter().enumerate() {
        let mut ways: [Vec<f64>; STATES] = Default::default();
        for (state, reached) in before[t].into_iter().enumerate() {
            for tag in [OUTSIDE, FIRST, FURTHER] {
                let (says, to) = link.step(state, tag);
                ways[to].push(reached + says);
            }
        }
        before[t + 1] = ways.map(|ways| if ways.is_empty() { NEVER } else { summed(&ways) });
    }
    let rest = |t: usize, state: usize, tags: &[usize], behind: &[[f64; STATES]]| {
        let way = |tag: &usize| {
            let (says, to) = chain[t].step(state, *tag);
            says + behind[t + 1][to]
        };
        summed(&tags.iter().map(way).collect::<Vec<f64>>())
    };
    for t in (0..count).rev() {
        behind[t] = std::array::from_fn(|state| rest(t, state, &[OUTSIDE, FIRST, FURTHER], &behind));
    }
    let mut out = vec![[0.0; LONGEST]; count];
    for (t, lengths) in out.iter_mut().enumerate() {
        let begins: [f64; STATES] = std::array::from_fn(|state| before[t][state] + chain[t].says[state][FIRST]);
        let mut inside = summed(&begins) - behind[0][NONE];
        for (more, length) in lengths.iter_mut().enumerate().take(count - t) {
            if more > 0 {
                inside += chain[t + more].says[if more == 1 { FIRST } else { FURTHER }][FURTHER];
            }
            let (state, after) = (if more > 0 { FURTHER } else { FIRST }, t + more + 1);
            let ends = if after < count { rest(after, state, &[OUTSIDE, FIRST], &behind) } else { 0.0 };
            *length = (inside + ends).exp();
        }
    }
    out
}

/// Of spans that do not overlap those that are together most probable, each of them more than it has to be.
fn most_probable(probable: &[[f64; LONGEST]], enough: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
    // Up to each word, what is gained, and the length of the span that ends there.
    let mut gained = vec![(0.0, 0)];
    for end in 1..=probable.len() {
        let mut best = (gained[end - 1].0, 0);
        for length in 1..=LONGEST.min(end) {
            let gain = gained[end - length].0 + probable[end - length][length - 1] - enough(end - length, end);
            if gain > best.0 {
                best = (gain, length);
            }
        }
        gained.push(best);
    }
    let (mut spans, mut end) = (Vec::new(), probable.len());
    while end > 0 {
        let length = gained[end].1;
        if length > 0 {
            spans.push((end - length, end));
        }
        end -= length.max(1);
    }
    spans.reverse();
    spans
}

pub(super) fn digit(count: usize) -> &'static str {
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][count.min(9)]
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    /// What the trainer itself finds in some orders: both read them in the same way.
    #[test]
    fn as_trained() {
        for line in include_str!("../../../../tests/fixtures/intents/features.txt").lines() {
            let (text, found) = line.split_once(" | ").unwrap();
            let tokens = tokens(text);
            let said: Vec<String> = spans(&tokens, &vec![false; tokens.len()])
                .into_iter()
                .map(|(from, to)| tokens[from..to].iter().map(|t| t.low.as_str()).collect::<Vec<_>>().join(" "))
                .collect();
            assert_eq!(said.join(","), found, "{text}");
        }
    }
}
