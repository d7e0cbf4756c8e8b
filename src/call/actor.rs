//! The task that owns one call: it performs what the machine decides and tells it what happened.
//!
//! One tokio task per call, from the INVITE to the written record. Invariants: every offered call is accepted or
//! refused; whatever was taken (port, media session, speech lane, seat in the registry) is given back on every path out,
//! a panic included; no call outlasts `limits::CALL_MAX`; the record is written once more at the end, with class and reason. Deliberately absent: decisions about the
//! conversation (`machine`), SIP messages (`sip::agent`), audio (`media`, `speech`).

use super::bridge;
use super::exchange::{CallAction, CallInput, Mark};
use super::lease::Ports;
use super::media_leg::{MediaLeg, NoMedia, Offered};
use super::player::{Player, Seat, Source};
use super::record::{CallEnd, EndClass};
use super::recording;
use super::registry::{CallEvent, Registry};
use super::talk::{Answer, Talk};
use crate::config::{App, Config};
use crate::conversation::Failure;
use crate::id::{CallId, Generation};
use crate::limits::CALL_MAX;
use crate::media::recorder::Recorder;
use crate::media::{CloseCause, MediaCommand, MediaEvent, MediaPlane, SessionStats};
use crate::os::clock;
use crate::pipeline::Pipeline;
use crate::sip::agent::{AgentError, EndedBy, LegId, SipEvent};
use crate::sip::transport::{SipError, SipHandle};
use crate::speech::{Part, SpeechEvent, SpeechLane, SpeechPlane};
use crate::store::{CallRecord, Commit, Conversation, Direction, Store};
use crate::telemetry::marks::Marks;
use crate::telemetry::metric;
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// The media worker answers a `Close` within a pass; this is for a worker that died.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// What a refused caller is told to wait.
const RETRY_AFTER_S: &str = "5";

/// The planes that every call works with.
#[derive(Debug)]
pub struct Planes {
    /// Configuration.
    pub config: Config,
    /// Signalling.
    pub sip: SipHandle,
    /// Ears and mouth. Dropped before the media plane, whose bells it listens to.
    pub speech: SpeechPlane,
    /// Audio on the wire.
    pub media: MediaPlane,
    /// Tones and files for callers.
    pub player: Player,
    /// RTP ports.
    pub ports: Ports,
    /// Writes calls to files; `None` when none is to be recorded and none was.
    pub recorder: Option<Recorder>,
    /// Builds and apps.
    pub pipeline: Pipeline,
    /// The daemon's memory.
    pub store: Store,
    /// Latency marks.
    pub marks: Arc<Marks>,
    /// Calls of this moment.
    pub registry: Registry,
}

/// What the INVITE said.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The leg to answer.
    pub leg: LegId,
    /// From, as written.
    pub from: String,
    /// User part of the Request-URI.
    pub number: String,
    /// SIP Call-ID, for the log.
    pub sip_call_id: String,
    /// Where it came from.
    pub source: SocketAddr,
    /// Max-Forwards.
    pub hops: u8,
    /// SDP offer; `None` asks for ours.
    pub offer: Option<Vec<u8>>,
}

/// A refusal before the answer.
pub(super) struct Refusal {
    code: u16,
    phrase: &'static str,
    retry: bool,
    why: String,
}

impl Refusal {
    pub(super) fn new(code: u16, phrase: &'static str, why: impl Into<String>) -> Self {
        Self { code, phrase, retry: code == 503, why: why.into() }
    }
}

impl From<NoMedia> for Refusal {
    fn from(error: NoMedia) -> Self {
        let (code, phrase, why) = error.refusal();
        Self::new(code, phrase, why)
    }
}

/// Runs one call to its end.
pub async fn run(planes: Arc<Planes>, call: CallId, invitation: Invitation, mailbox: mpsc::Receiver<CallEvent>) {
    let started = clock::wall();
    let mut record = CallRecord {
        id: call.to_string(),
        direction: Direction::Inbound,
        caller: invitation.from.clone(),
        callee: invitation.number.clone(),
        source: invitation.source.to_string(),
        app: String::new(),
        conversation_id: None,
        started,
        answered: None,
        ended: None,
        ended_by: None,
        reason: None,
        media: None,
    };
    info!(%call, from = %invitation.from, number = %invitation.number, sip_call_id = %invitation.sip_call_id, "call offered");
    // One panic ends one call, and properly: the caller is told, the session closed, the record written.
    let lived = AssertUnwindSafe(live(&planes, call, &invitation, mailbox, &mut record)).catch_unwind().await;
    let end = match lived {
        Ok(end) => end,
        Err(_) => {
            tracing::error!(%call, "the call made us fail; it is ended. Please report this with the lines above");
            let (legs, sessions) = planes.registry.held_by(call);
            for leg in legs {
                told(planes.sip.hang_up(leg, Some("internal error")).await);
            }
            for session in sessions {
                if planes.media.send(MediaCommand::Close { call: session }).is_err() {
                    warn!(%call, "the media worker takes no commands; its audio ends by its timeout");
                }
            }
            CallEnd::new(EndClass::Failed, "a fault of ours, see the log")
        }
    };
    record.ended = Some(clock::wall());
    record.ended_by = Some(end.class.name().to_owned());
    record.reason = Some(end.reason.clone());
    metric::call_ended(end.class.name());
    info!(%call, class = %end.class, reason = %end.reason, "call ended");
    // Queued before the call counts as gone: whoever waits for the last call may then close the store.
    keep(planes.store.calls().record(record), "the call's record");
    planes.registry.release(call);
}

/// What the caller is to be played, read from the disk if need be; `None` where the app is no player.
async fn playable(planes: &Planes, app: &App) -> Result<Option<Source>, Refusal> {
    match app {
        App::Tone(signal) => Ok(Some(Source::Tone(*signal))),
        App::Play(file) => {
            let (library, file) = (planes.player.library(), file.clone());
            let read = tokio::task::spawn_blocking(move || library.get(&file).map_err(|e| e.to_string())).await;
            match read.unwrap_or_else(|e| Err(e.to_string())) {
                Ok(pcm) => Ok(Some(Source::File(pcm))),
                Err(why) => Err(Refusal::new(480, "Temporarily Unavailable", why)),
            }
        }
        App::Echo | App::Agent(_) | App::Bridge(_) => Ok(None),
    }
}

async fn live(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    mailbox: mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
) -> CallEnd {
    let outcome = match planes.config.route(&invitation.number).cloned() {
        None => Err(Refusal::new(404, "Not Found", format!("no route for {:?}", invitation.number))),
        Some(app) => {
            record.app = app.to_string();
            keep(planes.store.calls().record(record.clone()), "the call's record");
            match &app {
                App::Bridge(target) => bridge::serve(planes, call, invitation, target, mailbox, record).await,
                _ => match Actor::answer(Arc::clone(planes), call, invitation, &app, mailbox, record).await {
                    Ok(actor) => Ok(actor.serve(record).await),
                    Err(refusal) => Err(refusal),
                },
            }
        }
    };
    match outcome {
        Ok(end) => end,
        Err(refusal) => {
            warn!(%call, code = refusal.code, why = %refusal.why, "call refused");
            let extra: &[(&str, &str)] = if refusal.retry { &[("Retry-After", RETRY_AFTER_S)] } else { &[] };
            told(planes.sip.reject(invitation.leg, refusal.code, refusal.phrase, extra).await);
            CallEnd::new(EndClass::Refused, format!("{} {}: {}", refusal.code, refusal.phrase, refusal.why))
        }
    }
}

/// Writes without waiting; a failure is logged, since nobody was promised this row.
pub(super) fn keep<T: Send + 'static>(commit: Commit<T>, what: &'static str) {
    tokio::spawn(async move {
        if let Err(error) = commit.await {
            warn!(%error, "{what} was not written");
        }
    });
}

/// The other side may have ended the dialog at the same moment; anything else is a fault of ours.
pub(super) fn told(outcome: Result<(), SipError>) {
    match outcome {
        Ok(()) | Err(SipError::Agent(AgentError::UnknownLeg(_)) | SipError::Closed) => {}
        Err(error) => warn!(%error, "signalling"),
    }
}

struct Actor {
    planes: Arc<Planes>,
    call: CallId,
    leg: LegId,
    media: MediaLeg,
    talk: Option<Talk>,
    /// What the caller is played, where nobody talks.
    seat: Option<Seat>,
    mailbox: mpsc::Receiver<CallEvent>,
    end: Option<CallEnd>,
    /// The dialog is over or its end has been sent.
    signalled: bool,
    /// No call lasts longer.
    latest_end: tokio::time::Instant,
}

impl Actor {
    /// Takes everything that the call needs, then sends 200.
    async fn answer(
        planes: Arc<Planes>,
        call: CallId,
        invitation: &Invitation,
        app: &App,
        mailbox: mpsc::Receiver<CallEvent>,
        record: &mut CallRecord,
    ) -> Result<Self, Refusal> {
        let source = playable(&planes, app).await?;
        let recording = recording::begin(&planes, call, &invitation.number);
        let offered = Offered { offer: invitation.offer.as_deref(), source: invitation.source };
        let (mut media, ends, sdp) = MediaLeg::open(&planes, call, app, offered, recording).map_err(Refusal::from)?;
        let unavailable = |why: String| Refusal::new(503, "Service Unavailable", why);
        let (mut talk, mut seat) = (None, None);
        match (app, source, ends) {
            (App::Agent(name), _, Some(ends)) => {
                let recorded = media.is_recorded();
                talk = Some(Talk::begin(&planes, call, name, &invitation.from, recorded, ends).map_err(unavailable)?);
                if planes.config.asks_consent(name) {
                    media.consent_to_recording(false);
                }
            }
            (_, Some(source), Some(ends)) => {
                seat = Some(planes.player.seat(call, source, ends).map_err(|e| unavailable(e.to_string()))?);
            }
            _ => {}
        }
        let latest_end = tokio::time::Instant::now() + CALL_MAX;
        if let Some(talk) = talk.as_ref().filter(|talk| !talk.builds.is_empty()) {
            talk.catch_up(&planes);
        }
        let leg = invitation.leg;
        let mut actor = Self { planes, call, leg, media, talk, seat, mailbox, end: None, signalled: false, latest_end };
        actor.media.start(&actor.planes).map_err(|why| Refusal::new(503, "Service Unavailable", why))?;
        let accepted = actor.planes.sip.accept(actor.leg, sdp).await;
        if accepted.is_ok() {
            actor.media.handle_answer();
            record.answered = Some(clock::wall());
        }
        // A caller who gave up meanwhile is in the mailbox already.
        told(accepted);
        actor.tell_hold();
        record.conversation_id = actor.talk.as_ref().map(|t| t.conversation.clone());
        actor.planes.registry.answered(call, &record.app, record.conversation_id.clone());
        keep(actor.planes.store.calls().record(record.clone()), "the call's record");
        Ok(actor)
    }

    async fn serve(mut self, record: &mut CallRecord) -> CallEnd {
        while self.end.is_none() {
            self.step().await;
        }
        self.tell(CallInput::Over);
        let end = self.end.take().unwrap_or_else(|| CallEnd::new(EndClass::Failed, "ended without a reason"));
        if !self.signalled {
            told(self.planes.sip.hang_up(self.leg, Some(&end.reason)).await);
        }
        record.media = self.close_media().await.map(|stats| media_json(&stats));
        let planes = Arc::clone(&self.planes);
        if let Some(talk) = &self.talk {
            let conversation = Conversation {
                id: talk.conversation.clone(),
                call_id: Some(self.call.to_string()),
                agent: record.app.clone(),
                started: record.started,
                ended: Some(clock::wall()),
            };
            keep(planes.store.conversations().record(conversation), "the conversation's end");
        }
        end
    }

    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self) {
        let Some(talk) = &mut self.talk else {
            match tokio::time::timeout_at(self.latest_end, self.mailbox.recv()).await {
                Ok(event) => self.handle_mail(event).await,
                Err(_) => self.end = Some(too_long()),
            }
            return;
        };
        let due = talk.machine.poll_timeout().map(|at| at.since(clock::monotonic()));
        let input = tokio::select! {
            biased;
            event = self.mailbox.recv() => {
                self.handle_mail(event).await;
                return;
            }
            () = tokio::time::sleep_until(self.latest_end) => {
                self.end = Some(too_long());
                return;
            }
            Some(event) = talk.speech.recv() => speech_input(self.call, event),
            Some(answer) = talk.answered.recv() => match answer {
                Answer::Input(input) => Some(input),
                Answer::Refused(why) => {
                    talk.handed_over(None);
                    Some(CallInput::BuildRefused(why))
                }
                Answer::Submitted(build) => {
                    self.adopt(build);
                    return;
                }
            },
            update = talk.updates.recv() => match update {
                Ok(update) if talk.builds.contains(&update.build_id) => Some(CallInput::Build(update)),
                Ok(update) => {
                    talk.hold(update);
                    None
                }
                Err(error) => {
                    warn!(call = %self.call, %error, "news of builds were missed and are looked up");
                    talk.catch_up(&self.planes);
                    None
                }
            },
            () = sleep_for(due) => Some(CallInput::Timeout),
        };
        if let Some(input) = input {
            self.tell(input);
        }
    }

    async fn handle_mail(&mut self, event: Option<CallEvent>) {
        let Some(event) = event else {
            self.end = Some(CallEnd::new(EndClass::Failed, "the call could not keep up with its events"));
            return;
        };
        match event {
            CallEvent::Sip(event) => self.handle_sip(event).await,
            CallEvent::Media(event) => self.handle_media(event),
            // Who asked may be gone.
            CallEvent::PauseRecording { pausing, done } => {
                let _ = done.send(self.media.pause_recording(pausing));
            }
            CallEvent::Drain if self.talk.is_some() => self.tell(CallInput::Drain),
            CallEvent::Drain => self.end = Some(CallEnd::new(EndClass::Drained, "the service is stopping")),
        }
    }

    async fn handle_sip(&mut self, event: SipEvent) {
        match event {
            SipEvent::Confirmed { answer, .. } => match self.media.confirm(&self.planes, answer.as_deref()) {
                Ok(first) => {
                    self.tell_hold();
                    if first {
                        self.tell(CallInput::Confirmed);
                        self.play();
                    }
                }
                Err(why) => self.end = Some(CallEnd::new(EndClass::Failed, why)),
            },
            SipEvent::Cancelled { .. } => {
                self.signalled = true;
                self.end = Some(CallEnd::new(EndClass::Cancelled, "the caller gave up before the answer"));
            }
            SipEvent::Ended { by, reason, .. } => {
                self.signalled = true;
                self.end = Some(match by {
                    EndedBy::Remote => CallEnd::new(EndClass::CallerHungUp, reason.unwrap_or_else(|| "BYE".to_owned())),
                    EndedBy::Local => CallEnd::new(EndClass::AgentHungUp, reason.unwrap_or_default()),
                    EndedBy::Timeout | EndedBy::TransportError => CallEnd::new(
                        EndClass::SignallingTimeout,
                        reason.unwrap_or_else(|| "the caller's phone stopped answering".to_owned()),
                    ),
                });
            }
            SipEvent::Reinvite { unchanged: true, .. } => told(self.planes.sip.refresh(self.leg).await),
            SipEvent::Reinvite { offer, .. } => match self.media.renegotiate(&self.planes, offer.as_deref()) {
                Ok(sdp) => {
                    told(self.planes.sip.answer_reinvite(self.leg, sdp).await);
                    self.tell_hold();
                }
                // The session goes on as it was (RFC 3261 section 14.2).
                Err(_) => told(self.planes.sip.reject(self.leg, 488, "Not Acceptable Here", &[]).await),
            },
            SipEvent::InfoDigit { digit, .. } => self.tell(CallInput::Digit(digit, self.media.audio_time())),
            SipEvent::Reinvited { answer, .. } if !answer.is_empty() => {
                self.media.take_answer(&self.planes, &answer);
                self.tell_hold();
            }
            // Nobody here calls on others' behalf.
            SipEvent::Refer { leg, .. } => told(self.planes.sip.refuse_refer(leg, 603).await),
            SipEvent::Incoming { .. }
            | SipEvent::EarlyAnswer { .. }
            | SipEvent::Progress { .. }
            | SipEvent::Accepted { .. }
            | SipEvent::Refused { .. }
            | SipEvent::Reinvited { .. }
            | SipEvent::ReinviteOffered { .. }
            | SipEvent::ReinviteRefused { .. }
            | SipEvent::ReferProgress { .. } => {}
        }
    }

    fn handle_media(&mut self, event: MediaEvent) {
        let input = match event {
            MediaEvent::Digit { digit, at, .. } => CallInput::Digit(digit, at),
            MediaEvent::FirstAudible { utterance, at, .. } => CallInput::FirstAudible(utterance, at),
            MediaEvent::Ducked { utterance, at, .. } => CallInput::Ducked(utterance, at),
            MediaEvent::Played { end: true, .. } if self.seat.is_some() => {
                self.end = Some(CallEnd::new(EndClass::AgentHungUp, "it was played to its end"));
                return;
            }
            MediaEvent::Played { utterance, samples, end, .. } => CallInput::Played { utterance, samples, end },
            MediaEvent::Flushed { generation, utterance, samples, last_audible, .. } => {
                CallInput::Flushed { generation, utterance, samples, last_audible }
            }
            MediaEvent::FirstPacket { .. } => CallInput::FirstPacket,
            MediaEvent::MediaTimeout { .. } if self.talk.is_some() => CallInput::MediaTimeout,
            MediaEvent::MediaTimeout { .. } => {
                self.end = Some(CallEnd::new(EndClass::MediaTimeout, "no audio from the caller for 60 s"));
                return;
            }
            MediaEvent::Refused { .. } => {
                self.media.forget();
                self.end = Some(CallEnd::new(EndClass::Failed, "the media worker has no free place"));
                return;
            }
            MediaEvent::Closed { cause, stats, .. } => {
                self.media.closed(stats);
                let why = match cause {
                    CloseCause::Asked => return,
                    CloseCause::Shutdown => CallEnd::new(EndClass::Drained, "the media plane is stopping"),
                    CloseCause::Panicked => CallEnd::new(EndClass::Failed, "the call's audio chain failed"),
                };
                self.end.get_or_insert(why);
                return;
            }
            MediaEvent::Opened { .. }
            | MediaEvent::Quality { .. }
            | MediaEvent::Retired { .. }
            | MediaEvent::Rekeyed { .. } => return,
        };
        self.tell(input);
    }

    /// The caller is there to hear it.
    fn play(&mut self) {
        if let Some(Err(full)) = self.seat.as_mut().map(Seat::begin) {
            self.end = Some(CallEnd::new(EndClass::Failed, full.to_string()));
        }
    }

    /// The machine knows whether the caller listens.
    fn tell_hold(&mut self) {
        self.tell(CallInput::Held(self.media.held()));
    }

    /// Tells the machine and does what it wants.
    fn tell(&mut self, input: CallInput) {
        let Some(talk) = &mut self.talk else { return };
        talk.machine.handle(clock::monotonic(), input);
        while let Some(action) = talk.machine.poll_action() {
            match action {
                CallAction::Listen(expectation) => talk.lane.listen(expectation),
                CallAction::Finalize => talk.lane.finalize(),
                CallAction::Forget => talk.lane.forget(),
                CallAction::Speak { utterance, generation, text } => talk.lane.speak(utterance, generation, text),
                CallAction::Fill { utterance, generation, text } => talk.lane.speak_ahead(utterance, generation, text),
                CallAction::Record(allowed) => self.media.consent_to_recording(allowed),
                CallAction::Withhold(withheld) => self.media.withhold_recording(withheld),
                CallAction::Keep(kept) => talk.keep(&self.planes, kept.as_deref()),
                CallAction::Prepare(text) => talk.lane.prepare(text),
                CallAction::Duck(ducked) => duck(&self.planes, self.call, ducked),
                CallAction::Flush(generation) => flush(&self.planes, self.call, &talk.lane, generation),
                CallAction::Submit(manifest) => talk.submit(&self.planes, *manifest),
                CallAction::LookUp(subject) => talk.look_up(&self.planes, subject),
                CallAction::CallBack { number, name } => talk.call_back(&self.planes, number, name),
                CallAction::Note(said) => talk.note(&self.planes, said),
                CallAction::Measure(mark, took) => measure(&self.planes.marks, mark, took),
                CallAction::HangUp(end) => self.end = Some(end),
            }
        }
    }

    /// A build of this caller has its id: news that came before it are told now.
    fn adopt(&mut self, build: String) {
        let Some(talk) = &mut self.talk else { return };
        let ours = talk.handed_over(Some(&build));
        self.tell(CallInput::BuildAccepted(build));
        for update in ours {
            self.tell(CallInput::Build(update));
        }
    }

    async fn close_media(&mut self) -> Option<SessionStats> {
        if let Some(stats) = self.media.stats() {
            return Some(stats);
        }
        self.media.close(&self.planes);
        let deadline = tokio::time::Instant::now() + CLOSE_WAIT;
        while let Ok(Some(event)) = tokio::time::timeout_at(deadline, self.mailbox.recv()).await {
            if let CallEvent::Media(MediaEvent::Closed { stats, .. }) = event {
                self.media.closed(stats);
                return Some(stats);
            }
        }
        warn!(call = %self.call, "the media worker did not give the call back");
        None
    }
}

fn duck(planes: &Planes, call: CallId, ducked: bool) {
    if planes.media.send(MediaCommand::Duck { call, ducked }).is_err() {
        warn!(%call, "the media worker takes no commands; the agent neither falls silent nor goes on");
    }
}

fn flush(planes: &Planes, call: CallId, lane: &SpeechLane, generation: Generation) {
    lane.flush(generation);
    if planes.media.send(MediaCommand::FlushPlayout { call, generation }).is_err() {
        warn!(%call, "the media worker takes no commands; the agent talks on");
    }
}

fn measure(marks: &Marks, mark: Mark, took: Duration) {
    match mark {
        Mark::TurnResponse => &marks.turn_response,
        Mark::Endpoint => &marks.endpoint,
        Mark::AsrFinal => &marks.asr_final,
        Mark::Think => &marks.think,
        Mark::TtsFirstAudio => &marks.tts_first_audio,
        Mark::Playout => &marks.playout,
        Mark::BargeInDuck => &marks.barge_in_duck,
        Mark::BargeInAside => &marks.barge_in_aside,
        Mark::BargeInStop => &marks.barge_in_stop,
        Mark::Greeting => &marks.greeting,
    }
    .record(took);
}

/// `None`: nothing that the conversation could do about it.
fn speech_input(call: CallId, event: SpeechEvent) -> Option<CallInput> {
    Some(match event {
        SpeechEvent::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick, sound } => {
            CallInput::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick, sound }
        }
        SpeechEvent::Partial { text, .. } => CallInput::Partial(text),
        SpeechEvent::EndOfTurn { at, probability } => CallInput::EndOfTurn { at, probability },
        SpeechEvent::Final { text, confidence, alternatives, ended, .. } => {
            CallInput::Final { text, confidence, alternatives, ended }
        }
        SpeechEvent::SpeakStarted { utterance, .. } => CallInput::SpeakStarted(utterance),
        SpeechEvent::Spoken { utterance, words, .. } => CallInput::Spoken { utterance, words },
        SpeechEvent::Failed { part, what } => {
            // No reason to hang up: what was not understood is asked again, keys work, and a voice that stays away is
            // missed by the machine.
            warn!(%call, part = part.name(), what, "speech failed for this turn");
            match part {
                Part::Asr => CallInput::Failed(Failure::Hearing),
                Part::Vad | Part::Tts | Part::EndOfTurn => return None,
            }
        }
        SpeechEvent::Onset { at, .. } => CallInput::Onset(at),
    })
}

fn too_long() -> CallEnd {
    CallEnd::new(EndClass::TooLong, format!("no call lasts longer than {} hours", CALL_MAX.as_secs() / 3600))
}

pub(super) async fn sleep_for(due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep(due).await,
        None => std::future::pending().await,
    }
}

pub(super) fn media_json(stats: &SessionStats) -> serde_json::Value {
    serde_json::json!({
        "packets_received": stats.packets_received,
        "packets_sent": stats.packets_sent,
        "lost": stats.lost,
        "late": stats.late,
        "forged": stats.forged,
        "garbage": stats.garbage,
        "digits": stats.digits,
        "jitter_ms": stats.jitter.as_secs_f64() * 1e3,
        "round_trip_ms": stats.quality.and_then(|q| q.round_trip).map(|t| t.as_secs_f64() * 1e3),
        "remote_loss": stats.quality.map(|q| q.remote_loss),
        "mos": stats.mos,
        "rtcp_received": stats.rtcp_received,
        "unbridged": stats.unbridged,
        "srtp_failed": stats.srtp_failed,
    })
}
