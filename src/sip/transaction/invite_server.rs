//! INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §8.7).
//!
//! ```text
//!             INVITE │ owner sends 100
//!                    ▼      1xx
//!               Proceeding ◄────┘
//!        300–699 │      │ 2xx
//!     (G,H) ▼           ▼ (L)
//!      Completed     Accepted ─ INVITE absorbed, 2xx and ACK pass
//!   ACK │   │ H         │ L
//!       ▼   └──────► Terminated
//!   Confirmed ── I ──────▲
//! ```

use super::{AckMeaning, Expiry, GIVE_UP, Repeat, State, T2, T4, earliest};
use crate::time::Tick;

/// The machine.
#[derive(Clone, Debug)]
pub struct InviteServer {
    state: State,
    reliable: bool,
    repeat: Option<Repeat>,
    deadline: Option<Tick>,
}

impl InviteServer {
    /// A request has come. `reliable` = over TCP or TLS: nothing is repeated.
    #[must_use]
    pub const fn new(reliable: bool) -> Self {
        Self { state: State::Proceeding, reliable, repeat: None, deadline: None }
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The user responds; `true` = send and remember it.
    pub fn respond(&mut self, now: Tick, code: u16) -> bool {
        match (self.state, code) {
            (State::Proceeding, 100..200) | (State::Accepted, 200..300) => true,
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.deadline = Some(now + GIVE_UP); // L
                true
            }
            (State::Proceeding, 300..700) => {
                self.state = State::Completed;
                self.repeat = (!self.reliable).then(|| Repeat::start(now, T2)); // G
                self.deadline = Some(now + GIVE_UP); // H
                true
            }
            _ => false,
        }
    }

    /// The INVITE came again; `true` = send the last response again.
    #[must_use]
    pub const fn handle_repeat(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed)
    }

    /// An ACK with this transaction's branch came.
    pub fn handle_ack(&mut self, now: Tick) -> AckMeaning {
        match self.state {
            State::Completed => {
                self.repeat = None;
                self.state = if self.reliable { State::Terminated } else { State::Confirmed };
                self.deadline = (!self.reliable).then(|| now + T4); // I
                AckMeaning::Absorbed
            }
            State::Accepted => AckMeaning::ForDialog,
            _ => AckMeaning::Absorbed,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Tick) -> Expiry {
        if self.deadline.is_some_and(|d| d <= now) {
            let unacknowledged = self.state == State::Completed;
            *self = Self { state: State::Terminated, repeat: None, deadline: None, ..*self };
            return if unacknowledged { Expiry::TimedOut } else { Expiry::Terminated };
        }
        if self.repeat.as_mut().is_some_and(|r| r.fire(now)) { Expiry::Resend } else { Expiry::Nothing }
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        earliest(self.repeat, self.deadline)
    }
}
