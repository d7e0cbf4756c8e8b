//! Flite speech synthesis. Purpose: text in, 16 kHz samples out as they are made, with the time of every word.
//!
//! Owning thread: whichever has the [`Flite`]; each is a voice of its own, and they speak side by side.
//! Invariant: a stop takes effect within 16 ms of audio. Deliberately absent: clause splitting, level, resampling, text
//! normalisation (`speech::tts`).

use super::WordTime;
use crate::assets::{AssetError, Assets};
use crate::ffi::flite;
use std::fmt;
use std::ops::ControlFlow;

/// Samples per second of the voices that we use.
pub const SAMPLE_RATE: u32 = 16_000;

/// A Flite voice.
pub struct Flite {
    name: String,
    voice: flite::Voice,
}

impl fmt::Debug for Flite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flite").field("voice", &self.name).finish_non_exhaustive()
    }
}

impl Flite {
    /// Loads a 16 kHz voice: `slt` (female, US), `rms` (male, US), `awb` (male, Scottish), `kal16` (male, diphone).
    ///
    /// # Errors
    /// [`AssetError`] when Flite or the voice is not installed.
    pub fn load(assets: &Assets, voice: &str) -> Result<Self, AssetError> {
        let directories: Vec<_> = assets.library_directories().collect();
        Ok(Self { name: voice.to_owned(), voice: flite::voice(voice, &directories)? })
    }

    /// Name of the voice.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Speaks `text`; `sink` gets 16 kHz samples in chunks of 16 ms or more while they are made, and ends the synthesis by
    /// breaking. Returns the words, also those that a stop cut off.
    pub fn speak(&mut self, text: &str, sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>) -> Vec<WordTime> {
        self.speak_stretched(text, 1.0, sink)
    }

    /// As [`speak`](Self::speak), slower (`stretch` > 1) or faster (< 1) than the voice's own pace.
    pub fn speak_stretched(
        &mut self,
        text: &str,
        stretch: f32,
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Vec<WordTime> {
        // Flite crashes on nothing to say; there is nothing to say.
        if !text.chars().any(char::is_alphanumeric) {
            return Vec::new();
        }
        self.voice.set_stretch(stretch.clamp(0.5, 2.0));
        let (_, tokens) = self.voice.synthesise(&flite::c_text(text), sink);
        word_times(tokens)
    }

    /// Speaks plain blank-separated words, of which some have their sounds given: `phones` names them by their place,
    /// counted from 0, in order; sounds are Flite's names, blank-separated, `1` or `0` behind a vowel ("s iy1 aa0 r"). A
    /// phone that Flite does not know is silence.
    pub fn speak_words(
        &mut self,
        text: &str,
        phones: &[(usize, &str)],
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Vec<WordTime> {
        let mut repeated = false;
        let mut last: Option<&str> = None;
        let words: Vec<flite::Said> = text
            .split_whitespace()
            .enumerate()
            .map(|(n, word)| {
                let name = word.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '\'');
                let given = phones.iter().find(|(at, _)| *at == n).map(|(_, phones)| *phones);
                // Flite takes a word with the same string as the one before for a part of that word, and leaves it out.
                repeated = given.is_some() && given == last && !repeated;
                last = given;
                flite::Said {
                    name: flite::c_text(name),
                    mark: flite::c_text(&word[name.len()..]),
                    phones: given.map(|phones| flite::c_text(&format!("{phones}{}", if repeated { " " } else { "" }))),
                }
            })
            .filter(|word| word.name.to_bytes().iter().any(u8::is_ascii_alphanumeric))
            .collect();
        if words.is_empty() {
            return Vec::new();
        }
        self.voice.set_stretch(1.0);
        let (_, tokens) = self.voice.synthesise_words(&words, sink);
        word_times(tokens)
    }
}

fn word_times(tokens: Vec<flite::Token>) -> Vec<WordTime> {
    let ms = |seconds: f32| (seconds.max(0.0) * 1000.0).round() as u32;
    tokens
        .into_iter()
        .map(|token| WordTime { word: token.text, start_ms: ms(token.start), end_ms: ms(token.end) })
        .collect()
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;

    fn voice(name: &str) -> Option<Flite> {
        match Flite::load(&Assets::locate(), name) {
            Ok(voice) => Some(voice),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn speaks_with_word_times_inside_the_audio() {
        let Some(mut slt) = voice("slt") else { return };
        let mut samples = Vec::new();
        let words = slt.speak("Your CRM has 42 contacts, and it is live.", &mut |chunk| {
            samples.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let said: Vec<&str> = words.iter().map(|w| w.word.as_str()).collect();
        assert_eq!(said, ["Your", "CRM", "has", "42", "contacts", "and", "it", "is", "live"]);
        let total_ms = samples.len() as u32 / 16;
        assert!((1500..6000).contains(&total_ms), "{total_ms} ms");
        for pair in words.windows(2) {
            assert!(pair[0].start_ms < pair[0].end_ms && pair[0].end_ms <= pair[1].start_ms + 1, "{pair:?}");
        }
        assert!(words.last().is_some_and(|w| w.end_ms <= total_ms));
    }

    #[test]
    fn a_stop_takes_effect_within_one_chunk() {
        let Some(mut slt) = voice("slt") else { return };
        let mut chunks = 0;
        slt.speak("This sentence would go on for quite a while if nobody stopped it.", &mut |_| {
            chunks += 1;
            if chunks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(chunks, 3);
        let mut after = 0;
        slt.speak("Again.", &mut |chunk| {
            after += chunk.len();
            ControlFlow::Continue(())
        });
        assert!(after > 4000, "the voice still speaks after a stop: {after}");
    }

    #[test]
    fn nothing_to_say_is_silence() {
        let Some(mut slt) = voice("slt") else { return };
        for text in ["", "  ", "...", "\0", "—"] {
            assert!(slt.speak(text, &mut |_| ControlFlow::Continue(())).is_empty());
        }
    }

    #[test]
    fn sounds_can_be_given_word_by_word() {
        let Some(mut slt) = voice("slt") else { return };
        let mut length = |phones: &[(usize, &str)]| {
            let mut samples = 0;
            let words = slt.speak_words("the zzq zzq, is live.", phones, &mut |chunk| {
                samples += chunk.len();
                ControlFlow::Continue(())
            });
            (samples / 16, words)
        };
        let long = "n uw1 y eh0 n d ih0 n ax0 v iy1 ax0";
        let (ms, words) = length(&[(1, long), (2, long)]);
        let said: Vec<&str> = words.iter().map(|w| w.word.as_str()).collect();
        assert_eq!(said, ["the", "zzq", "zzq", "is", "live"]);
        // Both are said, and as long as the sounds take.
        for word in &words[1..3] {
            assert!(word.end_ms - word.start_ms > 500, "{words:?}");
        }
        let (short, words) = length(&[(1, "w ih1 n"), (2, "w ih1 n")]);
        assert!(short + 600 < ms, "{short} {ms} {words:?}");
        assert_eq!(slt.speak_words("...", &[], &mut |_| ControlFlow::Continue(())), []);
    }

    #[test]
    fn voices_of_one_name_speak_side_by_side() {
        let Some(first) = voice("slt") else { return };
        let second = voice("slt").unwrap();
        let text = "Each of us has a voice of her own, and neither waits for the other.";
        let speak = |mut voice: Flite| {
            move || {
                (0..6)
                    .map(|_| {
                        let mut samples = 0;
                        let words = voice.speak(text, &mut |chunk| {
                            samples += chunk.len();
                            ControlFlow::Continue(())
                        });
                        (samples, words)
                    })
                    .collect::<Vec<_>>()
            }
        };
        let other = std::thread::spawn(speak(second));
        let here = speak(first)();
        let there = other.join().unwrap();
        // Breath is random, times are not.
        assert!(here.iter().chain(&there).all(|said| *said == here[0]), "{here:?} {there:?}");
    }

    #[test]
    fn an_unknown_voice_names_the_package() {
        let error = Flite::load(&Assets::locate(), "nobody").unwrap_err().to_string();
        assert!(error.contains("apt-get install -y libflite1"), "{error}");
        assert!(Flite::load(&Assets::locate(), "../evil").is_err());
    }
}
