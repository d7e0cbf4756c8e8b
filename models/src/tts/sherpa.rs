//! Voices of packs, through sherpa-onnx. Purpose: text in, samples out sentence by sentence.
//!
//! Owning thread: one at a time; a sentence takes from tens of milliseconds to seconds of it. Invariants: a stop takes
//! effect before the next sentence is made (the library has no finer grain, so callers give short clauses); every word of
//! an English text is said, also one that the pack's lexicon lacks, where the voice reads IPA. Deliberately absent: word
//! times (the models give none), level, resampling.

use super::TtsError;
use super::pronunciation::Pronunciations;
use crate::assets::Assets;
use crate::ffi::sherpa::{Speech, Synthesiser, SynthesiserSettings, TtsModel};
use crate::pack::check::{self, Checked};
use crate::pack::{Family, Installed};
use crate::sherpa;
use std::fmt;
use std::ops::ControlFlow;

/// Characters that a voice is given at once: some end the process at more symbols than they have (Kitten's 256).
const PIECE_MAX: usize = 200;

/// How a voice is made.
#[derive(Clone, Debug, PartialEq)]
pub struct VoicePlan {
    /// Threads that one sentence may use.
    pub threads: u16,
    /// Number of the voice in models that have several.
    pub speaker: u32,
    /// Pace: 1 is the model's own, larger is faster; 0.5 to 2.
    pub speed: f32,
}

impl Default for VoicePlan {
    fn default() -> Self {
        Self { threads: 1, speaker: 0, speed: 1.0 }
    }
}

/// A voice of a pack.
pub struct SherpaVoice {
    raw: Synthesiser,
    name: String,
    sample_rate: u32,
    speakers: u32,
    plan: VoicePlan,
    /// Voices that read IPA.
    pronunciations: Option<Pronunciations>,
}

impl fmt::Debug for SherpaVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SherpaVoice").field("pack", &self.name).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl SherpaVoice {
    /// Checks the pack and loads it: up to seconds and hundreds of megabytes, so at start, never in a call.
    ///
    /// # Errors
    /// [`TtsError`]: what to install, what is wrong with the pack, or a speaker that it does not have.
    pub fn load(assets: &Assets, installed: &Installed, plan: VoicePlan) -> Result<Self, TtsError> {
        let library = sherpa::library(assets)?;
        let checked = check::check(installed)?;
        let pack = &installed.pack;
        let file = |part: &str| installed.file(part).unwrap_or_default();
        let model = match pack.family {
            Family::Vits => TtsModel::Vits { model: file("model") },
            Family::Matcha => TtsModel::Matcha { model: file("model"), vocoder: file("vocoder") },
            Family::Kokoro => TtsModel::Kokoro { model: file("model"), voices: file("voices") },
            Family::Kitten => TtsModel::Kitten { model: file("model"), voices: file("voices") },
            other => {
                let what = format!("'{}': a {} pack does not speak", pack.name, check::name(other));
                return Err(TtsError::Refused { what });
            }
        };
        let english = pack.languages.is_empty() || pack.languages.iter().any(|language| language.starts_with("en"));
        let lexicon = installed.file("lexicon");
        let pronunciations = if english && reads_ipa(pack.family, &checked, lexicon.is_some()) {
            Some(Pronunciations::load(assets, lexicon.as_deref())?)
        } else {
            None
        };
        if pronunciations.is_none() && lexicon.is_none() {
            let what = format!(
                "'{}': it has no lexicon and cannot do without; choose one of: callwright models list",
                pack.name
            );
            return Err(TtsError::Refused { what });
        }
        // Given a lexicon, the library forgets the symbols that it needs for phonemes; the voice looks words up itself.
        let lexicon = lexicon.filter(|_| pronunciations.is_none());
        let settings = SynthesiserSettings { model, tokens: file("tokens"), lexicon, threads: plan.threads };
        let mut raw = library
            .synthesiser(&settings)
            .ok_or_else(|| TtsError::Refused { what: format!("the pack '{}'", pack.name) })?;
        let (sample_rate, speakers) = (raw.sample_rate(), raw.speakers().max(1));
        if !(8000..=48_000).contains(&sample_rate) {
            return Err(TtsError::Refused { what: format!("'{}': {sample_rate} samples per second", pack.name) });
        }
        if plan.speaker >= speakers {
            let what = format!("'{}': it has no speaker {}, its last is {}", pack.name, plan.speaker, speakers - 1);
            return Err(TtsError::Refused { what });
        }
        let name = pack.name.clone();
        Ok(Self { raw, name, sample_rate, speakers, plan, pronunciations })
    }

    /// Name of the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Samples per second that it makes.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// How many speakers the model has; they are numbered from 0.
    #[must_use]
    pub fn speakers(&self) -> u32 {
        self.speakers
    }

    /// Speaks plain words; `sink` gets each sentence's samples when it is made, and ends the synthesis by breaking.
    ///
    /// # Errors
    /// [`TtsError::Refused`] when there are words and none of them can be pronounced.
    pub fn speak(&mut self, text: &str, sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>) -> Result<(), TtsError> {
        self.speak_words(text, &[], sink)
    }

    /// As [`speak`](Self::speak), with the sounds of some blank-separated words given: `phones` names them by their place,
    /// counted from 0; sounds are ARPAbet, blank-separated, `1` or `0` behind a vowel ("s iy1 aa0 r"). Voices that read a
    /// lexicon of their own take the word as it is written.
    ///
    /// # Errors
    /// As [`speak`](Self::speak).
    pub fn speak_words(
        &mut self,
        text: &str,
        phones: &[(usize, &str)],
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Result<(), TtsError> {
        if !text.chars().any(char::is_alphanumeric) {
            return Ok(());
        }
        let speed = self.plan.speed.clamp(0.5, 2.0);
        let mut chunk: Vec<i16> = Vec::new();
        let mut deliver = |samples: &[f32]| {
            chunk.clear();
            // `as` saturates; models overshoot full scale a little.
            chunk.extend(samples.iter().map(|sample| (sample * 32_767.0).round() as i16));
            sink(&chunk)
        };
        let mut made = 0;
        let ipa = self.pronunciations.as_ref().map(|pronunciations| pronunciations.clause(text, phones));
        let mut stopped = false;
        for piece in pieces(ipa.as_deref().unwrap_or(text)) {
            let phonemes: Vec<i32> = piece.chars().map(|c| c as i32).collect();
            let speech = if ipa.is_some() { Speech::Phonemes(&phonemes) } else { Speech::Text(piece) };
            made += self.raw.speak(speech, self.plan.speaker, speed, &mut |samples| {
                let flow = deliver(samples);
                stopped |= flow.is_break();
                flow
            });
            if stopped {
                break;
            }
        }
        if made == 0 {
            // Not the words: what is said to a caller is nobody else's.
            let length = text.chars().count();
            let what = format!("a text of {length} characters: the pack '{}' cannot say it", self.name);
            return Err(TtsError::Refused { what });
        }
        Ok(())
    }
}

/// Sentences, and what is longer than a model takes at blanks.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    for sentence in text.split_inclusive(['.', '?', '!']) {
        let mut rest = sentence.trim();
        while let Some((limit, _)) = rest.char_indices().nth(PIECE_MAX) {
            // A word of that length is none; it is cut where it must be.
            let at = rest[..limit].rfind(' ').filter(|at| *at > 0).unwrap_or(limit);
            pieces.push(rest[..at].trim());
            rest = rest[at..].trim();
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
    }
    pieces
}

/// Voices that take phonemes as espeak-ng writes them. Those of Matcha and Kokoro that bring a lexicon are left to the
/// library, which knows their symbols best; it drops words that the lexicon lacks.
fn reads_ipa(family: Family, checked: &Checked, has_lexicon: bool) -> bool {
    match family {
        Family::Kitten => true,
        Family::Vits => checked.text("model", "comment").is_some_and(|comment| comment.contains("piper")),
        Family::Matcha | Family::Kokoro => !has_lexicon && checked.number("model", "has_espeak") == Some(1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_longer_than_a_model_takes_and_nothing_is_lost() {
        assert_eq!(pieces("One. Two? Three"), ["One.", "Two?", "Three"]);
        assert_eq!(pieces(" . "), ["."]);
        for word in ["ab ", "abcdefghijklmnopqrstuvwxyz ", "wˈɜːld ", "endless"] {
            let text = word.repeat(150);
            let pieces = pieces(&text);
            assert!(pieces.iter().all(|piece| piece.chars().count() <= PIECE_MAX), "{word}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').count();
            assert_eq!(pieces.iter().map(|piece| letters(piece)).sum::<usize>(), letters(&text));
        }
    }
}
