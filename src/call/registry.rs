//! Which calls there are. Purpose: admission, and the way from a signalling or media event to the actor that owns the
//! call. Control threads; one short lock that no media thread ever sees. Invariants: never more calls than admitted;
//! an actor that does not read its mailbox holds up nobody: what may be lost is lost first, and when something else finds
//! no room the mailbox is closed, upon which the call ends; what a leg takes of its trunk goes with the leg, to another call too, and
//! comes back when the leg ends.
//! Deliberately absent: what calls do (`actor`).

use super::caps::Channel;
use super::steer::{Heard, Order, OrderError, Ordered, Outcome};
use crate::id::CallId;
use crate::limits::{CALL_EVENTS_MAX, CALL_EVENTS_RESERVE, UNACKNOWLEDGED_MAX, UNACKNOWLEDGED_MIN};
use crate::media::MediaEvent;
use crate::sip::agent::{EndedBy, LegId, SipEvent};
use crate::sip::transport::network;
use crate::store::Direction;
use crate::telemetry::metric;
use crate::time::Wallclock;
use crate::webrtc::LinkEnd;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// What reaches a call's actor through its mailbox.
#[derive(Debug)]
pub enum CallEvent {
    /// From signalling.
    Sip(SipEvent),
    /// From the media worker.
    Media(MediaEvent),
    /// Nobody is to be recorded from now on, or both sides again.
    PauseRecording {
        /// Which of the two.
        pausing: bool,
        /// Told once it is so; `false`: the call is not recorded. Dropped by a call that ends.
        done: oneshot::Sender<bool>,
    },
    /// Somebody steers the call.
    Order(Ordered),
    /// Checks and handshake of this session are done: audio flows.
    Linked(CallId),
    /// They have failed, or the peer has gone.
    Unlinked(CallId, LinkEnd),
    /// The daemon is stopping.
    Drain,
}

impl CallEvent {
    /// For the log, which no key pressed and no session description may reach.
    const fn name(&self) -> &'static str {
        match self {
            Self::Sip(event) => event.name(),
            Self::Media(_) => "media",
            Self::PauseRecording { .. } => "pause_recording",
            Self::Order(_) => "order",
            Self::Linked(_) => "linked",
            Self::Unlinked(..) => "unlinked",
            Self::Drain => "drain",
        }
    }

    /// Without it the call can go on, and end.
    const fn may_be_lost(&self) -> bool {
        matches!(
            self,
            Self::PauseRecording { .. }
                | Self::Order(_)
                | Self::Sip(SipEvent::InfoDigit { .. })
                | Self::Media(
                    MediaEvent::Opened { .. }
                        | MediaEvent::FirstPacket { .. }
                        | MediaEvent::Digit { .. }
                        | MediaEvent::FirstAudible { .. }
                        | MediaEvent::Ducked { .. }
                        | MediaEvent::Played { .. }
                        | MediaEvent::Flushed { .. }
                )
        )
    }
}

/// Why a call was not admitted; both mean 503 with Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// All `sip.max_calls` are in use.
    #[error("all {0} calls are in use; raise sip.max_calls if the machine has room")]
    Full(usize),
    /// One source has answered calls that it does not acknowledge in half of the seats.
    #[error("{0} calls of this source wait for its ACK; others are to find room")]
    Unacknowledged(usize),
    /// The media workers have no time left for another call.
    #[error("the media workers are busy with the calls that are up; give them more cores ([media] workers)")]
    Busy,
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Draining,
}

/// Why a recording was neither paused nor resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPaused {
    /// It has ended, or never was.
    #[error("there is no such call that is up")]
    NoCall,
    /// There is nothing to pause.
    #[error("the call is not recorded")]
    NotRecorded,
}

/// A call as the control API shows it.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The call.
    pub call: CallId,
    /// From, as written by the caller.
    pub from: String,
    /// The caller is not to be seen by those whom the call is passed on to.
    pub withheld: bool,
    /// The number that was called.
    pub number: String,
    /// First INVITE.
    pub started: Wallclock,
    /// Who called whom.
    pub direction: Direction,
    /// What it is doing.
    pub state: CallState,
    /// What took it: `echo`, `agent:grace`; empty until it is answered.
    pub app: String,
    /// Its conversation, if there is one.
    pub conversation_id: Option<String>,
}

/// What a call is doing, as whoever steers it sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallState {
    /// We call, and nothing was heard yet.
    Calling,
    /// It rings: here, or there.
    Ringing,
    /// It is talked.
    Answered,
    /// We hold the other side.
    Held,
    /// It is in a room with others.
    Bridged,
}

impl CallState {
    /// As the API and events have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calling => "calling",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Held => "held",
            Self::Bridged => "bridged",
        }
    }
}

#[derive(Debug)]
struct Entry {
    live: LiveCall,
    /// The caller's, and the one that a bridge has placed.
    legs: Vec<LegId>,
    /// What those of them take of their trunks.
    channels: Vec<(LegId, Channel)>,
    /// The call's own media session goes by its own id; this is the other one's of a bridge.
    media: Option<CallId>,
    /// `None` once the actor was given up.
    mailbox: Option<mpsc::Sender<CallEvent>>,
    /// Whose network it came from; `None`: not by SIP.
    source: Option<IpAddr>,
    /// The caller has acknowledged our answer.
    confirmed: bool,
    /// It was ended to make room, and its seat is no longer counted.
    leaving: bool,
    /// What goes with the call.
    kept: Vec<Kept>,
}

impl Entry {
    /// It was answered, and the caller has not said that he knows.
    fn is_unacknowledged(&self) -> bool {
        let answered = self.live.direction == Direction::Inbound && self.live.state == CallState::Answered;
        answered && !self.confirmed && !self.leaving
    }
}

/// Something that is dropped when a call is over.
struct Kept(#[expect(dead_code, reason = "to be dropped is all that it is for")] Box<dyn Send>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<CallId, Entry>,
    legs: HashMap<LegId, CallId>,
    /// Second media session → call.
    media: HashMap<CallId, CallId>,
    /// Calls that were ended to make room and are still there.
    leaving: usize,
    draining: bool,
}

impl Table {
    /// As [`Registry::signal`]; also what a leg that is over has given back of its trunk.
    fn signal(&mut self, event: SipEvent) -> (Option<SipEvent>, Option<(LegId, Channel)>) {
        if let SipEvent::Incoming { leg, replaces: Some(replaced), .. } = &event
            && let Some(call) = self.legs.get(replaced).copied()
            && let Some(entry) = self.calls.get_mut(&call)
        {
            entry.legs.push(*leg);
            self.legs.insert(*leg, call);
        }
        let Some(entry) = self.legs.get(&event.leg()).and_then(|call| self.calls.get_mut(call)) else {
            return (Some(event), None);
        };
        entry.confirmed |= matches!(event, SipEvent::Confirmed { .. });
        let channel = event.is_terminal().then(|| entry.channel_of(event.leg())).flatten();
        deliver(entry, CallEvent::Sip(event));
        (None, channel)
    }
}

impl Entry {
    /// Takes what a leg has of its trunk.
    fn channel_of(&mut self, leg: LegId) -> Option<(LegId, Channel)> {
        let at = self.channels.iter().position(|(of, _)| *of == leg)?;
        Some(self.channels.swap_remove(at))
    }
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
        self.seat(Some(leg), live, None, false)
    }

    /// As [`Registry::admit`] for a caller whose INVITE came from there: what one source leaves without ACKs does not fill the
    /// seats of others.
    ///
    /// # Errors
    /// As there, and [`NotAdmitted::Unacknowledged`].
    pub fn admit_from(
        &self,
        source: IpAddr,
        leg: LegId,
        live: LiveCall,
    ) -> Result<mpsc::Receiver<CallEvent>, NotAdmitted> {
        self.seat(Some(leg), live, Some(network(source)), false)
    }

    /// Takes a call in that is to be placed; its leg joins it. One to an emergency number finds room beyond all others.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn admit_outgoing(&self, live: LiveCall, emergency: bool) -> Result<mpsc::Receiver<CallEvent>, NotAdmitted> {
        self.seat(None, live, None, emergency)
    }

    fn seat(
        &self,
        leg: Option<LegId>,
        live: LiveCall,
        source: Option<IpAddr>,
        emergency: bool,
    ) -> Result<mpsc::Receiver<CallEvent>, NotAdmitted> {
        let mut table = self.lock();
        if table.draining && !emergency {
            return Err(NotAdmitted::Draining);
        }
        if table.calls.len() - table.leaving >= self.calls_max && !emergency {
            return Err(NotAdmitted::Full(self.calls_max));
        }
        if let Some(unacknowledged) = source.and_then(|source| self.too_many_of(&table, source)) {
            return Err(NotAdmitted::Unacknowledged(unacknowledged));
        }
        let (mailbox, events) = mpsc::channel(CALL_EVENTS_MAX);
        table.legs.extend(leg.map(|leg| (leg, live.call)));
        metric::calls_active(table.calls.len() + 1);
        let legs = leg.into_iter().collect();
        let mailbox = Some(mailbox);
        let kept = Vec::new();
        let channels = Vec::new();
        let entry =
            Entry { live, legs, channels, media: None, mailbox, source, confirmed: false, leaving: false, kept };
        table.calls.insert(entry.live.call, entry);
        Ok(events)
    }

    /// How many calls of a source wait for its ACK, where they are half of all that may be.
    fn too_many_of(&self, table: &Table, source: IpAddr) -> Option<usize> {
        let its =
            table.calls.values().filter(|entry| entry.source == Some(source) && entry.is_unacknowledged()).count();
        (its >= (self.calls_max / 2).max(UNACKNOWLEDGED_MIN)).then_some(its)
    }

    /// Where no seat is free for a caller of this moment, or none for this source (`None`: it has no INVITE): ends the oldest call whose answer nobody has acknowledged for
    /// [`UNACKNOWLEDGED_MAX`], and gives its leg to hang up. An INVITE costs its sender nothing, so such calls may not keep
    /// others out for the 32 s that a late ACK may take (RFC 3261 §13.3.1.4).
    pub fn make_room(&self, now: Wallclock, source: Option<IpAddr>) -> Option<LegId> {
        let table = &mut *self.lock();
        let of_one = source.map(network).filter(|source| self.too_many_of(table, *source).is_some());
        if table.draining || (table.calls.len() - table.leaving < self.calls_max && of_one.is_none()) {
            return None;
        }
        let stale = |entry: &&mut Entry| {
            let waited = Duration::from_millis(now.0.saturating_sub(entry.live.started.0));
            let its = of_one.is_none() || entry.source == of_one;
            its && entry.is_unacknowledged() && waited >= UNACKNOWLEDGED_MAX
        };
        let entry = table.calls.values_mut().filter(stale).min_by_key(|entry| entry.live.started)?;
        let leg = *entry.legs.first()?;
        entry.leaving = true;
        table.leaving += 1;
        let reason = Some("nobody acknowledged the answer, and others wanted the room".to_owned());
        deliver(entry, CallEvent::Sip(SipEvent::Ended { leg, by: EndedBy::Timeout, reason, cause: None }));
        Some(leg)
    }

    /// A leg that the call has placed: its events reach the call, too. `false` when the call is gone.
    pub fn join_leg(&self, call: CallId, leg: LegId) -> bool {
        let table = &mut *self.lock();
        let Some(entry) = table.calls.get_mut(&call) else { return false };
        entry.legs.push(leg);
        table.legs.insert(leg, call);
        true
    }

    /// What this leg takes of its trunk, for as long as there is the leg. Given back at once where it has gone.
    pub fn hold(&self, leg: LegId, channel: Channel) {
        let back = {
            let table = &mut *self.lock();
            match table.legs.get(&leg).and_then(|call| table.calls.get_mut(call)) {
                Some(entry) => {
                    entry.channels.push((leg, channel));
                    None
                }
                None => Some(channel),
            }
        };
        drop(back);
    }

    /// A leg belongs to another call from now on, with what it takes of its trunk; gives whose it was. `None`: there is no such leg or
    /// call, and nothing has changed.
    pub fn move_leg(&self, leg: LegId, to: CallId) -> Option<CallId> {
        let table = &mut *self.lock();
        let from = table.legs.get(&leg).copied()?;
        table.calls.get_mut(&to)?.legs.push(leg);
        let mut channel = None;
        if let Some(entry) = table.calls.get_mut(&from) {
            let at = entry.legs.iter().position(|held| *held == leg);
            at.map(|at| entry.legs.remove(at));
            channel = entry.channel_of(leg);
        }
        if let Some(entry) = table.calls.get_mut(&to) {
            entry.channels.extend(channel);
        }
        table.legs.insert(leg, to);
        Some(from)
    }

    /// A second media session of the call, under an id of its own: its events reach the call, too.
    pub fn join_media(&self, call: CallId, media: CallId) {
        let table = &mut *self.lock();
        if let Some(entry) = table.calls.get_mut(&call) {
            entry.media = Some(media);
            table.media.insert(media, call);
        }
    }

    /// Everything that a call holds: its legs and its media sessions.
    #[must_use]
    pub fn held_by(&self, call: CallId) -> (Vec<LegId>, Vec<CallId>) {
        let table = self.lock();
        let Some(entry) = table.calls.get(&call) else { return (Vec::new(), Vec::new()) };
        (entry.legs.clone(), [Some(call), entry.media].into_iter().flatten().collect())
    }

    /// The call was answered by `app`.
    pub fn answered(&self, call: CallId, app: &str, conversation_id: Option<String>) {
        if let Some(entry) = self.lock().calls.get_mut(&call) {
            app.clone_into(&mut entry.live.app);
            entry.live.state = CallState::Answered;
            entry.live.conversation_id = conversation_id;
        }
    }

    /// The call does something else now.
    pub fn is_now(&self, call: CallId, state: CallState) {
        if let Some(entry) = self.lock().calls.get_mut(&call) {
            entry.live.state = state;
        }
    }

    /// Has a call do something, and waits until it has begun to.
    ///
    /// # Errors
    /// [`OrderError`]: nothing has changed.
    pub async fn order(&self, call: CallId, order: Order) -> Result<Outcome, OrderError> {
        let (done, answered) = oneshot::channel();
        {
            let table = &mut *self.lock();
            let entry = table.calls.get_mut(&call).ok_or(OrderError::NoCall)?;
            deliver(entry, CallEvent::Order(Ordered { order, done }));
        }
        // A call that is over has dropped the order, and so has a mailbox without room.
        answered.await.unwrap_or_else(|_| match self.find(call) {
            Some(_) => Err(OrderError::Unavailable("the call has no time for orders now".to_owned())),
            None => Err(OrderError::NoCall),
        })
    }

    /// Has a steered call say something, and waits until that has been heard.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn say(&self, call: CallId, text: String) -> Result<(), OrderError> {
        self.order(call, Order::Say { text }).await?;
        let heard = Heard::default();
        self.order(call, Order::Finish { heard: heard.clone() }).await?;
        loop {
            tokio::select! {
                () = heard.0.notified() => return Ok(()),
                // Who hangs up in the middle hears nothing to the end.
                () = tokio::time::sleep(Duration::from_millis(500)) => if self.find(call).is_none() {
                    return Err(OrderError::NoCall);
                }
            }
        }
    }

    /// The call is over; its events go nowhere from now on.
    pub fn release(&self, call: CallId) {
        let mut table = self.lock();
        let gone = table.calls.remove(&call);
        if let Some(entry) = &gone {
            for leg in &entry.legs {
                table.legs.remove(leg);
            }
            if let Some(media) = entry.media {
                table.media.remove(&media);
            }
            table.leaving -= usize::from(entry.leaving);
            metric::calls_active(table.calls.len());
        }
        if table.calls.is_empty() {
            self.emptied.notify_waiters();
        }
        drop(table);
        // What was kept may have locks of its own.
        drop(gone);
    }

    /// Keeps something for as long as there is the call; drops it where there is none.
    pub fn keep(&self, call: CallId, thing: impl Send + 'static) {
        let kept = Kept(Box::new(thing));
        let back = match self.lock().calls.get_mut(&call) {
            Some(entry) => {
                entry.kept.push(kept);
                None
            }
            None => Some(kept),
        };
        drop(back);
    }

    /// Whose leg it is.
    #[must_use]
    pub fn call_of(&self, leg: LegId) -> Option<CallId> {
        self.lock().legs.get(&leg).copied()
    }

    /// Hands a signalling event to its call; gives it back when no call owns the leg. A leg that takes the place of a call's
    /// leg is that call's from here on.
    pub fn signal(&self, event: SipEvent) -> Option<SipEvent> {
        let (back, channel) = self.lock().signal(event);
        // It has a lock of its own.
        drop(channel);
        back
    }

    /// Tells its call that a session's peer is there and its audio protected.
    pub fn linked(&self, media: CallId) {
        let table = &mut *self.lock();
        let call = table.media.get(&media).copied().unwrap_or(media);
        let Some(entry) = table.calls.get_mut(&call) else { return };
        // A browser acknowledges by that, and by nothing else.
        entry.confirmed |= entry.legs.iter().any(|leg| leg.is_elsewhere());
        deliver(entry, CallEvent::Linked(media));
    }

    /// Tells its call that a session has lost its peer, or never reached it.
    pub fn unlinked(&self, media: CallId, end: LinkEnd) {
        let table = &mut *self.lock();
        let call = table.media.get(&media).copied().unwrap_or(media);
        if let Some(entry) = table.calls.get_mut(&call) {
            deliver(entry, CallEvent::Unlinked(media, end));
        }
    }

    /// Whether its answer has not been acknowledged, or it has none yet.
    #[must_use]
    pub fn is_unconfirmed(&self, call: CallId) -> bool {
        self.lock().calls.get(&call).is_some_and(|entry| !entry.confirmed)
    }

    /// Hands a media event to its call; gives it back when there is no such call.
    pub fn media(&self, event: MediaEvent) -> Option<MediaEvent> {
        let table = &mut *self.lock();
        let id = event.call();
        let call = table.media.get(&id).copied().unwrap_or(id);
        let Some(entry) = table.calls.get_mut(&call) else { return Some(event) };
        deliver(entry, CallEvent::Media(event));
        None
    }

    /// Keeps both sides of a call out of its recording, or lets them in again, from when this returns.
    ///
    /// # Errors
    /// [`NotPaused`]: nothing has changed.
    pub async fn pause_recording(&self, call: CallId, pausing: bool) -> Result<(), NotPaused> {
        let (done, paused) = oneshot::channel();
        {
            let table = &mut *self.lock();
            let entry = table.calls.get_mut(&call).ok_or(NotPaused::NoCall)?;
            deliver(entry, CallEvent::PauseRecording { pausing, done });
        }
        match paused.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotPaused::NotRecorded),
            Err(_) => Err(NotPaused::NoCall),
        }
    }

    /// Whether new calls are refused because the daemon is stopping.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.lock().draining
    }

    /// One call of this moment.
    #[must_use]
    pub fn find(&self, call: CallId) -> Option<LiveCall> {
        self.lock().calls.get(&call).map(|entry| entry.live.clone())
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
        for entry in table.calls.values_mut() {
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

fn deliver(entry: &mut Entry, event: CallEvent) {
    // Without a mailbox the actor is ending its call already.
    let Some(mailbox) = &entry.mailbox else { return };
    if event.may_be_lost() && mailbox.capacity() <= CALL_EVENTS_RESERVE {
        tracing::debug!(call = %entry.live.call, event = event.name(), "an event of the call found no room");
        return;
    }
    if let Err(mpsc::error::TrySendError::Full(event)) = mailbox.try_send(event) {
        tracing::error!(call = %entry.live.call, event = event.name(), "the call does not read its events and is given up");
        entry.mailbox = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(n: u64) -> LiveCall {
        LiveCall {
            call: CallId(n),
            from: String::new(),
            withheld: false,
            number: String::new(),
            started: Wallclock(n),
            direction: Direction::Inbound,
            state: CallState::Ringing,
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
        assert_eq!(registry.admit_outgoing(live(4), false).unwrap_err(), NotAdmitted::Full(2));
        let _emergency = registry.admit_outgoing(live(5), true).unwrap();
        registry.release(CallId(5));
        registry.release(CallId(1));
        assert!(registry.admit(LegId(3), live(3)).is_ok());
        assert_eq!(registry.live().len(), 2);
    }

    #[test]
    fn calls_that_nobody_acknowledged_make_room_for_others_in_time() {
        let registry = Registry::new(3);
        let mut mailboxes: Vec<_> = (1..=3).map(|n| registry.admit(LegId(n), live(n)).unwrap()).collect();
        let later = Wallclock(u64::try_from(UNACKNOWLEDGED_MAX.as_millis()).unwrap() + 2);
        assert_eq!(registry.make_room(later, None), None, "they ring");
        for n in 1..=3 {
            registry.answered(CallId(n), "echo", None);
        }
        assert!(registry.signal(SipEvent::Confirmed { leg: LegId(1), answer: None }).is_none());
        assert_eq!(registry.make_room(Wallclock(4), None), None, "the ACK may be on its way");
        assert_eq!(registry.make_room(later, None), Some(LegId(2)), "the first is talked, the third is younger");
        let ended = mailboxes[1].try_recv().unwrap();
        assert!(matches!(ended, CallEvent::Sip(SipEvent::Ended { by: EndedBy::Timeout, .. })));
        let _four = registry.admit(LegId(4), live(4)).unwrap();
        assert_eq!(registry.admit(LegId(5), live(5)).unwrap_err(), NotAdmitted::Full(3));
        registry.release(CallId(2));
        assert_eq!(
            registry.admit(LegId(5), live(5)).unwrap_err(),
            NotAdmitted::Full(3),
            "its seat was given away once"
        );
    }

    #[test]
    fn what_one_source_does_not_acknowledge_leaves_half_of_the_seats_to_others() {
        let (registry, half) = (Registry::new(20), 10);
        let (noisy, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut mailboxes = Vec::new();
        for n in 1..=half {
            mailboxes.push(registry.admit_from(noisy, LegId(n), live(n)).unwrap());
            registry.answered(CallId(n), "echo", None);
        }
        let refused = registry.admit_from(noisy, LegId(11), live(11)).unwrap_err();
        assert_eq!(refused, NotAdmitted::Unacknowledged(10));
        mailboxes.push(registry.admit_from(other, LegId(11), live(11)).unwrap());
        let later = Wallclock(u64::try_from(UNACKNOWLEDGED_MAX.as_millis()).unwrap() + 1);
        assert_eq!(registry.make_room(later, Some(other)), None, "there is room for others");
        assert_eq!(registry.make_room(later, Some(noisy)), Some(LegId(1)), "its own oldest goes");
        mailboxes.push(registry.admit_from(noisy, LegId(12), live(12)).unwrap());
        registry.answered(CallId(12), "echo", None);
        assert!(registry.admit_from(noisy, LegId(13), live(13)).is_err());
        assert!(registry.signal(SipEvent::Confirmed { leg: LegId(2), answer: None }).is_none());
        assert!(registry.admit_from(noisy, LegId(13), live(13)).is_ok(), "who acknowledges goes on");
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
    fn a_bridge_hears_of_both_its_legs_until_it_is_gone() {
        let registry = Registry::new(2);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        assert!(registry.join_leg(CallId(1), LegId(7)));
        registry.join_media(CallId(1), CallId(70));
        assert_eq!(registry.held_by(CallId(1)), (vec![LegId(1), LegId(7)], vec![CallId(1), CallId(70)]));
        assert!(registry.signal(SipEvent::Cancelled { leg: LegId(7) }).is_none());
        assert!(registry.media(MediaEvent::MediaTimeout { call: CallId(70) }).is_none());
        assert!(matches!(one.try_recv(), Ok(CallEvent::Sip(SipEvent::Cancelled { leg: LegId(7) }))));
        assert!(matches!(one.try_recv(), Ok(CallEvent::Media(MediaEvent::MediaTimeout { call: CallId(70) }))));
        assert_eq!(registry.live().len(), 1, "a bridge is one call");
        registry.release(CallId(1));
        assert!(registry.signal(SipEvent::Cancelled { leg: LegId(7) }).is_some());
        assert!(registry.media(MediaEvent::MediaTimeout { call: CallId(70) }).is_some());
        assert!(!registry.join_leg(CallId(1), LegId(8)));
    }

    #[test]
    fn a_leg_that_has_moved_is_heard_by_its_new_call_alone() {
        let registry = Registry::new(2);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        let mut two = registry.admit(LegId(2), live(2)).unwrap();
        assert!(registry.join_leg(CallId(1), LegId(7)));
        assert_eq!(registry.move_leg(LegId(7), CallId(2)), Some(CallId(1)));
        assert_eq!((registry.call_of(LegId(7)), registry.move_leg(LegId(7), CallId(9))), (Some(CallId(2)), None));
        assert_eq!(registry.held_by(CallId(1)).0, [LegId(1)]);
        registry.release(CallId(1));
        assert!(registry.signal(SipEvent::Cancelled { leg: LegId(7) }).is_none());
        assert!(one.try_recv().is_err() && two.try_recv().is_ok());
        registry.release(CallId(2));
        assert_eq!((registry.call_of(LegId(7)), registry.move_leg(LegId(7), CallId(2))), (None, None));
    }

    #[test]
    fn what_is_kept_with_a_call_goes_with_it() {
        struct Told(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let dropped = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let so_far = || dropped.load(std::sync::atomic::Ordering::Relaxed);
        let registry = Registry::new(1);
        registry.keep(CallId(1), Told(dropped.clone()));
        assert_eq!(so_far(), 1, "there is no such call");
        let _one = registry.admit(LegId(1), live(1)).unwrap();
        assert_eq!((registry.call_of(LegId(1)), registry.call_of(LegId(2))), (Some(CallId(1)), None));
        registry.keep(CallId(1), Told(dropped.clone()));
        assert_eq!(so_far(), 1);
        registry.release(CallId(1));
        assert_eq!(so_far(), 2);
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
    fn a_flood_of_keys_does_not_hide_the_end_of_the_call() {
        let registry = Registry::new(1);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        for _ in 0..CALL_EVENTS_MAX + 10 {
            registry.signal(SipEvent::InfoDigit { leg: LegId(1), digit: '1' });
            registry.media(MediaEvent::Digit { call: CallId(1), digit: '1', at: crate::time::MediaTime(0) });
        }
        registry.signal(SipEvent::Cancelled { leg: LegId(1) });
        let last = std::iter::from_fn(|| one.try_recv().ok()).last();
        assert!(matches!(last, Some(CallEvent::Sip(SipEvent::Cancelled { .. }))), "{last:?}");
    }

    #[test]
    fn an_actor_that_reads_nothing_loses_its_mailbox() {
        let registry = Registry::new(1);
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        for _ in 0..=CALL_EVENTS_MAX {
            registry.signal(SipEvent::Confirmed { leg: LegId(1), answer: None });
        }
        while one.try_recv().is_ok() {}
        assert_eq!(one.try_recv().unwrap_err(), mpsc::error::TryRecvError::Disconnected);
    }

    #[tokio::test]
    async fn a_pause_is_said_to_be_so_once_it_is() {
        let registry = Registry::new(1);
        assert_eq!(registry.pause_recording(CallId(1), true).await, Err(NotPaused::NoCall));
        let mut one = registry.admit(LegId(1), live(1)).unwrap();
        for (answer, outcome) in
            [(Some(true), Ok(())), (Some(false), Err(NotPaused::NotRecorded)), (None, Err(NotPaused::NoCall))]
        {
            let (told, ()) = tokio::join!(registry.pause_recording(CallId(1), true), async {
                let Some(CallEvent::PauseRecording { pausing: true, done }) = one.recv().await else { panic!() };
                if let Some(answer) = answer {
                    done.send(answer).unwrap();
                }
            });
            assert_eq!(told, outcome);
        }
    }

    #[test]
    fn a_report_on_a_call_that_is_gone_comes_back() {
        let registry = Registry::new(1);
        assert!(registry.media(MediaEvent::MediaTimeout { call: CallId(1) }).is_some());
    }

    #[test]
    fn what_a_leg_takes_of_its_trunk_goes_where_the_leg_goes_and_ends_with_it() {
        use crate::call::caps::Caps;
        let trunk: crate::config::Trunk = toml::from_str("name = \"carrier\"\nhost = \"sbc.example\"").unwrap();
        let (registry, caps) = (Registry::new(3), Caps::default());
        let take = || caps.incoming(&trunk).unwrap();
        let _one = registry.admit(LegId(1), live(1)).unwrap();
        let _two = registry.admit(LegId(2), live(2)).unwrap();
        assert!(registry.join_leg(CallId(1), LegId(7)) && registry.join_leg(CallId(2), LegId(8)));
        for leg in [1, 7, 8] {
            registry.hold(LegId(leg), take());
        }
        assert_eq!(caps.in_use("carrier"), 3);
        // The far end of one call goes on in the other.
        assert_eq!(registry.move_leg(LegId(7), CallId(2)), Some(CallId(1)));
        registry.release(CallId(1));
        assert_eq!(caps.in_use("carrier"), 2, "leg 1 has gone with its call, and 7 has not");
        // The leg in whose place it has come ends; the call goes on.
        let over = |leg| SipEvent::Ended { leg, by: EndedBy::Local, reason: None, cause: None };
        assert!(registry.signal(over(LegId(8))).is_none());
        assert_eq!(caps.in_use("carrier"), 1);
        registry.release(CallId(2));
        assert_eq!(caps.in_use("carrier"), 0);
        registry.hold(LegId(7), take());
        assert_eq!(caps.in_use("carrier"), 0, "there is no such leg any more");
    }
}
