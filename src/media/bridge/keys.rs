//! Keys of our own on a bridge: what came by signalling (SIP INFO) for a phone that takes keys from its audio stream.
//! Purpose: they leave on the leg's own stream, as telephone events, or as tones where none were agreed. Media workers; due
//! times only while keys wait. Invariants: what the other leg says meanwhile is left out, never sent under the same time;
//! one packet each 20 ms; a key that may not be sent now (hold) is dropped, not kept for later.
//! Deliberately absent: whose keys they are.

use super::*;
use crate::limits::FRAME_SAMPLES;
use crate::rtp::dtmf::{self, Digits};
use crate::time::Tick;

/// Keys that wait or sound.
pub(super) struct Keys {
    events: dtmf::Sender,
    tones: Option<Generator>,
    /// The tones have begun.
    sounding: bool,
    due: Option<Tick>,
}

impl Keys {
    pub(super) fn new() -> Self {
        let tones = Generator::new(SPEECH_RATE).ok();
        Self { events: dtmf::Sender::default(), tones, sounding: false, due: None }
    }

    /// A key is on the wire now.
    pub(super) fn is_sending(&self) -> bool {
        self.sounding || self.events.is_pressing()
    }

    fn clear(&mut self) {
        (self.events, self.sounding, self.due) = (dtmf::Sender::default(), false, None);
        if let Some(tones) = &mut self.tones {
            tones.clear();
        }
    }

    fn is_busy(&self) -> bool {
        self.events.is_busy() || self.tones.as_ref().is_some_and(|t| !t.is_idle())
    }
}

impl Bridge {
    /// Keys to send: as events, or as tones to a phone that has agreed on none. Those beyond what can wait are dropped.
    pub(in crate::media) fn handle_digits(&mut self, now: Tick, digits: Digits, as_events: bool) {
        if as_events {
            self.keys.events.handle_digits(digits);
        } else if let Some(tones) = &mut self.keys.tones {
            for key in digits.keys() {
                let _ = tones.queue(key.encode_utf8(&mut [0; 4]));
            }
        }
        if self.keys.is_busy() {
            self.keys.due.get_or_insert(now);
        }
    }

    /// Whether a key of our own takes the place of what the other leg says.
    pub(in crate::media) fn is_keying(&self) -> bool {
        self.keys.is_sending()
    }

    /// When `handle_timeout` is needed next.
    pub(in crate::media) fn poll_timeout(&self) -> Option<Tick> {
        self.keys.due.into_iter().chain(self.noise.due()).min()
    }

    /// Sends what is due of our own keys, and of the noise in a pause of the other leg's. `open`: something may be sent now.
    pub(in crate::media) fn handle_timeout(
        &mut self,
        pass: &mut Pass<'_>,
        ours: &mut Coders,
        formats: &Formats,
        open: bool,
        heard: Option<&mut Passing>,
    ) {
        if !open {
            self.noise.stop();
        } else if !self.keys.is_sending() {
            self.send_noise(pass, ours, formats);
        }
        let Some(due) = self.keys.due.filter(|due| pass.now >= *due) else { return };
        if !open {
            self.keys.clear();
            return;
        }
        let next = due + FRAME;
        self.keys.due = Some(if next > pass.now { next } else { pass.now + FRAME });
        // The other leg's own key is on its way: let it end.
        if !self.keys.is_sending() && pass.now < self.pressing_until {
            return;
        }
        self.send_events(pass, formats);
        self.send_tones(pass, ours, formats.send, heard);
        if !self.keys.is_busy() {
            self.keys.due = None;
        }
    }

    fn send_events(&mut self, pass: &mut Pass<'_>, formats: &Formats) {
        let Some(events) = formats.telephone_event else {
            self.keys.events = dtmf::Sender::default();
            return;
        };
        self.keys.events.set_clock(events.clock);
        if self.keys.events.is_starting() {
            // What the other leg says next continues after the key.
            self.handle_pause();
        }
        let clock = formats.send.codec.rtp_clock();
        let timestamp = self.numbering.timestamp(pass.now, clock);
        let Some(packet) = self.keys.events.poll_packet(timestamp) else { return };
        let header = self.numbering.beside(pass.now, clock, packet.marker);
        let header = Header { payload_type: events.payload_type, timestamp: packet.timestamp, ..header };
        self.push_event(pass, &header, pass.now, packet.event);
        self.numbering.skip(0, clock / FRAMES_PER_SECOND);
        if !self.keys.events.is_pressing() {
            self.handle_pause();
        }
    }

    fn send_tones(&mut self, pass: &mut Pass<'_>, ours: &mut Coders, send: Format, heard: Option<&mut Passing>) {
        let Some(tones) = self.keys.tones.as_mut().filter(|t| !t.is_idle()) else { return };
        let mut pcm = [0; FRAME_SAMPLES];
        tones.fill(&mut pcm);
        let ends = tones.is_idle();
        if !std::mem::replace(&mut self.keys.sounding, !ends) {
            self.handle_pause();
        }
        self.relaying = false;
        let received = pass.now;
        let mut out = Outlet { pass, numbering: &mut self.numbering, encoder: ours.encoder(), send, received };
        self.transcode.handle_samples(&mut out, &pcm, SPEECH_RATE);
        if let Some(heard) = heard {
            heard.take(&pcm, SPEECH_RATE);
        }
        if ends {
            self.handle_pause();
        }
    }
}

/// Packets of a key in a second.
const FRAMES_PER_SECOND: u32 = 50;
