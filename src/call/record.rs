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
    /// Somebody outside ended it by the control API.
    OperatorHungUp,
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
    /// We called, and the other end was busy.
    Busy,
    /// We called, and nobody answered.
    NoAnswer,
    /// We called, and were refused.
    Rejected,
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
            Self::OperatorHungUp => "operator_hung_up",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::MediaTimeout => "media_timeout",
            Self::SignallingTimeout => "signalling_timeout",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Rejected => "rejected",
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
    /// Final response that was sent or received, where the call was not answered.
    pub sip_code: Option<u16>,
}

impl CallEnd {
    /// An end of `class` for `reason`.
    #[must_use]
    pub fn new(class: EndClass, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), sip_code: None }
    }

    /// The same with the final response that it came by.
    #[must_use]
    pub const fn with_code(mut self, code: u16) -> Self {
        self.sip_code = Some(code);
        self
    }

    /// How a call that we placed ended by this final response.
    #[must_use]
    pub fn refused_by(code: u16, phrase: &str) -> Self {
        let class = match code {
            486 | 600 => EndClass::Busy,
            408 | 480 | 487 => EndClass::NoAnswer,
            _ => EndClass::Rejected,
        };
        Self::new(class, format!("{code} {phrase}").trim_end().to_owned()).with_code(code)
    }

    /// Cause of ITU-T Q.850, as billing and trunks count: RFC 3398 section 8.2.6.1 for final responses.
    #[must_use]
    pub const fn q850(&self) -> u8 {
        match (self.sip_code, self.class) {
            (Some(404 | 485 | 604), _) => 1,
            (Some(410), _) => 22,
            (Some(486 | 600), _) => 17,
            (Some(480), _) => 18,
            (Some(408), _) => 102,
            (Some(401..=403 | 405 | 407 | 603 | 607 | 608), _) => 21,
            (Some(484), _) => 28,
            (Some(482 | 483), _) => 25,
            (Some(406 | 415 | 488 | 606), _) => 65,
            (Some(420 | 421 | 493), _) => 127,
            (Some(502), _) => 38,
            (Some(503), _) => 41,
            (Some(504), _) => 102,
            (Some(500), _) => 41,
            (Some(501), _) => 79,
            (_, EndClass::Busy) => 17,
            (_, EndClass::NoAnswer) => 19,
            (_, EndClass::Rejected | EndClass::Refused) => 21,
            (_, EndClass::MediaTimeout) => 41,
            (_, EndClass::SignallingTimeout | EndClass::TooLong) => 102,
            (_, EndClass::Failed | EndClass::Drained) => 41,
            (
                _,
                EndClass::CallerHungUp
                | EndClass::CalleeHungUp
                | EndClass::AgentHungUp
                | EndClass::OperatorHungUp
                | EndClass::Cancelled,
            ) => 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_responses_become_classes_and_causes() {
        for (code, class, cause) in [
            (486, EndClass::Busy, 17),
            (600, EndClass::Busy, 17),
            (480, EndClass::NoAnswer, 18),
            (408, EndClass::NoAnswer, 102),
            (603, EndClass::Rejected, 21),
            (404, EndClass::Rejected, 1),
            (488, EndClass::Rejected, 65),
            (503, EndClass::Rejected, 41),
            (499, EndClass::Rejected, 21),
        ] {
            let end = CallEnd::refused_by(code, "Phrase");
            assert_eq!((end.class, end.q850(), end.sip_code), (class, cause, Some(code)));
            assert_eq!(end.reason, format!("{code} Phrase"));
        }
        assert_eq!(CallEnd::new(EndClass::CallerHungUp, "BYE").q850(), 16);
        assert_eq!(CallEnd::new(EndClass::NoAnswer, "90 s").q850(), 19);
    }
}
