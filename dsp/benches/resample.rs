//! Resamplers side by side: ours with each set of kernels, and rubato as it comes and tuned for delay. For every pair of
//! rates it measures CPU time for 20 ms of signal (16-bit in, 16-bit out), delay at 1 kHz, ripple in the passband and the
//! strongest alias or image that falls onto it. Prints a Markdown table and writes `target/bench/resample.json` (flat:
//! metric → number). Run: `cargo bench -p callwright-dsp --bench resample`, with `-- AVX2` for one of them.

#![allow(clippy::print_stdout)]

use callwright_dsp::kernel::{Kernels, Level};
use callwright_dsp::resample::{Rate, Resampler};
use callwright_dsp::tone::Tone;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, WindowFunction};
use std::f64::consts::TAU;
use std::hint::black_box;
use std::path::Path;

/// Turns 20 ms into 20 ms.
enum Contender {
    Ours(Box<Resampler>),
    Rubato { engine: Box<dyn rubato::Resampler<f32>>, input: Vec<f32>, output: Vec<f32> },
}

const NAMES: [&str; 6] = ["scalar", "AVX2", "AVX-512", "rubato FFT", "rubato FFT/4", "rubato sinc 32"];
/// Runs of which the median is shown.
const RUNS: usize = 9;
/// CPU time of one run, ns.
const RUN_NANOS: u64 = 20_000_000;

impl Contender {
    /// `None` when this processor lacks what it needs.
    fn new(name: &str, from: Rate, to: Rate) -> Option<Self> {
        if let Some(level) = Level::ALL.into_iter().find(|level| level.name() == name) {
            return Some(Self::Ours(Box::new(Resampler::with_kernels(from, to, Kernels::of(level)?))));
        }
        let chunk = frame(from);
        let (from_hz, to_hz) = (from.hz() as usize, to.hz() as usize);
        let engine: Box<dyn rubato::Resampler<f32>> = match name {
            "rubato FFT" => Box::new(Fft::new(from_hz, to_hz, chunk, 1, FixedSync::Input).ok()?),
            "rubato FFT/4" => {
                let window = WindowFunction::BlackmanHarris2;
                Box::new(Fft::new_custom(from_hz, to_hz, chunk, 4, 1, window, FixedSync::Input).ok()?)
            }
            _ => {
                let sinc = SincInterpolationParameters::new(32, WindowFunction::BlackmanHarris2);
                let ratio = to_hz as f64 / from_hz as f64;
                Box::new(Async::new_sinc(ratio, 1.1, &sinc, chunk, 1, FixedAsync::Input).ok()?)
            }
        };
        let room = engine.output_frames_max();
        Some(Self::Rubato { engine, input: vec![0.0; chunk], output: vec![0.0; room] })
    }

    /// Samples written.
    fn process(&mut self, pcm: &[i16], out: &mut [i16]) -> usize {
        match self {
            Self::Ours(resampler) => resampler.process(pcm, out).written,
            Self::Rubato { engine, input, output } => {
                for (to, from) in input.iter_mut().zip(pcm) {
                    *to = f32::from(*from);
                }
                let frames = output.len();
                let source = SequentialSlice::new(&input[..], 1, pcm.len()).expect("one channel");
                let mut sink = SequentialSlice::new_mut(&mut output[..], 1, frames).expect("one channel");
                let (_, made) = engine.process_into_buffer(&source, &mut sink, None).expect("whole chunks");
                for (to, from) in out.iter_mut().zip(&output[..made]) {
                    *to = from.round_ties_even() as i16;
                }
                made
            }
        }
    }
}

fn frame(rate: Rate) -> usize {
    rate.hz() as usize / 50
}

/// CPU time of this thread, ns.
fn cpu() -> u64 {
    // Brings the kernel's account of this thread up to now.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

/// CPU time for one frame, ns: median of several runs.
fn cost(name: &str, from: Rate, to: Rate) -> Option<f64> {
    let mut contender = Contender::new(name, from, to)?;
    let mut pcm = vec![0; frame(from)];
    Tone::new(440.0, from.hz(), -12.0).fill(&mut pcm);
    let mut out = vec![0; frame(to) + 16];
    let mut run = |rounds: u64| {
        let before = cpu();
        for _ in 0..rounds {
            black_box(contender.process(black_box(&pcm), black_box(&mut out)));
        }
        cpu() - before
    };
    let rounds = RUN_NANOS / (run(2_000) / 2_000).max(1);
    let mut runs: Vec<f64> = (0..RUNS).map(|_| run(rounds) as f64 / rounds as f64).collect();
    runs.sort_by(f64::total_cmp);
    Some(runs[RUNS / 2])
}

/// A second of a tone, sent through in frames of 20 ms.
fn through(name: &str, from: Rate, to: Rate, hz: f64) -> Option<Vec<i16>> {
    let mut contender = Contender::new(name, from, to)?;
    let mut pcm = vec![0; from.hz() as usize];
    Tone::new(hz, from.hz(), -3.0).fill(&mut pcm);
    let (mut made, mut out) = (Vec::new(), vec![0; frame(to) + 16]);
    for part in pcm.chunks_exact(frame(from)) {
        let written = contender.process(part, &mut out);
        made.extend_from_slice(&out[..written]);
    }
    Some(made)
}

/// Amplitude (full scale 1) and phase at the first sample of one frequency, after the first tenth of a second.
fn component(pcm: &[i16], hz: f64, rate: u32) -> (f64, f64) {
    let skipped = rate as usize / 10;
    let n = (pcm.len() - skipped) as f64;
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (at, sample) in pcm.iter().enumerate().skip(skipped) {
        let turn = TAU * ((at - skipped) as f64 + 0.5) / n;
        let window = 0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() - 0.011_68 * (3.0 * turn).cos();
        let angle = TAU * hz * at as f64 / f64::from(rate);
        re += window * f64::from(*sample) * angle.cos();
        im -= window * f64::from(*sample) * angle.sin();
        weight += window;
    }
    (2.0 * re.hypot(im) / weight / 32_768.0, im.atan2(re))
}

fn db(amplitude: f64) -> f64 {
    20.0 * amplitude.max(1e-9).log10()
}

struct Response {
    delay_ms: f64,
    ripple_db: f64,
    stopband_db: f64,
}

fn response(name: &str, from: Rate, to: Rate) -> Option<Response> {
    let lower = from.min(to);
    let (passed, stopped) = match lower {
        Rate::Hz8000 => (3_400.0, 4_600.0),
        Rate::Hz16000 => (7_000.0, 9_000.0),
        _ => (11_000.0, 13_000.0),
    };
    // Phases 10 Hz apart tell delays up to 100 ms.
    let phase = |hz: f64| Some(component(&through(name, from, to, hz)?, hz, to.hz()).1);
    let input = |hz: f64| {
        let mut pcm = vec![0; from.hz() as usize];
        Tone::new(hz, from.hz(), -3.0).fill(&mut pcm);
        component(&pcm, hz, from.hz()).1
    };
    let turned = (phase(1_000.0)? - input(1_000.0)) - (phase(1_010.0)? - input(1_010.0));
    let delay_ms = 100.0 * turned.rem_euclid(TAU) / TAU;
    let (mut ripple_db, mut strongest): (f64, f64) = (0.0, -180.0);
    let (lower, half) = (f64::from(lower.hz()), f64::from(from.max(to).hz()) / 2.0);
    for step in 0..=24 {
        let share = f64::from(step) / 24.0;
        let hz = (passed * share).max(100.0);
        let out = through(name, from, to, hz)?;
        ripple_db = ripple_db.max((db(component(&out, hz, to.hz()).0) + 3.0).abs());
        if from > to {
            let above = stopped + (half - 50.0 - stopped) * share;
            let folded = (above - lower * (above / lower).round()).abs();
            let out = through(name, from, to, above)?;
            strongest = strongest.max(db(component(&out, folded, to.hz()).0) + 3.0);
        } else {
            let images = (1..=6).flat_map(|n| [f64::from(n) * lower - hz, f64::from(n) * lower + hz]);
            for image in images.filter(|image| *image < half) {
                strongest = strongest.max(db(component(&out, image, to.hz()).0) + 3.0);
            }
        }
    }
    Some(Response { delay_ms, ripple_db, stopband_db: -strongest })
}

fn main() {
    let mut json = Vec::new();
    // Cargo adds an option of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    println!("best here: {}; medians of {RUNS} runs, CPU time\n", Kernels::best().level().name());
    println!("| from → to, kHz | | ns per 20 ms | delay, ms | ripple, dB | stopband, dB |\n|---|---|---|---|---|---|");
    for from in Rate::ALL {
        for to in Rate::ALL {
            if from == to {
                continue;
            }
            let (a, b) = (from.hz() / 1_000, to.hz() / 1_000);
            for name in NAMES.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
                let (Some(nanos), Some(response)) = (cost(name, from, to), response(name, from, to)) else {
                    println!("| {a} → {b} | {name} | not on this processor | | | |");
                    continue;
                };
                let Response { delay_ms, ripple_db, stopband_db } = response;
                println!("| {a} → {b} | {name} | {nanos:.0} | {delay_ms:.3} | {ripple_db:.2} | {stopband_db:.1} |");
                let key = name.to_lowercase().replace([' ', '-', '/'], "_");
                json.extend([
                    (format!("{key}_{a}_{b}_cpu_nanos_per_20_ms"), nanos),
                    (format!("{key}_{a}_{b}_delay_ms"), delay_ms),
                    (format!("{key}_{a}_{b}_ripple_db"), ripple_db),
                    (format!("{key}_{a}_{b}_stopband_db"), stopband_db),
                ]);
            }
        }
    }
    let lines: Vec<String> = json.iter().map(|(key, value)| format!("  \"{key}\": {value:.3}")).collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&directory).expect("target can be written");
    std::fs::write(directory.join("resample.json"), format!("{{\n{}\n}}\n", lines.join(",\n")))
        .expect("target can be written");
}
