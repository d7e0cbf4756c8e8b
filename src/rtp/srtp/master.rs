//! Master keys, and session keys derived from them (RFC 3711 section 4.3, key derivation rate 0; with AES-256 the function
//! of RFC 6188 by RFC 7714 section 11).

use crate::rtp::srtp::{Profile, SrtpError};
use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use ctr::Ctr32BE;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Longest master key, octets.
pub(super) const KEY_MAX: usize = 32;
/// Longest master salt, octets.
pub(super) const SALT_MAX: usize = 14;
/// Where the label is in the salt: 48 bits of index follow it.
const LABEL_AT: usize = 7;

/// What a session key is for (section 4.3.1); RTCP's labels follow RTP's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// Which packets a session key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

/// A master key with its salt. Wiped when dropped; `Debug` shows the profile only. Equality
/// takes a time that depends on the octets: compare keys only with those that the asker knows anyway.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    profile: Profile,
    key: [u8; KEY_MAX],
    salt: [u8; SALT_MAX],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.profile.suite())
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl MasterKey {
    /// From key and salt of the profile's lengths, else `SrtpError::KeyLength`.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(SrtpError::KeyLength {
                suite: profile.suite(),
                key: profile.key_len(),
                salt: profile.salt_len(),
            });
        }
        let mut master = Self { profile, key: [0; KEY_MAX], salt: [0; SALT_MAX] };
        master.key[..key.len()].copy_from_slice(key);
        // A short salt is filled up with zeros at its end (RFC 7714 section 11).
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// What it is for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The key's octets. Secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key[..self.profile.key_len()]
    }

    /// The salt's octets. Secret.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt[..self.profile.salt_len()]
    }

    /// The first `N` octets of a session key.
    pub(super) fn derive<const N: usize>(&self, purpose: Purpose, label: Label) -> Zeroizing<[u8; N]> {
        let mut iv = Zeroizing::new([0; 16]);
        iv[..SALT_MAX].copy_from_slice(&self.salt);
        iv[LABEL_AT] ^= purpose as u8 + label as u8;
        let mut out = Zeroizing::new([0; N]);
        match self.profile {
            Profile::AeadAes256Gcm => {
                Ctr32BE::<Aes256Enc>::new(&self.key.into(), &(*iv).into()).apply_keystream(&mut *out);
            }
            _ => {
                let key = self.key.first_chunk::<16>().unwrap_or(&[0; 16]);
                Ctr32BE::<Aes128Enc>::new(key.into(), &(*iv).into()).apply_keystream(&mut *out);
            }
        }
        out
    }
}
