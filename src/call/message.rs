//! Takes a message: the caller hears a greeting and a beep, and what is said then is written down. Pure: time is an argument.
//! Invariants: nothing is taken down before the beep; a message ends by silence, by `#`, by hanging up or by its length;
//! what was understood is kept, however it ended. Deliberately absent: the voice and the ears (`operator`), the sound (that is
//! the call's recording), writing it down (`store`).

use crate::id::UtteranceId;
use crate::limits::{MESSAGE_MAX, MESSAGE_TEXT_MAX};
use crate::time::Tick;
use std::time::Duration;

/// What callers hear unless a greeting is configured.
pub(super) const GREETING: &str =
    "Nobody can take your call at the moment. Please leave a message after the tone, and hang up when you are done.";
/// Said nothing for so long after the beep or the last words: it is over.
const SILENCE: Duration = Duration::from_secs(8);
/// A greeting that is never heard to its end does not keep the caller for ever.
const GREETING_MAX: Duration = Duration::from_secs(60);
/// The tone after which to speak.
pub(super) const BEEP_HZ: u16 = 1000;

/// One message.
#[derive(Debug, Default)]
pub(super) struct MessageTaker {
    beep: UtteranceId,
    asked: Option<Tick>,
    /// The beep has been heard.
    began: Option<Tick>,
    /// The caller was last heard.
    voiced: Tick,
    over: bool,
    text: String,
}

impl MessageTaker {
    /// The greeting and this beep have been ordered.
    pub(super) fn handle_asked(&mut self, now: Tick, beep: UtteranceId) {
        (self.asked, self.beep) = (Some(now), beep);
    }

    pub(super) fn handle_played(&mut self, now: Tick, utterance: UtteranceId) {
        if utterance == self.beep && self.began.is_none() {
            (self.began, self.voiced) = (Some(now), now);
        }
    }

    /// The caller's voice was heard.
    pub(super) fn handle_voice(&mut self, now: Tick) {
        self.voiced = self.voiced.max(now);
    }

    /// What was understood.
    pub(super) fn handle_heard(&mut self, now: Tick, text: &str) {
        self.handle_voice(now);
        let room = MESSAGE_TEXT_MAX.saturating_sub(self.text.len() + 1);
        if self.began.is_some() && !text.is_empty() && text.len() <= room {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(text);
        }
    }

    pub(super) fn handle_digit(&mut self, digit: char) {
        self.over |= digit == '#' && self.began.is_some();
    }

    /// When [`Self::is_over`] is to be asked again.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        match (self.began, self.asked) {
            (Some(began), _) => Some((self.voiced + SILENCE).min(began + MESSAGE_MAX)),
            (None, Some(asked)) => Some(asked + GREETING_MAX),
            (None, None) => None,
        }
    }

    pub(super) fn is_over(&self, now: Tick) -> bool {
        self.over || self.poll_timeout().is_some_and(|due| due <= now)
    }

    /// The text, and how long it took; `None` where the beep was never heard.
    pub(super) fn taken(&self, now: Tick) -> Option<(&str, Duration)> {
        Some((&self.text, now.since(self.began?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    fn listening() -> MessageTaker {
        let mut taker = MessageTaker::default();
        taker.handle_asked(at(0), UtteranceId(2));
        taker.handle_heard(at(1), "hello?");
        taker.handle_played(at(5), UtteranceId(1));
        taker.handle_digit('#');
        assert!(!taker.is_over(at(7)) && taker.taken(at(7)).is_none());
        taker.handle_played(at(8), UtteranceId(2));
        taker
    }

    #[test]
    fn what_is_said_after_the_beep_is_the_message() {
        let mut taker = listening();
        taker.handle_heard(at(12), "this is ann");
        taker.handle_voice(at(15));
        taker.handle_heard(at(16), "call me back");
        assert!(!taker.is_over(at(23)));
        assert_eq!(taker.poll_timeout(), Some(at(24)));
        assert!(taker.is_over(at(24)));
        assert_eq!(taker.taken(at(24)), Some(("this is ann\ncall me back", Duration::from_secs(16))));
    }

    #[test]
    fn it_ends_by_a_key_by_silence_and_by_its_length() {
        let mut keyed = listening();
        keyed.handle_digit('#');
        assert!(keyed.is_over(at(8)));
        assert!(listening().is_over(at(16)));
        let mut long = listening();
        for second in 9..400 {
            long.handle_voice(at(second));
        }
        assert!(long.is_over(at(8) + MESSAGE_MAX) && !long.is_over(at(7) + MESSAGE_MAX));
        let mut mute = MessageTaker::default();
        mute.handle_asked(at(0), UtteranceId(2));
        assert!(mute.is_over(at(60)) && mute.taken(at(60)).is_none());
    }

    #[test]
    fn its_text_is_bounded() {
        let mut taker = listening();
        for second in 9..20_000 {
            taker.handle_heard(at(second), "so many words that nobody will ever read them all");
        }
        assert!(taker.taken(at(20_000)).unwrap().0.len() <= MESSAGE_TEXT_MAX);
    }
}
