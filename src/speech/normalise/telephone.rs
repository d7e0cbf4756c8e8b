//! Telephone numbers and codes: digit by digit, in groups with a breath between them. Pure.
//!
//! A number is taken for a telephone number by its shape (`+` and seven digits, 3-3-4, 3-4, groups of digits side by side
//! that come to seven or more) and for a code by the word before it. Deliberately absent: numbering plans of countries.

use super::cardinal::{by_digit, is_digits};
use super::token::Token;
use super::{Reading, Said};

/// Words after which digits are a code, however few they are.
const CODE_WORDS: [&str; 14] = [
    "pin",
    "code",
    "passcode",
    "password",
    "otp",
    "account",
    "reference",
    "ref",
    "confirmation",
    "flight",
    "zip",
    "postcode",
    "serial",
    "id",
];
/// Fewest digits of a telephone number.
const TELEPHONE_DIGITS: usize = 7;
/// Most digits in one (E.164), with an international prefix.
const TELEPHONE_DIGITS_MAX: usize = 18;

/// Digits by groups: as written where there are separators, else as people split that many.
pub(super) fn in_groups(digits: &str) -> String {
    let sizes: &[usize] = match digits.len() {
        0..=4 => &[4],
        5 => &[2, 3],
        6 => &[3, 3],
        7 => &[3, 4],
        8 => &[4, 4],
        9 => &[3, 3, 3],
        10 => &[3, 3, 4],
        11 => &[1, 3, 3, 4],
        12 => &[3, 3, 3, 3],
        _ => &[4],
    };
    let mut groups = Vec::new();
    let mut rest = digits;
    for size in sizes.iter().copied().chain(std::iter::repeat(sizes[sizes.len() - 1])) {
        if rest.is_empty() {
            break;
        }
        let (group, tail) = rest.split_at(size.min(rest.len()));
        groups.push(by_digit(group));
        rest = tail;
    }
    groups.join(", ")
}

/// One word: "+15551234567", "555-0123", "(555)", "1-800-555-0199", "555.123.4567".
pub(super) fn word(body: &str) -> Option<String> {
    let (plus, rest) = match body.strip_prefix('+') {
        Some(rest) => ("plus ", rest),
        None => ("", body),
    };
    if !rest.chars().all(|c| c.is_ascii_digit() || "-.()/".contains(c)) {
        return None;
    }
    let groups: Vec<&str> = rest.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let digits: usize = groups.iter().map(|group| group.len()).sum();
    if !(TELEPHONE_DIGITS..=TELEPHONE_DIGITS_MAX).contains(&digits) {
        return None;
    }
    if groups.len() == 1 {
        return (!plus.is_empty()).then(|| format!("{plus}{}", in_groups(groups[0])));
    }
    // Two commas in a number are thousands, two dots may be a version; these have groups of their own sizes.
    let shape: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let national =
        matches!(shape[..], [3, 4] | [3, 3, 4] | [1, 3, 3, 4] | [4, 4] | [5, 6] | [4, 6] | [3, 4, 4] | [2, 4, 4]);
    if plus.is_empty() && !national {
        return None;
    }
    let said: Vec<String> = groups.iter().map(|group| by_digit(group)).collect();
    Some(format!("{plus}{}", said.join(", ")))
}

/// Several words that are one number: "+44 20 7946 0958", "(555) 123-4567", "555 123 4567".
pub(super) fn words(_before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let first = rest.first()?;
    let opens = first.body.starts_with('+') || (first.plain.starts_with('(') && is_digits(&first.body));
    if !opens && !is_digits(&first.body) {
        return None;
    }
    let mut total = 0;
    let mut groups = Vec::new();
    for token in rest {
        let body = if groups.is_empty() { token.body.trim_start_matches('+') } else { token.body.as_str() };
        let digits = body.bytes().filter(u8::is_ascii_digit).count();
        let short = opens || (2..=5).contains(&digits) && is_digits(body);
        let fits = digits > 0 && body.chars().all(|c| c.is_ascii_digit() || (opens && "-.()/".contains(c)));
        if !fits || !short || total + digits > TELEPHONE_DIGITS_MAX {
            break;
        }
        total += digits;
        groups.push((token, body));
        // A mark ends the number, whatever follows: "call 555 0123. 20 people …".
        if token.mark.is_some() {
            break;
        }
    }
    if groups.len() < 2 || total < TELEPHONE_DIGITS {
        return None;
    }
    let last = groups.len() - 1;
    let said = groups.iter().enumerate().map(|(n, (token, body))| {
        let parts: Vec<String> =
            body.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).map(by_digit).collect();
        let plus = if n == 0 && token.body.starts_with('+') { "plus " } else { "" };
        let breath = if n < last { "," } else { "" };
        Said::from(format!("{plus}{}{breath}", parts.join(", ")))
    });
    Some(said.collect())
}

/// "code 0042", "PIN 4711", "flight LH 438": the digits one by one.
pub(super) fn code(before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let token = rest.first()?;
    let named = before?.body.to_ascii_lowercase();
    let digits = is_digits(&token.body) && token.body.len() >= 3;
    (digits && CODE_WORDS.contains(&named.as_str())).then(|| vec![Said::from(in_groups(&token.body))])
}
