//! Via (RFC 3261 §18.2, §20.42; RFC 3581). Purpose: know where a response goes, and write the hop back with what we
//! learned about its address.

use std::net::{IpAddr, SocketAddr};

use super::address::{Param, find_param, parse_params};
use super::parse::Malformed;
use super::uri::parse_host_port;
use crate::sip::hop::Hop;

const BAD: Malformed = Malformed { status: 400, what: "Bad Via" };

/// Branches that start with it are unique (RFC 3261 §8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Via {
    /// Version as written: `2.0`.
    pub version: Vec<u8>,
    /// Transport as written, such as `UDP`.
    pub transport: Vec<u8>,
    /// sent-by host.
    pub host: String,
    /// sent-by port, if written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Vec<Param>,
}

impl Via {
    /// Reads one value (no comma list).
    ///
    /// # Errors
    /// 400 when protocol, version, transport or sent-by are not readable or not SIP 2.0.
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        let via = Self::parse_any_version(value)?;
        if via.version == b"2.0" { Ok(via) } else { Err(BAD) }
    }

    /// The same for any version: who speaks another one is told so, too (RFC 4475 §3.1.2.16).
    ///
    /// # Errors
    /// 400 as above.
    pub fn parse_any_version(value: &[u8]) -> Result<Self, Malformed> {
        let mut parts = value.splitn(3, |&b| b == b'/');
        let protocol = parts.next().unwrap_or_default().trim_ascii();
        let version = parts.next().ok_or(BAD)?.trim_ascii();
        let rest = parts.next().ok_or(BAD)?.trim_ascii();
        if !protocol.eq_ignore_ascii_case(b"SIP") || !super::is_token(version) {
            return Err(BAD);
        }
        let blank = rest.iter().position(u8::is_ascii_whitespace).ok_or(BAD)?;
        let (transport, rest) = (&rest[..blank], rest[blank..].trim_ascii_start());
        let end = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
        let (host, port) = parse_host_port(&rest[..end]).ok_or(BAD)?;
        if !super::is_token(transport) {
            return Err(BAD);
        }
        let version = version.to_vec();
        Ok(Self { version, transport: transport.to_vec(), host, port, params: parse_params(&rest[end..]) })
    }

    /// The branch; empty when there is none.
    #[must_use]
    pub fn branch(&self) -> &[u8] {
        find_param(&self.params, "branch").unwrap_or_default()
    }

    /// The address that the next hop saw the request come from (RFC 3581 §4), when it says both.
    #[must_use]
    pub fn received(&self) -> Option<SocketAddr> {
        let text = |name| std::str::from_utf8(find_param(&self.params, name)?).ok();
        let address: IpAddr = text("received")?.trim_matches(['[', ']']).parse().ok()?;
        Some(SocketAddr::new(address, text("rport")?.parse().ok().filter(|port| *port != 0)?))
    }

    /// Where the response to a request that came from `source` goes: always to the source's address; to its port when
    /// the client asked for that (`rport`), else to the port of sent-by. On a stream that is where a new connection goes
    /// once the request's own is gone (RFC 3261 §18.2.2). `maddr` is not obeyed: it would let anybody aim our answers at a
    /// third party.
    #[must_use]
    pub fn response_destination(&self, source: &Hop) -> SocketAddr {
        if find_param(&self.params, "rport").is_some() && !source.transport.is_reliable() {
            source.address
        } else {
            SocketAddr::new(source.address.ip(), self.port.unwrap_or(source.transport.default_port()))
        }
    }

    /// The value for the response: `received` and `rport` filled in (RFC 3581 §4), whatever the client put there.
    #[must_use]
    pub fn stamped(&self, source: SocketAddr) -> Vec<u8> {
        let mut out = [b"SIP/", &self.version[..], b"/"].concat();
        out.extend_from_slice(&self.transport);
        out.push(b' ');
        let is_v6 = self.host.contains(':');
        out.extend_from_slice(if is_v6 { format!("[{}]", self.host) } else { self.host.clone() }.as_bytes());
        if let Some(port) = self.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        let wants_port = find_param(&self.params, "rport").is_some();
        for param in self.params.iter().filter(|p| p.name != "received" && p.name != "rport") {
            out.push(b';');
            out.extend_from_slice(param.name.as_bytes());
            if let Some(value) = &param.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
        let source_ip = source.ip().to_canonical();
        if wants_port || self.host.parse::<IpAddr>().ok() != Some(source_ip) {
            out.extend_from_slice(format!(";received={source_ip}").as_bytes());
        }
        if wants_port {
            out.extend_from_slice(format!(";rport={}", source.port()).as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_torture_writes() {
        let v = Via::parse(b"SIP  / 2.0\t/  UDP    192.0.2.2 : 5070 ;branch=390skdjuw;rport").unwrap();
        assert_eq!((v.transport.as_slice(), v.host.as_str(), v.port), (&b"UDP"[..], "192.0.2.2", Some(5070)));
        assert_eq!(v.branch(), b"390skdjuw");
        assert_eq!(Via::parse(b"SIP/2.0/TCP [2001:db8::9:1];branch=z9hG4bKas3").unwrap().host, "2001:db8::9:1");
        for bad in [
            &b"SIP/2.0/UDP"[..],
            b"",
            b"SIP/7.0/UDP h",
            b"HTTP/2.0/UDP h",
            b"SIP/2.0/UDP ;branch=1",
            b"SIP/2.0/UDP h:x",
        ] {
            assert!(Via::parse(bad).is_err());
        }
    }

    #[test]
    fn response_goes_to_the_source_only() {
        let source: SocketAddr = "203.0.113.9:33000".parse().unwrap();
        let plain =
            Via::parse(b"SIP/2.0/UDP 10.1.1.1:5080;branch=z9hG4bKa;maddr=198.51.100.1;received=1.2.3.4").unwrap();
        assert_eq!(plain.response_destination(&Hop::udp(source)).to_string(), "203.0.113.9:5080");
        assert_eq!(
            plain.stamped(source),
            b"SIP/2.0/UDP 10.1.1.1:5080;branch=z9hG4bKa;maddr=198.51.100.1;received=203.0.113.9"
        );
        let rport = Via::parse(b"SIP/2.0/UDP 10.1.1.1:5080;rport;branch=z9hG4bKa").unwrap();
        assert_eq!(rport.response_destination(&Hop::udp(source)), source);
        assert_eq!(
            rport.stamped(source),
            b"SIP/2.0/UDP 10.1.1.1:5080;branch=z9hG4bKa;received=203.0.113.9;rport=33000"
        );
    }
}
