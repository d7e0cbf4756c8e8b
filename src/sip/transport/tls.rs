//! Who we are and whom we trust on TLS (RFC 3261 §26.2.1, RFC 5922). Purpose: our certificate, which can be replaced while
//! calls go on; and for each peer that we dial the check of its name, by the box's own roots unless the operator says by
//! what else. Control threads. Invariants: a private key is never logged and never in `Debug`; nothing is dialled without a
//! check; what is handshaken stays as it is when certificates change. Deliberately absent: revocation lists and ACME.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use base64::Engine;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate in DER.
pub type Fingerprint = [u8; 32];

/// Why TLS cannot be had. All are of the machine or the configuration; trying again helps only after a change.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or cannot be read.
    #[error("{path} cannot be read: {why}. It must be PEM and readable by the user that callwright runs as")]
    Read {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate made at the first start cannot be kept.
    #[error("{path} cannot be written: {why}. Make [data] dir writable, or set [sip] certificate and key")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The two files do not belong together, or the key is of a kind that we do not have.
    #[error("{certificate} and {key} cannot be used together: {why}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        why: String,
    },
    /// Roots or a verifier that make no sense.
    #[error("whom to trust on TLS: {0}")]
    Trust(String),
}

fn unreadable(path: &Path, why: impl ToString) -> TlsError {
    TlsError::Read { path: path.to_owned(), why: why.to_string() }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Our certificate and key, read from files and read again on demand.
#[derive(Debug)]
pub struct TlsIdentity {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl TlsIdentity {
    /// Reads both files (PEM; the certificate with its chain).
    ///
    /// # Errors
    /// [`TlsError::Read`], [`TlsError::Pair`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(read_pair(certificate, key)?);
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), current }))
    }

    /// Reads the certificate of an earlier start in this directory, or makes one that we sign ourselves, for these names.
    /// A peer can trust it by its fingerprint only.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn own(directory: &Path, names: Vec<String>) -> Result<Arc<Self>, TlsError> {
        let (certificate, key) = (directory.join("sip-certificate.pem"), directory.join("sip-key.pem"));
        if !certificate.exists() || !key.exists() {
            let made = rcgen::generate_simple_self_signed(names).map_err(|e| TlsError::Trust(e.to_string()))?;
            let failed = |path: &Path| {
                let path = path.to_owned();
                move |why| TlsError::Write { path, why }
            };
            fs::create_dir_all(directory).map_err(failed(directory))?;
            write_pem(&key, "PRIVATE KEY", &made.signing_key.serialize_der(), 0o600).map_err(failed(&key))?;
            write_pem(&certificate, "CERTIFICATE", made.cert.der(), 0o644).map_err(failed(&certificate))?;
        }
        Self::read(&certificate, &key)
    }

    /// Reads the files again. New connections get the new certificate; those that stand are not touched. On an error the
    /// old one stays in use.
    ///
    /// # Errors
    /// As [`TlsIdentity::read`].
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        let fresh = read_pair(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The fingerprint of the certificate in use, for peers that pin it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.current().cert.first().map(|der| fingerprint(der))
    }

    /// Where the certificate is read from.
    #[must_use]
    pub fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How we answer TLS; with `client_roots`, only peers whose certificate one of these has signed are let in.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn server_config(self: &Arc<Self>, client_roots: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Trust(e.to_string()))?;
        let builder = match client_roots {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(read_roots(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| TlsError::Trust(e.to_string()))?)
            }
        };
        Ok(Arc::new(builder.with_cert_resolver(Arc::new(Presenter(Arc::clone(self))))))
    }
}

/// Shows whatever certificate is current.
#[derive(Debug)]
struct Presenter(Arc<TlsIdentity>);

impl ResolvesServerCert for Presenter {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }
}

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

/// SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(der: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(der.as_ref()).into()
}

/// Reads a fingerprint as people write it: 64 hexadecimal digits, colons and blanks between them or not.
#[must_use]
pub fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b' ')).collect();
    if digits.len() != 64 {
        return None;
    }
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(octets)
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

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots.add(certificate).map_err(|e| unreadable(path, e))?;
    }
    Ok(roots)
}

fn read_pair(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, secret) = (read_chain(certificate)?, read_key(key)?);
    let pair = CertifiedKey::from_der(chain, secret, &provider());
    pair.map(Arc::new).map_err(|e| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        why: e.to_string(),
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| unreadable(path, e))?;
    if chain.is_empty() {
        return Err(unreadable(path, "there is no certificate in it"));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| unreadable(path, e))
}

fn write_pem(path: &Path, label: &str, der: &[u8], mode: u32) -> std::io::Result<()> {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(pem.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_makes_a_certificate_that_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = TlsIdentity::own(dir.path(), vec!["box.example".to_owned()]).unwrap();
        let again = TlsIdentity::own(dir.path(), vec!["other.example".to_owned()]).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(dir.path().join("sip-key.pem")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "the key is nobody else's");
        first.server_config(None).unwrap();
        fs::write(dir.path().join("sip-key.pem"), "nonsense").unwrap();
        let error = first.reload_certificates().unwrap_err().to_string();
        assert!(error.contains("sip-key.pem") && error.contains("PEM"), "{error}");
        assert_eq!(first.fingerprint(), again.fingerprint(), "what was good stays in use");
    }

    #[test]
    fn fingerprints_are_read_as_people_write_them() {
        let plain = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let colons: Vec<_> = plain.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(parse_fingerprint(plain), parse_fingerprint(&colons.join(":")));
        assert_eq!(parse_fingerprint(plain).unwrap()[..3], [0, 0x11, 0x22]);
        for bad in ["", "00", &plain[..63], "zz112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", "é"] {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_name_asked_for_is_the_configured_one() {
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(server_name(Some("trunk.example."), ip).unwrap().to_str(), "trunk.example");
        assert_eq!(server_name(None, ip).unwrap().to_str(), "192.0.2.1");
        assert_eq!(server_name(Some("192.0.2.7"), ip).unwrap().to_str(), "192.0.2.7");
        assert!(server_name(Some("no name"), ip).is_none());
    }
}
