//! name-addr and addr-spec with parameters (RFC 3261 §20.10, §25.1): From, To, Contact, Route, Record-Route.

use super::parse::Malformed;
use super::text::split_outside;

/// `;name` or `;name=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// Lower-cased name.
    pub name: String,
    /// Value as written, quotes included.
    pub value: Option<Vec<u8>>,
}

/// A From/To/Contact/Route value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Display name as written (quotes included), trimmed; may be empty.
    pub display: Vec<u8>,
    /// The URI between the brackets, as written.
    pub uri: Vec<u8>,
    /// Header parameters.
    pub params: Vec<Param>,
}

impl Address {
    /// Reads one value (no comma list).
    ///
    /// # Errors
    /// 400 for an open quote or bracket, text after the closing bracket, or an empty URI.
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        const BAD: Malformed = Malformed { status: 400, what: "Bad address" };
        let value = value.trim_ascii();
        let bracket = if value.starts_with(b"\"") {
            let close = end_of_quoted(value).ok_or(BAD)?;
            let rest = &value[close..];
            let blanks = rest.len() - rest.trim_ascii_start().len();
            if rest.get(blanks) != Some(&b'<') {
                return Err(BAD);
            }
            Some(close + blanks)
        } else {
            value.iter().position(|&b| b == b'<')
        };
        let (display, uri, tail) = match bracket {
            Some(open) => {
                let close = open + value[open..].iter().position(|&b| b == b'>').ok_or(BAD)?;
                (&value[..open], &value[open + 1..close], &value[close + 1..])
            }
            None => {
                // An addr-spec without brackets ends at the first semicolon: parameters are the header's (§20.10). Header fields
                // of a URI need brackets (§20, RFC 4475 §3.1.2.13).
                let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
                if value[..end].contains(&b'?') {
                    return Err(BAD);
                }
                (&value[..0], &value[..end], &value[end..])
            }
        };
        let (display, uri, tail) = (display.trim_ascii(), uri.trim_ascii(), tail.trim_ascii());
        if uri.is_empty() || !(tail.is_empty() || tail.starts_with(b";")) {
            return Err(BAD);
        }
        Ok(Self { display: display.to_vec(), uri: uri.to_vec(), params: parse_params(tail) })
    }

    /// Value of a parameter; `Some(b"")` when it stands without value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find_param(&self.params, name)
    }

    /// The tag, when there is one and it is not empty.
    #[must_use]
    pub fn tag(&self) -> Option<&[u8]> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// Display name and URI without the parameters, as a header value.
    #[must_use]
    pub fn name_addr(&self) -> Vec<u8> {
        let mut out = self.display.clone();
        if !out.is_empty() {
            out.push(b' ');
        }
        out.push(b'<');
        out.extend_from_slice(&self.uri);
        out.push(b'>');
        out
    }
}

/// Parses `;a=b;c` (leading semicolon included or the tail empty).
pub(super) fn parse_params(tail: &[u8]) -> Vec<Param> {
    split_outside(tail, b';')
        .into_iter()
        .map(<[u8]>::trim_ascii)
        .filter(|param| !param.is_empty())
        .map(|param| {
            let (name, value) = match param.iter().position(|&b| b == b'=') {
                Some(eq) => (&param[..eq], Some(param[eq + 1..].trim_ascii().to_vec())),
                None => (param, None),
            };
            Param { name: String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase(), value }
        })
        .collect()
}

pub(super) fn find_param<'a>(params: &'a [Param], name: &str) -> Option<&'a [u8]> {
    params.iter().find(|p| p.name == name).map(|p| p.value.as_deref().unwrap_or_default())
}

/// Index after the closing quote of a string that starts with a quote.
fn end_of_quoted(value: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (i, &b) in value.iter().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let a = Address::parse(b"\"J \\\" <x> Rosenberg\"   <sip:j;u=1@h;lr?x=y> ; TAG = abc;x").unwrap();
        assert_eq!(a.display, b"\"J \\\" <x> Rosenberg\"");
        assert_eq!(a.uri, b"sip:j;u=1@h;lr?x=y");
        assert_eq!(a.tag(), Some(&b"abc"[..]));
        assert_eq!(a.param("x"), Some(&b""[..]));
        let bare = Address::parse(b"sip:c8@cube.test;tag=8vc").unwrap();
        assert_eq!((bare.uri.as_slice(), bare.tag()), (&b"sip:c8@cube.test"[..], Some(&b"8vc"[..])));
        let latin = Address::parse(b"Jos\xe9 <sip:a@h>;tag=1").unwrap();
        assert_eq!(latin.name_addr(), b"Jos\xe9 <sip:a@h>");
        assert_eq!(Address::parse(b"<sip:a@h>;tag=").unwrap().tag(), None);
        let quoted = Address::parse(b"<sip:a@h>;x=\"a;b\";tag=7").unwrap();
        assert_eq!((quoted.param("x"), quoted.tag()), (Some(&b"\"a;b\""[..]), Some(&b"7"[..])));
    }

    #[test]
    fn refused() {
        for bad in [&b""[..], b"\"open <sip:a@h>", b"<sip:a@h", b"<>", b"<sip:a@h> x", b"\"x\" sip:a@h", b";tag=1"] {
            assert!(Address::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
