//! Encoder and decoder on ONNX Runtime. Purpose: what the decoder expects next, for several texts at once, of one turn's
//! audio. Owning thread: the engine's. Invariants: `listen` forgets the turn before; the audio's part of the decoder's
//! memory is computed once a turn and shared by all texts (its batch of one is broadcast by the graph), each text's own
//! part is moved only when texts change places. What is likely to be written (the words so far of a turn that goes on) is
//! read in one run, and each token of it that the search takes costs nothing more; the first that it does not take ends
//! that. Deliberately absent: which token to take (`beam`), the last product (`projection`).
//!
//! Graphs (Moonshine tiny): encoder `input_values` f32 [1, samples at 16 kHz] → hidden f32 [1, frames, 288]. Decoder, both
//! branches in one: `input_ids` i64 [texts, 1], `encoder_hidden_states`, `use_cache_branch` bool `[1]` and for each layer
//! `past_key_values.N.{decoder,encoder}.{key,value}` f32 [texts, 8, tokens so far, 36] → `logits` f32 [texts, 1, 32768] and
//! `present.…` in the same shapes. The first branch writes the audio's keys and takes several tokens at once, the second
//! writes only the texts' and takes one. `split` has the graph answer with [texts, tokens, 288] instead.

use super::beam::{Continuation, Steps};
use super::projection::Projection;
use super::signed;
use super::split::{self, ANSWER};
use super::tokens::START;
use crate::asr::AsrError;
use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::session::{self, SessionError};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef};
use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Who wants the graphs, for messages.
pub(super) const PART: &str = "speech recognition";
/// More layers than any model of this family has.
const LAYERS_MAX: usize = 32;
/// Answers to tokens that were read ahead are worked out for so many at a time.
const AHEAD_AT_ONCE: usize = 16;

/// Names of one tensor of the memory.
#[derive(Debug)]
struct Slot {
    past: String,
    present: String,
}

/// The two graphs and the memory of the turn.
#[derive(Debug)]
pub(super) struct Graph {
    encoder: Session,
    decoder: Session,
    encoder_input: String,
    /// Keys and values of the texts, and of the audio: two a layer.
    own: Vec<Slot>,
    shared: Vec<Slot>,
    /// [1, heads, 1, width]: what stands for no memory.
    empty: Tensor<f32>,
    heads: usize,
    width: usize,
    /// What the encoder made of the turn.
    hidden: Option<DynValue>,
    own_memory: Vec<DynValue>,
    shared_memory: Vec<DynValue>,
    projection: Projection,
    /// What the decoder thought after each token of its last run.
    states: Option<DynValue>,
    ahead: Ahead,
    logits: Vec<f32>,
    rounded: Vec<i16>,
}

/// Tokens of one text that are read before anybody takes them.
#[derive(Debug, Default)]
struct Ahead {
    tokens: Vec<u32>,
    /// Those that were taken; `None`: not read yet, or no longer of use.
    taken: Option<usize>,
    /// Places of the last run, of which `logits` has the answers.
    projected: Range<usize>,
}

impl Graph {
    /// Loads both graphs and checks that they are what this module drives.
    ///
    /// # Errors
    /// [`AsrError::Asset`]: what to install.
    pub(super) fn load(assets: &Assets, directory: &Path, threads: u16) -> Result<Self, AsrError> {
        let encoder_file = directory.join("encoder.onnx");
        let encoder = open(assets, &encoder_file, &read(&encoder_file)?, threads)?;
        let file = directory.join("decoder.onnx");
        let refused = |why: &str| AsrError::Asset(unusable(&file, why));
        let (model, projection) =
            split::split(&read(&file)?).map_err(|why| refused(&format!("it is no Moonshine decoder: {why}")))?;
        let decoder = open(assets, &file, &model, threads)?;
        drop(model);
        let slots = |whose: &str| -> Vec<Slot> {
            (0..LAYERS_MAX)
                .flat_map(|layer| ["key", "value"].map(|what| format!("{layer}.{whose}.{what}")))
                .map(|name| Slot { past: format!("past_key_values.{name}"), present: format!("present.{name}") })
                .take_while(|slot| decoder.inputs().iter().any(|input| input.name() == slot.past))
                .collect()
        };
        let (own, shared) = (slots("decoder"), slots("encoder"));
        let wanted = ["input_ids", "encoder_hidden_states", "use_cache_branch"];
        let known = wanted.iter().all(|name| decoder.inputs().iter().any(|input| input.name() == *name));
        if own.is_empty() || own.len() != shared.len() || !known || decoder.inputs().len() != 3 + 2 * own.len() {
            return Err(refused("it is no Moonshine decoder"));
        }
        let first = decoder.inputs().iter().find(|input| input.name() == own[0].past);
        let shape =
            first.and_then(|input| input.dtype().tensor_shape().map(|shape| shape.to_vec())).unwrap_or_default();
        let (heads, width) = match shape.as_slice() {
            [_, heads @ 1..=64, _, width @ 1..=512] => (*heads as usize, *width as usize),
            _ => return Err(refused("its memory has another shape")),
        };
        let [input] = encoder.inputs() else {
            return Err(AsrError::Asset(unusable(&encoder_file, "it is no Moonshine encoder")));
        };
        if input.dtype().tensor_type() != Some(TensorElementType::Float32) {
            return Err(AsrError::Asset(unusable(&encoder_file, "it takes no samples")));
        }
        let encoder_input = input.name().to_owned();
        let empty = Tensor::from_array(([1, heads, 1, width], vec![0.0_f32; heads * width])).map_err(failed)?;
        Ok(Self {
            encoder,
            decoder,
            encoder_input,
            own,
            shared,
            empty,
            heads,
            width,
            hidden: None,
            own_memory: Vec::new(),
            shared_memory: Vec::new(),
            projection,
            states: None,
            ahead: Ahead::default(),
            logits: Vec::new(),
            rounded: Vec::new(),
        })
    }

    /// Hears a turn: 16 kHz samples, −1 to 1, at least 0.1 s. The next step begins texts about it.
    ///
    /// # Errors
    /// [`AsrError::Refused`] when ONNX Runtime cannot run the graph.
    pub(super) fn listen(&mut self, samples: &[f32]) -> Result<(), AsrError> {
        self.forget();
        let input = TensorRef::from_array_view(([1_usize, samples.len()], samples)).map_err(failed)?;
        let mut outputs = self.encoder.run(ort::inputs! { self.encoder_input.as_str() => input }).map_err(failed)?;
        let name = outputs.keys().next().map(str::to_owned).unwrap_or_default();
        self.hidden = outputs.remove(&name);
        Ok(())
    }

    /// Tokens, of the likeliest text from its beginning, that will probably be asked for: the next step reads all of them.
    pub(super) fn expect(&mut self, tokens: &[u32]) {
        self.ahead = Ahead { tokens: tokens.to_vec(), ..Ahead::default() };
    }

    /// Tokens that there are.
    pub(super) fn tokens(&self) -> usize {
        self.projection.rows()
    }

    /// Lets go of the turn's memory.
    pub(super) fn forget(&mut self) {
        self.hidden = None;
        self.own_memory.clear();
        self.shared_memory.clear();
        self.states = None;
        self.ahead = Ahead::default();
    }

    /// Whether what was read ahead answers this; if not, it is forgotten.
    fn is_ahead(&mut self, asked: &[Continuation]) -> ort::Result<bool> {
        let Some(taken) = self.ahead.taken else { return Ok(false) };
        if let [next] = asked
            && next.row == 0
            && self.ahead.tokens.get(taken) == Some(&next.token)
        {
            self.ahead.taken = Some(taken + 1);
            return Ok(true);
        }
        self.ahead = Ahead::default();
        // The beginning of the text, and what was taken of the rest.
        self.shorten(1 + taken)?;
        Ok(false)
    }

    /// Leaves so many tokens of one text in its memory.
    fn shorten(&mut self, tokens: usize) -> ort::Result<()> {
        for memory in &mut self.own_memory {
            let (shape, values) = memory.try_extract_tensor::<f32>()?;
            let had = shape.get(2).map_or(0, |had| usize::try_from(*had).unwrap_or(0));
            if tokens >= had {
                return Ok(());
            }
            let heads = values.chunks_exact(had * self.width);
            let kept: Vec<f32> = heads.flat_map(|head| &head[..tokens * self.width]).copied().collect();
            *memory = Tensor::from_array(([1, self.heads, tokens, self.width], kept))?.into_dyn();
        }
        Ok(())
    }

    /// Puts the texts' memory into the order of the texts that continue.
    fn rearrange(&mut self, asked: &[Continuation]) -> ort::Result<()> {
        let Some(first) = self.own_memory.first() else { return Ok(()) };
        let rows = first.try_extract_tensor::<f32>()?.0.first().copied().unwrap_or(0);
        if usize::try_from(rows) == Ok(asked.len()) && asked.iter().enumerate().all(|(row, next)| next.row == row) {
            return Ok(());
        }
        for memory in &mut self.own_memory {
            let (shape, values) = memory.try_extract_tensor::<f32>()?;
            let tokens = shape.get(2).copied().unwrap_or(0);
            let size = self.heads * usize::try_from(tokens).unwrap_or(0) * self.width;
            let mut moved = Vec::with_capacity(size * asked.len());
            for next in asked {
                // A row that is not there is our fault and leaves a gap that `from_array` refuses.
                moved.extend_from_slice(values.get(next.row * size..(next.row + 1) * size).unwrap_or_default());
            }
            let shape = [asked.len() as i64, self.heads as i64, tokens, self.width as i64];
            *memory = Tensor::from_array((shape, moved))?.into_dyn();
        }
        Ok(())
    }

    fn run(&mut self, asked: &[Continuation]) -> ort::Result<()> {
        self.rearrange(asked)?;
        let continued = !self.own_memory.is_empty();
        let Some(hidden) = self.hidden.as_ref() else {
            return Err(ort::Error::new("no audio has been heard"));
        };
        let mut tokens: Vec<i64> = asked.iter().map(|next| i64::from(next.token)).collect();
        let mut shape = [tokens.len(), 1];
        if !continued && !self.ahead.tokens.is_empty() && matches!(asked, [next] if next.token == START) {
            tokens.extend(self.ahead.tokens.iter().map(|token| i64::from(*token)));
            shape = [1, tokens.len()];
            self.ahead.taken = Some(0);
        }
        let branch = [continued];
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(self.decoder.inputs().len());
        inputs.push(("input_ids".into(), TensorRef::from_array_view((shape, tokens.as_slice()))?.into()));
        inputs.push(("encoder_hidden_states".into(), hidden.into()));
        inputs.push(("use_cache_branch".into(), TensorRef::from_array_view(([1_usize], branch.as_slice()))?.into()));
        for (slots, memory) in [(&self.own, &self.own_memory), (&self.shared, &self.shared_memory)] {
            for (n, slot) in slots.iter().enumerate() {
                let value = memory.get(n).map_or_else(|| (&self.empty).into(), SessionInputValue::from);
                inputs.push((slot.past.as_str().into(), value));
            }
        }
        let mut outputs = self.decoder.run(inputs)?;
        let mut take = |name: &str| outputs.remove(name).ok_or_else(|| ort::Error::new(format!("no output {name}")));
        self.states = Some(take(ANSWER)?);
        let own = self.own.iter().map(|slot| take(&slot.present)).collect::<ort::Result<Vec<_>>>()?;
        if !continued {
            self.shared_memory = self.shared.iter().map(|slot| take(&slot.present)).collect::<ort::Result<Vec<_>>>()?;
        }
        self.own_memory = own;
        Ok(())
    }
}

impl Steps for Graph {
    type Error = AsrError;

    fn step(&mut self, asked: &[Continuation]) -> Result<&[f32], AsrError> {
        if !self.is_ahead(asked).map_err(failed)? {
            self.run(asked).map_err(failed)?;
        }
        let Some(states) = &self.states else { return Ok(&[]) };
        let states = states.try_extract_tensor::<f32>().map_err(failed)?.1;
        let (width, rows) = (self.projection.width(), self.projection.rows());
        let said = states.len() / width;
        // What was read ahead is projected together: the table passes through the processor once for all of it.
        let (from, to) = match self.ahead.taken {
            Some(taken) => (taken, (taken + AHEAD_AT_ONCE).min(said)),
            None => (0, asked.len()),
        };
        if said < to || from >= to {
            return Err(failed(ort::Error::new("the decoder says too little")));
        }
        if !self.ahead.projected.contains(&from) {
            self.logits.resize((to - from) * rows, 0.0);
            self.projection.project(&states[from * width..to * width], &mut self.logits, &mut self.rounded);
            self.ahead.projected = if self.ahead.taken.is_some() { from..to } else { 0..0 };
        }
        let at = (from - self.ahead.projected.start) * rows;
        let answers = asked.len() * rows;
        self.logits.get(at..at + answers).ok_or_else(|| failed(ort::Error::new("the decoder says too little")))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, AsrError> {
    fs::read(file).map_err(|source| AsrError::File { path: file.to_owned(), source })
}

/// Opens the graph of `file`, which is `model` by now.
fn open(assets: &Assets, file: &Path, model: &[u8], threads: u16) -> Result<Session, AsrError> {
    let model = if multiplies_signed() {
        Cow::Owned(signed::signed(model).map_err(|why| unusable(file, why))?)
    } else {
        Cow::Borrowed(model)
    };
    session::open_varying_encoded(assets, PART, &model, threads).map_err(|error| match error {
        SessionError::Asset(error) => AsrError::Asset(error),
        SessionError::Runtime(error) => AsrError::Asset(unusable(file, error.message())),
    })
}

/// Whether octets without a sign times octets with one are a single instruction. Without it ONNX Runtime may saturate what
/// it adds up.
fn multiplies_signed() -> bool {
    #[cfg(target_arch = "x86_64")]
    let does = is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    let does = false;
    does
}

/// What a damaged file of the model is called.
pub(super) fn unusable(file: &Path, why: &str) -> AssetError {
    AssetError::Unusable { part: PART, file: file.display().to_string(), why: why.to_owned(), command: SETUP_COMMAND }
}

fn failed(error: ort::Error) -> AsrError {
    AsrError::Refused { what: format!("a turn: {}", error.message()) }
}
