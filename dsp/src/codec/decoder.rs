//! Octets → samples. Purpose: one type for all codecs, chosen when the call is set up. Invariant: only `new` takes memory.

use super::{Codec, CodecError, g711, g722, l16, opus};
use crate::resample::{Rate, Resampler};

/// Samples converted at once where a rate changes on the way: bounds the scratch on the stack.
const CHUNK: usize = 160;

/// One direction of one call's audio.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    rate: u32,
    state: State,
}

/// What each codec remembers.
#[derive(Debug)]
enum State {
    Ulaw,
    Alaw,
    G722(g722::Decoder),
    /// The lower band alone.
    G722Lower(g722::Decoder),
    Opus(opus::Decoder),
    L16,
    /// L16 at twice the rate that is wanted.
    L16Halved(Box<Resampler>),
}

impl Decoder {
    /// A decoder that gives mono samples at `rate` Hz (8000, 16000 or 48000, and not above `Codec::audio_rate`).
    /// G.722 at 8000 decodes its lower band alone, which costs half; L16 at 16 kHz is decimated.
    ///
    /// # Errors
    /// [`CodecError::Rate`]; [`CodecError::Library`] when the library gives no memory.
    pub fn new(codec: Codec, rate: u32) -> Result<Self, CodecError> {
        let state = match (codec, rate) {
            (Codec::Pcmu, 8_000) => State::Ulaw,
            (Codec::Pcma, 8_000) => State::Alaw,
            (Codec::G722, 16_000) => State::G722(g722::Decoder::default()),
            (Codec::G722, 8_000) => State::G722Lower(g722::Decoder::default()),
            (Codec::Opus, 8_000 | 16_000 | 48_000) => State::Opus(opus::Decoder::new(rate)?),
            (Codec::L16At8k, 8_000) | (Codec::L16At16k, 16_000) => State::L16,
            (Codec::L16At16k, 8_000) => State::L16Halved(Box::new(Resampler::new(Rate::Hz16000, Rate::Hz8000))),
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

    /// How many samples (at `rate`) the payload holds, without decoding it; `None` for a payload that cannot be of this
    /// codec (empty, odd, Opus with a wrong table of contents).
    #[must_use]
    pub fn samples(&self, payload: &[u8]) -> Option<usize> {
        let octets = payload.len();
        let per_octets = |samples, of| (octets > 0 && octets.is_multiple_of(of)).then(|| octets / of * samples);
        match &self.state {
            State::Ulaw | State::Alaw | State::G722Lower(_) => per_octets(1, 1),
            State::G722(_) => per_octets(2, 1),
            State::Opus(decoder) => decoder.samples(payload),
            State::L16 => per_octets(1, 2),
            State::L16Halved(_) => per_octets(1, 4),
        }
    }

    /// Decodes one payload; returns the number of samples. The output must hold [`Decoder::samples`], and nothing behind them
    /// is written. An Opus packet lasts up to 120 ms; where less is held, [`CodecError::Length`] refuses it.
    ///
    /// # Errors
    /// [`CodecError::Payload`] (count it, treat it as lost), [`CodecError::Length`].
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        if let State::Opus(decoder) = &mut self.state {
            return decoder.decode(payload, pcm);
        }
        let samples = self.samples(payload).ok_or(CodecError::Payload)?;
        let pcm = pcm.get_mut(..samples).ok_or(CodecError::Length)?;
        Ok(match &mut self.state {
            State::Ulaw => g711::decode_ulaw(payload, pcm),
            State::Alaw => g711::decode_alaw(payload, pcm),
            State::G722(decoder) => decoder.decode(payload, pcm),
            State::G722Lower(decoder) => decoder.decode_lower_band(payload, pcm),
            State::L16 => l16::decode(payload, pcm),
            State::L16Halved(down) => {
                let (mut wide, mut written) = ([0; CHUNK], 0);
                for part in payload.chunks(2 * CHUNK) {
                    let read = l16::decode(part, &mut wide);
                    written += down.process(&wide[..read], &mut pcm[written..]).written;
                }
                written
            }
            State::Opus(_) => return Err(CodecError::Payload),
        })
    }

    /// Whether [`Decoder::conceal`] makes up audio from the codec's own state (Opus); else use `crate::plc`.
    #[must_use]
    pub const fn conceals(&self) -> bool {
        matches!(self.state, State::Opus(_))
    }

    /// Makes up `pcm.len()` samples for what is lost (Opus: multiples of 2.5 ms, at most 60 ms a call; it fades into the
    /// background noise of before, so that it also fills the pauses of a sender with DTX). False when the codec has no
    /// concealment of its own or the length is none of these; `pcm` is to be filled in another way then.
    pub fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        match &mut self.state {
            State::Opus(decoder) => decoder.conceal(pcm),
            _ => false,
        }
    }

    /// Fills `pcm` with the packet before `next`, from the redundancy that `next` carries (Opus in-band FEC); call it
    /// before `next` is decoded. `pcm` is as long as what is missing, in multiples of 2.5 ms up to 60 ms: `next` has a copy
    /// as long as one of its frames, and what is missing before that is concealed. False when there is none, or `pcm` is
    /// shorter than it; `pcm` is to be filled in another way then.
    pub fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        match &mut self.state {
            State::Opus(decoder) => decoder.recover(next, pcm),
            _ => false,
        }
    }

    /// Forgets the past: another sender begins.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::Ulaw | State::Alaw | State::L16 => {}
            State::G722(decoder) | State::G722Lower(decoder) => *decoder = g722::Decoder::default(),
            State::Opus(decoder) => decoder.reset(),
            State::L16Halved(down) => down.reset(),
        }
    }
}
