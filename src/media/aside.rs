//! What comes on a call's port and is no media: STUN and DTLS, told from RTP by the first octet (RFC 7983). Purpose: a bounded
//! ring from the worker to the control side, which does the handshakes and answers by a handle of the same socket. Invariants:
//! what finds no room is dropped and counted, so that a flood costs the worker a copy and nothing more; nothing here is looked
//! into beyond its first octet. Deliberately absent: the protocols (`webrtc`).

use crate::limits::{ASIDE_DATAGRAMS_MAX, RTP_DATAGRAM_MAX};
use crate::media::frame;
use crate::os::wake::Wake;
use ringbuf::traits::{Consumer, Producer};
use ringbuf::{HeapCons, HeapProd};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// What a datagram on a shared port is (RFC 7983 section 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// A STUN message (first octet 0 to 3).
    Stun,
    /// A DTLS record (20 to 63).
    Dtls,
    /// RTP or RTCP (128 to 191).
    Media,
    /// ZRTP, TURN channels, and what nobody has assigned.
    Other,
}

impl Protocol {
    /// Of a datagram.
    #[must_use]
    pub const fn of(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0..=3) => Self::Stun,
            Some(20..=63) => Self::Dtls,
            Some(128..=191) => Self::Media,
            _ => Self::Other,
        }
    }
}

/// One datagram and where it came from.
#[derive(Clone, Debug)]
pub struct AsideDatagram {
    /// Its sender, as the network says.
    pub from: SocketAddr,
    len: u16,
    octets: [u8; RTP_DATAGRAM_MAX],
}

impl AsideDatagram {
    const EMPTY: Self = Self {
        from: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        len: 0,
        octets: [0; RTP_DATAGRAM_MAX],
    };

    /// What was in it.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len).min(RTP_DATAGRAM_MAX)]
    }
}

/// The worker's end.
pub struct AsideProducer(HeapProd<AsideDatagram>);

/// The control side's end, and the bell that rings when something came.
pub struct AsideConsumer {
    ring: HeapCons<AsideDatagram>,
    /// Readable when datagrams wait.
    pub wake: Wake,
}

impl std::fmt::Debug for AsideConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsideConsumer")
    }
}

impl std::fmt::Debug for AsideProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsideProducer")
    }
}

/// Both ends, and the worker's handle of the bell. Allocates; control threads. Error: no descriptor left.
pub fn aside() -> io::Result<(Aside, AsideConsumer)> {
    let wake = Wake::new()?;
    let (producer, ring) = frame::ring(ASIDE_DATAGRAMS_MAX, || AsideDatagram::EMPTY);
    Ok((Aside { producer: AsideProducer(producer), wake: wake.try_clone()? }, AsideConsumer { ring, wake }))
}

/// What a session is prepared with.
#[derive(Debug)]
pub struct Aside {
    pub(in crate::media) producer: AsideProducer,
    pub(in crate::media) wake: Wake,
}

impl AsideProducer {
    /// `false`: there was no room, or it is too long for one.
    pub(in crate::media) fn push(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let (true, Ok(len)) = (datagram.len() <= RTP_DATAGRAM_MAX, u16::try_from(datagram.len())) else { return false };
        let mut aside = AsideDatagram { from, len, ..AsideDatagram::EMPTY };
        aside.octets[..datagram.len()].copy_from_slice(datagram);
        self.0.try_push(aside).is_ok()
    }
}

impl AsideConsumer {
    /// Clears the bell and gives what waits, the oldest first, yet no more than the ring holds: who sends without end gets his
    /// turn and not the thread. `true`: more may wait; the bell has been rung for it.
    pub fn take_turn(&mut self, mut each: impl FnMut(&AsideDatagram)) -> bool {
        self.wake.clear();
        for _ in 0..ASIDE_DATAGRAMS_MAX {
            let Some(datagram) = self.ring.try_pop() else { return false };
            each(&datagram);
        }
        self.wake.signal();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octet_tells() {
        for (octet, protocol) in [
            (0, Protocol::Stun),
            (3, Protocol::Stun),
            (4, Protocol::Other),
            (19, Protocol::Other),
            (20, Protocol::Dtls),
            (63, Protocol::Dtls),
            (64, Protocol::Other),
            (127, Protocol::Other),
            (128, Protocol::Media),
            (191, Protocol::Media),
            (192, Protocol::Other),
        ] {
            assert_eq!(Protocol::of(&[octet, 0]), protocol, "{octet}");
        }
        assert_eq!(Protocol::of(&[]), Protocol::Other);
    }

    #[test]
    fn the_ring_is_bounded_and_in_order() {
        let (mut worker, mut control) = aside().unwrap();
        let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let taken = (0..ASIDE_DATAGRAMS_MAX + 5).filter(|n| worker.producer.push(from, &[*n as u8; 3])).count();
        assert_eq!(taken, ASIDE_DATAGRAMS_MAX);
        assert!(!worker.producer.push(from, &[0; RTP_DATAGRAM_MAX + 1]));
        let mut n = 0;
        control.take_turn(|datagram| {
            assert_eq!((datagram.from, datagram.octets()), (from, &[n; 3][..]));
            n += 1;
        });
        assert_eq!(usize::from(n), ASIDE_DATAGRAMS_MAX);
        assert!(worker.producer.push(from, &[7; RTP_DATAGRAM_MAX]));
        let mut len = 0;
        assert!(!control.take_turn(|datagram| len = datagram.octets().len()));
        assert_eq!(len, RTP_DATAGRAM_MAX);
    }

    #[test]
    fn a_turn_ends_although_more_comes_all_the_time() {
        let (mut worker, mut control) = aside().unwrap();
        let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        assert!(worker.producer.push(from, &[1]));
        let mut taken = 0;
        let more = control.take_turn(|_| {
            taken += 1;
            assert!(worker.producer.push(from, &[1]));
        });
        assert!(more && control.wake.clear(), "the rest is not forgotten");
        assert_eq!(taken, ASIDE_DATAGRAMS_MAX);
        assert!(!control.take_turn(|_| {}) && !control.wake.clear());
    }
}
