//! What a call's chain may touch outside itself during one pass of the loop. Purpose: the chain stays sans-IO; sockets,
//! clocks and wakes stay with the worker. Media workers only. Invariants: everything here is fixed in size; reporting
//! never blocks. Deliberately absent: the loop.

use crate::limits::{DATAGRAM_BATCH, RTP_PAYLOAD_MAX};
use crate::media::event::MediaEvent;
use crate::rtp::header::{HEADER_LEN, Header};
use crate::rtp::srtp::{OVERHEAD_MAX, SrtpContext};
use crate::telemetry::Marks;
use crate::time::Tick;
use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};
use std::net::SocketAddr;

/// Octets of a packet that is not protected yet.
const PLAIN_MAX: usize = HEADER_LEN + RTP_PAYLOAD_MAX;

/// One packet on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutPacket {
    octets: [u8; PLAIN_MAX + OVERHEAD_MAX],
    len: usize,
    /// Octets of its payload, before protection.
    pub(super) payload: usize,
    /// RTP timestamp.
    pub(super) timestamp: u32,
    /// What the latency mark counts from: kernel receive time (echo, bridge) or due time (playout).
    pub(super) origin: Tick,
}

impl OutPacket {
    const EMPTY: Self =
        Self { octets: [0; PLAIN_MAX + OVERHEAD_MAX], len: 0, payload: 0, timestamp: 0, origin: Tick(0) };

    /// The datagram.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// Packets of one call that leave together.
#[derive(Debug)]
pub(super) struct Outbox {
    packets: Box<[OutPacket; DATAGRAM_BATCH]>,
    len: usize,
    /// At most one RTCP packet, and where it goes.
    control: Box<OutPacket>,
    control_to: Option<SocketAddr>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            packets: Box::new([OutPacket::EMPTY; DATAGRAM_BATCH]),
            len: 0,
            control: Box::new(OutPacket::EMPTY),
            control_to: None,
        }
    }

    /// Adds a packet; `write` fills the payload and says its length, 0 for nothing to send. False when none was added (the
    /// box is full, or there was nothing).
    pub(super) fn push(&mut self, header: &Header, origin: Tick, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        let Some(packet) = self.packets.get_mut(self.len) else { return false };
        let Some((head, body)) = packet.octets[..PLAIN_MAX].split_first_chunk_mut::<HEADER_LEN>() else { return false };
        header.write(head);
        let payload = write(body).min(body.len());
        if payload == 0 {
            return false;
        }
        packet.len = HEADER_LEN + payload;
        (packet.payload, packet.timestamp, packet.origin) = (payload, header.timestamp, origin);
        self.len += 1;
        true
    }

    /// Puts an RTCP packet in, protected already if it is to be.
    pub(super) fn push_control(&mut self, to: SocketAddr, packet: &[u8]) {
        if let Some(place) = self.control.octets.get_mut(..packet.len()) {
            place.copy_from_slice(packet);
            self.control.len = packet.len();
            self.control_to = Some(to);
        }
    }

    /// Takes the RTCP packet out.
    pub(super) fn take_control(&mut self) -> Option<(SocketAddr, &OutPacket)> {
        self.control_to.take().map(|to| (to, &*self.control))
    }

    /// Protects all packets in place. Those that cannot be (the key is used up) are taken out; returns how many.
    pub(super) fn seal(&mut self, ours: &mut SrtpContext) -> usize {
        let mut kept = 0;
        for n in 0..self.len {
            let packet = &mut self.packets[n];
            let Ok(len) = ours.protect_rtp(&mut packet.octets, packet.len) else { continue };
            packet.len = len;
            if kept < n {
                self.packets[kept] = self.packets[n];
            }
            kept += 1;
        }
        let lost = self.len - kept;
        self.len = kept;
        lost
    }

    pub(super) fn packets(&self) -> &[OutPacket] {
        &self.packets[..self.len]
    }

    /// Packets that still fit.
    pub(super) fn room(&self) -> usize {
        DATAGRAM_BATCH - self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Neither audio nor RTCP.
    pub(super) fn is_idle(&self) -> bool {
        self.len == 0 && self.control_to.is_none()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.control_to = None;
    }
}

/// The way out for reports.
pub(super) struct Reports {
    ring: HeapProd<MediaEvent>,
    /// Something was reported since the flag was last taken.
    pub(super) any: bool,
}

impl Reports {
    pub(super) fn new(ring: HeapProd<MediaEvent>) -> Self {
        Self { ring, any: false }
    }

    /// Reports something that control can do without: half of the ring is kept for what it cannot. A dropped report
    /// holds no heap memory (those that do go through `deliver`).
    pub(super) fn offer(&mut self, marks: &Marks, event: MediaEvent) {
        if self.ring.occupied_len() * 2 >= self.ring.capacity().get() || self.ring.try_push(event).is_err() {
            marks.media_events_dropped.count();
        } else {
            self.any = true;
        }
    }

    /// Reports something that must arrive; gives it back when there is no room, to be tried again.
    #[expect(clippy::result_large_err, reason = "the event itself is given back; a box would be a heap allocation")]
    pub(super) fn deliver(&mut self, event: MediaEvent) -> Result<(), MediaEvent> {
        self.ring.try_push(event)?;
        self.any = true;
        Ok(())
    }
}

/// One pass, seen from one call's chain.
pub(super) struct Pass<'a> {
    /// When this piece of work began.
    pub(super) now: Tick,
    pub(super) marks: &'a Marks,
    pub(super) reports: &'a mut Reports,
    pub(super) outbox: &'a mut Outbox,
    /// Set when a frame was put in an inbound ring: speech is woken at the end of the pass.
    pub(super) wake_speech: &'a mut bool,
    /// What the core has left for Opus encoders, 0 to 10.
    pub(super) complexity: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CallId;
    use crate::media::frame;
    use ringbuf::traits::Consumer;

    #[test]
    fn half_of_the_ring_is_kept_for_what_must_arrive() {
        let marks = Marks::new();
        let (producer, mut events) = frame::ring(8, || MediaEvent::MediaTimeout { call: CallId(0) });
        let mut reports = Reports::new(producer);
        for _ in 0..10 {
            reports.offer(&marks, MediaEvent::MediaTimeout { call: CallId(1) });
        }
        assert_eq!(marks.media_events_dropped.get(), 6);
        for _ in 0..4 {
            assert!(reports.deliver(MediaEvent::Opened { call: CallId(2) }).is_ok());
        }
        assert!(reports.deliver(MediaEvent::Opened { call: CallId(2) }).is_err());
        assert_eq!(std::iter::from_fn(|| events.try_pop()).count(), 8);
        assert!(reports.any);
    }
}
