//! One call's handle on the speech plane. Owned by the call's actor; every method returns at once. Dropping it detaches the
//! call: its rings' speech ends are freed on the speech threads. Deliberately absent: events (they come through the channel
//! that was given to `attach`).

use super::ears::EarsCommand;
use super::tts::MouthCommand;
use crate::conversation::Expectation;
use crate::id::{CallId, Generation, UtteranceId};
use crate::media::SpeechEnds;
use crate::os::wake::Wake;
use crossbeam_channel::Sender;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The ears and the mouth answer within a pass of their loops.
const RELEASE_MAX: Duration = Duration::from_secs(2);

/// One call's ears and mouth.
pub struct SpeechLane {
    pub(super) call: CallId,
    pub(super) ears: Sender<EarsCommand>,
    pub(super) ears_wake: Arc<Wake>,
    /// None for one that only listens.
    pub(super) mouth: Option<Sender<MouthCommand>>,
    /// Oldest generation that may still be synthesised; read by the mouth between chunks of 16 ms.
    pub(super) generation: Arc<AtomicU32>,
    /// Counts the lanes that are attached.
    pub(super) _share: Arc<()>,
}

impl fmt::Debug for SpeechLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpeechLane").field("call", &self.call).finish_non_exhaustive()
    }
}

impl SpeechLane {
    /// The call.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// What the next answer is likely to be; takes effect with the next turn, so set it when the question starts playing.
    pub fn listen(&self, expectation: Expectation) {
        self.hear(EarsCommand::Listen { call: self.call, expectation });
    }

    /// The turn is over: asks for its [`Final`](super::SpeechEvent::Final). Always answered, with empty text when nothing
    /// was said. The next speech begins a new turn.
    pub fn finalize(&self) {
        self.hear(EarsCommand::Finalize { call: self.call, asked: Instant::now() });
    }

    /// What is being said was not meant for the agent: it is forgotten, without a [`Final`](super::SpeechEvent::Final).
    /// Whoever goes on speaking begins a turn.
    pub fn forget(&self) {
        self.hear(EarsCommand::Forget { call: self.call });
    }

    /// Synthesises `text` after everything asked before. Ignored when `generation` has been flushed. At most
    /// `limits::SPOKEN_TEXT_MAX` characters are said.
    pub fn speak(&self, utterance: UtteranceId, generation: Generation, text: impl Into<String>) {
        self.order(utterance, generation, text.into(), false);
    }

    /// The same ahead of what was asked before, unless something of that is in the ring already; then it is not said at all,
    /// and answered by [`Spoken`](super::SpeechEvent::Spoken) without words.
    pub fn speak_ahead(&self, utterance: UtteranceId, generation: Generation, text: impl Into<String>) {
        self.order(utterance, generation, text.into(), true);
    }

    fn order(&self, utterance: UtteranceId, generation: Generation, text: String, ahead: bool) {
        let asked = Instant::now();
        self.say(MouthCommand::Speak { call: self.call, utterance, generation, text, ahead, asked });
    }

    /// Sends `pcm` (8 kHz) after everything asked before, as one utterance of the newest generation.
    pub fn play(&self, utterance: UtteranceId, pcm: Arc<[i16]>) {
        self.say(MouthCommand::Play { call: self.call, utterance, pcm, asked: Instant::now() });
    }

    /// Oldest generation that may still be heard.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Detaches the call and gives its rings back, for somebody else to hear it and speak to it. `None` when the threads
    /// behind do not answer.
    pub async fn release(self) -> Option<SpeechEnds> {
        let (give_outbound, outbound) = oneshot::channel();
        let (give_inbound, inbound) = oneshot::channel();
        self.say(MouthCommand::Release { call: self.call, give: give_outbound });
        self.hear(EarsCommand::Release { call: self.call, give: give_inbound });
        let ends = async { Some(SpeechEnds { inbound: inbound.await.ok()?, outbound: outbound.await.ok()? }) };
        tokio::time::timeout(RELEASE_MAX, ends).await.ok()?
    }

    /// `text` is likely to be asked for soon: its first clause is synthesised if a voice is free, and nothing of it is heard
    /// before it is asked for. Voices that cost money are not asked.
    pub fn prepare(&self, text: impl Into<String>) {
        self.say(MouthCommand::Prepare { call: self.call, text: text.into() });
    }

    /// Drops everything older than `generation` that is not in the ring yet, and stops its synthesis within 16 ms of
    /// audio. What is in the ring is the media worker's to drop (`MediaCommand::FlushPlayout`).
    pub fn flush(&self, generation: Generation) {
        self.generation.fetch_max(generation.0, Ordering::AcqRel);
        self.say(MouthCommand::Flush { call: self.call });
    }

    // The channels hold `SPEECH_JOBS_MAX` commands. Full means that the thread behind has stood still for many seconds:
    // waiting would spread that to the caller, so the command is lost and the plane's watchdog counts it.
    fn hear(&self, command: EarsCommand) {
        if self.ears.try_send(command).is_err() {
            tracing::error!(call = %self.call, "speech: the ears take no commands");
        }
        self.ears_wake.signal();
    }

    fn say(&self, command: MouthCommand) {
        if let Some(mouth) = &self.mouth
            && mouth.try_send(command).is_err()
        {
            tracing::error!(call = %self.call, "speech: the mouth takes no commands");
        }
    }

    /// There is audio in the ring that no media worker has announced.
    pub(super) fn wake(&self) {
        self.ears_wake.signal();
    }
}

impl Drop for SpeechLane {
    fn drop(&mut self) {
        self.generation.store(u32::MAX, Ordering::Release);
        self.hear(EarsCommand::Detach { call: self.call });
        self.say(MouthCommand::Detach { call: self.call });
    }
}
