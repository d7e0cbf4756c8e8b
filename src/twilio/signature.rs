//! Whether Twilio has signed a request (X-Twilio-Signature, <https://www.twilio.com/docs/usage/security>). Pure. Purpose: the
//! HMAC-SHA1 over the exact address that Twilio used and the fields of its form, checked in constant time by every token in
//! force. Invariants: the address comes from the configuration, or from a proxy that the operator trusts, never from whoever
//! asks; no more than [`ADDRESSES_MAX`] ways of writing it are tried. Deliberately absent: which proxy is trusted (`door`).

use crate::config::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Ways to write one address that are tried.
pub const ADDRESSES_MAX: usize = 8;

/// Fields of a form, in any order.
pub type Fields = [(String, String)];

/// The signature of a request to `url` with the fields of its form (none for GET and for sockets).
#[must_use]
pub fn sign(token: &Secret, url: &str, fields: &Fields) -> String {
    STANDARD.encode(mac(token, url, fields).finalize().into_bytes())
}

/// Whether one of `tokens` has signed a request to one of `urls`.
#[must_use]
pub fn is_signed(tokens: &[Secret], signature: &str, urls: &[String], fields: &Fields) -> bool {
    let Ok(given) = STANDARD.decode(signature.trim()) else { return false };
    let tried = || tokens.iter().flat_map(|token| urls.iter().take(ADDRESSES_MAX).map(move |url| (token, url)));
    tried().fold(false, |found, (token, url)| mac(token, url, fields).verify_slice(&given).is_ok() | found)
}

/// Whether `body` is the one whose SHA-256 the address names (`bodySHA256`, for bodies that are no forms).
#[must_use]
pub fn is_body_named(query: &str, body: &[u8]) -> bool {
    let named = query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256="));
    named.is_some_and(|named| named.eq_ignore_ascii_case(&hex(&Sha256::digest(body))))
}

fn mac(token: &Secret, url: &str, fields: &Fields) -> Hmac<Sha1> {
    let mut sorted: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A field that is there twice counts once per value, as Twilio's own libraries have it.
    sorted.sort_unstable();
    sorted.dedup();
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(token.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac
}

/// How Twilio may have written the address of a request: `base` is scheme, host, perhaps a port, perhaps the beginning of the path; with and without the
/// scheme's own port, and for a socket by its own scheme and with a slash at the end.
#[must_use]
pub fn addresses(base: &str, path_and_query: &str, is_socket: bool) -> Vec<String> {
    let base = base.trim_end_matches('/');
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let secure = matches!(scheme, "https" | "wss");
    let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if secure { ":443" } else { ":80" };
    let hosts = match host.strip_suffix(port) {
        Some(bare) => [bare.to_owned(), host.to_owned()],
        None if has_port(host) => [host.to_owned(), String::new()],
        None => [host.to_owned(), format!("{host}{port}")],
    };
    let schemes: &[&str] = match (is_socket, secure) {
        (true, true) => &["wss", "https"],
        (true, false) => &["ws", "http"],
        (false, true) => &["https"],
        (false, false) => &["http"],
    };
    let ends: &[&str] = if is_socket && !path_and_query.contains('?') { &["", "/"] } else { &[""] };
    let mut all = Vec::new();
    for scheme in schemes {
        for host in hosts.iter().filter(|host| !host.is_empty()) {
            all.extend(ends.iter().map(|end| format!("{scheme}://{host}{prefix}{path_and_query}{end}")));
        }
    }
    all
}

/// `[::1]` has none.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        for nibble in [octet >> 4, octet & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        text
    })
}

/// The fields of an `application/x-www-form-urlencoded` body; at most `most`.
#[must_use]
pub fn fields(body: &[u8], most: usize) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok()?;
    let pairs: Vec<&str> = text.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > most {
        return None;
    }
    let field = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    };
    pairs.into_iter().map(field).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                // Two digits: below 256.
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://www.twilio.com/docs/usage/security>: token `12345`, and the fields of the example.
    fn example(from: &str) -> (Secret, String, Vec<(String, String)>) {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2".to_owned();
        let fields = [
            ("Digits", "1234"),
            ("To", "+18005551212"),
            ("From", from),
            ("Caller", from),
            ("CallSid", "CA1234567890ABCDE"),
        ];
        let fields = fields.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        (Secret::from("12345".to_owned()), url, fields)
    }

    #[test]
    fn the_documented_examples_hold() {
        for (from, signature) in
            [("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="), ("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")]
        {
            let (token, url, fields) = example(from);
            assert_eq!(sign(&token, &url, &fields), signature);
            let urls = addresses("https://mycompany.com", "/myapp.php?foo=1&bar=2", false);
            assert!(is_signed(std::slice::from_ref(&token), signature, &urls, &fields));
            // Either token while they are changed.
            let both = [Secret::from("new".to_owned()), token];
            assert!(is_signed(&both, signature, &urls, &fields));
            assert!(!is_signed(&both[..1], signature, &urls, &fields));
        }
    }

    #[test]
    fn every_difference_is_a_forgery() {
        let (token, url, fields) = example("+12349013030");
        let tokens = [token];
        let good = sign(&tokens[0], &url, &fields);
        let of = |url: &str, fields: &Fields| is_signed(&tokens, &good, &[url.to_owned()], fields);
        assert!(of(&url, &fields));
        assert!(!of("https://mycompany.com/myapp.php?foo=1&bar=3", &fields), "the query");
        assert!(!of("https://mycompany.com:8443/myapp.php?foo=1&bar=2", &fields), "the port");
        assert!(!of("http://mycompany.com/myapp.php?foo=1&bar=2", &fields), "the scheme");
        assert!(!of("https://mycompany.com/myapp.php/?foo=1&bar=2", &fields), "a slash");
        assert!(!of(&url, &fields[1..]), "a field is missing");
        let mut more = fields.clone();
        more.push(("Empty".to_owned(), String::new()));
        assert!(!of(&url, &more), "an empty field counts by its name");
        for bad in ["", "====", "0/KCTR6DLpKmkAf8muzZqo1nDgQ", "not base64!", "MDEyMw=="] {
            assert!(!is_signed(&tokens, bad, std::slice::from_ref(&url), &fields), "{bad}");
        }
        assert!(!is_signed(&[], &good, &[url], &fields), "nobody's token");
    }

    #[test]
    fn order_and_repeats_do_not_matter_to_whoever_sorts() {
        let (token, url, mut fields) = example("+12349013030");
        let good = sign(&token, &url, &fields);
        fields.reverse();
        assert_eq!(sign(&token, &url, &fields), good);
        let twice = [fields.clone(), fields.clone()].concat();
        assert_eq!(sign(&token, &url, &twice), good);
    }

    #[test]
    fn an_address_is_tried_as_proxies_leave_it() {
        assert_eq!(
            addresses("https://a.example", "/incoming?x=1", false),
            ["https://a.example/incoming?x=1", "https://a.example:443/incoming?x=1"]
        );
        assert_eq!(addresses("https://a.example:8443/p/", "/incoming", false), ["https://a.example:8443/p/incoming"]);
        assert_eq!(
            addresses("http://[::1]:80", "/incoming", false),
            ["http://[::1]/incoming", "http://[::1]:80/incoming"]
        );
        let socket = addresses("https://a.example:443", "/media", true);
        assert_eq!(socket.len(), ADDRESSES_MAX);
        for one in ["wss://a.example/media", "wss://a.example/media/", "https://a.example:443/media"] {
            assert!(socket.iter().any(|url| url == one), "{one}: {socket:?}");
        }
        let token = [Secret::from("t".to_owned())];
        for url in &socket {
            assert!(is_signed(&token, &sign(&token[0], url, &[]), &socket, &[]), "{url}");
        }
    }

    #[test]
    fn bodies_are_named_by_their_digest() {
        let body = b"{\"property\": \"value\", \"boolean\": true}";
        let digest = hex(&Sha256::digest(body));
        assert!(is_body_named(&format!("bodySHA256={digest}"), body));
        assert!(is_body_named(&format!("a=b&bodySHA256={}", digest.to_uppercase()), body));
        assert!(!is_body_named(&format!("bodySHA256={digest}"), b"{}"));
        assert!(!is_body_named("", body));
    }

    #[test]
    fn forms_are_read() {
        let read = |body: &[u8]| fields(body, 4);
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            read(b"To=%2B1800&Name=Ann+B%C3%A4r&Empty=&&Bare").unwrap(),
            [pair("To", "+1800"), pair("Name", "Ann Bär"), pair("Empty", ""), pair("Bare", "")]
        );
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"\xff", b"a=1&b=2&c=3&d=4&e=5"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
