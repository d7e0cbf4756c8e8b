//! What an INVITE says of its caller besides: the header fields that the operator lets agents, records and events see
//! (`sip.header_fields`). Pure. Invariants: bounded in number and length; nothing in a value that a log, a page or a terminal
//! would act upon; no credentials, and not the name of a caller who has asked to be withheld (RFC 3323). Deliberately absent:
//! reading them as anything but text, and what signalling makes of them (`caller_id`).

use crate::config::FieldNames;
use crate::limits::{CALLER_FIELD_CHARS_MAX, CALLER_FIELDS_MAX};

/// Header fields, name and value.
type Fields = [(String, String)];

/// What names a caller.
const IDENTITIES: [&str; 3] = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"];
/// What credentials in a header field begin with (RFC 9110 §11.4).
const SCHEMES: [&str; 4] = ["bearer ", "basic ", "digest ", "negotiate "];

/// Those of `headers` that may be seen.
pub(super) fn seen(headers: &Fields, names: &FieldNames, withheld: bool) -> Vec<(String, String)> {
    let hidden = |name: &str| withheld && IDENTITIES.iter().any(|identity| identity.eq_ignore_ascii_case(name));
    let taken = headers.iter().filter(|(name, _)| names.take(name) && !hidden(name));
    let cleaned = taken.map(|(name, value)| (name.clone(), clean(value)));
    cleaned.filter(|(_, value)| !value.is_empty() && !is_credential(value)).take(CALLER_FIELDS_MAX).collect()
}

fn is_credential(value: &str) -> bool {
    SCHEMES.iter().any(|scheme| value.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)))
}

/// One line of characters that are seen: no controls, and nothing that turns the direction of what follows.
fn clean(value: &str) -> String {
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let seen: String = value.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !is_invisible(*c)).collect();
    seen.trim().chars().take(CALLER_FIELD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)], withheld: bool) -> Vec<(String, String)> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        seen(&fields, &FieldNames::default(), withheld)
    }

    #[test]
    fn what_is_seen_is_bounded_and_harmless() {
        let fields = [
            ("X-Order", " 42\t\u{1b}[31m\u{202e}7 "),
            ("X-Api-Key", "abcdef"),
            ("X-Proof", "Bearer abcdef"),
            ("X-Empty", "\u{0}\r\n"),
            ("Subject", "hello"),
        ];
        assert_eq!(of(&fields, false), [("X-Order".to_owned(), "42 [31m7".to_owned())]);
        let many: Vec<(String, String)> = (0..100).map(|n| (format!("X-{n}"), "é".repeat(1000))).collect();
        let seen = seen(&many, &FieldNames::default(), false);
        assert_eq!(seen.len(), CALLER_FIELDS_MAX);
        assert!(seen.iter().all(|(_, value)| value.chars().count() == CALLER_FIELD_CHARS_MAX));
    }

    #[test]
    fn who_is_withheld_is_named_nowhere() {
        let fields = [("P-Asserted-Identity", "<sip:+4930123@h>"), ("Remote-Party-ID", "<sip:1@h>"), ("X-A", "1")];
        assert_eq!(of(&fields, false).len(), 3);
        assert_eq!(of(&fields, true), [("X-A".to_owned(), "1".to_owned())]);
    }
}
