//! What an installed pack costs on this machine. In the child that tries packs, on one thread of computation.
//! Medians of several rounds; other work on the machine makes them worse, which is why they say nothing of the pack alone.

use callwright_dsp::resample::half_band::Downsampler2;
use callwright_models::Assets;
use callwright_models::asr::{OfflineEngine, OfflinePlan, OnlineEngine, OnlinePlan};
use callwright_models::pack::{Family, Installed, Kind, probe};
use callwright_models::tts::{Flite, KokoroPlan, KokoroVoice, SherpaVoice, VoicePlan};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
/// Samples of one frame of a call, 20 ms at 8 kHz.
const FRAME: usize = 160;
/// What is spoken: telephone business with numbers and names.
const TEXT: &str = "Hello, this is Grace. I have your order for forty two contacts, and the first of them is Miller. \
                    Shall I send the invoice on Monday?";

/// Figures, one a line.
pub(super) fn figures(assets: &Assets, installed: &Installed) -> Result<String, String> {
    let began = Instant::now();
    match installed.pack.kind {
        Kind::StreamingAsr => {
            let speech = speech(assets)?;
            let mut engine = OnlineEngine::load(assets, installed, &OnlinePlan::default()).map_err(words)?;
            let loaded = began.elapsed();
            streaming(&mut engine, &speech, loaded)
        }
        Kind::OfflineAsr => {
            let speech = speech(assets)?;
            let mut engine = OfflineEngine::load(assets, installed, &OfflinePlan::default()).map_err(words)?;
            let loaded = began.elapsed();
            let (mut took, mut heard) = (Vec::new(), String::new());
            for _ in 0..ROUNDS {
                let began = Instant::now();
                heard = engine.recognise(&speech).map_err(words)?.text;
                took.push(began.elapsed());
            }
            Ok(recognised(loaded, &speech, &took, &took, &heard))
        }
        Kind::Tts if installed.pack.family == Family::KokoroGraph => {
            let mut voice = KokoroVoice::load(assets, installed, &KokoroPlan::default()).map_err(words)?;
            let (loaded, rate) = (began.elapsed(), voice.sample_rate());
            spoken(loaded, rate, &mut |sink| voice.speak(TEXT, sink).map_err(words))
        }
        Kind::Tts => {
            let mut voice = SherpaVoice::load(assets, installed, VoicePlan::default()).map_err(words)?;
            let (loaded, rate) = (began.elapsed(), voice.sample_rate());
            spoken(loaded, rate, &mut |sink| voice.speak(TEXT, sink).map_err(words))
        }
        Kind::EndOfTurn => probe::load(assets, installed).map_err(words),
    }
}

type Sink<'a> = &'a mut dyn FnMut(&[i16]) -> ControlFlow<()>;

/// Speaks the text some times.
fn spoken(
    loaded: Duration,
    rate: u32,
    speak: &mut dyn FnMut(Sink<'_>) -> Result<(), String>,
) -> Result<String, String> {
    let (mut first, mut whole, mut samples) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut heard = None;
        samples = 0;
        let mut sink = |chunk: &[i16]| {
            heard.get_or_insert_with(|| began.elapsed());
            samples += chunk.len();
            ControlFlow::Continue(())
        };
        speak(&mut sink)?;
        whole.push(began.elapsed());
        first.push(heard.unwrap_or_default());
    }
    let seconds = samples as f64 / f64::from(rate);
    Ok(lines(&[
        ("loaded in", format!("{:.2} s", loaded.as_secs_f64())),
        ("speaks", format!("{seconds:.1} s of audio at {rate} Hz, {ROUNDS} times")),
        ("real-time factor", factor(&whole, seconds)),
        ("first audio after", format!("{} (all that is computed at once)", milliseconds(&first))),
    ]))
}

fn streaming(engine: &mut OnlineEngine, speech: &[i16], loaded: Duration) -> Result<String, String> {
    let (mut took, mut last, mut heard) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut turn = engine.begin().map_err(words)?;
        for frame in speech.chunks(FRAME) {
            turn.accept(frame);
            engine.decode([&mut turn], usize::MAX);
        }
        let ended = Instant::now();
        engine.finish(&mut turn);
        engine.decode([&mut turn], usize::MAX);
        heard = engine.result(&turn).text;
        last.push(ended.elapsed());
        took.push(began.elapsed());
    }
    Ok(recognised(loaded, speech, &took, &last, &heard))
}

fn recognised(loaded: Duration, speech: &[i16], took: &[Duration], last: &[Duration], heard: &str) -> String {
    let seconds = speech.len() as f64 / 8000.0;
    lines(&[
        ("loaded in", format!("{:.2} s", loaded.as_secs_f64())),
        ("hears", format!("{seconds:.1} s of synthesised speech at 8 kHz, {ROUNDS} times")),
        ("real-time factor", factor(took, seconds)),
        ("words after the end", milliseconds(last)),
        ("heard", format!("{heard:?}")),
    ])
}

/// The embedded voice, as the telephone carries it.
fn speech(assets: &Assets) -> Result<Vec<i16>, String> {
    let mut voice = Flite::load(assets, "slt").map_err(words)?;
    let mut wide = Vec::new();
    voice.speak(TEXT, &mut |chunk| {
        wide.extend_from_slice(chunk);
        ControlFlow::Continue(())
    });
    let mut narrow = vec![0; wide.len() / 2 + 1];
    let made = Downsampler2::default().process(&wide, &mut narrow);
    narrow.truncate(made);
    Ok(narrow)
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn factor(times: &[Duration], seconds: f64) -> String {
    let factor = median(times).as_secs_f64() / seconds;
    let worst = times.iter().max().copied().unwrap_or_default().as_secs_f64() / seconds;
    format!("{factor:.3} (median; worst {worst:.3}; below 1 keeps up with one caller)")
}

fn milliseconds(times: &[Duration]) -> String {
    let in_ms = |time: Duration| {
        let ms = time.as_secs_f64() * 1000.0;
        if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
    };
    format!("{} (median; worst {})", in_ms(median(times)), in_ms(times.iter().max().copied().unwrap_or_default()))
}

fn lines(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(what, value)| format!("  {what:<20} {value}")).collect::<Vec<_>>().join("\n")
}
