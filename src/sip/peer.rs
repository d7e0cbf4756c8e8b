//! Who speaks to us (RFC 3261 §22.1 leaves it to policy). Purpose: from source address, Request-URI and From to a trunk, an
//! extension that has to prove itself, a neighbour, or nobody, who gets silence: scanners learn nothing. Pure data that the
//! owner replaces as a whole. Invariants: only what the operator has written down makes a stranger heard; a call by a line
//! token is known by 64 bits that nobody but its registrar has been told.
//! Deliberately absent: digest itself (`auth`), limits per trunk and routes (the call side's).

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::auth::Login;

/// Whose request it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Peer {
    /// A neighbour on loopback or an attached private network, where nothing else is configured.
    #[default]
    Attached,
    /// A trunk, by name.
    Trunk(Arc<str>),
    /// An extension that has proved to be it, by number.
    Extension(Arc<str>),
}

impl Peer {
    /// Name of the trunk, if it is one.
    #[must_use]
    pub fn trunk(&self) -> Option<&Arc<str>> {
        match self {
            Self::Trunk(name) => Some(name),
            Self::Attached | Self::Extension(_) => None,
        }
    }
}

/// `trunk:carrier`, `extension:200`, `attached`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached => f.write_str("attached"),
            Self::Trunk(name) => write!(f, "trunk:{name}"),
            Self::Extension(number) => write!(f, "extension:{number}"),
        }
    }
}

/// A network: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address is in it; IPv4 in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(a)) => (u32::from(net) ^ u32::from(a)).leading_zeros() >= self.prefix.into(),
            (IpAddr::V6(net), IpAddr::V6(a)) => (u128::from(net) ^ u128::from(a)).leading_zeros() >= self.prefix.into(),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no network; write it as \"192.0.2.0/24\", \"2001:db8::/32\" or one address");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(most), |p| p.trim().parse().ok()).filter(|p| *p <= most).ok_or_else(wrong)?;
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// How a trunk is known.
#[derive(Clone, Debug, Default)]
pub struct TrunkIdentity {
    /// Name.
    pub name: Arc<str>,
    /// Networks that its requests come from, as written by the operator.
    pub networks: Vec<Network>,
    /// Where its host was found; requests from there are its own, too.
    pub addresses: Vec<SocketAddr>,
    /// Its requests must prove this besides.
    pub proves: Option<Login>,
    /// What our Contact at its registrar carries.
    pub token: Option<String>,
    /// Numbers that are ours there.
    pub numbers: Vec<String>,
}

/// How an extension is known.
#[derive(Clone, Debug)]
pub struct ExtensionIdentity {
    /// Number: user of its address of record.
    pub number: Arc<str>,
    /// What it proves.
    pub login: Login,
    /// Networks that it may call and register from; empty: wherever neighbours may.
    pub networks: Vec<Network>,
}

/// All who may speak to us.
#[derive(Clone, Debug)]
pub struct Directory {
    trunks: Vec<TrunkIdentity>,
    extensions: HashMap<Arc<str>, ExtensionIdentity>,
    /// Neighbours are heard without proof.
    open: bool,
}

impl Default for Directory {
    /// Neighbours only.
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new(), false)
    }
}

/// What is known of a request before any proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is that peer.
    Known(Peer),
    /// It is that trunk if it proves so.
    TrunkToProve(Arc<str>),
    /// It is an extension if it proves so.
    ExtensionToProve,
    /// A stranger.
    Unknown,
}

/// The parts of a request that tell who it is from.
#[derive(Clone, Copy, Debug)]
pub struct Signs<'a> {
    /// Where it came from.
    pub source: SocketAddr,
    /// Value of `line` in the Request-URI.
    pub token: Option<&'a [u8]>,
    /// User part of From.
    pub from_user: &'a [u8],
    /// It is REGISTER, or carries an answer to a challenge: something that a stranger to proof has no use for.
    pub offers_proof: bool,
    /// Whether the source is a neighbour (loopback or attached).
    pub attached: bool,
}

impl Directory {
    /// A directory in which neighbours are heard without proof, as long as there is nobody else. `open` keeps that so where
    /// there are others; loopback is heard in any case.
    #[must_use]
    pub fn new(trunks: Vec<TrunkIdentity>, extensions: Vec<ExtensionIdentity>, open: bool) -> Self {
        let open = open || (trunks.is_empty() && extensions.is_empty());
        Self { trunks, extensions: extensions.into_iter().map(|e| (Arc::clone(&e.number), e)).collect(), open }
    }

    /// Whether anybody may register here.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// An extension by number.
    #[must_use]
    pub fn extension(&self, number: &str) -> Option<&ExtensionIdentity> {
        self.extensions.get(number)
    }

    /// The extension that authenticates by this user name.
    #[must_use]
    pub fn extension_of_user(&self, username: &str) -> Option<&ExtensionIdentity> {
        // The number itself is the usual name; a walk is for the few that have another.
        let by_number = self.extensions.get(username).filter(|e| e.login.username == username);
        by_number.or_else(|| self.extensions.values().find(|e| e.login.username == username))
    }

    /// A trunk by name.
    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<&TrunkIdentity> {
        self.trunks.iter().find(|t| &*t.name == name)
    }

    /// Names of the trunks.
    pub fn trunks(&self) -> impl Iterator<Item = &TrunkIdentity> {
        self.trunks.iter()
    }

    /// Where a trunk's host was found.
    pub fn set_addresses(&mut self, trunk: &str, addresses: Vec<SocketAddr>) {
        if let Some(trunk) = self.trunks.iter_mut().find(|t| &*t.name == trunk) {
            trunk.addresses = addresses;
        }
    }

    /// What our Contact at a trunk's registrar carries.
    pub fn set_token(&mut self, trunk: &str, token: Option<String>) {
        if let Some(trunk) = self.trunks.iter_mut().find(|t| &*t.name == trunk) {
            trunk.token = token;
        }
    }

    /// Takes over from an earlier directory what is not configured but was found out.
    pub fn inherit(&mut self, earlier: &Self) {
        for trunk in &mut self.trunks {
            if let Some(known) = earlier.trunk(&trunk.name) {
                trunk.addresses.clone_from(&known.addresses);
                trunk.token.clone_from(&known.token);
            }
        }
    }

    /// Whether this is the token of one of our lines.
    #[must_use]
    pub fn has_token(&self, token: &[u8]) -> bool {
        !token.is_empty() && self.trunks.iter().any(|t| t.token.as_ref().is_some_and(|own| own.as_bytes() == token))
    }

    /// Whether this address may have something to say; `false`: nothing from it need even be read. A request by a line token
    /// may come from anywhere, so that with lines everything is read.
    #[must_use]
    pub fn may_speak(&self, source: IpAddr, attached: bool) -> bool {
        self.trunks.iter().any(|t| t.token.is_some()) || self.is_known(source, attached)
    }

    /// Whether this address belongs to somebody whom the operator has written down, or to a neighbour that is heard.
    #[must_use]
    pub fn is_known(&self, source: IpAddr, attached: bool) -> bool {
        let source = source.to_canonical();
        (self.open && attached)
            || source.is_loopback()
            || self.trunks.iter().any(|t| t.knows(source))
            || self.extensions.values().any(|e| e.may_come_from(source, attached))
    }

    /// Who it is, as far as it goes without proof.
    #[must_use]
    pub fn standing(&self, signs: &Signs<'_>) -> Standing {
        let source = SocketAddr::new(signs.source.ip().to_canonical(), signs.source.port());
        let ip = source.ip();
        // The most certain sign first: the very socket of a trunk, what the operator wrote, what only a registrar knows.
        let exact = self.trunks.iter().find(|t| t.addresses.contains(&source));
        let written = || self.trunks.iter().find(|t| t.networks.iter().any(|n| n.contains(ip)));
        let by_line = || {
            let token = signs.token.filter(|t| !t.is_empty())?;
            self.trunks.iter().find(|t| t.token.as_ref().is_some_and(|own| own.as_bytes() == token))
        };
        // The token tells lines of one host from each other, so it comes before the host's address.
        if let Some(trunk) = by_line().or(exact).or_else(written) {
            return trunk.standing();
        }
        let named = std::str::from_utf8(signs.from_user).ok().and_then(|user| self.extensions.get(user));
        let may_prove = |e: &ExtensionIdentity| e.may_come_from(ip, signs.attached);
        if named.is_some_and(may_prove) || signs.offers_proof && self.extensions.values().any(may_prove) {
            return Standing::ExtensionToProve;
        }
        if let Some(trunk) = self.trunks.iter().find(|t| t.addresses.iter().any(|a| a.ip() == ip)) {
            return trunk.standing();
        }
        if signs.attached && self.open || ip.is_loopback() {
            return Standing::Known(Peer::Attached);
        }
        Standing::Unknown
    }
}

impl TrunkIdentity {
    fn knows(&self, source: IpAddr) -> bool {
        self.networks.iter().any(|n| n.contains(source)) || self.addresses.iter().any(|a| a.ip() == source)
    }

    fn standing(&self) -> Standing {
        let name = Arc::clone(&self.name);
        if self.proves.is_some() { Standing::TrunkToProve(name) } else { Standing::Known(Peer::Trunk(name)) }
    }

    /// Which number of ours is called: the Request-URI's user, unless that is only the user of our Contact and To says
    /// more (PBX registration), or only one of them is ours.
    #[must_use]
    pub fn called<'a>(&self, request_user: &'a [u8], to_user: &'a [u8], contact_user: &[u8]) -> &'a [u8] {
        let is_ours = |user: &[u8]| self.numbers.iter().any(|n| n.as_bytes() == user);
        match (is_ours(request_user), is_ours(to_user)) {
            (true, _) => request_user,
            (false, true) => to_user,
            (false, false) if to_user.is_empty() => request_user,
            (false, false) if request_user == contact_user || request_user.is_empty() => to_user,
            (false, false) => request_user,
        }
    }
}

impl ExtensionIdentity {
    /// Whether it may be at this address; `attached`: which is a neighbour's.
    #[must_use]
    pub fn may_come_from(&self, source: IpAddr, attached: bool) -> bool {
        if self.networks.is_empty() { attached } else { self.networks.iter().any(|n| n.contains(source)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::auth::Password;
    use super::*;

    fn login(user: &str) -> Login {
        Login { username: user.to_owned(), password: Password::new("p"), realm: None }
    }

    fn trunk(name: &str, networks: &[&str]) -> TrunkIdentity {
        let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
        TrunkIdentity { name: name.into(), networks, ..TrunkIdentity::default() }
    }

    fn extension(number: &str, networks: &[&str]) -> ExtensionIdentity {
        let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
        ExtensionIdentity { number: number.into(), login: login(number), networks }
    }

    fn signs(source: &str) -> Signs<'static> {
        let source: SocketAddr = source.parse().unwrap();
        let attached = super::super::agent::is_loopback_or_private(source.ip());
        Signs { source, token: None, from_user: b"ann", offers_proof: false, attached }
    }

    fn known(name: &str) -> Standing {
        Standing::Known(Peer::Trunk(name.into()))
    }

    #[test]
    fn networks_are_read_and_hold() {
        let net: Network = "54.172.60.0/30".parse().unwrap();
        assert!(net.contains("54.172.60.3".parse().unwrap()) && !net.contains("54.172.60.4".parse().unwrap()));
        assert!(net.contains("::ffff:54.172.60.1".parse().unwrap()));
        let six: Network = "2001:db8::/33".parse().unwrap();
        assert!(
            six.contains("2001:db8:7fff::1".parse().unwrap()) && !six.contains("2001:db8:8000::1".parse().unwrap())
        );
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        assert_eq!("10.0.0.1".parse::<Network>().unwrap().to_string(), "10.0.0.1/32");
        for bad in ["", "10.0.0.0/33", "x", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().unwrap_err().contains("192.0.2.0/24"), "{bad}");
        }
    }

    #[test]
    fn with_nobody_configured_neighbours_are_heard_and_strangers_are_not() {
        let d = Directory::default();
        assert_eq!(d.standing(&signs("10.1.2.3:5060")), Standing::Known(Peer::Attached));
        assert_eq!(d.standing(&signs("8.8.8.8:5060")), Standing::Unknown);
        assert!(!d.may_speak("8.8.8.8".parse().unwrap(), false));
    }

    #[test]
    fn once_somebody_is_configured_only_loopback_is_heard_without_proof() {
        let d = Directory::new(vec![trunk("carrier", &["192.0.2.0/24"])], vec![], false);
        assert_eq!(d.standing(&signs("192.0.2.77:5062")), known("carrier"));
        assert_eq!(d.standing(&signs("10.1.2.3:5060")), Standing::Unknown);
        assert_eq!(d.standing(&signs("127.0.0.1:5060")), Standing::Known(Peer::Attached));
        assert!(!d.may_speak("10.1.2.3".parse().unwrap(), true));
        let open = Directory::new(vec![trunk("carrier", &[])], vec![], true);
        assert_eq!(open.standing(&signs("10.1.2.3:5060")), Standing::Known(Peer::Attached));
    }

    #[test]
    fn a_trunk_is_known_by_where_its_host_was_found() {
        let mut d = Directory::new(vec![trunk("one", &[]), trunk("two", &[])], vec![], false);
        d.set_addresses("one", vec!["198.51.100.1:5060".parse().unwrap()]);
        d.set_addresses("two", vec!["198.51.100.1:5070".parse().unwrap()]);
        assert_eq!(d.standing(&signs("198.51.100.1:5070")), known("two"), "the very socket");
        assert_eq!(d.standing(&signs("198.51.100.1:40000")), known("one"), "a connection of the same host");
        assert_eq!(d.standing(&signs("198.51.100.2:5060")), Standing::Unknown);
    }

    #[test]
    fn lines_of_one_host_are_told_apart_by_their_token_from_anywhere() {
        let line =
            |name: &str, token: &str| TrunkIdentity { token: Some(token.to_owned()), ..trunk(name, &["10.0.0.1"]) };
        let d = Directory::new(vec![line("sales", "aa"), line("support", "bb")], vec![], false);
        let by = |source: &str, token: &'static [u8]| d.standing(&Signs { token: Some(token), ..signs(source) });
        assert_eq!(by("10.0.0.1:5060", b"bb"), known("support"));
        assert_eq!(by("203.0.113.9:5060", b"bb"), known("support"), "the provider's other gateway");
        assert_eq!(by("203.0.113.9:5060", b"cc"), Standing::Unknown);
        assert_eq!(by("203.0.113.9:5060", b""), Standing::Unknown);
        assert_eq!(d.standing(&signs("10.0.0.1:5060")), known("sales"), "without a token the first of that host");
        assert!(
            d.may_speak("203.0.113.9".parse().unwrap(), false) && !d.is_known("203.0.113.9".parse().unwrap(), false)
        );
    }

    #[test]
    fn extensions_prove_themselves_wherever_they_may_come_from() {
        let d = Directory::new(vec![], vec![extension("200", &[]), extension("201", &["0.0.0.0/0"])], false);
        let from = |source: &str, user: &'static [u8]| d.standing(&Signs { from_user: user, ..signs(source) });
        assert_eq!(from("10.0.0.9:5060", b"200"), Standing::ExtensionToProve);
        assert_eq!(from("127.0.0.1:5060", b"200"), Standing::ExtensionToProve, "loopback may not borrow its number");
        assert_eq!(from("8.8.8.8:5060", b"200"), Standing::Unknown);
        assert_eq!(from("8.8.8.8:5060", b"201"), Standing::ExtensionToProve);
        assert_eq!(from("8.8.8.8:5060", b"300"), Standing::Unknown);
        let proof = |source: &str| d.standing(&Signs { offers_proof: true, ..signs(source) });
        assert_eq!(proof("10.0.0.9:5060"), Standing::ExtensionToProve);
        assert_eq!(d.extension_of_user("201").unwrap().number.as_ref(), "201");
        assert!(d.extension_of_user("999").is_none());
    }

    #[test]
    fn a_trunk_may_have_to_prove_itself() {
        let mut proving = trunk("friend", &["203.0.113.0/24"]);
        proving.proves = Some(login("friend"));
        let d = Directory::new(vec![proving], vec![], false);
        assert_eq!(d.standing(&signs("203.0.113.5:5060")), Standing::TrunkToProve("friend".into()));
    }

    #[test]
    fn the_number_is_in_the_request_uri_or_in_to() {
        let mut t = trunk("pbx", &[]);
        assert_eq!(t.called(b"4930123", b"x", b"line1"), b"4930123");
        assert_eq!(t.called(b"line1", b"4930123", b"line1"), b"4930123", "our Contact tells nothing");
        assert_eq!(t.called(b"line1", b"", b"line1"), b"line1");
        assert_eq!(t.called(b"", b"4930123", b"line1"), b"4930123");
        t.numbers = vec!["+4930123".to_owned()];
        assert_eq!(t.called(b"gateway", b"+4930123", b"line1"), b"+4930123", "the one that is ours");
        assert_eq!(t.called(b"+4930123", b"other", b"line1"), b"+4930123");
    }
}
