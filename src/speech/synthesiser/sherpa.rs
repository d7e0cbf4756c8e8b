//! A pack's voice. Purpose: [`SherpaVoice`] behind the mouth's trait. Owning thread: the mouth. Deliberately absent: word
//! times, which these models do not give (the mouth divides by proportion).

use super::{Sink, SpeakOptions, Synthesiser};
use callwright_models::tts::{SherpaVoice, WordTime};

impl Synthesiser for SherpaVoice {
    fn sample_rate(&self) -> u32 {
        Self::sample_rate(self)
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        Self::speak(self, text, sink).map(|()| Vec::new()).map_err(|error| error.to_string())
    }

    fn speak_with(&mut self, text: &str, options: &SpeakOptions<'_>, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        let phones: Vec<(usize, &str)> = options.phones.iter().map(|(word, phones)| (*word, &**phones)).collect();
        self.speak_words(text, &phones, sink).map(|()| Vec::new()).map_err(|error| error.to_string())
    }
}
