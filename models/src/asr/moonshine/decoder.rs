//! The decoder: from a turn's audio and the tokens so far to what it thinks comes next. Purpose: the published graph in our
//! own code: it is 1,454 small steps a token there, most of which move numbers about, and that costs four times what the
//! products do. Owning thread: the engine's. Invariants: the audio's part of the memory is made once a turn; each token of
//! each text is kept once, however many texts go on from it; nothing of a turn stays for the next. Deliberately absent:
//! which token to take (`beam`), the encoder (`graph`).
//!
//! Layer by layer (Jeffries et al. 2024; Vaswani et al. 2017): attention to the text so far with places turned into the
//! first numbers of each head (Su et al. 2021, neighbours as pairs), attention to the audio, and a gated network whose gate
//! is a SiLU; before each a layer norm without bias. The last state times the table of tokens says how likely each is.

use super::encoder::{MOMENTS_KEPT, norm, transpose};
use super::matrix::Rounded;
use super::weights::Weights;
use callwright_dsp::kernel::{Kernels, Shape, View};

/// Memory is kept from turn to turn for so many tokens: of a turn of 8 s, in each of five texts.
const TOKENS_KEPT: usize = 320;

/// Where the tokens of a text lie in memory, the first first.
pub(super) type Path = Vec<u32>;

/// One more token of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next<'a> {
    pub(super) token: u32,
    /// The tokens before it; those that the same call writes are numbered in its order.
    pub(super) before: &'a [u32],
}

/// What one layer remembers: keys and values, one vector of each behind the other.
#[derive(Debug, Default)]
struct Memory {
    keys: Vec<f32>,
    values: Vec<f32>,
}

#[derive(Debug)]
pub(super) struct Decoder {
    weights: Weights,
    /// Keys of the audio lie side by side.
    audio: Vec<Memory>,
    texts: Vec<Memory>,
    /// Tokens in memory.
    written: usize,
    /// What it thinks after each token of the last call.
    states: Vec<f32>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    rounded: Rounded,
    normed: Vec<f32>,
    queries: Vec<f32>,
    out: Vec<f32>,
    inner: Vec<f32>,
    scores: Vec<f32>,
}

impl Decoder {
    pub(super) fn new(weights: Weights) -> Self {
        let memories = || weights.layers.iter().map(|_| Memory::default()).collect();
        let (audio, texts) = (memories(), memories());
        Self { weights, audio, texts, written: 0, states: Vec::new(), scratch: Scratch::default() }
    }

    /// Tokens that there are.
    pub(super) fn tokens(&self) -> usize {
        self.weights.table.rows()
    }

    /// Numbers in a state.
    pub(super) fn width(&self) -> usize {
        self.weights.width()
    }

    /// Lets go of the turn, and of what memory only a longer one than most needs: one of 30 s takes tens of megabytes.
    pub(super) fn forget(&mut self) {
        let width = self.width();
        if self.written > TOKENS_KEPT || self.audio.iter().any(|memory| memory.keys.len() > MOMENTS_KEPT * width) {
            (self.scratch, self.states) = (Scratch::default(), Vec::new());
        }
        let audio = self.audio.iter_mut().map(|memory| (memory, MOMENTS_KEPT));
        for (memory, kept) in audio.chain(self.texts.iter_mut().map(|memory| (memory, TOKENS_KEPT))) {
            for vectors in [&mut memory.keys, &mut memory.values] {
                vectors.clear();
                // What was never larger stays where it is.
                vectors.shrink_to(kept * width);
            }
        }
        self.written = 0;
        self.states.clear();
    }

    /// Hears a turn: what the encoder made of it, a vector of [`width`](Self::width) for each of its frames.
    pub(super) fn listen(&mut self, frames: &[f32]) {
        self.forget();
        let width = self.width();
        let size = frames.len() / width * width;
        let (rounded, store) = (self.scratch.rounded.take_octets(frames, width), &self.weights.store);
        for (layer, memory) in self.weights.layers.iter().zip(&mut self.audio) {
            memory.keys.resize(size, 0.0);
            memory.values.resize(size, 0.0);
            // What comes next has the room until then.
            layer.audio.key.times(store, rounded, &mut memory.values);
            transpose(&memory.values, width, &mut memory.keys);
            layer.audio.value.times(store, rounded, &mut memory.values);
        }
    }

    /// Where the next token will lie.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.written).unwrap_or(u32::MAX)
    }

    /// Reads one more token of each of several texts. What it thinks after each is in [`states`](Self::states).
    ///
    /// # Errors
    /// What of the question makes no sense, which is our own fault.
    pub(super) fn read(&mut self, asked: &[Next<'_>]) -> Result<(), &'static str> {
        let Self { weights, audio, texts, written, states, scratch } = self;
        let width = weights.width();
        states.clear();
        for (n, next) in asked.iter().enumerate() {
            if next.before.iter().any(|slot| *slot as usize >= *written + n) {
                return Err("a text that goes on from none");
            }
            states.extend(weights.table.row(&weights.store, next.token as usize).ok_or("a token that there is not")?);
        }
        let (heads, store) = (weights.heads, &weights.store);
        let Scratch { rounded, normed, queries, out, inner, scores } = scratch;
        for reals in [&mut *queries, &mut *out] {
            reals.resize(states.len(), 0.0);
        }
        for ((layer, audio), texts) in weights.layers.iter().zip(audio).zip(texts) {
            norm(states, &layer.before_texts, normed);
            rounded.take_octets(normed, width);
            let from = texts.keys.len();
            texts.keys.resize(from + states.len(), 0.0);
            texts.values.resize(from + states.len(), 0.0);
            layer.texts.query.times(store, rounded, queries);
            layer.texts.key.times(store, rounded, &mut texts.keys[from..]);
            layer.texts.value.times(store, rounded, &mut texts.values[from..]);
            for (n, next) in asked.iter().enumerate() {
                let at = n * width..(n + 1) * width;
                turn(&mut queries[at.clone()], next.before.len(), heads, &weights.turns);
                turn(&mut texts.keys[from..][at], next.before.len(), heads, &weights.turns);
            }
            for (n, next) in asked.iter().enumerate() {
                let at = n * width..(n + 1) * width;
                let slots = next.before.iter().map(|slot| *slot as usize).chain([*written + n]);
                attend(&queries[at.clone()], texts, slots, heads, scores, &mut out[at]);
            }
            layer.texts.out.times(store, rounded.take_octets(out, width), queries);
            add(states, queries);

            norm(states, &layer.before_audio, normed);
            layer.audio.query.times(store, rounded.take_octets(normed, width), queries);
            hear(queries, audio, (width, heads), scores, out);
            layer.audio.out.times(store, rounded.take_octets(out, width), queries);
            add(states, queries);

            norm(states, &layer.before_mlp, normed);
            let width_inner = layer.down.width();
            inner.resize(asked.len() * 2 * width_inner, 0.0);
            layer.up.times(store, rounded.take_octets(normed, width), inner);
            normed.clear();
            for inner in inner.chunks_exact_mut(2 * width_inner) {
                add(inner, &layer.up_bias);
                let (passes, gates) = inner.split_at(width_inner);
                let from = normed.len();
                normed.resize(from + width_inner, 0.0);
                Kernels::best().gate(passes, gates, &mut normed[from..]);
            }
            layer.down.times(store, rounded.take_octets(normed, width_inner), queries);
            add(states, queries);
            states.chunks_exact_mut(width).for_each(|state| add(state, &layer.down_bias));
        }
        norm(states, &weights.last_norm, normed);
        std::mem::swap(states, normed);
        *written += asked.len();
        Ok(())
    }

    /// What it thinks, a vector of [`width`](Self::width) after each token of the last call.
    pub(super) fn states(&self) -> &[f32] {
        &self.states
    }

    /// How likely all tokens are (unnormalised logs) after each of these places of the last call: `logits` holds
    /// [`tokens`](Self::tokens) for each.
    pub(super) fn project(
        &mut self,
        places: std::ops::Range<usize>,
        logits: &mut Vec<f32>,
    ) -> Result<(), &'static str> {
        let width = self.width();
        let states = self.states.get(places.start * width..places.end * width).ok_or("a place that there is not")?;
        logits.resize(places.len() * self.weights.table.rows(), 0.0);
        self.weights.table.times(&self.weights.store, self.scratch.rounded.take_octets(states, width), logits);
        Ok(())
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

/// Turns the pairs at the beginning of each head by their place in the text.
fn turn(vector: &mut [f32], place: usize, heads: usize, turns: &[f32]) {
    let size = vector.len() / heads;
    for (n, by) in turns.iter().enumerate() {
        let (sin, cos) = (place as f32 * by).sin_cos();
        for head in vector.chunks_exact_mut(size) {
            let (x, y) = (head[2 * n], head[2 * n + 1]);
            (head[2 * n], head[2 * n + 1]) = (x * cos - y * sin, y * cos + x * sin);
        }
    }
}

/// What is remembered of the audio, each moment as far as its key is like the query, head by head, for each query.
fn hear(queries: &mut [f32], memory: &Memory, (width, heads): (usize, usize), scores: &mut Vec<f32>, out: &mut [f32]) {
    let (rows, moments, size) = (queries.len() / width, memory.keys.len() / width, width / heads);
    if moments == 0 {
        return out.fill(0.0);
    }
    let (kernels, scale) = (Kernels::best(), 1.0 / (size as f32).sqrt());
    queries.iter_mut().for_each(|query| *query *= scale);
    scores.clear();
    scores.resize(rows * moments, 0.0);
    for head in (0..width).step_by(size) {
        let of = |reals| View { reals, stride: width };
        let keys = View { reals: &memory.keys[head * moments..], stride: moments };
        kernels.product(of(&queries[head..]), keys, Shape { rows, depth: size, columns: moments }, scores, moments);
        scores.chunks_exact_mut(moments).for_each(|scores| kernels.softmax(scores));
        let shares = View { reals: scores, stride: moments };
        let shape = Shape { rows, depth: moments, columns: size };
        kernels.product(shares, of(&memory.values[head..]), shape, &mut out[head..], width);
    }
}

/// What is remembered of the text in these slots, each as far as its key is like the query, head by head.
fn attend(
    query: &[f32],
    memory: &Memory,
    slots: impl Iterator<Item = usize> + Clone,
    heads: usize,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (width, size) = (query.len(), query.len() / heads);
    let scale = 1.0 / (size as f32).sqrt();
    scores.clear();
    for slot in slots.clone() {
        let key = &memory.keys[slot * width..(slot + 1) * width];
        scores.extend(query.chunks_exact(size).zip(key.chunks_exact(size)).map(|(query, key)| dot(query, key) * scale));
    }
    out.fill(0.0);
    for head in 0..heads {
        let of = |scores: &[f32]| scores.iter().skip(head).step_by(heads).fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let largest = of(scores);
        let mut sum = 0.0;
        for score in scores.iter_mut().skip(head).step_by(heads) {
            *score = (*score - largest).exp();
            sum += *score;
        }
        for score in scores.iter_mut().skip(head).step_by(heads) {
            *score /= sum;
        }
    }
    for (slot, shares) in slots.zip(scores.chunks_exact(heads)) {
        let value = &memory.values[slot * width..(slot + 1) * width];
        for ((out, value), share) in out.chunks_exact_mut(size).zip(value.chunks_exact(size)).zip(shares) {
            for (out, value) in out.iter_mut().zip(value) {
                *out += share * value;
            }
        }
    }
}

/// Sum of products.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    let mut sums = [0.0_f32; 4];
    for (x, y) in x.iter().zip(y) {
        for n in 0..4 {
            sums[n] += x[n] * y[n];
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::a_sentence;
    use super::super::weights;
    use super::*;
    use crate::assets::{Assets, MoonshineSize};
    use crate::session;
    use ort::session::SessionInputValue;
    use ort::value::{Tensor, TensorRef};
    use std::borrow::Cow;

    fn small() -> Decoder {
        let mut decoder = Decoder::new(Weights::parse(&weights::tests::model()).unwrap());
        let frames: Vec<f32> = (0..5 * decoder.width()).map(|n| (n as f32 * 0.7).sin()).collect();
        decoder.listen(&frames);
        decoder
    }

    fn near(one: &[f32], other: &[f32]) -> bool {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 2e-3)
    }

    #[test]
    fn what_is_read_at_once_is_what_is_read_token_by_token() {
        let tokens = [1, 7, 3, 3, 9];
        let mut decoder = small();
        let path: Path = (0..5).collect();
        let chain: Vec<Next<'_>> =
            tokens.iter().enumerate().map(|(n, token)| Next { token: *token, before: &path[..n] }).collect();
        decoder.read(&chain).unwrap();
        let at_once = decoder.states().to_vec();
        let mut decoder = small();
        let mut apart = Vec::new();
        for next in &chain {
            decoder.read(&[*next]).unwrap();
            apart.extend_from_slice(decoder.states());
        }
        assert!(near(&at_once, &apart) && apart.iter().all(|value| value.is_finite()), "{at_once:?} {apart:?}");
        let mut logits = Vec::new();
        decoder.project(0..1, &mut logits).unwrap();
        assert_eq!((logits.len(), decoder.tokens(), decoder.end()), (10, 10, 5));
    }

    #[test]
    fn texts_that_part_do_not_know_of_each_other() {
        let mut decoder = small();
        decoder.read(&[Next { token: 1, before: &[] }]).unwrap();
        decoder.read(&[Next { token: 4, before: &[0] }, Next { token: 8, before: &[0] }]).unwrap();
        decoder.read(&[Next { token: 2, before: &[0, 2] }, Next { token: 2, before: &[0, 1] }]).unwrap();
        let both = decoder.states().to_vec();
        for (n, second) in [8, 4].into_iter().enumerate() {
            let mut decoder = small();
            for (token, before) in [(1, &[][..]), (second, &[0]), (2, &[0, 1])] {
                decoder.read(&[Next { token, before }]).unwrap();
            }
            assert!(near(decoder.states(), &both[n * decoder.width()..(n + 1) * decoder.width()]));
        }
        assert!(!near(&both[..decoder.width()], &both[decoder.width()..]));
    }

    #[test]
    fn the_order_of_words_counts_and_the_turn_before_does_not() {
        let states = |decoder: &mut Decoder, tokens: [u32; 3]| {
            decoder.read(&[Next { token: tokens[0], before: &[] }]).unwrap();
            decoder.read(&[Next { token: tokens[1], before: &[0] }]).unwrap();
            decoder.read(&[Next { token: tokens[2], before: &[0, 1] }]).unwrap();
            decoder.states().to_vec()
        };
        let mut decoder = small();
        let one = states(&mut decoder, [4, 8, 1]);
        decoder.listen(&[0.5; 24]);
        let other_turn = states(&mut decoder, [4, 8, 1]);
        let frames: Vec<f32> = (0..40).map(|n| (n as f32 * 0.7).sin()).collect();
        decoder.listen(&frames);
        assert_eq!(states(&mut decoder, [4, 8, 1]), one);
        assert_ne!(one, other_turn);
        assert!(!near(&one, &states(&mut small(), [8, 4, 1])));
    }

    #[test]
    fn memory_of_a_long_turn_is_not_kept_and_that_of_others_is() {
        let mut decoder = Decoder::new(Weights::parse(&weights::tests::model()).unwrap());
        let width = decoder.width();
        let mut turn = |frames: usize, tokens: usize| {
            decoder.listen(&vec![0.5; frames * width]);
            let path: Path = (0..tokens as u32).collect();
            for at in 0..tokens {
                decoder.read(&[Next { token: 3, before: &path[..at.min(2)] }]).unwrap();
            }
            decoder.forget();
            let vectors = decoder.audio.iter().chain(&decoder.texts).flat_map(|memory| [&memory.keys, &memory.values]);
            vectors.map(|vectors| (vectors.as_ptr(), vectors.capacity() / width)).collect::<Vec<_>>()
        };
        // 30 s, in several texts.
        let long = turn(1250, 1200);
        let kept = long.iter().map(|(_, vectors)| *vectors).max().unwrap();
        assert!(kept <= MOMENTS_KEPT.max(TOKENS_KEPT), "{kept} vectors are kept");
        for (frames, tokens) in [(MOMENTS_KEPT, TOKENS_KEPT), (40, 8), (MOMENTS_KEPT, 20)] {
            assert_eq!(turn(frames, tokens), long, "it stays where it was");
        }
    }

    #[test]
    fn a_question_that_makes_no_sense_is_refused_and_silence_is_survived() {
        let mut decoder = small();
        assert!(decoder.read(&[Next { token: 10, before: &[] }]).is_err());
        assert!(decoder.read(&[Next { token: 1, before: &[0] }]).is_err());
        assert!(decoder.project(0..1, &mut Vec::new()).is_err());
        decoder.listen(&[]);
        decoder.read(&[Next { token: 1, before: &[] }]).unwrap();
        assert!(decoder.states().iter().all(|value| value.is_finite()));
        decoder.listen(&[f32::NAN; 8]);
        decoder.read(&[Next { token: 1, before: &[] }]).unwrap();
        assert!(decoder.states().iter().all(|value| value.is_nan()));
    }

    /// A sentence, the sound of it as the encoder hears it, and what the published graph makes of it.
    fn beside_the_published_graph(size: MoonshineSize) {
        let assets = Assets::locate();
        let Some((directory, samples)) = a_sentence(&assets, size) else { return };
        let mut encoder = session::open_varying(&assets, "a test", &directory.join("encoder.onnx"), 1).unwrap();
        let input = TensorRef::from_array_view(([1_usize, samples.len()], samples.as_slice())).unwrap();
        let heard = encoder.run(ort::inputs! { input }).unwrap();
        let (shape, frames) = heard[0].try_extract_tensor::<f32>().unwrap();
        let shape: Vec<usize> = shape.iter().map(|length| *length as usize).collect();
        // Start, and tokens that are likely: whatever they are, both read the same.
        let tokens = [1_i64, 1334, 723, 763, 304, 679];
        let file = directory.join("decoder.onnx");
        let weights = Weights::parse(&std::fs::read(&file).unwrap()).unwrap();
        let (heads, width) = (weights.heads, weights.width() / weights.heads);
        let mut published = session::open_varying(&assets, "a test", &file, 1).unwrap();
        let names: Vec<String> = published.inputs().iter().map(|input| input.name().to_owned()).collect();
        let branch = [false];
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = names
            .iter()
            .map(|name| {
                let value: SessionInputValue<'_> = match name.as_str() {
                    "input_ids" => TensorRef::from_array_view(([1, tokens.len()], tokens.as_slice())).unwrap().into(),
                    "encoder_hidden_states" => TensorRef::from_array_view((shape.clone(), frames)).unwrap().into(),
                    "use_cache_branch" => TensorRef::from_array_view(([1_usize], branch.as_slice())).unwrap().into(),
                    _ => Tensor::from_array(([1, heads, 1, width], vec![0.0_f32; heads * width])).unwrap().into(),
                };
                (name.as_str().into(), value)
            })
            .collect();
        let said = published.run(inputs).unwrap();
        let expected = said["logits"].try_extract_tensor::<f32>().unwrap().1;
        let mut decoder = Decoder::new(weights);
        decoder.listen(frames);
        let path: Path = (0..tokens.len() as u32).collect();
        let chain: Vec<Next<'_>> =
            tokens.iter().enumerate().map(|(n, token)| Next { token: *token as u32, before: &path[..n] }).collect();
        decoder.read(&chain).unwrap();
        let mut logits = Vec::new();
        decoder.project(0..tokens.len(), &mut logits).unwrap();
        assert_eq!(logits.len(), expected.len());
        for (n, (ours, theirs)) in logits.chunks(decoder.tokens()).zip(expected.chunks(decoder.tokens())).enumerate() {
            let best = |of: &[f32]| (0..of.len()).max_by(|a, b| of[*a].total_cmp(&of[*b])).unwrap();
            let power = |of: &mut dyn Iterator<Item = f32>| of.map(|x| f64::from(x).powi(2)).sum::<f64>();
            let apart = power(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
            let share = (apart / power(&mut theirs.iter().copied())).sqrt();
            // The graph rounds what it multiplies to 8 bits.
            assert!(best(ours) == best(theirs) && share < 0.1, "{size:?} {n}: {share}");
        }
    }

    #[test]
    fn it_thinks_what_the_published_graph_thinks() {
        beside_the_published_graph(MoonshineSize::Tiny);
        beside_the_published_graph(MoonshineSize::Base);
    }
}
