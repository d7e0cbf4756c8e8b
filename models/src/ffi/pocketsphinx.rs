//! PocketSphinx 5 (`pocketsphinx.h`, `pocketsphinx/search.h`): configuration, searches, decoding, results.
//!
//! Invariants: a decoder belongs to one thread at a time (`&mut self` everywhere); strings that the library returns are
//! copied before the next call. The library's own log is switched off: it writes to a stream it does not own, and every
//! failure that matters comes back as a status. It calls `exit` on a broken acoustic model, which is why `setup.sh` pins
//! the model by digest.

use super::{Blame, open, symbol};
use crate::assets::{AssetError, SETUP_COMMAND};
use std::ffi::{CStr, CString, c_char, c_double, c_float, c_int, c_long, c_void};
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};

const BLAME: Blame = Blame { part: "speech recognition", command: SETUP_COMMAND };

type Pointer = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    config_init: unsafe extern "C" fn(Pointer) -> Pointer,
    config_free: unsafe extern "C" fn(Pointer) -> c_int,
    config_set_str: unsafe extern "C" fn(Pointer, *const c_char, *const c_char) -> Pointer,
    config_set_int: unsafe extern "C" fn(Pointer, *const c_char, c_long) -> Pointer,
    config_set_bool: unsafe extern "C" fn(Pointer, *const c_char, c_int) -> Pointer,
    config_set_float: unsafe extern "C" fn(Pointer, *const c_char, c_double) -> Pointer,
    init: unsafe extern "C" fn(Pointer) -> Pointer,
    free: unsafe extern "C" fn(Pointer) -> c_int,
    add_lm_file: unsafe extern "C" fn(Pointer, *const c_char, *const c_char) -> c_int,
    add_jsgf_string: unsafe extern "C" fn(Pointer, *const c_char, *const c_char) -> c_int,
    fsg_read: unsafe extern "C" fn(*const c_char, Pointer, c_float) -> Pointer,
    fsg_free: unsafe extern "C" fn(Pointer) -> c_int,
    add_fsg: unsafe extern "C" fn(Pointer, *const c_char, Pointer) -> c_int,
    activate_search: unsafe extern "C" fn(Pointer, *const c_char) -> c_int,
    add_word: unsafe extern "C" fn(Pointer, *const c_char, *const c_char, c_int) -> c_int,
    get_cmn: unsafe extern "C" fn(Pointer, c_int) -> *const c_char,
    set_cmn: unsafe extern "C" fn(Pointer, *const c_char) -> c_int,
    start_stream: unsafe extern "C" fn(Pointer) -> c_int,
    start_utt: unsafe extern "C" fn(Pointer) -> c_int,
    process_raw: unsafe extern "C" fn(Pointer, *const i16, usize, c_int, c_int) -> c_int,
    end_utt: unsafe extern "C" fn(Pointer) -> c_int,
    get_hyp: unsafe extern "C" fn(Pointer, *mut i32) -> *const c_char,
    get_prob: unsafe extern "C" fn(Pointer) -> i32,
    get_n_frames: unsafe extern "C" fn(Pointer) -> c_int,
    get_logmath: unsafe extern "C" fn(Pointer) -> Pointer,
    logmath_exp: unsafe extern "C" fn(Pointer, c_int) -> c_double,
    seg_iter: unsafe extern "C" fn(Pointer) -> Pointer,
    seg_next: unsafe extern "C" fn(Pointer) -> Pointer,
    seg_word: unsafe extern "C" fn(Pointer) -> *const c_char,
    seg_frames: unsafe extern "C" fn(Pointer, *mut c_int, *mut c_int),
    seg_prob: unsafe extern "C" fn(Pointer, *mut i32, *mut i32, *mut i32) -> i32,
    get_lattice: unsafe extern "C" fn(Pointer) -> Pointer,
    latnode_iter: unsafe extern "C" fn(Pointer) -> Pointer,
    latnode_iter_next: unsafe extern "C" fn(Pointer) -> Pointer,
    latnode_iter_node: unsafe extern "C" fn(Pointer) -> Pointer,
    latnode_times: unsafe extern "C" fn(Pointer, *mut i16, *mut i16) -> c_int,
    latnode_baseword: unsafe extern "C" fn(Pointer, Pointer) -> *const c_char,
    latnode_exits: unsafe extern "C" fn(Pointer) -> Pointer,
    latlink_iter_next: unsafe extern "C" fn(Pointer) -> Pointer,
    latlink_iter_link: unsafe extern "C" fn(Pointer) -> Pointer,
    latlink_prob: unsafe extern "C" fn(Pointer, Pointer, *mut i32) -> i32,
    nbest: unsafe extern "C" fn(Pointer) -> Pointer,
    nbest_next: unsafe extern "C" fn(Pointer) -> Pointer,
    nbest_hyp: unsafe extern "C" fn(Pointer, *mut i32) -> *const c_char,
    nbest_free: unsafe extern "C" fn(Pointer),
}

/// A value of the decoder's configuration, with the option's name.
#[derive(Debug, Clone)]
pub(crate) enum Setting {
    Text(&'static str, String),
    Whole(&'static str, i32),
    Flag(&'static str, bool),
    Real(&'static str, f64),
}

/// One stretch of the best path; fillers included, times in frames of 10 ms.
pub(crate) struct Segment {
    pub(crate) word: String,
    pub(crate) first_frame: i32,
    pub(crate) last_frame: i32,
    /// Posterior probability in the lattice, 0–1.
    pub(crate) posterior: f64,
}

/// A word that the decoder thought possible, on the best path or not.
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) first_frame: i32,
    /// Posterior probability, 0–1.
    pub(crate) posterior: f64,
}

/// The loaded library.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    functions: Functions,
}

/// A `ps_decoder_t`.
pub(crate) struct RawDecoder {
    functions: Functions,
    raw: Pointer,
}

// SAFETY: a decoder has no thread affinity; the library's only thread-local (its random numbers) holds no pointers into
// it. `&mut self` on every method keeps two threads from using one decoder at a time.
unsafe impl Send for RawDecoder {}

impl Library {
    /// Loads the library, once in the life of the process.
    pub(crate) fn load(file: &Path) -> Result<Self, AssetError> {
        static LOADED: Mutex<Option<Library>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = *loaded {
            return Ok(library);
        }
        let library = open(file, BLAME)?;
        // SAFETY: each type is the C prototype of the symbol in PocketSphinx 5.1's headers (opaque pointers as `void *`,
        // `size_t` as `usize`, `int32` as `i32`).
        let (functions, set_log_stream) = unsafe {
            (
                Functions {
                    config_init: symbol(library, "ps_config_init", BLAME)?,
                    config_free: symbol(library, "ps_config_free", BLAME)?,
                    config_set_str: symbol(library, "ps_config_set_str", BLAME)?,
                    config_set_int: symbol(library, "ps_config_set_int", BLAME)?,
                    config_set_bool: symbol(library, "ps_config_set_bool", BLAME)?,
                    config_set_float: symbol(library, "ps_config_set_float", BLAME)?,
                    init: symbol(library, "ps_init", BLAME)?,
                    free: symbol(library, "ps_free", BLAME)?,
                    add_lm_file: symbol(library, "ps_add_lm_file", BLAME)?,
                    add_jsgf_string: symbol(library, "ps_add_jsgf_string", BLAME)?,
                    fsg_read: symbol(library, "fsg_model_readfile", BLAME)?,
                    fsg_free: symbol(library, "fsg_model_free", BLAME)?,
                    add_fsg: symbol(library, "ps_add_fsg", BLAME)?,
                    activate_search: symbol(library, "ps_activate_search", BLAME)?,
                    add_word: symbol(library, "ps_add_word", BLAME)?,
                    get_cmn: symbol(library, "ps_get_cmn", BLAME)?,
                    set_cmn: symbol(library, "ps_set_cmn", BLAME)?,
                    start_stream: symbol(library, "ps_start_stream", BLAME)?,
                    start_utt: symbol(library, "ps_start_utt", BLAME)?,
                    process_raw: symbol(library, "ps_process_raw", BLAME)?,
                    end_utt: symbol(library, "ps_end_utt", BLAME)?,
                    get_hyp: symbol(library, "ps_get_hyp", BLAME)?,
                    get_prob: symbol(library, "ps_get_prob", BLAME)?,
                    get_n_frames: symbol(library, "ps_get_n_frames", BLAME)?,
                    get_logmath: symbol(library, "ps_get_logmath", BLAME)?,
                    logmath_exp: symbol(library, "logmath_exp", BLAME)?,
                    seg_iter: symbol(library, "ps_seg_iter", BLAME)?,
                    seg_next: symbol(library, "ps_seg_next", BLAME)?,
                    seg_word: symbol(library, "ps_seg_word", BLAME)?,
                    seg_frames: symbol(library, "ps_seg_frames", BLAME)?,
                    seg_prob: symbol(library, "ps_seg_prob", BLAME)?,
                    get_lattice: symbol(library, "ps_get_lattice", BLAME)?,
                    latnode_iter: symbol(library, "ps_latnode_iter", BLAME)?,
                    latnode_iter_next: symbol(library, "ps_latnode_iter_next", BLAME)?,
                    latnode_iter_node: symbol(library, "ps_latnode_iter_node", BLAME)?,
                    latnode_times: symbol(library, "ps_latnode_times", BLAME)?,
                    latnode_baseword: symbol(library, "ps_latnode_baseword", BLAME)?,
                    latnode_exits: symbol(library, "ps_latnode_exits", BLAME)?,
                    latlink_iter_next: symbol(library, "ps_latlink_iter_next", BLAME)?,
                    latlink_iter_link: symbol(library, "ps_latlink_iter_link", BLAME)?,
                    latlink_prob: symbol(library, "ps_latlink_prob", BLAME)?,
                    nbest: symbol(library, "ps_nbest", BLAME)?,
                    nbest_next: symbol(library, "ps_nbest_next", BLAME)?,
                    nbest_hyp: symbol(library, "ps_nbest_hyp", BLAME)?,
                    nbest_free: symbol(library, "ps_nbest_free", BLAME)?,
                },
                symbol::<unsafe extern "C" fn(Pointer)>(library, "err_set_logfp", BLAME)?,
            )
        };
        // SAFETY: a null stream means "no log".
        unsafe { set_log_stream(ptr::null_mut()) };
        let library = Self { functions };
        *loaded = Some(library);
        Ok(library)
    }

    /// `ps_init` with `settings`; `None` when the library refuses them (wrong option, unreadable model).
    pub(crate) fn decoder(self, settings: &[Setting]) -> Option<RawDecoder> {
        let f = self.functions;
        // SAFETY: the configuration is made, filled and released here; `ps_init` retains what it needs. Strings are copied
        // by the setters. `ps_free` runs in `Drop`.
        unsafe {
            let config = (f.config_init)(ptr::null_mut());
            if config.is_null() {
                return None;
            }
            let mut accepted = true;
            for setting in settings {
                let answer = match setting {
                    Setting::Text(name, value) => (f.config_set_str)(config, c(name).as_ptr(), c(value).as_ptr()),
                    Setting::Whole(name, value) => (f.config_set_int)(config, c(name).as_ptr(), c_long::from(*value)),
                    Setting::Flag(name, value) => (f.config_set_bool)(config, c(name).as_ptr(), c_int::from(*value)),
                    Setting::Real(name, value) => (f.config_set_float)(config, c(name).as_ptr(), *value),
                };
                accepted &= !answer.is_null();
            }
            let raw = if accepted { (f.init)(config) } else { ptr::null_mut() };
            (f.config_free)(config);
            (!raw.is_null()).then_some(RawDecoder { functions: f, raw })
        }
    }
}

fn c(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// # Safety
/// `text` is null or a C string that stays until this returns.
unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

// SAFETY (of every block below): `raw` came from `ps_init` and is freed only in `drop`; `&mut self` excludes concurrent use;
// argument strings outlive the call and are copied by the library; returned strings are copied before the next call.
impl RawDecoder {
    pub(crate) fn add_language_model(&mut self, name: &str, file: &Path) -> bool {
        let file = c(&file.to_string_lossy());
        // SAFETY: see above.
        unsafe { (self.functions.add_lm_file)(self.raw, c(name).as_ptr(), file.as_ptr()) == 0 }
    }

    pub(crate) fn add_grammar(&mut self, name: &str, jsgf: &str) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.add_jsgf_string)(self.raw, c(name).as_ptr(), c(jsgf).as_ptr()) == 0 }
    }

    /// Adds a word network in the library's own text form; `language_weight` is the decoder's.
    pub(crate) fn add_network(&mut self, name: &str, file: &Path, language_weight: f64) -> bool {
        let f = self.functions;
        let file = c(&file.to_string_lossy());
        // SAFETY: see above; the search retains the network, and ours is released here.
        unsafe {
            let network = (f.fsg_read)(file.as_ptr(), (f.get_logmath)(self.raw), language_weight as c_float);
            if network.is_null() {
                return false;
            }
            let accepted = (f.add_fsg)(self.raw, c(name).as_ptr(), network) == 0;
            (f.fsg_free)(network);
            accepted
        }
    }

    pub(crate) fn activate(&mut self, name: &str) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.activate_search)(self.raw, c(name).as_ptr()) == 0 }
    }

    pub(crate) fn add_word(&mut self, word: &str, phones: &str) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.add_word)(self.raw, c(word).as_ptr(), c(phones).as_ptr(), 1) >= 0 }
    }

    pub(crate) fn cepstral_mean(&mut self) -> Option<String> {
        // SAFETY: see above.
        unsafe { owned((self.functions.get_cmn)(self.raw, 1)) }
    }

    pub(crate) fn set_cepstral_mean(&mut self, mean: &str) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.set_cmn)(self.raw, c(mean).as_ptr()) == 0 }
    }

    /// Starts an utterance of another line than the last: what was learnt of that one's noise is forgotten.
    pub(crate) fn start(&mut self) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.start_stream)(self.raw) == 0 && (self.functions.start_utt)(self.raw) == 0 }
    }

    pub(crate) fn process(&mut self, samples: &[i16]) -> bool {
        // SAFETY: see above; the library copies what it keeps of the samples.
        unsafe { (self.functions.process_raw)(self.raw, samples.as_ptr(), samples.len(), 0, 0) >= 0 }
    }

    pub(crate) fn end(&mut self) -> bool {
        // SAFETY: see above.
        unsafe { (self.functions.end_utt)(self.raw) == 0 }
    }

    /// Best text so far, without fillers.
    pub(crate) fn hypothesis(&mut self) -> Option<String> {
        let mut score = 0;
        // SAFETY: see above.
        unsafe { owned((self.functions.get_hyp)(self.raw, &raw mut score)) }
    }

    /// Posterior of the whole best path; meaningful only after [`end`](Self::end).
    pub(crate) fn posterior(&mut self) -> f64 {
        // SAFETY: see above.
        unsafe {
            let logmath = (self.functions.get_logmath)(self.raw);
            (self.functions.logmath_exp)(logmath, (self.functions.get_prob)(self.raw))
        }
    }

    /// Texts through the lattice, the best first, each at most once; `looks` bounds the work. Meaningful only after
    /// [`end`](Self::end) and [`hypothesis`](Self::hypothesis).
    pub(crate) fn best_texts(&mut self, most: usize, looks: usize) -> Vec<String> {
        let f = self.functions;
        let mut texts: Vec<String> = Vec::new();
        // SAFETY: see above; the iterator is freed by the library when `nbest_next` returns null, else here.
        unsafe {
            let mut at = (f.nbest)(self.raw);
            for _ in 0..looks {
                if at.is_null() {
                    return texts;
                }
                at = (f.nbest_next)(at);
                if at.is_null() {
                    return texts;
                }
                let mut score = 0;
                if let Some(text) = owned((f.nbest_hyp)(at, &raw mut score))
                    && !text.is_empty()
                    && !texts.contains(&text)
                {
                    texts.push(text);
                    if texts.len() == most {
                        break;
                    }
                }
            }
            if !at.is_null() {
                (f.nbest_free)(at);
            }
        }
        texts
    }

    pub(crate) fn frames(&mut self) -> i32 {
        // SAFETY: see above.
        unsafe { (self.functions.get_n_frames)(self.raw) }
    }

    pub(crate) fn segments(&mut self) -> Vec<Segment> {
        let f = self.functions;
        let mut segments = Vec::new();
        // SAFETY: see above; the iterator frees itself when `seg_next` returns null, and is walked to its end.
        unsafe {
            let logmath = (f.get_logmath)(self.raw);
            let mut at = (f.seg_iter)(self.raw);
            while !at.is_null() {
                let (mut first_frame, mut last_frame) = (0, 0);
                let (mut acoustic, mut language, mut backoff) = (0, 0, 0);
                (f.seg_frames)(at, &raw mut first_frame, &raw mut last_frame);
                let posterior = (f.seg_prob)(at, &raw mut acoustic, &raw mut language, &raw mut backoff);
                segments.push(Segment {
                    word: owned((f.seg_word)(at)).unwrap_or_default(),
                    first_frame,
                    last_frame,
                    posterior: (f.logmath_exp)(logmath, posterior),
                });
                at = (f.seg_next)(at);
            }
        }
        segments
    }

    /// Every word of the lattice; meaningful only after [`end`](Self::end) and [`posterior`](Self::posterior).
    pub(crate) fn candidates(&mut self) -> Vec<Candidate> {
        let f = self.functions;
        let mut candidates = Vec::new();
        // SAFETY: see above; the lattice belongs to the decoder and stays until its next utterance; the iterator is the
        // list of its nodes (or links) and needs no freeing; null pointers ask for no answer.
        unsafe {
            let logmath = (f.get_logmath)(self.raw);
            let lattice = (f.get_lattice)(self.raw);
            if lattice.is_null() {
                return candidates;
            }
            let mut at = (f.latnode_iter)(lattice);
            while !at.is_null() {
                let node = (f.latnode_iter_node)(at);
                // The word leaves the node on many links (ends at other frames, silence after it or not): all are it.
                let mut posterior = 0.0;
                let mut exit = (f.latnode_exits)(node);
                while !exit.is_null() {
                    let link = (f.latlink_iter_link)(exit);
                    posterior += (f.logmath_exp)(logmath, (f.latlink_prob)(lattice, link, ptr::null_mut()));
                    exit = (f.latlink_iter_next)(exit);
                }
                candidates.push(Candidate {
                    word: owned((f.latnode_baseword)(lattice, node)).unwrap_or_default(),
                    first_frame: (f.latnode_times)(node, ptr::null_mut(), ptr::null_mut()),
                    posterior,
                });
                at = (f.latnode_iter_next)(at);
            }
        }
        candidates
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `ps_init` and is released exactly once.
        unsafe {
            (self.functions.free)(self.raw);
        }
    }
}
