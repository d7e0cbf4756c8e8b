//! The audio payloads that we carry (RFC 3551 table 4). Purpose: one closed enum that `sip::sdp` negotiates and the media
//! worker matches on per packet. Plain data. Deliberately absent: the codecs themselves (`callwright_dsp::codec`).

use callwright_dsp::codec::g711;

/// Agreed audio codec, 8 kHz mono.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Payload {
    /// G.711 μ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
}

impl Payload {
    /// Static payload type (RFC 3551).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The codec of a static payload type, if we carry it.
    #[must_use]
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// Name in `a=rtpmap` (RFC 3551).
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Decodes octets to samples, one for one; stops at the shorter slice. Returns how many.
    pub fn decode(self, octets: &[u8], pcm: &mut [i16]) -> usize {
        match self {
            Self::Pcmu => g711::decode_ulaw(octets, pcm),
            Self::Pcma => g711::decode_alaw(octets, pcm),
        }
    }

    /// Encodes samples to octets, one for one; stops at the shorter slice. Returns how many.
    pub fn encode(self, pcm: &[i16], octets: &mut [u8]) -> usize {
        match self {
            Self::Pcmu => g711::encode_ulaw(pcm, octets),
            Self::Pcma => g711::encode_alaw(pcm, octets),
        }
    }

    /// The octet that stands for silence.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => g711::ULAW_SILENCE,
            Self::Pcma => g711::ALAW_SILENCE,
        }
    }
}
