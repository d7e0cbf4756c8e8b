//! What goes into a call's machine and what comes out. Purpose: the whole vocabulary between the actor, which has sockets
//! and clocks, and the machine, which decides. Plain data, any thread. Deliberately absent: behaviour.

use crate::call::record::CallEnd;
use crate::conversation::{
    AppFacts, BuildQuestion, BuildUpdate, Change, Changed, Expectation, Failure, Kept, Run, SetUpCode, WordTime,
};
use crate::id::{Generation, UtteranceId};
use crate::pipeline::manifest::BuildManifest;
use crate::time::{MediaTime, Tick};
use crate::turn::Sound;
use std::time::Duration;

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
        /// What it sounded like.
        sound: Sound,
    },
    /// Speech began with this sample.
    Onset(MediaTime),
    /// A sound began that may be a voice.
    Stirring {
        /// Its first sample.
        at: MediaTime,
        /// End of the audio in which it was found.
        now: MediaTime,
        /// When its first sample reached us.
        received: Tick,
    },
    /// Audio has come up to here, of which nothing is judged yet.
    Heard(MediaTime),
    /// What the recogniser believes so far, of the audio up to then.
    Partial(String, MediaTime),
    /// How the caller's pause sounded to a model.
    EndOfTurn {
        /// End of the audio that it heard.
        at: MediaTime,
        /// 0..=1 that the caller has finished.
        probability: f32,
    },
    /// What the caller said.
    Final {
        /// Words; empty when nothing was recognised.
        text: String,
        /// 0..=1.
        confidence: f32,
        /// Other readings, the likelier first.
        alternatives: Vec<String>,
        /// End of the speech that it is of.
        ended: MediaTime,
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
    /// The agent has fallen silent in the middle of an utterance; the fading frame was sent then.
    Ducked(UtteranceId, Tick),
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
        /// Nothing older than this is sent any more.
        generation: Generation,
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
    /// The answer to [`CallAction::LookUp`]; `None`: it failed.
    Found(Run, Option<AppFacts>),
    /// The answer to [`CallAction::Change`].
    Changed(Changed),
    /// The answer to [`CallAction::SetUpCode`]; `None`: the app did not answer.
    SetUpCode(Option<SetUpCode>),
    /// The answer to [`CallAction::PutThrough`] where nobody has taken the caller, who is back.
    NotPutThrough,
    /// The pipeline took the build under this id.
    BuildAccepted(String),
    /// The pipeline did not take the build; the reason is speakable.
    BuildRefused(String),
    /// A part of ours failed.
    Failed(Failure),
    /// The first packet of the caller's audio came: what we say is sent from now on for as long as it lasts.
    FirstPacket,
    /// The caller put the call on hold (true) or took it back.
    Held(bool),
    /// The caller talks to somebody else meanwhile (true), or is back.
    Away(bool),
    /// To be said when nobody speaks; somebody outside wants it.
    Announce(String),
    /// The call ended without the machine's doing.
    Over,
    /// No RTP for a minute.
    MediaTimeout,
    /// The daemon is stopping.
    Drain,
    /// A deadline of [`super::machine::CallMachine::poll_timeout`] passed.
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
    /// Caller onset → agent 20 dB down.
    BargeInDuck,
    /// Caller onset → decision that whoever speaks has the floor: the agent stays silent until it is known what was said.
    BargeInFloor,
    /// Caller onset → decision that it was an aside, and the agent goes on.
    BargeInAside,
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
    /// What the caller is saying is not meant for the agent: it is not to be recognised.
    Forget,
    /// Say this.
    Speak {
        /// Which utterance.
        utterance: UtteranceId,
        /// Playout generation.
        generation: Generation,
        /// What to say.
        text: String,
    },
    /// Say this ahead of an utterance of which nothing has been sent yet; where something has, not at all. It is no answer.
    Fill {
        /// Which utterance.
        utterance: UtteranceId,
        /// Playout generation.
        generation: Generation,
        /// What to say.
        text: String,
    },
    /// Likely to be said next: may be synthesised, must not be heard.
    Prepare(String),
    /// Let what is being said fall silent, or go on from where it did.
    Duck(bool),
    /// Drop everything of an older generation, in synthesis and in playout.
    Flush(Generation),
    /// Hand an approved manifest to the pipeline.
    Submit(Box<BuildManifest>),
    /// Ask for the state of an app.
    LookUp {
        /// Which run of the tool; its answer names it.
        run: Run,
        /// What the caller called the app.
        subject: String,
    },
    /// What this run brings is wanted no more: stop it.
    Cancel(Run),
    /// Ring the person who is configured and put the caller through.
    PutThrough,
    /// Write down that the caller wants to be called back; both were confirmed.
    CallBack {
        /// Digits only, 3–15.
        number: String,
        /// `None` when it was not given.
        name: Option<String>,
    },
    /// Change or take away what there is.
    Change(Change),
    /// Call the caller when the build is over (true), or do not.
    ReturnCall(bool),
    /// A build's question is answered so; with `follow_up` by a build of its own.
    Answer {
        /// Which.
        question: BuildQuestion,
        /// The value of a choice of it.
        value: String,
        /// The app is live already.
        follow_up: bool,
    },
    /// The caller has heard how this build ended.
    Told(String),
    /// Ask this app for the code of its first account.
    SetUpCode(String),
    /// A whole PIN has come, and was right (true) or wrong.
    PinTried(bool),
    /// The caller allows the recording (true) or refuses it.
    Record(bool),
    /// Keep both sides out of the recording, or let them in again: something secret is keyed or said.
    Withhold(bool),
    /// Remember this for a caller whose line is cut; `None`: there is nothing to remember.
    Keep(Option<Box<Kept>>),
    /// Write a turn into the transcript.
    Note(SaidTurn),
    /// Record a latency part.
    Measure(Mark, Duration),
    /// End the call.
    HangUp(CallEnd),
}
