//! Non-INVITE server transaction (RFC 3261 §17.2.2): Trying → Proceeding → Completed ─J→ Terminated.

use super::{Expiry, GIVE_UP, State};
use crate::time::Tick;

/// The machine.
#[derive(Clone, Debug)]
pub struct NonInviteServer {
    state: State,
    reliable: bool,
    deadline: Option<Tick>,
}

impl NonInviteServer {
    /// A request has come. `reliable` = over TCP or TLS.
    #[must_use]
    pub const fn new(reliable: bool) -> Self {
        Self { state: State::Trying, reliable, deadline: None }
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The user responds; `true` = send and remember it.
    pub fn respond(&mut self, now: Tick, code: u16) -> bool {
        match (self.state, code) {
            (State::Trying | State::Proceeding, 100..200) => {
                self.state = State::Proceeding;
                true
            }
            (State::Trying | State::Proceeding, 200..700) => {
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                self.deadline = (!self.reliable).then(|| now + GIVE_UP); // J
                true
            }
            _ => false,
        }
    }

    /// The request came again; `true` = send the last response again.
    #[must_use]
    pub const fn handle_repeat(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed)
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Tick) -> Expiry {
        if self.deadline.is_some_and(|d| d <= now) {
            *self = Self { state: State::Terminated, deadline: None, ..*self };
            return Expiry::Terminated;
        }
        Expiry::Nothing
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Tick> {
        self.deadline
    }
}
