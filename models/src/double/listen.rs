//! The model through ONNX Runtime alone: greedy CTC, chunk by chunk. Purpose: training can tell whether it is done.
//! Whatever has a runtime. Deliberately absent: batches, times (sherpa-onnx does that).

use super::DoubleError;
use super::onnx::{Dim, Element, Graph};
use super::recogniser::{CHUNK_SAMPLES, STATE_SIZE};
use crate::assets::Assets;
use crate::session;
use ort::session::Session;
use ort::value::{DynValue, TensorRef};

/// A model that listens.
pub(super) struct Listener<'a> {
    session: Session,
    silence: DynValue,
    words: &'a [&'a str],
}

impl<'a> Listener<'a> {
    pub(super) fn open(assets: &Assets, model: &[u8], words: &'a [&'a str]) -> Result<Self, DoubleError> {
        let session = session::open_encoded(assets, super::PART, model)?;
        // Half floats have no type in Rust; a graph makes them.
        let mut graph = Graph::new();
        let shape = graph.integers(&[1, STATE_SIZE as i64]);
        let zeros = graph.node("ConstantOfShape", &[&shape], &[]);
        let zeros = graph.cast(&zeros, Element::F16);
        graph.output(&zeros, "silence", Element::F16, &[Dim::Fixed(1), Dim::Fixed(STATE_SIZE)]);
        let mut silence = session::open_encoded(assets, super::PART, &graph.encode())?;
        let silence = silence.run(Vec::<(&str, DynValue)>::new())?.remove("silence").ok_or(DoubleError::Shape)?;
        Ok(Self { session, silence, words })
    }

    /// The words in 8 kHz samples.
    pub(super) fn hear(&mut self, samples: &[i16]) -> Result<String, DoubleError> {
        let (mut heard, mut last) = (Vec::new(), 0);
        let mut state: Option<DynValue> = None;
        for chunk in samples.chunks(CHUNK_SAMPLES) {
            let mut x = vec![0_i32; CHUNK_SAMPLES];
            x.iter_mut().zip(chunk).for_each(|(to, sample)| *to = i32::from(*sample));
            let mut outputs = self.session.run(ort::inputs! {
                "x" => TensorRef::from_array_view(([1_usize, CHUNK_SAMPLES, 1], x.as_slice()))?,
                "state" => state.as_ref().unwrap_or(&self.silence),
            })?;
            let next = outputs.remove("next_state");
            let log_probs = outputs.get("log_probs").ok_or(DoubleError::Shape)?.try_extract_tensor::<f32>()?.1;
            for frame in log_probs.chunks_exact(self.words.len() + 1) {
                let best = (0..frame.len()).max_by(|a, b| frame[*a].total_cmp(&frame[*b])).unwrap_or(0);
                if best != 0 && best != last {
                    heard.push(self.words[best - 1]);
                }
                last = best;
            }
            drop(outputs);
            state = next;
        }
        Ok(heard.join(" "))
    }
}
