//! Dictated digits. Purpose: phone numbers, PINs, codes. Pure.
//!
//! Reads single digits, "oh", "double" and "triple", and pairs as people say them ("twenty three", "nineteen"). A lead-in
//! ("my number is", "it's") is passed over. Deliberately absent: letters among the digits.

use super::number::below_hundred;

/// Words before the digits, and between them, that are none.
const AROUND: [&str; 20] = [
    "my", "the", "number", "phone", "is", "it's", "it", "that's", "um", "uh", "okay", "so", "yes", "sure", "well",
    "please", "and", "then", "pin", "code",
];

/// The digits that `words` dictate; `None` when another word is among them or there are none.
#[must_use]
pub fn digits(words: &[&str]) -> Option<String> {
    let (mut found, mut at, mut repeat) = (String::new(), 0, 1);
    while let Some(word) = words.get(at) {
        let rest = &words[at..];
        match *word {
            "double" | "triple" => {
                // "double triple" is no digit.
                if repeat != 1 {
                    return None;
                }
                repeat = if *word == "double" { 2 } else { 3 };
                at += 1;
                continue;
            }
            "oh" | "o" | "nought" => found.push_str(&"0".repeat(repeat)),
            _ if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) => found.push_str(&word.repeat(repeat)),
            _ => match below_hundred(rest) {
                // "twenty three" is one pair, "forty" the pair "40".
                Some((value, taken)) if repeat == 1 || value < 10 => {
                    found.push_str(&value.to_string().repeat(repeat));
                    at += taken - 1;
                }
                None if repeat == 1 && AROUND.contains(word) => {}
                _ => return None,
            },
        }
        repeat = 1;
        at += 1;
    }
    (repeat == 1 && !found.is_empty()).then_some(found)
}

/// Digits as they are read back, in groups that one can hold in mind: threes, and four where three would leave one over.
/// "5551234567" is "five five five, one two three, four five six seven". Anything but digits is left out.
#[must_use]
pub fn groups(digits: &str) -> String {
    const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let words: Vec<&str> = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .filter_map(|digit| WORDS.get(usize::from(digit - b'0')).copied())
        .collect();
    let mut groups: Vec<String> = Vec::new();
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        let take = match rest.len() {
            4 => 4,
            // Two pairs rather than a three and a lone two would read oddly; five is three and two.
            n => n.min(3),
        };
        groups.push(rest[..take].join(" "));
        rest = &rest[take..];
    }
    groups.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        digits(&text.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn as_people_dictate() {
        assert_eq!(read("five five oh double four triple seven").as_deref(), Some("55044777"));
        assert_eq!(read("my number is one two three").as_deref(), Some("123"));
        assert_eq!(read("twenty three nineteen").as_deref(), Some("2319"));
        assert_eq!(read("oh one seven oh").as_deref(), Some("0170"));
        assert_eq!(read("42 7").as_deref(), Some("427"));
        for nothing in ["", "double", "five double", "double triple two", "five apples", "is my number"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn read_back_in_groups() {
        assert_eq!(groups("5551234567"), "five five five, one two three, four five six seven");
        assert_eq!(groups("4711"), "four seven one one");
        assert_eq!(groups("12345"), "one two three, four five");
        assert_eq!(groups(""), "");
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_what_was_heard(number in "[0-9]{1,20}") {
            prop_assert_eq!(read(&groups(&number).replace(',', "")), Some(number));
        }
    }
}
