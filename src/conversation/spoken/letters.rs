//! Spelled words. Purpose: names that no recogniser can know. Pure.
//!
//! Reads letters one by one, "double t", a word for a letter ("b as in bravo", "b for bravo", "bravo" of the radio
//! alphabet), and digits among them. Where word and letter disagree the word wins: it is longer, so it is heard better.
//! Deliberately absent: guessing a spelling from a sound.

/// The radio alphabet (ITU Radio Regulations, appendix 14), letter by letter.
pub const ALPHABET: [&str; 26] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima",
    "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray",
    "yankee", "zulu",
];
/// Words that recognisers write for letters.
const NAMES: [(&str, char); 9] = [
    ("zee", 'z'),
    ("zed", 'z'),
    ("alfa", 'a'),
    ("juliett", 'j'),
    ("whisky", 'w'),
    ("are", 'r'),
    ("you", 'u'),
    ("why", 'y'),
    ("see", 'c'),
];
const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const AROUND: [&str; 14] =
    ["it's", "it", "is", "that's", "spelled", "my", "name", "um", "uh", "then", "and", "capital", "letter", "with"];

/// The word that `words` spell, lower case; `None` when another word is among them or fewer than two characters come of it.
#[must_use]
pub fn letters(words: &[&str]) -> Option<String> {
    let (mut spelled, mut at, mut repeat) = (String::new(), 0, 1);
    while let Some(word) = words.get(at) {
        if *word == "double" && repeat == 1 {
            repeat = 2;
            at += 1;
            continue;
        }
        let Some(said) = character(word) else {
            if repeat == 1 && AROUND.contains(word) {
                at += 1;
                continue;
            }
            return None;
        };
        // "b as in bravo", "b for bravo", "b like boy": the word says which.
        let (letter, taken) = match &words[at + 1..] {
            ["as", "in", example, ..] => (initial(example)?, 4),
            ["for" | "like", example, ..] => (initial(example)?, 3),
            _ => (said, 1),
        };
        for _ in 0..repeat {
            spelled.push(letter);
        }
        repeat = 1;
        at += taken;
    }
    (repeat == 1 && spelled.len() >= 2).then_some(spelled)
}

/// The name that `words` give: spelled, or said and spelled ("smith, s m i t h": the spelling wins), or only said. Upper
/// case at the start of each word; `None` when there is nothing.
#[must_use]
pub fn name(words: &[&str]) -> Option<String> {
    let words = lead_in(words);
    // The longest spelling at the end counts.
    let spelled = (0..words.len()).find_map(|from| letters(&words[from..]));
    let said = || -> Option<String> {
        (!words.is_empty()).then(|| words.iter().map(|word| capitalised(word)).collect::<Vec<_>>().join(" "))
    };
    spelled.map(|word| capitalised(&word)).or_else(said)
}

/// "my name is", "it's", "this is": passed over.
fn lead_in<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    const LEADS: [&[&str]; 8] = [
        &["my", "name", "is"],
        &["the", "name", "is"],
        &["i", "am"],
        &["i'm"],
        &["it's"],
        &["it", "is"],
        &["this", "is"],
        &["call", "it"],
    ];
    LEADS.iter().find_map(|lead| words.strip_prefix(*lead)).unwrap_or(words)
}

fn character(word: &str) -> Option<char> {
    let mut characters = word.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return only.is_ascii_alphanumeric().then(|| only.to_ascii_lowercase());
    }
    let radio = ALPHABET.iter().position(|name| *name == word).map(|at| char::from(b'a' + at as u8));
    let digit = || DIGITS.iter().position(|name| *name == word).map(|at| char::from(b'0' + at as u8));
    radio.or_else(|| NAMES.iter().find(|(name, _)| *name == word).map(|(_, letter)| *letter)).or_else(digit)
}

fn initial(word: &str) -> Option<char> {
    word.chars().next().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase())
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[test]
    fn as_people_spell() {
        let read = |text| letters(&words(text));
        assert_eq!(read("s m i t h").as_deref(), Some("smith"));
        assert_eq!(read("b as in bravo o b").as_deref(), Some("bob"));
        assert_eq!(read("d as in bravo o b").as_deref(), Some("bob"));
        assert_eq!(read("m i double l e r").as_deref(), Some("miller"));
        assert_eq!(read("it's sierra echo zed").as_deref(), Some("sez"));
        assert_eq!(read("n for november x two").as_deref(), Some("nx2"));
        for nothing in ["", "s", "double", "smith", "b as in", "s m and company"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn names_said_and_spelled() {
        let read = |text| name(&words(text));
        assert_eq!(read("my name is smith s m i t h").as_deref(), Some("Smith"));
        assert_eq!(read("it's smyth s m y t h").as_deref(), Some("Smyth"));
        assert_eq!(read("river house").as_deref(), Some("River House"));
        assert_eq!(read("this is mary").as_deref(), Some("Mary"));
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read_back(word in "[a-z]{2,12}", radio in any::<bool>()) {
            let said: Vec<String> = word
                .chars()
                .map(|c| if radio { ALPHABET[usize::from(c as u8 - b'a')].to_owned() } else { c.to_string() })
                .collect();
            prop_assert_eq!(letters(&said.iter().map(String::as_str).collect::<Vec<_>>()), Some(word));
        }
    }
}
