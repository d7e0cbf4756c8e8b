//! One call as a machine: speech, keys, playout and build events in, actions out.
//!
//! Purpose: everything that a call decides, without a socket, a thread or a clock, so that whole calls run in virtual
//! time. Owned by one call actor. Invariants: nothing is said before the ACK; at most one utterance is being said; what
//! nobody asked for at this moment (news, looked-up facts) waits until nobody speaks; an utterance of an old playout
//! generation is never believed, nor a transcript of a turn that was given up; a build is submitted only by the
//! dialogue's `Intent::Build`; every call ends with one [`CallEnd`]. `duties` holds what is owed beside answers, `hearing` what
//! the caller's audio tells before there is a transcript, `watch` the time of an answer, `tools` what is done besides
//! talking. Deliberately absent: signalling (the actor answers and ends the dialog) and audio.

mod duties;
mod hearing;
mod saying;
mod tools;
mod watch;

use self::duties::{Duties, is_farewell, is_final};
use self::saying::Saying;
use crate::call::record::{CallEnd, EndClass};

pub use self::watch::Patience;
pub use crate::call::exchange::{CallAction, CallInput, Mark, SaidTurn, Speaker};
use crate::conversation::{AppFacts, BuildUpdate, Dialogue, Failure, Heard, Reply, heard_words};
use crate::id::{Generation, UtteranceId};
use crate::time::{MediaTime, Tick};
use crate::turn::{TurnEvent, TurnMachine};
use std::collections::VecDeque;
use std::time::Duration;

/// While audio can flow, an utterance must come on by a frame within this.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(5);
/// Build news that wait for a pause in the conversation.
const NEWS_MAX: usize = 8;
/// Utterances that were cut off and whose account has not come yet.
const CUTS_MAX: usize = 8;
/// A transcript that ends up to this after a turn was given up belongs to that turn.
const GIVEN_UP_SLACK_MS: u64 = 100;
/// A transcript that ends this long before the turn's last voice is of its first part only.
const FIRST_PART_MIN: Duration = Duration::from_millis(200);

/// From the sending of the fading frame to 20 dB down: nine tenths of its fade.
const DUCK_FADE: Duration = Duration::from_micros(4_500);
/// Keys come at least this far apart: a tone lasts 40 ms at least, and so does the pause after it (Q.24).
const KEY_APART_MIN: Duration = Duration::from_millis(40);

/// An utterance that was cut off and waits for the account of what was sent.
#[derive(Debug)]
struct Cut {
    /// The generation that cut it.
    generation: Generation,
    said: Saying,
    /// When the caller began to speak over it.
    onset: Option<Tick>,
}

/// A turn that is over and whose transcript is on its way.
#[derive(Clone, Copy, Debug)]
struct TurnEnd {
    decided: Tick,
    /// Its last voiced sample.
    voiced_to: MediaTime,
}

/// One call.
#[derive(Debug)]
pub struct CallMachine {
    dialogue: Dialogue,
    turn: TurnMachine,
    generation: Generation,
    utterances: u32,
    saying: Option<Saying>,
    cuts: VecDeque<Cut>,
    /// What waits for a pause, in the order in which it is told.
    refused: Option<String>,
    facts: Option<AppFacts>,
    news: VecDeque<BuildUpdate>,
    hang_up_after: Option<CallEnd>,
    ended: bool,
    /// The ACK has come.
    answered: bool,
    held: bool,
    /// How far behind the caller hears us, where that is measured.
    behind: Option<Duration>,
    /// The caller's audio has come at least once; before that ours is sent for a moment only.
    caller_sends: bool,
    caller_speaking: bool,
    /// The last judgement was "voiced".
    voiced: bool,
    /// Newest audio time that was judged.
    audio_now: MediaTime,
    /// Last voiced sample, on both clocks.
    last_voiced: Tick,
    last_voiced_at: MediaTime,
    /// When the first loud sample of the newest voice arrived.
    onset: Tick,
    /// Onset of the speech that cuts the agent short.
    interrupted: Option<Tick>,
    /// Onset of the sound for which the agent has fallen silent.
    ducked: Option<Tick>,
    /// When the last key came.
    keyed: Option<Tick>,
    /// When the ACK came, until the greeting is heard.
    confirmed: Option<Tick>,
    end_of_turn: Option<TurnEnd>,
    /// Transcripts of speech up to here belong to turns that were given up.
    given_up: Option<MediaTime>,
    /// Text of a turn whose end was decided too early, and the least sure of its parts.
    carried: String,
    carried_confidence: f32,
    /// Other readings; only while one part has been carried.
    carried_alternatives: Vec<String>,
    /// Last voiced sample of the turn that is being answered.
    answering: Option<Tick>,
    duties: Duties,
    actions: VecDeque<CallAction>,
}

impl CallMachine {
    /// A call that has been answered and waits for its ACK.
    #[must_use]
    pub fn new(dialogue: Dialogue, turn: TurnMachine) -> Self {
        Self {
            dialogue,
            turn,
            generation: Generation(0),
            utterances: 0,
            saying: None,
            cuts: VecDeque::new(),
            refused: None,
            facts: None,
            news: VecDeque::new(),
            hang_up_after: None,
            ended: false,
            answered: false,
            held: false,
            behind: None,
            caller_sends: false,
            caller_speaking: false,
            voiced: false,
            audio_now: MediaTime(0),
            last_voiced: Tick(0),
            last_voiced_at: MediaTime(0),
            onset: Tick(0),
            interrupted: None,
            ducked: None,
            keyed: None,
            confirmed: None,
            end_of_turn: None,
            given_up: None,
            carried: String::new(),
            carried_confidence: 1.0,
            carried_alternatives: Vec::new(),
            answering: None,
            duties: Duties::default(),
            actions: VecDeque::new(),
        }
    }

    /// The next action, oldest first; call until `None` after every input.
    pub fn poll_action(&mut self) -> Option<CallAction> {
        self.actions.pop_front()
    }

    /// When [`CallInput::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if self.ended {
            return None;
        }
        let heard = self.saying.as_ref().filter(|said| said.audible && self.is_flowing());
        [heard.map(|said| said.progress + PROGRESS_DEADLINE), self.duties_due()].into_iter().flatten().min()
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Tick, input: CallInput) {
        if self.ended || self.handle_broken(now, &input) {
            return;
        }
        self.guarded(now, |machine| {
            machine.handle_sanely(now, input);
            machine.follow_dialogue(now);
        });
    }

    fn handle_sanely(&mut self, now: Tick, input: CallInput) {
        match input {
            CallInput::Confirmed => {
                self.answered = true;
                self.confirmed = Some(now);
                self.duties.began = Some(now);
                let reply = self.dialogue.greet();
                self.perform(now, reply);
            }
            CallInput::FirstPacket => {
                self.caller_sends = true;
                self.restart_progress(now);
            }
            CallInput::Held(held) => self.handle_phone_held(now, held),
            CallInput::Away(away) => self.handle_away(now, away),
            CallInput::MediaTimeout => {
                self.hang_up(CallEnd::new(EndClass::MediaTimeout, "no audio from the caller for too long"));
            }
            CallInput::Drain => self.handle_drain(now),
            CallInput::Over => self.close(),
            // Whoever speaks before the ACK is greeted first.
            _ if !self.answered => {}
            input => self.handle_talk(now, input),
        }
    }

    /// Everything that needs an answered call.
    fn handle_talk(&mut self, now: Tick, input: CallInput) {
        match input {
            CallInput::Voice { .. }
            | CallInput::Onset(_)
            | CallInput::Stirring { .. }
            | CallInput::Heard(_)
            | CallInput::Partial(..)
            | CallInput::EndOfTurn { .. } => self.handle_hearing(now, input),
            CallInput::Final { text, confidence, alternatives, ended } => {
                self.handle_final(now, &Heard { text, confidence, alternatives }, ended);
            }
            CallInput::SpeakStarted(utterance) => self.handle_speak_started(now, utterance),
            CallInput::Spoken { utterance, words } => {
                let refused = words.is_empty() && self.duties.filler.as_ref().is_some_and(|f| f.utterance == utterance);
                if let Some(said) = self.said(utterance) {
                    said.words = words;
                }
                if refused {
                    self.finish_filler(now);
                }
            }
            CallInput::Ducked(utterance, at) => self.handle_ducked(utterance, at),
            CallInput::FirstAudible(utterance, at) => self.handle_first_audible(now, utterance, at),
            CallInput::Played { utterance, samples, end } => {
                if let Some(said) = self.said(utterance) {
                    said.sent = said.sent.max(samples);
                    said.progress = now;
                }
                if end && self.saying.as_ref().is_some_and(|s| s.utterance == utterance) {
                    self.finish_saying(now);
                } else if end && self.duties.filler.as_ref().is_some_and(|f| f.utterance == utterance) {
                    self.finish_filler(now);
                }
            }
            CallInput::Flushed { generation, utterance, samples, last_audible } => {
                self.handle_flushed(generation, utterance, samples, last_audible);
            }
            CallInput::Digit(digit, at) => self.handle_digit(now, digit, at),
            CallInput::Build(update) => {
                // The newest stage says it all; an outcome is never replaced.
                if self.news.back().is_some_and(|last| last.outcome.is_none() && last.build_id == update.build_id) {
                    self.news.pop_back();
                }
                if self.news.len() == NEWS_MAX {
                    self.news.pop_front();
                }
                self.news.push_back(update);
                self.tell_waiting(now);
            }
            CallInput::Found(run, facts) => self.handle_found(now, run, facts),
            CallInput::Changed(outcome) => self.handle_changed(now, outcome),
            CallInput::SetUpCode(found) => self.handle_set_up_code(now, found),
            CallInput::NotPutThrough => self.handle_not_put_through(now),
            CallInput::BuildAccepted(build) => {
                (self.duties.submitting, self.duties.stale) = (None, true);
                self.dialogue.build_accepted(&build);
            }
            CallInput::Failed(failure) => self.fail(now, failure),
            CallInput::Announce(line) => self.handle_announcement(now, line),
            CallInput::BuildRefused(reason) => {
                self.duties.submitting = None;
                self.refused = Some(reason);
                self.tell_waiting(now);
            }
            CallInput::Timeout => self.handle_timeout(now),
            CallInput::Confirmed
            | CallInput::FirstPacket
            | CallInput::Held(_)
            | CallInput::Away(_)
            | CallInput::MediaTimeout
            | CallInput::Drain
            | CallInput::Over => {}
        }
    }

    fn handle_held(&mut self, now: Tick, held: bool) {
        if std::mem::replace(&mut self.held, held) && !held {
            self.restart_progress(now);
            // Time on hold is not the caller's silence.
            self.turn.caller_is_here();
            self.tell_waiting(now);
        }
    }

    fn restart_progress(&mut self, now: Tick) {
        for said in self.saying.iter_mut().chain(&mut self.duties.filler) {
            said.progress = now;
        }
        let patience = self.duties.patience;
        self.duties.watch.resume(now, &patience);
    }

    /// The transcript of a turn or of a part of it.
    fn handle_final(&mut self, now: Tick, heard: &Heard, ended: MediaTime) {
        if self.given_up.is_some_and(|until| ended <= until.plus_ms(GIVEN_UP_SLACK_MS)) {
            return;
        }
        self.carry(heard);
        self.duties.partial.clear();
        let Some(turn) = self.end_of_turn else {
            if !self.caller_speaking {
                // Nobody's turn: a cough, a murmur while the agent spoke.
                self.carried.clear();
            }
            return; // the caller went on speaking: this is the first part of one turn
        };
        if turn.voiced_to.since(ended) >= FIRST_PART_MIN {
            return; // asked for before the caller went on; what was said since is still to come
        }
        if self.caller_speaking || self.turn.is_judging() {
            // Over a filler somebody speaks who may go on with it.
            self.duties.whole = true;
            return;
        }
        self.conclude_turn(now, turn.decided);
    }

    /// What was heard of a turn whose final text does not come.
    fn carry_partial(&mut self, text: &str, confidence: f32) {
        self.carry(&Heard::once(text, confidence));
    }

    fn carry(&mut self, heard: &Heard) {
        if heard.text.is_empty() {
            return;
        }
        if self.carried.is_empty() {
            self.carried_confidence = heard.confidence;
            self.carried_alternatives.clone_from(&heard.alternatives);
        } else {
            self.carried.push(' ');
            self.carried_confidence = self.carried_confidence.min(heard.confidence);
            // Readings of one part are none of the whole.
            self.carried_alternatives.clear();
        }
        self.carried.push_str(&heard.text);
    }

    /// The caller's turn is over and all that will be known of it is known.
    fn conclude_turn(&mut self, now: Tick, decided: Tick) {
        self.end_of_turn = None;
        let text = std::mem::take(&mut self.carried);
        let confidence = if text.is_empty() { 0.0 } else { self.carried_confidence };
        let alternatives = if text.is_empty() { Vec::new() } else { std::mem::take(&mut self.carried_alternatives) };
        self.measure(Mark::AsrFinal, now.since(decided));
        self.tell_heard_so_far();
        self.turn.handle_final();
        self.follow_turn(now);
        self.actions.push_back(CallAction::Note(SaidTurn {
            speaker: Speaker::Caller,
            text: self.noted(&text),
            heard: None,
            confidence: Some(confidence),
        }));
        if let Some(end) = self.hang_up_after.take()
            && (text.is_empty() || is_farewell(&text) || is_final(&end))
        {
            // Only a noise or a farewell cut the goodbye off. Other words take the conversation up again.
            return self.hang_up(end);
        }
        if std::mem::take(&mut self.duties.hearing_failed) && text.is_empty() {
            return self.handle_unheard(now);
        }
        if !text.is_empty() {
            self.note_heard();
        }
        if self.look_up_again(now, &text) {
            return;
        }
        let reply = self.dialogue.hear_at(&Heard { text, confidence, alternatives }, self.last_voiced_at);
        self.perform(now, reply);
        if self.saying.is_none() && !self.ended {
            if self.duties.looking.is_none() {
                self.duties.watch.stop();
            }
            self.turn.nothing_to_say();
            self.follow_turn(now);
            self.tell_waiting(now);
        }
    }

    fn handle_digit(&mut self, now: Tick, digit: char, at: MediaTime) {
        if self.is_vain_key(now) {
            return;
        }
        self.take_said_before_key();
        let spoken = std::mem::take(&mut self.caller_speaking);
        // What was said before it is given up, also where somebody has the floor.
        (self.end_of_turn, self.duties.whole) = (None, false);
        self.duties.watch.stop();
        self.duties.ledger.next_turn();
        self.cancel_tools();
        self.duties.interrupted = None;
        self.keyed = Some(now);
        self.interrupted = None;
        self.cut_playout();
        self.turn.digit(at);
        self.follow_turn(now);
        // A key gives up what was being said; its answer is no answer to speech.
        self.given_up = Some(self.audio_now_or(at));
        if (spoken || self.caller_speaking) && !self.voiced {
            // So that the next words are not recognised as the end of these.
            self.actions.push_back(CallAction::Finalize);
        }
        self.caller_speaking = false;
        self.end_of_turn = None;
        self.carried.clear();
        self.duties.partial.clear();
        self.answering = None;
        // A key during the goodbye takes the conversation up again.
        self.hang_up_after = None;
        let reply = self.dialogue.key(digit);
        self.perform(now, reply);
    }

    fn handle_speak_started(&mut self, now: Tick, utterance: UtteranceId) {
        let Some(said) = self.saying.as_mut().filter(|s| s.utterance == utterance) else { return };
        said.started = Some(now);
        if said.answers.is_some() {
            let took = now.since(said.asked);
            self.measure(Mark::TtsFirstAudio, took);
        }
    }

    fn handle_first_audible(&mut self, now: Tick, utterance: UtteranceId, at: Tick) {
        if let Some(filler) = self.duties.filler.as_mut().filter(|filler| filler.utterance == utterance) {
            // No answer: the watch goes on, and no figure knows of it.
            (filler.audible, filler.progress) = (true, now);
            return;
        }
        let Some(said) = self.saying.as_mut().filter(|s| s.utterance == utterance && !s.audible) else { return };
        said.audible = true;
        said.progress = now;
        self.duties.watch.stop();
        let (answers, begun) = (said.answers, said.started.unwrap_or(said.asked));
        if let Some(confirmed) = self.confirmed.take() {
            self.measure(Mark::Greeting, at.since(confirmed));
        }
        if let Some(last_voiced) = answers {
            self.measure(Mark::Playout, at.since(begun));
            self.measure(Mark::TurnResponse, at.since(last_voiced));
        }
    }

    fn handle_ducked(&mut self, utterance: UtteranceId, at: Tick) {
        let audible = self.saying.as_ref().is_some_and(|s| s.utterance == utterance && s.audible);
        if let Some(onset) = self.ducked.filter(|_| audible) {
            self.measure(Mark::BargeInDuck, (at + DUCK_FADE).since(onset));
        }
    }

    fn handle_flushed(
        &mut self,
        generation: Generation,
        utterance: Option<UtteranceId>,
        samples: u64,
        last_audible: Option<Tick>,
    ) {
        while self.cuts.front().is_some_and(|cut| cut.generation <= generation) {
            let Some(mut cut) = self.cuts.pop_front() else { break };
            let mut since_onset = Duration::ZERO;
            if utterance == Some(cut.said.utterance) {
                cut.said.sent = cut.said.sent.max(samples);
                if let (Some(onset), Some(last)) = (cut.onset, last_audible) {
                    since_onset = last.since(onset);
                    self.measure(Mark::BargeInStop, since_onset);
                }
            }
            self.account(cut.said, since_onset);
        }
    }

    /// Writes down what was heard of an utterance that was not played to its end. What was sent after the caller began
    /// to speak does not count.
    fn account(&mut self, said: Saying, since_onset: Duration) {
        let late = u64::try_from(since_onset.as_micros() / 125).unwrap_or(u64::MAX);
        let heard = heard_words(&said.words, said.sent.saturating_sub(late), self.behind);
        self.dialogue.cut_off(&said.text, heard);
        let heard: Vec<&str> = said.words.iter().take(heard).map(|w| w.word.as_str()).collect();
        let heard = heard.join(" ");
        self.note_agent(said.text, Some(heard));
    }

    fn handle_timeout(&mut self, now: Tick) {
        let flowing = self.is_flowing();
        let stuck = |said: &Saying| flowing && said.audible && now >= said.progress + PROGRESS_DEADLINE;
        if self.saying.as_ref().is_some_and(stuck) {
            // Its end was not reported, or the synthesiser gave up in the middle: the conversation goes on.
            self.finish_saying(now);
        }
        if !self.ended {
            self.handle_duties(now);
        }
    }

    /// Acts on what the turn machine decided.
    fn follow_turn(&mut self, now: Tick) {
        while let Some(event) = self.turn.poll_event() {
            match event {
                TurnEvent::UserStarted { continues, .. } => {
                    self.caller_speaking = true;
                    // The turn goes on: what was decided about its end no longer holds.
                    self.end_of_turn = None;
                    self.duties.watch.stop();
                    self.duties.key_due = None;
                    if !continues {
                        self.duties.ledger.next_turn();
                        self.carried.clear();
                        self.duties.partial.clear();
                        self.duties.hearing_failed = false;
                    }
                }
                TurnEvent::Duck { .. } => {
                    self.ducked = Some(self.onset);
                    self.actions.push_back(CallAction::Duck(true));
                }
                TurnEvent::Floor { .. } => {
                    self.caller_speaking = true;
                    if let Some(onset) = self.ducked {
                        self.measure(Mark::BargeInFloor, now.since(onset));
                    }
                }
                TurnEvent::Resume { .. } => {
                    if let Some(onset) = self.ducked {
                        self.measure(Mark::BargeInAside, now.since(onset));
                    }
                    self.go_on();
                    self.take_floor_back(now);
                }
                TurnEvent::AsideOver { at } => {
                    // What was said aside is no part of what the caller says next; what was said before it may still be owed.
                    if self.end_of_turn.is_none() {
                        self.given_up = Some(at);
                    }
                    self.actions.push_back(CallAction::Forget);
                }
                TurnEvent::LikelyEnd { .. } => self.prepare(),
                TurnEvent::BargeIn { .. } => {
                    let had_floor = std::mem::replace(&mut self.caller_speaking, true);
                    self.duties.watch.stop();
                    self.duties.ledger.next_turn();
                    self.cancel_tools();
                    self.duties.whole = false;
                    // Over a filler, the caller goes on with a turn that has not been answered.
                    if self.end_of_turn.take().is_none() {
                        self.carried.clear();
                        self.turn.words().clone_into(&mut self.duties.partial);
                        self.duties.hearing_failed &= had_floor;
                    }
                    let onset = self.ducked.unwrap_or(self.onset);
                    self.interrupted = self.saying.as_ref().is_some_and(|s| s.audible).then_some(onset);
                    self.cut_playout();
                }
                TurnEvent::EndOfTurn { .. } => {
                    self.caller_speaking = false;
                    self.end_of_turn = Some(TurnEnd { decided: now, voiced_to: self.last_voiced_at });
                    let patience = self.duties.patience;
                    self.duties.watch.begin(now, &patience);
                    self.answering = Some(self.last_voiced);
                    self.measure(Mark::Endpoint, now.since(self.last_voiced));
                    self.actions.push_back(CallAction::Finalize);
                }
                // On hold there is nobody to prompt.
                TurnEvent::NoInput { .. } if self.held => {}
                TurnEvent::NoInput { .. } => {
                    self.answering = None;
                    let reply = self.dialogue.no_input();
                    self.perform(now, reply);
                }
            }
        }
    }

    /// Has the likely answer synthesised while it is still being waited for the end of the turn. A copy of the dialogue
    /// thinks of it, so that nothing is done twice or for nothing: what it would do is forgotten with it, and what it would
    /// say is only sound in a cache. If the caller goes on, nothing has happened.
    fn prepare(&mut self) {
        let said = [self.carried.as_str(), self.turn.words()].join(" ");
        let reply = self.dialogue.clone().hear_at(&Heard::certain(said.trim()), self.last_voiced_at);
        let text = reply.say.join(" ");
        if !text.is_empty() {
            self.actions.push_back(CallAction::Prepare(text));
        }
    }

    fn perform(&mut self, now: Tick, reply: Reply) {
        self.duties.stale = true;
        // Another reply: it was taken back.
        self.duties.putting_through = false;
        self.actions.extend(reply.pin.map(CallAction::PinTried));
        if let Some(intent) = reply.intent {
            self.run_tool(now, intent);
        }
        self.turn.expect(reply.expect);
        self.actions.push_back(CallAction::Listen(reply.expect));
        let end = reply.hang_up.then(|| CallEnd::new(EndClass::AgentHungUp, "the conversation was finished"));
        let text = reply.say.join(" ");
        if text.is_empty() && self.put_through() {
            return;
        }
        match end {
            Some(end) if text.is_empty() => return self.hang_up(end),
            end => self.hang_up_after = end,
        }
        if !text.is_empty() {
            if reply.secret {
                self.keep_secret(&text);
            }
            self.say(now, text);
        }
    }

    /// Takes back that the agent fell silent.
    fn go_on(&mut self) {
        if self.ducked.take().is_some() {
            self.actions.push_back(CallAction::Duck(false));
        }
    }

    fn say(&mut self, now: Tick, text: String) {
        if self.saying.is_some() {
            // A filler alone is let finish: what is said follows it.
            self.cut_playout();
        }
        // Over a filler somebody may be speaking.
        if !self.turn.is_judging() {
            self.go_on();
        }
        self.utterances += 1;
        let utterance = UtteranceId(self.utterances);
        let answers = self.answering.take();
        if answers.is_some() {
            // The deterministic dialogue answers within this call; an LLM will make this part visible.
            self.measure(Mark::Think, Duration::ZERO);
        }
        self.actions.push_back(CallAction::Speak { utterance, generation: self.generation, text: text.clone() });
        self.saying = Some(Saying::new(utterance, text, now, answers));
        let patience = self.duties.patience;
        self.duties.watch.begin_voice(now, &patience);
        self.turn.agent_speaking(utterance);
        self.follow_turn(now);
    }

    /// The utterance of that number, if it is being said or was cut off.
    /// How long it takes until what leaves now has been heard, and that is known here; `None`: nobody measures it.
    pub const fn set_behind(&mut self, behind: Option<Duration>) {
        self.behind = behind;
    }

    fn said(&mut self, utterance: UtteranceId) -> Option<&mut Saying> {
        let cuts = self.cuts.iter_mut().map(|cut| &mut cut.said);
        self.saying.iter_mut().chain(&mut self.duties.filler).chain(cuts).find(|said| said.utterance == utterance)
    }

    /// Tells the dialogue how much of what is being said was heard for certain up to now.
    fn tell_heard_so_far(&mut self) {
        if let Some(said) = &self.saying {
            self.dialogue.cut_off(&said.text, heard_words(&said.words, said.sent, self.behind));
        }
    }

    /// Stops what is being said; the transcript keeps what was heard of it.
    fn cut_playout(&mut self) {
        // What cuts it may be answered before the account of it has come.
        self.tell_heard_so_far();
        let filler = self.duties.filler.take();
        if filler.is_none() && self.saying.is_none() {
            return;
        }
        self.generation.0 += 1;
        if let Some(filler) = filler {
            self.turn.agent_silent(filler.utterance);
            self.account(filler, Duration::ZERO);
        }
        // The flush ends that as well.
        self.ducked = None;
        self.actions.push_back(CallAction::Flush(self.generation));
        let Some(said) = self.saying.take() else { return };
        self.turn.agent_silent(said.utterance);
        if self.cuts.len() == CUTS_MAX
            && let Some(lost) = self.cuts.pop_front()
        {
            self.account(lost.said, Duration::ZERO);
        }
        self.cuts.push_back(Cut { generation: self.generation, said, onset: self.interrupted.take() });
    }

    fn finish_saying(&mut self, now: Tick) {
        let Some(said) = self.saying.take() else { return };
        self.turn.agent_silent(said.utterance);
        self.duties.watch.stop();
        self.go_on();
        let words = said.text.split_whitespace().count();
        if self.duties.putting_through && said.words.len() < words {
            // Though the voice broke: a person is to be had.
            self.account(said, Duration::ZERO);
        } else if said.words.len() >= words {
            self.dialogue.cut_off(&said.text, words);
            self.note_agent(said.text, None);
        } else if said.words.is_empty() && !said.audible {
            self.account(said, Duration::ZERO);
            return self.handle_mute(now);
        } else {
            // The voice failed on the way, and its end is not the end of the text.
            self.account(said, Duration::ZERO);
            if self.hang_up_after.is_none() {
                self.follow_turn(now);
                return self.fail(now, Failure::VoiceBroke);
            }
        }
        self.follow_turn(now);
        if self.put_through() {
            return;
        }
        if let Some(end) = self.hang_up_after.take() {
            self.hang_up(end);
            return;
        }
        self.tell_waiting(now);
    }

    /// What waits is told when nobody speaks, no answer is owed and somebody listens.
    fn tell_waiting(&mut self, now: Tick) {
        while self.saying.is_none()
            && !self.caller_speaking
            && self.end_of_turn.is_none()
            && self.hang_up_after.is_none()
            && !self.held
            && !self.ended
            && !self.duties.transferring
        {
            if self.is_time_up() {
                return self.fail(now, Failure::TooLong);
            }
            if let Some(line) = self.duties.line.take().or_else(|| self.duties.announcements.pop_front()) {
                return self.say(now, line);
            }
            let reply = if let Some(reply) = self.next_told() {
                reply
            } else if let Some(update) = self.news.pop_front() {
                self.answering = None;
                let reply = self.dialogue.build_update(&update);
                if reply.say.is_empty() {
                    continue;
                }
                reply
            } else {
                return;
            };
            self.perform(now, reply);
        }
    }

    fn note_agent(&mut self, mut text: String, mut heard: Option<String>) {
        self.was_said(&mut text, &mut heard);
        self.actions.push_back(CallAction::Note(SaidTurn { speaker: Speaker::Agent, text, heard, confidence: None }));
    }

    fn measure(&mut self, mark: Mark, took: Duration) {
        self.actions.push_back(CallAction::Measure(mark, took));
    }

    fn hang_up(&mut self, end: CallEnd) {
        self.close();
        self.actions.push_back(CallAction::HangUp(end));
    }

    /// Nothing more is done; the transcript gets what was under way.
    fn close(&mut self) {
        self.ended = true;
        let cuts = std::mem::take(&mut self.cuts).into_iter().map(|cut| cut.said);
        for said in cuts.chain(self.saying.take()) {
            self.account(said, Duration::ZERO);
        }
    }
}
