//! The codecs of a dialled call. Purpose: 8 kHz samples ↔ the payloads that were agreed on, whatever they are. Made where
//! memory may be taken, used on the line thread. Invariant: what `send` returns as heard is what the far end decodes.
//! Deliberately absent: packets.

use crate::limits::{FRAME_SAMPLES, RTP_PAYLOAD_MAX};
use crate::rtp::Formats;
use crate::rtp::format::FORMATS_MAX;
use callwright_dsp::codec::{CodecError, Decoder, Encoder, EncoderSettings};

/// Sampling rate of everything that `dial` plays, records and judges, Hz.
pub const RATE: u32 = 8_000;
/// 60 ms: no telephone sends more in one packet.
const SAMPLES_MAX: usize = 3 * FRAME_SAMPLES;

/// Codec state of both directions.
#[derive(Debug)]
pub struct Coding {
    formats: Formats,
    encoder: Encoder,
    /// Decodes what we send, as the far end will.
    monitor: Decoder,
    decoders: [Option<Decoder>; FORMATS_MAX],
}

impl Coding {
    /// Opens what was agreed on.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn new(formats: Formats) -> Result<Self, CodecError> {
        let mut decoders = [const { None }; FORMATS_MAX];
        for (decoder, format) in decoders.iter_mut().zip(formats.receive) {
            *decoder = format.map(|f| Decoder::new(f.codec, RATE)).transpose()?;
        }
        let codec = formats.send.codec;
        let settings = EncoderSettings { fec: formats.opus.fec, ..EncoderSettings::for_rate(RATE) };
        let (encoder, monitor) = (Encoder::new(codec, RATE, settings)?, Decoder::new(codec, RATE)?);
        Ok(Self { formats, encoder, monitor, decoders })
    }

    /// What was agreed on.
    pub const fn formats(&self) -> &Formats {
        &self.formats
    }

    /// RTP timestamp units of one frame of 20 ms.
    pub const fn step(&self) -> u32 {
        self.formats.send.codec.rtp_clock() / 50
    }

    /// Encodes 20 ms into `payload`; returns its length and what the far end hears.
    ///
    /// # Errors
    /// The codec library's.
    pub fn send(&mut self, pcm: &[i16; FRAME_SAMPLES], payload: &mut [u8]) -> Result<(usize, Vec<i16>), CodecError> {
        let room = payload.len().min(RTP_PAYLOAD_MAX);
        let length = self.encoder.encode(pcm, &mut payload[..room])?;
        let mut heard = vec![0; FRAME_SAMPLES];
        self.monitor.decode(&payload[..length], &mut heard)?;
        Ok((length, heard))
    }

    /// Decodes a received payload; returns its samples and the clock of its timestamps, Hz. `None` when the payload was
    /// not agreed on, is not of its codec, or too long.
    pub fn receive(&mut self, payload_type: u8, payload: &[u8]) -> Option<(Vec<i16>, u32)> {
        let place = self.formats.receive.iter().position(|f| f.is_some_and(|f| f.payload_type == payload_type))?;
        let decoder = self.decoders[place].as_mut()?;
        let samples = decoder.samples(payload).filter(|n| (1..=SAMPLES_MAX).contains(n))?;
        let mut pcm = vec![0; samples];
        let decoded = decoder.decode(payload, &mut pcm).ok()?;
        pcm.truncate(decoded);
        Some((pcm, decoder.codec().rtp_clock()))
    }
}

/// RTP timestamps of any clock on the 8 kHz clock, wrapping where 32 bits do. A new source begins a new one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeline {
    /// Source, timestamp as it came, timestamp without wrap-around.
    last: Option<(u32, u32, i64)>,
}

impl Timeline {
    /// The timestamp at 8 kHz.
    pub fn at_8_khz(&mut self, ssrc: u32, timestamp: u32, clock: u32) -> u32 {
        let whole = match self.last {
            // Signed distance on the 32-bit circle.
            Some((source, last, whole)) if source == ssrc => {
                whole + i64::from(timestamp.wrapping_sub(last).cast_signed())
            }
            _ => i64::from(timestamp),
        };
        self.last = Some((ssrc, timestamp, whole));
        // Truncation is what wraps it.
        whole.div_euclid(i64::from(clock / RATE).max(1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{Codec, Format};

    #[test]
    fn a_clock_of_48_khz_wraps_like_one_of_8() {
        let mut timeline = Timeline::default();
        let first = timeline.at_8_khz(1, 0xffff_ff00, 48_000);
        for n in 1..100u32 {
            let at = timeline.at_8_khz(1, 0xffff_ff00_u32.wrapping_add(n * 960), 48_000);
            assert_eq!(at.wrapping_sub(first), n * 160);
        }
        assert_eq!(timeline.at_8_khz(2, 960, 48_000), 160, "another source counts for itself");
        assert_eq!(Timeline::default().at_8_khz(1, 0xffff_ffff, 8_000), 0xffff_ffff);
    }

    #[test]
    fn every_codec_is_heard_by_the_far_end_as_we_think() {
        for codec in Codec::ALL {
            let formats = Formats::of(Format { payload_type: 96, codec });
            let (mut here, mut there) = (Coding::new(formats).unwrap(), Coding::new(formats).unwrap());
            let mut payload = [0; RTP_PAYLOAD_MAX];
            for _ in 0..5 {
                let (length, heard) = here.send(&[1000; FRAME_SAMPLES], &mut payload).unwrap();
                assert_eq!(there.receive(96, &payload[..length]), Some((heard, codec.rtp_clock())), "{codec:?}");
            }
            assert_eq!(there.receive(97, &payload), None);
        }
        let mut laws = Coding::new(Formats::of(Format::PCMU)).unwrap();
        assert_eq!(laws.receive(0, &[0; 481]), None, "more than 60 ms");
    }
}
