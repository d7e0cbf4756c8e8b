//! Frames from speech → one packet each 20 ms. Purpose: a clock of its own that does not drift, silence when there is
//! nothing to say, and an exact account of what was sent of which utterance. Media workers. Invariants: due times are
//! absolute; after a wake-up more than a frame late the missed frames' time is skipped, never sent in a burst; a frame of
//! a flushed generation never leaves; what was not handed to the network is not credited; an encoder that has nothing to
//! send (DTX) leaves out a packet, never its time; ducked, it goes on from the very sample at which it began to fade; only
//! what sounds fades out, so that a duck in silence stays silent.
//! Deliberately absent: when to duck (`turn`), mixing.

use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::{FRAME, FRAME_SAMPLES};
use crate::media::coders::SPEECH_RATE;
use crate::media::ears::Ears;
use crate::media::event::{MediaEvent, SessionStats};
use crate::media::frame::{OutFrame, OutboundConsumer, SaidLevels};
use crate::media::numbering::Identity;
use crate::media::pass::Pass;
use crate::rtp::dtmf::{self, Digits};
use crate::rtp::{Codec, Format, Header, TelephoneEvent};
use crate::time::{MediaTime, Tick};
use callwright_dsp::codec::{Encoder, g711};
use callwright_dsp::dtmf::Generator;
use callwright_dsp::level::{self, AUDIBLE_DBFS};
use ringbuf::traits::Consumer;

/// Frames in a second.
const FRAMES_PER_SECOND: u32 = 50;
/// A fade takes 5 ms: short enough to be out of the way, long enough not to click.
const FADE_SAMPLES: usize = 40;
/// `Played` is reported every so many frames.
const REPORT_FRAMES: u32 = 5;

/// An utterance on its way.
#[derive(Clone, Copy, Debug)]
struct Speaking {
    generation: Generation,
    utterance: UtteranceId,
    samples: u64,
    unreported: u32,
    audible: bool,
    last_audible: Option<Tick>,
}

/// Whether the agent holds its tongue because the caller may be about to speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ducking {
    /// Frames leave as they come.
    Open,
    /// The next frame fades out; it stays in the ring, as it was not heard.
    Closing,
    /// Silence; frames wait in the ring.
    Closed,
    /// The next frame fades in.
    Opening,
}

/// What is in the outbox, to be accounted for once it is sent.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Nothing,
    Silence,
    /// The fading copy of a frame that will be sent whole if the caller lets us go on; silence if nothing sounded before it.
    Fade,
    Digit,
    Frame {
        generation: Generation,
        utterance: UtteranceId,
        samples: u16,
        audible: bool,
        end: bool,
    },
}

/// Where the frame goes and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) call: CallId,
    pub(super) format: Format,
    pub(super) telephone_event: Option<TelephoneEvent>,
    /// False while held, without a destination, or after too much media to an address that never answered.
    pub(super) open: bool,
}

/// Outbound half of a speech call.
pub(super) struct Playout {
    ring: OutboundConsumer,
    identity: Identity,
    /// When the next frame is to leave.
    due: Tick,
    /// Nothing was sent in the frame before: the next packet starts a talkspurt (RFC 3551 section 4.1).
    starting: bool,
    /// Oldest generation that may be sent.
    generation: Generation,
    speaking: Option<Speaking>,
    ducking: Ducking,
    /// The utterance that goes on after the frame before, which was sent whole: falling silent now takes a fade.
    sounding: Option<UtteranceId>,
    pending: Pending,
    digits: dtmf::Sender,
    /// Keys for a peer that has no telephone events.
    tones: Option<Generator>,
    /// When the call's audio time was 0.
    opened: Tick,
    /// How loud it has been of late.
    said: SaidLevels,
}

impl Playout {
    pub(super) fn new(ring: OutboundConsumer, identity: Identity) -> Self {
        Self {
            ring,
            identity,
            due: Tick(0),
            starting: true,
            generation: Generation(0),
            speaking: None,
            ducking: Ducking::Open,
            sounding: None,
            pending: Pending::Nothing,
            digits: dtmf::Sender::default(),
            tones: Generator::new(SPEECH_RATE).ok(),
            opened: Tick(0),
            said: SaidLevels::SILENCE,
        }
    }

    /// The 20 ms clock starts with a frame at `first_due`.
    pub(super) fn handle_opened(&mut self, now: Tick, first_due: Tick) {
        (self.opened, self.due) = (now, first_due);
    }

    /// When the next frame is to leave.
    pub(super) fn poll_timeout(&self) -> Tick {
        self.due
    }

    /// How loud what was sent of late was.
    pub(super) fn said(&self) -> SaidLevels {
        self.said
    }

    /// Keys to send: as events, or as tones to a peer that has agreed on none.
    pub(super) fn handle_digits(&mut self, digits: Digits, as_events: bool) {
        if as_events {
            self.digits.handle_digits(digits);
        } else if let Some(tones) = &mut self.tones {
            for key in digits.keys() {
                // Those beyond what can wait are dropped, as with events.
                let _ = tones.queue(key.encode_utf8(&mut [0; 4]));
            }
        }
    }

    /// Falls silent with the next frame, or goes on from where it did. A flush goes on with what is newer.
    pub(super) fn handle_duck(&mut self, ducked: bool) {
        self.ducking = match (ducked, self.ducking) {
            (true, Ducking::Open) => Ducking::Closing,
            // Nothing has been heard since it fell silent: there is nothing to fade.
            (true, Ducking::Opening) => Ducking::Closed,
            (false, Ducking::Closed) => Ducking::Opening,
            (false, Ducking::Closing) => Ducking::Open,
            (_, same) => same,
        };
    }

    /// Puts the frame that is due in the outbox.
    pub(super) fn handle_timeout(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        line: &Line,
        encoder: &mut Encoder,
        ears: &mut Ears,
    ) {
        if pass.now < self.due {
            return;
        }
        let due = self.due;
        let late = pass.now.since(due);
        pass.marks.media_lateness.record(late);
        let units = line.format.codec.rtp_clock() / FRAMES_PER_SECOND;
        let missed = u32::try_from(late.as_nanos() / FRAME.as_nanos()).unwrap_or(u32::MAX);
        if missed > 0 {
            // The missed frames' time has gone by on the wire as well: say so in the timestamp, send one frame only.
            stats.frames_skipped += u64::from(missed);
            pass.marks.frames_skipped.add(u64::from(missed));
            self.advance(missed, units);
            self.starting = true;
        }
        // What was skipped was silence to the far end.
        let sounding = self.sounding.take().filter(|_| missed == 0);
        let timestamp = self.identity.timestamp;
        self.advance(1, units);
        // Silence until something else is sent.
        for _ in 0..=missed.min(4) {
            self.said.push_frame(&[]);
        }
        if !line.open {
            self.starting = true;
            return;
        }
        if let Some(events) = line.telephone_event {
            self.digits.set_clock(events.clock);
        }
        if let Some(events) = line.telephone_event
            && let Some(packet) = self.digits.poll_packet(timestamp)
        {
            let header = self.header(packet.marker, events.payload_type, packet.timestamp);
            let octets = packet.event.octets();
            self.push(pass, due, &header, |body| copy(body, &octets));
            // Audio after an event starts anew for the far end's buffer.
            self.starting = true;
            self.pending = Pending::Digit;
            return;
        }
        let header = self.header(self.starting, line.format.payload_type, timestamp);
        let at = MediaTime(u64::try_from(due.since(self.opened).as_micros() / 125).unwrap_or(u64::MAX));
        if let Some(tones) = self.tones.as_mut().filter(|t| !t.is_idle()) {
            let mut pcm = [0; FRAME_SAMPLES];
            tones.fill(&mut pcm);
            ears.handle_said(at, &pcm);
            self.said.amend_frame(&pcm);
            self.push(pass, due, &header, |body| encode(encoder, &pcm, body));
            self.pending = Pending::Digit;
            return;
        }
        if self.ducking == Ducking::Closing {
            self.ducking = Ducking::Closed;
            if let Some(frame) = self.peek_frame(pass) {
                let mut pcm = [0; FRAME_SAMPLES];
                if sounding == Some(frame.utterance) {
                    fade_out(frame.samples(), &mut pcm);
                }
                ears.handle_said(at, &pcm);
                self.said.amend_frame(&pcm);
                self.push(pass, due, &header, |body| encode(encoder, &pcm, body));
                self.pending = Pending::Fade;
                return;
            }
        }
        let next = if self.ducking == Ducking::Closed { None } else { self.next_frame(pass) };
        self.pending = match next {
            Some(mut frame) => {
                if std::mem::replace(&mut self.ducking, Ducking::Open) == Ducking::Opening {
                    fade_in(&mut frame);
                }
                self.sounding = (!frame.end).then_some(frame.utterance);
                let samples = frame.samples();
                let audible = level::is_louder(samples, AUDIBLE_DBFS);
                ears.handle_said(at, samples);
                self.said.amend_frame(samples);
                self.push(pass, due, &header, |body| encode(encoder, samples, body));
                Pending::Frame {
                    generation: frame.generation,
                    utterance: frame.utterance,
                    samples: samples.len() as u16,
                    audible,
                    end: frame.end,
                }
            }
            None => {
                self.push(pass, due, &header, |body| encode(encoder, &[], body));
                Pending::Silence
            }
        };
        if pass.outbox.is_empty() {
            // Discontinuous transmission: the far end has been told and goes on by itself. What it was told about counts.
            self.handle_sent(pass, line.call, pass.now, true);
        }
    }

    /// Accounts for what was in the outbox. `sent`: the network took it; `at`: when the send returned.
    pub(super) fn handle_sent(&mut self, pass: &mut Pass<'_>, call: CallId, at: Tick, sent: bool) {
        let pending = std::mem::replace(&mut self.pending, Pending::Nothing);
        let Pending::Frame { generation, utterance, samples, audible, end } = pending else {
            if sent {
                pass.marks.silence_frames_sent.count();
            }
            if let (Pending::Fade, Some(speaking)) = (pending, self.speaking) {
                pass.reports.offer(pass.marks, MediaEvent::Ducked { call, utterance: speaking.utterance, at });
            }
            return;
        };
        let fresh = Speaking { generation, utterance, samples: 0, unreported: 0, audible: false, last_audible: None };
        let mut speaking = self.speaking.filter(|s| s.utterance == utterance).unwrap_or(fresh);
        speaking.generation = generation;
        if sent {
            pass.marks.frames_sent.count();
            speaking.samples += u64::from(samples);
            speaking.unreported += 1;
            if audible {
                speaking.last_audible = Some(at);
                if !speaking.audible {
                    speaking.audible = true;
                    pass.reports.offer(pass.marks, MediaEvent::FirstAudible { call, utterance, at });
                }
            }
        }
        if end || speaking.unreported >= REPORT_FRAMES {
            speaking.unreported = 0;
            pass.reports.offer(pass.marks, MediaEvent::Played { call, utterance, samples: speaking.samples, end });
        }
        self.speaking = (!end).then_some(speaking);
    }

    /// Drops all frames older than `generation`, now and from now on.
    pub(super) fn handle_flush(&mut self, pass: &mut Pass<'_>, call: CallId, generation: Generation) {
        self.generation = self.generation.max(generation);
        self.ducking = Ducking::Open;
        self.sounding = None;
        while self.ring.try_peek().is_some_and(|frame| frame.generation < self.generation) {
            self.ring.try_pop();
            pass.marks.frames_flushed.count();
        }
        let oldest = self.generation;
        let cut = self.speaking.take_if(|s| s.generation < oldest);
        pass.reports.offer(
            pass.marks,
            MediaEvent::Flushed {
                call,
                generation,
                utterance: cut.map(|s| s.utterance),
                samples: cut.map_or(0, |s| s.samples),
                last_audible: cut.and_then(|s| s.last_audible),
            },
        );
    }

    /// The next frame that may be sent. Bounded by the ring's capacity.
    fn next_frame(&mut self, pass: &Pass<'_>) -> Option<OutFrame> {
        for _ in 0..crate::limits::OUTBOUND_RING_FRAMES {
            let frame = self.ring.try_pop()?;
            if frame.generation >= self.generation {
                return Some(frame);
            }
            pass.marks.frames_flushed.count();
        }
        None
    }

    /// The frame that [`next_frame`](Self::next_frame) would take.
    fn peek_frame(&mut self, pass: &Pass<'_>) -> Option<OutFrame> {
        while self.ring.try_peek().is_some_and(|frame| frame.generation < self.generation) {
            self.ring.try_pop();
            pass.marks.frames_flushed.count();
        }
        self.ring.try_peek().copied()
    }

    fn advance(&mut self, frames: u32, units: u32) {
        self.due = self.due + FRAME * frames;
        self.identity.timestamp = self.identity.timestamp.wrapping_add(frames.wrapping_mul(units));
    }

    fn header(&self, marker: bool, payload_type: u8, timestamp: u32) -> Header {
        Header { marker, payload_type, sequence: self.identity.sequence, timestamp, ssrc: self.identity.ssrc }
    }

    /// One packet, which takes a sequence number only if there is something to send.
    fn push(&mut self, pass: &mut Pass<'_>, due: Tick, header: &Header, write: impl FnOnce(&mut [u8]) -> usize) {
        let pushed = pass.outbox.push(header, due, write);
        self.starting = !pushed;
        if pushed {
            self.identity.sequence = self.identity.sequence.wrapping_add(1);
        }
    }
}

/// The beginning of `samples`, fading to nothing.
fn fade_out(samples: &[i16], faded: &mut [i16; FRAME_SAMPLES]) {
    for (n, (to, from)) in faded.iter_mut().zip(samples).take(FADE_SAMPLES).enumerate() {
        // At most as large as what it is made from.
        *to = (i32::from(*from) * (FADE_SAMPLES - n) as i32 / FADE_SAMPLES as i32) as i16;
    }
}

fn fade_in(frame: &mut OutFrame) {
    for (n, sample) in frame.pcm.iter_mut().take(FADE_SAMPLES).enumerate() {
        *sample = (i32::from(*sample) * (n + 1) as i32 / FADE_SAMPLES as i32) as i16;
    }
}

/// One frame of 20 ms; what `samples` lacks is silence.
fn encode(encoder: &mut Encoder, samples: &[i16], body: &mut [u8]) -> usize {
    let silence = match encoder.codec() {
        Codec::Pcmu => Some(g711::ULAW_SILENCE),
        Codec::Pcma => Some(g711::ALAW_SILENCE),
        _ => None,
    };
    match (silence, body.get_mut(..FRAME_SAMPLES)) {
        (Some(silence), Some(body)) => {
            let encoded = encoder.encode(samples, body).unwrap_or(0);
            body[encoded..].fill(silence);
            FRAME_SAMPLES
        }
        _ if samples.len() == FRAME_SAMPLES => encoder.encode(samples, body).unwrap_or(0),
        _ => {
            let mut whole = [0; FRAME_SAMPLES];
            whole[..samples.len()].copy_from_slice(samples);
            encoder.encode(&whole, body).unwrap_or(0)
        }
    }
}

fn copy(body: &mut [u8], octets: &[u8]) -> usize {
    body[..octets.len()].copy_from_slice(octets);
    octets.len()
}
