//! The four transaction machines of RFC 3261 §17 with the Accepted state of RFC 6026, and how messages find theirs.
//! Purpose: retransmission, absorption of repeats, and an end to everything. A machine holds state and deadlines only;
//! its owner keeps the message to send again. Invariants: with the last input given, every machine terminates within
//! 64·T1 + T4; `handle_timeout` does one thing per call, so call it while `poll_timeout` lies in the past.

mod invite_client;
mod invite_server;
mod key;
mod non_invite_client;
mod non_invite_server;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{ClientKey, ServerKey};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;

use crate::time::Tick;

/// Round-trip estimate (RFC 3261 §17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest interval between repeats of non-INVITE requests and INVITE responses.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: timers B, F, H, J, L, M, and D over UDP.
pub const GIVE_UP: Duration = Duration::from_secs(32);

const _: () = assert!(GIVE_UP.as_millis() == 64 * T1.as_millis());

/// States, shared by the machines; each uses some of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// INVITE sent, nothing heard.
    Calling,
    /// Non-INVITE sent or received, nothing heard or said.
    Trying,
    /// Provisional responses only.
    Proceeding,
    /// Final response other than 2xx to INVITE.
    Completed,
    /// ACK to a non-2xx final received.
    Confirmed,
    /// 2xx to INVITE (RFC 6026).
    Accepted,
    /// Over: forget it.
    Terminated,
}

/// What a deadline means for the owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// Nothing was due.
    Nothing,
    /// Send the last message again.
    Resend,
    /// The peer never answered: tell the user; the machine is Terminated.
    TimedOut,
    /// The machine has waited long enough for stragglers and is Terminated.
    Terminated,
}

/// What a response means for the owner of a client transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// Hand it to the user.
    pub deliver: bool,
    /// Acknowledge it within the transaction (INVITE, 300–699).
    pub acknowledge: bool,
}

/// What an ACK means for an INVITE server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckMeaning {
    /// It ended the repeats of a refusal, or repeated itself.
    Absorbed,
    /// It belongs to a 2xx: give it to the dialog.
    ForDialog,
}

/// A message that is repeated at growing intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Repeat {
    pub(crate) due: Tick,
    interval: Duration,
    interval_max: Duration,
}

impl Repeat {
    pub(crate) fn start(now: Tick, interval_max: Duration) -> Self {
        Self { due: now + T1, interval: T1, interval_max }
    }

    fn at(now: Tick, interval: Duration) -> Self {
        Self { due: now + interval, interval, interval_max: interval }
    }

    /// Moves on when due; says whether it was.
    pub(crate) fn fire(&mut self, now: Tick) -> bool {
        if self.due > now {
            return false;
        }
        self.interval = (self.interval * 2).min(self.interval_max);
        // From now on, not from the due time: after a pause of the process there is one repeat, not a burst.
        self.due = now + self.interval;
        true
    }
}

fn earliest(repeat: Option<Repeat>, deadline: Option<Tick>) -> Option<Tick> {
    match (repeat.map(|r| r.due), deadline) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
