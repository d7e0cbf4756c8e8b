//! The thread that hears every call.
//!
//! Purpose: drains the inbound rings, finds speech, and hands the speech (with what came just before it) to a recogniser.
//! Owning thread: "ears", one; woken by each media worker's bell at most once a pass and by its own for commands.
//! Invariants: no call waits for another's recogniser (decoding is on other threads); rings are drained at every wake, so a
//! frame is read within one wake of its arrival; `Voice` and what else comes often leave [`EVENT_RESERVE`] places for events
//! that must arrive.
//! Deliberately absent: decisions about turns, decoding.

use super::asr::{Job, Jobs, tell};
use super::end_of_turn::{Pauses, TurnAudio};
use super::event::{Part, SpeechEvent};
use super::progress::{Owed, Progress};
use super::recogniser::Caller;
use super::stirring::Stirring;
use super::vad::{ONSET_CHUNKS, VoiceTracker, above_gate};
use crate::conversation::Expectation;
use crate::id::CallId;
use crate::limits::{TURN_MAX, UTTERANCE_MAX};
use crate::media::{InFrame, InboundConsumer};
use crate::os::wait::wait_any;
use crate::os::wake::Wake;
use crate::time::{MediaTime, Tick};
use crate::turn::Sound;
use callwright_dsp::brightness::Brightness;
use callwright_dsp::echo_guard::EchoGuard;
use callwright_dsp::level;
use callwright_dsp::prosody::Melody;
use callwright_models::vad::{CHUNK_SAMPLES, Detector, VadState};
use crossbeam_channel::{Receiver, TryRecvError, TrySendError};
use ringbuf::traits::Consumer;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Of every ring.
const RATE_HZ: u32 = 8000;
/// Audio kept from before an onset: 300 ms, plus the chunks that made the onset.
const PRE_ROLL_SAMPLES: u64 = 2400;
/// Audio kept in all: what a late onset may reach back to.
const HISTORY_SAMPLES: usize = PRE_ROLL_SAMPLES as usize + (ONSET_CHUNKS as usize + 2) * CHUNK_SAMPLES;
/// Silence after speech that is still decoded: final consonants are quiet. What is skipped is fetched from history when
/// speech goes on.
const TAIL_SAMPLES: u64 = 2400;
/// `Voice` is sent for every chunk this long after speech.
const VOICE_AFTER_SAMPLES: u64 = 3 * 8000;
/// And so long after a sound began.
const STIRRED_SAMPLES: u64 = 4000;
/// What is sent to the caller at this level or above is the agent's voice.
const AGENT_DBFS: f32 = -50.0;
/// Whoever begins so soon after it speaks over the agent: it pauses between sentences, and falls silent at the first sound.
const OVER_SAMPLES: u64 = 8000;
/// Else for every 16th chunk: about twice a second.
const VOICE_SELDOM: u32 = 16;
/// A turn that ends after so long and without such a pause was cut.
const CUT_AFTER: Duration = TURN_MAX.saturating_sub(Duration::from_secs(1));
const PAUSE_MIN: Duration = Duration::from_millis(128);
/// Whoever leads a call ends a turn of [`TURN_MAX`] itself, and is given so long to ask: a turn that had ended by then would be
/// answered twice, first with nothing. (Who asks still later, or counts from a later beginning, may be.)
const ASKED_WITHIN: Duration = Duration::from_millis(500);
/// Places in a call's event channel that `Voice` never takes.
pub(super) const EVENT_RESERVE: usize = 32;
/// A chunk of which so much is the agent's own voice is nobody's speech.
const ECHO_SHARE: f32 = 0.7;
/// Wakes without a bell: only a lost bell makes this matter.
const PATIENCE: Duration = Duration::from_millis(500);

/// One order to the ears.
pub(super) enum EarsCommand {
    Attach(Box<Ear>),
    Listen {
        call: CallId,
        expectation: Expectation,
    },
    Finalize {
        call: CallId,
        asked: Instant,
    },
    /// What is being said is not meant for us.
    Forget {
        call: CallId,
    },
    Detach {
        call: CallId,
    },
    /// As `Detach`, and gives the ring back.
    Release {
        call: CallId,
        give: oneshot::Sender<InboundConsumer>,
    },
    Stop,
}

/// How a lane is listened to.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    /// Whose caller it is, by the agent's number.
    pub(super) agent: usize,
    /// `vad.threshold`.
    pub(super) threshold: f32,
    /// A turn that nobody ends is ended this long after its last speech.
    pub(super) idle: Duration,
    /// For one who leaves the turns to the ears.
    pub(super) dictates: bool,
    /// For one who feeds audio at a pace of its own.
    pub(super) progress: Option<Arc<Progress>>,
    /// For one whose turns a model can judge.
    pub(super) pauses: Option<Pauses>,
}

/// One call as the ears know it.
pub(super) struct Ear {
    call: CallId,
    inbound: InboundConsumer,
    events: mpsc::Sender<SpeechEvent>,
    jobs: Jobs,
    listening: Listening,
    expectation: Expectation,
    state: VadState,
    tracker: VoiceTracker,
    melody: Melody,
    guard: Box<EchoGuard>,
    stirring: Stirring,
    brightness: Brightness,
    /// When a sound was last heard to begin.
    stirred: MediaTime,
    /// Levels of the agent's audio that the guard has.
    said: u32,
    /// When it was last to be heard.
    agent_until: Option<u64>,
    chunk: [i16; CHUNK_SAMPLES],
    filled: usize,
    chunk_at: MediaTime,
    /// Arrival of the frames that the last chunks were made of.
    arrivals: VecDeque<(MediaTime, Tick)>,
    last_voiced_tick: Tick,
    /// Arrival of the first loud sample of this stretch of voice, once there is one.
    loud_from: Option<Tick>,
    history: VecDeque<i16>,
    history_end: u64,
    turn: Option<Turn>,
    /// The turn as the end-of-turn model will hear it, when there is one.
    turn_audio: Option<TurnAudio>,
    chunks_since_voice: u32,
    vad_failed: bool,
    overloaded: bool,
    /// The recogniser still hears a turn whose end it had no room for.
    uncancelled: bool,
    /// A turn was given up in the middle of speech: what comes next of it is a turn of its own.
    given_up: bool,
    /// End of the speech in the turn before: no other turn's audio reaches back to it.
    ended: u64,
}

/// A caller's turn in progress.
struct Turn {
    started: MediaTime,
    /// The agent spoke about when it began.
    over: bool,
    /// First sample not yet sent to the recogniser.
    fed_to: u64,
    /// The recogniser knows of it.
    ordered: bool,
}

impl Ear {
    pub(super) fn new(
        call: CallId,
        inbound: InboundConsumer,
        events: mpsc::Sender<SpeechEvent>,
        jobs: Jobs,
        listening: Listening,
    ) -> Box<Self> {
        Box::new(Self {
            call,
            inbound,
            events,
            jobs,
            tracker: VoiceTracker::new(listening.threshold),
            turn_audio: listening.pauses.clone().map(TurnAudio::new),
            listening,
            expectation: Expectation::default(),
            state: VadState::default(),
            melody: Melody::default(),
            guard: Box::default(),
            stirring: Stirring::default(),
            brightness: Brightness::default(),
            stirred: MediaTime(0),
            said: 0,
            agent_until: None,
            chunk: [0; CHUNK_SAMPLES],
            filled: 0,
            chunk_at: MediaTime(0),
            arrivals: VecDeque::with_capacity(8),
            last_voiced_tick: Tick(0),
            loud_from: None,
            history: VecDeque::with_capacity(HISTORY_SAMPLES),
            history_end: 0,
            turn: None,
            chunks_since_voice: 0,
            vad_failed: false,
            overloaded: false,
            uncancelled: false,
            given_up: false,
            ended: 0,
        })
    }

    fn handle_frame(&mut self, frame: &InFrame, detector: &mut Detector) {
        if frame.at.0 != self.chunk_at.0 + self.filled as u64 {
            // The worker's audio has no holes; a jump means that frames were dropped because this thread stood still.
            self.filled = 0;
            self.history.clear();
            self.history_end = frame.at.0;
            self.stirring.interrupt();
        }
        if self.arrivals.len() >= 8 {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back((frame.at, frame.received));
        let fresh = frame.said.count.wrapping_sub(self.said).min(frame.said.dbfs.len() as u32);
        self.said = frame.said.count;
        for level in &frame.said.dbfs[frame.said.dbfs.len() - fresh as usize..] {
            self.guard.handle_said(f32::from(*level));
            if f32::from(*level) >= AGENT_DBFS {
                self.agent_until = Some(frame.at.0 + frame.samples().len() as u64);
            }
        }
        self.meet_agent();
        let mut at = frame.at.0;
        let mut samples = frame.samples();
        let mut stirred = None;
        while !samples.is_empty() {
            if self.filled == 0 {
                self.chunk_at = MediaTime(at);
            }
            let take = samples.len().min(CHUNK_SAMPLES - self.filled);
            self.chunk[self.filled..self.filled + take].copy_from_slice(&samples[..take]);
            self.guard.handle_heard(&samples[..take]);
            // Before the line is known to return nothing, whatever sounds may be the agent.
            let foreign = self.guard.returns_nothing() || self.guard.is_more();
            stirred = self.stirring.handle_audio(MediaTime(at), &samples[..take], foreign).or(stirred);
            self.filled += take;
            at += take as u64;
            samples = &samples[take..];
            if self.filled == CHUNK_SAMPLES {
                self.handle_chunk(detector);
                self.filled = 0;
                self.chunk_at = MediaTime(at);
            }
        }
        let crowded = self.events.capacity() <= EVENT_RESERVE;
        let event = match stirred {
            _ if crowded => None,
            Some(began) => {
                self.stirred = began;
                Some(SpeechEvent::Stirring { at: began, now: MediaTime(at), received: self.arrival(began) })
            }
            // The last chunk was reported, so most likely something is going on.
            None if self.filled > 0 && self.chunks_since_voice == 0 => Some(SpeechEvent::Heard { to: MediaTime(at) }),
            None => None,
        };
        // A closed channel belongs to a call whose detach is on its way.
        drop(event.map(|event| self.events.try_send(event)));
    }

    /// Of speech in the chunk. A detector that failed once leaves this call to the one that cannot.
    fn probability(&mut self, detector: &mut Detector) -> f32 {
        if !self.vad_failed {
            match detector.speech_probability(&mut self.state, &self.chunk) {
                Ok(probability) => return probability,
                Err(error) => {
                    self.vad_failed = true;
                    tell(&self.events, SpeechEvent::Failed { part: Part::Vad, what: error.to_string() });
                }
            }
        }
        Detector::earshot().speech_probability(&mut self.state, &self.chunk).unwrap_or(0.0)
    }

    fn handle_chunk(&mut self, detector: &mut Detector) {
        let at = self.chunk_at;
        let end = MediaTime(at.0 + CHUNK_SAMPLES as u64);
        if self.history.len() + CHUNK_SAMPLES > HISTORY_SAMPLES {
            self.history.drain(..CHUNK_SAMPLES);
        }
        self.history.extend(self.chunk);
        self.history_end = end.0;
        let echo = self.guard.take_share();
        // The model hears the echo as well, as what it remembers must be what was there; it is only not believed.
        let probability = match above_gate(&self.chunk).then(|| self.probability(detector)) {
            Some(probability) if echo < ECHO_SHARE => probability,
            _ => 0.0,
        };
        if self.uncancelled {
            self.uncancelled = self.jobs.try_send(Job::Cancel { call: self.call }).is_err();
        }
        self.melody.handle_audio(&self.chunk);
        self.brightness.handle_audio(&self.chunk);
        let began = !self.tracker.in_voice();
        let judgement = self.tracker.handle_chunk(at, &self.chunk, probability);
        if began {
            self.loud_from = None;
        }
        if self.loud_from.is_none() && self.tracker.in_voice() {
            self.loud_from = level::first_voiced(&self.chunk, RATE_HZ, level::VOICED_DBFS)
                .map(|sample| self.arrival(MediaTime(at.0 + sample as u64)));
        }
        if judgement.voiced {
            self.last_voiced_tick = self.arrival(MediaTime(self.tracker.last_voiced().0.saturating_sub(1)));
        }
        if let Some(onset) = judgement.onset {
            tell(&self.events, SpeechEvent::Onset { at: onset, received: self.arrival(onset) });
            if self.turn.is_none() {
                self.begin(onset, onset.0.saturating_sub(PRE_ROLL_SAMPLES).max(self.ended));
            }
        } else if (self.listening.dictates || self.given_up) && self.turn.is_none() && judgement.voiced {
            // A turn was cut for its length, or given up, in the middle of speech; nobody else begins the next.
            self.tracker.claim();
            self.begin(at, at.0.saturating_sub(CHUNK_SAMPLES as u64));
        }
        self.feed(judgement.onset, end);
        if let Some(audio) = self.turn_audio.as_mut().filter(|_| self.turn.is_some()) {
            audio.hear(&self.chunk, end, self.tracker.last_voiced(), &self.events);
        }
        // Its melody is of interest where a voice has just ended.
        let paused = !judgement.voiced && end.0 <= self.tracker.last_voiced().0 + VOICE_AFTER_SAMPLES;
        let contour = if paused { self.melody.contour() } else { None };
        let likely = self.guard.is_likely();
        let sound = Sound {
            level_dbfs: level::dbfs(&self.chunk),
            stirring: judgement.stirring,
            pitched: self.melody.take_pitched(),
            bright_db: self.brightness.take_db(),
            maybe_echo: likely && self.guard.path().is_none(),
            echoes: likely,
            contour,
        };
        self.report(judgement.voiced, sound, end);
    }

    fn begin(&mut self, started: MediaTime, fed_to: u64) {
        let (call, expectation, events) = (self.call, self.expectation, self.events.clone());
        let stream = self.listening.dictates;
        // Who goes on after an aside is judged again.
        let over =
            !stream && (self.given_up || self.agent_until.is_some_and(|until| started.0 <= until + OVER_SAMPLES));
        self.given_up = false;
        let caller = Caller { agent: self.listening.agent, over };
        let ordered = self.order(Job::Begin { call, caller, expectation, started, events, stream });
        self.turn = Some(Turn { started, over, fed_to, ordered });
        if let Some(audio) = &mut self.turn_audio {
            // The chunk that is being judged comes after this.
            let before = self.history.len().saturating_sub(CHUNK_SAMPLES);
            let back = (self.history_end - fed_to) as usize;
            let from = self.history.len().saturating_sub(back).min(before);
            audio.begin(self.history.range(from..before).copied());
        }
        // A turn begins instead of whatever is open.
        self.uncancelled &= !ordered;
        if let Some(progress) = &self.listening.progress {
            progress.turn_began();
        }
    }

    /// Whoever begins just before the agent does speaks over it no less: both have begun at once.
    fn meet_agent(&mut self) {
        let Some(turn) = self.turn.as_ref().filter(|turn| turn.ordered && !turn.over && !self.listening.dictates)
        else {
            return;
        };
        let soon = |until: u64| (turn.started.0..turn.started.0 + OVER_SAMPLES).contains(&until);
        if self.agent_until.is_some_and(soon) {
            let caller = Caller { agent: self.listening.agent, over: true };
            let over = self.order(Job::Over { call: self.call, caller });
            if let Some(turn) = self.turn.as_mut() {
                turn.over = over;
            }
        }
    }

    /// Sends the recogniser what it should have by now, and ends turns that nobody ends.
    fn feed(&mut self, onset: Option<MediaTime>, end: MediaTime) {
        let Some(turn) = &mut self.turn else { return };
        let silence = end.since(self.tracker.last_voiced());
        let longest = UTTERANCE_MAX + if self.listening.dictates { Duration::ZERO } else { ASKED_WITHIN };
        if end.since(turn.started) >= longest || silence >= self.listening.idle {
            self.finalize(Instant::now());
            return;
        }
        if !self.tracker.speaking() && end.0 > self.tracker.last_voiced().0 + TAIL_SAMPLES {
            return;
        }
        let history_start = self.history_end - self.history.len() as u64;
        if let Some(onset) = onset {
            // Speech goes on after a pause that was not sent: from a little before it.
            turn.fed_to = turn.fed_to.max(onset.0.saturating_sub(PRE_ROLL_SAMPLES));
        }
        let from = turn.fed_to.max(history_start);
        let samples: Box<[i16]> =
            self.history.range((from - history_start) as usize..).copied().collect::<Vec<_>>().into_boxed_slice();
        turn.fed_to = end.0;
        if !samples.is_empty() && turn.ordered {
            let owed = Owed::new(self.listening.progress.as_ref(), samples.len());
            // No pause reaches back before this turn, nor to what was not sent.
            let quiet = usize::try_from(end.0.saturating_sub(self.tracker.last_voiced().0)).unwrap_or(usize::MAX);
            self.order(Job::Audio { call: self.call, samples, until: end, quiet, owed });
        }
    }

    fn finalize(&mut self, asked: Instant) {
        self.given_up = false;
        // Who is cut for talking too long is listened to again after a real pause (`turn`): that stretch stays one.
        let now = MediaTime(self.history_end);
        let cut = now.since(self.tracker.last_voiced()) < PAUSE_MIN
            && self.turn.as_ref().is_some_and(|turn| now.since(turn.started) >= CUT_AFTER);
        if !self.listening.dictates && !cut {
            self.tracker.release();
        }
        match self.turn.take() {
            Some(turn) => {
                let started = turn.started;
                let ended = self.tracker.last_voiced().max(started);
                self.ended = ended.0;
                // The recogniser answers what it was told of.
                if !(turn.ordered && self.order(Job::End { call: self.call, started, ended, asked })) {
                    self.uncancelled |= turn.ordered;
                    self.answer_nothing(started, ended, asked);
                }
            }
            // The turn that was to be cut has ended by itself: its answer is on its way.
            None if self.listening.progress.is_some() => {}
            None => {
                let now = MediaTime(self.history_end);
                self.answer_nothing(now, now, asked);
            }
        }
    }

    /// Gives up what is being said, without an answer: it was no turn. Whoever speaks on begins one.
    fn forget(&mut self) {
        if let Some(turn) = self.turn.take() {
            let cancelled = !turn.ordered || self.jobs.try_send(Job::Cancel { call: self.call }).is_ok();
            self.uncancelled |= !cancelled;
        }
        self.given_up = self.tracker.in_voice();
    }

    fn answer_nothing(&self, started: MediaTime, ended: MediaTime, asked: Instant) {
        let took = asked.elapsed();
        let (text, alternatives) = (String::new(), Vec::new());
        tell(&self.events, SpeechEvent::Final { text, confidence: 0.0, alternatives, started, ended, took });
    }

    fn report(&mut self, voiced: bool, sound: Sound, end: MediaTime) {
        self.chunks_since_voice += 1;
        let last_voiced = self.tracker.last_voiced();
        let lively = sound.stirring
            || (self.stirred.0 > 0 && end.0 <= self.stirred.0 + STIRRED_SAMPLES)
            || self.tracker.speaking()
            || (last_voiced.0 > 0 && end.0 <= last_voiced.0 + VOICE_AFTER_SAMPLES);
        if (lively || self.chunks_since_voice >= VOICE_SELDOM) && self.events.capacity() > EVENT_RESERVE {
            self.chunks_since_voice = 0;
            let event = SpeechEvent::Voice {
                at: end,
                voiced,
                last_voiced,
                last_voiced_tick: self.last_voiced_tick,
                onset_tick: self.loud_from,
                sound,
            };
            // A closed channel belongs to a call whose detach is on its way.
            drop(self.events.try_send(event));
        }
    }

    fn arrival(&self, at: MediaTime) -> Tick {
        let earlier = self.arrivals.iter().rev().find(|(first, _)| *first <= at);
        earlier.or(self.arrivals.front()).map_or(Tick(0), |(_, received)| *received)
    }

    /// Hands a job to the recogniser; false when it is many seconds behind.
    fn order(&mut self, job: Job) -> bool {
        if self.jobs.try_send(job).is_ok() {
            return true;
        }
        if !self.overloaded {
            self.overloaded = true;
            let what = "recognition is too slow for the calls on this machine".to_owned();
            tell(&self.events, SpeechEvent::Failed { part: Part::Asr, what });
        }
        false
    }
}

/// Runs the ears until told to stop.
pub(super) fn run(
    mut detector: Detector,
    commands: &Receiver<EarsCommand>,
    own: &Arc<Wake>,
    media: &[Wake],
    heard: impl Fn(u64),
) {
    let wakes: Vec<RawFd> = std::iter::once(own.as_raw_fd()).chain(media.iter().map(Wake::as_raw_fd)).collect();
    let mut ears: Vec<Box<Ear>> = Vec::new();
    // Calls that are gone and whose recogniser has not been told yet.
    let mut gone: Vec<(Jobs, CallId)> = Vec::new();
    loop {
        wait_any(&wakes, PATIENCE);
        // Audio first: a command that follows speech in time must find that speech judged.
        let mut frames = 0;
        ears.retain_mut(|ear| {
            let keep = listen(ear, &mut detector, &mut frames);
            if !keep {
                gone.push((ear.jobs.clone(), ear.call));
            }
            keep
        });
        heard(frames);
        loop {
            match commands.try_recv() {
                Ok(EarsCommand::Attach(ear)) => ears.push(ear),
                Ok(EarsCommand::Listen { call, expectation }) => {
                    if let Some(ear) = ears.iter_mut().find(|ear| ear.call == call) {
                        ear.expectation = expectation;
                    }
                }
                Ok(EarsCommand::Finalize { call, asked }) => {
                    if let Some(ear) = ears.iter_mut().find(|ear| ear.call == call) {
                        ear.finalize(asked);
                        if ear.listening.dictates {
                            // Audio has stayed away: what comes next follows on nothing.
                            ear.tracker.interrupt();
                            ear.state = VadState::default();
                        }
                    }
                }
                Ok(EarsCommand::Forget { call }) => {
                    if let Some(ear) = ears.iter_mut().find(|ear| ear.call == call) {
                        ear.forget();
                    }
                }
                Ok(EarsCommand::Detach { call }) => {
                    if let Some(at) = ears.iter().position(|ear| ear.call == call) {
                        gone.push((ears.swap_remove(at).jobs, call));
                    }
                }
                Ok(EarsCommand::Release { call, give }) => {
                    if let Some(at) = ears.iter().position(|ear| ear.call == call) {
                        let ear = *ears.swap_remove(at);
                        gone.push((ear.jobs, call));
                        // Who asked may be gone, and the ring with it.
                        let _ = give.send(ear.inbound);
                    }
                }
                Ok(EarsCommand::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => break,
            }
        }
        gone.retain(|(jobs, call)| matches!(jobs.try_send(Job::Forget { call: *call }), Err(TrySendError::Full(_))));
    }
}

/// Reads a call's ring to its end; false when the call is to be dropped: its actor is gone, or its audio made us panic.
fn listen(ear: &mut Ear, detector: &mut Detector, frames: &mut u64) -> bool {
    let read = catch_unwind(AssertUnwindSafe(|| {
        while let Some(frame) = ear.inbound.try_pop() {
            *frames += 1;
            ear.handle_frame(&frame, detector);
        }
        if let Some(progress) = &ear.listening.progress {
            progress.read_to(ear.chunk_at.0 + ear.filled as u64);
        }
    }));
    if read.is_err() {
        tell(&ear.events, SpeechEvent::Failed { part: Part::Vad, what: "hearing failed for this call".into() });
        return false;
    }
    !ear.events.is_closed()
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;
    use crate::media::{SaidLevels, inbound_ring};
    use callwright_models::Assets;
    use callwright_models::tts::Flite;
    use crossbeam_channel::bounded;
    use std::ops::ControlFlow;

    /// Half a minute and more of a voice that never pauses, 8 kHz.
    fn talk() -> Option<Vec<i16>> {
        let mut talk = Vec::new();
        let mut flite = match Flite::load(&Assets::locate(), "rms") {
            Ok(flite) => flite,
            Err(error) => {
                eprintln!("skipped: {error}");
                return None;
            }
        };
        flite.speak("we are the people who never ever run out of more words", &mut |chunk| {
            talk.extend(chunk.iter().step_by(2).filter(|sample| sample.abs() > 8));
            ControlFlow::Continue(())
        });
        Some(talk.iter().copied().cycle().take(8000 * 40).collect())
    }

    fn ear(progress: Option<Arc<Progress>>, jobs: Jobs) -> (Box<Ear>, mpsc::Receiver<SpeechEvent>) {
        let (_, inbound) = inbound_ring();
        let (sender, events) = mpsc::channel(4096);
        let (idle, dictates) = (Duration::from_millis(700), progress.is_some());
        let listening = Listening { agent: 0, threshold: 0.6, idle, dictates, progress, pauses: None };
        (Ear::new(CallId(1), inbound, sender, jobs, listening), events)
    }

    fn hear(ear: &mut Ear, at: &mut u64, samples: &[i16]) {
        let mut detector = Detector::earshot();
        for part in samples.chunks(160) {
            let mut pcm = [0; 160];
            pcm[..part.len()].copy_from_slice(part);
            let frame = InFrame {
                at: MediaTime(*at),
                received: Tick(0),
                fed: false,
                len: part.len() as u16,
                said: SaidLevels::SILENCE,
                pcm,
            };
            *at += part.len() as u64;
            ear.handle_frame(&frame, &mut detector);
        }
    }

    #[test]
    fn a_stream_that_never_pauses_is_cut_without_a_gap() {
        let Some(talk) = talk() else { return };
        let (jobs, orders) = bounded(8192);
        let progress = Arc::new(Progress::default());
        let (mut ear, _events) = ear(Some(Arc::clone(&progress)), jobs);
        let mut at = 0;
        hear(&mut ear, &mut at, &talk);
        hear(&mut ear, &mut at, &[0; 16_000]);
        let (mut turns, mut heard_to) = (0, None);
        for order in orders.try_iter() {
            match order {
                Job::Begin { .. } => turns += 1,
                Job::Audio { samples, until, .. } => {
                    let from = until.0 - samples.len() as u64;
                    assert!(heard_to.is_none_or(|to| from <= to), "{heard_to:?} to {from} is lost");
                    heard_to = Some(until.0);
                }
                Job::Over { .. } | Job::End { .. } | Job::Cancel { .. } | Job::Forget { .. } => {}
            }
        }
        assert_eq!((turns, progress.turns(), progress.owed()), (2, 2, 0));
        assert!(heard_to.is_some_and(|to| to >= talk.len() as u64));
    }

    #[test]
    fn who_speaks_again_soon_after_the_end_of_a_turn_is_heard() {
        let Some(talk) = talk() else { return };
        let (jobs, orders) = bounded(8192);
        let (mut ear, _events) = ear(None, jobs);
        let mut at = 0;
        hear(&mut ear, &mut at, &talk[..8000]);
        // Together shorter than a pause that ends a stretch of speech.
        hear(&mut ear, &mut at, &[0; 1600]);
        ear.finalize(Instant::now());
        let ended = ear.ended;
        hear(&mut ear, &mut at, &[0; 640]);
        hear(&mut ear, &mut at, &talk[8000..16_000]);
        let orders: Vec<Job> = orders.try_iter().collect();
        let begun: Vec<usize> =
            orders.iter().enumerate().filter(|(_, o)| matches!(o, Job::Begin { .. })).map(|(n, _)| n).collect();
        assert_eq!(begun.len(), 2);
        let first = orders[begun[1]..].iter().find_map(|order| match order {
            Job::Audio { samples, until, .. } => Some(until.0 - samples.len() as u64),
            _ => None,
        });
        assert!(first.is_some_and(|from| (ended..10_240).contains(&from)), "{first:?} after {ended}");
    }

    #[test]
    fn who_is_cut_for_talking_too_long_is_listened_to_after_a_pause() {
        let Some(talk) = talk() else { return };
        let begun = |pause: usize| {
            let (jobs, orders) = bounded(8192);
            let (mut ear, _events) = ear(None, jobs);
            let mut at = 0;
            hear(&mut ear, &mut at, &talk[..8000 * 31]);
            hear(&mut ear, &mut at, &vec![0; pause]);
            hear(&mut ear, &mut at, &talk[8000 * 31..8000 * 34]);
            orders.try_iter().filter(|order| matches!(order, Job::Begin { .. })).count()
        };
        assert_eq!((begun(2240), begun(8000)), (1, 2));
    }

    #[test]
    fn a_turn_that_is_asked_for_at_its_longest_is_answered_once_and_not_with_nothing() {
        let Some(talk) = talk() else { return };
        // Samples after it.
        for late in [0, 2400, 16_000] {
            let (jobs, orders) = bounded(8192);
            let (mut ear, mut events) = ear(None, jobs);
            let mut at = 0;
            hear(&mut ear, &mut at, &talk[..16_000]);
            let started = ear.turn.as_ref().expect("a turn").started;
            let to = started.0 as usize + TURN_MAX.as_millis() as usize * 8 + late;
            hear(&mut ear, &mut at, &talk[16_000..to.next_multiple_of(160)]);
            let ended = |orders: Vec<Job>| orders.iter().filter(|order| matches!(order, Job::End { .. })).count();
            let unasked = ended(orders.try_iter().collect());
            assert_eq!(unasked, usize::from(late == 16_000), "nobody asked");
            if unasked == 0 {
                ear.finalize(Instant::now());
                assert_eq!(ended(orders.try_iter().collect()), 1, "{late} samples late");
            }
            let nothing = std::iter::from_fn(|| events.try_recv().ok()).any(|e| matches!(e, SpeechEvent::Final { .. }));
            assert!(!nothing, "{late} samples late");
        }
    }

    #[test]
    fn what_is_forgotten_is_not_answered_and_who_speaks_on_begins_a_turn() {
        let Some(talk) = talk() else { return };
        let (jobs, orders) = bounded(8192);
        let (mut ear, mut events) = ear(None, jobs);
        let mut at = 0;
        hear(&mut ear, &mut at, &talk[..8000]);
        ear.forget();
        hear(&mut ear, &mut at, &talk[8000..16_000]);
        let orders: Vec<Job> = orders.try_iter().collect();
        let cancelled = orders.iter().position(|order| matches!(order, Job::Cancel { .. })).unwrap();
        let begun = |orders: &[Job]| orders.iter().filter(|order| matches!(order, Job::Begin { .. })).count();
        assert_eq!((begun(&orders[..cancelled]), begun(&orders[cancelled..])), (1, 1));
        assert!(std::iter::from_fn(|| events.try_recv().ok()).all(|e| !matches!(e, SpeechEvent::Final { .. })));
    }

    /// Who is audible from when to when, milliseconds: the agent, the caller.
    type Audible = std::ops::Range<usize>;

    /// Whether each turn of a caller is one over the agent, as the recogniser knows at its end; `aside`: the caller's words so
    /// far are given up then, as not meant for us.
    fn over(talk: &[i16], agent: Audible, caller: Audible, aside: Option<usize>, dictates: bool) -> Vec<bool> {
        let (jobs, orders) = bounded(8192);
        let (mut ear, _events) = ear(dictates.then(Arc::default), jobs);
        let (mut detector, mut said) = (Detector::earshot(), SaidLevels::SILENCE);
        for ms in (0..caller.end + 100).step_by(20) {
            if aside == Some(ms) {
                ear.forget();
            }
            // A tone: no echo of it is anybody's voice.
            let tone: Vec<i16> = (0..160).map(|n| if n / 8 % 2 == 0 { 3000 } else { -3000 }).collect();
            said.push_frame(if agent.contains(&ms) { &tone } else { &[0; 160] });
            let mut pcm = [0; 160];
            if caller.contains(&ms) {
                pcm.copy_from_slice(&talk[ms * 8..ms * 8 + 160]);
            }
            let at = MediaTime(ms as u64 * 8);
            ear.handle_frame(&InFrame { at, received: Tick(0), fed: false, len: 160, said, pcm }, &mut detector);
        }
        let mut turns = Vec::new();
        for order in orders.try_iter() {
            match order {
                Job::Begin { caller, .. } => turns.push(caller.over),
                Job::Over { caller, .. } => *turns.last_mut().expect("a turn") = caller.over,
                _ => {}
            }
        }
        turns
    }

    #[test]
    fn whoever_begins_while_the_agent_speaks_or_soon_after_is_over_it() {
        let Some(talk) = talk() else { return };
        let silence = 20_000..20_000;
        for (what, agent, caller, expected) in [
            ("in the middle of a sentence", 0..3000, 1500..3000, true),
            ("in a pause after it", 0..1500, 2000..3500, true),
            ("long after it", 0..1500, 3500..5000, false),
            ("and nobody else", silence.clone(), 1500..3000, false),
            ("both at once", 1500..4000, 1500..3000, true),
            ("40 ms before the agent", 1540..4000, 1500..3000, true),
            ("200 ms before the agent", 1700..4000, 1500..3000, true),
            ("600 ms before the agent", 2100..4000, 1500..3000, true),
            ("long before the agent", 3500..5000, 1500..4500, false),
        ] {
            assert_eq!(over(&talk, agent.clone(), caller.clone(), None, false), [expected], "{what}");
            assert_eq!(over(&talk, agent, caller, None, true), [false], "{what}, dictated");
        }
        // Who goes on after an aside is judged again, though the agent has been silent for long.
        assert_eq!(over(&talk, 0..1000, 3000..6000, Some(4500), false), [false, true]);
        assert_eq!(over(&talk, silence, 3000..6000, Some(4500), true), [false, false]);
    }

    #[test]
    fn the_agents_own_voice_is_not_heard_as_speech() {
        let Some(talk) = talk() else { return };
        let (jobs, _orders) = bounded(8192);
        let (mut ear, mut events) = ear(None, jobs);
        let mut detector = Detector::earshot();
        let mut said = SaidLevels::SILENCE;
        let (mut early, mut late) = (0, 0);
        // Words of half a second, 180 ms later and 14 dB down.
        let agent = |n: usize| if n / 4000 % 4 == 3 { 0 } else { talk[n] };
        for frame in 0..400 {
            let at = frame * 160;
            said.push_frame(&(at..at + 160).map(agent).collect::<Vec<_>>());
            let mut pcm = [0; 160];
            for (k, sample) in pcm.iter_mut().enumerate() {
                *sample = (at + k).checked_sub(1440).map_or(0, |n| agent(n) / 5);
            }
            let frame_in = InFrame { at: MediaTime(at as u64), received: Tick(0), fed: false, len: 160, said, pcm };
            ear.handle_frame(&frame_in, &mut detector);
            while let Ok(event) = events.try_recv() {
                if let SpeechEvent::Voice { voiced: true, .. } = event {
                    *(if frame < 100 { &mut early } else { &mut late }) += 1;
                }
            }
        }
        assert!(late <= 6, "{late} of some 180 chunks are taken for speech, {early} before it was known");
    }

    #[test]
    fn a_turn_whose_orders_find_no_room_is_answered_once_and_cancelled_later() {
        let Some(talk) = talk() else { return };
        // Room for the beginning only.
        let (jobs, orders) = bounded(1);
        let (mut ear, mut events) = ear(None, jobs);
        let mut at = 0;
        hear(&mut ear, &mut at, &talk[..8000]);
        ear.finalize(Instant::now());
        let mut finals = 0;
        while let Ok(event) = events.try_recv() {
            finals += u32::from(matches!(event, SpeechEvent::Final { .. }));
        }
        assert_eq!(finals, 1);
        assert!(matches!(orders.try_recv(), Ok(Job::Begin { .. })));
        hear(&mut ear, &mut at, &[0; 512]);
        assert!(matches!(orders.try_recv(), Ok(Job::Cancel { .. })));
        hear(&mut ear, &mut at, &[0; 512]);
        assert!(orders.try_recv().is_err(), "it is cancelled once");
        // One that could not even begin is answered by the ears alone.
        let (jobs, orders) = bounded(0);
        let (mut ear, mut events) = self::ear(None, jobs);
        let mut at = 0;
        hear(&mut ear, &mut at, &talk[..8000]);
        ear.finalize(Instant::now());
        let mut finals = 0;
        while let Ok(event) = events.try_recv() {
            finals += u32::from(matches!(event, SpeechEvent::Final { .. }));
        }
        assert_eq!(finals, 1);
        drop(orders);
    }
}
