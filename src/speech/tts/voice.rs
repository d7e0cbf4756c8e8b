//! One voice on one thread. Purpose: a clause in; telephone audio at the line's loudness out as it is made, and when each
//! of its words is heard. Owner: one "voice-N" thread. Invariants: a sink that breaks ends the synthesis at the engine's
//! next chunk; what was spoken before an error stands, and no more words are credited than were spoken. Deliberately
//! absent: which clause is next (`mouth`), what was said before (`cache`).

use super::super::clause::Clause;
use super::super::normalise::Phones;
use super::super::synthesiser::{SpeakOptions, Synthesiser};
use super::level::{Leveller, Loudness, LowCut};
use super::narrow::Narrow;
use super::timing::{self, Extent, PACE_MS, word_times};
use crate::conversation::WordTime;
use std::ops::ControlFlow;

/// What the voice's level and pace are measured on, and what warms it.
const REFERENCE: &str = "Hello, this is a short test of how loud my voice is.";

/// Synthesised audio of one clause, 8 kHz, with the times of its words.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) samples: Vec<i16>,
    pub(super) words: Vec<WordTime>,
}

/// How a clause ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All of it was spoken.
    Whole,
    /// The sink wanted no more.
    Stopped,
    /// The engine failed, perhaps in the middle; for the operator.
    Failed(String),
}

/// What is known of a voice before it speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// None: its loudness is learnt as it speaks.
    gain: Option<f32>,
    /// Milliseconds for one unit of `timing::weight`.
    pace: f32,
}

pub(super) struct Voice {
    engine: Box<dyn Synthesiser>,
    narrow: Narrow,
    low_cut: LowCut,
    loudness: Loudness,
    measure: Measure,
}

impl Voice {
    /// Warms a voice and measures it. One elsewhere is not asked before there is something to say.
    ///
    /// # Errors
    /// In words, when it cannot speak at all.
    pub(super) fn new(engine: Box<dyn Synthesiser>) -> Result<(Self, Measure), String> {
        let unknown = Measure { gain: None, pace: PACE_MS };
        let mut voice = Self::with(engine, unknown)?;
        if !voice.engine.is_local() {
            return Ok((voice, unknown));
        }
        let (narrow, mut heard) = (&mut voice.narrow, Vec::new());
        voice.engine.speak(REFERENCE, &mut |chunk| {
            narrow.process(chunk, &mut heard);
            ControlFlow::Continue(())
        })?;
        voice.low_cut.process(&mut heard);
        let mut loudness = Loudness::default();
        loudness.take(&heard);
        // The reference begins and ends in silence; a pace that is too slow credits too little, never too much.
        let pace = timing::pace(REFERENCE, heard.len() as f32 / 8.0).clamp(PACE_MS / 2.0, PACE_MS * 2.0);
        voice.measure = Measure { gain: Some(loudness.gain()), pace };
        let measure = voice.measure;
        Ok((voice, measure))
    }

    /// One of which this is known.
    ///
    /// # Errors
    /// In words, when its rate cannot be brought to the line.
    pub(super) fn with(engine: Box<dyn Synthesiser>, measure: Measure) -> Result<Self, String> {
        let narrow = Narrow::new(engine.sample_rate())?;
        Ok(Self { engine, narrow, low_cut: LowCut::new(), loudness: Loudness::default(), measure })
    }

    /// Milliseconds that it takes for one unit of `timing::weight`.
    pub(super) fn pace(&self) -> f32 {
        self.measure.pace
    }

    /// As [`render_unless`](Self::render_unless), whoever wants it.
    #[cfg(test)]
    pub(super) fn render(
        &mut self,
        clause: &Clause,
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> (Rendered, Ending) {
        self.render_unless(clause, &|| false, sink)
    }

    /// Synthesises a clause; `sink` gets finished 8 kHz samples as they come and may stop, and so may `unwanted` before there
    /// are any. The silence around the speech is trimmed, the clause's own pause added.
    pub(super) fn render_unless(
        &mut self,
        clause: &Clause,
        unwanted: &(dyn Fn() -> bool + Sync),
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> (Rendered, Ending) {
        let text = clause.text();
        let phones = phones(clause);
        let mut leveller = Leveller::new(self.measure.gain.unwrap_or_else(|| self.loudness.gain()));
        let (narrow, low_cut) = (&mut self.narrow, &mut self.low_cut);
        let (loudness, learning) = (&mut self.loudness, self.measure.gain.is_none());
        narrow.reset();
        low_cut.reset();
        let mut made: Vec<i16> = Vec::new();
        let mut samples: Vec<i16> = Vec::new();
        let mut stopped = false;
        let options = SpeakOptions { phones: &phones, unwanted };
        let spoken = self.engine.speak_with(&text, &options, &mut |chunk| {
            made.clear();
            narrow.process(chunk, &mut made);
            low_cut.process(&mut made);
            if learning {
                loudness.take(&made);
            }
            let before = samples.len();
            leveller.process(&made, &mut samples);
            stopped |= samples.len() > before && sink(&samples[before..]).is_break();
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        stopped |= unwanted();
        let before = samples.len();
        let (tokens, ending) = match spoken {
            _ if stopped => (Vec::new(), Ending::Stopped),
            Ok(words) => {
                made.clear();
                narrow.finish(&mut made);
                low_cut.process(&mut made);
                leveller.process(&made, &mut samples);
                leveller.finish(&mut samples);
                (words, Ending::Whole)
            }
            Err(what) => {
                leveller.finish(&mut samples);
                (Vec::new(), Ending::Failed(what))
            }
        };
        let length_ms = (samples.len() / 8) as u32;
        let extent =
            if ending == Ending::Whole { Extent::Whole(length_ms) } else { Extent::Cut(length_ms, self.measure.pace) };
        let words = word_times(clause, &tokens, (leveller.skipped() / 8) as u32, extent);
        if ending == Ending::Whole && !samples.is_empty() {
            samples.resize(samples.len() + clause.pause_ms as usize * 8, 0);
        }
        if !stopped && samples.len() > before {
            let _ = sink(&samples[before..]);
        }
        (Rendered { samples, words }, ending)
    }
}

/// Sounds that the lexicon gives for words of a clause, by their place in its text; and the name of the letter A, which
/// voices take for the article.
fn phones(clause: &Clause) -> Vec<(usize, Phones)> {
    let mut phones = Vec::new();
    let mut at = 0;
    for word in &clause.words {
        let parts: Vec<&str> = word.spoken.split_whitespace().collect();
        if let Some(given) = &word.phones {
            phones.push((at, Phones::clone(given)));
        } else if parts.len() > 1 {
            let letters = parts.iter().enumerate().filter(|(_, part)| part.trim_end_matches([',', '.']) == "A");
            phones.extend(letters.map(|(n, _)| (at + n, Phones::from("ey1"))));
        }
        at += parts.len();
    }
    phones
}
