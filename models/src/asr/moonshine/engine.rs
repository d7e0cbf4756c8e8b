//! The recogniser. Purpose: one turn of telephone audio in, its words out. Owning thread: one at a time. Invariants: nothing
//! of a turn stays for the next. Deliberately absent: pooling, choice of engine (`speech`).

use super::audio::{self, LINE_RATE, Voiced};
use super::beam::{self, Continuation, Guide, Plan, Reading, Steps, Unguided};
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
        if self.graph.tokens() != self.pieces.len() {
            let what = format!("{} tokens, where tokenizer.json has {}", self.graph.tokens(), self.pieces.len());
            return Err(AsrError::Refused { what });
        }
        let tried = try_steps(&mut self.graph, self.pieces.len());
        self.graph.forget();
        tried
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

    /// What a turn that goes on may be: texts as words, the likeliest first, with what the model alone gives each as a whole
    /// (0–1). Several are pursued however sure the first is. `draft`: becomes that of this time, for
    /// [`recognise_again`](Self::recognise_again); it is no help here.
    ///
    /// # Errors
    /// As [`recognise`](Self::recognise).
    pub fn readings(
        &mut self,
        samples: &[i16],
        width: usize,
        draft: &mut Draft,
    ) -> Result<Vec<(String, f32)>, AsrError> {
        if Voiced::of(samples).is_empty() {
            draft.tokens.clear();
            return Ok(Vec::new());
        }
        let readings = self.search(samples, &Unguided, (width, 0, f32::INFINITY), &[])?;
        draft.tokens = best(&readings);
        Ok(reading::texts(&readings, &self.pieces))
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
        // Whoever wants the words so far wants them soon.
        let ahead = if width > 1 { AHEAD } else { 0 };
        let readings = self.search(samples, guide, (width, ahead, SURE), expected)?;
        let heard = reading::hypothesis(&readings, guide.alike(), &self.pieces, &voiced, total_ms);
        Ok((heard, best(&readings)))
    }

    /// The texts, the best first. How far: width, ahead and sure of [`Plan`].
    fn search<G: Guide>(
        &mut self,
        samples: &[i16],
        guide: &G,
        (width, ahead, sure): (usize, usize, f32),
        expected: &[u32],
    ) -> Result<Vec<Reading>, AsrError> {
        audio::widen(samples, &mut self.wide);
        self.graph.listen(&self.wide);
        let seconds = self.wide.len() as f32 / 16_000.0;
        let width = width.clamp(1, WIDTH_MAX);
        let plan = Plan { width, ahead, sure, tokens: TOKENS_LEAST + (seconds * TOKENS_PER_SECOND) as usize };
        self.graph.expect(&expected[..expected.len().min(plan.tokens)]);
        let readings = beam::search(&mut self.graph, &self.pieces, guide, plan);
        self.graph.forget();
        readings
    }
}

fn best(readings: &[Reading]) -> Vec<u32> {
    readings.first().map(|best| best.tokens.clone()).unwrap_or_default()
}

/// A first token, and two texts that go on from it. What is no number shows here: a search that is answered so finds nothing,
/// and every caller would seem to be silent.
fn try_steps<S: Steps<Error = AsrError>>(model: &mut S, tokens: usize) -> Result<(), AsrError> {
    let first = Continuation { row: 0, token: START };
    for asked in [&[first][..], &[first, first]] {
        let logits = model.step(asked)?;
        if logits.len() != asked.len() * tokens {
            return Err(AsrError::Refused { what: format!("{} texts at once", asked.len()) });
        }
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(AsrError::Refused { what: "its weights give no numbers".into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::decoder::{Decoder, Next};
    use super::super::weights::{self, Weights};
    use super::*;

    /// The decoder of a file, after silence, whatever is asked.
    struct Alone {
        decoder: Decoder,
        logits: Vec<f32>,
    }

    impl Steps for Alone {
        type Error = AsrError;

        fn step(&mut self, asked: &[Continuation]) -> Result<&[f32], AsrError> {
            let next: Vec<_> = asked.iter().map(|next| Next { token: next.token, before: &[] }).collect();
            self.decoder.read(&next).unwrap();
            self.decoder.project(0..asked.len(), &mut self.logits).unwrap();
            Ok(&self.logits)
        }
    }

    fn tried(file: &[u8], tokens: usize) -> Result<(), String> {
        let mut decoder = Decoder::new(Weights::parse(file).unwrap());
        decoder.listen(&vec![0.0; 4 * decoder.width()]);
        try_steps(&mut Alone { decoder, logits: Vec::new() }, tokens).map_err(|error| error.to_string())
    }

    #[test]
    fn weights_that_give_no_numbers_are_refused() {
        let good = weights::tests::model();
        assert_eq!(tried(&good, 10), Ok(()));
        assert!(tried(&good, 11).unwrap_err().contains("texts at once"));
        // Each is finite, and no product with it is.
        let mut bad = good.clone();
        let (scale, name) = (0.01_f32.to_le_bytes(), b"embed_scale");
        let named = |at: &usize| good[*at..].starts_with(name) && good[at + name.len()] == 9 << 3 | 2;
        let at = (0..good.len() - 32).find(named).unwrap() + name.len() + 2;
        assert_eq!(good[at..at + 4], scale);
        bad[at..at + 4].copy_from_slice(&f32::MAX.to_le_bytes());
        assert!(tried(&bad, 10).unwrap_err().contains("no numbers"));
    }
}
