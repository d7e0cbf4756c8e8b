//! `[sip]`: where we listen and whom we trust. Purpose: addresses, certificates and name servers as the operator writes them.
//! Plain data. Invariant: what is written here can work, or is refused with what to write instead.

use super::{ConfigError, FieldNames};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Section `[sip]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// UDP listener.
    pub udp: SocketAddr,
    /// Second UDP listener, for IPv6 alone.
    pub udp_v6: Option<SocketAddr>,
    /// TCP listeners.
    #[serde(deserialize_with = "one_or_many")]
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners.
    #[serde(deserialize_with = "one_or_many")]
    pub tls: Vec<SocketAddr>,
    /// Our certificate with its chain, PEM; by default one that we make and sign at the first start.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// Roots, PEM, of the certificates that peers must show to connect by TLS; by default they need none.
    pub client_ca: Option<PathBuf>,
    /// What makes the certificate of a peer that we dial good, where the system's roots do not say it.
    pub tls_peers: Vec<TlsPeer>,
    /// Name servers for SRV and NAPTR; by default those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Address written into Contact and SDP when callers reach us through a NAT.
    pub public_address: Option<IpAddr>,
    /// Header fields of callers' INVITEs that agents, records and events may see: `X-NAME`, `P-NAME`, with `*` for all that
    /// begin so.
    pub header_fields: FieldNames,
    /// Calls at once; the next one hears 503 with Retry-After.
    pub max_calls: usize,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            udp: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060)),
            udp_v6: None,
            tcp: Vec::new(),
            tls: Vec::new(),
            certificate: None,
            key: None,
            client_ca: None,
            tls_peers: Vec::new(),
            name_servers: Vec::new(),
            public_address: None,
            header_fields: FieldNames::default(),
            max_calls: 200,
        }
    }
}

impl Sip {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        if self.certificate.is_some() != self.key.is_some() {
            return value("sip.certificate", "certificate and key belong together: write both or neither");
        }
        if self.udp_v6.is_some_and(|address| !address.is_ipv6()) {
            return value("sip.udp_v6", "write an IPv6 address, such as \"[::]:5060\"");
        }
        if self.udp_v6.is_some() && self.udp.is_ipv6() {
            return value("sip.udp_v6", "sip.udp is an IPv6 address already; write an IPv4 address there");
        }
        for peer in &self.tls_peers {
            if peer.certificate.is_some() != peer.key.is_some() {
                return value("sip.tls_peers", "certificate and key belong together: write both or neither");
            }
            if peer.fingerprint.is_some() && peer.ca.is_some() {
                return value(
                    "sip.tls_peers",
                    "fingerprint and ca exclude each other: with a fingerprint no root is asked",
                );
            }
            let digits = peer.fingerprint.as_ref().map(|f| f.bytes().filter(u8::is_ascii_hexdigit).count());
            if digits.is_some_and(|n| n != 64) {
                return value(
                    "sip.tls_peers",
                    "a fingerprint is SHA-256 in 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` shows it",
                );
            }
        }
        Ok(())
    }
}

/// Section `[[sip.tls_peers]]`: the check of one peer's certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsPeer {
    /// The name that we call it by.
    pub host: String,
    /// Roots, PEM, instead of the system's.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the very certificate, hexadecimal.
    pub fingerprint: Option<String>,
    /// The certificate that we show it, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of that, PEM.
    pub key: Option<PathBuf>,
}

/// One address or a list.
pub(super) fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an address such as \"0.0.0.0:5060\", or a list of them")]
    enum Listed {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
    }
    Ok(match Listed::deserialize(from)? {
        Listed::One(address) => vec![address],
        Listed::Many(addresses) => addresses,
    })
}
