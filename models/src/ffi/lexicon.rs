//! Flite's lexicon (`cst_lexicon.h`, `cst_lts.h`): phones of a word, listed or by letter-to-sound rules.
//!
//! Invariants: the lexicon is a static object of its library, initialised once; looking up reads it alone, but Flite says
//! nothing about threads, so one lock is held for every call. Results are copied and released here.

use super::{Blame, open, symbol};
use crate::assets::{AssetError, FLITE_COMMAND};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, PoisonError};

const BLAME: Blame = Blame { part: "letter-to-sound rules", command: FLITE_COMMAND };

type Pointer = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    lookup: unsafe extern "C" fn(*const c_void, *const c_char, *const c_char, *const c_void) -> Pointer,
    apply: unsafe extern "C" fn(*const c_char, *const c_char, *const c_void) -> Pointer,
    car: unsafe extern "C" fn(*const c_void) -> *const c_void,
    cdr: unsafe extern "C" fn(*const c_void) -> *const c_void,
    string: unsafe extern "C" fn(*const c_void) -> *const c_char,
    delete: unsafe extern "C" fn(Pointer),
}

/// The lexicon of American English.
#[derive(Clone, Copy)]
pub(crate) struct Lexicon {
    functions: Functions,
    lexicon: *const c_void,
    rules: *const c_void,
}

// SAFETY: the pointers lead to static objects of a library that is never unloaded; every use holds `LOCK`.
unsafe impl Send for Lexicon {}
// SAFETY: as above.
unsafe impl Sync for Lexicon {}

static LOCK: Mutex<()> = Mutex::new(());

impl Lexicon {
    /// Loads the library from `directories`, then from the system's path.
    pub(crate) fn load(directories: &[PathBuf]) -> Result<Self, AssetError> {
        let library = |file: &str| {
            let inside = directories.iter().map(|directory| directory.join(file)).find(|path| path.is_file());
            open(inside.as_deref().unwrap_or(file.as_ref()), BLAME)
        };
        let flite = library("libflite.so.1")?;
        let cmulex = library("libflite_cmulex.so.1")?;
        // Voices are registered by other threads meanwhile, and fill the same tables.
        let _loading = super::flite::LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: each type is the C prototype of the symbol in Flite 2.2's headers; `cmu_lex_init` may run more than once
        // and fills the rules too; a data symbol is its own address.
        unsafe {
            let functions = Functions {
                lookup: symbol(flite, "lex_lookup", BLAME)?,
                apply: symbol(flite, "lts_apply", BLAME)?,
                car: symbol(flite, "val_car", BLAME)?,
                cdr: symbol(flite, "val_cdr", BLAME)?,
                string: symbol(flite, "val_string", BLAME)?,
                delete: symbol(flite, "delete_val", BLAME)?,
            };
            let init: unsafe extern "C" fn() -> *const c_void = symbol(cmulex, "cmu_lex_init", BLAME)?;
            let rules: *const c_void = symbol(cmulex, "cmu_lts_rules", BLAME)?;
            Ok(Self { functions, lexicon: init(), rules })
        }
    }

    /// Phones as Flite names them ("aa1", "ax"), listed or by rule. `word`: lower-case letters.
    pub(crate) fn look_up(&self, word: &CStr) -> Vec<String> {
        let _held = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the lexicon is alive; a null part of speech and no features mean "any".
        unsafe { self.phones((self.functions.lookup)(self.lexicon, word.as_ptr(), ptr::null(), ptr::null())) }
    }

    /// By the rules alone.
    pub(crate) fn by_rule(&self, word: &CStr) -> Vec<String> {
        let _held = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the rules are alive; they want no features.
        unsafe { self.phones((self.functions.apply)(word.as_ptr(), c"".as_ptr(), self.rules)) }
    }

    /// # Safety
    /// `list` is null or a list of strings that is ours to release.
    unsafe fn phones(&self, list: Pointer) -> Vec<String> {
        let f = self.functions;
        let mut phones = Vec::new();
        let mut at: *const c_void = list;
        // SAFETY: the caller's promise; cells and strings live until the list is deleted.
        unsafe {
            while !at.is_null() {
                phones.push(CStr::from_ptr((f.string)((f.car)(at))).to_string_lossy().into_owned());
                at = (f.cdr)(at);
            }
            if !list.is_null() {
                (f.delete)(list);
            }
        }
        phones
    }
}

/// A word for the calls above.
pub(crate) fn c_word(word: &str) -> CString {
    CString::new(word).unwrap_or_default()
}
