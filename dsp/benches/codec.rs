//! CPU time of every codec, each direction, for 20 ms: `cargo bench -p callwright-dsp --bench codec [-- SPEECH.wav]`.
//!
//! Medians of nine runs of the thread's CPU clock, so that other work on the machine counts little. The sound is one of our own
//! (vowel-like bursts, noise and pauses) or a WAV file of 16 kHz, mono, 16 bit: Opus' work depends on it. Prints one row a codec.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;

use callwright_dsp::codec::{Codec, Decoder, Encoder, EncoderSettings};
use callwright_dsp::resample::{Rate, Resampler};

const RUNS: usize = 9;

fn main() {
    let wide = match std::env::args().skip(1).find(|a| !a.starts_with('-')) {
        Some(path) => {
            let wav = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            wav.get(44..).unwrap_or_default().chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect()
        }
        None => speech(16_000 * 8),
    };
    let mut narrow = vec![0; wide.len() / 2];
    Resampler::new(Rate::Hz16000, Rate::Hz8000).process(&wide, &mut narrow);
    let full: Vec<i16> = wide.iter().flat_map(|s| [*s; 3]).collect();
    println!("{:<44} {:>9} {:>9} {:>7}", "20 ms of", "encode µs", "decode µs", "kbit/s");
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16At8k] {
        row(codec, 8_000, EncoderSettings::default(), &narrow);
    }
    row(Codec::L16At16k, 16_000, EncoderSettings::default(), &wide);
    row(Codec::L16At16k, 8_000, EncoderSettings::default(), &narrow);
    row(Codec::G722, 16_000, EncoderSettings::default(), &wide);
    row(Codec::G722, 8_000, EncoderSettings::default(), &narrow);
    for (rate, pcm) in [(8_000, &narrow), (16_000, &wide), (48_000, &full)] {
        let usual = EncoderSettings::for_rate(rate);
        for complexity in [0, 1, 4, 6, 8, 10] {
            row(Codec::Opus, rate, EncoderSettings { complexity, ..usual }, pcm);
        }
        row(Codec::Opus, rate, EncoderSettings { fec: true, expected_loss: 10, ..usual }, pcm);
        row(Codec::Opus, rate, EncoderSettings { dtx: true, ..usual }, pcm);
    }
}

fn row(codec: Codec, rate: u32, settings: EncoderSettings, pcm: &[i16]) {
    let frame = rate as usize / 50;
    let frames = pcm.len() / frame;
    let mut payloads = vec![([0u8; 1275], 0); frames];
    let (mut encode, mut decode) = ([0; RUNS], [0; RUNS]);
    let mut out = vec![0; frame];
    for run in 0..RUNS {
        let mut encoder = Encoder::new(codec, rate, settings).expect("the table holds pairs that exist");
        let started = cpu_nanos();
        for (samples, (payload, octets)) in pcm.chunks_exact(frame).zip(&mut payloads) {
            *octets = encoder.encode(samples, payload).expect("20 ms fit");
        }
        encode[run] = cpu_nanos() - started;
        let mut decoder = Decoder::new(codec, rate).expect("the table holds pairs that exist");
        let started = cpu_nanos();
        for (payload, octets) in &payloads {
            if *octets == 0 {
                assert!(decoder.conceal(&mut out), "DTX is Opus'");
            } else {
                decoder.decode(&payload[..*octets], &mut out).expect("our own packets decode");
            }
            black_box(&out);
        }
        decode[run] = cpu_nanos() - started;
    }
    let micros = |mut runs: [u64; RUNS]| {
        runs.sort_unstable();
        runs[RUNS / 2] as f64 / frames as f64 / 1000.0
    };
    let octets: usize = payloads.iter().map(|(_, octets)| octets).sum();
    let kilobits = octets as f64 * 8.0 / (frames as f64 * 20.0);
    let name = match codec {
        Codec::Opus => {
            let extra = if settings.fec { " fec" } else { "" }.to_owned() + if settings.dtx { " dtx" } else { "" };
            format!("{codec:?} {rate}, {} bit/s, complexity {}{extra}", settings.bitrate, settings.complexity)
        }
        _ => format!("{codec:?} {rate}"),
    };
    println!("{name:<44} {:>9.3} {:>9.3} {kilobits:>7.1}", micros(encode), micros(decode));
}

/// CPU time of this thread.
fn cpu_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec that outlives the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Half-second bursts of a gliding harmonic sound with two resonances, hissing between them, then a pause.
fn speech(samples: usize) -> Vec<i16> {
    let (mut seed, mut phase) = (1u32, 0.0f64);
    let (mut low, mut high) = ([0.0f64; 2], [0.0f64; 2]);
    (0..samples)
        .map(|n| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = f64::from(seed >> 16) / 32_768.0 - 1.0;
            let seconds = n as f64 / 16_000.0;
            let part = seconds % 0.8;
            phase += (110.0 + 30.0 * (seconds * 2.1).sin()) / 16_000.0;
            let pulse = if phase >= 1.0 { 12.0 } else { 0.0 };
            phase %= 1.0;
            let source = match part {
                p if p < 0.45 => pulse + 0.05 * hiss,
                p if p < 0.6 => 0.4 * hiss,
                _ => 0.002 * hiss,
            };
            let vowel = 500.0 + 250.0 * (seconds * 5.0).sin();
            let voiced = resonate(&mut low, source, vowel, 0.97) + 0.4 * resonate(&mut high, source, 1_900.0, 0.95);
            // Far inside 16 bits.
            (voiced * 700.0).clamp(-32_000.0, 32_000.0) as i16
        })
        .collect()
}

fn resonate(past: &mut [f64; 2], input: f64, hz: f64, radius: f64) -> f64 {
    let angle = std::f64::consts::TAU * hz / 16_000.0;
    let output = input + 2.0 * radius * angle.cos() * past[0] - radius * radius * past[1];
    *past = [output, past[0]];
    output
}
