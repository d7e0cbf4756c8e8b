//! Which of the sums, times, counts and names of a turn its caller wants of the thing: "nine hundred to spend" and no "fifty pounds
//! a spoon", "up by Easter" and no "he's on holiday till Monday", "hook it up to Xero" and no "we had Salesforce, it was too dear".
//!
//! Pure; some microseconds a candidate. A logistic regression over what stands around a candidate and what the grammar
//! (`quantity`, `title`, `listed`) makes of it. `models/intent_slots.py` trains it on orders of people who saw nothing of the
//! product. Invariants: nothing that was not said is meant; one budget, time, count and name a turn at most. Deliberately absent:
//! what may be meant (`candidates`), features (`finder`).

use super::super::vectorise::hash;
use super::candidates::{Candidate, Value, WORD, candidates};
use super::title::named;
use super::token::{Token, joined, low};
use super::{Constraints, Entities};
use crate::limits::OPEN_POINTS_MAX;

/// What one step of a weight is worth (`f32`), then weights by bucket, 8 bits each.
static WEIGHTS: &[u8] = include_bytes!("meant.bin");
const SCALE: f64 = f32::from_le_bytes([WEIGHTS[0], WEIGHTS[1], WEIGHTS[2], WEIGHTS[3]]) as f64;
const HEAD: usize = 4;
const BUCKETS: usize = 32_768;
const _: () = assert!(WEIGHTS.len() == HEAD + BUCKETS);
/// What is about a name that only what leads to it shows ("our till"); too few of them train.
const LED: &str = "led";
/// What is as probable as this is meant.
const ENOUGH: f64 = 0.33;
/// The same of a name that may be but a word ("how do people react to it").
const ENOUGH_WORD: f64 = 0.6;
/// Words of the sentence that are looked at on either side.
const WORDS: usize = 8;

fn enough(candidate: &Candidate) -> f64 {
    match candidate.about.split(' ').next() {
        Some(LED) => 0.0,
        Some(WORD) if !matches!(candidate.value, Value::Scale(_)) => ENOUGH_WORD,
        _ => ENOUGH,
    }
}

/// The letter of a slot.
fn letter(value: &Value) -> &'static str {
    match value {
        Value::Budget(_) => "b",
        Value::Timeline(_) => "t",
        Value::Scale(_) => "s",
        Value::Technology(_) => "T",
        Value::Integration(_) => "i",
        Value::Title(_) => "n",
    }
}

/// What of `ruled`, which the grammar found, and of all else that may be meant is meant; marks its words.
pub(super) fn judged(tokens: &[Token], ruled: Entities, used: &mut [bool]) -> Entities {
    let all = with_ruled(tokens, &ruled);
    let takes: Vec<bool> = all.iter().map(|candidate| takes(&ruled, &candidate.value)).collect();
    let probable = probable(tokens, &all, &takes);
    let mut found = Entities::default();
    // The likeliest first; of two that are as likely the later. What has no name stays where the grammar found it.
    let mut order: Vec<usize> = (0..all.len()).filter(|n| probable[*n] >= enough(&all[*n])).collect();
    order.sort_by(|a, b| probable[*b].total_cmp(&probable[*a]).then(b.cmp(a)));
    let mut meant: Vec<usize> = Vec::new();
    for n in order {
        let Candidate { from, to, value, .. } = &all[n];
        // One of a kind but for lists; and words say one thing.
        let list = matches!(value, Value::Technology(_) | Value::Integration(_));
        let again = |m: &usize| {
            let other = &all[*m];
            other.from < *to && *from < other.to || !list && letter(&other.value) == letter(value)
        };
        if !meant.iter().any(again) {
            meant.push(n);
        }
    }
    meant.sort_unstable();
    for n in meant {
        let Candidate { from, to, value, .. } = &all[n];
        used[*from..*to].fill(true);
        let list = |list: &mut Vec<String>, name: &String| {
            if list.len() < OPEN_POINTS_MAX && !list.contains(name) {
                list.push(name.clone());
            }
        };
        match value {
            Value::Budget(budget) => found.constraints.budget = Some(budget.clone()),
            Value::Timeline(timeline) => found.constraints.timeline = Some(timeline.clone()),
            Value::Scale(count) => found.constraints.scale = Some(*count),
            Value::Technology(name) => list(&mut found.tech_stack, name),
            Value::Integration(name) => list(&mut found.integrations, name),
            Value::Title(name) => found.title = Some(name.clone()),
        }
    }
    // What it found by sound is no candidate, as nobody wrote it so.
    let beside = |value: Value| !all.iter().any(|candidate| candidate.value == value);
    for (names, into, value) in [
        (ruled.tech_stack, &mut found.tech_stack, Value::Technology as fn(String) -> Value),
        (ruled.integrations, &mut found.integrations, Value::Integration),
    ] {
        into.extend(names.into_iter().filter(|name| beside(value(name.clone()))));
        into.truncate(OPEN_POINTS_MAX);
    }
    // Nor are all that it found by a cue ("my budget is 150").
    let Constraints { budget, timeline, scale } = ruled.constraints;
    let said = &mut found.constraints;
    said.budget = said.budget.take().or(budget.filter(|value| beside(Value::Budget(value.clone()))));
    said.timeline = said.timeline.take().or(timeline.filter(|value| beside(Value::Timeline(value.clone()))));
    said.scale = said.scale.or(scale.filter(|value| beside(Value::Scale(*value))));
    found
}

/// Whether the grammar found that.
fn takes(ruled: &Entities, value: &Value) -> bool {
    match value {
        Value::Budget(budget) => ruled.constraints.budget.as_ref() == Some(budget),
        Value::Timeline(timeline) => ruled.constraints.timeline.as_ref() == Some(timeline),
        Value::Scale(count) => ruled.constraints.scale == Some(*count),
        Value::Technology(name) => ruled.tech_stack.contains(name),
        Value::Integration(name) => ruled.integrations.contains(name),
        Value::Title(name) => ruled.title.as_ref() == Some(name),
    }
}

/// What may be meant, with names that the grammar found by what leads to them.
fn with_ruled(tokens: &[Token], ruled: &Entities) -> Vec<Candidate> {
    let mut all = candidates(tokens);
    let known = |all: &[Candidate], value: &Value| all.iter().any(|candidate| candidate.value == *value);
    let at = |is: &dyn Fn(&[Token]) -> bool| {
        (0..tokens.len()).rev().find_map(|from| {
            (from + 1..=tokens.len().min(from + 6)).find(|to| is(&tokens[from..*to])).map(|to| (from, to))
        })
    };
    let mut names: Vec<(Value, Option<(usize, usize)>)> = Vec::new();
    if let Some(title) = &ruled.title {
        names.push((Value::Title(title.clone()), at(&|words| named(words) == *title)));
    }
    for name in &ruled.integrations {
        names.push((Value::Integration(name.clone()), at(&|words| joined(words, |t| &t.raw) == *name)));
    }
    for (value, span) in names {
        if let Some((from, to)) = span.filter(|_| !known(&all, &value)) {
            all.push(Candidate { from, to, value, about: LED.to_owned() });
        }
    }
    all.sort_by_key(|candidate| (candidate.from, candidate.to));
    all
}

/// How probable it is that each is meant; `ruled`: the grammar takes it.
pub(super) fn probable(tokens: &[Token], all: &[Candidate], ruled: &[bool]) -> Vec<f64> {
    (0..all.len())
        .map(|n| {
            let steps: i32 = seen(tokens, all, ruled, n)
                .into_iter()
                .map(|bucket| i32::from(WEIGHTS[HEAD + bucket].cast_signed()))
                .sum();
            1.0 / (1.0 + (-f64::from(steps) * SCALE).exp())
        })
        .collect()
}

/// The buckets of what is seen of candidate `n`.
fn seen(tokens: &[Token], all: &[Candidate], ruled: &[bool], n: usize) -> Vec<usize> {
    let Candidate { from, to, value, about } = &all[n];
    let (from, to) = (*from, *to);
    let kind = letter(value);
    let rule = if ruled[n] { "1" } else { "0" };
    let word = |k: Option<usize>| k.filter(|k| *k < tokens.len()).map_or("<>", |k| low(tokens, k));
    let back = |n: usize| word(from.checked_sub(n));
    let next = |n: usize| word(Some(to + n - 1));
    let same = |other: &&Candidate| letter(&other.value) == kind;
    let place = if all[n + 1..].iter().any(|other| same(&other)) { "more" } else { "last" };
    let first = if all[..n].iter().any(|other| same(&other)) { "then" } else { "first" };
    let taken = ruled.iter().zip(all).filter(|(ruled, other)| **ruled && same(other)).count();
    let rivals = if taken > usize::from(ruled[n]) { "rival" } else { "none" };
    let begin = (0..from).rev().find(|k| low(tokens, *k) == ".").map_or(0, |k| k + 1);
    let end = (to..tokens.len()).find(|k| low(tokens, *k) == ".").unwrap_or(tokens.len());
    let edges = [if begin == 0 { "a" } else { "-" }, if end + 1 >= tokens.len() { "z" } else { "-" }];
    let pauses = [
        if matches!(back(1), "," | "." | "<>") { "p" } else { "-" },
        if matches!(next(1), "," | "." | "<>") { "p" } else { "-" },
    ];
    let sort = about.split(' ').next().unwrap_or_default();
    let more = |other: &Candidate| match (&other.value, value) {
        (Value::Budget(other), Value::Budget(own)) => other.cents > own.cents,
        (Value::Scale(other), Value::Scale(own)) => other > own,
        _ => false,
    };
    let most = if all.iter().any(more) { "less" } else { "most" };
    let before_it = if begin >= 2 { low(tokens, begin - 2) } else { "<>" };
    let opens_next = if end + 1 < tokens.len() { low(tokens, end + 1) } else { "<>" };
    let mut out = Vec::with_capacity(48);
    let mut see = |name: &str, words: &[&str]| {
        let mut parts = vec![kind];
        parts.extend(words);
        out.push(hash(name, &parts) as usize % BUCKETS);
    };
    see("k", &[]);
    see("r", &[rule]);
    see("ra", &[rule, about]);
    see("a", &[about]);
    see("sr", &[sort, rule]);
    see("v", &[rule, place, first, rivals]);
    see("e", &[edges[0], edges[1], sort]);
    see("p", &[pauses[0], pauses[1], rule, sort]);
    see("m", &[most, place, sort]);
    see("q", &[before_it, edges[0]]);
    see("x", &[opens_next, edges[1]]);
    see("f", &[low(tokens, from)]);
    see("l", &[low(tokens, to - 1)]);
    for (name, words) in [
        ("b1", &[back(1)][..]),
        ("b2", &[back(2)]),
        ("b3", &[back(3)]),
        ("bb", &[back(2), back(1)]),
        ("ba", &[back(1), sort]),
        ("br", &[back(1), rule]),
        ("n1", &[next(1)]),
        ("n2", &[next(2)]),
        ("n3", &[next(3)]),
        ("nn", &[next(1), next(2)]),
        ("na", &[next(1), sort]),
        ("nr", &[next(1), rule]),
        ("bn", &[back(1), next(1)]),
        ("o", &[low(tokens, begin), low(tokens, begin + 1)]),
    ] {
        see(name, words);
    }
    let mut clause = "c";
    for k in (from.saturating_sub(WORDS).max(begin)..from).rev() {
        let word = low(tokens, k);
        see("<", &[word]);
        clause = if word == "," { "-" } else { clause };
        if clause == "c" {
            see("c<", &[word]);
        }
    }
    clause = "c";
    for k in to..end.min(to + WORDS) {
        let word = low(tokens, k);
        see(">", &[word]);
        clause = if word == "," { "-" } else { clause };
        if clause == "c" {
            see("c>", &[word]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::super::{by_grammar, canonical_name};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_beside_an_order_is_none_of_it() {
        for (text, found) in [
            ("We used Salesforce at my last firm and hated it, so build us a CRM with call notes.", json!({})),
            ("Visitors adopt an object on the website, fifty pounds a spoon, their name on a label.", json!({})),
            ("A shop for hammocks. Magento we tried, it was very slow.", json!({})),
            (
                "We'd pay three thousand for a client register, up and running by November.",
                json!({"budget": 3000, "timeline": "by november"}),
            ),
            ("A website for the flower show, and it's got to be up before July.", json!({"timeline": "before july"})),
            (
                "An API for the parcels, hooked up to Zendesk, in Python.",
                json!({"integrations": ["Zendesk"], "stack": ["Python"]}),
            ),
            ("A dashboard, please, that shows cars that have been sitting over a week.", json!({})),
            ("A CRM, my budget is 150.", json!({"budget": 150})),
            ("A shop, I need it for next week.", json!({"timeline": "next week"})),
            ("A shop with Stripe, no, not Stripe, with Klarna.", json!({"integrations": ["Klarna"]})),
        ] {
            let found_here = super::super::entities(text);
            let mut said = json!({});
            if let Some(budget) = found_here.constraints.budget {
                said["budget"] = json!(budget.cents / 100);
            }
            if let Some(timeline) = found_here.constraints.timeline {
                said["timeline"] = json!(timeline.as_str());
            }
            if !found_here.integrations.is_empty() {
                said["integrations"] = json!(found_here.integrations);
            }
            if !found_here.tech_stack.is_empty() {
                said["stack"] = json!(found_here.tech_stack);
            }
            assert_eq!(said, found, "{text}");
        }
    }

    /// Writes what the trainer learns from: of every turn of the file named by `CALLWRIGHT_TURNS` (label | text | slots) the
    /// candidates, each with its slot, what the grammar makes of it, whether it is meant, and its buckets.
    #[test]
    #[ignore = "for models/intent_slots.py"]
    #[allow(clippy::print_stdout, reason = "the trainer reads it")]
    fn for_the_trainer() {
        let Some(path) = std::env::var_os("CALLWRIGHT_TURNS") else { return };
        let turns = std::fs::read_to_string(path).unwrap();
        let mut author = "";
        for line in turns.lines() {
            if let Some(name) = line.strip_prefix("# -- author ") {
                author = name;
            }
            let mut parts = line.split(" |");
            let (Some(label), Some(text)) = (parts.next(), parts.next()) else { continue };
            let slots: Vec<(&str, &str)> =
                parts.flat_map(|slots| slots.split(';')).filter_map(|slot| slot.trim().split_once('=')).collect();
            let wanted: Vec<(&str, String)> = slots
                .iter()
                .flat_map(|(slot, values)| values.split(',').map(move |value| (*slot, value.trim().to_owned())))
                .filter(|(slot, _)| !matches!(*slot, "features" | "remove"))
                .collect();
            let means = |(slot, wanted): &(&str, String), value: &Value| match (value, *slot) {
                (Value::Budget(budget), "budget") => {
                    let (amount, currency) = wanted.split_once(' ').unwrap_or((wanted, ""));
                    amount.parse() == Ok(budget.cents / 100)
                        && (currency.is_empty() || budget.currency == "USD" || currency == budget.currency)
                }
                (Value::Timeline(timeline), "timeline") => {
                    timeline.as_str().eq_ignore_ascii_case(wanted)
                        || candidates(&tokens(wanted)).iter().any(|said| said.value == *value)
                }
                (Value::Scale(count), "scale") => wanted.parse() == Ok(*count),
                (Value::Technology(name), "stack") | (Value::Integration(name), "integrations") => {
                    canonical_name(wanted).to_lowercase() == name.to_lowercase()
                }
                (Value::Title(name), "title") => name.to_lowercase() == wanted.to_lowercase(),
                _ => false,
            };
            // As it was written, and as an ear that writes no capitals and no commas would have it.
            let heard = text.to_lowercase().replace([',', '.', '!', '?', ';', ':', '(', ')', '"'], " ");
            for text in [text.trim(), heard.trim()] {
                let words = tokens(text.trim());
                let ruled = by_grammar(&words, &mut vec![false; words.len()]);
                let all = with_ruled(&words, &ruled);
                let takes: Vec<bool> = all.iter().map(|candidate| takes(&ruled, &candidate.value)).collect();
                let rows: Vec<_> = (0..all.len())
                    .map(|n| {
                        let right = wanted.iter().any(|wanted| means(wanted, &all[n].value));
                        json!([
                            letter(&all[n].value),
                            format!("{:?}", all[n].value),
                            takes[n],
                            right,
                            [all[n].from, all[n].to],
                            seen(&words, &all, &takes, n),
                            enough(&all[n])
                        ])
                    })
                    .collect();
                let missed: Vec<_> = wanted
                    .iter()
                    .filter(|wanted| !all.iter().any(|candidate| means(wanted, &candidate.value)))
                    .map(|(slot, value)| json!([slot, value]))
                    .collect();
                println!("{}", json!({"author": author, "label": label, "text": text, "rows": rows, "missed": missed}));
            }
        }
    }
}
