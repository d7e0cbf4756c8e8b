//! Recognition of whole turns.

use super::layout::{self as c, Zeroed};
use super::{Functions, Library, Pointer, Recognised, Texts, length, owned, owned_numbers, owned_texts};
use std::path::PathBuf;

/// Which kind of model, and its files.
#[derive(Clone, Debug)]
pub(crate) enum OfflineModel {
    Moonshine { preprocessor: PathBuf, encoder: PathBuf, uncached_decoder: PathBuf, cached_decoder: PathBuf },
    MoonshineMerged { encoder: PathBuf, merged_decoder: PathBuf },
    NemoTransducer { encoder: PathBuf, decoder: PathBuf, joiner: PathBuf },
    Whisper { encoder: PathBuf, decoder: PathBuf },
    SenseVoice(PathBuf),
}

/// What a recogniser of whole turns is made from.
#[derive(Clone, Debug)]
pub(crate) struct OfflineSettings {
    pub(crate) model: OfflineModel,
    pub(crate) tokens: PathBuf,
    pub(crate) threads: u16,
    /// One that the model has; `None`: it finds out.
    pub(crate) language: Option<String>,
}

/// A recogniser of whole turns. One thread at a time.
pub(crate) struct OfflineRecogniser {
    functions: Functions,
    raw: Pointer,
}

// SAFETY: nothing in the library's recogniser is tied to a thread; `&mut self` keeps two threads from using it at a time.
unsafe impl Send for OfflineRecogniser {}

impl Drop for OfflineRecogniser {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the creating call and is released once; its streams live within one call each.
        unsafe { (self.functions.destroy_offline)(self.raw) }
    }
}

impl Library {
    /// Makes a recogniser; `None` when the library refuses the files. Check them first: for some it ends the process.
    pub(crate) fn offline(self, settings: &OfflineSettings) -> Option<OfflineRecogniser> {
        let mut texts = Texts::default();
        let mut config = c::OfflineConfig::zeroed();
        config.feat_config.sample_rate = 16_000;
        config.feat_config.feature_dim = 80;
        let model = &mut config.model_config;
        let language = settings.language.as_deref();
        match &settings.model {
            OfflineModel::Moonshine { preprocessor, encoder, uncached_decoder, cached_decoder } => {
                model.moonshine.preprocessor = texts.path(preprocessor);
                model.moonshine.encoder = texts.path(encoder);
                model.moonshine.uncached_decoder = texts.path(uncached_decoder);
                model.moonshine.cached_decoder = texts.path(cached_decoder);
            }
            OfflineModel::MoonshineMerged { encoder, merged_decoder } => {
                model.moonshine.encoder = texts.path(encoder);
                model.moonshine.merged_decoder = texts.path(merged_decoder);
            }
            OfflineModel::NemoTransducer { encoder, decoder, joiner } => {
                model.transducer.encoder = texts.path(encoder);
                model.transducer.decoder = texts.path(decoder);
                model.transducer.joiner = texts.path(joiner);
                model.model_type = texts.of("nemo_transducer");
            }
            OfflineModel::Whisper { encoder, decoder } => {
                model.whisper.encoder = texts.path(encoder);
                model.whisper.decoder = texts.path(decoder);
                model.whisper.language = texts.optional(language);
                model.whisper.task = texts.of("transcribe");
            }
            OfflineModel::SenseVoice(file) => {
                model.sense_voice.model = texts.path(file);
                model.sense_voice.language = texts.of(language.unwrap_or("auto"));
            }
        }
        model.tokens = texts.path(&settings.tokens);
        model.num_threads = i32::from(settings.threads.max(1));
        model.provider = texts.of("cpu");
        config.decoding_method = texts.of("greedy_search");
        config.max_active_paths = 4;
        let functions = self.functions;
        // SAFETY: the structure is that of the header, its strings live in `texts` until the call has returned.
        let raw = unsafe { (functions.create_offline)(&raw const config) };
        drop(texts);
        (!raw.is_null()).then_some(OfflineRecogniser { functions, raw })
    }
}

impl OfflineRecogniser {
    /// Recognises a turn of 16 kHz samples, −1 to 1; `None` when the library makes no stream for it.
    pub(crate) fn recognise(&mut self, samples: &[f32]) -> Option<Recognised> {
        let f = self.functions;
        // SAFETY: the recogniser is alive and `&mut self` makes this its only use; the stream is made and released here,
        // the library copies the samples, and the result is read before it is released, once.
        unsafe {
            let stream = (f.create_offline_stream)(self.raw);
            if stream.is_null() {
                return None;
            }
            (f.accept_offline)(stream, 16_000, samples.as_ptr(), length(samples));
            (f.decode_offline)(self.raw, stream);
            let raw = (f.offline_result)(stream);
            let recognised = raw.as_ref().map(|result| Recognised {
                text: owned(result.text),
                tokens: owned_texts(result.tokens_arr, result.count),
                starts: owned_numbers(result.timestamps, result.count),
                durations: owned_numbers(result.durations, result.count),
                log_probabilities: owned_numbers(result.ys_log_probs, result.count),
            });
            (f.destroy_offline_result)(raw);
            (f.destroy_offline_stream)(stream);
            recognised
        }
    }
}
