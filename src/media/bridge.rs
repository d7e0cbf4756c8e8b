//! Two calls, joined. Purpose: a packet accepted on one leg leaves on the other in the same pass: unchanged under the other
//! leg's numbers when both have the codec, else decoded and encoded. Media workers; this is the sending half of one leg,
//! the other leg's receiving half hands it what it accepted. Invariants: sequence numbers keep gaps and timestamps keep
//! distances (`numbering`); never more audio leaves than real time allows (`pace`), nor more of anything else than a phone
//! sends, counting each such packet as 20 ms; a leg whose partner is gone drops what it receives, and counts it. Deliberately absent: a clock, a jitter buffer (the far phone has one), mixing, ringback.
//!
//! Telephone events go out under the other leg's payload type and clock; a leg that has none hears the key as tones, as
//! long as it was pressed (`press`). Keys of our own take the place of what the other leg says (`keys`). Comfort noise goes
//! out as it came where both legs agreed on it and relay; else the far phone hears the noise itself (`noise`).

use crate::id::CallId;
use crate::limits::FRAME;
use crate::media::bridge::keys::Keys;
use crate::media::bridge::noise::{Noise, is_pause};
use crate::media::bridge::press::Press;
use crate::media::coders::{Coders, SPEECH_RATE};
use crate::media::event::SessionStats;
use crate::media::numbering::{Followed, Identity, Numbering};
use crate::media::pace::Pace;
use crate::media::pass::Pass;
use crate::media::reorder::Arrived;
use crate::media::transcode::{Late, Outlet, SAMPLES_MAX, Transcode};
use crate::rtp::dtmf::Event;
use crate::rtp::{Format, Formats, Header, TelephoneEvent};
use crate::time::Tick;
use callwright_dsp::dtmf::Generator;
use std::time::Duration;

mod keys;
mod noise;
mod press;

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

/// What a packet without audio counts as: a sender of events sends one each 20 ms.
const NOMINAL: Duration = FRAME;
/// Least that a packet with audio counts as: the shortest Opus frame.
const LENGTH_MIN: Duration = Duration::from_micros(2_500);

impl Onward<'_> {
    /// Time that the packet counts as, where what leaves is limited.
    pub(super) fn counted(&self) -> Duration {
        match self.what {
            What::Audio(_) => self.length.max(LENGTH_MIN),
            What::Event(_) | What::ComfortNoise(_) => NOMINAL,
        }
    }
}

/// Kinds of packets that go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Audio(Format),
    Event(TelephoneEvent),
    /// RFC 3389, on a clock in Hz.
    ComfortNoise(u32),
}

/// What a packet sounds like, for whoever records it: 8 kHz.
pub(super) struct Passing {
    pcm: [i16; SAMPLES_MAX],
    len: usize,
}

impl Default for Passing {
    fn default() -> Self {
        Self { pcm: [0; SAMPLES_MAX], len: 0 }
    }
}

impl Passing {
    /// The samples.
    pub(super) fn samples(&self) -> &[i16] {
        &self.pcm[..self.len]
    }

    /// Takes samples at `rate`; others than at 8 kHz are not recorded.
    fn take(&mut self, pcm: &[i16], rate: u32) {
        if rate == SPEECH_RATE && pcm.len() <= self.pcm.len() {
            self.pcm[..pcm.len()].copy_from_slice(pcm);
            self.len = pcm.len();
        }
    }
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
    /// Of packets without audio: they take none of the audio's time.
    side_pace: Pace,
    /// Keys for a phone that has no telephone events.
    tones: Option<Generator>,
    /// How much of the last key was made as tones, on the event's clock.
    sounded: u64,
    /// Key that was passed on last, and until when its next packet may come.
    press: Option<Press>,
    pressing_until: Tick,
    keys: Keys,
    noise: Noise,
}

/// A key's packets come closer than this.
const PRESS_GAP_MAX: Duration = Duration::from_millis(100);
/// Longer than any key; each ends when its event does.
const TONE_MS_MAX: u32 = 10_000;

impl Bridge {
    pub(super) fn new(partner: CallId, start: Identity) -> Self {
        let (numbering, transcode) = (Numbering::new(start), Transcode::new());
        let tones = Generator::new(SPEECH_RATE).ok().map(|tones| tones.with_timing(TONE_MS_MAX, 40));
        Self {
            partner,
            slot: None,
            numbering,
            transcode,
            relaying: true,
            pace: Pace::default(),
            side_pace: Pace::default(),
            tones,
            sounded: 0,
            press: None,
            pressing_until: Tick(0),
            keys: Keys::new(),
            noise: Noise::new(),
        }
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
        self.noise.stop();
        self.press = None;
        if let Some(tones) = &mut self.tones {
            tones.clear();
        }
    }

    #[expect(clippy::too_many_arguments, reason = "both legs' parts, borrowed apart")]
    /// Sends what the other leg accepted; how much that counts as. `theirs`: that leg's coders; `ours` and `formats`: this
    /// leg's.
    pub(super) fn handle_onward(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        theirs: &mut Coders,
        ours: &mut Coders,
        formats: &Formats,
        onward: &Onward<'_>,
        heard: Option<&mut Passing>,
    ) -> Duration {
        if self.keys.is_sending() {
            listen(theirs, &onward.packet, heard.filter(|_| matches!(onward.what, What::Audio(_))));
            return Duration::ZERO;
        }
        let pace = match onward.what {
            What::Audio(_) => &mut self.pace,
            What::Event(_) | What::ComfortNoise(_) => &mut self.side_pace,
        };
        let counted = onward.counted();
        if !pace.admits(pass.now, counted) {
            count_late(pass, stats);
            return Duration::ZERO;
        }
        if self.noise.is_after(onward.extended) {
            count_late(pass, stats);
            return Duration::ZERO;
        }
        if !matches!(onward.what, What::ComfortNoise(_)) {
            self.noise.stop();
        }
        let mut tones = Duration::ZERO;
        match onward.what {
            What::Audio(format) if format.codec == formats.send.codec => {
                self.relay(pass, stats, formats.send, onward);
                listen(theirs, &onward.packet, heard);
            }
            What::Audio(_) => self.convert(pass, stats, theirs, ours, formats.send, onward, heard),
            What::Event(event) => tones = self.translate(pass, stats, formats, ours, event, onward),
            What::ComfortNoise(clock) => match formats.comfort_noise {
                Some(payload_type) if self.relaying && clock == formats.send.codec.rtp_clock() => {
                    let as_type = (payload_type, formats.send.codec.rtp_clock());
                    self.forward(pass, stats, as_type, onward, onward.packet.octets);
                }
                _ => self.render(pass, formats, clock, onward),
            },
        }
        counted.max(tones)
    }

    fn relay(&mut self, pass: &mut Pass<'_>, stats: &mut SessionStats, send: Format, onward: &Onward<'_>) {
        if !self.relaying {
            self.relaying = true;
            self.transcode.handle_new_source();
        }
        self.forward(pass, stats, (send.payload_type, send.codec.rtp_clock()), onward, onward.packet.octets);
    }

    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn convert(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        theirs: &mut Coders,
        ours: &mut Coders,
        send: Format,
        onward: &Onward<'_>,
        heard: Option<&mut Passing>,
    ) {
        let packet = &onward.packet;
        let Some(decoder) = theirs.decoder(usize::from(packet.audio.place)) else { return };
        self.relaying = false;
        let (numbering, encoder, received) = (&mut self.numbering, ours.encoder(), packet.received);
        let mut out = Outlet { pass, numbering, encoder, send, received };
        if self.transcode.handle_gap(&mut out, decoder, packet, onward.extended) == Err(Late) {
            stats.late += 1;
            out.pass.marks.rtp_late.count();
            return;
        }
        let mut pcm = [0; SAMPLES_MAX];
        let Ok(decoded) = decoder.decode(packet.octets, &mut pcm) else {
            stats.garbage += 1;
            out.pass.marks.rtp_garbage.count();
            return;
        };
        let pcm = &pcm[..decoded];
        self.transcode.handle_samples(&mut out, pcm, decoder.rate());
        if let Some(heard) = heard {
            heard.take(pcm, decoder.rate());
        }
        if is_pause(decoder.codec(), packet.octets) {
            let (now, rate) = (out.pass.now, decoder.rate());
            self.handle_pause_heard(now, pcm, rate, onward.extended);
        }
    }

    /// A key; returns how much of it became tones.
    fn translate(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        formats: &Formats,
        ours: &mut Coders,
        from: TelephoneEvent,
        onward: &Onward<'_>,
    ) -> Duration {
        let Some(event) = Event::parse(onward.packet.octets) else {
            self.omit(pass, formats, onward);
            return Duration::ZERO;
        };
        let theirs = onward.packet.timestamp;
        let known = self.press.as_mut().is_some_and(|press| press.takes(event, theirs, from.clock));
        let is_late = !known && self.press.is_some_and(|press| press.is_after(theirs, from.clock));
        self.pressing_until = pass.now + PRESS_GAP_MAX;
        let Some(to) = formats.telephone_event else {
            self.omit(pass, formats, onward);
            if is_late {
                return Duration::ZERO;
            }
            if !known {
                // What it leaves with has no meaning here.
                (self.press, self.sounded) = (Some(Press::new(event, theirs, 0)), 0);
                self.queue_tones(event);
            }
            return self.sound(pass, formats.send, ours, from, event, onward);
        };
        self.transcode.handle_other(onward.extended);
        let clock = formats.send.codec.rtp_clock();
        let header = if self.relaying {
            self.follow(pass, clock, onward)
        } else {
            // A key before this one, which has been heard: among audio of our own making there is no place for it.
            (!is_late).then(|| self.numbering.beside(pass.now, clock, onward.marker))
        };
        let Some(mut header) = header else {
            count_late(pass, stats);
            return Duration::ZERO;
        };
        header.payload_type = to.payload_type;
        let mut ours = event.at_clock(from.clock, to.clock);
        if !is_late {
            let fresh = Press::new(event, theirs, header.timestamp);
            let press = self.press.filter(|_| known).unwrap_or(fresh);
            (header.timestamp, ours) = press.outgoing(event, theirs, from, to);
            self.press = Some(press);
        }
        if !self.push_event(pass, &header, onward.packet.received, ours) && self.relaying {
            self.numbering.omit(&header, onward.extended);
        }
        Duration::ZERO
    }

    /// False when it found no room.
    fn push_event(&mut self, pass: &mut Pass<'_>, header: &Header, origin: Tick, event: Event) -> bool {
        let octets = event.octets();
        pass.outbox.push(header, origin, |body| match body.first_chunk_mut() {
            Some(body) => {
                *body = octets;
                octets.len()
            }
            None => 0,
        })
    }

    fn queue_tones(&mut self, event: Event) {
        let Some(tones) = &mut self.tones else { return };
        tones.clear();
        if let Some(key) = event.key() {
            let _ = tones.queue(key.encode_utf8(&mut [0; 4]));
        }
    }

    /// A key for a leg that has no events: as much of its tones as the event has grown by. Returns how much.
    fn sound(
        &mut self,
        pass: &mut Pass<'_>,
        send: Format,
        ours: &mut Coders,
        from: TelephoneEvent,
        event: Event,
        onward: &Onward<'_>,
    ) -> Duration {
        let Some((tones, press)) = self.tones.as_mut().filter(|t| !t.is_idle()).zip(self.press) else {
            return Duration::ZERO;
        };
        let whole = press.lasted(event, onward.packet.timestamp);
        let grown = whole.saturating_sub(self.sounded);
        self.sounded = self.sounded.max(whole);
        // A longer step than a packet may be is a loss; the rest of the key is enough.
        let samples = grown * u64::from(SPEECH_RATE) / u64::from(from.clock.max(1));
        let samples = usize::try_from(samples).unwrap_or(usize::MAX).min(SAMPLES_MAX / 2);
        let length = Duration::from_secs(1) * samples as u32 / SPEECH_RATE;
        if samples == 0 || !self.pace.admits(pass.now, length) {
            return Duration::ZERO;
        }
        let encoder = ours.encoder();
        let mut pcm = [0; SAMPLES_MAX / 2];
        tones.fill(&mut pcm[..samples]);
        self.relaying = false;
        let mut out = Outlet { pass, numbering: &mut self.numbering, encoder, send, received: onward.packet.received };
        self.transcode.handle_samples(&mut out, &pcm[..samples], SPEECH_RATE);
        self.transcode.handle_time(samples as u32, SPEECH_RATE);
        length
    }

    /// One packet for one packet. `as_type`: payload type and clock of what leaves.
    fn forward(
        &mut self,
        pass: &mut Pass<'_>,
        stats: &mut SessionStats,
        as_type: (u8, u32),
        onward: &Onward<'_>,
        octets: &[u8],
    ) {
        let (payload_type, clock) = as_type;
        let Some(header) = self.follow(pass, clock, onward) else { return count_late(pass, stats) };
        let header = Header { payload_type, ..header };
        let pushed = pass.outbox.push(&header, onward.packet.received, |body| match body.get_mut(..octets.len()) {
            Some(body) => {
                body.copy_from_slice(octets);
                octets.len()
            }
            None => 0,
        });
        if !pushed {
            self.numbering.omit(&header, onward.extended);
        }
    }

    /// A packet that does not go out leaves no gap.
    fn omit(&mut self, pass: &mut Pass<'_>, formats: &Formats, onward: &Onward<'_>) {
        self.transcode.handle_other(onward.extended);
        if self.relaying
            && let Some(header) = self.follow(pass, formats.send.codec.rtp_clock(), onward)
        {
            self.numbering.omit(&header, onward.extended);
        }
    }

    fn follow(&mut self, pass: &Pass<'_>, clock: u32, onward: &Onward<'_>) -> Option<Header> {
        let Onward { extended, marker, length, packet, what } = *onward;
        let of = match what {
            What::Audio(format) => format.codec.rtp_clock(),
            // Timestamps are on the audio's clock: what is relayed beside audio has that of ours.
            What::Event(_) | What::ComfortNoise(_) => clock,
        };
        let followed = Followed { extended, timestamp: packet.timestamp, clock: of };
        // 60 ms at most: far below 2^32.
        let units = (length.as_micros() * u128::from(clock) / 1_000_000) as u32;
        self.numbering.follow(pass.now, followed, marker, clock, units)
    }
}

fn count_late(pass: &Pass<'_>, stats: &mut SessionStats) {
    stats.late += 1;
    pass.marks.rtp_late.count();
}

/// Decodes what is relayed, for whoever records it.
fn listen(theirs: &mut Coders, packet: &Arrived<'_>, heard: Option<&mut Passing>) {
    let Some((heard, decoder)) = heard.zip(theirs.decoder(usize::from(packet.audio.place))) else { return };
    let mut pcm = [0; SAMPLES_MAX];
    if let Ok(decoded) = decoder.decode(packet.octets, &mut pcm) {
        heard.take(&pcm[..decoded], decoder.rate());
    }
}
