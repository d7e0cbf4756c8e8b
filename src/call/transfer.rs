//! Hands a caller to somebody else, and back when that fails. Purpose: blind, the caller hears ringback until the other side
//! answers; warm, the other side is told something first. A second call is placed and both meet in a room. One tokio task per
//! transfer. Attended, both are on the line already, and the caller's phone takes our place. Where nothing is announced, the caller's own phone is asked to do it first (REFER). Invariants: a caller whose transfer fails is back where it was, and its agent says so; a call that was placed for
//! a transfer that is over ends. Deliberately absent: rooms.

use super::actor::{Planes, keep};
use super::outgoing::{self, NotPlaced, Wish};
use super::record::CallEnd;
use super::registry::CallState;
use super::room::RoomId;
use super::steer::{After, Order, OrderError};
use crate::id::CallId;
use crate::os::{clock, random};
use crate::sip::agent::LegId;
use crate::sip::message::Uri;
use crate::store::EventKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What is said to somebody before the caller is put through, takes no longer.
const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(60);

/// Beyond the time of ringing, for the phone to tell.
const REFER_SLACK: Duration = Duration::from_secs(5);

/// Whom a caller is handed to.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// `sip:user@host[:port]`; empty where `with` says it.
    pub to: String,
    /// Another call of ours: the caller's phone takes our place in it (attended, RFC 3891), or nothing changes.
    pub with: Option<CallId>,
    /// Whom the other side sees calling.
    pub from: Option<String>,
    /// How it is done.
    pub way: Way,
    /// How long it may ring.
    pub ringing: Duration,
    /// Said to the other side before it is put through.
    pub announce: Option<String>,
    /// Said to the caller when nobody takes the call.
    pub sorry: Option<String>,
}

impl Transfer {
    fn whom(&self) -> String {
        self.with.map_or_else(|| self.to.clone(), |other| other.to_string())
    }
}

/// The leg of the call that is to be taken over.
fn leg_of(planes: &Planes, call: CallId, other: CallId) -> Result<LegId, OrderError> {
    let unfit = |why: &str| OrderError::Unprocessable(format!("with: {other} {why}"));
    match planes.registry.find(other).map(|live| live.state) {
        _ if other == call => return Err(unfit("is the call itself")),
        Some(CallState::Answered | CallState::Held) => {}
        Some(state) => return Err(OrderError::conflict(format!("{other} is {}", state.name()))),
        None => return Err(unfit("is not up")),
    }
    planes.registry.held_by(other).0.last().copied().ok_or_else(|| unfit("has no telephone"))
}

/// How a caller is handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// By REFER, and where the phone refuses by a call of ours; by a call of ours where there is something to announce.
    #[default]
    Either,
    /// The caller's phone calls (REFER).
    Refer,
    /// We call, and both meet in a room.
    Room,
}

/// Begins to hand `call` over; events tell how far that is. Gives the call that is placed, unless the phone is asked first.
///
/// # Errors
/// [`OrderError`]: nothing has changed.
pub async fn begin(planes: &Arc<Planes>, call: CallId, transfer: Transfer) -> Result<Option<CallId>, OrderError> {
    let by_phone = match transfer.way {
        _ if transfer.with.is_some() => true,
        Way::Room => false,
        // A phone can call what is an address to others, too.
        Way::Either => transfer.announce.is_none() && transfer.to.starts_with("sip:"),
        Way::Refer => true,
    };
    if !by_phone {
        return by_room(planes, call, transfer).await.map(Some);
    }
    match planes.registry.find(call).map(|live| live.state) {
        None => return Err(OrderError::NoCall),
        Some(CallState::Answered | CallState::Held) => {}
        Some(state) => return Err(OrderError::conflict(format!("the call is {}", state.name()))),
    }
    let replaces = transfer.with.map(|other| leg_of(planes, call, other)).transpose()?;
    if replaces.is_none() && Uri::parse(transfer.to.as_bytes()).is_err() {
        return Err(OrderError::Unprocessable(format!("{:?} is no address: write sip:USER@HOST", transfer.to)));
    }
    tell_event(planes, call, "begun", &transfer, None, None);
    let planes = Arc::clone(planes);
    tokio::spawn(async move {
        let asked = planes.registry.order(call, Order::Refer { to: transfer.to.clone(), replaces });
        // A phone that neither does it nor says so is not waited for.
        let answer = tokio::time::timeout(transfer.ringing + REFER_SLACK, asked).await;
        match answer.unwrap_or_else(|_| Err(OrderError::conflict("the phone did not say what became of it"))) {
            Ok(_) => {
                tell_event(&planes, call, "done", &transfer, None, None);
                let reason = Some(format!("handed over to {}", transfer.whom()));
                // The phones may have hung up themselves.
                for call in transfer.with.into_iter().chain([call]) {
                    let _ = planes.registry.order(call, Order::HangUp { code: None, reason: reason.clone() }).await;
                }
            }
            Err(error) if transfer.way == Way::Either && transfer.with.is_none() => {
                tell_event(&planes, call, "refused", &transfer, None, Some(error.to_string()));
                if let Err(error) = by_room(&planes, call, transfer.clone()).await {
                    tell_event(&planes, call, "failed", &transfer, None, Some(error.to_string()));
                }
            }
            Err(error) => tell_event(&planes, call, "failed", &transfer, None, Some(error.to_string())),
        }
    });
    Ok(None)
}

/// Begins to hand `call` over; events tell how far that is. Gives the call that is placed.
///
/// # Errors
/// [`OrderError`]: nothing has changed.
async fn by_room(planes: &Arc<Planes>, call: CallId, transfer: Transfer) -> Result<CallId, OrderError> {
    let placed = place(planes, call, &transfer).await?;
    let (planes, other) = (Arc::clone(planes), placed.other);
    tokio::spawn(async move {
        let line = transfer.sorry.clone().or_else(|| Some("Nobody could take your call.".to_owned()));
        // Events have told what became of it.
        let _ = conclude(&planes, call, placed, &transfer, line).await;
    });
    Ok(other)
}

/// Hands `call` over by a call of ours and says when that is settled; its agent says what there is to say.
///
/// # Errors
/// Why nobody has the caller, who is back where it was.
pub(super) async fn through(planes: &Arc<Planes>, call: CallId, transfer: &Transfer) -> Result<(), String> {
    let placed = match place(planes, call, transfer).await {
        Ok(placed) => placed,
        Err(error) => {
            tell_event(planes, call, "failed", transfer, None, Some(error.to_string()));
            return Err(error.to_string());
        }
    };
    conclude(planes, call, placed, transfer, None).await
}

/// The caller is in a room and somebody is rung.
struct Placed {
    room: RoomId,
    other: CallId,
    answered: oneshot::Receiver<Result<(), CallEnd>>,
}

/// Error: nothing has changed.
async fn place(planes: &Arc<Planes>, call: CallId, transfer: &Transfer) -> Result<Placed, OrderError> {
    let room = RoomId(random::u64());
    let other = CallId(random::u64());
    planes.registry.order(call, Order::Join { room, after: After::Return }).await?;
    let (tell, answered) = oneshot::channel();
    let caller = planes.registry.find(call);
    let wish = Wish {
        to: transfer.to.clone(),
        from: transfer.from.clone(),
        ringing: transfer.ringing,
        details: Some(json!({"transfer_of": call.to_string()})),
        withheld: caller.as_ref().is_some_and(|live| live.withheld),
        on_behalf: caller.map(|live| live.from),
        ..Wish::default()
    };
    if let Err(error) = outgoing::start(planes, other, wish, Some(tell)) {
        // Where it was before, or gone.
        let _ = planes.registry.order(call, Order::Leave { line: None }).await;
        return Err(match error {
            NotPlaced::Cap(cap) => OrderError::Unavailable(cap.to_string()),
            NotPlaced::Wrong(why) => OrderError::Unprocessable(why),
            NotPlaced::Full(full) => OrderError::Unavailable(full.to_string()),
            NotPlaced::Twice => OrderError::conflict("this call was placed already"),
        });
    }
    tell_event(planes, call, "begun", transfer, Some(other), None);
    Ok(Placed { room, other, answered })
}

/// Waits for what becomes of it. Error: why it failed; the caller is back and was told `line`.
async fn conclude(
    planes: &Arc<Planes>,
    call: CallId,
    Placed { room, other, answered }: Placed,
    transfer: &Transfer,
    line: Option<String>,
) -> Result<(), String> {
    let outcome = hand_over(planes, call, other, room, transfer, answered).await;
    match &outcome {
        Ok(()) => tell_event(planes, call, "done", transfer, Some(other), None),
        Err(why) => {
            tell_event(planes, call, "failed", transfer, Some(other), Some(why.clone()));
            // Either may be over.
            let _ = planes.registry.order(other, Order::HangUp { code: None, reason: Some(why.clone()) }).await;
            let _ = planes.registry.order(call, Order::Leave { line }).await;
        }
    }
    outcome
}

/// Error: why it failed.
async fn hand_over(
    planes: &Arc<Planes>,
    call: CallId,
    other: CallId,
    room: RoomId,
    transfer: &Transfer,
    answered: oneshot::Receiver<Result<(), CallEnd>>,
) -> Result<(), String> {
    tokio::pin!(answered);
    loop {
        tokio::select! {
            outcome = &mut answered => match outcome {
                Ok(Ok(())) => break,
                Ok(Err(end)) => return Err(end.reason),
                Err(_) => return Err("the call was not placed".to_owned()),
            },
            () = tokio::time::sleep(Duration::from_millis(500)) => if planes.registry.find(call).is_none() {
                return Err("the caller hung up meanwhile".to_owned());
            }
        }
    }
    tell_event(planes, call, "answered", transfer, Some(other), None);
    let words = |error: OrderError| error.to_string();
    if let Some(text) = &transfer.announce {
        let said = planes.registry.say(other, text.clone());
        tokio::time::timeout(ANNOUNCEMENT_MAX, said)
            .await
            .map_err(|_| "the announcement took too long".to_owned())?
            .map_err(words)?;
    }
    // What follows is settled before the two meet: whoever takes the call may hang up at that very moment.
    planes.registry.order(call, Order::Join { room, after: After::HangUp }).await.map_err(words)?;
    planes.registry.order(other, Order::Join { room, after: After::HangUp }).await.map_err(words)?;
    Ok(())
}

fn tell_event(
    planes: &Planes,
    call: CallId,
    state: &str,
    transfer: &Transfer,
    other: Option<CallId>,
    why: Option<String>,
) {
    let data: Value =
        json!({"state": state, "to": transfer.whom(), "call": other.map(|other| other.to_string()), "reason": why});
    // A call may be handed over by its phone more than once, and each time is an event of its own.
    let key = other.map_or_else(|| format!("{:016x} {state}", random::u64()), |other| format!("{other} {state}"));
    keep(
        planes.store.events().append(EventKind::CallTransfer, &call.to_string(), &key, clock::wall(), data),
        "an event",
    );
}
