//! A call that rings until somebody outside answers it (`app = "manual"`). Part of the call's task. Invariant: the caller
//! hears ringing at once, and a final answer in the end. Deliberately absent: what comes after the answer (`Actor`).

use super::{Invitation, Planes, keep, told};
use crate::call::record::{CallEnd, EndClass};
use crate::call::registry::CallEvent;
use crate::call::steer::{Order, OrderError, Ordered, Outcome};
use crate::config::App;
use crate::id::CallId;
use crate::limits::RINGING_MAX;
use crate::os::clock;
use crate::sip::agent::{EndedBy, SipEvent};
use crate::store::EventKind;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

/// What became of a call that nobody has answered.
pub(super) enum Unanswered {
    /// It rang for as long as it might; the caller still waits.
    Nobody(String),
    /// The call is over, and the caller knows.
    Ended(CallEnd),
}

impl From<CallEnd> for Unanswered {
    fn from(end: CallEnd) -> Self {
        Self::Ended(end)
    }
}

/// Rings until the call is to be answered: gives the app that takes it, and the order to be told what became of that.
pub(super) async fn answered(
    planes: &Planes,
    call: CallId,
    invitation: &Invitation,
    ringing: Duration,
    mailbox: &mut mpsc::Receiver<CallEvent>,
) -> Result<(App, Ordered), Unanswered> {
    told(planes.sip.ring(invitation.leg).await);
    let data = json!({"from": invitation.from, "to": invitation.number});
    let events = planes.store.events();
    keep(events.append(EventKind::CallRinging, &call.to_string(), "", clock::wall(), data), "an event");
    let latest = tokio::time::Instant::now() + ringing.min(RINGING_MAX);
    loop {
        let Ok(event) = tokio::time::timeout_at(latest, mailbox.recv()).await else {
            return Err(Unanswered::Nobody(format!("nobody answered it within {} s", ringing.as_secs())));
        };
        match event {
            Some(CallEvent::Order(ordered)) => match &ordered.order {
                Order::Answer { app } => {
                    let app = app.clone().unwrap_or(App::Manual);
                    return Ok((app, ordered));
                }
                Order::HangUp { code, reason } => {
                    let (code, why) = (code.unwrap_or(603), reason.clone());
                    let why = why.unwrap_or_else(|| "refused from outside".to_owned());
                    let end = refuse(planes, invitation, (code, ""), EndClass::OperatorHungUp, why).await;
                    ordered.answer(Ok(Outcome::Done));
                    return Err(end.into());
                }
                _ => ordered.answer(Err(OrderError::Conflict("the call rings: answer it first".to_owned()))),
            },
            // Nothing is recorded yet: the asker hears that by the sender that goes.
            Some(CallEvent::PauseRecording { .. } | CallEvent::Media(_) | CallEvent::Linked(_)) => {}
            // There is no session yet that could have lost its peer.
            Some(CallEvent::Unlinked(..)) => {}
            Some(CallEvent::Sip(SipEvent::Cancelled { .. })) => {
                return Err(CallEnd::new(EndClass::Cancelled, "the caller gave up before the answer").into());
            }
            Some(CallEvent::Sip(SipEvent::Ended { by, reason, .. })) => {
                let class = if by == EndedBy::Local { EndClass::Refused } else { EndClass::SignallingTimeout };
                return Err(
                    CallEnd::new(class, reason.unwrap_or_else(|| "it was not answered in time".to_owned())).into()
                );
            }
            Some(CallEvent::Sip(_)) => {}
            Some(CallEvent::Drain) => {
                let why = "the service is stopping".to_owned();
                return Err(refuse(planes, invitation, (503, "Service Unavailable"), EndClass::Drained, why)
                    .await
                    .into());
            }
            None => {
                let why = "the call could not keep up with its events".to_owned();
                return Err(refuse(planes, invitation, (500, ""), EndClass::Failed, why).await.into());
            }
        }
    }
}

async fn refuse(
    planes: &Planes,
    invitation: &Invitation,
    (code, phrase): (u16, &str),
    class: EndClass,
    why: String,
) -> CallEnd {
    let extra: &[(&str, &str)] = if code == 503 { &[("Retry-After", super::RETRY_AFTER_S)] } else { &[] };
    told(planes.sip.reject(invitation.leg, code, phrase, extra).await);
    CallEnd::new(class, why).with_code(code)
}
