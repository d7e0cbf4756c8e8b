//! One call's signalling state. Purpose: what the agent remembers between messages; the rules are in the agent's parts.
//! Invariant: whatever waits for the peer or for the call side has a deadline in [`Leg::poll_timeout`].

use std::collections::VecDeque;

use super::branch::Places;
use super::fork::Fork;
use super::info::Digits;
use super::reason::Reason;
use super::refer::{OurRefer, TheirRefer};
use super::reliable::Provisional;
use super::renewal::{HeldAck, Renewal};
use super::table::MergeKey;
use super::timer::{SessionTimer, SessionWish};
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::hop::Hop;
use crate::sip::transaction::Repeat;
use crate::time::Tick;

/// Number of a transaction inside the agent.
pub(super) type TransactionId = u64;

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) phase: Phase,
    /// `None` only while [`Phase::Calling`], whose early dialogs are its forks.
    pub(super) dialog: Option<Dialog>,
    /// What tells a forked copy of the INVITE that opened it.
    pub(super) merge_key: Option<MergeKey>,
    /// Our Contact value.
    pub(super) contact: Vec<u8>,
    /// The first 2xx has been acknowledged: BYE may be sent at any time.
    pub(super) confirmed: bool,
    /// Request of the peer that waits for our answer.
    pub(super) asked: Option<Asked>,
    /// The 2xx that has not been acknowledged yet.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// The ACK that waits for our answer to the peer's offer.
    pub(super) held: Option<HeldAck>,
    /// Ringing limit, or the end of waiting for the response to a CANCEL.
    pub(super) deadline: Option<Tick>,
    /// Hanging up waits: for the ACK (RFC 3261 §15), or for the first response (§9.1).
    pub(super) hang_up: Option<HangUp>,
    /// Our last description.
    pub(super) local_sdp: Vec<u8>,
    /// The peer's last description; after a re-INVITE only once we have accepted it.
    pub(super) remote_sdp: Vec<u8>,
    /// How often our description has changed: an offer made before the last change is out of date.
    pub(super) changes: u32,
    /// Our own re-INVITE or UPDATE that is under way, and the one that waits for it.
    pub(super) renewals: VecDeque<Renewal>,
    pub(super) session: SessionTimer,
    /// What the INVITE that waits for our answer asks of it.
    pub(super) session_wish: Option<SessionWish>,
    /// Our provisional responses.
    pub(super) provisional: Provisional,
    /// The transfer that we asked for.
    pub(super) refer: Option<OurRefer>,
    /// The transfer that we were asked for.
    pub(super) referred: Option<TheirRefer>,
    pub(super) digits: Digits,
    /// The peer allows UPDATE.
    pub(super) takes_update: bool,
    /// The peer of a call that we placed, whatever the source policy says.
    pub(super) placed_to: Option<Hop>,
    /// Whether the peer takes TCP for what is too large for a datagram, once that is known.
    pub(super) stream: Option<bool>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// They call; no final response yet.
    Offered { transaction: TransactionId },
    /// We call; no final response yet.
    Calling(Calling),
    /// 2xx sent or received.
    Established,
    /// Our BYE is on its way.
    Ending,
}

#[derive(Debug)]
pub(super) struct Calling {
    pub(super) transaction: TransactionId,
    /// A provisional response has come, so CANCEL may be sent.
    pub(super) heard: bool,
    pub(super) cancelled: bool,
    /// SDP from a 18x, used when the 2xx has none.
    pub(super) early_answer: Option<Vec<u8>>,
    /// The early dialogs.
    pub(super) forks: Vec<Fork>,
    /// How often the peer has found our session interval too small.
    pub(super) intervals_tried: u8,
    /// How often the peer may still say that the call is taken elsewhere.
    pub(super) redirects: u8,
    /// Request-URIs that were called in vain.
    pub(super) targets: Vec<Vec<u8>>,
    /// Where else it rings, or will.
    pub(super) places: Option<Box<Places>>,
}

#[derive(Clone, Debug)]
pub(super) struct HangUp {
    pub(super) reason: Reason,
    /// Nobody asked: the ringing limit ran out.
    pub(super) unanswered: bool,
}

/// A request of the peer with an offer, or a re-INVITE without.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) transaction: TransactionId,
    pub(super) method: AskedBy,
    /// The dialog that it came in.
    pub(super) dialog: DialogId,
    pub(super) offer: Option<Vec<u8>>,
    pub(super) session: Option<SessionWish>,
    pub(super) give_up: Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AskedBy {
    Invite,
    Update,
    Prack,
}

#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub(super) bytes: Vec<u8>,
    pub(super) hop: Hop,
    pub(super) sequence: u32,
    /// The 2xx carried our offer; the ACK brings the answer.
    pub(super) offers: bool,
    pub(super) repeat: Repeat,
    pub(super) give_up: Tick,
}

impl Calling {
    pub(super) const fn new(transaction: TransactionId) -> Self {
        Self {
            transaction,
            heard: false,
            cancelled: false,
            early_answer: None,
            forks: Vec::new(),
            intervals_tried: 0,
            redirects: 0,
            targets: Vec::new(),
            places: None,
        }
    }
}

impl Leg {
    pub(super) fn new(phase: Phase, contact: Vec<u8>) -> Self {
        Self {
            phase,
            dialog: None,
            merge_key: None,
            contact,
            confirmed: false,
            asked: None,
            unacknowledged: None,
            held: None,
            deadline: None,
            hang_up: None,
            local_sdp: Vec::new(),
            remote_sdp: Vec::new(),
            changes: 0,
            renewals: VecDeque::new(),
            session: SessionTimer::default(),
            session_wish: None,
            provisional: Provisional::default(),
            refer: None,
            referred: None,
            digits: Digits::default(),
            takes_update: false,
            placed_to: None,
            stream: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let waiting = self.unacknowledged.as_ref().map(|u| u.repeat.due.min(u.give_up));
        let turn = match &self.phase {
            Phase::Calling(calling) => calling.places.as_ref().and_then(|places| places.poll_timeout()),
            _ => None,
        };
        let deadlines = [
            waiting,
            turn,
            self.deadline,
            self.asked.as_ref().map(|a| a.give_up),
            self.held.as_ref().map(|h| h.give_up),
            self.renewals.front().and_then(Renewal::poll_timeout),
            self.session.poll_timeout(),
            self.provisional.poll_timeout(),
            self.refer.as_ref().and_then(|r| r.give_up),
            self.referred.as_ref().and_then(|r| r.give_up),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The dialog of the leg with this identity, early or confirmed.
    pub(super) fn dialog_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        if self.dialog.as_ref().is_some_and(|d| d.id == *id) {
            return self.dialog.as_mut();
        }
        let Phase::Calling(calling) = &mut self.phase else { return None };
        calling.forks.iter_mut().map(|fork| &mut fork.dialog).find(|dialog| dialog.id == *id)
    }

    /// Our description from now on.
    pub(super) fn describe(&mut self, sdp: &[u8]) {
        if self.local_sdp != sdp {
            self.changes += 1;
            self.local_sdp = sdp.to_vec();
        }
    }

    /// Nothing is waited for any more but the answer to our BYE.
    pub(super) fn settle(&mut self) {
        (self.unacknowledged, self.held, self.deadline, self.refer, self.referred) = (None, None, None, None, None);
        self.renewals.clear();
        self.session = SessionTimer::default();
        self.provisional = Provisional::default();
        self.digits = Digits::default();
    }

    pub(super) const fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Offered { .. } => "ringing",
            Phase::Calling(_) => "calling",
            Phase::Established if self.unacknowledged.is_some() => "waiting for the ACK",
            Phase::Established => "established",
            Phase::Ending => "hanging up",
        }
    }
}
