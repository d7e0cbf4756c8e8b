//! What comes in goes out. Purpose: the full path (decode → ring → ring → encode) driven by reception alone: a packet's
//! audio leaves in the pass that brought it. Media workers. Invariants: every packet answers exactly one packet; gaps and
//! order of the caller's stream show in ours, so the far phone's own buffer smooths it. Deliberately absent: a clock, a
//! jitter buffer.

use crate::id::{Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, RTP_PACKET_SAMPLES_MAX};
use crate::media::frame::{
    self, InFrame, InboundConsumer, InboundProducer, OutFrame, OutboundConsumer, OutboundProducer,
};
use crate::media::inbound::Arrived;
use crate::media::pass::Pass;
use crate::media::playout::Identity;
use crate::media::recorder::Side;
use crate::rtp::Header;
use crate::time::MediaTime;
use ringbuf::traits::{Consumer, Producer};

/// Frames in either ring: a packet is three at most.
const RING_FRAMES: usize = RTP_PACKET_SAMPLES_MAX.div_ceil(FRAME_SAMPLES) + 1;

/// First packet of the caller's stream and what we called it.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    sequence: u64,
    timestamp: u32,
    ours: Identity,
}

/// An echo call.
pub(super) struct Echo {
    caller: (InboundProducer, InboundConsumer),
    answer: (OutboundProducer, OutboundConsumer),
    anchor: Option<Anchor>,
    position: u64,
    first_timestamp: Option<u32>,
}

impl Echo {
    pub(super) fn new() -> Self {
        Self {
            caller: frame::ring(RING_FRAMES, || InFrame::EMPTY),
            answer: frame::ring(RING_FRAMES, || OutFrame::EMPTY),
            anchor: None,
            position: 0,
            first_timestamp: None,
        }
    }

    pub(super) fn position(&self) -> MediaTime {
        MediaTime(self.position)
    }

    /// Another sender: our stream goes on from where it is.
    pub(super) fn handle_new_source(&mut self) {
        self.anchor = None;
    }

    /// Answers one packet. `extended`: its sequence number with cycles; `next`: identity that a new anchor takes.
    pub(super) fn handle_packet(
        &mut self,
        pass: &mut Pass<'_>,
        packet: Arrived<'_>,
        extended: u64,
        marker: bool,
        next: &mut Identity,
    ) {
        let anchor =
            *self.anchor.get_or_insert(Anchor { sequence: extended, timestamp: packet.timestamp, ours: *next });
        // Sequence numbers are modulo 2^16.
        let header = Header {
            marker,
            payload_type: packet.payload.payload_type(),
            sequence: anchor.ours.sequence.wrapping_add(extended.wrapping_sub(anchor.sequence) as u16),
            timestamp: anchor.ours.timestamp.wrapping_add(packet.timestamp.wrapping_sub(anchor.timestamp)),
            ssrc: anchor.ours.ssrc,
        };
        // Our stream's time stands for audio time: it goes on over gaps, and over a change of the sender.
        let first = *self.first_timestamp.get_or_insert(header.timestamp);
        let at = MediaTime(u64::from(header.timestamp.wrapping_sub(first)));
        self.hear(pass, packet, at);
        self.turn_around();
        let (answer, tap) = (&mut self.answer.1, &mut pass.tap);
        let mut sent_at = at;
        let pushed = pass.outbox.push(&header, packet.received, |body| {
            let mut len = 0;
            while let Some(frame) = answer.try_pop() {
                if let Some(tap) = tap {
                    tap.push_samples(Side::Agent, sent_at, frame.samples());
                    sent_at.0 += u64::from(frame.len);
                }
                len += packet.payload.encode(frame.samples(), &mut body[len..]);
            }
            len
        });
        debug_assert!(pushed, "the outbox holds one answer for each packet of a batch");
        // Where a later sender's first packet would stand in our stream: after the furthest so far.
        let after = header.sequence.wrapping_add(1);
        // Signed distance on the 16-bit circle.
        if (after.wrapping_sub(next.sequence) as i16) > 0 {
            next.sequence = after;
            next.timestamp = header.timestamp.wrapping_add(packet.octets.len() as u32);
        }
    }

    fn hear(&mut self, pass: &mut Pass<'_>, packet: Arrived<'_>, at: MediaTime) {
        let mut pcm = [0; RTP_PACKET_SAMPLES_MAX];
        let decoded = packet.payload.decode(packet.octets, &mut pcm);
        pass.record(Side::Caller, at, &pcm[..decoded]);
        for part in pcm[..decoded].chunks(FRAME_SAMPLES) {
            let mut frame = InFrame {
                at: MediaTime(self.position),
                received: packet.received,
                fed: false,
                len: part.len() as u16,
                pcm: [0; FRAME_SAMPLES],
            };
            frame.pcm[..part.len()].copy_from_slice(part);
            self.position += part.len() as u64;
            // Never full: both rings hold a whole packet and are emptied with each.
            let _ = self.caller.0.try_push(frame);
        }
    }

    fn turn_around(&mut self) {
        while let Some(heard) = self.caller.1.try_pop() {
            let said = OutFrame {
                generation: Generation(0),
                utterance: UtteranceId(0),
                end: false,
                len: heard.len,
                pcm: heard.pcm,
            };
            let _ = self.answer.0.try_push(said);
        }
    }
}
