//! Codecs, one file each, behind one closed enum. Purpose: RTP payload octets ↔ samples. Invariants: memory is taken in
//! `Decoder::new` and `Encoder::new` only; a payload may hold anything and never panics. Owner: the thread that owns the
//! call. Deliberately absent: packets, payload types (that is `rtp`), negotiation.

pub mod comfort_noise;
pub mod g711;
pub mod g722;
pub mod l16;
pub mod opus_packet;

mod complexity;
mod decoder;
mod encoder;
mod opus;

pub use complexity::ComplexityPolicy;
pub use decoder::Decoder;
pub use encoder::{Encoder, EncoderSettings};

/// An audio codec that we carry. RTP clock and rate differ: G.722 is clocked at 8 kHz for historical reasons (RFC 3551
/// section 4.5.2), Opus always at 48 kHz (RFC 7587).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus, RFC 6716.
    Opus,
    /// Linear 16 bit, big-endian, 8 kHz mono (RFC 3551 section 4.5.11).
    L16At8k,
    /// The same at 16 kHz.
    L16At16k,
}

impl Codec {
    /// All of them, in the order in which we prefer them when we may choose: best sound for least work first.
    pub const ALL: [Self; 6] = [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma, Self::L16At16k, Self::L16At8k];

    /// Name in `a=rtpmap`.
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16At8k | Self::L16At16k => "L16",
        }
    }

    /// Clock of the RTP timestamp, Hz.
    #[must_use]
    pub const fn rtp_clock(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16At8k => 8_000,
            Self::L16At16k => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Channels in `a=rtpmap`: Opus always says 2 there (RFC 7587 section 7), whatever is sent.
    #[must_use]
    pub const fn rtpmap_channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            _ => 1,
        }
    }

    /// Sampling rate that holds all that the codec carries, Hz.
    #[must_use]
    pub const fn audio_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::L16At8k => 8_000,
            Self::G722 | Self::L16At16k => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Static payload type (RFC 3551 table 4), if there is one.
    #[must_use]
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus | Self::L16At8k | Self::L16At16k => None,
        }
    }

    /// The codec of an `a=rtpmap`: `name` in any case, `clock` in Hz, `channels` as written (1 when left out).
    #[must_use]
    pub fn from_rtpmap(name: &str, clock: u32, channels: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| {
            c.encoding_name().eq_ignore_ascii_case(name) && c.rtp_clock() == clock && c.rtpmap_channels() == channels
        })
    }
}

/// Why a codec does not serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecError {
    /// Ours: this codec does not work at this sampling rate.
    Rate {
        /// The codec.
        codec: Codec,
        /// Asked for, Hz.
        rate: u32,
    },
    /// The sender's: the payload is not what the codec says it is. Treat the packet as lost.
    Payload,
    /// Ours: the output is too short for what the payload holds, or the input is no frame of 10, 20, 40 or 60 ms.
    Length,
    /// The codec library's, with its number.
    Library(i32),
}

impl core::fmt::Display for CodecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rate { codec, rate } => write!(f, "{} does not work at {rate} Hz", codec.encoding_name()),
            Self::Payload => f.write_str("the payload is not of this codec"),
            Self::Length => f.write_str("wrong number of samples"),
            Self::Library(code) => write!(f, "the codec library reports {code}"),
        }
    }
}

impl core::error::Error for CodecError {}
