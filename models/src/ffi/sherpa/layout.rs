//! The structures of `c-api.h` 2.0.1, field by field in its order. Nothing here is checked by a compiler of C at build
//! time: the tests hold sizes and offsets as one computed them from the header.
//!
//! Every field is a pointer, an `int32_t` or a `float`, so a structure of zeros is a valid one, and means "default" to the
//! library. Strings are copied by it before a creating call returns.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

type Text = *const c_char;

/// A structure for which all octets zero is a value.
///
/// # Safety
/// Every field is a pointer, an integer, a float, or again such a structure.
pub(super) unsafe trait Zeroed: Sized {
    fn zeroed() -> Self {
        // SAFETY: the implementer's promise: zero octets are a value of every field.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

macro_rules! structure {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[allow(dead_code, reason = "fields that we leave at their default still take their place")]
        pub(super) struct $name { $(pub(super) $field: $kind,)* }
        // SAFETY: the fields are pointers, `i32`, `f32` and structures made by this macro.
        unsafe impl Zeroed for $name {}
    };
}

structure!(OnlineTransducer { encoder: Text, decoder: Text, joiner: Text });
structure!(OnlineParaformer { encoder: Text, decoder: Text });
structure!(OnlineModel {
    transducer: OnlineTransducer,
    paraformer: OnlineParaformer,
    zipformer2_ctc: Text,
    tokens: Text,
    num_threads: i32,
    provider: Text,
    debug: i32,
    model_type: Text,
    modeling_unit: Text,
    bpe_vocab: Text,
    tokens_buf: Text,
    tokens_buf_size: i32,
    nemo_ctc: Text,
    t_one_ctc: Text,
});
structure!(Feature { sample_rate: i32, feature_dim: i32 });
structure!(CtcFst { graph: Text, max_active: i32 });
structure!(Homophones { dict_dir: Text, lexicon: Text, rule_fsts: Text });
structure!(OnlineConfig {
    feat_config: Feature,
    model_config: OnlineModel,
    decoding_method: Text,
    max_active_paths: i32,
    enable_endpoint: i32,
    rule1_min_trailing_silence: f32,
    rule2_min_trailing_silence: f32,
    rule3_min_utterance_length: f32,
    hotwords_file: Text,
    hotwords_score: f32,
    ctc_fst_decoder_config: CtcFst,
    rule_fsts: Text,
    rule_fars: Text,
    blank_penalty: f32,
    hotwords_buf: Text,
    hotwords_buf_size: i32,
    hr: Homophones,
});
structure!(OnlineResult {
    text: Text,
    tokens: Text,
    tokens_arr: *const Text,
    timestamps: *const f32,
    count: i32,
    json: Text,
});

structure!(OfflineTransducer { encoder: Text, decoder: Text, joiner: Text });
structure!(OfflineWhisper {
    encoder: Text,
    decoder: Text,
    language: Text,
    task: Text,
    tail_paddings: i32,
    enable_token_timestamps: i32,
    enable_segment_timestamps: i32,
});
structure!(OfflineCanary { encoder: Text, decoder: Text, src_lang: Text, tgt_lang: Text, use_pnc: i32 });
structure!(OfflineCohere { encoder: Text, decoder: Text, language: Text, use_punct: i32, use_itn: i32 });
structure!(OfflineFireRed { encoder: Text, decoder: Text });
structure!(OfflineMoonshine {
    preprocessor: Text,
    encoder: Text,
    uncached_decoder: Text,
    cached_decoder: Text,
    merged_decoder: Text,
});
structure!(OfflineLanguageModel { model: Text, scale: f32 });
structure!(OfflineSenseVoice { model: Text, language: Text, use_itn: i32 });
structure!(OfflineFunAsrNano {
    encoder_adaptor: Text,
    llm: Text,
    embedding: Text,
    tokenizer: Text,
    system_prompt: Text,
    user_prompt: Text,
    max_new_tokens: i32,
    temperature: f32,
    top_p: f32,
    seed: i32,
    language: Text,
    itn: i32,
    hotwords: Text,
});
structure!(OfflineQwen3 {
    conv_frontend: Text,
    encoder: Text,
    decoder: Text,
    tokenizer: Text,
    max_total_len: i32,
    max_new_tokens: i32,
    temperature: f32,
    top_p: f32,
    seed: i32,
    hotwords: Text,
});
structure!(OfflineModel {
    transducer: OfflineTransducer,
    paraformer: Text,
    nemo_ctc: Text,
    whisper: OfflineWhisper,
    tdnn: Text,
    tokens: Text,
    num_threads: i32,
    debug: i32,
    provider: Text,
    model_type: Text,
    modeling_unit: Text,
    bpe_vocab: Text,
    telespeech_ctc: Text,
    sense_voice: OfflineSenseVoice,
    moonshine: OfflineMoonshine,
    fire_red_asr: OfflineFireRed,
    dolphin: Text,
    zipformer_ctc: Text,
    canary: OfflineCanary,
    wenet_ctc: Text,
    omnilingual: Text,
    medasr: Text,
    funasr_nano: OfflineFunAsrNano,
    fire_red_asr_ctc: Text,
    qwen3_asr: OfflineQwen3,
    cohere_transcribe: OfflineCohere,
});
structure!(OfflineConfig {
    feat_config: Feature,
    model_config: OfflineModel,
    lm_config: OfflineLanguageModel,
    decoding_method: Text,
    max_active_paths: i32,
    hotwords_file: Text,
    hotwords_score: f32,
    rule_fsts: Text,
    rule_fars: Text,
    blank_penalty: f32,
    hr: Homophones,
    ctc_fst_decoder_config: CtcFst,
});
structure!(OfflineResult {
    text: Text,
    timestamps: *const f32,
    count: i32,
    tokens: Text,
    tokens_arr: *const Text,
    json: Text,
    lang: Text,
    emotion: Text,
    event: Text,
    durations: *const f32,
    ys_log_probs: *const f32,
    segment_timestamps: *const f32,
    segment_durations: *const f32,
    segment_texts: Text,
    segment_texts_arr: *const Text,
    segment_count: i32,
});

structure!(TtsVits {
    model: Text,
    lexicon: Text,
    tokens: Text,
    data_dir: Text,
    noise_scale: f32,
    noise_scale_w: f32,
    length_scale: f32,
    dict_dir: Text,
});
structure!(TtsMatcha {
    acoustic_model: Text,
    vocoder: Text,
    lexicon: Text,
    tokens: Text,
    data_dir: Text,
    noise_scale: f32,
    length_scale: f32,
    dict_dir: Text,
});
structure!(TtsKokoro {
    model: Text,
    voices: Text,
    tokens: Text,
    data_dir: Text,
    length_scale: f32,
    dict_dir: Text,
    lexicon: Text,
    lang: Text,
});
structure!(TtsKitten { model: Text, voices: Text, tokens: Text, data_dir: Text, length_scale: f32, lexicon: Text });
structure!(TtsZipvoice {
    tokens: Text,
    encoder: Text,
    decoder: Text,
    vocoder: Text,
    data_dir: Text,
    lexicon: Text,
    feat_scale: f32,
    t_shift: f32,
    target_rms: f32,
    guidance_scale: f32,
});
structure!(TtsPocket {
    lm_flow: Text,
    lm_main: Text,
    encoder: Text,
    decoder: Text,
    text_conditioner: Text,
    vocab_json: Text,
    token_scores_json: Text,
    voice_embedding_cache_capacity: i32,
});
structure!(TtsSupertonic {
    duration_predictor: Text,
    text_encoder: Text,
    vector_estimator: Text,
    vocoder: Text,
    tts_json: Text,
    unicode_indexer: Text,
    voice_style: Text,
});
structure!(TtsModel {
    vits: TtsVits,
    num_threads: i32,
    debug: i32,
    provider: Text,
    matcha: TtsMatcha,
    kokoro: TtsKokoro,
    kitten: TtsKitten,
    zipvoice: TtsZipvoice,
    pocket: TtsPocket,
    supertonic: TtsSupertonic,
});
structure!(TtsConfig { model: TtsModel, rule_fsts: Text, max_num_sentences: i32, rule_fars: Text, silence_scale: f32 });
structure!(GeneratedAudio {
    samples: *const f32,
    n: i32,
    sample_rate: i32,
});
structure!(GenerationConfig {
    silence_scale: f32,
    speed: f32,
    sid: i32,
    reference_audio: *const f32,
    reference_audio_len: i32,
    reference_sample_rate: i32,
    reference_text: Text,
    num_steps: i32,
    extra: Text,
    phoneme_codepoints: *const i32,
    phoneme_codepoints_lens: *const i32,
    phoneme_codepoints_num_sentences: i32,
    tokens: *const Text,
    tokens_lens: *const i32,
    tokens_num_sentences: i32,
});

/// `SherpaOnnxGeneratedAudioProgressCallbackWithArg`
pub(super) type Progress = unsafe extern "C" fn(*const f32, i32, f32, *mut c_void) -> i32;

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// As `sizeof` gives them for the header of 2.0.1 (x86_64 and aarch64 alike).
    #[test]
    fn structures_are_as_large_as_in_c() {
        let sizes = [
            ("OnlineTransducer", size_of::<OnlineTransducer>(), 24),
            ("OnlineParaformer", size_of::<OnlineParaformer>(), 16),
            ("OnlineModel", size_of::<OnlineModel>(), 136),
            ("Feature", size_of::<Feature>(), 8),
            ("CtcFst", size_of::<CtcFst>(), 16),
            ("Homophones", size_of::<Homophones>(), 24),
            ("OnlineConfig", size_of::<OnlineConfig>(), 272),
            ("OnlineResult", size_of::<OnlineResult>(), 48),
            ("OfflineWhisper", size_of::<OfflineWhisper>(), 48),
            ("OfflineCanary", size_of::<OfflineCanary>(), 40),
            ("OfflineCohere", size_of::<OfflineCohere>(), 32),
            ("OfflineMoonshine", size_of::<OfflineMoonshine>(), 40),
            ("OfflineLanguageModel", size_of::<OfflineLanguageModel>(), 16),
            ("OfflineSenseVoice", size_of::<OfflineSenseVoice>(), 24),
            ("OfflineFunAsrNano", size_of::<OfflineFunAsrNano>(), 88),
            ("OfflineQwen3", size_of::<OfflineQwen3>(), 64),
            ("OfflineModel", size_of::<OfflineModel>(), 504),
            ("OfflineConfig", size_of::<OfflineConfig>(), 624),
            ("OfflineResult", size_of::<OfflineResult>(), 128),
            ("TtsVits", size_of::<TtsVits>(), 56),
            ("TtsMatcha", size_of::<TtsMatcha>(), 56),
            ("TtsKokoro", size_of::<TtsKokoro>(), 64),
            ("TtsKitten", size_of::<TtsKitten>(), 48),
            ("TtsZipvoice", size_of::<TtsZipvoice>(), 64),
            ("TtsPocket", size_of::<TtsPocket>(), 64),
            ("TtsSupertonic", size_of::<TtsSupertonic>(), 56),
            ("TtsModel", size_of::<TtsModel>(), 424),
            ("TtsConfig", size_of::<TtsConfig>(), 456),
            ("GeneratedAudio", size_of::<GeneratedAudio>(), 16),
            ("GenerationConfig", size_of::<GenerationConfig>(), 104),
        ];
        for (name, ours, theirs) in sizes {
            assert_eq!(ours, theirs, "{name}");
        }
    }

    /// As `offsetof` gives them for the fields that we write or read.
    #[test]
    fn fields_lie_where_c_puts_them() {
        macro_rules! offsets {
            ($name:ident: $($field:ident $theirs:literal),*) => {
                $(assert_eq!(offset_of!($name, $field), $theirs, concat!(stringify!($name), ".", stringify!($field)));)*
            };
        }
        offsets!(OnlineModel: tokens 48, num_threads 56, provider 64, modeling_unit 88, bpe_vocab 96, nemo_ctc 120, t_one_ctc 128);
        offsets!(OnlineConfig: model_config 8, decoding_method 144, max_active_paths 152, hotwords_file 176, hotwords_score 184, ctc_fst_decoder_config 192, blank_penalty 224, hotwords_buf 232, hotwords_buf_size 240, hr 248);
        offsets!(OnlineResult: tokens_arr 16, timestamps 24, count 32, json 40);
        offsets!(OfflineModel: whisper 40, tokens 96, num_threads 104, provider 112, model_type 120, sense_voice 152, moonshine 176, funasr_nano 312, qwen3_asr 408, cohere_transcribe 472);
        offsets!(OfflineConfig: lm_config 512, decoding_method 528, max_active_paths 536, hr 584, ctc_fst_decoder_config 608);
        offsets!(OfflineResult: timestamps 8, count 16, tokens_arr 32, durations 72, ys_log_probs 80, segment_count 120);
        offsets!(TtsModel: num_threads 56, provider 64, matcha 72, kokoro 128, kitten 192);
        offsets!(TtsConfig: rule_fsts 424, max_num_sentences 432, silence_scale 448);
        offsets!(GenerationConfig: speed 4, sid 8, reference_text 32, extra 48, phoneme_codepoints 56, phoneme_codepoints_lens 64, phoneme_codepoints_num_sentences 72, tokens 80, tokens_num_sentences 96);
    }
}
