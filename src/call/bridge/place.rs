//! Whom a bridged call goes to, and as whom. Purpose: from the configured URI and what the caller said to a request that
//! can be sent; where it goes is looked up off the loop.

use super::machine::Refusal;
use crate::call::trunks::{Trunks, Way};
use crate::config::{BridgeTarget, Config, Trunk};
use crate::limits::SIP_REDIRECTS_MAX;
use crate::sip::message::{Address, Uri, to_text};
use crate::sip::transport::local_address_towards;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A call that can be placed once its host has an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::call) struct Destination {
    /// Request-URI.
    pub(in crate::call) uri: String,
    end: End,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    /// As the URI says.
    Host,
    Trunk {
        name: String,
        number: String,
    },
    Extension(String),
}

impl Destination {
    /// The destination of a call to `number`, which the caller has chosen: it becomes a user and nothing else. Error: what
    /// is wrong with the number.
    pub(in crate::call) fn of(target: &BridgeTarget, number: &str) -> Result<Self, String> {
        let uri = target.uri(number);
        let end = match target {
            BridgeTarget::Uri(_) => None,
            BridgeTarget::Trunk { name, .. } => Some(End::Trunk { name: name.clone(), number: uri.clone() }),
            BridgeTarget::Extension(_) => Some(End::Extension(uri.clone())),
        };
        if let Some(end) = end {
            return if !uri.is_empty() && uri.bytes().all(is_of_user) {
                Ok(Self { uri, end })
            } else {
                Err(format!("{number:?} is no number that can be passed on to {target}"))
            };
        }
        let harmless = target.uri("1");
        let (meant, goes_out) = (Uri::parse(harmless.as_bytes()), harmless != target.uri("2"));
        let meant = meant.map_err(|_| format!("{target} is no SIP URI"))?;
        if goes_out && !number.bytes().all(is_of_user) {
            return Err(format!("{number:?} is no number that can be passed on to {target}"));
        }
        let parsed = Uri::parse(uri.as_bytes()).map_err(|_| format!("{number:?} makes no SIP URI: {uri}"))?;
        // An empty number leaves a user part that is empty, which is another address than the operator has in mind.
        if uri.contains('@') && parsed.user.is_none() {
            return Err(format!("nobody was called, and {target} needs a number"));
        }
        let place = |u: &Uri| (u.scheme, u.host.clone(), u.port, u.tail.clone());
        if place(&parsed) != place(&meant) {
            return Err(format!("{number:?} would lead elsewhere than {target}"));
        }
        Ok(Self { uri, end: End::Host })
    }

    /// Looks up where the call goes (RFC 3263). Error: what the caller is told.
    pub(in crate::call) async fn resolve(self, trunks: Arc<Trunks>) -> Result<Way, Refusal> {
        let lost = |why: String| Refusal::new(502, "Bad Gateway", why);
        match self.end {
            End::Host => {}
            End::Trunk { name, number } => return trunks.by_trunk(&name, &number).await.map_err(lost),
            End::Extension(number) => {
                let way = trunks.to_extension(&number).await.map_err(|error| lost(error.to_string()))?;
                let nobody = || format!("no telephone is registered for {number}");
                return way.ok_or_else(|| Refusal::new(480, "Temporarily Unavailable", nobody()));
            }
        }
        let hops = trunks.find(&self.uri).await.map_err(|error| lost(error.to_string()))?;
        Ok(Way { target: self.uri, hops, account: None, routes: Vec::new(), others: Vec::new(), pages: None })
    }
}

/// The number in `sip:NUMBER@…`.
pub(in crate::call) fn place_number(target: &str) -> String {
    let user = target.strip_prefix("sip:").unwrap_or(target);
    user.split('@').next().unwrap_or_default().to_owned()
}

/// What a user part may hold that was chosen by somebody else: no octet that ends it, whichever grammar is read strictly.
const fn is_of_user(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'+' | b'*' | b'#' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&')
        || matches!(octet, b'\'' | b'(' | b')' | b',' | b'=' | b'%' | b'-')
}

/// Whether a call to `destination` would come back to the socket bound to `local`, known outside as `public`. Loops by way
/// of others end by Max-Forwards.
pub(in crate::call) fn leads_back(destination: SocketAddr, local: SocketAddr, public: Option<IpAddr>) -> bool {
    let ip = destination.ip();
    // What we send to an address of our own leaves from that address.
    let is_ours = || ip.is_loopback() || local_address_towards(ip).is_ok_and(|from| from == ip);
    let here = ip == local.ip() || public == Some(ip) || local.ip().is_unspecified() && is_ours();
    here && destination.port() == local.port()
}

/// Who we are to those whom we call ourselves.
pub(in crate::call) fn our_identity(host: IpAddr) -> String {
    identity("\"Callwright\" <sip:callwright@localhost>", host)
}

/// The caller's display name and user at our host: answers to it come back to us. Who may claim what is not decided here.
pub(in crate::call) fn identity(from: &str, host: IpAddr) -> String {
    identity_of(from, None, &host_of(&host))
}

/// As a host of a URI.
pub(in crate::call) fn host_of(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// The caller's display name, and the user and host that the trunk wants to see.
pub(in crate::call) fn identity_at(from: &str, trunk: &Trunk) -> String {
    let host = trunk.from_domain.as_ref().unwrap_or(&trunk.host);
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    identity_of(from, trunk.from_user.as_deref(), &host)
}

/// How often a trunk may say that a call is taken elsewhere. An emergency call goes where it was sent and nowhere else.
pub(in crate::call) fn redirects(config: &Config, trunk: Option<&Trunk>, number: &str) -> u8 {
    let follows = trunk.is_some_and(|trunk| trunk.follow_redirects) && !config.numbers.is_emergency(number);
    if follows { SIP_REDIRECTS_MAX } else { 0 }
}

fn identity_of(from: &str, user: Option<&str>, host: &str) -> String {
    let address = Address::parse(from.as_bytes()).ok();
    let uri = address.as_ref().and_then(|a| Uri::parse(&a.uri).ok());
    let callers = uri.and_then(|u| u.user).filter(|u| !u.is_empty() && u.iter().copied().all(is_of_user));
    let callers = callers.map_or_else(|| "anonymous".to_owned(), |u| to_text(&u));
    let user = user.unwrap_or(&callers);
    let display = address.map(|a| to_text(&a.display)).unwrap_or_default();
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
        assert_eq!((there.uri.as_str(), there.end), ("sip:+4930123@sbc.example", End::Host));
        assert_eq!(of("sips:uas@[::1]:5090", "300").unwrap().uri, "sips:uas@[::1]:5090");
        assert_eq!(
            of("trunk:carrier", "+4930123").unwrap().end,
            End::Trunk { name: "carrier".into(), number: "+4930123".into() }
        );
        assert_eq!(of("trunk:carrier:0{number}", "30").unwrap().uri, "030");
        assert_eq!(of("extension:200", "x y").unwrap().end, End::Extension("200".into()));
        assert!(of("trunk:carrier", "1@evil").is_err() && of("extension:{number}", "").is_err());
        assert_eq!(of("sip:10.0.0.1", "300").unwrap().uri, "sip:10.0.0.1");
        assert!(of("sip:{number}@h", "").is_err());
        assert!(of("sip:{number}@h", "a b").is_err());
        assert!(of("sip:{number}@h", "x>").is_err());
    }

    #[test]
    fn the_number_does_not_choose_the_host() {
        let of = |target: &str, number: &str| Destination::of(&BridgeTarget::parse(target).unwrap(), number);
        for number in
            ["1@10.0.0.5:5070?x", "evil.example?x", "1@evil?x", "1;x=y", "1:pw", "1/2", "1%40é", "[::1]", "1\\"]
        {
            assert!(of("sip:{number}@sbc.example", number).is_err(), "{number}");
            assert_eq!(of("sip:desk@sbc.example;x=y", number).unwrap().uri, "sip:desk@sbc.example;x=y", "{number}");
        }
        for number in ["+49-30(1).2", "*72%23", "#31#", "ann_b~!$&',="] {
            let uri = of("sip:{number}@sbc.example:5070", number).unwrap().uri;
            assert!(uri.ends_with("@sbc.example:5070"), "{uri}");
        }
    }

    #[test]
    fn a_bridge_to_ourselves_is_seen() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let here = |destination: &str, local: &str| leads_back(at(destination), at(local), None);
        assert!(here("127.0.0.1:5060", "127.0.0.1:5060"));
        assert!(here("127.0.0.1:5060", "0.0.0.0:5060"));
        assert!(!here("127.0.0.1:5061", "0.0.0.0:5060"));
        assert!(!here("192.0.2.7:5060", "0.0.0.0:5060"));
        let public = Some(at("192.0.2.7:0").ip());
        assert!(leads_back(at("192.0.2.7:5060"), at("0.0.0.0:5060"), public));
        assert!(leads_back(at("192.0.2.7:5060"), at("10.0.0.1:5060"), public));
        assert!(!leads_back(at("192.0.2.7:5062"), at("0.0.0.0:5060"), public));
        // Whatever address this machine has towards others.
        if let Ok(ours) = local_address_towards(at("192.0.2.7:0").ip()) {
            assert!(leads_back(SocketAddr::new(ours, 5060), at("0.0.0.0:5060"), None), "{ours}");
        }
    }

    #[test]
    fn the_caller_keeps_name_and_number() {
        let us: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(identity("\"Ann, B\" <sip:ann@10.0.0.9:5080;x=y>", us), "\"Ann, B\" <sip:ann@192.0.2.1>");
        assert_eq!(identity("<sip:+49301@h>", us), "<sip:+49301@192.0.2.1>");
        assert_eq!(identity("sip:ann@h", "::1".parse().unwrap()), "<sip:ann@[::1]>");
        for odd in
            ["<sip:h>", "", "\"", "tel:123x>", "<tel:+1@evil?x>", "<tel:+1@evil;x>", "<tel:;x=y>", "<sip:a?b@evil>"]
        {
            assert!(identity(odd, us).ends_with("<sip:anonymous@192.0.2.1>"), "{odd}");
        }
    }
}
