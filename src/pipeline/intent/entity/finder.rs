//! Which words of an order name what the thing shall have, by what such words stand among: tags from trained weights.
//!
//! Pure; some microseconds a word. `models/intent_features.py` trains it on turns of people who name features no table knows
//! ("attorney bios", "seat selection"). The best sequence of tags counts (outside, first word, further word); what a tag says
//! depends on whether a list goes on. Invariant: the same, word for word, as the trainer reads a turn (test `as_trained`).
//! Deliberately absent: what is refused (`listed`).

use super::super::vectorise::hash;
use super::listed::kind;
use super::token::Token;

/// Tag by tag within a bucket, 8 bits each.
static WEIGHTS: &[u8] = include_bytes!("finder.bin");
const BUCKETS: usize = 131_072;
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
/// Stand between the features of a list, beside pauses, "and" and words that say nothing.
#[rustfmt::skip]
const JOINTS: &[&str] = &[
    "a", "an", "the", "my", "our", "their", "his", "her", "your", "some", "any", "each", "every", "its", "wee", "little", "nice",
    "proper", "big", "simple", "also", "just", "maybe", "um", "uh", "er", "please", "then", "oh", "like", "you", "know", "plus",
];
/// Less than any sum of weights.
const NEVER: i32 = -1_000_000;

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
    let (mut opened, mut opener, mut since) = ("", "", 0);
    let mut score = [NEVER; STATES];
    score[NONE] = 0;
    let mut back: Vec<[usize; STATES]> = Vec::with_capacity(count);
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
        let joint = tokens[i].is_pause() || matches!(c0, "&" | "E") || JOINTS.contains(&word);
        let closed = tokens[i].is_pause() || used.get(i).is_some_and(|used| *used);
        let mut total = [NEVER; STATES];
        let mut from = [NONE; STATES];
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
                let barred = tag == FURTHER && !matches!(before, FIRST | FURTHER) || tag != OUTSIDE && closed;
                let sum = if barred { NEVER } else { (score[before] + chained[tag]).max(NEVER) };
                let state = if tag == OUTSIDE { outside(before, joint) } else { tag };
                if sum > total[state] {
                    (total[state], from[state]) = (sum, before);
                }
            }
        }
        (score, _) = (total, back.push(from));
        since += 1;
        if matches!(c0, "O" | "C" | "R") {
            (opened, opener, since) = (c0, word, 0);
        } else if word == "." {
            (opened, opener, since) = ("", "", 0);
        }
    }
    traced(&score, &back)
}

/// The spans of the best sequence.
fn traced(score: &[i32; STATES], back: &[[usize; STATES]]) -> Vec<(usize, usize)> {
    let mut state = (0..STATES).rev().max_by_key(|state| score[*state]).unwrap_or(NONE);
    let (mut spans, mut end) = (Vec::new(), None);
    for (i, from) in back.iter().enumerate().rev() {
        if matches!(state, FIRST | FURTHER) {
            let to = *end.get_or_insert(i + 1);
            if state == FIRST {
                spans.push((i, to));
                end = None;
            }
        }
        state = from[state];
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
