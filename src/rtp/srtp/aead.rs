//! AES in Galois/counter mode, as RFC 7714 uses it: 128-bit tags, 96-bit initialisation vectors.

use crate::rtp::srtp::SrtpError;
use crate::rtp::srtp::cipher::{PacketId, mix};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use zeroize::Zeroizing;

/// Octets of a tag.
pub(super) const TAG_LEN: usize = 16;

enum Key {
    Short(AesGcm<Aes128Enc, U12>),
    Long(AesGcm<Aes256Enc, U12>),
}

pub(super) struct Aead {
    key: Key,
    salt: Zeroizing<[u8; 12]>,
}

impl Aead {
    pub(super) fn with_128(key: &[u8; 16], salt: Zeroizing<[u8; 12]>) -> Self {
        Self { key: Key::Short(AesGcm::new(key.into())), salt }
    }

    pub(super) fn with_256(key: &[u8; 32], salt: Zeroizing<[u8; 12]>) -> Self {
        Self { key: Key::Long(AesGcm::new(key.into())), salt }
    }

    /// Encrypts `body`; the tag covers `associated` as well.
    pub(super) fn seal(&self, id: PacketId, associated: &[u8], body: &mut [u8]) -> [u8; TAG_LEN] {
        let iv = self.iv(id).into();
        let sealed = match &self.key {
            Key::Short(key) => key.encrypt_inout_detached(&iv, associated, body.into()),
            Key::Long(key) => key.encrypt_inout_detached(&iv, associated, body.into()),
        };
        // Refused are 64 GiB and more only; no slice of a datagram buffer has them.
        sealed.expect("a datagram is short enough for GCM").into()
    }

    /// Checks the tag in constant time, then decrypts `body`.
    pub(super) fn open(&self, id: PacketId, associated: &[u8], body: &mut [u8], tag: &[u8]) -> Result<(), SrtpError> {
        let iv = self.iv(id).into();
        let tag: &[u8; TAG_LEN] = tag.try_into().map_err(|_| SrtpError::NotAuthentic)?;
        let opened = match &self.key {
            Key::Short(key) => key.decrypt_inout_detached(&iv, associated, body.into(), tag.into()),
            Key::Long(key) => key.decrypt_inout_detached(&iv, associated, body.into(), tag.into()),
        };
        opened.map_err(|_| SrtpError::NotAuthentic)
    }

    /// Sections 8.1 and 9.1: the two are one, because the index of RTCP has zeros where RTP's has the roll-over counter.
    fn iv(&self, id: PacketId) -> [u8; 12] {
        let mut iv = *self.salt;
        mix(&mut iv[2..6], &id.ssrc.to_be_bytes());
        mix(&mut iv[6..12], &id.index.to_be_bytes()[2..]);
        iv
    }
}
