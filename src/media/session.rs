//! One call's chain, in data-flow order, sans-IO. Purpose: datagrams and due times in; frames in the rings, packets in
//! the outbox and reports out. Media workers. Invariants: nothing here allocates, frees, reads a clock or makes a system
//! call; forged packets, garbage and wrong payloads are counted and change nothing else. Deliberately absent: sockets
//! (`socket`), the loop (`worker`).

use crate::id::{CallId, Generation};
use crate::limits::{FRAME, MEDIA_TIMEOUT, RTP_PACKET_SAMPLES_MAX, UNANSWERED_MEDIA_MAX};
use crate::media::echo::Echo;
use crate::media::event::{MediaEvent, SessionStats};
use crate::media::inbound::{Arrived, Inbound};
use crate::media::latch::{Latch, Verdict};
use crate::media::pass::Pass;
use crate::media::plan::SessionPlan;
use crate::media::playout::{Identity, Line, Playout};
use crate::media::recorder::Tap;
use crate::rtp::dtmf::{Digits, Event, Receiver};
use crate::rtp::stats::{Arrival, Reception};
use crate::rtp::{Packet, Payload};
use crate::time::Tick;
use std::net::SocketAddr;
use std::time::Duration;

/// Comfort noise, RFC 3389: accepted, and heard as the silence that it stands for.
const COMFORT_NOISE: u8 = 13;
/// How often an echo call looks at its media timeout.
const HOUSEKEEPING: Duration = Duration::from_millis(60);
/// Frames sent at most to an address that never answered.
// 2 s / 20 ms.
const UNANSWERED_FRAMES_MAX: u32 = (UNANSWERED_MEDIA_MAX.as_millis() / FRAME.as_millis()) as u32;

/// The part of the chain that depends on the role.
#[expect(clippy::large_enum_variant, reason = "lives in the one box of its call; a second one would only add a jump")]
pub(in crate::media) enum RoleParts {
    Echo(Echo),
    Speech(SpeechParts),
}

/// Both halves of a speech call.
pub(in crate::media) struct SpeechParts {
    pub(in crate::media) inbound: Inbound,
    pub(in crate::media) playout: Playout,
}

/// What a payload type means on this call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Audio,
    TelephoneEvent,
    ComfortNoise,
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
    payload: Payload,
    telephone_event: Option<u8>,
    held: bool,
    latch: Latch,
    source: Option<Source>,
    keys: Receiver,
    role: RoleParts,
    identity: Identity,
    /// The destination has sent us something.
    answered: bool,
    unanswered_frames: u32,
    /// When the last valid packet came (or the call opened, or hold ended).
    heard: Tick,
    timed_out: bool,
    housekeeping_due: Tick,
    stats: SessionStats,
    tap: Option<Tap>,
}

impl Session {
    pub(in crate::media) fn new(plan: &SessionPlan, identity: Identity, role: RoleParts) -> Self {
        Self {
            call: plan.call,
            payload: plan.payload,
            telephone_event: plan.telephone_event,
            held: plan.held,
            latch: Latch::new(plan.remote, plan.learn_source),
            source: None,
            keys: Receiver::default(),
            role,
            identity,
            answered: false,
            unanswered_frames: 0,
            heard: Tick(0),
            timed_out: false,
            housekeeping_due: Tick(0),
            stats: SessionStats::default(),
            tap: None,
        }
    }

    /// Both sides go into this recording too.
    pub(super) fn record(&mut self, tap: Option<Tap>) {
        self.tap = tap;
    }

    pub(in crate::media) fn call(&self) -> CallId {
        self.call
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
        stats
    }

    // --- in ---------------------------------------------------------------------------------------------------------

    /// The call starts; its 20 ms clock ticks first at `first_due`.
    pub(super) fn handle_opened(&mut self, now: Tick, first_due: Tick) {
        self.heard = now;
        self.housekeeping_due = now + HOUSEKEEPING;
        if let RoleParts::Speech(parts) = &mut self.role {
            parts.inbound.handle_opened(now);
            parts.playout.handle_opened(now, first_due);
        }
    }

    /// One datagram. True when it was in order and its audio is readable by speech now (the ingress mark's end).
    pub(super) fn handle_datagram(
        &mut self,
        pass: &mut Pass<'_>,
        from: SocketAddr,
        received: Tick,
        datagram: &[u8],
    ) -> bool {
        // No input makes a chain panic, so the test of what happens then has to ask for it.
        #[cfg(test)]
        assert_ne!(datagram, b"panic", "asked for by a test");
        let Ok(packet) = Packet::parse(datagram) else {
            self.stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            return false;
        };
        let kind = self.kind(packet.header.payload_type);
        let fits = kind != Kind::Audio || (1..=RTP_PACKET_SAMPLES_MAX).contains(&packet.payload.len());
        let plausible = fits && kind != Kind::Unknown;
        match self.latch.handle_packet(pass.now, from, packet.header.ssrc, packet.header.sequence, plausible) {
            Verdict::Accepted => {}
            Verdict::Probation => return false,
            Verdict::Forged => {
                self.stats.forged += 1;
                pass.marks.rtp_forged.count();
                return false;
            }
        }
        if kind == Kind::Unknown {
            self.stats.wrong_payload += 1;
            pass.marks.rtp_wrong_payload.count();
            return false;
        }
        if !fits {
            self.stats.garbage += 1;
            pass.marks.rtp_garbage.count();
            return false;
        }
        let Some(extended) = self.receive(pass, &packet, received) else { return false };
        if self.held {
            return false;
        }
        if kind == Kind::TelephoneEvent {
            self.handle_event(pass, &packet);
        }
        let arrived = Arrived {
            sequence: packet.header.sequence,
            timestamp: packet.header.timestamp,
            received,
            payload: self.payload,
            octets: if kind == Kind::Audio { packet.payload } else { &[] },
        };
        let pass = &mut pass.with_tap(self.tap.as_mut());
        match &mut self.role {
            RoleParts::Speech(parts) => parts.inbound.handle_packet(pass, &mut self.stats, arrived),
            RoleParts::Echo(echo) => {
                if kind == Kind::Audio {
                    echo.handle_packet(pass, arrived, extended, packet.header.marker, &mut self.identity);
                }
                false
            }
        }
    }

    /// What is due by now: silence, the 20 ms frame, the media timeout.
    pub(super) fn handle_timeout(&mut self, pass: &mut Pass<'_>) {
        let line = self.line();
        if let RoleParts::Speech(parts) = &mut self.role {
            let pass = &mut pass.with_tap(self.tap.as_mut());
            parts.inbound.handle_timeout(pass, &mut self.stats);
            parts.playout.handle_timeout(pass, &mut self.stats, line);
        }
        if pass.now >= self.housekeeping_due {
            self.housekeeping_due = pass.now + HOUSEKEEPING;
            if !self.held && !self.timed_out && pass.now.since(self.heard) >= MEDIA_TIMEOUT {
                self.timed_out = true;
                pass.reports.offer(pass.marks, MediaEvent::MediaTimeout { call: self.call });
            }
        }
    }

    /// When `handle_timeout` is needed next.
    pub(super) fn poll_timeout(&self) -> Tick {
        match &self.role {
            RoleParts::Echo(_) => self.housekeeping_due,
            RoleParts::Speech(parts) => {
                parts.inbound.poll_timeout().min(parts.playout.poll_timeout()).min(self.housekeeping_due)
            }
        }
    }

    /// The outbox was handed to the network, which took the first `taken` packets; `at`: when the send returned.
    pub(super) fn handle_sent(&mut self, pass: &mut Pass<'_>, at: Tick, taken: usize) {
        let packets = pass.outbox.packets();
        let octets: usize = packets[..taken].iter().map(|p| p.octets().len() - crate::rtp::header::HEADER_LEN).sum();
        let failed = (packets.len() - taken) as u64;
        self.stats.packets_sent += taken as u64;
        self.stats.octets_sent += octets as u64;
        self.stats.send_failed += failed;
        pass.marks.rtp_sent.add(taken as u64);
        pass.marks.rtp_send_failed.add(failed);
        match &mut self.role {
            RoleParts::Echo(_) => {
                for packet in &packets[..taken] {
                    pass.marks.route_bridge.record(at.since(packet.origin));
                }
            }
            RoleParts::Speech(parts) => {
                for packet in &packets[..taken] {
                    pass.marks.route_egress.record(at.since(packet.origin));
                }
                if !self.answered {
                    self.unanswered_frames += 1;
                }
                parts.playout.handle_sent(pass, self.call, at, taken > 0);
            }
        }
    }

    // --- orders -----------------------------------------------------------------------------------------------------

    pub(super) fn handle_remote(&mut self, remote: SocketAddr, payload: Payload, telephone_event: Option<u8>) {
        self.payload = payload;
        self.telephone_event = telephone_event;
        if self.latch.set_expected(remote) {
            self.answered = false;
            self.unanswered_frames = 0;
        }
    }

    pub(super) fn handle_hold(&mut self, now: Tick, held: bool) {
        if self.held && !held {
            // Time on hold is no missing media.
            self.heard = now;
            self.timed_out = false;
            if let RoleParts::Speech(parts) = &mut self.role {
                parts.inbound.handle_new_source();
            }
        }
        self.held = held;
    }

    pub(super) fn handle_flush(&mut self, pass: &mut Pass<'_>, generation: Generation) {
        match &mut self.role {
            RoleParts::Speech(parts) => parts.playout.handle_flush(pass, self.call, generation),
            RoleParts::Echo(_) => {}
        }
    }

    pub(super) fn handle_digits(&mut self, digits: Digits) {
        if let RoleParts::Speech(parts) = &mut self.role {
            parts.playout.handle_digits(digits);
        }
    }

    // --- parts ------------------------------------------------------------------------------------------------------

    fn kind(&self, payload_type: u8) -> Kind {
        if payload_type == self.payload.payload_type() {
            Kind::Audio
        } else if Some(payload_type) == self.telephone_event {
            Kind::TelephoneEvent
        } else if payload_type == COMFORT_NOISE {
            Kind::ComfortNoise
        } else {
            Kind::Unknown
        }
    }

    /// Counts a packet of the right address; its extended sequence number, or `None` when it is not to be used.
    fn receive(&mut self, pass: &mut Pass<'_>, packet: &Packet<'_>, received: Tick) -> Option<u64> {
        let header = packet.header;
        let known = match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => {
                source.rival = None;
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
            let reception = Reception::new(header.sequence, header.timestamp, received);
            let extended = reception.highest();
            self.start_source(header.ssrc, reception);
            (extended, Arrival::New)
        });
        self.answered = true;
        self.heard = pass.now;
        self.timed_out = false;
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
        self.keys = Receiver::default();
        match &mut self.role {
            RoleParts::Echo(echo) => echo.handle_new_source(),
            RoleParts::Speech(parts) => parts.inbound.handle_new_source(),
        }
    }

    fn handle_event(&mut self, pass: &mut Pass<'_>, packet: &Packet<'_>) {
        let Some(event) = Event::parse(packet.payload) else { return };
        let Some(digit) = self.keys.handle_event(packet.header.timestamp, event) else { return };
        let at = match &self.role {
            RoleParts::Echo(echo) => echo.position(),
            RoleParts::Speech(parts) => parts.inbound.position(),
        };
        self.stats.digits += 1;
        pass.marks.digits.count();
        pass.reports.offer(pass.marks, MediaEvent::Digit { call: self.call, digit, at });
    }

    fn line(&self) -> Line {
        let answers = self.answered || self.unanswered_frames < UNANSWERED_FRAMES_MAX;
        Line {
            payload: self.payload,
            telephone_event: self.telephone_event,
            open: !self.held && answers && self.latch.destination().is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
