//! The voice and the ears of a call that is steered from outside, where no agent talks. Owned by the call's actor. Invariant:
//! utterances are numbered from 1; what is flushed is not heard any more. Deliberately absent: what to say (whoever steers).

use super::actor::Planes;
use super::steer::Heard;
use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::CALL_EVENTS_MAX;
use crate::media::{MediaCommand, SpeechEnds};
use crate::speech::{SpeechEvent, SpeechLane};
use crate::time::Tick;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// A steered call's.
pub(super) struct Operator {
    pub(super) lane: SpeechLane,
    pub(super) speech: mpsc::Receiver<SpeechEvent>,
    generation: Generation,
    utterances: u32,
    /// The last utterance that has been heard.
    heard: u32,
    waiting: Vec<Heard>,
    /// When the other side was last heard, in an utterance that has not been ended.
    voiced: Option<Tick>,
}

/// Silence that ends an utterance: nobody waits for an answer here, so nobody is cut off.
const PAUSE: Duration = Duration::from_millis(1200);

impl Operator {
    /// Speaks with the voice of `agent`, or of the first one. What was flushed before `generation` stays so.
    pub(super) fn begin(
        planes: &Planes,
        call: CallId,
        agent: &str,
        ends: SpeechEnds,
        generation: Generation,
    ) -> Result<Self, String> {
        let (events, speech) = mpsc::channel(CALL_EVENTS_MAX);
        let lane = planes.speech.attach(call, agent, ends, events).map_err(|e| e.to_string())?;
        lane.flush(generation);
        Ok(Self { lane, speech, generation, utterances: 0, heard: 0, waiting: Vec::new(), voiced: None })
    }

    pub(super) fn say(&mut self, text: String) -> UtteranceId {
        let utterance = self.next();
        self.lane.speak(utterance, self.generation, text);
        utterance
    }

    pub(super) fn play(&mut self, pcm: Arc<[i16]>) -> UtteranceId {
        let utterance = self.next();
        self.lane.play(utterance, pcm);
        utterance
    }

    /// Utterances so far.
    pub(super) const fn numbered(&self) -> u32 {
        self.utterances
    }

    /// Numbers go on after this one: it is the same call.
    pub(super) fn number_from(&mut self, utterances: u32) {
        (self.utterances, self.heard) = (utterances, utterances);
    }

    /// The other side's voice was heard.
    pub(super) fn handle_voice(&mut self, now: Tick) {
        self.voiced = Some(now);
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        self.voiced.map(|voiced| voiced + PAUSE)
    }

    /// Who has paused is understood.
    pub(super) fn handle_timeout(&mut self, now: Tick) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.voiced = None;
            self.lane.finalize();
        }
    }

    /// Tells when everything that was asked before has been heard.
    pub(super) fn tell_when_silent(&mut self, heard: Heard) {
        self.waiting.push(heard);
        self.handle_played(UtteranceId(self.heard));
    }

    /// Utterances are heard in their order.
    pub(super) fn handle_played(&mut self, utterance: UtteranceId) {
        self.heard = self.heard.max(utterance.0);
        if self.heard >= self.utterances {
            self.waiting.drain(..).for_each(|heard| heard.0.notify_one());
        }
    }

    /// Nothing that was asked before is heard any more.
    pub(super) fn hush(&mut self, planes: &Planes) {
        self.handle_played(UtteranceId(self.utterances));
        self.generation.0 += 1;
        self.lane.flush(self.generation);
        let (call, generation) = (self.lane.call(), self.generation);
        if planes.media.send(MediaCommand::FlushPlayout { call, generation }).is_err() {
            warn!(%call, "the media worker takes no commands; it is heard to its end");
        }
    }

    fn next(&mut self) -> UtteranceId {
        self.utterances += 1;
        UtteranceId(self.utterances)
    }
}
