//! sherpa-onnx 2.0 (`sherpa-onnx/c-api/c-api.h` of the wheel `sherpa-onnx-core`): streaming and whole-turn recognition,
//! synthesis.
//!
//! Invariants: a handle made by the library is released exactly once, and a recogniser outlives its streams; strings that
//! are passed in live until the call returns (the library copies them), strings that it returns are copied before they are
//! released. The library finds ONNX Runtime by its name, so the copy that is loaded before it is the one that it uses.
//!
//! What a caller of this module must know: the library ends the process (`_Exit`) where a model's metadata or table of
//! symbols is not what it expects, and an exception that leaves it while it decodes aborts; `pack::check` looks for all of
//! that beforehand and `pack::probe` tries the rest in a child process. What can be excluded by construction is: a stream
//! that is not ready is never decoded, a stream keeps one sample rate, and meets only the recogniser that made it.
//!
//! | file | holds |
//! |---|---|
//! | `layout` | the structures of the header |
//! | `online`, `offline`, `tts` | one engine each |

mod layout;
mod offline;
mod online;
mod tts;

pub(crate) use offline::{OfflineModel, OfflineRecogniser, OfflineSettings};
pub(crate) use online::{Hotwords, OnlineModel, OnlineRecogniser, OnlineSettings, OnlineStream};
pub(crate) use tts::{Speech, Synthesiser, SynthesiserSettings, TtsModel};

use super::{Blame, open};
use crate::assets::{AssetError, SETUP_COMMAND};
use layout as c;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

const BLAME: Blame = Blame { part: "speech packs", command: SETUP_COMMAND };
/// Versions whose header is the one in `layout`.
const VERSIONS: &str = "2.0.";

type Pointer = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    create_online: unsafe extern "C" fn(*const c::OnlineConfig) -> Pointer,
    destroy_online: unsafe extern "C" fn(Pointer),
    create_stream: unsafe extern "C" fn(Pointer) -> Pointer,
    destroy_stream: unsafe extern "C" fn(Pointer),
    accept: unsafe extern "C" fn(Pointer, i32, *const f32, i32),
    is_ready: unsafe extern "C" fn(Pointer, Pointer) -> i32,
    decode_many: unsafe extern "C" fn(Pointer, *mut Pointer, i32),
    stream_result: unsafe extern "C" fn(Pointer, Pointer) -> *const c::OnlineResult,
    destroy_stream_result: unsafe extern "C" fn(*const c::OnlineResult),
    create_offline: unsafe extern "C" fn(*const c::OfflineConfig) -> Pointer,
    destroy_offline: unsafe extern "C" fn(Pointer),
    create_offline_stream: unsafe extern "C" fn(Pointer) -> Pointer,
    destroy_offline_stream: unsafe extern "C" fn(Pointer),
    accept_offline: unsafe extern "C" fn(Pointer, i32, *const f32, i32),
    decode_offline: unsafe extern "C" fn(Pointer, Pointer),
    offline_result: unsafe extern "C" fn(Pointer) -> *const c::OfflineResult,
    destroy_offline_result: unsafe extern "C" fn(*const c::OfflineResult),
    create_tts: unsafe extern "C" fn(*const c::TtsConfig) -> Pointer,
    destroy_tts: unsafe extern "C" fn(Pointer),
    tts_sample_rate: unsafe extern "C" fn(Pointer) -> i32,
    tts_speakers: unsafe extern "C" fn(Pointer) -> i32,
    generate: unsafe extern "C" fn(
        Pointer,
        *const c_char,
        *const c::GenerationConfig,
        Option<c::Progress>,
        Pointer,
    ) -> *const c::GeneratedAudio,
    destroy_audio: unsafe extern "C" fn(*const c::GeneratedAudio),
}

/// The loaded library.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    functions: Functions,
    version: &'static str,
    onnx_runtime: &'static str,
}

impl Library {
    /// Loads ONNX Runtime from `onnx_runtime`, then sherpa-onnx from `file`, or gives what an earlier call has loaded.
    pub(crate) fn load(onnx_runtime: &Path, file: &Path) -> Result<Self, AssetError> {
        static LOADED: Mutex<Option<HashMap<PathBuf, Library>>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_with(HashMap::new);
        if let Some(library) = loaded.get(file) {
            return Ok(*library);
        }
        // The loader satisfies sherpa-onnx's need for it by name.
        open(onnx_runtime, BLAME)?;
        let library = Self::open(file)?;
        loaded.insert(file.to_owned(), library);
        Ok(library)
    }

    fn open(file: &Path) -> Result<Self, AssetError> {
        let library = open(file, BLAME)?;
        let unusable = |why: String| AssetError::Unusable {
            part: BLAME.part,
            file: file.display().to_string(),
            why,
            command: BLAME.command,
        };
        // A library of another version has other structures; what it lacks says so before anything is called.
        macro_rules! symbol {
            ($name:literal) => {
                super::symbol(library, $name, BLAME).map_err(|_| {
                    unusable(format!("it lacks {}: the wheel is of another version, 2.0 is needed", $name))
                })?
            };
        }
        type Say = unsafe extern "C" fn() -> *const c_char;
        // SAFETY: the type is the C prototype of the function.
        let version: Say = unsafe { symbol!("SherpaOnnxGetVersionStr") };
        // SAFETY: it takes nothing and returns a static string.
        let version = unsafe { said(version()) };
        if !version.starts_with(VERSIONS) {
            return Err(unusable(format!("it is version {version}: the wheel is of another version, 2.0 is needed")));
        }
        // SAFETY: each type is the C prototype of the symbol in the header of version 2.0; opaque pointers are `Pointer`.
        let (functions, onnx_runtime) = unsafe {
            let onnx_runtime: Say = symbol!("SherpaOnnxGetOnnxruntimeVersionStr");
            let functions = Functions {
                create_online: symbol!("SherpaOnnxCreateOnlineRecognizer"),
                destroy_online: symbol!("SherpaOnnxDestroyOnlineRecognizer"),
                create_stream: symbol!("SherpaOnnxCreateOnlineStream"),
                destroy_stream: symbol!("SherpaOnnxDestroyOnlineStream"),
                accept: symbol!("SherpaOnnxOnlineStreamAcceptWaveform"),
                is_ready: symbol!("SherpaOnnxIsOnlineStreamReady"),
                decode_many: symbol!("SherpaOnnxDecodeMultipleOnlineStreams"),
                stream_result: symbol!("SherpaOnnxGetOnlineStreamResult"),
                destroy_stream_result: symbol!("SherpaOnnxDestroyOnlineRecognizerResult"),
                create_offline: symbol!("SherpaOnnxCreateOfflineRecognizer"),
                destroy_offline: symbol!("SherpaOnnxDestroyOfflineRecognizer"),
                create_offline_stream: symbol!("SherpaOnnxCreateOfflineStream"),
                destroy_offline_stream: symbol!("SherpaOnnxDestroyOfflineStream"),
                accept_offline: symbol!("SherpaOnnxAcceptWaveformOffline"),
                decode_offline: symbol!("SherpaOnnxDecodeOfflineStream"),
                offline_result: symbol!("SherpaOnnxGetOfflineStreamResult"),
                destroy_offline_result: symbol!("SherpaOnnxDestroyOfflineRecognizerResult"),
                create_tts: symbol!("SherpaOnnxCreateOfflineTts"),
                destroy_tts: symbol!("SherpaOnnxDestroyOfflineTts"),
                tts_sample_rate: symbol!("SherpaOnnxOfflineTtsSampleRate"),
                tts_speakers: symbol!("SherpaOnnxOfflineTtsNumSpeakers"),
                generate: symbol!("SherpaOnnxOfflineTtsGenerateWithConfig"),
                destroy_audio: symbol!("SherpaOnnxDestroyOfflineTtsGeneratedAudio"),
            };
            (functions, said(onnx_runtime()))
        };
        Ok(Self { functions, version, onnx_runtime })
    }

    /// Version of sherpa-onnx, e.g. `2.0.1`.
    pub(crate) fn version(self) -> &'static str {
        self.version
    }

    /// Version of the ONNX Runtime that it was built for.
    pub(crate) fn onnx_runtime(self) -> &'static str {
        self.onnx_runtime
    }
}

/// # Safety
/// `text` is null or a C string that stays for ever.
unsafe fn said(text: *const c_char) -> &'static str {
    // SAFETY: the caller's promise.
    if text.is_null() { "unknown" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("unknown") }
}

/// Texts of a configuration: they live as long as this does, which must be until the creating call has returned.
#[derive(Default)]
struct Texts(Vec<CString>);

impl Texts {
    fn of(&mut self, text: &str) -> *const c_char {
        // C cannot carry a NUL; no path or word of ours has one.
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        let pointer = text.as_ptr();
        // The octets stay where they are when the vector grows.
        self.0.push(text);
        pointer
    }

    fn path(&mut self, path: &Path) -> *const c_char {
        self.of(&path.to_string_lossy())
    }

    fn optional(&mut self, text: Option<&str>) -> *const c_char {
        text.map_or(ptr::null(), |text| self.of(text))
    }
}

/// What a recogniser answers, copied out of the library.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recognised {
    /// As the model writes it.
    pub(crate) text: String,
    /// Its symbols; a blank before a symbol begins a word.
    pub(crate) tokens: Vec<String>,
    /// Seconds from the start of the stream at which each symbol begins; empty where the model does not say.
    pub(crate) starts: Vec<f32>,
    /// Seconds that each symbol lasts; empty where the model does not say.
    pub(crate) durations: Vec<f32>,
    /// Natural logarithm of each symbol's probability; empty where the model does not say.
    pub(crate) log_probabilities: Vec<f32>,
}

/// # Safety
/// `text` is null or a C string that stays until this returns.
unsafe fn owned(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// # Safety
/// `texts` is null or points to `count` C strings that stay until this returns.
unsafe fn owned_texts(texts: *const *const c_char, count: i32) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    if texts.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(texts, count).iter().map(|text| owned(*text)).collect() }
}

/// # Safety
/// `numbers` is null or points to `count` floats that stay until this returns.
unsafe fn owned_numbers(numbers: *const f32, count: i32) -> Vec<f32> {
    let count = usize::try_from(count).unwrap_or(0);
    if numbers.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(numbers, count) }.to_vec()
}

/// A buffer's length as the library counts.
fn length(samples: &[f32]) -> i32 {
    // Nobody hands over 74 hours of audio at once; what is beyond would be left out, never read past.
    i32::try_from(samples.len()).unwrap_or(i32::MAX)
}
