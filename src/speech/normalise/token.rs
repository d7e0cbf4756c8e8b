//! Words as they are written, made plain: typographic marks to ASCII, accents off letters, emoji and markup away. Pure.
//!
//! Invariant: one token for each blank-separated word, in order; a token that holds nothing to say has an empty body.

/// Signs that have a spoken form, kept for the readers.
const KEPT: &str = "€£¥¢°§±×÷½¼¾²³µ≤≥≠≈∞′→";
/// Letters with marks, and what is left of them.
const FOLDS: [(&str, &str); 42] = [
    ("àáâãäåāăą", "a"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("èéêëēĕėęě", "e"),
    ("ĝğġģ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįı", "i"),
    ("ĵ", "j"),
    ("ķ", "k"),
    ("ĺļľŀł", "l"),
    ("ñńņňŋ", "n"),
    ("òóôõöøōŏő", "o"),
    ("ŕŗř", "r"),
    ("śŝşšș", "s"),
    ("ţťŧț", "t"),
    ("ùúûüũūŭůűų", "u"),
    ("ŵ", "w"),
    ("ýÿŷ", "y"),
    ("źżž", "z"),
    ("ÀÁÂÃÄÅĀĂĄ", "A"),
    ("ÇĆĈĊČ", "C"),
    ("ĎĐÐ", "D"),
    ("ÈÉÊËĒĔĖĘĚ", "E"),
    ("ĜĞĠĢ", "G"),
    ("ĤĦ", "H"),
    ("ÌÍÎÏĨĪĬĮİ", "I"),
    ("ÑŃŅŇ", "N"),
    ("ÒÓÔÕÖØŌŎŐ", "O"),
    ("ŔŖŘ", "R"),
    ("ŚŜŞŠȘ", "S"),
    ("ŢŤŦȚ", "T"),
    ("ÙÚÛÜŨŪŬŮŰŲ", "U"),
    ("ÝŸŶ", "Y"),
    ("ŹŻŽ", "Z"),
    ("Łℓ", "L"),
    ("ß", "ss"),
    ("æ", "ae"),
    ("Æ", "AE"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("þ", "th"),
    ("Þ", "Th"),
];
/// Greek letters of formulas and units.
const GREEK: [(char, &str); 14] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('Δ', "delta"),
    ('ε', "epsilon"),
    ('λ', "lambda"),
    ('μ', "µ"),
    ('π', "pi"),
    ('σ', "sigma"),
    ('Σ', "sigma"),
    ('τ', "tau"),
    ('φ', "phi"),
    ('Ω', "ohm"),
];

/// One blank-separated word.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) written: &'a str,
    /// In plain characters, with the punctuation around it.
    pub(super) plain: String,
    /// Without that punctuation; signs that are said are part of it.
    pub(super) body: String,
    /// The pause after it.
    pub(super) mark: Option<char>,
    /// The last word of its text.
    pub(super) last: bool,
}

/// Every blank-separated word of `text`.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    for line in text.split('\n') {
        for (at, written) in line.split_whitespace().enumerate() {
            tokens.push(token(written, at == 0));
        }
    }
    if let Some(last) = tokens.last_mut() {
        last.last = true;
    }
    tokens
}

/// A text in plain characters, nothing else changed.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace()
        .map(|word| apostrophes(&fold(word)))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn token(written: &str, first_of_line: bool) -> Token<'_> {
    let folded = fold(written);
    let plain = apostrophes(&markup(&folded, first_of_line));
    let (body, mark) = strip(&plain);
    Token { written, body, mark, plain, last: false }
}

/// The word without punctuation around it, and the first mark of punctuation after it.
fn strip(plain: &str) -> (String, Option<char>) {
    let edge = |c: char| !c.is_ascii_alphanumeric() && !"$#@%+&=/".contains(c) && !KEPT.contains(c);
    // Signs of comparison belong to what follows them.
    let front = |c: char| edge(c) && !matches!(c, '<' | '>' | '~' | '-' | '.');
    let start = plain.trim_start_matches(front);
    let signed = start.trim_start_matches(['<', '>', '~', '-', '.', '$', '€', '£', '¥']);
    let number =
        signed.starts_with(|c: char| c.is_ascii_digit()) && !start.starts_with("--") && !start.starts_with("..");
    let dotted = start.len() > 1 && start.starts_with('.') && start[1..].starts_with(|c: char| c.is_ascii_alphabetic());
    let start = if number || dotted { start } else { start.trim_start_matches(edge) };
    let body = start.trim_end_matches(edge);
    // Of "etc.," and "Inc.?" the second mark counts: the full stop is the abbreviation's.
    let marks = || start[body.len()..].chars().filter(|c| ",.;:!?".contains(*c));
    let mark = marks().find(|c| *c != '.').or_else(|| marks().next());
    (body.to_owned(), mark)
}

/// Typographic characters to ASCII; letters with marks lose them; what has no spoken form becomes nothing.
fn fold(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{02bc}' | '\u{2032}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '"' => plain.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '\u{2026}' => plain.push('.'),
            '\u{ff01}'..='\u{ff5e}' => plain.extend(char::from_u32(u32::from(c) - 0xfee0)),
            c if c.is_ascii_graphic() || KEPT.contains(c) => plain.push(c),
            c if c.is_ascii() => {}
            _ => {
                let folded = FOLDS.iter().find(|(marked, _)| marked.contains(c)).map(|(_, folded)| *folded);
                let greek = || GREEK.iter().find(|(letter, _)| *letter == c).map(|(_, name)| *name);
                plain.push_str(folded.or_else(greek).unwrap_or_default());
            }
        }
    }
    plain
}

/// Markdown away: emphasis, code, headings, list bullets, links (their text is said, their address is not).
fn markup(word: &str, first_of_line: bool) -> String {
    let heading = first_of_line && word.len() <= 6 && word.bytes().all(|c| c == b'#');
    let rule = word.bytes().all(|c| matches!(c, b'*' | b'-' | b'_' | b'|' | b'`' | b'~' | b'>' | b':'));
    if heading || rule {
        return if word.contains('-') { "-".to_owned() } else { String::new() };
    }
    let word = word.split_once("](").map_or(word, |(text, _)| text);
    let mut plain: String = word.trim_start_matches(['[', '!']).replace("**", "").replace("__", "").replace("~~", "");
    plain.retain(|c| c != '`');
    // A single mark around a word or a phrase; within one it is a sign ("5*3", "order_id").
    let around = |c: char| matches!(c, '*' | '_');
    let inner = plain.trim_start_matches(around);
    let trimmed = inner.trim_end_matches(|c: char| around(c) || !c.is_ascii_alphanumeric());
    if inner[trimmed.len()..].contains(around) {
        let tail: String = inner[trimmed.len()..].chars().filter(|c| !around(*c)).collect();
        return format!("{trimmed}{tail}");
    }
    inner.to_owned()
}

/// Drops apostrophes but those within a word ("it's", "APIs'" keeps none); between digits they are feet.
fn apostrophes(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |at: Option<usize>| at.and_then(|at| chars.get(at)).copied().unwrap_or(' ');
    let mut plain = String::with_capacity(text.len());
    for (n, c) in chars.iter().enumerate() {
        let (before, after) = (at(n.checked_sub(1)), at(Some(n + 1)));
        match c {
            '\'' if before.is_ascii_alphabetic() && after.is_ascii_alphabetic() => plain.push('\''),
            '\'' if before.is_ascii_digit() && after.is_ascii_digit() => plain.push('′'),
            // "the '90s", "the 90's".
            '\'' | '"' => {}
            c => plain.push(*c),
        }
    }
    plain
}
