//! What a bridged call does, sans-IO: two SIP legs, one call. Purpose: from what either leg reports to what the other one
//! is told (RFC 7092 calls this a B2BUA). Owned by the bridge's actor; time is an argument. Invariants: the caller hears
//! exactly one final answer; a leg that was placed is hung up or known to be over before the call ends; after the end
//! nothing is asked any more. Deliberately absent: session descriptions, audio, digits that travel as RTP.

use crate::call::record::{CallEnd, EndClass};
use crate::limits::{BRIDGE_RINGING_MAX, MEDIA_TIMEOUT};
use crate::time::Tick;
use std::collections::VecDeque;
use std::time::Duration;

/// A report comes this late at most.
const REPORT_LATE_MAX: Duration = Duration::from_secs(5);

/// One of the two legs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Who called us.
    Caller,
    /// Whom we call.
    Callee,
}

impl Side {
    /// The opposite leg.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "called party",
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Our INVITE is on its way.
    Placed,
    /// It could not be sent, or [`Action::Answer`] found no way to join the audio: what the caller is told, and why.
    Failed(Refusal),
    /// The callee's phone answered provisionally; `early` when the response carries a session description.
    Progress {
        /// 101–199.
        code: u16,
        /// Audio before the answer.
        early: bool,
    },
    /// The early description cannot be used; the call goes on without.
    NoEarlyMedia,
    /// The callee has answered.
    Accepted,
    /// The callee refused, or the INVITE timed out (408).
    Refused {
        /// 300–699.
        code: u16,
        /// In the callee's words.
        reason: String,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// The audio of an answered call is gone.
    NoMedia(String),
    /// The caller gave up before the answer.
    Cancelled,
    /// An established leg is over.
    Over {
        /// Which.
        side: Side,
        /// The phone fell silent, rather than said BYE.
        lost: bool,
        /// In the phone's words.
        reason: Option<String>,
    },
    /// A key by SIP INFO.
    Digit(Side, char),
    /// No audio from this side for [`MEDIA_TIMEOUT`]; said again every [`MEDIA_TIMEOUT`] while that lasts.
    Silent(Side),
    /// This side has put us on hold, or come back. While on hold nothing is reported of it.
    Held(Side, bool),
    /// [`BridgeMachine::poll_timeout`] is due.
    Timeout,
    /// No call lasts longer.
    TooLong,
    /// Somebody outside ends the call, for this reason.
    Ordered(String),
    /// One side goes on in another call of ours; the other one is hung up.
    HandedOver {
        /// Who goes on.
        stays: Side,
        /// For the record.
        reason: String,
    },
    /// The daemon is stopping.
    Drain,
}

/// A final answer to the caller other than 200.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 300–699.
    pub code: u16,
    /// Reason phrase.
    pub phrase: &'static str,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// For the log and the record.
    pub why: String,
}

impl Refusal {
    /// Without Retry-After.
    #[must_use]
    pub fn new(code: u16, phrase: &'static str, why: impl Into<String>) -> Self {
        Self { code, phrase, retry_after: None, why: why.into() }
    }
}

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// 180 to the caller.
    Ring,
    /// Join the audio as the callee's provisional response says, then 183 to the caller. [`Input::NoEarlyMedia`] when it
    /// does not work.
    Early,
    /// Join the audio, then 200 to the caller. [`Input::Failed`] when it does not work.
    Answer,
    /// A final refusal to the caller.
    Refuse(Refusal),
    /// End this leg in whatever way its state needs: CANCEL or BYE.
    HangUp(Side, String),
    /// Send the key as RFC 4733 event to this side.
    SendDigit(Side, char),
    /// The call is over.
    End(CallEnd),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The callee is being looked up and called.
    Calling,
    /// Both have answered.
    Talking,
    Over,
}

/// One bridged call.
#[derive(Debug)]
pub struct BridgeMachine {
    phase: Phase,
    /// The caller has heard 180 or 183.
    announced: bool,
    /// Audio flows before the answer.
    early: bool,
    /// There is a leg to hang up.
    placed: bool,
    give_up: Tick,
    /// When both had answered.
    answered: Tick,
    /// From when until when each side is known to have been silent.
    silence: [Option<(Tick, Tick)>; 2],
    held_since: [Option<Tick>; 2],
    actions: VecDeque<Action>,
}

impl BridgeMachine {
    /// The caller's INVITE has come; the callee has [`BRIDGE_RINGING_MAX`] to answer.
    #[must_use]
    pub fn new(now: Tick) -> Self {
        Self {
            phase: Phase::Calling,
            announced: false,
            early: false,
            placed: false,
            give_up: now + BRIDGE_RINGING_MAX,
            answered: now,
            silence: [None; 2],
            held_since: [None; 2],
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        (self.phase == Phase::Calling).then_some(self.give_up)
    }

    /// Whether both have answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.phase == Phase::Talking
    }

    /// Something happened.
    pub fn handle(&mut self, now: Tick, input: Input) {
        match input {
            Input::Silent(side) => self.note_silence(now, side),
            Input::Held(side, true) => {
                self.held_since[side as usize].get_or_insert(now);
            }
            Input::Held(side, false) => self.held_since[side as usize] = None,
            _ => {}
        }
        match self.phase {
            Phase::Calling => self.handle_calling(now, input),
            Phase::Talking => self.handle_talking(now, input),
            // Whatever still comes is about legs that have been told to end.
            Phase::Over => {}
        }
    }

    fn handle_calling(&mut self, now: Tick, input: Input) {
        match input {
            Input::Placed => self.placed = true,
            Input::Failed(refusal) => self.refuse(refusal),
            Input::Progress { early: true, .. } => {
                // Another description comes from another phone that rings as well (a fork): it is heard instead.
                (self.early, self.announced) = (true, true);
                self.actions.push_back(Action::Early);
            }
            Input::Progress { code: 180..=199, .. } | Input::NoEarlyMedia => {
                if matches!(input, Input::NoEarlyMedia) {
                    (self.early, self.announced) = (false, false);
                }
                // Ringing after early audio would make the caller's phone ring over it.
                if !std::mem::replace(&mut self.announced, true) {
                    self.actions.push_back(Action::Ring);
                }
            }
            Input::Accepted => {
                self.phase = Phase::Talking;
                self.answered = now;
                self.actions.push_back(Action::Answer);
            }
            Input::Refused { code, reason, retry_after } => {
                self.placed = false;
                let (seen, phrase) = seen_by_caller(code);
                let retry_after = retry_after.filter(|_| seen == 503);
                let why = format!("the called party answered {code} {reason}");
                self.refuse(Refusal { code: seen, phrase, retry_after, why });
            }
            Input::Cancelled => {
                self.hang_up(Side::Callee, "the caller gave up");
                self.end(EndClass::Cancelled, "the caller gave up before the answer");
            }
            // Our own wish, or a leg that ended without an answer.
            Input::Over { side: Side::Callee, reason, .. } => {
                self.placed = false;
                let why =
                    reason.unwrap_or_else(|| "the called party's phone ended the call before it was answered".into());
                self.refuse(Refusal::new(480, "Temporarily Unavailable", why));
            }
            Input::Over { side: Side::Caller, lost, reason } => {
                self.hang_up(Side::Callee, "the caller is gone");
                let class = if lost { EndClass::SignallingTimeout } else { EndClass::Cancelled };
                self.end(class, reason.unwrap_or_else(|| "the caller's leg ended before the answer".into()));
            }
            Input::Timeout if now >= self.give_up => {
                let why = format!("nobody answered within {} s", BRIDGE_RINGING_MAX.as_secs());
                self.refuse(Refusal::new(480, "Temporarily Unavailable", why));
            }
            Input::Drain => {
                let refusal = Refusal::new(503, "Service Unavailable", "the service is stopping");
                self.refuse(Refusal { retry_after: Some(5), ..refusal });
            }
            Input::Ordered(why) => self.refuse(Refusal::new(603, "Decline", why)),
            Input::TooLong => {
                self.refuse(Refusal::new(480, "Temporarily Unavailable", "the call took too long to be answered"))
            }
            Input::NoMedia(why) => self.refuse(Refusal::new(500, "Server Internal Error", why)),
            Input::Progress { .. }
            | Input::HandedOver { .. }
            | Input::Timeout
            | Input::Digit(..)
            | Input::Silent(_)
            | Input::Held(..) => {}
        }
    }

    /// A report: another minute, or the first one, in which nothing came. One that got lost on its way is forgiven.
    fn note_silence(&mut self, now: Tick, side: Side) {
        let known = &mut self.silence[side as usize];
        let begin =
            known.filter(|(_, last)| now.since(*last) < 2 * MEDIA_TIMEOUT + REPORT_LATE_MAX).map(|(begin, _)| begin);
        *known = Some((begin.unwrap_or(before(now, MEDIA_TIMEOUT)), now));
    }

    /// How long both sides have been silent together since the answer, as far as is known. A side that has us on hold sends
    /// nothing that could be missed, so all that counts is how long.
    fn silent_together(&self, now: Tick) -> Duration {
        let of = |side: Side| match self.held_since[side as usize] {
            Some(since) => Some((since, now)),
            None => self.silence[side as usize],
        };
        let Some((one, other)) = of(Side::Caller).zip(of(Side::Callee)) else { return Duration::ZERO };
        one.1.min(other.1).since(one.0.max(other.0).max(self.answered))
    }

    fn handle_talking(&mut self, now: Tick, input: Input) {
        match input {
            Input::Over { side, lost, reason } => {
                if side == Side::Callee {
                    self.placed = false;
                }
                self.hang_up(side.other(), "the other side hung up");
                let class = match (lost, side) {
                    (true, _) => EndClass::SignallingTimeout,
                    (false, Side::Caller) => EndClass::CallerHungUp,
                    (false, Side::Callee) => EndClass::CalleeHungUp,
                };
                let reason = match (reason, lost) {
                    (Some(reason), _) => reason,
                    (None, true) => format!("the {}'s phone stopped answering", side.name()),
                    (None, false) => "BYE".to_owned(),
                };
                self.end(class, reason);
            }
            Input::HandedOver { stays, reason } => {
                self.hang_up(stays.other(), "transferred");
                self.placed = false;
                let class = match stays {
                    Side::Callee => EndClass::CallerHungUp,
                    Side::Caller => EndClass::CalleeHungUp,
                };
                self.end(class, reason);
            }
            // The answer and the caller's change of mind have crossed.
            Input::Cancelled => {
                self.hang_up(Side::Callee, "the caller gave up");
                self.end(EndClass::Cancelled, "the caller gave up before the answer");
            }
            // There is nothing to answer with; the caller has had no final answer yet.
            Input::Failed(refusal) => self.refuse(refusal),
            Input::NoMedia(why) => self.end_both(EndClass::Failed, &why),
            Input::Digit(side, digit) => self.actions.push_back(Action::SendDigit(side.other(), digit)),
            // One side alone may be silent for long: a muted microphone sends nothing on some phones.
            Input::Silent(_) if self.silent_together(now) + REPORT_LATE_MAX >= MEDIA_TIMEOUT => {
                let text = format!("no audio from either side for {} s", MEDIA_TIMEOUT.as_secs());
                self.end_both(EndClass::MediaTimeout, &text);
            }
            Input::TooLong => self.end_both(EndClass::TooLong, "no call lasts longer"),
            Input::Drain => self.end_both(EndClass::Drained, "the service is stopping"),
            Input::Ordered(why) => self.end_both(EndClass::OperatorHungUp, &why),
            Input::Placed
            | Input::Progress { .. }
            | Input::NoEarlyMedia
            | Input::Accepted
            | Input::Refused { .. }
            | Input::Silent(_)
            | Input::Held(..)
            | Input::Timeout => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.hang_up(Side::Callee, &refusal.why);
        let reason = format!("{} {}: {}", refusal.code, refusal.phrase, refusal.why);
        let end = CallEnd::new(EndClass::Refused, reason).with_code(refusal.code);
        self.actions.push_back(Action::Refuse(refusal));
        self.over(end);
    }

    fn end_both(&mut self, class: EndClass, reason: &str) {
        self.hang_up(Side::Caller, reason);
        self.hang_up(Side::Callee, reason);
        self.end(class, reason);
    }

    fn hang_up(&mut self, side: Side, reason: &str) {
        if side == Side::Caller || std::mem::take(&mut self.placed) {
            self.actions.push_back(Action::HangUp(side, reason.to_owned()));
        }
    }

    fn end(&mut self, class: EndClass, reason: impl Into<String>) {
        self.over(CallEnd::new(class, reason));
    }

    fn over(&mut self, end: CallEnd) {
        self.phase = Phase::Over;
        self.actions.push_back(Action::End(end));
    }
}

fn before(now: Tick, by: Duration) -> Tick {
    Tick(now.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

/// What the caller is told of the callee's refusal. Said of the person or the number, it is passed on; said to us (a
/// password, a route, a fault), it is none of the caller's business.
#[must_use]
pub const fn seen_by_caller(code: u16) -> (u16, &'static str) {
    match code {
        403 => (403, "Forbidden"),
        404 => (404, "Not Found"),
        410 => (410, "Gone"),
        480 => (480, "Temporarily Unavailable"),
        483 => (483, "Too Many Hops"),
        484 => (484, "Address Incomplete"),
        486 => (486, "Busy Here"),
        488 | 606 => (488, "Not Acceptable Here"),
        503 => (503, "Service Unavailable"),
        600 => (600, "Busy Everywhere"),
        603 => (603, "Decline"),
        604 => (604, "Does Not Exist Anywhere"),
        // Nobody answered, in time or at all.
        408 | 487 | 504 => (480, "Temporarily Unavailable"),
        _ => (502, "Bad Gateway"),
    }
}
