//! PocketSphinx speech recognition. Purpose: 16 kHz samples in, words out, with several named searches per decoder.
//!
//! Owning thread: one at a time per [`Decoder`]; decoders of one [`PocketSphinx`] share nothing but the library.
//! Invariants: a decoder knows only the words of its plan; between utterances nothing of the last speaker stays but the
//! cepstral mean, which the caller can take out and put back. Deliberately absent: endpointing, upsampling of telephone
//! audio, pooling (`speech`).

use super::{AsrError, Hypothesis, Word};
use crate::assets::{AssetError, Assets};
use crate::ffi::pocketsphinx::{Library, RawDecoder, Setting};
use crate::pronounce::LetterToSound;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Samples per second that the acoustic model wants.
pub const SAMPLE_RATE: u32 = 16_000;
/// Milliseconds per feature frame.
const FRAME_MS: u32 = 10;

/// Paths of the lattice that are looked at for each other reading: many differ in silences alone.
const ALTERNATIVE_LOOKS: usize = 6;

/// Two guesses at one word start within this of each other.
const SAME_WORD_SPAN_MS: f64 = 150.0;

/// What a search listens for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// A statistical model, ARPA text.
    LanguageModel(String),
    /// A grammar, JSGF text.
    Grammar(String),
    /// A network of words with probabilities, in PocketSphinx's FSG text form.
    Network(String),
}

/// Everything that a decoder is made from.
#[derive(Debug, Clone, Default)]
pub struct DecoderPlan {
    /// Words with their pronunciations, as `models/setup.sh`'s dictionary writes them (`read(2)`, `R EH D`).
    pub pronunciations: Vec<(String, String)>,
    /// Named searches, at least one.
    pub searches: Vec<(&'static str, Search)>,
    /// Options of the engine other than its own defaults.
    pub tuning: Tuning,
}

/// Options of the search, by their PocketSphinx names.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// `lw`: weight of the language model in the first pass.
    pub language_weight: f64,
    /// `wip`: word insertion penalty, 0–1.
    pub word_insertion: f64,
    /// `fwdflat`: second pass over the utterance; more exact, and all of its time comes after the end of speech.
    pub second_pass: bool,
    /// `bestpath`: search over the word lattice; confidence needs it.
    pub lattice: bool,
    /// `beam`/`wbeam`/`pbeam` scale: 1 is the engine's default.
    pub beam: f64,
    /// `maxhmmpf`: active models per frame; bounds the time that noise can cost.
    pub models_per_frame: i32,
    /// `ascale`: larger makes posteriors less sharp.
    pub posterior_scale: f64,
    /// `silprob`, `fillprob`: probability of silence and of noise between words.
    pub silence: f64,
    /// See `silence`.
    pub filler: f64,
    /// `cmninit`: cepstral mean to start from, comma separated.
    pub cepstral_mean: Option<String>,
    /// `mllr`: transform of the acoustic model's means, in PocketSphinx's text form.
    pub mean_transform: Option<&'static str>,
    /// Other readings given with a result, at most.
    pub alternatives: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            language_weight: 6.5,
            word_insertion: 0.65,
            second_pass: false,
            lattice: true,
            beam: 1.0,
            models_per_frame: 10_000,
            posterior_scale: 20.0,
            silence: 0.005,
            filler: 1e-8,
            cepstral_mean: None,
            mean_transform: None,
            alternatives: 0,
        }
    }
}

/// The library and the files that decoders are made from.
#[derive(Clone)]
pub struct PocketSphinx {
    library: Library,
    acoustic_model: PathBuf,
    dictionary: PathBuf,
    /// For words that the dictionary lacks; without Flite there are none.
    letter_to_sound: Option<LetterToSound>,
}

impl fmt::Debug for PocketSphinx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PocketSphinx").field("acoustic_model", &self.acoustic_model).finish_non_exhaustive()
    }
}

impl PocketSphinx {
    /// Loads the library and finds the model; makes no decoder yet.
    ///
    /// # Errors
    /// [`AssetError`] naming what to install.
    pub fn load(assets: &Assets) -> Result<Self, AssetError> {
        Ok(Self {
            library: Library::load(&assets.pocketsphinx()?)?,
            acoustic_model: assets.acoustic_model()?,
            dictionary: assets.pronunciations()?,
            letter_to_sound: LetterToSound::load(assets).ok(),
        })
    }

    /// Looks words (lower case) up in the dictionary; variants come as `word(2)`. Words that it lacks are not in the answer.
    ///
    /// # Errors
    /// [`AsrError::File`] when the dictionary cannot be read.
    pub fn look_up<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Result<Vec<(String, String)>, AsrError> {
        let wanted: HashMap<&str, ()> = words.into_iter().map(|word| (word, ())).collect();
        let file_error = |source| AsrError::File { path: self.dictionary.clone(), source };
        let mut found = Vec::with_capacity(wanted.len());
        for line in BufReader::new(fs::File::open(&self.dictionary).map_err(file_error)?).lines() {
            let line = line.map_err(file_error)?;
            let Some((word, phones)) = line.split_once(char::is_whitespace) else { continue };
            if wanted.contains_key(word.split('(').next().unwrap_or(word)) {
                found.push((word.to_owned(), phones.trim().to_owned()));
            }
        }
        Ok(found)
    }

    /// Phones of a word that the dictionary lacks, by letter-to-sound rules; `None` without them, or for what is no word.
    #[must_use]
    pub fn guess(&self, word: &str) -> Option<String> {
        self.letter_to_sound.as_ref()?.phones(word)
    }

    /// Makes a decoder. Takes 30–150 ms and about 10 MB with a domain of a thousand words: at start, never in a call.
    ///
    /// # Errors
    /// [`AsrError`]: temporary files, or a plan that the engine refuses.
    pub fn decoder(&self, plan: &DecoderPlan) -> Result<Decoder, AsrError> {
        let scratch = Scratch::new()?;
        let mut dictionary = String::new();
        for (word, phones) in &plan.pronunciations {
            dictionary.push_str(word);
            dictionary.push(' ');
            dictionary.push_str(phones);
            dictionary.push('\n');
        }
        let dictionary = scratch.write("words.dict", &dictionary)?;
        let t = &plan.tuning;
        let mut settings = vec![
            Setting::Text("hmm", self.acoustic_model.to_string_lossy().into_owned()),
            Setting::Text("dict", dictionary.to_string_lossy().into_owned()),
            Setting::Text("loglevel", "FATAL".into()),
            Setting::Text("cmn", "live".into()),
            Setting::Whole("samprate", SAMPLE_RATE as i32),
            Setting::Real("lw", t.language_weight),
            Setting::Real("wip", t.word_insertion),
            Setting::Flag("fwdflat", t.second_pass),
            Setting::Flag("bestpath", t.lattice),
            Setting::Real("beam", 1e-48_f64.powf(t.beam)),
            Setting::Real("pbeam", 1e-48_f64.powf(t.beam)),
            Setting::Real("wbeam", 7e-29_f64.powf(t.beam)),
            Setting::Whole("maxhmmpf", t.models_per_frame),
            Setting::Real("ascale", t.posterior_scale),
            Setting::Real("silprob", t.silence),
            Setting::Real("fillprob", t.filler),
        ];
        if let Some(mean) = &t.cepstral_mean {
            settings.push(Setting::Text("cmninit", mean.clone()));
        }
        if let Some(transform) = t.mean_transform {
            let file = scratch.write("telephone.mllr", transform)?;
            settings.push(Setting::Text("mllr", file.to_string_lossy().into_owned()));
        }
        let mut raw = self
            .library
            .decoder(&settings)
            .ok_or_else(|| AsrError::Refused { what: format!("the model in {}", self.acoustic_model.display()) })?;
        for (name, search) in &plan.searches {
            let accepted = match search {
                Search::LanguageModel(arpa) => raw.add_language_model(name, &scratch.write("search.arpa", arpa)?),
                Search::Grammar(jsgf) => raw.add_grammar(name, jsgf),
                Search::Network(fsg) => {
                    raw.add_network(name, &scratch.write("search.fsg", fsg)?, plan.tuning.language_weight)
                }
            };
            if !accepted {
                return Err(AsrError::Refused { what: format!("the search '{name}'") });
            }
        }
        let start_mean = raw.cepstral_mean();
        let mut decoder = Decoder {
            raw,
            active: None,
            in_utterance: false,
            start_mean,
            language_weight: t.language_weight,
            alternatives: t.alternatives,
        };
        if let Some((first, _)) = plan.searches.first() {
            decoder.activate(first)?;
        }
        Ok(decoder)
    }
}

/// A directory of files that the engine reads once and that are gone when the decoder is made.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, AsrError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("callwright-asr-{process}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process of this number that was killed, or put there by someone else: never used.
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists && n < 10_000 => {}
                Err(source) => return Err(AsrError::File { path, source }),
            }
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, AsrError> {
        let path = self.0.join(name);
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| AsrError::File { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it: a leftover is a few hundred kilobytes in the temporary directory.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A recogniser for one speaker at a time.
pub struct Decoder {
    raw: RawDecoder,
    active: Option<&'static str>,
    in_utterance: bool,
    start_mean: Option<String>,
    language_weight: f64,
    alternatives: usize,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Chooses among the plan's searches; between utterances only.
    ///
    /// # Errors
    /// [`AsrError::Refused`] for a name that is not in the plan or within an utterance.
    pub fn activate(&mut self, name: &'static str) -> Result<(), AsrError> {
        if self.active == Some(name) {
            return Ok(());
        }
        if self.in_utterance || !self.raw.activate(name) {
            return Err(AsrError::Refused { what: format!("to listen for '{name}'") });
        }
        self.active = Some(name);
        Ok(())
    }

    /// Adds a word with its phones (`K AH S T AH M ER`); language models of the plan do not use it, later grammars may.
    ///
    /// # Errors
    /// [`AsrError::Refused`] for unknown phones.
    pub fn add_word(&mut self, word: &str, phones: &str) -> Result<(), AsrError> {
        if self.raw.add_word(word, phones) {
            return Ok(());
        }
        Err(AsrError::Refused { what: format!("the word '{word}' as '{phones}'") })
    }

    /// Replaces a named search by a grammar.
    ///
    /// # Errors
    /// [`AsrError::Refused`] for malformed JSGF or words without pronunciation.
    pub fn set_grammar(&mut self, name: &'static str, jsgf: &str) -> Result<(), AsrError> {
        if !self.in_utterance && self.raw.add_grammar(name, jsgf) {
            return Ok(());
        }
        Err(AsrError::Refused { what: format!("the search '{name}'") })
    }

    /// Adds a named search, or replaces it, by a word network (FSG text). A millisecond for a network of tens of states.
    ///
    /// # Errors
    /// [`AsrError::Refused`] for malformed text or words without pronunciation, and within an utterance.
    pub fn set_network(&mut self, name: &'static str, fsg: &str) -> Result<(), AsrError> {
        // The directory goes with its owner, so that has to outlive the reading.
        let scratch = Scratch::new()?;
        let file = scratch.write("search.fsg", fsg)?;
        if !self.in_utterance && self.raw.add_network(name, &file, self.language_weight) {
            return Ok(());
        }
        Err(AsrError::Refused { what: format!("the search '{name}'") })
    }

    /// Replaces a named search by a statistical model.
    ///
    /// # Errors
    /// [`AsrError::Refused`] when the file is not ARPA.
    pub fn set_language_model(&mut self, name: &'static str, arpa: &Path) -> Result<(), AsrError> {
        if !self.in_utterance && self.raw.add_language_model(name, arpa) {
            return Ok(());
        }
        Err(AsrError::Refused { what: format!("the search '{name}'") })
    }

    /// Cepstral mean as adapted so far: belongs to a line and its speaker, so keep it with the call.
    pub fn cepstral_mean(&mut self) -> Option<String> {
        self.raw.cepstral_mean()
    }

    /// Starts an utterance; `mean` is what [`cepstral_mean`](Self::cepstral_mean) gave for this speaker, `None` for a new one.
    ///
    /// # Errors
    /// [`AsrError::Refused`] within an utterance.
    pub fn start(&mut self, mean: Option<&str>) -> Result<(), AsrError> {
        if let Some(mean) = mean.or(self.start_mean.as_deref()) {
            self.raw.set_cepstral_mean(mean);
        }
        if self.in_utterance || !self.raw.start() {
            return Err(AsrError::Refused { what: "to start an utterance".into() });
        }
        self.in_utterance = true;
        Ok(())
    }

    /// Decodes 16 kHz samples.
    ///
    /// # Errors
    /// [`AsrError::Refused`] outside an utterance.
    pub fn process(&mut self, samples: &[i16]) -> Result<(), AsrError> {
        if self.in_utterance && self.raw.process(samples) {
            return Ok(());
        }
        Err(AsrError::Refused { what: "samples".into() })
    }

    /// Best text so far; empty when there is none.
    pub fn partial(&mut self) -> String {
        if !self.in_utterance {
            return String::new();
        }
        plain(&self.raw.hypothesis().unwrap_or_default())
    }

    /// Ends the utterance without looking for its result.
    pub fn abandon(&mut self) {
        if std::mem::take(&mut self.in_utterance) {
            self.raw.end();
        }
    }

    /// Ends the utterance and gives the result; empty outside an utterance.
    pub fn finish(&mut self) -> Hypothesis {
        self.finish_with_synonyms(&[])
    }

    /// As [`finish`](Self::finish). Words of one group mean the same: what the engine cannot tell apart within a group
    /// (yeah, yes) does not count as doubt.
    pub fn finish_with_synonyms(&mut self, groups: &[&[&str]]) -> Hypothesis {
        if !self.in_utterance {
            return Hypothesis::default();
        }
        self.in_utterance = false;
        if !self.raw.end() {
            return Hypothesis::default();
        }
        let frames = u32::try_from(self.raw.frames()).unwrap_or(0);
        // The lattice, and with it every posterior, is made by asking for the text and its probability.
        let text = plain(&self.raw.hypothesis().unwrap_or_default());
        if text.is_empty() {
            return Hypothesis { frames, ..Hypothesis::default() };
        }
        self.raw.posterior();
        let mut words: Vec<Word> = self
            .raw
            .segments()
            .into_iter()
            .filter(|segment| !segment.word.starts_with(['<', '[', '+']))
            .map(|segment| Word {
                word: plain(&segment.word),
                start_ms: u32::try_from(segment.first_frame).unwrap_or(0) * FRAME_MS,
                end_ms: u32::try_from(segment.last_frame + 1).unwrap_or(0) * FRAME_MS,
                posterior: segment.posterior.clamp(0.0, 1.0) as f32,
            })
            .collect();
        let candidates = self.raw.candidates();
        for word in &mut words {
            let alike = |other: &str| {
                other == word.word
                    || groups.iter().any(|group| group.contains(&word.word.as_str()) && group.contains(&other))
            };
            let near = |frame: i32| {
                (f64::from(frame) * f64::from(FRAME_MS) - f64::from(word.start_ms)).abs() <= SAME_WORD_SPAN_MS
            };
            let together: f64 = candidates
                .iter()
                .filter(|other| alike(&other.word) && near(other.first_frame))
                .map(|other| other.posterior)
                .sum();
            word.posterior = word.posterior.max(together.clamp(0.0, 1.0) as f32);
        }
        let log_sum: f64 = words.iter().map(|word| f64::from(word.posterior).max(1e-6).ln()).sum();
        let confidence = if words.is_empty() { 0.0 } else { (log_sum / words.len() as f64).exp() as f32 };
        let mut alternatives = Vec::new();
        if self.alternatives > 0 {
            let looks = self.alternatives * ALTERNATIVE_LOOKS;
            for other in self.raw.best_texts(self.alternatives + 1, looks) {
                let other = plain(&other);
                if other != text && alternatives.len() < self.alternatives && !alternatives.contains(&other) {
                    alternatives.push(other);
                }
            }
        }
        Hypothesis { text, confidence, words, frames, alternatives, complete: None }
    }
}

/// Takes the variant marks off: `read(2)` → `read`.
fn plain(text: &str) -> String {
    text.split_whitespace().map(|word| word.split('(').next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;
    use crate::tts::Flite;
    use std::ops::ControlFlow;

    const YES_NO: &str = "#JSGF V1.0;\ngrammar answer;\npublic <answer> = yes | no | stop;\n";

    fn engine() -> Option<PocketSphinx> {
        match PocketSphinx::load(&Assets::locate()) {
            Ok(engine) => Some(engine),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    fn plan(engine: &PocketSphinx) -> DecoderPlan {
        DecoderPlan {
            pronunciations: engine.look_up(["yes", "no", "stop"]).unwrap(),
            searches: vec![("answer", Search::Grammar(YES_NO.into()))],
            tuning: Tuning::default(),
        }
    }

    #[test]
    fn recognises_a_synthetic_voice_and_forgets_between_utterances() {
        let Some(engine) = engine() else { return };
        let Ok(mut rms) = Flite::load(&Assets::locate(), "rms") else {
            eprintln!("skipped: no rms voice");
            return;
        };
        let mut decoder = engine.decoder(&plan(&engine)).unwrap();
        for word in ["yes", "stop", "no", "yes"] {
            let mut samples = vec![0_i16; 4000];
            rms.speak(word, &mut |chunk| {
                samples.extend_from_slice(chunk);
                ControlFlow::Continue(())
            });
            samples.extend_from_slice(&[0; 4000]);
            decoder.start(None).unwrap();
            for chunk in samples.chunks(320) {
                decoder.process(chunk).unwrap();
            }
            let heard = decoder.finish();
            assert_eq!(heard.text, word);
            assert!(heard.confidence > 0.2, "{heard:?}");
        }
    }

    #[test]
    fn misuse_is_an_error_and_an_empty_utterance_is_empty() {
        let Some(engine) = engine() else { return };
        let mut decoder = engine.decoder(&plan(&engine)).unwrap();
        assert!(decoder.process(&[0; 160]).is_err());
        assert_eq!(decoder.finish(), Hypothesis::default());
        decoder.start(None).unwrap();
        assert!(decoder.start(None).is_err());
        assert_eq!(decoder.finish().text, "");
        assert!(decoder.activate("unheard-of").is_err());
        assert!(decoder.set_grammar("bad", "this is no grammar").is_err());
        assert!(decoder.add_word("frob", "NOT PHONES").is_err());
        decoder.add_word("frob", "F R AA B").unwrap();
        decoder.start(None).unwrap();
        assert_eq!(decoder.finish().text, "");
    }

    #[test]
    fn a_plan_with_an_unknown_word_is_refused() {
        let Some(engine) = engine() else { return };
        let mut plan = plan(&engine);
        plan.pronunciations.retain(|(word, _)| word != "stop");
        let error = engine.decoder(&plan).unwrap_err();
        assert!(matches!(error, AsrError::Refused { .. }), "{error}");
    }
}
