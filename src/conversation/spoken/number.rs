//! Whole numbers in words. Purpose: counts, amounts, years, ordinals. Pure.
//!
//! Grammar: groups of hundreds scaled by "thousand", "million" and "billion", falling; "and" where people put it; "a
//! hundred"; hundreds up to 99 ("nineteen hundred"); and years, said as two pairs ("nineteen eighty four", "twenty oh six").
//! Deliberately absent: fractions, digits dictated one by one (`digits`).

/// Zero to nineteen.
pub const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// Tens by their number; there is no word for the first two.
pub const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(&str, u64); 3] = [("billion", 1_000_000_000), ("million", 1_000_000), ("thousand", 1000)];
const SMALL_ORDINALS: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
/// The largest number that [`say`] says and [`number`] reads: below a thousand billion.
pub(super) const NUMBER_MAX: u64 = 999_999_999_999;

/// The number that all of `words` say; `None` when they say none, or more than one.
#[must_use]
pub fn number(words: &[&str]) -> Option<u64> {
    match take(words) {
        Some((value, taken)) if taken == words.len() => Some(value),
        _ => year(words),
    }
}

/// The longest number at the start of `words` and how many words it has.
pub(super) fn take(words: &[&str]) -> Option<(u64, usize)> {
    let (mut total, mut at, mut scale_below) = (0_u64, 0, u64::MAX);
    loop {
        let joined = at > 0 && words.get(at) == Some(&"and");
        let start = at + usize::from(joined);
        let Some((group, taken)) = hundreds(&words[start..]) else { break };
        let end = start + taken;
        let scale =
            words.get(end).and_then(|word| SCALES.iter().find(|(name, _)| name == word)).map(|(_, scale)| *scale);
        match scale {
            // "two thousand three million" is no number; nor is "zero thousand".
            Some(scale) if scale < scale_below && group > 0 && !joined => {
                total += group * scale;
                scale_below = scale;
                at = end + 1;
            }
            // The last group, below every scale that was said.
            None if at == 0 || (scale_below > 1 && group > 0 && group < 1000) => {
                return Some((total + group, end));
            }
            _ => break,
        }
    }
    (at > 0).then_some((total, at))
}

/// Up to 9,999 by hundreds: "forty two", "a hundred", "nineteen hundred and five".
fn hundreds(words: &[&str]) -> Option<(u64, usize)> {
    let (first, mut at) = match words.first() {
        Some(&"a") if matches!(words.get(1), Some(&("hundred" | "thousand" | "million" | "billion"))) => (1, 1),
        _ => below_hundred(words)?,
    };
    if words.get(at) != Some(&"hundred") || first == 0 || (first > 9 && first % 10 == 0) {
        return Some((first, at));
    }
    at += 1;
    let joined = usize::from(words.get(at) == Some(&"and"));
    match below_hundred(&words[at + joined..]) {
        Some((rest, taken)) if rest > 0 => {
            let end = at + joined + taken;
            // "a hundred and two thousand": the two belongs to the hundred only when no scale of its own makes it more.
            Some((first * 100 + rest, end))
        }
        _ => Some((first * 100, at)),
    }
}

pub(super) fn below_hundred(words: &[&str]) -> Option<(u64, usize)> {
    let first = words.first()?;
    if let Some(small) = SMALL.iter().position(|word| word == first) {
        return Some((small as u64, 1));
    }
    let tens = TENS.iter().position(|word| !word.is_empty() && word == first)? as u64 * 10;
    match words.get(1).and_then(|word| SMALL[1..10].iter().position(|unit| unit == word)) {
        Some(unit) => Some((tens + unit as u64 + 1, 2)),
        None => Some((tens, 1)),
    }
}

/// A year in two pairs, 1001–2099: "nineteen eighty four", "twenty twenty six", "nineteen oh six".
pub(super) fn year(words: &[&str]) -> Option<u64> {
    let (century, taken) = below_hundred(words)?;
    if !(10..=20).contains(&century) || taken != 1 {
        return None;
    }
    let rest = &words[1..];
    let rest = match rest {
        ["oh" | "o", unit] => below_hundred(&[*unit]).filter(|(unit, _)| (1..10).contains(unit))?.0,
        _ => below_hundred(rest).filter(|(pair, taken)| *taken == rest.len() && *pair >= 10)?.0,
    };
    Some(century * 100 + rest)
}

/// The ordinal at the start of `words`, 1–99, and how many words it has: "third", "twenty first".
#[must_use]
pub fn ordinal(words: &[&str]) -> Option<(u64, usize)> {
    let first = words.first()?;
    if let Some(small) = SMALL_ORDINALS[1..].iter().position(|word| word == first) {
        return Some((small as u64 + 1, 1));
    }
    if let Some(tens) = (2..10).find(|tens| tenth(*tens) == **first) {
        return Some((tens as u64 * 10, 1));
    }
    let tens = TENS.iter().position(|word| !word.is_empty() && word == first)? as u64 * 10;
    let unit = words.get(1).and_then(|word| SMALL_ORDINALS[1..10].iter().position(|unit| unit == word))?;
    Some((tens + unit as u64 + 1, 2))
}

fn tenth(tens: usize) -> String {
    format!("{}ieth", TENS[tens].trim_end_matches('y'))
}

/// A number in words, as [`number`] reads it back; digits above 999,999,999,999.
#[must_use]
pub fn say(n: u64) -> String {
    if n > NUMBER_MAX {
        return n.to_string();
    }
    if n == 0 {
        return SMALL[0].to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut rest = n;
    for (name, scale) in SCALES {
        if rest >= scale {
            words.push(say_below_thousand(rest / scale));
            words.push(name.to_owned());
            rest %= scale;
        }
    }
    if rest > 0 {
        if rest < 100 && !words.is_empty() {
            words.push("and".to_owned());
        }
        words.push(say_below_thousand(rest));
    }
    words.join(" ")
}

fn say_below_thousand(n: u64) -> String {
    let below_hundred = |n: u64| match n {
        0..=19 => SMALL[n as usize].to_owned(),
        _ if n.is_multiple_of(10) => TENS[n as usize / 10].to_owned(),
        _ => format!("{} {}", TENS[n as usize / 10], SMALL[n as usize % 10]),
    };
    match (n / 100, n % 100) {
        (0, rest) => below_hundred(rest),
        (hundreds, 0) => format!("{} hundred", SMALL[hundreds as usize % 10]),
        (hundreds, rest) => format!("{} hundred and {}", SMALL[hundreds as usize % 10], below_hundred(rest)),
    }
}

/// An ordinal in words, 1–99; digits outside.
#[must_use]
pub fn say_ordinal(n: u64) -> String {
    match n {
        1..=19 => SMALL_ORDINALS[n as usize].to_owned(),
        20..=99 if n.is_multiple_of(10) => tenth(n as usize / 10),
        20..=99 => format!("{} {}", TENS[n as usize / 10], SMALL_ORDINALS[n as usize % 10]),
        _ => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<u64> {
        number(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn numbers_as_people_say_them() {
        for (said, value) in [
            ("four hundred and twenty", 420),
            ("four hundred twenty", 420),
            ("a hundred", 100),
            ("a thousand", 1000),
            ("one thousand two hundred", 1200),
            ("twelve hundred", 1200),
            ("nineteen hundred and five", 1905),
            ("nineteen eighty four", 1984),
            ("twenty twenty six", 2026),
            ("twenty oh six", 2006),
            ("two thousand and six", 2006),
            ("three million", 3_000_000),
            ("a hundred and two thousand", 102_000),
            ("zero", 0),
            ("ninety nine", 99),
        ] {
            assert_eq!(read(said), Some(value), "{said}");
        }
        for no_number in
            ["", "and", "hundred", "five five", "twenty twelve hundred", "two thousand three million", "five and"]
        {
            assert_eq!(read(no_number), None, "{no_number}");
        }
    }

    #[test]
    fn ordinals() {
        assert_eq!(ordinal(&["third"]), Some((3, 1)));
        assert_eq!(ordinal(&["twenty", "first", "of"]), Some((21, 2)));
        assert_eq!(ordinal(&["thirtieth"]), Some((30, 1)));
        assert_eq!(ordinal(&["twenty", "one"]), None);
        for n in 1..100 {
            let said = say_ordinal(n);
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(ordinal(&words), Some((n, words.len())), "{said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_back(n in prop_oneof![0..2000_u64, 0..=NUMBER_MAX]) {
            prop_assert_eq!(read(&say(n)), Some(n), "{}", say(n));
        }

        #[test]
        fn any_words_are_taken(words in prop::collection::vec(
            prop::sample::select(vec!["a", "and", "one", "ten", "twenty", "hundred", "thousand", "million", "oh", "x"]), 0..8)) {
            let _ = number(&words);
            let _ = ordinal(&words);
        }
    }
}
