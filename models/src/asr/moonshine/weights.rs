//! The decoder's tables, read from its file (pure). Purpose: what the published graph multiplies and adds, by the names that
//! its exporter gave. Any thread, once a load. Invariants: a file that is no such decoder, is cut short, or whose tables do
//! not fit together is refused with a reason. Deliberately absent: what is done with them (`decoder`), the graph's order of
//! doing it, which every file of the family shares.
//!
//! Layout: see `wire`; ModelProto {7 graph}, GraphProto {1 node, 5 initializer, 11 input}, AttributeProto {6 g},
//! ValueInfoProto {1 name, 2 type}, TypeProto {1 tensor_type}, Tensor {2 shape}, Shape {1 dim}, Dimension {1 dim_value}.

use super::matrix::{Matrix, Store};
use super::parts::{Parts, only};
use super::wire::{Body, fields};

const NOT_ONE: &str = "it is no Moonshine decoder";

/// One layer. Its three norms have weights only, its attentions no bias.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) before_texts: Vec<f32>,
    pub(super) texts: Attention,
    pub(super) before_audio: Vec<f32>,
    pub(super) audio: Attention,
    pub(super) before_mlp: Vec<f32>,
    /// To twice as many numbers as `down` takes: what passes, and then the gates.
    pub(super) up: Matrix,
    pub(super) up_bias: Vec<f32>,
    pub(super) down: Matrix,
    pub(super) down_bias: Vec<f32>,
}

#[derive(Debug)]
pub(super) struct Attention {
    pub(super) query: Matrix,
    pub(super) key: Matrix,
    pub(super) value: Matrix,
    pub(super) out: Matrix,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Weights {
    /// What all tables are made of.
    pub(super) store: Store,
    /// A row for each token: what it means, and what the last state is compared with.
    pub(super) table: Matrix,
    pub(super) layers: Vec<Layer>,
    pub(super) last_norm: Vec<f32>,
    pub(super) heads: usize,
    /// By how much the pairs at the beginning of each head turn with each place in the text, radians.
    pub(super) turns: Vec<f32>,
}

impl Weights {
    /// Reads them.
    ///
    /// # Errors
    /// Why it is no such file.
    pub(super) fn parse(model: &[u8]) -> Result<Self, String> {
        let graph = only(fields(model)?, 7).ok_or(NOT_ONE)?.octets();
        let parts = Parts::of(graph)?;
        let mut heads = None;
        for field in fields(graph)?.into_iter().filter(|field| field.number == 11) {
            heads = heads.or(heads_of(field.octets())?);
        }
        let heads = heads.ok_or(NOT_ONE)?;
        // And what lies between two tables.
        let mut store = Store::new(model.len());
        let layers = (0..parts.layers()?).map(|n| layer(&parts, &mut store, n)).collect::<Result<Vec<_>, _>>()?;
        let table = parts.lookup(&mut store)?.ok_or(NOT_ONE)?;
        let last_norm = parts.reals("model.decoder.norm.weight")?;
        let turns = parts.turns()?;
        let weights = Self { store, table, layers, last_norm, heads, turns };
        weights.fit().then_some(weights).ok_or_else(|| "its tables do not fit together".to_owned())
    }

    /// Numbers in a state.
    pub(super) fn width(&self) -> usize {
        self.table.width()
    }

    fn fit(&self) -> bool {
        let width = self.width();
        let square = |matrix: &Matrix| (matrix.rows(), matrix.width()) == (width, width);
        let attention = |of: &Attention| [&of.query, &of.key, &of.value, &of.out].into_iter().all(square);
        let layer = |layer: &Layer| {
            let inner = layer.down.width();
            attention(&layer.texts)
                && attention(&layer.audio)
                && [&layer.before_texts, &layer.before_audio, &layer.before_mlp, &layer.down_bias]
                    .iter()
                    .all(|reals| reals.len() == width)
                && (layer.up.rows(), layer.up.width(), layer.up_bias.len()) == (2 * inner, width, 2 * inner)
                && layer.down.rows() == width
        };
        !self.layers.is_empty()
            && self.layers.iter().all(layer)
            && self.last_norm.len() == width
            && self.heads > 0
            && width.is_multiple_of(self.heads)
            && !self.turns.is_empty()
            && self.turns.iter().all(|turn| turn.is_finite())
            && 2 * self.turns.len() <= width / self.heads
    }
}

/// The second length of the memory of texts, if this input is that.
fn heads_of(input: &[u8]) -> Result<Option<usize>, &'static str> {
    let parts = fields(input)?;
    if only(parts.clone(), 1).is_none_or(|name| name.text() != "past_key_values.0.decoder.key") {
        return Ok(None);
    }
    let mut at = only(parts, 2).ok_or(NOT_ONE)?;
    for number in [1, 2] {
        at = only(fields(at.octets())?, number).ok_or(NOT_ONE)?;
    }
    let lengths: Vec<_> = fields(at.octets())?.into_iter().filter(|field| field.number == 1).collect();
    let Some(length) = lengths.get(1) else { return Ok(None) };
    Ok(match only(fields(length.octets())?, 1).map(|length| length.body) {
        Some(Body::Number(length @ 1..=64)) => Some(length as usize),
        _ => None,
    })
}

fn attention(parts: &Parts<'_>, store: &mut Store, of: &str) -> Result<Attention, String> {
    let mut part = |name: &str| parts.product(store, &format!("{of}/{name}"));
    Ok(Attention { query: part("q_proj")?, key: part("k_proj")?, value: part("v_proj")?, out: part("dense")? })
}

fn layer(parts: &Parts<'_>, store: &mut Store, n: usize) -> Result<Layer, String> {
    let reals = |name: &str| parts.reals(&format!("model.decoder.layers.{n}.{name}"));
    Ok(Layer {
        before_texts: reals("input_layernorm.weight")?,
        texts: attention(parts, store, &format!("layers.{n}/self_attn"))?,
        before_audio: reals("post_attention_layernorm.weight")?,
        audio: attention(parts, store, &format!("layers.{n}/encoder_attn"))?,
        before_mlp: reals("final_layernorm.weight")?,
        up: parts.product(store, &format!("layers.{n}/mlp/up_proj"))?,
        up_bias: reals("mlp.up_proj.bias")?,
        down: parts.product(store, &format!("layers.{n}/mlp/down_proj"))?,
        down_bias: reals("mlp.down_proj.bias")?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::wire::{CUT_SHORT, DEPTH_MAX, REAL, TOO_DEEP, UINT8, message, nested, push_octets, push_varint};
    use super::*;
    use proptest::prelude::*;

    /// Numbers in a state, and inside the network; tokens, heads, layers.
    const WIDTH: usize = 8;
    const INNER: usize = 6;
    const TOKENS: usize = 10;
    const HEADS: usize = 2;
    const LAYERS: usize = 2;

    /// A decoder's file that says nothing sensible, with the names of a real one.
    pub(in super::super) fn model() -> Vec<u8> {
        let mut next = 7_u32;
        let mut octet = || {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (next >> 24) as u8
        };
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        let mut weight = |name: &str, shape: &[usize], kind: u64, raw: &[u8]| {
            let mut out = Vec::new();
            for length in shape {
                push_varint(&mut out, 1 << 3);
                push_varint(&mut out, *length as u64);
            }
            push_varint(&mut out, 2 << 3);
            push_varint(&mut out, kind);
            push_octets(&mut out, 8, name.as_bytes());
            push_octets(&mut out, 9, raw);
            push_octets(&mut weights, 5, &out);
        };
        let mut table = |name: &str, shape: [usize; 2], octet: &mut dyn FnMut() -> u8| {
            let octets: Vec<u8> = (0..shape[0] * shape[1]).map(|_| octet()).collect();
            weight(&format!("{name}_quantized"), &shape, UINT8, &octets);
            weight(&format!("{name}_scale"), &[], REAL, &0.01_f32.to_le_bytes());
            weight(&format!("{name}_zero_point"), &[], UINT8, &[131]);
        };
        let mut node = |operator: &str, inputs: &[&str], output: &str| {
            let mut parts: Vec<_> = inputs.iter().map(|input| (1, input.as_bytes().to_vec())).collect();
            parts.extend([(2, output.as_bytes().to_vec()), (4, operator.as_bytes().to_vec())]);
            push_octets(&mut nodes, 1, &message(&parts));
        };
        table("embed", [TOKENS, WIDTH], &mut octet);
        let gathered = "/model/decoder/embed_tokens/Gather_output_0";
        node("DequantizeLinear", &["gathered", "embed_scale", "embed_zero_point"], gathered);
        let mut reals = Vec::new();
        for layer in 0..LAYERS {
            let shapes = [("q_proj", WIDTH), ("k_proj", WIDTH), ("v_proj", WIDTH), ("dense", WIDTH)];
            let attentions = ["self_attn", "encoder_attn"]
                .into_iter()
                .flat_map(|of| shapes.map(|(name, rows)| (format!("{of}/{name}"), [WIDTH, rows])));
            let network = [("up_proj", [WIDTH, 2 * INNER]), ("down_proj", [INNER, WIDTH])];
            let network = network.map(|(name, shape)| (format!("mlp/{name}"), shape));
            for (n, (module, shape)) in attentions.chain(network).enumerate() {
                let name = format!("onnx::MatMul_{layer}{n}_merged_0");
                table(&name, shape, &mut octet);
                let inputs = ["x", &format!("{name}_quantized"), "x_zero", &format!("{name}_zero_point")];
                node(
                    "MatMulInteger",
                    &inputs,
                    &format!("/model/decoder/layers.{layer}/{module}/MatMul_output_0_quantized"),
                );
            }
            for (name, length) in [
                ("input_layernorm.weight", WIDTH),
                ("post_attention_layernorm.weight", WIDTH),
                ("final_layernorm.weight", WIDTH),
                ("mlp.up_proj.bias", 2 * INNER),
                ("mlp.down_proj.bias", WIDTH),
            ] {
                reals.push((format!("model.decoder.layers.{layer}.{name}_merged_0"), length));
            }
        }
        reals.push(("model.decoder.norm.weight_merged_0".to_owned(), WIDTH));
        reals.push(("/model/decoder/rotary_emb/Cast_1_output_0".to_owned(), 1));
        for (name, length) in reals {
            let raw: Vec<u8> = (0..length).flat_map(|_| (0.5 + f32::from(octet()) / 256.0).to_le_bytes()).collect();
            weight(&name, &[length], REAL, &raw);
        }
        let choice = message(&[(5, message(&[(1, b"else_branch".to_vec()), (6, nodes)])), (4, b"If".to_vec())]);
        let number = |number: u64, value: u64| {
            let mut out = Vec::new();
            push_varint(&mut out, number << 3);
            push_varint(&mut out, value);
            out
        };
        let dimensions: Vec<_> =
            [b"".to_vec(), number(1, HEADS as u64), b"".to_vec(), number(1, 4)].map(|dim| (1, dim)).to_vec();
        let kind = message(&[(1, message(&[(2, message(&dimensions))]))]);
        let input = message(&[(1, b"past_key_values.0.decoder.key".to_vec()), (2, kind)]);
        let mut graph = message(&[(1, choice), (11, input)]);
        graph.extend(weights);
        message(&[(7, graph)])
    }

    #[test]
    fn tables_are_found_by_the_modules_that_they_belong_to() {
        let weights = Weights::parse(&model()).unwrap();
        assert_eq!((weights.width(), weights.table.rows(), weights.heads), (WIDTH, TOKENS, HEADS));
        assert_eq!((weights.layers.len(), weights.turns.len(), weights.last_norm.len()), (LAYERS, 1, WIDTH));
        let layer = &weights.layers[1];
        assert_eq!((layer.up.rows(), layer.down.rows(), layer.down.width()), (2 * INNER, WIDTH, INNER));
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let refused = |model: &[u8]| Weights::parse(model).unwrap_err();
        assert_eq!(refused(&[]), NOT_ONE);
        let good = model();
        assert_eq!(refused(&good[..good.len() - 1]), CUT_SHORT);
        for (from, to, why) in [
            ("layers.1/mlp/down_proj", "layers.1/mlp/dawn_proj", "its layers.1/mlp/down_proj is missing"),
            (
                "onnx::MatMul_07_merged_0_scale",
                "onnx::MatMul_07_merged_0_scare",
                "its table onnx::MatMul_07_merged_0_quantized is missing",
            ),
            ("model.decoder.norm.weight", "model.decoder.norm.height", "its model.decoder.norm.weight is missing"),
            ("past_key_values.0.decoder.key", "past_key_values.0.decoder.tea", NOT_ONE),
            ("layers.0/self_attn/q_proj", "layers.0/self_attn/s_proj", "its layers.0/self_attn/q_proj is missing"),
            ("/decoder/layers.0/", "/decoder/layers.7/", "its layers do not follow one another"),
            ("/decoder/layers.1/", "/decoder/layers.3/", "its layers do not follow one another"),
            ("rotary_emb/Cast", "rotary_emb/Rest", "its places are missing"),
        ] {
            assert_eq!(from.len(), to.len());
            let mut other = good.clone();
            let at = good.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            other[at..at + to.len()].copy_from_slice(to.as_bytes());
            assert_eq!(refused(&other), why);
        }
    }

    #[test]
    fn branches_without_end_are_refused() {
        for (levels, why) in [(1_000_000, TOO_DEEP), (DEPTH_MAX + 1, TOO_DEEP), (DEPTH_MAX, NOT_ONE)] {
            assert_eq!(Weights::parse(&nested(levels)).unwrap_err(), why, "{levels}");
        }
    }

    proptest! {
        #[test]
        fn damage_is_survived(at in any::<usize>(), octet in any::<u8>(), end in any::<usize>()) {
            let mut model = model();
            let length = model.len();
            model[at % length] = octet;
            let _ = Weights::parse(&model);
            let _ = Weights::parse(&model[..end % length]);
        }
    }
}
