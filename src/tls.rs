//! Who we are on TLS. Purpose: a certificate and its key, read from files or made at the first start, which can be replaced while
//! connections stand; SIP and HTTP share this. Control threads. Invariants: a private key is never logged and never in `Debug`;
//! what is handshaken stays as it is when certificates change; a file that cannot be used changes nothing. Deliberately absent:
//! whom we trust when we dial (`sip::transport::tls`), ACME, and the certificates of DTLS, which nobody reads.

mod facts;
mod made;

pub use facts::{CertificateFacts, parse_fingerprint, spelled};
pub use made::{Making, machine_names};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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
    /// The certificate of our own making cannot be kept.
    #[error(
        "{path} cannot be written: {why}. Make [data] dir writable, or set certificate and key in the configuration"
    )]
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
    /// Everybody refuses such a certificate.
    #[error("{path} {why}")]
    Worthless {
        /// The certificate's file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// Roots or a verifier that make no sense.
    #[error("whom to trust on TLS: {0}")]
    Trust(String),
}

fn unreadable(path: &Path, why: impl ToString) -> TlsError {
    TlsError::Read { path: path.to_owned(), why: why.to_string() }
}

/// The cryptography behind all TLS here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Our certificate and key, read from files and read again on demand.
#[derive(Debug)]
pub struct TlsIdentity {
    certificate: PathBuf,
    key: PathBuf,
    /// How it was made, where it is our own; `None`: the operator's.
    making: Option<Making>,
    current: RwLock<Shown>,
}

/// What is shown, and what can be said of it.
#[derive(Clone, Debug)]
struct Shown {
    pair: Arc<CertifiedKey>,
    facts: Arc<CertificateFacts>,
}

impl Shown {
    fn new(pair: Arc<CertifiedKey>) -> Self {
        let facts = Arc::new(CertificateFacts::of(&pair));
        Self { pair, facts }
    }
}

impl TlsIdentity {
    /// Reads both files (PEM; the certificate with its chain).
    ///
    /// # Errors
    /// [`TlsError::Read`], [`TlsError::Pair`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        Self::held(certificate.to_owned(), key.to_owned(), None)
    }

    /// Reads `NAME-certificate.pem` and `NAME-key.pem` of an earlier start in this directory, or makes a certificate that we sign
    /// ourselves; also when the one that is there is about to expire. A peer can trust it by its fingerprint only.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn own(directory: &Path, name: &str, making: Making) -> Result<Arc<Self>, TlsError> {
        let at = |what: &str| directory.join(format!("{name}-{what}.pem"));
        let (certificate, key) = (at("certificate"), at("key"));
        if !certificate.exists() || !key.exists() {
            making.make(&certificate, &key)?;
        }
        let identity = match Self::held(certificate.clone(), key.clone(), Some(making.clone())) {
            // A start that broke off between the two files. Who pins the certificate is not given another one unasked.
            Err(error @ TlsError::Pair { .. }) if making.lasts.is_some() => {
                tracing::warn!(%error, "the two are of different starts; a certificate is made anew");
                making.make(&certificate, &key)?;
                Self::held(certificate, key, Some(making))?
            }
            held => held?,
        };
        identity.renew_if_due(UnixTime::now())?;
        Ok(identity)
    }

    fn held(certificate: PathBuf, key: PathBuf, making: Option<Making>) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Shown::new(read_pair(&certificate, &key)?));
        Ok(Arc::new(Self { certificate, key, making, current }))
    }

    /// Reads the files again. New connections get the new certificate; those that stand are not touched. On an error the
    /// old one stays in use.
    ///
    /// # Errors
    /// As [`TlsIdentity::read`]; [`TlsError::Worthless`] where the one in use is valid and the new one is not.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        let fresh = Shown::new(read_pair(&self.certificate, &self.key)?);
        let now = UnixTime::now();
        if let Some(why) = fresh.facts.fault(now)
            && self.facts().fault(now).is_none()
        {
            return Err(TlsError::Worthless { path: self.certificate.clone(), why });
        }
        self.replace(fresh);
        self.renew_if_due(now).map(drop)
    }

    /// Makes our own certificate anew when it ends soon; `true`: it did. An operator's is never touched.
    ///
    /// # Errors
    /// [`TlsError`]; the old one stays in use.
    pub fn renew_if_due(&self, now: UnixTime) -> Result<bool, TlsError> {
        let Some(making) = self.making.as_ref().filter(|making| making.is_due(&self.facts(), now)) else {
            return Ok(false);
        };
        making.make(&self.certificate, &self.key)?;
        self.replace(Shown::new(read_pair(&self.certificate, &self.key)?));
        Ok(true)
    }

    fn replace(&self, fresh: Shown) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// The fingerprint of the certificate in use, for peers that pin it and people who compare it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let shown = self.current();
        (!shown.pair.cert.is_empty()).then_some(shown.facts.fingerprint)
    }

    /// What can be said of the certificate in use.
    #[must_use]
    pub fn facts(&self) -> Arc<CertificateFacts> {
        self.current().facts
    }

    /// Whether we made it.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        self.making.is_some()
    }

    /// Where the certificate is read from.
    #[must_use]
    pub fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    /// Where the key is read from, if every user of this machine may read it too.
    #[must_use]
    pub fn exposed_key(&self) -> Option<&Path> {
        let mode = fs::metadata(&self.key).map_or(0, |found| found.permissions().mode());
        (mode & 0o004 != 0).then_some(&self.key)
    }

    fn current(&self) -> Shown {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How we answer TLS; with `client_roots`, only peers whose certificate one of these has signed are let in.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn server_config(self: &Arc<Self>, client_roots: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
        self.server_config_for(client_roots, &[])
    }

    /// The same for peers that speak one of these protocols (RFC 7301); none: any.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn server_config_for(
        self: &Arc<Self>,
        client_roots: Option<&Path>,
        protocols: &[&str],
    ) -> Result<Arc<ServerConfig>, TlsError> {
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
        let mut config = builder.with_cert_resolver(Arc::new(Presenter(Arc::clone(self))));
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// Shows whatever certificate is current.
#[derive(Debug)]
struct Presenter(Arc<TlsIdentity>);

impl ResolvesServerCert for Presenter {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current().pair)
    }
}

/// SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(der: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(der.as_ref()).into()
}

/// Roots in PEM.
pub(crate) fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
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

/// One certificate or more in PEM.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| unreadable(path, e))?;
    if chain.is_empty() {
        return Err(unreadable(path, "there is no certificate in it"));
    }
    Ok(chain)
}

/// A private key in PEM.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| unreadable(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn making(names: &[&str], days: u64) -> Making {
        Making {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            lasts: Some(Duration::from_hours(24 * days)),
        }
    }

    #[test]
    fn a_first_start_makes_a_certificate_that_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, key) = (dir.path().join("tls"), dir.path().join("tls/sip-key.pem"));
        let forever = |name: &str| Making { names: vec![name.to_owned()], lasts: None };
        let first = TlsIdentity::own(&tls, "sip", forever("box.example")).unwrap();
        let again = TlsIdentity::own(&tls, "sip", forever("other.example")).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!((mode(&key), mode(&tls)), (0o600, 0o700), "the key is nobody else's");
        assert!(first.is_ours() && first.exposed_key().is_none());
        first.server_config(None).unwrap();
        fs::write(&key, "nonsense").unwrap();
        let error = first.reload_certificates().unwrap_err().to_string();
        assert!(error.contains("sip-key.pem") && error.contains("PEM"), "{error}");
        assert_eq!(first.fingerprint(), again.fingerprint(), "what was good stays in use");
    }

    #[test]
    fn what_ends_soon_is_made_anew_and_an_operators_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let long =
            TlsIdentity::own(dir.path(), "http", making(&["box.example", "192.0.2.7", "2001:db8::7"], 800)).unwrap();
        let now = UnixTime::now();
        let facts = long.facts();
        assert!(facts.self_signed && facts.fault(now).is_none());
        assert!(facts.covers("box.example") && facts.covers("192.0.2.7") && facts.covers("2001:db8::7"));
        assert!(!facts.covers("192.0.2.8") && !facts.covers("other.example") && !facts.covers("no name"));
        let days = facts.ends_in(now).unwrap().as_secs() / 86_400;
        assert!((798..=800).contains(&days), "{days}");
        assert!(!long.renew_if_due(now).unwrap());
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() + 775 * 86_400));
        assert!(long.renew_if_due(later).unwrap());
        assert_ne!(long.fingerprint(), Some(facts.fingerprint));
        let files = (dir.path().join("http-certificate.pem"), dir.path().join("http-key.pem"));
        let theirs = TlsIdentity::read(&files.0, &files.1).unwrap();
        assert!(!theirs.renew_if_due(later).unwrap() && !theirs.is_ours());
        // Nobody but its user should be able to read a key.
        fs::set_permissions(&files.1, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(theirs.exposed_key(), Some(files.1.as_path()));
    }

    /// The key is replaced first; then the power fails.
    #[test]
    fn a_pair_that_was_half_replaced_is_made_anew_unless_it_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, half) = (dir.path().join("whole"), dir.path().join("half"));
        for making in [making(&["box.example"], 800), Making { lasts: None, ..making(&["box.example"], 1) }] {
            let old = TlsIdentity::own(&half, "own", making.clone()).unwrap().fingerprint();
            drop(TlsIdentity::own(&whole, "own", making.clone()).unwrap());
            fs::copy(whole.join("own-key.pem"), half.join("own-key.pem")).unwrap();
            let again = TlsIdentity::own(&half, "own", making.clone());
            match making.lasts {
                Some(_) => assert_ne!(again.unwrap().fingerprint(), old),
                None => assert!(matches!(again, Err(TlsError::Pair { .. })), "who pins it is told by an operator"),
            }
            fs::remove_dir_all(&whole).unwrap();
            fs::remove_dir_all(&half).unwrap();
        }
    }

    #[test]
    fn an_expired_certificate_does_not_replace_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let own = TlsIdentity::own(dir.path(), "http", making(&["box.example"], 800)).unwrap();
        let files = (own.certificate.clone(), own.key.clone());
        let theirs = TlsIdentity::read(&files.0, &files.1).unwrap();
        let good = theirs.fingerprint();
        made::write_dated(&files.0, &files.1, &["box.example".to_owned()], (2001, 2, 3), (2001, 4, 5)).unwrap();
        let error = theirs.reload_certificates().unwrap_err().to_string();
        assert!(error.contains("http-certificate.pem") && error.contains("expired on 2001-04-05"), "{error}");
        assert_eq!(theirs.fingerprint(), good);
        made::write_dated(&files.0, &files.1, &["box.example".to_owned()], (2901, 2, 3), (2902, 4, 5)).unwrap();
        let error = theirs.reload_certificates().unwrap_err().to_string();
        assert!(error.contains("not valid before 2901-02-03") && error.contains("clock"), "{error}");
    }
}
