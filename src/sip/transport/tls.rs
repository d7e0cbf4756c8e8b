//! Whom we trust on TLS (RFC 3261 §26.2.1, RFC 5922). Purpose: for each peer that we dial the check of its name, by the box's own
//! roots unless the operator says by what else. Control threads. Invariant: nothing is dialled without a check. Deliberately
//! absent: who we are ([`crate::tls`]), revocation lists and ACME.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::tls::{Fingerprint, TlsError, fingerprint, provider, read_chain, read_key, read_roots};

/// What makes the certificate of one peer good.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerTrust {
    /// Roots in PEM instead of the system's.
    pub roots: Option<PathBuf>,
    /// The very certificate; then neither roots nor name are looked at.
    pub fingerprint: Option<Fingerprint>,
    /// The certificate and key that we show when asked.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Whom we trust when we dial, by the name of the peer.
#[derive(Debug, Default)]
pub struct TlsTrust {
    peers: HashMap<String, Arc<ClientConfig>>,
    others: OnceLock<Arc<ClientConfig>>,
}

impl TlsTrust {
    /// With rules for some peers (by host name, in any case); all others are checked by the system's roots, which are read
    /// when they are first needed.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(peers: &[(String, PeerTrust)]) -> Result<Self, TlsError> {
        let peers = peers.iter().map(|(host, trust)| Ok((host.to_ascii_lowercase(), client_config(trust)?)));
        Ok(Self { peers: peers.collect::<Result<_, TlsError>>()?, others: OnceLock::new() })
    }

    /// How to dial this host. Reads files when it is the first without a rule of its own.
    ///
    /// # Errors
    /// [`TlsError::Trust`] when the box has no roots at all.
    pub fn for_host(&self, host: &str) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.peers.get(&host.to_ascii_lowercase()).or_else(|| self.others.get()) {
            return Ok(Arc::clone(config));
        }
        let config = client_config(&PeerTrust::default())?;
        Ok(Arc::clone(self.others.get_or_init(|| config)))
    }
}

/// The name to ask for (SNI) and to find in the certificate: the host as configured, not what it resolves to.
pub(super) fn server_name(host: Option<&str>, address: IpAddr) -> Option<ServerName<'static>> {
    match host {
        Some(host) => ServerName::try_from(host.trim_end_matches('.').to_owned()).ok(),
        None => Some(ServerName::IpAddress(address.into())),
    }
}

fn client_config(trust: &PeerTrust) -> Result<Arc<ClientConfig>, TlsError> {
    let failed = |e: rustls::Error| TlsError::Trust(e.to_string());
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(failed)?;
    let builder = if let Some(pinned) = trust.fingerprint {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned(pinned)))
    } else {
        let roots = trust.roots.as_deref().map_or_else(system_roots, read_roots)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        builder.with_webpki_verifier(verifier.build().map_err(|e| TlsError::Trust(e.to_string()))?)
    };
    let config = match &trust.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, secret) = (read_chain(certificate)?, read_key(key)?);
            builder.with_client_auth_cert(chain, secret).map_err(|e| TlsError::Pair {
                certificate: certificate.clone(),
                key: key.clone(),
                why: e.to_string(),
            })?
        }
    };
    Ok(Arc::new(config))
}

/// One certificate and no other, whatever it says about itself.
#[derive(Debug)]
struct Pinned(Fingerprint);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if fingerprint(end_entity) == self.0 {
            return Ok(ServerCertVerified::assertion());
        }
        let found = fingerprint(end_entity).map(|b| format!("{b:02x}")).concat();
        Err(rustls::Error::General(format!("the certificate's fingerprint is {found}, not the configured one")))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = "this machine has no roots; install ca-certificates, or give the peer a ca or fingerprint";
        return Err(TlsError::Trust(why.to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_asked_for_is_the_configured_one() {
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(server_name(Some("trunk.example."), ip).unwrap().to_str(), "trunk.example");
        assert_eq!(server_name(None, ip).unwrap().to_str(), "192.0.2.1");
        assert_eq!(server_name(Some("192.0.2.7"), ip).unwrap().to_str(), "192.0.2.7");
        assert!(server_name(Some("no name"), ip).is_none());
    }
}
