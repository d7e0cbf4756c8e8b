//! Samples → octets. Purpose: one type for all codecs, chosen when the call is set up. Invariant: only `new` takes memory.

use super::{Codec, CodecError, g711, g722, l16, opus};
use crate::resample::{Rate, Resampler};

/// Samples converted at once where a rate changes on the way: bounds the scratch on the stack.
const CHUNK: usize = 160;
/// Delay of the resampler from 8 to 16 kHz, samples at 8 kHz (0.94 ms).
const UP_DELAY: usize = 7;

/// What an Opus encoder may be told; the other codecs have nothing to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncoderSettings {
    /// Bit/s, 6000–128000.
    pub bitrate: u32,
    /// 0 (least work) to 10.
    pub complexity: u8,
    /// In-band FEC (LBRR), as the peer's `useinbandfec` allows. At 32 kbit/s and 10 % random loss it lifts PESQ from 2.4 to 3.5;
    /// without loss its bits cost 0.3.
    pub fec: bool,
    /// Loss to protect against, per cent, as RTCP tells; at 0 no copies are sent and `fec` costs nothing.
    pub expected_loss: u8,
    /// Discontinuous transmission, as the peer's `usedtx` allows.
    pub dtx: bool,
}

impl EncoderSettings {
    /// What suits an encoder of `rate` Hz. Bits are cheaper than work on the networks that we serve: at 8 kHz, 32 kbit/s with
    /// complexity 1 sounds as good as 24 kbit/s with complexity 10 (PESQ 4.5) for a third of the work; at 16 kHz, 48 kbit/s
    /// with complexity 1 as good as 24 kbit/s with 8 (PESQ-WB 4.1) for a quarter. The peer's `maxaveragebitrate` bounds it.
    #[must_use]
    pub const fn for_rate(rate: u32) -> Self {
        let bitrate = match rate {
            0..=8_000 => 32_000,
            8_001..=16_000 => 48_000,
            _ => 64_000,
        };
        Self { bitrate, complexity: 1, fec: false, expected_loss: 0, dtx: false }
    }
}

impl Default for EncoderSettings {
    /// For 8 kHz, the rate of a speech path: 32 kbit/s, complexity 1, no FEC, no DTX.
    fn default() -> Self {
        Self::for_rate(8_000)
    }
}

/// The other direction.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    rate: u32,
    state: State,
}

/// What each codec remembers.
#[derive(Debug)]
enum State {
    Ulaw,
    Alaw,
    G722(g722::Encoder),
    /// The lower band alone.
    G722Lower(g722::Encoder),
    Opus(opus::Encoder),
    L16,
    /// L16 at twice the rate that comes in.
    L16Doubled(Box<Resampler>),
}

impl Encoder {
    /// An encoder of mono samples at `rate` Hz (8000, 16000 or 48000, and not above `Codec::audio_rate`).
    /// G.722 at 8000 encodes its lower band alone while the higher one idles; L16 at 16 kHz is interpolated.
    ///
    /// # Errors
    /// [`CodecError::Rate`]; [`CodecError::Library`] when the library gives no memory.
    pub fn new(codec: Codec, rate: u32, settings: EncoderSettings) -> Result<Self, CodecError> {
        let state = match (codec, rate) {
            (Codec::Pcmu, 8_000) => State::Ulaw,
            (Codec::Pcma, 8_000) => State::Alaw,
            (Codec::G722, 16_000) => State::G722(g722::Encoder::default()),
            (Codec::G722, 8_000) => State::G722Lower(g722::Encoder::default()),
            (Codec::Opus, 8_000 | 16_000 | 48_000) => State::Opus(opus::Encoder::new(rate, settings)?),
            (Codec::L16At8k, 8_000) | (Codec::L16At16k, 16_000) => State::L16,
            (Codec::L16At16k, 8_000) => State::L16Doubled(Box::new(Resampler::new(Rate::Hz8000, Rate::Hz16000))),
            _ => return Err(CodecError::Rate { codec, rate }),
        };
        Ok(Self { codec, rate, state })
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
    /// Opus); returns the number of octets. Opus with DTX may return 0: nothing is to be sent, the next packet has the next
    /// sequence number and the timestamp of its own time, and the receiver takes the gap for a pause, not for loss. Opus
    /// fits its packet into `payload` whatever that takes; 1275 octets always suffice.
    ///
    /// # Errors
    /// [`CodecError::Length`], [`CodecError::Library`].
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let samples = pcm.len();
        let octets = match self.state {
            State::Opus(ref mut encoder) => return encoder.encode(pcm, payload),
            State::Ulaw | State::Alaw | State::G722Lower(_) => samples,
            State::G722(_) if !samples.is_multiple_of(2) => return Err(CodecError::Length),
            State::G722(_) => samples / 2,
            State::L16 => 2 * samples,
            State::L16Doubled(_) => 4 * samples,
        };
        let payload = payload.get_mut(..octets).ok_or(CodecError::Length)?;
        Ok(match &mut self.state {
            State::Ulaw => g711::encode_ulaw(pcm, payload),
            State::Alaw => g711::encode_alaw(pcm, payload),
            State::G722(encoder) => encoder.encode(pcm, payload),
            State::G722Lower(encoder) => encoder.encode_lower_band(pcm, payload),
            State::L16 => l16::encode(pcm, payload),
            State::L16Doubled(up) => {
                let (mut wide, mut written) = ([0; 2 * CHUNK], 0);
                for part in pcm.chunks(CHUNK) {
                    let samples = up.process(part, &mut wide).written;
                    written += l16::encode(&wide[..samples], &mut payload[written..]);
                }
                written
            }
            State::Opus(_) => return Err(CodecError::Length),
        })
    }

    /// New settings from the next frame on (complexity follows headroom, loss follows RTCP). Without effect but on Opus.
    /// Values beyond their range are brought into it; equal settings cost nothing.
    pub fn apply(&mut self, settings: EncoderSettings) {
        if let State::Opus(encoder) = &mut self.state {
            encoder.apply(settings);
        }
    }

    /// The settings in force; `None` but on Opus.
    #[must_use]
    pub const fn settings(&self) -> Option<EncoderSettings> {
        match &self.state {
            State::Opus(encoder) => Some(encoder.settings()),
            _ => None,
        }
    }

    /// Algorithmic delay, samples at `rate`: what the far end hears later than sent.
    #[must_use]
    pub const fn delay(&self) -> usize {
        match &self.state {
            State::Ulaw | State::Alaw | State::L16 | State::G722Lower(_) => 0,
            State::G722(_) => g722::FILTER_DELAY_16K,
            State::Opus(encoder) => encoder.lookahead(),
            State::L16Doubled(_) => UP_DELAY,
        }
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::Ulaw | State::Alaw | State::L16 => {}
            State::G722(encoder) | State::G722Lower(encoder) => *encoder = g722::Encoder::default(),
            State::Opus(encoder) => encoder.reset(),
            State::L16Doubled(up) => up.reset(),
        }
    }
}
