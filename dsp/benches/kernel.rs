//! The inner loops with each set of instructions. Measures CPU time of one call on 20 ms at 8 kHz (a conference: of one
//! frame for all of its parties). Prints a Markdown table and writes `target/bench/kernel.json` (flat: metric → number).
//! Run: `cargo bench -p callwright-dsp --bench kernel`.

#![allow(clippy::print_stdout)]

use callwright_dsp::kernel::{Kernels, Level};
use std::hint::black_box;
use std::path::Path;

/// Runs of which the median is shown.
const RUNS: usize = 9;
/// CPU time of one run, ns.
const RUN_NANOS: u64 = 20_000_000;
const FRAME: usize = 160;
/// Lags of a pitch search from 2.5 to 15 ms.
const LAGS: usize = 100;
const PARTIES: usize = 50;

/// CPU time of this thread, ns.
fn cpu() -> u64 {
    // Brings the kernel's account of this thread up to now.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

/// CPU time of one call, ns: median of several runs.
fn cost(mut act: impl FnMut()) -> f64 {
    let mut run = |rounds: u64| {
        let before = cpu();
        for _ in 0..rounds {
            act();
        }
        cpu() - before
    };
    let mut rounds = 100;
    while run(rounds) < RUN_NANOS / 10 {
        rounds *= 4;
    }
    rounds = rounds * RUN_NANOS / run(rounds).max(1);
    let mut runs: Vec<f64> = (0..RUNS).map(|_| run(rounds) as f64 / rounds as f64).collect();
    runs.sort_by(f64::total_cmp);
    runs[RUNS / 2]
}

fn noise(length: usize) -> Vec<i16> {
    let mut seed = 1u32;
    (0..length)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 20) as i16
        })
        .collect()
}

/// Name and cost of every loop.
fn costs(set: &Kernels) -> Vec<(&'static str, f64)> {
    let (x, y) = (noise(FRAME), noise(FRAME + LAGS));
    let (mut pcm, mut lags) = (noise(FRAME), vec![0; LAGS]);
    let (mut total, mut out) = (vec![0; FRAME], vec![0; FRAME]);
    vec![
        (
            "dot",
            cost(|| {
                black_box(set.dot(black_box(&x), &y));
            }),
        ),
        ("correlate 100 lags", cost(|| set.correlate(black_box(&x), &y, black_box(&mut lags)))),
        (
            "energy",
            cost(|| {
                black_box(set.energy(black_box(&x)));
            }),
        ),
        (
            "peak",
            cost(|| {
                black_box(set.peak(black_box(&x)));
            }),
        ),
        ("mix", cost(|| set.mix(black_box(&mut pcm), &x))),
        ("gain", cost(|| set.gain(black_box(&mut pcm), 1.0, -0.001))),
        (
            "conference of 50",
            cost(|| {
                total.fill(0);
                for _ in 0..PARTIES {
                    set.accumulate(&mut total, black_box(&x));
                }
                for _ in 0..PARTIES {
                    black_box(set.peak_without(&total, black_box(&x)));
                    set.scale_without(&total, black_box(&x), black_box(&mut out), 0.5, 0.001);
                }
            }),
        ),
    ]
}

fn main() {
    let sets: Vec<&Kernels> = Level::ALL.into_iter().filter_map(Kernels::of).collect();
    let names: Vec<&str> = sets.iter().map(|set| set.level().name()).collect();
    println!("ns for {FRAME} samples; medians of {RUNS} runs, CPU time\n");
    println!("| loop | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    let columns: Vec<_> = sets.into_iter().map(costs).collect();
    let mut json = Vec::new();
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let nanos: Vec<f64> = columns.iter().map(|column| column[row].1).collect();
        let shown: Vec<String> = nanos.iter().map(|nanos| format!("{nanos:.0}")).collect();
        println!("| {name} | {} |", shown.join(" | "));
        for (set, nanos) in names.iter().zip(nanos) {
            let key = format!("{set}_{name}").to_lowercase().replace([' ', '-'], "_");
            json.push(format!("  \"{key}_nanos\": {nanos:.3}"));
        }
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&directory).expect("target can be written");
    std::fs::write(directory.join("kernel.json"), format!("{{\n{}\n}}\n", json.join(",\n")))
        .expect("target can be written");
}
