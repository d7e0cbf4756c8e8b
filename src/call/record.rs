//! How calls end. Purpose: every call ends once, with a class that statistics can count and a reason that a person
//! can read. Pure data. Deliberately absent: writing it down (`store::calls`).

use std::fmt;

/// Who or what ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndClass {
    /// The caller hung up after the call was answered.
    CallerHungUp,
    /// The other end of a bridged call hung up.
    CalleeHungUp,
    /// The agent said goodbye and hung up.
    AgentHungUp,
    /// The caller gave up before the answer (CANCEL).
    Cancelled,
    /// We refused the call; the reason holds the status code.
    Refused,
    /// No RTP arrived for 60 s.
    MediaTimeout,
    /// The far end stopped answering (no ACK, no response to BYE).
    SignallingTimeout,
    /// It lasted as long as a call may last.
    TooLong,
    /// The daemon was told to stop.
    Drained,
    /// A fault of ours ended it.
    Failed,
}

impl EndClass {
    /// The name in records, metrics and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::CalleeHungUp => "callee_hung_up",
            Self::AgentHungUp => "agent_hung_up",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::MediaTimeout => "media_timeout",
            Self::SignallingTimeout => "signalling_timeout",
            Self::TooLong => "too_long",
            Self::Drained => "drained",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for EndClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The end of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// Class, for counting.
    pub class: EndClass,
    /// Reason, for people.
    pub reason: String,
}

impl CallEnd {
    /// An end of `class` for `reason`.
    #[must_use]
    pub fn new(class: EndClass, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into() }
    }
}
