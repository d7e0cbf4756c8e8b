//! The double of an end-of-turn model. Purpose: a pack of smart-turn's contract whose answers a test can foretell.
//!
//! It holds a turn for finished when its last 100 ms are much quieter than the 2 s before them: loud speech then a pause gives
//! nearly 1, speech that goes on or silence throughout gives nearly 0. Nothing is trained. Any thread.

use super::DoubleError;
use super::onnx::{Attribute, Dim, Element, Graph};
use crate::pack::{Family, Installed, Kind, Pack};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Name of the pack.
const NAME: &str = "callwright-double-turn-end";
const MODEL: &str = "model.onnx";
const BANDS: usize = 80;
const FRAMES: i64 = 800;
/// 100 ms and 2 s of frames.
const END_FRAMES: i64 = 10;
const BEFORE_FRAMES: i64 = 200;
/// Difference of mean features at which it is undecided, and how sharply it decides.
const UNDECIDED: f32 = 0.25;
const SHARPNESS: f32 = 30.0;

/// Writes the pack into `directory`, which is made.
///
/// # Errors
/// [`DoubleError::File`].
pub fn write_turn_end_pack(directory: &Path) -> Result<Installed, DoubleError> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join(MODEL), encode("input_features"))?;
    let pack = Pack {
        name: NAME.into(),
        kind: Kind::EndOfTurn,
        family: Family::SmartTurn,
        url: String::new(),
        sha256: None,
        size: 0,
        licence: "Apache-2.0".into(),
        rate: 16_000,
        languages: Vec::new(),
        about: "test double: a turn is finished when it gets quiet".into(),
        files: BTreeMap::from([("model".into(), MODEL.into())]),
        extra: Vec::new(),
        recommended: false,
    };
    let description = toml::to_string(&pack).map_err(std::io::Error::other)?;
    fs::write(directory.join(crate::pack::shelf::PACK_FILE), description)?;
    Ok(Installed { pack, directory: directory.to_path_buf() })
}

/// The model file. `input`: name of the input, for tests of what happens when it is another.
pub(crate) fn encode(input: &str) -> Vec<u8> {
    let mut graph = Graph::new();
    let batch = Dim::Free("batch_size");
    let features = graph.input(input, Element::F32, &[batch, Dim::Fixed(BANDS), Dim::Fixed(FRAMES as usize)]);
    let all = || [("axes", Attribute::Ints(vec![1, 2])), ("keepdims", Attribute::Int(0))];
    let end = graph.slice(&features, 2, FRAMES - END_FRAMES, FRAMES);
    let end = graph.node("ReduceMean", &[&end], &all());
    let before = graph.slice(&features, 2, FRAMES - END_FRAMES - BEFORE_FRAMES, FRAMES - END_FRAMES);
    let before = graph.node("ReduceMean", &[&before], &all());
    let fall = graph.node("Sub", &[&before, &end], &[]);
    let (undecided, sharpness) = (graph.number(UNDECIDED), graph.number(SHARPNESS));
    let fall = graph.node("Sub", &[&fall, &undecided], &[]);
    let fall = graph.node("Mul", &[&fall, &sharpness], &[]);
    let probability = graph.node("Sigmoid", &[&fall], &[]);
    let probability = graph.reshape(&probability, &[-1, 1]);
    graph.output(&probability, "logits", Element::F32, &[batch, Dim::Fixed(1)]);
    graph.encode()
}
