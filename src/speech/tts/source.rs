//! How a voice comes to the threads that speak. Purpose: engines that can be made once a thread are; one that cannot is
//! shared, and then speaks one clause at a time. Any thread. Deliberately absent: which voice an agent has (`plane`).

use super::super::synthesiser::{Haste, Sink, SpeakOptions, Synthesiser};
use super::voice::{Measure, Voice};
use callwright_models::tts::WordTime;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type Make = dyn Fn() -> Result<Box<dyn Synthesiser>, String> + Send + Sync;

/// A voice that agents may have.
#[derive(Clone)]
pub(in crate::speech) struct VoiceSource {
    name: String,
    elsewhere: bool,
    /// There is one engine for all threads.
    shared: bool,
    haste: Haste,
    make: Arc<Make>,
    /// Its loudness and pace, by the first thread that has measured them.
    measure: Arc<OnceLock<Measure>>,
    /// Held while a shared one is measured.
    measuring: Arc<Mutex<()>>,
}

impl fmt::Debug for VoiceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VoiceSource").field(&self.name).finish()
    }
}

impl VoiceSource {
    /// A voice of which each thread makes its own; `name` is for people ("flite slt").
    pub(in crate::speech) fn each(
        name: impl Into<String>,
        make: impl Fn() -> Result<Box<dyn Synthesiser>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            elsewhere: false,
            shared: false,
            haste: Haste::default(),
            make: Arc::new(make),
            measure: Arc::default(),
            measuring: Arc::default(),
        }
    }

    /// The same for a voice that is reached through a network.
    pub(in crate::speech) fn elsewhere(
        name: impl Into<String>,
        make: impl Fn() -> Result<Box<dyn Synthesiser>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { elsewhere: true, ..Self::each(name, make) }
    }

    /// An engine of which there is one: its clauses take turns.
    pub(in crate::speech) fn shared(name: impl Into<String>, engine: Box<dyn Synthesiser>) -> Self {
        let (rate, local, haste) = (engine.sample_rate(), engine.is_local(), engine.haste());
        let engine = Arc::new(Mutex::new(engine));
        let make = move || Ok(Box::new(Shared { engine: Arc::clone(&engine), rate, local }) as Box<_>);
        Self { shared: true, haste, ..Self::each(name, make) }
    }

    /// Whether it speaks elsewhere, so that its threads mostly wait.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// Whether a thread that is given a clause of it waits for the others that have one.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// How soon the first sound of a clause comes.
    pub(super) fn haste(&self) -> Haste {
        self.haste
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One more of it, ready to speak; the first is warmed and measured.
    ///
    /// # Errors
    /// In words, with what to do.
    pub(super) fn open(&self) -> Result<Voice, String> {
        let engine = (self.make)()?;
        // Of one engine the others would only measure the same after the first.
        let _alone = self.shared.then(|| self.measuring.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(measure) = self.measure.get() {
            return Voice::with(engine, *measure);
        }
        let (voice, measure) = Voice::new(engine)?;
        // Two threads that measure at once find the same.
        let _ = self.measure.set(measure);
        Ok(voice)
    }
}

struct Shared {
    engine: Arc<Mutex<Box<dyn Synthesiser>>>,
    rate: u32,
    local: bool,
}

impl Synthesiser for Shared {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        self.speak_with(text, &SpeakOptions::default(), sink)
    }

    fn speak_with(&mut self, text: &str, options: &SpeakOptions<'_>, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).speak_with(text, options, sink)
    }

    fn is_local(&self) -> bool {
        self.local
    }
}
