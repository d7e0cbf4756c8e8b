//! What the call side may ask about a leg without changing it.

use super::leg::Phase;
use super::{Agent, LegId};
use crate::sip::message::to_text;

impl Agent {
    /// The Call-ID of a leg, for finding its messages again.
    #[must_use]
    pub fn call_id(&self, leg: LegId) -> Option<String> {
        let leg = self.legs.get(&leg)?;
        match (&leg.dialog, &leg.phase) {
            (Some(dialog), _) => Some(to_text(&dialog.id.call_id)),
            (None, Phase::Calling(calling)) => Some(to_text(&self.clients.get(&calling.transaction)?.request.call_id)),
            (None, _) => None,
        }
    }
}
