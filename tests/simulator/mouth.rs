//! A voice and a playout in virtual time. Utterances follow each other, 300 ms a word; what was synthesised ahead is there at
//! once, also with the voice gone.

use callwright::conversation::WordTime;
use callwright::id::{Generation, UtteranceId};
use std::collections::{BTreeSet, VecDeque};

/// A spoken word's length.
pub(crate) const WORD_MS: u64 = 300;
/// What is known by heart.
const BY_HEART_MS: u64 = 10;
const FRAME_MS: u64 = 20;
const REPORT_MS: u64 = 100;

/// What the voice does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Voice {
    Works,
    /// Only what was synthesised ahead can be said.
    Gone,
    /// What is not known by heart breaks off after so many words.
    Breaks(usize),
}

/// What it reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    Started(UtteranceId),
    Spoken(UtteranceId, Vec<WordTime>),
    Audible(UtteranceId, String),
    Played(UtteranceId, u64, bool),
    Ducked(UtteranceId),
    Flushed(Generation, Option<UtteranceId>, u64),
}

#[derive(Debug)]
struct Utterance {
    id: UtteranceId,
    generation: Generation,
    text: String,
    words: usize,
    ready: u64,
    started: bool,
    played: u64,
}

#[derive(Debug)]
pub(crate) struct Mouth {
    pub(crate) voice: Voice,
    pub(crate) delay: u64,
    /// Nothing is synthesised until then; what a playout already has goes on.
    pub(crate) stalled_until: u64,
    by_heart: BTreeSet<String>,
    queue: VecDeque<Utterance>,
    ducked: bool,
    pub(crate) held: bool,
    /// When the last sample left.
    pub(crate) last_sound: u64,
    /// When the utterance of now was first heard.
    pub(crate) audible_since: Option<u64>,
}

impl Mouth {
    pub(crate) fn new(by_heart: impl IntoIterator<Item = String>) -> Self {
        Self {
            voice: Voice::Works,
            delay: 60,
            stalled_until: 0,
            by_heart: by_heart.into_iter().collect(),
            queue: VecDeque::new(),
            ducked: false,
            held: false,
            last_sound: 0,
            audible_since: None,
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether something of the front utterance has been heard.
    pub(crate) fn is_sounding(&self) -> bool {
        self.queue.front().is_some_and(|u| u.started)
    }

    pub(crate) fn speak(
        &mut self,
        now: u64,
        id: UtteranceId,
        generation: Generation,
        text: &str,
        ahead: bool,
    ) -> Vec<Report> {
        let known = self.by_heart.contains(text);
        if ahead && (self.is_sounding() || !known) {
            return vec![Report::Spoken(id, Vec::new())];
        }
        let all = text.split_whitespace().count();
        let words = match self.voice {
            Voice::Gone if !known => 0,
            Voice::Breaks(after) if !known => after.min(all),
            _ => all,
        };
        let ready = if known { now + BY_HEART_MS } else { now.max(self.stalled_until) + self.delay };
        let utterance = Utterance { id, generation, text: text.to_owned(), words, ready, started: false, played: 0 };
        if ahead {
            self.queue.push_front(utterance);
        } else {
            self.queue.push_back(utterance);
        }
        Vec::new()
    }

    pub(crate) fn duck(&mut self, ducked: bool) -> Vec<Report> {
        self.ducked = ducked;
        let sounding = self.queue.front().filter(|u| u.started && ducked);
        sounding.map(|u| Report::Ducked(u.id)).into_iter().collect()
    }

    pub(crate) fn flush(&mut self, generation: Generation) -> Vec<Report> {
        let cut = self.queue.front().filter(|u| u.started && u.generation < generation).map(|u| (u.id, u.played * 8));
        self.queue.retain(|u| u.generation >= generation);
        (self.ducked, self.audible_since) = (false, None);
        vec![Report::Flushed(generation, cut.map(|c| c.0), cut.map_or(0, |c| c.1))]
    }

    /// One frame's time has passed.
    pub(crate) fn frame(&mut self, now: u64) -> Vec<Report> {
        let mut reports = Vec::new();
        if self.ducked || self.held {
            return reports;
        }
        let Some(front) = self.queue.front_mut().filter(|u| now >= u.ready) else { return reports };
        if !front.started {
            let words = (0..).zip(front.text.split_whitespace().take(front.words));
            let words = words.map(|(n, word): (u64, _)| WordTime {
                word: word.to_owned(),
                start_ms: (n * WORD_MS) as u32,
                end_ms: ((n + 1) * WORD_MS) as u32,
            });
            let words: Vec<WordTime> = words.collect();
            reports.push(Report::Spoken(front.id, words));
            if front.words > 0 {
                front.started = true;
                self.audible_since = Some(now);
                reports.push(Report::Started(front.id));
                reports.push(Report::Audible(front.id, front.text.clone()));
            }
        }
        let length = front.words as u64 * WORD_MS;
        front.played = (front.played + FRAME_MS).min(length);
        if front.words > 0 {
            self.last_sound = now;
        }
        if front.played >= length {
            reports.push(Report::Played(front.id, length * 8, true));
            self.queue.pop_front();
            self.audible_since = None;
        } else if front.played.is_multiple_of(REPORT_MS) {
            reports.push(Report::Played(front.id, front.played * 8, false));
        }
        reports
    }
}
