//! The task that owns one call: it performs what the machine decides and tells it what happened.
//!
//! One tokio task per call, from the INVITE to the written record. Invariants: every offered call is accepted or
//! refused; whatever was taken (port, media session, speech lane, seat in the registry) is given back on every path out,
//! a panic included; no call outlasts `limits::CALL_MAX`; the record is written once more at the end, with class and reason. Deliberately absent: decisions about the
//! conversation (`machine`), SIP messages (`sip::agent`), audio (`media`, `speech`). What is ordered from outside is in `orders`,
//! the wait for an answer by hand in `offered`, the way from an INVITE to who answers it in `routing`; calls that we place begin in `outgoing`.

mod group;
mod offered;
mod orders;
mod relay;
mod routing;
mod signals;
mod taking;

use self::relay::{duck, flush, measure, speech_input};
use super::caller_fields;
use super::caller_id;
use super::caps::Caps;
use super::consultation::Taking;
use super::exchange::{CallAction, CallInput};
use super::lease::Ports;
use super::lines::Lines;
use super::media_leg::{MediaLeg, NoMedia, Offered};
use super::message::{self, MessageTaker};
use super::operator::Operator;
use super::player::{Player, Seat, Source};
use super::record::{CallEnd, EndClass};
use super::recording;
use super::registry::{CallEvent, Registry};
use super::room::Rooms;
use super::steer::Ordered;
use super::talk::{Answer, Party, Talk};
use super::trunks::Trunks;
use crate::config::{App, Config, Current, Route};
use crate::id::{CallId, Generation};
use crate::limits::CALL_MAX;
use crate::media::recorder::Recorder;
use crate::media::{CloseCause, MediaCommand, MediaEvent, MediaPlane, SessionStats, SpeechEnds};
use crate::os::clock;
use crate::pipeline::Pipeline;
use crate::sip::agent::{AgentError, LegId, SipEvent};
use crate::sip::peer::Peer;
use crate::sip::transport::SipError;
use crate::speech::{SpeechLane, SpeechPlane};
use crate::store::{CallRecord, Commit, Conversation, Direction, Store};
use crate::telemetry::marks::Marks;
use crate::telemetry::metric;
use crate::webrtc::{Identity, LinkEnd, Links, Relay};
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// The media worker answers a `Close` within a pass; this is for a worker that died.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// What a refused caller is told to wait.
const RETRY_AFTER_S: &str = "5";

/// The planes that every call works with.
#[derive(Debug)]
pub struct Planes {
    /// Configuration; [`Planes::config`] is what is in force.
    pub settings: Current,
    /// Signalling: SIP, and what comes by other doors.
    pub sip: Lines,
    /// Trunks and extensions.
    pub trunks: Arc<Trunks>,
    /// What of the trunks is in use.
    pub caps: Caps,
    /// Ears and mouth. Dropped before the media plane, whose bells it listens to.
    pub speech: SpeechPlane,
    /// Audio on the wire.
    pub media: MediaPlane,
    /// Tones and files for callers.
    pub player: Player,
    /// Where calls hear each other.
    pub rooms: Rooms,
    /// RTP ports.
    pub ports: Ports,
    /// Our certificate for DTLS.
    pub identity: Identity,
    /// What pages tell their browsers of a TURN server.
    pub relay: Option<Relay>,
    /// Handshakes and checks of calls that are up.
    pub links: Links,
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

impl Planes {
    /// What is in force now; a call that looks twice may see two.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.settings.get()
    }

    /// The agent whose voice speaks where nobody talks.
    pub(super) fn first_agent(&self) -> String {
        self.config().agents.first().map_or_else(String::new, |agent| agent.name.clone())
    }
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
    /// Whose call it is.
    pub identity: Peer,
    /// P-, X- and other fields that say more about the caller and the call.
    pub headers: Vec<(String, String)>,
    /// Those of them that agents, records and events see; found when the call begins.
    pub fields: Vec<(String, String)>,
    /// SDP offer; `None` asks for ours.
    pub offer: Option<Vec<u8>>,
}

/// A refusal before the answer.
pub(super) struct Refusal {
    code: u16,
    phrase: &'static str,
    retry: bool,
    pub(super) why: String,
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

/// Gives a call's seat back whatever becomes of its task.
#[derive(Debug)]
pub struct Admitted {
    /// Where it sits.
    pub planes: Arc<Planes>,
    /// The call.
    pub call: CallId,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.planes.registry.release(self.call);
    }
}

/// Runs one call to its end.
pub async fn run(planes: Arc<Planes>, call: CallId, mut invitation: Invitation, mailbox: mpsc::Receiver<CallEvent>) {
    let trunk = invitation.identity.trunk().and_then(|name| planes.trunks.trunk(name));
    caller_id::receive(&mut invitation, trunk.is_some_and(|trunk| trunk.trusts_identity));
    let withheld = caller_id::withheld(&invitation.from, &invitation.headers);
    invitation.fields = caller_fields::seen(&invitation.headers, &planes.config().sip.header_fields, withheld);
    let mut record = CallRecord {
        caller: invitation.from.clone(),
        callee: invitation.number.clone(),
        source: invitation.source.to_string(),
        trunk: invitation.identity.trunk().map(ToString::to_string),
        details: Some(details(&invitation)),
        ..CallRecord::begun(call.to_string(), Direction::Inbound, clock::wall())
    };
    super::told::offered(call, &invitation);
    let end = survive(&planes, call, routing::live(&planes, call, &invitation, mailbox, &mut record)).await;
    conclude(&planes, call, record, end);
}

/// What the record keeps of an INVITE besides.
fn details(invitation: &Invitation) -> serde_json::Value {
    let mut details = serde_json::json!({"sip_call_ids": [invitation.sip_call_id]});
    if !invitation.fields.is_empty() {
        let fields = invitation.fields.iter().map(|(name, value)| serde_json::json!({"name": name, "value": value}));
        details["headers"] = fields.collect();
    }
    details
}

/// One panic ends one call, and properly: the caller is told, the session closed, the record written.
pub(super) async fn survive(planes: &Planes, call: CallId, life: impl Future<Output = CallEnd>) -> CallEnd {
    match AssertUnwindSafe(life).catch_unwind().await {
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
    }
}

/// Writes the record of a call that is over, and gives its seat back.
pub(super) fn conclude(planes: &Planes, call: CallId, mut record: CallRecord, end: CallEnd) {
    record.ended = Some(clock::wall());
    record.ended_by = Some(end.class.name().to_owned());
    record.cause = Some(end.q850());
    record.sip_code = end.sip_code;
    super::told::over(call, &record, &end);
    record.reason = Some(end.reason);
    metric::call_ended(end.class.name());
    // Queued before the call counts as gone: whoever waits for the last call may then close the store.
    planes.store.calls().keep(record);
    planes.registry.release(call);
}

/// What the caller is to be played, read from the disk if need be; `None` where the app is no player.
pub(super) async fn playable(planes: &Planes, app: &App) -> Result<Option<Source>, Refusal> {
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
        App::Echo | App::Agent(_) | App::Bridge(_) | App::Manual | App::Message(_) | App::Group(_) => Ok(None),
    }
}

/// Writes down under which Call-ID the messages of another leg of the call are found.
pub(super) async fn note_leg(planes: &Planes, leg: LegId, record: &mut CallRecord) {
    let Ok(Some(id)) = planes.sip.with(move |agent, _| agent.call_id(leg)).await else { return };
    let details = record.details.get_or_insert_with(|| serde_json::json!({}));
    match details.get_mut("sip_call_ids").and_then(serde_json::Value::as_array_mut) {
        Some(ids) => ids.push(id.into()),
        None => details["sip_call_ids"] = serde_json::json!([id]),
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

/// Who speaks to the other side and hears it.
#[derive(Default)]
pub(super) struct Voices {
    talk: Option<Talk>,
    /// What is said by order, where nobody talks.
    operator: Option<Operator>,
    /// What the caller is played, where nobody talks.
    seat: Option<Seat>,
    /// Takes a message after this greeting.
    taker: Option<(String, MessageTaker)>,
}

impl Voices {
    /// Gives the rings to whom the app says. Error: for the log and the record.
    pub(super) fn begin(
        planes: &Planes,
        call: CallId,
        (app, source): (&App, Option<Source>),
        party: &Party<'_>,
        recorded: bool,
        ends: Option<SpeechEnds>,
    ) -> Result<Self, String> {
        let mut voices = Self::default();
        match (app, source, ends) {
            (App::Agent(name), _, Some(ends)) => {
                voices.talk = Some(Talk::begin(planes, call, name, party, recorded, ends)?);
            }
            (App::Manual | App::Message(_), _, Some(ends)) => {
                let agent = planes.first_agent();
                voices.operator = Some(Operator::begin(planes, call, &agent, ends, Generation(0))?);
                if let App::Message(greeting) = app {
                    let greeting = greeting.clone().unwrap_or_else(|| message::GREETING.to_owned());
                    voices.taker = Some((greeting, MessageTaker::default()));
                }
            }
            (_, Some(source), Some(ends)) => {
                voices.seat = Some(planes.player.seat(call, source, ends).map_err(|e| e.to_string())?);
            }
            _ => {}
        }
        Ok(voices)
    }
}

/// Nothing is recorded before the other side has agreed, where it is to be asked.
fn mind_consent(planes: &Planes, app: &App, media: &mut MediaLeg) {
    if matches!(app, App::Agent(name) if planes.config().asks_consent(name)) {
        media.consent_to_recording(false);
    }
}

/// Everything that a call needs to be answered with.
struct Prepared {
    media: MediaLeg,
    voices: Voices,
    sdp: Vec<u8>,
}

impl Prepared {
    /// Takes it. Error: the call cannot be answered by this app.
    async fn of(
        planes: &Arc<Planes>,
        call: CallId,
        invitation: &Invitation,
        app: &App,
        route: &Route,
    ) -> Result<Self, Refusal> {
        let unavailable = |why: String| Refusal::new(503, "Service Unavailable", why);
        let source = playable(planes, app).await?;
        // A message is to be heard again.
        let recording = recording::begin(planes, call, route.record || matches!(app, App::Message(_)));
        let trunk = invitation.identity.trunk().and_then(|name| planes.trunks.trunk(name));
        let offered = Offered {
            leg: invitation.leg,
            offer: invitation.offer.as_deref(),
            source: invitation.source,
            trunk: trunk.as_ref(),
        };
        let (mut media, ends, sdp) =
            MediaLeg::open(planes, call, app, offered, recording).await.map_err(Refusal::from)?;
        let recorded = media.is_recorded();
        let party = Party {
            from: &invitation.from,
            peer: Some(&invitation.identity),
            fields: &invitation.fields,
            operator: route.operator.as_deref(),
        };
        let voices = Voices::begin(planes, call, (app, source), &party, recorded, ends).map_err(unavailable)?;
        mind_consent(planes, app, &mut media);
        media.start(planes).map_err(unavailable)?;
        Ok(Self { media, voices, sdp })
    }
}

/// One call that has been answered, or is about to be.
pub(super) struct Actor {
    planes: Arc<Planes>,
    call: CallId,
    leg: LegId,
    media: MediaLeg,
    voices: Voices,
    /// The room that it is in.
    stay: Option<orders::Stay>,
    mailbox: mpsc::Receiver<CallEvent>,
    end: Option<CallEnd>,
    /// The dialog is over or its end has been sent.
    signalled: bool,
    /// We have called.
    outgoing: bool,
    /// We hold the other side.
    holds: bool,
    /// Somebody else is to take the other side's place.
    taking: Option<Taking>,
    /// Orders that the other side has to answer.
    waiting: Vec<(orders::Wait, Ordered)>,
    /// Events told of the call so far.
    events: u32,
    /// Utterances that were ordered of a talking agent's call.
    ordered: u32,
    /// No call lasts longer.
    latest_end: tokio::time::Instant,
}

impl Actor {
    /// Sends 200 with what was prepared.
    async fn answer(
        planes: &Arc<Planes>,
        call: CallId,
        leg: LegId,
        prepared: Prepared,
        mailbox: mpsc::Receiver<CallEvent>,
        record: &mut CallRecord,
    ) -> Self {
        let Prepared { media, voices, sdp } = prepared;
        let mut actor = Self::new(Arc::clone(planes), call, leg, media, voices, mailbox);
        let accepted = actor.planes.sip.accept(leg, sdp).await;
        if accepted.is_ok() {
            actor.note_answer(record);
        }
        // A caller who gave up meanwhile is in the mailbox already.
        told(accepted);
        actor.begin(record);
        actor
    }

    /// An answered call that we placed. Its session has begun.
    pub(super) fn placed(
        planes: Arc<Planes>,
        call: CallId,
        (leg, media, voices): (LegId, MediaLeg, Voices),
        mailbox: mpsc::Receiver<CallEvent>,
        app: &App,
        record: &mut CallRecord,
    ) -> Self {
        let mut actor = Self::new(planes, call, leg, media, voices, mailbox);
        actor.outgoing = true;
        mind_consent(&actor.planes, app, &mut actor.media);
        actor.note_answer(record);
        actor.begin(record);
        // Our ACK has been sent.
        actor.tell(CallInput::Confirmed);
        actor.play();
        actor
    }

    fn new(
        planes: Arc<Planes>,
        call: CallId,
        leg: LegId,
        media: MediaLeg,
        voices: Voices,
        mailbox: mpsc::Receiver<CallEvent>,
    ) -> Self {
        Self {
            planes,
            call,
            leg,
            media,
            voices,
            stay: None,
            mailbox,
            end: None,
            signalled: false,
            outgoing: false,
            holds: false,
            taking: None,
            waiting: Vec::new(),
            events: 0,
            ordered: 0,
            latest_end: tokio::time::Instant::now() + CALL_MAX,
        }
    }

    fn note_answer(&mut self, record: &mut CallRecord) {
        self.media.handle_answer();
        record.answered.get_or_insert_with(clock::wall);
    }

    /// The other side's audio came before the call was ours.
    pub(super) fn caller_sends(&mut self) {
        self.tell(CallInput::FirstPacket);
    }

    /// The call has been answered: everybody is told.
    fn begin(&mut self, record: &mut CallRecord) {
        if let Some(talk) = self.voices.talk.as_ref().filter(|talk| !talk.builds.is_empty()) {
            talk.catch_up(&self.planes);
        }
        self.tell_hold();
        record.conversation_id = self.voices.talk.as_ref().map(|t| t.conversation.clone());
        self.planes.registry.answered(self.call, &record.app, record.conversation_id.clone());
        keep(self.planes.store.calls().record(record.clone()), "the call's record");
    }

    pub(super) async fn serve(mut self, record: &mut CallRecord) -> CallEnd {
        while self.end.is_none() {
            self.step().await;
        }
        self.give_taking_up();
        self.tell(CallInput::Over);
        self.write_message(record).await;
        let end = self.end.take().unwrap_or_else(|| CallEnd::new(EndClass::Failed, "ended without a reason"));
        if !self.signalled {
            told(self.planes.sip.hang_up(self.leg, Some(&end.reason)).await);
        }
        // Who is left in the room hears of it now.
        self.stay = None;
        let media = close_media(&self.planes, self.call, &mut self.media, &mut self.mailbox).await;
        record.media = media.map(|stats| media_json(&stats));
        let planes = Arc::clone(&self.planes);
        if let Some(talk) = &self.voices.talk {
            let conversation = Conversation {
                id: talk.conversation.clone(),
                call_id: Some(self.call.to_string()),
                agent: record.app.clone(),
                started: record.started,
                ended: Some(clock::wall()),
            };
            planes.store.conversations().keep(conversation);
        }
        end
    }

    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self) {
        let Some(talk) = &mut self.voices.talk else { return self.step_without_talk().await };
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
            present = orders::present(&mut self.stay) => {
                self.handle_present(present).await;
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

    async fn step_without_talk(&mut self) {
        let taker = self.voices.taker.as_ref().and_then(|(_, taker)| taker.poll_timeout());
        let pause = self.voices.operator.as_ref().and_then(Operator::poll_timeout);
        let due = [taker, pause].into_iter().flatten().min().map(|at| at.since(clock::monotonic()));
        tokio::select! {
            biased;
            event = self.mailbox.recv() => self.handle_mail(event).await,
            () = tokio::time::sleep_until(self.latest_end) => self.end = Some(too_long()),
            present = orders::present(&mut self.stay) => self.handle_present(present).await,
            Some(event) = orders::heard(&mut self.voices.operator) => self.handle_heard(event),
            () = sleep_for(due) => {}
        }
        if let Some(operator) = &mut self.voices.operator {
            operator.handle_timeout(clock::monotonic());
        }
        if self.voices.taker.as_ref().is_some_and(|(_, taker)| taker.is_over(clock::monotonic())) {
            self.end.get_or_insert_with(|| CallEnd::new(EndClass::AgentHungUp, "the message is over"));
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
            CallEvent::Order(ordered) => self.handle_order(ordered).await,
            // A browser acknowledges our answer by that.
            CallEvent::Linked(_) if self.leg.is_elsewhere() => {
                self.handle_sip(SipEvent::Confirmed { leg: self.leg, answer: None }).await;
            }
            CallEvent::Linked(_) => {}
            CallEvent::Unlinked(_, end) => self.end = Some(unlinked(&end, self.outgoing)),
            CallEvent::Drain if self.voices.talk.is_some() => self.tell(CallInput::Drain),
            CallEvent::Drain => self.end = Some(CallEnd::new(EndClass::Drained, "the service is stopping")),
        }
    }

    fn handle_media(&mut self, event: MediaEvent) {
        let input = match event {
            MediaEvent::Digit { digit, at, .. } => {
                self.tell_digit(digit);
                CallInput::Digit(digit, at)
            }
            MediaEvent::FirstAudible { utterance, at, .. } => CallInput::FirstAudible(utterance, at),
            MediaEvent::Ducked { utterance, at, .. } => CallInput::Ducked(utterance, at),
            MediaEvent::Played { utterance, end: true, .. } if self.is_ordered(utterance) => {
                return self.tell_played(utterance);
            }
            MediaEvent::Played { end: true, .. } if self.voices.seat.is_some() => {
                self.end = Some(CallEnd::new(EndClass::AgentHungUp, "it was played to its end"));
                return;
            }
            MediaEvent::Played { utterance, samples, end, .. } => CallInput::Played { utterance, samples, end },
            MediaEvent::Flushed { generation, utterance, samples, last_audible, .. } => {
                CallInput::Flushed { generation, utterance, samples, last_audible }
            }
            MediaEvent::FirstPacket { .. } => CallInput::FirstPacket,
            MediaEvent::MediaTimeout { .. } if self.voices.talk.is_some() => CallInput::MediaTimeout,
            MediaEvent::MediaTimeout { .. } => {
                self.end = Some(CallEnd::new(EndClass::MediaTimeout, "no audio from the caller for too long"));
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
            MediaEvent::Quality { quality, .. } => return self.media.handle_quality(&quality),
            MediaEvent::Opened { .. } | MediaEvent::Retired { .. } | MediaEvent::Rekeyed { .. } => return,
        };
        self.tell(input);
    }

    /// The caller is there to hear it.
    fn play(&mut self) {
        self.ask_for_message();
        if let Some(Err(full)) = self.voices.seat.as_mut().map(Seat::begin) {
            self.end = Some(CallEnd::new(EndClass::Failed, full.to_string()));
        }
    }

    /// The machine knows whether the caller listens.
    fn tell_hold(&mut self) {
        self.tell(CallInput::Held(self.media.held()));
    }

    /// Tells the machine and does what it wants.
    fn tell(&mut self, input: CallInput) {
        let Some(talk) = &mut self.voices.talk else { return };
        talk.machine.set_behind(self.media.behind());
        talk.mind_lock(&self.planes);
        talk.machine.handle(clock::monotonic(), input);
        while let Some(action) = talk.machine.poll_action() {
            let lane = talk.lane.as_ref();
            // Without a lane the caller is with somebody else, and the machine says nothing.
            let with = |work: &dyn Fn(&SpeechLane)| lane.into_iter().for_each(work);
            match action {
                CallAction::Listen(expectation) => with(&|lane| lane.listen(expectation)),
                CallAction::Finalize => with(&SpeechLane::finalize),
                CallAction::Forget => with(&SpeechLane::forget),
                CallAction::Speak { utterance, generation, text } => {
                    with(&|lane| lane.speak(utterance, generation, text.clone()));
                }
                CallAction::Fill { utterance, generation, text } => {
                    with(&|lane| lane.speak_ahead(utterance, generation, text.clone()));
                }
                CallAction::Record(allowed) => self.media.consent_to_recording(allowed),
                CallAction::Withhold(withheld) => self.media.withhold_recording(withheld),
                CallAction::Keep(kept) => talk.keep(&self.planes, kept.as_deref()),
                CallAction::Prepare(text) => with(&|lane| lane.prepare(text.clone())),
                CallAction::Duck(ducked) => duck(&self.planes, self.call, ducked),
                CallAction::Flush(generation) => flush(&self.planes, self.call, lane, generation),
                CallAction::Submit(manifest) => talk.submit(&self.planes, self.call, *manifest),
                CallAction::LookUp { run, subject } => talk.look_up(&self.planes, run, subject),
                CallAction::Cancel(run) => talk.cancel(run),
                CallAction::PutThrough => talk.put_through(&self.planes, self.call),
                CallAction::Change(change) => talk.change(&self.planes, change),
                CallAction::ReturnCall(wanted) => talk.return_call(&self.planes, self.call, wanted),
                CallAction::Answer { question, value, follow_up } => {
                    talk.answer(&self.planes, question, value, follow_up);
                }
                CallAction::Told(build) => talk.told(&self.planes, &build),
                CallAction::SetUpCode(app) => talk.set_up_code(&self.planes, app),
                CallAction::PinTried(right) => talk.pin_tried(&self.planes, right),
                CallAction::CallBack { number, name } => talk.call_back(&self.planes, number, name),
                CallAction::Note(said) => talk.note(&self.planes, said),
                CallAction::Measure(mark, took) => measure(&self.planes.marks, mark, took),
                CallAction::HangUp(end) => self.end = Some(end),
            }
        }
    }

    /// A build of this caller has its id: news that came before it are told now.
    fn adopt(&mut self, build: String) {
        let Some(talk) = &mut self.voices.talk else { return };
        let ours = talk.handed_over(Some(&build));
        self.tell(CallInput::BuildAccepted(build));
        for update in ours {
            self.tell(CallInput::Build(update));
        }
    }
}

/// Ends the audio of a call: what it came to.
pub(super) async fn close_media(
    planes: &Planes,
    call: CallId,
    media: &mut MediaLeg,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Option<SessionStats> {
    if let Some(stats) = media.stats() {
        return Some(stats);
    }
    media.close(planes);
    let deadline = tokio::time::Instant::now() + CLOSE_WAIT;
    while let Ok(Some(event)) = tokio::time::timeout_at(deadline, mailbox.recv()).await {
        if let CallEvent::Media(MediaEvent::Closed { stats, .. }) = event {
            media.closed(stats);
            return Some(stats);
        }
    }
    warn!(%call, "the media worker did not give the call back");
    None
}

/// How a call ended whose peer could not be reached, or has gone, beside its signalling.
pub(super) fn unlinked(end: &LinkEnd, outgoing: bool) -> CallEnd {
    let class = match end {
        LinkEnd::Closed if outgoing => EndClass::CalleeHungUp,
        LinkEnd::Closed => EndClass::CallerHungUp,
        LinkEnd::Silent | LinkEnd::NoHandshake => EndClass::MediaTimeout,
        LinkEnd::WrongCertificate => EndClass::Refused,
        LinkEnd::Broken(_) => EndClass::Failed,
    };
    CallEnd::new(class, end.to_string())
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
        "srtp_early": stats.srtp_early,
    })
}
