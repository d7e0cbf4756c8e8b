//! Finding the library, its version and its functions.

use super::layout as c;
use crate::assets::{AssetError, SETUP_COMMAND};
use crate::ffi::{Blame, open, symbol};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const BLAME: Blame = Blame { part: "speech packs", command: SETUP_COMMAND };
/// The version whose header is the one in `layout`: structures grow from one to the next.
const VERSION: &str = "2.0.1";

/// A handle of the library.
pub(super) type Pointer = *mut c_void;

/// What is called.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) create_online: unsafe extern "C" fn(*const c::OnlineConfig) -> Pointer,
    pub(super) destroy_online: unsafe extern "C" fn(Pointer),
    pub(super) create_stream: unsafe extern "C" fn(Pointer) -> Pointer,
    pub(super) destroy_stream: unsafe extern "C" fn(Pointer),
    pub(super) accept: unsafe extern "C" fn(Pointer, i32, *const f32, i32),
    pub(super) is_ready: unsafe extern "C" fn(Pointer, Pointer) -> i32,
    pub(super) decode_many: unsafe extern "C" fn(Pointer, *mut Pointer, i32),
    pub(super) stream_result: unsafe extern "C" fn(Pointer, Pointer) -> *const c::OnlineResult,
    pub(super) destroy_stream_result: unsafe extern "C" fn(*const c::OnlineResult),
    pub(super) create_offline: unsafe extern "C" fn(*const c::OfflineConfig) -> Pointer,
    pub(super) destroy_offline: unsafe extern "C" fn(Pointer),
    pub(super) create_offline_stream: unsafe extern "C" fn(Pointer) -> Pointer,
    pub(super) destroy_offline_stream: unsafe extern "C" fn(Pointer),
    pub(super) accept_offline: unsafe extern "C" fn(Pointer, i32, *const f32, i32),
    pub(super) decode_offline: unsafe extern "C" fn(Pointer, Pointer),
    pub(super) offline_result: unsafe extern "C" fn(Pointer) -> *const c::OfflineResult,
    pub(super) destroy_offline_result: unsafe extern "C" fn(*const c::OfflineResult),
    pub(super) create_tts: unsafe extern "C" fn(*const c::TtsConfig) -> Pointer,
    pub(super) destroy_tts: unsafe extern "C" fn(Pointer),
    pub(super) tts_sample_rate: unsafe extern "C" fn(Pointer) -> i32,
    pub(super) tts_speakers: unsafe extern "C" fn(Pointer) -> i32,
    pub(super) generate: unsafe extern "C" fn(
        Pointer,
        *const c_char,
        *const c::GenerationConfig,
        Option<c::Progress>,
        Pointer,
    ) -> *const c::GeneratedAudio,
    pub(super) destroy_audio: unsafe extern "C" fn(*const c::GeneratedAudio),
}

/// The loaded library.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    pub(super) functions: Functions,
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
        macro_rules! function {
            ($name:literal) => {
                symbol(library, $name, BLAME).map_err(|_| {
                    unusable(format!("it lacks {}: the wheel is of another version, 2.0 is needed", $name))
                })?
            };
        }
        type Say = unsafe extern "C" fn() -> *const c_char;
        // SAFETY: the type is the C prototype of the function.
        let version: Say = unsafe { function!("SherpaOnnxGetVersionStr") };
        // SAFETY: it takes nothing and returns a static string.
        let version = unsafe { said(version()) };
        if version != VERSION {
            return Err(unusable(format!(
                "it is version {version}: the wheel is of another version, {VERSION} is needed"
            )));
        }
        // SAFETY: each type is the C prototype of the symbol in the header of version 2.0; opaque pointers are `Pointer`.
        let (functions, onnx_runtime) = unsafe {
            let onnx_runtime: Say = function!("SherpaOnnxGetOnnxruntimeVersionStr");
            let functions = Functions {
                create_online: function!("SherpaOnnxCreateOnlineRecognizer"),
                destroy_online: function!("SherpaOnnxDestroyOnlineRecognizer"),
                create_stream: function!("SherpaOnnxCreateOnlineStream"),
                destroy_stream: function!("SherpaOnnxDestroyOnlineStream"),
                accept: function!("SherpaOnnxOnlineStreamAcceptWaveform"),
                is_ready: function!("SherpaOnnxIsOnlineStreamReady"),
                decode_many: function!("SherpaOnnxDecodeMultipleOnlineStreams"),
                stream_result: function!("SherpaOnnxGetOnlineStreamResult"),
                destroy_stream_result: function!("SherpaOnnxDestroyOnlineRecognizerResult"),
                create_offline: function!("SherpaOnnxCreateOfflineRecognizer"),
                destroy_offline: function!("SherpaOnnxDestroyOfflineRecognizer"),
                create_offline_stream: function!("SherpaOnnxCreateOfflineStream"),
                destroy_offline_stream: function!("SherpaOnnxDestroyOfflineStream"),
                accept_offline: function!("SherpaOnnxAcceptWaveformOffline"),
                decode_offline: function!("SherpaOnnxDecodeOfflineStream"),
                offline_result: function!("SherpaOnnxGetOfflineStreamResult"),
                destroy_offline_result: function!("SherpaOnnxDestroyOfflineRecognizerResult"),
                create_tts: function!("SherpaOnnxCreateOfflineTts"),
                destroy_tts: function!("SherpaOnnxDestroyOfflineTts"),
                tts_sample_rate: function!("SherpaOnnxOfflineTtsSampleRate"),
                tts_speakers: function!("SherpaOnnxOfflineTtsNumSpeakers"),
                generate: function!("SherpaOnnxOfflineTtsGenerateWithConfig"),
                destroy_audio: function!("SherpaOnnxDestroyOfflineTtsGeneratedAudio"),
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
