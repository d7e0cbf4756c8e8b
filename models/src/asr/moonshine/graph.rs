//! The model of one turn. Purpose: what comes next, for several texts at once, of one turn's audio: the encoder on ONNX
//! Runtime, the decoder in our own code. Owning thread: the engine's. Invariants: `listen` forgets the turn before. What is
//! likely to be written (the words so far of a turn that goes on) is read in one run, and each token of it that the search
//! takes costs nothing more; the first that it does not take ends that. Deliberately absent: which token to take (`beam`),
//! what a token does to the decoder (`decoder`).
//!
//! Encoder: `input_values` f32 [1, samples at 16 kHz] → hidden f32 [1, frames, width of the decoder].

use super::beam::{Continuation, Steps};
use super::decoder::{Decoder, Next, Path as Slots};
use super::signed;
use super::tokens::START;
use super::weights::Weights;
use crate::asr::AsrError;
use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::session::{self, SessionError};
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef};
use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Who wants the graphs, for messages.
pub(super) const PART: &str = "speech recognition";
/// Answers to tokens that were read ahead are worked out for so many at a time.
const AHEAD_AT_ONCE: usize = 16;

/// Encoder, decoder, and the texts of the turn.
#[derive(Debug)]
pub(super) struct Graph {
    encoder: Session,
    encoder_input: String,
    decoder: Decoder,
    /// Of each text that was asked about last, where its tokens lie.
    paths: Vec<Slots>,
    ahead: Ahead,
    logits: Vec<f32>,
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
    /// Loads both parts and checks that they are what this module drives.
    ///
    /// # Errors
    /// [`AsrError::Asset`]: what to install.
    pub(super) fn load(assets: &Assets, directory: &Path, threads: u16) -> Result<Self, AsrError> {
        let encoder_file = directory.join("encoder.onnx");
        let encoder = open(assets, &encoder_file, &read(&encoder_file)?, threads)?;
        let file = directory.join("decoder.onnx");
        let weights = Weights::parse(&read(&file)?).map_err(|why| AsrError::Asset(unusable(&file, &why)))?;
        let [input] = encoder.inputs() else {
            return Err(AsrError::Asset(unusable(&encoder_file, "it is no Moonshine encoder")));
        };
        if input.dtype().tensor_type() != Some(TensorElementType::Float32) {
            return Err(AsrError::Asset(unusable(&encoder_file, "it takes no samples")));
        }
        let encoder_input = input.name().to_owned();
        let decoder = Decoder::new(weights);
        Ok(Self { encoder, encoder_input, decoder, paths: Vec::new(), ahead: Ahead::default(), logits: Vec::new() })
    }

    /// Hears a turn: 16 kHz samples, −1 to 1, at least 0.1 s. The next step begins texts about it.
    ///
    /// # Errors
    /// [`AsrError::Refused`] when ONNX Runtime cannot run the encoder.
    pub(super) fn listen(&mut self, samples: &[f32]) -> Result<(), AsrError> {
        self.forget();
        let input = TensorRef::from_array_view(([1_usize, samples.len()], samples)).map_err(failed)?;
        let outputs = self.encoder.run(ort::inputs! { self.encoder_input.as_str() => input }).map_err(failed)?;
        let (shape, frames) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        if shape.last().copied() != i64::try_from(self.decoder.width()).ok() {
            return Err(AsrError::Refused { what: "encoder and decoder are of different sizes".into() });
        }
        self.decoder.listen(frames);
        Ok(())
    }

    /// Tokens, of the likeliest text from its beginning, that will probably be asked for: the next step reads all of them.
    pub(super) fn expect(&mut self, tokens: &[u32]) {
        // Another model of the family may have more.
        let known = tokens.iter().copied().take_while(|token| (*token as usize) < self.tokens());
        self.ahead = Ahead { tokens: known.collect(), ..Ahead::default() };
    }

    /// Tokens that there are.
    pub(super) fn tokens(&self) -> usize {
        self.decoder.tokens()
    }

    /// Lets go of the turn's memory.
    pub(super) fn forget(&mut self) {
        self.decoder.forget();
        self.paths.clear();
        self.ahead = Ahead::default();
    }

    /// Whether what was read ahead answers this; if not, it is forgotten.
    fn is_ahead(&mut self, asked: &[Continuation]) -> bool {
        let Some(taken) = self.ahead.taken else { return false };
        if let [next] = asked
            && next.row == 0
            && self.ahead.tokens.get(taken) == Some(&next.token)
        {
            self.ahead.taken = Some(taken + 1);
            return true;
        }
        self.ahead = Ahead::default();
        // The beginning of the text, and what was taken of the rest.
        self.paths.iter_mut().for_each(|path| path.truncate(1 + taken));
        false
    }

    fn run(&mut self, asked: &[Continuation]) -> Result<(), &'static str> {
        let end = self.decoder.end();
        if self.paths.is_empty() && matches!(asked, [next] if next.token == START) {
            // Each goes on from the one before.
            let tokens: Vec<u32> = [START].into_iter().chain(self.ahead.tokens.iter().copied()).collect();
            let path: Slots = (end..).take(tokens.len()).collect();
            let chain: Vec<Next<'_>> =
                tokens.iter().enumerate().map(|(n, token)| Next { token: *token, before: &path[..n] }).collect();
            self.decoder.read(&chain)?;
            self.ahead.taken = (!self.ahead.tokens.is_empty()).then_some(0);
            self.paths = vec![path];
            return Ok(());
        }
        let before = asked.iter().map(|next| match self.paths.get(next.row) {
            Some(path) => Ok(path.as_slice()),
            None if self.paths.is_empty() => Ok(&[][..]),
            None => Err("a text that goes on from none"),
        });
        let before = before.collect::<Result<Vec<_>, _>>()?;
        let next: Vec<Next<'_>> =
            asked.iter().zip(&before).map(|(next, before)| Next { token: next.token, before }).collect();
        self.decoder.read(&next)?;
        self.paths = before.into_iter().zip(end..).map(|(path, slot)| [path, &[slot]].concat()).collect();
        Ok(())
    }
}

impl Steps for Graph {
    type Error = AsrError;

    fn step(&mut self, asked: &[Continuation]) -> Result<&[f32], AsrError> {
        let ours = |what: &'static str| AsrError::Refused { what: what.into() };
        if !self.is_ahead(asked) {
            self.run(asked).map_err(ours)?;
        }
        let rows = self.decoder.tokens();
        // What was read ahead is projected together: the table passes through the processor once for all of it.
        let said = self.decoder.states().len() / self.decoder.width();
        let (from, to) = match self.ahead.taken {
            Some(taken) => (taken, (taken + AHEAD_AT_ONCE).min(said)),
            None => (0, asked.len()),
        };
        if !self.ahead.projected.contains(&from) {
            self.decoder.project(from..to, &mut self.logits).map_err(ours)?;
            self.ahead.projected = if self.ahead.taken.is_some() { from..to } else { 0..0 };
        }
        let at = (from - self.ahead.projected.start) * rows;
        self.logits.get(at..at + asked.len() * rows).ok_or_else(|| ours("the decoder says too little"))
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
