//! Model packs: better engines than the embedded ones, installed by name.
//!
//! Purpose: what a pack is, which ones are known (`models/manifest.toml`), and which are installed and active. Plain data
//! and files, any thread. Invariants: a pack that is installed was checked against its digest where one is known, unpacked
//! within its own directory, and loaded once by a child process. Deliberately absent: fetching (`packs` of the daemon),
//! running models (`asr`, `tts`, `eot`).

pub mod archive;
pub mod check;
pub mod digest;
pub mod kokoro;
pub mod manifest;
pub mod onnx;
pub mod probe;
mod protobuf;
pub mod sentencepiece;
pub mod shelf;
pub mod tokens;

pub use manifest::{ManifestError, catalogue, known};
pub use shelf::{Record, Shelf, ShelfError};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a pack does in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Words while the caller speaks.
    StreamingAsr,
    /// Words of a turn that voice activity detection has cut.
    OfflineAsr,
    /// A voice.
    Tts,
    /// Whether a pause ends the caller's turn.
    EndOfTurn,
}

/// How a pack's files are loaded: the model's architecture as sherpa-onnx names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Streaming transducer: `encoder`, `decoder`, `joiner`, `tokens`; also NeMo's and Nemotron's streaming ones.
    OnlineTransducer,
    /// Streaming NeMo CTC: `model`, `tokens`.
    OnlineNemoCtc,
    /// Streaming Zipformer CTC: `model`, `tokens`.
    OnlineZipformerCtc,
    /// Streaming CTC on raw 8 kHz samples after T-one: `model`, `tokens`.
    OnlineToneCtc,
    /// Moonshine, first layout: `preprocessor`, `encoder`, `uncached-decoder`, `cached-decoder`, `tokens`.
    Moonshine,
    /// Moonshine, second layout: `encoder`, `merged-decoder`, `tokens`.
    MoonshineMerged,
    /// NeMo transducer over whole turns (Parakeet): `encoder`, `decoder`, `joiner`, `tokens`.
    OfflineNemoTransducer,
    /// Whisper: `encoder`, `decoder`, `tokens`.
    Whisper,
    /// `SenseVoice`: `model`, `tokens`.
    SenseVoice,
    /// VITS, Piper's too: `model`, `tokens`, perhaps `lexicon`.
    Vits,
    /// Matcha: `model`, `vocoder`, `tokens`, perhaps `lexicon`.
    Matcha,
    /// Kokoro: `model`, `voices`, `tokens`, perhaps `lexicon`.
    Kokoro,
    /// Kokoro without sherpa-onnx: `model`, `voices` (one file a speaker, of its name), `tokens` (the tokenizer's JSON).
    KokoroGraph,
    /// Kitten: `model`, `voices`, `tokens`, perhaps `lexicon`.
    Kitten,
    /// Smart-turn, version 3: `model`.
    SmartTurn,
}

/// One pack as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pack {
    /// Name, also of its directory.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How it is loaded.
    pub family: Family,
    /// Where its archive comes from: a `.tar.bz2` or `.tgz`, or a model that is one file. Empty: it was never fetched.
    #[serde(default)]
    pub url: String,
    /// Hexadecimal SHA-256 of the archive; `None`: recorded at the first installation.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Octets of the archive: exact where `sha256` is known, else about.
    #[serde(default)]
    pub size: u64,
    /// SPDX expression, or what the publisher says.
    #[serde(default)]
    pub licence: String,
    /// Samples per second of the model.
    pub rate: u32,
    /// BCP 47 tags.
    #[serde(default)]
    pub languages: Vec<String>,
    /// One line for a person who chooses.
    #[serde(default)]
    pub about: String,
    /// Part (see [`Family`]) → file below the pack's directory, or several parted by commas (lexicons). Parts that a family
    /// can do without may be absent.
    pub files: BTreeMap<String, String>,
    /// Files that do not come with the archive and are fetched beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Extra>,
    /// Offered at set-up.
    #[serde(default)]
    pub recommended: bool,
}

/// A file that a pack needs and its archive does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Its name below the pack's directory.
    pub file: String,
    /// Where it comes from.
    pub url: String,
    /// Hexadecimal SHA-256; `None`: recorded at the first installation.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Octets, exact where `sha256` is known, else about.
    pub size: u64,
}

/// A pack on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What it is.
    pub pack: Pack,
    /// Where its files lie.
    pub directory: PathBuf,
}

impl Installed {
    /// Where a part lies; `None` when the pack does not have it.
    #[must_use]
    pub fn file(&self, part: &str) -> Option<PathBuf> {
        self.pack.files.get(part).map(|file| self.directory.join(file))
    }

    /// Where all files of a part lie.
    pub fn files(&self, part: &str) -> impl Iterator<Item = PathBuf> + '_ {
        let files = self.pack.files.get(part).map(String::as_str).unwrap_or_default();
        manifest::files_of(files).filter(|file| !file.is_empty()).map(|file| self.directory.join(file))
    }

    /// Where the pack lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
