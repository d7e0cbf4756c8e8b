//! What is said to an engine and what it made of it. Purpose: one list of turns for all engines, sent down the same lines,
//! and one form of results. Plain data and sums. Invariant: a turn's audio depends on its name only, so two engines asked
//! for the same turn hear the same samples. Deliberately absent: engines (`product`, `stock`).

use super::channel::{Channel, Noises, Turn};
use super::corpus::{Asked, Line};
use super::meaning::{Measure, Taken, judge};
use super::score::{Errors, errors};

/// Turns that one caller says on one line before the next one calls.
const TURNS_PER_CALL: usize = 4;

/// One sentence by one voice on one line.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub line: &'a Line,
    pub voice: &'a str,
    pub speech: &'a [i16],
    pub channel: Channel,
}

impl Job<'_> {
    /// The audio; `tail` samples of line follow the speech.
    pub fn turn(&self, noises: &Noises, tail: usize) -> Turn {
        self.channel.send(&self.name(), self.speech, tail, noises)
    }

    /// Whether people talk in the background.
    pub fn babbles(&self) -> bool {
        Channel::babbles(&self.name())
    }

    fn name(&self) -> String {
        format!("{} {:?} {}", self.voice, self.channel, self.line.text)
    }

    /// As much line after the speech as the product listens to before it ends the turn.
    pub fn tail(&self) -> usize {
        self.line.asked.pause_ms() as usize * 8
    }
}

/// What became of one job.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    pub job: Job<'a>,
    pub text: String,
    pub confidence: f32,
    /// Other readings, the likelier first.
    pub alternatives: Vec<String>,
    /// From the request for the result to the result.
    pub final_ms: f64,
}

/// One engine's work on many jobs.
#[derive(Clone, Debug, Default)]
pub struct Run<'a> {
    pub outcomes: Vec<Outcome<'a>>,
    /// CPU time of the recogniser, and of finding speech, s.
    pub recogniser_s: f64,
    pub vad_s: f64,
    /// Memory of one decoder, MiB.
    pub memory_mib: f64,
}

impl<'a> Run<'a> {
    /// Seconds of speech in it.
    pub fn speech_s(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.job.speech.len() as f64 / 8000.0).sum()
    }

    /// CPU time of the recogniser per time of speech.
    pub fn rtf(&self) -> f64 {
        self.recogniser_s / self.speech_s()
    }

    pub fn finals_ms(&self) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| outcome.final_ms).collect()
    }

    /// Word errors of those outcomes.
    pub fn errors(&self, of: impl Fn(&Job<'a>) -> bool) -> Errors {
        let mut sum = Errors::default();
        for outcome in self.outcomes.iter().filter(|outcome| of(&outcome.job)) {
            sum += errors(&outcome.job.line.text, &outcome.text);
        }
        sum
    }

    /// Percent of those outcomes that are taken as they were meant, and of those that are at least led on; not-a-number where
    /// this engine heard nothing.
    pub fn understood(&self, measure: Measure, of: impl Fn(&Job<'a>) -> bool) -> (f64, f64) {
        if self.outcomes.is_empty() {
            return (f64::NAN, f64::NAN);
        }
        let taken: Vec<Taken> = self
            .outcomes
            .iter()
            .filter(|outcome| of(&outcome.job) && outcome.job.line.asked != Asked::Digits)
            .map(|outcome| judge(measure, outcome.job.line, &outcome.text, outcome.confidence))
            .collect();
        let share =
            |of: &[Taken]| 100.0 * taken.iter().filter(|t| of.contains(t)).count() as f64 / taken.len().max(1) as f64;
        (share(&[Taken::Right]), share(&[Taken::Right, Taken::AskedBack]))
    }
}

/// Calls: turns of one voice on one line, one after the other.
pub fn calls<'a>(jobs: &[Job<'a>]) -> Vec<Vec<Job<'a>>> {
    let mut calls: Vec<Vec<Job<'a>>> = Vec::new();
    for job in jobs {
        match calls.last_mut() {
            Some(call)
                if call.len() < TURNS_PER_CALL && call[0].voice == job.voice && call[0].channel == job.channel =>
            {
                call.push(*job);
            }
            _ => calls.push(vec![*job]),
        }
    }
    calls
}
