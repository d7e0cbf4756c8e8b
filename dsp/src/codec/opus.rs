//! libopus behind the codec types. Purpose: our lengths, our errors, our settings. The call's media thread, once made.
//! Invariants: only `new` takes memory (the library works on the stack: up to 96 KiB of it at 48 kHz, 48 at 8 kHz); no length
//! reaches the library unchecked, since an empty payload means "conceal" to it. Deliberately absent: stereo output, the
//! library's own packet tools (`opus_packet` has ours), neural concealment and DRED (not in this build of the library).
//!
//! Application VOIP: at the bit rates that we use, the speech coder sounds better for it than the transform coder of
//! low delay (which saves 4 of the 6.5 ms), and only it has in-band FEC.

use opus::{Application, Bitrate, Channels, ErrorCode, Signal};

use super::opus_packet::Packet;
use super::{CodecError, EncoderSettings};

/// Bit rates that make sense for one channel, bit/s.
const BITRATES: core::ops::RangeInclusive<u32> = 6_000..=128_000;
/// Longest stretch that one call conceals, in units of 2.5 ms.
const CONCEALED_MAX: usize = 24;
/// What libopus returns for a frame that need not be sent (DTX): a table of contents at most.
const DTX_OCTETS: usize = 2;

fn library(error: &opus::Error) -> CodecError {
    match error.code() {
        ErrorCode::InvalidPacket => CodecError::Payload,
        ErrorCode::BufferTooSmall => CodecError::Length,
        // The enum's numbers are the library's.
        code => CodecError::Library(code as i32),
    }
}

/// One direction: octets → mono samples.
#[derive(Debug)]
pub(super) struct Decoder {
    inner: opus::Decoder,
    rate: u32,
}

impl Decoder {
    pub(super) fn new(rate: u32) -> Result<Self, CodecError> {
        let inner = opus::Decoder::new(rate, Channels::Mono).map_err(|e| library(&e))?;
        Ok(Self { inner, rate })
    }

    /// Samples of a payload at this decoder's rate.
    pub(super) fn samples(&self, payload: &[u8]) -> Option<usize> {
        Packet::parse(payload).ok().map(|packet| self.at_rate(packet.samples_48k()))
    }

    /// Every Opus duration is a whole number of samples at 8 kHz and up.
    fn at_rate(&self, samples_48k: u32) -> usize {
        (samples_48k / (48_000 / self.rate)) as usize
    }

    /// Whether a length is made of 2.5 ms, and how many of them.
    fn quarters(&self, samples: usize) -> Option<usize> {
        let quarter = self.at_rate(120);
        (samples > 0 && samples.is_multiple_of(quarter)).then(|| samples / quarter)
    }

    pub(super) fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let samples = self.samples(payload).ok_or(CodecError::Payload)?;
        let pcm = pcm.get_mut(..samples).ok_or(CodecError::Length)?;
        self.inner.decode(payload, pcm, false).map_err(|e| library(&e))
    }

    pub(super) fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.quarters(pcm.len()).is_some_and(|quarters| quarters <= CONCEALED_MAX)
            && self.inner.decode(&[], pcm, false).is_ok()
    }

    pub(super) fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        let Ok(packet) = Packet::parse(next) else { return false };
        // The copy is as long as one frame of its carrier; the library conceals what `pcm` is longer.
        packet.has_redundancy()
            && pcm.len() >= self.at_rate(packet.frame_samples_48k())
            && self.quarters(pcm.len()).is_some_and(|quarters| quarters <= CONCEALED_MAX)
            && self.inner.decode(next, pcm, true).is_ok()
    }

    pub(super) fn reset(&mut self) {
        // Clears memory: it has nothing to refuse.
        let _ = self.inner.reset_state();
    }
}

/// The other direction.
#[derive(Debug)]
pub(super) struct Encoder {
    inner: opus::Encoder,
    rate: u32,
    lookahead: usize,
    settings: EncoderSettings,
}

impl Encoder {
    pub(super) fn new(rate: u32, settings: EncoderSettings) -> Result<Self, CodecError> {
        let mut inner = opus::Encoder::new(rate, Channels::Mono, Application::Voip).map_err(|e| library(&e))?;
        inner.set_signal(Signal::Voice).map_err(|e| library(&e))?;
        let lookahead = inner.get_lookahead().map_err(|e| library(&e))?;
        let mut encoder = Self { inner, rate, lookahead: usize::try_from(lookahead).unwrap_or(0), settings };
        encoder.set(settings)?;
        Ok(encoder)
    }

    fn set(&mut self, wanted: EncoderSettings) -> Result<(), CodecError> {
        let bitrate = wanted.bitrate.clamp(*BITRATES.start(), *BITRATES.end());
        let set = |encoder: &mut opus::Encoder| {
            // All are far below 2³¹.
            encoder.set_bitrate(Bitrate::Bits(bitrate as i32))?;
            encoder.set_complexity(i32::from(wanted.complexity.min(10)))?;
            encoder.set_inband_fec(wanted.fec)?;
            encoder.set_packet_loss_perc(i32::from(wanted.expected_loss.min(100)))?;
            encoder.set_dtx(wanted.dtx)
        };
        set(&mut self.inner).map_err(|e| library(&e))?;
        self.settings = wanted;
        Ok(())
    }

    pub(super) fn apply(&mut self, settings: EncoderSettings) {
        if settings != self.settings {
            // Every value is brought into the library's range: it has nothing to refuse.
            let _ = self.set(settings);
        }
    }

    pub(super) const fn settings(&self) -> EncoderSettings {
        self.settings
    }

    pub(super) const fn lookahead(&self) -> usize {
        self.lookahead
    }

    pub(super) fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let ten_ms = (self.rate / 100) as usize;
        if ![1, 2, 4, 6].iter().any(|n| n * ten_ms == pcm.len()) {
            return Err(CodecError::Length);
        }
        let octets = self.inner.encode(pcm, payload).map_err(|e| library(&e))?;
        Ok(if self.settings.dtx && octets <= DTX_OCTETS { 0 } else { octets })
    }

    pub(super) fn reset(&mut self) {
        // Clears memory: it has nothing to refuse.
        let _ = self.inner.reset_state();
    }
}
