//! The embedded recogniser of free speech, with its real model: what it hears of synthetic voices over a telephone line,
//! what it must not hear, and what it says of files that are damaged.

mod fixture;

use callwright_dsp::codec::g711;
use callwright_dsp::resample::half_band::Downsampler2;
use callwright_models::asr::{AsrError, Draft, Guide, Hypothesis, Moonshine, Unguided};
use callwright_models::tts::Flite;
use callwright_models::{Assets, MoonshineSize};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

/// What the reference implementation (greedy, Hugging Face's tokeniser) writes of these two voices.
const SAID: &[(&str, &str, &str)] = &[
    ("slt", "I would like to order a new kitchen for my house.", "i would like to order a new kitchen for my house"),
    ("rms", "How much money do you want for the car?", "how much money do you want for the car"),
    ("slt", "The weather was very nice last week.", "the weather was very nice last week"),
    ("rms", "We need a better way to follow our customers.", "we need a better way to follow our customers"),
    ("slt", "My brother works at the hospital.", "my brother works at the hospital"),
    ("rms", "Nobody answered the phone yesterday.", "nobody answered the phone yesterday"),
    ("slt", "Yes, please.", "yes please"),
    ("rms", "That is not what I wanted to hear.", "that is not what i wanted to hear"),
    ("slt", "There are seven people in the garden.", "there are seven people in the garden"),
    ("rms", "I am waiting for an answer from the office.", "i am waiting for an answer from the office"),
];

/// The engine; `None` where the model is missing, unless everything is meant to be there.
fn engine() -> Option<Moonshine> {
    sized(MoonshineSize::Tiny)
}

fn sized(size: MoonshineSize) -> Option<Moonshine> {
    match Moonshine::load(&Assets::locate(), size) {
        Ok(engine) => Some(engine),
        Err(error) => {
            assert!(std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none(), "{error}");
            fixture::skipped(&error);
            None
        }
    }
}

/// A sentence over a telephone line: 8 kHz, μ-law and back, 0.1 s of quiet around it.
fn say(voice: &str, sentence: &str) -> Option<Vec<i16>> {
    let mut flite = match Flite::load(&Assets::locate(), voice) {
        Ok(flite) => flite,
        Err(error) => {
            assert!(std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none(), "{error}");
            fixture::skipped(&error);
            return None;
        }
    };
    let mut wide = vec![0_i16; 1600];
    flite.speak(sentence, &mut |chunk| {
        wide.extend_from_slice(chunk);
        ControlFlow::Continue(())
    });
    wide.resize(wide.len() + 1600, 0);
    let mut samples = vec![0_i16; wide.len() / 2 + 1];
    let made = Downsampler2::default().process(&wide, &mut samples);
    samples.truncate(made);
    let mut octets = vec![0_u8; samples.len()];
    g711::encode_ulaw(&samples, &mut octets);
    g711::decode_ulaw(&octets, &mut samples);
    Some(samples)
}

/// Words to change, add or leave out.
fn wrong(said: &str, heard: &str) -> usize {
    let (said, heard): (Vec<_>, Vec<_>) = (said.split(' ').collect(), heard.split(' ').collect());
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (n, word) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, other) in heard.iter().enumerate() {
            let cost = (diagonal + usize::from(word != other)).min(row[m] + 1).min(row[m + 1] + 1);
            diagonal = std::mem::replace(&mut row[m + 1], cost);
        }
    }
    row[heard.len()]
}

fn consistent(heard: &Hypothesis, samples: &[i16]) {
    let words: Vec<&str> = heard.words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(words.join(" "), heard.text);
    assert!((0.0..=1.0).contains(&heard.confidence), "{heard:?}");
    let total_ms = (samples.len() / 8) as u32;
    for pair in heard.words.windows(2) {
        assert!(pair[0].start_ms <= pair[0].end_ms && pair[0].end_ms <= pair[1].start_ms, "{heard:?}");
    }
    assert!(heard.words.iter().all(|word| word.end_ms <= total_ms && (0.0..=1.0).contains(&word.posterior)));
    assert!(!heard.alternatives.contains(&heard.text));
}

#[test]
fn greedy_it_writes_what_the_reference_writes() {
    let Some(mut engine) = engine() else { return };
    let (mut words, mut errors) = (0, 0);
    for (voice, sentence, expected) in SAID {
        let Some(samples) = say(voice, sentence) else { return };
        let heard = engine.recognise(&samples, &Unguided, 1).expect("a turn");
        consistent(&heard, &samples);
        // The voice's own noise is another one each time: a word in all of them may come out differently.
        errors += wrong(expected, &heard.text);
        words += heard.words.len();
        assert!(heard.text.is_empty() || heard.complete == Some(true), "{heard:?}");
    }
    assert!(words > 60 && errors <= 2, "{errors} of {words} words");
}

#[test]
fn several_texts_at_once_are_no_worse_and_give_other_readings_where_there_is_doubt() {
    let Some(mut engine) = engine() else { return };
    let (mut errors, mut others) = (0, 0);
    for (n, (voice, sentence, expected)) in SAID[..3].iter().enumerate() {
        let Some(mut samples) = say(voice, sentence) else { return };
        let heard = engine.recognise(&samples, &Unguided, 4).expect("a turn");
        consistent(&heard, &samples);
        errors += wrong(expected, &heard.text);
        assert!(heard.confidence > 0.5, "{heard:?}");
        // The same in noise.
        let mut seed = n as u32 + 1;
        for sample in &mut samples {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = sample.saturating_add(((seed >> 16) as i16) / 20);
        }
        let heard = engine.recognise(&samples, &Unguided, 4).expect("a turn");
        consistent(&heard, &samples);
        others += heard.alternatives.len();
    }
    assert!(errors <= 1 && others > 0, "{errors} words, {others} other readings");
}

#[test]
fn a_turn_leaves_nothing_behind() {
    let Some(mut engine) = engine() else { return };
    let Some(one) = say("slt", "My brother works at the hospital.") else { return };
    let Some(other) = say("rms", "How much money do you want for the car?") else { return };
    for width in [1, 3] {
        let first = engine.recognise(&one, &Unguided, width).expect("a turn");
        engine.recognise(&other, &Unguided, width).expect("a turn");
        engine.recognise(&[0; 4000], &Unguided, width).expect("a turn");
        assert_eq!(engine.recognise(&one, &Unguided, width).expect("a turn"), first);
    }
}

/// Wants one word at the price of all others.
struct Insists;

impl Guide for Insists {
    type State = ();

    fn start(&self) {}

    fn extend(&self, (): &(), piece: &str) -> ((), f32) {
        ((), if piece == " car" { 30.0 } else { 0.0 })
    }

    fn end(&self, (): &()) -> f32 {
        0.0
    }
}

#[test]
fn what_nobody_said_is_not_heard() {
    let Some(mut engine) = engine() else { return };
    hears_nobody(&mut engine);
}

#[test]
fn the_larger_model_hears_what_is_said_and_nothing_else() {
    let Some(mut engine) = sized(MoonshineSize::Base) else { return };
    let (mut words, mut errors) = (0, 0);
    for (voice, sentence, expected) in SAID {
        let Some(samples) = say(voice, sentence) else { return };
        let heard = engine.recognise(&samples, &Unguided, 4).expect("a turn");
        consistent(&heard, &samples);
        errors += wrong(expected, &heard.text);
        words += heard.words.len();
    }
    assert!(words > 60 && errors <= 2, "{errors} of {words} words");
    hears_nobody(&mut engine);
}

#[test]
fn what_the_smaller_model_wrote_leads_the_larger_one_nowhere_else() {
    let Some(mut small) = engine() else { return };
    let Some(mut large) = sized(MoonshineSize::Base) else { return };
    let (mut words, mut errors, mut misled) = (0, 0, 0);
    let mut of_another = Draft::default();
    for (voice, sentence, expected) in SAID {
        let Some(samples) = say(voice, sentence) else { return };
        let mut draft = Draft::default();
        small.recognise_again(&samples[..samples.len() * 4 / 5], &Unguided, 1, &mut draft).expect("a turn");
        let heard = large.recognise_again(&samples, &Unguided, 4, &mut draft).expect("a turn");
        consistent(&heard, &samples);
        errors += wrong(expected, &heard.text);
        words += heard.words.len();
        misled +=
            wrong(expected, &large.recognise_again(&samples, &Unguided, 4, &mut of_another).expect("a turn").text);
        of_another = draft;
    }
    assert!(words > 60 && errors <= 2 && misled <= 2, "{errors} or {misled} of {words} words");
}

#[test]
fn what_has_just_begun_may_be_several_things_and_what_is_over_is_one() {
    let Some(mut engine) = engine() else { return };
    let Some(samples) = say("rms", "How much money do you want for the car?") else { return };
    let mut draft = Draft::default();
    let begun = engine.readings(&samples[..3600], 4, &mut draft).expect("a turn");
    let over = engine.readings(&samples, 4, &mut draft).expect("a turn");
    for readings in [&begun, &over] {
        let sum: f32 = readings.iter().map(|(_, probability)| probability).sum();
        assert!(readings.len() > 1 && (0.01..=1.001).contains(&sum), "{readings:?}");
        let mut texts: Vec<&str> = readings.iter().map(|(text, _)| text.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), readings.len(), "each text once: {readings:?}");
    }
    assert_eq!(over[0].0, "how much money do you want for the car");
    assert!(over[0].1 > 0.5 && begun[0].1 < over[0].1, "{begun:?} {over:?}");
    // The draft is what it was, and nothing stays where nobody speaks.
    let again = engine.recognise_again(&samples, &Unguided, 4, &mut draft).expect("a turn");
    assert_eq!(again.text, over[0].0);
    assert_eq!(engine.readings(&[0; 4000], 4, &mut draft).expect("a turn"), []);
    assert_eq!(draft, Draft::default());
}

fn hears_nobody(engine: &mut Moonshine) {
    let mut seed = 1_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as f32 / 32_768.0 - 1.0
    };
    for samples in [0_usize, 1, 100, 8000, 24_000] {
        for level in [0.0_f32, 30.0, 300.0, 3000.0] {
            let noise: Vec<i16> = (0..samples).map(|_| (level * random()) as i16).collect();
            assert_eq!(engine.recognise(&noise, &Unguided, 2).expect("a turn").text, "", "{samples} at {level}");
            assert_eq!(engine.recognise(&noise, &Insists, 2).expect("a turn").text, "", "{samples} at {level}");
        }
    }
    let tone: Vec<i16> = (0..16_000).map(|n| (6000.0 * (n as f32 * 0.345).sin()) as i16).collect();
    let heard = engine.recognise(&tone, &Unguided, 2).expect("a turn");
    assert_eq!((heard.text.as_str(), heard.confidence, heard.complete, heard.frames), ("", 0.0, None, 200));
}

#[test]
fn a_damaged_model_is_named_with_the_command_that_mends_it() {
    let Ok(good) = Assets::locate().moonshine(MoonshineSize::Tiny) else { return };
    let runtime = Assets::locate().onnx_runtime().expect("ONNX Runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let native = directory.path();
    fs::create_dir_all(native.join("lib")).expect("a directory");
    symlink(runtime, native.join("lib/libonnxruntime.so")).expect("a link");
    let model = native.join("moonshine-tiny-en");
    fs::create_dir(&model).expect("a directory");
    let put_all = |but: &str| {
        for file in ["encoder.onnx", "decoder.onnx", "tokenizer.json"] {
            let _ = fs::remove_file(model.join(file));
            if file != but {
                symlink(good.join(file), model.join(file)).expect("a link");
            }
        }
    };
    let refused = |words: &str| {
        let error = Moonshine::load(&Assets::at(native), MoonshineSize::Tiny).expect_err(words);
        assert!(matches!(error, AsrError::Asset(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains(words) && said.contains("make setup"), "{said}");
    };
    let half = |file: &str| {
        let whole = fs::read(good.join(file)).expect("a file");
        whole[..whole.len() / 2].to_vec()
    };
    for file in ["encoder.onnx", "decoder.onnx", "tokenizer.json"] {
        put_all(file);
        refused(&format!("{file} not found"));
        fs::write(model.join(file), "no model").expect("a file");
        refused(file);
        fs::write(model.join(file), half(file)).expect("a file");
        refused(file);
    }
    // Whole, but in each other's places, or of another model.
    put_all("decoder.onnx");
    fs::copy(good.join("encoder.onnx"), model.join("decoder.onnx")).expect("a copy");
    refused("no Moonshine decoder");
    put_all("encoder.onnx");
    fs::copy(good.join("decoder.onnx"), model.join("encoder.onnx")).expect("a copy");
    refused("no Moonshine encoder");
    put_all("tokenizer.json");
    fs::write(model.join("tokenizer.json"), r#"{"model": {"vocab": {"a": 3}}}"#).expect("a file");
    refused("tokenizer.json has 4");
}
