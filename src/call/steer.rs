//! What an operator or a program may ask of a running call. Purpose: the vocabulary between whoever steers and the task that
//! owns the call. Plain data, any thread. Invariant: every order is answered once; one that a call in its present state
//! cannot carry out changes nothing. Deliberately absent: how it is carried out (`actor::orders`), HTTP.

use super::player::Source;
use super::room::RoomId;
use crate::config::App;
use crate::rtp::dtmf::Digits;
use crate::sip::agent::LegId;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Order {
    /// Answer a call that rings for this (`app = "manual"`), with that app, or to be steered by orders.
    Answer {
        /// What takes it from here on.
        app: Option<App>,
    },
    /// Speak.
    Say {
        /// At most `limits::SPOKEN_TEXT_MAX` characters.
        text: String,
    },
    /// Play samples.
    Play {
        /// 8 kHz.
        pcm: Arc<[i16]>,
    },
    /// Tell when what was ordered so far has been heard.
    Finish {
        /// By this.
        heard: Heard,
    },
    /// Stop what is being said and played.
    Hush,
    /// Press keys.
    SendDigits(Digits),
    /// The same by SIP INFO, for those who hear nothing else.
    SendInfo(String),
    /// Ask the other side's phone to call somebody else in our place (REFER). Answered when it has, or has refused.
    Refer {
        /// `sip:user@host[:port]`; empty: whoever is at the other end of the call that is replaced.
        to: String,
        /// The call of ours whose place it shall take there (RFC 3891): an attended transfer.
        replaces: Option<LegId>,
    },
    /// Put the other side on hold.
    Hold,
    /// Take it back.
    Resume,
    /// Go into a room.
    Join {
        /// Which.
        room: RoomId,
        /// What becomes of the call when the others have left.
        after: After,
    },
    /// Come back from the room to what the call was before.
    Leave {
        /// What an agent says then.
        line: Option<String>,
    },
    /// Say who is at the other end from this leg of the call, for another call of ours to go on with.
    FarEnd {
        /// Of the telephone between.
        leg: LegId,
    },
    /// Go on with somebody else in the place of one of the call's legs; answered once their phone has agreed.
    /// [`OrderError::Unprocessable`]: it has, but what it said is of no use.
    TakeOver {
        /// The leg that is left. Whoever orders it hangs it up.
        place: LegId,
        /// Who comes.
        by: FarEnd,
    },
    /// The far end that was asked for stays after all.
    GoOn {
        /// Its leg.
        leg: LegId,
        /// Its phone has been told to send its audio elsewhere.
        disturbed: bool,
    },
    /// The far end that was asked for has gone on with another call: this one is over.
    HandedOver {
        /// Its leg.
        leg: LegId,
        /// In words, for the record.
        reason: String,
    },
    /// End the call.
    HangUp {
        /// Final response to a call that has not been answered, 400 to 699.
        code: Option<u16>,
        /// In words, for the record and the other side.
        reason: Option<String>,
    },
}

/// The end of a call that another call may go on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FarEnd {
    /// Its leg.
    pub leg: LegId,
    /// Id of the session that we describe to it; what is described from now on is of the same (RFC 3264 §8).
    pub session_id: u64,
    /// Version of our last description.
    pub session_version: u64,
    /// Its audio is protected by SRTP, and stays so.
    pub protected: bool,
}

/// Told once, when there is nothing more to be heard.
#[derive(Clone, Debug, Default)]
pub struct Heard(pub Arc<tokio::sync::Notify>);

/// What becomes of a call that is left alone in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum After {
    /// It ends.
    #[default]
    HangUp,
    /// It goes back to its agent, or waits for orders.
    Return,
}

/// What became of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// Who is at the other end.
    FarEnd(FarEnd),
    /// It will be heard after what was asked before, under this number; an event tells when it has been.
    Queued {
        /// The utterance.
        utterance: u32,
    },
}

/// Why an order was not carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OrderError {
    /// It has ended, or never was.
    #[error("there is no such call that is up")]
    NoCall,
    /// The call is in no state for that.
    #[error("{0}")]
    Conflict(String),
    /// The order makes no sense.
    #[error("{0}")]
    Unprocessable(String),
    /// Ours; retry later.
    #[error("{0}")]
    Unavailable(String),
}

impl OrderError {
    pub(super) fn conflict(why: impl Into<String>) -> Self {
        Self::Conflict(why.into())
    }
}

/// An order on its way to its call.
#[derive(Debug)]
pub struct Ordered {
    /// What is to be done.
    pub order: Order,
    /// Told what became of it. Dropped by a call that ends.
    pub done: oneshot::Sender<Result<Outcome, OrderError>>,
}

impl Ordered {
    /// Answers it. Who asked may be gone.
    pub fn answer(self, outcome: Result<Outcome, OrderError>) {
        let _ = self.done.send(outcome);
    }
}

/// What is played, as samples: tones for so many seconds.
#[must_use]
pub fn samples(source: &Source, seconds: u32) -> Arc<[i16]> {
    match source {
        Source::File(pcm) => Arc::clone(pcm),
        Source::Tone(signal) => {
            let mut pcm = vec![0; seconds as usize * super::player::wave::RATE_HZ as usize];
            callwright_dsp::tone::Cadence::new(*signal, super::player::wave::RATE_HZ).fill(&mut pcm);
            pcm.into()
        }
    }
}
