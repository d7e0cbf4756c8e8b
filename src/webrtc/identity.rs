//! Our certificate and what handshakes are done with. Purpose: made once at the daemon's start, so that no call pays for it.
//! Any thread. Invariant: the private key is written nowhere. Deliberately absent: a certificate that lasts, since only the
//! fingerprint in the description counts (RFC 5763 section 5).

use crate::os::random;
use crate::sip::sdp::IceCredentials;
use crate::sip::sdp::dtls::Fingerprint;
use dimpl::{Config, DtlsCertificate};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// First wait for an answer to a flight: RFC 6347 section 4.2.4.1 says 1 s, which RFC 9147 lets deployments shorten.
const FLIGHT_WAIT: Duration = Duration::from_millis(250);
const FLIGHT_TRIES: usize = 7;
const HANDSHAKE_MAX: Duration = Duration::from_secs(25);
/// Octets of randomness in a name and a password: 48 and 192 bits.
const UFRAG_OCTETS: usize = 6;
const PASSWORD_OCTETS: usize = 24;

/// There is no certificate; ours or the machine's fault.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key or the certificate could not be made.
    #[error("no certificate for DTLS could be made: {0}")]
    Certificate(String),
    /// The parts do not fit; a fault of ours.
    #[error("DTLS cannot be set up: {0}")]
    Setup(String),
}

/// What we show in handshakes; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// A new key (P-256) and a certificate over it.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn generate() -> Result<Self, IdentityError> {
        let names = vec!["callwright".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(|e| IdentityError::Certificate(e.to_string()))?;
        let config = Config::builder()
            .flight_start_rto(FLIGHT_WAIT)
            .flight_retries(FLIGHT_TRIES)
            .handshake_timeout(HANDSHAKE_MAX)
            .build()
            .map_err(|e| IdentityError::Setup(e.to_string()))?;
        let certificate =
            DtlsCertificate { certificate: made.cert.der().to_vec(), private_key: made.signing_key.serialize_der() };
        let fingerprint = Sha256::digest(&certificate.certificate).into();
        Ok(Self { certificate, config: Arc::new(config), fingerprint })
    }

    /// SHA-256 of our certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) const fn certificate(&self) -> &DtlsCertificate {
        &self.certificate
    }

    /// A name and a password that nobody can guess, for the checks of one call.
    #[must_use]
    pub fn credentials() -> IceCredentials {
        IceCredentials { ufrag: random::hex(UFRAG_OCTETS), password: random::hex(PASSWORD_OCTETS) }
    }
}
