//! The encoder: from a turn's samples to what the decoder attends to. Purpose: the published graph in our own code: it is 909
//! steps, and its convolutions are in reals although their tables are of octets. Owning thread: the engine's. Invariants:
//! nothing of a turn stays for the next; memory beside the result grows with the turn's length, not with its square.
//! Deliberately absent: what is made of it (`decoder`), the tables' names (`parts`).
//!
//! Three convolutions over time, of which the first is normed over all that was heard, and then layer by layer (Jeffries et
//! al. 2024; Vaswani et al. 2017): attention of each moment to all with places turned into the first numbers of each head
//! (Su et al. 2021, neighbours as pairs), and a network with a GELU; before each a layer norm without bias.

use super::matrix::{Matrix, Rounded, Store};
use super::parts::{Parts, only};
use super::wire::fields;
use callwright_dsp::kernel::{Kernels, Shape, View};

const NOT_ONE: &str = "it is no Moonshine encoder";
/// Steps of the three convolutions, which every file of the family shares.
const STRIDES: [usize; 3] = [64, 3, 2];
/// Moments that are worked on together, so that they stay in the processor's caches.
const AT_ONCE: usize = 64;
/// Moments of a turn of 8 s, which few callers exceed: memory for so many is kept from turn to turn.
pub(super) const MOMENTS_KEPT: usize = 336;
/// Added to the variance of all that was heard.
const EPSILON: f32 = 1e-5;

#[derive(Debug)]
struct Layer {
    before_attention: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    out: Matrix,
    before_network: Vec<f32>,
    up: Matrix,
    up_bias: Vec<f32>,
    down: Matrix,
    down_bias: Vec<f32>,
}

/// The tables, and room to work in.
#[derive(Debug)]
pub(super) struct Encoder {
    store: Store,
    /// And what is added after each.
    convolutions: [(Matrix, Vec<f32>); 3],
    /// What what was heard is multiplied with once it is normed, and what is added.
    group: [Vec<f32>; 2],
    layers: Vec<Layer>,
    last_norm: Vec<f32>,
    heads: usize,
    /// By how much the pairs at the beginning of each head turn with each moment, radians.
    turns: Vec<f32>,
    states: Vec<f32>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    rounded: Rounded,
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    /// The same, moments side by side.
    turned: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    inner: Vec<f32>,
    /// Sine and cosine of each place and pair.
    places: Vec<(f32, f32)>,
}

impl Encoder {
    /// Reads the tables. `heads`: as the decoder has them.
    ///
    /// # Errors
    /// Why it is no such file.
    pub(super) fn parse(model: &[u8], heads: usize) -> Result<Self, String> {
        let graph = only(fields(model)?, 7).ok_or(NOT_ONE)?.octets();
        let parts = Parts::of(graph)?;
        if !parts.has_group() {
            return Err(NOT_ONE.to_owned());
        }
        let mut store = Store::new(model.len());
        let layers = (0..parts.layers()?).map(|n| layer(&parts, &mut store, n)).collect::<Result<Vec<_>, _>>()?;
        let mut convolution = |n: usize| -> Result<_, String> {
            let (matrix, moments) = parts.convolution(&mut store, &format!("conv{}", n + 1))?;
            let bias = if n == 0 { vec![0.0; matrix.rows()] } else { parts.reals(&format!("conv{}.bias", n + 1))? };
            Ok((matrix, moments, bias))
        };
        let [one, two, three] = [convolution(0)?, convolution(1)?, convolution(2)?];
        let chain = one.0.width() == one.1
            && two.0.width() == two.1 * one.0.rows()
            && three.0.width() == three.1 * two.0.rows();
        let convolutions = [one, two, three].map(|(matrix, _, bias)| (matrix, bias));
        let group = [parts.group("Mul")?, parts.group("Add")?];
        let (last_norm, turns) = (parts.reals("layer_norm.weight")?, parts.turns()?);
        let (states, scratch) = (Vec::new(), Scratch::default());
        let encoder = Self { store, convolutions, group, layers, last_norm, heads, turns, states, scratch };
        (chain && encoder.fits()).then_some(encoder).ok_or_else(|| "its tables do not fit together".to_owned())
    }

    /// Numbers in a state.
    pub(super) fn width(&self) -> usize {
        self.last_norm.len()
    }

    fn fits(&self) -> bool {
        let width = self.width();
        let square = |matrix: &Matrix| (matrix.rows(), matrix.width()) == (width, width);
        let layer = |layer: &Layer| {
            let inner = layer.up.rows();
            [&layer.query, &layer.key, &layer.value, &layer.out].into_iter().all(square)
                && [&layer.before_attention, &layer.before_network, &layer.down_bias]
                    .iter()
                    .all(|reals| reals.len() == width)
                && (layer.up.width(), layer.up_bias.len()) == (width, inner)
                && (layer.down.rows(), layer.down.width()) == (width, inner)
        };
        let biased = |(matrix, bias): &(Matrix, Vec<f32>)| matrix.rows() == bias.len();
        let heard = self.convolutions[0].0.rows();
        !self.layers.is_empty()
            && self.layers.iter().all(layer)
            && self.convolutions.iter().all(biased)
            && self.convolutions[2].0.rows() == width
            && self.group.iter().all(|reals| reals.len() == heard)
            && self.heads > 0
            && width.is_multiple_of(self.heads)
            && !self.turns.is_empty()
            && self.turns.iter().all(|turn| turn.is_finite())
            && 2 * self.turns.len() <= width / self.heads
    }

    /// Hears a turn: 16 kHz samples, −1 to 1. A state for each moment of 24 ms; none of less than 56 ms.
    pub(super) fn listen(&mut self, samples: &[f32]) -> &[f32] {
        let kernels = Kernels::best();
        let Self { store, convolutions: [one, two, three], group, states, scratch, .. } = self;
        let (first, second) = (&mut scratch.normed, &mut scratch.inner);
        convolve(&one.0, store, samples, STRIDES[0], &mut scratch.rounded, first);
        kernels.tanh(first);
        norm_all(first, group);
        convolve(&two.0, store, first, STRIDES[1] * one.0.rows(), &mut scratch.rounded, second);
        second.chunks_exact_mut(two.1.len()).for_each(|moment| add(moment, &two.1));
        kernels.gelu(second);
        convolve(&three.0, store, second, STRIDES[2] * two.0.rows(), &mut scratch.rounded, states);
        states.chunks_exact_mut(three.1.len()).for_each(|moment| add(moment, &three.1));
        kernels.gelu(states);
        self.place();
        for n in 0..self.layers.len() {
            self.attend(n);
            self.think(n);
        }
        let Self { states, scratch, last_norm, .. } = self;
        norm(states, last_norm, &mut scratch.normed);
        std::mem::swap(states, &mut scratch.normed);
        states
    }

    /// Lets go of what memory only a longer turn than most needs.
    pub(super) fn forget(&mut self) {
        if self.states.len() > MOMENTS_KEPT * self.width() {
            (self.states, self.scratch) = (Vec::new(), Scratch::default());
        }
    }

    /// Works out how far each moment is turned.
    fn place(&mut self) {
        let Self { states, scratch, turns, last_norm, .. } = self;
        let moments = states.len() / last_norm.len();
        let of = |moment: usize| turns.iter().map(move |turn| (moment as f32 * turn).sin_cos());
        scratch.places.clear();
        scratch.places.extend((0..moments).flat_map(of));
    }

    /// Adds to each moment what it makes of all.
    fn attend(&mut self, n: usize) {
        let Self { store, layers, heads, turns, states, scratch, last_norm, .. } = self;
        let Scratch { rounded, normed, queries, keys, turned, values, scores, places, .. } = scratch;
        let (layer, width, size, kernels) = (&layers[n], last_norm.len(), last_norm.len() / *heads, Kernels::best());
        let moments = states.len() / width;
        norm(states, &layer.before_attention, normed);
        for reals in [&mut *queries, keys, values, turned] {
            reals.resize(states.len(), 0.0);
        }
        let at_once = AT_ONCE * width;
        // What is normed has outliers, for which octets are not enough.
        let made = queries.chunks_mut(at_once).zip(keys.chunks_mut(at_once)).zip(values.chunks_mut(at_once));
        for (normed, ((queries, keys), values)) in normed.chunks(at_once).zip(made) {
            rounded.take(normed, width);
            layer.query.times(store, rounded, queries);
            layer.key.times(store, rounded, keys);
            layer.value.times(store, rounded, values);
        }
        let vectors = queries.chunks_exact_mut(width).zip(keys.chunks_exact_mut(width));
        for ((query, key), places) in vectors.zip(places.chunks_exact(turns.len())) {
            for vector in [query, key] {
                vector.chunks_exact_mut(size).for_each(|head| turn(head, places));
            }
        }
        let scale = 1.0 / (size as f32).sqrt();
        queries.iter_mut().for_each(|query| *query *= scale);
        transpose(keys, width, turned);
        // What was normed is no longer needed.
        scores.resize(AT_ONCE.min(moments) * moments, 0.0);
        for (queries, out) in queries.chunks(at_once).zip(normed.chunks_mut(at_once)) {
            let rows = queries.len() / width;
            for head in 0..*heads {
                let keys = View { reals: &turned[head * size * moments..], stride: moments };
                let shape = Shape { rows, depth: size, columns: moments };
                kernels.product(View { reals: &queries[head * size..], stride: width }, keys, shape, scores, moments);
                scores[..rows * moments].chunks_exact_mut(moments).for_each(|scores| kernels.softmax(scores));
                let shape = Shape { rows, depth: moments, columns: size };
                let shares = View { reals: scores, stride: moments };
                let values = View { reals: &values[head * size..], stride: width };
                kernels.product(shares, values, shape, &mut out[head * size..], width);
            }
        }
        for (normed, (queries, states)) in
            normed.chunks(at_once).zip(queries.chunks_mut(at_once).zip(states.chunks_mut(at_once)))
        {
            layer.out.times(store, rounded.take_octets(normed, width), queries);
            add(states, queries);
        }
    }

    /// Adds to each moment what the network makes of it.
    fn think(&mut self, n: usize) {
        let Self { store, layers, states, scratch, last_norm, .. } = self;
        let Scratch { rounded, normed, queries, inner, .. } = scratch;
        let (layer, width, kernels) = (&layers[n], last_norm.len(), Kernels::best());
        norm(states, &layer.before_network, normed);
        for (normed, states) in normed.chunks(AT_ONCE * width).zip(states.chunks_mut(AT_ONCE * width)) {
            inner.resize(normed.len() / width * layer.up.rows(), 0.0);
            layer.up.times(store, rounded.take(normed, width), inner);
            inner.chunks_exact_mut(layer.up_bias.len()).for_each(|inner| add(inner, &layer.up_bias));
            kernels.gelu(inner);
            queries.resize(normed.len(), 0.0);
            layer.down.times(store, rounded.take_octets(inner, layer.down.width()), queries);
            add(states, queries);
            states.chunks_exact_mut(width).for_each(|state| add(state, &layer.down_bias));
        }
    }
}

fn layer(parts: &Parts<'_>, store: &mut Store, n: usize) -> Result<Layer, String> {
    let reals = |name: &str| parts.reals(&format!("layers.{n}.{name}"));
    let mut product = |name: &str| parts.product(store, &format!("layers.{n}/{name}"));
    Ok(Layer {
        before_attention: reals("input_layernorm.weight")?,
        query: product("self_attn/q_proj")?,
        key: product("self_attn/k_proj")?,
        value: product("self_attn/v_proj")?,
        out: product("self_attn/dense")?,
        before_network: reals("post_attention_layernorm.weight")?,
        up: product("mlp/fc1")?,
        up_bias: reals("mlp.fc1.bias")?,
        down: product("mlp/fc2")?,
        down_bias: reals("mlp.fc2.bias")?,
    })
}

/// The product with each window of the input; windows begin `stride` numbers apart.
fn convolve(matrix: &Matrix, store: &Store, input: &[f32], stride: usize, rounded: &mut Rounded, out: &mut Vec<f32>) {
    let width = matrix.width();
    let windows = if input.len() < width { 0 } else { (input.len() - width) / stride + 1 };
    out.clear();
    out.resize(windows * matrix.rows(), 0.0);
    for (n, out) in out.chunks_mut(AT_ONCE * matrix.rows()).enumerate() {
        let from = n * AT_ONCE * stride;
        let to = from + (out.len() / matrix.rows() - 1) * stride + width;
        matrix.times(store, rounded.take_windows(&input[from..to], width, stride), out);
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

/// Norms moments by one mean and one variance of all their numbers.
fn norm_all(moments: &mut [f32], [times, plus]: &[Vec<f32>; 2]) {
    // Some millions of numbers.
    let count = moments.len() as f64;
    let of = |of: &dyn Fn(f32) -> f64| moments.iter().map(|x| of(*x)).sum::<f64>() / count;
    let mean = of(&|x| f64::from(x));
    let variance = of(&|x| (f64::from(x) - mean).powi(2)) as f32;
    let (mean, scale) = (mean as f32, 1.0 / (variance + EPSILON).sqrt());
    for moment in moments.chunks_exact_mut(times.len()) {
        for ((x, times), plus) in moment.iter_mut().zip(times).zip(plus) {
            *x = (*x - mean) * scale * times + plus;
        }
    }
}

/// Norms each vector.
pub(super) fn norm(vectors: &[f32], weights: &[f32], normed: &mut Vec<f32>) {
    normed.resize(vectors.len(), 0.0);
    for (vector, normed) in vectors.chunks_exact(weights.len()).zip(normed.chunks_exact_mut(weights.len())) {
        Kernels::best().layer_norm(vector, weights, normed);
    }
}

/// Turns the pairs at the beginning of a head.
fn turn(head: &mut [f32], places: &[(f32, f32)]) {
    for (pair, (sin, cos)) in head.as_chunks_mut::<2>().0.iter_mut().zip(places) {
        let [x, y] = *pair;
        *pair = [x * cos - y * sin, y * cos + x * sin];
    }
}

/// Vectors of `width` numbers side by side.
pub(super) fn transpose(vectors: &[f32], width: usize, out: &mut [f32]) {
    let count = vectors.len() / width;
    for (n, vector) in vectors.chunks_exact(width).enumerate() {
        for (out, x) in out[n..].iter_mut().step_by(count).zip(vector) {
            *out = *x;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::weights::Weights;
    use super::super::wire::{INT8, REAL, UINT8, message, node, weight};
    use super::*;
    use crate::assets::{Assets, MoonshineSize};
    use crate::session;
    use crate::tts::Flite;
    use ort::value::TensorRef;
    use std::ops::ControlFlow;
    use std::path::PathBuf;

    const WIDTH: u8 = 8;
    const INNER: u8 = 6;

    /// An encoder's file that hears nothing sensible, with the names of a real one.
    fn model() -> Vec<u8> {
        let mut next = 7_u32;
        let mut octets = |count: usize| -> Vec<u8> {
            let mut octet = || {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (next >> 24) as u8
            };
            (0..count).map(|_| octet()).collect()
        };
        let real = |value: f32| value.to_le_bytes();
        let mut parts = Vec::new();
        for (name, shape) in
            [("conv1", [WIDTH, 1, 127]), ("conv2", [2 * WIDTH, WIDTH, 7]), ("conv3", [WIDTH, 2 * WIDTH, 3])]
        {
            let count = shape.iter().map(|length| usize::from(*length)).product();
            parts.push(weight(&format!("{name}.weight_quantized"), &shape, INT8 as u8, &octets(count)));
            parts.push(weight(&format!("{name}.weight_scale"), &[1], REAL as u8, &real(0.004)));
            parts.push(weight(&format!("{name}.weight_zero_point"), &[1], REAL as u8, &real(0.012)));
        }
        let mut reals = vec![("conv2.bias".to_owned(), 2 * WIDTH), ("conv3.bias".to_owned(), WIDTH)];
        reals.extend([("onnx::Mul_7".to_owned(), WIDTH), ("onnx::Add_8".to_owned(), WIDTH)]);
        reals.extend([("layer_norm.weight".to_owned(), WIDTH), ("/rotary_emb/Cast_1_output_0".to_owned(), 1)]);
        parts.push(node("Mul", &["x", "onnx::Mul_7"], "/groupnorm/Mul_output_0"));
        parts.push(node("Add", &["x", "onnx::Add_8"], "/groupnorm/Add_output_0"));
        for layer in 0..2 {
            let square =
                ["q_proj", "k_proj", "v_proj", "dense"].map(|name| (format!("self_attn/{name}"), [WIDTH, WIDTH]));
            let network = [("mlp/fc1".to_owned(), [WIDTH, INNER]), ("mlp/fc2".to_owned(), [INNER, WIDTH])];
            for (n, (module, shape)) in square.into_iter().chain(network).enumerate() {
                let name = format!("onnx::MatMul_{layer}{n}");
                let of = ["_quantized", "_scale", "_zero_point"].map(|part| format!("{name}{part}"));
                let count = shape.iter().map(|length| usize::from(*length)).product();
                parts.push(weight(&of[0], &shape, UINT8 as u8, &octets(count)));
                parts.push(weight(&of[1], &[], REAL as u8, &real(0.01)));
                parts.push(weight(&of[2], &[], UINT8 as u8, &[131]));
                let made = format!("/layers.{layer}/{module}/MatMul_output_0_output_quantized");
                parts.push(node("MatMulInteger", &["x", &of[0], "x_zero", &of[2]], &made));
            }
            for (name, length) in [
                ("input_layernorm.weight", WIDTH),
                ("post_attention_layernorm.weight", WIDTH),
                ("mlp.fc1.bias", INNER),
                ("mlp.fc2.bias", WIDTH),
            ] {
                reals.push((format!("layers.{layer}.{name}"), length));
            }
        }
        for (name, length) in reals {
            let raw: Vec<u8> =
                octets(length.into()).into_iter().flat_map(|octet| real(0.5 + f32::from(octet) / 256.0)).collect();
            parts.push(weight(&name, &[length], REAL as u8, &raw));
        }
        message(&[(7, message(&parts))])
    }

    fn noise(count: usize) -> Vec<f32> {
        (0..count).map(|n| (n as f32 * 0.37).sin() * (n as f32 * 0.011).cos()).collect()
    }

    #[test]
    fn a_state_for_each_moment_and_nothing_of_the_turn_before() {
        let mut encoder = Encoder::parse(&model(), 2).unwrap();
        let width = encoder.width();
        assert_eq!(width, usize::from(WIDTH));
        for (samples, moments) in
            [(0, 0), (894, 0), (895, 1), (895 + 383, 1), (895 + 384, 2), (16_000, 40), (80_000, 207)]
        {
            let states = encoder.listen(&noise(samples));
            assert_eq!(states.len(), moments * width, "{samples}");
            assert!(states.iter().all(|state| state.is_finite()));
        }
        let after = encoder.listen(&noise(16_000)).to_vec();
        assert_eq!(after, Encoder::parse(&model(), 2).unwrap().listen(&noise(16_000)));
        assert_ne!(after[..width], after[width..2 * width]);
        // Memory of half a minute is not kept, that of a second is.
        encoder.forget();
        assert!(encoder.states.capacity() >= 40 * width);
        encoder.listen(&noise(480_000));
        encoder.forget();
        let Scratch { normed, inner, scores, .. } = &encoder.scratch;
        assert_eq!([&encoder.states, normed, inner, scores].map(Vec::capacity), [0; 4]);
        // Silence, and what is no number.
        assert!(encoder.listen(&[0.0; 4000]).iter().all(|state| state.is_finite()));
        assert!(encoder.listen(&[f32::NAN; 4000]).iter().all(|state| state.is_nan()));
    }

    #[test]
    fn a_file_that_is_no_encoder_is_refused_with_the_reason() {
        let good = model();
        for (from, to, why) in [
            ("conv2.weight_quantized", "conv2.weight_quantised", "its conv2 is missing"),
            ("conv3.bias", "conv3.tint", "its conv3.bias is missing"),
            ("/groupnorm/Add", "/grouprorm/Add", "its group norm has no Add"),
            ("layers.1.mlp.fc1.bias", "layers.1.mlp.fc1.tint", "its layers.1.mlp.fc1.bias is missing"),
            ("layers.1/mlp/fc2/MatMul", "layers.1/mlp/fc3/MatMul", "its layers.1/mlp/fc2 is missing"),
            ("rotary_emb/Cast", "rotary_emb/Rest", "its places are missing"),
            ("conv1.weight_scale", "conv1.weight_state", "its conv1 is missing"),
        ] {
            assert_eq!(from.len(), to.len());
            let at: Vec<usize> =
                (0..good.len() - from.len()).filter(|at| good[*at..].starts_with(from.as_bytes())).collect();
            let mut bad = good.clone();
            at.iter().for_each(|at| bad[*at..*at + to.len()].copy_from_slice(to.as_bytes()));
            assert_eq!(Encoder::parse(&bad, 2).unwrap_err(), why);
        }
        for heads in [0, 3, 8] {
            assert_eq!(Encoder::parse(&good, heads).unwrap_err(), "its tables do not fit together");
        }
        assert!(Encoder::parse(&[], 2).unwrap_err().contains(NOT_ONE));
        assert!((0..good.len()).step_by(7).all(|end| Encoder::parse(&good[..end], 2).is_err()));
    }

    /// Where a model is, and a sentence as it takes one; `None`: model or voice is missing.
    pub(in super::super) fn a_sentence(assets: &Assets, size: MoonshineSize) -> Option<(PathBuf, Vec<f32>)> {
        let (Ok(directory), Ok(mut flite)) = (assets.moonshine(size), Flite::load(assets, "rms")) else {
            assert!(std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none(), "model and voice are meant to be there");
            return None;
        };
        let mut samples = vec![0.0_f32; 3200];
        flite.speak("We would like to have a shop for our candles.", &mut |chunk| {
            samples.extend(chunk.iter().map(|sample| f32::from(*sample) / 32_768.0));
            ControlFlow::Continue(())
        });
        Some((directory, samples))
    }

    /// A sentence as the encoder hears it and as the published graph does.
    fn beside_the_published_graph(size: MoonshineSize) {
        let assets = Assets::locate();
        let Some((directory, samples)) = a_sentence(&assets, size) else { return };
        let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
        let heads = Weights::parse(&read("decoder.onnx")).unwrap().heads;
        let mut published = session::open_varying(&assets, "a test", &directory.join("encoder.onnx"), 1).unwrap();
        let mut encoder = Encoder::parse(&read("encoder.onnx"), heads).unwrap();
        // The same after another turn, and a short one.
        encoder.listen(&samples[5000..9000]);
        for (samples, most) in [(&samples[..], 0.06), (&samples[4000..5600], 0.15)] {
            let input = TensorRef::from_array_view(([1_usize, samples.len()], samples)).unwrap();
            let heard = published.run(ort::inputs! { input }).unwrap();
            let expected = heard[0].try_extract_tensor::<f32>().unwrap().1;
            let ours = encoder.listen(samples);
            let power = |of: &mut dyn Iterator<Item = f32>| of.map(|x| f64::from(x).powi(2)).sum::<f64>();
            let apart = power(&mut ours.iter().zip(expected).map(|(a, b)| a - b));
            let share = (apart / power(&mut expected.iter().copied())).sqrt();
            // Both round what they multiply to 8 bits, each in its own way.
            assert!(ours.len() == expected.len() && share < most, "{size:?}: {share}");
        }
    }

    #[test]
    fn it_hears_what_the_published_graph_hears() {
        beside_the_published_graph(MoonshineSize::Tiny);
        beside_the_published_graph(MoonshineSize::Base);
    }
}
