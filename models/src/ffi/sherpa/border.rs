//! What goes over the border: texts in, results out, always copied.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr;
use std::slice;

/// Texts of a configuration: they live as long as this does, which must be until the creating call has returned.
#[derive(Default)]
pub(super) struct Texts(Vec<CString>);

impl Texts {
    pub(super) fn of(&mut self, text: &str) -> *const c_char {
        // C cannot carry a NUL; no path or word of ours has one.
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        let pointer = text.as_ptr();
        // The octets stay where they are when the vector grows.
        self.0.push(text);
        pointer
    }

    pub(super) fn path(&mut self, path: &Path) -> *const c_char {
        self.of(&path.to_string_lossy())
    }

    pub(super) fn optional(&mut self, text: Option<&str>) -> *const c_char {
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
pub(super) unsafe fn owned(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// # Safety
/// `texts` is null or points to `count` C strings that stay until this returns.
pub(super) unsafe fn owned_texts(texts: *const *const c_char, count: i32) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    if texts.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(texts, count).iter().map(|text| owned(*text)).collect() }
}

/// # Safety
/// `numbers` is null or points to `count` floats that stay until this returns.
pub(super) unsafe fn owned_numbers(numbers: *const f32, count: i32) -> Vec<f32> {
    let count = usize::try_from(count).unwrap_or(0);
    if numbers.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(numbers, count) }.to_vec()
}

/// A buffer's length as the library counts.
pub(super) fn length(samples: &[f32]) -> i32 {
    // Nobody hands over 74 hours of audio at once; what is beyond would be left out, never read past.
    i32::try_from(samples.len()).unwrap_or(i32::MAX)
}
