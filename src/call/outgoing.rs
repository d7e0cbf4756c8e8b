//! Calls that we place for ourselves: an agent, an app or whoever steers is on our end. Purpose: from a wish to an answered
//! call, or to a record that says why not. One tokio task per call. Invariants: every placed call ends with one record,
//! however it ends; what was taken is given back; a call to ourselves is not placed. Deliberately absent: the second leg of a
//! bridged call (`bridge`), what is talked (`actor`).

use super::actor::{
    Actor, Admitted, Planes, Voices, close_media, conclude, keep, media_json, note_leg, playable, survive, told,
    unlinked,
};
use super::bridge::place::{Destination, identity, identity_at, leads_back, our_identity, place_number, redirects};
use super::caller_fields;
use super::caller_id;
use super::caps::{Channel, OverCap};
use super::machine_detection::Verdict;
use super::manners::user_of;
use super::media_leg::{MediaLeg, NoMedia, preference_by};
use super::phones;
use super::pickup::{self, Newcomer};
use super::record::{CallEnd, EndClass};
use super::recording;
use super::registry::{CallEvent, CallState, LiveCall, NotAdmitted};
use super::steer::{Order, OrderError, Outcome};
use super::talk::Party;
use super::trunks::Way;
use crate::config::{App, BridgeTarget, Trunk, TrunkKind};
use crate::id::CallId;
use crate::limits::MEDIA_BUSY_MAX;
use crate::media::coders::SPEECH_RATE;
use crate::media::{MediaEvent, Role, SpeechEnds};
use crate::os::{clock, random};
use crate::rtp::Codec;
use crate::sip::agent::{EndedBy, LegId, Placement, SipEvent};
use crate::sip::dialog::HOPS;
use crate::store::{CallRecord, Direction, EventKind};
use crate::twilio::Placed;
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// A call that is to be placed.
#[derive(Clone, Debug)]
pub struct Wish {
    /// `sip:user@host[:port]`.
    pub to: String,
    /// Whom the other side sees calling: a URI or `"Name" <URI>`; our own address unless said.
    pub from: Option<String>,
    /// The caller for whom it is placed, From as written: name and number are passed on.
    pub on_behalf: Option<String>,
    /// What is on our end.
    pub app: App,
    /// How long it may ring.
    pub ringing: Duration,
    /// What to do where a machine answers; `None`: nobody listens whether one does.
    pub on_machine: Option<OnMachine>,
    /// The call is recorded, where `[recording]` is enabled.
    pub record: bool,
    /// The other side is not to see who calls (RFC 3323); whoever carries the call is.
    pub withheld: bool,
    /// Fields that the INVITE carries.
    pub headers: Vec<(String, String)>,
    /// Recorded with the call.
    pub details: Option<serde_json::Value>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            to: String::new(),
            from: None,
            on_behalf: None,
            app: App::Manual,
            ringing: Duration::from_secs(30),
            on_machine: None,
            record: false,
            withheld: false,
            headers: Vec::new(),
            details: None,
        }
    }
}

/// What becomes of a call that a machine answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnMachine {
    /// It goes on; an event has said who answered.
    GoOn,
    /// It ends.
    HangUp,
    /// It goes on after the beep.
    WaitForBeep,
}

/// Why a call is not placed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPlaced {
    /// There can be no such call: correct it.
    #[error("{0}")]
    Wrong(String),
    /// Retry later.
    #[error(transparent)]
    Full(#[from] NotAdmitted),
    /// A call of that id is there already.
    #[error("this call was placed already")]
    Twice,
    /// The trunk takes no more now: retry later.
    #[error(transparent)]
    Cap(#[from] OverCap),
}

/// Starts to place a call. `answered` hears once whether it was answered, or how it ended without.
///
/// # Errors
/// [`NotPlaced`]: nothing was begun.
pub fn start(
    planes: &Arc<Planes>,
    call: CallId,
    wish: Wish,
    answered: Option<oneshot::Sender<Result<(), CallEnd>>>,
) -> Result<LiveCall, NotPlaced> {
    if wish.to.contains(['{', '}']) {
        return Err(NotPlaced::Wrong(format!("{:?} is no address", wish.to)));
    }
    let target = BridgeTarget::parse(&wish.to).map_err(|_| {
        NotPlaced::Wrong(format!(
            "{:?} is no address to call: write sip:USER@HOST, trunk:NAME:NUMBER or extension:NUMBER",
            wish.to
        ))
    })?;
    let destination = Destination::of(&target, "").map_err(NotPlaced::Wrong)?;
    if let App::Bridge(_) | App::Group(_) | App::Message(_) = &wish.app {
        return Err(NotPlaced::Wrong(
            "a call is placed for an agent, a tone, a file, an echo or manual; to join two, bridge them".to_owned(),
        ));
    }
    if let App::Agent(name) = &wish.app
        && !planes.config().agents.iter().any(|agent| agent.name == *name)
    {
        return Err(NotPlaced::Wrong(format!("agent:{name} is not among [[agents]]")));
    }
    if planes.registry.find(call).is_some() {
        return Err(NotPlaced::Twice);
    }
    let live = LiveCall {
        call,
        from: wish.from.clone().unwrap_or_default(),
        withheld: wish.withheld,
        number: wish.to.clone(),
        started: clock::wall(),
        direction: Direction::Outbound,
        state: CallState::Calling,
        app: wish.app.to_string(),
        conversation_id: None,
    };
    let emergency = planes.config().numbers.is_emergency(&number_called(&wish.to));
    if emergency {
        warn!(%call, to = %wish.to, "AN EMERGENCY NUMBER IS CALLED");
        let data = json!({"to": wish.to, "from": wish.from});
        let events = planes.store.events();
        keep(events.append(EventKind::CallEmergency, &call.to_string(), "", clock::wall(), data), "an event");
    } else if planes.media.least_busy() > MEDIA_BUSY_MAX {
        return Err(NotAdmitted::Busy.into());
    }
    let channel = match &target {
        BridgeTarget::Trunk { name, .. } => {
            let trunk = planes.trunks.trunk(name);
            let trunk = trunk.ok_or_else(|| NotPlaced::Wrong(format!("{name} is not among [[trunks]]")))?;
            Some(planes.caps.outgoing(&trunk, clock::monotonic(), emergency)?)
        }
        BridgeTarget::Uri(_) | BridgeTarget::Extension(_) => None,
    };
    let mailbox = planes.registry.admit_outgoing(live.clone(), emergency)?;
    let planes = Arc::clone(planes);
    tokio::spawn(async move {
        let _admitted = Admitted { planes: Arc::clone(&planes), call };
        run(planes, call, wish, (destination, channel), mailbox, answered).await;
    });
    Ok(live)
}

/// The number of a target, as people would key it.
fn number_called(to: &str) -> String {
    match to.split_once(':') {
        Some(("trunk" | "extension", rest)) => rest.rsplit(':').next().unwrap_or_default().to_owned(),
        _ => user_of(&format!("<{to}>")),
    }
}

/// Where a call goes, and what it takes of the trunk there.
type Leads = (Destination, Option<Channel>);

type Told = Option<oneshot::Sender<Result<(), CallEnd>>>;

async fn run(
    planes: Arc<Planes>,
    call: CallId,
    wish: Wish,
    leads: Leads,
    mailbox: mpsc::Receiver<CallEvent>,
    mut answered: Told,
) {
    let trunk = wish.to.strip_prefix("trunk:").and_then(|rest| rest.split(':').next()).map(str::to_owned);
    let mut record = CallRecord {
        trunk,
        caller: wish.from.clone().unwrap_or_default(),
        callee: wish.to.clone(),
        app: wish.app.to_string(),
        details: wish.details.clone(),
        ..CallRecord::begun(call.to_string(), Direction::Outbound, clock::wall())
    };
    info!(%call, to = %wish.to, app = %wish.app, "a call is placed");
    let life = live(&planes, call, &wish, leads, mailbox, &mut record, &mut answered);
    let end = survive(&planes, call, life).await;
    if let Some(answered) = answered {
        // Who asked may be gone.
        let _ = answered.send(Err(end.clone()));
    }
    conclude(&planes, call, record, end);
}

fn failed(code: u16, why: impl Into<String>) -> CallEnd {
    CallEnd::new(EndClass::Failed, why.into()).with_code(code)
}

async fn live(
    planes: &Arc<Planes>,
    call: CallId,
    wish: &Wish,
    (destination, channel): Leads,
    mut mailbox: mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
    answered: &mut Told,
) -> CallEnd {
    // Read before anybody's phone rings.
    let source = match playable(planes, &wish.app).await {
        Ok(source) => source,
        Err(refusal) => return failed(480, refusal.why),
    };
    let way = match destination.resolve(Arc::clone(&planes.trunks)).await {
        Ok(way) => way,
        Err(refusal) => return failed(refusal.code, refusal.why),
    };
    let trunk = way.account.as_ref().and_then(|name| planes.trunks.trunk(name));
    let pages = way.pages.clone();
    let alone = pages.is_some() && way.hops.is_empty();
    let placed = match trunk {
        Some(trunk) if trunk.kind == TrunkKind::Twilio => {
            by_twilio(planes, call, wish, &way, (&trunk, channel), record)
        }
        _ if alone => Ok(by_pages(planes, call, wish, record)),
        trunk => by_sip(planes, call, wish, way, (trunk, channel), record).await,
    };
    let (mut leg, mut media) = match placed {
        Ok(placed) => placed,
        Err(end) => return end,
    };
    keep(planes.store.calls().record(record.clone()), "the call's record");
    let ringing = pages.map(|number| ring_pages(planes, call, &number, wish, leg, alone));
    let answer = ring(planes, call, leg, wish, ringing.as_ref(), &mut mailbox).await;
    match (ringing, &answer) {
        (Some(ringing), Ok(_)) => ringing.answered(),
        (ringing, _) => drop(ringing),
    }
    let answered_here = match answer {
        Ok(Taken::Here(answer)) => media.accept_answer(&answer),
        Ok(Taken::By(newcomer, by)) => {
            (leg, media) = (newcomer, *by);
            note_leg(planes, leg, record).await;
            Ok(())
        }
        Err(end) => return end,
    };
    // Whatever becomes of it: whoever carries it counts from here.
    record.answered = Some(clock::wall());
    let begun = answered_here.and_then(|()| {
        media.record(recording::begin(planes, call, wish.record));
        let role = if wish.app == App::Echo { Role::Echo } else { Role::Speech };
        let ends = media.prepare(role, SPEECH_RATE)?;
        media.start(planes).map_err(NoMedia::NoCapacity)?;
        // Our ACK has been sent already.
        media.confirm(planes, None).map_err(NoMedia::BadOffer)?;
        Ok(ends)
    });
    let mut sends = false;
    if begun.is_ok()
        && leg.is_elsewhere()
        && let Err(end) = reached(leg, &mut mailbox).await
    {
        media.close(planes);
        told(planes.sip.hang_up(leg, Some(&end.reason)).await);
        return end;
    }
    let ends = match (begun, wish.on_machine) {
        (Ok(Some(ends)), Some(on_machine)) => {
            planes.registry.is_now(call, CallState::Answered);
            match who_answers(planes, call, (leg, on_machine), ends, &mut media, &mut mailbox).await {
                Ok(found) => {
                    sends = found.sends;
                    Ok(Some(found.ends))
                }
                Err(end) => {
                    record.media = close_media(planes, call, &mut media, &mut mailbox).await.map(|s| media_json(&s));
                    return end;
                }
            }
        }
        (begun, _) => begun,
    };
    let recorded = media.is_recorded();
    let voices = ends.and_then(|ends| {
        let from = format!("<{}>", wish.to);
        // What was to be told of the call is known to its agent, too.
        let fields = caller_fields::seen(&wish.headers, &planes.config().sip.header_fields, false);
        let party = Party { from: &from, peer: None, fields: &fields, operator: None };
        let voices = Voices::begin(planes, call, (&wish.app, source), &party, recorded, ends);
        voices.map_err(NoMedia::NoCapacity)
    });
    let voices = match voices {
        Ok(voices) => voices,
        Err(error) => {
            let end = no_media(error);
            media.close(planes);
            told(planes.sip.hang_up(leg, Some(&end.reason)).await);
            return end;
        }
    };
    let mut actor = Actor::placed(Arc::clone(planes), call, (leg, media, voices), mailbox, &wish.app, record);
    if sends {
        actor.caller_sends();
    }
    if let Some(answered) = answered.take() {
        // Who asked may be gone.
        let _ = answered.send(Ok(()));
    }
    actor.serve(record).await
}

fn no_media(error: NoMedia) -> CallEnd {
    let (code, _, why) = error.refusal();
    failed(code, why)
}

/// Sends the INVITE: its leg, and the audio that was offered.
async fn by_sip(
    planes: &Arc<Planes>,
    call: CallId,
    wish: &Wish,
    way: Way,
    (trunk, channel): (Option<Trunk>, Option<Channel>),
    record: &mut CallRecord,
) -> Result<(LegId, MediaLeg), CallEnd> {
    let (local, public) = (planes.sip.local(), planes.config().sip.public_address);
    if let Some(hop) = way.hops.iter().find(|hop| leads_back(hop.address, local, public)) {
        return Err(failed(482, format!("{hop} is this daemon")));
    }
    let Some(address) = way.hops.first().map(|hop| hop.address) else { return Err(failed(502, "nowhere to go")) };
    record.source = address.to_string();
    let ours = preference_by(&planes.config(), trunk.as_ref());
    let mut media = MediaLeg::reserve(planes, call, address, ours.clone()).await.map_err(no_media)?;
    let host = media.local().address;
    let on_behalf = match &trunk {
        // What a trunk wants to see comes before what we are called elsewhere.
        Some(trunk) => Some(identity_at(wish.on_behalf.as_deref().unwrap_or("<sip:callwright@localhost>"), trunk)),
        None => wish.on_behalf.as_ref().map(|from| identity(from, host)),
    };
    let from = wish.from.clone().or(on_behalf).unwrap_or_else(|| our_identity(host));
    record.caller.clone_from(&from);
    let (from, identity) = caller_id::present(from, wish.withheld, trunk.as_ref());
    let headers = wish.headers.iter().cloned().chain(identity);
    keep(planes.store.calls().record(record.clone()), "the call's record");
    let placement = Placement {
        target: way.target,
        hops: way.hops,
        from,
        sdp: media.offer(ours.codecs()),
        max_forwards: HOPS,
        headers: headers.chain(way.routes.into_iter().map(|r| ("Route".to_owned(), r))).collect(),
        account: way.account,
        redirects: redirects(&planes.config(), trunk.as_ref(), &number_called(&wish.to)),
        others: way.others,
    };
    let adopting = Arc::clone(planes);
    let placed = planes.sip.place(placement, move |leg| {
        adopting.registry.join_leg(call, leg);
        channel.into_iter().for_each(|channel| adopting.registry.hold(leg, channel));
    });
    let leg = placed.await.map_err(|error| failed(503, error.to_string()))?;
    note_leg(planes, leg, record).await;
    Ok((leg, media))
}

/// Has Twilio call the number: its leg, and the audio that will come by a media stream.
fn by_twilio(
    planes: &Arc<Planes>,
    call: CallId,
    wish: &Wish,
    way: &Way,
    (trunk, channel): (&Trunk, Option<Channel>),
    record: &mut CallRecord,
) -> Result<(LegId, MediaLeg), CallEnd> {
    let to = place_number(&way.target);
    let from = wish.from.as_deref().map(user_of).or_else(|| trunk.from_user.clone());
    let from = from.ok_or_else(|| {
        failed(403, format!("which number is shown? Write from_user of trunk {}, or from of the call", trunk.name))
    })?;
    record.source = "twilio".to_owned();
    record.caller.clone_from(&from);
    let door = planes.sip.twilio();
    let leg = door.reserve();
    planes.registry.join_leg(call, leg);
    channel.into_iter().for_each(|channel| planes.registry.hold(leg, channel));
    let placed = MediaLeg::reserve_ring(planes, call, leg);
    let placed = placed.map_err(no_media).and_then(|mut media| {
        media.offer(&[Codec::Pcmu]);
        let placed = Placed { leg, to, from, ringing: wish.ringing };
        door.place(placed).map_err(|why| failed(503, why))?;
        Ok((leg, media))
    });
    if placed.is_err() {
        // It may be gone.
        let _ = door.hang_up(leg);
    }
    placed
}

/// A call that rings at pages alone: the leg in whose place one of them comes, and nothing to hear with yet.
fn by_pages(planes: &Planes, call: CallId, wish: &Wish, record: &mut CallRecord) -> (LegId, MediaLeg) {
    let leg = LegId::elsewhere(random::u64() >> 1);
    planes.registry.join_leg(call, leg);
    "browser".clone_into(&mut record.source);
    record.caller = seen_from(wish);
    (leg, MediaLeg::unplaced(call))
}

/// Whom pages see calling.
fn seen_from(wish: &Wish) -> String {
    let from = wish.on_behalf.clone().or_else(|| wish.from.clone());
    from.unwrap_or_else(|| our_identity(Ipv4Addr::LOCALHOST.into()))
}

/// Has the pages of an extension ring: in place of `leg`, beside telephones unless `alone`.
fn ring_pages(
    planes: &Arc<Planes>,
    call: CallId,
    number: &str,
    wish: &Wish,
    leg: LegId,
    alone: bool,
) -> phones::Ringing {
    let seen = phones::Call::new(call, number, &seen_from(wish), wish.withheld);
    info!(%call, number, alone, "pages ring");
    let ringing = planes.trunks.phones().ring(call, seen, leg, alone);
    if alone {
        phones::mind(planes, &ringing, leg);
        // Given back: the call is over.
        let _over = planes.registry.signal(SipEvent::Progress { leg, code: 180, answer: None, dialog: 0 });
    }
    ringing
}

/// A page has taken the call, and nothing is said before it can be heard there. Error: it never was.
async fn reached(leg: LegId, mailbox: &mut mpsc::Receiver<CallEvent>) -> Result<(), CallEnd> {
    loop {
        match mailbox.recv().await {
            Some(CallEvent::Linked(_)) => return Ok(()),
            // In time: who is not reached is given up.
            Some(CallEvent::Unlinked(_, end)) => return Err(unlinked(&end, true)),
            Some(CallEvent::Sip(SipEvent::Ended { leg: ended, reason, .. })) if ended == leg => {
                let reason = reason.unwrap_or_else(|| "whoever took the call hung up".to_owned());
                return Err(CallEnd::new(EndClass::CalleeHungUp, reason));
            }
            Some(CallEvent::Order(ordered)) => match &ordered.order {
                Order::HangUp { reason, .. } => {
                    let why = reason.clone().unwrap_or_else(|| "ended from outside".to_owned());
                    ordered.answer(Ok(Outcome::Done));
                    return Err(CallEnd::new(EndClass::OperatorHungUp, why));
                }
                _ => ordered.answer(Err(OrderError::Conflict("the call is just being taken".to_owned()))),
            },
            Some(CallEvent::Drain) => return Err(CallEnd::new(EndClass::Drained, "the service is stopping")),
            None => return Err(CallEnd::new(EndClass::Failed, "the call could not keep up with its events")),
            Some(CallEvent::Sip(_) | CallEvent::Media(_) | CallEvent::PauseRecording { .. }) => {}
        }
    }
}

/// Who has answered a call that was placed.
enum Taken {
    /// The telephone that rang, with this description.
    Here(Vec<u8>),
    /// Another one, whose INVITE was answered with this audio and has been acknowledged.
    By(LegId, Box<MediaLeg>),
}

/// Another telephone wants the call that rings: its audio, once it has acknowledged our answer.
async fn taken_by(
    planes: &Arc<Planes>,
    call: CallId,
    leg: LegId,
    newcomer: Newcomer,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Option<Result<Taken, CallEnd>> {
    let media = pickup::answer(planes, call, &newcomer).await?;
    pickup::silence(planes, leg).await;
    loop {
        match mailbox.recv().await {
            Some(CallEvent::Sip(SipEvent::Confirmed { leg, .. })) if leg == newcomer.leg => {
                return Some(Ok(Taken::By(leg, Box::new(media))));
            }
            // Also when no ACK comes.
            Some(CallEvent::Sip(SipEvent::Ended { leg, reason, .. })) if leg == newcomer.leg => {
                let reason = reason.unwrap_or_else(|| "whoever took the call hung up".to_owned());
                return Some(Err(CallEnd::new(EndClass::CalleeHungUp, reason)));
            }
            Some(CallEvent::Order(ordered)) => {
                ordered.answer(Err(OrderError::Conflict("the call is just being taken".to_owned())));
            }
            Some(CallEvent::Drain) => {
                let end = CallEnd::new(EndClass::Drained, "the service is stopping");
                return Some(Err(give_up(planes, newcomer.leg, mailbox, end).await));
            }
            Some(_) => {}
            None => {
                told(planes.sip.hang_up(newcomer.leg, None).await);
                return Some(Err(CallEnd::new(EndClass::Failed, "the call could not keep up with its events")));
            }
        }
    }
}

/// Waits for an answer. Error: how the call ended without one.
async fn ring(
    planes: &Arc<Planes>,
    call: CallId,
    leg: LegId,
    wish: &Wish,
    pages: Option<&phones::Ringing>,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Result<Taken, CallEnd> {
    let latest = tokio::time::Instant::now() + wish.ringing;
    let mut rung = false;
    loop {
        let Ok(event) = tokio::time::timeout_at(latest, mailbox.recv()).await else {
            let why = format!("nobody answered within {} s", wish.ringing.as_secs());
            return Err(give_up(planes, leg, mailbox, CallEnd::new(EndClass::NoAnswer, why)).await);
        };
        match event {
            Some(CallEvent::Sip(SipEvent::Incoming { leg: newcomer, from, source, identity, offer, .. })) => {
                let newcomer = Newcomer { leg: newcomer, from, source, identity, offer };
                if let Some(taken) = taken_by(planes, call, leg, newcomer, mailbox).await {
                    return taken;
                }
            }
            // Of somebody who wanted to take the call, and has given up.
            Some(CallEvent::Sip(event)) if event.leg() != leg => {}
            Some(CallEvent::Sip(SipEvent::Accepted { answer, .. })) => return Ok(Taken::Here(answer)),
            Some(CallEvent::Sip(SipEvent::Refused { code, reason, .. })) => {
                if let Some(pages) = pages.filter(|pages| pages.goes_on_alone()) {
                    info!(%call, "no telephone takes the call; pages ring on");
                    phones::mind(planes, pages, leg);
                    continue;
                }
                return Err(CallEnd::refused_by(code, &reason));
            }
            Some(CallEvent::Sip(SipEvent::Ended { by, reason, .. })) => {
                let class = match by {
                    EndedBy::Local => EndClass::OperatorHungUp,
                    EndedBy::Remote => EndClass::Rejected,
                    EndedBy::Timeout | EndedBy::TransportError => EndClass::SignallingTimeout,
                };
                return Err(CallEnd::new(class, reason.unwrap_or_else(|| "it ended before the answer".to_owned())));
            }
            Some(CallEvent::Sip(SipEvent::Progress { code, .. })) if !rung && matches!(code, 180 | 183) => {
                rung = true;
                planes.registry.is_now(call, CallState::Ringing);
                let data = json!({"to": wish.to, "code": code});
                keep(
                    planes.store.events().append(EventKind::CallRinging, &call.to_string(), "", clock::wall(), data),
                    "an event",
                );
            }
            Some(CallEvent::Order(ordered)) => match &ordered.order {
                Order::HangUp { reason, .. } => {
                    let why = reason.clone().unwrap_or_else(|| "given up from outside".to_owned());
                    ordered.answer(Ok(Outcome::Done));
                    return Err(give_up(planes, leg, mailbox, CallEnd::new(EndClass::OperatorHungUp, why)).await);
                }
                _ => ordered.answer(Err(OrderError::Conflict("the call has not been answered yet".to_owned()))),
            },
            Some(CallEvent::Drain) => {
                let end = CallEnd::new(EndClass::Drained, "the service is stopping");
                return Err(give_up(planes, leg, mailbox, end).await);
            }
            Some(
                CallEvent::Sip(_)
                | CallEvent::Media(_)
                | CallEvent::PauseRecording { .. }
                | CallEvent::Linked(_)
                | CallEvent::Unlinked(..),
            ) => {}
            None => {
                warn!(%call, "the call could not keep up with its events");
                told(planes.sip.hang_up(leg, None).await);
                return Err(CallEnd::new(EndClass::Failed, "the call could not keep up with its events"));
            }
        }
    }
}

/// What goes on once it is known who has answered.
struct Found {
    ends: SpeechEnds,
    /// The other side's audio has come: nobody is told so again.
    sends: bool,
}

/// Listens whether a person or a machine has answered. Error: how the call ended; the other side knows.
async fn who_answers(
    planes: &Arc<Planes>,
    call: CallId,
    (leg, on_machine): (LegId, OnMachine),
    ends: SpeechEnds,
    media: &mut MediaLeg,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Result<Found, CallEnd> {
    let wait_for_beep = on_machine == OnMachine::WaitForBeep;
    let mut listening = planes.rooms.detect(ends, wait_for_beep);
    let mut verdicts: u32 = 0;
    let mut sends = false;
    let end = loop {
        tokio::select! {
            biased;
            event = mailbox.recv() => match event {
                Some(CallEvent::Sip(SipEvent::Incoming { leg, .. })) => {
                    told(planes.sip.reject(leg, 486, "", &[]).await);
                }
                Some(CallEvent::Sip(SipEvent::Ended { by, reason, leg: ended, .. })) if ended == leg => {
                    let class = if by == EndedBy::Remote { EndClass::CalleeHungUp } else { EndClass::SignallingTimeout };
                    return Err(CallEnd::new(class, reason.unwrap_or_else(|| "BYE".to_owned())));
                }
                Some(CallEvent::Order(ordered)) => match &ordered.order {
                    Order::HangUp { reason, .. } => {
                        let why = reason.clone().unwrap_or_else(|| "ended from outside".to_owned());
                        ordered.answer(Ok(Outcome::Done));
                        break CallEnd::new(EndClass::OperatorHungUp, why);
                    }
                    _ => ordered.answer(Err(OrderError::Conflict("it is being found out who has answered".to_owned()))),
                },
                Some(CallEvent::Drain) => break CallEnd::new(EndClass::Drained, "the service is stopping"),
                None => break CallEnd::new(EndClass::Failed, "the call could not keep up with its events"),
                Some(CallEvent::Unlinked(_, end)) => break unlinked(&end, true),
                Some(CallEvent::Sip(event)) if event.leg() == leg => asked_meanwhile(planes, media, event).await,
                Some(CallEvent::Media(event)) => match event {
                    MediaEvent::FirstPacket { .. } => sends = true,
                    MediaEvent::MediaTimeout { .. } => {
                        break CallEnd::new(EndClass::MediaTimeout, "no audio from whoever answered for too long");
                    }
                    MediaEvent::Refused { .. } => {
                        media.forget();
                        break CallEnd::new(EndClass::Failed, "the media worker has no free place");
                    }
                    MediaEvent::Closed { stats, .. } => {
                        media.closed(stats);
                        break CallEnd::new(EndClass::Failed, "the call's audio chain has ended");
                    }
                    _ => {}
                },
                Some(CallEvent::Sip(_) | CallEvent::PauseRecording { .. } | CallEvent::Linked(_)) => {}
            },
            heard = listening.recv() => {
                let Some((verdict, ends)) = heard else {
                    break CallEnd::new(EndClass::Failed, "who has answered could not be listened to");
                };
                verdicts += 1;
                info!(%call, answered_by = verdict.name(), "who has answered the call");
                let (data, key) = (json!({"answered_by": verdict.name()}), verdicts.to_string());
                let events = planes.store.events();
                keep(events.append(EventKind::CallDetected, &call.to_string(), &key, clock::wall(), data), "an event");
                let is_machine = matches!(verdict, Verdict::Machine | Verdict::Beep);
                if is_machine && on_machine == OnMachine::HangUp {
                    break CallEnd::new(EndClass::OperatorHungUp, "a machine has answered");
                }
                if let Some(ends) = ends {
                    return Ok(Found { ends, sends });
                }
            }
        }
    };
    told(planes.sip.hang_up(leg, Some(&end.reason)).await);
    Err(end)
}

/// What the telephone wants while it is found out who holds it: changes of its audio do not wait for that.
async fn asked_meanwhile(planes: &Arc<Planes>, media: &mut MediaLeg, event: SipEvent) {
    match event {
        SipEvent::Reinvite { leg, unchanged: true, .. } => told(planes.sip.refresh(leg).await),
        SipEvent::Reinvite { leg, offer, .. } => match media.renegotiate(planes, offer.as_deref()) {
            Ok(sdp) => told(planes.sip.answer_reinvite(leg, sdp).await),
            // The session goes on as it was (RFC 3261 section 14.2).
            Err(_) => told(planes.sip.reject(leg, 488, "Not Acceptable Here", &[]).await),
        },
        // The answer to an offer of ours comes by the ACK.
        SipEvent::Confirmed { answer, .. } => {
            if let Err(why) = media.confirm(planes, answer.as_deref()) {
                warn!(%why, "the audio stays as it was");
            }
        }
        SipEvent::Refer { leg, .. } => told(planes.sip.refuse_refer(leg, 603).await),
        _ => {}
    }
}

/// Cancels the call. Whoever answers at the same moment is hung up on by the agent.
async fn give_up(planes: &Planes, leg: LegId, mailbox: &mut mpsc::Receiver<CallEvent>, end: CallEnd) -> CallEnd {
    told(planes.sip.hang_up(leg, Some(&end.reason)).await);
    // Its end comes within the time of a transaction; the record need not wait for that.
    mailbox.close();
    end
}
