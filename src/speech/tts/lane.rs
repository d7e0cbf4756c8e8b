//! One call's utterances on their way to its ring. Owner: the mouth. Invariants: audio leaves in the order in which it was
//! asked for; an utterance of a flushed generation is answered at once with the words that were spoken, and nothing of it
//! reaches the ring afterwards; at most one clause of a lane is being synthesised. Deliberately absent: synthesis (`seat`).

use super::super::asr::tell;
use super::super::clause::{Clause, clauses_for};
use super::super::event::{Part, SpeechEvent};
use super::super::normalise::normalise_as;
use super::super::synthesiser::Haste;
use super::cache::{Key, wording};
use super::mouth::{LOCAL, Manner};
use super::timing::{Extent, word_times};
use super::voice::Rendered;
use crate::conversation::WordTime;
use crate::id::{Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, SPEECH_UTTERANCES_MAX, SPOKEN_TEXT_MAX};
use crate::media::{OutFrame, OutboundProducer};
use ringbuf::traits::{Observer, Producer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;

/// Audio that may wait in one lane: 30 s; no more is synthesised before some of it has left.
const LANE_SAMPLES_MAX: usize = 30 * 8000;

/// A clause with what names its sound.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) clause: Arc<Clause>,
    wording: Arc<str>,
}

impl Piece {
    pub(super) fn new(clause: Clause) -> Self {
        Self { wording: wording(&clause), clause: Arc::new(clause) }
    }

    /// Where its sound is kept when `voice` says it.
    pub(super) fn key(&self, voice: usize) -> Key {
        (voice, Arc::clone(&self.wording))
    }
}

/// What an agent says, clause by clause.
pub(super) fn pieces(text: &str, manner: &Manner, haste: Haste) -> VecDeque<Piece> {
    clauses_for(normalise_as(bounded(text), &manner.reading), haste).into_iter().map(Piece::new).collect()
}

/// At most `SPOKEN_TEXT_MAX` characters of a text.
fn bounded(text: &str) -> &str {
    text.char_indices().nth(SPOKEN_TEXT_MAX).map_or(text, |(at, _)| &text[..at])
}

/// A clause that a seat is synthesising.
struct Flight {
    job: u64,
    piece: Piece,
    /// Samples of it that have come.
    samples: u64,
    /// Milliseconds for one unit of `timing::weight`, of the voice that speaks it.
    pace: f32,
}

/// One utterance on its way to the ring.
struct Utterance {
    id: UtteranceId,
    generation: Generation,
    asked: Instant,
    /// It was put before others: said by heart or not at all.
    ahead: bool,
    pieces: VecDeque<Piece>,
    flight: Option<Flight>,
    /// The voice failed in the middle: the local one says the rest.
    local: bool,
    /// Instead of words: these samples, and how many of them have left.
    audio: Option<(Arc<[i16]>, usize)>,
    /// Synthesised and not yet in the ring.
    waiting: VecDeque<i16>,
    words: Vec<WordTime>,
    /// Synthesised in all.
    samples: u64,
    started: bool,
    /// `Spoken` has been sent.
    answered: bool,
}

pub(super) struct Lane {
    pub(super) manner: Manner,
    /// Of its voice.
    haste: Haste,
    outbound: OutboundProducer,
    pub(super) events: mpsc::Sender<SpeechEvent>,
    pub(super) generation: Arc<AtomicU32>,
    utterances: VecDeque<Utterance>,
    /// When it was last given a voice, counted in clauses: calls in equal need take turns.
    pub(super) served: u64,
}

/// What a lane wants synthesised next.
pub(super) struct Wish {
    pub(super) piece: Piece,
    pub(super) voice: usize,
    pub(super) generation: Generation,
    /// Nothing is to be synthesised for it.
    pub(super) by_heart: bool,
}

impl Lane {
    pub(super) fn new(
        outbound: OutboundProducer,
        events: mpsc::Sender<SpeechEvent>,
        generation: Arc<AtomicU32>,
        manner: Manner,
        haste: Haste,
    ) -> Self {
        Self { manner, haste, outbound, events, generation, utterances: VecDeque::new(), served: 0 }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.utterances.is_empty()
    }

    pub(super) fn enqueue(&mut self, id: UtteranceId, generation: Generation, text: &str, ahead: bool, asked: Instant) {
        let begun = self.outbound.occupied_len() > 0 || self.utterances.iter().any(|utterance| utterance.started);
        if ahead && begun {
            tell(&self.events, SpeechEvent::Spoken { utterance: id, words: Vec::new(), samples: 0 });
            return;
        }
        if self.utterances.len() >= SPEECH_UTTERANCES_MAX {
            let what = format!("more than {SPEECH_UTTERANCES_MAX} utterances are waiting; one was dropped");
            tell(&self.events, SpeechEvent::Failed { part: Part::Tts, what });
            tell(&self.events, SpeechEvent::Spoken { utterance: id, words: Vec::new(), samples: 0 });
            return;
        }
        let utterance = Utterance {
            id,
            generation,
            asked,
            ahead,
            pieces: pieces(text, &self.manner, self.haste),
            flight: None,
            local: false,
            audio: None,
            waiting: VecDeque::new(),
            words: Vec::new(),
            samples: 0,
            started: false,
            answered: false,
        };
        if ahead {
            self.utterances.push_front(utterance);
        } else {
            self.utterances.push_back(utterance);
        }
        self.drop_flushed();
        self.settle();
    }

    /// Sends samples after everything asked before.
    pub(super) fn play(&mut self, id: UtteranceId, pcm: Arc<[i16]>, asked: Instant) {
        if self.utterances.len() >= SPEECH_UTTERANCES_MAX {
            let what = format!("more than {SPEECH_UTTERANCES_MAX} utterances are waiting; one was dropped");
            return tell(&self.events, SpeechEvent::Failed { part: Part::Tts, what });
        }
        let samples = pcm.len() as u64;
        self.utterances.push_back(Utterance {
            id,
            generation: Generation(self.generation.load(Ordering::Acquire)),
            asked,
            ahead: false,
            pieces: VecDeque::new(),
            flight: None,
            local: false,
            audio: Some((pcm, 0)),
            waiting: VecDeque::new(),
            words: Vec::new(),
            samples,
            started: false,
            answered: false,
        });
        self.settle();
    }

    /// Gives the ring back; what was not said is answered as far as it was.
    pub(super) fn release(mut self) -> OutboundProducer {
        for utterance in self.utterances.iter_mut().filter(|utterance| !utterance.answered) {
            utterance.credit_flight();
            utterance.answer(&self.events);
        }
        self.outbound
    }

    pub(super) fn drop_flushed(&mut self) {
        let oldest = self.generation.load(Ordering::Acquire);
        let events = &self.events;
        self.utterances.retain_mut(|utterance| {
            let keep = utterance.generation.0 >= oldest;
            // One whose synthesis was complete has been answered already.
            if !keep && !utterance.answered {
                utterance.credit_flight();
                utterance.answer(events);
            }
            keep
        });
    }

    /// Samples that the caller has still to hear, and when the lane was last served: the smallest goes first.
    pub(super) fn need(&self) -> (usize, u64) {
        let waiting: usize = self.utterances.iter().map(|utterance| utterance.waiting.len()).sum();
        (waiting + self.outbound.occupied_len() * FRAME_SAMPLES, self.served)
    }

    /// What is to be synthesised next, unless something is.
    pub(super) fn wish(&self) -> Option<Wish> {
        let waiting: usize = self.utterances.iter().map(|utterance| utterance.waiting.len()).sum();
        if waiting >= LANE_SAMPLES_MAX {
            return None;
        }
        let busy = self.utterances.iter().any(|utterance| utterance.flight.is_some());
        let utterance = self.utterances.iter().find(|utterance| !utterance.pieces.is_empty());
        let utterance = utterance.filter(|utterance| !busy || utterance.ahead)?;
        let piece = utterance.pieces.front()?.clone();
        let voice = if utterance.local { LOCAL } else { self.manner.voice };
        Some(Wish { piece, voice, generation: utterance.generation, by_heart: utterance.ahead })
    }

    /// The wish was to be said by heart, and is not known by heart: it is not said.
    pub(super) fn forgo(&mut self) {
        if let Some(utterance) = self.utterances.iter_mut().find(|utterance| !utterance.pieces.is_empty()) {
            utterance.pieces.clear();
            utterance.words.clear();
        }
        self.settle();
    }

    /// The wish is being fulfilled by `job`.
    pub(super) fn fly(&mut self, job: u64, pace: f32) {
        if let Some(utterance) = self.utterances.iter_mut().find(|utterance| !utterance.pieces.is_empty())
            && let Some(piece) = utterance.pieces.pop_front()
        {
            utterance.flight = Some(Flight { job, piece, samples: 0, pace });
        }
    }

    /// The wish is known by heart.
    pub(super) fn recite(&mut self, rendered: &Rendered) {
        if let Some(utterance) = self.utterances.iter_mut().find(|utterance| !utterance.pieces.is_empty()) {
            utterance.pieces.pop_front();
            utterance.append(&rendered.samples);
            let before = utterance.samples - rendered.samples.len() as u64;
            utterance.credit(&rendered.words, before);
        }
        self.settle();
    }

    /// Samples of a clause in flight. Those of a flushed one find nobody.
    pub(super) fn hear(&mut self, job: u64, samples: &[i16]) {
        let oldest = self.generation.load(Ordering::Acquire);
        let utterance = self.utterances.iter_mut().find(|u| u.flight.as_ref().is_some_and(|f| f.job == job));
        if let Some(utterance) = utterance.filter(|utterance| utterance.generation.0 >= oldest) {
            utterance.append(samples);
            if let Some(flight) = &mut utterance.flight {
                flight.samples += samples.len() as u64;
            }
            self.refill();
        }
    }

    /// A clause came to its end: `whole`, or its voice failed after some of it; then the words that were not spoken are
    /// said by the local voice, unless that is the one which failed.
    pub(super) fn land(&mut self, job: u64, words: &[WordTime], whole: bool, by_local: bool) {
        let utterance = self.utterances.iter_mut().find(|u| u.flight.as_ref().is_some_and(|f| f.job == job));
        let Some((utterance, flight)) = utterance.and_then(|utterance| {
            let flight = utterance.flight.take()?;
            Some((utterance, flight))
        }) else {
            return;
        };
        utterance.credit(words, utterance.samples - flight.samples);
        if !whole && !by_local {
            utterance.local = true;
            let rest = flight.piece.clause.after(words.len());
            if let Some(rest) = rest {
                utterance.pieces.push_front(Piece::new(rest));
            }
        } else if !whole {
            // Nobody is left who could say it.
            utterance.pieces.clear();
        }
        self.settle();
    }

    /// Answers what is complete, and fills the ring.
    fn settle(&mut self) {
        let events = &self.events;
        for utterance in &mut self.utterances {
            if utterance.pieces.is_empty() && utterance.flight.is_none() && !utterance.answered {
                utterance.answer(events);
            }
        }
        self.drop_flushed();
        self.refill();
    }

    /// Moves waiting audio to the ring, utterance by utterance.
    pub(super) fn refill(&mut self) {
        let oldest = self.generation.load(Ordering::Acquire);
        while let Some(utterance) = self.utterances.front_mut() {
            if utterance.generation.0 < oldest {
                self.drop_flushed();
                continue;
            }
            utterance.refill(&mut self.outbound, &self.events);
            if !(utterance.answered && utterance.finish(&mut self.outbound, &self.events)) {
                return;
            }
            self.utterances.pop_front();
        }
    }
}

impl Utterance {
    fn append(&mut self, samples: &[i16]) {
        self.waiting.extend(samples);
        self.samples += samples.len() as u64;
    }

    /// Adds words of a clause that began at sample `before` of the utterance.
    fn credit(&mut self, words: &[WordTime], before: u64) {
        // An utterance is at most 2,000 characters, far below the 149 hours that fit.
        let before_ms = (before / 8) as u32;
        self.words.extend(words.iter().map(|word| WordTime {
            word: word.word.clone(),
            start_ms: word.start_ms + before_ms,
            end_ms: word.end_ms + before_ms,
        }));
    }

    /// Of a clause that is cut off before its voice has told any times: the words that surely ended.
    fn credit_flight(&mut self) {
        if let Some(flight) = self.flight.take() {
            let extent = Extent::Cut((flight.samples / 8) as u32, flight.pace);
            let words = word_times(&flight.piece.clause, &[], 0, extent);
            self.credit(&words, self.samples - flight.samples);
        }
    }

    fn answer(&mut self, events: &mpsc::Sender<SpeechEvent>) {
        self.answered = true;
        self.pieces.clear();
        tell(
            events,
            SpeechEvent::Spoken { utterance: self.id, words: std::mem::take(&mut self.words), samples: self.samples },
        );
    }

    /// Moves whole frames to the ring, keeping one back: the last one has to say that it is the last.
    fn refill(&mut self, outbound: &mut OutboundProducer, events: &mpsc::Sender<SpeechEvent>) {
        self.top_up();
        while self.waiting.len() > FRAME_SAMPLES && outbound.vacant_len() > 0 {
            self.send(outbound, events, false);
            self.top_up();
        }
    }

    /// Keeps the next of the samples to be played at hand: a file is not copied whole.
    fn top_up(&mut self) {
        if let Some((pcm, at)) = &mut self.audio
            && self.waiting.len() <= FRAME_SAMPLES
        {
            let until = pcm.len().min(*at + 10 * FRAME_SAMPLES);
            self.waiting.extend(&pcm[*at..until]);
            *at = until;
        }
    }

    /// Sends the last frame, which may be short or empty; false while the ring is full.
    fn finish(&mut self, outbound: &mut OutboundProducer, events: &mpsc::Sender<SpeechEvent>) -> bool {
        if self.waiting.len() > FRAME_SAMPLES || outbound.vacant_len() == 0 {
            return false;
        }
        self.send(outbound, events, true);
        true
    }

    fn send(&mut self, outbound: &mut OutboundProducer, events: &mpsc::Sender<SpeechEvent>, end: bool) {
        let mut pcm = [0_i16; FRAME_SAMPLES];
        let len = self.waiting.len().min(FRAME_SAMPLES);
        for (to, from) in pcm.iter_mut().zip(self.waiting.drain(..len)) {
            *to = from;
        }
        let frame = OutFrame { generation: self.generation, utterance: self.id, end, len: len as u16, pcm };
        // The caller saw room and is the only writer.
        let _ = outbound.try_push(frame);
        if !self.started {
            self.started = true;
            tell(events, SpeechEvent::SpeakStarted { utterance: self.id, took: self.asked.elapsed() });
        }
    }
}
