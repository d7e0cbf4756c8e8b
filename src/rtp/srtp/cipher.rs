//! RTP or RTCP under its session keys: seals and opens in place. Knows no sources and no history.

use crate::rtp::srtp::aead::{Aead, TAG_LEN as AEAD_TAG_LEN};
use crate::rtp::srtp::master::{Label, MasterKey, Purpose};
use crate::rtp::srtp::profile::RTCP_INDEX_LEN;
use crate::rtp::srtp::{Profile, SrtpError};
use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use ctr::CtrCore;
use ctr::flavors::Ctr32BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

/// Octets of an RTCP packet that are never encrypted: header and first SSRC.
pub(super) const RTCP_CLEAR_LEN: usize = 8;
const RTCP_HMAC_TAG_LEN: usize = 10;
/// Encrypted: the bit before the SRTCP index.
const E: u32 = 1 << 31;

/// What makes a packet's key stream its own: the source, and its index of 48 bits (RTP) or 31 bits (RTCP).
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketId {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

/// Keys of RTP or of RTCP.
pub(super) enum Cipher {
    CounterMode(CounterMode),
    Aead(Aead),
}

impl Cipher {
    pub(super) fn new(master: &MasterKey, purpose: Purpose) -> Self {
        let profile = master.profile();
        match profile {
            Profile::AesCm128HmacSha1With80 | Profile::AesCm128HmacSha1With32 => {
                Self::CounterMode(CounterMode::new(master, purpose, profile.rtp_overhead()))
            }
            Profile::AeadAes128Gcm => Self::Aead(Aead::with_128(
                &master.derive(purpose, Label::Encryption),
                master.derive(purpose, Label::Salt),
            )),
            Profile::AeadAes256Gcm => Self::Aead(Aead::with_256(
                &master.derive(purpose, Label::Encryption),
                master.derive(purpose, Label::Salt),
            )),
        }
    }

    fn rtp_tag_len(&self) -> usize {
        match self {
            Self::CounterMode(cm) => cm.rtp_tag_len,
            Self::Aead(_) => AEAD_TAG_LEN,
        }
    }

    fn rtcp_tag_len(&self) -> usize {
        match self {
            Self::CounterMode(_) => RTCP_HMAC_TAG_LEN,
            Self::Aead(_) => AEAD_TAG_LEN,
        }
    }

    /// Encrypts what follows `header` of the packet of `len` octets at the front of `buffer`, and appends the tag. Returns
    /// the new length.
    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        header: usize,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, SrtpError> {
        let overhead = self.rtp_tag_len();
        let packet = buffer.get_mut(..len + overhead).ok_or(SrtpError::NoRoom(overhead))?;
        let (clear, tag) = packet.split_at_mut(len);
        match self {
            Self::CounterMode(cm) => {
                cm.apply(id, &mut clear[header..]);
                tag.copy_from_slice(&cm.rtp_mac(id, clear).finalize().into_bytes()[..overhead]);
            }
            Self::Aead(aead) => {
                let (header, body) = clear.split_at_mut(header);
                tag.copy_from_slice(&aead.seal(id, header, body));
            }
        }
        Ok(len + overhead)
    }

    /// Checks the tag, then decrypts what follows `header`. Returns the length without the tag.
    pub(super) fn open_rtp(&self, id: PacketId, header: usize, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(self.rtp_tag_len()).filter(|l| *l >= header);
        let len = len.ok_or(SrtpError::Malformed("SRTP"))?;
        let (sealed, tag) = packet.split_at_mut(len);
        match self {
            Self::CounterMode(cm) => {
                cm.rtp_mac(id, sealed).verify_truncated_left(tag).map_err(|_| SrtpError::NotAuthentic)?;
                cm.apply(id, &mut sealed[header..]);
            }
            Self::Aead(aead) => {
                let (header, body) = sealed.split_at_mut(header);
                aead.open(id, header, body, tag)?;
            }
        }
        Ok(len)
    }

    /// Encrypts all but the first 8 octets of the packet of `len` octets at the front of `buffer`; appends index and tag,
    /// in the order of the profile. Returns the new length.
    pub(super) fn seal_rtcp(&self, id: PacketId, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let overhead = RTCP_INDEX_LEN + self.rtcp_tag_len();
        let packet = buffer.get_mut(..len + overhead).ok_or(SrtpError::NoRoom(overhead))?;
        // The context hands out 31 bits.
        let word = (id.index as u32 | E).to_be_bytes();
        match self {
            Self::CounterMode(cm) => {
                cm.apply(id, &mut packet[RTCP_CLEAR_LEN..len]);
                let (signed, tag) = packet.split_at_mut(len + RTCP_INDEX_LEN);
                signed[len..].copy_from_slice(&word);
                tag.copy_from_slice(&cm.mac(signed).finalize().into_bytes()[..RTCP_HMAC_TAG_LEN]);
            }
            Self::Aead(aead) => {
                let (clear, tail) = packet.split_at_mut(len);
                let associated = rtcp_associated(clear, word);
                let tag = aead.seal(id, &associated, &mut clear[RTCP_CLEAR_LEN..]);
                tail[..AEAD_TAG_LEN].copy_from_slice(&tag);
                tail[AEAD_TAG_LEN..].copy_from_slice(&word);
            }
        }
        Ok(len + overhead)
    }

    /// The index that an SRTCP packet states, and whether it says that it is encrypted. Not authenticated yet.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<(u32, bool)> {
        let behind = if matches!(self, Self::CounterMode(_)) { RTCP_HMAC_TAG_LEN } else { 0 };
        let until = packet.len().checked_sub(behind)?;
        let word = u32::from_be_bytes(*packet[..until].last_chunk()?);
        Some((word & !E, word & E != 0))
    }

    /// Checks the tag, then decrypts if the packet is `encrypted`. Returns the length without index and tag.
    pub(super) fn open_rtcp(&self, id: PacketId, encrypted: bool, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(RTCP_INDEX_LEN + self.rtcp_tag_len()).filter(|l| *l >= RTCP_CLEAR_LEN);
        let len = len.ok_or(SrtpError::Malformed("SRTCP"))?;
        match self {
            Self::CounterMode(cm) => {
                let (signed, tag) = packet.split_at_mut(len + RTCP_INDEX_LEN);
                cm.mac(signed).verify_truncated_left(tag).map_err(|_| SrtpError::NotAuthentic)?;
                if encrypted {
                    cm.apply(id, &mut signed[RTCP_CLEAR_LEN..len]);
                }
            }
            Self::Aead(aead) => {
                let (sealed, tail) = packet.split_at_mut(len);
                let (tag, word) = tail.split_at(AEAD_TAG_LEN);
                let word = *word.first_chunk().ok_or(SrtpError::Malformed("SRTCP"))?;
                if encrypted {
                    let associated = rtcp_associated(sealed, word);
                    aead.open(id, &associated, &mut sealed[RTCP_CLEAR_LEN..], tag)?;
                } else {
                    // All is associated data, the index behind it (RFC 7714 section 9.3): the tag makes way for a moment.
                    let mut saved = [0; AEAD_TAG_LEN];
                    saved.copy_from_slice(tag);
                    packet[len..len + RTCP_INDEX_LEN].copy_from_slice(&word);
                    let opened = aead.open(id, &packet[..len + RTCP_INDEX_LEN], &mut [], &saved);
                    packet[len..len + AEAD_TAG_LEN].copy_from_slice(&saved);
                    opened?;
                }
            }
        }
        Ok(len)
    }
}

/// RFC 7714 section 9.2: the octets in clear, then index and E bit. `packet` has at least 8 octets, by the context.
fn rtcp_associated(packet: &[u8], word: [u8; RTCP_INDEX_LEN]) -> [u8; RTCP_CLEAR_LEN + RTCP_INDEX_LEN] {
    let mut associated = [0; RTCP_CLEAR_LEN + RTCP_INDEX_LEN];
    associated[..RTCP_CLEAR_LEN].copy_from_slice(&packet[..RTCP_CLEAR_LEN]);
    associated[RTCP_CLEAR_LEN..].copy_from_slice(&word);
    associated
}

/// AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1).
pub(super) struct CounterMode {
    key: Aes128Enc,
    mac: Hmac<Sha1>,
    salt: Zeroizing<[u8; 14]>,
    rtp_tag_len: usize,
}

impl CounterMode {
    fn new(master: &MasterKey, purpose: Purpose, rtp_tag_len: usize) -> Self {
        // A whole block of SHA-1, filled up with zeros as HMAC itself would (RFC 2104 section 2): no length to refuse.
        let mut block = Zeroizing::new([0; 64]);
        block[..20].copy_from_slice(&*master.derive::<20>(purpose, Label::Authentication));
        let key = master.derive::<16>(purpose, Label::Encryption);
        Self {
            key: Aes128Enc::new((&*key).into()),
            mac: Hmac::new((&*block).into()),
            salt: master.derive(purpose, Label::Salt),
            rtp_tag_len,
        }
    }

    /// Encrypts or decrypts.
    fn apply(&self, id: PacketId, octets: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&*self.salt);
        mix(&mut iv[4..8], &id.ssrc.to_be_bytes());
        mix(&mut iv[8..14], &id.index.to_be_bytes()[2..]);
        // The low 16 bits count blocks; no datagram is long enough to run into the index above them.
        let stream: CtrCore<&Aes128Enc, Ctr32BE> = CtrCore::inner_iv_init(&self.key, &iv.into());
        stream.apply_keystream_partial(octets.into());
    }

    /// Over the packet and the roll-over counter, which is not sent.
    fn rtp_mac(&self, id: PacketId, packet: &[u8]) -> Hmac<Sha1> {
        // The upper 32 of 48 bits.
        let rollover = (id.index >> 16) as u32;
        self.mac(packet).chain_update(rollover.to_be_bytes())
    }

    fn mac(&self, octets: &[u8]) -> Hmac<Sha1> {
        self.mac.clone().chain_update(octets)
    }
}

pub(super) fn mix(into: &mut [u8], octets: &[u8]) {
    for (a, b) in into.iter_mut().zip(octets) {
        *a ^= b;
    }
}
