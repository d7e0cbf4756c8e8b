//! What a call hears from the speech plane. Purpose: the whole outward language, one enum. Plain data, made on the speech
//! threads, read by the call's actor. Deliberately absent: audio, decisions about turns.

use crate::conversation::WordTime;
use crate::id::UtteranceId;
use crate::time::{MediaTime, Tick};
use crate::turn::Sound;
use std::time::Duration;

/// One report about one call. `Voice`, `Heard` and `Stirring` are dropped when the actor falls behind; the others are kept
/// room for.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechEvent {
    /// The caller began to speak: 64 ms of speech have been heard, beginning at `at`.
    Onset {
        /// First sample of the speech.
        at: MediaTime,
        /// When the packet that holds it arrived.
        received: Tick,
    },
    /// A sound began that is not the agent's own voice; whether it is a voice at all is not known yet. Comes 20 to 40 ms
    /// after its beginning; dropped, as `Voice` is, when the actor falls behind.
    Stirring {
        /// First sample of it.
        at: MediaTime,
        /// End of the audio in which it was found.
        now: MediaTime,
        /// When the packet that holds the first sample arrived.
        received: Tick,
    },
    /// Judgement of one 32 ms chunk: every chunk while the caller speaks and for 3 s after, else about twice a second.
    Voice {
        /// End of the chunk.
        at: MediaTime,
        /// The caller is speaking (hysteresis applied, pauses within words bridged).
        voiced: bool,
        /// End of the last speech so far, to the sample; zero when there was none.
        last_voiced: MediaTime,
        /// When the packet that holds that sample arrived.
        last_voiced_tick: Tick,
        /// When the first sample of this stretch of voice above `dsp::level::VOICED_DBFS` arrived: the onset as anybody
        /// on the wire would see it. None while it is only breath.
        onset_tick: Option<Tick>,
        /// What it sounded like.
        sound: Sound,
    },
    /// Audio has come behind the last whole chunk, as with seven packets in eight. Sent while every chunk is reported;
    /// dropped as `Voice` is.
    Heard {
        /// End of it.
        to: MediaTime,
    },
    /// Words recognised so far in this turn; sent when they change, and once when the recogniser has looked and found none.
    /// May still change.
    Partial {
        /// Lower-case words; empty: none so far.
        text: String,
        /// First sample of the turn's speech.
        started: MediaTime,
        /// How far the audio had come that they were recognised in.
        until: MediaTime,
    },
    /// The turn as recognised. Answers [`SpeechLane::finalize`](crate::speech::SpeechLane::finalize); also sent unasked
    /// when a turn outlasts `limits::UTTERANCE_MAX` (in a call by half a second) or nobody ends it for
    /// `limits::UTTERANCE_IDLE_MAX` after its last speech.
    Final {
        /// Lower-case words; empty when there was sound but nothing that the domain knows.
        text: String,
        /// 0–1. Below 0.5 do not take it for an approval.
        confidence: f32,
        /// Other readings of the same sound, the likelier first; empty where the engine gives none. Never take one for an
        /// approval.
        alternatives: Vec<String>,
        /// First sample of the speech.
        started: MediaTime,
        /// End of the speech.
        ended: MediaTime,
        /// Time from the request to this result.
        took: Duration,
    },
    /// The caller paused, and the end-of-turn model has judged how that sounded. Sent only where there is such a model, at
    /// most once a pause, some 20–60 ms after 128 ms of quiet; dropped when anybody is behind.
    EndOfTurn {
        /// End of the audio that was judged. Voice after this makes the judgement void.
        at: MediaTime,
        /// 0–1 that the caller has finished.
        probability: f32,
    },
    /// The first audio of an utterance is in the ring.
    SpeakStarted {
        /// The utterance.
        utterance: UtteranceId,
        /// Time from the request.
        took: Duration,
    },
    /// Synthesis of an utterance has ended: complete, or cut short by a flush or a newer generation.
    Spoken {
        /// The utterance.
        utterance: UtteranceId,
        /// One entry for each blank-separated word of the text that was asked for (of a flushed one: those synthesised),
        /// relative to the utterance's first sample.
        words: Vec<WordTime>,
        /// Samples synthesised, 8 kHz.
        samples: u64,
    },
    /// An engine failed for this call; the call goes on without that part until the next turn.
    Failed {
        /// What failed.
        part: Part,
        /// For the operator.
        what: String,
    },
}

impl SpeechEvent {
    /// For logs: which event, and the length of its text in characters. Never the words.
    pub(super) fn outline(&self) -> (&'static str, usize) {
        match self {
            Self::Onset { .. } => ("onset", 0),
            Self::Stirring { .. } => ("stirring", 0),
            Self::Voice { .. } => ("voice", 0),
            Self::Heard { .. } => ("heard", 0),
            Self::Partial { text, .. } => ("partial", text.chars().count()),
            Self::Final { text, .. } => ("final", text.chars().count()),
            Self::EndOfTurn { .. } => ("end-of-turn", 0),
            Self::SpeakStarted { .. } => ("speak-started", 0),
            Self::Spoken { .. } => ("spoken", 0),
            Self::Failed { .. } => ("failed", 0),
        }
    }
}

/// An engine's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Voice activity detection.
    Vad,
    /// Speech recognition.
    Asr,
    /// Speech synthesis.
    Tts,
    /// Ends of turns; without it silence alone decides.
    EndOfTurn,
}

impl Part {
    /// `vad`, `asr`, `tts` or `end-of-turn`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vad => "vad",
            Self::Asr => "asr",
            Self::Tts => "tts",
            Self::EndOfTurn => "end-of-turn",
        }
    }
}

/// Which engine does a part, or why none does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    /// The part.
    pub part: Part,
    /// Engine and model, e.g. `flite slt`; `none` when missing.
    pub name: String,
    /// What was configured: `auto`, or an engine by name.
    pub wanted: String,
    /// The agents that it serves; empty: all of them.
    pub agents: Vec<String>,
    /// It works.
    pub ready: bool,
    /// It works, but much worse than what can be installed, or it is not what was wanted: to be said wherever engines are
    /// shown.
    pub limited: bool,
    /// For the operator: what is limited or missing, and why.
    pub note: String,
    /// The command that mends it, where there is one.
    pub mend: Option<String>,
}

impl EngineStatus {
    /// Everything but whose it is, on one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = self.name.clone();
        if self.ready && self.wanted != "auto" && !self.name.contains(&self.wanted) {
            words.push_str(&format!(" instead of {}", self.wanted));
        }
        if !self.note.is_empty() {
            words.push_str(&format!("; {}", self.note));
        }
        if let Some(command) = self.mend.as_ref().filter(|command| !self.note.contains(command.as_str())) {
            let how = if self.ready { "better with" } else { "install it with" };
            words.push_str(&format!("; {how}: {command}"));
        }
        words
    }
}
