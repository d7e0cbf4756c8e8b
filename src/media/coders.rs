//! Codec state of one call. Purpose: a decoder for each format that the peer may send, so that it can change between them
//! from packet to packet, and the encoder of what we send. Made on control threads, used by media workers. Invariants: all
//! memory is taken in `new`; decoders stand at the places of `Formats::receive`. Deliberately absent: negotiation, packets.
//!
//! Audio between the codecs is at the path's rate: 8 kHz to and from speech (a wideband codec is opened at 8 kHz there),
//! [`path_rate`] between two bridged legs. A codec that does not carry the path's rate runs at its own, and the bridge
//! converts.

use crate::limits::RTP_PACKET_MS_MAX;
use crate::rtp::Formats;
use crate::rtp::format::{FORMATS_MAX, OpusWishes};
use callwright_dsp::codec::{Codec, CodecError, Decoder, Encoder, EncoderSettings};

/// Rate of the rings to and from speech, Hz.
pub const SPEECH_RATE: u32 = 8_000;
/// Highest rate between two legs that have different codecs, Hz: nothing but Opus carries more, and Opus to Opus is relayed.
pub const BRIDGE_RATE_MAX: u32 = 16_000;

/// The rate at which two legs with these formats are joined, Hz: what both of them carry.
#[must_use]
pub fn path_rate(one: &Formats, other: &Formats) -> u32 {
    let carries = |f: &Formats| f.send.codec.audio_rate();
    carries(one).min(carries(other)).min(BRIDGE_RATE_MAX)
}

/// Codec state of one call.
#[derive(Debug)]
pub struct Coders {
    decoders: [Option<Decoder>; FORMATS_MAX],
    encoder: Encoder,
    settings: EncoderSettings,
}

impl Coders {
    /// Allocates the decoders and the encoder at `rate` Hz (8000, or what [`path_rate`] says for a bridged leg). Control
    /// threads; an Opus encoder takes some 20 KB.
    ///
    /// # Errors
    /// Ours: a codec that was agreed but does not work at this rate, or no memory. Refuse the call.
    pub fn new(formats: &Formats, rate: u32) -> Result<Box<Self>, CodecError> {
        let fitting = |codec: Codec| rate.min(codec.audio_rate());
        let mut decoders = [const { None }; FORMATS_MAX];
        for (place, format) in decoders.iter_mut().zip(formats.receive) {
            if let Some(format) = format {
                *place = Some(Decoder::new(format.codec, fitting(format.codec))?);
            }
        }
        let codec = formats.send.codec;
        let settings = settings(formats.opus, fitting(codec));
        let encoder = Encoder::new(codec, fitting(codec), settings)?;
        Ok(Box::new(Self { decoders, encoder, settings }))
    }

    /// Whether these coders do for `formats` as well (other payload types, the same codecs): then a renegotiation needs no
    /// new ones, and the state of the old ones is worth keeping.
    #[must_use]
    pub fn serves(&self, formats: &Formats) -> bool {
        let codec = |d: &Option<Decoder>| d.as_ref().map(Decoder::codec);
        self.encoder.codec() == formats.send.codec
            && self.decoders.iter().zip(formats.receive).all(|(d, f)| codec(d) == f.map(|f| f.codec))
    }

    /// The decoder of the format at `place` of `Formats::receive`.
    pub(super) fn decoder(&mut self, place: usize) -> Option<&mut Decoder> {
        self.decoders.get_mut(place)?.as_mut()
    }

    /// Samples in a payload, at the decoder's rate; `None` when it cannot be of that codec, or lasts more than 60 ms.
    pub(super) fn samples(&self, place: usize, payload: &[u8]) -> Option<usize> {
        let decoder = self.decoders.get(place)?.as_ref()?;
        let longest = decoder.rate() as usize / 1000 * RTP_PACKET_MS_MAX;
        decoder.samples(payload).filter(|samples| (1..=longest).contains(samples))
    }

    /// What we send with.
    pub(super) fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// The peer misses this share of our packets, 0 to 1: redundancy follows it.
    pub(super) fn handle_loss(&mut self, share: f32) {
        // A share of 1 at most, in per cent.
        let expected_loss = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        if self.settings.fec && expected_loss != self.settings.expected_loss {
            self.settings.expected_loss = expected_loss;
            self.encoder.apply(self.settings);
        }
    }

    /// The core has this much left for encoding, 0 to 10.
    pub(super) fn handle_headroom(&mut self, complexity: u8) {
        if complexity != self.settings.complexity && self.encoder.codec() == Codec::Opus {
            self.settings.complexity = complexity;
            self.encoder.apply(self.settings);
        }
    }

    /// A decoder and the encoder at once.
    pub(super) fn both(&mut self, place: usize) -> Option<(&mut Decoder, &mut Encoder)> {
        Some((self.decoders.get_mut(place)?.as_mut()?, &mut self.encoder))
    }

    /// Another sender begins.
    pub(super) fn handle_new_source(&mut self) {
        self.decoders.iter_mut().flatten().for_each(Decoder::reset);
    }
}

/// What the peer's wishes make of the defaults.
fn settings(wishes: OpusWishes, rate: u32) -> EncoderSettings {
    let default = EncoderSettings::for_rate(rate);
    // RFC 7587 section 6.1: at least 6000.
    let bitrate = wishes.bitrate_max.map_or(default.bitrate, |most| default.bitrate.min(most.max(6_000)));
    EncoderSettings { bitrate, fec: wishes.fec, dtx: wishes.dtx, ..default }
}

/// Octets that one sample takes, for codecs whose payload may be cut anywhere; `None` for those that come in frames.
pub(super) const fn octets_per_sample(codec: Codec) -> Option<usize> {
    match codec {
        Codec::Pcmu | Codec::Pcma => Some(1),
        Codec::L16At8k => Some(2),
        Codec::G722 | Codec::L16At16k | Codec::Opus => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Format;

    #[test]
    fn coders_serve_the_same_codecs_under_other_numbers() {
        let formats = Formats {
            receive: [Some(Format::PCMU), Some(Format::PCMA), None, None, None, None],
            ..Formats::of(Format::PCMU)
        };
        let coders = Coders::new(&formats, SPEECH_RATE).unwrap();
        assert!(coders.serves(&formats.with_events(96)));
        assert!(!coders.serves(&Formats::of(Format::PCMU)));
        assert!(!coders.serves(&Formats { send: Format::PCMA, ..formats }));
    }

    #[test]
    fn a_payload_beyond_sixty_milliseconds_is_none() {
        let coders = Coders::new(&Formats::of(Format::PCMU), SPEECH_RATE).unwrap();
        assert_eq!(coders.samples(0, &[0; 480]), Some(480));
        assert_eq!(coders.samples(0, &[0; 481]), None);
        assert_eq!(coders.samples(0, &[]), None);
        assert_eq!(coders.samples(1, &[0; 160]), None);
        assert_eq!(coders.samples(9, &[0; 160]), None);
    }

    #[test]
    fn legs_are_joined_at_what_both_carry() {
        let of = |codec| Formats::of(Format { payload_type: 96, codec });
        assert_eq!(path_rate(&of(Codec::Pcmu), &of(Codec::Opus)), 8_000);
        assert_eq!(path_rate(&of(Codec::G722), &of(Codec::Opus)), 16_000);
        assert_eq!(path_rate(&of(Codec::Opus), &of(Codec::Opus)), 16_000);
    }

    #[test]
    fn the_peers_wishes_bound_the_encoder() {
        let wishes = OpusWishes { fec: true, dtx: true, bitrate_max: Some(16_000), playback_rate_max: None };
        let settings = settings(wishes, SPEECH_RATE);
        assert_eq!((settings.fec, settings.dtx, settings.bitrate), (true, true, 16_000));
        assert_eq!(super::settings(OpusWishes { bitrate_max: Some(1), ..wishes }, SPEECH_RATE).bitrate, 6_000);
        assert_eq!(super::settings(OpusWishes::default(), 16_000), EncoderSettings::for_rate(16_000));
    }
}
