//! Bodies of several parts (RFC 2046 §5.1, RFC 5621). Purpose: find the session description among what trunks send with it:
//! ISUP, a location, metadata of a recording. Pure. Invariants: parts, depth and header lines are bounded; a boundary is a
//! whole line, and the last one must be there; a part that says that it must be understood, and is not, refuses the body.
//! Deliberately absent: what the other parts mean; parts without a word of it are passed over, though RFC 3261 §20.11 would
//! have them understood: trunks that add some do not mean to lose the call.

use super::text::split_outside;
use crate::limits;

/// The body holds no part that could be used, or one that would have to be understood: 415.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a body of several parts that cannot be used")]
pub struct Unusable;

/// Whether a Content-Type is one of these.
#[must_use]
pub fn is_multipart(media_type: &str) -> bool {
    matches!(media_type, "multipart/mixed" | "multipart/alternative")
}

/// The one part of the type `wanted` (lower case) that is for the session; `None`: there is none.
///
/// # Errors
/// [`Unusable`].
pub fn session_part<'a>(content_type: &[u8], body: &'a [u8], wanted: &str) -> Result<Option<&'a [u8]>, Unusable> {
    let mut left = limits::SIP_BODY_PARTS_MAX;
    within(content_type, body, wanted, limits::SIP_BODY_DEPTH_MAX, &mut left)
}

fn within<'a>(
    content_type: &[u8],
    body: &'a [u8],
    wanted: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Option<&'a [u8]>, Unusable> {
    let (kind, boundary) = (media_type(content_type), param(content_type, "boundary").ok_or(Unusable)?);
    let is_boundary = |b: &u8| b.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(b);
    let strict = (1..=70).contains(&boundary.len()) && boundary.iter().all(is_boundary) && !boundary.ends_with(b" ");
    if !strict || !is_multipart(&kind) {
        return Err(Unusable);
    }
    let mut found = None;
    for part in parts(body, &boundary, left)? {
        let one = read_part(part, wanted, depth, left)?;
        // Of alternatives the last that is understood counts; of parts that go together there can be one only.
        if one.is_some() && found.is_some() && kind == "multipart/mixed" {
            return Err(Unusable);
        }
        found = one.or(found);
    }
    Ok(found)
}

fn read_part<'a>(part: &'a [u8], wanted: &str, depth: usize, left: &mut usize) -> Result<Option<&'a [u8]>, Unusable> {
    let (head, octets) = head_of(part)?;
    let content_type = field(&head, "Content-Type").unwrap_or_default();
    let disposition = field(&head, "Content-Disposition");
    let kind = media_type(&content_type);
    let is_session = disposition.as_ref().is_none_or(|value| media_type(value) == "session");
    let encoding = field(&head, "Content-Transfer-Encoding").map(|value| media_type(&value));
    let readable = encoding.is_none_or(|encoding| matches!(encoding.as_str(), "7bit" | "8bit" | "binary"));
    if is_session && readable && kind == wanted {
        return Ok(Some(octets));
    }
    if is_multipart(&kind) && depth > 1 {
        return within(&content_type, octets, wanted, depth - 1, left);
    }
    let handling = disposition.and_then(|value| param(&value, "handling"));
    let is_required = handling.is_some_and(|value| value.eq_ignore_ascii_case(b"required"));
    if is_required { Err(Unusable) } else { Ok(None) }
}

/// What lies between the boundaries: `--boundary` lines, and `--boundary--` at the end, which must come.
fn parts<'a>(body: &'a [u8], boundary: &[u8], left: &mut usize) -> Result<Vec<&'a [u8]>, Unusable> {
    let (mut found, mut begun, mut at) = (Vec::new(), None, 0);
    while at < body.len() {
        let end = body[at..].iter().position(|&b| b == b'\n').map_or(body.len(), |lf| at + lf + 1);
        let after = body[at..end].strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        let delimiter = after.and_then(|rest| match rest.trim_ascii_end() {
            b"" => Some(false),
            b"--" => Some(true),
            _ => None,
        });
        if let Some(is_last) = delimiter {
            if let Some(from) = begun.replace(end) {
                *left = left.checked_sub(1).ok_or(Unusable)?;
                // The line end before a boundary belongs to the boundary.
                let part: &[u8] = body.get(from..at).unwrap_or_default();
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                found.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            if is_last {
                return if found.is_empty() { Err(Unusable) } else { Ok(found) };
            }
        }
        at = end;
    }
    Err(Unusable)
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The header fields of a part, unfolded, and what comes after the empty line.
fn head_of(part: &[u8]) -> Result<(Fields, &[u8]), Unusable> {
    let (mut fields, mut rest) = (Fields::new(), part);
    loop {
        let lf = rest.iter().position(|&b| b == b'\n').ok_or(Unusable)?;
        let line = rest[..lf].strip_suffix(b"\r").unwrap_or(&rest[..lf]);
        rest = &rest[lf + 1..];
        if line.is_empty() {
            return Ok((fields, rest));
        }
        if line.len() > limits::SIP_LINE_MAX || fields.len() == limits::SIP_PART_FIELDS_MAX {
            return Err(Unusable);
        }
        if let (b' ' | b'\t', Some((_, value))) = (line[0], fields.last_mut()) {
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let colon = line.iter().position(|&b| b == b':').ok_or(Unusable)?;
        fields.push((line[..colon].trim_ascii_end().to_vec(), line[colon + 1..].trim_ascii().to_vec()));
    }
}

fn field(fields: &Fields, name: &str) -> Option<Vec<u8>> {
    fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.clone())
}

/// What stands before the parameters, lower-cased, without blanks.
fn media_type(value: &[u8]) -> String {
    let first = value.split(|&b| b == b';').next().unwrap_or_default();
    String::from_utf8_lossy(first).to_ascii_lowercase().split_whitespace().collect()
}

/// A parameter's value, without the quotes.
fn param(value: &[u8], name: &str) -> Option<Vec<u8>> {
    split_outside(value, b';').into_iter().skip(1).find_map(|item| {
        let eq = item.iter().position(|&b| b == b'=')?;
        let (key, value) = (item[..eq].trim_ascii(), item[eq + 1..].trim_ascii());
        let unquoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
        key.eq_ignore_ascii_case(name.as_bytes()).then(|| unquoted.unwrap_or(value).to_vec())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SDP: &str = "v=0\r\ns=-\r\n";

    fn part(head: &str, body: &str) -> String {
        format!("--b1\r\n{head}\r\n{body}\r\n")
    }

    fn sdp() -> String {
        part("Content-Type: application/sdp\r\n", SDP)
    }

    fn read<'a>(kind: &str, body: &'a str) -> Result<Option<&'a str>, Unusable> {
        let found = session_part(kind.as_bytes(), body.as_bytes(), "application/sdp")?;
        Ok(found.map(|octets| std::str::from_utf8(octets).unwrap()))
    }

    #[test]
    fn the_description_is_found_among_others() {
        let isup = part(
            "Content-Type: application/ISUP;version=x\r\nContent-Disposition: signal;handling=optional\r\n",
            "\x01",
        );
        let place = part("Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n", "<x/>");
        let said = part(
            "content-type : Application/SDP; charset=\"a;b\"\r\nContent-Disposition:\r\n  session;handling=required\r\n",
            SDP,
        );
        for body in [
            format!("{}{isup}--b1--\r\n", sdp()),
            format!("{isup}{place}{}--b1--", sdp()),
            format!("a preamble --b1\r\n--b12\r\n{place}{said}--b1--  \r\nan epilogue\r\n--b1\r\n"),
        ] {
            for kind in ["multipart/mixed;boundary=b1", "Multipart / Mixed ; x=y; BOUNDARY=\"b1\""] {
                assert_eq!(read(kind, &body), Ok(Some(SDP)), "{kind}\n{body}");
            }
        }
        let none = format!("{isup}{place}--b1--\r\n");
        assert_eq!(read("multipart/mixed;boundary=b1", &none), Ok(None));
    }

    #[test]
    fn of_alternatives_the_last_counts_and_parts_may_hold_parts() {
        let other = part("Content-Type: application/sdp\r\n", "v=1");
        let both = format!("{other}{}--b1--", sdp());
        assert_eq!(read("multipart/alternative;boundary=b1", &both), Ok(Some(SDP)));
        assert_eq!(read("multipart/mixed;boundary=b1", &both), Err(Unusable), "which of the two?");
        let nest = |kind: &str, body: &str| format!("--b0\r\nContent-Type: {kind}\r\n\r\n{body}\r\n--b0--\r\n");
        let inner = nest("multipart/alternative;boundary=b1", &both);
        assert_eq!(read("multipart/mixed;boundary=b0", &inner), Ok(Some(SDP)));
        let deep = inner.replace("b0", "c0");
        assert_eq!(
            read("multipart/mixed;boundary=b0", &nest("multipart/mixed;boundary=c0", &deep)),
            Ok(None),
            "too deep"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let required =
            part("Content-Type: application/x\r\nContent-Disposition: render;Handling=\"REQUIRED\"\r\n", "?");
        let encoded = part(
            "Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: session;handling=required\r\n",
            "dj0w",
        );
        let many = format!("{}--b1--", part("X: y\r\n", "").repeat(limits::SIP_BODY_PARTS_MAX + 1));
        for (kind, body) in [
            ("multipart/mixed", format!("{}--b1--", sdp())),
            ("multipart/mixed;boundary=", format!("{}--b1--", sdp())),
            ("multipart/mixed;boundary=\"b1 \"", format!("{}--b1--", sdp())),
            ("multipart/mixed;boundary=b2", format!("{}--b1--", sdp())),
            ("multipart/related;boundary=b1", format!("{}--b1--", sdp())),
            ("multipart/mixed;boundary=b1", sdp()),
            ("multipart/mixed;boundary=b1", "--b1--\r\n".to_owned()),
            ("multipart/mixed;boundary=b1", format!("{}{required}--b1--", sdp())),
            ("multipart/mixed;boundary=b1", format!("{encoded}--b1--")),
            ("multipart/mixed;boundary=b1", "--b1\r\nno colon\r\n\r\n\r\n--b1--".to_owned()),
            ("multipart/mixed;boundary=b1", "--b1\r\n--b1--".to_owned()),
            ("multipart/mixed;boundary=b1", many),
        ] {
            assert_eq!(read(kind, &body), Err(Unusable), "{kind}\n{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_fail(octets in proptest::collection::vec(prop_oneof![
            any::<u8>().prop_map(|b| vec![b]), Just(b"--b1".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()),
            Just(b"Content-Type: application/sdp\r\n".to_vec()), Just(b"Content-Type: multipart/mixed;boundary=b1\r\n".to_vec()),
        ], 0..40)) {
            let body = octets.concat();
            if let Ok(Some(found)) = session_part(b"multipart/mixed;boundary=b1", &body, "application/sdp") {
                prop_assert!(found.len() <= body.len());
            }
        }
    }
}
