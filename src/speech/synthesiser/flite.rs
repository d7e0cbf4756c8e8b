//! The embedded voice. Purpose: Flite behind the mouth's trait. Owning thread: the mouth. Deliberately absent: everything
//! else.

use super::{Sink, SpeakOptions, Synthesiser};
use callwright_models::tts::{Flite, SAMPLE_RATE, WordTime};

impl Synthesiser for Flite {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        Ok(Self::speak(self, text, sink))
    }

    fn speak_with(&mut self, text: &str, options: &SpeakOptions<'_>, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        if options.phones.is_empty() {
            return Synthesiser::speak(self, text, sink);
        }
        let phones: Vec<(usize, &str)> = options.phones.iter().map(|(word, phones)| (*word, &**phones)).collect();
        Ok(self.speak_words(text, &phones, sink))
    }
}
