//! INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §8.4).
//!
//! ```text
//!      INVITE sent (A repeats, B gives up)
//!          ▼        1xx           1xx
//!       Calling ─────────► Proceeding ◄─┘
//!    2xx │   │ 300–699: ACK   │   │
//!        ▼   ▼                ▼   ▼
//!   Accepted (M)          Completed (D) ─ repeats of the refusal get the ACK again
//!        └───► Terminated ◄────┘
//! ```

use std::time::Duration;

use super::{Expiry, GIVE_UP, Receipt, Repeat, State, earliest};
use crate::time::Tick;

/// The machine.
#[derive(Clone, Debug)]
pub struct InviteClient {
    state: State,
    reliable: bool,
    repeat: Option<Repeat>,
    deadline: Option<Tick>,
    abandoned: bool,
}

impl InviteClient {
    /// The INVITE is being sent now. `reliable` = over TCP or TLS: nothing is repeated.
    #[must_use]
    pub fn new(now: Tick, reliable: bool) -> Self {
        // Timer A doubles without a ceiling.
        let repeat = (!reliable).then(|| Repeat::start(now, Duration::MAX));
        Self { state: State::Calling, reliable, repeat, deadline: Some(now + GIVE_UP), abandoned: false }
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// A response with this transaction's branch came.
    pub fn handle_response(&mut self, now: Tick, code: u16) -> Receipt {
        match (self.state, code) {
            (State::Calling | State::Proceeding, 100..200) => {
                (self.state, self.repeat) = (State::Proceeding, None);
                self.deadline = self.deadline.filter(|_| self.abandoned);
                Receipt { deliver: true, acknowledge: false }
            }
            (State::Calling | State::Proceeding, 200..300) => {
                (self.state, self.repeat, self.deadline) = (State::Accepted, None, Some(now + GIVE_UP)); // M
                Receipt { deliver: true, acknowledge: false }
            }
            (State::Calling | State::Proceeding, 300..700) => {
                self.repeat = None;
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                self.deadline = (!self.reliable).then(|| now + GIVE_UP); // D
                Receipt { deliver: true, acknowledge: true }
            }
            (State::Completed, 300..700) => Receipt { deliver: false, acknowledge: true },
            (State::Accepted, 200..300) => Receipt { deliver: true, acknowledge: false },
            _ => Receipt::default(),
        }
    }

    /// Nobody waits for this hop any more; late responses are still known as such.
    pub const fn stop_repeating(&mut self) {
        self.repeat = None;
    }

    /// Nobody waits for the final response any more: should it never come, the machine ends all the same.
    pub fn abandon(&mut self, now: Tick) {
        if matches!(self.state, State::Calling | State::Proceeding) {
            self.abandoned = true;
            self.deadline = Some(self.deadline.map_or(now + GIVE_UP, |deadline| deadline.min(now + GIVE_UP)));
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Tick) -> Expiry {
        if self.deadline.is_some_and(|d| d <= now) {
            let unanswered = self.state == State::Calling;
            *self = Self { state: State::Terminated, repeat: None, deadline: None, ..*self };
            return if unanswered { Expiry::TimedOut } else { Expiry::Terminated };
        }
        if self.repeat.as_mut().is_some_and(|r| r.fire(now)) { Expiry::Resend } else { Expiry::Nothing }
    }

    /// When to call `handle_timeout`; `None` while the peer rings (the user limits that).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        earliest(self.repeat, self.deadline)
    }
}
