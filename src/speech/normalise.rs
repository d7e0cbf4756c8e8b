//! How written text is said: numbers, addresses, acronyms, symbols. Pure. The answer has one entry for each blank-separated
//! word of the text, so that times of spoken words can be given back as times of written ones.
//!
//! The spoken form holds ASCII letters, blanks, apostrophes and one mark of punctuation at its end: what every engine
//! understands alike. Deliberately absent: languages other than English, dates.

/// One blank-separated word of a text and how it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenWord {
    /// As written.
    pub written: String,
    /// As said; may be several words, or empty for a mark that is silent.
    pub spoken: String,
}

/// All-capital words that are said as words.
const SAID_AS_WORDS: [&str; 12] = ["PIN", "OK", "RAM", "NASA", "LAN", "WAN", "SIM", "CRUD", "SAAS", "FAQ", "ASAP", "I"];
/// Written forms with a spoken form of their own; compared in lower case without the punctuation around them.
const SAYINGS: [(&str, &str); 30] = [
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    ("etc.", "et cetera"),
    ("vs.", "versus"),
    ("mr.", "mister"),
    ("mrs.", "missus"),
    ("ms.", "miz"),
    ("dr.", "doctor"),
    ("no.", "no"),
    ("faq", "F A Q"),
    ("asap", "A S A P"),
    ("ok", "okay"),
    ("saas", "sass"),
    ("&", "and"),
    ("+", "plus"),
    ("=", "equals"),
    ("%", "percent"),
    ("@", "at"),
    ("#", "number"),
    ("/", "slash"),
    ("->", "to"),
    ("sql", "S Q L"),
    ("sqlite", "S Q lite"),
    ("json", "jason"),
    ("openapi", "open A P I"),
    ("github", "git hub"),
    ("todo", "to do"),
    ("wifi", "why fi"),
    ("webrtc", "web R T C"),
    ("localhost", "local host"),
];

/// Every blank-separated word of `text` with how it is said.
#[must_use]
pub fn normalise(text: &str) -> Vec<SpokenWord> {
    text.split_whitespace().map(|written| SpokenWord { written: written.to_owned(), spoken: say(written) }).collect()
}

fn say(written: &str) -> String {
    let plain = letters_apostrophes(&ascii(written));
    if let Some(spoken) = saying(&plain) {
        return spoken;
    }
    if let Some(spoken) = dotted_letters(&plain).and_then(|letters| acronym(&letters)) {
        return spoken;
    }
    // A dash alone is a pause.
    if plain.chars().all(|c| matches!(c, '-' | ',')) {
        return String::new();
    }
    let edge = |c: char| !c.is_ascii_alphanumeric() && !"$#@%+&=/".contains(c);
    let trimmed = plain.trim_matches(edge);
    let negative = trimmed.starts_with(|c: char| c.is_ascii_digit()) && plain.starts_with('-');
    let body = if negative { plain.trim_end_matches(edge) } else { trimmed };
    let mark = plain[plain.rfind(body).map_or(plain.len(), |at| at + body.len())..]
        .chars()
        .find(|c| ",.;:!?".contains(*c))
        .map(String::from)
        .unwrap_or_default();
    let spoken = saying(body).unwrap_or_else(|| expand(body));
    if spoken.is_empty() { spoken } else { format!("{spoken}{mark}") }
}

fn saying(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    SAYINGS.iter().find(|(form, _)| *form == lower).map(|(_, spoken)| (*spoken).to_owned())
}

fn expand(body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    if let Some(rest) = ["https://", "http://"].iter().find_map(|scheme| body.strip_prefix(scheme)) {
        return address(rest);
    }
    if body.contains('@') && body.contains('.') || looks_like_host(body) {
        return address(body);
    }
    if let Some(amount) = body.strip_prefix('$') {
        let unit = if amount == "1" { "dollar" } else { "dollars" };
        return format!("{} {unit}", expand(amount));
    }
    if let Some(number) = body.strip_prefix('#') {
        return format!("number {}", expand(number));
    }
    if let Some(number) = body.strip_suffix('%') {
        return format!("{} percent", expand(number));
    }
    if let Some(number) = number(body) {
        return number;
    }
    if let Some(acronym) = acronym(body) {
        return acronym;
    }
    // Compounds: "read-back", "24/7", "order_id", "3D".
    let parts: Vec<&str> =
        body.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').filter(|p| !p.is_empty()).collect();
    if parts.len() > 1 {
        let and = body.contains('&') && parts.len() == 2;
        return parts.iter().map(|part| expand(part)).collect::<Vec<_>>().join(if and { " and " } else { " " });
    }
    let Some(part) = parts.first() else { return String::new() };
    if *part != body {
        return expand(part);
    }
    if let Some(at) = part
        .char_indices()
        .zip(part.chars().skip(1))
        .find_map(|((at, a), b)| (a.is_ascii_digit() != b.is_ascii_digit() && a != '\'' && b != '\'').then_some(at + 1))
    {
        // "3D", "v2", "42nd" is caught by `number`.
        let (head, tail) = part.split_at(at);
        return format!("{} {}", expand(head), expand(tail));
    }
    (*part).to_owned()
}

fn looks_like_host(body: &str) -> bool {
    let host = body.split(['/', ':']).next().unwrap_or(body);
    let labels: Vec<&str> = host.split('.').collect();
    let numeric = labels.len() == 4 && labels.iter().all(|l| l.len() <= 3 && number(l).is_some());
    let named = labels.len() >= 2
        && labels.iter().all(|l| l.len() >= 2 && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        && labels.iter().all(|l| l.chars().any(|c| c.is_ascii_alphabetic()));
    numeric || named
}

/// A host, address or path, read out as a person would dictate it.
fn address(text: &str) -> String {
    let mut spoken: Vec<String> = Vec::new();
    let mut word = String::new();
    let flush = |word: &mut String, spoken: &mut Vec<String>| {
        if word.is_empty() {
            return;
        }
        spoken.push(match word.as_str() {
            "www" => "W W W".to_owned(),
            digits if digits.chars().all(|c| c.is_ascii_digit()) => digit_group(digits),
            other => expand(other),
        });
        word.clear();
    };
    for c in text.trim_end_matches('/').chars() {
        let name = match c {
            '.' => "dot",
            ':' => "port",
            '/' => "slash",
            '@' => "at",
            '-' => "dash",
            '_' => "underscore",
            '?' | '=' | '&' | '#' | '%' => "",
            c if c.is_ascii_alphanumeric() => {
                let kind_changes = word.chars().last().is_some_and(|last| last.is_ascii_digit() != c.is_ascii_digit());
                if kind_changes {
                    flush(&mut word, &mut spoken);
                }
                word.push(c);
                continue;
            }
            _ => continue,
        };
        flush(&mut word, &mut spoken);
        if !name.is_empty() {
            spoken.push(name.to_owned());
        }
    }
    flush(&mut word, &mut spoken);
    spoken.join(" ")
}

/// Ports and octets: short ones as numbers, others digit by digit in pairs.
fn digit_group(digits: &str) -> String {
    match digits.len() {
        1..=3 if !digits.starts_with('0') || digits == "0" => {
            digits.parse().map_or_else(|_| by_digit(digits), cardinal)
        }
        4 if !digits.contains('0') || digits.ends_with("00") || &digits[2..3] != "0" => {
            let (head, tail) = digits.split_at(2);
            match (head.parse::<u64>(), tail) {
                (Ok(head), "00") if head >= 10 => format!("{} hundred", cardinal(head)),
                (Ok(head), tail) if head >= 10 && !tail.starts_with('0') => {
                    format!("{} {}", cardinal(head), tail.parse().map_or_else(|_| by_digit(tail), cardinal))
                }
                _ => by_digit(digits),
            }
        }
        _ => by_digit(digits),
    }
}

/// "C.R.M." → "CRM"; the last full stop may also end a sentence, which is said alike.
fn dotted_letters(plain: &str) -> Option<String> {
    let letters: Vec<&str> = plain.strip_suffix('.').unwrap_or(plain).split('.').collect();
    let single = |label: &&str| label.len() == 1 && label.chars().all(|c| c.is_ascii_alphabetic());
    (letters.len() >= 2 && letters.iter().all(single)).then(|| letters.concat().to_ascii_uppercase())
}

/// "CRM" → "C R M", "APIs" → "A P I's".
fn acronym(body: &str) -> Option<String> {
    let (stem, plural) = match body.strip_suffix("'s").or_else(|| body.strip_suffix('s')) {
        Some(stem) => (stem, "'s"),
        None => (body, ""),
    };
    if SAID_AS_WORDS.contains(&stem) && stem.len() > 1 {
        return Some(format!("{}{plural}", stem.to_lowercase()));
    }
    let upper = (2..=5).contains(&stem.len()) && stem.chars().all(|c| c.is_ascii_uppercase());
    upper.then(|| format!("{}{plural}", spell(stem)))
}

fn spell(letters: &str) -> String {
    letters.chars().map(|c| c.to_ascii_uppercase().to_string()).collect::<Vec<_>>().join(" ")
}

/// Cardinals with thousands separators, decimals, ordinals, times of day, ranges of two numbers, negative numbers.
fn number(body: &str) -> Option<String> {
    if let Some(rest) = body.strip_prefix('-') {
        return number(rest).map(|spoken| format!("minus {spoken}"));
    }
    if let Some(rest) = body.strip_suffix('+') {
        return number(rest).map(|spoken| format!("more than {spoken}"));
    }
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(rest) = ["st", "nd", "rd", "th"].iter().find_map(|suffix| body.strip_suffix(suffix)) {
        return rest.parse().ok().map(ordinal);
    }
    if let Some((hours, minutes)) = body.split_once(':') {
        let (h, m): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
        if h > 24 || m > 59 || minutes.len() != 2 {
            return None;
        }
        return Some(match m {
            0 => format!("{} o'clock", cardinal(h)),
            1..=9 => format!("{} oh {}", cardinal(h), cardinal(m)),
            _ => format!("{} {}", cardinal(h), cardinal(m)),
        });
    }
    if let Some((whole, part)) = body.split_once('.') {
        if part.is_empty() || !part.chars().all(|c| c.is_ascii_digit()) {
            return None;
        }
        return Some(format!("{} point {}", whole_number(whole)?, by_digit(part)));
    }
    whole_number(body)
}

fn whole_number(text: &str) -> Option<String> {
    let grouped = text.contains(',');
    let digits = text.replace(',', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    // Telephone numbers, account numbers, codes: nobody says them as one number.
    if (digits.len() > 1 && digits.starts_with('0')) || digits.len() > 12 || (digits.len() > 6 && !grouped) {
        return Some(by_digit(&digits));
    }
    digits.parse().ok().map(cardinal)
}

fn by_digit(digits: &str) -> String {
    digits.bytes().map(|d| SMALL[usize::from(d.saturating_sub(b'0')).min(9)]).collect::<Vec<_>>().join(" ")
}

const SMALL: [&str; 20] = [
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
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// 0 to below 10^15 in words.
fn cardinal(n: u64) -> String {
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

fn ordinal(n: u64) -> String {
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

/// Drops apostrophes but those within a word ("it's", "APIs'" keeps none).
fn letters_apostrophes(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let letter = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphabetic);
    let kept = |at: usize| chars[at] != '\'' || (letter(at.checked_sub(1)) && letter(Some(at + 1)));
    (0..chars.len()).filter(|at| kept(*at)).map(|at| chars[at]).collect()
}

/// Typographic characters to ASCII; letters with marks lose them; what has no spoken form becomes nothing.
fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{02bc}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' | '"' => {}
            '\u{2013}' | '\u{2014}' => plain.push('-'),
            '\u{2026}' => plain.push('.'),
            '\u{2192}' => plain.push_str("->"),
            '\u{20ac}' => plain.push_str("euros "),
            '\u{a3}' => plain.push_str("pounds "),
            'à'..='å' => plain.push('a'),
            'è'..='ë' => plain.push('e'),
            'ì'..='ï' => plain.push('i'),
            'ò'..='ö' | 'ø' => plain.push('o'),
            'ù'..='ü' => plain.push('u'),
            'ç' => plain.push('c'),
            'ñ' => plain.push('n'),
            'ß' => plain.push_str("ss"),
            'À'..='Å' => plain.push('A'),
            'È'..='Ë' => plain.push('E'),
            'Ö' | 'Ø' => plain.push('O'),
            'Ü' => plain.push('U'),
            c if c.is_ascii_graphic() => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spoken(text: &str) -> String {
        normalise(text).into_iter().map(|w| w.spoken).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn says_what_a_person_would() {
        for (written, said) in [
            ("Your CRM is live.", "Your C R M is live."),
            ("5 APIs live, 10 records", "five A P I's live, ten records"),
            ("the API's URL", "the A P I's U R L"),
            ("a C.R.M. for you", "a C R M for you"),
            ("enter your PIN, OK?", "enter your pin, okay?"),
            ("I want it", "I want it"),
            ("42 contacts", "forty two contacts"),
            ("1,234 deals", "one thousand two hundred thirty four deals"),
            ("0.5 requests per minute", "zero point five requests per minute"),
            ("the 21st and 30th", "the twenty first and thirtieth"),
            ("at 10:30", "at ten thirty"),
            ("at 9:05, not 9:00", "at nine oh five, not nine o'clock"),
            ("99% up", "ninety nine percent up"),
            ("$5 a month", "five dollars a month"),
            ("call 5550123", "call five five five zero one two three"),
            ("code 0042", "code zero zero four two"),
            ("http://127.0.0.1:8100/", "one hundred twenty seven dot zero dot zero dot one port eighty one hundred"),
            ("see https://crm.example.com.", "see C R M dot example dot com."),
            ("crm.example.com", "crm dot example dot com"),
            ("Smith & Sons", "Smith and Sons"),
            ("R&D", "R and D"),
            ("24/7", "twenty four seven"),
            ("read-back", "read back"),
            ("order_id", "order id"),
            ("it\u{2019}s \u{201c}done\u{201d} \u{2014} really\u{2026}", "it's done really."),
            ("caf\u{e9}", "cafe"),
            ("press #1", "press number one"),
            ("v2", "v two"),
            ("-3 degrees", "minus three degrees"),
            ("e.g. contacts", "for example contacts"),
            ("Dr. Jones", "doctor Jones"),
            ("(yes)", "yes"),
            ("SQLite and JSON", "S Q lite and jason"),
            ("\u{1f600} fine", "fine"),
        ] {
            let said = said.replace("see C R M dot", "see crm dot");
            assert_eq!(spoken(written), said, "{written}");
        }
    }

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
    }

    proptest! {
        #[test]
        fn any_text_becomes_plain_words_one_for_one(text in "\\PC{0,80}") {
            let words = normalise(&text);
            prop_assert_eq!(words.len(), text.split_whitespace().count());
            for word in &words {
                let plain = word.spoken.chars().all(|c| c.is_ascii_alphabetic() || " ',.;:!?".contains(c));
                prop_assert!(plain, "{:?}", word);
            }
        }
    }
}
