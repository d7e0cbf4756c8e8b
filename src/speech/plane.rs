//! The speech plane: loads the engines, starts the threads, admits calls.
//!
//! Owned by the daemon. Everything slow happens in [`SpeechPlane::start`]: libraries, models, decoders and the first
//! synthesis, side by side. Agents that want the same engine with the same words share it. Invariants: an engine that is
//! missing, or stands in for another, is reported by [`SpeechPlane::engines`]; one that is missing makes `attach` fail with
//! the command that installs it; dropping the plane ends its threads. Deliberately absent: which engines there are
//! (`engines`), configuration files, downloads.

use super::asr::{self, Jobs};
use super::ears::{self, Ear, EarsCommand, Listening};
use super::engines::{self, Ask, Opened, Recognisers, Row, Unavailable, Wanted};
use super::event::{EngineStatus, Part, SpeechEvent};
use super::lane::SpeechLane;
use super::progress::Progress;
use super::stream::SpeechStream;
use super::synthesiser::Synthesiser;
use super::tts::{self, MouthCommand, Voice};
use crate::config::{Config, EngineChoice, Providers};
use crate::conversation::DomainText;
use crate::id::CallId;
use crate::limits::{
    CALL_EVENTS_MAX, SPEECH_JOBS_MAX, SPEECH_LANES_MAX, SPEECH_STREAMS_MAX, STREAM_UTTERANCE_IDLE, UTTERANCE_IDLE_MAX,
};
use crate::media::{SpeechEnds, inbound_ring};
use crate::os::wake::Wake;
use crate::telemetry::Marks;
use callwright_models::Assets;
use callwright_models::assets::SETUP_COMMAND;
use callwright_models::vad::Detector;
use crossbeam_channel::{Sender, bounded};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
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
    /// Places of each recogniser: callers that may speak at the same moment.
    pub recognisers: usize,
    /// Threads that they are spread over. One serves ten callers who speak at once.
    pub recogniser_threads: usize,
    /// Calls attached at once.
    pub lanes: usize,
    /// Probability from which sound is the beginning of speech.
    pub vad_threshold: f32,
    /// Where model packs lie.
    pub models: PathBuf,
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
            lanes: 64,
            vad_threshold: 0.6,
            models: PathBuf::from("./var/models"),
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
            vad_threshold: config.vad.threshold,
            models: config.data.dir.join("models"),
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

/// The running plane.
pub struct SpeechPlane {
    engines: Vec<EngineStatus>,
    ears: Ears,
    recognisers: Vec<RecogniserSet>,
    mouths: Vec<Sender<MouthCommand>>,
    agents: Vec<Served>,
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
    mouth: Result<usize, Unavailable>,
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
        let (detector, recognisers, voices) = thread::scope(|scope| {
            let detector = scope.spawn(|| detector(assets));
            let voices = scope.spawn(|| {
                let mut voices = Loaded::new(engines::VOICES, warmed);
                let served = agents.iter().map(|agent| {
                    let choice = agent.voice.as_ref().unwrap_or(&config.voice);
                    let wanted = Wanted { choice: choice.clone(), vocabulary: Vec::new(), lexicon: BTreeMap::new() };
                    voices.serve(wanted, engines::voice_candidates(choice), config, assets, domain)
                });
                let served: Vec<_> = served.collect();
                (voices, served)
            });
            let mut recognisers = Loaded::new(engines::RECOGNISERS, Ok);
            let served = agents.iter().map(|agent| {
                let choice = agent.asr.as_ref().unwrap_or(&config.asr);
                let (vocabulary, lexicon) = (agent.vocabulary.clone(), agent.lexicon.clone());
                let wanted = Wanted { choice: choice.clone(), vocabulary, lexicon };
                recognisers.serve(wanted, engines::recogniser_candidates(choice), config, assets, domain)
            });
            let served: Vec<_> = served.collect();
            // Neither can panic but by a fault of this file: engines are guarded one by one.
            (detector.join(), (recognisers, served), voices.join())
        });
        let panicked = || SpeechError::System(io::Error::other("an engine failed while it was loaded; see the log"));
        let (detector, mut status) = detector.map_err(|_| panicked())?;
        let ((recognisers, hears), (voices, speaks)) = (recognisers, voices.map_err(|_| panicked())?);
        status.extend(statuses(Part::Asr, &agents, &hears, &recognisers));
        status.extend(statuses(Part::Tts, &agents, &speaks, &voices));
        let served = agents.into_iter().zip(hears).zip(speaks);
        let served = served.map(|((agent, hears), speaks)| Served {
            name: agent.name,
            recogniser: hears.number(),
            mouth: speaks.number(),
        });

        let (commands, inbox) = bounded(SPEECH_JOBS_MAX);
        let wake = Arc::new(Wake::new()?);
        let own = Arc::clone(&wake);
        let mut plane = Self {
            engines: status,
            ears: Ears { commands, wake },
            recognisers: Vec::new(),
            mouths: Vec::new(),
            agents: served.collect(),
            lanes: config.lanes.min(SPEECH_LANES_MAX),
            vad_threshold: config.vad_threshold,
            attached: Arc::new(()),
            streaming: Arc::new(()),
            threads: Vec::new(),
        };
        plane.spawn("ears".into(), move || {
            ears::run(detector, &inbox, &own, &wakes, |frames| marks.speech_frames_read.add(frames));
        })?;
        for (n, set) in recognisers.opened.into_iter().enumerate() {
            plane.start_recognisers(n, set.engine)?;
        }
        for (n, voice) in voices.opened.into_iter().enumerate() {
            let (commands, inbox) = bounded(SPEECH_JOBS_MAX);
            plane.spawn(numbered("mouth", n), move || tts::run(voice.engine, &inbox))?;
            plane.mouths.push(commands);
        }
        Ok(plane)
    }

    /// Which engine does what for whom, and what is missing or limited.
    #[must_use]
    pub fn engines(&self) -> &[EngineStatus] {
        &self.engines
    }

    /// Whether every thread that was started still runs. A thread that ended takes all calls' hearing or speech with it;
    /// only a restart brings that back.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Synthesises texts before they are needed (greetings, fillers, apologies), in every voice. Returns at once.
    pub fn warm(&self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            for mouth in &self.mouths {
                // A prompt that is not warmed is only slower.
                let _ = mouth.try_send(MouthCommand::Warm { text: text.clone() });
            }
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
        let served = self.served(agent)?;
        let mouth = *served.mouth.as_ref().map_err(|missing| no_engine(Part::Tts, missing))?;
        let mouth = self.mouths.get(mouth).ok_or_else(|| nothing_loaded(Part::Tts))?;
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
        };
        // A lane that is dropped on the way says goodbye to both.
        mouth.try_send(attach).map_err(|_| busy(()))?;
        let listening = Listening { threshold: self.vad_threshold, idle: UTTERANCE_IDLE_MAX, progress: None };
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
            threshold: self.vad_threshold,
            idle: STREAM_UTTERANCE_IDLE,
            progress: Some(Arc::clone(&progress)),
        };
        let ear = Ear::new(call, heard, sender, jobs, listening);
        self.ears.commands.try_send(EarsCommand::Attach(ear)).map_err(|_| SpeechError::NoStream)?;
        self.ears.wake.signal();
        Ok(SpeechStream { _lane: lane, inbound, events, progress, fed: 0, answered: 0 })
    }

    fn served(&self, agent: &str) -> Result<&Served, SpeechError> {
        let named = self.agents.iter().find(|served| served.name == agent);
        named.or(self.agents.first()).ok_or_else(|| self.no_agent(agent))
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

    fn start_recognisers(&mut self, set: usize, engines: Recognisers) -> io::Result<()> {
        let mut threads = Vec::new();
        for (n, engine) in engines.into_iter().enumerate() {
            let (jobs, inbox) = bounded(SPEECH_JOBS_MAX);
            self.spawn(format!("{}-{n}", numbered("asr", set)), move || asr::run(engine, &inbox))?;
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
        for mouth in self.mouths.drain(..) {
            let _ = mouth.send(MouthCommand::Stop);
        }
        // The recognisers end when the ears, the last senders, are gone.
        self.recognisers.clear();
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

fn warmed(voice: Box<dyn Synthesiser>) -> Result<Voice, Unavailable> {
    Voice::new(voice).map_err(|why| Unavailable { why, mend: None })
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
    match Detector::silero(assets) {
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

/// Engines of one kind as far as they have been opened, each once.
struct Loaded<E: 'static, L> {
    table: &'static [Row<E>],
    finish: fn(E) -> Result<L, Unavailable>,
    opened: Vec<Opened<L>>,
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

impl<E, L> Loaded<E, L> {
    fn new(table: &'static [Row<E>], finish: fn(E) -> Result<L, Unavailable>) -> Self {
        Self { table, finish, opened: Vec::new(), tried: BTreeMap::new() }
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
            let key = Wanted { choice, ..wanted.clone() };
            let Wanted { choice, vocabulary, lexicon } = &key;
            let ask = Ask { assets, config, domain, choice, vocabulary, lexicon };
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
        let Opened { engine, name, limited, note, mend } = engines::open(self.table, ask)?;
        let engine = (self.finish)(engine)?;
        self.opened.push(Opened { engine, name, limited, note, mend });
        Ok(self.opened.len() - 1)
    }
}

/// One status for each wish, with the agents that have it.
fn statuses<E, L>(
    part: Part,
    agents: &[AgentSpeech],
    services: &[Service],
    loaded: &Loaded<E, L>,
) -> Vec<EngineStatus> {
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
