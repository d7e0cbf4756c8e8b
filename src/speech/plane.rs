//! The speech plane: loads the engines, starts the threads, admits calls.
//!
//! Owned by the daemon. Everything slow happens in [`SpeechPlane::start`]: libraries, models, decoders and the first
//! synthesis, side by side. Agents that want the same engine with the same words share it. Invariants: an engine that is
//! missing, or stands in for another, is reported by [`SpeechPlane::engines`]; one that is missing makes `attach` fail with
//! the command that installs it; dropping the plane ends its threads. Deliberately absent: which engines there are
//! (`engines`), configuration files, downloads.

use super::asr::{self, Jobs};
use super::ears::{self, Ear, EarsCommand, Listening};
use super::end_of_turn::{self, Pauses};
use super::engines::{self, Ask, Opened, Recognisers, Row, Unavailable, Wanted};
use super::event::{EngineStatus, Part, SpeechEvent};
use super::lane::SpeechLane;
use super::normalise::{Lexicon, Reading};
use super::progress::Progress;
use super::provider::Clouds;
use super::stream::{Followed, SpeechStream};
use super::tts::{self, Manner, MouthCommand, MouthError, VoiceSource};
use crate::config::{Config, EngineChoice, Providers};
use crate::conversation::DomainText;
use crate::id::CallId;
use crate::limits::{
    CALL_EVENTS_MAX, SPEECH_JOBS_MAX, SPEECH_LANES_MAX, SPEECH_STREAMS_MAX, STREAM_UTTERANCE_IDLE, UTTERANCE_IDLE_MAX,
};
use crate::media::{SpeechEnds, inbound_ring};
use crate::os::wake::Wake;
use crate::os::{batch, process};
use crate::packs::{self, trial};
use crate::telemetry::Marks;
use callwright_models::Assets;
use callwright_models::assets::SETUP_COMMAND;
use callwright_models::eot::{EMBEDDED, EndOfTurn};
use callwright_models::pack::{Installed, Kind, Shelf};
use callwright_models::vad::Detector;
use crossbeam_channel::{Sender, bounded};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;

/// What the operator sets.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechConfig {
    /// What hears, for agents that do not say otherwise.
    pub asr: EngineChoice,
    /// What speaks, for agents that do not say otherwise.
    pub voice: EngineChoice,
    /// Agents; without any there is one that has everything as above.
    pub agents: Vec<AgentSpeech>,
    /// Places of each recogniser but `moonshine`, which has many: callers that may speak at the same moment.
    pub recognisers: usize,
    /// Threads that they are spread over; `moonshine` has half of the cores if that is more.
    pub recogniser_threads: usize,
    /// Threads that synthesise: clauses that are made at the same moment.
    pub mouths: usize,
    /// Calls attached at once.
    pub lanes: usize,
    /// Probability from which sound is the beginning of speech.
    pub vad_threshold: f32,
    /// Where model packs lie.
    pub models: PathBuf,
    /// This program's own file: packs are tried by a child of it. Without it none is loaded.
    pub program: Option<PathBuf>,
    /// Access to engines elsewhere.
    pub providers: Providers,
}

/// What one agent hears and speaks with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSpeech {
    /// As routes name it.
    pub name: String,
    /// Instead of [`SpeechConfig::asr`].
    pub asr: Option<EngineChoice>,
    /// Instead of [`SpeechConfig::voice`].
    pub voice: Option<EngineChoice>,
    /// Words that its callers use.
    pub vocabulary: Vec<String>,
    /// How words are said.
    pub lexicon: BTreeMap<String, String>,
}

impl Default for SpeechConfig {
    fn default() -> Self {
        Self {
            asr: EngineChoice::default(),
            voice: EngineChoice::default(),
            agents: Vec::new(),
            recognisers: 4,
            recogniser_threads: 1,
            mouths: 2,
            lanes: 64,
            vad_threshold: 0.6,
            models: PathBuf::from("./var/models"),
            program: None,
            providers: Providers::default(),
        }
    }
}

impl SpeechConfig {
    /// As the configuration says.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let agent = |agent: &crate::config::Agent| AgentSpeech {
            name: agent.name.clone(),
            asr: agent.asr.clone(),
            voice: agent.voice.clone(),
            vocabulary: agent.vocabulary.clone(),
            lexicon: agent.lexicon.clone(),
        };
        Self {
            asr: config.speech.asr.clone(),
            voice: config.speech.voice.clone(),
            agents: config.agents.iter().map(agent).collect(),
            recognisers: config.speech.decoders,
            lanes: config.sip.max_calls,
            vad_threshold: config.vad.threshold as f32,
            models: packs::directory(&config.data.dir),
            program: process::own_program().ok(),
            providers: config.providers.clone(),
            ..Self::default()
        }
    }
}

/// Why a call cannot have speech, or the plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// An engine is missing; the message names the command that installs it. Not worth a retry: 503 without Retry-After.
    #[error("no {}: {note}", .part.name())]
    NoEngine {
        /// What is missing.
        part: Part,
        /// What to do.
        note: String,
    },
    /// As many calls as configured are attached. Worth a retry: 503 with Retry-After.
    #[error("all {lanes} speech lanes are in use; raise sip.max_calls")]
    NoCapacity {
        /// The configured number.
        lanes: usize,
    },
    /// As many streams as there may be are open. Worth a retry: 503 with Retry-After.
    #[error("all {SPEECH_STREAMS_MAX} streams are in use; try again later")]
    NoStream,
    /// Nobody has that name: the client's fault.
    #[error("there is no agent {name:?}; there are: {}", .there.join(", "))]
    NoAgent {
        /// As asked for.
        name: String,
        /// Who there is.
        there: Vec<String>,
    },
    /// The kernel refuses threads or descriptors.
    #[error("speech cannot start: {0}")]
    System(#[from] io::Error),
}

/// Niceness of recognition: every answer waits for it, and apps, the store and requests can wait.
const HEARS_FIRST: i32 = -5;

/// The running plane.
pub struct SpeechPlane {
    engines: Vec<EngineStatus>,
    clouds: Arc<Clouds>,
    ears: Ears,
    recognisers: Vec<RecogniserSet>,
    mouth: Option<Sender<MouthCommand>>,
    /// Which voices are stood in for at this moment, by number, and what they are called.
    voices_down: Arc<[AtomicBool]>,
    voices: Vec<String>,
    agents: Vec<Served>,
    pauses: Option<Pauses>,
    lanes: usize,
    vad_threshold: f32,
    attached: Arc<()>,
    streaming: Arc<()>,
    threads: Vec<JoinHandle<()>>,
}

struct Ears {
    commands: Sender<EarsCommand>,
    wake: Arc<Wake>,
}

/// The threads of one recogniser; calls are dealt out to them in turn.
struct RecogniserSet {
    threads: Vec<Jobs>,
    next: AtomicUsize,
}

/// What serves an agent, by number; or why nothing does.
struct Served {
    name: String,
    recogniser: Result<usize, Unavailable>,
    voice: Result<usize, Unavailable>,
    reading: Arc<Reading>,
}

impl fmt::Debug for SpeechPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpeechPlane").field("engines", &self.engines).finish_non_exhaustive()
    }
}

impl SpeechPlane {
    /// Loads and warms everything; takes about a second. `wakes` are the media workers' (`MediaPlane::speech_wake`, one each).
    /// A missing engine is no error here.
    ///
    /// # Errors
    /// [`SpeechError::System`] when threads cannot be started.
    pub fn start(
        config: &SpeechConfig,
        assets: &Assets,
        domain: &DomainText,
        wakes: Vec<Wake>,
        marks: Arc<Marks>,
    ) -> Result<Self, SpeechError> {
        let mut agents = config.agents.clone();
        if agents.is_empty() {
            agents.push(AgentSpeech::default());
        }
        let clouds = Arc::new(Clouds::default());
        let (detector, recognisers, voices) = thread::scope(|scope| {
            let detector = scope.spawn(|| (detector(assets), turn_judge(config, assets)));
            let voices = scope.spawn(|| {
                let mut voices = Loaded::new(engines::VOICES, &clouds);
                // The first is the one that stands in for others; where it is missing, whichever comes first.
                let choices = agents.iter().map(|agent| agent.voice.as_ref().unwrap_or(&config.voice));
                let stand_in = engines::stand_in(choices);
                let wanted = Wanted { choice: stand_in.clone(), vocabulary: Vec::new(), lexicon: BTreeMap::new() };
                voices.serve(wanted, vec![stand_in], config, assets, domain);
                let served = agents.iter().map(|agent| {
                    let choice = agent.voice.as_ref().unwrap_or(&config.voice);
                    let wanted = Wanted { choice: choice.clone(), vocabulary: Vec::new(), lexicon: BTreeMap::new() };
                    voices.serve(wanted, engines::voice_candidates(choice, config), config, assets, domain)
                });
                let served: Vec<_> = served.collect();
                (voices, served)
            });
            let mut recognisers = Loaded::new(engines::RECOGNISERS, &clouds);
            let served = agents.iter().map(|agent| {
                let choice = agent.asr.as_ref().unwrap_or(&config.asr);
                let (vocabulary, lexicon) = (agent.vocabulary.clone(), agent.lexicon.clone());
                let wanted = Wanted { choice: choice.clone(), vocabulary, lexicon };
                recognisers.serve(wanted, engines::recogniser_candidates(choice, config), config, assets, domain)
            });
            let served: Vec<_> = served.collect();
            // Neither can panic but by a fault of this file: engines are guarded one by one.
            (detector.join(), (recognisers, served), voices.join())
        });
        let panicked = || SpeechError::System(io::Error::other("an engine failed while it was loaded; see the log"));
        let ((detector, mut status), (turn_judge, judge_status)) = detector.map_err(|_| panicked())?;
        let ((recognisers, hears), (voices, speaks)) = (recognisers, voices.map_err(|_| panicked())?);
        status.extend(statuses(Part::Asr, &agents, &hears, &recognisers));
        status.extend(statuses(Part::Tts, &agents, &speaks, &voices));
        status.push(judge_status);
        let served = agents.into_iter().zip(hears).zip(speaks);
        let served = served.map(|((agent, hears), speaks)| Served {
            reading: reading(&agent),
            name: agent.name,
            recogniser: hears.number(),
            voice: speaks.number(),
        });

        let (commands, inbox) = bounded(SPEECH_JOBS_MAX);
        let wake = Arc::new(Wake::new()?);
        let own = Arc::clone(&wake);
        let mut plane = Self {
            engines: status,
            clouds: Arc::clone(&clouds),
            ears: Ears { commands, wake },
            recognisers: Vec::new(),
            mouth: None,
            voices_down: Arc::new([]),
            voices: Vec::new(),
            agents: served.collect(),
            pauses: None,
            lanes: config.lanes.min(SPEECH_LANES_MAX),
            vad_threshold: config.vad_threshold,
            attached: Arc::new(()),
            streaming: Arc::new(()),
            threads: Vec::new(),
        };
        plane.spawn("ears".into(), move || {
            ears::run(detector, &inbox, &own, &wakes, |frames| marks.speech_frames_read.add(frames));
        })?;
        if let Some(mut model) = turn_judge {
            let (pauses, inbox) = end_of_turn::pauses();
            let judge = move |samples: &[i16]| model.probability(samples).map_err(|error| error.to_string());
            plane.spawn("end-of-turn".into(), move || end_of_turn::run(judge, &inbox))?;
            plane.pauses = Some(pauses);
        }
        for (n, set) in recognisers.opened.into_iter().enumerate() {
            plane.start_recognisers(n, set.engine)?;
        }
        plane.start_mouth(voices.opened, config.mouths)?;
        Ok(plane)
    }

    /// Which engine does what for whom, and what is missing or limited; at this moment, where it is elsewhere.
    #[must_use]
    pub fn engines(&self) -> Vec<EngineStatus> {
        let mut engines = self.engines.clone();
        for (down, voice) in self.voices_down.iter().zip(&self.voices) {
            let stood_in = engines.iter_mut().filter(|engine| {
                down.load(Ordering::Relaxed) && engine.part == Part::Tts && engine.name == *voice && !engine.limited
            });
            for engine in stood_in {
                engine.limited = true;
                engine.note = "fails at this moment; the built-in voice speaks instead".to_owned();
            }
        }
        for (provider, part, note) in self.clouds.notes() {
            for engine in
                engines.iter_mut().filter(|engine| engine.part == part && engine.name.starts_with(provider.name()))
            {
                engine.limited = true;
                engine.note = if engine.note.is_empty() { note.clone() } else { format!("{note}; {}", engine.note) };
            }
        }
        engines
    }

    /// Whether every thread that was started still runs. A thread that ended takes all calls' hearing or speech with it;
    /// only a restart brings that back.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Synthesises texts before they are needed (greetings, fillers, apologies), as an agent says them. Returns at once.
    pub fn warm(&self, agent: &str, texts: impl IntoIterator<Item = String>) {
        let (Some(mouth), Ok(served)) = (&self.mouth, self.served(agent)) else { return };
        let Ok(manner) = served.manner() else { return };
        // The first of them is how a call begins.
        for (n, text) in texts.into_iter().enumerate() {
            let greeting = n == 0;
            // A prompt that is not warmed is only slower.
            let _ = mouth.try_send(MouthCommand::Warm { text, greeting, manner: manner.clone() });
        }
    }

    /// Gives a call the ears and the mouth of an agent (one that is not configured: of the first). `events` should hold
    /// `limits::CALL_EVENTS_MAX`.
    ///
    /// # Errors
    /// [`SpeechError::NoEngine`], [`SpeechError::NoCapacity`]: refuse the call with 503.
    pub fn attach(
        &self,
        call: CallId,
        agent: &str,
        ends: SpeechEnds,
        events: mpsc::Sender<SpeechEvent>,
    ) -> Result<SpeechLane, SpeechError> {
        self.attach_with(call, agent, ends, events, None)
    }

    /// As [`attach`](Self::attach), for whoever feeds a call's audio faster than it would come: shows how far it was heard.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_followed(
        &self,
        call: CallId,
        agent: &str,
        ends: SpeechEnds,
        events: mpsc::Sender<SpeechEvent>,
    ) -> Result<(SpeechLane, Followed), SpeechError> {
        let progress = Arc::new(Progress::default());
        let lane = self.attach_with(call, agent, ends, events, Some(Arc::clone(&progress)))?;
        Ok((lane, Followed(progress)))
    }

    fn attach_with(
        &self,
        call: CallId,
        agent: &str,
        ends: SpeechEnds,
        events: mpsc::Sender<SpeechEvent>,
        progress: Option<Arc<Progress>>,
    ) -> Result<SpeechLane, SpeechError> {
        let served = self.served(agent)?;
        let manner = served.manner()?;
        let mouth = self.mouth.as_ref().ok_or_else(|| nothing_loaded(Part::Tts))?;
        let jobs = self.jobs(served)?;
        // Every lane holds a share of `attached`; the plane holds one.
        if Arc::strong_count(&self.attached) > self.lanes {
            return Err(SpeechError::NoCapacity { lanes: self.lanes });
        }
        let busy = |_| SpeechError::NoCapacity { lanes: self.lanes };
        let lane = self.lane(call, Some(mouth.clone()), &self.attached);
        let attach = MouthCommand::Attach {
            call,
            outbound: ends.outbound,
            events: events.clone(),
            generation: Arc::clone(&lane.generation),
            manner,
        };
        // A lane that is dropped on the way says goodbye to both.
        mouth.try_send(attach).map_err(|_| busy(()))?;
        let pauses = self.pauses.clone();
        let (threshold, idle) = (self.vad_threshold, UTTERANCE_IDLE_MAX);
        let agent = self.number(served);
        let listening = Listening { agent, threshold, idle, dictates: false, progress, pauses };
        let ear = Ear::new(call, ends.inbound, events, jobs, listening);
        self.ears.commands.try_send(EarsCommand::Attach(ear)).map_err(|_| busy(()))?;
        self.ears.wake.signal();
        Ok(lane)
    }

    /// Gives somebody who feeds audio the ears of an agent, or of the first one.
    ///
    /// # Errors
    /// [`SpeechError::NoEngine`]; [`SpeechError::NoCapacity`] beyond `limits::SPEECH_STREAMS_MAX`.
    pub fn stream(&self, call: CallId, agent: Option<&str>) -> Result<SpeechStream, SpeechError> {
        let served = match agent {
            None => self.served("")?,
            Some(name) => self.agents.iter().find(|agent| agent.name == name).ok_or_else(|| self.no_agent(name))?,
        };
        let jobs = self.jobs(served)?;
        if Arc::strong_count(&self.streaming) > SPEECH_STREAMS_MAX {
            return Err(SpeechError::NoStream);
        }
        let (inbound, heard) = inbound_ring();
        let (sender, events) = mpsc::channel(CALL_EVENTS_MAX);
        let progress = Arc::new(Progress::default());
        let lane = self.lane(call, None, &self.streaming);
        let listening = Listening {
            agent: self.number(served),
            threshold: self.vad_threshold,
            idle: STREAM_UTTERANCE_IDLE,
            dictates: true,
            progress: Some(Arc::clone(&progress)),
            pauses: None,
        };
        let ear = Ear::new(call, heard, sender, jobs, listening);
        self.ears.commands.try_send(EarsCommand::Attach(ear)).map_err(|_| SpeechError::NoStream)?;
        self.ears.wake.signal();
        Ok(SpeechStream { lane, inbound, events, progress, fed: 0, answered: 0 })
    }

    fn served(&self, agent: &str) -> Result<&Served, SpeechError> {
        let named = self.agents.iter().find(|served| served.name == agent);
        named.or(self.agents.first()).ok_or_else(|| self.no_agent(agent))
    }

    /// Its place among the agents.
    fn number(&self, served: &Served) -> usize {
        self.agents.iter().position(|agent| agent.name == served.name).unwrap_or(0)
    }

    fn no_agent(&self, name: &str) -> SpeechError {
        let there = self.agents.iter().map(|agent| agent.name.clone()).collect();
        SpeechError::NoAgent { name: name.to_owned(), there }
    }

    fn jobs(&self, served: &Served) -> Result<Jobs, SpeechError> {
        let set = *served.recogniser.as_ref().map_err(|missing| no_engine(Part::Asr, missing))?;
        let set = self.recognisers.get(set).ok_or_else(|| nothing_loaded(Part::Asr))?;
        let turn = set.next.fetch_add(1, Ordering::Relaxed) % set.threads.len().max(1);
        set.threads.get(turn).cloned().ok_or_else(|| nothing_loaded(Part::Asr))
    }

    fn lane(&self, call: CallId, mouth: Option<Sender<MouthCommand>>, share: &Arc<()>) -> SpeechLane {
        SpeechLane {
            call,
            ears: self.ears.commands.clone(),
            ears_wake: Arc::clone(&self.ears.wake),
            mouth,
            generation: Arc::new(AtomicU32::new(0)),
            _share: Arc::clone(share),
        }
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name).spawn(body)?);
        Ok(())
    }

    fn start_mouth(&mut self, voices: Vec<Opened<VoiceSource>>, seats: usize) -> io::Result<()> {
        self.voices = voices.iter().map(|voice| voice.name.clone()).collect();
        if voices.is_empty() {
            return Ok(());
        }
        match tts::start(voices.into_iter().map(|voice| voice.engine).collect(), seats) {
            Ok(mouth) => {
                self.mouth = Some(mouth.commands);
                self.threads.extend(mouth.threads);
                self.voices_down = mouth.down;
                for (number, why) in mouth.missing {
                    self.mark_voice(number, true, &why);
                }
            }
            Err(MouthError::Voice(why)) => {
                for number in 0..self.voices.len() {
                    self.mark_voice(number, false, &why);
                }
                for served in &mut self.agents {
                    served.voice = Err(Unavailable { why: why.clone(), mend: None });
                }
            }
            Err(MouthError::System(error)) => return Err(error),
        }
        Ok(())
    }

    /// A voice that was opened does not speak after all.
    fn mark_voice(&mut self, number: usize, ready: bool, why: &str) {
        let Some(name) = self.voices.get(number) else { return };
        for engine in self.engines.iter_mut().filter(|engine| engine.part == Part::Tts && engine.name == *name) {
            engine.ready = ready;
            engine.limited = true;
            engine.note = why.to_owned();
        }
    }

    fn start_recognisers(&mut self, set: usize, engines: Recognisers) -> io::Result<()> {
        let mut threads = Vec::new();
        for (n, engine) in engines.into_iter().enumerate() {
            let (jobs, inbox) = bounded(SPEECH_JOBS_MAX);
            self.spawn(format!("{}-{n}", numbered("asr", set)), move || {
                if let Err(error) = batch::step_back(HEARS_FIRST) {
                    tracing::info!(%error, "recognition has ordinary priority: answers come later beside other work; grant LimitNICE=-5");
                }
                asr::run(engine, &inbox);
            })?;
            threads.push(jobs);
        }
        self.recognisers.push(RecogniserSet { threads, next: AtomicUsize::new(0) });
        Ok(())
    }
}

impl Drop for SpeechPlane {
    fn drop(&mut self) {
        // Waits at most until the thread has taken one command; fails only when it is gone.
        self.ears.wake.signal();
        let _ = self.ears.commands.send(EarsCommand::Stop);
        self.ears.wake.signal();
        if let Some(mouth) = self.mouth.take() {
            let _ = mouth.send(MouthCommand::Stop);
        }
        // The recognisers and whoever judges pauses end when the ears, the last senders, are gone.
        self.recognisers.clear();
        self.pauses = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// The first of a kind has the plain name: most boxes have one.
fn numbered(name: &str, n: usize) -> String {
    if n == 0 { name.to_owned() } else { format!("{name}{}", n + 1) }
}

fn no_engine(part: Part, missing: &Unavailable) -> SpeechError {
    let mend = missing.mend.as_ref().map(|command| format!("; install it with: {command}")).unwrap_or_default();
    SpeechError::NoEngine { part, note: format!("{}{mend}", missing.why) }
}

fn nothing_loaded(part: Part) -> SpeechError {
    SpeechError::NoEngine { part, note: format!("install one with: {SETUP_COMMAND}") }
}

/// How an agent reads; the configuration has checked its lexicon.
fn reading(agent: &AgentSpeech) -> Arc<Reading> {
    let lexicon = Lexicon::new(&agent.lexicon).unwrap_or_else(|error| {
        tracing::warn!(agent = agent.name, %error, "the agent's lexicon is left out");
        Lexicon::default()
    });
    Arc::new(Reading { lexicon, ..Reading::default() })
}

impl Served {
    fn manner(&self) -> Result<Manner, SpeechError> {
        let voice = *self.voice.as_ref().map_err(|missing| no_engine(Part::Tts, missing))?;
        Ok(Manner { voice, reading: Arc::clone(&self.reading) })
    }
}

/// The detector of speech: there is always one.
fn detector(assets: &Assets) -> (Detector, Vec<EngineStatus>) {
    let status = |detector: &Detector, limited: bool, note: String, mend: Option<String>| EngineStatus {
        part: Part::Vad,
        name: detector.name().to_owned(),
        wanted: "auto".to_owned(),
        agents: Vec::new(),
        ready: true,
        limited,
        note,
        mend,
    };
    // A fault of the runtime costs Silero, not the plane.
    let silero = catch_unwind(AssertUnwindSafe(|| Detector::silero(assets).map_err(|error| error.to_string())))
        .unwrap_or_else(|_| Err("Silero failed while it was loaded; see the log".to_owned()));
    match silero {
        Ok(silero) => {
            let status = status(&silero, false, String::new(), None);
            (silero, vec![status])
        }
        Err(error) => {
            let earshot = Detector::earshot();
            let note = format!("stands in for Silero, hears speech in noise less well; {error}");
            let status = status(&earshot, true, note, Some(SETUP_COMMAND.to_owned()));
            (earshot, vec![status])
        }
    }
}

/// What judges how a pause sounded: the active pack, else the embedded model, else nothing.
fn turn_judge(config: &SpeechConfig, assets: &Assets) -> (Option<EndOfTurn>, EngineStatus) {
    let mut failed = Vec::new();
    let mut wanted = "auto".to_owned();
    match Shelf::open(&config.models).serving(Kind::EndOfTurn) {
        Ok(None) => {}
        Ok(Some(installed)) => {
            wanted.clone_from(&installed.pack.name);
            match judge_of(config, assets, &installed) {
                Ok(model) => return (Some(model), judge_status(wanted.clone(), wanted, failed, None)),
                Err(why) => failed.push(why),
            }
        }
        Err(error) => failed.push(error.to_string()),
    }
    match guarded(EMBEDDED, || EndOfTurn::embedded(assets).map_err(|error| error.to_string())) {
        Ok(model) => (Some(model), judge_status(EMBEDDED.to_owned(), wanted, failed, None)),
        Err(why) => {
            failed.push(why);
            (None, judge_status("silence".to_owned(), wanted, failed, Some(SETUP_COMMAND.to_owned())))
        }
    }
}

/// `failed`: what would have been preferred; each names the command that mends it.
fn judge_status(name: String, wanted: String, failed: Vec<String>, mend: Option<String>) -> EngineStatus {
    let (limited, note) = (!failed.is_empty(), failed.join("; "));
    EngineStatus { part: Part::EndOfTurn, name, wanted, agents: Vec::new(), ready: true, limited, note, mend }
}

/// Loads a pack that judges, after a child has: a bad one costs itself alone.
fn judge_of(config: &SpeechConfig, assets: &Assets, installed: &Installed) -> Result<EndOfTurn, String> {
    if let Some(program) = &config.program {
        trial::once(program, assets, installed).map_err(|error| error.to_string())?;
    }
    guarded(&installed.pack.name, || EndOfTurn::load(assets, installed).map_err(|error| error.to_string()))
}

fn guarded<T>(name: &str, load: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|_| Err(format!("{name} failed while it was loaded; see the log")))
}

/// Engines of one kind as far as they have been opened, each once.
struct Loaded<'a, E: 'static> {
    table: &'static [Row<E>],
    clouds: &'a Clouds,
    opened: Vec<Opened<E>>,
    /// What was tried, and what became of it.
    tried: BTreeMap<Wanted, Result<usize, Unavailable>>,
}

/// What serves a wish.
struct Service {
    wanted: Wanted,
    /// Number of the engine.
    engine: Option<usize>,
    /// Those that would have been preferred.
    failed: Vec<Unavailable>,
}

impl Service {
    fn number(&self) -> Result<usize, Unavailable> {
        let nothing = || Unavailable { why: "no engine".to_owned(), mend: Some(engines::setup()) };
        self.engine.ok_or_else(|| self.failed.last().cloned().unwrap_or_else(nothing))
    }
}

impl<'a, E> Loaded<'a, E> {
    fn new(table: &'static [Row<E>], clouds: &'a Clouds) -> Self {
        Self { table, clouds, opened: Vec::new(), tried: BTreeMap::new() }
    }

    /// Opens the first of the candidates that works, unless it is there already.
    fn serve(
        &mut self,
        wanted: Wanted,
        candidates: Vec<EngineChoice>,
        config: &SpeechConfig,
        assets: &Assets,
        domain: &DomainText,
    ) -> Service {
        let mut failed = Vec::new();
        for choice in candidates {
            let key = engines::essential(self.table, Wanted { choice, ..wanted.clone() }, &config.models);
            let Wanted { choice, vocabulary, lexicon } = &key;
            let ask = Ask { assets, config, domain, choice, vocabulary, lexicon, clouds: self.clouds };
            let outcome = match self.tried.get(&key) {
                Some(outcome) => outcome.clone(),
                None => self.open(&ask),
            };
            self.tried.insert(key, outcome.clone());
            match outcome {
                Ok(engine) => return Service { wanted, engine: Some(engine), failed },
                Err(unavailable) => failed.push(unavailable),
            }
        }
        Service { wanted, engine: None, failed }
    }

    fn open(&mut self, ask: &Ask<'_>) -> Result<usize, Unavailable> {
        self.opened.push(engines::open(self.table, ask)?);
        Ok(self.opened.len() - 1)
    }
}

/// One status for each wish, with the agents that have it.
fn statuses<E>(part: Part, agents: &[AgentSpeech], services: &[Service], loaded: &Loaded<'_, E>) -> Vec<EngineStatus> {
    let mut wishes: BTreeMap<&Wanted, (&Service, Vec<String>)> = BTreeMap::new();
    for (agent, service) in agents.iter().zip(services) {
        wishes.entry(&service.wanted).or_insert_with(|| (service, Vec::new())).1.push(agent.name.clone());
    }
    let alone = wishes.len() == 1;
    let status = |(wanted, (service, agents)): (&Wanted, (&Service, Vec<String>))| {
        let engine = service.engine.and_then(|engine| loaded.opened.get(engine));
        // What would have been better, then what there is.
        let mut notes: Vec<&str> = service.failed.iter().map(|failed| failed.why.as_str()).collect();
        notes.extend(engine.map(|engine| engine.note.as_str()).filter(|note| !note.is_empty()));
        let mends = service.failed.iter().map(|failed| &failed.mend).chain(engine.map(|engine| &engine.mend));
        EngineStatus {
            part,
            name: engine.map_or("none", |engine| engine.name.as_str()).to_owned(),
            wanted: wanted.choice.as_str().to_owned(),
            agents: if alone { Vec::new() } else { agents },
            ready: engine.is_some(),
            limited: !service.failed.is_empty() || engine.is_some_and(|engine| engine.limited),
            note: notes.join("; "),
            mend: mends.flatten().next().cloned(),
        }
    };
    wishes.into_iter().map(status).collect()
}
