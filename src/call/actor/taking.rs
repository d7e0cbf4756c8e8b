//! A call with an agent, or whoever steers, goes on with the far end of another (attended transfer). Part of the call's task.
//! Invariant: whoever talks here notices nothing but the voice. Deliberately absent: giving a far end away (`bridge`).

use super::Actor;
use crate::call::consultation::{Meant, Taking};
use crate::call::record::{CallEnd, EndClass};
use crate::call::steer::{Order, OrderError, Ordered};
use crate::sip::agent::SipEvent;
use std::sync::Arc;
use tracing::info;

impl Actor {
    pub(super) async fn begin_taking(&mut self, ordered: Ordered) {
        let Order::TakeOver { place, .. } = ordered.order else { return };
        let leg = self.leg;
        let answered = self.planes.sip.with(move |agent, _| agent.is_answered(leg)).await.unwrap_or(false);
        if place != leg || !answered || self.taking.is_some() || self.holds || !self.waiting.is_empty() {
            return ordered.answer(Err(OrderError::conflict("the call is not with this telephone now")));
        }
        let planes = Arc::clone(&self.planes);
        self.taking = Taking::begin(&planes, self.call, &mut self.media, ordered).await;
    }

    /// Takes what is about that; gives other events back.
    pub(super) async fn handle_taking(&mut self, event: SipEvent) -> Option<SipEvent> {
        let Some(mut taking) = self.taking.take() else { return Some(event) };
        let planes = Arc::clone(&self.planes);
        match taking.hear(&planes, &mut self.media, event).await {
            Meant::Other(event) => {
                self.taking = Some(taking);
                return Some(event);
            }
            Meant::Dealt => self.taking = Some(taking),
            Meant::Agreed => {
                info!(call = %self.call, "the call goes on with the far end of another");
                self.leg = taking.comes();
                taking.done();
                self.tell_hold();
            }
            Meant::Failed(why, event) => {
                let gone = taking.gone;
                taking.fail(&planes, &mut self.media, why, event);
                if gone {
                    self.signalled = true;
                    self.end = Some(CallEnd::new(EndClass::CallerHungUp, "it hung up upon a transfer that failed"));
                }
            }
        }
        None
    }

    /// The call ends: nobody comes any more.
    pub(super) fn give_taking_up(&mut self) {
        if let Some(taking) = self.taking.take() {
            // Whoever was to come may have been asked already.
            let why = OrderError::Unprocessable("the call has ended".to_owned());
            taking.fail(&self.planes, &mut self.media, why, None);
        }
    }
}
