//! Which calls there are. Purpose: admission, and the way from a signalling or media event to the actor that owns the
//! call. Control threads; one short lock that no media thread ever sees. Invariants: never more calls than admitted;
//! an actor whose mailbox is full is given up and its call ended, so that it cannot hold up the others.
//! Deliberately absent: what calls do (`actor`).

use crate::id::CallId;
use crate::limits::CALL_EVENTS_MAX;
use crate::media::MediaEvent;
use crate::sip::agent::{LegId, SipEvent};
use crate::time::Wallclock;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// What reaches a call's actor through its mailbox.
#[derive(Debug)]
pub enum CallEvent {
    /// From signalling.
    Sip(SipEvent),
    /// From the media worker.
    Media(MediaEvent),
    /// The daemon is stopping.
    Drain,
}

/// Why a call was not admitted; both mean 503 with Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// All `sip.max_calls` are in use.
    #[error("all {0} calls are in use; raise sip.max_calls if the machine has room")]
    Full(usize),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Draining,
}

/// A call as the control API shows it.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The call.
    pub call: CallId,
    /// From, as written by the caller.
    pub from: String,
    /// The number that was called.
    pub number: String,
    /// First INVITE.
    pub started: Wallclock,
    /// What took it: `echo`, `agent:grace`; empty until it is answered.
    pub app: String,
    /// Its conversation, if there is one.
    pub conversation_id: Option<String>,
}

#[derive(Debug)]
struct Entry {
    live: LiveCall,
    leg: LegId,
    mailbox: mpsc::Sender<CallEvent>,
}

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<CallId, Entry>,
    legs: HashMap<LegId, CallId>,
    draining: bool,
}

/// The calls of this daemon.
#[derive(Debug)]
pub struct Registry {
    table: Mutex<Table>,
    calls_max: usize,
    emptied: Notify,
}

impl Registry {
    /// A registry that admits `calls_max` calls at once.
    #[must_use]
    pub fn new(calls_max: usize) -> Self {
        Self { table: Mutex::default(), calls_max, emptied: Notify::new() }
    }

    /// Takes a call in and gives its actor's mailbox.
    ///
    /// # Errors
    /// [`NotAdmitted`]: answer 503 with Retry-After.
    pub fn admit(&self, leg: LegId, live: LiveCall) -> Result<mpsc::Receiver<CallEvent>, NotAdmitted> {
        let mut table = self.lock();
        if table.draining {
            return Err(NotAdmitted::Draining);
        }
        if table.calls.len() >= self.calls_max {
            return Err(NotAdmitted::Full(self.calls_max));
        }
        let (mailbox, events) = mpsc::channel(CALL_EVENTS_MAX);
        table.legs.insert(leg, live.call);
        table.calls.insert(live.call, Entry { live, leg, mailbox });
        Ok(events)
    }

    /// The call was answered by `app`.
    pub fn answered(&self, call: CallId, app: &str, conversation_id: Option<String>) {
        if let Some(entry) = self.lock().calls.get_mut(&call) {
            app.clone_into(&mut entry.live.app);
            entry.live.conversation_id = conversation_id;
        }
    }

    /// The call is over; its events go nowhere from now on.
    pub fn release(&self, call: CallId) {
        let mut table = self.lock();
        if let Some(entry) = table.calls.remove(&call) {
            table.legs.remove(&entry.leg);
        }
        if table.calls.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Hands a signalling event to its call; gives it back when no call owns the leg.
    pub fn signal(&self, event: SipEvent) -> Option<SipEvent> {
        let table = self.lock();
        let Some(entry) = table.legs.get(&event.leg()).and_then(|call| table.calls.get(call)) else {
            return Some(event);
        };
        deliver(entry, CallEvent::Sip(event));
        None
    }

    /// Hands a media event to its call. A session that comes back for a call that is gone is freed here.
    pub fn media(&self, call: CallId, event: MediaEvent) {
        let table = self.lock();
        if let Some(entry) = table.calls.get(&call) {
            deliver(entry, CallEvent::Media(event));
        }
    }

    /// The calls of this moment, oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<LiveCall> {
        let mut live: Vec<LiveCall> = self.lock().calls.values().map(|e| e.live.clone()).collect();
        live.sort_by_key(|call| call.started);
        live
    }

    /// Admits nobody any more and asks every call to end.
    pub fn drain(&self) {
        let mut table = self.lock();
        table.draining = true;
        for entry in table.calls.values() {
            deliver(entry, CallEvent::Drain);
        }
    }

    /// Returns when no call is left.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().calls.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement above, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliver(entry: &Entry, event: CallEvent) {
    if entry.mailbox.try_send(event).is_err() {
        // The channel is closed (the actor is finishing) or holds seconds of events (it stands still).
        tracing::warn!(call = %entry.live.call, "an event of the call found no reader");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(n: u64) -> LiveCall {
        LiveCall {
            call: CallId(n),
            from: String::new(),
            number: String::new(),
            started: Wallclock(n),
            app: String::new(),
            conversation_id: None,
        }
    }

    #[test]
    fn admits_up_to_its_bound_and_again_after_a_release() {
        let registry = Registry::new(2);
        let _one = registry.admit(LegId(1), live(1)).unwrap();
        let _two = registry.admit(LegId(2), live(2)).unwrap();
        assert_eq!(registry.admit(LegId(3), live(3)).unwrap_err(), NotAdmitted::Full(2));
        registry.release(CallId(1));
        assert!(registry.admit(LegId(3), live(3)).is_ok());
        assert_eq!(registry.live().len(), 2);
    }

    #[test]
    fn events_reach_the_call_of_their_leg_and_no_other() {
        let registry = Registry::new(2);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        let mut two = registry.admit(LegId(2), live(2)).unwrap();
        assert!(registry.signal(SipEvent::Cancelled { leg: LegId(2) }).is_none());
        assert!(registry.signal(SipEvent::Cancelled { leg: LegId(9) }).is_some());
        assert!(one.try_recv().is_err());
        assert!(matches!(two.try_recv(), Ok(CallEvent::Sip(SipEvent::Cancelled { leg: LegId(2) }))));
    }

    #[test]
    fn a_drain_asks_everyone_and_admits_nobody() {
        let registry = Registry::new(2);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        registry.drain();
        assert!(matches!(one.try_recv(), Ok(CallEvent::Drain)));
        assert_eq!(registry.admit(LegId(2), live(2)).unwrap_err(), NotAdmitted::Draining);
    }

    #[test]
    fn a_full_mailbox_holds_nobody_up() {
        let registry = Registry::new(1);
        let _one = registry.admit(LegId(1), live(1)).unwrap();
        for _ in 0..CALL_EVENTS_MAX + 10 {
            registry.signal(SipEvent::Cancelled { leg: LegId(1) });
        }
    }
}
