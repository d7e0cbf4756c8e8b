//! Words of letters that are not said as they are written: acronyms, capitals, camelCase, Roman numerals. Pure.

use super::cardinal::{by_digit, cardinal, in_pairs, is_digits, ordinal, small};
use super::sayings;
use super::token::Token;
use super::{Reading, Said};

/// Acronyms and capitals that are said as words.
const SAID_AS_WORDS: [&str; 76] = [
    "ADD", "AIDS", "ALL", "AND", "ANY", "ARE", "ASCII", "ASK", "BEST", "BUT", "BUY", "CALL", "CAN", "CRUD", "DO",
    "DONE", "EVER", "FIFA", "FOR", "FREE", "FROM", "GET", "GIF", "GO", "HELP", "HERE", "HOLD", "I", "IF", "JPEG",
    "KEEP", "LAN", "LAST", "LIVE", "MAY", "MORE", "MUST", "NASA", "NATO", "NEVER", "NEW", "NEXT", "NO", "NOT", "NOW",
    "OFF", "ON", "ONE", "ONLY", "OPEC", "OPEN", "OR", "OUT", "PIN", "POSIX", "RAM", "ROM", "SALE", "SAY", "SEE", "SIM",
    "STOP", "SWAT", "TEST", "THE", "THIS", "TO", "TWO", "UNICEF", "WAN", "WE", "WHO", "YES", "YOU", "YOUR", "ZIP",
];
/// Words after which a Roman numeral counts.
const COUNTED: [&str; 18] = [
    "Chapter", "Part", "Volume", "Book", "Act", "Phase", "Type", "Article", "Appendix", "Title", "Level", "Class",
    "War", "Tier", "Stage", "Section", "Figure", "Mark",
];
/// Names of rulers, after which it ranks.
const RULERS: [&str; 18] = [
    "Henry",
    "Louis",
    "Elizabeth",
    "Charles",
    "George",
    "Edward",
    "William",
    "James",
    "John",
    "Paul",
    "Pius",
    "Benedict",
    "Frederick",
    "Catherine",
    "Napoleon",
    "Richard",
    "Philip",
    "Francis",
];
/// Beginnings of names whose second capital is no new word.
const NAME_BEGINNINGS: [&str; 9] = ["Mc", "Mac", "De", "Di", "La", "Le", "Van", "Fitz", "O'"];
/// Longest run of capitals that is spelled.
const SPELLED_MAX: usize = 5;
/// Longest run of letters that is one word; more is noise, and is spelled out no further than this.
const WORD_LETTERS_MAX: usize = 40;

/// "CRM" → "C R M".
pub(super) fn spell(letters: &str) -> String {
    let letters: Vec<String> =
        letters.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase().to_string()).collect();
    letters.join(" ")
}

/// "C.R.M." → "CRM"; the last full stop may also end a sentence, which is said alike.
pub(super) fn dotted(plain: &str) -> Option<String> {
    let letters: Vec<&str> =
        plain.trim_end_matches([',', ';', ':', '!', '?', ')']).trim_end_matches('.').split('.').collect();
    let single = |label: &&str| label.len() == 1 && label.bytes().all(|c| c.is_ascii_alphabetic());
    (letters.len() >= 2 && letters.iter().all(single)).then(|| letters.concat().to_ascii_uppercase())
}

/// "CRM" → "C R M", "APIs" → "A P I's", "NASA" → "nasa".
pub(super) fn acronym(body: &str) -> Option<String> {
    let (stem, plural) = match body.strip_suffix("'s").or_else(|| body.strip_suffix('s')) {
        Some(stem) => (stem, "'s"),
        None => (body, ""),
    };
    if SAID_AS_WORDS.contains(&stem) && stem.len() > 1 {
        let plural = if body.ends_with("'s") { "'s" } else { plural.trim_start_matches('\'') };
        return Some(format!("{}{plural}", stem.to_lowercase()));
    }
    let upper = stem.len() >= 2 && stem.bytes().all(|c| c.is_ascii_uppercase());
    if !upper || stem.len() > SPELLED_MAX && pronounceable(stem) {
        return None;
    }
    (stem.len() <= 2 * SPELLED_MAX).then(|| format!("{}{plural}", spell(stem)))
}

/// Whether letters look like a word and not like an abbreviation.
fn pronounceable(letters: &str) -> bool {
    let vowel = |c: char| "aeiouyAEIOUY".contains(c);
    let (mut consonants, mut most, mut vowels) = (0, 0, 0);
    for c in letters.chars() {
        consonants = if vowel(c) { 0 } else { consonants + 1 };
        most = most.max(consonants);
        vowels += usize::from(vowel(c));
    }
    vowels > 0 && most <= 4
}

/// A run of letters and digits: a word, an acronym, camelCase, letters beside digits.
pub(super) fn word(text: &str) -> String {
    let parts = cut(text);
    if parts.len() > 1 {
        let kinds = parts.iter().filter(|part| is_digits(part)).count();
        let code =
            kinds >= 2 && parts.iter().all(|part| is_digits(part) || part.bytes().all(|c| c.is_ascii_uppercase()));
        let said: Vec<String> = parts
            .iter()
            .map(|part| match () {
                // "A4X9": a code, sign by sign.
                () if code && is_digits(part) => by_digit(part),
                () if is_digits(part) => digits(part),
                () => piece(part),
            })
            .collect();
        return said.join(" ");
    }
    piece(text)
}

/// Digits within a name: "3D", "MP3", "A380", "B2B".
fn digits(text: &str) -> String {
    small(text).filter(|_| text == "0" || !text.starts_with('0')).map_or_else(
        || in_pairs(text),
        |n| match text.len() {
            4 => in_pairs(text),
            _ => cardinal(n),
        },
    )
}

/// A run of letters.
fn piece(text: &str) -> String {
    if let Some(said) = sayings::of_word(text) {
        return said.to_owned();
    }
    if let Some(said) = acronym(text) {
        return said;
    }
    let letters: String = text.chars().filter(|c| c.is_ascii_alphabetic() || *c == '\'').collect();
    if letters.len() > WORD_LETTERS_MAX {
        return letters.chars().take(WORD_LETTERS_MAX).collect();
    }
    // "IMPORTANT" is a word, whoever shouts it.
    if letters.len() > 1 && letters.bytes().all(|c| c.is_ascii_uppercase()) { letters.to_lowercase() } else { letters }
}

/// Cuts where letters meet digits, and where a capital begins a word within a word.
fn cut(text: &str) -> Vec<&str> {
    if sayings::of_word(text).is_some() {
        return vec![text];
    }
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let named = NAME_BEGINNINGS.iter().any(|name| {
        text.strip_prefix(name).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.chars().skip(1).all(|c| !c.is_ascii_uppercase())
        })
    });
    let mut parts = Vec::new();
    let mut from = 0;
    for n in 1..chars.len() {
        let (before, here) = (chars[n - 1].1, chars[n].1);
        let after = chars.get(n + 1).map_or(' ', |(_, c)| *c);
        let plural_end = here == 's' && n + 1 == chars.len();
        let kinds = before.is_ascii_digit() != here.is_ascii_digit() && before != '\'' && here != '\'' && !plural_end;
        let hump = before.is_ascii_lowercase() && here.is_ascii_uppercase() && !named;
        // The last capital of a run belongs to the word after it: "HTTPServer".
        let tail = before.is_ascii_uppercase()
            && here.is_ascii_uppercase()
            && after.is_ascii_lowercase()
            && !(after == 's' && n + 2 == chars.len());
        if kinds || hump || tail {
            parts.push(&text[from..chars[n].0]);
            from = chars[n].0;
        }
    }
    parts.push(&text[from..]);
    parts
}

/// "Chapter IV", "Henry VIII", "World War II": only behind words that are counted.
pub(super) fn roman(before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let (token, before) = (rest.first()?, before?);
    if before.mark.is_some() {
        return None;
    }
    let n = roman_value(&token.body)?;
    if COUNTED.contains(&before.body.as_str()) {
        return Some(vec![Said::from(cardinal(n))]);
    }
    (RULERS.contains(&before.body.as_str()) && token.body.len() >= 2)
        .then(|| vec![Said::from(format!("the {}", ordinal(n)))])
}

/// 1 to 39, in the one form that each has.
fn roman_value(text: &str) -> Option<u64> {
    const TENS: [&str; 4] = ["", "X", "XX", "XXX"];
    const UNITS: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    (1..40)
        .find(|n| {
            let (tens, units) = (TENS[n / 10], UNITS[n % 10]);
            text.strip_prefix(tens) == Some(units)
        })
        .map(|n| n as u64)
}

/// Several shouted words: "PLEASE CALL BACK". Each is a word where it looks like one.
pub(super) fn shouted(before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let loud =
        |token: &Token| token.body.len() >= 2 && token.body.bytes().all(|c| c.is_ascii_uppercase() || c == b'\'');
    let run = rest.iter().take_while(|token| loud(token)).count();
    let earlier = usize::from(before.is_some_and(loud));
    let long = rest[..run].iter().any(|token| token.body.len() > SPELLED_MAX);
    // Three in a row, or two of which one is too long for an acronym.
    if run == 0 || earlier + run < 2 || (earlier + run < 3 && !long) {
        return None;
    }
    let said = rest[..run].iter().map(|token| {
        let word = token.body.to_ascii_lowercase();
        Said::from(match sayings::of_word(&word) {
            Some(said) => said.to_owned(),
            None if pronounceable(&token.body) && !sayings::is_spelled(&token.body) => word,
            None => acronym(&token.body).unwrap_or(word),
        })
    });
    Some(said.collect())
}
