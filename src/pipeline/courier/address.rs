//! Where messages may go. Purpose: whoever manages an app chooses its webhooks, but must not make the daemon talk to this
//! machine or this site (server-side request forgery, OWASP). Invariants: an address is judged after its name was looked up, and
//! that very address is connected to, so that a name cannot change its mind; only networks that the operator named are reached
//! beside public ones.

use crate::config::Network;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The address is inside; the operator decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no public address; the operator can allow it in [apps] webhook_networks")]
pub(super) struct Inside(String);

/// What may be reached.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    networks: Arc<[Network]>,
}

impl Guard {
    pub(super) fn new(networks: Vec<Network>) -> Self {
        Self { networks: networks.into() }
    }

    /// Judges what needs no look-up: scheme, and addresses written as such.
    pub(super) fn judge(&self, url: &Url) -> Result<(), Inside> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Inside(format!("{}:", url.scheme())));
        }
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => Err(Inside(address.to_string())),
            _ => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(|found| guard.allows(found.ip())).collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(inside)) => Err(Inside(inside.ip().to_string()).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether the address is one of the public internet (IANA special-purpose registries, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // Carriers' own, benchmarks, IETF assignments.
        || a == 100 && (64..128).contains(&b)
        || a == 198 && (b == 18 || b == 19)
        || (a, b, c) == (192, 0, 0))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 behind NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, ORCHID, documentation.
        [0x2001, 0..0x0200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // All of the internet is within 2000::/3.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_and_named_networks_are_reached() {
        let guard = Guard::new(vec![Network::parse("192.168.7.0/24").unwrap(), Network::parse("fd07::/16").unwrap()]);
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.8.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "2001::1",
            "fe80::1",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!guard.allows(inside.parse().unwrap()), "{inside}");
        }
        for open in [
            "8.8.8.8",
            "100.128.0.1",
            "2606:4700::1",
            "64:ff9b::808:808",
            "192.168.7.9",
            "::ffff:192.168.7.9",
            "fd07::1",
        ] {
            assert!(guard.allows(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn an_address_is_seen_through_however_it_is_written() {
        let guard = Guard::new(Vec::new());
        for host in
            ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1:8080", "[::1]", "[::ffff:127.0.0.1]", "user:pw@127.0.0.1"]
        {
            assert!(guard.judge(&Url::parse(&format!("http://{host}/")).unwrap()).is_err(), "{host}");
        }
        for scheme in ["file:///etc/passwd", "ftp://8.8.8.8/", "data:,x"] {
            assert!(guard.judge(&Url::parse(scheme).unwrap()).is_err(), "{scheme}");
        }
        assert_eq!(guard.judge(&Url::parse("https://8.8.8.8/x").unwrap()), Ok(()));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let guard = Guard::new(Vec::new());
        let refused = guard.resolve("localhost".parse().unwrap()).await;
        assert!(refused.is_err_and(|error| error.is::<Inside>()));
        let guard = Guard::new(vec![Network::parse("127.0.0.0/8").unwrap(), Network::parse("::1").unwrap()]);
        assert!(guard.resolve("localhost".parse().unwrap()).await.is_ok_and(|mut found| found.next().is_some()));
    }
}
