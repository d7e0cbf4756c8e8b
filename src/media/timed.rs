//! A socket that says when each datagram arrived. Purpose: measuring instruments (`callwright dial`) get the kernel's
//! receive stamps by the same system calls as the workers, without `unsafe` of their own. Owner: one thread.
//! Invariant: stamps are on `CLOCK_MONOTONIC`. Deliberately absent: RTP, schedules.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use super::clock::StampClock;
use super::socket::{ReceiveBatch, set_up};
use crate::time::Tick;

/// A bound UDP socket for media: DSCP EF, kernel receive stamps, never blocks.
#[expect(missing_debug_implementations, reason = "buffers of the kernel's structures")]
pub struct TimedSocket {
    socket: UdpSocket,
    batch: ReceiveBatch,
    clock: StampClock,
}

impl TimedSocket {
    /// Takes a bound socket over.
    ///
    /// # Errors
    /// What the kernel says about the socket options.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        set_up(&socket)?;
        Ok(Self { socket, batch: ReceiveBatch::new(), clock: StampClock::new() })
    }

    /// Hands over everything that has arrived: kernel receive time, source, octets.
    pub fn receive(&mut self, sink: &mut dyn FnMut(Tick, SocketAddr, &[u8])) {
        self.clock.refresh();
        loop {
            let count = self.batch.receive(&self.socket);
            if count == 0 {
                return;
            }
            for datagram in (0..count).filter_map(|n| self.batch.datagram(n)) {
                sink(self.clock.received(datagram.stamp), datagram.from, datagram.octets);
            }
        }
    }

    /// Sends one datagram; false when the network did not take it.
    pub fn send(&self, to: SocketAddr, octets: &[u8]) -> bool {
        self.socket.send_to(octets, to).is_ok_and(|n| n == octets.len())
    }
}

impl AsRawFd for TimedSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::os::clock;

    #[test]
    fn a_datagram_comes_with_the_time_of_its_arrival() {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (a, b) = (bind(), bind());
        let (to, from) = (b.local_addr().unwrap(), a.local_addr().unwrap());
        let (a, mut b) = (TimedSocket::new(a).unwrap(), TimedSocket::new(b).unwrap());
        let before = clock::monotonic();
        assert!(a.send(to, b"one") && a.send(to, b"two"));
        let after = clock::monotonic();
        clock::sleep_until(after + Duration::from_millis(20));
        let mut seen = Vec::new();
        b.receive(&mut |at, source, octets| seen.push((at, source, octets.to_vec())));
        assert_eq!(
            seen.iter().map(|(_, s, o)| (*s, &o[..])).collect::<Vec<_>>(),
            [(from, &b"one"[..]), (from, b"two")]
        );
        for (at, ..) in seen {
            let slack = Duration::from_millis(1);
            assert!(at + slack >= before && at <= after + slack, "{before:?} {at:?} {after:?}");
        }
    }
}
