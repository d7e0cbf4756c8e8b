//! Training. Purpose: from speech with known word times to the weights of a small network, in seconds.
//!
//! Every 30 ms frame is one example: the features of the last [`CONTEXT`] frames, and the word that ended a little before,
//! or none. That makes a transcript without any search: the network says a word for some frames and nothing in between, as
//! CTC wants it. The arithmetic is a graph too: one step of Adam, run by ONNX Runtime, fast whatever this crate was
//! compiled for. Deterministic but for the last bits, which follow the processor. Any thread.

use super::corpus::{Line, Speaker, Spoken};
use super::front::{self, BANDS, FRAME_SAMPLES, OVERLAP_SAMPLES, RATE_HZ};
use super::onnx::{Attribute, Dim, Element, Graph, Value};
use super::random::Random;
use super::{DoubleError, sentences};
use crate::assets::Assets;
use crate::session;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef};
use std::borrow::Cow;

/// Frames that the network sees at once: 780 ms.
pub(super) const CONTEXT: usize = 28;
/// Hidden units.
pub(super) const HIDDEN: usize = 192;
/// Inputs of the network.
pub(super) const INPUTS: usize = BANDS * CONTEXT;

/// From the end of a word to the first frame that says it: what follows helps to tell.
const DELAY_SAMPLES: usize = 8 * RATE_HZ / 100;
/// Frames that say it.
const SAID_FRAMES: usize = 3;
/// Each sentence is heard this often, over other lines.
const LINES: usize = 5;
const EPOCHS: usize = 8;
const BATCH: usize = 128;
const RATE: f32 = 2e-3;
const MOMENTUM: f32 = 0.9;
/// Weights that nothing holds up shrink.
const DECAY: f32 = 0.1;
const SCALE_MEMORY: f32 = 0.999;
const VALUE_MEMORY: f32 = 0.999;

/// What was learnt. Matrices by rows.
pub(super) struct Network {
    /// [inputs, hidden]; an input is band × context + frame.
    pub(super) hidden: Vec<f32>,
    pub(super) hidden_bias: Vec<f32>,
    /// [hidden, outputs]; output 0 is "no word".
    pub(super) output: Vec<f32>,
    pub(super) output_bias: Vec<f32>,
}

/// One utterance: features with silence before them, and the output wanted of each frame.
struct Utterance {
    /// [bands, `stride`], the first [`CONTEXT`] − 1 frames silent.
    features: Vec<f32>,
    stride: usize,
    wanted: Vec<usize>,
}

/// Trains on everything in [`sentences`]. Outputs are "no word" and then `words`.
pub(super) fn train(assets: &Assets, words: &[&str]) -> Result<Network, DoubleError> {
    let utterances = utterances(assets, words)?;
    let mut examples: Vec<(usize, usize)> = utterances
        .iter()
        .enumerate()
        .flat_map(|(n, utterance)| (0..utterance.wanted.len()).map(move |frame| (n, frame)))
        .collect();
    let outputs = words.len() + 1;
    let mut step = Step::new(assets, outputs)?;
    let mut random = Random::new(1);
    let steps = EPOCHS * (examples.len() / BATCH);
    let mut done = 0;
    for _ in 0..EPOCHS {
        for n in (1..examples.len()).rev() {
            examples.swap(n, random.below(n + 1));
        }
        for batch in examples.as_chunks::<BATCH>().0 {
            let mut inputs = Vec::with_capacity(BATCH * INPUTS);
            let mut wanted = vec![0.0; BATCH * outputs];
            for (row, (utterance, frame)) in batch.iter().enumerate() {
                let utterance = &utterances[*utterance];
                for band in utterance.features.chunks_exact(utterance.stride) {
                    inputs.extend_from_slice(&band[*frame..frame + CONTEXT]);
                }
                wanted[row * outputs + utterance.wanted[*frame]] = 1.0;
            }
            // Ends at a tenth of where it began, so that the last batches do not shake the weights.
            let rate = RATE * (1.0 - 0.95 * done as f32 / steps as f32);
            step.run(&inputs, &wanted, rate)?;
            done += 1;
        }
    }
    step.network()
}

fn utterances(assets: &Assets, words: &[&str]) -> Result<Vec<Utterance>, DoubleError> {
    let mut speaker = Speaker::load(assets)?;
    let mut front = front_session(assets)?;
    let mut random = Random::new(2);
    let drills = sentences::drills();
    let taught = sentences::SENTENCES.iter().flat_map(|sentence| std::iter::repeat_n(*sentence, 2));
    let mut utterances = Vec::new();
    for sentence in taught.chain(drills.iter().map(String::as_str)) {
        let spoken = speaker.say(sentence);
        for _ in 0..LINES {
            let line = Line {
                before: RATE_HZ / 10 + random.below(RATE_HZ / 2),
                after: RATE_HZ / 2,
                gain: 10.0_f32.powf(random.uniform() * 0.45 - 0.1),
                noise: 120.0 * random.uniform().max(0.0),
            };
            utterances.push(utterance(&mut front, &spoken, &line, words, &mut random)?);
        }
    }
    Ok(utterances)
}

fn utterance(
    front: &mut Session,
    spoken: &Spoken,
    line: &Line,
    words: &[&str],
    random: &mut Random,
) -> Result<Utterance, DoubleError> {
    let heard = line.carry(&spoken.samples, random);
    let frames = heard.len() / FRAME_SAMPLES;
    let mut audio = vec![0; OVERLAP_SAMPLES];
    audio.extend_from_slice(&heard[..frames * FRAME_SAMPLES]);
    let outputs = front.run(ort::inputs! {
        "samples" => TensorRef::from_array_view(([1_usize, 1, audio.len()], audio.as_slice()))?,
    })?;
    let (_, found) = outputs.get("features").ok_or(DoubleError::Shape)?.try_extract_tensor::<f32>()?;
    if found.len() != BANDS * frames {
        return Err(DoubleError::Shape);
    }
    let stride = frames + CONTEXT - 1;
    let mut features = Vec::with_capacity(BANDS * stride);
    for band in found.chunks_exact(frames) {
        features.extend(std::iter::repeat_n(0.0, CONTEXT - 1));
        features.extend_from_slice(band);
    }
    let mut wanted = vec![0; frames];
    let mut free = 0;
    for (word, end) in &spoken.words {
        let Some(at) = words.iter().position(|known| known.eq_ignore_ascii_case(word)) else { continue };
        // A word that ends soon after the one before waits until that has been said.
        let first = ((line.before + end + DELAY_SAMPLES) / FRAME_SAMPLES).max(free);
        free = first + SAID_FRAMES;
        wanted.iter_mut().skip(first).take(SAID_FRAMES).for_each(|output| *output = at + 1);
    }
    Ok(Utterance { features, stride, wanted })
}

fn front_session(assets: &Assets) -> Result<Session, DoubleError> {
    let mut graph = Graph::new();
    let samples = graph.input("samples", Element::I16, &[Dim::Fixed(1), Dim::Fixed(1), Dim::Free("samples")]);
    let features = front::features(&mut graph, &samples);
    graph.output(&features, "features", Element::F32, &[Dim::Fixed(1), Dim::Fixed(BANDS), Dim::Free("frames")]);
    Ok(session::open_encoded(assets, super::PART, &graph.encode())?)
}

/// Parameters in the order of [`Network`]; each has a value, a mean gradient, a mean square gradient and a mean value.
const PARAMETERS: [&str; 4] = ["hidden", "hidden_bias", "output", "output_bias"];
const MEMORIES: [&str; 4] = ["value", "mean", "square", "average"];

/// The optimiser: a graph that improves its own inputs.
struct Step {
    session: Session,
    outputs: usize,
    /// Parameter by parameter, memory by memory.
    memory: Vec<(String, DynValue)>,
    taken: i32,
}

impl Step {
    fn new(assets: &Assets, outputs: usize) -> Result<Self, DoubleError> {
        let mut random = Random::new(3);
        let mut memory = Vec::new();
        for (name, shape) in PARAMETERS.iter().zip(shapes(outputs)) {
            let size = shape[0] * shape[1];
            // Uniform with the variance that rectifiers want; biases begin at zero.
            let bound = if shape[0] == 1 { 0.0 } else { (6.0 / shape[0] as f32).sqrt() };
            let begin: Vec<f32> = (0..size).map(|_| random.uniform() * bound).collect();
            for (kind, data) in MEMORIES.iter().zip([begin.clone(), vec![0.0; size], vec![0.0; size], begin]) {
                memory.push((format!("{name}.{kind}"), Tensor::from_array((shape, data))?.into_dyn()));
            }
        }
        let session = session::open_encoded(assets, super::PART, &step_graph(outputs))?;
        Ok(Self { session, outputs, memory, taken: 0 })
    }

    fn run(&mut self, inputs: &[f32], wanted: &[f32], rate: f32) -> Result<(), DoubleError> {
        self.taken += 1;
        // Adam begins with memories of zero; this makes up for it.
        let rate = [rate * (1.0 - SCALE_MEMORY.powi(self.taken)).sqrt() / (1.0 - MOMENTUM.powi(self.taken))];
        let scalar: [usize; 0] = [];
        let mut feed: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = ort::inputs! {
            "inputs" => TensorRef::from_array_view(([BATCH, INPUTS], inputs))?,
            "wanted" => TensorRef::from_array_view(([BATCH, self.outputs], wanted))?,
            "rate" => TensorRef::from_array_view((scalar, rate.as_slice()))?,
        };
        feed.extend(self.memory.iter().map(|(name, value)| (name.as_str().into(), value.into())));
        let mut made = self.session.run(feed)?;
        let mut next = Vec::with_capacity(self.memory.len());
        for (name, _) in &self.memory {
            next.push((name.clone(), made.remove(format!("{name}.next")).ok_or(DoubleError::Shape)?));
        }
        drop(made);
        self.memory = next;
        Ok(())
    }

    fn network(self) -> Result<Network, DoubleError> {
        // The mean value shakes less than the last one.
        let mut values = self.memory.iter().skip(MEMORIES.len() - 1).step_by(MEMORIES.len()).map(|(_, value)| {
            value.try_extract_tensor::<f32>().map(|(_, data)| data.to_vec()).map_err(DoubleError::from)
        });
        let mut next = || values.next().ok_or(DoubleError::Shape)?;
        Ok(Network { hidden: next()?, hidden_bias: next()?, output: next()?, output_bias: next()? })
    }
}

fn shapes(outputs: usize) -> [[usize; 2]; 4] {
    [[INPUTS, HIDDEN], [1, HIDDEN], [HIDDEN, outputs], [1, outputs]]
}

/// Forward, backward and Adam, as nodes.
fn step_graph(outputs: usize) -> Vec<u8> {
    let mut graph = Graph::new();
    let fixed = |size| Dim::Fixed(size);
    let x = graph.input("inputs", Element::F32, &[fixed(BATCH), fixed(INPUTS)]);
    let wanted = graph.input("wanted", Element::F32, &[fixed(BATCH), fixed(outputs)]);
    let rate = graph.input("rate", Element::F32, &[]);
    let memory: Vec<Vec<Value>> = PARAMETERS
        .iter()
        .zip(shapes(outputs))
        .map(|(name, shape)| {
            MEMORIES.map(|kind| graph.input(&format!("{name}.{kind}"), Element::F32, &shape.map(fixed))).to_vec()
        })
        .collect();
    let transposed = |which: &'static str| [(which, Attribute::Int(1))];
    let [w1, b1, w2, b2] = [0, 1, 2, 3].map(|n: usize| memory[n][0].clone());
    let before = graph.node("Gemm", &[&x, &w1, &b1], &[]);
    let hidden = graph.node("Relu", &[&before], &[]);
    let scores = graph.node("Gemm", &[&hidden, &w2, &b2], &[]);
    let said = graph.node("Softmax", &[&scores], &[("axis", Attribute::Int(1))]);
    // The gradient of the cross entropy by the scores.
    let error = graph.node("Sub", &[&said, &wanted], &[]);
    let share = graph.number(1.0 / BATCH as f32);
    let error = graph.node("Mul", &[&error, &share], &[]);
    let back = graph.node("Gemm", &[&error, &w2], &transposed("transB"));
    let zero = graph.number(0.0);
    let alive = graph.node("Greater", &[&before, &zero], &[]);
    let alive = graph.cast(&alive, Element::F32);
    let back = graph.node("Mul", &[&back, &alive], &[]);
    let rows = graph.integers(&[0]);
    let gradients = [
        graph.node("Gemm", &[&x, &back], &transposed("transA")),
        graph.node("ReduceSum", &[&back, &rows], &[("keepdims", Attribute::Int(1))]),
        graph.node("Gemm", &[&hidden, &error], &transposed("transA")),
        graph.node("ReduceSum", &[&error, &rows], &[("keepdims", Attribute::Int(1))]),
    ];
    for (((name, shape), memory), gradient) in PARAMETERS.iter().zip(shapes(outputs)).zip(&memory).zip(&gradients) {
        let [value, mean, square, average] = memory.as_slice() else { continue };
        let mean = blend(&mut graph, mean, gradient, MOMENTUM);
        let gradient_square = graph.node("Mul", &[gradient, gradient], &[]);
        let square = blend(&mut graph, square, &gradient_square, SCALE_MEMORY);
        let scale = graph.node("Sqrt", &[&square], &[]);
        let little = graph.number(1e-8);
        let scale = graph.node("Add", &[&scale, &little], &[]);
        let change = graph.node("Div", &[&mean, &scale], &[]);
        let decay = graph.number(DECAY);
        let shrinks = graph.node("Mul", &[value, &decay], &[]);
        let change = graph.node("Add", &[&change, &shrinks], &[]);
        let change = graph.node("Mul", &[&change, &rate], &[]);
        let value = graph.node("Sub", &[value, &change], &[]);
        let average = blend(&mut graph, average, &value, VALUE_MEMORY);
        for (kind, next) in MEMORIES.iter().zip([value, mean, square, average]) {
            graph.output(&next, &format!("{name}.{kind}.next"), Element::F32, &shape.map(fixed));
        }
    }
    graph.encode()
}

/// `old` × `keep` + `new` × (1 − `keep`).
fn blend(graph: &mut Graph, old: &Value, new: &Value, keep: f32) -> Value {
    let (keep, take) = (graph.number(keep), graph.number(1.0 - keep));
    let old = graph.node("Mul", &[old, &keep], &[]);
    let new = graph.node("Mul", &[new, &take], &[]);
    graph.node("Add", &[&old, &new], &[])
}
