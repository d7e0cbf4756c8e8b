//! One call's RTP, sans-IO. Purpose: what the caller says → one packet each 20 ms; packets from the agent → the capture.
//! Time and octets are arguments. Owner: the line thread. Invariants: exactly one packet a slot, audio, silence or
//! telephone-event (RFC 4733, never more than one of them); the timestamp moves on 20 ms in every slot.
//! Deliberately absent: sockets and clocks (`line`), figures (`score`).

use std::collections::VecDeque;
use std::time::Duration;

use super::act::{LineView, PAUSE};
use super::capture::{Capture, Received, Sent, sample_offset};
use super::coding::{Coding, Timeline};
use super::ear::Frame;
use super::level;
use crate::limits::{FRAME_SAMPLES, RTP_DATAGRAM_MAX};
use crate::rtp::dtmf::{self, Digits, EVENT_LEN};
use crate::rtp::header::HEADER_LEN;
use crate::rtp::{Header, Packet};
use crate::time::Tick;

/// Something to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// 8 kHz audio.
    Audio(Vec<i16>),
    /// Keys.
    Digits(Digits),
    /// From now on the agent's voice comes back to it by this way.
    Echo(EchoPath),
}

/// The way from the caller's loudspeaker to its microphone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EchoPath {
    /// How long it takes, the network not counted.
    pub delay: Duration,
    /// How much quieter it comes back, dB; negative.
    pub level_db: f32,
}

/// What is on that way.
#[derive(Debug)]
struct Echo {
    gain: f32,
    samples: VecDeque<i16>,
    /// More than this is a burst of packets, and would make the way longer.
    most: usize,
}

impl Echo {
    fn new(path: EchoPath) -> Self {
        let delay = usize::try_from(path.delay.as_micros() / 125).unwrap_or(0);
        let samples = std::iter::repeat_n(0, delay).collect();
        Self { gain: 10f32.powf(path.level_db / 20.0), samples, most: delay + 5 * FRAME_SAMPLES }
    }

    fn hear(&mut self, pcm: &[i16]) {
        self.samples.extend(pcm);
        let over = self.samples.len().saturating_sub(self.most);
        self.samples.drain(..over);
    }

    fn add_to(&mut self, frame: &mut [i16; FRAME_SAMPLES]) {
        for sample in frame {
            let back = self.samples.pop_front().unwrap_or(0);
            *sample = sample.saturating_add((f32::from(back) * self.gain) as i16);
        }
    }
}

/// Packets that are not the agent's audio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strays {
    /// Not RTP, or an audio payload that was not agreed on.
    pub garbage: u64,
    /// Telephone-event packets.
    pub events: u64,
}

/// Where the outgoing random numbers start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Synchronisation source.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// First timestamp.
    pub timestamp: u32,
}

/// Both directions of one call.
#[derive(Debug)]
pub struct Stream {
    coding: Box<Coding>,
    /// Of what is heard.
    timeline: Timeline,
    header: Header,
    jobs: VecDeque<(u32, Job)>,
    playing: Option<(u32, Vec<i16>, usize)>,
    keys: dtmf::Sender,
    keying: Option<u32>,
    echo: Option<Echo>,
    capture: Capture,
    view: LineView,
    strays: Strays,
    pending: Option<Sent>,
}

impl Stream {
    /// Ready to send; `length` is how long the call may get, for the room that the capture takes.
    pub fn new(coding: Box<Coding>, origin: Origin, length: Duration) -> Self {
        let header = Header {
            marker: true,
            payload_type: coding.formats().send.payload_type,
            sequence: origin.sequence,
            timestamp: origin.timestamp,
            ssrc: origin.ssrc,
        };
        Self {
            keys: dtmf::Sender::new(event_clock(&coding)),
            coding,
            timeline: Timeline::default(),
            header,
            jobs: VecDeque::new(),
            playing: None,
            keying: None,
            echo: None,
            capture: Capture::with_room_for(length),
            view: LineView::default(),
            strays: Strays::default(),
            pending: None,
        }
    }

    /// The far end and we have agreed anew.
    pub fn handle_agreed(&mut self, coding: Box<Coding>) {
        if coding.formats() != self.coding.formats() {
            self.keys.set_clock(event_clock(&coding));
            self.header.payload_type = coding.formats().send.payload_type;
            self.coding = coding;
        }
    }

    /// Sends `job` as part `part` after those that wait. Digits that cannot be sent are refused.
    ///
    /// # Errors
    /// A sentence when the far end takes no telephone-events.
    pub fn handle_job(&mut self, part: u32, job: Job) -> Result<(), String> {
        if matches!(job, Job::Digits(_)) && self.coding.formats().telephone_event.is_none() {
            return Err("the far end did not agree to telephone-events (RFC 4733), so digits cannot be sent".into());
        }
        match job {
            Job::Echo(path) => self.echo = Some(Echo::new(path)),
            job => self.jobs.push_back((part, job)),
        }
        Ok(())
    }

    /// Writes the packet of the slot that is due at `due`; returns its length. [`handle_sent`](Self::handle_sent) follows.
    pub fn poll_packet(&mut self, due: Tick, out: &mut [u8; RTP_DATAGRAM_MAX]) -> usize {
        self.start_next_job();
        let (body, part, pcm) = match self.keys.poll_packet(self.header.timestamp) {
            Some(packet) => {
                let header = Header {
                    marker: packet.marker,
                    payload_type: self.coding.formats().telephone_event.map_or(0, |e| e.payload_type),
                    timestamp: packet.timestamp,
                    ..self.header
                };
                write_header(&header, out);
                out[HEADER_LEN..HEADER_LEN + EVENT_LEN].copy_from_slice(&packet.event.octets());
                (EVENT_LEN, self.keying.unwrap_or_default(), Vec::new())
            }
            None => {
                let (part, mut pcm) = self.next_audio();
                if let Some(echo) = &mut self.echo {
                    echo.add_to(&mut pcm);
                }
                write_header(&self.header, out);
                // A codec that fails makes an empty packet, which the far end conceals.
                let (length, heard) = self.coding.send(&pcm, &mut out[HEADER_LEN..]).unwrap_or_default();
                self.header.marker = false;
                (length, part, heard)
            }
        };
        if self.keying.is_some() && !self.keys.is_busy() {
            self.view.finished_part = self.keying.take().unwrap_or_default();
        }
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.coding.step());
        self.pending = Some(Sent { due, at: due, part, pcm });
        HEADER_LEN + body
    }

    /// The packet of the last [`poll_packet`](Self::poll_packet) was handed to the network at `at`.
    pub fn handle_sent(&mut self, at: Tick) {
        if let Some(mut sent) = self.pending.take() {
            sent.at = at;
            self.capture.sent.push(sent);
        }
    }

    /// A datagram arrived; returns its audio for the ear, in frames of at most 20 ms.
    pub fn handle_datagram(&mut self, at: Tick, octets: &[u8], sink: &mut dyn FnMut(Frame)) {
        let Ok(packet) = Packet::parse(octets) else {
            self.strays.garbage += 1;
            return;
        };
        let Header { ssrc, sequence, timestamp, payload_type, .. } = packet.header;
        if self.coding.formats().telephone_event.is_some_and(|e| e.payload_type == payload_type) {
            self.strays.events += 1;
            return;
        }
        let Some((pcm, clock)) = self.coding.receive(payload_type, packet.payload) else {
            self.strays.garbage += 1;
            return;
        };
        if let Some(echo) = &mut self.echo {
            echo.hear(&pcm);
        }
        let timestamp = self.timeline.at_8_khz(ssrc, timestamp, clock);
        for (n, chunk) in pcm.chunks(FRAME_SAMPLES).enumerate() {
            let mut frame =
                Frame { at: at + sample_offset(n * FRAME_SAMPLES), len: chunk.len(), pcm: [0; FRAME_SAMPLES] };
            frame.pcm[..chunk.len()].copy_from_slice(chunk);
            self.watch(&frame);
            sink(frame);
        }
        self.capture.heard.push(Received { at, ssrc, sequence, timestamp, pcm });
    }

    /// What the line knows about the agent at this moment.
    pub fn view(&self) -> LineView {
        self.view
    }

    /// Ends the call: everything that passed the wire.
    pub fn into_capture(self) -> (Capture, Strays) {
        (self.capture, self.strays)
    }

    fn watch(&mut self, frame: &Frame) {
        let pcm = &frame.pcm[..frame.len];
        let (Some(first), Some(last)) = (level::first_audible(pcm), level::last_audible(pcm)) else { return };
        let first = frame.at + sample_offset(first);
        if self.view.last_audible.is_none_or(|t| first.since(t) >= PAUSE) {
            self.view.onset = Some(first);
        }
        self.view.last_audible = Some(frame.at + sample_offset(last));
    }

    fn start_next_job(&mut self) {
        if self.playing.is_some() || self.keying.is_some() {
            return;
        }
        match self.jobs.pop_front() {
            Some((part, Job::Audio(pcm))) => self.playing = Some((part, pcm, 0)),
            Some((part, Job::Digits(digits))) => {
                self.keys.handle_digits(digits);
                self.keying = Some(part);
            }
            // An echo never waits.
            Some((_, Job::Echo(_))) | None => {}
        }
    }

    /// The next 20 ms of audio: silence when there is nothing to say.
    fn next_audio(&mut self) -> (u32, [i16; FRAME_SAMPLES]) {
        let mut frame = [0; FRAME_SAMPLES];
        let Some((part, pcm, from)) = &mut self.playing else { return (0, frame) };
        let part = *part;
        let to = (*from + FRAME_SAMPLES).min(pcm.len());
        frame[..to - *from].copy_from_slice(&pcm[*from..to]);
        *from = to;
        if to == pcm.len() {
            self.playing = None;
            self.view.finished_part = part;
        }
        (part, frame)
    }
}

fn event_clock(coding: &Coding) -> u32 {
    coding.formats().telephone_event.map_or(8_000, |e| e.clock)
}

fn write_header(header: &Header, out: &mut [u8; RTP_DATAGRAM_MAX]) {
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{Codec, Format, Formats, TelephoneEvent};
    use callwright_dsp::codec::g711;

    const ORIGIN: Origin = Origin { ssrc: 0xdead_beef, sequence: 0xfffe, timestamp: 0xffff_ff00 };
    const PCMU: Formats = Formats::of(Format::PCMU).with_events(101);

    fn stream_of(formats: Formats, origin: Origin) -> Stream {
        Stream::new(Box::new(Coding::new(formats).unwrap()), origin, Duration::ZERO)
    }

    fn stream() -> Stream {
        stream_of(PCMU, ORIGIN)
    }

    fn tick(slot: u64) -> Tick {
        Tick(1_000_000_000 + slot * 20_000_000)
    }

    fn packets(stream: &mut Stream, slots: u64) -> Vec<Vec<u8>> {
        let mut out = [0; RTP_DATAGRAM_MAX];
        (0..slots)
            .map(|n| {
                let len = stream.poll_packet(tick(n), &mut out);
                stream.handle_sent(tick(n));
                out[..len].to_vec()
            })
            .collect()
    }

    #[test]
    fn silence_then_audio_then_silence_without_a_break() {
        let mut s = stream();
        s.handle_job(1, Job::Audio(vec![8000; 200])).unwrap();
        let packets = packets(&mut s, 4);
        let parsed: Vec<Packet<'_>> = packets.iter().map(|p| Packet::parse(p).unwrap()).collect();
        let sequences: Vec<u16> = parsed.iter().map(|p| p.header.sequence).collect();
        assert_eq!(sequences, [0xfffe, 0xffff, 0, 1]);
        let steps: Vec<u32> =
            parsed.windows(2).map(|w| w[1].header.timestamp.wrapping_sub(w[0].header.timestamp)).collect();
        assert_eq!(steps, [160, 160, 160]);
        assert_eq!(parsed.iter().map(|p| p.header.marker).collect::<Vec<_>>(), [true, false, false, false]);
        assert!(parsed.iter().all(|p| p.header.payload_type == 0 && p.payload.len() == 160));
        let silence = g711::ULAW_SILENCE;
        assert!(parsed[0].payload.iter().all(|&b| b != silence));
        assert_eq!(parsed[1].payload.iter().filter(|&&b| b != silence).count(), 40);
        assert!(parsed[2].payload.iter().all(|&b| b == silence));
        assert_eq!(s.view().finished_part, 1);
        let (capture, _) = s.into_capture();
        assert_eq!(capture.sent.iter().map(|f| f.part).collect::<Vec<_>>(), [1, 1, 0, 0]);
        assert!((i32::from(capture.sent[0].pcm[0]) - 8000).abs() < 300);
    }

    #[test]
    fn a_key_is_the_octets_of_rfc_4733_with_three_end_packets() {
        let mut s = stream();
        s.handle_job(1, Job::Digits("5".parse().unwrap())).unwrap();
        s.handle_job(2, Job::Audio(vec![8000; 160])).unwrap();
        let packets = packets(&mut s, 8);
        let events: Vec<&[u8]> = packets.iter().filter(|p| p[1] & 0x7f == 101).map(|p| &p[..]).collect();
        assert_eq!(events.len(), 7);
        // Version 2, marker and payload type 101, sequence fffe, timestamp ffffff00, SSRC; event 5, volume 10, 160 samples.
        assert_eq!(events[0], [0x80, 0xe5, 0xff, 0xfe, 0xff, 0xff, 0xff, 0x00, 0xde, 0xad, 0xbe, 0xef, 5, 10, 0, 160]);
        assert_eq!(&events[1][1..4], [0x65, 0xff, 0xff]);
        assert!(events.iter().all(|e| e[4..8] == [0xff, 0xff, 0xff, 0x00]));
        let durations: Vec<u16> = events.iter().map(|e| u16::from_be_bytes([e[14], e[15]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        let ends: Vec<bool> = events.iter().map(|e| e[13] & 0x80 != 0).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        // Audio goes on where the slots have got to.
        let audio = Packet::parse(&packets[7]).unwrap();
        assert_eq!(audio.header.timestamp, 0xffff_ff00u32.wrapping_add(7 * 160));
        assert_eq!(s.view().finished_part, 2);
    }

    #[test]
    fn digits_need_an_agreed_telephone_event() {
        let mut s = stream_of(Formats::of(Format::PCMU), ORIGIN);
        assert!(s.handle_job(1, Job::Digits("1".parse().unwrap())).unwrap_err().contains("RFC 4733"));
    }

    #[test]
    fn two_streams_hear_each_other() {
        let mut a = stream();
        let mut b = stream_of(PCMU, Origin { ssrc: 1, sequence: 0, timestamp: 0 });
        let tone: Vec<i16> = (0..1600).map(|n| (8000.0 * (f64::from(n) * 0.4).sin()) as i16).collect();
        a.handle_job(1, Job::Audio(tone)).unwrap();
        let mut frames = Vec::new();
        for (n, packet) in packets(&mut a, 20).iter().enumerate() {
            b.handle_datagram(tick(n as u64) + Duration::from_millis(3), packet, &mut |f| frames.push(f));
        }
        assert_eq!(frames.len(), 20);
        let view = b.view();
        assert_eq!(view.onset, Some(tick(0) + Duration::from_millis(3)));
        let last = tick(9) + Duration::from_millis(3) + sample_offset(159);
        assert_eq!(view.last_audible, Some(last));
        let (sent, heard) = (a.into_capture().0.sent, b.into_capture().0.heard);
        assert!(sent.iter().zip(&heard).all(|(s, h)| s.pcm == h.pcm));
    }

    #[test]
    fn opus_keeps_its_own_clock_on_the_wire_and_ours_in_the_capture() {
        let opus = Formats {
            telephone_event: Some(TelephoneEvent { payload_type: 110, clock: 48_000 }),
            ..Formats::of(Format { payload_type: 111, codec: Codec::Opus })
        };
        let (mut a, mut b) = (stream_of(opus, ORIGIN), stream_of(opus, Origin { ssrc: 1, ..ORIGIN }));
        a.handle_job(1, Job::Audio(vec![8000; 1600])).unwrap();
        a.handle_job(2, Job::Digits("5".parse().unwrap())).unwrap();
        let packets = packets(&mut a, 20);
        let stamps: Vec<u32> = packets[..10].iter().map(|p| Packet::parse(p).unwrap().header.timestamp).collect();
        assert!(stamps.windows(2).all(|w| w[1].wrapping_sub(w[0]) == 960), "{stamps:?}");
        let durations: Vec<u16> =
            packets.iter().filter(|p| p[1] & 0x7f == 110).map(|p| u16::from_be_bytes([p[14], p[15]])).collect();
        assert_eq!(durations[..3], [960, 1920, 2880]);
        for (n, packet) in packets.iter().enumerate() {
            b.handle_datagram(tick(n as u64), packet, &mut |_| ());
        }
        let heard = b.into_capture().0.heard;
        assert!(heard.iter().all(|r| r.pcm.len() == 160));
        assert!(heard[..10].windows(2).all(|w| w[1].timestamp.wrapping_sub(w[0].timestamp) == 160));
    }

    #[test]
    fn a_new_agreement_changes_the_codec() {
        let mut s = stream();
        assert_eq!(packets(&mut s, 1)[0][1] & 0x7f, 0);
        s.handle_agreed(Box::new(Coding::new(Formats::of(Format::G722)).unwrap()));
        let packet = packets(&mut s, 1).remove(0);
        assert_eq!((packet[1] & 0x7f, packet.len()), (9, 172));
        assert!(s.handle_job(1, Job::Digits("1".parse().unwrap())).is_err(), "no events any more");
    }

    #[test]
    fn what_is_not_the_agents_audio_is_counted_and_dropped() {
        let mut s = stream();
        let mut other = stream_of(Formats::of(Format::PCMA).with_events(101), ORIGIN);
        other.handle_job(1, Job::Digits("5".parse().unwrap())).unwrap();
        let sent = packets(&mut other, 8);
        let mut frames = 0;
        for octets in sent.iter().map(|p| &p[..]).chain([&b"no rtp"[..], &[0x80; 600], &[]]) {
            s.handle_datagram(tick(0), octets, &mut |_| frames += 1);
        }
        let (capture, strays) = s.into_capture();
        assert_eq!((frames, capture.heard.len()), (0, 0));
        assert_eq!(strays, Strays { garbage: 4, events: 7 });
    }
}
