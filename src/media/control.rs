//! RTCP of one call: where it comes from and goes to. Purpose: `rtp::control` says when a report is due and reads the
//! peer's; this gives it a place beside the audio, on its own socket or on the audio's (RFC 5761). Media workers.
//! Invariants: reports go to the address of the SDP, or where the peer's own come from; a stranger's are not read; nothing
//! is sent to a peer that never showed that it is there. Deliberately absent: the octets and their timing (`rtp::control`),
//! ending a call at a BYE (anybody may forge one; signalling ends calls).

use crate::rtp::control::{Control, ControlEvent, ControlSettings};
use crate::rtp::stats::Reception;
use crate::time::Tick;
use std::net::SocketAddr;

/// RTCP of one call.
pub(super) struct CallControl {
    settings: ControlSettings,
    control: Control,
    mux: bool,
    /// From the peer's SDP.
    announced: Option<SocketAddr>,
    /// Where its reports came from, when not from there.
    learnt: Option<SocketAddr>,
}

impl CallControl {
    pub(super) fn new(settings: ControlSettings, mux: bool, announced: Option<SocketAddr>) -> Self {
        Self { settings, control: Control::new(settings, Tick(0)), mux, announced, learnt: None }
    }

    /// The call starts.
    pub(super) fn handle_opened(&mut self, now: Tick) {
        self.control = Control::new(self.settings, now);
    }

    /// RTCP comes and goes with the audio.
    pub(super) fn is_muxed(&self) -> bool {
        self.mux
    }

    /// A new SDP.
    pub(super) fn handle_remote(&mut self, announced: Option<SocketAddr>, mux: bool, clock: u32) {
        if announced != self.announced {
            (self.announced, self.learnt) = (announced, None);
        }
        self.mux = mux;
        self.control.set_clock(clock);
    }

    /// An RTP packet left.
    pub(super) fn handle_sent(&mut self, at: Tick, timestamp: u32, octets: usize) {
        self.control.handle_sent(at, timestamp, octets);
    }

    /// Takes a datagram (no longer encrypted). `audio`: where the peer's audio comes from; `authentic`: only the peer can
    /// have made it. False when it is a stranger's, or no RTCP.
    pub(super) fn handle_datagram(
        &mut self,
        received: Tick,
        from: SocketAddr,
        audio: Option<SocketAddr>,
        authentic: bool,
        datagram: &[u8],
    ) -> bool {
        let known = [self.announced, self.learnt].contains(&Some(from));
        // Behind NAT the port is another one than announced; the host is the one that the audio comes from.
        if !(known || authentic || audio.is_some_and(|a| a.ip() == from.ip())) {
            return false;
        }
        if self.control.handle_datagram(received, datagram).is_err() {
            return false;
        }
        if !known && !self.mux {
            self.learnt = Some(from);
        }
        true
    }

    /// What the peer has said.
    pub(super) fn poll_event(&mut self) -> Option<ControlEvent> {
        self.control.poll_event()
    }

    /// When `poll_report` is needed next.
    pub(super) fn poll_timeout(&self) -> Tick {
        self.control.poll_timeout()
    }

    /// Writes the report that is due to the front of `out`; its length.
    pub(super) fn poll_report(
        &mut self,
        now: Tick,
        source: Option<(u32, &mut Reception)>,
        out: &mut [u8],
    ) -> Option<usize> {
        self.control.poll_report(now, source, out)
    }

    /// Writes the farewell.
    pub(super) fn poll_goodbye(
        &mut self,
        now: Tick,
        source: Option<(u32, &mut Reception)>,
        out: &mut [u8],
    ) -> Option<usize> {
        self.control.poll_goodbye(now, source, out)
    }

    /// Where reports go. `audio`: where our audio goes.
    pub(super) fn destination(&self, audio: Option<SocketAddr>) -> Option<SocketAddr> {
        if self.mux { audio } else { self.learnt.or(self.announced) }
    }
}
