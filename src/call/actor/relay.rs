//! Small errands between a call's machine and the planes: what it wants of media and marks, and what speech tells it.

use super::Planes;
use crate::call::exchange::{CallInput, Mark};
use crate::conversation::Failure;
use crate::id::{CallId, Generation};
use crate::media::MediaCommand;
use crate::speech::{Part, SpeechEvent, SpeechLane};
use crate::telemetry::marks::Marks;
use std::time::Duration;
use tracing::warn;

pub(super) fn duck(planes: &Planes, call: CallId, ducked: bool) {
    if planes.media.send(MediaCommand::Duck { call, ducked }).is_err() {
        warn!(%call, "the media worker takes no commands; the agent neither falls silent nor goes on");
    }
}

pub(super) fn flush(planes: &Planes, call: CallId, lane: Option<&SpeechLane>, generation: Generation) {
    if let Some(lane) = lane {
        lane.flush(generation);
    }
    if planes.media.send(MediaCommand::FlushPlayout { call, generation }).is_err() {
        warn!(%call, "the media worker takes no commands; the agent talks on");
    }
}

pub(super) fn measure(marks: &Marks, mark: Mark, took: Duration) {
    match mark {
        Mark::TurnResponse => &marks.turn_response,
        Mark::Endpoint => &marks.endpoint,
        Mark::AsrFinal => &marks.asr_final,
        Mark::Think => &marks.think,
        Mark::TtsFirstAudio => &marks.tts_first_audio,
        Mark::Playout => &marks.playout,
        Mark::BargeInDuck => &marks.barge_in_duck,
        Mark::BargeInFloor => &marks.barge_in_floor,
        Mark::BargeInAside => &marks.barge_in_aside,
        Mark::BargeInStop => &marks.barge_in_stop,
        Mark::Greeting => &marks.greeting,
    }
    .record(took);
}

/// `None`: nothing that the conversation could do about it.
pub(super) fn speech_input(call: CallId, event: SpeechEvent) -> Option<CallInput> {
    Some(match event {
        SpeechEvent::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick, sound } => {
            CallInput::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick, sound }
        }
        SpeechEvent::Heard { to } => CallInput::Heard(to),
        SpeechEvent::Partial { text, until, .. } => CallInput::Partial(text, until),
        SpeechEvent::EndOfTurn { at, probability } => CallInput::EndOfTurn { at, probability },
        SpeechEvent::Final { text, confidence, alternatives, ended, .. } => {
            CallInput::Final { text, confidence, alternatives, ended }
        }
        SpeechEvent::SpeakStarted { utterance, .. } => CallInput::SpeakStarted(utterance),
        SpeechEvent::Spoken { utterance, words, .. } => CallInput::Spoken { utterance, words },
        SpeechEvent::Failed { part, what } => {
            // No reason to hang up: what was not understood is asked again, keys work, and a voice that stays away is
            // missed by the machine.
            warn!(%call, part = part.name(), what, "speech failed for this turn");
            match part {
                Part::Asr => CallInput::Failed(Failure::Hearing),
                Part::Vad | Part::Tts | Part::EndOfTurn => return None,
            }
        }
        SpeechEvent::Onset { at, .. } => CallInput::Onset(at),
        SpeechEvent::Stirring { at, now, received } => CallInput::Stirring { at, now, received },
    })
}
