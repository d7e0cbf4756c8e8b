//! The recogniser. Purpose: one turn of telephone audio in, its words out. Owning thread: one at a time. Invariants: nothing
//! of a turn stays for the next. Deliberately absent: pooling, choice of engine (`speech`).

use super::audio::{self, LINE_RATE, Voiced};
use super::beam::{self, Continuation, Guide, Plan, Steps};
use super::graph::{self, Graph};
use super::reading;
use super::tokens::{Pieces, START};
use crate::asr::{AsrError, Hypothesis};
use crate::assets::{Assets, MoonshineSize};
use std::fmt;
use std::fs;

/// People speak about six tokens a second.
const TOKENS_PER_SECOND: f32 = 6.5;
/// Tokens for the shortest turn.
const TOKENS_LEAST: usize = 6;
/// Texts that are pursued beside the likeliest because of what may come next. One is enough: of two, both were of a kind.
const AHEAD: usize = 1;
/// Another word must come so near to the likeliest (natural log) before more than one text is pursued: of 1,404 turns on the
/// telephone as many words were wrong (7.06 %) as with several from the beginning on.
const SURE: f32 = 1.5;
/// More texts at once than ever pay.
const WIDTH_MAX: usize = 16;

/// What was written of a turn so far, for the next look at it: most of it is written again, and costs little then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    tokens: Vec<u32>,
}

/// A recogniser of one turn at a time.
pub struct Moonshine {
    graph: Graph,
    pieces: Pieces,
    wide: Vec<f32>,
}

impl fmt::Debug for Moonshine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moonshine").field("tokens", &self.pieces.len()).finish_non_exhaustive()
    }
}

impl Moonshine {
    /// Loads the model.
    ///
    /// # Errors
    /// [`AsrError::Asset`]: what to install.
    pub fn load(assets: &Assets, size: MoonshineSize) -> Result<Self, AsrError> {
        let directory = assets.moonshine(size)?;
        let file = directory.join("tokenizer.json");
        let json = fs::read(&file).map_err(|source| AsrError::File { path: file.clone(), source })?;
        let pieces = Pieces::parse(&json).map_err(|why| graph::unusable(&file, &why))?;
        let graph = Graph::load(&directory)?;
        let mut engine = Self { graph, pieces, wide: Vec::new() };
        engine.try_out().map_err(|error| match error {
            AsrError::Refused { what } => graph::unusable(&directory.join("decoder.onnx"), &what).into(),
            other => other,
        })?;
        Ok(engine)
    }

    /// The first runs allocate, and what does not fit together shows here and not in a call.
    fn try_out(&mut self) -> Result<(), AsrError> {
        self.graph.listen(&[0.0; 16_000 / 4]);
        let first = Continuation { row: 0, token: START };
        if self.graph.tokens() != self.pieces.len() {
            let what = format!("{} tokens, where tokenizer.json has {}", self.graph.tokens(), self.pieces.len());
            return Err(AsrError::Refused { what });
        }
        self.graph.step(&[first])?;
        // Two texts that go on from one.
        let logits = self.graph.step(&[first, first])?.len();
        self.graph.forget();
        if logits == 2 * self.pieces.len() {
            return Ok(());
        }
        Err(AsrError::Refused { what: "two texts at once".into() })
    }

    /// Recognises one turn of 8 kHz telephone audio. `width`: texts that are pursued at once (1 = greedy).
    ///
    /// # Errors
    /// [`AsrError::Refused`] when the decoder is asked for what makes no sense, which is our own fault.
    pub fn recognise<G: Guide>(&mut self, samples: &[i16], guide: &G, width: usize) -> Result<Hypothesis, AsrError> {
        self.recognise_again(samples, guide, width, &mut Draft::default())
    }

    /// Recognises a turn that goes on. `draft`: of the last time, by any model of the family, empty at first; it becomes that
    /// of this time.
    ///
    /// # Errors
    /// As [`recognise`](Self::recognise).
    pub fn recognise_again<G: Guide>(
        &mut self,
        samples: &[i16],
        guide: &G,
        width: usize,
        draft: &mut Draft,
    ) -> Result<Hypothesis, AsrError> {
        let (heard, tokens) = self.hear(samples, guide, width, &draft.tokens)?;
        draft.tokens = tokens;
        Ok(heard)
    }

    /// What it hears, and the tokens of that. `expected`: tokens that it will probably begin with.
    fn hear<G: Guide>(
        &mut self,
        samples: &[i16],
        guide: &G,
        width: usize,
        expected: &[u32],
    ) -> Result<(Hypothesis, Vec<u32>), AsrError> {
        let total_ms = u32::try_from(samples.len() * 1000 / LINE_RATE).unwrap_or(u32::MAX);
        let voiced = Voiced::of(samples);
        if voiced.is_empty() {
            return Ok((Hypothesis { frames: total_ms / 10, ..Hypothesis::default() }, Vec::new()));
        }
        audio::widen(samples, &mut self.wide);
        self.graph.listen(&self.wide);
        let seconds = self.wide.len() as f32 / 16_000.0;
        let width = width.clamp(1, WIDTH_MAX);
        // Whoever wants the words so far wants them soon.
        let ahead = if width > 1 { AHEAD } else { 0 };
        let plan = Plan { width, ahead, sure: SURE, tokens: TOKENS_LEAST + (seconds * TOKENS_PER_SECOND) as usize };
        self.graph.expect(&expected[..expected.len().min(plan.tokens)]);
        let readings = beam::search(&mut self.graph, &self.pieces, guide, plan);
        self.graph.forget();
        let readings = readings?;
        let tokens = readings.first().map(|best| best.tokens.clone()).unwrap_or_default();
        Ok((reading::hypothesis(&readings, guide.alike(), &self.pieces, &voiced, total_ms), tokens))
    }
}
