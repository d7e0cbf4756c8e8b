//! Two calls, joined. Purpose: a packet accepted on one leg leaves on the other in the same pass: unchanged under the other
//! leg's numbers when both have the codec, else decoded and encoded. Media workers; this is the sending half of one leg,
//! the other leg's receiving half hands it what it accepted. Invariants: sequence numbers keep gaps and timestamps keep
//! distances (`numbering`); never more audio leaves than real time allows (`pace`); a leg whose partner is gone drops what
//! it receives, and counts it. Deliberately absent: a clock, a jitter buffer (the far phone has one), mixing, ringback.
//!
//! Telephone events go out under the other leg's payload type and clock; a leg that has none hears the key as tones, as
//! long as it was pressed. Comfort noise goes out where it was agreed; else its time passes as a pause.

use crate::id::CallId;
use crate::media::coders::Coders;
use crate::media::event::SessionStats;
use crate::media::numbering::{Followed, Identity, Numbering};
use crate::media::pace::Pace;
use crate::media::pass::Pass;
use crate::media::reorder::Arrived;
use crate::media::transcode::{Late, Outlet, Transcode};
use crate::rtp::dtmf::Event;
use crate::rtp::{Format, Formats, Header, TelephoneEvent};
use std::time::Duration;

/// What a leg accepted, for the other one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onward<'a> {
    pub(super) what: What,
    pub(super) packet: Arrived<'a>,
    /// Sequence number with its cycles.
    pub(super) extended: u64,
    pub(super) marker: bool,
    /// Audio in it.
    pub(super) length: Duration,
}

/// Kinds of packets that go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Audio(Format),
    Event(TelephoneEvent),
    ComfortNoise,
}

/// Sending half of a bridged leg.
pub(super) struct Bridge {
    partner: CallId,
    /// The partner's slot, while the worker has both legs.
    slot: Option<u32>,
    numbering: Numbering,
    transcode: Transcode,
    /// Whether the last audio was relayed, not transcoded.
    relaying: bool,
    pace: Pace,
}

impl Bridge {
    pub(super) fn new(partner: CallId, start: Identity) -> Self {
        let (numbering, transcode) = (Numbering::new(start), Transcode::new());
        Self { partner, slot: None, numbering, transcode, relaying: true, pace: Pace::default() }
    }

    /// The other leg.
    pub(super) fn partner(&self) -> CallId {
        self.partner
    }

    /// Where the other leg is.
    pub(super) fn slot(&self) -> Option<u32> {
        self.slot
    }

    /// The other leg came, or went.
    pub(super) fn set_slot(&mut self, slot: Option<u32>) {
        self.slot = slot;
        self.handle_pause();
    }

    /// What comes next does not continue what went before: another sender, another codec of ours, or packets that were not
    /// sent.
    pub(super) fn handle_pause(&mut self) {
        self.numbering.handle_new_source();
        self.transcode.handle_new_source();
    }

    /// Where the stream stands.
    pub(super) fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// Sends what the other leg accepted. `theirs`: that leg's coders; `ours` and `formats`: this leg's.
    pub(super) fn handle_onward(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        theirs: &mut Coders,
        ours: &mut Coders,
        formats: &Formats,
        onward: &Onward<'_>,
    ) {
        match onward.what {
            What::Audio(_) if !self.pace.admits(pass.now, onward.length) => {
                stats.late += 1;
                pass.marks.rtp_late.count();
            }
            What::Audio(format) if format.codec == formats.send.codec => self.relay(pass, formats.send, onward),
            What::Audio(_) => self.convert(pass, stats, theirs, ours, formats.send, onward),
            What::Event(event) => self.translate(pass, formats, event, onward),
            What::ComfortNoise => match formats.comfort_noise {
                Some(payload_type) if self.relaying => {
                    self.forward(pass, payload_type, formats.send.codec.rtp_clock(), onward, onward.packet.octets);
                }
                _ => self.omit(pass, formats, onward),
            },
        }
    }

    fn relay(&mut self, pass: &mut Pass<'_>, send: Format, onward: &Onward<'_>) {
        if !self.relaying {
            self.relaying = true;
            self.transcode.handle_new_source();
        }
        self.forward(pass, send.payload_type, send.codec.rtp_clock(), onward, onward.packet.octets);
    }

    fn convert(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        theirs: &mut Coders,
        ours: &mut Coders,
        send: Format,
        onward: &Onward<'_>,
    ) {
        let packet = &onward.packet;
        let Some(decoder) = theirs.decoder(usize::from(packet.audio.place)) else { return };
        self.relaying = false;
        let (numbering, encoder, received) = (&mut self.numbering, ours.encoder(), packet.received);
        let mut out = Outlet { pass, numbering, encoder, send, received };
        if self.transcode.handle_gap(&mut out, decoder, packet, onward.extended) == Err(Late) {
            stats.late += 1;
            out.pass.marks.rtp_late.count();
        } else if self.transcode.handle_packet(&mut out, decoder, packet).is_err() {
            stats.garbage += 1;
            out.pass.marks.rtp_garbage.count();
        }
    }

    fn translate(&mut self, pass: &mut Pass<'_>, formats: &Formats, from: TelephoneEvent, onward: &Onward<'_>) {
        let event = Event::parse(onward.packet.octets);
        match (formats.telephone_event, event) {
            (Some(to), Some(event)) => {
                let octets = event.at_clock(from.clock, to.clock).octets();
                self.transcode.handle_other(onward.extended);
                self.forward(pass, to.payload_type, formats.send.codec.rtp_clock(), onward, &octets);
            }
            _ => self.omit(pass, formats, onward),
        }
    }

    /// One packet for one packet.
    fn forward(&mut self, pass: &mut Pass<'_>, payload_type: u8, clock: u32, onward: &Onward<'_>, octets: &[u8]) {
        let header = self.follow(pass, clock, onward);
        let header = Header { payload_type, ..header };
        let pushed = pass.outbox.push(&header, onward.packet.received, |body| match body.get_mut(..octets.len()) {
            Some(body) => {
                body.copy_from_slice(octets);
                octets.len()
            }
            None => 0,
        });
        if !pushed {
            self.numbering.omit(&header);
        }
    }

    /// A packet that does not go out leaves no gap.
    fn omit(&mut self, pass: &mut Pass<'_>, formats: &Formats, onward: &Onward<'_>) {
        self.transcode.handle_other(onward.extended);
        if self.relaying {
            let header = self.follow(pass, formats.send.codec.rtp_clock(), onward);
            self.numbering.omit(&header);
        }
    }

    fn follow(&mut self, pass: &Pass<'_>, clock: u32, onward: &Onward<'_>) -> Header {
        let Onward { extended, marker, length, packet, what } = *onward;
        let of = match what {
            What::Audio(format) => format.codec.rtp_clock(),
            What::Event(event) => event.clock,
            What::ComfortNoise => clock,
        };
        let followed = Followed { extended, timestamp: packet.timestamp, clock: of };
        // 60 ms at most: far below 2^32.
        let units = (length.as_micros() * u128::from(clock) / 1_000_000) as u32;
        self.numbering.follow(pass.now, followed, marker, clock, units)
    }
}
