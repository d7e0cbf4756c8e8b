//! Synthesis.

use super::layout::{self as c, Zeroed};
use super::{Functions, Library, Pointer, Texts};
use std::any::Any;
use std::ffi::c_void;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::ptr;
use std::slice;

/// Which kind of model, and its files.
#[derive(Clone, Debug)]
pub(crate) enum TtsModel {
    Vits { model: PathBuf },
    Matcha { model: PathBuf, vocoder: PathBuf },
    Kokoro { model: PathBuf, voices: PathBuf },
    Kitten { model: PathBuf, voices: PathBuf },
}

/// What a synthesiser is made from.
#[derive(Clone, Debug)]
pub(crate) struct SynthesiserSettings {
    pub(crate) model: TtsModel,
    pub(crate) tokens: PathBuf,
    /// Pronunciations, files separated by commas; `None`: only phonemes can be spoken.
    pub(crate) lexicon: Option<String>,
    pub(crate) threads: u16,
}

/// What to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speech<'a> {
    /// Words of the lexicon.
    Text(&'a str),
    /// IPA, as the model's training wrote it.
    Phonemes(&'a [i32]),
}

/// A synthesiser. One thread at a time.
pub(crate) struct Synthesiser {
    functions: Functions,
    raw: Pointer,
}

// SAFETY: nothing in the library's synthesiser is tied to a thread; `&mut self` keeps two threads from using it at a time.
unsafe impl Send for Synthesiser {}

impl Drop for Synthesiser {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the creating call and is released once.
        unsafe { (self.functions.destroy_tts)(self.raw) }
    }
}

/// What the callback works on while `speak` is on the stack.
struct Stream<'a> {
    sink: &'a mut dyn FnMut(&[f32]) -> ControlFlow<()>,
    samples: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Library {
    /// Makes a synthesiser; `None` when the library refuses the files. Check them first: for some it ends the process.
    pub(crate) fn synthesiser(self, settings: &SynthesiserSettings) -> Option<Synthesiser> {
        let mut texts = Texts::default();
        let mut config = c::TtsConfig::zeroed();
        let tokens = texts.path(&settings.tokens);
        let lexicon = texts.optional(settings.lexicon.as_deref());
        let model = &mut config.model;
        match &settings.model {
            TtsModel::Vits { model: file } => {
                model.vits.model = texts.path(file);
                (model.vits.tokens, model.vits.lexicon) = (tokens, lexicon);
            }
            TtsModel::Matcha { model: file, vocoder } => {
                model.matcha.acoustic_model = texts.path(file);
                model.matcha.vocoder = texts.path(vocoder);
                (model.matcha.tokens, model.matcha.lexicon) = (tokens, lexicon);
            }
            TtsModel::Kokoro { model: file, voices } => {
                model.kokoro.model = texts.path(file);
                model.kokoro.voices = texts.path(voices);
                (model.kokoro.tokens, model.kokoro.lexicon) = (tokens, lexicon);
            }
            TtsModel::Kitten { model: file, voices } => {
                model.kitten.model = texts.path(file);
                model.kitten.voices = texts.path(voices);
                (model.kitten.tokens, model.kitten.lexicon) = (tokens, lexicon);
            }
        }
        model.num_threads = i32::from(settings.threads.max(1));
        model.provider = texts.of("cpu");
        // The callback comes after each: the shorter, the sooner a stop takes effect.
        config.max_num_sentences = 1;
        let functions = self.functions;
        // SAFETY: the structure is that of the header, its strings live in `texts` until the call has returned.
        let raw = unsafe { (functions.create_tts)(&raw const config) };
        drop(texts);
        (!raw.is_null()).then_some(Synthesiser { functions, raw })
    }
}

impl Synthesiser {
    /// Samples per second that it makes.
    pub(crate) fn sample_rate(&mut self) -> u32 {
        // SAFETY: the synthesiser is alive.
        u32::try_from(unsafe { (self.functions.tts_sample_rate)(self.raw) }).unwrap_or(0)
    }

    /// Voices in the model; some models of one voice say 0.
    pub(crate) fn speakers(&mut self) -> u32 {
        // SAFETY: the synthesiser is alive.
        u32::try_from(unsafe { (self.functions.tts_speakers)(self.raw) }).unwrap_or(0)
    }

    /// Speaks; `sink` gets each sentence's samples (−1 to 1) as it is made and may stop before the next. Returns how many
    /// samples were made: none means that nothing in the text can be pronounced.
    pub(crate) fn speak(
        &mut self,
        speech: Speech<'_>,
        speaker: u32,
        speed: f32,
        sink: &mut dyn FnMut(&[f32]) -> ControlFlow<()>,
    ) -> usize {
        let mut texts = Texts::default();
        let mut config = c::GenerationConfig::zeroed();
        config.silence_scale = 0.2;
        config.speed = speed;
        config.sid = i32::try_from(speaker).unwrap_or(0);
        let lengths = match speech {
            Speech::Text(_) => [0],
            Speech::Phonemes(ipa) => [i32::try_from(ipa.len()).unwrap_or(0)],
        };
        let text = match speech {
            Speech::Text(text) => texts.of(text),
            Speech::Phonemes([]) => return 0,
            Speech::Phonemes(ipa) => {
                config.phoneme_codepoints = ipa.as_ptr();
                config.phoneme_codepoints_lens = lengths.as_ptr();
                config.phoneme_codepoints_num_sentences = 1;
                texts.of("")
            }
        };
        let mut stream = Stream { sink, samples: 0, panic: None };
        // SAFETY: the synthesiser is alive and `&mut self` makes this its only use; text, phonemes and lengths outlive the
        // call; `stream` does too, and only `deliver` touches it, on this thread, while the call lasts; the audio is
        // released once and not read.
        unsafe {
            let argument = ptr::from_mut(&mut stream).cast::<c_void>();
            let audio = (self.functions.generate)(self.raw, text, &raw const config, Some(deliver), argument);
            if !audio.is_null() {
                (self.functions.destroy_audio)(audio);
            }
        }
        drop(texts);
        if let Some(panic) = stream.panic {
            resume_unwind(panic);
        }
        stream.samples
    }
}

/// Called by the library for every finished sentence; 1 goes on, 0 stops.
unsafe extern "C" fn deliver(samples: *const f32, count: i32, _progress: f32, argument: *mut c_void) -> i32 {
    // SAFETY: `argument` is the `Stream` of the `speak` whose frame lies below this one on the same stack.
    let stream = unsafe { &mut *argument.cast::<Stream<'_>>() };
    let count = usize::try_from(count).unwrap_or(0);
    if stream.panic.is_some() {
        return 0;
    }
    if samples.is_null() || count == 0 {
        return 1;
    }
    // SAFETY: the library's contract: so many samples, valid during the call.
    let samples = unsafe { slice::from_raw_parts(samples, count) };
    stream.samples += count;
    // A panic must not unwind through C++ frames: it is carried around them.
    match catch_unwind(AssertUnwindSafe(|| (stream.sink)(samples))) {
        Ok(ControlFlow::Continue(())) => 1,
        Ok(ControlFlow::Break(())) => 0,
        Err(panic) => {
            stream.panic = Some(panic);
            0
        }
    }
}
