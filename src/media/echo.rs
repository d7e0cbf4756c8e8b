//! What comes in goes out. Purpose: the full path (decode → ring → ring → encode) driven by reception alone: a packet's
//! audio leaves in the pass that brought it, in the codec that was agreed for sending. Media workers. Invariants: every
//! packet answers exactly one packet (where the encoder takes whole frames only: exactly as much audio, in frames of
//! 20 ms); gaps and order of the caller's stream show in ours, so the far phone's own buffer smooths it; never more audio
//! than real time allows (`pace`). Deliberately absent: a clock, a jitter buffer.

use crate::id::{Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, RTP_PACKET_SAMPLES_MAX};
use crate::media::coders::{Coders, SPEECH_RATE, octets_per_sample};
use crate::media::ears::Ears;
use crate::media::event::SessionStats;
use crate::media::frame::{
    self, InFrame, InboundConsumer, InboundProducer, OutFrame, OutboundConsumer, OutboundProducer, SaidLevels,
};
use crate::media::numbering::{Followed, Identity, Numbering};
use crate::media::pace::Pace;
use crate::media::pass::Pass;
use crate::media::reorder::Arrived;
use crate::media::transcode::{Late, Outlet, Transcode};
use crate::rtp::{Codec, Format, Header};
use crate::time::{MediaTime, Tick};
use callwright_dsp::codec::CodecError;
use ringbuf::traits::{Consumer, Producer};
use std::time::Duration;

/// Frames in either ring: a packet is three at most.
const RING_FRAMES: usize = RTP_PACKET_SAMPLES_MAX.div_ceil(FRAME_SAMPLES) + 1;

/// An echo call.
pub(super) struct Echo {
    caller: (InboundProducer, InboundConsumer),
    answer: (OutboundProducer, OutboundConsumer),
    numbering: Numbering,
    transcode: Transcode,
    pace: Pace,
    /// Audio time: that of the sender's stream, so that a gap takes its time.
    position: u64,
    /// Timestamp that continues the last packet, and its clock.
    next: Option<(u32, u32)>,
}

/// A gap up to this (2 s) takes its time; beyond it the sender has started anew, and audio time is the wall clock's.
const GAP_MAX: i64 = 16_000;

impl Echo {
    pub(super) fn new(start: Identity) -> Self {
        Self {
            caller: frame::ring(RING_FRAMES, || InFrame::EMPTY),
            answer: frame::ring(RING_FRAMES, || OutFrame::EMPTY),
            numbering: Numbering::new(start),
            transcode: Transcode::new(),
            pace: Pace::default(),
            position: 0,
            next: None,
        }
    }

    pub(super) fn position(&self) -> MediaTime {
        MediaTime(self.position)
    }

    /// Another sender, or another codec: our stream goes on from where it is.
    pub(super) fn handle_new_source(&mut self) {
        self.numbering.handle_new_source();
        self.transcode.handle_new_source();
        self.next = None;
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one packet's facts; a struct of them would be made and taken apart once"
    )]
    /// Answers one packet. `extended`: its sequence number with cycles; `send`: what we answer in;
    /// `wall`: audio time by the clock.
    pub(super) fn handle_packet(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        coders: &mut Coders,
        ears: &mut Ears,
        packet: &Arrived<'_>,
        extended: u64,
        marker: bool,
        send: Format,
        wall: MediaTime,
    ) {
        let samples = u64::from(packet.audio.samples);
        if !self.pace.admits(pass.now, Duration::from_micros(samples * 125)) {
            stats.late += 1;
            pass.marks.rtp_late.count();
            return;
        }
        let in_frames = send.codec == Codec::Opus;
        if in_frames && self.step_over(pass, coders, packet, extended, send) == Err(Late) {
            stats.late += 1;
            pass.marks.rtp_late.count();
            return;
        }
        // A packet out of order belongs before where the stream is now.
        let behind = self.step(packet, wall);
        let reached = self.position;
        self.position = reached.saturating_sub(behind.unwrap_or(0));
        let heard = self.hear(coders, packet);
        if behind.is_some() {
            self.position = reached;
        }
        if heard.is_err() {
            stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            return;
        }
        self.turn_around(ears);
        if in_frames {
            self.answer_in_frames(pass, coders, packet.received, send);
        } else {
            let followed = Followed { extended, timestamp: packet.timestamp, clock: packet.audio.clock };
            self.answer_in_kind(pass, stats, coders, followed, packet.received, marker, samples, send);
        }
    }

    /// Leaves out what is missing before this packet, where the answer is made anew.
    fn step_over(
        &mut self,
        pass: &mut Pass<'_>,
        coders: &mut Coders,
        packet: &Arrived<'_>,
        extended: u64,
        send: Format,
    ) -> Result<(), Late> {
        let Some((decoder, encoder)) = coders.both(usize::from(packet.audio.place)) else { return Ok(()) };
        let mut out = Outlet { pass, numbering: &mut self.numbering, encoder, send, received: packet.received };
        self.transcode.handle_gap(&mut out, decoder, packet, extended)
    }

    /// Audio time goes on by what is missing before this packet; says how far behind it belongs if it came late.
    fn step(&mut self, packet: &Arrived<'_>, wall: MediaTime) -> Option<u64> {
        let clock = packet.audio.clock;
        let ratio = (clock / SPEECH_RATE).max(1);
        let gap = match self.next.filter(|(_, of)| *of == clock) {
            // Signed distance on the circle of 32 bits.
            Some((expected, _)) => i64::from(packet.timestamp.wrapping_sub(expected) as i32) / i64::from(ratio),
            None if self.position > 0 => GAP_MAX + 1,
            None => 0,
        };
        if (-GAP_MAX..0).contains(&gap) {
            return Some(gap.unsigned_abs());
        }
        if (0..=GAP_MAX).contains(&gap) {
            self.position += gap.unsigned_abs();
        } else {
            let samples = u64::from(packet.audio.samples);
            self.position = self.position.max(wall.0.saturating_sub(samples));
        }
        let length = u32::from(packet.audio.samples) * ratio;
        self.next = Some((packet.timestamp.wrapping_add(length), clock));
        None
    }

    /// Decode → ring.
    fn hear(&mut self, coders: &mut Coders, packet: &Arrived<'_>) -> Result<(), CodecError> {
        let decoder = coders.decoder(usize::from(packet.audio.place)).ok_or(CodecError::Payload)?;
        if let Some(octets) = octets_per_sample(decoder.codec()) {
            // Straight into the frames: the ordinary call copies nothing on the way.
            for part in packet.octets.chunks(FRAME_SAMPLES * octets) {
                let mut frame = self.empty(packet.received);
                frame.len = decoder.decode(part, &mut frame.pcm)? as u16;
                self.push(frame);
            }
            return Ok(());
        }
        let mut pcm = [0; RTP_PACKET_SAMPLES_MAX];
        let decoded = decoder.decode(packet.octets, &mut pcm)?;
        for part in pcm[..decoded].chunks(FRAME_SAMPLES) {
            let mut frame = self.empty(packet.received);
            frame.len = part.len() as u16;
            frame.pcm[..part.len()].copy_from_slice(part);
            self.push(frame);
        }
        Ok(())
    }

    fn empty(&self, received: Tick) -> InFrame {
        InFrame {
            at: MediaTime(self.position),
            received,
            fed: false,
            len: 0,
            said: SaidLevels::SILENCE,
            pcm: [0; FRAME_SAMPLES],
        }
    }

    fn push(&mut self, frame: InFrame) {
        self.position += u64::from(frame.len);
        // Never full: both rings hold a whole packet and are emptied with each.
        let _ = self.caller.0.try_push(frame);
    }

    /// Ring → ring.
    fn turn_around(&mut self, ears: &mut Ears) {
        while let Some(heard) = self.caller.1.try_peek() {
            ears.handle_heard(heard.at, heard.samples());
            ears.handle_said(heard.at, heard.samples());
            let said = OutFrame {
                generation: Generation(0),
                utterance: UtteranceId(0),
                end: false,
                len: heard.len,
                pcm: heard.pcm,
            };
            let _ = self.answer.0.try_push(said);
            self.caller.1.skip(1);
        }
    }

    /// Ring → encode: one packet for one packet.
    #[expect(
        clippy::too_many_arguments,
        reason = "one packet's facts; a struct of them would be made and taken apart once"
    )]
    fn answer_in_kind(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        coders: &mut Coders,
        followed: Followed,
        received: Tick,
        marker: bool,
        samples: u64,
        send: Format,
    ) {
        let clock = send.codec.rtp_clock();
        let Some(header) = self.numbering.follow(pass.now, followed, marker, clock, units(samples, clock)) else {
            while self.answer.1.skip(1) > 0 {}
            stats.late += 1;
            pass.marks.rtp_late.count();
            return;
        };
        let header = Header { payload_type: send.payload_type, ..header };
        let (answer, encoder) = (&mut self.answer.1, coders.encoder());
        let pushed = pass.outbox.push(&header, received, |body| {
            let mut len = 0;
            while let Some(frame) = answer.try_peek() {
                // What does not fit (linear audio is long) is not sent.
                len += encoder.encode(frame.samples(), &mut body[len..]).unwrap_or(0);
                answer.skip(1);
            }
            len
        });
        debug_assert!(pushed, "the outbox holds one answer for each packet of a batch");
    }

    /// Ring → frames of 20 ms → encode.
    fn answer_in_frames(&mut self, pass: &mut Pass<'_>, coders: &mut Coders, received: Tick, send: Format) {
        let mut out = Outlet { pass, numbering: &mut self.numbering, encoder: coders.encoder(), send, received };
        while let Some(frame) = self.answer.1.try_peek() {
            self.transcode.handle_samples(&mut out, frame.samples(), SPEECH_RATE);
            self.answer.1.skip(1);
        }
    }
}

/// Samples of speech on an RTP clock.
fn units(samples: u64, clock: u32) -> u32 {
    // 60 ms at most: far below 2^32.
    (samples * u64::from(clock / SPEECH_RATE)) as u32
}
