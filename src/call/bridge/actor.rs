//! The part of a call's task that performs what the bridge's machine decides: SIP by the transport's handle, audio by two
//! media legs, keys between them. Invariants: both media sessions are given back before the call counts as over; the
//! caller's offer is answered once, whether in a 183 or in the 200 (RFC 3261 §13.2.1). Deliberately absent: the order of
//! things (`machine`).

mod consultation;
mod handover;
mod pages;

use self::consultation::Lent;
use self::handover::Referral;
use super::machine::{Action, BridgeMachine, Input, Refusal, Side};
use super::place::{Destination, host_of, identity, identity_at, leads_back, place_number, redirects};
use crate::call::actor::{self, CLOSE_WAIT, Invitation, Planes, keep, media_json, sleep_for, told};
use crate::call::caller_id;
use crate::call::caps::{Channel, OverCap};
use crate::call::consultation::Taking;
use crate::call::media_leg::{MediaLeg, NoMedia, preference, preference_by, preference_of};
use crate::call::phones;
use crate::call::pickup::Newcomer;
use crate::call::reach::audio_peer;
use crate::call::record::CallEnd;
use crate::call::recording;
use crate::call::registry::CallEvent;
use crate::call::steer::{Order, OrderError, Ordered, Outcome};
use crate::call::trunks::Way;
use crate::config::{BridgeTarget, Trunk, TrunkKind};
use crate::id::CallId;
use crate::limits::{BRIDGE_RINGING_MAX, CALL_MAX};
use crate::media::coders::{SPEECH_RATE, path_rate};
use crate::media::{CloseCause, MediaCommand, MediaEvent, Role};
use crate::os::{clock, random};
use crate::rtp::dtmf::Digits;
use crate::rtp::{Codec, Formats};
use crate::sip::agent::{EndedBy, LegId, Placement, SipEvent};
use crate::sip::dialog::HOPS;
use crate::sip::hop::Hop;
use crate::sip::sdp::{offered_codecs, offers_comfort_noise};
use crate::store::{CallRecord, EventKind};
use crate::twilio::Placed;
use crate::webrtc::LinkEnd;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{info, warn};

type Lookup = Pin<Box<dyn Future<Output = Result<Way, Refusal>> + Send>>;

/// The caller's end.
struct CallerEnd {
    leg: LegId,
    media: MediaLeg,
    offer: Option<Vec<u8>>,
    /// Codecs of the offer that we carry, in the caller's order.
    codecs: Vec<Codec>,
    /// What the offer was answered with, or our offer: said in a 183 and repeated in the 200.
    said: Option<Vec<u8>>,
}

/// The other end; it comes into being when its address is known.
struct CalleeEnd {
    leg: LegId,
    media: MediaLeg,
    /// Its own id in the media plane.
    session: CallId,
    /// The description that the audio goes by.
    heard: Option<Vec<u8>>,
    /// Of its last response.
    latest: Option<Vec<u8>>,
}

struct Bridge<'a> {
    planes: Arc<Planes>,
    call: CallId,
    invitation: &'a Invitation,
    machine: BridgeMachine,
    lookup: Option<Lookup>,
    caller: CallerEnd,
    callee: Option<CalleeEnd>,
    /// Both sessions have been given to the media plane.
    joined: bool,
    /// Somebody else takes the call if the callee does not.
    spare: bool,
    /// What the caller would have been told without.
    given_up: Option<actor::Refusal>,
    /// The callee's leg, until it is in the record.
    placed: Option<LegId>,
    target: &'a BridgeTarget,
    /// Pages that ring for the callee.
    ringing: Option<phones::Ringing>,
    /// A side has asked us to call somebody in its place.
    referral: Option<Referral>,
    /// One side is about to go on in another call.
    lent: Option<Lent>,
    /// A side whose phone was asked to send its audio to another call, in vain, and has not been told otherwise yet.
    astray: Option<(Side, LegId)>,
    /// Somebody else is to take one side's place.
    taking: Option<Taking>,
    /// What sessions were that have gone since.
    left: Vec<serde_json::Value>,
    end: Option<CallEnd>,
}

/// Who calls whom.
struct Called<'a> {
    /// As written.
    from: &'a str,
    number: &'a str,
    /// The caller is not to be seen.
    withheld: bool,
    /// The call is passed on by our route, not at the wish of either side.
    by_us: bool,
}

/// Runs a bridged call to its end. `spare`: somebody else takes it if the callee does not. Error: the caller has had no final
/// answer yet.
pub(in crate::call) async fn serve(
    planes: &Arc<Planes>,
    call: CallId,
    invitation: &Invitation,
    (target, recorded, spare): (&BridgeTarget, bool, bool),
    mailbox: &mut mpsc::Receiver<CallEvent>,
    record: &mut CallRecord,
) -> Result<CallEnd, actor::Refusal> {
    let destination =
        Destination::of(target, &invitation.number).map_err(|why| actor::Refusal::new(404, "Not Found", why))?;
    let trunk = invitation.identity.trunk().and_then(|name| planes.trunks.trunk(name));
    let ours = preference_of(&planes.config(), invitation.leg, trunk.as_ref());
    let peer = audio_peer(invitation.source, invitation.offer.as_deref());
    let mut media = MediaLeg::reserve_for(planes, call, invitation.leg, peer, ours.clone()).await?;
    let codecs = match &invitation.offer {
        None => Vec::new(),
        Some(offer) => offered_codecs(offer, media.local().address, &ours).map_err(NoMedia::from)?,
    };
    media.record(recording::begin(planes, call, recorded));
    let caller = CallerEnd { leg: invitation.leg, media, offer: invitation.offer.clone(), codecs, said: None };
    let mut bridge = Bridge {
        planes: Arc::clone(planes),
        call,
        invitation,
        machine: BridgeMachine::new(clock::monotonic()),
        lookup: Some(Box::pin(destination.resolve(Arc::clone(&planes.trunks)))),
        caller,
        callee: None,
        joined: false,
        spare,
        given_up: None,
        placed: None,
        target,
        ringing: None,
        referral: None,
        lent: None,
        astray: None,
        taking: None,
        left: Vec::new(),
        end: None,
    };
    let latest_end = tokio::time::Instant::now() + CALL_MAX;
    let end = loop {
        if let Some(end) = bridge.end.take() {
            break end;
        }
        let due = bridge.machine.poll_timeout().map(|at| at.since(clock::monotonic()));
        let referral_due = bridge.referral_due();
        tokio::select! {
            biased;
            event = mailbox.recv() => bridge.handle_mail(event).await,
            () = tokio::time::sleep_until(latest_end) => bridge.handle(Input::TooLong),
            found = looked_up(&mut bridge.lookup) => match &bridge.referral {
                Some(_) => bridge.referral_found(found).await,
                None => bridge.place(found).await,
            },
            () = sleep_for(referral_due) => bridge.referral_timeout().await,
            () = sleep_for(due) => bridge.handle(Input::Timeout),
        }
        bridge.perform(record).await;
        bridge.tell_hold();
        bridge.quiet_pages();
        if let Some(leg) = bridge.placed.take() {
            actor::note_leg(planes, leg, record).await;
        }
    };
    bridge.ringing = None;
    bridge.give_referral_up().await;
    bridge.give_consultation_up().await;
    bridge.close(mailbox, record).await;
    match bridge.given_up.take() {
        Some(refusal) => Err(refusal),
        None => Ok(end),
    }
}

async fn looked_up(lookup: &mut Option<Lookup>) -> Result<Way, Refusal> {
    match lookup {
        Some(future) => {
            let found = future.await;
            *lookup = None;
            found
        }
        None => std::future::pending().await,
    }
}

impl Bridge<'_> {
    fn handle(&mut self, input: Input) {
        self.machine.handle(clock::monotonic(), input);
    }

    async fn handle_mail(&mut self, event: Option<CallEvent>) {
        match event {
            Some(CallEvent::Sip(event)) => self.handle_sip(event).await,
            Some(CallEvent::Media(event)) => self.handle_media(event),
            Some(CallEvent::Drain) => self.handle(Input::Drain),
            Some(CallEvent::Linked(_)) => {}
            Some(CallEvent::Unlinked(session, end)) => {
                let (side, leg) = match &self.callee {
                    Some(callee) if session != self.call => (Side::Callee, callee.leg),
                    _ => (Side::Caller, self.caller.leg),
                };
                info!(call = %self.call, ?side, why = %end, "one side has lost its audio");
                self.handle(match end {
                    // A browser says goodbye by that; a telephone does it by BYE as well.
                    LinkEnd::Closed if leg.is_elsewhere() => {
                        Input::Over { side, lost: false, reason: Some(end.to_string()) }
                    }
                    _ => Input::NoMedia(end.to_string()),
                });
            }
            Some(CallEvent::Order(ordered)) => {
                if let Some(ordered) = self.handle_consultation(ordered).await {
                    self.handle_order(ordered);
                }
            }
            // Who asked may be gone.
            Some(CallEvent::PauseRecording { pausing, done }) => {
                let _ = done.send(self.caller.media.pause_recording(pausing));
            }
            None => self.handle(Input::NoMedia("the call could not keep up with its events".to_owned())),
        }
    }

    /// Whoever steers may end a bridged call, and press keys on the callee's side.
    fn handle_order(&mut self, ordered: Ordered) {
        let outcome = match &ordered.order {
            Order::HangUp { reason, .. } => {
                // Who ended it does not want it to go on elsewhere.
                self.spare = false;
                self.handle(Input::Ordered(reason.clone().unwrap_or_else(|| "ended from outside".to_owned())));
                Ok(Outcome::Done)
            }
            Order::SendDigits(digits) => match self.session(Side::Callee).filter(|_| self.joined) {
                Some(call) => {
                    let order = MediaCommand::SendDigits { call, digits: *digits };
                    let busy = |_| OrderError::Unavailable("the media worker takes no commands".to_owned());
                    self.planes.media.send(order).map(|()| Outcome::Done).map_err(busy)
                }
                None => Err(OrderError::Conflict("nobody has answered yet".to_owned())),
            },
            _ => Err(OrderError::Conflict(
                "this call is passed on to somebody else: it can be ended, and keys pressed".to_owned(),
            )),
        };
        ordered.answer(outcome);
    }

    /// The machine knows of whom nothing is reported.
    fn tell_hold(&mut self) {
        for side in [Side::Caller, Side::Callee] {
            if let Some(held) = self.media(side).map(|media| media.held()) {
                self.handle(Input::Held(side, held));
            }
        }
    }

    fn side(&self, leg: LegId) -> Side {
        if leg == self.caller.leg { Side::Caller } else { Side::Callee }
    }

    fn media(&mut self, side: Side) -> Option<&mut MediaLeg> {
        match side {
            Side::Caller => Some(&mut self.caller.media),
            Side::Callee => self.callee.as_mut().map(|c| &mut c.media),
        }
    }

    /// The same, told at which rate the other leg goes: a codec that comes new is opened for that.
    fn leg(&mut self, side: Side) -> Option<&mut MediaLeg> {
        let other = self.media(side.other())?.formats();
        let rate = self.rate(&other, &other);
        let media = self.media(side)?;
        media.run_at(rate);
        Some(media)
    }

    /// The rate at which legs with these formats are joined, Hz. A recording is made at 8 kHz, and so is what it listens to:
    /// either leg.
    fn rate(&self, one: &Formats, other: &Formats) -> u32 {
        if self.caller.media.is_recorded() { SPEECH_RATE } else { path_rate(one, other) }
    }

    /// The id of a side's session in the media plane.
    fn session(&self, side: Side) -> Option<CallId> {
        match side {
            Side::Caller => Some(self.call),
            Side::Callee => self.callee.as_ref().map(|c| c.session),
        }
    }

    async fn handle_sip(&mut self, event: SipEvent) {
        if let SipEvent::Incoming { leg, from, source, identity, offer, replaces, .. } = event {
            return self.change_places(Newcomer { leg, from, source, identity, offer }, replaces).await;
        }
        let Some(event) = self.handle_referral(event).await else { return };
        let Some(event) = self.hear_consultation(event).await else { return };
        if !self.is_ours(event.leg()) {
            return; // of a phone that has handed the call to another
        }
        let side = self.side(event.leg());
        let input = match event {
            SipEvent::Progress { code, answer, .. } => {
                let news = self.heard_anew(answer);
                Input::Progress { code, early: news && self.caller.offer.is_some() }
            }
            SipEvent::Accepted { answer, .. } => {
                self.heard_anew(Some(answer));
                Input::Accepted
            }
            SipEvent::Refused { .. } if self.pages_ring_on() => return,
            SipEvent::Refused { code, reason, retry_after, .. } => Input::Refused { code, reason, retry_after },
            SipEvent::Cancelled { .. } => Input::Cancelled,
            SipEvent::Ended { by, reason, .. } => {
                Input::Over { side, lost: matches!(by, EndedBy::Timeout | EndedBy::TransportError), reason }
            }
            SipEvent::InfoDigit { digit, .. } => Input::Digit(side, digit),
            SipEvent::Confirmed { answer, .. } => {
                let planes = Arc::clone(&self.planes);
                let Some(media) = self.leg(side) else { return };
                match media.confirm(&planes, answer.as_deref()) {
                    Ok(_) => return,
                    Err(why) => Input::NoMedia(why),
                }
            }
            SipEvent::Reinvite { leg, offer, unchanged } => {
                return self.handle_reinvite(side, leg, offer, unchanged).await;
            }
            SipEvent::Reinvited { answer, .. } | SipEvent::Refreshed { answer, .. } => {
                let planes = Arc::clone(&self.planes);
                if let Some(media) = self.leg(side).filter(|_| !answer.is_empty()) {
                    media.take_answer(&planes, &answer);
                }
                return;
            }
            SipEvent::Refer { leg, target, replaces, referred_by } => {
                return self.handle_refer(leg, target, replaces, referred_by).await;
            }
            _ => return,
        };
        self.handle(input);
    }

    fn is_ours(&self, leg: LegId) -> bool {
        // Before its address is known the callee has no leg, and whatever comes is from it or the caller.
        leg == self.caller.leg || self.callee.as_ref().is_none_or(|callee| leg == callee.leg)
    }

    /// Hold, another address, another codec: a matter between that phone and us. The other leg goes on as it was.
    async fn handle_reinvite(&mut self, side: Side, leg: LegId, offer: Option<Vec<u8>>, unchanged: bool) {
        let planes = Arc::clone(&self.planes);
        if unchanged {
            return told(planes.sip.refresh(leg).await);
        }
        let Some(media) = self.leg(side) else { return };
        match media.renegotiate(&planes, offer.as_deref()) {
            Ok(sdp) => told(planes.sip.answer_reinvite(leg, sdp).await),
            // The session goes on as it was (RFC 3261 section 14.2).
            Err(_) => told(planes.sip.reject(leg, 488, "Not Acceptable Here", &[]).await),
        }
    }

    fn handle_media(&mut self, event: MediaEvent) {
        let side = if event.call() == self.call { Side::Caller } else { Side::Callee };
        match event {
            MediaEvent::MediaTimeout { .. } => self.handle(Input::Silent(side)),
            MediaEvent::Refused { .. } => {
                if let Some(media) = self.media(side) {
                    media.forget();
                }
                self.handle(Input::NoMedia("the media worker has no free place".to_owned()));
            }
            MediaEvent::Closed { cause, stats, mut session, .. } => {
                let stats = match cause {
                    CloseCause::Asked => self.take_place(side, stats, session.take_tap()),
                    _ => Some(stats),
                };
                let Some(stats) = stats else { return };
                if let Some(media) = self.media(side) {
                    media.closed(stats);
                }
                match cause {
                    CloseCause::Asked => {}
                    CloseCause::Shutdown => self.handle(Input::Drain),
                    CloseCause::Panicked => self.handle(Input::NoMedia("the call's audio chain failed".to_owned())),
                }
            }
            // Digits that came as RTP have left as RTP.
            _ => {}
        }
    }

    /// A description from the callee; `true` when it is not the one that we go by already.
    fn heard_anew(&mut self, answer: Option<Vec<u8>>) -> bool {
        let (Some(callee), Some(answer)) = (&mut self.callee, answer) else { return false };
        let anew = callee.heard.as_ref() != Some(&answer);
        callee.latest = Some(answer);
        anew
    }

    /// A way that does not come back to us, for a call that may go on.
    fn leads_away(&self, way: Way) -> Result<Way, Refusal> {
        if self.invitation.hops == 0 {
            return Err(Refusal::new(483, "Too Many Hops", "the INVITE came with Max-Forwards 0"));
        }
        let (sip, public) = (self.planes.sip.clone(), self.planes.config().sip.public_address);
        let is_ours = |hop: &&Hop| sip.addresses(hop.transport).any(|ours| leads_back(hop.address, ours, public));
        match way.hops.iter().find(is_ours) {
            Some(hop) => Err(Refusal::new(482, "Loop Detected", format!("{hop} is this daemon: correct the route"))),
            None => Ok(way),
        }
    }

    /// Calls the callee.
    async fn place(&mut self, found: Result<Way, Refusal>) {
        let outcome = match found.and_then(|way| self.leads_away(way)) {
            Ok(way) => self.invite(way).await,
            Err(refusal) => Err(refusal),
        };
        self.handle(match outcome {
            Ok(()) => Input::Placed,
            Err(refusal) => Input::Failed(refusal),
        });
    }

    async fn invite(&mut self, way: Way) -> Result<(), Refusal> {
        let trunk = way.account.as_ref().and_then(|name| self.planes.trunks.trunk(name));
        if let Some(trunk) = trunk.as_ref().filter(|trunk| trunk.kind == TrunkKind::Twilio) {
            let channel = self.channel_of(trunk, &self.invitation.number)?;
            return self.call_by_twilio(&way, trunk, channel);
        }
        let invitation = self.invitation;
        let withheld = caller_id::withheld(&invitation.from, &invitation.headers);
        // Who is withheld is known to carriers all the same.
        let trusted = invitation.identity.trunk().and_then(|name| self.planes.trunks.trunk(name));
        let trusted = trusted.is_some_and(|trunk| trunk.trusts_identity);
        let from = if trunk.is_some() { caller_id::known(invitation, trusted) } else { invitation.from.clone() };
        let pages = way.pages.clone();
        if pages.is_none() || !way.hops.is_empty() {
            let called = Called { from: &from, number: &invitation.number, withheld, by_us: true };
            let callee = self.dial(way, CallId(random::u64()), called, Vec::new()).await?;
            self.planes.registry.join_media(self.call, callee.session);
            self.callee = Some(callee);
        }
        if let Some(number) = pages {
            self.ring_pages(&number);
        }
        Ok(())
    }

    /// What a call to this number takes of a trunk. An emergency is told to the operator, and takes what there is.
    fn channel_of(&self, trunk: &Trunk, number: &str) -> Result<Channel, Refusal> {
        let emergency = self.planes.config().numbers.is_emergency(number);
        if emergency {
            warn!(call = %self.call, number, "AN EMERGENCY NUMBER IS CALLED");
            let data = serde_json::json!({"to": number, "from": self.invitation.from});
            let events = self.planes.store.events();
            let kind = EventKind::CallEmergency;
            keep(events.append(kind, &self.call.to_string(), "", clock::wall(), data), "an event");
        }
        let channel = self.planes.caps.outgoing(trunk, clock::monotonic(), emergency);
        let busy = |error: OverCap| Refusal::new(503, "Service Unavailable", error.to_string());
        channel.map_err(busy)
    }

    /// Calls somebody who is to be joined with a leg of ours, on behalf of `from`.
    async fn dial(
        &mut self,
        way: Way,
        session: CallId,
        Called { from, number, withheld, by_us }: Called<'_>,
        mut headers: Vec<(String, String)>,
    ) -> Result<CalleeEnd, Refusal> {
        let trunk = way.account.as_ref().and_then(|name| self.planes.trunks.trunk(name));
        if trunk.as_ref().is_some_and(|trunk| trunk.kind == TrunkKind::Twilio) {
            return Err(Refusal::new(603, "Decline", "nobody is handed over by this trunk"));
        }
        let channel = trunk.as_ref().map(|trunk| self.channel_of(trunk, number)).transpose()?;
        let Some(hop) = way.hops.first().cloned() else {
            let why = "a page alone waits there, and calls are handed over to telephones only";
            return Err(Refusal::new(480, "Temporarily Unavailable", why));
        };
        let (planes, call) = (Arc::clone(&self.planes), self.call);
        // What the caller says of its pauses can go on only to a phone that knows it, too.
        let local = self.caller.media.local().address;
        let noise = self.caller.offer.as_ref();
        let noise = noise.is_some_and(|o| offers_comfort_noise(o, local, &preference(&planes.config())));
        let ours = preference_by(&planes.config(), trunk.as_ref()).with_comfort_noise(noise);
        let mut media = MediaLeg::reserve(&planes, session, hop.address, ours.clone()).await.map_err(refused)?;
        // What the caller has comes first: then nothing need be transcoded.
        let mut codecs = self.caller.codecs.clone();
        codecs.extend(ours.codecs().iter().filter(|c| !self.caller.codecs.contains(c)));
        headers.extend(way.routes.into_iter().map(|route| ("Route".to_owned(), route)));
        let host = media.local().address;
        let from = match &trunk {
            Some(trunk) => identity_at(from, trunk),
            None => identity(from, host),
        };
        let (from, identity) = caller_id::present(from, withheld, trunk.as_ref());
        headers.extend(identity);
        if let Some(trunk) = trunk.as_ref().filter(|_| by_us) {
            headers.extend(caller_id::forwarded(self.invitation, &host_of(&host), &way.target, trunk));
        }
        let placement = Placement {
            target: way.target,
            hops: way.hops,
            from,
            sdp: media.offer(&codecs),
            // No caller makes a loop through us longer than we would.
            max_forwards: self.invitation.hops.min(HOPS).saturating_sub(1),
            headers,
            account: way.account,
            redirects: redirects(&planes.config(), trunk.as_ref(), number),
            others: way.others,
        };
        info!(%call, to = %placement.target, %hop, places = placement.others.len() + 1, "the call is passed on");
        let adopting = Arc::clone(&planes);
        let placed = planes.sip.place(placement, move |leg| {
            adopting.registry.join_leg(call, leg);
            channel.into_iter().for_each(|channel| adopting.registry.hold(leg, channel));
        });
        let leg = placed.await.map_err(|error| Refusal::new(503, "Service Unavailable", error.to_string()))?;
        self.placed = Some(leg);
        Ok(CalleeEnd { leg, media, session, heard: None, latest: None })
    }

    /// Has Twilio call the number; its audio will come by a media stream. Whoever is bridged cannot be shown there: the number
    /// has to be one of the account's.
    fn call_by_twilio(&mut self, way: &Way, trunk: &Trunk, channel: Channel) -> Result<(), Refusal> {
        let unavailable = |why: String| Refusal::new(503, "Service Unavailable", why);
        let shown = || unavailable(format!("trunk {} has no from_user, the number that is shown", trunk.name));
        let from = trunk.from_user.clone().ok_or_else(shown)?;
        let (planes, call, session) = (Arc::clone(&self.planes), self.call, CallId(random::u64()));
        let door = planes.sip.twilio();
        let leg = door.reserve();
        planes.registry.join_leg(call, leg);
        planes.registry.hold(leg, channel);
        let placed = MediaLeg::reserve_ring(&planes, session, leg).map_err(refused);
        let placed = placed.and_then(|mut media| {
            media.offer(&[Codec::Pcmu]);
            let to = place_number(&way.target);
            info!(%call, to, trunk = %trunk.name, "the call is passed on");
            door.place(Placed { leg, to, from, ringing: BRIDGE_RINGING_MAX }).map_err(unavailable)?;
            Ok(media)
        });
        match placed {
            Ok(media) => {
                planes.registry.join_media(call, session);
                self.callee = Some(CalleeEnd { leg, media, session, heard: None, latest: None });
                Ok(())
            }
            Err(refusal) => {
                // It may be gone.
                let _ = door.hang_up(leg);
                Err(refusal)
            }
        }
    }

    async fn perform(&mut self, record: &mut CallRecord) {
        while let Some(action) = self.machine.poll_action() {
            let sip = self.planes.sip.clone();
            let leg = self.caller.leg;
            match action {
                Action::Ring => told(sip.ring(leg).await),
                Action::Early => match self.join() {
                    Ok(sdp) => told(sip.progress(leg, 183, Some(sdp)).await),
                    Err(error) => {
                        warn!(call = %self.call, why = error.refusal().2, "a description before the answer cannot be used");
                        // What is heard already goes on.
                        if !self.joined {
                            self.handle(Input::NoEarlyMedia);
                        }
                    }
                },
                Action::Answer => match self.join() {
                    Ok(sdp) => {
                        let accepted = sip.accept(leg, sdp).await;
                        if accepted.is_ok() {
                            self.caller.media.handle_answer();
                            self.note_answer(record);
                        }
                        // A caller who gave up meanwhile is in the mailbox already.
                        told(accepted);
                    }
                    Err(error) => {
                        let (code, phrase, why) = error.refusal();
                        // The callee's description was at fault, not the caller's.
                        let (code, phrase) = if code == 400 { (502, "Bad Gateway") } else { (code, phrase) };
                        self.handle(Input::Failed(Refusal::new(code, phrase, why)));
                    }
                },
                Action::Refuse(refusal) if self.spare && self.caller.said.is_none() => {
                    self.given_up = Some(actor::Refusal::new(refusal.code, refusal.phrase, refusal.why));
                }
                Action::Refuse(refusal) => {
                    warn!(call = %self.call, code = refusal.code, why = %refusal.why, "call refused");
                    let seconds = refusal.retry_after.map(|s| s.to_string());
                    let extra: Vec<_> = seconds.as_deref().map(|s| ("Retry-After", s)).into_iter().collect();
                    told(sip.reject(leg, refusal.code, refusal.phrase, &extra).await);
                }
                Action::HangUp(Side::Caller, reason) => self.leave(leg, &reason).await,
                Action::HangUp(Side::Callee, reason) => {
                    if let Some(leg) = self.callee.as_ref().map(|callee| callee.leg) {
                        self.leave(leg, &reason).await;
                    }
                }
                Action::SendDigit(side, digit) => self.send_digit(side, digit),
                Action::End(end) => self.end = Some(end),
            }
        }
    }

    fn note_answer(&self, record: &mut CallRecord) {
        record.answered = Some(clock::wall());
        self.planes.registry.answered(self.call, &record.app, None);
        keep(self.planes.store.calls().record(record.clone()), "the call's record");
    }

    fn send_digit(&mut self, side: Side, digit: char) {
        // A leg without telephone events gets the key as tones.
        let Some(call) = self.session(side) else { return };
        let Ok(digits) = digit.to_string().parse::<Digits>() else { return };
        if self.planes.media.send(MediaCommand::SendDigits { call, digits }).is_err() {
            warn!(call = %self.call, "the media worker takes no commands; a key is lost");
        }
    }

    /// Goes by the callee's latest description, and joins the audio of both if that has not been done. Returns what the
    /// caller is told.
    fn join(&mut self) -> Result<Vec<u8>, NoMedia> {
        self.hear()?;
        if let Some(said) = &self.caller.said {
            return Ok(said.clone());
        }
        let Some(callee) = &mut self.callee else { return Err(nobody()) };
        let theirs = callee.media.formats();
        // The callee's codec, if the caller has it: then packets pass as they are.
        self.caller.media.favour(theirs.send.codec);
        let said = self.caller.media.answer(self.caller.offer.as_deref())?;
        let ours = self.caller.media.formats();
        let rate = self.rate(&ours, &theirs);
        let Some(callee) = &mut self.callee else { return Err(nobody()) };
        self.caller.media.prepare(Role::Bridge { partner: callee.session }, rate)?;
        callee.media.prepare(Role::Bridge { partner: self.call }, rate)?;
        for media in [&mut callee.media, &mut self.caller.media] {
            media.start(&self.planes).map_err(NoMedia::NoCapacity)?;
        }
        self.joined = true;
        self.caller.said = Some(said.clone());
        Ok(said)
    }

    /// Goes by the callee's latest description.
    fn hear(&mut self) -> Result<(), NoMedia> {
        let joined = self.joined;
        let caller = self.caller.media.formats();
        let rate = self.rate(&caller, &caller);
        let Some(callee) = &mut self.callee else { return Err(nobody()) };
        let Some(latest) = callee.latest.clone().filter(|latest| callee.heard.as_ref() != Some(latest)) else {
            return Ok(());
        };
        callee.media.accept_answer(&latest)?;
        callee.heard = Some(latest);
        if joined {
            callee.media.run_at(rate);
            callee.media.apply(&self.planes);
        }
        Ok(())
    }

    /// Takes both sessions back and writes down what they were.
    async fn close(&mut self, mailbox: &mut mpsc::Receiver<CallEvent>, record: &mut CallRecord) {
        for side in [Side::Caller, Side::Callee] {
            let planes = Arc::clone(&self.planes);
            if let Some(media) = self.media(side) {
                media.close(&planes);
            }
        }
        let deadline = tokio::time::Instant::now() + CLOSE_WAIT;
        while self.is_running() {
            match tokio::time::timeout_at(deadline, mailbox.recv()).await {
                Ok(Some(CallEvent::Media(event))) => self.handle_media(event),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    warn!(call = %self.call, "the media worker did not give the call back");
                    break;
                }
            }
        }
        let mut media = self.media_record(Side::Caller);
        if let (Some(object), Some(other)) = (&mut media, self.media_record(Side::Callee)) {
            object["callee"] = other;
        }
        if let Some(object) = media.as_mut().filter(|_| !self.left.is_empty()) {
            object["handed_over"] = std::mem::take(&mut self.left).into();
        }
        record.media = media;
    }

    fn is_running(&self) -> bool {
        self.caller.media.is_running() || self.callee.as_ref().is_some_and(|c| c.media.is_running())
    }

    fn media_record(&mut self, side: Side) -> Option<serde_json::Value> {
        let media = self.media(side)?;
        let mut object = media_json(&media.stats()?);
        object["codec"] = media.formats().send.codec.encoding_name().into();
        Some(object)
    }
}

fn refused(error: NoMedia) -> Refusal {
    let (code, phrase, why) = error.refusal();
    Refusal::new(code, phrase, why)
}

fn nobody() -> NoMedia {
    NoMedia::NoCapacity("nobody was called".to_owned())
}
