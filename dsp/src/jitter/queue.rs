//! Encoded packets in the order of their positions. Invariants: all room is taken in [`Queue::new`]; no two packets at one
//! position; at most [`PACKETS_MAX`]. Deliberately absent: which packets are too old (`buffer` knows what was played).

use super::input::Content;
use crate::codec::comfort_noise::NoiseParameters;

/// Packets at most: 500 ms of 10 ms each, and some that are reordered.
pub const PACKETS_MAX: usize = 64;
/// Octets of one payload at most: 60 ms of 16-bit audio at 16 kHz; the largest Opus packet is 1275.
pub const PAYLOAD_MAX: usize = 1920;

/// What is known of a waiting packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) position: i64,
    /// Samples; 0 for comfort noise.
    pub(super) samples: i64,
    /// Arrival, samples.
    pub(super) arrived: i64,
    pub(super) noise: Option<NoiseParameters>,
    length: usize,
    slot: usize,
}

impl Waiting {
    pub(super) const fn end(&self) -> i64 {
        self.position + self.samples
    }
}

/// Why a packet was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Duplicate,
    TooLong,
    Full,
}

/// The packets.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    octets: Vec<u8>,
    /// By position.
    waiting: Vec<Waiting>,
    free: Vec<usize>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            octets: vec![0; PACKETS_MAX * PAYLOAD_MAX],
            waiting: Vec::with_capacity(PACKETS_MAX),
            free: (0..PACKETS_MAX).collect(),
        }
    }

    pub(super) fn insert(
        &mut self,
        position: i64,
        samples: i64,
        arrived: i64,
        content: Content<'_>,
    ) -> Result<(), Refused> {
        let index = self.waiting.partition_point(|w| w.position < position);
        if self.waiting.get(index).is_some_and(|w| w.position == position) {
            return Err(Refused::Duplicate);
        }
        let (octets, noise): (&[u8], _) = match content {
            Content::Audio(octets) => (octets, None),
            Content::ComfortNoise(noise) => (&[], Some(noise)),
        };
        if octets.len() > PAYLOAD_MAX {
            return Err(Refused::TooLong);
        }
        let slot = self.free.pop().ok_or(Refused::Full)?;
        self.octets[slot * PAYLOAD_MAX..][..octets.len()].copy_from_slice(octets);
        self.waiting.insert(index, Waiting { position, samples, arrived, noise, length: octets.len(), slot });
        Ok(())
    }

    pub(super) fn front(&self) -> Option<Waiting> {
        self.waiting.first().copied()
    }

    /// End of the newest packet.
    pub(super) fn end(&self) -> Option<i64> {
        self.waiting.iter().map(Waiting::end).max()
    }

    /// The payload of a packet that is, or was until just now, the front one.
    pub(super) fn payload(&self, packet: &Waiting) -> &[u8] {
        &self.octets[packet.slot * PAYLOAD_MAX..][..packet.length]
    }

    /// Takes the front packet out; its payload stays readable until the next `insert`.
    pub(super) fn remove_front(&mut self) {
        if !self.waiting.is_empty() {
            self.free.push(self.waiting.remove(0).slot);
        }
    }

    /// Takes all out; returns how many.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.waiting.len();
        self.free.extend(self.waiting.drain(..).map(|w| w.slot));
        count
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_in_order_once() {
        let mut queue = Queue::new();
        for position in [320, 0, 160, 480] {
            let payload = [position as u8; 20];
            queue.insert(position, 160, 7, Content::Audio(&payload)).unwrap();
        }
        assert_eq!(queue.insert(160, 160, 8, Content::Audio(&[9])), Err(Refused::Duplicate));
        assert_eq!(queue.end(), Some(640));
        for position in [0, 160, 320, 480] {
            let front = queue.front().unwrap();
            assert_eq!((front.position, queue.payload(&front)), (position, &[position as u8; 20][..]));
            queue.remove_front();
        }
        assert!(queue.front().is_none());
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let mut queue = Queue::new();
        for round in 0..3 {
            for n in 0..PACKETS_MAX as i64 {
                queue.insert(n + round, 1, 0, Content::Audio(&[1])).unwrap();
            }
            assert_eq!(queue.insert(1000, 1, 0, Content::Audio(&[1])), Err(Refused::Full));
            assert_eq!(queue.clear(), PACKETS_MAX);
        }
        assert_eq!(queue.insert(0, 1, 0, Content::Audio(&[0; PAYLOAD_MAX + 1])), Err(Refused::TooLong));
    }
}
