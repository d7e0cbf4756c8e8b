//! What control orders while a call runs. Part of `session`.

use super::*;
use crate::rtp::dtmf::Digits;

impl Session {
    pub(in crate::media) fn handle_remote(
        &mut self,
        pass: &mut Pass<'_>,
        remote: SocketAddr,
        rtcp_remote: Option<SocketAddr>,
        formats: Formats,
        coders: Option<Box<Coders>>,
    ) {
        if let Some(coders) = coders {
            let old = std::mem::replace(&mut self.coders, coders);
            self.retire(old);
            self.give_back(pass);
            match &mut self.role {
                RoleParts::Echo(echo) => echo.handle_new_source(),
                RoleParts::Bridge(bridge) => bridge.handle_pause(),
                RoleParts::Speech(_) => {}
            }
        }
        if self.coders.serves(&formats) {
            if formats.telephone_event != self.formats.telephone_event {
                let events = formats.telephone_event.or(self.told_keys);
                self.keys = receiver(events);
                self.ears.set_searching(events.is_none());
            }
            self.formats = formats;
        }
        if let Some(control) = &mut self.control {
            control.handle_remote(rtcp_remote, rtcp_remote.is_none(), self.formats.send.codec.rtp_clock());
        }
        self.handle_path(remote);
    }

    /// The peer is there, as its checks or its handshake have shown.
    pub(in crate::media) fn handle_path(&mut self, remote: SocketAddr) {
        if self.latch.set_expected(remote) {
            self.answered = false;
            self.unanswered = Duration::ZERO;
        }
    }

    /// Keys that came new; the session goes on under them.
    pub(in crate::media) fn handle_keys(&mut self, pass: &mut Pass<'_>, secure: Option<Box<Secure>>) {
        let Some(mut secure) = secure else { return };
        if let Some(old) = &mut self.secure {
            secure.handle_predecessor(old);
        }
        if let Some(old) = self.secure.replace(secure) {
            self.retire_keys(old);
            self.give_back(pass);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "leaking beats freeing on the packet path; see `Worker::refuse`")]
    fn retire_keys(&mut self, secure: Box<Secure>) {
        // As with coders.
        std::mem::forget(self.rekeyed.replace(secure));
    }

    #[expect(clippy::disallowed_methods, reason = "leaking beats freeing on the packet path; see `Worker::refuse`")]
    fn retire(&mut self, coders: Box<Coders>) {
        // A third set before control took the first one back: it does not read its reports.
        std::mem::forget(self.retired.replace(coders));
    }

    /// Gives replaced coders and keys back, as soon as there is room to.
    pub(super) fn give_back(&mut self, pass: &mut Pass<'_>) {
        if let Some(coders) = self.retired.take()
            && let Err(MediaEvent::Retired { coders, .. }) =
                pass.reports.deliver(MediaEvent::Retired { call: self.call, coders })
        {
            self.retired = Some(coders);
        }
        if let Some(secure) = self.rekeyed.take()
            && let Err(MediaEvent::Rekeyed { secure, .. }) =
                pass.reports.deliver(MediaEvent::Rekeyed { call: self.call, secure })
        {
            self.rekeyed = Some(secure);
        }
    }

    pub(in crate::media) fn handle_hold(&mut self, now: Tick, held: bool) {
        if self.held && !held {
            // Time on hold is no missing media.
            self.heard = now;
            match &mut self.role {
                RoleParts::Speech(parts) => parts.inbound.handle_new_source(),
                RoleParts::Echo(echo) => echo.handle_new_source(),
                RoleParts::Bridge(bridge) => bridge.handle_pause(),
            }
        }
        self.held = held;
    }

    pub(in crate::media) fn handle_flush(&mut self, pass: &mut Pass<'_>, generation: Generation) {
        match &mut self.role {
            RoleParts::Speech(parts) => parts.playout.handle_flush(pass, self.call, generation),
            RoleParts::Echo(_) | RoleParts::Bridge(_) => {}
        }
    }

    pub(in crate::media) fn handle_duck(&mut self, ducked: bool) {
        match &mut self.role {
            RoleParts::Speech(parts) => parts.playout.handle_duck(ducked),
            RoleParts::Echo(_) | RoleParts::Bridge(_) => {}
        }
    }

    pub(in crate::media) fn handle_digits(&mut self, now: Tick, digits: Digits) {
        let as_events = self.formats.telephone_event.is_some();
        match &mut self.role {
            RoleParts::Speech(parts) => parts.playout.handle_digits(digits, as_events),
            RoleParts::Bridge(bridge) => bridge.handle_digits(now, digits, as_events),
            RoleParts::Echo(_) => {}
        }
    }
}
