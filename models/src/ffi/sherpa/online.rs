//! Streaming recognition.

use super::layout::{self as c, Zeroed};
use super::{Functions, Library, Pointer, Recognised, Texts, length, owned, owned_numbers, owned_texts};
use std::path::PathBuf;
use std::sync::Arc;

/// Which kind of model, and its files.
#[derive(Clone, Debug)]
pub(crate) enum OnlineModel {
    Transducer { encoder: PathBuf, decoder: PathBuf, joiner: PathBuf },
    NemoCtc(PathBuf),
    ZipformerCtc(PathBuf),
    ToneCtc(PathBuf),
}

/// What a streaming recogniser is made from.
#[derive(Clone, Debug)]
pub(crate) struct OnlineSettings {
    pub(crate) model: OnlineModel,
    pub(crate) tokens: PathBuf,
    /// Samples per second that the model hears.
    pub(crate) sample_rate: u32,
    pub(crate) threads: u16,
    /// Phrases to expect, a line each, already in the model's letters; with how they are spelled. Beam search if any.
    pub(crate) hotwords: Option<Hotwords>,
}

/// Phrases to expect.
#[derive(Clone, Debug)]
pub(crate) struct Hotwords {
    pub(crate) lines: String,
    pub(crate) score: f32,
    /// Pieces as text; `None`: the symbols are letters.
    pub(crate) vocabulary: Option<PathBuf>,
}

/// Hypotheses kept in beam search.
const PATHS: i32 = 4;

/// What streams keep alive: they look into their recogniser's memory.
struct Handle {
    functions: Functions,
    raw: Pointer,
}

// SAFETY: nothing in the library's recogniser is tied to a thread. A shared handle is only kept alive by streams and
// released by whoever is last; everything else goes through `OnlineRecogniser`, which takes `&mut self`.
unsafe impl Send for Handle {}
// SAFETY: as above: no method takes `&Handle` and calls into the library.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the creating call, and the last owner is going, so no stream is left.
        unsafe { (self.functions.destroy_online)(self.raw) }
    }
}

/// A streaming recogniser. One thread at a time; as many streams as there is memory for.
pub(crate) struct OnlineRecogniser {
    handle: Arc<Handle>,
    sample_rate: u32,
}

/// One turn's audio and how far it is decoded.
pub(crate) struct OnlineStream {
    functions: Functions,
    raw: Pointer,
    owner: Arc<Handle>,
    sample_rate: i32,
}

// SAFETY: nothing in a stream is tied to a thread; `&mut self` keeps two threads from using one at a time.
unsafe impl Send for OnlineStream {}

impl Drop for OnlineStream {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the creating call and is released once, before the recogniser, which `owner` holds.
        unsafe { (self.functions.destroy_stream)(self.raw) }
    }
}

impl Library {
    /// Makes a recogniser; `None` when the library refuses the files. Check them first: for some it ends the process.
    pub(crate) fn online(self, settings: &OnlineSettings) -> Option<OnlineRecogniser> {
        let mut texts = Texts::default();
        let mut config = c::OnlineConfig::zeroed();
        config.feat_config.sample_rate = i32::try_from(settings.sample_rate).unwrap_or(16_000);
        config.feat_config.feature_dim = 80;
        let model = &mut config.model_config;
        match &settings.model {
            OnlineModel::Transducer { encoder, decoder, joiner } => {
                model.transducer.encoder = texts.path(encoder);
                model.transducer.decoder = texts.path(decoder);
                model.transducer.joiner = texts.path(joiner);
            }
            OnlineModel::NemoCtc(file) => model.nemo_ctc = texts.path(file),
            OnlineModel::ZipformerCtc(file) => model.zipformer2_ctc = texts.path(file),
            OnlineModel::ToneCtc(file) => model.t_one_ctc = texts.path(file),
        }
        model.tokens = texts.path(&settings.tokens);
        model.num_threads = i32::from(settings.threads.max(1));
        model.provider = texts.of("cpu");
        config.decoding_method = texts.of("greedy_search");
        config.max_active_paths = PATHS;
        if let Some(hotwords) = &settings.hotwords {
            config.decoding_method = texts.of("modified_beam_search");
            config.hotwords_buf = texts.of(&hotwords.lines);
            config.hotwords_buf_size = i32::try_from(hotwords.lines.len()).unwrap_or(0);
            config.hotwords_score = hotwords.score;
            if let Some(vocabulary) = &hotwords.vocabulary {
                config.model_config.modeling_unit = texts.of("bpe");
                config.model_config.bpe_vocab = texts.path(vocabulary);
            }
        }
        let functions = self.functions;
        // SAFETY: the structure is that of the header, its strings live in `texts` until the call has returned.
        let raw = unsafe { (functions.create_online)(&raw const config) };
        drop(texts);
        let sample_rate = settings.sample_rate;
        (!raw.is_null()).then(|| OnlineRecogniser { handle: Arc::new(Handle { functions, raw }), sample_rate })
    }
}

impl OnlineRecogniser {
    /// Makes a stream for audio of the model's rate.
    pub(crate) fn stream(&mut self) -> Option<OnlineStream> {
        let functions = self.handle.functions;
        // SAFETY: the recogniser is alive and `&mut self` makes this its only use.
        let raw = unsafe { (functions.create_stream)(self.handle.raw) };
        (!raw.is_null()).then(|| OnlineStream {
            functions,
            raw,
            owner: Arc::clone(&self.handle),
            sample_rate: i32::try_from(self.sample_rate).unwrap_or(16_000),
        })
    }

    /// Whether the stream holds a whole chunk that is not decoded yet.
    pub(crate) fn is_ready(&mut self, stream: &OnlineStream) -> bool {
        // SAFETY: both are alive, and the stream is this recogniser's.
        Arc::ptr_eq(&self.handle, &stream.owner)
            && unsafe { (self.handle.functions.is_ready)(self.handle.raw, stream.raw) != 0 }
    }

    /// Decodes one chunk of every stream that has one, `batch` of them at a time. Returns how many were decoded.
    pub(crate) fn decode<'a>(
        &mut self,
        streams: impl IntoIterator<Item = &'a mut OnlineStream>,
        batch: usize,
    ) -> usize {
        let mut ready: Vec<Pointer> =
            streams.into_iter().filter(|stream| self.is_ready(stream)).map(|stream| stream.raw).collect();
        let count = ready.len();
        for some in ready.chunks_mut(batch.max(1)) {
            let length = i32::try_from(some.len()).unwrap_or(0);
            // SAFETY: every stream is alive (borrowed by the caller for the whole call), different from the others
            // (borrowed exclusively), this recogniser's, and ready, as the function demands.
            unsafe { (self.handle.functions.decode_many)(self.handle.raw, some.as_mut_ptr(), length) }
        }
        count
    }

    /// What has been recognised so far.
    pub(crate) fn result(&mut self, stream: &OnlineStream) -> Recognised {
        if !Arc::ptr_eq(&self.handle, &stream.owner) {
            return Recognised::default();
        }
        let functions = self.handle.functions;
        // SAFETY: both are alive and belong together; the result is read before it is released, once.
        unsafe {
            let raw = (functions.stream_result)(self.handle.raw, stream.raw);
            let Some(result) = raw.as_ref() else { return Recognised::default() };
            let recognised = Recognised {
                text: owned(result.text),
                tokens: owned_texts(result.tokens_arr, result.count),
                starts: owned_numbers(result.timestamps, result.count),
                durations: Vec::new(),
                log_probabilities: numbers(&owned(result.json), "ys_probs"),
            };
            (functions.destroy_stream_result)(raw);
            recognised
        }
    }
}

impl OnlineStream {
    /// Appends samples of the model's rate, −1 to 1.
    pub(crate) fn accept(&mut self, samples: &[f32]) {
        // SAFETY: the stream is alive; the library copies the samples. The rate is the same at every call.
        unsafe { (self.functions.accept)(self.raw, self.sample_rate, samples.as_ptr(), length(samples)) }
    }
}

/// The numbers of a named list in the library's JSON, which is the only place where it gives them. Empty when there is
/// none, or something else in it.
fn numbers(json: &str, name: &str) -> Vec<f32> {
    // A quotation mark within the recognised text is escaped, so this cannot be found in it; from the end, it is the last.
    let Some((_, list)) = json.rsplit_once(&format!("\"{name}\": [")) else { return Vec::new() };
    let Some((list, _)) = list.split_once(']') else { return Vec::new() };
    let numbers: Result<Vec<f32>, _> = list.split(',').map(|number| number.trim().parse()).collect();
    numbers.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_found_in_the_json_and_nowhere_else() {
        let json =
            r#"{ "text": "say \"ys_probs\": [9]", "tokens": ["a"], "ys_probs": [-0.250000, -1.5], "lm_probs": []}"#;
        assert_eq!(numbers(json, "ys_probs"), [-0.25, -1.5]);
        assert!(numbers(json, "lm_probs").is_empty());
        assert!(numbers("{}", "ys_probs").is_empty());
        assert!(numbers(r#"{"ys_probs": ["#, "ys_probs").is_empty());
    }
}
