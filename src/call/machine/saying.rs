//! What is being said to the caller, and how far it has come. Plain data of the call's machine. Deliberately absent: what is
//! said next (the machine), what the caller heard of it (`account`).

use crate::conversation::WordTime;
use crate::id::UtteranceId;
use crate::time::Tick;

/// An echo is of what was said in this time.
const RECENT_MS: u64 = 3000;
/// With so much of the question to come, "yes" is not yet its answer.
const QUESTION_LEFT_MS: u64 = 1500;
/// The utterance being said.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) utterance: UtteranceId,
    pub(super) text: String,
    pub(super) words: Vec<WordTime>,
    pub(super) asked: Tick,
    pub(super) started: Option<Tick>,
    pub(super) audible: bool,
    /// Samples known to be sent.
    pub(super) sent: u64,
    /// When it last came on.
    pub(super) progress: Tick,
    /// Set when this utterance answers a caller's turn.
    pub(super) answers: Option<Tick>,
}

impl Saying {
    /// What was said in the last [`RECENT_MS`], lower case, and whether its last sentence, the question, is nearly over.
    pub(super) fn said_last(&self) -> (String, bool) {
        let now_ms = self.sent / 8;
        let said = self.words.iter().filter(|word| u64::from(word.start_ms) <= now_ms);
        let recent = said.filter(|word| u64::from(word.end_ms) + RECENT_MS >= now_ms);
        let recent: Vec<String> = recent.map(|word| word.word.to_lowercase()).collect();
        let (before, last) = self.words.split_at(self.words.len().saturating_sub(1));
        let begins = before.iter().rposition(|word| word.word.ends_with(['.', '?', '!'])).map_or(0, |at| at + 1);
        let asked = self.words.get(begins).is_some_and(|first| u64::from(first.start_ms) <= now_ms)
            && last.iter().all(|last| u64::from(last.end_ms) <= now_ms + QUESTION_LEFT_MS);
        (recent.join(" "), asked)
    }

    pub(super) fn new(utterance: UtteranceId, text: String, asked: Tick, answers: Option<Tick>) -> Self {
        Self {
            utterance,
            text,
            words: Vec::new(),
            asked,
            started: None,
            audible: false,
            sent: 0,
            progress: asked,
            answers,
        }
    }
}
