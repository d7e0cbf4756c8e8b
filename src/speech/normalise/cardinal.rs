//! Numbers in words: how many, which one, digit by digit, years. Pure. Deliberately absent: what a number counts
//! (`quantity`, `calendar`, `telephone`).

use crate::conversation::spoken::{SMALL, TENS};

/// Digits of the largest number that is said as one.
const DIGITS_MAX: usize = 12;
/// Longer ones without separators are telephone numbers, accounts or codes.
const PLAIN_DIGITS_MAX: usize = 6;

/// 0 to below 10^15 in words.
pub(super) fn cardinal(n: u64) -> String {
    match n {
        0..20 => SMALL[n as usize].to_owned(),
        20..100 => match n % 10 {
            0 => TENS[(n / 10) as usize].to_owned(),
            unit => format!("{} {}", TENS[(n / 10) as usize], SMALL[unit as usize]),
        },
        100..1000 => match n % 100 {
            0 => format!("{} hundred", cardinal(n / 100)),
            rest => format!("{} hundred {}", cardinal(n / 100), cardinal(rest)),
        },
        _ => {
            let (unit, name) = match n {
                0..1_000_000 => (1_000, "thousand"),
                1_000_000..1_000_000_000 => (1_000_000, "million"),
                1_000_000_000..1_000_000_000_000 => (1_000_000_000, "billion"),
                _ => (1_000_000_000_000, "trillion"),
            };
            match n % unit {
                0 => format!("{} {name}", cardinal(n / unit)),
                rest => format!("{} {name} {}", cardinal(n / unit), cardinal(rest)),
            }
        }
    }
}

/// "first", "twenty second".
pub(super) fn ordinal(n: u64) -> String {
    let spoken = cardinal(n);
    let (head, last) = spoken.rsplit_once(' ').map_or(("", spoken.as_str()), |(head, last)| (head, last));
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        tens if tens.ends_with('y') => format!("{}ieth", tens.trim_end_matches('y')),
        other => format!("{other}th"),
    };
    if head.is_empty() { last } else { format!("{head} {last}") }
}

/// "two" → "twos", "sixty" → "sixties".
pub(super) fn plural(spoken: &str) -> String {
    match spoken.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if spoken.ends_with('x') => format!("{spoken}es"),
        None => format!("{spoken}s"),
    }
}

/// Digit by digit; anything else in `digits` is left out.
pub(super) fn by_digit(digits: &str) -> String {
    let words: Vec<&str> =
        digits.bytes().filter(u8::is_ascii_digit).map(|digit| SMALL[usize::from(digit - b'0')]).collect();
    words.join(" ")
}

/// A year as it is said: "nineteen oh five", "two thousand", "twenty twenty six".
pub(super) fn year(n: u64) -> String {
    let (head, tail) = (n / 100, n % 100);
    match (n, tail) {
        (2000..2010, _) | (0..1000, _) | (10_000.., _) => cardinal(n),
        (_, 0) if head % 10 == 0 => cardinal(n),
        (_, 0) => format!("{} hundred", cardinal(head)),
        (_, 1..10) => format!("{} oh {}", cardinal(head), cardinal(tail)),
        _ => format!("{} {}", cardinal(head), cardinal(tail)),
    }
}

/// Ports, rooms and house numbers: four digits in pairs where that is how people say them.
pub(super) fn in_pairs(digits: &str) -> String {
    match digits.len() {
        1..=3 if !digits.starts_with('0') || digits == "0" => small(digits).map_or_else(|| by_digit(digits), cardinal),
        4 if !digits.contains('0') || digits.ends_with("00") || &digits[2..3] != "0" => {
            let (head, tail) = digits.split_at(2);
            match (small(head), tail) {
                (Some(head), "00") if head >= 10 => format!("{} hundred", cardinal(head)),
                (Some(head), tail) if head >= 10 && !tail.starts_with('0') => {
                    format!("{} {}", cardinal(head), small(tail).map_or_else(|| by_digit(tail), cardinal))
                }
                _ => by_digit(digits),
            }
        }
        _ => by_digit(digits),
    }
}

/// Digits alone, at most six of them.
pub(super) fn small(text: &str) -> Option<u64> {
    (is_digits(text) && text.len() <= PLAIN_DIGITS_MAX).then(|| text.parse().ok()).flatten()
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// A number as it is written: separators of thousands, a fraction, a sign.
pub(super) fn amount(body: &str) -> Option<String> {
    if let Some(rest) = body.strip_prefix('-') {
        return unsigned(rest).map(|spoken| format!("minus {spoken}"));
    }
    unsigned(body)
}

fn unsigned(body: &str) -> Option<String> {
    match body.split_once('.') {
        Some((whole, part)) if is_digits(part) => {
            let whole = if whole.is_empty() { "zero".to_owned() } else { self::whole(whole)? };
            Some(format!("{whole} point {}", by_digit(part)))
        }
        Some(_) => None,
        None => whole(body),
    }
}

/// A whole number; "1,234" only with its commas at every third digit.
pub(super) fn whole(text: &str) -> Option<String> {
    let grouped = text.contains(',');
    if grouped {
        let mut groups = text.split(',');
        let first = groups.next()?;
        if !is_digits(first) || first.len() > 3 || !groups.all(|group| group.len() == 3 && is_digits(group)) {
            return None;
        }
    }
    let digits: String = text.chars().filter(|c| *c != ',').collect();
    if !is_digits(&digits) {
        return None;
    }
    let code = digits.len() > 1 && digits.starts_with('0');
    if code || digits.len() > DIGITS_MAX || (digits.len() > PLAIN_DIGITS_MAX && !grouped) {
        return Some(super::telephone::in_groups(&digits));
    }
    digits.parse().ok().map(cardinal)
}

/// "1/2", "3/4", "2/3": what people have a word for.
pub(super) fn fraction(over: &str, under: &str) -> Option<String> {
    let (n, d) = (small(over)?, small(under)?);
    let plural = if n == 1 { "" } else { "s" };
    let part = match d {
        _ if n == 0 || n >= d => return None,
        2 => return Some("one half".to_owned()),
        4 => format!("quarter{plural}"),
        3 | 5..=10 => format!("{}{plural}", ordinal(d)),
        _ => return None,
    };
    Some(format!("{} {part}", cardinal(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words() {
        for (n, said) in [
            (0, "zero"),
            (19, "nineteen"),
            (100, "one hundred"),
            (115, "one hundred fifteen"),
            (8_100, "eight thousand one hundred"),
            (1_000_000, "one million"),
            (2_000_001, "two million one"),
            (7_000_000_000, "seven billion"),
        ] {
            assert_eq!(cardinal(n), said);
        }
        for (n, said) in
            [(1, "first"), (12, "twelfth"), (20, "twentieth"), (22, "twenty second"), (100, "one hundredth")]
        {
            assert_eq!(ordinal(n), said);
        }
    }

    #[test]
    fn years_as_people_say_them() {
        for (n, said) in [
            (1066, "ten sixty six"),
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (2000, "two thousand"),
            (2007, "two thousand seven"),
            (2026, "twenty twenty six"),
        ] {
            assert_eq!(year(n), said);
        }
    }
}
