//! The recogniser's graph in the contract of T-one. Purpose: what sherpa-onnx loads as a streaming CTC model.
//!
//! `x` i32 [batch, 2400, 1] (300 ms of raw 8 kHz samples), `state` f16 [batch, `state_dim`] → `log_probs` f32 [batch, 10,
//! tokens], `next_state`. Token 0 is the blank. The state is the last samples and the last frames of features; all zeros is
//! silence. Pure: only describes nodes. Deliberately absent: any search, it is in the network (`train`).

use super::front::{self, BANDS, FRAME_SAMPLES, OVERLAP_SAMPLES, RATE_HZ};
use super::onnx::{Attribute, Dim, Element, Graph};
use super::train::{CONTEXT, HIDDEN, INPUTS, Network};

/// Samples of a chunk: 300 ms.
pub(super) const CHUNK_SAMPLES: usize = 2400;
/// Frames that a chunk is judged in.
pub(super) const CHUNK_FRAMES: usize = CHUNK_SAMPLES / FRAME_SAMPLES;
/// Scores are averaged over this many frames, so that one frame alone says no word and hides none.
const SMOOTHED: usize = 3;
/// Frames of features in the state.
const PAST: usize = CONTEXT - 1 + SMOOTHED - 1;
/// Numbers in the state.
pub(super) const STATE_SIZE: usize = OVERLAP_SAMPLES + BANDS * PAST;

/// The model file for `tokens` tokens, the blank included.
pub(super) fn encode(network: &Network, tokens: usize) -> Vec<u8> {
    let mut graph = Graph::new();
    let batch = Dim::Free("batch");
    let x = graph.input("x", Element::I32, &[batch, Dim::Fixed(CHUNK_SAMPLES), Dim::Fixed(1)]);
    let state = graph.input("state", Element::F16, &[batch, Dim::Fixed(STATE_SIZE)]);
    let state = graph.cast(&state, Element::F32);

    let samples = graph.cast(&x, Element::F32);
    let samples = graph.reshape(&samples, &[0, 1, CHUNK_SAMPLES as i64]);
    let before = graph.slice(&state, 1, 0, OVERLAP_SAMPLES as i64);
    let before = graph.reshape(&before, &[0, 1, OVERLAP_SAMPLES as i64]);
    let audio = graph.concat(&[&before, &samples], 2);

    let fresh = front::features(&mut graph, &audio);
    let past = graph.slice(&state, 1, OVERLAP_SAMPLES as i64, STATE_SIZE as i64);
    let past = graph.reshape(&past, &[0, BANDS as i64, PAST as i64]);
    let features = graph.concat(&[&past, &fresh], 2);

    // The network over a sliding window is a convolution over time.
    let weights = graph.numbers(&[HIDDEN, BANDS, CONTEXT], &transposed(&network.hidden, INPUTS, HIDDEN));
    let bias = graph.numbers(&[HIDDEN], &network.hidden_bias);
    let hidden = graph.node("Conv", &[&features, &weights, &bias], &[]);
    let hidden = graph.node("Relu", &[&hidden], &[]);
    let weights = graph.numbers(&[tokens, HIDDEN, 1], &transposed(&network.output, HIDDEN, tokens));
    let bias = graph.numbers(&[tokens], &network.output_bias);
    let scores = graph.node("Conv", &[&hidden, &weights, &bias], &[]);
    let over = ("kernel_shape", Attribute::Ints(vec![SMOOTHED as i64]));
    let scores = graph.node("AveragePool", &[&scores], &[over]);
    let scores = graph.node("Transpose", &[&scores], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    let log_probs = graph.node("LogSoftmax", &[&scores], &[("axis", Attribute::Int(2))]);

    let last_samples = graph.slice(&audio, 2, CHUNK_SAMPLES as i64, (CHUNK_SAMPLES + OVERLAP_SAMPLES) as i64);
    let last_samples = graph.reshape(&last_samples, &[0, -1]);
    let last_features = graph.slice(&features, 2, CHUNK_FRAMES as i64, (CHUNK_FRAMES + PAST) as i64);
    let last_features = graph.reshape(&last_features, &[0, -1]);
    let next = graph.concat(&[&last_samples, &last_features], 1);
    let next = graph.cast(&next, Element::F16);

    graph.output(&log_probs, "log_probs", Element::F32, &[batch, Dim::Fixed(CHUNK_FRAMES), Dim::Fixed(tokens)]);
    graph.output(&next, "next_state", Element::F16, &[batch, Dim::Fixed(STATE_SIZE)]);
    graph.metadata("model_type", "t-one");
    graph.metadata("language", "English");
    graph.metadata("frame_length_ms", "300");
    graph.metadata("sample_rate", &RATE_HZ.to_string());
    graph.metadata("state_dim", &STATE_SIZE.to_string());
    graph.metadata("comment", "test double: understands a few dozen sentences of one synthetic voice");
    graph.encode()
}

/// [rows, columns] → [columns, rows].
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}
