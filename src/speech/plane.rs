//! The speech plane: loads the engines, starts the threads, admits calls.
//!
//! Owned by the daemon. Everything slow happens in [`SpeechPlane::start`]: libraries, models, decoders and the first
//! synthesis. Invariants: an engine that is missing is reported by [`SpeechPlane::engines`] and makes `attach` fail with the
//! command that installs it; dropping the plane ends its threads. Deliberately absent: configuration files, downloads.

use super::asr::{self, Job, Jobs};
use super::ears::{self, Ear, EarsCommand};
use super::event::{EngineStatus, Part, SpeechEvent};
use super::lane::SpeechLane;
use super::recogniser::pocketsphinx::PocketSphinxRecogniser;
use super::search;
use super::tts::{self, Manner, MouthCommand, MouthError, VoiceSource};
use crate::conversation::DomainText;
use crate::id::CallId;
use crate::limits::{RECOGNISERS_MAX, SPEECH_JOBS_MAX, SPEECH_LANES_MAX};
use crate::media::SpeechEnds;
use crate::os::wake::Wake;
use crate::telemetry::Marks;
use callwright_models::Assets;
use callwright_models::asr::{Decoder, PocketSphinx};
use callwright_models::assets::SETUP_COMMAND;
use callwright_models::tts::Flite;
use callwright_models::vad::Silero;
use crossbeam_channel::{Sender, bounded};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// What the operator sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechConfig {
    /// Flite voice of the agent.
    pub voice: String,
    /// Warm recognisers: callers that may speak at the same moment.
    pub recognisers: usize,
    /// Threads that they are spread over. One serves ten callers who speak at once.
    pub recogniser_threads: usize,
    /// Threads that synthesise: clauses that are made at the same moment.
    pub mouths: usize,
    /// Calls attached at once.
    pub lanes: usize,
}

impl Default for SpeechConfig {
    fn default() -> Self {
        Self { voice: "slt".into(), recognisers: 4, recogniser_threads: 1, mouths: 2, lanes: 64 }
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
    /// The kernel refuses threads or descriptors.
    #[error("speech cannot start: {0}")]
    System(#[from] io::Error),
}

/// The running plane.
pub struct SpeechPlane {
    engines: Vec<EngineStatus>,
    ears: Option<Ears>,
    mouth: Option<Sender<MouthCommand>>,
    recognisers: Vec<Jobs>,
    next_recogniser: AtomicUsize,
    lanes: usize,
    attached: Arc<()>,
    threads: Vec<JoinHandle<()>>,
}

struct Ears {
    commands: Sender<EarsCommand>,
    wake: Arc<Wake>,
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
        let mut plane = Self {
            engines: Vec::new(),
            ears: None,
            mouth: None,
            recognisers: Vec::new(),
            next_recogniser: AtomicUsize::new(0),
            lanes: config.lanes.min(SPEECH_LANES_MAX),
            attached: Arc::new(()),
            threads: Vec::new(),
        };
        plane.start_ears(assets, wakes, marks)?;
        plane.start_recognisers(config, assets, domain)?;
        plane.start_mouth(config, assets)?;
        Ok(plane)
    }

    /// Which engine does what, and what is missing or limited.
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

    /// Synthesises texts before they are needed (greetings, fillers, apologies). Returns at once.
    pub fn warm(&self, texts: impl IntoIterator<Item = String>) {
        if let Some(mouth) = &self.mouth {
            for text in texts {
                // A prompt that is not warmed is only slower.
                let _ = mouth.try_send(MouthCommand::Warm { text, manner: Manner::default() });
            }
        }
    }

    /// Gives a call ears and a mouth. `events` should hold `limits::CALL_EVENTS_MAX`.
    ///
    /// # Errors
    /// [`SpeechError::NoEngine`], [`SpeechError::NoCapacity`]: refuse the call with 503.
    pub fn attach(
        &self,
        call: CallId,
        ends: SpeechEnds,
        events: mpsc::Sender<SpeechEvent>,
    ) -> Result<SpeechLane, SpeechError> {
        if let Some(missing) = self.engines.iter().find(|engine| !engine.ready) {
            return Err(SpeechError::NoEngine { part: missing.part, note: missing.note.clone() });
        }
        let no_engine = |part| SpeechError::NoEngine { part, note: format!("install it with: {SETUP_COMMAND}") };
        let ears = self.ears.as_ref().ok_or_else(|| no_engine(Part::Vad))?;
        let mouth = self.mouth.as_ref().ok_or_else(|| no_engine(Part::Tts))?;
        // Every lane holds a share of `attached`; the plane holds one.
        if Arc::strong_count(&self.attached) > self.lanes {
            return Err(SpeechError::NoCapacity { lanes: self.lanes });
        }
        let turn = self.next_recogniser.fetch_add(1, Ordering::Relaxed) % self.recognisers.len().max(1);
        let jobs = self.recognisers.get(turn).ok_or_else(|| no_engine(Part::Asr))?.clone();
        let generation = Arc::new(AtomicU32::new(0));
        let busy = |_| SpeechError::NoCapacity { lanes: self.lanes };
        let attach = MouthCommand::Attach {
            call,
            outbound: ends.outbound,
            events: events.clone(),
            generation: Arc::clone(&generation),
            manner: Manner::default(),
        };
        mouth.try_send(attach).map_err(|_| busy(()))?;
        let lane = SpeechLane {
            call,
            ears: ears.commands.clone(),
            ears_wake: Arc::clone(&ears.wake),
            mouth: mouth.clone(),
            generation,
            _share: Arc::clone(&self.attached),
        };
        ears.commands
            .try_send(EarsCommand::Attach(Ear::new(call, ends.inbound, events, jobs)))
            .map_err(|_| busy(()))?;
        ears.wake.signal();
        Ok(lane)
    }

    fn missing(&mut self, part: Part, note: String) {
        self.engines.push(EngineStatus { part, name: "none".into(), ready: false, limited: false, note });
    }

    fn ready(&mut self, part: Part, name: String, limited: bool, note: String) {
        self.engines.push(EngineStatus { part, name, ready: true, limited, note });
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(body)?);
        Ok(())
    }

    fn start_ears(&mut self, assets: &Assets, wakes: Vec<Wake>, marks: Arc<Marks>) -> Result<(), SpeechError> {
        let silero = match Silero::load(assets) {
            Ok(silero) => silero,
            Err(error) => {
                self.missing(Part::Vad, error.to_string());
                return Ok(());
            }
        };
        let (commands, inbox) = bounded(SPEECH_JOBS_MAX);
        let wake = Arc::new(Wake::new()?);
        let own = Arc::clone(&wake);
        self.spawn("ears".into(), move || {
            ears::run(silero, &inbox, &own, &wakes, |frames| marks.speech_frames_read.add(frames));
        })?;
        self.ears = Some(Ears { commands, wake });
        self.ready(Part::Vad, "silero 8 kHz".into(), false, String::new());
        Ok(())
    }

    fn start_recognisers(
        &mut self,
        config: &SpeechConfig,
        assets: &Assets,
        domain: &DomainText,
    ) -> Result<(), SpeechError> {
        let made = PocketSphinx::load(assets).map_err(|error| error.to_string()).and_then(|engine| {
            let plan = search::plan(&engine, domain).map_err(|error| error.to_string())?;
            let count = config.recognisers.clamp(1, RECOGNISERS_MAX);
            let decoders: Result<Vec<Decoder>, _> = (0..count).map(|_| engine.decoder(&plan.decoder)).collect();
            Ok((plan, decoders.map_err(|error| error.to_string())?))
        });
        let (plan, decoders) = match made {
            Ok(made) => made,
            Err(note) => {
                self.missing(Part::Asr, note);
                return Ok(());
            }
        };
        let count = decoders.len();
        let threads = config.recogniser_threads.clamp(1, count);
        let mut shares: Vec<Vec<Decoder>> = (0..threads).map(|_| Vec::new()).collect();
        for (n, decoder) in decoders.into_iter().enumerate() {
            shares[n % threads].push(decoder);
        }
        for (n, share) in shares.into_iter().enumerate() {
            let (jobs, inbox) = bounded::<Job>(SPEECH_JOBS_MAX);
            let engine = Box::new(PocketSphinxRecogniser::new(share));
            self.spawn(format!("asr-{n}"), move || asr::run(engine, &inbox))?;
            self.recognisers.push(jobs);
        }
        let mut note = format!(
            "limited vocabulary: knows {} words of this agent's domain, people are often misheard; keys work too",
            plan.words
        );
        if !plan.unpronounceable.is_empty() {
            note.push_str(&format!("; no pronunciation for: {}", plan.unpronounceable.join(", ")));
        }
        self.ready(Part::Asr, format!("pocketsphinx en-us ({count} recognisers)"), true, note);
        Ok(())
    }

    fn start_mouth(&mut self, config: &SpeechConfig, assets: &Assets) -> Result<(), SpeechError> {
        let (assets, voice) = (assets.clone(), config.voice.clone());
        let make = move || match Flite::load(&assets, &voice) {
            Ok(flite) => Ok(Box::new(flite) as Box<_>),
            Err(error) => Err(error.to_string()),
        };
        let name = format!("flite {}", config.voice);
        match tts::start(vec![VoiceSource::each(name.clone(), make)], config.mouths) {
            Ok(mouth) => {
                self.mouth = Some(mouth.commands);
                self.threads.extend(mouth.threads);
                self.ready(Part::Tts, name, true, "built-in voice".into());
            }
            Err(MouthError::Voice(note)) => self.missing(Part::Tts, note),
            Err(MouthError::System(error)) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Drop for SpeechPlane {
    fn drop(&mut self) {
        if let Some(ears) = self.ears.take() {
            // Waits at most until the thread has taken one command; fails only when it is gone.
            ears.wake.signal();
            let _ = ears.commands.send(EarsCommand::Stop);
            ears.wake.signal();
        }
        if let Some(mouth) = self.mouth.take() {
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
