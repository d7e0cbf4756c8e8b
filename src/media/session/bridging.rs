//! A leg of a bridge: what it accepted goes to the other leg, what that one accepted comes here. Part of `session`.

use super::*;
use crate::media::bridge::{Passing, What};
use crate::media::placing::Stamp;
use crate::media::recorder::Side;

impl Session {
    /// A packet for the other leg.
    pub(super) fn onward<'d>(&mut self, kind: Kind, packet: Arrived<'d>, extended: u64, marker: bool) -> Heard<'d> {
        let Audio { place, samples, .. } = packet.audio;
        let what = match kind {
            Kind::Audio(_) => self.formats.receive.get(usize::from(place)).copied().flatten().map(What::Audio),
            Kind::TelephoneEvent => self.events().map(What::Event),
            Kind::ComfortNoise(clock) => Some(What::ComfortNoise(clock)),
            Kind::Malformed | Kind::Unknown => None,
        };
        let rate = self.coders.decoder(usize::from(place)).map_or(1, |d| d.rate());
        let length = Duration::from_micros(u64::from(samples) * 1_000_000 / u64::from(rate));
        what.map_or(Heard::Taken, |what| Heard::Onward(Onward { what, packet, extended, marker, length }))
    }

    /// Sends what `from`, the other leg of this bridge, has accepted.
    pub(in crate::media) fn handle_onward(&mut self, pass: &mut Pass<'_>, from: &mut Self, onward: &Onward<'_>) {
        let open = self.is_open();
        let RoleParts::Bridge(bridge) = &mut self.role else { return };
        if !open {
            bridge.handle_pause();
            from.handle_nobody(pass);
            return;
        }
        if std::mem::take(&mut from.fresh_source) {
            bridge.handle_pause();
        }
        let recording = from.ears.is_recording() || self.ears.is_recording();
        let mut passing = recording.then(Passing::default);
        let (theirs, ours) = (&mut from.coders, &mut self.coders);
        let (heard, keying) = (passing.as_mut(), bridge.is_keying());
        let counted = bridge.handle_onward(pass, &mut self.stats, theirs, ours, &self.formats, onward, heard);
        if !self.answered {
            self.unanswered += counted;
        }
        if let Some(passing) = passing {
            let stamp = Some(Stamp { timestamp: onward.packet.timestamp, clock: onward.packet.audio.clock });
            let walls = (from.wall(pass.now), self.wall(pass.now));
            from.ears.handle_passing(Side::Caller, walls.0, stamp, passing.samples());
            if !keying {
                self.ears.handle_passing(Side::Agent, walls.1, stamp, passing.samples());
            }
        }
    }

    /// Sends what is due of our own keys, and of the noise that stands for the other leg's pause.
    pub(super) fn handle_keys_due(&mut self, pass: &mut Pass<'_>) {
        let open = self.is_open();
        let RoleParts::Bridge(bridge) = &mut self.role else { return };
        let mut passing = self.ears.is_recording().then(Passing::default);
        bridge.handle_timeout(pass, &mut self.coders, &self.formats, open, passing.as_mut());
        if !self.answered && !pass.outbox.is_empty() {
            self.unanswered += FRAME;
        }
        if let Some(passing) = passing {
            let wall = self.wall(pass.now);
            self.ears.handle_passing(Side::Agent, wall, None, passing.samples());
        }
    }

    /// What was accepted had nobody to go to.
    pub(in crate::media) fn handle_nobody(&mut self, pass: &mut Pass<'_>) {
        self.stats.unbridged += 1;
        pass.marks.rtp_unbridged.count();
    }

    /// The bridge that this call is a leg of.
    pub(in crate::media) fn bridge(&self) -> Option<&Bridge> {
        match &self.role {
            RoleParts::Bridge(bridge) => Some(bridge),
            RoleParts::Echo(_) | RoleParts::Speech(_) => None,
        }
    }

    /// The other leg came, or went.
    pub(in crate::media) fn set_partner_slot(&mut self, slot: Option<u32>) {
        if let RoleParts::Bridge(bridge) = &mut self.role {
            bridge.set_slot(slot);
        }
    }
}
