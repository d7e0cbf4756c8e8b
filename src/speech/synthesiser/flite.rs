//! The embedded voice. Purpose: Flite behind the mouth's trait. Owning thread: the mouth. Deliberately absent: everything
//! else.

use super::{Sink, Synthesiser};
use callwright_models::tts::{Flite, SAMPLE_RATE, WordTime};

impl Synthesiser for Flite {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        Ok(Self::speak(self, text, sink))
    }
}
