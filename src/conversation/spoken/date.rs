//! Days. Purpose: what day a caller means, as far as the words say. Pure.
//!
//! Reads "the third of march", "march third", "march the third twenty twenty six", "tuesday the fourth of may", "next
//! friday", "tomorrow". Deliberately absent: today's date, so nothing is placed in a calendar here.

use super::number::{number, ordinal, take, year};

pub(in crate::conversation) const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
pub(in crate::conversation) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weekday(
    /// 0 is Monday, 6 Sunday.
    pub u8,
);

/// A day as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpokenDate {
    /// "tomorrow", counted from today.
    DaysAhead(u8),
    /// "tuesday", "next friday".
    Weekday {
        /// Which.
        weekday: Weekday,
        /// "next".
        next: bool,
    },
    /// "the third of march twenty twenty six".
    Day {
        /// 1–31, possible in that month.
        day: u8,
        /// 1–12.
        month: u8,
        /// When it was said, 1001–2999.
        year: Option<u16>,
    },
}

/// The day that all of `words` name.
#[must_use]
pub fn date(words: &[&str]) -> Option<SpokenDate> {
    let words = words.strip_prefix(&["on"]).or_else(|| words.strip_prefix(&["by"])).unwrap_or(words);
    match words {
        ["today"] => return Some(SpokenDate::DaysAhead(0)),
        ["tomorrow"] => return Some(SpokenDate::DaysAhead(1)),
        ["the", "day", "after", "tomorrow"] => return Some(SpokenDate::DaysAhead(2)),
        _ => {}
    }
    let (next, words) = match words {
        ["next", rest @ ..] => (true, rest),
        ["this" | "coming", rest @ ..] => (false, rest),
        _ => (false, words),
    };
    if let Some((first, rest)) = words.split_first()
        && let Some(weekday) = WEEKDAYS.iter().position(|name| name == first)
    {
        // "tuesday the fourth of may": the weekday only repeats the day.
        return match rest {
            [] => Some(SpokenDate::Weekday { weekday: Weekday(weekday as u8), next }),
            _ if next => None,
            _ => day(rest),
        };
    }
    if next { None } else { day(words) }
}

fn day(words: &[&str]) -> Option<SpokenDate> {
    let words = words.strip_prefix(&["the"]).unwrap_or(words);
    if let Some(month) = words.first().and_then(|word| month(word)) {
        let rest = &words[1..];
        let rest = rest.strip_prefix(&["the"]).unwrap_or(rest);
        let (number, taken) = ordinal(rest).or_else(|| cardinal(rest))?;
        return finish(number, month, &rest[taken..]);
    }
    let (number, taken) = ordinal(words).or_else(|| cardinal(words))?;
    let rest = &words[taken..];
    let rest = rest.strip_prefix(&["of"]).unwrap_or(rest);
    let month = month(rest.first()?)?;
    finish(number, month, &rest[1..])
}

/// "march three": one to thirty one, so that a year after it stays a year.
fn cardinal(words: &[&str]) -> Option<(u64, usize)> {
    super::number::below_hundred(words).filter(|(value, _)| (1..=31).contains(value))
}

fn month(word: &str) -> Option<u8> {
    MONTHS.iter().position(|name| *name == word).map(|at| at as u8 + 1)
}

fn finish(day: u64, month: u8, rest: &[&str]) -> Option<SpokenDate> {
    let day = u8::try_from(day).ok().filter(|day| (1..=LONGEST[usize::from(month) - 1]).contains(day))?;
    let year = if rest.is_empty() {
        None
    } else {
        let said = year(rest).or_else(|| take(rest).filter(|(_, taken)| *taken == rest.len()).and(number(rest)))?;
        Some(u16::try_from(said).ok().filter(|year| (1001..3000).contains(year))?)
    };
    Some(SpokenDate::Day { day, month, year })
}

#[cfg(test)]
mod tests {
    use super::super::number::{say, say_ordinal};
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<SpokenDate> {
        date(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn days_as_people_say_them() {
        let day = |day, month, year| Some(SpokenDate::Day { day, month, year });
        assert_eq!(read("the third of march"), day(3, 3, None));
        assert_eq!(read("march third"), day(3, 3, None));
        assert_eq!(read("march the third twenty twenty six"), day(3, 3, Some(2026)));
        assert_eq!(read("tuesday the fourth of may"), day(4, 5, None));
        assert_eq!(read("december thirty first two thousand and six"), day(31, 12, Some(2006)));
        assert_eq!(read("tomorrow"), Some(SpokenDate::DaysAhead(1)));
        assert_eq!(read("next friday"), Some(SpokenDate::Weekday { weekday: Weekday(4), next: true }));
        assert_eq!(read("on monday"), Some(SpokenDate::Weekday { weekday: Weekday(0), next: false }));
        for nothing in [
            "",
            "the",
            "the thirtieth of february",
            "march",
            "next march",
            "next tuesday the fourth of may",
            "the third",
        ] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_back(month in 1_u8..=12, day in 1_u8..=28, year in prop::option::of(1001_u16..3000), first in any::<bool>()) {
            let name = MONTHS[usize::from(month) - 1];
            let ordinal = say_ordinal(day.into());
            let mut said = if first { format!("{name} the {ordinal}") } else { format!("the {ordinal} of {name}") };
            if let Some(year) = year {
                said = format!("{said} {}", say(year.into()));
            }
            prop_assert_eq!(read(&said), Some(SpokenDate::Day { day, month, year }), "{}", said);
        }
    }
}
