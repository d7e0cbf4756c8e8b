//! Browsers that are in calls. Purpose: whence each came and since when, so that one visitor takes neither all seats nor all
//! event streams. Control tasks; one short lock. Invariants: a browser is known for as long as its [`GuestSeat`] lives; who came
//! with a token is not counted by network, nor is this machine, on which a proxy may stand for everybody. Deliberately absent:
//! seats of calls (`registry`).

use crate::id::CallId;
use crate::limits::{BROWSER_STREAMS_MAX, BROWSER_UNLINKED_MAX};
use crate::sip::agent::LegId;
use crate::sip::transport::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Guest {
    /// `None`: it is not counted.
    network: Option<IpAddr>,
    /// Position of the newest event before its call.
    before: u64,
    streams: usize,
    /// The call that it is in, and as whom.
    place: (CallId, LegId),
}

/// All of them; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests(Arc<Mutex<HashMap<CallId, Guest>>>);

/// A browser's place among them.
#[derive(Debug)]
pub(super) struct GuestSeat {
    guests: Guests,
    call: CallId,
}

/// Somebody who follows the events of a browser's call.
#[derive(Debug)]
pub struct Follower {
    guests: Guests,
    call: CallId,
    /// Position of the newest event before the call: what came earlier is none of its business.
    pub before: u64,
}

impl Guests {
    /// `call`: what the browser knows its part of a call by, whose other end may be a browser as well; `place`: the call that it
    /// is in, and its leg. `anonymous`: whence, where it came without a token. `waits`: whether a call has not reached its browser
    /// yet. `None`: too many of that network wait.
    pub(super) fn seat(
        &self,
        call: CallId,
        place: (CallId, LegId),
        anonymous: Option<IpAddr>,
        before: u64,
        waits: impl Fn(CallId) -> bool,
    ) -> Option<GuestSeat> {
        let network = anonymous.filter(|from| !from.to_canonical().is_loopback()).map(network);
        let mut guests = self.lock();
        if network.is_some() {
            let waiting = guests.iter().filter(|(call, guest)| guest.network == network && waits(**call)).count();
            if waiting >= BROWSER_UNLINKED_MAX {
                return None;
            }
        }
        guests.insert(call, Guest { network, before, streams: 0, place });
        Some(GuestSeat { guests: self.clone(), call })
    }

    /// The call that a browser is in, and its leg there.
    pub(super) fn find(&self, call: CallId) -> Option<(CallId, LegId)> {
        self.lock().get(&call).map(|guest| guest.place)
    }

    /// `None`: enough follow this call already, or it is over.
    pub(super) fn follow(&self, call: CallId) -> Option<Follower> {
        let mut guests = self.lock();
        let guest = guests.get_mut(&call).filter(|guest| guest.streams < BROWSER_STREAMS_MAX)?;
        guest.streams += 1;
        Some(Follower { guests: self.clone(), call, before: guest.before })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Guest>> {
        // Whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GuestSeat {
    fn drop(&mut self) {
        self.guests.lock().remove(&self.call);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(guest) = self.guests.lock().get_mut(&self.call) {
            guest.streams -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (CallId, LegId) = (CallId(77), LegId(7));

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_network_waits_with_so_many_calls_and_no_more() {
        let guests = Guests::default();
        let most = u64::try_from(BROWSER_UNLINKED_MAX).unwrap();
        let mut seats: Vec<_> =
            (0..most).map(|n| guests.seat(CallId(n), PLACE, from("2001:db8::7"), 0, |_| true).unwrap()).collect();
        let enter = |n: u64, from, waits: fn(CallId) -> bool| guests.seat(CallId(n), PLACE, from, 0, waits);
        assert!(enter(100, from("2001:db8::8"), |_| true).is_none(), "of the same network");
        assert!(enter(101, from("2001:db8:0:1::8"), |_| true).is_some(), "of another one");
        assert!(enter(102, None, |_| true).is_some(), "with a token");
        assert!(enter(103, from("2001:db8::8"), |call| call.0 > 0).is_some(), "one of them is talked by now");
        assert!(enter(104, from("2001:db8::8"), |_| true).is_none());
        drop(seats.pop());
        assert!(enter(105, from("2001:db8::8"), |_| true).is_some(), "one of them is over");
        // A proxy on this machine brings everybody.
        let all: Vec<_> = (200..300).map(|n| enter(n, from("::ffff:127.0.0.1"), |_| true)).collect();
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn few_follow_a_call_from_its_beginning_on() {
        let guests = Guests::default();
        let seat = guests.seat(CallId(1), PLACE, None, 77, |_| true).unwrap();
        assert_eq!((guests.find(CallId(1)), guests.find(CallId(2))), (Some(PLACE), None));
        let mut followers: Vec<_> = (0..BROWSER_STREAMS_MAX).map(|_| guests.follow(CallId(1)).unwrap()).collect();
        assert_eq!(followers[0].before, 77);
        assert!(guests.follow(CallId(1)).is_none() && guests.follow(CallId(2)).is_none());
        followers.pop();
        assert!(guests.follow(CallId(1)).is_some(), "whose stream has ended makes room");
        drop(seat);
        assert!(guests.follow(CallId(1)).is_none());
        drop(followers);
    }
}
