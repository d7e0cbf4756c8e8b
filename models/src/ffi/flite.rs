//! Flite 2.2 (`flite.h`, `cst_audio.h`, `cst_voice.h`, `cst_hrg.h`): the calls that streaming synthesis needs.
//!
//! A voice is not re-entrant. Its library makes one object and gives the same one to everybody who registers; what it
//! remembers it by is a global pointer, and where that is empty it makes another. So each [`Voice`] here is an object of
//! its own: the models and the dictionary, which nobody writes to, are shared, and every counted value belongs to one
//! object. Invariants: a [`Voice`] is used by one thread at a time (`&mut`); every call that may touch Flite's shared
//! tables while loading holds the registry lock.

use super::{Blame, open, symbol};
use crate::assets::{AssetError, FLITE_COMMAND};
use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_float, c_int, c_short, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

const BLAME: Blame = Blame { part: "speech synthesis", command: FLITE_COMMAND };
/// Samples that Flite hands over at once: 16 ms at 16 kHz, so a stop takes effect within one 20 ms frame.
const STREAM_SAMPLES: c_int = 256;
const STREAM_STOP: c_int = -1;
const STREAM_CONTINUE: c_int = 0;

/// `cst_wave`
#[repr(C)]
struct Wave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *const c_short,
}

/// `cst_audio_streaming_info`
#[repr(C)]
struct StreamingInfo {
    min_buffsize: c_int,
    callback: Option<unsafe extern "C" fn(*const Wave, c_int, c_int, c_int, *mut Self) -> c_int>,
    utterance: *const c_void,
    item: *const c_void,
    userdata: *mut c_void,
}

/// `cst_voice`
#[repr(C)]
struct RawVoice {
    name: *const c_char,
    features: *mut c_void,
    ffunctions: *mut c_void,
    utt_init: *const c_void,
}

type Register = unsafe extern "C" fn(*const c_char) -> *mut RawVoice;
type Synthesise = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    synth_text: unsafe extern "C" fn(*const c_char, *mut RawVoice) -> *mut c_void,
    delete_utterance: unsafe extern "C" fn(*mut c_void),
    feat_set: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_void),
    feat_set_float: unsafe extern "C" fn(*mut c_void, *const c_char, c_float),
    new_streaming_info: unsafe extern "C" fn() -> *mut StreamingInfo,
    streaming_info_val: unsafe extern "C" fn(*mut StreamingInfo) -> *mut c_void,
    utt_relation: unsafe extern "C" fn(*const c_void, *const c_char) -> *mut c_void,
    relation_head: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    item_next: unsafe extern "C" fn(*const c_void) -> *mut c_void,
    ffeature_string: unsafe extern "C" fn(*const c_void, *const c_char) -> *const c_char,
    ffeature_float: unsafe extern "C" fn(*const c_void, *const c_char) -> c_float,
    new_utterance: unsafe extern "C" fn() -> *mut c_void,
    create_relation: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void,
    append: unsafe extern "C" fn(*mut c_void, *const c_void) -> *mut c_void,
    item_set_string: unsafe extern "C" fn(*const c_void, *const c_char, *const c_char),
    do_synth: unsafe extern "C" fn(*mut c_void, *mut RawVoice, Synthesise) -> *mut c_void,
    synth_tokens: Synthesise,
}

/// One word to say.
pub(crate) struct Said {
    /// Letters, without punctuation.
    pub(crate) name: CString,
    /// Punctuation behind it.
    pub(crate) mark: CString,
    /// Its sounds, instead of those that the dictionary knows.
    pub(crate) phones: Option<CString>,
}

/// One token of the text with its place in the audio, seconds from the first sample.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) start: f32,
    pub(crate) end: f32,
}

/// A voice with its streaming hook. Never freed: its library has no way to end one of several.
pub(crate) struct Voice {
    functions: Functions,
    raw: *mut RawVoice,
    streaming: *mut StreamingInfo,
}

// SAFETY: the pointers lead to objects that no other `Voice` has, in libraries that are never unloaded; nothing in them is
// tied to a thread, and using them takes `&mut self`.
unsafe impl Send for Voice {}

/// What the streaming callback works on while `synthesise` is on the stack.
struct Stream<'a> {
    sink: &'a mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    sample_rate: c_int,
    panic: Option<Box<dyn Any + Send>>,
}

/// Held while Flite loads and registers.
pub(super) static LOADING: Mutex<()> = Mutex::new(());

/// A voice object of its own, of `libflite_cmu_us_<name>` from `directories`, else from the system's library path.
pub(crate) fn voice(name: &str, directories: &[PathBuf]) -> Result<Voice, AssetError> {
    let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    load(name, directories)
}

fn load(name: &str, directories: &[PathBuf]) -> Result<Voice, AssetError> {
    let missing = |file: String| AssetError::Missing {
        part: BLAME.part,
        file,
        looked: "the system's library path".to_owned(),
        command: BLAME.command,
    };
    if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(missing(format!("voice '{name}'")));
    }
    let library = |file: &str| {
        let inside = directories.iter().map(|directory| directory.join(file)).find(|path| path.is_file());
        open(inside.as_deref().unwrap_or(file.as_ref()), BLAME).map_err(|error| match (inside, error) {
            // The loader's own words ("cannot open shared object file") say less than the package to install.
            (None, AssetError::Unusable { .. }) => missing(file.to_owned()),
            (_, error) => error,
        })
    };
    let flite = library("libflite.so.1")?;
    let voice = library(&format!("libflite_cmu_us_{name}.so.1"))?;
    // SAFETY: each type is the C prototype of the symbol in Flite 2.2's headers.
    let (functions, init, register) = unsafe {
        (
            Functions {
                synth_text: symbol(flite, "flite_synth_text", BLAME)?,
                delete_utterance: symbol(flite, "delete_utterance", BLAME)?,
                feat_set: symbol(flite, "flite_feat_set", BLAME)?,
                feat_set_float: symbol(flite, "flite_feat_set_float", BLAME)?,
                new_streaming_info: symbol(flite, "new_audio_streaming_info", BLAME)?,
                streaming_info_val: symbol(flite, "audio_streaming_info_val", BLAME)?,
                utt_relation: symbol(flite, "utt_relation", BLAME)?,
                relation_head: symbol(flite, "relation_head", BLAME)?,
                item_next: symbol(flite, "item_next", BLAME)?,
                ffeature_string: symbol(flite, "flite_ffeature_string", BLAME)?,
                ffeature_float: symbol(flite, "flite_ffeature_float", BLAME)?,
                new_utterance: symbol(flite, "new_utterance", BLAME)?,
                create_relation: symbol(flite, "utt_relation_create", BLAME)?,
                append: symbol(flite, "relation_append", BLAME)?,
                item_set_string: symbol(flite, "item_set_string", BLAME)?,
                do_synth: symbol(flite, "flite_do_synth", BLAME)?,
                synth_tokens: symbol(flite, "utt_synth_tokens", BLAME)?,
            },
            symbol::<unsafe extern "C" fn() -> c_int>(flite, "flite_init", BLAME)?,
            symbol::<Register>(voice, &format!("register_cmu_us_{name}"), BLAME)?,
        )
    };
    // What the library remembers its object by: a pointer, of the statistical voices or of the diphone ones.
    let remembered = ["cg", "diphone"].into_iter().find_map(|kind| {
        // SAFETY: the symbol, where there is one, is a `cst_voice *` variable (cmu_us_slt.c, cmu_us_kal_diphone.c).
        unsafe { symbol::<*mut *mut RawVoice>(voice, &format!("cmu_us_{name}_{kind}"), BLAME) }.ok()
    });
    let Some(remembered) = remembered else { return Err(missing(format!("voice '{name}' of a known kind"))) };
    // SAFETY: called under the registry lock, so no other thread is inside Flite's loading code, and only this code reads
    // or writes the library's pointer; the object that it led to lives on in its `Voice`. `flite_init` and `register_*`
    // may be called any number of times; the feature list is that of the voice just registered, and the value takes the
    // streaming info over for good.
    unsafe {
        init();
        *remembered = ptr::null_mut();
        let raw = register(ptr::null());
        if raw.is_null() {
            return Err(missing(format!("voice '{name}'")));
        }
        let streaming = (functions.new_streaming_info)();
        (*streaming).min_buffsize = STREAM_SAMPLES;
        (*streaming).callback = Some(deliver);
        (functions.feat_set)(
            (*raw).features,
            c"streaming_info".as_ptr(),
            (functions.streaming_info_val)(streaming).cast_const(),
        );
        Ok(Voice { functions, raw, streaming })
    }
}

/// Called by Flite for every stretch of finished samples.
unsafe extern "C" fn deliver(
    wave: *const Wave,
    start: c_int,
    size: c_int,
    _last: c_int,
    info: *mut StreamingInfo,
) -> c_int {
    // SAFETY: Flite passes the wave under construction and the info that `load` made; `userdata` was set by `synthesise`,
    // whose frame is below this one on the same stack.
    let (wave, stream) = unsafe { (&*wave, &mut *(*info).userdata.cast::<Stream<'_>>()) };
    let (Ok(start), Ok(size)) = (usize::try_from(start), usize::try_from(size)) else { return STREAM_CONTINUE };
    if stream.panic.is_some() {
        return STREAM_STOP;
    }
    if size == 0 || wave.samples.is_null() {
        return STREAM_CONTINUE;
    }
    stream.sample_rate = wave.sample_rate;
    // SAFETY: Flite's contract: `start .. start + size` of the wave's samples are finished and stay until it is deleted.
    let samples = unsafe { slice::from_raw_parts(wave.samples.add(start), size) };
    // A panic must not unwind through C frames: it is carried around them.
    match catch_unwind(AssertUnwindSafe(|| (stream.sink)(samples))) {
        Ok(ControlFlow::Continue(())) => STREAM_CONTINUE,
        Ok(ControlFlow::Break(())) => STREAM_STOP,
        Err(panic) => {
            stream.panic = Some(panic);
            STREAM_STOP
        }
    }
}

impl Voice {
    /// Speaking rate: 1.0 is the voice's own, larger is slower.
    pub(crate) fn set_stretch(&mut self, stretch: f32) {
        // SAFETY: the feature list of a registered voice; Flite copies the name.
        unsafe { (self.functions.feat_set_float)((*self.raw).features, c"duration_stretch".as_ptr(), stretch) }
    }

    /// Synthesises `text`; `sink` gets the samples as they are made and may stop. Returns the sample rate and the tokens.
    pub(crate) fn synthesise(
        &mut self,
        text: &CStr,
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> (i32, Vec<Token>) {
        // SAFETY: the text outlives the call; Flite copies it.
        self.stream(sink, |voice| unsafe { (voice.functions.synth_text)(text.as_ptr(), voice.raw) })
    }

    /// The same for words that are given one by one, some with their sounds.
    pub(crate) fn synthesise_words(
        &mut self,
        words: &[Said],
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> (i32, Vec<Token>) {
        self.stream(sink, |voice| {
            let f = &voice.functions;
            // SAFETY: the utterance is new and owned here until `do_synth` takes it (and frees it where it fails); items
            // belong to it; names and strings are copied. This is what Flite's own tokenizer leaves behind.
            unsafe {
                let utterance = (f.new_utterance)();
                let relation = (f.create_relation)(utterance, c"Token".as_ptr());
                for word in words {
                    let item = (f.append)(relation, ptr::null());
                    (f.item_set_string)(item, c"name".as_ptr(), word.name.as_ptr());
                    (f.item_set_string)(item, c"whitespace".as_ptr(), c" ".as_ptr());
                    (f.item_set_string)(item, c"prepunctuation".as_ptr(), c"".as_ptr());
                    (f.item_set_string)(item, c"punc".as_ptr(), word.mark.as_ptr());
                    if let Some(phones) = &word.phones {
                        (f.item_set_string)(item, c"phones".as_ptr(), phones.as_ptr());
                    }
                }
                (f.do_synth)(utterance, voice.raw, f.synth_tokens)
            }
        })
    }

    /// Runs a synthesis with its samples going to `sink`.
    fn stream(
        &mut self,
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
        synthesise: impl FnOnce(&Self) -> *mut c_void,
    ) -> (i32, Vec<Token>) {
        let mut stream = Stream { sink, sample_rate: 0, panic: None };
        // SAFETY: `&mut self` makes this the only use of the voice; `userdata` points to a local that outlives the call,
        // and is cleared after it; the utterance is deleted exactly once, after the last use of its items.
        let tokens = unsafe {
            (*self.streaming).userdata = ptr::from_mut(&mut stream).cast();
            let utterance = synthesise(self);
            (*self.streaming).userdata = ptr::null_mut();
            if utterance.is_null() {
                Vec::new()
            } else {
                let tokens = self.tokens(utterance);
                (self.functions.delete_utterance)(utterance);
                tokens
            }
        };
        if let Some(panic) = stream.panic {
            resume_unwind(panic);
        }
        (stream.sample_rate, tokens)
    }

    /// Walks the Word relation and joins words that came from one token ("42" is spoken as two).
    ///
    /// # Safety
    /// `utterance` is alive and was synthesised by this voice.
    unsafe fn tokens(&self, utterance: *const c_void) -> Vec<Token> {
        let f = &self.functions;
        let mut tokens: Vec<Token> = Vec::new();
        // SAFETY: relation, items and feature strings belong to the utterance, which the caller keeps alive; Flite's
        // feature paths answer "0" or 0.0 where a path leads nowhere.
        unsafe {
            let relation = (f.utt_relation)(utterance, c"Token".as_ptr());
            if relation.is_null() {
                return tokens;
            }
            let mut token = (f.relation_head)(relation);
            while !token.is_null() {
                let text = (f.ffeature_string)(token, c"name".as_ptr());
                let text =
                    if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
                let start =
                    (f.ffeature_float)(token, c"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end".as_ptr());
                let end =
                    (f.ffeature_float)(token, c"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end".as_ptr());
                tokens.push(Token { text, start, end });
                token = (f.item_next)(token);
            }
        }
        tokens
    }
}

/// `text` without the NUL octets that C cannot carry.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}
