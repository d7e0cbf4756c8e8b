//! What the tone detectors and generators cost: `cargo bench -p callwright-dsp --bench tones`. CPU time of this thread as
//! the kernel counts it, per 20 ms of audio at 8 kHz, median of 9 runs. Prints a table; judges nothing.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright_dsp::tone::{Cadence, Tone};
use callwright_dsp::{beep, dtmf};
use std::f64::consts::TAU;
use std::hint::black_box;

/// The kernel's count may go on in steps of 4 ms.
const FRAMES: usize = 100_000;
const RUNS: usize = 9;

/// Nanoseconds that this thread has run (Linux).
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn cost(name: &str, mut frame: impl FnMut(usize)) {
    let mut runs: Vec<u64> = (0..RUNS)
        .map(|_| {
            let begun = cpu_nanos();
            for n in 0..FRAMES {
                frame(n);
            }
            cpu_nanos() - begun
        })
        .collect();
    runs.sort_unstable();
    let micros = |nanos: u64| nanos as f64 / FRAMES as f64 / 1e3;
    println!(
        "{name:<40} {:>7.3} µs  ({:.3} to {:.3})",
        micros(runs[RUNS / 2]),
        micros(runs[0]),
        micros(runs[RUNS - 1])
    );
}

/// One second that loops.
fn second(mut sample: impl FnMut(f64) -> f64) -> Vec<i16> {
    (0..8000).map(|n| sample(f64::from(n) / 8000.0).round() as i16).collect()
}

fn main() {
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
    };
    let sounds = [
        ("silence", second(|_| 0.0)),
        ("noise at speech level", second(|_| 6000.0 * noise())),
        ("vowel, 120 Hz", second(|t| (1..25).map(|k| 900.0 * (TAU * 120.0 * f64::from(k) * t).sin()).sum())),
        ("key held", second(|t| 6000.0 * ((TAU * 770.0 * t).sin() + (TAU * 1336.0 * t).sin()))),
        ("tone of 1000 Hz", second(|t| 6000.0 * (TAU * 1000.0 * t).sin())),
    ];
    println!("per 20 ms at 8 kHz, CPU time, median of {RUNS} runs of {FRAMES} frames (lowest to highest)");
    for (name, pcm) in &sounds {
        let mut detector = dtmf::Detector::new(8000).expect("8 kHz is supported");
        cost(&format!("dtmf::Detector, {name}"), |n| {
            let at = n % 50 * 160;
            detector.handle_audio(black_box(&pcm[at..at + 160]), &mut |report| {
                black_box(report);
            });
        });
    }
    for (name, pcm) in &sounds {
        let mut detector = beep::Detector::new(8000).expect("8 kHz is supported");
        cost(&format!("beep::Detector, {name}"), |n| {
            let at = n % 50 * 160;
            detector.handle_audio(black_box(&pcm[at..at + 160]), &mut |beep| {
                black_box(beep);
            });
        });
    }
    let mut generator = dtmf::Generator::new(8000).expect("8 kHz is supported");
    let mut pcm = [0i16; 160];
    cost("dtmf::Generator", |_| {
        if generator.is_idle() {
            generator.queue("0123456789").expect("the queue is empty");
        }
        black_box(generator.fill(&mut pcm));
    });
    let mut cadence = Cadence::new("gb-ringback".parse().expect("it is in the table"), 8000);
    cost("tone::Cadence, two sines", |_| cadence.fill(black_box(&mut pcm)));
    let mut tone = Tone::new(1000.0, 8000, -10.0);
    cost("tone::Tone", |_| tone.fill(black_box(&mut pcm)));
}
