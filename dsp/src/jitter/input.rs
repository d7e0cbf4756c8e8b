//! What a playout buffer is given: settings, packets, a decoder. Deliberately absent: sockets and RTP parsing.

use crate::codec::Decoder;
use crate::codec::comfort_noise::NoiseParameters;

/// Never more than this is held, ms.
pub const DELAY_MAX_MS: u32 = 500;

/// What a buffer is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Rate of the samples, Hz: 8000 or 16000.
    pub rate: u32,
    /// Clock of the RTP timestamps, Hz (`Codec::rtp_clock`).
    pub rtp_clock: u32,
    /// Aim at no less delay, ms.
    pub minimum_delay_ms: u32,
    /// Aim at no more, ms; up to 500.
    pub maximum_delay_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rate: 8_000, rtp_clock: 8_000, minimum_delay_ms: 20, maximum_delay_ms: 400 }
    }
}

impl Settings {
    pub(super) fn check(self) -> Result<(), SettingsError> {
        let Self { rate, rtp_clock, minimum_delay_ms, maximum_delay_ms } = self;
        let fits = rtp_clock > 0 && rate > 0 && (rtp_clock % rate == 0 || rate % rtp_clock == 0);
        if !matches!(rate, 8_000 | 16_000) || !fits {
            return Err(SettingsError::Rate);
        }
        if minimum_delay_ms > maximum_delay_ms || maximum_delay_ms > DELAY_MAX_MS {
            return Err(SettingsError::Delay);
        }
        Ok(())
    }
}

/// Ours: a buffer cannot be made so. Nothing to retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettingsError {
    /// The rate is neither 8000 nor 16000, or the clock is not a multiple or part of it.
    Rate,
    /// Minimum above maximum, or maximum above 500 ms.
    Delay,
}

impl core::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Rate => "a playout buffer works at 8000 or 16000 Hz, with an RTP clock that fits",
            Self::Delay => "a playout buffer's delay is at most 500 ms, and its minimum not above its maximum",
        })
    }
}

impl core::error::Error for SettingsError {}

/// One packet, as RTP has it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Payload.
    pub content: Content<'a>,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A payload of the codec.
    Audio(&'a [u8]),
    /// Silence from here on, with this noise (RFC 3389).
    ComfortNoise(NoiseParameters),
}

/// What decodes the packets. [`Decoder`] does; see there for the meaning of each.
pub trait Decode {
    /// Samples that the payload holds; `None` when it is not of this codec.
    fn samples(&self, payload: &[u8]) -> Option<usize>;
    /// Decodes; `None` for a payload that is not what it seemed.
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Option<usize>;
    /// Makes up audio from the codec's state; false when it cannot.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool;
    /// Restores the packet before `next`; false when it cannot.
    fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool;
    /// Forgets the past.
    fn reset(&mut self);
}

impl Decode for Decoder {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        Self::samples(self, payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Option<usize> {
        Self::decode(self, payload, pcm).ok()
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.conceals() && Self::conceal(self, pcm)
    }

    fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        Self::recover(self, next, pcm)
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}
