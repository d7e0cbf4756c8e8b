//! A telephone in a bridged call joins its other side with the far end of another call of ours (attended transfer): this call
//! takes that far end, or gives its own away. Part of the call's task. Invariants: while an end is given away the call does not
//! end because the telephone between hangs up; an end that comes back is as it was. Deliberately absent: who decides
//! (`call::consultation`).

use super::{Bridge, told};
use crate::call::bridge::machine::{Input, Side};
use crate::call::consultation::{Meant, Taking};
use crate::call::steer::{FarEnd, Order, OrderError, Ordered, Outcome};
use crate::sip::agent::{LegId, SipEvent};
use std::sync::Arc;
use tracing::info;

/// The end of one side is about to be another call's.
pub(super) struct Lent {
    /// Its side.
    side: Side,
    /// Its leg.
    far: LegId,
    /// The telephone between has hung up.
    gone: bool,
}

impl Bridge<'_> {
    /// Orders of an attended transfer; gives others back.
    pub(super) async fn handle_consultation(&mut self, ordered: Ordered) -> Option<Ordered> {
        let outcome = match ordered.order.clone() {
            Order::FarEnd { leg } => self.lend(leg).map(Outcome::FarEnd),
            Order::TakeOver { place, .. } => {
                self.begin_taking(place, ordered).await;
                return None;
            }
            Order::GoOn { leg, disturbed } => {
                self.has_back(leg, disturbed).await;
                Ok(Outcome::Done)
            }
            Order::HandedOver { leg, reason } => match self.lent.take_if(|lent| lent.far == leg) {
                Some(lent) => {
                    self.handle(Input::HandedOver { stays: lent.side, reason });
                    Ok(Outcome::Done)
                }
                None => Err(OrderError::conflict("nobody was given away")),
            },
            _ => return Some(ordered),
        };
        ordered.answer(outcome);
        None
    }

    /// Whether both sides talk and nothing is under way that would change one.
    fn is_settled(&self) -> bool {
        self.joined
            && self.machine.is_answered()
            && self.referral.is_none()
            && self.lent.is_none()
            && self.taking.is_none()
    }

    /// The leg of a side.
    fn leg_at(&self, side: Side) -> Option<LegId> {
        match side {
            Side::Caller => Some(self.caller.leg),
            Side::Callee => self.callee.as_ref().map(|callee| callee.leg),
        }
    }

    fn side_of(&self, leg: LegId) -> Option<Side> {
        [Side::Caller, Side::Callee].into_iter().find(|side| self.leg_at(*side) == Some(leg))
    }

    /// The end that is opposite of this leg.
    fn lend(&mut self, leg: LegId) -> Result<FarEnd, OrderError> {
        let not_now = || OrderError::conflict("the call is not with this telephone now");
        let side = self.side_of(leg).filter(|_| self.is_settled()).ok_or_else(not_now)?.other();
        let far = self.leg_at(side).ok_or_else(not_now)?;
        let media = self.media(side).ok_or_else(not_now)?;
        let end = media.far_end(far);
        let end = end.ok_or_else(|| OrderError::conflict("its far end is no telephone"))?;
        self.lent = Some(Lent { side, far, gone: false });
        Ok(end)
    }

    /// What was to be given away stays. `disturbed`: its phone sends its audio elsewhere meanwhile.
    async fn has_back(&mut self, leg: LegId, disturbed: bool) {
        let Some(lent) = self.lent.take_if(|lent| lent.far == leg) else { return };
        if lent.gone {
            let reason = Some("it hung up upon a transfer that failed".to_owned());
            return self.handle(Input::Over { side: lent.side.other(), lost: false, reason });
        }
        if disturbed && !self.asks_back(lent.side, leg).await {
            // What the other call has asked is still on its way.
            self.astray = Some((lent.side, leg));
        }
    }

    /// Asks the phone of this side to send its audio here again. `false`: not now.
    async fn asks_back(&mut self, side: Side, leg: LegId) -> bool {
        let planes = Arc::clone(&self.planes);
        let Some(offer) = self.media(side).map(|media| media.offer_back()) else { return true };
        matches!(planes.sip.reinvite(leg, offer).await, Ok(Ok(())))
    }

    async fn begin_taking(&mut self, place: LegId, ordered: Ordered) {
        let (planes, call) = (Arc::clone(&self.planes), self.call);
        let side = self.side_of(place).filter(|_| self.is_settled());
        let Some(media) = side.and_then(|side| self.leg(side)) else {
            return ordered.answer(Err(OrderError::conflict("the call is not with this telephone now")));
        };
        self.taking = Taking::begin(&planes, call, media, ordered).await;
    }

    /// Takes what is about the transfer that is under way; gives other events back.
    pub(super) async fn hear_consultation(&mut self, event: SipEvent) -> Option<SipEvent> {
        if let Some(lent) = &mut self.lent
            && event.leg() != lent.far
            && matches!(event, SipEvent::Ended { .. })
        {
            // It trusts us to put the two through.
            lent.gone = true;
            return None;
        }
        if let Some((side, leg)) = self.astray
            && event.leg() == leg
            && matches!(event, SipEvent::Reinvited { .. } | SipEvent::ReinviteRefused { .. })
        {
            self.astray = None;
            self.asks_back(side, leg).await;
            return None;
        }
        let Some(mut taking) = self.taking.take() else { return Some(event) };
        let planes = Arc::clone(&self.planes);
        let side = self.side(taking.place);
        let Some(media) = self.leg(side) else { return Some(event) };
        match taking.hear(&planes, media, event).await {
            Meant::Other(event) => {
                self.taking = Some(taking);
                return Some(event);
            }
            Meant::Dealt => self.taking = Some(taking),
            Meant::Agreed => {
                info!(call = %self.call, ?side, "one side goes on with the far end of another call");
                self.stands_on(side, taking.comes());
                taking.done();
            }
            Meant::Failed(why, event) => {
                let gone = taking.gone;
                taking.fail(&planes, media, why, event);
                if gone {
                    let reason = Some("it hung up upon a transfer that failed".to_owned());
                    self.handle(Input::Over { side, lost: false, reason });
                }
            }
        }
        None
    }

    /// The call ends: nobody comes any more.
    pub(super) async fn give_consultation_up(&mut self) {
        let Some(taking) = self.taking.take() else { return };
        let planes = Arc::clone(&self.planes);
        let (place, gone) = (taking.place, taking.gone);
        let side = self.side(place);
        if let Some(media) = self.media(side) {
            // Whoever was to come may have been asked already.
            taking.fail(&planes, media, OrderError::Unprocessable("the call has ended".to_owned()), None);
        }
        if !gone {
            told(planes.sip.hang_up(place, Some("the other side is gone")).await);
        }
    }
}
