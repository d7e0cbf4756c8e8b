//! The thread that owns every call's lane. Purpose: takes orders, gives clauses to free voices, keeps every call's ring
//! filled. Owning thread: "mouth", one; it computes nothing longer than a copy and never waits for a voice. Invariants: the
//! call with the least audio left is served first; what is known by heart needs no voice; warming never delays a call.
//! Deliberately absent: synthesis (`seat`, `voice`).

use super::super::asr::tell;
use super::super::event::{Part, SpeechEvent};
use super::super::normalise::Reading;
use super::super::synthesiser::Haste;
use super::cache::PromptCache;
use super::lane::{Lane, Piece, pieces};
use super::seat::{self, Job, Voiced};
use super::source::VoiceSource;
use super::timing::PACE_MS;
use super::voice::{Ending, Rendered};
use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::{MOUTHS_MAX, SPEECH_JOBS_MAX, WARM_CLAUSES_MAX};
use crate::media::OutboundProducer;
use crate::telemetry::metric;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// The voice that stands in for the others: the first of the list.
pub(in crate::speech) const LOCAL: usize = 0;
/// How often waiting audio is moved to rings: five times within what a ring holds.
const REFILL: Duration = Duration::from_millis(20);
/// How often the mouth looks for lanes whose farewell was lost.
const IDLE: Duration = Duration::from_secs(5);

/// Guesses kept that no seat has had time for.
const GUESSES_MAX: usize = 4;
/// Seats more where a voice is elsewhere: they mostly wait.
const SEATS_ELSEWHERE: usize = 6;

/// How an agent speaks.
#[derive(Clone, Debug, Default)]
pub(in crate::speech) struct Manner {
    /// Its voice, by its place among the sources that the mouth was started with.
    pub(in crate::speech) voice: usize,
    /// Its pronunciations and how it reads dates.
    pub(in crate::speech) reading: Arc<Reading>,
}

/// One order to the mouth.
pub(in crate::speech) enum MouthCommand {
    Attach {
        call: CallId,
        outbound: OutboundProducer,
        events: mpsc::Sender<SpeechEvent>,
        generation: Arc<AtomicU32>,
        manner: Manner,
    },
    Speak {
        call: CallId,
        utterance: UtteranceId,
        generation: Generation,
        text: String,
        /// Before what was asked earlier, if nothing of that has left.
        ahead: bool,
        asked: Instant,
    },
    /// Sends these samples after what was asked before; of the newest generation.
    Play {
        call: CallId,
        utterance: UtteranceId,
        pcm: Arc<[i16]>,
        asked: Instant,
    },
    Flush {
        call: CallId,
    },
    /// As `Detach`, and gives the ring back.
    Release {
        call: CallId,
        give: oneshot::Sender<OutboundProducer>,
    },
    /// Synthesises before it is needed: by the agent's voice, and by the local one for when that fails. A voice elsewhere
    /// costs money and is asked for greetings only.
    Warm {
        text: String,
        greeting: bool,
        manner: Manner,
    },
    /// Synthesises the first clause of what a call is likely to say next, if a seat has nothing better to do.
    Prepare {
        call: CallId,
        text: String,
    },
    Detach {
        call: CallId,
    },
    Stop,
}

/// Why nobody can speak.
#[derive(Debug, thiserror::Error)]
pub(in crate::speech) enum MouthError {
    /// The local voice does not work; the message says what to install. Not worth a retry.
    #[error("{0}")]
    Voice(String),
    /// The kernel refuses threads.
    #[error("the voices cannot start: {0}")]
    System(#[from] io::Error),
}

/// The running threads.
pub(in crate::speech) struct Mouth {
    pub(in crate::speech) commands: Sender<MouthCommand>,
    /// They end after [`MouthCommand::Stop`], or when every sender of commands is gone.
    pub(in crate::speech) threads: Vec<JoinHandle<()>>,
    /// Voices that could not be loaded, by their place, and why: the local one speaks for them.
    pub(in crate::speech) missing: Vec<(usize, String)>,
    /// Which voices are stood in for at this moment.
    pub(in crate::speech) down: Arc<[AtomicBool]>,
}

/// Starts `seats` voices' threads (some more where a voice is elsewhere) and the mouth. The first of `sources` stands in for the others, so it is one that needs
/// neither network nor pack. Returns when every voice is loaded, warm and measured.
///
/// # Errors
/// [`MouthError`].
pub(in crate::speech) fn start(sources: Vec<VoiceSource>, seats: usize) -> Result<Mouth, MouthError> {
    let waiting = if sources.iter().any(VoiceSource::is_elsewhere) { SEATS_ELSEWHERE } else { 0 };
    let seats = (seats.max(1) + waiting).min(MOUTHS_MAX);
    let sources: Arc<[VoiceSource]> = sources.into();
    let (voiced, heard) = bounded(SPEECH_JOBS_MAX);
    let (ready, loaded) = bounded(seats);
    let mut jobs = Vec::new();
    let mut threads = Vec::new();
    for seat in 0..seats {
        let (give, take) = bounded::<Job>(1);
        let (sources, out, ready) = (Arc::clone(&sources), Sender::clone(&voiced), Sender::clone(&ready));
        let body = move || {
            let voices = seat::open(&sources);
            let state: Vec<Result<f32, String>> =
                voices.iter().map(|voice| voice.as_ref().map(|voice| voice.pace()).map_err(String::clone)).collect();
            // The receiver waits for all seats.
            let _ = ready.send(state);
            drop(ready);
            seat::run(seat, voices, &take, &out);
        };
        threads.push(std::thread::Builder::new().name(format!("voice-{seat}")).spawn(body)?);
        jobs.push(give);
    }
    drop((voiced, ready));
    let states: Vec<_> = loaded.iter().collect();
    let mut paces = vec![PACE_MS; sources.len()];
    let mut missing = Vec::new();
    for (n, pace) in paces.iter_mut().enumerate() {
        for state in &states {
            match &state[n] {
                Ok(measured) => *pace = *measured,
                Err(why) if missing.iter().all(|(known, _)| *known != n) => missing.push((n, why.clone())),
                Err(_) => {}
            }
        }
    }
    if states.len() < seats || sources.is_empty() {
        return Err(MouthError::Voice("a voice's thread ended while it was made ready; see the log".to_owned()));
    }
    if let Some((_, why)) = missing.iter().find(|(n, _)| *n == LOCAL) {
        return Err(MouthError::Voice(why.clone()));
    }
    let down: Arc<[AtomicBool]> = sources.iter().map(|_| AtomicBool::new(false)).collect();
    for (n, why) in &missing {
        down[*n].store(true, Ordering::Relaxed);
        tracing::warn!(voice = sources[*n].name(), why, "a voice cannot be loaded; the built-in one speaks for it");
    }
    let (commands, inbox) = bounded(SPEECH_JOBS_MAX);
    let mut state = State {
        sources,
        paces,
        down: Arc::clone(&down),
        lanes: HashMap::new(),
        cache: PromptCache::default(),
        warming: VecDeque::new(),
        guesses: VecDeque::new(),
        guessed: HashSet::new(),
        idle: (0..jobs.len()).collect(),
        jobs,
        next_job: 0,
        flying: HashMap::new(),
        clock: 0,
    };
    let body = move || state.run(&inbox, &heard);
    threads.push(std::thread::Builder::new().name("mouth".into()).spawn(body)?);
    Ok(Mouth { commands, threads, missing, down })
}

struct State {
    sources: Arc<[VoiceSource]>,
    /// Milliseconds of speech for one unit of `timing::weight`, by voice.
    paces: Vec<f32>,
    down: Arc<[AtomicBool]>,
    lanes: HashMap<CallId, Lane>,
    cache: PromptCache,
    /// Clauses that nobody waits for.
    warming: VecDeque<(usize, Piece)>,
    /// Clauses that somebody is likely to wait for soon, and those of them that are being synthesised.
    guesses: VecDeque<(usize, Piece)>,
    guessed: HashSet<u64>,
    jobs: Vec<Sender<Job>>,
    /// Seats without a clause.
    idle: Vec<usize>,
    next_job: u64,
    /// Clauses that seats have, and the voices that were asked for them.
    flying: HashMap<u64, usize>,
    /// Clauses given out so far.
    clock: u64,
}

impl State {
    fn run(&mut self, commands: &Receiver<MouthCommand>, voiced: &Receiver<Voiced>) {
        loop {
            let patience = if self.lanes.values().all(Lane::is_idle) { IDLE } else { REFILL };
            select! {
                recv(commands) -> command => match command {
                    Ok(command) => if !self.obey(command) { return },
                    Err(_) => return,
                },
                recv(voiced) -> heard => match heard {
                    Ok(heard) => self.take(heard),
                    // Every voice's thread has ended: the plane's watchdog says so.
                    Err(_) => return,
                },
                default(patience) => {}
            }
            // Orders first: what is flushed must not be filled in before.
            while let Ok(command) = commands.try_recv() {
                if !self.obey(command) {
                    return;
                }
            }
            while let Ok(heard) = voiced.try_recv() {
                self.take(heard);
            }
            // A lane whose handle is gone says so by its generation, should its farewell have been lost.
            self.lanes.retain(|_, lane| lane.generation.load(Ordering::Acquire) != u32::MAX);
            for lane in self.lanes.values_mut() {
                lane.refill();
            }
            self.give_out();
        }
    }

    /// False when it is time to end.
    fn obey(&mut self, command: MouthCommand) -> bool {
        match command {
            MouthCommand::Attach { call, outbound, events, generation, manner } => {
                let haste = self.haste(&manner);
                self.lanes.insert(call, Lane::new(outbound, events, generation, manner, haste));
            }
            MouthCommand::Speak { call, utterance, generation, text, ahead, asked } => {
                if let Some(lane) = self.lanes.get_mut(&call) {
                    lane.enqueue(utterance, generation, &text, ahead, asked);
                }
            }
            MouthCommand::Play { call, utterance, pcm, asked } => {
                if let Some(lane) = self.lanes.get_mut(&call) {
                    lane.play(utterance, pcm, asked);
                }
            }
            MouthCommand::Release { call, give } => {
                if let Some(lane) = self.lanes.remove(&call) {
                    // Who asked may be gone, and the ring with it.
                    let _ = give.send(lane.release());
                }
            }
            MouthCommand::Flush { call } => {
                if let Some(lane) = self.lanes.get_mut(&call) {
                    lane.drop_flushed();
                }
            }
            MouthCommand::Warm { text, greeting, manner } => {
                let spare = if manner.voice == LOCAL { None } else { Some(LOCAL) };
                let dear = self.sources.get(manner.voice).is_some_and(VoiceSource::is_elsewhere);
                let own = (greeting || !dear).then_some(manner.voice);
                for voice in [own, spare].into_iter().flatten() {
                    for piece in pieces(&text, &manner, self.haste(&manner)) {
                        let key = piece.key(voice);
                        let known = self.cache.holds(&key)
                            || self.warming.iter().any(|(voice, piece)| piece.key(*voice) == key);
                        // A prompt that is not warmed is only slower.
                        if !known && self.warming.len() < WARM_CLAUSES_MAX {
                            self.warming.push_back((voice, piece));
                        }
                    }
                }
            }
            MouthCommand::Prepare { call, text } => {
                let Some(manner) = self.lanes.get(&call).map(|lane| lane.manner.clone()) else { return true };
                if self.sources.get(manner.voice).is_none_or(VoiceSource::is_elsewhere) {
                    return true;
                }
                if let Some(piece) = pieces(&text, &manner, self.haste(&manner)).pop_front()
                    && !self.cache.holds(&piece.key(manner.voice))
                {
                    // A newer guess is the better one, and two calls' guesses are all that is worth keeping.
                    self.guesses.push_front((manner.voice, piece));
                    self.guesses.truncate(GUESSES_MAX);
                }
            }
            MouthCommand::Detach { call } => {
                self.lanes.remove(&call);
            }
            MouthCommand::Stop => return false,
        }
        true
    }

    fn haste(&self, manner: &Manner) -> Haste {
        self.sources.get(manner.voice).map(VoiceSource::haste).unwrap_or_default()
    }

    fn take(&mut self, heard: Voiced) {
        match heard {
            Voiced::Samples { call, job, samples } => {
                if let Some(lane) = self.lanes.get_mut(&call) {
                    lane.hear(job, &samples);
                }
            }
            Voiced::Done { seat, job, call, piece, voice, rendered, ending } => {
                self.idle.push(seat);
                self.flying.remove(&job);
                let guess = self.guessed.remove(&job);
                if ending == Ending::Whole {
                    self.recovered(voice);
                    self.cache.keep(piece.key(voice), &rendered, call.is_none() && !guess);
                }
                if let Ending::Failed(why) = &ending {
                    self.failed(voice, why);
                }
                self.land(job, call, voice, &rendered, ending);
            }
        }
    }

    fn land(&mut self, job: u64, call: Option<CallId>, voice: usize, rendered: &Rendered, ending: Ending) {
        let Some(lane) = call.and_then(|call| self.lanes.get_mut(&call)) else { return };
        if let (Ending::Failed(what), LOCAL) = (&ending, voice) {
            tell(&lane.events, SpeechEvent::Failed { part: Part::Tts, what: what.clone() });
        }
        lane.land(job, &rendered.words, !matches!(ending, Ending::Failed(_)), voice == LOCAL);
    }

    /// Says once an outage that the local voice stands in.
    fn failed(&self, voice: usize, why: &str) {
        let Some(source) = self.sources.get(voice) else { return };
        metric::voice_fallback(source.name());
        if !self.down[voice].swap(true, Ordering::Relaxed) {
            let next = if voice == LOCAL { "what it should say is lost" } else { "the built-in voice speaks for it" };
            tracing::warn!(voice = source.name(), why, "a voice does not answer; {next}");
        }
    }

    fn recovered(&self, voice: usize) {
        if self.down[voice].swap(false, Ordering::Relaxed) {
            tracing::info!(voice = self.sources[voice].name(), "the voice speaks again");
        }
    }

    /// One clause at a time is asked ahead of a voice elsewhere, or of one that can speak but one.
    fn may_warm(&self, voice: usize) -> bool {
        let alone = self.sources.get(voice).is_some_and(|source| source.is_elsewhere() || source.is_shared());
        !(alone && self.flying.values().any(|other| *other == voice))
    }

    /// Gives clauses to free voices, calls with the least audio first; then what is to be warmed.
    fn give_out(&mut self) {
        let mut order: Vec<((usize, u64), CallId)> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.wish().is_some())
            .map(|(call, lane)| (lane.need(), *call))
            .collect();
        order.sort_unstable_by_key(|(need, call)| (*need, call.0));
        for (_, call) in order {
            let Some(lane) = self.lanes.get_mut(&call) else { continue };
            while let Some(wish) = lane.wish() {
                if wish.piece.clause.text().is_empty() {
                    // Nothing but silent marks: their words take no time.
                    let words = super::timing::word_times(&wish.piece.clause, &[], 0, super::timing::Extent::Whole(0));
                    lane.recite(&Rendered { samples: Vec::new(), words });
                    continue;
                }
                let down = self.down.get(wish.voice).is_some_and(|down| down.load(Ordering::Relaxed));
                let own = self.cache.find(&wish.piece.key(wish.voice));
                // What the local voice has said already needs no other attempt at a voice that does not answer.
                let stand_in = || self.cache.find(&wish.piece.key(LOCAL)).filter(|_| down || wish.by_heart);
                if let Some(rendered) = own.or_else(stand_in) {
                    metric::prompt_cache("hit");
                    lane.recite(&rendered);
                    continue;
                }
                if wish.by_heart {
                    lane.forgo();
                    continue;
                }
                let shared = self.sources.get(wish.voice).is_some_and(VoiceSource::is_shared);
                if shared && self.flying.values().any(|voice| *voice == wish.voice) {
                    // Another seat would only wait for the first, and other voices for that seat.
                    break;
                }
                let Some(seat) = self.idle.pop() else { break };
                metric::prompt_cache("miss");
                self.clock += 1;
                self.next_job += 1;
                lane.served = self.clock;
                self.flying.insert(self.next_job, wish.voice);
                lane.fly(self.next_job, self.paces.get(wish.voice).copied().unwrap_or(PACE_MS));
                let call = Some((call, Arc::clone(&lane.generation), wish.generation));
                let job = Job { number: self.next_job, piece: wish.piece, voice: wish.voice, call };
                if self.jobs[seat].try_send(job).is_err() {
                    // Its thread has ended; what it should have said is answered by the watchdog of the call.
                    tracing::error!(seat, "speech: a voice's thread has ended");
                }
                break;
            }
        }
        // One seat stays free for a call that may come.
        let spare = usize::from(self.jobs.len() > 1);
        while self.idle.len() > spare {
            let guess = self.guesses.iter().position(|(voice, _)| self.may_warm(*voice));
            let guess = guess.and_then(|next| self.guesses.remove(next));
            let is_guess = guess.is_some();
            let next = match guess {
                Some(guess) => Some(guess),
                None => {
                    let next = self.warming.iter().position(|(voice, _)| self.may_warm(*voice));
                    next.and_then(|next| self.warming.remove(next))
                }
            };
            let Some((voice, piece)) = next else { return };
            let dear = self.sources.get(voice).is_some_and(VoiceSource::is_elsewhere);
            if dear && self.down[voice].load(Ordering::Relaxed) {
                // Callers find out when it is back.
                continue;
            }
            if piece.clause.text().is_empty() || self.cache.holds(&piece.key(voice)) {
                continue;
            }
            let Some(seat) = self.idle.pop() else { return };
            self.next_job += 1;
            self.flying.insert(self.next_job, voice);
            if is_guess {
                self.guessed.insert(self.next_job);
            }
            // Seats that are idle have room for one job.
            let _ = self.jobs[seat].try_send(Job { number: self.next_job, piece, voice, call: None });
        }
    }
}
