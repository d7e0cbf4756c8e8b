//! Non-INVITE client transaction (RFC 3261 §17.1.2): Trying → Proceeding → Completed ─K→ Terminated; E repeats, F gives up.

use super::{Expiry, GIVE_UP, Receipt, Repeat, State, T2, T4, earliest};
use crate::time::Tick;

/// The machine.
#[derive(Clone, Debug)]
pub struct NonInviteClient {
    state: State,
    reliable: bool,
    repeat: Option<Repeat>,
    deadline: Option<Tick>,
}

impl NonInviteClient {
    /// The request is being sent now. `reliable` = over TCP or TLS: nothing is repeated.
    #[must_use]
    pub fn new(now: Tick, reliable: bool) -> Self {
        let repeat = (!reliable).then(|| Repeat::start(now, T2)); // E
        Self { state: State::Trying, reliable, repeat, deadline: Some(now + GIVE_UP) } // F
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// A response with this transaction's branch and method came.
    pub fn handle_response(&mut self, now: Tick, code: u16) -> Receipt {
        match (self.state, code) {
            (State::Trying | State::Proceeding, 100..200) => {
                if self.state == State::Trying {
                    self.repeat = self.repeat.map(|_| Repeat::at(now, T2));
                }
                self.state = State::Proceeding;
                Receipt { deliver: true, acknowledge: false }
            }
            (State::Trying | State::Proceeding, 200..700) => {
                self.repeat = None;
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                self.deadline = (!self.reliable).then(|| now + T4); // K
                Receipt { deliver: true, acknowledge: false }
            }
            _ => Receipt::default(),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Tick) -> Expiry {
        if self.deadline.is_some_and(|d| d <= now) {
            let unanswered = self.state != State::Completed;
            *self = Self { state: State::Terminated, repeat: None, deadline: None, ..*self };
            return if unanswered { Expiry::TimedOut } else { Expiry::Terminated };
        }
        if self.repeat.as_mut().is_some_and(|r| r.fire(now)) { Expiry::Resend } else { Expiry::Nothing }
    }

    /// Nobody waits for this hop any more; late responses are still known as such.
    pub const fn stop_repeating(&mut self) {
        self.repeat = None;
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        earliest(self.repeat, self.deadline)
    }
}
