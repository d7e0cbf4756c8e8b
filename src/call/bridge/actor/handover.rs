//! One side of a bridge is somebody else from now on: it has handed its end over (Replaces, RFC 3891), a call that rings there
//! is taken elsewhere, or it has asked us to call somebody in its place (REFER, RFC 3515). Invariants: the other side stays
//! where it is until somebody has taken the call; a transfer that fails gives it back to whoever asked, unless that one has
//! hung up; strangers transfer nobody at our cost: only extensions and neighbours may, and to what they could dial.
//! Deliberately absent: joining two calls of ours (`consultation`), and transfers to anybody but telephones.

use super::{Bridge, Called as Calling, CalleeEnd, Lookup, refused};
use crate::call::actor::{media_json, told};
use crate::call::bridge::machine::{Input, Refusal, Side};
use crate::call::bridge::place::Destination;
use crate::call::caller_id;
use crate::call::consultation;
use crate::call::manners::user_of;
use crate::call::pickup::{self, Newcomer};
use crate::call::registry::CallState;
use crate::call::trunks::Way;
use crate::config::{App, BridgeTarget, Called};
use crate::limits::REFERRED_RINGING_MAX;
use crate::media::recorder::Tap;
use crate::media::{Role, SessionStats};
use crate::os::clock;
use crate::sip::agent::{LegId, SipEvent, replaces_value};
use crate::sip::dialog::DialogId;
use crate::sip::peer::Peer;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// A side has asked us to call somebody in its place.
pub(super) struct Referral {
    side: Side,
    /// Its leg.
    asker: LegId,
    /// It has hung up: there is nobody to give the call back to.
    gone: bool,
    /// Whom it wants called, as it would dial.
    number: String,
    /// Further fields of our INVITE.
    headers: Vec<(String, String)>,
    /// Who is rung.
    target: Option<CalleeEnd>,
    /// They have answered: the asker's audio is being closed.
    answered: bool,
    give_up: tokio::time::Instant,
}

impl Bridge<'_> {
    /// One side has handed its end to somebody else (RFC 3891): the other hears nothing of it but the voice.
    pub(super) async fn change_places(&mut self, newcomer: Newcomer, replaces: Option<LegId>) {
        let planes = Arc::clone(&self.planes);
        let leg = newcomer.leg;
        let Some(replaced) = replaces.filter(|replaced| self.is_ours(*replaced)) else {
            return told(planes.sip.reject(leg, 481, "", &[]).await);
        };
        let side = self.side(replaced);
        // A page that was a moment later than a telephone takes nothing from it.
        if leg.is_elsewhere() && self.machine.is_answered() {
            return told(planes.sip.reject(leg, 481, "", &[]).await);
        }
        if !planes.sip.with(move |agent, _| agent.is_answered(replaced)).await.unwrap_or(false) {
            return self.pick_up(newcomer, replaced).await;
        }
        let Some(media) = self.leg(side).filter(|media| media.is_running()) else {
            return told(planes.sip.reject(leg, 481, "", &[]).await);
        };
        if media.hand_over(&planes, leg, newcomer.offer.as_deref()).await {
            info!(call = %self.call, from = newcomer.from, ?side, "one side was handed over");
            pickup::count(&planes, leg, &newcomer.identity);
            self.stands_on(side, leg);
            told(planes.sip.hang_up(replaced, Some("replaced")).await);
        }
    }

    /// The callee's phone rings, and another one takes the call.
    async fn pick_up(&mut self, newcomer: Newcomer, replaced: LegId) {
        let (planes, leg) = (Arc::clone(&self.planes), newcomer.leg);
        let joined = self.joined;
        // Before its address is known, and after its answer, there is nothing to take.
        let Some(callee) = self.callee.as_mut().filter(|callee| callee.leg == replaced) else {
            return told(planes.sip.reject(leg, 481, "", &[]).await);
        };
        if self.machine.is_answered() {
            return told(planes.sip.reject(leg, 481, "", &[]).await);
        }
        if joined {
            // Its audio was heard before the answer: the session goes on with the newcomer.
            if !callee.media.hand_over(&planes, leg, newcomer.offer.as_deref()).await {
                return;
            }
            info!(call = %self.call, from = newcomer.from, "another telephone takes the call");
            pickup::count(&planes, leg, &newcomer.identity);
        } else {
            let Some(media) = pickup::answer(&planes, callee.session, &newcomer).await else { return };
            callee.media = media;
        }
        (callee.leg, callee.heard, callee.latest) = (leg, None, None);
        pickup::silence(&planes, replaced).await;
        self.handle(Input::Accepted);
    }

    pub(super) fn stands_on(&mut self, side: Side, leg: LegId) {
        match (side, &mut self.callee) {
            (Side::Callee, Some(callee)) => callee.leg = leg,
            _ => self.caller.leg = leg,
        }
    }

    /// When the one who is called in somebody's place has rung for long enough.
    pub(super) fn referral_due(&self) -> Option<Duration> {
        let referral = self.referral.as_ref().filter(|referral| !referral.answered)?;
        Some(referral.give_up.saturating_duration_since(tokio::time::Instant::now()))
    }

    pub(super) async fn referral_timeout(&mut self) {
        let why = format!("nobody answered within {} s", REFERRED_RINGING_MAX.as_secs());
        self.referral_failed(480, &why).await;
    }

    /// Who asks, as far as that gives a right to call others.
    fn peer(&self, side: Side) -> Option<Peer> {
        match (side, self.target) {
            (Side::Caller, _) => Some(self.invitation.identity.clone()).filter(|peer| peer.trunk().is_none()),
            (Side::Callee, BridgeTarget::Extension(_)) => {
                Some(Peer::Extension(self.target.uri(&self.invitation.number).into()))
            }
            // Whoever answers there is a stranger to us.
            (Side::Callee, BridgeTarget::Trunk { .. } | BridgeTarget::Uri(_)) => None,
        }
    }

    /// One side asks us to call somebody in its place.
    pub(super) async fn handle_refer(
        &mut self,
        leg: LegId,
        target: String,
        replaces: Option<DialogId>,
        referred_by: Option<String>,
    ) {
        let side = self.side(leg);
        let planes = Arc::clone(&self.planes);
        if let Some(dialog) = replaces.clone() {
            let named = dialog.clone();
            if planes.sip.with(move |agent, _| agent.leg_of(&named).is_some()).await.unwrap_or(true) {
                return consultation::begin(&planes, self.call, leg, dialog).await;
            }
        }
        let found = self.referred_to(side, &target);
        let (number, lookup) = match found {
            Ok(found) if self.referral.is_none() && self.machine.is_answered() => found,
            outcome => {
                let code = outcome.err().unwrap_or(603);
                info!(call = %self.call, ?side, target, code, "a transfer that was asked for is refused");
                return told(planes.sip.refuse_refer(leg, code).await);
            }
        };
        let accepted = planes.sip.with(move |agent, now| agent.accept_refer(now, leg)).await;
        if !matches!(accepted, Ok(Ok(()))) {
            return;
        }
        info!(call = %self.call, ?side, number, "one side hands the other over");
        let replaces = replaces.map(|dialog| ("Replaces".to_owned(), replaces_value(&dialog)));
        let referred_by = referred_by.map(|who| ("Referred-By".to_owned(), who));
        self.lookup = Some(lookup);
        self.referral = Some(Referral {
            side,
            asker: leg,
            gone: false,
            number,
            headers: replaces.into_iter().chain(referred_by).collect(),
            target: None,
            answered: false,
            give_up: tokio::time::Instant::now() + REFERRED_RINGING_MAX,
        });
    }

    /// Where a number leads that this side names: whatever it could dial itself. Error: code that refuses the REFER.
    fn referred_to(&self, side: Side, target: &str) -> Result<(String, Lookup), u16> {
        let peer = self.peer(side).ok_or(603u16)?;
        let number = user_of(&format!("<{target}>"));
        let from = match &peer {
            Peer::Extension(number) => number.to_string(),
            Peer::Trunk(_) | Peer::Attached => user_of(&self.invitation.from),
        };
        let config = self.planes.config();
        let called = Called { number: &number, from: &from, trunk: None };
        let app = config.find_route(&called).and_then(|route| route.app_at(clock::wall())).ok_or(404u16)?;
        // Who is handed over keeps talking to a telephone.
        let App::Bridge(target) = app else { return Err(603) };
        let destination = Destination::of(target, &number).map_err(|_| 404u16)?;
        Ok((number, Box::pin(destination.resolve(Arc::clone(&self.planes.trunks)))))
    }

    /// Where the one is whom we are to call.
    pub(super) async fn referral_found(&mut self, found: Result<Way, Refusal>) {
        let Some(referral) = &self.referral else { return };
        let (side, number, headers) = (referral.side, referral.number.clone(), referral.headers.clone());
        let Some(session) = self.session(side) else { return };
        // The one who stays is seen calling.
        let (from, withheld) = match side {
            Side::Callee => {
                let from = &self.invitation.from;
                (from.clone(), caller_id::withheld(from, &self.invitation.headers))
            }
            Side::Caller => (format!("<sip:{}@localhost>", self.invitation.number), false),
        };
        let placed = match found.and_then(|way| self.leads_away(way)) {
            Ok(way) => {
                let called = Calling { from: &from, number: &number, withheld, by_us: false };
                self.dial(way, session, called, headers).await
            }
            Err(refusal) => Err(refusal),
        };
        match placed {
            Ok(target) => {
                let Some(referral) = &mut self.referral else { return };
                referral.target = Some(target);
            }
            Err(refusal) => self.referral_failed(refusal.code, &refusal.why).await,
        }
    }

    /// Takes what is about the transfer that is under way; gives other events back.
    pub(super) async fn handle_referral(&mut self, event: SipEvent) -> Option<SipEvent> {
        let Some(referral) = &mut self.referral else { return Some(event) };
        if event.leg() == referral.asker {
            if matches!(event, SipEvent::Ended { .. }) {
                // It trusts us to put the call through.
                referral.gone = true;
                return None;
            }
            return Some(event);
        }
        let Some(target) = referral.target.as_mut().filter(|target| target.leg == event.leg()) else {
            return Some(event);
        };
        let (asker, gone) = (referral.asker, referral.gone);
        match event {
            SipEvent::Progress { code, .. } if !gone => self.notify(asker, code).await,
            SipEvent::Accepted { answer, .. } => match target.media.accept_answer(&answer) {
                Ok(()) => {
                    target.heard = Some(answer);
                    referral.answered = true;
                    let (side, planes) = (referral.side, Arc::clone(&self.planes));
                    if !gone {
                        self.notify(asker, 200).await;
                        // The others need not wait for it.
                        let leaving = Arc::clone(&planes);
                        tokio::spawn(async move {
                            consultation::outcome_told(&leaving, asker).await;
                            told(leaving.sip.hang_up(asker, Some("transferred")).await);
                        });
                    }
                    if let Some(media) = self.media(side) {
                        media.close(&planes);
                    }
                }
                Err(error) => {
                    let (code, _, why) = error.refusal();
                    self.referral_failed(code, &why).await;
                }
            },
            SipEvent::Refused { code, reason, .. } => {
                referral.target = None;
                self.referral_failed(code, &reason).await;
            }
            SipEvent::Ended { reason, .. } => {
                let (answered, side) = (referral.answered, referral.side);
                referral.target = None;
                if answered {
                    // Before we could join the two.
                    self.referral = None;
                    self.handle(Input::Over { side, lost: false, reason });
                } else {
                    self.referral_failed(480, "it ended before the answer").await;
                }
            }
            SipEvent::Reinvite { leg, .. } => told(self.planes.sip.reject(leg, 491, "", &[]).await),
            SipEvent::Refer { leg, .. } => told(self.planes.sip.refuse_refer(leg, 603).await),
            _ => {}
        }
        None
    }

    async fn notify(&mut self, asker: LegId, code: u16) {
        // It may have gone, or not want to know.
        let _ = self.planes.sip.with(move |agent, now| agent.notify_refer(now, asker, code)).await;
    }

    /// Nobody takes the call: it is as it was before, if there is somebody to go back to.
    async fn referral_failed(&mut self, code: u16, why: &str) {
        let Some(referral) = self.referral.take() else { return };
        self.lookup = None;
        warn!(call = %self.call, number = referral.number, code, why, "the transfer that was asked for fails");
        if let Some(target) = &referral.target {
            told(self.planes.sip.hang_up(target.leg, Some(why)).await);
        }
        if referral.gone {
            let reason = Some(format!("the transfer to {} failed: {why}", referral.number));
            self.handle(Input::Over { side: referral.side, lost: false, reason });
        } else {
            self.notify(referral.asker, code.clamp(300, 699)).await;
        }
    }

    /// The asker's session has been given back, and the one who was called takes its place; where the call is recorded by that
    /// session (`tap`), it goes on being. `Some`: it was none of that.
    pub(super) fn take_place(&mut self, side: Side, stats: SessionStats, tap: Option<Tap>) -> Option<SessionStats> {
        if !self.referral.as_ref().is_some_and(|referral| referral.answered && referral.side == side) {
            return Some(stats);
        }
        let target = self.referral.take().and_then(|referral| referral.target);
        let Some(CalleeEnd { leg, mut media, session, heard, .. }) = target else { return Some(stats) };
        let mut left = media_json(&stats);
        left["side"] = match side {
            Side::Caller => "caller".into(),
            Side::Callee => "callee".into(),
        };
        self.left.push(left);
        let planes = Arc::clone(&self.planes);
        let (partner, rate) = match (self.session(side.other()), self.media(side.other())) {
            (Some(partner), Some(media)) => (partner, media.rate()),
            _ => return Some(stats),
        };
        if side == Side::Caller {
            media.go_on_recording(&mut self.caller.media, tap);
        }
        let begun = media.prepare(Role::Bridge { partner }, rate).map_err(|error| refused(error).why);
        let begun = begun.and_then(|_| media.start(&planes));
        match (side, &mut self.callee) {
            (Side::Callee, Some(callee)) => *callee = CalleeEnd { leg, media, session, latest: heard.clone(), heard },
            _ => (self.caller.leg, self.caller.media) = (leg, media),
        }
        info!(call = %self.call, ?side, "somebody else is on this side now");
        planes.registry.is_now(self.call, CallState::Answered);
        if let Err(why) = begun {
            self.handle(Input::NoMedia(why));
        }
        None
    }

    /// The call ends: who is rung for a transfer is left alone.
    pub(super) async fn give_referral_up(&mut self) {
        let Some(referral) = self.referral.take() else { return };
        if let Some(target) = referral.target {
            told(self.planes.sip.hang_up(target.leg, Some("the other side is gone")).await);
        }
    }

    /// Hangs up a leg of the call. Who waits to hear how a transfer went is told first: after the BYE it is told nothing.
    pub(super) async fn leave(&mut self, leg: LegId, reason: &str) {
        let waits = |referral: &&mut Referral| referral.asker == leg && !referral.gone && !referral.answered;
        if let Some(referral) = self.referral.as_mut().filter(waits) {
            referral.gone = true;
            self.notify(leg, 487).await;
            consultation::outcome_told(&self.planes, leg).await;
        }
        told(self.planes.sip.hang_up(leg, Some(reason)).await);
    }
}
