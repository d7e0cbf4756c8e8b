//! Addresses of the net, files and paths, read out as a person would dictate them. Pure.

use super::cardinal::{by_digit, in_pairs, is_digits};
use super::letters;

/// Endings of host and file names that are spelled or said otherwise than as a word.
const ENDINGS: [(&str, &str); 44] = [
    ("ai", "A I"),
    ("app", "app"),
    ("ch", "C H"),
    ("co", "co"),
    ("css", "C S S"),
    ("csv", "C S V"),
    ("de", "D E"),
    ("dev", "dev"),
    ("doc", "doc"),
    ("docx", "doc X"),
    ("eu", "E U"),
    ("exe", "E X E"),
    ("fr", "F R"),
    ("gif", "gif"),
    ("gz", "G Z"),
    ("htm", "H T M"),
    ("html", "H T M L"),
    ("ini", "ini"),
    ("io", "I O"),
    ("jpeg", "J peg"),
    ("jpg", "J peg"),
    ("js", "J S"),
    ("json", "jason"),
    ("md", "M D"),
    ("mp", "M P"),
    ("nl", "N L"),
    ("pdf", "P D F"),
    ("php", "P H P"),
    ("png", "P N G"),
    ("py", "P Y"),
    ("rs", "R S"),
    ("sh", "S H"),
    ("sql", "S Q L"),
    ("svg", "S V G"),
    ("toml", "tommel"),
    ("ts", "T S"),
    ("tv", "T V"),
    ("txt", "text"),
    ("uk", "U K"),
    ("us", "U S"),
    ("wav", "wave"),
    ("xlsx", "X L S X"),
    ("xml", "X M L"),
    ("yaml", "yammel"),
];

/// The word as an address, where it is one.
pub(super) fn word(body: &str) -> Option<String> {
    let schemes = ["https://", "http://", "sips:", "sip:", "mailto:", "ftp://", "wss://", "ws://", "tel:"];
    let lower = body.to_ascii_lowercase();
    if let Some(scheme) = schemes.iter().find(|scheme| lower.starts_with(**scheme)) {
        let rest = &body[scheme.len()..];
        // What a person types: neither the scheme nor what follows the question mark.
        return Some(read_out(rest.split(['?', '#']).next().unwrap_or(rest)));
    }
    let mail = body.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let path = (body.starts_with('/') || body.starts_with("~/") || body.starts_with("./"))
        && body[1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let backslashed = body.contains('\\') && body.contains(':');
    (mail || path || backslashed || host(body) || file(body)).then(|| read_out(body))
}

fn host(body: &str) -> bool {
    let host = body.split(['/', ':']).next().unwrap_or(body);
    let labels: Vec<&str> = host.split('.').collect();
    let numeric = labels.len() == 4 && labels.iter().all(|label| is_digits(label) && label.len() <= 3);
    let named = labels.len() >= 2
        && labels.iter().all(|label| label.len() >= 2 && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        && labels.iter().all(|label| label.chars().any(|c| c.is_ascii_alphabetic()));
    // "localhost:8080", "box:5060".
    let port = body.split_once(':').is_some_and(|(host, port)| {
        host.len() >= 2
            && host.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
            && is_digits(port)
            && port.len() >= 2
    });
    numeric || named || port
}

/// "report_final.pdf", "a.txt": a name with an ending that files have.
fn file(body: &str) -> bool {
    body.rsplit_once('.').is_some_and(|(name, ending)| {
        !name.is_empty() && !is_digits(ending) && ENDINGS.iter().any(|(known, _)| ending.eq_ignore_ascii_case(known))
    })
}

fn read_out(text: &str) -> String {
    let mut spoken: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut after_dot = false;
    let flush = |word: &mut String, after_dot: bool, spoken: &mut Vec<String>| {
        if !word.is_empty() {
            spoken.push(part(word, after_dot));
            word.clear();
        }
    };
    for c in text.trim_end_matches('/').chars() {
        let name = match c {
            '.' => "dot",
            ':' => "port",
            '/' => "slash",
            '\\' => "backslash",
            '@' => "at",
            '-' => "dash",
            '_' => "underscore",
            '~' => "tilde",
            '+' => "plus",
            c if c.is_ascii_alphanumeric() => {
                let kind_changes = word.chars().last().is_some_and(|last| last.is_ascii_digit() != c.is_ascii_digit());
                if kind_changes {
                    flush(&mut word, after_dot, &mut spoken);
                }
                word.push(c);
                continue;
            }
            _ => "",
        };
        flush(&mut word, after_dot, &mut spoken);
        after_dot = c == '.';
        if !name.is_empty() {
            spoken.push(name.to_owned());
        }
    }
    flush(&mut word, after_dot, &mut spoken);
    spoken.join(" ")
}

fn part(word: &str, after_dot: bool) -> String {
    if word.eq_ignore_ascii_case("www") {
        return letters::spell("www");
    }
    if is_digits(word) {
        return if word.len() > 6 { by_digit(word) } else { in_pairs(word) };
    }
    let ending = ENDINGS.iter().find(|(known, _)| after_dot && word.eq_ignore_ascii_case(known));
    if let Some((_, said)) = ending {
        return (*said).to_owned();
    }
    letters::word(word)
}
