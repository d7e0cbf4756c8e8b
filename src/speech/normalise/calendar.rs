//! Dates and times of day. Pure. Deliberately absent: what day it is, time zones beyond their letters.

use super::cardinal::{cardinal, is_digits, ordinal, plural, small, year};
use super::token::Token;
use super::{DateOrder, Reading, Said};

const MONTHS: [(&str, &str); 12] = [
    ("January", "Jan"),
    ("February", "Feb"),
    ("March", "Mar"),
    ("April", "Apr"),
    ("May", "May"),
    ("June", "Jun"),
    ("July", "Jul"),
    ("August", "Aug"),
    ("September", "Sep"),
    ("October", "Oct"),
    ("November", "Nov"),
    ("December", "Dec"),
];
const DAYS: [(&str, &str); 11] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Tues", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Thur", "Thursday"),
    ("Thurs", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
    ("Sept", "September"),
];
/// Words before a year that no month stands before.
const YEAR_WORDS: [&str; 8] = ["in", "since", "until", "till", "year", "spring", "summer", "winter"];

/// The month that a word names, as it is said.
fn month(token: &Token) -> Option<&'static str> {
    MONTHS
        .iter()
        .find(|(full, short)| token.body == *full || token.body == *short)
        .map(|(full, _)| *full)
        .or_else(|| (token.body == "Sept").then_some("September"))
}

/// 1 to 31, also "3rd".
fn day(text: &str) -> Option<u64> {
    let digits = ["st", "nd", "rd", "th"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    small(digits).filter(|day| (1..=31).contains(day) && digits.len() <= 2)
}

fn four_digit_year(text: &str) -> Option<u64> {
    small(text).filter(|year| text.len() == 4 && (1000..2100).contains(year))
}

/// Several words that are one date: "3 March 2026", "March 3, 2026", "3rd of March", "Jan. 5", "in 2026".
pub(super) fn words(before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let body = |n: usize| rest.get(n).map(|token| token.body.as_str()).unwrap_or_default();
    let unmarked = |n: usize| rest.get(n).is_some_and(|token| token.mark.is_none());
    let first = rest.first()?;
    let with_year = |mut said: Vec<Said>| {
        let at = said.len();
        let ended = rest[at - 1].mark.is_some_and(|mark| ".!?;".contains(mark)) && month(&rest[at - 1]).is_none();
        if let Some(n) = four_digit_year(body(at)).filter(|_| !ended) {
            said.push(Said::from(year(n)));
        }
        said
    };
    if let Some(n) = day(&first.body) {
        if unmarked(0)
            && let Some(name) = rest.get(1).and_then(month)
        {
            // "the 3 March" and "3 March" are said alike.
            let the = if before.is_some_and(|before| before.body.eq_ignore_ascii_case("the")) { "" } else { "the " };
            return Some(with_year(vec![Said::from(format!("{the}{} of", ordinal(n))), Said::quiet(name)]));
        }
        if unmarked(0)
            && body(1) == "of"
            && let Some(name) = rest.get(2).and_then(month)
        {
            return Some(with_year(vec![Said::from(ordinal(n)), Said::from("of"), Said::quiet(name)]));
        }
        return None;
    }
    if let Some(name) = month(first) {
        // "May 3" is a date where "May" is written like a month.
        let plain = first.mark.is_none() || first.mark == Some('.');
        if let Some(n) = day(body(1)).filter(|_| plain) {
            return Some(with_year(vec![Said::quiet(name), Said::from(ordinal(n))]));
        }
        if plain && four_digit_year(body(1)).is_some() {
            return Some(with_year(vec![Said::quiet(name)]));
        }
        // An abbreviation alone: "since Jan." (but not "may", "mar").
        return (first.body != name).then(|| vec![Said::quiet(name)]);
    }
    if let Some((_, name)) = DAYS.iter().find(|(short, _)| first.body == *short) {
        // "Sat" and "Sun" are words too: only with their full stop, or a comma and a date after it.
        let dated = first.mark == Some(',')
            && rest.get(1).is_some_and(|next| month(next).is_some() || day(&next.body).is_some());
        return (first.mark == Some('.') || dated).then(|| vec![Said::quiet(name)]);
    }
    let introduced = before.is_some_and(|before| YEAR_WORDS.contains(&before.body.to_ascii_lowercase().as_str()));
    let counted = unmarked(0) && body(1).ends_with('s') && body(1).starts_with(|c: char| c.is_ascii_lowercase());
    let n = four_digit_year(&first.body).filter(|n| introduced && !counted && (1800..2100).contains(n))?;
    Some(vec![Said::from(year(n))])
}

/// One word: "2026-03-05", "2026-03-05T14:30", "03/04/2026", "3.4.2026", "1990s", "2024-2026".
pub(super) fn date(body: &str, order: DateOrder) -> Option<String> {
    if let Some((date, time)) = body.split_once('T') {
        let clock = time.trim_end_matches('Z');
        return Some(format!("{}, {}", iso(date)?, self::time(clock)?));
    }
    if let Some(said) = iso(body) {
        return Some(said);
    }
    if let Some(decade) = body.strip_suffix('s').filter(|digits| is_digits(digits) && digits.ends_with('0')) {
        let n = small(decade).filter(|n| matches!(decade.len(), 2 | 4) && *n >= 20)?;
        return Some(plural(&if decade.len() == 4 { year(n) } else { cardinal(n) }));
    }
    if let Some((from, to)) = body.split_once('-') {
        let plausible = |text: &str| four_digit_year(text).filter(|n| (1800..2100).contains(n));
        if let (Some(from), Some(to)) = (plausible(from), plausible(to)) {
            return Some(format!("{} to {}", year(from), year(to)));
        }
    }
    let dots = body.contains('.');
    let parts: Vec<&str> = body.split(if dots { '.' } else { '/' }).collect();
    let [a, b, c] = parts[..] else { return None };
    let full = match c.len() {
        4 => four_digit_year(c)?,
        2 if !dots => 2000 + small(c)?,
        _ => return None,
    };
    let (a, b) = (small(a).filter(|_| a.len() <= 2)?, small(b).filter(|_| b.len() <= 2)?);
    // What cannot be a month is the day, whatever is declared; dots are written where the day comes first.
    let day_first = dots || a > 12 || (order == DateOrder::DayFirst && b <= 12);
    let (day, month) = if day_first { (a, b) } else { (b, a) };
    ((1..=31).contains(&day) && (1..=12).contains(&month)).then(|| in_full(full, month, day))
}

fn iso(body: &str) -> Option<String> {
    let parts: Vec<&str> = body.split('-').collect();
    let [y, m, d] = parts[..] else { return None };
    if (y.len(), m.len(), d.len()) != (4, 2, 2) {
        return None;
    }
    let (y, m, d) = (four_digit_year(y)?, small(m)?, small(d)?);
    ((1..=12).contains(&m) && (1..=31).contains(&d)).then(|| in_full(y, m, d))
}

fn in_full(y: u64, month: u64, day: u64) -> String {
    // Callers have checked the month.
    let name = MONTHS[(month.clamp(1, 12) - 1) as usize].0;
    format!("{name} {}, {}", ordinal(day), year(y))
}

/// A time of day: "14:30", "9:05", "2:05pm", "2pm", "10:30:15", "10:30-11:00".
pub(super) fn time(body: &str) -> Option<String> {
    if let Some((from, to)) = body.split_once('-')
        && (from.contains(':') || to.contains(':') || to.ends_with('m') || to.ends_with('M'))
    {
        let from = time(from).or_else(|| small(from).filter(|h| *h <= 24).map(cardinal))?;
        return Some(format!("{from} to {}", time(to)?));
    }
    let lower = body.to_ascii_lowercase();
    let halves = [("a.m", "A M"), ("p.m", "P M"), ("am", "A M"), ("pm", "P M")];
    if let Some((clock, half)) = halves.iter().find_map(|(end, half)| Some((lower.strip_suffix(end)?, half))) {
        let said = match small(clock) {
            Some(hour) if (1..=12).contains(&hour) => cardinal(hour),
            _ => clock_time(clock, true)?,
        };
        return Some(format!("{said} {half}"));
    }
    clock_time(&lower, false)
}

fn clock_time(text: &str, halved: bool) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) || parts[1..].iter().any(|part| part.len() != 2) || parts[0].len() > 2 {
        return None;
    }
    let (h, m) = (small(parts[0])?, small(parts[1])?);
    let s = parts.get(2).map_or(Some(0), |s| small(s))?;
    if h > 24 || m > 59 || s > 60 {
        return None;
    }
    let said = match m {
        0 if halved => cardinal(h),
        0 if h > 12 => format!("{} hundred", cardinal(h)),
        0 => format!("{} o'clock", cardinal(h)),
        1..=9 => format!("{} oh {}", cardinal(h), cardinal(m)),
        _ => format!("{} {}", cardinal(h), cardinal(m)),
    };
    Some(match s {
        0 => said,
        1 => format!("{said} and one second"),
        s => format!("{said} and {} seconds", cardinal(s)),
    })
}
