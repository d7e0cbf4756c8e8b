//! From an INVITE to whoever answers it. Part of the call's task. Purpose: the route that fits, its hours, its app, and its
//! fallback when that cannot take the call. Invariants: the caller gets one final answer; a caller who has been told anything
//! final, or who gave up, is offered to nobody else. Deliberately absent: answering (`Actor`), bridging (`bridge`).

use super::group;
use super::offered::{self, Unanswered};
use super::{Actor, Invitation, Planes, Prepared, RETRY_AFTER_S, Refusal, keep, told};
use crate::call::bridge;
use crate::call::manners::user_of;
use crate::call::record::{CallEnd, EndClass};
use crate::call::registry::CallEvent;
use crate::call::steer::{Order, OrderError, Outcome};
use crate::config::{App, Called, Route};
use crate::id::CallId;
use crate::os::clock;
use crate::sip::peer::Peer;
use crate::store::CallRecord;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

pub(super) async fn live(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    mut mailbox: mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
) -> CallEnd {
    // What has been proved counts, whatever From says.
    let from = match &invitation.identity {
        Peer::Extension(number) => number.to_string(),
        Peer::Trunk(_) | Peer::Attached => user_of(&invitation.from),
    };
    let called =
        Called { number: &invitation.number, from: &from, trunk: invitation.identity.trunk().map(|name| &**name) };
    let refusal = match planes.config().find_route(&called).cloned() {
        None => Refusal::new(404, "Not Found", format!("no route for {:?}", invitation.number)),
        Some(route) => match answered(planes, call, invitation, &route, &mut mailbox, record).await {
            Ok(end) => return end,
            Err(refusal) => refusal,
        },
    };
    warn!(%call, code = refusal.code, why = %refusal.why, "call refused");
    let extra: &[(&str, &str)] = if refusal.retry { &[("Retry-After", RETRY_AFTER_S)] } else { &[] };
    told(planes.sip.reject(invitation.leg, refusal.code, refusal.phrase, extra).await);
    CallEnd::new(EndClass::Refused, format!("{} {}: {}", refusal.code, refusal.phrase, refusal.why))
        .with_code(refusal.code)
}

/// Offers the call to the route's app, then to its fallback. Error: nobody has taken it, and the caller knows nothing of that.
async fn answered(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    route: &Route,
    mailbox: &mut mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
) -> Result<CallEnd, Refusal> {
    let Some(first) = route.app_at(clock::wall()) else {
        return Err(Refusal::new(
            480,
            "Temporarily Unavailable",
            "it is closed at this hour, and the route has no fallback",
        ));
    };
    let second = route.fallback.as_ref().filter(|fallback| *fallback != first);
    let mut apps: VecDeque<&App> = [Some(first), second].into_iter().flatten().collect();
    loop {
        let Some(app) = apps.pop_front() else {
            return Err(Refusal::new(480, "Temporarily Unavailable", "nobody takes the call"));
        };
        let spare = !apps.is_empty() && !planes.registry.draining();
        record.app = app.to_string();
        keep(planes.store.calls().record(record.clone()), "the call's record");
        match attempt(planes, call, invitation, (route, app, spare), mailbox, record).await {
            Err(refusal) if spare => {
                info!(%call, %app, why = %refusal.why, "the route's fallback takes the call");
            }
            outcome => return outcome,
        }
    }
}

/// One app's try. `spare`: there is another one after it.
async fn attempt(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    (route, app, spare): (&Route, &App, bool),
    mailbox: &mut mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
) -> Result<CallEnd, Refusal> {
    let (app, asked) = match app {
        App::Manual => {
            let ringing = Duration::from_secs(route.ringing_s);
            match offered::answered(planes, call, invitation, ringing, mailbox).await {
                Ok((app, asked)) => (app, Some(asked)),
                Err(Unanswered::Nobody(why)) => return Err(Refusal::new(480, "Temporarily Unavailable", why)),
                Err(Unanswered::Ended(end)) => return Ok(end),
            }
        }
        app => (app.clone(), None),
    };
    record.app = app.to_string();
    // Those who ring are calls of their own, and so is who answers.
    let (app, other) = match app {
        App::Group(name) => {
            let found = planes.config().groups.iter().find(|group| group.name == name).cloned();
            let group =
                found.ok_or_else(|| Refusal::new(480, "Temporarily Unavailable", format!("no group {name}")))?;
            match group::answered(planes, call, invitation, &group, mailbox).await {
                Ok(other) => (App::Manual, Some(other)),
                Err(Unanswered::Nobody(why)) => return Err(Refusal::new(480, "Temporarily Unavailable", why)),
                Err(Unanswered::Ended(end)) => return Ok(end),
            }
        }
        app => (app, None),
    };
    if let App::Bridge(target) = &app {
        if let Some(asked) = asked {
            asked.answer(Ok(Outcome::Done));
        }
        return bridge::serve(planes, call, invitation, (target, route.record, spare), mailbox, record).await;
    }
    match Prepared::of(planes, call, invitation, &app, route).await {
        Ok(prepared) => {
            // From here on the actor has it.
            let mailbox = std::mem::replace(mailbox, mpsc::channel(1).1);
            let actor = Actor::answer(planes, call, invitation.leg, prepared, mailbox, record).await;
            if let Some(other) = other {
                group::meet(planes, call, other);
            }
            if let Some(asked) = asked {
                asked.answer(Ok(Outcome::Done));
            }
            Ok(actor.serve(record).await)
        }
        Err(refusal) => {
            if let Some(other) = other {
                let reason = Some("the caller could not be answered".to_owned());
                // It may be over.
                let _ = planes.registry.order(other, Order::HangUp { code: None, reason }).await;
            }
            if let Some(asked) = asked {
                asked.answer(Err(OrderError::Unavailable(refusal.why.clone())));
            }
            Err(refusal)
        }
    }
}
