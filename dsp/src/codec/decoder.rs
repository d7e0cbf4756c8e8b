//! Octets → samples. Purpose: one type for all codecs, chosen when the call is set up. Invariant: only `new` takes memory.

use super::{Codec, CodecError, g711};

/// One direction of one call's audio.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    rate: u32,
}

impl Decoder {
    /// A decoder that gives mono samples at `rate` Hz (8000, 16000 or 48000, and not above `Codec::audio_rate`).
    ///
    /// # Errors
    /// [`CodecError::Rate`]; [`CodecError::Library`] when the library gives no memory.
    pub fn new(codec: Codec, rate: u32) -> Result<Self, CodecError> {
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

    /// How many samples (at `rate`) the payload holds, without decoding it; `None` for a payload that cannot be of this
    /// codec (empty, odd, Opus with a wrong table of contents).
    #[must_use]
    pub fn samples(&self, payload: &[u8]) -> Option<usize> {
        (!payload.is_empty()).then_some(payload.len())
    }

    /// Decodes one payload; returns the number of samples. The output must hold [`Decoder::samples`].
    ///
    /// # Errors
    /// [`CodecError::Payload`] (count it, treat it as lost), [`CodecError::Length`].
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        if pcm.len() < payload.len() {
            return Err(CodecError::Length);
        }
        Ok(match self.codec {
            Codec::Pcma => g711::decode_alaw(payload, pcm),
            _ => g711::decode_ulaw(payload, pcm),
        })
    }

    /// Whether [`Decoder::conceal`] makes up audio from the codec's own state (Opus); else use `crate::plc`.
    #[must_use]
    pub const fn conceals(&self) -> bool {
        false
    }

    /// Makes up `pcm.len()` samples for what is lost (Opus: multiples of 2.5 ms, at most 60 ms a call). False when the
    /// codec has no concealment of its own; `pcm` is untouched then.
    pub fn conceal(&mut self, _pcm: &mut [i16]) -> bool {
        false
    }

    /// Fills `pcm` with the packet before `next`, from the redundancy that `next` carries (Opus in-band FEC); call it
    /// before `next` is decoded. False when there is none; `pcm` is untouched then.
    pub fn recover(&mut self, _next: &[u8], _pcm: &mut [i16]) -> bool {
        false
    }

    /// Forgets the past: another sender begins.
    pub fn reset(&mut self) {}
}
