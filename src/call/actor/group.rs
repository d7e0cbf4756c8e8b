//! Rings several telephones for one caller (`app = "group:NAME"`). Part of the call's task. Each telephone is a call of its own;
//! the first that answers has the caller, in a room. Invariants: whoever rang in vain stops ringing; a caller who gives up stops
//! them all; nobody is answered twice. Deliberately absent: queues, and who is free (their telephones say so).

use super::offered::Unanswered;
use super::{Invitation, Planes, told};
use crate::call::caller_id;
use crate::call::outgoing::{self, Wish};
use crate::call::record::{CallEnd, EndClass};
use crate::call::registry::CallEvent;
use crate::call::room::RoomId;
use crate::call::steer::{After, Order, OrderError, Outcome};
use crate::config::{App, Group, Strategy};
use crate::id::CallId;
use crate::os::random;
use crate::sip::agent::SipEvent;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// The telephones that ring at the same time.
struct Ringing {
    planes: Arc<Planes>,
    calls: Vec<CallId>,
}

impl Ringing {
    /// All stop but this one.
    fn stop_but(&mut self, winner: Option<CallId>) {
        for call in self.calls.drain(..).filter(|call| Some(*call) != winner) {
            let planes = Arc::clone(&self.planes);
            tokio::spawn(async move {
                let reason = Some("somebody else took the call, or nobody will".to_owned());
                // It may be over already.
                let _ = planes.registry.order(call, Order::HangUp { code: None, reason }).await;
            });
        }
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        self.stop_but(None);
    }
}

/// Rings until somebody answers: gives the call to that telephone.
pub(super) async fn answered(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    group: &Group,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Result<CallId, Unanswered> {
    told(planes.sip.ring(invitation.leg).await);
    let rounds: Vec<&[String]> = match group.strategy {
        Strategy::All => vec![&group.members],
        Strategy::OneByOne => group.members.chunks(1).collect(),
    };
    for members in rounds {
        let mut ringing = Ringing { planes: Arc::clone(planes), calls: Vec::new() };
        let mut answers = FuturesUnordered::new();
        for member in members {
            let (tell, told) = oneshot::channel();
            let other = CallId(random::u64());
            let wish = Wish {
                to: member.clone(),
                on_behalf: Some(invitation.from.clone()),
                withheld: caller_id::withheld(&invitation.from, &invitation.headers),
                app: App::Manual,
                ringing: Duration::from_secs(group.ringing_s),
                details: Some(json!({"group": group.name, "for": call.to_string()})),
                ..Wish::default()
            };
            match outgoing::start(planes, other, wish, Some(tell)) {
                Ok(_) => {
                    ringing.calls.push(other);
                    answers.push(async move { (other, told.await) });
                }
                Err(error) => warn!(%call, member, %error, "a telephone of the group is not called"),
            }
        }
        while !answers.is_empty() {
            tokio::select! {
                biased;
                event = mailbox.recv() => if let Some(end) = ended(planes, invitation, event).await {
                    return Err(end.into());
                },
                Some((other, answer)) = answers.next() => match answer {
                    Ok(Ok(())) => {
                        ringing.stop_but(Some(other));
                        return Ok(other);
                    }
                    Ok(Err(end)) => info!(%call, %other, reason = %end.reason, "a telephone of the group did not take the call"),
                    Err(_) => {}
                },
            }
        }
    }
    Err(Unanswered::Nobody(format!("nobody of the group {} answered", group.name)))
}

/// Whether what happened to the caller ends the call.
async fn ended(planes: &Planes, invitation: &Invitation, event: Option<CallEvent>) -> Option<CallEnd> {
    let (code, end) = match event {
        Some(CallEvent::Sip(SipEvent::Cancelled { .. })) => {
            return Some(CallEnd::new(EndClass::Cancelled, "the caller gave up before the answer"));
        }
        Some(CallEvent::Sip(event)) if event.is_terminal() && event.leg() == invitation.leg => {
            return Some(CallEnd::new(EndClass::SignallingTimeout, "it was not answered in time"));
        }
        Some(CallEvent::Order(ordered)) => match &ordered.order {
            Order::HangUp { code, reason } => {
                let (code, why) = (code.unwrap_or(603), reason.clone());
                ordered.answer(Ok(Outcome::Done));
                (code, CallEnd::new(EndClass::OperatorHungUp, why.unwrap_or_else(|| "refused from outside".to_owned())))
            }
            _ => {
                ordered.answer(Err(OrderError::Conflict("the call rings at a group of telephones".to_owned())));
                return None;
            }
        },
        Some(CallEvent::Drain) => (503, CallEnd::new(EndClass::Drained, "the service is stopping")),
        None => (500, CallEnd::new(EndClass::Failed, "the call could not keep up with its events")),
        Some(
            CallEvent::Sip(_)
            | CallEvent::Media(_)
            | CallEvent::PauseRecording { .. }
            | CallEvent::Linked(_)
            | CallEvent::Unlinked(..),
        ) => return None,
    };
    told(planes.sip.reject(invitation.leg, code, "", &[]).await);
    Some(end.with_code(code))
}

/// Has the caller, once its task serves orders, and the telephone that took the call hear each other.
pub(super) fn meet(planes: &Arc<Planes>, call: CallId, other: CallId) {
    let planes = Arc::clone(planes);
    tokio::spawn(async move {
        let room = RoomId(random::u64());
        let join = Order::Join { room, after: After::HangUp };
        for party in [other, call] {
            if let Err(error) = planes.registry.order(party, join.clone()).await {
                warn!(%call, %other, %error, "the caller and who took the call could not be joined");
                let reason = Some("the other side is gone".to_owned());
                // Either may be over.
                for party in [other, call] {
                    let _ = planes.registry.order(party, Order::HangUp { code: None, reason: reason.clone() }).await;
                }
                return;
            }
        }
    });
}
