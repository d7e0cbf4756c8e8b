//! `Scheme name=value, name="value"` (RFC 3261 §25.1, RFC 7235 §2.1). Purpose: take header values apart that hold one
//! challenge, several, or a comma too many. Invariant: values keep their octets; what stood in quotes keeps its escapes,
//! since hashes are made over them as written (RFC 7616 §3.4.1).

/// Parameters of one scheme in one header field value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Scheme {
    pub(super) name: Vec<u8>,
    params: Vec<(String, Vec<u8>)>,
}

/// Parameters read of one challenge or answer; further ones make it unusable.
const PARAMS_MAX: usize = 32;

impl Scheme {
    pub(super) fn is_digest(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"Digest")
    }

    /// The value without its quotes; the first, should it be given twice.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    /// Whether something is said twice, or more is said than anybody means.
    pub(super) fn is_ambiguous(&self) -> bool {
        let twice = |n: usize, name: &str| self.params[..n].iter().any(|(other, _)| other == name);
        self.params.len() > PARAMS_MAX || self.params.iter().enumerate().any(|(n, (name, _))| twice(n, name))
    }
}

/// All schemes in a header field value.
pub(super) fn schemes(value: &[u8]) -> Vec<Scheme> {
    let mut schemes: Vec<Scheme> = Vec::new();
    for item in items(value) {
        let (mut name, value) = match item.iter().position(|&b| b == b'=') {
            Some(equals) => (item[..equals].trim_ascii(), Some(item[equals + 1..].trim_ascii())),
            None => (item, None),
        };
        // `Digest realm="x"`: two words before the equals sign begin another scheme; so does a lone word.
        let blank = name.iter().position(u8::is_ascii_whitespace);
        if blank.is_some() || value.is_none() {
            let end = blank.unwrap_or(name.len());
            schemes.push(Scheme { name: name[..end].to_vec(), params: Vec::new() });
            name = name[end..].trim_ascii();
        }
        let (Some(scheme), Some(value)) = (schemes.last_mut(), value) else { continue };
        if scheme.params.len() <= PARAMS_MAX {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            scheme.params.push((name, unquoted(value).to_vec()));
        }
    }
    schemes
}

/// Splits at commas outside of quotes; empty items are left out.
fn items(value: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (i, &b) in value.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                items.push(&value[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    items.push(&value[start..]);
    items.into_iter().map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()).collect()
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").map_or(value, |inner| inner.strip_suffix(b"\"").unwrap_or(inner))
}

/// Appends `, name="value"`; the value is of a peer, or escaped already.
pub(super) fn write_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    write_name(out, name);
    out.push(b'"');
    out.extend_from_slice(value);
    out.push(b'"');
}

/// Appends `, name=value`.
pub(super) fn write_token(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    write_name(out, name);
    out.extend_from_slice(value);
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(if out.is_empty() { b"Digest " } else { b", " });
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

/// What may stand between quotes: quotes and backslashes escaped, nothing that ends the line.
pub(super) fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for octet in text.bytes().filter(|b| *b >= b' ' && *b != 0x7f) {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out
}
