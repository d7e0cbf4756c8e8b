//! Whatever in a turn may be one of its slots: sums, lengths of time, dates, counts, known names, words with a capital.
//!
//! Pure. Wide on purpose: `meant` judges which of them the caller wants of the thing. Invariant: each was said, between `from`
//! and `to`. Deliberately absent: features (`finder`).

use super::listed::{canonical_name, cued, given_up, is_denied, longest};
use super::names::{SYSTEMS, TECHNOLOGY};
use super::quantity::{
    Budget, DATES, EVENTS, OF_DATES, PEOPLE, Timeline, amount, currency, date, iso, length, money, ordinal, unit,
};
use super::title::named;
use super::token::{Token, before, joined, low};

/// A slot with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Budget(Budget),
    Timeline(Timeline),
    Scale(u64),
    Technology(String),
    Integration(String),
    Title(String),
}

impl Value {
    /// Whether it is that technology or system.
    fn names(&self, written: &str) -> bool {
        matches!(self, Self::Technology(name) | Self::Integration(name) if name == written)
    }
}

/// Words `from..to` that may say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) value: Value,
    /// What sort of value it is, for the judge.
    pub(super) about: String,
}

/// The smallest sum without a currency that is looked at.
const SUM_MIN: u64 = 200;
/// Words in a date, or in a name, at most.
const DATE_MAX: usize = 7;
const NAME_MAX: usize = 5;
/// What is about a name that is also a word, and stands like one.
pub(super) const WORD: &str = "word";
/// Said before a date.
const DATE_LEADS: &[&str] = &["by", "before", "until", "till", "in", "on", "for", "at", "due", "after", "from"];

/// All of them, in their order.
pub(super) fn candidates(tokens: &[Token]) -> Vec<Candidate> {
    let mut out = Vec::new();
    quantities(tokens, &mut out);
    dates(tokens, &mut out);
    known_names(tokens, &mut out);
    capitals(tokens, &mut out);
    out
}

fn quantities(tokens: &[Token], out: &mut Vec<Candidate>) {
    let mut k = 0;
    while k < tokens.len() {
        let mut add = |count: usize, value: Value, about: String| {
            out.push(Candidate { from: k, to: k + count, value, about });
        };
        if let Some((halves, count, unit)) = length(tokens, k)
            && let Some(value) = iso(halves, unit)
        {
            add(count, Value::Timeline(value), format!("{}{}", unit.0, unit.1));
            k += count;
            continue;
        }
        let Some((value, count)) = amount(tokens, k) else {
            // A sign stands before its sum.
            if let Some((budget, count)) = money(tokens, k) {
                let about = format!("said {}", digits(budget.cents / 100));
                add(count, Value::Budget(budget), about);
                k += count;
            } else {
                k += 1;
            }
            continue;
        };
        if let Some((budget, count)) = money(tokens, k).filter(|(_, more)| *more > count) {
            let about = format!("said {}", digits(budget.cents / 100));
            add(count, Value::Budget(budget), about);
            k += count;
            continue;
        }
        let next = low(tokens, k + count);
        if value >= SUM_MIN * 1000 && unit(next).is_none() && currency(next).is_none() {
            let last = low(tokens, k + count - 1);
            let round = if matches!(last, "grand" | "k" | "thousand" | "hundred") { last } else { "-" };
            let budget = Budget { cents: value / 10, currency: "USD" };
            add(count, Value::Budget(budget), format!("bare {round} {}", digits(value / 1000)));
        }
        if value >= 2000 && value.is_multiple_of(1000) {
            let noun = (0..3).map(|n| low(tokens, k + count + n)).take_while(|w| !matches!(*w, "," | "." | "" | "and"));
            let mut noun = noun.filter(|word| {
                PEOPLE.contains(word) || word.len() > 3 && word.ends_with('s') || matches!(*word, "of" | "strong")
            });
            let about = noun.next().unwrap_or("-").to_owned();
            add(count, Value::Scale(value / 1000), about);
        }
        k += count;
    }
}

/// How many digits a number has.
fn digits(value: u64) -> u32 {
    value.checked_ilog10().map_or(0, |log| log + 1)
}

fn dates(tokens: &[Token], out: &mut Vec<Candidate>) {
    // The grammar's own, and wider ones, which may begin before those.
    let (mut ruled_to, mut wide_to) = (0, 0);
    for k in 0..tokens.len() {
        let ruled = if k < ruled_to { None } else { date(tokens, k).map(|(_, count)| count) };
        let wide = if k < wide_to { None } else { dated(tokens, k) };
        ruled_to = ruled.map_or(ruled_to, |count| k + count);
        wide_to = wide.map_or(wide_to, |count| k + count);
        for count in [ruled, wide.filter(|_| wide != ruled)].into_iter().flatten() {
            let words: Vec<&str> = tokens[k..k + count].iter().map(|t| t.low.as_str()).collect();
            let value = Value::Timeline(Timeline::Text(words.join(" ")));
            out.push(Candidate { from: k, to: k + count, value, about: format!("date {}", low(tokens, k)) });
        }
    }
}

/// How many words from `k` on may be a date: "in September", "before Ash Wednesday", "2nd June", "by the feis in Dundalk".
fn dated(tokens: &[Token], k: usize) -> Option<usize> {
    let lead = usize::from(DATE_LEADS.contains(&low(tokens, k)));
    let urgent = matches!(low(tokens, k), "by" | "before" | "until" | "till");
    let day = |k: usize| {
        let word = low(tokens, k);
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        ordinal(word) && (digits.is_empty() || digits.parse().is_ok_and(|day: u8| (1..=31).contains(&day)))
    };
    let (mut count, mut end, mut dated) = (lead, 0, false);
    while count < DATE_MAX {
        let at = k + count;
        let Some(token) = tokens.get(at).filter(|token| !token.is_pause()) else { break };
        let word = token.low.strip_suffix("'s").unwrap_or(&token.low);
        let of_day = day(at);
        let event = EVENTS.contains(&word) && lead > 0;
        // A name of several words: "by Corpus Christi"; "in September in React" names no day but September.
        let run = count > 0 && end == count && tokens[at - 1].is_capital() && !DATES.contains(&low(tokens, at - 1));
        let i = token.low == "i" || token.low.starts_with("i'");
        let capital = token.is_capital() && lead > 0 && !i && (!dated || run);
        if DATES.contains(&word) || of_day && (urgent || lead == 0) || event || capital {
            // A name alone is a day only where a term is.
            dated |= DATES.contains(&word) || event || urgent;
            end = count + 1;
        } else if !(OF_DATES.contains(&word)
            || matches!(word, "in" | "our" | "my" | "for") && end > 0
            || urgent && matches!(low(tokens, k + 1), "the" | "our" | "my"))
        {
            break;
        }
        count += 1;
    }
    let only_lead = end <= lead;
    let months = (k..k + end).any(|k| DATES.contains(&low(tokens, k)));
    // "May I", "march on".
    let verb = end == 1 && matches!(low(tokens, k), "may" | "march");
    (dated && !only_lead && !verb && (lead > 0 || months)).then_some(end)
}

fn known_names(tokens: &[Token], out: &mut Vec<Candidate>) {
    let mut k = 0;
    while k < tokens.len() {
        let names = TECHNOLOGY.iter().chain(SYSTEMS);
        let best = names.filter_map(|name| Some((longest(tokens, k, name)?, name))).max_by_key(|(count, _)| *count);
        let Some((count, name)) = best else {
            k += 1;
            continue;
        };
        let tech = TECHNOLOGY.iter().any(|known| known.written == name.written);
        // "How do people react to it?"
        let word = name.ambiguous && !cued(tokens, k, count, name, tech);
        // A sentence begins with a capital, whatever its first word is.
        let first = matches!(before(tokens, k, 1), "" | ".");
        if matches!(before(tokens, k, 1), "not" | "no") {
            // "HubSpot, no, not HubSpot".
            out.retain(|known| !known.value.names(name.written));
        }
        if is_denied(tokens, k) || word && first {
            k += count;
            continue;
        }
        let sort = if word {
            WORD
        } else if given_up(tokens, k, count, name) {
            "given"
        } else if tech {
            "tech"
        } else {
            "system"
        };
        for value in [Value::Technology(name.written.to_owned()), Value::Integration(name.written.to_owned())] {
            out.push(Candidate { from: k, to: k + count, value, about: format!("{sort} {}", name.written) });
        }
        k += count;
    }
}

/// Names that no table has: runs of words with a capital, joined by "of", "and", "the".
fn capitals(tokens: &[Token], out: &mut Vec<Candidate>) {
    let stands = |k: usize| tokens.get(k).is_some_and(|t| t.is_capital() && !t.low.starts_with("i'") && t.low != "i");
    let mut k = 0;
    while k < tokens.len() {
        if !stands(k) {
            k += 1;
            continue;
        }
        let mut to = k + 1;
        while to - k < NAME_MAX {
            let joins =
                matches!(low(tokens, to), "of" | "and" | "the" | "on" | "in" | "for") && !tokens[to].is_capital();
            if stands(to) {
                to += 1;
            } else if joins && stands(to + 1) && to + 1 - k < NAME_MAX {
                to += 2;
            } else {
                break;
            }
        }
        if is_denied(tokens, k) {
            k = to;
            continue;
        }
        // The first word of a sentence has a capital anyway.
        let first = matches!(before(tokens, k, 1), "" | ".");
        let short = if first { "first" } else { "inner" };
        for from in k..=k + usize::from(first && to > k + 1 && stands(k + 1)) {
            let about = format!("{} {}", if from > k { "second" } else { short }, (to - from).min(3));
            let words = &tokens[from..to];
            let name = || {
                let name = joined(words, |t| &t.raw);
                let whole = ["'s", "'ll", "'d"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned);
                canonical_name(&whole.unwrap_or(name))
            };
            for value in [Value::Title(named(words)), Value::Integration(name()), Value::Technology(name())] {
                out.push(Candidate { from, to, value, about: about.clone() });
            }
        }
        k = to;
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let value = |candidate: Candidate| match candidate.value {
            Value::Budget(budget) => format!("{} {}", budget.cents / 100, budget.currency),
            Value::Timeline(timeline) => timeline.as_str().to_owned(),
            Value::Scale(count) => format!("{count} {}", candidate.about),
            Value::Technology(name) => format!("tech {name}"),
            Value::Integration(name) => format!("system {name}"),
            Value::Title(name) => format!("title {name}"),
        };
        candidates(&tokens).into_iter().map(value).collect()
    }

    #[test]
    fn whatever_may_be_meant() {
        for (text, found) in [
            ("three thousand would do", "3000 USD;3000 -"),
            ("it's $40 for two weeks", "40 USD;P2W"),
            ("we are twelve vans", "12 vans"),
            ("running by Anzac Day", "by anzac day;title Anzac Day;system Anzac Day;tech Anzac Day"),
            ("by the feis in Dundalk", "by the feis in dundalk;title Dundalk;system Dundalk;tech Dundalk"),
            ("2nd june, in april", "2nd june;in april"),
            ("may I have it", ""),
            ("a site in react", "tech React;system React"),
            ("we're Kerb Appeal", "title Kerb Appeal;system Kerb Appeal;tech Kerb Appeal"),
            ("", ""),
        ] {
            assert_eq!(read(text).join(";"), found, "{text}");
        }
    }
}
