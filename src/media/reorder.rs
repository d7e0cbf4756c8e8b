//! Packets that wait behind a gap, with their payloads. Purpose: storage for `rtp::sequence`, so that a packet in order is
//! never copied and a waiting one is copied once. Media workers; inline, a few kilobytes a call. Invariant: a place is
//! taken exactly as long as its packet waits. Deliberately absent: what becomes of the packets (`inbound`).

use crate::limits::RTP_PAYLOAD_MAX;
use crate::rtp::sequence::{Admission, Released, Sequencer, WINDOW};
use crate::time::Tick;

/// Payloads that can wait: as many as the sequencer holds.
const PLACES: usize = WINDOW + 1;

/// What a packet's audio is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Audio {
    /// Place in `Formats::receive`.
    pub(super) place: u8,
    /// Length, samples at the decoder's rate (8 kHz but on a bridge); 0 for a packet without audio.
    pub(super) samples: u16,
    /// Hz, of its timestamp.
    pub(super) clock: u32,
}

impl Audio {
    /// A packet that only takes up a sequence number.
    pub(super) const NONE: Self = Self { place: 0, samples: 0, clock: 8_000 };
}

/// One packet, as the session hands it in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) received: Tick,
    pub(super) audio: Audio,
    /// RTP payload; without meaning when there is no audio.
    pub(super) octets: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Held {
    sequence: u16,
    timestamp: u32,
    received: Tick,
    audio: Audio,
    /// Place of the payload.
    place: u8,
    len: u16,
}

/// Reorder window with room for payloads.
pub(super) struct Reorder {
    sequencer: Sequencer<Held>,
    payloads: [[u8; RTP_PAYLOAD_MAX]; PLACES],
    /// One bit for each place that is taken.
    taken: u8,
}

impl Reorder {
    pub(super) fn new() -> Self {
        Self { sequencer: Sequencer::default(), payloads: [[0; RTP_PAYLOAD_MAX]; PLACES], taken: 0 }
    }

    /// Judges a packet; `Hold` has been done already.
    pub(super) fn admit(&mut self, now: Tick, packet: &Arrived<'_>) -> Admission {
        let admission = self.sequencer.admit(packet.sequence);
        match admission {
            Admission::Hold => self.hold(now, packet),
            Admission::Restart => self.taken = 0,
            Admission::Now | Admission::Late | Admission::Duplicate => {}
        }
        admission
    }

    /// Gives what is due, in order. The payload is valid until the next packet is admitted.
    pub(super) fn poll_released(&mut self, now: Tick) -> Option<Released<Arrived<'_>>> {
        Some(match self.sequencer.poll_released(now)? {
            Released::Lost(packets) => Released::Lost(packets),
            Released::Packet(held) => {
                let Held { sequence, timestamp, received, audio, place, len } = held;
                self.taken &= !(1 << place);
                let octets = self.payloads.get(usize::from(place)).and_then(|p| p.get(..usize::from(len)));
                Released::Packet(Arrived { sequence, timestamp, received, audio, octets: octets.unwrap_or(&[]) })
            }
        })
    }

    /// When `poll_released` must be called again for want of packets.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        self.sequencer.poll_timeout()
    }

    /// Forgets everything: the next packet starts anew.
    pub(super) fn reset(&mut self) {
        self.sequencer.reset();
        self.taken = 0;
    }

    fn hold(&mut self, now: Tick, packet: &Arrived<'_>) {
        // There is always a place as long as the owner polls after each packet (see `Sequencer::hold`).
        let place = self.taken.trailing_ones() as usize;
        let Some(room) = self.payloads.get_mut(place) else { return };
        let len = packet.octets.len().min(room.len());
        room[..len].copy_from_slice(&packet.octets[..len]);
        self.taken |= 1 << place;
        let Arrived { sequence, timestamp, received, audio, .. } = *packet;
        // Both are below the arrays' lengths.
        self.sequencer.hold(
            now,
            sequence,
            Held { sequence, timestamp, received, audio, place: place as u8, len: len as u16 },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(sequence: u16, octets: &[u8]) -> Arrived<'_> {
        Arrived { sequence, timestamp: 0, received: Tick(0), audio: Audio { samples: 1, ..Audio::NONE }, octets }
    }

    proptest! {
        /// Whatever comes, a waiting packet comes out with its own payload, and no place is lost.
        #[test]
        fn payloads_stay_with_their_packets(numbers in proptest::collection::vec((0u16..12, 0u64..30, 0u8..40), 1..400)) {
            let mut reorder = Reorder::new();
            let (mut now, mut base) = (0u64, 0u16);
            for (ahead, wait, odd) in numbers {
                now += wait * 1_000_000;
                if odd == 0 {
                    reorder.reset();
                }
                base = if odd == 1 { base.wrapping_add(20_000) } else { base.wrapping_add(1) };
                let sequence = base.wrapping_add(ahead);
                let octets = [sequence.to_be_bytes(); 80].concat();
                reorder.admit(Tick(now), &packet(sequence, &octets));
                while let Some(released) = reorder.poll_released(Tick(now)) {
                    if let Released::Packet(p) = released {
                        prop_assert_eq!(p.octets, &[p.sequence.to_be_bytes(); 80].concat()[..]);
                    }
                }
                prop_assert!(reorder.taken.count_ones() < PLACES as u32);
                prop_assert_eq!(reorder.taken == 0, reorder.poll_timeout().is_none());
            }
        }
    }
}
