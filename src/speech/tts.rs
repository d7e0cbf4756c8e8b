//! The thread that speaks for every call.
//!
//! Purpose: synthesises what calls want said, clause by clause and one call after the other, and keeps every call's ring
//! filled. Owning thread: "mouth", one (a Flite voice is not re-entrant and makes 30 s of audio in one). Invariants: a full
//! ring delays only its own call (what does not fit waits in the lane); a flush takes effect within 16 ms of audio, also in
//! the middle of a clause; a lane holds at most [`LANE_SAMPLES_MAX`] of audio that waits; every `Speak` is answered by one
//! `Spoken`, and its frames end with one that says so. Deliberately absent: dropping what is in the ring already (media).

use super::asr::tell;
use super::clause::{Clause, clauses};
use super::event::{Part, SpeechEvent};
use super::normalise::normalise;
use super::synthesiser::Synthesiser;
use crate::conversation::WordTime;
use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, PROMPT_CACHE_SAMPLES, SPEECH_UTTERANCES_MAX, SPOKEN_TEXT_MAX};
use crate::media::{OutFrame, OutboundProducer};
use callwright_dsp::resample::half_band::Downsampler2;
use callwright_models::tts::WordTime as EngineWord;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use ringbuf::traits::{Observer, Producer};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Audio that may wait in one lane: 30 s; no more is synthesised before some of it has left.
const LANE_SAMPLES_MAX: usize = 30 * 8000;
/// How often waiting audio is moved to rings: five times within what a ring holds.
const REFILL: Duration = Duration::from_millis(20);
/// Level of speech on the line: −20 dBFS leaves 17 dB for peaks.
const SPEECH_RMS: f32 = 3277.0;
/// A block below this is silence within synthesised speech (before gain).
const SILENT_PEAK: u16 = 150;
/// Rate of voices, Hz; brought down by half to the line's.
const ENGINE_RATE: u32 = 16_000;
/// Resolution of trimming: 8 ms.
const BLOCK: usize = 64;
/// What the voice's level is measured on, and what warms it.
const REFERENCE: &str = "Hello, this is a short test of how loud my voice is.";

/// One order to the mouth.
pub(super) enum MouthCommand {
    Attach { call: CallId, outbound: OutboundProducer, events: mpsc::Sender<SpeechEvent>, generation: Arc<AtomicU32> },
    Speak { call: CallId, utterance: UtteranceId, generation: Generation, text: String, asked: Instant },
    Flush { call: CallId },
    Warm { text: String },
    Detach { call: CallId },
    Stop,
}

/// Synthesised audio of one clause, 8 kHz, with the times of its words.
#[derive(Debug)]
struct Rendered {
    samples: Vec<i16>,
    words: Vec<WordTime>,
}

/// One utterance on its way to the ring.
struct Utterance {
    id: UtteranceId,
    generation: Generation,
    asked: Instant,
    clauses: VecDeque<Clause>,
    /// Synthesised and not yet in the ring.
    waiting: VecDeque<i16>,
    words: Vec<WordTime>,
    /// Synthesised in all.
    samples: u64,
    started: bool,
    /// `Spoken` has been sent.
    answered: bool,
}

struct Lane {
    outbound: OutboundProducer,
    events: mpsc::Sender<SpeechEvent>,
    generation: Arc<AtomicU32>,
    utterances: VecDeque<Utterance>,
}

/// The voice with what it has said before.
pub(super) struct Voice {
    synthesiser: Box<dyn Synthesiser>,
    gain: f32,
    cache: HashMap<String, (u64, Arc<Rendered>)>,
    cached_samples: usize,
    uses: u64,
}

impl Voice {
    /// Warms the voice and measures its level.
    pub(super) fn new(mut synthesiser: Box<dyn Synthesiser>) -> Result<Self, String> {
        if synthesiser.sample_rate() != ENGINE_RATE {
            return Err(format!("a voice of {} Hz; {ENGINE_RATE} Hz is wanted", synthesiser.sample_rate()));
        }
        let (mut sum, mut count) = (0.0_f64, 0_u32);
        synthesiser.speak(REFERENCE, &mut |chunk| {
            for block in chunk.chunks(BLOCK).filter(|block| peak(block) >= SILENT_PEAK) {
                sum += block.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>();
                count += block.len() as u32;
            }
            ControlFlow::Continue(())
        })?;
        let rms = if count == 0 { SPEECH_RMS } else { (sum / f64::from(count)).sqrt() as f32 };
        let gain = (SPEECH_RMS / rms).clamp(0.1, 10.0);
        Ok(Self { synthesiser, gain, cache: HashMap::new(), cached_samples: 0, uses: 0 })
    }

    fn cached(&mut self, text: &str) -> Option<Arc<Rendered>> {
        self.uses += 1;
        let (used, rendered) = self.cache.get_mut(text)?;
        *used = self.uses;
        Some(Arc::clone(rendered))
    }

    fn keep(&mut self, text: String, rendered: &Arc<Rendered>) {
        if rendered.samples.len() > PROMPT_CACHE_SAMPLES / 4 {
            return;
        }
        while self.cached_samples + rendered.samples.len() > PROMPT_CACHE_SAMPLES {
            let Some(oldest) = self.cache.iter().min_by_key(|(_, (used, _))| *used).map(|(text, _)| text.clone())
            else {
                break;
            };
            if let Some((_, gone)) = self.cache.remove(&oldest) {
                self.cached_samples -= gone.samples.len();
            }
        }
        self.cached_samples += rendered.samples.len();
        if let Some((_, old)) = self.cache.insert(text, (self.uses, Arc::clone(rendered))) {
            self.cached_samples -= old.samples.len();
        }
    }

    /// Synthesises a clause; `sink` gets finished 8 kHz samples as they come and may stop. The silence around the speech is
    /// trimmed, the clause's own pause added. What was stopped is given back as far as it came, and not kept.
    fn render(
        &mut self,
        clause: &Clause,
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> (Arc<Rendered>, Result<(), String>) {
        // A cached clause ends in its pause, so the pause is part of the key.
        let text = clause.text();
        let key = format!("{} {text}", clause.pause_ms);
        if let Some(rendered) = self.cached(&key) {
            let _ = sink(&rendered.samples);
            return (rendered, Ok(()));
        }
        let gain = self.gain;
        let mut down = Downsampler2::default();
        let mut narrow = [0_i16; 4096];
        let mut trim = Trim::default();
        let mut samples: Vec<i16> = Vec::new();
        let mut stopped = false;
        let spoken = self.synthesiser.speak(&text, &mut |chunk| {
            for part in chunk.chunks(narrow.len()) {
                let made = down.process(part, &mut narrow);
                let before = samples.len();
                trim.handle(&narrow[..made], gain, &mut samples);
                if samples.len() > before && sink(&samples[before..]).is_break() {
                    stopped = true;
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        let (engine_words, failure) = match spoken {
            Ok(words) => (words, Ok(())),
            Err(what) => (Vec::new(), Err(what)),
        };
        let before = samples.len();
        if !stopped && !samples.is_empty() {
            samples.resize(samples.len() + clause.pause_ms as usize * 8, 0);
            let _ = sink(&samples[before..]);
        }
        let mut words = word_times(clause, &engine_words, (trim.skipped / 8) as u32);
        let length_ms = (samples.len() / 8) as u32;
        if stopped {
            words.retain(|word| word.end_ms <= length_ms);
        }
        for word in &mut words {
            word.end_ms = word.end_ms.min(length_ms);
            word.start_ms = word.start_ms.min(word.end_ms);
        }
        let rendered = Arc::new(Rendered { samples, words });
        if !stopped && failure.is_ok() {
            self.keep(key, &rendered);
        }
        (rendered, failure)
    }
}

/// Takes the silence before and after speech away and applies the gain.
#[derive(Default)]
struct Trim {
    /// Samples dropped before the first sound.
    skipped: usize,
    started: bool,
    /// Silence that is passed on only when sound follows.
    held: Vec<i16>,
    block: Vec<i16>,
}

impl Trim {
    fn handle(&mut self, samples: &[i16], gain: f32, out: &mut Vec<i16>) {
        for sample in samples {
            self.block.push(*sample);
            if self.block.len() < BLOCK {
                continue;
            }
            let silent = peak(&self.block) < SILENT_PEAK;
            if silent && !self.started {
                self.skipped += BLOCK;
            } else {
                self.started = true;
                self.held.extend(self.block.iter().map(|s| amplify(*s, gain)));
                if !silent {
                    out.append(&mut self.held);
                }
            }
            self.block.clear();
        }
    }
}

fn peak(samples: &[i16]) -> u16 {
    samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0)
}

fn amplify(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain).round().clamp(-32_767.0, 32_767.0) as i16
}

/// Times of the written words of a clause from the times of the engine's tokens.
fn word_times(clause: &Clause, tokens: &[EngineWord], skipped_ms: u32) -> Vec<WordTime> {
    let spoken: usize = clause.words.iter().map(|word| word.spoken.split_whitespace().count()).sum();
    let total_ms = tokens.last().map_or(0, |token| token.end_ms.saturating_sub(skipped_ms));
    let mut next = 0;
    let mut last_end = 0;
    clause
        .words
        .iter()
        .map(|word| {
            let (from, to) = (next, next + word.spoken.split_whitespace().count());
            next = to;
            let (start, end) = if from == to {
                (last_end, last_end)
            } else if spoken == tokens.len() {
                (tokens[from].start_ms.saturating_sub(skipped_ms), tokens[to - 1].end_ms.saturating_sub(skipped_ms))
            } else {
                // The engine cut the text otherwise than we did: by proportion.
                (total_ms * from as u32 / spoken as u32, total_ms * to as u32 / spoken as u32)
            };
            let start_ms = start.max(last_end);
            last_end = end.max(start_ms);
            WordTime { word: word.written.clone(), start_ms, end_ms: last_end }
        })
        .collect()
}

/// Runs the mouth until told to stop.
pub(super) fn run(mut voice: Voice, commands: &Receiver<MouthCommand>) {
    let mut lanes: HashMap<CallId, Lane> = HashMap::new();
    let mut order: VecDeque<CallId> = VecDeque::new();
    loop {
        let synthesis_waits = lanes.values().any(Lane::wants_synthesis);
        let first = if synthesis_waits {
            commands.try_recv().map_err(|error| error == TryRecvError::Disconnected)
        } else if lanes.values().any(|lane| !lane.utterances.is_empty()) {
            commands.recv_timeout(REFILL).map_err(|error| error == RecvTimeoutError::Disconnected)
        } else {
            commands.recv().map_err(|_| true)
        };
        let mut command = match first {
            Ok(command) => Some(command),
            Err(disconnected) if disconnected => return,
            Err(_) => None,
        };
        while let Some(next) = command {
            match next {
                MouthCommand::Attach { call, outbound, events, generation } => {
                    lanes.insert(call, Lane { outbound, events, generation, utterances: VecDeque::new() });
                    order.push_back(call);
                }
                MouthCommand::Speak { call, utterance, generation, text, asked } => {
                    if let Some(lane) = lanes.get_mut(&call) {
                        lane.enqueue(utterance, generation, &text, asked);
                    }
                }
                MouthCommand::Flush { call } => {
                    if let Some(lane) = lanes.get_mut(&call) {
                        lane.drop_flushed();
                    }
                }
                MouthCommand::Warm { text } => {
                    for clause in clauses(normalise(bounded(&text))) {
                        // A prompt that cannot be warmed is said when it is wanted, or fails then.
                        let _ = voice.render(&clause, &mut |_| ControlFlow::Continue(()));
                    }
                }
                MouthCommand::Detach { call } => {
                    lanes.remove(&call);
                    order.retain(|other| *other != call);
                }
                MouthCommand::Stop => return,
            }
            command = commands.try_recv().ok();
        }
        // A lane whose handle is gone says so by its generation, should its farewell have been lost.
        lanes.retain(|_, lane| lane.generation.load(Ordering::Acquire) != u32::MAX);
        order.retain(|call| lanes.contains_key(call));
        for lane in lanes.values_mut() {
            lane.refill();
        }
        // One clause of one call, then commands and rings again: calls take turns.
        let next = order.iter().position(|call| lanes.get(call).is_some_and(Lane::wants_synthesis));
        if let Some(call) = next.and_then(|at| order.remove(at)) {
            order.push_back(call);
            let spoken =
                lanes.get_mut(&call).map(|lane| catch_unwind(AssertUnwindSafe(|| lane.synthesise(&mut voice))));
            // A panic ends one call's speech, not every call's.
            if matches!(spoken, Some(Err(_)))
                && let Some(lane) = lanes.remove(&call)
            {
                let what = "speaking failed for this call".to_owned();
                tell(&lane.events, SpeechEvent::Failed { part: Part::Tts, what });
            }
        }
    }
}

/// At most `SPOKEN_TEXT_MAX` characters of a text.
fn bounded(text: &str) -> &str {
    text.char_indices().nth(SPOKEN_TEXT_MAX).map_or(text, |(at, _)| &text[..at])
}

impl Lane {
    fn enqueue(&mut self, id: UtteranceId, generation: Generation, text: &str, asked: Instant) {
        if self.utterances.len() >= SPEECH_UTTERANCES_MAX {
            let what = format!("more than {SPEECH_UTTERANCES_MAX} utterances are waiting; one was dropped");
            tell(&self.events, SpeechEvent::Failed { part: Part::Tts, what });
            tell(&self.events, SpeechEvent::Spoken { utterance: id, words: Vec::new(), samples: 0 });
            return;
        }
        self.utterances.push_back(Utterance {
            id,
            generation,
            asked,
            clauses: clauses(normalise(bounded(text))).into(),
            waiting: VecDeque::new(),
            words: Vec::new(),
            samples: 0,
            started: false,
            answered: false,
        });
        self.drop_flushed();
    }

    fn drop_flushed(&mut self) {
        let oldest = self.generation.load(Ordering::Acquire);
        let events = &self.events;
        self.utterances.retain_mut(|utterance| {
            let keep = utterance.generation.0 >= oldest;
            // One whose synthesis was complete has been answered already.
            if !keep && !utterance.answered {
                utterance.answer(events);
            }
            keep
        });
    }

    fn wants_synthesis(&self) -> bool {
        let waiting: usize = self.utterances.iter().map(|utterance| utterance.waiting.len()).sum();
        waiting < LANE_SAMPLES_MAX && self.utterances.iter().any(|utterance| !utterance.answered)
    }

    /// Renders the next clause that is not rendered yet.
    fn synthesise(&mut self, voice: &mut Voice) {
        let Some(at) = self.utterances.iter().position(|utterance| !utterance.answered) else { return };
        let utterance = &mut self.utterances[at];
        if let Some(clause) = utterance.clauses.pop_front() {
            let before_ms = (utterance.samples / 8) as u32;
            let generation = Arc::clone(&self.generation);
            let mine = utterance.generation.0;
            let (outbound, events) = (&mut self.outbound, &self.events);
            let (rendered, outcome) = voice.render(&clause, &mut |samples| {
                if generation.load(Ordering::Acquire) > mine {
                    return ControlFlow::Break(());
                }
                utterance.waiting.extend(samples);
                utterance.samples += samples.len() as u64;
                // Only the first utterance may write to the ring.
                if at == 0 {
                    utterance.refill(outbound, events);
                }
                ControlFlow::Continue(())
            });
            if let Err(what) = outcome {
                tell(&self.events, SpeechEvent::Failed { part: Part::Tts, what });
            }
            let utterance = &mut self.utterances[at];
            utterance.words.extend(rendered.words.iter().map(|word| WordTime {
                word: word.word.clone(),
                start_ms: word.start_ms + before_ms,
                end_ms: word.end_ms + before_ms,
            }));
        }
        let utterance = &mut self.utterances[at];
        if utterance.clauses.is_empty() {
            utterance.answer(&self.events);
        }
        self.drop_flushed();
        self.refill();
    }

    /// Moves waiting audio to the ring, utterance by utterance.
    fn refill(&mut self) {
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
    fn answer(&mut self, events: &mpsc::Sender<SpeechEvent>) {
        self.answered = true;
        self.clauses.clear();
        tell(
            events,
            SpeechEvent::Spoken { utterance: self.id, words: std::mem::take(&mut self.words), samples: self.samples },
        );
    }

    /// Moves whole frames to the ring, keeping one back: the last one has to say that it is the last.
    fn refill(&mut self, outbound: &mut OutboundProducer, events: &mpsc::Sender<SpeechEvent>) {
        while self.waiting.len() > FRAME_SAMPLES && outbound.vacant_len() > 0 {
            self.send(outbound, events, false);
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
