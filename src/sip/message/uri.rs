//! URIs (RFC 3261 §19.1, RFC 3966 as far as recognising them). Purpose: find user, host, port and `lr`; the raw octets
//! are kept beside, and only they are ever written again, so that no escape is touched.

use std::net::{IpAddr, SocketAddr};

use super::parse::Malformed;
use crate::sip::hop::Transport;

/// URI scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else.
    Other,
}

/// A URI, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uri {
    /// As written.
    pub raw: Vec<u8>,
    /// Scheme.
    pub scheme: Scheme,
    /// User without password, escapes as written; for `tel:` the number.
    pub user: Option<Vec<u8>>,
    /// Host without brackets; empty for `tel:` and other schemes.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
    /// Parameters and headers after the host, raw, from the first `;` or `?` on.
    pub tail: Vec<u8>,
}

impl Uri {
    /// Takes a URI apart.
    ///
    /// # Errors
    /// 400 when there is no scheme, no host, a bad port, an octet that no URI has (blank, control, `<`, `>`, `"`), a `%` that
    /// escapes nothing, or octets that are not UTF-8.
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        const BAD: Malformed = Malformed { status: 400, what: "Bad URI" };
        if raw.iter().any(|&b| b <= b' ' || b == 0x7f || b"<>\"".contains(&b)) {
            return Err(BAD);
        }
        let is_escape = |at: usize| raw.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if raw.iter().enumerate().any(|(at, &b)| b == b'%' && !is_escape(at)) || std::str::from_utf8(raw).is_err() {
            return Err(BAD);
        }
        let colon = raw.iter().position(|&b| b == b':').ok_or(BAD)?;
        let (scheme_name, rest) = (&raw[..colon], &raw[colon + 1..]);
        if !super::is_token(scheme_name) || rest.is_empty() {
            return Err(BAD);
        }
        let scheme = match scheme_name.to_ascii_lowercase().as_slice() {
            b"sip" => Scheme::Sip,
            b"sips" => Scheme::Sips,
            b"tel" => Scheme::Tel,
            _ => Scheme::Other,
        };
        let mut uri = Self { raw: raw.to_vec(), scheme, user: None, host: String::new(), port: None, tail: Vec::new() };
        if scheme == Scheme::Tel {
            uri.user = Some(rest.split(|&b| b == b';').next().unwrap_or_default().to_vec());
            return Ok(uri);
        }
        if scheme == Scheme::Other {
            return Ok(uri);
        }
        let host_port_tail = match rest.iter().position(|&b| b == b'@') {
            Some(at) => {
                let user = rest[..at].split(|&b| b == b':').next().unwrap_or_default();
                uri.user = (!user.is_empty()).then(|| user.to_vec());
                &rest[at + 1..]
            }
            None => rest,
        };
        let end = host_port_tail.iter().position(|&b| b == b';' || b == b'?').unwrap_or(host_port_tail.len());
        uri.tail = host_port_tail[end..].to_vec();
        (uri.host, uri.port) = parse_host_port(&host_port_tail[..end]).ok_or(BAD)?;
        Ok(uri)
    }

    /// Whether a URI parameter is there (name without value is enough), such as `lr`.
    #[must_use]
    pub fn has_param(&self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// A URI parameter's value, empty when it has none; `None` when the parameter is not there.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        let params = self.tail.split(|&b| b == b'?').next().unwrap_or_default();
        params.split(|&b| b == b';').find_map(|param| {
            let mut parts = param.splitn(2, |&b| b == b'=');
            let key = parts.next().unwrap_or_default();
            key.eq_ignore_ascii_case(name.as_bytes()).then(|| parts.next().unwrap_or_default())
        })
    }

    /// The transport that the URI asks for: its parameter, or TLS for `sips:`; `None` when it does not say, or one that we
    /// do not have (RFC 3263 §4.1).
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        let asked = self.param("transport").and_then(Transport::of_name);
        match (self.scheme, asked) {
            (Scheme::Sips, None | Some(Transport::Tcp | Transport::Tls)) => Some(Transport::Tls),
            (Scheme::Sips, Some(Transport::Udp)) => None,
            (_, asked) => asked,
        }
    }

    /// The socket address when the host is an address literal, with the port of the scheme and transport unless written.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        let port = self.transport().unwrap_or(Transport::Udp).default_port();
        Some(SocketAddr::new(address, self.port.unwrap_or(port)))
    }

    /// The URI as a Request-URI of a strict router (RFC 3261 §12.2.1.1): without headers.
    #[must_use]
    pub fn without_headers(&self) -> &[u8] {
        // A question mark before the host is the user's (RFC 3261 §25.1).
        let headers = self.tail.iter().position(|&b| b == b'?').map_or(0, |at| self.tail.len() - at);
        &self.raw[..self.raw.len() - headers]
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, with blanks around the colon allowed (Via has them).
pub(super) fn parse_host_port(octets: &[u8]) -> Option<(String, Option<u16>)> {
    let octets = octets.trim_ascii();
    let (host, rest) = if let Some(inner) = octets.strip_prefix(b"[") {
        let close = inner.iter().position(|&b| b == b']')?;
        let host = std::str::from_utf8(&inner[..close]).ok()?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, &inner[close + 1..])
    } else {
        let end = octets.iter().position(|&b| b == b':').unwrap_or(octets.len());
        let host = octets[..end].trim_ascii_end();
        let named = |b: &u8| b.is_ascii_alphanumeric() || b"-._%".contains(b);
        if host.is_empty() || !host.iter().all(named) {
            return None;
        }
        (std::str::from_utf8(host).ok()?, &octets[end..])
    };
    let rest = rest.trim_ascii();
    let port = match rest.strip_prefix(b":") {
        Some(digits) => Some(parse_number(digits.trim_ascii())?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((host.to_owned(), port))
}

/// Decimal digits only (no sign), within the type's range.
pub(super) fn parse_number<T: std::str::FromStr>(octets: &[u8]) -> Option<T> {
    if octets.is_empty() || !octets.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(octets).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(raw: &str) -> Uri {
        Uri::parse(raw.as_bytes()).unwrap_or_else(|_| panic!("{raw}"))
    }

    #[test]
    fn parts() {
        let u = uri("sip:*72%23:pw@10.0.0.1:5070;transport=udp;lr?Subject=x");
        assert_eq!(u.user.as_deref(), Some(&b"*72%23"[..]));
        assert_eq!((u.host.as_str(), u.port), ("10.0.0.1", Some(5070)));
        assert!(u.has_param("LR") && u.has_param("transport") && !u.has_param("Subject"));
        assert_eq!(u.socket_address().unwrap().to_string(), "10.0.0.1:5070");
        assert_eq!(u.without_headers(), b"sip:*72%23:pw@10.0.0.1:5070;transport=udp;lr");
        assert_eq!(uri("sip:a?b@h;lr?x=y").without_headers(), b"sip:a?b@h;lr");
        assert_eq!(uri("sip:evil.example?x@h").without_headers(), b"sip:evil.example?x@h");
        assert_eq!(uri("tel:1@h?x").without_headers(), b"tel:1@h?x");
        assert_eq!(uri("SIPS:[2001:db8::1]:5061").socket_address().unwrap().to_string(), "[2001:db8::1]:5061");
        assert_eq!(uri("sip:host_with_underscore").host, "host_with_underscore");
        assert_eq!(
            uri("sip:user;par=u%40example.net@example.com").user.as_deref(),
            Some(&b"user;par=u%40example.net"[..])
        );
        assert_eq!(uri("tel:+1-201-555-0123;phone-context=x").user.as_deref(), Some(&b"+1-201-555-0123"[..]));
        assert_eq!(uri("nobodyKnowsThisScheme:totallyopaquecontent").scheme, Scheme::Other);
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "sip:",
            "sip:@",
            "sip:a@",
            "sip:a@h:99999",
            "sip:a@h:-1",
            "sip:a b@h",
            "host",
            "sip:[::1",
            "sip:a@[1.2.3.4]",
            "<sip:a@h>",
            "sip:h x",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
