//! A request and its answer as plain values. Purpose: what handlers, tests and scenarios speak, whatever carried it.
//! Invariant: every answer carries the security headers and the template of the route that gave it.
//! Deliberately absent: sockets and HTTP framing (`serve`).

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Header by which the gateway learns the route template of an answer; it strips it before the caller sees it.
pub const ROUTE_HEADER: &str = "x-app-route";

/// What a page may load and do: itself only, no inline script or style.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A request, fully read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Percent-decoded path.
    pub path: String,
    /// Decoded query; the last of equal names wins.
    pub query: BTreeMap<String, String>,
    /// Headers that matter, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// At most the app's `body_bytes`.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields beside the constant ones.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for `target` (path and query) as sent on the wire.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            path: percent_decode(path, false),
            query: pairs(query),
            ..Self::default()
        }
    }

    /// The header called `name` (lower case), or "".
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The cookie called `name`.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.header("cookie").split(';').filter_map(|c| c.trim().split_once('=')).find(|(n, _)| *n == name).map(|p| p.1)
    }

    /// The address that the gateway saw, or "".
    #[must_use]
    pub fn client(&self) -> &str {
        self.header("x-forwarded-for").split(',').next().unwrap_or_default().trim()
    }

    /// Whether the body claims to be `media_type`.
    #[must_use]
    pub fn has_type(&self, media_type: &str) -> bool {
        let essence = self.header("content-type").split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(media_type)
    }

    /// The body as a submitted form.
    #[must_use]
    pub fn form(&self) -> BTreeMap<String, String> {
        pairs(&String::from_utf8_lossy(&self.body))
    }
}

impl Response {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body }
    }

    /// A page.
    #[must_use]
    pub fn html(status: u16, body: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", body.into_bytes())
            .with("content-security-policy", CONTENT_SECURITY_POLICY)
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }

    /// A file.
    #[must_use]
    pub fn file(content_type: &str, body: Vec<u8>) -> Self {
        Self::new(200, content_type, body)
    }

    /// A JSON error: `{"error": {"code", "message", "fields"}}`.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str, fields: &BTreeMap<String, String>) -> Self {
        let mut error = json!({ "code": code, "message": message });
        if !fields.is_empty() {
            error["fields"] = json!(fields);
        }
        Self::json(status, &json!({ "error": error }))
    }

    /// "See other": what a form leads to.
    #[must_use]
    pub fn see_other(location: String) -> Self {
        Self { status: 303, headers: vec![("location", location)], body: Vec::new() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with what every answer carries. `route` is the template that matched.
    #[must_use]
    pub(super) fn finish(mut self, route: &str) -> Self {
        if !self.headers.iter().any(|(n, _)| *n == "cache-control") {
            self = self.with("cache-control", "no-store");
        }
        self.with("x-content-type-options", "nosniff")
            .with("referrer-policy", "same-origin")
            .with("cross-origin-opener-policy", "same-origin")
            .with("cross-origin-resource-policy", "same-origin")
            .with("x-frame-options", "DENY")
            .with(ROUTE_HEADER, route)
    }

    /// The header called `name`, or "".
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v.as_str())
    }
}

/// What came back, as the asker sees it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case; the last of equal names wins.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let headers = response.headers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        Self { status: response.status, headers, body: response.body }
    }
}

/// `a=b&c=d` with percent and plus decoding.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |p: &str| {
        let (name, value) = p.split_once('=').unwrap_or((p, ""));
        (percent_decode(name, true), percent_decode(value, true))
    };
    text.split('&').filter(|p| !p.is_empty()).map(pair).collect()
}

fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                let ahead: Vec<u8> = bytes.clone().take(2).collect();
                let code = std::str::from_utf8(&ahead).ok().filter(|h| h.len() == 2 && !h.starts_with('+'));
                match code.and_then(|h| u8::from_str_radix(h, 16).ok()) {
                    Some(decoded) => {
                        out.push(decoded);
                        _ = bytes.nth(1);
                    }
                    None => out.push(b'%'),
                }
            }
            b => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `text` for use inside of a query.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_are_decoded_once() {
        let r = Request::new("GET", "/a%20b%2525?q=x+y%26z&flag&q=last");
        assert_eq!(r.path, "/a b%25");
        assert_eq!(r.query["q"], "last");
        assert_eq!(r.query["flag"], "");
        assert_eq!(Request::new("GET", "/?q=%").query["q"], "%");
        assert_eq!(Request::new("GET", "/?q=%+1%zz").query["q"], "% 1%zz");
    }

    proptest! {
        #[test]
        fn any_target_parses(target in ".{0,200}") {
            _ = Request::new("GET", &target);
        }

        #[test]
        fn encoding_is_undone_by_decoding(text in ".{0,50}") {
            prop_assert_eq!(&Request::new("GET", &format!("/?q={}", percent_encode(&text))).query["q"], &text);
        }
    }
}
