//! Whether a pack's files are what its family needs, before any native library sees them.
//!
//! Purpose: sherpa-onnx ends the process (`_Exit`) where a model lacks metadata or its table of symbols does not fit, so
//! everything at which it does that is looked for here, and said in words. Any thread; reads heads of files, no weights.
//! Invariants: never panics on a file. Deliberately absent: whether the graph itself can be run (ONNX Runtime's to say,
//! in `probe`).

use super::kokoro::{self, FileError};
use super::onnx::{FLOAT16, Header, INT32, Tensor};
use super::protobuf::WireError;
use super::tokens::{Tokens, TokensError};
use super::{Family, Installed};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why a pack cannot be used. Always the pack's fault; retrying does not help, installing it again or another may.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The pack does not say where a part is.
    #[error("{pack} names no file for its part '{part}'; install it again with: callwright models install {pack}")]
    Part {
        /// The pack.
        pack: String,
        /// The part, as in [`Family`].
        part: &'static str,
    },
    /// A file cannot be read.
    #[error("{pack}: {file}: {source}; install it again with: callwright models install {pack}")]
    File {
        /// The pack.
        pack: String,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is cut short, or something else.
    #[error("{pack}: {file} is damaged: {why}; install it again with: callwright models install {pack}")]
    Damaged {
        /// The pack.
        pack: String,
        /// The file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// A model is whole, and of another kind or from another exporter.
    #[error(
        "{pack}: {file} is no {family} model: {why}; it is for another engine, choose one of: callwright models list"
    )]
    Kind {
        /// The pack.
        pack: String,
        /// The file.
        file: PathBuf,
        /// What it should be.
        family: &'static str,
        /// What does not fit.
        why: String,
    },
}

/// What the check read; engines take from it what they must know of the model.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Heads of the pack's models by part; those of ONNX Runtime's own format have none.
    pub headers: BTreeMap<&'static str, Header>,
    /// The table of symbols, for families that have one.
    pub tokens: Option<Tokens>,
}

impl Checked {
    /// A whole number of a model's metadata.
    #[must_use]
    pub fn number(&self, part: &str, key: &str) -> Option<u64> {
        self.headers.get(part)?.number(key)
    }

    /// A text of a model's metadata.
    #[must_use]
    pub fn text(&self, part: &str, key: &str) -> Option<&str> {
        self.headers.get(part)?.metadata.get(key).map(String::as_str)
    }
}

/// What a family is called in messages.
#[must_use]
pub const fn name(family: Family) -> &'static str {
    match family {
        Family::OnlineTransducer => "streaming transducer",
        Family::OnlineNemoCtc => "streaming NeMo CTC",
        Family::OnlineZipformerCtc => "streaming Zipformer CTC",
        Family::OnlineToneCtc => "streaming T-one CTC",
        Family::Moonshine => "Moonshine",
        Family::MoonshineMerged => "Moonshine (merged)",
        Family::OfflineNemoTransducer => "NeMo transducer",
        Family::Whisper => "Whisper",
        Family::SenseVoice => "SenseVoice",
        Family::Vits => "VITS",
        Family::Matcha => "Matcha",
        Family::Kokoro | Family::KokoroGraph => "Kokoro",
        Family::Kitten => "Kitten",
        Family::SmartTurn => "smart-turn",
    }
}

/// The parts of a family that are models.
#[must_use]
pub const fn graphs(family: Family) -> &'static [&'static str] {
    match family {
        Family::OnlineTransducer | Family::OfflineNemoTransducer => &["encoder", "decoder", "joiner"],
        Family::Moonshine => &["preprocessor", "encoder", "uncached-decoder", "cached-decoder"],
        Family::MoonshineMerged => &["encoder", "merged-decoder"],
        Family::Whisper => &["encoder", "decoder"],
        Family::Matcha => &["model", "vocoder"],
        Family::OnlineNemoCtc
        | Family::OnlineZipformerCtc
        | Family::OnlineToneCtc
        | Family::SenseVoice
        | Family::Vits
        | Family::Kokoro
        | Family::KokoroGraph
        | Family::Kitten
        | Family::SmartTurn => &["model"],
    }
}

/// What must be in a model's metadata.
enum Rule {
    /// A whole number, not negative.
    Whole(&'static str),
    /// Whole numbers, comma separated.
    Wholes(&'static str),
    /// Numbers, comma separated.
    Reals(&'static str),
    /// Some text.
    Text(&'static str),
    /// One of these texts.
    One(&'static str, &'static [&'static str]),
    /// This number and no other.
    Exactly(&'static str, u64),
}

use Rule::{Exactly, One, Reals, Text, Whole, Wholes};

const ZIPFORMER2: &[Rule] = &[
    Wholes("encoder_dims"),
    Wholes("query_head_dims"),
    Wholes("value_head_dims"),
    Wholes("num_heads"),
    Wholes("num_encoder_layers"),
    Wholes("cnn_module_kernels"),
    Wholes("left_context_len"),
    Whole("T"),
    Whole("decode_chunk_len"),
];
const ZIPFORMER: &[Rule] = &[
    Wholes("encoder_dims"),
    Wholes("attention_dims"),
    Wholes("num_encoder_layers"),
    Wholes("cnn_module_kernels"),
    Wholes("left_context_len"),
    Whole("T"),
    Whole("decode_chunk_len"),
];
const CONFORMER: &[Rule] = &[
    Whole("num_encoder_layers"),
    Whole("T"),
    Whole("decode_chunk_len"),
    Whole("left_context"),
    Whole("encoder_dim"),
    Whole("pad_length"),
    Whole("cnn_module_kernel"),
];
const LSTM: &[Rule] =
    &[Whole("num_encoder_layers"), Whole("T"), Whole("decode_chunk_len"), Whole("rnn_hidden_size"), Whole("d_model")];
const NEMO_CACHES: &[Rule] = &[
    Whole("vocab_size"),
    Whole("window_size"),
    Whole("chunk_shift"),
    Whole("subsampling_factor"),
    Whole("cache_last_channel_dim1"),
    Whole("cache_last_channel_dim2"),
    Whole("cache_last_channel_dim3"),
    Whole("cache_last_time_dim1"),
    Whole("cache_last_time_dim2"),
    Whole("cache_last_time_dim3"),
];
const NEMO_PREDICTOR: &[Rule] =
    &[Whole("vocab_size"), Whole("subsampling_factor"), Whole("pred_rnn_layers"), Whole("pred_hidden")];
const NEMO_UNIFIED: &[Rule] = &[
    Whole("left_feature_frames"),
    Whole("chunk_feature_frames"),
    Whole("right_feature_frames"),
    Whole("left_encoder_frames"),
    Whole("chunk_encoder_frames"),
    Whole("right_encoder_frames"),
];
const WHISPER: &[Rule] = &[
    Whole("n_mels"),
    Whole("n_text_layer"),
    Whole("n_text_ctx"),
    Whole("n_text_state"),
    Whole("n_vocab"),
    Whole("sot"),
    Whole("eot"),
    Whole("blank_id"),
    Whole("translate"),
    Whole("transcribe"),
    Whole("is_multilingual"),
    Whole("no_timestamps"),
    Whole("no_speech"),
    Wholes("sot_sequence"),
];
const SENSE_VOICE: &[Rule] = &[
    Whole("vocab_size"),
    Whole("lfr_window_size"),
    Whole("lfr_window_shift"),
    Whole("normalize_samples"),
    Whole("with_itn"),
    Whole("without_itn"),
    Whole("lang_auto"),
    Whole("lang_zh"),
    Whole("lang_en"),
    Whole("lang_ja"),
    Whole("lang_ko"),
    Whole("lang_yue"),
    Reals("neg_mean"),
    Reals("inv_stddev"),
];
const TONE: &[Rule] = &[Exactly("frame_length_ms", 300), Whole("state_dim"), Exactly("sample_rate", 8000)];
const ICEFALL_DECODER: &[Rule] = &[Whole("vocab_size"), Whole("context_size")];
const VITS: &[Rule] = &[Whole("sample_rate"), Whole("n_speakers"), Text("language"), Text("comment")];
const MATCHA: &[Rule] = &[Whole("sample_rate"), Whole("n_speakers"), Whole("use_eos_bos"), Whole("pad_id")];
const VOCODER: &[Rule] = &[One("model_type", &["hifigan", "vocos", "matcha-tts vocos"])];
const KOKORO: &[Rule] = &[Whole("sample_rate"), Whole("n_speakers"), Whole("has_espeak"), Wholes("style_dim")];
const KITTEN: &[Rule] = &[
    One("model_type", &["kitten-tts"]),
    Whole("sample_rate"),
    Whole("n_speakers"),
    Exactly("has_espeak", 1),
    Wholes("style_dim"),
];

/// Checks an installed pack.
///
/// # Errors
/// [`CheckError`]: what is wrong with it, and what to do.
pub fn check(installed: &Installed) -> Result<Checked, CheckError> {
    let pack = Checking { installed, family: installed.pack.family };
    let mut checked = Checked::default();
    for part in graphs(pack.family) {
        let file = pack.file(part)?;
        if is_ort(&file) {
            pack.ort_format(&file)?;
            continue;
        }
        let header = Header::read(&file).map_err(|error| match error {
            WireError::Io(source) => pack.unreadable(&file, source),
            WireError::Malformed(why) => pack.damaged(&file, why),
        })?;
        checked.headers.insert(part, header);
    }
    if !matches!(pack.family, Family::SmartTurn | Family::KokoroGraph) {
        let file = pack.file("tokens")?;
        checked.tokens = Some(Tokens::read(&file).map_err(|error| match error {
            TokensError::Io(source) => pack.unreadable(&file, source),
            other => pack.damaged(&file, other),
        })?);
    }
    pack.metadata(&checked)?;
    pack.symbols(&checked)?;
    pack.voices(&checked)?;
    pack.lexicon()?;
    Ok(checked)
}

/// ONNX Runtime's own format, which has no ONNX head.
pub(crate) fn is_ort(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "ort")
}

struct Checking<'a> {
    installed: &'a Installed,
    family: Family,
}

impl Checking<'_> {
    fn name(&self) -> String {
        self.installed.pack.name.clone()
    }

    /// A part's file, which is there and not empty.
    fn file(&self, part: &'static str) -> Result<PathBuf, CheckError> {
        let file = self.installed.file(part).ok_or_else(|| CheckError::Part { pack: self.name(), part })?;
        match fs::metadata(&file) {
            Err(source) => Err(self.unreadable(&file, source)),
            Ok(found) if !found.is_file() || found.len() == 0 => Err(self.damaged(&file, "it is empty")),
            Ok(_) => Ok(file),
        }
    }

    fn unreadable(&self, file: &Path, source: io::Error) -> CheckError {
        CheckError::File { pack: self.name(), file: file.to_owned(), source }
    }

    fn damaged(&self, file: &Path, why: impl ToString) -> CheckError {
        CheckError::Damaged { pack: self.name(), file: file.to_owned(), why: why.to_string() }
    }

    fn kind(&self, part: &'static str, why: impl Into<String>) -> CheckError {
        let file = self.installed.file(part).unwrap_or_else(|| PathBuf::from(part));
        CheckError::Kind { pack: self.name(), file, family: name(self.family), why: why.into() }
    }

    /// The flatbuffer that ONNX Runtime writes has its name in octets 4 to 8.
    fn ort_format(&self, file: &Path) -> Result<(), CheckError> {
        let mut head = [0; 8];
        let read = fs::File::open(file).and_then(|mut open| open.read_exact(&mut head));
        match read {
            Ok(()) if &head[4..] == b"ORTM" => Ok(()),
            Ok(()) => Err(self.damaged(file, "it does not begin as a model of ONNX Runtime does")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged(file, "it is cut short")),
            Err(error) => Err(self.unreadable(file, error)),
        }
    }

    fn metadata(&self, checked: &Checked) -> Result<(), CheckError> {
        match self.family {
            Family::OnlineTransducer => self.online_transducer(checked),
            Family::OnlineNemoCtc => self.rules(checked, "model", NEMO_CACHES),
            Family::OnlineZipformerCtc => self.rules(checked, "model", ZIPFORMER2),
            Family::OnlineToneCtc => self.rules(checked, "model", TONE).and_then(|()| self.tone(checked)),
            // Their exporters write no metadata.
            Family::Moonshine | Family::MoonshineMerged => Ok(()),
            Family::OfflineNemoTransducer => self.rules(checked, "encoder", NEMO_PREDICTOR),
            Family::Whisper => self.whisper(checked),
            Family::SenseVoice => self.rules(checked, "model", SENSE_VOICE),
            Family::Vits => self.rules(checked, "model", VITS),
            Family::Matcha => {
                self.rules(checked, "model", MATCHA).and_then(|()| self.rules(checked, "vocoder", VOCODER))
            }
            Family::Kokoro => self.rules(checked, "model", KOKORO),
            Family::KokoroGraph => self.kokoro_graph(checked),
            Family::Kitten => self.rules(checked, "model", KITTEN),
            Family::SmartTurn => match checked.headers.get("model").and_then(|header| header.input("input_features")) {
                Some(_) => Ok(()),
                None => Err(self.kind("model", "it has no input 'input_features'")),
            },
        }
    }

    fn rules(&self, checked: &Checked, part: &'static str, rules: &[Rule]) -> Result<(), CheckError> {
        let Some(header) = checked.headers.get(part) else { return Ok(()) };
        for rule in rules {
            let key = match rule {
                Whole(key) | Wholes(key) | Reals(key) | Text(key) | One(key, _) | Exactly(key, _) => *key,
            };
            let value = header.metadata.get(key).map(String::as_str).unwrap_or_default();
            if value.is_empty() {
                return Err(self.kind(part, format!("it lacks the metadata '{key}'")));
            }
            let fits = match rule {
                Whole(_) => header.number(key).is_some_and(|number| i32::try_from(number).is_ok()),
                Wholes(_) => value.split(',').all(|number| number.trim().parse::<i32>().is_ok()),
                Reals(_) => value.split(',').all(|number| number.trim().parse::<f32>().is_ok()),
                Text(_) => true,
                One(_, texts) => texts.contains(&value),
                Exactly(_, number) => header.number(key) == Some(*number),
            };
            if !fits {
                let value: String = value.chars().take(40).collect();
                return Err(self.kind(part, format!("its metadata '{key}' is '{value}'")));
            }
        }
        Ok(())
    }

    /// The engine chooses among three kinds by what the decoder gives and says, and among five encoders by their type.
    fn online_transducer(&self, checked: &Checked) -> Result<(), CheckError> {
        if self.is_unified(checked) {
            self.rules(checked, "encoder", NEMO_PREDICTOR)?;
            return self.rules(checked, "encoder", NEMO_UNIFIED);
        }
        if is_nemo(checked) {
            self.rules(checked, "encoder", NEMO_CACHES)?;
            return self.rules(checked, "encoder", NEMO_PREDICTOR);
        }
        let rules = match checked.text("encoder", "model_type").unwrap_or_default() {
            "zipformer2" => ZIPFORMER2,
            "zipformer" => ZIPFORMER,
            "conformer" => CONFORMER,
            "lstm" => LSTM,
            // Loads by rules of its own; none of the packs is one, so the probe alone vouches for it.
            "ebranchformer" => &[],
            "" => return Err(self.kind("encoder", "it lacks the metadata 'model_type'")),
            other => return Err(self.kind("encoder", format!("its metadata 'model_type' is '{other}'"))),
        };
        self.rules(checked, "encoder", rules)?;
        self.rules(checked, "decoder", ICEFALL_DECODER)
    }

    fn is_unified(&self, checked: &Checked) -> bool {
        ["decoder", "encoder"]
            .iter()
            .any(|part| checked.text(part, "streaming_model_type") == Some("nemo_parakeet_unified_streaming"))
    }

    /// The engine feeds 32-bit integers and half-precision memory without asking.
    fn tone(&self, checked: &Checked) -> Result<(), CheckError> {
        let Some(header) = checked.headers.get("model") else { return Ok(()) };
        let [samples, memory] = header.inputs.as_slice() else {
            return Err(self.kind("model", format!("it has {} inputs instead of 2", header.inputs.len())));
        };
        let is = |tensor: &Tensor, element: u64, axes: usize| tensor.element == element && tensor.shape.len() == axes;
        if !is(samples, INT32, 3) {
            return Err(self.kind("model", "its first input is no [batch, samples, 1] of 32-bit integers"));
        }
        let state = header.number("state_dim");
        if !is(memory, FLOAT16, 2) || memory.shape[1].is_some_and(|length| Some(length) != state) {
            return Err(self.kind("model", "its second input is no [batch, state_dim] of half precision"));
        }
        if header.outputs.len() < 2 || header.outputs[0].shape.len() != 3 {
            return Err(self.kind("model", "its outputs are no [batch, frames, symbols] and memory"));
        }
        Ok(())
    }

    fn whisper(&self, checked: &Checked) -> Result<(), CheckError> {
        self.rules(checked, "encoder", WHISPER)?;
        if checked.number("encoder", "is_multilingual") == Some(0) {
            return Ok(());
        }
        self.rules(checked, "encoder", &[Wholes("all_language_tokens"), Text("all_language_codes")])?;
        let count = |key| checked.text("encoder", key).unwrap_or_default().split(',').count();
        if count("all_language_tokens") != count("all_language_codes") {
            return Err(self.kind("encoder", "it has not as many languages as language tokens"));
        }
        Ok(())
    }

    /// The engines look symbols up without asking whether they exist.
    fn symbols(&self, checked: &Checked) -> Result<(), CheckError> {
        let Some(tokens) = &checked.tokens else { return Ok(()) };
        let blank = ["<blk>", "<eps>", "<blank>"].iter().any(|symbol| tokens.number(symbol).is_some());
        let nemo = |vocabulary: Option<u64>| {
            // NeMo does not count the blank, which must be the last.
            let size = vocabulary.unwrap_or(0) + 1;
            if tokens.number("<blk>").map(u64::from) != Some(size - 1) {
                return Err(self.kind("tokens", format!("its last symbol, number {}, is not <blk>", size - 1)));
            }
            if tokens.len() as u64 != size {
                return Err(self.kind("tokens", format!("it has {} symbols, the model {size}", tokens.len())));
            }
            Ok(())
        };
        let every = |count: u64| match tokens.gap_below(count) {
            Some(gap) => Err(self.kind("tokens", format!("it has no symbol number {gap}, the model has {count}"))),
            None => Ok(()),
        };
        let ctc = |count: u64| {
            if blank { every(count) } else { Err(self.kind("tokens", "it has no <blk>, <eps> or <blank>")) }
        };
        let symbols = |part: &str| {
            let header = checked.headers.get(part)?;
            header.outputs.first()?.shape.last().copied().flatten()
        };
        match self.family {
            Family::OnlineTransducer if is_nemo(checked) || self.is_unified(checked) => {
                nemo(checked.number("encoder", "vocab_size"))
            }
            Family::OfflineNemoTransducer => {
                nemo(checked.number("encoder", "vocab_size"))?;
                // Models that also say how long a symbol lasts have more outputs, none has fewer.
                match symbols("joiner") {
                    Some(outputs) if outputs < tokens.len() as u64 => {
                        Err(self.kind("joiner", format!("it has {outputs} outputs for {} symbols", tokens.len())))
                    }
                    _ => Ok(()),
                }
            }
            Family::OnlineTransducer => every(checked.number("decoder", "vocab_size").unwrap_or(0)),
            Family::OnlineNemoCtc => ctc(checked.number("model", "vocab_size").unwrap_or(0) + 1),
            Family::OnlineZipformerCtc | Family::OnlineToneCtc => ctc(symbols("model").unwrap_or(0)),
            Family::SenseVoice => every(checked.number("model", "vocab_size").unwrap_or(0)),
            Family::Moonshine
            | Family::MoonshineMerged
            | Family::Whisper
            | Family::Vits
            | Family::Matcha
            | Family::Kokoro
            | Family::KokoroGraph
            | Family::Kitten
            | Family::SmartTurn => Ok(()),
        }
    }

    /// Styles of all speakers: as many numbers as the model says.
    fn voices(&self, checked: &Checked) -> Result<(), CheckError> {
        if !matches!(self.family, Family::Kokoro | Family::Kitten) {
            return Ok(());
        }
        let file = self.file("voices")?;
        let sizes: Vec<u64> = checked
            .text("model", "style_dim")
            .unwrap_or_default()
            .split(',')
            .filter_map(|size| size.trim().parse().ok())
            .collect();
        let fits = match (self.family, sizes.as_slice()) {
            (Family::Kokoro, [_, 1, _]) => true,
            (Family::Kitten, [rows, _]) => *rows > 0,
            _ => false,
        };
        if !fits {
            return Err(self.kind("model", "its metadata 'style_dim' has another form"));
        }
        let speakers = checked.number("model", "n_speakers").unwrap_or(0);
        let expected = sizes.iter().try_fold(speakers.saturating_mul(4), |all, size| all.checked_mul(*size));
        let found = fs::metadata(&file).map_err(|source| self.unreadable(&file, source))?.len();
        if expected != Some(found) {
            return Err(self.damaged(&file, format!("it does not hold the styles of {speakers} voices")));
        }
        Ok(())
    }

    /// The graph's shapes, its symbols, and every speaker's styles by their length.
    fn kokoro_graph(&self, checked: &Checked) -> Result<(), CheckError> {
        let Some(header) = checked.headers.get("model") else {
            return Err(self.kind("model", "it is in a format that tells no shapes"));
        };
        kokoro::shapes(header).map_err(|why| self.kind("model", why))?;
        let tokens = self.file("tokens")?;
        kokoro::Vocabulary::read(&tokens).map_err(|error| self.of_kokoro(&tokens, error))?;
        let mut speakers = self.installed.files("voices").peekable();
        if speakers.peek().is_none() {
            return Err(CheckError::Part { pack: self.name(), part: "voices" });
        }
        speakers.try_for_each(|file| kokoro::length(&file).map_err(|error| self.of_kokoro(&file, error)))
    }

    fn of_kokoro(&self, file: &Path, error: FileError) -> CheckError {
        match error {
            FileError::Io(source) => self.unreadable(file, source),
            FileError::Malformed(why) => self.damaged(file, why),
        }
    }

    /// A lexicon that the pack names is there. Whether there must be one is the voice's to say.
    fn lexicon(&self) -> Result<(), CheckError> {
        if self.installed.file("lexicon").is_some() {
            self.file("lexicon")?;
        }
        Ok(())
    }
}

/// NeMo's decoders carry a memory, icefall's do not.
pub(crate) fn is_nemo(checked: &Checked) -> bool {
    checked.headers.get("decoder").is_some_and(|decoder| decoder.outputs.len() > 1)
}
