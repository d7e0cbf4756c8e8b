//! Hands a caller to somebody else, and back when that fails. Purpose: blind, the caller hears ringback until the other side
//! answers; warm, the other side is told something first. A second call is placed and both meet in a room. One tokio task per
//! transfer. Invariants: a caller whose transfer fails is back where it was, and its agent says so; a call that was placed for
//! a transfer that is over ends. Deliberately absent: REFER (the phones' own way of doing it), rooms.

use super::actor::{Planes, keep};
use super::outgoing::{self, NotPlaced, Wish};
use super::record::CallEnd;
use super::room::RoomId;
use super::steer::{After, Order, OrderError};
use crate::id::CallId;
use crate::os::{clock, random};
use crate::store::EventKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What is said to somebody before the caller is put through, takes no longer.
const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(60);

/// Whom a caller is handed to.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// `sip:user@host[:port]`.
    pub to: String,
    /// Whom the other side sees calling.
    pub from: Option<String>,
    /// How long it may ring.
    pub ringing: Duration,
    /// Said to the other side before it is put through.
    pub announce: Option<String>,
    /// Said to the caller when nobody takes the call.
    pub sorry: Option<String>,
}

/// Begins to hand `call` over; events tell how far that is. Gives the call that is placed.
///
/// # Errors
/// [`OrderError`]: nothing has changed.
pub async fn begin(planes: &Arc<Planes>, call: CallId, transfer: Transfer) -> Result<CallId, OrderError> {
    let room = RoomId(random::u64());
    let other = CallId(random::u64());
    planes.registry.order(call, Order::Join { room, after: After::Return }).await?;
    let (tell, answered) = oneshot::channel();
    let wish = Wish {
        to: transfer.to.clone(),
        from: transfer.from.clone(),
        ringing: transfer.ringing,
        details: Some(json!({"transfer_of": call.to_string()})),
        on_behalf: planes.registry.find(call).map(|live| live.from),
        ..Wish::default()
    };
    if let Err(error) = outgoing::start(planes, other, wish, Some(tell)) {
        // Where it was before, or gone.
        let _ = planes.registry.order(call, Order::Leave { line: None }).await;
        return Err(match error {
            NotPlaced::Wrong(why) => OrderError::Unprocessable(why),
            NotPlaced::Full(full) => OrderError::Unavailable(full.to_string()),
            NotPlaced::Twice => OrderError::conflict("this call was placed already"),
        });
    }
    tell_event(planes, call, "begun", &transfer, other, None);
    let planes = Arc::clone(planes);
    tokio::spawn(async move {
        match hand_over(&planes, call, other, room, &transfer, answered).await {
            Ok(()) => tell_event(&planes, call, "done", &transfer, other, None),
            Err(why) => {
                tell_event(&planes, call, "failed", &transfer, other, Some(why.clone()));
                // Either may be over.
                let _ = planes.registry.order(other, Order::HangUp { code: None, reason: Some(why) }).await;
                let line = transfer.sorry.clone().or_else(|| Some("Nobody could take your call.".to_owned()));
                let _ = planes.registry.order(call, Order::Leave { line }).await;
            }
        }
    });
    Ok(other)
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
    tell_event(planes, call, "answered", transfer, other, None);
    let words = |error: OrderError| error.to_string();
    if let Some(text) = &transfer.announce {
        let said = planes.registry.say(other, text.clone());
        tokio::time::timeout(ANNOUNCEMENT_MAX, said)
            .await
            .map_err(|_| "the announcement took too long".to_owned())?
            .map_err(words)?;
    }
    planes.registry.order(other, Order::Join { room, after: After::HangUp }).await.map_err(words)?;
    // From now on the caller's call ends with the other one.
    planes.registry.order(call, Order::Join { room, after: After::HangUp }).await.map_err(words)?;
    Ok(())
}

fn tell_event(planes: &Planes, call: CallId, state: &str, transfer: &Transfer, other: CallId, why: Option<String>) {
    let data: Value = json!({"state": state, "to": transfer.to, "call": other.to_string(), "reason": why});
    let key = format!("{other} {state}");
    keep(
        planes.store.events().append(EventKind::CallTransfer, &call.to_string(), &key, clock::wall(), data),
        "an event",
    );
}
