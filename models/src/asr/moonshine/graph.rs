//! The model of one turn. Purpose: what comes next, for several texts at once, of one turn's audio. Owning thread: the
//! engine's. Invariants: `listen` forgets the turn before. What is likely to be written (the words so far of a turn that
//! goes on) is read in one run, and each token of it that the search takes costs nothing more; the first that it does not
//! take ends that. Deliberately absent: which token to take (`beam`), what is heard (`encoder`), what a token does to the
//! decoder (`decoder`).

use super::beam::{Continuation, Steps};
use super::decoder::{Decoder, Next, Path as Slots};
use super::encoder::Encoder;
use super::tokens::START;
use super::weights::Weights;
use crate::asr::AsrError;
use crate::assets::{AssetError, SETUP_COMMAND};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Who wants the graphs, for messages.
const PART: &str = "speech recognition";
/// Answers to tokens that were read ahead are worked out for so many at a time.
const AHEAD_AT_ONCE: usize = 16;

/// Encoder, decoder, and the texts of the turn.
#[derive(Debug)]
pub(super) struct Graph {
    encoder: Encoder,
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
    pub(super) fn load(directory: &Path) -> Result<Self, AsrError> {
        let part = |name: &str| {
            let file = directory.join(name);
            read(&file).map(|octets| (file, octets))
        };
        let refused = |file: &Path, why: &str| AsrError::Asset(unusable(file, why));
        let (file, octets) = part("decoder.onnx")?;
        let weights = Weights::parse(&octets).map_err(|why| refused(&file, &why))?;
        let (file, octets) = part("encoder.onnx")?;
        let encoder = Encoder::parse(&octets, weights.heads).map_err(|why| refused(&file, &why))?;
        if encoder.width() != weights.width() {
            return Err(refused(&file, "encoder and decoder are of different sizes"));
        }
        let decoder = Decoder::new(weights);
        Ok(Self { encoder, decoder, paths: Vec::new(), ahead: Ahead::default(), logits: Vec::new() })
    }

    /// Hears a turn: 16 kHz samples, −1 to 1, at least 0.1 s. The next step begins texts about it.
    pub(super) fn listen(&mut self, samples: &[f32]) {
        self.forget();
        self.decoder.listen(self.encoder.listen(samples));
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
        self.encoder.forget();
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

/// What a damaged file of the model is called.
pub(super) fn unusable(file: &Path, why: &str) -> AssetError {
    AssetError::Unusable { part: PART, file: file.display().to_string(), why: why.to_owned(), command: SETUP_COMMAND }
}
