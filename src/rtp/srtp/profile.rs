//! The four protection profiles, one table.

/// How packets are protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    /// AES-128 counter mode, HMAC-SHA1 with 80-bit tags (RFC 3711).
    AesCm128HmacSha1With80,
    /// The same with 32-bit tags on RTP; RTCP keeps 80 bits (RFC 4568 section 6.2.2, RFC 5764 section 4.1.2).
    AesCm128HmacSha1With32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
}

/// Octets that protection adds at most, to RTP or RTCP.
pub const OVERHEAD_MAX: usize = 20;
/// The SRTCP index with its E bit.
pub(super) const RTCP_INDEX_LEN: usize = 4;

const _: () = assert!(Profile::AeadAes256Gcm.rtcp_overhead() == OVERHEAD_MAX);

impl Profile {
    /// All of them, the one that we would rather have first.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1With80, Self::AesCm128HmacSha1With32];

    /// Octets of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Octets of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1With80 | Self::AesCm128HmacSha1With32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Octets that `protect_rtp` adds.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AesCm128HmacSha1With80 => 10,
            Self::AesCm128HmacSha1With32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Octets that `protect_rtcp` adds.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        RTCP_INDEX_LEN
            + match self {
                Self::AesCm128HmacSha1With80 | Self::AesCm128HmacSha1With32 => 10,
                Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            }
    }

    /// Name in `a=crypto` (RFC 4568 section 6.2, RFC 7714 section 14.1).
    #[must_use]
    pub const fn suite(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1With80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1With32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Number in DTLS's `use_srtp` (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
    #[must_use]
    pub const fn dtls_id(self) -> u16 {
        match self {
            Self::AesCm128HmacSha1With80 => 0x0001,
            Self::AesCm128HmacSha1With32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The profile of a name in `a=crypto`; case counts not.
    #[must_use]
    pub fn from_suite(suite: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.suite().eq_ignore_ascii_case(suite))
    }

    /// The profile of a number in `use_srtp`.
    #[must_use]
    pub fn from_dtls_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.dtls_id() == id)
    }
}
