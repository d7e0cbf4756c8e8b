//! One stream of packets → another of 20 ms frames in a different codec. Purpose: the part of echo and bridge between a
//! decoder and an encoder: it keeps gaps gaps, so that the far end conceals what was lost on the way here, and brings back
//! what can be brought back. Media workers; inline. Invariants: a frame is encoded in the pass in which its last sample
//! came; less than a frame waits; the time of our frames is the sender's time; packets out of order are left out, since
//! the decoder has gone on. Deliberately absent: waiting for late packets (the far phone's buffer is for that), making up
//! audio: of a loss, only the last packet is recovered, by the redundancy in the packet after it (Opus FEC).

use crate::limits::RTP_PACKET_MS_MAX;
use crate::media::coders::BRIDGE_RATE_MAX;
use crate::media::framer::Framer;
use crate::media::numbering::{Followed, Numbering};
use crate::media::pass::Pass;
use crate::media::reorder::Arrived;
use crate::rtp::{Format, Header};
use crate::time::Tick;
use callwright_dsp::codec::{Decoder, Encoder};
use callwright_dsp::resample::{Rate, Resampler};
use std::cmp::Ordering;

/// Samples of the longest packet at the highest rate of a path.
pub(super) const SAMPLES_MAX: usize = RTP_PACKET_MS_MAX * BRIDGE_RATE_MAX as usize / 1000;
/// A gap in the timestamps up to this is a loss or a pause; beyond it the sender has started anew. Seconds.
const GAP_MAX_SECONDS: u32 = 2;
/// Packets that one received packet can make at most: the frame that waited, a recovered packet, the packet itself.
pub(super) const PACKETS_MAX: usize = 2 + 2 * RTP_PACKET_MS_MAX / 20;

/// Where frames go.
pub(super) struct Outlet<'a, 'p> {
    pub(super) pass: &'a mut Pass<'p>,
    pub(super) numbering: &'a mut Numbering,
    pub(super) encoder: &'a mut Encoder,
    pub(super) send: Format,
    /// What the latency mark counts from.
    pub(super) received: Tick,
}

/// State between one decoder and one encoder.
pub(super) struct Transcode {
    framer: Framer,
    /// Between the rates of the decoder and of the encoder, where they differ.
    up: Resampler,
    down: Resampler,
    /// What the next packet would be if nothing was missing.
    expected: Option<Followed>,
}

/// A packet's place in its stream is past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Late;

impl Transcode {
    pub(super) fn new() -> Self {
        Self {
            framer: Framer::new(),
            up: Resampler::new(Rate::Hz8000, Rate::Hz16000),
            down: Resampler::new(Rate::Hz16000, Rate::Hz8000),
            expected: None,
        }
    }

    /// Another sender begins, or packets are not transcoded any more.
    pub(super) fn handle_new_source(&mut self) {
        self.framer.clear();
        self.expected = None;
    }

    /// A packet without audio took a number: it is not missing.
    pub(super) fn handle_other(&mut self, extended: u64) {
        if let Some(expected) = &mut self.expected {
            expected.extended = expected.extended.max(extended + 1);
        }
    }

    /// What lies between the packet before and this one: leaves it out, or recovers it. Before the packet is decoded.
    pub(super) fn handle_gap(
        &mut self,
        out: &mut Outlet<'_, '_>,
        decoder: &mut Decoder,
        packet: &Arrived<'_>,
        extended: u64,
    ) -> Result<(), Late> {
        let (clock, rate) = (packet.audio.clock, decoder.rate());
        let samples = u32::from(packet.audio.samples);
        let after = Followed {
            extended: extended + 1,
            // 60 ms at most: far below 2^32.
            timestamp: packet.timestamp.wrapping_add((u64::from(samples) * u64::from(clock) / u64::from(rate)) as u32),
            clock,
        };
        let Some(expected) = self.expected.filter(|e| e.clock == clock) else {
            self.framer.clear();
            self.expected = Some(after);
            return Ok(());
        };
        let lost = match extended.cmp(&expected.extended) {
            Ordering::Less => return Err(Late),
            order => order == Ordering::Greater,
        };
        self.expected = Some(after);
        let gap = packet.timestamp.wrapping_sub(expected.timestamp);
        if gap > GAP_MAX_SECONDS * clock {
            self.framer.clear();
            out.numbering.handle_new_source();
            return Ok(());
        }
        // Two seconds at most: within 32 bits.
        let missing = (u64::from(gap) * u64::from(rate) / u64::from(clock)) as u32;
        if missing == 0 {
            return Ok(());
        }
        let mut pcm = [0; SAMPLES_MAX];
        let recovered = if lost { missing.min(samples) as usize } else { 0 };
        let pcm = &mut pcm[..recovered.min(SAMPLES_MAX)];
        if pcm.is_empty() || !decoder.recover(packet.octets, pcm) {
            self.leave_out(out, missing, rate, lost);
            return Ok(());
        }
        self.leave_out(out, missing - pcm.len() as u32, rate, lost);
        self.handle_samples(out, pcm, rate);
        Ok(())
    }

    /// Something else than the sender's audio was sent for so much of its time: samples at `rate`, 60 ms at most.
    pub(super) fn handle_time(&mut self, samples: u32, rate: u32) {
        if let Some(expected) = &mut self.expected {
            let units = (u64::from(samples) * u64::from(expected.clock) / u64::from(rate.max(1))) as u32;
            expected.timestamp = expected.timestamp.wrapping_add(units);
        }
    }

    /// Sends the frames that these samples at `rate` Hz complete.
    pub(super) fn handle_samples(&mut self, out: &mut Outlet<'_, '_>, pcm: &[i16], rate: u32) {
        let wanted = out.encoder.rate();
        if rate == wanted {
            self.frames(out, pcm);
            return;
        }
        let mut converted = [0; SAMPLES_MAX];
        let resampler = if rate < wanted { &mut self.up } else { &mut self.down };
        let len = resampler.process(pcm, &mut converted).written;
        self.frames(out, &converted[..len]);
    }

    fn frames(&mut self, out: &mut Outlet<'_, '_>, mut pcm: &[i16]) {
        let (clock, rate) = (out.send.codec.rtp_clock(), out.encoder.rate());
        while let Some(frame) = self.framer.poll_frame(rate, &mut pcm) {
            let header = out.numbering.frame(out.pass.now, clock, clock / 50);
            let header = Header { payload_type: out.send.payload_type, ..header };
            let encoder = &mut *out.encoder;
            let pushed = out.pass.outbox.push(&header, out.received, |body| encoder.encode(frame, body).unwrap_or(0));
            if !pushed {
                // Nothing to send (DTX).
                out.numbering.omit_frame(&header);
            }
        }
    }

    /// Lets the time of `samples` at `rate` pass: whole frames are left out, as lost ones or as a pause; what does not fill
    /// one is silence.
    fn leave_out(&mut self, out: &mut Outlet<'_, '_>, samples: u32, rate: u32, lost: bool) {
        let silence = [0; Framer::FRAME_MAX];
        let ours = out.encoder.rate();
        let frame = Framer::frame(ours);
        // Two seconds at most.
        let mut left = (u64::from(samples) * u64::from(ours) / u64::from(rate)) as usize;
        if self.framer.waiting() > 0 {
            let fill = left.min(frame - self.framer.waiting());
            self.frames(out, &silence[..fill]);
            left -= fill;
        }
        let frames = left / frame;
        let units = out.send.codec.rtp_clock() / 50 * frames as u32;
        out.numbering.skip(if lost { frames as u16 } else { 0 }, units);
        self.frames(out, &silence[..left % frame]);
    }
}
