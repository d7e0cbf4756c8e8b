//! What can be said of a certificate: fingerprint, validity, names, who signed it. Pure, but for the certificate's own signature.
//! The library that checks certificates for us has no getters, so it is asked questions to which the fact is the answer: a
//! certificate looked at in the year 9999 has expired, and the refusal says when. Deliberately absent: a parser of X.509.

use super::{Fingerprint, fingerprint, provider};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use std::time::Duration;

/// The first second of the year 9999, after which X.509 has no dates worth asking for.
const FAR: u64 = 253_370_764_800;

/// A certificate, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of it.
    pub fingerprint: Fingerprint,
    /// It is valid from here on, seconds since 1970; `None`: nothing that could be read.
    pub not_before: Option<u64>,
    /// It is valid until here, seconds since 1970; `None`: for ever, or nothing that could be read.
    pub not_after: Option<u64>,
    /// Nobody but its own key vouches for it.
    pub self_signed: bool,
    der: CertificateDer<'static>,
}

impl CertificateFacts {
    pub(super) fn of(pair: &CertifiedKey) -> Self {
        // A pair that was read has a certificate; an empty one is good for nothing and said to be so.
        let der = pair.cert.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new())).into_owned();
        let ask = |now: u64, root: &CertificateDer<'static>| verify(&der, root, now);
        let not_before = match ask(0, &der) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                Some(not_before.as_secs())
            }
            _ => None,
        };
        let not_after = match ask(FAR, &der) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Some(not_after.as_secs())
            }
            _ => None,
        };
        let self_signed = !matches!(
            ask(not_before.unwrap_or_default(), &der),
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature))
        );
        Self { fingerprint: fingerprint(&der), not_before, not_after, self_signed, der }
    }

    /// Whether it is for this name or address.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        ParsedCertificate::try_from(&self.der).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }

    /// How long it is still valid; `None`: not at all, or for ever.
    #[must_use]
    pub fn ends_in(&self, now: UnixTime) -> Option<Duration> {
        self.not_after?.checked_sub(now.as_secs()).map(Duration::from_secs)
    }

    /// Why nobody will accept it, and what to do; `None`: as far as time goes it is good.
    #[must_use]
    pub fn fault(&self, now: UnixTime) -> Option<String> {
        let now = now.as_secs();
        if let Some(end) = self.not_after.filter(|end| *end < now) {
            return Some(format!(
                "holds a certificate that expired on {}: put a newer one there and run `kill -HUP`, or POST /v1/reload",
                day(end)
            ));
        }
        self.not_before.filter(|start| *start > now).map(|start| {
            format!("holds a certificate that is not valid before {}: is the clock of this machine right?", day(start))
        })
    }

    /// The last day of its validity, `2028-02-24`; `None`: it has none.
    #[must_use]
    pub fn last_day(&self) -> Option<String> {
        self.not_after.map(day)
    }
}

fn verify(der: &CertificateDer<'static>, root: &CertificateDer<'static>, now: u64) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let parsed = ParsedCertificate::try_from(der)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let algorithms = provider().signature_verification_algorithms.all;
    rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms)
}

fn day(seconds: u64) -> String {
    let when = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    when.map_or_else(|| "a day beyond the calendar".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

/// A fingerprint as browsers show it: pairs of capital hexadecimal digits with colons between.
#[must_use]
pub fn spelled(fingerprint: &Fingerprint) -> String {
    fingerprint.map(|octet| format!("{octet:02X}")).join(":")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_people_write_them() {
        let plain = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let colons: Vec<_> = plain.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(parse_fingerprint(plain), parse_fingerprint(&colons.join(":")));
        let read = parse_fingerprint(plain).unwrap();
        assert_eq!(read[..3], [0, 0x11, 0x22]);
        assert_eq!(spelled(&read), colons.join(":").to_uppercase());
        for bad in ["", "00", &plain[..63], "zz112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", "é"] {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_said_as_days() {
        assert_eq!(day(951_782_400), "2000-02-29");
        assert!(day(u64::MAX).contains("calendar"));
    }
}
