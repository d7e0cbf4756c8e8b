//! Legs whose signalling is not SIP's: a browser's, or whatever comes by another door. Purpose: calls accept, refuse and hang
//! up such a leg by the same handle as a SIP leg, and whoever keeps the door hears of it by a bounded channel. Any thread; one
//! short lock. Invariant: a leg that was refused or hung up is forgotten; verbs on it then fail as on a leg that is over.
//! Deliberately absent: what the door's protocol makes of the verbs.

use crate::limits::DOOR_VERBS_MAX;
use crate::sip::agent::LegId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// What a call does to a leg of another door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DoorVerb {
    /// It rings, perhaps with sound that can be heard already.
    Progress {
        /// Status code, 101–199.
        code: u16,
        /// SDP answer.
        sdp: Option<Vec<u8>>,
    },
    /// The call is answered.
    Accept {
        /// SDP answer.
        sdp: Vec<u8>,
    },
    /// It is refused. The last one.
    Reject {
        /// As in SIP, 300–699.
        code: u16,
        /// For people.
        reason: String,
    },
    /// It is over. The last one.
    HangUp {
        /// For people.
        reason: Option<String>,
    },
}

impl DoorVerb {
    const fn is_last(&self) -> bool {
        matches!(self, Self::Reject { .. } | Self::HangUp { .. })
    }
}

/// The doors' legs.
#[derive(Debug, Default)]
pub(super) struct Doors {
    legs: Mutex<HashMap<LegId, mpsc::Sender<DoorVerb>>>,
}

impl Doors {
    /// A new leg, and what will be done to it.
    pub(super) fn open(&self, number: u64) -> (LegId, mpsc::Receiver<DoorVerb>) {
        let (verbs, received) = mpsc::channel(DOOR_VERBS_MAX);
        let leg = LegId::elsewhere(number);
        self.lock().insert(leg, verbs);
        (leg, received)
    }

    /// `false`: the leg is over. A door that does not listen loses what is not the last anyway.
    pub(super) fn tell(&self, leg: LegId, verb: DoorVerb) -> bool {
        let mut legs = self.lock();
        let Some(verbs) = legs.get(&leg) else { return false };
        let last = verb.is_last();
        let told = !matches!(verbs.try_send(verb), Err(mpsc::error::TrySendError::Closed(_)));
        if last || !told {
            // The channel's end tells what the verb could not.
            legs.remove(&leg);
        }
        told
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LegId, mpsc::Sender<DoorVerb>>> {
        // Whole after every statement.
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_over_after_the_last_verb() {
        let doors = Doors::default();
        let (leg, mut verbs) = doors.open(7);
        assert!(leg.is_elsewhere() && !LegId(7).is_elsewhere());
        assert!(doors.tell(leg, DoorVerb::Accept { sdp: vec![1] }));
        assert!(doors.tell(leg, DoorVerb::HangUp { reason: None }));
        assert!(!doors.tell(leg, DoorVerb::HangUp { reason: None }));
        assert_eq!(verbs.try_recv(), Ok(DoorVerb::Accept { sdp: vec![1] }));
        assert_eq!(verbs.try_recv(), Ok(DoorVerb::HangUp { reason: None }));
        let (leg, verbs) = doors.open(8);
        drop(verbs);
        assert!(!doors.tell(leg, DoorVerb::Progress { code: 180, sdp: None }));
    }
}
