//! Streaming recognition by a pack, through sherpa-onnx. Purpose: 8 kHz telephone audio in, words so far and the words of a
//! turn out, many turns decoded together.
//!
//! Owning thread: one at a time per [`OnlineEngine`]; its turns go where it goes. Invariants: a turn is decoded only as far
//! as its model has whole chunks; [`OnlineEngine::finish`] pushes as much silence as the model needs to say the last word,
//! faster than real time. Deliberately absent: endpointing (the daemon has its own), which call a turn belongs to.
//!
//! Audio is brought to the model's rate here: the library's own resampler writes four lines to the standard error for each
//! turn, and sees the pieces of a stream only as they come.

use super::written;
use super::{AsrError, Hypothesis};
use crate::assets::Assets;
use crate::ffi::sherpa::{Hotwords, OnlineModel, OnlineRecogniser, OnlineSettings, OnlineStream};
use crate::pack::check::{self, Checked};
use crate::pack::sentencepiece;
use crate::pack::{Family, Installed};
use crate::sherpa;
use callwright_dsp::resample::half_band::Upsampler2;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Samples per second that turns are made of.
pub const LINE_RATE: u32 = 8000;
/// Phrases that are spelled for the model; each makes decoding a little slower.
const HOTWORDS_MAX: usize = 500;
/// What each symbol of an expected phrase is worth, in natural logarithm of probability; the library's own default is 1.5.
const HOTWORD_SCORE: f32 = 1.5;
/// Samples that are converted at once.
const PIECE: usize = 1024;

/// How an engine is made.
#[derive(Clone, Debug)]
pub struct OnlinePlan {
    /// Threads that one decoding step may use.
    pub threads: u16,
    /// Words and phrases that callers are likely to say: names, products. Models that cannot be told are not.
    pub vocabulary: Vec<String>,
}

impl Default for OnlinePlan {
    fn default() -> Self {
        Self { threads: 1, vocabulary: Vec::new() }
    }
}

/// A recogniser with any number of turns at a time.
pub struct OnlineEngine {
    raw: OnlineRecogniser,
    name: String,
    /// Samples per second that the model hears.
    rate: u32,
    /// Turns that one step may hold.
    batch: usize,
    /// Silence that brings out the last word.
    tail_ms: u32,
    hotwords: usize,
    note: String,
}

impl fmt::Debug for OnlineEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineEngine").field("pack", &self.name).field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// What a caller says from when they begin until they are done.
pub struct OnlineTurn {
    stream: OnlineStream,
    upsampler: Option<Upsampler2>,
    /// Samples of the line so far.
    heard: u64,
}

impl fmt::Debug for OnlineTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineTurn").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl OnlineEngine {
    /// Checks the pack and loads it: seconds and tens to hundreds of megabytes, so at start, never in a call.
    ///
    /// # Errors
    /// [`AsrError`]: what to install, or what is wrong with the pack.
    pub fn load(assets: &Assets, installed: &Installed, plan: &OnlinePlan) -> Result<Self, AsrError> {
        let library = sherpa::library(assets)?;
        let checked = check::check(installed)?;
        let file = |part: &str| installed.file(part).unwrap_or_default();
        let family = installed.pack.family;
        let model = match family {
            Family::OnlineTransducer => {
                OnlineModel::Transducer { encoder: file("encoder"), decoder: file("decoder"), joiner: file("joiner") }
            }
            Family::OnlineNemoCtc => OnlineModel::NemoCtc(file("model")),
            Family::OnlineZipformerCtc => OnlineModel::ZipformerCtc(file("model")),
            Family::OnlineToneCtc => OnlineModel::ToneCtc(file("model")),
            other => {
                let what =
                    format!("'{}': a {} pack does not recognise as it hears", installed.pack.name, check::name(other));
                return Err(AsrError::Refused { what });
            }
        };
        let (spelled, note) = spell(installed, &checked, &plan.vocabulary)?;
        let rate = if family == Family::OnlineToneCtc { LINE_RATE } else { 16_000 };
        let settings = OnlineSettings {
            model,
            tokens: file("tokens"),
            sample_rate: rate,
            threads: plan.threads,
            hotwords: spelled.as_ref().map(|spelled| spelled.hotwords.clone()),
        };
        let raw = library
            .online(&settings)
            .ok_or_else(|| AsrError::Refused { what: format!("the pack '{}'", installed.pack.name) })?;
        Ok(Self {
            raw,
            name: installed.pack.name.clone(),
            rate,
            batch: batch(&checked, family),
            tail_ms: tail_ms(&checked, family),
            hotwords: spelled.map_or(0, |spelled| spelled.count),
            note,
        })
    }

    /// Name of the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Expected phrases that the model was told.
    #[must_use]
    pub fn hotwords(&self) -> usize {
        self.hotwords
    }

    /// For the operator: why vocabulary is not used; empty when it is, or none was given.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// A turn begins. Costs a few kilobytes to megabytes of memory and no time worth mentioning.
    ///
    /// # Errors
    /// [`AsrError::Refused`] when the engine has no memory for it.
    pub fn begin(&mut self) -> Result<OnlineTurn, AsrError> {
        let stream = self.raw.stream().ok_or_else(|| AsrError::Refused { what: "to begin a turn".into() })?;
        Ok(OnlineTurn { stream, upsampler: (self.rate != LINE_RATE).then(Upsampler2::default), heard: 0 })
    }

    /// Decodes what turns hold, together where the model can; at most `steps` chunks of each. Returns how many chunks were
    /// decoded: none when no turn has a whole one.
    pub fn decode<'a>(&mut self, turns: impl IntoIterator<Item = &'a mut OnlineTurn>, steps: usize) -> usize {
        let mut turns: Vec<&mut OnlineTurn> = turns.into_iter().collect();
        let mut all = 0;
        for _ in 0..steps {
            let decoded = self.raw.decode(turns.iter_mut().map(|turn| &mut turn.stream), self.batch);
            if decoded == 0 {
                break;
            }
            all += decoded;
        }
        all
    }

    /// Whether a turn holds a whole chunk that is not decoded.
    pub fn is_ready(&mut self, turn: &OnlineTurn) -> bool {
        self.raw.is_ready(&turn.stream)
    }

    /// Words so far; may still change.
    pub fn partial(&mut self, turn: &OnlineTurn) -> String {
        written::plain(&self.raw.result(&turn.stream).text)
    }

    /// The turn is over: pushes the silence that brings out its last word. Decode until no chunk is left, then ask for the
    /// [`result`](Self::result).
    pub fn finish(&self, turn: &mut OnlineTurn) {
        let heard = turn.heard;
        let mut left = (self.tail_ms * (LINE_RATE / 1000)) as usize;
        while left > 0 {
            let piece = left.min(PIECE);
            turn.accept(&[0; PIECE][..piece]);
            left -= piece;
        }
        turn.heard = heard;
    }

    /// The words of a turn, as far as it is decoded.
    pub fn result(&mut self, turn: &OnlineTurn) -> Hypothesis {
        let total_ms = u32::try_from(turn.heard * 1000 / u64::from(LINE_RATE)).unwrap_or(u32::MAX);
        written::hypothesis(&self.raw.result(&turn.stream), total_ms)
    }
}

impl OnlineTurn {
    /// The next 8 kHz samples. Decodes nothing.
    pub fn accept(&mut self, samples: &[i16]) {
        self.heard += samples.len() as u64;
        let mut wide = [0_i16; 2 * PIECE];
        let mut real = [0.0_f32; 2 * PIECE];
        for piece in samples.chunks(PIECE) {
            let piece = match &mut self.upsampler {
                Some(upsampler) => {
                    let made = upsampler.process(piece, &mut wide);
                    &wide[..made]
                }
                None => piece,
            };
            for (to, from) in real.iter_mut().zip(piece) {
                *to = f32::from(*from) / 32_768.0;
            }
            self.stream.accept(&real[..piece.len()]);
        }
    }
}

/// Turns that a step may hold: models that were exported for one at a time break on two.
fn batch(checked: &Checked, family: Family) -> usize {
    const MANY: usize = 64;
    let part = if family == Family::OnlineTransducer { "encoder" } else { "model" };
    let first_axis = |header: &crate::pack::onnx::Header| header.inputs.first()?.shape.first().copied();
    match checked.headers.get(part).and_then(first_axis) {
        Some(None) => MANY,
        Some(Some(_)) | None => 1,
    }
}

/// What must follow a turn so that all of it is decoded and the last symbol has come out: the engines wait for a whole
/// window and one frame more, and models speak up to 0.3 s late.
fn tail_ms(checked: &Checked, family: Family) -> u32 {
    const FRAME_MS: u64 = 10;
    const LATE_MS: u64 = 300;
    let frames = |part: &str, keys: &[&str]| keys.iter().filter_map(|key| checked.number(part, key)).sum::<u64>();
    let ms = match family {
        // The chunk that the turn ends in, one that need not be whole, and one for what comes late.
        Family::OnlineToneCtc => 900,
        Family::OnlineTransducer if checked.number("encoder", "T").is_none() => {
            let window = frames("encoder", &["window_size", "chunk_shift"])
                + frames("encoder", &["chunk_feature_frames", "right_feature_frames"]);
            window * FRAME_MS + LATE_MS
        }
        Family::OnlineTransducer => frames("encoder", &["T"]) * FRAME_MS + LATE_MS,
        Family::OnlineZipformerCtc => frames("model", &["T"]) * FRAME_MS + LATE_MS,
        _ => frames("model", &["window_size", "chunk_shift"]) * FRAME_MS + LATE_MS,
    };
    // A model of absurd windows costs time at the end of each turn, not memory.
    u32::try_from(ms.clamp(300, 6000)).unwrap_or(6000)
}

/// Expected phrases in a model's own letters.
struct Spelling {
    hotwords: Hotwords,
    count: usize,
    /// Holds the pieces while the engine is made, where they had to be written to a file.
    _scratch: Option<Scratch>,
}

/// Spells phrases for the model, or says why it cannot be told.
fn spell(
    installed: &Installed,
    checked: &Checked,
    vocabulary: &[String],
) -> Result<(Option<Spelling>, String), AsrError> {
    let cannot = |why: &str| Ok((None, format!("the agent's vocabulary is not used: {why}")));
    if vocabulary.is_empty() {
        return Ok((None, String::new()));
    }
    if installed.pack.family != Family::OnlineTransducer {
        return cannot("only transducer packs can be told what to expect");
    }
    if checked.number("encoder", "chunk_feature_frames").is_some() {
        return cannot("this kind of transducer cannot be told what to expect");
    }
    let Some(tokens) = &checked.tokens else { return cannot("the pack has no symbols") };
    let lines = phrases(vocabulary, |c| tokens.can_write(c));
    if lines.is_empty() {
        return cannot("the pack's model cannot write it");
    }
    let count = lines.len();
    let mut hotwords = Hotwords { lines: lines.join("\n"), score: HOTWORD_SCORE, vocabulary: None };
    // A model of letters needs no pieces; one of pieces marks where words begin.
    let letters = !tokens.can_write('▁');
    let mut scratch = None;
    if !letters {
        let beside = |part: &str, name: &str| {
            let file = installed.file(part).unwrap_or_else(|| installed.directory().join(name));
            file.is_file().then_some(file)
        };
        if let Some(file) = beside("bpe-vocab", "bpe.vocab") {
            hotwords.vocabulary = Some(file);
        } else if let Some(file) = beside("bpe-model", "bpe.model") {
            let failed = |source| AsrError::File { path: file.clone(), source };
            match sentencepiece::vocabulary(&fs::read(&file).map_err(failed)?) {
                Ok(pieces) => {
                    let made = Scratch::new(&pieces)?;
                    hotwords.vocabulary = Some(made.0.clone());
                    scratch = Some(made);
                }
                Err(error) => return cannot(&format!("{}: {error}", file.display())),
            }
        } else {
            return cannot("the pack has no bpe.model that says how its model spells");
        }
    }
    Ok((Some(Spelling { hotwords, count, _scratch: scratch }), String::new()))
}

/// Phrases as the library can take them: letters of the model, in its case, one blank between words, each once.
fn phrases(vocabulary: &[String], can_write: impl Fn(char) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for phrase in vocabulary {
        let plain = written::plain(phrase);
        let cased = [plain.to_uppercase(), plain];
        let writable = |line: &&String| {
            line.chars().all(|c| c == ' ' || c.is_alphabetic() && can_write(c) || c == '\'' && can_write(c))
        };
        // Lower case where the model has both: most of what it writes is.
        let Some(line) = cased.iter().rev().find(writable).filter(|line| !line.is_empty()) else { continue };
        if !lines.contains(line) {
            lines.push(line.clone());
        }
        if lines.len() >= HOTWORDS_MAX {
            break;
        }
    }
    lines
}

/// A file that the library reads once and that is gone when the engine is made.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Result<Self, AsrError> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("callwright-pieces-{process}-{n}"));
            match fs::File::create_new(&path) {
                Ok(mut file) => {
                    use std::io::Write;
                    let scratch = Self(path);
                    return match file.write_all(text.as_bytes()) {
                        Ok(()) => Ok(scratch),
                        Err(source) => Err(AsrError::File { path: scratch.0.clone(), source }),
                    };
                }
                // Left by a process of this number that was killed, or put there by someone else: never used.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && n < 10_000 => {}
                Err(source) => return Err(AsrError::File { path, source }),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it: a leftover is some kilobytes in the temporary directory.
        drop(fs::remove_file(&self.0));
    }
}
