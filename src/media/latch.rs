//! Which source we listen to: symmetric RTP, made safe. Purpose: follow a phone behind NAT, and nobody else (RTP bleed,
//! RTP injection). Media workers; a few words of state per call. Invariants: the address in the peer's SDP always wins;
//! any other source must send `LATCH_PACKETS` plausible packets in a row with one SSRC before a single sample of it is
//! heard or a packet is sent to it; once locked, a source is left only for the SDP's address, after a new SDP, or after
//! long silence for another port of the same host with the same SSRC. Deliberately absent: SRTP, where authentication
//! decides.

use crate::limits::{LATCH_CANDIDATES_MAX, LATCH_PACKETS, RELATCH_SILENCE};
use crate::time::Tick;
use std::net::SocketAddr;

/// A packet's fate as far as its source decides it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// From the call's source.
    Accepted,
    /// May become the source; not heard yet.
    Probation,
    /// Not the call's source.
    Forged,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u32,
}

/// A candidate's next number may be this far ahead (losses on the way).
const STEP_MAX: u16 = 10;

#[derive(Clone, Copy, Debug)]
struct Locked {
    source: SocketAddr,
    ssrc: u32,
    heard: Tick,
}

/// Source choice of one call.
#[derive(Clone, Debug)]
pub(super) struct Latch {
    /// From the peer's SDP.
    expected: Option<SocketAddr>,
    learn: bool,
    locked: Option<Locked>,
    candidates: [Option<Candidate>; LATCH_CANDIDATES_MAX],
    /// Place that the next candidate takes when all are taken.
    turn: usize,
}

impl Latch {
    /// `learn`: sources other than `expected` may be learnt.
    pub(super) fn new(expected: Option<SocketAddr>, learn: bool) -> Self {
        Self { expected: usable(expected), learn, locked: None, candidates: [None; LATCH_CANDIDATES_MAX], turn: 0 }
    }

    /// A new SDP; true when it names another address, so that learning starts anew.
    pub(super) fn set_expected(&mut self, expected: SocketAddr) -> bool {
        let expected = usable(Some(expected));
        if expected == self.expected {
            return false;
        }
        *self = Self::new(expected, self.learn);
        true
    }

    /// Judges one packet. `plausible`: RTP with an agreed payload type and a fitting length.
    pub(super) fn handle_packet(
        &mut self,
        now: Tick,
        source: SocketAddr,
        ssrc: u32,
        sequence: u16,
        plausible: bool,
    ) -> Verdict {
        if let Some(locked) = &mut self.locked
            && locked.source == source
        {
            locked.heard = now;
            // The SSRC may change later on; what counts for moving is the one heard last.
            locked.ssrc = ssrc;
            return Verdict::Accepted;
        }
        if !plausible {
            return Verdict::Forged;
        }
        if self.expected == Some(source) {
            return self.lock(now, source, ssrc);
        }
        let may_learn = match self.locked {
            None => self.learn,
            Some(l) => {
                self.learn && now.since(l.heard) >= RELATCH_SILENCE && source.ip() == l.source.ip() && ssrc == l.ssrc
            }
        };
        if !may_learn {
            return Verdict::Forged;
        }
        let packets = self.count(source, ssrc, sequence);
        if packets >= LATCH_PACKETS { self.lock(now, source, ssrc) } else { Verdict::Probation }
    }

    /// Where to send.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.locked.map(|l| l.source).or(self.expected)
    }

    fn lock(&mut self, now: Tick, source: SocketAddr, ssrc: u32) -> Verdict {
        self.locked = Some(Locked { source, ssrc, heard: now });
        self.candidates = [None; LATCH_CANDIDATES_MAX];
        Verdict::Accepted
    }

    /// Packets in a row of this candidate, this one included.
    fn count(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> u32 {
        let fresh = Candidate { source, ssrc, sequence, packets: 1 };
        if let Some(known) = self.candidates.iter_mut().flatten().find(|c| c.source == source) {
            let step = sequence.wrapping_sub(known.sequence);
            let packets = if known.ssrc == ssrc && (1..=STEP_MAX).contains(&step) { known.packets + 1 } else { 1 };
            *known = Candidate { packets, ..fresh };
            return packets;
        }
        let place = self.candidates.iter().position(Option::is_none).unwrap_or(self.turn);
        self.turn = (place + 1) % LATCH_CANDIDATES_MAX;
        self.candidates[place] = Some(fresh);
        1
    }
}

/// Old-style hold (`c=0.0.0.0`) and port 0 name nobody.
fn usable(address: Option<SocketAddr>) -> Option<SocketAddr> {
    address.filter(|a| !a.ip().is_unspecified() && a.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn host(last: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(192, 0, 2, last), port).into()
    }

    const T: Tick = Tick(1);

    #[test]
    fn the_announced_address_is_heard_at_once_and_locks() {
        let mut l = Latch::new(Some(host(1, 4000)), true);
        assert_eq!(l.destination(), Some(host(1, 4000)));
        assert_eq!(l.handle_packet(T, host(1, 4000), 7, 100, true), Verdict::Accepted);
        for n in 0..100 {
            assert_eq!(l.handle_packet(T, host(2, 4000), 7, n, true), Verdict::Forged);
            assert_eq!(l.handle_packet(T, host(1, 4002), 7, n, true), Verdict::Forged);
        }
        assert_eq!(l.destination(), Some(host(1, 4000)));
    }

    #[test]
    fn a_phone_behind_nat_is_followed_from_its_fifth_packet() {
        let mut l = Latch::new(Some(host(1, 4000)), true);
        for n in 0..4 {
            assert_eq!(l.handle_packet(T, host(9, 61_000), 7, 65_534u16.wrapping_add(n), true), Verdict::Probation);
            assert_eq!(l.destination(), Some(host(1, 4000)));
        }
        assert_eq!(l.handle_packet(T, host(9, 61_000), 7, 2, true), Verdict::Accepted);
        assert_eq!(l.destination(), Some(host(9, 61_000)));
        // A late race winner cannot keep the announced address out.
        assert_eq!(l.handle_packet(T, host(1, 4000), 8, 1, true), Verdict::Accepted);
        assert_eq!(l.handle_packet(T, host(9, 61_000), 7, 3, true), Verdict::Forged);
    }

    #[test]
    fn spraying_never_latches() {
        let mut l = Latch::new(Some(host(1, 4000)), true);
        for n in 0..1000u16 {
            // Changing SSRC, repeated numbers, wrong payload: none is a stream.
            assert_ne!(l.handle_packet(T, host(9, 1), u32::from(n), n, true), Verdict::Accepted);
            assert_ne!(l.handle_packet(T, host(9, 2), 7, 5, true), Verdict::Accepted);
            assert_ne!(l.handle_packet(T, host(9, 3), 7, n, false), Verdict::Accepted);
            assert_ne!(l.handle_packet(T, host(9, 4), 7, n.wrapping_mul(31), true), Verdict::Accepted);
        }
    }

    #[test]
    fn nobody_is_learnt_where_learning_is_off() {
        let mut l = Latch::new(Some(host(1, 4000)), false);
        for n in 0..20 {
            assert_eq!(l.handle_packet(T, host(1, 4002), 7, n, true), Verdict::Forged);
        }
    }

    #[test]
    fn a_moved_port_is_followed_after_long_silence_only() {
        let mut l = Latch::new(Some(host(1, 4000)), true);
        l.handle_packet(T, host(1, 4000), 7, 0, true);
        let early = T + Duration::from_secs(9);
        for n in 1..10 {
            assert_eq!(l.handle_packet(early, host(1, 4002), 7, n, true), Verdict::Forged);
        }
        let late = T + Duration::from_secs(11);
        for n in 10..14 {
            assert_eq!(l.handle_packet(late, host(2, 4002), 7, n, true), Verdict::Forged, "another host");
            assert_eq!(l.handle_packet(late, host(1, 4006), 8, n, true), Verdict::Forged, "another SSRC");
            assert_eq!(l.handle_packet(late, host(1, 4002), 7, n, true), Verdict::Probation);
        }
        assert_eq!(l.handle_packet(late, host(1, 4002), 7, 14, true), Verdict::Accepted);
    }

    #[test]
    fn a_new_sdp_starts_anew_and_the_same_sdp_does_not() {
        let mut l = Latch::new(Some(host(1, 4000)), true);
        l.handle_packet(T, host(1, 4000), 7, 0, true);
        assert!(!l.set_expected(host(1, 4000)));
        assert!(l.set_expected(host(3, 5000)));
        assert_eq!(l.destination(), Some(host(3, 5000)));
        assert_eq!(l.handle_packet(T, host(3, 5000), 9, 0, true), Verdict::Accepted);
        assert_eq!(l.handle_packet(T, host(1, 4000), 7, 1, true), Verdict::Forged);
    }

    #[test]
    fn addresses_that_name_nobody_are_never_sent_to() {
        assert_eq!(Latch::new(Some((Ipv4Addr::UNSPECIFIED, 4000).into()), true).destination(), None);
        assert_eq!(Latch::new(Some(host(1, 0)), true).destination(), None);
    }

    proptest! {
        /// Whatever is thrown at it: an unannounced source is accepted only after enough packets of its own.
        #[test]
        fn no_source_is_accepted_early(packets in proptest::collection::vec((0u8..6, 0u32..3, 0u16..40, any::<bool>()), 1..200)) {
            let mut l = Latch::new(Some(host(1, 4000)), true);
            let mut seen = [0u32; 6];
            let mut locked = None;
            for (who, ssrc, sequence, plausible) in packets {
                let source = host(10 + who, 4000);
                if plausible {
                    seen[usize::from(who)] += 1;
                }
                if l.handle_packet(T, source, ssrc, sequence, plausible) == Verdict::Accepted {
                    prop_assert!(seen[usize::from(who)] >= LATCH_PACKETS);
                    prop_assert_eq!(*locked.get_or_insert(who), who, "the lock changed hands");
                }
            }
        }
    }
}
