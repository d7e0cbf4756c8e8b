//! How a voice comes to the threads that speak. Purpose: engines that can be made once a thread are; one that cannot is
//! shared, and then speaks one clause at a time. Any thread. Deliberately absent: which voice an agent has (`plane`).

use super::super::synthesiser::{Sink, SpeakOptions, Synthesiser};
use callwright_models::tts::WordTime;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Make = dyn Fn() -> Result<Box<dyn Synthesiser>, String> + Send + Sync;

/// A voice that agents may have.
#[derive(Clone)]
pub(in crate::speech) struct VoiceSource {
    name: String,
    make: Arc<Make>,
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
        Self { name: name.into(), make: Arc::new(make) }
    }

    /// An engine of which there is one: its clauses take turns.
    pub(in crate::speech) fn shared(name: impl Into<String>, engine: Box<dyn Synthesiser>) -> Self {
        let (rate, local) = (engine.sample_rate(), engine.is_local());
        let engine = Arc::new(Mutex::new(engine));
        Self::each(name, move || Ok(Box::new(Shared { engine: Arc::clone(&engine), rate, local }) as Box<_>))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn make(&self) -> Result<Box<dyn Synthesiser>, String> {
        (self.make)()
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
