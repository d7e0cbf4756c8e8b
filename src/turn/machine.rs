//! The turn-taking machine: counts voice and silence on audio time and walks the transition table.
//!
//! Owned by the call's actor. Feed it every voice judgement of speech (they come at least twice a second, also in
//! silence: audio time never stops) and drain [`TurnMachine::poll_event`] after each call.
//! Invariants: audio time never goes back; between two `EndOfTurn` lies a `UserStarted` or a `BargeIn`; a `Duck` is followed
//! by a `Floor`, a `BargeIn` or a `Resume` within `interruption::DECIDE_MAX` of audio (a voice that was found late by some
//! packets more), and a `Floor` by one of the other two: when the voice has ended, or `interruption::FLOOR_MAX` after the onset;
//! a `Resume` by an `AsideOver`, a `Duck` or a `BargeIn` (whoever goes on is listened to), unless the utterance ends otherwise;
//! no input panics. Deliberately absent: the playout (the actor ducks, flushes and lets it go on).

mod pause;

use std::collections::VecDeque;
use std::time::Duration;

use super::interruption::{self, OVER, Verdict};
use super::murmur::Murmur;
use super::pauses::Pauses;
use super::sound::Sound;
use super::suspicion::{Passed, Run, Suspicion};
use super::transitions::{Input, State};
use crate::conversation::{Expectation, is_whole_request};
use crate::id::UtteranceId;
use crate::limits::TURN_EVENTS_MAX;
use crate::time::MediaTime;
use callwright_dsp::prosody::Contour;

/// One voice judgement covers at most this much audio, however long ago the last one was.
const CHUNK_MAX: Duration = Duration::from_millis(32);
/// Unvoiced time inside a run of voice that does not end it: stops in a word, one misjudged chunk.
const RUN_GAP: Duration = Duration::from_millis(96);
/// A judgement "voiced" whose last voice lies further back than this contradicts itself; then the chunk counts as voice.
const HANG_OVER_MAX: Duration = Duration::from_millis(300);
/// So far below the caller's own level it is somebody else, and not worth falling silent for.
const FAR_DB: f32 = 15.0;
/// So far below it may be somebody else.
const DISTANT_DB: f32 = 10.0;
/// Before the caller has spoken: quieter than this, dBFS, is nobody's voice into a telephone.
const FAINT_DBFS: f32 = -46.0;
/// By this much it must grow to be another sound than the one that was shrugged off.
const LOUDER_DB: f32 = 6.0;
/// A sound that stopped for so long is over.
const SHRUGGED_GAP: Duration = Duration::from_millis(300);
/// So many words in a sound that was shrugged off are somebody who talks to the agent after all.
const INSISTING_WORDS: usize = 3;
/// By this much a level is taken to have fallen within a chunk.
const LEVEL_FALL_DB: f32 = 3.0;
/// By this much a chunk the caller's own is: a caller who turns away is followed in some seconds.
const OWN_FALL_DB: f32 = 0.03;
/// After a sound that was nobody's voice it takes a voice to make the agent fall silent, for so long: a noisy line would
/// have it stutter.
const WARY_FOR: Duration = Duration::from_secs(2);
/// Voice that goes on for so long after it was judged an aside makes the agent fall silent once more.
const AGAIN_AFTER: Duration = Duration::from_millis(96);
/// A sound goes on that was about as loud as its loudest within so long: the stop in "stop" is no end.
const SOUNDING_GAP: Duration = Duration::from_millis(128);
/// And quieter than this is silence, dBFS.
const QUIETEST_DBFS: f32 = -48.0;
/// What the recogniser says of so much quiet after the last voice it has heard with care.
const HEARD_OUT_AFTER: Duration = Duration::from_millis(192);
/// Voice over the agent that was not near enough to fall silent for counts for so long.
const BEGAN_MAX: Duration = Duration::from_millis(256);
/// What was let pass sooner than this was not judged by what was said.
const JUDGED_AFTER: Duration = Duration::from_millis(400);
/// Silence after which a caller who talked for the longest turn is listened to again.
const AFTER_LONGEST_TURN: Duration = Duration::from_millis(300);

/// Who interrupts so soon after an end of turn goes on with what was said before it.
const GOES_ON: Duration = Duration::from_millis(1500);

/// What an operator may tune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnConfig {
    /// Voice that starts a turn while the agent is silent.
    pub start_after: Duration,
    /// Voice at which the agent falls silent to hear whether it is meant.
    pub duck_after: Duration,
    /// Silence after which the caller is prompted.
    pub idle_after: Duration,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            start_after: Duration::from_millis(48),
            duck_after: Duration::from_millis(32),
            idle_after: Duration::from_secs(15),
        }
    }
}

/// What the call's actor acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEvent {
    /// The caller began to speak while the agent was silent.
    UserStarted {
        /// First voiced sample.
        at: MediaTime,
        /// True when the turn before had just ended and no answer was heard yet: what follows belongs to it.
        continues: bool,
    },
    /// Somebody makes a sound while the agent speaks: let the playout fall silent, and go on hearing.
    Duck {
        /// First voiced sample.
        at: MediaTime,
    },
    /// Whoever makes the sound has the floor: the agent stays silent for as long as they speak. A `Resume` follows if they only
    /// agreed or were none, a `BargeIn` when they have said more.
    Floor {
        /// When it was decided.
        at: MediaTime,
    },
    /// It was an aside: the playout goes on from where it fell silent. Whoever goes on speaking is listened to. Also where the
    /// agent's sentence has ended under whoever had the floor.
    Resume {
        /// Its first voiced sample.
        onset: MediaTime,
        /// When it was decided.
        at: MediaTime,
    },
    /// An aside is over: what was recognised of it is forgotten.
    AsideOver {
        /// When that was known.
        at: MediaTime,
    },
    /// The caller spoke over the agent, and meant it: flush the playout. The caller's turn has begun, no `UserStarted` follows.
    /// Also for a key that was pressed while the agent spoke; then no turn has begun.
    BargeIn {
        /// First voiced sample, or when the key came.
        at: MediaTime,
    },
    /// The caller has probably finished: an answer may be prepared, and nothing of it be done or heard before `EndOfTurn`.
    /// Once a pause, and again when other words are recognised in it: the last of them are often a guess until then. A
    /// `UserStarted`, a `BargeIn` or simply more voice may follow instead.
    LikelyEnd {
        /// When it was judged.
        at: MediaTime,
    },
    /// The caller's turn is over: finalise the transcript and answer.
    EndOfTurn {
        /// When it was decided.
        at: MediaTime,
        /// Silence since the last voiced sample; zero when the longest turn was cut.
        waited: Duration,
    },
    /// Nobody has said or keyed anything.
    NoInput {
        /// For how long.
        after: Duration,
    },
}

/// One call's turn-taking. See the module.
#[derive(Debug)]
pub struct TurnMachine {
    config: TurnConfig,
    state: State,
    now: MediaTime,
    /// How far audio has come, ahead of what of it was judged.
    heard_to: MediaTime,
    expect: Expectation,
    partial: String,
    /// That makes a whole request: looked at when it comes, not at every judgement.
    whole: bool,
    /// How the pause that lasted then sounded to the end-of-turn model.
    sounded: Option<(MediaTime, f32)>,
    /// The pause before the voice of this moment, until that has lasted.
    paused: Option<Duration>,
    pauses: Pauses,
    /// How the last end sounded, until it is known to have been one.
    ended: Option<Option<f32>>,
    /// The last voice before the pause that was announced as a likely end.
    announced: MediaTime,
    run: Option<Run>,
    /// Last voiced sample of the current turn.
    last_voiced: MediaTime,
    turn_started: MediaTime,
    /// No turn begins before this: the last event's time.
    floor: MediaTime,
    quiet_since: MediaTime,
    /// Voice in the current turn.
    voiced: Duration,
    /// Last voiced sample of the turn before.
    turn_voiced_to: MediaTime,
    utterance: Option<UtteranceId>,
    /// The longest turn was cut: hear nothing more until there is a pause.
    deaf: bool,
    /// The agent has fallen silent for a sound that may be an interruption.
    suspicion: Option<Suspicion>,
    /// The loudest of a sound that was no interruption and goes on, dBFS: the agent does not fall silent for it again.
    shrugged: Option<f32>,
    /// Voice that was no interruption and goes on.
    aside: Option<Passed>,
    /// Until then a sound is not believed before it is known for a voice.
    wary_until: MediaTime,
    /// The caller's own level while it was their turn, dBFS.
    caller_level: Option<f32>,
    /// Level of the sound of late, dBFS: what may be an interruption is held against the caller's own.
    sound_level: f32,
    /// How the last voice ended.
    contour: Option<Contour>,
    /// The sound of the chunk that is judged next.
    sound: Sound,
    /// What the agent said last, and that it has come to its question.
    agent: String,
    asked: bool,
    events: VecDeque<TurnEvent>,
}

impl TurnMachine {
    /// A machine in IDLE at audio time zero.
    #[must_use]
    pub fn new(config: TurnConfig) -> Self {
        Self {
            config,
            state: State::Idle,
            now: MediaTime(0),
            heard_to: MediaTime(0),
            expect: Expectation::Open,
            partial: String::new(),
            whole: false,
            sounded: None,
            paused: None,
            pauses: Pauses::default(),
            ended: None,
            announced: MediaTime(0),
            run: None,
            last_voiced: MediaTime(0),
            turn_started: MediaTime(0),
            floor: MediaTime(0),
            quiet_since: MediaTime(0),
            voiced: Duration::ZERO,
            turn_voiced_to: MediaTime(0),
            utterance: None,
            deaf: false,
            suspicion: None,
            shrugged: None,
            aside: None,
            wary_until: MediaTime(0),
            caller_level: None,
            sound_level: -96.0,
            contour: None,
            sound: Sound::default(),
            agent: String::new(),
            asked: false,
            events: VecDeque::new(),
        }
    }

    /// The words of this turn so far.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.partial
    }

    /// Whose turn it is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Speech began at `at`, found in audio that has just been judged voiced: makes the beginning exact. Optional; without
    /// it the beginning is that of the first voiced chunk.
    pub fn handle_onset(&mut self, at: MediaTime) {
        let alive = self.run.is_some_and(|run| self.now.since(run.end) <= RUN_GAP);
        if !alive {
            // An onset is news: what lies far from now contradicts itself.
            let earliest = MediaTime(self.now.0.saturating_sub(samples(HANG_OVER_MAX)));
            let start = at.clamp(earliest, self.now.plus_ms(64)).max(self.floor);
            self.paused = self.run.map(|run| start.since(run.end));
            self.run = Some(Run { start, voiced: Duration::ZERO, end: start });
        }
    }

    /// What the audio up to `at` sounds like; comes before its judgement.
    pub fn handle_sound(&mut self, at: MediaTime, sound: Sound) {
        // A word rises and falls within a few chunks: its loudest stands for it.
        self.sound_level = sound.level_dbfs.max(self.sound_level - LEVEL_FALL_DB);
        self.contour = sound.contour;
        self.sound = sound;
        if let Some(suspicion) = self.suspicion.as_mut().or(self.aside.as_mut().map(|passed| &mut passed.was)) {
            suspicion.handle_sound(MediaTime(at.0.saturating_sub(samples(CHUNK_MAX))), at, sound);
        }
        if self.state == State::Listening && self.run.is_some_and(|run| run.end > self.turn_started) {
            let own = self.caller_level.get_or_insert(self.sound_level);
            *own = self.sound_level.max(*own - OWN_FALL_DB);
        }
        if sound.stirring && self.state == State::Speaking && self.suspicion.is_none() && self.is_near() {
            let onset = MediaTime(at.0.saturating_sub(samples(CHUNK_MAX))).max(self.floor);
            self.now = self.now.max(at);
            self.suspect(onset, Duration::ZERO, self.now, true);
        }
    }

    /// A sound began at `at`, which is known by `now`; whether it is a voice is not known yet.
    pub fn handle_stirring(&mut self, at: MediaTime, now: MediaTime) {
        // It is ahead of what has been judged, which counts from where it was.
        let now = self.now.max(now.min(self.now.plus_ms(64)));
        if self.state == State::Speaking && self.suspicion.is_none() && !self.deaf && now >= self.wary_until {
            // News, as an onset is.
            let earliest = MediaTime(now.0.saturating_sub(samples(HANG_OVER_MAX)));
            self.suspect(at.clamp(earliest, now).max(self.floor), Duration::ZERO, now, false);
        }
    }

    /// A voice judgement. `at`: end of the audio that was judged; `voiced`: whether its last chunk holds voice;
    /// `last_voiced`: end of the last voice to the sample (a model hangs on after it, so it may lie before `at`).
    pub fn handle_voice(&mut self, at: MediaTime, voiced: bool, last_voiced: MediaTime) {
        let chunk = at.since(self.now).min(CHUNK_MAX);
        self.now = self.now.max(at);
        let mut end = last_voiced.min(self.now);
        if voiced {
            if self.now.since(end) > HANG_OVER_MAX {
                end = self.now;
            }
            self.extend_run(end, chunk);
            self.voiced += chunk;
            if let Some(suspicion) = &mut self.suspicion {
                suspicion.voiced += chunk;
                suspicion.voice = true;
                suspicion.pitched += chunk.mul_f32(self.sound.pitched.clamp(0.0, 1.0));
                suspicion.last_voice = suspicion.last_voice.max(end);
            }
            if let Some(passed) = &mut self.aside {
                passed.end = passed.end.max(end);
            }
        }
        if self.now.since(self.last_voiced.max(end)) >= SHRUGGED_GAP {
            self.shrugged = None;
        }
        self.last_voiced = self.last_voiced.max(end);
        if self.deaf && self.now.since(self.last_voiced) >= AFTER_LONGEST_TURN {
            self.deaf = false;
        }
        self.judge();
    }

    /// Audio has come up to `at`, ahead of what was judged: a verdict that is due by then waits for no judgement.
    pub fn handle_heard(&mut self, at: MediaTime) {
        self.heard_to = self.heard_to.max(at.min(self.now.plus_ms(64)));
        if self.suspicion.is_some() {
            self.judge();
        }
    }

    /// Audio time moves on without a judgement (no audio reaches speech, e.g. on hold).
    pub fn handle_time(&mut self, at: MediaTime) {
        self.now = self.now.max(at);
        self.judge();
    }

    /// The text recognised so far in this turn replaces what was known. Empty: the recogniser has listened and found no words.
    pub fn handle_partial(&mut self, text: &str) {
        self.handle_partial_to(text, self.now);
    }

    /// The same, of the audio up to `until`.
    pub fn handle_partial_to(&mut self, text: &str, until: MediaTime) {
        if self.partial != text {
            self.partial.clear();
            self.partial.push_str(text);
            self.whole = is_whole_request(self.expect, text);
            // What was prepared answers other words.
            self.announced = MediaTime(0);
        }
        if self.state != State::Speaking {
            return;
        }
        if self.suspicion.is_none() && self.shrugged.is_some() && text.split_whitespace().count() >= INSISTING_WORDS {
            self.shrugged = None;
        }
        match &mut self.suspicion {
            Some(suspicion) => {
                suspicion.told_to = until;
                self.judge();
            }
            None => self.reconsider(),
        }
    }

    /// What the agent said in the last seconds, lower-case words, and whether it has come to its question: an echo is
    /// recognised as the one, and a "yes" is an answer after the other.
    pub fn agent_has_said(&mut self, words: &str, asked: bool) {
        self.agent.clear();
        self.agent.push_str(words);
        self.asked = asked;
    }

    /// The agent has fallen silent for a sound, and what is said now may be meant.
    #[must_use]
    pub const fn is_judging(&self) -> bool {
        self.suspicion.is_some()
    }

    /// A model has judged the pause that lasted at `at`: `probability` that the caller has finished.
    pub fn handle_end_of_turn(&mut self, at: MediaTime, probability: f32) {
        // Voice since then makes the judgement void; of two the later counts.
        if at > self.last_voiced && self.sounded.is_none_or(|(before, _)| at >= before) {
            self.sounded = Some((at, probability));
            self.judge();
        }
    }

    /// The final text of a turn has come: its partial no longer says anything about the next turn.
    pub fn handle_final(&mut self) {
        if self.state != State::Listening && self.suspicion.is_none() {
            self.partial.clear();
        }
    }

    /// The agent's last question changed what the caller is expected to say.
    pub fn expect(&mut self, expect: Expectation) {
        self.expect = expect;
    }

    /// How long the agent waits in silence before it prompts; longer while something is being built.
    pub fn wait_idle(&mut self, idle_after: Duration) {
        self.config.idle_after = idle_after;
    }

    /// The caller has shown to be there otherwise than by voice (took the call back from hold): waiting begins anew.
    pub fn caller_is_here(&mut self) {
        self.quiet_since = self.now;
    }

    /// `utterance` is going to the wire. The caller's unfinished turn, if any, is given up.
    pub fn agent_speaking(&mut self, utterance: UtteranceId) {
        self.utterance = Some(utterance);
        if self.state != State::Speaking {
            // Voice from before must not count as an interruption of what has just begun.
            self.run = None;
            self.partial.clear();
            self.suspicion = None;
            self.aside = None;
        }
        self.enter(Input::AgentStarted);
    }

    /// `utterance` has been played to its end or was flushed. Late news of an older utterance is ignored.
    pub fn agent_silent(&mut self, utterance: UtteranceId) {
        if self.utterance == Some(utterance) {
            self.utterance = None;
            self.enter(Input::AgentEnded);
        }
    }

    /// The answer to the caller's turn is silence.
    pub fn nothing_to_say(&mut self) {
        if self.state == State::Processing {
            self.enter(Input::AgentEnded);
        }
    }

    /// A key was pressed at `at`: it counts as activity, interrupts the agent and gives up an unfinished turn.
    pub fn digit(&mut self, at: MediaTime) {
        self.now = self.now.max(at);
        self.quiet_since = self.now;
        self.run = None;
        self.suspicion = None;
        if self.state == State::Speaking {
            self.utterance = None;
            self.push(TurnEvent::BargeIn { at: self.now });
        }
        self.enter(Input::Key);
    }

    /// The next event; `None` when all are taken.
    pub fn poll_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// Voice has been heard up to `end`; `chunk` is the audio judged since the last time.
    fn extend_run(&mut self, end: MediaTime, chunk: Duration) {
        match &mut self.run {
            Some(run) if end.since(run.end) <= RUN_GAP => {
                let more = end.since(run.end);
                // After an unvoiced gap only the new chunk counts; after an onset all of it.
                run.voiced += if run.voiced.is_zero() { more } else { more.min(CHUNK_MAX) };
                run.end = run.end.max(end);
            }
            run => {
                self.paused = run.map(|run| MediaTime(end.0.saturating_sub(samples(chunk))).since(run.end));
                let start = MediaTime(end.0.saturating_sub(samples(chunk))).max(self.floor);
                *run = Some(Run { start, voiced: end.since(start), end: end.max(start) });
            }
        }
    }

    /// Looks at the counters and takes the transition that is due, if any.
    fn judge(&mut self) {
        match self.state {
            State::Listening => {
                self.learn_pause();
                self.judge_pause();
            }
            State::Speaking => self.judge_interruption(),
            State::Idle | State::Processing => {
                self.judge_voice(self.config.start_after);
                let quiet = self.now.since(self.quiet_since);
                if self.state != State::Listening && quiet >= self.config.idle_after {
                    self.quiet_since = self.now;
                    self.push(TurnEvent::NoInput { after: quiet });
                    self.enter(Input::IdleOver);
                }
            }
        }
    }

    fn judge_voice(&mut self, needed: Duration) {
        let Some(run) = self.run else { return };
        if self.deaf || run.voiced < needed || self.now.since(run.end) > RUN_GAP {
            return;
        }
        self.turn_started = run.start;
        self.last_voiced = self.last_voiced.max(run.end);
        self.paused = None;
        let continues = self.state == State::Processing;
        if continues {
            // The end was decided too early: a pause after all.
            self.was_no_end();
            self.pauses.learn(run.start.since(self.turn_voiced_to));
        } else {
            self.confirm_end();
            self.voiced = run.voiced;
            self.partial.clear();
        }
        self.push(TurnEvent::UserStarted { at: run.start, continues });
        self.enter(Input::VoiceSustained);
    }

    /// The sound of late may be the caller's: neighbours and the agent's own voice out of a speaker are much quieter.
    fn is_near(&self) -> bool {
        self.sound_level >= self.caller_level.map_or(FAINT_DBFS, |own| own - FAR_DB)
            && self.shrugged.is_none_or(|peak| self.sound_level >= peak + LOUDER_DB)
    }

    fn suspect(&mut self, onset: MediaTime, voiced: Duration, last_voice: MediaTime, voice: bool) {
        self.end_aside(OVER);
        let passed = self.aside.take().map(|passed| passed.was);
        if passed.is_none() {
            self.partial.clear();
        }
        let early = passed.filter(|was| was.early);
        let peak = if voice { self.sound_level } else { f32::MIN };
        self.suspicion = Some(Suspicion {
            onset,
            began: early.map_or(onset, |was| was.began.max(MediaTime(onset.0.saturating_sub(samples(JUDGED_AFTER))))),
            voiced: voiced + early.map_or(Duration::ZERO, |was| was.voiced),
            pitched: voiced.mul_f32(self.sound.pitched.clamp(0.0, 1.0))
                + passed.map_or(Duration::ZERO, |was| was.pitched),
            last_voice,
            before: passed
                .map_or(Duration::ZERO, |was| was.before + if was.early { Duration::ZERO } else { was.voiced }),
            told_to: MediaTime(0),
            peak: passed.map_or(peak, |was| was.peak.max(peak)),
            loud_at: self.now,
            fallen_since: None,
            early: false,
            murmur: passed.map_or_else(Murmur::default, |was| was.murmur),
            voice,
            floor: false,
        });
        self.push(TurnEvent::Duck { at: onset });
    }

    /// While the agent speaks: a sound makes it fall silent, and then it is either meant or not.
    fn judge_interruption(&mut self) {
        let Some(mut suspicion) = self.suspicion else {
            let run = self.run.filter(|run| !self.deaf && self.now.since(run.end) <= RUN_GAP);
            self.end_aside(OVER);
            let was_judged = self.aside.is_some_and(|passed| !passed.was.early);
            let needed = if was_judged { AGAIN_AFTER } else { self.config.duck_after };
            if let Some(run) = run.filter(|run| run.voiced >= needed && self.is_near()) {
                // Over a noise that goes on it begins where it is louder; in one that has been there for long, of late.
                let most = if self.shrugged.is_some() { CHUNK_MAX } else { BEGAN_MAX };
                let earliest = MediaTime(self.now.0.saturating_sub(samples(most))).max(self.floor);
                self.suspect(run.start.max(earliest), run.voiced.min(most), run.end, true);
            }
            return;
        };
        let evidence = self.overheard(&suspicion);
        let (verdict, quiet, voice, far) =
            (interruption::judge(&evidence), evidence.quiet, evidence.voice, evidence.far);
        let early = evidence.elapsed < JUDGED_AFTER;
        let sounding = if voice { quiet < RUN_GAP } else { evidence.sounding };
        match verdict {
            // Who has ended and did not merely agree is likely to be answered.
            Verdict::Undecided if suspicion.floor => self.announce_end(quiet, Some(suspicion.voiced)),
            Verdict::Undecided => {}
            Verdict::Floor => {
                suspicion.floor = true;
                self.suspicion = Some(suspicion);
                self.push(TurnEvent::Floor { at: self.now });
            }
            Verdict::Interruption => self.barge_in(&suspicion),
            Verdict::Aside => {
                // Who agrees and goes on speaking is judged anew by what comes next; what is no word is only sound.
                suspicion.early = early && !suspicion.floor;
                let end = if voice { suspicion.last_voice } else { self.now };
                self.aside = Some(Passed { was: suspicion, end });
                let goes_on = quiet < RUN_GAP && (self.partial.is_empty() || far);
                self.shrugged = goes_on.then_some(suspicion.peak);
                if !voice {
                    self.wary_until = self.now.plus_ms(WARY_FOR.as_millis() as u64);
                }
                self.suspicion = None;
                self.run = None;
                self.push(TurnEvent::Resume { onset: suspicion.onset, at: self.now });
                // It may only have stopped in a word.
                self.end_aside(if sounding { OVER } else { Duration::ZERO });
            }
        }
    }

    /// What is known of a sound over the agent's voice.
    fn overheard(&self, suspicion: &Suspicion) -> interruption::Evidence<'_> {
        let heard_to = self.now.max(self.heard_to);
        interruption::Evidence {
            elapsed: heard_to.since(suspicion.began),
            late: suspicion.began < suspicion.onset,
            voiced: suspicion.voiced,
            pitched: suspicion.pitched,
            quiet: self.now.since(suspicion.last_voice),
            before: suspicion.before,
            heard_out: suspicion.told_to.since(suspicion.last_voice) >= HEARD_OUT_AFTER,
            // By the clock of `elapsed`.
            fallen: suspicion.fallen_since.map_or(Duration::ZERO, |since| heard_to.since(since)),
            voice: suspicion.voice,
            sounding: self.now.since(suspicion.loud_at) <= SOUNDING_GAP && suspicion.peak >= QUIETEST_DBFS,
            murmur: suspicion.murmur.is_closed(),
            floor: suspicion.floor,
            faint: suspicion.peak < self.caller_level.map_or(FAINT_DBFS, |own| own - FAR_DB),
            far: self.caller_level.is_some_and(|own| suspicion.peak < own - DISTANT_DB),
            maybe_echo: self.sound.maybe_echo,
            echoes: self.sound.echoes,
            words: &self.partial,
            agent: &self.agent,
            expect: self.expect,
            asked: self.asked,
        }
    }

    /// What was taken for an aside goes on: words that came later may show that it is none. Nothing but words counts.
    fn reconsider(&mut self) {
        let Some(Passed { was, end }) = self.aside else { return };
        if !was.voice || self.now.since(end) > RUN_GAP {
            return;
        }
        let before = was.before + was.voiced;
        let words_alone = interruption::Evidence {
            elapsed: Duration::ZERO,
            voiced: Duration::ZERO,
            before,
            floor: false,
            ..self.overheard(&was)
        };
        if !words_alone.far && matches!(interruption::judge(&words_alone), Verdict::Floor | Verdict::Interruption) {
            self.aside = None;
            self.barge_in(&was);
        }
    }

    /// The caller takes the turn.
    fn barge_in(&mut self, suspicion: &Suspicion) {
        self.suspicion = None;
        let since = suspicion.onset.since(self.turn_voiced_to);
        if self.ended.is_some() && since <= GOES_ON {
            // Whoever speaks into the first words of the answer had not finished.
            self.was_no_end();
            self.pauses.learn(since);
        }
        self.confirm_end();
        self.voiced = suspicion.voiced;
        self.turn_started = suspicion.onset;
        self.last_voiced = self.last_voiced.max(suspicion.last_voice);
        self.utterance = None;
        self.push(TurnEvent::BargeIn { at: suspicion.onset });
        self.enter(Input::VoiceSustained);
    }

    /// What was said aside is no part of what the caller says next, once it has been quiet for so long.
    fn end_aside(&mut self, quiet: Duration) {
        if self.aside.take_if(|passed| self.now.since(passed.end) >= quiet).is_some() {
            self.partial.clear();
            self.push(TurnEvent::AsideOver { at: self.now });
        }
    }

    fn enter(&mut self, input: Input) {
        let next = self.state.after(input);
        if next != self.state {
            self.shrugged = None;
        }
        if next != State::Speaking {
            if let Some(was) = self.suspicion.take().filter(|was| was.floor) {
                // The agent's sentence was over: there is nothing to interrupt. Who speaks on begins a turn with it.
                self.push(TurnEvent::Resume { onset: was.onset, at: self.now });
                self.aside = Some(Passed { was, end: was.last_voice });
            }
            // Who is still at it begins a turn with it.
            self.end_aside(RUN_GAP);
            self.aside = None;
        }
        if next != self.state {
            self.state = next;
            self.quiet_since = self.now;
        }
    }

    /// The actor drains after each input, so the bound is never reached; were it, the oldest news is the least useful.
    fn push(&mut self, event: TurnEvent) {
        if self.events.len() >= TURN_EVENTS_MAX {
            self.events.pop_front();
        }
        match event {
            TurnEvent::UserStarted { at, .. }
            | TurnEvent::BargeIn { at }
            | TurnEvent::EndOfTurn { at, .. }
            | TurnEvent::Resume { at, .. } => self.floor = at,
            TurnEvent::AsideOver { .. }
            | TurnEvent::Floor { .. }
            | TurnEvent::Duck { .. }
            | TurnEvent::LikelyEnd { .. }
            | TurnEvent::NoInput { .. } => {}
        }
        self.events.push_back(event);
    }
}

/// 8 kHz samples in `d`.
fn samples(d: Duration) -> u64 {
    u64::try_from(d.as_micros() / 125).unwrap_or(u64::MAX)
}
