//! A telephone has two calls with us and joins their other ends: REFER whose Replaces names a dialog that ends here (RFC 3515,
//! 3891). Purpose: nobody calls anybody. One of the calls goes on with the other's far end, whose phone is asked by re-INVITE to
//! send its audio there; the other call ends. One tokio task per transfer; each call does its own part by order. Invariants:
//! until that phone has agreed both calls stay as they were, and a refusal leaves them so; a leg is of one call at any time;
//! only the telephone that has both ends in hand joins them; a stream that was protected never goes on in the clear.
//! Deliberately absent: joining two agents, and ends whose audio is found by checks or comes by rings (browsers, Twilio).

use super::actor::{Planes, keep, told};
use super::media_leg::{Before, MediaLeg};
use super::steer::{FarEnd, Order, OrderError, Ordered, Outcome};
use crate::id::CallId;
use crate::os::{clock, random};
use crate::sip::agent::{LegId, SipEvent};
use crate::sip::dialog::DialogId;
use crate::store::EventKind;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// Answers a REFER of `asker` whose Replaces names `dialog`, one that ends here: its telephone is told what becomes of it.
pub(super) async fn begin(planes: &Arc<Planes>, call: CallId, asker: LegId, dialog: DialogId) {
    let leg = planes.sip.with(move |agent, _| agent.leg_of_same_phone(asker, &dialog)).await.ok().flatten();
    let found = leg.and_then(|leg| Some((planes.registry.call_of(leg)?, leg)));
    let Some(other) = found.filter(|(other, _)| *other != call) else {
        info!(%call, "a transfer to another call is refused: its telephone is not in both");
        return told(planes.sip.refuse_refer(asker, 603).await);
    };
    if !matches!(planes.sip.with(move |agent, now| agent.accept_refer(now, asker)).await, Ok(Ok(()))) {
        return;
    }
    let planes = Arc::clone(planes);
    tokio::spawn(async move {
        tell_event(&planes, call, other.0, "begun", None);
        let joined = join(&planes, (call, asker), other).await;
        let (code, state, why) = match joined {
            Ok(()) => (200, "done", None),
            Err(why) => (603, "failed", Some(why)),
        };
        if let Some(why) = &why {
            warn!(%call, other = %other.0, why, "two calls of one telephone are not joined");
        }
        tell_event(&planes, call, other.0, state, why);
        if code != 200 {
            // It may have gone, or not want to know.
            let _ = planes.sip.with(move |agent, now| agent.notify_refer(now, asker, code)).await;
        }
    });
}

/// How long a telephone has to hear how its transfer went, before its calls are hung up.
const OUTCOME_WAIT: Duration = Duration::from_secs(2);

/// Waits until the telephone has heard how its transfer went: what is not told before the BYE is told never. One that does not
/// answer keeps nobody waiting for long.
pub(super) async fn outcome_told(planes: &Planes, asker: LegId) {
    let patience = tokio::time::Instant::now() + OUTCOME_WAIT;
    while planes.sip.with(move |agent, _| agent.is_notifying(asker)).await.unwrap_or(false)
        && tokio::time::Instant::now() < patience
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Joins what is behind these two legs, each of its call. Error: why not; both are as they were.
async fn join(planes: &Arc<Planes>, asked: (CallId, LegId), other: (CallId, LegId)) -> Result<(), String> {
    let mut why = "neither call has a telephone at its other end".to_owned();
    // A bridge can give its far end away; who goes on with it may be an agent.
    for ((stays, place), (gives, leg)) in [(asked, other), (other, asked)] {
        let Ok(Outcome::FarEnd(by)) = planes.registry.order(gives, Order::FarEnd { leg }).await else { continue };
        match planes.registry.order(stays, Order::TakeOver { place, by }).await {
            Ok(_) => {
                info!(call = %stays, from = %gives, "one call goes on with the far end of another");
                let (asker, reason) = (asked.1, format!("handed over to {stays}"));
                let _ = planes.sip.with(move |agent, now| agent.notify_refer(now, asker, 200)).await;
                outcome_told(planes, asker).await;
                // Either may be over, and its telephone may have hung up itself.
                let _ = planes.registry.order(gives, Order::HandedOver { leg: by.leg, reason }).await;
                told(planes.sip.hang_up(place, Some("transferred")).await);
                return Ok(());
            }
            Err(error) => {
                let disturbed = matches!(error, OrderError::Unprocessable(_));
                why = error.to_string();
                let _ = planes.registry.order(gives, Order::GoOn { leg: by.leg, disturbed }).await;
            }
        }
    }
    Err(why)
}

fn tell_event(planes: &Planes, call: CallId, other: CallId, state: &str, why: Option<String>) {
    let data = json!({"state": state, "to": other.to_string(), "call": other.to_string(), "reason": why});
    let key = format!("{:016x} {state}", random::u64());
    let events = planes.store.events();
    keep(events.append(EventKind::CallTransfer, &call.to_string(), &key, clock::wall(), data), "an event");
}

/// A call is about to go on with somebody else in the place of one of its legs.
pub(super) struct Taking {
    /// The leg that is left.
    pub(super) place: LegId,
    /// Who comes.
    by: FarEnd,
    /// Whose leg that was.
    from: Option<CallId>,
    before: Before,
    ordered: Ordered,
    /// The one who leaves has hung up: there is nobody to go back to.
    pub(super) gone: bool,
}

/// What an event means for that.
pub(super) enum Meant {
    /// Nothing: it is about something else.
    Other(SipEvent),
    /// It has been dealt with.
    Dealt,
    /// They have agreed, and their audio comes here.
    Agreed,
    /// It does not work, for this reason; the event is for who had the leg.
    Failed(OrderError, Option<SipEvent>),
}

impl Taking {
    /// Asks them. `None`: it cannot be done, and whoever ordered it knows.
    pub(super) async fn begin(
        planes: &Arc<Planes>,
        call: CallId,
        media: &mut MediaLeg,
        ordered: Ordered,
    ) -> Option<Self> {
        let Order::TakeOver { place, by } = ordered.order else { return None };
        let Some((offer, before)) = media.offer_to(&by) else {
            let why = "the audio of this call cannot go on with the other's far end: it is held, protected, or no telephone's";
            ordered.answer(Err(OrderError::conflict(why)));
            return None;
        };
        let from = planes.registry.move_leg(by.leg, call);
        let asked = match from {
            Some(_) => planes.sip.reinvite(by.leg, offer).await,
            None => Ok(Err(crate::sip::agent::AgentError::UnknownLeg(by.leg))),
        };
        let taking = Self { place, by, from, before, ordered, gone: false };
        match asked {
            Ok(Ok(())) => Some(taking),
            Ok(Err(error)) => {
                taking.fail(planes, media, OrderError::conflict(error.to_string()), None);
                None
            }
            Err(error) => {
                taking.fail(planes, media, OrderError::Unavailable(error.to_string()), None);
                None
            }
        }
    }

    /// Who comes.
    pub(super) const fn comes(&self) -> LegId {
        self.by.leg
    }

    /// Reads an event of the call.
    pub(super) async fn hear(&mut self, planes: &Arc<Planes>, media: &mut MediaLeg, event: SipEvent) -> Meant {
        if event.leg() == self.place && event.is_terminal() {
            // It trusts us to put the two through.
            self.gone = true;
            return Meant::Dealt;
        }
        if event.leg() != self.by.leg {
            return Meant::Other(event);
        }
        match event {
            SipEvent::Reinvited { answer, .. } => match media.go_on_by(planes, &answer) {
                Ok(()) => Meant::Agreed,
                Err(why) => Meant::Failed(OrderError::Unprocessable(why), None),
            },
            SipEvent::ReinviteRefused { code, .. } => {
                Meant::Failed(OrderError::conflict(format!("its phone does not agree: {code}")), None)
            }
            event if event.is_terminal() => {
                Meant::Failed(OrderError::conflict("the far end has hung up".to_owned()), Some(event))
            }
            SipEvent::Reinvite { leg, .. } => {
                told(planes.sip.reject(leg, 491, "", &[]).await);
                Meant::Dealt
            }
            SipEvent::Refer { leg, .. } => {
                told(planes.sip.refuse_refer(leg, 603).await);
                Meant::Dealt
            }
            _ => Meant::Dealt,
        }
    }

    /// They are here.
    pub(super) fn done(self) {
        self.ordered.answer(Ok(Outcome::Done));
    }

    /// Nobody comes: everything is as it was.
    pub(super) fn fail(self, planes: &Planes, media: &mut MediaLeg, why: OrderError, event: Option<SipEvent>) {
        media.back_to(self.before);
        if let Some(from) = self.from {
            planes.registry.move_leg(self.by.leg, from);
        }
        // Its end is news for who had it before.
        if let Some(event) = event {
            planes.registry.signal(event);
        }
        self.ordered.answer(Err(why));
    }
}
