//! How people say what they want of software, of any kind: orders, changes, answers, questions about what is built, and talk
//! that wants nothing. Purpose: the patterns that the intent classifier learns from are text for the recogniser too, so that
//! it knows the words of what can be understood. Pure; made at start. Invariants: a pattern becomes a product of word
//! classes that says the same sentences; only lower-case words, what has figures is left out. Deliberately absent: the
//! CRM's own sentences (`domain`), what the patterns mean (`pipeline::intent`).

use super::domain::{Class, Pattern};
use std::collections::BTreeMap;

const FILES: [&str; 3] = [
    include_str!("../../models/intents_sentences.txt"),
    include_str!("../../models/intents_others.txt"),
    include_str!("../../models/intents_more.txt"),
];
/// The things that are built, and the lists of their names; a pattern of `build_all` stands for one of each.
const THINGS: [&str; 6] = ["$crm", "$site", "$shop", "$api", "$dash", "$chain"];
/// What a pattern counts where it does not say.
const COUNT: f64 = 6.0;
/// Members of one class.
const MEMBERS_MAX: usize = 400;

/// Phrases as they are written, by the name of their list.
type Lists<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// All patterns of the labels that `wanted` takes, each worth `weight` times what it counts.
pub(super) fn patterns(weight: f64, wanted: impl Fn(&str) -> bool) -> Vec<Pattern> {
    let lines = || FILES.into_iter().flat_map(str::lines).filter(|line| !line.starts_with('#'));
    let rows = || lines().filter_map(|line| line.split_once(':'));
    let lists: Lists<'_> =
        rows().filter_map(|(head, text)| Some((head.strip_prefix('$')?, text.trim().split('|').collect()))).collect();
    let mut found = Vec::new();
    for (head, text) in rows().filter(|(head, _)| !head.starts_with('$')) {
        let (label, count) = head.split_once(" *").unwrap_or((head, ""));
        if !wanted(label) {
            continue;
        }
        let weight = weight * count.trim().parse().unwrap_or(COUNT);
        let each = |text: &str| product(text, &lists).map(|parts| Pattern { parts, weight });
        if label == "build_all" {
            found.extend(THINGS.into_iter().filter_map(|name| each(&text.replace("$thing", name))));
        } else {
            found.extend(each(text));
        }
    }
    found
}

/// The classes of a pattern in their order; `None` when nothing of one of them can be said, or when words are glued together.
fn product(text: &str, lists: &Lists<'_>) -> Option<Vec<Class>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (class, after) = if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}')?;
            let mut class = Class::new();
            for part in inside.split('|') {
                class.extend(phrases(part, lists)?);
            }
            (class, after)
        } else if let Some(named) = rest.strip_prefix('$') {
            let end = named.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(named.len());
            (list(&named[..end], lists)?, &named[end..])
        } else {
            let end = rest.find(['{', '$']).unwrap_or(rest.len());
            (vec![(plain(&rest[..end])?, 1.0)], &rest[end..])
        };
        // "{design}s" is one word of two parts.
        let glued =
            after.starts_with(|c: char| c.is_alphanumeric() || c == '\'') && !rest.starts_with(char::is_alphanumeric);
        if class.is_empty() || glued {
            return None;
        }
        // What stands twice is said twice as often.
        let mut members: BTreeMap<String, f64> = BTreeMap::new();
        for (phrase, weight) in class {
            *members.entry(phrase).or_default() += weight;
        }
        parts.push(members.into_iter().collect());
        rest = after;
    }
    (!parts.is_empty()).then_some(parts)
}

/// What one alternative says: lists within it are written out.
fn phrases(text: &str, lists: &Lists<'_>) -> Option<Class> {
    let Some((before, named)) = text.split_once('$') else {
        return Some(plain(text).into_iter().map(|phrase| (phrase, 1.0)).collect());
    };
    let end = named.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(named.len());
    let before = plain(before)?;
    let (names, rest) = (list(&named[..end], lists)?, phrases(&named[end..], lists)?);
    let mut class = Class::new();
    // What a list says counts as one alternative together.
    for (name, share) in &names {
        for (rest, more) in rest.iter().take((MEMBERS_MAX / names.len()).max(1)) {
            let said = [before.as_str(), name, rest].join(" ");
            class.push((said.split_whitespace().collect::<Vec<_>>().join(" "), share * more / names.len() as f64));
        }
    }
    Some(class)
}

fn list(name: &str, lists: &Lists<'_>) -> Option<Class> {
    let class: Class = lists.get(name)?.iter().filter_map(|phrase| Some((plain(phrase)?, 1.0))).collect();
    (!class.is_empty()).then_some(class)
}

/// The words of a phrase; `None` when it has figures or foreign letters.
fn plain(phrase: &str) -> Option<String> {
    let words: String =
        phrase.chars().map(|c| if matches!(c, ',' | '.' | '?' | '!' | ':' | ';' | '-') { ' ' } else { c }).collect();
    let words = words.to_lowercase();
    let words: Vec<&str> = words.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    let sayable =
        words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'\''));
    sayable.then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists<'static> {
        BTreeMap::from([("me", vec!["", "me", "us"]), ("when", vec!["in 2019", "once"]), ("year", vec!["2019"])])
    }

    fn said(text: &str) -> Option<Vec<Vec<String>>> {
        let parts = product(text, &lists())?;
        Some(parts.iter().map(|class| class.iter().map(|(phrase, _)| phrase.clone()).collect()).collect())
    }

    #[test]
    fn a_pattern_is_a_product_of_classes() {
        let words = |parts: &[&[&str]]| {
            Some(parts.iter().map(|part| part.iter().map(|s| (*s).to_owned()).collect()).collect::<Vec<Vec<_>>>())
        };
        assert_eq!(
            said("Build $me a {CRM|T-shirt shop|}, please"),
            words(&[&["build"], &["", "me", "us"], &["a"], &["", "crm", "t shirt shop"], &["please"]])
        );
        assert_eq!(said("{for $me now|today}"), words(&[&["for me now", "for now", "for us now", "today"]]));
        // Figures are left out, and with them a pattern that has nothing else to say.
        assert_eq!(said("we met $when"), words(&[&["we met"], &["once"]]));
        for nothing in ["we met in 2019", "we met $year", "$nobody", "{build}s it", "$me's"] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_alternative_counts_once_however_much_it_says() {
        let parts = product("{for $me|today}", &lists()).expect("a product");
        let sum: f64 = parts[0].iter().filter(|(phrase, _)| phrase != "today").map(|(_, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn most_of_what_the_classifier_learns_can_be_said() {
        let all = patterns(1.0, |_| true);
        assert!(all.len() >= 900, "{}", all.len());
        for (phrase, weight) in all.iter().flat_map(|pattern| pattern.parts.iter().flatten()) {
            let plain = phrase.bytes().all(|b| b.is_ascii_lowercase() || b == b' ' || b == b'\'');
            assert!(plain && *weight > 0.0 && !phrase.contains("  ") && phrase.trim() == phrase, "{phrase:?}");
        }
        assert!(patterns(1.0, |label| label == "rollback").len() >= 3);
    }
}
