//! One call's chain, in data-flow order, sans-IO. Purpose: datagrams and due times in; frames in the rings, packets in
//! the outbox and reports out. Media workers. Invariants: nothing here allocates, frees, reads a clock or makes a system
//! call; forged packets, garbage and wrong payloads are counted and change nothing else. Probation: a source is followed
//! after `LATCH_PACKETS` packets (`latch`), another SSRC of it after two in sequence; a payload type needs none, since only
//! those that were agreed are taken, and the peer may change between them from packet to packet. Deliberately absent: sockets
//! (`socket`), the loop (`worker`).

use crate::id::{CallId, Generation};
use crate::limits::{FRAME, HELD_UNHEARD_MAX, MEDIA_TIMEOUT, MUTED_MAX, UNANSWERED_MEDIA_MAX};
use crate::media::aside::{AsideProducer, Protocol};
use crate::media::bridge::{Bridge, Onward};
use crate::media::coders::Coders;
use crate::media::control::CallControl;
use crate::media::ears::Ears;
use crate::media::echo::Echo;
use crate::media::event::{MediaEvent, Quality, SessionStats};
use crate::media::inbound::Inbound;
use crate::media::latch::{Latch, Verdict};
use crate::media::pass::{Outbox, Pass};
use crate::media::playout::{Line, Playout};
use crate::media::recorder::Tap;
use crate::media::reorder::{Arrived, Audio};
use crate::media::secure::Secure;
use crate::media::transcode;
use crate::rtp::dtmf::{Event, Receiver};
use crate::rtp::rtcp;
use crate::rtp::srtp::SrtpContext;
use crate::rtp::stats::{Arrival, Reception};
use crate::rtp::{Codec, Format, Formats, Header, Packet, TelephoneEvent};
use crate::telemetry::Marks;
use crate::time::{MediaTime, Tick};
use callwright_dsp::codec::comfort_noise::NoiseParameters;
use std::net::SocketAddr;
use std::time::Duration;

mod bridging;
mod orders;
mod reporting;

/// Comfort noise, RFC 3389, at 8 kHz: its static payload type.
const COMFORT_NOISE: u8 = 13;
const COMFORT_NOISE_CLOCK: u32 = 8_000;
/// How often a call looks at its media timeout, in milliseconds: on the full tenth of a second, so that calls share the
/// wake-ups that this takes.
const HOUSEKEEPING_MS: u64 = 900;
const HOUSEKEEPING_STEP_MS: u64 = 100;

/// The part of the chain that depends on the role.
#[expect(clippy::large_enum_variant, reason = "lives in the one box of its call; a second one would only add a jump")]
pub(in crate::media) enum RoleParts {
    Echo(Echo),
    Speech(SpeechParts),
    Bridge(Bridge),
}

/// Plain facts of a call's media.
pub(in crate::media) struct Facts {
    pub(in crate::media) call: CallId,
    pub(in crate::media) formats: Formats,
    pub(in crate::media) held: bool,
    pub(in crate::media) remote: Option<SocketAddr>,
    pub(in crate::media) learn_source: bool,
    pub(in crate::media) told_keys: Option<TelephoneEvent>,
}

/// What was allocated for it.
pub(in crate::media) struct Parts {
    pub(in crate::media) coders: Box<Coders>,
    pub(in crate::media) role: RoleParts,
    pub(in crate::media) control: Option<CallControl>,
    pub(in crate::media) secure: Option<Box<Secure>>,
    pub(in crate::media) ears: Ears,
    pub(in crate::media) aside: Option<AsideProducer>,
}

/// What became of a datagram.
pub(super) enum Heard<'a> {
    /// Counted, perhaps answered.
    Taken,
    /// It waits for the control side.
    Aside,
    /// In order, and its audio is readable by speech now (the ingress mark's end).
    Readable,
    /// For the other leg of a bridge.
    Onward(Onward<'a>),
}

/// Both halves of a speech call.
pub(in crate::media) struct SpeechParts {
    pub(in crate::media) inbound: Inbound,
    pub(in crate::media) playout: Playout,
}

/// What a packet means on this call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Audio(Audio),
    TelephoneEvent,
    /// RFC 3389, on a clock in Hz.
    ComfortNoise(u32),
    /// An agreed codec, but not a payload of it that we take.
    Malformed,
    /// A payload type that was not agreed.
    Unknown,
}

/// The sender we are listening to.
struct Source {
    ssrc: u32,
    reception: Reception,
    /// Another SSRC from the same address, and the number that would prove it to be a stream.
    rival: Option<(u32, u16)>,
}

/// One call's media.
pub(in crate::media) struct Session {
    call: CallId,
    formats: Formats,
    /// Keys that come as events where none go out as such.
    told_keys: Option<TelephoneEvent>,
    coders: Box<Coders>,
    /// Coders that were replaced and have not gone back to control yet.
    retired: Option<Box<Coders>>,
    control: Option<CallControl>,
    secure: Option<Box<Secure>>,
    /// Keys that were replaced and have not gone back to control yet.
    rekeyed: Option<Box<Secure>>,
    ears: Ears,
    /// For what is no media, where the call's keys and addresses are found out on its port.
    aside: Option<AsideProducer>,
    held: bool,
    latch: Latch,
    source: Option<Source>,
    keys: Receiver,
    role: RoleParts,
    /// The destination has sent us something.
    answered: bool,
    /// Audio sent to it before it did.
    unanswered: Duration,
    /// Codec of the last audio received.
    heard_in: Codec,
    /// When the last valid packet came (or the call opened, or hold ended).
    heard: Tick,
    /// When the peer's RTCP last came.
    reported: Tick,
    /// When the media timeout was last reported: while it lasts, again and again.
    told_silent: Tick,
    housekeeping_due: Tick,
    /// When audio time was 0.
    opened: Tick,
    /// Bridge: the sender is another one than that of the packets passed on before.
    fresh_source: bool,
    stats: SessionStats,
}

impl Session {
    pub(in crate::media) fn new(facts: Facts, parts: Parts) -> Self {
        let Facts { call, formats, held, remote, learn_source, told_keys } = facts;
        let Parts { coders, role, control, secure, mut ears, aside } = parts;
        let events = formats.telephone_event.or(told_keys);
        ears.set_searching(events.is_none());
        Self {
            call,
            formats,
            told_keys,
            coders,
            retired: None,
            control,
            secure,
            rekeyed: None,
            ears,
            aside,
            held,
            latch: Latch::new(remote, learn_source),
            source: None,
            keys: receiver(events),
            role,
            answered: false,
            unanswered: Duration::ZERO,
            heard_in: formats.send.codec,
            heard: Tick(0),
            reported: Tick(0),
            told_silent: Tick(0),
            housekeeping_due: Tick(0),
            opened: Tick(0),
            fresh_source: false,
            stats: SessionStats::default(),
        }
    }

    pub(in crate::media) fn call(&self) -> CallId {
        self.call
    }

    /// The recording, to go on in another session.
    pub(in crate::media) fn take_tap(&mut self) -> Option<Tap> {
        self.ears.take_tap()
    }

    /// Where packets go.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.latch.destination()
    }

    /// Totals so far.
    pub(super) fn stats(&self) -> SessionStats {
        let mut stats = self.stats;
        if let Some(source) = &self.source {
            stats.lost += source.reception.lost();
            stats.jitter = source.reception.jitter();
            stats.jitter_max = stats.jitter_max.max(source.reception.jitter_max());
        }
        stats.mos = self.mos(&stats);
        stats
    }

    // --- in ---------------------------------------------------------------------------------------------------------

    /// The call starts; its 20 ms clock ticks first at `first_due`.
    pub(super) fn handle_opened(&mut self, now: Tick, first_due: Tick) {
        (self.heard, self.reported, self.opened) = (now, now, now);
        self.housekeeping_due = next_housekeeping(now);
        if let Some(control) = &mut self.control {
            control.handle_opened(now);
        }
        if let RoleParts::Speech(parts) = &mut self.role {
            parts.inbound.handle_opened(now);
            parts.playout.handle_opened(now, first_due);
        }
    }

    /// One datagram.
    pub(super) fn handle_datagram<'d>(
        &mut self,
        pass: &mut Pass<'_>,
        from: SocketAddr,
        received: Tick,
        datagram: &'d mut [u8],
    ) -> Heard<'d> {
        // No input makes a chain panic, so the test of what happens then has to ask for it.
        #[cfg(test)]
        assert_ne!(&*datagram, b"panic", "asked for by a test");
        if let Some(aside) = &mut self.aside
            && let Protocol::Stun | Protocol::Dtls = Protocol::of(datagram)
        {
            if aside.push(from, datagram) {
                return Heard::Aside;
            }
            self.stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            return Heard::Taken;
        }
        if rtcp::is_rtcp(datagram) && self.is_control_muxed() {
            self.handle_control(pass, from, received, datagram);
            return Heard::Taken;
        }
        let Some(datagram) = self.open(pass, datagram, SrtpContext::unprotect_rtp) else { return Heard::Taken };
        let Ok(packet) = Packet::parse(datagram) else {
            self.stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            return Heard::Taken;
        };
        let kind = self.kind(&packet);
        let plausible = !matches!(kind, Kind::Malformed | Kind::Unknown);
        match self.latch.handle_packet(pass.now, from, packet.header.ssrc, packet.header.sequence, plausible) {
            Verdict::Accepted => {}
            Verdict::Probation => return Heard::Taken,
            Verdict::Forged => {
                self.stats.forged += 1;
                pass.marks.rtp_forged.count();
                return Heard::Taken;
            }
        }
        let (audio, clock) = match kind {
            Kind::Unknown => {
                self.stats.wrong_payload += 1;
                pass.marks.rtp_wrong_payload.count();
                return Heard::Taken;
            }
            Kind::Malformed => {
                self.stats.garbage += 1;
                pass.marks.rtp_garbage.count();
                return Heard::Taken;
            }
            Kind::Audio(audio) => (audio, Some(audio.clock)),
            Kind::TelephoneEvent => (Audio::NONE, self.events().map(|e| e.clock)),
            Kind::ComfortNoise(_) => (Audio::NONE, None),
        };
        let Some(extended) = self.receive(pass, &packet, received, clock) else { return Heard::Taken };
        // A peer that only sends (announcements, music on hold) holds what goes to it; the other leg still hears it.
        if self.held && !matches!(self.role, RoleParts::Bridge(_)) {
            return Heard::Taken;
        }
        if kind == Kind::TelephoneEvent {
            self.handle_event(pass, &packet);
        }
        let Header { sequence, timestamp, marker, .. } = packet.header;
        let arrived = Arrived { sequence, timestamp, received, audio, octets: packet.payload };
        if let Some(format) = self.formats.receive.get(usize::from(audio.place)).copied().flatten()
            && audio != Audio::NONE
        {
            self.heard_in = format.codec;
        }
        let opened = self.opened;
        let (stats, coders, ears) = (&mut self.stats, &mut self.coders, &mut self.ears);
        match &mut self.role {
            RoleParts::Speech(parts) => {
                if matches!(kind, Kind::ComfortNoise(_))
                    && let Some(parameters) = NoiseParameters::parse(packet.payload)
                {
                    parts.inbound.handle_comfort_noise(&parameters);
                }
                let readable = parts.inbound.handle_packet(pass, stats, coders, ears, &arrived);
                self.report_keys(pass);
                if readable {
                    return Heard::Readable;
                }
            }
            RoleParts::Echo(echo) => {
                if audio != Audio::NONE {
                    let (send, wall) = (self.formats.send, audio_time(opened, pass.now));
                    echo.handle_packet(pass, stats, coders, ears, &arrived, extended, marker, send, wall);
                    self.report_keys(pass);
                }
            }
            RoleParts::Bridge(_) => return self.onward(kind, arrived, extended, marker),
        }
        Heard::Taken
    }

    /// Packets that one received packet makes at most.
    pub(super) fn answers_max(&self) -> usize {
        match &self.role {
            RoleParts::Echo(_) if self.formats.send.codec != Codec::Opus => 1,
            RoleParts::Speech(_) => 1,
            RoleParts::Echo(_) | RoleParts::Bridge(_) => transcode::PACKETS_MAX,
        }
    }

    /// What is due by now: silence, the 20 ms frame, the media timeout.
    pub(super) fn handle_timeout(&mut self, pass: &mut Pass<'_>) {
        let line = self.line();
        if let RoleParts::Speech(parts) = &mut self.role {
            parts.inbound.handle_timeout(pass, &mut self.stats, &mut self.coders, &mut self.ears);
            parts.playout.handle_timeout(pass, &mut self.stats, &line, self.coders.encoder(), &mut self.ears);
            parts.inbound.handle_said(parts.playout.said());
            self.report_keys(pass);
        }
        self.handle_keys_due(pass);
        if self.control.as_ref().is_some_and(|c| pass.now >= c.poll_timeout()) {
            self.report(pass, false);
        }
        if pass.now >= self.housekeeping_due {
            self.housekeeping_due = next_housekeeping(pass.now);
            self.coders.handle_headroom(pass.complexity);
            self.give_back(pass);
            if self.is_silent(pass.now) {
                self.told_silent = pass.now;
                pass.reports.offer(pass.marks, MediaEvent::MediaTimeout { call: self.call });
            }
        }
    }

    /// Whether it is time to say that the peer sends nothing.
    fn is_silent(&self, now: Tick) -> bool {
        let unheard = now.since(self.heard.max(self.told_silent));
        if self.held {
            // Whoever holds owes nothing; of one that never sent anything nothing says that it is there.
            let never = self.stats.packets_received == 0 && self.reported == self.opened;
            return never && unheard >= HELD_UNHEARD_MAX;
        }
        let muted = now.since(self.reported) < MEDIA_TIMEOUT && now.since(self.heard) < MUTED_MAX;
        !muted && unheard >= MEDIA_TIMEOUT
    }

    /// When `handle_timeout` is needed next.
    pub(super) fn poll_timeout(&self) -> Tick {
        let housekeeping = self.housekeeping_due;
        let due = self.control.as_ref().map_or(housekeeping, |c| c.poll_timeout().min(housekeeping));
        match &self.role {
            RoleParts::Echo(_) => due,
            RoleParts::Bridge(bridge) => bridge.poll_timeout().map_or(due, |keys| keys.min(due)),
            RoleParts::Speech(parts) => parts.inbound.poll_timeout().min(parts.playout.poll_timeout()).min(due),
        }
    }

    /// The outbox was handed to the network, which took the first `taken` packets; `at`: when the send returned.
    pub(super) fn handle_sent(&mut self, pass: &mut Pass<'_>, at: Tick, taken: usize) {
        let packets = pass.outbox.packets();
        let octets: usize = packets[..taken].iter().map(|p| p.payload).sum();
        if let Some(control) = &mut self.control {
            for packet in &packets[..taken] {
                control.handle_sent(at, packet.timestamp, packet.payload);
            }
        }
        let failed = (packets.len() - taken) as u64;
        self.stats.packets_sent += taken as u64;
        self.stats.octets_sent += octets as u64;
        self.stats.send_failed += failed;
        pass.marks.rtp_sent.add(taken as u64);
        pass.marks.rtp_send_failed.add(failed);
        match &mut self.role {
            RoleParts::Echo(_) | RoleParts::Bridge(_) => {
                for packet in &packets[..taken] {
                    pass.marks.route_bridge.record(at.since(packet.origin));
                }
            }
            RoleParts::Speech(parts) => {
                for packet in &packets[..taken] {
                    pass.marks.route_egress.record(at.since(packet.origin));
                }
                if !self.answered {
                    self.unanswered += FRAME;
                }
                parts.playout.handle_sent(pass, self.call, at, taken > 0);
            }
        }
    }

    // --- parts ------------------------------------------------------------------------------------------------------

    fn kind(&self, packet: &Packet<'_>) -> Kind {
        let payload_type = packet.header.payload_type;
        let format = |f: &Option<Format>| f.is_some_and(|f| f.payload_type == payload_type);
        if let Some(place) = self.formats.receive.iter().position(format) {
            let clock = self.formats.receive[place].map_or(0, |f| f.codec.rtp_clock());
            return match self.coders.samples(place, packet.payload) {
                // Both are small: four formats, 60 ms.
                Some(samples) => Kind::Audio(Audio { place: place as u8, samples: samples as u16, clock }),
                None => Kind::Malformed,
            };
        }
        if self.events().is_some_and(|e| e.payload_type == payload_type) {
            Kind::TelephoneEvent
        } else if payload_type == COMFORT_NOISE {
            Kind::ComfortNoise(COMFORT_NOISE_CLOCK)
        } else if self.formats.comfort_noise == Some(payload_type) {
            Kind::ComfortNoise(self.formats.send.codec.rtp_clock())
        } else {
            Kind::Unknown
        }
    }

    /// Counts a packet of the right address; its extended sequence number, or `None` when it is not to be used.
    /// `clock`: Hz of its timestamp, if its payload type says so.
    fn receive(&mut self, pass: &mut Pass<'_>, packet: &Packet<'_>, received: Tick, clock: Option<u32>) -> Option<u64> {
        let header = packet.header;
        let known = match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => {
                source.rival = None;
                if let Some(clock) = clock {
                    source.reception.set_clock(clock);
                }
                let known = source.reception.handle_packet(header.sequence, header.timestamp, received);
                (known.1 != Arrival::Restart).then_some(known)
            }
            Some(source) if source.rival != Some((header.ssrc, header.sequence)) => {
                // One packet with another SSRC proves nothing; the next in sequence does.
                source.rival = Some((header.ssrc, header.sequence.wrapping_add(1)));
                return None;
            }
            _ => None,
        };
        let (extended, arrival) = known.unwrap_or_else(|| {
            if self.source.is_none() {
                pass.reports.offer(pass.marks, MediaEvent::FirstPacket { call: self.call, at: received });
            }
            let reception = Reception::new(header.sequence, header.timestamp, received, clock.unwrap_or(8_000));
            let extended = reception.highest();
            self.start_source(header.ssrc, reception);
            (extended, Arrival::New)
        });
        self.answered = true;
        self.heard = pass.now;
        self.stats.packets_received += 1;
        self.stats.octets_received += packet.payload.len() as u64;
        pass.marks.rtp_received.count();
        if arrival == Arrival::Duplicate {
            self.stats.duplicates += 1;
            pass.marks.rtp_duplicate.count();
            return None;
        }
        Some(extended)
    }

    fn start_source(&mut self, ssrc: u32, reception: Reception) {
        if let Some(old) = self.source.replace(Source { ssrc, reception, rival: None }) {
            self.stats.lost += old.reception.lost();
            self.stats.jitter_max = self.stats.jitter_max.max(old.reception.jitter_max());
        }
        self.keys = receiver(self.events());
        self.coders.handle_new_source();
        match &mut self.role {
            RoleParts::Echo(echo) => echo.handle_new_source(),
            RoleParts::Speech(parts) => parts.inbound.handle_new_source(),
            // What goes on to the other leg starts anew with the next packet.
            RoleParts::Bridge(_) => self.fresh_source = true,
        }
    }

    fn handle_event(&mut self, pass: &mut Pass<'_>, packet: &Packet<'_>) {
        let Some(event) = Event::parse(packet.payload) else { return };
        let Some(digit) = self.keys.handle_event(packet.header.timestamp, event) else { return };
        self.report_key(pass, digit);
    }

    /// Keys that were found in the audio.
    fn report_keys(&mut self, pass: &mut Pass<'_>) {
        while let Some(digit) = self.ears.poll_key() {
            self.report_key(pass, digit);
        }
    }

    fn report_key(&mut self, pass: &mut Pass<'_>, digit: char) {
        let at = match &self.role {
            RoleParts::Echo(echo) => echo.position(),
            RoleParts::Speech(parts) => parts.inbound.position(),
            RoleParts::Bridge(_) => self.wall(pass.now),
        };
        self.stats.digits += 1;
        pass.marks.digits.count();
        pass.reports.offer(pass.marks, MediaEvent::Digit { call: self.call, digit, at });
    }

    /// The events by which the peer tells of keys.
    fn events(&self) -> Option<TelephoneEvent> {
        self.formats.telephone_event.or(self.told_keys)
    }

    /// Audio time by the clock.
    fn wall(&self, now: Tick) -> MediaTime {
        audio_time(self.opened, now)
    }

    fn line(&self) -> Line {
        Line {
            call: self.call,
            format: self.formats.send,
            telephone_event: self.formats.telephone_event,
            open: self.is_open(),
        }
    }

    /// Whether anything may be sent.
    fn is_open(&self) -> bool {
        let answers = self.answered || self.unanswered < UNANSWERED_MEDIA_MAX;
        !self.held && answers && self.latch.destination().is_some()
    }
}

/// Audio time by the clock.
fn audio_time(opened: Tick, now: Tick) -> MediaTime {
    MediaTime(u64::try_from(now.since(opened).as_micros() / 125).unwrap_or(u64::MAX))
}

/// For the agreed events' clock.
fn receiver(events: Option<TelephoneEvent>) -> Receiver {
    events.map_or_else(Receiver::default, |e| Receiver::new(e.clock))
}

fn next_housekeeping(now: Tick) -> Tick {
    let step = Duration::from_millis(HOUSEKEEPING_STEP_MS).as_nanos() as u64;
    Tick((now + Duration::from_millis(HOUSEKEEPING_MS)).0.next_multiple_of(step))
}

#[cfg(test)]
mod tests;
