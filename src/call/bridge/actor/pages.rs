//! The callee is a page that waits for calls, or telephones and pages at once: whoever answers first has the caller. Invariant:
//! pages ring no longer than the call does, and where telephones refuse they ring on. Deliberately absent: how a page takes the
//! call (it comes in place of the leg that rings, as a telephone does that picks up: `handover`).

use super::{Bridge, CalleeEnd};
use crate::call::caller_id;
use crate::call::media_leg::MediaLeg;
use crate::call::phones;
use crate::id::CallId;
use crate::os::random;
use crate::sip::agent::{LegId, SipEvent};
use std::sync::Arc;
use tracing::info;

impl Bridge<'_> {
    /// Has the pages of an extension ring, beside the telephone that rings already or alone.
    pub(super) fn ring_pages(&mut self, number: &str) {
        let planes = Arc::clone(&self.planes);
        let alone = self.callee.is_none();
        let callee = self.callee.get_or_insert_with(|| {
            let (leg, session) = (LegId::elsewhere(random::u64() >> 1), CallId(random::u64()));
            CalleeEnd { leg, media: MediaLeg::unplaced(session), session, heard: None, latest: None }
        });
        let (leg, session) = (callee.leg, callee.session);
        let withheld = caller_id::withheld(&self.invitation.from, &self.invitation.headers);
        let call = phones::Call::new(session, number, &self.invitation.from, withheld);
        info!(call = %self.call, number, alone, "pages ring");
        if alone {
            planes.registry.join_leg(self.call, leg);
            planes.registry.join_media(self.call, session);
        }
        let ringing = planes.trunks.phones().ring(session, call, leg, alone);
        if alone {
            phones::mind(&planes, &ringing, leg);
            // Given back: the call is over.
            let _over = planes.registry.signal(SipEvent::Progress { leg, code: 180, answer: None, dialog: 0 });
        }
        self.ringing = Some(ringing);
    }

    /// The telephones have refused. `true`: a page may still answer in their place.
    pub(super) fn pages_ring_on(&mut self) -> bool {
        let (Some(ringing), Some(callee)) = (&self.ringing, &self.callee) else { return false };
        // Audio that was heard before the answer was a telephone's.
        let goes_on = !self.joined && ringing.goes_on_alone();
        if goes_on {
            info!(call = %self.call, "no telephone takes the call; pages ring on");
            phones::mind(&self.planes, ringing, callee.leg);
        }
        goes_on
    }

    /// Whoever has answered, the others stop.
    pub(super) fn quiet_pages(&mut self) {
        if self.machine.is_answered()
            && let Some(ringing) = self.ringing.take()
        {
            ringing.answered();
        }
    }
}
