//! What was said in a conversation, as far as it was heard.
//!
//! Owned by the call's actor. Invariant: an interrupted agent turn keeps only words that the caller certainly heard;
//! when in doubt the word counts as not heard (a lost word is repeated, a word never heard is a hole for both).
//! Bounded by [`HISTORY_TURNS_MAX`]: the oldest turns leave first. Deliberately absent: storage (`store`).

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::UtteranceId;
use crate::limits::HISTORY_TURNS_MAX;
use crate::time::MediaTime;

/// One-way trip and far playout when RTCP has not measured the round trip.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);
/// What a phone's own buffer and acoustics hold back at least.
const FAR_BUFFER: Duration = Duration::from_millis(60);

/// When a word of a synthesised utterance sounds, relative to its first sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTime {
    /// As written in the text.
    pub word: String,
    /// First sample, ms.
    pub start_ms: u32,
    /// End, ms.
    pub end_ms: u32,
}

/// How many of `words` the caller has heard for certain.
///
/// `samples_played`: 8 kHz samples of the utterance that had been sent when the caller's onset arrived (not when the
/// playout was flushed); `rtt`: round-trip time by RTCP, `None` when unknown.
#[must_use]
pub fn heard_words(words: &[WordTime], samples_played: u64, rtt: Option<Duration>) -> usize {
    let behind = rtt.unwrap_or(UNKNOWN_RTT) + FAR_BUFFER;
    let heard_ms = u128::from(samples_played / 8).saturating_sub(behind.as_millis());
    words.iter().take_while(|w| u128::from(w.end_ms) <= heard_ms).count()
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The agent; the utterance names the playout.
    Agent(UtteranceId),
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub speaker: Speaker,
    /// What was said; of an interrupted agent only what was heard.
    pub text: String,
    /// Audio time of its beginning.
    pub at: MediaTime,
    /// Whether the caller interrupted it.
    pub interrupted: bool,
}

/// The turns of one conversation, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    turns: VecDeque<Turn>,
}

impl History {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The caller said `text`.
    pub fn caller(&mut self, at: MediaTime, text: &str) {
        self.push(Turn { speaker: Speaker::Caller, text: text.to_owned(), at, interrupted: false });
    }

    /// The agent says `text` as `utterance`.
    pub fn agent(&mut self, at: MediaTime, utterance: UtteranceId, text: &str) {
        self.push(Turn { speaker: Speaker::Agent(utterance), text: text.to_owned(), at, interrupted: false });
    }

    /// `utterance` was interrupted after `heard` words: only these stay, and with none heard the turn goes.
    /// An unknown utterance changes nothing.
    pub fn truncate(&mut self, utterance: UtteranceId, heard: usize) {
        let Some(index) = self.turns.iter().rposition(|t| t.speaker == Speaker::Agent(utterance)) else { return };
        let turn = &mut self.turns[index];
        let kept: Vec<&str> = turn.text.split_whitespace().take(heard).collect();
        turn.text = kept.join(" ");
        turn.interrupted = true;
        if turn.text.is_empty() {
            self.turns.remove(index);
        }
    }

    /// All turns, oldest first.
    pub fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter()
    }

    fn push(&mut self, turn: Turn) {
        if self.turns.len() >= HISTORY_TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> Vec<WordTime> {
        ["Shall", "I", "build", "it?"]
            .iter()
            .zip(0u32..)
            .map(|(w, n)| WordTime { word: (*w).to_owned(), start_ms: n * 200, end_ms: (n + 1) * 200 })
            .collect()
    }

    #[test]
    fn a_word_counts_when_it_has_ended_at_the_far_ear() {
        // 600 ms sent, 100 ms assumed round trip, 60 ms far buffer: 440 ms heard, so two words of 200 ms.
        assert_eq!(heard_words(&words(), 4800, None), 2);
        assert_eq!(heard_words(&words(), 4800, Some(Duration::ZERO)), 2);
        assert_eq!(heard_words(&words(), 4800 + 480, Some(Duration::ZERO)), 3);
        assert_eq!(heard_words(&words(), 4800, Some(Duration::from_secs(2))), 0);
        assert_eq!(heard_words(&words(), 0, None), 0);
        assert_eq!(heard_words(&words(), u64::MAX, None), 4);
    }

    #[test]
    fn an_interrupted_turn_keeps_what_was_heard() {
        let mut history = History::new();
        history.agent(MediaTime(0), UtteranceId(1), "Hello, this is Grace.");
        history.caller(MediaTime(8000), "yes");
        history.agent(MediaTime(16000), UtteranceId(2), "Shall I build it?");
        history.truncate(UtteranceId(2), 2);
        history.truncate(UtteranceId(9), 0);
        let texts: Vec<_> = history.turns().map(|t| (t.text.as_str(), t.interrupted)).collect();
        assert_eq!(texts, [("Hello, this is Grace.", false), ("yes", false), ("Shall I", true)]);
        history.truncate(UtteranceId(1), 0);
        assert_eq!(history.turns().count(), 2);
    }

    proptest! {
        #[test]
        fn a_longer_round_trip_never_credits_more(sent in 0u64..20_000, a in 0u64..2000, b in 0u64..2000) {
            let (short, long) = (a.min(b), a.max(b));
            let heard = |ms| heard_words(&words(), sent, Some(Duration::from_millis(ms)));
            prop_assert!(heard(long) <= heard(short));
        }
    }
}
