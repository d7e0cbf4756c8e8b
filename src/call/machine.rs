//! One call as a machine: speech, keys, playout and build events in, actions out.
//!
//! Purpose: everything that a call decides, without a socket, a thread or a clock, so that whole calls run in virtual
//! time. Owned by one call actor. Invariants: at most one utterance is being said; an utterance of an old playout
//! generation is never believed; a build is submitted only by the dialogue's `Intent::Build`; every call ends with one
//! [`CallEnd`]. Deliberately absent: signalling (the actor answers and ends the dialog) and audio.

use crate::call::record::{CallEnd, EndClass};

use crate::conversation::{AppFacts, BuildUpdate, Dialogue, Expectation, Heard, Intent, Reply, WordTime, heard_words};
use crate::id::{Generation, UtteranceId};
use crate::pipeline::manifest::BuildManifest;
use crate::time::{MediaTime, Tick};
use crate::turn::{TurnEvent, TurnMachine};
use std::collections::VecDeque;
use std::time::Duration;

/// The recogniser must deliver its final within this, else the caller is asked to say it again.
const FINAL_DEADLINE: Duration = Duration::from_secs(5);
/// The first audible sample must leave within this, else the synthesiser is given up for this utterance.
const AUDIBLE_DEADLINE: Duration = Duration::from_secs(5);
/// Build news that wait for a pause in the conversation.
const NEWS_MAX: usize = 8;

/// What reaches a call.
#[derive(Clone, Debug)]
pub enum CallInput {
    /// The caller's ACK arrived: audio may flow.
    Confirmed,
    /// Voice activity at `at`, with the last voiced sample so far on both clocks.
    Voice {
        /// Audio time of the chunk's end.
        at: MediaTime,
        /// Whether the chunk holds speech.
        voiced: bool,
        /// Last voiced sample so far.
        last_voiced: MediaTime,
        /// When that sample reached us.
        last_voiced_tick: Tick,
        /// When the first loud sample of this stretch of voice reached us.
        onset_tick: Option<Tick>,
    },
    /// Speech began with this sample.
    Onset(MediaTime),
    /// What the recogniser believes so far.
    Partial(String),
    /// What the caller said.
    Final {
        /// Words; empty when nothing was recognised.
        text: String,
        /// 0..=1.
        confidence: f32,
    },
    /// Synthesis brought its first samples.
    SpeakStarted(UtteranceId),
    /// Synthesis is complete, with its word times.
    Spoken {
        /// Which utterance.
        utterance: UtteranceId,
        /// Its words and where they end.
        words: Vec<WordTime>,
    },
    /// The first audible sample of an utterance is on the wire.
    FirstAudible(UtteranceId, Tick),
    /// Samples of an utterance sent so far.
    Played {
        /// Which utterance.
        utterance: UtteranceId,
        /// Samples at 8 kHz.
        samples: u64,
        /// Nothing more of it will come.
        end: bool,
    },
    /// Playout was flushed after `samples` of `utterance`.
    Flushed {
        /// Which utterance was cut, if any.
        utterance: Option<UtteranceId>,
        /// Samples of it that were sent.
        samples: u64,
        /// When its last audible sample left.
        last_audible: Option<Tick>,
    },
    /// A key, already de-duplicated, and when it was pressed.
    Digit(char, MediaTime),
    /// News of this caller's build.
    Build(BuildUpdate),
    /// The answer to [`CallAction::LookUp`].
    Facts(AppFacts),
    /// The pipeline took the build under this id.
    BuildAccepted(String),
    /// The pipeline did not take the build; the reason is speakable.
    BuildRefused(String),
    /// A speech engine failed.
    SpeechFailed(String),
    /// No RTP for a minute.
    MediaTimeout,
    /// The daemon is stopping.
    Drain,
    /// A deadline of [`CallMachine::poll_timeout`] passed.
    Timeout,
}

/// A part of the response time, as named in the latency contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Last voiced caller sample → first agent sample on the wire.
    TurnResponse,
    /// Last voiced caller sample → end of turn decided.
    Endpoint,
    /// End of turn decided → final transcript.
    AsrFinal,
    /// Final transcript → text to say.
    Think,
    /// Text to say → first synthesised samples.
    TtsFirstAudio,
    /// First synthesised samples → first agent sample on the wire.
    Playout,
    /// Caller onset → last agent sample sent.
    BargeInStop,
    /// ACK → first sample of the greeting on the wire.
    Greeting,
}

/// Who said a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The caller.
    Caller,
    /// The agent.
    Agent,
}

/// One turn of the conversation, for the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct SaidTurn {
    /// Who.
    pub speaker: Speaker,
    /// What was said or meant to be said.
    pub text: String,
    /// What the caller can have heard of it (agent turns that were cut).
    pub heard: Option<String>,
    /// Confidence of the recogniser (caller turns).
    pub confidence: Option<f32>,
}

/// What a call wants done.
#[derive(Clone, Debug)]
pub enum CallAction {
    /// Recognise with this expectation from now on.
    Listen(Expectation),
    /// The turn is over: ask for the final transcript.
    Finalize,
    /// Say this.
    Speak {
        /// Which utterance.
        utterance: UtteranceId,
        /// Playout generation.
        generation: Generation,
        /// What to say.
        text: String,
    },
    /// Drop everything of an older generation, in synthesis and in playout.
    Flush(Generation),
    /// Hand an approved manifest to the pipeline.
    Submit(Box<BuildManifest>),
    /// Ask for the state of an app.
    LookUp(String),
    /// Write a turn into the transcript.
    Note(SaidTurn),
    /// Record a latency part.
    Measure(Mark, Duration),
    /// End the call.
    HangUp(CallEnd),
}

/// The utterance being said.
#[derive(Debug)]
struct Saying {
    utterance: UtteranceId,
    text: String,
    words: Vec<WordTime>,
    asked: Tick,
    started: Option<Tick>,
    audible: bool,
    /// Set when this utterance answers a caller's turn.
    answers: Option<Tick>,
}

/// One call.
#[derive(Debug)]
pub struct CallMachine {
    dialogue: Dialogue,
    turn: TurnMachine,
    generation: Generation,
    utterances: u32,
    saying: Option<Saying>,
    cut: Option<Saying>,
    news: VecDeque<BuildUpdate>,
    hang_up_after: Option<CallEnd>,
    ended: bool,
    caller_speaking: bool,
    last_voiced: Tick,
    /// When the first loud sample of the newest voice arrived.
    onset: Tick,
    /// Onset of the speech that cut the agent short, until the flush is confirmed.
    interrupted: Option<Tick>,
    /// When the ACK came, until the greeting is heard.
    confirmed: Option<Tick>,
    end_of_turn: Option<Tick>,
    /// Text of a turn whose end was decided too early.
    carried: String,
    /// Last voiced sample of the turn that is being answered.
    answering: Option<Tick>,
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
            cut: None,
            news: VecDeque::new(),
            hang_up_after: None,
            ended: false,
            caller_speaking: false,
            last_voiced: Tick(0),
            onset: Tick(0),
            interrupted: None,
            confirmed: None,
            end_of_turn: None,
            carried: String::new(),
            answering: None,
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
        let audible = self.saying.as_ref().filter(|s| !s.audible).map(|s| s.asked + AUDIBLE_DEADLINE);
        let answer = self.end_of_turn.map(|t| t + FINAL_DEADLINE);
        [audible, answer].into_iter().flatten().min()
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Tick, input: CallInput) {
        if self.ended {
            return;
        }
        match input {
            CallInput::Confirmed => {
                self.confirmed = Some(now);
                let reply = self.dialogue.greet();
                self.perform(now, reply);
            }
            CallInput::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick } => {
                self.onset = onset_tick.unwrap_or(last_voiced_tick);
                if voiced {
                    self.last_voiced = last_voiced_tick;
                }
                self.turn.handle_voice(at, voiced, last_voiced);
                self.follow_turn(now);
            }
            CallInput::Onset(at) => {
                self.turn.handle_onset(at);
                self.follow_turn(now);
            }
            CallInput::Partial(text) => {
                self.turn.handle_partial(&text);
                self.follow_turn(now);
            }
            CallInput::Final { text, confidence } => self.handle_final(now, text, confidence),
            CallInput::SpeakStarted(utterance) => self.handle_speak_started(now, utterance),
            CallInput::Spoken { utterance, words } => {
                for said in [&mut self.saying, &mut self.cut].into_iter().flatten() {
                    if said.utterance == utterance {
                        said.words.clone_from(&words);
                    }
                }
            }
            CallInput::FirstAudible(utterance, at) => self.handle_first_audible(utterance, at),
            CallInput::Played { utterance, end, .. } => {
                if end && self.saying.as_ref().is_some_and(|s| s.utterance == utterance) {
                    self.finish_saying(now);
                }
            }
            CallInput::Flushed { utterance, samples, last_audible } => {
                self.handle_flushed(utterance, samples, last_audible);
            }
            CallInput::Digit(digit, at) => {
                self.turn.digit(at);
                self.follow_turn(now);
                self.cut_playout();
                // A key gives up what was being said; its answer is no answer to speech.
                self.caller_speaking = false;
                self.interrupted = None;
                self.end_of_turn = None;
                self.carried.clear();
                self.answering = None;
                let reply = self.dialogue.key(digit);
                self.perform(now, reply);
            }
            CallInput::Build(update) => {
                // The newest stage says it all; an outcome is never replaced.
                if self.news.back().is_some_and(|last| last.outcome.is_none() && last.build_id == update.build_id) {
                    self.news.pop_back();
                }
                if self.news.len() == NEWS_MAX {
                    self.news.pop_front();
                }
                self.news.push_back(update);
                self.tell_news(now);
            }
            CallInput::Facts(facts) => {
                let reply = self.dialogue.facts(&facts);
                self.perform(now, reply);
            }
            CallInput::BuildAccepted(build) => self.dialogue.build_accepted(&build),
            CallInput::BuildRefused(reason) => {
                let reply = self.dialogue.build_refused(&reason);
                self.perform(now, reply);
            }
            CallInput::SpeechFailed(what) => {
                self.hang_up(CallEnd::new(EndClass::Failed, what));
            }
            CallInput::MediaTimeout => {
                self.hang_up(CallEnd::new(EndClass::MediaTimeout, "no audio from the caller for 60 s"));
            }
            CallInput::Drain => self.hang_up(CallEnd::new(EndClass::Drained, "the service is stopping")),
            CallInput::Timeout => self.handle_timeout(now),
        }
    }

    fn handle_final(&mut self, now: Tick, text: String, confidence: f32) {
        if !self.carried.is_empty() && !text.is_empty() {
            self.carried.push(' ');
        }
        self.carried.push_str(&text);
        let Some(decided) = self.end_of_turn.take() else {
            return; // the caller went on speaking: this is the first half of one turn
        };
        let text = std::mem::take(&mut self.carried);
        self.measure(Mark::AsrFinal, now.since(decided));
        self.turn.handle_final();
        self.follow_turn(now);
        self.actions.push_back(CallAction::Note(SaidTurn {
            speaker: Speaker::Caller,
            text: text.clone(),
            heard: None,
            confidence: Some(confidence),
        }));
        let reply = self.dialogue.hear(&Heard { text, confidence });
        self.perform(now, reply);
        if self.saying.is_none() {
            self.turn.nothing_to_say();
            self.follow_turn(now);
        }
    }

    fn handle_speak_started(&mut self, now: Tick, utterance: UtteranceId) {
        let Some(said) = self.saying.as_mut().filter(|s| s.utterance == utterance) else { return };
        said.started = Some(now);
        if said.answers.is_some() {
            let took = now.since(said.asked);
            self.measure(Mark::TtsFirstAudio, took);
        }
    }

    fn handle_first_audible(&mut self, utterance: UtteranceId, at: Tick) {
        let Some(said) = self.saying.as_mut().filter(|s| s.utterance == utterance && !s.audible) else { return };
        said.audible = true;
        if let Some(confirmed) = self.confirmed.take() {
            self.actions.push_back(CallAction::Measure(Mark::Greeting, at.since(confirmed)));
        }
        if let Some(last_voiced) = said.answers {
            let playout = at.since(said.started.unwrap_or(said.asked));
            self.measure(Mark::Playout, playout);
            self.measure(Mark::TurnResponse, at.since(last_voiced));
        }
    }

    fn handle_flushed(&mut self, utterance: Option<UtteranceId>, samples: u64, last_audible: Option<Tick>) {
        if let (Some(onset), Some(last)) = (self.interrupted.take(), last_audible) {
            self.measure(Mark::BargeInStop, last.since(onset));
        }
        let Some(cut) = self.cut.take() else { return };
        let samples = if utterance == Some(cut.utterance) { samples } else { 0 };
        let heard = heard_words(&cut.words, samples, None);
        self.dialogue.cut_off(&cut.text, heard);
        let heard: Vec<&str> = cut.words.iter().take(heard).map(|w| w.word.as_str()).collect();
        self.note_agent(cut.text, Some(heard.join(" ")));
    }

    fn handle_timeout(&mut self, now: Tick) {
        if self.end_of_turn.is_some_and(|t| now >= t + FINAL_DEADLINE) {
            self.handle_final(now, String::new(), 0.0);
        }
        let stuck = self.saying.as_ref().is_some_and(|s| !s.audible && now >= s.asked + AUDIBLE_DEADLINE);
        if stuck {
            self.hang_up(CallEnd::new(EndClass::Failed, "speech synthesis brought no audio for 5 s"));
        }
    }

    /// Acts on what the turn machine decided.
    fn follow_turn(&mut self, now: Tick) {
        while let Some(event) = self.turn.poll_event() {
            match event {
                TurnEvent::UserStarted { .. } => {
                    self.caller_speaking = true;
                    // The turn goes on: what was decided about its end no longer holds.
                    self.end_of_turn = None;
                }
                TurnEvent::BargeIn { .. } => {
                    self.caller_speaking = true;
                    if self.saying.as_ref().is_some_and(|s| s.audible) {
                        self.interrupted = Some(self.onset);
                    }
                    self.cut_playout();
                }
                TurnEvent::EndOfTurn { .. } => {
                    self.caller_speaking = false;
                    self.end_of_turn = Some(now);
                    self.answering = Some(self.last_voiced);
                    self.measure(Mark::Endpoint, now.since(self.last_voiced));
                    self.actions.push_back(CallAction::Finalize);
                }
                TurnEvent::NoInput { .. } => {
                    self.answering = None;
                    let reply = self.dialogue.no_input();
                    self.perform(now, reply);
                }
            }
        }
    }

    fn perform(&mut self, now: Tick, reply: Reply) {
        match reply.intent {
            Some(Intent::Build(manifest)) => self.actions.push_back(CallAction::Submit(Box::new(manifest))),
            Some(Intent::Report { subject }) => self.actions.push_back(CallAction::LookUp(subject)),
            // Nobody is configured to take the call, and the dialogue has said so.
            Some(Intent::Operator) | None => {}
        }
        self.turn.expect(reply.expect);
        self.actions.push_back(CallAction::Listen(reply.expect));
        if reply.hang_up {
            self.hang_up_after = Some(CallEnd::new(EndClass::AgentHungUp, "the conversation was finished"));
        }
        let text = reply.say.join(" ");
        if text.is_empty() {
            if let Some(end) = self.hang_up_after.take().filter(|_| self.saying.is_none()) {
                self.hang_up(end);
            }
            return;
        }
        self.say(now, text);
    }

    fn say(&mut self, now: Tick, text: String) {
        self.cut_playout();
        self.utterances += 1;
        let utterance = UtteranceId(self.utterances);
        let answers = self.answering.take();
        if answers.is_some() {
            // The deterministic dialogue answers within this call; an LLM will make this part visible.
            self.measure(Mark::Think, Duration::ZERO);
        }
        self.actions.push_back(CallAction::Speak { utterance, generation: self.generation, text: text.clone() });
        self.saying =
            Some(Saying { utterance, text, words: Vec::new(), asked: now, started: None, audible: false, answers });
        self.turn.agent_speaking(utterance);
        self.follow_turn(now);
    }

    /// Stops what is being said; the transcript keeps what was heard of it.
    fn cut_playout(&mut self) {
        let Some(cut) = self.saying.take() else { return };
        self.generation.0 += 1;
        self.turn.agent_silent(cut.utterance);
        self.cut = Some(cut);
        self.actions.push_back(CallAction::Flush(self.generation));
    }

    fn finish_saying(&mut self, now: Tick) {
        let Some(said) = self.saying.take() else { return };
        self.turn.agent_silent(said.utterance);
        self.note_agent(said.text, None);
        self.follow_turn(now);
        if let Some(end) = self.hang_up_after.take() {
            self.hang_up(end);
            return;
        }
        self.tell_news(now);
    }

    /// Build news is told when nobody speaks and no answer is owed.
    fn tell_news(&mut self, now: Tick) {
        while self.saying.is_none() && !self.caller_speaking && self.end_of_turn.is_none() && !self.ended {
            let Some(update) = self.news.pop_front() else { return };
            let reply = self.dialogue.build_update(&update);
            if !reply.say.is_empty() {
                self.answering = None;
                self.perform(now, reply);
            }
        }
    }

    fn note_agent(&mut self, text: String, heard: Option<String>) {
        self.actions.push_back(CallAction::Note(SaidTurn { speaker: Speaker::Agent, text, heard, confidence: None }));
    }

    fn measure(&mut self, mark: Mark, took: Duration) {
        self.actions.push_back(CallAction::Measure(mark, took));
    }

    fn hang_up(&mut self, end: CallEnd) {
        self.ended = true;
        self.saying = None;
        self.actions.push_back(CallAction::HangUp(end));
    }
}
