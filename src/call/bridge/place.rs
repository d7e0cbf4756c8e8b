//! Whom a bridged call goes to, and as whom. Purpose: from the configured URI and what the caller said to a request that
//! can be sent; host names are looked up by the system's resolver, off the loop. Deliberately absent: DNS SRV and NAPTR
//! (RFC 3263): a host has one address and the port that is written.

use crate::config::BridgeTarget;
use crate::limits::BRIDGE_LOOKUP_MAX;
use crate::sip::message::{Address, Uri, to_text};
use std::net::{IpAddr, SocketAddr};

/// A call that can be placed once its host has an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Destination {
    /// Request-URI.
    pub(super) uri: String,
    host: String,
    port: u16,
}

impl Destination {
    /// The destination of a call to `number`. Error: what is wrong with the number.
    pub(super) fn of(target: &BridgeTarget, number: &str) -> Result<Self, String> {
        let uri = target.uri(number);
        let parsed = Uri::parse(uri.as_bytes()).map_err(|_| format!("{number:?} makes no SIP URI: {uri}"))?;
        // An empty number leaves a user part that is empty, which is another address than the operator has in mind.
        if uri.contains('@') && parsed.user.is_none() {
            return Err(format!("nobody was called, and {target} needs a number"));
        }
        Ok(Self { uri, host: parsed.host, port: parsed.port.unwrap_or(5060) })
    }

    /// Looks the host up. `ipv4` is the address family that our socket speaks. Error: for the log.
    pub(super) async fn resolve(self, ipv4: bool) -> Result<SocketAddr, String> {
        let lookup = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = tokio::time::timeout(BRIDGE_LOOKUP_MAX, lookup)
            .await
            .map_err(|_| format!("{} was not found within {} s", self.host, BRIDGE_LOOKUP_MAX.as_secs()))?
            .map_err(|error| format!("{} was not found: {error}", self.host))?
            .find(|address| address.is_ipv4() == ipv4);
        found.ok_or_else(|| format!("{} has no IPv{} address", self.host, if ipv4 { 4 } else { 6 }))
    }
}

/// The caller's display name and user at our host: answers to it come back to us. Who may claim what is not decided here.
pub(super) fn identity(from: &str, host: IpAddr) -> String {
    let address = Address::parse(from.as_bytes()).ok();
    let uri = address.as_ref().and_then(|a| Uri::parse(&a.uri).ok());
    let user = uri.and_then(|u| u.user).map_or_else(|| "anonymous".to_owned(), |u| to_text(&u));
    let display = address.map(|a| to_text(&a.display)).unwrap_or_default();
    let host = match host {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let separator = if display.is_empty() { "" } else { " " };
    format!("{display}{separator}<sip:{user}@{host}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_destinations() {
        let of = |target: &str, number: &str| Destination::of(&BridgeTarget::parse(target).unwrap(), number);
        let there = of("sip:{number}@sbc.example", "+4930123").unwrap();
        assert_eq!(
            (there.uri.as_str(), there.host.as_str(), there.port),
            ("sip:+4930123@sbc.example", "sbc.example", 5060)
        );
        assert_eq!(of("sip:uas@[::1]:5090", "300").unwrap().host, "::1");
        assert_eq!(of("sip:10.0.0.1", "300").unwrap().uri, "sip:10.0.0.1");
        assert!(of("sip:{number}@h", "").is_err());
        assert!(of("sip:{number}@h", "a b").is_err());
        assert!(of("sip:{number}@h", "x>").is_err());
    }

    #[tokio::test]
    async fn literal_addresses_are_found_in_their_family() {
        let target = BridgeTarget::parse("sip:a@127.0.0.1:5090").unwrap();
        let there = Destination::of(&target, "1").unwrap();
        assert_eq!(there.clone().resolve(true).await.unwrap().to_string(), "127.0.0.1:5090");
        assert!(there.resolve(false).await.unwrap_err().contains("IPv6"));
    }

    #[test]
    fn the_caller_keeps_name_and_number() {
        let us: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(identity("\"Ann, B\" <sip:ann@10.0.0.9:5080;x=y>", us), "\"Ann, B\" <sip:ann@192.0.2.1>");
        assert_eq!(identity("<sip:+49301@h>", us), "<sip:+49301@192.0.2.1>");
        assert_eq!(identity("sip:ann@h", "::1".parse().unwrap()), "<sip:ann@[::1]>");
        for odd in ["<sip:h>", "", "\"", "tel:123x>"] {
            assert!(identity(odd, us).ends_with("<sip:anonymous@192.0.2.1>"), "{odd}");
        }
    }
}
