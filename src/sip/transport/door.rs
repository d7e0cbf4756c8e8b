//! Legs whose signalling is not SIP's: a browser's, or whatever comes by another door. Purpose: calls accept, refuse and hang
//! up such a leg by the same handle as a SIP leg, and whoever keeps the door hears of it by a bounded channel. Any thread; one
//! short lock. Invariants: a leg is known for as long as its [`OpenDoor`] lives and it was neither refused nor hung up; verbs
//! on one that is not fail as on a leg that is over.
//! Deliberately absent: what the door's protocol makes of the verbs.

use crate::limits::DOOR_VERBS_MAX;
use crate::sip::agent::LegId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

type Legs = HashMap<LegId, mpsc::Sender<DoorVerb>>;

/// The doors' legs.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    legs: Arc<Mutex<Legs>>,
}

/// A leg of a door; dropping this forgets it. Who ends the call from outside is told no last verb, so that whoever runs the
/// call holds this until the call is over.
#[derive(Debug)]
pub struct OpenDoor {
    doors: Doors,
    leg: LegId,
}

impl OpenDoor {
    /// The leg.
    #[must_use]
    pub const fn leg(&self) -> LegId {
        self.leg
    }
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.doors.lock().remove(&self.leg);
    }
}

impl Doors {
    /// A new leg, and what will be done to it.
    pub(super) fn open(&self, number: u64) -> (OpenDoor, mpsc::Receiver<DoorVerb>) {
        let (verbs, received) = mpsc::channel(DOOR_VERBS_MAX);
        let leg = LegId::elsewhere(number);
        self.lock().insert(leg, verbs);
        (OpenDoor { doors: self.clone(), leg }, received)
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

    fn lock(&self) -> MutexGuard<'_, Legs> {
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
        let (door, mut verbs) = doors.open(7);
        let leg = door.leg();
        assert!(leg.is_elsewhere() && !LegId(7).is_elsewhere());
        assert!(doors.tell(leg, DoorVerb::Accept { sdp: vec![1] }));
        assert!(doors.tell(leg, DoorVerb::HangUp { reason: None }));
        assert!(!doors.tell(leg, DoorVerb::HangUp { reason: None }));
        assert_eq!(verbs.try_recv(), Ok(DoorVerb::Accept { sdp: vec![1] }));
        assert_eq!(verbs.try_recv(), Ok(DoorVerb::HangUp { reason: None }));
        let (door, verbs) = doors.open(8);
        drop(verbs);
        assert!(!doors.tell(door.leg(), DoorVerb::Progress { code: 180, sdp: None }));
        assert!(doors.lock().is_empty());
    }

    /// The browser has ended the call, or does not wait for its answer: nobody says a last verb.
    #[test]
    fn a_leg_whose_call_is_over_is_forgotten_and_its_listener_told() {
        let doors = Doors::default();
        let (door, mut verbs) = doors.open(7);
        let leg = door.leg();
        assert!(doors.tell(leg, DoorVerb::Accept { sdp: vec![1] }));
        drop(door);
        assert!(doors.lock().is_empty() && !doors.tell(leg, DoorVerb::HangUp { reason: None }));
        assert_eq!(verbs.try_recv(), Ok(DoorVerb::Accept { sdp: vec![1] }));
        assert_eq!(verbs.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        // What is there besides is not touched.
        let (other, _verbs) = doors.open(8);
        drop(doors.open(9));
        assert!(doors.tell(other.leg(), DoorVerb::Progress { code: 180, sdp: None }));
    }
}
