//! Samples → octets. Purpose: one type for all codecs, chosen when the call is set up. Invariant: only `new` takes memory.

use super::{Codec, CodecError, g711};

/// What an Opus encoder may be told; the other codecs have nothing to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncoderSettings {
    /// Bit/s, 6000–128000.
    pub bitrate: u32,
    /// 0 (least work) to 10.
    pub complexity: u8,
    /// In-band FEC (LBRR), as the peer's `useinbandfec` allows.
    pub fec: bool,
    /// Loss to protect against, per cent.
    pub expected_loss: u8,
    /// Discontinuous transmission, as the peer's `usedtx` allows.
    pub dtx: bool,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { bitrate: 24_000, complexity: 5, fec: false, expected_loss: 0, dtx: false }
    }
}

/// The other direction.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    rate: u32,
}

impl Encoder {
    /// An encoder of mono samples at `rate` Hz (8000, 16000 or 48000, and not above `Codec::audio_rate`).
    ///
    /// # Errors
    /// [`CodecError::Rate`]; [`CodecError::Library`] when the library gives no memory.
    pub fn new(codec: Codec, rate: u32, _settings: EncoderSettings) -> Result<Self, CodecError> {
        match codec {
            Codec::Pcmu | Codec::Pcma if rate == 8_000 => Ok(Self { codec, rate }),
            _ => Err(CodecError::Rate { codec, rate }),
        }
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Rate of the samples, Hz.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Encodes one frame (any length for G.711 and L16, even numbers of 16 kHz samples for G.722, 10, 20, 40 or 60 ms for
    /// Opus); returns the number of octets. Opus with DTX may return 0: nothing is to be sent.
    ///
    /// # Errors
    /// [`CodecError::Length`], [`CodecError::Library`].
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        if payload.len() < pcm.len() {
            return Err(CodecError::Length);
        }
        Ok(match self.codec {
            Codec::Pcma => g711::encode_alaw(pcm, payload),
            _ => g711::encode_ulaw(pcm, payload),
        })
    }

    /// New settings from the next frame on (complexity follows headroom, loss follows RTCP). Without effect but on Opus.
    pub fn apply(&mut self, _settings: EncoderSettings) {}

    /// Algorithmic delay, samples at `rate`: what the far end hears later than sent.
    #[must_use]
    pub const fn delay(&self) -> usize {
        0
    }

    /// Forgets the past.
    pub fn reset(&mut self) {}
}
