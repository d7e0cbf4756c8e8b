//! The recogniser. Purpose: one turn of telephone audio in, its words out. Owning thread: one at a time. Invariants: nothing
//! of a turn stays for the next. Deliberately absent: pooling, choice of engine (`speech`).

use super::audio::{self, LINE_RATE, Voiced};
use super::beam::{self, Guide, Plan};
use super::graph::{self, Graph};
use super::reading;
use super::tokens::Pieces;
use crate::asr::{AsrError, Hypothesis};
use crate::assets::Assets;
use std::fmt;
use std::fs;

/// People speak about six tokens a second.
const TOKENS_PER_SECOND: f32 = 6.5;
/// Tokens for the shortest turn.
const TOKENS_LEAST: usize = 6;
/// More texts at once than ever pay.
const WIDTH_MAX: usize = 16;

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
    /// Loads the model. `threads`: how many share the work of one turn, the caller's among them.
    ///
    /// # Errors
    /// [`AsrError::Asset`]: what to install.
    pub fn load(assets: &Assets, threads: u16) -> Result<Self, AsrError> {
        let directory = assets.moonshine()?;
        let file = directory.join("tokenizer.json");
        let json = fs::read(&file).map_err(|source| AsrError::File { path: file.clone(), source })?;
        let pieces = Pieces::parse(&json).map_err(|why| graph::unusable(&file, &why))?;
        let graph = Graph::load(assets, &directory, threads)?;
        let mut engine = Self { graph, pieces, wide: Vec::new() };
        // The first run allocates; a wrong graph shows here and not in a call.
        engine.recognise(&[0; LINE_RATE / 2], &beam::Unguided, 1)?;
        Ok(engine)
    }

    /// Recognises one turn of 8 kHz telephone audio. `width`: texts that are pursued at once (1 = greedy).
    ///
    /// # Errors
    /// [`AsrError::Refused`] when ONNX Runtime cannot run the model.
    pub fn recognise<G: Guide>(&mut self, samples: &[i16], guide: &G, width: usize) -> Result<Hypothesis, AsrError> {
        let total_ms = u32::try_from(samples.len() * 1000 / LINE_RATE).unwrap_or(u32::MAX);
        audio::widen(samples, &mut self.wide);
        self.graph.listen(&self.wide)?;
        let seconds = self.wide.len() as f32 / 16_000.0;
        let plan =
            Plan { width: width.clamp(1, WIDTH_MAX), tokens: TOKENS_LEAST + (seconds * TOKENS_PER_SECOND) as usize };
        let readings = beam::search(&mut self.graph, &self.pieces, guide, plan);
        self.graph.forget();
        Ok(reading::hypothesis(&readings?, &self.pieces, &Voiced::of(samples), total_ms))
    }
}
