//! One call's signalling state. Purpose: what the agent remembers between messages; the rules are in the agent's parts.

use crate::sip::dialog::Dialog;
use crate::sip::hop::Hop;
use crate::sip::transaction::Repeat;
use crate::time::Tick;

/// Number of a transaction inside the agent.
pub(super) type TransactionId = u64;

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) phase: Phase,
    /// `None` only while [`Phase::Calling`].
    pub(super) dialog: Option<Dialog>,
    /// Our Contact value.
    pub(super) contact: Vec<u8>,
    /// The first 2xx has been acknowledged: BYE may be sent at any time.
    pub(super) confirmed: bool,
    /// Re-INVITE of the peer that waits for our answer.
    pub(super) reinvite: Option<TransactionId>,
    /// The 2xx that has not been acknowledged yet.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// Ringing limit, or the end of waiting for the response to a CANCEL.
    pub(super) deadline: Option<Tick>,
    /// Hanging up waits: for the ACK (RFC 3261 §15), or for the first response (§9.1).
    pub(super) hang_up: Option<HangUp>,
    /// Our last description.
    pub(super) local_sdp: Vec<u8>,
    /// The peer's last description; after a re-INVITE only once we have accepted it.
    pub(super) remote_sdp: Vec<u8>,
    /// The description in the re-INVITE that waits.
    pub(super) offered_sdp: Option<Vec<u8>>,
    /// The peer of a call that we placed, whatever the source policy says.
    pub(super) placed_to: Option<Hop>,
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
}

#[derive(Clone, Debug)]
pub(super) struct HangUp {
    pub(super) reason: Option<String>,
    /// Nobody asked: the ringing limit ran out.
    pub(super) unanswered: bool,
}

#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub(super) bytes: Vec<u8>,
    pub(super) hop: Hop,
    pub(super) sequence: u32,
    pub(super) repeat: Repeat,
    pub(super) give_up: Tick,
}

impl Leg {
    pub(super) fn new(phase: Phase, contact: Vec<u8>) -> Self {
        Self {
            phase,
            dialog: None,
            contact,
            confirmed: false,
            reinvite: None,
            unacknowledged: None,
            deadline: None,
            hang_up: None,
            local_sdp: Vec::new(),
            remote_sdp: Vec::new(),
            offered_sdp: None,
            placed_to: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let waiting = self.unacknowledged.as_ref().map(|u| u.repeat.due.min(u.give_up));
        [waiting, self.deadline].into_iter().flatten().min()
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
