//! Recognition of whole turns by a pack, through sherpa-onnx. Purpose: a turn of 8 kHz telephone audio in, its words out.
//!
//! Owning thread: one at a time; a turn takes from tens of milliseconds to seconds of it. Invariants: what is too short for
//! a model is made long enough with silence, so none sees less than it can take. Deliberately absent: partial words, where
//! turns end.

use super::written;
use super::{AsrError, Hypothesis};
use crate::assets::Assets;
use crate::ffi::sherpa::{OfflineModel, OfflineRecogniser, OfflineSettings};
use crate::pack::check::{self, Checked};
use crate::pack::{Family, Installed};
use crate::sherpa;
use callwright_dsp::resample::half_band::Upsampler2;
use std::fmt;

/// Samples per second of the line.
const LINE_RATE: usize = 8000;
/// Silence around every turn: models swallow a first sound that begins at once, and wait for the end of a last one.
const MARGIN_MS: usize = 200;
/// Shortest audio that all models take.
const SHORTEST_MS: usize = 1000;

/// How an engine is made.
#[derive(Clone, Debug)]
pub struct OfflinePlan {
    /// Threads that one turn may use.
    pub threads: u16,
    /// What callers speak, BCP 47; `None`: models of many languages find out.
    pub language: Option<String>,
}

impl Default for OfflinePlan {
    fn default() -> Self {
        Self { threads: 1, language: None }
    }
}

/// A recogniser of one turn at a time.
pub struct OfflineEngine {
    raw: OfflineRecogniser,
    name: String,
    real: Vec<f32>,
}

impl fmt::Debug for OfflineEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfflineEngine").field("pack", &self.name).finish_non_exhaustive()
    }
}

impl OfflineEngine {
    /// Checks the pack and loads it: seconds and hundreds of megabytes, so at start, never in a call.
    ///
    /// # Errors
    /// [`AsrError`]: what to install, or what is wrong with the pack.
    pub fn load(assets: &Assets, installed: &Installed, plan: &OfflinePlan) -> Result<Self, AsrError> {
        let library = sherpa::library(assets)?;
        let checked = check::check(installed)?;
        let file = |part: &str| installed.file(part).unwrap_or_default();
        let model = match installed.pack.family {
            Family::Moonshine => OfflineModel::Moonshine {
                preprocessor: file("preprocessor"),
                encoder: file("encoder"),
                uncached_decoder: file("uncached-decoder"),
                cached_decoder: file("cached-decoder"),
            },
            Family::MoonshineMerged => {
                OfflineModel::MoonshineMerged { encoder: file("encoder"), merged_decoder: file("merged-decoder") }
            }
            Family::OfflineNemoTransducer => OfflineModel::NemoTransducer {
                encoder: file("encoder"),
                decoder: file("decoder"),
                joiner: file("joiner"),
            },
            Family::Whisper => OfflineModel::Whisper { encoder: file("encoder"), decoder: file("decoder") },
            Family::SenseVoice => OfflineModel::SenseVoice(file("model")),
            other => {
                let what =
                    format!("'{}': a {} pack does not recognise whole turns", installed.pack.name, check::name(other));
                return Err(AsrError::Refused { what });
            }
        };
        let settings = OfflineSettings {
            model,
            tokens: file("tokens"),
            threads: plan.threads,
            language: language(installed, &checked, plan.language.as_deref()),
        };
        let raw = library
            .offline(&settings)
            .ok_or_else(|| AsrError::Refused { what: format!("the pack '{}'", installed.pack.name) })?;
        Ok(Self { raw, name: installed.pack.name.clone(), real: Vec::new() })
    }

    /// Name of the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Recognises a turn of 8 kHz samples.
    ///
    /// # Errors
    /// [`AsrError::Refused`] when the engine has no memory for it.
    pub fn recognise(&mut self, samples: &[i16]) -> Result<Hypothesis, AsrError> {
        let ms = |count: usize| count * 1000 / LINE_RATE;
        let mut upsampler = Upsampler2::default();
        let mut wide = [0_i16; 2048];
        self.real.clear();
        self.real.resize(MARGIN_MS * 16, 0.0);
        for piece in samples.chunks(wide.len() / 2) {
            let made = upsampler.process(piece, &mut wide);
            self.real.extend(wide[..made].iter().map(|sample| f32::from(*sample) / 32_768.0));
        }
        let length = (self.real.len() + MARGIN_MS * 16).max(SHORTEST_MS * 16);
        self.real.resize(length, 0.0);
        let mut recognised =
            self.raw.recognise(&self.real).ok_or_else(|| AsrError::Refused { what: "to begin a turn".into() })?;
        for start in &mut recognised.starts {
            *start -= MARGIN_MS as f32 / 1000.0;
        }
        Ok(written::hypothesis(&recognised, u32::try_from(ms(samples.len())).unwrap_or(u32::MAX)))
    }
}

/// The language as the model calls it; only one that it has, because some end the process at another.
fn language(installed: &Installed, checked: &Checked, asked: Option<&str>) -> Option<String> {
    let only = match installed.pack.languages.as_slice() {
        [only] => Some(only.as_str()),
        _ => None,
    };
    let short = asked.or(only)?.split('-').next()?.to_lowercase();
    let has = match installed.pack.family {
        Family::Whisper => checked.text("encoder", "all_language_codes")?.split(',').any(|code| code.trim() == short),
        Family::SenseVoice => ["zh", "en", "ja", "ko", "yue"].contains(&short.as_str()),
        _ => false,
    };
    has.then_some(short)
}
