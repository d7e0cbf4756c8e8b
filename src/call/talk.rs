//! The talking part of a call: its machine, its speech, and its errands at the pipeline. Owned by the call's actor; what the
//! pipeline answers comes back through a channel. Invariant: news of a build that come before its id is known are kept,
//! [`HELD_MAX`] at most. Deliberately absent: the order of things (`machine`), audio.

use super::actor::{Planes, keep};
use super::exchange::{self, CallInput, SaidTurn};
use super::machine::CallMachine;
use super::manners::{Manners, caller, user_of};
use super::transfer::{self, Transfer};
use crate::config::{BridgeTarget, Config, ReturnWhen, TrunkKind};
use crate::conversation::{
    self, BuildQuestion, BuildStage, BuildUpdate, Change, Changed, Dialogue, Failure, Kept, News, Outcome, ReturnCalls,
    Run, SetUpCode,
};
use crate::id::{CallId, Generation};
use crate::media::SpeechEnds;
use crate::os::clock;
use crate::pipeline::deploy::RollBackError;
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::{Pipeline, SubmitError};
use crate::sip::peer::Peer;
use crate::speech::{SpeechEvent, SpeechLane};
use crate::store::{
    Answered, AnsweredBy, Build, CallBackRequest, Cancelled, Conversation, KeptFor, ReturnCall, ReturnConsent,
    ReturnWish, Speaker, StoreError, Turn, build_id,
};
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
    /// When the agent's PIN was set; `None`: it has none.
    pin_set: Option<Wallclock>,
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
    /// To whom callers go that want a person, one after the other.
    operators: Vec<Transfer>,
    /// Where this caller is called when a build is over; `None`: nowhere.
    returns_to: Option<ReturnsTo>,
    /// The build that was handed over last, or that the caller waits to hear of.
    newest: Option<String>,
}

/// Where a caller is called back, and on what ground.
#[derive(Clone)]
struct ReturnsTo {
    target: String,
    when: ReturnWhen,
}

/// Who is at the other end.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    /// As written.
    pub(super) from: &'a str,
    /// Whose call it is; `None` where we have called.
    pub(super) peer: Option<&'a Peer>,
    /// What its INVITE tells besides, as far as the agent may know it.
    pub(super) fields: &'a [(String, String)],
    /// Who is rung for a caller that wants a person, where the route names somebody.
    pub(super) operator: Option<&'a str>,
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
    let manners = Manners::of(config, agent, true).with_operator(config, route).with_fields(&[]);
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
        party: &Party<'_>,
        recorded: bool,
        ends: SpeechEnds,
    ) -> Result<Self, String> {
        let config = planes.config();
        let manners = Manners::of(&config, agent, recorded).with_operator(&config, party.operator);
        let manners = manners.with_fields(party.fields).with_pin(&config, agent)?;
        let (events, speech) = mpsc::channel(crate::limits::CALL_EVENTS_MAX);
        let lane = planes.speech.attach(call, agent, ends, events).map_err(|e| e.to_string())?;
        let conversation = format!("conv_{:016x}", call.0);
        let (answers, answered) = mpsc::channel(8);
        planes.store.conversations().keep(Conversation {
            id: conversation.clone(),
            call_id: Some(call.to_string()),
            agent: agent.to_owned(),
            started: clock::wall(),
            ended: None,
        });
        let who = caller(party.from);
        let returns_to = party.peer.and_then(|peer| returns_to(&config, agent, party.from, peer));
        let caller = who.clone().filter(|_| !manners.resume.is_zero());
        let keeping = caller.map(|caller| KeptFor {
            caller,
            agent: agent.to_owned(),
            conversation_id: conversation.clone(),
            begun: clock::wall(),
        });
        let kept = keeping.as_ref().and_then(|whose| kept(planes, whose, manners.resume));
        let mut persona = manners.persona;
        let pin_set = persona.pin.is_some().then(|| pin_set(&config, agent));
        persona.proved = matches!(party.peer, Some(Peer::Extension(_)));
        persona.trusted &= persona.proved;
        persona.return_call = match returns_to.as_ref().map(|to| to.when) {
            None | Some(ReturnWhen::Never) => ReturnCalls::Never,
            Some(ReturnWhen::Ask) => ReturnCalls::Ask,
            Some(ReturnWhen::Always) => ReturnCalls::Always,
        };
        let mut dialogue = Dialogue::new(persona, conversation.clone());
        let mut builds = HashSet::new();
        let news = match party.peer {
            None => news_of_call(planes, call),
            Some(_) => who.as_deref().and_then(|who| news_owed(planes, who, agent)),
        };
        // An order that was being talked about comes first; its caller can ask.
        let news = news.filter(|_| kept.as_ref().is_none_or(|kept| kept.build_id().is_some()));
        let mut newest = kept.as_ref().and_then(Kept::build_id).map(str::to_owned);
        if let Some(news) = news {
            info!(%call, build = news.build_id, called = news.called, "the caller is told of a build");
            newest = Some(news.build_id.clone());
            builds.insert(news.build_id.clone());
            let ask = planes.pipeline.question(&news.build_id);
            dialogue = dialogue.with_news(news).with_build_question(ask);
        } else if let Some(kept) = &kept {
            info!(%call, "the caller's last call was cut off; it is gone on with");
            builds.extend(kept.build_id().map(str::to_owned));
            dialogue = dialogue.after(kept.clone());
        }
        if let Some(build) = &newest {
            // Who is on the line hears it there.
            keep(planes.store.return_calls().on_line(build, &call.to_string()), "where a caller is");
        }
        let mut machine = CallMachine::new(dialogue, TurnMachine::new(manners.turn)).with_patience(manners.patience);
        if let Some(kept) = kept {
            machine = machine.remembering(kept);
        }
        let mut talk = Self {
            machine,
            lane: Some(lane),
            agent: agent.to_owned(),
            caller: who.unwrap_or_default(),
            pin_set,
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
            operators: manners.operators,
            returns_to,
            newest,
        };
        talk.mind_lock(planes);
        Ok(talk)
    }

    /// Whether the PIN is closed is looked up before anything that happens, since other calls may have closed it.
    pub(super) fn mind_lock(&mut self, planes: &Planes) {
        let Some(set) = self.pin_set else { return };
        if planes.store.lockouts().is_locked(&self.agent, &self.caller, set, clock::wall()) {
            self.machine.close_pin();
        }
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

    /// Hands the manifest over; the build goes on whatever becomes of the call. Who is called back without being asked is promised
    /// it first, so that no kill comes between.
    pub(super) fn submit(&mut self, planes: &Arc<Planes>, call: CallId, manifest: BuildManifest) {
        self.submitting += 1;
        let build = build_id(&manifest.manifest_id);
        let always = self.returns_to.as_ref().is_some_and(|to| to.when == ReturnWhen::Always);
        let promise = always.then(|| self.promised(call, &build, ReturnConsent::Configured)).flatten();
        self.newest = Some(build.clone());
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move {
            if let Some(wish) = promise {
                promise_call(&planes, wish, &answers).await;
            }
            let answer = match planes.pipeline.submit(manifest).await {
                Ok(build) => Answer::Submitted(build.id),
                Err(error) => {
                    warn!(%error, "a build was not taken");
                    let returns = planes.store.return_calls();
                    keep(returns.withdraw(&build, "the build was not taken", clock::wall()), "a return call");
                    Answer::Refused(spoken_refusal(&error))
                }
            };
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(answer).await;
        });
    }

    fn promised(&self, call: CallId, build: &str, consent: ReturnConsent) -> Option<ReturnWish> {
        let to = self.returns_to.as_ref()?;
        Some(ReturnWish {
            build_id: build.to_owned(),
            conversation_id: self.conversation.clone(),
            agent: self.agent.clone(),
            caller: self.caller.clone(),
            target: to.target.clone(),
            consent,
            on_call: call.to_string(),
        })
    }

    /// The caller agrees to be called when the build is over, or does not want that.
    pub(super) fn return_call(&self, planes: &Arc<Planes>, call: CallId, wanted: bool) {
        let Some(build) = &self.newest else { return };
        if !wanted {
            let withdrawn = planes.store.return_calls().withdraw(build, "the caller wants no call", clock::wall());
            return keep(withdrawn, "that a caller wants no call");
        }
        let Some(wish) = self.promised(call, build, ReturnConsent::Asked) else { return };
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move { promise_call(&planes, wish, &answers).await });
    }

    /// Answers what a build asks; it is on disk before anything is done for it, whatever becomes of the call.
    pub(super) fn answer(&mut self, planes: &Arc<Planes>, ask: BuildQuestion, value: String, follow_up: bool) {
        self.submitting += usize::from(follow_up);
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move {
            let answered = planes.pipeline.answer(&ask.build_id, &ask.name, &value, AnsweredBy::Voice).await;
            let why = match answered {
                // A caller who hung up meanwhile needs no answer.
                Ok(Answered::FollowUp(build)) => return drop(answers.send(Answer::Submitted(build.id)).await),
                Ok(Answered::Noted | Answered::GoesOn) if !follow_up => return,
                Ok(Answered::Slow) => Failure::PipelineFull.line(),
                Ok(Answered::InAMoment) => "It is just going live. Tell me again in a moment.",
                Ok(_) => "That was answered already.",
                Err(error) => {
                    warn!(%error, build = ask.build_id, "an answer was not written; the caller is told");
                    Failure::Disk.line()
                }
            };
            let told = match follow_up {
                true => Answer::Refused(why.to_owned()),
                false => Answer::Input(CallInput::Announce(why.to_owned())),
            };
            // Nor this.
            let _ = answers.send(told).await;
        });
    }

    /// The caller has heard how a build ended.
    pub(super) fn told(&self, planes: &Planes, build: &str) {
        keep(planes.store.return_calls().told(build, clock::wall()), "that a caller was told");
    }

    /// Asks an app for the code of its first account; it goes to the caller's ear and nowhere else.
    pub(super) fn set_up_code(&self, planes: &Arc<Planes>, app: String) {
        let (planes, answers) = (Arc::clone(planes), self.answers.clone());
        tokio::spawn(async move {
            let found = match planes.pipeline.setup_code(&app).await {
                Ok(code) => Some(code.map_or(SetUpCode::Used, SetUpCode::Code)),
                Err(error) => {
                    warn!(%error, app, "the app does not say whether it has an account");
                    None
                }
            };
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(Answer::Input(CallInput::SetUpCode(found))).await;
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

    /// Rings those who take callers that want a person, one after the other; says so when nobody has.
    pub(super) fn put_through(&self, planes: &Arc<Planes>, call: CallId) {
        let (planes, answers, operators) = (Arc::clone(planes), self.answers.clone(), self.operators.clone());
        tokio::spawn(async move {
            for operator in &operators {
                match transfer::through(&planes, call, operator).await {
                    Ok(()) => return,
                    Err(why) => info!(%call, to = operator.to, why, "the caller could not be put through"),
                }
                if planes.registry.find(call).is_none() {
                    return;
                }
            }
            // A caller who hung up meanwhile needs no answer.
            let _ = answers.send(Answer::Input(CallInput::NotPutThrough)).await;
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

    /// A PIN was tried; that counts at once, in all calls.
    pub(super) fn pin_tried(&self, planes: &Planes, right: bool) {
        if !right {
            warn!(agent = self.agent, caller = self.caller, "a wrong PIN");
        }
        planes.store.lockouts().tried(&self.agent, &self.caller, right, clock::wall());
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
        planes.store.conversations().keep_turn(turn);
    }
}

/// Where the caller is called when a build is over.
fn returns_to(config: &Config, agent: &str, from: &str, peer: &Peer) -> Option<ReturnsTo> {
    let rule = config.agents.iter().find(|a| a.name == agent).map(|agent| &agent.return_call)?;
    if rule.when == ReturnWhen::Never {
        return None;
    }
    let target = rule.target(&user_of(from), peer, &config.numbers)?;
    if let Ok(BridgeTarget::Trunk { name, .. }) = BridgeTarget::parse(&target) {
        // Telnyx calls us without a trunk of ours, and Twilio may: nobody is promised what cannot be placed.
        let trunk = config.trunks.iter().find(|trunk| trunk.name == name)?;
        if trunk.kind == TrunkKind::Twilio && trunk.from_user.is_none() {
            return None;
        }
    }
    Some(ReturnsTo { target, when: rule.when })
}

/// Writes a promise down; a caller whom it cannot be kept to is told.
async fn promise_call(planes: &Planes, wish: ReturnWish, answers: &mpsc::Sender<Answer>) {
    let why = match planes.store.return_calls().promise(wish, clock::wall()).await {
        Ok(true) => return,
        Ok(false) => "too many callers wait to be called".to_owned(),
        Err(error) => error.to_string(),
    };
    warn!(why, "a caller is not called back, and is told");
    let sorry = "I am sorry, I cannot call you this time. Please call again.".to_owned();
    // Who hung up meanwhile hears nothing.
    let _ = answers.send(Answer::Input(CallInput::Announce(sorry))).await;
}

/// What this call was placed to tell; `None`: it was placed for something else.
fn news_of_call(planes: &Planes, call: CallId) -> Option<News> {
    let found = planes.store.return_calls().of_call(&call.to_string());
    news_from(found, true)
}

/// What this caller was to be called for and has not heard.
fn news_owed(planes: &Planes, caller: &str, agent: &str) -> Option<News> {
    let found = planes.store.return_calls().owed(caller, agent, clock::wall());
    news_from(found, false)
}

fn news_from(found: Result<Option<(ReturnCall, Build)>, StoreError>, called: bool) -> Option<News> {
    let found = found.unwrap_or_else(|error| {
        warn!(%error, "whether the caller waits for news is not known");
        None
    });
    let (_, build) = found?;
    let outcome = match build.url {
        Some(url) if matches!(build.stage, BuildStage::Live | BuildStage::Tracked) => {
            Some(Outcome::Live { url, app: build.slug })
        }
        _ if matches!(build.stage, BuildStage::Parked | BuildStage::Failed) => {
            Some(Outcome::Parked { say: build.failure.unwrap_or_default() })
        }
        // It asks something.
        _ => None,
    };
    Some(News { build_id: build.id, title: build.title, outcome, called })
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

/// When the agent's PIN was set: wrong ones of before do not count.
fn pin_set(config: &Config, agent: &str) -> Wallclock {
    let file = config.agents.iter().find(|a| a.name == agent).and_then(|a| a.pin_file.as_ref());
    let set = file.and_then(|file| file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    Wallclock(set.map_or(0, |set| u64::try_from(set.as_millis()).unwrap_or(0)))
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
