//! Voices of packs, through sherpa-onnx. Purpose: text in, samples out sentence by sentence.
//!
//! Owning thread: one at a time; a sentence takes from tens of milliseconds to seconds of it. Invariants: a stop takes
//! effect before the next sentence is made (the library has no finer grain, so callers give short clauses); every word of
//! an English text is said, also one that the pack's lexicon lacks, where the voice reads IPA. Deliberately absent: word
//! times (the models give none), level, resampling.

use super::TtsError;
use super::pronunciation::{Hint, Pronunciations};
use crate::assets::Assets;
use crate::ffi::sherpa::{Speech, Synthesiser, SynthesiserSettings, TtsModel};
use crate::pack::check::{self, Checked};
use crate::pack::{Family, Installed};
use crate::sherpa;
use std::fmt;
use std::ops::ControlFlow;

/// Gives a word's ARPAbet phones (`S IY AA R EH M`), where it knows better than dictionaries.
pub type Pronounce = Box<dyn Fn(&str) -> Option<String> + Send>;

/// How a voice is made.
pub struct VoicePlan {
    /// Threads that one sentence may use.
    pub threads: u16,
    /// Number of the voice in models that have several.
    pub speaker: u32,
    /// Pace: 1 is the model's own, larger is faster; 0.5 to 2.
    pub speed: f32,
    /// Asked for every word before the dictionaries, of voices that read IPA.
    pub pronounce: Option<Pronounce>,
}

impl Default for VoicePlan {
    fn default() -> Self {
        Self { threads: 1, speaker: 0, speed: 1.0, pronounce: None }
    }
}

impl fmt::Debug for VoicePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoicePlan").field("speaker", &self.speaker).field("speed", &self.speed).finish_non_exhaustive()
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
        let pronunciations = if reads_ipa(pack.family, &checked) && english {
            Some(Pronunciations::load(assets, installed.file("lexicon").as_deref())?)
        } else {
            None
        };
        let lexicon = pack.files.get("lexicon").map(|names| {
            let files = names.split(',').map(|name| installed.directory().join(name.trim()).display().to_string());
            files.collect::<Vec<_>>().join(",")
        });
        if pronunciations.is_none() && lexicon.is_none() {
            let what = format!(
                "'{}': it has no lexicon, and its language is not English; choose one of: callwright models list",
                pack.name
            );
            return Err(TtsError::Refused { what });
        }
        // With IPA of our own the library need not hold the pack's lexicon in memory as well.
        let lexicon = if pronunciations.is_some() { None } else { lexicon };
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
        Ok(Self { raw, name: pack.name.clone(), sample_rate, speakers, plan, pronunciations })
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
        match &self.pronunciations {
            Some(pronunciations) => {
                let hint: Hint<'_> = self.plan.pronounce.as_ref().map(|p| &**p as &dyn Fn(&str) -> Option<String>);
                let mut stopped = false;
                for sentence in pronunciations.clause(text, hint).split_inclusive(['.', '?', '!']) {
                    let ipa: Vec<i32> = sentence.trim().chars().map(|c| c as i32).collect();
                    made += self.raw.speak(Speech::Phonemes(&ipa), self.plan.speaker, speed, &mut |samples| {
                        let flow = deliver(samples);
                        stopped |= flow.is_break();
                        flow
                    });
                    if stopped {
                        break;
                    }
                }
            }
            None => made = self.raw.speak(Speech::Text(text), self.plan.speaker, speed, &mut deliver),
        }
        if made == 0 {
            let words: String = text.chars().take(60).collect();
            return Err(TtsError::Refused { what: format!("'{words}': the pack '{}' cannot say it", self.name) });
        }
        Ok(())
    }
}

/// Voices that were trained on what espeak-ng writes.
fn reads_ipa(family: Family, checked: &Checked) -> bool {
    match family {
        Family::Kitten => true,
        Family::Vits => checked.text("model", "comment").is_some_and(|comment| comment.contains("piper")),
        _ => false,
    }
}
