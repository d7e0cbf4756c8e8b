//! One media stream, sans-IO: messages in, packets and orders out; time is an argument.
//!
//! Purpose: make of the socket's pieces of audio packets like those of RTP, so that order, repeats and gaps are the media
//! worker's matter as with any phone, and of the worker's packets what the socket is told. Invariants:
//!
//! - nothing is taken before the one start, nor of another stream, nor after the stop;
//! - a piece of 160 octets keeps its number, so that the worker sees which came late, twice or never; pieces of another size
//!   are cut into packets and kept in order here;
//! - never more than `limits::TWILIO_AHEAD_MAX` of audio lies at the far end unplayed: the worker sends in real time, and what
//!   a stall has dammed up waits here. Silence is left out where that changes nothing, and where it brings the delay down;
//! - a mark follows every 200 ms of audio and its end. How long marks take to come back is how far behind the caller hears
//!   us ([`MediaStream::delay`]); a mark that is overdue counts for its age, and one that a `clear` sends back for nothing.
//!
//! So ducking (the caller may be about to speak) needs no `clear`: the worker holds its frames back, the caller hears at most
//! 200 ms more, and the sentence goes on from the very sample. `clear` is for interruptions that are certain.
//! Deliberately absent: the socket, tokens, the ring.

use super::message::{self, Command, Fault, Message, Start};
use crate::limits::{FRAME, FRAME_SAMPLES, TWILIO_AHEAD_MAX, TWILIO_MARKS_MAX, TWILIO_PAYLOAD_MAX};
use crate::rtp::dtmf::Event as KeyEvent;
use crate::rtp::header::HEADER_LEN;
use crate::rtp::{Header, Packet};
use crate::time::Tick;
use std::collections::VecDeque;
use std::time::Duration;

/// Payload type of the packets of audio: µ-law.
pub const AUDIO: u8 = 0;
/// Payload type of the packets of keys (RFC 4733).
pub const KEYS: u8 = 101;
/// The source that all packets are of.
const SSRC: u32 = 1;
/// Pieces that may come before those with smaller numbers.
const LATE_MAX: u64 = 64;
/// A step in the numbers that is larger is no loss, but another way of counting.
const STEP_MAX: u64 = 1_000;
/// Frames between marks.
const MARK_FRAMES: usize = 10;
/// Silence is left out where less lies at the far end (the frame's own time, and what the clocks differ).
const DRY: Duration = Duration::from_millis(20);
/// And where more does.
const DEEP: Duration = Duration::from_millis(60);
/// Two presses lie this far apart on their own clock at least: 160 ms, as two would from a phone.
const PRESS_STEP: u32 = 1_280;
/// A key's length and level, for those whom it is passed on to: 100 ms, −10 dBm0.
const PRESS_DURATION: u16 = 800;
const PRESS_VOLUME: u8 = 10;
/// µ-law of nothing, either sign.
const SILENCE: [u8; 2] = [0xff, 0x7f];

/// A packet on its way to the worker.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    octets: [u8; HEADER_LEN + FRAME_SAMPLES],
    len: usize,
}

impl Made {
    /// RTP header and payload.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What a message meant for the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// The stream begins.
    Started(Start),
    /// The caller has gone.
    Stopped,
    /// There may be packets to fetch.
    Taken,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Waiting,
    Open,
    Stopped,
}

/// Where a piece's number lies among the packets.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    chunk: u64,
    sequence: u16,
    timestamp: u32,
    /// Pieces before this one come too late.
    floor: u64,
    /// The highest piece so far.
    highest: u64,
}

/// A mark that has not come back.
#[derive(Clone, Copy, Debug)]
struct Pending {
    number: u64,
    sent: Tick,
    /// What it followed was cleared: that it comes back says nothing.
    void: bool,
}

/// What has come and gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages that were refused.
    pub refused: u64,
    /// Pieces of audio.
    pub pieces: u64,
    /// Those that came too late to be placed.
    pub late: u64,
    /// Frames sent.
    pub sent: u64,
    /// Silent frames left out.
    pub skipped: u64,
    /// Frames that came behind later ones.
    pub dropped: u64,
    /// Orders to clear.
    pub clears: u64,
}

/// One stream.
#[derive(Debug)]
pub struct MediaStream {
    phase: Phase,
    dialect: message::Dialect,
    stream: String,
    anchor: Option<Anchor>,
    /// Timestamp of the last key.
    pressed: Option<u32>,
    packets: VecDeque<Made>,
    messages: VecDeque<String>,
    pending: VecDeque<Pending>,
    marks: u64,
    /// Number of the worker's last packet that left.
    left: Option<u16>,
    /// Frames since the last mark.
    unmarked: usize,
    /// Something was sent since the last clear.
    spoken: bool,
    /// How long the last mark took.
    delay: Option<Duration>,
    /// When all that was sent will have been played, if it is played as it comes.
    until: Tick,
    counts: Counts,
}

impl Default for MediaStream {
    fn default() -> Self {
        Self::new()
    }
}

impl MediaStream {
    /// A socket that has just been opened.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            dialect: message::Dialect::default(),
            stream: String::new(),
            anchor: None,
            pressed: None,
            packets: VecDeque::new(),
            messages: VecDeque::new(),
            pending: VecDeque::new(),
            marks: 0,
            left: None,
            unmarked: 0,
            spoken: false,
            delay: None,
            until: Tick(0),
            counts: Counts::default(),
        }
    }

    /// Totals.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether it has begun and has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// One message of the socket.
    ///
    /// # Errors
    /// [`Fault`]: it is counted and changes nothing.
    pub fn handle_text(&mut self, now: Tick, text: &str) -> Result<Told, Fault> {
        let told = message::read(text).and_then(|message| self.handle_message(now, message));
        if told.is_err() {
            self.counts.refused += 1;
        }
        told
    }

    /// Something came that is no text.
    pub fn handle_garbage(&mut self) {
        self.counts.refused += 1;
    }

    fn handle_message(&mut self, now: Tick, message: Message) -> Result<Told, Fault> {
        match (self.phase, &message) {
            (_, Message::Connected | Message::Other) => return Ok(Told::Taken),
            (Phase::Stopped, _) => return Err(Fault::AfterStop),
            (Phase::Waiting, Message::Start(_)) | (Phase::Open, _) => {}
            (Phase::Waiting, _) => return Err(Fault::BeforeStart),
        }
        match message {
            Message::Start(start) => {
                if self.phase == Phase::Open {
                    return Err(Fault::SecondStart);
                }
                (self.phase, self.dialect) = (Phase::Open, start.dialect);
                self.stream.clone_from(&start.stream);
                return Ok(Told::Started(start));
            }
            Message::Stop => {
                self.phase = Phase::Stopped;
                return Ok(Told::Stopped);
            }
            Message::Media(media) => {
                self.of_ours(media.stream.as_deref())?;
                if media.is_inbound {
                    self.handle_audio(media.chunk, &media.payload);
                }
            }
            Message::Key { stream, key } => {
                self.of_ours(stream.as_deref())?;
                self.handle_key(key);
            }
            Message::Mark { stream, name } => {
                self.of_ours(stream.as_deref())?;
                self.handle_mark(now, &name)?;
            }
            Message::Connected | Message::Other => {}
        }
        Ok(Told::Taken)
    }

    fn of_ours(&self, stream: Option<&str>) -> Result<(), Fault> {
        match stream {
            Some(other) if other != self.stream => Err(Fault::OtherStream),
            _ => Ok(()),
        }
    }

    // --- caller → worker ----------------------------------------------------------------------------------------------

    fn handle_audio(&mut self, chunk: Option<u64>, payload: &[u8]) {
        self.counts.pieces += 1;
        let Some((sequence, timestamp)) = self.place(chunk, payload.len()) else {
            self.counts.late += 1;
            return;
        };
        debug_assert!(payload.len() <= TWILIO_PAYLOAD_MAX, "the message was read");
        for (n, part) in payload.chunks(FRAME_SAMPLES).enumerate() {
            // A hundred parts at most.
            let (sequence, timestamp) =
                (sequence.wrapping_add(n as u16), timestamp.wrapping_add((n * FRAME_SAMPLES) as u32));
            self.make(AUDIO, sequence, timestamp, part);
        }
    }

    /// Sequence number and timestamp of a piece; `None`: its place has gone by.
    fn place(&mut self, chunk: Option<u64>, len: usize) -> Option<(u16, u32)> {
        let first = || {
            let chunk = chunk.unwrap_or(1);
            // Above all that may still come before it.
            let sequence = LATE_MAX as u16;
            let timestamp = u32::from(sequence) * FRAME_SAMPLES as u32;
            Anchor { chunk, sequence, timestamp, floor: chunk.saturating_sub(LATE_MAX), highest: chunk }
        };
        let fresh = self.anchor.is_none();
        let anchor = self.anchor.get_or_insert_with(first);
        let chunk = chunk.unwrap_or(if fresh { anchor.chunk } else { anchor.highest.saturating_add(1) });
        if chunk > anchor.highest.saturating_add(STEP_MAX) {
            // They count anew from here; what follows goes on where the last one ended.
            let (sequence, timestamp) = place_of(anchor, anchor.highest.saturating_add(1));
            *anchor = Anchor { chunk, sequence, timestamp, floor: chunk, highest: chunk };
        }
        if chunk < anchor.floor || chunk.saturating_add(LATE_MAX) < anchor.highest {
            return None;
        }
        let place = place_of(anchor, chunk);
        if len != FRAME_SAMPLES {
            if chunk < anchor.highest {
                return None;
            }
            // At most a hundred packets.
            let packets = len.div_ceil(FRAME_SAMPLES) as u16;
            let next = chunk.saturating_add(1);
            (anchor.chunk, anchor.floor) = (next, next);
            (anchor.sequence, anchor.timestamp) = (place.0.wrapping_add(packets), place.1.wrapping_add(len as u32));
        }
        anchor.highest = anchor.highest.max(chunk);
        Some(place)
    }

    fn handle_key(&mut self, key: char) {
        let code = b"0123456789*#ABCD".iter().position(|k| char::from(*k) == key).unwrap_or(0) as u8;
        let (sequence, timestamp) = match &mut self.anchor {
            Some(anchor) => {
                let next = anchor.highest.saturating_add(1);
                let place = place_of(anchor, next);
                // The key's packet takes a number of its own; the audio goes on behind it.
                (anchor.chunk, anchor.floor) = (next, next);
                (anchor.sequence, anchor.timestamp) = (place.0.wrapping_add(1), place.1);
                place
            }
            None => {
                let (sequence, timestamp) = (LATE_MAX as u16, LATE_MAX as u32 * FRAME_SAMPLES as u32);
                self.anchor =
                    Some(Anchor { chunk: 1, sequence: sequence.wrapping_add(1), timestamp, floor: 0, highest: 0 });
                (sequence, timestamp)
            }
        };
        let apart = |last: u32| {
            let behind = (timestamp.wrapping_sub(last) as i32) < PRESS_STEP as i32;
            if behind { last.wrapping_add(PRESS_STEP) } else { timestamp }
        };
        let at = self.pressed.map_or(timestamp, apart);
        self.pressed = Some(at);
        let event = KeyEvent { code, end: true, volume: PRESS_VOLUME, duration: PRESS_DURATION };
        self.make(KEYS, sequence, at, &event.octets());
    }

    fn make(&mut self, payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) {
        let mut made = Made { octets: [0; HEADER_LEN + FRAME_SAMPLES], len: HEADER_LEN + payload.len() };
        let header = Header { payload_type, sequence, timestamp, ssrc: SSRC, ..Header::default() };
        if let Some((head, body)) = made.octets.split_first_chunk_mut::<HEADER_LEN>() {
            header.write(head);
            body[..payload.len()].copy_from_slice(payload);
        }
        self.packets.push_back(made);
    }

    /// The next packet for the worker. Fetched after each message, so that no more wait than one makes.
    pub fn poll_packet(&mut self) -> Option<Made> {
        self.packets.pop_front()
    }

    // --- worker → caller ----------------------------------------------------------------------------------------------

    /// Whether a packet of the worker may leave; when else.
    ///
    /// # Errors
    /// When to ask again.
    pub fn may_send(&self, now: Tick) -> Result<(), Tick> {
        let room = TWILIO_AHEAD_MAX.saturating_sub(FRAME);
        let ahead = self.ahead(now);
        if ahead <= room { Ok(()) } else { Err(now + (ahead - room)) }
    }

    fn ahead(&self, now: Tick) -> Duration {
        self.until.since(now)
    }

    /// One packet of the worker's.
    pub fn handle_packet(&mut self, now: Tick, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        if self.phase != Phase::Open || packet.header.payload_type != AUDIO || packet.payload.is_empty() {
            return;
        }
        // What is behind what has left (an echo or a bridge passes on what comes when it comes) cannot be put back in its place.
        let behind = |last: u16| (packet.header.sequence.wrapping_sub(last) as i16) <= 0;
        if self.left.is_some_and(|last| behind(last) && last.wrapping_sub(packet.header.sequence) < LATE_MAX as u16) {
            self.counts.dropped += 1;
            return;
        }
        self.left = Some(packet.header.sequence);
        let (ahead, octets) = (self.ahead(now), packet.payload);
        if octets.iter().all(|octet| SILENCE.contains(octet)) && (ahead <= DRY || ahead > DEEP) {
            self.counts.skipped += 1;
            self.mark(now);
            return;
        }
        self.messages.push_back(message::write(self.dialect, &self.stream, Command::Media(octets)));
        self.counts.sent += 1;
        self.spoken = true;
        // An eighth of a millisecond each.
        self.until = self.until.max(now) + Duration::from_micros(125) * octets.len() as u32;
        self.unmarked += octets.len().div_ceil(FRAME_SAMPLES);
        if self.unmarked >= MARK_FRAMES {
            self.mark(now);
        }
    }

    /// Asks to be told when what was sent has been played.
    fn mark(&mut self, now: Tick) {
        if self.unmarked == 0 {
            return;
        }
        self.unmarked = 0;
        self.marks += 1;
        let name = format!("p{}", self.marks);
        self.messages.push_back(message::write(self.dialect, &self.stream, Command::Mark(&name)));
        if self.pending.len() >= TWILIO_MARKS_MAX {
            // The oldest is the one that tells how late they are; the newest can be spared.
            self.pending.pop_back();
        }
        self.pending.push_back(Pending { number: self.marks, sent: now, void: false });
    }

    fn handle_mark(&mut self, now: Tick, name: &str) -> Result<(), Fault> {
        let number: u64 = name.strip_prefix('p').and_then(|n| n.parse().ok()).ok_or(Fault::UnknownMark)?;
        if number == 0 || number > self.marks {
            return Err(Fault::UnknownMark);
        }
        // Whatever was sent before it has been played, too.
        while let Some(mark) = self.pending.front().copied().filter(|mark| mark.number <= number) {
            self.pending.pop_front();
            if mark.number == number && !mark.void {
                self.delay = Some(now.since(mark.sent));
            }
        }
        Ok(())
    }

    /// An interruption is certain: what the caller has not heard is not to be heard. The packets that wait are the ring's.
    pub fn handle_cleared(&mut self, now: Tick) {
        // Where nothing was said since the last time nothing can lie there.
        if self.phase != Phase::Open || !std::mem::take(&mut self.spoken) {
            return;
        }
        self.messages.push_back(message::write(self.dialect, &self.stream, Command::Clear));
        self.counts.clears += 1;
        self.pending.iter_mut().for_each(|mark| mark.void = true);
        (self.unmarked, self.until) = (0, now);
    }

    /// The call is over: asks for a mark behind the last words.
    pub fn handle_ending(&mut self, now: Tick) {
        if self.phase == Phase::Open {
            self.mark(now);
        }
    }

    /// Whether something may still be played there that is to be heard.
    #[must_use]
    pub fn is_heard_out(&self) -> bool {
        self.unmarked == 0 && self.pending.iter().all(|mark| mark.void)
    }

    /// The next message for the socket.
    pub fn poll_message(&mut self) -> Option<String> {
        self.messages.pop_front()
    }

    /// How long it takes until the caller has heard what leaves now, and we know: `None` as long as no mark was sent.
    #[must_use]
    pub fn delay(&self, now: Tick) -> Option<Duration> {
        let overdue = self.pending.iter().find(|mark| !mark.void).map(|mark| now.since(mark.sent));
        self.delay.max(overdue)
    }
}

fn place_of(anchor: &Anchor, chunk: u64) -> (u16, u32) {
    // Both wrap, which is what casting does; pieces before the anchor lie before it.
    let step = chunk.wrapping_sub(anchor.chunk);
    let samples = (step as u32).wrapping_mul(FRAME_SAMPLES as u32);
    (anchor.sequence.wrapping_add(step as u16), anchor.timestamp.wrapping_add(samples))
}

#[cfg(test)]
mod tests;
