//! The talking part of a call: its machine, its speech, and its errands at the pipeline. Owned by the call's actor; what the
//! pipeline answers comes back through a channel. Invariant: news of a build that come before its id is known are kept,
//! [`HELD_MAX`] at most. Deliberately absent: the order of things (`machine`), audio.

use super::actor::{Planes, keep};
use super::exchange::{self, CallInput, SaidTurn};
use super::machine::CallMachine;
use crate::conversation::{AppFacts, BuildUpdate, Dialogue, Persona};
use crate::id::CallId;
use crate::os::clock;
use crate::pipeline::SubmitError;
use crate::pipeline::manifest::BuildManifest;
use crate::speech::{SpeechEvent, SpeechLane};
use crate::store::{Conversation, Speaker, Turn};
use crate::turn::{TurnConfig, TurnMachine};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tracing::{info, warn};

/// The talking part; absent on `echo`.
pub(super) struct Talk {
    pub(super) machine: CallMachine,
    pub(super) lane: SpeechLane,
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
}

/// What comes back from the pipeline.
pub(super) enum Answer {
    Input(CallInput),
    Submitted(String),
    Refused(String),
}

/// News kept while a build's id is not known.
const HELD_MAX: usize = 64;

impl Talk {
    pub(super) fn begin(
        planes: &Planes,
        call: CallId,
        agent: &str,
        ends: crate::media::SpeechEnds,
    ) -> Result<Self, String> {
        let (events, speech) = mpsc::channel(crate::limits::CALL_EVENTS_MAX);
        let lane = planes.speech.attach(call, agent, ends, events).map_err(|e| e.to_string())?;
        let conversation = format!("conv_{:016x}", call.0);
        let mut persona = Persona::named(&spoken_name(agent));
        if let Some(greeting) = planes.config.agents.iter().find(|a| a.name == agent).and_then(|a| a.greeting.clone()) {
            persona.greeting = vec![greeting];
        }
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
        Ok(Self {
            machine: CallMachine::new(
                Dialogue::new(persona, conversation.clone()),
                TurnMachine::new(TurnConfig::default()),
            ),
            lane,
            speech,
            updates: planes.pipeline.updates(),
            builds: HashSet::new(),
            conversation,
            turns: 0,
            answers,
            answered,
            submitting: 0,
            held: Vec::new(),
        })
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

    pub(super) fn look_up(&self, planes: &Arc<Planes>, subject: String) {
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move {
            let facts = planes.pipeline.facts(&subject).await.unwrap_or_else(|error| {
                warn!(%error, subject, "the state of an app is not known");
                AppFacts { name: subject, unknown: Some(Vec::new()), ..AppFacts::default() }
            });
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(Answer::Input(CallInput::Facts(facts))).await;
        });
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
        SubmitError::Slow { waiting } => format!("I have {waiting} builds waiting. Please ask me again in a minute."),
        SubmitError::Invalid(_) => {
            "I could not make a plan from that. Please tell me again what it should do.".to_owned()
        }
        SubmitError::Store(_) => {
            "I could not write your request down, so nothing was started. Please call again.".to_owned()
        }
    }
}

/// Names in the configuration are lower case; people's names are not.
fn spoken_name(agent: &str) -> String {
    let mut letters = agent.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
