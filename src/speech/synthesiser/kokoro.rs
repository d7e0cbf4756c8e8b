//! A pack's voice that needs ONNX Runtime alone. Purpose: [`KokoroVoice`] behind the mouth's trait. Owning thread: the mouth's
//! seats, one at a time. Deliberately absent: word times, which this model does not give (the mouth divides by proportion).

use super::{Haste, Sink, SpeakOptions, Synthesiser};
use callwright_models::tts::{KokoroVoice, WordTime};

impl Synthesiser for KokoroVoice {
    fn sample_rate(&self) -> u32 {
        Self::sample_rate(self)
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        Self::speak(self, text, sink).map(|()| Vec::new()).map_err(|error| error.to_string())
    }

    fn speak_with(&mut self, text: &str, options: &SpeakOptions<'_>, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        let phones: Vec<(usize, &str)> = options.phones.iter().map(|(word, phones)| (*word, &**phones)).collect();
        self.speak_words(text, &phones, options.unwanted, sink).map(|()| Vec::new()).map_err(|error| error.to_string())
    }

    fn haste(&self) -> Haste {
        Haste::Whole
    }
}
