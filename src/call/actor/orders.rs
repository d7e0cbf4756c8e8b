//! What somebody outside has a call do. Part of the call's task. Invariants: an order that cannot be carried out changes
//! nothing and says why; whoever leaves a room is again what it was before; keys of callers are told to nobody while an agent
//! talks (they may be a PIN). Deliberately absent: joining several calls (`transfer`, and whoever steers).

use super::{Actor, keep};
use crate::call::exchange::CallInput;
use crate::call::message;
use crate::call::operator::Operator;
use crate::call::player::Source;
use crate::call::record::{CallEnd, EndClass};
use crate::call::registry::CallState;
use crate::call::room::{RoomId, RoomSeat};
use crate::call::steer::{After, Heard, Order, OrderError, Ordered, Outcome, samples};
use crate::id::{Generation, UtteranceId};
use crate::media::{MediaCommand, SpeechEnds};
use crate::os::clock;
use crate::sip::agent::{AgentError, LegId};
use crate::sip::transport::SipError;
use crate::speech::SpeechEvent;
use crate::store::{CallRecord, EventKind, Message};
use callwright_dsp::tone::Signal;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// Utterances that were ordered of a talking agent's call stand apart from the agent's own.
const ORDERED: u32 = 1 << 30;
/// The beep before a message: 400 ms.
const BEEP_SAMPLES: usize = 3200;
/// The recogniser has this long for the last words of a message.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);
/// Those of rooms are nobody's business.
const ORDERED_END: u32 = 1 << 31;

/// How long a key sounds that is sent by INFO, milliseconds.
const INFO_MS: u16 = 160;

/// What an order waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// The answer to a re-INVITE.
    Hold,
    /// The end of what a REFER has asked for.
    Refer,
}

/// What the agent says to a verb that the call is in no state for.
fn not_now(asked: Result<Result<(), AgentError>, SipError>) -> Result<(), OrderError> {
    match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(AgentError::UnknownLeg(_))) => Err(OrderError::NoCall),
        Ok(Err(AgentError::BadTarget)) => Err(OrderError::Unprocessable(AgentError::BadTarget.to_string())),
        Ok(Err(error)) => Err(OrderError::conflict(error.to_string())),
        Err(error) => Err(OrderError::Unavailable(error.to_string())),
    }
}

/// A call's time in a room.
pub(super) struct Stay {
    seat: RoomSeat,
    after: After,
    generation: Generation,
    /// Utterances that were ordered before.
    numbered: u32,
}

/// How many are in the room, when that has changed.
pub(super) async fn present(stay: &mut Option<Stay>) -> usize {
    match stay {
        Some(stay) => stay.seat.changed().await,
        None => std::future::pending().await,
    }
}

/// What the ears of a steered call say.
pub(super) async fn heard(operator: &mut Option<Operator>) -> Option<SpeechEvent> {
    match operator {
        Some(operator) => operator.speech.recv().await,
        None => std::future::pending().await,
    }
}

impl Actor {
    pub(super) async fn handle_order(&mut self, ordered: Ordered) {
        // These are answered when the other side has.
        let (waits, begun) = match &ordered.order {
            // Browsers and Twilio know no hold: it is ours alone.
            Order::Hold | Order::Resume if self.leg.is_elsewhere() => {
                let hold = matches!(ordered.order, Order::Hold);
                let outcome = self.may_hold(hold).map(|()| {
                    self.held_now(hold);
                    self.tell_hold();
                    Outcome::Done
                });
                return ordered.answer(outcome);
            }
            Order::Hold | Order::Resume => (Wait::Hold, self.begin_hold(matches!(ordered.order, Order::Hold)).await),
            Order::TakeOver { .. } => return self.begin_taking(ordered).await,
            Order::Refer { to, replaces } => (Wait::Refer, self.begin_refer(to.clone(), *replaces).await),
            _ => return self.obey(ordered).await,
        };
        match begun {
            Ok(()) => self.waiting.push((waits, ordered)),
            Err(error) => ordered.answer(Err(error)),
        }
    }

    fn may_hold(&self, hold: bool) -> Result<(), OrderError> {
        if self.waiting.iter().any(|(wait, _)| *wait == Wait::Hold) {
            return Err(OrderError::conflict("the call is being held, or taken back, already"));
        }
        if self.holds == hold {
            return Err(OrderError::conflict(if hold { "the call is held already" } else { "the call is not held" }));
        }
        Ok(())
    }

    async fn begin_hold(&mut self, hold: bool) -> Result<(), OrderError> {
        self.may_hold(hold)?;
        let (leg, offer) = (self.leg, self.media.offer_hold(hold));
        not_now(self.planes.sip.reinvite(leg, offer).await)
    }

    async fn begin_refer(&mut self, to: String, replaces: Option<LegId>) -> Result<(), OrderError> {
        let leg = self.leg;
        not_now(self.planes.sip.refer(leg, to, replaces).await)
    }

    /// The other side has answered our re-INVITE.
    pub(super) fn handle_reinvited(&mut self, answer: Option<&[u8]>, code: u16) {
        if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
            self.media.take_answer(&self.planes, answer);
        }
        if let Some(ordered) = self.take_waiting(Wait::Hold) {
            let hold = matches!(ordered.order, Order::Hold);
            if answer.is_some() {
                self.held_now(hold);
                ordered.answer(Ok(Outcome::Done));
            } else {
                ordered.answer(Err(OrderError::conflict(format!("the other side refused it: {code}"))));
            }
        }
        self.tell_hold();
    }

    fn held_now(&mut self, hold: bool) {
        self.holds = hold;
        self.media.hold(&self.planes, hold);
        self.planes.registry.is_now(self.call, if hold { CallState::Held } else { CallState::Answered });
        self.tell_event(EventKind::CallHeld, json!({"held": hold}));
    }

    /// How far the other side's phone is with calling somebody else.
    pub(super) fn handle_refer_progress(&mut self, code: u16, over: bool) {
        if !over && code < 200 {
            return;
        }
        if let Some(ordered) = self.take_waiting(Wait::Refer) {
            ordered.answer(match code {
                200..300 => Ok(Outcome::Done),
                _ => Err(OrderError::conflict(format!("the phone did not reach it, or will not try: {code}"))),
            });
        }
    }

    fn take_waiting(&mut self, wanted: Wait) -> Option<Ordered> {
        let at = self.waiting.iter().position(|(wait, _)| *wait == wanted)?;
        Some(self.waiting.swap_remove(at).1)
    }

    async fn obey(&mut self, ordered: Ordered) {
        let outcome = self.carry_out(ordered.order.clone()).await;
        ordered.answer(outcome);
    }

    async fn carry_out(&mut self, order: Order) -> Result<Outcome, OrderError> {
        match order {
            Order::Answer { .. } => Err(OrderError::conflict("the call has been answered already")),
            Order::Say { text } => self.say(text),
            Order::Finish { heard } => self.finish(heard),
            Order::Play { pcm } => self.play_samples(pcm),
            Order::Hush => {
                self.voiced()?;
                match &mut self.voices.operator {
                    Some(operator) => operator.hush(&self.planes),
                    None => return Err(OrderError::conflict("an agent talks: only its caller interrupts it")),
                }
                Ok(Outcome::Done)
            }
            Order::SendDigits(digits) => {
                if self.voices.talk.is_none()
                    && self.voices.operator.is_none()
                    && self.voices.seat.is_none()
                    && self.stay.is_none()
                {
                    return Err(OrderError::conflict("this call is an echo: it sends what it hears and nothing else"));
                }
                let order = MediaCommand::SendDigits { call: self.call, digits };
                let busy = |_| OrderError::Unavailable("the media worker takes no commands".to_owned());
                self.planes.media.send(order).map(|()| Outcome::Done).map_err(busy)
            }
            Order::SendInfo(digits) => {
                let leg = self.leg;
                let sent = self.planes.sip.with(move |agent, now| {
                    digits.chars().try_for_each(|digit| agent.send_digit(now, leg, digit, INFO_MS))
                });
                not_now(sent.await).map(|()| Outcome::Done)
            }
            Order::FarEnd { .. } | Order::GoOn { .. } | Order::HandedOver { .. } => {
                Err(OrderError::conflict("the call is no bridge"))
            }
            Order::Hold | Order::Resume | Order::Refer { .. } | Order::TakeOver { .. } => {
                Err(OrderError::conflict("it is answered elsewhere"))
            }
            Order::Join { room, after } => self.join(room, after).await.map(|()| Outcome::Done),
            Order::Leave { line } => self.leave(line).await.map(|()| Outcome::Done),
            Order::HangUp { reason, .. } => {
                let reason = reason.unwrap_or_else(|| "ended from outside".to_owned());
                self.end = Some(CallEnd::new(EndClass::OperatorHungUp, reason));
                Ok(Outcome::Done)
            }
        }
    }

    /// Whether there is a voice that can be told what to say.
    fn voiced(&self) -> Result<(), OrderError> {
        let voices = &self.voices;
        match () {
            () if self.stay.is_some() => Err(OrderError::conflict("the call is in a room with others: end that first")),
            () if voices.operator.is_some() || voices.talk.as_ref().is_some_and(|talk| talk.lane.is_some()) => Ok(()),
            () if voices.seat.is_some() => {
                Err(OrderError::conflict("the call is played a tone or a file and has no voice"))
            }
            () => Err(OrderError::conflict("the call is an echo and has no voice")),
        }
    }

    fn say(&mut self, text: String) -> Result<Outcome, OrderError> {
        self.voiced()?;
        match &mut self.voices.operator {
            Some(operator) => Ok(Outcome::Queued { utterance: operator.say(text).0 }),
            None => {
                self.tell(CallInput::Announce(text));
                Ok(Outcome::Done)
            }
        }
    }

    fn play_samples(&mut self, pcm: Arc<[i16]>) -> Result<Outcome, OrderError> {
        self.voiced()?;
        if let Some(operator) = &mut self.voices.operator {
            return Ok(Outcome::Queued { utterance: operator.play(pcm).0 });
        }
        self.ordered += 1;
        let utterance = UtteranceId(ORDERED + self.ordered);
        if let Some(lane) = self.voices.talk.as_ref().and_then(|talk| talk.lane.as_ref()) {
            lane.play(utterance, pcm);
        }
        Ok(Outcome::Queued { utterance: utterance.0 })
    }

    /// Tells by `heard` when what was ordered to be said and played so far has been.
    fn finish(&mut self, heard: Heard) -> Result<Outcome, OrderError> {
        self.voiced()?;
        match &mut self.voices.operator {
            Some(operator) => operator.tell_when_silent(heard),
            None => return Err(OrderError::conflict("an agent talks on this call")),
        }
        Ok(Outcome::Done)
    }

    /// Whether an utterance was ordered from outside.
    pub(super) fn is_ordered(&self, utterance: UtteranceId) -> bool {
        let of_agent = (ORDERED..ORDERED_END).contains(&utterance.0);
        of_agent || self.voices.operator.is_some() && utterance.0 < ORDERED
    }

    /// The caller is there to hear it.
    pub(super) fn ask_for_message(&mut self) {
        if let (Some((greeting, taker)), Some(operator)) = (&mut self.voices.taker, &mut self.voices.operator) {
            operator.say(greeting.clone());
            let beep = Source::Tone(Signal::Steady { hz: message::BEEP_HZ });
            taker.handle_asked(clock::monotonic(), operator.play(samples(&beep, 1)[..BEEP_SAMPLES].into()));
        }
    }

    /// Writes down what was left, with its last words.
    pub(super) async fn write_message(&mut self, record: &CallRecord) {
        let Some((_, mut taker)) = self.voices.taker.take() else { return };
        let now = clock::monotonic();
        if let Some(operator) = &mut self.voices.operator {
            operator.lane.finalize();
            let last = tokio::time::timeout(LAST_WORDS_MAX, async {
                while let Some(event) = operator.speech.recv().await {
                    if let SpeechEvent::Final { text, .. } = event {
                        return text;
                    }
                }
                String::new()
            });
            taker.handle_heard(now, &last.await.unwrap_or_default());
        }
        let Some((text, took)) = taker.taken(now) else { return };
        let message = Message {
            call_id: self.call.to_string(),
            caller: record.caller.clone(),
            callee: record.callee.clone(),
            text: text.to_owned(),
            // Bounded by `limits::MESSAGE_MAX`.
            seconds: took.as_secs() as u32,
            time: clock::wall(),
        };
        // The caller has heard that it is taken.
        self.planes.store.messages().keep(message);
    }

    pub(super) fn tell_played(&mut self, utterance: UtteranceId) {
        if let Some((_, taker)) = &mut self.voices.taker {
            taker.handle_played(clock::monotonic(), utterance);
        }
        if let Some(operator) = &mut self.voices.operator {
            operator.handle_played(utterance);
        }
        self.tell_event(EventKind::CallPlayed, json!({"utterance": utterance.0}));
    }

    pub(super) fn tell_digit(&mut self, digit: char) {
        if let Some((_, taker)) = &mut self.voices.taker {
            taker.handle_digit(digit);
        } else if self.voices.operator.is_some() {
            self.tell_event(EventKind::CallDigit, json!({"digit": digit.to_string()}));
        }
    }

    pub(super) fn handle_heard(&mut self, event: SpeechEvent) {
        match event {
            SpeechEvent::Voice { voiced: true, .. } => {
                let now = clock::monotonic();
                if let Some((_, taker)) = &mut self.voices.taker {
                    taker.handle_voice(now);
                }
                if let Some(operator) = &mut self.voices.operator {
                    operator.handle_voice(now);
                }
            }
            SpeechEvent::Final { text, confidence, .. } if !text.is_empty() => {
                if let Some((_, taker)) = &mut self.voices.taker {
                    return taker.handle_heard(clock::monotonic(), &text);
                }
                self.tell_event(EventKind::CallHeard, json!({"text": text, "confidence": confidence}));
            }
            SpeechEvent::Failed { part, what } => {
                warn!(call = %self.call, part = part.name(), what, "speech failed on a steered call");
            }
            _ => {}
        }
    }

    /// Tells subscribers.
    pub(super) fn tell_event(&mut self, kind: EventKind, data: Value) {
        self.events += 1;
        let (call, key) = (self.call.to_string(), self.events.to_string());
        keep(self.planes.store.events().append(kind, &call, &key, clock::wall(), data), "an event");
    }

    async fn join(&mut self, room: RoomId, after: After) -> Result<(), OrderError> {
        if let Some(stay) = self.stay.as_mut().filter(|stay| stay.seat.room() == room) {
            stay.after = after;
            return Ok(());
        }
        self.voiced()?;
        let gone = || OrderError::Unavailable("the voice of this call does not answer".to_owned());
        let numbered = self.voices.operator.as_ref().map_or(0, Operator::numbered);
        let (ends, generation) = match self.voices.operator.take() {
            Some(mut operator) => {
                operator.hush(&self.planes);
                let generation = operator.lane.generation();
                (operator.lane.release().await.ok_or_else(gone)?, generation)
            }
            None => {
                self.tell(CallInput::Away(true));
                let talk = self.voices.talk.as_mut().ok_or_else(gone)?;
                talk.let_go().await.ok_or_else(gone)?
            }
        };
        match self.planes.rooms.join(room, self.call, ends, generation) {
            Ok(seat) => {
                self.stay = Some(Stay { seat, after, generation, numbered });
                self.planes.registry.is_now(self.call, CallState::Bridged);
                self.tell_event(EventKind::CallBridged, json!({"room": format!("room_{:016x}", room.0)}));
                Ok(())
            }
            Err((why, ends)) => {
                self.come_back(ends, (generation, numbered), None);
                Err(OrderError::Unavailable(why.to_string()))
            }
        }
    }

    async fn leave(&mut self, line: Option<String>) -> Result<(), OrderError> {
        let stay = self.stay.take().ok_or_else(|| OrderError::conflict("the call is in no room"))?;
        let before = (stay.generation, stay.numbered);
        let Some(ends) = stay.seat.leave().await else {
            self.end = Some(CallEnd::new(EndClass::Failed, "the mixer did not give the call back"));
            return Err(OrderError::Unavailable("the mixer does not answer".to_owned()));
        };
        self.come_back(ends, before, line);
        self.planes.registry.is_now(self.call, CallState::Answered);
        self.tell_event(EventKind::CallBridged, json!({"room": null}));
        Ok(())
    }

    /// The agent, or whoever steers, has the other side again.
    fn come_back(&mut self, ends: SpeechEnds, (generation, numbered): (Generation, u32), line: Option<String>) {
        let back = match &mut self.voices.talk {
            Some(talk) => talk.take_back(&self.planes, self.call, ends, generation),
            None => {
                let agent = self.planes.first_agent();
                let operator = Operator::begin(&self.planes, self.call, &agent, ends, generation);
                operator.map(|mut operator| {
                    operator.number_from(numbered);
                    self.voices.operator = Some(operator);
                })
            }
        };
        if let Err(why) = back {
            self.end = Some(CallEnd::new(EndClass::Failed, format!("back from a room, nobody could talk: {why}")));
            return;
        }
        self.tell(CallInput::Away(false));
        match (line, &mut self.voices.operator) {
            (None, _) => {}
            (Some(line), Some(operator)) => drop(operator.say(line)),
            (Some(line), None) => self.tell(CallInput::Announce(line)),
        }
    }

    /// Somebody has come into the room, or left it.
    pub(super) async fn handle_present(&mut self, present: usize) {
        let Some(stay) = &self.stay else { return };
        match (present, stay.after) {
            (0, _) => self.end = Some(CallEnd::new(EndClass::Failed, "the mixer has let the call go")),
            // Only a number that was another one before is told: one alone now was not alone then, seen or not.
            (1, After::HangUp) => {
                self.end = Some(CallEnd::new(EndClass::CalleeHungUp, "the others have left the room"));
            }
            (1, After::Return) => {
                // It says itself what went wrong.
                let _ = self.leave(None).await;
            }
            _ => {}
        }
    }
}
