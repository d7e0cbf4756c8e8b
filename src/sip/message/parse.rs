//! The parser. Purpose: one datagram → [`Message`], or what is wrong with it and enough of it to say so. Invariants: time
//! and memory are linear in the datagram; a header name is a token with only blanks before the colon (RFC 3261 §7.3.1;
//! anything else has been used to smuggle headers past filters).

use super::header::{Header, Name};
use super::text::{Method, split_list};
use super::uri::parse_number;
use crate::limits;

/// First line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartLine {
    /// Request-Line.
    Request {
        /// Method.
        method: Method,
        /// Request-URI as written.
        uri: Vec<u8>,
    },
    /// Status-Line.
    Status {
        /// 100–699.
        code: u16,
        /// Reason phrase as written.
        reason: Vec<u8>,
    },
}

/// A SIP message within the limits. Fields may still be missing or senseless: [`CoreFields`](super::CoreFields).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// First line.
    pub start: StartLine,
    /// Header fields in order.
    pub headers: Vec<Header>,
    /// Body, cut to Content-Length.
    pub body: Vec<u8>,
}

/// What is wrong, and the response that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} ({status})")]
pub struct Malformed {
    /// 400, 413, 416 or 505.
    pub status: u16,
    /// Reason phrase.
    pub what: &'static str,
}

/// A datagram that is no usable message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// What is wrong.
    pub malformed: Malformed,
    /// What could be read; present when there was a start line.
    pub partial: Option<Message>,
}

const fn bad(what: &'static str) -> Malformed {
    Malformed { status: 400, what }
}

/// Whether the datagram only keeps a NAT binding open (RFC 5626 §4.4.1: CRLFs; some devices send NULs or blanks).
#[must_use]
pub fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | 0 | b' '))
}

/// Reads one datagram. A missing Content-Length means that the body is the rest of it (RFC 3261 §18.3).
///
/// # Errors
/// [`Broken`] as described there.
pub fn parse_datagram(datagram: &[u8]) -> Result<Message, Broken> {
    let whole = |malformed| Broken { malformed, partial: None };
    if datagram.len() > limits::SIP_MESSAGE_MAX {
        return Err(whole(Malformed { status: 513, what: "Message Too Large" }));
    }
    // Empty lines before the start line are ignored (RFC 3261 §7.5).
    let leading = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(datagram.len());
    let mut lines = Lines { rest: &datagram[leading..] };
    let first = lines.next_line().ok_or_else(|| whole(bad("No start line")))?;
    let (start, fault) = match parse_start_line(first) {
        Ok(start) => (start, None),
        Err(malformed) => (meant_as_request(first).ok_or_else(|| whole(malformed))?, Some(malformed)),
    };
    let mut message = Message { start, headers: Vec::new(), body: Vec::new() };
    let result = parse_headers(&mut message, &mut lines).and_then(|()| take_body(&mut message, lines.rest));
    if let Some(malformed) = fault {
        return Err(Broken { malformed, partial: Some(message) });
    }
    match result {
        // A version that we do not speak is told as such, but only once there is something to answer to (RFC 4475 §3.1.2.16).
        Ok(()) if !first_is_sip_2(first) => {
            Err(Broken { malformed: Malformed { status: 505, what: "Version Not Supported" }, partial: Some(message) })
        }
        Ok(()) => Ok(message),
        Err(malformed) => Err(Broken { malformed, partial: Some(message) }),
    }
}

/// What the header section of a message on a stream says about its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// Content-Length.
    Octets(usize),
    /// Nothing is said about a body: there is none.
    None,
    /// A body of unknown length, several lengths that differ, or one that is no number.
    Uncertain,
}

/// Finds the length of the body in a header section, from the start line to the empty line. It reads the lines as
/// [`parse_datagram`] does, so that both agree on where a message ends.
#[must_use]
pub fn body_length(head: &[u8]) -> BodyLength {
    let mut lines = Lines { rest: head };
    let (mut length, mut has_type) = (BodyLength::None, false);
    lines.next_line();
    while let Some(line) = lines.next_line().filter(|line| !line.is_empty()) {
        let mut unfolded = line.to_vec();
        while lines.continues() {
            unfolded.push(b' ');
            unfolded.extend_from_slice(lines.next_line().unwrap_or_default().trim_ascii_start());
        }
        let Ok(header) = parse_header(&unfolded) else { continue };
        has_type |= header.name == Name::ContentType;
        if header.name == Name::ContentLength {
            let read = parse_number(&header.value).map_or(BodyLength::Uncertain, BodyLength::Octets);
            length = if length == BodyLength::None || length == read { read } else { BodyLength::Uncertain };
        }
    }
    if length == BodyLength::None && has_type { BodyLength::Uncertain } else { length }
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Next line without its CRLF (a bare LF is taken too); `None` when no line end is left.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let lf = self.rest.iter().position(|&b| b == b'\n')?;
        let line = &self.rest[..lf];
        self.rest = &self.rest[lf + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn continues(&self) -> bool {
        matches!(self.rest.first(), Some(b' ' | b'\t'))
    }
}

fn first_is_sip_2(line: &[u8]) -> bool {
    let starts = line.get(..8).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/2.0 "));
    let ends = line.len() >= 8 && line[line.len() - 8..].eq_ignore_ascii_case(b" SIP/2.0");
    starts || ends
}

fn parse_start_line(line: &[u8]) -> Result<StartLine, Malformed> {
    if line.len() > limits::SIP_LINE_MAX {
        return Err(Malformed { status: 414, what: "Request-URI Too Long" });
    }
    if line.iter().any(|&b| b < b' ' || b == 0x7f) {
        return Err(bad("Control character in start line"));
    }
    let mut words = line.splitn(3, |&b| b == b' ');
    let (first, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
    if first.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
        let code = second.filter(|c| c.len() == 3).and_then(parse_number::<u16>).filter(|c| (100..700).contains(c));
        let code = code.ok_or(bad("Bad status code"))?;
        return Ok(StartLine::Status { code, reason: third.unwrap_or_default().to_vec() });
    }
    let method = Method::parse(first).ok_or(bad("Bad method"))?;
    let uri = second.filter(|u| !u.is_empty()).ok_or(bad("No Request-URI"))?;
    let version = third.ok_or(bad("No SIP version"))?;
    let is_version = version.len() > 4 && version[..4].eq_ignore_ascii_case(b"SIP/") && !version.contains(&b' ');
    if !is_version {
        return Err(bad("Bad request line"));
    }
    Ok(StartLine::Request { method, uri: uri.to_vec() })
}

/// What a faulty request line was meant to be, so that it can be told what is wrong (RFC 4475 §3.1.2.8–10): a word at its
/// beginning, be it no method, and a version of SIP at its end. Never read as a request.
fn meant_as_request(line: &[u8]) -> Option<StartLine> {
    let line = line.trim_ascii();
    let blank = |b: &u8| b.is_ascii_whitespace();
    let (first, last) = (line.iter().position(blank)?, line.iter().rposition(blank)?);
    let is_version = line.get(last + 1..last + 5).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"));
    let word = line[..first].get(..limits::SIP_LINE_MAX.min(first))?;
    if !is_version || word.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
        return None;
    }
    let method = Method::parse(word).unwrap_or_else(|| Method::Other(word.to_vec()));
    Some(StartLine::Request { method, uri: line[first..=last].trim_ascii().to_vec() })
}

fn parse_headers(message: &mut Message, lines: &mut Lines<'_>) -> Result<(), Malformed> {
    // The first fault is reported, but reading goes on: Via, From and so on are needed to report it.
    let mut fault = None;
    loop {
        let Some(line) = lines.next_line() else {
            return Err(fault.unwrap_or(bad("Header section does not end")));
        };
        if line.is_empty() {
            return fault.map_or(Ok(()), Err);
        }
        let mut unfolded = line.to_vec();
        while lines.continues() {
            let Some(more) = lines.next_line() else {
                return Err(fault.unwrap_or(bad("Header section does not end")));
            };
            if unfolded.len() + more.len() > limits::SIP_LINE_MAX {
                return Err(fault.unwrap_or(bad("Header line too long")));
            }
            unfolded.push(b' ');
            unfolded.extend_from_slice(more.trim_ascii_start());
        }
        match parse_header(&unfolded) {
            Ok(header) => {
                if header.name.is_single() && message.header(&header.name).is_some() {
                    fault = fault.or(Some(bad("Header field given twice")));
                    continue; // the first one is kept, so that the response is as the peer expects
                }
                if message.headers.len() == limits::SIP_HEADERS_MAX {
                    return Err(bad("Too many header fields"));
                }
                message.headers.push(header);
            }
            Err(malformed) => fault = fault.or(Some(malformed)),
        }
    }
}

fn parse_header(line: &[u8]) -> Result<Header, Malformed> {
    if line.len() > limits::SIP_LINE_MAX {
        return Err(bad("Header line too long"));
    }
    let colon = line.iter().position(|&b| b == b':').ok_or(bad("Header line without colon"))?;
    let (before, after) = (&line[..colon], &line[colon + 1..]);
    let blanks = before.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let name = &before[..before.len() - blanks];
    if !super::is_token(name) {
        return Err(bad("Bad header name"));
    }
    // Controls inside a value are legal in quoted pairs (RFC 4475 §3.1.1.2), but not next to the colon, nor a bare CR.
    if after.first().is_some_and(|&b| (b < b' ' && b != b'\t') || b == 0x7f) || after.contains(&b'\r') {
        return Err(bad("Control character in header"));
    }
    Ok(Header { name: Name::parse(name), value: after.trim_ascii().to_vec() })
}

fn take_body(message: &mut Message, rest: &[u8]) -> Result<(), Malformed> {
    let length = match message.header(&Name::ContentLength) {
        Some(value) => parse_number::<usize>(value).ok_or(bad("Bad Content-Length"))?,
        None => rest.len(),
    };
    let body = rest.get(..length).ok_or(bad("Content-Length larger than message"))?;
    if length > limits::SIP_BODY_MAX {
        return Err(Malformed { status: 413, what: "Request Entity Too Large" });
    }
    message.body = body.to_vec();
    let hops = message.headers(&Name::Via).map(|v| split_list(v).len()).sum::<usize>();
    if hops > limits::SIP_VIAS_MAX {
        return Err(bad("Too many Via"));
    }
    for name in [Name::Contact, Name::Route, Name::RecordRoute] {
        if message.headers(&name).map(|v| split_list(v).len()).sum::<usize>() > limits::SIP_CONTACTS_MAX {
            return Err(bad("Too many addresses"));
        }
    }
    Ok(())
}

impl Message {
    /// First value of a header field.
    #[must_use]
    pub fn header(&self, name: &Name) -> Option<&[u8]> {
        self.headers.iter().find(|h| h.name == *name).map(|h| h.value.as_slice())
    }

    /// All values of a header field, in order, comma lists not taken apart.
    pub fn headers<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |h| h.name == *name).map(|h| h.value.as_slice())
    }

    /// All items of a comma-list header field, in order, over all its lines.
    #[must_use]
    pub fn list(&self, name: &Name) -> Vec<&[u8]> {
        self.headers.iter().filter(|h| h.name == *name).flat_map(|h| split_list(&h.value)).collect()
    }

    /// Whether a comma-list header has the token, in any case.
    #[must_use]
    pub fn lists(&self, name: &Name, token: &str) -> bool {
        self.list(name).iter().any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The media type of the body, lower-cased, without parameters; `None` without Content-Type.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.header(&Name::ContentType)?;
        let media_type = value.split(|&b| b == b';').next().unwrap_or_default();
        // LWS around the slash is legal.
        Some(String::from_utf8_lossy(media_type).to_ascii_lowercase().split_whitespace().collect())
    }
}
