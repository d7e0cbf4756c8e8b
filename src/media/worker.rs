//! THE loop: one pinned thread that owns its calls whole. Each pass: wait for a datagram, an order or the next due time;
//! carry out orders; serve the calls that are due; serve the sockets that are readable; then at most one wake for speech
//! and one for control. Invariants: after start no heap use, lock or log line here; work per pass is bounded; a panic in
//! one call's chain closes that call only. Deliberately absent: what a call does with its audio (`session`).

use crate::id::CallId;
use crate::limits::{COMMANDS_PER_PASS_MAX, DATAGRAM_BATCH, DATAGRAMS_PER_PASS_MAX};
use crate::media::bridge::{Bridge, Onward};
use crate::media::clock::StampClock;
use crate::media::command::MediaCommand;
use crate::media::event::{CloseCause, MediaEvent};
use crate::media::headroom::Headroom;
use crate::media::pass::{Outbox, Pass, Reports};
use crate::media::plan::PreparedSession;
use crate::media::session::{Heard, Session};
use crate::media::socket::{self, Poller, ReceiveBatch};
use crate::media::wheel::Wheel;
use crate::media::wire::{RING_PEER, RingPacket, Wire};
use crate::os::clock::monotonic;
use crate::os::wake::Wake;
use crate::telemetry::Marks;
use crate::time::Tick;
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Token of the wake for orders; calls have their slot number.
const ORDERS: u64 = u64::MAX;
/// Set in the token of a call's RTCP socket, beside its slot number.
const CONTROL: u64 = 1 << 32;
/// Calls whose packets wait for the end of a pass: 32 of them are sent within a tenth of a millisecond.
const OUTBOXES_ASIDE_MAX: usize = 32;
/// A datagram that has waited longer shows that the worker is behind.
const BEHIND: Duration = Duration::from_millis(5);
/// Longest sleep, so that the heartbeat shows a live loop even without calls.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// No entry in the wheel.
const NEVER: Tick = Tick(u64::MAX);
/// First frames of calls are spread over this many milliseconds.
const SPREAD_MS: u64 = 20;
const NANOS_PER_MS: u64 = 1_000_000;

/// What the plane and a worker share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    /// Tick of the last pass: a watchdog sees a stuck worker by it.
    pub(super) heartbeat: AtomicU64,
    pub(super) calls: AtomicU64,
    /// Share of the last second in which the worker did not wait, per mille.
    pub(super) busy: AtomicU64,
    /// Of Opus encoders.
    pub(super) complexity: AtomicU64,
}

/// One place for a call. An empty place costs a few words.
enum Slot {
    Vacant,
    Live(Box<PreparedSession>),
    /// Ended, but the report found no room yet.
    Leaving(Box<PreparedSession>, CloseCause),
}

pub(super) struct Worker {
    orders: HeapCons<MediaCommand>,
    order_wake: Wake,
    speech_wake: Wake,
    event_wake: Wake,
    reports: Reports,
    marks: Arc<Marks>,
    shared: Arc<Shared>,
    poller: Poller,
    slots: Box<[Slot]>,
    /// Call of each slot, for finding it: a scan of 8 octets a call beats any structure at the rate orders come.
    calls: Box<[Option<CallId>]>,
    /// Vacant slots; capacity is the number of slots.
    vacant: Vec<u32>,
    wheel: Wheel,
    /// When each slot's entry in the wheel comes out. A due time that moves away leaves it where it is: coming out once
    /// for nothing costs less than moving an entry with every packet.
    entered: Box<[Tick]>,
    clock: StampClock,
    batch: ReceiveBatch,
    /// The packet that was fetched from a ring.
    fetched: Box<RingPacket>,
    /// One more than may be set aside, for what leaves at once.
    outboxes: Box<[Outbox]>,
    /// The outbox that is being filled; those before it are set aside.
    filling: usize,
    /// Whose packets those are.
    aside: [u32; OUTBOXES_ASIDE_MAX],
    wake_speech: bool,
    /// The call that is being served has something for its control side.
    wake_aside: bool,
    headroom: Headroom,
}

/// What the plane hands to a new worker.
pub(super) struct Parts {
    pub(super) orders: HeapCons<MediaCommand>,
    pub(super) order_wake: Wake,
    pub(super) speech_wake: Wake,
    pub(super) event_wake: Wake,
    pub(super) reports: Reports,
    pub(super) marks: Arc<Marks>,
    pub(super) shared: Arc<Shared>,
    pub(super) calls_max: usize,
}

impl Worker {
    /// Allocates everything that the loop needs.
    pub(super) fn new(parts: Parts) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(parts.order_wake.as_raw_fd(), ORDERS)?;
        let slots = u32::try_from(parts.calls_max).unwrap_or(u32::MAX);
        Ok(Self {
            orders: parts.orders,
            order_wake: parts.order_wake,
            speech_wake: parts.speech_wake,
            event_wake: parts.event_wake,
            reports: parts.reports,
            marks: parts.marks,
            shared: parts.shared,
            poller,
            slots: (0..slots).map(|_| Slot::Vacant).collect(),
            calls: (0..slots).map(|_| None).collect(),
            vacant: (0..slots).rev().collect(),
            wheel: Wheel::new(parts.calls_max, monotonic()),
            entered: (0..slots).map(|_| NEVER).collect(),
            clock: StampClock::new(),
            batch: ReceiveBatch::new(),
            fetched: Box::new(RingPacket::EMPTY),
            outboxes: (0..=OUTBOXES_ASIDE_MAX).map(|_| Outbox::new()).collect(),
            filling: 0,
            aside: [0; OUTBOXES_ASIDE_MAX],
            wake_speech: false,
            wake_aside: false,
            headroom: Headroom::default(),
        })
    }

    /// Runs until the plane says stop.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Relaxed) {
            let due = self.wheel.poll_timeout();
            let before = monotonic();
            let sleep = due.map_or(SLEEP_MAX, |due| due.since(before).min(SLEEP_MAX));
            let ready = self.poller.wait(Some(sleep));
            let now = self.clock.refresh();
            self.headroom.handle_wait(before, now, due);
            if let Some(judged) = self.headroom.poll_judged(now) {
                // Between 0 and 1.
                self.shared.busy.store((judged.busy * 1000.0) as u64, Relaxed);
                self.shared.complexity.store(u64::from(judged.complexity), Relaxed);
            }
            self.shared.heartbeat.store(now.0, Relaxed);
            self.carry_out_orders();
            self.serve_due(now);
            for n in 0..ready {
                match self.poller.token(n) {
                    ORDERS => {
                        self.order_wake.clear();
                        // An order may end a call whose packets are waiting.
                        self.send_aside();
                        // Orders that came after the first look.
                        self.carry_out_orders();
                    }
                    token if token & CONTROL != 0 => self.serve_control((token & !CONTROL) as u32),
                    slot => self.serve_socket(u32::try_from(slot).unwrap_or(u32::MAX)),
                }
            }
            self.send_aside();
            self.wake_others();
        }
        for slot in 0..self.slots.len() {
            self.close(slot as u32, CloseCause::Shutdown);
        }
        self.wake_others();
    }

    fn wake_others(&mut self) {
        if std::mem::take(&mut self.wake_speech) {
            self.speech_wake.signal();
        }
        if std::mem::take(&mut self.reports.any) {
            self.event_wake.signal();
        }
    }

    fn serve_due(&mut self, now: Tick) {
        // Each call once: one that is due again already (after a standstill) comes in the next pass.
        for _ in 0..self.slots.len() {
            let Some(slot) = self.wheel.poll_due(now) else { break };
            self.entered[slot as usize] = NEVER;
            if let Slot::Leaving(..) = self.slots[slot as usize] {
                self.leave(slot);
                continue;
            }
            self.chain(slot, |session, pass| session.handle_timeout(pass));
        }
    }

    fn serve_socket(&mut self, slot: u32) {
        let (mut served, mut most) = (0, 1);
        while served < DATAGRAMS_PER_PASS_MAX {
            let Some(Slot::Live(prepared)) = self.slots.get(slot as usize) else { return };
            // Answers leave on the call's own socket, what goes on to the other leg of a bridge on that leg's.
            let out = prepared.session.bridge().map_or(Some(slot), Bridge::slot);
            let answers_max = prepared.session.answers_max();
            let Wire::Udp(socket) = &prepared.socket else { return self.serve_ring(slot) };
            let count = self.batch.receive_up_to(socket, most);
            let mut newest = None;
            for n in 0..count {
                if let Some(out) = out.filter(|_| self.outboxes[self.filling].room() < answers_max) {
                    self.set_aside(out);
                }
                newest = self.serve_datagram(slot, Some(n)).or(newest);
            }
            if let Some(out) = out {
                self.set_aside(out);
            }
            served += count;
            // A call has one datagram waiting as a rule, and asking for a second one costs nearly as much as getting it. One
            // that has waited long was not alone. What is left over is reported again.
            let behind = newest.is_some_and(|at| self.clock.now().since(at) > BEHIND);
            if count < most || !behind {
                break;
            }
            most = DATAGRAM_BATCH;
        }
        if std::mem::take(&mut self.wake_aside)
            && let Some(Slot::Live(prepared)) = self.slots.get(slot as usize)
            && let Some(wake) = &prepared.aside_wake
        {
            wake.signal();
        }
        self.schedule_both(slot);
    }

    /// The same for a call whose packets come by a ring.
    fn serve_ring(&mut self, slot: u32) {
        let mut served = 0;
        loop {
            let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) else { return };
            let out = prepared.session.bridge().map_or(Some(slot), Bridge::slot);
            let answers_max = prepared.session.answers_max();
            let Wire::Ring(ring) = &mut prepared.socket else { return };
            if served == 0 {
                ring.begin();
            }
            if served >= DATAGRAMS_PER_PASS_MAX {
                ring.again();
                break;
            }
            if !ring.fetch(&mut self.fetched) {
                break;
            }
            if let Some(out) = out.filter(|_| self.outboxes[self.filling].room() < answers_max) {
                self.set_aside(out);
            }
            self.serve_datagram(slot, None);
            if let Some(out) = out {
                self.set_aside(out);
            }
            served += 1;
        }
        self.schedule_both(slot);
    }

    fn schedule_both(&mut self, slot: u32) {
        self.schedule(slot);
        // The other leg may have been told of a pause, which it has to fill.
        if let Some(Slot::Live(prepared)) = self.slots.get(slot as usize)
            && let Some(other) = prepared.session.bridge().and_then(Bridge::slot)
        {
            self.schedule(other);
        }
    }

    /// The `n`th of the batch, or the one fetched from a ring. Gives when the kernel, or whoever put it in the ring, received it.
    fn serve_datagram(&mut self, slot: u32, n: Option<usize>) -> Option<Tick> {
        let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) else { return None };
        let (from, received, octets) = match n {
            Some(n) => {
                let (from, stamp, octets) = self.batch.datagram_mut(n)?;
                (from, self.clock.received(stamp), octets)
            }
            None => (RING_PEER, self.fetched.received, self.fetched.octets_mut()),
        };
        let mut pass = Pass {
            now: monotonic(),
            marks: &self.marks,
            reports: &mut self.reports,
            outbox: &mut self.outboxes[self.filling],
            wake_speech: &mut self.wake_speech,
            complexity: self.headroom.complexity(),
        };
        let (session, handed) = (&mut prepared.session, &mut pass);
        let outcome = guarded(|| session.handle_datagram(handed, from, received, octets));
        match outcome {
            Ok(Heard::Readable) => self.marks.route_ingress.record(monotonic().since(received)),
            Ok(Heard::Taken) => {}
            Ok(Heard::Aside) => self.wake_aside = true,
            Ok(Heard::Onward(onward)) => {
                if pass_on(&mut self.slots, &mut pass, slot, &onward).is_err() {
                    self.close(slot, CloseCause::Panicked);
                }
            }
            Err(_) => self.close(slot, CloseCause::Panicked),
        }
        Some(received)
    }

    /// Reads a call's RTCP socket: one batch a pass is more than a peer ever needs.
    fn serve_control(&mut self, slot: u32) {
        let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) else { return };
        let Some(socket) = &prepared.rtcp_socket else { return };
        for n in 0..self.batch.receive(socket) {
            let Some((from, stamp, octets)) = self.batch.datagram_mut(n) else { continue };
            let received = self.clock.received(stamp);
            let mut pass = Pass {
                now: monotonic(),
                marks: &self.marks,
                reports: &mut self.reports,
                outbox: &mut self.outboxes[self.filling],
                wake_speech: &mut self.wake_speech,
                complexity: self.headroom.complexity(),
            };
            let session = &mut prepared.session;
            if guarded(|| session.handle_control(&mut pass, from, received, octets)).is_err() {
                self.close(slot, CloseCause::Panicked);
                return;
            }
        }
        self.schedule(slot);
    }

    /// Tells both legs of a bridge where the other one is, once both are here.
    fn join(&mut self, slot: u32) {
        let Some(Slot::Live(prepared)) = self.slots.get(slot as usize) else { return };
        let (call, Some(partner)) = (prepared.call(), prepared.partner()) else { return };
        let Some(other) = self.calls.iter().position(|c| *c == Some(partner)) else { return };
        let places = self.slots.get_disjoint_mut([slot as usize, other]);
        if let Ok([Slot::Live(one), Slot::Live(two)]) = places
            && two.partner() == Some(call)
        {
            one.session.set_partner_slot(Some(other as u32));
            two.session.set_partner_slot(Some(slot));
        }
    }

    /// A leg of a bridge goes: the other one has nobody.
    fn part(&mut self, call: CallId, partner: Option<u32>) {
        if let Some(Slot::Live(other)) = partner.and_then(|slot| self.slots.get_mut(slot as usize))
            && other.partner() == Some(call)
        {
            other.session.set_partner_slot(None);
        }
    }

    /// Runs one piece of a call's chain, sends what it put in the outbox, sets its next due time.
    fn chain(&mut self, slot: u32, work: impl FnOnce(&mut Session, &mut Pass<'_>)) {
        let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) else { return };
        let mut pass = Pass {
            now: monotonic(),
            marks: &self.marks,
            reports: &mut self.reports,
            outbox: &mut self.outboxes[self.filling],
            wake_speech: &mut self.wake_speech,
            complexity: self.headroom.complexity(),
        };
        let session = &mut prepared.session;
        if guarded(|| work(session, &mut pass)).is_err() {
            self.close(slot, CloseCause::Panicked);
            return;
        }
        self.flush(slot);
        self.schedule(slot);
    }

    /// Lets what a call has to send wait until the pass is over: sends in a row, between no other system calls, cost less,
    /// and a receiver on this machine is woken once for several.
    fn set_aside(&mut self, slot: u32) {
        if self.outboxes[self.filling].is_idle() {
            return;
        }
        self.aside[self.filling] = slot;
        self.filling += 1;
        if self.filling == OUTBOXES_ASIDE_MAX {
            self.send_aside();
        }
    }

    fn send_aside(&mut self) {
        for n in 0..self.filling {
            self.send(n, self.aside[n]);
        }
        self.filling = 0;
    }

    /// Hands what a call has to send to the network at once.
    fn flush(&mut self, slot: u32) {
        self.send(self.filling, slot);
    }

    /// Hands an outbox to the network and tells the chain.
    fn send(&mut self, n: usize, slot: u32) {
        if let Some((to, packet)) = self.outboxes[n].take_control()
            && let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize)
        {
            let muxed = prepared.session.is_control_muxed();
            match prepared.rtcp_socket.as_ref().filter(|_| !muxed) {
                Some(socket) => socket::send(socket, to, std::slice::from_ref(packet)),
                None => prepared.socket.send(to, std::slice::from_ref(packet)),
            };
        }
        if self.outboxes[n].is_empty() {
            return;
        }
        if let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) {
            prepared.session.handle_sending(&mut self.outboxes[n], &self.marks);
            let taken = match prepared.session.destination() {
                Some(to) => prepared.socket.send(to, self.outboxes[n].packets()),
                None => 0,
            };
            let at = monotonic();
            let mut pass = Pass {
                now: at,
                marks: &self.marks,
                reports: &mut self.reports,
                outbox: &mut self.outboxes[n],
                wake_speech: &mut self.wake_speech,
                complexity: self.headroom.complexity(),
            };
            let session = &mut prepared.session;
            if guarded(|| session.handle_sent(&mut pass, at, taken)).is_err() {
                self.close(slot, CloseCause::Panicked);
            }
        }
        self.outboxes[n].clear();
    }

    fn schedule(&mut self, slot: u32) {
        if let Some(Slot::Live(prepared)) = self.slots.get(slot as usize) {
            self.enter(slot, prepared.session.poll_timeout());
        }
    }

    /// Sees to it that the slot is served by `due`.
    fn enter(&mut self, slot: u32, due: Tick) {
        if due < self.entered[slot as usize] {
            self.entered[slot as usize] = due;
            self.wheel.set(slot, due);
        }
    }

    // --- orders -----------------------------------------------------------------------------------------------------

    fn carry_out_orders(&mut self) {
        for _ in 0..COMMANDS_PER_PASS_MAX {
            let Some(order) = self.orders.try_pop() else { return };
            self.carry_out(order);
        }
        // More are waiting: come back at once after this pass.
        self.order_wake.signal();
    }

    fn carry_out(&mut self, order: MediaCommand) {
        let order = match order {
            MediaCommand::Open(prepared) => return self.open(prepared),
            other => other,
        };
        let call = order.call();
        let Some(slot) = self.calls.iter().position(|c| *c == Some(call)) else { return self.give_back(order) };
        let slot = slot as u32;
        match order {
            MediaCommand::Open(_) => {}
            MediaCommand::SetRemote { remote, rtcp_remote, formats, coders, secure, .. } => {
                self.chain(slot, |session, pass| {
                    // Before the address: nothing goes there under the old keys.
                    session.handle_keys(pass, secure);
                    session.handle_remote(pass, remote, rtcp_remote, formats, coders);
                });
            }
            MediaCommand::Secure { remote, secure, .. } => {
                self.chain(slot, |session, pass| {
                    session.handle_keys(pass, secure);
                    session.handle_path(remote);
                });
            }
            MediaCommand::Hold { held, .. } => self.chain(slot, |session, pass| session.handle_hold(pass.now, held)),
            MediaCommand::FlushPlayout { generation, .. } => {
                self.chain(slot, |session, pass| session.handle_flush(pass, generation));
                if let Some(Slot::Live(prepared)) = self.slots.get_mut(slot as usize) {
                    prepared.socket.flush();
                }
            }
            MediaCommand::Duck { ducked, .. } => self.chain(slot, |session, _| session.handle_duck(ducked)),
            MediaCommand::SendDigits { digits, .. } => {
                self.chain(slot, |session, pass| session.handle_digits(pass.now, digits))
            }
            MediaCommand::Close { .. } => self.close(slot, CloseCause::Asked),
        }
    }

    fn open(&mut self, mut prepared: Box<PreparedSession>) {
        let call = prepared.call();
        let Some(slot) = self.vacant.pop() else { return self.refuse(call, prepared) };
        let control = prepared.rtcp_socket.as_ref().map(AsRawFd::as_raw_fd);
        if self.poller.add(prepared.socket.as_raw_fd(), u64::from(slot)).is_err()
            || control.is_some_and(|fd| self.poller.add(fd, u64::from(slot) | CONTROL).is_err())
        {
            self.poller.remove(prepared.socket.as_raw_fd());
            self.vacant.push(slot);
            return self.refuse(call, prepared);
        }
        let now = monotonic();
        // Whole milliseconds, so that calls due together are served in one wake-up, and not all in the same one.
        let first_ms = now.0 / NANOS_PER_MS + 1;
        let wait = (u64::from(slot) + SPREAD_MS - first_ms % SPREAD_MS) % SPREAD_MS;
        prepared.session.handle_opened(now, Tick((first_ms + wait) * NANOS_PER_MS));
        self.enter(slot, prepared.session.poll_timeout());
        self.slots[slot as usize] = Slot::Live(prepared);
        self.calls[slot as usize] = Some(call);
        self.shared.calls.fetch_add(1, Relaxed);
        self.join(slot);
        if self.reports.deliver(MediaEvent::Opened { call }).is_err() {
            self.marks.media_events_dropped.count();
        }
    }

    /// An order for a call that has gone: what it holds on the heap is freed by control, not here.
    #[expect(clippy::disallowed_methods, reason = "leaking beats freeing on the packet path; see `refuse`")]
    fn give_back(&mut self, order: MediaCommand) {
        let (call, coders, secure) = match order {
            MediaCommand::SetRemote { call, coders, secure, .. } => (call, coders, secure),
            MediaCommand::Secure { call, secure, .. } => (call, None, secure),
            _ => return,
        };
        let coders = coders.map(|coders| MediaEvent::Retired { call, coders });
        let keys = secure.map(|secure| MediaEvent::Rekeyed { call, secure });
        for event in [coders, keys].into_iter().flatten() {
            if let Err(event) = self.reports.deliver(event) {
                std::mem::forget(event);
                self.marks.media_events_dropped.count();
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "leaking beats freeing on the packet path; see below")]
    fn refuse(&mut self, call: CallId, session: Box<PreparedSession>) {
        if let Err(event) = self.reports.deliver(MediaEvent::Refused { call, session }) {
            // Neither a slot nor room to say so: control has stopped reading. Forgetting the session leaks it, which is
            // the least harm left (freeing it here could stall the other calls); the counter shows it.
            std::mem::forget(event);
            self.marks.media_events_dropped.count();
        }
    }

    fn close(&mut self, slot: u32, cause: CloseCause) {
        if cause != CloseCause::Panicked {
            self.chain(slot, |session, pass| session.handle_closing(pass));
        }
        let place = &mut self.slots[slot as usize];
        match std::mem::replace(place, Slot::Vacant) {
            Slot::Live(prepared) => {
                self.poller.remove(prepared.socket.as_raw_fd());
                prepared.rtcp_socket.iter().for_each(|socket| self.poller.remove(socket.as_raw_fd()));
                self.wheel.remove(slot);
                self.entered[slot as usize] = NEVER;
                self.calls[slot as usize] = None;
                self.shared.calls.fetch_sub(1, Relaxed);
                if cause == CloseCause::Panicked {
                    self.outboxes[self.filling].clear();
                    self.marks.media_panics.count();
                }
                let (call, partner) = (prepared.call(), prepared.session.bridge().and_then(Bridge::slot));
                *place = Slot::Leaving(prepared, cause);
                self.part(call, partner);
                self.leave(slot);
            }
            other => *place = other,
        }
    }

    /// Reports an ended call and frees its slot; tries again later when the report finds no room.
    fn leave(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        match std::mem::replace(place, Slot::Vacant) {
            Slot::Leaving(session, cause) => {
                let (call, stats) = (session.call(), session.session.stats());
                match self.reports.deliver(MediaEvent::Closed { call, cause, session, stats }) {
                    Ok(()) => self.vacant.push(slot),
                    Err(MediaEvent::Closed { session, .. }) => {
                        *place = Slot::Leaving(session, cause);
                        self.enter(slot, monotonic() + Duration::from_millis(20));
                    }
                    Err(_) => {}
                }
            }
            other => *place = other,
        }
    }
}

/// A panic in one call's chain ends that call only.
fn guarded<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
}

/// Hands what a leg of a bridge accepted to the other leg. Error: it panicked.
fn pass_on(slots: &mut [Slot], pass: &mut Pass<'_>, slot: u32, onward: &Onward<'_>) -> thread::Result<()> {
    let Some(Slot::Live(from)) = slots.get_mut(slot as usize) else { return Ok(()) };
    let Some(other) = from.session.bridge().and_then(Bridge::slot) else {
        from.session.handle_nobody(pass);
        return Ok(());
    };
    let Ok([Slot::Live(from), Slot::Live(to)]) = slots.get_disjoint_mut([slot as usize, other as usize]) else {
        return Ok(());
    };
    guarded(|| to.session.handle_onward(pass, &mut from.session, onward))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame;
    use crate::media::plan::{Role, SessionPlan, prepare};
    use crate::rtp::{Format, Formats};
    use std::net::UdpSocket;

    fn session(call: u64) -> Box<PreparedSession> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let plan = SessionPlan::new(CallId(call), socket, Formats::of(Format::PCMU), Role::Speech);
        prepare(plan).unwrap().0
    }

    #[test]
    fn an_ended_call_waits_for_room_to_report_it() {
        let (_orders, orders) = frame::ring(4, || MediaCommand::Close { call: CallId(0) });
        let (reports, mut events) = frame::ring(2, || MediaEvent::Opened { call: CallId(0) });
        let mut worker = Worker::new(Parts {
            orders,
            order_wake: Wake::new().unwrap(),
            speech_wake: Wake::new().unwrap(),
            event_wake: Wake::new().unwrap(),
            reports: Reports::new(reports),
            marks: Arc::new(Marks::new()),
            shared: Arc::new(Shared::default()),
            calls_max: 2,
        })
        .unwrap();
        worker.carry_out(MediaCommand::Open(session(1)));
        worker.carry_out(MediaCommand::Open(session(2)));
        worker.carry_out(MediaCommand::Close { call: CallId(1) });
        assert_eq!((worker.shared.calls.load(Relaxed), worker.vacant.len()), (1, 0));
        let mut drain = || std::iter::from_fn(|| events.try_pop()).collect::<Vec<_>>();
        assert!(matches!(drain()[..], [MediaEvent::Opened { .. }, MediaEvent::Opened { .. }]));
        // Tried again at its due time, in its turn among the calls.
        let due = worker.wheel.poll_timeout().unwrap();
        assert!(due <= monotonic() + Duration::from_millis(21));
        let until = monotonic() + Duration::from_secs(2);
        let reported = loop {
            worker.serve_due(monotonic());
            let reported = drain();
            if !reported.is_empty() || monotonic() > until {
                break reported;
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(matches!(reported[..], [MediaEvent::Closed { call: CallId(1), cause: CloseCause::Asked, .. }]));
        assert_eq!(worker.vacant.len(), 1);
    }
}
