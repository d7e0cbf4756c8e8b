//! What a call's packets come and go by: a UDP socket, or a pair of lock-free rings to a task that has them from elsewhere (a
//! WebSocket). Purpose: one chain for both. The worker's side runs on media workers, the other side ([`RingEnds`]) on a control
//! task. Invariants: packets in either ring are those of RTP and own no heap memory; a ring that is full loses what comes, as a
//! socket would; each side wakes the other by an eventfd, so that the worker waits for both in one place; what was in the way
//! out when the worker dropped its frames ([`RingWire::flush`]) is told from what came later by its epoch. Deliberately absent:
//! what the packets are carried in.

use crate::limits::{WIRE_PACKET_MAX, WIRE_RING_PACKETS};
use crate::media::frame;
use crate::media::pass::OutPacket;
use crate::media::socket;
use crate::os::wake::Wake;
use crate::time::Tick;
use ringbuf::traits::{Consumer, Producer};
use ringbuf::{HeapCons, HeapProd};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Where packets of a ring come from and go to, for whoever asks by address: of documentation (RFC 5737), so that none is ever
/// really sent there.
pub const RING_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);

/// One packet in a ring.
#[derive(Clone, Copy)]
pub(super) struct RingPacket {
    /// Inwards: when it came.
    pub(super) received: Tick,
    /// Outwards: how often frames had been dropped before it.
    epoch: u32,
    len: u16,
    octets: [u8; WIRE_PACKET_MAX],
}

impl RingPacket {
    pub(super) const EMPTY: Self = Self { received: Tick(0), epoch: 0, len: 0, octets: [0; WIRE_PACKET_MAX] };

    fn fill(&mut self, octets: &[u8]) -> bool {
        let Some(place) = self.octets.get_mut(..octets.len()) else { return false };
        place.copy_from_slice(octets);
        // Checked above: 492 at most.
        self.len = octets.len() as u16;
        true
    }

    pub(super) fn octets_mut(&mut self) -> &mut [u8] {
        &mut self.octets[..usize::from(self.len)]
    }
}

/// What both sides look at.
#[derive(Debug, Default)]
pub struct RingShared {
    epoch: AtomicU32,
    /// Microseconds, one added; 0: not known.
    delay: AtomicU64,
}

impl RingShared {
    /// How long it takes until what leaves now has been heard, and that is known here; `None` as long as nobody knows.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.delay.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }
}

/// The worker's side.
#[expect(missing_debug_implementations, reason = "ring ends have no Debug")]
pub struct RingWire {
    incoming: HeapCons<RingPacket>,
    outgoing: HeapProd<RingPacket>,
    /// Signalled when packets have come.
    bell: Wake,
    /// Wakes the other side.
    theirs: Wake,
    shared: Arc<RingShared>,
    epoch: u32,
}

impl RingWire {
    /// What both sides look at.
    #[must_use]
    pub fn shared(&self) -> Arc<RingShared> {
        Arc::clone(&self.shared)
    }

    /// Before packets are fetched, so that none is missed.
    pub(super) fn begin(&self) {
        self.bell.clear();
    }

    /// More are waiting than one pass may take.
    pub(super) fn again(&self) {
        self.bell.signal();
    }

    pub(super) fn fetch(&mut self, packet: &mut RingPacket) -> bool {
        match self.incoming.try_pop() {
            Some(next) => {
                *packet = next;
                true
            }
            None => false,
        }
    }

    /// How many of them found room, counted from the first.
    fn send(&mut self, packets: &[OutPacket]) -> usize {
        let mut taken = 0;
        for out in packets {
            let mut packet = RingPacket { epoch: self.epoch, ..RingPacket::EMPTY };
            if !packet.fill(out.octets()) || self.outgoing.try_push(packet).is_err() {
                break;
            }
            taken += 1;
        }
        if taken > 0 {
            self.theirs.signal();
        }
        taken
    }

    /// What is in the way out is not to be heard any more.
    pub(super) fn flush(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.shared.epoch.store(self.epoch, Ordering::Release);
        self.theirs.signal();
    }
}

/// A packet of the worker's on its way out.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "nothing but audio")]
pub struct RingOut(RingPacket);

impl RingOut {
    /// RTP header and payload.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0.octets[..usize::from(self.0.len)]
    }

    /// How often the worker had dropped its frames before it; compare with [`RingEnds::epoch`].
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.0.epoch
    }
}

/// The other side, for one control task.
pub struct RingEnds {
    incoming: HeapProd<RingPacket>,
    outgoing: HeapCons<RingPacket>,
    worker: Wake,
    shared: Arc<RingShared>,
}

impl std::fmt::Debug for RingEnds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RingEnds")
    }
}

impl RingEnds {
    /// Gives the worker a packet that came at `received`; false when it found no room. [`Self::wake`] follows.
    pub fn push(&mut self, received: Tick, octets: &[u8]) -> bool {
        let mut packet = RingPacket { received, ..RingPacket::EMPTY };
        packet.fill(octets) && self.incoming.try_push(packet).is_ok()
    }

    /// Wakes the worker.
    pub fn wake(&self) {
        self.worker.signal();
    }

    /// The next packet of the worker's.
    pub fn pop(&mut self) -> Option<RingOut> {
        self.outgoing.try_pop().map(RingOut)
    }

    /// How often the worker has dropped its frames: what has a smaller number is not to be heard any more.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.shared.epoch.load(Ordering::Acquire)
    }

    /// Says how long it takes until what leaves now has been heard.
    pub fn set_delay(&self, delay: Option<Duration>) {
        let micros =
            delay.map_or(0, |delay| u64::try_from(delay.as_micros()).unwrap_or(u64::MAX - 1).saturating_add(1));
        self.shared.delay.store(micros, Ordering::Relaxed);
    }
}

/// A pair of rings, and the bell that rings when the worker has sent or dropped something. Control threads; 130 kB. Error: no
/// descriptor is left.
pub fn ring_wire() -> io::Result<(RingWire, RingEnds, Wake)> {
    let (in_producer, in_consumer) = frame::ring(WIRE_RING_PACKETS, || RingPacket::EMPTY);
    let (out_producer, out_consumer) = frame::ring(WIRE_RING_PACKETS, || RingPacket::EMPTY);
    let (bell, theirs) = (Wake::new()?, Wake::new()?);
    let shared = Arc::new(RingShared::default());
    let ends = RingEnds {
        incoming: in_producer,
        outgoing: out_consumer,
        worker: bell.try_clone()?,
        shared: Arc::clone(&shared),
    };
    let ours = theirs.try_clone()?;
    let wire = RingWire { incoming: in_consumer, outgoing: out_producer, bell, theirs, shared, epoch: 0 };
    Ok((wire, ends, ours))
}

/// What a call's packets come and go by.
pub enum Wire {
    /// Bound to the port in our SDP.
    Udp(UdpSocket),
    /// To a task of the control plane.
    Ring(RingWire),
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(socket) => socket.fmt(f),
            Self::Ring(_) => f.write_str("Ring"),
        }
    }
}

impl From<UdpSocket> for Wire {
    fn from(socket: UdpSocket) -> Self {
        Self::Udp(socket)
    }
}

impl From<RingWire> for Wire {
    fn from(ring: RingWire) -> Self {
        Self::Ring(ring)
    }
}

impl Wire {
    /// Our own address, as bound; a ring has [`RING_PEER`] on both ends.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Ring(_) => Ok(RING_PEER),
        }
    }

    pub(super) fn set_up(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket::set_up(socket),
            Self::Ring(_) => Ok(()),
        }
    }

    /// How many of the packets were taken, counted from the first.
    pub(super) fn send(&mut self, to: SocketAddr, packets: &[OutPacket]) -> usize {
        match self {
            Self::Udp(socket) => socket::send(socket, to, packets),
            Self::Ring(ring) => ring.send(packets),
        }
    }

    /// Frames were dropped: those that have left already are not to be heard, where that can be.
    pub(super) fn flush(&mut self) {
        if let Self::Ring(ring) = self {
            ring.flush();
        }
    }
}

impl AsRawFd for Wire {
    /// Readable when packets have come.
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Udp(socket) => socket.as_raw_fd(),
            Self::Ring(ring) => ring.bell.as_raw_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_go_both_ways_and_what_finds_no_room_is_lost() {
        let (mut wire, mut ends, bell) = ring_wire().unwrap();
        assert!(ends.push(Tick(7), b"hello") && !ends.push(Tick(7), &[0; WIRE_PACKET_MAX + 1]));
        ends.wake();
        assert!(wire.bell.wait(0));
        wire.begin();
        let mut packet = RingPacket::EMPTY;
        assert!(wire.fetch(&mut packet) && packet.octets_mut() == b"hello" && packet.received == Tick(7));
        assert!(!wire.fetch(&mut packet) && !wire.bell.wait(0));
        let taken = (0..1000).filter(|_| ends.push(Tick(0), b"x")).count();
        assert_eq!(taken, WIRE_RING_PACKETS);
        assert!(!bell.wait(0) && ends.pop().is_none());
    }

    #[test]
    fn what_was_on_its_way_when_frames_were_dropped_can_be_told() {
        let (mut wire, mut ends, bell) = ring_wire().unwrap();
        let mut out = crate::media::pass::Outbox::new();
        let push = |wire: &mut RingWire, out: &mut crate::media::pass::Outbox| {
            out.clear();
            out.push(&crate::rtp::Header::default(), Tick(0), |body| {
                body[..160].fill(1);
                160
            });
            wire.send(out.packets())
        };
        assert_eq!(push(&mut wire, &mut out), 1);
        assert!(bell.clear());
        wire.flush();
        assert_eq!(push(&mut wire, &mut out), 1);
        assert!(bell.clear() && ends.epoch() == 1);
        let epochs: Vec<_> =
            std::iter::from_fn(|| ends.pop()).map(|packet| (packet.epoch(), packet.octets().len())).collect();
        assert_eq!(epochs, [(0, 172), (1, 172)]);
        assert_eq!(wire.shared().delay(), None);
        ends.set_delay(Some(Duration::ZERO));
        assert_eq!(wire.shared().delay(), Some(Duration::ZERO));
    }
}
