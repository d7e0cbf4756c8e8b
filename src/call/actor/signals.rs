//! What the call's own leg tells. Part of the call's task. Purpose: turn signalling into what the call hears, holds or ends by.
//! Invariant: only the leg that the call stands on is listened to; who takes its place (RFC 3891) goes on where it was.
//! Deliberately absent: calls that are placed, and orders of those who steer.

use super::{Actor, told};
use crate::call::consultation;
use crate::call::exchange::CallInput;
use crate::call::pickup;
use crate::call::record::{CallEnd, EndClass};
use crate::sip::agent::{EndedBy, LegId, SipEvent};
use crate::sip::peer::Peer;
use tracing::info;

impl Actor {
    pub(super) async fn handle_sip(&mut self, event: SipEvent) {
        if let SipEvent::Incoming { leg, from, identity, offer, replaces, .. } = event {
            return self.change_places(leg, (&from, &identity), offer, replaces).await;
        }
        let Some(event) = self.handle_taking(event).await else { return };
        if event.leg() != self.leg {
            // Of somebody who was called before us and did not take the call, or who has handed it to somebody else.
            return;
        }
        match event {
            SipEvent::Confirmed { answer, .. } => match self.media.confirm(&self.planes, answer.as_deref()) {
                Ok(first) => {
                    self.tell_hold();
                    if first {
                        self.tell(CallInput::Confirmed);
                        self.play();
                    }
                }
                Err(why) => self.end = Some(CallEnd::new(EndClass::Failed, why)),
            },
            SipEvent::Cancelled { .. } => {
                self.signalled = true;
                self.end = Some(CallEnd::new(EndClass::Cancelled, "the caller gave up before the answer"));
            }
            SipEvent::Ended { by, reason, .. } => {
                self.signalled = true;
                self.end = Some(match by {
                    EndedBy::Remote if self.outgoing => {
                        CallEnd::new(EndClass::CalleeHungUp, reason.unwrap_or_else(|| "BYE".to_owned()))
                    }
                    EndedBy::Remote => CallEnd::new(EndClass::CallerHungUp, reason.unwrap_or_else(|| "BYE".to_owned())),
                    EndedBy::Local => CallEnd::new(EndClass::AgentHungUp, reason.unwrap_or_default()),
                    EndedBy::Timeout | EndedBy::TransportError => CallEnd::new(
                        EndClass::SignallingTimeout,
                        reason.unwrap_or_else(|| "the caller's phone stopped answering".to_owned()),
                    ),
                });
            }
            SipEvent::Reinvite { unchanged: true, .. } => told(self.planes.sip.refresh(self.leg).await),
            SipEvent::Reinvite { offer, .. } => match self.media.renegotiate(&self.planes, offer.as_deref()) {
                Ok(sdp) => {
                    told(self.planes.sip.answer_reinvite(self.leg, sdp).await);
                    self.tell_hold();
                }
                // The session goes on as it was (RFC 3261 section 14.2).
                Err(_) => told(self.planes.sip.reject(self.leg, 488, "Not Acceptable Here", &[]).await),
            },
            SipEvent::InfoDigit { digit, .. } => {
                self.tell_digit(digit);
                self.tell(CallInput::Digit(digit, self.media.audio_time()));
            }
            SipEvent::Reinvited { answer, .. } => self.handle_reinvited(Some(&answer), 200),
            SipEvent::Refreshed { answer, .. } => {
                self.media.take_answer(&self.planes, &answer);
                self.tell_hold();
            }
            SipEvent::ReinviteRefused { code, .. } => self.handle_reinvited(None, code),
            SipEvent::ReferProgress { code, over, .. } => self.handle_refer_progress(code, over),
            // The far end of another call of this telephone.
            SipEvent::Refer { leg, replaces: Some(dialog), .. } => {
                consultation::begin(&self.planes, self.call, leg, dialog).await;
            }
            // Nobody here calls on others' behalf.
            SipEvent::Refer { leg, .. } => told(self.planes.sip.refuse_refer(leg, 603).await),
            // Of calls that we place, or of no call.
            _ => {}
        }
    }

    /// The other side has handed the call to somebody else (RFC 3891), with whom it goes on where it was.
    async fn change_places(
        &mut self,
        leg: LegId,
        (from, identity): (&str, &Peer),
        offer: Option<Vec<u8>>,
        replaces: Option<LegId>,
    ) {
        let sip = &self.planes.sip;
        // A call that still rings there is not ours to pass on; a page that was a moment too late has nothing to take.
        let ours = self.leg;
        if replaces != Some(ours)
            || leg.is_elsewhere()
            || !sip.with(move |agent, _| agent.is_answered(ours)).await.unwrap_or(false)
        {
            return told(sip.reject(leg, 481, "", &[]).await);
        }
        if self.media.hand_over(&self.planes, leg, offer.as_deref()).await {
            info!(call = %self.call, from, "the call was handed over");
            pickup::count(&self.planes, leg, identity);
            let left = std::mem::replace(&mut self.leg, leg);
            told(sip.hang_up(left, Some("replaced")).await);
            self.tell_hold();
        }
    }
}
