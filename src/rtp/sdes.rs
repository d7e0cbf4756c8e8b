//! SDES keys: the value of `a=crypto` in SDP (RFC 4568, RFC 6188 names left out). Purpose: text to key and key to text, for
//! `sip::sdp`. Any thread, control side; pure. Invariants: a line that asks for anything we do not do (MKI, several keys,
//! session parameters that change the protection, unknown suites) is refused, never half obeyed; keys are not in errors.
//! Deliberately absent: which line is chosen, random numbers, SDP itself.

use crate::rtp::srtp::{MasterKey, Profile};
use std::fmt::Write as _;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest value that is looked at, octets.
const VALUE_MAX: usize = 512;
const KEY_AND_SALT_MAX: usize = 44;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One `a=crypto` that we can do.
#[derive(Clone, Debug)]
pub struct Crypto {
    /// The number that offer and answer name it by, 0 to 999,999,999.
    pub tag: u32,
    /// Suite, key and salt.
    pub key: MasterKey,
    /// Packets after which the key should be changed, if stated.
    pub lifetime: Option<u64>,
}

/// The peer's: this line cannot be used; another one may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SdesError {
    /// Not of the RFC's form.
    #[error("a=crypto is malformed: {0}")]
    Malformed(&'static str),
    /// A suite of which we have no profile.
    #[error("a=crypto names a suite that is not supported")]
    Suite,
    /// Key and salt together have another length than the suite's.
    #[error("a=crypto has {found} octets of key and salt where {suite} takes {expected}")]
    KeyLength {
        /// Name of the suite.
        suite: &'static str,
        /// What it takes.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A master key identifier, or more than one key.
    #[error("a=crypto uses a master key identifier (MKI), which is not supported")]
    Mki,
    /// A session parameter that we do not do.
    #[error("a=crypto asks for session parameters that are not supported")]
    Session,
}

/// Reads the value of one `a=crypto`, the text behind the colon: `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^31`. Errors: see
/// `SdesError`.
pub fn parse(value: &str) -> Result<Crypto, SdesError> {
    if value.len() > VALUE_MAX {
        return Err(SdesError::Malformed("too long"));
    }
    let mut fields = value.split([' ', '\t']).filter(|f| !f.is_empty());
    let tag = fields.next().filter(|t| t.len() <= 9).ok_or(SdesError::Malformed("tag"))?;
    let tag = digits(tag).and_then(|t| u32::try_from(t).ok()).ok_or(SdesError::Malformed("tag"))?;
    let suite = fields.next().ok_or(SdesError::Malformed("no suite"))?;
    let profile = Profile::from_suite(suite).ok_or(SdesError::Suite)?;
    let parameters = fields.next().ok_or(SdesError::Malformed("no key"))?;
    // A hint on the replay window binds nobody; anything else would change how packets look (section 6.3).
    if fields.any(|parameter| !parameter.to_ascii_uppercase().starts_with("WSH=")) {
        return Err(SdesError::Session);
    }
    if parameters.contains(';') {
        // Several keys need identifiers.
        return Err(SdesError::Mki);
    }
    let inline = parameters.split_at_checked(7).filter(|(method, _)| method.eq_ignore_ascii_case("inline:"));
    let (_, inline) = inline.ok_or(SdesError::Malformed("key method is not inline"))?;
    let mut parts = inline.split('|');
    let key = key(profile, parts.next().unwrap_or_default())?;
    let lifetime = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(part), None, _) if !part.contains(':') => Some(lifetime(part)?),
        (Some(_), None | Some(_), None) => return Err(SdesError::Mki),
        (_, _, Some(_)) => return Err(SdesError::Malformed("too many parts behind the key")),
    };
    Ok(Crypto { tag, key, lifetime })
}

/// Writes the value of an `a=crypto`; no lifetime, which means the suite's own (RFC 4568 section 6.1).
#[must_use]
pub fn write(tag: u32, key: &MasterKey) -> String {
    let mut octets = Zeroizing::new([0; KEY_AND_SALT_MAX]);
    let len = key.key().len() + key.salt().len();
    octets[..key.key().len()].copy_from_slice(key.key());
    octets[key.key().len()..len].copy_from_slice(key.salt());
    let mut value = String::with_capacity(100);
    // Writing to a string does not fail.
    let _ = write!(value, "{tag} {} inline:", key.profile().suite());
    for three in octets[..len].chunks(3) {
        let mut word = [0; 4];
        word[1..1 + three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(word);
        for n in 0..4 {
            // Six bits; places beyond the octets are filled up.
            let digit = ALPHABET[(bits >> (18 - 6 * n)) as usize & 63];
            value.push(if n <= three.len() { char::from(digit) } else { '=' });
        }
    }
    value
}

/// Key and salt in base64. Phones forget the `=` at its end now and then.
fn key(profile: Profile, text: &str) -> Result<MasterKey, SdesError> {
    let expected = profile.key_len() + profile.salt_len();
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return Err(SdesError::Malformed("key is not base64"));
    }
    let found = digits.len() * 3 / 4;
    if found != expected {
        return Err(SdesError::KeyLength { suite: profile.suite(), expected, found });
    }
    let mut octets = Zeroizing::new([0; KEY_AND_SALT_MAX + 1]);
    for (four, out) in digits.as_bytes().chunks(4).zip(octets.chunks_mut(3)) {
        let mut bits = 0;
        for digit in four {
            let value = ALPHABET.iter().position(|a| a == digit).ok_or(SdesError::Malformed("key is not base64"))?;
            // Below 64.
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * (4 - four.len());
        out.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    let (key, salt) = octets[..expected].split_at(profile.key_len());
    // Both have the profile's lengths: the sum was compared, and this is where it was split.
    MasterKey::new(profile, key, salt).map_err(|_| SdesError::Malformed("key"))
}

/// `2^48` or a plain number; above 0.
fn lifetime(text: &str) -> Result<u64, SdesError> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => digits(power).and_then(|p| 1u64.checked_shl(u32::try_from(p).ok()?)),
        None => digits(text),
    };
    packets.filter(|p| *p > 0).ok_or(SdesError::Malformed("lifetime"))
}

/// A decimal number without sign.
fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4568 section 9.1.
    const RFC: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32";
    const PLAIN: &str = "1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";

    fn error(value: &str) -> SdesError {
        parse(value).unwrap_err()
    }

    #[test]
    fn the_rfcs_key_is_read() {
        let crypto = parse(&format!("{PLAIN}|2^20")).unwrap();
        assert_eq!((crypto.tag, crypto.lifetime), (1, Some(1 << 20)));
        assert_eq!(crypto.key.profile(), Profile::AesCm128HmacSha1With32);
        assert_eq!(crypto.key.key(), b"70xwPH5@/,L:S1wY");
        assert_eq!(crypto.key.salt(), b"\"~='EpgT%(i_Vc");
        assert_eq!(parse(PLAIN).unwrap().lifetime, None);
        assert_eq!(parse(&format!("{PLAIN}|1048576 WSH=64")).unwrap().lifetime, Some(1 << 20));
    }

    #[test]
    fn what_we_do_not_do_is_refused_by_name() {
        assert_eq!(error(RFC), SdesError::Mki);
        assert_eq!(error(&format!("{PLAIN}|1:4")), SdesError::Mki);
        assert_eq!(error(&format!("{PLAIN};{}", &PLAIN[26..])), SdesError::Mki);
        for session in ["UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "KDR=1", "FEC_ORDER=FEC_SRTP"]
        {
            assert_eq!(error(&format!("{PLAIN} {session}")), SdesError::Session);
        }
        assert_eq!(error(&PLAIN.replace("AES_CM_128_HMAC_SHA1_32", "F8_128_HMAC_SHA1_80")), SdesError::Suite);
        assert_eq!(
            error(&PLAIN.replace("AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM")).to_string(),
            "a=crypto has 30 octets of key and salt where AEAD_AES_256_GCM takes 44"
        );
    }

    #[test]
    fn what_is_malformed_says_where() {
        for (value, part) in [
            ("", "tag"),
            ("x AEAD_AES_128_GCM inline:A", "tag"),
            ("1234567890 AEAD_AES_128_GCM inline:A", "tag"),
            ("1", "no suite"),
            ("1 AEAD_AES_128_GCM", "no key"),
            ("1 AEAD_AES_128_GCM uri:AAAA", "key method is not inline"),
            ("1 AEAD_AES_128_GCM inline:AAAAA", "key is not base64"),
            ("1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?==", "key is not base64"),
            (&format!("{PLAIN}|2^64"), "lifetime"),
            (&format!("{PLAIN}|-1"), "lifetime"),
            (&format!("{PLAIN}|0"), "lifetime"),
            (&format!("{PLAIN}|2^20|1:4|x"), "too many parts behind the key"),
            (&"9".repeat(600), "too long"),
        ] {
            assert_eq!(error(value), SdesError::Malformed(part), "{value}");
        }
    }

    #[test]
    fn a_key_without_its_padding_is_read() {
        let master = MasterKey::new(Profile::AeadAes128Gcm, &[0xff; 16], &[0x11; 12]).unwrap();
        let text = write(3, &master);
        assert!(text.ends_with("=="), "{text}");
        assert_eq!(parse(text.trim_end_matches('=')).unwrap().key.salt(), [0x11; 12]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(which in 0usize..4, tag in 0u32..1_000_000_000, key: [u8; 32], salt: [u8; 14]) {
            let profile = Profile::ALL[which];
            let master = MasterKey::new(profile, &key[..profile.key_len()], &salt[..profile.salt_len()]).unwrap();
            let crypto = parse(&write(tag, &master)).unwrap();
            prop_assert_eq!((crypto.tag, crypto.lifetime, crypto.key.profile()), (tag, None, profile));
            prop_assert_eq!((crypto.key.key(), crypto.key.salt()), (master.key(), master.salt()));
        }

        #[test]
        fn no_text_panics(
            at in 0usize..90,
            piece in "[ -~é|;:=^0-9]{0,8}",
            noise in "\\PC{0,60}",
        ) {
            let mut near = RFC.to_owned();
            near.insert_str(at.min(near.len()), &piece);
            for value in [near.as_str(), &near[..at.min(80)], &noise] {
                crate::rtp::fuzz::sdes(value.as_bytes());
            }
        }
    }
}
