//! `sip.header_fields` and what is said with them: which header fields of a caller's INVITE agents, records and events may see,
//! and the places in an agent's words that they fill. Pure. Invariants: a name that stands for a secret is never among them,
//! whatever is written; what fills a place can be said and nothing else. Deliberately absent: what signalling itself goes by
//! (Privacy, P-Asserted-Identity, Diversion), which needs no leave.

use serde::{Deserialize, Deserializer, Serialize};

/// Field names at most; the agent hands on no more than `limits::SIP_HANDED_HEADERS_MAX` fields.
const NAMES_MAX: usize = 64;
/// Characters of a value that are said.
const SAID_MAX: usize = 60;
/// Names beside `X-` and `P-` that signalling hands on.
const KNOWN: [&str; 7] =
    ["Diversion", "History-Info", "Remote-Party-ID", "Privacy", "Alert-Info", "User-to-User", "Referred-By"];
/// Parts of names of what opens doors.
const SECRETS: [&str; 10] =
    ["token", "secret", "passw", "passphrase", "credential", "cookie", "authoriz", "authentic", "signature", "apikey"];
/// The same as whole words of a name.
const SECRET_WORDS: [&str; 8] = ["auth", "key", "keys", "pin", "pass", "pwd", "otp", "session"];

/// Names of header fields, `X-*` for all that begin so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldNames(Vec<String>);

impl Default for FieldNames {
    /// Everything that is handed on.
    fn default() -> Self {
        Self(["X-*", "P-*"].into_iter().chain(KNOWN).map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        if names.len() > NAMES_MAX {
            return Err(serde::de::Error::custom(format!("at most {NAMES_MAX} names")));
        }
        for name in &names {
            check_name(name).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(names))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let bare = name.strip_suffix('*').unwrap_or(name);
    let begins = |with: &str| bare.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let known = begins("X-") || begins("P-") || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !known || !bare.bytes().all(is_token) || name.len() > 64 {
        let known = KNOWN.join(", ");
        return Err(format!(
            "{name:?} is not handed on; write X-NAME, P-NAME, either with * for all that begin so, {known}"
        ));
    }
    if is_secret(bare) {
        return Err(format!("{name:?} sounds like a secret, which nobody is told; take it out"));
    }
    Ok(())
}

/// Of a field name (RFC 3261 §25.1).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether a field of this name may hold what opens doors.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    SECRETS.iter().any(|part| name.contains(part)) || words.any(|word| SECRET_WORDS.contains(&word))
}

impl FieldNames {
    /// Whether this field may be seen.
    #[must_use]
    pub fn take(&self, name: &str) -> bool {
        let is = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
            None => wanted.eq_ignore_ascii_case(name),
        };
        self.0.iter().any(is) && !is_secret(name)
    }
}

/// One piece of words with places.
enum Piece<'a> {
    Text(&'a str),
    /// The field, and what is said without it.
    Place(&'a str, &'a str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        pieces.push(Piece::Text(before));
        let unclosed = || format!("a brace has no other: write {{NAME}} or {{NAME|otherwise}} in {text:?}");
        let inside = from.strip_prefix('{').ok_or_else(unclosed)?;
        let (inside, after) = inside.split_once('}').ok_or_else(unclosed)?;
        let (name, otherwise) = inside.split_once('|').unwrap_or((inside, ""));
        if otherwise.contains('{') {
            return Err(unclosed());
        }
        check_name(name)?;
        if name.ends_with('*') {
            return Err(format!("{name:?} names no one field"));
        }
        pieces.push(Piece::Place(name, otherwise));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// Refuses words whose places nothing could fill. Error: what to write instead.
pub(super) fn check_places(texts: &[&Option<String>]) -> Result<(), String> {
    texts.iter().copied().flatten().try_for_each(|text| pieces(text).map(|_| ()))
}

/// The words with their places filled: `{X-Customer|dear caller}` by that field of `fields` (name and value), as far as it can
/// be said, or by what stands behind the bar.
#[must_use]
pub fn with_fields(text: &str, fields: &[(String, String)]) -> String {
    if !text.contains(['{', '}']) {
        return text.to_owned();
    }
    // What was refused when the configuration was read is said as it stands.
    let Ok(pieces) = pieces(text) else { return text.to_owned() };
    let mut said = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => said.push_str(text),
            Piece::Place(name, otherwise) => {
                let field = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
                let value = field.map(|(_, value)| speakable(value)).filter(|value| !value.is_empty());
                said.push_str(value.as_deref().unwrap_or(otherwise));
            }
        }
    }
    // A place that stays empty leaves no gap.
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    [(" ,", ","), (" .", "."), (" !", "!"), (" ?", "?")]
        .iter()
        .fold(joined, |said, (gap, none)| said.replace(gap, none))
}

/// Words, numbers and what joins them.
fn speakable(value: &str) -> String {
    let kept = value.chars().map(|c| if c.is_alphanumeric() || "'-.,&".contains(c) { c } else { ' ' });
    let kept: String = kept.take(SAID_MAX).collect();
    let words = kept.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric) || *word == "&");
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Result<FieldNames, String> {
        #[derive(Deserialize)]
        struct Section {
            header_fields: FieldNames,
        }
        let text = format!("header_fields = {list:?}");
        toml::from_str::<Section>(&text).map(|section| section.header_fields).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_listed_is_taken_and_secrets_never_are() {
        let all = FieldNames::default();
        for name in ["X-Customer-Id", "x-order", "P-Charge-Info", "diversion", "User-to-User", "X-Monkey", "X-Keyboard"]
        {
            assert!(all.take(name), "{name}");
        }
        for name in [
            "X-Telnyx-Token",
            "X-API-Key",
            "X-ApiKey",
            "x-auth",
            "X-Authenticated-By",
            "X-Caller-PIN",
            "X-Password",
            "P-Session",
            "X-Session-Id",
            "Authorization",
            "Proxy-Authorization",
            "From",
            "Subject",
        ] {
            assert!(!all.take(name), "{name}");
        }
        let few = names(&["X-Order", "P-Access-*"]).unwrap();
        assert!(few.take("x-ORDER") && few.take("P-Access-Network-Info") && !few.take("X-Order-2"));
        assert!(!names(&[]).unwrap().take("X-Order"));
    }

    #[test]
    fn names_that_nobody_gets_are_refused_with_what_to_write() {
        for (name, says) in [
            ("Authorization", "X-NAME"),
            ("From", "X-NAME"),
            ("*", "X-NAME"),
            ("X-A B", "X-NAME"),
            ("X-Api-Token", "secret"),
            ("X-Pass*", "secret"),
        ] {
            let error = names(&[name]).unwrap_err();
            assert!(error.contains(says), "{name}: {error}");
        }
        assert!(names(&["X-A"; 65]).is_err());
    }

    #[test]
    fn places_are_filled_with_what_can_be_said() {
        let field = |value: &str| vec![("X-Customer".to_owned(), value.to_owned())];
        let greeting = "Hello {x-customer|there}, this is Grace.";
        assert_eq!(with_fields(greeting, &field("Ann O'Hara")), "Hello Ann O'Hara, this is Grace.");
        assert_eq!(with_fields(greeting, &[]), "Hello there, this is Grace.");
        assert_eq!(with_fields("Hello {X-Customer}, this is Grace.", &[]), "Hello, this is Grace.");
        assert_eq!(with_fields(greeting, &field("<script>\"; {X-A} \u{202e}")), "Hello script X-A, this is Grace.");
        assert_eq!(with_fields(greeting, &field("\u{0}--..")), "Hello there, this is Grace.");
        assert!(with_fields(greeting, &field(&"a".repeat(500))).len() < 100);
        assert_eq!(with_fields("No places.", &[]), "No places.");
        assert!(check_places(&[&Some(greeting.to_owned()), &None]).is_ok());
        for bad in ["Hello {X-A", "Hello X-A}", "{From}", "{X-*}", "{X-Pin}", "{X-A|{X-B}}"] {
            assert!(check_places(&[&Some(bad.to_owned())]).is_err(), "{bad}");
        }
    }
}
