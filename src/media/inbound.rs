//! Packets → continuous audio for speech. Purpose: put packets in order without making the ordinary one wait, fill what
//! is missing, and never let audio time stop. Media workers; all storage inline or made before. Invariants:
//!
//! - `MediaTime` of the frames only grows, without a hole (but for a full ring);
//! - a packet in order is readable at once; only a gap waits (`rtp::sequence`);
//! - no packet by the due time of the next 20 ms plus `SILENCE_AFTER` → silence is fed;
//! - audio is never further ahead of the wall clock than `AHEAD_MAX`: what comes in a burst after a stall is kept up to
//!   there, and the surplus is given back in the caller's next pause.
//!
//! A loss is concealed by the codec itself where it can (Opus: the last lost packet from the redundancy in the next one,
//! those before it made up by the decoder), else by `dsp::plc`. Timestamps run on the codec's clock, audio time at 8 kHz.
//! A change of clock within a stream (RFC 7160) starts its timestamps anew, as a new sender would.
//!
//! Deliberately absent: playout buffering, voice detection.

use crate::limits::{AHEAD_MAX, FRAME_SAMPLES, RTP_PACKET_SAMPLES_MAX, SILENCE_AFTER};
use crate::media::coders::{Coders, SPEECH_RATE};
use crate::media::ears::Ears;
use crate::media::event::SessionStats;
use crate::media::frame::{InFrame, InboundProducer, SaidLevels};
use crate::media::pass::Pass;
use crate::media::placing::Stamp;
use crate::media::reorder::{Arrived, Audio, Reorder};
use crate::rtp::sequence::{Admission, Released};
use crate::time::{MediaTime, Tick};
use callwright_dsp::cng::ComfortNoise;
use callwright_dsp::codec::Decoder;
use callwright_dsp::codec::comfort_noise::NoiseParameters;
use callwright_dsp::level;
use callwright_dsp::plc::Concealment;
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

/// Inbound half of a speech call.
pub(super) struct Inbound {
    reorder: Reorder,
    timeline: Timeline,
}

/// Audio time and what has been put on it.
struct Timeline {
    ring: InboundProducer,
    concealment: Concealment,
    /// When audio time was 0.
    opened: Tick,
    /// Next sample to be fed.
    fed: u64,
    /// Timestamp that continues the last packet, and its clock.
    next: Option<(u32, u32)>,
    /// Silence fed since the last packet: already stands for part of a timestamp gap.
    silence_since: u64,
    /// A loss was declared and not yet filled.
    lost: bool,
    /// What the pauses sound like.
    noise: ComfortNoise,
    /// The sender has described the pause that we are in (RFC 3389); its next audio ends it.
    described: bool,
    /// What has been sent to the caller.
    said: SaidLevels,
}

impl Inbound {
    pub(super) fn new(ring: InboundProducer) -> Self {
        let timeline = Timeline {
            ring,
            concealment: Concealment::default(),
            opened: Tick(0),
            fed: 0,
            next: None,
            silence_since: 0,
            lost: false,
            noise: ComfortNoise::new(1),
            described: false,
            said: SaidLevels::SILENCE,
        };
        Self { reorder: Reorder::new(), timeline }
    }

    /// Audio time starts now.
    pub(super) fn handle_opened(&mut self, now: Tick) {
        self.timeline.opened = now;
    }

    /// Position of the next sample.
    pub(super) fn position(&self) -> MediaTime {
        MediaTime(self.timeline.fed)
    }

    /// What has been sent to the caller up to now; whatever comes in from now on carries it.
    pub(super) fn handle_said(&mut self, said: SaidLevels) {
        self.timeline.said = said;
    }

    /// Another sender, or the same one started anew: numbers and timestamps mean nothing any more; audio time goes on.
    pub(super) fn handle_new_source(&mut self) {
        self.reorder.reset();
        self.timeline.next = None;
        self.timeline.described = false;
    }

    /// The sender falls silent and says what its pause sounds like. The recording has that, so that the line does not seem to
    /// have died; speech hears silence, as the phone has said that nobody speaks, however loud it says that this is.
    pub(super) fn handle_comfort_noise(&mut self, parameters: &NoiseParameters) {
        self.timeline.noise.handle_parameters(parameters);
        self.timeline.described = true;
    }

    /// Takes one packet of the call's source. True when it was in order and its audio is in the ring now.
    pub(super) fn handle_packet(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        coders: &mut Coders,
        ears: &mut Ears,
        packet: &Arrived<'_>,
    ) -> bool {
        let mut at_once = packet.audio.samples > 0;
        match self.reorder.admit(pass.now, packet) {
            Admission::Now => self.timeline.play(pass, stats, coders, ears, packet),
            Admission::Restart => {
                self.timeline.next = None;
                self.timeline.play(pass, stats, coders, ears, packet);
            }
            Admission::Hold | Admission::Duplicate => at_once = false,
            Admission::Late => {
                stats.late += 1;
                pass.marks.rtp_late.count();
                at_once = false;
            }
        }
        self.release(pass, stats, coders, ears);
        at_once
    }

    /// Does what time asks for: gives up waiting, feeds silence.
    pub(super) fn handle_timeout(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        coders: &mut Coders,
        ears: &mut Ears,
    ) {
        self.release(pass, stats, coders, ears);
        for _ in 0..CATCH_UP_MAX {
            if pass.now < self.timeline.silence_due() {
                break;
            }
            let stamp = self.timeline.pausing_at();
            self.timeline.feed_silence(pass, stats, ears, FRAME, stamp);
            pass.marks.silence_frames_fed.count();
        }
    }

    /// When `handle_timeout` is needed for want of packets.
    pub(super) fn poll_timeout(&self) -> Tick {
        let silence = self.timeline.silence_due();
        self.reorder.poll_timeout().map_or(silence, |gap| gap.min(silence))
    }

    fn release(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, coders: &mut Coders, ears: &mut Ears) {
        while let Some(released) = self.reorder.poll_released(pass.now) {
            match released {
                Released::Lost(packets) => {
                    pass.marks.rtp_lost.add(u64::from(packets));
                    self.timeline.lost = true;
                }
                Released::Packet(packet) => {
                    pass.marks.jitter_buffer.record(pass.now.since(packet.received));
                    self.timeline.play(pass, stats, coders, ears, &packet);
                }
            }
        }
    }
}

impl Timeline {
    fn silence_due(&self) -> Tick {
        self.opened + duration(self.fed + FRAME) + SILENCE_AFTER
    }

    /// Where a pause has got to on its sender's clock.
    fn pausing_at(&self) -> Option<Stamp> {
        let since = |clock| from_speech_rate(self.silence_since, clock);
        self.next.map(|(timestamp, clock)| Stamp { timestamp: timestamp.wrapping_add(since(clock)), clock })
    }

    /// Puts the next packet in order into the ring, after what is missing before it.
    fn play(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        coders: &mut Coders,
        ears: &mut Ears,
        packet: &Arrived<'_>,
    ) {
        let Audio { place, samples, clock } = packet.audio;
        let samples = u64::from(samples);
        // A telephone event: the time it takes is fed as silence, not by what its repeated timestamp says.
        let Some(decoder) = (samples > 0).then(|| coders.decoder(usize::from(place))).flatten() else { return };
        let wall = samples_in(pass.now.since(self.opened));
        let ceiling = wall + samples_in(AHEAD_MAX);
        let gap = match self.next.filter(|(_, of)| *of == clock) {
            // A stream starts: bring audio time to where the wall clock is.
            None => Some(wall.saturating_sub(self.fed + samples)).filter(|lag| *lag <= LAG_MAX),
            Some((expected, _)) => match to_speech_rate(packet.timestamp.wrapping_sub(expected), clock) {
                gap @ 0..=GAP_MAX => Some(gap.saturating_sub(self.silence_since)),
                _ => None,
            },
        };
        let length = from_speech_rate(samples, clock);
        self.next = Some((packet.timestamp.wrapping_add(length), clock));
        let missing = gap.unwrap_or(0).min(ceiling.saturating_sub(self.fed + samples));
        let concealed = if self.lost { missing.min(CONCEAL_MAX) } else { 0 };
        // On the sender's clock, what is missing lies right before the packet. 2 s at most: far below 2^32.
        let before =
            |samples: u64| Stamp { timestamp: packet.timestamp.wrapping_sub(from_speech_rate(samples, clock)), clock };
        self.conceal(pass, stats, ears, decoder, packet, concealed, before(missing));
        self.feed_silence(pass, stats, ears, missing - concealed, Some(before(missing - concealed)));
        (self.lost, self.silence_since) = (false, 0);

        let mut pcm = [0; RTP_PACKET_SAMPLES_MAX];
        let Ok(decoded) = decoder.decode(packet.octets, &mut pcm) else {
            // Not of its codec after all: as if it had been lost.
            stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            self.lost = true;
            self.next = Some((packet.timestamp, clock));
            return;
        };
        self.described = false;
        let pcm = &mut pcm[..decoded];
        let ahead = (self.fed + samples).saturating_sub(wall);
        if self.fed + samples > ceiling || (ahead > AHEAD_TOLERATED && !level::is_louder(pcm, PAUSE_DBFS)) {
            stats.late += 1;
            pass.marks.rtp_late.count();
            return;
        }
        if !decoder.conceals() {
            self.concealment.handle_received(pcm);
        }
        ears.handle_spoken(MediaTime(wall), Stamp { timestamp: packet.timestamp, clock }, pcm);
        for part in pcm.chunks(FRAME_SAMPLES) {
            self.push(pass, stats, part, packet.received, false);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one packet's facts and the call's parts, borrowed apart")]
    /// Fills `samples` (60 ms at most) that were lost right before `next`, from `stamp` on.
    fn conceal(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        ears: &mut Ears,
        decoder: &mut Decoder,
        next: &Arrived<'_>,
        samples: u64,
        stamp: Stamp,
    ) {
        if samples == 0 {
            return;
        }
        let mut pcm = [0; RTP_PACKET_SAMPLES_MAX];
        let Some(pcm) = usize::try_from(samples).ok().and_then(|samples| pcm.get_mut(..samples)) else { return };
        // Packets of a stream are of one length nearly always; the redundancy speaks of the one right before `next`.
        let before = pcm.len().saturating_sub(usize::from(next.audio.samples));
        let (early, last) = pcm.split_at_mut(before);
        if !early.is_empty() && !decoder.conceal(early) {
            self.concealment.conceal(early);
        }
        if !decoder.recover(next.octets, last) && !decoder.conceal(last) {
            self.concealment.conceal(last);
        }
        stats.concealed_samples += samples;
        ears.handle_missing(self.wall(pass.now), Some(stamp), pcm, pcm.len());
        for part in pcm.chunks(FRAME_SAMPLES) {
            self.push(pass, stats, part, pass.now, true);
        }
    }

    /// Audio time by the clock.
    fn wall(&self, now: Tick) -> MediaTime {
        MediaTime(samples_in(now.since(self.opened)))
    }

    /// Feeds what stands for a pause, which goes on at `stamp` if its sender's clock is known: silence to speech, the noise
    /// that the sender has described to the recording.
    fn feed_silence(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        ears: &mut Ears,
        mut samples: u64,
        mut stamp: Option<Stamp>,
    ) {
        stats.silence_samples += samples;
        self.silence_since += samples;
        while samples > 0 {
            let now = usize::try_from(samples).unwrap_or(FRAME_SAMPLES).min(FRAME_SAMPLES);
            let mut noise = [0; FRAME_SAMPLES];
            let noise = if self.described { &mut noise[..now] } else { &mut noise[..0] };
            self.noise.fill(noise);
            ears.handle_missing(self.wall(pass.now), stamp, noise, now);
            if let Some(Stamp { timestamp, clock }) = &mut stamp {
                *timestamp = timestamp.wrapping_add(from_speech_rate(now as u64, *clock));
            }
            self.push(pass, stats, &[0; FRAME_SAMPLES][..now], pass.now, true);
            samples -= now as u64;
        }
    }

    fn push(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, part: &[i16], received: Tick, fed: bool) {
        let mut frame = InFrame {
            at: MediaTime(self.fed),
            received,
            fed,
            len: part.len() as u16,
            said: self.said,
            pcm: [0; FRAME_SAMPLES],
        };
        frame.pcm[..part.len()].copy_from_slice(part);
        self.fed += part.len() as u64;
        if self.ring.try_push(frame).is_err() {
            stats.inbound_overflow += 1;
            pass.marks.speech_frames_overflowed.count();
        }
        *pass.wake_speech = true;
    }
}

/// A distance on an RTP clock (8, 16 or 48 kHz) in samples of speech.
fn to_speech_rate(units: u32, clock: u32) -> u64 {
    u64::from(units / (clock / SPEECH_RATE).max(1))
}

/// Samples of speech on an RTP clock, which wraps.
fn from_speech_rate(samples: u64, clock: u32) -> u32 {
    (samples * u64::from(clock) / u64::from(SPEECH_RATE)) as u32
}

fn samples_in(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / 125
}

fn duration(samples: u64) -> Duration {
    Duration::from_micros(samples * 125)
}
