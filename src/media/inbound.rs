//! Packets → continuous audio for speech. Purpose: put packets in order without making the ordinary one wait, fill what
//! is missing, and never let audio time stop. Media workers; all storage inline or made before. Invariants:
//!
//! - `MediaTime` of the frames only grows, without a hole (but for a full ring);
//! - a packet in order is readable at once; only a gap waits (`rtp::sequence`);
//! - no packet by the due time of the next 20 ms plus `SILENCE_AFTER` → silence is fed;
//! - audio is never further ahead of the wall clock than `AHEAD_MAX`: what comes in a burst after a stall is kept up to
//!   there, and the surplus is given back in the caller's next pause.
//!
//! Deliberately absent: playout buffering, voice detection.

use crate::limits::{AHEAD_MAX, FRAME_SAMPLES, RTP_PACKET_SAMPLES_MAX, SILENCE_AFTER};
use crate::media::event::SessionStats;
use crate::media::frame::{InFrame, InboundProducer};
use crate::media::pass::Pass;
use crate::media::recorder::Side;
use crate::rtp::Payload;
use crate::rtp::sequence::{Admission, Released, Sequencer};
use crate::time::{MediaTime, Tick};
use callwright_dsp::level;
use callwright_dsp::plc::RepeatFade;
use ringbuf::traits::Producer;
use std::time::Duration;

const FRAME: u64 = FRAME_SAMPLES as u64;
/// A timestamp gap up to this (2 s) is filled; beyond it the sender has started anew.
const GAP_MAX: u64 = 16_000;
/// A lag behind the wall clock up to this (100 ms) is filled at the start of a stream.
const LAG_MAX: u64 = 800;
/// Further ahead of the wall clock than this (60 ms), pauses are shortened.
const AHEAD_TOLERATED: u64 = 480;
/// Quieter than this is a pause that may be shortened.
const PAUSE_DBFS: f32 = -50.0;
/// Frames of silence fed in one go, after the machine stood still.
const CATCH_UP_MAX: u32 = 50;
/// Longest loss that is concealed; the rest is silence (the concealment has faded out by then).
const CONCEAL_MAX: u64 = 480;

/// A packet waiting behind a gap.
#[derive(Clone, Copy)]
struct Held {
    timestamp: u32,
    received: Tick,
    payload: Payload,
    /// 0 for a telephone event, which only takes up a sequence number.
    len: u16,
    octets: [u8; RTP_PACKET_SAMPLES_MAX],
}

/// One packet, as the session hands it in.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) received: Tick,
    pub(super) payload: Payload,
    /// Empty for a packet without audio.
    pub(super) octets: &'a [u8],
}

/// Inbound half of a speech call.
pub(super) struct Inbound {
    ring: InboundProducer,
    sequencer: Sequencer<Held>,
    concealment: RepeatFade,
    /// When audio time was 0.
    opened: Tick,
    /// Next sample to be fed.
    fed: u64,
    /// Timestamp that continues the last packet.
    next_timestamp: Option<u32>,
    /// Silence fed since the last packet: already stands for part of a timestamp gap.
    silence_since: u64,
    /// A loss was declared and not yet filled.
    lost: bool,
}

impl Inbound {
    pub(super) fn new(ring: InboundProducer) -> Self {
        Self {
            ring,
            sequencer: Sequencer::default(),
            concealment: RepeatFade::default(),
            opened: Tick(0),
            fed: 0,
            next_timestamp: None,
            silence_since: 0,
            lost: false,
        }
    }

    /// Audio time starts now.
    pub(super) fn handle_opened(&mut self, now: Tick) {
        self.opened = now;
    }

    /// Position of the next sample.
    pub(super) fn position(&self) -> MediaTime {
        MediaTime(self.fed)
    }

    /// Another sender, or the same one started anew: numbers and timestamps mean nothing any more; audio time goes on.
    pub(super) fn handle_new_source(&mut self) {
        self.sequencer.reset();
        self.next_timestamp = None;
    }

    /// Takes one packet of the call's source. True when it was in order and its audio is in the ring now.
    pub(super) fn handle_packet(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, packet: Arrived<'_>) -> bool {
        let mut at_once = false;
        match self.sequencer.admit(packet.sequence) {
            Admission::Now => {
                self.play(pass, stats, &packet);
                at_once = !packet.octets.is_empty();
            }
            Admission::Restart => {
                self.next_timestamp = None;
                self.play(pass, stats, &packet);
                at_once = !packet.octets.is_empty();
            }
            Admission::Hold => {
                let mut held = Held {
                    timestamp: packet.timestamp,
                    received: packet.received,
                    payload: packet.payload,
                    len: 0,
                    octets: [0; RTP_PACKET_SAMPLES_MAX],
                };
                let len = packet.octets.len().min(RTP_PACKET_SAMPLES_MAX);
                held.octets[..len].copy_from_slice(&packet.octets[..len]);
                held.len = u16::try_from(len).unwrap_or(0);
                self.sequencer.hold(pass.now, packet.sequence, held);
            }
            Admission::Late => {
                stats.late += 1;
                pass.marks.rtp_late.count();
            }
            Admission::Duplicate => {}
        }
        self.release(pass, stats);
        at_once
    }

    /// Does what time asks for: gives up waiting, feeds silence.
    pub(super) fn handle_timeout(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats) {
        self.release(pass, stats);
        for _ in 0..CATCH_UP_MAX {
            if pass.now < self.silence_due() {
                break;
            }
            self.feed(pass, stats, FRAME, false);
            pass.marks.silence_frames_fed.count();
        }
    }

    /// When `handle_timeout` is needed for want of packets.
    pub(super) fn poll_timeout(&self) -> Tick {
        let silence = self.silence_due();
        self.sequencer.poll_timeout().map_or(silence, |gap| gap.min(silence))
    }

    fn silence_due(&self) -> Tick {
        self.opened + duration(self.fed + FRAME) + SILENCE_AFTER
    }

    fn release(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats) {
        while let Some(released) = self.sequencer.poll_released(pass.now) {
            match released {
                Released::Lost(packets) => {
                    pass.marks.rtp_lost.add(u64::from(packets));
                    self.lost = true;
                }
                Released::Packet(held) => {
                    pass.marks.jitter_buffer.record(pass.now.since(held.received));
                    let packet = Arrived {
                        sequence: 0, // in order by now
                        timestamp: held.timestamp,
                        received: held.received,
                        payload: held.payload,
                        octets: &held.octets[..usize::from(held.len)],
                    };
                    self.play(pass, stats, &packet);
                }
            }
        }
    }

    /// Puts the next packet in order into the ring, after what is missing before it.
    fn play(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, packet: &Arrived<'_>) {
        let samples = packet.octets.len() as u64;
        if samples == 0 {
            // A telephone event: the time it takes is fed as silence, not by what its repeated timestamp says.
            return;
        }
        let wall = samples_in(pass.now.since(self.opened));
        let ceiling = wall + samples_in(AHEAD_MAX);
        let gap = match self.next_timestamp {
            // A stream starts: bring audio time to where the wall clock is.
            None => Some(wall.saturating_sub(self.fed + samples)).filter(|lag| *lag <= LAG_MAX),
            Some(expected) => match u64::from(packet.timestamp.wrapping_sub(expected)) {
                gap @ 0..=GAP_MAX => Some(gap.saturating_sub(self.silence_since)),
                _ => None,
            },
        };
        self.next_timestamp = Some(packet.timestamp.wrapping_add(packet.octets.len() as u32));
        let mut pcm = [0; RTP_PACKET_SAMPLES_MAX];
        let decoded = packet.payload.decode(packet.octets, &mut pcm);
        let pcm = &pcm[..decoded];

        let missing = gap.unwrap_or(0).min(ceiling.saturating_sub(self.fed + samples));
        let concealed = if self.lost { missing.min(CONCEAL_MAX) } else { 0 };
        self.feed(pass, stats, concealed, true);
        self.feed(pass, stats, missing - concealed, false);
        (self.lost, self.silence_since) = (false, 0);

        let ahead = (self.fed + samples).saturating_sub(wall);
        if self.fed + samples > ceiling || (ahead > AHEAD_TOLERATED && !level::is_louder(pcm, PAUSE_DBFS)) {
            stats.late += 1;
            pass.marks.rtp_late.count();
            return;
        }
        self.concealment.handle_received(pcm);
        for part in pcm.chunks(FRAME_SAMPLES) {
            self.push(pass, stats, part, packet.received, false);
        }
    }

    /// Feeds samples that no packet brought.
    fn feed(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, mut samples: u64, conceal: bool) {
        while samples > 0 {
            let now = usize::try_from(samples).unwrap_or(FRAME_SAMPLES).min(FRAME_SAMPLES);
            let mut pcm = [0; FRAME_SAMPLES];
            if conceal {
                self.concealment.conceal(&mut pcm[..now]);
                stats.concealed_samples += now as u64;
            } else {
                stats.silence_samples += now as u64;
                self.silence_since += now as u64;
            }
            self.push(pass, stats, &pcm[..now], pass.now, true);
            samples -= now as u64;
        }
    }

    fn push(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, part: &[i16], received: Tick, fed: bool) {
        let mut frame =
            InFrame { at: MediaTime(self.fed), received, fed, len: part.len() as u16, pcm: [0; FRAME_SAMPLES] };
        frame.pcm[..part.len()].copy_from_slice(part);
        self.fed += part.len() as u64;
        pass.record(Side::Caller, frame.at, part);
        if self.ring.try_push(frame).is_err() {
            stats.inbound_overflow += 1;
            pass.marks.speech_frames_overflowed.count();
        }
        *pass.wake_speech = true;
    }
}

fn samples_in(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / 125
}

fn duration(samples: u64) -> Duration {
    Duration::from_micros(samples * 125)
}
