//! Which words of an order name what the thing shall have, by what such words stand among: tags from trained weights.
//!
//! Pure; some microseconds a word. `models/intent_features.py` trains it on turns of people who name features no table knows
//! ("attorney bios", "seat selection"). The best sequence of tags counts (outside, first word, further word). Invariant: the
//! same, word for word, as the trainer reads a turn (test `as_trained`). Deliberately absent: what is refused (`listed`).

use super::super::vectorise::hash;
use super::listed::kind;
use super::token::Token;

/// Tag by tag within a bucket, 8 bits each.
static WEIGHTS: &[u8] = include_bytes!("finder.bin");
const BUCKETS: usize = 65_536;
const TAGS: usize = 3;
const _: () = assert!(WEIGHTS.len() == BUCKETS * TAGS);
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
/// Less than any sum of weights.
const NEVER: i32 = -1_000_000;

const OUTSIDE: usize = 0;
const FIRST: usize = 1;
const FURTHER: usize = 2;

type Scores = [i32; TAGS];

fn add(scores: &mut Scores, feature: &str, parts: &[&str]) {
    let at = hash(feature, parts) as usize % BUCKETS * TAGS;
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
fn ending(word: &str, count: usize) -> &str {
    word.char_indices().rev().nth(count - 1).map_or(word, |(at, _)| &word[at..])
}

/// Where each word's piece begins, and one past its end.
fn pieces(tokens: &[Token]) -> (Vec<usize>, Vec<usize>) {
    let count = tokens.len();
    let (mut first, mut end) = (vec![0; count], vec![0; count]);
    let splits = |k: usize| parts(&tokens[k].low);
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
    let kinds: Vec<&str> = tokens.iter().map(|token| kind(&token.low)).collect();
    let count = tokens.len();
    let at = |from: usize, by: isize| from.checked_add_signed(by);
    let edge = |k: Option<usize>| if k.is_none() { "<" } else { ">" };
    let w = |k: Option<usize>| k.and_then(|k| tokens.get(k)).map_or(edge(k), |token| token.low.as_str());
    let c = |k: Option<usize>| k.and_then(|k| kinds.get(k)).copied().unwrap_or(edge(k));
    let (first, end) = pieces(tokens);
    let thing = tokens.iter().find_map(|token| thing(&token.low)).unwrap_or("-");
    let (mut opened, mut opener) = ("", "");
    let mut score: Scores = [0, NEVER, NEVER];
    let mut back: Vec<[usize; TAGS]> = Vec::with_capacity(count);
    for i in 0..count {
        let word = tokens[i].low.as_str();
        let (c0, c1, c2) = (kinds[i], c(at(i, -1)), c(at(i, -2)));
        let (d1, d2) = (c(at(i, 1)), c(at(i, 2)));
        let behind = end[i] + 1;
        let left = match first[i].checked_sub(2) {
            None => 9,
            Some(k) if parts(&tokens[k].low) => 0,
            Some(k) => (k + 1 - first[k]).min(4),
        };
        let right = match tokens.get(behind) {
            None => 9,
            Some(token) if parts(&token.low) => 0,
            Some(_) => (end[behind] - behind).min(4),
        };
        let length = digit((end[i] - first[i]).min(7));
        let mut alone: Scores = [0; TAGS];
        let mut see = |feature: &str, words: &[&str]| add(&mut alone, feature, words);
        see("a", &[word]);
        see("b", &[w(at(i, -1))]);
        see("c", &[w(at(i, 1))]);
        see("d", &[c0]);
        see("e", &[c1, c0]);
        see("f", &[c0, d1]);
        see("g", &[c2, c1, c0]);
        see("h", &[c0, d1, d2]);
        see("i", &[c1, c0, d1]);
        see("j", &[w(at(i, -2)), w(at(i, -1))]);
        see("k", &[w(at(i, -1)), c0]);
        see("l", &[w(at(i, 1)), w(at(i, 2))]);
        see("m", &[ending(word, 3)]);
        see("n", &[ending(word, 2)]);
        see("o", &[c2, c1, c0, d1, d2]);
        see("p", &[digit((i - first[i]).min(6)), digit((end[i] - 1 - i).min(6))]);
        see("q", &[length, c0]);
        see("r", &[w(at(first[i], -1)), w(Some(end[i])), length]);
        see("s", &[digit(left), length, digit(right)]);
        see("t", &[opener]);
        see("u", &[opened, c0]);
        see("v", &[thing, c0]);
        see("w", &[thing, word]);
        see("x", &[thing, opener]);
        let mut total: Scores = [NEVER; TAGS];
        let mut from = [OUTSIDE; TAGS];
        for (before, name) in ["0", "1", "2"].into_iter().enumerate() {
            let mut chained = alone;
            add(&mut chained, "A", &[c0, name]);
            add(&mut chained, "B", &[word, name]);
            add(&mut chained, "C", &[c1, c0, name]);
            add(&mut chained, "D", &[name]);
            for tag in [OUTSIDE, FIRST, FURTHER] {
                let barred = tag == FURTHER && before == OUTSIDE
                    || tag != OUTSIDE && (tokens[i].is_pause() || used.get(i).is_some_and(|used| *used));
                let sum = if barred { NEVER } else { (score[before] + chained[tag]).max(NEVER) };
                if sum > total[tag] {
                    (total[tag], from[tag]) = (sum, before);
                }
            }
        }
        (score, _) = (total, back.push(from));
        if matches!(c0, "O" | "C" | "R") {
            (opened, opener) = (c0, word);
        } else if word == "." {
            (opened, opener) = ("", "");
        }
    }
    traced(&score, &back)
}

/// The spans of the best sequence.
fn traced(score: &Scores, back: &[[usize; TAGS]]) -> Vec<(usize, usize)> {
    let mut tag = (0..TAGS).rev().max_by_key(|tag| score[*tag]).unwrap_or(OUTSIDE);
    let (mut spans, mut end) = (Vec::new(), None);
    for (i, from) in back.iter().enumerate().rev() {
        if tag != OUTSIDE {
            let to = *end.get_or_insert(i + 1);
            if tag == FIRST {
                spans.push((i, to));
                end = None;
            }
        }
        tag = from[tag];
    }
    spans.reverse();
    spans
}

fn digit(count: usize) -> &'static str {
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
