//! Audio → features, as part of a graph. Purpose: training and recognition hear through the same nodes.
//!
//! 25 ms Hann windows every 10 ms, power spectrum by convolution with sines, mel bands over the telephone band, logarithm
//! above a floor (silence is zero, so an empty memory is silence), mean of three. Pure: only describes nodes.

use super::onnx::{Attribute, Element, Graph, Value};
use std::f32::consts::TAU;

/// Samples per second.
pub(super) const RATE_HZ: usize = 8000;
/// Mel bands: features of one frame.
pub(super) const BANDS: usize = 24;
/// Samples of one frame of features: 30 ms.
pub(super) const FRAME_SAMPLES: usize = 240;
/// Samples before a piece of audio that its first frame looks back at.
pub(super) const OVERLAP_SAMPLES: usize = WINDOW_SAMPLES - HOP_SAMPLES;

const WINDOW_SAMPLES: usize = 200;
const HOP_SAMPLES: usize = 80;
const HOPS_PER_FRAME: i64 = (FRAME_SAMPLES / HOP_SAMPLES) as i64;
/// Spectrum lines lie this far apart.
const LINE_HZ: f32 = 31.25;
const FIRST_LINE: usize = 6;
const LAST_LINE: usize = 116;
const LINES: usize = LAST_LINE - FIRST_LINE + 1;
/// Of 16-bit samples.
const FULL_SCALE: f32 = 32_768.0;
/// Energy of a band that is taken for silence: about −65 dBFS.
const FLOOR: f32 = 1e-3;
/// Brings features to about 0–2.
const SCALE: f32 = 0.25;

/// `samples`: 16-bit values of any type, [batch, 1, overlap + n × 240] → f32 [batch, bands, n].
pub(super) fn features(graph: &mut Graph, samples: &Value) -> Value {
    let samples = graph.cast(samples, Element::F32);
    let waves = graph.numbers(&[2 * LINES, 1, WINDOW_SAMPLES], &waves());
    let spectrum = graph.node("Conv", &[&samples, &waves], &[("strides", Attribute::Ints(vec![HOP_SAMPLES as i64]))]);
    let power = graph.node("Mul", &[&spectrum, &spectrum], &[]);
    let bands = graph.numbers(&[BANDS, 2 * LINES, 1], &bands());
    let energy = graph.node("Conv", &[&power, &bands], &[]);
    let (floor, one, scale) = (graph.number(FLOOR), graph.number(1.0), graph.number(SCALE));
    let above = graph.node("Div", &[&energy, &floor], &[]);
    let above = graph.node("Add", &[&above, &one], &[]);
    let level = graph.node("Log", &[&above], &[]);
    let level = graph.node("Mul", &[&level, &scale], &[]);
    let hops = || Attribute::Ints(vec![HOPS_PER_FRAME]);
    graph.node("AveragePool", &[&level], &[("kernel_shape", hops()), ("strides", hops())])
}

/// Cosines, then sines, of every line under the window: [2 × lines, window].
fn waves() -> Vec<f32> {
    let window = |n: usize| 0.5 - 0.5 * (TAU * n as f32 / WINDOW_SAMPLES as f32).cos();
    let wave = |line: usize, n: usize| TAU * (FIRST_LINE + line) as f32 * LINE_HZ * n as f32 / RATE_HZ as f32;
    let mut waves = Vec::with_capacity(2 * LINES * WINDOW_SAMPLES);
    for function in [f32::cos, f32::sin] {
        for line in 0..LINES {
            waves.extend((0..WINDOW_SAMPLES).map(|n| window(n) * function(wave(line, n)) / FULL_SCALE));
        }
    }
    waves
}

/// Triangles, evenly spaced in mel: [bands, 2 × lines].
fn bands() -> Vec<f32> {
    let mel = |hz: f32| (1.0 + hz / 700.0).ln();
    let hz = |line: usize| (FIRST_LINE + line) as f32 * LINE_HZ;
    let (low, high) = (mel(hz(0) - LINE_HZ), mel(hz(LINES)));
    let step = (high - low) / (BANDS + 1) as f32;
    let mut bands = Vec::with_capacity(BANDS * 2 * LINES);
    for band in 0..BANDS {
        let centre = low + (band + 1) as f32 * step;
        // The same weights for cosines and sines.
        for line in (0..LINES).chain(0..LINES) {
            bands.push((1.0 - (mel(hz(line)) - centre).abs() / step).max(0.0));
        }
    }
    bands
}
