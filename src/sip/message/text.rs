//! Small grammar: tokens, methods, lists, and the way from octets to text. Purpose: one place for RFC 3261 §25.1 basics.

/// Request methods. Case matters (RFC 3261 §7.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the names are the RFC's
pub enum Method {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Publish,
    Refer,
    Register,
    Subscribe,
    Update,
    /// Any other token, as written.
    Other(Vec<u8>),
}

impl Method {
    const KNOWN: [(Self, &'static str); 14] = [
        (Self::Ack, "ACK"),
        (Self::Bye, "BYE"),
        (Self::Cancel, "CANCEL"),
        (Self::Info, "INFO"),
        (Self::Invite, "INVITE"),
        (Self::Message, "MESSAGE"),
        (Self::Notify, "NOTIFY"),
        (Self::Options, "OPTIONS"),
        (Self::Prack, "PRACK"),
        (Self::Publish, "PUBLISH"),
        (Self::Refer, "REFER"),
        (Self::Register, "REGISTER"),
        (Self::Subscribe, "SUBSCRIBE"),
        (Self::Update, "UPDATE"),
    ];

    /// Reads a method; `None` when it is no token.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        if !is_token(octets) {
            return None;
        }
        let known = Self::KNOWN.iter().find(|(_, name)| name.as_bytes() == octets);
        Some(known.map_or_else(|| Self::Other(octets.to_vec()), |(method, _)| method.clone()))
    }

    /// The method as it goes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Other(octets) => octets,
            known => Self::KNOWN.iter().find(|(m, _)| m == known).map_or(b"", |(_, name)| name.as_bytes()),
        }
    }
}

/// Whether the octets are a token (RFC 3261 §25.1): non-empty, ASCII letters, digits and ``-.!%*_+`'~``.
#[must_use]
pub fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
}

/// Splits a comma-separated header value; commas inside quotes and angle brackets do not count. Items are trimmed;
/// empty items are left out (RFC 4475 §3.1.1.1 has them).
#[must_use]
pub fn split_list(value: &[u8]) -> Vec<&[u8]> {
    split_outside(value, b',').into_iter().map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()).collect()
}

/// Splits at `separator` outside of quoted strings and angle brackets.
pub(super) fn split_outside(value: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut items = Vec::new();
    let (mut start, mut quoted, mut escaped, mut angle) = (0, false, false, false);
    for (i, &b) in value.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match b {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else {
            match b {
                b'"' if !angle => quoted = true,
                b'<' => angle = true,
                b'>' => angle = false,
                _ if b == separator && !angle => {
                    items.push(&value[start..i]);
                    start = i + 1;
                }
                _ => {}
            }
        }
    }
    items.push(&value[start..]);
    items
}

/// Octets as text for people and records: UTF-8 if it is, else each octet read as Latin-1; control characters become
/// spaces, so that the text is one line.
#[must_use]
pub fn to_text(octets: &[u8]) -> String {
    let text = match std::str::from_utf8(octets) {
        Ok(utf8) => utf8.to_owned(),
        Err(_) => octets.iter().map(|&b| char::from(b)).collect(),
    };
    text.chars().map(|c| if c.is_control() || reorders(c) { ' ' } else { c }).collect()
}

/// Characters that change how the text around them is shown (Unicode annex 9, and the line separators): in a log or a
/// list of calls they could make one caller look like another.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The user part of the URI in a From/To text such as `"Ann" <sip:+4930123@host>`, escapes as written.
#[must_use]
pub fn user_of(name_addr: &str) -> Option<String> {
    let address = super::Address::parse(name_addr.as_bytes()).ok()?;
    super::Uri::parse(&address.uri).ok()?.user.as_deref().map(to_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse(b"INVITE"), Some(Method::Invite));
        assert_eq!(Method::parse(b"invite"), Some(Method::Other(b"invite".to_vec())));
        assert_eq!(Method::parse(b"!interesting-Method0123456789_*+`.%indeed'~").unwrap().as_bytes().len(), 43);
        assert_eq!(Method::parse(b""), None);
        assert_eq!(Method::parse(b"IN VITE"), None);
        for (method, name) in Method::KNOWN {
            assert_eq!(method.as_bytes(), name.as_bytes());
        }
    }

    #[test]
    fn lists_respect_quotes_and_brackets() {
        assert_eq!(split_list(b"a, b ,,c"), [b"a", b"b", b"c"]);
        assert_eq!(
            split_list(br#""x, \" y" <sip:a,b@h>;p=1, <sip:c@h>"#),
            [&br#""x, \" y" <sip:a,b@h>;p=1"#[..], b"<sip:c@h>"]
        );
        assert!(split_list(b"").is_empty());
        assert_eq!(split_list(b"\"open, x"), [b"\"open, x"]);
    }

    #[test]
    fn latin_1_becomes_text_and_controls_do_not_survive() {
        assert_eq!(to_text(b"Jos\xe9\r\nX: 1\0"), "Jos\u{e9}  X: 1 ");
        assert_eq!(to_text("J\u{fc}rgen \u{1f600}".as_bytes()), "J\u{fc}rgen \u{1f600}");
        assert_eq!(user_of("\"Ann\" <sip:+4930%23123@host:5070>").as_deref(), Some("+4930%23123"));
        assert_eq!(user_of("sip:host"), None);
    }
}
