//! RTCP and SRTP of one call: what came is opened and read, what is due is written and sealed. Part of `session`.

use super::*;
use crate::rtp::control::ControlEvent;
use crate::rtp::quality;
use crate::rtp::srtp::{OVERHEAD_MAX, SrtpContext, SrtpError};

impl Session {
    /// How the caller's audio got here.
    pub(super) fn mos(&self, stats: &SessionStats) -> Option<f32> {
        let expected = stats.packets_received + stats.lost;
        let missing = (stats.lost + stats.late).min(expected);
        let round_trip = stats.quality.and_then(|q| q.round_trip);
        let line = quality::Line {
            codec: self.heard_in,
            // What the peer adds to its packets is not known before one is lost.
            fec: self.formats.opus.fec,
            one_way_delay: quality::one_way_delay(round_trip, stats.jitter),
            // Counts of packets are exact in a double.
            loss: missing as f64 / expected.max(1) as f64,
            burst_ratio: self.source.as_ref().map_or(1.0, |s| s.reception.burst_ratio()),
        };
        (stats.packets_received > 0).then(|| quality::estimate(line).mos as f32)
    }

    /// RTCP comes and goes with the audio.
    pub(in crate::media) fn is_control_muxed(&self) -> bool {
        self.control.as_ref().is_some_and(CallControl::is_muxed)
    }

    /// Opens a datagram in place, where SRTP was agreed.
    pub(super) fn open<'d>(
        &mut self,
        pass: &mut Pass<'_>,
        datagram: &'d mut [u8],
        unprotect: fn(&mut SrtpContext, &mut [u8]) -> Result<usize, SrtpError>,
    ) -> Option<&'d [u8]> {
        let Some(secure) = &mut self.secure else { return Some(datagram) };
        if let Ok(len) = unprotect(&mut secure.theirs, datagram) {
            return datagram.get(..len);
        }
        if secure.is_shut() {
            self.stats.srtp_early += 1;
            pass.marks.srtp_early.count();
        } else {
            self.stats.srtp_failed += 1;
            pass.marks.srtp_failed.count();
        }
        None
    }

    /// One datagram of RTCP.
    pub(in crate::media) fn handle_control(
        &mut self,
        pass: &mut Pass<'_>,
        from: SocketAddr,
        received: Tick,
        datagram: &mut [u8],
    ) {
        let Some(datagram) = self.open(pass, datagram, SrtpContext::unprotect_rtcp) else { return };
        let (audio, authentic) = (self.latch.destination(), self.secure.is_some());
        let Some(control) = &mut self.control else { return };
        if !control.handle_datagram(received, from, audio, authentic, datagram) {
            pass.marks.rtcp_dropped.count();
            return;
        }
        self.stats.rtcp_received += 1;
        pass.marks.rtcp_received.count();
        while let Some(event) = control.poll_event() {
            let ControlEvent::Reported { report, round_trip } = event else { continue };
            // Nobody else knows our SSRC: what we sent has arrived.
            self.answered = true;
            let before = self.stats.quality.unwrap_or_default();
            let quality = Quality {
                round_trip: round_trip.or(before.round_trip),
                remote_loss: report.fraction_lost,
                remote_jitter: report.jitter,
                jitter: self.source.as_ref().map_or(Duration::ZERO, |s| s.reception.jitter()),
            };
            self.stats.quality = Some(quality);
            self.coders.handle_loss(report.fraction_lost);
            pass.reports.offer(pass.marks, MediaEvent::Quality { call: self.call, quality });
        }
    }

    /// The RTCP packet that is due, or the last one.
    pub(super) fn report(&mut self, pass: &mut Pass<'_>, goodbye: bool) {
        let Some(control) = &mut self.control else { return };
        let to = control.destination(self.latch.destination()).filter(|_| self.answered);
        let source = self.source.as_mut().map(|s| (s.ssrc, &mut s.reception));
        // Drawn up even if it has nowhere to go, so that the next one gets its time.
        let mut octets = [0; rtcp::REPORT_LEN_MAX + OVERHEAD_MAX];
        let room = &mut octets[..rtcp::REPORT_LEN_MAX];
        let written = match goodbye {
            true => control.poll_goodbye(pass.now, source, room),
            false => control.poll_report(pass.now, source, room),
        };
        let (Some(len), Some(to)) = (written, to) else { return };
        let len = match &mut self.secure {
            Some(secure) => secure.ours.protect_rtcp(&mut octets, len).ok(),
            None => Some(len),
        };
        let Some(report) = len.and_then(|len| octets.get(..len)) else { return };
        pass.outbox.push_control(to, report);
        self.stats.rtcp_sent += 1;
        pass.marks.rtcp_sent.count();
    }

    /// The call ends: tells the peer.
    pub(in crate::media) fn handle_closing(&mut self, pass: &mut Pass<'_>) {
        self.report(pass, true);
    }

    /// The outbox is about to be handed to the network.
    pub(in crate::media) fn handle_sending(&mut self, outbox: &mut Outbox, marks: &Marks) {
        if let Some(secure) = &mut self.secure {
            let failed = outbox.seal(&mut secure.ours) as u64;
            self.stats.send_failed += failed;
            marks.rtp_send_failed.add(failed);
        }
    }
}
