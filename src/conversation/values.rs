//! Classes of spoken values for the training text: numbers, money, days, months, times, letters, names, and the sentences
//! that they stand in. Pure; made at start. Invariant: every member is read back by `spoken` (tested for numbers, money and
//! days). Deliberately absent: the agent's own subjects (`classes`).

use super::domain::{Class, Pattern};
use super::spoken::{ALPHABET, MONTHS, WEEKDAYS, say, say_ordinal};

/// First names that callers give; then family names.
#[rustfmt::skip]
const FIRST_NAMES: &[&str] = &[
    "john", "mary", "peter", "anna", "david", "sarah", "michael", "susan", "james", "linda", "robert", "karen", "tom", "lisa",
    "paul", "emma", "mark", "julia", "daniel", "laura", "frank", "helen", "george", "alice", "martin", "kate", "steve", "jane",
];
#[rustfmt::skip]
const FAMILY_NAMES: &[&str] = &[
    "smith", "jones", "brown", "miller", "johnson", "williams", "davis", "wilson", "taylor", "clark", "baker", "carter",
    "cooper", "fisher", "green", "hill", "king", "lee", "lewis", "martin", "moore", "parker", "scott", "turner", "walker",
    "white", "wood", "young",
];

/// The names that the recogniser knows without their being spelled.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> = FIRST_NAMES.iter().chain(FAMILY_NAMES).map(|name| (*name).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn class(members: impl IntoIterator<Item = (String, f64)>) -> Class {
    members.into_iter().collect()
}

pub(super) fn even(members: &[&str]) -> Class {
    members.iter().map(|member| ((*member).to_owned(), 1.0)).collect()
}

/// Counts: small and round ones most.
fn numbers() -> Class {
    let weight = |n: u64| match n {
        2..=12 => 4.0,
        _ if n.is_multiple_of(100) => 3.0,
        _ if n.is_multiple_of(10) => 2.0,
        _ if n.is_multiple_of(5) => 1.0,
        _ => 0.35,
    };
    let round = (1..=9).flat_map(|n| [n * 100, n * 1000, n * 10_000, n * 100 + 50, n * 100 + 20]);
    let all = (1..100).chain(round).chain([120, 125, 175, 1200, 1500, 2500, 12_000, 15_000, 100_000, 1_000_000]);
    let mut members: Vec<(String, f64)> = all.map(|n| (say(n), weight(n))).collect();
    members.extend(["a hundred", "a thousand", "a couple of", "a few", "a dozen"].map(|said| (said.to_owned(), 2.0)));
    // As Americans say it, without the "and".
    members.extend((1..=9).map(|n| (format!("{} hundred {}", say(n), say(n * 10 % 90 + 10)), 1.0)));
    members
}

fn money() -> Class {
    let amounts =
        [5, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 80, 90, 100, 120, 150, 200, 250, 300, 400, 450, 500, 600, 800];
    let large = [1000, 1200, 1500, 2000, 2500, 3000, 5000, 8000, 10_000, 12_000, 15_000, 20_000, 50_000, 100_000];
    let mut members = Vec::new();
    for amount in amounts.into_iter().chain(large) {
        members.push((format!("{} dollars", say(amount)), 3.0));
        members.push((format!("{} euros", say(amount)), 1.0));
    }
    for (whole, cents) in [(5, 50), (9, 99), (12, 50), (14, 95), (19, 99), (29, 95), (49, 90), (99, 99)] {
        members.push((format!("{} {}", say(whole), say(cents)), 1.5));
        members.push((format!("{} dollars and {} cents", say(whole), say(cents)), 1.0));
    }
    members
}

fn ordinals() -> Class {
    class((1..=31).map(|n| (say_ordinal(n), 1.0)))
}

fn hours() -> Class {
    class((1..=12).map(|n| (say(n), 1.0)))
}

fn letters() -> Class {
    class(('a'..='z').map(|letter| (letter.to_string(), 1.0)))
}

fn years() -> Class {
    let pair = |year: u64| format!("{} {}", say(year / 100), say(year % 100));
    class([1975, 1980, 1984, 1990, 1995, 1999, 2010, 2015, 2019, 2020, 2024, 2025, 2026].map(|year| (pair(year), 1.0)))
}

/// The sentences, each with how many of the domain's it is worth.
pub(super) fn patterns() -> Vec<Pattern> {
    let (number, money, ordinal) = (numbers(), money(), ordinals());
    let (weekday, month, hour) = (even(&WEEKDAYS), even(&MONTHS), hours());
    let (first, family, letter) = (even(FIRST_NAMES), even(FAMILY_NAMES), letters());
    let day_part = even(&["", "", "morning", "afternoon", "evening"]);
    let when = even(&["on", "by", "for", "until", "before", "after", "since", "next", "this", "last", "it's", ""]);
    let on = even(&["on the", "by the", "the", "for the", "since the", "until the", "it's the"]);
    let made = even(&[
        "call me",
        "call me back",
        "let's meet",
        "we open",
        "we close",
        "i need it",
        "we start",
        "remind me",
        "i'll call",
        "we met",
        "they came",
        "can we talk",
        "the meeting is",
        "my appointment is",
        "please call",
        "it has to be ready",
        "",
    ]);
    let have = even(&[
        "we have",
        "i have",
        "there are",
        "we have about",
        "i've got",
        "we had",
        "we need",
        "i need",
        "about",
        "more than",
        "we get",
        "we sell",
        "we have room for",
        "there were",
        "they have",
        "it's",
        "we know",
        "i bought",
        "they sent",
    ]);
    let things = even(&[
        "customers",
        "contacts",
        "people",
        "deals",
        "companies",
        "employees",
        "clients",
        "orders",
        "calls a day",
        "notes",
        "users",
        "records",
        "members",
        "years",
        "days",
        "hours",
        "minutes",
        "weeks",
        "months",
        "percent",
        "rooms",
        "invoices",
        "customers in a spreadsheet",
        "people in the office",
        "calls a week",
        "of them",
        "people in the team",
    ]);
    let cost = even(&[
        "it costs",
        "it cost",
        "the price is",
        "they paid",
        "we paid",
        "the deal is worth",
        "a deal worth",
        "the invoice is for",
        "i owe them",
        "it's",
        "about",
        "for",
        "that's",
        "the bill was",
        "we charge",
        "the total is",
        "the order is for",
        "it was",
    ]);
    let period = even(&["", "", "", "a month", "a year", "an hour", "each", "in total", "a week", "please"]);
    let pattern =
        |parts: &[&Class], weight: f64| Pattern { parts: parts.iter().map(|part| (*part).clone()).collect(), weight };
    vec![
        pattern(&[&have, &number, &things], 160.0),
        pattern(&[&cost, &money, &period], 120.0),
        pattern(&[&even(&["it went up by", "it's down by", "plus", "about", ""]), &number, &even(&["percent"])], 12.0),
        pattern(&[&made, &when, &weekday, &day_part], 90.0),
        pattern(&[&made, &on, &ordinal, &even(&["of"]), &month], 60.0),
        pattern(&[&made, &even(&["on", "by", "", "for"]), &month, &even(&["the", ""]), &ordinal], 40.0),
        pattern(&[&even(&["on", "by", "since", "until"]), &weekday, &even(&["the"]), &ordinal], 20.0),
        pattern(&[&even(&["in", "since", "last", "next", "until", "they came in", "we started in"]), &month], 20.0),
        pattern(&[&even(&["in", "since", "we've been here since", "it was made in", "in the year"]), &years()], 15.0),
        pattern(
            &[
                &made,
                &even(&["at", "before", "after", "around", "from"]),
                &hour,
                &even(&["", "o'clock", "thirty", "fifteen", "a m", "p m"]),
            ],
            50.0,
        ),
        pattern(
            &[
                &made,
                &even(&["at", "at", "around"]),
                &even(&["half past", "a quarter past", "a quarter to", "ten past"]),
                &hour,
            ],
            30.0,
        ),
        pattern(&[&made, &weekday, &even(&["at"]), &hour, &even(&["", "thirty", "o'clock", "fifteen"])], 30.0),
        pattern(
            &[
                &even(&["my name is", "this is", "it's", "i'm", "i am", "here is", "hello this is", "the name is"]),
                &first,
                &family,
            ],
            60.0,
        ),
        pattern(&[&even(&["my name is", "mister", "missus", "the name is", "ask for", "call"]), &family], 30.0),
        pattern(
            &[
                &even(&["it's spelled", "it's", "that's", "you spell it", "spelled", "my name is", "i spell that"]),
                &letter,
                &letter,
                &letter,
                &letter,
                &letter,
            ],
            150.0,
        ),
        pattern(&[&letter, &even(&["as in", "for", "like"]), &even(&ALPHABET)], 20.0),
        pattern(
            &[
                &even(&["my number is", "my extension is", "extension", "it's", "the number is", "room", "code"]),
                &digit(),
                &digit(),
                &digit(),
                &digit(),
            ],
            60.0,
        ),
    ]
}

fn digit() -> Class {
    let mut members = class((0..10).map(|n| (say(n), 1.0)));
    members.push(("oh".to_owned(), 0.7));
    members
}

#[cfg(test)]
mod tests {
    use super::super::spoken;
    use super::*;

    #[test]
    fn members_are_read_back() {
        for (said, _) in numbers() {
            let words: Vec<&str> = said.split(' ').collect();
            let vague = said.starts_with("a ");
            assert!(vague || spoken::number(&words).is_some(), "{said}");
        }
        for (said, _) in money() {
            assert!(spoken::money(&said.split(' ').collect::<Vec<_>>()).is_some(), "{said}");
        }
        for (ordinal, _) in ordinals() {
            let said = format!("the {ordinal} of march");
            assert!(spoken::date(&said.split(' ').collect::<Vec<_>>()).is_some(), "{said}");
        }
        for (said, _) in years() {
            assert!(spoken::number(&said.split(' ').collect::<Vec<_>>()).is_some(), "{said}");
        }
    }

    #[test]
    fn words_are_plain() {
        for pattern in patterns() {
            assert!(pattern.weight > 0.0 && !pattern.parts.is_empty());
            for (phrase, weight) in pattern.parts.iter().flatten() {
                assert!(*weight > 0.0, "{phrase}");
                assert!(phrase.bytes().all(|b| b.is_ascii_lowercase() || b == b' ' || b == b'\''), "{phrase}");
            }
        }
    }
}
