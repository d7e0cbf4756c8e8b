//! The talking part of a call: its machine, its speech, and its errands at the pipeline. Owned by the call's actor; what the
//! pipeline answers comes back through a channel. Invariant: news of a build that come before its id is known are kept,
//! [`HELD_MAX`] at most. Deliberately absent: the order of things (`machine`), audio.

use super::actor::{Planes, keep};
use super::exchange::{self, CallInput, SaidTurn};
use super::machine::CallMachine;
use super::manners::{Manners, caller};
use super::transfer::{self, Transfer};
use crate::config::Config;
use crate::conversation::{self, BuildUpdate, Change, Changed, Dialogue, Failure, Kept, Run};
use crate::id::{CallId, Generation};
use crate::media::SpeechEnds;
use crate::os::clock;
use crate::pipeline::deploy::RollBackError;
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::{Pipeline, SubmitError};
use crate::speech::{SpeechEvent, SpeechLane};
use crate::store::{CallBackRequest, Cancelled, Conversation, KeptFor, Speaker, Turn};
use crate::time::Wallclock;
use crate::turn::TurnMachine;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;
use tracing::{info, warn};

/// The talking part; absent on `echo`.
pub(super) struct Talk {
    pub(super) machine: CallMachine,
    /// Absent while the caller is with somebody else.
    pub(super) lane: Option<SpeechLane>,
    agent: String,
    /// Who calls, for the count of wrong PINs; empty where that is withheld.
    caller: String,
    pub(super) speech: mpsc::Receiver<SpeechEvent>,
    pub(super) updates: broadcast::Receiver<BuildUpdate>,
    pub(super) builds: HashSet<String>,
    pub(super) conversation: String,
    turns: u32,
    answers: mpsc::Sender<Answer>,
    pub(super) answered: mpsc::Receiver<Answer>,
    /// Builds handed over whose id is not known yet, and the news that may be theirs.
    submitting: usize,
    held: Vec<BuildUpdate>,
    /// Whose place in the conversation is kept, should the line be cut; `None`: a withheld number, or it is not configured.
    keeping: Option<KeptFor>,
    /// Look-ups under way, to be stopped: as many as the machine has running.
    running: Vec<(Run, AbortHandle)>,
    /// To whom callers go that want a person.
    operator: Option<Transfer>,
}

/// What comes back from the pipeline.
pub(super) enum Answer {
    Input(CallInput),
    Submitted(String),
    Refused(String),
}

/// What every caller of an agent may hear, to be synthesised before the first call.
#[must_use]
pub fn prompts(config: &Config, agent: &str) -> Vec<String> {
    // With what is said where calls are recorded: some of them are.
    let route = config.routes.iter().find_map(|route| route.operator.as_deref());
    let manners = Manners::of(config, agent, true).with_operator(route).with_fields(&[]);
    // A PIN that cannot be read is said when somebody calls.
    conversation::prompts(&manners.clone().with_pin(config, agent).unwrap_or(manners).persona)
}

/// News kept while a build's id is not known.
const HELD_MAX: usize = 64;

impl Talk {
    pub(super) fn begin(
        planes: &Planes,
        call: CallId,
        agent: &str,
        (from, fields): (&str, &[(String, String)]),
        recorded: bool,
        ends: SpeechEnds,
        operator: Option<&str>,
    ) -> Result<Self, String> {
        let config = planes.config();
        let manners = Manners::of(&config, agent, recorded).with_operator(operator).with_fields(fields);
        let manners = manners.with_pin(&config, agent)?;
        let (events, speech) = mpsc::channel(crate::limits::CALL_EVENTS_MAX);
        let lane = planes.speech.attach(call, agent, ends, events).map_err(|e| e.to_string())?;
        let conversation = format!("conv_{:016x}", call.0);
        let (answers, answered) = mpsc::channel(8);
        keep(
            planes.store.conversations().record(Conversation {
                id: conversation.clone(),
                call_id: Some(call.to_string()),
                agent: agent.to_owned(),
                started: clock::wall(),
                ended: None,
            }),
            "the conversation",
        );
        let who = caller(from);
        let caller = who.clone().filter(|_| !manners.resume.is_zero());
        let keeping = caller.map(|caller| KeptFor {
            caller,
            agent: agent.to_owned(),
            conversation_id: conversation.clone(),
            begun: clock::wall(),
        });
        let kept = keeping.as_ref().and_then(|whose| kept(planes, whose, manners.resume));
        let mut persona = manners.persona;
        persona.locked = persona.pin.is_some() && is_locked(planes, &config, agent, who.as_deref().unwrap_or_default());
        let mut dialogue = Dialogue::new(persona, conversation.clone());
        let mut builds = HashSet::new();
        if let Some(kept) = &kept {
            info!(%call, "the caller's last call was cut off; it is gone on with");
            builds.extend(kept.build_id().map(str::to_owned));
            dialogue = dialogue.after(kept.clone());
        }
        let mut machine = CallMachine::new(dialogue, TurnMachine::new(manners.turn)).with_patience(manners.patience);
        if let Some(kept) = kept {
            machine = machine.remembering(kept);
        }
        Ok(Self {
            machine,
            lane: Some(lane),
            agent: agent.to_owned(),
            caller: who.unwrap_or_default(),
            speech,
            updates: planes.pipeline.updates(),
            builds,
            conversation,
            turns: 0,
            answers,
            answered,
            submitting: 0,
            held: Vec::new(),
            keeping,
            running: Vec::new(),
            operator: manners.operator,
        })
    }

    /// Gives the caller's audio away; the machine has been told that the caller is away.
    pub(super) async fn let_go(&mut self) -> Option<(SpeechEnds, Generation)> {
        let lane = self.lane.take()?;
        let generation = lane.generation();
        Some((lane.release().await?, generation))
    }

    /// Has the caller back. Error: for the log; nobody hears or speaks then.
    pub(super) fn take_back(
        &mut self,
        planes: &Planes,
        call: CallId,
        ends: SpeechEnds,
        generation: Generation,
    ) -> Result<(), String> {
        let (events, speech) = mpsc::channel(crate::limits::CALL_EVENTS_MAX);
        let lane = planes.speech.attach(call, &self.agent, ends, events).map_err(|e| e.to_string())?;
        // What was flushed before stays so, and whoever gets the rings next must know of it.
        lane.flush(generation);
        self.lane = Some(lane);
        self.speech = speech;
        Ok(())
    }

    /// Hands the manifest over; the build goes on whatever becomes of the call.
    pub(super) fn submit(&mut self, planes: &Arc<Planes>, manifest: BuildManifest) {
        self.submitting += 1;
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move {
            let answer = match planes.pipeline.submit(manifest).await {
                Ok(build) => Answer::Submitted(build.id),
                Err(error) => {
                    warn!(%error, "a build was not taken");
                    Answer::Refused(spoken_refusal(&error))
                }
            };
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(answer).await;
        });
    }

    /// A build was taken under this id, or refused: the news that came before this and are ours.
    pub(super) fn handed_over(&mut self, build: Option<&str>) -> Vec<BuildUpdate> {
        self.submitting = self.submitting.saturating_sub(1);
        self.builds.extend(build.map(str::to_owned));
        let held = std::mem::take(&mut self.held);
        let (ours, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|u| self.builds.contains(&u.build_id));
        if self.submitting > 0 {
            self.held = others;
        }
        ours
    }

    /// Asks where our builds stand, after news were lost.
    pub(super) fn catch_up(&self, planes: &Arc<Planes>) {
        for build in self.builds.clone() {
            let (planes, answers) = (Arc::clone(planes), self.answers.clone());
            tokio::spawn(async move {
                match planes.pipeline.standing(&build).await {
                    // A caller who hung up meanwhile needs no answer.
                    Ok(Some(update)) => drop(answers.send(Answer::Input(CallInput::Build(update))).await),
                    Ok(None) => {}
                    Err(error) => warn!(%error, build, "the state of a build is not known"),
                }
            });
        }
    }

    pub(super) fn hold(&mut self, update: BuildUpdate) {
        if self.submitting > 0 && self.held.len() < HELD_MAX {
            self.held.push(update);
        }
    }

    pub(super) fn look_up(&mut self, planes: &Arc<Planes>, run: Run, subject: String) {
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        let task = tokio::spawn(async move {
            let found = match planes.pipeline.facts(&subject).await {
                Ok(facts) => CallInput::Found(run, Some(facts)),
                Err(error) => {
                    warn!(%error, subject, "the state of an app is not known");
                    CallInput::Found(run, None)
                }
            };
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(Answer::Input(found)).await;
        });
        self.running.retain(|(_, task)| !task.is_finished());
        self.running.push((run, task.abort_handle()));
    }

    /// What this run brings is wanted no more.
    pub(super) fn cancel(&mut self, run: Run) {
        self.running.retain(|(other, task)| {
            if *other == run {
                task.abort();
            }
            *other != run
        });
    }

    /// Rings whoever takes callers that want a person; says so when nobody has.
    pub(super) fn put_through(&self, planes: &Arc<Planes>, call: CallId) {
        let (planes, answers, operator) = (Arc::clone(planes), self.answers.clone(), self.operator.clone());
        tokio::spawn(async move {
            let outcome = match &operator {
                Some(operator) => transfer::through(&planes, call, operator).await,
                None => Err("nobody is configured".to_owned()),
            };
            if let Err(why) = outcome {
                info!(%call, why, "the caller could not be put through and is told");
                // A caller who hung up meanwhile needs no answer.
                let _ = answers.send(Answer::Input(CallInput::NotPutThrough)).await;
            }
        });
    }

    /// Changes or takes away what there is; it goes on whatever becomes of the call.
    pub(super) fn change(&self, planes: &Arc<Planes>, change: Change) {
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        info!(conversation = %self.conversation, ?change, "a caller changes what there is; the PIN was right");
        tokio::spawn(async move {
            let outcome = changed(&planes.pipeline, change).await;
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(Answer::Input(CallInput::Changed(outcome))).await;
        });
    }

    /// Writes down that a PIN was tried.
    pub(super) fn pin_tried(&self, planes: &Planes, right: bool) {
        if !right {
            warn!(agent = self.agent, caller = self.caller, "a wrong PIN");
        }
        keep(planes.store.lockouts().tried(&self.agent, &self.caller, right, clock::wall()), "the trial of a PIN");
    }

    /// Writes down, with its event, that the caller wants to be called back.
    pub(super) fn call_back(&self, planes: &Planes, number: String, name: Option<String>) {
        let wish = CallBackRequest { conversation_id: self.conversation.clone(), number, name, time: clock::wall() };
        let (commit, answers) = (planes.store.conversations().call_back(wish), self.answers.clone());
        tokio::spawn(async move {
            if let Err(error) = commit.await {
                warn!(%error, "the wish to be called back was not written; the caller is told");
                let _ = answers.send(Answer::Input(CallInput::Failed(Failure::Disk))).await;
            }
        });
    }

    /// Writes down where the conversation is, for a caller whose line is cut.
    pub(super) fn keep(&self, planes: &Planes, kept: Option<&Kept>) {
        let Some(whose) = &self.keeping else { return };
        let document = match kept.map(serde_json::to_string).transpose() {
            Ok(document) => document,
            Err(error) => return warn!(%error, "where the conversation is cannot be written"),
        };
        keep(planes.store.kept().keep(whose.clone(), document, clock::wall()), "where the conversation is");
    }

    pub(super) fn note(&mut self, planes: &Planes, said: SaidTurn) {
        self.turns += 1;
        let who = match said.speaker {
            exchange::Speaker::Caller => Speaker::Caller,
            exchange::Speaker::Agent => Speaker::Agent,
        };
        info!(conversation = %self.conversation, ?who, text = %said.text, heard = said.heard.as_deref(), "said");
        let now = clock::wall();
        let turn = Turn {
            conversation_id: self.conversation.clone(),
            seq: self.turns,
            who,
            text: said.text,
            heard: said.heard,
            started: now,
            ended: Some(now),
            confidence: said.confidence.map(f64::from),
        };
        keep(planes.store.conversations().turn(turn), "a turn");
    }
}

fn spoken_refusal(error: &SubmitError) -> String {
    match error {
        SubmitError::Slow { .. } => Failure::PipelineFull.line().to_owned(),
        SubmitError::Invalid(_) => {
            "I could not make a plan from that. Please tell me again what it should do.".to_owned()
        }
        SubmitError::Store(_) => Failure::Disk.line().to_owned(),
    }
}

/// Does it.
async fn changed(pipeline: &Pipeline, change: Change) -> Changed {
    let failed = |error: String| {
        warn!(error, "what a caller asked for was not done");
        Changed::Failed
    };
    match change {
        Change::RollBack { slug, lose_data } => match pipeline.roll_back(&slug, lose_data).await {
            Ok(_) => Changed::Done,
            Err(RollBackError::First) => Changed::First,
            Err(RollBackError::LosesData { .. }) => Changed::LosesData,
            Err(RollBackError::Unknown(_)) => Changed::NotThere,
            Err(error @ (RollBackError::NoCopy { .. } | RollBackError::Deploy(_))) => failed(error.to_string()),
        },
        Change::Delete { slug } => match pipeline.delete(&slug).await {
            Ok(true) => Changed::Done,
            Ok(false) => Changed::NotThere,
            Err(error) => failed(error.to_string()),
        },
        Change::Cancel { build_id } => match pipeline.cancel(&build_id).await {
            Ok(Cancelled::Done(_)) => Changed::Done,
            Ok(Cancelled::TooLate(_)) => Changed::TooLate,
            Ok(Cancelled::Unknown) => Changed::NotThere,
            Err(error) => failed(error.to_string()),
        },
    }
}

/// Whether too many wrong PINs have come; also where that cannot be known.
fn is_locked(planes: &Planes, config: &Config, agent: &str, caller: &str) -> bool {
    let file = config.agents.iter().find(|a| a.name == agent).and_then(|a| a.pin_file.as_ref());
    let set = file.and_then(|file| file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let set = Wallclock(set.map_or(0, |set| u64::try_from(set.as_millis()).unwrap_or(0)));
    planes.store.lockouts().is_locked(agent, caller, set, clock::wall()).unwrap_or_else(|error| {
        warn!(%error, "whether a PIN may be tried is not known, so none is taken");
        true
    })
}

/// Where the caller's last call was, if it was cut off and not long ago.
fn kept(planes: &Planes, whose: &KeptFor, resume: std::time::Duration) -> Option<Kept> {
    let ms = u64::try_from(resume.as_millis()).unwrap_or(u64::MAX);
    let since = Wallclock(clock::wall().0.saturating_sub(ms));
    let document = match planes.store.kept().find(&whose.caller, &whose.agent, since) {
        Ok(document) => document?,
        Err(error) => {
            warn!(%error, "whether the caller's last call was cut off is not known");
            return None;
        }
    };
    // What another version has written is no reason to refuse a call.
    serde_json::from_str(&document).map_err(|error| warn!(%error, "where the last call was cannot be read")).ok()
}
