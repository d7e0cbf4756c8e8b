//! Whether Telnyx has sent a webhook (`telnyx-signature-ed25519` and `telnyx-timestamp`,
//! <https://developers.telnyx.com/api-reference/callbacks/texml-call-answered>): Ed25519 (RFC 8032) over the time, a bar and the
//! body as it came. Purpose: forgeries, old requests and replays get nothing. Pure; time is an argument. Invariants: what is not
//! signed is not remembered; what was signed and is still in time is taken once; the memory is bounded, and when it is full nothing
//! is taken rather than something twice. Deliberately absent: what the webhook says (`door`).

use crate::limits::TELNYX_SEEN_MAX;
use crate::time::Wallclock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use std::collections::HashMap;
use std::time::Duration;

/// Octets of a signature.
const SIGNATURE_LEN: usize = 64;

/// What a webhook says of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// `telnyx-signature-ed25519`: base64.
    pub signature: &'a str,
    /// `telnyx-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
}

/// Why a webhook is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProven {
    /// Not Telnyx, or the key is another account's.
    #[error("the webhook is not signed with the key of [telnyx] public_key")]
    Forged,
    /// It took too long, or the clocks differ.
    #[error("the webhook's time is too far from ours; compare the machine's clock")]
    Stale,
    /// It has been taken before.
    #[error("the webhook was taken before")]
    Replayed,
    /// Retry later.
    #[error("too many webhooks came within the time in which they are good")]
    Full,
}

/// One account's webhooks.
#[derive(Debug)]
pub struct Verifier {
    key: [u8; 32],
    tolerance: Duration,
    /// Signatures, and until when each is in time.
    seen: HashMap<[u8; SIGNATURE_LEN], Wallclock>,
}

impl Verifier {
    /// `tolerance`: how far its time may be from ours, either way.
    #[must_use]
    pub fn new(key: [u8; 32], tolerance: Duration) -> Self {
        Self { key, tolerance, seen: HashMap::new() }
    }

    /// Takes a webhook once.
    ///
    /// # Errors
    /// [`NotProven`].
    pub fn take(&mut self, now: Wallclock, proof: Proof<'_>, body: &[u8]) -> Result<(), NotProven> {
        let signature = STANDARD.decode(proof.signature.trim()).ok();
        let signature = signature.and_then(|octets| <[u8; SIGNATURE_LEN]>::try_from(octets).ok());
        let signature = signature.ok_or(NotProven::Forged)?;
        let digits = proof.timestamp.bytes().all(|octet| octet.is_ascii_digit());
        let seconds: u64 = proof.timestamp.parse().ok().filter(|_| digits).ok_or(NotProven::Forged)?;
        // What is signed is the text, not the number.
        let signed = [proof.timestamp.as_bytes(), b"|", body].concat();
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        key.verify(&signed, &signature).map_err(|_| NotProven::Forged)?;
        let tolerance = u64::try_from(self.tolerance.as_millis()).unwrap_or(u64::MAX);
        let at = seconds.saturating_mul(1000);
        if at.abs_diff(now.0) > tolerance {
            return Err(NotProven::Stale);
        }
        if self.seen.contains_key(&signature) {
            return Err(NotProven::Replayed);
        }
        if self.seen.len() >= TELNYX_SEEN_MAX {
            self.seen.retain(|_, until| *until >= now);
        }
        if self.seen.len() >= TELNYX_SEEN_MAX {
            return Err(NotProven::Full);
        }
        self.seen.insert(signature, Wallclock(at.saturating_add(tolerance)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    /// Of RFC 8032 section 7.1, test 1.
    const SEED: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    const PUBLIC: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
        0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    const NOW: Wallclock = Wallclock(1_800_000_000_000);
    /// The fields of <https://developers.telnyx.com/api-reference/callbacks/texml-call-answered>.
    const BODY: &[u8] = b"CallSid=v3%3A9X2v&From=%2B35319605860&To=%2B13129457420";

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap()
    }

    fn sign(timestamp: &str, body: &[u8]) -> String {
        STANDARD.encode(pair().sign(&[timestamp.as_bytes(), b"|", body].concat()).as_ref())
    }

    fn verifier() -> Verifier {
        Verifier::new(PUBLIC, Duration::from_secs(300))
    }

    fn take(verifier: &mut Verifier, timestamp: &str, signature: &str, body: &[u8]) -> Result<(), NotProven> {
        verifier.take(NOW, Proof { signature, timestamp }, body)
    }

    #[test]
    fn the_keys_are_those_of_the_rfc_and_time_bar_body_is_what_is_signed() {
        assert_eq!(pair().public_key().as_ref(), PUBLIC);
        assert_eq!(take(&mut verifier(), "1800000000", &sign("1800000000", BODY), BODY), Ok(()));
    }

    #[test]
    fn every_difference_is_a_forgery() {
        let good = sign("1800000000", BODY);
        let mut verifier = verifier();
        let other = Verifier::new([7; 32], Duration::from_secs(300)).take(
            NOW,
            Proof { signature: &good, timestamp: "1800000000" },
            BODY,
        );
        assert_eq!(other, Err(NotProven::Forged), "another account's key");
        for (timestamp, signature, body) in [
            ("1800000001", good.as_str(), BODY),
            ("01800000000", &good, BODY),
            ("+1800000000", &sign("+1800000000", BODY), BODY),
            ("", &sign("", BODY), BODY),
            ("1800000000", &good, &BODY[1..]),
            ("1800000000", "", BODY),
            ("1800000000", "not base64!", BODY),
            ("1800000000", &good[..40], BODY),
            ("1800000000", &STANDARD.encode([0; 64]), BODY),
        ] {
            assert_eq!(
                take(&mut verifier, timestamp, signature, body),
                Err(NotProven::Forged),
                "{timestamp} {signature}"
            );
        }
        assert!(verifier.seen.is_empty(), "nothing is remembered of strangers");
        assert_eq!(take(&mut verifier, "1800000000", &good, BODY), Ok(()));
    }

    #[test]
    fn a_webhook_is_good_once_and_in_its_time() {
        let mut verifier = verifier();
        for (timestamp, outcome) in [
            ("1799999700", Ok(())),
            ("1799999699", Err(NotProven::Stale)),
            ("1800000300", Ok(())),
            ("1800000301", Err(NotProven::Stale)),
            ("18446744073709551615", Err(NotProven::Stale)),
        ] {
            assert_eq!(take(&mut verifier, timestamp, &sign(timestamp, BODY), BODY), outcome, "{timestamp}");
        }
        assert_eq!(take(&mut verifier, "1800000300", &sign("1800000300", BODY), BODY), Err(NotProven::Replayed));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let mut verifier = verifier();
        let at = |n: usize| NOW.0 / 1000 - 300 + (n % 2) as u64;
        for n in 0..TELNYX_SEEN_MAX {
            let mut signature = [0; SIGNATURE_LEN];
            signature[..8].copy_from_slice(&(n as u64).to_be_bytes());
            verifier.seen.insert(signature, Wallclock(at(n) * 1000 + 300_000));
        }
        let webhook = |verifier: &mut Verifier, now: Wallclock| {
            let timestamp = "1800000000";
            verifier.take(now, Proof { signature: &sign(timestamp, BODY), timestamp }, BODY)
        };
        assert_eq!(webhook(&mut verifier, NOW), Err(NotProven::Full));
        assert_eq!(webhook(&mut verifier, Wallclock(NOW.0 + 500)), Ok(()), "half of them are out of time");
        assert!(verifier.seen.len() <= TELNYX_SEEN_MAX / 2 + 1);
    }

    proptest! {
        /// Whatever a stranger writes into the fields: no panic, nothing is taken, nothing is remembered.
        #[test]
        fn fields_of_strangers_are_forgeries(
            timestamp in prop_oneof!["\\PC{0,40}", "[+-]?0*[0-9]{0,30}", " ?1800000000 ?"],
            signature in prop_oneof!["\\PC{0,120}", "[A-Za-z0-9+/]{80,90}={0,3}"],
            octets in vec(any::<u8>(), 64),
            body in vec(any::<u8>(), 0..80),
        ) {
            let mut verifier = verifier();
            for signature in [signature, STANDARD.encode(octets)] {
                prop_assert_eq!(take(&mut verifier, &timestamp, &signature, &body), Err(NotProven::Forged));
            }
            prop_assert!(verifier.seen.is_empty());
        }

        /// A webhook that was signed, with one octet of it changed, left out, put in or moved from one part to the next: a
        /// forgery. As it was signed it is good, once, however its signature is set.
        #[test]
        fn what_was_altered_anywhere_is_a_forgery(
            body in vec(any::<u8>(), 1..80), part in 0..3usize, place in any::<Index>(), bit in 0..7u8, how in 0..3u8,
        ) {
            let mut verifier = verifier();
            let time = "1800000000";
            let good = sign(time, &body);
            let mut parts = [time.as_bytes().to_vec(), good.clone().into_bytes(), body.clone()];
            let at = place.index(parts[part].len());
            match how {
                0 => parts[part][at] ^= 1 << bit,
                1 => drop(parts[part].remove(at)),
                _ => parts[part].insert(at, parts[part][at] ^ (1 << bit)),
            }
            let [timestamp, signature, altered] = parts;
            // One bit of seven: text stays text. The same signature with a space around it is the same.
            let (timestamp, signature) = (String::from_utf8(timestamp).unwrap(), String::from_utf8(signature).unwrap());
            if signature.trim() != good || timestamp != time || altered != body {
                prop_assert_eq!(take(&mut verifier, &timestamp, &signature, &altered), Err(NotProven::Forged));
            }
            prop_assert_eq!(take(&mut verifier, "180000000", &good, &[b"0|", &body[..]].concat()), Err(NotProven::Forged));
            prop_assert!(verifier.seen.is_empty());
            prop_assert_eq!(take(&mut verifier, time, &good, &body), Ok(()));
            prop_assert_eq!(take(&mut verifier, time, &format!(" {good}\t"), &body), Err(NotProven::Replayed));
        }
    }
}
