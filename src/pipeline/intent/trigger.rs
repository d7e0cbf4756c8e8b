//! When an intent that was understood is acted on: at once on a cue, else after 1.5 s of audio silence; then not again for 5 s.
//! What answers the agent's own "What shall I build?" needs neither ([`Trigger::handle_asked`]): the question was the cue.
//!
//! Sans-IO; one [`Trigger`] a conversation. All times are audio time ([`MediaTime`]), so a stalled machine changes nothing
//! (ledger N10–N13). Invariants: fires only what [`Extraction::fires`]; a repeat of the same words has the same ids; within
//! [`DEBOUNCE_MS`] after a key has fired, a newer spec replaces the older one, which then fires once, at the end of that time.
//! Deliberately absent: reading (`fuse`), building (that takes a read-back and a yes).

use std::collections::BTreeMap;
use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::fuse::{Extraction, WINDOW, extract};
use super::vectorise::normalise;
use crate::limits::INTENT_KEYS_MAX;
use crate::time::MediaTime;

/// Silence of the caller after which an intent counts, without a cue.
pub const SILENCE_MS: u64 = 1500;
/// How long the same key does not fire again.
pub const DEBOUNCE_MS: u64 = 5000;
/// Said with these, an intent counts at once.
const CUES: &[&str] = &["let's build", "mockup", "go ahead and build", "build it now", "start building"];

/// Something to act on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// Of the sentence that completed it.
    pub utterance_id: String,
    /// Of conversation, key and content: the same words give the same id.
    pub spec_id: String,
    /// The intent's name.
    pub key: &'static str,
    /// What was understood.
    pub extraction: Extraction,
    /// The words in which it was: the sentence, or the window up to it.
    pub text: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    conversation: String,
    window: VecDeque<String>,
    sentences: u64,
    /// When the caller was last heard.
    voice: MediaTime,
    /// The newest spec of each key that has not fired.
    pending: BTreeMap<&'static str, (Fired, bool)>,
    /// When each key fired last, and what.
    fired: BTreeMap<&'static str, (MediaTime, String)>,
}

impl Trigger {
    /// For one conversation.
    #[must_use]
    pub fn new(conversation: impl Into<String>) -> Self {
        Self {
            conversation: conversation.into(),
            window: VecDeque::new(),
            sentences: 0,
            voice: MediaTime(0),
            pending: BTreeMap::new(),
            fired: BTreeMap::new(),
        }
    }

    /// The caller's voice was heard at `now`: silence begins anew.
    pub fn handle_voice(&mut self, now: MediaTime) {
        self.voice = self.voice.max(now);
    }

    /// A sentence that ended at `ended` was recognised.
    pub fn handle_sentence(&mut self, text: &str, ended: MediaTime) {
        self.handle_voice(ended);
        self.sentences += 1;
        self.window.push_back(text.trim_end_matches(['.', '!', '?']).to_owned());
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let window: Vec<&str> = self.window.iter().map(String::as_str).collect();
        let mut extraction = extract(text, &[]);
        let mut read = text.to_owned();
        if !extraction.fires() {
            read = window.join(". ");
            extraction = extract(&read, &[]);
        }
        let content = normalise(&read).join(" ");
        if !extraction.fires() {
            return;
        }
        let key = extraction.intent.name();
        let plain = format!(" {} ", normalise(text).join(" "));
        let cue = CUES.iter().any(|cue| plain.contains(&format!(" {cue} ")));
        let fired = Fired {
            utterance_id: id("utt", &[&self.conversation, &self.sentences.to_string()]),
            spec_id: id("spec", &[&self.conversation, key, &content]),
            key,
            extraction,
            text: read,
        };
        // Nothing is new about what has fired already.
        if self
            .fired
            .get(key)
            .is_some_and(|(at, spec)| *spec == fired.spec_id && ended.since(*at).as_millis() < u128::from(DEBOUNCE_MS))
        {
            return;
        }
        if self.pending.len() < INTENT_KEYS_MAX || self.pending.contains_key(key) {
            let cue = cue || self.pending.get(key).is_some_and(|(_, cue)| *cue);
            self.pending.insert(key, (fired, cue));
        }
    }

    /// What was asked for was asked for in answer to the agent's own question, and is acted on at `now`: what it is known by.
    /// Counts as fired, so that its repetition within [`DEBOUNCE_MS`] is nothing new; `None`: the words alone ask for nothing.
    pub fn handle_asked(&mut self, now: MediaTime) -> Option<Fired> {
        let key = self.pending.keys().find(|key| key.starts_with("build_")).copied()?;
        let (fired, _) = self.pending.remove(key)?;
        self.fired.insert(key, (now, fired.spec_id.clone()));
        self.window.clear();
        Some(fired)
    }

    /// Whether something that was asked for waits to be acted on.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.keys().any(|key| key.starts_with("build_"))
    }

    /// What waits is of no more concern: it was answered otherwise. Its words may still be part of a later request.
    pub fn forget(&mut self) {
        self.pending.clear();
    }

    /// What is to be acted on at `now`, one at a time.
    pub fn poll_fired(&mut self, now: MediaTime) -> Option<Fired> {
        let silent = now.since(self.voice).as_millis() >= u128::from(SILENCE_MS);
        let rested =
            |key: &str| self.fired.get(key).is_none_or(|(at, _)| now.since(*at).as_millis() >= u128::from(DEBOUNCE_MS));
        let key = self.pending.iter().find(|(key, (_, cue))| (*cue || silent) && rested(key)).map(|(key, _)| *key)?;
        let (fired, _) = self.pending.remove(key)?;
        self.fired.insert(key, (now, fired.spec_id.clone()));
        Some(fired)
    }
}

/// `prefix_` and 32 hexadecimal digits of the parts; no two different lists of parts run together.
fn id(prefix: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    format!("{prefix}_{hex}")
}

/// The id of what was asked of `POST /v1/intents`, derived from it: the same question is the same event.
#[must_use]
pub fn utterance_id(parts: &[&str]) -> String {
    id("utt", parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> MediaTime {
        MediaTime(0).plus_ms(ms)
    }

    #[test]
    fn a_second_and_a_half_of_silence_to_the_millisecond() {
        let mut trigger = Trigger::new("conv_1");
        trigger.handle_sentence("we need a website for our bakery", ms(1000));
        assert_eq!(trigger.poll_fired(ms(2499)), None);
        trigger.handle_voice(ms(2400));
        assert_eq!(trigger.poll_fired(ms(2500)), None, "the caller goes on");
        assert_eq!(trigger.poll_fired(ms(3899)), None);
        let fired = trigger.poll_fired(ms(3900)).expect("1.5 s are over");
        assert_eq!(fired.key, "build_website");
        assert_eq!(trigger.poll_fired(ms(60_000)), None, "once");
    }

    #[test]
    fn a_cue_fires_at_once() {
        for text in ["let's build a CRM", "mock up a blue login button"] {
            let mut trigger = Trigger::new("conv_1");
            trigger.handle_sentence(text, ms(10));
            assert!(trigger.poll_fired(ms(10)).is_some(), "{text}");
        }
    }

    #[test]
    fn five_seconds_of_rest_to_the_millisecond_and_the_last_spec_wins() {
        let mut trigger = Trigger::new("conv_1");
        trigger.handle_sentence("let's build a CRM with contacts", ms(0));
        let first = trigger.poll_fired(ms(0)).expect("a cue");
        trigger.handle_sentence("let's build a CRM with contacts", ms(1000));
        assert_eq!(trigger.poll_fired(ms(9000)), None, "the same again is nothing new");
        let mut trigger = Trigger::new("conv_1");
        trigger.handle_sentence("let's build a CRM with contacts", ms(0));
        assert_eq!(trigger.poll_fired(ms(0)).map(|f| f.spec_id), Some(first.spec_id.clone()), "derived ids");
        trigger.handle_sentence("let's build a CRM with deals", ms(1000));
        trigger.handle_sentence("let's build a CRM with notes", ms(2000));
        assert_eq!(trigger.poll_fired(ms(4999)), None);
        let second = trigger.poll_fired(ms(5000)).expect("the rest is over");
        assert_ne!(second.spec_id, first.spec_id);
        assert_eq!(second.extraction.entities.features, ["notes"]);
        assert_eq!(trigger.poll_fired(ms(20_000)), None);
        trigger.handle_sentence("mock up a blue login button", ms(20_001));
        assert!(trigger.poll_fired(ms(20_001)).is_some(), "another key has its own rest");
    }

    #[test]
    fn ids_are_derived_and_apart() {
        let spec = |conversation: &str, text: &str| {
            let mut trigger = Trigger::new(conversation);
            trigger.handle_sentence(text, ms(0));
            let fired = trigger.poll_fired(ms(SILENCE_MS)).unwrap();
            (fired.spec_id, fired.utterance_id)
        };
        assert_eq!(spec("a", "build me a CRM").0, spec("a", "Build me a C.R.M.!").0);
        assert_ne!(spec("a", "build me a CRM").0, spec("b", "build me a CRM").0);
        assert_ne!(spec("a", "build me a CRM").1, spec("b", "build me a CRM").1);
        assert_eq!(id("spec", &["a"]).len(), 5 + 32);
    }

    #[test]
    fn three_sentences_are_read_together() {
        let mut trigger = Trigger::new("conv_1");
        for (n, text) in
            ["We sell candles.", "People keep asking for a webshop.", "So please build one."].into_iter().enumerate()
        {
            trigger.handle_sentence(text, ms(n as u64 * 1000));
        }
        assert_eq!(trigger.poll_fired(ms(4000)).map(|f| f.key), Some("build_ecommerce"));
    }
}
