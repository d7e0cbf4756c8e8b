//! Numbers of a stream that follows another one (RFC 3550 section 7.1, a translator). Purpose: what we send because of what
//! we received keeps the gaps of its sequence numbers and the distances of its timestamps, under our own SSRC. Media
//! workers; a few words a stream. Invariants: two packets never get the same number unless the sender repeated its own (under
//! SRTP a number is a nonce): one that is older than what its place is known for is refused; a new sender, or a pause of
//! ours, continues after the furthest number so far. Deliberately absent: what is in the packets.

use crate::rtp::Header;
use crate::time::Tick;
use std::time::Duration;

/// After a pause up to this, a new sender continues without a gap in the timestamps; after a longer one they have gone on
/// with the wall clock, as those of a sender that suppressed silence.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Where an outgoing RTP stream stands (RFC 3550 section 5.1: it starts at random).
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

/// A packet of the stream that is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    /// Sequence number with its cycles.
    pub(super) extended: u64,
    pub(super) timestamp: u32,
    /// Hz, of its timestamp.
    pub(super) clock: u32,
}

/// Packets that may come before the first one of all: nothing has their numbers.
const EARLIER_MAX: u64 = 32;
/// Runs of packets not sent that are remembered, for older packets than those.
const RUNS: usize = 4;

/// First packet that was followed, and what we called it.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    first: Followed,
    /// Hz, of ours.
    clock: u32,
    sequence: u16,
    timestamp: u32,
    /// Packets with a lower extended number than this are refused.
    oldest: u64,
    /// What was not sent, oldest first: the numbers after it are lower by its length.
    omitted: [Run; RUNS],
}

/// Packets in a row that were not sent.
#[derive(Clone, Copy, Default, Debug)]
struct Run {
    /// Extended number of the first.
    first: u64,
    /// 0 for none.
    len: u64,
}

impl Anchor {
    /// Our number for a packet; `None` when it had none, or that is not known any more.
    fn number(&self, extended: u64) -> Option<u16> {
        if extended < self.oldest {
            return None;
        }
        let mut shift = 0;
        for run in &self.omitted {
            match extended.checked_sub(run.first) {
                Some(behind) if behind < run.len => return None,
                Some(_) => shift += run.len,
                None => {}
            }
        }
        // Sequence numbers are modulo 2^16; an older packet's distance is negative.
        let distance = extended.wrapping_sub(self.first.extended).wrapping_sub(shift);
        Some(self.sequence.wrapping_add(distance as u16))
    }

    /// The furthest packet so far is not sent.
    fn omit(&mut self, extended: u64) {
        let last = &mut self.omitted[RUNS - 1];
        if last.len > 0 && last.first + last.len == extended {
            last.len += 1;
            return;
        }
        let [forgotten, ..] = self.omitted;
        if forgotten.len > 0 {
            self.oldest = self.oldest.max(forgotten.first + forgotten.len);
            self.sequence = self.sequence.wrapping_sub(forgotten.len as u16);
        }
        self.omitted.rotate_left(1);
        self.omitted[RUNS - 1] = Run { first: extended, len: 1 };
    }
}

/// Numbers of one outgoing stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    /// What comes right after the furthest packet so far.
    next: Identity,
    anchor: Option<Anchor>,
    /// When the furthest packet was made.
    last: Option<Tick>,
    /// The next packet starts a talkspurt.
    starting: bool,
    /// The next packet continues nothing that its sender sent before.
    resuming: bool,
}

impl Numbering {
    pub(super) fn new(start: Identity) -> Self {
        Self { next: start, anchor: None, last: None, starting: true, resuming: true }
    }

    /// Another sender, or a pause: what comes continues after what was sent so far.
    pub(super) fn handle_new_source(&mut self) {
        self.anchor = None;
        (self.starting, self.resuming) = (true, true);
    }

    /// Header of what goes out for a received packet; `None` for one that is so late that its number may be taken.
    /// `units`: its length on our clock of `clock` Hz.
    pub(super) fn follow(
        &mut self,
        now: Tick,
        packet: Followed,
        marker: bool,
        clock: u32,
        units: u32,
    ) -> Option<Header> {
        if self.anchor.is_none_or(|a| a.first.clock != packet.clock || a.clock != clock) {
            self.anchor = None;
            let earlier = if self.last.is_none() { EARLIER_MAX } else { 0 };
            self.catch_up(now, clock);
            let Identity { sequence, timestamp, .. } = self.next;
            let (oldest, omitted) = (packet.extended.saturating_sub(earlier), [Run::default(); RUNS]);
            self.anchor = Some(Anchor { first: packet, clock, sequence, timestamp, oldest, omitted });
        }
        let anchor = self.anchor.as_ref()?;
        let sequence = anchor.number(packet.extended)?;
        // Distances of timestamps are signed, as an older packet may come late.
        let distance = packet.timestamp.wrapping_sub(anchor.first.timestamp) as i32;
        let timestamp = anchor.timestamp.wrapping_add(rescale(distance, packet.clock, clock));
        // Signed distance on the 16-bit circle.
        if (sequence.wrapping_add(1).wrapping_sub(self.next.sequence) as i16) > 0 {
            self.next.sequence = sequence.wrapping_add(1);
            self.next.timestamp = timestamp.wrapping_add(units);
            self.last = Some(now);
        }
        let marker = marker | std::mem::take(&mut self.starting);
        Some(Header { marker, payload_type: 0, sequence, timestamp, ssrc: self.next.ssrc })
    }

    /// The packet of the last `follow`, which came with the number `extended`, is not sent: its number goes to the next one
    /// (unless newer packets have left already: then it is a gap).
    pub(super) fn omit(&mut self, header: &Header, extended: u64) {
        self.starting |= header.marker;
        if header.sequence.wrapping_add(1) == self.next.sequence {
            self.next.sequence = header.sequence;
            if let Some(anchor) = &mut self.anchor {
                anchor.omit(extended);
            }
        }
    }

    /// Header of a frame of our own making, right after the one before. `units`: its length on our clock of `clock` Hz.
    pub(super) fn frame(&mut self, now: Tick, clock: u32, units: u32) -> Header {
        let timestamp = self.timestamp(now, clock);
        self.anchor = None;
        let Identity { ssrc, sequence, .. } = self.next;
        self.next.sequence = sequence.wrapping_add(1);
        self.next.timestamp = timestamp.wrapping_add(units);
        self.last = Some(now);
        Header { marker: std::mem::take(&mut self.starting), payload_type: 0, sequence, timestamp, ssrc }
    }

    /// Our timestamp of what comes next, of its own making.
    pub(super) fn timestamp(&mut self, now: Tick, clock: u32) -> u32 {
        if self.resuming {
            self.catch_up(now, clock);
        }
        self.next.timestamp
    }

    /// Header of a packet beside the audio (an event): it takes a number and no time.
    pub(super) fn beside(&mut self, now: Tick, clock: u32, marker: bool) -> Header {
        let timestamp = self.timestamp(now, clock);
        self.anchor = None;
        let Identity { ssrc, sequence, .. } = self.next;
        self.next.sequence = sequence.wrapping_add(1);
        self.last = Some(now);
        Header { marker, payload_type: 0, sequence, timestamp, ssrc }
    }

    /// The frame of the last `frame` is not sent (DTX): its time passes, its number goes to the next one.
    pub(super) fn omit_frame(&mut self, header: &Header) {
        self.next.sequence = header.sequence;
        self.starting = true;
    }

    /// Leaves out `packets` numbers and `units` of time before the next frame: a loss that the far end is to conceal, or
    /// (no packets) a pause.
    pub(super) fn skip(&mut self, packets: u16, units: u32) {
        self.next.sequence = self.next.sequence.wrapping_add(packets);
        self.next.timestamp = self.next.timestamp.wrapping_add(units);
        self.starting |= packets == 0 && units > 0;
    }

    /// After a long pause timestamps have gone on with the wall clock.
    fn catch_up(&mut self, now: Tick, clock: u32) {
        self.resuming = false;
        let Some(paused) = self.last.map(|last| now.since(last)).filter(|paused| *paused > PAUSE_MAX) else { return };
        // Modulo 2^32, as timestamps are.
        let units = (paused.as_micros() * u128::from(clock) / 1_000_000) as u32;
        self.next.timestamp = self.next.timestamp.wrapping_add(units);
        self.last = Some(now);
    }
}

/// A signed distance on one RTP clock, on another (modulo 2^32).
fn rescale(distance: i32, from: u32, to: u32) -> u32 {
    if from == to {
        return distance as u32;
    }
    (i64::from(distance) * i64::from(to) / i64::from(from.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Tick {
        Tick(n * 1_000_000)
    }

    fn numbering(sequence: u16, timestamp: u32) -> Numbering {
        Numbering::new(Identity { ssrc: 9, sequence, timestamp })
    }

    fn packet(extended: u64, timestamp: u32) -> Followed {
        Followed { extended, timestamp, clock: 8_000 }
    }

    #[test]
    fn gaps_and_distances_are_kept_and_markers_pass() {
        let mut n = numbering(65_530, u32::MAX - 100);
        let mut seen = Vec::new();
        for (k, (ext, ts, marker)) in
            [(70_000, 5, false), (70_001, 165, false), (70_004, 645, false), (70_003, 485, true)]
                .into_iter()
                .enumerate()
        {
            let h = n.follow(ms(20 * k as u64), packet(ext, ts), marker, 8_000, 160).unwrap();
            seen.push((h.sequence, h.timestamp.wrapping_add(101), h.marker, h.ssrc));
        }
        let base = 65_530u16;
        assert_eq!(
            seen,
            [
                (base, 0, true, 9),
                (base + 1, 160, false, 9),
                (base.wrapping_add(4), 640, false, 9),
                (base + 3, 480, true, 9),
            ]
        );
    }

    #[test]
    fn clocks_are_converted() {
        let mut n = numbering(0, 0);
        assert_eq!(n.follow(ms(0), packet(1, 1000), false, 48_000, 960).unwrap().timestamp, 0);
        assert_eq!(n.follow(ms(20), packet(2, 1160), false, 48_000, 960).unwrap().timestamp, 960);
        assert_eq!(n.follow(ms(30), packet(1, 840), false, 48_000, 960).unwrap().timestamp, 960u32.wrapping_neg());
        // Another clock of the sender: continues after the furthest.
        let wide = Followed { extended: 3, timestamp: 77, clock: 16_000 };
        assert_eq!(n.follow(ms(40), wide, false, 48_000, 960).unwrap().timestamp, 1920);
    }

    #[test]
    fn a_new_sender_continues_and_a_long_pause_shows_in_the_timestamps() {
        let mut n = numbering(0, 0);
        n.follow(ms(0), packet(1, 1000), false, 8_000, 160).unwrap();
        n.handle_new_source();
        let h = n.follow(ms(40), packet(90_000, 7), false, 8_000, 160).unwrap();
        assert_eq!((h.sequence, h.timestamp, h.marker), (1, 160, true));
        n.handle_new_source();
        let h = n.follow(ms(1_040), packet(5, 5), false, 8_000, 160).unwrap();
        assert_eq!((h.sequence, h.timestamp), (2, 320 + 8_000));
        // The same for frames of our own making.
        n.handle_new_source();
        let h = n.frame(ms(2_040), 8_000, 160);
        assert_eq!((h.sequence, h.timestamp, h.marker), (3, 480 + 16_000, true));
    }

    #[test]
    fn what_is_not_sent_leaves_no_gap_and_what_is_lost_does() {
        let mut n = numbering(10, 0);
        n.follow(ms(0), packet(1, 0), false, 8_000, 160).unwrap();
        let h = n.follow(ms(20), packet(2, 160), true, 8_000, 160).unwrap();
        n.omit(&h, 2);
        let h = n.follow(ms(40), packet(3, 320), false, 8_000, 160).unwrap();
        assert_eq!((h.sequence, h.timestamp, h.marker), (11, 320, true));
        let h = n.frame(ms(60), 8_000, 160);
        assert_eq!((h.sequence, h.timestamp), (12, 480));
        n.omit_frame(&h);
        let h = n.frame(ms(80), 8_000, 160);
        assert_eq!((h.sequence, h.timestamp, h.marker), (12, 640, true));
        n.skip(2, 320);
        let h = n.frame(ms(140), 8_000, 160);
        assert_eq!((h.sequence, h.timestamp, h.marker), (15, 1120, false));
    }

    #[test]
    fn a_packet_older_than_one_that_was_not_sent_keeps_its_number() {
        let mut n = numbering(10, 0);
        let follow = |n: &mut Numbering, e: u64| n.follow(ms(e), packet(e, 0), false, 8_000, 160);
        assert_eq!(follow(&mut n, 1).unwrap().sequence, 10);
        assert_eq!(follow(&mut n, 3).unwrap().sequence, 12);
        let h = follow(&mut n, 4).unwrap();
        n.omit(&h, 4);
        assert_eq!(follow(&mut n, 2).unwrap().sequence, 11);
        assert_eq!(follow(&mut n, 5).unwrap().sequence, 13);
        assert!(follow(&mut n, 4).is_none(), "its number is another one's");
        // After a pause the numbers of what came before it are not known any more.
        n.handle_new_source();
        assert_eq!(follow(&mut n, 20).unwrap().sequence, 14);
        assert!(follow(&mut n, 19).is_none());
    }

    proptest! {
        /// Following any order of packets, some of which are not sent, with pauses and frames of our own between them:
        /// different packets that are sent never have the same number.
        #[test]
        fn numbers_are_unique(steps in proptest::collection::vec((0u64..60, 0u8..8), 1..300)) {
            let mut n = numbering(60_000, 1);
            let mut seen = std::collections::HashMap::new();
            let (mut own, mut base) = (0, 100_000);
            for (k, (e, fate)) in steps.into_iter().enumerate() {
                let (now, e) = (ms(k as u64), base + e);
                base += u64::from(k % 3 == 0) * 5;
                if fate == 0 {
                    n.handle_new_source();
                }
                if fate == 1 {
                    own += 1;
                    let h = n.frame(now, 8_000, 160);
                    prop_assert!(seen.insert(h.sequence, own).is_none());
                }
                let Some(h) = n.follow(now, packet(e, (e * 160) as u32), false, 8_000, 160) else { continue };
                if (2..4).contains(&fate) && !seen.contains_key(&h.sequence) {
                    n.omit(&h, e);
                    continue;
                }
                let before = seen.insert(h.sequence, e);
                prop_assert!(before.is_none_or(|b| b == e), "{e} is {}, as {before:?}", h.sequence);
            }
        }
    }
}
