//! Words with their case and the pauses between them. Pure. Purpose: "Baxter and Sons", "Node.js", "$1,500", "5k" survive, as they
//! would not in a transcript. Deliberately absent: numbers (`quantity`).

use crate::limits::HEARD_TEXT_MAX;

/// A word, a sign of money or a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// As written.
    pub(super) raw: String,
    /// Lower case; "," and "." for pauses of a clause and of a sentence.
    pub(super) low: String,
    /// What stands between it and the word before, where that is no pause: "-" in "follow-ups".
    pub(super) behind: &'static str,
}

impl Token {
    pub(super) fn is_pause(&self) -> bool {
        matches!(self.low.as_str(), "," | ".")
    }

    /// Written with a capital.
    pub(super) fn is_capital(&self) -> bool {
        self.raw.chars().next().is_some_and(char::is_uppercase)
    }
}

/// Reads a text; what lies beyond [`HEARD_TEXT_MAX`] characters is not looked at.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().take(HEARD_TEXT_MAX).collect();
    let (mut out, mut word) = (Vec::new(), String::new());
    let mut behind = " ";
    let flush = |word: &mut String, out: &mut Vec<Token>, behind: &mut &'static str| {
        let plain = word.trim_matches('\'');
        if !plain.is_empty() {
            out.push(Token { raw: plain.to_owned(), low: plain.to_lowercase(), behind });
            // "members' area".
            *behind = if word.ends_with('\'') { "' " } else { " " };
        }
        word.clear();
    };
    for (k, &letter) in letters.iter().enumerate() {
        let c = if letter == '\u{2019}' { '\'' } else { letter };
        let next = letters.get(k + 1).copied().unwrap_or(' ');
        let last = word.chars().last();
        match c {
            _ if c.is_alphanumeric() || c == '\'' => word.push(c),
            // "1,500", "2.5"; "Node.js", but not "shop.Then".
            ',' if last.is_some_and(|l| l.is_ascii_digit()) && next.is_ascii_digit() => word.push(c),
            '.' if last.is_some_and(char::is_alphanumeric) && (next.is_ascii_digit() || next.is_ascii_lowercase()) => {
                word.push(c)
            }
            '+' | '#' if last.is_some() => word.push(c),
            '$' | '€' | '£' | '¥' | '₹' => {
                flush(&mut word, &mut out, &mut behind);
                out.push(Token { raw: c.to_string(), low: c.to_string(), behind: " " });
            }
            _ => {
                // "C.R.M." is spelling.
                let spelled = c == '.' && word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
                // An apostrophe alone is no word that could be tied to.
                let ties = c == '-' && word.chars().any(char::is_alphanumeric) && next.is_alphanumeric();
                flush(&mut word, &mut out, &mut behind);
                if ties {
                    behind = "-";
                }
                let pause = match c {
                    ',' | ':' | '(' | ')' | '"' | '\u{2013}' | '\u{2014}' => ",",
                    '.' | '!' | '?' | ';' | '\n' if !spelled => ".",
                    _ => continue,
                };
                if out.last().is_some_and(|t: &Token| !t.is_pause()) {
                    out.push(Token { raw: pause.to_owned(), low: pause.to_owned(), behind: " " });
                }
            }
        }
    }
    flush(&mut word, &mut out, &mut behind);
    out
}

/// The words as they were joined: "follow-ups", "doctors' profiles".
pub(super) fn joined<'a>(tokens: &'a [Token], word: impl Fn(&'a Token) -> &'a str) -> String {
    let mut out = String::new();
    for (k, token) in tokens.iter().enumerate() {
        out.push_str(if k == 0 { "" } else { token.behind });
        out.push_str(word(token));
    }
    out
}

/// The lower-case word at `k`; empty outside.
pub(super) fn low(tokens: &[Token], k: usize) -> &str {
    tokens.get(k).map_or("", |t| t.low.as_str())
}

/// Whether a hyphen ties the word at `k` to the one before.
pub(super) fn is_tied(tokens: &[Token], k: usize) -> bool {
    tokens.get(k).is_some_and(|token| token.behind == "-")
}

/// The word so many places before `k`; empty before the beginning.
pub(super) fn before(tokens: &[Token], k: usize, back: usize) -> &str {
    k.checked_sub(back).map_or("", |k| low(tokens, k))
}

/// Whether `phrase` (lower case, single blanks) begins at `k`; how many words it has.
pub(super) fn begins(tokens: &[Token], k: usize, phrase: &str) -> Option<usize> {
    let mut count = 0;
    for word in phrase.split(' ') {
        if low(tokens, k + count) != word {
            return None;
        }
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_signs_and_pauses() {
        let lows: Vec<String> =
            tokens("Use Node.js, C++ & C#: $1,500.50! It’s 5k. A C.R.M. please").into_iter().map(|t| t.low).collect();
        assert_eq!(
            lows,
            [
                "use", "node.js", ",", "c++", "c#", ",", "$", "1,500.50", ".", "it's", "5k", ".", "a", "c", "r", "m",
                "please"
            ]
        );
    }
}
